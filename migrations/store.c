/* SPDX-License-Identifier: MIT */
/* Runs, and the transaction that moves with the journal. Tasks, steps and outputs: store_step.c; dumps: store_blob.c.
 */
#include "migrations/store.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/owner.h"

#define RUN_COLUMNS                                                                                                    \
	"id, name, variant, box, nonce, status, detail, tool, engine, started, coalesce(ended, 0), received, "         \
	"owner_pid, owner_start, machine, boot"

static void text_col(sqlite3_stmt *st, int col, char *out, size_t size)
{
	(void)snprintf(out, size, "%s", db_text(st, col));
}

static void run_of_row(sqlite3_stmt *st, struct run *run)
{
	memset(run, 0, sizeof(*run));
	text_col(st, 0, run->id, sizeof(run->id));
	text_col(st, 1, run->name, sizeof(run->name));
	text_col(st, 2, run->variant, sizeof(run->variant));
	text_col(st, 3, run->box, sizeof(run->box));
	text_col(st, 4, run->nonce, sizeof(run->nonce));
	text_col(st, 5, run->status, sizeof(run->status));
	text_col(st, 6, run->detail, sizeof(run->detail));
	text_col(st, 7, run->tool, sizeof(run->tool));
	text_col(st, 8, run->engine, sizeof(run->engine));
	run->started = sqlite3_column_int64(st, 9);
	run->ended = sqlite3_column_int64(st, 10);
	run->received = (uint64_t)sqlite3_column_int64(st, 11);
	run->owned = owner_alive(sqlite3_column_int64(st, 12), sqlite3_column_int64(st, 13));
	text_col(st, 14, run->machine, sizeof(run->machine));
	text_col(st, 15, run->boot, sizeof(run->boot));
}

/* ---- a new run ---- */

static int take_int(sqlite3_stmt *st, void *ctx)
{
	*(int64_t *)ctx = sqlite3_column_int64(st, 0);
	return 0;
}

/* "NAME-N" with N one above all that runs and boxes ever had; under the write lock of the caller's transaction. The
 * name is cut so that the id stays a host name. */
static int pick_id(struct db *db, const char *name, char id[64], struct err *err)
{
	char prefix[52];
	int64_t n = 0;
	int len = snprintf(prefix, sizeof(prefix), "%.50s-", name);
	if (db_query(db, err, take_int, &n,
		     "SELECT max(CAST(substr(id, ?1 + 1) AS INTEGER)) FROM (SELECT id FROM runs UNION ALL SELECT name "
		     "FROM "
		     "boxes UNION ALL SELECT run FROM boxes) WHERE substr(id, 1, ?1) = ?2 AND length(id) BETWEEN ?1 + "
		     "1 AND "
		     "?1 + 9 AND substr(id, ?1 + 1) NOT GLOB '*[^0-9]*'",
		     "is", (int64_t)len, prefix) < 0)
		return -1;
	(void)snprintf(id, 64, "%s%d", prefix, (int)n + 1); /* at most 9 digits, see above */
	return 0;
}

static int insert_run(struct db *db, const struct run *run, const char *recipe, struct err *err)
{
	return db_run(db, err,
		      "INSERT INTO runs (id, name, recipe, variant, box, nonce, status, detail, tool, engine, started, "
		      "owner_pid, owner_start) VALUES (?, ?, ?, ?, ?, ?, 'running', '', ?, ?, ?, ?, ?)",
		      "ssssssssiii", run->id, run->name, recipe, run->variant, run->box, run->nonce, run->tool,
		      run->engine, run->started, (int64_t)getpid(), owner_start(getpid())) < 0
		       ? -1
		       : 0;
}

int store_run_add(struct db *db, struct run *run, const char *recipe, struct err *err)
{
	if (db_begin(db, false, err) < 0)
		return -1;
	struct run r = *run;
	if (pick_id(db, r.name, r.id, err) < 0)
		goto rollback;
	if (r.box[0] == '\0')
		memcpy(r.box, r.id, sizeof(r.box));
	r.started = clock_wall();
	if (insert_run(db, &r, recipe, err) < 0)
		goto rollback;
	if (db_commit(db, err) < 0)
		return -1;
	(void)snprintf(r.status, sizeof(r.status), "running");
	r.owned = true;
	*run = r;
	return 0;
rollback:
	db_rollback(db);
	return err_ctx(err, "run %s", run->name);
}

/* ---- its life ---- */

/* n: what db_run() said about an UPDATE of one run. */
static int one_run(int n, const char *id, struct err *err)
{
	if (n == 0)
		return err_set(err, ERR_USER, 0, "no run %s", id);
	return n < 0 ? err_ctx(err, "run %s", id) : 0;
}

int store_run_end(struct db *db, const char *id, const char *status, const char *detail, struct err *err)
{
	int n = db_run(db, err,
		       "UPDATE runs SET status = ?, detail = ?, ended = ?, owner_pid = 0, owner_start = 0 WHERE id = ?",
		       "ssis", status, detail ? detail : "", clock_wall(), id);
	return one_run(n, id, err);
}

