/* SPDX-License-Identifier: MIT */
/* Which cloud, and what to ask of it. How it works: clouds_files.c and clouds_env.c give the entries, clouds_merge.c
 * makes one of them whole, clouds_auth.c looks at its credentials. */
#include "cloud/clouds.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cloud/clouds_int.h"

struct sources {
	struct clouds_files files;
	json_t *env;      /* the entry of OS_*, or NULL */
	const char *name; /* what that one is called */
};

static void sources_finish(struct sources *s)
{
	clouds_files_finish(&s->files);
	json_decref(s->env);
}

static int sources_load(struct sources *s, bool quiet, struct err *err)
{
	*s = (struct sources){.name = clouds_env("OS_CLOUD_NAME")};
	if (s->name == NULL)
		s->name = "envvars";
	if (clouds_files_load(&s->files, quiet, err) != 0)
		return -1;
	if (json_object_get(s->files.clouds, s->name) != NULL) {
		err_set(err, ERR_USER, 0,
			"%s: a cloud is named %s, as the one that OS_* variables make; rename it, or set OS_CLOUD_NAME",
			s->files.path, s->name);
		sources_finish(s);
		return -1;
	}
	s->env = clouds_env_entry();
	return 0;
}

/* ---- names ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys, sorted, with a NULL at the end; they live as long as the object. */
static const char **sorted_keys(const json_t *object, size_t *n)
{
	const char *key;
	json_t *value;
	const char **keys = xcalloc(json_object_size(object) + 1, sizeof *keys);
	*n = 0;
	json_object_foreach ((json_t *)(uintptr_t)object, key, value)
		keys[(*n)++] = key;
	if (*n > 0)
		qsort(keys, *n, sizeof *keys, by_text);
	return keys;
}

void clouds_list(struct buf *out, const json_t *object)
{
	size_t n;
	AUTO_FREE const char **keys = sorted_keys(object, &n);
	for (size_t i = 0; i < n && i < CLOUDS_LIST_MAX; i++)
		buf_addf(out, "%s%.80s", i ? ", " : "", keys[i]);
	if (n > CLOUDS_LIST_MAX)
		buf_addf(out, " and %zu more", n - CLOUDS_LIST_MAX);
}

json_t *clouds_names(void)
{
	struct sources s;
	struct err err = ERR_INIT;
	json_t *out = json_array();
	if (sources_load(&s, true, &err) != 0) {
		log_debug(NULL, "%s", err.msg);
		return out;
	}
	if (s.env != NULL)
		json_object_set(s.files.clouds, s.name, s.env);
	size_t n;
	AUTO_FREE const char **keys = sorted_keys(s.files.clouds, &n);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(out, json_string(keys[i]));
	sources_finish(&s);
	return out;
}

/* ---- which cloud ---- */

static int unknown(const struct sources *s, const char *name, struct err *err)
{
	size_t n;
	if (strcmp(name, s->name) == 0)
		return err_set(err, ERR_USER, 0, "cloud %s: it is made of OS_* variables, and none is set", name);
	if (s->files.path == NULL) {
		AUTO_FREE char *places = clouds_places();
		return err_set(err, ERR_USER, 0, "cloud %.80s: there is no clouds.yaml in %.500s", name, places);
	}
	AUTO_FREE const char **words = sorted_keys(s->files.clouds, &n);
	const char *near = text_nearest(name, words);
	AUTO_BUF known = buf_make(BUF_TEXT_MAX);
	clouds_list(&known, s->files.clouds);
	return err_set(err, ERR_USER, 0, "cloud %.80s: not in %.200s%s%.80s%s, which has %.500s", name, s->files.path,
		       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "", n ? known.data : "no clouds");
}

static int nothing_chosen(const struct sources *s, struct err *err)
{
	if (json_object_size(s->files.clouds) > 0) {
		AUTO_BUF known = buf_make(BUF_TEXT_MAX);
		clouds_list(&known, s->files.clouds);
		return err_set(err, ERR_USER, 0, "%.200s has several clouds (%.500s); name one, or set OS_CLOUD",
			       s->files.path, known.data);
	}
	if (s->files.path != NULL)
		return err_set(err, ERR_USER, 0, "%.200s has no clouds, and no OS_* variables are set", s->files.path);
	AUTO_FREE char *places = clouds_places();
	return err_set(err, ERR_USER, 0,
		       "no OpenStack account: there is no clouds.yaml in %.500s, and no OS_* variables are set",
		       places);
}

/* Sets *name and *entry: an own, known name; OS_CLOUD; OS_*; the only one. */
static int choose(const struct sources *s, const char **name, const json_t **entry, struct err *err)
{
	if (*name == NULL && clouds_env("OS_CLOUD") != NULL) {
		*name = clouds_env("OS_CLOUD");
		if (strcmp(*name, s->name) != 0 && clouds_env("OS_AUTH_URL") != NULL)
			log_warn(NULL,
				 "OS_CLOUD and OS_AUTH_URL are both set: cloud %s is used, with its own credentials",
				 *name);
	} else if (*name == NULL && s->env != NULL) {
		*name = s->name;
	} else if (*name == NULL && json_object_size(s->files.clouds) == 1) {
		*name = json_object_iter_key(json_object_iter(s->files.clouds));
	}
	if (*name == NULL)
		return nothing_chosen(s, err);
	*entry = strcmp(*name, s->name) == 0 ? s->env : json_object_get(s->files.clouds, *name);
	if (*entry == NULL)
		return unknown(s, *name, err);
	if (!json_is_object(*entry) && !json_is_null(*entry))
		return err_set(err, ERR_USER, 0, "%s: cloud %.80s is not a mapping", s->files.path, *name);
	return 0;
}

