/* SPDX-License-Identifier: MIT */
/* What the checks of a model against the text of a dump have in common: eating tokens that are expected. Used by the
 * readers only.
 *
 * Tokens are compared by what they mean: letter case and quotes make no difference, nor do brackets, "public." and
 * "pg_catalog." — both texts come from one server at one moment, so the question is only whether a clause is there that
 * the model has no place for. */
#ifndef STEPBOX_MIGRATIONS_SCHEMA_CHECK_H
#define STEPBOX_MIGRATIONS_SCHEMA_CHECK_H

#include "base/clock.h"
#include "migrations/schema_lex.h"
#include "migrations/schema_model.h"

/* Eats the tokens of text when they come next: whether they did. Nothing is eaten otherwise. */
bool check_eat(struct sql_lexer *lx, const char *text);
/* Eats one word (or several: "not null"). */
#define check_word check_eat
/* The next token that counts, eaten; false at the end. */
bool check_next(struct sql_lexer *lx, struct sql_token *t);
/* Nothing but brackets is left. */
bool check_at_end(struct sql_lexer lx);
/* The token is a string, or a name, that means this. */
bool check_means(enum sql_dialect dialect, const struct sql_token *t, const char *text);

/* The token is a comma, or whatever one byte. */
bool check_punct(struct sql_lexer *lx, char c);
/* Eats a name with a schema, perhaps: appends it as the model has it. */
void check_name(struct sql_lexer *lx, struct buf *out);
/* The lexer of one item of a list in brackets, up to its comma; false behind the last. */
bool check_item(struct sql_lexer *list, struct sql_lexer *item);

/* Notes what the model does not express; the first of a table stays. [text, end) is shortened. */
void check_fail(struct schema *s, struct table *t, const char *what, const char *text, const char *end);

/* One statement of a dump, without its ';'. MariaDB: what stands between DELIMITER lines is one. */
struct check_statement {
	const char *s;
	size_t len;
};
bool check_next_statement(enum sql_dialect dialect, const char **p, const char *end, struct check_statement *st);
/* Appends the name of the table a statement belongs to, as the model has it; nothing when to none. */
void check_table_of(enum sql_dialect dialect, const struct check_statement *st, struct buf *out);
struct sql_lexer check_lexer(enum sql_dialect dialect, const struct check_statement *st);

struct checking; /* one check of a schema against a dump */
struct check_rules {
	enum sql_dialect dialect;
	/* All statements of a table, in the order of the dump. */
	void (*table)(struct schema *s, struct table *t, const struct check_statement *st, size_t n);
	/* One that belongs to no table of the model; table: to which then, or "". */
	void (*other)(struct checking *c, const struct check_statement *st, const char *table);
	/* Which statements that belong to a table are for `other` all the same; NULL for none. */
	bool (*apart)(const struct check_statement *st);
};
/* Gives every table its text and calls the rules. 0/-1 (ERR_STEP: too much, or past the deadline). */
int check_dump(struct schema *s, const struct check_rules *rules, const char *dump, size_t len, mono_ms deadline,
	       struct err *err) MUST_USE;

/* What comes from a hostile box may be made to take long: names are looked for in lists. */
enum {
	CHECK_MAX_MS = 10000,         /* for one schema: large real ones take a tenth of a second */
	CHECK_MAX_ITEMS = 10000,      /* of one CREATE TABLE */
	CHECK_MAX_STATEMENTS = 20000, /* of one table */
	CHECK_MAX_CLAUSE = 8192,      /* bytes of what is looked for inside of an option */
};
/* 0, or -1 with "too much work" when the deadline is over. */
int check_time(mono_ms deadline, struct err *err) MUST_USE;

/* For rules.other: the object of the catalogue with that kind and name, or NULL. */
struct object *check_object(const struct checking *c, const char *kind, const char *name);
/* Adds the statement as an object that is not modelled. */
void check_unmodelled(struct checking *c, const char *kind, const char *name, const char *table,
		      const struct check_statement *st);
struct schema *check_schema(const struct checking *c);

#endif
