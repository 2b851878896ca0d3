/* SPDX-License-Identifier: MIT */
#include "migrations/rows.h"

#include <string.h>

#include "base/text.h"
#include "migrations/schema_model.h"

struct nulls {
	const char *column;
	int64_t n;
};

struct row {
	const char *table;
	const char *token; /* "-" when it is not known */
	int64_t rows;
	bool has_nulls; /* the line says something about NULLs: what it does not list has none */
	struct nulls *nulls;
	size_t n_nulls;
};

struct rows {
	char *text; /* all names point into it */
	struct row *row;
	size_t n;
};

/* ---- reading ---- */

static int by_table(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->table, ((const struct row *)b)->table);
}

/* Cuts the field off that ends at the next TAB. NULL when there is none. */
static char *next_field(char **p)
{
	char *field = *p;
	if (!field)
		return NULL;
	char *tab = strchr(field, '\t');
	if (tab)
		*tab = '\0';
	*p = tab ? tab + 1 : NULL;
	return field;
}

static bool read_number(const char *s, int64_t *out)
{
	char *end;
	if (*s < '0' || *s > '9')
		return false;
	*out = strtoll(s, &end, 10);
	return *end == '\0';
}

/* "column=nulls": the name may have '=' in it. */
static void add_nulls(struct row *row, char *field)
{
	char *eq = strrchr(field, '=');
	int64_t n;
	if (!eq || eq == field || !read_number(eq + 1, &n))
		return;
	*eq = '\0';
	row->nulls = schema_room(row->nulls, row->n_nulls, sizeof(*row->nulls));
	row->nulls[row->n_nulls++] = (struct nulls){field, n};
}

static int by_column(const void *a, const void *b)
{
	return strcmp(((const struct nulls *)a)->column, ((const struct nulls *)b)->column);
}

static void add_line(struct rows *r, char *line)
{
	struct row row = {.table = next_field(&line)};
	const char *rows = next_field(&line);
	if (!rows || !read_number(rows, &row.rows))
		return;
	row.token = next_field(&line);
	row.has_nulls = row.token != NULL;
	if (!row.token || !*row.token)
		row.token = "-";
	for (char *field; (field = next_field(&line)) != NULL;)
		add_nulls(&row, field);
	if (row.n_nulls)
		qsort(row.nulls, row.n_nulls, sizeof(*row.nulls), by_column);
	r->row = schema_room(r->row, r->n, sizeof(*r->row));
	r->row[r->n++] = row;
}

struct rows *rows_read(const char *counts)
{
	struct rows *r = xcalloc(1, sizeof(*r));
	r->text = xstrdup(counts ? counts : "");
	for (char *line = r->text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		add_line(r, line);
	}
	if (r->n)
		qsort(r->row, r->n, sizeof(*r->row), by_table);
	return r;
}

void rows_free(struct rows *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		free(r->row[i].nulls);
	free(r->row);
	free(r->text);
	free(r);
}

void rows_freep(struct rows **r)
{
	rows_free(*r);
	*r = NULL;
}

static const struct row *find(const struct rows *r, const char *table)
{
	struct row key = {.table = table};
	return r->n ? bsearch(&key, r->row, r->n, sizeof(key), by_table) : NULL;
}

/* NULLs of a column, its name as it stands in the lines; -1: not listed. */
static int64_t nulls_of(const struct row *row, const char *column)
{
	struct nulls key = {.column = column};
	const struct nulls *found =
		row->n_nulls ? bsearch(&key, row->nulls, row->n_nulls, sizeof(key), by_column) : NULL;
	return found ? found->n : -1;
}

int64_t rows_of(const struct rows *r, const char *table)
{
	const struct row *row = find(r, table);
	return row ? row->rows : -1;
}

