/* SPDX-License-Identifier: MIT */
/* What differs between two schemas, as records with a class each; the records as lines, as a few words, as a hash.
 *
 * Two schemas of one engine are compared exactly, as the engine spells things. Two of different engines are compared
 * through canonical forms (schema_canon.h): what one of them cannot say is no difference, or a cosmetic one.
 *
 * Classes: structural – an application, or the next migration, may notice; cosmetic – the databases behave alike;
 * unmodelled – the model does not express all of it and the text differs, so nobody can say. Two schemas are equal when
 * there is nothing structural and nothing unmodelled between them.
 *
 * Objects are matched by name; one that is gone and one that is new with the very same definition are told as a rename,
 * which is a guess. The work is n log n in the size of the schemas. */
#ifndef STEPBOX_MIGRATIONS_SCHEMA_DIFF_H
#define STEPBOX_MIGRATIONS_SCHEMA_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "migrations/schema.h"

enum change_op { CHANGE_ADD, CHANGE_DROP, CHANGE_CHANGE, CHANGE_RENAME, CHANGE_REORDER, CHANGE_OP_COUNT_ };
enum change_class { CHANGE_STRUCTURAL, CHANGE_UNMODELLED, CHANGE_COSMETIC, CHANGE_CLASS_COUNT_ };

/* What it is about, in the order in which a table's differences are told. */
enum change_kind {
	KIND_TABLE,
	KIND_VIEW, /* materialised ones too */
	KIND_PRIMARY_KEY,
	KIND_COLUMN,
	KIND_UNIQUE, /* constraints */
	KIND_INDEX,  /* unique ones too */
	KIND_FOREIGN_KEY,
	KIND_CHECK,
	KIND_CONSTRAINT, /* clauses that are none of the above: ON CONFLICT … */
	KIND_TRIGGER,
	KIND_OTHER, /* functions, sequences, types, statements … */
	CHANGE_KIND_COUNT_
};

/* Which part of it. */
enum change_field {
	FIELD_WHOLE,       /* added, dropped, renamed */
	FIELD_NAME,        /* of an index or constraint */
	FIELD_ORDER,       /* of a table's columns */
	FIELD_INDEX_ORDER, /* of the columns in an index */
	FIELD_COLUMNS,     /* of a key, index or view */
	FIELD_TYPE,
	FIELD_TEXT_TYPE, /* text against varchar, across engines */
	FIELD_ENUM,      /* an enumeration against a text type, across engines */
	FIELD_UNSIGNED,  /* across engines */
	FIELD_NULL,
	FIELD_DEFAULT,
	FIELD_COLLATION, /* and character set */
	FIELD_GENERATED,
	FIELD_ON_UPDATE, /* of a column (MariaDB) */
	FIELD_IDENTITY,  /* auto-increment, serial, identity */
	FIELD_COMMENT,
	FIELD_OPTIONS, /* of a table, column or index */
	FIELD_PARTITION,
	FIELD_UNIQUE, /* an index that was and is no longer, or now is */
	FIELD_WHERE,  /* of a partial index */
	FIELD_PREFIX, /* c(10) in an index, across engines */
	FIELD_TARGET, /* of a foreign key */
	FIELD_FK_ACTION,
	FIELD_FK_INDEX, /* the index MariaDB needs for a foreign key, across engines */
	FIELD_DEFERRABLE,
	FIELD_EVENT,  /* of a trigger */
	FIELD_BODY,   /* of a view, trigger, function … */
	FIELD_ENGINE, /* what only one of two engines has */
	FIELD_TEXT,   /* the statements are spelled differently, the model is the same */
	FIELD_UNMODELLED,
	CHANGE_FIELD_COUNT_
};

const char *change_op_name(enum change_op op);          /* "add", "drop", "change", "rename", "reorder" */
const char *change_class_name(enum change_class c);     /* "structural", … */
const char *change_kind_name(enum change_kind k);       /* "table", "primary-key", … */
const char *change_field_name(enum change_field field); /* "fk-action", …; "whole" */

