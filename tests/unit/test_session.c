/* SPDX-License-Identifier: MIT */
/* Against a small cloud in a thread of this program: keystone v3 and v2.0, compute, image and network under one port,
 * with knobs for what can go wrong. */
#include "cloud/session.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/stop.h"

#define PASSWORD "correct horse"
#define API_KEY  "0123456789abcdef"
#define THREADS  8

/* ---- the cloud ---- */

struct request {
	char method[16], path[2048];
	const char *head, *body;
};
/* Writes an answer to out and returns true, or leaves the request to the next one. */
typedef bool (*handler)(const struct request *q, struct buf *out);

static struct world {
	int fd, port;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	struct buf log;       /* "METHOD /path\n" */
	struct buf last_head; /* of the last request to compute */
	struct buf last_body; /* of the last request for a token */
	handler hook;
	int tokens;          /* given out */
	int refuse_below;    /* tokens with a smaller number get a 401 */
	int life;            /* of tokens, in s */
	int64_t skew;        /* of its clock, in s */
	bool no_date;        /* as uwsgi does it */
	int slow_ms;         /* for a token */
	const char *regions; /* catalog's second region, or NULL */
	const char *micro;   /* highest microversion, "" none */
	int hooked;          /* times that the hook answered */
} w;

static void http_date(char out[64])
{
	time_t t = (time_t)(clock_wall() + w.skew);
	struct tm tm;
	gmtime_r(&t, &tm);
	strftime(out, 64, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static void answer(struct buf *out, const char *status, const char *headers, const char *body)
{
	char date[64];
	http_date(date);
	buf_addf(out, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n", status, strlen(body));
	if (!w.no_date)
		buf_addf(out, "Date: %s\r\n", date);
	buf_addf(out, "X-Openstack-Request-Id: req-42\r\n%s\r\n%s", headers, body);
}

#define JSON_TYPE "Content-Type: application/json\r\n"

static void iso(int64_t wall, char out[40])
{
	char text[32];
	clock_iso(wall, text);
	snprintf(out, 40, "%.19s.000000Z", text);
}

static void add_service(struct buf *b, const char *type, const char *path)
{
	buf_addf(b, "{\"type\": \"%s\", \"name\": \"n\", \"endpoints\": [", type);
	buf_addf(b, "{\"interface\": \"internal\", \"region_id\": \"SYD\", \"url\": \"http://10.255.255.1:1%s\"},",
		 path);
	if (w.regions)
		buf_addf(b,
			 "{\"interface\": \"public\", \"region_id\": \"%s\", \"url\": \"http://127.0.0.1:%d/%s%s\"},",
			 w.regions, w.port, w.regions, path);
	buf_addf(b, "{\"interface\": \"public\", \"region\": \"SYD\", \"url\": \"http://127.0.0.1:%d%s\"}]}", w.port,
		 path);
}

static void give_token_v3(struct buf *out)
{
	char now[40], end[40], headers[128];
	iso(clock_wall() + w.skew, now);
	iso(clock_wall() + w.skew + w.life, end);
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	buf_addf(&b, "{\"token\": {\"project\": {\"id\": \"p1\"}, \"user\": {\"name\": \"U\"}, \"issued_at\": \"%s\", ",
		 now);
	buf_addf(&b, "\"expires_at\": \"%s\", \"catalog\": [", end);
	add_service(&b, "compute", "/compute/v2.1");
	buf_addc(&b, ',');
	add_service(&b, "image", "/image");
	buf_addc(&b, ',');
	add_service(&b, "network", "/network");
	buf_adds(&b, "]}}");
	snprintf(headers, sizeof(headers), JSON_TYPE "x-subject-token: tok-secret-%d\r\n", ++w.tokens);
	answer(out, "201 Created", headers, b.data);
}

static void give_token_v2(struct buf *out)
{
	char end[40];
	iso(clock_wall() + w.skew + w.life, end);
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	buf_addf(
		&b,
		"{\"access\": {\"token\": {\"id\": \"tok-secret-%d\", \"expires\": \"%s\", \"tenant\": {\"id\": "
		"\"960893\"}}, \"serviceCatalog\": [{\"name\": \"cloudServers\", \"type\": \"compute\", \"endpoints\": "
		"[{\"publicURL\": \"http://127.0.0.1:1/v1.0/960893\"}]}, {\"name\": \"cloudServersOpenStack\", "
		"\"type\": "
		"\"compute\", \"endpoints\": [{\"region\": \"SYD\", \"publicURL\": "
		"\"http://127.0.0.1:%d/rax/v2/960893\"}]}, "
		"{\"name\": \"cloudImages\", \"type\": \"image\", \"endpoints\": [{\"region\": \"SYD\", \"publicURL\": "
		"\"http://127.0.0.1:%d/image/v2/960893\"}]}]}}",
		++w.tokens, end, w.port, w.port);
	answer(out, "200 OK", JSON_TYPE, b.data);
}

static bool good_credentials(const char *body)
{
	return strstr(body, "\"password\":\"" PASSWORD "\"") || strstr(body, "\"apiKey\":\"" API_KEY "\"") ||
	       strstr(body, "\"secret\":\"" PASSWORD "\"") || strstr(body, "\"token\":{\"id\":\"given-token\"");
}

#define UNAUTHORIZED                                                                                                   \
	"{\"error\":{\"code\":401,\"message\":\"The request you have made requires authentication.\",\"title\":"       \
	"\"Unauthorized\"}}"

static bool serve_token(const struct request *q, struct buf *out)
{
	bool v3 = strcmp(q->path, "/v3/auth/tokens") == 0 || strcmp(q->path, "/identity/v3/auth/tokens") == 0;
	if (strcmp(q->method, "POST") != 0 || (!v3 && strcmp(q->path, "/v2.0/tokens") != 0))
		return false;
	buf_reset(&w.last_body);
	buf_adds(&w.last_body, q->body);
	poll(NULL, 0, w.slow_ms);
	if (!good_credentials(q->body))
		answer(out, "401 Unauthorized", JSON_TYPE "WWW-Authenticate: Keystone uri=\"x\"\r\n", UNAUTHORIZED);
	else if (v3)
		give_token_v3(out);
	else
		give_token_v2(out);
	return true;
}

static bool serve_documents(const struct request *q, struct buf *out)
{
	if (strcmp(q->method, "GET") != 0)
		return false;
	if (strcmp(q->path, "/") == 0 || strcmp(q->path, "/identity") == 0) {
		answer(out, "300 Multiple Choices", JSON_TYPE "Location: http://10.255.255.1:1/v3/\r\n",
		       "{\"versions\": {\"values\": [{\"id\": \"v3.14\", \"status\": \"stable\", \"links\": [{\"rel\": "
		       "\"self\", \"href\": \"http://10.255.255.1:1/v3/\"}]}, {\"id\": \"v2.0\"}]}}");
		return true;
	}
	if (strcmp(q->path, "/compute/v2.1/") != 0)
		return false;
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	buf_addf(&b,
		 "{\"version\": {\"id\": \"v2.1\", \"status\": \"CURRENT\", \"version\": \"%s\", \"min_version\": "
		 "\"%s\"}}",
		 w.micro, *w.micro ? "2.1" : "");
	answer(out, "200 OK", JSON_TYPE, b.data);
	return true;
}

static int token_number(const char *head)
{
	static const char name[] = "X-Auth-Token: tok-secret-";
	const char *p = strstr(head, name);
	return p ? p[sizeof(name) - 1] - '0' : 0;
}

/* Three pages of servers with links that have another host; images with glance's "next". */
static void serve_list(const struct request *q, struct buf *out)
{
	if (strstr(q->path, "/servers/detail?limit=1&marker=b"))
		answer(out, "200 OK", JSON_TYPE, "{\"servers\": [{\"id\": \"c\"}]}");
	else if (strstr(q->path, "/servers/detail?limit=1&marker=a"))
		answer(out, "200 OK", JSON_TYPE,
		       "{\"servers\": [{\"id\": \"b\"}], \"servers_links\": [{\"rel\": \"previous\", \"href\": "
		       "\"?x\"}, "
		       "{\"rel\": \"next\", \"href\": "
		       "\"https://10.255.255.1:1/v2.1/servers/detail?limit=1&marker=b\"}]}");
	else if (strstr(q->path, "/servers/detail"))
		answer(out, "200 OK", JSON_TYPE,
		       "{\"servers\": [{\"id\": \"a\"}], \"servers_links\": [{\"rel\": \"next\", \"href\": "
		       "\"http://10.255.255.1:1/v2.1/servers/detail?limit=1&marker=a\"}]}");
	else if (strcmp(q->path, "/image/v2/images?limit=1") == 0)
		answer(out, "200 OK", JSON_TYPE, "{\"images\": [{\"id\": \"a\"}], \"next\": \"/v2/images?marker=a\"}");
	else if (strcmp(q->path, "/image/v2/images?marker=a") == 0)
		answer(out, "200 OK", JSON_TYPE, "{\"images\": []}");
	else if (strcmp(q->path, "/network/v2.0/networks") == 0)
		answer(out, "200 OK", JSON_TYPE, "{\"networks\": [{\"id\": \"n\"}]}");
	else if (strstr(q->path, "/servers") && strcmp(q->method, "POST") == 0)
		answer(out, "202 Accepted", JSON_TYPE "Location: http://x/servers/s1\r\n",
		       "{\"server\": {\"id\": \"s1\", \"adminPass\": \"x\"}}");
	else if (strcmp(q->method, "DELETE") == 0)
		answer(out, "204 No Content", "", "");
	else
		answer(out, "404 Not Found", JSON_TYPE,
		       "{\"itemNotFound\": {\"code\": 404, \"message\": \"Instance could not be found.\"}}");
}

static void serve(const struct request *q, struct buf *out)
{
	buf_addf(&w.log, "%s %s\n", q->method, q->path);
	if (w.hook && w.hook(q, out)) {
		w.hooked++;
		return;
	}
	if (serve_token(q, out) || serve_documents(q, out))
		return;
	buf_reset(&w.last_head);
	buf_adds(&w.last_head, q->head);
	int n = token_number(q->head);
	if (n == 0 || n < w.refuse_below)
		answer(out, "401 Unauthorized", JSON_TYPE, UNAUTHORIZED);
	else
		serve_list(q, out);
}

/* Head and body of one request; false when the other side went. */
static bool receive(int fd, struct buf *in, size_t *head)
{
	for (;;) {
		const char *end = strstr(in->data, "\r\n\r\n");
		const char *length = strstr(in->data, "Content-Length: ");
		size_t n = end && length && length < end ? strtoul(length + 16, NULL, 10) : 0;
		*head = end ? (size_t)(end - in->data) + 4 : 0;
		if (end && in->len >= *head + n)
			return true;
		char bytes[4096];
		ssize_t got = read(fd, bytes, sizeof(bytes));
		if (got <= 0)
			return false;
		buf_add(in, bytes, (size_t)got);
	}
}

static void talk(int fd)
{
	AUTO_BUF in = buf_make(BUF_TEXT_MAX), out = buf_make(BUF_TEXT_MAX);
	struct request q = {0};
	size_t head;
	if (!receive(fd, &in, &head))
		return;
	in.data[head - 1] = '\0';
	q.head = in.data;
	q.body = in.data + head;
	size_t m = strcspn(q.head, " ");
	snprintf(q.method, sizeof(q.method), "%.*s", (int)m, q.head);
	snprintf(q.path, sizeof(q.path), "%.*s", (int)strcspn(q.head + m + 1, " "), q.head + m + 1);
	pthread_mutex_lock(&w.lock);
	serve(&q, &out);
	pthread_mutex_unlock(&w.lock);
	if (send(fd, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len)
		shutdown(fd, SHUT_WR);
	poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000); /* our end must not reset what it has not read */
}

static void *run_server(void *arg)
{
	(void)arg;
	int fd;
	while ((fd = accept(w.fd, NULL, NULL)) >= 0) {
		talk(fd);
		close(fd);
	}
	return NULL;
}

static int start(void **state)
{
	(void)state;
	w = (struct world){.life = 3600, .micro = "2.93"};
	pthread_mutex_init(&w.lock, NULL);
	w.log = buf_make(BUF_TEXT_MAX);
	w.last_head = buf_make(BUF_TEXT_MAX);
	w.last_body = buf_make(BUF_TEXT_MAX);
	w.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	assert_int_equal(bind(w.fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(w.fd, 64), 0);
	assert_int_equal(getsockname(w.fd, (struct sockaddr *)&a, &n), 0);
	w.port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&w.thread, NULL, run_server, NULL), 0);
	stop_clear();
	return 0;
}

static int end(void **state)
{
	(void)state;
	shutdown(w.fd, SHUT_RDWR);
	pthread_join(w.thread, NULL);
	close(w.fd);
	buf_finish(&w.log);
	buf_finish(&w.last_head);
	buf_finish(&w.last_body);
	pthread_mutex_destroy(&w.lock);
	stop_clear();
	return 0;
}

static void set_hook(handler hook)
{
	pthread_mutex_lock(&w.lock);
	w.hook = hook;
	w.hooked = 0;
	pthread_mutex_unlock(&w.lock);
}

/* How often `line` ("POST /v3/auth/tokens") stands in the log. */
static int asked(const char *line)
{
	int n = 0;
	AUTO_FREE char *full = xasprintf("\n%s\n", line);
	pthread_mutex_lock(&w.lock);
	AUTO_FREE char *log = xasprintf("\n%s", w.log.data);
	pthread_mutex_unlock(&w.lock);
	for (const char *p = log; (p = strstr(p, full)); p++)
		n++;
	return n;
}

static bool in_head(const char *text)
{
	pthread_mutex_lock(&w.lock);
	bool found = strstr(w.last_head.data, text) != NULL;
	pthread_mutex_unlock(&w.lock);
	return found;
}

/* ---- sessions ---- */

/* url: "/v3" of the world, or a whole one. values: NULL or a new object. */
static struct os_session *open_session(enum auth_type type, const char *url, const char *password, const char *region,
				       json_t *values)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *full = *url == 'h' ? xstrdup(url) : xasprintf("http://127.0.0.1:%d%s", w.port, url);
	struct cloud_config c = {
		.name = xstrdup("test"),
		.source = xstrdup("clouds.yaml"),
		.auth_type = type,
		.auth = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "auth_url", full, "username", "U",
				  "password", password, "user_domain_name", "D", "project_name", "P", "api_key",
				  password, "application_credential_id", "I", "application_credential_secret", password,
				  "token", password),
		.values = values ? values : json_object(),
		.region = xstrdup(region),
		.interface = xstrdup("public"),
		.verify = true,
	};
	assert_non_null(c.auth);
	struct os_session *s = os_open(&c, &err);
	assert_non_null(s);
	assert_null(c.auth);
	return s;
}

