/* SPDX-License-Identifier: MIT */
/* The façade in front of all clouds: a box spec in, a box with an address and a known host key out, and back to
 * nothing. Only cloud.c calls a driver's slots. Everything that exists in a cloud is in the ledger first
 * (cloud/ledger.h); these functions keep it up to date. */
#ifndef STEPBOX_CLOUD_CLOUD_H
#define STEPBOX_CLOUD_CLOUD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/db.h"
#include "base/err.h"
#include "base/key.h"
#include "base/wait.h"

#define BOX_NAME_MAX    64
#define BOX_ACCOUNT_MAX 320

/* What the recipe asks for. Strings are borrowed for the call. */
struct box_spec {
	const char *name;            /* unique: text_is_name(), at most 40 bytes; also the host name inside */
	const char *run;             /* run id that asks for it */
	const char *cloud;           /* "local", or an entry of clouds.yaml */
	const char *image;           /* local: a base tree: "debian-12" …; else the name, id or glob of an image */
	int64_t ttl_ms;              /* the box ends itself after this */
	const struct key *host_key;  /* put into the box: the very first connection is verified */
	const struct key *login_key; /* its public half is let in */

	/* Only for the local cloud: a script (POSIX sh, as root) whose result is the same for many boxes, such as
	 * installed packages. It is run once a day and image, and its files lie under each box. NULL: none. title: for
	 * people. */
	const char *layer, *layer_title;

	/* Only for clouds with an account; NULL or 0: chosen from what the cloud offers. */
	const char *user;               /* login user */
	const char *flavor;             /* name or id; else by the next three */
	int64_t vcpus, ram_mb, disk_gb; /* at least */
	int64_t volume_gb;              /* boot from a volume of this size */
	const char *network;            /* name or id */
	const char *floating_network;   /* where a floating IP comes from; "none": no floating IP */
	const char *security_group;     /* an existing one, instead of one of ours */
	const char *ssh_from;           /* CIDR that our group lets in; NULL: our own address */
	const char *availability_zone;
	int port; /* of sshd; 0: 22 */
	bool no_config_drive;
};

/* When a box that begins now ends itself, in wall seconds. */
int64_t box_spec_expires(const struct box_spec *spec);

/* A box as the ledger knows it. Plain data, no pointers to free. */
struct box {
	char name[BOX_NAME_MAX];
	char run[BOX_NAME_MAX];
	char cloud[BOX_NAME_MAX];
	char image[256];
	char account[BOX_ACCOUNT_MAX]; /* whose it is in the cloud; local: "" */
	char state[16];                /* wanted, created, active, deleting, gone */
	char id[128];                  /* the cloud's own id; local: the box directory's name */
	char address[64];              /* numeric */
	int port;
	char user[33];      /* login user */
	char host_key[128]; /* public line of the host key */
	char key_path[512]; /* the private login key: a 0600 file, deleted with the box */
	int64_t created;    /* wall seconds */
	int64_t expires;    /* wall seconds */
	int64_t asked;      /* wall seconds when the create request was about to leave; 0: not yet */
};

/* What is going on, for the screen: stage is a few words ("making the base tree debian-12"), detail one foreign line
 * or NULL, limit_ms what the stage may take at most. */
typedef void (*cloud_stage_fn)(void *ctx, const char *stage, const char *detail, int64_t limit_ms);

struct cloud_watch {
	cloud_stage_fn stage; /* may be NULL */
	/* The last lines of the console of a box that did not boot; foreign text. May be NULL. */
	void (*console)(void *ctx, const char *text, size_t len);
	void *ctx;
};

/* libcurl's and the drivers' global part: once before any thread, and at the end. */
int cloud_library_init(struct err *err) MUST_USE;
void cloud_library_exit(void);

/* Is it a cloud with an account, where boxes cost money and questions cost a request? */
bool cloud_is_remote(const char *cloud);

