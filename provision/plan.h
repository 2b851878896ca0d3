/* SPDX-License-Identifier: MIT */
/* A plan: a recipe compiled for one box: the ordered tasks, then the walk. Its text form is what `stepbox plan` prints;
 * its shell form is what the runner (templates/runner.sh) sources on the box. */
#ifndef STEPBOX_PROVISION_PLAN_H
#define STEPBOX_PROVISION_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct plan;

struct plan *plan_new(const char *run);
void plan_free(struct plan *p);
void plan_freep(struct plan **p);

/* Exported to all tasks and steps. */
void plan_env(struct plan *p, const char *name, const char *value);
/* kind: packages, source, file, setup, database … title: what people read. command: POSIX sh, run under `set -eu` in
 * dir ("" is /) with stdin empty, its own process group, and killed after timeout_s. kind has no spaces. */
void plan_task(struct plan *p, const char *kind, const char *title, const char *dir, const char *command,
	       int64_t timeout_s);
/* A task behind the walk, of kind "question": as plan_task(), and with the environment of a step; VERSION is where the
 * walk led. Its exit code is the answer, no success or failure. */
void plan_question(struct plan *p, const char *title, const char *dir, const char *command, int64_t timeout_s);
/* A task that writes a file (parents made) with these bytes and mode. */
void plan_file(struct plan *p, const char *path, unsigned mode, const void *data, size_t len);

/* What plan_file() would run, to be used in another command. Caller frees. */
char *plan_file_command(const char *path, unsigned mode, const void *data, size_t len);
/* A command that notes on the box whether it left anything in the checkout, where it runs: then it is repeated when
 * that is wiped. n: its number in the recipe. Caller frees. */
char *plan_wiped(size_t n, const char *command);

/* How to walk: shell snippets of the tool and database adapters, run like tasks in dir, but all in one process group
 * (when one is killed, so is what earlier ones left behind), with, beside plan_env()'s:
 *
 *   VERSION   the version this step is about (down: the one that is undone)
 *   TARGET    where the database shall be after it ("base" for nothing applied)
 *   LIST      a file: all versions in order, one a line
 *   LOOK      (look) a directory: write `dump`, `counts` and, when version_sql is given, `versions`; and where there is
 *             such a thing `model` and `work` (provision/journal.h has what is in them)
 *   STATE     a directory of the adapter's own on the box that lives as long as the box
 *   SAVE      (save, restore) a directory
 *
 * In the run's directory STEPBOX_DIR seed finds `counts` as they are and, where the look makes one, `model`; it leaves
 * "table<TAB>message" lines of what it could not fill in `unfilled`. */
struct plan_walk {
	const char *tool, *engine;  /* names, for people */
	const char *dir;            /* the checkout */
	const char *list;           /* prints all versions in order, one a line */
	const char *up, *down;      /* down NULL: the tool cannot */
	const char *current;        /* prints the current versions, one a line, nothing at base; NULL: look writes
				       $LOOK/versions */
	bool applied;               /* current prints *all* applied versions, not only the heads */
	const char *look;           /* dump, counts (and versions) of the database */
	const char *save, *restore; /* keeps the database in $SAVE, puts it back; NULL: cannot be done */
	bool roundtrip;             /* up, down and up again at each version */
	const char *seed;           /* fills empty tables; NULL: they stay so */
	const struct plan_before {  /* what runs before a version's step, to fill in data */
		const char *version, *command;
	} * before;
	size_t n_before;
	/* A tool that is loaded once and forked for each step (templates/warm/, runner.sh). warm: what to load, in
	 * parts, a text of the interpreter's language; NULL: each step starts the tool by itself. up and down then call
	 * the interpreter as `stepbox_warm INTERPRETER …`. */
	const char *warm;
	const char *interpreter; /* shell words, as they stand in up and down; a program of templates/warm/ fits it: */
	const char *harness;     /* "python.py" */
	const char *from, *to;   /* a version, "base", "head", "current" (from only), or "+N"/"-N" (to only) */
	int64_t timeout_s;       /* per step */
	/* The code that goes with a version. checkout puts the checkout at $COMMIT and what belongs to it in place;
	 * commits has "VERSION COMMIT" lines in order. NULL: all steps run with the source as it is. */
	const char *checkout, *commits;
	bool branched;     /* commits: a version's own code need not lead over all that is listed before it */
	const char *files; /* prints "version<TAB>blob<TAB>path" of the versions' files; NULL: not told */
	/* Commands for ranges of versions, in this order: run before the step with which the walk comes to one of
	 * from … to, and again when the checkout has wiped what they left there (plan_wiped()). */
	size_t n_setups;
	const struct plan_setup {
		size_t n;              /* its number in the recipe, from 1 */
		const char *from, *to; /* versions, "base" or "head" */
		const char *title, *command;
		bool done; /* as a task: only to be repeated */
	} * setups;
	const char *refused;    /* extended regular expressions on the output: not used by the runner itself; */
	const char *env_failed; /* kept here so that a plan is complete as JSON */
	/* Variants: the first whose `when` (shell, in dir) succeeds replaces the snippets it names (NULL: keep). */
	size_t n_variants;
	struct plan_variant {
		const char *name, *when, *list, *up, *down, *current, *look, *warm;
	} variants[16];
};
void plan_set_walk(struct plan *p, const struct plan_walk *w); /* copies */

/* For people, one line a task, then the walk; verbose: with the commands. */
void plan_print(const struct plan *p, bool verbose, struct buf *out);
json_t *plan_json(const struct plan *p);
/* For the runner. */
void plan_script(const struct plan *p, struct buf *out);
size_t plan_n_tasks(const struct plan *p);
/* Title of task n (1-based), or "". */
const char *plan_task_title(const struct plan *p, size_t n);

#endif
