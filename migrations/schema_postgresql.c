/* SPDX-License-Identifier: MIT */
/* PostgreSQL: names the server chose, and the check against the statements of pg_dump. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "migrations/schema_catalog.h"
#include "migrations/schema_check.h"

enum { NAME_MAX_BYTES = 63 };

/* ---- names the server chose ---- */

static const char *bare_name(const struct table *t)
{
	const char *dot = strchr(t->name, '.');
	return dot ? dot + 1 : t->name;
}

/* Appends "_a_b" for the columns "a, b". */
static void add_columns(struct buf *out, const char *columns)
{
	for (const char *p = columns; *p;) {
		size_t n = strcspn(p, ",");
		buf_addc(out, '_');
		buf_add(out, p, n);
		p += n + strspn(p + n, ", ");
	}
}

/* table_columns_suffix, with a number when that was taken; parts of a long one are shortened, so that only its ends
 * can be compared. */
static bool is_own_name(const struct table *t, const char *name, const char *columns, const char *suffix)
{
	AUTO_BUF own = buf_make(BUF_TEXT_MAX);
	size_t n = strlen(name);
	while (n > 0 && isdigit((unsigned char)name[n - 1]))
		n--;
	buf_adds(&own, bare_name(t));
	add_columns(&own, columns);
	buf_addf(&own, "_%s", suffix);
	if (own.len <= NAME_MAX_BYTES)
		return own.len <= strlen(name) && strncmp(own.data, name, own.len) == 0 && n <= own.len;
	size_t end = strlen(suffix);
	return n > end && strncmp(name + n - end, suffix, end) == 0 && strncmp(own.data, name, 8) == 0;
}

/* table_check, or table_column_check where it is about one column. */
static bool is_own_check_name(const struct table *t, const char *name)
{
	const char *bare = bare_name(t);
	size_t head = strlen(bare);
	if (strncmp(name, bare, head) != 0 || name[head] != '_')
		return is_own_name(t, name, "", "check"); /* a long one */
	if (is_own_name(t, name, "", "check"))
		return true;
	const char *column = name + head + 1;
	for (size_t i = 0; i < t->n_columns; i++) {
		size_t n = strlen(t->columns[i].name);
		if (strncmp(column, t->columns[i].name, n) == 0 && strncmp(column + n, "_check", 6) == 0)
			return column[n + 6 + strspn(column + n + 6, "0123456789")] == '\0';
	}
	return false;
}

static void read_table(struct table *t)
{
	for (size_t i = 0; i < t->n_columns; i++)
		t->columns[i].autoincrement = t->columns[i].identity[0] != '\0';
	for (size_t i = 0; i < t->n_indexes; i++) {
		struct index *ix = &t->indexes[i];
		ix->automatic = is_own_name(t, ix->name, ix->parts, ix->constraint ? "key" : "idx");
	}
	for (size_t i = 0; i < t->n_fks; i++)
		t->fks[i].automatic = is_own_name(t, t->fks[i].name, t->fks[i].from, "fkey");
	for (size_t i = 0; i < t->n_checks; i++) {
		struct check *ck = &t->checks[i];
		ck->automatic = is_own_check_name(t, ck->name);
	}
}

/* ---- the check: columns ---- */

/* One table beside its model. */
struct check_table {
	struct schema *schema;
	struct table *table;
	struct buf text; /* scratch */
	size_t columns, indexes, fks, checks, extras;
	size_t identities, defaults, comments; /* seen of columns */
	bool pk;
};

static void bad(struct check_table *c, const struct sql_lexer *item)
{
	check_fail(c->schema, c->table, "", item->p, item->end);
}

static struct column *find_column(struct table *t, const struct sql_token *name)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (check_means(SQL_POSTGRESQL, name, t->columns[i].name))
			return &t->columns[i];
	return NULL;
}

static bool has_option(const struct column *col, const char *word, const struct sql_token *value)
{
	AUTO_BUF want = buf_make(BUF_TEXT_MAX);
	buf_addf(&want, "%s %.*s", word, (int)value->len, value->s);
	return strcasestr(col->options, want.data) != NULL;
}

