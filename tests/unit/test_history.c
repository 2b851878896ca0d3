/* SPDX-License-Identifier: MIT */
/* The commit that goes with a version, on repositories made here by git itself: plain additions, placeholders in
 * batches, squashes, moved directories, several files for a number, merges, edits, reverts, renumbering, late arrivals,
 * graphs. */
#include "migrations/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/proc.h"
#include "provision/git.h"

static char home[] = "/tmp/stepbox-test-history-XXXXXX";
static char *repo;

/* v FILE…: writes it, new bytes each time. c SUBJECT: commits all. Times rise by a day a commit. */
#define PRELUDE                                                                                                        \
	"set -eu\nexport HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a " \
	"GIT_COMMITTER_EMAIL=a@b\nn=0\n"                                                                               \
	"v() { for f; do mkdir -p \"${f%/*}\"; n=$((n + 1)); echo \"$n $f\" >\"$f\"; done; }\n"                        \
	"day=0\ntick() { day=$((day + 1)); export GIT_AUTHOR_DATE=\"$((1300000000 + 86400 * day)) +0000\"; "           \
	"GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE; export GIT_COMMITTER_DATE; }\n"                                          \
	"c() { tick; git add -A; git commit -q --allow-empty -m \"$1\"; }\n"                                           \
	"code() { v code.d/x; c \"$1\"; }\n"                                                                           \
	"a() { mkdir -p versions; printf 'revision = \"%s\"\\ndown_revision = %s\\n' \"$1\" \"$2\" "                   \
	">\"versions/$1_x.py\"; }\n"                                                                                   \
	"git init -q -b main .\n"

/* A fresh repository made by the script. */
static void make(const char *script)
{
	struct err err = ERR_INIT;
	AUTO_BUF says = buf_make(8192);
	AUTO_FREE char *text = xasprintf("%s%s", PRELUDE, script);
	const char *argv[] = {"sh", "-c", text, NULL};
	struct proc_opts opts = {.dir = repo, .errout = &says, .deadline = clock_deadline(60000)};
	if (fs_remove_tree(repo, &err) < 0 || fs_mkdirs(repo, 0700, &err) < 0)
		fail_msg("%s", err.msg);
	int rc = proc_run(argv, &opts, &err);
	if (rc != 0)
		fail_msg("the script: %d %s%s", rc, err.msg, says.data);
}

static struct history_map *map_of(const char *spec)
{
	struct err err = ERR_INIT;
	json_t *json = json_loads(spec, 0, NULL);
	assert_non_null(json);
	struct history_map *m = history_map_new(json, &err);
	json_decref(json);
	if (!m)
		fail_msg("%s", err.msg);
	return m;
}

#define NUMBERS                                                                                                        \
	"{\"paths\": [\"m\", \"new/place\"], \"name\": [\"/([0-9]+)_[^/]*\\\\.(py|sql)$\"], \"order\": \"number\"}"
#define ALEMBIC "{\"paths\": [\"versions\"], \"order\": \"alembic\"}"

static void add_rule(struct buf *out, const struct history_pick *p)
{
	buf_adds(out, history_rule_name(p->rule));
	if (p->rule == HISTORY_BATCH)
		buf_addf(out, " %s", p->batch);
	buf_addf(out, "%s%s%s%s", p->stale ? " stale" : "", p->unusable ? " unusable" : "", p->gone ? " gone" : "",
		 p->edited ? " edited" : "");
}

/* All versions as "version: subject (rule)" lines; first: the line of a walk from there; "*": all, each by itself. */
static void expect(const char *spec, const char *first, const char *wanted)
{
	struct err err = ERR_INIT;
	CLEANUP(history_map_freep) struct history_map *m = map_of(spec);
	CLEANUP(history_freep) struct history *h = history_read(m, repo, "main", clock_deadline(60000), &err);
	if (!h)
		fail_msg("%s", err.msg);
	bool all = first && strcmp(first, "*") == 0;
	size_t n = history_n(h);
	AUTO_FREE size_t *line = xcalloc(n + 1, sizeof(*line));
	AUTO_FREE struct history_pick *picks = xcalloc(n + 1, sizeof(*picks));
	for (size_t i = 0; i < n && all; i++)
		history_pick(h, i, NULL, 0, &picks[i]);
	if (!all) {
		n = history_line(h, first ? history_find(h, first) : HISTORY_NONE, line);
		history_picks(h, line, n, picks);
	}
	if (history_describe(h, repo, picks, n, clock_deadline(60000), &err) < 0)
		fail_msg("%s", err.msg);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	if (!all && history_is_branched(h, line, n))
		buf_adds(&out, "branched\n");
	for (size_t i = 0; i < n; i++) {
		buf_addf(&out, "%s: %s (", picks[i].version, picks[i].subject);
		add_rule(&out, &picks[i]);
		buf_adds(&out, ")\n");
		assert_true(picks[i].date > 1300000000);
	}
	if (strcmp(out.data, wanted) != 0)
		fail_msg("got:\n%swanted:\n%s", out.data, wanted);
}

