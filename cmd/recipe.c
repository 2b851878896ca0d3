/* SPDX-License-Identifier: MIT */
#include "cmd/recipe.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "cmd/recipe_data.h"

/* What may stand at a key. */
enum kind {
	K_MAP,    /* a mapping with the keys of this table */
	K_FREE,   /* a mapping with any keys and scalar values */
	K_FILES,  /* path: text, or path: {content | template, mode} */
	K_TEXT,   /* any scalar */
	K_NAME,   /* text_is_name() */
	K_SPAN,   /* "10m" */
	K_DEPTH,  /* "full" or a number */
	K_LIST,   /* a list of scalars, or one scalar */
	K_SETUP,  /* a list of commands, or of {run, from, to} */
	K_MATCH,  /* tip or commit */
	K_FLAVOR, /* a name, or {vcpus, ram, disk} */
	K_SIZE,   /* "10GiB" */
	K_PORT,   /* 1 … 65535 */
	K_FLAG,   /* true or false */
	K_USER,   /* the name of a login user */
	K_DATA,   /* checked in recipe_data.c */
	K_DB,     /* an engine's name, or a mapping {engine, …options of its adapter} */
	K_ADAPTER /* the keys below, and those of the tool's adapter */
};

static const struct rule {
	const char *parent, *key;
	enum kind kind;
} rules[] = {
	{"", "name", K_NAME},
	{"", "box", K_MAP},
	{"", "packages", K_LIST},
	{"", "source", K_MAP},
	{"", "setup", K_SETUP},
	{"", "files", K_FILES},
	{"", "env", K_FREE},
	{"", "database", K_DB},
	{"", "migrations", K_ADAPTER},
	{"", "seed", K_DATA},
	{"", "limits", K_DATA},
	{"/box", "cloud", K_TEXT},
	{"/box", "image", K_TEXT},
	{"/box", "flavor", K_FLAVOR},
	{"/box", "ttl", K_SPAN},
	{"/box", "user", K_USER},
	{"/box", "network", K_TEXT},
	{"/box", "floating_network", K_TEXT},
	{"/box", "security_group", K_TEXT},
	{"/box", "ssh_from", K_TEXT},
	{"/box", "availability_zone", K_TEXT},
	{"/box", "volume", K_SIZE},
	{"/box", "config_drive", K_FLAG},
	{"/box", "layer", K_FLAG},
	{"/box", "port", K_PORT},
	{"/box", "proxy", K_TEXT},
	{"/box", "connect_timeout", K_SPAN},
	{"/source", "git", K_TEXT},
	{"/source", "path", K_TEXT},
	{"/source", "ref", K_TEXT},
	{"/source", "depth", K_DEPTH},
	{"/migrations", "tool", K_NAME},
	{"/migrations", "from", K_TEXT},
	{"/migrations", "to", K_TEXT},
	{"/migrations", "match", K_MATCH},
	{"/migrations", "timeout", K_SPAN},
	{"/migrations", "fresh", K_TEXT},
	{"/migrations", "roundtrip", K_FLAG},
	{"/migrations", "cold", K_FLAG},
};

#define MAX_RULES_OF_PARENT 32
#define MIB                 ((uint64_t)1 << 20)
#define GIB                 ((uint64_t)1 << 30)
/* A recipe's own bounds: each is far above what people write and keeps a hostile file small. */
#define MAX_LIST  2000
#define MAX_FILES 200

static const char *scalar(const json_t *v)
{
	return json_is_string(v) ? json_string_value(v) : NULL;
}

/* The scalar at a chain of keys, or NULL. */
static const char *get2(const struct recipe *r, const char *a, const char *b)
{
	const json_t *v = json_object_get(r->y.root, a);
	return scalar(b ? json_object_get(v, b) : v);
}

static const struct rule *find_rule(const char *parent, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (strcmp(rules[i].parent, parent) == 0 && strcmp(rules[i].key, key) == 0)
			return &rules[i];
	}
	return NULL;
}

