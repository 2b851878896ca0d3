/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"

static void test_subject_to_cause(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(err_sys(&err, ERR_BOX, EACCES, "opening %s", "/x"), -1);
	assert_int_equal(err_ctx(&err, "booting %s", "nova-a"), -1);
	assert_string_equal(err.msg, "booting nova-a: opening /x: Permission denied");
	assert_int_equal(err.reach, ERR_BOX);
	assert_int_equal(err.code, EACCES);
	err_clear(&err);
	assert_int_equal(err.reach, ERR_NONE);
	assert_string_equal(err.msg, "");
}

static void test_unknown_errno(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	err_sys(&err, ERR_USER, 99999, "x");
	assert_string_equal(err.msg, "x: errno 99999");
}

static void test_own_message_as_argument(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	err_set(&err, ERR_USER, 7, "first");
	err_set(&err, ERR_CLOUD, 8, "second after %s", err.msg);
	assert_string_equal(err.msg, "second after first");
	err_ctx(&err, "around %s", err.msg);
	assert_string_equal(err.msg, "around second after first: second after first");
}

static void test_overflow_keeps_both_ends(void **state)
{
	(void)state;
	char big[3000];
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	struct err err = ERR_INIT;
	err_set(&err, ERR_USER, 0, "head %s tail", big);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_true(text_starts(err.msg, "head x") && text_ends(err.msg, "x tail") && strstr(err.msg, "…"));

	for (int i = 0; i < 100; i++)
		err_ctx(&err, "level %d", i);
	assert_true(text_starts(err.msg, "level 99: level 98: ") && text_ends(err.msg, "x tail"));
	assert_true(strlen(err.msg) < sizeof(err.msg));

	err_sys(&err, ERR_USER, ENOENT, "%s", big);
	assert_true(text_ends(err.msg, "xx: No such file or directory"));
	err_set(&err, ERR_USER, 0, "cause");
	err_ctx(&err, "%s", big);
	assert_true(text_ends(err.msg, "xx: cause"));
}

/* Whatever the alignment, the cut falls between characters. */
static void test_overflow_cuts_between_characters(void **state)
{
	(void)state;
	for (int shift = 0; shift < 8; shift++) {
		AUTO_BUF b = buf_make(BUF_TEXT_MAX);
		for (int i = 0; i < shift; i++)
			buf_addc(&b, 'a');
		for (int i = 0; i < 400; i++)
			buf_adds(&b, i % 2 ? "€" : "😀");
		struct err err = ERR_INIT;
		err_set(&err, ERR_USER, 0, "%s", b.data);
		AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
		text_safe(&safe, err.msg, strlen(err.msg));
		assert_string_equal(safe.data, err.msg);
	}
}

static void test_context_without_cause(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	err_ctx(&err, "x");
	assert_int_equal(err.reach, ERR_BUG);
	assert_int_equal(err_exit_code(&err), 3);
}

static void test_names_and_exit_codes(void **state)
{
	(void)state;
	static const struct {
		enum err_reach reach;
		const char *name;
		int code;
	} rows[] = {
		{ERR_NONE, "none", 0},   {ERR_USER, "user", 2},           {ERR_STEP, "step", 1}, {ERR_BOX, "box", 3},
		{ERR_CLOUD, "cloud", 3}, {ERR_CANCELED, "canceled", 130}, {ERR_BUG, "bug", 3},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = {.reach = rows[i].reach};
		assert_string_equal(err_reach_name(rows[i].reach), rows[i].name);
		assert_int_equal(err_exit_code(&err), rows[i].code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_subject_to_cause),
		cmocka_unit_test(test_unknown_errno),
		cmocka_unit_test(test_own_message_as_argument),
		cmocka_unit_test(test_overflow_keeps_both_ends),
		cmocka_unit_test(test_overflow_cuts_between_characters),
		cmocka_unit_test(test_context_without_cause),
		cmocka_unit_test(test_names_and_exit_codes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
