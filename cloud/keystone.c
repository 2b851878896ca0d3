/* SPDX-License-Identifier: MIT */
#include "cloud/keystone.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

int keystone_version_of(enum auth_type type)
{
	static const int versions[] = {
		[AUTH_PASSWORD] = 0, [AUTH_TOKEN] = 0,      [AUTH_APPCRED] = 3, [AUTH_V2PASSWORD] = 2,
		[AUTH_V2TOKEN] = 2,  [AUTH_RAX_APIKEY] = 2, [AUTH_NONE] = 0,
	};
	static_assert(ARRAY_SIZE(versions) == AUTH_TYPE_COUNT_, "a version for each type");
	assert(type < AUTH_TYPE_COUNT_);
	return versions[type];
}

/* ---- what is sent ---- */

static const char *value(const json_t *auth, const char *key)
{
	const char *s = json_string_value(json_object_get(auth, key));
	return s && *s ? s : NULL;
}

static int missing(const char *what, struct err *err)
{
	return err_set(err, ERR_USER, 0, "auth: %s", what);
}

/* {"id": …} or {"name": …} of KIND_domain_id/name, else of the default domain; NULL when none is given. */
static json_t *domain(const json_t *auth, const char *id_key, const char *name_key)
{
	const char *id = value(auth, id_key), *name = value(auth, name_key);
	if (!id && !name) {
		id = value(auth, "default_domain_id");
		name = value(auth, "default_domain_name");
	}
	if (id)
		return json_pack("{s:s}", "id", id);
	return name ? json_pack("{s:s}", "name", name) : NULL;
}

static json_t *user_domain(const json_t *auth)
{
	json_t *found = domain(auth, "user_domain_id", "user_domain_name");
	return found ? found : domain(auth, "domain_id", "domain_name");
}

/* {"id"} or {"name", "domain"} of the user; NULL with err. */
static json_t *v3_user(const json_t *auth, struct err *err)
{
	const char *id = value(auth, "user_id"), *name = value(auth, "username");
	if (id)
		return json_pack("{s:s}", "id", id);
	if (!name) {
		missing("username or user_id is required", err);
		return NULL;
	}
	json_t *where = user_domain(auth);
	if (!where) {
		missing("user_domain_name (often \"Default\") or user_domain_id is required with username on Keystone "
			"v3",
			err);
		return NULL;
	}
	return json_pack("{s:s, s:o}", "name", name, "domain", where);
}

/* What the token is for. *scope stays NULL for an unscoped one. */
static int v3_scope(const json_t *auth, json_t **scope, struct err *err)
{
	const char *trust = value(auth, "trust_id"), *id = value(auth, "project_id"),
		   *name = value(auth, "project_name");
	*scope = NULL;
	if (trust) {
		*scope = json_pack("{s:{s:s}}", "OS-TRUST:trust", "id", trust);
	} else if (id) {
		*scope = json_pack("{s:{s:s}}", "project", "id", id);
	} else if (name) {
		json_t *where = domain(auth, "project_domain_id", "project_domain_name");
		if (!where)
			where = user_domain(auth); /* the usual case; keystone refuses a name without a domain */
		if (!where)
			return missing("project_domain_name (often \"Default\") or project_domain_id is required with "
				       "project_name on Keystone v3",
				       err);
		*scope = json_pack("{s:{s:s, s:o}}", "project", "name", name, "domain", where);
	} else if (value(auth, "domain_id") || value(auth, "domain_name")) {
		*scope = json_pack("{s:o}", "domain", domain(auth, "domain_id", "domain_name"));
	} else if (value(auth, "system_scope")) {
		*scope = json_pack("{s:{s:b}}", "system", "all", 1);
	}
	return 0;
}

static json_t *v3_wrap(json_t *identity /* takes */, json_t *scope /* takes */)
{
	json_t *inner = json_pack("{s:o, s:o*}", "identity", identity, "scope", scope);
	return json_pack("{s:o}", "auth", inner);
}

