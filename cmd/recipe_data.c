/* SPDX-License-Identifier: MIT */
#include "cmd/recipe_data.h"

#include <string.h>

#include "base/fs.h"
#include "base/template.h"
#include "base/text.h"

#define MAX_BEFORE 1000 /* versions with data of their own */

static const char *text_of(const json_t *map, const char *key)
{
	return json_string_value(json_object_get(map, key));
}

/* ---- seed: ---- */

static const json_t *seed_of(const struct recipe *r)
{
	return json_object_get(r->y.root, "seed");
}

static int check_before(const struct recipe *r, const json_t *map, struct err *err)
{
	const char *version;
	json_t *v;
	if (!json_is_object(map) || json_object_size(map) > MAX_BEFORE)
		return yaml_err(&r->y, "/seed/before", err,
				"before: VERSION: FILE or {run: CMD} pairs are wanted here");
	json_object_foreach ((json_t *)(uintptr_t)map, version, v) {
		bool command = json_is_object(v) && json_object_size(v) == 1 && text_of(v, "run");
		if (!*version || version[strcspn(version, " \t\n")])
			return yaml_err(&r->y, "/seed/before", err, "before: not a version: %s", version);
		if (!command && (!json_is_string(v) || !*json_string_value(v)))
			return yaml_err(&r->y, "/seed/before", err, "%s: an SQL file or {run: CMD} is wanted here",
					version);
	}
	return 0;
}

static int check_skip(const struct recipe *r, const json_t *list, struct err *err)
{
	const json_t *v;
	size_t i;
	json_array_foreach (list, i, v) {
		if (!json_is_string(v) || strpbrk(json_string_value(v), "\t\n"))
			return yaml_err(&r->y, "/seed/skip", err, "skip: a list of tables is wanted here");
	}
	return json_is_array(list) ? 0 : yaml_err(&r->y, "/seed/skip", err, "skip: a list of tables is wanted here");
}

static int check_number(const struct recipe *r, const char *key, int64_t max, int64_t *out, struct err *err)
{
	const char *text = text_of(seed_of(r), key);
	AUTO_FREE char *at = xasprintf("/seed/%s", key);
	struct err why = ERR_INIT;
	if (!json_object_get(seed_of(r), key))
		return 0;
	return text_parse_int(key, text ? text : "", 0, max, out, &why) < 0 ? yaml_err(&r->y, at, err, "%s", why.msg)
									    : 0;
}

static int check_seed(struct recipe *r, struct err *err)
{
	static const char *const keys[] = {"rows", "seed", "skip", "before", NULL};
	const json_t *seed = seed_of(r), *v;
	const char *key;
	if (!seed)
		return 0;
	if (!json_is_object(seed))
		return yaml_err(&r->y, "/seed", err, "seed: a mapping is wanted here: rows, seed, skip, before");
	json_object_foreach ((json_t *)(uintptr_t)seed, key, v) {
		size_t i = 0;
		while (keys[i] && strcmp(keys[i], key) != 0)
			i++;
		AUTO_FREE char *at = xasprintf("/seed/%s", key);
		if (!keys[i])
			return yaml_err(&r->y, at, err, "%s: no such key; known here: rows, seed, skip, before", key);
	}
	const json_t *before = json_object_get(seed, "before"), *skip = json_object_get(seed, "skip");
	if (check_number(r, "rows", SEED_MAX_ROWS, &r->seed_rows, err) < 0 ||
	    check_number(r, "seed", 1000000, &r->seed, err) < 0 || (before && check_before(r, before, err) < 0) ||
	    (skip && check_skip(r, skip, err) < 0))
		return -1;
	if (r->seed_rows > 0 && !adapter_get(r->db_adapter, "columns") && !adapter_get(r->db_adapter, "model"))
		return yaml_err(&r->y, "/seed/rows", err,
				"rows: tables of %s cannot be filled by themselves; use before:", r->engine);
	return 0;
}

/* ---- limits: ---- */

static int read_limits_file(struct recipe *r, json_t *limits, const char *file, struct err *err)
{
	struct yaml y = {0};
	AUTO_FREE char *path = *file == '/' ? xstrdup(file) : xasprintf("%s/%s", r->dir, file);
	if (yaml_load(&y, path, err) < 0)
		return -1;
	/* `stepbox learn` writes a tree of the whole key, so that it can be pasted, too. */
	json_t *tree = json_object_get(y.root, "limits");
	json_object_set(limits, "from_file", tree ? tree : y.root);
	yaml_finish(&y);
	return 0;
}

static int check_limits(struct recipe *r, struct err *err)
{
	json_t *limits = json_object_get(r->y.root, "limits");
	const char *file = text_of(limits, "file");
	struct err why = ERR_INIT;
	if (limits && !json_is_object(limits))
		return yaml_err(&r->y, "/limits", err, "limits: a mapping is wanted here: step, file, loss, versions");
	if (json_object_get(limits, "file") && !file)
		return yaml_err(&r->y, "/limits/file", err, "file: a path is wanted here");
	if (file && !json_object_get(limits, "from_file") && read_limits_file(r, limits, file, err) < 0)
		return err_ctx(err, "%s: limits", r->y.name);
	r->limits = limits_new(limits, r->engine, r->seed_rows, &why);
	return r->limits ? 0 : yaml_err(&r->y, "/limits", err, "limits: %s", why.msg);
}

