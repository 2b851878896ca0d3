/* SPDX-License-Identifier: MIT */
#include "migrations/schema_ddl.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* A column of a key before the collations are known. */
struct key_part {
	size_t column;
	const char *collation; /* NULL: the column's */
	bool desc;
};

/* A primary key or a UNIQUE constraint: each may have an index of its own, or share one. */
struct key {
	const char *name;
	struct key_part *parts;
	size_t n;
	bool primary;
};

struct ddl {
	struct schema *schema;
	struct table *table;
	struct buf *text;
	struct sql_lexer lx;
	struct sql_token t; /* the current one */
	struct key *keys;
	size_t n_keys;
	const char *constraint; /* the name in front of the next one, or "" */
	bool has_pk, pk_is_rowid, autoincrement, without_rowid, strict;
	size_t pk_column;
};

static void ddl_finish(struct ddl *d)
{
	for (size_t i = 0; i < d->n_keys; i++)
		free(d->keys[i].parts);
	free(d->keys);
}

void ddl_clear_table(struct table *t)
{
	free(t->columns);
	free(t->indexes);
	free(t->fks);
	free(t->checks);
	free(t->extras);
	*t = (struct table){0};
}

/* ---- tokens ---- */

static void next(struct ddl *d)
{
	sql_next(&d->lx, &d->t);
}

static bool accept(struct ddl *d, const char *word)
{
	if (!sql_is(&d->t, word))
		return false;
	next(d);
	return true;
}

static bool accept_punct(struct ddl *d, char c)
{
	if (!sql_is_punct(&d->t, c))
		return false;
	next(d);
	return true;
}

/* The group whose '(' is the current token; goes on behind its ')'. */
static bool group(struct ddl *d, struct sql_lexer *in)
{
	if (!sql_is_punct(&d->t, '('))
		return false;
	sql_skip_group(&d->lx, in);
	if (in->end == d->lx.end) /* not closed */
		return false;
	next(d);
	return true;
}

static bool is_name(const struct sql_token *t)
{
	if (t->kind == SQL_WORD)
		return !isdigit((unsigned char)*t->s) && *t->s != '$';
	return (t->kind == SQL_NAME || t->kind == SQL_STRING) && t->len > 2;
}

static const char *keep_name(struct ddl *d, const struct sql_token *t)
{
	if (t->kind == SQL_WORD)
		return schema_keep(d->schema, t->s, t->len);
	buf_reset(d->text);
	sql_unquote(t, d->text);
	return schema_str(d->schema, d->text->data);
}

static bool name(struct ddl *d, const char **out)
{
	if (!is_name(&d->t))
		return false;
	*out = keep_name(d, &d->t);
	next(d);
	return **out != '\0';
}

static const char *normal(struct ddl *d, const char *before, struct sql_lexer in, const char *after)
{
	sql_strip_brackets(&in);
	buf_reset(d->text);
	buf_adds(d->text, before);
	sql_normalise(in.p, (size_t)(in.end - in.p), d->text);
	buf_adds(d->text, after);
	return schema_str(d->schema, d->text->data);
}

static bool token_names(const struct sql_token *t, const char *text, struct buf *scratch)
{
	if (t->kind == SQL_WORD)
		return strlen(text) == t->len && strncasecmp(t->s, text, t->len) == 0;
	buf_reset(scratch);
	sql_unquote(t, scratch);
	return scratch->data && strcasecmp(scratch->data, text) == 0;
}

/* Index of the column, or n_columns. */
static size_t find_column(struct table *t, const struct sql_token *tok, struct buf *scratch)
{
	size_t i = 0;
	while (i < t->n_columns && !token_names(tok, t->columns[i].name, scratch))
		i++;
	return i;
}

/* ---- types and defaults ---- */

/* Words that are no part of a type. */
static bool ends_type(struct ddl *d)
{
	static const char *const words[] = {"constraint", "default",    "null",    "not", "primary",   "unique",
					    "check",      "references", "collate", "as",  "deferrable"};
	if (d->t.kind != SQL_WORD)
		return d->t.kind != SQL_NAME && d->t.kind != SQL_STRING;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (sql_is(&d->t, words[i]))
			return true;
	struct sql_lexer ahead = d->lx;
	struct sql_token t;
	return sql_is(&d->t, "generated") && sql_next(&ahead, &t) && sql_is(&t, "always");
}