/* Its own setting, else the client: section's, which variables overrule. */
static bool wants_ipv4(const struct cloud_config *c, const json_t *client)
{
	const char *only = clouds_env("OS_FORCE_IPV4"), *prefer6 = clouds_env("OS_PREFER_IPV6");
	const json_t *file = json_object_get(client, "force_ipv4");
	if (file == NULL)
		file = json_object_get(client, "broken_ipv6");
	bool ipv4 = only != NULL ? strcasecmp(only, "true") == 0 : clouds_flag(file, false, false);
	bool ipv6 = prefer6 != NULL ? strcasecmp(prefer6, "true") == 0
				    : clouds_flag(json_object_get(client, "prefer_ipv6"), false, true);
	ipv4 = clouds_flag(json_object_get(c->values, "force_ipv4"), c->from_env, ipv4 || !ipv6);
	return ipv4 || !clouds_flag(json_object_get(c->values, "prefer_ipv6"), c->from_env, true);
}

static int load(struct cloud_config *c, const struct sources *s, const char *name, struct err *err)
{
	const json_t *entry = NULL;
	if (choose(s, &name, &entry, err) != 0)
		return -1;
	c->name = xstrdup(name);
	c->from_env = entry == s->env;
	c->source = xstrdup(c->from_env ? "the environment" : s->files.path);
	if (clouds_merge(c, entry, err) == 0) {
		c->force_ipv4 = wants_ipv4(c, s->files.client);
		if (clouds_auth(c, err) == 0)
			return 0;
	}
	if (!c->from_env)
		return err_ctx(err, "cloud %.80s of %.200s", c->name, c->source);
	if (json_object_size(s->files.clouds) == 0)
		return err_ctx(err, "the environment");
	return err_ctx(err, "the environment (OS_CLOUD would choose a cloud of %.200s)", s->files.path);
}

int clouds_load(struct cloud_config *c, const char *name, struct err *err)
{
	struct sources s;
	*c = (struct cloud_config){.name = NULL};
	if (sources_load(&s, false, err) != 0)
		return -1;
	int rc = load(c, &s, name, err);
	if (rc != 0)
		cloud_config_finish(c);
	sources_finish(&s);
	return rc;
}

void cloud_config_finish(struct cloud_config *c)
{
	free(c->name);
	free(c->source);
	free(c->region);
	free(c->interface);
	free(c->cacert);
	free(c->cert);
	free(c->key);
	json_decref(c->auth);
	json_decref(c->values);
	*c = (struct cloud_config){.name = NULL};
}

/* ---- asking ---- */

const char *cloud_config_get(const struct cloud_config *c, const char *key)
{
	return clouds_text(c->values, key);
}

bool cloud_config_flag(const struct cloud_config *c, const char *key, bool standard)
{
	return clouds_flag(json_object_get(c->values, key), c->from_env, standard);
}

/* The official type and its aliases (service-types-authority), as keys spell them. */
static const char *const *key_prefixes(const char *service)
{
	static const char *const types[][6] = {
		{"block_storage", "volumev3", "volumev2", "volume", "block_store", NULL},
		{"compute", NULL},
		{"identity", NULL},
		{"image", NULL},
		{"network", NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		for (size_t j = 0; types[i][j] != NULL; j++) {
			size_t len = strlen(types[i][j]);
			bool same = strlen(service) == len;
			for (size_t k = 0; k < len && same; k++)
				same = types[i][j][k] == (service[k] == '-' ? '_' : service[k]);
			if (same)
				return types[i];
		}
	return NULL;
}

static const char *prefixed(const struct cloud_config *c, const char *service, const char *key)
{
	const char *const *prefix = key_prefixes(service);
	const char *value = NULL;
	for (; prefix != NULL && *prefix != NULL && value == NULL; prefix++) {
		AUTO_FREE char *name = xasprintf("%s_%s", *prefix, key);
		value = clouds_text(c->values, name);
	}
	return value;
}

const char *cloud_config_service(const struct cloud_config *c, const char *service, const char *key)
{
	static const char *const general[] = {"interface", "region_name", "connect_retries", "status_code_retries"};
	const char *value = prefixed(c, service, key);
	if (strcmp(key, "endpoint_override") == 0) {
		if (value == NULL)
			value = prefixed(c, service, "endpoint");
		if (value == NULL && c->auth_type == AUTH_NONE)
			value = clouds_text(c->auth, "endpoint");
	}
	/* "latest", "auto" and the like of other tools name no version. */
	if (value != NULL && strcmp(key, "api_version") == 0 && value[strspn(value, "0123456789.")] != '\0')
		value = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(general) && value == NULL; i++)
		if (strcmp(key, general[i]) == 0)
			value = clouds_text(c->values, key);
	return value;
}
