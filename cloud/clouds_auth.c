/* SPDX-License-Identifier: MIT */
/* Which kind of login an entry means, and whether it has what that needs (keystoneauth1's plugins and their options).
 */
#include "cloud/clouds_int.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

static const struct kind {
	const char *name;
	enum auth_type type;
} kinds[] = {
	{"password", AUTH_PASSWORD},
	{"v3password", AUTH_PASSWORD},
	{"token", AUTH_TOKEN},
	{"v3token", AUTH_TOKEN},
	{"v3applicationcredential", AUTH_APPCRED},
	{"v2password", AUTH_V2PASSWORD},
	{"v2token", AUTH_V2TOKEN},
	{"rackspace_apikey", AUTH_RAX_APIKEY},
	{"rackspace_password", AUTH_V2PASSWORD},
	{"none", AUTH_NONE},
	{"admin_token", AUTH_NONE},
	/* other spellings, which become the ones above */
	{"token_endpoint", AUTH_NONE},
	{"None", AUTH_NONE},
};
#define KIND_SPELLINGS 2 /* at the end */

static const char *text(const struct cloud_config *c, const char *key)
{
	return clouds_text(c->auth, key);
}

static bool has(const struct cloud_config *c, const char *key)
{
	return text(c, key) != NULL;
}

static bool has_either(const struct cloud_config *c, const char *a, const char *b)
{
	return has(c, a) || has(c, b);
}

/* ---- the kind ---- */

#define APPCRED                                                                                                        \
	"an application credential (openstack application credential create NAME; auth_type: "                         \
	"v3applicationcredential)"
#define TOKEN "a token (openstack token issue; auth_type: token)"

static int refuse(const char *name, struct err *err)
{
	static const struct {
		const char *prefix, *instead;
	} refused[] = {
		{"v3totp", "asks for a new code at every login; use " APPCRED " or " TOKEN},
		{"v3multifactor", "asks for a new code at every login; use " APPCRED " or " TOKEN},
		{"v3oidc", "logs in at another site; use " APPCRED " or " TOKEN},
		{"v3websso", "logs in with a browser; use " APPCRED " or " TOKEN},
		{"v3saml", "logs in at another site; use " APPCRED " or " TOKEN},
		{"v3adfs", "logs in at another site; use " APPCRED " or " TOKEN},
		{"v3fed", "logs in at another site; use " APPCRED " or " TOKEN},
		{"v3kerberos", "needs Kerberos; use " APPCRED " or " TOKEN},
		{"kerberos", "needs Kerberos; use " APPCRED " or " TOKEN},
		{"v3oauth", "is not supported; use " APPCRED " or " TOKEN},
		{"v3tokenlessauth", "is not supported; use " APPCRED " or " TOKEN},
		{"http_basic",
		 "is for a service without Keystone; use auth_type: none with auth: endpoint, or " APPCRED},
	};
	const char *words[ARRAY_SIZE(kinds) + 1] = {NULL};
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (text_starts(name, refused[i].prefix))
			return err_set(err, ERR_USER, 0, "auth_type %.40s %s", name, refused[i].instead);
	AUTO_BUF known = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(kinds) - KIND_SPELLINGS; i++) {
		words[i] = kinds[i].name;
		buf_addf(&known, "%s%s", i ? ", " : "", kinds[i].name);
	}
	const char *near = text_nearest(name, words);
	return err_set(err, ERR_USER, 0, "auth_type %.40s: there is none of that name%s%s%s; known: %s", name,
		       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "", known.data);
}

static bool is_appcred(const struct cloud_config *c)
{
	return has(c, "application_credential_secret") &&
	       has_either(c, "application_credential_id", "application_credential_name");
}

/* The kind that the keys show, for entries that do not name one. */
static const char *guess(const struct cloud_config *c)
{
	if (is_appcred(c))
		return "v3applicationcredential";
	if (has(c, "password"))
		return "password";
	if (has(c, "api_key"))
		return "rackspace_apikey";
	if (has(c, "token"))
		return has(c, "auth_url") ? "token" : "admin_token";
	return has(c, "endpoint") && !has(c, "auth_url") ? "none" : "password";
}

