/* SPDX-License-Identifier: MIT */
/* The structure read from a dump: tables, columns, indexes, keys, views, triggers; and the difference of two in words.
 * A SQLite dump is read by SQLite itself, in memory, under an authorizer that lets it do nothing but create, with
 * limits on size and work; of a server the description of its catalogue is read. All of it is hostile text. */
#ifndef STEPBOX_MIGRATIONS_SCHEMA_H
#define STEPBOX_MIGRATIONS_SCHEMA_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

struct schema; /* migrations/schema_model.h tells what is in it */

/* What a box printed about a database. */
struct schema_text {
	const char *dump; /* of the engine's own tool, without noise */
	size_t dump_len;
	const char *model; /* description of the catalogue; NULL or empty for an engine that needs none (SQLite) */
	size_t model_len;
};
/* engine: "sqlite", "mariadb" (MySQL too) or "postgresql". ERR_STEP when it cannot be read (the text diff still
 * works). */
struct schema *schema_read(const char *engine, const struct schema_text *text, struct err *err);
void schema_free(struct schema *s);
void schema_freep(struct schema **s);

/* Appends one line per difference, sorted by table: "+ table x (12 columns)", "+ column locked_by varchar(255) null"
 * with the table in front: "instances: + column locked_by VARCHAR(255) NULL"; nothing when equal. Returns their number.
 */
size_t schema_diff(const struct schema *a, const struct schema *b, struct buf *lines);
/* The same in a few words for one line of the screen: "+2 columns instances", "+ table x, - index y", "no change";
 * at most max bytes. */
void schema_brief(const struct schema *a, const struct schema *b, size_t max, struct buf *out);
/* The part of a dump that belongs to one table: its statements as they stand. 0 when there is no such table. */
size_t schema_table_text(const char *dump, size_t len, const char *engine, const char *table, struct buf *out);

#endif
