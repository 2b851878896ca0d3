/* SPDX-License-Identifier: MIT */
/* A recipe's versions, and for each the commit whose code goes with it: `stepbox versions` and `match: commit`. */
#ifndef STEPBOX_CMD_LINEAGE_H
#define STEPBOX_CMD_LINEAGE_H

#include "cmd/origin.h"
#include "cmd/recipe.h"
#include "migrations/history.h"

struct lineage {
	struct origin origin;
	struct history_map *map;
	struct history *history;
	size_t *line; /* the versions of one walk, in order */
	size_t n;
	struct history_pick *picks; /* for each of the line */
	size_t first, last; /* places in the line between which the recipe's walk moves; first may be n: nothing */
};

#define LINEAGE_LIMIT_MS ((int64_t)30 * 60 * 1000) /* for a remote repository; a local one needs a second */

/* What the recipe's tool says of its versions' history, for history_map_new(): the caller owns *spec. 1, 0 when it says
 * nothing (or there is no tool), -1 with err. */
int lineage_spec(const struct recipe *r, json_t **spec, struct err *err) MUST_USE;

/* all: every version that ever was, and not the recipe's range. to overrides the recipe's (NULL: as it says). ERR_USER
 * when the tool has no history, or the range names a version that is not there. */
int lineage_open(struct lineage *m, const struct recipe *r, const char *to, bool all, mono_ms deadline,
		 struct err *err) MUST_USE;
/* The commits of the recipe's range, each once, one a line. */
void lineage_commits(const struct lineage *l, struct buf *out);
void lineage_finish(struct lineage *m);
void lineage_freep(struct lineage *m);

#endif
