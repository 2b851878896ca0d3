/* SPDX-License-Identifier: MIT */
#include "migrations/compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

/* ---- alignment ---- */

enum { MAX_NAMES = 64 };

static size_t split(char *text, const char **out)
{
	size_t n = 0;
	char *rest = text;
	for (char *w; (w = strtok_r(rest, " ", &rest)) != NULL;)
		out[n++] = w;
	return n;
}

static void expect_alignment(const char *a, const char *b, bool by_position, const char *want, bool out_of_order)
{
	const char *va[MAX_NAMES], *vb[MAX_NAMES];
	AUTO_FREE char *ta = xstrdup(a), *tb = xstrdup(b);
	size_t n_a = split(ta, va), n_b = split(tb, vb);
	AUTO_BUF got = buf_make(BUF_TEXT_MAX);
	struct compare_alignment al;
	compare_align(va, n_a, vb, n_b, by_position, &al);
	for (size_t i = 0; i < al.n; i++) {
		struct compare_point p = al.points[i];
		buf_addf(&got, "%s%s:%s", i ? " " : "", p.a < 0 ? "-" : va[p.a], p.b < 0 ? "-" : vb[p.b]);
	}
	assert_string_equal(got.data, want);
	assert_int_equal(al.out_of_order, out_of_order);
	compare_alignment_finish(&al);
}

static void test_align(void **state)
{
	(void)state;
	expect_alignment("1 2 3", "1 2 3", false, "1:1 2:2 3:3", false);
	expect_alignment("", "", false, "", false);
	expect_alignment("1 2", "", false, "1:- 2:-", false);
	expect_alignment("", "1", false, "-:1", false);
	expect_alignment("base 217 218 402", "402 403", false, "base:- 217:- 218:- 402:402 -:403", false);
	expect_alignment("1 2 4 5", "0 1 3 4 6 7", false, "-:0 1:1 2:- -:3 4:4 5:- -:6 -:7", false);
	expect_alignment("1 2 3 4", "1 3 2 x 4", false, "1:1 2:2 3:3 -:x 4:4", true);
	expect_alignment("1 2 3", "a b", true, "1:a 2:b 3:-", false);
	expect_alignment("1", "a b", true, "1:a -:b", false);
}

/* ---- the pool ---- */

static void test_pool(void **state)
{
	(void)state;
	CLEANUP(compare_pool_freep) struct compare_pool *p = compare_pool_new();
	enum { N = 5000 };
	for (unsigned i = 0; i < N; i++) {
		AUTO_FREE char *key = xasprintf("key %u", i / 2);
		enum compare_class class = i % 2 ? COMPARE_ROWS : COMPARE_STRUCTURAL;
		assert_int_equal(compare_pool_add(p, class, key, "x"), i);
		assert_int_equal(compare_pool_add(p, class, key, "another text"), i);
	}
	assert_int_equal(compare_pool_count(p), N);
	assert_string_equal(compare_pool_get(p, 7)->key, "key 3");
	assert_string_equal(compare_pool_get(p, 7)->text, "x");
	assert_int_equal(compare_pool_get(p, 7)->class, COMPARE_ROWS);
	for (int c = 0; c < COMPARE_CLASS_COUNT_; c++)
		assert_true(strlen(compare_class_name((enum compare_class)c)) > 3);
}

/* ---- collapsing ---- */

/* One word a version: its items as letters (capital: cosmetic), "." for none, "<" ">" only a, only b, "(" ")" not
 * reached by a, by b. */
static void story(const char *versions, unsigned classes, struct buf *out)
{
	CLEANUP(compare_pool_freep) struct compare_pool *p = compare_pool_new();
	AUTO_FREE char *text = xstrdup(versions);
	const char *v[MAX_NAMES];
	size_t n = split(text, v);
	enum compare_state states[MAX_NAMES];
	struct compare_set sets[MAX_NAMES] = {0};
	struct compare_spans spans;
	for (size_t i = 0; i < n; i++) {
		static const char marks[] = "<>()";
		const char *mark = strchr(marks, v[i][0]);
		states[i] = mark ? (enum compare_state)(COMPARE_ONLY_A + (mark - marks)) : COMPARE_SAME;
		for (const char *c = v[i]; states[i] == COMPARE_SAME && *c && *c != '.'; c++) {
			char key[2] = {*c, '\0'};
			compare_set_add(&sets[i], compare_pool_add(p, *c < 'a' ? COMPARE_COSMETIC : COMPARE_STRUCTURAL,
								   key, key));
		}
		compare_set_sort(&sets[i]);
	}
	compare_collapse(states, sets, n, p, classes, &spans);
	for (size_t i = 0; i < spans.n; i++) {
		const struct compare_span *s = &spans.items[i];
		buf_addf(out, "%s%zu-%zu%c", i ? " " : "", s->first, s->last, "=!<>()"[s->state]);
		for (size_t k = 0; k < s->n_appeared; k++)
			buf_addf(out, "+%s", compare_pool_get(p, s->appeared[k])->key);
		for (size_t k = 0; k < s->n_gone; k++)
			buf_addf(out, "-%s", compare_pool_get(p, s->gone[k])->key);
	}
	compare_spans_finish(&spans);
	for (size_t i = 0; i < n; i++)
		compare_set_finish(&sets[i]);
}

static void expect_story(const char *versions, unsigned classes, const char *want)
{
	AUTO_BUF got = buf_make(BUF_TEXT_MAX);
	story(versions, classes, &got);
	assert_string_equal(got.data, want);
}

