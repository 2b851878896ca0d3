/* SPDX-License-Identifier: MIT */
#include "cmd/opt.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define OPT_MAX 32

static size_t opt_count(const struct opt *opts)
{
	size_t n = 0;
	while (opts[n].name)
		n++;
	return n;
}

static int unknown_option(const struct opt *opts, const char *given, struct err *err)
{
	const char *words[OPT_MAX + 2] = {"help"};
	size_t n = opt_count(opts);
	for (size_t i = 0; i < n; i++)
		words[i + 1] = opts[i].name;
	const char *bare = given + strspn(given, "-");
	AUTO_FREE char *word = xstrndup(bare, strcspn(bare, "="));
	const char *near = given[1] == '-' ? text_nearest(word, words) : NULL;
	if (near)
		return err_set(err, ERR_USER, 0, "%s: no such option; did you mean --%s?", given, near);
	return err_set(err, ERR_USER, 0, "%s: no such option; --help lists them", given);
}

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);
	for (const char *c = choices; *c; c += strcspn(c, "|"), c += *c == '|') {
		if (strcspn(c, "|") == len && strncmp(c, value, len) == 0)
			return true;
	}
	return false;
}

static int opt_store(const struct opt *o, void *ctx, const char *value, struct err *err)
{
	void *field = (char *)ctx + o->off;
	switch (o->type) {
	case OPT_FLAG:
		*(bool *)field = true;
		return 0;
	case OPT_CHOICE:
		if (!is_choice(o->arg, value))
			return err_set(err, ERR_USER, 0, "--%s %s: choose one of %s", o->name, value, o->arg);
		*(const char **)field = value;
		return 0;
	case OPT_STRING:
		*(const char **)field = value;
		return 0;
	case OPT_LIST: {
		struct opt_list *list = field;
		if (list->n == OPT_LIST_MAX)
			return err_set(err, ERR_USER, 0, "--%s: given more than %d times", o->name, OPT_LIST_MAX);
		list->v[list->n++] = value;
		return 0;
	}
	case OPT_TYPE_COUNT_:
		break;
	}
	return err_set(err, ERR_BUG, 0, "option --%s has no type", o->name);
}

/* getopt's view of the table: index i of the table is value i + 256. "+" is not used: options may follow operands. */
static void opt_tables(const struct opt *opts, size_t n, struct option *longs, char *shorts, size_t shorts_size)
{
	struct buf s = buf_make(shorts_size);
	buf_adds(&s, ":h");
	for (size_t i = 0; i < n; i++) {
		int has_arg = opts[i].type == OPT_FLAG ? no_argument : required_argument;
		longs[i] = (struct option){opts[i].name, has_arg, NULL, (int)i + 256};
		if (opts[i].s) {
			buf_addc(&s, opts[i].s);
			if (has_arg == required_argument)
				buf_addc(&s, ':');
		}
	}
	longs[n] = (struct option){"help", no_argument, NULL, 'h'};
	longs[n + 1] = (struct option){NULL, 0, NULL, 0};
	snprintf(shorts, shorts_size, "%s", s.data);
	buf_finish(&s);
}

int opt_parse(const struct opt *opts, void *ctx, int argc, char **argv, char ***args, int *n_args, struct err *err)
{
	size_t n = opt_count(opts);
	struct option longs[OPT_MAX + 2];
	char shorts[2 * OPT_MAX + 4];
	if (n > OPT_MAX)
		return err_set(err, ERR_BUG, 0, "too many options");
	opt_tables(opts, n, longs, shorts, sizeof(shorts));
	optind = 0; /* glibc: begin anew */
	opterr = 0;
	int c;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == 'h')
			return 1;
		if (c == '?')
			return unknown_option(opts, argv[optind - 1], err);
		if (c == ':')
			return err_set(err, ERR_USER, 0, "%s: needs a value", argv[optind - 1]);
		const struct opt *o = NULL;
		for (size_t i = 0; i < n && !o; i++) {
			if (c == (int)i + 256 || c == opts[i].s)
				o = &opts[i];
		}
		if (!o)
			return err_set(err, ERR_BUG, 0, "option %d is not in the table", c);
		if (opt_store(o, ctx, optarg, err) < 0)
			return -1;
	}
	*args = argv + optind;
	*n_args = argc - optind;
	return 0;
}

void opt_help(const struct opt *opts, struct buf *out)
{
	for (; opts->name; opts++) {
		char left[64];
		char shorty[5] = "    ";
		if (opts->s)
			snprintf(shorty, sizeof(shorty), "-%c, ", opts->s);
		snprintf(left, sizeof(left), "%s--%s%s%s", shorty, opts->name, opts->arg ? " " : "",
			 opts->arg ? opts->arg : "");
		buf_addf(out, "  %-36s %s\n", left, opts->help);
	}
}
