/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/proc.h"

static void assert_safe(const char *in, size_t n, const char *expected)
{
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	text_safe(&b, in, n);
	assert_string_equal(b.data, expected);
	assert_int_equal(b.len, strlen(expected));
}
#define SAFE(in, expected) assert_safe(in, sizeof(in) - 1, expected)

static void test_safe_keeps_text(void **state)
{
	(void)state;
	SAFE("", "");
	SAFE("plain\ttext\nmore \\ ~", "plain\ttext\nmore \\ ~");
	SAFE("grün € 😀 日本 \xc2\xa0", "grün € 😀 日本 \xc2\xa0");
	SAFE("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"); /* U+10FFFF */
}

static void test_safe_controls(void **state)
{
	(void)state;
	SAFE("\033[31mred\033[0m", "\\x1b[31mred\\x1b[0m");
	SAFE("\033]0;title\007", "\\x1b]0;title\\x07");
	SAFE("a\0b", "a\\x00b");
	SAFE("\x7f\x08", "\\x7f\\x08");
	SAFE("\xc2\x9b"
	     "31m",
	     "\\xc2\\x9b31m"); /* C1 CSI */
	SAFE("\xc2\x80\xc2\x9f", "\\xc2\\x80\\xc2\\x9f");
}

static void test_safe_carriage_return(void **state)
{
	(void)state;
	SAFE("a\r\nb", "a\nb");
	SAFE("50%\r100%", "50%\\x0d100%");
	SAFE("a\r\r\n", "a\\x0d\n");
	SAFE("a\r", "a\\x0d");
}

static void test_safe_direction(void **state)
{
	(void)state;
	SAFE("\xe2\x80\xae"
	     "abc",
	     "\\xe2\\x80\\xaeabc");                                                           /* U+202E */
	SAFE("\xe2\x80\xaa\xe2\x81\xa6", "\\xe2\\x80\\xaa\\xe2\\x81\\xa6");                   /* U+202A U+2066 */
	SAFE("\xe2\x81\xa9", "\\xe2\\x81\\xa9");                                              /* U+2069 */
	SAFE("\xe2\x80\x8e\xe2\x80\x8f", "\\xe2\\x80\\x8e\\xe2\\x80\\x8f");                   /* U+200E U+200F */
	SAFE("\xd8\x9c", "\\xd8\\x9c");                                                       /* U+061C */
	SAFE("\xe2\x80\xa8\xe2\x80\xa9", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9");                   /* U+2028 U+2029 */
	SAFE("\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5", "\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5"); /* their neighbours */
}

static void test_safe_bad_utf8(void **state)
{
	(void)state;
	SAFE("\xff\xfe", "\\xff\\xfe");
	SAFE("\x80", "\\x80");
	SAFE("\xc3", "\\xc3");
	SAFE("\xc3(", "\\xc3(");
	SAFE("\xe2\x82", "\\xe2\\x82");
	SAFE("\xe2\x82z", "\\xe2\\x82z");
	SAFE("\xc0\xaf", "\\xc0\\xaf");          /* overlong / */
	SAFE("\xc1\x9b", "\\xc1\\x9b");          /* overlong */
	SAFE("\xe0\x80\x9b", "\\xe0\\x80\\x9b"); /* overlong ESC */
	SAFE("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf");
	SAFE("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf");
	SAFE("\xed\xa0\x80", "\\xed\\xa0\\x80");          /* surrogate */
	SAFE("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
	SAFE("\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80");
	SAFE("\xe2\x1b[31m", "\\xe2\\x1b[31m"); /* a lead byte must not swallow an ESC */
}

/* The property itself, over every pair of bytes: nothing of the output is a control byte or bad UTF-8. */
static void test_safe_every_pair(void **state)
{
	(void)state;
	for (int a = 0; a < 256; a++)
		for (int c = 0; c < 256; c++) {
			const char in[3] = {(char)a, (char)c, 'x'};
			AUTO_BUF once = buf_make(100), twice = buf_make(100);
			text_safe(&once, in, 3);
			for (size_t i = 0; i < once.len; i++) {
				unsigned char o = (unsigned char)once.data[i];
				assert_true((o >= 0x20 && o != 0x7f) || o == '\n' || o == '\t');
			}
			text_safe(&twice, once.data, once.len);
			assert_string_equal(twice.data, once.data);
		}
}

static void test_safe_line(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		size_t max;
		const char *out;
	} rows[] = {
		{"one\ntwo\tthree\r\nfour", 100, "one two three four"},
		{"abcdef", 6, "abcdef"},
		{"abcdefg", 6, "abcdef…"},
		{"aaaa€", 6, "aaaa…"},    /* no half character */
		{"aaaa\033", 6, "aaaa…"}, /* no half escape */
		{"abc", 0, "…"},
		{"", 0, ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_BUF b = buf_make(BUF_TEXT_MAX);
		text_safe_line(&b, rows[i].in, strlen(rows[i].in), rows[i].max);
		assert_string_equal(b.data, rows[i].out);
	}
}

/* A real shell gives back what was quoted. */
static void test_shell_quote(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"",       "plain", "two words", "it's",  "''", "'", "$(id) `id` $HOME \\ \"x\" !!",
		"a\nb\n", "-n",    "*;&|<>~#",  "grün\t"};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_BUF line = buf_make(BUF_TEXT_MAX);
		buf_adds(&line, "printf %s ");
		text_shell_quote(&line, rows[i]);
		AUTO_BUF out = buf_make(BUF_TEXT_MAX);
		struct err err = ERR_INIT;
		const char *const argv[] = {"sh", "-c", line.data, NULL};
		assert_int_equal(proc_run(argv, &(struct proc_opts){.out = &out}, &err), 0);
		assert_string_equal(out.data, rows[i]);
	}
}