/* (10), (10, 2), (-1) */
static bool is_type_size(const struct sql_lexer *in)
{
	size_t commas = 0;
	size_t digits = 0;
	for (const char *p = in->p; p < in->end; p++) {
		if (!isdigit((unsigned char)*p) && !strchr("+-., \t\r\n", *p))
			return false;
		commas += *p == ',';
		digits += isdigit((unsigned char)*p) != 0;
	}
	return commas <= 1 && digits > 0;
}

/* SQLite keeps these as what they are. */
static const char *standard_type(const char *s, size_t n)
{
	static const char *const types[] = {"ANY", "BLOB", "INT", "INTEGER", "REAL", "TEXT"};
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strlen(types[i]) == n && strncasecmp(types[i], s, n) == 0)
			return types[i];
	return NULL;
}

static bool read_type(struct ddl *d, const char **out)
{
	struct sql_lexer in;
	const struct sql_token first = d->t;
	const char *begin = d->t.s;
	const char *end = begin;
	while (!ends_type(d)) {
		if (d->t.kind == SQL_WORD && !is_name(&d->t))
			return false;
		end = d->t.s + d->t.len;
		next(d);
	}
	if (end > begin && sql_is_punct(&d->t, '(')) {
		if (!group(d, &in) || !is_type_size(&in))
			return false;
		end = in.end + 1;
	}
	if (end > begin && first.kind != SQL_WORD) { /* SQLite unquotes it, and forgets the rest */
		*out = keep_name(d, &first);
		return true;
	}
	const char *standard = standard_type(begin, (size_t)(end - begin));
	*out = standard ? standard : end > begin ? schema_keep(d->schema, begin, (size_t)(end - begin)) : "";
	return true;
}

/* Behind the number at p: 1, 1.5, .5, 1e-3, 0x1f. */
static const char *number_end(const char *p, const char *end)
{
	const char *begin = p;
	while (p < end && (isalnum((unsigned char)*p) || *p == '.' || *p == '_' ||
			   ((*p == '-' || *p == '+') && p > begin && (p[-1] == 'e' || p[-1] == 'E') &&
			    !(p - begin > 1 && (begin[1] == 'x' || begin[1] == 'X')))))
		p++;
	return p;
}

static bool begins_number(const struct sql_token *t)
{
	return (t->kind == SQL_WORD && isdigit((unsigned char)*t->s)) || sql_is_punct(t, '.');
}

static bool keep_default(struct ddl *d, struct column *c, const char *begin, const char *end)
{
	while (begin < end && isspace((unsigned char)*begin))
		begin++;
	while (end > begin && isspace((unsigned char)end[-1]))
		end--;
	c->dflt = schema_keep(d->schema, begin, (size_t)(end - begin));
	return end > begin;
}

/* Behind DEFAULT. */
static bool read_default(struct ddl *d, struct column *c)
{
	const char *begin = d->t.s;
	struct sql_lexer in;
	if (sql_is_punct(&d->t, '('))
		return group(d, &in) && keep_default(d, c, in.p, in.end);
	if (sql_is_punct(&d->t, '+') || sql_is_punct(&d->t, '-')) {
		next(d);
		if (!begins_number(&d->t))
			return false;
	}
	if (begins_number(&d->t)) {
		d->lx.p = number_end(d->t.s, d->lx.end);
	} else if (d->t.kind == SQL_WORD && d->t.len == 1 && (*d->t.s == 'x' || *d->t.s == 'X') &&
		   d->lx.p < d->lx.end && *d->lx.p == '\'') {
		next(d); /* x'01' */
	} else if (d->t.kind == SQL_PUNCT || d->t.kind == SQL_END) {
		return false;
	}
	const char *end = begins_number(&d->t) ? d->lx.p : d->t.s + d->t.len;
	next(d);
	return keep_default(d, c, begin, end);
}

/* ---- keys ---- */

