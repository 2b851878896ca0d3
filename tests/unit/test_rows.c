/* SPDX-License-Identifier: MIT */
#include "migrations/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct schema *read_schema(const char *dump)
{
	struct err err = ERR_INIT;
	const struct schema_text text = {.dump = dump, .dump_len = strlen(dump)};
	struct schema *s = dump ? schema_read("sqlite", &text, &err) : NULL;
	assert_string_equal(err.msg, "");
	return s;
}

static void on_change(void *ctx, const struct rows_change *c)
{
	static const char *const words[] = {"less", "more", "dropped", "values", "column"};
	buf_addf(ctx, "%s %s.%s %lld %lld\n", words[c->what], c->table, c->column, (long long)c->before,
		 (long long)c->after);
}

/* What is said of two counts, with the schemas they belong to (NULL: not known). */
static void expect(const char *before, const char *after, const char *dump_before, const char *dump_after,
		   const char *want)
{
	AUTO_BUF told = buf_make(BUF_TEXT_MAX);
	CLEANUP(rows_freep) struct rows *a = rows_read(before), *b = rows_read(after);
	CLEANUP(schema_freep) struct schema *x = dump_before ? read_schema(dump_before) : NULL;
	CLEANUP(schema_freep) struct schema *y = dump_after ? read_schema(dump_after) : NULL;
	rows_compare(a, b, x, y, on_change, &told);
	assert_string_equal(told.data, want);
}

static void rows_that_vanish_and_come(void **state)
{
	(void)state;
	expect("a\t3\nb\t2\n", "a\t3\nb\t2\n", NULL, NULL, "");
	expect("a\t3\nb\t2\n", "a\t1\nb\t5\n", NULL, NULL, "less a. 3 1\nmore b. 2 5\n");
	expect("a\t3\n", "a\t3\nb\t7\n", NULL, NULL, "");
	expect("a\t3\nb\t0\n", "", NULL, NULL, "dropped a. 3 0\n");
	expect("", "a\t3\n", NULL, NULL, "");
}

#define T(name, columns) "CREATE TABLE " name " (" columns ");\n"

static void a_renamed_table_is_no_loss(void **state)
{
	(void)state;
	expect("old\t3\n", "new\t3\n", T("old", "x INT"), T("new", "x INT"), "");
	expect("old\t3\n", "new\t3\n", T("old", "x INT"), T("new", "y INT"), "dropped old. 3 0\n");
	expect("old\t3\n", "new\t2\n", T("old", "x INT"), T("new", "x INT"), "dropped old. 3 0\n");
	/* One that was there before has not taken them over. */
	expect("old\t3\nnew\t3\n", "new\t3\n", T("old", "x INT") T("new", "x INT"), T("new", "x INT"),
	       "dropped old. 3 0\n");
	expect("old\t3\n", "new\t3\n", NULL, NULL, "");
}

static void values_that_vanish(void **state)
{
	(void)state;
	const char *dump = T("a", "x INT, y INT");
	expect("a\t9\t7\tx=1\n", "a\t9\t8\tx=4\n", dump, dump, "values a.x 8 5\n");
	expect("a\t9\t7\n", "a\t9\t7\ty=9\n", dump, dump, "values a.y 9 0\n");
	/* What went with rows is told as rows. */
	expect("a\t9\t7\tx=1\n", "a\t6\t7\tx=1\n", dump, dump, "less a. 9 6\n");
	expect("a\t9\t7\n", "a\t6\t7\tx=2\n", dump, dump, "less a. 9 6\nvalues a.x 9 4\n");
	/* New rows without a value take none away. */
	expect("a\t9\t7\tx=1\n", "a\t12\t7\tx=4\n", dump, dump, "more a. 9 12\n");
	/* A column that is new is NULL at first. */
	expect("a\t9\t7\n", "a\t9\t7\tz=9\n", dump, T("a", "x INT, y INT, z INT"), "");
	/* Lines that say nothing of NULLs. */
	expect("a\t9\n", "a\t9\n", dump, T("a", "x INT"), "");
}

static void columns_that_are_dropped(void **state)
{
	(void)state;
	expect("a\t9\t7\tx=2\n", "a\t9\t7\n", T("a", "x INT, y INT"), T("a", "y INT"), "column a.x 7 0\n");
	expect("a\t9\t7\tx=9\n", "a\t9\t7\n", T("a", "x INT, y INT"), T("a", "y INT"), "");
	expect("a\t9\t7\n", "a\t9\t7\n", T("a", "x INT, y INT"), T("a", "z INT, y INT"), "");
	expect("a\t9\t7\n", "a\t9\t7\tz=1\n", T("a", "x INT, y INT"), T("a", "z INT, y INT"), "column a.x 9 0\n");
	expect("a\t9\t7\n", "a\t9\t7\n", T("a", "x INT, y INT"), T("a", "z TEXT, y INT"), "column a.x 9 0\n");
}