int store_run_adopt(struct db *db, const char *id, struct err *err)
{
	int n = db_run(db, err,
		       "UPDATE runs SET status = 'running', detail = '', ended = NULL, owner_pid = ?, owner_start = ? "
		       "WHERE id = ?",
		       "iis", (int64_t)getpid(), owner_start(getpid()), id);
	return one_run(n, id, err);
}

int store_run_machine(struct db *db, const char *id, const char *machine, const char *boot, struct err *err)
{
	return one_run(db_run(db, err, "UPDATE runs SET machine = ?, boot = ? WHERE id = ?", "sss", machine, boot, id),
		       id, err);
}

/* ---- finding ---- */

struct found {
	struct run *run;
	int n;
	char names[256]; /* of the candidates, for the message */
};

static int take_run(sqlite3_stmt *st, void *ctx)
{
	struct found *f = ctx;
	size_t len = strlen(f->names);
	(void)snprintf(f->names + len, sizeof(f->names) - len, "%s%s", f->n > 0 ? ", " : "", db_text(st, 0));
	if (f->n++ == 0)
		run_of_row(st, f->run);
	return 0;
}

static int find_by_prefix(struct db *db, const char *id, struct run *run, struct err *err)
{
	struct found f = {.run = run};
	int64_t len = (int64_t)strlen(id);
	if (len == 0)
		return 0;
	if (db_query(db, err, take_run, &f,
		     "SELECT " RUN_COLUMNS " FROM runs WHERE substr(id, 1, ?1) = ?2 ORDER BY id LIMIT 8", "is", len,
		     id) < 0)
		return -1;
	if (f.n > 1)
		return err_set(err, ERR_USER, 0, "run %s: which one? %s%s", id, f.names, f.n == 8 ? ", …" : "");
	return f.n;
}

int store_run_find(struct db *db, const char *id, struct run *run, struct err *err)
{
	struct found f = {.run = run};
	if (db_query(db, err, take_run, &f, "SELECT " RUN_COLUMNS " FROM runs WHERE id = ?", "s", id) < 0)
		return -1;
	if (f.n == 1)
		return 1;
	if (strcmp(id, "last") == 0)
		return db_query(db, err, take_run, &f,
				"SELECT " RUN_COLUMNS " FROM runs ORDER BY started DESC, rowid DESC LIMIT 1", NULL);
	return find_by_prefix(db, id, run, err);
}

static int take_text(sqlite3_stmt *st, void *ctx)
{
	buf_adds(ctx, db_text(st, 0));
	return 0;
}

int store_run_recipe(struct db *db, const char *id, struct buf *out, struct err *err)
{
	return one_run(db_query(db, err, take_text, out, "SELECT recipe FROM runs WHERE id = ?", "s", id), id, err);
}

struct run_list {
	struct run *runs;
	size_t n, cap;
};

static int list_run(sqlite3_stmt *st, void *ctx)
{
	struct run_list *l = ctx;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->runs = xrealloc(l->runs, l->cap, sizeof(*l->runs));
	}
	run_of_row(st, &l->runs[l->n++]);
	return 0;
}

int store_run_each(struct db *db, int limit, int (*fn)(const struct run *r, void *ctx), void *ctx, struct err *err)
{
	struct run_list l = {0};
	int calls = 0;
	int rc = db_query(db, err, list_run, &l,
			  "SELECT " RUN_COLUMNS " FROM runs ORDER BY started DESC, rowid DESC LIMIT ?", "i",
			  limit > 0 ? (int64_t)limit : (int64_t)-1);
	for (size_t i = 0; rc >= 0 && i < l.n; i++) {
		calls++;
		if (fn(&l.runs[i], ctx) != 0)
			break;
	}
	free(l.runs);
	return rc < 0 ? -1 : calls;
}

/* ---- moving with the journal ---- */

int store_begin(struct db *db, struct err *err)
{
	return db_begin(db, false, err);
}

void store_abort(struct db *db)
{
	db_rollback(db);
}

int store_commit(struct db *db, const char *run, uint64_t received, struct err *err)
{
	int n = db_run(db, err, "UPDATE runs SET received = ?1 WHERE id = ?2 AND received < ?1", "is",
		       (int64_t)received, run);
	if (n == 1)
		return db_commit(db, err);
	db_rollback(db);
	if (n < 0)
		return err_ctx(err, "run %s", run);
	return err_set(err, ERR_BOX, 0,
		       "run %s: byte %llu of its journal is stored already: another stepbox follows it", run,
		       (unsigned long long)received);
}

int store_walker_put(struct db *db, const char *run, const char *state, struct err *err)
{
	return one_run(db_run(db, err, "UPDATE runs SET walker = ? WHERE id = ?", "ss", state, run), run, err);
}

int store_walker_get(struct db *db, const char *run, struct buf *out, struct err *err)
{
	return one_run(db_query(db, err, take_text, out, "SELECT walker FROM runs WHERE id = ?", "s", run), run, err);
}