/* ON CONFLICT x. column: NULL for a constraint of the table. */
static bool conflict(struct ddl *d, const struct column *column, const char *of)
{
	static const char *const actions[] = {"ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE"};
	if (!accept(d, "on"))
		return true;
	if (!accept(d, "conflict"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!accept(d, actions[i]))
			continue;
		if (i == 1) /* what goes without saying */
			return true;
		buf_reset(d->text);
		buf_addf(d->text, "%s%s%s on conflict %s", column ? column->name : "", column ? ": " : "", of,
			 actions[i]);
		*SCHEMA_ADD(d->table->extras, d->table->n_extras) = schema_str(d->schema, d->text->data);
		return true;
	}
	return false;
}

static const char *take_name(struct ddl *d)
{
	const char *taken = d->constraint;
	d->constraint = "";
	return taken;
}

static struct key *add_key(struct ddl *d, bool primary)
{
	struct key *k = SCHEMA_ADD(d->keys, d->n_keys);
	*k = (struct key){.name = take_name(d), .primary = primary};
	if (primary) {
		d->has_pk = true;
		d->table->pk_name = k->name;
	}
	return k;
}

static void add_part(struct key *k, struct key_part part)
{
	*SCHEMA_ADD(k->parts, k->n) = part;
}

static bool is_rowid_type(const struct ddl *d, size_t column)
{
	return strcmp(d->table->columns[column].type, "INTEGER") == 0;
}

/* "(a, b COLLATE x DESC)" of a table constraint. */
static bool read_key_parts(struct ddl *d, struct key *k)
{
	struct table *t = d->table;
	if (!accept_punct(d, '('))
		return false;
	do {
		struct key_part part = {.column = is_name(&d->t) ? find_column(t, &d->t, d->text) : t->n_columns};
		if (part.column == t->n_columns || k->n >= SCHEMA_MAX_COLUMNS)
			return false;
		next(d);
		if (accept(d, "collate") && !name(d, &part.collation))
			return false;
		part.desc = accept(d, "desc");
		if (!part.desc)
			accept(d, "asc");
		add_part(k, part);
	} while (accept_punct(d, ','));
	if (d->table->n_columns && sql_is(&d->t, "autoincrement"))
		d->autoincrement = accept(d, "autoincrement");
	return accept_punct(d, ')');
}

static bool room_for_key(const struct ddl *d, bool primary)
{
	return d->n_keys < DDL_MAX_KEYS && !(primary && d->has_pk);
}

/* ---- references ---- */

static bool read_action(struct ddl *d, const char **out)
{
	if (accept(d, "cascade"))
		*out = "CASCADE";
	else if (accept(d, "restrict"))
		*out = "RESTRICT";
	else if (accept(d, "no"))
		*out = accept(d, "action") ? "" : NULL;
	else if (accept(d, "set"))
		*out = accept(d, "null") ? "SET NULL" : accept(d, "default") ? "SET DEFAULT" : NULL;
	else
		return false;
	return *out != NULL;
}

static bool read_names(struct ddl *d, const char **out)
{
	AUTO_BUF list = buf_make(BUF_TEXT_MAX);
	const char *one;
	if (!accept_punct(d, '('))
		return false;
	do {
		if (!name(d, &one))
			return false;
		buf_addf(&list, "%s%s", list.len ? ", " : "", one);
	} while (accept_punct(d, ','));
	*out = schema_str(d->schema, list.data);
	return accept_punct(d, ')');
}

static bool read_match(struct ddl *d, struct foreign_key *fk)
{
	const char *match;
	if (!name(d, &match))
		return false;
	fk->match = strcasecmp(match, "full") == 0 ? "FULL" : strcasecmp(match, "partial") == 0 ? "PARTIAL" : "";
	return true;
}

/* Behind REFERENCES; fk->from is set. */
static bool read_references(struct ddl *d, struct foreign_key *fk)
{
	fk->name = take_name(d);
	fk->to = fk->on_update = fk->on_delete = fk->match = fk->deferrable = "";
	if (d->table->n_fks >= DDL_MAX_KEYS || !name(d, &fk->parent))
		return false;
	if (sql_is_punct(&d->t, '(') && !read_names(d, &fk->to))
		return false;
	for (;;) {
		if (accept(d, "match")) {
			if (!read_match(d, fk))
				return false;
		} else if (sql_is(&d->t, "on")) {
			next(d);
			bool update = accept(d, "update");
			if (!update && !accept(d, "delete"))
				return false;
			if (!read_action(d, update ? &fk->on_update : &fk->on_delete))
				return false;
		} else {
			break;
		}
	}
	*SCHEMA_ADD(d->table->fks, d->table->n_fks) = *fk;
	return true;
}

