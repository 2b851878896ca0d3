/* SPDX-License-Identifier: MIT */
/* The files of each version as one tree has them: what `compare` tells forks apart by. */
#ifndef STEPBOX_MIGRATIONS_HISTORY_FILES_H
#define STEPBOX_MIGRATIONS_HISTORY_FILES_H

#include "migrations/history.h"

/* Appends "version<TAB>blob<TAB>path" lines, in the order of versions; nothing where there are none.
 * The tree of a commit: */
int history_files_of_commit(const struct history_map *map, const char *repo, const char *commit, struct buf *out,
			    mono_ms deadline, struct err *err) MUST_USE;
/* A work tree as it is: what git knows or would add, with its changes; where there is no git repository, all files. */
int history_files_of_tree(const struct history_map *map, const char *dir, struct buf *out, mono_ms deadline,
			  struct err *err) MUST_USE;
/* The versions of a walk, each at its own commit. */
void history_files_of_picks(const struct history *h, const struct history_pick *picks, size_t n, struct buf *out);
/* A command for a box that has git and the checkout as its working directory: prints the same lines of what is
 * committed there. spec: as adapter_history() gives it. */
int history_files_command(const json_t *spec, struct buf *out, struct err *err) MUST_USE;

#endif
