/* SPDX-License-Identifier: MIT */
/* Command-line options as rows of a table: parsing, type checks, --help and shell completion come from the same row. */
#ifndef STEPBOX_CMD_OPT_H
#define STEPBOX_CMD_OPT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

enum opt_type {
	OPT_FLAG,   /* bool at off: set true */
	OPT_STRING, /* const char * at off: borrowed from argv */
	OPT_LIST,   /* struct opt_list at off: may be given several times */
	OPT_CHOICE, /* const char * at off: one of `arg` split at '|' */
	OPT_TYPE_COUNT_
};

#define OPT_LIST_MAX 32
struct opt_list {
	size_t n;
	const char *v[OPT_LIST_MAX]; /* borrowed from argv */
};

struct opt {
	char s; /* short name or 0 */
	const char *name;
	const char *arg; /* what the value is called, or the choices "a|b|c"; NULL for flags */
	const char *help;
	enum opt_type type;
	size_t off; /* offsetof(struct CONTEXT, field) */
};

/* The end of every table. */
#define OPT_END                                                                                                        \
	{                                                                                                              \
		.name = NULL                                                                                           \
	}

/* Parses argv (argv[0] is the command's name) into the context. "-h"/"--help" makes it return 1. On success 0 and
 * *n_args operands at args (NULL-terminated, moved to the front in order; everything behind "--" is an operand).
 * ERR_USER names the bad option and the nearest known one. */
int opt_parse(const struct opt *opts, void *ctx, int argc, char **argv, char ***args, int *n_args,
	      struct err *err) MUST_USE;

/* The option part of a help text. */
void opt_help(const struct opt *opts, struct buf *out);

#endif
