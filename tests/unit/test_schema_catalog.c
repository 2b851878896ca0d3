/* SPDX-License-Identifier: MIT */
/* Descriptions of catalogues as MariaDB and PostgreSQL print them, beside their dumps: what is read, what does not fit
 * together, what is not as it should be. */
#include "migrations/schema_catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

static struct schema *read_both(const char *engine, const char *dump, const char *model)
{
	struct err err = ERR_INIT;
	const struct schema_text text = {dump, strlen(dump), model, strlen(model)};
	struct schema *s = schema_read(engine, &text, &err);
	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

static const struct table *table_of(const struct schema *s, const char *name)
{
	const struct table *t = schema_find_table(s, name);
	assert_non_null(t);
	return t;
}

static const struct object *object_of(const struct schema *s, const char *kind, const char *name)
{
	for (size_t i = 0; i < s->n_objects; i++)
		if (strcmp(s->objects[i].kind, kind) == 0 && strcmp(s->objects[i].name, name) == 0)
			return &s->objects[i];
	fail_msg("no %s %s", kind, name);
	return NULL;
}

/* ---- lines ---- */

static void refused(const char *model, const char *why)
{
	struct err err = ERR_INIT;
	CLEANUP(schema_freep) struct schema *s = schema_new();
	assert_int_equal(schema_read_catalog(s, SQL_MARIADB, model, strlen(model), &err), -1);
	assert_int_equal(err.reach, ERR_STEP);
	if (!strstr(err.msg, why))
		fail_msg("%s\nsays %s, not %s", model, err.msg, why);
}

#define TABLE_T "table\tt\ttable\t\t\t\t\t\t\t\n"

static void test_lines(void **state)
{
	(void)state;
	refused("nonsense\n", "line 1 of the catalogue: an unknown kind of line");
	refused(TABLE_T "\n", "line 2 of the catalogue: an unknown kind of line");
	refused("table\tt\n", "a number of fields");
	refused(TABLE_T TABLE_T, "a table twice");
	refused("column\tt\ta\tint\t\t-\t\t\t\t\t\t\t\n", "line 1 of the catalogue: a table that is not there");
	refused(TABLE_T "column\tt\ta\tint\t\tx\t\t\t\t\t\t\t\n", "neither NULL nor a value");
	refused(TABLE_T "column\tt\ta\tint\t\t-\t\t\t\t\t\t\n", "a number of fields");
	refused(TABLE_T "column\tt\ta\\x\tint\t\t-\t\t\t\t\t\t\t\n", "an unknown escape");
	refused(TABLE_T "column\tt\ta\\\tint\t\t-\t\t\t\t\t\t\t\n", "an unknown escape");
	refused(TABLE_T "index\tt\ti\t\t\t\t\t\t\n", "an index without parts");
	refused(TABLE_T "index\tt\ti\t\t\t\t\t\t\ta\t\n", "neither a column nor an expression");
	refused(TABLE_T "index\tt\ti\t\t\t\t\t\t\t.a\n", "an index without parts");
	refused(TABLE_T "pk\tt\tp\t\t\t\t\t\t\t.a\t\npk\tt\tp\t\t\t\t\t\t\t.a\t\n", "two primary keys");
	refused(TABLE_T "fk\tt\tf\tp\t\t\t\t\t\ta\n", "a foreign key without columns");
	refused("view\tv\tx\n", "a view that is not there");
}

static void test_escapes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	static const char model[] = "table\ta\\tb\\\\c\ttable\t\t\t\t\t\tx\\ny\\rz\t\n"
				    "column\ta\\tb\\\\c\t1 2\tint\t\t=\t\t\t\t\t\t\tn\n"
				    "column\ta\\tb\\\\c\t3\tint\t\t=-\t\t\t\t\t\t\t\n"
				    "index\ta\\tb\\\\c\ti\t\t\t\t\t\t\t.1 2\t DESC\t.3\t\t=lower( X )\t";
	CLEANUP(schema_freep) struct schema *s = schema_new();
	assert_int_equal(schema_read_catalog(s, SQL_POSTGRESQL, model, strlen(model), &err), 0);
	const struct table *t = table_of(s, "a\tb\\c");
	assert_string_equal(t->comment, "x\ny\rz");
	assert_string_equal(t->columns[0].dflt, "");
	assert_string_equal(t->columns[1].dflt, "-");
	assert_true(t->columns[0].not_null && !t->columns[1].not_null);
	assert_string_equal(t->indexes[0].parts, "\"1 2\" DESC, 3, lower(x)");
}