static void add_file(void *ctx, const char *path, const char *blob)
{
	assert_true(git_is_hash(blob, strlen(blob)));
	buf_addf(ctx, "%s ", path);
}

static void expect_files(const char *version, const char *wanted)
{
	struct err err = ERR_INIT;
	struct history_pick p;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	CLEANUP(history_map_freep) struct history_map *m = map_of("[" NUMBERS "]");
	CLEANUP(history_freep) struct history *h = history_read(m, repo, "main", clock_deadline(60000), &err);
	assert_non_null(h);
	history_pick(h, history_find(h, version), NULL, 0, &p);
	history_files(h, &p, add_file, &out);
	assert_string_equal(out.data, wanted);
}

static void test_plain(void **state)
{
	(void)state;
	make("code start\n"
	     "v m/001_a.py m/__init__.py; c add1\ncode after1\n"
	     "v m/002_b.py m/002_sqlite_upgrade.sql m/002_sqlite_downgrade.sql; c add2\n"
	     "v m/__init__.py; c init\ncode after2\ncode after2b\n"
	     "v m/003_c.py; c add3\nv m/001_a.py; c edit1\ncode tip\n");
	expect("[" NUMBERS "]", NULL, "1: after1 (head edited)\n2: after2b (head)\n3: tip (tip)\n");
	expect_files("2", "m/002_b.py m/002_sqlite_downgrade.sql m/002_sqlite_upgrade.sql ");
	expect_files("0001", "m/001_a.py ");
}

static void test_batch(void **state)
{
	(void)state;
	make("v m/001_a.py; c add1\n"
	     "for i in 2 3 4 5 6; do v m/00${i}_placeholder.py; done; c placeholders\ncode later\n"
	     "git mv m/003_placeholder.py m/003_backport.py; v m/003_backport.py; c backport\ncode batch-end\n"
	     "v m/007_b.py; c add7\ncode tip\n"
	     "for i in 8 9; do v m/00${i}_placeholder.py; done; c tips\n");
	expect("[" NUMBERS "]", NULL,
	       "1: add1 (head)\n2: batch-end (batch 6)\n3: batch-end (batch 6)\n4: batch-end (batch 6)\n"
	       "5: batch-end (batch 6)\n6: batch-end (head)\n7: tip (head)\n8: tips (batch 9)\n9: tips (tip)\n");
	expect_files("3", "m/003_backport.py ");
}

#define SQUASH                                                                                                         \
	"for i in 1 2 3 4 5; do v m/00${i}_a.py; c add$i; code after$i; done\n"                                        \
	"git rm -q m/001_a.py m/002_a.py m/003_a.py; v m/003_squash.py; c squash\ncode squashed\n"                     \
	"for i in 6 7 8; do v m/00${i}_a.py; c add$i; code after$i; done\n"                                            \
	"git rm -q m/00[3-6]_*; v m/006_squash.py; c squash2\ncode tip\n"

static void test_squash(void **state)
{
	(void)state;
	make(SQUASH);
	expect("[" NUMBERS "]", NULL, "6: after6 (head)\n7: after7 (head)\n8: tip (tip)\n");
	expect("[" NUMBERS "]", "2",
	       "2: after2 (head gone)\n3: after3 (head gone)\n4: after4 (head gone)\n5: squashed (head gone)\n"
	       "6: after6 (head)\n7: after7 (head)\n8: tip (tip)\n");
	expect("[" NUMBERS "]", "4",
	       "4: after4 (head gone)\n5: squashed (head gone)\n6: after6 (head)\n7: after7 (head)\n8: tip (tip)\n");
	expect_files("3", "m/003_a.py ");
	expect_files("6", "m/006_a.py ");
}

