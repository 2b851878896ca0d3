/* SPDX-License-Identifier: MIT */
/* The records of a step: what ran, at which version it left the database, what became of it. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "migrations/schema_diff.h"
#include "migrations/walk_state.h"
#include "provision/git.h"

/* ---- a step ---- */

/* The payload as text that can be shown, in w->text. */
static int take_text(struct walker *w, const struct journal_record *r, struct err *err)
{
	if (r->len > WALK_MAX_SET)
		return walk_bad(r, err, "too large");
	buf_reset(&w->text);
	text_safe(&w->text, r->payload, r->len);
	return 0;
}

int walk_part(struct walker *w, const struct journal_record *r, enum seen part, struct err *err)
{
	if (walk_expect(r, "n", w->step.n, err) < 0)
		return -1;
	if (w->seen & part)
		return walk_bad(r, err, "twice in one step");
	w->seen |= part;
	return 0;
}

void walk_set_text(char **slot, const struct buf *text)
{
	free(*slot);
	*slot = xstrndup(text->data, text->len);
}

/* Whose code runs the step, when the walk says so. */
static int take_commit(const struct journal_record *r, char out[GIT_HASH_MAX], struct err *err)
{
	const char *commit = journal_get(r, "commit");
	size_t n = commit ? strlen(commit) : 0;
	if (commit && !git_is_hash(commit, n))
		return walk_bad(r, err, "no commit");
	(void)snprintf(out, GIT_HASH_MAX, "%s", commit ? commit : "");
	return 0;
}

static int check_step(struct walker *w, const struct journal_record *r, struct err *err)
{
	static const char *const dirs[] = {"base", "up", "down", "restore", NULL};
	const char *dir = NULL;
	struct step s = {.n = w->step.n + 1, .rc = -1, .net_ms = -1};
	if (walk_expect(r, "n", s.n, err) < 0 || walk_word(r, "version", s.version, sizeof(s.version), err) < 0 ||
	    walk_choice(r, "dir", dirs, &dir, err) < 0 || take_commit(r, s.commit, err) < 0)
		return -1;
	if (walk_leg(w, r, &s, dir, err) < 0)
		return -1;
	(void)snprintf(s.direction, sizeof(s.direction), "%s", dir);
	s.versions = xstrdup("");
	s.counts = xstrdup("");
	s.changes = xstrdup("");
	s.findings = xstrdup("");
	s.work = xstrdup("");
	s.seeded = xstrdup("");
	step_finish(&w->step);
	w->step = s;
	w->seen = 0;
	w->output = 0;
	w->phase = PHASE_STEP;
	return 0;
}

/* Step n going down begins where step n-1 led to. */
static int keep_step_begin(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	if (w->down && w->step.n > 1 && store_step_target(w->w.db, w->w.run, w->step.n - 1, w->step.version, err) < 0)
		return -1;
	return walk_keep_step(w, err);
}

static void tell_step(struct walker *w, const struct journal_record *r)
{
	(void)r;
	if (w->w.view->step)
		w->w.view->step(w->w.view->ctx, w->step.n, w->step.version, w->step.direction);
}

static int check_ran(struct walker *w, const struct journal_record *r, struct err *err)
{
	const char *why = NULL;
	if (walk_part(w, r, SEEN_RAN, err) < 0 || walk_end(w, r, &why, err) < 0)
		return -1;
	w->step.net_ms = -1;
	if (journal_get(r, "net") && journal_int(r, "net", 0, MAX_MS, &w->step.net_ms, err) < 0)
		return -1;
	w->step.rc = w->rc;
	w->step.ms = w->ms;
	(void)snprintf(w->step.why, sizeof(w->step.why), "%s", why);
	return 0;
}

int walk_keep_part(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	return walk_keep_step(w, err);
}

static int check_at(struct walker *w, const struct journal_record *r, struct err *err)
{
	if (walk_part(w, r, SEEN_AT, err) < 0 || take_text(w, r, err) < 0)
		return -1;
	walk_set_text(&w->step.versions, &w->text);
	return 0;
}

/* Why the database could not be looked at: kept behind the step's output. */
static int check_look(struct walker *w, const struct journal_record *r, struct err *err)
{
	if (walk_part(w, r, SEEN_LOOK, err) < 0 || journal_int(r, "rc", 0, MAX_RC, &w->rc, err) < 0 ||
	    take_text(w, r, err) < 0)
		return -1;
	if (w->text.len > 0 && w->text.data[w->text.len - 1] != '\n')
		buf_addc(&w->text, '\n');
	return 0;
}
static int keep_look(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	return store_output(w->w.db, w->w.run, 's', w->step.n, w->text.data, w->text.len, err);
}

static void tell_look(struct walker *w, const struct journal_record *r)
{
	(void)r;
	if (w->w.view->output)
		w->w.view->output(w->w.view->ctx, 's', w->step.n, w->text.data, w->text.len);
}

/* ---- its end ---- */

static bool is_bookkeeping(const char *table)
{
	for (const char *const *p = schema_bookkeeping; *p; p++)
		if (strcasecmp(*p, table) == 0)
			return true;
	return false;
}

/* "110 tables, migrate_version": the tool's own are named, not counted. */
static void describe_base(struct walker *w)
{
	const struct schema *s = walk_schema(w, &w->after);
	AUTO_BUF own = buf_make(BRIEF_MAX);
	size_t n = 0;
	if (!s) {
		(void)snprintf(w->brief, sizeof(w->brief), "not readable: %s", w->after.unreadable);
		return;
	}
	for (size_t i = 0; i < s->n_tables; i++)
		if (is_bookkeeping(s->tables[i].name))
			buf_addf(&own, ", %s", s->tables[i].name);
		else
			n++;
	(void)snprintf(w->brief, sizeof(w->brief), "%zu table%s%s", n, n == 1 ? "" : "s", own.data);
}