static struct os_session *log_in(enum auth_type type, const char *url)
{
	struct err err = ERR_INIT;
	const char *password = type == AUTH_TOKEN ? "given-token" : type == AUTH_RAX_APIKEY ? API_KEY : PASSWORD;
	struct os_session *s = open_session(type, url, password, "SYD", NULL);
	if (os_login(s, clock_deadline(20000), WAIT_STOPPABLE, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

/* The error of a login that must not come about. */
static void login_error(struct os_session *s, struct err *err)
{
	*err = (struct err)ERR_INIT;
	assert_int_equal(os_login(s, clock_deadline(20000), WAIT_STOPPABLE, err), -1);
	assert_null(strstr(err->msg, PASSWORD));
	assert_string_equal(os_account(s), "");
	assert_false(os_has(s, OS_COMPUTE));
}

static int get(struct os_session *s, const char *path, struct os_answer *a, struct err *err)
{
	struct os_call c = {.service = OS_COMPUTE, .method = "GET", .path = path, .deadline = clock_deadline(20000)};
	err_clear(err);
	return os_do(s, &c, a, err);
}

static int create(struct os_session *s, struct os_answer *a, struct err *err)
{
	json_t *body = json_pack("{s:{s:s}}", "server", "name", "x");
	struct os_call c = {.service = OS_COMPUTE,
			    .method = "POST",
			    .path = "/servers",
			    .body = body,
			    .create = true,
			    .deadline = clock_deadline(20000)};
	err_clear(err);
	int rc = os_do(s, &c, a, err);
	json_decref(body);
	return rc;
}

static void *call_from_thread(void *arg)
{
	struct os_session *s = arg;
	struct err err = ERR_INIT;
	struct os_answer a;
	int rc = get(s, "/servers/detail", &a, &err);
	os_answer_finish(&a);
	return rc == 0 ? s : NULL;
}

static int run_threads(struct os_session *s)
{
	pthread_t threads[THREADS];
	int good = 0;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_from_thread, s), 0);
	for (int i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(threads[i], &result);
		good += result != NULL;
	}
	return good;
}

static void assert_part(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* ---- logging in ---- */

static void test_login(void **state)
{
	(void)state;
	struct os_session *s = log_in(AUTH_PASSWORD, "/");
	AUTO_FREE char *account = xasprintf("http://127.0.0.1:%d/compute p1 SYD", w.port);
	assert_string_equal(os_account(s), account);
	assert_string_equal(os_project(s), "p1");
	assert_int_equal(os_microversion(s), 67);
	assert_false(os_is_rackspace(s));
	assert_true(os_has(s, OS_NETWORK));
	assert_false(os_has(s, OS_VOLUME));
	/* A 300 is an answer; its links' host is never contacted. */
	assert_string_equal(w.log.data, "GET /\nPOST /v3/auth/tokens\nGET /compute/v2.1/\n");
	struct err err = ERR_INIT;
	assert_int_equal(os_login(s, clock_deadline(1000), WAIT_STOPPABLE, &err), 0);
	assert_int_equal(asked("POST /v3/auth/tokens"), 1);
	assert_string_equal(os_config(s)->name, "test");
	os_close(s);
	os_close(NULL);
}

static void test_login_kinds(void **state)
{
	(void)state;
	static const enum auth_type types[] = {AUTH_PASSWORD, AUTH_TOKEN, AUTH_APPCRED};
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		os_close(log_in(types[i], "/v3/"));
		bool scoped = strstr(w.last_body.data, "scope");
		assert_int_equal(scoped, types[i] != AUTH_APPCRED);
	}
	assert_int_equal(asked("GET /"), 0); /* the URL says it: no discovery */
}

static bool hide_documents(const struct request *q, struct buf *out)
{
	if (strcmp(q->path, "/identity") != 0)
		return false;
	answer(out, "404 Not Found", "Content-Type: text/html\r\n", "<html><body>no</body></html>");
	return true;
}

static void test_discovery(void **state)
{
	(void)state;
	os_close(log_in(AUTH_PASSWORD, "/identity")); /* the published path knows nothing of the prefix */
	assert_int_equal(asked("POST /identity/v3/auth/tokens"), 1);
	set_hook(hide_documents);
	os_close(log_in(AUTH_PASSWORD, "/identity"));
	assert_int_equal(asked("POST /identity/v3/auth/tokens"), 2);
}

static void test_rackspace(void **state)
{
	(void)state;
	struct os_session *s = log_in(AUTH_RAX_APIKEY, "/v2.0/");
	AUTO_FREE char *account = xasprintf("http://127.0.0.1:%d/rax 960893 SYD", w.port);
	assert_string_equal(os_account(s), account);
	assert_true(os_is_rackspace(s));
	assert_int_equal(os_microversion(s), 0);
	assert_false(os_has(s, OS_NETWORK));
	assert_int_equal(asked("POST /v2.0/tokens"), 1);
	struct os_answer a;
	struct err err = ERR_INIT;
	assert_int_equal(get(s, "/servers/detail", &a, &err), 0);
	os_answer_finish(&a);
	assert_int_equal(asked("GET /rax/v2/960893/servers/detail"), 1);
	assert_false(in_head("penStack-API-Version") || in_head("Nova-API-Version"));
	assert_true(in_head("X-Auth-Token: tok-secret-1"));
	/* the image service's tenant is none of its API */
	json_t *images = os_list(s, OS_IMAGE, "/images?limit=1", "images", clock_deadline(20000), WAIT_STOPPABLE, &err);
	assert_int_equal(json_array_size(images), 1);
	json_decref(images);
	json_t *none = os_list(s, OS_NETWORK, "/networks", "networks", clock_deadline(20000), WAIT_STOPPABLE, &err);
	assert_null(none);
	assert_part(err.msg, "no network service; it has: compute, image");
	os_close(s);
}

static void test_headers(void **state)
{
	(void)state;
	struct os_session *s = log_in(AUTH_PASSWORD, "/v3");
	struct os_answer a;
	struct err err = ERR_INIT;
	assert_int_equal(create(s, &a, &err), 0);
	assert_int_equal(a.status, 202);
	assert_string_equal(a.request_id, "req-42");
	assert_string_equal(a.location, "http://x/servers/s1");
	assert_false(a.unsure);
	assert_non_null(a.json);
	os_answer_finish(&a);
	assert_null(a.json);
	assert_true(in_head("\r\nX-Auth-Token: tok-secret-1\r\n"));
	assert_true(in_head("\r\nOpenStack-API-Version: compute 2.67\r\n"));
	assert_true(in_head("\r\nX-OpenStack-Nova-API-Version: 2.67\r\n"));
	assert_true(in_head("\r\nContent-Type: application/json\r\n"));
	assert_true(in_head("\r\nAccept: application/json\r\n"));
	assert_true(in_head("\r\nX-OpenStack-Request-ID: req-"));
	json_t *nets = os_list(s, OS_NETWORK, "/networks", "networks", clock_deadline(20000), WAIT_STOPPABLE, &err);
	assert_int_equal(json_array_size(nets), 1);
	json_decref(nets);
	assert_false(in_head("penStack-API-Version"));
	os_close(s);
}

static void test_microversions(void **state)
{
	(void)state;
	static const struct {
		const char *micro, *want;
		int out; /* -1: an error */
	} rows[] = {{"2.60", NULL, 52},   {"2.38", NULL, 37}, {"2.25", NULL, 0},    {"", NULL, 0},
		    {"2.93", "2.37", 37}, {"2.93", "2.1", 0}, {"2.93", "2.53", 52}, {"2.60", "2.67", -1}};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		w.micro = rows[i].micro;
		json_t *values = rows[i].want ? json_pack("{s:s}", "compute_default_microversion", rows[i].want) : NULL;
		struct os_session *s = open_session(AUTH_PASSWORD, "/v3", PASSWORD, "SYD", values);
		struct err err = ERR_INIT;
		int rc = os_login(s, clock_deadline(20000), WAIT_STOPPABLE, &err);
		assert_int_equal(rc, rows[i].out < 0 ? -1 : 0);
		if (rc == 0)
			assert_int_equal(os_microversion(s), rows[i].out);
		os_close(s);
	}
}