static int unknown_key(const struct recipe *r, const char *parent, const char *pointer, const char *key,
		       struct err *err)
{
	const char *known[MAX_RULES_OF_PARENT + 1];
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rules) && n < MAX_RULES_OF_PARENT; i++) {
		if (strcmp(rules[i].parent, parent) == 0)
			known[n++] = rules[i].key;
	}
	known[n] = NULL;
	const char *near = text_nearest(key, known);
	if (near)
		return yaml_err(&r->y, pointer, err, "%s: no such key; did you mean %s?", key, near);
	AUTO_BUF all = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < n; i++)
		buf_addf(&all, "%s%s", i ? ", " : "", known[i]);
	return yaml_err(&r->y, pointer, err, "%s: no such key; known here: %s", key, all.data);
}

static int check_text(const struct recipe *r, const char *ptr, const char *key, const json_t *v, struct err *err)
{
	if (!json_is_string(v))
		return yaml_err(&r->y, ptr, err, "%s: a single value is wanted here", key);
	return 0;
}

static int check_list(const struct recipe *r, const char *ptr, const char *key, const json_t *v, struct err *err)
{
	size_t i;
	json_t *item;
	if (json_is_string(v) || json_is_null(v))
		return 0;
	if (!json_is_array(v))
		return yaml_err(&r->y, ptr, err, "%s: a list is wanted here", key);
	if (json_array_size(v) > MAX_LIST)
		return yaml_err(&r->y, ptr, err, "%s: more than %d items", key, MAX_LIST);
	json_array_foreach ((json_t *)(uintptr_t)v, i, item) {
		if (!json_is_string(item)) {
			AUTO_FREE char *at = xasprintf("%s/%zu", ptr, i);
			return yaml_err(&r->y, at, err, "%s: item %zu is not a single value", key, i + 1);
		}
	}
	return 0;
}

/* Whether both are numbers and the first is the greater one: such a range has no versions. */
static bool is_backwards(const char *from, const char *to)
{
	int64_t a, b;
	struct err err = {0};
	return from && to && text_parse_int("from", from, 0, INT64_MAX, &a, &err) == 0 &&
	       text_parse_int("to", to, 0, INT64_MAX, &b, &err) == 0 && a > b;
}

/* {run: CMD, from: V, to: V} */
static int check_range(const struct recipe *r, const char *ptr, const json_t *item, struct err *err)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)item, key, value) {
		if (strcmp(key, "run") != 0 && strcmp(key, "from") != 0 && strcmp(key, "to") != 0)
			return yaml_err(&r->y, ptr, err, "setup: %s: no such key; known here: run, from, to", key);
		if (check_text(r, ptr, key, value, err) < 0)
			return -1;
	}
	if (!scalar(json_object_get(item, "run")))
		return yaml_err(&r->y, ptr, err, "setup: run: missing");
	if (!json_object_get(item, "from") && !json_object_get(item, "to"))
		return yaml_err(&r->y, ptr, err, "setup: give from or to, or the command alone");
	if (is_backwards(scalar(json_object_get(item, "from")), scalar(json_object_get(item, "to"))))
		return yaml_err(&r->y, ptr, err, "setup: from %s to %s: no version is in there",
				scalar(json_object_get(item, "from")), scalar(json_object_get(item, "to")));
	if (!json_object_get(r->y.root, "migrations"))
		return yaml_err(&r->y, ptr, err, "setup: from and to are versions: the recipe has no migrations");
	return 0;
}

static int check_setup(const struct recipe *r, const char *ptr, const json_t *v, struct err *err)
{
	size_t i;
	json_t *item;
	if (!json_is_array(v))
		return check_list(r, ptr, "setup", v, err);
	if (json_array_size(v) > MAX_LIST)
		return yaml_err(&r->y, ptr, err, "setup: more than %d items", MAX_LIST);
	json_array_foreach ((json_t *)(uintptr_t)v, i, item) {
		AUTO_FREE char *at = xasprintf("%s/%zu", ptr, i);
		if (json_is_object(item) ? check_range(r, at, item, err) < 0 : !json_is_string(item))
			return json_is_object(item)
				       ? -1
				       : yaml_err(&r->y, at, err,
						  "setup: item %zu is neither a command nor {run, from, to}", i + 1);
	}
	return 0;
}

