/* SPDX-License-Identifier: MIT */
/* bisect: the first version where a condition holds.
 *
 * How it works. Over a stored run nothing is booted: its schemas are all there, so each is asked, and every place where
 * the answer changes is told. Otherwise boxes are asked: the two ends first, then the places that divide what is left
 * evenly (--jobs of them at a time), each on a clean box that goes to that version in one go; last, the step that was
 * found is walked by itself, which tells what it changes and confirms the answer. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/condition.h"
#include "cmd/fleet.h"
#include "cmd/report.h"
#include "cmd/side.h"

#define LIST_MAX  ((size_t)8 << 20)
#define MAX_JOBS  32
#define MAX_LINES 12 /* of what a step changed, without --verbose */

struct bisect_opts {
	struct condition_opts what;
	struct opt_list set;
	const char *good, *bad, *jobs;
};

static const struct opt opts[] = {
	CONDITION_OPTS(struct bisect_opts, what),
	{0, "good", "VERSION", "it does not hold there (default: where the walk begins)", OPT_STRING,
	 offsetof(struct bisect_opts, good)},
	{0, "bad", "VERSION", "it holds there (default: where the walk ends)", OPT_STRING,
	 offsetof(struct bisect_opts, bad)},
	{0, "jobs", "N", "boxes at a time (default 1)", OPT_STRING, offsetof(struct bisect_opts, jobs)},
	{0, "set", "KEY.PATH=VALUE", "override one value of the recipe", OPT_LIST, offsetof(struct bisect_opts, set)},
	OPT_END,
};

/* What is looked for, where, and what is known. Places are 0: nothing applied, i: the i-th version of the list. */
struct hunt {
	struct cmd_ctx *c;
	const struct bisect_opts *o;
	struct condition condition;
	struct side stored; /* a run that was named; run.id "" for none */
	size_t *order;      /* its steps as the versions follow one another, and where the database was after each */
	char **names;
	size_t n_order;
	bool down;         /* a step leads from its place to the one before it */
	struct buf recipe; /* its recipe, as JSON */
	struct buf list;   /* versions as a box listed them */
	char **versions;   /* owned; 0 is "base" */
	size_t n_versions;
	int64_t jobs;
};

/* ---- telling ---- */

static const char *answer_word(enum answer a)
{
	return a == ANSWER_YES ? "holds" : a == ANSWER_NO ? "does not hold" : "cannot be told";
}

static int print_file(const struct migration_file *f, void *ctx)
{
	const struct step *s = ctx;
	AUTO_BUF path = buf_make(BUF_TEXT_MAX);
	if (strcmp(f->version, s->version) == 0) {
		text_safe_line(&path, f->path, strlen(f->path), 200);
		printf("  file %s, blob %.12s\n", path.data, f->blob);
	}
	return 0;
}

static int add_file(const struct migration_file *f, void *ctx)
{
	json_t *o = ctx;
	if (strcmp(f->version, json_string_value(json_object_get(o, "version"))) == 0)
		json_array_append_new(json_object_get(o, "files"),
				      json_pack("{s:s, s:s}", "path", f->path, "blob", f->blob));
	return 0;
}

static void print_changes(const struct step *s, bool all)
{
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	size_t n = 0, more = 0;
	text_safe(&safe, s->changes, strlen(s->changes));
	for (const char *p = safe.data; *p;) {
		size_t len = strcspn(p, "\n");
		if (all || n++ < MAX_LINES)
			printf("    %.*s\n", (int)len, p);
		else
			more++;
		p += len + (p[len] == '\n');
	}
	if (more)
		printf("    and %zu more: -v lists them\n", more);
}

