/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "cmd/compile.h"
#include "cmd/recipe.h"

static char dir[] = "/tmp/test_recipe.XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) && chdir(dir) == 0 && mkdir("checkout", 0700) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	return chdir("/") == 0 && fs_remove_tree(dir, &err) == 0 ? 0 : -1;
}

static int load(struct recipe *r, const char *text, const struct opt_list *sets, struct err *err)
{
	struct err e = ERR_INIT;
	assert_int_equal(fs_write("r.yaml", text, strlen(text), 0600, &e), 0);
	err_clear(err);
	return recipe_load(r, "r.yaml", sets, err);
}

#define GOOD                                                                                                           \
	"name: demo\nbox: {ttl: 90m}\npackages: [git, sqlite3]\nsource: {path: checkout}\nsetup:\n  - echo one\n"      \
	"files:\n  /etc/x.conf: |\n    url = ${database.url}\n  rel/y: {content: hi, mode: 0600}\nenv: {A: \"1\"}\n"   \
	"database: sqlite\nmigrations:\n  tool: plain-sql\n  from: 0042\n  to: head\n  timeout: 2m\n"

static void test_good(void **state)
{
	(void)state;
	struct recipe r;
	struct err err = ERR_INIT;
	assert_int_equal(load(&r, GOOD, NULL, &err), 0);
	assert_string_equal(r.name, "demo");
	assert_string_equal(r.from, "0042"); /* as written: no number, no octal */
	assert_int_equal(r.box.ttl_ms, 90 * 60 * 1000);
	assert_int_equal(r.step_timeout_s, 120);
	assert_true(strstr(r.local_path, "checkout") != NULL);
	CLEANUP(plan_freep) struct plan *p = compile(&r, COMPILE_ALL, NULL, &err);
	assert_non_null(p);
	AUTO_BUF script = buf_make(BUF_TEXT_MAX);
	plan_script(p, &script);
	assert_non_null(strstr(script.data, "echo one"));
	recipe_finish(&r);
}

static void test_cloud_box(void **state)
{
	(void)state;
	struct recipe r;
	struct err err = ERR_INIT;
	assert_int_equal(load(&r,
			      "name: demo\nbox:\n  cloud: rax\n  image: Debian 12*\n  user: debian\n  port: 2222\n"
			      "  flavor: {vcpus: 2, ram: 4GB, disk: 10GiB}\n  volume: 20GiB\n  config_drive: false\n"
			      "  proxy: http://10.0.0.1:3128\n  network: private\n",
			      NULL, &err),
			 0);
	assert_string_equal(r.box.cloud, "rax");
	assert_string_equal(r.box.user, "debian");
	assert_int_equal(r.box.port, 2222);
	assert_int_equal(r.box.vcpus, 2);
	assert_int_equal(r.box.ram_mb, 3815); /* 4 GB are 3814.7 MiB */
	assert_int_equal(r.box.disk_gb, 10);
	assert_int_equal(r.box.volume_gb, 20);
	assert_true(r.box.no_config_drive);
	assert_null(r.box.flavor);
	assert_int_equal(r.connect_ms, 300000);
	CLEANUP(plan_freep) struct plan *p = compile(&r, COMPILE_ALL, NULL, &err);
	assert_non_null(p);
	AUTO_BUF script = buf_make(BUF_TEXT_MAX);
	plan_script(p, &script);
	assert_non_null(strstr(script.data, "stepbox-ready"));
	assert_non_null(strstr(script.data, "http://10.0.0.1:3128"));
	recipe_finish(&r);
	assert_int_equal(load(&r, "name: demo\nbox: {cloud: rax, flavor: m1.small}\n", NULL, &err), 0);
	assert_string_equal(r.box.flavor, "m1.small");
	assert_int_equal(r.box.vcpus, 0);
	recipe_finish(&r);
}

static void test_json_and_back(void **state)
{
	(void)state;
	struct recipe r, again;
	struct err err = ERR_INIT;
	assert_int_equal(load(&r, GOOD, NULL, &err), 0);
	AUTO_FREE char *json = recipe_json(&r);
	assert_int_equal(recipe_from_json(&again, json, NULL, &err), 0);
	assert_string_equal(again.from, "0042");
	assert_string_equal(again.local_path, r.local_path);
	recipe_finish(&r);
	recipe_finish(&again);
}