static bool eat_column_clause(struct check_table *c, struct sql_lexer *lx, const struct column *col, bool *not_null)
{
	struct sql_token t;
	if (check_word(lx, "not null"))
		return *not_null = true;
	if (check_word(lx, "null"))
		return true;
	if (check_word(lx, "default"))
		return ++c->defaults && col->dflt && check_eat(lx, col->dflt);
	if (check_word(lx, "collate"))
		return check_next(lx, &t) && check_means(SQL_POSTGRESQL, &t, col->collation);
	if (check_word(lx, "generated always as"))
		return check_eat(lx, col->generated);
	if (check_word(lx, "storage"))
		return check_next(lx, &t) && has_option(col, "STORAGE", &t);
	return false;
}

static void check_column(struct check_table *c, const struct sql_lexer *item)
{
	struct sql_lexer lx = *item;
	struct sql_token name;
	sql_next(&lx, &name);
	struct column *col = find_column(c->table, &name);
	bool not_null = false;
	c->columns++;
	if (!col || !check_eat(&lx, col->type)) {
		bad(c, item);
		return;
	}
	while (!check_at_end(lx))
		if (!eat_column_clause(c, &lx, col, &not_null)) {
			bad(c, item);
			return;
		}
	if (col->not_null && !not_null)
		bad(c, item);
}

/* ---- constraints and indexes ---- */

static bool eat_check(struct check_table *c, struct sql_lexer *lx, const struct sql_token *name)
{
	for (size_t i = 0; i < c->table->n_checks; i++)
		if (check_means(SQL_POSTGRESQL, name, c->table->checks[i].name))
			return ++c->checks && check_eat(lx, c->table->checks[i].expr);
	return false;
}

static bool eat_fk(struct check_table *c, struct sql_lexer *lx, const struct sql_token *name)
{
	const struct foreign_key *fk = NULL;
	for (size_t i = 0; i < c->table->n_fks && !fk; i++)
		if (check_means(SQL_POSTGRESQL, name, c->table->fks[i].name))
			fk = &c->table->fks[i];
	if (!fk || !check_eat(lx, fk->from) || !check_word(lx, "references"))
		return false;
	c->fks++;
	buf_reset(&c->text);
	check_name(lx, &c->text);
	if (strcmp(c->text.data, fk->parent) != 0)
		return false;
	buf_reset(&c->text);
	buf_addf(&c->text, "%s %s%s %s%s %s%s %s", fk->to, fk->match[0] ? "MATCH " : "", fk->match,
		 fk->on_update[0] ? "ON UPDATE " : "", fk->on_update, fk->on_delete[0] ? "ON DELETE " : "",
		 fk->on_delete, fk->deferrable);
	return check_eat(lx, c->text.data);
}

/* "WITH (fillfactor=70), CLUSTER" → what of it stands in the statement itself. */
static void add_own_options(struct buf *out, const char *options)
{
	static const char *const elsewhere[] = {"PARTITION OF ", "CLUSTER", "REPLICA IDENTITY", "INVALID"};
	size_t n = strlen(options);
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++) {
		const char *at = strstr(options, elsewhere[i]);
		if (at && (size_t)(at - options) < n)
			n = (size_t)(at - options);
	}
	buf_add(out, options, n);
}

static void split_options(const char *options, struct buf *nulls, struct buf *with, struct buf *rest)
{
	static const char distinct[] = "NULLS NOT DISTINCT";
	AUTO_BUF own = buf_make(BUF_TEXT_MAX);
	add_own_options(&own, options);
	const char *p = own.data ? own.data : "";
	if (strncmp(p, distinct, sizeof(distinct) - 1) == 0) {
		buf_adds(nulls, distinct);
		p += sizeof(distinct) - 1;
		p += *p == ' ';
	}
	if (strncmp(p, "WITH (", 6) == 0) {
		size_t n = strcspn(p, ")") + 1;
		buf_add(with, p, n);
		p += n;
	}
	buf_adds(rest, p);
}

