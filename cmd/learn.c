/* SPDX-License-Identifier: MIT */
/* learn: from the times of stored runs to limits for the next ones. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "migrations/limits.h"

#define MAX_SAMPLES 2000000

struct learn_opts {
	const char *name, *into, *standard, *margin, *percentile, *samples;
};

static const struct opt opts[] = {
	{0, "name", "NAME", "all runs of this name (without RUN: the last run's)", OPT_STRING,
	 offsetof(struct learn_opts, name)},
	{0, "into", "FILE", "write it there, for `limits: {file: FILE}`; else it is printed", OPT_STRING,
	 offsetof(struct learn_opts, into)},
	{0, "default", "TIME", "the limit of all steps: only what needs more gets its own (default 60s)", OPT_STRING,
	 offsetof(struct learn_opts, standard)},
	{0, "margin", "TIME", "what is added to the percentile (default 30s)", OPT_STRING,
	 offsetof(struct learn_opts, margin)},
	{0, "percentile", "N", "which one (default 99)", OPT_STRING, offsetof(struct learn_opts, percentile)},
	{0, "samples", "N", "only from more than so many runs of a step (default 10)", OPT_STRING,
	 offsetof(struct learn_opts, samples)},
	OPT_END,
};

struct sample {
	char *version;
	char engine[32];
	int64_t rows, ms;
};

struct learning {
	struct db *db;
	const char *name; /* or NULL: what is asked for one by one */
	struct sample *samples;
	size_t n, cap, runs;
	char engine[32]; /* of the run that is read */
	int64_t rows;
	int64_t standard_ms, margin_ms, percentile, least;
	struct err *err;
};

static void learning_finish(struct learning *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->samples[i].version);
	free(l->samples);
}

/* Going up only, and only what came to its end: the first way up of a round trip, too. */
static int on_step(const struct step *s, void *ctx)
{
	struct learning *l = ctx;
	if (s->n == 0 || s->leg > 1 || strcmp(s->direction, "up") != 0 || !outcome_is_good(s->outcome))
		return 0;
	if (l->n == MAX_SAMPLES)
		return err_set(l->err, ERR_USER, 0, "more than %d steps; name the runs to learn from", MAX_SAMPLES);
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 1024;
		l->samples = xrealloc(l->samples, l->cap, sizeof(*l->samples));
	}
	struct sample *sample = &l->samples[l->n++];
	*sample = (struct sample){
		.version = xstrdup(s->version), .rows = l->rows, .ms = s->net_ms >= 0 ? s->net_ms : s->ms};
	memcpy(sample->engine, l->engine, sizeof(sample->engine));
	return 0;
}

static int64_t seed_rows(struct db *db, const char *run, struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	int64_t rows = 0;
	struct err ignored = ERR_INIT;
	if (store_run_recipe(db, run, &text, err) < 0)
		return -1;
	json_t *all = json_loads(text.data, 0, NULL);
	const char *word =
		json_string_value(json_object_get(json_object_get(json_object_get(all, "recipe"), "seed"), "rows"));
	if (word && text_parse_int("rows", word, 0, INT64_MAX, &rows, &ignored) < 0)
		rows = 0;
	json_decref(all);
	return rows;
}

static int read_run(struct learning *l, const struct run *r)
{
	l->rows = seed_rows(l->db, r->id, l->err);
	if (l->rows < 0)
		return -1;
	memcpy(l->engine, r->engine, sizeof(l->engine));
	l->runs++;
	return store_step_each(l->db, r->id, on_step, l, l->err) < 0 || l->err->reach != ERR_NONE ? -1 : 0;
}

static int on_run(const struct run *r, void *ctx)
{
	struct learning *l = ctx;
	return strcmp(r->name, l->name) == 0 && *r->tool ? read_run(l, r) : 0;
}

static int by_step(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	int rc = strcmp(x->engine, y->engine);
	if (rc == 0)
		rc = (x->rows > y->rows) - (x->rows < y->rows);
	if (rc == 0)
		rc = strcmp(x->version, y->version);
	return rc ? rc : (x->ms > y->ms) - (x->ms < y->ms);
}

static bool same_set(const struct sample *a, const struct sample *b)
{
	return strcmp(a->engine, b->engine) == 0 && a->rows == b->rows;
}

