/* SPDX-License-Identifier: MIT */
/* Where the walker stands, as a line of text in runs.walker beside the offset: another process goes on with the next
 * record. */
#include "migrations/walk_state.h"

#include <string.h>

#include "migrations/rows.h"

static void clear_text(struct walk_text *t)
{
	t->sha256[0] = '\0';
	t->same = false;
	buf_reset(&t->text);
}

void walk_look_clear(struct look *l)
{
	clear_text(&l->dump);
	clear_text(&l->model);
	schema_freep(&l->schema);
	l->schema = NULL;
	l->tried = false;
}

void walk_look_finish(struct look *l)
{
	walk_look_clear(l);
	buf_finish(&l->dump.text);
	buf_finish(&l->model.text);
}

int walk_keep_step(struct walker *w, struct err *err)
{
	return store_step_put(w->w.db, w->w.run, &w->step, err);
}

int walk_keep_unfinished(struct walker *w, const char *why, struct err *err)
{
	if (w->phase == PHASE_TASK)
		return store_task_end(w->w.db, w->w.run, w->tasks, -1, why, 0, err);
	if (w->phase != PHASE_STEP)
		return 0;
	w->step.outcome = OUTCOME_LOST;
	if (!(w->seen & SEEN_RAN)) /* how the command ended stays known */
		(void)snprintf(w->step.why, sizeof(w->step.why), "%s", why);
	return walk_keep_step(w, err);
}

void walk_find_task(struct walker *w, const char *title, int64_t rc, const char *why)
{
	if (strcmp(w->kind, WALK_WARM) == 0)
		return; /* steps take longer, that is all */
	w->failed |= rc != 0 || strcmp(why, "exit") != 0;
	if (strcmp(why, "exit") == 0 && rc != 0)
		FIND(w, "task %s: exit %lld", title, (long long)rc);
	else if (strcmp(why, "exit") != 0)
		FIND(w, "task %s: %s", title, strcmp(why, "limit") == 0 ? "too much output" : why);
}

/* ---- where we stand ---- */

enum { STATE_NUMBERS = 9 };

int walk_save(struct walker *w, bool done, struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	buf_addf(&text, "1 %d %lld %lld %u %lld %d %lld %d %s %s %s", done ? PHASE_DONE : (int)w->phase,
		 (long long)w->tasks, (long long)w->step.n, w->seen, (long long)w->planned, w->trip ? 2 : w->down,
		 (long long)w->output, w->done_ok, w->to[0] ? w->to : "-", w->variant[0] ? w->variant : "-",
		 w->done_why[0] ? w->done_why : "-");
	return store_walker_put(w->w.db, w->w.run, text.data, err);
}

static const char *state_word(const char *p, char *out, size_t size)
{
	size_t n = strcspn(p, " ");
	(void)snprintf(out, size, "%.*s", (int)n, p);
	if (strcmp(out, "-") == 0)
		*out = '\0';
	return p[n] ? p + n + 1 : p + n;
}

/* The text that walk_save() wrote. */
static int parse_state(struct walker *w, const char *p, struct err *err)
{
	long long v[STATE_NUMBERS];
	for (size_t i = 0; i < STATE_NUMBERS; i++) {
		char *end;
		v[i] = strtoll(p, &end, 10);
		if (end == p || *end != ' ')
			return err_set(err, ERR_BUG, 0, "run %s: the state of its reader is damaged", w->w.run);
		p = end + 1;
	}
	w->phase = (enum phase)v[1];
	w->tasks = v[2];
	w->step.n = v[3];
	w->seen = (unsigned)v[4];
	w->planned = v[5];
	w->down = v[6] == 1;
	w->trip = v[6] == 2;
	w->output = v[7];
	w->done_ok = v[8] != 0;
	p = state_word(p, w->to, sizeof(w->to));
	p = state_word(p, w->variant, sizeof(w->variant));
	state_word(p, w->done_why, sizeof(w->done_why));
	return v[0] == 1 ? 0 : err_set(err, ERR_USER, 0, "run %s: read by a newer stepbox", w->w.run);
}

static int restore_task(const struct task_row *t, void *ctx)
{
	struct walker *w = ctx;
	(void)snprintf(w->title, sizeof(w->title), "%s", t->title);
	(void)snprintf(w->kind, sizeof(w->kind), "%s", t->kind);
	w->question = strcmp(t->kind, "question") == 0;
	if (t->rc >= 0 && (!w->question || strcmp(t->why, "exit") != 0))
		walk_find_task(w, t->title, t->rc, t->why);
	return 0;
}

static int restore_step(const struct step *s, void *ctx)
{
	struct walker *w = ctx;
	bool current = w->phase == PHASE_STEP && s->n == w->step.n;
	w->trips += s->leg == 1;
	if (!current)
		walk_count_findings(w, s);
	if (!current) {
		free(w->counts_before);
		w->counts_before = xstrdup(s->counts);
	} else if (s->seeded[0]) {
		char *seeded = w->seen & SEEN_COUNTS ? rows_plus(w->counts_before, s->seeded) : xstrdup(s->counts);
		free(w->counts_before);
		w->counts_before = seeded;
	}
	struct look *l = current ? &w->after : &w->before;
	if (s->dump[0])
		memcpy(l->dump.sha256, s->dump, sizeof(s->dump));
	if (s->model[0])
		memcpy(l->model.sha256, s->model, sizeof(s->model));
	return 0;
}

static int restore_text(struct walker *w, const struct walk_text *before, struct walk_text *t, struct err *err)
{
	t->same = before && t->sha256[0] && strcmp(t->sha256, before->sha256) == 0;
	return t->sha256[0] && !t->same ? store_blob_get(w->w.db, t->sha256, &t->text, err) : 0;
}

static int restore_looks(struct walker *w, struct err *err)
{
	if (restore_text(w, NULL, &w->before.dump, err) < 0 || restore_text(w, NULL, &w->before.model, err) < 0 ||
	    restore_text(w, &w->before.dump, &w->after.dump, err) < 0 ||
	    restore_text(w, &w->before.model, &w->after.model, err) < 0)
		return -1;
	w->same = walk_look_same(w);
	return 0;
}

int walk_restore(struct walker *w, struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	if (store_walker_get(w->w.db, w->w.run, &text, err) < 0)
		return -1;
	if (text.len == 0)
		return 0;
	if (parse_state(w, text.data, err) < 0)
		return -1;
	if (w->step.n >= 0) {
		int rc = store_step_get(w->w.db, w->w.run, w->step.n, &w->step, err);
		if (rc < 1)
			return rc < 0 ? -1 : err_set(err, ERR_BUG, 0, "run %s: its current step is missing", w->w.run);
	}
	if (store_task_each(w->w.db, w->w.run, restore_task, w, err) < 0 ||
	    store_step_each(w->w.db, w->w.run, restore_step, w, err) < 0 || restore_looks(w, err) < 0)
		return -1;
	/* A walker_lost() of the process before us was too early: the box is there. */
	if (w->phase == PHASE_STEP && w->step.outcome == OUTCOME_LOST) {
		w->step.outcome = OUTCOME_RUNNING;
		if (!(w->seen & SEEN_RAN))
			w->step.why[0] = '\0';
	}
	return 0;
}
