/* SPDX-License-Identifier: MIT */
/* Adapter files are checked with their places, overridden as a recipe does, compiled into a walk, and found in a
 * checkout. What their snippets do is tests/e2e/adapters.sh, which gets them from `test_adapter --write`. */
#include "migrations/adapter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/template.h"

static char home[] = "/tmp/stepbox-test-adapter-XXXXXX";

static void put(const char *path, const char *text)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *full = xasprintf("%s/%s", home, path);
	AUTO_FREE char *dir = xstrdup(full);
	*strrchr(dir, '/') = '\0';
	if (fs_mkdirs(dir, 0700, &err) < 0 || fs_write(full, text, strlen(text), 0600, &err) < 0)
		fail_msg("%s", err.msg);
}

static void put_tool(const char *name, const char *text)
{
	AUTO_FREE char *path = xasprintf("config/stepbox/adapters/%s.yaml", name);
	put(path, text);
}

static void remove_tool(const char *name)
{
	AUTO_FREE char *path = xasprintf("%s/config/stepbox/adapters/%s.yaml", home, name);
	unlink(path);
}

/* The error an adapter file of the user's gives. */
static void expect_bad(const char *text, const char *wanted)
{
	struct err err = ERR_INIT;
	put_tool("mine", text);
	struct adapter *a = adapter_load_tool("mine", &err);
	remove_tool("mine");
	assert_null(a);
	assert_int_equal(err.reach, ERR_USER);
	if (!strstr(err.msg, wanted))
		fail_msg("\"%s\" is not in: %s", wanted, err.msg);
}

#define MINIMAL "name: mine\nbrief: b\nlist: l\nup: u\ncurrent: c\n"

static void test_bundled_load(void **state)
{
	(void)state;
	for (int database = 0; database < 2; database++) {
		json_t *names = adapter_names(database), *name;
		size_t i;
		assert_true(json_array_size(names) >= (database ? 1U : 5U));
		json_array_foreach (names, i, name) {
			struct err err = ERR_INIT;
			const char *s = json_string_value(name);
			CLEANUP(adapter_freep)
			struct adapter *a = database ? adapter_load_database(s, &err) : adapter_load_tool(s, &err);
			if (!a)
				fail_msg("%s", err.msg);
			assert_string_equal(adapter_name(a), s);
			assert_true(database || adapter_get(a, "starter"));
			/* Each tool says whether it has been run, or why not. (fresh is none.) */
			if (!database && json_object_get(adapter_json(a), "detect"))
				assert_true(!adapter_get(a, "tested") != !adapter_get(a, "untested"));
		}
		json_decref(names);
	}
}

static void test_bad_files(void **state)
{
	(void)state;
	expect_bad("name: mine\nbrief: b\nlst: l\n", "mine.yaml:3:1: lst: no such key; did you mean list?");
	expect_bad("name: mine\nbrief: b\nlook: l\n", "mine.yaml:3:1: look: no such key");
	expect_bad("name: other\nbrief: b\nlist: l\nup: u\ncurrent: c\n", ":1:1: name: other, but the file is called");
	expect_bad("name: mine\nbrief: b\nlist: l\ncurrent: c\n", "up: missing");
	expect_bad("name: mine\nbrief: b\nlist: l\nup: u\n", "exactly one of current and version_sql");
	expect_bad(MINIMAL "version_sql: s\n", "exactly one of current and version_sql");
	expect_bad(MINIMAL "refused: '('\n", "mine.yaml:6:1: refused: ");
	expect_bad(MINIMAL "warm: import x\n", "warm: an option `python`, the interpreter, is wanted with it");
	expect_bad(MINIMAL "options: {python: p}\nvariants: [{name: v, when: w, warm: [a]}]\n",
		   "warm: a text is wanted");
	expect_bad(MINIMAL "options: {cold: x}\n", "cold: this name has a meaning of its own");
	expect_bad(MINIMAL "applied: yes\n", "applied: yes: true or false");
	expect_bad(MINIMAL "rank: many\n", "mine.yaml:6:1: rank: ");
	expect_bad(MINIMAL "options: [a]\n", "a mapping is wanted");
	expect_bad(MINIMAL "options: {Big: a}\n", "Big: an option is called");
	expect_bad(MINIMAL "options: {from: a}\n", "from: this name has a meaning of its own");
	expect_bad(MINIMAL "options: {up: a}\n", "up: an option cannot have the name of a key");
	expect_bad(MINIMAL "env: {A: [1]}\n", "A: a text is wanted");
	expect_bad(MINIMAL "detect: [/etc/passwd]\n", "a path below the checkout");
	expect_bad(MINIMAL "detect: [a/../../b]\n", "a path below the checkout");
	expect_bad(MINIMAL "variants: x\n", "variants: a list");
	expect_bad(MINIMAL "variants: [{name: v}]\n", "when: missing");
	expect_bad(MINIMAL "variants:\n  - name: v\n    when: w\n    applied: 'true'\n",
		   "mine.yaml:9:5: applied: no such key");
	expect_bad(MINIMAL "variants: [{name: v, when: w, version_sql: s}]\n", "version_sql: the tool has `current`");
	expect_bad("[]\n", "a migration tool is a mapping");
	expect_bad("", "mine");
}

