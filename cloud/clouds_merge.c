/* SPDX-License-Identifier: MIT */
/* One entry: defaults < profile < entry < region (openstacksdk's config/loader.py: get_one()). */
#include "cloud/clouds_int.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

/* ---- values ---- */

const char *clouds_text(const json_t *values, const char *key)
{
	const char *text = json_string_value(json_object_get(values, key));
	return text != NULL && *text != '\0' ? text : NULL;
}

bool clouds_is_one_of(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

bool clouds_flag(const json_t *value, bool from_env, bool standard)
{
	/* YAML 1.1's words for booleans, as PyYAML reads them. */
	static const char *const yes[] = {"yes", "Yes", "YES", "on", "On", "ON", NULL};
	const char *text = json_string_value(value);
	if (text == NULL)
		return standard;
	return strcasecmp(text, "true") == 0 || (!from_env && clouds_is_one_of(text, yes));
}

/* TLS checks end only by a word that says so: openstacksdk takes any other text for a path. */
static bool says_no(const char *text, bool from_env)
{
	static const char *const no[] = {"no", "No", "NO", "off", "Off", "OFF", NULL};
	return strcasecmp(text, "false") == 0 || (!from_env && clouds_is_one_of(text, no));
}

static json_t *defaults(void)
{
	static const char *const pairs[][2] = {
		{"interface", "public"},
		{"floating_ip_source", "neutron"},
		{"image_api_use_tasks", "false"},
		{"image_format", "qcow2"},
		{"image_status_code_retries", "5"},
		{"baremetal_status_code_retries", "5"},
		{"baremetal_introspection_status_code_retries", "5"},
		{"message", ""},
		{"network_api_version", "2"},
		{"object_store_api_version", "1"},
		{"secgroup_source", "neutron"},
		{"status", "active"},
	};
	json_t *out = json_object();
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		json_object_set_new(out, pairs[i][0], json_string(pairs[i][1]));
	json_object_set_new(out, "auth", json_object());
	return out;
}

/* Keys of over win; those of auth one by one. */
static void update(json_t *values, const json_t *over, bool keep_null)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)over, key, value) {
		if (strcmp(key, "auth") != 0) {
			if (keep_null || !json_is_null(value))
				json_object_set_new(values, key, json_deep_copy(value));
		} else if (json_is_object(value)) {
			json_object_update(json_object_get(values, "auth"), value);
		}
	}
}

/* ---- region ---- */

static void add_region(json_t *list, const char *name, size_t len)
{
	if (len > 0)
		json_array_append_new(list, json_pack("{s:s%}", "name", name, len));
}

/* "A" or, as it was once written, "A,B". */
static void split_regions(json_t *list, const char *text)
{
	for (;;) {
		size_t len = strcspn(text, ",");
		add_region(list, text, len);
		if (text[len] == '\0')
			return;
		text += len + 1;
	}
}

static int expand_region(json_t *list, json_t *region, struct err *err)
{
	const char *key;
	json_t *value;
	if (json_is_string(region)) {
		add_region(list, json_string_value(region), json_string_length(region));
		return 0;
	}
	bool good = clouds_text(region, "name") != NULL;
	json_object_foreach (region, key, value)
		good = good && (strcmp(key, "name") == 0 || (strcmp(key, "values") == 0 && json_is_object(value)));
	if (!good)
		return err_set(err, ERR_USER, 0,
			       "regions: an item is a name, or has a name and values and nothing else");
	json_array_append(list, region);
	return 0;
}

static int expand_regions(json_t *list, const json_t *regions, struct err *err)
{
	size_t i;
	json_t *region;
	if (!json_is_array(regions) && !json_is_null(regions))
		return err_set(err, ERR_USER, 0, "regions: not a list");
	json_array_foreach (regions, i, region)
		if (expand_region(list, region, err) != 0)
			return -1;
	return 0;
}

/* [{"name": …, "values": …}]: the entry's own regions, else its region, else the profile's. */
static int known_regions(const json_t *entry, const json_t *profile, json_t *list, struct err *err)
{
	const json_t *regions = json_object_get(entry, "regions");
	const json_t *region = json_object_get(entry, "region_name");
	if (regions != NULL)
		return expand_regions(list, regions, err);
	if (json_is_array(region))
		return expand_regions(list, region, err);
	if (json_is_string(region)) {
		split_regions(list, json_string_value(region));
		return 0;
	}
	regions = json_object_get(profile, "regions");
	if (json_array_size(regions) > 0)
		return expand_regions(list, regions, err);
	const char *name = clouds_text(profile, "region_name");
	if (name != NULL)
		add_region(list, name, strlen(name));
	return 0;
}

static int unknown_region(const char *name, const json_t *list, struct err *err)
{
	AUTO_BUF known = buf_make(BUF_TEXT_MAX);
	size_t n = json_array_size(list);
	AUTO_FREE const char **words = xcalloc(n + 1, sizeof *words);
	for (size_t i = 0; i < n; i++) {
		words[i] = clouds_text(json_array_get(list, i), "name");
		if (i < CLOUDS_LIST_MAX)
			buf_addf(&known, "%s%s", i ? ", " : "", words[i]);
	}
	const char *near = text_nearest(name, words);
	return err_set(err, ERR_USER, 0,
		       "region %.80s is none of its regions (%.400s%s); names are case sensitive%s%.80s%s", name,
		       known.data, n > CLOUDS_LIST_MAX ? " …" : "", near ? "; did you mean " : "", near ? near : "",
		       near ? "?" : "");
}

