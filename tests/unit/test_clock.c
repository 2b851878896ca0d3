/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_iso(void **state)
{
	(void)state;
	static const struct {
		int64_t wall;
		const char *text;
	} rows[] = {
		{0, "1970-01-01T00:00:00Z"},  {1795368363, "2026-11-22T17:26:03Z"}, {951782400, "2000-02-29T00:00:00Z"},
		{-1, "1969-12-31T23:59:59Z"}, {INT64_MAX, "@9223372036854775807"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char out[32];
		clock_iso(rows[i].wall, out);
		assert_string_equal(out, rows[i].text);
	}
}

static void test_span(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{0, "0 ms"},           {840, "840 ms"},
		{999, "999 ms"},       {4200, "4.2 s"},
		{59999, "59.9 s"},     {60000, "1 m 00 s"},
		{192000, "3 m 12 s"},  {3600000, "1 h 00 m"},
		{7500000, "2 h 05 m"}, {((int64_t)3 * 24 + 4) * 3600000, "3 d 04 h"},
		{-5, "0 ms"},          {INT64_MAX, "106751991167 d 07 h"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char out[32];
		clock_span(rows[i].ms, out);
		assert_string_equal(out, rows[i].text);
	}
}

static void test_parse_span(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{"90", 90000},
		{"90s", 90000},
		{"10m", 600000},
		{"4h", 14400000},
		{"2d", 172800000},
		{"1", 1000},
		{"30d", (int64_t)30 * 86400000},
		{"0001s", 1000},
	};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct err err = ERR_INIT;
		int64_t ms = 0;
		assert_int_equal(clock_parse_span(good[i].text, &ms, &err), 0);
		assert_true(ms == good[i].ms);
	}
	static const char *const bad[] = {
		"",    "s",   "-1", "+1", "1.5h", "1 h",  " 1",   "1w",
		"1hh", "1ms", "0",  "0d", "31d",  "721h", "0x10", "99999999999999999999999999d",
		"1h\n"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = ERR_INIT;
		int64_t ms = 77;
		assert_int_equal(clock_parse_span(bad[i], &ms, &err), -1);
		assert_int_equal(err.reach, ERR_USER);
		assert_non_null(strstr(err.msg, "time span"));
		assert_true(ms == 77);
	}
}

static void test_deadline(void **state)
{
	(void)state;
	mono_ms a = clock_mono();
	mono_ms d = clock_deadline(1000);
	assert_true(d >= a + 1000 && d <= clock_mono() + 1000);
	assert_true(clock_deadline(DEADLINE_NEVER) == DEADLINE_NEVER);
	assert_true(clock_deadline(-5) < clock_mono());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_iso),
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_parse_span),
		cmocka_unit_test(test_deadline),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