/* DEFERRABLE and NOT DEFERRABLE alone mean the same to SQLite: checked at once. */
static bool read_deferrable(struct ddl *d, bool not )
{
	struct table *t = d->table;
	bool deferred = false;
	if (accept(d, "initially")) {
		deferred = accept(d, "deferred");
		if (!deferred && !accept(d, "immediate"))
			return false;
	}
	if (t->n_fks == 0)
		return false;
	if (deferred && !not )
		t->fks[t->n_fks - 1].deferrable = "DEFERRABLE INITIALLY DEFERRED";
	return true;
}

/* ---- columns ---- */

static bool read_check(struct ddl *d)
{
	struct sql_lexer in;
	if (d->table->n_checks >= DDL_MAX_CHECKS || !group(d, &in))
		return false;
	*SCHEMA_ADD(d->table->checks, d->table->n_checks) =
		(struct check){.name = take_name(d), .expr = normal(d, "", in, "")};
	return true;
}

static bool column_pk(struct ddl *d, size_t at)
{
	struct column *c = &d->table->columns[at];
	if (!accept(d, "key") || !room_for_key(d, true))
		return false;
	bool desc = accept(d, "desc");
	if (!desc)
		accept(d, "asc");
	add_part(add_key(d, true), (struct key_part){.column = at, .desc = desc});
	d->pk_is_rowid = is_rowid_type(d, at) && !desc;
	d->pk_column = at;
	if (!conflict(d, c, "PRIMARY"))
		return false;
	if (sql_is(&d->t, "autoincrement"))
		d->autoincrement = accept(d, "autoincrement");
	return true;
}

static bool read_generated(struct ddl *d, struct column *c)
{
	struct sql_lexer in;
	if (!group(d, &in))
		return false;
	bool stored = accept(d, "stored");
	if (!stored)
		accept(d, "virtual");
	c->generated = normal(d, "(", in, stored ? ") STORED" : ") VIRTUAL");
	return true;
}

static bool column_clause(struct ddl *d, size_t at)
{
	struct column *c = &d->table->columns[at];
	struct foreign_key fk = {.from = c->name};
	if (accept(d, "constraint"))
		return name(d, &d->constraint);
	if (accept(d, "not")) {
		if (accept(d, "deferrable"))
			return read_deferrable(d, true);
		take_name(d);
		c->not_null = accept(d, "null");
		return c->not_null && conflict(d, c, "NOT");
	}
	if (accept(d, "null"))
		return conflict(d, c, "NULL");
	if (accept(d, "default"))
		return read_default(d, c);
	if (accept(d, "primary"))
		return column_pk(d, at);
	if (accept(d, "unique")) {
		if (!room_for_key(d, false))
			return false;
		add_part(add_key(d, false), (struct key_part){.column = at});
		return conflict(d, c, "UNIQUE");
	}
	if (accept(d, "check"))
		return read_check(d);
	if (accept(d, "references"))
		return read_references(d, &fk);
	if (accept(d, "deferrable"))
		return read_deferrable(d, false);
	if (accept(d, "collate"))
		return name(d, &c->collation);
	if (accept(d, "generated"))
		return accept(d, "always") && accept(d, "as") && read_generated(d, c);
	return accept(d, "as") && read_generated(d, c);
}

static bool ends_item(const struct ddl *d)
{
	return sql_is_punct(&d->t, ',') || sql_is_punct(&d->t, ')');
}

static bool read_column(struct ddl *d)
{
	struct table *t = d->table;
	struct column c = {.labels = "",
			   .collation = "",
			   .generated = "",
			   .on_update = "",
			   .comment = "",
			   .identity = "",
			   .options = ""};
	if (t->n_columns >= SCHEMA_MAX_COLUMNS || !is_name(&d->t) || find_column(t, &d->t, d->text) < t->n_columns)
		return false;
	if (!name(d, &c.name) || !read_type(d, &c.type))
		return false;
	*SCHEMA_ADD(t->columns, t->n_columns) = c;
	d->constraint = "";
	while (!ends_item(d))
		if (!column_clause(d, t->n_columns - 1))
			return false;
	return true;
}

