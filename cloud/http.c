/* SPDX-License-Identifier: MIT */
/* How it works. A line is one easy handle in a multi handle of its own, which keeps its connections, names and TLS
 * sessions. http_do() takes an idle line or makes one, drives it with curl_multi_poll() and gives it back; so a line
 * belongs to one thread at a time, and only the list of idle lines has a lock.
 *
 * Was the request sent? libcurl (7.88: multi.c, MSTATE_DO) calls the "prerequest" function after name, connection and
 * TLS are there and before the first byte of a request, each time anew when it repeats one by itself. Not called: not a
 * byte left. Curl_retry_request() repeats whatever method on a connection that it had kept and that died before any
 * byte of an answer, also when the request had been sent and perhaps carried out. So what must not be repeated takes a
 * fresh connection, for which that function does nothing, and the prerequest function refuses a second time besides. */
#include "cloud/http.h"

#include <assert.h>
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/text.h"

#define CONNECT_MS_DEFAULT 10000
#define TIMEOUT_MS_DEFAULT 60000
#define TIMEOUT_MS_MAX     3600000
/* Our own look at the clock comes this much after libcurl's, whose message says what it was waiting for. */
#define TIMEOUT_GRACE_MS 200
/* Idle lines that are kept, and connections of each: keystone, nova, glance, neutron, and the next region's. */
#define IDLE_MAX        16
#define CONNECTIONS_MAX 8
#define KEEPALIVE_S     30L
#define URL_PRINT_MAX   300
#define CAUSE_PRINT_MAX 300
#define WAIT_FIRST_MS   1000
#define WAIT_MAX_MS     30000

static_assert(LIBCURL_VERSION_NUM >= 0x075700, "CURLOPT_QUICK_EXIT, CURLOPT_PROTOCOLS_STR");

struct line {
	CURL *easy;
	CURLM *multi;
};

struct http {
	char *cacert, *cert, *key;
	bool insecure, force_ipv4;
	int64_t connect_ms, timeout_ms;
	pthread_mutex_t lock; /* of what follows */
	struct line idle[IDLE_MAX];
	size_t n_idle;
};

/* One request on its way. */
struct exchange {
	const struct http_request *q;
	struct http_reply *r;
	bool repeatable;
	bool issued; /* the prerequest function was called */
	bool final;  /* the header block that counts is over */
	bool headers_flood;
	size_t header_bytes;
	char retry_after[64];
	char cause[CURL_ERROR_SIZE];
};

int http_library_init(struct err *err)
{
	CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
	if (rc != CURLE_OK)
		return err_set(err, ERR_BUG, 0, "libcurl: %s", curl_easy_strerror(rc));
	/* Without asynchronous names a wait for a dead name server could not be stopped. */
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
	if (!(v->features & CURL_VERSION_SSL) || !(v->features & CURL_VERSION_ASYNCHDNS))
		return err_set(err, ERR_USER, 0, "libcurl %s: built without TLS or asynchronous names", v->version);
	return 0;
}

void http_library_exit(void)
{
	curl_global_cleanup();
}

/* libcurl would tell only with the first connection, and without the path. */
static int check_file(const char *what, const char *path, struct err *err)
{
	if (!path)
		return 0;
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, ERR_USER, errno, "%s %s", what, path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USER, 0, "%s %s: not a file", what, path);
	return 0;
}

struct http *http_new(const struct http_settings *s, struct err *err)
{
	if (check_file("cacert", s->cacert, err) < 0 || check_file("cert", s->cert, err) < 0 ||
	    check_file("key", s->key, err) < 0)
		return NULL;
	struct http *h = xcalloc(1, sizeof(*h));
	h->cacert = xstrdup(s->cacert);
	h->cert = xstrdup(s->cert);
	h->key = xstrdup(s->key);
	h->insecure = s->insecure;
	h->force_ipv4 = s->force_ipv4;
	h->connect_ms = s->connect_ms > 0 ? s->connect_ms : CONNECT_MS_DEFAULT;
	h->timeout_ms = s->timeout_ms > 0 ? s->timeout_ms : TIMEOUT_MS_DEFAULT;
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

static void line_finish(struct line *l)
{
	curl_easy_cleanup(l->easy);
	curl_multi_cleanup(l->multi);
}

void http_free(struct http *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n_idle; i++)
		line_finish(&h->idle[i]);
	pthread_mutex_destroy(&h->lock);
	free(h->cacert);
	free(h->cert);
	free(h->key);
	free(h);
}

