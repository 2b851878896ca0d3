/* SPDX-License-Identifier: MIT */
/* Where the history of a recipe's source can be read on this machine: the repository itself, or a bare clone of a
 * remote one in $XDG_CACHE_HOME/stepbox/git/, made or brought up to date here (said on stderr). */
#ifndef STEPBOX_CMD_ORIGIN_H
#define STEPBOX_CMD_ORIGIN_H

#include "base/wait.h"
#include "cmd/recipe.h"

struct origin {
	char *repo; /* owned: a directory git can read */
	char *ref;  /* owned: the commit meant, in hex */
};

/* ERR_USER when the recipe's source has no history (no git), or it is not the top of its repository. */
int origin_open(struct origin *o, const struct recipe *r, mono_ms deadline, struct err *err) MUST_USE;
void origin_finish(struct origin *o);

#endif
