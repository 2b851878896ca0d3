/* SPDX-License-Identifier: MIT */
#include "provision/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "base/proc.h"

static const struct plan_walk nova = {
	.tool = "nova-manage",
	.engine = "sqlite",
	.dir = "/src/nova",
	.list = "ls versions",
	.up = "nova-manage db sync --version $VERSION",
	.current = "nova-manage db version",
	.look = "sqlite3 …",
	.from = "202",
	.to = "204",
	.timeout_s = 600,
	.n_variants = 1,
	.variants = {{.name = "positional", .when = "test -e x", .up = "nova-manage db sync $VERSION"}},
};

static struct plan *sample(void)
{
	struct plan *p = plan_new("r1");
	plan_env(p, "A", "1");
	plan_env(p, "B", "it's");
	plan_env(p, "A", "2");
	plan_task(p, "packages", "install git, sqlite3", "", "apt-get install -y git sqlite3", 1800);
	plan_file(p, "/etc/nova/nova.conf", 0640, "[database]\n", 11);
	plan_task(p, "setup", "python3 setup.py develop", "/src/nova", "python3 setup.py develop", 600);
	plan_set_walk(p, &nova);
	return p;
}

static void print_is_aligned(void **state)
{
	(void)state;
	CLEANUP(plan_freep) struct plan *p = sample();
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	plan_print(p, false, &out);
	assert_string_equal(out.data, "1  packages  install git, sqlite3                          (30 m 00 s)\n"
				      "2  file      write /etc/nova/nova.conf (11 bytes)          (1 m 00 s)\n"
				      "3  setup     python3 setup.py develop                      (10 m 00 s)\n"
				      "then: walk nova-manage on sqlite from 202 to 204  (10 m 00 s a step)\n");
	assert_int_equal(plan_n_tasks(p), 3);
	assert_string_equal(plan_task_title(p, 1), "install git, sqlite3");
	assert_string_equal(plan_task_title(p, 0), "");
	assert_string_equal(plan_task_title(p, 4), "");
}

static void print_verbose_shows_commands_and_no_escapes(void **state)
{
	(void)state;
	CLEANUP(plan_freep) struct plan *p = sample();
	plan_task(p, "setup", "a\x1b[31mb\nc", "", "printf 'x\x1b[2J'\necho", 1);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	plan_print(p, true, &out);
	assert_non_null(strstr(out.data, "        apt-get install -y git sqlite3\n"));
	assert_non_null(strstr(out.data, "        [database]\n"));
	assert_non_null(strstr(out.data, "        in /src/nova:\n        python3 setup.py develop\n"));
	assert_non_null(strstr(out.data, "a\\x1b[31mb c"));
	assert_non_null(strstr(out.data, "        printf 'x\\x1b[2J'\n        echo\n"));
	assert_non_null(strstr(out.data, "    up:\n        nova-manage db sync --version $VERSION\n"));
	assert_non_null(strstr(out.data, "    positional: up:\n        nova-manage db sync $VERSION\n"));
	assert_null(strchr(out.data, '\x1b'));
}

static void json_is_complete(void **state)
{
	(void)state;
	CLEANUP(plan_freep) struct plan *p = sample();
	plan_file(p, "/x", 0600, "a\0b", 3);
	json_t *o = plan_json(p);
	assert_string_equal(json_string_value(json_object_get(o, "run")), "r1");
	const json_t *env = json_object_get(o, "env");
	assert_int_equal(json_object_size(env), 2);
	assert_string_equal(json_string_value(json_object_get(env, "A")), "2");
	const json_t *tasks = json_object_get(o, "tasks");
	assert_int_equal(json_array_size(tasks), 4);
	const json_t *file = json_array_get(tasks, 1);
	assert_string_equal(json_string_value(json_object_get(file, "content")), "[database]\n");
	assert_string_equal(json_string_value(json_object_get(file, "mode")), "0640");
	const json_t *binary = json_object_get(json_array_get(tasks, 3), "content");
	assert_string_equal(json_string_value(json_object_get(binary, "base64")), "YQBi");
	const json_t *walk = json_object_get(o, "walk");
	assert_string_equal(json_string_value(json_object_get(walk, "to")), "204");
	assert_true(json_is_null(json_object_get(walk, "down")));
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(json_object_get(walk, "variants"), 0), "name")),
		"positional");
	json_decref(o);
}

/* What a shell makes of plan_script(): the words of each call, one call a line, a word in <>. */
static void read_back(const struct plan *p, struct buf *out)
{
	AUTO_BUF script = buf_make(BUF_TEXT_MAX);
	buf_adds(&script,
		 "f() { for w; do printf '<%s>' \"$w\"; done; echo; }\n"
		 "plan_env() { f env \"$@\"; }\nplan_task() { f task \"$@\"; }\n"
		 "plan_variant() { f variant \"$@\"; }\nwalk_begin() { f begin \"$walk_tool\" \"$walk_down\"; }\n"
		 "walk_go() { f go \"$walk_up\"; }\nplan_end() { f end \"$@\"; }\n");
	plan_script(p, &script);
	const char *argv[] = {"sh", "-eu", "-c", script.data, NULL};
	struct err err = ERR_INIT;
	assert_int_equal(proc_run(argv, &(struct proc_opts){.out = out, .inherit_stderr = true}, &err), 0);
}

static void script_keeps_every_byte(void **state)
{
	(void)state;
	CLEANUP(plan_freep) struct plan *p = plan_new("r1");
	const char *nasty = "a'b\"c`d`$(e)$f\\g\n.\nEOF\n\t\xff\x01 #;&|<>*?~";
	plan_env(p, "X", nasty);
	plan_task(p, "setup", nasty, nasty, nasty, 0);
	struct plan_walk w = nova;
	w.up = nasty;
	w.variants[0].list = nasty;
	plan_set_walk(p, &w);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	read_back(p, &out);
	AUTO_BUF want = buf_make(BUF_TEXT_MAX);
	buf_adds(&want, "<env><'X=a'\\''b");
	assert_memory_equal(out.data, want.data, want.len);
	buf_reset(&want);
	buf_addf(&want, "<task><setup><1><%s><%s><%s>\n", nasty, nasty, nasty);
	buf_adds(&want, "<begin><nova-manage><>\n");
	buf_addf(&want, "<variant><positional><test -e x><%s><nova-manage db sync $VERSION><><><><>\n", nasty);
	buf_addf(&want, "<go><%s>\n<end><1><1>\n", nasty);
	const char *task = strstr(out.data, "<task>");
	assert_non_null(task);
	assert_string_equal(task, want.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(print_is_aligned),
		cmocka_unit_test(print_verbose_shows_commands_and_no_escapes),
		cmocka_unit_test(json_is_complete),
		cmocka_unit_test(script_keeps_every_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
