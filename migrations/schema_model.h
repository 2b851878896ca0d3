/* SPDX-License-Identifier: MIT */
/* What a schema consists of: filled by the reader of an engine (schema_sqlite.c, schema_catalog.c), compared by
 * schema_diff.c. All strings live in the schema's own memory; none is NULL unless it says so, and "" is none.
 *
 * Texts are as the engine spells them (types, defaults, expressions): two schemas of one engine can be compared field
 * by field; those of two engines need schema_diff.c's canonical forms. Lists of columns are names joined by ", ". */
#ifndef STEPBOX_MIGRATIONS_SCHEMA_MODEL_H
#define STEPBOX_MIGRATIONS_SCHEMA_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "migrations/schema.h"

#define SCHEMA_MAX_OBJECTS 50000
#define SCHEMA_MAX_COLUMNS 2000 /* of one table */

struct column {
	const char *name;
	const char *type;      /* as the catalogue spells it: "VARCHAR(64)", "int(11)", "character varying(64)" */
	const char *labels;    /* of an enumeration (its own or a named one): "'a','b'" */
	const char *dflt;      /* expression, or NULL */
	const char *collation; /* "" for the default: of the engine, on MariaDB of the table */
	const char *generated; /* "(a + b) STORED" */
	const char *on_update; /* "current_timestamp()" (MariaDB) */
	const char *comment;
	const char *identity; /* PostgreSQL: "ALWAYS", "BY DEFAULT"; "serial": dflt is the next of a sequence it owns */
	const char *options;  /* what else is set: "INVISIBLE", "STORAGE EXTERNAL" */
	bool not_null;
	bool autoincrement; /* AUTOINCREMENT, AUTO_INCREMENT, and where identity is not "" */
};

struct index {
	const char *name;    /* "" for a unique constraint without one */
	const char *parts;   /* "a, b DESC, c(10), lower(d) COLLATE NOCASE" */
	const char *where;   /* predicate */
	const char *method;  /* "" for a plain B-tree; "hash", "gin", "FULLTEXT" … */
	const char *include; /* further columns it carries */
	const char *comment;
	const char *options; /* "NULLS NOT DISTINCT", "WITH (fillfactor=70)", "DEFERRABLE" … */
	bool unique;
	bool constraint; /* it is a UNIQUE constraint (on MariaDB no difference is made: false) */
	bool automatic;  /* the engine chose the name */
};

/* Actions are "CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT" (MariaDB says so where nothing was said), "" for
 * NO ACTION. */
struct foreign_key {
	const char *name;   /* of the constraint */
	const char *from;   /* "a, b" */
	const char *parent; /* table */
	const char *to;     /* "x, y"; "" until resolved, or when the parent is not there */
	const char *on_update, *on_delete;
	const char *match;      /* "" for SIMPLE; "FULL" */
	const char *deferrable; /* "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"; also "NOT VALID" */
	bool automatic;         /* the engine chose the name */
};

struct check {
	const char *name;
	const char *expr; /* in normal form, without brackets around the whole */
	bool automatic;   /* the engine chose the name */
};

struct table {
	const char *name;    /* PostgreSQL: with its schema when that is not "public" */
	const char *kind;    /* "table", "partitioned table", "partition", "foreign table", "unlogged table" … */
	const char *options; /* "WITHOUT ROWID, STRICT"; "fillfactor=70"; "INHERITS (a)" */
	const char *engine;  /* "InnoDB" (MariaDB) */
	const char *charset, *collation; /* MariaDB */
	const char *row_format;          /* MariaDB: as it was asked for */
	const char *comment;
	const char *partition;   /* "RANGE (a)" and the partitions, as text */
	const char *pk;          /* "a, b DESC" */
	const char *pk_name;     /* of the constraint (none on MariaDB) */
	const char *text;        /* its statements in the dump, normalised, one a line */
	const char *unmodelled;  /* NULL, or what of it (a few words) the model does not express */
	struct column *columns;  /* in their order */
	struct index *indexes;   /* unique constraints too */
	struct foreign_key *fks; /* sorted by what they say, not by name */
	struct check *checks;    /* sorted by expr */
	const char **extras;     /* whatever else has a meaning: "a: on conflict replace" */
	size_t n_columns, n_indexes, n_fks, n_checks, n_extras;
};

/* Views, triggers, functions, sequences, types …, and what the model does not know: compared by normalised text. */
struct object {
	const char *kind; /* "view", "materialised view", "trigger", "function", "sequence", "enum type", "index", … */
	const char *name;    /* a function's with its arguments: "f(integer)" */
	const char *table;   /* a trigger's or index's, the owner of a sequence; "" for what belongs to none */
	const char *text;    /* normalised */
	const char *columns; /* of a view: "a integer, b text"; "" where not known */
	bool modelled;       /* false: differences are shown as such */
	bool automatic;      /* made with its table (the sequence of a serial column), and not changed since */
};

struct schema {
	const char *engine;   /* "sqlite", "mariadb" or "postgresql": not owned */
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
/* The same, but SQLite is asked about every table: what the reading of texts is tested against. Sorted. */
int schema_ask_sqlite(struct schema *s, const char *dump, size_t len, struct err *err) MUST_USE;

#endif
