/* SPDX-License-Identifier: MIT */
/* The description of a server's catalogue → struct schema. The SQL that prints it is the key `model` of
 * templates/databases/NAME.yaml.
 *
 * Text, one line an object, fields separated by one TAB. In a field \\ is a backslash, \t a tab, \n a line feed, \r a
 * carriage return; a field that may be NULL is "-" for NULL and "=value" otherwise. Names are bare: without quotes, on
 * PostgreSQL with their schema and a dot when that is not "public". Lines are sorted by kind, then table, then name
 * (columns: place), so that equal schemas give equal bytes; reading only asks that the columns of one table, and those
 * of one view, come in their order. Flags are a string of letters. Fields, the first being the word:
 *
 *   table   name kind options engine charset collation row_format comment partition
 *   column  table name type labels default(or NULL) collation generated on_update comment identity options flags
 *             flags: n = not null
 *   pk      table name where method include comment options flags {part suffix}…
 *   index   table name where method include comment options flags {part suffix}…
 *             flags: u = unique, c = it is a constraint; part: ".column" or "=expression", suffix: " DESC", "(10)" …
 *   fk      table name parent on_update on_delete match deferrable flags {column, column of the parent}…
 *   check   table name expression flags
 *   extra   table text
 *   view    name text
 *   object  kind name table text columns flags
 *             flags: m = modelled, a = made with its table
 *
 * A `table` whose kind is "view", "materialised view" or "sequence" becomes a struct object; its columns are told by
 * `column` lines, its text by a `view` line (a sequence's is in the dump). What is left to C, because SQL says it
 * badly, is told by the functions below.
 *
 * Afterwards the model is checked against the dump: every clause of the statements that make a table must be one the
 * model has, and the other way round. What is not is table.unmodelled; a statement that makes something of a kind the
 * model does not know becomes an object that is not modelled. */
#ifndef STEPBOX_MIGRATIONS_SCHEMA_CATALOG_H
#define STEPBOX_MIGRATIONS_SCHEMA_CATALOG_H

#include "migrations/schema_lex.h"
#include "migrations/schema_model.h"

/* Reads the lines. 0/-1 (ERR_STEP): a line that is not as above, a table that is not there, too much of something. */
int schema_read_catalog(struct schema *s, enum sql_dialect dialect, const char *model, size_t len,
			struct err *err) MUST_USE;

/* What the lines of MariaDB and MySQL leave open: the words of EXTRA and CREATE_OPTIONS, which collations are those of
 * the table, names the server chose. Then the check against the dump. 0/-1 (ERR_STEP: too much). */
int schema_finish_mariadb(struct schema *s, const struct schema_text *text, struct err *err) MUST_USE;
/* The same for PostgreSQL: names the server chose, auto-increment; the check. */
int schema_finish_postgresql(struct schema *s, const struct schema_text *text, struct err *err) MUST_USE;

/* The table or NULL; s is sorted. */
struct table *schema_find_table(const struct schema *s, const char *name);
/* Appends a name: between double quotes unless it is letters, digits, _ and $ only. */
void schema_add_name(struct buf *out, const char *name);

#endif
