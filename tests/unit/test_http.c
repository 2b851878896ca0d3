/* SPDX-License-Identifier: MIT */
/* Against a small HTTP server in threads of this program, which can be as bad as one wants, and against `openssl
 * s_server` for TLS. */
#include "cloud/http.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/stop.h"

#define MIB ((size_t)1 << 20)
/* What "at once" may take on a busy machine, in ms; far below what the server or the name server would take. */
#define SOON      1500
#define SLOW_MS   300
#define SLOW_NAME 4000

/* Names without a name server. libcurl calls this one: the program comes first in the order of symbols. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc's own names are reserved */
int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
		struct addrinfo **restrict res)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	if (node && strcmp(node, "slow.test") == 0)
		poll(NULL, 0, SLOW_NAME);
	if (node && strstr(node, ".test"))
		return EAI_NONAME;
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(node, service, hints, res);
}

/* --- the server --- */

enum after {
	KEEP,  /* the next request of this connection */
	CLOSE, /* without having said so */
	RESET,
	HANG /* until the other side goes */
};

struct canned {
	const char *path;
	const char *answer;
	enum after after;
	int delay_ms; /* before the answer */
};

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

static const struct canned table[] = {
	{"/ok", OK_HEAD "X-OpenStack-Request-Id: req-1\r\nContent-Length: 7\r\n\r\n{\"a\":1}", KEEP, 0},
	{"/lower",
	 "HTTP/1.1 201 Created\r\ncontent-type:application/json \r\nx-compute-request-id:\treq-2\r\n"
	 "x-subject-token: gAAAA-tok_en\r\nlocation: http://h/1\r\ncontent-length: 2\r\n"
	 "date: Sun, 22 Nov 2026 17:26:03 GMT\r\nwww-authenticate: Keystone uri=\"http://k/v3\"\r\n"
	 "openstack-auth-receipt: r\r\n\r\n{}",
	 KEEP, 0},
	{"/title",
	 "HTTP/1.1 202 Accepted\r\nX-Openstack-Request-Id: req-3\r\nX-Openstack-Request-Id: req-4\r\n"
	 "X-Compute-Request-Id: req-5\r\nContent-Length: 0\r\n\r\n",
	 KEEP, 0},
	{"/continue",
	 "HTTP/1.1 100 Continue\r\nX-Subject-Token: wrong\r\nRetry-After: 9\r\nOpenstack-Auth-Receipt: r\r\n\r\n"
	 "HTTP/1.1 103 Early Hints\r\nLocation: http://wrong/\r\nX-Openstack-Request-Id: wrong\r\n\r\n" OK_HEAD
	 "X-Openstack-Request-Id: right\r\nContent-Length: 2\r\n\r\n{}",
	 KEEP, 0},
	{"/trailer",
	 OK_HEAD "Transfer-Encoding: chunked\r\nTrailer: X-Subject-Token\r\n\r\n2\r\n{}\r\n0\r\nX-Subject-Token: "
		 "wrong\r\nRetry-After: 3\r\n\r\n",
	 KEEP, 0},
	{"/hostile",
	 "HTTP/1.1 403 \033[31mNo\r\nX-Openstack-Request-Id: a\033[2Jb\x80\xc2\x9b\r\n: empty "
	 "name\r\nX-Subject-Token: a\tb\r\nRetry-After: 1.5\r\nContent-Length: 0\r\n\r\n",
	 KEEP, 0},
	{"/none", "HTTP/1.1 204 No Content\r\n\r\n", KEEP, 0},
	{"/eof", "HTTP/1.1 200 OK\r\n\r\nto the end", CLOSE, 0},
	{"/ok-close", OK_HEAD "Content-Length: 2\r\n\r\n{}", CLOSE, 0},
	{"/cut", "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n{\"server\":", CLOSE, 0},
	{"/cut-chunk", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n10\r\n{\"server\":", CLOSE, 0},
	{"/cut-head", "HTTP/1.1 202 Accepted\r\nContent-Le", CLOSE, 0},
	{"/cut-reset", OK_HEAD "Content-Length: 100\r\n\r\n{\"server\":", RESET, 0},
	{"/cut-hang", OK_HEAD "Content-Length: 100\r\n\r\n{\"server\":", HANG, 0},
	{"/eat", "", CLOSE, 0},
	{"/reset", "", RESET, 0},
	{"/hang", "", HANG, 0},
	{"/noise", "SSH-2.0-OpenSSH_9.2\r\n", CLOSE, 0},
	{"/slow", OK_HEAD "Content-Length: 2\r\n\r\n{}", KEEP, SLOW_MS},
	{"/after-5", "HTTP/1.1 429 Slow\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n", KEEP, 0},
	{"/after-0", "HTTP/1.1 503 Slow\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", KEEP, 0},
	{"/after-much", "HTTP/1.1 413 Slow\r\nRetry-After: 99999999999999999999999999\r\nContent-Length: 0\r\n\r\n",
	 KEEP, 0},
	/* The server's clock is years off: its own Date counts. */
	{"/after-date",
	 "HTTP/1.1 429 Slow\r\nRetry-After: Sun, 06 Nov 1994 08:49:47 GMT\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
	 "Content-Length: 0\r\n\r\n",
	 KEEP, 0},
	{"/after-past",
	 "HTTP/1.1 429 Slow\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sunday, 06-Nov-94 08:49:07 GMT\r\n"
	 "Content-Length: 0\r\n\r\n",
	 KEEP, 0},
	{"/after-undated",
	 "HTTP/1.1 429 Slow\r\nRetry-After: Sun, 06 Nov 2094 08:49:47 GMT\r\nContent-Length: 0\r\n\r\n", KEEP, 0},
	{"/after-negative", "HTTP/1.1 429 Slow\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n", KEEP, 0},
	{"/after-word", "HTTP/1.1 429 Slow\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n", KEEP, 0},
	{"/after-tail", "HTTP/1.1 429 Slow\r\nRetry-After: 5 minutes\r\nContent-Length: 0\r\n\r\n", KEEP, 0},
};

struct server {
	int fd, port;
	pthread_t thread;
	atomic_bool ending;
	atomic_int connections; /* ever */
	atomic_int open;
	char elsewhere[64]; /* base URL that redirects name */
	pthread_mutex_t lock;
	struct buf log;  /* "METHOD /path\n" of each request */
	struct buf last; /* head of the last request */
};

struct peer {
	struct server *server;
	int fd;
	int requests; /* of this connection so far */
	struct buf in;
	char method[16], path[256];
	const char *body;
	size_t body_len;
};

static bool send_all(int fd, const void *data, size_t n)
{
	for (const char *p = data; n > 0;) {
		ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

/* A whole request in p->in; false when the connection ended. */
static bool read_request(struct peer *p)
{
	char piece[65536];
	size_t head = 0, length = 0;
	buf_reset(&p->in);
	while (head == 0 || p->in.len < head + length) {
		struct pollfd fds = {.fd = p->fd, .events = POLLIN};
		while (poll(&fds, 1, 50) == 0)
			if (atomic_load(&p->server->ending))
				return false;
		ssize_t n = recv(p->fd, piece, sizeof(piece), 0);
		if (n <= 0 || piece[0] == 0x16) /* somebody speaks TLS */
			return false;
		buf_add(&p->in, piece, (size_t)n);
		const char *end = strstr(p->in.data, "\r\n\r\n");
		const char *field = strcasestr(p->in.data, "\r\nContent-Length:");
		if (end && head == 0) {
			head = (size_t)(end - p->in.data) + 4;
			length = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
		}
	}
	p->body = p->in.data + head;
	p->body_len = length;
	size_t m = strcspn(p->in.data, " ");
	snprintf(p->method, sizeof(p->method), "%.*s", (int)m, p->in.data);
	const char *path = p->in.data + m + 1;
	snprintf(p->path, sizeof(p->path), "%.*s", (int)strcspn(path, " ?"), path);
	pthread_mutex_lock(&p->server->lock);
	buf_addf(&p->server->log, "%s %s\n", p->method, p->path);
	buf_reset(&p->server->last);
	buf_add(&p->server->last, p->in.data, head);
	pthread_mutex_unlock(&p->server->lock);
	p->requests++;
	return true;
}

static bool send_head(struct peer *p, const char *more, size_t length)
{
	char head[512];
	int n = snprintf(head, sizeof(head), OK_HEAD "%sContent-Length: %zu\r\n\r\n", more, length);
	return send_all(p->fd, head, (size_t)n);
}

static enum after send_zeros(struct peer *p, size_t n)
{
	static const char zeros[1 << 16];
	bool fine = send_head(p, "", n);
	for (; fine && n > 0; n -= n < sizeof(zeros) ? n : sizeof(zeros))
		fine = send_all(p->fd, zeros, n < sizeof(zeros) ? n : sizeof(zeros));
	return fine ? KEEP : CLOSE;
}

/* n bytes of nothing, gzipped to a thousandth. */
static enum after send_gzip(struct peer *p, size_t n)
{
	z_stream z = {0};
	AUTO_BUF out = buf_make(MIB);
	AUTO_FREE char *zeros = xcalloc(1, n);
	AUTO_FREE char *packed = xcalloc(1, MIB);
	deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	z.next_in = (Bytef *)zeros;
	z.avail_in = (uInt)n;
	z.next_out = (Bytef *)packed;
	z.avail_out = (uInt)MIB;
	deflate(&z, Z_FINISH);
	deflateEnd(&z);
	bool fine = send_head(p, "Content-Encoding: gzip\r\n", z.total_out) && send_all(p->fd, packed, z.total_out);
	return fine ? KEEP : CLOSE;
}

/* What the table cannot say. -1: not one of these. */
static int special(struct peer *p)
{
	if (strcmp(p->path, "/echo") == 0)
		return send_head(p, "", p->body_len) && send_all(p->fd, p->body, p->body_len) ? KEEP : CLOSE;
	if (strcmp(p->path, "/moody") == 0) /* a kept connection dies with the request read */
		return p->requests > 1 || !send_head(p, "", 2) || !send_all(p->fd, "{}", 2) ? CLOSE : KEEP;
	if (strcmp(p->path, "/zeros-12") == 0)
		return (int)send_zeros(p, 12 * MIB);
	if (strcmp(p->path, "/zeros-16") == 0)
		return (int)send_zeros(p, 16 * MIB);
	if (strcmp(p->path, "/zeros-17") == 0)
		return (int)send_zeros(p, 17 * MIB);
	if (strcmp(p->path, "/gzip-1") == 0)
		return (int)send_gzip(p, MIB);
	if (strcmp(p->path, "/gzip-64") == 0)
		return (int)send_gzip(p, 64 * MIB);
	if (strcmp(p->path, "/drip") == 0) {
		send_head(p, "", 1000);
		for (int i = 0; i < 500 && send_all(p->fd, "x", 1); i++)
			poll(NULL, 0, 20);
		return CLOSE;
	}
	if (strcmp(p->path, "/headers") == 0 || strcmp(p->path, "/continues") == 0) {
		bool headers = p->path[1] == 'h';
		const char *line = headers ? "X-Filler: 0123456789012345678901234567890123456789\r\n"
					   : "HTTP/1.1 100 Continue\r\nX-Filler: 01234567890123456789\r\n\r\n";
		if (headers)
			send_all(p->fd, OK_HEAD, strlen(OK_HEAD));
		for (int i = 0; i < 1000000 && send_all(p->fd, line, strlen(line)); i++)
			;
		return CLOSE;
	}
	if (strcmp(p->path, "/long") == 0) {
		AUTO_BUF out = buf_make(MIB);
		buf_addf(&out, OK_HEAD "X-Subject-Token: %09000d\r\nLocation: http://%0600d/\r\n", 0, 0);
		buf_addf(&out, "X-Openstack-Request-Id: req-%0200d\r\nContent-Length: 0\r\n\r\n", 0);
		return send_all(p->fd, out.data, out.len) ? KEEP : CLOSE;
	}
	if (strncmp(p->path, "/to-", 4) == 0) { /* /to-307: a redirection */
		char text[256];
		int n = snprintf(text, sizeof(text),
				 "HTTP/1.1 %.3s Go\r\nLocation: %s/ok\r\nContent-Length: 2\r\n\r\n{}", p->path + 4,
				 p->server->elsewhere);
		return send_all(p->fd, text, (size_t)n) ? KEEP : CLOSE;
	}
	if (strcmp(p->method, "CONNECT") == 0) { /* a proxy that then goes away */
		static const char text[] = "HTTP/1.1 200 Established\r\nX-Subject-Token: wrong\r\n\r\n";
		send_all(p->fd, text, strlen(text));
		return CLOSE;
	}
	return -1;
}

static enum after answer(struct peer *p)
{
	int after = special(p);
	if (after >= 0)
		return (enum after)after;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(table[i].path, p->path) == 0) {
			poll(NULL, 0, table[i].delay_ms);
			size_t n = strlen(table[i].answer);
			return send_all(p->fd, table[i].answer, n) ? table[i].after : CLOSE;
		}
	static const char none[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
	return send_all(p->fd, none, strlen(none)) ? KEEP : CLOSE;
}

static void *serve(void *arg)
{
	struct peer *p = arg;
	enum after after = KEEP;
	while (after == KEEP && read_request(p))
		after = answer(p);
	char byte;
	struct pollfd fds = {.fd = p->fd, .events = POLLIN};
	while (after == HANG && !atomic_load(&p->server->ending))
		if (poll(&fds, 1, 20) > 0 && recv(p->fd, &byte, 1, 0) <= 0)
			break;
	if (after == RESET) {
		struct linger now = {.l_onoff = 1, .l_linger = 0};
		setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	}
	close(p->fd);
	buf_finish(&p->in);
	atomic_fetch_sub(&p->server->open, 1);
	free(p);
	return NULL;
}

static void *listen_on(void *arg)
{
	struct server *s = arg;
	pthread_attr_t detached;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	while (!atomic_load(&s->ending)) {
		struct pollfd fds = {.fd = s->fd, .events = POLLIN};
		if (poll(&fds, 1, 20) <= 0)
			continue;
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		struct peer *p = xcalloc(1, sizeof(*p));
		*p = (struct peer){.server = s, .fd = fd, .in = buf_make(64 * MIB)};
		atomic_fetch_add(&s->connections, 1);
		atomic_fetch_add(&s->open, 1);
		pthread_t thread;
		if (pthread_create(&thread, &detached, serve, p) != 0)
			abort();
	}
	pthread_attr_destroy(&detached);
	return NULL;
}

static int listen_loopback(int backlog, int *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, backlog) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	*port = ntohs(a.sin_port);
	return fd;
}

static struct server *server_new(void)
{
	struct server *s = xcalloc(1, sizeof(*s));
	s->fd = listen_loopback(128, &s->port);
	s->log = s->last = buf_make(MIB);
	pthread_mutex_init(&s->lock, NULL);
	assert_int_equal(pthread_create(&s->thread, NULL, listen_on, s), 0);
	return s;
}

static void server_free(struct server *s)
{
	atomic_store(&s->ending, true);
	pthread_join(s->thread, NULL);
	close(s->fd);
	while (atomic_load(&s->open) > 0)
		poll(NULL, 0, 5);
	buf_finish(&s->log);
	buf_finish(&s->last);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* How often the request ("POST /eat") came. */
static int hits(struct server *s, const char *request)
{
	int n = 0;
	pthread_mutex_lock(&s->lock);
	for (const char *p = s->log.data; (p = strstr(p, request)); p += strlen(request))
		n += p[strlen(request)] == '\n';
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* --- a test's things --- */

struct fixture {
	struct server *server;
	struct http *http;
	struct http_reply reply;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct http_settings settings = {.timeout_ms = 20000};
	f->server = server_new();
	f->http = http_new(&settings, &f->err);
	http_reply_init(&f->reply);
	*state = f;
	return f->http ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	stop_clear(); /* of a test that failed: a second stop ends the program */
	http_reply_finish(&f->reply);
	http_free(f->http);
	server_free(f->server);
	free(f);
	return 0;
}

static int ask_q(struct fixture *f, const char *path, struct http_request q)
{
	char url[256];
	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", f->server->port, path);
	q.url = url;
	err_clear(&f->err);
	return http_do(f->http, &q, &f->reply, &f->err);
}

static int ask(struct fixture *f, const char *method, const char *path)
{
	return ask_q(f, path, (struct http_request){.method = method});
}

static int ask_url(struct fixture *f, const char *method, const char *url)
{
	struct http_request q = {.method = method, .url = url};
	err_clear(&f->err);
	return http_do(f->http, &q, &f->reply, &f->err);
}

#define assert_text(text, part) assert_non_null(strstr((text), (part)))

static void assert_answer(struct fixture *f, int rc, int status)
{
	if (rc != 0)
		fail_msg("%s", f->err.msg);
	assert_int_equal(f->reply.fate, HTTP_ANSWERED);
	assert_int_equal(f->reply.status, status);
	assert_false(f->reply.hopeless);
}

static void assert_failed(struct fixture *f, int rc, enum http_fate fate)
{
	assert_int_equal(rc, -1);
	if (f->reply.fate != fate)
		fail_msg("fate %d: %s", (int)f->reply.fate, f->err.msg);
	assert_true(f->err.reach == ERR_CLOUD || f->err.reach == ERR_CANCELED);
	assert_int_equal(f->err.code, 0);
}

/* --- tests --- */

static void test_request(void **state)
{
	struct fixture *f = *state;
	static const char *const headers[] = {"X-Auth-Token: secret", "Accept: application/json", NULL};
	int rc = ask_q(f, "/ok?limit=2", (struct http_request){.method = "GET", .headers = headers});
	assert_answer(f, rc, 200);
	assert_string_equal(f->reply.body.data, "{\"a\":1}");
	assert_string_equal(f->reply.request_id, "req-1");
	assert_string_equal(f->reply.content_type, "application/json");
	assert_string_equal(f->reply.subject_token, "");
	assert_int_equal(f->reply.retry_after_ms, -1);
	assert_int_equal(f->reply.date, 0);
	const char *sent = f->server->last.data;
	assert_text(sent, "GET /ok?limit=2 HTTP/1.1\r\n");
	assert_text(sent, "User-Agent: stepbox\r\n");
	assert_text(sent, "X-Auth-Token: secret\r\n");
	assert_text(sent, "Accept: application/json\r\n");
	assert_text(sent, "Accept-Encoding: ");
	assert_null(strcasestr(sent, "Content-Type"));

	rc = ask_q(f, "/echo", (struct http_request){.method = "POST", .body = "a\0b", .body_len = 3});
	assert_answer(f, rc, 200);
	assert_int_equal(f->reply.body.len, 3);
	assert_memory_equal(f->reply.body.data, "a\0b", 3);
	assert_null(strcasestr(f->server->last.data, "Content-Type"));
	assert_answer(f, ask(f, "POST", "/echo"), 200);
	assert_int_equal(f->reply.body.len, 0);
	assert_text(f->server->last.data, "Content-Length: 0\r\n");
	static const char *const typed[] = {"content-type: application/json", NULL};
	rc = ask_q(f, "/echo", (struct http_request){.method = "PATCH", .headers = typed, .body = "{}", .body_len = 2});
	assert_answer(f, rc, 200);
	assert_text(f->server->last.data, "PATCH /echo ");
	assert_text(f->server->last.data, "content-type: application/json\r\n");
	assert_null(strcasestr(f->server->last.data, "urlencoded"));
	assert_answer(f, ask_q(f, "/echo", (struct http_request){.method = "PUT", .body = "p", .body_len = 1}), 200);
	assert_answer(f, ask(f, "DELETE", "/none"), 204);
	assert_answer(f, ask_q(f, "/echo", (struct http_request){.method = "DELETE", .body = "d", .body_len = 1}), 200);
	assert_string_equal(f->reply.body.data, "d");
	assert_answer(f, ask(f, "HEAD", "/none"), 204);
	assert_answer(f, ask(f, "GET", "/nosuch"), 404);
	assert_int_equal(hits(f->server, "DELETE /none"), 1);
}

/* 100 KiB of user-data: neither an Expect header nor the second that waiting for 100 Continue takes. */
static void test_large_request(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *body = xcalloc(1, 3 * MIB);
	memset(body, 'u', 3 * MIB);
	mono_ms begin = clock_mono();
	int rc = ask_q(f, "/echo", (struct http_request){.method = "POST", .body = body, .body_len = 3 * MIB});
	assert_answer(f, rc, 200);
	assert_true(clock_mono() - begin < 900);
	assert_int_equal(f->reply.body.len, 3 * MIB);
	assert_memory_equal(f->reply.body.data, body, 3 * MIB);
	assert_null(strcasestr(f->server->last.data, "Expect"));
}

static void test_headers(void **state)
{
	struct fixture *f = *state;
	struct http_reply *r = &f->reply;
	assert_answer(f, ask(f, "POST", "/lower"), 201);
	assert_string_equal(r->content_type, "application/json");
	assert_string_equal(r->request_id, "req-2");
	assert_string_equal(r->subject_token, "gAAAA-tok_en");
	assert_string_equal(r->location, "http://h/1");
	assert_string_equal(r->authenticate, "Keystone uri=\"http://k/v3\"");
	assert_true(r->has_receipt);
	assert_int_equal(r->date, 1795368363);
	assert_answer(f, ask(f, "POST", "/title"), 202);
	assert_string_equal(r->request_id, "req-3");
	assert_string_equal(r->subject_token, ""); /* of the call before */
	assert_false(r->has_receipt);
	assert_answer(f, ask(f, "GET", "/continue"), 200);
	assert_string_equal(r->request_id, "right");
	assert_string_equal(r->subject_token, "");
	assert_string_equal(r->location, "");
	assert_false(r->has_receipt);
	assert_int_equal(r->retry_after_ms, -1);
	assert_answer(f, ask(f, "GET", "/trailer"), 200);
	assert_string_equal(r->subject_token, "");
	assert_int_equal(r->retry_after_ms, -1);
	assert_string_equal(r->body.data, "{}");
	assert_answer(f, ask(f, "GET", "/hostile"), 403);
	assert_string_equal(r->request_id, "a?[2Jb???");
	assert_string_equal(r->subject_token, "a?b");
	assert_int_equal(r->retry_after_ms, -1);
	assert_answer(f, ask(f, "GET", "/long"), 200);
	assert_string_equal(r->subject_token, "");
	assert_string_equal(r->location, "");
	assert_int_equal(strlen(r->request_id), sizeof(r->request_id) - 1);
	assert_answer(f, ask(f, "GET", "/eof"), 200);
	assert_string_equal(r->body.data, "to the end");
}

static void test_retry_after(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *path;
		int64_t ms;
	} cases[] = {
		{"/after-5", 5000},      {"/after-0", 0},     {"/after-much", HTTP_RETRY_AFTER_MAX_MS},
		{"/after-date", 10000},  {"/after-past", 0},  {"/after-undated", HTTP_RETRY_AFTER_MAX_MS},
		{"/after-negative", -1}, {"/after-word", -1}, {"/after-tail", -1},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(ask(f, "GET", cases[i].path), 0);
		if (f->reply.retry_after_ms != cases[i].ms)
			fail_msg("%s: %lld", cases[i].path, (long long)f->reply.retry_after_ms);
	}
}

/* A token in a header must not travel to another host, nor a POST become a GET. */
static void test_redirects(void **state)
{
	struct fixture *f = *state;
	struct server *other = server_new();
	static const char *const headers[] = {"X-Auth-Token: secret", NULL};
	static const int statuses[] = {300, 301, 302, 303, 307, 308};
	static const char *const methods[] = {"GET", "POST", "DELETE"};
	snprintf(f->server->elsewhere, sizeof(f->server->elsewhere), "http://127.0.0.1:%d", other->port);
	for (size_t i = 0; i < ARRAY_SIZE(statuses) * ARRAY_SIZE(methods); i++) {
		char path[32], location[80];
		int status = statuses[i / ARRAY_SIZE(methods)];
		snprintf(path, sizeof(path), "/to-%d", status);
		snprintf(location, sizeof(location), "%s/ok", f->server->elsewhere);
		struct http_request q = {.method = methods[i % ARRAY_SIZE(methods)], .headers = headers};
		assert_answer(f, ask_q(f, path, q), status);
		assert_string_equal(f->reply.location, location);
		assert_string_equal(f->reply.body.data, "{}");
	}
	assert_int_equal(atomic_load(&other->connections), 0);
	server_free(other);
}

static void test_body_limit(void **state)
{
	struct fixture *f = *state;
	assert_answer(f, ask(f, "GET", "/zeros-12"), 200);
	assert_int_equal(f->reply.body.len, 12 * MIB);
	assert_answer(f, ask(f, "GET", "/zeros-16"), 200);
	assert_int_equal(f->reply.body.len, HTTP_BODY_MAX);
	assert_answer(f, ask(f, "GET", "/gzip-1"), 200);
	assert_int_equal(f->reply.body.len, MIB);
	static const char *const much[] = {"/zeros-17", "/gzip-64"};
	for (size_t i = 0; i < ARRAY_SIZE(much); i++) {
		assert_failed(f, ask(f, "GET", much[i]), HTTP_UNSURE);
		assert_true(f->reply.hopeless);
		assert_text(f->err.msg, "the answer is longer than 16 MiB");
	}
	/* Whoever stops it, us or libcurl, which also has its limits. */
	assert_failed(f, ask(f, "GET", "/headers"), HTTP_UNSURE);
	assert_failed(f, ask(f, "GET", "/continues"), HTTP_UNSURE);
	assert_answer(f, ask(f, "GET", "/ok"), 200);
	assert_int_equal(f->reply.body.len, 7);
}

static void test_broken_answers(void **state)
{
	struct fixture *f = *state;
	static const char *const paths[] = {"/cut", "/cut-chunk", "/cut-head", "/cut-reset",
					    "/eat", "/reset",     "/noise"};
	static const char *const methods[] = {"GET", "POST", "DELETE"};
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
			char url[100], request[64];
			snprintf(url, sizeof(url), "%s http://127.0.0.1:%d%s: ", methods[m], f->server->port, paths[i]);
			snprintf(request, sizeof(request), "%s %s", methods[m], paths[i]);
			assert_failed(f, ask(f, methods[m], paths[i]), HTTP_UNSURE);
			assert_true(f->reply.hopeless == (strcmp(paths[i], "/noise") == 0)); /* not HTTP */
			assert_memory_equal(f->err.msg, url, strlen(url));
			assert_true(strlen(f->err.msg) > strlen(url));
			assert_int_equal(hits(f->server, request), 1);
		}
	assert_failed(f, ask(f, "POST", "/cut"), HTTP_UNSURE);
	assert_int_equal(f->reply.status, 202);
}

static void test_not_sent(void **state)
{
	struct fixture *f = *state;
	int free_port = 0;
	close(listen_loopback(1, &free_port));
	char url[128];
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/x", free_port);
	assert_failed(f, ask_url(f, "POST", url), HTTP_NOT_SENT);
	assert_text(f->err.msg, "Connection refused");
	assert_false(f->reply.hopeless);
	assert_failed(f, ask_url(f, "POST", "http://none.test/x"), HTTP_NOT_SENT);
	assert_text(f->err.msg, "none.test");
	assert_false(f->reply.hopeless);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/ok", f->server->port); /* no TLS there */
	assert_failed(f, ask_url(f, "POST", url), HTTP_NOT_SENT);
	static const char *const bad[] = {"ftp://127.0.0.1/",
					  "file:///etc/passwd",
					  "",
					  "http://",
					  "http://a b/",
					  "http://127.0.0.1:99999/",
					  "http://h/\r\nX-Evil: 1",
					  "gopher://127.0.0.1:1/"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_failed(f, ask_url(f, "GET", bad[i]), HTTP_NOT_SENT);
		assert_true(f->reply.hopeless);
		assert_null(strpbrk(f->err.msg, "\r\n"));
	}
	static const char *const evil[] = {"X-Auth-Token: ab\r\nX-Evil: 1", NULL};
	assert_int_equal(ask_q(f, "/ok", (struct http_request){.method = "GET", .headers = evil}), -1);
	assert_int_equal(f->err.reach, ERR_USER);
	assert_true(f->reply.hopeless);
	assert_text(f->err.msg, "header X-Auth-Token: control character");
	assert_null(strstr(f->err.msg, "ab"));
	assert_int_equal(f->server->log.len, 0);
}

/* A listener whose queue is full answers no SYN: the connection does not come about in time. */
static void test_connect_timeout(void **state)
{
	struct fixture *f = *state;
	int port = 0, fds[8];
	int fd = listen_loopback(0, &port);
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(connect(fds[i], (struct sockaddr *)&a, sizeof(a)) == 0 || errno == EINPROGRESS);
	}
	struct http_settings settings = {.connect_ms = 200, .timeout_ms = 20000};
	struct http *h = http_new(&settings, &f->err);
	char url[64];
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
	struct http_request q = {.method = "POST", .url = url};
	assert_failed(f, http_do(h, &q, &f->reply, &f->err), HTTP_NOT_SENT);
	assert_in_range(f->reply.took_ms, 199, SOON);
	http_free(h);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	close(fd);
}

static void test_kept_connections(void **state)
{
	struct fixture *f = *state;
	struct server *s = f->server;
	for (int i = 0; i < 5; i++)
		assert_answer(f, ask(f, "GET", "/ok"), 200);
	assert_answer(f, ask(f, "DELETE", "/none"), 204);
	assert_int_equal(atomic_load(&s->connections), 1);
	/* Closed by the server without a word: a new connection, whatever the method. */
	for (int i = 0; i < 20; i++)
		assert_answer(f, ask(f, i % 2 ? "POST" : "GET", "/ok-close"), 200);
	assert_int_equal(hits(s, "POST /ok-close"), 10);
	assert_int_equal(hits(s, "GET /ok-close"), 10);
}

/* The kept connection dies just when the request is on it: libcurl repeats what is idempotent; a POST never goes over a
 * kept connection, and never twice. */
static void test_dying_connections(void **state)
{
	struct fixture *f = *state;
	struct server *s = f->server;
	assert_answer(f, ask(f, "GET", "/ok"), 200);
	assert_answer(f, ask(f, "GET", "/moody"), 200);
	assert_int_equal(hits(s, "GET /moody"), 2);
	assert_answer(f, ask(f, "DELETE", "/moody"), 200);
	assert_int_equal(hits(s, "DELETE /moody"), 2);
	assert_answer(f, ask(f, "GET", "/ok"), 200);
	assert_answer(f, ask(f, "POST", "/moody"), 200);
	assert_int_equal(hits(s, "POST /moody"), 1);
	static const char *const paths[] = {"/eat", "/reset"};
	for (int i = 0; i < 20; i++) {
		assert_answer(f, ask(f, "GET", "/ok"), 200);
		assert_failed(f, ask(f, i % 4 < 2 ? "POST" : "PATCH", paths[i % 2]), HTTP_UNSURE);
	}
	assert_int_equal(hits(s, "POST /eat") + hits(s, "POST /reset"), 10);
	assert_int_equal(hits(s, "PATCH /eat") + hits(s, "PATCH /reset"), 10);
}

static void test_deadlines(void **state)
{
	struct fixture *f = *state;
	assert_answer(f, ask_q(f, "/slow", (struct http_request){.method = "GET", .deadline = clock_deadline(10000)}),
		      200);
	assert_in_range(f->reply.took_ms, SLOW_MS, SLOW_MS + SOON);
	assert_answer(
		f,
		ask_q(f, "/slow",
		      (struct http_request){.method = "GET", .deadline = DEADLINE_NEVER, .timeout_ms = INT64_MAX}),
		200);
	static const char *const paths[] = {"/hang", "/cut-hang", "/drip"};
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct http_request q = {.method = "POST", .timeout_ms = 150};
		assert_failed(f, ask_q(f, paths[i], q), HTTP_UNSURE);
		assert_in_range(f->reply.took_ms, 149, SOON);
		q = (struct http_request){.method = "GET", .deadline = clock_deadline(150)};
		assert_failed(f, ask_q(f, paths[i], q), HTTP_UNSURE);
		assert_in_range(f->reply.took_ms, 140, SOON);
		assert_int_equal(f->err.reach, ERR_CLOUD);
		assert_text(f->err.msg, "timed out");
	}
	int before = atomic_load(&f->server->connections);
	struct http_request q = {.method = "GET", .deadline = clock_mono()};
	assert_failed(f, ask_q(f, "/ok", q), HTTP_NOT_SENT);
	assert_true(f->reply.hopeless);
	assert_int_equal(atomic_load(&f->server->connections), before);
	/* A name server that does not answer holds nobody up. */
	q = (struct http_request){.method = "POST", .url = "http://slow.test/", .timeout_ms = 150};
	assert_failed(f, http_do(f->http, &q, &f->reply, &f->err), HTTP_NOT_SENT);
	assert_in_range(f->reply.took_ms, 149, SOON);
	assert_answer(f, ask(f, "GET", "/ok"), 200);
}

