/* SPDX-License-Identifier: MIT */
/* Two walks side by side: which versions stand beside each other, what differs at each of them, and all of that in few
 * words. Pure functions on texts: no store, no box, no schema.
 *
 * A difference is an item with a key: as long as it is there from one version to the next it is told once, where it
 * appears, and once more where it goes away. Runs of versions that have the same items are one span. */
#ifndef STEPBOX_MIGRATIONS_COMPARE_H
#define STEPBOX_MIGRATIONS_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* ---- which stand beside each other ---- */

/* Index of a step on either side; -1: not there. */
struct compare_point {
	int a, b;
};

struct compare_alignment {
	/* In a's order; what only b has stands before the next that both have. There is room for one more. */
	struct compare_point *points;
	size_t n;
	bool out_of_order; /* both have the versions, but not in the same order */
};
/* By name, or (by_position) the n-th beside the n-th. Names are unique on each side. n log n. */
void compare_align(const char *const *a, size_t n_a, const char *const *b, size_t n_b, bool by_position,
		   struct compare_alignment *out);
void compare_alignment_finish(struct compare_alignment *al);

/* ---- what differs ---- */

/* The first four make two sides different, cosmetic does not. */
enum compare_class {
	COMPARE_STRUCTURAL,
	COMPARE_UNMODELLED,
	COMPARE_OUTCOME, /* of the step itself: it fails on one side */
	COMPARE_ROWS,    /* how many a table has */
	COMPARE_COSMETIC,
	COMPARE_CLASS_COUNT_
};
const char *compare_class_name(enum compare_class c);

struct compare_item {
	enum compare_class class;
	char *key, *text; /* owned; text is foreign bytes made safe by who added it */
};

/* All items that ever were, each once: sets are made of their numbers. */
struct compare_pool;
struct compare_pool *compare_pool_new(void);
void compare_pool_free(struct compare_pool *p);
void compare_pool_freep(struct compare_pool **p);
/* The number of the item with this class and key; its first text stays. */
unsigned compare_pool_add(struct compare_pool *p, enum compare_class class, const char *key, const char *text);
const struct compare_item *compare_pool_get(const struct compare_pool *p, unsigned item);
size_t compare_pool_count(const struct compare_pool *p);

/* The items at one version: numbers, sorted, each once. */
struct compare_set {
	unsigned *items;
	size_t n;
};
void compare_set_add(struct compare_set *s, unsigned item); /* in any order; compare_set_sort() when all are in */
void compare_set_sort(struct compare_set *s);
void compare_set_finish(struct compare_set *s);
/* Whether something in it makes two sides different. */
bool compare_set_differs(const struct compare_set *s, const struct compare_pool *p);

/* ---- in few words ---- */

enum compare_state {
	COMPARE_SAME,      /* both have it, no item (of the classes asked for) */
	COMPARE_DIFFERENT, /* both have it, items */
	COMPARE_ONLY_A,    /* b does not know this version */
	COMPARE_ONLY_B,
	COMPARE_NOT_A, /* a would have it, but its walk ended before */
	COMPARE_NOT_B,
	COMPARE_STATE_COUNT_
};

struct compare_span {
	enum compare_state state;
	size_t first, last;        /* points */
	unsigned *appeared, *gone; /* against the last version that both have before it; owned */
	size_t n_appeared, n_gone;
};

struct compare_spans {
	struct compare_span *items;
	size_t n;
};
/* states and sets of n points (a set matters where both have the version). Only items of the classes in the mask
 * (1 << COMPARE_…) are looked at. */
void compare_collapse(const enum compare_state *states, const struct compare_set *sets, size_t n,
		      const struct compare_pool *p, unsigned classes, struct compare_spans *out);
void compare_spans_finish(struct compare_spans *s);

/* ---- the files of forks ---- */

/* One version as a checkout had it: its blobs, sorted and joined by spaces. */
struct compare_content {
	const char *version, *blobs;
};
enum compare_fork { COMPARE_FORK_CONTENT, COMPARE_FORK_NUMBER };
/* Calls fn for each version that both have with other content (v_b is v_a), and for each content that both have, and
 * each only once, under another version. Empty content is never the same as another. In a's order. */
void compare_forks(const struct compare_content *a, size_t n_a, const struct compare_content *b, size_t n_b,
		   void (*fn)(void *ctx, enum compare_fork what, const char *v_a, const char *v_b), void *ctx);

#endif
