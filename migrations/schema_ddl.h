/* SPDX-License-Identifier: MIT */
/* SQLite's CREATE TABLE and CREATE INDEX, read from their text: what SQLite's pragmas would tell, and what they do not.
 *
 * Every token has to be understood, by the grammar of SQLite (parse.y) as far as names, types and clauses go;
 * expressions are kept as text. Where one is not, nothing is read: schema_sqlite.c then asks SQLite itself, and the
 * table is marked with the place. tests/unit/test_schema_ddl.c compares both ways. */
#ifndef STEPBOX_MIGRATIONS_SCHEMA_DDL_H
#define STEPBOX_MIGRATIONS_SCHEMA_DDL_H

#include "migrations/schema_lex.h"
#include "migrations/schema_model.h"

enum { DDL_MAX_KEYS = 500, DDL_MAX_CHECKS = 4000 }; /* of one table; keys: unique, foreign */

/* Reads a table into *t (zeroed, its arrays to be freed by schema_free() or ddl_clear_table()). text: scratch. false:
 * *why is the place that is not understood. */
bool ddl_read_table(struct schema *s, const struct sql_statement *st, struct table *t, struct buf *text,
		    const char **why);
/* Adds an index to its table. */
bool ddl_read_index(struct schema *s, const struct sql_statement *st, struct table *t, struct buf *text,
		    const char **why);
void ddl_clear_table(struct table *t);

#endif
