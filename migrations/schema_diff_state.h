/* SPDX-License-Identifier: MIT */
/* The inside of schema_changes(): used by schema_diff.c, schema_objects.c and schema_cross.c only. */
#ifndef STEPBOX_MIGRATIONS_SCHEMA_DIFF_STATE_H
#define STEPBOX_MIGRATIONS_SCHEMA_DIFF_STATE_H

#include <string.h>
#include <strings.h>

#include "migrations/schema_canon.h"
#include "migrations/schema_diff.h"
#include "migrations/schema_model.h"

struct differ {
	const struct schema *a, *b;
	const struct schema_diff_options *o;
	struct schema_changes *out;
	struct schema *scratch; /* memory of keys and definitions */
	struct canon_equates *equates;
	bool cross;     /* two engines */
	bool skip;      /* what is noted now belongs to a table that is kept apart */
	struct buf tmp; /* scratch of the helpers here; nobody keeps it across a call */
};

/* Notes a record. prefix: "column a"; between: what joins it to the detail, " " or ": ". c->name, table, a and b may be
 * NULL for "". */
void note(struct differ *d, const struct schema_change *c, const char *prefix, const char *between, const char *detail);
/* The class where engines are the same, and where they are not. */
#define CLASS(d, same, other) ((d)->cross ? (other) : (same))

/* Things of one side that are paired with those of the other. */
struct item {
	const char *name; /* "": none to be paired by */
	const char *def;  /* what it says, in a form to compare; "": none */
	size_t at;        /* its place in the model */
	struct item *mate;
};
struct items {
	struct item *v;
	size_t n;
};
struct items items_make(size_t n); /* n of them, .at filled */
void items_finish(struct items *i);
/* Pairs what has no mate yet and is equal by name, by definition, by both; in order of rising place. only (or NULL)
 * says which items take part. */
enum pair_by { BY_NAME = 1, BY_DEF = 2 };
void pair_up(struct items *a, struct items *b, unsigned by, bool (*only)(const struct item *));
/* Pairs those without a mate whose definition only one on each side has. */
void pair_twins(struct items *a, struct items *b);

static inline bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* A name as it is compared: across engines in lower case, cut where PostgreSQL cuts. Lives in d->scratch. */
const char *name_key(struct differ *d, const char *name);
/* "a, b" likewise. */
/* A name of a list without the quotes that catalogues put around what is no plain word, and SQLite does not. */
const char *bare_name(struct differ *d, const char *name);
const char *names_key(struct differ *d, const char *names);
const char *keep(struct differ *d, const char *text);

/* Parts of a table, schema_diff.c. */
void index_text(const struct index *ix, struct buf *out); /* "(a, b) where c = 1" */
void column_text(const struct column *c, struct buf *out);

/* Views, triggers, functions …: schema_objects.c. */
void diff_objects(struct differ *d);

/* What is special when the engines differ: schema_cross.c. */
struct cross_check {
	bool dropped;       /* it only spells out a type */
	size_t column;      /* of a list of labels: which; else SIZE_MAX */
	const char *labels; /* then */
	const char *def;    /* normal form */
};
struct cross_table {
	const struct table *t;
	const char *engine;
	struct canon_type *types;   /* of its columns */
	struct cross_check *checks; /* of its checks */
	struct items by_name;       /* its columns, sorted */
};
struct cross_table cross_prepare(struct differ *d, const struct schema *s, const struct table *t);
void cross_finish(struct cross_table *c);
/* Foreign keys of a table that are looked at for an index's sake: MariaDB has at most 64 indexes a table. */
#define CROSS_MAX_FKS 256
void cross_columns(struct differ *d, const struct cross_table *a, size_t i, const struct cross_table *b, size_t k);
/* Drops the checks that one side needs because it lacks a type the other has. */
void cross_drop_checks(struct cross_table *a, const struct items *x, struct cross_table *b, const struct items *y);
const char *cross_index_def(struct differ *d, const char *engine, const struct index *ix);
/* Whether an index that only one side has is there, or is left out, because MariaDB has one for every foreign key. */
bool cross_is_fk_index(const struct differ *d, const struct schema *s, const struct table *t, const struct index *ix);
/* Whether it is of a kind only one engine has: gin, FULLTEXT, an operator class. */
bool cross_is_special(const struct index *ix);

/* The canonical rendering of a table, for the hash and for renames; without its own name and its indexes' when
 * nameless. */
void render_table(const struct table *t, bool nameless, struct buf *out);

#endif