static void *stop_later(void *arg)
{
	poll(NULL, 0, 150);
	if (arg)
		kill(getpid(), SIGTERM);
	else
		stop_trigger();
	return NULL;
}

static void test_stop(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *url; /* NULL: path */
		const char *path;
		enum http_fate fate;
		bool by_signal;
	} cases[] = {
		{NULL, "/hang", HTTP_UNSURE, false},
		{NULL, "/hang", HTTP_UNSURE, true},
		{NULL, "/cut-hang", HTTP_UNSURE, false},
		{NULL, "/drip", HTTP_UNSURE, true},
		{"http://slow.test/", NULL, HTTP_NOT_SENT, false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, stop_later, cases[i].by_signal ? &thread : NULL), 0);
		int rc = cases[i].url ? ask_url(f, "POST", cases[i].url) : ask(f, "POST", cases[i].path);
		pthread_join(thread, NULL);
		assert_failed(f, rc, cases[i].fate);
		assert_int_equal(f->err.reach, ERR_CANCELED);
		assert_text(f->err.msg, ": stopped");
		assert_true(f->reply.took_ms < SOON);
		/* Before it began: not sent. */
		int before = atomic_load(&f->server->connections);
		assert_failed(f, ask(f, "POST", "/ok"), HTTP_NOT_SENT);
		assert_int_equal(f->err.reach, ERR_CANCELED);
		assert_int_equal(atomic_load(&f->server->connections), before);
		/* Teardown goes on, and does not spin on the pipe that is readable. */
		clock_t cpu = clock();
		assert_answer(f, ask_q(f, "/slow", (struct http_request){.method = "GET", .mode = WAIT_IGNORE_STOP}),
			      200);
		assert_true(clock() - cpu < CLOCKS_PER_SEC / 10);
		stop_clear();
	}
	assert_answer(f, ask(f, "GET", "/ok"), 200);
}

