/* SPDX-License-Identifier: MIT */
/* Differences of schemas as records. The schemas are models written down here; what the readers make of real dumps is
 * tested with them. */
#include "migrations/schema_diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cmd/cmd.h"
#include "migrations/schema_model.h"

/* ---- models in a few lines ---- */

enum { FIELDS = 9 };

/* "c|name|type|n" → fields, "" for those that are not there. */
static void split(struct schema *s, const char *line, size_t len, const char *out[FIELDS])
{
	for (size_t i = 0; i < FIELDS; i++)
		out[i] = "";
	for (size_t i = 0; i < FIELDS && len; i++) {
		const char *bar = memchr(line, '|', len);
		size_t n = bar ? (size_t)(bar - line) : len;
		out[i] = schema_keep(s, line, n);
		line += n + (bar != NULL);
		len -= n + (bar != NULL);
	}
}

static bool has(const char *flags, char c)
{
	return strchr(flags, c) != NULL;
}

/* c|name|type|flags n, a|default|labels|comment|generated|collation */
static void add_column(struct table *t, const char *f[FIELDS])
{
	*SCHEMA_ADD(t->columns, t->n_columns) = (struct column){
		.name = f[1],
		.type = f[2],
		.dflt = f[4][0] ? f[4] : NULL,
		.labels = f[5],
		.comment = f[6],
		.generated = f[7],
		.collation = f[8],
		.on_update = "",
		.identity = "",
		.options = "",
		.not_null = has(f[3], 'n'),
		.autoincrement = has(f[3], 'a'),
	};
}

/* i|name|parts|flags u, c, a|where|method|options|comment */
static void add_index(struct table *t, const char *f[FIELDS])
{
	*SCHEMA_ADD(t->indexes, t->n_indexes) = (struct index){
		.name = f[1],
		.parts = f[2],
		.where = f[4],
		.method = f[5],
		.include = "",
		.options = f[6],
		.comment = f[7],
		.unique = has(f[3], 'u'),
		.constraint = has(f[3], 'c'),
		.automatic = has(f[3], 'a'),
	};
}

/* f|name|from|parent|to|on delete|flags a|deferrable */
static void add_fk(struct table *t, const char *f[FIELDS])
{
	*SCHEMA_ADD(t->fks, t->n_fks) = (struct foreign_key){
		.name = f[1],
		.from = f[2],
		.parent = f[3],
		.to = f[4],
		.on_update = "",
		.on_delete = f[5],
		.match = "",
		.deferrable = f[7],
		.automatic = has(f[6], 'a'),
	};
}

/* o|kind|name|table|text|columns|flags u (not modelled), a */
static void add_object(struct schema *s, const char *f[FIELDS])
{
	*SCHEMA_ADD(s->objects, s->n_objects) = (struct object){
		.kind = f[1],
		.name = f[2],
		.table = f[3],
		.text = f[4],
		.columns = f[5],
		.modelled = !has(f[6], 'u'),
		.automatic = has(f[6], 'a'),
	};
}

/* t|name|pk|text|unmodelled|options|comment|collation */
static struct table *add_table(struct schema *s, const char *f[FIELDS])
{
	struct table *t = SCHEMA_ADD(s->tables, s->n_tables);
	*t = (struct table){
		.name = f[1],
		.kind = "table",
		.pk = f[2],
		.text = f[3],
		.unmodelled = f[4][0] ? f[4] : NULL,
		.options = f[5],
		.comment = f[6],
		.collation = f[7],
		.engine = "",
		.charset = "",
		.row_format = "",
		.partition = "",
		.pk_name = "",
	};
	return t;
}

static void add_line(struct schema *s, const char *f[FIELDS])
{
	struct table *t = s->n_tables ? &s->tables[s->n_tables - 1] : NULL;
	if (!t && f[0][0] != 't' && f[0][0] != 'o') {
		fail_msg("%s: of no table", f[0]);
		return;
	}
	switch (f[0][0]) {
	case 't':
		add_table(s, f);
		break;
	case 'c':
		add_column(t, f);
		break;
	case 'i':
		add_index(t, f);
		break;
	case 'f':
		add_fk(t, f);
		break;
	case 'k':
		*SCHEMA_ADD(t->checks, t->n_checks) = (struct check){.name = f[1], .expr = f[2], .automatic = !f[1][0]};
		break;
	case 'x':
		*SCHEMA_ADD(t->extras, t->n_extras) = f[1];
		break;
	case 'o':
		add_object(s, f);
		break;
	default:
		fail_msg("no such line: %s", f[0]);
	}
}

static struct schema *model(const char *engine, const char *lines)
{
	struct schema *s = schema_new();
	s->engine = engine;
	while (*lines) {
		size_t n = strcspn(lines, "\n");
		const char *f[FIELDS];
		split(s, lines, n, f);
		add_line(s, f);
		lines += n + (lines[n] == '\n');
	}
	schema_sort(s);
	return s;
}

static bool same_hash(const struct schema *a, const struct schema *b)
{
	char x[SHA256_HEX], y[SHA256_HEX];
	schema_hash(a, NULL, x);
	schema_hash(b, NULL, y);
	return strcmp(x, y) == 0;
}

