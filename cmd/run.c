/* SPDX-License-Identifier: MIT */
/* run: up, step, down: the one command. With --vary one run per combination, each on a box and in a thread of its own.
 */
#include "cmd/cmd.h"
#include "cmd/fleet.h"

struct run_opts {
	struct opt_list set, vary;
	const char *from, *to, *keep;
	bool roundtrip;
	bool cold;
};

static const struct opt opts[] = {
	{0, "from", "VERSION", "the step before the first one of interest (base: nothing applied)", OPT_STRING,
	 offsetof(struct run_opts, from)},
	{0, "to", "VERSION", "the last step (head: the newest)", OPT_STRING, offsetof(struct run_opts, to)},
	{0, "roundtrip", NULL, "at each version up, down, and up again; what stays or is lost is a finding", OPT_FLAG,
	 offsetof(struct run_opts, roundtrip)},
	{0, "keep", "never|on-failure|always", "what happens to the box at the end (default never)", OPT_CHOICE,
	 offsetof(struct run_opts, keep)},
	{0, "cold", NULL, "start the tool anew for each step, as one types it", OPT_FLAG,
	 offsetof(struct run_opts, cold)},
	{0, "set", "KEY.PATH=VALUE", "override one value of the recipe", OPT_LIST, offsetof(struct run_opts, set)},
	{0, "vary", "KEY.PATH=A,B", "one run per value", OPT_LIST, offsetof(struct run_opts, vary)},
	OPT_END,
};

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct run_opts *o = c->opts;
	CLEANUP(fleet_finish) struct fleet fleet = {0};
	struct fleet_order order = {
		.path = c->argv[0], .set = o->set, .vary = o->vary, .from = o->from, .to = o->to, .cold = o->cold};
	if (o->roundtrip && order.set.n == OPT_LIST_MAX)
		return err_set(err, ERR_USER, 0, "--set: more than %d assignments", OPT_LIST_MAX - 1);
	if (o->roundtrip)
		order.set.v[order.set.n++] = "migrations.roundtrip=true";
	if (fleet_add(&fleet, &order, err) < 0)
		return -1;
	struct screen *screen = screen_new(c->globals, (int)fleet.n);
	struct fleet_run how = {.db = c->db, .screen = screen, .keep = keep_parse(o->keep), .what = COMPILE_ALL};
	int code = fleet_run(&fleet, &how);
	screen_free(screen);
	return code;
}

const struct cmd cmd_run = {
	.name = "run",
	.args = "[RECIPE]",
	.brief = "boot a box, step the migrations, look after each, throw it away",
	.help = "RECIPE is a YAML file; ./stepbox.yaml need not be named. Ctrl-C stops and cleans up.",
	.opts = opts,
	.ctx_size = sizeof(struct run_opts),
	.max_args = 1,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