/* Runs what with stderr in a file and gives its text. */
static char *log_of(struct fixture *f, const char *method, const char *url, const char *token)
{
	char path[] = "/tmp/stepbox-http-log-XXXXXX";
	int fd = mkstemp(path), saved = dup(STDERR_FILENO);
	const char *headers[] = {token, NULL};
	struct http_request q = {
		.method = method, .url = url, .headers = headers, .body = "pass-in-body", .body_len = 12};
	log_set_level(LOG_TRACE);
	dup2(fd, STDERR_FILENO);
	int unused = http_do(f->http, &q, &f->reply, &f->err);
	(void)unused;
	dup2(saved, STDERR_FILENO);
	log_set_level(LOG_INFO);
	AUTO_BUF text = buf_make(MIB);
	char piece[4096];
	ssize_t n = pread(fd, piece, sizeof(piece), 0);
	buf_add(&text, piece, n > 0 ? (size_t)n : 0);
	close(fd);
	close(saved);
	unlink(path);
	return buf_take(&text);
}

static void test_log_and_secrets(void **state)
{
	struct fixture *f = *state;
	char url[300], want[300];
	snprintf(url, sizeof(url),
		 "http://127.0.0.1:%d/ok?limit=2&X-Auth-Token=SeCrEt&name=a&PASSWORD=SeCrEt&api_key=SeCrEt",
		 f->server->port);
	AUTO_FREE char *text = log_of(f, "POST", url, "X-Auth-Token: SeCrEt");
	snprintf(want, sizeof(want),
		 "http: POST http://127.0.0.1:%d/ok?limit=2&X-Auth-Token=…&name=a&PASSWORD=…&api_key=…: 200 req-1 (",
		 f->server->port);
	assert_memory_equal(text, want, strlen(want));
	assert_text(text, " ms)\n");
	assert_null(strstr(text, "SeCrEt"));
	assert_null(strstr(text, "pass-in-body"));

	snprintf(url, sizeof(url), "http://user:SeCrEt@p@127.0.0.1:%d/eat?a=@&secret=SeCrEt", f->server->port);
	AUTO_FREE char *failed = log_of(f, "GET", url, "X-Auth-Token: SeCrEt");
	assert_text(failed, "http: GET http://…@127.0.0.1:");
	assert_null(strstr(failed, "SeCrEt"));
	assert_null(strstr(f->err.msg, "SeCrEt"));
	assert_int_equal(f->reply.fate, HTTP_NOT_SENT); /* a password in a URL is refused */
	assert_true(f->reply.hopeless);

	assert_answer(f, ask(f, "POST", "/lower"), 201);
	http_reply_finish(&f->reply);
	assert_string_equal(f->reply.subject_token, "");
	assert_int_equal(f->reply.body.len, 0);
}

