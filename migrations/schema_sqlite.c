/* SPDX-License-Identifier: MIT */
/* A SQLite dump → struct schema.
 *
 * How it works: the dump is cut into statements. Tables and indexes are read from their text when every token of it is
 * understood (schema_ddl.h): that is a few microseconds each. What is not understood is put to SQLite: written as rows
 * into the catalogue of an empty database in memory, which SQLite is made to load: so each is parsed once and nothing
 * is ever run. What SQLite made of them is read back through its table-valued pragmas; a part of the dump at a time.
 * While it loads, SQLite does not ask for functions and collations of the application's own. What the pragmas do not
 * tell (checks, generated expressions, conflict clauses, deferred keys) is found in the text of CREATE TABLE; such a
 * table is marked with the place that was not understood. A statement SQLite does not take either is kept as an object
 * that is not modelled: it is never silently equal. Views, triggers and virtual tables are compared by text. */
#include <ctype.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "migrations/schema_check.h"
#include "migrations/schema_ddl.h"
#include "migrations/schema_lex.h"
#include "migrations/schema_model.h"

/* Some checks of SQLite's parser are quadratic in the constraints of a table, so no statement may be very long. */
#define MAX_STATEMENT  (128 << 10)
#define MAX_DUMP       ((size_t)64 << 20)
#define BATCH_BYTES    (64 << 10) /* of SQL that is loaded at a time: SQLite finds names in short lists */
#define MAX_INDEXES    2000       /* of one table */
#define MAX_KEYS       500        /* foreign keys of one table */
#define MAX_MS         4000       /* for the whole dump; a large real one takes tens of milliseconds */
#define STEPS_PER_LOOK 100000     /* of SQLite's virtual machine */

struct reader {
	struct schema *schema;
	sqlite3 *db;
	mono_ms deadline;
	bool exhausted;
	bool ask;                         /* SQLite, about every table */
	struct sql_statement *statements; /* in order of the dump */
	size_t n_statements;
	struct named {
		const char *name;
		const struct sql_statement *st;
		size_t at;       /* so that of two with one name the first comes first */
		bool done;       /* read, or kept as not modelled */
		const char *why; /* the place that was not understood */
	} * tables, *of_table;   /* all tables by their names; all indexes by their tables' names; sorted */
	size_t n_tables, n_of_table;
	struct named *created; /* indexes of this batch, by their own name, sorted before they are read */
	size_t n_created;
	sqlite3_stmt *insert, *columns, *indexes, *parts, *fks;
	size_t most_indexes; /* of one table */
	struct buf text;     /* scratch */
	struct buf whole;    /* the statements of a table */
};

static void reader_finish(struct reader *r)
{
	sqlite3_finalize(r->insert);
	sqlite3_finalize(r->columns);
	sqlite3_finalize(r->indexes);
	sqlite3_finalize(r->parts);
	sqlite3_finalize(r->fks);
	sqlite3_close(r->db);
	free(r->statements);
	free(r->tables);
	free(r->of_table);
	free(r->created);
	buf_finish(&r->text);
	buf_finish(&r->whole);
}

/* ---- a database whose catalogue can be written ---- */

static bool exhausted(struct reader *r)
{
	if (clock_mono() > r->deadline)
		r->exhausted = true;
	return r->exhausted;
}

static int progress(void *ctx)
{
	return exhausted(ctx);
}

static int run_sql(struct reader *r, const char *sql, struct err *err)
{
	if (sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return err_set(err, ERR_STEP, 0, "schema: %s", sqlite3_errmsg(r->db));
}

/* Every table and index must name a page of its own that is there, at least within a table: so there are some, of a
 * table that is then forgotten. */
static int open_memory(struct reader *r, struct err *err)
{
	int on = 0;
	if (sqlite3_open_v2(":memory:", &r->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return err_set(err, ERR_STEP, 0, "schema: %s", sqlite3_errmsg(r->db));
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &on);
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, &on);
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, &on);
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, &on);
	AUTO_FREE char *pages = xasprintf("PRAGMA page_size = 512; CREATE TABLE pages (x); INSERT INTO pages VALUES "
					  "(zeroblob(%zu)); PRAGMA writable_schema = ON; DELETE FROM sqlite_master",
					  (r->most_indexes + 4) * 512);
	if (run_sql(r, pages, err) < 0)
		return -1;
	sqlite3_limit(r->db, SQLITE_LIMIT_LENGTH, MAX_STATEMENT);
	sqlite3_limit(r->db, SQLITE_LIMIT_SQL_LENGTH, MAX_STATEMENT);
	sqlite3_limit(r->db, SQLITE_LIMIT_COLUMN, SCHEMA_MAX_COLUMNS);
	sqlite3_limit(r->db, SQLITE_LIMIT_EXPR_DEPTH, 200);
	sqlite3_limit(r->db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(r->db, SQLITE_LIMIT_WORKER_THREADS, 0);
	sqlite3_progress_handler(r->db, STEPS_PER_LOOK, progress, r);
	return 0;
}