static json_t *v3_password(const json_t *auth, struct err *err)
{
	const char *password = value(auth, "password");
	json_t *scope = NULL;
	if (!password) {
		missing("password is required", err);
		return NULL;
	}
	json_t *user = v3_user(auth, err);
	if (!user || v3_scope(auth, &scope, err) < 0) {
		json_decref(user);
		return NULL;
	}
	json_object_set_new(user, "password", json_string(password));
	return v3_wrap(json_pack("{s:[s], s:{s:o}}", "methods", "password", "password", "user", user), scope);
}

static json_t *v3_token(const json_t *auth, struct err *err)
{
	const char *token = value(auth, "token");
	json_t *scope = NULL;
	if (!token) {
		missing("token is required", err);
		return NULL;
	}
	if (v3_scope(auth, &scope, err) < 0)
		return NULL;
	return v3_wrap(json_pack("{s:[s], s:{s:s}}", "methods", "token", "token", "id", token), scope);
}

/* Never with a scope: keystone refuses "Application credentials cannot request a scope". */
static json_t *v3_appcred(const json_t *auth, struct err *err)
{
	const char *id = value(auth, "application_credential_id"), *name = value(auth, "application_credential_name");
	const char *secret = value(auth, "application_credential_secret");
	if (!secret || (!id && !name)) {
		missing("application_credential_id and application_credential_secret are required", err);
		return NULL;
	}
	json_t *credential = NULL;
	if (id) {
		credential = json_pack("{s:s, s:s}", "id", id, "secret", secret);
	} else {
		json_t *user = v3_user(auth, err);
		if (!user) {
			err_ctx(err, "application_credential_name");
			return NULL;
		}
		credential = json_pack("{s:s, s:s, s:o}", "name", name, "secret", secret, "user", user);
	}
	return v3_wrap(
		json_pack("{s:[s], s:o}", "methods", "application_credential", "application_credential", credential),
		NULL);
}

/* {"auth": {KIND: credentials, "tenantId" or "tenantName": …}}: never both, that is a 400. */
static json_t *v2_wrap(const json_t *auth, const char *kind, json_t *credentials /* takes */)
{
	const char *id = value(auth, "project_id"), *name = value(auth, "project_name");
	json_t *inner = json_pack("{s:o}", kind, credentials);
	if (id)
		json_object_set_new(inner, "tenantId", json_string(id));
	else if (name)
		json_object_set_new(inner, "tenantName", json_string(name));
	return json_pack("{s:o}", "auth", inner);
}

static json_t *v2_password(const json_t *auth, struct err *err)
{
	const char *id = value(auth, "user_id"), *name = value(auth, "username"), *password = value(auth, "password");
	if ((!id && !name) || !password) {
		missing("username and password are required", err);
		return NULL;
	}
	return v2_wrap(auth, "passwordCredentials",
		       json_pack("{s:s, s:s}", name ? "username" : "userId", name ? name : id, "password", password));
}

static json_t *v2_token(const json_t *auth, struct err *err)
{
	const char *token = value(auth, "token");
	if (!token) {
		missing("token is required", err);
		return NULL;
	}
	return v2_wrap(auth, "token", json_pack("{s:s}", "id", token));
}

static json_t *v2_api_key(const json_t *auth, struct err *err)
{
	const char *name = value(auth, "username"), *key = value(auth, "api_key");
	if (!name || !key) {
		missing("username and api_key are required", err);
		return NULL;
	}
	return v2_wrap(auth, "RAX-KSKEY:apiKeyCredentials", json_pack("{s:s, s:s}", "username", name, "apiKey", key));
}