static void test_starts_ends(void **state)
{
	(void)state;
	assert_true(text_starts("abc", "ab") && text_starts("abc", "") && !text_starts("ab", "abc"));
	assert_true(text_ends("abc", "bc") && text_ends("abc", "") && !text_ends("bc", "abc"));
}

static void test_names(void **state)
{
	(void)state;
	char long_name[65];
	memset(long_name, 'a', 64);
	long_name[64] = '\0';
	assert_false(text_is_name(long_name));
	long_name[63] = '\0';
	assert_true(text_is_name(long_name));
	static const char *const good[] = {"a", "0", "nova-a", "pg_12.3"};
	static const char *const bad[] = {"", "-a", ".", "..", "_a", "Nova", "a b", "a/b", "a\n", "grün", "a$"};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(text_is_name(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(text_is_name(bad[i]));
}

static void test_nearest(void **state)
{
	(void)state;
	static const char *const words[] = {"run", "compare", "bisect", "schema", "step", "show", NULL};
	static const char *const rows[][2] = {{"rnu", "run"},       {"compaer", "compare"}, {"comprae", "compare"},
					      {"shcema", "schema"}, {"stp", "step"},        {"bisekt", "bisect"},
					      {"run", "run"},       {"zzz", NULL},          {"", NULL},
					      {"r", NULL},          {"xompxxx", NULL}};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *found = text_nearest(rows[i][0], words);
		if (rows[i][1])
			assert_string_equal(found, rows[i][1]);
		else
			assert_null(found);
	}
	char huge[1000];
	memset(huge, 'r', sizeof(huge));
	huge[sizeof(huge) - 1] = '\0';
	assert_null(text_nearest(huge, words));
}

static void test_parse_int(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	int64_t v = 7;
	assert_int_equal(text_parse_int("n", "42", 0, 100, &v, &err), 0);
	assert_int_equal(v, 42);
	assert_int_equal(text_parse_int("n", "-3", -10, 100, &v, &err), 0);
	assert_true(v == -3);
	assert_int_equal(text_parse_int("n", "-9223372036854775808", INT64_MIN, INT64_MAX, &v, &err), 0);
	assert_true(v == INT64_MIN);
	assert_int_equal(text_parse_int("n", "9223372036854775807", INT64_MIN, INT64_MAX, &v, &err), 0);
	assert_true(v == INT64_MAX);
	static const char *const bad[] = {"",
					  "-",
					  "+1",
					  " 1",
					  "1 ",
					  "1x",
					  "0x10",
					  "--1",
					  "1.0",
					  "101",
					  "-11",
					  "9223372036854775808",
					  "18446744073709551617",
					  "99999999999999999999999"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		v = 7;
		assert_int_equal(text_parse_int("--retries", bad[i], -10, 100, &v, &err), -1);
		assert_true(v == 7 && err.reach == ERR_USER);
		assert_true(text_starts(err.msg, "--retries: not a number from -10 to 100: \""));
	}
	assert_int_equal(text_parse_int("n", "-9223372036854775809", INT64_MIN, INT64_MAX, &v, &err), -1);
}

static void test_parse_size(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"1024", 1024},
		{"512MiB", (uint64_t)512 << 20},
		{"4GiB", (uint64_t)4 << 30},
		{"10GB", 10000000000u},
		{"0", 0},
		{"7B", 7},
		{"64K", 65536},
		{"4G", (uint64_t)4 << 30},
		{"4 GiB", (uint64_t)4 << 30},
		{"3kB", 3000},
	};
	struct err err = ERR_INIT;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint64_t n = 0;
		assert_int_equal(text_parse_size("ram", good[i].text, &n, &err), 0);
		assert_true(n == good[i].bytes);
	}
	static const char *const bad[] = {
		"", "GiB", "-1", "4GiBx", "4g", "1.5GiB", "4  GiB", "16777216TiB", "99999999999999999999", "0x10"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t n = 7;
		assert_int_equal(text_parse_size("ram", bad[i], &n, &err), -1);
		assert_true(n == 7 && err.reach == ERR_USER && text_starts(err.msg, "ram: not a size"));
	}
}

static void test_columns(void **state)
{
	(void)state;
	assert_int_equal(text_columns(""), 0);
	assert_int_equal(text_columns("a … b"), 5);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	text_pad(&out, "é…", 4);
	assert_string_equal(out.data, "é…  ");
	text_pad(&out, "longer", 2);
	assert_string_equal(out.data, "é…  longer");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns),         cmocka_unit_test(test_safe_keeps_text),
		cmocka_unit_test(test_safe_controls),   cmocka_unit_test(test_safe_carriage_return),
		cmocka_unit_test(test_safe_direction),  cmocka_unit_test(test_safe_bad_utf8),
		cmocka_unit_test(test_safe_every_pair), cmocka_unit_test(test_safe_line),
		cmocka_unit_test(test_shell_quote),     cmocka_unit_test(test_starts_ends),
		cmocka_unit_test(test_names),           cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_parse_int),       cmocka_unit_test(test_parse_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