static bool is_env_name(const char *s)
{
	if (!*s || (*s >= '0' && *s <= '9'))
		return false;
	for (; *s; s++) {
		if (!((*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '_'))
			return false;
	}
	return true;
}

static int check_env(const struct recipe *r, const char *ptr, const char *key, const json_t *v, struct err *err)
{
	const char *name;
	json_t *value;
	if (!json_is_object(v))
		return yaml_err(&r->y, ptr, err, "%s: NAME: value pairs are wanted here", key);
	json_object_foreach ((json_t *)(uintptr_t)v, name, value) {
		AUTO_FREE char *at = xasprintf("%s/%s", ptr, name);
		if (!is_env_name(name))
			return yaml_err(&r->y, at, err, "%s: not a name for an environment variable", name);
		if (check_text(r, at, name, value, err) < 0)
			return -1;
	}
	return 0;
}

static int check_file(const struct recipe *r, const char *ptr, const char *path, const json_t *v, struct err *err)
{
	const char *key;
	json_t *value;
	static const char *const keys[] = {"content", "template", "mode", NULL};
	if (json_is_string(v))
		return 0;
	if (!json_is_object(v))
		return yaml_err(&r->y, ptr, err, "%s: the text of the file is wanted here", path);
	json_object_foreach ((json_t *)(uintptr_t)v, key, value) {
		bool known = false;
		for (size_t i = 0; keys[i]; i++)
			known |= strcmp(keys[i], key) == 0;
		if (!known)
			return yaml_err(&r->y, ptr, err, "%s: %s: no such key; known here: content, template, mode",
					path, key);
		if (check_text(r, ptr, key, value, err) < 0)
			return -1;
	}
	if (!json_object_get(v, "content") == !json_object_get(v, "template"))
		return yaml_err(&r->y, ptr, err, "%s: give either content or template", path);
	const char *mode = scalar(json_object_get(v, "mode"));
	if (mode && (strlen(mode) > 4 || !*mode || mode[strspn(mode, "01234567")]))
		return yaml_err(&r->y, ptr, err, "%s: mode: %s: an octal mode such as 0644 is wanted", path, mode);
	return 0;
}

/* JSON pointers escape "~" and "/" in keys. */
static char *pointer_join(const char *ptr, const char *key)
{
	struct buf b = buf_make(BUF_TEXT_MAX);
	buf_addf(&b, "%s/", ptr);
	for (; *key; key++) {
		if (*key == '~')
			buf_adds(&b, "~0");
		else if (*key == '/')
			buf_adds(&b, "~1");
		else
			buf_addc(&b, *key);
	}
	return buf_take(&b);
}

static int check_files(const struct recipe *r, const char *ptr, const char *key, const json_t *v, struct err *err)
{
	const char *path;
	json_t *value;
	if (!json_is_object(v))
		return yaml_err(&r->y, ptr, err, "%s: PATH: text pairs are wanted here", key);
	if (json_object_size(v) > MAX_FILES)
		return yaml_err(&r->y, ptr, err, "%s: more than %d files", key, MAX_FILES);
	json_object_foreach ((json_t *)(uintptr_t)v, path, value) {
		AUTO_FREE char *at = pointer_join(ptr, path);
		if (!*path || path[strlen(path) - 1] == '/')
			return yaml_err(&r->y, at, err, "%s: not the path of a file", path);
		if (check_file(r, at, path, value, err) < 0)
			return -1;
	}
	return 0;
}

static int check_flavor(const struct recipe *r, const char *ptr, const json_t *v, struct err *err)
{
	const char *key;
	json_t *value;
	if (json_is_string(v))
		return 0;
	if (!json_is_object(v))
		return yaml_err(&r->y, ptr, err, "flavor: a name, or {vcpus, ram, disk}, is wanted here");
	json_object_foreach ((json_t *)(uintptr_t)v, key, value) {
		const char *text = scalar(value);
		uint64_t size;
		int64_t n;
		AUTO_FREE char *at = xasprintf("%s/%s", ptr, key);
		struct err why = ERR_INIT;
		int rc = -1;
		if (strcmp(key, "vcpus") == 0)
			rc = text_parse_int(key, text ? text : "", 1, 1024, &n, &why);
		else if (strcmp(key, "ram") == 0 || strcmp(key, "disk") == 0)
			rc = text_parse_size(key, text ? text : "", &size, &why);
		else
			return yaml_err(&r->y, at, err, "%s: no such key; known here: vcpus, ram, disk", key);
		if (rc < 0)
			return yaml_err(&r->y, at, err, "%s", why.msg);
	}
	return 0;
}

static int check_span(const struct recipe *r, const char *ptr, const char *key, const json_t *v, struct err *err)
{
	int64_t ms;
	struct err why = ERR_INIT;
	if (check_text(r, ptr, key, v, err) < 0)
		return -1;
	if (clock_parse_span(json_string_value(v), &ms, &why) < 0)
		return yaml_err(&r->y, ptr, err, "%s: %s", key, why.msg);
	return 0;
}

static int check_depth(const struct recipe *r, const char *ptr, const json_t *v, struct err *err)
{
	const char *text = scalar(v);
	int64_t n;
	struct err why = ERR_INIT;
	if (text && strcmp(text, "full") == 0)
		return 0;
	if (text_parse_int("depth", text ? text : "", 1, INT32_MAX, &n, &why) < 0)
		return yaml_err(&r->y, ptr, err, "depth: \"full\", or a number of commits, is wanted here");
	return 0;
}

static int check_size(const struct recipe *r, const char *ptr, const char *key, const json_t *v, struct err *err)
{
	uint64_t size;
	struct err why = ERR_INIT;
	if (check_text(r, ptr, key, v, err) < 0)
		return -1;
	return text_parse_size(key, json_string_value(v), &size, &why) < 0 ? yaml_err(&r->y, ptr, err, "%s", why.msg)
									   : 0;
}

static int check_port(const struct recipe *r, const char *ptr, const char *key, const json_t *v, struct err *err)
{
	int64_t port;
	const char *text = scalar(v);
	struct err why = ERR_INIT;
	return text_parse_int(key, text ? text : "", 1, UINT16_MAX, &port, &why) < 0
		       ? yaml_err(&r->y, ptr, err, "%s", why.msg)
		       : 0;
}

static int check_flag(const struct recipe *r, const char *ptr, const char *key, const json_t *v, struct err *err)
{
	const char *text = scalar(v);
	if (text && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		return 0;
	return yaml_err(&r->y, ptr, err, "%s: true or false is wanted here", key);
}

/* As useradd(8) takes them. */
static int check_user(const struct recipe *r, const char *ptr, const char *key, const json_t *v, struct err *err)
{
	const char *text = scalar(v);
	enum { USER_MAX = 32 };
	if (text && strlen(text) <= USER_MAX && ((*text >= 'a' && *text <= 'z') || *text == '_') &&
	    !text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-")])
		return 0;
	return yaml_err(&r->y, ptr, err, "%s: the name of a login user is wanted here", key);
}

static int check_keys(const struct recipe *r, const char *ptr, const json_t *map, bool open, struct err *err);

static int check_value(const struct recipe *r, const struct rule *rule, const char *ptr, const json_t *v,
		       struct err *err)
{
	switch (rule->kind) {
	case K_MAP:
	case K_ADAPTER:
		if (!json_is_object(v))
			return yaml_err(&r->y, ptr, err, "%s: a mapping is wanted here", rule->key);
		return check_keys(r, ptr, v, rule->kind == K_ADAPTER, err);
	case K_FREE:
		return check_env(r, ptr, rule->key, v, err);
	case K_FILES:
		return check_files(r, ptr, rule->key, v, err);
	case K_TEXT:
		return check_text(r, ptr, rule->key, v, err);
	case K_NAME:
		if (check_text(r, ptr, rule->key, v, err) < 0)
			return -1;
		if (!text_is_name(json_string_value(v)) || json_string_length(v) > 32)
			return yaml_err(
				&r->y, ptr, err,
				"%s: %s: a name is made of at most 32 lower-case letters, digits, dots and hyphens",
				rule->key, json_string_value(v));
		return 0;
	case K_SPAN:
		return check_span(r, ptr, rule->key, v, err);
	case K_DEPTH:
		return check_depth(r, ptr, v, err);
	case K_LIST:
		return check_list(r, ptr, rule->key, v, err);
	case K_SETUP:
		return check_setup(r, ptr, v, err);
	case K_MATCH:
		if (check_text(r, ptr, rule->key, v, err) < 0)
			return -1;
		if (strcmp(json_string_value(v), "tip") != 0 && strcmp(json_string_value(v), "commit") != 0)
			return yaml_err(
				&r->y, ptr, err,
				"match: %s: tip (all steps with the code of ref) or commit (each version with the "
				"code that went with it) is wanted here",
				json_string_value(v));
		return 0;
	case K_FLAVOR:
		return check_flavor(r, ptr, v, err);
	case K_SIZE:
		return check_size(r, ptr, rule->key, v, err);
	case K_PORT:
		return check_port(r, ptr, rule->key, v, err);
	case K_FLAG:
		return check_flag(r, ptr, rule->key, v, err);
	case K_USER:
		return check_user(r, ptr, rule->key, v, err);
	case K_DATA:
		return 0;
	case K_DB:
		if (!json_is_string(v) && !scalar(json_object_get(v, "engine")))
			return yaml_err(&r->y, ptr, err,
					"database: an engine, or a mapping with the key engine, is wanted here");
		return 0;
	}
	return err_set(err, ERR_BUG, 0, "recipe key %s has no kind", rule->key);
}

/* open: keys that no rule knows are left for the adapter to judge. */
static int check_keys(const struct recipe *r, const char *ptr, const json_t *map, bool open, struct err *err)
{
	const char *key;
	json_t *v;
	json_object_foreach ((json_t *)(uintptr_t)map, key, v) {
		AUTO_FREE char *at = pointer_join(ptr, key);
		const struct rule *rule = find_rule(ptr, key);
		if (!rule && open)
			continue;
		if (!rule)
			return unknown_key(r, ptr, at, key, err);
		if (check_value(r, rule, at, v, err) < 0)
			return -1;
	}
	return 0;
}

/* Keys of migrations: or database: that are the adapter's own. */
static int apply_overrides(struct recipe *r, struct adapter *a, const char *section, const char *skip, struct err *err)
{
	const char *key;
	json_t *v;
	AUTO_FREE char *parent = xasprintf("/%s", section);
	json_object_foreach (json_object_get(r->y.root, section), key, v) {
		AUTO_FREE char *at = pointer_join(parent, key);
		struct err why = ERR_INIT;
		if (find_rule(parent, key) || (skip && strcmp(key, skip) == 0))
			continue;
		if (check_text(r, at, key, v, err) < 0)
			return -1;
		if (adapter_override(a, key, json_string_value(v), &why) < 0)
			return yaml_err(&r->y, at, err, "%s", why.msg);
	}
	return 0;
}

/* migrations.fresh is the command of the tool that makes the whole schema at once. Such a side of a comparison is made
 * of a recipe for another tool (migrations.tool=fresh), whose keys are not this one's. */
#define FRESH_TOOL "fresh"

static int apply_fresh(struct recipe *r, struct err *err)
{
	const char *command = get2(r, "migrations", "fresh");
	if (!command || !*command)
		return yaml_err(&r->y, "/migrations", err,
				"fresh: missing: the command that makes the whole schema at once");
	return adapter_override(r->tool_adapter, "fresh", command, err);
}

static int load_adapters(struct recipe *r, struct err *err)
{
	const json_t *db = json_object_get(r->y.root, "database");
	struct err why = ERR_INIT;
	r->engine = json_is_string(db) ? json_string_value(db) : scalar(json_object_get(db, "engine"));
	if (!r->engine)
		r->engine = "sqlite";
	r->db_adapter = adapter_load_database(r->engine, &why);
	if (!r->db_adapter)
		return yaml_err(&r->y, "/database", err, "%s", why.msg);
	if (json_is_object(db) && apply_overrides(r, r->db_adapter, "database", "engine", err) < 0)
		return -1;
	if (!json_object_get(r->y.root, "migrations"))
		return 0;
	r->tool = get2(r, "migrations", "tool");
	if (!r->tool)
		return yaml_err(&r->y, "/migrations", err, "tool: missing; `stepbox init --list` lists the known ones");
	r->tool_adapter = adapter_load_tool(r->tool, &why);
	if (!r->tool_adapter)
		return yaml_err(&r->y, "/migrations/tool", err, "%s", why.msg);
	int rc = strcmp(r->tool, FRESH_TOOL) == 0 ? apply_fresh(r, err)
						  : apply_overrides(r, r->tool_adapter, "migrations", NULL, err);
	const char *cold = get2(r, "migrations", "cold");
	if (rc == 0 && cold && strcmp(cold, "true") == 0)
		adapter_cold(r->tool_adapter);
	return rc;
}

/* source.git may be a path on this machine: the box cannot see it, so it is sent. */
static bool is_local_git(const char *git)
{
	return *git == '/' || strcmp(git, ".") == 0 || strcmp(git, "..") == 0 || text_starts(git, "./") ||
	       text_starts(git, "../") || text_starts(git, "file://") || *git == '~';
}

static int resolve_source(struct recipe *r, struct err *err)
{
	r->git = get2(r, "source", "git");
	r->path = get2(r, "source", "path");
	r->ref = get2(r, "source", "ref");
	const char *depth = get2(r, "source", "depth");
	if (depth && strcmp(depth, "full") != 0 && text_parse_int("depth", depth, 1, INT32_MAX, &r->depth, err) < 0)
		return -1;
	if (r->git && r->path)
		return yaml_err(&r->y, "/source/path", err, "source: give either git or path");
	if (r->path && r->ref)
		return yaml_err(&r->y, "/source/ref", err, "ref: a path is taken as it is; use git: %s to choose a ref",
				r->path);
	if (!r->git && !r->path)
		return json_object_get(r->y.root, "source")
			       ? yaml_err(&r->y, "/source", err, "source: git or path is missing")
			       : 0;
	if (r->ref && (*r->ref == '-' || !*r->ref))
		return yaml_err(&r->y, "/source/ref", err, "ref: %s: not the name of a branch, tag or commit", r->ref);
	if (r->git && *r->git == '-')
		return yaml_err(&r->y, "/source/git", err, "git: %s: not a repository", r->git);
	const char *local = r->path ? r->path : is_local_git(r->git) ? r->git : NULL;
	if (!local)
		return 0;
	if (text_starts(local, "file://"))
		local += strlen("file://");
	AUTO_FREE char *joined = NULL;
	const char *home = getenv("HOME");
	if (*local == '~' && local[1] == '/' && home)
		joined = xasprintf("%s/%s", home, local + 2);
	else
		joined = *local == '/' ? xstrdup(local) : xasprintf("%s/%s", r->dir, local);
	char *real = realpath(joined, NULL);
	if (!real || !fs_is_dir(real)) {
		free(real);
		return yaml_err(&r->y, r->path ? "/source/path" : "/source/git", err, "%s: no such directory", joined);
	}
	r->local_path = real;
	return 0;
}

static int span_of(const struct recipe *r, const char *a, const char *b, const char *standard, int64_t *ms,
		   struct err *err)
{
	const char *text = get2(r, a, b);
	return clock_parse_span(text ? text : standard, ms, err);
}

static int check_packages(const struct recipe *r, struct err *err)
{
	const char *list[MAX_LIST];
	size_t n = recipe_list(r, "packages", list, MAX_LIST);
	for (size_t i = 0; i < n; i++) {
		if (!*list[i] || *list[i] == '-' ||
		    list[i]
			[strspn(list[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.:=~_/")]) {
			AUTO_FREE char *at = xasprintf("/packages/%zu", i);
			return yaml_err(&r->y, at, err, "packages: %s: not the name of a package", list[i]);
		}
	}
	return 0;
}

/* A size that check_size() has seen, in units, rounded up; 0 when it is not there. */
static int64_t units_of(const char *text, uint64_t unit)
{
	uint64_t bytes = 0;
	struct err ignored = ERR_INIT;
	if (!text || text_parse_size("", text, &bytes, &ignored) < 0)
		return 0;
	return (int64_t)(bytes / unit + (bytes % unit != 0));
}

static void resolve_flavor(struct recipe *r)
{
	const json_t *flavor = json_object_get(json_object_get(r->y.root, "box"), "flavor");
	struct err ignored = ERR_INIT;
	const char *vcpus = scalar(json_object_get(flavor, "vcpus"));
	r->box.flavor = scalar(flavor);
	if (vcpus && text_parse_int("vcpus", vcpus, 1, 1024, &r->box.vcpus, &ignored) < 0)
		r->box.vcpus = 0;
	r->box.ram_mb = units_of(scalar(json_object_get(flavor, "ram")), MIB);
	r->box.disk_gb = units_of(scalar(json_object_get(flavor, "disk")), GIB);
}

/* Where no local box is meant, sshd answers when a whole machine has booted. */
#define CONNECT_LOCAL  "60s"
#define CONNECT_REMOTE "5m"

static int resolve_box(struct recipe *r, struct err *err)
{
	struct box_spec *box = &r->box;
	const char *cloud = get2(r, "box", "cloud"), *image = get2(r, "box", "image"), *port = get2(r, "box", "port");
	const char *config_drive = get2(r, "box", "config_drive");
	int64_t n = 0;
	*box = (struct box_spec){
		.cloud = cloud ? cloud : "local",
		.image = image ? image : "debian-12",
		.user = get2(r, "box", "user"),
		.network = get2(r, "box", "network"),
		.floating_network = get2(r, "box", "floating_network"),
		.security_group = get2(r, "box", "security_group"),
		.ssh_from = get2(r, "box", "ssh_from"),
		.availability_zone = get2(r, "box", "availability_zone"),
		.volume_gb = units_of(get2(r, "box", "volume"), GIB),
		.no_config_drive = config_drive && strcmp(config_drive, "false") == 0,
	};
	if (!*box->cloud || strlen(box->cloud) >= BOX_NAME_MAX)
		return yaml_err(&r->y, "/box/cloud", err,
				"cloud: local, or the name of an entry of clouds.yaml, is wanted here");
	if (port && text_parse_int("port", port, 1, UINT16_MAX, &n, err) < 0)
		return -1;
	box->port = (int)n;
	r->proxy = get2(r, "box", "proxy");
	if (r->proxy && !text_starts(r->proxy, "http://") && !text_starts(r->proxy, "https://"))
		return yaml_err(&r->y, "/box/proxy", err, "proxy: %s: an URL such as http://10.0.0.1:3128 is wanted",
				r->proxy);
	resolve_flavor(r);
	const char *layer = get2(r, "box", "layer");
	r->layer = !cloud_is_remote(box->cloud) && !(layer && strcmp(layer, "false") == 0);
	return span_of(r, "box", "ttl", "4h", &box->ttl_ms, err) < 0 ||
			       span_of(r, "box", "connect_timeout",
				       cloud_is_remote(box->cloud) ? CONNECT_REMOTE : CONNECT_LOCAL, &r->connect_ms,
				       err) < 0
		       ? -1
		       : 0;
}

/* From the parsed tree to the fields; everything is checked here. */
static int recipe_check(struct recipe *r, struct err *err)
{
	int64_t ms;
	if (!json_is_object(r->y.root))
		return yaml_err(&r->y, "", err, "a recipe is a mapping: name, box, source, migrations …");
	if (check_keys(r, "", r->y.root, false, err) < 0)
		return -1;
	r->name = get2(r, "name", NULL);
	if (!r->name)
		return yaml_err(&r->y, "", err, "name: missing");
	if (resolve_box(r, err) < 0 || span_of(r, "migrations", "timeout", "10m", &ms, err) < 0)
		return -1;
	r->step_timeout_s = ms / 1000;
	r->setup_timeout_s = 3600;
	r->from = get2(r, "migrations", "from");
	r->to = get2(r, "migrations", "to");
	r->from = r->from ? r->from : "base";
	r->to = r->to ? r->to : "head";
	if (check_packages(r, err) < 0 || load_adapters(r, err) < 0 || recipe_data_check(r, err) < 0)
		return -1;
	if (resolve_source(r, err) < 0)
		return -1;
	const char *match = get2(r, "migrations", "match");
	r->match_commit = match && strcmp(match, "commit") == 0 && (!r->tool || strcmp(r->tool, FRESH_TOOL) != 0);
	if (r->tool && !r->git && !r->path)
		return yaml_err(&r->y, "", err, "source: missing: where do the migrations of %s come from?", r->tool);
	return 0;
}

/* "a.b.c=value": value is YAML, so that lists and mappings can be given too. */
static int apply_set(struct recipe *r, const char *assignment, struct err *err)
{
	const char *eq = strchr(assignment, '=');
	if (!eq || eq == assignment)
		return err_set(err, ERR_USER, 0, "--set %s: KEY.PATH=VALUE is wanted", assignment);
	AUTO_FREE char *keys = xstrndup(assignment, (size_t)(eq - assignment));
	AUTO_FREE char *where = xasprintf("--set %s", keys);
	json_t *value;
	if (eq[1] == '\0') {
		value = json_string("");
	} else {
		struct yaml v = {0};
		if (yaml_parse(&v, where, eq + 1, strlen(eq + 1), err) < 0)
			return -1;
		value = json_incref(v.root);
		yaml_finish(&v);
	}
	json_t *at = r->y.root;
	char *rest = keys;
	for (char *dot; (dot = strchr(rest, '.')) != NULL; rest = dot + 1) {
		*dot = '\0';
		json_t *next = json_object_get(at, rest);
		if (!json_is_object(next)) {
			/* `database: sqlite` and --set database.file=… : the short form becomes the long one */
			json_t *map = json_object();
			if (json_is_string(next) && strcmp(rest, "database") == 0)
				json_object_set(map, "engine", next);
			json_object_set_new(at, rest, map);
			next = map;
		}
		at = next;
	}
	json_object_set_new(at, rest, value);
	return 0;
}

static int apply_sets(struct recipe *r, const struct opt_list *sets, struct err *err)
{
	for (size_t i = 0; sets && i < sets->n; i++) {
		if (apply_set(r, sets->v[i], err) < 0)
			return -1;
	}
	return 0;
}

static int load_file(struct recipe *r, const char *path, struct err *err)
{
	if (!path) {
		path = RECIPE_DEFAULT_NAME;
		if (!fs_exists(path))
			return err_set(err, ERR_USER, 0,
				       "no recipe: name one, or make ./" RECIPE_DEFAULT_NAME " with `stepbox init`");
	}
	if (yaml_load(&r->y, path, err) < 0)
		return -1;
	AUTO_FREE char *real = realpath(path, NULL);
	if (!real)
		return err_sys(err, ERR_USER, errno, "%s", path);
	char *slash = strrchr(real, '/');
	r->dir = slash == real ? xstrdup("/") : xstrndup(real, (size_t)(slash - real));
	return 0;
}

int recipe_load(struct recipe *r, const char *path, const struct opt_list *sets, struct err *err)
{
	*r = (struct recipe){0};
	if (load_file(r, path, err) < 0)
		return -1;
	if (!json_is_object(r->y.root))
		return yaml_err(&r->y, "", err, "a recipe is a mapping: name, box, source, migrations …");
	return apply_sets(r, sets, err) < 0 ? -1 : recipe_check(r, err);
}

int recipe_from_json(struct recipe *r, const char *json, const struct opt_list *sets, struct err *err)
{
	*r = (struct recipe){0};
	json_t *all = json_loads(json, 0, NULL);
	const char *dir = scalar(json_object_get(all, "dir"));
	r->dir = xstrdup(dir ? dir : "/");
	r->y.root = json_incref(json_object_get(all, "recipe"));
	r->y.name = xstrdup("stored recipe");
	r->y.marks = json_object();
	json_decref(all);
	if (!r->y.root)
		return err_set(err, ERR_BUG, 0, "the stored recipe cannot be read");
	return apply_sets(r, sets, err) < 0 ? -1 : recipe_check(r, err);
}

char *recipe_json(const struct recipe *r)
{
	json_t *all = json_pack("{s:s, s:O}", "dir", r->dir, "recipe", r->y.root);
	char *text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	return text ? text : xstrdup("{}");
}

void recipe_finish(struct recipe *r)
{
	adapter_free(r->tool_adapter);
	adapter_free(r->db_adapter);
	limits_free(r->limits);
	free(r->local_path);
	free(r->dir);
	yaml_finish(&r->y);
	*r = (struct recipe){0};
}

size_t recipe_list(const struct recipe *r, const char *key, const char **out, size_t max)
{
	const json_t *v = json_object_get(r->y.root, key);
	if (json_is_string(v) && max) {
		out[0] = json_string_value(v);
		return 1;
	}
	size_t n = json_array_size(v) < max ? json_array_size(v) : max;
	for (size_t i = 0; i < n; i++)
		out[i] = json_string_value(json_array_get(v, i));
	return n;
}

size_t recipe_setups(const struct recipe *r, struct recipe_setup *out, size_t max)
{
	const json_t *v = json_object_get(r->y.root, "setup");
	if (json_is_string(v) && max) {
		out[0] = (struct recipe_setup){.run = json_string_value(v)};
		return 1;
	}
	size_t n = json_array_size(v) < max ? json_array_size(v) : max;
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(v, i);
		const char *from = scalar(json_object_get(item, "from")), *to = scalar(json_object_get(item, "to"));
		bool ranged = json_is_object(item);
		out[i] = (struct recipe_setup){
			.run = ranged ? scalar(json_object_get(item, "run")) : scalar(item),
			.from = from     ? from
				: ranged ? "base"
					 : NULL,
			.to = to       ? to
			      : ranged ? "head"
				       : NULL,
		};
	}
	return n;
}