static void test_regions(void **state)
{
	(void)state;
	struct err err;
	struct os_session *s = open_session(AUTH_PASSWORD, "/v3", PASSWORD, "", NULL);
	assert_int_equal(os_login(s, clock_deadline(20000), WAIT_STOPPABLE, &err), 0); /* only one */
	AUTO_FREE char *account = xasprintf("http://127.0.0.1:%d/compute p1 SYD", w.port);
	assert_string_equal(os_account(s), account);
	os_close(s);
	w.regions = "DFW";
	s = open_session(AUTH_PASSWORD, "/v3", PASSWORD, "", NULL);
	login_error(s, &err);
	assert_int_equal(err.reach, ERR_USER);
	assert_part(err.msg, "one of: DFW, SYD");
	os_close(s);
	s = open_session(AUTH_PASSWORD, "/v3", PASSWORD, "syd", NULL);
	login_error(s, &err);
	assert_part(err.msg, "case sensitive");
	os_close(s);
}

static void test_overrides(void **state)
{
	(void)state;
	AUTO_FREE char *compute = xasprintf("http://127.0.0.1:%d/compute/v2.1/%%(project_id)s", w.port);
	AUTO_FREE char *image = xasprintf("http://127.0.0.1:%d/image/", w.port);
	json_t *values =
		json_pack("{s:s, s:s}", "compute_endpoint_override", compute, "image_endpoint_override", image);
	struct os_session *s = open_session(AUTH_PASSWORD, "/v3", PASSWORD, "SYD", values);
	struct err err = ERR_INIT;
	struct os_answer a;
	assert_int_equal(os_login(s, clock_deadline(20000), WAIT_STOPPABLE, &err), 0);
	assert_int_equal(get(s, "/servers/detail", &a, &err), 0);
	os_answer_finish(&a);
	assert_int_equal(asked("GET /compute/v2.1/p1/servers/detail"), 1);
	assert_int_equal(asked("GET /compute/v2.1/"), 1);
	json_decref(os_list(s, OS_IMAGE, "/images?limit=1", "images", clock_deadline(20000), WAIT_STOPPABLE, &err));
	assert_int_equal(asked("GET /image/v2/images?limit=1"), 1);
	os_close(s);
}

