/* SPDX-License-Identifier: MIT */
/* Old spellings, and {region_name} in values: magic_fixes() of openstacksdk's config/loader.py, in its order, as later
 * steps see what earlier ones made. */
#include "cloud/clouds_int.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

/* What all formatted values of an entry may take together. */
#define FORMAT_MAX ((size_t)1 << 20)

/* ---- old spellings ---- */

/* boot_timeout, http_timeout …: many clients had their own. The last one wins over api_timeout. */
static void fix_timeouts(json_t *values)
{
	const char *key;
	json_t *value, *found = NULL;
	void *next;
	json_object_foreach_safe (values, next, key, value) {
		if (!text_ends(key, "timeout") || strcmp(key, "timeout") == 0 || strcmp(key, "api_timeout") == 0)
			continue;
		if (!json_is_null(value)) {
			json_decref(found);
			found = json_incref(value);
		}
		json_object_del(values, key);
	}
	if (found != NULL)
		json_object_set_new(values, "api_timeout", found);
}

/* "publicURL" → "public". */
static json_t *short_interface(json_t *value)
{
	const char *text = json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);
	size_t len = text ? strlen(text) : 0;
	if (text != NULL && text_ends(text, "URL"))
		return json_stringn(text, len - strlen("URL"));
	return text != NULL ? json_string(text) : json_incref(value);
}

/* endpoint_type and compute_endpoint_type → interface and compute_interface. */
static json_t *fix_interfaces(const json_t *values)
{
	const char *key;
	json_t *value;
	json_t *out = json_object();
	json_object_foreach ((json_t *)(uintptr_t)values, key, value) {
		size_t stem = strlen(key);
		if (text_ends(key, "endpoint_type"))
			stem -= strlen("endpoint_type");
		else if (text_ends(key, "interface"))
			stem -= strlen("interface");
		else
			stem = 0;
		if (stem == 0 && strcmp(key, "endpoint_type") != 0 && strcmp(key, "interface") != 0) {
			json_object_set(out, key, value);
			continue;
		}
		AUTO_FREE char *name = xasprintf("%.*sinterface", (int)stem, key);
		json_object_set_new(out, name, short_interface(value));
	}
	return out;
}

/* These belong below auth:, but were also taken beside it, and from there they win. */
static void gather_auth(json_t *values, const char *target, const char *const *keys)
{
	json_t *auth = json_object_get(values, "auth");
	AUTO_FREE char *found = NULL;
	for (; *keys != NULL; keys++) {
		json_t *const places[] = {auth, values};
		for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
			const char *text = clouds_text(places[i], *keys);
			if (text != NULL) {
				free(found);
				found = xstrdup(text);
			}
			json_object_del(places[i], *keys);
		}
	}
	if (found != NULL)
		json_object_set_new(auth, target, json_string(found));
}

static void fix_auth(json_t *values)
{
	static const char *const same[] = {"domain_id",        "domain_name",       "user_domain_id",
					   "user_domain_name", "project_domain_id", "project_domain_name",
					   "passcode"};
	static const char *const token[] = {"auth_token", "token", NULL};
	static const char *const id[] = {"tenant_id", "project_id", NULL};
	static const char *const name[] = {"tenant_name", "project_name", NULL};
	/* For v2password tenant_* are the real names and win; we keep the v3 spelling all the same. */
	static const char *const old_id[] = {"project_id", "tenant_id", NULL};
	static const char *const old_name[] = {"project_name", "tenant_name", NULL};
	const char *type = clouds_text(values, "auth_type");
	bool old = type != NULL && strcmp(type, "v2password") == 0;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		gather_auth(values, same[i], (const char *const[]){same[i], NULL});
	gather_auth(values, "token", token);
	gather_auth(values, "project_id", old ? old_id : id);
	gather_auth(values, "project_name", old ? old_name : name);
}

/* With a project in scope, domain_* is short for the domains of user and project. */
static void fix_domain(json_t *auth)
{
	static const char *const keys[][3] = {{"domain_id", "user_domain_id", "project_domain_id"},
					      {"domain_name", "user_domain_name", "project_domain_name"}};
	if (clouds_text(auth, "project_id") == NULL && clouds_text(auth, "project_name") == NULL)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		json_t *domain = json_object_get(auth, keys[i][0]);
		for (size_t j = 1; j < 3 && domain != NULL; j++)
			if (clouds_text(auth, keys[i][j]) == NULL)
				json_object_set(auth, keys[i][j], domain);
		json_object_del(auth, keys[i][0]);
	}
}

