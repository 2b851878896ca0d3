/* SPDX-License-Identifier: MIT */
/* attach: go on with a run whose stepbox is gone (a closed laptop, a kill -9): the box walked on by itself. */
#include "cmd/cmd.h"
#include "cmd/job.h"

struct attach_opts {
	const char *keep;
};

static const struct opt opts[] = {
	{0, "keep", "never|on-failure|always", "what happens to the box at the end (default never)", OPT_CHOICE,
	 offsetof(struct attach_opts, keep)},
	OPT_END,
};

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct attach_opts *o = c->opts;
	struct screen *screen = screen_new(c->globals, 1);
	int rc = job_attach(c->db, screen, c->argv[0] ? c->argv[0] : "last", keep_parse(o->keep), err);
	screen_free(screen);
	return rc;
}

const struct cmd cmd_attach = {
	.name = "attach",
	.args = "[RUN]",
	.brief = "follow a run that went on without us",
	.opts = opts,
	.ctx_size = sizeof(struct attach_opts),
	.max_args = 1,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