/* ---- loading ---- */

static const char *unquoted(struct reader *r, const struct sql_token *t)
{
	buf_reset(&r->text);
	sql_unquote(t, &r->text);
	return schema_str(r->schema, r->text.data);
}

static void add_object(struct reader *r, const struct sql_statement *st)
{
	static const char *const kinds[] = {
		[SQL_TABLE] = "table", [SQL_VIRTUAL] = "virtual table", [SQL_INDEX] = "index",
		[SQL_VIEW] = "view",   [SQL_TRIGGER] = "trigger",       [SQL_OTHER] = "statement",
	};
	_Static_assert(ARRAY_SIZE(kinds) == SQL_KIND_COUNT_, "a word for every kind");
	struct schema *s = r->schema;
	struct object *o = SCHEMA_ADD(s->objects, s->n_objects);
	bool of_table = st->kind == SQL_INDEX || st->kind == SQL_TRIGGER;
	o->kind = kinds[st->kind];
	o->name = unquoted(r, &st->name);
	o->table = of_table ? unquoted(r, &st->table) : "";
	o->columns = "";
	o->automatic = false;
	o->modelled = st->kind == SQL_VIEW || st->kind == SQL_TRIGGER;
	buf_reset(&r->text);
	sql_normalise(st->s, st->len, &r->text);
	o->text = schema_str(s, r->text.data);
}

/* sqlite_sequence, sqlite_stat1 … */
static bool is_internal(const struct sql_statement *st)
{
	size_t quote = st->table.kind == SQL_WORD ? 0 : 1;
	return st->table.len > 7 + quote && strncasecmp(st->table.s + quote, "sqlite_", 7) == 0;
}

/* CREATE TABLE x AS SELECT is never in a dump, and the only one that would run something. */
static bool has_body(const struct sql_statement *st)
{
	struct sql_lexer lx = st->rest;
	struct sql_token t;
	return sql_next(&lx, &t) && sql_is_punct(&t, '(');
}

/* SQLite would stop at a ';' and never look at what is behind it. */
static bool is_one(const struct sql_statement *st)
{
	struct sql_lexer lx = {.p = st->s, .end = st->s + st->len};
	struct sql_token t;
	if (!memchr(st->s, ';', st->len))
		return true;
	while (sql_next(&lx, &t))
		if (sql_is_punct(&t, ';'))
			return false;
	return true;
}

static bool fits(const struct sql_statement *st)
{
	return st->len < MAX_STATEMENT && !memchr(st->s, '\0', st->len) && has_body(st) && is_one(st);
}