/* In double quotes, as JSON and YAML both take it. */
static void add_quoted(struct buf *out, const char *text)
{
	json_t *s = json_string(text);
	char *quoted = json_dumps(s, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	buf_adds(out, quoted ? quoted : "\"\"");
	free(quoted);
	json_decref(s);
}

/* One version's samples, in rising order of time. */
static bool add_version(const struct learning *l, const struct sample *s, size_t n, bool first, struct buf *out)
{
	AUTO_FREE int64_t *ms = xcalloc(n, sizeof(*ms));
	char most[32];
	for (size_t i = 0; i < n; i++)
		ms[i] = s[i].ms;
	int64_t high = percentile(ms, n, l->percentile), limit = high + l->margin_ms;
	if ((int64_t)n <= l->least || limit <= l->standard_ms)
		return false;
	if (first)
		buf_addf(out, "  - engine: %s\n    rows: %lld\n    versions:\n", s->engine, (long long)s->rows);
	clock_span(high, most);
	buf_adds(out, "      ");
	add_quoted(out, s->version);
	buf_addf(out, ": %llds # %s in %zu runs\n", (long long)((limit + 999) / 1000), most, n);
	return true;
}

static void add_learned(const struct learning *l, struct buf *out)
{
	bool first = true;
	for (size_t i = 0, next; i < l->n; i = next) {
		for (next = i + 1; next < l->n && same_set(&l->samples[i], &l->samples[next]) &&
				   strcmp(l->samples[i].version, l->samples[next].version) == 0;)
			next++;
		first = !add_version(l, &l->samples[i], next - i, first, out) && first;
		first = first || next == l->n || !same_set(&l->samples[i], &l->samples[next]);
	}
}

static void write_limits(const struct learning *l, struct buf *out)
{
	char standard[32], margin[32];
	AUTO_BUF learned = buf_make(BUF_TEXT_MAX);
	clock_span(l->standard_ms, standard);
	clock_span(l->margin_ms, margin);
	add_learned(l, &learned);
	buf_addf(out,
		 "# Limits of steps, learned by `stepbox learn` from %zu run%s: percentile %lld of the times of\n"
		 "# more than %lld runs, and %s on top, where that is more than %s.\nstep: %llds\n",
		 l->runs, l->runs == 1 ? "" : "s", (long long)l->percentile, (long long)l->least, margin, standard,
		 (long long)((l->standard_ms + 999) / 1000));
	buf_adds(out, learned.len ? "learned:\n" : "learned: []\n");
	buf_add(out, learned.data, learned.len);
}

static int read_numbers(struct learning *l, const struct learn_opts *o, struct err *err)
{
	if (clock_parse_span(o->standard ? o->standard : "60s", &l->standard_ms, err) < 0)
		return err_ctx(err, "--default");
	if (clock_parse_span(o->margin ? o->margin : "30s", &l->margin_ms, err) < 0)
		return err_ctx(err, "--margin");
	if (text_parse_int("--percentile", o->percentile ? o->percentile : "99", 1, 100, &l->percentile, err) < 0)
		return -1;
	return text_parse_int("--samples", o->samples ? o->samples : "10", 0, MAX_SAMPLES, &l->least, err);
}

static int read_runs(struct learning *l, struct cmd_ctx *c, const struct learn_opts *o, struct err *err)
{
	struct run r;
	if (o->name && c->argc)
		return err_set(err, ERR_USER, 0, "give either runs or --name");
	for (int i = 0; i < c->argc; i++)
		if (report_find_run(c->db, c->argv[i], &r, err) < 0 || read_run(l, &r) < 0)
			return -1;
	if (c->argc)
		return 0;
	if (!o->name && report_find_run(c->db, "last", &r, err) < 0)
		return -1;
	l->name = o->name ? o->name : r.name;
	if (store_run_each(c->db, 0, on_run, l, err) < 0 || err->reach != ERR_NONE)
		return -1;
	return l->runs ? 0 : err_set(err, ERR_USER, 0, "%s: no runs of this name", l->name);
}

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct learn_opts *o = c->opts;
	CLEANUP(learning_finish) struct learning l = {.db = c->db, .err = err};
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	if (read_numbers(&l, o, err) < 0 || read_runs(&l, c, o, err) < 0)
		return -1;
	if (l.n)
		qsort(l.samples, l.n, sizeof(*l.samples), by_step);
	write_limits(&l, &out);
	if (o->into)
		return fs_write(o->into, out.data, out.len, 0644, err);
	fputs(out.data, stdout);
	return 0;
}

const struct cmd cmd_learn = {
	.name = "learn",
	.args = "[RUN…]",
	.brief = "limits for the steps, from how long they took in stored runs",
	.help = "By database engine and rows of the generator. The output is what `limits: {file: …}` of a recipe "
		"reads.",
	.opts = opts,
	.ctx_size = sizeof(struct learn_opts),
	.max_args = -1,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
