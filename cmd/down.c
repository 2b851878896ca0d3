/* SPDX-License-Identifier: MIT */
/* down: end boxes. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cloud/ledger.h"
#include "cmd/cmd.h"

struct down_opts {
	bool all;
};

static const struct opt opts[] = {
	{0, "all", NULL, "every box of this store", OPT_FLAG, offsetof(struct down_opts, all)},
	OPT_END,
};

struct downing {
	struct cmd_ctx *c;
	int n, left;
};

/* One that resists does not keep the others. */
static void end_box(struct downing *d, const char *name)
{
	struct err err = ERR_INIT;
	if (cloud_delete(d->c->db, name, &err) < 0) {
		log_err("stepbox", "%s", err.msg);
		d->left++;
		return;
	}
	d->n++;
	if (d->c->globals->json)
		printf("{\"box\":\"%s\",\"state\":\"gone\"}\n", name);
	else if (!d->c->globals->quiet)
		printf("%s: gone\n", name);
}

static int on_row(const struct ledger_row *row, void *ctx)
{
	end_box(ctx, row->box.name);
	return 0;
}

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct down_opts *o = c->opts;
	struct downing d = {.c = c};
	if (o->all == (c->argc > 0))
		return err_set(err, ERR_USER, 0, "down: name boxes, or give --all");
	if (o->all && ledger_each(c->db, false, on_row, &d, err) < 0)
		return -1;
	for (int i = 0; i < c->argc; i++) {
		struct box box;
		int found = ledger_find(c->db, c->argv[i], &box, err);
		if (found < 0)
			return -1;
		if (!found) {
			log_err("stepbox", "%s: no such box; `stepbox ls` lists them", c->argv[i]);
			return 2;
		}
		end_box(&d, box.name);
	}
	return d.left ? 4 : 0;
}

const struct cmd cmd_down = {
	.name = "down",
	.args = "BOX… | --all",
	.brief = "end boxes",
	.opts = opts,
	.ctx_size = sizeof(struct down_opts),
	.max_args = -1,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
