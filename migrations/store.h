/* SPDX-License-Identifier: MIT */
/* Runs, tasks, steps, outputs and dumps as kept in the store (templates/store.sql). Views read nothing else. Secrets
 * never reach it. Safe to use from several threads and by several processes at once. */
#ifndef STEPBOX_MIGRATIONS_STORE_H
#define STEPBOX_MIGRATIONS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/db.h"
#include "base/err.h"

/* What became of a step (facts: the outcomes a runner must tell apart). */
enum outcome {
	OUTCOME_RUNNING, /* not finished */
	OUTCOME_BASE,    /* n 0: the state before the first step */
	OUTCOME_APPLIED,
	OUTCOME_APPLIED_EMPTY, /* version changed as planned, schema did not */
	OUTCOME_SILENT_NOOP,   /* exit 0, version unchanged */
	OUTCOME_WRONG_TARGET,  /* version set differs from the plan */
	OUTCOME_FAILED_CLEAN,  /* non-zero, schema unchanged */
	OUTCOME_FAILED_PARTIAL,
	OUTCOME_REFUSED,
	OUTCOME_TIMEOUT,
	OUTCOME_ENV_FAILED,
	OUTCOME_LOST,
	OUTCOME_COUNT_
};
const char *outcome_name(enum outcome o);     /* "applied", "applied-empty", … */
enum outcome outcome_parse(const char *name); /* OUTCOME_RUNNING for unknown */
bool outcome_is_good(enum outcome o);         /* BASE, APPLIED, APPLIED_EMPTY */

struct run {
	char id[64]; /* NAME-N: unique, short enough to type */
	char name[64];
	char variant[128]; /* "database=sqlite", or "" */
	char box[64];
	char nonce[33];
	char status[16]; /* running, ok, finding, lost, stopped, error */
	char detail[512];
	char tool[64], engine[32];
	int64_t started, ended; /* wall seconds; ended 0 while running */
	uint64_t received;
	char machine[64], boot[64]; /* machine-id and boot id as the box said, or "" */
	bool owned;                 /* a living process follows it */
};
struct step {
	int64_t n;
	char version[256];
	char direction[8];
	enum outcome outcome;
	int64_t rc; /* -1: none */
	char why[32];
	int64_t ms;
	int64_t net_ms;  /* without the start-up of the tool; -1: not known */
	int64_t leg;     /* of a round trip: 1 up, 2 down, 3 up again, 4 put back; 0: none */
	char trip[32];   /* on the leg that ended it: what became of the round trip (migrations/walk_data.c), or "" */
	char commit[65]; /* whose code ran the step, or "": the source as it is */
	char dump[65];   /* SHA-256, or "" */
	char model[65];  /* SHA-256 of what the catalogue says, or "" where the dump says it all */
	char *versions;  /* read back, one a line. This and the following: owned, never NULL */
	char *counts;    /* lines of a table each: provision/journal.h has the format */
	char *changes;   /* lines of schema_change_lines() */
	char *findings;  /* "KIND: text", one a line: what to know although the step was applied. KIND: loss, limit,
			    trip …; `note` tells something that is no finding */
	char *work;      /* "KEY<TAB>NUMBER" lines: what the database did for the step */
	char *seeded;    /* "TABLE<TAB>ROWS[<TAB>MESSAGE]" lines: filled in before the step, or what could not be */
};
void step_finish(struct step *s);

/* The functions that call back (store_*_each) do so with no lock held: the callback may use the store. It returns 0 to
 * go on, anything else stops; they return the number of calls made, or -1. */

/* Picks a free id "NAME-N", inserts the row (status running, owned by this process) and fills run->id, run->started
 * and, where empty, run->box (a box of the run's own name). recipe: its text as compiled (JSON). */
int store_run_add(struct db *db, struct run *run, const char *recipe, struct err *err) MUST_USE;
/* status: ok, finding, lost, stopped, error. Nobody follows the run any more. */
int store_run_end(struct db *db, const char *id, const char *status, const char *detail, struct err *err) MUST_USE;
/* This process follows the run from now on. */
int store_run_adopt(struct db *db, const char *id, struct err *err) MUST_USE;
/* The machine it is on, by the box's own word. */
int store_run_machine(struct db *db, const char *id, const char *machine, const char *boot, struct err *err) MUST_USE;
/* By id, unambiguous prefix, or "last" (the newest). 1 found, 0 none, -1 (ERR_USER when several begin like this). */
int store_run_find(struct db *db, const char *id, struct run *run, struct err *err) MUST_USE;
int store_run_recipe(struct db *db, const char *id, struct buf *out, struct err *err) MUST_USE;
/* Newest first; limit 0: all. */
int store_run_each(struct db *db, int limit, int (*fn)(const struct run *r, void *ctx), void *ctx,
		   struct err *err) MUST_USE;

