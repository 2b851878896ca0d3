/* SPDX-License-Identifier: MIT */
/* Two dumps as a hostile box may print them, separated by a line "%%": read, compared both ways, told in words. */
#include "migrations/schema_diff.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *cut = memmem(text, size, "%%\n", 3);
	size_t n = cut ? (size_t)(cut - text) : size;
	const char *rest = cut ? cut + 3 : text;
	size_t rest_n = cut ? size - n - 3 : size;
	struct err err = ERR_INIT;
	AUTO_BUF part = buf_make(BUF_TEXT_MAX);
	const struct schema_text ta = {.dump = text, .dump_len = n};
	const struct schema_text tb = {.dump = rest, .dump_len = rest_n};
	CLEANUP(schema_freep) struct schema *a = schema_read("sqlite", &ta, &err);
	CLEANUP(schema_freep) struct schema *b = schema_read("sqlite", &tb, &err);
	assert(schema_table_text(text, n, "sqlite", "t", &part) == 0 || part.len > 0);
	if (!a || !b) {
		assert(err.reach == ERR_STEP);
		return 0;
	}
	assert(diff(a, a) == 0 && diff(b, b) == 0);
	assert((diff(a, b) == 0) == (diff(b, a) == 0));
	return 0;
}
