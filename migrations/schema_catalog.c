/* SPDX-License-Identifier: MIT */
#include "migrations/schema_catalog.h"

#include <ctype.h>
#include <string.h>

enum { MAX_FIELDS = 2 * SCHEMA_MAX_COLUMNS + 16, MAX_OF_TABLE = 4000, MAX_EXTRAS = 50 };
#define MAX_MODEL ((size_t)64 << 20)

struct field {
	const char *s;
	size_t n;
};

struct catalog {
	struct schema *schema;
	enum sql_dialect dialect;
	struct field *fields; /* of the current line */
	size_t n_fields;
	size_t line;
	const char *why; /* the first thing that is wrong */
	struct named {
		const char *name;
		size_t at; /* in objects */
	} * views;         /* what has columns but is no table, sorted by name */
	size_t n_views;
	struct table *last;   /* the table of the line before */
	size_t last_view;     /* the view of the column before, + 1 */
	struct buf text;      /* scratch */
	struct buf view_text; /* columns of last_view */
};

static void catalog_finish(struct catalog *c)
{
	free(c->fields);
	free(c->views);
	buf_finish(&c->text);
	buf_finish(&c->view_text);
}

static void fail(struct catalog *c, const char *why)
{
	if (!c->why)
		c->why = why;
}

/* ---- fields ---- */

static void split(struct catalog *c, const char *p, const char *end)
{
	c->n_fields = 0;
	for (;;) {
		const char *tab = memchr(p, '\t', (size_t)(end - p));
		const char *to = tab ? tab : end;
		if (c->n_fields == MAX_FIELDS) {
			fail(c, "too many fields");
			return;
		}
		*SCHEMA_ADD(c->fields, c->n_fields) = (struct field){p, (size_t)(to - p)};
		if (!tab)
			return;
		p = tab + 1;
	}
}

static char unescaped(char c)
{
	switch (c) {
	case 't':
		return '\t';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case '\\':
		return '\\';
	default:
		return '\0'; /* unknown */
	}
}

static const char *unescape(struct catalog *c, const char *p, size_t n)
{
	const char *end = p + n;
	if (n == 0)
		return "";
	if (!memchr(p, '\\', n))
		return schema_keep(c->schema, p, n);
	buf_reset(&c->text);
	for (; p < end; p++) {
		char ch = *p;
		if (ch == '\\') {
			if (++p < end)
				ch = unescaped(*p);
			if (p >= end || ch == '\0') {
				fail(c, "an unknown escape");
				break;
			}
		}
		buf_addc(&c->text, ch);
	}
	return schema_str(c->schema, c->text.data);
}

/* Field i; "" when the line has none. */
static const char *get(struct catalog *c, size_t i)
{
	if (i >= c->n_fields) {
		fail(c, "too few fields");
		return "";
	}
	return unescape(c, c->fields[i].s, c->fields[i].n);
}

static const char *get_nullable(struct catalog *c, size_t i)
{
	const struct field *f = i < c->n_fields ? &c->fields[i] : NULL;
	if (f && f->n > 0 && f->s[0] == '=')
		return unescape(c, f->s + 1, f->n - 1);
	if (!f || f->n != 1 || f->s[0] != '-')
		fail(c, "a field that is neither NULL nor a value");
	return NULL;
}

static bool flag(struct catalog *c, size_t i, char letter)
{
	if (i >= c->n_fields)
		fail(c, "too few fields");
	return i < c->n_fields && c->fields[i].n > 0 && memchr(c->fields[i].s, letter, c->fields[i].n);
}

/* A field in normal form, without brackets around it. */
static const char *normal(struct catalog *c, const char *text)
{
	struct sql_lexer lx = {.p = text, .end = text + strlen(text), .dialect = c->dialect};
	if (!*text)
		return "";
	sql_strip_brackets(&lx);
	buf_reset(&c->text);
	sql_normalise_as(c->dialect, lx.p, (size_t)(lx.end - lx.p), &c->text);
	return schema_str(c->schema, c->text.data);
}

/* ---- names ---- */

void schema_add_name(struct buf *out, const char *name)
{
	bool plain = *name != '\0';
	for (const char *p = name; *p && plain; p++)
		plain = isalnum((unsigned char)*p) || *p == '_' || *p == '$' || (unsigned char)*p >= 0x80;
	if (plain) {
		buf_adds(out, name);
		return;
	}
	buf_addc(out, '"');
	for (const char *p = name; *p; p++) {
		buf_addc(out, *p);
		if (*p == '"')
			buf_addc(out, '"');
	}
	buf_addc(out, '"');
}

