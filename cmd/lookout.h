/* SPDX-License-Identifier: MIT */
/* Asks a cloud whether a box still lives, beside the connection to it: the question may take seconds, and whoever is
 * trying to connect has no time for it. A thread of its own asks, and only while somebody wants to know. */
#ifndef STEPBOX_CMD_LOOKOUT_H
#define STEPBOX_CMD_LOOKOUT_H

#include <stdbool.h>

#include "base/db.h"

struct lookout;

/* db is borrowed, box is the name of a row of the ledger. NULL when no thread can be had: then nobody knows. */
struct lookout *lookout_new(struct db *db, const char *box);
/* Is it known to be gone? Answers at once with what was last heard, and has the question asked again. */
bool lookout_gone(struct lookout *l); /* NULL: false */
/* How the cloud put it, "" when it is not known to be gone; lives as long as the lookout. */
const char *lookout_why(const struct lookout *l);
/* Waits for a question that is on its way. */
void lookout_free(struct lookout *l); /* NULL is fine */

#endif
