/* SPDX-License-Identifier: MIT */
#include "cmd/match.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "migrations/rows.h"
#include "migrations/schema_diff.h"
#include "migrations/schema_model.h"

/* Words of --ignore that are not about schemas. */
static const struct {
	const char *word;
	enum compare_class class;
} own_words[] = {{"rows", COMPARE_ROWS}, {"outcome", COMPARE_OUTCOME}};

struct asked {
	unsigned ignored; /* 1 << enum compare_class */
	struct schema_diff_options schema;
};

/* Whether the word is one of ours; then it is noted. */
static bool take_own_word(const char *word, struct asked *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_words); i++) {
		if (strcmp(own_words[i].word, word) == 0) {
			out->ignored |= 1U << own_words[i].class;
			return true;
		}
	}
	return false;
}

static int parse_options(const struct match_options *o, struct asked *out, struct err *err)
{
	AUTO_BUF rest = buf_make(BUF_TEXT_MAX);
	*out = (struct asked){0};
	for (const char *p = o->what.ignore ? o->what.ignore : ""; *p;) {
		size_t n = strcspn(p, ",");
		AUTO_FREE char *word = xstrndup(p, n);
		if (!take_own_word(word, out))
			buf_addf(&rest, "%s%s", rest.len ? "," : "", word);
		p += n + (p[n] == ',');
	}
	struct difftext_opts given = o->what;
	given.ignore = rest.len ? rest.data : NULL;
	return difftext_options(&given, &out->schema, err);
}

int match_options_check(const struct match_options *o, struct err *err)
{
	struct asked asked;
	return parse_options(o, &asked, err);
}

/* ---- what differs at one version ---- */