struct table *schema_find_table(const struct schema *s, const char *name)
{
	size_t low = 0;
	size_t high = s->n_tables;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = strcmp(s->tables[mid].name, name);
		if (d == 0)
			return &s->tables[mid];
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Index + 1 of the object that is a view of that name, 0 for none. */
static size_t find_view(const struct catalog *c, const char *name)
{
	size_t low = 0;
	size_t high = c->n_views;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = strcmp(c->views[mid].name, name);
		if (d == 0)
			return c->views[mid].at + 1;
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return 0;
}

static struct table *find_table(struct catalog *c, const char *name)
{
	if (!c->last || strcmp(c->last->name, name) != 0)
		c->last = schema_find_table(c->schema, name);
	return c->last;
}

/* The table a line belongs to; NULL and a complaint when there is none. */
static struct table *table_of(struct catalog *c)
{
	struct table *t = find_table(c, get(c, 1));
	if (!t)
		fail(c, "a table that is not there");
	return t;
}

static bool room(struct catalog *c, size_t n, size_t max)
{
	if (n >= max)
		fail(c, "too many of one table");
	return n < max;
}

/* ---- lines ---- */

static bool is_word(const struct catalog *c, const char *word)
{
	return c->n_fields > 0 && strlen(word) == c->fields[0].n && memcmp(c->fields[0].s, word, c->fields[0].n) == 0;
}

static struct object *add_object(struct catalog *c)
{
	struct schema *s = c->schema;
	if (s->n_objects >= SCHEMA_MAX_OBJECTS) {
		fail(c, "too many objects");
		return NULL;
	}
	struct object *o = SCHEMA_ADD(s->objects, s->n_objects);
	*o = (struct object){.kind = "", .name = "", .table = "", .text = "", .columns = "", .modelled = true};
	return o;
}

static void read_table(struct catalog *c)
{
	static const char *const others[] = {"view", "materialised view", "sequence"};
	struct schema *s = c->schema;
	const char *name = get(c, 1);
	const char *kind = get(c, 2);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct object *o = strcmp(kind, others[i]) == 0 ? add_object(c) : NULL;
		if (!o)
			continue;
		o->kind = others[i];
		o->name = name;
		*SCHEMA_ADD(c->views, c->n_views) = (struct named){name, s->n_objects - 1};
		return;
	}
	if (s->n_tables >= SCHEMA_MAX_OBJECTS) {
		fail(c, "too many tables");
		return;
	}
	*SCHEMA_ADD(s->tables, s->n_tables) = (struct table){
		.name = name,
		.kind = kind,
		.options = get(c, 3),
		.engine = get(c, 4),
		.charset = get(c, 5),
		.collation = get(c, 6),
		.row_format = get(c, 7),
		.comment = get(c, 8),
		.partition = get(c, 9),
		.pk = "",
		.pk_name = "",
		.text = "",
	};
}

static void end_view(struct catalog *c)
{
	if (c->last_view)
		c->schema->objects[c->last_view - 1].columns = schema_str(c->schema, c->view_text.data);
	c->last_view = 0;
	buf_reset(&c->view_text);
}

static void read_view_column(struct catalog *c, size_t view)
{
	if (view != c->last_view) {
		end_view(c);
		if (c->schema->objects[view - 1].columns[0])
			fail(c, "a view's columns in two places");
		c->last_view = view;
	}
	if (c->view_text.len)
		buf_adds(&c->view_text, ", ");
	schema_add_name(&c->view_text, get(c, 2));
	buf_addf(&c->view_text, " %s", get(c, 3));
}

static void read_column(struct catalog *c)
{
	const char *name = get(c, 1);
	struct table *t = find_table(c, name);
	size_t view = t ? 0 : find_view(c, name);
	if (view) {
		read_view_column(c, view);
		return;
	}
	if (!t) {
		fail(c, "a table that is not there");
		return;
	}
	if (!room(c, t->n_columns, SCHEMA_MAX_COLUMNS))
		return;
	*SCHEMA_ADD(t->columns, t->n_columns) = (struct column){
		.name = get(c, 2),
		.type = get(c, 3),
		.labels = get(c, 4),
		.dflt = get_nullable(c, 5),
		.collation = get(c, 6),
		.generated = get(c, 7),
		.on_update = get(c, 8),
		.comment = get(c, 9),
		.identity = get(c, 10),
		.options = get(c, 11),
		.not_null = flag(c, 12, 'n'),
	};
}