/* What a proxy says to CONNECT is not the cloud's answer; nothing was sent to the cloud. */
static void test_proxy(void **state)
{
	struct fixture *f = *state;
	char proxy[64];
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", f->server->port);
	setenv("https_proxy", proxy, 1);
	int rc = ask_url(f, "POST", "https://none.test/v3");
	unsetenv("https_proxy");
	assert_failed(f, rc, HTTP_NOT_SENT);
	assert_int_equal(hits(f->server, "CONNECT none.test:443"), 1);
	assert_string_equal(f->reply.subject_token, "");
	setenv("http_proxy", proxy, 1);
	rc = ask_url(f, "GET", "http://none.test/ok");
	unsetenv("http_proxy");
	assert_answer(f, rc, 404); /* the path is a whole URL there */
}

/* --- TLS --- */

struct tls {
	char dir[64], cert[96], key[96];
	int port;
	pid_t pid;
};

static void tls_certificate(struct tls *t, const char *names)
{
	AUTO_BUF out = buf_make(MIB);
	struct err err = ERR_INIT;
	snprintf(t->dir, sizeof(t->dir), "/tmp/stepbox-tls-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->cert, sizeof(t->cert), "%s/cert.pem", t->dir);
	snprintf(t->key, sizeof(t->key), "%s/key.pem", t->dir);
	const char *argv[] = {"openssl",
			      "req",
			      "-x509",
			      "-newkey",
			      "ec",
			      "-pkeyopt",
			      "ec_paramgen_curve:P-256",
			      "-nodes",
			      "-days",
			      "2",
			      "-subj",
			      "/CN=stepbox test",
			      "-addext",
			      names,
			      "-keyout",
			      t->key,
			      "-out",
			      t->cert,
			      NULL};
	if (proc_run(argv, &(struct proc_opts){.out = &out, .merge = true}, &err) != 0)
		fail_msg("openssl req: %s %s", err.msg, out.data);
}

/* openssl s_server says GET's request back as a page. verify: a client certificate is demanded. */
static void tls_start(struct tls *t, const char *names, bool verify)
{
	tls_certificate(t, names);
	close(listen_loopback(1, &t->port));
	char accept_on[32];
	snprintf(accept_on, sizeof(accept_on), "127.0.0.1:%d", t->port);
	t->pid = fork();
	if (t->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		int null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execlp("openssl", "openssl", "s_server", "-quiet", "-www", "-accept", accept_on, "-cert", t->cert,
		       "-key", t->key, verify ? "-Verify" : NULL, "1", "-CAfile", t->cert, "-verify_return_error",
		       (char *)NULL);
		_exit(127);
	}
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)t->port)};
	for (int i = 0; i < 500; i++) {
		AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			return;
		poll(NULL, 0, 20);
	}
	fail_msg("openssl s_server does not listen");
}

