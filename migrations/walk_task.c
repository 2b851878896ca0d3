/* SPDX-License-Identifier: MIT */
/* The records of tasks, of the frame of the walk (variant, versions, walk) and of the end. */
#include <string.h>

#include "base/text.h"
#include "migrations/walk_state.h"

/* ---- reading records ---- */

int walk_bad(const struct journal_record *r, struct err *err, const char *what)
{
	return err_set(err, ERR_BOX, 0, "journal: %s: %s", r->kind, what);
}

/* A value that must be there and fit. */
int walk_word(const struct journal_record *r, const char *key, char *out, size_t size, struct err *err)
{
	const char *v = journal_get(r, key);
	AUTO_BUF safe = buf_make((size_t)JOURNAL_MAX_HEADER * 4);
	if (!v || *v == '\0' || strlen(v) >= size)
		return err_set(err, ERR_BOX, 0, "journal: %s: %s: %s", r->kind, key, v ? "too long" : "missing");
	text_safe(&safe, v, strlen(v));
	if (strcmp(safe.data, v) != 0)
		return err_set(err, ERR_BOX, 0, "journal: %s: %s: not plain text: %.200s", r->kind, key, safe.data);
	(void)snprintf(out, size, "%s", v);
	return 0;
}

/* One of the words of the NULL-terminated list. */
int walk_choice(const struct journal_record *r, const char *key, const char *const *words, const char **out,
		struct err *err)
{
	const char *v = journal_get(r, key);
	for (size_t i = 0; v && words[i]; i++)
		if (strcmp(words[i], v) == 0) {
			*out = words[i];
			return 0;
		}
	return err_set(err, ERR_BOX, 0, "journal: %s: %s: %s", r->kind, key, v ? v : "missing");
}

/* A number that is known beforehand: records come in order. */
int walk_expect(const struct journal_record *r, const char *key, int64_t want, struct err *err)
{
	int64_t n;
	if (journal_int(r, key, 0, (int64_t)4 * WALK_MAX_STEPS, &n, err) < 0)
		return -1;
	if (n != want)
		return err_set(err, ERR_BOX, 0, "journal: %s: %s is %lld where %lld follows", r->kind, key,
			       (long long)n, (long long)want);
	return 0;
}

/* rc, ms and why of an end or ran record. */
int walk_end(struct walker *w, const struct journal_record *r, const char **why, struct err *err)
{
	static const char *const whys[] = {"exit", "timeout", "stop", "limit", NULL};
	if (journal_int(r, "rc", 0, MAX_RC, &w->rc, err) < 0 || journal_int(r, "ms", 0, MAX_MS, &w->ms, err) < 0)
		return -1;
	return walk_choice(r, "why", whys, why, err);
}

/* ---- tasks ---- */

/* An id of the machine; "" when the box has none, or its runner is older than that. */
static int hello_id(const struct journal_record *r, const char *key, char *out, size_t size, struct err *err)
{
	const char *v = journal_get(r, key);
	bool none = !v || strcmp(v, "-") == 0;
	if (!none && (strlen(v) >= size || v[strspn(v, "0123456789abcdef-")]))
		return err_set(err, ERR_BOX, 0, "journal: hello: %s: no id", key);
	(void)snprintf(out, size, "%s", none ? "" : v);
	return 0;
}

static int check_hello(struct walker *w, const struct journal_record *r, struct err *err)
{
	char id[WALK_MACHINE_ID];
	const char *run = journal_get(r, "run");
	if (!run || strcmp(run, w->w.run) != 0)
		return walk_bad(r, err, "another run's journal");
	if (hello_id(r, "machine", id, sizeof(id), err) < 0 || hello_id(r, "boot", id, sizeof(id), err) < 0)
		return -1;
	w->phase = PHASE_TASKS;
	return 0;
}

static int keep_hello(struct walker *w, const struct journal_record *r, struct err *err)
{
	char machine[WALK_MACHINE_ID], boot[WALK_MACHINE_ID];
	if (hello_id(r, "machine", machine, sizeof(machine), err) < 0 ||
	    hello_id(r, "boot", boot, sizeof(boot), err) < 0)
		return -1;
	return store_run_machine(w->w.db, w->w.run, machine, boot, err);
}

