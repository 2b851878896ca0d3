/* SPDX-License-Identifier: MIT */
#include "migrations/adapter.h"

#include <dirent.h>
#include <regex.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/template.h"
#include "base/text.h"
#include "migrations/adapter_history.h"

#define ADAPTER_MAX_OPTIONS 32
#define ADAPTER_MAX_KEYS    (ADAPTER_MAX_OPTIONS + 32)
#define ADAPTER_MAX_DETECT  32
#define ADAPTER_FILLED_MAX  ((size_t)256 << 10) /* of one snippet with its variables filled in */

enum kind {
	KIND_TEXT,
	KIND_NAME,
	KIND_BOOL,
	KIND_REGEX,
	KIND_RANK,
	KIND_LIST,
	KIND_DETECT,
	KIND_TEXTS,
	KIND_OPTIONS,
	KIND_VARIANTS,
	KIND_HISTORY
};

enum {
	IN_TOOL = 1,
	IN_DATABASE = 2,
	IN_VARIANT = 4,
	REQUIRED = 8, /* wherever it may be */
	RECIPE = 16,  /* a recipe may override it */
};

static const struct rule {
	const char *key;
	enum kind kind;
	unsigned flags;
} rules[] = {
	{"name", KIND_NAME, IN_TOOL | IN_DATABASE | IN_VARIANT | REQUIRED},
	{"when", KIND_TEXT, IN_VARIANT | REQUIRED},
	{"brief", KIND_TEXT, IN_TOOL | IN_DATABASE | REQUIRED},
	{"tested", KIND_TEXT, IN_TOOL | IN_DATABASE},
	{"untested", KIND_TEXT, IN_TOOL | IN_DATABASE},
	{"rank", KIND_RANK, IN_TOOL},
	{"detect", KIND_DETECT, IN_TOOL},
	{"files", KIND_TEXT, IN_TOOL | RECIPE},
	{"env", KIND_TEXTS, IN_TOOL},
	{"urls", KIND_TEXTS, IN_TOOL},
	{"options", KIND_OPTIONS, IN_TOOL | IN_DATABASE},
	{"list", KIND_TEXT, IN_TOOL | IN_VARIANT | RECIPE},
	{"up", KIND_TEXT, IN_TOOL | IN_VARIANT | RECIPE},
	{"down", KIND_TEXT, IN_TOOL | IN_VARIANT | RECIPE},
	{"current", KIND_TEXT, IN_TOOL | IN_VARIANT | RECIPE},
	{"warm", KIND_TEXT, IN_TOOL | IN_VARIANT},
	{"version_table", KIND_TEXT, IN_TOOL | IN_VARIANT | RECIPE},
	{"version_sql", KIND_TEXT, IN_TOOL | IN_VARIANT | RECIPE},
	{"applied", KIND_BOOL, IN_TOOL | RECIPE},
	{"refused", KIND_REGEX, IN_TOOL | RECIPE},
	{"env_failed", KIND_REGEX, IN_TOOL | RECIPE},
	{"variants", KIND_VARIANTS, IN_TOOL},
	{"history", KIND_HISTORY, IN_TOOL},
	{"starter", KIND_TEXT, IN_TOOL},
	{"url", KIND_TEXT, IN_DATABASE | RECIPE | REQUIRED},
	{"vars", KIND_TEXTS, IN_DATABASE},
	{"packages", KIND_LIST, IN_DATABASE},
	{"start", KIND_TEXT, IN_DATABASE | RECIPE},
	{"look", KIND_TEXT, IN_DATABASE | RECIPE | REQUIRED},
	{"save", KIND_TEXT, IN_DATABASE | RECIPE},
	{"restore", KIND_TEXT, IN_DATABASE | RECIPE},
	{"columns", KIND_TEXT, IN_DATABASE},
	{"model", KIND_TEXT, IN_DATABASE},
};

/* Words that mean something else where options are set. */
static const char *const reserved[] = {"tool",      "from",   "to",   "match", "timeout",
				       "roundtrip", "engine", "step", "cold",  NULL};

struct adapter {
	struct yaml y;
	bool database;
	const char *keys[ADAPTER_MAX_KEYS + 1]; /* what adapter_override() takes; borrowed from rules and y.root */
};

