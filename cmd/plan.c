/* SPDX-License-Identifier: MIT */
/* plan: what would happen, task by task; no box. */
#include <stdio.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/compile.h"

struct plan_opts {
	struct opt_list set;
};

static const struct opt opts[] = {
	{0, "set", "KEY.PATH=VALUE", "override one value of the recipe", OPT_LIST, offsetof(struct plan_opts, set)},
	OPT_END,
};

static int print_json(const struct plan *plan, const struct recipe *r, struct err *err)
{
	json_t *o = plan_json(plan);
	json_object_set_new(o, "name", json_string(r->name));
	json_object_set_new(o, "box",
			    json_pack("{s:s, s:s, s:I}", "cloud", r->box.cloud, "image", r->box.image, "ttl_s",
				      (json_int_t)(r->box.ttl_ms / 1000)));
	char *text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(o);
	if (!text)
		return err_set(err, ERR_BUG, 0, "the plan cannot be written as JSON");
	printf("%s\n", text);
	free(text);
	return 0;
}

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct plan_opts *o = c->opts;
	struct recipe r;
	int rc = recipe_load(&r, c->argv[0], &o->set, err);
	CLEANUP(plan_freep) struct plan *plan = rc == 0 ? compile(&r, COMPILE_ALL, NULL, err) : NULL;
	rc = plan ? 0 : -1;
	if (plan && c->globals->json) {
		rc = print_json(plan, &r, err);
	} else if (plan) {
		AUTO_BUF out = buf_make(BUF_TEXT_MAX);
		AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
		buf_addf(&out, "%s: a box of %s on %s\n", r.name, r.box.image, r.box.cloud);
		plan_print(plan, c->globals->verbose, &out);
		text_safe(&safe, out.data, out.len);
		fputs(safe.data, stdout);
	}
	recipe_finish(&r);
	return rc;
}

const struct cmd cmd_plan = {
	.name = "plan",
	.args = "[RECIPE]",
	.brief = "print what would happen, task by task, without a box",
	.help = "-v shows the commands.",
	.opts = opts,
	.ctx_size = sizeof(struct plan_opts),
	.max_args = 1,
	.run = run,
};
