/* SPDX-License-Identifier: MIT */
#include "base/db.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"

/* Its parts may run only once: CREATE TABLE and ALTER TABLE complain the second time. */
static const char script[] = "-- about this file\n"
			     "-- version 1\n"
			     "CREATE TABLE t (k INTEGER PRIMARY KEY, who TEXT, n INTEGER, d REAL, b BLOB);\n"
			     "CREATE TABLE parent (id TEXT PRIMARY KEY);\n"
			     "CREATE TABLE child (p TEXT NOT NULL REFERENCES parent(id) ON DELETE CASCADE);\n"
			     "-- a comment\n"
			     "-- version 2\n"
			     "ALTER TABLE t ADD COLUMN late TEXT;\n"
			     "INSERT INTO t (who, n) VALUES ('script', 2);\n";

struct fixture {
	char dir[64];
	char *path;
};

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	snprintf(f->dir, sizeof f->dir, "/tmp/stepbox-db-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	f->path = xasprintf("%s/store.db", f->dir);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	int rc = fs_remove_tree(f->dir, &err);
	free(f->path);
	free(f);
	return rc;
}

static struct db *open_ok(const char *path)
{
	struct err err = ERR_INIT;
	struct db *db = db_open(path, script, &err);
	if (db == NULL)
		fail_msg("%s", err.msg);
	return db;
}

static int take_int(sqlite3_stmt *st, void *ctx)
{
	*(int64_t *)ctx = sqlite3_column_int64(st, 0);
	return 0;
}

static int64_t one_int(struct db *db, const char *sql)
{
	struct err err = ERR_INIT;
	int64_t n = -1;
	if (db_query(db, &err, take_int, &n, sql, NULL) != 1)
		fail_msg("%s: %s", sql, err.msg);
	return n;
}

static int take_text(sqlite3_stmt *st, void *ctx)
{
	snprintf(ctx, 64, "%s", db_text(st, 0));
	return 0;
}

static void expect_text(struct db *db, const char *sql, const char *want)
{
	struct err err = ERR_INIT;
	char got[64] = "";
	if (db_query(db, &err, take_text, got, sql, NULL) != 1)
		fail_msg("%s: %s", sql, err.msg);
	assert_string_equal(got, want);
}

