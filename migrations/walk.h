/* SPDX-License-Identifier: MIT */
/* From the journal to the store: takes the records of one run (a journal_fn), checks and keeps every task, step and
 * dump, classifies what became of each step, and tells the view. */
#ifndef STEPBOX_MIGRATIONS_WALK_H
#define STEPBOX_MIGRATIONS_WALK_H

#include "migrations/limits.h"
#include "migrations/store.h"
#include "provision/journal.h"

/* What the view is told; every pointer may be NULL and is valid during the call only. */
struct walk_view {
	void (*task)(void *ctx, int64_t n, const char *kind, const char *title);
	void (*task_end)(void *ctx, int64_t n, int64_t rc, const char *why, int64_t ms);
	/* variant: the adapter's variant that fits the checkout, or "". */
	void (*versions)(void *ctx, int64_t n, const char *variant);
	/* All of them, one a line. */
	void (*list)(void *ctx, const char *text, size_t len);
	/* dir: up, down or roundtrip; n: of versions. */
	void (*walk)(void *ctx, const char *from, const char *to, const char *dir, int64_t n);
	void (*step)(void *ctx, int64_t n, const char *version, const char *dir);
	void (*output)(void *ctx, char kind, int64_t n, const char *data, size_t len);
	/* brief: "+2 columns instances", "no change"; of step 0 what is there: "110 tables". */
	void (*step_end)(void *ctx, const struct step *s, const char *brief);
	void *ctx;
};

struct walk {
	struct db *db;
	char run[64];
	char engine[32];
	const char *refused, *env_failed; /* extended regular expressions, or NULL; borrowed */
	const struct limits *limits;      /* of time and of loss, or NULL; borrowed */
	const struct walk_view *view;     /* borrowed */
	/* When a delta does not check: fetch the whole dump by hash (flight_fetch_dump); NULL: the run ends as broken.
	 * Called with no lock and no transaction held. */
	int (*fetch)(void *ctx, const char *sha256, struct buf *out, struct err *err);
	void *fetch_ctx;
};

struct walker;
#define WALK_WARM       "warm" /* the kind of the task that loads the tool once; its failing is no finding */
#define WALK_MAX_TASKS  10000
#define WALK_MAX_STEPS  20000
#define WALK_MAX_OUTPUT ((int64_t)4 << 20) /* of one task or step */
#define WALK_MAX_SET    ((size_t)1 << 20)  /* a version set, row counts, a reason */

/* Goes on from what the store has of this run (re-attach), or begins. NULL with ERR_USER when a regular expression is
 * none. */
struct walker *walker_new(const struct walk *w, struct err *err);
void walker_free(struct walker *w);
void walker_freep(struct walker **w);
/* The journal_fn. ctx is the walker. A record that cannot be at its place, or says what cannot be, is ERR_BOX
 * "journal: …": nothing of it is stored and the walker is not to be used further. Each record is one transaction with
 * the offset behind it; offset is asked from the journal given with walker_set_journal(). */
int walker_record(void *walker, const struct journal_record *r, struct err *err);
void walker_set_journal(struct walker *w, const struct journal *j);

/* The trailer is in the store already (a re-attach after it): nothing more will come. */
bool walker_is_done(const struct walker *w);
/* After the trailer: 1 all as expected, 0 a finding (*why says which: "step 204: failed-clean", "task setup: exit 1").
 */
int walker_verdict(const struct walker *w, char why[512]);
/* Marks the task or step that was running as lost (the box is gone); tells the view of a step. Nothing when none was.
 */
int walker_lost(struct walker *w, struct err *err) MUST_USE;

#endif