static void tls_end(struct tls *t)
{
	struct err err = ERR_INIT;
	kill(t->pid, SIGTERM);
	waitpid(t->pid, NULL, 0);
	assert_int_equal(fs_remove_tree(t->dir, &err), 0);
}

static int tls_get(struct fixture *f, const struct tls *t, const char *host, struct http_settings settings)
{
	char url[64];
	snprintf(url, sizeof(url), "https://%s:%d/", host, t->port);
	settings.timeout_ms = 10000;
	err_clear(&f->err);
	struct http *h = http_new(&settings, &f->err);
	assert_non_null(h);
	struct http_request q = {.method = "GET", .url = url};
	int rc = http_do(h, &q, &f->reply, &f->err);
	http_free(h);
	return rc;
}

static void test_tls(void **state)
{
	struct fixture *f = *state;
	struct tls t, wrong;
	tls_start(&t, "subjectAltName=DNS:localhost,IP:127.0.0.1", false);
	tls_start(&wrong, "subjectAltName=DNS:elsewhere.test", false);
	assert_answer(f, tls_get(f, &t, "127.0.0.1", (struct http_settings){.cacert = t.cert}), 200);
	assert_text(f->reply.body.data, "TLS");
	assert_answer(f, tls_get(f, &t, "localhost", (struct http_settings){.cacert = t.cert, .force_ipv4 = true}),
		      200);
	assert_answer(f, tls_get(f, &t, "127.0.0.1", (struct http_settings){.insecure = true}), 200);
	assert_answer(f, tls_get(f, &wrong, "127.0.0.1", (struct http_settings){.insecure = true}), 200);
	/* Not signed by anybody known; signed by another; the name is another's. */
	assert_failed(f, tls_get(f, &t, "127.0.0.1", (struct http_settings){0}), HTTP_NOT_SENT);
	assert_true(f->reply.hopeless);
	assert_text(f->err.msg, "certificate");
	assert_failed(f, tls_get(f, &t, "127.0.0.1", (struct http_settings){.cacert = wrong.cert}), HTTP_NOT_SENT);
	assert_true(f->reply.hopeless);
	assert_failed(f, tls_get(f, &wrong, "127.0.0.1", (struct http_settings){.cacert = wrong.cert}), HTTP_NOT_SENT);
	assert_true(f->reply.hopeless);
	/* A key is no certificate. */
	assert_failed(f, tls_get(f, &t, "127.0.0.1", (struct http_settings){.cacert = t.key}), HTTP_NOT_SENT);
	assert_true(f->reply.hopeless);
	tls_end(&t);
	tls_end(&wrong);
}