/* A box may tell any numbers: what is too much stays at the most. */
static int64_t sum_of(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

size_t rows_filled(const struct rows *r, int64_t *rows)
{
	size_t n = 0;
	*rows = 0;
	for (size_t i = 0; i < r->n; i++) {
		n += r->row[i].rows > 0;
		*rows = sum_of(*rows, r->row[i].rows);
	}
	return n;
}

/* A token is one number, or one for each part of a table ("12,13"): a part that came or went writes nothing anew. */
static bool tokens_meet(const char *a, const char *b)
{
	for (size_t n; *a; a += n + (a[n] == ',')) {
		n = strcspn(a, ",");
		for (const char *p = b; *p;) {
			size_t m = strcspn(p, ",");
			if (m == n && strncmp(a, p, n) == 0)
				return true;
			p += m + (p[m] == ',');
		}
	}
	return false;
}

void rows_rewritten(const struct rows *before, const struct rows *after, void (*fn)(void *ctx, const char *table),
		    void *ctx)
{
	for (size_t i = 0; i < after->n; i++) {
		const struct row *b = &after->row[i], *a = find(before, b->table);
		if (a && a->rows > 0 && b->rows > 0 && strcmp(a->token, "-") != 0 && strcmp(b->token, "-") != 0 &&
		    !tokens_meet(a->token, b->token))
			fn(ctx, b->table);
	}
}

/* ---- the schema's side ---- */

/* A name of the schema as counts have it: escaped by the database's look, made safe when it was stored. */
static void counted_name(const char *name, struct buf *out)
{
	AUTO_BUF escaped = buf_make(BUF_TEXT_MAX);
	for (; *name; name++) {
		if (*name == '\\' || *name == '\t' || *name == '\n')
			buf_addf(&escaped, "\\%c", *name == '\t' ? 't' : *name == '\n' ? 'n' : '\\');
		else
			buf_addc(&escaped, *name);
	}
	buf_reset(out);
	text_safe(out, escaped.data, escaped.len);
}

/* Nearly all names are: they stand in counts as they are. */
static bool is_plain(const char *name)
{
	for (; *name; name++)
		if (*name < ' ' || *name > '~' || *name == '\\')
			return false;
	return true;
}

bool rows_is_named(const char *name, const char *counted)
{
	if (strcmp(name, counted) == 0)
		return true;
	if (is_plain(name))
		return false;
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	counted_name(name, &safe);
	return strcmp(safe.data, counted) == 0;
}

static const struct table *find_table(const struct schema *s, const char *counted)
{
	for (size_t i = 0; s && i < s->n_tables; i++)
		if (rows_is_named(s->tables[i].name, counted))
			return &s->tables[i];
	return NULL;
}

static const struct column *find_column(const struct table *t, const char *name)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (strcmp(t->columns[i].name, name) == 0)
			return &t->columns[i];
	return NULL;
}

static int64_t values_of(const struct row *row, const char *column)
{
	int64_t nulls = nulls_of(row, column);
	if (nulls < 0 && !is_plain(column)) {
		AUTO_BUF counted = buf_make(BUF_TEXT_MAX);
		counted_name(column, &counted);
		nulls = nulls_of(row, counted.data);
	}
	return row->rows - (nulls > 0 ? nulls : 0);
}

static bool same_columns(const struct table *a, const struct table *b)
{
	if (a->n_columns != b->n_columns)
		return false;
	for (size_t i = 0; i < a->n_columns; i++)
		if (strcmp(a->columns[i].name, b->columns[i].name) != 0 ||
		    strcmp(a->columns[i].type, b->columns[i].type) != 0)
			return false;
	return true;
}

/* ---- comparing ---- */

struct comparison {
	const struct rows *before, *after;
	const struct schema *schema_before, *schema_after;
	void (*fn)(void *ctx, const struct rows_change *c);
	void *ctx;
};

static void tell(const struct comparison *c, enum rows_what what, const char *table, const char *column, int64_t before,
		 int64_t after)
{
	AUTO_BUF safe_table = buf_make(BUF_TEXT_MAX);
	AUTO_BUF safe_column = buf_make(BUF_TEXT_MAX);
	text_safe_line(&safe_table, table, strlen(table), 100);
	text_safe_line(&safe_column, column, strlen(column), 100);
	c->fn(c->ctx, &(struct rows_change){what, safe_table.data, safe_column.data, before, after});
}

static bool is_renamed(const struct comparison *c, const struct row *gone)
{
	const struct table *was = find_table(c->schema_before, gone->table);
	for (size_t i = 0; i < c->after->n; i++) {
		const struct row *now = &c->after->row[i];
		if (now->rows != gone->rows || find(c->before, now->table))
			continue;
		const struct table *is = find_table(c->schema_after, now->table);
		if (!was || !is || same_columns(was, is))
			return true;
	}
	return false;
}

/* A new column of the same type that has as many values, or more: defaults fill up what was NULL. */
static bool is_taken_over(const struct table *was, const struct table *is, const struct column *gone,
			  const struct row *after, int64_t values)
{
	for (size_t i = 0; i < is->n_columns; i++) {
		const struct column *now = &is->columns[i];
		if (!find_column(was, now->name) && strcmp(now->type, gone->type) == 0 &&
		    values_of(after, now->name) >= values)
			return true;
	}
	return false;
}

