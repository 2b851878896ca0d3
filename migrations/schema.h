/* SPDX-License-Identifier: MIT */
/* The structure read from a dump: tables, columns, indexes, keys, views, triggers (schema_diff.h compares two).
 * A SQLite dump says it all; of a server the description of its catalogue is read, and held against the dump. All of it
 * is hostile text: size, work and time are limited, nothing in it is run. */
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
	const char *model; /* what its catalogue says (migrations/schema_catalog.h); none for SQLite */
	size_t model_len;
};
/* engine: "sqlite", "mariadb" (MySQL too) or "postgresql". ERR_STEP when it cannot be read (the text diff still
 * works). */
struct schema *schema_read(const char *engine, const struct schema_text *text, struct err *err);
void schema_free(struct schema *s);
void schema_freep(struct schema **s);

/* The part of a dump that belongs to one table: its statements as they stand. 0 when there is no such table. */
size_t schema_table_text(const char *dump, size_t len, const char *engine, const char *table, struct buf *out);

#endif
