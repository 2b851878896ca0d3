/* SPDX-License-Identifier: MIT */
/* What compare shows: the sides, each pair version by version in spans, a table at the end; or as JSON. On stdout. */
#ifndef STEPBOX_CMD_COMPARE_VIEW_H
#define STEPBOX_CMD_COMPARE_VIEW_H

#include <stdbool.h>

#include "cmd/match.h"

struct compare_view {
	bool json;
	bool verbose; /* cosmetic differences one by one */
	bool text;    /* unified text diffs, too */
	struct side *sides;
	size_t n_sides;
};

/* Who is compared, and whether their machines were distinct. */
void compare_view_sides(const struct compare_view *v);
/* One pair. -1 when the store cannot be read. */
int compare_view_match(const struct compare_view *v, const struct match *m, struct err *err) MUST_USE;
/* The table of all pairs. */
void compare_view_table(const struct compare_view *v, const struct match *m, size_t n);

#endif
