/* SPDX-License-Identifier: MIT */
#include "base/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"

static json_t *vars;
static char root[] = "/tmp/stepbox-template-XXXXXX"; /* holds env/ and config/stepbox/templates/ */

static void expect(const char *text, const char *want)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	if (template_fill(&out, text, vars, &err) != 0)
		fail_msg("%s: %s", text, err.msg);
	assert_string_equal(out.data, want);
}

static void expect_err(const char *text, const char *want)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	assert_int_equal(template_fill(&out, text, vars, &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	assert_string_equal(err.msg, want);
}

static void fills(void **state)
{
	(void)state;
	expect("", "");
	expect("no variables", "no variables");
	expect("${database.url}", "sqlite:////x.db");
	expect("a ${user}${user} b", "a joejoe b");
	expect("${port}", "22");
	expect("[${empty}]", "[]");
	expect("x = ${database.url}\ny = ${user}\n", "x = sqlite:////x.db\ny = joe\n");
	/* a value is not read again */
	expect("${evil}", "${user} $${user}");
}

static void shell_stays(void **state)
{
	(void)state;
	static const char *const same[] = {
		"$",
		"$$",
		"$x $1 $@ $(cmd) `y`",
		"${VERSION}",
		"${x:-y}",
		"${HOME}",
		"${user:-root}",
		"${#x}",
		"${x%.*}",
		"${",
		"${user",
		"${}",
		"${1}",
		"${_x}",
		"${user }",
		"${ user}",
		"${a-b}",
		"$ {user}",
		"a${\n}b",
		"${user\n}",
	};
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		expect(same[i], same[i]);
}

static void escapes(void **state)
{
	(void)state;
	expect("$${user}", "${user}");
	expect("$${", "${");
	expect("$${no.such}", "${no.such}");
	expect("$$${user}", "$${user}");
	expect("$$x", "$$x");
	expect("$${${user}}", "${joe}");
}

static void unknown_names(void **state)
{
	(void)state;
	expect_err("x ${databse.url} y", "${databse.url}: no such variable; did you mean ${database.url}?");
	expect_err("${usr}", "${usr}: no such variable; did you mean ${user}?");
	expect_err("${quite_different}",
		   "${quite_different}: no such variable; known: ${database.url}, ${user}, ${port}, ${empty}, ${evil} "
		   "($${quite_different} is a literal ${quite_different})");
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	json_t *none = json_object();
	assert_int_equal(template_fill(&out, "${x}", none, &err), -1);
	assert_string_equal(err.msg, "${x}: no such variable; known: none ($${x} is a literal ${x})");
	json_object_set_new(none, "x", json_array());
	assert_int_equal(template_fill(&out, "${x}", none, &err), -1);
	assert_int_equal(err.reach, ERR_BUG);
	json_decref(none);
}

static void long_names(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	buf_adds(&text, "${");
	for (int i = 0; i < 100000; i++)
		buf_addc(&text, 'a');
	buf_adds(&text, "}");
	assert_int_equal(template_fill(&out, text.data, vars, &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	assert_true(strlen(err.msg) < 200);
}

static void output_is_bounded(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(20);
	assert_int_equal(template_fill(&out, "${user}${user}${user}", vars, &err), 0);
	assert_int_equal(template_fill(&out, "${database.url}${database.url}", vars, &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	assert_string_equal(err.msg, "text with its variables filled in is larger than 20 bytes");
}

static void put(const char *path, const char *text)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *full = xasprintf("%s/%s", root, path);
	AUTO_FREE char *dir = xstrndup(full, (size_t)(strrchr(full, '/') - full));
	if (fs_mkdirs(dir, 0700, &err) != 0 || fs_write(full, text, strlen(text), 0600, &err) != 0)
		fail_msg("%s", err.msg);
}

static void expect_file(const char *name, const char *want)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	if (template_file(name, &out, &err) != 0)
		fail_msg("%s", err.msg);
	assert_string_equal(out.data, want);
}

static void places_in_order(void **state)
{
	(void)state;
	put("env/tools/a.yaml", "env a");
	put("config/stepbox/templates/tools/a.yaml", "config a");
	put("config/stepbox/templates/tools/b.yaml", "config b");
	expect_file("tools/a.yaml", "env a");
	expect_file("tools/b.yaml", "config b");
	unsetenv("STEPBOX_TEMPLATES");
	expect_file("tools/a.yaml", "config a");
	AUTO_FREE char *env = xasprintf("%s/env", root);
	setenv("STEPBOX_TEMPLATES", env, 1);

	/* the copy inside the program is what the repository holds */
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	AUTO_BUF want = buf_make(BUF_TEXT_MAX);
	assert_int_equal(template_file("store.sql", &out, &err), 0);
	assert_int_equal(fs_read("templates/store.sql", BUF_TEXT_MAX, &want, &err), 0);
	assert_string_equal(out.data, want.data);
	put("env/store.sql", "mine");
	expect_file("store.sql", "mine");
}

static void bad_file_names(void **state)
{
	(void)state;
	put("secret", "x");
	put("env/.hidden", "x");
	static const char *const bad[] = {"",
					  "..",
					  "../secret",
					  "tools/../../secret",
					  "/etc/passwd",
					  ".hidden",
					  "a//b",
					  "a/",
					  "/",
					  "./a",
					  "a b",
					  "a\nb",
					  "a*",
					  "-rf",
					  "a/-x",
					  "a\\b",
					  "é",
					  "~/x"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = ERR_INIT;
		AUTO_BUF out = buf_make(BUF_TEXT_MAX);
		if (template_file(bad[i], &out, &err) != -1)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.reach, ERR_USER);
		assert_non_null(strstr(err.msg, "not a file name"));
		assert_null(strchr(err.msg, '\n'));
	}
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	assert_int_equal(template_file("tools/none.yaml", &out, &err), -1);
	assert_string_equal(err.msg, "template tools/none.yaml: there is none");
	assert_int_equal(err.reach, ERR_USER);
	/* a directory, or one where a component is a file */
	put("env/dir/x", "x");
	put("env/file", "x");
	assert_int_equal(template_file("dir", &out, &err), -1);
	assert_int_equal(template_file("file/x", &out, &err), -1);
	assert_int_equal(err.reach, ERR_USER);
}

/* A file that is there but cannot be taken is an error, never silently replaced by the next place's. */
static void no_falling_through(void **state)
{
	(void)state;
	AUTO_FREE char *big = xcalloc((1 << 20) + 2, 1);
	memset(big, 'x', (1 << 20) + 1);
	put("env/tools/big", big);
	put("config/stepbox/templates/tools/big", "small");
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	assert_int_equal(template_file("tools/big", &out, &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	assert_non_null(strstr(err.msg, "env/tools/big"));
	AUTO_FREE char *path = xasprintf("%s/env/tools/big", root);
	unlink(path);
	expect_file("tools/big", "small");
}

static void lists(void **state)
{
	(void)state;
	put("env/tools/zz.yaml", "x");
	put("env/tools/aa.yaml", "x");
	put("env/tools/deep/er.yaml", "x");
	put("env/tools/.swp", "x");
	put("env/tools/zz.yaml~", "x");
	put("config/stepbox/templates/tools/zz.yaml", "x");
	put("config/stepbox/templates/tools/mm.yaml", "x");
	json_t *names = template_list("tools/");
	size_t i;
	json_t *name;
	const char *before = "";
	int zz = 0, mm = 0, deep = 0;
	json_array_foreach (names, i, name) {
		const char *s = json_string_value(name);
		assert_true(strcmp(before, s) < 0); /* sorted, none twice */
		assert_memory_equal(s, "tools/", 6);
		zz += strcmp(s, "tools/zz.yaml") == 0;
		mm += strcmp(s, "tools/mm.yaml") == 0;
		deep += strcmp(s, "tools/deep/er.yaml") == 0;
		assert_null(strchr(s, '~'));
		assert_null(strstr(s, "/."));
		before = s;
	}
	json_decref(names);
	assert_int_equal(zz + mm + deep, 3);
	names = template_list("");
	int store = 0;
	json_array_foreach (names, i, name)
		store += strcmp(json_string_value(name), "store.sql") == 0;
	assert_int_equal(store, 1);
	json_decref(names);
	names = template_list("no/such/");
	assert_int_equal(json_array_size(names), 0);
	json_decref(names);
}

static int set_up(void **state)
{
	(void)state;
	vars = json_pack("{sssssissss}", "database.url", "sqlite:////x.db", "user", "joe", "port", 22, "empty", "",
			 "evil", "${user} $${user}");
	if (vars == NULL || mkdtemp(root) == NULL)
		return -1;
	AUTO_FREE char *config = xasprintf("%s/config", root);
	AUTO_FREE char *env = xasprintf("%s/env", root);
	setenv("XDG_CONFIG_HOME", config, 1); /* before fs_config_dir() is asked first */
	setenv("STEPBOX_TEMPLATES", env, 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	json_decref(vars);
	return fs_remove_tree(root, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills),
		cmocka_unit_test(shell_stays),
		cmocka_unit_test(escapes),
		cmocka_unit_test(unknown_names),
		cmocka_unit_test(long_names),
		cmocka_unit_test(output_is_bounded),
		cmocka_unit_test(places_in_order),
		cmocka_unit_test(bad_file_names),
		cmocka_unit_test(no_falling_through),
		cmocka_unit_test(lists),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