static void test_tls_client_certificate(void **state)
{
	struct fixture *f = *state;
	struct tls t;
	tls_start(&t, "subjectAltName=IP:127.0.0.1", true);
	struct http_settings settings = {.cacert = t.cert, .cert = t.cert, .key = t.key};
	assert_answer(f, tls_get(f, &t, "127.0.0.1", settings), 200);
	assert_int_equal(tls_get(f, &t, "127.0.0.1", (struct http_settings){.cacert = t.cert}), -1);
	tls_end(&t);
}

static void test_new(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct http_settings settings = {.cacert = "/nonexistent/ca.pem"};
	assert_null(http_new(&settings, &err));
	assert_int_equal(err.reach, ERR_USER);
	assert_string_equal(err.msg, "cacert /nonexistent/ca.pem: No such file or directory");
	settings = (struct http_settings){.cert = "/tmp"};
	assert_null(http_new(&settings, &err));
	assert_string_equal(err.msg, "cert /tmp: not a file");
	settings = (struct http_settings){.key = "/nonexistent/key"};
	assert_null(http_new(&settings, &err));
	http_free(NULL);
}

/* --- threads --- */

struct worker {
	pthread_t thread;
	struct fixture *f;
	int number, rounds;
	const char *path; /* NULL: /ok and /echo in turn */
	int wrong;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct http_reply r;
	struct err err = ERR_INIT;
	char ok[64], echo[64], text[64], path[64];
	http_reply_init(&r);
	snprintf(ok, sizeof(ok), "http://127.0.0.1:%d/ok", w->f->server->port);
	snprintf(echo, sizeof(echo), "http://127.0.0.1:%d/echo", w->f->server->port);
	snprintf(path, sizeof(path), "http://127.0.0.1:%d%s", w->f->server->port, w->path ? w->path : "");
	for (int i = 0; i < w->rounds; i++) {
		bool post = !w->path && i % 2;
		snprintf(text, sizeof(text), "worker %d round %d", w->number, i);
		struct http_request q = {.method = post ? "POST" : "GET", .url = w->path ? path : post ? echo : ok};
		q.body = post ? text : NULL;
		q.body_len = post ? strlen(text) : 0;
		if (http_do(w->f->http, &q, &r, &err) < 0 || r.status != 200 ||
		    (post && strcmp(r.body.data, text) != 0) || (!post && r.body.data[0] != '{'))
			w->wrong++;
	}
	http_reply_finish(&r);
	return NULL;
}

