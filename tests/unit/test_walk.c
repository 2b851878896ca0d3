/* SPDX-License-Identifier: MIT */
#include "migrations/walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/proc.h"
#include "base/template.h"
#include "base/text.h"
#include "base/yaml.h"

#define NONCE "00112233445566778899aabbccddeeff"

/* A store, a run in it, the journal that its box would write, and what the view was told. */
struct lab {
	char dir[64];
	struct db *db;
	struct run run;
	struct buf journal;
	struct buf told;
	struct walk_view view;
	struct walk walk;
	const char *whole; /* what fetch() gives */
	int fetched;
};

/* ---- the view ---- */

static void on_task(void *ctx, int64_t n, const char *kind, const char *title)
{
	buf_addf(&((struct lab *)ctx)->told, "task %lld %s %s\n", (long long)n, kind, title);
}

static void on_task_end(void *ctx, int64_t n, int64_t rc, const char *why, int64_t ms)
{
	buf_addf(&((struct lab *)ctx)->told, "end %lld %lld %s %lld\n", (long long)n, (long long)rc, why,
		 (long long)ms);
}

static void on_versions(void *ctx, int64_t n, const char *variant)
{
	buf_addf(&((struct lab *)ctx)->told, "versions %lld %s\n", (long long)n, variant);
}

static void on_list(void *ctx, const char *text, size_t len)
{
	buf_addf(&((struct lab *)ctx)->told, "list %.*s", (int)len, text);
}

static void on_walk(void *ctx, const char *from, const char *to, const char *dir, int64_t n)
{
	buf_addf(&((struct lab *)ctx)->told, "walk %s %s %s %lld\n", from, to, dir, (long long)n);
}

static void on_step(void *ctx, int64_t n, const char *version, const char *dir)
{
	buf_addf(&((struct lab *)ctx)->told, "step %lld %s %s\n", (long long)n, version, dir);
}

static void on_output(void *ctx, char kind, int64_t n, const char *data, size_t len)
{
	buf_addf(&((struct lab *)ctx)->told, "out %c%lld %.*s\n", kind, (long long)n, (int)len, data);
}

static void on_step_end(void *ctx, const struct step *s, const char *brief)
{
	buf_addf(&((struct lab *)ctx)->told, "stepend %lld %s: %s\n", (long long)s->n, outcome_name(s->outcome), brief);
}

static int fetch(void *ctx, const char *sha256, struct buf *out, struct err *err)
{
	struct lab *l = ctx;
	(void)sha256;
	l->fetched++;
	if (!l->whole)
		return err_set(err, ERR_BOX, 0, "gone");
	return buf_adds(out, l->whole);
}

/* ---- a lab ---- */

