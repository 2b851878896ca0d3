/* SPDX-License-Identifier: MIT */
#include "migrations/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/yaml.h"

static struct limits *read_limits(const char *yaml, const char *engine, int64_t rows, const char *want)
{
	struct yaml y = {0};
	struct err err = ERR_INIT;
	assert_int_equal(yaml_parse(&y, "limits", yaml, strlen(yaml), &err), 0);
	struct limits *l = limits_new(y.root, engine, rows, &err);
	yaml_finish(&y);
	assert_string_equal(err.msg, want ? want : "");
	return l;
}

static void a_version_is_called_by_its_number_or_beginning(void **state)
{
	(void)state;
	assert_true(version_is("204", "204"));
	assert_true(version_is("42", "0042"));
	assert_true(version_is("0042", "42"));
	assert_true(version_is("011", "011_check"));
	assert_true(version_is("011_check", "011_check"));
	assert_false(version_is("01", "011_check"));
	assert_false(version_is("20", "204"));
	assert_false(version_is("", "204"));
	assert_false(version_is("204_x", "204"));
}

static void times(void **state)
{
	(void)state;
	assert_int_equal(limits_ms(NULL, "1"), 0);
	CLEANUP(limits_freep) struct limits *none = limits_new(NULL, "sqlite", 0, &(struct err)ERR_INIT);
	assert_int_equal(limits_ms(none, "1"), 0);
	CLEANUP(limits_freep) struct limits *l = read_limits("{step: 60s, \"204\": 2m, 011: 5}", "sqlite", 0, NULL);
	assert_int_equal(limits_ms(l, "203"), 60000);
	assert_int_equal(limits_ms(l, "204"), 120000);
	assert_int_equal(limits_ms(l, "204_add_x"), 120000);
	assert_int_equal(limits_ms(l, "011_check"), 5000);
	assert_int_equal(limits_ms(l, "2040"), 60000);
}

static void what_was_learned_is_of_one_engine_and_size(void **state)
{
	(void)state;
	static const char text[] = "{\"204\": 2m, file: x, from_file: {step: 60s, \"205\": 3m, loss: allow, learned: ["
				   "{engine: mariadb, rows: 20, versions: {\"204\": 500s, \"151\": 333s}},"
				   "{engine: mariadb, versions: {\"151\": 100s}}]}}";
	CLEANUP(limits_freep) struct limits *l = read_limits(text, "mariadb", 20, NULL);
	assert_int_equal(limits_ms(l, "151"), 333000);
	assert_int_equal(limits_ms(l, "204"), 120000); /* the recipe's own word */
	assert_int_equal(limits_ms(l, "205"), 180000);
	assert_int_equal(limits_ms(l, "1"), 60000);
	assert_int_equal(limits_loss(l, "1"), LOSS_ALLOW);
	CLEANUP(limits_freep) struct limits *empty = read_limits(text, "mariadb", 0, NULL);
	assert_int_equal(limits_ms(empty, "151"), 100000);
	CLEANUP(limits_freep) struct limits *other = read_limits(text, "sqlite", 20, NULL);
	assert_int_equal(limits_ms(other, "151"), 60000);
}

static void loss(void **state)
{
	(void)state;
	assert_int_equal(limits_loss(NULL, "1"), LOSS_FIND);
	CLEANUP(limits_freep) struct limits *some = read_limits("{loss: [\"204\", 011]}", "sqlite", 0, NULL);
	assert_int_equal(limits_loss(some, "204"), LOSS_ALLOW);
	assert_int_equal(limits_loss(some, "011_check"), LOSS_ALLOW);
	assert_int_equal(limits_loss(some, "205"), LOSS_FIND);
	CLEANUP(limits_freep)
	struct limits *strict = read_limits("{loss: strict, from_file: {loss: allow}}", "sqlite", 0, NULL);
	assert_int_equal(limits_loss(strict, "1"), LOSS_STRICT);
}

static void mistakes(void **state)
{
	(void)state;
	assert_null(
		read_limits("{step: soon}", "sqlite", 0, "step: not a time span such as 90s, 10m, 4h or 2d: \"soon\""));
	assert_null(read_limits("{\"204\": [1]}", "sqlite", 0, "204: a time such as 2m is wanted here"));
	assert_null(
		read_limits("{loss: never}", "sqlite", 0, "loss: allow, strict or a list of versions is wanted here"));
	assert_null(read_limits("{from_file: [1]}", "sqlite", 0, "file: a mapping is wanted here"));
	assert_null(
		read_limits("{from_file: {learned: [{rows: 1}]}}", "sqlite", 0, "file: learned: engine is missing"));
	assert_null(read_limits("{from_file: {learned: 1}}", "sqlite", 0, "file: learned: a list is wanted here"));
	assert_null(read_limits("{from_file: {learned: [{engine: sqlite, versions: {\"1\": x}}]}}", "sqlite", 0,
				"file: learned: 1: not a time span such as 90s, 10m, 4h or 2d: \"x\""));
}

/* turbo-hipster's integer division took the fastest of 11 to 99. */
static void percentiles_by_nearest_rank(void **state)
{
	(void)state;
	int64_t n[200];
	for (int i = 0; i < 200; i++)
		n[i] = i + 1;
	assert_int_equal(percentile(n, 1, 99), 1);
	assert_int_equal(percentile(n, 11, 99), 11);
	assert_int_equal(percentile(n, 99, 99), 99);
	assert_int_equal(percentile(n, 100, 99), 99);
	assert_int_equal(percentile(n, 101, 99), 100);
	assert_int_equal(percentile(n, 200, 99), 198);
	assert_int_equal(percentile(n, 200, 100), 200);
	assert_int_equal(percentile(n, 200, 1), 2);
	assert_int_equal(percentile(n, 4, 50), 2);
	assert_int_equal(percentile(n, 5, 50), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_version_is_called_by_its_number_or_beginning),
		cmocka_unit_test(times),
		cmocka_unit_test(what_was_learned_is_of_one_engine_and_size),
		cmocka_unit_test(loss),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(percentiles_by_nearest_rank),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
