/* SPDX-License-Identifier: MIT */
/* Tasks, steps and what they printed. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "migrations/store.h"

static const char *const outcome_names[] = {
	[OUTCOME_RUNNING] = "running",           [OUTCOME_BASE] = "base",
	[OUTCOME_APPLIED] = "applied",           [OUTCOME_APPLIED_EMPTY] = "applied-empty",
	[OUTCOME_SILENT_NOOP] = "silent-noop",   [OUTCOME_WRONG_TARGET] = "wrong-target",
	[OUTCOME_FAILED_CLEAN] = "failed-clean", [OUTCOME_FAILED_PARTIAL] = "failed-partial",
	[OUTCOME_REFUSED] = "refused",           [OUTCOME_TIMEOUT] = "timeout",
	[OUTCOME_ENV_FAILED] = "env-failed",     [OUTCOME_LOST] = "lost",
};
_Static_assert(ARRAY_SIZE(outcome_names) == OUTCOME_COUNT_, "a name for every outcome");

const char *outcome_name(enum outcome o)
{
	return o < OUTCOME_COUNT_ ? outcome_names[o] : outcome_names[OUTCOME_RUNNING];
}

enum outcome outcome_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(outcome_names); i++)
		if (strcmp(outcome_names[i], name) == 0)
			return (enum outcome)i;
	return OUTCOME_RUNNING;
}

bool outcome_is_good(enum outcome o)
{
	return o == OUTCOME_BASE || o == OUTCOME_APPLIED || o == OUTCOME_APPLIED_EMPTY;
}

/* ---- tasks ---- */

int store_task(struct db *db, const char *run, int64_t n, const char *kind, const char *title, struct err *err)
{
	return db_run(db, err, "INSERT INTO tasks (run, n, kind, title) VALUES (?, ?, ?, ?)", "siss", run, n, kind,
		      title) < 0
		       ? -1
		       : 0;
}

int store_task_end(struct db *db, const char *run, int64_t n, int64_t rc, const char *why, int64_t ms, struct err *err)
{
	int changed = db_run(db, err, "UPDATE tasks SET rc = ?, why = ?, ms = ? WHERE run = ? AND n = ?", "isisi", rc,
			     why, ms, run, n);
	if (changed == 0)
		return err_set(err, ERR_BUG, 0, "run %s: no task %lld", run, (long long)n);
	return changed < 0 ? -1 : 0;
}

struct task_list {
	struct task_row *rows;
	size_t n, cap;
};

static int64_t int_or_none(sqlite3_stmt *st, int col)
{
	return sqlite3_column_type(st, col) == SQLITE_NULL ? -1 : sqlite3_column_int64(st, col);
}

static int list_task(sqlite3_stmt *st, void *ctx)
{
	struct task_list *l = ctx;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->rows = xrealloc(l->rows, l->cap, sizeof(*l->rows));
	}
	l->rows[l->n++] = (struct task_row){
		.n = sqlite3_column_int64(st, 0),
		.kind = xstrdup(db_text(st, 1)),
		.title = xstrdup(db_text(st, 2)),
		.rc = int_or_none(st, 3),
		.why = xstrdup(db_text(st, 4)),
		.ms = int_or_none(st, 5),
	};
	return 0;
}

static void task_list_finish(struct task_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		mem_freep(&l->rows[i].kind);
		mem_freep(&l->rows[i].title);
		mem_freep(&l->rows[i].why);
	}
	free(l->rows);
}

int store_task_each(struct db *db, const char *run, int (*fn)(const struct task_row *t, void *ctx), void *ctx,
		    struct err *err)
{
	CLEANUP(task_list_finish) struct task_list l = {0};
	int calls = 0;
	if (db_query(db, err, list_task, &l, "SELECT n, kind, title, rc, why, ms FROM tasks WHERE run = ? ORDER BY n",
		     "s", run) < 0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		calls++;
		if (fn(&l.rows[i], ctx) != 0)
			break;
	}
	return calls;
}