static void test_unknown_names(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_null(adapter_load_tool("alembik", &err));
	assert_string_equal(err.msg, "alembik: no such migration tool; did you mean alembic?");
	assert_null(adapter_load_tool("zzzzzzzz", &err));
	assert_non_null(strstr(err.msg, "known: alembic, dbmate, "));
	assert_null(adapter_load_tool("../databases/sqlite", &err));
	assert_non_null(strstr(err.msg, "no such migration tool"));
	assert_null(adapter_load_tool("\033[31m", &err));
	assert_null(strchr(err.msg, '\033'));
	assert_null(adapter_load_database("sqlit", &err));
	assert_string_equal(err.msg, "sqlit: no such database; did you mean sqlite?");
	err_clear(&err);
	assert_null(adapter_load_database("mysql", &err));
	assert_string_equal(err.msg,
			    "mysql: no such database; did you mean mariadb, which is what Debian has in its place?");
}

static void test_user_file_wins(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	put_tool("alembic", "name: alembic\nbrief: of my own\nlist: l\nup: u\ncurrent: c\n");
	struct adapter *a = adapter_load_tool("alembic", &err);
	remove_tool("alembic");
	assert_non_null(a);
	assert_string_equal(adapter_get(a, "brief"), "of my own");
	adapter_free(a);
	adapter_free(NULL);
}

static void test_override(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(adapter_freep) struct adapter *a = adapter_load_tool("nova-manage", &err);
	assert_non_null(a);
	assert_int_equal(adapter_override(a, "config_file", "/x", &err), 0);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(adapter_json(a), "options"), "config_file")), "/x");
	/* In all variants, whichever fits the checkout. */
	assert_int_equal(adapter_override(a, "step", "mine", &err), 0);
	assert_string_equal(adapter_get(a, "up"), "mine");
	json_t *variant;
	size_t i;
	json_array_foreach (json_object_get(adapter_json(a), "variants"), i, variant)
		assert_null(json_object_get(variant, "up"));
	assert_int_equal(adapter_override(a, "current", "cat current", &err), 0);
	assert_null(adapter_get(a, "version_sql"));
	assert_int_equal(adapter_override(a, "version_sql", "SELECT 1", &err), 0);
	assert_null(adapter_get(a, "current"));
	assert_int_equal(adapter_override(a, "confg_file", "x", &err), -1);
	assert_string_equal(err.msg,
			    "confg_file: no such key of migration tool nova-manage; did you mean config_file?");
	assert_int_equal(adapter_override(a, "starter", "x", &err), -1);
	assert_int_equal(adapter_override(a, "applied", "maybe", &err), -1);
	assert_int_equal(adapter_override(a, "refused", "(", &err), -1);
	assert_int_equal(adapter_override(a, "step", "go", &err), 0);
	assert_string_equal(adapter_get(a, "up"), "go");
}

static json_t *vars_of(const struct adapter *db, const char *name, const char *dir)
{
	struct err err = ERR_INIT;
	json_t *vars = json_pack("{s:s, s:s}", "name", name, "source.dir", dir);
	if (adapter_database_vars(db, vars, &err) < 0)
		fail_msg("%s", err.msg);
	return vars;
}

static const char *var(const json_t *vars, const char *name)
{
	return json_string_value(json_object_get(vars, name));
}

static void test_database_vars(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(adapter_freep) struct adapter *db = adapter_load_database("sqlite", &err);
	json_t *vars = vars_of(db, "shop", "/srv/shop");
	assert_string_equal(var(vars, "database.engine"), "sqlite");
	assert_string_equal(var(vars, "database.file"), "/var/tmp/shop.sqlite");
	assert_string_equal(var(vars, "database.url"), "sqlite:////var/tmp/shop.sqlite");
	assert_null(var(vars, "file"));
	json_decref(vars);
	assert_int_equal(adapter_override(db, "file", "${source.dir}/my db", &err), 0);
	vars = vars_of(db, "shop", "/srv/shop");
	assert_string_equal(var(vars, "database.url"), "sqlite:////srv/shop/my db");
	json_decref(vars);
	assert_int_equal(adapter_override(db, "file", "${nam}", &err), 0);
	vars = json_pack("{s:s}", "name", "shop");
	assert_int_equal(adapter_database_vars(db, vars, &err), -1);
	assert_non_null(strstr(err.msg, "database sqlite: file: ${nam}: no such variable; did you mean ${name}?"));
	json_decref(vars);
	assert_int_equal(adapter_override(db, "fil", "x", &err), -1);
	assert_string_equal(err.msg, "fil: no such key of database sqlite; did you mean file?");
}