/* ---- MariaDB ---- */

static const char my_dump[] = "CREATE TABLE `p` (\n"
			      "  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,\n"
			      "  `name` varchar(64) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT 'x''y',\n"
			      "  `e` enum('a','b') NOT NULL DEFAULT 'a',\n"
			      "  `ts` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),\n"
			      "  `j` longtext DEFAULT NULL CHECK (json_valid(`j`)),\n"
			      "  `v` int(11) GENERATED ALWAYS AS (`id` + 1) VIRTUAL COMMENT 'it''s; a \"v\"',\n"
			      "  `inv` int(11) INVISIBLE DEFAULT 3,\n"
			      "  PRIMARY KEY (`id`),\n"
			      "  UNIQUE KEY `uq` (`name`),\n"
			      "  KEY `name` (`name`(10),`e` DESC) COMMENT 'c',\n"
			      "  FULLTEXT KEY `ft` (`j`),\n"
			      "  CONSTRAINT `p_ibfk_1` FOREIGN KEY (`id`) REFERENCES `q` (`id`) ON DELETE CASCADE,\n"
			      "  CONSTRAINT `CONSTRAINT_1` CHECK (`id` > 0)\n"
			      ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci ROW_FORMAT=DYNAMIC "
			      "KEY_BLOCK_SIZE=8 COMMENT='two\\nlines'\n"
			      " PARTITION BY HASH (`id`)\nPARTITIONS 4;\n"
			      "DELIMITER ;;\n"
			      "/*!50003 SET sql_mode = '' */ ;;\n"
			      "/*!50003 CREATE*/ /*!50003 TRIGGER tr BEFORE INSERT ON p FOR EACH ROW BEGIN\nCREATE "
			      "TABLE `p` (x int); END */;;\n"
			      "DELIMITER ;\n"
			      "CREATE SEQUENCE `s` start with 1;\n";
static const char my_model[] =
	"table\tp\ttable\trow_format=DYNAMIC key_block_size=8 "
	"partitioned\tInnoDB\t\tutf8mb4_general_ci\t\ttwo\\nlines\t\n"
	"table\ts\tsequence\t\tInnoDB\t\tutf8mb4_general_ci\t\t\t\n"
	"table\tv\tview\t\t\t\t\t\t\t\n"
	"column\tp\tid\tbigint(20) unsigned\t\t-\t\t\t\t\t\tauto_increment\tn\n"
	"column\tp\tname\tvarchar(64)\t\t='x''y'\tlatin1_swedish_ci\t\t\t\t\t\t\n"
	"column\tp\te\tenum('a','b')\t\t='a'\tutf8mb4_general_ci\t\t\t\t\t\tn\n"
	"column\tp\tts\ttimestamp\t\t=current_timestamp()\t\t\t\t\t\ton update current_timestamp()\tn\n"
	"column\tp\tj\tlongtext\t\t=NULL\tutf8mb4_general_ci\t\t\t\t\t\t\n"
	"column\tp\tv\tint(11)\t\t=NULL\t\t`id` + 1\t\tit's; a \"v\"\t\tVIRTUAL GENERATED\t\n"
	"column\tp\tinv\tint(11)\t\t=3\t\t\t\t\t\tINVISIBLE\t\n"
	"column\tv\tid\tbigint(20)\t\t=0\t\t\t\t\t\t\tn\n"
	"column\tv\tb b\tint(11)\t\t-\t\t\t\t\t\t\t\n"
	"pk\tp\tPRIMARY\t\t\t\t\t\tu\t.id\t\n"
	"index\tp\tft\t\tFULLTEXT\t\t\t\t\t.j\t\n"
	"index\tp\tname\t\t\t\tc\t\t\t.name\t(10)\t.e\t DESC\n"
	"index\tp\tuq\t\t\t\t\t\tu\t.name\t\n"
	"fk\tp\tp_ibfk_1\tq\tRESTRICT\tCASCADE\t\t\t\tid\tid\n"
	"check\tp\tCONSTRAINT_1\t`id` > 0\t\n"
	"check\tp\tj\tjson_valid(`j`)\t\n"
	"view\tv\tselect `p`.`id` AS `id` from `p`\n"
	"object\ttrigger\ttr\tp\tBEFORE INSERT FOR EACH ROW SELECT \"Kept\"\t\tm\n";

