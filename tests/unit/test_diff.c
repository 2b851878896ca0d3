/* SPDX-License-Identifier: MIT */
#include "migrations/diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/proc.h"
#include "base/text.h"

static void test_text(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	struct err err = ERR_INIT;
	assert_int_equal(diff_text("a\nb\n", 4, "nova-1:203", "a\nc\n", 4, "nova-1:204", &out, &err), 1);
	assert_string_equal(out.data, "--- nova-1:203\n+++ nova-1:204\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
	buf_reset(&out);
	assert_int_equal(diff_text("same\n", 5, "x", "same\n", 5, "y", &out, &err), 0);
	assert_int_equal(out.len, 0);
	assert_int_equal(diff_text("", 0, "x", "", 0, "y", &out, &err), 0);
}

/* Labels are foreign text, dumps may hold any byte. */
static void test_text_hostile(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	struct err err = ERR_INIT;
	assert_int_equal(diff_text("a\0b\n", 4, "--help", "a\0c\n", 4, "-x $(id)", &out, &err), 1);
	assert_true(text_starts(out.data, "--- --help\n+++ -x $(id)\n"));
	assert_null(strstr(out.data, "Binary"));
	buf_reset(&out);
	assert_int_equal(diff_text("a", 1, "x", "", 0, "y", &out, &err), 1);
	assert_non_null(strstr(out.data, "\\ No newline at end of file"));
	AUTO_BUF small = buf_make(8);
	assert_int_equal(diff_text("a\n", 2, "x", "b\n", 2, "y", &small, &err), 1);
	assert_true(small.overflow);
}

static void apply(const char *base, const char *delta, size_t len, const char *want)
{
	AUTO_BUF out = buf_make(1000);
	struct err err = ERR_INIT;
	assert_int_equal(diff_apply_rcs(base, strlen(base), delta, len, &out, &err), 0);
	assert_string_equal(out.data, want);
}

#define APPLY(base, delta, want) apply(base, delta, sizeof(delta) - 1, want)

static void test_rcs(void **state)
{
	(void)state;
	APPLY("a\nb\nc\n", "", "a\nb\nc\n");
	APPLY("a\nb\nc\n", "d2 1\na2 2\nx\ny\n", "a\nx\ny\nc\n");
	APPLY("a\nb\nc\n", "a0 1\nx\n", "x\na\nb\nc\n");
	APPLY("a\nb\nc\n", "a3 1\nx\n", "a\nb\nc\nx\n");
	APPLY("a\nb\nc\n", "d1 3\n", "");
	APPLY("", "a0 1\nx", "x");
	APPLY("a\nb", "d2 1\na2 2\nb\nc", "a\nb\nc");
	APPLY("a\n", "d1 1\na1 1\na", "a");
}

static void refuse(const char *delta, size_t len)
{
	AUTO_BUF out = buf_make(1000);
	struct err err = ERR_INIT;
	assert_int_equal(diff_apply_rcs("a\nb\nc\n", 6, delta, len, &out, &err), -1);
	assert_int_equal(err.reach, ERR_BOX);
	assert_true(text_starts(err.msg, "delta: byte "));
}

static void test_rcs_refuses(void **state)
{
	(void)state;
	static const char *const deltas[] = {
		"x1 1\n",
		"a",
		"a1",
		"a1 ",
		"a1 1",
		"a1 1\n",
		"a1 2\nx\n",
		"d4 1\n",
		"d3 2\n",
		"d0 1\n",
		"d1 0\n",
		"a4 1\nx\n",
		"d2 1\nd1 1\n",
		"a2 1\nx\nd1 1\n",
		"d1 1 \n",
		"d-1 1\n",
		"d1  1\n",
		"d99999999999 1\n",
		"d1 99999999999999999999\n",
		"a1 18446744073709551615\nx\n",
		"\n",
		" d1 1\n",
		"d1 1\nx",
		"garbage\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(deltas); i++)
		refuse(deltas[i], strlen(deltas[i]));
	refuse("d\0001 1\n", 6);
}

static void test_rcs_full(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(5);
	struct err err = ERR_INIT;
	assert_int_equal(diff_apply_rcs("a\nb\nc\n", 6, "", 0, &out, &err), -1);
	assert_non_null(strstr(err.msg, "too large"));
}

/* Texts of few different lines, with and without LF at the end: whatever diff(1) says must lead from one to the other.
 */
static void random_text(struct buf *out, unsigned *seed)
{
	int lines = rand_r(seed) % 12;
	buf_reset(out);
	for (int i = 0; i < lines; i++)
		buf_addf(out, "%s%s", (const char *[]){"", "a", "b", "d1 1", "a0 1"}[rand_r(seed) % 5],
			 i == lines - 1 && rand_r(seed) % 3 == 0 ? "" : "\n");
}

static void test_rcs_agrees_with_diff(void **state)
{
	(void)state;
	unsigned seed = 1;
	char dir[] = "/tmp/test_diff.XXXXXX";
	struct err err = ERR_INIT;
	assert_non_null(mkdtemp(dir));
	AUTO_FREE char *path_a = xasprintf("%s/a", dir);
	AUTO_FREE char *path_b = xasprintf("%s/b", dir);
	AUTO_BUF a = buf_make(1000);
	AUTO_BUF b = buf_make(1000);
	AUTO_BUF delta = buf_make(4000);
	AUTO_BUF out = buf_make(4000);
	for (int i = 0; i < 300; i++) {
		random_text(&a, &seed);
		random_text(&b, &seed);
		assert_int_equal(fs_write(path_a, a.data, a.len, 0600, &err), 0);
		assert_int_equal(fs_write(path_b, b.data, b.len, 0600, &err), 0);
		buf_reset(&delta);
		buf_reset(&out);
		const char *argv[] = {"diff", "-a", "-n", path_a, path_b, NULL};
		struct proc_opts opts = {.out = &delta, .deadline = clock_deadline(10000)};
		assert_in_range(proc_run(argv, &opts, &err), 0, 1);
		assert_int_equal(diff_apply_rcs(a.data, a.len, delta.data, delta.len, &out, &err), 0);
		assert_int_equal(out.len, b.len);
		assert_memory_equal(out.data, b.data, b.len);
	}
	assert_int_equal(fs_remove_tree(dir, &err), 0);
}

/* 16 MiB of short lines and a delta that touches each: the time is linear. */
static void test_rcs_large(void **state)
{
	(void)state;
	enum { LINES = 500000 };
	AUTO_BUF base = buf_make(BUF_TEXT_MAX);
	AUTO_BUF delta = buf_make(BUF_TEXT_MAX);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	struct err err = ERR_INIT;
	for (int i = 1; i <= LINES; i++) {
		buf_adds(&base, "x\n");
		buf_addf(&delta, "d%d 1\na%d 1\ny\n", i, i);
	}
	mono_ms begun = clock_mono();
	assert_int_equal(diff_apply_rcs(base.data, base.len, delta.data, delta.len, &out, &err), 0);
	assert_true(clock_mono() - begun < 2000);
	assert_int_equal(out.len, base.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),      cmocka_unit_test(test_text_hostile),
		cmocka_unit_test(test_rcs),       cmocka_unit_test(test_rcs_refuses),
		cmocka_unit_test(test_rcs_full),  cmocka_unit_test(test_rcs_agrees_with_diff),
		cmocka_unit_test(test_rcs_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