static void test_move(void **state)
{
	(void)state;
	make("v m/001_a.py m/002_b.py; c add2\ncode after2\n"
	     "mkdir -p new/place; git mv m/001_a.py m/002_b.py new/place; c move\ncode moved\n"
	     "v new/place/003_c.py; c add3\nv elsewhere/004_no.py; c other\n");
	expect("[" NUMBERS "]", NULL, "1: moved (batch 2)\n2: moved (head)\n3: other (tip)\n");
	expect_files("2", "new/place/002_b.py ");
}

static void test_merge(void **state)
{
	(void)state;
	make("v m/001_a.py; c add1\n"
	     "git checkout -q -b topic; v m/002_b.py; c topic-add2; v t.d/x; c topic-code\n"
	     "git checkout -q main; code main-code\n"
	     "tick; git merge -q --no-ff -m merge2 topic; code after2\n"
	     "git checkout -q -b topic3 HEAD~1; v m/003_c.py; c topic-add3; v m/003_c.py; c topic-edit3\n"
	     "git checkout -q main; tick; git merge -q --no-ff -m merge3 topic3\n");
	expect("[" NUMBERS "]", NULL, "1: main-code (head)\n2: after2 (head)\n3: merge3 (tip)\n");
}

static void test_revert(void **state)
{
	(void)state;
	make("v m/001_a.py; c add1\nv m/002_b.py; c add2\ncode after2\nv m/003_bad.py; c bad3\ncode with-bad3\n"
	     "git rm -q m/003_bad.py; c revert3\ncode reverted\nv m/003_good.py; c add3\ncode after3\n"
	     "v m/004_d.py; c add4\nv m/005_gone.py; c add5\ngit rm -q m/005_gone.py; c revert5\n");
	expect("[" NUMBERS "]", NULL, "1: add1 (head)\n2: reverted (head)\n3: after3 (head)\n4: revert5 (tip)\n");
	expect("[" NUMBERS "]", "*",
	       "1: add1 (head)\n2: reverted (head)\n3: after3 (head)\n4: revert5 (tip)\n5: add5 (head gone)\n");
	expect_files("3", "m/003_good.py ");
}

static void test_renumber(void **state)
{
	(void)state;
	/* Two patches claimed 2: the second one moves on to 3. */
	make("v m/001_a.py; c add1\nv m/002_mine.py m/002_yours.py; c both\n"
	     "git mv m/002_yours.py m/003_yours.py; c renumber\ncode tip\n");
	expect("[" NUMBERS "]", NULL, "1: add1 (head)\n2: both (head)\n3: tip (tip)\n");
	/* All begins anew. */
	make("for i in 1 2 3 4; do v m/00${i}_a.py; c add$i; done; code old\n"
	     "git rm -qr m; v m/001_initial.py; c anew\ncode new1\nv m/002_x.py; c new2\n");
	expect("[" NUMBERS "]", NULL, "1: new1 (head)\n2: new2 (tip)\n");
	expect("[" NUMBERS "]", "*", "1: new1 (head)\n2: new2 (tip)\n3: add3 (head gone)\n4: old (head gone)\n");
}

static void test_late(void **state)
{
	(void)state;
	/* 2 is merged when 3 and 4 are there: the code of 3 does not know it. */
	make("v m/001_a.py; c add1\nv m/003_c.py; c add3\ncode after3\nv m/004_d.py; c add4\nv m/002_b.py; c add2\n"
	     "code late\nv m/005_e.py; c add5\n");
	expect("[" NUMBERS "]", "*",
	       "1: add1 (head)\n2: late (batch 4)\n3: after3 (head)\n4: late (head)\n5: add5 (tip)\n");
	expect("[" NUMBERS "]", NULL,
	       "1: add1 (head)\n2: late (batch 4)\n3: late (batch 4 stale)\n4: late (head)\n5: add5 (tip)\n");
}

static void test_graph(void **state)
{
	(void)state;
	make("a a1 None; c a1\ncode after-a1\na b2 '\"a1\"'; c b2\na c2 '\"a1\"'; c c2\ncode two-heads\n"
	     "a m3 '(\"b2\", \"c2\")'; c m3\ncode merged\na n4 '\"m3\"'; c n4\n");
	expect("[" ALEMBIC "]", NULL,
	       "branched\na1: after-a1 (head)\nb2: b2 (head)\nc2: two-heads (heads)\nm3: merged (head)\nn4: n4 "
	       "(tip)\n");
	/* Ids say nothing of the order; a file may change what it is. */
	make("a z None; c z\na y '\"z\"'; a x '\"y\"'; c both\ncode after\na w '\"x\"'; c w\n"
	     "printf 'nothing' >versions/helper.py; c helper\n");
	expect("[" ALEMBIC "]", NULL, "z: z (head)\ny: after (batch x)\nx: after (head)\nw: helper (tip)\n");
}