static void test_mariadb(void **state)
{
	(void)state;
	CLEANUP(schema_freep) struct schema *s = read_both("mariadb", my_dump, my_model);
	const struct table *t = table_of(s, "p");
	assert_int_equal(s->n_tables, 1);
	if (t->unmodelled)
		fail_msg("unmodelled: %s", t->unmodelled);
	assert_string_equal(t->engine, "InnoDB");
	assert_string_equal(t->charset, "utf8mb4");
	assert_string_equal(t->row_format, "DYNAMIC");
	assert_string_equal(t->options, "key_block_size=8");
	assert_string_equal(t->partition, "by hash(id) partitions 4");
	assert_string_equal(t->pk, "id");
	assert_string_equal(t->pk_name, "");
	assert_non_null(strstr(t->text, "create table p"));
	assert_non_null(strstr(t->text, "trigger tr"));
	assert_true(t->columns[0].autoincrement && t->columns[0].not_null);
	assert_string_equal(t->columns[0].options, "");
	assert_string_equal(t->columns[1].collation, "latin1_swedish_ci");
	assert_string_equal(t->columns[1].dflt, "'x''y'");
	assert_string_equal(t->columns[2].collation, "");
	assert_string_equal(t->columns[2].labels, "'a','b'");
	assert_string_equal(t->columns[3].on_update, "current_timestamp()");
	assert_null(t->columns[4].dflt);
	assert_string_equal(t->columns[5].generated, "(`id` + 1) VIRTUAL");
	assert_string_equal(t->columns[6].options, "INVISIBLE");
	assert_string_equal(t->indexes[1].parts, "name(10), e DESC");
	assert_true(t->indexes[1].automatic && !t->indexes[2].automatic && t->indexes[2].unique);
	assert_true(t->fks[0].automatic);
	assert_string_equal(t->fks[0].on_update, "RESTRICT");
	assert_true(t->checks[0].automatic && t->checks[1].automatic);
	assert_string_equal(t->checks[0].expr, "id > 0");
	assert_string_equal(object_of(s, "view", "v")->columns, "id bigint(20), \"b b\" int(11)");
	assert_string_equal(object_of(s, "view", "v")->text, "select p.id as id from p");
	assert_string_equal(object_of(s, "sequence", "s")->text, "start with 1");
	/* A string of MariaDB, not a name: its letters count. */
	assert_non_null(strstr(object_of(s, "trigger", "tr")->text, "\"Kept\""));
	for (size_t i = 0; i < s->n_objects; i++)
		assert_true(s->objects[i].modelled);
}

/* ---- PostgreSQL ---- */

static const char pg_dump[] =
	"CREATE TYPE public.kinds AS ENUM (\n    'ssh',\n    'x509'\n);\n"
	"CREATE FUNCTION public.f() RETURNS integer\n    LANGUAGE sql\n    BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 "
	"END;\nEND;\n"
	"CREATE FUNCTION public.g() RETURNS trigger LANGUAGE plpgsql AS $_$ BEGIN ; CREATE TABLE x (y int); END $_$;\n"
	"CREATE TABLE public.p (\n"
	"    id integer NOT NULL,\n"
	"    name character varying(64) DEFAULT 'x''y'::character varying NOT NULL,\n"
	"    k public.kinds DEFAULT 'ssh'::public.kinds,\n"
	"    c text COLLATE pg_catalog.\"C\",\n"
	"    g integer GENERATED ALWAYS AS ((1 + 2)) STORED,\n"
	"    i bigint NOT NULL,\n"
	"    CONSTRAINT p_id_check CHECK ((id > 0))\n"
	")\nWITH (fillfactor='70');\n"
	"COMMENT ON TABLE public.p IS 'it''s';\n"
	"COMMENT ON COLUMN public.p.name IS 'back\\slash';\n"
	"CREATE SEQUENCE public.p_id_seq\n    AS integer\n    START WITH 1;\n"
	"ALTER SEQUENCE public.p_id_seq OWNED BY public.p.id;\n"
	"ALTER TABLE public.p ALTER COLUMN i ADD GENERATED ALWAYS AS IDENTITY (\n    SEQUENCE NAME public.p_i_seq\n    "
	"START WITH 1\n);\n"
	"ALTER TABLE ONLY public.p ALTER COLUMN id SET DEFAULT nextval('public.p_id_seq'::regclass);\n"
	"ALTER TABLE ONLY public.p ALTER COLUMN c SET STORAGE EXTERNAL;\n"
	"ALTER TABLE ONLY public.p\n    ADD CONSTRAINT p_pkey PRIMARY KEY (id);\n"
	"ALTER TABLE ONLY public.p\n    ADD CONSTRAINT u UNIQUE (name, id) DEFERRABLE;\n"
	"CREATE INDEX ix ON public.p USING btree (lower((name)::text), id DESC NULLS LAST) INCLUDE (c) WITH "
	"(fillfactor='50') WHERE (id > 5);\n"
	"ALTER TABLE ONLY public.p\n    ADD CONSTRAINT p_id_fkey FOREIGN KEY (id) REFERENCES other.q(a) ON UPDATE "
	"CASCADE ON DELETE SET NULL NOT VALID;\n"
	"CREATE TRIGGER tr BEFORE INSERT ON public.p FOR EACH ROW EXECUTE FUNCTION public.g();\n";
