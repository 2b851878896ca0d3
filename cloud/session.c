/* SPDX-License-Identifier: MIT */
#include "cloud/session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "cloud/keystone.h"
#include "cloud/login.h"

#define CONNECT_MS    10000
#define CALL_ATTEMPTS 5
#define TURN_MS       20 /* between two looks whether another thread has logged in */
/* A renewal that does not come about is tried again after this, while the old token lasts. */
#define RENEW_AGAIN_MS 20000
#define RENEW_LIMIT_MS 30000
/* Refused credentials are not sent again, since keystone locks accounts; when they were good before, after a while. */
#define REFUSED_MS 60000
#define QUERY_MAX  4096
#define RUN_ID_MAX 80

/* ---- opening and closing ---- */

/* "X-OpenStack-Request-ID: req-UUID": services take it as the global id of all our requests. */
static void make_run_id(char out[RUN_ID_MAX])
{
	unsigned char b[16];
	char hex[33];
	random_bytes(b, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
	hex_encode(b, sizeof(b), hex);
	snprintf(out, RUN_ID_MAX, "X-OpenStack-Request-ID: req-%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
		 hex + 16, hex + 20);
}

struct os_session *os_open(struct cloud_config *config, struct err *err)
{
	struct os_session *s = xcalloc(1, sizeof(*s));
	s->config = *config;
	*config = (struct cloud_config){0};
	pthread_mutex_init(&s->lock, NULL);
	keystone_secrets(s->config.auth, &s->secrets);
	make_run_id(s->run_id);
	struct http_settings settings = {
		.cacert = s->config.cacert,
		.cert = s->config.cert,
		.key = s->config.key,
		.insecure = !s->config.verify,
		.force_ipv4 = s->config.force_ipv4,
		.connect_ms = CONNECT_MS,
		.timeout_ms = s->config.timeout_ms,
	};
	s->http = http_new(&settings, err);
	if (s->http)
		return s;
	err_ctx(err, "cloud %s", s->config.name);
	os_close(s);
	return NULL;
}

void session_wipe(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

char *session_token(struct os_session *s, unsigned *generation)
{
	pthread_mutex_lock(&s->lock);
	char *token = xstrdup(s->token ? s->token : "");
	*generation = s->generation;
	pthread_mutex_unlock(&s->lock);
	return token;
}

void os_close(struct os_session *s)
{
	if (!s)
		return;
	http_free(s->http);
	session_wipe(&s->token);
	secrets_finish(&s->secrets);
	catalog_finish(&s->catalog);
	free(s->project);
	free(s->region);
	for (size_t i = 0; i < OS_SERVICE_COUNT_; i++)
		free(s->base[i]);
	cloud_config_finish(&s->config);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

const struct cloud_config *os_config(const struct os_session *s)
{
	return &s->config;
}

/* ---- one request and its repetitions ---- */

static double jitter(void)
{
	uint32_t r;
	random_bytes(&r, sizeof(r));
	return r / 4294967296.0;
}

void session_cut_secrets(struct os_session *s, struct err *err)
{
	pthread_mutex_lock(&s->lock);
	secrets_cut_text(&s->secrets, err->msg, sizeof(err->msg));
	pthread_mutex_unlock(&s->lock);
}

static int attempt(struct os_session *s, const struct exchange *x, struct http_reply *r, json_t **json, struct err *err)
{
	if (http_do(s->http, &x->q, r, err) < 0)
		return -1;
	if (!is_2xx(r->status))
		return 0;
	*json = r->body.len > 0 ? json_loadb(r->body.data, r->body.len, JSON_ALLOW_NUL, NULL) : NULL;
	bool get = strcmp(x->q.method, "GET") == 0;
	if (*json || !x->need_json || (r->body.len == 0 && !get))
		return 0;
	/* A proxy's page, or half an answer: what the service did is as unknown as after a reset. */
	r->fate = HTTP_UNSURE;
	return err_set(err, ERR_CLOUD, r->status, "%s %.*s: %d, but the answer is not JSON", x->q.method,
		       (int)strcspn(x->q.url, "?"), x->q.url, r->status);
}

int session_exchange(struct os_session *s, const struct exchange *x, struct http_reply *r, json_t **json, bool *look,
		     struct err *err)
{
	*look = false;
	*json = NULL;
	for (int n = 1;; n++) {
		struct err e = ERR_INIT;
		int rc = attempt(s, x, r, json, &e);
		int64_t ms = 0;
		enum http_next next = HTTP_ACCEPT;
		if (e.reach != ERR_CANCELED)
			next = http_judge(r, x->safe, n, x->attempts, jitter(), &ms);
		if (next != HTTP_AGAIN || clock_mono() >= x->q.deadline - ms) {
			*look = next == HTTP_LOOK || r->fate == HTTP_UNSURE;
			if (rc < 0)
				*err = e;
			return rc;
		}
		if (wait_ms(ms, x->q.mode, err) < 0)
			return -1;
	}
}

int session_refusal(struct os_session *s, const struct http_request *q, const struct http_reply *r,
		    char message[FAULT_MAX], struct err *err)
{
	pthread_mutex_lock(&s->lock);
	fault_text(&s->secrets, r->status, r->body.data, r->body.len, message);
	pthread_mutex_unlock(&s->lock);
	err_set(err, ERR_CLOUD, r->status, "%s %.*s: %d %s%s%s%s%s%s", q->method, (int)strcspn(q->url, "?"), q->url,
		r->status, message, r->request_id[0] ? " (" : "", r->request_id, r->request_id[0] ? ")" : "",
		r->status > 300 && r->location[0] ? "; it redirects, which is never followed, to " : "",
		r->status > 300 ? r->location : "");
	session_cut_secrets(s, err);
	return -1;
}

int session_versions(struct os_session *s, const struct url *at, bool with_token, mono_ms deadline, enum wait_mode mode,
		     struct api_version out[API_VERSIONS_MAX], struct err *err)
{
	char url[URL_TEXT_MAX + 1];
	struct url_version v;
	url_text(at, url);
	size_t len = strlen(url);
	snprintf(url + len, sizeof(url) - len, "%s", url_find_version(at->path, &v) ? "/" : "");
	unsigned generation;
	char *token = with_token ? session_token(s, &generation) : NULL;
	struct buf header = buf_make(2 * (size_t)TOKEN_MAX);
	bool send = token && *token;
	if (send)
		buf_addf(&header, "X-Auth-Token: %s", token);
	const char *headers[] = {"Accept: application/json", s->run_id, send ? header.data : NULL, NULL};
	struct exchange x = {
		.q = {.method = "GET", .url = url, .headers = headers, .deadline = deadline, .mode = mode},
		.safe = true,
		.attempts = LOGIN_ATTEMPTS,
	};
	struct http_reply r;
	http_reply_init(&r);
	json_t *json = NULL;
	bool look;
	char message[FAULT_MAX];
	int n = session_exchange(s, &x, &r, &json, &look, err);
	if (n == 0 && r.status >= 500)
		n = session_refusal(s, &x.q, &r, message, err);
	if (n == 0 && (r.status == 200 || r.status == 203 || r.status == 300))
		n = (int)versions_parse(r.body.data, r.body.len, out);
	json_decref(json);
	http_reply_finish(&r);
	explicit_bzero(header.data, header.len);
	buf_finish(&header);
	session_wipe(&token);
	return n;
}

/* ---- logging in ---- */

enum turn { TURN_IN, TURN_MINE, TURN_WAIT, TURN_REFUSED };

static enum turn take_turn(struct os_session *s, struct err *err)
{
	mono_ms now = clock_mono();
	enum turn turn = TURN_WAIT;
	pthread_mutex_lock(&s->lock);
	/* While one renews it the others go on with the old one: keystone may be slow, or down. */
	if (s->ready && s->token && now < (s->busy ? s->expire_at : s->renew_at)) {
		turn = TURN_IN;
	} else if (now < s->refused_until) {
		*err = s->refused;
		turn = TURN_REFUSED;
	} else if (!s->busy) {
		s->busy = true;
		turn = TURN_MINE;
	}
	pthread_mutex_unlock(&s->lock);
	return turn;
}

/* The busy thread's work. */
static int log_in(struct os_session *s, mono_ms deadline, enum wait_mode mode, bool *refused, struct err *err)
{
	pthread_mutex_lock(&s->lock);
	bool have = s->token && clock_mono() < s->renew_at, ready = s->ready;
	pthread_mutex_unlock(&s->lock);
	if (!have && login_authenticate(s, deadline, mode, refused, err) < 0)
		return -1;
	return ready ? 0 : login_survey(s, deadline, mode, err);
}

/* After a login that did not come about, under the lock: with a token that still lasts the work goes on. */
static bool go_on(struct os_session *s, bool refused, const struct err *err)
{
	mono_ms now = clock_mono();
	if (refused) {
		s->refused = *err;
		s->refused_until = s->was_in ? now + REFUSED_MS : DEADLINE_NEVER;
	}
	if (err->reach == ERR_CANCELED || !s->ready || !s->token || now >= s->expire_at)
		return false;
	bool again = !refused && now + RENEW_AGAIN_MS < s->expire_at;
	s->renew_at = again ? now + RENEW_AGAIN_MS : s->expire_at;
	return true;
}

static int my_turn(struct os_session *s, mono_ms deadline, enum wait_mode mode, struct err *err)
{
	bool refused = false;
	pthread_mutex_lock(&s->lock);
	bool lasts = s->ready && s->token && clock_mono() < s->expire_at;
	pthread_mutex_unlock(&s->lock);
	mono_ms limit = lasts ? clock_deadline(RENEW_LIMIT_MS) : deadline;
	struct err e = ERR_INIT;
	int rc = log_in(s, limit < deadline ? limit : deadline, mode, &refused, &e);
	if (rc < 0) {
		err_ctx(&e, "logging in to cloud %s", s->config.name);
		session_cut_secrets(s, &e);
	}
	pthread_mutex_lock(&s->lock);
	s->busy = false;
	s->ready |= rc == 0;
	bool on = rc < 0 && go_on(s, refused, &e);
	pthread_mutex_unlock(&s->lock);
	if (on)
		log_debug(s->config.name, "the token was not renewed yet: %s", e.msg);
	if (rc == 0 || on)
		return 0;
	*err = e;
	return -1;
}

int os_login(struct os_session *s, mono_ms deadline, enum wait_mode mode, struct err *err)
{
	for (;;) {
		switch (take_turn(s, err)) {
		case TURN_IN:
			return 0;
		case TURN_REFUSED:
			return -1;
		case TURN_MINE:
			return my_turn(s, deadline, mode, err);
		case TURN_WAIT:
			break;
		}
		if (clock_mono() >= deadline)
			return err_set(err, ERR_CLOUD, ETIMEDOUT,
				       "logging in to cloud %s: another thread's login is not done", s->config.name);
		if (wait_ms(TURN_MS, mode, err) < 0)
			return -1;
	}
}

/* ---- after the login ---- */

static bool is_ready(struct os_session *s)
{
	pthread_mutex_lock(&s->lock);
	bool ready = s->ready;
	pthread_mutex_unlock(&s->lock);
	return ready;
}

bool os_has(struct os_session *s, enum os_service service)
{
	assert(service < OS_SERVICE_COUNT_);
	return is_ready(s) && s->base[service];
}

int os_microversion(struct os_session *s)
{
	return is_ready(s) ? s->microversion : 0;
}

bool os_is_rackspace(struct os_session *s)
{
	return is_ready(s) && s->rackspace;
}

const char *os_account(struct os_session *s)
{
	return is_ready(s) ? s->account : "";
}

const char *os_project(struct os_session *s)
{
	return is_ready(s) ? s->project : "";
}

/* ---- calls ---- */

/* The token of that generation is no good. */
static void drop_token(struct os_session *s, unsigned generation)
{
	pthread_mutex_lock(&s->lock);
	if (s->generation == generation)
		session_wipe(&s->token);
	pthread_mutex_unlock(&s->lock);
}

#define HEADERS_MAX 8
static_assert(sizeof(((struct os_answer *)0)->message) >= FAULT_MAX, "session_refusal() fills it");

/* One request with this token. */
static int send_call(struct os_session *s, const struct os_call *c, const char *url, const char *body,
		     const char *token, struct http_reply *r, json_t **json, bool *look, struct err *err)
{
	char micro[2][64];
	struct buf auth = buf_make(2 * (size_t)TOKEN_MAX);
	buf_addf(&auth, "X-Auth-Token: %s", token);
	snprintf(micro[0], sizeof(micro[0]), "OpenStack-API-Version: compute 2.%d", s->microversion);
	snprintf(micro[1], sizeof(micro[1]), "X-OpenStack-Nova-API-Version: 2.%d", s->microversion);
	const char *headers[HEADERS_MAX] = {"Accept: application/json", s->run_id};
	size_t n = 2;
	if (*token)
		headers[n++] = auth.data;
	if (body)
		headers[n++] = "Content-Type: application/json";
	if (c->service == OS_COMPUTE && s->microversion > 0) {
		headers[n++] = micro[0];
		headers[n++] = micro[1];
	}
	struct exchange x = {
		.q = {.method = c->method,
		      .url = url,
		      .headers = headers,
		      .body = body,
		      .body_len = body ? strlen(body) : 0,
		      .timeout_ms = c->timeout_ms,
		      .deadline = c->deadline,
		      .mode = c->mode},
		.safe = !c->create,
		.need_json = c->create || strcmp(c->method, "GET") == 0,
		.attempts = CALL_ATTEMPTS,
	};
	int rc = session_exchange(s, &x, r, json, look, err);
	explicit_bzero(auth.data, auth.len);
	buf_finish(&auth);
	return rc;
}

/* What the caller learns of the last attempt. */
static int fill_answer(struct os_session *s, const struct os_call *c, const char *url, const struct http_reply *r,
		       int rc, bool look, struct os_answer *a, struct err *err)
{
	struct http_request q = {.method = c->method, .url = url};
	a->status = r->status;
	a->retry_after_ms = r->retry_after_ms;
	snprintf(a->request_id, sizeof(a->request_id), "%s", r->request_id);
	snprintf(a->location, sizeof(a->location), "%s", r->location);
	if (rc < 0) {
		a->unsure = look;
		session_cut_secrets(s, err);
		snprintf(a->message, sizeof(a->message), "%.*s", (int)sizeof(a->message) - 1, err->msg);
		return -1;
	}
	if (is_2xx(r->status))
		return 0;
	a->unsure = look || (!c->create && r->status >= 500);
	session_refusal(s, &q, r, a->message, err);
	if (r->status == 401)
		login_explain_skew(s, r->date, err);
	return -1;
}

static int check_service(const struct os_session *s, enum os_service service, struct err *err)
{
	if (s->base[service])
		return 0;
	*err = s->absent[service];
	return err_ctx(err, "cloud %s", s->config.name);
}

static int call(struct os_session *s, const struct os_call *c, const char *body, struct os_answer *a, struct err *err)
{
	bool replayed = s->config.auth_type == AUTH_NONE;
	struct http_reply r;
	http_reply_init(&r);
	AUTO_FREE char *url = NULL;
	int rc = -1;
	for (;;) {
		unsigned generation;
		bool look = false;
		if (os_login(s, c->deadline, c->mode, err) < 0 || check_service(s, c->service, err) < 0) {
			snprintf(a->message, sizeof(a->message), "%.*s", (int)sizeof(a->message) - 1, err->msg);
			break;
		}
		if (!url)
			url = xasprintf("%s%s", s->base[c->service], c->path);
		char *token = session_token(s, &generation);
		rc = send_call(s, c, url, body, token, &r, &a->json, &look, err);
		session_wipe(&token);
		/* A 401 comes from before the service: nothing was carried out, a create neither. */
		if (rc == 0 && r.status == 401 && !replayed) {
			replayed = true;
			drop_token(s, generation);
			rc = -1;
			continue;
		}
		rc = fill_answer(s, c, url, &r, rc, look, a, err);
		break;
	}
	http_reply_finish(&r);
	return rc;
}

int os_do(struct os_session *s, const struct os_call *c, struct os_answer *a, struct err *err)
{
	assert(c->service < OS_SERVICE_COUNT_ && c->path[0] == '/' && c->deadline > 0);
	*a = (struct os_answer){.retry_after_ms = -1};
	char *body = c->body ? json_dumps(c->body, JSON_COMPACT) : NULL;
	if (c->body && !body)
		return err_set(err, ERR_BUG, 0, "%s %s: a body that is no JSON", c->method, c->path);
	int rc = call(s, c, body, a, err);
	session_wipe(&body); /* user_data holds a private key */
	return rc;
}

void os_answer_finish(struct os_answer *a)
{
	json_decref(a->json);
	a->json = NULL;
}

/* ---- lists ---- */

static const char *next_href(const json_t *page, const char *key)
{
	const char *next = json_string_value(json_object_get(page, "next"));
	if (next)
		return next;
	char name[80];
	snprintf(name, sizeof(name), "%s_links", key);
	size_t i;
	json_t *link;
	json_array_foreach (json_object_get(page, name), i, link) {
		const char *rel = json_string_value(json_object_get(link, "rel"));
		if (rel && strcmp(rel, "next") == 0)
			return json_string_value(json_object_get(link, "href"));
	}
	return NULL;
}

/* The query of the next page: 1; 0 when this was the last one. */
static int next_query(const json_t *page, const char *key, struct buf *query, struct err *err)
{
	const char *href = next_href(page, key);
	if (!href || !*href)
		return 0;
	const char *q = strchr(href, '?');
	size_t n = q ? strcspn(q, "#") : 0;
	bool ok = n > 1 && n < QUERY_MAX;
	for (size_t i = 0; ok && i < n; i++)
		ok = q[i] > ' ' && q[i] < 0x7F;
	if (!ok)
		return err_set(err, ERR_CLOUD, 0, "the link to the next page is of no use");
	if (query->len == n && memcmp(query->data, q, n) == 0)
		return err_set(err, ERR_CLOUD, 0, "the next page is the same page");
	buf_reset(query);
	buf_add(query, q, n);
	return 1;
}

/* One page to the list: 1 when there are more, 0 at the end. */
static int add_page(json_t *list, const json_t *page, const char *key, struct buf *query, struct err *err)
{
	const json_t *items = json_object_get(page, key);
	if (!json_is_array(items))
		return err_set(err, ERR_CLOUD, 0, "no list \"%s\" in the answer", key);
	if (json_array_size(list) + json_array_size(items) > OS_LIST_MAX)
		return err_set(err, ERR_CLOUD, 0, "more than %d %s", OS_LIST_MAX, key);
	size_t i;
	json_t *item;
	json_array_foreach (items, i, item) {
		json_array_append(list, item);
	}
	return next_query(page, key, query, err);
}

json_t *os_list(struct os_session *s, enum os_service service, const char *path, const char *key, mono_ms deadline,
		enum wait_mode mode, struct err *err)
{
	json_t *list = json_array();
	AUTO_BUF query = buf_make(QUERY_MAX);
	buf_adds(&query, path + strcspn(path, "?"));
	int more = 1;
	for (int page = 0; more > 0; page++) {
		if (page == OS_PAGES_MAX) {
			more = err_set(err, ERR_CLOUD, 0, "GET %s: more than %d pages", path, OS_PAGES_MAX);
			break;
		}
		AUTO_FREE char *full = xasprintf("%.*s%s", (int)strcspn(path, "?"), path, query.data);
		struct os_call c = {
			.service = service, .method = "GET", .path = full, .deadline = deadline, .mode = mode};
		struct os_answer a;
		more = os_do(s, &c, &a, err);
		if (more == 0) {
			more = add_page(list, a.json, key, &query, err);
			if (more < 0)
				err_ctx(err, "GET %s%.*s", s->base[service], (int)strcspn(path, "?"), path);
		}
		os_answer_finish(&a);
	}
	if (more == 0)
		return list;
	json_decref(list);
	return NULL;
}