/* All writers below take effect at once with runs.received: what is stored and the offset never disagree.
 * store_begin()/store_commit() bracket one record; received is the journal offset behind it. store_commit() refuses
 * (ERR_BOX, nothing stored) an offset that is not beyond what is stored: another process follows the run. After
 * store_begin() exactly one of store_commit() and store_abort() must be called, store_commit() in any case ends it. */
int store_begin(struct db *db, struct err *err) MUST_USE;
int store_commit(struct db *db, const char *run, uint64_t received, struct err *err) MUST_USE;
void store_abort(struct db *db);
/* Where the reader of the journal stands (text of migrations/walk.c's own), kept with the offset. */
int store_walker_put(struct db *db, const char *run, const char *state, struct err *err) MUST_USE;
int store_walker_get(struct db *db, const char *run, struct buf *out, struct err *err) MUST_USE;

int store_task(struct db *db, const char *run, int64_t n, const char *kind, const char *title,
	       struct err *err) MUST_USE;
int store_task_end(struct db *db, const char *run, int64_t n, int64_t rc, const char *why, int64_t ms,
		   struct err *err) MUST_USE;
/* A piece of what task (kind 't') or step ('s') n printed. */
int store_output(struct db *db, const char *run, char kind, int64_t n, const void *data, size_t len,
		 struct err *err) MUST_USE;
/* Appends the last max bytes of it (0: all that out may hold). */
int store_output_read(struct db *db, const char *run, char kind, int64_t n, size_t max, struct buf *out,
		      struct err *err) MUST_USE;
int store_step_put(struct db *db, const char *run, const struct step *s,
		   struct err *err) MUST_USE; /* insert or replace */
/* Where the database is after a down step: told when the next one begins. (Up and base: the step's own version.) */
int store_step_target(struct db *db, const char *run, int64_t n, const char *target, struct err *err) MUST_USE;
/* 1/0/-1. */
int store_step_get(struct db *db, const char *run, int64_t n, struct step *out, struct err *err) MUST_USE;
/* In the order of n. */
int store_step_each(struct db *db, const char *run, int (*fn)(const struct step *s, void *ctx), void *ctx,
		    struct err *err) MUST_USE;
struct task_row {
	int64_t n, rc, ms; /* rc and ms -1: it has not ended */
	const char *kind, *title, *why;
};
int store_task_each(struct db *db, const char *run, int (*fn)(const struct task_row *t, void *ctx), void *ctx,
		    struct err *err) MUST_USE;

/* The files of a version in the run's checkout, by git's blob hash (insert or replace). */
struct migration_file {
	const char *version, *path, *blob;
};
int store_file_put(struct db *db, const char *run, const struct migration_file *f, struct err *err) MUST_USE;
/* By version (in byte order), then path. */
int store_file_each(struct db *db, const char *run, int (*fn)(const struct migration_file *f, void *ctx), void *ctx,
		    struct err *err) MUST_USE;

#define STORE_BLOB_MAX ((size_t)16 << 20)
/* Stores a dump under its SHA-256 (given; checked by the caller) unless it is there; near: a dump it resembles, or NULL
 * (zstd reference prefix, a key frame every 32nd). */
int store_blob_put(struct db *db, const char *sha256, const void *data, size_t len, const char *near,
		   struct err *err) MUST_USE;
/* Appends the bytes; checks the hash. ERR_USER when there is none, ERR_BOX when it does not check (a damaged file). */
int store_blob_get(struct db *db, const char *sha256, struct buf *out, struct err *err) MUST_USE;

/* A step named "RUN" (the last one with a dump) or "RUN:VERSION" (the last after which the database was, or was to be,
 * at that version); in a round trip "RUN:VERSION/down" and "RUN:VERSION/again" are its second and third leg. 1/0/-1;
 * *run is valid with 1. */
int store_step_by_spec(struct db *db, const char *spec, struct run *run, struct step *out, struct err *err) MUST_USE;

#endif
