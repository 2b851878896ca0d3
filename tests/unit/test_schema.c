/* SPDX-License-Identifier: MIT */
#include "migrations/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/text.h"
#include "migrations/schema_diff.h"
#include "migrations/schema_lex.h"
#include "migrations/schema_model.h"

/* What our database adapter makes the sqlite3 shell print. */
#define DUMP_SQL "SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name"

/* Runs SQL in a real database and appends its dump. */
static void dump_of(const char *sql, struct buf *out)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	char *msg = NULL;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	sqlite3_exec(db, sql, NULL, NULL, &msg);
	if (msg)
		fail_msg("%s: %s", sql, msg);
	assert_int_equal(sqlite3_prepare_v2(db, DUMP_SQL, -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW)
		buf_addf(out, "%s\n", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static struct schema *read_text(const char *dump, size_t len)
{
	struct err err = ERR_INIT;
	const struct schema_text text = {.dump = dump, .dump_len = len};
	struct schema *s = schema_read("sqlite", &text, &err);
	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

static size_t diff_lines(const struct schema *a, const struct schema *b, struct buf *lines)
{
	const struct schema_diff_options o = {.ignore_fields = UINT64_C(1) << FIELD_TEXT};
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(a, b, &o);
	return schema_change_lines(cs, CHANGE_ALL, lines);
}

static void brief(const struct schema *a, const struct schema *b, size_t max, struct buf *out)
{
	const struct schema_diff_options o = {.ignore_fields = UINT64_C(1) << FIELD_TEXT};
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(a, b, &o);
	schema_changes_brief(cs, max, out);
}

static void expect_texts(const char *a, const char *b, const char *want, const char *in_words)
{
	CLEANUP(schema_freep) struct schema *sa = read_text(a, strlen(a));
	CLEANUP(schema_freep) struct schema *sb = read_text(b, strlen(b));
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	AUTO_BUF words = buf_make(BUF_TEXT_MAX);
	size_t n = diff_lines(sa, sb, &lines);
	assert_string_equal(lines.data, want);
	size_t count = 0;
	for (const char *p = lines.data; (p = strchr(p, '\n')); p++)
		count++;
	assert_int_equal(n, count);
	brief(sa, sb, 72, &words);
	assert_true(words.len <= 72);
	if (in_words)
		assert_string_equal(words.data, in_words);
	/* A schema differs from itself in nothing. */
	buf_reset(&lines);
	assert_int_equal(diff_lines(sa, sa, &lines) + diff_lines(sb, sb, &lines), 0);
	assert_int_equal(lines.len, 0);
}

/* before: SQL of the first schema; change: what a migration does to it. */
static void expect_brief(const char *before, const char *change, const char *want, const char *in_words)
{
	AUTO_BUF a = buf_make(BUF_TEXT_MAX);
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *both = xasprintf("%s; %s", before, change);
	dump_of(before, &a);
	dump_of(both, &b);
	expect_texts(a.data, b.data, want, in_words);
}

static void expect(const char *before, const char *change, const char *want)
{
	expect_brief(before, change, want, NULL);
}

#define T "CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(64) NOT NULL, b INT DEFAULT 0)"

static void test_columns(void **state)
{
	(void)state;
	expect_brief(T, "SELECT 1", "", "no change");
	expect_brief(T, "ALTER TABLE t ADD COLUMN c VARCHAR(255)", "t: + column c VARCHAR(255) NULL\n",
		     "+ column c on t");
	expect(T, "ALTER TABLE t ADD COLUMN c TEXT NOT NULL DEFAULT 'x''y' COLLATE nocase",
	       "t: + column c TEXT NOT NULL DEFAULT 'x''y' COLLATE nocase\n");
	expect_brief(T, "ALTER TABLE t DROP COLUMN b", "t: - column b\n", "- column b on t");
	expect_brief(T, "ALTER TABLE t RENAME COLUMN b TO c", "t: column b → c (renamed?)\n", "column b → c on t");
	expect_brief(T, "ALTER TABLE t ADD COLUMN c; ALTER TABLE t ADD COLUMN d",
		     "t: + column c NULL\nt: + column d NULL\n", "+2 columns t");
	/* What a batch operation does: a new table in place of the old one. */
	expect(T, "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(255), b INT DEFAULT 1 NOT NULL, c)",
	       "t: ~ column a: VARCHAR(64) → VARCHAR(255)\n"
	       "t: ~ column a: NOT NULL → NULL\n"
	       "t: ~ column b: NULL → NOT NULL\n"
	       "t: ~ column b: DEFAULT 0 → DEFAULT 1\n"
	       "t: + column c NULL\n");
	expect(T, "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, b INT, a VARCHAR(64) NOT NULL)",
	       "t: ~ column order: a, b → b, a\nt: ~ column b: DEFAULT 0 → no default\n");
	expect(T, "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT, a VARCHAR(64) NOT NULL)",
	       "t: ~ column order: a, b → b, a\nt: ~ column b: INT → TEXT\nt: ~ column b: DEFAULT 0 → no default\n");
}

static void test_generated(void **state)
{
	(void)state;
	expect("CREATE TABLE t (a INT)", "ALTER TABLE t ADD COLUMN b INT GENERATED ALWAYS AS (a * 2)",
	       "t: + column b INT NULL AS (a * 2) VIRTUAL\n");
	expect("CREATE TABLE t (a INT, b AS (a * 2) STORED)",
	       "DROP TABLE t; CREATE TABLE t(a INT, b AS ((a*3)) STORED)",
	       "t: ~ column b: AS (a * 2) STORED → AS (a * 3) STORED\n");
}

static void test_keys(void **state)
{
	(void)state;
	expect(T,
	       "DROP TABLE t; CREATE TABLE t (id INTEGER, a VARCHAR(64) NOT NULL, b INT DEFAULT 0, PRIMARY KEY (b, "
	       "id))",
	       "t: ~ primary key (id) → (b, id)\n");
	expect("CREATE TABLE t (id INTEGER PRIMARY KEY)",
	       "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)",
	       "t: ~ column id: no AUTOINCREMENT → AUTOINCREMENT\n");
	expect("CREATE TABLE t (id INT PRIMARY KEY)", "DROP TABLE t; CREATE TABLE t (id INT, PRIMARY KEY (id DESC))",
	       "t: ~ primary key (id) → (id DESC)\n");
	expect("CREATE TABLE t (id INT PRIMARY KEY NOT NULL)",
	       "DROP TABLE t; CREATE TABLE t (id INT PRIMARY KEY NOT NULL) STRICT, WITHOUT ROWID",
	       "t: ~ options () → (WITHOUT ROWID, STRICT)\n");
	expect("CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE q (id INT PRIMARY KEY); CREATE TABLE c (a INT, b "
	       "INT)",
	       "DROP TABLE c; CREATE TABLE c (a INT REFERENCES p ON DELETE CASCADE, b INT, FOREIGN KEY (a, b) "
	       "REFERENCES q (id, x) DEFERRABLE INITIALLY DEFERRED)",
	       "c: + foreign key (a) → p(id) ON DELETE CASCADE\n"
	       "c: + foreign key (a, b) → q(id, x) DEFERRABLE INITIALLY DEFERRED\n");
	expect("CREATE TABLE c (a INT REFERENCES p(id), b INT REFERENCES p(id))",
	       "DROP TABLE c; CREATE TABLE c (a INT REFERENCES q(id) ON UPDATE SET NULL, b INT)",
	       "c: ~ foreign key (a): p(id) → q(id) ON UPDATE SET NULL\n"
	       "c: - foreign key (b) → p(id)\n");
}

/* Written in other ways, the same: clauses in another place, quoting, spaces, comments, an implied parent key. */
static void test_spelling(void **state)
{
	(void)state;
	expect_brief(
		"CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE t (a INT NOT NULL UNIQUE CHECK (a > 0), b INT "
		"REFERENCES p (id), CONSTRAINT z CHECK (b IN (0, 1)))",
		"DROP TABLE t; CREATE TABLE \"t\" (\n\t`a` INT /* x */ NOT NULL, [b] INT, -- y\n\tcheck ((\"b\" in "
		"(0,1))),UNIQUE(a), CONSTRAINT q FOREIGN KEY(b) REFERENCES \"p\", CHECK(A>0))",
		"t: ~ foreign key (b): no name → name q\nt: ~ check (b in (0, 1)): name z → no name\n", NULL);
}

static void test_indexes(void **state)
{
	(void)state;
	expect_brief(T, "CREATE INDEX ix ON t (a, b)", "t: + index ix (a, b)\n", "+ index ix on t");
	expect(T "; CREATE UNIQUE INDEX ux ON t (a)", "DROP INDEX ux", "t: - unique index ux (a)\n");
	expect(T "; CREATE INDEX ix ON t (a)", "DROP INDEX ix; CREATE INDEX ix ON t (a, b DESC)",
	       "t: ~ index ix (a) → (a, b DESC)\n");
	expect(T "; CREATE INDEX ix ON t (a)", "DROP INDEX ix; CREATE UNIQUE INDEX ix ON t (a COLLATE nocase)",
	       "t: ~ index ix (a) → unique (a COLLATE nocase)\n");
	expect(T "; CREATE INDEX ix ON t (a)", "DROP INDEX ix; CREATE INDEX iy ON t (a)",
	       "t: index ix → iy (renamed?)\n");
	expect(T, "CREATE INDEX ix ON t (lower(a) DESC, b) WHERE (b > 0 AND a IS NOT NULL)",
	       "t: + index ix (lower(a) DESC, b) where b > 0 and a is not null\n");
	expect(T "; CREATE INDEX ix ON t (b) WHERE b > 0", "DROP INDEX ix; CREATE INDEX ix ON t (b) WHERE b > 1",
	       "t: ~ index ix (b) where b > 0 → (b) where b > 1\n");
	expect("CREATE TABLE t (a, b, UNIQUE (a, b))", "DROP TABLE t; CREATE TABLE t (a, b, UNIQUE (b))",
	       "t: - unique (a, b)\nt: + unique (b)\n");
	expect("CREATE TABLE t (a UNIQUE)", "DROP TABLE t; CREATE TABLE t (a); CREATE UNIQUE INDEX ux ON t (a)",
	       "t: ~ unique (a) → unique index ux\n");
}

static void test_checks(void **state)
{
	(void)state;
	expect_brief("CREATE TABLE t (a INT CHECK (a > 0), b)",
		     "DROP TABLE t; CREATE TABLE t (a INT, b, CHECK (a > 1 OR b = 'X y'))",
		     "t: - check (a > 0)\nt: + check (a > 1 or b = 'X y')\n", NULL);
	expect("CREATE TABLE t (a INT UNIQUE)", "DROP TABLE t; CREATE TABLE t (a INT UNIQUE ON CONFLICT REPLACE)",
	       "t: + constraint a: UNIQUE on conflict REPLACE\n");
	/* A default in brackets, a type with brackets, a check in a string are none. */
	expect("CREATE TABLE t (a INT)",
	       "DROP TABLE t; CREATE TABLE t (a INT DEFAULT (1 + (2)), b DECIMAL(10, 2), c TEXT DEFAULT 'check (x)')",
	       "t: ~ column a: no default → DEFAULT 1 + (2)\n"
	       "t: + column b DECIMAL(10, 2) NULL\n"
	       "t: + column c TEXT NULL DEFAULT 'check (x)'\n");
}

static void test_tables(void **state)
{
	(void)state;
	expect_brief(T, "CREATE TABLE x (a)", "+ table x (1 column)\n", "+ table x");
	expect_brief(T, "DROP TABLE t", "- table t\n", "- table t");
	expect_brief(T, "ALTER TABLE t RENAME TO u", "table t → u (renamed?)\n", "table t → u");
	expect_brief(T "; CREATE INDEX ix ON t (a)", "CREATE TABLE x (a, b); CREATE TABLE y (a); DROP INDEX ix",
		     "t: - index ix (a)\n+ table x (2 columns)\n+ table y (1 column)\n", "- index ix on t, +2 tables");
	/* Which of two alike? No guess then. */
	expect("CREATE TABLE a (x)", "DROP TABLE a; CREATE TABLE b (x); CREATE TABLE c (x)",
	       "- table a\n+ table b (1 column)\n+ table c (1 column)\n");
}

static void test_objects(void **state)
{
	(void)state;
	expect_brief(T, "CREATE VIEW v AS SELECT a FROM t", "+ view v\n", "+ view v");
	expect(T "; CREATE VIEW v AS SELECT a FROM t", "DROP VIEW v; CREATE VIEW v AS SELECT b FROM t", "~ view v\n");
	expect(T "; CREATE VIEW v AS SELECT a FROM t", "DROP VIEW v; CREATE VIEW \"v\" AS\n  select A from t", "");
	expect_brief(T "; CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t WHERE a = ';'; SELECT 1; END",
		     "DROP TRIGGER g; CREATE TRIGGER g AFTER UPDATE OF b ON t BEGIN SELECT 2; END", "t: ~ trigger g\n",
		     "~ trigger g on t");
	expect(T, "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END", "t: + trigger g\n");
	expect(T, "CREATE VIRTUAL TABLE f USING fts5(x)",
	       "+ virtual table f (not modelled)\n+ table f_config (2 columns)\n+ table f_content (2 columns)\n"
	       "+ table f_data (2 columns)\n+ table f_docsize (2 columns)\n+ table f_idx (3 columns)\n");
	/* Bookkeeping of SQLite's own is not shown. */
	expect("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO t VALUES (1); ANALYZE", "");
}

/* Functions and collations that only the application has. */
static void test_foreign_functions(void **state)
{
	(void)state;
	expect_texts("CREATE TABLE t (a TEXT CHECK (regexp_x('a', a) AND other(a)) COLLATE app);\n"
		     "CREATE INDEX ix ON t (fold(a));\n",
		     "CREATE TABLE t (a TEXT CHECK (regexp_x('b', a) AND other(a)) COLLATE app);\n"
		     "CREATE INDEX ix ON t (fold(a, 2));\n",
		     "t: ~ index ix (fold(a)) → (fold(a, 2))\n"
		     "t: - check (regexp_x('a', a) and other(a))\n"
		     "t: + check (regexp_x('b', a) and other(a))\n",
		     NULL);
}

/* Names only the text tells. */
static void test_names(void **state)
{
	(void)state;
	static const char dump[] =
		"CREATE TABLE p (a INT CONSTRAINT pk PRIMARY KEY, b INT CONSTRAINT nn NOT NULL UNIQUE, c INT "
		"CONSTRAINT ck CHECK (c > 1) CONSTRAINT fk REFERENCES q (x) ON DELETE SET NULL DEFERRABLE INITIALLY "
		"DEFERRED, CONSTRAINT uq UNIQUE (c COLLATE nocase, \"a\" DESC), CHECK (c < 9), CONSTRAINT \"f 2\" "
		"FOREIGN KEY (a, b) REFERENCES r ON UPDATE CASCADE);\n";
	CLEANUP(schema_freep) struct schema *s = read_text(dump, sizeof(dump) - 1);
	const struct table *t = &s->tables[0];
	assert_string_equal(s->engine, "sqlite");
	assert_string_equal(t->pk_name, "pk");
	assert_int_equal(t->n_indexes, 2);
	assert_string_equal(t->indexes[0].name, "");
	assert_string_equal(t->indexes[0].parts, "b");
	assert_string_equal(t->indexes[1].name, "uq");
	assert_true(t->indexes[1].constraint && t->indexes[1].unique);
	assert_int_equal(t->n_checks, 2);
	assert_string_equal(t->checks[0].name, "");
	assert_string_equal(t->checks[1].name, "ck");
	assert_string_equal(t->checks[1].expr, "c > 1");
	assert_int_equal(t->n_fks, 2);
	assert_string_equal(t->fks[0].name, "f 2");
	assert_string_equal(t->fks[0].on_update, "CASCADE");
	assert_string_equal(t->fks[0].deferrable, "");
	assert_string_equal(t->fks[1].name, "fk");
	assert_string_equal(t->fks[1].on_delete, "SET NULL");
	assert_string_equal(t->fks[1].on_update, "");
	assert_string_equal(t->fks[1].deferrable, "DEFERRABLE INITIALLY DEFERRED");
}

static void test_unmodelled(void **state)
{
	(void)state;
	expect_texts("CREATE TABLE t (a);\nCREATE INDEX x ON none (a);\n",
		     "CREATE TABLE t (a);\nCREATE INDEX x ON none (b);\n", "none: ~ index x (not modelled)\n", NULL);
	expect_texts("", "CREATE TABLE t (a,,b);\n", "+ table t (not modelled)\n", NULL);
	expect_texts("DROP TABLE x;\n", "DROP TABLE y;\n", "~ statement DROP (not modelled)\n", NULL);
}

/* A view kept with a comment that swallows the ';', or is not closed: what follows is seen all the same. */
static void test_comments(void **state)
{
	(void)state;
	expect_texts("CREATE VIEW v AS SELECT 1 -- c;\n", "CREATE VIEW v AS SELECT 1 -- c;\nCREATE TABLE t (a);\n",
		     "+ table t (1 column)\n", NULL);
	expect_texts("CREATE VIEW v AS SELECT 1 /* c;\nCREATE VIEW w AS SELECT /* */ 2;\n",
		     "CREATE VIEW v AS SELECT 1 /* c;\nCREATE TABLE t (a);\nCREATE VIEW w AS SELECT /* */ 2;\n",
		     "+ table t (1 column)\n", NULL);
}

/* ---- hostile text ---- */

static void test_does_nothing_else(void **state)
{
	(void)state;
	static const char dump[] = "ATTACH '/tmp/stepbox-test-attached' AS x;\nPRAGMA writable_schema = 1;\nVACUUM "
				   "INTO '/tmp/stepbox-test-vacuum';\n"
				   "CREATE TABLE a AS SELECT load_extension('/tmp/x');\nCREATE TABLE b (x); ATTACH "
				   "'/tmp/stepbox-test-attached' AS y;\n"
				   "CREATE TEMP TABLE c (x);\nCREATE TABLE sqlite_evil (x);\nCREATE TABLE d (x DEFAULT "
				   "(randomblob(1000000000)));\n"
				   "CREATE TABLE main.e (x);\nCREATE TABLE \"\" (\"\");\nCREATE TABLE;\nCREATE\n";
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	CLEANUP(schema_freep) struct schema *none = read_text("", 0);
	CLEANUP(schema_freep) struct schema *s = read_text(dump, sizeof(dump) - 1);
	diff_lines(none, s, &lines);
	assert_non_null(strstr(lines.data, "+ table a (not modelled)\n"));
	assert_non_null(strstr(lines.data, "+ table b (not modelled)\n"));
	assert_non_null(strstr(lines.data, "+ table d (1 column)\n"));
	assert_non_null(strstr(lines.data, "+ statement ATTACH (not modelled)\n"));
	assert_null(fopen("/tmp/stepbox-test-attached", "r"));
	assert_null(fopen("/tmp/stepbox-test-vacuum", "r"));
}

static void test_names_are_made_safe(void **state)
{
	(void)state;
	expect_texts("", "CREATE TABLE \"a\033[31m\nb\" (\"x\r\" INT);\n", "+ table a\\x1b[31m b (1 column)\n", NULL);
}

/* Reads it within a time, whatever comes of it. */
static void read_within(const struct buf *dump, int64_t limit_ms)
{
	struct err err = ERR_INIT;
	mono_ms begun = clock_mono();
	const struct schema_text text = {.dump = dump->data, .dump_len = dump->len};
	struct schema *s = schema_read("sqlite", &text, &err);
	CLEANUP(schema_freep) struct schema *none = read_text("", 0);
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	if (s) {
		diff_lines(none, s, &lines);
		diff_lines(s, none, &lines);
	}
	assert_true(s || err.reach == ERR_STEP);
	schema_free(s);
	assert_in_range(clock_mono() - begun, 0, limit_ms);
}

static void repeat(struct buf *out, const char *head, const char *piece, size_t bytes, const char *tail)
{
	buf_reset(out);
	buf_adds(out, head);
	while (out->len < bytes)
		buf_adds(out, piece);
	buf_adds(out, tail);
}

static void test_bounded(void **state)
{
	(void)state;
	enum { LARGE = 15 << 20, STATEMENT = 120 << 10, LIMIT_MS = 30000 };
	AUTO_BUF dump = buf_make(BUF_TEXT_MAX);
	repeat(&dump, "", "CREATE TABLE t (a);", LARGE, "");
	read_within(&dump, LIMIT_MS);
	repeat(&dump, "CREATE VIEW v AS SELECT ", "/* ", LARGE, "");
	read_within(&dump, LIMIT_MS);
	repeat(&dump, "CREATE TABLE t (a CHECK ", "(", LARGE, "");
	read_within(&dump, LIMIT_MS);
	repeat(&dump, "CREATE TABLE t (a", ",a", LARGE, ")");
	read_within(&dump, LIMIT_MS);
	repeat(&dump, "CREATE TABLE t (a, b", ", FOREIGN KEY (a) REFERENCES p", STATEMENT, ")");
	read_within(&dump, LIMIT_MS);
	repeat(&dump, "CREATE TABLE t (a, b", ", UNIQUE (a)", STATEMENT, ")");
	read_within(&dump, LIMIT_MS);
	repeat(&dump, "CREATE TABLE t (a, b", ", CHECK (a > 0)", STATEMENT, ")");
	read_within(&dump, LIMIT_MS);
	buf_reset(&dump);
	for (int i = 0; i < 4900; i++)
		buf_addf(&dump, "CREATE TABLE t%d (a, b, UNIQUE (a), UNIQUE (b));\n", i);
	read_within(&dump, LIMIT_MS);
}

static void test_other_engine(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct schema_text nothing = {.dump = ""};
	const struct schema_text undescribed = {.dump = "CREATE TABLE t (a int);", .dump_len = 23};
	assert_null(schema_read("dbase", &nothing, &err));
	assert_int_equal(err.reach, ERR_STEP);
	assert_null(schema_read("mariadb", &undescribed, &err));
	assert_int_equal(err.reach, ERR_STEP);
	/* A database that is empty has nothing to describe. */
	CLEANUP(schema_freep) struct schema *s = schema_read("postgresql", &nothing, &err);
	assert_non_null(s);
	assert_int_equal(s->n_tables + s->n_objects, 0);
}

/* ---- a few words ---- */

static void test_brief_is_short(void **state)
{
	(void)state;
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	AUTO_BUF words = buf_make(BUF_TEXT_MAX);
	for (int i = 0; i < 50; i++)
		buf_addf(&text, "CREATE TABLE t%02d (%s);\n", i, i % 2 ? "a, b" : "a");
	CLEANUP(schema_freep) struct schema *a = read_text(text.data, text.len);
	buf_reset(&text);
	for (int i = 0; i < 50; i++)
		buf_addf(&text, "CREATE TABLE t%02d (a, b, %s_%060d);\n", i, i % 2 ? "x" : "y", 7);
	CLEANUP(schema_freep) struct schema *b = read_text(text.data, text.len);
	for (size_t max = 0; max < 200; max++) {
		buf_reset(&words);
		brief(a, b, max, &words);
		if (max >= 40)
			assert_in_range(words.len, 1, max);
	}
	buf_reset(&words);
	brief(a, b, 40, &words);
	assert_string_equal(words.data, "+2 columns t00, and 73 more");
}

/* ---- the text of one table ---- */

static void test_table_text(void **state)
{
	(void)state;
	AUTO_BUF dump = buf_make(BUF_TEXT_MAX);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	dump_of(T "; CREATE INDEX ix ON t (a); CREATE TABLE \"t t\" (a); CREATE TABLE tt (t); "
		  "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END; CREATE VIEW v AS SELECT * FROM t",
		&dump);
	assert_int_equal(schema_table_text(dump.data, dump.len, "sqlite", "t", &out), 3);
	assert_string_equal(out.data, "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;\n" T ";\n"
				      "CREATE INDEX ix ON t (a);\n");
	buf_reset(&out);
	assert_int_equal(schema_table_text(dump.data, dump.len, "sqlite", "T T", &out), 1);
	assert_string_equal(out.data, "CREATE TABLE \"t t\" (a);\n");
	assert_int_equal(schema_table_text(dump.data, dump.len, "sqlite", "v", &out), 1);
	assert_int_equal(schema_table_text(dump.data, dump.len, "sqlite", "none", &out), 0);
}

static void test_normal_form(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {
		{"A  IN(1,2)", "a in (1, 2)"},
		{"\"A\".`b` || [c d]", "a.b || \"c d\""},
		{"f( x ) -- c\n+ /* d */ 'A''b'", "f(x) + 'A''b'"},
		{"'unclosed", "'unclosed"},
		{"a /* b", "a / * b"},
		{"", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		AUTO_BUF out = buf_make(1000);
		sql_normalise(pairs[i][0], strlen(pairs[i][0]), &out);
		assert_string_equal(out.data, pairs[i][1]);
	}
}

/* 110 tables with 12 columns and 3 indexes each, about as much as nova: tens of milliseconds would be felt. */
static void test_speed(void **state)
{
	(void)state;
	AUTO_BUF dump = buf_make(BUF_TEXT_MAX);
	for (int i = 0; i < 110; i++) {
		buf_addf(&dump, "CREATE TABLE t%d (id INTEGER NOT NULL", i);
		for (int k = 0; k < 11; k++)
			buf_addf(&dump, ", column_%d VARCHAR(255) DEFAULT 'x'", k);
		buf_addf(
			&dump,
			", PRIMARY KEY (id), CHECK (column_1 IN (0, 1)), FOREIGN KEY(column_2) REFERENCES t%d (id));\n",
			i / 2);
		for (int k = 0; k < 3; k++)
			buf_addf(&dump, "CREATE INDEX t%d_ix_%d ON t%d (column_%d, column_%d);\n", i, k, i, k, k + 3);
	}
	int64_t best = INT64_MAX;
	for (int i = 0; i < 5; i++) {
		mono_ms begun = clock_mono();
		CLEANUP(schema_freep) struct schema *s = read_text(dump.data, dump.len);
		int64_t took = clock_mono() - begun;
		best = took < best ? took : best;
	}
	print_message("110 tables, 330 indexes, %zu bytes: %lld ms\n", dump.len, (long long)best);
	assert_in_range(best, 0, 500); /* sanitizers, loaded machines */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_generated),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_spelling),
		cmocka_unit_test(test_indexes),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_foreign_functions),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_unmodelled),
		cmocka_unit_test(test_comments),
		cmocka_unit_test(test_does_nothing_else),
		cmocka_unit_test(test_names_are_made_safe),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_other_engine),
		cmocka_unit_test(test_brief_is_short),
		cmocka_unit_test(test_table_text),
		cmocka_unit_test(test_normal_form),
		cmocka_unit_test(test_speed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
