/* SPDX-License-Identifier: MIT */
/* Finding and reading clouds.yaml, secure.yaml, clouds-public.yaml and built-in profiles. A text of a file never gets
 * into a message: it may be a password that lacks its quotes. */
#include "cloud/clouds_int.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/template.h"
#include "base/text.h"
#include "base/yaml.h"

#define DIRS_MAX 16

/* ---- one file ---- */

/* Python's str() of a float, which is what openstacksdk makes of it: 2.0, not 2. */
static json_t *real_text(double value)
{
	char text[40];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	if (text[strcspn(text, ".en")] == '\0')
		return json_sprintf("%s.0", text);
	return json_string(text);
}

/* As base/yaml.h gives it: every scalar is its text. NULL when it is nested too deep. */
static json_t *json_to_texts(const json_t *value, int depth)
{
	const char *key;
	size_t i;
	json_t *child;
	if (json_is_integer(value))
		return json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	if (json_is_real(value))
		return real_text(json_real_value(value));
	if (json_is_boolean(value))
		return json_string(json_is_true(value) ? "true" : "false");
	if (json_is_string(value) || json_is_null(value))
		return json_deep_copy(value);
	json_t *out = depth >= YAML_MAX_DEPTH ? NULL : json_is_array(value) ? json_array() : json_object();
	int rc = out == NULL ? -1 : 0;
	json_array_foreach (value, i, child)
		if (rc == 0)
			rc = json_array_append_new(out, json_to_texts(child, depth + 1));
	json_object_foreach ((json_t *)(uintptr_t)value, key, child)
		if (rc == 0)
			rc = json_object_set_new(out, key, json_to_texts(child, depth + 1));
	if (rc == 0)
		return out;
	json_decref(out);
	return NULL;
}

static json_t *parse_json(const char *path, const struct buf *text, struct err *err)
{
	json_error_t where;
	json_t *raw = json_loadb(text->data, text->len, JSON_DECODE_ANY, &where);
	json_t *doc = raw != NULL ? json_to_texts(raw, 0) : NULL;
	if (raw == NULL)
		err_set(err, ERR_USER, 0, "%s:%d:%d: not JSON", path, where.line, where.column);
	else if (doc == NULL)
		err_set(err, ERR_USER, 0, "%s: nested deeper than %d", path, YAML_MAX_DEPTH);
	json_decref(raw);
	return doc;
}

/* The parser quotes anchors, aliases and tags, which a password without quotes may look like. */
static void hide_text(const char *path, struct err *err)
{
	static const char *const words[] = {"anchor", "alias", "tag ", "tag prefix", "escape", "directive"};
	const char *cause = err->msg + (text_starts(err->msg, path) ? strlen(path) : 0);
	size_t place = strspn(cause, ":0123456789");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strstr(cause, words[i]) == NULL)
			continue;
		AUTO_FREE char *at = xstrndup(cause, place);
		err_set(err, ERR_USER, 0,
			"%s%s not YAML: a value that begins with one of *&!%%@` or holds \\ needs "
			"single quotes",
			path, at);
		return;
	}
}

/* A document, null for an empty file; NULL with err. */
static json_t *read_file(const char *path, struct err *err)
{
	struct yaml y;
	AUTO_BUF text = buf_make(YAML_MAX_BYTES);
	if (fs_read(path, YAML_MAX_BYTES, &text, err) != 0)
		return NULL;
	if (text_ends(path, ".json"))
		return parse_json(path, &text, err);
	if (yaml_parse(&y, path, text.data, text.len, err) == 0) {
		json_t *doc = json_incref(y.root);
		yaml_finish(&y);
		return doc;
	}
	if (text_ends(err->msg, ": empty"))
		return json_null();
	hide_text(path, err);
	return NULL;
}

/* ---- the search ---- */

struct dirs {
	char *dir[DIRS_MAX];
	size_t n;
};

static void add_dir(struct dirs *d, char *dir /* takes */)
{
	bool known = d->n == DIRS_MAX || dir == NULL;
	for (size_t i = 0; i < d->n && !known; i++)
		known = strcmp(d->dir[i], dir) == 0;
	if (known)
		free(dir);
	else
		d->dir[d->n++] = dir;
}

static char *home_dir(void)
{
	const char *home = getenv("HOME"); // NOLINT(concurrency-mt-unsafe): nobody calls setenv
	if (home != NULL && *home != '\0')
		return xstrdup(home);
	struct passwd pw, *found = NULL;
	char text[4096];
	if (getpwuid_r(getuid(), &pw, text, sizeof text, &found) == 0 && found != NULL)
		return xstrdup(found->pw_dir);
	return xstrdup("");
}

char *clouds_expand_home(const char *path)
{
	if (path[0] != '~' || (path[1] != '\0' && path[1] != '/'))
		return xstrdup(path);
	AUTO_FREE char *home = home_dir();
	return xasprintf("%s%s", home, path + 1);
}

static const char *plain_env(const char *name, const char *standard)
{
	const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe): nobody calls setenv
	return value != NULL && *value != '\0' ? value : standard;
}

