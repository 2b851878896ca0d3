/* SPDX-License-Identifier: MIT */
/* Structural differences against the text of the dumps: two schemas, read and compared, beside `diff -u` of the same.
 *
 *     diff [sqlite|mariadb|postgresql]
 *
 * The second schema is the first one as a squash would spell it: clauses in another order, a column that has moved, one
 * that is new, an index that is gone. Aims: 110 tables (as many columns and indexes as nova has) in at most the time of
 * diff -u and 10 ms; 5,000 tables in less than a second; two engines likewise. Ends with 1 when one is missed. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "migrations/diff.h"
#include "migrations/schema_diff.h"

enum { NOVA = 110, MANY = 5000, COLUMNS = 12, INDEXES = 3, ROUNDS = 7, FREE_MS = 10, MANY_MS = 1000 };

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct text {
	struct buf dump, model;
};

/* ---- a schema of n tables ---- */

struct spelling {
	const char *engine, *number, *string, *truth, *time, *quote;
};
static const struct spelling spellings[] = {
	{"sqlite", "INTEGER", "VARCHAR(255)", "BOOLEAN", "DATETIME", ""},
	{"mariadb", "int(11)", "varchar(255)", "tinyint(1)", "datetime", "`"},
	{"postgresql", "integer", "character varying(255)", "boolean", "timestamp without time zone", ""},
};

static const char *type_of(const struct spelling *s, int column)
{
	return column == 0 ? s->number : column % 4 == 1 ? s->time : column % 4 == 2 ? s->truth : s->string;
}

/* The places of the columns: the squash has two of the first table's in another order, and a new one. */
static int column_at(bool squash, int table, int place)
{
	if (!squash || table > 0)
		return place;
	return place == 4 ? 5 : place == 5 ? 4 : place;
}

static void add_columns(struct text *t, const struct spelling *s, bool squash, int table)
{
	bool catalogue = strcmp(s->engine, "sqlite") != 0;
	int n = COLUMNS + (squash && table == 1);
	for (int i = 0; i < n; i++) {
		int c = column_at(squash, table, i);
		const char *type = type_of(s, c);
		buf_addf(&t->dump, "%s\n  %sc%d%s %s%s", i ? "," : "", s->quote, c, s->quote, type,
			 c ? "" : " NOT NULL");
		if (catalogue)
			buf_addf(&t->model, "column\tt%d\tc%d\t%s\t\t-\t\t\t\t\t\t%s\t%s\n", table, c, type, "",
				 c ? "" : "n");
	}
}

static void add_keys(struct text *t, const struct spelling *s, bool squash, int table)
{
	const char *q = s->quote;
	bool catalogue = strcmp(s->engine, "sqlite") != 0;
	if (squash) /* the other way round */
		buf_addf(&t->dump, ",\n  CONSTRAINT k%d CHECK (c0 > 0),\n  PRIMARY KEY (%sc0%s)", table, q, q);
	else
		buf_addf(&t->dump, ",\n  PRIMARY KEY (%sc0%s),\n  CONSTRAINT k%d CHECK (c0 > 0)", q, q, table);
	buf_addf(&t->dump, ",\n  CONSTRAINT f%d FOREIGN KEY (c0) REFERENCES %st%d%s (c0)\n);\n", table, q, table / 2,
		 q);
	for (int i = 0; i < INDEXES; i++)
		if (!(squash && table == 2 && i == 0))
			buf_addf(&t->dump, "CREATE INDEX %st%d_ix%d%s ON %st%d%s (%sc%d%s, %sc%d%s);\n", q, table, i, q,
				 q, table, q, q, i + 1, q, q, i + 4, q);
	if (!catalogue)
		return;
	buf_addf(&t->model, "pk\tt%d\tt%d_pkey\t\t\t\t\t\tu\t.c0\t\n", table, table);
	for (int i = 0; i < INDEXES; i++)
		if (!(squash && table == 2 && i == 0))
			buf_addf(&t->model, "index\tt%d\tt%d_ix%d\t\t\t\t\t\t\t.c%d\t\t.c%d\t\n", table, table, i,
				 i + 1, i + 4);
	buf_addf(&t->model, "fk\tt%d\tf%d\tt%d\t\t\t\t\t\tc0\tc0\n", table, table, table / 2);
	buf_addf(&t->model, "check\tt%d\tk%d\tc0 > 0\t\n", table, table);
}

