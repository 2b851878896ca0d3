/* SPDX-License-Identifier: MIT */
/* Child processes with an owner: started with an argv (never through a shell line made of foreign text), waited for
 * with a deadline and the stop pipe, killed with their process group when either comes. */
#ifndef STEPBOX_BASE_PROC_H
#define STEPBOX_BASE_PROC_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/wait.h"

struct proc_opts {
	const char *dir;        /* working directory; NULL: ours */
	const char *const *env; /* NULL-terminated "K=V" added to our environment; NULL: none */
	const void *input;      /* all of stdin, as a file in memory; NULL: /dev/null */
	size_t input_len;
	int input_fd;        /* used as stdin when > 0 (and input is NULL) */
	int output_fd;       /* stdout goes here when > 0 instead of into `out` */
	struct buf *out;     /* stdout is appended here; NULL: dropped */
	struct buf *errout;  /* stderr is appended here; NULL: see the next two, else dropped */
	bool merge;          /* stderr goes where stdout goes */
	bool inherit_stderr; /* stderr stays ours */
	mono_ms deadline;    /* 0 means DEADLINE_NEVER */
	enum wait_mode mode;
};

/* Runs argv (argv[0] searched on PATH) to its end. Output over a buffer's maximum is read and dropped.
 * Returns the exit code (128 + N when signal N ended it), or -1 with err: the program is missing (ERR_USER), the
 * deadline came (ERR_BOX) or the user stopped (ERR_CANCELED); its process group is gone by then. */
int proc_run(const char *const *argv, const struct proc_opts *opts, struct err *err) MUST_USE;

#endif