static int check_task(struct walker *w, const struct journal_record *r, struct err *err)
{
	if (w->tasks >= WALK_MAX_TASKS)
		return walk_bad(r, err, "too many");
	if (walk_expect(r, "n", w->tasks + 1, err) < 0 || walk_word(r, "kind", w->kind, sizeof(w->kind), err) < 0)
		return -1;
	/* Behind the walk come questions only, and only when it came to its end. */
	w->question = strcmp(w->kind, "question") == 0;
	if (w->question != (w->phase == PHASE_WALK) || (w->question && !walk_is_whole(w)))
		return walk_bad(r, err, "not at this place");
	w->tasks++;
	w->output = 0;
	w->phase = PHASE_TASK;
	buf_reset(&w->text);
	text_safe_line(&w->text, r->payload, r->len, TITLE_MAX);
	(void)snprintf(w->title, sizeof(w->title), "%s", w->text.data);
	return 0;
}

static int keep_task(struct walker *w, const struct journal_record *r, struct err *err)
{
	return store_task(w->w.db, w->w.run, w->tasks, journal_get(r, "kind"), w->title, err);
}

static void tell_task(struct walker *w, const struct journal_record *r)
{
	if (w->w.view->task)
		w->w.view->task(w->w.view->ctx, w->tasks, journal_get(r, "kind"), w->title);
}

static int check_end(struct walker *w, const struct journal_record *r, struct err *err)
{
	const char *why = "";
	if (walk_expect(r, "n", w->tasks, err) < 0 || walk_end(w, r, &why, err) < 0)
		return -1;
	if (!w->question || strcmp(why, "exit") != 0)
		walk_find_task(w, w->title, w->rc, why);
	w->phase = w->question ? PHASE_WALK : PHASE_TASKS;
	return 0;
}

static int keep_end(struct walker *w, const struct journal_record *r, struct err *err)
{
	return store_task_end(w->w.db, w->w.run, w->tasks, w->rc, journal_get(r, "why"), w->ms, err);
}

static void tell_end(struct walker *w, const struct journal_record *r)
{
	if (w->w.view->task_end)
		w->w.view->task_end(w->w.view->ctx, w->tasks, w->rc, journal_get(r, "why"), w->ms);
}
/* ---- output ---- */

static char output_kind(const struct journal_record *r)
{
	return journal_get(r, "task") ? 't' : 's';
}

static int64_t output_n(const struct walker *w, const struct journal_record *r)
{
	return output_kind(r) == 't' ? w->tasks : w->step.n;
}

/* Output is of what runs now. */
static int check_source(struct walker *w, const struct journal_record *r, struct err *err)
{
	if (w->phase == PHASE_TASK)
		return walk_expect(r, "task", w->tasks, err);
	if (journal_get(r, "task") || (w->seen & ~(unsigned)(SEEN_RAN | SEEN_SEEDED | SEEN_FILLED)))
		return walk_bad(r, err, "of nothing that runs");
	return walk_expect(r, "step", w->step.n, err);
}

static int check_out(struct walker *w, const struct journal_record *r, struct err *err)
{
	w->output += (int64_t)r->len;
	if (w->output > WALK_MAX_OUTPUT)
		return walk_bad(r, err, "more output than the runner lets through");
	return check_source(w, r, err);
}

static int keep_out(struct walker *w, const struct journal_record *r, struct err *err)
{
	return store_output(w->w.db, w->w.run, output_kind(r), output_n(w, r), r->payload, r->len, err);
}

static void tell_out(struct walker *w, const struct journal_record *r)
{
	if (w->w.view->output)
		w->w.view->output(w->w.view->ctx, output_kind(r), output_n(w, r), r->payload, r->len);
}

static int check_cut(struct walker *w, const struct journal_record *r, struct err *err)
{
	int64_t dropped;
	if (journal_int(r, "dropped", 1, INT64_MAX, &dropped, err) < 0)
		return -1;
	buf_reset(&w->text);
	buf_addf(&w->text, "\n[… %lld bytes of output left out …]\n", (long long)dropped);
	return check_source(w, r, err);
}

