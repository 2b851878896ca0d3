/* SPDX-License-Identifier: MIT */
/* The generator as a box runs it (templates/tasks/seed.sh with fill.awk, put together by cmd/recipe_data.c) on a real
 * sqlite3, with each awk that is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/proc.h"
#include "cmd/compile.h"

/* Everything that makes filling a table hard. */
static const char traps[] =
	"CREATE TABLE plain (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(10) NOT NULL, note TEXT);\n"
	"CREATE TABLE nopk (a INT NOT NULL, b);\n"
	"CREATE TABLE uniq (id INTEGER PRIMARY KEY, code CHAR(2) NOT NULL UNIQUE, one CHAR(1) NOT NULL UNIQUE, email "
	"VARCHAR(40) UNIQUE);\n"
	"CREATE TABLE kid (id INTEGER PRIMARY KEY, plain_id INTEGER NOT NULL REFERENCES plain, u CHAR(2) NOT NULL "
	"REFERENCES uniq(code), opt INTEGER REFERENCES plain(id));\n"
	"CREATE TABLE m2m (plain_id INTEGER NOT NULL REFERENCES plain(id), kid_id INTEGER NOT NULL REFERENCES kid(id), "
	"PRIMARY KEY (plain_id, kid_id)) WITHOUT ROWID;\n"
	"CREATE TABLE one2one (plain_id INTEGER PRIMARY KEY REFERENCES plain(id), x REAL NOT NULL);\n"
	"CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES tree(id), name TEXT NOT NULL);\n"
	"CREATE TABLE ring (id INTEGER PRIMARY KEY, self INTEGER NOT NULL REFERENCES ring(id));\n"
	"CREATE TABLE cyc_a (id INTEGER PRIMARY KEY, b_id INTEGER REFERENCES cyc_b(id));\n"
	"CREATE TABLE cyc_b (id INTEGER PRIMARY KEY, a_id INTEGER NOT NULL REFERENCES cyc_a(id));\n"
	"CREATE TABLE hard_a (id INTEGER PRIMARY KEY, b_id INTEGER NOT NULL REFERENCES hard_b(id) DEFERRABLE INITIALLY "
	"DEFERRED);\n"
	"CREATE TABLE hard_b (id INTEGER PRIMARY KEY, a_id INTEGER NOT NULL REFERENCES hard_a(id));\n"
	"CREATE TABLE checks (id INTEGER PRIMARY KEY, st TEXT NOT NULL CHECK (st IN ('new', 'it''s', 'old')), n INT "
	"NOT NULL CHECK (n >= 10 AND n < 15), m INT CHECK (m BETWEEN -3 AND 3), s TEXT NOT NULL CHECK (length(s) >= "
	"20), b BOOLEAN NOT NULL CHECK (b IN (0, 1)), j JSON NOT NULL CHECK (json_valid(j)), \"q uoted\" TEXT NOT NULL "
	"CHECK (\"q uoted\" IN ('x')), lo INT NOT NULL, hi INT NOT NULL, CHECK (lo < hi));\n"
	"CREATE TABLE types (i SMALLINT NOT NULL, d DECIMAL(4,2) NOT NULL, d2 NUMERIC(3,3) NOT NULL, f FLOAT NOT NULL, "
	"dt DATETIME NOT NULL, da DATE NOT NULL, t TIME NOT NULL, bl BLOB NOT NULL, bo BOOLEAN NOT NULL, js JSON NOT "
	"NULL, v VARCHAR(1) NOT NULL, u UUID NOT NULL);\n"
	"CREATE TABLE gen (id INTEGER PRIMARY KEY, a INT NOT NULL, g INT GENERATED ALWAYS AS (a * 2) STORED, v TEXT AS "
	"('x' || a));\n"
	"CREATE TABLE strict_t (id INTEGER PRIMARY KEY, i INT NOT NULL, t TEXT NOT NULL, b BLOB NOT NULL, r REAL NOT "
	"NULL, a ANY NOT NULL) STRICT;\n"
	"CREATE TABLE few (kind TEXT NOT NULL CHECK (kind IN ('a','b')), flag BOOLEAN NOT NULL, PRIMARY KEY (kind, "
	"flag));\n"
	"CREATE TABLE comp_p (a INT NOT NULL, b INT NOT NULL, c TEXT, PRIMARY KEY (a, b));\n"
	"CREATE TABLE comp_c (id INTEGER PRIMARY KEY, pa INT NOT NULL, pb INT NOT NULL, FOREIGN KEY (pa, pb) "
	"REFERENCES comp_p(a, b), UNIQUE (pa, pb));\n"
	"CREATE TABLE \"we\"\"ird\tna\n"
	"me'x\" (\"co\"\"l\" TEXT NOT NULL, \"t\tab\" INT UNIQUE, 'q''q' TEXT);\n"
	"CREATE TABLE impossible (id INTEGER PRIMARY KEY, x TEXT NOT NULL CHECK (x = 'no' || 'body')); \n"
	"CREATE TABLE child_of_impossible (id INTEGER PRIMARY KEY, i INTEGER NOT NULL REFERENCES impossible(id));\n"
	"CREATE TABLE partial (id INTEGER PRIMARY KEY, k INT NOT NULL, w INT); CREATE UNIQUE INDEX pu ON partial (k) "
	"WHERE w IS NOT NULL;\n"
	"CREATE TABLE expr (id INTEGER PRIMARY KEY, mail TEXT NOT NULL); CREATE UNIQUE INDEX eu ON expr "
	"(lower(mail));\n"
	"CREATE TABLE filled (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO filled VALUES (7,'x'),(9,'y');\n"
	"CREATE TABLE of_filled (id INTEGER PRIMARY KEY, f INTEGER NOT NULL REFERENCES filled(id));\n"
	"CREATE TABLE onlyid (id INTEGER PRIMARY KEY);\n"
	"CREATE TABLE trig (id INTEGER PRIMARY KEY, v INT NOT NULL); CREATE TRIGGER no BEFORE INSERT ON trig BEGIN "
	"SELECT RAISE(ABORT, 'closed for today'); END;\n"
	"CREATE TABLE uu (a INT NOT NULL UNIQUE CHECK (a IN (1,2,3)), b TEXT);\n"
	"CREATE TABLE bymonth (id INTEGER PRIMARY KEY, month INT NOT NULL CHECK (month > 0 AND month <= 12), UNIQUE "
	"(month));\n";