/* The line given back last is the one whose connections are the most alive. */
static struct line line_get(struct http *h)
{
	struct line l = {NULL, NULL};
	pthread_mutex_lock(&h->lock);
	if (h->n_idle > 0)
		l = h->idle[--h->n_idle];
	pthread_mutex_unlock(&h->lock);
	if (l.easy)
		return l;
	l = (struct line){.easy = curl_easy_init(), .multi = curl_multi_init()};
	if (!l.easy || !l.multi)
		abort(); /* no memory, as in base/mem.c */
	curl_multi_setopt(l.multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
	return l;
}

static void line_put(struct http *h, struct line l)
{
	bool kept = false;
	pthread_mutex_lock(&h->lock);
	if (h->n_idle < IDLE_MAX) {
		h->idle[h->n_idle++] = l;
		kept = true;
	}
	pthread_mutex_unlock(&h->lock);
	if (!kept)
		line_finish(&l);
}

void http_reply_init(struct http_reply *r)
{
	*r = (struct http_reply){.body = buf_make(HTTP_BODY_MAX), .retry_after_ms = -1};
}

void http_reply_finish(struct http_reply *r)
{
	if (r->body.cap)
		explicit_bzero(r->body.data, r->body.cap); /* tokens and passwords of new servers */
	buf_finish(&r->body);
	explicit_bzero(r->subject_token, sizeof(r->subject_token));
	http_reply_init(r);
}

/* Forgets what came before a status line; the body is not touched: there is none yet. */
static void forget_headers(struct exchange *x)
{
	struct http_reply *r = x->r;
	r->status = 0;
	r->request_id[0] = r->location[0] = r->subject_token[0] = r->authenticate[0] = r->content_type[0] = '\0';
	r->has_receipt = false;
	r->retry_after_ms = -1;
	r->date = 0;
	x->retry_after[0] = '\0';
}

/* The status of "HTTP/1.1 200 OK", 0 when there is none. */
static int status_of(const char *line, size_t n)
{
	const char *sp = memchr(line, ' ', n);
	size_t left = sp ? n - (size_t)(sp - line) : 0;
	if (left < 4 || !isdigit((unsigned char)sp[1]) || !isdigit((unsigned char)sp[2]) ||
	    !isdigit((unsigned char)sp[3]))
		return 0;
	return (sp[1] - '0') * 100 + (sp[2] - '0') * 10 + (sp[3] - '0');
}

/* First comes, first served; what is not printable ASCII becomes "?". whole: cut to size it would be of no use. */
static void keep_text(char *out, size_t size, bool whole, const char *s, size_t n)
{
	if (out[0] || (whole && n >= size))
		return;
	if (n >= size)
		n = size - 1;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(s[i] >= ' ' && s[i] <= '~' ? s[i] : '?');
	out[n] = '\0';
}

static bool name_is(const char *name, size_t n, const char *wanted)
{
	return n == strlen(wanted) && strncasecmp(name, wanted, n) == 0;
}

static void keep_header(struct exchange *x, const char *name, size_t name_len, const char *value, size_t n)
{
	struct http_reply *r = x->r;
	char date[64] = "";
	const struct {
		const char *name;
		char *out;
		size_t size;
		bool whole;
	} texts[] = {
		{"x-openstack-request-id", r->request_id, sizeof(r->request_id), false},
		{"x-compute-request-id", r->request_id, sizeof(r->request_id), false},
		{"location", r->location, sizeof(r->location), true},
		{"x-subject-token", r->subject_token, sizeof(r->subject_token), true},
		{"www-authenticate", r->authenticate, sizeof(r->authenticate), false},
		{"content-type", r->content_type, sizeof(r->content_type), false},
		{"retry-after", x->retry_after, sizeof(x->retry_after), true},
		{"date", date, sizeof(date), true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (name_is(name, name_len, texts[i].name))
			keep_text(texts[i].out, texts[i].size, texts[i].whole, value, n);
	if (name_is(name, name_len, "openstack-auth-receipt"))
		r->has_receipt = true;
	time_t when = date[0] && r->date == 0 ? curl_getdate(date, NULL) : -1;
	if (when > 0)
		r->date = when;
}

/* Retry-After (RFC 9110, 10.2.3) in ms: seconds, or a date, which is counted from the server's own. -1: neither. */
static int64_t retry_after_of(const char *text, int64_t server_now)
{
	int64_t seconds = 0;
	if (isdigit((unsigned char)text[0])) {
		for (; isdigit((unsigned char)*text); text++)
			if (seconds <= HTTP_RETRY_AFTER_MAX_MS)
				seconds = seconds * 10 + (*text - '0');
		if (*text)
			return -1;
	} else {
		/* A date begins with its weekday; curl_getdate() would find one in nearly anything. */
		time_t when = isalpha((unsigned char)text[0]) ? curl_getdate(text, NULL) : -1;
		if (when < 0)
			return -1;
		seconds = when - (server_now ? server_now : clock_wall());
	}
	if (seconds < 0)
		return 0;
	return seconds < HTTP_RETRY_AFTER_MAX_MS / 1000 ? seconds * 1000 : HTTP_RETRY_AFTER_MAX_MS;
}

/* One line of an answer's head: status line, header, or the empty line at the end of a block. */
static void take_header_line(struct exchange *x, const char *line, size_t n)
{
	if (x->final)
		return; /* a trailer: the answer has been judged by its head */
	while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == '\n'))
		n--;
	if (n == 0) {
		x->final = x->r->status >= 200;
		if (x->final)
			x->r->retry_after_ms = retry_after_of(x->retry_after, x->r->date);
		return;
	}
	if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		forget_headers(x);
		x->r->status = status_of(line, n);
		return;
	}
	const char *colon = memchr(line, ':', n);
	if (!colon)
		return;
	const char *value = colon + 1, *end = line + n;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	keep_header(x, line, (size_t)(colon - line), value, (size_t)(end - value));
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	x->header_bytes += size * n;
	if (x->header_bytes > HTTP_HEADERS_MAX) {
		x->headers_flood = true;
		return 0;
	}
	take_header_line(x, data, size * n);
	return size * n;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	return buf_add(&x->r->body, data, size * n) == 0 ? size * n : 0;
}