/* Writes a row of the catalogue, or keeps the statement as not modelled: whether it was written. */
static bool take(struct reader *r, const struct sql_statement *st, const char *name, const char *table, int page)
{
	if (!fits(st)) {
		add_object(r, st);
		return false;
	}
	sqlite3_bind_text(r->insert, 1, st->kind == SQL_TABLE ? "table" : "index", -1, SQLITE_STATIC);
	sqlite3_bind_text(r->insert, 2, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(r->insert, 3, table, -1, SQLITE_STATIC);
	sqlite3_bind_int(r->insert, 4, page);
	sqlite3_bind_text(r->insert, 5, st->s, (int)st->len, SQLITE_STATIC);
	bool done = sqlite3_step(r->insert) == SQLITE_DONE;
	sqlite3_reset(r->insert);
	if (!done)
		add_object(r, st);
	return done;
}

static int by_name(const void *a, const void *b)
{
	return strcasecmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static int by_name_and_place(const void *a, const void *b)
{
	const struct named *x = a;
	const struct named *y = b;
	int d = by_name(a, b);
	return d ? d : x->at < y->at ? -1 : 1;
}

static void sort_names(struct named *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		names[i].at = i;
	if (n > 1)
		qsort(names, n, sizeof(*names), by_name_and_place);
}

/* The first entry with the name, or NULL. */
static struct named *find_name(struct named *names, size_t n, const char *name)
{
	struct named key = {.name = name};
	struct named *at = n ? bsearch(&key, names, n, sizeof(key), by_name) : NULL;
	while (at && at > names && by_name(at - 1, &key) == 0)
		at--;
	return at;
}

/* A table with its indexes. Their page only has to be another one than its own. */
static void take_table(struct reader *r, struct named *t)
{
	t->done = !take(r, t->st, t->name, t->name, 2);
	if (t->done)
		return;
	struct named *ix = find_name(r->of_table, r->n_of_table, t->name);
	int page = 3;
	for (; ix && ix < r->of_table + r->n_of_table && strcasecmp(ix->name, t->name) == 0; ix++, page++) {
		const char *name = unquoted(r, &ix->st->name);
		ix->done = true;
		if (page > MAX_INDEXES || !take(r, ix->st, name, t->name, page))
			continue;
		*SCHEMA_ADD(r->created, r->n_created) = (struct named){.name = name, .st = ix->st};
	}
}

/* ---- read from the text ---- */

static void add_text(struct reader *r, const struct sql_statement *st)
{
	if (r->whole.len)
		buf_addc(&r->whole, '\n');
	sql_normalise(st->s, st->len, &r->whole);
}

/* The indexes of a table: from find_name() on as long as this is not NULL. */
static struct named *index_of(struct reader *r, struct named *ix, const char *table)
{
	bool is = ix && ix < r->of_table + r->n_of_table && strcasecmp(ix->name, table) == 0;
	return is ? ix : NULL;
}

static const char *whole_text(struct reader *r, const struct sql_statement *st, const char *table)
{
	buf_reset(&r->whole);
	add_text(r, st);
	struct named *ix = find_name(r->of_table, r->n_of_table, table);
	for (; (ix = index_of(r, ix, table)); ix++)
		add_text(r, ix->st);
	return schema_str(r->schema, r->whole.data);
}

/* A table with all its indexes, or nothing and the place that is not understood. */
static bool read_text(struct reader *r, struct named *named)
{
	struct schema *s = r->schema;
	struct table t;
	named->why = named->st->s;
	if (!fits(named->st) || !ddl_read_table(s, named->st, &t, &r->text, &named->why))
		return false;
	struct named *first = find_name(r->of_table, r->n_of_table, t.name);
	for (struct named *ix = first; (ix = index_of(r, ix, t.name)); ix++) {
		named->why = ix->st->s;
		if (!fits(ix->st) || t.n_indexes >= MAX_INDEXES ||
		    !ddl_read_index(s, ix->st, &t, &r->text, &named->why)) {
			ddl_clear_table(&t);
			return false;
		}
	}
	for (struct named *ix = first; (ix = index_of(r, ix, t.name)); ix++)
		ix->done = true;
	t.text = whole_text(r, named->st, t.name);
	*SCHEMA_ADD(s->tables, s->n_tables) = t;
	return true;
}

/* All that are understood. There is one of a name; a second one is kept as text. Whether any is left to SQLite. */
static bool read_texts(struct reader *r)
{
	bool left = false;
	for (size_t i = 0; i < r->n_tables && !exhausted(r); i++) {
		struct named *t = &r->tables[i];
		t->why = t->st->s;
		t->done = i > 0 && by_name(t - 1, t) == 0;
		if (t->done)
			add_object(r, t->st);
		else
			t->done = !r->ask && read_text(r, t);
		left |= !t->done;
	}
	return left;
}

/* What was not understood of a table or of one of its indexes: up to the end of that statement. */
static void mark(struct reader *r, struct table *t, const struct named *named)
{
	const char *end = named->why;
	for (size_t low = 0, high = r->n_statements; low < high;) {
		size_t mid = low + (high - low) / 2;
		const struct sql_statement *st = &r->statements[mid];
		if (named->why < st->s) {
			high = mid;
		} else {
			low = mid + 1;
			end = st->s + st->len;
		}
	}
	check_fail(r->schema, t, "", named->why, end);
	if (t->unmodelled[0] == '\0')
		t->unmodelled = "its end";
	t->text = whole_text(r, named->st, t->name);
}

/* ---- what only the text tells ---- */

static const char *normalised(struct reader *r, const char *prefix, const struct sql_lexer *group, const char *suffix)
{
	buf_reset(&r->text);
	buf_adds(&r->text, prefix);
	sql_normalise(group->p, (size_t)(group->end - group->p), &r->text);
	buf_adds(&r->text, suffix);
	return schema_str(r->schema, r->text.data);
}

static struct column *find_column(struct table *t, const char *name)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (strcasecmp(t->columns[i].name, name) == 0)
			return &t->columns[i];
	return NULL;
}

/* The walk over the items of a CREATE TABLE's body. */
struct body {
	struct reader *reader;
	struct table *table;
	struct sql_lexer lx;
	struct sql_token before, last; /* token before; last word that names a constraint */
	struct column *column;         /* of this item; NULL in a table constraint */
	const char *constraint;        /* name in front of the next one, or "" */
	struct key {
		const char *name, *deferrable;
		const char *columns; /* of UNIQUE */
	} * references, *uniques;    /* in order of the text */
	size_t n_references, n_uniques;
};

static const char *take_name(struct body *b)
{
	const char *name = b->constraint;
	b->constraint = "";
	return name;
}

static void body_item(struct body *b, const struct sql_token *first)
{
	static const char *const constraints[] = {"constraint", "primary", "unique", "check", "foreign"};
	b->column = NULL;
	b->constraint = "";
	b->last = *first;
	for (size_t i = 0; i < ARRAY_SIZE(constraints); i++)
		if (sql_is(first, constraints[i]))
			return;
	buf_reset(&b->reader->text);
	sql_unquote(first, &b->reader->text);
	b->column = find_column(b->table, b->reader->text.data);
}

/* "a, b" of UNIQUE (a, b COLLATE x DESC) */
static const char *key_columns(struct reader *r, struct sql_lexer group)
{
	struct sql_token t;
	bool begins = true;
	buf_reset(&r->text);
	while (sql_next(&group, &t)) {
		if (begins && r->text.len)
			buf_adds(&r->text, ", ");
		if (begins)
			sql_unquote(&t, &r->text);
		begins = sql_is_punct(&t, ',');
	}
	return schema_str(r->schema, r->text.data);
}

static void body_group(struct body *b)
{
	struct sql_lexer group;
	sql_skip_group(&b->lx, &group);
	if (sql_is(&b->before, "unique"))
		b->uniques[b->n_uniques - 1].columns = key_columns(b->reader, group);
	sql_strip_brackets(&group);
	if (sql_is(&b->before, "check")) {
		struct check *check = SCHEMA_ADD(b->table->checks, b->table->n_checks);
		*check = (struct check){.name = take_name(b), .expr = normalised(b->reader, "", &group, "")};
	} else if (sql_is(&b->before, "as") && b->column) {
		b->column->generated = normalised(b->reader, "(", &group, b->column->generated);
	}
}

static void upper(struct buf *text, size_t from)
{
	for (size_t i = from; i < text->len; i++)
		text->data[i] = (char)toupper((unsigned char)text->data[i]);
}

static void add_extra(struct body *b, const char *what, const struct sql_token *word)
{
	struct buf *text = &b->reader->text;
	buf_reset(text);
	if (b->column)
		buf_addf(text, "%s: ", b->column->name);
	size_t from = text->len;
	buf_addf(text, "%.*s", (int)b->last.len, b->last.s);
	upper(text, from);
	buf_addf(text, " %s ", what);
	from = text->len;
	buf_addf(text, "%.*s", (int)word->len, word->s);
	upper(text, from);
	const char **extra = SCHEMA_ADD(b->table->extras, b->table->n_extras);
	*extra = schema_str(b->reader->schema, text->data);
}

/* A bare word outside brackets. */
static void body_word(struct body *b, const struct sql_token *t)
{
	struct sql_token next;
	if (sql_is(t, "not") || sql_is(t, "primary") || sql_is(t, "unique") || sql_is(t, "check"))
		b->last = *t;
	if (sql_is(t, "constraint") && sql_next(&b->lx, &next)) {
		b->constraint = unquoted(b->reader, &next);
	} else if (sql_is(t, "primary")) {
		b->table->pk_name = take_name(b);
	} else if (sql_is(t, "unique")) {
		struct key *key = SCHEMA_ADD(b->uniques, b->n_uniques);
		*key = (struct key){.name = take_name(b), .columns = b->column ? b->column->name : ""};
	} else if (sql_is(t, "not")) {
		take_name(b); /* or what is named is a NOT NULL */
	} else if (sql_is(t, "references")) {
		struct key *key = SCHEMA_ADD(b->references, b->n_references);
		*key = (struct key){.name = take_name(b), .deferrable = ""};
	} else if (sql_is(t, "conflict") && sql_is(&b->before, "on")) {
		if (sql_next(&b->lx, &next) && !sql_is(&next, "abort"))
			add_extra(b, "on conflict", &next);
	} else if (sql_is(t, "deferred") && sql_is(&b->before, "initially") && b->n_references > 0) {
		b->references[b->n_references - 1].deferrable = "DEFERRABLE INITIALLY DEFERRED";
	}
}

/* NOT DEFERRABLE and DEFERRABLE alone mean the same to SQLite: checked at once. */
static void read_body(struct body *b)
{
	struct sql_token t;
	if (!sql_next(&b->lx, &t) || !sql_is_punct(&t, '('))
		return;
	bool begins = true;
	while (sql_next(&b->lx, &t) && !sql_is_punct(&t, ')')) {
		if (begins)
			body_item(b, &t);
		begins = sql_is_punct(&t, ',');
		if (sql_is_punct(&t, '('))
			body_group(b);
		else if (t.kind == SQL_WORD)
			body_word(b, &t);
		b->before = t;
	}
}

/* ---- reading back ---- */

static const char *column_text(struct reader *r, sqlite3_stmt *st, int col)
{
	const unsigned char *text = sqlite3_column_text(st, col);
	return schema_str(r->schema, (const char *)text);
}

static bool bind_name(sqlite3_stmt *st, const char *name)
{
	sqlite3_reset(st);
	return sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC) == SQLITE_OK;
}

