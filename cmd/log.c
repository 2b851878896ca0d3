/* SPDX-License-Identifier: MIT */
/* log: what tasks and steps printed. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "migrations/store.h"

#define OUTPUT_MAX ((size_t)8 << 20)

struct logging {
	struct cmd_ctx *c;
	const char *run;
	const char *want; /* a version, a task's kind or "tN"; NULL: everything */
	struct err *err;
	int n;
};

static int print_output(struct logging *l, char kind, int64_t n, const char *title, bool heading)
{
	AUTO_BUF raw = buf_make(OUTPUT_MAX);
	AUTO_BUF safe = buf_make(OUTPUT_MAX * 4);
	if (store_output_read(l->c->db, l->run, kind, n, OUTPUT_MAX, &raw, l->err) < 0)
		return -1;
	l->n++;
	if (heading) {
		AUTO_BUF line = buf_make(BUF_TEXT_MAX);
		text_safe_line(&line, title, strlen(title), 120);
		printf("== %s %lld: %s\n", kind == 't' ? "task" : "step", (long long)n, line.data);
	}
	text_safe(&safe, raw.data, raw.len);
	fputs(safe.data, stdout);
	if (safe.len && safe.data[safe.len - 1] != '\n')
		putchar('\n');
	return 0;
}

static int on_task(const struct task_row *t, void *ctx)
{
	struct logging *l = ctx;
	if (l->want && strcmp(l->want, t->kind) != 0)
		return 0;
	return print_output(l, 't', t->n, t->title, true);
}

static int on_step(const struct step *s, void *ctx)
{
	struct logging *l = ctx;
	if (l->want && strcmp(l->want, s->version) != 0)
		return 0;
	return print_output(l, 's', s->n, s->version, l->want == NULL);
}

static int run(struct cmd_ctx *c, struct err *err)
{
	struct run r;
	struct logging l = {.c = c, .err = err, .want = c->argc > 1 ? c->argv[1] : NULL};
	if (report_find_run(c->db, c->argc ? c->argv[0] : "last", &r, err) < 0)
		return -1;
	l.run = r.id;
	if (store_task_each(c->db, r.id, on_task, &l, err) < 0 || store_step_each(c->db, r.id, on_step, &l, err) < 0 ||
	    err->reach != ERR_NONE)
		return -1;
	if (l.want && l.n == 0)
		return err_set(err, ERR_USER, 0, "%s: no step or task %s; `stepbox show %s` lists them", r.id, l.want,
			       r.id);
	return 0;
}

const struct cmd cmd_log = {
	.name = "log",
	.args = "[RUN [STEP]]",
	.brief = "show what tasks and steps printed",
	.help = "STEP is a version, or a kind of task (packages, source, setup …).",
	.max_args = 2,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
