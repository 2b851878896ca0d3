/* SPDX-License-Identifier: MIT */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/stop.h"
#include "base/text.h"

static char dir[] = "/tmp/stepbox-proc-XXXXXX";

#define SH(script) ((const char *const[]){"sh", "-c", (script), NULL})

static int run(const char *script, const struct proc_opts *opts)
{
	struct err err = ERR_INIT;
	int rc = proc_run(SH(script), opts, &err);
	if (rc < 0)
		print_message("%s\n", err.msg);
	return rc;
}

static void test_exit_codes(void **state)
{
	(void)state;
	struct proc_opts none = {0};
	assert_int_equal(run("exit 0", &none), 0);
	assert_int_equal(run("exit 7", &none), 7);
	assert_int_equal(run("exit 255", &none), 255);
	assert_int_equal(run("kill -TERM $$", &none), 128 + SIGTERM);
	assert_int_equal(run("kill -KILL $$", &none), 128 + SIGKILL);
}

static void test_output(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX), errout = buf_make(BUF_TEXT_MAX);
	assert_int_equal(run("echo one; echo two >&2; echo three", &(struct proc_opts){.out = &out, .errout = &errout}),
			 0);
	assert_string_equal(out.data, "one\nthree\n");
	assert_string_equal(errout.data, "two\n");
	buf_reset(&out);
	assert_int_equal(run("echo one; echo two >&2; echo three", &(struct proc_opts){.out = &out, .merge = true}), 0);
	assert_string_equal(out.data, "one\ntwo\nthree\n");
	buf_reset(&out);
	assert_int_equal(run("echo one; echo two >&2", &(struct proc_opts){.out = &out}), 0);
	assert_string_equal(out.data, "one\n");
	assert_int_equal(run("echo gone; echo gone >&2", &(struct proc_opts){0}), 0);
}

static void test_output_fd(void **state)
{
	(void)state;
	AUTO_FREE char *path = xasprintf("%s/out", dir);
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd > 0);
	assert_int_equal(run("echo to file; echo also >&2", &(struct proc_opts){.output_fd = fd, .merge = true}), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	assert_int_equal(run("cat", &(struct proc_opts){.input_fd = fd, .out = &out}), 0);
	assert_string_equal(out.data, "to file\nalso\n");
}

static void test_input(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	assert_int_equal(run("cat", &(struct proc_opts){.input = "a\0b", .input_len = 3, .out = &out}), 0);
	assert_int_equal(out.len, 3);
	assert_memory_equal(out.data, "a\0b", 3);
	buf_reset(&out);
	assert_int_equal(run("cat; readlink /proc/self/fd/0", &(struct proc_opts){.out = &out}), 0);
	assert_string_equal(out.data, "/dev/null\n");
	buf_reset(&out);
	assert_int_equal(run("cat", &(struct proc_opts){.input = "", .out = &out}), 0);
	assert_string_equal(out.data, "");
}

/* More of each than pipes hold, in both directions, and a child that does not want its input. */
static void test_much(void **state)
{
	(void)state;
	size_t n = (size_t)3 << 20;
	AUTO_FREE char *input = xcalloc(n, 1);
	memset(input, 'x', n);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX), errout = buf_make(BUF_TEXT_MAX);
	struct proc_opts opts = {.input = input, .input_len = n, .out = &out, .errout = &errout};
	assert_int_equal(run("tee /dev/stderr", &opts), 0);
	assert_int_equal(out.len, n);
	assert_int_equal(errout.len, n);
	assert_memory_equal(out.data, input, n);
	buf_reset(&out);
	assert_int_equal(run("echo no", &opts), 0);
	assert_string_equal(out.data, "no\n");
}

static void test_output_over_the_maximum(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(100000);
	assert_int_equal(run("yes | head -c 5000000; exit 3", &(struct proc_opts){.out = &out}), 3);
	assert_int_equal(out.len, 100000);
	assert_true(out.overflow);
	AUTO_BUF small = buf_make(2);
	assert_int_equal(run("echo a; sleep 0.05; echo b; sleep 0.05; echo c", &(struct proc_opts){.out = &small}), 0);
	assert_string_equal(small.data, "a\n");
	assert_true(small.overflow);
}