json_t *keystone_request(enum auth_type type, const json_t *auth, int version, struct err *err)
{
	json_t *body = NULL;
	switch (type) {
	case AUTH_PASSWORD:
		body = version == 2 ? v2_password(auth, err) : v3_password(auth, err);
		break;
	case AUTH_TOKEN:
		body = version == 2 ? v2_token(auth, err) : v3_token(auth, err);
		break;
	case AUTH_APPCRED:
		body = v3_appcred(auth, err);
		break;
	case AUTH_V2PASSWORD:
		body = v2_password(auth, err);
		break;
	case AUTH_V2TOKEN:
		body = v2_token(auth, err);
		break;
	case AUTH_RAX_APIKEY:
		body = v2_api_key(auth, err);
		break;
	case AUTH_NONE:
	case AUTH_TYPE_COUNT_:
		err_set(err, ERR_BUG, 0, "no keystone for this auth type");
		return NULL;
	}
	if (!body && err->reach == ERR_NONE) /* json_pack refuses what is not UTF-8 */
		err_set(err, ERR_USER, 0, "auth: a value is not UTF-8 text");
	return body;
}

void keystone_secrets(const json_t *auth, struct secrets *s)
{
	static const char *const keys[] = {"password", "token", "api_key", "application_credential_secret", "passcode"};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		secrets_add(s, value(auth, keys[i]));
}

/* ---- time ---- */

/* Exactly n digits; -1 when there are not. */
static int digits(const char **p, int n)
{
	int v = 0;
	for (int i = 0; i < n; i++, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return -1;
		v = v * 10 + (**p - '0');
	}
	return v;
}

/* Days since 1970-01-01 in the Gregorian calendar (H. Hinnant's days_from_civil). */
static int64_t days_of(int y, int m, int d)
{
	y -= m <= 2;
	int era = y / 400, of_era = y - era * 400;
	int day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	int day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
	return (int64_t)era * 146097 + day_of_era - 719468;
}

/* "Z", "+05:30", "-0500" or nothing: seconds east of UTC; false when it is none of these. */
static bool parse_zone(const char *p, int64_t *east)
{
	*east = 0;
	if (*p == '\0' || strcmp(p, "Z") == 0)
		return true;
	int sign = *p == '-' ? -1 : 1;
	if (*p != '+' && *p != '-')
		return false;
	p++;
	int h = digits(&p, 2);
	if (*p == ':')
		p++;
	int m = h < 0 ? -1 : digits(&p, 2);
	*east = sign * (h * 3600L + m * 60L);
	return h >= 0 && h < 24 && m >= 0 && m < 60 && *p == '\0';
}

int64_t keystone_time(const char *text)
{
	static const char marks[] = "--T::";
	static const int widths[] = {4, 2, 2, 2, 2, 2}, low[] = {1970, 1, 1, 0, 0, 0},
			 high[] = {9999, 12, 31, 23, 59, 60};
	int f[6];
	const char *p = text;
	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		f[i] = digits(&p, widths[i]);
		if (f[i] < low[i] || f[i] > high[i])
			return -1;
		if (i < sizeof(marks) - 1 && *p++ != marks[i])
			return -1;
	}
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p); p++)
			;
	int64_t east;
	if (!parse_zone(p, &east))
		return -1;
	return days_of(f[0], f[1], f[2]) * 86400 + f[3] * 3600L + f[4] * 60L + f[5] - east;
}

/* ---- what comes back ---- */

void token_finish(struct token *t)
{
	if (t->id)
		explicit_bzero(t->id, strlen(t->id));
	free(t->id);
	free(t->project_id);
	free(t->user_name);
	catalog_finish(&t->catalog);
	*t = (struct token){0};
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? s : "";
}

/* A token goes into a header: printable, without blanks. */
static bool is_token(const char *id)
{
	size_t n = 0;
	for (; id[n]; n++)
		if (n >= TOKEN_MAX || id[n] <= ' ' || id[n] >= 0x7F)
			return false;
	return n > 0;
}

/* An id goes into URLs, headers and our ledger. */
static bool is_id(const char *id)
{
	return strlen(id) <= 255 && id[strcspn(id, " \t\r\n/?#%\"\\")] == '\0' && is_token(id);
}

static int64_t time_or_0(const char *text)
{
	int64_t t = keystone_time(text);
	return t < 0 ? 0 : t;
}

