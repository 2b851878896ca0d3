/* SPDX-License-Identifier: MIT */
#include "migrations/history_map.h"

#include <regex.h>
#include <string.h>

#include "base/text.h"

#define MAX_GROUPS 10

struct era {
	enum history_order order;
	size_t n_names;
	regex_t names[HISTORY_MAX_NAMES];
	bool has_skip;
	regex_t skip;
	char *version; /* "\1.\2" */
	size_t n_paths;
	char *dirs[HISTORY_MAX_PATHS]; /* of pathspecs without git's magic: the beginning of the path, "" for all */
};

struct history_map {
	size_t n;
	struct era eras[HISTORY_MAX_ERAS];
	char *paths[HISTORY_MAX_ERAS * HISTORY_MAX_PATHS + 1];
	size_t n_paths;
};

enum history_order history_order_parse(const char *word)
{
	static const char *const words[] = {
		[HISTORY_NUMBER] = "number",   [HISTORY_NATURAL] = "natural", [HISTORY_TEXT] = "text",
		[HISTORY_ALEMBIC] = "alembic", [HISTORY_DJANGO] = "django",
	};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i], word) == 0)
			return (enum history_order)i;
	return HISTORY_ORDER_COUNT_;
}

bool history_order_is_graph(enum history_order o)
{
	return o == HISTORY_ALEMBIC || o == HISTORY_DJANGO;
}

/* ---- making one ---- */

static int compile(regex_t *re, const char *what, const char *text, struct err *err)
{
	char why[128];
	int rc = regcomp(re, text, REG_EXTENDED);
	if (rc == 0)
		return 0;
	regerror(rc, re, why, sizeof(why));
	return err_set(err, ERR_USER, rc, "history: %s: %s: %s", what, text, why);
}

static const char *text_of(const json_t *era, const char *key)
{
	return json_string_value(json_object_get(era, key));
}

/* A pathspec that is a plain directory or file also says which paths are of this era; one with wildcards leaves that to
 * the names. */
static char *plain_dir(const char *path)
{
	return strpbrk(path, ":*?[\\") || strcmp(path, ".") == 0 ? xstrdup("") : xasprintf("%s/", path);
}

static int add_era(struct history_map *m, const json_t *spec, struct err *err)
{
	const json_t *v;
	size_t i;
	struct era *e = &m->eras[m->n++];
	const char *order = text_of(spec, "order"), *version = text_of(spec, "version"), *skip = text_of(spec, "skip");
	e->order = history_order_parse(order ? order : "");
	e->version = xstrdup(version ? version : "\\1");
	if (e->order == HISTORY_ORDER_COUNT_)
		return err_set(err, ERR_USER, 0, "history: order: %s: not known", order ? order : "missing");
	json_array_foreach (json_object_get(spec, "paths"), i, v) {
		if (i == HISTORY_MAX_PATHS)
			break;
		m->paths[m->n_paths++] = xstrdup(json_string_value(v));
		e->dirs[e->n_paths++] = plain_dir(json_string_value(v));
	}
	json_array_foreach (json_object_get(spec, "name"), i, v) {
		if (i == HISTORY_MAX_NAMES)
			break;
		if (compile(&e->names[i], "name", json_string_value(v), err) < 0)
			return -1;
		e->n_names++;
	}
	if (skip && *skip) {
		if (compile(&e->skip, "skip", skip, err) < 0)
			return -1;
		e->has_skip = true;
	}
	return e->n_paths ? 0 : err_set(err, ERR_USER, 0, "history: paths: missing");
}

struct history_map *history_map_new(const json_t *spec, struct err *err)
{
	CLEANUP(history_map_freep) struct history_map *m = xcalloc(1, sizeof(*m));
	const json_t *era;
	size_t i;
	json_array_foreach (spec, i, era) {
		if (i == HISTORY_MAX_ERAS)
			break;
		if (add_era(m, era, err) < 0)
			return NULL;
	}
	if (m->n == 0) {
		err_set(err, ERR_USER, 0, "history: empty");
		return NULL;
	}
	return TAKE(m);
}

void history_map_free(struct history_map *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		struct era *e = &m->eras[i];
		for (size_t k = 0; k < e->n_names; k++)
			regfree(&e->names[k]);
		for (size_t k = 0; k < e->n_paths; k++)
			free(e->dirs[k]);
		if (e->has_skip)
			regfree(&e->skip);
		free(e->version);
	}
	for (size_t i = 0; i < m->n_paths; i++)
		free(m->paths[i]);
	free(m);
}

