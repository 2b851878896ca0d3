/* SPDX-License-Identifier: MIT */
#include "cloud/login.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "cloud/keystone.h"

/* keystoneauth renews at 120 s; a token that lives less than twice that at 3/4 of its life. */
#define RENEW_MS 120000
#define SKEW_S   60

/* Puts a sentence behind the message, where the cause stands. */
static void add_hint(struct err *err, const char *hint)
{
	struct err cause = *err;
	err_set(err, cause.reach, cause.code, "%s%s%s", cause.msg, *hint ? ": " : "", hint);
}

/* ---- finding keystone ---- */

/* The version at the end of a path, or 0. */
static int final_version(const char *path)
{
	struct url_version v;
	return url_find_version(path, &v) && path[v.end] == '\0' ? v.major : 0;
}

/* Asks the URL itself which versions there are. */
static int discover(struct os_session *s, struct url *at, int need, mono_ms deadline, enum wait_mode mode,
		    struct err *err)
{
	struct api_version *all = xcalloc(API_VERSIONS_MAX, sizeof(*all));
	int n = session_versions(s, at, false, deadline, mode, all, err), rc = -1;
	const char *asked = cloud_config_get(&s->config, "identity_api_version");
	const struct api_version *v3 = versions_find(all, n > 0 ? (size_t)n : 0, 3);
	const struct api_version *v2 = versions_find(all, n > 0 ? (size_t)n : 0, 2);
	if (v2 && v2->minor != 0) /* glance's or nova's document, not keystone's */
		v2 = NULL;
	bool old_asked = need != 3 && asked && *asked == '2';
	bool old = n > 0 ? v2 && need != 3 && (!v3 || old_asked) : old_asked;
	if (n > 0 && !v3 && !old) {
		err_set(err, ERR_USER, 0, "%.200s%.200s offers no version of keystone that goes with this auth_type",
			at->origin, at->path);
	} else if (n >= 0) {
		s->keystone_version = old ? 2 : 3;
		/* No document: perhaps only the root is hidden. */
		rc = n > 0 ? versions_url(at, at, old ? v2 : v3, err) : url_append(at, old ? "v2.0" : "v3", err);
	}
	free(all);
	return rc;
}

/* Fills in keystone and keystone_version, once. */
static int find_keystone(struct os_session *s, mono_ms deadline, enum wait_mode mode, struct err *err)
{
	if (s->keystone_version)
		return 0;
	const char *text = json_string_value(json_object_get(s->config.auth, "auth_url"));
	struct url at;
	if (!text || !*text)
		return err_set(err, ERR_USER, 0, "auth: auth_url is required");
	if (url_parse(&at, text, err) < 0)
		return err_ctx(err, "auth_url");
	if (text_starts(at.origin, "http:") && !url_is_loopback(&at))
		log_warn(s->config.name, "auth_url is http: the password travels in the clear");

	int need = keystone_version_of(s->config.auth_type), have = final_version(at.path), rc = 0;
	if (have != 0 && need != 0 && have != need)
		return err_set(err, ERR_USER, 0, "auth_url %.200s ends in v%d, but the auth_type needs keystone v%d",
			       text, have, need);
	if (have == 2 || have == 3)
		s->keystone_version = have;
	else if (need == 2)
		rc = url_append(&at, "v2.0", err);
	else
		rc = discover(s, &at, need, deadline, mode, err);
	if (rc < 0) {
		s->keystone_version = 0;
		return -1;
	}
	if (need == 2)
		s->keystone_version = 2;
	s->keystone = at;
	return 0;
}

/* ---- the token ---- */

static bool is_token_auth(const struct os_session *s)
{
	return s->config.auth_type == AUTH_TOKEN || s->config.auth_type == AUTH_V2TOKEN;
}