static int on_issue(void *ctx, char *their_ip, char *our_ip, int their_port, int our_port)
{
	struct exchange *x = ctx;
	(void)their_ip;
	(void)our_ip;
	(void)their_port;
	(void)our_port;
	if (x->issued && !x->repeatable)
		return CURL_PREREQFUNC_ABORT;
	x->issued = true;
	return CURL_PREREQFUNC_OK;
}

/* Adds the URL as people and logs may see it: no user name, no password, no value of a parameter that sounds secret,
 * nothing that a terminal obeys. */
static void add_url(struct buf *out, const char *url)
{
	static const char *const secret[] = {"token", "secret", "pass", "key", "sig", "auth", "cred", "code"};
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	const char *authority = strstr(url, "://");
	authority = authority ? authority + 3 : url;
	buf_add(&text, url, (size_t)(authority - url));
	size_t n = strcspn(authority, "/?#");
	for (size_t i = n; i > 0; i--)
		if (authority[i - 1] == '@') {
			buf_adds(&text, "…@");
			authority += i;
			n -= i;
			break;
		}
	n += strcspn(authority + n, "?");
	buf_add(&text, authority, n);
	for (const char *p = authority + n; *p; p += n) {
		n = 1 + strcspn(p + 1, "&");
		size_t name = strcspn(p, "=");
		if (name > n)
			name = n;
		AUTO_FREE char *param = xstrndup(p, name);
		bool hide = false;
		for (size_t i = 0; i < ARRAY_SIZE(secret); i++)
			hide = hide || strcasestr(param, secret[i]);
		buf_add(&text, p, hide ? name : n);
		if (hide)
			buf_adds(&text, "=…");
	}
	text_safe_line(out, text.data, text.len, URL_PRINT_MAX);
}

