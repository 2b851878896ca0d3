/* SPDX-License-Identifier: MIT */
#include "migrations/limits.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define MAX_LIMITS 20000 /* versions with limits of their own, in all */

struct limit {
	char *version;
	int64_t ms;
};

struct limits {
	int64_t step_ms;
	struct limit *limits; /* what was said first wins */
	size_t n;
	enum loss loss;
	char **lossy; /* versions that may lose data */
	size_t n_lossy;
};

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

bool version_is(const char *name, const char *version)
{
	size_t n = strlen(name);
	if (is_number(name) && is_number(version)) {
		name += strspn(name, "0");
		version += strspn(version, "0");
		return strcmp(name, version) == 0;
	}
	if (n == 0 || strncmp(name, version, n) != 0)
		return false;
	return !(version[n] >= '0' && version[n] <= '9');
}

/* ---- reading ---- */

static int add_limit(struct limits *l, const char *version, const json_t *v, struct err *err)
{
	int64_t ms;
	if (!json_is_string(v))
		return err_set(err, ERR_USER, 0, "%s: a time such as 2m is wanted here", version);
	if (clock_parse_span(json_string_value(v), &ms, err) < 0)
		return err_ctx(err, "%s", version);
	if (l->n >= MAX_LIMITS)
		return err_set(err, ERR_USER, 0, "limits of more than %d versions", MAX_LIMITS);
	if (strcmp(version, "step") == 0) {
		l->step_ms = l->step_ms ? l->step_ms : ms;
		return 0;
	}
	l->limits = xrealloc(l->limits, l->n + 1, sizeof(*l->limits));
	l->limits[l->n++] = (struct limit){xstrdup(version), ms};
	return 0;
}

static int read_loss(struct limits *l, const json_t *v, struct err *err)
{
	const json_t *item;
	size_t i;
	if (json_is_string(v) && strcmp(json_string_value(v), "allow") == 0)
		l->loss = LOSS_ALLOW;
	else if (json_is_string(v) && strcmp(json_string_value(v), "strict") == 0)
		l->loss = LOSS_STRICT;
	else if (!json_is_array(v))
		return err_set(err, ERR_USER, 0, "loss: allow, strict or a list of versions is wanted here");
	json_array_foreach (v, i, item) {
		if (!json_is_string(item) || l->n_lossy >= MAX_LIMITS)
			return err_set(err, ERR_USER, 0, "loss: a list of versions is wanted here");
		l->lossy = xrealloc(l->lossy, l->n_lossy + 1, sizeof(*l->lossy));
		l->lossy[l->n_lossy++] = xstrdup(json_string_value(item));
	}
	return 0;
}

/* A version may be called `file` or `loss` in the learned part, which knows no other keys. */
static int read_versions(struct limits *l, const json_t *map, struct err *err)
{
	const char *key;
	json_t *v;
	if (!json_is_object(map))
		return err_set(err, ERR_USER, 0, "VERSION: time pairs are wanted here");
	json_object_foreach ((json_t *)(uintptr_t)map, key, v) {
		if (add_limit(l, key, v, err) < 0)
			return -1;
	}
	return 0;
}

static int read_learned(struct limits *l, const json_t *list, const char *engine, int64_t rows, struct err *err)
{
	const json_t *entry;
	size_t i;
	if (!json_is_array(list))
		return err_set(err, ERR_USER, 0, "learned: a list is wanted here");
	json_array_foreach (list, i, entry) {
		const char *of = json_string_value(json_object_get(entry, "engine"));
		const char *text = json_string_value(json_object_get(entry, "rows"));
		int64_t n = 0;
		if (!of)
			return err_set(err, ERR_USER, 0, "learned: engine is missing");
		if (text_parse_int("learned: rows", text ? text : "0", 0, INT64_MAX, &n, err) < 0)
			return -1;
		if (strcmp(of, engine) == 0 && n == rows &&
		    read_versions(l, json_object_get(entry, "versions"), err) < 0)
			return err_ctx(err, "learned");
	}
	return 0;
}

/* known: what is said elsewhere and wins (the recipe over its file), or NULL. */
static int read_tree(struct limits *l, const json_t *tree, const json_t *known, struct err *err)
{
	const char *key;
	json_t *v;
	if (!json_is_object(tree))
		return err_set(err, ERR_USER, 0, "a mapping is wanted here");
	json_object_foreach ((json_t *)(uintptr_t)tree, key, v) {
		bool special = strcmp(key, known ? "learned" : "file") == 0 || strcmp(key, "from_file") == 0;
		if (strcmp(key, "loss") == 0 && !json_object_get(known, "loss") && read_loss(l, v, err) < 0)
			return -1;
		if (strcmp(key, "loss") != 0 && !special && add_limit(l, key, v, err) < 0)
			return -1;
	}
	return 0;
}

struct limits *limits_new(const json_t *tree, const char *engine, int64_t rows, struct err *err)
{
	CLEANUP(limits_freep) struct limits *l = xcalloc(1, sizeof(*l));
	const json_t *file = json_object_get(tree, "from_file"), *learned = json_object_get(file, "learned");
	if (tree && read_tree(l, tree, NULL, err) < 0)
		return NULL;
	if (file &&
	    (read_tree(l, file, tree, err) < 0 || (learned && read_learned(l, learned, engine, rows, err) < 0))) {
		err_ctx(err, "file");
		return NULL;
	}
	return TAKE(l);
}

void limits_free(struct limits *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		free(l->limits[i].version);
	for (size_t i = 0; i < l->n_lossy; i++)
		free(l->lossy[i]);
	free(l->limits);
	free(l->lossy);
	free(l);
}

void limits_freep(struct limits **l)
{
	limits_free(*l);
	*l = NULL;
}

/* ---- asking ---- */

int64_t limits_ms(const struct limits *l, const char *version)
{
	for (size_t i = 0; l && i < l->n; i++)
		if (version_is(l->limits[i].version, version))
			return l->limits[i].ms;
	return l ? l->step_ms : 0;
}

enum loss limits_loss(const struct limits *l, const char *version)
{
	for (size_t i = 0; l && i < l->n_lossy; i++)
		if (version_is(l->lossy[i], version))
			return LOSS_ALLOW;
	return l ? l->loss : LOSS_FIND;
}

int64_t percentile(const int64_t *sorted, size_t n, int64_t p)
{
	size_t rank = ((size_t)p * n + 99) / 100;
	return sorted[rank > 0 ? rank - 1 : 0];
}