/* A server: `name` of the recipe and `name` of the database are two things, and every style of URL has the socket. */
static void test_server_vars(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP(adapter_freep) struct adapter *db = adapter_load_database("postgresql", &err);
	assert_non_null(db);
	json_t *vars = vars_of(db, "shop", "/srv/shop");
	assert_string_equal(var(vars, "name"), "shop");
	assert_string_equal(var(vars, "database.name"), "app");
	assert_string_equal(var(vars, "database.url"),
			    "postgresql+psycopg2://postgres@/app?host=/var/tmp/shop.postgresql");
	json_decref(vars);
	adapter_freep(&db);
	db = adapter_load_database("mariadb", &err);
	assert_non_null(db);
	assert_int_equal(adapter_override(db, "name", "nova", &err), 0);
	vars = vars_of(db, "shop", "/srv/shop");
	assert_string_equal(
		var(vars, "database.url"),
		"mysql+pymysql://root@localhost/nova?unix_socket=/var/tmp/shop.mariadb/socket&charset=utf8mb4");
	assert_string_equal(var(vars, "database.dsn"), "root@unix(/var/tmp/shop.mariadb/socket)/nova");
	json_decref(vars);
}

static void walk_of(const struct adapter *tool, struct plan_walk *w, json_t **keep)
{
	struct err err = ERR_INIT;
	CLEANUP(adapter_freep) struct adapter *db = adapter_load_database("sqlite", &err);
	json_t *vars = vars_of(db, "shop", "/srv/shop");
	memset(w, 0, sizeof(*w));
	if (adapter_walk(tool, db, vars, w, keep, &err) < 0)
		fail_msg("%s", err.msg);
	json_decref(vars);
}

static void test_walk(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct plan_walk w;
	json_t *keep;
	CLEANUP(adapter_freep) struct adapter *tool = adapter_load_tool("nova-manage", &err);
	walk_of(tool, &w, &keep);
	assert_string_equal(w.tool, "nova-manage");
	assert_null(w.down);
	assert_null(w.current);
	assert_false(w.applied);
	assert_non_null(strstr(w.up, "--config-file \"/etc/nova/nova.conf\""));
	/* A literal: the quotes inside are doubled. */
	assert_non_null(strstr(w.look, "repository_id = ''nova'' "));
	assert_non_null(strstr(w.look, "'migrate_version'"));
	assert_int_equal(w.n_variants, 3);
	assert_string_equal(w.variants[0].name, "alembic");
	assert_non_null(strstr(w.variants[0].look, "'alembic_version'"));
	assert_null(w.variants[1].look);
	assert_string_equal(w.variants[1].up, w.variants[0].up);
	assert_non_null(w.variants[2].down);
	assert_null(w.variants[2].up);
	json_decref(keep);
}

/* All tools with all databases: every name that is filled in is there. */
static void test_all_pairs(void **state)
{
	(void)state;
	json_t *tools = adapter_names(false), *dbs = adapter_names(true), *t, *d;
	size_t i, j;
	assert_true(json_array_size(tools) >= 20);
	json_array_foreach (tools, i, t)
		json_array_foreach (dbs, j, d) {
			struct err err = ERR_INIT;
			struct plan_walk w = {0};
			json_t *keep = NULL, *history = NULL;
			CLEANUP(adapter_freep)
			struct adapter *tool = adapter_load_tool(json_string_value(t), &err);
			CLEANUP(adapter_freep) struct adapter *db = adapter_load_database(json_string_value(d), &err);
			json_t *vars = vars_of(db, "shop", "/srv/shop");
			if (adapter_walk(tool, db, vars, &w, &keep, &err) < 0 ||
			    adapter_history(tool, vars, &history, &err) < 0)
				fail_msg("%s", err.msg);
			json_decref(keep);
			json_decref(history);
			json_decref(vars);
		}
	json_decref(tools);
	json_decref(dbs);
}

static void up_of(const char *tool_name, const char *engine, const char *wanted)
{
	struct err err = ERR_INIT;
	struct plan_walk w = {0};
	json_t *keep = NULL;
	CLEANUP(adapter_freep) struct adapter *tool = adapter_load_tool(tool_name, &err);
	CLEANUP(adapter_freep) struct adapter *db = adapter_load_database(engine, &err);
	json_t *vars = vars_of(db, "shop", "/srv/shop");
	assert_int_equal(adapter_walk(tool, db, vars, &w, &keep, &err), 0);
	if (!strstr(w.up, wanted))
		fail_msg("no %s in: %s", wanted, w.up);
	json_decref(keep);
	json_decref(vars);
}