static void add_item(struct match *m, struct compare_set *set, enum compare_class class, json_t *key /* takes */,
		     const char *text)
{
	AUTO_FREE char *id = json_dumps(key, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	json_decref(key);
	text_safe_line(&safe, text, strlen(text), 2000);
	compare_set_add(set, compare_pool_add(m->pool, class, id ? id : text, safe.data));
}

static void compare_outcomes(struct match *m, const struct step *a, const struct step *b, struct compare_set *set)
{
	if (a->outcome == b->outcome || (outcome_is_good(a->outcome) && outcome_is_good(b->outcome)))
		return;
	AUTO_FREE char *text = xasprintf("~ the step: %s → %s", outcome_name(a->outcome), outcome_name(b->outcome));
	add_item(m, set, COMPARE_OUTCOME,
		 json_pack("{s:s, s:s, s:s}", "kind", "outcome", "a", outcome_name(a->outcome), "b",
			   outcome_name(b->outcome)),
		 text);
}

/* What became of a round trip, and what a step lost, in the words of the run itself. */
static void compare_words(struct match *m, const char *kind, const char *a, const char *b, struct compare_set *set)
{
	if (strcmp(a, b) == 0)
		return;
	AUTO_FREE char *text = xasprintf("~ %s: %s → %s", kind, *a ? a : "none", *b ? b : "none");
	add_item(m, set, COMPARE_OUTCOME, json_pack("{s:s, s:s, s:s}", "kind", kind, "a", a, "b", b), text);
}

/* Lines of findings that are about the database, not about its speed. */
static void lost(const struct step *s, struct buf *out)
{
	for (const char *p = s->findings; *p;) {
		size_t n = strcspn(p, "\n");
		if (text_starts(p, "loss: "))
			buf_addf(out, "%s%.*s", out->len ? "; " : "", (int)(n - strlen("loss: ")),
				 p + strlen("loss: "));
		p += n + (p[n] == '\n');
	}
}

static void compare_findings(struct match *m, const struct step *a, const struct step *b, struct compare_set *set)
{
	AUTO_BUF la = buf_make(BUF_TEXT_MAX);
	AUTO_BUF lb = buf_make(BUF_TEXT_MAX);
	lost(a, &la);
	lost(b, &lb);
	compare_words(m, "loss", la.data, lb.data, set);
	compare_words(m, "round trip", a->trip, b->trip, set);
}

/* table, column: as counts call them. */
static bool has_column(const struct schema *s, const char *table, const char *column)
{
	for (size_t i = 0; s && i < s->n_tables; i++) {
		const struct table *t = &s->tables[i];
		bool named = rows_is_named(t->name, table);
		for (size_t k = 0; named && k < t->n_columns; k++) {
			if (rows_is_named(t->columns[k].name, column))
				return true;
		}
	}
	return !s;
}

struct counting {
	struct match *m;
	const struct schema *const *schemas; /* of both sides, NULL where they are the same */
	struct compare_set *set;
};

/* NULLs count where both have the column: what only one has is a difference of the schema. */
static void on_count(void *ctx, const struct rows_difference *c)
{
	struct counting *k = ctx;
	AUTO_FREE char *text = NULL;
	if (*c->column &&
	    (!has_column(k->schemas[0], c->table, c->column) || !has_column(k->schemas[1], c->table, c->column)))
		return;
	if (*c->column)
		text = xasprintf("%s: ~ NULLs of %s: %lld → %lld", c->table, c->column, (long long)c->a,
				 (long long)c->b);
	else
		text = xasprintf("%s: ~ rows: %lld → %lld", c->table, (long long)c->a, (long long)c->b);
	add_item(k->m, k->set, COMPARE_ROWS,
		 json_pack("{s:s, s:s*, s:s*}", "kind", *c->column ? "nulls" : "rows", "table", c->table, "column",
			   *c->column ? c->column : NULL),
		 text);
}

/* A side with tables that did not count their rows is not equal in that. */
static void compare_rows(const struct step *a, const struct step *b, struct counting *k)
{
	const struct step *lacks = !*a->counts ? a : !*b->counts ? b : NULL;
	const struct schema *s = k->schemas[lacks == b];
	if (strcmp(a->counts, b->counts) == 0)
		return;
	if (lacks && (s ? s->n_tables > 0 : strcmp(a->dump, b->dump) == 0)) {
		const char *run = lacks == a ? k->m->a->run.id : k->m->b->run.id;
		AUTO_FREE char *text = xasprintf("~ rows: not counted in %s", run);
		add_item(k->m, k->set, COMPARE_ROWS, json_pack("{s:s, s:s}", "kind", "rows", "not-counted", run), text);
		return;
	}
	CLEANUP(rows_freep) struct rows *ra = rows_read(a->counts), *rb = rows_read(b->counts);
	rows_differ(ra, rb, on_count, k);
}

static const enum compare_class classes[] = {
	[CHANGE_STRUCTURAL] = COMPARE_STRUCTURAL,
	[CHANGE_UNMODELLED] = COMPARE_UNMODELLED,
	[CHANGE_COSMETIC] = COMPARE_COSMETIC,
};
static_assert(ARRAY_SIZE(classes) == CHANGE_CLASS_COUNT_, "every class has its own");

static void add_changes(struct match *m, const struct schema_change *c, size_t n, bool bookkeeping,
			struct compare_set *set)
{
	for (size_t i = 0; i < n; i++) {
		AUTO_BUF line = buf_make(BUF_TEXT_MAX);
		schema_change_line(&c[i], &line);
		if (bookkeeping)
			buf_adds(&line, " (bookkeeping)");
		add_item(m, set, bookkeeping ? COMPARE_COSMETIC : classes[c[i].class],
			 json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "op", change_op_name(c[i].op), "kind",
				   change_kind_name(c[i].kind), "field", change_field_name(c[i].field), "table",
				   c[i].table, "name", c[i].name, "a", c[i].a, "b", c[i].b),
			 line.data);
	}
}

/* The tools' own tables are told, but make no difference: two tools keep their accounts in different ways. */
static void compare_models(struct match *m, const struct schema *a, const struct schema *b, const struct asked *asked,
			   struct compare_set *set)
{
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(a, b, &asked->schema);
	add_changes(m, cs->items, cs->n, false, set);
	add_changes(m, cs->skipped, cs->n_skipped, true, set);
	if (cs->incomplete) {
		AUTO_FREE char *text = xasprintf("~ more than %d differences: not all are told", SCHEMA_MAX_CHANGES);
		add_item(m, set, COMPARE_UNMODELLED, json_pack("{s:s}", "kind", "incomplete"), text);
	}
}

