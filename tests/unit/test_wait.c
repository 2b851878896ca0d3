/* SPDX-License-Identifier: MIT */
#include "base/wait.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/stop.h"

struct pair {
	int fds[2];
};

static struct pair make_pair(void)
{
	struct pair p;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fds), 0);
	return p;
}

static void close_pair(struct pair *p)
{
	fd_closep(&p->fds[0]);
	fd_closep(&p->fds[1]);
}

static void test_ready(void **state)
{
	(void)state;
	CLEANUP(close_pair) struct pair p = make_pair();
	struct err err = ERR_INIT;
	assert_int_equal(wait_fd(p.fds[0], POLLOUT, clock_deadline(5000), WAIT_STOPPABLE, &err), 1);
	assert_int_equal(write(p.fds[1], "x", 1), 1);
	assert_int_equal(wait_fd(p.fds[0], POLLIN, clock_deadline(5000), WAIT_STOPPABLE, &err), 1);
	/* Ready wins over a deadline that is past. */
	assert_int_equal(wait_fd(p.fds[0], POLLIN, clock_mono() - 1000, WAIT_STOPPABLE, &err), 1);
	assert_int_equal(wait_fd(p.fds[0], POLLIN, DEADLINE_NEVER, WAIT_STOPPABLE, &err), 1);
}

static void test_deadline(void **state)
{
	(void)state;
	CLEANUP(close_pair) struct pair p = make_pair();
	struct err err = ERR_INIT;
	mono_ms begin = clock_mono();
	assert_int_equal(wait_fd(p.fds[0], POLLIN, clock_deadline(60), WAIT_STOPPABLE, &err), 0);
	assert_in_range(clock_mono() - begin, 59, 3000);
	begin = clock_mono();
	assert_int_equal(wait_fd(p.fds[0], POLLIN, 0, WAIT_STOPPABLE, &err), 0);
	assert_int_equal(wait_fd(-1, 0, INT64_MIN, WAIT_STOPPABLE, &err), 0);
	assert_true(clock_mono() - begin < 1000);
	begin = clock_mono();
	assert_int_equal(wait_ms(30, WAIT_STOPPABLE, &err), 0);
	assert_in_range(clock_mono() - begin, 29, 3000);
}

static void test_hangup_and_bad_descriptor(void **state)
{
	(void)state;
	CLEANUP(close_pair) struct pair p = make_pair();
	struct err err = ERR_INIT;
	fd_closep(&p.fds[1]);
	assert_int_equal(wait_fd(p.fds[0], 0, clock_deadline(5000), WAIT_STOPPABLE, &err), 1);
	assert_int_equal(wait_fd(9999, POLLIN, clock_deadline(5000), WAIT_STOPPABLE, &err), -1);
	assert_int_equal(err.reach, ERR_BUG);
	assert_int_equal(err.code, EBADF);
}

static void test_stop_before(void **state)
{
	(void)state;
	CLEANUP(close_pair) struct pair p = make_pair();
	struct err err = ERR_INIT;
	assert_int_equal(write(p.fds[1], "x", 1), 1);
	assert_false(stop_requested());
	stop_trigger();
	assert_true(stop_requested());
	assert_int_equal(wait_fd(p.fds[0], POLLIN, clock_deadline(5000), WAIT_STOPPABLE, &err), -1);
	assert_int_equal(err.reach, ERR_CANCELED);
	assert_string_equal(err.msg, "stopped");
	assert_int_equal(wait_fd(p.fds[0], POLLIN, clock_deadline(5000), WAIT_IGNORE_STOP, &err), 1);
	assert_int_equal(wait_ms(5, WAIT_IGNORE_STOP, &err), 0);
	assert_int_equal(wait_ms(5, WAIT_STOPPABLE, &err), -1);
	struct pollfd pipe_end = {.fd = stop_fd(), .events = POLLIN};
	assert_int_equal(poll(&pipe_end, 1, 0), 1); /* stays readable: for other threads, and for libcurl */
	stop_clear();
	assert_false(stop_requested());
	assert_int_equal(poll(&pipe_end, 1, 0), 0);
}