/* Each record as "CLASS FIELD: line". */
static void records(const struct schema_changes *cs, struct buf *out)
{
	for (size_t i = 0; i < cs->n; i++) {
		buf_addf(out, "%s %s: ", change_class_name(cs->items[i].class), change_field_name(cs->items[i].field));
		schema_change_line(&cs->items[i], out);
		buf_addc(out, '\n');
	}
}

static void expect_with(const struct schema_diff_options *o, const char *ea, const char *a, const char *eb,
			const char *b, const char *want)
{
	CLEANUP(schema_freep) struct schema *x = model(ea, a);
	CLEANUP(schema_freep) struct schema *y = model(eb, b);
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(x, y, o);
	CLEANUP(schema_changes_freep) struct schema_changes *back = schema_changes(y, x, o);
	CLEANUP(schema_changes_freep) struct schema_changes *none = schema_changes(x, x, o);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	records(cs, &out);
	assert_string_equal(out.data, want);
	/* The other way round there is as much; from itself nothing differs. */
	for (int i = 0; i < CHANGE_CLASS_COUNT_; i++)
		assert_int_equal(cs->count[i], back->count[i]);
	assert_int_equal(none->n, 0);
	if (!o && strcmp(ea, eb) == 0)
		assert_int_equal(same_hash(x, y), !schema_changes_differ(cs));
}

static void expect(const char *engine, const char *a, const char *b, const char *want)
{
	expect_with(NULL, engine, a, engine, b, want);
}

/* ---- one engine ---- */

static void test_exact(void **state)
{
	(void)state;
	expect("postgresql", "t|a\nc|x|character varying(64)|n", "t|a\nc|x|character varying(255)",
	       "structural type: a: ~ column x: character varying(64) → character varying(255)\n"
	       "structural null: a: ~ column x: NOT NULL → NULL\n");
	/* An enumeration of PostgreSQL keeps its name; MariaDB's is its type, told once. */
	expect("postgresql", "t|a\nc|x|mood|||'a','b'", "t|a\nc|x|mood|||'a','b','c'",
	       "structural enum: a: ~ column x: labels 'a','b' → labels 'a','b','c'\n");
	expect("mariadb", "t|a\nc|x|enum('a')|||'a'", "t|a\nc|x|enum('b')|||'b'",
	       "structural type: a: ~ column x: enum('a') → enum('b')\n");
	expect("mariadb", "t|a\nc|x|int(11)||||old", "t|a\nc|x|int(11)||NULL||new",
	       "cosmetic comment: a: ~ column x: comment old → comment new\n");
	expect("mariadb", "t|a|||||old|utf8_bin\nc|x|int(11)", "t|a|||||new|utf8_general_ci\nc|x|int(11)",
	       "structural collation: a: ~ collation (utf8_bin) → (utf8_general_ci)\n"
	       "cosmetic comment: a: ~ comment (old) → (new)\n");
	expect("mariadb", "t|a|x, y\nc|x|int(11)\nc|y|int(11)", "t|a|y, x\nc|x|int(11)\nc|y|int(11)",
	       "structural columns: a: ~ primary key (x, y) → (y, x)\n");
	expect("mariadb", "t|a\nc|x|int(11)|n", "t|a\nc|x|int(11)|na",
	       "structural identity: a: ~ column x: no AUTOINCREMENT → AUTOINCREMENT\n");
}

static void test_order(void **state)
{
	(void)state;
	expect("sqlite", "t|a\nc|k|INT\nc|v|INT\nc|p|INT\nc|z|INT", "t|a\nc|k|INT\nc|p|INT\nc|v|INT\nc|z|INT",
	       "structural order: a: ~ column order: v, p → p, v\n");
	expect("sqlite", "t|a\nc|1|INT\nc|2|INT\nc|3|INT\nc|4|INT\nc|5|INT\nc|6|INT\nc|7|INT",
	       "t|a\nc|7|INT\nc|1|INT\nc|2|INT\nc|3|INT\nc|4|INT\nc|5|INT\nc|6|INT",
	       "structural order: a: ~ column order: 7 columns from 1 on\n");
	/* Only the relative order of what both have counts. */
	expect("sqlite", "t|a\nc|x|INT\nc|y|TEXT", "t|a\nc|n|BLOB\nc|x|INT\nc|m|REAL\nc|y|TEXT",
	       "structural whole: a: + column m REAL NULL\nstructural whole: a: + column n BLOB NULL\n");
}

static void test_column_renames(void **state)
{
	(void)state;
	expect("sqlite", "t|a\nc|x|INT\nc|y|INT\nc|z|INT", "t|a\nc|x|INT\nc|q|INT\nc|z|INT",
	       "structural whole: a: column y → q (renamed?)\n");
	/* Something was dropped before it: it still stands behind x. */
	expect("sqlite", "t|a\nc|o|BLOB\nc|x|INT\nc|y|INT", "t|a\nc|x|INT\nc|q|INT",
	       "structural whole: a: - column o\nstructural whole: a: column y → q (renamed?)\n");
	/* Elsewhere, or another definition: no guess. */
	expect("sqlite", "t|a\nc|x|INT\nc|y|INT\nc|z|INT", "t|a\nc|x|INT\nc|z|INT\nc|q|INT",
	       "structural whole: a: + column q INT NULL\nstructural whole: a: - column y\n");
	expect("sqlite", "t|a\nc|x|INT", "t|a\nc|q|TEXT",
	       "structural whole: a: + column q TEXT NULL\nstructural whole: a: - column x\n");
}

