/* SPDX-License-Identifier: MIT */
#include "migrations/adapter_history.h"

#include <regex.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/template.h"
#include "base/text.h"
#include "migrations/history_map.h"

#define FILLED_MAX ((size_t)64 << 10)

static const char *const keys[] = {"paths", "name", "skip", "version", "order", NULL};

/* A list of texts of 1 to max; a single text counts as a list of one. */
static int check_list(const struct yaml *y, const char *at, json_t *era, const char *key, size_t max, struct err *err)
{
	json_t *list = json_object_get(era, key), *v;
	size_t i;
	if (json_is_string(list)) {
		json_t *one = json_array();
		json_array_append(one, list);
		json_object_set_new(era, key, one);
		return 0;
	}
	if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > max)
		return yaml_err(y, at, err, "%s: a list of at most %zu is wanted here", key, max);
	json_array_foreach (list, i, v) {
		if (!json_is_string(v))
			return yaml_err(y, at, err, "%s: a text is wanted here", key);
	}
	return 0;
}

static int check_regex(const struct yaml *y, const char *at, const char *key, const json_t *v, struct err *err)
{
	regex_t re;
	char why[128];
	const char *text = json_string_value(v);
	if (!text)
		return yaml_err(y, at, err, "%s: a text is wanted here", key);
	/* Options are filled in later: ${directory} is no expression yet. */
	AUTO_FREE char *plain = xstrdup(text);
	for (char *p = plain; (p = strstr(p, "${"));)
		p[0] = p[1] = '_';
	int rc = regcomp(&re, plain, REG_EXTENDED);
	if (rc != 0) {
		regerror(rc, &re, why, sizeof(why));
		return yaml_err(y, at, err, "%s: %s", key, why);
	}
	regfree(&re);
	return 0;
}

static int check_names(const struct yaml *y, const char *at, const json_t *list, struct err *err)
{
	const json_t *v;
	size_t i;
	json_array_foreach (list, i, v) {
		if (check_regex(y, at, "name", v, err) < 0)
			return -1;
		if (!strchr(json_string_value(v), '('))
			return yaml_err(y, at, err, "name: %s: the group that is the version is missing",
					json_string_value(v));
	}
	return 0;
}

static int check_era(const struct yaml *y, const char *at, json_t *era, struct err *err)
{
	const char *key;
	json_t *v;
	if (!json_is_object(era))
		return yaml_err(y, at, err, "history: a mapping is wanted here: paths, name, order");
	json_object_foreach (era, key, v) {
		AUTO_FREE char *here = xasprintf("%s/%s", at, key);
		const char *near = text_nearest(key, keys);
		bool known = false;
		for (size_t i = 0; keys[i]; i++)
			known |= strcmp(keys[i], key) == 0;
		if (!known)
			return yaml_err(y, here, err, "%s: no such key%s%s%s", key, near ? "; did you mean " : "",
					near ? near : "", near ? "?" : "");
	}
	const char *order = json_string_value(json_object_get(era, "order"));
	if (!order || history_order_parse(order) == HISTORY_ORDER_COUNT_)
		return yaml_err(y, at, err, "order: number, natural, text, alembic or django is wanted here");
	if (check_list(y, at, era, "paths", HISTORY_MAX_PATHS, err) < 0)
		return -1;
	v = json_object_get(era, "version");
	if (v && !json_is_string(v))
		return yaml_err(y, at, err, "version: a text is wanted here");
	v = json_object_get(era, "skip");
	if (v && check_regex(y, at, "skip", v, err) < 0)
		return -1;
	if (!json_object_get(era, "name"))
		return history_order_parse(order) == HISTORY_ALEMBIC ? 0 : yaml_err(y, at, err, "name: missing");
	return check_list(y, at, era, "name", HISTORY_MAX_NAMES, err) < 0
		       ? -1
		       : check_names(y, at, json_object_get(era, "name"), err);
}

int adapter_history_check(const struct yaml *y, json_t *root, struct err *err)
{
	json_t *list = json_object_get(root, "history"), *era;
	size_t i;
	if (json_is_object(list)) {
		json_t *one = json_array();
		json_array_append(one, list);
		json_object_set_new(root, "history", one);
		list = one;
	}
	if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > HISTORY_MAX_ERAS)
		return yaml_err(y, "/history", err, "history: a list of at most %d is wanted here", HISTORY_MAX_ERAS);
	json_array_foreach (list, i, era) {
		AUTO_FREE char *at = xasprintf("/history/%zu", i);
		if (check_era(y, at, era, err) < 0)
			return -1;
	}
	return 0;
}

/* "./a" and "a/./b" are "a" and "a/b"; the top itself is ".". Git's own words in front, ":(glob)", stay. */
static char *plain_path(const char *path)
{
	struct buf out = buf_make(FILLED_MAX + 2);
	const char *end = text_starts(path, ":(") ? strchr(path, ')') : NULL;
	if (end) {
		buf_add(&out, path, (size_t)(end + 1 - path));
		path = end + 1;
	}
	size_t start = out.len;
	while (*path) {
		size_t n = strcspn(path, "/");
		if (n > 0 && !(n == 1 && *path == '.')) {
			if (out.len > start)
				buf_addc(&out, '/');
			buf_add(&out, path, n);
		}
		path += n + (path[n] == '/');
	}
	if (out.len == start)
		buf_addc(&out, '.');
	return buf_take(&out);
}

/* A filled copy of one text, or NULL with err. */
static json_t *fill_one(const json_t *v, const json_t *scope, bool path, struct err *err)
{
	AUTO_BUF text = buf_make(FILLED_MAX);
	if (template_fill(&text, json_string_value(v), scope, err) < 0)
		return NULL;
	if (!path)
		return json_string(text.data);
	AUTO_FREE char *plain = plain_path(text.data);
	return json_string(plain);
}

static int fill_era(json_t *out, const json_t *era, const json_t *scope, struct err *err)
{
	for (size_t k = 0; keys[k]; k++) {
		const json_t *v = json_object_get(era, keys[k]), *item;
		size_t i;
		if (json_is_string(v)) {
			json_t *one = fill_one(v, scope, false, err);
			if (!one)
				return -1;
			json_object_set_new(out, keys[k], one);
		}
		if (!json_is_array(v))
			continue;
		json_t *list = json_array();
		json_object_set_new(out, keys[k], list);
		json_array_foreach (v, i, item) {
			json_t *one = fill_one(item, scope, strcmp(keys[k], "paths") == 0, err);
			if (!one)
				return -1;
			json_array_append_new(list, one);
		}
	}
	return 0;
}

json_t *adapter_history_fill(const json_t *history, const json_t *scope, struct err *err)
{
	json_t *out = json_array();
	const json_t *era;
	size_t i;
	json_array_foreach (history, i, era) {
		json_t *filled = json_object();
		json_array_append_new(out, filled);
		if (fill_era(filled, era, scope, err) < 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}
