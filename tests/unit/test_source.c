/* SPDX-License-Identifier: MIT */
/* source.c with the real git and tar: what is packed, unpacked elsewhere, must be what the user sees. */
#include "provision/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/stop.h"

static char dir[] = "/tmp/stepbox-source-XXXXXX";

/* Runs shell text in the test's directory; its output into out. */
static int shell(const char *text, struct buf *out)
{
	static const char *const env[] = {"GIT_AUTHOR_NAME=a",
					  "GIT_AUTHOR_EMAIL=a@example.org",
					  "GIT_COMMITTER_NAME=a",
					  "GIT_COMMITTER_EMAIL=a@example.org",
					  "GIT_CONFIG_GLOBAL=/dev/null",
					  "GIT_CONFIG_NOSYSTEM=1",
					  "GIT_CONFIG_COUNT=1",
					  "GIT_CONFIG_KEY_0=protocol.file.allow",
					  "GIT_CONFIG_VALUE_0=always",
					  "LC_ALL=C",
					  NULL};
	const char *argv[] = {"bash", "-euc", text, NULL};
	struct proc_opts opts = {
		.dir = dir, .env = env, .out = out, .inherit_stderr = true, .deadline = clock_deadline(60000)};
	struct err err = ERR_INIT;
	int rc = proc_run(argv, &opts, &err);
	if (rc < 0)
		fail_msg("%s", err.msg);
	return rc;
}

static void must(const char *text)
{
	if (shell(text, NULL) != 0)
		fail_msg("%s", text);
}

/* What shell text prints. */
static void prints(const char *text, const char *want)
{
	AUTO_BUF out = buf_make(1 << 20);
	if (shell(text, &out) != 0)
		fail_msg("%s\n%s", text, out.data);
	assert_string_equal(out.data, want);
}

static int pack_as(const char *name, struct err *err)
{
	char path[256], tar[256];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(tar, sizeof(tar), "%s/out.tar", dir);
	err_clear(err);
	return source_pack(path, tar, clock_deadline(60000), err);
}

