/* SPDX-License-Identifier: MIT */
#include "migrations/schema.h"

#include <string.h>
#include <strings.h>

#include "migrations/schema_catalog.h"
#include "migrations/schema_check.h"
#include "migrations/schema_lex.h"
#include "migrations/schema_model.h"

/* ---- memory ---- */

enum { BLOCK_SIZE = 64 << 10 };

struct schema_block {
	struct schema_block *next;
	size_t used, size;
	char data[];
};

struct schema *schema_new(void)
{
	return xcalloc(1, sizeof(struct schema));
}

void schema_free(struct schema *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_tables; i++) {
		struct table *t = &s->tables[i];
		free(t->columns);
		free(t->indexes);
		free(t->fks);
		free(t->checks);
		free(t->extras);
	}
	free(s->tables);
	free(s->objects);
	while (s->blocks) {
		struct schema_block *b = s->blocks;
		s->blocks = b->next;
		free(b);
	}
	free(s);
}

void schema_freep(struct schema **s)
{
	schema_free(*s);
}

const char *schema_keep(struct schema *s, const char *text, size_t n)
{
	struct schema_block *b = s->blocks;
	if (!b || b->size - b->used <= n) {
		size_t size = n + 1 > BLOCK_SIZE ? n + 1 : BLOCK_SIZE;
		b = xcalloc(1, sizeof(*b) + size);
		b->size = size;
		b->next = s->blocks;
		s->blocks = b;
	}
	char *copy = b->data + b->used;
	memcpy(copy, text, n);
	copy[n] = '\0';
	b->used += n + 1;
	return copy;
}

const char *schema_str(struct schema *s, const char *text)
{
	return text && *text ? schema_keep(s, text, strlen(text)) : "";
}

void *schema_room(void *items, size_t n, size_t size)
{
	return (n & (n - 1)) == 0 ? xrealloc(items, n ? 2 * n : 1, size) : items;
}

/* ---- order ---- */

static int by_table_name(const void *a, const void *b)
{
	return strcmp(((const struct table *)a)->name, ((const struct table *)b)->name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int first_of(int a, int b)
{
	return a ? a : b;
}

static int by_index(const void *a, const void *b)
{
	const struct index *x = a;
	const struct index *y = b;
	return first_of(strcmp(x->name, y->name), strcmp(x->parts, y->parts));
}

static int by_fk(const void *a, const void *b)
{
	const struct foreign_key *x = a;
	const struct foreign_key *y = b;
	int d = first_of(first_of(strcmp(x->from, y->from), strcmp(x->parent, y->parent)),
			 first_of(strcmp(x->to, y->to), strcmp(x->on_update, y->on_update)));
	return first_of(first_of(d, strcmp(x->on_delete, y->on_delete)),
			first_of(strcmp(x->deferrable, y->deferrable), strcmp(x->name, y->name)));
}

static int by_check(const void *a, const void *b)
{
	const struct check *x = a;
	const struct check *y = b;
	return first_of(strcmp(x->expr, y->expr), strcmp(x->name, y->name));
}

static int by_object(const void *a, const void *b)
{
	const struct object *x = a;
	const struct object *y = b;
	return first_of(first_of(strcmp(x->table, y->table), strcmp(x->kind, y->kind)),
			first_of(strcmp(x->name, y->name), strcmp(x->text, y->text)));
}

static void sort(void *items, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	if (n > 1)
		qsort(items, n, size, cmp);
}

void schema_sort(struct schema *s)
{
	sort(s->tables, s->n_tables, sizeof(*s->tables), by_table_name);
	sort(s->objects, s->n_objects, sizeof(*s->objects), by_object);
	for (size_t i = 0; i < s->n_tables; i++) {
		struct table *t = &s->tables[i];
		sort(t->indexes, t->n_indexes, sizeof(*t->indexes), by_index);
		sort(t->fks, t->n_fks, sizeof(*t->fks), by_fk);
		sort(t->checks, t->n_checks, sizeof(*t->checks), by_check);
		sort(t->extras, t->n_extras, sizeof(*t->extras), by_text);
	}
}

/* ---- reading ---- */

static int read_server(struct schema *s, enum sql_dialect dialect, const struct schema_text *text, struct err *err)
{
	if (text->model_len == 0 && text->dump_len > 0)
		return err_set(err, ERR_STEP, 0, "schema of %s: its catalogue is not described", s->engine);
	if (schema_read_catalog(s, dialect, text->model, text->model_len, err) < 0)
		return -1;
	return dialect == SQL_MARIADB ? schema_finish_mariadb(s, text, err) : schema_finish_postgresql(s, text, err);
}

struct schema *schema_read(const char *engine, const struct schema_text *text, struct err *err)
{
	static const struct {
		const char *name;
		enum sql_dialect dialect;
	} engines[] = {{"sqlite", SQL_SQLITE}, {"mariadb", SQL_MARIADB}, {"postgresql", SQL_POSTGRESQL}};
	CLEANUP(schema_freep) struct schema *s = schema_new();
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		if (strcmp(engine, engines[i].name) != 0)
			continue;
		enum sql_dialect dialect = engines[i].dialect;
		s->engine = engines[i].name;
		int rc = dialect == SQL_SQLITE ? schema_read_sqlite(s, text->dump, text->dump_len, err)
					       : read_server(s, dialect, text, err);
		if (rc < 0)
			return NULL;
		schema_sort(s);
		return TAKE(s);
	}
	err_set(err, ERR_STEP, 0, "schema of %s: only its text can be compared", engine);
	return NULL;
}

static bool names(const struct sql_token *t, const char *name)
{
	AUTO_BUF plain = buf_make(BUF_TEXT_MAX);
	sql_unquote(t, &plain);
	return strcasecmp(plain.data, name) == 0;
}

static size_t server_table_text(const char *dump, size_t len, enum sql_dialect dialect, const char *table,
				struct buf *out)
{
	const char *p = dump;
	struct check_statement st;
	size_t n = 0;
	while (check_next_statement(dialect, &p, dump + len, &st)) {
		AUTO_BUF name = buf_make(BUF_TEXT_MAX);
		check_table_of(dialect, &st, &name);
		if (name.len == 0 || strcasecmp(name.data, table) != 0)
			continue;
		buf_add(out, st.s, st.len);
		buf_adds(out, ";\n");
		n++;
	}
	return n;
}

size_t schema_table_text(const char *dump, size_t len, const char *engine, const char *table, struct buf *out)
{
	const char *p = dump;
	struct sql_statement st;
	size_t n = 0;
	if (strcmp(engine, "mariadb") == 0)
		return server_table_text(dump, len, SQL_MARIADB, table, out);
	if (strcmp(engine, "postgresql") == 0)
		return server_table_text(dump, len, SQL_POSTGRESQL, table, out);
	while (sql_next_statement(&p, dump + len, &st)) {
		if (!names(&st.table, table))
			continue;
		buf_add(out, st.s, st.len);
		buf_adds(out, ";\n");
		n++;
	}
	return n;
}
