/* SPDX-License-Identifier: MIT */
/* Tables of two engines: columns through canonical types, indexes and checks through normal forms. */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "migrations/schema_diff_state.h"
#include "migrations/schema_lex.h"

enum { MAX_PK = 4096 }; /* bytes of a primary key that is searched for names: servers allow 16 or 32 columns */

static bool is_engine(const char *engine, const char *name)
{
	return strcmp(engine, name) == 0;
}

/* ---- what is known of a table's columns ---- */

static bool is_rowid(const char *engine, const struct table *t, const struct column *c)
{
	return is_engine(engine, "sqlite") && strcasecmp(c->type, "INTEGER") == 0 && strcasecmp(t->pk, c->name) == 0;
}

static int by_any_case(const void *a, const void *b)
{
	return strcasecmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static bool is_textual(const struct canon_type *t)
{
	return t->family == CANON_TEXT || t->family == CANON_VARCHAR || t->family == CANON_CHAR;
}

/* What a check makes of its column's type; whether it says nothing more than that. */
static void apply_check(struct differ *d, struct cross_table *c, const char *expr, struct cross_check *out)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	char *column, *labels;
	canon_expression(expr, &text);
	*out = (struct cross_check){.column = SIZE_MAX, .labels = "", .def = text.len ? keep(d, text.data) : " "};
	enum canon_check kind = canon_check_of(text.data, &column, &labels);
	const struct item key = {.name = column ? column : ""};
	const struct item *at = column ? bsearch(&key, c->by_name.v, c->by_name.n, sizeof(key), by_any_case) : NULL;
	struct canon_type *t = at ? &c->types[at->at] : NULL;
	if (t && kind == CANON_CHECK_BOOLEAN) {
		out->dropped = t->family == CANON_BOOL || (t->family == CANON_INT && t->size <= 2);
		t->family = out->dropped ? CANON_BOOL : t->family;
	} else if (t && kind == CANON_CHECK_JSON) {
		out->dropped = t->family == CANON_JSON || t->family == CANON_TEXT;
		t->family = out->dropped ? CANON_JSON : t->family;
	} else if (t && kind == CANON_CHECK_LABELS && is_textual(t)) {
		out->column = at->at; /* used if the other side has an enumeration */
		out->labels = keep(d, labels);
	}
	free(column);
	free(labels);
}

struct cross_table cross_prepare(struct differ *d, const struct schema *s, const struct table *t)
{
	struct cross_table c = {.t = t, .engine = s->engine, .by_name = items_make(t->n_columns)};
	c.types = xcalloc(t->n_columns + 1, sizeof(*c.types));
	c.checks = xcalloc(t->n_checks + 1, sizeof(*c.checks));
	for (size_t i = 0; i < t->n_columns; i++) {
		const struct column *col = &t->columns[i];
		canon_type_parse(s->engine, col->type, col->labels, &c.types[i]);
		c.types[i].any_size = is_rowid(s->engine, t, col);
		c.by_name.v[i].name = col->name;
	}
	qsort(c.by_name.v, c.by_name.n, sizeof(*c.by_name.v), by_any_case);
	for (size_t i = 0; i < t->n_checks; i++)
		apply_check(d, &c, t->checks[i].expr, &c.checks[i]);
	return c;
}

void cross_finish(struct cross_table *c)
{
	free(c->types);
	free(c->checks);
	items_finish(&c->by_name);
}

/* Whether one list is so much longer that it cannot have the same labels: what is compared is bounded by the check. */
static bool much_longer(const char *labels, const char *check)
{
	size_t limit = 2 * strlen(check) + 16;
	return strnlen(labels, limit) == limit;
}

