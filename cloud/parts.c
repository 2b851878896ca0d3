/* SPDX-License-Identifier: MIT */
#include "cloud/parts.h"

#include <stdio.h>
#include <string.h>

/* Who ends a box looks once at what it has: nothing may come to it after that. */
#define LIVING "name = ? AND state NOT IN ('deleting', 'gone')"

/* Ends the transaction around one statement that must have changed a row. */
static int commit(struct db *db, int changed, const struct part *part, struct err *err)
{
	if (changed == 1)
		return db_commit(db, err);
	db_rollback(db);
	return changed < 0 ? -1 : err_set(err, ERR_BUG, 0, "%s %s is in no state for that", part->kind, part->name);
}

int part_want(struct db *db, const char *kind, const char *name, const struct box *box, struct part *part,
	      struct err *err)
{
	*part = (struct part){.asked = clock_wall()};
	(void)snprintf(part->kind, sizeof(part->kind), "%s", kind);
	(void)snprintf(part->name, sizeof(part->name), "%s", name);
	(void)snprintf(part->cloud, sizeof(part->cloud), "%s", box->cloud);
	(void)snprintf(part->account, sizeof(part->account), "%s", box->account);
	(void)snprintf(part->state, sizeof(part->state), "wanted");
	if (db_begin(db, true, err) < 0)
		return -1;
	int changed =
		db_run(db, err,
		       "INSERT INTO parts (kind, name, cloud, account, state, asked) VALUES (?, ?, ?, ?, 'wanted', ?)",
		       "ssssi", kind, name, box->cloud, box->account, part->asked);
	if (changed == 1) {
		part->n = db_last_rowid(db);
		changed = db_run(db, err, "INSERT INTO part_uses (part, box) SELECT ?, name FROM boxes WHERE " LIVING,
				 "is", part->n, box->name);
	}
	if (changed == 0) {
		db_rollback(db);
		return err_set(err, ERR_BOX, 0, "box %s is being ended by somebody else", box->name);
	}
	return commit(db, changed, part, err);
}

int part_asked(struct db *db, struct part *part, struct err *err)
{
	part->asked = clock_wall();
	if (db_begin(db, true, err) < 0)
		return -1;
	int changed = db_run(db, err, "UPDATE parts SET asked = ? WHERE n = ?", "ii", part->asked, part->n);
	return commit(db, changed, part, err);
}

int part_created(struct db *db, struct part *part, const char *id, struct err *err)
{
	if (db_begin(db, true, err) < 0)
		return -1;
	int changed = db_run(db, err,
			     "UPDATE parts SET id = ?, state = CASE state WHEN 'wanted' THEN 'created' ELSE state END"
			     " WHERE n = ? AND state <> 'gone'",
			     "si", id, part->n);
	(void)snprintf(part->id, sizeof(part->id), "%s", id);
	(void)snprintf(part->state, sizeof(part->state), "created");
	return commit(db, changed, part, err);
}

int part_use(struct db *db, const struct part *part, const char *box, struct err *err)
{
	if (db_begin(db, true, err) < 0)
		return -1;
	int changed = db_run(db, err,
			     "INSERT OR IGNORE INTO part_uses (part, box) SELECT n, ?1 FROM parts WHERE n = ?2 AND"
			     " state = 'created' AND EXISTS (SELECT 1 FROM boxes WHERE name = ?1 AND state NOT IN"
			     " ('deleting', 'gone'))",
			     "si", box, part->n);
	if (changed != 1) {
		db_rollback(db);
		return changed;
	}
	return db_commit(db, err) < 0 ? -1 : 1;
}

struct reading {
	struct part *out;
	int n;
};

#define COPY(field, col) (void)snprintf((field), sizeof(field), "%s", db_text(st, (col)))

static int read_row(sqlite3_stmt *st, void *ctx)
{
	struct reading *r = ctx;
	struct part *p = &r->out[r->n++];
	*p = (struct part){.n = sqlite3_column_int64(st, 0), .asked = sqlite3_column_int64(st, 7)};
	COPY(p->kind, 1);
	COPY(p->name, 2);
	COPY(p->cloud, 3);
	COPY(p->account, 4);
	COPY(p->state, 5);
	COPY(p->id, 6);
	return r->n == PARTS_MAX;
}

int parts_of(struct db *db, const char *box, const char *kind, struct part out[PARTS_MAX], struct err *err)
{
	struct reading r = {.out = out};
	if (db_query(db, err, read_row, &r,
		     "SELECT n, kind, name, cloud, account, state, id, asked FROM parts JOIN part_uses ON part = n"
		     " WHERE box = ?1 AND state <> 'gone' AND (?2 = '' OR kind = ?2) ORDER BY n",
		     "ss", box, kind ? kind : "") < 0)
		return -1;
	return r.n;
}

int part_release(struct db *db, const struct part *part, const char *box, struct err *err)
{
	if (db_begin(db, true, err) < 0)
		return -1;
	/* The use of the last one stays: should we be killed now, it still leads gc here. */
	int ours = db_run(db, err,
			  "UPDATE parts SET state = 'deleting' WHERE n = ?1 AND state <> 'gone'"
			  " AND NOT EXISTS (SELECT 1 FROM part_uses WHERE part = ?1 AND box <> ?2)",
			  "is", part->n, box);
	int left =
		ours == 0 ? db_run(db, err, "DELETE FROM part_uses WHERE part = ? AND box = ?", "is", part->n, box) : 0;
	if (ours < 0 || left < 0) {
		db_rollback(db);
		return -1;
	}
	return db_commit(db, err) < 0 ? -1 : ours;
}

int part_gone(struct db *db, const struct part *part, struct err *err)
{
	if (db_begin(db, true, err) < 0)
		return -1;
	int changed = db_run(db, err, "UPDATE parts SET state = 'gone' WHERE n = ?", "i", part->n);
	return commit(db, changed, part, err);
}

static int nothing(sqlite3_stmt *st, void *ctx)
{
	(void)st;
	(void)ctx;
	return 1;
}

int part_known(struct db *db, const char *kind, const char *id, const char *name, struct err *err)
{
	return db_query(db, err, nothing, NULL,
			"SELECT 1 FROM parts JOIN part_uses ON part = n JOIN boxes ON boxes.name = box"
			" WHERE kind = ?1 AND parts.state <> 'gone' AND boxes.state <> 'gone'"
			" AND (parts.id = ?2 OR (parts.id = '' AND parts.name = ?3))",
			"sss", kind, id, name);
}
