/* SPDX-License-Identifier: MIT */
/* The events come first: at age A the path P got the contents C, or went. Then all names of versions are known and can
 * be put in order (a rank each). Then the events are played once more: for each version the spans of ages in which a
 * file held it, and those in which it was a highest one; for each age its lowest and highest rank. All questions are
 * answered from these. */
#include "migrations/history.h"

#include <string.h>

#include "migrations/history_int.h"
#include "provision/git.h"

const char *history_rule_name(enum history_rule r)
{
	static const char *const names[] = {
		[HISTORY_TIP] = "tip", [HISTORY_HEAD] = "head", [HISTORY_HEADS] = "heads", [HISTORY_BATCH] = "batch"};
	return r < HISTORY_RULE_COUNT_ ? names[r] : "";
}

/* ---- tables that grow ---- */

void *history_grow(void *items, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return items;
	*cap = *cap ? *cap * 2 : 64;
	return xrealloc(items, *cap, size);
}
#define PUSH HISTORY_PUSH

/* The number of a text in a table of names, from 0. */
static size_t intern(json_t *names, const char *text, size_t next)
{
	const json_t *v = json_object_get(names, text);
	if (v)
		return (size_t)json_integer_value(v);
	json_object_set_new_nocheck(names, text, json_integer((json_int_t)next));
	return next;
}

static size_t add_version(struct history *h, const char *name, int era)
{
	size_t i = intern(h->version_names, name, h->n_versions);
	if (i == h->n_versions) {
		struct version *v = PUSH(h->versions, h->n_versions, h->cap_versions);
		*v = (struct version){.name = xstrdup(name), .era = era, .rank = HISTORY_NONE};
	} else if (h->versions[i].era < era) {
		h->versions[i].era = era;
	}
	return i;
}

/* ---- git log ---- */

static size_t add_path(struct history *h, const char *path, int era, const char *version)
{
	size_t i = intern(h->path_names, path, h->n_paths);
	if (i == h->n_paths) {
		struct path *p = PUSH(h->paths, h->n_paths, h->cap_paths);
		*p = (struct path){.path = xstrdup(path), .era = era, .version = HISTORY_NONE, .blob = HISTORY_NONE};
		if (*version)
			p->version = add_version(h, version, era);
	}
	return i;
}

static size_t add_blob(struct history *h, const char *hash, size_t len, enum history_order order)
{
	AUTO_FREE char *name = xstrndup(hash, len);
	size_t i = intern(h->blob_names, name, h->n_blobs);
	if (i == h->n_blobs) {
		struct blob *b = PUSH(h->blobs, h->n_blobs, h->cap_blobs);
		*b = (struct blob){.hash = TAKE(name), .version = HISTORY_NONE};
	}
	if (history_order_is_graph(order)) {
		h->blobs[i].wanted = true;
		h->blobs[i].order = order;
	}
	return i;
}

static int bad_log(struct err *err, const char *what)
{
	return err_set(err, ERR_USER, 0, "git log: %s", what);
}

/* "\2HASH TIME PARENTS…": an age begins, once something of ours is in it. */
static int take_commit(struct history *h, const char *token, struct age *next, struct err *err)
{
	const char *hash = token + 1;
	size_t n = strcspn(hash, " "), m;
	if (!git_is_hash(hash, n) || hash[n] != ' ')
		return bad_log(err, "a commit without its name");
	const char *time = hash + n + 1, *parent = time + strspn(time, "-0123456789");
	parent += *parent == ' ';
	m = strcspn(parent, " ");
	if (parent == time || (m > 0 && !git_is_hash(parent, m)))
		return bad_log(err, "a commit without time or parent");
	*next = (struct age){.first_event = h->n_events};
	memcpy(next->commit, hash, n);
	memcpy(next->parent, parent, m);
	return 0;
}

/* ":OLDMODE NEWMODE OLDBLOB NEWBLOB STATUS", then the path. */
static int take_change(struct history *h, const char *raw, const char *path, struct err *err)
{
	char version[HISTORY_VERSION_MAX + 1];
	size_t mode_end = strcspn(raw, " ");
	const char *mode = raw[mode_end] ? raw + mode_end + 1 : "";
	const char *old = strchr(mode, ' '), *hash = old ? strchr(old + 1, ' ') : NULL;
	size_t n = hash ? strcspn(hash + 1, " ") : 0;
	if (!hash || !git_is_hash(hash + 1, n))
		return bad_log(err, "a change without blob");
	int era = history_map_path(h->map, path, version);
	if (era < 0)
		return 0;
	struct event *e = PUSH(h->events, h->n_events, h->cap_events);
	bool is_file = strncmp(mode, "100", 3) == 0; /* no link, no submodule, not gone */
	e->path = add_path(h, path, era, version);
	e->blob = is_file ? add_blob(h, hash + 1, n, history_map_order(h->map, (size_t)era)) : HISTORY_NONE;
	if (e->blob != HISTORY_NONE)
		h->blobs[e->blob].path = e->path;
	return 0;
}