/* What follows the method: "a, b INCLUDE (c) NULLS NOT DISTINCT WITH (…) WHERE …" */
static bool eat_index(struct check_table *c, struct sql_lexer *lx, const struct index *ix)
{
	AUTO_BUF nulls = buf_make(BUF_TEXT_MAX);
	AUTO_BUF with = buf_make(BUF_TEXT_MAX);
	AUTO_BUF rest = buf_make(BUF_TEXT_MAX);
	split_options(ix->options, &nulls, &with, &rest);
	buf_reset(&c->text);
	buf_addf(&c->text, "%s %s %s%s%s %s %s %s%s", ix->constraint && nulls.len ? nulls.data : "", ix->parts,
		 ix->include[0] ? "INCLUDE (" : "", ix->include, ix->include[0] ? ")" : "",
		 !ix->constraint && nulls.len ? nulls.data : "", with.len ? with.data : "",
		 ix->where[0] ? "WHERE " : "", ix->where);
	return check_eat(lx, c->text.data) && (!rest.len || check_eat(lx, rest.data));
}

static const struct index *find_index(const struct table *t, const struct sql_token *name)
{
	for (size_t i = 0; i < t->n_indexes; i++)
		if (check_means(SQL_POSTGRESQL, name, t->indexes[i].name))
			return &t->indexes[i];
	return NULL;
}

static bool eat_pk(struct check_table *c, struct sql_lexer *lx, const struct sql_token *name)
{
	const struct table *t = c->table;
	struct index ix = {.parts = t->pk, .where = "", .include = "", .options = "", .constraint = true};
	c->pk = true;
	if (!check_means(SQL_POSTGRESQL, name, t->pk_name))
		return false;
	if (!check_eat(lx, t->pk))
		return false;
	for (size_t i = 0; i < t->n_extras && !check_at_end(*lx); i++)
		if (strncmp(t->extras[i], "PRIMARY KEY ", 12) == 0) {
			ix.options = t->extras[i] + 12;
			buf_reset(&c->text);
			add_own_options(&c->text, ix.options);
			if (!check_eat(lx, c->text.data ? c->text.data : ""))
				return false;
		}
	return true;
}

static bool eat_exclude(struct check_table *c, const struct sql_lexer *from)
{
	for (size_t i = 0; i < c->table->n_extras; i++) {
		struct sql_lexer lx = *from;
		if (check_eat(&lx, c->table->extras[i]) && check_at_end(lx)) {
			c->extras++;
			return true;
		}
	}
	return false;
}

/* Behind CONSTRAINT. */
static void check_constraint(struct check_table *c, struct sql_lexer *lx, const struct sql_lexer *all)
{
	const struct sql_lexer from = *lx;
	struct sql_token name;
	const struct index *ix;
	bool good = false;
	if (!sql_next(lx, &name))
		good = false;
	else if (check_word(lx, "check"))
		good = eat_check(c, lx, &name);
	else if (check_word(lx, "primary key"))
		good = eat_pk(c, lx, &name);
	else if (check_word(lx, "foreign key"))
		good = eat_fk(c, lx, &name);
	else if (check_word(lx, "unique"))
		good = ++c->indexes && (ix = find_index(c->table, &name)) && ix->constraint && eat_index(c, lx, ix);
	else if (eat_exclude(c, &from))
		return;
	if (!good || !check_at_end(*lx))
		bad(c, all);
}

static void check_index(struct check_table *c, struct sql_lexer *lx, bool unique, const struct sql_lexer *all)
{
	struct sql_token name;
	sql_next(lx, &name);
	const struct index *ix = find_index(c->table, &name);
	c->indexes++;
	check_word(lx, "on");
	check_word(lx, "only");
	buf_reset(&c->text);
	check_name(lx, &c->text);
	if (!ix || ix->constraint || ix->unique != unique || !check_word(lx, "using") ||
	    !check_eat(lx, ix->method[0] ? ix->method : "btree") || !eat_index(c, lx, ix) || !check_at_end(*lx))
		bad(c, all);
}

/* ---- CREATE TABLE ---- */

/* Whether what is left of the clause is in what the model has, as a whole. */
static bool said_in(const struct sql_lexer *clause, const char *text)
{
	struct sql_lexer in = {.p = text, .end = text + strlen(text), .dialect = SQL_POSTGRESQL};
	struct sql_token t;
	if (in.end - in.p > CHECK_MAX_CLAUSE || clause->end - clause->p > CHECK_MAX_CLAUSE)
		return false;
	AUTO_FREE char *want = xstrndup(clause->p, (size_t)(clause->end - clause->p));
	do {
		struct sql_lexer at = in;
		if (check_eat(&at, want))
			return true;
	} while (check_next(&in, &t));
	return false;
}