/* ---- constraints of the table ---- */

static bool table_pk(struct ddl *d)
{
	if (!accept(d, "key") || !room_for_key(d, true))
		return false;
	struct key *k = add_key(d, true);
	if (!read_key_parts(d, k))
		return false;
	/* Even with DESC: that only counts WITHOUT ROWID. */
	d->pk_is_rowid = k->n == 1 && is_rowid_type(d, k->parts[0].column);
	d->pk_column = k->parts[0].column;
	return conflict(d, NULL, "PRIMARY");
}

static bool table_unique(struct ddl *d)
{
	return room_for_key(d, false) && read_key_parts(d, add_key(d, false)) && conflict(d, NULL, "UNIQUE");
}

/* The names as the table spells them. */
static bool own_names(struct ddl *d, const char **out)
{
	AUTO_BUF list = buf_make(BUF_TEXT_MAX);
	struct table *t = d->table;
	if (!accept_punct(d, '('))
		return false;
	do {
		size_t at = is_name(&d->t) ? find_column(t, &d->t, d->text) : t->n_columns;
		if (at == t->n_columns)
			return false;
		buf_addf(&list, "%s%s", list.len ? ", " : "", t->columns[at].name);
		next(d);
	} while (accept_punct(d, ','));
	*out = schema_str(d->schema, list.data);
	return accept_punct(d, ')');
}

static bool table_fk(struct ddl *d)
{
	struct foreign_key fk = {0};
	if (!accept(d, "key") || !own_names(d, &fk.from) || !accept(d, "references") || !read_references(d, &fk))
		return false;
	if (accept(d, "not"))
		return accept(d, "deferrable") && read_deferrable(d, true);
	return accept(d, "deferrable") ? read_deferrable(d, false) : true;
}

/* false when the item is no constraint of the table, or not understood: d->t stays then, or not. */
static bool table_constraint(struct ddl *d)
{
	d->constraint = "";
	if (accept(d, "constraint") && !name(d, &d->constraint))
		return false;
	bool good = accept(d, "primary")   ? table_pk(d)
		    : accept(d, "unique")  ? table_unique(d)
		    : accept(d, "check")   ? read_check(d) && conflict(d, NULL, "CHECK")
		    : accept(d, "foreign") ? table_fk(d)
					   : false;
	return good;
}

static bool begins_constraint(const struct ddl *d)
{
	return sql_is(&d->t, "constraint") || sql_is(&d->t, "primary") || sql_is(&d->t, "unique") ||
	       sql_is(&d->t, "check") || sql_is(&d->t, "foreign");
}

static bool read_body(struct ddl *d)
{
	bool columns = true;
	if (!accept_punct(d, '('))
		return false;
	do {
		columns = columns && !begins_constraint(d);
		if (columns ? !read_column(d) : !table_constraint(d))
			return false;
		/* The comma between constraints may be left out. */
		while (!columns && begins_constraint(d))
			if (!table_constraint(d))
				return false;
	} while (accept_punct(d, ','));
	return accept_punct(d, ')') && d->table->n_columns > 0;
}

static bool read_tail(struct ddl *d)
{
	do {
		if (d->t.kind == SQL_END)
			break;
		if (accept(d, "without")) {
			if (!accept(d, "rowid"))
				return false;
			d->without_rowid = true;
		} else if (accept(d, "strict")) {
			d->strict = true;
		} else {
			return false;
		}
	} while (accept_punct(d, ','));
	return d->t.kind == SQL_END;
}

/* ---- what follows from the whole ---- */

static const char *part_collation(const struct ddl *d, const struct key_part *p)
{
	return p->collation ? p->collation : d->table->columns[p->column].collation;
}

static bool is_binary(const char *collation)
{
	return collation[0] == '\0' || strcasecmp(collation, "BINARY") == 0;
}

