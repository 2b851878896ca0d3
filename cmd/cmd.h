/* SPDX-License-Identifier: MIT */
/* A subcommand: one file cmd/NAME.c, one constant of this type, one line in the table of cmd/main.c. */
#ifndef STEPBOX_CMD_CMD_H
#define STEPBOX_CMD_CMD_H

#include <stdbool.h>

#include "base/db.h"
#include "base/err.h"
#include "cmd/opt.h"

/* Options of every command. */
struct globals {
	bool verbose;
	bool quiet;
	bool json;
};

struct cmd_ctx {
	struct db *db; /* the store, open when the command `needs` it */
	const struct globals *globals;
	int argc;     /* operands */
	char **argv;  /* NULL-terminated */
	int n_behind; /* how many of them, the last ones, stand behind "--" */
	void *opts;   /* the command's own context, ctx_size zeroed bytes */
};

enum { CMD_NEEDS_STORE = 1 };

struct cmd {
	const char *name;
	const char *args;  /* operands as shown in usage */
	const char *brief; /* one line */
	const char *help;  /* further text, or NULL */
	const struct opt *opts;
	size_t ctx_size;
	int min_args, max_args; /* max -1: any number */
	unsigned needs;
	/* Returns the exit code (0 or 1, a finding), or -1 with err. */
	int (*run)(struct cmd_ctx *c, struct err *err);
};

extern const struct cmd cmd_attach, cmd_bisect, cmd_compare, cmd_diff, cmd_doctor, cmd_down, cmd_gc, cmd_init, cmd_log,
	cmd_ls, cmd_plan, cmd_run, cmd_schema, cmd_show, cmd_ssh, cmd_ssh_config, cmd_step, cmd_up, cmd_extend,
	cmd_completion, cmd_versions, cmd_learn;

/* All commands, NULL-terminated. */
extern const struct cmd *const cmds[];

#endif