static int keep_cut(struct walker *w, const struct journal_record *r, struct err *err)
{
	return store_output(w->w.db, w->w.run, output_kind(r), output_n(w, r), w->text.data, w->text.len, err);
}

static void tell_cut(struct walker *w, const struct journal_record *r)
{
	if (w->w.view->output)
		w->w.view->output(w->w.view->ctx, output_kind(r), output_n(w, r), w->text.data, w->text.len);
}
/* ---- the walk ---- */

static int check_variant(struct walker *w, const struct journal_record *r, struct err *err)
{
	return walk_word(r, "name", w->variant, sizeof(w->variant), err);
}

static int check_versions(struct walker *w, const struct journal_record *r, struct err *err)
{
	int64_t lines = 0;
	for (size_t i = 0; i < r->len; i++)
		lines += r->payload[i] == '\n';
	return journal_int(r, "n", lines, lines, &w->rc, err);
}

static void tell_versions(struct walker *w, const struct journal_record *r)
{
	if (w->w.view->list)
		w->w.view->list(w->w.view->ctx, r->payload, r->len);
	if (w->w.view->versions)
		w->w.view->versions(w->w.view->ctx, w->rc, w->variant);
}

static int check_walk(struct walker *w, const struct journal_record *r, struct err *err)
{
	static const char *const dirs[] = {"up", "down", "roundtrip", NULL};
	char from[256];
	const char *dir = NULL;
	if (walk_word(r, "from", from, sizeof(from), err) < 0 || walk_word(r, "to", w->to, sizeof(w->to), err) < 0 ||
	    walk_choice(r, "dir", dirs, &dir, err) < 0 || journal_int(r, "n", 0, WALK_MAX_STEPS, &w->planned, err) < 0)
		return -1;
	w->down = dir == dirs[1];
	w->trip = dir == dirs[2];
	w->phase = PHASE_WALK;
	return 0;
}

static void tell_walk(struct walker *w, const struct journal_record *r)
{
	if (w->w.view->walk)
		w->w.view->walk(w->w.view->ctx, journal_get(r, "from"), w->to, journal_get(r, "dir"), w->planned);
}
/* ---- the trailer ---- */

static int check_done(struct walker *w, const struct journal_record *r, struct err *err)
{
	int64_t ok;
	if (journal_int(r, "ok", 0, 1, &ok, err) < 0 ||
	    walk_word(r, "why", w->done_why, sizeof(w->done_why), err) < 0 ||
	    journal_int(r, "ms", 0, MAX_MS, &w->ms, err) < 0)
		return -1;
	bool whole = w->phase == PHASE_TASKS || walk_is_whole(w);
	if (ok && (!whole || w->failed))
		return walk_bad(r, err, "ok, but the run was not");
	w->done_ok = ok;
	return 0;
}

static int keep_done(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	return walk_keep_unfinished(w, w->done_why, err);
}

static void tell_done(struct walker *w, const struct journal_record *r)
{
	(void)r;
	if (w->phase == PHASE_STEP && w->w.view->step_end)
		w->w.view->step_end(w->w.view->ctx, &w->step, "not finished");
	w->phase = PHASE_DONE;
}

/* ---- the rules ---- */

const struct rule walk_task_rules[] = {
	{"hello", PHASE_NEW, check_hello, keep_hello, NULL},
	{"task", PHASE_TASKS | PHASE_WALK, check_task, keep_task, tell_task},
	{"out", PHASE_TASK | PHASE_STEP, check_out, keep_out, tell_out},
	{"cut", PHASE_TASK | PHASE_STEP, check_cut, keep_cut, tell_cut},
	{"end", PHASE_TASK, check_end, keep_end, tell_end},
	{"variant", PHASE_TASKS | PHASE_STEP, check_variant, NULL, NULL},
	{"versions", PHASE_TASKS, check_versions, NULL, tell_versions},
	{"walk", PHASE_TASKS, check_walk, NULL, tell_walk},
	{"done", PHASE_ANY, check_done, keep_done, tell_done},
	{0},
};