/* Boots a box: ledger row `wanted` on disk, then the cloud. On success *box is `active`: its SSH port is about to
 * answer (connecting retries until its own deadline). On error what was begun has been taken down again, or stays in
 * the ledger as `deleting` for gc when even that was not possible (err says so). Preparing, asking and
 * booting may take limit_ms each; a box that waits for its turn (a quota) waits until a stop. */
int cloud_boot(struct db *db, const struct box_spec *spec, const struct cloud_watch *watch, int64_t limit_ms,
	       struct box *box, struct err *err) MUST_USE;

/* Deletes a box (any state; `gone` is fine) and its login key: `deleting` first, `gone` only when the cloud says so.
 * Ignores stop; has its own reserved time (cloud_teardown_ms()). */
int cloud_delete(struct db *db, const char *name, struct err *err) MUST_USE;
/* How long taking down a box of this cloud may take. */
int64_t cloud_teardown_ms(const char *cloud);

/* Is it still there? 1 yes, 0 no (ended, expired, killed; err says how the cloud puts it, if it does), -1 err. */
int cloud_alive(struct db *db, const char *name, struct err *err) MUST_USE;

/* The box outlives this process: others that wait for its place (a quota) need not. */
void cloud_leave(const struct box *box);

/* What the box's console says, at most the last `lines` lines; nothing where there is none. Best effort. */
void cloud_console(const struct box *box, int lines, struct buf *out);

/* Moves the expiry of a living box. The timer inside a box of a remote cloud is the caller's
 * (templates/tasks/expire.sh).
 */
int cloud_extend(struct db *db, const char *name, int64_t expires, struct err *err) MUST_USE;

/* One thing gc did or would do; what: "box nova-a", why: "expired 3 m ago", "its stepbox was killed" … */
typedef void (*cloud_gc_fn)(void *ctx, const char *what, const char *why, bool done);

/* What gc may end. */
struct cloud_gc_filter {
	bool dry_run;
	bool expired_only;
	const char *cloud; /* only this cloud; NULL: all that the ledger knows of late */
	/* Whose servers in the clouds' own listings. NULL: ours (cloud_owner()), and only those past their expiry or of
	 * this store. A name: all of that owner, expired or not, that no row of ours keeps. "" is refused. */
	const char *owner;
};

/* Ends everything that nobody owns any more: boxes past their expiry; rows left in wanted/created/deleting by a
 * process that is gone; boxes whose run's process was killed before it could decide (row without `kept`, see
 * ledger.h); directories, mounts and processes on this machine that no row knows. Never touches a box that a living
 * process works with, nor a kept one before its expiry. Returns how many things it ended (dry: would end), or -1 when
 * something resisted (the rest was still done). */
int cloud_gc(struct db *db, const struct cloud_gc_filter *filter, cloud_gc_fn report, void *ctx,
	     struct err *err) MUST_USE;

/* Who we are in the metadata of servers: $STEPBOX_OWNER, else the login name; other characters than letters, digits and
 * "._@+-" become '-'. Static storage. */
const char *cloud_owner(void);

/* A server that the cloud lists as stepbox's. Texts are foreign. */
struct cloud_listed {
	char name[BOX_NAME_MAX + 16], id[128], status[32], address[64];
	char run[BOX_NAME_MAX], owner[BOX_NAME_MAX];
	int64_t expires; /* wall seconds, 0 unknown */
	bool known;      /* a row of ours that is not gone */
};
/* Calls fn for each, by the cloud's own listing. Returns how many, or -1. */
int cloud_list(struct db *db, const char *cloud, void (*fn)(const struct cloud_listed *l, void *ctx), void *ctx,
	       struct err *err) MUST_USE;

/* For `doctor`: calls report() once per requirement of the driver on this machine. fix: the exact command that
 * mends it, or NULL when ok. */
typedef void (*cloud_check_fn)(void *ctx, const char *subject, bool ok, const char *detail, const char *fix);
void cloud_doctor(const char *cloud, cloud_check_fn report, void *ctx);

/* Makes the image ready beforehand (local: the base tree) if it is not. */
int cloud_prepare(const char *cloud, const char *image, const struct cloud_watch *watch, mono_ms deadline,
		  struct err *err) MUST_USE;

#endif
