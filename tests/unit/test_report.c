/* SPDX-License-Identifier: MIT */
/* The line of a step: what is said of rows, tables written anew, waits for locks, and in how many words. */
#include "cmd/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect_labour(const char *before, const char *after, const char *work, const char *want)
{
	struct step s = {0};
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	s.counts = xstrdup(after);
	s.work = xstrdup(work);
	report_labour(before, &s, &out);
	assert_string_equal(out.data, want);
	step_finish(&s);
}

static void test_rewritten(void **state)
{
	(void)state;
	expect_labour("a\t3\t10\n", "a\t3\t10\n", "", "");
	expect_labour("a\t3\t10\n", "a\t3\t11\n", "", "rewrote: a");
	/* Without rows, or new: not worth a word. A token that is not known says nothing. */
	expect_labour("a\t0\t10\nb\t1\t-\nd\t2\n", "a\t0\t11\nb\t1\t12\nc\t5\t13\nd\t2\t14\n", "", "");
	expect_labour("a\t2\t10\n", "a\t0\t11\n", "", "");
	/* Parts of a table: one more, one less, all others. */
	expect_labour("p\t3\t10,11\n", "p\t3\t10,11,12\n", "", "");
	expect_labour("p\t3\t1,110\n", "p\t3\t110\n", "", "");
	expect_labour("p\t3\t1,11\n", "p\t3\t111,10\n", "", "rewrote: p");
	/* NULLs behind it are no part of it. */
	expect_labour("a\t3\t10\tx=1\n", "a\t3\t10\tx=2\n", "", "");
	expect_labour("a\t1\t1\nb\t1\t2\nc\t1\t3\nd\t1\t4\ne\t1\t5\nf\t1\t6\n",
		      "a\t1\t11\nb\t1\t12\nc\t1\t13\nd\t1\t14\ne\t1\t15\nf\t1\t16\n", "",
		      "rewrote: a, b, c, d and 2 more");
}

static void test_waits(void **state)
{
	(void)state;
	expect_labour("", "", "statements\t3\nlock_waits\t0\nlock_wait_ms\t0\n", "");
	expect_labour("", "", "lock_waits\t1\nlock_wait_ms\t882\n", "waited for locks: 1 time, 882 ms");
	expect_labour("a\t3\t10\n", "a\t3\t11\n", "lock_waits\t2\nlock_wait_ms\t1200\n",
		      "rewrote: a; waited for locks: 2 times, 1.2 s");
}

static void test_work(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"", ""},
		{"statements\t0\nlongest_ms\t0\n", ""},
		{"statements\t1\nlongest_ms\t0\nlock_waits\t0\nlock_wait_ms\t0\n", "1 statement, the longest <10 ms"},
		{"statements\t12\nlongest_ms\t40\nrows_read\t3200\nrows_changed\t12\n",
		 "12 statements, the longest 40 ms; 3200 rows read, 12 changed"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_BUF out = buf_make(BUF_TEXT_MAX);
		report_work(cases[i][0], &out);
		assert_string_equal(out.data, cases[i][1]);
	}
}

static void test_line(void **state)
{
	(void)state;
	struct step before = {.counts = (char *)(uintptr_t) "customers\t1\t7\ntickets\t5\t8\n"};
	struct step s = {.n = 4, .version = "204", .direction = "up", .outcome = OUTCOME_APPLIED, .ms = 5100};
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	s.counts = xstrdup("customers\t5\t7\ntickets\t5\t9\n");
	s.work = xstrdup("lock_waits\t1\nlock_wait_ms\t40\n");
	s.seeded = xstrdup("");
	report_step_line(&s, &before, "~ column tickets.a", 4, &out);
	assert_string_equal(out.data,
			    "   204   applied           5.1 s  ~ column tickets.a; rows: customers +4; rewrote: "
			    "tickets; waited for locks: 1 time, 40 ms");
	step_finish(&s);
}

static void test_json(void **state)
{
	(void)state;
	struct step s = {.n = 4, .version = "204", .direction = "up", .outcome = OUTCOME_APPLIED};
	s.counts = xstrdup("tickets\t5\t9\ta=2\n");
	s.work = xstrdup("statements\t3\n");
	s.versions = xstrdup("");
	s.changes = xstrdup("");
	s.findings = xstrdup("");
	s.seeded = xstrdup("");
	json_t *o = report_step_json(&s, "tickets\t5\t8\n");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "work"), "statements")), 3);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "rows"), "tickets")), 5);
	assert_string_equal(json_string_value(json_array_get(json_object_get(o, "rewritten"), 0)), "tickets");
	json_decref(o);
	o = report_step_json(&s, NULL);
	assert_int_equal(json_array_size(json_object_get(o, "rewritten")), 0);
	json_decref(o);
	step_finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rewritten), cmocka_unit_test(test_waits), cmocka_unit_test(test_work),
		cmocka_unit_test(test_line),      cmocka_unit_test(test_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
