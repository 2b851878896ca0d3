/* SPDX-License-Identifier: MIT */
#include "migrations/compare.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- which stand beside each other ---- */

struct named {
	const char *name;
	int index;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static struct named *names_sorted(const char *const *names, size_t n)
{
	struct named *v = xcalloc(n + 1, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = (struct named){names[i], (int)i};
	qsort(v, n, sizeof(*v), by_name);
	return v;
}

static int names_find(const struct named *v, size_t n, const char *name)
{
	struct named want = {name, 0};
	const struct named *found = n ? bsearch(&want, v, n, sizeof(*v), by_name) : NULL;
	return found ? found->index : -1;
}

static void align_by_position(size_t n_a, size_t n_b, struct compare_alignment *out)
{
	size_t n = n_a > n_b ? n_a : n_b;
	for (size_t i = 0; i < n; i++)
		out->points[out->n++] = (struct compare_point){i < n_a ? (int)i : -1, i < n_b ? (int)i : -1};
}

static void align_by_name(const char *const *a, size_t n_a, const char *const *b, size_t n_b,
			  struct compare_alignment *out)
{
	AUTO_FREE struct named *in_a = names_sorted(a, n_a), *in_b = names_sorted(b, n_b);
	size_t told = 0; /* of b */
	for (size_t i = 0; i < n_a; i++) {
		int j = names_find(in_b, n_b, a[i]);
		if (j >= 0 && (size_t)j < told)
			out->out_of_order = true;
		for (; j >= 0 && told <= (size_t)j; told++) {
			if (names_find(in_a, n_a, b[told]) < 0)
				out->points[out->n++] = (struct compare_point){-1, (int)told};
		}
		out->points[out->n++] = (struct compare_point){(int)i, j};
	}
	for (; told < n_b; told++) {
		if (names_find(in_a, n_a, b[told]) < 0)
			out->points[out->n++] = (struct compare_point){-1, (int)told};
	}
}

void compare_align(const char *const *a, size_t n_a, const char *const *b, size_t n_b, bool by_position,
		   struct compare_alignment *out)
{
	*out = (struct compare_alignment){.points = xcalloc(n_a + n_b + 1, sizeof(*out->points))};
	if (by_position)
		align_by_position(n_a, n_b, out);
	else
		align_by_name(a, n_a, b, n_b, out);
}

void compare_alignment_finish(struct compare_alignment *al)
{
	free(al->points);
	*al = (struct compare_alignment){0};
}

/* ---- what differs ---- */

const char *compare_class_name(enum compare_class c)
{
	static const char *const names[] = {
		[COMPARE_STRUCTURAL] = "structural", [COMPARE_UNMODELLED] = "unmodelled",
		[COMPARE_OUTCOME] = "outcome",       [COMPARE_ROWS] = "rows",
		[COMPARE_COSMETIC] = "cosmetic",
	};
	static_assert(ARRAY_SIZE(names) == COMPARE_CLASS_COUNT_, "a name for each class");
	return names[c];
}

/* Items in the order they came; an open hash table of their numbers + 1 beside. */
struct compare_pool {
	struct compare_item *items;
	unsigned *slots;
	size_t n, n_slots;
};

enum { FIRST_SLOTS = 256 };

struct compare_pool *compare_pool_new(void)
{
	struct compare_pool *p = xcalloc(1, sizeof(*p));
	p->n_slots = FIRST_SLOTS;
	p->slots = xcalloc(p->n_slots, sizeof(*p->slots));
	return p;
}

void compare_pool_free(struct compare_pool *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++) {
		free(p->items[i].key);
		free(p->items[i].text);
	}
	free(p->items);
	free(p->slots);
	free(p);
}

void compare_pool_freep(struct compare_pool **p)
{
	compare_pool_free(*p);
}

/* FNV-1a. */
static uint64_t hash_of(enum compare_class class, const char *key)
{
	uint64_t h = 14695981039346656037u ^ (uint64_t) class;
	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 1099511628211u;
	return h ^ (h >> 32);
}

/* The slot of the item, or the free one where it belongs. */
static unsigned *find_slot(const struct compare_pool *p, enum compare_class class, const char *key)
{
	size_t at = (size_t)hash_of(class, key) & (p->n_slots - 1);
	for (; p->slots[at]; at = (at + 1) & (p->n_slots - 1)) {
		const struct compare_item *it = &p->items[p->slots[at] - 1];
		if (it->class == class && strcmp(it->key, key) == 0)
			break;
	}
	return &p->slots[at];
}

static void pool_grow(struct compare_pool *p)
{
	free(p->slots);
	p->n_slots *= 2;
	p->slots = xcalloc(p->n_slots, sizeof(*p->slots));
	p->items = xrealloc(p->items, p->n_slots / 2, sizeof(*p->items));
	for (size_t i = 0; i < p->n; i++)
		*find_slot(p, p->items[i].class, p->items[i].key) = (unsigned)i + 1;
}

unsigned compare_pool_add(struct compare_pool *p, enum compare_class class, const char *key, const char *text)
{
	if (!p->items || p->n == p->n_slots / 2)
		pool_grow(p);
	unsigned *slot = find_slot(p, class, key);
	if (!*slot) {
		p->items[p->n++] = (struct compare_item){class, xstrdup(key), xstrdup(text)};
		*slot = (unsigned)p->n;
	}
	return *slot - 1;
}

const struct compare_item *compare_pool_get(const struct compare_pool *p, unsigned item)
{
	assert(item < p->n);
	return &p->items[item];
}

size_t compare_pool_count(const struct compare_pool *p)
{
	return p->n;
}

/* Room for one more in an array of n: doubles at powers of two. */
static unsigned *room(unsigned *v, size_t n)
{
	return (n & (n - 1)) == 0 ? xrealloc(v, n ? 2 * n : 1, sizeof(*v)) : v;
}

void compare_set_add(struct compare_set *s, unsigned item)
{
	s->items = room(s->items, s->n);
	s->items[s->n++] = item;
}

static int by_number(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
	return x < y ? -1 : x > y;
}

void compare_set_sort(struct compare_set *s)
{
	size_t kept = 0;
	if (s->n)
		qsort(s->items, s->n, sizeof(*s->items), by_number);
	for (size_t i = 0; i < s->n; i++) {
		if (kept == 0 || s->items[kept - 1] != s->items[i])
			s->items[kept++] = s->items[i];
	}
	s->n = kept;
}

void compare_set_finish(struct compare_set *s)
{
	free(s->items);
	*s = (struct compare_set){0};
}

bool compare_set_differs(const struct compare_set *s, const struct compare_pool *p)
{
	for (size_t i = 0; i < s->n; i++) {
		if (p->items[s->items[i]].class != COMPARE_COSMETIC)
			return true;
	}
	return false;
}

/* ---- in few words ---- */

/* What of a set is of the classes asked for. */
static void filter(const struct compare_set *s, const struct compare_pool *p, unsigned classes, struct compare_set *out)
{
	*out = (struct compare_set){0};
	for (size_t i = 0; i < s->n; i++) {
		if (classes & (1U << p->items[s->items[i]].class))
			compare_set_add(out, s->items[i]);
	}
}

/* What is in x and not in y. */
static unsigned *minus(const struct compare_set *x, const struct compare_set *y, size_t *n)
{
	struct compare_set d = {0};
	size_t j = 0;
	for (size_t i = 0; i < x->n; i++) {
		while (j < y->n && y->items[j] < x->items[i])
			j++;
		if (j == y->n || y->items[j] != x->items[i])
			compare_set_add(&d, x->items[i]);
	}
	*n = d.n;
	return d.items;
}

static struct compare_span *span_add(struct compare_spans *out, enum compare_state state, size_t at)
{
	if ((out->n & (out->n - 1)) == 0)
		out->items = xrealloc(out->items, out->n ? 2 * out->n : 1, sizeof(*out->items));
	out->items[out->n] = (struct compare_span){.state = state, .first = at, .last = at};
	return &out->items[out->n++];
}

static bool is_both(enum compare_state s)
{
	return s == COMPARE_SAME || s == COMPARE_DIFFERENT;
}

void compare_collapse(const enum compare_state *states, const struct compare_set *sets, size_t n,
		      const struct compare_pool *p, unsigned classes, struct compare_spans *out)
{
	struct compare_set before = {0};
	*out = (struct compare_spans){0};
	for (size_t i = 0; i < n; i++) {
		struct compare_span *last = out->n ? &out->items[out->n - 1] : NULL;
		struct compare_set now = {0};
		enum compare_state state = states[i];
		if (!is_both(state)) {
			if (last && last->state == state)
				last->last = i;
			else
				span_add(out, state, i);
			continue;
		}
		filter(&sets[i], p, classes, &now);
		state = now.n ? COMPARE_DIFFERENT : COMPARE_SAME;
		size_t n_appeared, n_gone;
		unsigned *appeared = minus(&now, &before, &n_appeared), *gone = minus(&before, &now, &n_gone);
		if (last && last->state == state && n_appeared == 0 && n_gone == 0) {
			last->last = i;
			free(appeared);
			free(gone);
		} else {
			last = span_add(out, state, i);
			last->appeared = appeared;
			last->n_appeared = n_appeared;
			last->gone = gone;
			last->n_gone = n_gone;
		}
		compare_set_finish(&before);
		before = now;
	}
	compare_set_finish(&before);
}

void compare_spans_finish(struct compare_spans *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->items[i].appeared);
		free(s->items[i].gone);
	}
	free(s->items);
	*s = (struct compare_spans){0};
}

