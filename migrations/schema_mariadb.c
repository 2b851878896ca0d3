/* SPDX-License-Identifier: MIT */
/* MariaDB and MySQL: what the lines of the catalogue leave open, and the check against SHOW CREATE TABLE. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "migrations/schema_catalog.h"
#include "migrations/schema_check.h"

/* ---- what the catalogue says in words ---- */

static bool begins(const char *text, const char *with)
{
	return strncasecmp(text, with, strlen(with)) == 0;
}

static void add_option(struct buf *out, const char *text, size_t n)
{
	if (n == 0)
		return;
	if (out->len)
		buf_adds(out, ", ");
	buf_add(out, text, n);
}

/* One of EXTRA's words; several stand there with commas (MariaDB) or spaces (MySQL) between them. */
static size_t extra_word(struct schema *s, struct column *c, const char *p, struct buf *options)
{
	size_t n = strcspn(p, ",");
	if (begins(p, "auto_increment")) {
		c->autoincrement = true;
		return 14;
	}
	if (begins(p, "default_generated"))
		return 17;
	if (begins(p, "stored generated") || begins(p, "persistent generated")) {
		c->generated = "STORED";
		return strcspn(p, ",");
	}
	if (begins(p, "virtual generated")) {
		c->generated = "VIRTUAL";
		return 17;
	}
	if (begins(p, "on update ")) {
		n = strcspn(p + 10, ", ") + 10;
		c->on_update = schema_keep(s, p + 10, n - 10);
		return n;
	}
	add_option(options, p, n);
	return n;
}

static void read_extra(struct schema *s, struct column *c, struct buf *text)
{
	const char *expression = c->generated;
	const char *p = c->options;
	c->generated = "";
	buf_reset(text);
	while (*p) {
		if (*p == ' ' || *p == ',')
			p++;
		else
			p += extra_word(s, c, p, text);
	}
	c->options = schema_str(s, text->data);
	if (!c->generated[0])
		return;
	buf_reset(text);
	buf_addf(text, "(%s) %s", expression, c->generated);
	c->generated = schema_str(s, text->data);
}

static void read_column(struct schema *s, struct column *c, struct buf *text)
{
	size_t n = strlen(c->type);
	size_t word = begins(c->type, "enum(") ? 5 : begins(c->type, "set(") ? 4 : 0;
	/* What is DEFAULT NULL says so; without default there is none. */
	if (c->dflt && strcmp(c->dflt, "NULL") == 0)
		c->dflt = NULL;
	if (word && c->type[n - 1] == ')')
		c->labels = schema_keep(s, c->type + word, n - word - 1);
	if (c->options[0])
		read_extra(s, c, text);
	else
		c->generated = "";
}

/* "row_format=DYNAMIC key_block_size=8 partitioned" */
static void read_options(struct schema *s, struct table *t, struct buf *text)
{
	const char *p = t->options;
	buf_reset(text);
	while (*p) {
		size_t n = strcspn(p, " ");
		if (n > 11 && begins(p, "row_format="))
			t->row_format = schema_keep(s, p + 11, n - 11);
		else if (n != 11 || !begins(p, "partitioned"))
			add_option(text, p, n);
		p += n + strspn(p + n, " ");
	}
	t->options = schema_str(s, text->data);
}

static bool all_digits(const char *p)
{
	if (!*p)
		return false;
	while (isdigit((unsigned char)*p))
		p++;
	return *p == '\0';
}

/* An index without a name gets that of its first column, or that with _2. */
static bool is_own_index_name(const struct index *ix)
{
	size_t n = strcspn(ix->parts, ",( ");
	if (strncasecmp(ix->name, ix->parts, n) != 0)
		return false;
	return ix->name[n] == '\0' || (ix->name[n] == '_' && all_digits(ix->name + n + 1));
}

static bool is_own_fk_name(const struct table *t, const struct foreign_key *fk)
{
	size_t n = strlen(t->name);
	return strncmp(fk->name, t->name, n) == 0 && begins(fk->name + n, "_ibfk_") && all_digits(fk->name + n + 6);
}

static struct column *find_column(struct table *t, const char *name)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (strcmp(t->columns[i].name, name) == 0)
			return &t->columns[i];
	return NULL;
}