static void run_workers(struct fixture *f, int n, int rounds, const char *path)
{
	struct worker workers[40];
	for (int i = 0; i < n; i++) {
		workers[i] = (struct worker){.f = f, .number = i, .rounds = rounds, .path = path};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < n; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].wrong, 0);
	}
}

static void test_threads(void **state)
{
	struct fixture *f = *state;
	run_workers(f, 8, 50, "/ok");
	assert_in_range(atomic_load(&f->server->connections), 1, 8); /* each kept its own */
	assert_int_equal(hits(f->server, "GET /ok"), 400);
	run_workers(f, 8, 50, NULL);
	assert_int_equal(hits(f->server, "POST /echo"), 200);
	/* More at once than are kept: all are served, then the surplus is closed. */
	run_workers(f, 40, 2, "/slow");
	for (int i = 0; i < 200 && atomic_load(&f->server->open) > 16 * 8; i++)
		poll(NULL, 0, 10);
	assert_in_range(atomic_load(&f->server->open), 1, 16 * 8);
}

/* --- pure parts --- */

struct row {
	enum http_fate fate;
	int status;
	const char *type, *body;
	int64_t retry_after_ms;
	enum http_next safe, create;
};

#define JSON "application/json"
#define HTML "text/html; charset=utf-8"

static const struct row rows[] = {
	{HTTP_NOT_SENT, 0, "", "", -1, HTTP_AGAIN, HTTP_AGAIN},
	{HTTP_UNSURE, 0, "", "", -1, HTTP_AGAIN, HTTP_LOOK},
	{HTTP_UNSURE, 202, JSON, "{\"server\":", -1, HTTP_AGAIN, HTTP_LOOK},
	{HTTP_ANSWERED, 200, JSON, "{}", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 202, JSON, " {\"server\":{}}\n", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 202, JSON, "{\"server\":{\"id\":", -1, HTTP_ACCEPT, HTTP_LOOK},
	{HTTP_ANSWERED, 202, "", "", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 200, HTML, "<html>log in</html>", -1, HTTP_ACCEPT, HTTP_LOOK},
	{HTTP_ANSWERED, 204, "", "", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 300, JSON, "{\"versions\":{}}", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 301, HTML, "<html>", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 302, HTML, "<html>", -1, HTTP_ACCEPT, HTTP_LOOK},
	{HTTP_ANSWERED, 303, JSON, "{}", -1, HTTP_ACCEPT, HTTP_LOOK},
	{HTTP_ANSWERED, 308, "", "", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 400, JSON, "{\"badRequest\":{}}", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 400, HTML, "<html>", -1, HTTP_ACCEPT, HTTP_LOOK},
	{HTTP_ANSWERED, 400, "", "", -1, HTTP_ACCEPT, HTTP_LOOK},
	{HTTP_ANSWERED, 401, JSON, "{}", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 401, HTML, "Authentication required", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 403, "application/json; charset=UTF-8", "{\"forbidden\":{}}", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 403, HTML, "<html>", -1, HTTP_ACCEPT, HTTP_LOOK},
	{HTTP_ANSWERED, 403, "", "{\"forbidden\":{}}", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 404, "application/vnd.api+json", "{}", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 408, JSON, "{}", -1, HTTP_AGAIN, HTTP_LOOK},
	{HTTP_ANSWERED, 409, JSON, "{\"conflictingRequest\":{}}", -1, HTTP_ACCEPT, HTTP_ACCEPT},
	{HTTP_ANSWERED, 409, HTML, "<html>", -1, HTTP_ACCEPT, HTTP_LOOK},
	{HTTP_ANSWERED, 413, JSON, "{}", -1, HTTP_ACCEPT, HTTP_AGAIN},
	{HTTP_ANSWERED, 413, JSON, "{}", 3000, HTTP_AGAIN, HTTP_AGAIN},
	{HTTP_ANSWERED, 429, HTML, "<html>", -1, HTTP_AGAIN, HTTP_AGAIN},
	{HTTP_ANSWERED, 500, JSON, "{\"computeFault\":{}}", -1, HTTP_AGAIN, HTTP_LOOK},
	{HTTP_ANSWERED, 501, JSON, "{}", -1, HTTP_ACCEPT, HTTP_LOOK},
	{HTTP_ANSWERED, 502, HTML, "<html>", -1, HTTP_AGAIN, HTTP_LOOK},
	{HTTP_ANSWERED, 503, JSON, "{}", 1000, HTTP_AGAIN, HTTP_LOOK},
	{HTTP_ANSWERED, 504, HTML, "<html>", -1, HTTP_AGAIN, HTTP_LOOK},
	{HTTP_ANSWERED, 999, JSON, "{}", -1, HTTP_ACCEPT, HTTP_LOOK},
};

