/* SPDX-License-Identifier: MIT */
/* Which commit goes with a version. */
#include <string.h>

#include "migrations/history_int.h"

size_t history_n(const struct history *h)
{
	return h->n_line;
}

const char *history_name(const struct history *h, size_t i)
{
	return h->versions[h->line[i]].name;
}

/* Whether version i was there in that age. */
static bool has(const struct history *h, size_t i, size_t age)
{
	const struct version *v = &h->versions[h->line[i]];
	for (size_t k = v->n_holds; k-- > 0;)
		if (v->holds[k].ages.from <= age && age < v->holds[k].ages.to)
			return true;
	return false;
}

bool history_is_at_tip(const struct history *h, size_t i)
{
	return h->n_ages > 0 && has(h, i, h->n_ages - 1);
}

static size_t find_exact(const struct history *h, const char *name)
{
	const json_t *v = json_object_get(h->version_names, name);
	size_t i = v ? (size_t)json_integer_value(v) : HISTORY_NONE;
	return i == HISTORY_NONE ? HISTORY_NONE : h->versions[i].rank;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The only version that begins so, where no number is cut in two. */
static size_t find_beginning(const struct history *h, const char *name)
{
	size_t n = strlen(name), found = HISTORY_NONE;
	for (size_t i = 0; i < h->n_line; i++) {
		const char *version = history_name(h, i);
		if (strncmp(version, name, n) != 0 || is_digit(version[n]))
			continue;
		if (found != HISTORY_NONE)
			return HISTORY_NONE;
		found = i;
	}
	return found;
}

size_t history_find(const struct history *h, const char *name)
{
	size_t i = find_exact(h, name);
	size_t zeros = strspn(name, "0");
	if (i == HISTORY_NONE && name[zeros] && name[strspn(name, "0123456789")] == '\0')
		i = find_exact(h, name + zeros);
	return i == HISTORY_NONE && *name ? find_beginning(h, name) : i;
}

/* ---- the line of a walk ---- */

/* The newest age that had version i together with an older one than it. */
static size_t age_with_older(const struct history *h, size_t i)
{
	for (size_t age = h->n_ages; age-- > 0;)
		if (h->ages[age].n > 0 && h->ages[age].low < i && has(h, i, age))
			return age;
	return HISTORY_NONE;
}

size_t history_line(const struct history *h, size_t first, size_t *out)
{
	size_t n = 0, age = h->n_ages ? h->n_ages - 1 : HISTORY_NONE;
	size_t below = h->n_line; /* found from the top down: out is turned round at the end */
	while (age != HISTORY_NONE && h->ages[age].n > 0) {
		size_t low = h->ages[age].low;
		for (size_t i = below; i-- > low;)
			if (has(h, i, age) && (age == h->n_ages - 1 || i >= first))
				out[n++] = i;
		below = low;
		age = first == HISTORY_NONE || first >= low ? HISTORY_NONE : age_with_older(h, low);
	}
	for (size_t a = 0, b = n; a + 1 < b; a++) {
		size_t other = out[--b];
		out[b] = out[a];
		out[a] = other;
	}
	return n;
}

/* ---- one version ---- */

struct wish {
	size_t i;         /* the version */
	const size_t *at; /* and what has to be there, too */
	size_t n_at;
};

static bool suits(const struct history *h, const struct wish *w, size_t age)
{
	for (size_t k = 0; k < w->n_at; k++)
		if (!has(h, w->at[k], age))
			return false;
	return true;
}

static size_t end_of(const struct history *h, const struct span *s)
{
	return s->to < h->n_ages ? s->to : h->n_ages;
}

/* The newest age with the version as a highest one; alone: as the only one. */
static size_t newest_top(const struct history *h, const struct wish *w, bool alone)
{
	const struct version *v = &h->versions[h->line[w->i]];
	for (size_t k = v->n_tops; k-- > 0;)
		for (size_t age = end_of(h, &v->tops[k]); age-- > v->tops[k].from;)
			if ((!alone || h->ages[age].n_tops == 1) && suits(h, w, age))
				return age;
	return HISTORY_NONE;
}

/* The newest of the ages with the version in which the highest is the least. */
static size_t nearest_batch(const struct history *h, const struct wish *w)
{
	const struct version *v = &h->versions[h->line[w->i]];
	size_t best = HISTORY_NONE, least = HISTORY_NONE;
	for (size_t k = 0; k < v->n_holds; k++) {
		for (size_t age = v->holds[k].ages.from; age < end_of(h, &v->holds[k].ages); age++) {
			size_t high = h->ages[age].high;
			if (high > least || !suits(h, w, age) || (high == least && age < best))
				continue;
			best = age;
			least = high;
		}
	}
	return best;
}

static size_t choose(const struct history *h, const struct wish *w, enum history_rule *rule)
{
	size_t last = h->n_ages - 1;
	size_t age = newest_top(h, w, true);
	*rule = HISTORY_HEAD;
	if (age == HISTORY_NONE) {
		age = newest_top(h, w, false);
		*rule = HISTORY_HEADS;
	}
	if (age == last)
		*rule = HISTORY_TIP;
	if (age != HISTORY_NONE)
		return age;
	*rule = HISTORY_BATCH;
	return nearest_batch(h, w);
}

/* The last hold of each file: was any of them changed after the age? */
static bool edited_after(const struct history *h, size_t i, size_t age)
{
	const struct version *v = &h->versions[h->line[i]];
	for (size_t k = 0; k < v->n_holds; k++) {
		const struct hold *then = &v->holds[k];
		if (then->ages.from > age || age >= then->ages.to)
			continue;
		for (size_t m = 0; m < v->n_holds; m++)
			if (v->holds[m].path == then->path && v->holds[m].ages.from >= then->ages.to &&
			    v->holds[m].blob != then->blob)
				return true;
	}
	return false;
}

void history_pick(const struct history *h, size_t i, const size_t *at, size_t n_at, struct history_pick *out)
{
	struct wish plain = {.i = i}, with = {.i = i, .at = at, .n_at = n_at};
	enum history_rule rule;
	*out = (struct history_pick){.version = history_name(h, i), .subject = ""};
	size_t own = choose(h, &plain, &out->rule);
	size_t age = n_at ? choose(h, &with, &rule) : own;
	if (n_at && age != HISTORY_NONE) {
		out->stale = age != own;
		out->rule = rule;
	} else if (n_at) {
		out->unusable = true;
		age = own;
	}
	if (age == HISTORY_NONE) { /* it came and went within one commit: git never says so */
		age = h->n_ages - 1;
		out->unusable = true;
	}
	const struct age *a = &h->ages[age];
	out->age = age;
	out->commit = age + 1 < h->n_ages ? h->ages[age + 1].parent : h->tip;
	out->low = a->n ? history_name(h, a->low) : out->version;
	out->high = a->n ? history_name(h, a->high) : out->version;
	out->batch = out->rule == HISTORY_BATCH ? out->high : "";
	out->n = a->n;
	out->gone = !history_is_at_tip(h, i);
	out->edited = edited_after(h, i, age);
}

/* ---- a walk ---- */

static bool follows(const struct history *h, size_t child, size_t parent)
{
	const struct version *v = &h->versions[h->line[child]];
	if (!v->n_holds)
		return false;
	const struct blob *b = &h->blobs[v->holds[v->n_holds - 1].blob];
	for (size_t k = 0; k < b->n_parents; k++)
		if (h->versions[b->parents[k]].rank == parent)
			return true;
	return false;
}

bool history_is_branched(const struct history *h, const size_t *line, size_t n)
{
	for (size_t k = 1; k < n; k++) {
		int era = h->versions[h->line[line[k]]].era;
		if (history_order_is_graph(history_map_order(h->map, (size_t)era)) &&
		    h->versions[h->line[line[k - 1]]].era == era && !follows(h, line[k], line[k - 1]))
			return true;
	}
	return false;
}

/* Where the walk is after version i was added: the highest ones of what is there. */
static size_t move_to(const struct history *h, size_t i, size_t *at, size_t n_at)
{
	int era = h->versions[h->line[i]].era;
	bool graph = history_order_is_graph(history_map_order(h->map, (size_t)era));
	size_t n = 0;
	for (size_t k = 0; graph && k < n_at; k++)
		if (h->versions[h->line[at[k]]].era == era && !follows(h, i, at[k]))
			at[n++] = at[k];
	at[n++] = i;
	return n;
}

void history_picks(const struct history *h, const size_t *line, size_t n, struct history_pick *out)
{
	AUTO_FREE size_t *at = xcalloc(n + 1, sizeof(*at));
	size_t n_at = 0;
	for (size_t k = 0; k < n; k++) {
		history_pick(h, line[k], at, n_at, &out[k]);
		n_at = move_to(h, line[k], at, n_at);
	}
}

void history_files(const struct history *h, const struct history_pick *p,
		   void (*fn)(void *ctx, const char *path, const char *blob), void *ctx)
{
	const json_t *n = json_object_get(h->version_names, p->version);
	const struct version *v = &h->versions[json_integer_value(n)];
	const char *last = "";
	for (;;) { /* by path, without a list of them: there are few */
		const struct hold *next = NULL;
		for (size_t k = 0; k < v->n_holds; k++) {
			const struct hold *at = &v->holds[k];
			const char *path = h->paths[at->path].path;
			if (at->ages.from <= p->age && p->age < at->ages.to && strcmp(path, last) > 0 &&
			    (!next || strcmp(path, h->paths[next->path].path) < 0))
				next = at;
		}
		if (!next)
			return;
		last = h->paths[next->path].path;
		fn(ctx, last, h->blobs[next->blob].hash);
	}
}
