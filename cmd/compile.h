/* SPDX-License-Identifier: MIT */
/* From a recipe to the plan for one box. */
#ifndef STEPBOX_CMD_COMPILE_H
#define STEPBOX_CMD_COMPILE_H

#include <stdbool.h>

#include "base/clock.h"
#include "cmd/recipe.h"
#include "provision/plan.h"

enum compile_what {
	COMPILE_ALL,       /* provision, then walk */
	COMPILE_PROVISION, /* up: no walk */
	COMPILE_WALK       /* step: the box is ready; from is "current" */
};

/* Kind of the task that waits until a box of a cloud is what it was asked to be: when it fails, the box is at fault. */
#define COMPILE_READY "ready"

/* to overrides the recipe's (COMPILE_WALK: a version or "+N"/"-N"). NULL with err when something does not fit. */
struct plan *compile(const struct recipe *r, enum compile_what what, const char *to, struct err *err);

/* A text with the recipe's variables filled in (caller frees). NULL with err. */
char *compile_fill(const struct recipe *r, const char *text, struct err *err);

/* Packs what the box cannot fetch itself into a temporary file that has no name any more when this returns: nothing
 * stays of it, however we end. *fd is open for reading (caller closes), or -1 when the recipe needs none. */
int compile_payload(const struct recipe *r, int *fd, mono_ms deadline, struct err *err) MUST_USE;

/* The script that installs what the recipe and its database want, and the packages in a few words. 1, 0 when there are
 * none, -1. */
int compile_packages(const struct recipe *r, struct buf *command, struct buf *title, struct err *err) MUST_USE;

#endif