/* The check of a column has the column's name; others without name are numbered. */
static bool is_own_check_name(struct table *t, const struct check *ck)
{
	size_t n = strlen(t->name);
	if (find_column(t, ck->name))
		return true;
	if (begins(ck->name, "CONSTRAINT_"))
		return all_digits(ck->name + 11);
	return strncmp(ck->name, t->name, n) == 0 && begins(ck->name + n, "_chk_") && all_digits(ck->name + n + 5);
}

static void read_table(struct schema *s, struct table *t, struct buf *text)
{
	read_options(s, t, text);
	t->charset = schema_keep(s, t->collation, strcspn(t->collation, "_"));
	t->pk_name = "";
	for (size_t i = 0; i < t->n_columns; i++)
		read_column(s, &t->columns[i], text);
	for (size_t i = 0; i < t->n_indexes; i++)
		t->indexes[i].automatic = is_own_index_name(&t->indexes[i]);
	for (size_t i = 0; i < t->n_fks; i++)
		t->fks[i].automatic = is_own_fk_name(t, &t->fks[i]);
	for (size_t i = 0; i < t->n_checks; i++)
		t->checks[i].automatic = is_own_check_name(t, &t->checks[i]);
}

/* A column has no collation of its own when it has the table's: last, the check needs them. */
static void drop_collations(struct table *t)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (strcmp(t->columns[i].collation, t->collation) == 0)
			t->columns[i].collation = "";
}

/* ---- the check ---- */

/* One CREATE TABLE beside its model. */
struct check_table {
	struct schema *schema;
	struct table *table;
	struct buf text;
	size_t columns, indexes, fks, checks; /* seen */
	bool pk;
};

static void bad_item(struct check_table *c, const struct sql_lexer *item)
{
	check_fail(c->schema, c->table, "", item->p, item->end);
}

static bool eat_string(struct sql_lexer *lx, const char *text)
{
	struct sql_token t;
	return sql_next(lx, &t) && t.kind == SQL_STRING && check_means(SQL_MARIADB, &t, text);
}

static bool eat_check(struct check_table *c, struct sql_lexer *lx, const char *name)
{
	/* One of the table and one of a column may have the same name. */
	for (size_t i = 0, tried = 0; i < c->table->n_checks && tried < 2; i++) {
		if (strcasecmp(c->table->checks[i].name, name) != 0)
			continue;
		tried++;
		if (check_eat(lx, c->table->checks[i].expr)) {
			c->checks++;
			return true;
		}
	}
	return false;
}

/* What of a column was there. */
struct seen {
	bool not_null, dflt, on_update, autoincrement, comment, generated;
	size_t options;
};

static bool eat_generated(struct sql_lexer *lx, const struct column *col)
{
	if (check_eat(lx, col->generated))
		return true;
	/* What MariaDB called it before 10.2. */
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	size_t n = strlen(col->generated);
	if (n < 6 || strcmp(col->generated + n - 6, "STORED") != 0)
		return false;
	buf_add(&text, col->generated, n - 6);
	buf_adds(&text, "PERSISTENT");
	return check_eat(lx, text.data);
}

/* One clause behind a column's type. */
static bool eat_clause(struct check_table *c, struct sql_lexer *lx, const struct column *col, struct seen *seen)
{
	struct sql_token t;
	if (check_word(lx, "character set") || check_word(lx, "charset"))
		return check_next(lx, &t);
	if (check_word(lx, "collate"))
		return check_eat(lx, col->collation);
	if (check_word(lx, "not null"))
		return seen->not_null = true;
	if (check_word(lx, "generated always as") || check_word(lx, "as"))
		return seen->generated = eat_generated(lx, col);
	if (check_word(lx, "default"))
		return seen->dflt = check_eat(lx, col->dflt ? col->dflt : "NULL");
	if (check_word(lx, "on update"))
		return seen->on_update = check_eat(lx, col->on_update);
	if (check_word(lx, "auto_increment"))
		return seen->autoincrement = true;
	if (check_word(lx, "comment"))
		return seen->comment = eat_string(lx, col->comment);
	if (check_word(lx, "check"))
		return eat_check(c, lx, col->name);
	if (check_word(lx, "null"))
		return !col->not_null;
	const char *option = col->options;
	AUTO_FREE char *words = xstrdup(option);
	for (char *p = words; *p;) {
		size_t n = strcspn(p, ",");
		bool more = p[n] == ',';
		p[n] = '\0';
		if (check_word(lx, p)) {
			seen->options++;
			return true;
		}
		p += n + more + (more && p[n + 1] == ' ');
	}
	return false;
}