static bool is_repeatable(const char *method)
{
	static const char *const idempotent[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
	for (size_t i = 0; i < ARRAY_SIZE(idempotent); i++)
		if (strcmp(method, idempotent[i]) == 0)
			return true;
	return false;
}

static void slist_freep(struct curl_slist **l)
{
	curl_slist_free_all(*l);
}

static void slist_add(struct curl_slist **l, const char *text)
{
	struct curl_slist *more = curl_slist_append(*l, text);
	if (!more)
		abort(); /* no memory, as in base/mem.c */
	*l = more;
}

/* The caller's headers, and what libcurl must not add by itself: an Expect would cost a second with a server that does
 * not know it, and nothing we send is a form. */
static int make_headers(const struct http_request *q, struct curl_slist **list, struct err *err)
{
	bool typed = false;
	for (const char *const *h = q->headers; h && *h; h++) {
		for (const char *p = *h; *p; p++)
			if (iscntrl((unsigned char)*p))
				return err_set(err, ERR_USER, 0, "header %.*s: control character in its value",
					       (int)strcspn(*h, ":\r\n"), *h);
		slist_add(list, *h);
		typed = typed || strncasecmp(*h, "content-type:", 13) == 0;
	}
	slist_add(list, "Expect:");
	if (!typed)
		slist_add(list, "Content-Type:");
	return 0;
}

static CURLcode set_request(CURL *e, const struct http_request *q)
{
	bool has_body = q->body || strcmp(q->method, "POST") == 0 || strcmp(q->method, "PUT") == 0 ||
			strcmp(q->method, "PATCH") == 0;
	CURLcode rc = curl_easy_setopt(e, CURLOPT_URL, q->url);
	if (has_body) {
		rc = rc ? rc : curl_easy_setopt(e, CURLOPT_POST, 1L);
		rc = rc ? rc : curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body ? q->body : "");
		rc = rc ? rc
			: curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(q->body ? q->body_len : 0));
	} else if (strcmp(q->method, "HEAD") == 0) {
		return rc ? rc : curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	}
	return rc ? rc : curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, q->method);
}

static CURLcode set_tls(CURL *e, const struct http *h)
{
	CURLcode rc = curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, h->insecure ? 0L : 1L);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, h->insecure ? 0L : 2L);
	if (h->cacert)
		rc = rc ? rc : curl_easy_setopt(e, CURLOPT_CAINFO, h->cacert);
	if (h->cert)
		rc = rc ? rc : curl_easy_setopt(e, CURLOPT_SSLCERT, h->cert);
	if (h->key)
		rc = rc ? rc : curl_easy_setopt(e, CURLOPT_SSLKEY, h->key);
	return rc;
}