/* What to check, in words. */
static void explain_refusal(const struct os_session *s, const struct http_reply *r, struct err *err)
{
	char hint[600];
	const struct cloud_config *c = &s->config;
	bool rackspace_mfa = text_starts(r->authenticate, "OS-MF");
	if (r->has_receipt || rackspace_mfa)
		snprintf(hint, sizeof(hint), "this account wants a second factor: use %s",
			 rackspace_mfa ? "an API key (auth_type rackspace_apikey)"
				       : "an application credential, or OS_TOKEN from \"openstack token issue\"");
	else if ((r->status == 401 || r->status == 404) &&
		 is_token_auth(s)) /* 404: "Could not recognize Fernet token" */
		snprintf(hint, sizeof(hint),
			 "the token of cloud %.60s has expired or is for another cloud: get a new "
			 "one with \"openstack token issue\"",
			 c->name);
	else if (r->status == 401 && c->auth_type == AUTH_APPCRED)
		snprintf(hint, sizeof(hint), "check application_credential_id and _secret of cloud %.60s in %.200s",
			 c->name, c->source);
	else if (r->status == 401 && c->auth_type == AUTH_RAX_APIKEY)
		snprintf(hint, sizeof(hint), "check username and api_key of cloud %.60s in %.200s", c->name, c->source);
	else if (r->status == 401)
		snprintf(hint, sizeof(hint),
			 "check username, password, project and their domains of cloud %.60s in %.200s", c->name,
			 c->source);
	else if (r->status == 404 && s->keystone_version == 2)
		snprintf(hint, sizeof(hint),
			 "has this cloud Keystone v2.0 at all? Else: auth_type password and auth_url …/v3, for cloud "
			 "%.60s",
			 c->name);
	else if (r->status == 300 || r->status == 404 || r->status == 405)
		snprintf(hint, sizeof(hint), "is auth_url of cloud %.60s keystone's (…/v3)?", c->name);
	else
		hint[0] = '\0';
	add_hint(err, hint);
}

/* A wrong clock makes good credentials look bad. */
void login_explain_skew(struct os_session *s, int64_t date, struct err *err)
{
	pthread_mutex_lock(&s->lock);
	bool known = date != 0 || s->skew_known;
	int64_t skew = date != 0 ? date - clock_wall() : s->skew;
	pthread_mutex_unlock(&s->lock);
	if (!known || (skew <= SKEW_S && skew >= -SKEW_S))
		return;
	char span[32], hint[120];
	clock_span((skew < 0 ? -skew : skew) * 1000, span);
	snprintf(hint, sizeof(hint), "this machine's clock is %s %s the cloud's", span,
		 skew > 0 ? "behind" : "ahead of");
	add_hint(err, hint);
}

/* An answer to the request for a token: 0 with *t, or err. */
static int read_token(struct os_session *s, const struct http_request *q, const struct http_reply *r, struct token *t,
		      struct err *err)
{
	char message[FAULT_MAX];
	if (!is_2xx(r->status)) {
		session_refusal(s, q, r, message, err);
		explain_refusal(s, r, err);
		if (r->status == 401 || r->status == 403)
			login_explain_skew(s, r->date, err);
		return -1;
	}
	int rc = s->keystone_version == 3 ? keystone_parse_v3(t, r->body.data, r->body.len, r->subject_token, err)
					  : keystone_parse_v2(t, r->body.data, r->body.len, err);
	return rc < 0 ? err_ctx(err, "POST %s", q->url) : 0;
}

/* Sends the credentials. *date: of the answer; *refused: they are known to be no good. */
static int ask_token(struct os_session *s, mono_ms deadline, enum wait_mode mode, struct token *t, int64_t *date,
		     bool *refused, struct err *err)
{
	json_t *body = keystone_request(s->config.auth_type, s->config.auth, s->keystone_version, err);
	if (!body)
		return err_ctx(err, "cloud %s in %s", s->config.name, s->config.source);
	char *text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	char url[URL_TEXT_MAX + 16];
	url_text(&s->keystone, url);
	size_t len = strlen(url);
	snprintf(url + len, sizeof(url) - len, "%s", s->keystone_version == 3 ? "/auth/tokens" : "/tokens");
	const char *headers[] = {"Accept: application/json", "Content-Type: application/json", s->run_id, NULL};
	struct exchange x = {
		.q = {.method = "POST",
		      .url = url,
		      .headers = headers,
		      .body = text,
		      .body_len = strlen(text),
		      .deadline = deadline,
		      .mode = mode},
		.safe = true, /* it changes nothing */
		.attempts = LOGIN_ATTEMPTS,
	};
	struct http_reply r;
	http_reply_init(&r);
	json_t *json = NULL;
	bool look;
	int rc = session_exchange(s, &x, &r, &json, &look, err);
	if (rc == 0)
		rc = read_token(s, &x.q, &r, t, err);
	*date = r.date;
	*refused = rc < 0 && (r.status == 401 || r.status == 403);
	json_decref(json);
	explicit_bzero(r.body.data, r.body.len); /* v2 has the token in it */
	http_reply_finish(&r);
	session_wipe(&text);
	return rc;
}