/* Leaves what was read in schemas: NULL where the two are the same or cannot be read. */
static int compare_schemas(struct match *m, size_t i, size_t j, const struct asked *asked,
			   const struct schema *schemas[2], struct compare_set *set, struct err *err)
{
	const struct step *a = &m->a->steps[i], *b = &m->b->steps[j];
	const struct schema *sa, *sb;
	schemas[0] = schemas[1] = NULL;
	if (strcmp(m->a->run.engine, m->b->run.engine) == 0 && a->dump[0] && strcmp(a->dump, b->dump) == 0 &&
	    strcmp(a->model, b->model) == 0)
		return 0;
	if (side_schema(m->a, i, &sa, err) < 0 || side_schema(m->b, j, &sb, err) < 0)
		return -1;
	if (sa && sb) {
		schemas[0] = sa;
		schemas[1] = sb;
		compare_models(m, sa, sb, asked, set);
		return 0;
	}
	AUTO_FREE char *text = xasprintf("~ the schema of %s cannot be read: %s", sa ? m->b->run.id : m->a->run.id,
					 sa ? m->b->unreadable : m->a->unreadable);
	add_item(m, set, COMPARE_UNMODELLED, json_pack("{s:s, s:s*}", "kind", "schema", "text", text), text);
	return 0;
}

static bool is_same_question(const struct match *m, const struct compare_point *p, const struct compare_point *q)
{
	const struct step *a = &m->a->steps[p->a], *b = &m->b->steps[p->b];
	const struct step *c = &m->a->steps[q->a], *d = &m->b->steps[q->b];
	return strcmp(a->dump, c->dump) == 0 && strcmp(b->dump, d->dump) == 0 && strcmp(a->model, c->model) == 0 &&
	       strcmp(b->model, d->model) == 0 && strcmp(a->counts, c->counts) == 0 &&
	       strcmp(b->counts, d->counts) == 0 && a->outcome == c->outcome && b->outcome == d->outcome &&
	       strcmp(a->findings, c->findings) == 0 && strcmp(b->findings, d->findings) == 0 &&
	       strcmp(a->trip, c->trip) == 0 && strcmp(b->trip, d->trip) == 0;
}

static void copy_set(struct compare_set *to, const struct compare_set *from)
{
	for (size_t i = 0; i < from->n; i++)
		compare_set_add(to, from->items[i]);
}

static int compare_point_at(struct match *m, size_t at, const struct asked *asked, struct err *err)
{
	const struct compare_point *p = &m->points.points[at];
	struct compare_set all = {0};
	compare_outcomes(m, &m->a->steps[p->a], &m->b->steps[p->b], &all);
	const struct schema *schemas[2];
	int rc = compare_schemas(m, (size_t)p->a, (size_t)p->b, asked, schemas, &all, err);
	struct counting k = {m, schemas, &all};
	if (rc == 0)
		compare_rows(&m->a->steps[p->a], &m->b->steps[p->b], &k);
	compare_findings(m, &m->a->steps[p->a], &m->b->steps[p->b], &all);
	for (size_t i = 0; i < all.n; i++) {
		if (!(asked->ignored & (1U << compare_pool_get(m->pool, all.items[i])->class)))
			compare_set_add(&m->sets[at], all.items[i]);
	}
	compare_set_sort(&m->sets[at]);
	compare_set_finish(&all);
	return rc;
}

/* ---- the whole ---- */

/* A walk that ended early would have had what comes behind its last step. */
static enum compare_state state_of(const struct match *m, size_t at)
{
	const struct compare_point *p = &m->points.points[at];
	if (p->a >= 0 && p->b >= 0)
		return COMPARE_SAME;
	const struct side *lacks = p->a < 0 ? m->a : m->b;
	bool ended = !side_is_whole(lacks);
	for (size_t i = at + 1; ended && i < m->points.n; i++)
		ended = (p->a < 0 ? m->points.points[i].a : m->points.points[i].b) < 0;
	if (ended)
		return p->a < 0 ? COMPARE_NOT_A : COMPARE_NOT_B;
	return p->a < 0 ? COMPARE_ONLY_B : COMPARE_ONLY_A;
}

/* A database that was made at once has no version: it is what the other side comes to in the end. */
static void align_fresh(struct side *fresh, const struct side *other)
{
	if (strcmp(fresh->run.tool, "fresh") != 0 || strcmp(other->run.tool, "fresh") == 0 || other->n_steps == 0 ||
	    fresh->n_steps < 2)
		return;
	free(fresh->names[fresh->n_steps - 1]);
	fresh->names[fresh->n_steps - 1] = xstrdup(other->names[other->n_steps - 1]);
}

/* Forks that end in versions of their own: where they came to is compared all the same. (A walk that only went further
 * has passed the other's end: nothing to add.) */