static void test_collapse(void **state)
{
	(void)state;
	const unsigned all = ~0U, hard = ~(1U << COMPARE_COSMETIC);
	expect_story("", all, "");
	expect_story(". . .", all, "0-2=");
	/* Told where it appears and where it goes away, not in between. */
	expect_story(". . a a a . .", all, "0-1= 2-4!+a 5-6=-a");
	expect_story(". ab b bc .", all, "0-0= 1-1!+a+b 2-2!-a 3-3!+c 4-4=-b-c");
	/* One that comes back is told again. */
	expect_story("a . a", all, "0-0!+a 1-1=-a 2-2!+a");
	/* A version that one side lacks does not end a difference. */
	expect_story("a < < a .", all, "0-0!+a 1-2< 3-3! 4-4=-a");
	expect_story("< < . > ) )", all, "0-1< 2-2= 3-3> 4-5)");
	/* Cosmetic ones break a span only when they are asked for. */
	expect_story(". A aA a A .", hard, "0-1= 2-3!+a 4-5=-a");
	expect_story(". A aA", all, "0-0= 1-1!+A 2-2!+a");
}

static void test_set(void **state)
{
	(void)state;
	CLEANUP(compare_pool_freep) struct compare_pool *p = compare_pool_new();
	struct compare_set s = {0};
	unsigned soft = compare_pool_add(p, COMPARE_COSMETIC, "x", "x");
	compare_set_sort(&s);
	assert_false(compare_set_differs(&s, p));
	compare_set_add(&s, soft);
	compare_set_add(&s, soft);
	compare_set_sort(&s);
	assert_int_equal(s.n, 1);
	assert_false(compare_set_differs(&s, p));
	compare_set_add(&s, compare_pool_add(p, COMPARE_ROWS, "x", "x"));
	compare_set_sort(&s);
	assert_int_equal(s.n, 2);
	assert_true(compare_set_differs(&s, p));
	compare_set_finish(&s);
}

/* Whatever the sets: what is there at a version is what appeared and has not gone since. */
static void test_collapse_adds_up(void **state)
{
	(void)state;
	CLEANUP(compare_pool_freep) struct compare_pool *p = compare_pool_new();
	enum { N = 200, ITEMS = 12 };
	enum compare_state states[N];
	struct compare_set sets[N] = {0};
	struct compare_spans spans;
	for (unsigned i = 0; i < ITEMS; i++) {
		char key[2] = {(char)('a' + i), '\0'};
		compare_pool_add(p, COMPARE_STRUCTURAL, key, key);
	}
	for (int i = 0; i < N; i++) {
		unsigned char r[3];
		random_bytes(r, sizeof(r));
		states[i] = r[2] < 30 ? COMPARE_ONLY_A : COMPARE_SAME;
		for (unsigned k = 0; k < ITEMS; k++)
			if ((r[0] & r[1] & (1 << (k % 8))) && states[i] == COMPARE_SAME)
				compare_set_add(&sets[i], k);
		compare_set_sort(&sets[i]);
	}
	compare_collapse(states, sets, N, p, ~0U, &spans);
	bool there[ITEMS] = {false};
	size_t next = 0;
	for (size_t i = 0; i < spans.n; i++) {
		const struct compare_span *s = &spans.items[i];
		assert_int_equal(s->first, next);
		next = s->last + 1;
		for (size_t k = 0; k < s->n_appeared; k++) {
			assert_false(there[s->appeared[k]]);
			there[s->appeared[k]] = true;
		}
		for (size_t k = 0; k < s->n_gone; k++) {
			assert_true(there[s->gone[k]]);
			there[s->gone[k]] = false;
		}
		for (size_t v = s->first; v <= s->last && s->state <= COMPARE_DIFFERENT; v++) {
			size_t n = 0;
			for (unsigned k = 0; k < ITEMS; k++)
				n += there[k];
			assert_int_equal(sets[v].n, n);
			for (size_t k = 0; k < sets[v].n; k++)
				assert_true(there[sets[v].items[k]]);
		}
	}
	assert_int_equal(next, N);
	compare_spans_finish(&spans);
	for (int i = 0; i < N; i++)
		compare_set_finish(&sets[i]);
}

/* ---- forks ---- */

static void on_fork(void *ctx, enum compare_fork what, const char *a, const char *b)
{
	buf_addf(ctx, "%s %s %s\n", what == COMPARE_FORK_CONTENT ? "content" : "number", a, b);
}

static void test_forks(void **state)
{
	(void)state;
	const struct compare_content a[] = {
		{"215", "aa"}, {"216", "empty"}, {"217", "empty"}, {"218", "bb cc"}, {"219", "dd"},
		{"220", "ee"}, {"221", ""},      {"222", "twice"}, {"223", "twice"},
	};
	const struct compare_content b[] = {
		{"215", "aa"}, {"216", "empty"}, {"217", "empty"}, {"218", "bb xx"}, {"219", "ee"},
		{"224", "dd"}, {"221", ""},      {"225", "empty"}, {"226", "twice"},
	};
	AUTO_BUF got = buf_make(BUF_TEXT_MAX);
	compare_forks(a, ARRAY_SIZE(a), b, ARRAY_SIZE(b), on_fork, &got);
	assert_string_equal(got.data, "content 218 218\ncontent 219 219\nnumber 219 224\nnumber 220 219\n");
	buf_reset(&got);
	compare_forks(a, 0, b, ARRAY_SIZE(b), on_fork, &got);
	compare_forks(a, ARRAY_SIZE(a), b, 0, on_fork, &got);
	compare_forks(a, ARRAY_SIZE(a), a, ARRAY_SIZE(a), on_fork, &got);
	assert_string_equal(got.data, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_align),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_collapse),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_collapse_adds_up),
		cmocka_unit_test(test_forks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
