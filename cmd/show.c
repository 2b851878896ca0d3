/* SPDX-License-Identifier: MIT */
/* show: one run, as it was shown live. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/report.h"

static int on_task(const struct task_row *t, void *ctx)
{
	(void)ctx;
	AUTO_BUF line = buf_make(BUF_TEXT_MAX);
	report_task(t, &line);
	puts(line.data);
	return 0;
}

struct showing {
	const struct cmd_ctx *c;
	struct report_steps steps;
};

static int measure_step(const struct step *s, void *ctx)
{
	struct showing *sh = ctx;
	sh->steps.width = report_version_width(s->version, sh->steps.width);
	return 0;
}

static void show_changes(const char *changes)
{
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	text_safe(&safe, changes, strlen(changes));
	for (const char *p = safe.data; *p;) {
		size_t n = strcspn(p, "\n");
		printf("      %.*s\n", (int)n, p);
		p += n + (p[n] == '\n');
	}
}

static int on_step(const struct step *s, void *ctx)
{
	struct showing *sh = ctx;
	AUTO_BUF brief = buf_make(BUF_TEXT_MAX);
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	report_brief(s, &brief);
	report_step(&sh->steps, s, sh->steps.verbose ? "" : brief.data, &lines);
	fputs(lines.data, stdout);
	if (sh->steps.verbose) {
		AUTO_BUF work = buf_make(BUF_TEXT_MAX);
		show_changes(s->changes);
		if (s->outcome != OUTCOME_BASE || s->rc >= 0) /* before the first step: what setting up took */
			report_work(s->work, &work);
		if (work.len)
			printf("      %s\n", work.data);
	}
	return 0;
}

static int show_text(struct cmd_ctx *c, const struct run *r, struct err *err)
{
	char started[32], span[32];
	AUTO_BUF detail = buf_make(BUF_TEXT_MAX);
	clock_iso(r->started, started);
	clock_span(((r->ended ? r->ended : clock_wall()) - r->started) * 1000, span);
	text_safe_line(&detail, r->detail, strlen(r->detail), 400);
	printf("%s  %s%s%s  %s on %s, box %s, %s, %s\n", r->id, r->status, detail.len ? ": " : "", detail.data,
	       *r->tool ? r->tool : "no walk", r->engine, *r->box ? r->box : "-", started, span);
	if (*r->variant)
		printf("  %s\n", r->variant);
	if (*r->machine)
		printf("  machine %s%s%s\n", r->machine, *r->boot ? ", boot " : "", r->boot);
	struct showing sh = {.c = c, .steps = {.verbose = c->globals->verbose, .net = true}};
	AUTO_BUF trips = buf_make(BUF_TEXT_MAX);
	if (store_task_each(c->db, r->id, on_task, c, err) < 0 ||
	    store_step_each(c->db, r->id, measure_step, &sh, err) < 0)
		return -1;
	int rc = store_step_each(c->db, r->id, on_step, &sh, err);
	report_steps_finish(&sh.steps);
	if (rc >= 0 && report_trips(c->db, r->id, &trips, err) < 0)
		return -1;
	if (trips.len)
		printf("  %s\n", trips.data);
	AUTO_BUF times = buf_make(BUF_TEXT_MAX);
	if (rc == 0)
		rc = report_times(c->db, r->id, &times, err);
	if (times.len)
		printf("  %-9s %s\n", "times", times.data);
	return rc < 0 ? -1 : 0;
}

static int run(struct cmd_ctx *c, struct err *err)
{
	struct run r;
	if (report_find_run(c->db, c->argc ? c->argv[0] : "last", &r, err) < 0)
		return -1;
	if (!c->globals->json)
		return show_text(c, &r, err);
	json_t *o = report_run_json(c->db, r.id, err);
	if (!o)
		return -1;
	report_print_json(o);
	return 0;
}

const struct cmd cmd_show = {
	.name = "show",
	.args = "[RUN]",
	.brief = "show a run: tasks, steps, outcomes, what changed",
	.help = "RUN is an id or the beginning of one; without it the last run. -v lists every change.",
	.max_args = 1,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