/* "a, lower(b) DESC" from the pairs that begin at field i. */
static const char *read_parts(struct catalog *c, size_t i)
{
	AUTO_BUF parts = buf_make(BUF_TEXT_MAX);
	for (; i + 1 < c->n_fields; i += 2) {
		const char *part = get(c, i);
		if (parts.len)
			buf_adds(&parts, ", ");
		if (*part == '.')
			schema_add_name(&parts, part + 1);
		else if (*part == '=')
			buf_adds(&parts, normal(c, part + 1));
		else
			fail(c, "a part that is neither a column nor an expression");
		buf_adds(&parts, get(c, i + 1));
	}
	if (parts.len == 0 || i != c->n_fields)
		fail(c, "an index without parts");
	return schema_str(c->schema, parts.data);
}

static void add_extra(struct catalog *c, struct table *t, const char *text)
{
	if (room(c, t->n_extras, MAX_EXTRAS))
		*SCHEMA_ADD(t->extras, t->n_extras) = text;
}

/* What a primary key can have besides columns: rare, so that it has no fields of its own. */
static void read_pk(struct catalog *c, struct table *t, const struct index *ix)
{
	if (t->pk[0])
		fail(c, "two primary keys");
	t->pk = ix->parts;
	t->pk_name = ix->name;
	if (!ix->include[0] && !ix->options[0] && !ix->method[0] && !ix->comment[0])
		return;
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	buf_adds(&text, "PRIMARY KEY");
	if (ix->method[0])
		buf_addf(&text, " USING %s", ix->method);
	if (ix->include[0])
		buf_addf(&text, " INCLUDE (%s)", ix->include);
	if (ix->options[0])
		buf_addf(&text, " %s", ix->options);
	if (ix->comment[0])
		buf_addf(&text, " COMMENT %s", ix->comment);
	add_extra(c, t, schema_str(c->schema, text.data));
}

static void read_index(struct catalog *c)
{
	bool pk = is_word(c, "pk");
	const char *name = get(c, 1);
	size_t view = find_view(c, name);
	struct table *t = view ? NULL : table_of(c);
	struct index ix = {
		.name = get(c, 2),
		.parts = read_parts(c, 9),
		.where = normal(c, get(c, 3)),
		.method = get(c, 4),
		.include = get(c, 5),
		.comment = get(c, 6),
		.options = get(c, 7),
		.unique = flag(c, 8, 'u'),
		.constraint = flag(c, 8, 'c'),
	};
	struct object *o = view ? add_object(c) : NULL;
	if (pk && t) {
		read_pk(c, t, &ix);
	} else if (t && room(c, t->n_indexes, MAX_OF_TABLE)) {
		*SCHEMA_ADD(t->indexes, t->n_indexes) = ix;
	} else if (o) { /* of a materialised view */
		buf_reset(&c->text);
		buf_addf(&c->text, "%s%s (%s) %s %s %s", ix.unique ? "UNIQUE " : "", ix.method, ix.parts, ix.include,
			 ix.where, ix.options);
		o->kind = "index";
		o->name = ix.name;
		o->table = name;
		o->text = schema_str(c->schema, c->text.data);
	}
}

static const char *every_second(struct catalog *c, size_t i)
{
	AUTO_BUF names = buf_make(BUF_TEXT_MAX);
	for (; i < c->n_fields; i += 2) {
		if (names.len)
			buf_adds(&names, ", ");
		schema_add_name(&names, get(c, i));
	}
	return schema_str(c->schema, names.data);
}

static void read_fk(struct catalog *c)
{
	struct table *t = table_of(c);
	if (c->n_fields < 11 || c->n_fields % 2 == 0)
		fail(c, "a foreign key without columns");
	if (!t || !room(c, t->n_fks, MAX_OF_TABLE))
		return;
	*SCHEMA_ADD(t->fks, t->n_fks) = (struct foreign_key){
		.name = get(c, 2),
		.parent = get(c, 3),
		.on_update = get(c, 4),
		.on_delete = get(c, 5),
		.match = get(c, 6),
		.deferrable = get(c, 7),
		.automatic = flag(c, 8, 'a'),
		.from = every_second(c, 9),
		.to = every_second(c, 10),
	};
}

static void read_check(struct catalog *c)
{
	struct table *t = table_of(c);
	if (t && room(c, t->n_checks, MAX_OF_TABLE))
		*SCHEMA_ADD(t->checks, t->n_checks) =
			(struct check){.name = get(c, 2), .expr = normal(c, get(c, 3)), .automatic = flag(c, 4, 'a')};
}

