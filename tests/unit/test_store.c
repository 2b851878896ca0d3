/* SPDX-License-Identifier: MIT */
#include "migrations/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/owner.h"
#include "base/template.h"
#include "base/text.h"

static char home[64], path[128];
static struct buf script;

static struct db *open_store(void)
{
	struct err err = ERR_INIT;
	struct db *db = db_open(path, script.data, &err);
	assert_string_equal(err.msg, "");
	assert_non_null(db);
	return db;
}

static int setup(void **state)
{
	struct err err = ERR_INIT;
	script = buf_make(BUF_TEXT_MAX);
	if (template_file("store.sql", &script, &err) < 0)
		return -1;
	(void)snprintf(home, sizeof(home), "/tmp/test_store.XXXXXX");
	if (!mkdtemp(home))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/store.sqlite", home);
	*state = open_store();
	return 0;
}

static int teardown(void **state)
{
	struct err err = ERR_INIT;
	db_close(*state);
	buf_finish(&script);
	return fs_remove_tree(home, &err);
}

static struct run add_run(struct db *db, const char *name)
{
	struct run r = {.nonce = "0123456789abcdef0123456789abcdef", .tool = "alembic", .engine = "sqlite"};
	struct err err = ERR_INIT;
	(void)snprintf(r.name, sizeof(r.name), "%s", name);
	assert_int_equal(store_run_add(db, &r, "{\"name\": 1}", &err), 0);
	return r;
}

static void test_ids(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	assert_string_equal(add_run(db, "nova").id, "nova-1");
	assert_string_equal(add_run(db, "nova").id, "nova-2");
	assert_string_equal(add_run(db, "nova-2").id, "nova-2-1");
	assert_string_equal(add_run(db, "nova").box, "nova-3");
	/* A name that a box still has is not given again. */
	assert_int_equal(db_run(db, &err,
				"INSERT INTO boxes (name, run, cloud, image, state, user, host_key, key_path, created, "
				"expires) VALUES ('nova-9', 'nova-7', '', '', 'gone', '', '', '', 0, 0)",
				NULL),
			 1);
	struct run r = add_run(db, "nova");
	assert_string_equal(r.id, "nova-10");
	assert_string_equal(r.status, "running");
	assert_true(r.started > 1700000000);
	r = add_run(db, "a-name-of-sixty-three-bytes-is-still-a-name-and-its-id-is-one-0");
	assert_true(text_is_name(r.id));
	assert_true(text_ends(r.id, "-1"));
}

