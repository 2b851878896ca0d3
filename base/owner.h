/* SPDX-License-Identifier: MIT */
/* Who works with a row of the store: a process id alone is recycled by the kernel, together with the process's start
 * time it is not. Used by the ledger (boxes) and by the store of runs. */
#ifndef STEPBOX_BASE_OWNER_H
#define STEPBOX_BASE_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Start time of a living process in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)); 0 when there is no
 * such process, or when it is a zombie: that works with nothing any more. */
int64_t owner_start(pid_t pid);

/* Whether the process that wrote (pid, start) into a row still lives. False for pid 0 (owned by nobody). */
bool owner_alive(int64_t pid, int64_t start);

#endif