static void end_commit(struct history *h, const struct age *next)
{
	if (next->commit[0] && h->n_events > next->first_event)
		*PUSH(h->ages, h->n_ages, h->cap_ages) = *next;
}

static int take_log(struct history *h, const char *data, size_t len, struct err *err)
{
	struct age next = {0};
	for (const char *p = data, *end = data + len; p < end;) {
		size_t n = strnlen(p, (size_t)(end - p));
		if (p + n == end)
			return bad_log(err, "cut off");
		if (*p == '\2') {
			end_commit(h, &next);
			if (take_commit(h, p, &next, err) < 0)
				return -1;
		} else if (*p == ':' || (*p == '\n' && p[1] == ':')) {
			const char *raw = p, *path = p + n + 1;
			size_t m = path < end ? strnlen(path, (size_t)(end - path)) : 0;
			if (path >= end || path + m == end || !next.commit[0])
				return bad_log(err, "a change without path");
			if (take_change(h, raw, path, err) < 0)
				return -1;
			n += 1 + m;
		} else if (*p && *p != '\n') {
			return bad_log(err, "neither commit nor change");
		}
		if (h->n_versions > 2 * (size_t)HISTORY_VERSIONS_MAX)
			return err_set(err, ERR_USER, 0, "more than %d versions", HISTORY_VERSIONS_MAX);
		p += n + 1;
	}
	end_commit(h, &next);
	return 0;
}

struct history *history_parse_log(const struct history_map *map, const char *tip, const char *data, size_t len,
				  struct err *err)
{
	CLEANUP(history_freep) struct history *h = xcalloc(1, sizeof(*h));
	h->map = map;
	h->tip = xstrdup(tip);
	h->version_names = json_object();
	h->path_names = json_object();
	h->blob_names = json_object();
	return take_log(h, data, len, err) < 0 ? NULL : TAKE(h);
}

void history_free(struct history *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n_versions; i++) {
		free(h->versions[i].name);
		free(h->versions[i].holds);
		free(h->versions[i].tops);
	}
	for (size_t i = 0; i < h->n_paths; i++)
		free(h->paths[i].path);
	for (size_t i = 0; i < h->n_blobs; i++) {
		free(h->blobs[i].hash);
		free(h->blobs[i].parents);
	}
	free(h->versions);
	free(h->paths);
	free(h->blobs);
	free(h->events);
	free(h->ages);
	free(h->line);
	free(h->described);
	json_decref(h->version_names);
	json_decref(h->path_names);
	json_decref(h->blob_names);
	free(h->tip);
	free(h);
}

void history_freep(struct history **h)
{
	history_free(*h);
}

/* ---- contents ---- */

void history_wanted(const struct history *h, struct buf *out)
{
	for (size_t i = 0; i < h->n_blobs; i++)
		if (h->blobs[i].wanted)
			buf_addf(out, "%s\n", h->blobs[i].hash);
}

/* Versions named in the lines, as numbers. */
static void add_parents(struct history *h, struct blob *b, const char *lines, int era)
{
	while (*lines) {
		size_t n = strcspn(lines, "\n");
		AUTO_FREE char *name = xstrndup(lines, n);
		size_t v = add_version(h, name, era);
		b->parents = xrealloc(b->parents, b->n_parents + 1, sizeof(*b->parents));
		b->parents[b->n_parents++] = v;
		lines += n + (lines[n] == '\n');
	}
}

/* The last era of that order: graphs of one order are not told apart by contents. */
static int era_of(const struct history *h, enum history_order order)
{
	int era = 0;
	for (size_t i = 0; i < history_map_n(h->map); i++)
		if (history_map_order(h->map, i) == order)
			era = (int)i;
	return era;
}

static void take_contents(struct history *h, size_t i, const char *text, size_t len)
{
	struct history_node node;
	enum history_order order = h->blobs[i].order;
	int era = era_of(h, order);
	history_scan(order, text, len, &node);
	size_t version = node.version[0] ? add_version(h, node.version, era) : HISTORY_NONE;
	struct blob *b = &h->blobs[i];
	b->version = version;
	add_parents(h, b, node.parents, era);
	add_parents(h, b, node.replaces, era);
	history_node_finish(&node);
}

/* "HASH blob SIZE\n<bytes>\n" each, in the order of history_wanted(). */
int history_parse_contents(struct history *h, const char *data, size_t len, struct err *err)
{
	const char *p = data, *end = data + len;
	for (size_t i = 0; i < h->n_blobs; i++) {
		if (!h->blobs[i].wanted)
			continue;
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t n = strlen(h->blobs[i].hash), size = 0;
		if (!lf || (size_t)(lf - p) < n || memcmp(p, h->blobs[i].hash, n) != 0)
			return err_set(err, ERR_USER, 0, "git cat-file: not the blob that was asked for");
		p += n;
		if (lf - p < 6 || memcmp(p, " blob ", 6) != 0)
			return err_set(err, ERR_USER, 0, "git cat-file: %s: %s", h->blobs[i].hash,
				       "not in this repository (a partial clone?)");
		for (p += 6; p < lf && *p >= '0' && *p <= '9' && size <= len; p++)
			size = size * 10 + (size_t)(*p - '0');
		if (p != lf || size >= (size_t)(end - lf - 1) || lf[1 + size] != '\n')
			return err_set(err, ERR_USER, 0, "git cat-file: cut off");
		take_contents(h, i, lf + 1, size);
		p = lf + 1 + size + 1;
	}
	return 0;
}

