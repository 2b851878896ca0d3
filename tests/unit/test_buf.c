/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_empty_is_text(void **state)
{
	(void)state;
	AUTO_BUF b = buf_make(10);
	assert_string_equal(b.data, "");
	assert_int_equal(b.len, 0);
	AUTO_FREE char *s = buf_take(&b);
	assert_string_equal(s, "");
	buf_reset(&b);
	buf_consume(&b, 0);
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	assert_string_equal(b.data, "");
}

static void test_growth(void **state)
{
	(void)state;
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(buf_addf(&b, "%04d,", i), 0);
	assert_int_equal(b.len, 50000);
	assert_int_equal(strlen(b.data), b.len);
	assert_memory_equal(b.data + (size_t)5 * 4321, "4321,", 5);
	assert_false(b.overflow);
}

static void test_maximum(void **state)
{
	(void)state;
	AUTO_BUF b = buf_make(5);
	assert_int_equal(buf_adds(&b, "abc"), 0);
	assert_int_equal(buf_adds(&b, "defg"), -1); /* as a whole */
	assert_string_equal(b.data, "abc");
	assert_true(b.overflow);
	assert_int_equal(buf_addc(&b, 'd'), -1); /* a beginning, never a text with a hole */
	assert_int_equal(buf_addf(&b, "%d", 1), -1);
	assert_string_equal(b.data, "abc");
	buf_reset(&b);
	assert_false(b.overflow);
	assert_int_equal(buf_adds(&b, "12345"), 0);
	assert_int_equal(buf_addc(&b, '6'), -1);
	assert_string_equal(b.data, "12345");
}

static void test_format_at_the_maximum(void **state)
{
	(void)state;
	AUTO_BUF b = buf_make(100);
	buf_adds(&b, "start ");
	assert_int_equal(buf_addf(&b, "%0200d", 1), -1);
	assert_string_equal(b.data, "start ");
	buf_reset(&b);
	assert_int_equal(buf_addf(&b, "%0100d", 1), 0);
	assert_int_equal(b.len, 100);
	buf_reset(&b);
	assert_int_equal(buf_addf(&b, "%s", ""), 0);
	assert_string_equal(b.data, "");
}

static void test_zero_maximum(void **state)
{
	(void)state;
	AUTO_BUF b = buf_make(0);
	assert_int_equal(buf_adds(&b, ""), 0);
	assert_int_equal(buf_adds(&b, "x"), -1);
	assert_string_equal(b.data, "");
	AUTO_BUF unbounded = buf_make(SIZE_MAX);
	assert_int_equal(buf_adds(&unbounded, "x"), 0);
	assert_string_equal(unbounded.data, "x");
}

static void test_bytes(void **state)
{
	(void)state;
	AUTO_BUF b = buf_make(100);
	buf_add(&b, "a\0b\0c", 5);
	assert_int_equal(b.len, 5);
	assert_memory_equal(b.data, "a\0b\0c", 6);
	buf_consume(&b, 2);
	assert_memory_equal(b.data, "b\0c", 4);
	buf_consume(&b, 3);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
}

static void test_take_and_again(void **state)
{
	(void)state;
	AUTO_BUF b = buf_make(10);
	buf_adds(&b, "one");
	AUTO_FREE char *s = buf_take(&b);
	assert_string_equal(s, "one");
	assert_string_equal(b.data, "");
	buf_adds(&b, "two");
	assert_string_equal(b.data, "two");
	buf_finish(&b);
	buf_finish(&b);
	assert_int_equal(buf_adds(&b, "0123456789x"), -1); /* the maximum is still known */
}

static void test_allocators(void **state)
{
	(void)state;
	assert_null(xstrdup(NULL));
	assert_null(xstrndup(NULL, 3));
	AUTO_FREE char *s = xstrndup("hello", 3);
	assert_string_equal(s, "hel");
	AUTO_FREE char *m = xmemdup("ab", 2);
	assert_string_equal(m, "ab");
	AUTO_FREE char *f = xasprintf("%d-%s", 4, "x");
	assert_string_equal(f, "4-x");
	char *moved = TAKE(f);
	assert_null(f);
	mem_freep(&moved);
	assert_null(moved);
	AUTO_FREE char *zero = xcalloc(0, 8);
	assert_non_null(zero);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_is_text),  cmocka_unit_test(test_growth),
		cmocka_unit_test(test_maximum),        cmocka_unit_test(test_format_at_the_maximum),
		cmocka_unit_test(test_zero_maximum),   cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_take_and_again), cmocka_unit_test(test_allocators),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
