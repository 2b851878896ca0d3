/* SPDX-License-Identifier: MIT */
/* One box's life: boot, send the plan, follow the journal, tear down. job_run() reads like the story; several jobs run
 * in threads of their own, sharing only the store and the screen. */
#ifndef STEPBOX_CMD_JOB_H
#define STEPBOX_CMD_JOB_H

#include "cmd/compile.h"
#include "cmd/screen.h"

enum keep { KEEP_NEVER, KEEP_ON_FAILURE, KEEP_ALWAYS };
/* "never", "on-failure", "always"; NULL is never. */
enum keep keep_parse(const char *text);

struct job {
	struct db *db;               /* borrowed, shared */
	struct screen *screen;       /* borrowed, shared */
	const struct recipe *recipe; /* borrowed */
	enum compile_what what;
	enum keep keep;
	const char *to;       /* COMPILE_WALK: where to, or NULL */
	const char *question; /* shell text asked behind the walk (plan_question()), or NULL; and its title */
	const char *question_title;
	struct buf *list; /* gets all versions, one a line; or NULL */
	const char *box;  /* COMPILE_WALK: the living box to step on */
	/* Of several jobs: called before the run gets its id, and (over) once it has one or will get none, so that ids
	 * can be given in order. NULL: no matter. */
	void (*turn)(struct job *job, bool over);
	void *turn_ctx;

	/* filled by job_run() */
	char run[64];
	int exit_code;
};

/* Boots a box (or takes job->box), provisions, walks, tears down as asked. Everything that goes wrong is shown and kept
 * in the store; the exit code says how it ended. */
void job_run(struct job *job);

/* Goes on with a run whose client is gone: reads the journal from where the store ends. keep: what happens to a box
 * that was not meant to stay. Returns the exit code. */
int job_attach(struct db *db, struct screen *screen, const char *id, enum keep keep, struct err *err);

#endif
