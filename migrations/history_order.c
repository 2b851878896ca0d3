/* SPDX-License-Identifier: MIT */
/* Ranks for all versions, then the events played once more. */
#include <string.h>

#include "migrations/history_int.h"

/* ---- ranks ---- */

static size_t version_of(const struct history *h, size_t path, size_t blob)
{
	if (blob == HISTORY_NONE)
		return HISTORY_NONE;
	size_t v = h->paths[path].version;
	return v != HISTORY_NONE ? v : h->blobs[blob].version;
}

struct sorter {
	const struct history *h;
	enum history_order order;
};

static int by_name(const void *a, const void *b, void *ctx)
{
	const struct sorter *s = ctx;
	const struct version *x = &s->h->versions[*(const size_t *)a], *y = &s->h->versions[*(const size_t *)b];
	return history_compare(s->order, x->name, y->name);
}

/* A heap of places in `sorted`: the least comes out first. */
static void heap_push(size_t *heap, size_t *n, size_t item)
{
	size_t i = (*n)++;
	for (; i > 0 && heap[(i - 1) / 2] > item; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = item;
}

static size_t heap_pop(size_t *heap, size_t *n)
{
	size_t least = heap[0], item = heap[--*n], i = 0;
	for (size_t child; (child = 2 * i + 1) < *n; i = child) {
		child += child + 1 < *n && heap[child + 1] < heap[child];
		if (heap[child] >= item)
			break;
		heap[i] = heap[child];
	}
	heap[i] = item;
	return least;
}

/* What the newest file of each version says it follows: an edge from parent to child, as places in `sorted`. */
struct edges {
	struct edge {
		size_t parent, child;
	} * items;
	size_t n, cap;
};

static int by_parent(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;
	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return x->child < y->child ? -1 : x->child > y->child;
}

/* Parents before children, among equals the smaller name first, as adapters list them. A circle, which no tool would
 * take, stays in the order of names behind the rest. */
static void sort_graph(const struct history *h, size_t *sorted, size_t n, const size_t *newest)
{
	struct edges e = {0};
	AUTO_FREE size_t *place = xcalloc(h->n_versions, sizeof(*place));
	AUTO_FREE size_t *waits = xcalloc(n + 1, sizeof(*waits));
	AUTO_FREE size_t *heap = xcalloc(n + 1, sizeof(*heap));
	AUTO_FREE size_t *out = xcalloc(n + 1, sizeof(*out));
	AUTO_FREE bool *done = xcalloc(n + 1, sizeof(*done));
	size_t n_heap = 0, n_out = 0;
	for (size_t i = 0; i < h->n_versions; i++)
		place[i] = HISTORY_NONE;
	for (size_t i = 0; i < n; i++)
		place[sorted[i]] = i;
	for (size_t i = 0; i < n; i++) {
		const struct blob *b = newest[sorted[i]] == HISTORY_NONE ? NULL : &h->blobs[newest[sorted[i]]];
		for (size_t k = 0; b && k < b->n_parents; k++) {
			if (place[b->parents[k]] == HISTORY_NONE || b->parents[k] == sorted[i])
				continue;
			*HISTORY_PUSH(e.items, e.n, e.cap) = (struct edge){place[b->parents[k]], i};
			waits[i]++;
		}
	}
	if (e.n)
		qsort(e.items, e.n, sizeof(*e.items), by_parent);
	for (size_t i = 0; i < n; i++)
		if (waits[i] == 0)
			heap_push(heap, &n_heap, i);
	while (n_heap > 0) {
		size_t i = heap_pop(heap, &n_heap), low = 0, high = e.n;
		done[i] = true;
		out[n_out++] = sorted[i];
		while (low < high) { /* the first edge of i */
			size_t mid = (low + high) / 2;
			if (e.items[mid].parent < i)
				low = mid + 1;
			else
				high = mid;
		}
		for (; low < e.n && e.items[low].parent == i; low++)
			if (--waits[e.items[low].child] == 0)
				heap_push(heap, &n_heap, e.items[low].child);
	}
	for (size_t i = 0; i < n; i++)
		if (!done[i])
			out[n_out++] = sorted[i];
	memcpy(sorted, out, n * sizeof(*sorted));
	free(e.items);
}

/* The versions of all files, with the contents each had last. */
static size_t collect(struct history *h, size_t *newest)
{
	size_t n = 0;
	for (size_t i = 0; i < h->n_versions; i++)
		newest[i] = HISTORY_NONE;
	for (size_t i = 0; i < h->n_events; i++) {
		const struct event *e = &h->events[i];
		size_t v = version_of(h, e->path, e->blob);
		if (v == HISTORY_NONE)
			continue;
		n += newest[v] == HISTORY_NONE;
		newest[v] = e->blob;
		h->versions[v].era = h->paths[e->path].era;
	}
	return n;
}

static int rank_all(struct history *h, struct err *err)
{
	AUTO_FREE size_t *newest = xcalloc(h->n_versions + 1, sizeof(*newest));
	size_t n = collect(h, newest);
	if (n > HISTORY_VERSIONS_MAX)
		return err_set(err, ERR_USER, 0, "more than %d versions", HISTORY_VERSIONS_MAX);
	h->line = xcalloc(n + 1, sizeof(*h->line));
	for (size_t era = 0; era < history_map_n(h->map); era++) {
		size_t first = h->n_line;
		struct sorter s = {h, history_map_order(h->map, era)};
		for (size_t i = 0; i < h->n_versions; i++)
			if (newest[i] != HISTORY_NONE && (size_t)h->versions[i].era == era)
				h->line[h->n_line++] = i;
		bool graph = history_order_is_graph(s.order);
		if (graph)
			s.order = HISTORY_TEXT;
		if (h->n_line > first)
			qsort_r(h->line + first, h->n_line - first, sizeof(*h->line), by_name, &s);
		if (graph)
			sort_graph(h, h->line + first, h->n_line - first, newest);
	}
	for (size_t i = 0; i < h->n_line; i++)
		h->versions[h->line[i]].rank = i;
	return 0;
}

/* ---- playing the events ---- */

struct player {
	struct history *h;
	size_t age;
	size_t n;         /* versions that are there */
	size_t low, high; /* their ranks; valid when n > 0 */
	size_t top;       /* the highest era's highest of a tool without graph, or HISTORY_NONE */
	int top_era;      /* of which the highest ones are */
	size_t per_era[HISTORY_MAX_ERAS];
	size_t n_tops;
	size_t *touched, n_touched, cap_touched;
};

static void touch(struct player *p, size_t v)
{
	if (p->h->versions[v].touched)
		return;
	p->h->versions[v].touched = true;
	*HISTORY_PUSH(p->touched, p->n_touched, p->cap_touched) = v;
}

static void count_children(struct player *p, size_t blob, bool add)
{
	const struct blob *b = &p->h->blobs[blob];
	for (size_t i = 0; i < b->n_parents; i++) {
		struct version *parent = &p->h->versions[b->parents[i]];
		parent->children += add ? 1 : (size_t)-1;
		touch(p, b->parents[i]);
	}
}

static void appear(struct player *p, size_t v)
{
	size_t rank = p->h->versions[v].rank;
	p->low = p->n == 0 || rank < p->low ? rank : p->low;
	p->high = p->n == 0 || rank > p->high ? rank : p->high;
	p->n++;
	p->per_era[p->h->versions[v].era]++;
}

static void vanish(struct player *p, size_t v)
{
	const struct history *h = p->h;
	p->n--;
	p->per_era[h->versions[v].era]--;
	while (p->n > 0 && h->versions[h->line[p->low]].files == 0)
		p->low++;
	while (p->n > 0 && h->versions[h->line[p->high]].files == 0)
		p->high--;
}

static void take_away(struct player *p, struct path *path, size_t path_n)
{
	size_t v = version_of(p->h, path_n, path->blob);
	if (v == HISTORY_NONE)
		return;
	struct version *version = &p->h->versions[v];
	version->holds[path->hold].ages.to = p->age;
	count_children(p, path->blob, false);
	touch(p, v);
	if (--version->files == 0)
		vanish(p, v);
}

static void put(struct player *p, struct path *path, size_t path_n, size_t blob)
{
	size_t v = version_of(p->h, path_n, blob);
	if (v == HISTORY_NONE)
		return;
	struct version *version = &p->h->versions[v];
	path->hold = version->n_holds;
	*HISTORY_PUSH(version->holds, version->n_holds, version->cap_holds) =
		(struct hold){.ages = {p->age, HISTORY_NONE}, .path = path_n, .blob = blob};
	count_children(p, blob, true);
	touch(p, v);
	if (version->files++ == 0)
		appear(p, v);
}

static bool is_top(const struct player *p, size_t v)
{
	const struct version *version = &p->h->versions[v];
	if (version->files == 0 || version->era != p->top_era)
		return false;
	if (history_order_is_graph(history_map_order(p->h->map, (size_t)version->era)))
		return version->children == 0;
	return version->rank == p->high;
}

static void set_top(struct player *p, size_t v)
{
	struct version *version = &p->h->versions[v];
	bool now = is_top(p, v);
	if (now == version->is_top)
		return;
	version->is_top = now;
	p->n_tops += now ? 1 : (size_t)-1;
	if (now)
		*HISTORY_PUSH(version->tops, version->n_tops, version->cap_tops) = (struct span){p->age, HISTORY_NONE};
	else
		version->tops[version->n_tops - 1].to = p->age;
}

/* Which ones are the highest now: only those that were touched can have changed, as long as the era stays. */
static void find_tops(struct player *p)
{
	const struct history *h = p->h;
	int era = -1;
	for (size_t i = 0; i < history_map_n(h->map); i++)
		if (p->per_era[i] > 0)
			era = (int)i;
	if (era != p->top_era)
		for (size_t i = 0; i < h->n_line; i++)
			touch(p, h->line[i]);
	p->top_era = era;
	if (p->top != HISTORY_NONE)
		touch(p, p->top);
	p->top = p->n > 0 ? h->line[p->high] : HISTORY_NONE;
	if (p->top != HISTORY_NONE)
		touch(p, p->top);
	for (size_t i = 0; i < p->n_touched; i++) {
		set_top(p, p->touched[i]);
		h->versions[p->touched[i]].touched = false;
	}
	p->n_touched = 0;
}

static void play(struct history *h)
{
	struct player p = {.h = h, .top_era = -1, .top = HISTORY_NONE};
	for (; p.age < h->n_ages; p.age++) {
		struct age *a = &h->ages[p.age];
		size_t end = p.age + 1 < h->n_ages ? h->ages[p.age + 1].first_event : h->n_events;
		/* First all that goes, then all that comes: what a commit only moves is there once, not twice. */
		for (size_t i = a->first_event; i < end; i++) {
			struct path *path = &h->paths[h->events[i].path];
			take_away(&p, path, h->events[i].path);
			path->blob = HISTORY_NONE;
		}
		for (size_t i = a->first_event; i < end; i++) {
			struct path *path = &h->paths[h->events[i].path];
			if (path->blob != HISTORY_NONE)
				take_away(&p, path, h->events[i].path);
			path->blob = h->events[i].blob;
			put(&p, path, h->events[i].path, path->blob);
		}
		find_tops(&p);
		a->low = p.n ? p.low : HISTORY_NONE;
		a->high = p.n ? p.high : HISTORY_NONE;
		a->n = p.n;
		a->n_tops = p.n_tops;
	}
	free(p.touched);
}

int history_order(struct history *h, struct err *err)
{
	if (rank_all(h, err) < 0)
		return -1;
	play(h);
	return 0;
}