#define XYZ "\nc|x|int(11)\nc|y|int(11)\nc|z|int(11)"

static void test_indexes(void **state)
{
	(void)state;
	expect("mariadb", "t|a" XYZ "\ni|i|x, y", "t|a" XYZ "\ni|i|y, x",
	       "structural index-order: a: ~ index i (x, y) → (y, x)\n");
	expect("mariadb", "t|a" XYZ "\ni|i|x", "t|a" XYZ "\ni|i|x, y",
	       "structural columns: a: ~ index i (x) → (x, y)\n");
	expect("mariadb", "t|a" XYZ "\ni|i|x|u", "t|a" XYZ "\ni|i|x",
	       "structural unique: a: ~ unique index i (x) → not unique (x)\n");
	expect("postgresql", "t|a" XYZ "\ni|i|x||y > 0", "t|a" XYZ "\ni|i|x||y > 1",
	       "structural where: a: ~ index i (x) where y > 0 → (x) where y > 1\n");
	expect("postgresql", "t|a" XYZ "\ni|i|x|||gin", "t|a" XYZ "\ni|i|x|||gist",
	       "structural options: a: ~ index i gin (x) → gist (x)\n");
	expect("mariadb", "t|a" XYZ "\ni|i|x", "t|a" XYZ "\ni|j|x", "structural name: a: index i → j (renamed?)\n");
	/* Of two that are alike one stays. */
	expect("mariadb", "t|a" XYZ "\ni|i|x\ni|j|x", "t|a" XYZ "\ni|j|x\ni|k|x",
	       "structural name: a: index i → k (renamed?)\n");
	/* A constraint and a unique index do the same, whatever they are called. */
	expect("postgresql", "t|a" XYZ "\ni|u|x|uc", "t|a" XYZ "\ni|v|x|uc",
	       "cosmetic name: a: unique u → v (renamed?)\n");
	expect("postgresql", "t|a" XYZ "\ni|a_x_key|x|uca", "t|a" XYZ "\ni|v|x|u",
	       "cosmetic name: a: ~ unique a_x_key (x) → unique index v\n");
	expect("postgresql", "t|a" XYZ "\ni|a_x_key|x|uca", "t|a" XYZ "\ni|a_x_key1|x|uca", "");
	expect("mariadb", "t|a" XYZ "\ni|i|x|||||old", "t|a" XYZ "\ni|i|x|||||new",
	       "cosmetic comment: a: ~ index i: comment old → comment new\n");
	/* Swapped names: what is unique is the same as before. */
	expect("mariadb", "t|a" XYZ "\ni|i|x|u\ni|j|y|u", "t|a" XYZ "\ni|i|y|u\ni|j|x|u",
	       "cosmetic name: a: unique index i → j (renamed?)\ncosmetic name: a: unique index j → i (renamed?)\n");
}

static void test_foreign_keys(void **state)
{
	(void)state;
	expect("mariadb", "t|a" XYZ "\nf|k|x|p|id|RESTRICT", "t|a" XYZ "\nf|k|x|p|id",
	       "cosmetic fk-action: a: ~ foreign key (x): p(id) ON DELETE RESTRICT → p(id)\n");
	expect("mariadb", "t|a" XYZ "\nf|k|x|p|id|RESTRICT", "t|a" XYZ "\nf|k|x|p|id|CASCADE",
	       "structural fk-action: a: ~ foreign key (x): p(id) ON DELETE RESTRICT → p(id) ON DELETE CASCADE\n");
	expect("postgresql", "t|a" XYZ "\nf|k|x|p|id", "t|a" XYZ "\nf|l|x|p|id",
	       "cosmetic name: a: ~ foreign key (x): name k → name l\n");
	expect("postgresql", "t|a" XYZ "\nf|k|x|p|id||a", "t|a" XYZ "\nf|l|x|p|id||a", "");
	expect("postgresql", "t|a" XYZ "\nf|k|x|p|id", "t|a" XYZ "\nf|k|x|q|id",
	       "structural target: a: ~ foreign key (x): p(id) → q(id)\n");
	expect("postgresql", "t|a" XYZ "\nf|k|x|p|id", "t|a" XYZ "\nf|k|x|p|id|||DEFERRABLE",
	       "structural deferrable: a: ~ foreign key (x): p(id) → p(id) DEFERRABLE\n");
	expect("postgresql", "t|a" XYZ "\nf|k|x|p|id\nf|l|y|p|id", "t|a" XYZ "\nf|l|y|p|id",
	       "structural whole: a: - foreign key (x) → p(id)\n");
}

