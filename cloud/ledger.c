/* SPDX-License-Identifier: MIT */
/* Every change is one transaction that is on the disk (synchronous=FULL) when the function returns: what the row
 * stands for may cost money, and gc can only end what it finds here. */
#include "cloud/ledger.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/owner.h"
#include "base/text.h"

static const char *const state_names[] = {
	[BOX_WANTED] = "wanted",     [BOX_CREATED] = "created", [BOX_ACTIVE] = "active",
	[BOX_DELETING] = "deleting", [BOX_GONE] = "gone",
};
static_assert(ARRAY_SIZE(state_names) == BOX_STATE_COUNT_, "a name for each state");

/* From which states one may be reached. Gone comes only out of deleting: somebody must have made sure. */
static const char *const state_from[] = {
	[BOX_WANTED] = " gone ",        [BOX_CREATED] = " wanted ",
	[BOX_ACTIVE] = " created ",     [BOX_DELETING] = " wanted created active deleting ",
	[BOX_GONE] = " deleting gone ",
};
static_assert(ARRAY_SIZE(state_from) == BOX_STATE_COUNT_, "a rule for each state");

const char *box_state_name(enum box_state s)
{
	assert(s < BOX_STATE_COUNT_);
	return state_names[s];
}

/* ---- writing ---- */

/* Ends the transaction around one statement that must have changed one row. */
static int commit(struct db *db, int changed, const char *name, const char *why_not, struct err *err)
{
	if (changed == 1)
		return db_commit(db, err);
	db_rollback(db);
	if (changed == 0)
		err_set(err, ERR_USER, 0, "box %s %s", name, why_not);
	return -1;
}

int ledger_want(struct db *db, const struct box *box, struct err *err)
{
	if (db_begin(db, true, err) < 0)
		return -1;
	/* The name of a box that is gone may be used again. */
	int changed = db_run(
		db, err,
		"INSERT INTO boxes (name, run, cloud, image, state, user, host_key, key_path, created, expires, "
		"owner_pid,"
		" owner_start, account) VALUES (?1, ?2, ?3, ?4, 'wanted', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
		" ON CONFLICT (name) DO UPDATE SET run = ?2, cloud = ?3, image = ?4, state = 'wanted', id = '',"
		" address = '', port = 0, user = ?5, host_key = ?6, key_path = ?7, created = ?8, expires = ?9,"
		" ended = NULL, kept = 0, owner_pid = ?10, owner_start = ?11, account = ?12, asked = 0"
		" WHERE state = 'gone'",
		"sssssssiiiis", box->name, box->run, box->cloud, box->image, box->user, box->host_key, box->key_path,
		box->created, box->expires, (int64_t)getpid(), owner_start(getpid()), box->account);
	return commit(db, changed, box->name, "exists already", err);
}

static int set_asked(struct db *db, const char *name, int64_t when, struct err *err)
{
	if (db_begin(db, true, err) < 0)
		return -1;
	int changed =
		db_run(db, err, "UPDATE boxes SET asked = ? WHERE name = ? AND state = 'wanted'", "is", when, name);
	return commit(db, changed, name, "is not one that is about to be asked for", err);
}

int ledger_asked(struct db *db, const char *name, struct err *err)
{
	return set_asked(db, name, clock_wall(), err);
}

int ledger_refused(struct db *db, const char *name, struct err *err)
{
	return set_asked(db, name, 0, err);
}

int ledger_created(struct db *db, const char *name, const char *id, struct err *err)
{
	if (db_begin(db, true, err) < 0)
		return -1;
	int changed = db_run(
		db, err, "UPDATE boxes SET state = 'created', id = ? WHERE name = ? AND instr(?, ' ' || state || ' ')",
		"sss", id, name, state_from[BOX_CREATED]);
	return commit(db, changed, name, "is not one that was just asked for", err);
}

int ledger_active(struct db *db, const char *name, const char *address, int port, struct err *err)
{
	if (db_begin(db, true, err) < 0)
		return -1;
	int changed = db_run(db, err,
			     "UPDATE boxes SET state = 'active', address = ?, port = ?"
			     " WHERE name = ? AND instr(?, ' ' || state || ' ')",
			     "siss", address, (int64_t)port, name, state_from[BOX_ACTIVE]);
	return commit(db, changed, name, "is not one that was just created", err);
}