/* The tool's own tables are no change of the migration: they come with its first step. */
static void describe_changes(struct walker *w, const struct schema *a, const struct schema *b)
{
	const struct schema_diff_options options = {.skip_tables = schema_bookkeeping};
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(a, b, &options);
	AUTO_BUF text = buf_make(MAX_CHANGES);
	if (cs->n == 0 && cs->n_skipped)
		buf_addf(&text, "only the tool's own %s", cs->skipped[0].table);
	else if (cs->n == 0) /* spelling, or the order of clauses */
		buf_adds(&text, "only the text of the schema");
	else
		schema_changes_brief(cs, BRIEF_MAX, &text);
	(void)snprintf(w->brief, sizeof(w->brief), "%s", text.data);
	buf_reset(&text);
	schema_change_lines(cs, CHANGE_ALL, &text);
	walk_set_text(&w->step.changes, &text);
}

/* What the step did to the schema: brief, and step.changes. */
static void describe(struct walker *w)
{
	(void)snprintf(w->brief, sizeof(w->brief), "no change");
	if (!(w->seen & SEEN_DUMP)) {
		(void)snprintf(w->brief, sizeof(w->brief), "schema unknown");
		return;
	}
	if (w->before.dump.sha256[0] == '\0') {
		describe_base(w);
		return;
	}
	if (w->same)
		return;
	const struct schema *a = walk_schema(w, &w->before);
	const struct schema *b = walk_schema(w, &w->after);
	if (!a || !b) {
		(void)snprintf(w->brief, sizeof(w->brief), "schema changed (not readable: %s)",
			       b ? w->before.unreadable : w->after.unreadable);
		return;
	}
	describe_changes(w, a, b);
}

static int classify(struct walker *w, bool ok, const char *why, struct err *err)
{
	AUTO_BUF output = buf_make(OUTCOME_OUTPUT_MAX);
	bool dumped = (w->seen & SEEN_DUMP) != 0;
	if (!ok && store_output_read(w->w.db, w->w.run, 's', w->step.n, 0, &output, err) < 0)
		return -1;
	/* Before step 0 there is nothing to compare with: an empty dump is as good as unchanged. */
	bool changed = dumped && (w->before.dump.sha256[0] ? !w->same : w->after.dump.text.len > 0);
	struct outcome_signs signs = {
		.base = w->step.n == 0,
		.ok = ok,
		.why = why,
		.dumped = dumped,
		.changed = changed,
		.output = output.data,
		.output_len = output.len,
	};
	w->step.outcome = outcome_classify(&signs, w->patterns);
	return 0;
}

/* "ok" must not contradict what was told before. */
static int check_ok(const struct walker *w, const struct journal_record *r, struct err *err)
{
	bool ran = (w->seen & SEEN_RAN) != 0;
	if (!(w->seen & SEEN_DUMP) || !(w->seen & SEEN_AT) || (w->seen & SEEN_LOOK))
		return walk_bad(r, err, "ok, but the database was not looked at");
	if (ran ? w->step.rc != 0 || strcmp(w->step.why, "exit") != 0 : w->step.n > 0)
		return walk_bad(r, err, "ok, but the command was not");
	return 0;
}

static int check_stepend(struct walker *w, const struct journal_record *r, struct err *err)
{
	static const char *const whys[] = {"ok", "rc", "noop", "wrong", "timeout", "look", "seed", "env", NULL};
	const char *why = NULL;
	int64_t ok;
	if (walk_expect(r, "n", w->step.n, err) < 0 || journal_int(r, "ok", 0, 1, &ok, err) < 0 ||
	    walk_choice(r, "why", whys, &why, err) < 0)
		return -1;
	if (ok != (why == whys[0]))
		return walk_bad(r, err, "ok contradicts why");
	if (ok && check_ok(w, r, err) < 0)
		return -1;
	describe(w);
	if (classify(w, ok, why, err) < 0)
		return -1;
	/* rc tells less than what ended the command, when that was not its own exit. */
	if (ok)
		w->step.why[0] = '\0';
	else if (why != whys[1] || w->step.why[0] == '\0' || strcmp(w->step.why, "exit") == 0)
		(void)snprintf(w->step.why, sizeof(w->step.why), "%s", why);
	if (walk_find(w, ok, err) < 0)
		return -1;
	walk_count_findings(w, &w->step);
	w->phase = PHASE_WALK;
	return 0;
}

static int keep_stepend(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	if (w->down && w->step.n > 0 && w->step.n == w->planned && outcome_is_good(w->step.outcome) &&
	    store_step_target(w->w.db, w->w.run, w->step.n, w->to, err) < 0)
		return -1;
	return walk_keep_step(w, err);
}

static void tell_stepend(struct walker *w, const struct journal_record *r)
{
	(void)r;
	if (w->w.view->step_end)
		w->w.view->step_end(w->w.view->ctx, &w->step, w->brief);
	walk_look_next(w);
	free(w->counts_before);
	w->counts_before = xstrdup(w->step.counts);
}

/* ---- the rules ---- */

const struct rule walk_step_rules[] = {
	{"step", PHASE_WALK, check_step, keep_step_begin, tell_step},
	{"ran", PHASE_STEP, check_ran, walk_keep_part, NULL},
	{"at", PHASE_STEP, check_at, walk_keep_part, NULL},
	{"look", PHASE_STEP, check_look, keep_look, tell_look},
	{"stepend", PHASE_STEP, check_stepend, keep_stepend, tell_stepend},
	{0},
};