static void lab_open(struct lab *l)
{
	struct err err = ERR_INIT;
	AUTO_BUF script = buf_make(BUF_TEXT_MAX);
	memset(l, 0, sizeof(*l));
	assert_int_equal(template_file("store.sql", &script, &err), 0);
	(void)snprintf(l->dir, sizeof(l->dir), "/tmp/test_walk.XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	AUTO_FREE char *path = xasprintf("%s/store.sqlite", l->dir);
	l->db = db_open(path, script.data, &err);
	assert_non_null(l->db);
	l->run = (struct run){.name = "nova", .nonce = NONCE, .engine = "sqlite"};
	assert_int_equal(store_run_add(l->db, &l->run, "{}", &err), 0);
	l->journal = buf_make(BUF_TEXT_MAX);
	l->told = buf_make(BUF_TEXT_MAX);
	l->view = (struct walk_view){.task = on_task,
				     .task_end = on_task_end,
				     .versions = on_versions,
				     .list = on_list,
				     .walk = on_walk,
				     .step = on_step,
				     .output = on_output,
				     .step_end = on_step_end,
				     .ctx = l};
	l->walk = (struct walk){.db = l->db,
				.engine = "sqlite",
				.refused = "NotImplementedError|not supported$",
				.env_failed = "^ImportError",
				.view = &l->view};
	(void)snprintf(l->walk.run, sizeof(l->walk.run), "%s", l->run.id);
}

static void lab_close(struct lab *l)
{
	struct err err = ERR_INIT;
	db_close(l->db);
	buf_finish(&l->journal);
	buf_finish(&l->told);
	assert_int_equal(fs_remove_tree(l->dir, &err), 0);
}
#define AUTO_LAB CLEANUP(lab_close) struct lab

/* ---- writing a journal ---- */

__attribute__((format(printf, 2, 3))) static void rec(struct lab *l, const char *fmt, ...)
{
	va_list ap;
	buf_adds(&l->journal, "@" NONCE " ");
	va_start(ap, fmt);
	buf_vaddf(&l->journal, fmt, ap);
	va_end(ap);
	buf_addc(&l->journal, '\n');
}

static void rec_text(struct lab *l, const char *header, const char *text)
{
	rec(l, "%s len=%zu", header, strlen(text));
	buf_addf(&l->journal, "%s\n", text);
}

static void rec_whole(struct lab *l, const char *kind, int n, const char *form, const char *text, const char *payload)
{
	char hash[SHA256_HEX];
	sha256_hex(text, strlen(text), hash);
	AUTO_FREE char *header = xasprintf("%s n=%d form=%s sha256=%s size=%zu", kind, n, form, hash, strlen(text));
	if (payload)
		rec_text(l, header, payload);
	else
		rec(l, "%s", header);
}

static void rec_dump(struct lab *l, int n, const char *form, const char *text, const char *payload)
{
	rec_whole(l, "dump", n, form, text, payload);
}

static void rec_model(struct lab *l, int n, const char *form, const char *text, const char *payload)
{
	rec_whole(l, "model", n, form, text, payload);
}

#define DUMP_0  "CREATE TABLE a (id INTEGER NOT NULL);\n"
#define DUMP_1  DUMP_0 "CREATE TABLE b (id INTEGER NOT NULL);\n"
#define DELTA_1 "a1 1\nCREATE TABLE b (id INTEGER NOT NULL);\n"

#define MODEL_0 "table\ta\n"
#define MODEL_1 MODEL_0 "table\tb\n"

static void write_begin(struct lab *l, const char *walk)
{
	rec(l, "hello run=%s pid=17 utc=2026-11-22T18:00:00Z", l->run.id);
	rec_text(l, "task n=1 kind=setup timeout=600", "make \033[31mred");
	rec_text(l, "out task=1", "working\n");
	rec(l, "end n=1 rc=0 ms=1500 why=exit");
	rec(l, "variant name=with-downgrades");
	rec_text(l, "versions n=3", "202\n203\n204\n");
	if (walk)
		rec(l, "walk %s", walk);
}

static void write_step(struct lab *l, int n, const char *version, const char *dir)
{
	rec(l, "step n=%d version=%s dir=%s", n, version, dir);
}

static void write_base(struct lab *l, const char *version)
{
	write_step(l, 0, version, "base");
	rec(l, "ran n=0 rc=0 ms=4000 why=exit");
	rec_text(l, "at n=0", "202\n");
	rec_dump(l, 0, "full", DUMP_0, DUMP_0);
	rec_model(l, 0, "full", MODEL_0, MODEL_0);
	rec_text(l, "counts n=0", "a\t0\n");
	rec(l, "stepend n=0 ok=1 why=ok");
}

/* 202 → 203 adds a table, 203 → 204 changes nothing. */
static void write_good(struct lab *l)
{
	write_begin(l, "from=202 to=204 dir=up n=2");
	write_base(l, "202");
	write_step(l, 1, "203", "up");
	rec_text(l, "out step=1", "203 done\n");
	rec(l, "cut step=1 dropped=77");
	rec(l, "ran n=1 rc=0 ms=250 why=exit");
	rec_text(l, "at n=1", "203\n");
	rec_dump(l, 1, "delta", DUMP_1, DELTA_1);
	rec_model(l, 1, "delta", MODEL_1, "a1 1\ntable\tb\n");
	rec_text(l, "counts n=1", "a\t0\nb\t0\n");
	rec_text(l, "work n=1", "statements\t3\nlongest_ms\t0\n");
	rec(l, "stepend n=1 ok=1 why=ok");
	write_step(l, 2, "204", "up");
	rec(l, "ran n=2 rc=0 ms=240 why=exit");
	rec_text(l, "at n=2", "204\n");
	rec_dump(l, 2, "same", DUMP_1, NULL);
	rec_model(l, 2, "same", MODEL_1, NULL);
	rec(l, "stepend n=2 ok=1 why=ok");
	rec(l, "done ok=1 why=ok ms=9000");
}

/* ---- reading it ---- */

/* Feeds the journal from the offset in the store on, at most n bytes, through a new walker. 0/-1 as journal_feed(). */
static int follow(struct lab *l, size_t n, struct walker **out, struct err *err)
{
	assert_int_equal(store_run_find(l->db, l->run.id, &l->run, err), 1);
	struct walker *w = walker_new(&l->walk, err);
	assert_string_equal(err->msg, "");
	assert_non_null(w);
	struct journal *j = journal_new(NONCE, l->run.received, walker_record, w);
	walker_set_journal(w, j);
	size_t rest = l->journal.len - (size_t)l->run.received;
	int rc = journal_feed(j, l->journal.data + l->run.received, n < rest ? n : rest, err);
	journal_free(j);
	walker_set_journal(w, NULL);
	if (out)
		*out = w;
	else
		walker_free(w);
	return rc;
}

static void follow_all(struct lab *l, struct walker **w)
{
	struct err err = ERR_INIT;
	int rc = follow(l, SIZE_MAX, w, &err);
	assert_string_equal(err.msg, "");
	assert_int_equal(rc, 0);
}

static struct step get_step(struct lab *l, int64_t n)
{
	struct err err = ERR_INIT;
	struct step s;
	assert_int_equal(store_step_get(l->db, l->run.id, n, &s, &err), 1);
	return s;
}

static void expect_outcome(struct lab *l, int64_t n, enum outcome want)
{
	struct step s = get_step(l, n);
	assert_string_equal(outcome_name(s.outcome), outcome_name(want));
	step_finish(&s);
}

static void expect_verdict(struct walker *w, const char *want)
{
	char why[512];
	assert_int_equal(walker_verdict(w, why), want[0] == '\0');
	assert_string_equal(why, want);
}

static void test_good(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	lab_open(&l);
	write_good(&l);
	follow_all(&l, &w);
	expect_verdict(w, "");
	assert_true(walker_is_done(w));
	assert_string_equal(l.told.data, "task 1 setup make \\x1b[31mred\n"
					 "out t1 working\n\n"
					 "end 1 0 exit 1500\n"
					 "list 202\n203\n204\nversions 3 with-downgrades\n"
					 "walk 202 204 up 2\n"
					 "step 0 202 base\n"
					 "stepend 0 base: 1 table\n"
					 "step 1 203 up\n"
					 "out s1 203 done\n\n"
					 "out s1 \n[… 77 bytes of output left out …]\n\n"
					 "stepend 1 applied: + table b\n"
					 "step 2 204 up\n"
					 "stepend 2 applied-empty: no change\n");
	struct step s = get_step(&l, 1);
	assert_string_equal(s.version, "203");
	assert_string_equal(s.versions, "203\n");
	assert_string_equal(s.counts, "a\t0\nb\t0\n");
	assert_string_equal(s.work, "statements\t3\nlongest_ms\t0\n");
	assert_string_equal(s.changes, "+ table b (1 column)\n");
	assert_int_equal(s.ms, 250);
	assert_int_equal(s.rc, 0);
	struct err err = ERR_INIT;
	AUTO_BUF dump = buf_make(STORE_BLOB_MAX);
	assert_int_equal(store_blob_get(l.db, s.dump, &dump, &err), 0);
	assert_string_equal(dump.data, DUMP_1);
	buf_reset(&dump);
	assert_int_equal(store_blob_get(l.db, s.model, &dump, &err), 0);
	assert_string_equal(dump.data, MODEL_1);
	step_finish(&s);
}

/* What the dump does not show, the catalogue may: the step changed something. */
static void test_only_the_model(void **state)
{
	(void)state;
	AUTO_LAB l;
	lab_open(&l);
	write_begin(&l, "from=202 to=204 dir=up n=2");
	write_base(&l, "202");
	for (int n = 1; n <= 2; n++) {
		AUTO_FREE char *at = xasprintf("at n=%d", n);
		write_step(&l, n, n == 1 ? "203" : "204", "up");
		rec(&l, "ran n=%d rc=0 ms=250 why=exit", n);
		rec_text(&l, at, n == 1 ? "203\n" : "204\n");
		rec_dump(&l, n, n == 1 ? "same" : "full", DUMP_0, n == 1 ? NULL : DUMP_0);
		rec_model(&l, n, n == 1 ? "delta" : "same", MODEL_1, n == 1 ? "a1 1\ntable\tb\n" : NULL);
		rec(&l, "stepend n=%d ok=1 why=ok", n);
	}
	rec(&l, "done ok=1 why=ok ms=9000");
	follow_all(&l, NULL);
	expect_outcome(&l, 1, OUTCOME_APPLIED);
	expect_outcome(&l, 2, OUTCOME_APPLIED_EMPTY);
	assert_non_null(strstr(l.told.data, "stepend 1 applied: only the text of the schema\n"));
}

/* Everything a run leaves in the store, as text. */
static void snapshot(struct lab *l, struct buf *out)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = xasprintf("%s/store.sqlite", l->dir);
	const char *sql = "SELECT * FROM tasks; SELECT * FROM steps; SELECT kind, n, seq, hex(data) FROM output; "
			  "SELECT sha256, size, base, depth FROM blobs ORDER BY 1; SELECT received, walker FROM runs";
	const char *argv[] = {"sqlite3", "-batch", path, sql, NULL};
	struct proc_opts opts = {.out = out, .deadline = clock_deadline(10000)};
	assert_int_equal(proc_run(argv, &opts, &err), 0);
	assert_true(out->len > 100);
}

/* Another process takes over after any byte: store and view are as without it. */
static void test_reattach(void **state)
{
	(void)state;
	AUTO_BUF want = buf_make(BUF_TEXT_MAX);
	AUTO_LAB undisturbed;
	lab_open(&undisturbed);
	write_good(&undisturbed);
	follow_all(&undisturbed, NULL);
	snapshot(&undisturbed, &want);
	for (size_t piece = 1; piece < undisturbed.journal.len; piece = piece * 2 + 97) {
		AUTO_LAB l;
		AUTO_BUF got = buf_make(BUF_TEXT_MAX);
		struct walker *w = NULL;
		struct err err = ERR_INIT;
		lab_open(&l);
		write_good(&l);
		/* A piece that holds no whole record brings nothing: the next one is longer. */
		for (size_t n = piece; l.run.received < l.journal.len; n += piece) {
			uint64_t before = l.run.received;
			walker_free(w);
			assert_int_equal(follow(&l, n, &w, &err), 0);
			assert_int_equal(store_run_find(l.db, l.run.id, &l.run, &err), 1);
			if (l.run.received > before)
				n = 0;
		}
		expect_verdict(w, "");
		walker_free(w);
		snapshot(&l, &got);
		assert_string_equal(got.data, want.data);
		assert_string_equal(l.told.data, undisturbed.told.data);
	}
}

/* After the trailer nothing is left to follow, and the verdict is still known. */
static void test_reattach_done(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	struct err err = ERR_INIT;
	lab_open(&l);
	write_good(&l);
	follow_all(&l, NULL);
	w = walker_new(&l.walk, &err);
	assert_true(walker_is_done(w));
	expect_verdict(w, "");
}

/* ---- outcomes ---- */

struct outcome_case {
	const char *ran;    /* fields of the ran record */
	const char *output; /* of the step */
	const char *at;
	bool changed;
	const char *end; /* fields of the stepend record */
	enum outcome want;
	const char *why;
};

