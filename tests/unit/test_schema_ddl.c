/* SPDX-License-Identifier: MIT */
/* What is read from the text of CREATE TABLE and CREATE INDEX is what SQLite itself makes of it. */
#include "migrations/schema_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "migrations/schema_diff.h"

/* Everything of a table on lines. The name of a constraint is only sure when there is one of its kind. */
static void print_table(const struct table *t, struct buf *out)
{
	buf_addf(out, "%s [%s] pk=%s,%s\n", t->name, t->options, t->pk, t->pk_name);
	for (size_t i = 0; i < t->n_columns; i++) {
		const struct column *c = &t->columns[i];
		buf_addf(out, "%s|%s|%s|%s|%s|%d%d\n", c->name, c->type, c->dflt ? c->dflt : "NULL", c->collation,
			 c->generated, c->not_null, c->autoincrement);
	}
	for (size_t i = 0; i < t->n_indexes; i++) {
		const struct index *ix = &t->indexes[i];
		buf_addf(out, "index %s (%s) where %s, %d%d\n", ix->name, ix->parts, ix->where, ix->unique,
			 ix->constraint);
	}
	for (size_t i = 0; i < t->n_fks; i++) {
		const struct foreign_key *fk = &t->fks[i];
		buf_addf(out, "fk %s (%s) %s (%s) %s %s %s\n", fk->name, fk->from, fk->parent, fk->to, fk->on_update,
			 fk->on_delete, fk->deferrable);
	}
	for (size_t i = 0; i < t->n_checks; i++)
		buf_addf(out, "check %s %s\n", t->checks[i].name, t->checks[i].expr);
	for (size_t i = 0; i < t->n_extras; i++)
		buf_addf(out, "extra %s\n", t->extras[i]);
}

static void print_schema(const struct schema *s, struct buf *out)
{
	for (size_t i = 0; i < s->n_tables; i++)
		print_table(&s->tables[i], out);
	for (size_t i = 0; i < s->n_objects; i++)
		buf_addf(out, "%s %s: %s\n", s->objects[i].kind, s->objects[i].name, s->objects[i].text);
}

/* Both ways, the same; unmodelled: what is noted as not understood, or NULL. */
static void expect(const char *dump, const char *unmodelled)
{
	struct err err = ERR_INIT;
	const struct schema_text text = {.dump = dump, .dump_len = strlen(dump)};
	CLEANUP(schema_freep) struct schema *read = schema_read("sqlite", &text, &err);
	CLEANUP(schema_freep) struct schema *asked = schema_new();
	AUTO_BUF a = buf_make(BUF_TEXT_MAX);
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	assert_non_null(read);
	assert_int_equal(schema_ask_sqlite(asked, dump, strlen(dump), &err), 0);
	print_schema(read, &a);
	print_schema(asked, &b);
	if (strcmp(a.data, b.data) != 0)
		fail_msg("%s\nread:\n%s\nSQLite says:\n%s", dump, a.data, b.data);
	assert_true(read->n_tables > 0);
	if (!unmodelled)
		for (size_t i = 0; i < read->n_tables; i++)
			if (read->tables[i].unmodelled)
				fail_msg("%s\nnot understood: %s", dump, read->tables[i].unmodelled);
	if (unmodelled)
		assert_string_equal(read->tables[0].unmodelled, unmodelled);
}

static void test_columns(void **state)
{
	(void)state;
	expect("CREATE TABLE t (a, b INT, c integer, d VarChar( 20 ) , e DECIMAL(10, -2), f double precision, \"g h\" "
	       "text, "
	       "[i] 'my type', `j` unsigned big int(4), k any, l Blob, m real)",
	       NULL);
	expect("CREATE TABLE t (a INT NOT NULL, b TEXT NULL, c INT NOT NULL DEFAULT 5, d TEXT DEFAULT 'x''y' NOT NULL)",
	       NULL);
	expect("CREATE TABLE t (a DEFAULT 1.5, b DEFAULT -1e-3, c DEFAULT +0x1F, d DEFAULT .5, e DEFAULT (1 + (2)), f "
	       "DEFAULT "
	       "x'0a', g DEFAULT NULL, h DEFAULT CURRENT_TIMESTAMP, i DEFAULT true, j DEFAULT \"q\", k DEFAULT foo, l "
	       "DEFAULT "
	       "( 'a' /* c */ ), m DEFAULT 1 UNIQUE, n DEFAULT - 7, o DEFAULT 1.)",
	       NULL);
	expect("CREATE TABLE t (a TEXT COLLATE nocase, b COLLATE \"RTRIM\" NOT NULL, c COLLATE binary, d TEXT UNIQUE "
	       "COLLATE NOCASE)",
	       NULL);
	expect("CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a * 2) STORED, c AS ((a+1)), d INT AS (b) VIRTUAL "
	       "NOT NULL, e "
	       "generated always AS (a))",
	       NULL);
	expect("CREATE TABLE \"t\" (\n\t`a` INT /* x */ NOT NULL, [b] INT, -- y\n\tcheck ((\"b\" in (0,1))),UNIQUE(a))",
	       NULL);
	expect("CREATE TABLE T9 (\"select\" INT, key INT, \"a\"\"b\" INT, \xc3\xa4 INT)", NULL);
}