static void compare_columns(const struct comparison *c, const struct row *before, const struct row *after)
{
	const struct table *was = find_table(c->schema_before, before->table);
	const struct table *is = find_table(c->schema_after, after->table);
	int64_t rows_gone = before->rows > after->rows ? before->rows - after->rows : 0;
	if (!was || !is || !before->has_nulls || !after->has_nulls || before->rows == 0)
		return;
	for (size_t i = 0; i < was->n_columns; i++) {
		const struct column *column = &was->columns[i];
		int64_t had = values_of(before, column->name), has = values_of(after, column->name);
		if (find_column(is, column->name)) {
			if (had - has > rows_gone)
				tell(c, VALUES_LESS, before->table, column->name, had, has);
		} else if (had > 0 && !is_taken_over(was, is, column, after, had - rows_gone)) {
			tell(c, COLUMN_DROPPED, before->table, column->name, had, 0);
		}
	}
}

void rows_compare(const struct rows *before, const struct rows *after, const struct schema *schema_before,
		  const struct schema *schema_after, void (*fn)(void *ctx, const struct rows_change *c), void *ctx)
{
	struct comparison c = {before, after, schema_before, schema_after, fn, ctx};
	for (size_t i = 0; i < before->n; i++) {
		const struct row *was = &before->row[i];
		const struct row *is = find(after, was->table);
		if (!is && was->rows > 0 && !is_renamed(&c, was))
			tell(&c, TABLE_DROPPED, was->table, "", was->rows, 0);
		if (!is)
			continue;
		if (is->rows != was->rows)
			tell(&c, is->rows < was->rows ? ROWS_LESS : ROWS_MORE, was->table, "", was->rows, is->rows);
		compare_columns(&c, was, is);
	}
}

/* ---- side by side ---- */

struct pair {
	const struct row *a, *b;
	void (*fn)(void *ctx, const struct rows_difference *d);
	void *ctx;
};

static void tell_nulls(const struct pair *p, const char *column)
{
	int64_t a = nulls_of(p->a, column), b = nulls_of(p->b, column);
	struct rows_difference d = {p->a->table, column, a > 0 ? a : 0, b > 0 ? b : 0};
	if (d.a != d.b)
		p->fn(p->ctx, &d);
}

/* Both lists are sorted: each column once, whoever has it. */
static void compare_nulls(const struct pair *p)
{
	const struct row *a = p->a, *b = p->b;
	const char *last = NULL;
	for (size_t i = 0, j = 0; i < a->n_nulls || j < b->n_nulls;) {
		int d = i == a->n_nulls ? 1 : j == b->n_nulls ? -1 : strcmp(a->nulls[i].column, b->nulls[j].column);
		const char *column = d > 0 ? b->nulls[j].column : a->nulls[i].column;
		if (!last || strcmp(last, column) != 0)
			tell_nulls(p, column);
		last = column;
		i += d <= 0;
		j += d >= 0;
	}
}

void rows_differ(const struct rows *a, const struct rows *b, void (*fn)(void *ctx, const struct rows_difference *d),
		 void *ctx)
{
	for (size_t i = 0; i < a->n; i++) {
		struct pair p = {find(a, a->row[i].table), find(b, a->row[i].table), fn, ctx};
		/* A table that is told twice counts as bsearch() finds it, on both sides. */
		if (!p.b || p.a != &a->row[i])
			continue;
		if (p.a->rows != p.b->rows)
			fn(ctx, &(struct rows_difference){p.a->table, "", p.a->rows, p.b->rows});
		else
			compare_nulls(&p);
	}
}

/* ---- what was filled in ---- */

/* Without token and NULLs: of the new rows nobody knows these. */
char *rows_plus(const char *counts, const char *filled)
{
	CLEANUP(rows_freep) struct rows *plus = rows_read(filled), *all = rows_read(counts);
	struct buf out = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < all->n; i++) {
		int64_t more = rows_of(plus, all->row[i].table);
		int64_t sum = sum_of(all->row[i].rows, more > 0 ? more : 0);
		buf_addf(&out, "%s\t%lld\n", all->row[i].table, (long long)sum);
	}
	return buf_take(&out);
}

void rows_gained(const char *before, const char *after, struct buf *lines)
{
	CLEANUP(rows_freep) struct rows *a = rows_read(before), *b = rows_read(after);
	for (size_t i = 0; i < b->n; i++) {
		int64_t was = rows_of(a, b->row[i].table);
		int64_t more = b->row[i].rows - (was > 0 ? was : 0);
		if (more > 0)
			buf_addf(lines, "%s\t%lld\n", b->row[i].table, (long long)more);
	}
}
