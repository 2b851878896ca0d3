/* SPDX-License-Identifier: MIT */
/* Two dumps as a hostile box may print them, separated by a line "%%": read, compared both ways, told in words. */
#include "migrations/schema_catalog.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "migrations/schema_diff.h"

enum { BRIEF = 72 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each difference is one line, and nothing a terminal would obey. */
static size_t diff(const struct schema *a, const struct schema *b)
{
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	AUTO_BUF safe = buf_make(4 * BUF_TEXT_MAX);
	AUTO_BUF words = buf_make(BUF_TEXT_MAX);
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(a, b, NULL);
	size_t n = schema_change_lines(cs, CHANGE_ALL, &lines);
	size_t count = 0;
	for (const char *p = lines.data; (p = strchr(p, '\n')); p++)
		count++;
	assert(count == n && strlen(lines.data) == lines.len);
	text_safe(&safe, lines.data, lines.len);
	assert(strcmp(safe.data, lines.data) == 0);
	schema_changes_brief(cs, BRIEF, &words);
	assert(words.len > 0 && words.len <= BRIEF);
	assert((n == 0) == (strcmp(words.data, "no change") == 0));
	return n;
}

/* Cuts the next part off, up to a line "%%". */
static const char *next_part(const char **p, const char *end, size_t *n)
{
	const char *begin = *p;
	const char *cut = memmem(begin, (size_t)(end - begin), "%%\n", 3);
	*n = (size_t)((cut ? cut : end) - begin);
	*p = cut ? cut + 3 : end;
	return begin;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void same_columns(const struct table *a, const struct table *b)
{
	assert(a->n_columns == b->n_columns);
	for (size_t i = 0; i < a->n_columns; i++) {
		const struct column *c = &a->columns[i];
		const struct column *d = &b->columns[i];
		assert(same(c->name, d->name) && same(c->type, d->type) && same(c->dflt, d->dflt));
		assert(same(c->collation, d->collation) && same(c->generated, d->generated));
		assert(c->not_null == d->not_null && c->autoincrement == d->autoincrement);
	}
}

/* Where SQLite, too, takes a table, it makes of it what we read in its text. */
static void as_sqlite_says(const struct schema *s, const char *dump, size_t len)
{
	struct err err = ERR_INIT;
	CLEANUP(schema_freep) struct schema *asked = schema_new();
	if (schema_ask_sqlite(asked, dump, len, &err) < 0)
		return;
	for (size_t i = 0; i < asked->n_tables; i++) {
		const struct table *b = &asked->tables[i];
		const struct table *a = schema_find_table(s, b->name);
		assert(a);
		if (a->unmodelled)
			continue;
		same_columns(a, b);
		assert(same(a->pk, b->pk) && same(a->options, b->options));
		assert(a->n_fks == b->n_fks && a->n_checks == b->n_checks && a->n_indexes >= b->n_indexes);
		for (size_t k = 0; k < b->n_indexes && a->n_indexes == b->n_indexes; k++)
			assert(same(a->indexes[k].name, b->indexes[k].name) &&
			       a->indexes[k].unique == b->indexes[k].unique);
		for (size_t k = 0; k < a->n_fks; k++)
			assert(same(a->fks[k].from, b->fks[k].from) && same(a->fks[k].to, b->fks[k].to) &&
			       same(a->fks[k].on_delete, b->fks[k].on_delete));
	}
}

/* A line with the name of a server may come first; then each side is a dump and what the catalogue says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const engines[] = {"mariadb", "postgresql"};
	const char *p = (const char *)data;
	const char *end = p + size;
	const char *engine = "sqlite";
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		size_t n = strlen(engines[i]);
		if (size > n && memcmp(data, engines[i], n) == 0 && data[n] == '\n') {
			engine = engines[i];
			p += n + 1;
		}
	}
	bool server = strcmp(engine, "sqlite") != 0;
	struct schema_text ta = {0};
	struct schema_text tb = {0};
	ta.dump = next_part(&p, end, &ta.dump_len);
	if (server)
		ta.model = next_part(&p, end, &ta.model_len);
	tb.dump = next_part(&p, end, &tb.dump_len);
	if (server)
		tb.model = next_part(&p, end, &tb.model_len);
	struct err err = ERR_INIT;
	AUTO_BUF part = buf_make(BUF_TEXT_MAX);
	CLEANUP(schema_freep) struct schema *a = schema_read(engine, &ta, &err);
	CLEANUP(schema_freep) struct schema *b = schema_read(engine, &tb, &err);
	assert(schema_table_text(ta.dump, ta.dump_len, engine, "t", &part) == 0 || part.len > 0);
	if (a && !server)
		as_sqlite_says(a, ta.dump, ta.dump_len);
	if (!a || !b) {
		assert(err.reach == ERR_STEP);
		return 0;
	}
	assert(diff(a, a) == 0 && diff(b, b) == 0);
	assert((diff(a, b) == 0) == (diff(b, a) == 0));
	return 0;
}
