/* SPDX-License-Identifier: MIT */
/* A TCP proxy on a loopback port that cuts its connections after a random number of bytes (both directions counted),
 * half of them by FIN and half by RST, a given number of times; afterwards it lets all through. One connection at a
 * time. */
#ifndef STEPBOX_TESTS_FAKE_CUTTER_H
#define STEPBOX_TESTS_FAKE_CUTTER_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/fake/sshd.h"

struct cutter {
	int fd, port, to_port;
	int wake[2];
	pthread_t thread;
	unsigned seed;
	size_t min, max;
	int cuts_left;
	int delay_ms; /* each piece that comes through is held so long */
	atomic_int cuts, connections;
};

static inline int cutter_dial(int port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Moves what is there, at most limit bytes; -1 at the end of the stream. */
static inline ssize_t cutter_move(int from, int to, size_t limit)
{
	char block[16384];
	ssize_t n = recv(from, block, limit < sizeof(block) ? limit : sizeof(block), 0);
	for (ssize_t done = 0; done < n;) {
		ssize_t sent = send(to, block + done, (size_t)(n - done), MSG_NOSIGNAL);
		if (sent < 0)
			return -1;
		done += sent;
	}
	return n > 0 ? n : -1;
}

static inline void cutter_carry(struct cutter *c, int a, int b)
{
	bool cut = c->cuts_left > 0;
	size_t left = cut ? c->min + (size_t)rand_r(&c->seed) % (c->max - c->min + 1) : SIZE_MAX;
	for (;;) {
		struct pollfd fds[] = {{a, POLLIN, 0}, {b, POLLIN, 0}, {c->wake[0], POLLIN, 0}};
		if (poll(fds, 3, -1) < 0 || fds[2].revents)
			return;
		for (int i = 0; i < 2; i++) {
			if (fds[i].revents && c->delay_ms)
				poll(NULL, 0, c->delay_ms);
			ssize_t n = fds[i].revents ? cutter_move(i ? b : a, i ? a : b, left) : 0;
			if (n < 0)
				return;
			left -= (size_t)n;
			if (left == 0) {
				struct linger now = {.l_onoff = 1, .l_linger = 0};
				if (rand_r(&c->seed) & 1)
					setsockopt(a, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
				c->cuts_left--;
				atomic_fetch_add(&c->cuts, 1);
				return;
			}
		}
	}
}

static inline void *cutter_main(void *arg)
{
	struct cutter *c = arg;
	for (;;) {
		struct pollfd fds[] = {{c->fd, POLLIN, 0}, {c->wake[0], POLLIN, 0}};
		if (poll(fds, 2, -1) < 0 || fds[1].revents)
			return NULL;
		int a = accept(c->fd, NULL, NULL);
		int b = cutter_dial(c->to_port);
		atomic_fetch_add(&c->connections, 1);
		if (a >= 0 && b >= 0)
			cutter_carry(c, a, b);
		if (a >= 0)
			close(a);
		if (b >= 0)
			close(b);
	}
}

static inline void cutter_start(struct cutter *c, int to_port, int cuts, size_t min, size_t max, unsigned seed)
{
	memset(c, 0, sizeof(*c));
	c->port = free_port(&c->fd);
	c->to_port = to_port;
	c->cuts_left = cuts;
	c->min = min;
	c->max = max;
	c->seed = seed;
	if (listen(c->fd, 16) < 0 || pipe(c->wake) < 0 || pthread_create(&c->thread, NULL, cutter_main, c))
		abort();
}

static inline void cutter_end(struct cutter *c)
{
	if (write(c->wake[1], "x", 1) != 1)
		abort();
	pthread_join(c->thread, NULL);
	close(c->fd);
	close(c->wake[0]);
	close(c->wake[1]);
}

#endif
