/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/opt.h"

struct ctx {
	bool flag;
	const char *text, *choice;
	struct opt_list list;
};

static const struct opt opts[] = {
	{'f', "flag", NULL, "a flag", OPT_FLAG, offsetof(struct ctx, flag)},
	{'t', "text", "TEXT", "a text", OPT_STRING, offsetof(struct ctx, text)},
	{0, "keep", "never|on-failure|always", "a choice", OPT_CHOICE, offsetof(struct ctx, choice)},
	{0, "set", "K=V", "a list", OPT_LIST, offsetof(struct ctx, list)},
	OPT_END,
};

static int parse(struct ctx *c, struct err *err, char ***args, int *n, char **argv)
{
	int argc = 0;
	while (argv[argc])
		argc++;
	*c = (struct ctx){0};
	err_clear(err);
	return opt_parse(opts, c, argc, argv, args, n, err);
}
#define PARSE(...) parse(&c, &err, &args, &n, (char *[]){(char[]){"cmd"}, __VA_ARGS__, NULL})
#define S(x)                                                                                                           \
	(char[])                                                                                                       \
	{                                                                                                              \
		x                                                                                                      \
	}

static void test_values(void **state)
{
	(void)state;
	struct ctx c;
	struct err err = ERR_INIT;
	char **args;
	int n;
	assert_int_equal(PARSE(S("a"), S("-f"), S("--text=x y"), S("b"), S("--set"), S("k=1"), S("--set=k=2"),
			       S("--keep"), S("always"), S("--"), S("-f")),
			 0);
	assert_true(c.flag);
	assert_string_equal(c.text, "x y");
	assert_string_equal(c.choice, "always");
	assert_int_equal(c.list.n, 2);
	assert_string_equal(c.list.v[1], "k=2");
	assert_int_equal(n, 3);
	assert_string_equal(args[0], "a");
	assert_string_equal(args[2], "-f");
}

static void test_refusals(void **state)
{
	(void)state;
	struct ctx c;
	struct err err = ERR_INIT;
	char **args;
	int n;
	assert_int_equal(PARSE(S("--flog")), -1);
	assert_non_null(strstr(err.msg, "did you mean --flag"));
	assert_int_equal(err.reach, ERR_USER);
	assert_int_equal(PARSE(S("--text")), -1);
	assert_non_null(strstr(err.msg, "needs a value"));
	assert_int_equal(PARSE(S("--keep"), S("alway")), -1);
	assert_non_null(strstr(err.msg, "never|on-failure|always"));
	assert_int_equal(PARSE(S("-z")), -1);
	assert_int_equal(PARSE(S("--help")), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests_name("opt", tests, NULL, NULL);
}