static void *trigger_later(void *arg)
{
	struct err err = ERR_INIT;
	int unused = wait_ms(50, WAIT_IGNORE_STOP, &err);
	(void)unused;
	if (arg)
		kill(getpid(), SIGTERM);
	else
		stop_trigger();
	return NULL;
}

static void *wait_for_stop(void *arg)
{
	struct err *err = arg;
	int rc = wait_fd(-1, 0, clock_deadline(10000), WAIT_STOPPABLE, err);
	return rc == -1 ? NULL : arg;
}

/* All waiting threads notice, whichever of them the signal interrupts. */
static void stop_all_threads(bool by_signal)
{
	pthread_t threads[8], later;
	struct err errs[ARRAY_SIZE(threads)] = {ERR_INIT};
	mono_ms begin = clock_mono();
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_for_stop, &errs[i]), 0);
	assert_int_equal(pthread_create(&later, NULL, trigger_later, by_signal ? &later : NULL), 0);
	pthread_join(later, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *bad = NULL;
		pthread_join(threads[i], &bad);
		assert_null(bad);
		assert_int_equal(errs[i].reach, ERR_CANCELED);
	}
	assert_true(clock_mono() - begin < 3000);
	assert_int_equal(stop_count(), 1);
	stop_clear();
}

static void test_stop_during(void **state)
{
	(void)state;
	stop_all_threads(false);
}

static void test_signal_during(void **state)
{
	(void)state;
	stop_all_threads(true);
}

static void on_usr1(int sig)
{
	(void)sig;
}

static void *interrupt(void *arg)
{
	pthread_t *target = arg;
	struct err err = ERR_INIT;
	for (int i = 0; i < 10; i++) {
		int unused = wait_ms(5, WAIT_IGNORE_STOP, &err);
		(void)unused;
		pthread_kill(*target, SIGUSR1);
	}
	return NULL;
}

/* Signals that mean nothing to us neither end a wait nor lengthen it. */
static void test_other_signals(void **state)
{
	(void)state;
	struct sigaction sa = {.sa_handler = on_usr1};
	sigaction(SIGUSR1, &sa, NULL);
	pthread_t self = pthread_self(), thread;
	mono_ms begin = clock_mono();
	assert_int_equal(pthread_create(&thread, NULL, interrupt, &self), 0);
	struct err err = ERR_INIT;
	assert_int_equal(wait_ms(200, WAIT_STOPPABLE, &err), 0);
	assert_in_range(clock_mono() - begin, 199, 3000);
	pthread_join(thread, NULL);
}

/* Runs in a child: two signals, the second must not come back. */
static void two_signals(int errout, int sig)
{
	dup2(errout, STDERR_FILENO);
	stop_set_last_words("still there: stepbox gc\n");
	raise(sig);
	if (stop_count() != 1)
		_exit(98);
	raise(SIGTERM);
	_exit(99);
}

static void test_second_signal(void **state)
{
	(void)state;
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		CLEANUP(close_pair) struct pair p = make_pair();
		pid_t pid = fork();
		if (pid == 0)
			two_signals(p.fds[1], signals[i]);
		int status = 0;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 4);
		char text[100] = "";
		assert_true(recv(p.fds[0], text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
		assert_string_equal(text, "still there: stepbox gc\n");
	}
}

/* nohup's SIG_IGN is respected; SIGPIPE is an error code, SIGCHLD works even when the parent ignored it. */
static void test_dispositions(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGHUP, SIG_IGN);
		signal(SIGCHLD, SIG_IGN);
		stop_install();
		raise(SIGHUP);
		raise(SIGPIPE);
		struct sigaction sa;
		sigaction(SIGCHLD, NULL, &sa);
		_exit(stop_count() == 0 && sa.sa_handler == SIG_DFL ? 0 : 1);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	stop_install();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_hangup_and_bad_descriptor),
		cmocka_unit_test(test_stop_before),
		cmocka_unit_test(test_stop_during),
		cmocka_unit_test(test_signal_during),
		cmocka_unit_test(test_other_signals),
		cmocka_unit_test(test_second_signal),
		cmocka_unit_test(test_dispositions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