/* Packs `name`, moves everything else of the test's directory out of sight, and unpacks into `box`. */
static void pack(const char *name)
{
	struct err err = ERR_INIT;
	struct stat st;
	char tar[256];
	if (pack_as(name, &err) < 0)
		fail_msg("%s", err.msg);
	snprintf(tar, sizeof(tar), "%s/out.tar", dir);
	assert_int_equal(stat(tar, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	must("mkdir hidden; for f in *; do case $f in hidden|out.tar) ;; *) mv \"$f\" hidden/ ;; esac; done;"
	     "mkdir box; tar -C box -xf out.tar");
	prints("ls -A | tr '\\n' ' '", "box hidden out.tar "); /* nothing of ours is left */
}

static int fresh(void **state)
{
	(void)state;
	must("rm -rf -- * .[!.]*");
	return 0;
}

static const char make_repo[] = "git init -q -b main r; cd r; printf '*.pyc\\nbuild/\\n' >.gitignore;"
				"mkdir -p db/versions; echo one >db/versions/001.sql; ln -s versions/001.sql db/link; "
				"printf '#!/bin/sh\\n' >run; chmod 755 run; git add -A; git commit -qm first;"
				"echo two >db/versions/002.sql; git add -A; git commit -qm second; git tag v2; cd ..\n";

static void test_checkout_as_it_is(void **state)
{
	(void)state;
	must(make_repo);
	must("cd r; echo changed >>db/versions/001.sql; echo new >untracked; echo x >junk.pyc; mkdir build; echo x "
	     ">build/o;"
	     "git rm -q --cached run; rm db/versions/002.sql; mkdir empty; echo s >staged; git add staged");
	must("git -C r status --porcelain >status");
	pack("r");
	must("git -C box status --porcelain | cmp - hidden/status");
	prints("wc -l <hidden/status; ls -A box/build box/junk.pyc 2>&1 | grep -c 'No such'", "6\n2\n");
}

static void test_checkout_contents(void **state)
{
	(void)state;
	must(make_repo);
	must("cd r; echo changed >>db/versions/001.sql; echo new >untracked; echo x >junk.pyc; mkdir build; echo x "
	     ">build/o");
	pack("r");
	prints("cd box; git log --format=%s", "second\nfirst\n");
	prints("cd box; git describe --tags", "v2\n");
	prints("cd box; find . -path ./.git -prune -o \\( -type f -o -type l \\) -print | LC_ALL=C sort",
	       "./.gitignore\n./db/link\n./db/versions/001.sql\n./db/versions/002.sql\n./run\n./untracked\n");
	prints("cd box; readlink db/link; stat -c %a run; cat db/versions/001.sql untracked",
	       "versions/001.sql\n755\none\nchanged\nnew\n");
	prints("cd box; git fsck 2>&1 | grep -v '^Checking' || true", "");
}

static void test_owner(void **state)
{
	(void)state;
	must("mkdir p; echo x >p/f; chown -R 1234:1234 p");
	struct err err = ERR_INIT;
	if (pack_as("p", &err) < 0)
		fail_msg("%s", err.msg);
	prints("tar --numeric-owner -tvf out.tar | awk '{print $2}' | sort -u", "0/0\n");
}

static void test_foreign_owner_of_a_checkout(void **state)
{
	(void)state;
	must(make_repo);
	must("chown -R 1234:1234 r");
	pack("r");
	prints("cd box; git log -1 --format=%s", "second\n");
}

static void test_odd_names(void **state)
{
	(void)state;
	must("git init -q r; cd r; touch -- '-rf' '--checkpoint-action=exec=false' 'a b' $'new\\nline' '\\n' "
	     "'back\\\\slash'"
	     " '*' '?' '-C' '@x' $'\\xff\\xfe' \"quo'te\" '$(id)' '#c' ' lead' 'trail ' .hidden; mkdir -- '-d'; touch "
	     "-- -d/-e;"
	     "git add -- '-rf' 'a b' '-C'");
	must("cd r; find . -path ./.git -prune -o -print0 | LC_ALL=C sort -z >../names");
	pack("r");
	must("cd box; find . -path ./.git -prune -o -print0 | LC_ALL=C sort -z | cmp - ../hidden/names");
}

static void test_no_checkout(void **state)
{
	(void)state;
	must("mkdir -p p/sub p/empty; echo 1 >p/a; echo 2 >p/sub/b.pyc; ln -s nowhere p/sub/dangling; ln p/a p/hard");
	pack("p");
	prints("cd box; find . | LC_ALL=C sort | tr '\\n' ' '",
	       ". ./a ./empty ./hard ./sub ./sub/b.pyc ./sub/dangling ");
	prints("readlink box/sub/dangling", "nowhere\n");
}

static void test_conflict(void **state)
{
	(void)state;
	must(make_repo);
	must("cd r; git checkout -qb other; echo theirs >db/versions/002.sql; git commit -qam theirs; git checkout -q "
	     "main;"
	     "echo ours >db/versions/002.sql; git commit -qam ours; ! git merge other >/dev/null");
	struct err err = ERR_INIT;
	assert_int_equal(pack_as("r", &err), 0);
	prints("tar -tf out.tar | grep -c 002.sql", "1\n");
	pack("r");
	prints("cd box; git status --porcelain", "UU db/versions/002.sql\n");
}

static void test_linked_worktree(void **state)
{
	(void)state;
	must(make_repo);
	must("cd r; git worktree add -q -b side ../w v2~1; cd ../w; echo side >s; git add s; git commit -qm side; echo "
	     "t >>s;"
	     "echo u >u; git add u");
	pack("w");
	prints("cd box; git status --porcelain", " M s\nA  u\n");
	prints("cd box; git log --format=%s; git symbolic-ref HEAD; git rev-parse --is-bare-repository; git log -1 "
	       "--format=%s main",
	       "side\nfirst\nrefs/heads/side\nfalse\nsecond\n");
	prints("cd box; test -d .git; git worktree list | wc -l; git fsck 2>&1 | grep -c error || true", "1\n0\n");
}

/* `git worktree add` from a bare clone, as many people work; and a detached HEAD. */
static void test_worktree_of_bare_repository(void **state)
{
	(void)state;
	must(make_repo);
	must("git clone -q --bare r b.git; git -C b.git worktree add -q --detach ../w v2");
	pack("w");
	prints("cd box; git status --porcelain; git log -1 --format=%s; git describe --tags", "second\nv2\n");
}

/* In a place whose name sed and tar could misread, and in a linked worktree. */
static void test_submodule_of_a_worktree(void **state)
{
	(void)state;
	must(make_repo);
	must("git init -q -b main top; cd top; git submodule --quiet add ../r 'a&b,c/\\1'; git commit -qm top;"
	     "git worktree add -q ../w; cd ../w; git submodule --quiet update --init; echo n >'a&b,c/\\1/n'");
	must("git -C w status --porcelain >status");
	pack("w");
	prints("cd box; git log -1 --format=%s; cd 'a&b,c/\\1'; git log -1 --format=%s; git status --porcelain; test "
	       "-d .git",
	       "top\nsecond\n?? n\n");
	must("git -C box status --porcelain | cmp - hidden/status");
}

static void test_submodule(void **state)
{
	(void)state;
	must(make_repo);
	must("git init -q -b main top; cd top; git submodule --quiet add ../r sub; git commit -qm top; echo more "
	     ">sub/new;"
	     "echo x >sub/x.pyc; git init -q inner; echo i >inner/file");
	must("cd top; git -C inner add file; git -C inner commit -qm inner;"
	     "git -C sub remote set-url origin https://joe:hunter2@example.org/x");
	must("git -C top status --porcelain >status");
	pack("top");
	prints("cd box; git log -1 --format=%s; git -C sub log -1 --format=%s; git -C sub status --porcelain",
	       "top\nsecond\n?? new\n");
	prints("grep -r hunter2 box || echo none", "none\n");
	must("git -C box status --porcelain | cmp - hidden/status");
	prints("cd box; git -C inner log --format=%s", "inner\n");
	prints("cd box; cat sub/db/versions/001.sql inner/file; ls sub/x.pyc 2>&1 | grep -c 'No such'", "one\ni\n1\n");
}

/* A submodule's checkout is a source like any other. */
static void test_submodule_itself(void **state)
{
	(void)state;
	must(make_repo);
	must("git init -q top; cd top; git submodule --quiet add ../r sub; git commit -qm top; echo n >sub/n");
	pack("top/sub");
	prints("cd box; git status --porcelain; git log -1 --format=%s", "?? n\nsecond\n");
}

static void test_borrowed_objects(void **state)
{
	(void)state;
	must(make_repo);
	must("git -C r gc -q; git clone -q --shared r one; git clone -q --shared one two; cd two; echo 3 >3; git add 3;"
	     "git commit -qm third");
	pack("two");
	prints("cd box; git log --format=%s; git fsck 2>&1 | grep -c -e error -e missing || true",
	       "third\nsecond\nfirst\n0\n");
}

static void test_secrets_stay(void **state)
{
	(void)state;
	must(make_repo);
	must("cd r; git remote add origin https://joe:hunter2@example.org/x.git; git remote add two git@example.org:y;"
	     "git config http.https://example.org/.extraheader 'Authorization: hunter2'; git config credential.helper "
	     "store;"
	     "git config core.hooksPath /home/joe; git config user.name Joe");
	pack("r");
	prints("! grep -r hunter2 box/.git/config; cd box; git remote get-url origin; git remote get-url two;"
	       "git config user.name; git config --get core.hooksPath || echo none",
	       "https://example.org/x.git\ngit@example.org:y\nJoe\nnone\n");
}

/* A directory that became a link: git still names what was in it. */
static void test_link_in_the_way(void **state)
{
	(void)state;
	must(make_repo);
	must("mkdir -p elsewhere/versions; echo secret >elsewhere/versions/001.sql; cd r; rm -r db; ln -s ../elsewhere "
	     "db");
	pack("r");
	prints("readlink box/db; tar -tf out.tar | grep -c 001.sql || true", "../elsewhere\n0\n");
}

static void test_inside_a_git_hook(void **state)
{
	(void)state;
	must(make_repo);
	must("git init -q other");
	setenv("GIT_DIR", "/nonexistent", 1);
	setenv("GIT_INDEX_FILE", "/nonexistent/index", 1);
	struct err err = ERR_INIT;
	int rc = pack_as("r", &err);
	unsetenv("GIT_DIR");
	unsetenv("GIT_INDEX_FILE");
	assert_int_equal(rc, 0);
	prints("tar -tf out.tar | grep -c versions/00", "2\n");
}

static void test_a_repository_inside_a_git_hook(void **state)
{
	(void)state;
	char repo[256], tar[256], templates[256];
	struct err err = ERR_INIT;
	must(make_repo);
	must("mkdir -p templates/hooks; printf '#!/bin/sh\\n' >templates/hooks/post-checkout; chmod 755 "
	     "templates/hooks/*");
	snprintf(repo, sizeof(repo), "%s/r", dir);
	snprintf(tar, sizeof(tar), "%s/out.tar", dir);
	snprintf(templates, sizeof(templates), "%s/templates", dir);
	setenv("GIT_DIR", "/nonexistent", 1);
	setenv("GIT_TEMPLATE_DIR", templates, 1);
	int rc = source_pack_git(repo, "v2", 0, "", tar, clock_deadline(60000), &err);
	unsetenv("GIT_DIR");
	unsetenv("GIT_TEMPLATE_DIR");
	assert_string_equal(err.msg, "");
	assert_int_equal(rc, 0);
	must("mkdir box; tar -C box -xf out.tar; git -C box reset -q --hard");
	prints("cd box; git log --format=%s; ls db/versions; ls .git/hooks 2>/dev/null | wc -l",
	       "second\nfirst\n001.sql\n002.sql\n0\n");
}

static void test_errors(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	must("echo x >file; mkdir -p broken/.git; mkdir p; echo x >p/f");
	assert_int_equal(pack_as("nothing", &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	assert_non_null(strstr(err.msg, "nothing: not a directory"));
	assert_int_equal(pack_as("file", &err), -1);
	assert_int_equal(pack_as("broken", &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	assert_non_null(strstr(err.msg, "not a git repository"));
	prints("ls out.tar 2>/dev/null | wc -l", "0\n");
	assert_int_equal(source_pack(dir, "/nonexistent/out.tar", clock_deadline(1000), &err), -1);
	assert_non_null(strstr(err.msg, "/nonexistent/out.tar: No such file"));
}

/* Root can read everything but a directory of /proc that is somebody's and a file system's own refusals. */
static void test_unreadable(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	must("mkdir p; echo x >p/closed; chmod 0 p/closed; chmod 755 . p");
	pid_t pid = fork();
	if (pid == 0) {
		char path[256], tar[] = "/tmp/stepbox-unreadable.tar";
		snprintf(path, sizeof(path), "%s/p", dir);
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(9);
		int rc = source_pack(path, tar, clock_deadline(10000), &err);
		_exit(rc == -1 && err.reach == ERR_USER && strstr(err.msg, "closed: Cannot open: Permission denied") &&
				      access(tar, F_OK) < 0
			      ? 0
			      : 1);
	}
	int status;
	waitpid(pid, &status, 0);
	if (geteuid() == 0)
		assert_int_equal(status, 0);
}

static void test_stop(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	must("mkdir p");
	stop_trigger();
	assert_int_equal(pack_as("p", &err), -1);
	stop_clear();
	assert_int_equal(err.reach, ERR_CANCELED);
}

static int teardown(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	return fs_remove_tree(dir, &err);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_checkout_as_it_is, fresh),
		cmocka_unit_test_setup(test_checkout_contents, fresh),
		cmocka_unit_test_setup(test_owner, fresh),
		cmocka_unit_test_setup(test_foreign_owner_of_a_checkout, fresh),
		cmocka_unit_test_setup(test_odd_names, fresh),
		cmocka_unit_test_setup(test_no_checkout, fresh),
		cmocka_unit_test_setup(test_conflict, fresh),
		cmocka_unit_test_setup(test_linked_worktree, fresh),
		cmocka_unit_test_setup(test_worktree_of_bare_repository, fresh),
		cmocka_unit_test_setup(test_submodule, fresh),
		cmocka_unit_test_setup(test_submodule_of_a_worktree, fresh),
		cmocka_unit_test_setup(test_submodule_itself, fresh),
		cmocka_unit_test_setup(test_borrowed_objects, fresh),
		cmocka_unit_test_setup(test_secrets_stay, fresh),
		cmocka_unit_test_setup(test_link_in_the_way, fresh),
		cmocka_unit_test_setup(test_inside_a_git_hook, fresh),
		cmocka_unit_test_setup(test_a_repository_inside_a_git_hook, fresh),
		cmocka_unit_test_setup(test_errors, fresh),
		cmocka_unit_test_setup(test_unreadable, fresh),
		cmocka_unit_test_setup(test_stop, fresh),
	};
	stop_install();
	if (!mkdtemp(dir))
		return 1;
	return cmocka_run_group_tests(tests, NULL, teardown);
}