static bool allow_all(const struct request *q, struct buf *out)
{
	if (strstr(q->path, "/compute/v2.1/servers") == NULL)
		return false;
	answer(out, "200 OK", JSON_TYPE, "{\"servers\": []}");
	return true;
}

static void test_without_keystone(void **state)
{
	(void)state;
	set_hook(allow_all);
	AUTO_FREE char *compute = xasprintf("http://127.0.0.1:%d/compute/v2.1", w.port);
	struct os_session *s =
		open_session(AUTH_NONE, "/v3", "", "", json_pack("{s:s}", "compute_endpoint_override", compute));
	struct err err = ERR_INIT;
	struct os_answer a;
	assert_int_equal(get(s, "/servers", &a, &err), 0);
	os_answer_finish(&a);
	assert_int_equal(os_microversion(s), 67);
	assert_int_equal(get(s, "/other", &a, &err), -1);
	assert_int_equal(a.status, 401); /* nobody to ask for another token */
	assert_int_equal(asked("GET /compute/v2.1/other"), 1);
	os_close(s);
}

static void test_refused(void **state)
{
	(void)state;
	struct err err;
	struct os_session *s = open_session(AUTH_PASSWORD, "/v3", "wrong horse", "SYD", NULL);
	for (int i = 0; i < 5; i++) {
		login_error(s, &err);
		assert_int_equal(err.reach, ERR_CLOUD);
		assert_int_equal(err.code, 401);
		assert_part(err.msg, "logging in to cloud test: POST http://127.0.0.1");
		assert_part(err.msg, "401 The request you have made requires authentication. (req-42): check username");
		assert_null(strstr(err.msg, "clock"));
	}
	struct os_answer a;
	assert_int_equal(create(s, &a, &err), -1);
	assert_false(a.unsure);
	assert_int_equal(a.status, 0);
	assert_part(a.message, "401");
	/* keystone counts: a lock is a matter of three */
	assert_int_equal(asked("POST /v3/auth/tokens"), 1);
	os_close(s);
}