static void test_checks(void **state)
{
	(void)state;
	expect("postgresql", "t|a" XYZ "\nk|k|x > 0", "t|a" XYZ "\nk|k|x > 1",
	       "structural body: a: ~ check k (x > 0) → (x > 1)\n");
	expect("postgresql", "t|a" XYZ "\nk|k|x > 0", "t|a" XYZ "\nk|l|x > 0",
	       "cosmetic name: a: ~ check (x > 0): name k → name l\n");
	expect("sqlite", "t|a" XYZ "\nk||x > 0\nk||x > 0", "t|a" XYZ "\nk||x > 0",
	       "structural whole: a: - check (x > 0)\n");
	expect("sqlite", "t|a" XYZ "\nx|a: on conflict replace", "t|a" XYZ "",
	       "structural whole: a: - constraint a: on conflict replace\n");
}

static void test_text(void **state)
{
	(void)state;
	expect("sqlite", "t|a||create table a (x int)\nc|x|INT", "t|a||create table a (x int )\nc|x|INT",
	       "cosmetic text: a: ~ text: spelled differently\n");
	expect("sqlite", "t|a||one|COLLATE of x\nc|x|INT", "t|a||two\nc|x|INT",
	       "unmodelled not-modelled: a: ~ not modelled: COLLATE of x\n");
	/* The same bytes are the same, whatever the model knows of them. */
	expect("sqlite", "t|a||one|COLLATE of x\nc|x|INT", "t|a||one|COLLATE of x\nc|x|INT", "");
	expect("sqlite", "t|a||one|COLLATE of x\nc|x|INT", "t|a||two\nc|x|TEXT",
	       "unmodelled not-modelled: a: ~ not modelled: COLLATE of x\nstructural type: a: ~ column x: INT → "
	       "TEXT\n");
}

static void test_tables(void **state)
{
	(void)state;
	expect("mariadb", "t|a" XYZ, "t|b" XYZ, "structural whole: table a → b (renamed?)\n");
	/* With what points to itself, and the names of its indexes. */
	expect("mariadb", "t|a" XYZ "\nf|k|x|a|y\ni|ia|x", "t|b" XYZ "\nf|k|x|b|y\ni|ib|x",
	       "structural whole: table a → b (renamed?)\n");
	expect("mariadb", "t|a" XYZ "\nt|b" XYZ, "t|c" XYZ,
	       "structural whole: - table a\nstructural whole: - table b\nstructural whole: + table c (3 columns)\n");
}

static void test_objects(void **state)
{
	(void)state;
	expect("postgresql", "o|view|v||select 1\no|trigger|g|a|one\no|function|f(integer)||1",
	       "o|view|v||select 2\no|function|f(text)||1",
	       "structural whole: a: - trigger g\nstructural whole: - function f(integer)\n"
	       "structural whole: + function f(text)\nstructural body: ~ view v\n");
	expect("sqlite", "o|virtual table|f||x||u", "o|virtual table|f||y||u",
	       "unmodelled body: ~ virtual table f (not modelled)\n");
	/* The sequence of a serial column comes and goes with it. */
	expect("postgresql", "o|sequence|s|t|START 1||a", "", "");
	expect("postgresql", "o|sequence|s|t|START 1||a", "o|sequence|s|t|START 5",
	       "structural whole: t: + sequence s\n");
}

/* ---- two engines ---- */