void history_map_freep(struct history_map **m)
{
	history_map_free(*m);
}

size_t history_map_n(const struct history_map *m)
{
	return m->n;
}

enum history_order history_map_order(const struct history_map *m, size_t era)
{
	return m->eras[era].order;
}

const char *const *history_map_paths(const struct history_map *m)
{
	return (const char *const *)m->paths;
}

/* ---- paths ---- */

/* Puts the groups of a match into the pattern ("\1.\2"). Returns whether it fits and is a version. */
static bool build_version(const struct era *e, const char *text, const regmatch_t *groups, char *out)
{
	size_t len = 0;
	for (const char *p = e->version; *p; p++) {
		const char *piece = p;
		size_t n = 1;
		if (*p == '\\' && p[1] >= '0' && p[1] <= '9') {
			const regmatch_t *g = &groups[*++p - '0'];
			piece = g->rm_so < 0 ? "" : text + g->rm_so;
			n = g->rm_so < 0 ? 0 : (size_t)(g->rm_eo - g->rm_so);
		}
		if (len + n > HISTORY_VERSION_MAX)
			return false;
		memcpy(out + len, piece, n);
		len += n;
	}
	out[len] = '\0';
	for (const char *p = out; *p; p++)
		if (*p == ' ')
			return false;
	return len > 0;
}

/* Numbers have no zeros in front, as tools keep them. */
static void normalise(const struct era *e, char *version)
{
	size_t zeros = strspn(version, "0");
	if (e->order != HISTORY_NUMBER || version[strspn(version, "0123456789")] != '\0' || zeros == 0)
		return;
	if (version[zeros] == '\0')
		zeros--;
	memmove(version, version + zeros, strlen(version + zeros) + 1);
}

static bool is_below(const struct era *e, const char *path)
{
	for (size_t i = 0; i < e->n_paths; i++) {
		size_t n = strlen(e->dirs[i]);
		if (strncmp(path, e->dirs[i], n) == 0 ||
		    (n && strlen(path) == n - 1 && strncmp(path, e->dirs[i], n - 1) == 0))
			return true;
	}
	return false;
}

/* text is "/path". */
static bool match_era(const struct era *e, const char *text, char *version)
{
	regmatch_t groups[MAX_GROUPS];
	*version = '\0';
	if (!is_below(e, text + 1) || (e->has_skip && regexec(&e->skip, text, 0, NULL, 0) == 0))
		return false;
	if (e->n_names == 0)
		return true;
	for (size_t i = 0; i < e->n_names; i++) {
		if (regexec(&e->names[i], text, MAX_GROUPS, groups, 0) != 0)
			continue;
		if (!build_version(e, text, groups, version))
			return false;
		normalise(e, version);
		/* Alembic's files say themselves who they are. */
		if (e->order == HISTORY_ALEMBIC)
			*version = '\0';
		return true;
	}
	return false;
}

int history_map_path(const struct history_map *m, const char *path, char version[HISTORY_VERSION_MAX + 1])
{
	AUTO_FREE char *text = xasprintf("/%s", path);
	for (const char *p = path; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7F)
			return -1;
	for (size_t i = 0; i < m->n; i++)
		if (match_era(&m->eras[i], text, version))
			return (int)i;
	return -1;
}

/* ---- order ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int sign(long n)
{
	return n < 0 ? -1 : n > 0;
}

/* Two runs of digits as numbers of any length; *a and *b move behind them. */
static int compare_digits(const char **a, const char **b)
{
	const char *p = *a + strspn(*a, "0"), *q = *b + strspn(*b, "0");
	size_t n = strspn(p, "0123456789"), m = strspn(q, "0123456789");
	*a = p + n;
	*b = q + m;
	if (n != m)
		return n < m ? -1 : 1;
	return sign(memcmp(p, q, n));
}

static int compare_natural(const char *a, const char *b)
{
	const char *x = a, *y = b;
	while (*x && *y) {
		if (is_digit(*x) && is_digit(*y)) {
			int rc = compare_digits(&x, &y);
			if (rc != 0)
				return rc;
		} else if (*x != *y) {
			return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
		} else {
			x++;
			y++;
		}
	}
	if (*x || *y)
		return *x ? 1 : -1;
	return sign(strcmp(a, b)); /* 01 and 1: two versions */
}

int history_compare(enum history_order order, const char *a, const char *b)
{
	return order == HISTORY_TEXT ? sign(strcmp(a, b)) : compare_natural(a, b);
}
