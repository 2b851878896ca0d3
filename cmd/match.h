/* SPDX-License-Identifier: MIT */
/* Two runs beside each other: what differs at each version that both have. */
#ifndef STEPBOX_CMD_MATCH_H
#define STEPBOX_CMD_MATCH_H

#include "cmd/difftext.h"
#include "cmd/side.h"

struct match_options {
	bool by_position;          /* the n-th step beside the n-th, whatever the versions are called */
	struct difftext_opts what; /* --ignore knows "rows" and "outcome", too */
};

/* What --ignore says beside what the schema's differences know. ERR_USER names a word that nobody knows. */
int match_options_check(const struct match_options *o, struct err *err) MUST_USE;

struct match {
	struct side *a, *b; /* borrowed */
	struct compare_alignment points;
	enum compare_state *states; /* one a point, and so are the sets */
	struct compare_set *sets;
	struct compare_pool *pool;
	char **names; /* of the points; owned */
	size_t n_both, n_equal;
	size_t count[COMPARE_CLASS_COUNT_]; /* of different items at all versions */
	bool differs;
};

/* Aligns and compares. -1 when the store cannot be read or --ignore names something that is not known. */
int match_make(struct match *m, struct side *a, struct side *b, const struct match_options *o,
	       struct err *err) MUST_USE;
void match_finish(struct match *m);
/* "" when the two runs were on machines of their own, by machine-id and boot id; else a sentence. */
void match_machines(const struct side *a, const struct side *b, struct buf *out);

#endif