static void test_cross_nova(void **state)
{
	(void)state;
	static const char *const sqlite =
		"t|instances|id\nc|id|INTEGER|n\nc|uuid|VARCHAR(36)|n\nc|deleted|INTEGER\nc|locked|BOOLEAN\n"
		"c|locked_by|VARCHAR(5)\nc|launched_at|DATETIME\nc|user_data|TEXT\nc|access_ip_v4|VARCHAR(39)\n"
		"c|type|VARCHAR(4)|n|'ssh'\nc|ratio|FLOAT\n"
		"i||uuid|uca\ni|by_host|locked_by, deleted\nf||uuid|hosts|uuid\n"
		"k||locked IN (0, 1)\nk|kind|type IN ('x509', 'ssh')\nt|hosts|id\nc|id|INTEGER|n\nc|uuid|VARCHAR(36)";
	static const char *const mariadb =
		"t|instances|id||||nova's\nc|id|int(11)|na\nc|uuid|varchar(36)|n\nc|deleted|int(11)\n"
		"c|locked|tinyint(1)\nc|locked_by|enum('owner','admin')|||'owner','admin'\nc|launched_at|datetime\n"
		"c|user_data|mediumtext\nc|access_ip_v4|varchar(39)\nc|type|enum('ssh','x509')|n|'ssh'|'ssh','x509'\n"
		"c|ratio|float\n"
		"i|uniq_instances0uuid|uuid|u\ni|by_host|locked_by, deleted\ni|uuid|uuid|a\n"
		"f|instances_ibfk_1|uuid|hosts|uuid|RESTRICT|a\nt|hosts|id\nc|id|int(11)|na\nc|uuid|varchar(36)";
	static const char *const postgresql =
		"t|instances|id\nc|id|integer|na|nextval('instances_id_seq'::regclass)\nc|uuid|character "
		"varying(36)|n\n"
		"c|deleted|integer\nc|locked|boolean\nc|locked_by|instances0locked_by|||'owner','admin'\n"
		"c|launched_at|timestamp without time zone\nc|user_data|text\nc|access_ip_v4|inet\n"
		"c|type|keypair_types|n|'ssh'::keypair_types|'ssh','x509'\nc|ratio|double precision\n"
		"i|uniq_instances0uuid|uuid|uc\ni|by_host|locked_by, "
		"deleted\nf|instances_uuid_fkey|uuid|hosts|uuid||a\n"
		"t|hosts|id\nc|id|integer|na|nextval('hosts_id_seq'::regclass)\nc|uuid|character varying(36)\n"
		"o|enum type|keypair_types||'ssh', 'x509'\no|sequence|instances_id_seq|instances|START 1||a";
	expect_with(NULL, "sqlite", sqlite, "mariadb", mariadb,
		    "cosmetic fk-index: instances: + index uuid (uuid), for a foreign key\n");
	expect_with(NULL, "sqlite", sqlite, "postgresql", postgresql, "cosmetic engine: + enum type keypair_types\n");
	expect_with(NULL, "mariadb", mariadb, "postgresql", postgresql,
		    "cosmetic comment: instances: ~ comment (nova's) → ()\n"
		    "cosmetic fk-index: instances: - index uuid (uuid), for a foreign key\n"
		    "cosmetic engine: + enum type keypair_types\n");
	const struct schema_diff_options no_equates = {.no_default_equates = true, .ignore_classes = 4};
	expect_with(&no_equates, "mariadb", mariadb, "postgresql", postgresql,
		    "structural type: instances: ~ column access_ip_v4: varchar(39) → inet\n");
	const struct schema_diff_options strict = {.strict = true, .ignore_kinds = 1 << KIND_TABLE | 1 << KIND_OTHER};
	expect_with(&strict, "mariadb", mariadb, "postgresql", postgresql,
		    "structural fk-index: instances: - index uuid (uuid), for a foreign key\n"
		    "structural fk-action: instances: ~ foreign key (uuid): hosts(uuid) ON DELETE RESTRICT → "
		    "hosts(uuid)\n");
}

static void test_cross_true_differences(void **state)
{
	(void)state;
	expect_with(NULL, "sqlite", "t|a|id\nc|id|INTEGER|n\nc|v|VARCHAR(64)\nc|w|TEXT|n|'x'\nc|o|INTEGER",
		    "postgresql", "t|a|id\nc|id|bigint|n\nc|v|character varying(255)\nc|w|text||'y'::text\nc|n|integer",
		    "structural whole: a: + column n integer NULL\n"
		    "structural whole: a: - column o\n"
		    "structural type: a: ~ column v: VARCHAR(64) → character varying(255)\n"
		    "structural null: a: ~ column w: NOT NULL → NULL\n"
		    "structural default: a: ~ column w: DEFAULT 'x' → DEFAULT 'y'::text\n");
	expect_with(NULL, "sqlite", "t|a|id\nc|id|INTEGER|n\nc|v|INT\ni||v|uca\nk||v > 0", "mariadb",
		    "t|a|id\nc|id|int(11)|n\nc|v|int(11)\ni|v|v\nk|c|`v` > 1",
		    "structural whole: a: - unique (v)\nstructural whole: a: + index v (v)\n"
		    "structural whole: a: + check c (`v` > 1)\nstructural whole: a: - check (v > 0)\n");
	/* Names of any length and letter case. */
	expect_with(NULL, "sqlite",
		    "t|Long_table_name_that_postgresql_cuts_after_sixty_three_bytes_of_it|Id\nc|Id|INTEGER|n\n"
		    "c|V|TEXT\ni|IX|V DESC, lower(V)",
		    "postgresql",
		    "t|long_table_name_that_postgresql_cuts_after_sixty_three_bytes_of|id\nc|id|integer|n\nc|v|text\n"
		    "i|ix|v text_pattern_ops DESC, lower(v)",
		    "");
	/* A prefix of MariaDB, a partial index of the others. */
	expect_with(NULL, "mariadb", "t|a\nc|v|varchar(300)\ni|i|v(191)", "sqlite", "t|a\nc|v|VARCHAR(300)\ni|i|v", "");
	expect_with(NULL, "postgresql", "t|a\nc|v|integer\ni|i|v||(v > 0)", "sqlite", "t|a\nc|v|INT\ni|i|v||v > 1",
		    "structural where: a: ~ index i (v) where (v > 0) → (v) where v > 1\n");
}

/* What Django makes of one model: an index for every foreign key where MariaDB takes another that begins alike; indexes
 * for LIKE; partial ones where there are such. */
