/* SPDX-License-Identifier: MIT */
/* Several recipes at once, each on a box and in a thread of its own: what run --vary, compare and bisect have in
 * common. */
#ifndef STEPBOX_CMD_FLEET_H
#define STEPBOX_CMD_FLEET_H

#include <pthread.h>

#include "cmd/job.h"
#include "cmd/opt.h"

#define FLEET_MAX 64

/* One recipe with its own list of assignments, and its box's life. */
struct ship {
	struct recipe recipe;
	struct job job;   /* job.run and job.exit_code are valid after fleet_run() */
	struct buf *list; /* borrowed: as in struct job, or NULL */
	struct opt_list sets;
	char *text[OPT_LIST_MAX]; /* owned assignments */
	size_t n_text;
	pthread_t thread;
	bool started;
	struct fleet *fleet; /* borrowed, while it runs */
	size_t place;
};

struct fleet {
	struct ship *ships[FLEET_MAX]; /* owned */
	size_t n;
	/* While it runs: whose turn it is to get an id. */
	pthread_mutex_t lock;
	pthread_cond_t next;
	size_t turn;
};
void fleet_finish(struct fleet *f);

/* What of a recipe shall be other than the file says. */
struct fleet_order {
	const char *path;      /* NULL: ./stepbox.yaml */
	const char *json;      /* instead of path: the recipe of an earlier run (store_run_recipe()) */
	struct opt_list set;   /* --set; what the caller adds must outlive the fleet's loading only */
	struct opt_list vary;  /* --vary: one ship per combination of values */
	const char *from, *to; /* or NULL */
	const char *label;     /* what is special about it, for people; NULL: what vary makes of it */
	bool cold;             /* migrations.cold */
};
/* Adds the recipe, or one ship for each combination that `vary` makes of it. ERR_USER when something does not fit. */
int fleet_add(struct fleet *f, const struct fleet_order *order, struct err *err) MUST_USE;

struct fleet_run {
	struct db *db;         /* borrowed */
	struct screen *screen; /* borrowed */
	enum keep keep;
	enum compile_what what;
	const char *question, *question_title; /* as in struct job, or NULL */
};
/* Runs all of them to their end, at the same time. Returns the worst exit code of them. */
int fleet_run(struct fleet *f, const struct fleet_run *how);
/* The worse of two exit codes: something left behind, then stopped, then trouble, then a finding. */
int fleet_worse(int a, int b);

#endif