static void site_dirs(struct dirs *d)
{
	const char *list = plain_env("XDG_CONFIG_DIRS", "/etc/xdg");
	while (*list != '\0') {
		size_t len = strcspn(list, ":");
		AUTO_FREE char *dir = xstrndup(list, len);
		for (size_t end = len; end > 0 && dir[end - 1] == '/'; end--)
			dir[end - 1] = '\0';
		if (len > 0)
			add_dir(d, xasprintf("%s/openstack", dir));
		list += len + (list[len] == ':');
	}
}

static void search_dirs(struct dirs *d)
{
	*d = (struct dirs){.n = 0};
	AUTO_FREE char *home = home_dir();
	const char *config = plain_env("XDG_CONFIG_HOME", NULL);
	char *cwd = getcwd(NULL, 0);
	add_dir(d, cwd);
	if (config != NULL)
		add_dir(d, xasprintf("%s/openstack", config));
	add_dir(d, xasprintf("%s/.config/openstack", plain_env("SNAP_REAL_HOME", home)));
	site_dirs(d);
	add_dir(d, xstrdup("/etc/openstack"));
}

static void free_dirs(struct dirs *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->dir[i]);
}

char *clouds_places(void)
{
	struct dirs d;
	search_dirs(&d);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < d.n; i++)
		buf_addf(&out, "%s%s", i ? ", " : "", d.dir[i]);
	free_dirs(&d);
	return buf_take(&out);
}

/* The first file of the directory that can be read and parsed; the others are only warned about. */
static json_t *find_in(const char *dir, const char *base, bool quiet, char **path)
{
	static const char *const suffixes[] = {"yaml", "yml", "json"};
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		struct err err = ERR_INIT;
		AUTO_FREE char *file = xasprintf("%s/%s.%s", strcmp(dir, "/") == 0 ? "" : dir, base, suffixes[i]);
		if (!fs_exists(file))
			continue;
		json_t *doc = read_file(file, &err);
		if (doc != NULL) {
			*path = TAKE(file);
			return doc;
		}
		if (!quiet)
			log_warn(NULL, "%s; this file is left out", err.msg);
	}
	return NULL;
}

/* *doc is the mapping of the first file (empty when the file is), or NULL when there is none. The file that variable
 * names must be readable: with another one we might use another account. */
static int find_file(const char *base, const char *variable, bool quiet, char **path, json_t **doc, struct err *err)
{
	const char *named = variable != NULL ? clouds_env(variable) : NULL;
	*doc = NULL;
	*path = NULL;
	if (named != NULL) {
		*doc = read_file(named, err);
		if (*doc == NULL)
			return err_ctx(err, "%s", variable);
		*path = xstrdup(named);
	} else {
		struct dirs d;
		search_dirs(&d);
		for (size_t i = 0; i < d.n && *doc == NULL; i++)
			*doc = find_in(d.dir[i], base, quiet, path);
		free_dirs(&d);
	}
	if (*doc == NULL || json_is_object(*doc))
		return 0;
	if (json_is_null(*doc)) {
		*doc = json_object();
		return 0;
	}
	json_decref(TAKE(*doc));
	err_set(err, ERR_USER, 0, "%s: not a mapping; it must begin with \"clouds:\"", *path);
	free(TAKE(*path));
	return -1;
}

/* ---- both files together ---- */

json_t *clouds_normalize(const json_t *value)
{
	const char *key;
	size_t i;
	json_t *child;
	if (json_is_array(value)) {
		json_t *out = json_array();
		json_array_foreach (value, i, child) {
			json_array_append_new(out, clouds_normalize(child));
		}
		return out;
	}
	if (!json_is_object(value))
		return json_deep_copy(value);
	json_t *out = json_object();
	json_object_foreach ((json_t *)(uintptr_t)value, key, child) {
		AUTO_FREE char *name = xstrdup(key);
		for (char *p = name; *p != '\0'; p++)
			if (*p == '-')
				*p = '_';
		json_object_set_new(out, name, clouds_normalize(child));
	}
	return out;
}

/* Mappings are merged key by key, anything else of over wins. */
static void merge_deep(json_t *base, const json_t *over)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)over, key, value) {
		json_t *old = json_object_get(base, key);
		if (json_is_object(old) && json_is_object(value))
			merge_deep(old, value);
		else
			json_object_set_new(base, key, json_deep_copy(value));
	}
}

static void warn_without_clouds(const char *path, const json_t *doc, bool quiet)
{
	if (path != NULL && !quiet && json_object_size(doc) > 0 && json_object_get(doc, "clouds") == NULL)
		log_warn(NULL, "%s: has no \"clouds:\"", path);
}