static void test_find(void **state)
{
	struct db *db = *state;
	struct run r;
	struct err err = ERR_INIT;
	AUTO_BUF recipe = buf_make(1000);
	assert_int_equal(store_run_find(db, "last", &r, &err), 0);
	for (int i = 0; i < 11; i++)
		add_run(db, "nova");
	add_run(db, "patchwork");
	assert_int_equal(store_run_find(db, "nova-1", &r, &err), 1);
	assert_string_equal(r.id, "nova-1");
	assert_string_equal(r.tool, "alembic");
	assert_true(r.owned);
	assert_int_equal(store_run_find(db, "pa", &r, &err), 1);
	assert_string_equal(r.id, "patchwork-1");
	assert_int_equal(store_run_find(db, "last", &r, &err), 1);
	assert_string_equal(r.id, "patchwork-1");
	assert_int_equal(store_run_find(db, "zope", &r, &err), 0);
	assert_int_equal(store_run_find(db, "", &r, &err), 0);
	assert_int_equal(store_run_find(db, "nova", &r, &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	assert_non_null(strstr(err.msg, "nova-10"));
	assert_int_equal(store_run_recipe(db, "nova-1", &recipe, &err), 0);
	assert_string_equal(recipe.data, "{\"name\": 1}");
	assert_int_equal(store_run_recipe(db, "zope-1", &recipe, &err), -1);
}

static int count_down(const struct run *r, void *ctx)
{
	int *left = ctx;
	assert_true(text_starts(r->id, "nova-"));
	return --*left == 0;
}

static void test_each(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	for (int i = 0; i < 40; i++)
		add_run(db, "nova");
	int left = 100;
	assert_int_equal(store_run_each(db, 0, count_down, &left, &err), 40);
	assert_int_equal(store_run_each(db, 7, count_down, &left, &err), 7);
	left = 3;
	assert_int_equal(store_run_each(db, 0, count_down, &left, &err), 3);
}

static void test_life(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	struct run r = add_run(db, "nova");
	assert_int_equal(store_run_end(db, r.id, "finding", "step 204: failed-clean", &err), 0);
	assert_int_equal(store_run_find(db, r.id, &r, &err), 1);
	assert_string_equal(r.status, "finding");
	assert_string_equal(r.detail, "step 204: failed-clean");
	assert_true(r.ended >= r.started);
	assert_false(r.owned);
	assert_int_equal(store_run_adopt(db, r.id, &err), 0);
	assert_int_equal(store_run_find(db, r.id, &r, &err), 1);
	assert_true(r.owned);
	assert_int_equal(r.ended, 0);
	assert_int_equal(store_run_end(db, "none-1", "ok", "", &err), -1);
	assert_string_equal(err.msg, "no run none-1");
}

/* The owner is gone when its process is, even when somebody else has its number by now. */
static void test_owner(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	struct run r = add_run(db, "nova");
	assert_true(owner_alive(getpid(), owner_start(getpid())));
	assert_false(owner_alive(getpid(), owner_start(getpid()) - 1));
	assert_false(owner_alive(0, 0));
	assert_true(db_run(db, &err, "UPDATE runs SET owner_start = owner_start - 1", NULL) == 1);
	assert_int_equal(store_run_find(db, r.id, &r, &err), 1);
	assert_false(r.owned);
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_true(pid > 0);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(owner_start(pid), 0); /* a zombie */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(owner_start(pid), 0);
}

static void add_many(int n)
{
	struct db *db = open_store();
	for (int i = 0; i < n; i++) {
		struct run r = {.name = "nova"};
		struct err err = ERR_INIT;
		if (store_run_add(db, &r, "{}", &err) < 0)
			_exit(1);
	}
	db_close(db);
	_exit(0);
}

/* Several processes at once: no id is lost or given twice. */
static void test_processes(void **state)
{
	struct db *db = *state;
	struct run r;
	struct err err = ERR_INIT;
	enum { PROCESSES = 4, EACH = 25 };
	pid_t pids[PROCESSES];
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			add_many(EACH);
		assert_true(pids[i] > 0);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(store_run_find(db, "nova-100", &r, &err), 1);
	assert_false(r.owned);
	int left = 1000;
	assert_int_equal(store_run_each(db, 0, count_down, &left, &err), PROCESSES * EACH);
}

static void test_offset(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	AUTO_BUF text = buf_make(100);
	struct run r = add_run(db, "nova");
	assert_int_equal(store_begin(db, &err), 0);
	assert_int_equal(store_task(db, r.id, 1, "setup", "make", &err), 0);
	assert_int_equal(store_walker_put(db, r.id, "state", &err), 0);
	assert_int_equal(store_commit(db, r.id, 120, &err), 0);
	assert_int_equal(store_run_find(db, r.id, &r, &err), 1);
	assert_int_equal(r.received, 120);
	/* A record that is there already, and one that is given up, leave nothing. */
	assert_int_equal(store_begin(db, &err), 0);
	assert_int_equal(store_task(db, r.id, 2, "setup", "twice", &err), 0);
	assert_int_equal(store_commit(db, r.id, 120, &err), -1);
	assert_int_equal(err.reach, ERR_BOX);
	assert_int_equal(store_begin(db, &err), 0);
	assert_int_equal(store_task(db, r.id, 2, "setup", "aborted", &err), 0);
	store_abort(db);
	assert_int_equal(store_begin(db, &err), 0);
	assert_int_equal(store_task(db, r.id, 2, "setup", "kept", &err), 0);
	assert_int_equal(store_commit(db, r.id, 121, &err), 0);
	assert_int_equal(store_walker_get(db, r.id, &text, &err), 0);
	assert_string_equal(text.data, "state");
}

static int check_tasks(const struct task_row *t, void *ctx)
{
	AUTO_FREE char *line = xasprintf("%lld %s %s %lld %s %lld;", (long long)t->n, t->kind, t->title,
					 (long long)t->rc, t->why, (long long)t->ms);
	return buf_adds(ctx, line);
}

static void test_tasks(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(1000);
	struct run r = add_run(db, "nova");
	assert_int_equal(store_task(db, r.id, 1, "setup", "make", &err), 0);
	assert_int_equal(store_task(db, r.id, 2, "setup", "test", &err), 0);
	assert_int_equal(store_task_end(db, r.id, 1, 3, "exit", 12, &err), 0);
	assert_int_equal(store_task_end(db, r.id, 3, 3, "exit", 12, &err), -1);
	assert_int_equal(store_task_each(db, r.id, check_tasks, &out, &err), 2);
	assert_string_equal(out.data, "1 setup make 3 exit 12;2 setup test -1  -1;");
}

static void test_output(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(1000);
	struct run r = add_run(db, "nova");
	assert_int_equal(store_output(db, r.id, 't', 1, "one ", 4, &err), 0);
	assert_int_equal(store_output(db, r.id, 's', 1, "other", 5, &err), 0);
	assert_int_equal(store_output(db, r.id, 't', 1, "\0\033[31m", 6, &err), 0);
	assert_int_equal(store_output(db, r.id, 't', 1, "", 0, &err), 0);
	assert_int_equal(store_output_read(db, r.id, 't', 1, 0, &out, &err), 0);
	assert_int_equal(out.len, 10);
	assert_memory_equal(out.data, "one \0\033[31m", 10);
	buf_reset(&out);
	assert_int_equal(store_output_read(db, r.id, 't', 1, 8, &out, &err), 0);
	assert_memory_equal(out.data, "e \0\033[31m", 8);
	buf_reset(&out);
	assert_int_equal(store_output_read(db, r.id, 't', 2, 0, &out, &err), 0);
	assert_int_equal(out.len, 0);
	AUTO_BUF small = buf_make(3);
	assert_int_equal(store_output_read(db, r.id, 't', 1, 0, &small, &err), 0);
	assert_string_equal(small.data, "31m");
	assert_false(small.overflow);
}

static void put_step(struct db *db, const char *run, int64_t n, const char *version, const char *dir, const char *dump)
{
	struct err err = ERR_INIT;
	struct step s = {.n = n, .rc = -1, .outcome = OUTCOME_APPLIED};
	(void)snprintf(s.version, sizeof(s.version), "%s", version);
	(void)snprintf(s.direction, sizeof(s.direction), "%s", dir);
	(void)snprintf(s.dump, sizeof(s.dump), "%s", dump);
	assert_int_equal(store_step_put(db, run, &s, &err), 0);
}

static void expect_spec(struct db *db, const char *spec, int64_t n)
{
	struct err err = ERR_INIT;
	struct run r;
	struct step s;
	assert_int_equal(store_step_by_spec(db, spec, &r, &s, &err), 1);
	assert_int_equal(s.n, n);
	step_finish(&s);
}

static void test_steps(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	struct run r = add_run(db, "nova");
	struct step s = {
		.n = 1, .version = "204", .direction = "up", .outcome = OUTCOME_RUNNING, .rc = -1, .versions = NULL};
	assert_int_equal(store_step_put(db, r.id, &s, &err), 0);
	struct step t;
	assert_int_equal(store_step_get(db, r.id, 1, &t, &err), 1);
	assert_int_equal(t.rc, -1);
	assert_string_equal(t.versions, "");
	assert_string_equal(t.dump, "");
	step_finish(&t);
	s.rc = 0;
	s.outcome = OUTCOME_FAILED_PARTIAL;
	s.changes = xstrdup("+ table x (2 columns)\n");
	assert_int_equal(store_step_put(db, r.id, &s, &err), 0);
	step_finish(&s);
	assert_int_equal(store_step_get(db, r.id, 1, &t, &err), 1);
	assert_int_equal(t.outcome, OUTCOME_FAILED_PARTIAL);
	assert_int_equal(t.rc, 0);
	assert_string_equal(t.changes, "+ table x (2 columns)\n");
	step_finish(&t);
	assert_int_equal(store_step_get(db, r.id, 2, &t, &err), 0);
}

/* What comparing keeps of a step, all of it, through an insert and an update. */
static void test_step_evidence(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	struct run r = add_run(db, "nova");
	struct step s = {.n = 1, .version = "204", .direction = "up", .rc = 0, .net_ms = -1, .leg = 3};
	struct step t;
	assert_int_equal(store_step_put(db, r.id, &s, &err), 0);
	assert_int_equal(store_step_get(db, r.id, 1, &t, &err), 1);
	assert_int_equal(t.net_ms, -1);
	assert_int_equal(t.leg, 3);
	assert_string_equal(t.findings, "");
	step_finish(&t);
	s.net_ms = 0;
	(void)snprintf(s.model, sizeof(s.model), "ab");
	(void)snprintf(s.commit, sizeof(s.commit), "cd");
	s.findings = xstrdup("loss: a: 3 rows\n");
	s.work = xstrdup("statements\t7\n");
	s.seeded = xstrdup("a\t3\n");
	assert_int_equal(store_step_put(db, r.id, &s, &err), 0);
	step_finish(&s);
	assert_int_equal(store_step_get(db, r.id, 1, &t, &err), 1);
	assert_int_equal(t.net_ms, 0);
	assert_string_equal(t.model, "ab");
	assert_string_equal(t.commit, "cd");
	assert_string_equal(t.findings, "loss: a: 3 rows\n");
	assert_string_equal(t.work, "statements\t7\n");
	assert_string_equal(t.seeded, "a\t3\n");
	step_finish(&t);
}

static int collect_file(const struct migration_file *f, void *ctx)
{
	buf_addf(ctx, "%s %s %s\n", f->version, f->path, f->blob);
	return 0;
}

static void test_files_and_machine(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	struct run r = add_run(db, "nova"), found;
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	assert_int_equal(store_file_put(db, r.id, &(struct migration_file){"2", "v/2_b.sql", "b1"}, &err), 0);
	assert_int_equal(store_file_put(db, r.id, &(struct migration_file){"2", "v/2_a.py", "a1"}, &err), 0);
	assert_int_equal(store_file_put(db, r.id, &(struct migration_file){"2", "v/2_b.sql", "b2"}, &err), 0);
	assert_int_equal(store_file_each(db, r.id, collect_file, &text, &err), 2);
	assert_string_equal(text.data, "2 v/2_a.py a1\n2 v/2_b.sql b2\n");
	assert_int_equal(store_run_machine(db, r.id, "m", "b", &err), 0);
	assert_int_equal(store_run_find(db, r.id, &found, &err), 1);
	assert_string_equal(found.machine, "m");
	assert_string_equal(found.boot, "b");
	assert_int_equal(store_run_machine(db, "nobody-1", "m", "b", &err), -1);
}

static void test_spec(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	struct run r;
	struct step s;
	r = add_run(db, "nova");
	put_step(db, r.id, 0, "204", "base", "aa");
	put_step(db, r.id, 1, "204", "down", "bb");
	put_step(db, r.id, 2, "203", "down", "");
	assert_int_equal(store_step_target(db, r.id, 1, "203", &err), 0);
	put_step(db, r.id, 1, "204", "down", "bb"); /* keeps its target */
	expect_spec(db, "nova-1", 1);
	expect_spec(db, "last:204", 0);
	expect_spec(db, "no:203", 1);
	assert_int_equal(store_step_by_spec(db, "nova-1:202", &r, &s, &err), 0);
	assert_int_equal(store_step_by_spec(db, "nova-2", &r, &s, &err), 0);
	r = add_run(db, "alembic");
	put_step(db, r.id, 1, "a:b", "up", "aa");
	put_step(db, r.id, 2, "a:b", "up", "");
	expect_spec(db, "alembic-1:a:b", 2);
}

static void test_outcomes(void **state)
{
	(void)state;
	for (int o = 0; o < OUTCOME_COUNT_; o++)
		assert_int_equal(outcome_parse(outcome_name((enum outcome)o)), o);
	assert_string_equal(outcome_name(OUTCOME_APPLIED_EMPTY), "applied-empty");
	assert_int_equal(outcome_parse("nonsense"), OUTCOME_RUNNING);
	assert_true(outcome_is_good(OUTCOME_BASE));
	assert_false(outcome_is_good(OUTCOME_RUNNING));
}

/* ---- blobs ---- */

static void make_dump(struct buf *out, int change)
{
	buf_reset(out);
	for (int i = 0; i < 2000; i++)
		buf_addf(out, "CREATE TABLE t%d (id INTEGER NOT NULL, a%d VARCHAR(%d));\n", i, (i * 7919) % 1000,
			 i == change % 2000 ? 1000 + change : i % 255);
}

static void read_back(struct db *db, const struct buf *want, const char *hash)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(STORE_BLOB_MAX);
	assert_int_equal(store_blob_get(db, hash, &out, &err), 0);
	assert_int_equal(out.len, want->len);
	assert_memory_equal(out.data, want->data, want->len);
}

static int take_number(sqlite3_stmt *st, void *ctx)
{
	*(int64_t *)ctx = sqlite3_column_int64(st, 0);
	return 0;
}

static int64_t number(struct db *db, const char *sql)
{
	struct err err = ERR_INIT;
	int64_t n = -1;
	assert_true(db_query(db, &err, take_number, &n, sql, NULL) == 1);
	return n;
}

static void test_blob_chain(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	enum { N = 70 };
	static char hashes[N][SHA256_HEX];
	AUTO_BUF dump = buf_make(BUF_TEXT_MAX);
	for (int i = 0; i < N; i++) {
		make_dump(&dump, i);
		sha256_hex(dump.data, dump.len, hashes[i]);
		assert_int_equal(store_blob_put(db, hashes[i], dump.data, dump.len, i ? hashes[i - 1] : NULL, &err), 0);
	}
	assert_int_equal(number(db, "SELECT count(*) FROM blobs"), N);
	assert_int_equal(number(db, "SELECT max(depth) FROM blobs"), 31);
	assert_int_equal(number(db, "SELECT count(*) FROM blobs WHERE base IS NULL"), 3);
	/* A delta is a tiny fraction of its dump. */
	assert_true(number(db, "SELECT max(length(data)) FROM blobs WHERE base IS NOT NULL") < 1000);
	for (int i = 0; i < N; i++) {
		make_dump(&dump, i);
		read_back(db, &dump, hashes[i]);
	}
}

static void put(struct db *db, const char *data, size_t len, const char *near, char hash[SHA256_HEX])
{
	struct err err = ERR_INIT;
	sha256_hex(data, len, hash);
	assert_int_equal(store_blob_put(db, hash, data, len, near, &err), 0);
	struct buf want = {.data = xmemdup(data, len), .len = len};
	read_back(db, &want, hash);
	free(want.data);
}

static void test_blob_edges(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	char a[SHA256_HEX], b[SHA256_HEX], c[SHA256_HEX];
	put(db, "", 0, NULL, a);
	put(db, "x", 1, a, b); /* an empty prefix */
	put(db, "\0\n", 2, b, c);
	put(db, "y", 1, "no such blob", c);
	put(db, "x", 1, c, b); /* there already: nothing happens */
	assert_int_equal(number(db, "SELECT count(*) FROM blobs"), 4);
	/* 16 MiB, and a neighbour of 16 MiB: the window reaches back over all of it. */
	AUTO_FREE char *large = xcalloc(1, STORE_BLOB_MAX + 1);
	for (size_t i = 0; i < STORE_BLOB_MAX; i++)
		large[i] = (char)((i * 2654435761U) >> 13);
	put(db, large, STORE_BLOB_MAX, NULL, a);
	large[5] ^= 1;
	put(db, large, STORE_BLOB_MAX, a, b);
	assert_int_equal(store_blob_put(db, "f", large, STORE_BLOB_MAX + 1, NULL, &err), -1);
}

static void damaged(struct db *db, const char *hash, const char *sql, const char *want)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(STORE_BLOB_MAX);
	assert_true(db_run(db, &err, sql, NULL) > 0);
	assert_int_equal(store_blob_get(db, hash, &out, &err), -1);
	assert_int_equal(err.reach, ERR_BOX);
	assert_non_null(strstr(err.msg, want));
}