/* What the step that was found did, and whose it is. before: the last version where the condition does not hold. */
static int tell_found(const struct hunt *h, const char *run, const struct step *s, const char *before, struct err *err)
{
	AUTO_BUF version = buf_make(BUF_TEXT_MAX);
	AUTO_BUF last = buf_make(BUF_TEXT_MAX);
	if (h->c->globals->json) {
		json_t *o = report_step_json(s, NULL);
		json_object_set_new(o, "event", json_string("found"));
		json_object_set_new(o, "condition", json_string(h->condition.words));
		json_object_set_new(o, "before", report_json_text(before));
		json_object_set_new(o, "run", json_string(run));
		json_object_set_new(o, "commit", json_string(s->commit));
		json_object_set_new(o, "files", json_array());
		int rc = store_file_each(h->c->db, run, add_file, o, err);
		report_print_json(o);
		return rc < 0 ? -1 : 0;
	}
	text_safe_line(&version, s->version, strlen(s->version), 100);
	text_safe_line(&last, before, strlen(before), 100);
	printf("%s\n  is the first version with: %s\n  the last without: %s\n  what this step changed (%s, %s):\n",
	       version.data, h->condition.words, last.data, run, outcome_name(s->outcome));
	if (*s->changes)
		print_changes(s, h->c->globals->verbose);
	else
		puts("    nothing in the schema");
	if (*s->commit)
		printf("  commit %s\n", s->commit);
	return store_file_each(h->c->db, run, print_file, (void *)(uintptr_t)s, err) < 0 ? -1 : 0;
}

static void tell_flip(const struct hunt *h, const char *version, enum answer now)
{
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	text_safe_line(&safe, version, strlen(version), 100);
	if (h->c->globals->json)
		report_print_json(json_pack("{s:s, s:s, s:b}", "event", "flip", "version", safe.data, "holds",
					    now == ANSWER_YES));
	else
		printf("  then %s from %s on\n", now == ANSWER_YES ? "again" : "no longer", safe.data);
}

/* It never changes: a finding. */
static int tell_none(const struct hunt *h, enum answer all, const char *from, const char *to)
{
	AUTO_BUF range = buf_make(BUF_TEXT_MAX);
	text_safe_line(&range, from, strlen(from), 100);
	buf_adds(&range, " … ");
	text_safe_line(&range, to, strlen(to), 100);
	if (h->c->globals->json)
		report_print_json(json_pack("{s:s, s:s, s:s, s:b}", "event", "none", "condition", h->condition.words,
					    "range", range.data, "holds", all == ANSWER_YES));
	else if (all == ANSWER_YES)
		printf("%s: holds already where the search begins (%s)\n", h->condition.words, range.data);
	else
		printf("%s: does not hold where the search ends (%s)\n", h->condition.words, range.data);
	return 1;
}

/* What is left when some versions cannot be told: it begins at one of names[first … last]. */
static int tell_between(const struct hunt *h, char *const *names, size_t first, size_t last)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	for (size_t i = first; i <= last; i++)
		buf_addf(&text, "%s%s", i > first ? ", " : "", names[i]);
	text_safe_line(&safe, text.data, text.len, 400);
	if (h->c->globals->json)
		report_print_json(json_pack("{s:s, s:s, s:s}", "event", "undecided", "condition", h->condition.words,
					    "versions", safe.data));
	else
		printf("%s: begins to hold at one of %s\n", h->condition.words, safe.data);
	return 1;
}

/* ---- over a stored run ---- */

/* A version as people name it: whole, or the only beginning that is not cut in a number. -1: none. */
static int find_version(char *const *names, size_t n, const char *want)
{
	size_t len = strlen(want), hits = 0;
	int found = -1;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], want) == 0)
			return (int)i;
		if (text_starts(names[i], want) && !(names[i][len] >= '0' && names[i][len] <= '9')) {
			found = (int)i;
			hits++;
		}
	}
	return hits == 1 ? found : -1;
}

/* Where the database was after a step: down steps are called by what they undid. */
static char *whereabouts(const struct step *s)
{
	const char *last = s->versions;
	if (strcmp(s->direction, "down") != 0)
		return xstrdup(s->version);
	for (const char *p = last; *p; p += strcspn(p, "\n"), p += *p == '\n')
		last = p;
	return *last ? xstrndup(last, strcspn(last, "\n")) : xstrdup("base");
}