static bool echo_password(const struct request *q, struct buf *out)
{
	if (!strstr(q->path, "/auth/tokens"))
		return false;
	answer(out, "400 Bad Request", JSON_TYPE "Location: http://x/" PASSWORD "\r\n",
	       "{\"error\": {\"message\": \"invalid: {'password': '" PASSWORD "'}, {\\\"password\\\": \\\"" PASSWORD
	       "\\\"}\"}}");
	return true;
}

static void test_echoed_password(void **state)
{
	(void)state;
	struct err err;
	set_hook(echo_password);
	struct os_session *s = open_session(AUTH_PASSWORD, "/v3", PASSWORD, "SYD", NULL);
	login_error(s, &err);
	assert_part(err.msg, "400 invalid: {'password': '[cut]'}, {\"password\": \"[cut]\"}");
	os_close(s);
}

static bool echo_token(const struct request *q, struct buf *out)
{
	if (!strstr(q->path, "/servers"))
		return false;
	answer(out, "400 Bad Request", JSON_TYPE "X-Compute-Request-Id: x\r\n",
	       "bad header X-Auth-Token: tok-secret-1 seen");
	return true;
}

static void test_echoed_token(void **state)
{
	(void)state;
	struct err err;
	struct os_answer a;
	set_hook(echo_token);
	struct os_session *s = log_in(AUTH_PASSWORD, "/v3");
	assert_int_equal(get(s, "/servers/1", &a, &err), -1);
	assert_string_equal(a.message, "bad header X-Auth-Token: [cut] seen");
	assert_null(strstr(err.msg, "tok-secret"));
	os_close(s);
}

static const char *odd_headers, *odd_body, *odd_status;

static bool odd_token_answer(const struct request *q, struct buf *out)
{
	if (!strstr(q->path, "/tokens"))
		return false;
	answer(out, odd_status, odd_headers, odd_body);
	return true;
}

static void test_odd_logins(void **state)
{
	(void)state;
	static const struct {
		const char *status, *headers, *body, *part;
		enum auth_type type;
	} rows[] = {
		{"201 Created", JSON_TYPE "X-Subject-Token: t\r\n", "{\"token\": {\"user\": {}}}",
		 "no project in scope", AUTH_PASSWORD},
		{"201 Created", JSON_TYPE, "{\"token\": {\"project\": {\"id\": \"p\"}}}", "X-Subject-Token",
		 AUTH_PASSWORD},
		{"201 Created", JSON_TYPE "X-Subject-Token: t\r\n", "{\"token\": {\"project\": {\"id\": \"p\"}}}",
		 "catalog is empty", AUTH_PASSWORD},
		{"200 OK", "", "<html>please log in</html>", "not JSON", AUTH_PASSWORD},
		{"401 Unauthorized", "Openstack-Auth-Receipt: r\r\n", "{\"receipt\": {}}",
		 "second factor: use an application credential", AUTH_PASSWORD},
		{"401 Unauthorized", "WWW-Authenticate: OS-MF sessionId='s', factor='PASSCODE'\r\n",
		 "{\"unauthorized\": {\"code\": 401, \"message\": \"Additional authentication credentials required\"}}",
		 "second factor: use an API key (auth_type rackspace_apikey)", AUTH_V2PASSWORD},
		{"401 Unauthorized", "", UNAUTHORIZED, "openstack token issue", AUTH_TOKEN},
		{"403 Forbidden", "", "{\"userDisabled\": {\"code\": 403, \"message\": \"User is disabled\"}}",
		 "403 User is disabled", AUTH_V2PASSWORD},
		{"404 Not Found", "", "", "404 Not Found (req-42): is auth_url of cloud test keystone's",
		 AUTH_PASSWORD},
		{"300 Multiple Choices", "Location: http://x/v3\r\n", "{}", "is auth_url", AUTH_PASSWORD},
		{"301 Moved Permanently", "Location: https://elsewhere/v3\r\n", "",
		 "which is never followed, to https://elsewhere/v3", AUTH_PASSWORD},
	};
	set_hook(odd_token_answer);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err;
		odd_status = rows[i].status;
		odd_headers = rows[i].headers;
		odd_body = rows[i].body;
		bool v2 = rows[i].type == AUTH_V2PASSWORD;
		struct os_session *s = open_session(rows[i].type, v2 ? "/v2.0" : "/v3", PASSWORD, "SYD", NULL);
		login_error(s, &err);
		assert_part(err.msg, rows[i].part);
		os_close(s);
	}
}