static void test_blob_damage(void **state)
{
	struct db *db = *state;
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(STORE_BLOB_MAX);
	char a[SHA256_HEX], b[SHA256_HEX];
	put(db, "some text that is long enough to be one", 39, NULL, a);
	put(db, "some text that is long enough to be two", 39, a, b);
	assert_int_equal(store_blob_get(db, "0000", &out, &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	damaged(db, b, "UPDATE blobs SET size = size - 1 WHERE base IS NOT NULL", "damaged");
	damaged(db, b, "UPDATE blobs SET size = -1 WHERE base IS NOT NULL", "damaged");
	damaged(db, b, "UPDATE blobs SET size = 1 << 40 WHERE base IS NOT NULL", "damaged");
	damaged(db, b, "UPDATE blobs SET size = 39, base = sha256 WHERE base IS NOT NULL", "does not end");
	damaged(db, a, "UPDATE blobs SET data = x'00' WHERE base IS NULL", "damaged");
	damaged(db, b, "DELETE FROM blobs WHERE base IS NULL", "does not end");
	damaged(db, b, "UPDATE blobs SET base = 'f00' WHERE base IS NOT NULL", "is missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each, setup, teardown),
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_processes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tasks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_step_evidence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files_and_machine, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spec, setup, teardown),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test_setup_teardown(test_blob_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blob_edges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blob_damage, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