static void test_dir_and_env(void **state)
{
	(void)state;
	setenv("STEPBOX_TEST_OLD", "old", 1);
	static const char *const env[] = {"STEPBOX_TEST_OLD=new", "STEPBOX_TEST_ADDED=a b", "PATH=/usr/bin:/bin:/x",
					  NULL};
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	struct proc_opts opts = {.dir = "/usr", .env = env, .out = &out};
	assert_int_equal(run("pwd; echo $STEPBOX_TEST_OLD-$STEPBOX_TEST_ADDED-$PATH; env | grep -c STEPBOX_TEST_OLD; "
			     "test -n \"$HOME\"",
			     &opts),
			 0);
	assert_string_equal(out.data, "/usr\nnew-a b-/usr/bin:/bin:/x\n1\n");
	assert_string_equal(getenv("STEPBOX_TEST_OLD"), "old");
}

static void write_program(char *path, size_t size, const char *name, const char *text)
{
	snprintf(path, size, "%s/%s", dir, name);
	struct err err = ERR_INIT;
	assert_int_equal(fs_write(path, text, strlen(text), 0755, &err), 0);
}

static void assert_start_error(const char *program, const char *work, const char *message)
{
	struct err err = ERR_INIT;
	const char *const argv[] = {program, NULL};
	assert_int_equal(proc_run(argv, &(struct proc_opts){.dir = work}, &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	assert_string_equal(err.msg, message);
}

static void test_cannot_start(void **state)
{
	(void)state;
	char path[200], message[400];
	assert_start_error("stepbox-no-such-program", NULL, "stepbox-no-such-program: not installed");
	assert_start_error("/no/such/program", NULL, "/no/such/program: not installed");
	assert_start_error("", NULL, ": not installed");
	assert_start_error("sh", "/no/such/dir", "sh: /no/such/dir is not a directory");
	assert_start_error("/etc/passwd", NULL, "/etc/passwd: Permission denied");
	write_program(path, sizeof(path), "orphan", "#!/no/such/interpreter\n");
	snprintf(message, sizeof(message), "%s: the interpreter of its first line is not installed", path);
	assert_start_error(path, NULL, message);
	write_program(path, sizeof(path), "garbage", "\1\2\3");
	snprintf(message, sizeof(message), "%s: Exec format error", path);
	assert_start_error(path, NULL, message);
}

static void test_deadline(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	mono_ms begin = clock_mono();
	struct proc_opts opts = {.out = &out, .deadline = clock_deadline(150)};
	assert_int_equal(proc_run(SH("echo $$; sleep 100 & sleep 100; echo never"), &opts, &err), -1);
	assert_int_equal(err.reach, ERR_BOX);
	assert_string_equal(err.msg, "sh: not done in its time, killed");
	assert_in_range(clock_mono() - begin, 149, 3000);
	int64_t group = 0;
	out.data[strcspn(out.data, "\n")] = '\0';
	assert_int_equal(text_parse_int("pid", out.data, 2, INT32_MAX, &group, &err), 0);
	/* Nobody of the group lives (in a container without an init its dead may stay). */
	AUTO_FREE char *script = xasprintf("ps -eo pgid=,stat= | awk '$1 == %d && $2 !~ /^Z/'", (int)group);
	buf_reset(&out);
	assert_int_equal(run(script, &(struct proc_opts){.out = &out}), 0);
	assert_string_equal(out.data, "");
}

static void test_deadline_of_a_stubborn_child(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	mono_ms begin = clock_mono();
	struct proc_opts opts = {.deadline = clock_deadline(100)};
	assert_int_equal(proc_run(SH("trap '' TERM; while :; do sleep 0.01; done"), &opts, &err), -1);
	assert_int_equal(err.reach, ERR_BOX);
	assert_in_range(clock_mono() - begin, 399, 4000); /* SIGKILL after 300 ms */
}

/* A child that writes without end is stopped as well: being ready all the time is no way around the deadline. */
static void test_deadline_of_a_chatterer(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(1000);
	mono_ms begin = clock_mono();
	assert_int_equal(proc_run((const char *const[]){"yes", NULL},
				  &(struct proc_opts){.out = &out, .deadline = clock_deadline(100)}, &err),
			 -1);
	assert_true(clock_mono() - begin < 3000);
}

/* A daemon that keeps the pipe open does not keep us; it stays alive, since it is not ours. */
static void test_daemon_holds_the_pipe(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	mono_ms begin = clock_mono();
	assert_int_equal(run("echo before; setsid sleep 30 & echo $!", &(struct proc_opts){.out = &out}), 0);
	assert_in_range(clock_mono() - begin, 199, 3000);
	assert_true(text_starts(out.data, "before\n"));
	struct err err = ERR_INIT;
	int64_t pid = 0;
	out.data[out.len - 1] = '\0';
	assert_int_equal(text_parse_int("pid", out.data + strlen("before\n"), 2, INT32_MAX, &pid, &err), 0);
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
	begin = clock_mono();
	assert_int_equal(run("exec >&- 2>&-; sleep 0.1; exit 5", &(struct proc_opts){.out = &out}), 5);
	assert_true(clock_mono() - begin >= 99); /* an early end of file is not the child's end */
}

static void *trigger_later(void *arg)
{
	struct err err = ERR_INIT;
	int unused = wait_ms(100, WAIT_IGNORE_STOP, &err);
	(void)unused;
	stop_trigger();
	return arg;
}

static void test_stop(void **state)
{
	(void)state;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, trigger_later, NULL), 0);
	struct err err = ERR_INIT;
	mono_ms begin = clock_mono();
	assert_int_equal(proc_run(SH("sleep 100"), &(struct proc_opts){.mode = WAIT_STOPPABLE}, &err), -1);
	assert_int_equal(err.reach, ERR_CANCELED);
	assert_string_equal(err.msg, "sh: stopped");
	assert_true(clock_mono() - begin < 3000);
	pthread_join(thread, NULL);
	/* The stop stays; teardown's commands run nevertheless. */
	assert_int_equal(proc_run(SH("exit 0"), &(struct proc_opts){.mode = WAIT_STOPPABLE}, &err), -1);
	assert_int_equal(run("sleep 0.1; exit 6", &(struct proc_opts){.mode = WAIT_IGNORE_STOP}), 6);
	stop_clear();
}