static void test_bad_urls(void **state)
{
	(void)state;
	struct err err;
	struct os_session *s = open_session(AUTH_RAX_APIKEY, "/v3", API_KEY, "SYD", NULL);
	login_error(s, &err);
	assert_int_equal(err.reach, ERR_USER);
	assert_part(err.msg, "ends in v3, but the auth_type needs keystone v2");
	os_close(s);
	s = open_session(AUTH_PASSWORD, "host:5000/v3", PASSWORD, "SYD", NULL);
	login_error(s, &err);
	assert_part(err.msg, "auth_url: not an http:// or https:// URL");
	os_close(s);
	s = open_session(AUTH_PASSWORD, "http://127.0.0.1:1/v3", PASSWORD, "SYD", NULL);
	assert_int_equal(os_login(s, clock_deadline(500), WAIT_STOPPABLE, &err), -1);
	assert_part(err.msg, "refused");
	os_close(s);
	assert_string_equal(w.log.data, "");
}

static void test_clock(void **state)
{
	(void)state;
	struct err err;
	w.skew = 400;
	struct os_session *s = open_session(AUTH_PASSWORD, "/v3", "wrong horse", "SYD", NULL);
	login_error(s, &err);
	assert_part(err.msg, "this machine's clock is 6 m");
	assert_part(err.msg, "behind the cloud's");
	os_close(s);
	w.skew = -400;
	s = open_session(AUTH_PASSWORD, "/v3", "wrong horse", "SYD", NULL);
	login_error(s, &err);
	assert_part(err.msg, "ahead of the cloud's");
	os_close(s);
}

/* ---- the token's life ---- */

/* The cloud's clock is a day off, either way: its tokens are neither renewed each time nor believed for ever. */
static void test_life_by_their_clock(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		w.skew = i % 2 ? 86400 : -86400;
		w.no_date = i >= 2; /* then issued_at tells */
		w.life = 3600;
		struct err err = ERR_INIT;
		struct os_answer a;
		int before = w.tokens;
		struct os_session *s = log_in(AUTH_PASSWORD, "/v3");
		for (int k = 0; k < 3; k++) {
			assert_int_equal(get(s, "/servers/detail", &a, &err), 0);
			os_answer_finish(&a);
		}
		assert_int_equal(w.tokens, before + 1);
		os_close(s);
	}
}

static void test_renewal(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct os_answer a;
	w.skew = 86400;
	w.life = 4;
	struct os_session *s = log_in(AUTH_PASSWORD, "/v3");
	struct os_session *given = log_in(AUTH_TOKEN, "/v3");
	poll(NULL, 0, 3100);
	assert_int_equal(run_threads(s), THREADS); /* one renews, the others go on */
	assert_int_equal(w.tokens, 3);
	assert_int_equal(asked("GET /compute/v2.1/"), 2); /* the rest is known */
	/* a given token gains nothing from another login */
	assert_int_equal(get(given, "/servers/detail", &a, &err), 0);
	os_answer_finish(&a);
	assert_int_equal(w.tokens, 3);
	os_close(given);
	os_close(s);
}

static bool keystone_down(const struct request *q, struct buf *out)
{
	if (!strstr(q->path, "/tokens"))
		return false;
	answer(out, "503 Service Unavailable", "Retry-After: 0\r\n", "");
	return true;
}

static void test_renewal_fails(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct os_answer a;
	w.life = 8;
	struct os_session *s = log_in(AUTH_PASSWORD, "/v3");
	set_hook(keystone_down);
	poll(NULL, 0, 6100);
	/* the old one lasts for two more seconds: teardown may need them */
	assert_int_equal(get(s, "/servers/detail", &a, &err), 0);
	os_answer_finish(&a);
	assert_int_equal(asked("POST /v3/auth/tokens"), 1 + 3);
	assert_true(in_head("tok-secret-1"));
	os_close(s);
}

static void test_401_once(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct os_answer a;
	struct os_session *s = log_in(AUTH_PASSWORD, "/v3");
	w.refuse_below = 2;
	assert_int_equal(create(s, &a, &err), 0);
	assert_string_equal(err.msg, "");
	os_answer_finish(&a);
	assert_int_equal(w.tokens, 2);
	assert_int_equal(asked("POST /compute/v2.1/servers"), 2);
	assert_true(in_head("tok-secret-2"));
	os_close(s);
}

static void test_401_always(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct os_answer a;
	struct os_session *s = log_in(AUTH_PASSWORD, "/v3");
	w.refuse_below = 9;
	assert_int_equal(create(s, &a, &err), -1);
	assert_int_equal(a.status, 401);
	assert_false(a.unsure);
	assert_int_equal(err.code, 401);
	assert_int_equal(w.tokens, 2);
	assert_int_equal(asked("POST /compute/v2.1/servers"), 2);
	os_close(s);
}

/* ---- threads ---- */