/* A text with CHECK (x IN ('a', 'b')) is what the other side calls an enumeration. */
static void drop_labels(struct cross_table *c, const struct items *columns, const struct cross_table *other)
{
	for (size_t i = 0; i < c->t->n_checks; i++) {
		struct cross_check *check = &c->checks[i];
		const struct item *mate = check->column == SIZE_MAX ? NULL : columns->v[check->column].mate;
		const struct canon_type *e = mate ? &other->types[mate->at] : NULL;
		if (!e || e->family != CANON_ENUM || much_longer(e->labels, check->labels) ||
		    !canon_same_labels(check->labels, e->labels))
			continue;
		check->dropped = true;
		c->types[check->column].family = CANON_ENUM;
		c->types[check->column].labels = check->labels;
	}
}

void cross_drop_checks(struct cross_table *a, const struct items *x, struct cross_table *b, const struct items *y)
{
	drop_labels(a, x, b);
	drop_labels(b, y, a);
}

/* ---- columns ---- */

struct pair {
	struct differ *d;
	const struct cross_table *ta, *tb;
	const struct column *a, *b;
	const struct canon_type *x, *y;
};

static void note_column(const struct pair *p, enum change_field field, enum change_class class, const char *a,
			const char *b)
{
	const struct schema_change r = {.op = CHANGE_CHANGE,
					.class = class,
					.kind = KIND_COLUMN,
					.field = field,
					.word = "column",
					.table = p->ta->t->name,
					.name = p->a->name,
					.a = a,
					.b = b};
	AUTO_FREE char *prefix = xasprintf("column %s", p->a->name);
	AUTO_FREE char *detail = xasprintf("%s → %s", a, b);
	note(p->d, &r, prefix, ": ", detail);
}

/* A type with its labels where the word alone does not tell them. */
static char *type_text(const struct column *c)
{
	bool spelled = !c->labels[0] || strchr(c->type, '(');
	return xasprintf("%s%s%s%s", c->type[0] ? c->type : "no type", spelled ? "" : " (", spelled ? "" : c->labels,
			 spelled ? "" : ")");
}

static void compare_types(const struct pair *p)
{
	static const struct {
		enum change_field field;
		enum change_class class;
	} told[] = {
		[CANON_SAME_UNSIGNED] = {FIELD_UNSIGNED, CHANGE_COSMETIC},
		[CANON_SAME_TEXT] = {FIELD_TEXT_TYPE, CHANGE_COSMETIC},
		[CANON_SAME_ENUM] = {FIELD_ENUM, CHANGE_COSMETIC},
		[CANON_TEXT_LIMIT] = {FIELD_TEXT_TYPE, CHANGE_STRUCTURAL},
		[CANON_OTHER_LABELS] = {FIELD_ENUM, CHANGE_STRUCTURAL},
		[CANON_DIFFERENT] = {FIELD_TYPE, CHANGE_STRUCTURAL},
	};
	enum canon_match m = canon_types(p->x, p->y, p->d->equates);
	if (m == CANON_SAME)
		return;
	AUTO_FREE char *a = type_text(p->a);
	AUTO_FREE char *b = type_text(p->b);
	note_column(p, told[m].field, told[m].class, a, b);
}

/* Whether a column is part of the primary key, which is never null on a server, and in SQLite is by accident. */
static bool in_pk(const struct table *t, const char *column)
{
	size_t n = strlen(column);
	if (strnlen(t->pk, MAX_PK) == MAX_PK)
		return false;
	for (const char *p = t->pk; p && *p; p = strstr(p, ", "), p = p ? p + 2 : NULL)
		if (strncasecmp(p, column, n) == 0 && (p[n] == '\0' || p[n] == ',' || p[n] == ' ' || p[n] == '('))
			return true;
	return false;
}

static void compare_null(const struct pair *p)
{
	if (p->a->not_null == p->b->not_null)
		return;
	bool a = p->a->not_null || in_pk(p->ta->t, p->a->name);
	bool b = p->b->not_null || in_pk(p->tb->t, p->b->name);
	if (a != b)
		note_column(p, FIELD_NULL, CHANGE_STRUCTURAL, a ? "NOT NULL" : "NULL", b ? "NOT NULL" : "NULL");
}

static char escaped_char(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	default:
		return c;
	}
}

