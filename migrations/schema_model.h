/* SPDX-License-Identifier: MIT */
/* What a schema consists of: filled by the reader of an engine (schema_sqlite.c), compared by schema_diff.c. All
 * strings live in the schema's own memory; none is NULL unless it says so. */
#ifndef STEPBOX_MIGRATIONS_SCHEMA_MODEL_H
#define STEPBOX_MIGRATIONS_SCHEMA_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "migrations/schema.h"

#define SCHEMA_MAX_OBJECTS 5000
#define SCHEMA_MAX_COLUMNS 2000 /* of one table */

struct column {
	const char *name;
	const char *type;      /* as declared; "" for none */
	const char *dflt;      /* expression, or NULL */
	const char *collation; /* "" for the engine's default */
	const char *generated; /* "(a + b) STORED", or "" */
	bool not_null;
	bool autoincrement;
};

struct index {
	const char *name;  /* "" for a unique constraint */
	const char *parts; /* "a, b DESC" */
	const char *where; /* "" for none */
	bool unique;
};

struct foreign_key {
	const char *from;   /* "a, b" */
	const char *parent; /* table */
	const char *to;     /* "x, y"; "" until resolved, or when the parent is not there */
	const char *rest;   /* " ON DELETE CASCADE", or "" */
};

struct table {
	const char *name;
	const char *options; /* "WITHOUT ROWID, STRICT", or "" */
	const char *pk;      /* "a, b", or "" */
	struct column *columns;
	struct index *indexes; /* unique constraints too */
	struct foreign_key *fks;
	const char **checks; /* each in normal form */
	const char **extras; /* whatever else has a meaning: "a: on conflict replace" */
	size_t n_columns, n_indexes, n_fks, n_checks, n_extras;
};

/* Views, triggers, and what the model does not know: compared by normalised text. */
struct object {
	const char *kind; /* "view", "trigger", "virtual table", "index", … */
	const char *name;
	const char *table; /* a trigger's or index's; "" for what belongs to none */
	const char *text;
	bool modelled; /* false: differences are shown as such */
};

struct schema {
	struct table *tables; /* sorted by name */
	struct object *objects;
	size_t n_tables, n_objects;
	struct schema_block *blocks; /* memory of the strings */
};

struct schema *schema_new(void);
/* A copy of n bytes, or of a text, in the schema's memory. */
const char *schema_keep(struct schema *s, const char *text, size_t n);
const char *schema_str(struct schema *s, const char *text);
/* Sorts what has no order of its own, so that equal schemas are equal field by field. */
void schema_sort(struct schema *s);

/* Room for one more in an array of n that is only grown by this: doubles at powers of two. */
void *schema_room(void *items, size_t n, size_t size);
#define SCHEMA_ADD(items, n) (((items) = schema_room((items), (n), sizeof(*(items)))), &(items)[(n)++])

/* The reader of SQLite dumps. 0/-1 (ERR_STEP). */
int schema_read_sqlite(struct schema *s, const char *dump, size_t len, struct err *err) MUST_USE;

#endif