struct world {
	char root[64];
	char *db, *box;
};

static void put(const struct world *w, const char *name, const char *text)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = xasprintf("%s/%s", w->root, name);
	assert_int_equal(fs_write(path, text, strlen(text), 0644, &err), 0);
}

/* Returns the exit code; what it prints goes to out. */
static int sh(const char *command, struct buf *out)
{
	struct err err = ERR_INIT;
	const char *argv[] = {"sh", "-c", command, NULL};
	struct proc_opts opts = {.out = out, .inherit_stderr = true, .deadline = clock_deadline(100000)};
	int rc = proc_run(argv, &opts, &err);
	assert_string_equal(err.msg, "");
	return rc;
}

static void sql(const struct world *w, const char *text, struct buf *out)
{
	struct err err = ERR_INIT;
	const char *argv[] = {"sqlite3", "-batch", "-bail", w->db, text, NULL};
	struct proc_opts opts = {.out = out, .inherit_stderr = true, .deadline = clock_deadline(100000)};
	assert_int_equal(proc_run(argv, &opts, &err), 0);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	snprintf(w->root, sizeof(w->root), "/tmp/test_fill.XXXXXX");
	assert_non_null(mkdtemp(w->root));
	w->db = xasprintf("%s/db", w->root);
	w->box = xasprintf("%s/box", w->root);
	assert_int_equal(mkdir(w->box, 0700), 0);
	AUTO_FREE char *dir = xasprintf("%s/migrations", w->root);
	assert_int_equal(mkdir(dir, 0700), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	assert_int_equal(fs_remove_tree(w->root, &err), 0);
	free(w->db);
	free(w->box);
	free(w);
	return 0;
}

/* The walk of a recipe with this seed: the script that fills. */
static void make_script(const struct world *w, const char *seed)
{
	struct recipe r;
	struct err err = ERR_INIT;
	AUTO_FREE char *yaml = xasprintf("name: t\nsource: {path: .}\ndatabase: {engine: sqlite, file: %s}\n"
					 "migrations: {tool: plain-sql}\nseed: %s\n",
					 w->db, seed);
	AUTO_FREE char *path = xasprintf("%s/stepbox.yaml", w->root);
	put(w, "stepbox.yaml", yaml);
	assert_int_equal(recipe_load(&r, path, NULL, &err), 0);
	CLEANUP(plan_freep) struct plan *plan = compile(&r, COMPILE_ALL, NULL, &err);
	assert_string_equal(err.msg, "");
	json_t *all = plan_json(plan);
	const char *script = json_string_value(json_object_get(json_object_get(all, "walk"), "seed"));
	assert_non_null(script);
	put(w, "seed.sh", script);
	json_decref(all);
	recipe_finish(&r);
}

/* Fills as the runner has it done, with this awk; what could not be filled is in out. */
static void fill(const struct world *w, const char *awk, struct buf *out)
{
	static const char counts[] =
		"SELECT replace(replace(replace(name, '\\', '\\\\'), char(9), '\\t'), char(10), '\\n') || char(9) || n "
		"FROM (SELECT m.name, (SELECT count(*) FROM filled) AS n FROM sqlite_master m WHERE name = 'filled' "
		"UNION ALL SELECT name, 0 FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
		"ESCAPE '\\' "
		"AND name <> 'filled')";
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	sql(w, counts, &lines);
	put(w, "box/counts", lines.data);
	AUTO_FREE char *command =
		xasprintf("cd %s && mkdir -p bin && ln -sf \"$(command -v %s)\" bin/awk && rm -rf box/seed.work && "
			  "PATH=%s/bin:$PATH STEPBOX_DIR=%s sh -eu seed.sh",
			  w->root, awk, w->root, w->box);
	assert_int_equal(sh(command, NULL), 0);
	AUTO_FREE char *unfilled = xasprintf("cat %s/unfilled 2>/dev/null || :", w->box);
	sh(unfilled, out);
}

static bool has_awk(const char *awk)
{
	AUTO_FREE char *command = xasprintf("command -v %s >/dev/null", awk);
	return sh(command, NULL) == 0;
}

static int64_t rows(const struct world *w, const char *table)
{
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *query = xasprintf("SELECT count(*) FROM %s", table);
	sql(w, query, &out);
	return strtoll(out.data, NULL, 10);
}

static void everything_that_can_be_filled_is(void **state)
{
	static const char *const full[] = {"plain",
					   "nopk",
					   "uniq",
					   "kid",
					   "m2m",
					   "one2one",
					   "tree",
					   "ring",
					   "cyc_a",
					   "cyc_b",
					   "hard_a",
					   "hard_b",
					   "checks",
					   "types",
					   "gen",
					   "strict_t",
					   "comp_p",
					   "comp_c",
					   "\"we\"\"ird\tna\nme'x\"",
					   "partial",
					   "expr",
					   "of_filled",
					   "onlyid"};
	struct world *w = *state;
	AUTO_BUF said = buf_make(BUF_TEXT_MAX);
	AUTO_BUF broken = buf_make(BUF_TEXT_MAX);
	sql(w, traps, NULL);
	make_script(w, "{rows: 20}");
	fill(w, "awk", &said);
	for (size_t i = 0; i < ARRAY_SIZE(full); i++)
		if (rows(w, full[i]) != 20)
			fail_msg("%s has %lld rows: %s", full[i], (long long)rows(w, full[i]), said.data);
	/* As many as there can be. */
	assert_int_equal(rows(w, "few"), 4);
	assert_int_equal(rows(w, "uu"), 3);
	assert_int_equal(rows(w, "bymonth"), 12);
	assert_int_equal(rows(w, "filled"), 2);
	sql(w, "PRAGMA foreign_key_check; PRAGMA integrity_check", &broken);
	assert_string_equal(broken.data, "ok\n");
	/* What cannot be filled is said in the database's own words. */
	assert_string_equal(said.data, "impossible\tCHECK constraint failed: x = 'no' || 'body' (19)\n"
				       "child_of_impossible\tNOT NULL constraint failed: child_of_impossible.i (19)\n"
				       "trig\tclosed for today (19)\n");
}

static void lengths_and_ranges_are_kept(void **state)
{
	struct world *w = *state;
	AUTO_BUF bad = buf_make(BUF_TEXT_MAX);
	sql(w, traps, NULL);
	make_script(w, "{rows: 200}");
	fill(w, "awk", &bad);
	buf_reset(&bad);
	sql(w,
	    "SELECT 'name', name FROM plain WHERE length(name) > 10; SELECT 'code', code FROM uniq WHERE length(code) "
	    "> 2;"
	    "SELECT 'one', one FROM uniq WHERE length(one) > 1; SELECT 'd', d FROM types WHERE abs(d) >= 100;"
	    "SELECT 'd2', d2 FROM types WHERE abs(d2) >= 1; SELECT 'dt', dt FROM types WHERE datetime(dt) IS NULL;"
	    "SELECT 'da', da FROM types WHERE date(da) IS NULL; SELECT 'js', js FROM types WHERE NOT json_valid(js);"
	    "SELECT 'v', v FROM types WHERE length(v) > 1; SELECT 'u', u FROM types WHERE length(u) <> 36",
	    &bad);
	assert_string_equal(bad.data, "");
	/* Only so many letters and digits there are for a CHAR(1). */
	assert_int_equal(rows(w, "uniq"), 36);
	assert_int_equal(rows(w, "m2m"), 200);
	/* Columns that may be NULL sometimes are, and sometimes are not. */
	assert_true(rows(w, "plain WHERE note IS NULL") > 10 && rows(w, "plain WHERE note IS NOT NULL") > 100);
	assert_true(rows(w, "tree WHERE parent IS NOT NULL") > 100);
}

static void made(struct world *w, const char *awk, const char *seed, struct buf *dump)
{
	AUTO_BUF said = buf_make(BUF_TEXT_MAX);
	unlink(w->db);
	sql(w, traps, NULL);
	make_script(w, seed);
	fill(w, awk, &said);
	sql(w, ".dump", dump);
}

static void the_same_seed_gives_the_same_rows(void **state)
{
	static const char *const awks[] = {"awk", "mawk", "gawk", "original-awk"};
	struct world *w = *state;
	AUTO_BUF first = buf_make(BUF_TEXT_MAX);
	AUTO_BUF other = buf_make(BUF_TEXT_MAX);
	made(w, "awk", "{rows: 7, seed: 3}", &first);
	for (size_t i = 0; i < ARRAY_SIZE(awks); i++) {
		AUTO_BUF got = buf_make(BUF_TEXT_MAX);
		if (!has_awk(awks[i]))
			continue;
		made(w, awks[i], "{rows: 7, seed: 3}", &got);
		assert_string_equal(got.data, first.data);
	}
	made(w, "awk", "{rows: 7, seed: 4}", &other);
	assert_string_not_equal(other.data, first.data);
}

static void tables_to_be_left_alone(void **state)
{
	struct world *w = *state;
	AUTO_BUF said = buf_make(BUF_TEXT_MAX);
	sql(w,
	    "CREATE TABLE a (x INT); CREATE TABLE \"b'\" (x INT); CREATE TABLE c (x INT); CREATE TABLE filled (x INT);",
	    NULL);
	make_script(w, "{rows: 3, skip: [a, \"b'\"]}");
	fill(w, "awk", &said);
	assert_int_equal(rows(w, "a"), 0);
	assert_int_equal(rows(w, "\"b'\""), 0);
	assert_int_equal(rows(w, "c"), 3);
	assert_string_equal(said.data, "");
}

/* What is in a schema is not run by anybody. */
static void a_hostile_schema(void **state)
{
	struct world *w = *state;
	AUTO_BUF said = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *mark = xasprintf("%s/harmed", w->root);
	AUTO_FREE char *schema = xasprintf(
		"CREATE TABLE filled (x INT);"
		"CREATE TABLE \"x'; DROP TABLE victim; --\" (\"$(touch %s)\" TEXT NOT NULL, \"`touch %s`\" TEXT CHECK "
		"(\"`touch %s`\" IN ('$(touch %s)', '\n.shell touch %s\n', '\\')));"
		"CREATE TABLE victim (v INT CHECK (v IN (1, 2)));"
		"CREATE TABLE \"\n.shell touch %s\" (\"\n.read /dev/null\" INT, \"a\\\" TEXT, \"STEPBOX-EMPTY 3\" "
		"TEXT);",
		mark, mark, mark, mark, mark, mark);
	sql(w, schema, NULL);
	make_script(w, "{rows: 5}");
	fill(w, "awk", &said);
	assert_false(fs_exists(mark));
	assert_int_equal(rows(w, "victim"), 5);
	assert_int_equal(rows(w, "\"x'; DROP TABLE victim; --\""), 5);
	AUTO_FREE char *shell = xasprintf("\"\n.shell touch %s\"", mark);
	assert_true(rows(w, shell) == 5 || strstr(said.data, ".shell"));
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(everything_that_can_be_filled_is),
		CASE(lengths_and_ranges_are_kept),
		CASE(the_same_seed_gives_the_same_rows),
		CASE(tables_to_be_left_alone),
		CASE(a_hostile_schema),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
