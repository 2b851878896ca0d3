/* SPDX-License-Identifier: MIT */
/* The ledger's second table: what boxes need besides their server (a security group, a floating IP, a volume). As with
 * boxes, the row is on disk before the request leaves. A part may serve several boxes; it goes with the last of them.
 *
 *   wanted    asked, not answered
 *   created   the cloud gave an id
 *   deleting  nobody uses it any more; deletion is retried until confirmed
 *   gone      the cloud says so */
#ifndef STEPBOX_CLOUD_PARTS_H
#define STEPBOX_CLOUD_PARTS_H

#include "cloud/cloud.h"

#define PART_SECURITY_GROUP "security_group"
#define PART_FLOATING_IP    "floating_ip"
#define PART_VOLUME         "volume"

struct part {
	int64_t n; /* its row */
	char kind[24];
	char name[96]; /* how it is found in the cloud while its id is not known */
	char cloud[BOX_NAME_MAX];
	char account[BOX_ACCOUNT_MAX];
	char state[16];
	char id[128];  /* the cloud's, "" before it is known */
	int64_t asked; /* wall seconds when the request was about to leave */
};

/* A part for this box, about to be asked for: fills in *part. ERR_BOX when somebody is ending the box. */
int part_want(struct db *db, const char *kind, const char *name, const struct box *box, struct part *part,
	      struct err *err) MUST_USE;
/* It is about to be asked for again. */
int part_asked(struct db *db, struct part *part, struct err *err) MUST_USE;
/* The cloud gave an id. */
int part_created(struct db *db, struct part *part, const char *id, struct err *err) MUST_USE;
/* Another box uses it, too: 1; 0 when it is on its way out or not created; -1 err. */
int part_use(struct db *db, const struct part *part, const char *box, struct err *err) MUST_USE;
/* The parts of a box that are not gone, at most max, those of a kind or all (NULL). Returns how many, or -1. */
#define PARTS_MAX 8
int parts_of(struct db *db, const char *box, const char *kind, struct part out[PARTS_MAX], struct err *err) MUST_USE;
/* This box needs it no longer. 1 when nobody does: it is `deleting` now, and the caller ends it; 0 when others do; -1
 * err. A part that is `deleting` already is the caller's as well. */
int part_release(struct db *db, const struct part *part, const char *box, struct err *err) MUST_USE;
/* The cloud says it is gone. */
int part_gone(struct db *db, const struct part *part, struct err *err) MUST_USE;
/* Is there a row that is not gone, of a box that is not gone, with this id, or with this name and no id yet? 1, 0, -1.
 */
int part_known(struct db *db, const char *kind, const char *id, const char *name, struct err *err) MUST_USE;

#endif