static void opens_and_upgrades(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	CLEANUP(db_closep) struct db *db = open_ok(f->path);
	assert_int_equal(one_int(db, "PRAGMA user_version"), 2);
	assert_int_equal(one_int(db, "SELECT count(*) FROM t"), 1);
	expect_text(db, "PRAGMA journal_mode", "wal");
	assert_int_equal(one_int(db, "PRAGMA foreign_keys"), 1);
	assert_int_equal(one_int(db, "PRAGMA synchronous"), 1);
	assert_int_equal(db_run(db, &err, "INSERT INTO t (who, late) VALUES ('x', 'y')", NULL), 1);
	static const char *const suffix[] = {"", "-wal", "-shm"};
	for (size_t i = 0; i < ARRAY_SIZE(suffix); i++) {
		struct stat st;
		AUTO_FREE char *path = xasprintf("%s%s", f->path, suffix[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	db_close(TAKE(db));
	db = open_ok(f->path); /* nothing runs twice */
	assert_int_equal(one_int(db, "SELECT count(*) FROM t"), 2);
}

static void upgrades_an_older_file(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	AUTO_FREE char *first = xstrndup(script, (size_t)(strstr(script, "-- version 2\n") - script));
	struct db *db = db_open(f->path, first, &err);
	assert_non_null(db);
	assert_int_equal(one_int(db, "PRAGMA user_version"), 1);
	assert_int_equal(db_run(db, &err, "INSERT INTO t (who) VALUES ('old')", NULL), 1);
	db_close(db);
	db = open_ok(f->path);
	assert_int_equal(one_int(db, "SELECT count(*) FROM t WHERE late IS NULL"), 2);
	db_close(db);
	/* and the older program is told so */
	assert_null(db_open(f->path, first, &err));
	assert_int_equal(err.reach, ERR_USER);
	AUTO_FREE char *want = xasprintf("%s: written by a newer stepbox (version 2, this one knows 1)", f->path);
	assert_string_equal(err.msg, want);
}

/* A part that does not run leaves the file at the version before. */
static void a_bad_part_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	AUTO_FREE char *bad =
		xasprintf("%s-- version 3\nCREATE TABLE extra (x);\nINSERT INTO nowhere VALUES (1);\n", script);
	assert_null(db_open(f->path, bad, &err));
	assert_non_null(strstr(err.msg, "upgrading to version 3"));
	assert_non_null(strstr(err.msg, "nowhere"));
	CLEANUP(db_closep) struct db *db = open_ok(f->path);
	assert_int_equal(one_int(db, "PRAGMA user_version"), 2);
	assert_int_equal(one_int(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'"), 0);
}

static void newer_file_stays_untouched(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	sqlite3 *raw;
	assert_int_equal(sqlite3_open(f->path, &raw), SQLITE_OK);
	assert_int_equal(sqlite3_exec(raw, "CREATE TABLE x (y); PRAGMA user_version=7", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(raw);
	AUTO_BUF before = buf_make(BUF_TEXT_MAX);
	AUTO_BUF after = buf_make(BUF_TEXT_MAX);
	assert_int_equal(fs_read(f->path, BUF_TEXT_MAX, &before, &err), 0);
	assert_null(db_open(f->path, script, &err));
	assert_int_equal(err.reach, ERR_USER);
	assert_non_null(strstr(err.msg, "written by a newer stepbox (version 7, this one knows 2)"));
	assert_int_equal(fs_read(f->path, BUF_TEXT_MAX, &after, &err), 0);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, before.len);
}

static void bad_files(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	char junk[8192];
	memset(junk, 'j', sizeof junk);
	assert_int_equal(fs_write(f->path, junk, sizeof junk, 0600, &err), 0);
	assert_null(db_open(f->path, script, &err));
	assert_int_equal(err.reach, ERR_USER);
	assert_int_equal(err.code & 0xff, SQLITE_NOTADB);
	assert_memory_equal(err.msg, f->path, strlen(f->path));

	AUTO_FREE char *missing = xasprintf("%s/no/such/dir.db", f->dir);
	assert_null(db_open(missing, script, &err));
	assert_int_equal(err.reach, ERR_USER);
	assert_non_null(strstr(err.msg, "No such file or directory"));

	assert_null(db_open(f->dir, script, &err)); /* a directory */
	assert_int_equal(err.reach, ERR_USER);
	assert_memory_equal(err.msg, f->dir, strlen(f->dir));
}

static void damaged_file(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	struct db *db = open_ok(f->path);
	for (int i = 0; i < 500; i++)
		assert_int_equal(db_run(db, &err, "INSERT INTO t (who) VALUES (hex(randomblob(100)))", NULL), 1);
	db_close(db);
	/* overwrite all pages but the first */
	int fd = open(f->path, O_WRONLY | O_CLOEXEC);
	char junk[4096];
	memset(junk, 0xaa, sizeof junk);
	for (off_t at = 4096; at < (off_t)20 * 4096; at += 4096)
		assert_int_equal(pwrite(fd, junk, sizeof junk, at), (ssize_t)sizeof junk);
	close(fd);
	db = db_open(f->path, script, &err);
	if (db != NULL) { /* found when the pages are read */
		int64_t n;
		assert_int_equal(db_query(db, &err, take_int, &n, "SELECT sum(length(who)) FROM t", NULL), -1);
		db_close(db);
	}
	assert_int_equal(err.reach, ERR_USER);
	assert_int_equal(err.code & 0xff, SQLITE_CORRUPT);
	assert_memory_equal(err.msg, f->path, strlen(f->path));
}

struct seen {
	int rows;
	int stop_after;
	char text[64];
	int64_t n;
	double d;
	unsigned char blob[8];
	int blob_len;
	int null_type;
};

static int look(sqlite3_stmt *st, void *ctx)
{
	struct seen *seen = ctx;
	seen->rows++;
	snprintf(seen->text, sizeof seen->text, "%s", db_text(st, 0));
	seen->n = sqlite3_column_int64(st, 1);
	seen->d = sqlite3_column_double(st, 2);
	seen->blob_len = sqlite3_column_bytes(st, 3);
	if (seen->blob_len > 0)
		memcpy(seen->blob, sqlite3_column_blob(st, 3), (size_t)seen->blob_len);
	seen->null_type = sqlite3_column_type(st, 4);
	assert_string_equal(db_text(st, 4), "");
	return seen->rows == seen->stop_after;
}

static void parameters_and_rows(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	CLEANUP(db_closep) struct db *db = open_ok(f->path);
	static const char insert[] = "INSERT INTO t (who, n, d, b, late) VALUES (?, ?, ?, ?, ?)";
	assert_int_equal(db_run(db, &err, "DELETE FROM t", NULL), 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(db_run(db, &err, insert, "sidbs", "Robert'); DROP TABLE t;--", INT64_MAX - i, 0.5,
					(const void *)"a\0b", (size_t)3, (const char *)NULL),
				 1);
	static const char query[] = "SELECT who, n, d, b, late FROM t WHERE n > ? ORDER BY n";
	struct seen seen = {.rows = 0};
	assert_int_equal(db_query(db, &err, look, &seen, query, "i", (int64_t)0), 3);
	assert_string_equal(seen.text, "Robert'); DROP TABLE t;--");
	assert_true(seen.n == INT64_MAX);
	assert_true(seen.d == 0.5);
	assert_int_equal(seen.blob_len, 3);
	assert_memory_equal(seen.blob, "a\0b", 3);
	assert_int_equal(seen.null_type, SQLITE_NULL);
	seen = (struct seen){.stop_after = 2};
	assert_int_equal(db_query(db, &err, look, &seen, query, "i", (int64_t)0), 2);
	assert_int_equal(db_query(db, &err, look, &seen, query, "i", INT64_MAX), 0);

	assert_int_equal(db_run(db, &err, "UPDATE t SET n = 1 WHERE n > 5", NULL), 3);
	assert_int_equal(db_run(db, &err, "UPDATE t SET n = 1 WHERE n > 5", NULL), 0);
	assert_int_equal(db_run(db, &err, "CREATE TABLE later (x)", NULL), 0); /* not the number of before */
	assert_int_equal(db_run(db, &err, insert, "sidbs", "", (int64_t)0, 0.0, (const void *)NULL, (size_t)0, ""), 1);
	assert_int_equal(one_int(db, "SELECT count(*) FROM t WHERE b = x''"), 1);
	assert_int_equal(db_run(db, &err, "INSERT INTO t (who) VALUES ('a'), ('b') RETURNING k", NULL), 2);
}

static void foreign_keys(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	CLEANUP(db_closep) struct db *db = open_ok(f->path);
	assert_int_equal(db_run(db, &err, "INSERT INTO child VALUES ('p')", NULL), -1);
	assert_int_equal(err.code & 0xff, SQLITE_CONSTRAINT);
	assert_int_equal(db_run(db, &err, "INSERT INTO parent VALUES ('p')", NULL), 1);
	assert_int_equal(db_run(db, &err, "INSERT INTO child VALUES ('p')", NULL), 1);
	assert_int_equal(db_run(db, &err, "DELETE FROM parent", NULL), 1);
	assert_int_equal(one_int(db, "SELECT count(*) FROM child"), 0);
}

static void our_mistakes(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	int64_t n;
	CLEANUP(db_closep) struct db *db = open_ok(f->path);
	assert_int_equal(
		db_run(db, &err, "INSERT INTO nowhere\n\tVALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)", NULL), -1);
	assert_int_equal(err.reach, ERR_BUG);
	AUTO_FREE char *want = xasprintf("%s: no such table: nowhere (SQL: INSERT INTO nowhere", f->path);
	assert_memory_equal(err.msg, want, strlen(want));
	assert_null(strchr(err.msg, '\n'));
	assert_null(strstr(err.msg, "12"));
	assert_int_equal(db_run(db, &err, "DELETE FROM t; DELETE FROM t", NULL), -1);
	assert_int_equal(err.reach, ERR_BUG);
	assert_int_equal(db_run(db, &err, "", NULL), -1);
	assert_int_equal(db_run(db, &err, "DELETE FROM t WHERE k = ?", NULL), -1);
	assert_int_equal(db_run(db, &err, "DELETE FROM t WHERE k = ?", "is", (int64_t)1, "x"), -1);
	assert_int_equal(db_run(db, &err, "DELETE FROM t WHERE k = ?", "z", 1), -1);
	assert_int_equal(db_query(db, &err, take_int, &n, "SELECT \"whoo\" FROM t", NULL), -1); /* not a text */
	assert_int_equal(one_int(db, "SELECT count(*) FROM t"), 1);
}

static void transactions(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	CLEANUP(db_closep) struct db *db = open_ok(f->path);
	assert_int_equal(db_begin(db, false, &err), 0);
	assert_int_equal(db_run(db, &err, "INSERT INTO t (k, who) VALUES (41, 'a')", NULL), 1);
	assert_int_equal(db_last_rowid(db), 41);
	assert_int_equal(db_begin(db, false, &err), -1);
	assert_int_equal(err.reach, ERR_BUG);
	db_rollback(db);
	assert_int_equal(one_int(db, "SELECT count(*) FROM t"), 1);
	db_rollback(db); /* harmless outside */
	assert_int_equal(db_commit(db, &err), -1);
	assert_int_equal(err.reach, ERR_BUG);

	assert_int_equal(db_begin(db, true, &err), 0);
	assert_int_equal(one_int(db, "PRAGMA synchronous"), 2);
	assert_int_equal(db_run(db, &err, "INSERT INTO t (who) VALUES ('a')", NULL), 1);
	assert_int_equal(db_commit(db, &err), 0);
	assert_int_equal(one_int(db, "PRAGMA synchronous"), 1);
	assert_int_equal(db_begin(db, true, &err), 0);
	db_rollback(db);
	assert_int_equal(one_int(db, "PRAGMA synchronous"), 1);
	assert_int_equal(db_begin(db, false, &err), 0);
	assert_int_equal(one_int(db, "PRAGMA synchronous"), 1);
	assert_int_equal(db_commit(db, &err), 0);
	assert_int_equal(one_int(db, "SELECT count(*) FROM t"), 2);
	/* closing with one open rolls it back */
	assert_int_equal(db_begin(db, false, &err), 0);
	assert_int_equal(db_run(db, &err, "DELETE FROM t", NULL), 2);
	db_close(TAKE(db));
	db = open_ok(f->path);
	assert_int_equal(one_int(db, "SELECT count(*) FROM t"), 2);
}

/* A transaction that SQLite itself rolled back must not be committed as if nothing were. */
static void lost_transaction(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	CLEANUP(db_closep) struct db *db = open_ok(f->path);
	assert_int_equal(db_begin(db, true, &err), 0);
	assert_int_equal(db_run(db, &err, "INSERT INTO t (k) VALUES (50)", NULL), 1);
	assert_int_equal(db_run(db, &err, "INSERT OR ROLLBACK INTO t (k) VALUES (50)", NULL), -1);
	assert_int_equal(db_run(db, &err, "INSERT INTO t (k) VALUES (51)", NULL), -1);
	assert_non_null(strstr(err.msg, "rolled back"));
	assert_int_equal(db_commit(db, &err), -1);
	assert_non_null(strstr(err.msg, "rolled back"));
	assert_int_equal(one_int(db, "SELECT count(*) FROM t WHERE k >= 50"), 0);
	assert_int_equal(one_int(db, "PRAGMA synchronous"), 1);
	assert_int_equal(db_begin(db, false, &err), 0);
	assert_int_equal(db_commit(db, &err), 0);
}

#define ROWS 200

/* Half of the rows one by one, half in transactions of ten that read before they write. Returns 0 when all went in. */
static int write_rows(struct db *db, const char *who, struct err *err)
{
	for (int i = 0; i < ROWS / 2; i++)
		if (db_run(db, err, "INSERT INTO t (who, n) VALUES (?, ?)", "si", who, (int64_t)i) != 1)
			return -1;
	for (int i = ROWS / 2; i < ROWS;) {
		int64_t before;
		if (db_begin(db, i % 20 == 0, err) != 0)
			return -1;
		if (db_query(db, err, take_int, &before, "SELECT count(*) FROM t", NULL) != 1)
			return -1;
		for (int k = 0; k < 10; k++, i++) {
			if (db_run(db, err, "INSERT INTO t (who, n) VALUES (?, ?)", "si", who, (int64_t)i) != 1)
				return -1;
			int64_t rowid = db_last_rowid(db), after = 0, mine = 0;
			if (db_query(db, err, take_int, &after, "SELECT count(*) FROM t", NULL) != 1 ||
			    db_query(db, err, take_int, &mine, "SELECT n FROM t WHERE k = ?", "i", rowid) != 1)
				return -1;
			if (after != before + k + 1 || mine != i)
				return err_set(err, ERR_BUG, 0, "%s: somebody else wrote in our transaction", who);
		}
		if (db_commit(db, err) != 0)
			return -1;
	}
	return 0;
}

static void expect_rows(struct db *db, int writers)
{
	assert_int_equal(one_int(db, "SELECT count(*) FROM t"), writers * ROWS + 1);
	assert_int_equal(one_int(db, "SELECT count(DISTINCT who || ' ' || n) FROM t"), writers * ROWS + 1);
	expect_text(db, "PRAGMA integrity_check", "ok");
}

/* Several processes open a file that is not there yet, all at the same moment, and write. */
static void run_processes(const char *path, int count)
{
	int gate[2];
	pid_t pids[16];
	assert_int_equal(pipe(gate), 0);
	for (int i = 0; i < count; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] > 0)
			continue;
		struct err err = ERR_INIT;
		char byte, who[16];
		close(gate[1]);
		(void)!read(gate[0], &byte, 1); /* ends when the parent closes its end */
		snprintf(who, sizeof who, "p%d", i);
		struct db *db = db_open(path, script, &err);
		int rc = db == NULL ? -1 : write_rows(db, who, &err);
		if (rc != 0)
			fprintf(stderr, "process %d: %s\n", i, err.msg);
		db_close(db);
		_exit(rc == 0 ? 0 : 1);
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < count; i++) {
		int status = -1;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

static void two_processes(void **state)
{
	struct fixture *f = *state;
	run_processes(f->path, 2);
	CLEANUP(db_closep) struct db *db = open_ok(f->path);
	expect_rows(db, 2);
}

static void eight_processes(void **state)
{
	struct fixture *f = *state;
	run_processes(f->path, 8);
	CLEANUP(db_closep) struct db *db = open_ok(f->path);
	expect_rows(db, 8);
}

/* Only the opening, many times: the switch to WAL and the upgrade are where two processes meet. */
static void opening_races(void **state)
{
	struct fixture *f = *state;
	for (int round = 0; round < 20; round++) {
		AUTO_FREE char *path = xasprintf("%s/race%d.db", f->dir, round);
		pid_t pids[6];
		int gate[2];
		assert_int_equal(pipe(gate), 0);
		for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
			pids[i] = fork();
			if (pids[i] > 0)
				continue;
			struct err err = ERR_INIT;
			char byte;
			close(gate[1]);
			(void)!read(gate[0], &byte, 1);
			struct db *db = db_open(path, script, &err);
			if (db == NULL)
				fprintf(stderr, "%s\n", err.msg);
			db_close(db);
			_exit(db == NULL);
		}
		close(gate[0]);
		close(gate[1]);
		for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
			int status = -1;
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_int_equal(status, 0);
		}
		struct db *db = open_ok(path);
		assert_int_equal(one_int(db, "SELECT count(*) FROM t"), 1);
		expect_text(db, "PRAGMA journal_mode", "wal");
		db_close(db);
	}
}

struct writer {
	struct db *db;
	char who[16];
	int rc;
	struct err err;
};

static void *writer_thread(void *arg)
{
	struct writer *w = arg;
	w->rc = write_rows(w->db, w->who, &w->err);
	return NULL;
}

static void threads_share_one(void **state)
{
	struct fixture *f = *state;
	CLEANUP(db_closep) struct db *db = open_ok(f->path);
	struct writer writers[4];
	pthread_t threads[ARRAY_SIZE(writers)];
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		writers[i] = (struct writer){.db = db};
		snprintf(writers[i].who, sizeof writers[i].who, "t%zu", i);
		assert_int_equal(pthread_create(&threads[i], NULL, writer_thread, &writers[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		pthread_join(threads[i], NULL);
		if (writers[i].rc != 0)
			fail_msg("%s", writers[i].err.msg);
	}
	expect_rows(db, ARRAY_SIZE(writers));
}

/* Another process has the file: we wait for it, and say so when it never lets go. */
static void busy(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	CLEANUP(db_closep) struct db *db = open_ok(f->path);
	sqlite3 *other;
	assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	db_set_busy_timeout(db, 500);
	mono_ms start = clock_mono();
	assert_int_equal(one_int(db, "SELECT count(*) FROM t"), 1); /* readers do not wait */
	assert_true(clock_mono() - start < 400);
	assert_int_equal(db_begin(db, false, &err), -1);
	assert_int_equal(err.reach, ERR_BOX);
	assert_int_equal(err.code & 0xff, SQLITE_BUSY);
	assert_true(clock_mono() - start >= 400);
	sqlite3_close(other);
	assert_int_equal(db_begin(db, false, &err), 0);
	assert_int_equal(db_commit(db, &err), 0);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(opens_and_upgrades),
		IN_DIR(upgrades_an_older_file),
		IN_DIR(a_bad_part_changes_nothing),
		IN_DIR(newer_file_stays_untouched),
		IN_DIR(bad_files),
		IN_DIR(damaged_file),
		IN_DIR(parameters_and_rows),
		IN_DIR(foreign_keys),
		IN_DIR(our_mistakes),
		IN_DIR(transactions),
		IN_DIR(lost_transaction),
		IN_DIR(two_processes),
		IN_DIR(eight_processes),
		IN_DIR(opening_races),
		IN_DIR(threads_share_one),
		IN_DIR(busy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