static void test_eras(void **state)
{
	(void)state;
	/* From numbers to Alembic, whose first revision takes over what the numbers left; then the numbers go. */
	make("v m/001_a.py; c add1\nv m/002_b.py; c add2\ncode after2\na i0 None; c alembic\ncode both\n"
	     "git rm -qr m; c no-numbers\ncode only\na j1 '\"i0\"'; c j1\n");
	expect("[" NUMBERS ", " ALEMBIC "]", NULL, "i0: only (head)\nj1: j1 (tip)\n");
	expect("[" NUMBERS ", " ALEMBIC "]", "1",
	       "1: add1 (head gone)\n2: after2 (head gone)\ni0: both (head stale)\nj1: j1 (tip)\n");
}

static void test_errors(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(history_map_freep) struct history_map *m = map_of("[" NUMBERS "]");
	make("code x\n");
	assert_null(history_read(m, repo, "main", clock_deadline(60000), &err));
	assert_non_null(strstr(err.msg, "no version was ever in m, new/place, up to main"));
	err_clear(&err);
	assert_null(history_read(m, repo, "nowhere", clock_deadline(60000), &err));
	assert_int_equal(err.reach, ERR_USER);
	assert_non_null(strstr(err.msg, "nowhere: no such branch, tag or commit"));
	err_clear(&err);
	assert_null(history_read(m, home, NULL, clock_deadline(60000), &err));
	assert_int_equal(err.reach, ERR_USER);
	err_clear(&err);
	assert_null(history_read(m, repo, "main", clock_mono() - 1, &err));
	assert_int_equal(err.reach, ERR_BOX);
	/* Nobody's configuration changes what we read: a pager, a hook, colours, renames, follow. */
	make("git config log.follow true; git config log.showRoot false; git config log.showSignature true\n"
	     "git config color.ui always; git config diff.renames copies; git config core.pager false\n"
	     "git config log.diffMerges combined; git config core.fsmonitor /nonexistent/evil\n"
	     "v m/001_a.py; c add1\nv m/002_b.py; c add2\n");
	expect("[" NUMBERS "]", NULL, "1: add1 (head)\n2: add2 (tip)\n");
}

static void parse(const char *log, size_t len, bool good)
{
	struct err err = ERR_INIT;
	CLEANUP(history_map_freep) struct history_map *m = map_of("[" NUMBERS "]");
	CLEANUP(history_freep) struct history *h = history_parse_log(m, "tip", log, len, &err);
	assert_int_equal(h != NULL, good);
	if (h)
		assert_int_equal(history_order(h, &err), 0);
	else
		assert_int_equal(err.reach, ERR_USER);
}

static void test_hostile(void **state)
{
	(void)state;
#define A                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define COMMIT            "\2" A " 1 " A "\0"
#define CHANGE            ":000000 100644 " A " " A " A\0m/001_a.py\0"
#define PARSE(text, good) parse(text, sizeof(text) - 1, good)
	PARSE("", true);
	PARSE(COMMIT CHANGE, true);
	PARSE(COMMIT CHANGE CHANGE CHANGE, true);
	PARSE(COMMIT "\n" CHANGE, true);
	PARSE("\2" A " 1 \0" CHANGE, true); /* no parent */
	PARSE(CHANGE, false);
	PARSE(COMMIT ":000000 100644 " A "\0m/001_a.py\0", false);
	PARSE(COMMIT ":\0m/001_a.py\0", false);
	PARSE(COMMIT ":000000 100644 " A " " A " A\0", false);
	PARSE(COMMIT ":000000 100644 " A " " A " A\0m/001_a.py", false);
	PARSE("\2" A "\0", false);
	PARSE("\2" A " \0", false);
	PARSE("\2" A " 1 zz\0", false);
	PARSE("hello\0", false);
	PARSE("\2" A " 1 " A, false);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(home))
		return -1;
	repo = xasprintf("%s/repo", home);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	free(repo);
	return fs_remove_tree(home, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),    cmocka_unit_test(test_batch),  cmocka_unit_test(test_squash),
		cmocka_unit_test(test_move),     cmocka_unit_test(test_merge),  cmocka_unit_test(test_revert),
		cmocka_unit_test(test_renumber), cmocka_unit_test(test_late),   cmocka_unit_test(test_graph),
		cmocka_unit_test(test_eras),     cmocka_unit_test(test_errors), cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