int clouds_files_load(struct clouds_files *f, bool quiet, struct err *err)
{
	json_t *doc = NULL, *secure = NULL;
	AUTO_FREE char *secure_path = NULL;
	*f = (struct clouds_files){.path = NULL};
	if (find_file("clouds", "OS_CLIENT_CONFIG_FILE", quiet, &f->path, &doc, err) != 0)
		return -1;
	int rc = find_file("secure", "OS_CLIENT_SECURE_FILE", quiet, &secure_path, &secure, err);
	warn_without_clouds(f->path, doc, quiet);
	warn_without_clouds(secure_path, secure, quiet);
	if (doc == NULL)
		doc = json_object();
	if (secure != NULL)
		merge_deep(doc, secure);
	if (f->path == NULL)
		f->path = TAKE(secure_path);
	json_t *clouds = json_object_get(doc, "clouds");
	if (rc == 0 && clouds != NULL && !json_is_object(clouds) && !json_is_null(clouds))
		rc = err_set(err, ERR_USER, 0, "%s: \"clouds:\" is not a mapping of names to clouds", f->path);
	f->clouds = json_is_object(clouds) ? json_incref(clouds) : json_object();
	const json_t *client = json_object_get(doc, "client");
	f->client = json_is_object(client) ? clouds_normalize(client) : json_object();
	json_decref(doc);
	json_decref(secure);
	if (rc != 0)
		clouds_files_finish(f);
	return rc;
}

void clouds_files_finish(struct clouds_files *f)
{
	json_decref(f->clouds);
	json_decref(f->client);
	free(f->path);
	*f = (struct clouds_files){.path = NULL};
}

/* ---- profiles ---- */

static json_t *public_profile(const char *name)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = NULL;
	json_t *doc = NULL;
	if (find_file("clouds-public", NULL, false, &path, &doc, &err) != 0) {
		log_warn(NULL, "%s; this file is left out", err.msg);
		return NULL;
	}
	const json_t *found = json_object_get(json_object_get(doc, "public-clouds"), name);
	json_t *profile = json_is_object(found) ? clouds_normalize(found) : NULL;
	json_decref(doc);
	return profile;
}

/* *out is NULL when there is none. */
static int builtin_profile(const char *name, json_t **out, struct err *err)
{
	AUTO_FREE char *file = xasprintf("clouds/%s.yaml", name);
	json_t *known = template_list("clouds/"), *item;
	size_t i;
	bool found = false;
	json_array_foreach (known, i, item)
		found = found || strcmp(json_string_value(item), file) == 0;
	json_decref(known);
	*out = NULL;
	if (!found)
		return 0;
	struct yaml y;
	AUTO_BUF text = buf_make(YAML_MAX_BYTES);
	if (template_file(file, &text, err) != 0 || yaml_parse(&y, file, text.data, text.len, err) != 0)
		return err_ctx(err, "profile %s", name);
	int rc = 0;
	if (json_is_object(y.root))
		*out = clouds_normalize(y.root);
	else
		rc = yaml_err(&y, "", err, "a profile is a mapping");
	yaml_finish(&y);
	return rc;
}

static int find_profile(const char *name, json_t **out, struct err *err)
{
	*out = public_profile(name);
	return *out != NULL ? 0 : builtin_profile(name, out, err);
}

static void warn_unknown(const char *cloud, const char *name)
{
	if (strstr(name, "://") != NULL)
		log_warn(NULL, "cloud %s: profile %.200s is not fetched; write its auth_url and regions into the entry",
			 cloud, name);
	else
		log_warn(NULL, "cloud %s: there is no profile %.200s, neither in clouds-public.yaml nor built in",
			 cloud, name);
}

/* The profile that this one is based on lies below it. One level, as openstacksdk does it. */
static int add_nested(const char *cloud, json_t *profile, struct err *err)
{
	const char *name = clouds_text(profile, "profile");
	json_t *below = NULL;
	if (name == NULL)
		return 0;
	if (find_profile(name, &below, err) != 0)
		return -1;
	if (below == NULL)
		warn_unknown(cloud, name);
	json_object_del(profile, "profile");
	json_object_del(below, "profile");
	const char *key;
	json_t *value;
	json_object_foreach (below, key, value) {
		if (json_is_object(value) && json_is_object(json_object_get(profile, key)))
			json_object_update_missing(json_object_get(profile, key), value);
		else if (json_object_get(profile, key) == NULL)
			json_object_set(profile, key, value);
	}
	json_decref(below);
	return 0;
}

int clouds_profile(const char *cloud, const char *name, json_t **out, struct err *err)
{
	if (find_profile(name, out, err) != 0)
		return -1;
	if (*out == NULL) {
		warn_unknown(cloud, name);
		return 0;
	}
	int rc = add_nested(cloud, *out, err);
	const char *status = clouds_text(*out, "status"), *message = clouds_text(*out, "message");
	if (rc == 0 && status != NULL && strcmp(status, "deprecated") == 0)
		log_warn(NULL, "cloud %s: profile %s is deprecated%s%s", cloud, name, message ? ": " : "",
			 message ? message : "");
	if (rc == 0 && status != NULL && strcmp(status, "shutdown") == 0)
		rc = err_set(err, ERR_USER, 0, "profile %s: this cloud no longer exists%s%.300s", name,
			     message ? ": " : "", message ? message : "");
	json_object_del(*out, "status");
	json_object_del(*out, "message");
	if (rc != 0)
		json_decref(TAKE(*out));
	return rc;
}