static void fill(struct http_reply *r, const struct row *row)
{
	http_reply_init(r);
	r->fate = row->fate;
	r->status = row->status;
	r->retry_after_ms = row->retry_after_ms;
	snprintf(r->content_type, sizeof(r->content_type), "%s", row->type);
	buf_adds(&r->body, row->body);
}

static void test_judge(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_reply r;
		int64_t ms = 0;
		fill(&r, &rows[i]);
		for (int safe = 0; safe < 2; safe++) {
			enum http_next want = safe ? rows[i].safe : rows[i].create;
			enum http_next got = http_judge(&r, safe, 1, 3, 0, &ms);
			if (got != want)
				fail_msg("row %zu (%d %s) safe %d: %d", i, rows[i].status, rows[i].type, safe,
					 (int)got);
			int64_t base = rows[i].retry_after_ms >= 0 ? rows[i].retry_after_ms : 1000;
			assert_int_equal(ms, want == HTTP_AGAIN ? base : 0);
			/* After the last attempt, and when nothing helps: no more of it, but a create is still looked
			 * for. */
			enum http_next last = want == HTTP_AGAIN ? HTTP_ACCEPT : want;
			assert_int_equal(http_judge(&r, safe, 3, 3, 0, &ms), last);
			assert_int_equal(ms, 0);
			r.hopeless = r.fate != HTTP_ANSWERED;
			assert_int_equal(http_judge(&r, safe, 1, 3, 0, &ms), r.hopeless ? last : want);
			r.hopeless = false;
		}
		http_reply_finish(&r);
	}
}

static void test_waits(void **state)
{
	(void)state;
	struct http_reply r;
	int64_t ms = 0;
	http_reply_init(&r);
	static const int64_t steps[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		http_judge(&r, true, (int)i + 1, 100, 0, &ms);
		assert_int_equal(ms, steps[i]);
		http_judge(&r, true, (int)i + 1, 100, 0.5, &ms);
		assert_int_equal(ms, steps[i] * 3 / 4);
		http_judge(&r, true, (int)i + 1, 100, 0.999, &ms);
		assert_in_range(ms, steps[i] / 2, steps[i] / 2 + 100);
	}
	http_judge(&r, true, INT32_MAX - 1, INT32_MAX, 0, &ms);
	assert_int_equal(ms, 30000);
	http_judge(&r, true, 1, 3, -7, &ms);
	assert_int_equal(ms, 1000);
	http_judge(&r, true, 1, 3, 7, &ms);
	assert_int_equal(ms, 500);
	r.fate = HTTP_ANSWERED;
	r.status = 429;
	r.retry_after_ms = 5000;
	http_judge(&r, false, 1, 3, 0.5, &ms);
	assert_int_equal(ms, 5500);
	r.retry_after_ms = INT64_MAX;
	http_judge(&r, false, 1, 3, 0, &ms);
	assert_int_equal(ms, HTTP_RETRY_AFTER_MAX_MS);
	http_reply_finish(&r);
}

static void test_escape(void **state)
{
	(void)state;
	AUTO_BUF out = buf_make(MIB);
	http_escape(&out, "az-AZ_09.~");
	assert_string_equal(out.data, "az-AZ_09.~");
	buf_reset(&out);
	http_escape(&out, "^a b$/?&=%+#\"é\n");
	assert_string_equal(out.data, "%5Ea%20b%24%2F%3F%26%3D%25%2B%23%22%C3%A9%0A");
	buf_reset(&out);
	http_escape(&out, "");
	assert_string_equal(out.data, "");
}

int main(void)
{
	static const char *const proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
					      "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
	struct err err = ERR_INIT;
	for (size_t i = 0; i < ARRAY_SIZE(proxies); i++)
		unsetenv(proxies[i]);
	stop_install();
	if (http_library_init(&err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retry_after, setup, teardown),
		cmocka_unit_test_setup_teardown(test_redirects, setup, teardown),
		cmocka_unit_test_setup_teardown(test_body_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_connect_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept_connections, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dying_connections, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadlines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_and_secrets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_proxy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tls_client_certificate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_escape),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	http_library_exit();
	return failed;
}