/* A database as each tool wants it said. */
static void test_urls(void **state)
{
	(void)state;
	up_of("goose", "sqlite", "U=\"sqlite3 /var/tmp/shop.sqlite\"");
	up_of("goose", "postgresql",
	      "U=\"postgres host=/var/tmp/shop.postgresql user=postgres dbname=app sslmode=disable\"");
	up_of("goose", "mariadb", "U=\"mysql root@unix(/var/tmp/shop.mariadb/socket)/app?parseTime=true\"");
	up_of("dbmate", "sqlite", "--url \"sqlite:/var/tmp/shop.sqlite\"");
	up_of("flyway", "postgresql", "AFUNIXSocketFactory\\$FactoryArg&");
	/* A tool without a word of its own for this engine gets the general URL. */
	put_tool("mine", "name: mine\nbrief: b\nlist: l\nup: u ${tool.url}\ncurrent: c\nurls: {postgresql: pg}\n");
	up_of("mine", "sqlite", "u sqlite:////var/tmp/shop.sqlite");
	up_of("mine", "postgresql", "u pg");
	remove_tool("mine");
}

static void test_database_of_a_user(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	put("config/stepbox/adapters/databases/duck.yaml", "name: duck\nbrief: b\nurl: duck:${name}\nlook: l\n");
	put("config/stepbox/adapters/databases/sqlite.yaml", "name: sqlite\nbrief: of my own\nurl: u\nlook: l\n");
	put("config/stepbox/adapters/duck.yaml", "name: duck\nbrief: no database\nlist: l\nup: u\ncurrent: c\n");
	json_t *names = adapter_names(true);
	assert_string_equal(json_string_value(json_array_get(names, 0)), "duck");
	json_decref(names);
	struct adapter *a = adapter_load_database("duck", &err);
	assert_non_null(a);
	json_t *vars = vars_of(a, "shop", "/srv/shop");
	assert_string_equal(var(vars, "database.url"), "duck:shop");
	json_decref(vars);
	adapter_free(a);
	a = adapter_load_database("sqlite", &err);
	assert_non_null(a);
	assert_string_equal(adapter_get(a, "brief"), "of my own");
	adapter_free(a);
	put("config/stepbox/adapters/databases/sqlite.yaml", "name: sqlite\nbrief: b\nurl: u\nlok: l\n");
	assert_null(adapter_load_database("sqlite", &err));
	assert_non_null(strstr(err.msg, "databases/sqlite.yaml:4:1: lok: no such key; did you mean look?"));
	AUTO_FREE char *dir = xasprintf("%s/config/stepbox/adapters", home);
	assert_int_equal(fs_remove_tree(dir, &err), 0);
}

/* A loaded tool runs what stands behind the interpreter in up and down, unless a recipe has a way of its own. */
static void test_warm(void **state)
{
	(void)state;
	static const char *const tools[] = {"nova-manage", "keystone-manage", "alembic", "django",
					    "sqlalchemy-migrate"};
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		for (int how = 0; how < 4; how++) { /* as it is, other words, an own way down, cold */
			struct err err = ERR_INIT;
			struct plan_walk w = {0};
			json_t *keep;
			CLEANUP(adapter_freep) struct adapter *tool = adapter_load_tool(tools[i], &err);
			assert_non_null(tool);
			assert_int_equal(adapter_override(tool, "python", "/opt/v/bin/python -W error", &err), 0);
			if (how == 1)
				assert_int_equal(adapter_override(tool, "refused", "never", &err), 0);
			if (how == 2)
				assert_int_equal(adapter_override(tool, "down", "exec ${python} down", &err), 0);
			if (how == 3)
				adapter_cold(tool);
			walk_of(tool, &w, &keep);
			bool warm = how < 2;
			assert_int_equal(w.warm != NULL, warm);
			assert_int_equal(w.interpreter != NULL, warm);
			assert_int_equal(strstr(w.up, "stepbox_warm /opt/v/bin/python -W error ") != NULL, warm);
			assert_non_null(strstr(w.up, "/opt/v/bin/python -W error "));
			assert_null(strstr(w.list, "stepbox_warm"));
			if (how == 2)
				assert_string_equal(w.down, "exec /opt/v/bin/python -W error down");
			for (size_t v = 0; v < w.n_variants; v++)
				assert_true(warm || !w.variants[v].warm);
			json_decref(keep);
		}
	}
}

static void test_walk_of_overrides(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct plan_walk w;
	json_t *keep;
	CLEANUP(adapter_freep) struct adapter *tool = adapter_load_tool("django", &err);
	assert_int_equal(
		adapter_override(tool, "up", "run ${python} ${database.url} $VERSION ${VERSION%%.*} $${file}", &err),
		0);
	assert_int_equal(adapter_override(tool, "python", "/venv/bin/python", &err), 0);
	assert_int_equal(adapter_override(tool, "down", "", &err), 0);
	assert_int_equal(adapter_override(tool, "applied", "false", &err), 0);
	walk_of(tool, &w, &keep);
	assert_string_equal(w.up,
			    "run /venv/bin/python sqlite:////var/tmp/shop.sqlite $VERSION ${VERSION%%.*} ${file}");
	assert_null(w.down);
	assert_false(w.applied);
	json_decref(keep);

	CLEANUP(adapter_freep) struct adapter *db = adapter_load_database("sqlite", &err);
	json_t *vars = vars_of(db, "shop", "/srv/shop");
	assert_int_equal(adapter_override(tool, "list", "ls ${settngs}", &err), 0);
	assert_int_equal(adapter_walk(tool, db, vars, &w, &keep, &err), -1);
	assert_non_null(strstr(err.msg,
			       "migration tool django: list: ${settngs}: no such variable; did you mean ${settings}?"));
	json_decref(keep);
	json_decref(vars);
}