static void check_outcome(const struct outcome_case *c)
{
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	lab_open(&l);
	write_begin(&l, "from=202 to=204 dir=up n=2");
	write_base(&l, "202");
	write_step(&l, 1, "203", "up");
	if (c->output)
		rec_text(&l, "out step=1", c->output);
	rec(&l, "ran n=1 %s", c->ran);
	if (c->at) {
		rec_text(&l, "at n=1", c->at);
		rec_dump(&l, 1, c->changed ? "delta" : "same", c->changed ? DUMP_1 : DUMP_0,
			 c->changed ? DELTA_1 : NULL);
	} else {
		rec_text(&l, "look n=1 rc=5", "database is locked");
	}
	rec(&l, "stepend n=1 ok=0 %s", c->end);
	rec(&l, "done ok=0 why=step ms=9000");
	follow_all(&l, &w);
	expect_outcome(&l, 1, c->want);
	AUTO_FREE char *why = xasprintf("step 203: %s", outcome_name(c->want));
	expect_verdict(w, why);
	struct step s = get_step(&l, 1);
	assert_string_equal(s.why, c->why);
	step_finish(&s);
}

static void test_outcomes(void **state)
{
	(void)state;
	static const struct outcome_case cases[] = {
		{"rc=1 ms=5 why=exit", "Traceback", "202\n", false, "why=rc", OUTCOME_FAILED_CLEAN, "rc"},
		{"rc=1 ms=5 why=exit", NULL, "202\n", true, "why=rc", OUTCOME_FAILED_PARTIAL, "rc"},
		{"rc=1 ms=5 why=exit", NULL, NULL, false, "why=rc", OUTCOME_FAILED_PARTIAL, "rc"},
		{"rc=1 ms=5 why=exit", "x\nNotImplementedError\n", "202\n", false, "why=rc", OUTCOME_REFUSED, "rc"},
		{"rc=1 ms=5 why=exit", "down is not supported\nbye", "202\n", false, "why=rc", OUTCOME_REFUSED, "rc"},
		{"rc=1 ms=5 why=exit", "not supported here", "202\n", false, "why=rc", OUTCOME_FAILED_CLEAN, "rc"},
		{"rc=1 ms=5 why=exit", "a\nImportError: x", "202\n", false, "why=rc", OUTCOME_ENV_FAILED, "rc"},
		{"rc=1 ms=5 why=exit", "no ImportError", "202\n", true, "why=rc", OUTCOME_FAILED_PARTIAL, "rc"},
		{"rc=0 ms=5 why=exit", NULL, "202\n", false, "why=noop", OUTCOME_SILENT_NOOP, "noop"},
		{"rc=0 ms=5 why=exit", "not supported\n", "202\n", false, "why=noop", OUTCOME_REFUSED, "noop"},
		{"rc=0 ms=5 why=exit", NULL, "204\n", true, "why=wrong", OUTCOME_WRONG_TARGET, "wrong"},
		{"rc=124 ms=5 why=timeout", "ImportError", "202\n", true, "why=timeout", OUTCOME_TIMEOUT, "timeout"},
		{"rc=137 ms=5 why=limit", NULL, "202\n", false, "why=rc", OUTCOME_FAILED_CLEAN, "limit"},
		{"rc=0 ms=5 why=exit", NULL, NULL, false, "why=look", OUTCOME_ENV_FAILED, "look"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_outcome(&cases[i]);
}

static void test_base_fails(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	lab_open(&l);
	write_begin(&l, "from=202 to=204 dir=up n=2");
	write_step(&l, 0, "202", "base");
	rec(&l, "ran n=0 rc=1 ms=4 why=exit");
	rec_text(&l, "at n=0", "");
	rec_dump(&l, 0, "full", "", "");
	rec(&l, "stepend n=0 ok=0 why=rc");
	rec(&l, "done ok=0 why=step ms=9000");
	follow_all(&l, &w);
	expect_outcome(&l, 0, OUTCOME_FAILED_CLEAN);
	expect_verdict(w, "step 202: failed-clean");
}

static void test_task_fails(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	lab_open(&l);
	rec(&l, "hello run=%s", l.run.id);
	rec_text(&l, "task n=1 kind=setup timeout=600", "make all");
	rec(&l, "end n=1 rc=2 ms=1500 why=exit");
	rec(&l, "done ok=0 why=task ms=1600");
	follow_all(&l, &w);
	expect_verdict(w, "task make all: exit 2");
	walker_free(TAKE(w));
	struct err err = ERR_INIT;
	w = walker_new(&l.walk, &err);
	expect_verdict(w, "task make all: exit 2");
}

static void expect_machine(struct lab *l, const char *machine, const char *boot)
{
	struct err err = ERR_INIT;
	assert_int_equal(store_run_find(l->db, l->run.id, &l->run, &err), 1);
	assert_string_equal(l->run.machine, machine);
	assert_string_equal(l->run.boot, boot);
}

static void test_machine(void **state)
{
	(void)state;
	static const struct {
		const char *ids, *machine, *boot;
	} cases[] = {
		{" machine=00112233445566778899aabbccddeeff boot=01234567-89ab-cdef-0123-456789abcdef",
		 "00112233445566778899aabbccddeeff", "01234567-89ab-cdef-0123-456789abcdef"},
		{" machine=- boot=-", "", ""},
		{"", "", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_LAB l;
		lab_open(&l);
		rec(&l, "hello run=%s%s", l.run.id, cases[i].ids);
		follow_all(&l, NULL);
		expect_machine(&l, cases[i].machine, cases[i].boot);
	}
	static const char *const lies[] = {" machine=UNINITIALIZED boot=-", " machine=- boot=a.b",
					   " machine=0000000000000000000000000000000000000000000000000000000000000000"};
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		AUTO_LAB l;
		struct err err = ERR_INIT;
		lab_open(&l);
		rec(&l, "hello run=%s%s", l.run.id, lies[i]);
		assert_int_equal(follow(&l, SIZE_MAX, NULL, &err), -1);
		assert_non_null(strstr(err.msg, ": no id"));
		expect_machine(&l, "", "");
	}
}

/* Questions behind the walk: their exit codes are answers. Read record by record, each by another process. */
static void test_questions(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	lab_open(&l);
	write_begin(&l, "from=202 to=202 dir=up n=0");
	write_base(&l, "202");
	rec_text(&l, "task n=2 kind=question timeout=600", "is it there?");
	rec_text(&l, "out task=2", "no\n");
	rec(&l, "end n=2 rc=1 ms=15 why=exit");
	rec_text(&l, "task n=3 kind=question timeout=600", "and now?");
	rec(&l, "end n=3 rc=0 ms=15 why=exit");
	rec(&l, "done ok=1 why=ok ms=9000");
	while (l.run.received < l.journal.len) {
		struct err err = ERR_INIT;
		walker_free(TAKE(w));
		const char *next = memmem(l.journal.data + l.run.received + 1, l.journal.len - l.run.received - 1,
					  "@" NONCE, strlen("@" NONCE));
		size_t n = next ? (size_t)(next - l.journal.data) - l.run.received : SIZE_MAX;
		assert_int_equal(follow(&l, n, &w, &err), 0);
		assert_int_equal(store_run_find(l.db, l.run.id, &l.run, &err), 1);
	}
	expect_verdict(w, "");
	assert_non_null(strstr(l.told.data, "task 2 question is it there?\nout t2 no\n\nend 2 1 exit 15\n"));
}

/* Loading the tool is a task whose failing is no finding, whoever reads on; net times are kept. */
static void test_warm(void **state)
{
	(void)state;
	static const char *const ends[] = {"rc=0 ms=4600 why=exit", "rc=1 ms=90 why=exit", "rc=143 ms=9 why=timeout"};
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		AUTO_LAB l;
		CLEANUP(walker_freep) struct walker *w = NULL;
		struct err err = ERR_INIT;
		struct step s = {0};
		lab_open(&l);
		write_begin(&l, NULL);
		rec_text(&l, "task n=2 kind=warm timeout=600", "load it once");
		rec_text(&l, "out task=2", "it cannot be loaded\n");
		rec(&l, "end n=2 %s", ends[i]);
		rec(&l, "walk from=202 to=202 dir=up n=0");
		write_step(&l, 0, "202", "base");
		rec(&l, "ran n=0 rc=0 ms=4000 why=exit%s", i ? "" : " net=3900");
		rec_text(&l, "at n=0", "202\n");
		rec_dump(&l, 0, "full", DUMP_0, DUMP_0);
		rec_text(&l, "counts n=0", "a\t0\n");
		rec(&l, "stepend n=0 ok=1 why=ok");
		rec(&l, "done ok=1 why=ok ms=9000");
		while (l.run.received < l.journal.len) {
			walker_free(TAKE(w));
			const char *at = l.journal.data + l.run.received + 1;
			const char *next =
				memmem(at, (size_t)(l.journal.data + l.journal.len - at), "@" NONCE, strlen("@" NONCE));
			size_t n = next ? (size_t)(next - l.journal.data) - l.run.received : SIZE_MAX;
			assert_int_equal(follow(&l, n, &w, &err), 0);
			assert_int_equal(store_run_find(l.db, l.run.id, &l.run, &err), 1);
		}
		expect_verdict(w, "");
		assert_int_equal(store_step_get(l.db, l.run.id, 0, &s, &err), 1);
		assert_int_equal(s.net_ms, i ? -1 : 3900);
		step_finish(&s);
	}
}

static void test_question_times_out(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	lab_open(&l);
	write_begin(&l, "from=202 to=202 dir=up n=0");
	write_base(&l, "202");
	rec_text(&l, "task n=2 kind=question timeout=600", "is it there?");
	rec(&l, "end n=2 rc=143 ms=15 why=timeout");
	rec(&l, "done ok=0 why=task ms=9000");
	follow_all(&l, &w);
	expect_verdict(w, "task is it there?: timeout");
}

static void test_stopped(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	lab_open(&l);
	write_begin(&l, "from=202 to=204 dir=up n=2");
	write_base(&l, "202");
	write_step(&l, 1, "203", "up");
	rec(&l, "ran n=1 rc=143 ms=5 why=stop");
	rec(&l, "done ok=0 why=stop ms=9000");
	follow_all(&l, &w);
	expect_outcome(&l, 1, OUTCOME_LOST);
	expect_verdict(w, "stopped");
	assert_true(text_ends(l.told.data, "stepend 1 lost: not finished\n"));
}

static void test_lost(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	struct err err = ERR_INIT;
	lab_open(&l);
	write_begin(&l, "from=202 to=203 dir=up n=1");
	write_base(&l, "202");
	write_step(&l, 1, "203", "up");
	follow_all(&l, &w);
	expect_verdict(w, "not finished");
	assert_int_equal(walker_lost(w, &err), 0);
	expect_outcome(&l, 1, OUTCOME_LOST);
	/* It was there after all; and once more. */
	walker_free(TAKE(w));
	rec(&l, "ran n=1 rc=0 ms=250 why=exit");
	follow_all(&l, &w);
	assert_int_equal(walker_lost(w, &err), 0);
	expect_outcome(&l, 1, OUTCOME_LOST);
	walker_free(TAKE(w));
	rec_text(&l, "at n=1", "203\n");
	rec_dump(&l, 1, "full", DUMP_1, DUMP_1);
	rec(&l, "stepend n=1 ok=1 why=ok");
	rec(&l, "done ok=1 why=ok ms=9000");
	follow_all(&l, &w);
	expect_outcome(&l, 1, OUTCOME_APPLIED);
	expect_verdict(w, "");
	assert_int_equal(walker_lost(w, &err), 0);
	expect_outcome(&l, 1, OUTCOME_APPLIED);
}

static void test_down(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	struct err err = ERR_INIT;
	struct run r;
	struct step s;
	lab_open(&l);
	write_begin(&l, "from=204 to=202 dir=down n=2");
	write_step(&l, 0, "204", "base");
	rec_text(&l, "at n=0", "204\n");
	rec_dump(&l, 0, "full", DUMP_1, DUMP_1);
	rec(&l, "stepend n=0 ok=1 why=ok");
	for (int n = 1; n <= 2; n++) {
		write_step(&l, n, n == 1 ? "204" : "203", "down");
		rec(&l, "ran n=%d rc=0 ms=250 why=exit", n);
		AUTO_FREE char *at = xasprintf("at n=%d", n);
		rec_text(&l, at, n == 1 ? "203\n" : "202\n");
		if (n == 1)
			rec_dump(&l, n, "full", DUMP_0, DUMP_0);
		else
			rec_dump(&l, n, "same", DUMP_0, NULL);
		rec(&l, "stepend n=%d ok=1 why=ok", n);
	}
	rec(&l, "done ok=1 why=ok ms=9000");
	follow_all(&l, &w);
	expect_verdict(w, "");
	for (int v = 202; v <= 204; v++) {
		AUTO_FREE char *spec = xasprintf("%s:%d", l.run.id, v);
		assert_int_equal(store_step_by_spec(l.db, spec, &r, &s, &err), 1);
		assert_int_equal(s.n, 204 - v);
		step_finish(&s);
	}
}

/* ---- each version with its own code ---- */

#define COMMIT_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define COMMIT_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static int on_file(const struct migration_file *f, void *ctx)
{
	buf_addf(ctx, "%s %.4s %s\n", f->version, f->blob, f->path);
	return 0;
}

static void test_commits(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	struct err err = ERR_INIT;
	AUTO_BUF files = buf_make(BUF_TEXT_MAX);
	lab_open(&l);
	write_begin(&l, NULL);
	rec_text(&l, "files n=3",
		 "203\t" COMMIT_A "\tm/203_a b.py\n203\t" COMMIT_B "\tm/203.sql\n204\t" COMMIT_A "\tm/204.py\n");
	rec(&l, "walk from=202 to=204 dir=up n=2");
	rec(&l, "step n=0 version=202 dir=base commit=" COMMIT_A);
	rec(&l, "variant name=plain");
	rec(&l, "ran n=0 rc=0 ms=4000 why=exit");
	rec_text(&l, "at n=0", "202\n");
	rec_dump(&l, 0, "full", DUMP_0, DUMP_0);
	rec(&l, "stepend n=0 ok=1 why=ok");
	rec(&l, "step n=1 version=203 dir=up commit=" COMMIT_B);
	rec_text(&l, "out step=1", "no such package\n");
	rec(&l, "ran n=1 rc=9 ms=250 why=exit");
	rec_text(&l, "at n=1", "202\n");
	rec_dump(&l, 1, "same", DUMP_0, NULL);
	rec(&l, "stepend n=1 ok=0 why=env");
	rec(&l, "done ok=0 why=step ms=9000");
	follow_all(&l, &w);
	expect_verdict(w, "step 203: env-failed");
	struct step a = get_step(&l, 0), b = get_step(&l, 1);
	assert_string_equal(a.commit, COMMIT_A);
	assert_string_equal(b.commit, COMMIT_B);
	assert_string_equal(b.why, "env");
	assert_int_equal(b.rc, 9);
	step_finish(&a);
	step_finish(&b);
	assert_int_equal(store_file_each(l.db, l.run.id, on_file, &files, &err), 3);
	assert_string_equal(files.data, "203 bbbb m/203.sql\n203 aaaa m/203_a b.py\n204 aaaa m/204.py\n");
}

/* ---- a box that lies ---- */

/* A good journal up to (and without) the n-th record that begins with `kind`, then `record`. */
static void lie_after(const char *kind, int n, const char *record, const char *payload, const char *want)
{
	AUTO_LAB l;
	struct err err = ERR_INIT;
	lab_open(&l);
	write_good(&l);
	AUTO_FREE char *begin = xasprintf("@" NONCE " %s ", kind);
	char *at = l.journal.data;
	for (int i = 0; i < n; i++) {
		at = strstr(i ? at + 1 : at, begin);
		assert_non_null(at);
	}
	l.journal.len = (size_t)(at - l.journal.data);
	*at = '\0';
	size_t good = l.journal.len;
	if (payload)
		rec_text(&l, record, payload);
	else
		rec(&l, "%s", record);
	assert_int_equal(follow(&l, SIZE_MAX, NULL, &err), -1);
	assert_int_equal(err.reach, ERR_BOX);
	if (!text_starts(err.msg, "journal: ") || !strstr(err.msg, want))
		fail_msg("%s\n  gives: %s\n  not: %s", record, err.msg, want);
	/* Nothing of it is in the store. */
	assert_int_equal(store_run_find(l.db, l.run.id, &l.run, &err), 1);
	assert_int_equal(l.run.received, good);
}

#define HASH "0000000000000000000000000000000000000000000000000000000000000000"

static void test_lies(void **state)
{
	(void)state;
	lie_after("hello", 1, "task n=1 kind=setup", "x", "not at this place");
	lie_after("hello", 1, "hello run=other-1", NULL, "another run");
	lie_after("task", 1, "hello run=nova-1", NULL, "not at this place");
	lie_after("task", 1, "task n=2 kind=setup", "x", "n is 2 where 1");
	lie_after("task", 1, "task n=99999999999999999999 kind=setup", "x", "journal: task");
	lie_after("task", 1, "task n=1", "x", "kind: missing");
	lie_after("task", 1, "task n=1 kind=question", "x", "not at this place");
	lie_after("step", 2, "task n=2 kind=question", "x", "not at this place");
	lie_after("done", 1, "task n=2 kind=setup", "x", "not at this place");
	lie_after("step", 1, "task n=2 kind=warm", "x", "not at this place");
	lie_after("ran", 2, "ran n=1 rc=0 ms=250 why=exit net=-1", NULL, "net");
	lie_after("ran", 2, "ran n=1 rc=0 ms=250 why=exit net=soon", NULL, "net");
	lie_after("task", 1, "end n=1 rc=0 ms=1 why=exit", NULL, "not at this place");
	lie_after("task", 1, "bogus n=1", NULL, "no such kind");
	lie_after("end", 1, "end n=1 rc=0 ms=1 why=magic", NULL, "why: magic");
	lie_after("end", 1, "end n=1 rc=-1 ms=1 why=exit", NULL, "rc");
	lie_after("end", 1, "end n=1 rc=0 ms=99999999999 why=exit", NULL, "ms");
	lie_after("end", 1, "out task=2", "x", "task is 2");
	lie_after("end", 1, "out step=0", "x", "task: missing");
	lie_after("end", 1, "done ok=1 why=ok ms=1", NULL, "but the run was not");
	lie_after("variant", 1, "variant name=\x1b[31m", NULL, "not a record");
	lie_after("variant", 1, "variant name=\xff", NULL, "not plain text");
	lie_after("versions", 1, "versions n=5", "1\n2\n", "journal: versions");
	lie_after("walk", 1, "walk from=1 to=2 dir=sideways n=1", NULL, "dir: sideways");
	lie_after("walk", 1, "walk from=1 to=2 dir=up n=30000", NULL, "journal: walk");
	lie_after("walk", 1, "step n=0 version=1 dir=base", NULL, "not at this place");
	lie_after("step", 1, "step n=1 version=1 dir=up", NULL, "n is 1 where 0");
	lie_after("step", 1, "step n=0 version=1 dir=up", NULL, "not in the direction");
	lie_after("step", 2, "step n=1 version=1 dir=down", NULL, "not in the direction");
	lie_after("step", 2, "walk from=1 to=2 dir=up n=3", NULL, "not at this place");
	lie_after("done", 1, "step n=3 version=1 dir=up", NULL, "more steps than the walk has");
	lie_after("step", 3, "done ok=1 why=ok ms=1", NULL, "but the run was not");
	lie_after("stepend", 1, "step n=1 version=1 dir=up", NULL, "not at this place");
	lie_after("stepend", 1, "dump n=0 form=same sha256=" HASH " size=0", NULL, "twice in one step");
	lie_after("stepend", 1, "at n=0", "x", "twice");
	lie_after("stepend", 1, "out step=0", "x", "of nothing that runs");
	lie_after("stepend", 1, "stepend n=0 ok=1 why=rc", NULL, "contradicts");
	lie_after("stepend", 1, "stepend n=0 ok=0 why=ok", NULL, "contradicts");
	lie_after("dump", 1, "stepend n=0 ok=1 why=ok", NULL, "not looked at");
	lie_after("ran", 2, "stepend n=1 ok=1 why=ok", NULL, "not looked at");
	lie_after("dump", 1, "dump n=0 form=full sha256=" HASH " size=3", "abc", "does not check");
	lie_after("dump", 1, "dump n=0 form=full sha256=../../etc/passwd size=3", "abc", "no SHA-256");
	lie_after("dump", 1, "dump n=0 form=delta sha256=" HASH " size=3", "abc", "a delta to nothing");
	lie_after("dump", 1, "dump n=0 form=same sha256=" HASH " size=0", NULL, "not the same");
	lie_after("dump", 1, "dump n=0 form=full sha256=" HASH " size=99999999", "abc", "journal: dump");
	lie_after("dump", 2, "dump n=1 form=delta sha256=" HASH " size=3", "a1 1\nx\n", "does not check");
	lie_after("dump", 2, "dump n=1 form=delta sha256=" HASH " size=3", "garbage", "not a command");
	lie_after("dump", 2, "dump n=1 form=same sha256=" HASH " size=3", NULL, "not the same");
	lie_after("step", 2, "step n=1 version=203 dir=up commit=abc", NULL, "no commit");
	lie_after("step", 2, "step n=1 version=203 dir=up commit=" COMMIT_A "ZZ", NULL, "no commit");
	lie_after("walk", 1, "files n=1", "203\tabc\tm/203.py\n", "not a version, a blob and a path");
	lie_after("walk", 1, "files n=1", "203\t" COMMIT_A "\tm/203.py", "not a version, a blob and a path");
	lie_after("walk", 1, "files n=1", "203\t" COMMIT_A "\n", "not a version, a blob and a path");
	lie_after("walk", 1, "files n=1", "203\t" COMMIT_A "\ta\tb\n", "not a version, a blob and a path");
	lie_after("walk", 1, "files n=1", "203\t" COMMIT_A "\tm/\0332.py\n", "not a version, a blob and a path");
	lie_after("walk", 1, "files n=2", "203\t" COMMIT_A "\tm/203.py\n", "not as many");
	lie_after("step", 2, "files n=0", "", "not at this place");
	lie_after("work", 1, "work n=1", "statements\t-3\n", "no KEY<TAB>NUMBER lines");
	lie_after("work", 1, "work n=1", "statements\t3", "no KEY<TAB>NUMBER lines");
	lie_after("work", 1, "work n=1", "state\033ments\t3\n", "no KEY<TAB>NUMBER lines");
	lie_after("at", 2, "model n=1 form=full sha256=" HASH " size=3", "abc", "before the dump");
	lie_after("model", 2, "model n=1 form=delta sha256=" HASH " size=3", "garbage", "not a command");
	lie_after("counts", 2, "model n=1 form=same sha256=" HASH " size=3", NULL, "twice in one step");
}

/* ok=1 for a command that told otherwise. */
static void test_ok_contradicts(void **state)
{
	(void)state;
	AUTO_LAB l;
	struct err err = ERR_INIT;
	lab_open(&l);
	write_begin(&l, "from=202 to=203 dir=up n=1");
	write_base(&l, "202");
	write_step(&l, 1, "203", "up");
	rec(&l, "ran n=1 rc=1 ms=250 why=exit");
	rec_text(&l, "at n=1", "203\n");
	rec_dump(&l, 1, "same", DUMP_0, NULL);
	rec(&l, "stepend n=1 ok=1 why=ok");
	assert_int_equal(follow(&l, SIZE_MAX, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "but the command was not"));
	expect_outcome(&l, 1, OUTCOME_RUNNING);
}

static void test_endless_output(void **state)
{
	(void)state;
	AUTO_LAB l;
	struct err err = ERR_INIT;
	AUTO_FREE char *piece = xcalloc(1, 65537);
	memset(piece, 'x', 65536);
	lab_open(&l);
	write_begin(&l, "from=202 to=203 dir=up n=1");
	write_step(&l, 0, "202", "base");
	for (int i = 0; i < 80; i++)
		rec_text(&l, "out step=0", piece);
	assert_int_equal(follow(&l, SIZE_MAX, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "more output"));
	AUTO_BUF out = buf_make(2 * (size_t)WALK_MAX_OUTPUT);
	err_clear(&err);
	assert_int_equal(store_output_read(l.db, l.run.id, 's', 0, 0, &out, &err), 0);
	assert_int_equal(out.len, WALK_MAX_OUTPUT);
}

/* A delta that does not fit: the whole is fetched, and checked too. */
static void test_fetch(void **state)
{
	(void)state;
	for (int good = 0; good <= 1; good++) {
		AUTO_LAB l;
		struct err err = ERR_INIT;
		lab_open(&l);
		l.walk.fetch = fetch;
		l.walk.fetch_ctx = &l;
		l.whole = good ? DUMP_1 : "something else";
		write_begin(&l, "from=202 to=203 dir=up n=1");
		write_base(&l, "202");
		write_step(&l, 1, "203", "up");
		rec(&l, "ran n=1 rc=0 ms=250 why=exit");
		rec_dump(&l, 1, "delta", DUMP_1, "d7 1\n");
		assert_int_equal(follow(&l, SIZE_MAX, NULL, &err), good ? 0 : -1);
		assert_int_equal(l.fetched, 1);
		struct step s = get_step(&l, 1);
		assert_int_equal(s.dump[0] != '\0', good);
		step_finish(&s);
	}
}

static void test_unreadable(void **state)
{
	(void)state;
	AUTO_LAB l;
	lab_open(&l);
	(void)snprintf(l.walk.engine, sizeof(l.walk.engine), "oracle");
	write_begin(&l, "from=202 to=203 dir=up n=1");
	write_base(&l, "202");
	write_step(&l, 1, "203", "up");
	rec(&l, "ran n=1 rc=0 ms=250 why=exit");
	rec_text(&l, "at n=1", "203\n");
	rec_dump(&l, 1, "delta", DUMP_1, DELTA_1);
	rec(&l, "stepend n=1 ok=1 why=ok");
	follow_all(&l, NULL);
	expect_outcome(&l, 1, OUTCOME_APPLIED);
	assert_non_null(strstr(l.told.data, "stepend 1 applied: schema changed (not readable: schema of oracle"));
}

/* Two processes that follow the same run: the second to come is told so, nothing is stored twice. */
static void test_two_followers(void **state)
{
	(void)state;
	AUTO_LAB l;
	AUTO_BUF before = buf_make(BUF_TEXT_MAX);
	AUTO_BUF after = buf_make(BUF_TEXT_MAX);
	struct err err = ERR_INIT;
	lab_open(&l);
	write_good(&l);
	CLEANUP(walker_freep) struct walker *late = walker_new(&l.walk, &err);
	CLEANUP(journal_freep) struct journal *j = journal_new(NONCE, 0, walker_record, late);
	walker_set_journal(late, j);
	follow_all(&l, NULL);
	snapshot(&l, &before);
	assert_int_equal(journal_feed(j, l.journal.data, l.journal.len, &err), -1);
	assert_non_null(strstr(err.msg, "another stepbox follows it"));
	snapshot(&l, &after);
	assert_string_equal(before.data, after.data);
}

static void test_bad_pattern(void **state)
{
	(void)state;
	AUTO_LAB l;
	struct err err = ERR_INIT;
	lab_open(&l);
	l.walk.refused = "(";
	assert_null(walker_new(&l.walk, &err));
	assert_int_equal(err.reach, ERR_USER);
}

/* ---- round trips ---- */

#define DUMP_2 DUMP_0 "CREATE TABLE c (id INTEGER NOT NULL);\n"

/* Of an engine whose catalogue says nothing beside the dump. */
static void write_plain_base(struct lab *l)
{
	write_step(l, 0, "202", "base");
	rec(l, "ran n=0 rc=0 ms=4000 why=exit");
	rec_text(l, "at n=0", "202\n");
	rec_dump(l, 0, "full", DUMP_0, DUMP_0);
	rec_text(l, "counts n=0", "a\t0\n");
	rec(l, "stepend n=0 ok=1 why=ok");
}

/* One leg and what is seen after it; the dump as a whole. end: fields of stepend; counts NULL: none. */
static void write_leg(struct lab *l, int n, int leg, const char *version, const char *at, const char *dump,
		      const char *counts, const char *end)
{
	static const char *const dirs[] = {"", "up", "down", "up", "restore"};
	AUTO_FREE char *at_head = xasprintf("at n=%d", n);
	AUTO_FREE char *counts_head = xasprintf("counts n=%d", n);
	rec(l, "step n=%d version=%s dir=%s leg=%d", n, version, dirs[leg], leg);
	rec(l, "ran n=%d rc=%d ms=100 why=exit", n, strstr(end, "why=rc") ? 1 : 0);
	rec_text(l, at_head, at);
	rec_dump(l, n, "full", dump, dump);
	if (counts)
		rec_text(l, counts_head, counts);
	rec(l, "stepend n=%d %s", n, end);
}

#define OK "ok=1 why=ok"

static void expect_trip(struct lab *l, int64_t n, const char *trip, const char *findings)
{
	struct step s = get_step(l, n);
	assert_string_equal(s.findings, findings);
	assert_string_equal(s.trip, trip);
	step_finish(&s);
}

/* 203 leads back, 204 does not: its table stays, and a row is gone on the way. */
static void write_trips(struct lab *l)
{
	write_begin(l, "from=202 to=204 dir=roundtrip n=2");
	write_plain_base(l);
	write_leg(l, 1, 1, "203", "203\n", DUMP_1, "a\t2\nb\t1\n", OK);
	write_leg(l, 2, 2, "203", "202\n", DUMP_0, "a\t0\n", OK);
	write_leg(l, 3, 3, "203", "203\n", DUMP_1, "a\t2\nb\t1\n", OK);
	write_leg(l, 4, 1, "204", "204\n", DUMP_2, "a\t2\nc\t0\n", OK);
	write_leg(l, 5, 2, "204", "203\n", DUMP_1 "CREATE TABLE c (id INTEGER NOT NULL);\n", "a\t1\nb\t1\nc\t0\n", OK);
	write_leg(l, 6, 3, "204", "204\n", DUMP_2, "a\t1\nc\t0\n", OK);
	write_leg(l, 7, 4, "204", "204\n", DUMP_2, "a\t2\nc\t0\n", OK);
	rec(l, "done ok=1 why=ok ms=9000");
}

static void test_trips(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	lab_open(&l);
	write_trips(&l);
	follow_all(&l, &w);
	expect_trip(&l, 1, "", "");
	expect_trip(&l, 2, "", "");
	expect_trip(&l, 3, "clean", "");
	expect_trip(&l, 4, "", "loss: b: dropped with 1 row\n");
	expect_trip(&l, 5, "", "trip: leaves table: + table c (1 column)\ntrip: loses rows: a: 1 of 2\n");
	expect_trip(&l, 6, "loses rows", "");
	expect_trip(&l, 7, "", "");
	/* The runner's word and ours are two things: it said ok. */
	expect_verdict(w, "step 204: b: dropped with 1 row, and 2 more findings");
	walker_free(TAKE(w));
	struct err err = ERR_INIT;
	w = walker_new(&l.walk, &err);
	assert_true(walker_is_done(w));
	expect_verdict(w, "step 204: b: dropped with 1 row, and 2 more findings");
	struct run run;
	struct step s;
	AUTO_FREE char *down = xasprintf("%s:20/down", l.run.id), *there = xasprintf("%s:204", l.run.id);
	AUTO_FREE char *whole = xasprintf("%s:204/again", l.run.id);
	assert_int_equal(store_step_by_spec(l.db, down, &run, &s, &err), 0);
	assert_int_equal(store_step_by_spec(l.db, there, &run, &s, &err), 1);
	assert_int_equal(s.n, 7);
	step_finish(&s);
	assert_int_equal(store_step_by_spec(l.db, whole, &run, &s, &err), 1);
	assert_int_equal(s.n, 6);
	step_finish(&s);
}

static void test_trips_reattach(void **state)
{
	(void)state;
	AUTO_BUF want = buf_make(BUF_TEXT_MAX);
	AUTO_LAB undisturbed;
	lab_open(&undisturbed);
	write_trips(&undisturbed);
	follow_all(&undisturbed, NULL);
	snapshot(&undisturbed, &want);
	for (size_t piece = 1; piece < undisturbed.journal.len; piece = piece * 3 + 97) {
		AUTO_LAB l;
		AUTO_BUF got = buf_make(BUF_TEXT_MAX);
		CLEANUP(walker_freep) struct walker *w = NULL;
		struct err err = ERR_INIT;
		lab_open(&l);
		write_trips(&l);
		for (size_t n = piece; l.run.received < l.journal.len; n += piece) {
			uint64_t before = l.run.received;
			walker_free(w);
			assert_int_equal(follow(&l, n, &w, &err), 0);
			assert_int_equal(store_run_find(l.db, l.run.id, &l.run, &err), 1);
			if (l.run.received > before)
				n = 0;
		}
		expect_verdict(w, "step 204: b: dropped with 1 row, and 2 more findings");
		snapshot(&l, &got);
		assert_string_equal(got.data, want.data);
	}
}

/* How the way down of the only version ends, and what is said of it. back: it was put back. */
static void check_trip(const char *at, const char *dump, const char *output, const char *end, const char *trip,
		       const char *findings)
{
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	lab_open(&l);
	write_begin(&l, "from=202 to=203 dir=roundtrip n=1");
	write_plain_base(&l);
	write_leg(&l, 1, 1, "203", "203\n", DUMP_1, "a\t0\nb\t0\n", OK);
	rec(&l, "step n=2 version=203 dir=down leg=2");
	if (output)
		rec_text(&l, "out step=2", output);
	rec(&l, "ran n=2 rc=%d ms=100 why=exit", strstr(end, "why=rc") ? 3 : 0);
	rec_text(&l, "at n=2", at);
	rec_dump(&l, 2, "full", dump, dump);
	rec(&l, "stepend n=2 %s", end);
	write_leg(&l, 3, 4, "203", "203\n", DUMP_1, "a\t0\nb\t0\n", OK);
	rec(&l, "done ok=1 why=ok ms=9000");
	follow_all(&l, &w);
	expect_trip(&l, 2, trip, findings);
	AUTO_FREE char *why =
		findings[0] ? xasprintf("step 203: %.*s", (int)strlen(findings) - 7, findings + 6) : xstrdup("");
	expect_verdict(w, why);
}

static void test_trip_failures(void **state)
{
	(void)state;
	check_trip("203\n", DUMP_1, "NotImplementedError\n", "ok=0 why=rc", "refused", "");
	check_trip("203\n", DUMP_1, "no such index", "ok=0 why=rc", "down failed",
		   "trip: down: failed-clean, exit code 3\n");
	check_trip("203\n", DUMP_0, NULL, "ok=0 why=rc", "down failed", "trip: down: failed-partial, exit code 3\n");
	check_trip("203\n", DUMP_1, NULL, "ok=0 why=noop", "down failed", "trip: down did nothing, with exit code 0\n");
	check_trip("201\n", DUMP_0, NULL, "ok=0 why=wrong", "down failed", "trip: down led to another version\n");
	check_trip("203\n", DUMP_0, NULL, "ok=0 why=timeout", "down failed", "trip: down took too long\n");
}

/* The second way up, and a database that nobody could put right. */
static void test_trip_again(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	lab_open(&l);
	write_begin(&l, "from=202 to=204 dir=roundtrip n=2");
	write_plain_base(&l);
	write_leg(&l, 1, 1, "203", "203\n", DUMP_1, NULL, OK);
	write_leg(&l, 2, 2, "203", "202\n", DUMP_0 "\n", NULL, OK);
	write_leg(&l, 3, 3, "203", "203\n", DUMP_1 "\n", NULL, OK);
	write_leg(&l, 4, 1, "204", "204\n", DUMP_2, NULL, OK);
	write_leg(&l, 5, 2, "204", "203\n", DUMP_1 "\n", NULL, OK);
	write_leg(&l, 6, 3, "204", "203\n", DUMP_1, NULL, "ok=0 why=rc");
	write_leg(&l, 7, 4, "204", "203\n", DUMP_1, NULL, "ok=0 why=wrong");
	rec(&l, "done ok=0 why=step ms=9000");
	follow_all(&l, &w);
	expect_trip(&l, 3, "cosmetic", "");
	expect_trip(&l, 6, "up again failed", "trip: up again: failed-partial, exit code 1\n");
	expect_verdict(w, "step 204: up again: failed-partial, exit code 1, and 1 more finding");
}

static void expect_lie(const char *lie, const char *want)
{
	AUTO_LAB l;
	struct err err = ERR_INIT;
	lab_open(&l);
	write_begin(&l, "from=202 to=203 dir=roundtrip n=1");
	write_plain_base(&l);
	write_leg(&l, 1, 1, "203", "203\n", DUMP_1, NULL, OK);
	write_leg(&l, 2, 2, "203", "202\n", DUMP_0, NULL, OK);
	rec(&l, "%s", lie);
	assert_int_equal(follow(&l, SIZE_MAX, NULL, &err), -1);
	assert_non_null(strstr(err.msg, want));
}

static void test_trip_lies(void **state)
{
	(void)state;
	expect_lie("step n=3 version=203 dir=up", "leg: missing");
	expect_lie("step n=3 version=203 dir=up leg=1", "not the leg that follows");
	expect_lie("step n=3 version=203 dir=down leg=3", "not in the direction of the walk");
	expect_lie("step n=3 version=204 dir=up leg=3", "not the version of the round trip");
	expect_lie("step n=3 version=203 dir=restore leg=4", "not the leg that follows");
	expect_lie("step n=3 version=203 dir=up leg=5", "leg");
	expect_lie("done ok=1 why=ok ms=1", "ok, but the run was not");
}

/* ---- data ---- */

static void write_data_step(struct lab *l, bool down, const char *counts_before, const char *counts)
{
	write_begin(l, down ? "from=203 to=202 dir=down n=1" : "from=202 to=203 dir=up n=1");
	write_step(l, 0, down ? "203" : "202", "base");
	rec_text(l, "at n=0", down ? "203\n" : "202\n");
	rec_dump(l, 0, "full", DUMP_1, DUMP_1);
	rec_text(l, "counts n=0", counts_before);
	rec(l, "stepend n=0 ok=1 why=ok");
	write_step(l, 1, "203", down ? "down" : "up");
	rec(l, "ran n=1 rc=0 ms=5000 why=exit");
	rec_text(l, "at n=1", down ? "202\n" : "203\n");
	rec_dump(l, 1, "full", DUMP_0, DUMP_0);
	rec_text(l, "counts n=1", counts);
	rec(l, "stepend n=1 ok=1 why=ok");
	rec(l, "done ok=1 why=ok ms=9000");
}

static void check_data_of(bool down, const char *limits, const char *before, const char *after, const char *findings)
{
	AUTO_LAB l;
	struct yaml y = {0};
	struct err err = ERR_INIT;
	CLEANUP(walker_freep) struct walker *w = NULL;
	lab_open(&l);
	assert_int_equal(yaml_parse(&y, "limits", limits, strlen(limits), &err), 0);
	struct limits *parsed = limits_new(y.root, "sqlite", 0, &err);
	l.walk.limits = parsed;
	write_data_step(&l, down, before, after);
	follow_all(&l, &w);
	expect_trip(&l, 1, "", findings);
	limits_free(parsed);
	yaml_finish(&y);
}

static void check_data(const char *limits, const char *before, const char *after, const char *findings)
{
	check_data_of(false, limits, before, after, findings);
}

static void test_data(void **state)
{
	(void)state;
	/* Down is where rows go that a migration put in: told, but no finding, unless every loss is to be one. */
	check_data_of(true, "{}", "a\t5\nb\t3\n", "a\t4\n", "note: a: 1 of 5 rows are gone\n");
	check_data_of(true, "{loss: strict}", "a\t5\nb\t3\n", "a\t4\n", "loss: a: 1 of 5 rows are gone\n");
	check_data("{}", "a\t5\t1\nb\t3\t2\n", "a\t4\t1\n",
		   "loss: a: 1 of 5 rows are gone\nloss: b: dropped with 3 rows\n");
	check_data("{}", "a\t5\t1\nb\t0\t2\n", "a\t5\t1\tid=2\n", "loss: a.id: 2 of 5 values are gone\n");
	check_data("{loss: allow}", "a\t5\nb\t3\n", "a\t4\n",
		   "note: a: 1 of 5 rows are gone\nnote: b: dropped with 3 rows\n");
	check_data("{loss: [\"203\"]}", "a\t5\n", "a\t4\n", "note: a: 1 of 5 rows are gone\n");
	check_data("{loss: [\"204\"]}", "a\t5\n", "a\t4\n", "loss: a: 1 of 5 rows are gone\n");
	check_data("{step: 5s}", "a\t5\n", "a\t5\n", "");
	check_data("{step: 4s}", "a\t5\n", "a\t5\n", "limit: took 5.0 s, more than 4.0 s\n");
	check_data("{step: 4s, \"203\": 10s}", "a\t5\n", "a\t5\n", "");
	check_data("{}", "a\033[31m\t5\n", "a\033[31m\t4\n", "loss: a\\x1b[31m: 1 of 5 rows are gone\n");
}

static void test_dropped_column(void **state)
{
	(void)state;
	static const char two[] = "CREATE TABLE a (id INTEGER NOT NULL, v TEXT);\n";
	for (int strict = 0; strict < 2; strict++) {
		AUTO_LAB l;
		struct err err = ERR_INIT;
		json_t *tree = json_pack("{s:s}", strict ? "loss" : "step", strict ? "strict" : "1h");
		struct limits *limits = limits_new(tree, "sqlite", 0, &err);
		lab_open(&l);
		l.walk.limits = limits;
		write_begin(&l, "from=202 to=203 dir=up n=1");
		write_step(&l, 0, "202", "base");
		rec_text(&l, "at n=0", "202\n");
		rec_dump(&l, 0, "full", two, two);
		rec_text(&l, "counts n=0", "a\t5\t1\tv=2\n");
		rec(&l, "stepend n=0 ok=1 why=ok");
		write_step(&l, 1, "203", "up");
		rec(&l, "ran n=1 rc=0 ms=5 why=exit");
		rec_text(&l, "at n=1", "203\n");
		rec_dump(&l, 1, "full", DUMP_0, DUMP_0);
		rec_text(&l, "counts n=1", "a\t5\t1\n");
		rec(&l, "stepend n=1 ok=1 why=ok");
		follow_all(&l, NULL);
		expect_trip(&l, 1, "",
			    strict ? "loss: a.v: dropped with 3 values\n" : "note: a.v: dropped with 3 values\n");
		limits_free(limits);
		json_decref(tree);
	}
}

static void write_seeded(struct lab *l)
{
	write_begin(l, "from=202 to=203 dir=up n=1");
	write_plain_base(l);
	write_step(l, 1, "203", "up");
	rec_text(l, "out step=1", "filling\n");
	rec_text(l, "seeded n=1 rc=0", "x\tCHECK constraint failed\n\n\tq\nz\n");
	rec_text(l, "counts n=1", "a\t20\t5\tid=3\nx\t0\t6\n");
	rec_text(l, "out step=1", "203\n");
	rec(l, "ran n=1 rc=0 ms=5 why=exit");
	rec_text(l, "at n=1", "203\n");
	rec_dump(l, 1, "same", DUMP_0, NULL);
	rec_text(l, "counts n=1", "a\t19\t5\tid=3\nx\t0\t6\n");
	rec(l, "stepend n=1 ok=1 why=ok");
	rec(l, "done ok=1 why=ok ms=9000");
}

static void test_seeded(void **state)
{
	(void)state;
	AUTO_BUF want = buf_make(BUF_TEXT_MAX);
	size_t len;
	{
		AUTO_LAB l;
		lab_open(&l);
		write_seeded(&l);
		len = l.journal.len;
		follow_all(&l, NULL);
		struct step s = get_step(&l, 1);
		assert_string_equal(s.seeded, "a\t20\nx\t0\tCHECK constraint failed\n");
		assert_string_equal(s.findings, "loss: a: 1 of 20 rows are gone\n");
		assert_string_equal(s.counts, "a\t19\t5\tid=3\nx\t0\t6\n");
		step_finish(&s);
		snapshot(&l, &want);
	}
	/* Another process goes on behind any byte. */
	for (size_t cut = 1; cut < len; cut += 31) {
		AUTO_LAB l;
		AUTO_BUF got = buf_make(BUF_TEXT_MAX);
		struct err err = ERR_INIT;
		lab_open(&l);
		write_seeded(&l);
		assert_int_equal(follow(&l, cut, NULL, &err), 0);
		follow_all(&l, NULL);
		snapshot(&l, &got);
		assert_string_equal(got.data, want.data);
	}
}

static void test_seed_fails(void **state)
{
	(void)state;
	AUTO_LAB l;
	CLEANUP(walker_freep) struct walker *w = NULL;
	struct err err = ERR_INIT;
	lab_open(&l);
	write_begin(&l, "from=202 to=203 dir=up n=1");
	write_plain_base(&l);
	write_step(&l, 1, "203", "up");
	rec(&l, "seeded n=1 rc=1");
	rec(&l, "stepend n=1 ok=0 why=seed");
	rec(&l, "done ok=0 why=step ms=9000");
	follow_all(&l, &w);
	expect_outcome(&l, 1, OUTCOME_ENV_FAILED);
	expect_verdict(w, "step 203: env-failed");
	AUTO_LAB late;
	lab_open(&late);
	write_begin(&late, "from=202 to=203 dir=up n=1");
	write_plain_base(&late);
	write_step(&late, 1, "203", "up");
	rec(&late, "ran n=1 rc=0 ms=5 why=exit");
	rec(&late, "seeded n=1 rc=0");
	assert_int_equal(follow(&late, SIZE_MAX, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "seeded: not at this place"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_only_the_model),
		cmocka_unit_test(test_reattach),
		cmocka_unit_test(test_reattach_done),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_base_fails),
		cmocka_unit_test(test_task_fails),
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_warm),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_question_times_out),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_commits),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_ok_contradicts),
		cmocka_unit_test(test_endless_output),
		cmocka_unit_test(test_trips),
		cmocka_unit_test(test_trips_reattach),
		cmocka_unit_test(test_trip_failures),
		cmocka_unit_test(test_trip_again),
		cmocka_unit_test(test_trip_lies),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_dropped_column),
		cmocka_unit_test(test_seeded),
		cmocka_unit_test(test_seed_fails),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_two_followers),
		cmocka_unit_test(test_bad_pattern),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