static bool same_collation(const char *a, const char *b)
{
	return is_binary(a) ? is_binary(b) : strcasecmp(a, b) == 0;
}

static bool same_key(const struct ddl *d, const struct key *a, const struct key *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->parts[i].column != b->parts[i].column ||
		    !same_collation(part_collation(d, &a->parts[i]), part_collation(d, &b->parts[i])))
			return false;
	return true;
}

static void add_part_text(struct buf *out, const char *column, const char *collation, bool desc)
{
	if (out->len)
		buf_adds(out, ", ");
	buf_adds(out, column);
	if (!is_binary(collation))
		buf_addf(out, " COLLATE %s", collation);
	if (desc)
		buf_adds(out, " DESC");
}

static const char *key_text(struct ddl *d, const struct key *k)
{
	buf_reset(d->text);
	for (size_t i = 0; i < k->n; i++)
		add_part_text(d->text, d->table->columns[k->parts[i].column].name, part_collation(d, &k->parts[i]),
			      k->parts[i].desc);
	return schema_str(d->schema, d->text->data);
}

/* The key before it whose index it shares; itself when there is none. The rowid has none. */
static size_t first_alike(const struct ddl *d, size_t at)
{
	size_t i = 0;
	while (i < at && ((d->keys[i].primary && d->pk_is_rowid) || !same_key(d, &d->keys[i], &d->keys[at])))
		i++;
	return i;
}

static bool has_twice(const struct key *k)
{
	for (size_t i = 0; i < k->n; i++)
		for (size_t j = 0; j < i; j++)
			if (k->parts[i].column == k->parts[j].column)
				return true;
	return false;
}

static void add_unique(struct ddl *d, const struct key *k)
{
	*SCHEMA_ADD(d->table->indexes, d->table->n_indexes) = (struct index){
		.name = k->name,
		.parts = key_text(d, k),
		.where = "",
		.method = "",
		.include = "",
		.comment = "",
		.options = "",
		.unique = true,
		.constraint = true,
	};
}

static bool finish_keys(struct ddl *d)
{
	struct table *t = d->table;
	size_t pk = d->n_keys; /* the key whose index is the primary key's */
	for (size_t i = 0; i < d->n_keys; i++) {
		struct key *k = &d->keys[i];
		if (has_twice(k)) /* rare, and not the same WITHOUT ROWID */
			return false;
		if (k->primary)
			pk = d->pk_is_rowid ? i : first_alike(d, i);
	}
	for (size_t i = 0; i < d->n_keys; i++) {
		if (i == pk || first_alike(d, i) != i || (d->keys[i].primary))
			continue;
		add_unique(d, &d->keys[i]);
	}
	if (pk == d->n_keys)
		return !d->without_rowid && !d->autoincrement;
	if (d->pk_is_rowid && !d->without_rowid)
		t->pk = t->columns[d->pk_column].name;
	else
		t->pk = key_text(d, &d->keys[pk]);
	if (d->autoincrement && (!d->pk_is_rowid || d->without_rowid))
		return false;
	t->columns[d->pk_column].autoincrement = d->autoincrement;
	return true;
}

static void finish_columns(struct ddl *d)
{
	struct table *t = d->table;
	for (size_t i = 0; i < t->n_columns; i++)
		if (is_binary(t->columns[i].collation))
			t->columns[i].collation = "";
	for (size_t i = 0; i < d->n_keys; i++)
		for (size_t k = 0; d->keys[i].primary && k < d->keys[i].n; k++)
			if (d->without_rowid || (d->strict && !d->pk_is_rowid))
				t->columns[d->keys[i].parts[k].column].not_null = true;
	t->options = d->without_rowid ? d->strict ? "WITHOUT ROWID, STRICT" : "WITHOUT ROWID"
		     : d->strict      ? "STRICT"
				      : "";
}

static bool read_table(struct ddl *d)
{
	next(d);
	if (!read_body(d) || !read_tail(d))
		return false;
	finish_columns(d);
	return finish_keys(d);
}