static void test_threads(void **state)
{
	(void)state;
	w.slow_ms = 200;
	struct os_session *s = open_session(AUTH_PASSWORD, "/v3", PASSWORD, "SYD", NULL);
	assert_int_equal(run_threads(s), THREADS);
	assert_int_equal(w.tokens, 1);
	w.refuse_below = 2; /* all meet the 401, one logs in */
	assert_int_equal(run_threads(s), THREADS);
	assert_int_equal(w.tokens, 2);
	os_close(s);
	s = open_session(AUTH_PASSWORD, "/v3", "wrong horse", "SYD", NULL);
	assert_int_equal(run_threads(s), 0);
	assert_int_equal(asked("POST /v3/auth/tokens"), 3);
	os_close(s);
}

static void *stop_soon(void *arg)
{
	(void)arg;
	poll(NULL, 0, 150);
	stop_trigger();
	return NULL;
}

static bool busy(const struct request *q, struct buf *out)
{
	if (!strstr(q->path, "/servers"))
		return false;
	answer(out, "503 Service Unavailable", "Retry-After: 100\r\n", "");
	return true;
}

static void test_stop(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct os_answer a;
	struct os_session *s = log_in(AUTH_PASSWORD, "/v3");
	set_hook(busy);
	pthread_t thread;
	mono_ms begin = clock_mono();
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
	struct os_call c = {
		.service = OS_COMPUTE, .method = "GET", .path = "/servers", .deadline = clock_deadline(300000)};
	assert_int_equal(os_do(s, &c, &a, &err), -1);
	pthread_join(thread, NULL);
	assert_int_equal(err.reach, ERR_CANCELED);
	assert_true(clock_mono() - begin < 3000);
	/* teardown goes on */
	set_hook(NULL);
	c = (struct os_call){.service = OS_COMPUTE,
			     .method = "DELETE",
			     .path = "/servers/1",
			     .deadline = clock_deadline(20000),
			     .mode = WAIT_IGNORE_STOP};
	err_clear(&err);
	assert_int_equal(os_do(s, &c, &a, &err), 0);
	assert_int_equal(a.status, 204);
	os_answer_finish(&a);
	os_close(s);
}

/* ---- faults ---- */

static int fault_times; /* how often the fault comes; then all is well */
static const char *fault_status, *fault_headers, *fault_body;

static bool fault(const struct request *q, struct buf *out)
{
	if (!strstr(q->path, "/servers") || fault_times == 0)
		return false;
	fault_times--;
	if (!*fault_status) /* hangs up, or half an answer */
		buf_adds(out, fault_body);
	else
		answer(out, fault_status, fault_headers, fault_body);
	return true;
}

struct fault_row {
	const char *status, *headers, *body;
	int times;
	int get_rc, get_calls;       /* of a GET, and how many requests it is */
	int create_rc, create_calls; /* of a create */
	bool unsure;                 /* the create */
	const char *part;            /* of the error of the create */
};

static void test_faults(void **state)
{
	(void)state;
	static const struct fault_row rows[] = {
		{"503 Service Unavailable", "Retry-After: 0\r\n", "<html><body><h1>503 Busy</h1></body></html>", 2, 0,
		 3, -1, 1, true, "503 Busy (req-42)"},
		{"500 Internal Server Error", JSON_TYPE "Retry-After: 0\r\n",
		 "{\"computeFault\": {\"code\": 500, \"message\": \"Unexpected API Error.\"}}", 1, 0, 2, -1, 1, true,
		 "500 Unexpected API Error."},
		{"429 Too Many Requests", "Retry-After: 0\r\n", "", 2, 0, 3, 0, 3, false, NULL},
		{"413 Request Entity Too Large", JSON_TYPE "Retry-After: 0\r\n",
		 "{\"overLimit\": {\"code\": 413, \"message\": \"OverLimit Retry...\"}}", 1, 0, 2, 0, 2, false, NULL},
		{"403 Forbidden", JSON_TYPE,
		 "{\"forbidden\": {\"code\": 403, \"message\": \"Quota exceeded for cores\"}}", 1, -1, 1, -1, 1, false,
		 "403 Quota exceeded for cores (req-42)"},
		{"404 Not Found", "Content-Type: text/html\r\n", "<html>no</html>", 1, -1, 1, -1, 1, true, "404 no"},
		{"202 Accepted", JSON_TYPE, "{\"server\": {\"id\": \"s", 1, 0, 2, -1, 1, true,
		 "202, but the answer is not JSON"},
		{"200 OK", "Content-Type: text/html\r\n", "<html>portal</html>", 1, 0, 2, -1, 1, true,
		 "200, but the answer is not JSON"},
		{"", "", "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n{\"server\":", 1, 0, 2, -1, 1, true,
		 "POST http"},
		{"", "", "", 1, 0, 2, -1, 1, true, "POST http"},
		{"302 Found", "Location: http://10.255.255.1:1/login\r\n", "", 1, -1, 1, -1, 1, true, "never followed"},
	};
	struct os_session *s = log_in(AUTH_PASSWORD, "/v3");
	set_hook(fault);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = ERR_INIT;
		struct os_answer a;
		fault_status = rows[i].status;
		fault_headers = rows[i].headers;
		fault_body = rows[i].body;
		fault_times = rows[i].times;
		int before = asked("GET /compute/v2.1/servers/detail");
		assert_int_equal(get(s, "/servers/detail", &a, &err), rows[i].get_rc);
		os_answer_finish(&a);
		assert_int_equal(asked("GET /compute/v2.1/servers/detail") - before, rows[i].get_calls);

		fault_times = rows[i].times;
		before = asked("POST /compute/v2.1/servers");
		assert_int_equal(create(s, &a, &err), rows[i].create_rc);
		assert_int_equal(a.unsure, rows[i].unsure);
		assert_int_equal(asked("POST /compute/v2.1/servers") - before, rows[i].create_calls);
		if (rows[i].part) {
			assert_part(err.msg, rows[i].part);
			assert_int_equal(err.reach, ERR_CLOUD);
			assert_true(a.message[0] != '\0');
		}
		os_answer_finish(&a);
	}
	os_close(s);
}

static bool hang(const struct request *q, struct buf *out)
{
	(void)out;
	if (!strstr(q->path, "/servers"))
		return false;
	poll(NULL, 0, 1500);
	return true;
}

