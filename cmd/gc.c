/* SPDX-License-Identifier: MIT */
/* gc: finish whatever any earlier process left behind. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cloud/cloud.h"
#include "cmd/cmd.h"
#include "cmd/report.h"

struct gc_opts {
	bool dry_run, expired;
	const char *cloud, *owner;
};

static const struct opt opts[] = {
	{'n', "dry-run", NULL, "only say what would be ended", OPT_FLAG, offsetof(struct gc_opts, dry_run)},
	{0, "expired", NULL, "only what is past its expiry", OPT_FLAG, offsetof(struct gc_opts, expired)},
	{0, "cloud", "NAME", "only this cloud, whether the ledger knows of boxes there or not", OPT_STRING,
	 offsetof(struct gc_opts, cloud)},
	{0, "owner", "NAME", "all servers of this owner in the cloud's listing, expired or not", OPT_STRING,
	 offsetof(struct gc_opts, owner)},
	OPT_END,
};

static void on_thing(void *ctx, const char *what, const char *why, bool done)
{
	const struct cmd_ctx *c = ctx;
	if (c->globals->json) {
		report_print_json(json_pack("{s:o, s:o, s:b}", "what", report_json_text(what), "why",
					    report_json_text(why), "done", done));
	} else {
		const struct gc_opts *o = c->opts;
		printf("%s: %s (%s)\n", what, done ? "ended" : o->dry_run ? "would be ended" : "resists", why);
	}
}

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct gc_opts *o = c->opts;
	const struct cloud_gc_filter filter = {
		.dry_run = o->dry_run, .expired_only = o->expired, .cloud = o->cloud, .owner = o->owner};
	int n = cloud_gc(c->db, &filter, on_thing, c, err);
	if (n < 0) {
		/* What resisted may cost something: exit code 4, not 3. */
		fflush(stdout);
		fprintf(stderr, "stepbox: %s\n", err->msg);
		return err->reach == ERR_USER ? 2 : 4;
	}
	if (n == 0 && !c->globals->json && !c->globals->quiet)
		puts("nothing is left behind");
	return 0;
}

const struct cmd cmd_gc = {
	.name = "gc",
	.args = "",
	.brief = "end everything that nobody owns any more",
	.help = "Boxes past their expiry, boxes whose stepbox was killed, and what is left of either on this machine.\n"
		"Boxes that were meant to stay (up, --keep) are left until they expire.\n\n"
		"In clouds that the ledger has dealt with in the last week (or --cloud), their own listing is read, "
		"too:\n"
		"servers, floating IPs and security groups of the same owner (STEPBOX_OWNER, else the login name) that "
		"no\n"
		"row of the ledger keeps and that have expired, wherever they were made. --owner NAME ends all of that "
		"owner.",
	.opts = opts,
	.ctx_size = sizeof(struct gc_opts),
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