static CURLcode set_connection(CURL *e, const struct http *h, int64_t timeout_ms, bool fresh)
{
	int64_t connect_ms = h->connect_ms < timeout_ms ? h->connect_ms : timeout_ms;
	const struct {
		CURLoption option;
		long value;
	} longs[] = {
		{CURLOPT_NOSIGNAL, 1},
		{CURLOPT_QUICK_EXIT, 1}, /* a stop does not wait for a name server: the resolving thread is detached */
		{CURLOPT_FOLLOWLOCATION, 0},
		{CURLOPT_DISALLOW_USERNAME_IN_URL, 1},
		{CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
		{CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1}, /* one request at a time: 2 has nothing to give */
		{CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms},
		{CURLOPT_TIMEOUT_MS, (long)timeout_ms},
		{CURLOPT_TCP_KEEPALIVE, 1},
		{CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S},
		{CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S},
		{CURLOPT_FRESH_CONNECT, fresh},
		{CURLOPT_IPRESOLVE, h->force_ipv4 ? CURL_IPRESOLVE_V4 : CURL_IPRESOLVE_WHATEVER},
	};
	CURLcode rc = CURLE_OK;
	for (size_t i = 0; i < ARRAY_SIZE(longs) && rc == CURLE_OK; i++)
		rc = curl_easy_setopt(e, longs[i].option, longs[i].value);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
	return rc ? rc : curl_easy_setopt(e, CURLOPT_USERAGENT, "stepbox");
}

static CURLcode set_callbacks(CURL *e, struct exchange *x)
{
	CURLcode rc = curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->cause);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_issue);
	return rc ? rc : curl_easy_setopt(e, CURLOPT_PREREQDATA, x);
}

/* Runs the transfer to its end, the stop, or the end of time (monotonic). */
static CURLcode drive(struct line *l, enum wait_mode mode, mono_ms end, bool *stopped)
{
	struct curl_waitfd stop = {.fd = mode == WAIT_STOPPABLE ? stop_fd() : -1, .events = CURL_WAIT_POLLIN};
	for (;;) {
		int running = 0, left = 0;
		if (curl_multi_perform(l->multi, &running) != CURLM_OK)
			return CURLE_FAILED_INIT;
		const CURLMsg *m = curl_multi_info_read(l->multi, &left);
		if (m && m->msg == CURLMSG_DONE)
			return m->data.result;
		/* The flag, not the pipe: a signal ends the poll before it has looked at the pipe. */
		*stopped = mode == WAIT_STOPPABLE && stop_requested();
		if (*stopped)
			return CURLE_ABORTED_BY_CALLBACK;
		mono_ms now = clock_mono();
		if (now >= end)
			return CURLE_OPERATION_TIMEDOUT;
		int ms = end - now < 60000 ? (int)(end - now) : 60000;
		if (curl_multi_poll(l->multi, &stop, stop.fd >= 0 ? 1 : 0, ms, NULL) != CURLM_OK)
			return CURLE_FAILED_INIT;
	}
}

static CURLcode transfer(struct http *h, struct exchange *x, struct curl_slist *headers, int64_t timeout_ms,
			 bool *stopped)
{
	struct line l = line_get(h);
	curl_easy_reset(l.easy); /* keeps connections, names and TLS sessions */
	mono_ms end = clock_deadline(timeout_ms + TIMEOUT_GRACE_MS);
	CURLcode rc = set_request(l.easy, x->q);
	rc = rc ? rc : set_tls(l.easy, h);
	rc = rc ? rc : set_connection(l.easy, h, timeout_ms, !x->repeatable);
	rc = rc ? rc : set_callbacks(l.easy, x);
	rc = rc ? rc : curl_easy_setopt(l.easy, CURLOPT_HTTPHEADER, headers);
	if (rc == CURLE_OK && curl_multi_add_handle(l.multi, l.easy) != CURLM_OK)
		rc = CURLE_FAILED_INIT;
	if (rc == CURLE_OK) {
		rc = drive(&l, x->q->mode, end, stopped);
		curl_multi_remove_handle(l.multi, l.easy); /* closes the connection of an unfinished transfer */
	}
	long os_errno = 0;
	if (rc == CURLE_COULDNT_CONNECT && curl_easy_getinfo(l.easy, CURLINFO_OS_ERRNO, &os_errno) == CURLE_OK &&
	    os_errno) {
		size_t n = strlen(x->cause);
		const char *why = strerrordesc_np((int)os_errno);
		snprintf(x->cause + n, sizeof(x->cause) - n, " (%s)", why ? why : "unknown");
	}
	curl_easy_reset(l.easy); /* no pointer of this call stays behind */
	line_put(h, l);
	return rc;
}