/* A walk down is read backwards; of round trips the first way up counts. */
static void put_in_order(struct hunt *h)
{
	const struct side *s = &h->stored;
	h->order = xcalloc(s->n_steps + 1, sizeof(*h->order));
	h->names = xcalloc(s->n_steps + 1, sizeof(*h->names));
	h->down = s->n_steps > 1 && s->steps[1].leg == 0 && strcmp(s->steps[1].direction, "down") == 0;
	for (size_t k = 0; k < s->n_steps; k++) {
		size_t i = h->down ? s->n_steps - 1 - k : k;
		if (s->steps[i].leg > 1)
			continue;
		h->names[h->n_order] = whereabouts(&s->steps[i]);
		h->order[h->n_order++] = i;
	}
}

/* The steps to be asked. 1 the store has them, 0 not all of them. */
static int stored_range(const struct hunt *h, size_t *first, size_t *last, struct err *err)
{
	*first = 0;
	*last = h->n_order ? h->n_order - 1 : 0;
	int good = h->o->good ? find_version(h->names, h->n_order, h->o->good) : 0;
	int bad = h->o->bad ? find_version(h->names, h->n_order, h->o->bad) : (int)*last;
	if (h->n_order < 2 || good < 0 || bad < 0)
		return 0;
	if (good >= bad)
		return err_set(err, ERR_USER, 0, "--bad %s does not come after --good %s", h->names[bad],
			       h->names[good]);
	*first = (size_t)good;
	*last = (size_t)bad;
	return 1;
}

static int ask_stored(struct hunt *h, size_t i, enum answer *out, struct err *err)
{
	const struct schema *schema;
	const struct step *s = &h->stored.steps[h->order[i]];
	if (side_schema(&h->stored, h->order[i], &schema, err) < 0)
		return -1;
	*out = schema ? condition_ask(&h->condition, schema, s->dump, s->model) : ANSWER_SKIP;
	return 0;
}

/* All of them are asked, one after the other: that is a matter of milliseconds, and holds for what comes and goes. */
static int scan(struct hunt *h, size_t first, size_t last, struct err *err)
{
	const struct side *s = &h->stored;
	enum answer before = ANSWER_NONE, now;
	size_t known = first;
	bool found = false;
	int undecided = 0;
	for (size_t i = first; i <= last; i++) {
		if (ask_stored(h, i, &now, err) < 0)
			return -1;
		if (now == ANSWER_SKIP)
			continue;
		if (before != ANSWER_NONE && now != before) {
			if (found || now == ANSWER_NO)
				tell_flip(h, h->names[i], now);
			else if (i > known + 1)
				undecided = tell_between(h, h->names, known + 1, i);
			else if (tell_found(h, s->run.id, &s->steps[h->order[h->down ? known : i]], h->names[known],
					    err) < 0)
				return -1;
			found |= now == ANSWER_YES;
		} else if (before == ANSWER_NONE && now == ANSWER_YES) {
			tell_none(h, ANSWER_YES, h->names[first], h->names[last]);
		}
		before = now;
		known = i;
	}
	if (!found && before != ANSWER_YES)
		return tell_none(h, before, h->names[first], h->names[last]);
	return found ? undecided : 1;
}

/* ---- on boxes ---- */

static int add_probe(struct hunt *h, struct fleet *f, const char *from, const char *to, struct err *err)
{
	const char *path = h->c->argc > h->c->n_behind ? h->c->argv[0] : NULL;
	AUTO_FREE char *label = xasprintf("bisect %s", to);
	struct fleet_order order = {.path = path,
				    .json = h->stored.run.id[0] ? h->recipe.data : NULL,
				    .set = h->o->set,
				    .from = from,
				    .to = to,
				    .label = label};
	return fleet_add(f, &order, err);
}

struct question_task {
	int64_t rc;
	bool asked;
};

static int on_task(const struct task_row *t, void *ctx)
{
	struct question_task *q = ctx;
	if (strcmp(t->kind, "question") == 0) {
		q->asked = t->rc >= 0 && strcmp(t->why, "exit") == 0;
		q->rc = t->rc;
	}
	return 0;
}

