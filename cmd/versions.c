/* SPDX-License-Identifier: MIT */
/* versions: the versions of a recipe, and for each the commit whose code goes with it. Nothing is booted. */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/lineage.h"
#include "cmd/report.h"

struct versions_opts {
	struct opt_list set;
	bool all;
};

static const struct opt opts[] = {
	{0, "set", "KEY.PATH=VALUE", "override one value of the recipe", OPT_LIST, offsetof(struct versions_opts, set)},
	{0, "all", NULL, "every version that ever was, not only the recipe's range", OPT_FLAG,
	 offsetof(struct versions_opts, all)},
	OPT_END,
};

enum { COMMIT_COLUMNS = 10, DATE_COLUMNS = 10, SUBJECT_MIN = 24, SUBJECT_MAX = 72, FILES_MAX = 40, WIDE = 140 };

/* ---- cells ---- */

struct files {
	struct buf text; /* names without their directories */
	size_t n;
	json_t *list;
};

static void add_file(void *ctx, const char *path, const char *blob)
{
	struct files *f = ctx;
	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	if (f->n++ == 0)
		text_safe_line(&f->text, base, strlen(base), FILES_MAX);
	json_array_append_new(f->list, json_pack("{s:o, s:s}", "path", report_json_text(path), "blob", blob));
}

/* Which rule chose it, and what else has to be known. */
static void add_rule(struct buf *out, const struct history_pick *p)
{
	buf_adds(out, history_rule_name(p->rule));
	if (p->rule == HISTORY_BATCH)
		buf_addf(out, " to %s", p->batch);
	if (p->stale)
		buf_adds(out, ", its own lacks the one before");
	if (p->unusable)
		buf_adds(out, ", cannot be stepped to");
	if (p->gone)
		buf_adds(out, ", gone");
	if (p->edited)
		buf_adds(out, ", edited later");
}

/* ---- the table ---- */

struct row {
	struct buf version, subject, files, rule;
	char date[32];
};

static void make_row(const struct lineage *m, const struct history_pick *p, struct row *row)
{
	struct files f = {.text = buf_make(1024), .list = json_array()};
	*row = (struct row){.version = buf_make(1024), .subject = buf_make(1024), .rule = buf_make(1024)};
	history_files(m->history, p, add_file, &f);
	json_decref(f.list);
	if (f.n > 1)
		buf_addf(&f.text, " +%zu", f.n - 1);
	row->files = f.text;
	text_safe_line(&row->version, p->version, strlen(p->version), HISTORY_VERSION_MAX);
	text_safe_line(&row->subject, p->subject, strlen(p->subject), SUBJECT_MAX);
	add_rule(&row->rule, p);
	clock_iso(p->date, row->date);
	row->date[DATE_COLUMNS] = '\0';
}

static void row_finish(struct row *row)
{
	buf_finish(&row->version);
	buf_finish(&row->subject);
	buf_finish(&row->files);
	buf_finish(&row->rule);
}

static size_t terminal_width(void)
{
	struct winsize w;
	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
		return w.ws_col;
	return WIDE;
}

static size_t widest(size_t width, const struct buf *cell)
{
	size_t n = text_columns(cell->data);
	return n > width ? n : width;
}

static void print_row(const char *const cells[6], const size_t widths[5])
{
	AUTO_BUF line = buf_make(8192);
	for (size_t i = 0; i < 5; i++) {
		text_pad(&line, cells[i], widths[i]);
		buf_adds(&line, "  ");
	}
	buf_adds(&line, cells[5]);
	while (line.len > 0 && line.data[line.len - 1] == ' ')
		line.data[--line.len] = '\0';
	puts(line.data);
}

