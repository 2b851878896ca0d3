/* SPDX-License-Identifier: MIT */
/* Two schemas of any two engines: the first byte says which, then two texts (dumps of SQLite, descriptions of a
 * catalogue of the others), separated by a line "%%". Read, compared both ways, told in words; and taken for a type and
 * for an expression. */
#include "migrations/schema_diff.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "migrations/schema_canon.h"

enum { BRIEF = 72 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct schema *read_schema(const char *engine, const char *text, size_t len)
{
	struct err err = ERR_INIT;
	bool sqlite = strcmp(engine, "sqlite") == 0;
	const struct schema_text both = {.dump = sqlite ? text : "",
					 .dump_len = sqlite ? len : 0,
					 .model = sqlite ? "" : text,
					 .model_len = sqlite ? 0 : len};
	struct schema *s = schema_read(engine, &both, &err);
	assert(s || err.reach == ERR_STEP);
	return s;
}

/* Each record is one line and nothing a terminal would obey; counts are those of the records. */
static struct schema_changes *diff(const struct schema *a, const struct schema *b)
{
	struct schema_changes *cs = schema_changes(a, b, NULL);
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	AUTO_BUF safe = buf_make(4 * BUF_TEXT_MAX);
	AUTO_BUF words = buf_make(BUF_TEXT_MAX);
	size_t count = 0;
	size_t n = schema_change_lines(cs, CHANGE_ALL, &lines);
	for (const char *p = lines.data; (p = strchr(p, '\n')); p++)
		count++;
	assert(n == cs->n && count == n && strlen(lines.data) == lines.len);
	assert(cs->count[0] + cs->count[1] + cs->count[2] == n && cs->ignored == 0 && cs->n_skipped == 0);
	text_safe(&safe, lines.data, lines.len);
	assert(strcmp(safe.data, lines.data) == 0);
	schema_changes_brief(cs, BRIEF, &words);
	assert(words.len > 0 && words.len <= BRIEF);
	assert((n == 0) == (strcmp(words.data, "no change") == 0));
	return cs;
}

static void compare(const struct schema *a, const struct schema *b)
{
	CLEANUP(schema_changes_freep) struct schema_changes *there = diff(a, b);
	CLEANUP(schema_changes_freep) struct schema_changes *back = diff(b, a);
	CLEANUP(schema_changes_freep) struct schema_changes *self = diff(a, a);
	assert(self->n == 0);
	assert(schema_changes_differ(there) == schema_changes_differ(back));
	if (there->cross)
		return;
	char x[SHA256_HEX], y[SHA256_HEX];
	schema_hash(a, NULL, x);
	schema_hash(b, NULL, y);
	assert((strcmp(x, y) == 0) == !schema_changes_differ(there));
}

/* Whatever it is: a type, an expression, a default. */
static void canon(const char *engine, const char *text, size_t len)
{
	AUTO_FREE char *s = xstrndup(text, len);
	AUTO_BUF once = buf_make(BUF_TEXT_MAX);
	AUTO_BUF labels = buf_make(BUF_TEXT_MAX);
	struct canon_type t;
	char *column, *list;
	canon_expression(s, &once);
	canon_check_of(once.data, &column, &list);
	free(column);
	free(list);
	canon_type_parse(engine, s, strchr(s, '\'') ? s : "", &t);
	assert(canon_types(&t, &t, NULL) == CANON_SAME);
	canon_default(&t, s, &labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const engines[] = {"sqlite", "mariadb", "postgresql"};
	if (size == 0)
		return 0;
	const char *ea = engines[data[0] % 3];
	const char *eb = engines[data[0] / 3 % 3];
	const char *text = (const char *)data + 1;
	size--;
	const char *cut = memmem(text, size, "%%\n", 3);
	size_t n = cut ? (size_t)(cut - text) : size;
	const char *rest = cut ? cut + 3 : text;
	size_t rest_n = cut ? size - n - 3 : size;
	canon(ea, text, n);
	CLEANUP(schema_freep) struct schema *a = read_schema(ea, text, n);
	CLEANUP(schema_freep) struct schema *b = read_schema(eb, rest, rest_n);
	if (a && b)
		compare(a, b);
	return 0;
}