static bool saw_all(const struct column *col, const struct seen *seen)
{
	return seen->not_null == col->not_null && (!col->dflt || seen->dflt) &&
	       (!col->on_update[0] || seen->on_update) && seen->autoincrement == col->autoincrement &&
	       (!col->comment[0] || seen->comment) && (!col->generated[0] || seen->generated) &&
	       (!col->options[0] || seen->options > 0);
}

static bool is_row_time(const struct column *col)
{
	return begins(col->generated, "(ROW START)") || begins(col->generated, "(ROW END)");
}

static void check_column(struct check_table *c, struct sql_lexer *item, const struct sql_token *name)
{
	struct sql_lexer lx = *item;
	struct table *t = c->table;
	struct column *col = c->columns < t->n_columns ? &t->columns[c->columns] : NULL;
	struct seen seen = {0};
	lx.p = name->s + name->len;
	c->columns++;
	if (!col || !check_means(SQL_MARIADB, name, col->name) || !check_eat(&lx, col->type)) {
		bad_item(c, item);
		return;
	}
	if (is_row_time(col)) { /* of a table with system versioning: neither NULL nor STORED is said */
		seen.not_null = col->not_null;
		seen.generated = check_word(&lx, "generated always as") &&
				 (check_word(&lx, "row start") || check_word(&lx, "row end"));
	}
	while (!check_at_end(lx))
		if (!eat_clause(c, &lx, col, &seen)) {
			bad_item(c, item);
			return;
		}
	if (!saw_all(col, &seen))
		bad_item(c, item);
}

/* "(`a`,`b`(10) DESC)" and what may follow it. */
static bool eat_index(struct sql_lexer *lx, const struct index *ix, bool named_method)
{
	if (!check_eat(lx, ix->parts))
		return false;
	if (ix->method[0] && !named_method && (!check_word(lx, "using") || !check_eat(lx, ix->method)))
		return false;
	bool comment = ix->comment[0] == '\0';
	bool options = ix->options[0] == '\0';
	while (!check_at_end(*lx)) {
		if (!comment && check_word(lx, "comment") && eat_string(lx, ix->comment))
			comment = true;
		else if (!options && check_word(lx, ix->options))
			options = true;
		else if (!ix->method[0] && check_word(lx, "using btree"))
			continue;
		else
			return false;
	}
	return comment && options;
}

static void check_index(struct check_table *c, struct sql_lexer *item, bool unique, bool named_method)
{
	struct sql_lexer lx = *item;
	struct sql_token name;
	c->indexes++;
	if (unique || named_method)
		sql_next(&lx, &name); /* UNIQUE, FULLTEXT, SPATIAL */
	if (!check_word(&lx, "key") || !sql_next(&lx, &name)) {
		bad_item(c, item);
		return;
	}
	for (size_t i = 0; i < c->table->n_indexes; i++) {
		const struct index *ix = &c->table->indexes[i];
		if (!check_means(SQL_MARIADB, &name, ix->name))
			continue;
		if (ix->unique != unique || !eat_index(&lx, ix, named_method))
			break;
		return;
	}
	bad_item(c, item);
}

static bool eat_fk(struct check_table *c, struct sql_lexer *lx, const struct foreign_key *fk)
{
	buf_reset(&c->text);
	if (!check_eat(lx, fk->from) || !check_word(lx, "references"))
		return false;
	check_name(lx, &c->text);
	if (strcmp(c->text.data, fk->parent) != 0 || !check_eat(lx, fk->to))
		return false;
	bool update = false;
	bool delete = false;
	while (!check_at_end(*lx)) {
		if (check_word(lx, "on delete"))
			delete = check_eat(lx, fk->on_delete[0] ? fk->on_delete : "no action");
		else if (check_word(lx, "on update"))
			update = check_eat(lx, fk->on_update[0] ? fk->on_update : "no action");
		else
			return false;
	}
	/* RESTRICT is what goes without saying. */
	return (update || !fk->on_update[0] || begins(fk->on_update, "RESTRICT")) &&
	       (delete || !fk->on_delete[0] || begins(fk->on_delete, "RESTRICT"));
}