static void check_tail(struct check_table *c, struct sql_lexer lx)
{
	while (!check_at_end(lx)) {
		struct sql_lexer at = lx;
		struct sql_lexer group;
		bool good = false;
		if (check_word(&lx, "partition by")) {
			good = check_eat(
				&lx, strstr(c->table->partition, "BY ") ? strstr(c->table->partition, "BY ") + 3 : "-");
		} else if ((check_word(&lx, "inherits") || check_word(&lx, "with")) && check_punct(&lx, '(')) {
			sql_skip_group(&lx, &group);
			good = said_in(&group, c->table->options);
		}
		if (!good) {
			bad(c, &at);
			return;
		}
	}
}

static void check_create(struct check_table *c, struct sql_lexer lx, const struct sql_lexer *all)
{
	struct sql_lexer body;
	struct sql_lexer item;
	buf_reset(&c->text);
	check_name(&lx, &c->text);
	if (!check_punct(&lx, '(')) {
		bad(c, all);
		return;
	}
	sql_skip_group(&lx, &body);
	for (size_t i = 0; i < CHECK_MAX_ITEMS && check_item(&body, &item); i++) {
		struct sql_lexer at = item;
		struct sql_token t;
		if (sql_next(&at, &t) && sql_is(&t, "constraint"))
			check_constraint(c, &at, &item);
		else
			check_column(c, &item);
	}
	if (!check_at_end(body))
		bad(c, &body);
	check_tail(c, lx);
}

/* ---- ALTER TABLE, COMMENT and the rest ---- */

static bool alter_column(struct check_table *c, struct sql_lexer *lx)
{
	struct sql_token t;
	if (!sql_next(lx, &t))
		return false;
	struct column *col = find_column(c->table, &t);
	if (!col)
		return false;
	if (check_word(lx, "set default"))
		return ++c->defaults && col->dflt && check_eat(lx, col->dflt) && check_at_end(*lx);
	if (check_word(lx, "add generated")) {
		/* What the sequence is like is an object of its own. */
		c->identities++;
		return col->identity[0] && check_eat(lx, col->identity) && check_word(lx, "as identity");
	}
	if (check_word(lx, "set storage"))
		return check_next(lx, &t) && has_option(col, "STORAGE", &t);
	if (check_word(lx, "set statistics"))
		return check_next(lx, &t) && has_option(col, "STATISTICS", &t);
	if (check_word(lx, "set not null"))
		return col->not_null;
	if (check_word(lx, "set") && check_punct(lx, '(')) {
		struct sql_lexer group;
		sql_skip_group(lx, &group);
		return said_in(&group, col->options);
	}
	return false;
}

static bool index_option(const struct table *t, struct sql_lexer *lx, const char *option)
{
	struct sql_token name;
	if (!sql_next(lx, &name))
		return false;
	const struct index *ix = find_index(t, &name);
	if (ix)
		return strstr(ix->options, option) != NULL;
	for (size_t i = 0; i < t->n_extras; i++) /* the primary key's */
		if (strstr(t->extras[i], option))
			return true;
	return false;
}

static bool alter_table(struct check_table *c, struct sql_lexer *lx, const struct sql_lexer *all)
{
	struct table *t = c->table;
	check_word(lx, "only");
	buf_reset(&c->text);
	check_name(lx, &c->text);
	if (check_word(lx, "add constraint")) {
		check_constraint(c, lx, all);
		return true;
	}
	if (check_word(lx, "alter column"))
		return alter_column(c, lx);
	if (check_word(lx, "attach partition")) {
		buf_reset(&c->text);
		check_name(lx, &c->text);
		return said_in(lx, t->partition);
	}
	if (check_word(lx, "enable row level security"))
		return strstr(t->options, "ROW LEVEL SECURITY") != NULL;
	if (check_word(lx, "force row level security"))
		return strstr(t->options, "FORCE ROW LEVEL SECURITY") != NULL;
	if (check_word(lx, "cluster on"))
		return index_option(t, lx, "CLUSTER");
	if (check_word(lx, "replica identity using index"))
		return index_option(t, lx, "REPLICA IDENTITY");
	if (check_word(lx, "replica identity"))
		return said_in(lx, t->options);
	/* Which triggers are on is told by the triggers. */
	return check_word(lx, "disable trigger") || check_word(lx, "enable replica trigger") ||
	       check_word(lx, "enable always trigger");
}