int recipe_data_check(struct recipe *r, struct err *err)
{
	const char *roundtrip = text_of(json_object_get(r->y.root, "migrations"), "roundtrip");
	r->roundtrip = roundtrip && strcmp(roundtrip, "true") == 0;
	r->seed = 1;
	return check_seed(r, err) < 0 || check_limits(r, err) < 0 ? -1 : 0;
}

/* ---- to a walk ---- */

static const char *keep_text(json_t *keep, const char *text)
{
	json_t *s = json_string(text);
	json_array_append_new(keep, s);
	return json_string_value(s);
}

static int file_command(const struct recipe *r, const json_t *vars, const char *file, struct buf *out, struct err *err)
{
	AUTO_BUF sql = buf_make(SEED_MAX_SQL);
	AUTO_FREE char *path = *file == '/' ? xstrdup(file) : xasprintf("%s/%s", r->dir, file);
	const char *client = text_of(vars, "database.sql");
	if (!client)
		return err_set(err, ERR_USER, 0, "%s has no SQL shell for a file; use {run: CMD}", r->engine);
	if (fs_read(path, SEED_MAX_SQL, &sql, err) < 0)
		return -1;
	if (memchr(sql.data, '\0', sql.len))
		return err_set(err, ERR_USER, 0, "%s: has NUL bytes", path);
	/* printf of a shell takes any length. */
	buf_adds(out, "printf '%s\\n' ");
	text_shell_quote(out, sql.data);
	buf_addf(out, " | %s", client);
	return 0;
}

static int add_before(const struct recipe *r, const json_t *vars, struct plan_before *b, json_t *keep, struct err *err)
{
	const json_t *v = json_object_get(json_object_get(seed_of(r), "before"), b->version);
	const char *run = text_of(v, "run");
	AUTO_BUF command = buf_make(4 * SEED_MAX_SQL);
	int rc = run ? template_fill(&command, run, vars, err)
		     : file_command(r, vars, json_string_value(v), &command, err);
	if (rc < 0)
		return err_ctx(err, "%s: seed: before %s", r->y.name, b->version);
	b->command = keep_text(keep, command.data);
	return b->command ? 0 : err_set(err, ERR_USER, 0, "%s: seed: before %s: not UTF-8", r->y.name, b->version);
}

static int add_befores(const struct recipe *r, const json_t *vars, struct plan_walk *w, json_t *keep, struct err *err)
{
	static const struct plan_before none = {0};
	const json_t *map = json_object_get(seed_of(r), "before");
	const char *version;
	json_t *v;
	size_t n = json_object_size(map), i = 0;
	struct plan_before *before = xcalloc(n ? n : 1, sizeof(*before));
	int rc = 0;
	json_object_foreach ((json_t *)(uintptr_t)map, version, v) {
		before[i] = none;
		before[i].version = version;
		if (rc == 0)
			rc = add_before(r, vars, &before[i++], keep, err);
	}
	w->before = before;
	w->n_before = n;
	return rc;
}

static void assign(struct buf *out, const char *name, const char *value)
{
	buf_addf(out, "%s=", name);
	text_shell_quote(out, value);
	buf_addc(out, '\n');
}

/* What the tables look like: by the engine's own query, or from the description that its look has made. */
static int add_columns(const struct recipe *r, const json_t *vars, struct buf *out, struct err *err)
{
	AUTO_BUF awk = buf_make(BUF_TEXT_MAX);
	const char *own = adapter_get(r->db_adapter, "columns");
	if (own)
		return template_fill(out, own, vars, err) < 0 ? err_ctx(err, "database %s: columns", r->engine) : 0;
	if (template_file("tasks/columns.awk", &awk, err) < 0)
		return -1;
	buf_adds(out, "awk ");
	text_shell_quote(out, awk.data);
	buf_adds(out, " \"$STEPBOX_DIR/model\"");
	return 0;
}

static int add_generator(const struct recipe *r, const json_t *vars, struct plan_walk *w, json_t *keep, struct err *err)
{
	AUTO_BUF awk = buf_make(BUF_TEXT_MAX);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	AUTO_BUF skip = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *rows = xasprintf("%lld", (long long)r->seed_rows);
	AUTO_FREE char *seed = xasprintf("%lld", (long long)r->seed);
	const json_t *v;
	size_t i;
	json_array_foreach (json_object_get(seed_of(r), "skip"), i, v) {
		buf_addf(&skip, "%s%s", i ? "\n" : "", json_string_value(v));
	}
	if (template_file("tasks/fill.awk", &awk, err) < 0)
		return -1;
	assign(&out, "ENGINE", r->engine);
	assign(&out, "ROWS", rows);
	assign(&out, "SEED", seed);
	assign(&out, "SKIP", skip.data);
	assign(&out, "FILL_AWK", awk.data);
	buf_adds(&out, "columns() {\n");
	if (add_columns(r, vars, &out, err) < 0)
		return -1;
	buf_addf(&out, "\n}\nsql_each() {\n\t%s\n}\n", text_of(vars, "database.sql_each"));
	if (template_file("tasks/seed.sh", &out, err) < 0)
		return -1;
	w->seed = keep_text(keep, out.data);
	return 0;
}

int recipe_data_walk(const struct recipe *r, const json_t *vars, struct plan_walk *w, json_t *keep, struct err *err)
{
	w->roundtrip = r->roundtrip;
	if (add_befores(r, vars, w, keep, err) < 0)
		return -1;
	return r->seed_rows > 0 ? add_generator(r, vars, w, keep, err) : 0;
}