static void read_columns(struct reader *r, struct table *t)
{
	bind_name(r->columns, t->name);
	while (sqlite3_step(r->columns) == SQLITE_ROW) {
		struct column *c = SCHEMA_ADD(t->columns, t->n_columns);
		const char *collation = NULL;
		int not_null = 0;
		int pk = 0;
		int autoincrement = 0;
		int hidden = sqlite3_column_int(r->columns, 4);
		*c = (struct column){.name = column_text(r, r->columns, 0),
				     .type = column_text(r, r->columns, 1),
				     .labels = "",
				     .on_update = "",
				     .comment = "",
				     .identity = "",
				     .options = ""};
		if (sqlite3_column_type(r->columns, 3) != SQLITE_NULL)
			c->dflt = column_text(r, r->columns, 3);
		sqlite3_table_column_metadata(r->db, "main", t->name, c->name, NULL, &collation, &not_null, &pk,
					      &autoincrement);
		c->collation =
			collation && strcasecmp(collation, "BINARY") != 0 ? schema_str(r->schema, collation) : "";
		c->not_null = sqlite3_column_int(r->columns, 2) != 0;
		c->autoincrement = autoincrement != 0;
		c->generated = hidden == 2 ? ") VIRTUAL" : hidden == 3 ? ") STORED" : "";
	}
}

