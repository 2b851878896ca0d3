/* SPDX-License-Identifier: MIT */
/* ssh.c against a real sshd, and against things that are none. */
#include "provision/ssh.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/stop.h"
#include "tests/fake/cutter.h"
#include "tests/fake/sshd.h"

#define SOON_MS 30000 /* the machine may be busy */
#define AT_ONCE 10000 /* much sooner than that */

static struct sshd box;

static struct ssh *must_connect(void)
{
	struct ssh_target t = sshd_target(&box);
	struct err err = ERR_INIT;
	struct ssh *s = ssh_connect(&t, clock_deadline(SOON_MS), WAIT_STOPPABLE, &err);
	if (!s)
		print_error("%s\n", err.msg);
	assert_non_null(s);
	return s;
}

/* Everything a command prints. */
static void run(struct ssh *s, const char *command, struct buf *out)
{
	struct err err = ERR_INIT;
	char block[65536];
	ssize_t n = 0;
	assert_int_equal(ssh_exec(s, command, clock_deadline(SOON_MS), &err), 0);
	while ((n = ssh_read(s, block, sizeof(block), clock_deadline(SOON_MS), &err)) > 0)
		buf_add(out, block, (size_t)n);
	if (n < 0)
		print_error("%s\n", err.msg);
	assert_int_equal(n, 0);
	ssh_channel_close(s, clock_deadline(SOON_MS));
}

static void test_right_key(void **state)
{
	(void)state;
	CLEANUP(ssh_closep) struct ssh *s = must_connect();
	AUTO_BUF out = buf_make(4096);
	run(s, "echo out; echo err >&2; exit 3", &out);
	assert_non_null(strstr(out.data, "out\n"));
	assert_non_null(strstr(out.data, "err\n"));
	buf_reset(&out);
	run(s, "echo again", &out); /* one channel after the other */
	assert_string_equal(out.data, "again\n");
}

static void test_stdin(void **state)
{
	(void)state;
	CLEANUP(ssh_closep) struct ssh *s = must_connect();
	struct err err = ERR_INIT;
	char block[64] = "";
	assert_int_equal(ssh_exec(s, "sha256sum", clock_deadline(SOON_MS), &err), 0);
	size_t size = 5u << 20;
	AUTO_FREE char *data = xcalloc(1, size);
	char want[SHA256_HEX];
	random_bytes(data, size);
	sha256_hex(data, size, want);
	assert_int_equal(ssh_write(s, data, size, clock_deadline(SOON_MS), &err), 0);
	assert_int_equal(ssh_write_eof(s, clock_deadline(SOON_MS), &err), 0);
	assert_int_equal(ssh_read(s, block, 64, clock_deadline(SOON_MS), &err), 64);
	assert_memory_equal(block, want, 64);
}

