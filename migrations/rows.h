/* SPDX-License-Identifier: MIT */
/* How many rows a database has, and how many of their values are NULL: the `counts` of a step (provision/journal.h),
 * and what became of the data between two of them. Pure. */
#ifndef STEPBOX_MIGRATIONS_ROWS_H
#define STEPBOX_MIGRATIONS_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "migrations/schema.h"

struct rows;
/* Reads lines "table<TAB>rows[<TAB>token[<TAB>column=nulls…]]", names as they stand there; a line that is none is
 * skipped. */
struct rows *rows_read(const char *counts);
void rows_free(struct rows *r);
void rows_freep(struct rows **r);
/* Whether what the schema calls `name` stands in the lines as `counted`: escaped by who looked, made safe when it was
 * stored. */
bool rows_is_named(const char *name, const char *counted);
/* Rows of a table (its name as it stands in the lines), or -1. */
int64_t rows_of(const struct rows *r, const char *table);
/* Tables with rows in all. */
size_t rows_filled(const struct rows *r, int64_t *rows);

/* One thing that became of data. */
struct rows_change {
	enum rows_what {
		ROWS_LESS,     /* of a table that is there before and after: before, after */
		ROWS_MORE,     /* the same */
		TABLE_DROPPED, /* with rows, and no other table took them over: before */
		VALUES_LESS, /* of a column that is there before and after, beyond what went with rows: before, after */
		COLUMN_DROPPED /* with values, and no other column took them over: before */
	} what;
	const char *table, *column; /* safe to print; column "" for tables */
	int64_t before, after;
};
/* Either schema may be NULL: then nothing is said of columns, and a table is taken for renamed when a new one has as
 * many rows. fn is called by table and column. */
void rows_compare(const struct rows *before, const struct rows *after, const struct schema *schema_before,
		  const struct schema *schema_after, void (*fn)(void *ctx, const struct rows_change *c), void *ctx);

/* One number of two counts that is not the same. */
struct rows_difference {
	const char *table,
		*column; /* as they stand there; column "" where rows are meant, else the number of its NULLs */
	int64_t a, b;
};
/* Calls fn for each table that both have with another number of rows, and, where rows are equal, for each column with
 * another number of NULLs: one that is not listed has none. By table, then column, in byte order. */
void rows_differ(const struct rows *a, const struct rows *b, void (*fn)(void *ctx, const struct rows_difference *d),
		 void *ctx);

/* Tables with rows that were written anew between the two, as their tokens tell; by name. */
void rows_rewritten(const struct rows *before, const struct rows *after, void (*fn)(void *ctx, const char *table),
		    void *ctx);

/* The counts with what was filled in ("table<TAB>rows" lines) added to the rows: for telling apart what a step did
 * itself. */
char *rows_plus(const char *counts, const char *filled);
/* Lines "table<TAB>rows" of what the second has more than the first. */
void rows_gained(const char *before, const char *after, struct buf *lines);

#endif