/* What another try would meet again. */
static bool is_hopeless(CURLcode rc)
{
	static const CURLcode codes[] = {
		CURLE_URL_MALFORMAT,
		CURLE_UNSUPPORTED_PROTOCOL,
		CURLE_LOGIN_DENIED,
		CURLE_PEER_FAILED_VERIFICATION,
		CURLE_SSL_CERTPROBLEM,
		CURLE_SSL_CACERT_BADFILE,
		CURLE_SSL_CIPHER,
		CURLE_SSL_ISSUER_ERROR,
		CURLE_SSL_INVALIDCERTSTATUS,
		CURLE_WRITE_ERROR,
		CURLE_BAD_FUNCTION_ARGUMENT,
		CURLE_NOT_BUILT_IN,
		CURLE_UNKNOWN_OPTION,
	};
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i] == rc)
			return true;
	return false;
}

static int fail(struct exchange *x, CURLcode rc, bool stopped, struct err *err)
{
	struct http_reply *r = x->r;
	r->fate = x->issued ? HTTP_UNSURE : HTTP_NOT_SENT;
	r->hopeless = stopped || is_hopeless(rc);
	if (stopped)
		return err_set(err, ERR_CANCELED, 0, "stopped");
	if (r->body.overflow)
		return err_set(err, ERR_CLOUD, 0, "the answer is longer than %zu MiB", HTTP_BODY_MAX >> 20);
	if (x->headers_flood)
		return err_set(err, ERR_CLOUD, 0, "the answer's headers are longer than %zu KiB",
			       HTTP_HEADERS_MAX >> 10);
	if (rc == CURLE_ABORTED_BY_CALLBACK) /* on_issue() */
		return err_set(err, ERR_CLOUD, 0, "the connection ended before an answer");
	AUTO_BUF cause = buf_make(BUF_TEXT_MAX);
	const char *text = x->cause[0] ? x->cause : curl_easy_strerror(rc);
	text_safe_line(&cause, text, strlen(text), CAUSE_PRINT_MAX);
	return err_set(err, ERR_CLOUD, 0, "%s", cause.data);
}

/* How long this request may take; 0 when its deadline is past. */
static int64_t time_for(const struct http *h, const struct http_request *q)
{
	int64_t ms = q->timeout_ms > 0 ? q->timeout_ms : h->timeout_ms;
	if (ms > TIMEOUT_MS_MAX)
		ms = TIMEOUT_MS_MAX;
	if (q->deadline == 0)
		return ms;
	int64_t left = q->deadline - clock_mono();
	return left <= 0 ? 0 : left < ms ? left : ms;
}

static int carry_out(struct http *h, struct exchange *x, struct err *err)
{
	CLEANUP(slist_freep) struct curl_slist *headers = NULL;
	int64_t timeout_ms = time_for(h, x->q);
	bool stopped = x->q->mode == WAIT_STOPPABLE && stop_requested();
	x->r->hopeless = true;
	if (stopped)
		return err_set(err, ERR_CANCELED, 0, "stopped");
	if (timeout_ms == 0)
		return err_set(err, ERR_CLOUD, 0, "no time was left");
	if (make_headers(x->q, &headers, err) < 0)
		return -1;
	x->r->hopeless = false;
	CURLcode rc = transfer(h, x, headers, timeout_ms, &stopped);
	if (rc == CURLE_OK && !x->final)
		rc = CURLE_WEIRD_SERVER_REPLY;
	if (rc != CURLE_OK)
		return fail(x, rc, stopped, err);
	x->r->fate = HTTP_ANSWERED;
	return 0;
}

int http_do(struct http *h, const struct http_request *q, struct http_reply *r, struct err *err)
{
	mono_ms begin = clock_mono();
	http_reply_finish(r);
	struct exchange x = {.q = q, .r = r, .repeatable = is_repeatable(q->method)};
	int rc = carry_out(h, &x, err);
	r->took_ms = clock_mono() - begin;

	AUTO_BUF url = buf_make(BUF_TEXT_MAX);
	add_url(&url, q->url);
	if (rc < 0)
		log_debug("http", "%s %s: %s (%" PRId64 " ms)", q->method, url.data, err->msg, r->took_ms);
	else
		log_debug("http", "%s %s: %d %s (%" PRId64 " ms)", q->method, url.data, r->status,
			  r->request_id[0] ? r->request_id : "-", r->took_ms);
	return rc < 0 ? err_ctx(err, "%s %s", q->method, url.data) : 0;
}