/* The primary key as the table declares it; with an index of its own, see read_indexes(). */
static const char *pk_of_columns(struct reader *r, const struct table *t)
{
	const char **names = xcalloc(t->n_columns + 1, sizeof(*names));
	size_t n = 0;
	bind_name(r->columns, t->name);
	for (size_t i = 0; i < t->n_columns && sqlite3_step(r->columns) == SQLITE_ROW; i++) {
		int pk = sqlite3_column_int(r->columns, 5);
		if (pk > 0 && (size_t)pk <= t->n_columns) {
			names[pk - 1] = t->columns[i].name;
			n++;
		}
	}
	buf_reset(&r->text);
	for (size_t i = 0; i < n && names[i]; i++)
		buf_addf(&r->text, "%s%s", i ? ", " : "", names[i]);
	free(names);
	return schema_str(r->schema, r->text.data);
}

/* Part n of CREATE INDEX … (a, lower(b) DESC): the expression without its order. */
static void add_expression(struct buf *out, const struct sql_statement *st, int n)
{
	struct sql_lexer lx = st->rest;
	struct sql_lexer group;
	struct sql_token t;
	if (!sql_next(&lx, &t) || !sql_is_punct(&t, '('))
		return;
	sql_skip_group(&lx, &group);
	const char *begin = group.p;
	const char *end = group.p;
	while (sql_next(&group, &t)) {
		if (sql_is_punct(&t, ',')) {
			if (n-- == 0)
				break;
			begin = end = group.p;
			continue;
		}
		if (sql_is_punct(&t, '(')) {
			struct sql_lexer inner;
			sql_skip_group(&group, &inner);
			end = group.p;
		} else if (!sql_is(&t, "desc") && !sql_is(&t, "asc")) {
			end = t.s + t.len;
		}
	}
	sql_normalise(begin, (size_t)(end - begin), out);
}

/* "a, b DESC, lower(c) COLLATE NOCASE" of an index. */
static const char *read_parts(struct reader *r, const char *index, const struct sql_statement *st)
{
	buf_reset(&r->text);
	bind_name(r->parts, index);
	for (int i = 0; sqlite3_step(r->parts) == SQLITE_ROW; i++) {
		const unsigned char *name = sqlite3_column_text(r->parts, 0);
		const unsigned char *collation = sqlite3_column_text(r->parts, 2);
		if (i > 0)
			buf_adds(&r->text, ", ");
		if (name)
			buf_adds(&r->text, (const char *)name);
		else if (st)
			add_expression(&r->text, st, i);
		/* An expression's own COLLATE is part of its text already. */
		if (name && collation && strcasecmp((const char *)collation, "BINARY") != 0)
			buf_addf(&r->text, " COLLATE %s", (const char *)collation);
		if (sqlite3_column_int(r->parts, 1))
			buf_adds(&r->text, " DESC");
	}
	return schema_str(r->schema, r->text.data);
}

