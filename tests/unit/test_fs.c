/* SPDX-License-Identifier: MIT */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"

#define NOBODY 65534

static char dir[] = "/tmp/stepbox-fs-XXXXXX";

/* A path in the test's directory; 16 of them are valid at a time. */
static const char *at(const char *name)
{
	static char paths[16][256];
	static unsigned next;
	char *path = paths[next++ % 16];
	snprintf(path, 256, "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	struct err err = ERR_INIT;
	assert_int_equal(fs_write(at(name), text, strlen(text), 0644, &err), 0);
}

static void make(const char *name)
{
	struct err err = ERR_INIT;
	assert_int_equal(fs_mkdirs(at(name), 0755, &err), 0);
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static bool is_gone(const char *path)
{
	struct stat st;
	return lstat(path, &st) < 0 && errno == ENOENT;
}

static void test_write_and_read(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	mode_t old = umask(077);
	assert_int_equal(fs_write(at("f"), "a\0b", 3, 0664, &err), 0);
	assert_int_equal(mode_of(at("f")), 0664); /* whatever the umask */
	umask(0);
	assert_int_equal(fs_write(at("f"), "second", 6, 0600, &err), 0);
	umask(old);
	assert_int_equal(mode_of(at("f")), 0600);
	assert_int_equal(fs_read(at("f"), 6, &b, &err), 0);
	assert_string_equal(b.data, "second");
	assert_int_equal(fs_write(at("f"), NULL, 0, 0600, &err), 0);
	assert_int_equal(fs_read(at("f"), 0, &b, &err), 0);
	assert_string_equal(b.data, "second"); /* appended nothing */
}

static void test_read_errors(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	put("seven", "1234567");
	assert_int_equal(fs_read(at("seven"), 6, &b, &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	assert_true(text_ends(err.msg, "/seven: larger than 6 bytes"));
	AUTO_BUF small = buf_make(3);
	assert_int_equal(fs_read(at("seven"), 100, &small, &err), -1);
	assert_true(text_ends(err.msg, "/seven: larger than 3 bytes"));
	assert_int_equal(fs_read(at("missing"), 100, &b, &err), -1);
	assert_true(text_ends(err.msg, "/missing: No such file or directory"));
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(fs_read(dir, 100, &b, &err), -1);
	assert_true(text_ends(err.msg, ": Is a directory"));
	assert_int_equal(mkfifo(at("fifo"), 0600), 0);
	assert_int_equal(fs_read(at("fifo"), 100, &b, &err), -1); /* at once, though nobody writes */
	assert_true(text_ends(err.msg, "/fifo: not a regular file"));
	assert_int_equal(fs_read("/proc/self/status", 100000, &b, &err), 0); /* says size 0 */
	assert_true(b.len > 100);
}

static void test_write_errors(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(fs_write(at("no/such/file"), "x", 1, 0644, &err), -1);
	assert_true(text_ends(err.msg, "/no/such/file: No such file or directory"));
	make("onlydir/full");
	put("onlydir/full/x", "");
	assert_int_equal(fs_write(at("onlydir/full"), "x", 1, 0644, &err), -1);
	assert_int_equal(fs_remove_tree(at("onlydir/full"), &err), 0);
	assert_int_equal(rmdir(at("onlydir")), 0); /* no temporary file is left */
}

static void test_mkdirs(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	mode_t old = umask(077);
	assert_int_equal(fs_mkdirs(at("m/a//b/c/"), 0755, &err), 0);
	umask(old);
	assert_int_equal(mode_of(at("m/a/b/c")), 0755);
	assert_int_equal(mode_of(at("m")), 0755);
	assert_int_equal(fs_mkdirs(at("m/a/b/d"), 0700, &err), 0);
	assert_int_equal(mode_of(at("m/a")), 0755); /* what was there keeps its mode */
	assert_int_equal(mode_of(at("m/a/b/d")), 0700);
	assert_int_equal(symlink("a", at("m/link")), 0);
	assert_int_equal(fs_mkdirs(at("m/link/e"), 0700, &err), 0);
	assert_true(fs_is_dir(at("m/a/e")));
	assert_int_equal(fs_mkdirs("/", 0700, &err), 0);
	put("m/file", "");
	assert_int_equal(fs_mkdirs(at("m/file/x"), 0700, &err), -1);
	assert_true(text_ends(err.msg, "/m/file: Not a directory"));
	assert_false(fs_is_dir(at("m/file")));
	assert_true(fs_exists(at("m/file")));
}

static void test_remove_missing_file_link(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(fs_remove_tree(at("missing"), &err), 0);
	assert_int_equal(fs_remove_tree(at("missing/below/it"), &err), 0);
	put("file", "x");
	assert_int_equal(fs_remove_tree(at("file"), &err), 0);
	assert_true(is_gone(at("file")));
	make("target");
	put("target/keep", "x");
	assert_int_equal(symlink("target", at("link")), 0);
	assert_int_equal(fs_remove_tree(at("link/"), &err), 0); /* the slash must not make it the target */
	assert_true(is_gone(at("link")));
	assert_true(fs_exists(at("target/keep")));
}

static void test_remove_tree(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	make("outside");
	put("outside/keep", "x");
	make("t/a/b/c");
	make("t/d");
	put("t/a/b/file", "x");
	put("t/.hidden", "x");
	put("t/new\nline", "x");
	assert_int_equal(mkfifo(at("t/fifo"), 0600), 0);
	assert_int_equal(symlink("../outside", at("t/link")), 0);
	assert_int_equal(symlink("/", at("t/d/root")), 0);
	assert_int_equal(symlink("dangling", at("t/dangling")), 0);
	for (int i = 0; i < 500; i++) {
		char name[40];
		snprintf(name, sizeof(name), "t/d/%d", i);
		put(name, "");
	}
	assert_int_equal(fs_remove_tree(at("t//"), &err), 0);
	assert_true(is_gone(at("t")));
	assert_true(fs_exists(at("outside/keep")));
}

static void test_remove_refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "/", "//", ".", "..", "/tmp/.", "/tmp/..", "./", "/tmp/../"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = ERR_INIT;
		assert_int_equal(fs_remove_tree(bad[i], &err), -1);
		assert_int_equal(err.reach, ERR_BUG);
	}
}

/* Deeper than descriptors and PATH_MAX allow. */
static void test_remove_deep(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	make("deep");
	put("deep/.stepbox-removed-0", "left by an interrupted removal");
	int fd = open(at("deep"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(mkdirat(fd, "directory", 0755), 0);
		int next = openat(fd, "directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
	assert_int_equal(fs_remove_tree(at("deep"), &err), 0);
	assert_true(is_gone(at("deep")));
}

/* As an ordinary user: directories without permissions, as Go's module cache has them. */
static int remove_locked_as_nobody(void)
{
	struct err err = ERR_INIT;
	if (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		return 77;
	if (fs_mkdirs(at("open/locked/ro/in"), 0755, &err) < 0 || fs_mkdirs(at("open/locked/none/in"), 0755, &err) < 0)
		return 1;
	if (fs_write(at("open/locked/ro/in/f"), "", 0, 0400, &err) < 0)
		return 2;
	if (chmod(at("open/locked/ro/in"), 0500) < 0 || chmod(at("open/locked/ro"), 0555) < 0 ||
	    chmod(at("open/locked/none"), 0) < 0 || chmod(at("open/locked"), 0500) < 0)
		return 3;
	if (fs_remove_tree(at("open/locked"), &err) < 0) {
		print_message("%s\n", err.msg);
		return 4;
	}
	return is_gone(at("open/locked")) ? 0 : 5;
}

static void test_remove_without_permissions(void **state)
{
	(void)state;
	make("open");
	assert_int_equal(chmod(at("open"), 0777), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(remove_locked_as_nobody());
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Somebody else's file in a directory that we may not write: reported, the rest goes. */
static int remove_foreign_as_nobody(void)
{
	struct err err = ERR_INIT;
	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		return 77;
	if (fs_remove_tree(at("mine"), &err) == 0 || err.code != EACCES)
		return 1;
	if (!text_starts(err.msg, "removing /tmp/") || !text_ends(err.msg, ": Permission denied"))
		return 2;
	return fs_exists(at("mine/foreign/f")) && is_gone(at("mine/ours")) ? 0 : 3;
}

static void test_remove_what_is_not_ours(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	make("mine/foreign");
	make("mine/ours");
	put("mine/foreign/f", "");
	assert_int_equal(chown(at("mine"), NOBODY, NOBODY), 0);
	assert_int_equal(chown(at("mine/ours"), NOBODY, NOBODY), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(remove_foreign_as_nobody());
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* In a mount namespace of its own. 77: not allowed here. */
static int remove_with_mounts(void)
{
	struct err err = ERR_INIT;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(at("precious"), at("box/bind"), NULL, MS_BIND, NULL) < 0 ||
	    mount("none", at("box/tmp"), "tmpfs", 0, NULL) < 0 || mkdir(at("box/tmp/in"), 0700) < 0)
		return 77;
	if (fs_remove_tree(at("box"), &err) == 0 || err.code != EBUSY)
		return 1;
	if (!fs_exists(at("precious/keep")) || !fs_exists(at("box/tmp/in")) || fs_exists(at("box/file")))
		return 2;
	if (fs_remove_tree(at("box/bind"), &err) == 0 || !fs_exists(at("precious/keep")))
		return 3;
	if (umount(at("box/bind")) < 0 || umount(at("box/tmp")) < 0)
		return 4;
	return fs_remove_tree(at("box"), &err) == 0 && is_gone(at("box")) ? 0 : 5;
}

static void test_remove_stays_on_its_mount(void **state)
{
	(void)state;
	make("precious");
	put("precious/keep", "x");
	make("box/bind");
	make("box/tmp");
	put("box/file", "x");
	pid_t pid = fork();
	if (pid == 0)
		_exit(remove_with_mounts());
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void *remove_box(void *arg)
{
	struct err err = ERR_INIT;
	return fs_remove_tree(at("race"), &err) < 0 ? arg : NULL;
}

/* Two who remove the same tree: entries vanish under both. */
static void test_remove_race(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 50; i++) {
			char name[40];
			snprintf(name, sizeof(name), "race/%d/x/y", i);
			make(name);
		}
		const char *path = at("race");
		pthread_t other;
		int bad_mark = 0;
		struct err err = ERR_INIT;
		assert_int_equal(pthread_create(&other, NULL, remove_box, &bad_mark), 0);
		int rc = fs_remove_tree(path, &err);
		void *bad = NULL;
		pthread_join(other, &bad);
		assert_int_equal(rc, 0);
		assert_null(bad);
		assert_true(is_gone(path));
	}
}

static void test_which(void **state)
{
	(void)state;
	AUTO_FREE char *sh = fs_which("sh");
	assert_true(sh && text_ends(sh, "/sh"));
	assert_null(fs_which("stepbox-no-such-program"));
	assert_null(fs_which(""));
	assert_null(fs_which("/etc/passwd")); /* not executable */
	assert_null(fs_which("/tmp"));
	AUTO_FREE char *same = fs_which("/bin/sh");
	assert_string_equal(same, "/bin/sh");
	put("tool", "#!/bin/sh\n");
	assert_int_equal(chmod(at("tool"), 0755), 0);
	AUTO_FREE char *old = xstrdup(getenv("PATH"));
	AUTO_FREE char *path = xasprintf("/no/such:%s:", dir);
	setenv("PATH", path, 1);
	AUTO_FREE char *tool = fs_which("tool");
	assert_non_null(tool);
	assert_string_equal(tool, at("tool"));
	setenv("PATH", "::", 1); /* not the current directory */
	assert_int_equal(chdir(dir), 0);
	assert_null(fs_which("tool"));
	assert_int_equal(chdir("/"), 0);
	unsetenv("PATH");
	AUTO_FREE char *fallback = fs_which("sh");
	assert_non_null(fallback);
	setenv("PATH", old, 1);
}

/* The directories are computed once a process, so each case has its own. */
static int check_dirs(const char *home, const char *xdg_state, const char *state_dir, const char *config)
{
	if (home)
		setenv("HOME", home, 1);
	else
		unsetenv("HOME");
	if (xdg_state)
		setenv("XDG_STATE_HOME", xdg_state, 1);
	else
		unsetenv("XDG_STATE_HOME");
	unsetenv("XDG_CONFIG_HOME");
	setenv("XDG_CACHE_HOME", "/var/c", 1);
	if (strcmp(fs_cache_dir(), "/var/c/stepbox") != 0)
		return 1;
	if (state_dir && strcmp(fs_state_dir(), state_dir) != 0)
		return 2;
	setenv("HOME", "/changed", 1);
	if (config && strcmp(fs_config_dir(), config) != 0)
		return 3;
	return fs_state_dir()[0] == '/' && !strstr(fs_state_dir(), "//") ? 0 : 4;
}

static void test_xdg(void **state)
{
	(void)state;
	static const struct {
		const char *home, *xdg_state, *state_dir, *config;
	} rows[] = {
		{"/h", NULL, "/h/.local/state/stepbox", "/h/.config/stepbox"},
		{"/h", "/s", "/s/stepbox", "/h/.config/stepbox"},
		{"/h", "relative", "/h/.local/state/stepbox", "/h/.config/stepbox"},
		{"/h", "", "/h/.local/state/stepbox", "/h/.config/stepbox"},
		{"/", NULL, "/.local/state/stepbox", "/.config/stepbox"},
		{"relative", NULL, NULL, NULL}, /* the password database decides */
		{NULL, NULL, NULL, NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(check_dirs(rows[i].home, rows[i].xdg_state, rows[i].state_dir, rows[i].config));
		int status = 0;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
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
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_and_read),
		cmocka_unit_test(test_read_errors),
		cmocka_unit_test(test_write_errors),
		cmocka_unit_test(test_mkdirs),
		cmocka_unit_test(test_remove_missing_file_link),
		cmocka_unit_test(test_remove_tree),
		cmocka_unit_test(test_remove_refuses),
		cmocka_unit_test(test_remove_deep),
		cmocka_unit_test(test_remove_without_permissions),
		cmocka_unit_test(test_remove_what_is_not_ours),
		cmocka_unit_test(test_remove_stays_on_its_mount),
		cmocka_unit_test(test_remove_race),
		cmocka_unit_test(test_which),
		cmocka_unit_test(test_xdg),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