/* What the child inherits: no descriptor above 2, no blocked or ignored signal, a group of its own. */
static void test_clean_child(void **state)
{
	(void)state;
	AUTO_CLOSE int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, as some library may do it */
	assert_true(leak > 2);
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	/* Of the masks the last 7 digits: signals 32 and 33 are glibc's own. (self: dash blocks all while it forks.) */
	int rc = run("i=0; while [ $i -lt 64 ]; do [ -e /proc/$$/fd/$i ] && echo $i; i=$((i + 1)); done;"
		     "sed -n 's/^Sig\\(Blk\\|Ign\\):.*\\(.\\{7\\}\\)$/\\2/p' /proc/self/status;"
		     "test $(ps -o pgid= -p $$) = $$ && echo leader",
		     &(struct proc_opts){.out = &out});
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(rc, 0);
	assert_string_equal(out.data, "0\n1\n2\n0000000\n0000000\nleader\n");
}

static int count_fds(void)
{
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *script = xasprintf("ls /proc/%d/fd | wc -l", (int)getpid());
	assert_int_equal(run(script, &(struct proc_opts){.out = &out}), 0);
	struct err err = ERR_INIT;
	int64_t n = 0;
	out.data[strcspn(out.data, "\n")] = '\0';
	assert_int_equal(text_parse_int("count", out.data, 0, 100000, &n, &err), 0);
	return (int)n;
}

static void test_no_leak(void **state)
{
	(void)state;
	int before = count_fds();
	AUTO_BUF out = buf_make(BUF_TEXT_MAX), errout = buf_make(BUF_TEXT_MAX);
	struct proc_opts opts = {.input = "x", .input_len = 1, .out = &out, .errout = &errout};
	struct err err = ERR_INIT;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(run("true", &opts), 0);
		assert_int_equal(proc_run((const char *const[]){"/etc/passwd", NULL}, &opts, &err), -1);
	}
	opts.deadline = clock_deadline(-1);
	assert_int_equal(proc_run(SH("sleep 100"), &opts, &err), -1);
	assert_int_equal(count_fds(), before);
}

static void *run_many(void *arg)
{
	for (int i = 0; i < 20; i++) {
		AUTO_BUF out = buf_make(BUF_TEXT_MAX);
		struct err err = ERR_INIT;
		AUTO_FREE char *text = xasprintf("%p %d", arg, i);
		const char *const argv[] = {"cat", NULL};
		struct proc_opts opts = {.input = text, .input_len = strlen(text), .out = &out};
		if (proc_run(argv, &opts, &err) != 0 || strcmp(out.data, text) != 0)
			return arg;
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	pthread_t threads[8];
	int ids[ARRAY_SIZE(threads)];
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_many, &ids[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *bad = NULL;
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	return fs_remove_tree(dir, &err);
}

int main(void)
{
	stop_install();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_output_fd),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_much),
		cmocka_unit_test(test_output_over_the_maximum),
		cmocka_unit_test(test_dir_and_env),
		cmocka_unit_test(test_cannot_start),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_deadline_of_a_stubborn_child),
		cmocka_unit_test(test_deadline_of_a_chatterer),
		cmocka_unit_test(test_daemon_holds_the_pipe),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_clean_child),
		cmocka_unit_test(test_no_leak),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