/* Only the keys that the kind uses; application credentials have their scope in them, and keystone refuses another. */
static void reduce(struct cloud_config *c, bool v2)
{
	static const char *const login[] = {"auth_url",
					    "username",
					    "user_id",
					    "password",
					    "token",
					    "api_key",
					    "endpoint",
					    "user_domain_id",
					    "user_domain_name",
					    "application_credential_id",
					    "application_credential_name",
					    "application_credential_secret"};
	static const char *const scope[] = {"project_id",          "project_name", "trust_id",
					    "domain_id",           "domain_name",  "project_domain_id",
					    "project_domain_name", "system_scope"};
	const size_t v2_scopes = 3; /* the first ones */
	size_t n = c->auth_type == AUTH_APPCRED || c->auth_type == AUTH_NONE ? 0 : v2 ? v2_scopes : ARRAY_SIZE(scope);
	json_t *out = json_object();
	for (size_t i = 0; i < ARRAY_SIZE(login); i++)
		if (has(c, login[i]) && !(v2 && text_starts(login[i], "user_domain")))
			json_object_set(out, login[i], json_object_get(c->auth, login[i]));
	for (size_t i = 0; i < n; i++)
		if (has(c, scope[i]))
			json_object_set(out, scope[i], json_object_get(c->auth, scope[i]));
	json_decref(c->auth);
	c->auth = out;
	json_object_set(c->values, "auth", out);
}

/* ---- the version ---- */

static bool url_ends(const char *url, const char *end)
{
	size_t len = url ? strlen(url) : 0;
	while (len > 0 && url[len - 1] == '/')
		len--;
	size_t n = strlen(end);
	return len >= n && strncmp(url + len - n, end, n) == 0;
}

/* Is it known to be Keystone v2.0? Its users have no domains. */
static bool is_v2(const struct cloud_config *c)
{
	const char *kind = clouds_text(c->values, "auth_type");
	const char *version = clouds_text(c->values, "identity_api_version");
	if (c->auth_type == AUTH_V2PASSWORD || c->auth_type == AUTH_V2TOKEN || c->auth_type == AUTH_RAX_APIKEY)
		return true;
	if (text_starts(kind, "v3") || url_ends(text(c, "auth_url"), "/v3"))
		return false;
	return url_ends(text(c, "auth_url"), "/v2.0") || (version != NULL && version[0] == '2');
}

static void default_domain(struct cloud_config *c, const char *who, const char *id, const char *name)
{
	char id_key[32], name_key[32];
	snprintf(id_key, sizeof id_key, "%s_domain_id", who);
	snprintf(name_key, sizeof name_key, "%s_domain_name", who);
	if (has_either(c, id_key, name_key))
		return;
	if (id != NULL)
		json_object_set_new(c->auth, id_key, json_string(id));
	else if (name != NULL)
		json_object_set_new(c->auth, name_key, json_string(name));
}

/* default_domain_id, default_domain_name, default_domain (an id); and "default" where the entry says that Keystone is
 * v3, as the `openstack` command does it. */
static void default_domains(struct cloud_config *c)
{
	const char *version = clouds_text(c->values, "identity_api_version");
	const char *name = text(c, "default_domain_name");
	const char *id = text(c, "default_domain_id");
	if (id == NULL && name == NULL)
		id = clouds_text(c->values, "default_domain");
	if (id == NULL && name == NULL && version != NULL && strcmp(version, "3") == 0 && c->auth_type == AUTH_PASSWORD)
		id = "default";
	AUTO_FREE char *id_copy = xstrdup(id);
	AUTO_FREE char *name_copy = xstrdup(name);
	if (has(c, "username"))
		default_domain(c, "user", id_copy, name_copy);
	if (has(c, "project_name"))
		default_domain(c, "project", id_copy, name_copy);
}

/* ---- what is missing ---- */

static int missing(const struct cloud_config *c, const char *key, const char *rest, struct err *err)
{
	char upper[64];
	size_t n = 0;
	if (!c->from_env)
		return err_set(err, ERR_USER, 0, "auth: %s is missing%s", key, rest);
	for (; key[n] != '\0' && n + 1 < sizeof upper; n++)
		upper[n] = (char)toupper((unsigned char)key[n]);
	upper[n] = '\0';
	return err_set(err, ERR_USER, 0, "OS_%s is not set%s", upper, rest);
}

static int need(const struct cloud_config *c, const char *key, struct err *err)
{
	char rest[64];
	snprintf(rest, sizeof rest, "; auth_type %.30s needs it", clouds_text(c->values, "auth_type"));
	return has(c, key) ? 0 : missing(c, key, rest, err);
}

