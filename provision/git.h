/* SPDX-License-Identifier: MIT */
/* git on this machine, to read repositories that may be anybody's: nothing that a repository's own configuration names
 * is run, nothing is asked of a user, nothing missing is fetched behind our back. */
#ifndef STEPBOX_PROVISION_GIT_H
#define STEPBOX_PROVISION_GIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/wait.h"

struct git_call {
	const char *repo;        /* run in it (a work tree or a bare repository); NULL: in / */
	const char *const *args; /* NULL-terminated, behind `git` */
	const void *input;       /* stdin, or NULL */
	size_t input_len;
	struct buf *out; /* stdout, or NULL */
	int answers;     /* exit codes up to this one are an answer, no error */
	bool network;    /* this call may speak to another machine by ssh, https, http, git or file */
	mono_ms deadline;
};

/* Returns git's exit code, at most `answers`; -1 with err: ERR_USER with git's first words, also when its
 * output does not fit; ERR_BOX at the deadline, ERR_CANCELED. */
int git_run(const struct git_call *c, struct err *err) MUST_USE;

#define GIT_HASH_MAX 65 /* hex digits of SHA-1 or SHA-256, and NUL */

/* The commit that ref names in repo: a branch or tag of it, then a branch of its origin, then a commit; NULL: HEAD. */
int git_resolve(const char *repo, const char *ref, char out[GIT_HASH_MAX], mono_ms deadline, struct err *err) MUST_USE;

/* Whether n bytes are 40 or 64 hex digits (lower case). */
bool git_is_hash(const char *s, size_t n);

#endif
