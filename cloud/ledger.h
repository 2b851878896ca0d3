/* SPDX-License-Identifier: MIT */
/* The ledger: one row for everything we asked a cloud for and have not yet seen vanish (table `boxes` of the store,
 * templates/store.sql). Rows are written with synchronous=FULL before the request leaves.
 *
 *   wanted    nothing asked yet, or asked and not answered
 *   created   the cloud gave an id
 *   active    it has an address
 *   deleting  deletion was begun; retried until confirmed
 *   gone      the cloud says so
 *
 * A row also says who works with the box: owner_pid + owner_start (its start time, so that a recycled pid is not
 * mistaken for it), and `kept`: 1 once the user wants the box to outlive its process (up, --keep). */
#ifndef STEPBOX_CLOUD_LEDGER_H
#define STEPBOX_CLOUD_LEDGER_H

#include "cloud/cloud.h"

enum box_state { BOX_WANTED, BOX_CREATED, BOX_ACTIVE, BOX_DELETING, BOX_GONE, BOX_STATE_COUNT_ };
const char *box_state_name(enum box_state s);

/* A new row `wanted` of this box: name, run, cloud, image, account, user, host_key, key_path, expires. */
int ledger_want(struct db *db, const struct box *box, struct err *err) MUST_USE;
/* The create request is about to leave: from here on the cloud may have it. */
int ledger_asked(struct db *db, const char *name, struct err *err) MUST_USE;
/* It was refused in so many words: the cloud has nothing. */
int ledger_refused(struct db *db, const char *name, struct err *err) MUST_USE;
int ledger_created(struct db *db, const char *name, const char *id, struct err *err) MUST_USE;
int ledger_active(struct db *db, const char *name, const char *address, int port, struct err *err) MUST_USE;
int ledger_state(struct db *db, const char *name, enum box_state state, struct err *err) MUST_USE;
int ledger_expires(struct db *db, const char *name, int64_t expires, struct err *err) MUST_USE;
/* Marks the box as kept (or not) and gives it up: no process owns it any more. */
int ledger_release(struct db *db, const char *name, bool kept, struct err *err) MUST_USE;
/* This process works with the box from now on (step, attach). */
int ledger_adopt(struct db *db, const char *name, struct err *err) MUST_USE;

/* 1 and *box when there is a row, 0 when not, -1 err. An unambiguous prefix of a name is accepted for boxes that are
 * not gone. */
int ledger_find(struct db *db, const char *name, struct box *box, struct err *err) MUST_USE;
/* Is there a row of exactly this name that is not gone, with this id or none yet (id NULL: any)? 1, 0, -1 err. */
int ledger_known(struct db *db, const char *name, const char *id, struct err *err) MUST_USE;

/* Which store this is: 16 hex digits, made with it. */
int ledger_store_id(struct db *db, char out[32], struct err *err) MUST_USE;
/* Names of clouds that have boxes that are not gone or have ended in the last week: at most max. Returns how many, -1.
 */
int ledger_clouds(struct db *db, char out[][BOX_NAME_MAX], int max, struct err *err) MUST_USE;

struct ledger_row {
	struct box box;
	bool kept;
	bool owned;                     /* a living process works with it */
	int64_t owner_pid, owner_start; /* as written in the row */
};
/* Calls fn for each row (all: gone ones too), oldest first; fn may use the database. Returns the number of rows, or -1.
 */
int ledger_each(struct db *db, bool all, int (*fn)(const struct ledger_row *row, void *ctx), void *ctx,
		struct err *err) MUST_USE;

/* For gc: takes the row over and begins its deletion, unless somebody else has touched it since it was read (another
 * gc, or a process that adopted the box): then 0, and it is not ours. 1 when it is, -1 err. */
int ledger_claim(struct db *db, const struct ledger_row *row, struct err *err) MUST_USE;

#endif