/* What a box found: by its question, or by the schema after its last step. why: when it cannot be told. */
static int read_answer(struct hunt *h, struct side *s, enum answer *out, char why[200], struct err *err)
{
	const struct schema *schema;
	const struct step *last = s->n_steps ? &s->steps[s->n_steps - 1] : NULL;
	*out = ANSWER_SKIP;
	snprintf(why, 200, "%.199s", s->run.detail);
	if (!last || !outcome_is_good(last->outcome))
		return 0;
	if (condition_needs_box(&h->condition)) {
		struct question_task q = {0};
		if (store_task_each(h->c->db, s->run.id, on_task, &q, err) < 0)
			return -1;
		if (q.asked)
			*out = condition_answer(&h->condition, q.rc);
		if (q.asked && *out == ANSWER_SKIP)
			snprintf(why, 200, "the command ended with exit code %lld", (long long)q.rc);
		return 0;
	}
	if (side_schema(s, s->n_steps - 1, &schema, err) < 0)
		return -1;
	if (schema)
		*out = condition_ask(&h->condition, schema, last->dump, last->model);
	else
		snprintf(why, 200, "%.199s", s->unreadable);
	return 0;
}

static void tell_probe(struct hunt *h, const char *version, enum answer a, const char *why, const struct run *r,
		       const char *rest)
{
	AUTO_BUF name = buf_make(BUF_TEXT_MAX);
	AUTO_BUF because = buf_make(BUF_TEXT_MAX);
	text_safe_line(&name, version, strlen(version), 100);
	text_safe_line(&because, why, strlen(why), 200);
	if (h->c->globals->json)
		report_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s}", "event", "probe", "version", name.data, "run",
					    r->id, "answer", answer_word(a), "why",
					    a == ANSWER_SKIP ? because.data : ""));
	else if (!h->c->globals->quiet)
		fprintf(stderr, "%s: %s  %s%s%s%s\n", r->id, name.data, answer_word(a), a == ANSWER_SKIP ? ": " : "",
			a == ANSWER_SKIP ? because.data : "", rest);
}

/* One round: all the fleet at a time. Returns the exit code of the boxes when they are to blame, 0, or -1. */
static int fly(struct hunt *h, struct fleet *f, struct err *err)
{
	AUTO_FREE char *question = NULL;
	assert(f->n > 0 && f->ships[0]);
	if (condition_needs_box(&h->condition)) {
		question = condition_command(&h->condition, &f->ships[0]->recipe, err);
		if (!question)
			return -1;
	}
	f->ships[0]->list = &h->list;
	struct screen *screen = screen_new(h->c->globals, (int)f->n);
	screen_set_aside(screen, false);
	struct fleet_run how = {.db = h->c->db,
				.screen = screen,
				.keep = KEEP_NEVER,
				.what = COMPILE_ALL,
				.question = question,
				.question_title = h->condition.words};
	int code = fleet_run(f, &how);
	screen_free(screen);
	return code > 1 ? code : 0;
}

/* Asks at k versions, on a box each, jobs of them at a time. Returns 0, the exit code of boxes that are to blame, or
 * -1. */
static int ask_boxes(struct hunt *h, const char *const *versions, size_t k, enum answer *out, struct err *err)
{
	for (size_t i = 0; i < k;) {
		CLEANUP(fleet_finish) struct fleet f = {0};
		size_t begin = i;
		for (; i < k && f.n < (size_t)h->jobs; i++) {
			if (add_probe(h, &f, versions[i], versions[i], err) < 0)
				return -1;
		}
		int code = fly(h, &f, err);
		if (code)
			return code;
		for (size_t s = 0; s < i - begin; s++) {
			struct side side;
			out[begin + s] = ANSWER_SKIP;
			char why[200] = "";
			int rc = side_load(&side, h->c->db, f.ships[s]->job.run, err);
			if (rc == 0)
				rc = read_answer(h, &side, &out[begin + s], why, err);
			if (rc == 0)
				tell_probe(h, versions[begin + s], out[begin + s], why, &side.run, "");
			side_finish(&side);
			if (rc < 0)
				return -1;
		}
	}
	return 0;
}

static void read_list(struct hunt *h)
{
	char *rest = h->list.data;
	h->versions = xcalloc(h->list.len + 2, sizeof(*h->versions));
	h->versions[h->n_versions++] = xstrdup("base");
	for (char *v; (v = strtok_r(rest, "\n", &rest)) != NULL;)
		h->versions[h->n_versions++] = xstrdup(v);
}