/* The rest of what a login needs: from beside auth: only when it is not below it. */
static void move_options(struct cloud_config *c)
{
	static const char *const keys[][2] = {
		{"auth_url", NULL},
		{"username", "user_name"},
		{"user_id", NULL},
		{"password", NULL},
		{"api_key", NULL},
		{"system_scope", NULL},
		{"trust_id", NULL},
		{"default_domain_id", NULL},
		{"default_domain_name", NULL},
		{"endpoint", "url"},
		{"application_credential_id", NULL},
		{"application_credential_name", NULL},
		{"application_credential_secret", NULL},
	};
	json_t *const places[] = {c->auth, c->values};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		json_t *found = NULL;
		for (size_t j = 0; j < 4; j++) {
			const char *key = keys[i][j % 2];
			if (key == NULL)
				continue;
			if (found == NULL && clouds_text(places[j / 2], key) != NULL)
				found = json_incref(json_object_get(places[j / 2], key));
			json_object_del(places[j / 2], key);
		}
		if (found != NULL)
			json_object_set_new(c->auth, keys[i][0], found);
	}
	/* gophercloud's spelling */
	const char *userid = c->from_env ? clouds_text(c->values, "userid") : NULL;
	if (userid != NULL && clouds_text(c->auth, "user_id") == NULL)
		json_object_set_new(c->auth, "user_id", json_string(userid));
}

/* ---- {region_name} ---- */

/* The value of "name", or of "auth[name]" unless it is a secret. */
static const char *field_value(const struct cloud_config *c, const char *field)
{
	static const char *const open[] = {"project_id",        "project_name",        "username",  "user_id",
					   "user_domain_id",    "user_domain_name",    "domain_id", "domain_name",
					   "project_domain_id", "project_domain_name", NULL};
	if (!text_starts(field, "auth["))
		return json_string_value(json_object_get(c->values, field));
	const char *name = field + strlen("auth[");
	size_t len = strcspn(name, "]");
	AUTO_FREE char *key = xstrndup(name, len);
	if (strcmp(name + len, "]") != 0 || !clouds_is_one_of(key, open))
		return NULL;
	return json_string_value(json_object_get(c->auth, key));
}

/* Python's str.format() as far as it is used: {name}, {{ and }}. False when it is something else. */
static bool format(const struct cloud_config *c, const char *text, struct buf *out)
{
	while (*text != '\0') {
		size_t plain = strcspn(text, "{}");
		buf_add(out, text, plain);
		text += plain;
		if (*text == '\0')
			break;
		if (text[1] == text[0]) {
			buf_addc(out, *text);
			text += 2;
			continue;
		}
		size_t len = *text == '{' ? strcspn(text + 1, "{}!:") : 0;
		if (len == 0 || text[1 + len] != '}')
			return false;
		AUTO_FREE char *field = xstrndup(text + 1, len);
		const char *value = field_value(c, field);
		if (value == NULL)
			return false;
		buf_adds(out, value);
		text += len + 2;
	}
	return !out->overflow;
}

static int format_auth_url(struct cloud_config *c, struct err *err)
{
	const char *url = clouds_text(c->auth, "auth_url");
	AUTO_BUF out = buf_make(FORMAT_MAX);
	if (url == NULL)
		return 0;
	if (!format(c, url, &out))
		return err_set(err, ERR_USER, 0,
			       "auth_url: its {…} names no value of the entry; a brace itself is written twice");
	json_object_set_new(c->auth, "auth_url", json_string(out.data));
	return 0;
}

/* Those that cannot be formatted stay: braces mean something else to other programs that use the file. */
static void format_values(struct cloud_config *c)
{
	const char *key;
	json_t *value;
	size_t total = 0;
	json_object_foreach (c->values, key, value) {
		const char *text = json_string_value(value);
		if (text == NULL || text[strcspn(text, "{}")] == '\0' || strcmp(key, "password") == 0)
			continue;
		AUTO_BUF out = buf_make(FORMAT_MAX - total);
		bool good = format(c, text, &out);
		total += out.len;
		if (good)
			json_object_set_new(c->values, key, json_string(out.data));
	}
}

/* ---- */

int clouds_fix(struct cloud_config *c, struct err *err)
{
	fix_timeouts(c->values);
	json_t *fixed = fix_interfaces(c->values);
	json_decref(c->values);
	c->values = fixed;
	c->auth = json_incref(json_object_get(fixed, "auth"));
	fix_auth(fixed);
	fix_domain(c->auth);
	if (format_auth_url(c, err) != 0)
		return -1;
	move_options(c);
	format_values(c);
	return 0;
}