/* Is the body a JSON object, as far as its two ends can tell? A gateway's page is not. */
static bool is_json(const struct http_reply *r)
{
	if (r->content_type[0] && !strcasestr(r->content_type, "json"))
		return false;
	const char *p = r->body.data, *end = p + r->body.len;
	while (p < end && isspace((unsigned char)*p))
		p++;
	while (end > p && isspace((unsigned char)end[-1]))
		end--;
	return end - p >= 2 && *p == '{' && end[-1] == '}';
}

static enum http_next judge_safe(const struct http_reply *r)
{
	if (r->fate != HTTP_ANSWERED)
		return HTTP_AGAIN;
	switch (r->status) {
	case 408:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return HTTP_AGAIN;
	case 413: /* with it the rate limit of Rackspace and of old novas; without it: too large */
		return r->retry_after_ms >= 0 ? HTTP_AGAIN : HTTP_ACCEPT;
	default:
		return HTTP_ACCEPT;
	}
}

static enum http_next judge_create(const struct http_reply *r)
{
	if (r->fate == HTTP_NOT_SENT)
		return HTTP_AGAIN;
	if (r->fate == HTTP_UNSURE)
		return HTTP_LOOK;
	switch (r->status) {
	case 429:
	case 413:
		return HTTP_AGAIN; /* refused before anybody looked at it */
	case 300:
	case 301:
	case 307:
	case 308:
	case 401:
		return HTTP_ACCEPT; /* by their meaning nothing was done; 302 and 303 may be what follows a deed */
	case 408:
		return HTTP_LOOK;
	default:
		if (r->status >= 200 && r->status <= 299)
			return r->body.len == 0 || is_json(r) ? HTTP_ACCEPT : HTTP_LOOK;
		return r->status >= 400 && r->status <= 499 && is_json(r) ? HTTP_ACCEPT : HTTP_LOOK;
	}
}

static int64_t wait_before(const struct http_reply *r, int attempt, double jitter)
{
	if (!(jitter >= 0))
		jitter = 0;
	if (jitter > 1)
		jitter = 1;
	if (r->fate == HTTP_ANSWERED && r->retry_after_ms >= 0) {
		int64_t ms = r->retry_after_ms < HTTP_RETRY_AFTER_MAX_MS ? r->retry_after_ms : HTTP_RETRY_AFTER_MAX_MS;
		return ms + (int64_t)(jitter * 1000); /* so that not all come back in the same instant */
	}
	int64_t ms = WAIT_FIRST_MS;
	for (int i = 1; i < attempt && ms < WAIT_MAX_MS; i++)
		ms *= 2;
	if (ms > WAIT_MAX_MS)
		ms = WAIT_MAX_MS;
	return ms - (int64_t)(jitter * (double)ms / 2);
}

enum http_next http_judge(const struct http_reply *r, bool safe, int attempt, int attempts, double jitter,
			  int64_t *wait_ms)
{
	*wait_ms = 0;
	enum http_next next = safe ? judge_safe(r) : judge_create(r);
	if (next != HTTP_AGAIN)
		return next;
	if (attempt >= attempts || (r->hopeless && r->fate != HTTP_ANSWERED))
		return HTTP_ACCEPT;
	*wait_ms = wait_before(r, attempt, jitter);
	return HTTP_AGAIN;
}

void http_escape(struct buf *out, const char *s)
{
	for (; *s; s++)
		if (isascii((unsigned char)*s) && (isalnum((unsigned char)*s) || strchr("-._~", *s)))
			buf_addc(out, *s);
		else
			buf_addf(out, "%%%02X", (unsigned char)*s);
}