/* An address that requests can go to and logs can show. */
static int check_url(const struct cloud_config *c, const char *key, struct err *err)
{
	const char *url = text(c, key);
	const char *profile = clouds_text(c->values, "profile");
	if (url == NULL && profile != NULL && strcmp(key, "auth_url") == 0)
		return missing(c, key, "; the profile gives none", err);
	if (url == NULL)
		return need(c, key, err);
	const char *host = strncasecmp(url, "https://", 8) == 0  ? url + 8
			   : strncasecmp(url, "http://", 7) == 0 ? url + 7
								 : "";
	if (*host == '\0' || strchr("/?#:", *host) != NULL)
		return err_set(err, ERR_USER, 0, "auth: %s is not a http:// or https:// URL", key);
	if (memchr(host, '@', strcspn(host, "/?#")) != NULL)
		return err_set(err, ERR_USER, 0, "auth: %s holds a user name; write username and password apart", key);
	for (const unsigned char *p = (const unsigned char *)url; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return err_set(err, ERR_USER, 0, "auth: %s holds a character that no URL has", key);
	return 0;
}

/* It travels in a header. */
static int check_token(const struct cloud_config *c, struct err *err)
{
	if (need(c, "token", err) != 0)
		return -1;
	for (const unsigned char *p = (const unsigned char *)text(c, "token"); *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return err_set(err, ERR_USER, 0, "auth: token holds a character that no token has");
	return 0;
}

static int check_user(const struct cloud_config *c, bool v2, struct err *err)
{
	if (!has_either(c, "username", "user_id"))
		return need(c, "username", err);
	if (v2 || has(c, "user_id") || has_either(c, "user_domain_name", "user_domain_id"))
		return 0;
	return missing(c, "user_domain_name", "; it is required with username on Keystone v3 (often: Default)", err);
}

/* At most one scope, and a domain with a project's name. */
static int check_scope(const struct cloud_config *c, struct err *err)
{
	int scopes = has_either(c, "project_id", "project_name") + has_either(c, "domain_id", "domain_name") +
		     has(c, "system_scope") + has(c, "trust_id");
	if (scopes > 1)
		return err_set(err, ERR_USER, 0,
			       "auth: more than one of project, domain, system_scope and trust_id; a login has "
			       "one scope");
	if (!has(c, "project_name") || has(c, "project_id") ||
	    has_either(c, "project_domain_name", "project_domain_id"))
		return 0;
	return missing(c, "project_domain_name", "; it is required with project_name on Keystone v3 (often: Default)",
		       err);
}

static int check_appcred(const struct cloud_config *c, struct err *err)
{
	if (url_ends(text(c, "auth_url"), "/v2.0"))
		return err_set(err, ERR_USER, 0,
			       "auth: application credentials need Keystone v3; auth_url must end in /v3");
	if (need(c, "application_credential_secret", err) != 0)
		return -1;
	if (has(c, "application_credential_id"))
		return 0;
	if (!has(c, "application_credential_name"))
		return need(c, "application_credential_id", err);
	return check_user(c, false, err);
}

static int check_none(const struct cloud_config *c, struct err *err)
{
	if (!has(c, "endpoint") && cloud_config_service(c, "compute", "endpoint_override") != NULL)
		return has(c, "token") ? check_token(c, err) : 0;
	if (check_url(c, "endpoint", err) != 0)
		return -1;
	bool token = has(c, "token") || strcmp(clouds_text(c->values, "auth_type"), "admin_token") == 0;
	return token ? check_token(c, err) : 0;
}

static int check(const struct cloud_config *c, bool v2, struct err *err)
{
	if (c->auth_type == AUTH_NONE)
		return check_none(c, err);
	if (check_url(c, "auth_url", err) != 0)
		return -1;
	if (c->auth_type == AUTH_APPCRED)
		return check_appcred(c, err);
	if (c->auth_type == AUTH_TOKEN || c->auth_type == AUTH_V2TOKEN) {
		if (check_token(c, err) != 0)
			return -1;
	} else if (check_user(c, v2, err) != 0 ||
		   need(c, c->auth_type == AUTH_RAX_APIKEY ? "api_key" : "password", err) != 0) {
		return -1;
	}
	return v2 ? 0 : check_scope(c, err);
}

/* ---- */

static int set_kind(struct cloud_config *c, struct err *err)
{
	const char *name = clouds_text(c->values, "auth_type");
	if (name == NULL)
		name = clouds_text(c->values, "auth_plugin");
	bool password = name != NULL && (strcmp(name, "password") == 0 || strcmp(name, "v3password") == 0);
	if (name == NULL || (password && !has(c, "password") && is_appcred(c)))
		name = guess(c);
	size_t i = 0;
	while (i < ARRAY_SIZE(kinds) && strcmp(kinds[i].name, name) != 0)
		i++;
	if (i == ARRAY_SIZE(kinds))
		return refuse(name, err);
	c->auth_type = kinds[i].type;
	if (i >= ARRAY_SIZE(kinds) - KIND_SPELLINGS)
		name = strcmp(name, "None") == 0 ? "none" : "admin_token";
	else
		name = kinds[i].name;
	json_object_set_new(c->values, "auth_type", json_string(name));
	json_object_del(c->values, "auth_plugin");
	return 0;
}

int clouds_auth(struct cloud_config *c, struct err *err)
{
	if (set_kind(c, err) != 0)
		return -1;
	bool v2 = is_v2(c);
	if (!v2)
		default_domains(c);
	reduce(c, v2);
	return check(c, v2, err);
}