static void test_cross_indexes(void **state)
{
	(void)state;
	static const char sqlite[] = "t|a\nc|x|INT\nc|y|INT\nc|p|decimal\ni|x_idx|x\ni|xy|x, y|u\ni|part|y||x > 0\n"
				     "f||x|p|id\nk|ok|p >= '0'";
	static const char mariadb[] = "t|a\nc|x|int(11)\nc|y|int(11)\nc|p|decimal(10,2)\ni|xy|x, y|u\ni|part|y\n"
				      "f|a_x_fk|x|p|id|RESTRICT\nk|ok|p >= 0";
	static const char postgresql[] =
		"t|a\nc|x|integer\nc|y|integer\nc|p|numeric(10,2)\ni|x_idx|x\ni|xy|x, y|uc\n"
		"i|part|y||(x > 0)\ni|y_like|y int4_pattern_ops\ni|g|y|||gin\nf|a_x_fk|x|p|id\n"
		"k|ok|(p >= (0)::numeric)";
	expect_with(NULL, "sqlite", sqlite, "mariadb", mariadb,
		    "cosmetic where: a: ~ index part (y) where x > 0 → (y)\n"
		    "cosmetic fk-index: a: - index x_idx (x), for a foreign key\n");
	expect_with(NULL, "sqlite", sqlite, "postgresql", postgresql,
		    "cosmetic engine: a: + index g gin (y)\ncosmetic engine: a: + index y_like (y int4_pattern_ops)\n");
	/* Between two that know no such rule it is a difference. */
	expect_with(
		NULL, "sqlite", sqlite, "postgresql",
		"t|a\nc|x|integer\nc|y|integer\nc|p|numeric(10,2)\ni|xy|x, y|uc\ni|part|y\nf|a_x_fk|x|p|id\nk|ok|p >= "
		"0",
		"structural where: a: ~ index part (y) where x > 0 → (y)\nstructural whole: a: - index x_idx (x)\n");
	/* MariaDB's catalogue escapes what it has read. */
	expect_with(NULL, "sqlite", "t|a\nc|x|VARCHAR(9)||'a\\b''c'", "mariadb", "t|a\nc|x|varchar(9)||'a\\\\b''c'",
		    "");
	expect_with(NULL, "sqlite", "t|a\nc|x|VARCHAR(9)||'a\\b'", "mariadb", "t|a\nc|x|varchar(9)||'a\\nb'",
		    "structural default: a: ~ column x: DEFAULT 'a\\b' → DEFAULT 'a\\nb'\n");
	/* What is no plain word is in quotes where it comes from a catalogue. */
	expect_with(NULL, "sqlite", "t|a|b c, d\nc|b c|INT|n\nc|d|INT|n\ni|i|q'q, b c DESC\nc|q'q|INT\nf|k|b c|p|x y",
		    "postgresql",
		    "t|a|\"b c\", d\nc|b c|integer|n\nc|d|integer|n\ni|i|\"q'q\", \"b c\" DESC\nc|q'q|integer\nf|k|\"b "
		    "c\"|p|\"x y\"",
		    "");
	expect_with(NULL, "sqlite", "t|a\nc|b c|INT\nc|d|INT\ni|i|b c", "postgresql",
		    "t|a\nc|b c|integer\nc|d|integer\ni|i|d", "structural columns: a: ~ index i (b c) → (d)\n");
	/* Called after the foreign key: by MariaDB. */
	expect_with(NULL, "sqlite", "t|a\nc|x|INT\ni|mine|x\nf||x|p|id", "mariadb",
		    "t|a\nc|x|int(11)\ni|a_x_fk|x\nf|a_x_fk|x|p|id", "");
}

static void test_cross_defaults_and_keys(void **state)
{
	(void)state;
	expect_with(
		NULL, "mariadb",
		"t|a|id\nc|id|int(11)|na\nc|b|tinyint(1)|n|0\nc|t|datetime||current_timestamp()\nc|s|varchar(9)||'x'\n"
		"c|g|int(11)|||||(`b` + 1) VIRTUAL\nc|j|longtext\nk|j|json_valid(`j`)",
		"postgresql",
		"t|a|id\nc|id|integer|na|nextval('a_id_seq'::regclass)\nc|b|boolean|n|false\n"
		"c|t|timestamp without time zone||now()\nc|s|character varying(9)||'x'::character varying\n"
		"c|g|integer|||||((b + 1)) STORED\nc|j|jsonb",
		"");
	/* SQLite takes a null in the key of a table, by accident. */
	expect_with(NULL, "sqlite", "t|a|k\nc|k|VARCHAR(9)", "postgresql", "t|a|k\nc|k|character varying(9)|n", "");
	expect_with(NULL, "mariadb", "t|a|id\nc|id|int(11)|na", "postgresql", "t|a|id\nc|id|integer|n",
		    "structural identity: a: ~ column id: numbered → not numbered\n");
}