static struct text make(const struct spelling *s, int tables, bool squash)
{
	struct text t = {buf_make(BUF_TEXT_MAX), buf_make(BUF_TEXT_MAX)};
	bool catalogue = strcmp(s->engine, "sqlite") != 0;
	for (int i = 0; i < tables; i++) {
		buf_addf(&t.dump, "CREATE TABLE %st%d%s (", s->quote, i, s->quote);
		if (catalogue)
			buf_addf(&t.model, "table\tt%d\ttable\t\t%s\t\t%s\t\t\t\n", i, s->quote[0] ? "InnoDB" : "",
				 s->quote[0] ? "utf8mb4_general_ci" : "");
		add_columns(&t, s, squash, i);
		add_keys(&t, s, squash, i);
	}
	return t;
}

static void text_finish(struct text *t)
{
	buf_finish(&t->dump);
	buf_finish(&t->model);
}

/* ---- measuring ---- */

struct times {
	double text, read, diff;
	size_t records;
};

static struct schema *read_schema(const struct spelling *s, const struct text *t)
{
	struct err err = ERR_INIT;
	const struct schema_text both = {
		.dump = t->dump.data, .dump_len = t->dump.len, .model = t->model.data, .model_len = t->model.len};
	struct schema *schema = schema_read(s->engine, &both, &err);
	if (!schema) {
		fprintf(stderr, "diff: %s: %s\n", s->engine, err.msg);
		exit(1);
	}
	return schema;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

static void measure(const struct spelling *sa, const struct text *a, const struct spelling *sb, const struct text *b,
		    struct times *best)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	double begun = now_ms();
	if (diff_text(a->dump.data, a->dump.len, "a", b->dump.data, b->dump.len, "b", &out, &err) < 0)
		exit(1);
	best->text = least(best->text, now_ms() - begun);
	begun = now_ms();
	CLEANUP(schema_freep) struct schema *x = read_schema(sa, a);
	CLEANUP(schema_freep) struct schema *y = read_schema(sb, b);
	double read = now_ms() - begun;
	begun = now_ms();
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(x, y, NULL);
	buf_reset(&out);
	schema_change_lines(cs, CHANGE_ALL, &out);
	best->read = least(best->read, read);
	best->diff = least(best->diff, now_ms() - begun);
	best->records = cs->count[CHANGE_STRUCTURAL];
}

/* Whether the aim is reached. */
static bool bench(const struct spelling *sa, const struct spelling *sb, int tables)
{
	struct text a = make(sa, tables, false);
	struct text b = make(sb, tables, true);
	struct times t = {1e9, 1e9, 1e9, 0};
	for (int i = 0; i < (tables == MANY ? 3 : ROUNDS); i++)
		measure(sa, &a, sb, &b, &t);
	double whole = t.read + t.diff;
	double aim = tables == MANY ? MANY_MS : t.text + FREE_MS;
	bool ok = whole <= aim && t.records == 3;
	printf("  %-10s %-10s %4d tables: diff -u %6.1f ms; read %6.1f + compare %5.1f = %6.1f ms (aim %.1f), %zu "
	       "structural%s\n",
	       sa->engine, sb == sa ? "" : sb->engine, tables, t.text, t.read, t.diff, whole, aim, t.records,
	       ok ? "" : "  MISSED");
	text_finish(&a);
	text_finish(&b);
	return ok;
}

int main(int argc, char **argv)
{
	bool ok = true;
	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		const struct spelling *s = &spellings[i];
		if (argc > 1 && strcmp(argv[1], s->engine) != 0)
			continue;
		ok &= bench(s, s, NOVA);
		ok &= bench(s, s, MANY);
	}
	for (size_t i = 0; argc == 1 && i < ARRAY_SIZE(spellings); i++) {
		const struct spelling *other = &spellings[(i + 1) % ARRAY_SIZE(spellings)];
		ok &= bench(&spellings[i], other, NOVA);
		ok &= bench(&spellings[i], other, MANY);
	}
	return ok ? 0 : 1;
}