static void test_set(void **state)
{
	(void)state;
	struct recipe r;
	struct err err = ERR_INIT;
	struct opt_list sets = {4, {"migrations.to=7", "packages=[jq]", "database.file=/tmp/x.db", "env.B=2"}};
	assert_int_equal(load(&r, GOOD, &sets, &err), 0);
	const char *list[4];
	assert_string_equal(r.to, "7");
	assert_int_equal(recipe_list(&r, "packages", list, 4), 1);
	assert_string_equal(list[0], "jq");
	assert_string_equal(r.engine, "sqlite");
	recipe_finish(&r);
	struct opt_list bad = {1, {"migrations.tool"}};
	assert_int_equal(load(&r, GOOD, &bad, &err), -1);
	assert_non_null(strstr(err.msg, "KEY.PATH=VALUE"));
	recipe_finish(&r);
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"name: demo\npakages: [git]\n", "r.yaml:2:1: pakages: no such key; did you mean packages?"},
		{"name: demo\nbox: {tll: 1h}\n", "r.yaml:2:7: tll: no such key; did you mean ttl?"},
		{"name: demo\nbox:\n  ttl: soon\n", "r.yaml:3:3: ttl: "},
		{"name: Demo Shop\n", "r.yaml:1:1: name: Demo Shop: a name is made of"},
		{"name: demo\nsource: {path: nowhere}\n", "no such directory"},
		{"name: demo\nsource: {git: -x}\n", "not a repository"},
		{"name: demo\nsource: {git: u, path: checkout}\n", "either git or path"},
		{"name: demo\npackages: ['--foo']\n", "r.yaml:2:12: packages: --foo: not the name of a package"},
		{"name: demo\nenv: {2X: a}\n", "not a name for an environment variable"},
		{"name: demo\nfiles: {/etc/x: {mode: 0999, content: a}}\n", "an octal mode"},
		{"name: demo\nfiles: {/etc/: a}\n", "not the path of a file"},
		{"name: demo\nbox: {cloud: ''}\n", "an entry of clouds.yaml"},
		{"name: demo\nbox: {port: 70000}\n", "port"},
		{"name: demo\nbox: {volume: big}\n", "not a size"},
		{"name: demo\nbox: {config_drive: perhaps}\n", "true or false"},
		{"name: demo\nbox: {user: 'Robert; DROP'}\n", "login user"},
		{"name: demo\nbox: {proxy: 10.0.0.1}\n", "proxy"},
		{"name: demo\nbox: {flavor: {vcpu: 2}}\n", "known here: vcpus, ram, disk"},
		{"name: demo\ndatabase: oracle\n", "oracle"},
		{"name: demo\nsource: {path: checkout}\nmigrations: {tool: alembik}\n", "r.yaml:3:14: "},
		{"name: demo\nsource: {path: checkout}\nmigrations: {from: 1}\n", "tool: missing"},
		{"name: demo\nmigrations: {tool: alembic}\n", "source: missing"},
		{"name: demo\nsource: {path: checkout}\nmigrations: {tool: plain-sql, fromm: 1}\n", "r.yaml:3:31: "},
		{"name: demo\nsource: {path: checkout}\nmigrations: {tool: plain-sql, match: head}\n",
		 "tip (all steps with the code of ref) or commit"},
		{"name: demo\nsetup: [{run: a}]\nsource: {path: checkout}\nmigrations: {tool: plain-sql}\n",
		 "give from or to"},
		{"name: demo\nsetup: [{from: 1}]\nsource: {path: checkout}\nmigrations: {tool: plain-sql}\n",
		 "run: missing"},
		{"name: demo\nsetup: [{run: a, form: 1}]\nsource: {path: checkout}\nmigrations: {tool: plain-sql}\n",
		 "form: no such key"},
		{"name: demo\nsetup: [{run: a, from: 10, to: 9}]\nmigrations: {tool: plain-sql}\n",
		 "from 10 to 9: no version is in there"},
		{"name: demo\nsetup: [{run: a, from: 1}]\n", "the recipe has no migrations"},
		{"name: demo\nsetup: [[a]]\n", "neither a command nor"},
		{"name: demo\nseed: 3\n", "r.yaml:2:1: seed: a mapping is wanted"},
		{"name: demo\nseed: {row: 3}\n", "r.yaml:2:8: row: no such key; known here: rows"},
		{"name: demo\nseed: {rows: many}\n", "r.yaml:2:8: rows: not a number"},
		{"name: demo\nseed: {rows: 10001}\n", "rows: "},
		{"name: demo\nseed: {before: [a]}\n", "VERSION: FILE or {run: CMD}"},
		{"name: demo\nseed: {before: {1: {run: a, dir: b}}}\n", "1: an SQL file or {run: CMD}"},
		{"name: demo\nseed: {before: {1 2: a}}\n", "not a version: 1 2"},
		{"name: demo\nseed: {skip: a}\n", "skip: a list of tables"},
		{"name: demo\nlimits: [1]\n", "r.yaml:2:1: limits: a mapping is wanted"},
		{"name: demo\nlimits: {step: soon}\n", "r.yaml:2:1: limits: step: not a time span"},
		{"name: demo\nlimits: {file: nothing.yaml}\n", "nothing.yaml"},
		{"name: demo\nlimits: {loss: perhaps}\n", "loss: allow, strict or a list"},
		{"name: demo\nsource: {path: checkout}\nmigrations: {tool: plain-sql, roundtrip: often}\n",
		 "true or false"},
		{"name: demo\nname: demo\n", "r.yaml:2:1: "},
		{"name: [a\n", "r.yaml:"},
		{"- a\n", "a recipe is a mapping"},
		{"", "r.yaml: empty"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct recipe r;
		struct err err = ERR_INIT;
		int rc = load(&r, cases[i].text, NULL, &err);
		if (rc != -1 || err.reach != ERR_USER || !strstr(err.msg, cases[i].says))
			fail_msg("case %zu: %d %s (wanted: %s)", i, rc, err.msg, cases[i].says);
		recipe_finish(&r);
	}
}

