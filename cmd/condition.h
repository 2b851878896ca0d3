/* SPDX-License-Identifier: MIT */
/* What bisect looks for: something in a schema (asked of the store), or a question that a box has to answer. */
#ifndef STEPBOX_CMD_CONDITION_H
#define STEPBOX_CMD_CONDITION_H

#include "cmd/opt.h"
#include "cmd/recipe.h"
#include "migrations/bisect.h"
#include "migrations/schema.h"

struct condition_opts {
	struct opt_list column, no_column, table, no_table, index, no_index, fk, no_fk;
	const char *schema, *sql;
};
/* clang-format off */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type and a member cannot stand in brackets */
#define CONDITION_OPTS(type, member)                                                                                   \
	{0, "column", "TABLE.COLUMN", "there is this column", OPT_LIST, offsetof(type, member.column)},                \
	{0, "no-column", "TABLE.COLUMN", "there is not", OPT_LIST, offsetof(type, member.no_column)},                  \
	{0, "table", "TABLE", "there is this table or view", OPT_LIST, offsetof(type, member.table)},                  \
	{0, "no-table", "TABLE", "there is not", OPT_LIST, offsetof(type, member.no_table)},                           \
	{0, "index", "NAME|TABLE(A,B)", "there is this index", OPT_LIST, offsetof(type, member.index)},                \
	{0, "no-index", "NAME|TABLE(A,B)", "there is not", OPT_LIST, offsetof(type, member.no_index)},                 \
	{0, "fk", "NAME|TABLE(A,B)[->T]", "there is this foreign key", OPT_LIST, offsetof(type, member.fk)},           \
	{0, "no-fk", "NAME|TABLE(A,B)[->T]", "there is not", OPT_LIST, offsetof(type, member.no_fk)},                  \
	{0, "schema", "HASH", "the schema is this one: beginning of the hash of a dump or of a structure",             \
	 OPT_STRING, offsetof(type, member.schema)},                                                                   \
	{0, "sql", "SELECT …", "its first value is neither empty nor 0 (asked on boxes)", OPT_STRING,                  \
	 offsetof(type, member.sql)}
/* NOLINTEND(bugprone-macro-parentheses) */
/* clang-format on */

enum condition_kind {
	CONDITION_COLUMN,
	CONDITION_TABLE,
	CONDITION_INDEX,
	CONDITION_FK,
	CONDITION_SCHEMA,
	CONDITION_SQL,
	CONDITION_COMMAND /* exit code 0 is good: the condition is that it is another one */
};

struct condition {
	enum condition_kind kind;
	bool negative;
	char *table, *name; /* "" where not given; of CONDITION_SQL and COMMAND name is the text. Owned */
	char *columns;      /* "a,b", or NULL: by name */
	char words[200];    /* "index i", for people; safe to show */
};

/* Exactly one must be given. command: of n words, behind "--". ERR_USER. */
int condition_make(struct condition *c, const struct condition_opts *o, char *const *command, int n,
		   struct err *err) MUST_USE;
void condition_finish(struct condition *c);
bool condition_needs_box(const struct condition *c);
/* YES or NO, by what the store has of a version: schema, and the hashes of its dump and catalogue description. */
enum answer condition_ask(const struct condition *c, const struct schema *s, const char *dump, const char *model);
/* What a box is to run for it (caller frees), and what its exit code says. NULL with err. */
char *condition_command(const struct condition *c, const struct recipe *r, struct err *err);
enum answer condition_answer(const struct condition *c, int64_t rc);

#endif