static int place_of(const struct hunt *h, const char *option, const char *name, size_t *out, struct err *err)
{
	int at = strcmp(name, "head") == 0 ? (int)h->n_versions - 1 : find_version(h->versions, h->n_versions, name);
	if (at < 0)
		return err_set(err, ERR_USER, 0, "%s: version %s is not in the list of %zu versions", option, name,
			       h->n_versions - 1);
	*out = (size_t)at;
	return 0;
}

/* The step by itself: what it changes, and the same answers once more. */
static int confirm(struct hunt *h, const struct bisect *b, struct err *err)
{
	CLEANUP(fleet_finish) struct fleet f = {0};
	struct side side;
	char why[200] = "";
	enum answer again;
	if (add_probe(h, &f, h->versions[b->good], h->versions[b->bad], err) < 0)
		return -1;
	int code = fly(h, &f, err);
	if (code)
		return code;
	int rc = side_load(&side, h->c->db, f.ships[0]->job.run, err);
	if (rc == 0)
		rc = read_answer(h, &side, &again, why, err);
	if (rc == 0 && again != ANSWER_YES)
		rc = err_set(err, ERR_STEP, 0,
			     "%s: holds when a database goes there in one go, but after the step from %s it %s%s%s",
			     h->versions[b->bad], h->versions[b->good], answer_word(again), *why ? ": " : "", why);
	if (rc == 0)
		rc = tell_found(h, side.run.id, &side.steps[side.n_steps - 1], h->versions[b->good], err);
	side_finish(&side);
	return rc;
}

static int search(struct hunt *h, struct bisect *b, struct err *err)
{
	size_t ask[MAX_JOBS], k;
	while ((k = bisect_pick(b, (size_t)h->jobs, ask)) > 0) {
		const char *versions[MAX_JOBS];
		enum answer answers[MAX_JOBS] = {ANSWER_NONE};
		if (!h->c->globals->quiet && !h->c->globals->json)
			fprintf(stderr, "%zu version%s between %s and %s: at most %zu more round%s\n", bisect_left(b),
				bisect_left(b) == 1 ? "" : "s", h->versions[b->good], h->versions[b->bad],
				bisect_rounds(b, (size_t)h->jobs), bisect_rounds(b, (size_t)h->jobs) == 1 ? "" : "s");
		for (size_t i = 0; i < k; i++)
			versions[i] = h->versions[ask[i]];
		int rc = ask_boxes(h, versions, k, answers, err);
		if (rc)
			return rc;
		for (size_t i = 0; i < k; i++)
			bisect_note(b, ask[i], answers[i]);
	}
	if (b->back)
		fprintf(stderr, "it comes and goes: this is one of several beginnings\n");
	return bisect_left(b) == 0 && b->bad == b->good + 1 ? confirm(h, b, err)
							    : tell_between(h, h->versions, b->good + 1, b->bad);
}

/* Between two ends that say the same nobody was asked. */
static int tell_none_on_boxes(const struct hunt *h, enum answer both, size_t good, size_t bad)
{
	if (!h->c->globals->quiet && !h->c->globals->json && !condition_needs_box(&h->condition))
		fprintf(stderr,
			"between them nobody was asked: if it comes and goes, `stepbox run` and bisect that run\n");
	return tell_none(h, both, h->versions[good], h->versions[bad]);
}

