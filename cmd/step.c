/* SPDX-License-Identifier: MIT */
/* step: further steps on a box that is there. */
#include <string.h>

#include "cloud/ledger.h"
#include "cmd/cmd.h"
#include "cmd/job.h"

struct step_opts {
	const char *to;
	bool cold;
};

static const struct opt opts[] = {
	{0, "to", "VERSION|+N|-N", "where to go from where the database is (default head)", OPT_STRING,
	 offsetof(struct step_opts, to)},
	{0, "cold", NULL, "start the tool anew for each step, as one types it", OPT_FLAG,
	 offsetof(struct step_opts, cold)},
	OPT_END,
};

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct step_opts *o = c->opts;
	struct box box;
	struct recipe r;
	AUTO_BUF json = buf_make(BUF_TEXT_MAX);
	int found = ledger_find(c->db, c->argv[0], &box, err);
	if (found < 0)
		return -1;
	if (!found || strcmp(box.state, "active") != 0)
		return err_set(err, ERR_USER, 0, "%s: no such box; `stepbox ls` lists them", c->argv[0]);
	int alive = cloud_alive(c->db, box.name, err);
	if (alive <= 0)
		return alive < 0
			       ? -1
			       : err_set(err, ERR_BOX, 0, "box %s: it is gone; `stepbox gc` clears it away", box.name);
	if (store_run_recipe(c->db, box.run, &json, err) < 0)
		return -1;
	struct opt_list sets = {.v = {"migrations.cold=true"}, .n = o->cold};
	int rc = recipe_from_json(&r, json.data, &sets, err);
	if (rc == 0) {
		struct screen *screen = screen_new(c->globals, 1);
		struct job job = {
			.db = c->db,
			.screen = screen,
			.recipe = &r,
			.what = COMPILE_WALK,
			.keep = KEEP_ALWAYS,
			.to = o->to ? o->to : "head",
			.box = box.name,
		};
		job_run(&job);
		screen_free(screen);
		rc = job.exit_code;
	}
	recipe_finish(&r);
	return rc;
}

const struct cmd cmd_step = {
	.name = "step",
	.args = "BOX",
	.brief = "step the database of a box that stayed",
	.opts = opts,
	.ctx_size = sizeof(struct step_opts),
	.min_args = 1,
	.max_args = 1,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
