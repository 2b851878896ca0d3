/* SPDX-License-Identifier: MIT */
/* The façade in front of all clouds: a box spec in, a box with an address and a known host key out, and back to
 * nothing. Only cloud.c calls a driver's slots. Everything that exists in a cloud is in the ledger first
 * (cloud/ledger.h); these functions keep it up to date. */
#ifndef STEPBOX_CLOUD_CLOUD_H
#define STEPBOX_CLOUD_CLOUD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/db.h"
#include "base/err.h"
#include "base/key.h"
#include "base/wait.h"

#define BOX_NAME_MAX 64

/* What the recipe asks for. Strings are borrowed for the call. */
struct box_spec {
	const char *name;            /* unique: text_is_name(), at most 40 bytes; also the host name inside */
	const char *run;             /* run id that asks for it */
	const char *cloud;           /* "local" */
	const char *image;           /* local: a base tree: "debian-12" … */
	int64_t ttl_ms;              /* the box ends itself after this */
	const struct key *host_key;  /* put into the box: the very first connection is verified */
	const struct key *login_key; /* its public half is let in */
};

/* A box as the ledger knows it. Plain data, no pointers to free. */
struct box {
	char name[BOX_NAME_MAX];
	char run[BOX_NAME_MAX];
	char cloud[BOX_NAME_MAX];
	char image[BOX_NAME_MAX];
	char state[16];   /* wanted, created, active, deleting, gone */
	char id[128];     /* the cloud's own id; local: the box directory's name */
	char address[64]; /* numeric */
	int port;
	char user[33];      /* login user */
	char host_key[128]; /* public line of the host key */
	char key_path[512]; /* the private login key: a 0600 file, deleted with the box */
	int64_t created;    /* wall seconds */
	int64_t expires;    /* wall seconds */
};

/* What is going on, for the screen: stage is a few words ("making the base tree debian-12"), detail one foreign line
 * or NULL, limit_ms what the stage may take at most. */
typedef void (*cloud_stage_fn)(void *ctx, const char *stage, const char *detail, int64_t limit_ms);

struct cloud_watch {
	cloud_stage_fn stage; /* may be NULL */
	void *ctx;
};

/* Boots a box: ledger row `wanted` on disk, then the cloud. On success *box is `active`: its SSH port is about to
 * answer (connecting retries until its own deadline). On error what was begun has been taken down again, or stays in
 * the ledger as `deleting` for gc when even that was not possible (err says so). Ends by the deadline or a stop. */
int cloud_boot(struct db *db, const struct box_spec *spec, const struct cloud_watch *watch, mono_ms deadline,
	       struct box *box, struct err *err) MUST_USE;

/* Deletes a box (any state; `gone` is fine) and its login key: `deleting` first, `gone` only when the cloud says so.
 * Ignores stop; has its own reserved time until the deadline. */
int cloud_delete(struct db *db, const char *name, mono_ms deadline, struct err *err) MUST_USE;

/* Is it still there? 1 yes, 0 no (ended, expired, killed), -1 err. */
int cloud_alive(struct db *db, const char *name, struct err *err) MUST_USE;

/* Moves the expiry of a living box. */
int cloud_extend(struct db *db, const char *name, int64_t expires, struct err *err) MUST_USE;

/* One thing gc did or would do; what: "box nova-a", why: "expired 3 m ago", "its stepbox was killed" … */
typedef void (*cloud_gc_fn)(void *ctx, const char *what, const char *why, bool done);

/* Ends everything that nobody owns any more: boxes past their expiry; rows left in wanted/created/deleting by a
 * process that is gone; boxes whose run's process was killed before it could decide (row without `kept`, see
 * ledger.h); directories, mounts and processes on this machine that no row knows. Never touches a box that a living
 * process works with, nor a kept one before its expiry. Returns how many things it ended (dry: would end), or -1 when
 * something resisted (the rest was still done). */
int cloud_gc(struct db *db, bool dry_run, cloud_gc_fn report, void *ctx, struct err *err) MUST_USE;

/* For `doctor`: calls report() once per requirement of the driver on this machine. fix: the exact command that
 * mends it, or NULL when ok. */
typedef void (*cloud_check_fn)(void *ctx, const char *subject, bool ok, const char *detail, const char *fix);
void cloud_doctor(const char *cloud, cloud_check_fn report, void *ctx);

/* Makes the image ready beforehand (local: the base tree) if it is not. */
int cloud_prepare(const char *cloud, const char *image, const struct cloud_watch *watch, mono_ms deadline,
		  struct err *err) MUST_USE;

#endif