/* ---- the files of forks ---- */

static int by_version(const void *a, const void *b)
{
	return strcmp((*(const struct compare_content *const *)a)->version,
		      (*(const struct compare_content *const *)b)->version);
}

static int by_blobs(const void *a, const void *b)
{
	return strcmp((*(const struct compare_content *const *)a)->blobs,
		      (*(const struct compare_content *const *)b)->blobs);
}

typedef int (*order_fn)(const void *a, const void *b);

static const struct compare_content **contents_sorted(const struct compare_content *c, size_t n, order_fn order)
{
	const struct compare_content **v = xcalloc(n + 1, sizeof(const struct compare_content *));
	for (size_t i = 0; i < n; i++)
		v[i] = &c[i];
	qsort(v, n, sizeof(const struct compare_content *), order);
	return v;
}

/* One that is equal to want in this order; *n_found is 0, 1, or more when there are others. */
static const struct compare_content *lookup(const struct compare_content *const *v, size_t n,
					    const struct compare_content *want, order_fn order, size_t *n_found)
{
	*n_found = 0;
	const struct compare_content *const *hit =
		n ? bsearch(&want, v, n, sizeof(const struct compare_content *), order) : NULL;
	if (!hit)
		return NULL;
	*n_found = 1 + (hit > v && order(&want, hit - 1) == 0) + (hit + 1 < v + n && order(&want, hit + 1) == 0);
	return *hit;
}

