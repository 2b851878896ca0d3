/* SPDX-License-Identifier: MIT */
/* One flight: plan and runner go to the box in one exec, the runner walks by itself, detached; we follow its journal
 * from a byte offset, and go on after any drop. Nothing is ever run twice: a runner directory that exists is followed,
 * not started again. */
#ifndef STEPBOX_PROVISION_FLIGHT_H
#define STEPBOX_PROVISION_FLIGHT_H

#include <stdbool.h>

#include "provision/journal.h"
#include "provision/ssh.h"

/* What a flight tells of. */
enum flight_event {
	FLIGHT_CONTACT, /* first contact, against the connect deadline: a stage of ssh_connect_while() */
	FLIGHT_STAGE,   /* what is done now: "sending the plan" */
	FLIGHT_DROP,    /* "connection lost, connecting again: …" */
	FLIGHT_BACK,    /* "connected again" */
};

/* Whoever the login user is: on the box, everything is root's. Another user than root becomes root by `sudo -n`; where
 * that is not possible the answer is ERR_BOX with code EPERM, at once. */
struct flight {
	const char *run;     /* run id: names the directory ~/.stepbox/RUN on the box */
	const char *nonce;   /* 32 hex digits */
	const char *runner;  /* text of runner.sh; NULL: only follow */
	const char *plan;    /* plan_script(); NULL: only follow */
	const char *payload; /* local file sent beside the plan (source.tar), checked by SHA-256; NULL: none */
	int64_t drop_ms;     /* how long to go on reconnecting after a drop (0: 120 s) */
	bool fresh;          /* the first contact is with a cloud box in its first boot: see struct ssh_watch */
	/* detail: a few words more, foreign, or NULL. May be NULL. */
	void (*event)(void *ctx, enum flight_event kind, const char *text, const char *detail);
	/* Asked while nothing answers: is the box known to be gone? Then there is nothing to wait for. May be NULL. */
	bool (*gone)(void *ctx);
	void *event_ctx;
};

/* Sends (unless the box already has this run) and follows until the journal's trailer. `first` may be an already open
 * connection (taken over and closed); NULL: connects itself, until connect_deadline. Returns 0 when the trailer came;
 * -1: ERR_CANCELED on stop (the runner walks on: see flight_stop()), ERR_BOX when the box, the run or its runner is
 * lost for good, or the journal callback's error. */
int flight_run(const struct ssh_target *target, struct ssh *first /* takes */, const struct flight *f,
	       struct journal *j, mono_ms connect_deadline, struct err *err) MUST_USE;

/* Ends the runner of a run on the box with its current command (process group). Best effort. */
int flight_stop(const struct ssh_target *target, const char *run, mono_ms deadline, struct err *err) MUST_USE;

/* The bytes of a dump the runner keeps by hash, for when a delta does not check. */
int flight_fetch_dump(const struct ssh_target *target, const char *run, const char *sha256, struct buf *out,
		      mono_ms deadline, struct err *err) MUST_USE;

/* Runs a short shell text on the box, as root, without stdin; what it says (stdout and stderr) is appended to out, up
 * to its maximum. Returns its exit code, 0 to 255, or -1. */
int flight_order(const struct ssh_target *target, const char *text, struct buf *out, mono_ms deadline,
		 struct err *err) MUST_USE;

#endif