/* What belongs to a walk reaches the box; files beside the recipe are read when it is loaded or compiled. */
static void test_data(void **state)
{
	(void)state;
	struct recipe r, again;
	struct err err = ERR_INIT;
	assert_int_equal(fs_write("limits.yaml", "limits: {step: 9s, \"204\": 2m}\n", 30, 0644, &err), 0);
	assert_int_equal(fs_write("own.sql", "SELECT 'it''s';\n", 16, 0644, &err), 0);
	assert_int_equal(load(&r,
			      "name: demo\nsource: {path: checkout}\nmigrations: {tool: plain-sql, roundtrip: true}\n"
			      "seed: {rows: 5, before: {\"3\": own.sql, \"4\": {run: \"echo ${database.file}\"}}}\n"
			      "limits: {file: limits.yaml, loss: allow}\n",
			      NULL, &err),
			 0);
	assert_true(r.roundtrip);
	assert_int_equal(limits_ms(r.limits, "204"), 120000);
	assert_int_equal(limits_ms(r.limits, "1"), 9000);
	AUTO_BUF script = buf_make(BUF_TEXT_MAX);
	CLEANUP(plan_freep) struct plan *p = compile(&r, COMPILE_ALL, NULL, &err);
	assert_non_null(p);
	plan_script(p, &script);
	assert_non_null(strstr(script.data, "walk_roundtrip='1'\n"));
	assert_non_null(strstr(script.data, "plan_before '3' 'printf "));
	assert_non_null(strstr(script.data, "plan_before '4' 'echo /var/tmp/demo.sqlite'\n"));
	assert_non_null(strstr(script.data, "ROWS="));
	/* `step` goes where it is told to. */
	CLEANUP(plan_freep) struct plan *step = compile(&r, COMPILE_WALK, "-1", &err);
	buf_reset(&script);
	plan_script(step, &script);
	assert_non_null(strstr(script.data, "walk_roundtrip=''\n"));
	/* Who takes over needs the file no more. */
	AUTO_FREE char *json = recipe_json(&r);
	recipe_finish(&r);
	assert_int_equal(unlink("limits.yaml"), 0);
	assert_int_equal(recipe_from_json(&again, json, NULL, &err), 0);
	assert_int_equal(limits_ms(again.limits, "204"), 120000);
	recipe_finish(&again);
}

static void test_unknown_variable(void **state)
{
	(void)state;
	struct recipe r;
	struct err err = ERR_INIT;
	assert_int_equal(
		load(&r, "name: demo\nsource: {path: checkout}\nfiles: {/etc/x: \"${databse.url}\"}\n", NULL, &err), 0);
	assert_null(compile(&r, COMPILE_ALL, NULL, &err));
	assert_non_null(strstr(err.msg, "files: /etc/x"));
	assert_non_null(strstr(err.msg, "did you mean ${database.url}"));
	recipe_finish(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_cloud_box),
		cmocka_unit_test(test_json_and_back),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_unknown_variable),
	};
	return cmocka_run_group_tests_name("recipe", tests, setup, teardown);
}