/* ---- outputs ---- */

int store_output(struct db *db, const char *run, char kind, int64_t n, const void *data, size_t len, struct err *err)
{
	char k[2] = {kind, '\0'};
	if (len == 0)
		return 0;
	return db_run(db, err,
		      "INSERT INTO output (run, kind, n, seq, data) SELECT ?1, ?2, ?3, coalesce(max(seq) + 1, 0), ?4 "
		      "FROM "
		      "output WHERE run = ?1 AND kind = ?2 AND n = ?3",
		      "ssib", run, k, n, data, len) < 0
		       ? -1
		       : 0;
}

struct tail {
	struct buf *out;
	int64_t skip; /* bytes still to be left out */
};

static int add_tail(sqlite3_stmt *st, void *ctx)
{
	struct tail *t = ctx;
	const char *data = sqlite3_column_blob(st, 0);
	int64_t len = sqlite3_column_bytes(st, 0);
	int64_t skip = t->skip < len ? t->skip : len;
	t->skip -= skip;
	if (skip < len)
		buf_add(t->out, data + skip, (size_t)(len - skip));
	return 0;
}

static int take_int(sqlite3_stmt *st, void *ctx)
{
	*(int64_t *)ctx = sqlite3_column_int64(st, 0);
	return 0;
}

/* The last piece of which something is wanted is found by the sum alone, so a long output is not read in vain. */
int store_output_read(struct db *db, const char *run, char kind, int64_t n, size_t max, struct buf *out,
		      struct err *err)
{
	char k[2] = {kind, '\0'};
	int64_t total = 0;
	size_t room = out->max - out->len;
	if (max == 0 || max > room)
		max = room;
	if (db_query(db, err, take_int, &total,
		     "SELECT sum(length(data)) FROM output WHERE run = ? AND kind = ? AND n = ?", "ssi", run, k, n) < 0)
		return -1;
	struct tail t = {.out = out, .skip = total > (int64_t)max ? total - (int64_t)max : 0};
	return db_query(db, err, add_tail, &t,
			"SELECT data FROM output WHERE run = ? AND kind = ? AND n = ? ORDER BY seq", "ssi", run, k,
			n) < 0
		       ? -1
		       : 0;
}

/* ---- the files of versions ---- */

int store_file_put(struct db *db, const char *run, const struct migration_file *f, struct err *err)
{
	return db_run(db, err, "INSERT OR REPLACE INTO migration_files (run, version, path, blob) VALUES (?, ?, ?, ?)",
		      "ssss", run, f->version, f->path, f->blob) < 0
		       ? -1
		       : 0;
}

struct file_list {
	struct migration_file *files;
	size_t n, cap;
};

static int list_file(sqlite3_stmt *st, void *ctx)
{
	struct file_list *l = ctx;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->files = xrealloc(l->files, l->cap, sizeof(*l->files));
	}
	l->files[l->n++] = (struct migration_file){
		.version = xstrdup(db_text(st, 0)), .path = xstrdup(db_text(st, 1)), .blob = xstrdup(db_text(st, 2))};
	return 0;
}

static void file_list_finish(struct file_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		mem_freep(&l->files[i].version);
		mem_freep(&l->files[i].path);
		mem_freep(&l->files[i].blob);
	}
	free(l->files);
}

int store_file_each(struct db *db, const char *run, int (*fn)(const struct migration_file *f, void *ctx), void *ctx,
		    struct err *err)
{
	CLEANUP(file_list_finish) struct file_list l = {0};
	int calls = 0;
	if (db_query(db, err, list_file, &l,
		     "SELECT version, path, blob FROM migration_files WHERE run = ? ORDER BY version, path", "s",
		     run) < 0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		calls++;
		if (fn(&l.files[i], ctx) != 0)
			break;
	}
	return calls;
}

/* ---- steps ---- */