static const char pg_model[] =
	"table\tp\ttable\tfillfactor=70\t\t\t\t\tit's\t\n"
	"column\tp\tid\tinteger\t\t=nextval('public.p_id_seq'::regclass)\t\t\t\t\tserial\t\tn\n"
	"column\tp\tname\tcharacter varying(64)\t\t='x''y'::character varying\t\t\t\tback\\\\slash\t\t\tn\n"
	"column\tp\tk\tpublic.kinds\t'ssh','x509'\t='ssh'::public.kinds\t\t\t\t\t\t\t\n"
	"column\tp\tc\ttext\t\t-\tC\t\t\t\t\tSTORAGE EXTERNAL\t\n"
	"column\tp\tg\tinteger\t\t-\t\t(1 + 2) STORED\t\t\t\t\t\n"
	"column\tp\ti\tbigint\t\t-\t\t\t\t\tALWAYS\t\tn\n"
	"index\tp\tix\t(id > 5)\t\tc\t\tWITH (fillfactor=50)\t\t=lower((name)::text)\t\t.id\t DESC NULLS LAST\n"
	"pk\tp\tp_pkey\t\t\t\t\t\tuc\t.id\t\n"
	"index\tp\tu\t\t\t\t\tDEFERRABLE\tuc\t.name\t\t.id\t\n"
	"fk\tp\tp_id_fkey\tother.q\tCASCADE\tSET NULL\t\tNOT VALID\t\tid\ta\n"
	"check\tp\tp_id_check\t(id > 0)\t\n"
	"object\ttrigger\ttr\tp\tCREATE TRIGGER tr\t\tm\n"
	"object\tfunction\tf()\t\tCREATE FUNCTION f\t\tm\n"
	"object\tfunction\tg()\t\tCREATE FUNCTION g\t\tm\n"
	"object\tsequence\tp_id_seq\tp\tAS integer START 1 OWNED BY p.id\t\tma\n"
	"object\tenum type\tkinds\t\t'ssh', 'x509'\t\tm\n";

static void test_postgresql(void **state)
{
	(void)state;
	CLEANUP(schema_freep) struct schema *s = read_both("postgresql", pg_dump, pg_model);
	const struct table *t = table_of(s, "p");
	if (t->unmodelled)
		fail_msg("unmodelled: %s", t->unmodelled);
	assert_int_equal(s->n_tables, 1);
	assert_int_equal(s->n_objects, 5);
	assert_string_equal(t->pk_name, "p_pkey");
	assert_true(t->columns[0].autoincrement && t->columns[5].autoincrement && !t->columns[1].autoincrement);
	assert_string_equal(t->columns[0].identity, "serial");
	assert_string_equal(t->columns[2].labels, "'ssh','x509'");
	assert_string_equal(t->columns[3].collation, "C");
	assert_string_equal(t->indexes[0].parts, "lower((name)::text), id DESC NULLS LAST");
	assert_string_equal(t->indexes[0].where, "id > 5");
	assert_string_equal(t->indexes[0].include, "c");
	assert_true(t->indexes[1].constraint && t->indexes[1].unique && !t->indexes[1].automatic);
	assert_true(t->fks[0].automatic && t->checks[0].automatic);
	assert_string_equal(t->fks[0].parent, "other.q");
	assert_string_equal(t->fks[0].deferrable, "NOT VALID");
	assert_string_equal(t->checks[0].expr, "id > 0");
	assert_true(object_of(s, "sequence", "p_id_seq")->automatic);
	assert_int_equal(strncmp(t->text, "create table public.p", 21), 0);
	for (size_t i = 0; i < s->n_objects; i++)
		assert_true(s->objects[i].modelled);
}

