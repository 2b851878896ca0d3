/* SPDX-License-Identifier: MIT */
/* Canonical forms: what SQLite, MariaDB/MySQL and PostgreSQL each spell in their own way, in one. Used to compare
 * schemas of two engines; on one engine everything is compared as it is spelled.
 *
 * Types are those an application asked for: MariaDB's tinyint(1) is a boolean, SQLite's declared type is taken at its
 * word. What only one side can say (a sign, a time zone, the size of a float) is no difference. */
#ifndef STEPBOX_MIGRATIONS_SCHEMA_CANON_H
#define STEPBOX_MIGRATIONS_SCHEMA_CANON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum canon_family {
	CANON_OTHER, /* compared by its spelling */
	CANON_NONE,  /* SQLite: no type at all */
	CANON_BOOL,
	CANON_INT,
	CANON_FLOAT,
	CANON_NUMERIC,
	CANON_CHAR,
	CANON_VARCHAR,
	CANON_TEXT,
	CANON_ENUM,
	CANON_BINARY, /* binary(n), varbinary(n) */
	CANON_BLOB,
	CANON_BIT,
	CANON_DATE,
	CANON_TIME,
	CANON_DATETIME,
	CANON_INTERVAL,
	CANON_JSON,
	CANON_UUID,
	CANON_INET,
	CANON_FAMILY_COUNT_
};

struct canon_type {
	enum canon_family family;
	int size;           /* bytes of an INT or FLOAT; 0: not said */
	long length;        /* characters, bytes, digits; -1: not said */
	long scale;         /* of a NUMERIC; fraction of a second (-1: not said) */
	bool is_unsigned;   /* MariaDB */
	bool tz;            /* with time zone */
	bool any_size;      /* an INTEGER PRIMARY KEY of SQLite, which cannot be spelled otherwise */
	const char *engine; /* borrowed */
	const char *raw;    /* borrowed */
	const char *labels; /* of an ENUM: "'a','b'"; borrowed */
};

/* engine: "sqlite", "mariadb", "postgresql"; "" for a type written by a person, in any spelling. */
void canon_type_parse(const char *engine, const char *type, const char *labels, struct canon_type *out);

struct canon_equates;
/* Of lists of "TYPE=TYPE" (defaults NULL-terminated or NULL); what is none is left out. */
struct canon_equates *canon_equates_new(const char *const *defaults, const char *const *more, size_t n_more);
void canon_equates_free(struct canon_equates *e);
/* "varchar(39)=inet" → both sides; ERR_USER when a side is missing or unknown. */
int canon_equate_check(const char *text, struct err *err) MUST_USE;

/* How two types of different engines go together. */
enum canon_match {
	CANON_SAME,
	CANON_SAME_UNSIGNED, /* but for a sign or the size of an integer that one of them has no type for */
	CANON_SAME_TEXT,     /* both hold text of any length, or one bytes of any length */
	CANON_SAME_ENUM,     /* the text has room for the labels of the other */
	CANON_TEXT_LIMIT,    /* text against text with a limit: a difference */
	CANON_OTHER_LABELS,  /* a difference */
	CANON_DIFFERENT,
};
enum canon_match canon_types(const struct canon_type *a, const struct canon_type *b, const struct canon_equates *e);

/* Appends the normal form of a column's default ("" for none): "'x'", "0", "now()", "uuid()" or an expression. */
void canon_default(const struct canon_type *type, const char *dflt, struct buf *out);
/* Whether it is the next number of a sequence, which is an identity and no default. */
bool canon_is_nextval(const char *dflt);

/* Appends the normal form of an expression: operators and brackets in one way, casts gone, IN for = ANY (ARRAY[…]),
 * BETWEEN and LIKE as PostgreSQL prints them the other way. What is no expression it knows comes out as
 * sql_normalise() has it. Linear, but for a named maximum of nesting. */
void canon_expression(const char *text, struct buf *out);

/* For checks that only spell out a type. */
enum canon_check { CANON_CHECK_OTHER, CANON_CHECK_BOOLEAN, CANON_CHECK_JSON, CANON_CHECK_LABELS };
/* expr in normal form. *column gets the column it is about (to be freed), *labels the list of CANON_CHECK_LABELS
 * ("'a','b'", to be freed); NULL otherwise. */
enum canon_check canon_check_of(const char *expr, char **column, char **labels);
/* Whether two lists "'a','b'" have the same labels, in any order. */
bool canon_same_labels(const char *a, const char *b);

#endif