#define STEP_COLUMNS                                                                                                   \
	"n, version, direction, outcome, rc, why, ms, dump, versions, counts, changes, model, net_ms, commit_id, "     \
	"leg, "                                                                                                        \
	"findings, work, seeded, trip"

void step_finish(struct step *s)
{
	mem_freep(&s->versions);
	mem_freep(&s->counts);
	mem_freep(&s->changes);
	mem_freep(&s->findings);
	mem_freep(&s->work);
	mem_freep(&s->seeded);
}

static void step_of_row(sqlite3_stmt *st, struct step *s)
{
	memset(s, 0, sizeof(*s));
	s->n = sqlite3_column_int64(st, 0);
	(void)snprintf(s->version, sizeof(s->version), "%s", db_text(st, 1));
	(void)snprintf(s->direction, sizeof(s->direction), "%s", db_text(st, 2));
	s->outcome = outcome_parse(db_text(st, 3));
	s->rc = int_or_none(st, 4);
	(void)snprintf(s->why, sizeof(s->why), "%s", db_text(st, 5));
	s->ms = sqlite3_column_int64(st, 6);
	(void)snprintf(s->dump, sizeof(s->dump), "%s", db_text(st, 7));
	s->versions = xstrdup(db_text(st, 8));
	s->counts = xstrdup(db_text(st, 9));
	s->changes = xstrdup(db_text(st, 10));
	(void)snprintf(s->model, sizeof(s->model), "%s", db_text(st, 11));
	s->net_ms = int_or_none(st, 12);
	(void)snprintf(s->commit, sizeof(s->commit), "%s", db_text(st, 13));
	s->leg = sqlite3_column_int64(st, 14);
	s->findings = xstrdup(db_text(st, 15));
	s->work = xstrdup(db_text(st, 16));
	s->seeded = xstrdup(db_text(st, 17));
	(void)snprintf(s->trip, sizeof(s->trip), "%s", db_text(st, 18));
}

static int take_step(sqlite3_stmt *st, void *ctx)
{
	step_of_row(st, ctx);
	return 1;
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

int store_step_put(struct db *db, const char *run, const struct step *s, struct err *err)
{
	return db_run(db, err,
		      "INSERT INTO steps (run, " STEP_COLUMNS
		      ", target) VALUES (?1, ?2, ?3, ?4, ?5, nullif(?6, -1), ?7, "
		      "?8, nullif(?9, ''), ?10, ?11, ?12, nullif(?13, ''), nullif(?14, -1), ?15, ?16, ?17, ?18, ?19, "
		      "?20, "
		      "CASE WHEN ?4 = 'down' OR ?16 = 3 THEN '' ELSE ?3 END) "
		      "ON CONFLICT (run, n) DO UPDATE SET version = excluded.version, direction = excluded.direction, "
		      "outcome = excluded.outcome, rc = excluded.rc, why = excluded.why, ms = excluded.ms, "
		      "dump = excluded.dump, versions = excluded.versions, counts = excluded.counts, "
		      "changes = excluded.changes, model = excluded.model, net_ms = excluded.net_ms, "
		      "commit_id = excluded.commit_id, leg = excluded.leg, findings = excluded.findings, "
		      "work = excluded.work, seeded = excluded.seeded, trip = excluded.trip",
		      "sisssisissss"
		      "sisissss",
		      run, s->n, s->version, s->direction, outcome_name(s->outcome), s->rc, s->why, s->ms, s->dump,
		      or_empty(s->versions), or_empty(s->counts), or_empty(s->changes), s->model, s->net_ms, s->commit,
		      s->leg, or_empty(s->findings), or_empty(s->work), or_empty(s->seeded), s->trip) < 0
		       ? -1
		       : 0;
}

int store_step_target(struct db *db, const char *run, int64_t n, const char *target, struct err *err)
{
	return db_run(db, err, "UPDATE steps SET target = ? WHERE run = ? AND n = ?", "ssi", target, run, n) < 0 ? -1
														 : 0;
}

int store_step_get(struct db *db, const char *run, int64_t n, struct step *out, struct err *err)
{
	return db_query(db, err, take_step, out, "SELECT " STEP_COLUMNS " FROM steps WHERE run = ? AND n = ?", "si",
			run, n);
}

struct step_list {
	struct step *steps;
	size_t n, cap;
};

static int list_step(sqlite3_stmt *st, void *ctx)
{
	struct step_list *l = ctx;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->steps = xrealloc(l->steps, l->cap, sizeof(*l->steps));
	}
	step_of_row(st, &l->steps[l->n++]);
	return 0;
}