static void test_keys(void **state)
{
	(void)state;
	expect("CREATE TABLE t (id INTEGER PRIMARY KEY)", NULL);
	expect("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL)", NULL);
	expect("CREATE TABLE t (id INTEGER NOT NULL CONSTRAINT pk PRIMARY KEY ASC)", NULL);
	expect("CREATE TABLE t (id INTEGER PRIMARY KEY DESC, a)", NULL);
	expect("CREATE TABLE t (id INT PRIMARY KEY, a)", NULL);
	expect("CREATE TABLE t (id INTEGER, PRIMARY KEY (id DESC))", NULL);
	expect("CREATE TABLE t (id INTEGER, PRIMARY KEY (id DESC)) WITHOUT ROWID", NULL);
	expect("CREATE TABLE t (id INTEGER PRIMARY KEY, b) WITHOUT ROWID", NULL);
	expect("CREATE TABLE t (id INTEGER, PRIMARY KEY (id AUTOINCREMENT))", NULL);
	expect("CREATE TABLE t (a TEXT COLLATE nocase, b, PRIMARY KEY (b, a DESC)) WITHOUT ROWID", NULL);
	expect("CREATE TABLE t (a INT, b TEXT, PRIMARY KEY (b)) STRICT, WITHOUT ROWID", NULL);
	expect("CREATE TABLE t (a INT PRIMARY KEY, b INTEGER, c ANY) STRICT", NULL);
	expect("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT) STRICT", NULL);
	expect("CREATE TABLE t (a INTEGER PRIMARY KEY UNIQUE, b UNIQUE, c INT UNIQUE)", NULL);
	expect("CREATE TABLE t (a UNIQUE, b, UNIQUE (a), UNIQUE (a, b), UNIQUE (b, a), UNIQUE (a COLLATE nocase))",
	       NULL);
	expect("CREATE TABLE t (a INT UNIQUE, PRIMARY KEY (a))", NULL);
	expect("CREATE TABLE t (a INT, b, CONSTRAINT u1 UNIQUE (b DESC, a COLLATE rtrim), PRIMARY KEY (a, b))", NULL);
	expect("CREATE TABLE t (a, b, PRIMARY KEY (b), UNIQUE (b))", NULL);
	expect("CREATE TABLE t (a UNIQUE ON CONFLICT REPLACE, b NOT NULL ON CONFLICT IGNORE, c PRIMARY KEY ON CONFLICT "
	       "ROLLBACK)",
	       NULL);
	expect("CREATE TABLE t (a, b, UNIQUE (a, b) ON CONFLICT FAIL, unique (b) on conflict replace)", NULL);
}

static void test_references(void **state)
{
	(void)state;
	expect("CREATE TABLE p (x PRIMARY KEY, y)", NULL);
	expect("CREATE TABLE t (a REFERENCES p, b REFERENCES p (x) ON DELETE CASCADE ON UPDATE SET "
	       "NULL, c CONSTRAINT fk REFERENCES \"q q\" ON DELETE SET DEFAULT DEFERRABLE INITIALLY DEFERRED, d "
	       "REFERENCES p ON "
	       "DELETE NO ACTION NOT DEFERRABLE, e REFERENCES p ON UPDATE RESTRICT DEFERRABLE)",
	       NULL);
	expect("CREATE TABLE t (A, b, CONSTRAINT f FOREIGN KEY (a, B) REFERENCES p (x, Y) MATCH SIMPLE ON DELETE "
	       "CASCADE DEFERRABLE "
	       "INITIALLY IMMEDIATE FOREIGN KEY (a) REFERENCES p)",
	       NULL);
	expect("CREATE TABLE t (a CHECK (a > 1) CONSTRAINT c2 CHECK (a < 9) REFERENCES t, CONSTRAINT c3 CHECK ((a <> "
	       "5)))",
	       NULL);
}

static void test_indexes(void **state)
{
	(void)state;
#define T "CREATE TABLE t (a TEXT COLLATE nocase, b INT, \"c d\" TEXT);\n"
	expect(T "CREATE INDEX i ON t (a)", NULL);
	expect(T "CREATE UNIQUE INDEX IF NOT EXISTS i ON t (b DESC, A ASC, \"c d\" COLLATE rtrim DESC)", NULL);
	expect(T "CREATE INDEX i ON t (a COLLATE binary, (b), (a COLLATE rtrim))", NULL);
	expect(T "CREATE INDEX i ON t (lower(a) DESC, b + 1, (a || 'x') COLLATE nocase, abs( b )) WHERE (b > 0 AND a "
		 "IS NOT NULL)",
	       NULL);
	expect(T "CREATE INDEX i ON t (b) WHERE b IN (1, 2);\nCREATE INDEX j ON T (b);\nCREATE UNIQUE INDEX k ON t (b, "
		 "a)",
	       NULL);
	expect(T "CREATE INDEX i ON t ('a', [b])", NULL);
#undef T
}

/* SQLite takes it, we do not follow: it is read by SQLite, and noted. */
static void test_not_understood(void **state)
{
	(void)state;
	expect("CREATE TABLE t (a, b, PRIMARY KEY (a, a))", "its end");
	expect("CREATE TABLE t (a DEFAULT - NULL)", "NULL)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns),        cmocka_unit_test(test_keys),
		cmocka_unit_test(test_references),     cmocka_unit_test(test_indexes),
		cmocka_unit_test(test_not_understood),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
