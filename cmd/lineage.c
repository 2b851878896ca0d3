/* SPDX-License-Identifier: MIT */
#include "cmd/lineage.h"

#include <string.h>

#include "base/text.h"

void lineage_finish(struct lineage *m)
{
	free(m->line);
	free(m->picks);
	history_free(m->history);
	history_map_free(m->map);
	origin_finish(&m->origin);
	*m = (struct lineage){0};
}

void lineage_freep(struct lineage *m)
{
	lineage_finish(m);
}

int lineage_spec(const struct recipe *r, json_t **spec, struct err *err)
{
	*spec = NULL;
	if (!r->tool)
		return 0;
	json_t *vars = json_pack("{s:s, s:o}", "name", r->name, "source.dir", json_sprintf("/srv/%s", r->name));
	int rc = adapter_database_vars(r->db_adapter, vars, err);
	if (rc == 0)
		rc = adapter_history(r->tool_adapter, vars, spec, err);
	json_decref(vars);
	return rc;
}

static int load_map(struct lineage *m, const struct recipe *r, struct err *err)
{
	json_t *spec;
	int rc = lineage_spec(r, &spec, err);
	if (rc == 0 && !r->tool)
		return err_set(err, ERR_USER, 0, "%s: the recipe has no migrations", r->name);
	if (rc == 0)
		return err_set(err, ERR_USER, 0, "%s: its adapter does not say which files are versions (history:)",
			       r->tool);
	m->map = rc > 0 ? history_map_new(spec, err) : NULL;
	json_decref(spec);
	return m->map ? 0 : -1;
}

/* A version of the recipe's range -> its place among all versions; HISTORY_NONE for words that are no version. */
static int find(const struct lineage *m, const char *key, const char *name, size_t *out, struct err *err)
{
	static const char *const words[] = {"base", "head", "current"};
	*out = HISTORY_NONE;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(name, words[i]) == 0)
			return 0;
	if (*name == '+' || *name == '-')
		return 0;
	*out = history_find(m->history, name);
	if (*out != HISTORY_NONE)
		return 0;
	AUTO_BUF safe = buf_make(1024);
	text_safe_line(&safe, name, strlen(name), 100);
	return err_set(err, ERR_USER, 0, "%s: version %s is not in the history of %s (%s … %s)", key, safe.data,
		       m->origin.repo, history_name(m->history, 0),
		       history_name(m->history, history_n(m->history) - 1));
}

/* Where in the line a version is; n when it is not. */
static size_t place(const struct lineage *m, size_t version)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->line[i] == version)
			return i;
	return m->n;
}

static int missing(const struct lineage *m, const char *key, size_t version, struct err *err)
{
	return err_set(err, ERR_USER, 0,
		       "%s: version %s is not at the ref, and was not taken away by a squash: no walk leads there", key,
		       history_name(m->history, version));
}

/* The part of the line that the recipe's walk is about. */
static int set_range(struct lineage *m, const char *from_name, size_t from, const char *to_name, size_t to,
		     struct err *err)
{
	size_t last = m->n - 1;
	size_t a = from != HISTORY_NONE ? place(m, from) : strcmp(from_name, "head") == 0 ? last : 0;
	size_t b = to != HISTORY_NONE ? place(m, to) : strcmp(to_name, "base") == 0 ? 0 : last;
	int64_t by = 0;
	if (a == m->n)
		return missing(m, "from", from, err);
	if (b == m->n)
		return missing(m, "to", to, err);
	if (*to_name == '+' || *to_name == '-') {
		if (text_parse_int("to", to_name + 1, 0, HISTORY_VERSIONS_MAX, &by, err) < 0)
			return -1;
		/* From base the first step leads to place 0. */
		size_t begin = a + (strcmp(from_name, "base") != 0);
		size_t n = (size_t)by;
		if (*to_name == '+')
			b = begin + n > last + 1 ? last : begin + n > 0 ? begin + n - 1 : 0;
		else
			b = begin > n + 1 ? begin - n - 1 : 0;
	}
	m->first = a < b ? a : b;
	m->last = a < b ? b : a;
	return 0;
}

static int set_line(struct lineage *m, const struct recipe *r, const char *to_name, bool all, struct err *err)
{
	size_t from, to, n = history_n(m->history);
	m->line = xcalloc(n, sizeof(*m->line));
	m->picks = xcalloc(n, sizeof(*m->picks));
	if (all) {
		for (m->n = 0; m->n < n; m->n++)
			m->line[m->n] = m->n;
		m->last = n - 1;
		for (size_t i = 0; i < n; i++)
			history_pick(m->history, i, NULL, 0, &m->picks[i]);
		return 0;
	}
	if (find(m, "from", r->from, &from, err) < 0 || find(m, "to", to_name, &to, err) < 0)
		return -1;
	size_t lowest = from < to ? from : to; /* HISTORY_NONE is more than any */
	m->n = history_line(m->history, lowest, m->line);
	if (m->n == 0)
		return err_set(err, ERR_USER, 0, "%s: no versions at %s", m->origin.repo, r->ref ? r->ref : "HEAD");
	history_picks(m->history, m->line, m->n, m->picks);
	return set_range(m, r->from, from, to_name, to, err);
}

int lineage_open(struct lineage *m, const struct recipe *r, const char *to, bool all, mono_ms deadline, struct err *err)
{
	*m = (struct lineage){0};
	int rc = load_map(m, r, err);
	if (rc == 0)
		rc = origin_open(&m->origin, r, deadline, err);
	if (rc == 0) {
		m->history = history_read(m->map, m->origin.repo, m->origin.ref, deadline, err);
		rc = m->history ? set_line(m, r, to ? to : r->to, all, err) : -1;
	}
	if (rc < 0)
		lineage_finish(m);
	return rc;
}

void lineage_commits(const struct lineage *l, struct buf *out)
{
	for (size_t i = l->first; i < l->n && i <= l->last; i++) {
		const char *commit = l->picks[i].commit;
		if (i == l->first || strcmp(commit, l->picks[i - 1].commit) != 0)
			buf_addf(out, "%s\n", commit);
	}
}
