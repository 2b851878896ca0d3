/* SPDX-License-Identifier: MIT */
/* Which paths are versions, how versions are ordered, and what migrations of Alembic and Django say of themselves. */
#include "migrations/history_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "migrations/adapter.h"

/* The map of a bundled tool with these options. */
static struct history_map *map_of(const char *tool, const char *option, const char *value)
{
	struct err err = ERR_INIT;
	CLEANUP(adapter_freep) struct adapter *a = adapter_load_tool(tool, &err);
	assert_non_null(a);
	if (option)
		assert_int_equal(adapter_override(a, option, value, &err), 0);
	json_t *vars = json_pack("{s:s, s:s, s:s}", "name", "x", "source.dir", "/srv/x", "database.url", "u");
	json_t *spec = NULL;
	if (adapter_history(a, vars, &spec, &err) != 1)
		fail_msg("%s: %s", tool, err.msg);
	struct history_map *m = history_map_new(spec, &err);
	if (!m)
		fail_msg("%s: %s", tool, err.msg);
	json_decref(vars);
	json_decref(spec);
	return m;
}

static void expect(const struct history_map *m, const char *path, int era, const char *version)
{
	char got[HISTORY_VERSION_MAX + 1] = "";
	int found = history_map_path(m, path, got);
	if (found != era || (era >= 0 && strcmp(got, version) != 0))
		fail_msg("%s: era %d version \"%s\", wanted %d \"%s\"", path, found, got, era, version);
}

static void test_nova(void **state)
{
	(void)state;
	CLEANUP(history_map_freep) struct history_map *m = map_of("nova-manage", NULL, NULL);
#define OLD "nova/db/sqlalchemy/migrate_repo/versions/"
	expect(m, OLD "001_austin.py", 0, "1");
	expect(m, OLD "216_sqlite_upgrade.sql", 0, "216");
	expect(m, OLD "__init__.py", -1, "");
	expect(m, OLD "../../api_migrations/migrate_repo/versions/001_cells.py", 0, "1"); /* git never says so */
	expect(m, "nova/db/sqlalchemy/api_migrations/migrate_repo/versions/001_cells.py", -1, "");
	expect(m, "nova/db/main/legacy_migrations/versions/402_train.py", 0, "402");
	expect(m, "nova/db/main/migrations/versions/8f2f1571d55b_initial_version.py", 1, "");
	expect(m, "nova/db/api/migrations/versions/d67eeaabee36_initial_version.py", -1, "");
	expect(m, OLD "217_a\nb.py", -1, "");
}

static void test_others(void **state)
{
	(void)state;
	CLEANUP(history_map_freep) struct history_map *django = map_of("django", NULL, NULL);
	expect(django, "patchwork/migrations/0001_initial.py", 0, "patchwork.0001_initial");
	expect(django, "src/a/b/migrations/0001_initial.py", 0, "b.0001_initial");
	expect(django, "patchwork/migrations/__init__.py", -1, "");
	CLEANUP(history_map_freep) struct history_map *sql = map_of("plain-sql", "directory", "./db/migrations/");
	assert_string_equal(history_map_paths(sql)[0], "db/migrations");
	expect(sql, "db/migrations/2024-01-01_a/up.sql", 0, "2024-01-01_a");
	expect(sql, "db/migrations/2024-01-01_a/down.sql", 0, "2024-01-01_a");
	expect(sql, "db/migrations/007_x.up.sql", 0, "007_x");
	expect(sql, "db/migrations/007_x.down.sql", 0, "007_x");
	expect(sql, "db/migrations/007_x.sql", 0, "007_x");
	expect(sql, "db/other/007_x.sql", -1, "");
	CLEANUP(history_map_freep) struct history_map *top = map_of("plain-sql", "directory", ".");
	assert_string_equal(history_map_paths(top)[0], ".");
	expect(top, "007_x.sql", 0, "007_x");
	CLEANUP(history_map_freep) struct history_map *alembic = map_of("alembic", NULL, NULL);
	assert_string_equal(history_map_paths(alembic)[0], ":(glob)**/versions/**/*.py");
	expect(alembic, "app/alembic/versions/ab_x.py", 0, "");
	expect(alembic, "versions/ab_x.py", 0, "");
	expect(alembic, "keystone/versions/2024.1/expand/ab_x.py", 0, "");
	expect(alembic, "app/models.py", -1, "");
}

