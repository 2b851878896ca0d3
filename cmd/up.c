/* SPDX-License-Identifier: MIT */
/* up: boot and provision, stay. */
#include <stdio.h>

#include "cmd/cmd.h"
#include "cmd/job.h"

struct up_opts {
	struct opt_list set;
};

static const struct opt opts[] = {
	{0, "set", "KEY.PATH=VALUE", "override one value of the recipe", OPT_LIST, offsetof(struct up_opts, set)},
	OPT_END,
};

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct up_opts *o = c->opts;
	struct recipe r;
	if (recipe_load(&r, c->argv[0], &o->set, err) < 0) {
		recipe_finish(&r);
		return -1;
	}
	struct screen *screen = screen_new(c->globals, 1);
	/* A box that could not be provisioned stays too: it is there to be looked at. */
	struct job job = {.db = c->db, .screen = screen, .recipe = &r, .what = COMPILE_PROVISION, .keep = KEEP_ALWAYS};
	job_run(&job);
	screen_free(screen);
	recipe_finish(&r);
	return job.exit_code;
}

const struct cmd cmd_up = {
	.name = "up",
	.args = "[RECIPE]",
	.brief = "boot and provision a box that stays until its ttl",
	.help = "Then: stepbox step BOX --to V, stepbox ssh BOX, stepbox down BOX.",
	.opts = opts,
	.ctx_size = sizeof(struct up_opts),
	.max_args = 1,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