bool ddl_read_table(struct schema *s, const struct sql_statement *st, struct table *t, struct buf *text,
		    const char **why)
{
	struct ddl d = {.schema = s, .table = t, .text = text, .lx = st->rest, .constraint = ""};
	*t = (struct table){
		.kind = "table",
		.options = "",
		.engine = "",
		.charset = "",
		.collation = "",
		.row_format = "",
		.comment = "",
		.partition = "",
		.pk = "",
		.pk_name = "",
		.text = "",
	};
	t->name = keep_name(&d, &st->name);
	bool good = is_name(&st->name) && read_table(&d);
	*why = d.t.s;
	ddl_finish(&d);
	if (!good)
		ddl_clear_table(t);
	return good;
}

/* ---- indexes ---- */

/* One part of an index: [begin, end) is the expression without its order. */
static bool add_index_part(struct ddl *d, const char *begin, const char *end, bool desc, struct buf *parts)
{
	struct sql_lexer lx = {.p = begin, .end = end};
	struct sql_token column;
	struct sql_token t;
	const char *collation = NULL;
	sql_strip_brackets(&lx);
	if (!sql_next(&lx, &column))
		return false;
	if (sql_next(&lx, &t) && sql_is(&t, "collate") && sql_next(&lx, &t) && is_name(&t)) {
		collation = keep_name(d, &t);
		sql_next(&lx, &t);
	}
	if (t.kind == SQL_END && column.kind != SQL_PUNCT) { /* a column, or something SQLite would not take */
		size_t at = is_name(&column) ? find_column(d->table, &column, d->text) : d->table->n_columns;
		if (at == d->table->n_columns)
			return false;
		const struct column *c = &d->table->columns[at];
		add_part_text(parts, c->name, collation ? collation : c->collation, desc);
		return true;
	}
	if (parts->len)
		buf_adds(parts, ", ");
	sql_normalise(begin, (size_t)(end - begin), parts);
	buf_adds(parts, desc ? " DESC" : "");
	return true;
}

static bool read_index_part(struct ddl *d, struct buf *parts)
{
	const char *begin = d->t.s;
	const char *end = begin;
	struct sql_lexer in;
	while (!ends_item(d)) {
		if (d->t.kind == SQL_END || sql_is(&d->t, "nulls"))
			return false;
		if (sql_is(&d->t, "asc") || sql_is(&d->t, "desc"))
			break;
		if (sql_is_punct(&d->t, '(')) {
			if (!group(d, &in))
				return false;
			end = in.end + 1;
		} else {
			end = d->t.s + d->t.len;
			next(d);
		}
	}
	bool desc = accept(d, "desc");
	if (!desc)
		accept(d, "asc");
	return ends_item(d) && end > begin && add_index_part(d, begin, end, desc, parts);
}

static bool read_index(struct ddl *d, struct index *ix)
{
	AUTO_BUF parts = buf_make(BUF_TEXT_MAX);
	next(d);
	if (!accept_punct(d, '('))
		return false;
	do {
		if (!read_index_part(d, &parts))
			return false;
	} while (accept_punct(d, ','));
	if (!accept_punct(d, ')'))
		return false;
	ix->parts = schema_str(d->schema, parts.data);
	if (d->t.kind == SQL_END)
		return true;
	struct sql_lexer where = d->lx;
	if (!sql_is(&d->t, "where") || !sql_next(&d->lx, &d->t))
		return false;
	ix->where = normal(d, "", where, "");
	return true;
}

/* CREATE UNIQUE INDEX */
static bool is_unique(const struct sql_statement *st)
{
	struct sql_lexer lx = {.p = st->s, .end = st->s + st->len};
	struct sql_token t;
	sql_next(&lx, &t);
	return sql_next(&lx, &t) && sql_is(&t, "unique");
}

bool ddl_read_index(struct schema *s, const struct sql_statement *st, struct table *t, struct buf *text,
		    const char **why)
{
	struct ddl d = {.schema = s, .table = t, .text = text, .lx = st->rest, .constraint = ""};
	struct index ix = {
		.where = "",
		.method = "",
		.include = "",
		.comment = "",
		.options = "",
		.unique = is_unique(st),
	};
	ix.name = keep_name(&d, &st->name);
	bool good = is_name(&st->name) && read_index(&d, &ix);
	*why = d.t.s;
	if (good)
		*SCHEMA_ADD(t->indexes, t->n_indexes) = ix;
	return good;
}
