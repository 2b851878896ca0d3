/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/text.h"

static int saved_stderr, memory;

static int catch_stderr(void **state)
{
	(void)state;
	log_set_level(LOG_INFO);
	saved_stderr = dup(STDERR_FILENO);
	memory = memfd_create("log", MFD_CLOEXEC);
	return dup2(memory, STDERR_FILENO) < 0;
}

static int release_stderr(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(memory);
	return 0;
}

/* What was logged since the test began. */
static const char *logged(void)
{
	static char text[256 << 10];
	ssize_t n = pread(memory, text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void test_lines(void **state)
{
	(void)state;
	log_info("nova-a", "booting %d", 1);
	log_warn("nova-a", "slow\n");
	log_err(NULL, "lost");
	log_debug("nova-a", "not shown");
	log_set_level(LOG_DEBUG);
	log_debug(NULL, "shown");
	assert_int_equal(log_level(), LOG_DEBUG);
	assert_string_equal(logged(), "nova-a: booting 1\nnova-a: warning: slow\nerror: lost\nshown\n");
}

static void test_foreign_text(void **state)
{
	(void)state;
	log_info("a", "x\r\nb: forged\033[2K\n\n");
	log_info("a", "%s", "");
	log_info("t\ng", "x");
	assert_string_equal(logged(), "a: x\na: b: forged\\x1b[2K\na: \nt g: x\n");
}

static void test_long_text(void **state)
{
	(void)state;
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	for (int i = 0; i < 200000; i++)
		buf_addc(&b, 'x');
	log_info("a", "%s", b.data);
	const char *text = logged();
	assert_true(text_starts(text, "a: xxx") && text_ends(text, "x\n"));
	assert_int_equal(strlen(text), 65536 + strlen("a: \n"));
}

static void hook(int before)
{
	ssize_t ignored = write(STDERR_FILENO, before ? "<" : ">", 1);
	(void)ignored;
}

static void test_hook(void **state)
{
	(void)state;
	log_set_hook(hook);
	log_info("a", "x");
	log_debug("a", "not shown");
	log_set_hook(NULL);
	log_info("a", "y");
	assert_string_equal(logged(), "<a: x\n>a: y\n");
}

static void *log_many(void *arg)
{
	for (int i = 0; i < 500; i++)
		log_info("thread", "%s", "0123456789 0123456789 0123456789");
	return arg;
}

static void test_threads(void **state)
{
	(void)state;
	pthread_t threads[4];
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_many, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	static const char line[] = "thread: 0123456789 0123456789 0123456789\n";
	const char *text = logged();
	assert_int_equal(strlen(text), 2000 * strlen(line));
	for (; *text; text += strlen(line))
		assert_true(text_starts(text, line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines, catch_stderr, release_stderr),
		cmocka_unit_test_setup_teardown(test_foreign_text, catch_stderr, release_stderr),
		cmocka_unit_test_setup_teardown(test_long_text, catch_stderr, release_stderr),
		cmocka_unit_test_setup_teardown(test_hook, catch_stderr, release_stderr),
		cmocka_unit_test_setup_teardown(test_threads, catch_stderr, release_stderr),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
