/* SPDX-License-Identifier: MIT */
/* How it works: a record is handled in three parts. `check` looks at it and prepares everything (it may wait for the
 * box, holds no lock, stores nothing); `keep` writes it, in one transaction with the journal offset and with where we
 * stand; `tell` informs the view once that is on disk. Which kind of record may come when say the rules.
 *
 * Where we stand (phase, numbers, what the current step has told already) is kept as a line of text in runs.walker, so
 * that another process can go on with the next record. */
#include "migrations/walk.h"

#include <string.h>

#include "migrations/walk_state.h"

struct walker *walker_new(const struct walk *walk, struct err *err)
{
	static const struct walk_view nobody = {0};
	CLEANUP(walker_freep) struct walker *w = xcalloc(1, sizeof(*w));
	w->w = *walk;
	if (!w->w.view)
		w->w.view = &nobody;
	w->phase = PHASE_NEW;
	w->step.n = -1;
	struct walk_text *const texts[] = {&w->before.dump, &w->before.model, &w->after.dump, &w->after.model};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		texts[i]->text = buf_make(STORE_BLOB_MAX);
	w->counts_before = xstrdup("");
	w->text = buf_make(4 * JOURNAL_MAX_PAYLOAD);
	w->patterns = outcome_patterns_new(walk->refused, walk->env_failed, err);
	if (!w->patterns || walk_restore(w, err) < 0)
		return NULL;
	return TAKE(w);
}

void walker_free(struct walker *w)
{
	if (!w)
		return;
	outcome_patterns_free(w->patterns);
	step_finish(&w->step);
	free(w->counts_before);
	walk_look_finish(&w->before);
	walk_look_finish(&w->after);
	buf_finish(&w->text);
	free(w);
}

void walker_freep(struct walker **w)
{
	walker_free(*w);
}

void walker_set_journal(struct walker *w, const struct journal *j)
{
	w->journal = j;
}

static const struct rule *find_rule(const char *kind)
{
	static const struct rule *const tables[] = {walk_task_rules, walk_step_rules, walk_look_rules, walk_data_rules,
						    walk_files_rules};
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct rule *rule = tables[i]; rule->kind; rule++)
			if (strcmp(rule->kind, kind) == 0)
				return rule;
	return NULL;
}

static int keep(struct walker *w, const struct rule *rule, const struct journal_record *r, struct err *err)
{
	if (store_begin(w->w.db, err) < 0)
		return -1;
	if ((rule->keep && rule->keep(w, r, err) < 0) || walk_save(w, strcmp(rule->kind, "done") == 0, err) < 0) {
		store_abort(w->w.db);
		return -1;
	}
	return store_commit(w->w.db, w->w.run, journal_offset(w->journal), err);
}

int walker_record(void *walker, const struct journal_record *r, struct err *err)
{
	struct walker *w = walker;
	const struct rule *rule = find_rule(r->kind);
	if (!rule)
		return err_set(err, ERR_BOX, 0, "journal: %s: no such kind of record", r->kind);
	if (!(rule->phases & (unsigned)w->phase))
		return walk_bad(r, err, "not at this place");
	if (rule->check(w, r, err) < 0 || keep(w, rule, r, err) < 0)
		return -1;
	if (rule->tell)
		rule->tell(w, r);
	return 0;
}

bool walker_is_done(const struct walker *w)
{
	return w->phase == PHASE_DONE;
}

int walker_verdict(const struct walker *w, char why[512])
{
	static const struct {
		const char *word, *text;
	} ends[] = {
		{"stop", "stopped"},
		{"disk", "the disk of the box is full"},
		{"runner", "the runner on the box ended by itself"},
		{"restore", "the database could not be put back"},
	};
	why[0] = '\0';
	if (w->phase == PHASE_DONE && w->done_ok && !w->finding[0])
		return 1;
	if (w->n_findings > 1)
		(void)snprintf(why, 512, "%.440s, and %lld more finding%s", w->finding, (long long)w->n_findings - 1,
			       w->n_findings == 2 ? "" : "s");
	else
		(void)snprintf(why, 512, "%s", w->finding);
	if (why[0])
		return 0;
	(void)snprintf(why, 512, "%s", w->phase == PHASE_DONE ? w->done_why : "not finished");
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (strcmp(why, ends[i].word) == 0)
			(void)snprintf(why, 512, "%s", ends[i].text);
	return 0;
}

int walker_lost(struct walker *w, struct err *err)
{
	if (w->phase != PHASE_TASK && w->phase != PHASE_STEP)
		return 0;
	if (store_begin(w->w.db, err) < 0)
		return -1;
	if (walk_keep_unfinished(w, "lost", err) < 0) {
		store_abort(w->w.db);
		return -1;
	}
	if (db_commit(w->w.db, err) < 0)
		return -1;
	if (w->phase == PHASE_STEP && w->w.view->step_end)
		w->w.view->step_end(w->w.view->ctx, &w->step, "not finished");
	return 0;
}