static const struct foreign_key *find_fk(const struct table *t, const struct sql_token *name)
{
	for (size_t i = 0; i < t->n_fks; i++)
		if (check_means(SQL_MARIADB, name, t->fks[i].name))
			return &t->fks[i];
	return NULL;
}

static void check_constraint(struct check_table *c, struct sql_lexer *item)
{
	struct sql_lexer lx = *item;
	struct sql_token t;
	sql_next(&lx, &t);
	sql_next(&lx, &t);
	if (check_word(&lx, "foreign key")) {
		c->fks++;
		const struct foreign_key *fk = find_fk(c->table, &t);
		if (fk && eat_fk(c, &lx, fk))
			return;
	} else if (check_word(&lx, "check")) {
		buf_reset(&c->text);
		sql_unquote(&t, &c->text);
		if (eat_check(c, &lx, c->text.data) && check_at_end(lx))
			return;
	}
	bad_item(c, item);
}

static void check_pk(struct check_table *c, struct sql_lexer *item)
{
	struct sql_lexer lx = *item;
	if (c->pk || !check_word(&lx, "primary key") || !check_eat(&lx, c->table->pk))
		bad_item(c, item);
	c->pk = true;
	check_word(&lx, "using btree");
	if (check_at_end(lx))
		return;
	for (size_t i = 0; i < c->table->n_extras; i++)
		if (begins(c->table->extras[i], "PRIMARY KEY"))
			return;
	bad_item(c, item);
}

static void check_body_item(struct check_table *c, struct sql_lexer *item)
{
	struct sql_lexer lx = *item;
	struct sql_token t;
	sql_next(&lx, &t);
	if (t.kind == SQL_NAME)
		check_column(c, item, &t);
	else if (sql_is(&t, "primary"))
		check_pk(c, item);
	else if (sql_is(&t, "unique") || sql_is(&t, "key"))
		check_index(c, item, sql_is(&t, "unique"), false);
	else if (sql_is(&t, "fulltext") || sql_is(&t, "spatial"))
		check_index(c, item, false, true);
	else if (sql_is(&t, "constraint"))
		check_constraint(c, item);
	else
		bad_item(c, item);
}

/* Whether the options of the model have name=value. */
static bool has_option(struct check_table *c, const struct sql_token *name, const struct sql_token *value)
{
	buf_reset(&c->text);
	sql_unquote(name, &c->text);
	buf_addc(&c->text, '=');
	sql_unquote(value, &c->text);
	for (const char *p = c->table->options; *p;) {
		size_t n = strcspn(p, ",");
		size_t quote = *p == '`'; /* engine-defined ones are quoted */
		AUTO_FREE char *one = xstrndup(p + quote, n - quote);
		char *back = quote ? strchr(one, '`') : NULL;
		if (back)
			memmove(back, back + 1, strlen(back));
		if (strcasecmp(one, c->text.data) == 0)
			return true;
		p += n + strspn(p + n, ", ");
	}
	return false;
}

static bool eat_table_option(struct check_table *c, struct sql_lexer *lx)
{
	struct table *t = c->table;
	struct sql_token name;
	struct sql_token value;
	check_word(lx, "default");
	if (check_word(lx, "with system versioning"))
		return begins(t->kind, "system versioned");
	if (!sql_next(lx, &name) || !check_punct(lx, '=') || !sql_next(lx, &value))
		return false;
	if (sql_is(&name, "engine"))
		return check_means(SQL_MARIADB, &value, t->engine);
	if (sql_is(&name, "charset"))
		return true; /* the collation tells */
	if (sql_is(&name, "collate"))
		return check_means(SQL_MARIADB, &value, t->collation);
	if (sql_is(&name, "comment"))
		return check_means(SQL_MARIADB, &value, t->comment);
	if (sql_is(&name, "auto_increment"))
		return true;
	if (sql_is(&name, "row_format"))
		return value.len == strlen(t->row_format) && strncasecmp(value.s, t->row_format, value.len) == 0;
	return has_option(c, &name, &value);
}