static void test_cross_objects(void **state)
{
	(void)state;
	expect_with(
		NULL, "mariadb",
		"o|view|v||select||\no|view|w||select|a int(11), b decimal(10,2)\no|trigger|g|t|BEFORE INSERT FOR EACH "
		"ROW set x\no|procedure|p||x",
		"postgresql",
		"o|view|v||other|a integer\no|view|w||other|a integer, c numeric(10,2)\no|trigger|g|t|create trigger g "
		"after insert on t for each row execute function f()\no|function|f()||x",
		"cosmetic engine: + function f()\ncosmetic engine: - procedure p\n"
		"structural event: t: ~ trigger g: before insert → after insert\n"
		"structural columns: ~ view w: a, b → a, c\n");
	expect_with(NULL, "sqlite", "o|virtual table|f||fts5||u", "postgresql", "",
		    "unmodelled whole: - virtual table f (not modelled)\n");
	expect_with(NULL, "sqlite", "t|a||x|CHECK of b\nc|b|INT", "postgresql", "t|a||y\nc|b|integer",
		    "unmodelled not-modelled: a: ~ not modelled: CHECK of b\n");
}

/* ---- options ---- */

static void test_ignore(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct schema_diff_options o = {0};
	static const char a[] = "t|a|x" XYZ "\ni|i|x\no|view|v||1";
	static const char b[] = "t|a|x\nc|y|int(11)\nc|x|int(11)\nc|z|int(11)||||new\ni|j|x";
	expect_with(&o, "mariadb", a, "mariadb", b,
		    "structural order: a: ~ column order: x, y → y, x\n"
		    "cosmetic comment: a: ~ column z: no comment → comment new\n"
		    "structural name: a: index i → j (renamed?)\nstructural whole: - view v\n");
	assert_int_equal(schema_ignore_parse("order,name, view", &o, &err), 0);
	expect_with(&o, "mariadb", a, "mariadb", b, "cosmetic comment: a: ~ column z: no comment → comment new\n");
	assert_int_equal(schema_ignore_parse("cosmetic", &o, &err), 0);
	expect_with(&o, "mariadb", a, "mariadb", b, "");
	CLEANUP(schema_freep) struct schema *x = model("mariadb", a);
	CLEANUP(schema_freep) struct schema *y = model("mariadb", b);
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(x, y, &o);
	AUTO_BUF summary = buf_make(1000);
	schema_changes_summary(cs, &summary);
	assert_string_equal(summary.data, "0 structural, 0 cosmetic, 0 unmodelled, 4 ignored");
	assert_false(schema_changes_differ(cs));
	for (const char *const *w = schema_ignore_words(); *w; w++) {
		AUTO_FREE char *first = xasprintf(" %s", *w);
		assert_int_equal(schema_ignore_parse(*w, &o, &err), 0);
		assert_non_null(strstr(cmd_diff.help, first)); /* it can be found */
	}
	assert_int_equal(schema_ignore_parse("structural", &o, &err), -1);
	assert_int_equal(schema_ignore_parse("whole", &o, &err), -1);
	err_clear(&err);
	assert_int_equal(schema_ignore_parse("order,coment", &o, &err), -1);
	assert_string_equal(err.msg, "--ignore coment: no such difference; did you mean comment?");
}

static void test_bookkeeping(void **state)
{
	(void)state;
	const struct schema_diff_options o = {.skip_tables = schema_bookkeeping};
	CLEANUP(schema_freep) struct schema *x = model("mariadb", "t|a" XYZ);
	CLEANUP(schema_freep)
	struct schema *y = model("mariadb", "t|a" XYZ "\nt|Alembic_version" XYZ "\no|trigger|g|alembic_version|x");
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(x, y, &o);
	assert_int_equal(cs->n, 0);
	assert_int_equal(cs->n_skipped, 2);
	assert_false(schema_changes_differ(cs));
	char hx[SHA256_HEX], hy[SHA256_HEX];
	schema_hash(x, schema_bookkeeping, hx);
	schema_hash(y, schema_bookkeeping, hy);
	assert_string_equal(hx, hy);
	const struct schema_diff_options one = {.table = "A"};
	CLEANUP(schema_changes_freep) struct schema_changes *only = schema_changes(x, y, &one);
	assert_int_equal(only->n, 0);
}

static void test_brief(void **state)
{
	(void)state;
	CLEANUP(schema_freep) struct schema *x = model("sqlite", "t|a||one\nc|x|INT|n\nc|y|INT");
	CLEANUP(schema_freep) struct schema *y = model("sqlite", "t|a||two\nc|x|TEXT|\nc|y|INT");
	CLEANUP(schema_freep) struct schema *z = model("sqlite", "t|a||three\nc|x|INT|n\nc|y|INT");
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(x, y, NULL);
	CLEANUP(schema_changes_freep) struct schema_changes *text = schema_changes(x, z, NULL);
	AUTO_BUF words = buf_make(1000);
	schema_changes_brief(cs, 100, &words);
	assert_string_equal(words.data, "~ column x: INT → TEXT, NOT NULL → NULL on a");
	buf_reset(&words);
	schema_changes_brief(text, 100, &words);
	assert_string_equal(words.data, "only the text of the schema");
}

/* ---- hostile sizes ---- */

enum { MANY = 5000, LIMIT_MS = 20000 };