static int put_token(struct token *out, const char *id, const char *project, const char *user, struct err *err)
{
	if (!is_token(id))
		return err_set(err, ERR_CLOUD, 0, "no token in the answer (is a proxy dropping X-Subject-Token?)");
	if (!*project)
		return err_set(err, ERR_USER, 0,
			       "logged in, but no project in scope: set project_name (and project_domain_name), or "
			       "project_id");
	if (!is_id(project))
		return err_set(err, ERR_CLOUD, 0, "the token's project id is none");
	out->id = xstrdup(id);
	out->project_id = xstrdup(project);
	out->user_name = xstrdup(user);
	return 0;
}

static void add_v3_service(struct catalog *c, const json_t *service)
{
	size_t i;
	json_t *e;
	json_array_foreach (json_object_get(service, "endpoints"), i, e) {
		const char *region = text_of(e, "region_id");
		catalog_add(c, text_of(service, "type"), text_of(service, "name"), text_of(e, "interface"),
			    *region ? region : text_of(e, "region"), text_of(e, "url"));
	}
}

static int read_v3(struct token *out, const json_t *root, const char *subject, struct err *err)
{
	const json_t *t = json_object_get(root, "token");
	if (!json_is_object(t))
		return err_set(err, ERR_CLOUD, 0, "the answer is not keystone's: no \"token\" in it");
	if (put_token(out, subject, text_of(json_object_get(t, "project"), "id"),
		      text_of(json_object_get(t, "user"), "name"), err) < 0)
		return -1;
	out->expires = time_or_0(text_of(t, "expires_at"));
	out->issued = time_or_0(text_of(t, "issued_at"));
	size_t i;
	json_t *service;
	json_array_foreach (json_object_get(t, "catalog"), i, service) {
		add_v3_service(&out->catalog, service);
	}
	return 0;
}

static void add_v2_service(struct catalog *c, const json_t *service)
{
	static const char *const faces[] = {"publicURL", "internalURL", "adminURL"};
	size_t i;
	json_t *e;
	json_array_foreach (json_object_get(service, "endpoints"), i, e) {
		for (size_t k = 0; k < ARRAY_SIZE(faces); k++)
			catalog_add(c, text_of(service, "type"), text_of(service, "name"), faces[k],
				    text_of(e, "region"), text_of(e, faces[k]));
	}
}

static int read_v2(struct token *out, const json_t *root, struct err *err)
{
	const json_t *access = json_object_get(root, "access");
	const json_t *t = json_object_get(access, "token");
	if (!json_is_object(t))
		return err_set(err, ERR_CLOUD, 0, "the answer is not keystone's: no \"access\" in it");
	const json_t *user = json_object_get(access, "user");
	const char *name = text_of(user, "username");
	if (put_token(out, text_of(t, "id"), text_of(json_object_get(t, "tenant"), "id"),
		      *name ? name : text_of(user, "name"), err) < 0)
		return -1;
	out->expires = time_or_0(text_of(t, "expires"));
	out->issued = time_or_0(text_of(t, "issued_at"));
	size_t i;
	json_t *service;
	json_array_foreach (json_object_get(access, "serviceCatalog"), i, service) {
		add_v2_service(&out->catalog, service);
	}
	return 0;
}

static json_t *load(const char *body, size_t n, struct err *err)
{
	json_t *root = json_loadb(body, n, JSON_ALLOW_NUL, NULL);
	if (!root)
		err_set(err, ERR_CLOUD, 0, "the answer is not JSON (is auth_url keystone's?)");
	return root;
}

int keystone_parse_v3(struct token *out, const char *body, size_t n, const char *subject, struct err *err)
{
	token_finish(out);
	json_t *root = load(body, n, err);
	int rc = root ? read_v3(out, root, subject, err) : -1;
	json_decref(root);
	if (rc < 0)
		token_finish(out);
	return rc;
}

int keystone_parse_v2(struct token *out, const char *body, size_t n, struct err *err)
{
	token_finish(out);
	json_t *root = load(body, n, err);
	int rc = root ? read_v2(out, root, err) : -1;
	json_decref(root);
	if (rc < 0)
		token_finish(out);
	return rc;
}