/* The predicate of a partial index. */
static const char *read_where(struct reader *r, const struct sql_statement *st)
{
	struct sql_lexer lx = st->rest;
	struct sql_lexer group;
	struct sql_token t;
	if (!sql_next(&lx, &t) || !sql_is_punct(&t, '('))
		return "";
	sql_skip_group(&lx, &group);
	if (!sql_next(&lx, &t) || !sql_is(&t, "where"))
		return "";
	sql_strip_brackets(&lx);
	return normalised(r, "", &lx, "");
}

/* The name of the UNIQUE constraint an index was made for: SQLite forgets it. */
static const char *unique_name(struct reader *r, const struct body *b, const char *index)
{
	buf_reset(&r->text);
	bind_name(r->parts, index);
	for (int i = 0; sqlite3_step(r->parts) == SQLITE_ROW; i++)
		buf_addf(&r->text, "%s%s", i ? ", " : "", (const char *)sqlite3_column_text(r->parts, 0));
	for (size_t i = 0; i < b->n_uniques; i++)
		if (strcasecmp(b->uniques[i].columns, r->text.data) == 0)
			return b->uniques[i].name;
	return "";
}

static void read_indexes(struct reader *r, struct table *t, const struct body *b)
{
	bind_name(r->indexes, t->name);
	while (sqlite3_step(r->indexes) == SQLITE_ROW) {
		const char *name = column_text(r, r->indexes, 0);
		const char *origin = (const char *)sqlite3_column_text(r->indexes, 2);
		bool partial = sqlite3_column_int(r->indexes, 3) != 0;
		struct named *c = find_name(r->created, r->n_created, name);
		const struct sql_statement *st = c ? c->st : NULL;
		if (c)
			c->done = true;
		const char *parts = read_parts(r, name, st);
		if (strcmp(origin, "pk") == 0) {
			t->pk = parts; /* with DESC and COLLATE, which the columns do not tell */
			continue;
		}
		bool constraint = strcmp(origin, "u") == 0;
		struct index *ix = SCHEMA_ADD(t->indexes, t->n_indexes);
		*ix = (struct index){
			.name = constraint ? unique_name(r, b, name) : name,
			.parts = parts,
			.where = partial && st ? read_where(r, st) : "",
			.method = "",
			.include = "",
			.comment = "",
			.options = "",
			.constraint = constraint,
			.unique = sqlite3_column_int(r->indexes, 1) != 0,
		};
	}
}

/* One foreign key is several rows, one a column. Its id counts from the last in the text. */
struct fk_rows {
	struct buf from, to;
	int id;
};

static void end_fk(struct reader *r, struct table *t, struct fk_rows *f, struct foreign_key *fk)
{
	if (f->id < 0)
		return;
	fk->from = schema_str(r->schema, f->from.data);
	fk->to = schema_str(r->schema, f->to.data);
	*SCHEMA_ADD(t->fks, t->n_fks) = *fk;
}

static const char *fk_action(struct reader *r, int col)
{
	const char *action = (const char *)sqlite3_column_text(r->fks, col);
	return action && strcmp(action, "NO ACTION") != 0 ? schema_str(r->schema, action) : "";
}

static struct foreign_key begin_fk(struct reader *r, const struct body *b, int id)
{
	bool known = id >= 0 && (size_t)id < b->n_references;
	const struct key *key = known ? &b->references[b->n_references - 1 - (size_t)id] : NULL;
	return (struct foreign_key){
		.name = key ? key->name : "",
		.parent = column_text(r, r->fks, 1),
		.on_update = fk_action(r, 4),
		.on_delete = fk_action(r, 5),
		.match = "",
		.deferrable = key ? key->deferrable : "",
	};
}

static void read_foreign_keys(struct reader *r, struct table *t, const struct body *b)
{
	struct fk_rows f = {.from = buf_make(BUF_TEXT_MAX), .to = buf_make(BUF_TEXT_MAX), .id = -1};
	struct foreign_key fk = {0};
	bind_name(r->fks, t->name);
	while (sqlite3_step(r->fks) == SQLITE_ROW) {
		int id = sqlite3_column_int(r->fks, 0);
		const unsigned char *to = sqlite3_column_text(r->fks, 3);
		if (id != f.id) {
			end_fk(r, t, &f, &fk);
			buf_reset(&f.from);
			buf_reset(&f.to);
			f.id = id;
			fk = begin_fk(r, b, id);
		}
		buf_addf(&f.from, "%s%s", f.from.len ? ", " : "", (const char *)sqlite3_column_text(r->fks, 2));
		if (to)
			buf_addf(&f.to, "%s%s", f.to.len ? ", " : "", (const char *)to);
	}
	end_fk(r, t, &f, &fk);
	buf_finish(&f.from);
	buf_finish(&f.to);
}

