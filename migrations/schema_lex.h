/* SPDX-License-Identifier: MIT */
/* SQL as a row of tokens: just enough to cut a dump into its CREATE statements, to see what each one creates, and to
 * compare texts without their white space, comments, quoting and letter case. Used by the schema readers. */
#ifndef STEPBOX_MIGRATIONS_SCHEMA_LEX_H
#define STEPBOX_MIGRATIONS_SCHEMA_LEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum sql_token_kind {
	SQL_END,
	SQL_WORD,   /* bare: keyword, identifier or number */
	SQL_NAME,   /* quoted identifier: "x", `x`, [x] */
	SQL_STRING, /* 'x' */
	SQL_PUNCT,  /* one byte */
};
struct sql_token {
	enum sql_token_kind kind;
	const char *s; /* with its quotes; not terminated */
	size_t len;
};
/* Whose SQL it is: how names and strings are quoted, what is a comment. */
enum sql_dialect {
	SQL_SQLITE,
	SQL_MARIADB, /* "x" is a string; backslash escapes; # comments; what stands in a comment for one version counts
		      */
	SQL_POSTGRESQL, /* E'x', $tag$x$tag$; comments nest; [x] is no name */
};
struct sql_lexer {
	const char *p, *end;
	enum sql_dialect dialect;
	bool no_close; /* no comment and no $tag$ ends from here on */
};

/* The next token, white space and comments skipped; SQL_END (and false) at the end. An unclosed quote reaches to the
 * end; an unclosed comment is none, so that no text can hide behind it. */
bool sql_next(struct sql_lexer *lx, struct sql_token *t);
bool sql_is(const struct sql_token *t, const char *word); /* bare word, any letter case */
bool sql_is_punct(const struct sql_token *t, char c);
/* Goes on behind the ')' that closes the group whose '(' was just read; *group gets what is inside. */
void sql_skip_group(struct sql_lexer *lx, struct sql_lexer *group);
/* Appends an identifier without its quotes. */
void sql_unquote(const struct sql_token *t, struct buf *out);
/* Appends [s, s+n) in its normal form: comments gone, bare words in lower case, names unquoted where that is the same,
 * one way of spacing. Two texts that mean the same token for token are equal in it. */
void sql_normalise(const char *s, size_t n, struct buf *out); /* SQLite's */
void sql_normalise_as(enum sql_dialect dialect, const char *s, size_t n, struct buf *out);
/* ((a > 0)) → a > 0: takes off the brackets that are around all of it. */
void sql_strip_brackets(struct sql_lexer *lx);

/* What a statement of a dump creates. */
enum sql_kind { SQL_TABLE, SQL_VIRTUAL, SQL_INDEX, SQL_VIEW, SQL_TRIGGER, SQL_OTHER, SQL_KIND_COUNT_ };
struct sql_statement {
	enum sql_kind kind;
	struct sql_token name;
	struct sql_token table; /* of an index or trigger; for the others their own name */
	const char *s;          /* without the ';' that ends it */
	size_t len;
	struct sql_lexer rest; /* behind name (index, trigger: behind ON table) */
};
/* Cuts the next statement off [*p, end); false at the end. CREATE is a reserved word that only begins statements (true
 * for what databases print), so one ends where the next begins: no text in a comment or trigger can shift that. */
bool sql_next_statement(const char **p, const char *end, struct sql_statement *st);

#endif
