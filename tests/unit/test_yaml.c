/* SPDX-License-Identifier: MIT */
#include "base/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

/* Parses text and compares the result, written as sorted compact JSON. */
static void expect_json(const char *text, const char *want)
{
	struct yaml y;
	struct err err = ERR_INIT;
	if (yaml_parse(&y, "f.yaml", text, strlen(text), &err) != 0)
		fail_msg("%s\n%s", text, err.msg);
	AUTO_FREE char *got = json_dumps(y.root, JSON_COMPACT | JSON_ENCODE_ANY);
	assert_string_equal(got, want);
	yaml_finish(&y);
}

static void expect_err_n(const char *text, size_t len, const char *want)
{
	struct yaml y;
	struct err err = ERR_INIT;
	assert_int_equal(yaml_parse(&y, "f.yaml", text, len, &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	assert_string_equal(err.msg, want);
	assert_null(y.root);
	yaml_finish(&y); /* harmless after an error */
}

static void expect_err(const char *text, const char *want)
{
	expect_err_n(text, strlen(text), want);
}

static void expect_mark(const struct yaml *y, const char *pointer, int line, int col)
{
	const json_t *mark = json_object_get(y->marks, pointer);
	if (mark == NULL)
		fail_msg("no mark for %s", pointer);
	assert_int_equal(json_integer_value(json_array_get(mark, 0)), line);
	assert_int_equal(json_integer_value(json_array_get(mark, 1)), col);
}

static void scalars_are_texts(void **state)
{
	(void)state;
	expect_json("a: 0042\nb: no\nc: 1e3\nd: 2026-01-01\ne: True\nf: 'x'\ng: -1\n",
		    "{\"a\":\"0042\",\"b\":\"no\",\"c\":\"1e3\",\"d\":\"2026-01-01\",\"e\":\"True\",\"f\":\"x\","
		    "\"g\":\"-1\"}");
	expect_json("8080: x\n1.5: y\n", "{\"8080\":\"x\",\"1.5\":\"y\"}");
	expect_json("just text", "\"just text\"");
}

static void nulls(void **state)
{
	(void)state;
	expect_json("a:\nb: ~\nc: null\nd: ''\ne: \"null\"\nf: '~'\ng: !!str\nh: !!str ~\ni: Null\n",
		    "{\"a\":null,\"b\":null,\"c\":null,\"d\":\"\",\"e\":\"null\",\"f\":\"~\",\"g\":\"\",\"h\":\"~\","
		    "\"i\":\"Null\"}");
	expect_json("-\n- x\n-", "[null,\"x\",null]");
	expect_json("{a, b: }", "{\"a\":null,\"b\":null}");
}

static void styles(void **state)
{
	(void)state;
	expect_json(
		"a: \"x\\ty\\n\\u00e9\\\"\"\nb: 'it''s'\nc: |\n  one\n   two\n\n  three\nd: |-\n  end\ne: >\n  fold\n"
		"  ed\n\n  para\nf: |+\n  keep\n\ng: plain\n  goes on\n",
		"{\"a\":\"x\\ty\\né\\\"\",\"b\":\"it's\",\"c\":\"one\\n two\\n\\nthree\\n\",\"d\":\"end\","
		"\"e\":\"fold ed\\npara\\n\",\"f\":\"keep\\n\\n\",\"g\":\"plain goes on\"}");
	expect_json("[a, {b: c, d: [e]}, \"f\"]", "[\"a\",{\"b\":\"c\",\"d\":[\"e\"]},\"f\"]");
	expect_json("\xef\xbb\xbf"
		    "a: ü",
		    "{\"a\":\"ü\"}");
	expect_json("a: 1\r\nb: 2\r\n", "{\"a\":\"1\",\"b\":\"2\"}");
	expect_json("%YAML 1.2\n--- # c\na: 1\n...\n", "{\"a\":\"1\"}");
	expect_json("{}", "{}");
	expect_json("[]", "[]");
}

static void variables_stay(void **state)
{
	(void)state;
	expect_json("a: ${database.url}\nb: $(cmd) `x` #no\nc: x#y\n",
		    "{\"a\":\"${database.url}\",\"b\":\"$(cmd) `x`\",\"c\":\"x#y\"}");
}

static void aliases_and_merges(void **state)
{
	(void)state;
	expect_json("a: &x {p: 1, q: 2}\nb: *x\nc: [*x, &s t, *s]\n",
		    "{\"a\":{\"p\":\"1\",\"q\":\"2\"},\"b\":{\"p\":\"1\",\"q\":\"2\"},\"c\":[{\"p\":\"1\",\"q\":\"2\"},"
		    "\"t\",\"t\"]}");
	expect_json("a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n", "{\"a\":{\"p\":\"1\",\"q\":\"2\"},"
								  "\"b\":{\"q\":\"3\",\"p\":\"1\"}}");
	expect_json("- &x {p: 1}\n- &y {p: 2, r: 3}\n- <<: [*x, *y]\n- <<: {z: 1}\n",
		    "[{\"p\":\"1\"},{\"p\":\"2\",\"r\":\"3\"},{\"p\":\"1\",\"r\":\"3\"},{\"z\":\"1\"}]");
	/* a merged mapping that merges itself */
	expect_json("- &x {p: 1}\n- &y {<<: *x, q: 2}\n- {<<: *y, r: 3}\n",
		    "[{\"p\":\"1\"},{\"q\":\"2\",\"p\":\"1\"},{\"r\":\"3\",\"q\":\"2\",\"p\":\"1\"}]");
	/* a quoted one is an ordinary key */
	expect_json("'<<': x", "{\"<<\":\"x\"}");
	expect_json("&k a: 1\nb: *k\n", "{\"a\":\"1\",\"b\":\"a\"}");
	/* the latest anchor of a name counts */
	expect_json("[&a x, *a, &a y, *a]", "[\"x\",\"x\",\"y\",\"y\"]");
}

static void alias_errors(void **state)
{
	(void)state;
	expect_err("a: *x\n", "f.yaml:1:4: no anchor &x before this alias");
	expect_err("a: &x [1, *x]\n", "f.yaml:1:11: alias *x inside its own anchor");
	expect_err("a: &x\n  <<: *x\n", "f.yaml:2:7: alias *x inside its own anchor");
	expect_err("a: 1\n<<: text\n", "f.yaml:2:1: << merges a mapping or a list of mappings");
	expect_err("<<: [{a: 1}, b]\n", "f.yaml:1:1: << merges a mapping or a list of mappings");
	expect_err("- &x {a: 1}\n- <<: *x\n  <<: *x\n", "f.yaml:3:3: duplicate key << (first in line 2)");
}

static void syntax_errors_have_places(void **state)
{
	(void)state;
	expect_err("a: 1\n  b: 2\n", "f.yaml:1:4: invalid multiline plain key");
	expect_err("a:\n\t- x\n", "f.yaml:2:1: tab character may not be used as indentation");
	expect_err("a: 1\nb: \"x\n", "f.yaml:2:5: double-quoted scalar without closing quote");
	expect_err("a: 1\nb: 2\nc: @x\n", "f.yaml:3:4: plain scalar cannot start with '@'");
	expect_err("a: !u!x 1\n", "f.yaml:1:4: undefined tag prefix");
	expect_err("%YAML 3.0\n---\na: 1\n", "f.yaml:1:1: not YAML");
}

static void key_errors(void **state)
{
	(void)state;
	expect_err("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "f.yaml:5:3: duplicate key c (first in line 3)");
	expect_err("a: 1\n'a': 2\n", "f.yaml:2:1: duplicate key a (first in line 1)");
	expect_err("{a: 1, a: 2}", "f.yaml:1:8: duplicate key a (first in line 1)");
	expect_err("? [x]\n: 2\n", "f.yaml:1:3: a key must be a text, not a list");
	expect_err("{a: 1}: 2\n", "f.yaml:1:1: a key must be a text, not a mapping");
	expect_err("x:\n  ~: 2\n", "f.yaml:2:3: a key must be a text, not null");
	expect_err(": 2\n", "f.yaml:1:1: a key must be a text, not null");
}

static void one_document(void **state)
{
	(void)state;
	expect_err("--- a\n---\nb\n", "f.yaml:2:1: a second document; only one is read");
	expect_err("", "f.yaml: empty");
	expect_err("# only a comment\n", "f.yaml: empty");
	expect_err("---\n", "f.yaml: empty");
	expect_err("~\n", "f.yaml: empty");
}

static void hostile_bytes(void **state)
{
	(void)state;
	expect_err_n("a: 1\nb: \0x", 10, "f.yaml:2:4: NUL byte (0x00)");
	expect_err("a: \"x\\0y\"\n", "f.yaml:1:4: NUL character in a text");
	expect_err("a: \"\\0\": 1\n", "f.yaml:1:4: NUL character in a text");
	expect_err("a: 1\nb: x\xff\n", "f.yaml:2:5: not UTF-8 (byte 0xff)");
	expect_err("a: \xc3", "f.yaml:1:4: not UTF-8 (byte 0xc3)");
	expect_err("a: \xed\xa0\x80", "f.yaml:1:4: not UTF-8 (byte 0xed)");
	expect_err("a: \xc0\x80", "f.yaml:1:4: not UTF-8 (byte 0xc0)");
	expect_err("a: \xf5\x80\x80\x80", "f.yaml:1:4: not UTF-8 (byte 0xf5)");
	expect_err("é: \x1b[31m", "f.yaml:1:4: control character (0x1b)");
	expect_err("a: \xc2\x9b", "f.yaml:1:4: control character (0x9b)");
	expect_err("a: \"\\ud800\"", "f.yaml:1:5: double-quoted scalar has invalid UTF8 escape");
	expect_err("a: !<tag:evil\nx", "f.yaml:1:14: missing '>' uri terminator");
}

static void tags(void **state)
{
	(void)state;
	expect_json("a: !!int 1\nb: !!map {c: !!seq [x]}\nd: ! x\n", "{\"a\":\"1\",\"b\":{\"c\":[\"x\"]},\"d\":\"x\"}");
	expect_err("a: !!binary aGk=\n", "f.yaml:1:13: unknown tag tag:yaml.org,2002:binary");
	expect_err("a: !ruby/object x\n", "f.yaml:1:17: unknown tag !ruby/object");
	expect_err("a: !!str [x]\n", "f.yaml:1:10: a text tag on a list or mapping");
}

static void too_large(void **state)
{
	(void)state;
	size_t n = YAML_MAX_BYTES + 1;
	AUTO_FREE char *text = xcalloc(n, 1);
	memset(text, 'x', n);
	expect_err_n(text, n, "f.yaml: larger than 1024 KiB");
	struct yaml y;
	struct err err = ERR_INIT;
	assert_int_equal(yaml_parse(&y, "f", text, n - 1, &err), 0);
	assert_int_equal(json_string_length(y.root), n - 1);
	yaml_finish(&y);
}

static void too_deep(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct yaml y;
	AUTO_FREE char *text = xcalloc(YAML_MAX_BYTES + 1, 1);
	memset(text, '[', YAML_MAX_BYTES);
	assert_int_equal(yaml_parse(&y, "f", text, YAML_MAX_BYTES, &err), -1);
	assert_non_null(strstr(err.msg, "nested deeper than 64"));
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	assert_int_equal(yaml_parse(&y, "f", text, 128, &err), 0);
	yaml_finish(&y);
	/* depth that only aliases make */
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	buf_adds(&b, "- &a0 [x]\n");
	for (int i = 1; i < 70; i++)
		buf_addf(&b, "- &a%d [*a%d]\n", i, i - 1);
	assert_int_equal(yaml_parse(&y, "f", b.data, b.len, &err), -1);
	assert_string_equal(err.msg, "f:1:7: nested deeper than 64");
	buf_reset(&b);
	buf_adds(&b, "- &a0 {x: 1}\n");
	for (int i = 1; i < 70; i++)
		buf_addf(&b, "- &a%d {<<: *a%d}\n", i, i - 1);
	assert_int_equal(yaml_parse(&y, "f", b.data, b.len, &err), -1);
	assert_non_null(strstr(err.msg, "merged deeper than 64"));
}

/* Ten levels of ten aliases each: 10^10 values from 400 bytes. */
static void billion_laughs(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct yaml y;
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	buf_adds(&b, "a0: &a0 lol\n");
	for (int i = 1; i < 11; i++) {
		buf_addf(&b, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_addf(&b, "*a%d,", i - 1);
		buf_adds(&b, "]\n");
	}
	assert_int_equal(yaml_parse(&y, "f", b.data, b.len, &err), -1);
	assert_non_null(strstr(err.msg, "more than 100000 values with all aliases expanded"));
	/* the same by merging, where the result stays small and only the work grows */
	buf_reset(&b);
	buf_adds(&b, "a0: &a0 {x: 1}\n");
	for (int i = 1; i < 11; i++) {
		buf_addf(&b, "a%d: &a%d {<<: [", i, i);
		for (int k = 0; k < 10; k++)
			buf_addf(&b, "*a%d,", i - 1);
		buf_adds(&b, "]}\n");
	}
	assert_int_equal(yaml_parse(&y, "f", b.data, b.len, &err), -1);
	assert_non_null(strstr(err.msg, "more than 100000 values with all aliases expanded"));
}

/* Few values, but each long: a text, or a key that every pointer below it repeats. */
static void long_laughs(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct yaml y;
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	for (int as_key = 0; as_key < 2; as_key++) {
		buf_reset(&b);
		buf_adds(&b, as_key ? "- &a {? " : "- &a ");
		for (int i = 0; i < 500000; i++)
			buf_addc(&b, 'x');
		buf_adds(&b, as_key ? " : [1,2,3,4,5,6,7,8]}\n" : "\n");
		for (int i = 0; i < 300; i++)
			buf_adds(&b, "- *a\n");
		assert_int_equal(yaml_parse(&y, "f", b.data, b.len, &err), -1);
		assert_non_null(strstr(err.msg, "more than 64 MiB with all aliases expanded"));
	}
}

static void too_many(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct yaml y;
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	for (int i = 0; i < YAML_MAX_NODES; i++)
		buf_adds(&b, "- x\n");
	assert_int_equal(yaml_parse(&y, "f", b.data, b.len, &err), -1);
	assert_string_equal(err.msg, "f:100000:3: more than 100000 values");
	b.len -= 4;
	assert_int_equal(yaml_parse(&y, "f", b.data, b.len, &err), 0);
	assert_int_equal(json_array_size(y.root), YAML_MAX_NODES - 1);
	yaml_finish(&y);
}

static void marks(void **state)
{
	(void)state;
	static const char text[] = "# c\n"
				   "name: x\n"
				   "files:\n"
				   "  /etc/a~b: |\n"
				   "    text\n"
				   "list:\n"
				   "  - a\n"
				   "  - k: v\n"
				   "    l: w\n"
				   "  -\n"
				   "  - &n [p, q]\n"
				   "flow: {é: 1, b: [c, d]}\n"
				   "copy: *n\n";
	struct yaml y;
	struct err err = ERR_INIT;
	assert_int_equal(yaml_parse(&y, "f.yaml", text, sizeof text - 1, &err), 0);
	expect_mark(&y, "", 1, 1);
	expect_mark(&y, "/name", 2, 1);
	expect_mark(&y, "/files", 3, 1);
	expect_mark(&y, "/files/~1etc~1a~0b", 4, 3);
	expect_mark(&y, "/list/0", 7, 5);
	expect_mark(&y, "/list/1", 8, 5);
	expect_mark(&y, "/list/1/k", 8, 5);
	expect_mark(&y, "/list/1/l", 9, 5);
	expect_mark(&y, "/flow/é", 12, 8);
	expect_mark(&y, "/flow/b", 12, 14);
	expect_mark(&y, "/flow/b/1", 12, 21);
	expect_mark(&y, "/copy", 13, 1);
	expect_mark(&y, "/copy/1", 11, 12); /* where the anchored text stands */
	assert_null(json_object_get(y.marks, "/list/2"));

	assert_int_equal(yaml_err(&y, "/files/~1etc~1a~0b", &err, "no %s", "good"), -1);
	assert_string_equal(err.msg, "f.yaml:4:3: no good");
	assert_int_equal(err.reach, ERR_USER);
	assert_int_equal(yaml_err(&y, "/list/2", &err, "m"), -1);
	assert_string_equal(err.msg, "f.yaml:6:1: m");
	assert_int_equal(yaml_err(&y, "/name/of/nothing", &err, "m"), -1);
	assert_string_equal(err.msg, "f.yaml:2:1: m");
	assert_int_equal(yaml_err(&y, "/missing", &err, "m"), -1);
	assert_string_equal(err.msg, "f.yaml:1:1: m");
	yaml_finish(&y);
}

static void merged_marks(void **state)
{
	(void)state;
	static const char text[] = "a: &a\n  p: {x: 1}\n  q: 2\nb:\n  <<: *a\n  p: {y: 1}\n";
	struct yaml y;
	struct err err = ERR_INIT;
	assert_int_equal(yaml_parse(&y, "f.yaml", text, sizeof text - 1, &err), 0);
	expect_mark(&y, "/b/p", 6, 3);
	expect_mark(&y, "/b/p/y", 6, 7);
	expect_mark(&y, "/b/q", 3, 3);
	assert_null(json_object_get(y.marks, "/b/p/x"));
	yaml_finish(&y);
}

static void loading(void **state)
{
	(void)state;
	char path[] = "/tmp/stepbox-yaml-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a: 1\na: 2\n", 10), 10);
	close(fd);
	struct yaml y;
	struct err err = ERR_INIT;
	assert_int_equal(yaml_load(&y, path, &err), -1);
	char want[128];
	snprintf(want, sizeof want, "%s:2:1: duplicate key a (first in line 1)", path);
	assert_string_equal(err.msg, want);
	unlink(path);
	assert_int_equal(yaml_load(&y, path, &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	assert_non_null(strstr(err.msg, path));
	assert_non_null(strstr(err.msg, "No such file"));
	yaml_finish(&y);
}

/* libfyaml prints its own diagnostics unless it is stopped from doing so. */
static void nothing_on_stderr(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	int saved = dup(2);
	dup2(fds[1], 2);
	static const char *const bad[] = {"a: [", "a: b: c", "\"", "a: *x", "%YAML 9\n---\nx", "!<", "? ? ?\n- :"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct yaml y;
		struct err err = ERR_INIT;
		(void)!yaml_parse(&y, "f", bad[i], strlen(bad[i]), &err);
		yaml_finish(&y);
	}
	dup2(saved, 2);
	close(saved);
	close(fds[1]);
	char buf[256] = "";
	ssize_t n = read(fds[0], buf, sizeof buf - 1);
	close(fds[0]);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars_are_texts),
		cmocka_unit_test(nulls),
		cmocka_unit_test(styles),
		cmocka_unit_test(variables_stay),
		cmocka_unit_test(aliases_and_merges),
		cmocka_unit_test(alias_errors),
		cmocka_unit_test(syntax_errors_have_places),
		cmocka_unit_test(key_errors),
		cmocka_unit_test(one_document),
		cmocka_unit_test(hostile_bytes),
		cmocka_unit_test(tags),
		cmocka_unit_test(too_large),
		cmocka_unit_test(too_deep),
		cmocka_unit_test(billion_laughs),
		cmocka_unit_test(long_laughs),
		cmocka_unit_test(too_many),
		cmocka_unit_test(marks),
		cmocka_unit_test(merged_marks),
		cmocka_unit_test(loading),
		cmocka_unit_test(nothing_on_stderr),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