/* WITHOUT ROWID and STRICT stand behind the body. */
static const char *read_options(struct reader *r, struct sql_lexer lx)
{
	struct sql_lexer body;
	struct sql_token t;
	bool strict = false;
	bool without = false;
	if (!sql_next(&lx, &t))
		return "";
	sql_skip_group(&lx, &body);
	while (sql_next(&lx, &t)) {
		strict |= sql_is(&t, "strict");
		without |= sql_is(&t, "without");
	}
	buf_reset(&r->text);
	buf_addf(&r->text, "%s%s%s", without ? "WITHOUT ROWID" : "", without && strict ? ", " : "",
		 strict ? "STRICT" : "");
	return schema_str(r->schema, r->text.data);
}

static void read_table(struct reader *r, const struct named *c)
{
	struct schema *s = r->schema;
	struct table *t = SCHEMA_ADD(s->tables, s->n_tables);
	*t = (struct table){
		.name = c->name,
		.kind = "table",
		.engine = "",
		.charset = "",
		.collation = "",
		.row_format = "",
		.comment = "",
		.partition = "",
		.pk = "",
		.pk_name = "",
		.text = "",
	};
	read_columns(r, t);
	t->pk = pk_of_columns(r, t);
	t->options = read_options(r, c->st->rest);
	struct body b = {.reader = r, .table = t, .lx = c->st->rest, .constraint = ""};
	read_body(&b);
	read_indexes(r, t, &b);
	if (b.n_references > MAX_KEYS)
		r->exhausted = true;
	else if (b.n_references > 0)
		read_foreign_keys(r, t, &b);
	free(b.references);
	free(b.uniques);
	mark(r, t, c);
}

struct parent {
	const char *name, *pk;
};

static int by_parent(const void *a, const void *b)
{
	return strcasecmp(((const struct parent *)a)->name, ((const struct parent *)b)->name);
}

/* REFERENCES p without columns means p's primary key. */
static void resolve_foreign_keys(struct schema *s)
{
	AUTO_FREE struct parent *parents = xcalloc(s->n_tables + 1, sizeof(*parents));
	for (size_t i = 0; i < s->n_tables; i++)
		parents[i] = (struct parent){s->tables[i].name, s->tables[i].pk};
	qsort(parents, s->n_tables, sizeof(*parents), by_parent);
	for (size_t i = 0; i < s->n_tables; i++)
		for (size_t k = 0; k < s->tables[i].n_fks; k++) {
			struct foreign_key *fk = &s->tables[i].fks[k];
			struct parent key = {.name = fk->parent};
			const struct parent *p = bsearch(&key, parents, s->n_tables, sizeof(key), by_parent);
			if (fk->to[0] == '\0' && p)
				fk->to = p->pk;
		}
}

/* ---- the whole ---- */

