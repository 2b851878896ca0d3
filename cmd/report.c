/* SPDX-License-Identifier: MIT */
#include "cmd/report.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "migrations/rows.h"
#include "migrations/walk.h"

#define TITLE_COLUMNS       58
#define VERSION_MIN_COLUMNS 4
#define VERSION_MAX_COLUMNS 40
#define ROWS_TOLD           4

json_t *report_json_text(const char *text)
{
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	text_safe(&safe, text, strlen(text));
	return json_string(safe.data);
}

void report_print_json(json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (text)
		printf("%s\n", text);
	free(text);
	json_decref(o);
}

int report_find_run(struct db *db, const char *id, struct run *run, struct err *err)
{
	int found = store_run_find(db, id, run, err);
	if (found == 0)
		return err_set(err, ERR_USER, 0, "%s: no such run; `stepbox ls` lists them", id);
	return found < 0 ? -1 : 0;
}

/* The runner's clock ticks every 10 ms. */
static void add_span(int64_t ms, char out[32])
{
	if (ms >= 0 && ms < 10)
		snprintf(out, 32, "<10 ms");
	else if (ms >= 0)
		clock_span(ms, out);
}

void report_task(const struct task_row *t, struct buf *out)
{
	char span[32] = "";
	AUTO_BUF title = buf_make(BUF_TEXT_MAX);
	text_safe_line(&title, t->title, strlen(t->title), TITLE_COLUMNS);
	buf_addf(out, "  %-9s ", t->kind);
	text_pad(out, title.data, TITLE_COLUMNS + 2);
	add_span(t->ms, span);
	buf_addf(out, "%9s", span);
	if (strcmp(t->kind, WALK_WARM) == 0 && (t->rc > 0 || (*t->why && strcmp(t->why, "exit") != 0)))
		buf_adds(out, "  stays cold");
	else if (strcmp(t->why, "exit") != 0 && *t->why)
		buf_addf(out, "  %s", t->why);
	else if (t->rc > 0)
		buf_addf(out, "  exit code %lld", (long long)t->rc);
}

struct find_task {
	const struct task_line *want;
	struct buf *out;
	bool found;
};

static int on_task(const struct task_row *t, void *ctx)
{
	struct find_task *f = ctx;
	if (t->n != f->want->n)
		return 0;
	struct task_row now = {.n = t->n,
			       .kind = t->kind,
			       .title = t->title,
			       .rc = f->want->rc,
			       .ms = f->want->ms,
			       .why = f->want->why};
	report_task(&now, f->out);
	f->found = true;
	return 1;
}

int report_task_line(struct db *db, const char *run, const struct task_line *t, struct buf *out, struct err *err)
{
	struct find_task f = {t, out, false};
	if (store_task_each(db, run, on_task, &f, err) < 0)
		return -1;
	return f.found ? 0 : err_set(err, ERR_BUG, 0, "task %lld is not in the store", (long long)t->n);
}

size_t report_version_width(const char *version, size_t width)
{
	size_t n = strlen(version);
	if (n > VERSION_MAX_COLUMNS)
		n = VERSION_MAX_COLUMNS;
	if (n < VERSION_MIN_COLUMNS)
		n = VERSION_MIN_COLUMNS;
	return n > width ? n : width;
}

/* The count of a table in "table<TAB>rows" lines; 0 when it is not there. */
static int64_t count_of(const char *counts, const char *table, size_t len)
{
	for (const char *p = counts; *p;) {
		size_t n = strcspn(p, "\n");
		if (n > len && p[len] == '\t' && strncmp(p, table, len) == 0)
			return strtoll(p + len + 1, NULL, 10);
		p += n + (p[n] == '\n');
	}
	return 0;
}

static void add_rows(struct buf *out, size_t *told, const char *table, size_t len, int64_t delta)
{
	if (delta == 0 || ++*told > ROWS_TOLD)
		return;
	buf_addf(out, "%s%.*s %+lld", *told > 1 ? ", " : "", (int)len, table, (long long)delta);
}