struct schema_change {
	enum change_op op;
	enum change_class class;
	enum change_kind kind;
	enum change_field field;
	const char *word;   /* the kind for people: "unique index", "sequence" */
	const char *table;  /* "" for what belongs to none; of a table its own name */
	const char *name;   /* "" for what has none (an order, a primary key) */
	const char *a, *b;  /* what it was and is, as each engine spells it; "" for nothing */
	const char *text;   /* for people, without sign and table: "column a: INT → TEXT"; foreign bytes in it */
	const char *detail; /* the part of it behind the name: "INT → TEXT"; "" where there is none */
};

struct schema_changes {
	/* Sorted by table, kind, name, field. Those about bookkeeping tables are no part of it. */
	struct schema_change *items;
	size_t n;
	size_t count[CHANGE_CLASS_COUNT_];
	size_t ignored;  /* left out because of options.ignore */
	bool incomplete; /* more than SCHEMA_MAX_CHANGES: counted, not listed */
	bool cross;      /* two engines */
	/* Differences in tables of options.skip_tables: not counted above. */
	struct schema_change *skipped;
	size_t n_skipped;
	struct schema *memory; /* of the strings: independent of the two schemas */
};
#define SCHEMA_MAX_CHANGES 100000

/* The tables in which the tools this program knows keep what they have applied. */
extern const char *const schema_bookkeeping[]; /* NULL-terminated */

struct schema_diff_options {
	/* Cosmetic differences count as structural, and RESTRICT is not NO ACTION across engines either. */
	bool strict;
	/* Bits 1 << enum change_field, 1 << enum change_kind, 1 << enum change_class: see schema_ignore_parse(). */
	uint64_t ignore_fields, ignore_kinds, ignore_classes;
	/* Tables (and what belongs to them) to be kept apart: NULL-terminated, any letter case; NULL: none. */
	const char *const *skip_tables;
	/* Only what belongs to this table (or is named so), any letter case; NULL: all. */
	const char *table;
	/* Types that are to be the same across engines, "varchar(39)=inet", besides schema_equates. */
	const char *const *equates;
	size_t n_equates;
	bool no_default_equates;
};

/* Adds the comma-separated words of list to what is ignored: names of fields (order, name, comment …), kinds (view,
 * trigger …) and classes (cosmetic, unmodelled). ERR_USER names the word and the nearest known one. */
int schema_ignore_parse(const char *list, struct schema_diff_options *o, struct err *err) MUST_USE;
/* All words it knows, NULL-terminated. */
const char *const *schema_ignore_words(void);

/* The equivalences that hold unless no_default_equates: what frameworks make of an address or a UUID on engines that
 * have no such type. NULL-terminated. */
extern const char *const schema_equates[];
/* ERR_USER when text is not "TYPE=TYPE" of types that are known. */
int schema_equate_check(const char *text, struct err *err) MUST_USE;

/* o NULL: the defaults. Never fails. */
struct schema_changes *schema_changes(const struct schema *a, const struct schema *b,
				      const struct schema_diff_options *o);
void schema_changes_free(struct schema_changes *cs);
void schema_changes_freep(struct schema_changes **cs);

/* Whether anything structural or unmodelled is left. */
bool schema_changes_differ(const struct schema_changes *cs);
/* "2 structural, 3 cosmetic, 0 unmodelled" and, where there are, ", 4 ignored". */
void schema_changes_summary(const struct schema_changes *cs, struct buf *out);

/* One line, safe to show, without a line feed: "instances: + column locked_by varchar(255) NULL". */
void schema_change_line(const struct schema_change *c, struct buf *out);
/* A line for each record whose class is in the mask (1 << CHANGE_STRUCTURAL …). Returns their number. */
size_t schema_change_lines(const struct schema_changes *cs, unsigned classes, struct buf *lines);
#define CHANGE_ALL ((1U << CHANGE_CLASS_COUNT_) - 1)

/* The same in a few words for one line of the screen: "+2 columns instances", "+ table x, - index y", "no change", or
 * "only the text of the schema" when nothing but FIELD_TEXT differs; at most max bytes. */
void schema_changes_brief(const struct schema_changes *cs, size_t max, struct buf *out);

/* SHA-256 of the schema's canonical rendering: two schemas of one engine have the same one exactly when nothing
 * structural or unmodelled is between them. skip_tables as above, or NULL. */
void schema_hash(const struct schema *s, const char *const *skip_tables, char hex[SHA256_HEX]);

#endif