/* Both ends are asked before anything is searched between them. */
static int hunt_on_boxes(struct hunt *h, struct err *err)
{
	CLEANUP(fleet_finish) struct fleet f = {0};
	size_t good = 0, bad = 0;
	if (add_probe(h, &f, h->o->good, h->o->bad, err) < 0)
		return -1;
	/* The recipe's own words, where the options say nothing. */
	const char *ends[] = {f.ships[0]->recipe.from, f.ships[0]->recipe.to};
	enum answer answers[2] = {ANSWER_NONE, ANSWER_NONE};
	int rc = ask_boxes(h, ends, 2, answers, err);
	if (rc)
		return rc;
	read_list(h);
	if (place_of(h, "--good", ends[0], &good, err) < 0 || place_of(h, "--bad", ends[1], &bad, err) < 0)
		return -1;
	if (good >= bad)
		return err_set(err, ERR_USER, 0, "--bad %s does not come after --good %s", ends[1], ends[0]);
	for (size_t i = 0; i < 2; i++) {
		if (answers[i] == ANSWER_SKIP)
			return err_set(err, ERR_STEP, 0,
				       "version %s cannot be looked at: there is nothing to search between", ends[i]);
	}
	if (answers[0] == ANSWER_YES || answers[1] == ANSWER_NO)
		return tell_none_on_boxes(h, answers[0] == ANSWER_YES ? ANSWER_YES : ANSWER_NO, good, bad);
	struct bisect b;
	bisect_init(&b, h->n_versions, good, bad);
	rc = search(h, &b, err);
	bisect_finish(&b);
	return rc;
}

/* ---- the command ---- */

/* The operand: a recipe, or a run of the store. */
static int choose(struct hunt *h, struct err *err)
{
	const char *name = h->c->argc > h->c->n_behind ? h->c->argv[0] : NULL;
	struct run run;
	if (h->c->argc - h->c->n_behind > 1)
		return err_set(err, ERR_USER, 0, "one recipe or run, please; a command stands behind --");
	if (!name || fs_exists(name))
		return 0;
	int found = store_run_find(h->c->db, name, &run, err);
	if (found == 0 && (strchr(name, '/') || text_ends(name, ".yaml")))
		return 0; /* the recipe's own message */
	if (found == 0)
		return err_set(err, ERR_USER, 0, "%s: neither a recipe nor a run; `stepbox ls` lists the runs", name);
	if (found < 0 || side_load(&h->stored, h->c->db, run.id, err) < 0 ||
	    store_run_recipe(h->c->db, run.id, &h->recipe, err) < 0)
		return -1;
	put_in_order(h);
	return 0;
}

static int hunt(struct hunt *h, struct err *err)
{
	size_t first, last;
	if (choose(h, err) < 0)
		return -1;
	/* With another value in its recipe it is another run. */
	if (!h->stored.run.id[0] || condition_needs_box(&h->condition) || h->o->set.n)
		return hunt_on_boxes(h, err);
	int has = stored_range(h, &first, &last, err);
	return has < 0 ? -1 : has ? scan(h, first, last, err) : hunt_on_boxes(h, err);
}

static int run(struct cmd_ctx *c, struct err *err)
{
	struct hunt h = {.c = c, .o = c->opts, .jobs = 1, .recipe = buf_make(BUF_TEXT_MAX), .list = buf_make(LIST_MAX)};
	int rc = h.o->jobs ? text_parse_int("--jobs", h.o->jobs, 1, MAX_JOBS, &h.jobs, err) : 0;
	if (rc == 0)
		rc = condition_make(&h.condition, &h.o->what, c->argv + c->argc - c->n_behind, c->n_behind, err);
	if (rc == 0)
		rc = hunt(&h, err);
	condition_finish(&h.condition);
	side_finish(&h.stored);
	for (size_t i = 0; i < h.n_versions; i++)
		free(h.versions[i]);
	free(h.versions);
	for (size_t i = 0; i < h.n_order; i++)
		free(h.names[i]);
	free(h.names);
	free(h.order);
	buf_finish(&h.recipe);
	buf_finish(&h.list);
	return rc;
}

const struct cmd cmd_bisect = {
	.name = "bisect",
	.args = "[RECIPE|RUN] CONDITION | -- COMMAND…",
	.brief = "the first version where a condition holds: from stored schemas, or on boxes",
	.help = "A COMMAND is run in the checkout on a box that is at a version: exit code 0 is good, 125 means that "
		"it cannot\n"
		"be told, and what is found is the first version where it is another one (as `git bisect run` has "
		"it).\n"
		"Exit codes: 0 found, 1 not: it holds from the start, or never.",
	.opts = opts,
	.ctx_size = sizeof(struct bisect_opts),
	.max_args = -1,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