static void align_ends(struct match *m)
{
	int a = (int)m->a->n_steps - 1, b = (int)m->b->n_steps - 1;
	if (a < 0 || b < 0 || !side_is_whole(m->a) || !side_is_whole(m->b))
		return;
	for (size_t i = 0; i < m->points.n; i++) {
		const struct compare_point *p = &m->points.points[i];
		if ((p->a == a && p->b >= 0) || (p->b == b && p->a >= 0))
			return;
	}
	m->points.points[m->points.n++] = (struct compare_point){a, b};
}

static void name_points(struct match *m)
{
	m->names = xcalloc(m->points.n + 1, sizeof(*m->names));
	for (size_t i = 0; i < m->points.n; i++) {
		const struct compare_point *p = &m->points.points[i];
		const char *a = p->a >= 0 ? m->a->names[p->a] : NULL, *b = p->b >= 0 ? m->b->names[p->b] : "";
		AUTO_FREE char *both = a && *b && strcmp(a, b) != 0 ? xasprintf("%s ≙ %s", a, b) : NULL;
		AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
		const char *name = both ? both : a ? a : b;
		text_safe_line(&safe, name, strlen(name), 100);
		m->names[i] = buf_take(&safe);
	}
}

static void tally(struct match *m)
{
	AUTO_FREE bool *seen = xcalloc(compare_pool_count(m->pool) + 1, sizeof(*seen));
	for (size_t i = 0; i < m->points.n; i++) {
		const struct compare_set *set = &m->sets[i];
		bool both = m->states[i] == COMPARE_SAME, differs = compare_set_differs(set, m->pool);
		m->n_both += both;
		m->n_equal += both && !differs;
		m->differs |= both ? differs : m->states[i] == COMPARE_NOT_A || m->states[i] == COMPARE_NOT_B;
		for (size_t k = 0; k < set->n; k++) {
			if (!seen[set->items[k]])
				m->count[compare_pool_get(m->pool, set->items[k])->class]++;
			seen[set->items[k]] = true;
		}
	}
}

int match_make(struct match *m, struct side *a, struct side *b, const struct match_options *o, struct err *err)
{
	struct asked asked;
	size_t before = SIZE_MAX; /* the last point that both have */
	*m = (struct match){.a = a, .b = b, .pool = compare_pool_new()};
	if (parse_options(o, &asked, err) < 0)
		return -1;
	align_fresh(a, b);
	align_fresh(b, a);
	compare_align((const char *const *)a->names, a->n_steps, (const char *const *)b->names, b->n_steps,
		      o->by_position, &m->points);
	if (!o->by_position)
		align_ends(m);
	m->states = xcalloc(m->points.n + 1, sizeof(*m->states));
	m->sets = xcalloc(m->points.n + 1, sizeof(*m->sets));
	name_points(m);
	for (size_t i = 0; i < m->points.n; i++) {
		m->states[i] = state_of(m, i);
		if (m->states[i] != COMPARE_SAME)
			continue;
		if (before != SIZE_MAX && is_same_question(m, &m->points.points[before], &m->points.points[i]))
			copy_set(&m->sets[i], &m->sets[before]);
		else if (compare_point_at(m, i, &asked, err) < 0)
			return -1;
		before = i;
	}
	tally(m);
	return 0;
}

void match_finish(struct match *m)
{
	for (size_t i = 0; i < m->points.n; i++) {
		if (m->sets)
			compare_set_finish(&m->sets[i]);
		if (m->names)
			free(m->names[i]);
	}
	free(m->sets);
	free(m->states);
	free(m->names);
	compare_alignment_finish(&m->points);
	compare_pool_free(m->pool);
	*m = (struct match){0};
}

/* Local boxes share a kernel and so its boot id, images of clouds may carry a machine-id: both have to be the same. */
void match_machines(const struct side *a, const struct side *b, struct buf *out)
{
	const struct run *x = &a->run, *y = &b->run;
	if (!x->machine[0] || !y->machine[0])
		buf_addf(out, "%s did not say which machine it was on", x->machine[0] ? y->id : x->id);
	else if (strcmp(x->id, y->id) == 0 || (strcmp(x->machine, y->machine) == 0 && strcmp(x->boot, y->boot) == 0))
		buf_addf(out, "%s and %s were on the same machine (%s)", x->id, y->id, x->machine);
}