static void foreign_names_and_broken_lines(void **state)
{
	(void)state;
	expect("we\\tird\t3\t-\tb\\\\ack=1\n", "we\\tird\t3\t-\tb\\\\ack=3\n", T("\"we\tird\"", "\"b\\ack\" INT"),
	       T("\"we\tird\"", "\"b\\ack\" INT"), "values we\\tird.b\\ack 2 0\n");
	expect("a\tx\nb\nc\t-1\n\n\t\t\nd\t5\t-\tq\tr=\t=3\ts=1\n", "d\t4", NULL, NULL, "less d. 5 4\n");
	expect("a\t99999999999999999999999\n", "a\t1\n", NULL, NULL, "less a. 9223372036854775807 1\n");
	expect("\033[31m\t2\n", "\033[31m\t1\n", NULL, NULL, "less \\x1b[31m. 2 1\n");
}

static void on_difference(void *ctx, const struct rows_difference *d)
{
	buf_addf(ctx, "%s%s%s %lld %lld\n", d->table, *d->column ? "." : "", d->column, (long long)d->a,
		 (long long)d->b);
}

static void expect_differences(const char *a, const char *b, const char *want)
{
	AUTO_BUF got = buf_make(BUF_TEXT_MAX);
	CLEANUP(rows_freep) struct rows *ra = rows_read(a), *rb = rows_read(b);
	rows_differ(ra, rb, on_difference, &got);
	assert_string_equal(got.data, want);
}

static void two_counts_side_by_side(void **state)
{
	(void)state;
	expect_differences("", "", "");
	expect_differences("a\t1\nb\t2\n", "b\t2\na\t1\n", "");
	expect_differences("b\t2\na\t1\nab\t7\n", "a\t3\nb\t2\nc\t9\nab\t8", "a 1 3\nab 7 8\n");
	/* Tokens are the engines' own business; NULLs are told where the rows are the same. */
	expect_differences("a\t1\t77\n", "a\t1\t-\n", "");
	expect_differences("a\t4\t-\tx=1\ty=2\tz=3\n", "a\t4\t9\tz=3\tx=4\tw=1\n", "a.w 0 1\na.x 1 4\na.y 2 0\n");
	expect_differences("a\t4\t-\tx=1\n", "a\t5\t-\tx=2\n", "a 4 5\n");
	/* A name may have a '=' in it. */
	expect_differences("a\t4\t-\tx=y=1\n", "a\t4\t-\tx=y=2\n", "a.x=y 1 2\n");
	expect_differences("nothing\n\t\n=\na\t1\t\t=\t=3\tx\n\t6\n", "a\t1\n\n\t7\n", " 6 7\n");
}

static void what_was_filled_in_counts_as_there(void **state)
{
	(void)state;
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	int64_t n = 0;
	rows_gained("a\t0\nb\t2\n", "a\t20\t7\tx=1\nb\t2\nc\t3\n", &lines);
	assert_string_equal(lines.data, "a\t20\nc\t3\n");
	AUTO_FREE char *plus = rows_plus("a\t0\t7\tx=1\nb\t2\n", lines.data);
	CLEANUP(rows_freep) struct rows *r = rows_read(plus);
	assert_int_equal(rows_of(r, "a"), 20);
	assert_int_equal(rows_of(r, "b"), 2);
	assert_int_equal(rows_of(r, "nothing"), -1);
	assert_int_equal(rows_filled(r, &n), 2);
	assert_int_equal(n, 22);
	/* Numbers that no sum has room for. */
	AUTO_FREE char *most = rows_plus("a\t9223372036854775807\nb\t9\n", "a\t1\n");
	assert_string_equal(most, "a\t9223372036854775807\nb\t9\n");
	CLEANUP(rows_freep) struct rows *much = rows_read(most);
	assert_int_equal(rows_filled(much, &n), 2);
	assert_true(n == INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_that_vanish_and_come),
		cmocka_unit_test(a_renamed_table_is_no_loss),
		cmocka_unit_test(values_that_vanish),
		cmocka_unit_test(columns_that_are_dropped),
		cmocka_unit_test(foreign_names_and_broken_lines),
		cmocka_unit_test(two_counts_side_by_side),
		cmocka_unit_test(what_was_filled_in_counts_as_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
