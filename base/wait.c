/* SPDX-License-Identifier: MIT */
#include "base/wait.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "base/stop.h"

/* Milliseconds until the deadline as poll() takes them; long waits are done in pieces. */
static int poll_timeout(mono_ms deadline)
{
	mono_ms now = clock_mono();
	if (deadline <= now)
		return 0;
	return deadline - now < INT_MAX ? (int)(deadline - now) : INT_MAX;
}

int wait_fd(int fd, short events, mono_ms deadline, enum wait_mode mode, struct err *err)
{
	struct pollfd fds[] = {
		{.fd = fd, .events = events},
		{.fd = mode == WAIT_STOPPABLE ? stop_fd() : -1, .events = POLLIN},
	};
	for (;;) {
		/* The flag, not the pipe: it is also right after EINTR. A signal between this look and poll() is in
		 * the pipe. */
		if (mode == WAIT_STOPPABLE && stop_requested())
			return err_set(err, ERR_CANCELED, 0, "stopped");
		int timeout = poll_timeout(deadline);
		int n = poll(fds, ARRAY_SIZE(fds), timeout);
		if (n < 0 && errno != EINTR)
			return err_sys(err, ERR_BUG, errno, "poll");
		if (n > 0 && fds[0].revents & POLLNVAL)
			return err_sys(err, ERR_BUG, EBADF, "poll of descriptor %d", fd);
		if (n > 0 && fds[0].revents && !(mode == WAIT_STOPPABLE && stop_requested()))
			return 1;
		if (n == 0 && clock_mono() >= deadline)
			return 0;
	}
}

int wait_ms(int64_t ms, enum wait_mode mode, struct err *err)
{
	return wait_fd(-1, 0, clock_deadline(ms), mode, err);
}