static int prepare_reading(struct reader *r, struct err *err)
{
	static const struct {
		size_t at;
		const char *sql;
	} statements[] = {
		{offsetof(struct reader, insert),
		 "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?)"},
		{offsetof(struct reader, columns),
		 "SELECT name, type, \"notnull\", dflt_value, hidden, pk FROM pragma_table_xinfo(?)"},
		{offsetof(struct reader, indexes),
		 "SELECT name, \"unique\", origin, partial FROM pragma_index_list(?)"},
		{offsetof(struct reader, parts), "SELECT name, \"desc\", coll FROM pragma_index_xinfo(?) WHERE key"},
		{offsetof(struct reader, fks), "SELECT id, \"table\", \"from\", \"to\", on_update, on_delete FROM "
					       "pragma_foreign_key_list(?) ORDER BY id, seq"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(statements); i++) {
		sqlite3_stmt **st = (sqlite3_stmt **)(void *)((char *)r + statements[i].at);
		if (sqlite3_prepare_v2(r->db, statements[i].sql, -1, st, NULL) != SQLITE_OK)
			return err_set(err, ERR_STEP, 0, "schema: %s", sqlite3_errmsg(r->db));
	}
	return 0;
}

static int split(struct reader *r, const char *dump, size_t len, struct err *err)
{
	const char *p = dump;
	struct sql_statement st;
	while (sql_next_statement(&p, dump + len, &st)) {
		if (r->n_statements == SCHEMA_MAX_OBJECTS)
			return err_set(err, ERR_STEP, 0, "schema: more than %d objects", SCHEMA_MAX_OBJECTS);
		*SCHEMA_ADD(r->statements, r->n_statements) = st;
	}
	return 0;
}

/* What is only compared by text; the tables; the indexes by table. */
static void sort_out(struct reader *r)
{
	for (size_t i = 0; i < r->n_statements; i++) {
		const struct sql_statement *st = &r->statements[i];
		const struct named named = {.name = unquoted(r, &st->table), .st = st};
		if (st->kind != SQL_TABLE && st->kind != SQL_INDEX)
			add_object(r, st);
		else if (!is_internal(st) && st->kind == SQL_TABLE)
			*SCHEMA_ADD(r->tables, r->n_tables) = named;
		else if (!is_internal(st))
			*SCHEMA_ADD(r->of_table, r->n_of_table) = named;
	}
	sort_names(r->tables, r->n_tables);
	sort_names(r->of_table, r->n_of_table);
	for (size_t i = 0, n = 0; i < r->n_of_table; i++) {
		n = i && by_name(&r->of_table[i - 1], &r->of_table[i]) == 0 ? n + 1 : 1;
		r->most_indexes = n > r->most_indexes && n <= MAX_INDEXES ? n : r->most_indexes;
	}
}

/* Loads the tables from *next on, as many as make a batch. */
static void load_batch(struct reader *r, size_t *next)
{
	sqlite3_exec(r->db, "BEGIN; DELETE FROM sqlite_master", NULL, NULL, NULL);
	size_t bytes = 0;
	for (; *next < r->n_tables && bytes < BATCH_BYTES; ++*next) {
		struct named *t = &r->tables[*next];
		if (t->done)
			continue;
		bytes += t->st->len;
		take_table(r, t);
	}
	/* What SQLite knew of the catalogue is forgotten, and what it cannot read of the new one is left out. */
	sqlite3_exec(r->db, "COMMIT; PRAGMA writable_schema = RESET; PRAGMA writable_schema = ON", NULL, NULL, NULL);
}

static bool is_loaded(struct reader *r, const char *table)
{
	return sqlite3_table_column_metadata(r->db, "main", table, NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

static void read_batch(struct reader *r, size_t from, size_t to)
{
	sort_names(r->created, r->n_created);
	for (size_t i = from; i < to && !exhausted(r); i++) {
		struct named *t = &r->tables[i];
		if (!t->done && is_loaded(r, t->name))
			read_table(r, t);
		else if (!t->done)
			add_object(r, t->st);
	}
	for (size_t i = 0; i < r->n_created; i++)
		if (!r->created[i].done)
			add_object(r, r->created[i].st);
	r->n_created = 0;
	sqlite3_stmt *const open[] = {r->columns, r->indexes, r->parts, r->fks};
	for (size_t i = 0; i < ARRAY_SIZE(open); i++)
		sqlite3_reset(open[i]);
}

/* What the text did not tell. */
static int ask_sqlite(struct reader *r, struct err *err)
{
	if (open_memory(r, err) < 0 || prepare_reading(r, err) < 0)
		return -1;
	for (size_t next = 0; next < r->n_tables && !exhausted(r);) {
		size_t from = next;
		load_batch(r, &next);
		read_batch(r, from, next);
	}
	return 0;
}

static int read_all(struct reader *r, const char *dump, size_t len, struct err *err)
{
	if (split(r, dump, len, err) < 0)
		return -1;
	sort_out(r);
	if (read_texts(r) && ask_sqlite(r, err) < 0)
		return -1;
	for (size_t i = 0; i < r->n_of_table; i++)
		if (!r->of_table[i].done)
			add_object(r, r->of_table[i].st);
	if (r->exhausted)
		return err_set(err, ERR_STEP, 0, "schema: too much work");
	resolve_foreign_keys(r->schema);
	return 0;
}

static int read_dump(struct schema *s, const char *dump, size_t len, bool ask, struct err *err)
{
	if (len > MAX_DUMP)
		return err_set(err, ERR_STEP, 0, "schema: a dump of %zu bytes is too large", len);
	CLEANUP(reader_finish)
	struct reader r = {.schema = s,
			   .ask = ask,
			   .text = buf_make(MAX_DUMP + 4096),
			   .whole = buf_make(MAX_DUMP * 2),
			   .deadline = clock_deadline(MAX_MS)};
	return read_all(&r, dump, len, err);
}

int schema_read_sqlite(struct schema *s, const char *dump, size_t len, struct err *err)
{
	return read_dump(s, dump, len, false, err);
}

int schema_ask_sqlite(struct schema *s, const char *dump, size_t len, struct err *err)
{
	int rc = read_dump(s, dump, len, true, err);
	for (size_t i = 0; i < s->n_tables; i++)
		s->tables[i].unmodelled = NULL;
	schema_sort(s);
	return rc;
}