/* ---- checking ---- */

static unsigned place_of(const struct adapter *a)
{
	return a->database ? IN_DATABASE : IN_TOOL;
}

static const char *noun(const struct adapter *a)
{
	return a->database ? "database" : "migration tool";
}

static const struct rule *find_rule(const char *key, unsigned flags)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if ((rules[i].flags & flags) == flags && strcmp(rules[i].key, key) == 0)
			return &rules[i];
	return NULL;
}

static int unknown_key(const struct adapter *a, const char *pointer, const char *key, unsigned place, struct err *err)
{
	const char *words[ARRAY_SIZE(rules) + 1] = {NULL};
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].flags & place)
			words[n++] = rules[i].key;
	const char *near = text_nearest(key, words);
	return yaml_err(&a->y, pointer, err, "%s: no such key%s%s%s", key, near ? "; did you mean " : "",
			near ? near : "", near ? "?" : "");
}

static int check_regex(const char *text, char why[128])
{
	regex_t re;
	int rc = regcomp(&re, text, REG_EXTENDED | REG_NOSUB);
	if (rc != 0) {
		regerror(rc, &re, why, 128);
		return -1;
	}
	regfree(&re);
	return 0;
}

static bool is_option_name(const char *s)
{
	return *s >= 'a' && *s <= 'z' && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static int check_option(const struct adapter *a, const char *pointer, const char *key, struct err *err)
{
	if (!is_option_name(key))
		return yaml_err(&a->y, pointer, err, "%s: an option is called [a-z][a-z0-9_]*", key);
	for (const char *const *r = reserved; *r; r++)
		if (strcmp(*r, key) == 0)
			return yaml_err(&a->y, pointer, err, "%s: this name has a meaning of its own in a recipe", key);
	/* A database may well have an option `name`: no recipe can mean the adapter's. */
	if (find_rule(key, place_of(a) | (a->database ? RECIPE : 0)))
		return yaml_err(&a->y, pointer, err, "%s: an option cannot have the name of a key", key);
	return 0;
}

/* A mapping of names to scalars. An empty scalar is an empty text. */
static int check_texts(const struct adapter *a, const char *pointer, json_t *map, bool options, struct err *err)
{
	const char *key;
	json_t *v;
	void *next;
	if (!json_is_object(map))
		return yaml_err(&a->y, pointer, err, "a mapping is wanted here");
	if (options && json_object_size(map) > ADAPTER_MAX_OPTIONS)
		return yaml_err(&a->y, pointer, err, "more than %d options", ADAPTER_MAX_OPTIONS);
	json_object_foreach_safe (map, next, key, v) {
		AUTO_FREE char *at = xasprintf("%s/%s", pointer, key);
		if (json_is_null(v))
			json_object_set_new(map, key, json_string(""));
		else if (!json_is_string(v))
			return yaml_err(&a->y, at, err, "%s: a text is wanted here", key);
		if (options && check_option(a, at, key, err) < 0)
			return -1;
	}
	return 0;
}

/* A list of texts; a single text counts as a list of one. */
static int check_list(const struct adapter *a, const char *pointer, json_t *map, const char *key, struct err *err)
{
	json_t *list = json_object_get(map, key), *v;
	size_t i;
	if (json_is_string(list)) {
		json_t *one = json_array();
		json_array_append(one, list);
		json_object_set_new(map, key, one);
		return 0;
	}
	if (!json_is_array(list) || json_array_size(list) > ADAPTER_MAX_DETECT)
		return yaml_err(&a->y, pointer, err, "%s: a list of at most %d is wanted here", key,
				ADAPTER_MAX_DETECT);
	json_array_foreach (list, i, v) {
		AUTO_FREE char *at = xasprintf("%s/%zu", pointer, i);
		if (!json_is_string(v))
			return yaml_err(&a->y, at, err, "%s: a text is wanted here", key);
	}
	return 0;
}

/* A path of `detect`; a pattern of files below the checkout. */
static int check_below(const struct adapter *a, const char *pointer, const char *pattern, struct err *err)
{
	if (!pattern || *pattern == '\0' || *pattern == '/' || strstr(pattern, ".."))
		return yaml_err(&a->y, pointer, err, "detect: %s: a path below the checkout is wanted",
				pattern ? pattern : "no text");
	return 0;
}

static int check_number(const struct adapter *a, const char *pointer, const char *what, const char *text, int64_t max,
			struct err *err)
{
	int64_t number;
	struct err bad = ERR_INIT;
	return text_parse_int(what, text, 0, max, &number, &bad) < 0 ? yaml_err(&a->y, pointer, err, "%s", bad.msg) : 0;
}

/* {file: PATTERN, text: REGEX, beside: PATTERN, beside_text: REGEX, up: N}; all but file may be absent. */
static int check_sign(const struct adapter *a, const char *pointer, const json_t *sign, struct err *err)
{
	static const char *const words[] = {"file", "text", "beside", "beside_text", "up", NULL};
	char why[128];
	const char *key;
	json_t *v;
	if (!json_object_get(sign, "file"))
		return yaml_err(&a->y, pointer, err, "detect: file: missing");
	if (json_object_get(sign, "beside_text") && !json_object_get(sign, "beside"))
		return yaml_err(&a->y, pointer, err, "detect: beside_text: of no file: beside is missing");
	json_object_foreach ((json_t *)(uintptr_t)sign, key, v) {
		AUTO_FREE char *at = xasprintf("%s/%s", pointer, key);
		const char *near = text_nearest(key, words), *text = json_string_value(v);
		if (!near || strcmp(near, key) != 0)
			return yaml_err(&a->y, at, err, "detect: %s: no such key%s%s%s", key,
					near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
		if (!text)
			return yaml_err(&a->y, at, err, "detect: %s: a text is wanted here", key);
		if (strcmp(key, "up") == 0) {
			if (check_number(a, at, "detect: up", text, ADAPTER_MAX_UP, err) < 0)
				return -1;
			continue;
		}
		if (!text_ends(key, "text") && check_below(a, at, text, err) < 0)
			return -1;
		if (text_ends(key, "text") && check_regex(text, why) < 0)
			return yaml_err(&a->y, at, err, "detect: %s: %s", key, why);
	}
	return 0;
}

static int check_detect(const struct adapter *a, struct err *err)
{
	json_t *list = json_object_get(a->y.root, "detect"), *v;
	size_t i;
	if (!json_is_array(list)) {
		list = json_pack("[O]", list);
		json_object_set_new(a->y.root, "detect", list);
	}
	if (json_array_size(list) > ADAPTER_MAX_DETECT)
		return yaml_err(&a->y, "/detect", err, "detect: a list of at most %d is wanted here",
				ADAPTER_MAX_DETECT);
	json_array_foreach (list, i, v) {
		AUTO_FREE char *at = xasprintf("/detect/%zu", i);
		if (json_is_object(v) ? check_sign(a, at, v, err) < 0
				      : check_below(a, at, json_string_value(v), err) < 0)
			return -1;
	}
	return 0;
}

static int check_map(const struct adapter *a, const char *pointer, json_t *map, unsigned place, struct err *err);

static int check_variants(const struct adapter *a, json_t *list, struct err *err)
{
	size_t i;
	json_t *v;
	if (!json_is_array(list) || json_array_size(list) > ARRAY_SIZE(((struct plan_walk *)0)->variants))
		return yaml_err(&a->y, "/variants", err, "variants: a list of at most %zu is wanted here",
				ARRAY_SIZE(((struct plan_walk *)0)->variants));
	json_array_foreach (list, i, v) {
		AUTO_FREE char *at = xasprintf("/variants/%zu", i);
		if (!json_is_object(v))
			return yaml_err(&a->y, at, err, "a variant is a mapping: name, when, …");
		if (check_map(a, at, v, IN_VARIANT, err) < 0)
			return -1;
		/* A plan's variant can give a snippet but not take one away. */
		if (json_object_get(v, "version_sql") && json_object_get(a->y.root, "current"))
			return yaml_err(&a->y, at, err, "version_sql: the tool has `current`, which would win");
	}
	return 0;
}

static int check_scalar(const struct adapter *a, const char *pointer, const struct rule *rule, const json_t *v,
			struct err *err)
{
	char why[128];
	const char *s = json_string_value(v);
	if (!s)
		return yaml_err(&a->y, pointer, err, "%s: a text is wanted here", rule->key);
	if (rule->kind == KIND_NAME && !text_is_name(s))
		return yaml_err(&a->y, pointer, err, "%s: not a name ([a-z0-9][a-z0-9._-]*)", s);
	if (rule->kind == KIND_BOOL && strcmp(s, "true") != 0 && strcmp(s, "false") != 0)
		return yaml_err(&a->y, pointer, err, "%s: %s: true or false is wanted here", rule->key, s);
	if (rule->kind == KIND_REGEX && check_regex(s, why) < 0)
		return yaml_err(&a->y, pointer, err, "%s: %s", rule->key, why);
	return rule->kind == KIND_RANK ? check_number(a, pointer, "rank", s, ADAPTER_MAX_RANK, err) : 0;
}

static int check_value(const struct adapter *a, const char *pointer, const struct rule *rule, json_t *map,
		       struct err *err)
{
	json_t *v = json_object_get(map, rule->key);
	switch (rule->kind) {
	case KIND_LIST:
		return check_list(a, pointer, map, rule->key, err);
	case KIND_DETECT:
		return check_detect(a, err);
	case KIND_TEXTS:
	case KIND_OPTIONS:
		return check_texts(a, pointer, v, rule->kind == KIND_OPTIONS, err);
	case KIND_VARIANTS:
		return check_variants(a, v, err);
	case KIND_HISTORY:
		return adapter_history_check(&a->y, map, err);
	case KIND_TEXT:
	case KIND_NAME:
	case KIND_BOOL:
	case KIND_REGEX:
	case KIND_RANK:
		break;
	}
	return check_scalar(a, pointer, rule, v, err);
}

static int check_map(const struct adapter *a, const char *pointer, json_t *map, unsigned place, struct err *err)
{
	const char *key;
	json_t *v;
	void *next;
	json_object_foreach_safe (map, next, key, v) {
		AUTO_FREE char *at = xasprintf("%s/%s", pointer, key);
		const struct rule *rule = find_rule(key, place);
		if (!rule)
			return unknown_key(a, at, key, place, err);
		if (check_value(a, at, rule, map, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		unsigned both = place | REQUIRED;
		if ((rules[i].flags & both) == both && !json_object_get(map, rules[i].key))
			return yaml_err(&a->y, pointer, err, "%s: missing", rules[i].key);
	}
	return 0;
}

static bool is_warm(const struct adapter *tool)
{
	const json_t *variant;
	size_t i;
	if (adapter_get(tool, "warm"))
		return true;
	json_array_foreach (json_object_get(tool->y.root, "variants"), i, variant) {
		if (json_object_get(variant, "warm"))
			return true;
	}
	return false;
}

static int check(const struct adapter *a, const char *name, struct err *err)
{
	if (!json_is_object(a->y.root))
		return yaml_err(&a->y, "", err, "a %s is a mapping: name, brief, …", noun(a));
	if (check_map(a, "", a->y.root, place_of(a), err) < 0)
		return -1;
	if (strcmp(adapter_name(a), name) != 0)
		return yaml_err(&a->y, "/name", err, "name: %s, but the file is called %s.yaml", adapter_name(a), name);
	if (adapter_get(a, "tested") && adapter_get(a, "untested"))
		return yaml_err(&a->y, "/untested", err, "untested: and yet tested?");
	if (a->database)
		return 0;
	for (const char *const *key = (const char *const[]){"list", "up", NULL}; *key; key++)
		if (!adapter_get(a, *key))
			return yaml_err(&a->y, "", err, "%s: missing", *key);
	if (is_warm(a) && !json_object_get(json_object_get(a->y.root, "options"), "python"))
		return yaml_err(&a->y, "", err, "warm: an option `python`, the interpreter, is wanted with it");
	if (!adapter_get(a, "current") == !adapter_get(a, "version_sql"))
		return yaml_err(&a->y, "", err, "exactly one of current and version_sql is wanted");
	return 0;
}

/* ---- loading ---- */

static void collect_keys(struct adapter *a)
{
	size_t n = 0;
	const char *key;
	json_t *v;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if ((rules[i].flags & place_of(a)) && (rules[i].flags & RECIPE))
			a->keys[n++] = rules[i].key;
	if (!a->database)
		a->keys[n++] = "step";
	json_object_foreach (json_object_get(a->y.root, "options"), key, v) {
		a->keys[n++] = key;
	}
	a->keys[n] = NULL;
}

static const char *folder(bool database)
{
	return database ? "databases/" : "tools/";
}

static char *user_path(bool database, const char *file)
{
	return xasprintf("%s/adapters/%s%s", fs_config_dir(), database ? folder(true) : "", file);
}

static void add_name(json_t *names, const char *file)
{
	if (!text_ends(file, ".yaml"))
		return;
	AUTO_FREE char *name = xstrndup(file, strlen(file) - strlen(".yaml"));
	if (text_is_name(name))
		json_object_set_new(names, name, json_true());
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *adapter_names(bool database)
{
	json_t *set = json_object(), *out = json_array(), *v;
	json_t *files = template_list(folder(database));
	const char *key;
	size_t i, n = 0;
	json_array_foreach (files, i, v) {
		add_name(set, json_string_value(v) + strlen(folder(database)));
	}
	json_decref(files);
	AUTO_FREE char *path = user_path(database, "");
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));)
		add_name(set, e->d_name);
	if (dir)
		closedir(dir);
	AUTO_FREE const char **sorted = xcalloc(json_object_size(set) + 1, sizeof(*sorted));
	json_object_foreach (set, key, v) {
		sorted[n++] = key;
	}
	qsort(sorted, n, sizeof(*sorted), by_text);
	for (i = 0; i < n; i++)
		json_array_append_new(out, json_string(sorted[i]));
	json_decref(set);
	return out;
}

/* Engines by names they do not have here. MySQL's own server is not in Debian: nothing that would run it could be
 * tested. */
static const char *other_name(const char *name)
{
	static const char *const names[][2] = {
		{"mysql", "mariadb, which is what Debian has in its place"},
		{"percona", "mariadb, which is what Debian has in its place"},
		{"postgres", "postgresql"},
		{"pgsql", "postgresql"},
		{"pg", "postgresql"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i][0], name) == 0)
			return names[i][1];
	return NULL;
}

static int unknown_adapter(const char *name, bool database, struct err *err)
{
	json_t *names = adapter_names(database), *v;
	AUTO_FREE const char **words = xcalloc(json_array_size(names) + 1, sizeof(*words));
	AUTO_BUF known = buf_make(BUF_TEXT_MAX);
	size_t i;
	json_array_foreach (names, i, v) {
		words[i] = json_string_value(v);
		buf_addf(&known, "%s%s", i ? ", " : "", words[i]);
	}
	const char *near = database ? other_name(name) : NULL;
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	text_safe_line(&safe, name, strlen(name), 80);
	if (!near)
		near = text_nearest(name, words);
	int rc = near ? err_set(err, ERR_USER, 0, "%s: no such %s; did you mean %s?", safe.data,
				database ? "database" : "migration tool", near)
		      : err_set(err, ERR_USER, 0, "%s: no such %s; known: %s", safe.data,
				database ? "database" : "migration tool", known.data);
	json_decref(names);
	return rc;
}

static int read_file(struct adapter *a, const char *name, struct err *err)
{
	AUTO_FREE char *file = xasprintf("%s.yaml", name);
	AUTO_FREE char *own = user_path(a->database, file);
	if (fs_exists(own))
		return yaml_load(&a->y, own, err);
	AUTO_FREE char *path = xasprintf("%s%s", folder(a->database), file);
	AUTO_BUF text = buf_make(YAML_MAX_BYTES);
	struct err missing = ERR_INIT;
	if (template_file(path, &text, &missing) < 0)
		return unknown_adapter(name, a->database, err);
	return yaml_parse(&a->y, path, text.data, text.len, err);
}

static struct adapter *load(const char *name, bool database, struct err *err)
{
	CLEANUP(adapter_freep) struct adapter *a = xcalloc(1, sizeof(*a));
	a->database = database;
	if (!text_is_name(name)) {
		unknown_adapter(name, database, err);
		return NULL;
	}
	if (read_file(a, name, err) < 0 || check(a, name, err) < 0)
		return NULL;
	collect_keys(a);
	return TAKE(a);
}

struct adapter *adapter_load_tool(const char *name, struct err *err)
{
	return load(name, false, err);
}

struct adapter *adapter_load_database(const char *name, struct err *err)
{
	return load(name, true, err);
}

void adapter_free(struct adapter *a)
{
	if (!a)
		return;
	yaml_finish(&a->y);
	free(a);
}

void adapter_freep(struct adapter **a)
{
	adapter_free(*a);
	*a = NULL;
}

const char *adapter_name(const struct adapter *a)
{
	return adapter_get(a, "name");
}

const char *adapter_get(const struct adapter *a, const char *key)
{
	return json_string_value(json_object_get(a->y.root, key));
}

const json_t *adapter_json(const struct adapter *a)
{
	return a->y.root;
}

/* ---- overriding ---- */

static void remove_key(struct adapter *a, const char *key)
{
	size_t i;
	json_t *v;
	json_object_del(a->y.root, key);
	json_array_foreach (json_object_get(a->y.root, "variants"), i, v) {
		json_object_del(v, key);
	}
}

/* How the version is read is one thing that is said in two ways: the recipe's way leaves nothing of the other. */
static void set_key(struct adapter *a, const char *key, const char *value)
{
	remove_key(a, key);
	if (strcmp(key, "current") == 0) {
		remove_key(a, "version_sql");
		remove_key(a, "version_table");
	} else if (strcmp(key, "version_sql") == 0) {
		remove_key(a, "current");
	} else if (strcmp(key, "up") == 0 || strcmp(key, "down") == 0) {
		remove_key(a, "warm"); /* it is made for our words */
	}
	json_object_set_new(a->y.root, key, json_string(value));
}

int adapter_override(struct adapter *a, const char *key, const char *value, struct err *err)
{
	char why[128];
	json_t *options = json_object_get(a->y.root, "options");
	if (!value)
		value = "";
	if (json_object_get(options, key)) {
		json_object_set_new(options, key, json_string(value));
		return 0;
	}
	if (!a->database && strcmp(key, "step") == 0)
		key = "up";
	const struct rule *rule = find_rule(key, place_of(a) | RECIPE);
	if (!rule) {
		const char *near = text_nearest(key, a->keys);
		return err_set(err, ERR_USER, 0, "%s: no such key of %s %s%s%s%s", key, noun(a), adapter_name(a),
			       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	if (rule->kind == KIND_BOOL && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return err_set(err, ERR_USER, 0, "%s: %s: true or false is wanted here", key, value);
	if (rule->kind == KIND_REGEX && check_regex(value, why) < 0)
		return err_set(err, ERR_USER, 0, "%s: %s", key, why);
	set_key(a, key, value);
	return 0;
}

void adapter_cold(struct adapter *tool)
{
	remove_key(tool, "warm");
}

/* ---- filling ---- */

static int fill_text(const struct adapter *a, const char *key, const char *text, const json_t *scope, struct buf *out,
		     struct err *err)
{
	if (template_fill(out, text, scope, err) < 0)
		return err_ctx(err, "%s %s: %s", noun(a), adapter_name(a), key);
	return 0;
}

/* Sets scope[key] (and more[key2], when more is given) to the filled text. */
static int fill_into(const struct adapter *a, const char *key, const char *text, json_t *scope, json_t *more,
		     struct err *err)
{
	AUTO_BUF filled = buf_make(ADAPTER_FILLED_MAX);
	if (fill_text(a, key, text, scope, &filled, err) < 0)
		return -1;
	json_object_set_new(scope, key, json_string(filled.data));
	if (!more)
		return 0;
	AUTO_FREE char *dotted = xasprintf("database.%s", key);
	json_object_set_new(scope, dotted, json_string(filled.data));
	json_object_set_new(more, dotted, json_string(filled.data));
	return 0;
}

static int fill_all(const struct adapter *a, const char *section, json_t *scope, json_t *more, struct err *err)
{
	const char *key;
	json_t *v;
	json_object_foreach (json_object_get(a->y.root, section), key, v) {
		if (fill_into(a, key, json_string_value(v), scope, more, err) < 0)
			return -1;
	}
	return 0;
}

static void json_freep(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}

int adapter_database_vars(const struct adapter *db, json_t *vars, struct err *err)
{
	CLEANUP(json_freep) json_t *scope = json_copy(vars);
	json_object_set_new(vars, "database.engine", json_string(adapter_name(db)));
	json_object_set_new(scope, "database.engine", json_string(adapter_name(db)));
	if (fill_all(db, "options", scope, vars, err) < 0)
		return -1;
	if (fill_into(db, "url", adapter_get(db, "url"), scope, vars, err) < 0)
		return -1;
	return fill_all(db, "vars", scope, vars, err);
}

static void add_literal(json_t *scope, const char *key, const char *value)
{
	AUTO_BUF literal = buf_make(ADAPTER_FILLED_MAX * 2);
	AUTO_FREE char *name = xasprintf("%s_literal", key);
	buf_addc(&literal, '\'');
	for (const char *s = value; *s; s++) {
		if (*s == '\'')
			buf_addc(&literal, '\'');
		buf_addc(&literal, *s);
	}
	buf_addc(&literal, '\'');
	json_object_set_new(scope, key, json_string(value));
	json_object_set_new(scope, name, json_string(literal.data));
}

/* What makes one walk: the vars, and the tool's own names on top of them. */
struct filler {
	const struct adapter *tool, *db;
	json_t *scope;    /* for the tool's snippets */
	json_t *steps;    /* for up and down: the same, with an interpreter that may be warm */
	json_t *db_scope; /* for the look */
	json_t *keep;
};

static int keep_filled(const struct filler *f, const struct adapter *a, const char *key, const char *text,
		       const json_t *scope, const char **out, struct err *err)
{
	AUTO_BUF filled = buf_make(ADAPTER_FILLED_MAX);
	*out = NULL;
	if (!text || !*text)
		return 0;
	if (fill_text(a, key, text, scope, &filled, err) < 0)
		return -1;
	json_t *s = json_string(filled.data);
	json_array_append_new(f->keep, s);
	*out = json_string_value(s);
	return 0;
}

/* A snippet of the tool (layer: its root or one of its variants); NULL when the layer has none. */
static int snippet(const struct filler *f, const json_t *layer, const char *key, const char **out, struct err *err)
{
	bool step = strcmp(key, "up") == 0 || strcmp(key, "down") == 0;
	return keep_filled(f, f->tool, key, json_string_value(json_object_get(layer, key)), step ? f->steps : f->scope,
			   out, err);
}

/* A variant's value, or else the tool's. */
static const char *layered(const struct filler *f, const json_t *layer, const char *key)
{
	const char *s = json_string_value(json_object_get(layer, key));
	return s ? s : adapter_get(f->tool, key);
}

static int look(const struct filler *f, const json_t *layer, const char **out, struct err *err)
{
	static const char *const names[] = {"version_table", "version_sql"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_BUF filled = buf_make(ADAPTER_FILLED_MAX);
		const char *text = layered(f, layer, names[i]);
		if (fill_text(f->tool, names[i], text ? text : "", f->scope, &filled, err) < 0)
			return -1;
		add_literal(f->db_scope, names[i], filled.data);
	}
	const char *model = adapter_get(f->db, "model");
	if (fill_into(f->db, "model", model ? model : "", f->db_scope, NULL, err) < 0)
		return -1;
	return keep_filled(f, f->db, "look", adapter_get(f->db, "look"), f->db_scope, out, err);
}

static int add_variant(const struct filler *f, const json_t *layer, struct plan_variant *v, struct err *err)
{
	v->name = json_string_value(json_object_get(layer, "name"));
	json_array_append_new(f->keep, json_string(v->name));
	v->name = json_string_value(json_array_get(f->keep, json_array_size(f->keep) - 1));
	if (snippet(f, layer, "when", &v->when, err) < 0 || snippet(f, layer, "list", &v->list, err) < 0 ||
	    snippet(f, layer, "up", &v->up, err) < 0 || snippet(f, layer, "down", &v->down, err) < 0 ||
	    snippet(f, layer, "current", &v->current, err) < 0 || snippet(f, layer, "warm", &v->warm, err) < 0)
		return err_ctx(err, "variant %s", v->name);
	if (json_object_get(layer, "version_table") || json_object_get(layer, "version_sql"))
		return look(f, layer, &v->look, err);
	return 0;
}

static int add_walk(const struct filler *f, struct plan_walk *w, struct err *err)
{
	const json_t *root = adapter_json(f->tool), *variant;
	const char *applied = adapter_get(f->tool, "applied");
	size_t i;
	w->tool = adapter_name(f->tool);
	w->engine = adapter_name(f->db);
	w->applied = applied && strcmp(applied, "true") == 0;
	w->refused = adapter_get(f->tool, "refused");
	w->env_failed = adapter_get(f->tool, "env_failed");
	if (snippet(f, root, "list", &w->list, err) < 0 || snippet(f, root, "up", &w->up, err) < 0 ||
	    snippet(f, root, "down", &w->down, err) < 0 || snippet(f, root, "current", &w->current, err) < 0 ||
	    snippet(f, root, "warm", &w->warm, err) < 0 || look(f, NULL, &w->look, err) < 0)
		return -1;
	if (keep_filled(f, f->db, "save", adapter_get(f->db, "save"), f->db_scope, &w->save, err) < 0 ||
	    keep_filled(f, f->db, "restore", adapter_get(f->db, "restore"), f->db_scope, &w->restore, err) < 0)
		return -1;
	w->n_variants = 0;
	json_array_foreach (json_object_get(root, "variants"), i, variant) {
		if (add_variant(f, variant, &w->variants[w->n_variants++], err) < 0)
			return -1;
	}
	return 0;
}

/* The tool's options into scope, which has the database's names; before them ${tool.url}: the database as this tool
 * wants it said, or the general URL where the tool has no word of its own. */
static int fill_options(const struct adapter *tool, json_t *scope, struct err *err)
{
	const json_t *urls = json_object_get(adapter_json(tool), "urls");
	const char *engine = json_string_value(json_object_get(scope, "database.engine"));
	const char *text = engine ? json_string_value(json_object_get(urls, engine)) : "";
	if (fill_into(tool, "tool.url", text ? text : "${database.url}", scope, NULL, err) < 0)
		return -1;
	return fill_all(tool, "options", scope, NULL, err);
}

/* The interpreter of up and down, and its part of templates/warm/. */
static void warm_steps(const struct filler *f, struct plan_walk *w)
{
	const json_t *python = json_object_get(f->scope, "python");
	if (!json_is_string(python) || !is_warm(f->tool))
		return;
	json_array_append(f->keep, (json_t *)(uintptr_t)python);
	w->interpreter = json_string_value(python);
	w->harness = "python.py";
	AUTO_FREE char *called = xasprintf("stepbox_warm %s", w->interpreter);
	json_object_set_new(f->steps, "python", json_string(called));
}

int adapter_walk(const struct adapter *tool, const struct adapter *db, const json_t *vars, struct plan_walk *w,
		 json_t **keep, struct err *err)
{
	CLEANUP(json_freep) json_t *scope = json_object();
	CLEANUP(json_freep) json_t *db_scope = json_object();
	const char *key;
	json_t *v;
	*keep = json_array();
	json_object_update(scope, (json_t *)(uintptr_t)vars);
	json_object_update(db_scope, (json_t *)(uintptr_t)vars);
	json_object_foreach (json_object_get(db->y.root, "options"), key, v) {
		AUTO_FREE char *dotted = xasprintf("database.%s", key);
		json_object_set(db_scope, key, json_object_get(vars, dotted));
	}
	if (fill_options(tool, scope, err) < 0)
		return -1;
	CLEANUP(json_freep) json_t *steps = json_copy(scope);
	struct filler f = {.tool = tool, .db = db, .scope = scope, .steps = steps, .db_scope = db_scope, .keep = *keep};
	warm_steps(&f, w);
	return add_walk(&f, w, err);
}

/* As adapter_walk() fills snippets. */
int adapter_history(const struct adapter *tool, const json_t *vars, json_t **out, struct err *err)
{
	CLEANUP(json_freep) json_t *scope = json_object();
	const json_t *history = json_object_get(tool->y.root, "history");
	*out = NULL;
	if (!history)
		return 0;
	json_object_update(scope, (json_t *)(uintptr_t)vars);
	if (fill_options(tool, scope, err) < 0)
		return -1;
	*out = adapter_history_fill(history, scope, err);
	return *out ? 1 : err_ctx(err, "%s %s: history", noun(tool), adapter_name(tool));
}
