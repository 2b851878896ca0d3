/* SPDX-License-Identifier: MIT */
/* Lines and JSON objects for runs, tasks and steps: the same words live and later, from the store. */
#ifndef STEPBOX_CMD_REPORT_H
#define STEPBOX_CMD_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "migrations/store.h"

struct task_line {
	int64_t n, rc, ms;
	const char *why;
};

/* "  packages  install git, sqlite3      12.3 s" for a task of the store. */
int report_task_line(struct db *db, const char *run, const struct task_line *t, struct buf *out,
		     struct err *err) MUST_USE;
void report_task(const struct task_row *t, struct buf *out);
/* "  204  applied          5.1 s  +2 columns instances; rows: instances +3; rewrote: instances". width: columns for the
 * version; before: the step before it, for the row counts, or NULL. */
void report_step_line(const struct step *s, const struct step *before, const char *brief, size_t width,
		      struct buf *out);
/* All lines of a step: its own, a round trip's when this leg ends it, and what was found. The same live and later. */
struct report_steps {
	size_t width;    /* columns for the version */
	bool verbose;    /* each leg of a round trip */
	bool net;        /* how long a step took without the tool's start-up */
	char *counts;    /* owned: of the step before */
	char *pending;   /* owned: findings of the trip's legs so far */
	int64_t ms;      /* of these */
	char commit[65]; /* of the step before */
};
void report_steps_finish(struct report_steps *r);
void report_step(struct report_steps *r, const struct step *s, const char *brief, struct buf *out);
/* "13 steps there and back: 9 leave no trace, 2 lose an index, 1 refused"; nothing when the run has no round trips. */
int report_trips(struct db *db, const char *run, struct buf *out, struct err *err) MUST_USE;
/* How table rows differ between two steps.counts: "customers +4, tickets -1"; nothing when they do not. */
void report_rows(const char *before, const char *after, struct buf *out);
/* Which tables with rows were written anew between two steps.counts, and how a step's statements waited for locks:
 * "rewrote: tickets; waited for locks: 2 times, 1.2 s"; nothing when neither. */
void report_labour(const char *before, const struct step *s, struct buf *out);
/* All of steps.work: "12 statements, the longest 40 ms; 3200 rows read, 12 changed"; nothing when it is not known. */
void report_work(const char *work, struct buf *out);
/* Columns that versions of a run need: between 4 and 40. */
size_t report_version_width(const char *version, size_t width);
/* {"version","outcome","ms","dump_sha256", …}. before: the counts of the step before, or NULL. */
json_t *report_step_json(const struct step *s, const char *before);
/* {"run","status","steps":[…]}; NULL with err. */
json_t *report_run_json(struct db *db, const char *id, struct err *err);
/* One line on stdout; takes the reference. */
void report_print_json(json_t *o /* takes */);
/* The run an operand names; -1 with ERR_USER when there is none. */
int report_find_run(struct db *db, const char *id, struct run *run, struct err *err) MUST_USE;
/* A JSON string of foreign bytes, made safe. */
json_t *report_json_text(const char *text);
/* "tool loaded once in 4.6 s, 176 steps 14.2 s net, 21.0 s gross" when a loaded tool ran steps; else nothing. */
int report_times(struct db *db, const char *run, struct buf *out, struct err *err) MUST_USE;
/* The first line of steps.changes in a few words when no view was there to see it: "3 changes", "no change". */
void report_brief(const struct step *s, struct buf *out);

#endif
