/* SPDX-License-Identifier: MIT */
/* Differences of schemas as people and programs read them: what `diff` and `compare` have in common. */
#ifndef STEPBOX_CMD_DIFFTEXT_H
#define STEPBOX_CMD_DIFFTEXT_H

#include <jansson.h>
#include <stdbool.h>

#include "cmd/opt.h"
#include "migrations/schema_diff.h"
#include "migrations/store.h"

/* The options with which a user says what counts: part of a command's own options, with these rows in its table. */
struct difftext_opts {
	const char *ignore;
	bool strict;
	struct opt_list equate;
};
/* clang-format off */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type and a member cannot stand in brackets */
#define DIFFTEXT_OPTS(type, member)                                                                                    \
	{0, "ignore", "LIST", "differences that do not count: order,name,comment … (all: stepbox diff --help)",         \
	 OPT_STRING, offsetof(type, member.ignore)},                                                                    \
	{0, "strict", NULL, "cosmetic differences count as well", OPT_FLAG, offsetof(type, member.strict)},            \
	{0, "equate", "TYPE=TYPE", "two types that are the same across engines, as varchar(39)=inet is (repeatable)",  \
	 OPT_LIST, offsetof(type, member.equate)}
/* NOLINTEND(bugprone-macro-parentheses) */

/* For the help of a command that has them: every word --ignore takes. */
#define DIFFTEXT_IGNORE_HELP                                                                                           \
	"Words for --ignore: order (of columns), index-order, name, type, text-type, enum, unsigned, null, default,\n" \
	" collation, generated, on-update, identity, comment, options, partition, columns, unique, where, prefix,\n" \
	" target, fk-action, fk-index, deferrable, event, body, engine (what only one engine has), text (spelling),\n" \
	" not-modelled; whole kinds: table, view, primary-key, column, unique-constraint, index, foreign-key, check,\n" \
	" constraint, trigger, other; whole classes: cosmetic, unmodelled."
/* clang-format on */

/* Checks them and makes what schema_changes() takes, with the tools' own tables kept apart; it borrows from both. */
int difftext_options(const struct difftext_opts *given, struct schema_diff_options *out, struct err *err) MUST_USE;

/* The schema after a step, read from its dump and its catalogue description. The dump is appended to dump (which may be
 * NULL). ERR_STEP when it is there but cannot be read. */
struct schema *difftext_load(struct db *db, const char *engine, const struct step *s, struct buf *dump,
			     struct err *err);

/* Appends the records, safe to show, under a heading for each class, structural ones first; cosmetic ones of a kind are
 * folded into a line when there are many, unless all. indent: blanks in front of each line. Nothing when there is none.
 */
void difftext_lines(const struct schema_changes *cs, bool all, int indent, struct buf *out);

/* {"structural","cosmetic","unmodelled","ignored","changes":[{"op","class","kind","field","table","name","a","b",
 * "text"}…],"bookkeeping":[…]} */
json_t *difftext_json(const struct schema_changes *cs);

#endif
