/* SPDX-License-Identifier: MIT */
/* Files and the directories stepbox keeps. */
#ifndef STEPBOX_BASE_FS_H
#define STEPBOX_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Reads a whole regular file of at most max bytes into out (appended). ERR_USER with the path and cause. */
int fs_read(const char *path, size_t max, struct buf *out, struct err *err) MUST_USE;
/* Writes path by a temporary file beside it and rename(), with fsync; mode as given. */
int fs_write(const char *path, const void *data, size_t n, mode_t mode, struct err *err) MUST_USE;
/* mkdir -p; the directories that are new get the mode. */
int fs_mkdirs(const char *path, mode_t mode, struct err *err) MUST_USE;
/* rm -rf; a missing path is fine; never follows symbolic links, never crosses a mount point. */
int fs_remove_tree(const char *path, struct err *err) MUST_USE;
bool fs_exists(const char *path);
bool fs_is_dir(const char *path);
/* The full path of a program on PATH (caller frees), or NULL. */
char *fs_which(const char *program);

/* $XDG_STATE_HOME/stepbox, $XDG_CACHE_HOME/stepbox, $XDG_CONFIG_HOME/stepbox by the XDG base directory rules ($HOME
 * fallbacks; without HOME the password database's home). Static storage, computed once. */
const char *fs_state_dir(void);
const char *fs_cache_dir(void);
const char *fs_config_dir(void);

#endif
