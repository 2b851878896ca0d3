/* SPDX-License-Identifier: MIT */
/* What a hostile box says of its rows, and how it calls its versions: two sides, separated by a line "%%". Nothing is
 * told that is the same, and the other way round the same is told with sides changed. */
#include "migrations/compare.h"
#include "migrations/rows.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
	size_t n;
	unsigned long long a, b;
};

static void on_count(void *ctx, const struct rows_difference *c)
{
	struct sum *s = ctx;
	assert(c->a != c->b && !strchr(c->table, '\n') && !strchr(c->column, '\t'));
	s->n++;
	s->a += (unsigned long long)c->a;
	s->b += (unsigned long long)c->b;
}

static size_t lines(char *text, const char **out, size_t max)
{
	size_t n = 0;
	char *rest = text;
	for (char *line; n < max && (line = strtok_r(rest, "\n", &rest)) != NULL;)
		out[n++] = line;
	return n;
}

/* Every step of both stands in one place. (Names may come twice here: then fewer do.) */
static void align(char *a, char *b)
{
	enum { MAX = 200 };
	const char *va[MAX], *vb[MAX];
	size_t n_a = lines(a, va, MAX), n_b = lines(b, vb, MAX), seen = 0;
	for (int by_position = 0; by_position < 2; by_position++) {
		struct compare_alignment al;
		compare_align(va, n_a, vb, n_b, by_position, &al);
		seen = 0;
		for (size_t i = 0; i < al.n; i++) {
			assert(al.points[i].a >= 0 || al.points[i].b >= 0);
			seen += al.points[i].a >= 0;
		}
		assert(seen == n_a && al.n <= n_a + n_b);
		compare_alignment_finish(&al);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *cut = memmem(text, size, "%%\n", 3);
	size_t n = cut ? (size_t)(cut - text) : size;
	AUTO_FREE char *a = xstrndup(text, n);
	AUTO_FREE char *b = cut ? xstrndup(cut + 3, size - n - 3) : xstrdup("");
	CLEANUP(rows_freep) struct rows *ra = rows_read(a), *rb = rows_read(b), *again = rows_read(a);
	struct sum ab = {0}, ba = {0}, aa = {0};
	rows_differ(ra, rb, on_count, &ab);
	rows_differ(rb, ra, on_count, &ba);
	rows_differ(ra, again, on_count, &aa);
	assert(aa.n == 0);
	assert(ab.n == ba.n && ab.a == ba.b && ab.b == ba.a);
	align(a, b);
	return 0;
}