static void print_table(const struct lineage *m)
{
	size_t n = m->last + 1 - m->first;
	AUTO_FREE struct row *rows = xcalloc(n, sizeof(*rows));
	size_t widths[5] = {strlen("version"), COMMIT_COLUMNS, DATE_COLUMNS, 0, strlen("files")};
	size_t rule = strlen("rule");
	for (size_t i = 0; i < n; i++) {
		make_row(m, &m->picks[m->first + i], &rows[i]);
		widths[0] = widest(widths[0], &rows[i].version);
		widths[4] = widest(widths[4], &rows[i].files);
		rule = widest(rule, &rows[i].rule);
	}
	size_t others = widths[0] + widths[1] + widths[2] + widths[4] + rule + 10, width = terminal_width();
	widths[3] = width > others + SUBJECT_MIN ? width - others : SUBJECT_MIN;
	if (widths[3] > SUBJECT_MAX)
		widths[3] = SUBJECT_MAX;
	print_row((const char *const[]){"version", "commit", "date", "subject", "files", "rule"}, widths);
	for (size_t i = 0; i < n; i++) {
		AUTO_BUF subject = buf_make(1024);
		char commit[COMMIT_COLUMNS + 1];
		snprintf(commit, sizeof(commit), "%s", m->picks[m->first + i].commit);
		text_safe_line(&subject, rows[i].subject.data, rows[i].subject.len, widths[3]);
		print_row((const char *const[]){rows[i].version.data, commit, rows[i].date, subject.data,
						rows[i].files.data, rows[i].rule.data},
			  widths);
		row_finish(&rows[i]);
	}
}

static void print_json(const struct lineage *m)
{
	for (size_t i = m->first; i <= m->last; i++) {
		const struct history_pick *p = &m->picks[i];
		struct files f = {.text = buf_make(1024), .list = json_array()};
		history_files(m->history, p, add_file, &f);
		buf_finish(&f.text);
		json_t *o = json_pack("{s:o, s:s, s:I, s:o, s:s}", "version", report_json_text(p->version), "commit",
				      p->commit, "date", (json_int_t)p->date, "subject", report_json_text(p->subject),
				      "rule", history_rule_name(p->rule));
		if (p->rule == HISTORY_BATCH)
			json_object_set_new(o, "batch", report_json_text(p->batch));
		json_object_set_new(o, "lowest", report_json_text(p->low));
		json_object_set_new(o, "highest", report_json_text(p->high));
		json_object_set_new(o, "versions", json_integer((json_int_t)p->n));
		json_object_set_new(o, "gone", json_boolean(p->gone));
		json_object_set_new(o, "edited", json_boolean(p->edited));
		json_object_set_new(o, "newest", json_boolean(!p->stale && !p->unusable));
		json_object_set_new(o, "usable", json_boolean(!p->unusable));
		json_object_set_new(o, "files", f.list);
		report_print_json(o);
	}
}

static int show(const struct cmd_ctx *c, struct lineage *m, mono_ms deadline, struct err *err)
{
	int rc = 0;
	if (history_describe(m->history, m->origin.repo, m->picks + m->first, m->last + 1 - m->first, deadline, err) <
	    0)
		return -1;
	if (c->globals->json)
		print_json(m);
	else
		print_table(m);
	for (size_t i = m->first; i <= m->last; i++)
		rc |= m->picks[i].unusable;
	return rc;
}

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct versions_opts *o = c->opts;
	struct recipe r;
	CLEANUP(lineage_freep) struct lineage m = {0};
	mono_ms deadline = clock_deadline(LINEAGE_LIMIT_MS);
	int rc = recipe_load(&r, c->argv[0], &o->set, err);
	if (rc == 0)
		rc = lineage_open(&m, &r, NULL, o->all, deadline, err);
	if (rc == 0)
		rc = show(c, &m, deadline, err);
	recipe_finish(&r);
	return rc;
}

const struct cmd cmd_versions = {
	.name = "versions",
	.args = "[RECIPE]",
	.brief = "list the versions, and for each the commit whose code goes with it",
	.help = "The newest commit of the ref's first-parent history at which the version was the highest; the column "
		"rule says how it\n"
		"was found: tip (the ref itself), head (as said), heads (one of several highest ones), batch (it came "
		"together with\n"
		"later ones and never was the highest: the newest commit at which the highest of them was). Nothing is "
		"booted;\n"
		"a remote repository is cloned into the cache. Exit code 1: a version cannot be stepped to from the "
		"one before.",
	.opts = opts,
	.ctx_size = sizeof(struct versions_opts),
	.max_args = 1,
	.run = run,
};