/* Tables of `after` with what they gained or lost, then those that are gone with their rows. */
void report_rows(const char *before, const char *after, struct buf *out)
{
	size_t told = 0;
	const char *sides[] = {after, before};
	for (size_t side = 0; side < ARRAY_SIZE(sides); side++) {
		for (const char *p = sides[side]; *p;) {
			size_t n = strcspn(p, "\n"), len = strcspn(p, "\t\n");
			int64_t was = count_of(before, p, len), is = count_of(after, p, len);
			AUTO_FREE char *key = xasprintf("%.*s\t", (int)len, p);
			if (len < n && (side == 0 || (is == 0 && was != 0 && !strstr(after, key))))
				add_rows(out, &told, p, len, is - was);
			p += n + (p[n] == '\n');
		}
	}
	if (told > ROWS_TOLD)
		buf_addf(out, " and %zu more", told - ROWS_TOLD);
}

/* ---- what the database did ---- */

struct names {
	struct buf *out;
	size_t n;
};

static void add_name(void *ctx, const char *table)
{
	struct names *names = ctx;
	if (++names->n <= ROWS_TOLD)
		buf_addf(names->out, "%s%s", names->n > 1 ? ", " : "", table);
}

static int64_t work_of(const char *work, const char *key)
{
	return count_of(work, key, strlen(key));
}

void report_labour(const char *before, const struct step *s, struct buf *out)
{
	CLEANUP(rows_freep) struct rows *a = rows_read(before), *b = rows_read(s->counts);
	AUTO_BUF tables = buf_make(BUF_TEXT_MAX);
	struct names names = {&tables, 0};
	char span[32];
	int64_t waits = work_of(s->work, "lock_waits");
	rows_rewritten(a, b, add_name, &names);
	if (names.n)
		buf_addf(out, "rewrote: %s", tables.data);
	if (names.n > ROWS_TOLD)
		buf_addf(out, " and %zu more", names.n - ROWS_TOLD);
	if (waits > 0) {
		clock_span(work_of(s->work, "lock_wait_ms"), span);
		buf_addf(out, "%swaited for locks: %lld time%s, %s", out->len ? "; " : "", (long long)waits,
			 waits == 1 ? "" : "s", span);
	}
}

void report_work(const char *work, struct buf *out)
{
	char span[32];
	int64_t statements = work_of(work, "statements");
	if (statements == 0)
		return;
	add_span(work_of(work, "longest_ms"), span);
	buf_addf(out, "%lld statement%s, the longest %s", (long long)statements, statements == 1 ? "" : "s", span);
	if (strstr(work, "rows_read\t"))
		buf_addf(out, "; %lld rows read, %lld changed", (long long)work_of(work, "rows_read"),
			 (long long)work_of(work, "rows_changed"));
}

/* "seeded: 12 tables, 240 rows". What could not be filled has lines of its own. */
static void add_seeded(struct buf *out, const char *seeded, bool more)
{
	int64_t rows;
	CLEANUP(rows_freep) struct rows *filled = rows_read(seeded);
	size_t tables = rows_filled(filled, &rows);
	if (tables)
		buf_addf(out, "%sseeded: %zu table%s, %lld row%s", more ? "; " : "", tables, tables == 1 ? "" : "s",
			 (long long)rows, rows == 1 ? "" : "s");
}