/* A default as the standard spells it: MariaDB's catalogue has what was escaped in a text escaped again. */
static void add_default(const char *engine, const struct canon_type *type, const char *dflt, struct buf *out)
{
	if (!dflt || dflt[0] != '\'' || !strchr(dflt, '\\') || !is_engine(engine, "mariadb")) {
		canon_default(type, dflt, out);
		return;
	}
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	for (const char *p = dflt; *p; p++) {
		bool escaped = *p == '\\' && p[1];
		p += escaped;
		char c = *p;
		if (escaped)
			c = escaped_char(c);
		buf_addc(&text, c);
	}
	canon_default(type, text.data, out);
}

static void compare_defaults(const struct pair *p)
{
	if (same_text(p->a->dflt, p->b->dflt))
		return;
	AUTO_BUF a = buf_make(BUF_TEXT_MAX);
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	add_default(p->ta->engine, p->x, p->a->dflt, &a);
	add_default(p->tb->engine, p->y, p->b->dflt, &b);
	if (strcmp(a.data, b.data) == 0)
		return;
	AUTO_FREE char *was = a.len ? xasprintf("DEFAULT %s", p->a->dflt) : xstrdup("no default");
	AUTO_FREE char *is = b.len ? xasprintf("DEFAULT %s", p->b->dflt) : xstrdup("no default");
	note_column(p, FIELD_DEFAULT, CHANGE_STRUCTURAL, was, is);
}

/* "(a + b) STORED": whether stored or not is the engine's affair. */
static void add_generated(const char *generated, struct buf *out)
{
	const char *end = strrchr(generated, ')');
	AUTO_FREE char *expr = xstrndup(generated, end ? (size_t)(end - generated) + 1 : strlen(generated));
	canon_expression(expr, out);
}

static void compare_generated(const struct pair *p)
{
	AUTO_BUF a = buf_make(BUF_TEXT_MAX);
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	if (p->a->generated[0])
		add_generated(p->a->generated, &a);
	if (p->b->generated[0])
		add_generated(p->b->generated, &b);
	if (strcmp(a.data, b.data) != 0)
		note_column(p, FIELD_GENERATED, CHANGE_STRUCTURAL, a.len ? p->a->generated : "not generated",
			    b.len ? p->b->generated : "not generated");
}

static bool is_counted(const struct column *c)
{
	return c->autoincrement || c->identity[0] || (c->dflt && canon_is_nextval(c->dflt));
}

/* SQLite numbers every INTEGER PRIMARY KEY, and nothing else: there is nothing to compare. */
static void compare_identity(const struct pair *p)
{
	bool a = is_counted(p->a);
	bool b = is_counted(p->b);
	if (is_engine(p->ta->engine, "sqlite") || is_engine(p->tb->engine, "sqlite") || a == b)
		return;
	note_column(p, FIELD_IDENTITY, CHANGE_STRUCTURAL, a ? "numbered" : "not numbered",
		    b ? "numbered" : "not numbered");
}

static void compare_comments(const struct pair *p)
{
	if (is_engine(p->ta->engine, "sqlite") || is_engine(p->tb->engine, "sqlite") ||
	    strcmp(p->a->comment, p->b->comment) == 0)
		return;
	note_column(p, FIELD_COMMENT, CHANGE_COSMETIC, p->a->comment[0] ? p->a->comment : "no comment",
		    p->b->comment[0] ? p->b->comment : "no comment");
}

void cross_columns(struct differ *d, const struct cross_table *a, size_t i, const struct cross_table *b, size_t k)
{
	const struct pair p = {.d = d,
			       .ta = a,
			       .tb = b,
			       .a = &a->t->columns[i],
			       .b = &b->t->columns[k],
			       .x = &a->types[i],
			       .y = &b->types[k]};
	compare_types(&p);
	compare_null(&p);
	compare_defaults(&p);
	compare_generated(&p);
	compare_identity(&p);
	compare_comments(&p);
}

/* ---- indexes ---- */

