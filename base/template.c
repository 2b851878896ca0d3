/* SPDX-License-Identifier: MIT */
#include "base/template.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/template_table.h"
#include "base/text.h"

#define VARIABLE_NAME_MAX  128
#define TEMPLATE_NAME_MAX  200
#define TEMPLATE_FILE_MAX  ((size_t)1 << 20)
#define TEMPLATE_DIR_DEPTH 4
#define TEMPLATE_LIST_MAX  10000

/* ---- filling ---- */

/* Length of the name in "${name}" at s, 0 when it is not of the form [a-z][a-z0-9_.]* up to a brace: shell text. */
static size_t name_length(const char *s)
{
	static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789_.";
	if (s[2] < 'a' || s[2] > 'z')
		return 0;
	size_t n = strspn(s + 2, rest);
	return s[2 + n] == '}' ? n : 0;
}

static int unknown(const char *name, const json_t *vars, struct err *err)
{
	size_t n = 0;
	AUTO_FREE const char **words = xcalloc(json_object_size(vars) + 1, sizeof *words);
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)vars, key, value)
		words[n++] = key;
	const char *near = text_nearest(name, words);
	if (near != NULL)
		return err_set(err, ERR_USER, 0, "${%s}: no such variable; did you mean ${%s}?", name, near);
	AUTO_BUF known = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < n; i++)
		buf_addf(&known, "%s${%s}", i ? ", " : "", words[i]);
	return err_set(err, ERR_USER, 0, "${%s}: no such variable; known: %s ($${%s} is a literal ${%s})", name,
		       n ? known.data : "none", name, name);
}

static int add_value(struct buf *out, const char *name, const json_t *vars, struct err *err)
{
	const json_t *value = json_object_get(vars, name);
	if (value == NULL)
		return unknown(name, vars, err);
	if (json_is_integer(value))
		buf_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_string(value))
		buf_adds(out, json_string_value(value));
	else
		return err_set(err, ERR_BUG, 0, "${%s}: its value is not a text", name);
	return 0;
}

int template_fill(struct buf *out, const char *text, const json_t *vars, struct err *err)
{
	while (!out->overflow) {
		size_t plain = strcspn(text, "$");
		buf_add(out, text, plain);
		text += plain;
		if (*text == '\0')
			break;
		size_t n;
		if (strncmp(text, "$${", 3) == 0) {
			buf_adds(out, "${");
			text += 3;
		} else if (text[1] == '{' && (n = name_length(text)) > 0) {
			char name[VARIABLE_NAME_MAX + 1];
			if (n > VARIABLE_NAME_MAX)
				return err_set(err, ERR_USER, 0, "${%.40s…}: no such variable", text + 2);
			snprintf(name, sizeof name, "%.*s", (int)n, text + 2);
			if (add_value(out, name, vars, err) != 0)
				return -1;
			text += n + 3;
		} else {
			buf_addc(out, *text++);
		}
	}
	if (out->overflow)
		return err_set(err, ERR_USER, 0, "text with its variables filled in is larger than %zu bytes",
			       out->max);
	return 0;
}

/* ---- files ---- */

/* Relative, of ordinary characters, each component beginning with a letter or digit: no "..", no hidden files. */
static bool is_file_name(const char *name)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/";
	size_t len = strlen(name);
	if (len == 0 || len > TEMPLATE_NAME_MAX || name[strspn(name, ok)] != '\0')
		return false;
	for (const char *part = name; part != NULL; part = strchr(part, '/')) {
		if (part != name)
			part++;
		if (*part == '\0' || strchr("._-+/", *part) != NULL)
			return false;
	}
	return true;
}

static const struct template_entry *find_embedded(const char *name)
{
	for (const struct template_entry *e = template_table; e->name != NULL; e++)
		if (strcmp(e->name, name) == 0)
			return e;
	return NULL;
}

/* The directories that go before the embedded files: $STEPBOX_TEMPLATES (NULL when unset), then the user's own. */
static void template_dirs(char *dirs[2])
{
	const char *env = getenv("STEPBOX_TEMPLATES"); // NOLINT(concurrency-mt-unsafe): nobody calls setenv
	dirs[0] = env != NULL && *env != '\0' ? xstrdup(env) : NULL;
	dirs[1] = xasprintf("%s/templates", fs_config_dir());
}

/* 1 when dir has the file and it was read, 0 when dir has it not. */
static int read_from(const char *dir, const char *name, struct buf *out, struct err *err)
{
	struct stat st;
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	if (stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	return fs_read(path, TEMPLATE_FILE_MAX, out, err) == 0 ? 1 : -1;
}

int template_file(const char *name, struct buf *out, struct err *err)
{
	if (!is_file_name(name)) {
		AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
		text_safe_line(&safe, name, strlen(name), TEMPLATE_NAME_MAX);
		return err_set(err, ERR_USER, 0, "template %s: not a file name", safe.data);
	}
	char *dirs[2];
	template_dirs(dirs);
	int found = dirs[0] != NULL ? read_from(dirs[0], name, out, err) : 0;
	if (found == 0)
		found = read_from(dirs[1], name, out, err);
	free(dirs[0]);
	free(dirs[1]);
	if (found != 0)
		return found > 0 ? 0 : -1;
	const struct template_entry *e = find_embedded(name);
	if (e == NULL)
		return err_set(err, ERR_USER, 0, "template %s: there is none", name);
	if (buf_add(out, e->start, (size_t)(e->end - e->start)) != 0)
		return err_set(err, ERR_BUG, 0, "template %s: larger than the buffer", name);
	return 0;
}

/* ---- listing ---- */

struct names {
	char **names;
	size_t n, cap;
	const char *prefix;
};

static void add_name(struct names *list, const char *name)
{
	if (!text_starts(name, list->prefix) || list->n == TEMPLATE_LIST_MAX)
		return;
	if (list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 32;
		list->names = xrealloc(list->names, list->cap, sizeof *list->names);
	}
	list->names[list->n++] = xstrdup(name);
}

/* Adds the regular files below dir/below; directories that cannot be read have none. */
static void add_dir(struct names *list, const char *dir, const char *below, int depth)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, below);
	DIR *d = depth < TEMPLATE_DIR_DEPTH ? opendir(path) : NULL;
	if (d == NULL)
		return;
	struct dirent *entry;
	while ((entry = readdir(d)) != NULL) {
		AUTO_FREE char *name = xasprintf("%s%s%s", below, *below ? "/" : "", entry->d_name);
		AUTO_FREE char *full = xasprintf("%s/%s", dir, name);
		struct stat st;
		if (!is_file_name(name) || stat(full, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			add_dir(list, dir, name, depth + 1);
		else if (S_ISREG(st.st_mode))
			add_name(list, name);
	}
	closedir(d);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

json_t *template_list(const char *prefix)
{
	struct names list = {.prefix = prefix};
	char *dirs[2];
	template_dirs(dirs);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (dirs[i] != NULL)
			add_dir(&list, dirs[i], "", 0);
		free(dirs[i]);
	}
	for (const struct template_entry *e = template_table; e->name != NULL; e++)
		add_name(&list, e->name);
	if (list.n > 0)
		qsort(list.names, list.n, sizeof *list.names, by_name);
	json_t *out = json_array();
	for (size_t i = 0; i < list.n; i++) {
		if (i == 0 || strcmp(list.names[i], list.names[i - 1]) != 0)
			json_array_append_new(out, json_string(list.names[i]));
	}
	for (size_t i = 0; i < list.n; i++)
		free(list.names[i]);
	free(list.names);
	return out;
}