const char *history_path_of_blob(const struct history *h, const char *blob)
{
	const json_t *n = json_object_get(h->blob_names, blob);
	return n ? h->paths[h->blobs[json_integer_value(n)].path].path : "";
}

/* ---- reading a repository ---- */

static int read_log(const struct history_map *map, const char *repo, const char *tip, mono_ms deadline, struct buf *out,
		    struct err *err)
{
	const char *args[HISTORY_MAX_ERAS * HISTORY_MAX_PATHS + 16] = {
		"log",       "--first-parent",         "-m", "--raw", "--no-renames", "--no-abbrev", "-z",
		"--reverse", "--format=%x02%H %ct %P", tip,  "--"};
	size_t n = 11;
	for (const char *const *path = history_map_paths(map); *path; path++)
		args[n++] = *path;
	struct git_call c = {.repo = repo, .args = args, .out = out, .deadline = deadline};
	return git_run(&c, err);
}

int history_read_contents(struct history *h, const char *repo, mono_ms deadline, struct err *err)
{
	static const char *const args[] = {"cat-file", "--batch", NULL};
	AUTO_BUF wanted = buf_make(HISTORY_LOG_MAX);
	AUTO_BUF out = buf_make(HISTORY_CONTENTS_MAX);
	history_wanted(h, &wanted);
	if (wanted.len == 0)
		return 0;
	struct git_call c = {.repo = repo,
			     .args = args,
			     .input = wanted.data,
			     .input_len = wanted.len,
			     .out = &out,
			     .deadline = deadline};
	return git_run(&c, err) < 0 ? -1 : history_parse_contents(h, out.data, out.len, err);
}

struct history *history_read(const struct history_map *map, const char *repo, const char *ref, mono_ms deadline,
			     struct err *err)
{
	char tip[GIT_HASH_MAX];
	AUTO_BUF log = buf_make(HISTORY_LOG_MAX);
	if (git_resolve(repo, ref, tip, deadline, err) < 0 || read_log(map, repo, tip, deadline, &log, err) < 0)
		return NULL;
	CLEANUP(history_freep) struct history *h = history_parse_log(map, tip, log.data, log.len, err);
	if (!h || history_read_contents(h, repo, deadline, err) < 0 || history_order(h, err) < 0) {
		err_ctx(err, "%s", repo);
		return NULL;
	}
	if (h->n_line > 0)
		return TAKE(h);
	AUTO_BUF paths = buf_make(BUF_TEXT_MAX);
	for (const char *const *path = history_map_paths(map); *path; path++)
		buf_addf(&paths, "%s%s", paths.len ? ", " : "", *path);
	err_set(err, ERR_USER, 0, "%s: no version was ever in %s, up to %s", repo, paths.data, ref ? ref : "HEAD");
	return NULL;
}

int history_describe(struct history *h, const char *repo, struct history_pick *picks, size_t n, mono_ms deadline,
		     struct err *err)
{
	static const char *const args[] = {"log",     "--no-walk=unsorted",       "-z",
					   "--stdin", "--format=%H%x01%ct%x01%s", NULL};
	AUTO_BUF in = buf_make(HISTORY_LOG_MAX);
	AUTO_BUF out = buf_make(HISTORY_LOG_MAX);
	json_t *seen = json_object();
	for (size_t i = 0; i < n; i++) {
		picks[i].subject = "";
		buf_addf(&in, "%s\n", picks[i].commit);
	}
	struct git_call c = {
		.repo = repo, .args = args, .input = in.data, .input_len = in.len, .out = &out, .deadline = deadline};
	int rc = n ? git_run(&c, err) : 0;
	free(h->described);
	h->described = buf_take(&out);
	/* Each commit once, whoever asked for it. */
	for (char *p = h->described; rc == 0 && *p;) {
		char *end = p + strlen(p), *time = strchr(p, 1), *subject = time ? strchr(time + 1, 1) : NULL;
		if (subject) {
			*time = *subject = '\0';
			json_object_set_new_nocheck(seen, p, json_integer((json_int_t)(time + 1 - h->described)));
		}
		p = end + 1; /* the buffer has a NUL behind its last one */
	}
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const json_t *at = json_object_get(seen, picks[i].commit);
		const char *time = at ? h->described + json_integer_value(at) : NULL;
		picks[i].date = time ? strtoll(time, NULL, 10) : 0;
		picks[i].subject = time ? time + strlen(time) + 1 : "";
	}
	json_decref(seen);
	return rc;
}