/* The far end sends as much as it gets: without reading while writing, both would wait for ever. */
static void test_echo_does_not_lock(void **state)
{
	(void)state;
	CLEANUP(ssh_closep) struct ssh *s = must_connect();
	struct err err = ERR_INIT;
	size_t size = 3u << 20, got = 0;
	AUTO_FREE char *data = xcalloc(1, size);
	AUTO_FREE char *back = xcalloc(1, size);
	random_bytes(data, size);
	assert_int_equal(ssh_exec(s, "cat", clock_deadline(SOON_MS), &err), 0);
	if (ssh_write(s, data, size, clock_deadline(SOON_MS), &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(ssh_write_eof(s, clock_deadline(SOON_MS), &err), 0);
	ssize_t n;
	while (got < size && (n = ssh_read(s, back + got, size - got, clock_deadline(SOON_MS), &err)) > 0)
		got += (size_t)n;
	assert_int_equal(got, size);
	assert_memory_equal(data, back, size);
}

static void test_early_end_of_command(void **state)
{
	(void)state;
	CLEANUP(ssh_closep) struct ssh *s = must_connect();
	struct err err = ERR_INIT;
	size_t size = 8u << 20;
	AUTO_FREE char *data = xcalloc(1, size);
	char block[64] = "";
	assert_int_equal(ssh_exec(s, "echo enough", clock_deadline(SOON_MS), &err), 0);
	assert_int_equal(ssh_write(s, data, size, clock_deadline(SOON_MS), &err), -1);
	assert_int_equal(err.code, EPIPE);
	assert_int_equal(ssh_read(s, block, sizeof(block), clock_deadline(SOON_MS), &err), 7);
	assert_string_equal(block, "enough\n");
	assert_int_equal(ssh_read(s, block, sizeof(block), clock_deadline(SOON_MS), &err), 0);
}

static void test_wrong_host_key(void **state)
{
	(void)state;
	struct sshd d;
	struct err err = ERR_INIT;
	assert_true(sshd_start(&d, "LogLevel DEBUG1"));
	struct ssh_target t = sshd_target(&d);
	t.host_blob[KEY_BLOB_LEN - 1] ^= 1;
	mono_ms began = clock_mono();
	assert_null(ssh_connect(&t, clock_deadline(SOON_MS), WAIT_STOPPABLE, &err));
	assert_true(clock_mono() - began < AT_ONCE);
	char want[256];
	snprintf(want, sizeof(want), "127.0.0.1:%d: host key is not the one this box was given (refused before login)",
		 d.port);
	assert_string_equal(err.msg, want);
	assert_int_equal(err.reach, ERR_BOX);
	assert_int_equal(err.code, EKEYREJECTED);
	for (int i = 0; i < 50 && !sshd_logged(&d, "Connection closed by 127.0.0.1"); i++)
		assert_int_equal(wait_ms(20, WAIT_STOPPABLE, &err), 0);
	assert_int_equal(sshd_logged(&d, "Connection closed by 127.0.0.1"), 1);
	assert_int_equal(sshd_logged(&d, "KEX done"), 1);
	assert_int_equal(sshd_logged(&d, "userauth"), 0);
	memcpy(t.host_blob, d.host.blob, KEY_BLOB_LEN); /* the log would show an attempt */
	CLEANUP(ssh_closep) struct ssh *s = ssh_connect(&t, clock_deadline(SOON_MS), WAIT_STOPPABLE, &err);
	assert_non_null(s);
	assert_true(sshd_logged(&d, "userauth") > 0);
	sshd_end(&d);
}

static void test_refused_login(void **state)
{
	(void)state;
	struct ssh_target t = sshd_target(&box);
	struct err err = ERR_INIT;
	struct key other;
	assert_int_equal(key_generate(&other, "other", &err), 0);
	memcpy(t.private_pem, other.private_pem, sizeof(t.private_pem));
	mono_ms began = clock_mono();
	assert_null(ssh_connect(&t, clock_deadline(SOON_MS), WAIT_STOPPABLE, &err));
	assert_true(clock_mono() - began < AT_ONCE);
	assert_int_equal(err.code, EACCES);
	assert_non_null(strstr(err.msg, "refused the login key of root"));
}

static void test_broken_login_key(void **state)
{
	(void)state;
	struct ssh_target t = sshd_target(&box);
	struct err err = ERR_INIT;
	snprintf(t.private_pem, sizeof(t.private_pem), "-----BEGIN OPENSSH PRIVATE KEY-----\nno\n");
	assert_null(ssh_connect(&t, clock_deadline(SOON_MS), WAIT_STOPPABLE, &err));
	assert_int_equal(err.reach, ERR_BOX);
	assert_non_null(strstr(err.msg, "login"));
}

/* Only an ECDSA host key: there is no algorithm in common, and trying again does not help. */
static void test_other_host_key_type(void **state)
{
	(void)state;
	struct sshd d;
	struct err err = ERR_INIT;
	char command[256];
	assert_true(sshd_prepare(&d, NULL));
	snprintf(command, sizeof(command), "%s/host", d.dir);
	unlink(command);
	pid_t pid = fork();
	if (pid == 0) {
		execlp("ssh-keygen", "ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", command, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	sshd_launch(&d);
	struct ssh_target t = sshd_target(&d);
	mono_ms began = clock_mono();
	assert_null(ssh_connect(&t, clock_deadline(SOON_MS), WAIT_STOPPABLE, &err));
	assert_true(clock_mono() - began < AT_ONCE);
	assert_non_null(strstr(err.msg, "handshake"));
	sshd_end(&d);
}

static atomic_int connected;

/* sshd ends with the thread that started it. */
static void *start_later(void *arg)
{
	struct err err = ERR_INIT;
	if (wait_ms(1200, WAIT_IGNORE_STOP, &err) == 0)
		sshd_launch(arg);
	while (!connected && wait_ms(20, WAIT_IGNORE_STOP, &err) == 0)
		;
	return NULL;
}

static void test_listening_later(void **state)
{
	(void)state;
	struct sshd d;
	struct err err = ERR_INIT;
	pthread_t thread;
	assert_true(sshd_prepare(&d, NULL));
	struct ssh_target t = sshd_target(&d);
	assert_int_equal(pthread_create(&thread, NULL, start_later, &d), 0);
	mono_ms began = clock_mono();
	CLEANUP(ssh_closep) struct ssh *s = ssh_connect(&t, clock_deadline(SOON_MS), WAIT_STOPPABLE, &err);
	mono_ms took = clock_mono() - began;
	connected = 1;
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (!s)
		fail_msg("%s", err.msg);
	assert_true(took >= 1200 && took < AT_ONCE);
	sshd_end(&d);
}

/* A connection that ends anywhere before the login is done is no refusal: it is tried again. */
static void test_cut_before_login(void **state)
{
	(void)state;
	for (size_t at = 1; at < 4000; at += 97) {
		struct cutter c;
		struct err err = ERR_INIT;
		cutter_start(&c, box.port, 1, at, at, (unsigned)at);
		struct ssh_target t = sshd_target(&box);
		t.port = c.port;
		struct ssh *s = ssh_connect(&t, clock_deadline(SOON_MS), WAIT_STOPPABLE, &err);
		if (!s)
			fail_msg("cut at byte %zu: %s", at, err.msg);
		ssh_close(s);
		cutter_end(&c);
	}
}

static void test_nothing_listens(void **state)
{
	(void)state;
	struct ssh_target t = sshd_target(&box);
	struct err err = ERR_INIT;
	t.port = free_port(NULL);
	mono_ms began = clock_mono();
	assert_null(ssh_connect(&t, clock_deadline(600), WAIT_STOPPABLE, &err));
	assert_true(clock_mono() - began < AT_ONCE);
	assert_int_equal(err.code, ECONNREFUSED);
	assert_non_null(strstr(err.msg, "connecting: Connection refused (given up after "));
}

/* Accepts (the kernel does) and never says a word; or says the same for ever. */
static int open_listener(struct ssh_target *t)
{
	int fd;
	*t = sshd_target(&box);
	t->port = free_port(&fd);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static void test_black_hole(void **state)
{
	(void)state;
	struct ssh_target t;
	struct err err = ERR_INIT;
	AUTO_CLOSE int fd = open_listener(&t);
	mono_ms began = clock_mono();
	assert_null(ssh_connect(&t, clock_deadline(700), WAIT_STOPPABLE, &err));
	mono_ms took = clock_mono() - began;
	assert_true(took >= 600 && took < AT_ONCE);
	assert_int_equal(err.code, ETIMEDOUT);
	assert_non_null(strstr(err.msg, "SSH handshake: no answer in time"));
}

static void *chatter(void *arg)
{
	int fd = accept(*(int *)arg, NULL, NULL);
	char line[4096];
	memset(line, 'x', sizeof(line));
	line[100] = '\n';
	while (send(fd, line, sizeof(line), MSG_NOSIGNAL) > 0)
		;
	close(fd);
	return NULL;
}

static void test_endless_banner(void **state)
{
	(void)state;
	struct ssh_target t;
	struct err err = ERR_INIT;
	pthread_t thread;
	AUTO_CLOSE int fd = open_listener(&t);
	assert_int_equal(pthread_create(&thread, NULL, chatter, &fd), 0);
	mono_ms began = clock_mono();
	assert_null(ssh_connect(&t, clock_deadline(SOON_MS), WAIT_STOPPABLE, &err));
	assert_true(clock_mono() - began < AT_ONCE);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_killed_session(void **state)
{
	(void)state;
	static const int signals[] = {SIGTERM, SIGKILL};
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		CLEANUP(ssh_closep) struct ssh *s = must_connect();
		struct err err = ERR_INIT;
		char block[100];
		assert_int_equal(ssh_exec(s, "echo 1; sleep 30", clock_deadline(SOON_MS), &err), 0);
		assert_int_equal(ssh_read(s, block, sizeof(block), clock_deadline(SOON_MS), &err), 2);
		assert_true(sshd_kill_sessions(&box, signals[i]) >= 1);
		assert_int_equal(ssh_read(s, block, sizeof(block), clock_deadline(SOON_MS), &err), -1);
		assert_int_equal(err.code, ECONNRESET);
		assert_int_equal(err.reach, ERR_BOX);
		err_clear(&err);
		assert_int_equal(ssh_read(s, block, sizeof(block), clock_deadline(SOON_MS), &err), -1);
		assert_int_equal(ssh_write(s, block, 1, clock_deadline(SOON_MS), &err), -1);
		ssh_channel_close(s, clock_deadline(SOON_MS));
	}
}

static void test_silence_is_fine(void **state)
{
	(void)state;
	CLEANUP(ssh_closep) struct ssh *s = must_connect();
	struct err err = ERR_INIT;
	char block[100];
	assert_int_equal(ssh_exec(s, "sleep 1; echo late", clock_deadline(SOON_MS), &err), 0);
	assert_int_equal(ssh_read(s, block, sizeof(block), clock_deadline(100), &err), -1);
	assert_int_equal(err.code, ETIMEDOUT);
	err_clear(&err);
	assert_int_equal(ssh_read(s, block, sizeof(block), DEADLINE_NEVER, &err), 5);
	assert_memory_equal(block, "late\n", 5);
}

static void *stop_soon(void *arg)
{
	struct err err = ERR_INIT;
	(void)arg;
	if (wait_ms(150, WAIT_IGNORE_STOP, &err) == 0)
		stop_trigger();
	return NULL;
}

/* Runs wait() with a stop coming after 150 ms, and checks that it ends by it, at once. */
static void check_stop(int (*wait)(void *ctx, struct err *err), void *ctx)
{
	struct err err = ERR_INIT;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
	mono_ms began = clock_mono();
	int rc = wait(ctx, &err);
	mono_ms took = clock_mono() - began;
	assert_int_equal(pthread_join(thread, NULL), 0);
	stop_clear();
	assert_int_equal(rc, -1);
	assert_int_equal(err.reach, ERR_CANCELED);
	assert_true(took >= 100 && took < AT_ONCE);
}

static int wait_in_connect(void *ctx, struct err *err)
{
	struct ssh *s = ssh_connect(ctx, clock_deadline(SOON_MS), WAIT_STOPPABLE, err);
	ssh_close(s);
	return s ? 0 : -1;
}

static int wait_in_read(void *ctx, struct err *err)
{
	char block[100];
	return ssh_read(ctx, block, sizeof(block), DEADLINE_NEVER, err) < 0 ? -1 : 0;
}

static int wait_in_write(void *ctx, struct err *err)
{
	size_t size = 8u << 20;
	AUTO_FREE char *data = xcalloc(1, size);
	return ssh_write(ctx, data, size, clock_deadline(SOON_MS), err);
}

static int wait_in_exec(void *ctx, struct err *err)
{
	return ssh_exec(ctx, "true", clock_deadline(SOON_MS), err);
}

static void test_stop(void **state)
{
	(void)state;
	struct ssh_target t;
	struct err err = ERR_INIT;
	AUTO_CLOSE int hole = open_listener(&t);
	check_stop(wait_in_connect, &t); /* in the handshake */
	t.port = free_port(NULL);
	check_stop(wait_in_connect, &t); /* between refused connects */
	snprintf(t.address, sizeof(t.address), "192.0.2.1");
	CLEANUP(ssh_closep) struct ssh *reader = must_connect();
	assert_int_equal(ssh_exec(reader, "sleep 40", clock_deadline(SOON_MS), &err), 0);
	check_stop(wait_in_read, reader);
	CLEANUP(ssh_closep) struct ssh *writer = must_connect();
	assert_int_equal(ssh_exec(writer, "sleep 40", clock_deadline(SOON_MS), &err), 0);
	check_stop(wait_in_write, writer);
	CLEANUP(ssh_closep) struct ssh *starter = must_connect();
	assert_true(sshd_kill_sessions(&box, SIGSTOP) >= 1);
	check_stop(wait_in_exec, starter);
	sshd_kill_sessions(&box, SIGCONT);
}

static void test_ignores_stop_in_teardown(void **state)
{
	(void)state;
	struct ssh_target t = sshd_target(&box);
	struct err err = ERR_INIT;
	stop_trigger();
	CLEANUP(ssh_closep) struct ssh *s = ssh_connect(&t, clock_deadline(SOON_MS), WAIT_IGNORE_STOP, &err);
	assert_non_null(s);
	AUTO_BUF out = buf_make(100);
	run(s, "echo still", &out);
	assert_string_equal(out.data, "still\n");
	stop_clear();
}

static void test_big_stream_in_little_memory(void **state)
{
	(void)state;
	CLEANUP(ssh_closep) struct ssh *s = must_connect();
	struct err err = ERR_INIT;
	struct rusage before, after;
	size_t total = 0;
	AUTO_FREE char *block = xcalloc(1, 65536);
	assert_int_equal(ssh_exec(s, "head -c 50000000 /dev/zero", clock_deadline(SOON_MS), &err), 0);
	getrusage(RUSAGE_SELF, &before);
	ssize_t n;
	while ((n = ssh_read(s, block, 65536, clock_deadline(SOON_MS), &err)) > 0)
		total += (size_t)n;
	getrusage(RUSAGE_SELF, &after);
	assert_int_equal(n, 0);
	assert_int_equal(total, 50000000);
	assert_true(after.ru_maxrss - before.ru_maxrss < 6144L * MEMORY_FACTOR);
}

/* While we do not read, only the window may come in, not the stream. */
static void test_slow_reader_is_bounded(void **state)
{
	(void)state;
	CLEANUP(ssh_closep) struct ssh *s = must_connect();
	struct err err = ERR_INIT;
	size_t total = 0;
	AUTO_FREE char *block = xcalloc(1, 65536);
	assert_int_equal(ssh_exec(s, "head -c 20000000 /dev/zero", clock_deadline(SOON_MS), &err), 0);
	ssize_t n;
	while ((n = ssh_read(s, block, 65536, clock_deadline(SOON_MS), &err)) > 0) {
		if (total < (1 << 20))
			assert_int_equal(wait_ms(5, WAIT_STOPPABLE, &err), 0);
		total += (size_t)n;
	}
	assert_int_equal(total, 20000000);
}

/* ---- watching the contact ---- */

struct seen {
	struct buf text;
	int stages;
};

static void on_stage(void *ctx, const char *stage, const char *detail)
{
	struct seen *seen = ctx;
	buf_addf(&seen->text, "%s%s%s\n", stage, detail ? ": " : "", detail ? detail : "");
	seen->stages++;
}

/* Connects as to a cloud box in its first boot (or not) and tells how long it took. */
static struct ssh *watched(const struct ssh_target *t, bool fresh, struct seen *seen, mono_ms *took, struct err *err)
{
	*seen = (struct seen){.text = buf_make(100000)};
	struct ssh_watch watch = {.stage = on_stage, .ctx = seen, .fresh = fresh};
	mono_ms began = clock_mono();
	struct ssh *s = ssh_connect_while(t, clock_deadline(SOON_MS), WAIT_STOPPABLE, &watch, err);
	*took = clock_mono() - began;
	return s;
}

static void test_stages(void **state)
{
	(void)state;
	struct sshd d;
	struct seen seen;
	struct err err = ERR_INIT;
	mono_ms took;
	pthread_t thread;
	char want[128];
	assert_true(sshd_prepare(&d, NULL));
	struct ssh_target t = sshd_target(&d);
	connected = 0;
	assert_int_equal(pthread_create(&thread, NULL, start_later, &d), 0);
	struct ssh *s = watched(&t, false, &seen, &took, &err);
	connected = 1;
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_non_null(s);
	ssh_close(s);
	snprintf(want, sizeof(want), "port %d\nport %d: Connection refused\nhost key\nlogin\n", d.port, d.port);
	assert_string_equal(seen.text.data, want);
	assert_int_equal(err.reach, ERR_NONE); /* nothing is left of the tries */
	buf_finish(&seen.text);
	sshd_end(&d);
}

/* A port whose packets are dropped, as before a security group is applied: here by an accept queue that is full. */
struct dropping {
	struct cutter c;
	int filler;
};

static void *open_later(void *arg)
{
	struct dropping *d = arg;
	struct err err = ERR_INIT;
	if (wait_ms(1200, WAIT_IGNORE_STOP, &err) == 0)
		fd_closep(&d->filler);
	return cutter_main(&d->c);
}

static void dropping_start(struct dropping *d)
{
	memset(d, 0, sizeof(*d));
	d->c.port = free_port(&d->c.fd);
	d->c.to_port = box.port;
	assert_int_equal(listen(d->c.fd, 0), 0);
	assert_int_equal(pipe(d->c.wake), 0);
	d->filler = cutter_dial(d->c.port);
	assert_true(d->filler >= 0);
	assert_int_equal(pthread_create(&d->c.thread, NULL, open_later, d), 0);
}

static void test_silent_port_opens(void **state)
{
	(void)state;
	struct dropping d;
	struct seen seen;
	struct err err = ERR_INIT;
	mono_ms took;
	dropping_start(&d);
	struct ssh_target t = sshd_target(&box);
	t.port = d.c.port;
	struct ssh *s = watched(&t, false, &seen, &took, &err);
	if (!s)
		fail_msg("%s", err.msg);
	ssh_close(s);
	print_message("open after 1200 ms, in after %lld ms, %d connections\n", (long long)took, d.c.connections);
	assert_true(took >= 1200 && took < 1200 + 2500); /* one attempt after the other: up to 2 s later */
	assert_null(strstr(seen.text.data, ": "));
	buf_finish(&seen.text);
	cutter_end(&d.c);
}

static void test_silent_for_good(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct seen seen = {.text = buf_make(10000)};
	struct ssh_target t = sshd_target(&box);
	AUTO_CLOSE int fd = -1;
	t.port = free_port(&fd);
	assert_int_equal(listen(fd, 0), 0);
	AUTO_CLOSE int filler = cutter_dial(t.port);
	struct ssh_watch watch = {.stage = on_stage, .ctx = &seen};
	mono_ms began = clock_mono();
	assert_null(ssh_connect_while(&t, clock_deadline(2600), WAIT_STOPPABLE, &watch, &err));
	assert_true(filler >= 0 && clock_mono() - began >= 2500 && clock_mono() - began < AT_ONCE);
	assert_int_equal(err.code, ETIMEDOUT);
	assert_non_null(strstr(err.msg, "connecting: Connection timed out (given up after "));
	assert_non_null(strstr(seen.text.data, ": Connection timed out\n"));
	assert_int_equal(seen.stages, 2); /* not once for each attempt */
	buf_finish(&seen.text);
}

/* ---- a first boot ---- */

/* sshd is first there with a key of the image, and a second later with ours. */
static void *boot(void *arg)
{
	struct sshd *d = arg;
	struct key other;
	struct err err = ERR_INIT;
	if (key_generate(&other, "other", &err) < 0)
		abort();
	sshd_write(d, "host", other.private_pem, 0600);
	if (wait_ms(300, WAIT_IGNORE_STOP, &err) == 0)
		sshd_launch(d);
	if (wait_ms(1500, WAIT_IGNORE_STOP, &err) < 0)
		abort();
	/* What was just forked has our handler for SIGTERM: no launch that nobody connects to. */
	if (connected)
		return NULL;
	kill(d->pid, SIGTERM);
	waitpid(d->pid, NULL, 0);
	sshd_write(d, "host", d->host.private_pem, 0600);
	sshd_launch(d);
	while (!connected && wait_ms(20, WAIT_IGNORE_STOP, &err) == 0)
		;
	return NULL;
}

static void boots(bool fresh)
{
	struct sshd d;
	struct seen seen;
	struct err err = ERR_INIT;
	mono_ms took;
	pthread_t thread;
	assert_true(sshd_prepare(&d, "LogLevel DEBUG1"));
	struct ssh_target t = sshd_target(&d);
	connected = 0;
	assert_int_equal(pthread_create(&thread, NULL, boot, &d), 0);
	struct ssh *s = watched(&t, fresh, &seen, &took, &err);
	int logins = sshd_logged(&d, "userauth-request");
	connected = 1;
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (fresh) {
		if (!s)
			fail_msg("%s", err.msg);
		assert_true(took >= 1800);
		assert_non_null(strstr(seen.text.data, "host key: 127.0.0.1:"));
		assert_non_null(strstr(seen.text.data, "login\n"));
	} else {
		assert_null(s);
		assert_int_equal(err.code, EKEYREJECTED);
		assert_int_equal(logins, 0);
		assert_null(strstr(seen.text.data, "login\n"));
	}
	ssh_close(s);
	buf_finish(&seen.text);
	sshd_end(&d);
}

static void test_key_of_first_boot(void **state)
{
	(void)state;
	boots(true);
	boots(false);
}

/* Port open from the first look on: no box whose boot we are seeing. */
static void test_wrong_host_key_of_fresh_box(void **state)
{
	(void)state;
	struct ssh_target t = sshd_target(&box);
	struct seen seen;
	struct err err = ERR_INIT;
	mono_ms took;
	t.host_blob[KEY_BLOB_LEN - 1] ^= 1;
	assert_null(watched(&t, true, &seen, &took, &err));
	assert_true(took < 5000);
	assert_int_equal(err.code, EKEYREJECTED);
	assert_non_null(strstr(err.msg, "cloud-init"));
	assert_non_null(strstr(err.msg, "refused before login"));
	buf_finish(&seen.text);
}

/* It stays wrong: 10 s after the port was last seen closed that is believed. */
static void test_wrong_host_key_for_good(void **state)
{
	(void)state;
	struct sshd d;
	struct seen seen;
	struct err err = ERR_INIT;
	mono_ms took;
	pthread_t thread;
	assert_true(sshd_prepare(&d, NULL));
	struct ssh_target t = sshd_target(&d);
	t.host_blob[KEY_BLOB_LEN - 1] ^= 1;
	connected = 0;
	assert_int_equal(pthread_create(&thread, NULL, start_later, &d), 0);
	assert_null(watched(&t, true, &seen, &took, &err));
	connected = 1;
	assert_int_equal(pthread_join(thread, NULL), 0);
	print_message("believed after %lld ms\n", (long long)took);
	assert_true(took >= 9000 && took < 25000);
	assert_int_equal(err.code, EKEYREJECTED);
	buf_finish(&seen.text);
	sshd_end(&d);
}

static void *let_in_later(void *arg)
{
	struct sshd *d = arg;
	struct err err = ERR_INIT;
	if (wait_ms(1500, WAIT_IGNORE_STOP, &err) == 0)
		sshd_write(d, "authorized", d->login.public_line, 0600);
	return NULL;
}

static void test_login_key_comes_later(void **state)
{
	(void)state;
	struct sshd d;
	struct seen seen;
	struct err err = ERR_INIT;
	mono_ms took;
	pthread_t thread;
	assert_true(sshd_start(&d, NULL));
	sshd_write(&d, "authorized", "", 0600);
	struct ssh_target t = sshd_target(&d);
	assert_int_equal(pthread_create(&thread, NULL, let_in_later, &d), 0);
	struct ssh *s = watched(&t, true, &seen, &took, &err);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (!s)
		fail_msg("%s", err.msg);
	ssh_close(s);
	assert_true(took >= 1500 && took < AT_ONCE);
	buf_finish(&seen.text);
	sshd_write(&d, "authorized", "", 0600);
	assert_null(watched(&t, true, &seen, &took, &err));
	assert_true(took >= 5000 && took < 20000);
	assert_int_equal(err.code, EACCES);
	buf_finish(&seen.text);
	sshd_end(&d);
}

static int setup(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	return ssh_library_init(&err);
}

static int teardown(void **state)
{
	(void)state;
	sshd_end(&box);
	ssh_library_exit();
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_key),
		cmocka_unit_test(test_stdin),
		cmocka_unit_test(test_echo_does_not_lock),
		cmocka_unit_test(test_early_end_of_command),
		cmocka_unit_test(test_wrong_host_key),
		cmocka_unit_test(test_refused_login),
		cmocka_unit_test(test_broken_login_key),
		cmocka_unit_test(test_other_host_key_type),
		cmocka_unit_test(test_listening_later),
		cmocka_unit_test(test_cut_before_login),
		cmocka_unit_test(test_nothing_listens),
		cmocka_unit_test(test_black_hole),
		cmocka_unit_test(test_endless_banner),
		cmocka_unit_test(test_killed_session),
		cmocka_unit_test(test_silence_is_fine),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_ignores_stop_in_teardown),
		cmocka_unit_test(test_big_stream_in_little_memory),
		cmocka_unit_test(test_slow_reader_is_bounded),
		cmocka_unit_test(test_stages),
		cmocka_unit_test(test_silent_port_opens),
		cmocka_unit_test(test_silent_for_good),
		cmocka_unit_test(test_key_of_first_boot),
		cmocka_unit_test(test_wrong_host_key_of_fresh_box),
		cmocka_unit_test(test_wrong_host_key_for_good),
		cmocka_unit_test(test_login_key_comes_later),
	};
	stop_install();
	if (!sshd_start(&box, NULL)) {
		fprintf(stderr, "skipped: needs root and /usr/sbin/sshd\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
