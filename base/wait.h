/* SPDX-License-Identifier: MIT */
/* The one place that sleeps: poll on a descriptor and the stop pipe with a monotonic deadline. */
#ifndef STEPBOX_BASE_WAIT_H
#define STEPBOX_BASE_WAIT_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

/* WAIT_IGNORE_STOP: for teardown, which has its own reserved time and ignores the first stop. */
enum wait_mode { WAIT_STOPPABLE, WAIT_IGNORE_STOP };

/* Waits until `events` (POLLIN/POLLOUT) or an error condition of fd, at most until the deadline. fd -1 waits for time
 * and stop only.
 * Returns 1 when the descriptor is ready, 0 when the deadline came, -1 with ERR_CANCELED on stop (or ERR_BUG when
 * poll itself failed). */
int wait_fd(int fd, short events, mono_ms deadline, enum wait_mode mode, struct err *err) MUST_USE;

/* Sleeps ms, or less: -1 with ERR_CANCELED on stop. */
int wait_ms(int64_t ms, enum wait_mode mode, struct err *err) MUST_USE;

#endif
