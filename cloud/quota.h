/* SPDX-License-Identifier: MIT */
/* Whose turn it is: the account's limits (GET /limits) are read before the first box of a process boots; a box that
 * does not fit waits until another box of this process has ended. The numbers are advisory: the cloud's 403 decides,
 * and then a box waits, too, as long as another one of ours may make room. */
#ifndef STEPBOX_CLOUD_QUOTA_H
#define STEPBOX_CLOUD_QUOTA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/wait.h"
#include "cloud/session.h"

struct quota;

struct quota_need {
	int64_t instances, cores, ram_mb;
};

struct quota *quota_new(void);
void quota_free(struct quota *q);

/* limits: the "limits" → "absolute" object of nova (maxTotalInstances, totalInstancesUsed, …; -1 unlimited; missing or
 * odd values count as unlimited). Fills the numbers; may be called again at any time. */
void quota_set(struct quota *q, const json_t *absolute);

/* Takes the need's share. Returns 1 when taken; 0 when it has to wait (another box of ours holds a share: wait for its
 * quota_give()); -1 with err (ERR_CLOUD "quota: 4 cores wanted, 2 of 20 free") when it can never fit. why gets a few
 * words for the screen when 0. */
int quota_take(struct quota *q, const struct quota_need *need, char why[160], struct err *err) MUST_USE;
void quota_give(struct quota *q, const struct quota_need *need);
/* quota_take() and waiting for one's turn, 0 when taken; stage (may be NULL) is called when it has to wait and when the
 * reason changes. Ends by the deadline (ERR_BOX) or a stop. Who comes first takes: there is no queue. */
int quota_wait(struct quota *q, const struct quota_need *need, void (*stage)(void *ctx, const char *why), void *ctx,
	       mono_ms deadline, struct err *err) MUST_USE;
/* Do others of ours hold shares besides this need, which is held? After a 403 there is hope only then. */
bool quota_others(struct quota *q, const struct quota_need *need);
/* After a 403 with quota_others(): gives the share back, waits until a quota_give() has made room, or nobody holds a
 * share any more, and takes it again as quota_wait(). 0 when taken; -1: it is not held. */
int quota_refused(struct quota *q, const struct quota_need *need, void (*stage)(void *ctx, const char *why), void *ctx,
		  mono_ms deadline, struct err *err) MUST_USE;

#endif