/* ---- what does not fit together ---- */

static char *replaced(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	if (!at)
		fail_msg("no %s", from);
	return xasprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

/* The dump says something else than the catalogue: it is noted, in these words. */
static void noted(const char *engine, const char *dump, const char *model, const char *from, const char *to,
		  const char *why)
{
	AUTO_FREE char *other = replaced(dump, from, to);
	CLEANUP(schema_freep) struct schema *s = read_both(engine, other, model);
	const struct table *t = table_of(s, "p");
	if (!t->unmodelled || strncmp(t->unmodelled, why, strlen(why)) != 0)
		fail_msg("%s → %s: %s, not %s", from, to, t->unmodelled ? t->unmodelled : "nothing", why);
}

#define MY(from, to, why) noted("mariadb", my_dump, my_model, from, to, why)
#define PG(from, to, why) noted("postgresql", pg_dump, pg_model, from, to, why)

static void test_mariadb_unmodelled(void **state)
{
	(void)state;
	MY("`inv` int(11) INVISIBLE DEFAULT 3", "`inv` int(11) INVISIBLE DEFAULT 3 NEWFANGLED", "`inv` int(11)");
	MY("bigint(20) unsigned NOT", "bigint(21) unsigned NOT", "`id` bigint(21)");
	MY(" ON UPDATE current_timestamp()", "", "`ts`");
	MY(" AUTO_INCREMENT,", ",", "`id`");
	MY("'x''y'", "'x''z'", "`name`");
	MY(" VIRTUAL", " STORED", "`v`");
	MY("a \"v\"'", "a \"w\"'", "`v`");
	MY("json_valid(`j`)", "json_valid(`k`)", "`j`");
	MY("PRIMARY KEY (`id`)", "PRIMARY KEY (`id`) USING HASH", "PRIMARY KEY");
	MY("UNIQUE KEY `uq`", "KEY `uq`", "KEY `uq`");
	MY("UNIQUE KEY `uq`", "UNIQUE NEWFANGLED KEY `uq`", "UNIQUE NEWFANGLED KEY `uq`");
	MY("`name`(10)", "`name`(11)", "KEY `name`");
	MY("KEY `ft` (`j`)", "KEY `ft` (`j`) WITH PARSER ngram", "FULLTEXT KEY `ft`");
	MY(" ON DELETE CASCADE", "", "CONSTRAINT `p_ibfk_1`");
	MY("(`id` > 0)", "(`id` > 1)", "CONSTRAINT `CONSTRAINT_1`");
	MY("  UNIQUE KEY `uq` (`name`),\n", "", "the catalogue has more");
	MY("`id` > 0)\n", "`id` > 0),\n  PERIOD FOR SYSTEM_TIME (`a`, `b`)\n", "PERIOD FOR SYSTEM_TIME (`a`, `b`)");
	MY("ENGINE=InnoDB", "ENGINE=Aria", "ENGINE=Aria");
	MY("COMMENT='two\\nlines'", "COMMENT='two\\nline'", "COMMENT='two\\nline'");
	MY("KEY_BLOCK_SIZE=8", "KEY_BLOCK_SIZE=16", "KEY_BLOCK_SIZE=16");
	MY("ROW_FORMAT=DYNAMIC", "ROW_FORMAT=DYNAMIC ENCRYPTED=YES", "ENCRYPTED=YES");
	MY("CREATE TABLE `p`", "CREATE TABLE `o`", "it is not in the dump");
}

static void test_postgresql_unmodelled(void **state)
{
	(void)state;
	PG("id integer NOT NULL,", "id integer,", "id integer");
	PG("c text COLLATE pg_catalog.\"C\"", "c text COMPRESSION lz4", "c text COMPRESSION");
	PG("'ssh'::public.kinds,", "'x509'::public.kinds,", "k public.kinds");
	PG("WITH (fillfactor='70')", "WITH (fillfactor='70', x='1')", "WITH (fillfactor='70', x='1')");
	PG("\n)\nWITH", "\n)\nTABLESPACE x WITH", "TABLESPACE x");
	PG("'it''s'", "'its'", "COMMENT ON TABLE public.p");
	PG("'back\\slash'", "'backslash'", "COMMENT ON COLUMN");
	PG("GENERATED ALWAYS AS IDENTITY", "GENERATED BY DEFAULT AS IDENTITY", "ALTER TABLE public.p ALTER COLUMN i");
	PG("SET STORAGE EXTERNAL", "SET STORAGE MAIN", "ALTER TABLE ONLY public.p ALTER COLUMN c");
	PG("PRIMARY KEY (id)", "PRIMARY KEY (id, i)", "ALTER TABLE ONLY public.p ADD CONSTRAINT p_pkey");
	PG("UNIQUE (name, id)", "UNIQUE NULLS NOT DISTINCT (name, id)", "ALTER TABLE ONLY public.p ADD CONSTRAINT u");
	PG("SET NULL NOT VALID", "SET NULL (id) NOT VALID", "ALTER TABLE ONLY public.p ADD CONSTRAINT p_id_fkey");
	PG("INCLUDE (c)", "INCLUDE (i)", "CREATE INDEX ix");
	PG("WHERE (id > 5)", "", "CREATE INDEX ix");
	PG("USING btree", "USING brin", "CREATE INDEX ix");
	PG("CREATE INDEX ix", "CREATE UNIQUE INDEX ix", "CREATE UNIQUE INDEX ix");
	PG("CHECK ((id > 0))", "CHECK ((id > 0)) NO INHERIT", "CONSTRAINT p_id_check");
	PG("CREATE TRIGGER tr", "ALTER TABLE public.p NEWFANGLED;\nCREATE TRIGGER tr",
	   "ALTER TABLE public.p NEWFANGLED");
	PG("    g integer GENERATED ALWAYS AS ((1 + 2)) STORED,\n", "", "the catalogue has more");
}

static void unmodelled_object(const char *engine, const char *dump, const char *kind, const char *name,
			      const char *table)
{
	CLEANUP(schema_freep)
	struct schema *s = read_both(engine, dump, "table\tp\ttable\t\t\t\t\t\t\t\nobject\tfunction\tf()\t\tx\t\tm\n");
	const struct object *o = object_of(s, kind, name);
	assert_false(o->modelled);
	assert_string_equal(o->table, table);
	assert_true(o->text[0] != '\0');
}

/* Of a kind the model does not have, or not in the catalogue: kept as its text. */
static void test_objects_unmodelled(void **state)
{
	(void)state;
	unmodelled_object("postgresql", "CREATE RULE r AS ON INSERT TO public.p DO ALSO NOTHING;\n", "rule", "r", "p");
	unmodelled_object("postgresql", "CREATE POLICY \"x y\" ON public.p USING (true);\n", "policy", "x y", "p");
	unmodelled_object("postgresql", "CREATE AGGREGATE public.a(integer) (\n    SFUNC = int4pl\n);\n", "aggregate",
			  "a", "");
	unmodelled_object("postgresql", "CREATE EVENT TRIGGER et ON ddl_command_start EXECUTE FUNCTION public.f();\n",
			  "event trigger", "et", "");
	unmodelled_object("postgresql", "COMMENT ON VIEW public.v IS 'x';\n", "comment", "VIEW v", "");
	unmodelled_object("postgresql", "COMMENT ON CONSTRAINT c ON public.p IS 'x';\n", "comment", "CONSTRAINT c ON p",
			  "p");
	unmodelled_object("postgresql", "COMMENT ON POLICY c ON public.p IS 'x';\n", "comment", "POLICY c ON p", "p");
	unmodelled_object("postgresql", "CREATE VIEW public.v AS\n SELECT 1;\n", "view", "v", "");
	unmodelled_object("postgresql", "CREATE TYPE public.r AS RANGE (\n    subtype = integer\n);\n", "type", "r",
			  "");
	unmodelled_object("postgresql", "CREATE TABLE public.z (\n    a integer\n);\n", "table", "z", "z");
	unmodelled_object("mariadb", "CREATE TABLE `z` (\n  `a` int(11)\n);\n", "table", "z", "");
	unmodelled_object("mariadb", "CREATE SEQUENCE `z` start with 1;\n", "sequence", "z", "");
}

/* ---- the text of one table ---- */

static void test_table_text(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	assert_int_equal(schema_table_text(my_dump, strlen(my_dump), "mariadb", "p", &out), 2);
	assert_non_null(strstr(out.data, "TRIGGER tr"));
	buf_reset(&out);
	assert_int_equal(schema_table_text(pg_dump, strlen(pg_dump), "postgresql", "P", &out), 12);
	assert_null(strstr(out.data, "CREATE TYPE"));
	assert_non_null(strstr(out.data, "CREATE INDEX ix"));
	buf_reset(&out);
	assert_int_equal(schema_table_text(pg_dump, strlen(pg_dump), "postgresql", "x", &out), 0);
}

/* ---- hostile text ---- */

static void read_within(const char *engine, const struct buf *dump, const struct buf *model)
{
	enum { LIMIT_MS = 30000 };
	struct err err = ERR_INIT;
	mono_ms begun = clock_mono();
	const struct schema_text text = {dump->data, dump->len, model->data, model->len};
	struct schema *s = schema_read(engine, &text, &err);
	assert_true(s || err.reach == ERR_STEP);
	schema_free(s);
	assert_in_range(clock_mono() - begun, 0, LIMIT_MS);
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
	enum { LARGE = 8 << 20 };
	static const char *const engines[] = {"mariadb", "postgresql"};
	AUTO_BUF dump = buf_make(BUF_TEXT_MAX);
	AUTO_BUF model = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		const char *e = engines[i];
		repeat(&dump, "CREATE TABLE p (", "a int,", LARGE, ")");
		repeat(&model, "table\tp\ttable\t\t\t\t\t\t\t\n", "column\tp\tb\tint\t\t-\t\t\t\t\t\t\t\n", 60000, "");
		read_within(e, &dump, &model);
		repeat(&dump, "", "CREATE TABLE p (a int);", LARGE, "");
		read_within(e, &dump, &model);
		repeat(&dump, "", "ALTER TABLE p ALTER COLUMN a SET DEFAULT 1;", LARGE, "");
		read_within(e, &dump, &model);
		repeat(&dump, "CREATE TABLE p ", "(", LARGE, "");
		read_within(e, &dump, &model);
		repeat(&dump, "", "$a", LARGE, "");
		read_within(e, &dump, &model);
		repeat(&dump, "", "/* ", LARGE, "");
		read_within(e, &dump, &model);
		repeat(&dump, "", "DELIMITER ;;\n", LARGE, "");
		read_within(e, &dump, &model);
		repeat(&dump, "", "CREATE RULE x AS ON INSERT TO y DO NOTHING;", LARGE, "");
		read_within(e, &dump, &model);
		buf_reset(&dump);
		repeat(&model, "", "check\tp\ta\t(((1\t\n", LARGE, "");
		read_within(e, &dump, &model);
		repeat(&model, "table\tp\ttable\t\t\t\t\t\t\t\nindex\tp\ti\t\t\t\t\t\t", "\t.a\t", LARGE, "\n");
		read_within(e, &dump, &model);
		repeat(&model, "table\tp\ttable\t\t\t\t\t\t\t\ncheck\tp\ti\t", "(", LARGE, "\t\n");
		read_within(e, &dump, &model);
		repeat(&model, "table\tp\ttable\t\t\t\t\t\t\t\ncheck\tp\ti\t", "(", LARGE, "");
		repeat(&dump, "", ")", LARGE, "\t\n");
		buf_adds(&model, dump.data);
		buf_reset(&dump);
		read_within(e, &dump, &model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_mariadb),
		cmocka_unit_test(test_postgresql),
		cmocka_unit_test(test_mariadb_unmodelled),
		cmocka_unit_test(test_postgresql_unmodelled),
		cmocka_unit_test(test_objects_unmodelled),
		cmocka_unit_test(test_table_text),
		cmocka_unit_test(test_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