static bool is_text(struct sql_lexer *lx, const char *text)
{
	struct sql_token t;
	return check_word(lx, "is") && sql_next(lx, &t) && t.kind == SQL_STRING &&
	       check_means(SQL_POSTGRESQL, &t, text);
}

static bool comment_on(struct check_table *c, struct sql_lexer *lx)
{
	struct sql_token t;
	buf_reset(&c->text);
	if (check_word(lx, "table") || check_word(lx, "foreign table")) {
		check_name(lx, &c->text);
		return is_text(lx, c->table->comment);
	}
	if (!check_word(lx, "column"))
		return false;
	/* schema.table.column: the last counts. */
	while (sql_next(lx, &t) && lx->p < lx->end && *lx->p == '.')
		lx->p++;
	struct column *col = find_column(c->table, &t);
	c->comments++;
	return col && is_text(lx, col->comment);
}

static void check_created(struct check_table *c, struct sql_lexer *lx, const struct sql_lexer *all)
{
	check_word(lx, "unlogged");
	if (check_word(lx, "table"))
		check_create(c, *lx, all);
	else if (check_word(lx, "index"))
		check_index(c, lx, false, all);
	else if (check_word(lx, "unique index"))
		check_index(c, lx, true, all);
	else if (!check_word(lx, "trigger") && !check_word(lx, "constraint trigger")) /* objects of their own */
		bad(c, all);
}

static void check_statement(struct check_table *c, const struct check_statement *st)
{
	struct sql_lexer lx = check_lexer(SQL_POSTGRESQL, st);
	const struct sql_lexer all = lx;
	bool good = true;
	if (check_word(&lx, "create"))
		check_created(c, &lx, &all);
	else if (check_word(&lx, "alter table"))
		good = alter_table(c, &lx, &all);
	else if (check_word(&lx, "comment on"))
		good = comment_on(c, &lx);
	else
		good = check_word(&lx, "alter sequence"); /* an object of its own */
	if (!good)
		bad(c, &all);
}

static size_t seen_columns(const struct table *t)
{
	size_t n = 0;
	for (size_t i = 0; i < t->n_columns; i++)
		n += strstr(t->columns[i].options, "INHERITED") == NULL;
	return n;
}

/* The catalogue has all the dump has; has the dump all the catalogue has? Partitions and heirs are told in part. */
static void check_counts(struct check_table *c)
{
	const struct table *t = c->table;
	size_t identities = 0;
	if (t->partition[0] || strstr(t->options, "INHERITS"))
		return;
	for (size_t i = 0; i < t->n_columns; i++)
		identities += t->columns[i].identity[0] && strcmp(t->columns[i].identity, "serial") != 0;
	if (c->columns != seen_columns(t) || c->indexes != t->n_indexes || c->fks != t->n_fks ||
	    c->checks != t->n_checks || c->identities != identities || c->pk != (t->pk[0] != '\0'))
		check_fail(c->schema, c->table, "the catalogue has more of it than the dump", "", "");
}

/* Rules, policies and comments on them are objects that are not modelled; the table itself is. */
static bool is_object(const struct check_statement *st)
{
	struct sql_lexer lx = check_lexer(SQL_POSTGRESQL, st);
	bool comment = check_word(&lx, "comment on");
	if (!comment && !check_word(&lx, "create") && !check_word(&lx, "alter"))
		return false;
	return check_word(&lx, "rule") || check_word(&lx, "policy") || check_word(&lx, "statistics") ||
	       (comment && (check_word(&lx, "constraint") || check_word(&lx, "trigger")));
}

static void check_statements(struct schema *s, struct table *t, const struct check_statement *st, size_t n)
{
	struct check_table c = {.schema = s, .table = t, .text = buf_make(BUF_TEXT_MAX)};
	for (size_t i = 0; i < n; i++)
		check_statement(&c, &st[i]);
	check_counts(&c);
	buf_finish(&c.text);
}

/* ---- what belongs to no table ---- */

