/* SPDX-License-Identifier: MIT */
#include "migrations/bisect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"

enum { K_MAX = 8 };

/* Every place of every length, by every number of boxes, within the rounds that were promised. */
static void test_finds_every_place(void **state)
{
	(void)state;
	for (size_t n = 2; n < 70; n++) {
		for (size_t first = 1; first < n; first++) {
			for (size_t k = 1; k <= K_MAX; k += 2) {
				struct bisect b;
				bisect_init(&b, n, 0, n - 1);
				size_t ask[K_MAX], got, rounds = 0, promised = bisect_rounds(&b, k);
				while ((got = bisect_pick(&b, k, ask)) > 0) {
					assert_true(got <= k);
					for (size_t i = 0; i < got; i++) {
						assert_true(ask[i] > b.good || i > 0);
						assert_true(i == 0 || ask[i] > ask[i - 1]);
					}
					for (size_t i = 0; i < got; i++)
						bisect_note(&b, ask[i], ask[i] >= first ? ANSWER_YES : ANSWER_NO);
					rounds++;
				}
				assert_int_equal(b.bad, first);
				assert_int_equal(b.good, first - 1);
				assert_false(b.back);
				assert_true(rounds <= promised);
				bisect_finish(&b);
			}
		}
	}
}

static void test_rounds(void **state)
{
	(void)state;
	static const struct {
		size_t n, k, rounds;
	} cases[] = {{2, 1, 0}, {3, 1, 1}, {4, 1, 2}, {188, 1, 8}, {188, 3, 4}, {188, 7, 3}, {9, 7, 1}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bisect b;
		bisect_init(&b, cases[i].n, 0, cases[i].n - 1);
		assert_int_equal(bisect_rounds(&b, cases[i].k), cases[i].rounds);
		bisect_finish(&b);
	}
}

/* What cannot be told is gone round; what is left of it stays between good and bad. */
static void test_skips(void **state)
{
	(void)state;
	struct bisect b;
	size_t ask[1];
	bisect_init(&b, 10, 0, 9);
	while (bisect_pick(&b, 1, ask) > 0)
		bisect_note(&b, ask[0], ask[0] >= 4 && ask[0] <= 6 ? ANSWER_SKIP : ask[0] > 6 ? ANSWER_YES : ANSWER_NO);
	assert_int_equal(b.good, 3);
	assert_int_equal(b.bad, 7);
	assert_int_equal(bisect_left(&b), 0);
	assert_false(b.back);
	bisect_finish(&b);
}

static void test_back(void **state)
{
	(void)state;
	struct bisect b;
	bisect_init(&b, 10, 0, 9);
	bisect_note(&b, 3, ANSWER_YES);
	assert_false(b.back);
	bisect_note(&b, 6, ANSWER_NO);
	assert_true(b.back);
	assert_int_equal(b.bad, 3);
	assert_int_equal(b.good, 0);
	bisect_note(&b, 1, ANSWER_NO);
	assert_int_equal(b.good, 1);
	bisect_note(&b, 2, ANSWER_NO);
	assert_int_equal(b.good, 2);
	bisect_finish(&b);
}

/* Any answers at all: it ends, good is a NO (or the beginning) and bad a YES (or the end), and nothing between is open.
 */
static void test_any_answers(void **state)
{
	(void)state;
	for (int round = 0; round < 300; round++) {
		unsigned char r[64];
		random_bytes(r, sizeof(r));
		size_t n = 2 + r[0] % 60, ask[K_MAX], got, k = 1 + r[1] % K_MAX;
		struct bisect b;
		bisect_init(&b, n, 0, n - 1);
		while ((got = bisect_pick(&b, k, ask)) > 0) {
			for (size_t i = 0; i < got; i++)
				bisect_note(&b, ask[i], ANSWER_NO + (enum answer)(r[2 + ask[i]] % 3));
		}
		assert_true(b.good < b.bad);
		assert_true(b.good == 0 || b.answers[b.good] == ANSWER_NO);
		assert_true(b.bad == n - 1 || b.answers[b.bad] == ANSWER_YES);
		for (size_t i = b.good + 1; i < b.bad; i++)
			assert_int_equal(b.answers[i], ANSWER_SKIP);
		bisect_finish(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_every_place),
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_skips),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_any_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