/* Takes the token into use. Its life is measured by the clock of who gave it: Date, else issued_at. */
static void install(struct os_session *s, struct token *t, int64_t date)
{
	int64_t cloud_now = date ? date : t->issued, now = clock_wall();
	int64_t life = t->expires ? t->expires - (cloud_now ? cloud_now : now) : 0;
	int64_t skew = cloud_now ? cloud_now - now : 0;
	pthread_mutex_lock(&s->lock);
	secrets_finish(&s->secrets); /* anew: tokens of hours ago would pile up */
	keystone_secrets(s->config.auth, &s->secrets);
	secrets_add(&s->secrets, s->token);
	secrets_add(&s->secrets, t->id);
	session_wipe(&s->token);
	s->token = TAKE(t->id);
	s->generation++;
	s->refused_until = 0;
	/* Without a sensible life the 401 tells. A given token cannot be renewed: the new one ends with it. */
	bool renewable = life > 0 && !is_token_auth(s);
	int64_t life_ms = life * 1000, early_ms = life_ms / 2 < RENEW_MS ? life_ms / 4 : RENEW_MS;
	s->renew_at = renewable ? clock_deadline(life_ms - early_ms) : DEADLINE_NEVER;
	s->expire_at = life > 0 ? clock_deadline(life_ms) : DEADLINE_NEVER;
	bool warn = !s->was_in && (skew > SKEW_S || skew < -SKEW_S);
	s->skew = skew;
	s->skew_known = cloud_now != 0;
	s->was_in = true;
	pthread_mutex_unlock(&s->lock);
	if (warn)
		log_warn(s->config.name, "this machine's clock and the cloud's differ by %lld s", (long long)skew);
}

static int ask_keystone(struct os_session *s, mono_ms deadline, enum wait_mode mode, bool *refused, struct err *err)
{
	struct token t = {0};
	int64_t date = 0;
	if (find_keystone(s, deadline, mode, err) < 0 || ask_token(s, deadline, mode, &t, &date, refused, err) < 0)
		return -1;
	if (!s->ready) {
		free(s->project);
		s->project = TAKE(t.project_id);
		catalog_finish(&s->catalog);
		s->catalog = t.catalog;
		t.catalog = (struct catalog){0};
		log_debug(s->config.name, "logged in as %s, project %s", t.user_name, s->project);
	}
	install(s, &t, date);
	token_finish(&t);
	return 0;
}

/* Without keystone: what is configured is all there is. */
static void authenticate_none(struct os_session *s)
{
	const char *token = json_string_value(json_object_get(s->config.auth, "token"));
	const char *project = json_string_value(json_object_get(s->config.auth, "project_id"));
	if (!s->project)
		s->project = xstrdup(project ? project : "");
	pthread_mutex_lock(&s->lock);
	session_wipe(&s->token);
	s->token = xstrdup(token ? token : "");
	s->generation++;
	s->renew_at = s->expire_at = DEADLINE_NEVER;
	s->was_in = true;
	pthread_mutex_unlock(&s->lock);
}

int login_authenticate(struct os_session *s, mono_ms deadline, enum wait_mode mode, bool *refused, struct err *err)
{
	*refused = false;
	if (s->config.auth_type != AUTH_NONE)
		return ask_keystone(s, deadline, mode, refused, err);
	authenticate_none(s);
	return 0;
}