static void read_extra(struct catalog *c)
{
	struct table *t = table_of(c);
	if (t)
		add_extra(c, t, get(c, 2));
}

static const char *normal_text(struct catalog *c, const char *text)
{
	size_t n = strlen(text);
	while (n > 0 && (text[n - 1] == ';' || isspace((unsigned char)text[n - 1])))
		n--;
	buf_reset(&c->text);
	sql_normalise_as(c->dialect, text, n, &c->text);
	return schema_str(c->schema, c->text.data);
}

static void read_view(struct catalog *c)
{
	size_t view = find_view(c, get(c, 1));
	if (!view)
		fail(c, "a view that is not there");
	else
		c->schema->objects[view - 1].text = normal_text(c, get(c, 2));
}

static void read_object(struct catalog *c)
{
	struct object *o = add_object(c);
	if (!o)
		return;
	o->kind = get(c, 1);
	o->name = get(c, 2);
	o->table = get(c, 3);
	o->text = normal_text(c, get(c, 4));
	o->columns = get(c, 5);
	o->modelled = flag(c, 6, 'm');
	o->automatic = flag(c, 6, 'a');
}

/* ---- the whole ---- */

static const struct {
	const char *word;
	void (*read)(struct catalog *c);
	size_t fields; /* at least; exactly, unless pairs follow */
	bool pairs;
} lines[] = {
	{"column", read_column, 13, false}, {"index", read_index, 9, true},    {"pk", read_index, 9, true},
	{"fk", read_fk, 9, true},           {"check", read_check, 5, false},   {"extra", read_extra, 3, false},
	{"view", read_view, 3, false},      {"object", read_object, 7, false},
};

static void read_line(struct catalog *c, bool tables)
{
	bool is_table = is_word(c, "table");
	if (is_table) {
		if (tables && c->n_fields == 10)
			read_table(c);
		else if (tables)
			fail(c, "a number of fields a table has not");
		return;
	}
	for (size_t i = 0; !tables && i < ARRAY_SIZE(lines); i++)
		if (is_word(c, lines[i].word)) {
			if (c->n_fields < lines[i].fields || (!lines[i].pairs && c->n_fields > lines[i].fields))
				fail(c, "a number of fields it has not");
			else
				lines[i].read(c);
			return;
		}
	if (!tables)
		fail(c, "an unknown kind of line");
}

/* The first pass reads the tables, the second what belongs to them. */
static void read_lines(struct catalog *c, const char *p, const char *end, bool tables)
{
	for (c->line = 1; p < end && !c->why; c->line++) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *to = lf ? lf : end;
		bool is_table = to - p > 6 && memcmp(p, "table\t", 6) == 0;
		if (is_table || !tables) {
			split(c, p, to);
			if (!c->why)
				read_line(c, tables);
		}
		if (c->why)
			break;
		p = to + 1;
	}
}

static int by_table_name(const void *a, const void *b)
{
	return strcmp(((const struct table *)a)->name, ((const struct table *)b)->name);
}

static int by_view_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void sort_tables(struct catalog *c)
{
	struct schema *s = c->schema;
	if (s->n_tables > 1)
		qsort(s->tables, s->n_tables, sizeof(*s->tables), by_table_name);
	if (c->n_views > 1)
		qsort(c->views, c->n_views, sizeof(*c->views), by_view_name);
	for (size_t i = 1; i < s->n_tables; i++)
		if (strcmp(s->tables[i - 1].name, s->tables[i].name) == 0)
			fail(c, "a table twice");
	for (size_t i = 1; i < c->n_views; i++)
		if (strcmp(c->views[i - 1].name, c->views[i].name) == 0)
			fail(c, "a view twice");
}

int schema_read_catalog(struct schema *s, enum sql_dialect dialect, const char *model, size_t len, struct err *err)
{
	CLEANUP(catalog_finish)
	struct catalog c = {.schema = s,
			    .dialect = dialect,
			    .text = buf_make(MAX_MODEL + 4096),
			    .view_text = buf_make(MAX_MODEL + 4096)};
	if (len > MAX_MODEL)
		return err_set(err, ERR_STEP, 0, "schema: a description of %zu bytes is too large", len);
	if (len > 0 && memchr(model, '\0', len))
		fail(&c, "a NUL byte");
	if (!c.why)
		read_lines(&c, model, model + len, true);
	if (!c.why)
		sort_tables(&c);
	if (!c.why)
		read_lines(&c, model, model + len, false);
	end_view(&c);
	return c.why ? err_set(err, ERR_STEP, 0, "schema: line %zu of the catalogue: %s", c.line, c.why) : 0;
}