static void test_applied_and_current(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct plan_walk w;
	json_t *keep;
	CLEANUP(adapter_freep) struct adapter *tool = adapter_load_tool("plain-sql", &err);
	walk_of(tool, &w, &keep);
	assert_true(w.applied);
	assert_non_null(w.current);
	assert_non_null(strstr(w.up, "sqlite3 -batch -bail -init /dev/null \"/var/tmp/shop.sqlite\" <\"$F\""));
	json_decref(keep);
}

/* Makes the files ("PATH" or "PATH=TEXT") in a fresh checkout and asks what is used there. */
static void expect_found(const char *const *files, const char *tool, const char *why)
{
	struct err err = ERR_INIT;
	char found[ADAPTER_NAME_SIZE] = "", seen[ADAPTER_FOUND_SIZE] = "";
	/* The checkout's own path is full of wildcards. */
	AUTO_FREE char *checkout = xasprintf("%s/check[o]ut *", home);
	assert_int_equal(fs_remove_tree(checkout, &err), 0);
	assert_int_equal(fs_mkdirs(checkout, 0700, &err), 0);
	for (; *files; files++) {
		const char *equals = strchr(*files, '=');
		size_t len = equals ? (size_t)(equals - *files) : strlen(*files);
		AUTO_FREE char *path = xasprintf("check[o]ut */%.*s", (int)len, *files);
		put(path, equals ? equals + 1 : "");
	}
	int rc = adapter_detect(checkout, found, seen, &err);
	if (rc < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(rc, tool != NULL);
	assert_string_equal(found, tool ? tool : "");
	assert_string_equal(seen, why);
}

#define FILES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_detect(void **state)
{
	(void)state;
	expect_found(FILES("README"), NULL, "");
	expect_found(FILES("alembic.ini", "migrations/1_a.sql"), "alembic", "alembic.ini");
	expect_found(FILES("migrations/1_a.sql"), "plain-sql", "migrations/1_a.sql");
	expect_found(FILES("migrations/sqlite/2018_a/up.sql", "migrations/mysql/2018_a/up.sql"), "plain-sql",
		     "migrations/mysql/2018_a/up.sql");
	expect_found(FILES("manage.py", "app/migrations/0001_initial.py"), "django", "manage.py");
	expect_found(FILES("nova/db/sqlalchemy/migrate_repo/migrate.cfg", "nova/db/main/alembic.ini"), "nova-manage",
		     "nova/db/sqlalchemy/migrate_repo/migrate.cfg");
	expect_found(FILES("glance/db/sqlalchemy/migrate_repo/migrate.cfg", "glance/db/sqlalchemy/alembic.ini"),
		     "sqlalchemy-migrate", "glance/db/sqlalchemy/migrate_repo/migrate.cfg");
	expect_found(FILES("securedrop/alembic.ini", "securedrop/manage.py"), "alembic", "securedrop/alembic.ini");
	put_tool("mine", MINIMAL "detect: alembic.ini\nrank: 1\n");
	expect_found(FILES("alembic.ini"), "mine", "alembic.ini");
	remove_tool("mine");
}

static void expect_starter(const char *tool, const char *found, const char *wanted);

#define GOOSE   "-- +goose Up\nCREATE TABLE a (x);\n-- +goose Down\n"
#define DBMATE  "-- migrate:up\n-- migrate:down\n"
#define TYPEORM "import { DataSource } from 'typeorm'\nexport const AppDataSource = new DataSource({})\n"

/* The layouts of real projects, and those that look alike. */
static void test_detect_layouts(void **state)
{
	(void)state;
	expect_found(FILES("config/application.rb=class A < Rails::Application", "db/migrate/1_a.rb", "package.json",
			   "db/migrate/old.sql"),
		     "rails", "config/application.rb");
	expect_found(FILES("db/migrate/1_a.rb=class A < ActiveRecord::Migration[7.0]"), "rails", "db/migrate/1_a.rb");
	expect_found(FILES("bin/rails", "Rakefile"), NULL, "");
	expect_found(FILES("prisma/schema.prisma", "prisma/migrations/1_a/migration.sql"), "prisma",
		     "prisma/schema.prisma");
	expect_found(FILES("apps/web/prisma/schema.prisma"), "prisma", "apps/web/prisma/schema.prisma");
	static const char *const knexfiles[] = {"knexfile.js", "knexfile.ts", "knexfile.cjs", "knexfile.mjs",
						"api/knexfile.ts"};
	for (size_t i = 0; i < ARRAY_SIZE(knexfiles); i++)
		expect_found(FILES(knexfiles[i], "migrations/1_a.js", "migrations/1_a.sql"), "knex", knexfiles[i]);
	expect_found(FILES(".sequelizerc", "migrations/1-a.js"), "sequelize", ".sequelizerc");
	expect_found(FILES("migrations/1-a.js=up: (queryInterface) => 1", "package.json={\"sequelize\": 1}"),
		     "sequelize", "migrations/1-a.js");
	expect_found(FILES("migrations/1-a.js=up: (queryInterface) => 1", "package.json={}"), NULL, "");
	expect_found(FILES("src/data-source.ts=" TYPEORM, "src/migrations/1-A.ts"), "typeorm", "src/data-source.ts");
	expect_found(FILES("src/db/a.ts", "src/db/connection.ts=" TYPEORM, "package.json={\"typeorm\": 1}"), "typeorm",
		     "src/db/connection.ts");
	expect_found(FILES("src/db/connection.ts=" TYPEORM, "package.json={}"), NULL, "");
	expect_found(FILES("flyway.toml", "migrations/V1__a.sql"), "flyway", "migrations/V1__a.sql");
	expect_found(FILES("conf/flyway.toml", "db/x.sql"), "flyway", "conf/flyway.toml");
	expect_found(FILES("src/main/resources/db/migration/V1.1__a.sql", "pom.xml"), "flyway",
		     "src/main/resources/db/migration/V1.1__a.sql");
	expect_found(FILES("migrations/V1__a.sql", "migrations/U1__a.sql"), "flyway", "migrations/V1__a.sql");
	expect_found(FILES("liquibase.properties", "changelog.xml"), "liquibase", "liquibase.properties");
	expect_found(FILES("src/main/resources/db/changelog/001.xml=<databaseChangeLog",
			   "src/main/resources/db/changelog/db.changelog-master.yaml=databaseChangeLog:"),
		     "liquibase", "src/main/resources/db/changelog/db.changelog-master.yaml");
	expect_found(FILES("CHANGELOG.md", "changelog.txt=we fixed things"), NULL, "");
	expect_found(FILES("internal/migrations/00001_a.sql=" GOOSE, "go.mod=github.com/golang-migrate/migrate"),
		     "goose", "internal/migrations/00001_a.sql");
	expect_found(FILES("db/migrations/1_a.sql=" DBMATE), "dbmate", "db/migrations/1_a.sql");
	expect_found(FILES("migrations/1_a.sql=-- the first\n" DBMATE, "Cargo.toml=sqlx = 1"), "dbmate",
		     "migrations/1_a.sql");
	expect_found(FILES("migrations/1_a.up.sql", "migrations/1_a.down.sql"), "plain-sql", "migrations/1_a.down.sql");
	expect_found(FILES("migrations/1_a.up.sql", "go.mod=require github.com/golang-migrate/migrate/v4 v4.19.1"),
		     "golang-migrate", "migrations/1_a.up.sql");
	expect_found(
		FILES("db/migrations/1_a.up.sql", "Makefile=up:\n\tmigrate -path db/migrations -database $(DB) up"),
		"golang-migrate", "db/migrations/1_a.up.sql");
	expect_found(FILES("migrations/1_a.up.sql", "Cargo.toml=[dependencies]\nsqlx = \"0.8\"\n"), "sqlx",
		     "migrations/1_a.up.sql");
	expect_found(FILES("api/migrations/1_a.sql", "api/Cargo.toml=[dependencies.sqlx]\n"), "sqlx",
		     "api/migrations/1_a.sql");
	expect_found(FILES("diesel.toml", "migrations/2018_a/up.sql", "Cargo.toml=sqlx = 1"), "diesel", "diesel.toml");
	expect_found(FILES("migrations/2018-01-01-000000_a/up.sql", "Cargo.toml=diesel = \"2\"\n"), "diesel",
		     "migrations/2018-01-01-000000_a/up.sql");
	expect_found(FILES("mix.exs", "priv/repo/migrations/1_a.exs"), "ecto", "priv/repo/migrations/1_a.exs");
	expect_found(FILES("mix.exs", "apps/shop/priv/repo/migrations/1_a.exs"), "ecto",
		     "apps/shop/priv/repo/migrations/1_a.exs");
	expect_found(FILES("config/packages/doctrine_migrations.yaml", "migrations/Version1.php"), "doctrine",
		     "config/packages/doctrine_migrations.yaml");
	expect_found(FILES("migrations.php=return ['migrations_paths' => []];"), "doctrine", "migrations.php");
	expect_found(FILES("src/Migrations/Version1.php=use Doctrine\\Migrations\\AbstractMigration;"), "doctrine",
		     "src/Migrations/Version1.php");
	expect_found(FILES("phinx.yml", "db/migrations/1_a.php"), "phinx", "phinx.yml");
	expect_found(FILES("db/migrations/1_a.php=use Phinx\\Migration\\AbstractMigration;"), "phinx",
		     "db/migrations/1_a.php");
}

/* What is not read, because it is no regular file or too big, says nothing. */
static void test_detect_unreadable(void **state)
{
	(void)state;
	AUTO_FREE char *big = xasprintf("migrations/1.sql=%*s\n" DBMATE, 300 << 10, "");
	expect_found(FILES(big), "plain-sql", "migrations/1.sql");
	expect_found(FILES("db/migrations/dir.sql/inside", "db/migrations/2.sql=" DBMATE), "dbmate",
		     "db/migrations/2.sql");
}

static void test_detect_of_a_user(void **state)
{
	(void)state;
	put_tool("mine", MINIMAL
		 "rank: 1\ndetect:\n  - {file: 'db/*/x', text: '^a', beside: y, beside_text: 'b$', up: 1}\n"
		 "starter: 'migrations: {tool: mine, directory: FOUND_DIR, file: FOUND_FILE, root: FOUND_ROOT}'\n");
	expect_found(FILES("db/1/x=b", "db/2/x=c\nab", "y=a\nab\n"), "mine", "db/2/x");
	expect_found(FILES("db/2/x=ca", "y=ab"), NULL, "");
	expect_found(FILES("db/2/x=a", "y=ba"), NULL, "");
	expect_found(FILES("db/2/x=a"), NULL, "");
	expect_starter("mine", "db/2/x", "directory: db, file: db/2/x, root: db}");
	remove_tool("mine");
	expect_bad(MINIMAL "detect: [{text: a}]\n", "detect: file: missing");
	expect_bad(MINIMAL "detect: [{file: a, txt: a}]\n", "txt: no such key; did you mean text?");
	expect_bad(MINIMAL "detect: [{file: a, text: '('}]\n", "detect: text: ");
	expect_bad(MINIMAL "detect: [{file: ../a}]\n", "a path below the checkout");
	expect_bad(MINIMAL "detect: [{file: a, beside: /b}]\n", "a path below the checkout");
	expect_bad(MINIMAL "detect: [{file: a, beside_text: b}]\n", "beside is missing");
	expect_bad(MINIMAL "detect: [{file: a, up: -1}]\n", "detect: up: ");
	expect_bad(MINIMAL "detect: [{file: [a]}]\n", "detect: file: a text");
	expect_bad(MINIMAL "tested: a\nuntested: b\n", "untested: and yet tested?");
}

static void expect_starter(const char *tool, const char *found, const char *wanted)
{
	struct err err = ERR_INIT;
	CLEANUP(adapter_freep) struct adapter *a = adapter_load_tool(tool, &err);
	assert_non_null(a);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	adapter_starter(a, found, &out);
	assert_null(strstr(out.data, "FOUND_"));
	if (!strstr(out.data, wanted))
		fail_msg("no %s in: %s", wanted, out.data);
	/* What `init` writes is YAML. */
	struct yaml y = {0};
	if (yaml_parse(&y, tool, out.data, out.len, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(json_string_value(json_object_get(json_object_get(y.root, "migrations"), "tool")), tool);
	yaml_finish(&y);
}

static void test_starter(void **state)
{
	(void)state;
	expect_starter("alembic", "securedrop/alembic.ini", "  directory: securedrop\n");
	expect_starter("alembic", "alembic.ini", "  directory: .\n");
	expect_starter("alembic", NULL, "  directory: .\n");
	expect_starter("plain-sql", "migrations/mysql/2018_a/up.sql", "  directory: migrations\n");
	expect_starter("plain-sql", "db/migrations/1.sql", "  directory: db/migrations\n");
	expect_starter("plain-sql", NULL, "  directory: migrations\n");
	expect_starter("sqlalchemy-migrate", "a/b/migrate.cfg", "  repository: a/b\n");
	expect_starter("sqlalchemy-migrate", NULL, "  repository: migrate_repo\n");
	expect_starter("nova-manage", "nova/db/main/alembic.ini", "connection = ${database.url}\n");
	expect_starter("django", "manage.py", "  directory: .\n");
	expect_starter("prisma", "prisma/schema.prisma", "  directory: .\n");
	expect_starter("prisma", "apps/web/prisma/schema.prisma", "  directory: apps/web\n");
	expect_starter("sequelize", "api/migrations/1.js", "  directory: api\n");
	expect_starter("sequelize", "api/.sequelizerc", "  directory: api\n");
	expect_starter("ecto", "apps/shop/priv/repo/migrations/1_a.exs", "  directory: apps/shop\n");
	expect_starter("typeorm", "src/db/source.ts", "  data_source: src/db/source.ts\n");
	expect_starter("typeorm", NULL, "  data_source: src/data-source.js\n");
	expect_starter("knex", "knexfile.ts", "  directory: .\n");
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(home))
		return -1;
	AUTO_FREE char *config = xasprintf("%s/config", home);
	return setenv("XDG_CONFIG_HOME", config, 1);
}

static int tear_down(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	return fs_remove_tree(home, &err);
}

/* ---- test_adapter --write OUT TOOL NAME CHECKOUT [database=ENGINE] [KEY=VALUE | database.KEY=VALUE]… ---- */

static int write_one(const char *out, const char *name, size_t variant, const char *text)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = variant ? xasprintf("%s/%s.%zu", out, name, variant) : xasprintf("%s/%s", out, name);
	if (text && fs_write(path, text, strlen(text), 0600, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return -1;
	}
	return 0;
}

static int write_walk(const char *out, const struct plan_walk *w)
{
	int rc = write_one(out, "list", 0, w->list) | write_one(out, "up", 0, w->up) |
		 write_one(out, "down", 0, w->down) | write_one(out, "current", 0, w->current) |
		 write_one(out, "look", 0, w->look) | write_one(out, "refused", 0, w->refused) |
		 write_one(out, "env_failed", 0, w->env_failed);
	for (size_t i = 0; i < w->n_variants; i++) {
		const struct plan_variant *v = &w->variants[i];
		rc |= write_one(out, "name", i + 1, v->name) | write_one(out, "when", i + 1, v->when) |
		      write_one(out, "list", i + 1, v->list) | write_one(out, "up", i + 1, v->up) |
		      write_one(out, "down", i + 1, v->down) | write_one(out, "current", i + 1, v->current) |
		      write_one(out, "look", i + 1, v->look);
	}
	return rc;
}

static int write_env(const char *out, const struct adapter *tool)
{
	const char *key;
	json_t *v;
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	json_object_foreach (json_object_get(adapter_json(tool), "env"), key, v)
		buf_addf(&text, "export %s=\"%s\"\n", key, json_string_value(v));
	return write_one(out, "env", 0, text.data);
}

static int apply(struct adapter *tool, struct adapter *db, const char *assignment, struct err *err)
{
	const char *equals = strchr(assignment, '=');
	bool database = strncmp(assignment, "database.", strlen("database.")) == 0;
	if (!equals)
		return err_set(err, ERR_USER, 0, "%s: no =", assignment);
	AUTO_FREE char *key = xstrndup(assignment, (size_t)(equals - assignment));
	return database ? adapter_override(db, key + strlen("database."), equals + 1, err)
			: adapter_override(tool, key, equals + 1, err);
}

/* What is no part of a walk: `start`, and the variable `sql`. */
static int write_database(const char *out, const struct adapter *db, const json_t *vars, struct err *err)
{
	AUTO_BUF start = buf_make(BUF_TEXT_MAX);
	if (template_fill(&start, adapter_get(db, "start") ? adapter_get(db, "start") : "", vars, err) < 0)
		return -1;
	return write_one(out, "start", 0, start.data) |
	       write_one(out, "sql", 0, json_string_value(json_object_get(vars, "database.sql")));
}

static int write_snippets(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct plan_walk w = {0};
	json_t *keep = NULL;
	if (argc < 4)
		return 2;
	CLEANUP(adapter_freep) struct adapter *tool = adapter_load_tool(argv[1], &err);
	bool named = argc > 4 && strncmp(argv[4], "database=", strlen("database=")) == 0;
	CLEANUP(adapter_freep)
	struct adapter *db =
		tool ? adapter_load_database(named ? argv[4] + strlen("database=") : "sqlite", &err) : NULL;
	int rc = db ? 0 : -1;
	for (int i = named ? 5 : 4; rc == 0 && i < argc; i++)
		rc = apply(tool, db, argv[i], &err);
	json_t *vars = json_pack("{s:s, s:s}", "name", argv[2], "source.dir", argv[3]);
	if (rc == 0)
		rc = adapter_database_vars(db, vars, &err);
	if (rc == 0) {
		adapter_cold(tool); /* nobody there has a loaded tool */
		rc = adapter_walk(tool, db, vars, &w, &keep, &err);
	}
	if (rc == 0)
		rc = write_database(argv[0], db, vars, &err);
	if (rc == 0)
		rc = write_walk(argv[0], &w) | write_env(argv[0], tool);
	else
		fprintf(stderr, "%s\n", err.msg);
	json_decref(keep);
	json_decref(vars);
	return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--write") == 0)
		return write_snippets(argc - 2, argv + 2);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warm),
		cmocka_unit_test(test_bundled_load),
		cmocka_unit_test(test_server_vars),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_unknown_names),
		cmocka_unit_test(test_user_file_wins),
		cmocka_unit_test(test_override),
		cmocka_unit_test(test_database_vars),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_all_pairs),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_database_of_a_user),
		cmocka_unit_test(test_walk_of_overrides),
		cmocka_unit_test(test_applied_and_current),
		cmocka_unit_test(test_detect),
		cmocka_unit_test(test_detect_layouts),
		cmocka_unit_test(test_detect_unreadable),
		cmocka_unit_test(test_detect_of_a_user),
		cmocka_unit_test(test_starter),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
