/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/template.h"
#include "base/text.h"
#include "cloud/cloud.h"
#include "cloud/clouds.h"
#include "cmd/cmd.h"
#include "cmd/state.h"
#include "provision/ssh.h"

#ifndef STEPBOX_VERSION
#define STEPBOX_VERSION "0.1"
#endif

const struct cmd *const cmds[] = {
	&cmd_init,  &cmd_plan,   &cmd_versions, &cmd_run,    &cmd_up,     &cmd_step,       &cmd_ls,  &cmd_show,
	&cmd_log,   &cmd_diff,   &cmd_compare,  &cmd_bisect, &cmd_schema, &cmd_attach,     &cmd_ssh, &cmd_ssh_config,
	&cmd_learn, &cmd_extend, &cmd_down,     &cmd_gc,     &cmd_doctor, &cmd_completion, NULL,
};

/* Every command's own table is parsed together with these; its context lies behind them, aligned for anything. */
struct common {
	_Alignas(max_align_t) struct globals g;
	bool debug;
};

static const struct opt common_opts[] = {
	{'v', "verbose", NULL, "show the output of tasks and steps as it comes", OPT_FLAG,
	 offsetof(struct common, g.verbose)},
	{'q', "quiet", NULL, "only results and errors", OPT_FLAG, offsetof(struct common, g.quiet)},
	{0, "json", NULL, "one JSON object a line on stdout", OPT_FLAG, offsetof(struct common, g.json)},
	{0, "debug", NULL, "log what stepbox itself does", OPT_FLAG, offsetof(struct common, debug)},
	OPT_END,
};

enum { ARGS_COLUMNS = 27 };

static void usage(FILE *f)
{
	fputs("stepbox: throwaway boxes for looking at database migrations, one step at a time\n\n"
	      "usage: stepbox COMMAND [OPTIONS] …\n\n",
	      f);
	for (size_t i = 0; cmds[i]; i++) {
		AUTO_BUF args = buf_make(BUF_TEXT_MAX);
		text_pad(&args, cmds[i]->args, ARGS_COLUMNS);
		fprintf(f, "  %-11s %s %s\n", cmds[i]->name, args.data, cmds[i]->brief);
	}
	fputs("\n`stepbox COMMAND --help` tells the options. Exit codes: 0 as expected, 1 a finding, 2 usage or "
	      "recipe,\n"
	      "3 box or cloud, 4 something may still be running, 130 interrupted and cleaned up.\n",
	      f);
}

static void help(const struct cmd *c)
{
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	buf_addf(&out, "usage: stepbox %s%s%s\n\n%s\n", c->name, *c->args ? " " : "", c->args, c->brief);
	if (c->help)
		buf_addf(&out, "\n%s\n", c->help);
	buf_adds(&out, "\noptions:\n");
	if (c->opts)
		opt_help(c->opts, &out);
	opt_help(common_opts, &out);
	fputs(out.data, stdout);
}

/* By name, or by a prefix that only one command has. */
static const struct cmd *find_command(const char *name, struct err *err)
{
	const char *names[ARRAY_SIZE(cmds)];
	const struct cmd *found = NULL;
	bool ambiguous = false;
	size_t n = 0;
	for (; cmds[n]; n++) {
		names[n] = cmds[n]->name;
		if (strcmp(name, cmds[n]->name) == 0)
			return cmds[n];
		if (text_starts(cmds[n]->name, name)) {
			ambiguous = found != NULL;
			found = cmds[n];
		}
	}
	names[n] = NULL;
	if (found && !ambiguous)
		return found;
	const char *near = text_nearest(name, names);
	if (ambiguous)
		err_set(err, ERR_USER, 0, "%s: ambiguous; `stepbox --help` lists the commands", name);
	else if (near)
		err_set(err, ERR_USER, 0, "%s: no such command; did you mean `stepbox %s`?", name, near);
	else
		err_set(err, ERR_USER, 0, "%s: no such command; `stepbox --help` lists them", name);
	return NULL;
}

/* One table out of the common rows and the command's; offsets of the command's rows are moved behind struct common. */
static void merge_options(const struct cmd *c, struct opt *all, size_t max)
{
	size_t n = 0;
	for (const struct opt *o = common_opts; o->name && n + 1 < max; o++)
		all[n++] = *o;
	for (const struct opt *o = c->opts; o && o->name && n + 1 < max; o++) {
		all[n] = *o;
		all[n++].off += sizeof(struct common);
	}
	all[n] = (struct opt)OPT_END;
}

static int check_operands(const struct cmd *c, int n, struct err *err)
{
	if (n < c->min_args || (c->max_args >= 0 && n > c->max_args))
		return err_set(err, ERR_USER, 0, "%s: usage: stepbox %s%s%s", c->name, c->name, *c->args ? " " : "",
			       c->args);
	return 0;
}

/* Words behind the first "--". (Where it is the value of an option it is not meant as one that takes any.) */
static int count_behind(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0)
			return argc - 1 - i;
	}
	return 0;
}

static int run_command(const struct cmd *c, int argc, char **argv, struct err *err)
{
	struct opt all[32];
	merge_options(c, all, ARRAY_SIZE(all));
	AUTO_FREE char *mem = xcalloc(1, sizeof(struct common) + c->ctx_size);
	struct common *common = (void *)mem;
	struct cmd_ctx ctx = {
		.globals = &common->g, .opts = mem + sizeof(struct common), .n_behind = count_behind(argc, argv)};
	int rc = opt_parse(all, mem, argc, argv, &ctx.argv, &ctx.argc, err);
	if (rc > 0) {
		help(c);
		return 0;
	}
	if (rc < 0 || check_operands(c, ctx.argc, err) < 0)
		return -1;
	log_set_level(common->debug ? LOG_DEBUG : common->g.quiet ? LOG_WARN : LOG_INFO);
	CLEANUP(db_closep) struct db *db = NULL;
	if (c->needs & CMD_NEEDS_STORE) {
		db = state_open(err);
		if (!db)
			return -1;
		ctx.db = db;
		stop_set_last_words("stepbox: left at once; a box may still be running: stepbox gc\n");
	}
	return c->run(&ctx, err);
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	setlocale(LC_CTYPE, "C.UTF-8");
	mallopt(M_ARENA_MAX, 2); /* one thread per box, little memory each */
	stop_install();
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? 2 : 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("stepbox " STEPBOX_VERSION);
		return 0;
	}
	const struct cmd *c = find_command(argv[1], &err);
	/* Passwords of clouds are nothing for child processes. */
	clouds_take_environment();
	int rc = c && ssh_library_init(&err) == 0 ? cloud_library_init(&err) : -1;
	if (rc == 0)
		rc = run_command(c, argc - 1, argv + 1, &err);
	cloud_library_exit();
	ssh_library_exit();
	if (rc < 0) {
		if (err.msg[0])
			log_err("stepbox", "%s", err.msg);
		return err_exit_code(&err);
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		log_err("stepbox", "stdout: could not be written");
		return 3;
	}
	return rc;
}