void report_step_line(const struct step *s, const struct step *before, const char *brief, size_t width, struct buf *out)
{
	char span[32] = "";
	AUTO_BUF version = buf_make(BUF_TEXT_MAX);
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	AUTO_BUF rows = buf_make(BUF_TEXT_MAX);
	AUTO_BUF labour = buf_make(BUF_TEXT_MAX);
	text_safe_line(&version, s->version, strlen(s->version), 60);
	text_safe_line(&safe, brief, strlen(brief), 200);
	buf_addf(out, " %s ", strcmp(s->direction, "down") == 0 ? "↓" : " ");
	text_pad(out, version.data, width);
	if (s->outcome != OUTCOME_BASE)
		add_span(s->ms, span);
	buf_addf(out, "  %-14s %8s  %s", outcome_name(s->outcome), span, safe.data);
	if (before && s->outcome != OUTCOME_BASE) {
		AUTO_FREE char *filled = *s->seeded ? rows_plus(before->counts, s->seeded) : xstrdup(before->counts);
		report_rows(filled, s->counts, &rows);
		report_labour(filled, s, &labour);
	}
	if (rows.len)
		buf_addf(out, "%srows: %s", safe.len ? "; " : "", rows.data);
	if (labour.len)
		buf_addf(out, "%s%s", safe.len || rows.len ? "; " : "", labour.data);
	add_seeded(out, s->seeded, safe.len || rows.len || labour.len);
	if (s->outcome != OUTCOME_RUNNING && !outcome_is_good(s->outcome) && s->rc > 0)
		buf_addf(out, "%sexit code %lld", safe.len ? "; " : "", (long long)s->rc);
	while (out->len && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
}

/* ---- steps with their round trips and findings ---- */

/* Whose code ran it, where that is not what the step before ran with. */
static void add_commit(struct report_steps *r, const struct step *s, struct buf *out)
{
	if (strcmp(r->commit, s->commit) == 0)
		return;
	buf_addf(out, "  [code of %.10s]", s->commit);
	memcpy(r->commit, s->commit, sizeof(r->commit));
}

static void add_findings(struct buf *out, const char *findings)
{
	for (const char *p = findings; *p;) {
		AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
		size_t n = strcspn(p, "\n");
		bool note = strncmp(p, "note: ", 6) == 0;
		const char *text = strncmp(p, "trip: ", 6) == 0 || note ? p + 6 : p;
		text_safe_line(&safe, text, (size_t)(p + n - text), 300);
		buf_addf(out, "      %s %s\n", note ? "·" : "!", safe.data);
		p += n + (p[n] == '\n');
	}
}

/* Tables that could not be filled, with the database's own words. */
static void add_unfilled(struct buf *out, const char *seeded)
{
	for (const char *p = seeded; *p;) {
		size_t n = strcspn(p, "\n"), table = strcspn(p, "\t\n");
		const char *rows = p + table + (table < n), *message = memchr(rows, '\t', (size_t)(p + n - rows));
		if (message) {
			AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
			text_safe_line(&safe, p, table, 100);
			buf_adds(&safe, ": ");
			text_safe_line(&safe, message + 1, (size_t)(p + n - message - 1), 300);
			buf_addf(out, "      · not filled: %s\n", safe.data);
		}
		p += n + (p[n] == '\n');
	}
}

static const char *trip_text(const char *trip)
{
	static const char *const texts[][2] = {
		{"clean", "leaves no trace"},
		{"cosmetic", "only the text of the schema differs"},
		{"refused", "the tool does not go down here"},
		{"differs", "is another schema after going up again"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (strcmp(texts[i][0], trip) == 0)
			return texts[i][1];
	return "";
}

static void add_trip(struct report_steps *r, const struct step *s, struct buf *out)
{
	char span[32] = "";
	AUTO_BUF version = buf_make(BUF_TEXT_MAX);
	AUTO_BUF trip = buf_make(BUF_TEXT_MAX);
	text_safe_line(&version, s->version, strlen(s->version), 60);
	text_safe_line(&trip, s->trip, strlen(s->trip), sizeof(s->trip));
	add_span(r->ms, span);
	buf_adds(out, " ↕ ");
	text_pad(out, version.data, r->width);
	buf_addf(out, "  %-14s %8s  %s", trip.data, span, trip_text(trip.data));
	while (out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
	buf_addc(out, '\n');
}

void report_step(struct report_steps *r, const struct step *s, const char *brief, struct buf *out)
{
	struct step before = {.counts = r->counts};
	bool quiet = s->leg > 1 && !r->verbose && !(s->leg == 4 && !outcome_is_good(s->outcome));
	if (!quiet) {
		report_step_line(s, r->counts ? &before : NULL, brief, r->width, out);
		if (r->net && s->net_ms >= 0)
			buf_addf(out, "  (net %lld ms)", (long long)s->net_ms);
		add_commit(r, s, out);
		buf_addc(out, '\n');
		add_unfilled(out, s->seeded);
	}
	if (s->leg == 2 || s->leg == 3) {
		char *pending = xasprintf("%s%s", r->pending ? r->pending : "", s->findings);
		free(r->pending);
		r->pending = pending;
		r->ms += s->ms;
	} else {
		add_findings(out, s->findings);
	}
	if (*s->trip) {
		add_trip(r, s, out);
		add_findings(out, r->pending ? r->pending : "");
	}
	if (*s->trip || s->leg < 2) {
		mem_freep(&r->pending);
		r->ms = 0;
	}
	free(r->counts);
	r->counts = xstrdup(s->counts);
}

void report_steps_finish(struct report_steps *r)
{
	mem_freep(&r->counts);
	mem_freep(&r->pending);
}

enum { MAX_VERDICTS = 64 };

struct verdicts {
	struct verdict {
		char trip[32];
		size_t n;
	} v[MAX_VERDICTS];
	size_t n, trips;
};

static int count_trip(const struct step *s, void *ctx)
{
	struct verdicts *all = ctx;
	size_t i = 0;
	all->trips += s->leg == 1;
	if (!*s->trip)
		return 0;
	while (i < all->n && strcmp(all->v[i].trip, s->trip) != 0)
		i++;
	if (i == MAX_VERDICTS)
		return 0;
	if (i == all->n)
		snprintf(all->v[all->n++].trip, sizeof(all->v[0].trip), "%s", s->trip);
	all->v[i].n++;
	return 0;
}

/* Most first; what leaves no trace before all others. */
static int by_number(const void *a, const void *b)
{
	const struct verdict *x = a, *y = b;
	int clean = (strcmp(y->trip, "clean") == 0) - (strcmp(x->trip, "clean") == 0);
	if (clean)
		return clean;
	return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->trip, y->trip);
}

/* "2 lose an index": the verb for one or several, and an article before what can be counted. */
static void add_verdict(struct buf *out, const struct verdict *v)
{
	static const struct {
		const char *trip, *one, *many;
	} known[] = {
		{"clean", "leaves no trace", "leave no trace"},
		{"cosmetic", "differs in text only", "differ in text only"},
		{"refused", "refused", "refused"},
		{"down failed", "fails on the way down", "fail on the way down"},
		{"up again failed", "does not go up again", "do not go up again"},
		{"differs", "differs after going up again", "differ after going up again"},
	};
	buf_addf(out, "%zu ", v->n);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(known[i].trip, v->trip) == 0) {
			buf_adds(out, v->n == 1 ? known[i].one : known[i].many);
			return;
		}
	size_t verb = strcspn(v->trip, " ");
	const char *noun = v->trip + verb + (v->trip[verb] != '\0');
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	text_safe_line(&safe, noun, strlen(noun), sizeof(v->trip));
	const char *article = text_ends(noun, "s") ? "" : strchr("aeio", *noun) ? "an " : "a ";
	buf_addf(out, "%.*s %s%s", (int)(verb > 0 && v->n > 1 ? verb - 1 : verb), v->trip, article, safe.data);
}

int report_trips(struct db *db, const char *run, struct buf *out, struct err *err)
{
	struct verdicts all = {0};
	if (store_step_each(db, run, count_trip, &all, err) < 0)
		return -1;
	if (all.trips == 0)
		return 0;
	qsort(all.v, all.n, sizeof(all.v[0]), by_number);
	buf_addf(out, "%zu step%s there and back: ", all.trips, all.trips == 1 ? "" : "s");
	for (size_t i = 0; i < all.n; i++) {
		buf_adds(out, i ? ", " : "");
		add_verdict(out, &all.v[i]);
	}
	return 0;
}

struct times {
	int64_t load, net, gross;
	size_t n;
};

static int add_load(const struct task_row *t, void *ctx)
{
	struct times *sum = ctx;
	if (strcmp(t->kind, WALK_WARM) == 0 && t->rc == 0)
		sum->load += t->ms;
	return 0;
}

static int add_step(const struct step *s, void *ctx)
{
	struct times *sum = ctx;
	if (s->net_ms < 0)
		return 0;
	sum->n++;
	sum->net += s->net_ms;
	sum->gross += s->ms;
	return 0;
}

int report_times(struct db *db, const char *run, struct buf *out, struct err *err)
{
	char load[32], net[32], gross[32];
	struct times sum = {0};
	if (store_task_each(db, run, add_load, &sum, err) < 0 || store_step_each(db, run, add_step, &sum, err) < 0)
		return -1;
	if (sum.n == 0)
		return 0;
	add_span(sum.load, load);
	add_span(sum.net, net);
	add_span(sum.gross, gross);
	buf_addf(out, "tool loaded once in %s, %zu step%s %s net, %s gross", load, sum.n, sum.n == 1 ? "" : "s", net,
		 gross);
	return 0;
}

void report_brief(const struct step *s, struct buf *out)
{
	size_t lines = 0;
	if (s->outcome == OUTCOME_BASE)
		return;
	for (const char *p = s->changes; *p; p++)
		lines += *p == '\n';
	if (lines == 0)
		buf_adds(out, s->outcome == OUTCOME_RUNNING || s->outcome == OUTCOME_LOST ? "" : "no change");
	else if (lines == 1)
		buf_add(out, s->changes, strcspn(s->changes, "\n"));
	else
		buf_addf(out, "%zu changes: %.*s …", lines, (int)strcspn(s->changes, "\n"), s->changes);
}

/* Lines of a text as an array of strings. */
static json_t *lines_json(const char *text)
{
	json_t *a = json_array();
	while (*text) {
		size_t n = strcspn(text, "\n");
		AUTO_FREE char *line = xstrndup(text, n);
		json_array_append_new(a, report_json_text(line));
		text += n + (text[n] == '\n');
	}
	return a;
}

static void add_string(void *ctx, const char *table)
{
	json_array_append_new(ctx, report_json_text(table));
}

static json_t *rewritten_json(const char *before, const char *counts)
{
	json_t *tables = json_array();
	CLEANUP(rows_freep) struct rows *a = rows_read(before), *b = rows_read(counts);
	rows_rewritten(a, b, add_string, tables);
	return tables;
}

/* "KEY<TAB>NUMBER" lines. */
static json_t *numbers_json(const char *lines)
{
	json_t *o = json_object();
	for (const char *p = lines; *p;) {
		size_t n = strcspn(p, "\n"), name = strcspn(p, "\t\n");
		if (name < n) {
			AUTO_BUF key = buf_make(BUF_TEXT_MAX);
			text_safe_line(&key, p, name, 200);
			json_object_set_new(o, key.data, json_integer(strtoll(p + name + 1, NULL, 10)));
		}
		p += n + (p[n] == '\n');
	}
	return o;
}

json_t *report_step_json(const struct step *s, const char *before)
{
	json_t *o = json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:s}", "n", (json_int_t)s->n, "version", s->version,
			      "direction", s->direction, "outcome", outcome_name(s->outcome), "rc", (json_int_t)s->rc,
			      "ms", (json_int_t)s->ms, "dump_sha256", s->dump);
	if (!o)
		o = json_object(); /* a version that is no UTF-8: the walk refuses such, the store may be older */
	json_object_set_new(o, "net_ms", s->net_ms >= 0 ? json_integer(s->net_ms) : json_null());
	json_object_set_new(o, "changes", lines_json(s->changes));
	json_object_set_new(o, "rows", numbers_json(s->counts));
	json_object_set_new(o, "rewritten", rewritten_json(before, s->counts));
	json_object_set_new(o, "work", numbers_json(s->work));
	json_object_set_new(o, "versions", lines_json(s->versions));
	json_object_set_new(o, "leg", json_integer(s->leg));
	json_object_set_new(o, "commit", json_string(s->commit));
	json_object_set_new(o, "trip", report_json_text(s->trip));
	json_object_set_new(o, "findings", lines_json(s->findings));
	json_object_set_new(o, "seeded", lines_json(s->seeded));
	return o;
}