static struct schema *many(const char *engine, const char *prefix, const char *type)
{
	struct schema *s = schema_new();
	s->engine = engine;
	for (int i = 0; i < MANY; i++) {
		AUTO_FREE char *lines = xasprintf("t|%s%04d|c0", prefix, i);
		const char *f[FIELDS];
		split(s, lines, strlen(lines), f);
		struct table *t = add_table(s, f);
		for (int k = 0; k < 12; k++) {
			AUTO_FREE char *c = xasprintf("c|c%d|%s|n", k, type);
			split(s, c, strlen(c), f);
			add_column(t, f);
		}
		const char *ix[FIELDS] = {"i", "ix", "c1, c2", "", "", "", "", "", ""};
		add_index(t, ix);
	}
	schema_sort(s);
	return s;
}

static void within(const struct schema *a, const struct schema *b, const char *what)
{
	mono_ms begun = clock_mono();
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(a, b, NULL);
	AUTO_BUF words = buf_make(BUF_TEXT_MAX);
	schema_changes_brief(cs, 100, &words);
	print_message("%s: %zu records, %lld ms\n", what, cs->n, (long long)(clock_mono() - begun));
	assert_in_range(clock_mono() - begun, 0, LIMIT_MS);
}

static void test_many(void **state)
{
	(void)state;
	CLEANUP(schema_freep) struct schema *a = many("mariadb", "t", "int(11)");
	CLEANUP(schema_freep) struct schema *b = many("mariadb", "t", "varchar(9)");
	CLEANUP(schema_freep) struct schema *c = many("mariadb", "u", "int(11)");
	CLEANUP(schema_freep) struct schema *p = many("postgresql", "t", "integer");
	CLEANUP(schema_freep) struct schema *none = model("mariadb", "");
	within(a, a, "the same");
	within(a, b, "all columns");
	within(a, c, "all tables under other names, all alike");
	within(a, p, "two engines");
	within(a, none, "all gone");
}

/* One table of as many columns and indexes as there may be, in another order, under other names. */
static void test_wide(void **state)
{
	(void)state;
	struct schema *s[2] = {schema_new(), schema_new()};
	for (int side = 0; side < 2; side++) {
		const char *f[FIELDS];
		s[side]->engine = "sqlite";
		split(s[side], "t|a", 3, f);
		struct table *t = add_table(s[side], f);
		for (int i = 0; i < SCHEMA_MAX_COLUMNS; i++) {
			int n = side ? SCHEMA_MAX_COLUMNS - i : i;
			AUTO_FREE char *c = xasprintf("c|c%s%d|INT", n % 3 ? "" : side ? "x" : "y", n);
			AUTO_FREE char *ix = xasprintf("i|i%d_%d|c%d, c%d", side, n, n, n + 1);
			split(s[side], c, strlen(c), f);
			add_column(t, f);
			split(s[side], ix, strlen(ix), f);
			add_index(t, f);
		}
	}
	within(s[0], s[1], "a wide table");
	schema_free(s[0]);
	schema_free(s[1]);
}

/* Every column an enumeration here and a text with many checks there; every index one for many foreign keys. */
static void test_wide_cross(void **state)
{
	(void)state;
	enum { CHECKS = 20000, KEYS = 5000 };
	struct schema *s[2] = {schema_new(), schema_new()};
	for (int side = 0; side < 2; side++) {
		const char *f[FIELDS];
		s[side]->engine = side ? "postgresql" : "mariadb";
		split(s[side], "t|a", 3, f);
		struct table *t = add_table(s[side], f);
		for (int i = 0; i < SCHEMA_MAX_COLUMNS; i++) {
			AUTO_FREE char *c = side ? xasprintf("c|c%d|character varying(9)", i)
						 : xasprintf("c|c%d|enum('a','b')|||'a','b'", i);
			split(s[side], c, strlen(c), f);
			add_column(t, f);
		}
		for (int i = 0; i < CHECKS * side; i++) {
			AUTO_FREE char *c = xasprintf("k||c%d IN ('b', '%c')", i % SCHEMA_MAX_COLUMNS, 'a' + i % 3);
			split(s[side], c, strlen(c), f);
			*SCHEMA_ADD(t->checks, t->n_checks) =
				(struct check){.name = "", .expr = f[2], .automatic = true};
		}
		for (int i = 0; i < KEYS; i++) {
			AUTO_FREE char *ix = xasprintf("i|i%d_%d|c%d, c%d", side, i, i % 1999, i / 1999 + side);
			AUTO_FREE char *fk = xasprintf("f|f%d|c%d|p|id", i, i % 1999);
			split(s[side], ix, strlen(ix), f);
			add_index(t, f);
			split(s[side], fk, strlen(fk), f);
			add_fk(t, f);
		}
	}
	within(s[0], s[1], "a wide table on two engines");
	schema_free(s[0]);
	schema_free(s[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_column_renames),
		cmocka_unit_test(test_indexes),
		cmocka_unit_test(test_foreign_keys),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_cross_nova),
		cmocka_unit_test(test_cross_true_differences),
		cmocka_unit_test(test_cross_indexes),
		cmocka_unit_test(test_cross_defaults_and_keys),
		cmocka_unit_test(test_cross_objects),
		cmocka_unit_test(test_ignore),
		cmocka_unit_test(test_bookkeeping),
		cmocka_unit_test(test_brief),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_wide),
		cmocka_unit_test(test_wide_cross),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
