/* SPDX-License-Identifier: MIT */
/* The user's checkout as it is, packed for the box: everything git knows or would add (tracked, changed, untracked but
 * not ignored), the .git directory included so that versions can be traced; not a git checkout: everything. */
#ifndef STEPBOX_PROVISION_SOURCE_H
#define STEPBOX_PROVISION_SOURCE_H

#include <stdint.h>

#include "base/err.h"
#include "base/wait.h"

#define SOURCE_MAX_BYTES ((uint64_t)8 << 30)

/* Writes a tar of the tree at path to the file tar_path (0600). ERR_USER when path is no directory. A linked worktree
 * (.git is a file) is packed with a repository of its own. */
int source_pack(const char *path, const char *tar_path, mono_ms deadline, struct err *err) MUST_USE;

/* A git repository on this machine (bare or not), which the box cannot see: writes a tar of a `.git` whose HEAD is ref
 * (NULL: the repository's own HEAD), with all branches and tags, or with the newest depth commits of ref alone
 * (depth > 0), and of the commits that are listed in `commits` (one a line; "": none). `git reset --hard` on the box
 * makes the work tree. */
int source_pack_git(const char *repo, const char *ref, int64_t depth, const char *commits, const char *tar_path,
		    mono_ms deadline, struct err *err) MUST_USE;

#endif