static void step_list_finish(struct step_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		step_finish(&l->steps[i]);
	free(l->steps);
}

int store_step_each(struct db *db, const char *run, int (*fn)(const struct step *s, void *ctx), void *ctx,
		    struct err *err)
{
	CLEANUP(step_list_finish) struct step_list l = {0};
	int calls = 0;
	if (db_query(db, err, list_step, &l, "SELECT " STEP_COLUMNS " FROM steps WHERE run = ? ORDER BY n", "s", run) <
	    0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		calls++;
		if (fn(&l.steps[i], ctx) != 0)
			break;
	}
	return calls;
}

/* "VERSION/down", "VERSION/again": legs of a round trip, which no `target` tells. */
static int find_leg(struct db *db, const char *run, const char *spec, struct step *out, struct err *err)
{
	const char *slash = strrchr(spec, '/');
	AUTO_FREE char *version = xstrndup(spec, (size_t)(slash - spec));
	return db_query(
		db, err, take_step, out,
		"SELECT " STEP_COLUMNS " FROM steps WHERE run = ?1 AND leg = ?2 AND (version = ?3 OR version = "
		"(SELECT min(version) FROM steps WHERE run = ?1 AND leg = ?2 AND substr(version, 1, length(?3)) "
		"= ?3 AND substr(version, length(?3) + 1, 1) NOT GLOB '[0-9]' "
		"HAVING count(DISTINCT version) = 1)) ORDER BY version = ?3 DESC, n DESC LIMIT 1",
		"sis", run, (int64_t)(strcmp(slash, "/down") == 0 ? 2 : 3), version);
}

int store_step_by_spec(struct db *db, const char *spec, struct run *run, struct step *out, struct err *err)
{
	const char *colon = strchr(spec, ':');
	AUTO_FREE char *id = colon ? xstrndup(spec, (size_t)(colon - spec)) : xstrdup(spec);
	int found = store_run_find(db, id, run, err);
	if (found < 1)
		return found;
	if (!colon)
		return db_query(db, err, take_step, out,
				"SELECT " STEP_COLUMNS
				" FROM steps WHERE run = ? AND dump IS NOT NULL ORDER BY n DESC LIMIT 1",
				"s", run->id);
	const char *version = colon + 1;
	if (text_ends(version, "/down") || text_ends(version, "/again"))
		return find_leg(db, run->id, version, out, err);
	found = db_query(db, err, take_step, out,
			 "SELECT " STEP_COLUMNS " FROM steps WHERE run = ? AND target = ? ORDER BY n DESC LIMIT 1",
			 "ss", run->id, version);
	if (found != 0 || !*version)
		return found;
	/* The only version that begins so, where no number is cut in two: 011 for 011_add_x, as the runner takes it. */
	return db_query(db, err, take_step, out,
			"SELECT " STEP_COLUMNS " FROM steps WHERE run = ?1 AND target = (SELECT min(target) FROM steps "
			"WHERE run = ?1 AND substr(target, 1, length(?2)) = ?2 AND substr(target, length(?2) + 1, 1) "
			"NOT GLOB '[0-9]' "
			"HAVING count(DISTINCT target) = 1) ORDER BY n DESC LIMIT 1",
			"ss", run->id, version);
}