/* The end of the part that begins at p: the next comma outside brackets and quotes. */
static const char *part_end(const char *p)
{
	int depth = 0;
	for (char quote = '\0'; *p; p++) {
		if (quote && *p == quote) {
			quote = '\0';
		} else if (quote) {
			continue;
		} else if (*p == '\'' || *p == '"' || *p == '`') {
			quote = *p;
		} else {
			depth += (*p == '(') - (*p == ')');
			if (*p == ',' && depth <= 0)
				break;
		}
	}
	return p;
}

/* Cuts " word" and what is behind it off. */
static bool cut_word(char *part, const char *word)
{
	size_t n = strlen(word);
	for (char *p = part; (p = strcasestr(p, word)); p++) {
		if (p > part && p[-1] == ' ' && (p[n] == '\0' || p[n] == ' ')) {
			p[-1] = '\0';
			return true;
		}
	}
	return false;
}

/* "c(10)": MariaDB's beginning of a column. */
static void cut_prefix(char *part)
{
	char *open = strchr(part, '(');
	if (open && open > part && open[1] && open[1 + strspn(open + 1, "0123456789")] == ')' &&
	    open[2 + strspn(open + 1, "0123456789")] == '\0')
		*open = '\0';
}

/* One part in normal form: collations, operator classes and the place of NULLs are the engine's own. */
static void add_part(struct differ *d, const char *engine, char *part, struct buf *out)
{
	bool desc = cut_word(part, "DESC");
	cut_word(part, "ASC");
	cut_word(part, "NULLS");
	cut_word(part, "COLLATE");
	if (is_engine(engine, "mariadb"))
		cut_prefix(part);
	const char *bare = bare_name(d, part);
	if (bare != part) {
		buf_adds(out, name_key(d, bare));
	} else if (part[strcspn(part, "( ")] == '(') {
		canon_expression(part, out);
	} else {
		/* "a text_pattern_ops" of PostgreSQL; a name with a blank in it loses the rest on both sides. */
		if (is_engine(engine, "postgresql") && strstr(part, "_ops"))
			part[strcspn(part, " ")] = '\0';
		buf_adds(out, name_key(d, part));
	}
	buf_adds(out, desc ? " desc" : "");
}

static void add_parts(struct differ *d, const char *engine, const char *parts, struct buf *out)
{
	for (const char *p = parts; *p;) {
		const char *end = part_end(p);
		AUTO_FREE char *part = xstrndup(p, (size_t)(end - p));
		if (p > parts)
			buf_adds(out, ", ");
		add_part(d, engine, part, out);
		p = end + (*end == ',');
		p += strspn(p, " ");
	}
}

const char *cross_index_def(struct differ *d, const char *engine, const struct index *ix)
{
	AUTO_BUF def = buf_make(BUF_TEXT_MAX);
	buf_adds(&def, ix->unique ? "unique (" : "(");
	add_parts(d, engine, ix->parts, &def);
	buf_addc(&def, ')');
	if (ix->where[0]) {
		buf_adds(&def, " where ");
		canon_expression(ix->where, &def);
	}
	return keep(d, def.data);
}

/* Whether an index on parts begins with these columns. */
static bool leads(const char *parts, const char *columns)
{
	size_t n = strlen(columns);
	return n > 0 && strncasecmp(parts, columns, n) == 0 && (parts[n] == '\0' || parts[n] == ',' || parts[n] == ' ');
}

bool cross_is_fk_index(const struct differ *d, const struct schema *s, const struct table *t, const struct index *ix)
{
	bool here = is_engine(s->engine, "mariadb");
	bool there = is_engine(s == d->a ? d->b->engine : d->a->engine, "mariadb");
	if (ix->unique || ix->where[0] || !(here || there))
		return false;
	for (size_t i = 0; i < t->n_fks && i < CROSS_MAX_FKS; i++) {
		const char *from = t->fks[i].from;
		/* There MariaDB may have found another index that begins with the columns good enough. */
		if (here ? leads(ix->parts, from) : strcasecmp(ix->parts, from) == 0)
			return true;
	}
	return false;
}

bool cross_is_special(const struct index *ix)
{
	return ix->method[0] || strstr(ix->parts, "_ops");
}