struct step_rows {
	json_t *steps;
	char *counts; /* of the step before */
};

static int on_step_row(const struct step *s, void *ctx)
{
	struct step_rows *rows = ctx;
	json_array_append_new(rows->steps, report_step_json(s, rows->counts));
	free(rows->counts);
	rows->counts = xstrdup(s->counts);
	return 0;
}

static int on_task_row(const struct task_row *t, void *ctx)
{
	json_t *o =
		json_pack("{s:I, s:s, s:o, s:I, s:s, s:I}", "n", (json_int_t)t->n, "kind", t->kind, "title",
			  report_json_text(t->title), "rc", (json_int_t)t->rc, "why", t->why, "ms", (json_int_t)t->ms);
	if (o)
		json_array_append_new(ctx, o);
	return 0;
}

json_t *report_run_json(struct db *db, const char *id, struct err *err)
{
	struct run run;
	json_t *steps = json_array(), *tasks = json_array();
	struct step_rows rows = {steps, NULL};
	int rc = report_find_run(db, id, &run, err);
	if (rc == 0 && (store_step_each(db, run.id, on_step_row, &rows, err) < 0 ||
			store_task_each(db, run.id, on_task_row, tasks, err) < 0))
		rc = -1;
	free(rows.counts);
	if (rc < 0) {
		json_decref(steps);
		json_decref(tasks);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:o, s:o}", "run", run.id, "status",
			 run.status, "detail", report_json_text(run.detail), "variant", run.variant, "box", run.box,
			 "tool", run.tool, "engine", run.engine, "started", (json_int_t)run.started, "ended",
			 (json_int_t)run.ended, "machine", run.machine, "boot", run.boot, "tasks", tasks, "steps",
			 steps);
}
