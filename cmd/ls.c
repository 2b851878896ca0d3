/* SPDX-License-Identifier: MIT */
/* ls: boxes that are there, and the newest runs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cloud/cloud.h"
#include "cloud/ledger.h"
#include "cmd/cmd.h"
#include "cmd/report.h"

#define RUNS_SHOWN 20
#define RUNS_MAX   100000

struct ls_opts {
	bool all, boxes;
	const char *cloud;
};

static const struct opt opts[] = {
	{'a', "all", NULL, "all runs, and boxes that are gone", OPT_FLAG, offsetof(struct ls_opts, all)},
	{0, "boxes", NULL, "boxes only", OPT_FLAG, offsetof(struct ls_opts, boxes)},
	{0, "cloud", "NAME", "the servers that this cloud lists as stepbox's, of all owners and machines", OPT_STRING,
	 offsetof(struct ls_opts, cloud)},
	OPT_END,
};

struct listing {
	struct cmd_ctx *c;
	int n;
};

/* "in 3 h 12 m", "4 m ago". */
static void relative(int64_t wall, char out[48])
{
	char span[32];
	int64_t d = wall - clock_wall();
	clock_span((d < 0 ? -d : d) * 1000, span);
	snprintf(out, 48, d < 0 ? "%s ago" : "in %s", span);
}

static int on_box(const struct ledger_row *row, void *ctx)
{
	struct listing *l = ctx;
	struct err err = ERR_INIT;
	const struct box *b = &row->box;
	bool gone = strcmp(b->state, "gone") == 0;
	/* A list is not worth a request: of clouds, the ledger's word is shown. */
	int alive = gone ? 0 : cloud_is_remote(b->cloud) ? 1 : cloud_alive(l->c->db, b->name, &err);
	const char *state = !gone && alive == 0 && strcmp(b->state, "active") == 0 ? "ended" : b->state;
	char expires[48];
	if (l->c->globals->json) {
		report_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:b, s:b}", "box", b->name,
					    "run", b->run, "cloud", b->cloud, "image", b->image, "state", state,
					    "address", b->address, "port", b->port, "created", (json_int_t)b->created,
					    "expires", (json_int_t)b->expires, "kept", row->kept, "owned", row->owned));
		return 0;
	}
	if (l->n++ == 0)
		printf("%-20s %-8s %-10s %-9s %-22s %s\n", "BOX", "CLOUD", "IMAGE", "STATE", "ADDRESS", "EXPIRES");
	AUTO_FREE char *at = b->port ? xasprintf("%s:%d", b->address, b->port) : xstrdup("-");
	relative(b->expires, expires);
	printf("%-20s %-8s %-10s %-9s %-22s %s\n", b->name, b->cloud, b->image, state, at, gone ? "-" : expires);
	return 0;
}

static int on_run(const struct run *r, void *ctx)
{
	struct listing *l = ctx;
	char ago[48];
	AUTO_BUF detail = buf_make(BUF_TEXT_MAX);
	const char *status = strcmp(r->status, "running") == 0 && !r->owned ? "orphaned" : r->status;
	if (l->c->globals->json) {
		report_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "run", r->id, "status",
					    status, "variant", r->variant, "box", r->box, "tool", r->tool, "engine",
					    r->engine, "started", (json_int_t)r->started, "ended", (json_int_t)r->ended,
					    "detail", report_json_text(r->detail)));
		return 0;
	}
	if (l->n++ == 0)
		printf("%-20s %-9s %-20s %-12s %-16s %s\n", "RUN", "STATUS", "TOOL", "ENGINE", "STARTED", "");
	relative(r->started, ago);
	text_safe_line(&detail, r->detail, strlen(r->detail), 70);
	printf("%-20s %-9s %-20s %-12s %-16s %s\n", r->id, status, *r->tool ? r->tool : "-", r->engine, ago,
	       *r->variant ? r->variant : detail.data);
	return 0;
}

static void on_listed(const struct cloud_listed *s, void *ctx)
{
	struct listing *l = ctx;
	char expires[48];
	AUTO_BUF name = buf_make(BUF_TEXT_MAX);
	AUTO_BUF owner = buf_make(BUF_TEXT_MAX);
	AUTO_BUF status = buf_make(BUF_TEXT_MAX);
	if (l->c->globals->json) {
		report_print_json(json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:I, s:b}", "box",
					    report_json_text(s->name), "id", report_json_text(s->id), "status",
					    report_json_text(s->status), "address", s->address, "run",
					    report_json_text(s->run), "owner", report_json_text(s->owner), "expires",
					    (json_int_t)s->expires, "known", s->known));
		return;
	}
	if (l->n++ == 0)
		printf("%-24s %-10s %-16s %-12s %-22s %s\n", "BOX", "STATUS", "ADDRESS", "OWNER", "EXPIRES", "LEDGER");
	text_safe_line(&name, s->name, strlen(s->name), 60);
	text_safe_line(&owner, s->owner, strlen(s->owner), 40);
	text_safe_line(&status, s->status, strlen(s->status), 30);
	relative(s->expires, expires);
	printf("%-24s %-10s %-16s %-12s %-22s %s\n", name.data, status.data, *s->address ? s->address : "-", owner.data,
	       s->expires ? expires : "-", s->known ? "known" : "-");
}

static int list_cloud(struct cmd_ctx *c, const char *cloud, struct err *err)
{
	struct listing l = {.c = c};
	int n = cloud_list(c->db, cloud, on_listed, &l, err);
	if (n == 0 && !c->globals->json)
		printf("%s: no servers of stepbox\n", cloud);
	return n < 0 ? -1 : 0;
}

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct ls_opts *o = c->opts;
	struct listing boxes = {.c = c}, runs = {.c = c};
	if (o->cloud)
		return list_cloud(c, o->cloud, err);
	if (ledger_each(c->db, o->all, on_box, &boxes, err) < 0)
		return -1;
	if (o->boxes)
		return 0;
	if (boxes.n && !c->globals->json)
		putchar('\n');
	if (store_run_each(c->db, o->all ? RUNS_MAX : RUNS_SHOWN, on_run, &runs, err) < 0)
		return -1;
	if (!boxes.n && !runs.n && !c->globals->json)
		puts("no boxes, no runs");
	return 0;
}

const struct cmd cmd_ls = {
	.name = "ls",
	.args = "",
	.brief = "list boxes and runs",
	.opts = opts,
	.ctx_size = sizeof(struct ls_opts),
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