static int pick_region(struct cloud_config *c, const json_t *entry, const json_t *list, struct err *err)
{
	const char *want = c->from_env ? NULL : clouds_env("OS_REGION_NAME");
	const char *own = clouds_text(entry, "region_name");
	const json_t *region = json_array_get(list, 0);
	size_t i;
	json_t *item;
	if (region == NULL) {
		c->region = xstrdup(want ? want : "");
		json_object_set_new(c->values, "region_name", json_string(c->region));
		return json_object_get(c->values, "region_name")
			       ? 0
			       : err_set(err, ERR_USER, 0, "OS_REGION_NAME: not UTF-8");
	}
	json_array_foreach (list, i, item)
		if (want != NULL && strcmp(clouds_text(item, "name"), want) == 0)
			region = item;
	const char *name = clouds_text(region, "name");
	if (want != NULL && strcmp(name, want) != 0)
		return unknown_region(want, list, err);
	if (want == NULL && own != NULL && json_object_get(entry, "regions") != NULL && strcmp(own, name) != 0)
		log_warn(NULL, "cloud %s: region_name %s has no effect beside regions, whose first is taken: %s",
			 c->name, own, name);
	c->region = xstrdup(name);
	update(c->values, json_object_get(region, "values"), false);
	json_object_set_new(c->values, "region_name", json_string(name));
	return 0;
}

/* ---- TLS, time, address family ---- */

static char *path_value(const struct cloud_config *c, const char *key)
{
	const char *path = clouds_text(c->values, key);
	return path != NULL ? clouds_expand_home(path) : NULL;
}

static void set_tls(struct cloud_config *c)
{
	const char *verify = clouds_text(c->values, "verify");
	c->verify = !clouds_flag(json_object_get(c->values, "insecure"), c->from_env, false) &&
		    (verify == NULL || !says_no(verify, c->from_env));
	c->cacert = path_value(c, "cacert");
	if (c->cacert == NULL && verify != NULL && (verify[0] == '/' || verify[0] == '~'))
		c->cacert = clouds_expand_home(verify);
	if (!c->verify && c->cacert != NULL) {
		log_warn(NULL, "cloud %s: its cacert is not used, as certificates are not checked (verify, insecure)",
			 c->name);
		free(TAKE(c->cacert));
	}
	c->cert = path_value(c, "cert");
	c->key = c->cert != NULL ? path_value(c, "key") : NULL;
}

static int set_timeout(struct cloud_config *c, struct err *err)
{
	const char *text = clouds_text(c->values, "api_timeout");
	if (text == NULL || strcmp(text, "None") == 0)
		return 0;
	char *end;
	double seconds = text[strspn(text, "0123456789.")] == '\0' ? strtod(text, &end) : -1;
	if (seconds < 0 || *end != '\0' || seconds > 86400)
		return err_set(err, ERR_USER, 0, "api_timeout: not a number of seconds up to a day");
	c->timeout_ms = (int64_t)(seconds * 1000);
	return 0;
}

static int set_interface(struct cloud_config *c, struct err *err)
{
	static const char *const known[] = {"public", "internal", "admin"};
	const char *text = clouds_text(c->values, "interface");
	if (text == NULL)
		text = known[0];
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcasecmp(text, known[i]) == 0)
			c->interface = xstrdup(known[i]);
	if (c->interface == NULL)
		return err_set(err, ERR_USER, 0, "interface: not public, internal or admin");
	json_object_set_new(c->values, "interface", json_string(c->interface));
	return 0;
}

/* OS_INTERFACE wins over a named cloud's, whichever way that one is spelled. */
static void env_interface(struct cloud_config *c)
{
	const char *want = clouds_env("OS_INTERFACE");
	if (want == NULL)
		want = clouds_env("OS_ENDPOINT_TYPE");
	if (want == NULL || c->from_env)
		return;
	json_object_del(c->values, "endpoint_type");
	json_object_set_new(c->values, "interface", json_string(want));
}

/* ---- all of it ---- */

static int find_profile_of(const struct cloud_config *c, const json_t *entry, json_t **profile, struct err *err)
{
	const char *name = clouds_text(entry, "profile");
	*profile = NULL;
	if (name == NULL && !c->from_env)
		name = clouds_text(entry, "cloud");
	return name != NULL ? clouds_profile(c->name, name, profile, err) : 0;
}

int clouds_merge(struct cloud_config *c, const json_t *written, struct err *err)
{
	json_t *entry = json_is_object(written) ? clouds_normalize(written) : json_object();
	json_t *profile = NULL, *regions = json_array();
	c->values = defaults();
	int rc = find_profile_of(c, entry, &profile, err);
	update(c->values, profile, true);
	update(c->values, entry, true);
	json_object_del(c->values, "cloud");
	if (rc == 0)
		rc = known_regions(entry, profile, regions, err);
	if (rc == 0)
		rc = pick_region(c, entry, regions, err);
	json_object_del(c->values, "regions");
	json_decref(entry);
	json_decref(profile);
	json_decref(regions);
	if (rc != 0)
		return -1;
	env_interface(c);
	if (clouds_fix(c, err) != 0)
		return -1;
	set_tls(c);
	return set_timeout(c, err) != 0 ? -1 : set_interface(c, err);
}