static void test_deadline(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct os_answer a;
	struct os_session *s = log_in(AUTH_PASSWORD, "/v3");
	set_hook(hang);
	struct os_call c = {.service = OS_COMPUTE,
			    .method = "POST",
			    .path = "/servers",
			    .create = true,
			    .deadline = clock_deadline(300)};
	mono_ms begin = clock_mono();
	assert_int_equal(os_do(s, &c, &a, &err), -1);
	assert_true(clock_mono() - begin < 1400);
	assert_true(a.unsure);
	c.create = false;
	c.method = "GET";
	err_clear(&err);
	assert_int_equal(os_do(s, &c, &a, &err), -1); /* no time at all */
	assert_int_equal(a.status, 0);
	os_close(s);
}

/* ---- lists ---- */

static void test_list(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct os_session *s = log_in(AUTH_PASSWORD, "/v3");
	json_t *servers = os_list(s, OS_COMPUTE, "/servers/detail?limit=1", "servers", clock_deadline(20000),
				  WAIT_STOPPABLE, &err);
	assert_int_equal(json_array_size(servers), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(servers, 2), "id")), "c");
	json_decref(servers);
	json_t *images = os_list(s, OS_IMAGE, "/images?limit=1", "images", clock_deadline(20000), WAIT_STOPPABLE, &err);
	assert_int_equal(json_array_size(images), 1);
	json_decref(images);
	assert_null(os_list(s, OS_COMPUTE, "/nosuch", "x", clock_deadline(20000), WAIT_STOPPABLE, &err));
	assert_int_equal(err.code, 404);
	os_close(s);
}

static const char *page_body;

static bool odd_page(const struct request *q, struct buf *out)
{
	if (!strstr(q->path, "/servers"))
		return false;
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	if (strcmp(page_body, "endless") == 0)
		buf_addf(&b, "{\"servers\": [], \"next\": \"?marker=%d\"}", w.hooked);
	else if (strcmp(page_body, "many") == 0) {
		buf_adds(&b, "{\"servers\": [0");
		for (int i = 0; i < OS_LIST_MAX; i++)
			buf_adds(&b, ",0");
		buf_adds(&b, "]}");
	} else {
		buf_adds(&b, page_body);
	}
	answer(out, "200 OK", JSON_TYPE, b.data);
	return true;
}

static void test_odd_lists(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"{}", "no list \"servers\""},
		{"{\"servers\": {}}", "no list \"servers\""},
		{"[]", "no list \"servers\""},
		{"{\"servers\": [], \"next\": \"?a\"}", "the next page is the same page"},
		{"{\"servers\": [], \"next\": \"/no/query\"}", "of no use"},
		{"{\"servers\": [], \"next\": \"?a b\"}", "of no use"},
		{"{\"servers\": [], \"next\": \"?a\\r\\nX-Evil: 1\"}", "of no use"},
		{"endless", "more than 100 pages"},
		{"many", "more than 10000 servers"},
	};
	struct os_session *s = log_in(AUTH_PASSWORD, "/v3");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = ERR_INIT;
		page_body = rows[i][0];
		set_hook(odd_page);
		assert_null(os_list(s, OS_COMPUTE, "/servers", "servers", clock_deadline(60000), WAIT_STOPPABLE, &err));
		assert_int_equal(err.reach, ERR_CLOUD);
		assert_part(err.msg, rows[i][1]);
	}
	page_body = "{\"servers\": [1], \"next\": null, \"servers_links\": [null, {\"rel\": 3}, {\"rel\": \"next\"}]}";
	struct err err = ERR_INIT;
	json_t *list = os_list(s, OS_COMPUTE, "/servers", "servers", clock_deadline(60000), WAIT_STOPPABLE, &err);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	os_close(s);
}

/* ---- the log ---- */

static char log_path[64];
static int stderr_copy;

/* All that is logged at the highest level goes to a file. */
static int catch_log(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	stop_install();
	log_set_level(LOG_TRACE);
	snprintf(log_path, sizeof(log_path), "/tmp/test_session.%ld", (long)getpid());
	int fd = open(log_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	stderr_copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0 || stderr_copy < 0 || dup2(fd, STDERR_FILENO) < 0)
		return -1;
	close(fd);
	return http_library_init(&err);
}

static void read_log(struct buf *out)
{
	AUTO_CLOSE int fd = open(log_path, O_RDONLY | O_CLOEXEC);
	char bytes[4096];
	ssize_t n;
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		buf_add(out, bytes, (size_t)n);
}

static int release_log(void **state)
{
	(void)state;
	http_library_exit();
	dup2(stderr_copy, STDERR_FILENO);
	close(stderr_copy);
	AUTO_BUF log = buf_make(BUF_TEXT_MAX);
	read_log(&log);
	if (strstr(log.data, "[  ERROR")) /* cmocka's own */
		fputs(log.data, stderr);
	unlink(log_path);
	return 0;
}

/* Runs last: over everything that the tests before have logged. */
static void test_nothing_secret_in_the_log(void **state)
{
	(void)state;
	static const char *const secrets[] = {PASSWORD, "wrong horse", API_KEY, "tok-secret", "given-token"};
	AUTO_BUF log = buf_make(BUF_TEXT_MAX);
	read_log(&log);
	assert_part(log.data, "/v3/auth/tokens: 201");
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		if (strstr(log.data, secrets[i]))
			fail_msg("%s is in the log", secrets[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_login),
		TEST(test_login_kinds),
		TEST(test_discovery),
		TEST(test_rackspace),
		TEST(test_headers),
		TEST(test_microversions),
		TEST(test_regions),
		TEST(test_overrides),
		TEST(test_without_keystone),
		TEST(test_refused),
		TEST(test_echoed_password),
		TEST(test_echoed_token),
		TEST(test_odd_logins),
		TEST(test_bad_urls),
		TEST(test_clock),
		TEST(test_life_by_their_clock),
		TEST(test_renewal),
		TEST(test_renewal_fails),
		TEST(test_401_once),
		TEST(test_401_always),
		TEST(test_threads),
		TEST(test_stop),
		TEST(test_faults),
		TEST(test_deadline),
		TEST(test_list),
		TEST(test_odd_lists),
		cmocka_unit_test(test_nothing_secret_in_the_log),
	};
	return cmocka_run_group_tests(tests, catch_log, release_log);
}
