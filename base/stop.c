/* SPDX-License-Identifier: MIT */
#include "base/stop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* Design, exit codes: something may still be running. */
#define EXIT_SECOND_SIGNAL 4

static atomic_int count;
static _Atomic(const char *) last_words;
static atomic_int pipe_read = -1, pipe_write = -1;
static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_POINTER_LOCK_FREE == 2, "used by a signal handler");

void stop_trigger(void)
{
	int saved = errno;
	if (atomic_fetch_add(&count, 1) > 0) {
		const char *text = atomic_load(&last_words);
		ssize_t ignored = text ? write(STDERR_FILENO, text, strlen(text)) : 0;
		(void)ignored;
		_exit(EXIT_SECOND_SIGNAL);
	}
	/* The count comes first: who finds the pipe readable finds the count. */
	ssize_t ignored = write(atomic_load(&pipe_write), "s", 1);
	(void)ignored;
	errno = saved;
}

static void on_signal(int sig)
{
	(void)sig;
	stop_trigger();
}

static void catch_signal(int sig)
{
	struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART: blocking calls shall notice */
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGINT);
	sigaddset(&sa.sa_mask, SIGTERM);
	sigaddset(&sa.sa_mask, SIGHUP);
	sigaction(sig, &sa, NULL);
}

void stop_install(void)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		perror("stepbox: pipe");
		abort();
	}
	atomic_store(&pipe_read, fds[0]);
	atomic_store(&pipe_write, fds[1]);

	catch_signal(SIGINT);
	catch_signal(SIGTERM);
	struct sigaction old;
	if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN) /* nohup stepbox … stays so */
		catch_signal(SIGHUP);

	struct sigaction sa = {.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, &sa, NULL);
	sa.sa_handler = SIG_DFL; /* inherited as ignored it would take the exit codes of our children away */
	sigaction(SIGCHLD, &sa, NULL);
}

int stop_count(void)
{
	return atomic_load(&count);
}

bool stop_requested(void)
{
	return stop_count() > 0;
}

int stop_fd(void)
{
	return atomic_load(&pipe_read);
}

void stop_set_last_words(const char *text)
{
	atomic_store(&last_words, text);
}

void stop_clear(void)
{
	char bytes[16];
	while (read(stop_fd(), bytes, sizeof(bytes)) > 0)
		;
	atomic_store(&count, 0);
}