int ledger_state(struct db *db, const char *name, enum box_state state, struct err *err)
{
	assert(state < BOX_STATE_COUNT_);
	if (db_begin(db, true, err) < 0)
		return -1;
	int changed = db_run(db, err,
			     "UPDATE boxes SET state = ?1, ended = CASE WHEN ?1 = 'gone' THEN ifnull(ended, ?2) END"
			     " WHERE name = ?3 AND instr(?4, ' ' || state || ' ')",
			     "siss", state_names[state], clock_wall(), name, state_from[state]);
	return commit(db, changed, name, "is in no state for that", err);
}

int ledger_expires(struct db *db, const char *name, int64_t expires, struct err *err)
{
	if (db_begin(db, true, err) < 0)
		return -1;
	int changed = db_run(db, err, "UPDATE boxes SET expires = ? WHERE name = ?", "is", expires, name);
	return commit(db, changed, name, "is not in the ledger", err);
}

int ledger_release(struct db *db, const char *name, bool kept, struct err *err)
{
	if (db_begin(db, true, err) < 0)
		return -1;
	int changed = db_run(db, err, "UPDATE boxes SET kept = ?, owner_pid = 0, owner_start = 0 WHERE name = ?", "is",
			     (int64_t)kept, name);
	return commit(db, changed, name, "is not in the ledger", err);
}

int ledger_adopt(struct db *db, const char *name, struct err *err)
{
	if (db_begin(db, true, err) < 0)
		return -1;
	/* Not one that somebody is deleting: gc may have claimed it a moment ago. */
	int changed = db_run(db, err,
			     "UPDATE boxes SET owner_pid = ?, owner_start = ?"
			     " WHERE name = ? AND state NOT IN ('deleting', 'gone')",
			     "iis", (int64_t)getpid(), owner_start(getpid()), name);
	return commit(db, changed, name, "is gone", err);
}

int ledger_claim(struct db *db, const struct ledger_row *row, struct err *err)
{
	if (db_begin(db, true, err) < 0)
		return -1;
	int changed = db_run(db, err,
			     "UPDATE boxes SET state = 'deleting', owner_pid = ?, owner_start = ? WHERE name = ?"
			     " AND state = ? AND kept = ? AND expires = ? AND owner_pid = ? AND owner_start = ?",
			     "iissiiii", (int64_t)getpid(), owner_start(getpid()), row->box.name, row->box.state,
			     (int64_t)row->kept, row->box.expires, row->owner_pid, row->owner_start);
	if (changed == 1)
		return db_commit(db, err) < 0 ? -1 : 1;
	db_rollback(db);
	return changed;
}

/* ---- reading ---- */

#define COLUMNS                                                                                                        \
	"name, run, cloud, image, state, id, address, port, user, host_key, key_path, created, expires, kept, "        \
	"owner_pid,"                                                                                                   \
	" owner_start, account, asked"

static void copy_text(char *out, size_t size, sqlite3_stmt *st, int col)
{
	(void)snprintf(out, size, "%s", db_text(st, col));
}
#define COPY_TEXT(field, st, col) copy_text((field), sizeof(field), (st), (col))

static struct ledger_row row_read(sqlite3_stmt *st)
{
	struct ledger_row row = {.kept = sqlite3_column_int(st, 13) != 0};
	struct box *box = &row.box;
	COPY_TEXT(box->name, st, 0);
	COPY_TEXT(box->run, st, 1);
	COPY_TEXT(box->cloud, st, 2);
	COPY_TEXT(box->image, st, 3);
	COPY_TEXT(box->state, st, 4);
	COPY_TEXT(box->id, st, 5);
	COPY_TEXT(box->address, st, 6);
	box->port = sqlite3_column_int(st, 7);
	COPY_TEXT(box->user, st, 8);
	COPY_TEXT(box->host_key, st, 9);
	COPY_TEXT(box->key_path, st, 10);
	box->created = sqlite3_column_int64(st, 11);
	box->expires = sqlite3_column_int64(st, 12);
	row.owner_pid = sqlite3_column_int64(st, 14);
	row.owner_start = sqlite3_column_int64(st, 15);
	COPY_TEXT(box->account, st, 16);
	box->asked = sqlite3_column_int64(st, 17);
	row.owned = owner_alive(row.owner_pid, row.owner_start);
	return row;
}