/* CREATE kind name: which kinds the catalogue tells, and as what. */
static const struct {
	const char *words, *kind;
} known[] = {
	{"view", "view"},
	{"recursive view", "view"},
	{"materialized view", "materialised view"},
	{"sequence", "sequence"},
	{"unlogged sequence", "sequence"},
	{"function", "function"},
	{"procedure", "procedure"},
	{"domain", "domain"},
	{"type", "type"},
	{"schema", "schema"},
	{"extension if not exists", "extension"},
	{"extension", "extension"},
};

/* The name behind CREATE FUNCTION is told with its arguments, and there may be several: that there is one will do,
 * for the catalogue has them all. */
static bool is_in_catalogue(struct checking *c, struct sql_lexer *lx, const char *kind)
{
	AUTO_BUF name = buf_make(BUF_TEXT_MAX);
	check_name(lx, &name);
	if (strcmp(kind, "function") == 0 || strcmp(kind, "procedure") == 0)
		return true;
	if (strcmp(kind, "type") == 0)
		return check_object(c, "type", name.data) || check_object(c, "enum type", name.data);
	return name.len && check_object(c, kind, name.data);
}

static bool is_setting(const struct sql_lexer *from)
{
	struct sql_lexer lx = *from;
	return check_word(&lx, "set") || check_word(&lx, "select set_config") || check_punct(&lx, '\\');
}

/* What a comment is on, as a name: "view v". */
static void comment_name(struct sql_lexer lx, struct buf *out)
{
	struct sql_token t;
	while (check_next(&lx, &t) && !sql_is(&t, "is")) {
		if (out->len)
			buf_addc(out, ' ');
		sql_unquote(&t, out);
	}
}

static void add_unmodelled(struct checking *c, struct sql_lexer lx, const struct check_statement *st, const char *table)
{
	static const char *const before[] = {"or replace", "temporary", "trusted", "procedural", "default"};
	AUTO_BUF kind = buf_make(BUF_TEXT_MAX);
	AUTO_BUF name = buf_make(BUF_TEXT_MAX);
	struct sql_token t;
	if (check_word(&lx, "comment on")) {
		comment_name(lx, &name);
		check_unmodelled(c, "comment", name.data ? name.data : "", table, st);
		return;
	}
	if (check_word(&lx, "create")) {
		for (size_t i = 0; i < ARRAY_SIZE(before); i++)
			check_word(&lx, before[i]);
		if (check_word(&lx, "event trigger"))
			buf_adds(&kind, "event trigger");
		else if (check_word(&lx, "foreign data wrapper"))
			buf_adds(&kind, "foreign data wrapper");
	}
	if (kind.len == 0 && check_next(&lx, &t))
		for (size_t i = 0; i < t.len && i < 40; i++)
			buf_addc(&kind, (char)tolower((unsigned char)t.s[i]));
	check_name(&lx, &name);
	check_unmodelled(c, kind.data ? kind.data : "statement", name.data ? name.data : "", table, st);
}

static void check_other(struct checking *c, const struct check_statement *st, const char *table)
{
	const struct sql_lexer all = check_lexer(SQL_POSTGRESQL, st);
	struct sql_lexer lx = all;
	if (is_setting(&all))
		return;
	if (check_word(&lx, "create"))
		for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
			struct sql_lexer at = lx;
			if (check_word(&at, known[i].words) && is_in_catalogue(c, &at, known[i].kind))
				return;
		}
	lx = all;
	/* Of a view or a materialised view: told by the catalogue. */
	if (*table && (check_word(&lx, "create trigger") || check_word(&lx, "create index") ||
		       check_word(&lx, "create unique index")))
		return;
	/* An index of a partition says whose it is itself, its comment too; what an extension says about itself came
	 * with it. */
	if (check_word(&lx, "alter index") || check_word(&lx, "comment on index") ||
	    check_word(&lx, "comment on extension"))
		return;
	add_unmodelled(c, all, st, table);
}

int schema_finish_postgresql(struct schema *s, const struct schema_text *text, struct err *err)
{
	static const struct check_rules rules = {SQL_POSTGRESQL, check_statements, check_other, is_object};
	mono_ms deadline = clock_deadline(CHECK_MAX_MS);
	for (size_t i = 0; i < s->n_tables; i++) {
		read_table(&s->tables[i]);
		if (check_time(deadline, err) < 0)
			return -1;
	}
	return check_dump(s, &rules, text->dump, text->dump_len, deadline, err);
}