static void test_order(void **state)
{
	(void)state;
	assert_int_equal(history_compare(HISTORY_NUMBER, "9", "10"), -1);
	assert_int_equal(history_compare(HISTORY_NUMBER, "20130101000000", "20130101000001"), -1);
	assert_int_equal(history_compare(HISTORY_NUMBER, "99999999999999999999999", "100000000000000000000000"), -1);
	assert_int_equal(history_compare(HISTORY_NATURAL, "v1.9__a", "v1.10__a"), -1);
	assert_int_equal(history_compare(HISTORY_NATURAL, "01_a", "1_a"), -1);
	assert_int_equal(history_compare(HISTORY_NATURAL, "1_a", "1_a"), 0);
	assert_int_equal(history_compare(HISTORY_TEXT, "10", "9"), -1);
}

static void scan(enum history_order order, const char *text, const char *version, const char *parents,
		 const char *replaces)
{
	struct history_node n;
	/* Exactly as long as it is, so that a read beyond it is seen. */
	size_t len = strlen(text);
	char *exact = malloc(len ? len : 1);
	for (size_t i = 0; i < len; i++)
		exact[i] = text[i];
	history_scan(order, exact, len, &n);
	free(exact);
	if (strcmp(n.version, version) != 0 || strcmp(n.parents, parents) != 0 || strcmp(n.replaces, replaces) != 0)
		fail_msg("%s\ngave \"%s\" \"%s\" \"%s\"", text, n.version, n.parents, n.replaces);
	history_node_finish(&n);
}

static void test_alembic(void **state)
{
	(void)state;
	scan(HISTORY_ALEMBIC,
	     "\"\"\"drop it\n\nRevision ID: zzz\nrevision = 'not this'\n\"\"\"\n"
	     "from alembic import op\n\nrevision = 'c11'\ndown_revision = \"b10\"\nbranch_labels = None\n",
	     "c11", "b10\n", "");
	scan(HISTORY_ALEMBIC, "revision: str = 'a'\ndown_revision: Union[str, None] = None\n", "a", "", "");
	scan(HISTORY_ALEMBIC, "revision = 'm'  # 'x'\ndown_revision = ('a',\n  # why\n  'b')\ndepends_on = ['c']", "m",
	     "a\nb\nc\n", "");
	scan(HISTORY_ALEMBIC, "revision = (\n    'long'\n    'er'\n)\n", "longer", "", "");
	scan(HISTORY_ALEMBIC, "revision = u'a'; down_revision = b'c'\n", "a", "", ""); /* not at the line's beginning */
	scan(HISTORY_ALEMBIC, "def f():\n    revision = 'x'\n", "", "", "");
	scan(HISTORY_ALEMBIC, "if revision == 'x':\n  pass\nrevision = make('x')\n", "", "", "");
	scan(HISTORY_ALEMBIC, "revision = 'a' + suffix\n", "", "", "");
	scan(HISTORY_ALEMBIC, "revision = 'a", "a", "", "");
	scan(HISTORY_ALEMBIC, "revision = '''a'''\ndown_revision = 'a\\\n'", "a", "a\n", "");
	scan(HISTORY_ALEMBIC, "revision", "", "", "");
	scan(HISTORY_ALEMBIC, "revision = 'a b'\n", "", "", "");
	scan(HISTORY_ALEMBIC, "", "", "", "");
	scan(HISTORY_ALEMBIC, "x = ')'\nrevision = 'ok'\n", "ok", "", "");
	scan(HISTORY_ALEMBIC, "revision = 'ok'\r\ndown_revision = 'a'\r\n", "ok", "a\n", "");
}

static void test_django(void **state)
{
	(void)state;
	scan(HISTORY_DJANGO,
	     "class Migration(migrations.Migration):\n\n    replaces = [('a', '0001_x'), ('a', '0002_y')]\n"
	     "    dependencies = [\n        migrations.swappable_dependency(settings.AUTH_USER_MODEL),\n"
	     "        ('contenttypes', '__first__'),\n        ('a', '0003_z'),\n        (\"b\", \"0001_q\"),\n    ]\n"
	     "    operations = [migrations.AddField('x', 'y', f(dependencies=[('no', 'no')]))]\n",
	     "", "a.0003_z\nb.0001_q\n", "a.0001_x\na.0002_y\n");
	scan(HISTORY_DJANGO, "    dependencies = []\n", "", "", "");
	scan(HISTORY_DJANGO, "    dependencies = [('a',)]\n    x = ('b', 'c')", "", "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nova),    cmocka_unit_test(test_others), cmocka_unit_test(test_order),
		cmocka_unit_test(test_alembic), cmocka_unit_test(test_django),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