struct rows {
	struct ledger_row *data;
	size_t count, cap;
};

static void rows_finish(struct rows *rows)
{
	free(rows->data);
}

static int rows_add(sqlite3_stmt *st, void *ctx)
{
	struct rows *rows = ctx;
	if (rows->count == rows->cap) {
		rows->cap = rows->cap ? rows->cap * 2 : 16;
		rows->data = xrealloc(rows->data, rows->cap, sizeof(*rows->data));
	}
	rows->data[rows->count++] = row_read(st);
	return 0;
}

/* Says which boxes a prefix could mean. */
static int ambiguous(const char *name, const struct rows *rows, struct err *err)
{
	AUTO_BUF names = buf_make(512);
	for (size_t i = 0; i < rows->count; i++)
		buf_addf(&names, "%s%s", i ? ", " : "", rows->data[i].box.name);
	return err_set(err, ERR_USER, 0, "box %s: which one? %s%s", name, names.data, names.overflow ? ", …" : "");
}

int ledger_find(struct db *db, const char *name, struct box *box, struct err *err)
{
	CLEANUP(rows_finish) struct rows rows = {0};
	int n = db_query(db, err, rows_add, &rows, "SELECT " COLUMNS " FROM boxes WHERE name = ?", "s", name);
	if (n == 0 && *name)
		n = db_query(db, err, rows_add, &rows,
			     "SELECT " COLUMNS " FROM boxes WHERE substr(name, 1, length(?1)) = ?1 AND state <> 'gone'"
			     " ORDER BY name",
			     "s", name);
	if (n > 1)
		return ambiguous(name, &rows, err);
	if (n == 1)
		*box = rows.data[0].box;
	return n;
}

static int nothing(sqlite3_stmt *st, void *ctx)
{
	(void)st;
	(void)ctx;
	return 0;
}

int ledger_known(struct db *db, const char *name, const char *id, struct err *err)
{
	return db_query(db, err, nothing, NULL,
			"SELECT 1 FROM boxes WHERE name = ?1 AND state <> 'gone' AND (?2 = '' OR id = '' OR id = ?2)",
			"ss", name, id ? id : "");
}

static int copy_store_id(sqlite3_stmt *st, void *ctx)
{
	copy_text(ctx, 32, st, 0);
	return 1;
}

int ledger_store_id(struct db *db, char out[32], struct err *err)
{
	int n = db_query(db, err, copy_store_id, out, "SELECT store FROM identity", "");
	return n == 1 ? 0 : n < 0 ? -1 : err_set(err, ERR_BUG, 0, "the store has no identity");
}

struct cloud_names {
	char (*out)[BOX_NAME_MAX];
	int n, max;
};

static int add_cloud(sqlite3_stmt *st, void *ctx)
{
	struct cloud_names *names = ctx;
	if (names->n == names->max)
		return 1;
	copy_text(names->out[names->n++], BOX_NAME_MAX, st, 0);
	return 0;
}

int ledger_clouds(struct db *db, char out[][BOX_NAME_MAX], int max, struct err *err)
{
	struct cloud_names names = {.out = out, .max = max};
	if (db_query(db, err, add_cloud, &names,
		     "SELECT DISTINCT cloud FROM boxes WHERE state <> 'gone' OR ended > ? ORDER BY cloud", "i",
		     clock_wall() - (int64_t)7 * 24 * 3600) < 0)
		return -1;
	return names.n;
}

int ledger_each(struct db *db, bool all, int (*fn)(const struct ledger_row *row, void *ctx), void *ctx, struct err *err)
{
	CLEANUP(rows_finish) struct rows rows = {0};
	/* Collected first: the lock is not held while fn works. */
	if (db_query(db, err, rows_add, &rows,
		     "SELECT " COLUMNS " FROM boxes WHERE ? OR state <> 'gone' ORDER BY created, rowid", "i",
		     (int64_t)all) < 0)
		return -1;
	for (size_t i = 0; i < rows.count; i++)
		if (fn(&rows.data[i], ctx) != 0)
			break;
	return (int)rows.count;
}