void compare_forks(const struct compare_content *a, size_t n_a, const struct compare_content *b, size_t n_b,
		   void (*fn)(void *ctx, enum compare_fork what, const char *v_a, const char *v_b), void *ctx)
{
	const struct compare_content **b_versions = contents_sorted(b, n_b, by_version);
	const struct compare_content **b_blobs = contents_sorted(b, n_b, by_blobs);
	const struct compare_content **a_blobs = contents_sorted(a, n_a, by_blobs);
	for (size_t i = 0; i < n_a; i++) {
		size_t n, n_own;
		const struct compare_content *same = lookup(b_versions, n_b, &a[i], by_version, &n);
		if (same && strcmp(same->blobs, a[i].blobs) != 0)
			fn(ctx, COMPARE_FORK_CONTENT, a[i].version, same->version);
		/* Placeholders are all alike: only what each side has once can be said to have moved. */
		lookup(a_blobs, n_a, &a[i], by_blobs, &n_own);
		const struct compare_content *other = lookup(b_blobs, n_b, &a[i], by_blobs, &n);
		if (*a[i].blobs && n_own == 1 && n == 1 && strcmp(other->version, a[i].version) != 0)
			fn(ctx, COMPARE_FORK_NUMBER, a[i].version, other->version);
	}
	free(b_versions);
	free(b_blobs);
	free(a_blobs);
}