static void check_tail(struct check_table *c, struct sql_lexer lx)
{
	struct table *t = c->table;
	while (!check_at_end(lx)) {
		struct sql_lexer at = lx;
		check_punct(&lx, ',');
		if (check_word(&lx, "partition")) {
			buf_reset(&c->text);
			sql_normalise_as(SQL_MARIADB, lx.p, (size_t)(lx.end - lx.p), &c->text);
			t->partition = schema_str(c->schema, c->text.data);
			return;
		}
		if (!eat_table_option(c, &lx)) {
			bad_item(c, &at);
			return;
		}
	}
}

static void check_counts(struct check_table *c)
{
	const struct table *t = c->table;
	if (c->columns != t->n_columns || c->indexes != t->n_indexes || c->fks != t->n_fks ||
	    c->checks != t->n_checks || c->pk != (t->pk[0] != '\0'))
		check_fail(c->schema, c->table, "the catalogue has more of it than the dump", "", "");
}

static void check_create(struct schema *s, struct table *t, struct sql_lexer lx)
{
	struct check_table c = {.schema = s, .table = t, .text = buf_make(BUF_TEXT_MAX)};
	struct sql_lexer body;
	struct sql_lexer item;
	struct sql_token token;
	check_name(&lx, &c.text);
	if (sql_next(&lx, &token) && sql_is_punct(&token, '(')) {
		sql_skip_group(&lx, &body);
		for (size_t i = 0; i < CHECK_MAX_ITEMS && check_item(&body, &item); i++)
			check_body_item(&c, &item);
		if (!check_at_end(body))
			bad_item(&c, &body);
		check_counts(&c);
		check_tail(&c, lx);
	} else {
		check_fail(s, t, "", lx.p, lx.end);
	}
	buf_finish(&c.text);
}

static void check_statements(struct schema *s, struct table *t, const struct check_statement *st, size_t n)
{
	size_t tables = 0;
	for (size_t i = 0; i < n; i++) {
		struct sql_lexer lx = check_lexer(SQL_MARIADB, &st[i]);
		if (!check_word(&lx, "create table"))
			continue; /* a trigger: an object of its own */
		if (tables++ == 0)
			check_create(s, t, lx);
		else
			check_fail(s, t, "it is twice in the dump", "", "");
	}
	if (tables == 0)
		check_fail(s, t, "it is not in the dump", "", "");
}

/* All else is in information_schema; but the text of a sequence is only here. */
static void check_other(struct checking *c, const struct check_statement *st, const char *table)
{
	struct sql_lexer lx = check_lexer(SQL_MARIADB, st);
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	if (check_word(&lx, "create sequence")) {
		check_name(&lx, &text);
		struct object *o = check_object(c, "sequence", text.data);
		if (!o) {
			check_unmodelled(c, "sequence", text.data, "", st);
			return;
		}
		buf_reset(&text);
		sql_normalise_as(SQL_MARIADB, lx.p, (size_t)(lx.end - lx.p), &text);
		o->text = schema_str(check_schema(c), text.data);
	} else if (check_word(&lx, "create table")) {
		if (!check_object(c, "view", table)) /* a view that others need stands as a table first */
			check_unmodelled(c, "table", table, "", st);
	} else if (check_word(&lx, "create package")) {
		check_name(&lx, &text);
		check_unmodelled(c, "package", text.data, "", st);
	}
}

int schema_finish_mariadb(struct schema *s, const struct schema_text *text, struct err *err)
{
	static const struct check_rules rules = {SQL_MARIADB, check_statements, check_other, NULL};
	AUTO_BUF scratch = buf_make(BUF_TEXT_MAX);
	mono_ms deadline = clock_deadline(CHECK_MAX_MS);
	for (size_t i = 0; i < s->n_tables; i++) {
		read_table(s, &s->tables[i], &scratch);
		if (check_time(deadline, err) < 0)
			return -1;
	}
	if (check_dump(s, &rules, text->dump, text->dump_len, deadline, err) < 0)
		return -1;
	for (size_t i = 0; i < s->n_tables; i++)
		drop_collations(&s->tables[i]);
	return 0;
}
