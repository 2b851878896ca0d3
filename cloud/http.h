/* SPDX-License-Identifier: MIT */
/* HTTP by libcurl: one request, one whole answer, with a deadline and the stop pipe. Redirects are never followed (a
 * token must not travel to another host); bodies are bounded; connections are kept and used again. What is logged is
 * method, URL, status, request id and time: never a header or a body, nor a user name or a secret value in the URL.
 * Thread-safe: each call takes an idle connection of its own. Proxies come from the environment, as libcurl reads it.
 *
 * Nothing is repeated in here, with one exception: a GET, HEAD, PUT, DELETE or OPTIONS on a kept connection that turns
 * out to be dead goes out again on a new one. POST and PATCH always take a new connection and leave exactly once. */
#ifndef STEPBOX_CLOUD_HTTP_H
#define STEPBOX_CLOUD_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/wait.h"

#define HTTP_BODY_MAX    ((size_t)16 << 20)  /* of an answer, uncompressed */
#define HTTP_HEADERS_MAX ((size_t)256 << 10) /* of all header blocks of an answer */

struct http;

struct http_settings {
	const char *cacert; /* file of CA certificates; NULL: the system's */
	const char *cert;   /* TLS client certificate, with key; NULL: none */
	const char *key;
	bool insecure; /* neither certificate nor host name is checked */
	bool force_ipv4;
	int64_t connect_ms; /* 0: 10 s */
	int64_t timeout_ms; /* of a whole request; 0: 60 s */
};

/* libcurl's global part: once before any thread, and at the end. */
int http_library_init(struct err *err) MUST_USE;
void http_library_exit(void);

/* NULL with err when a certificate file cannot be read. The settings' texts are copied. */
struct http *http_new(const struct http_settings *settings, struct err *err);
void http_free(struct http *h); /* NULL is fine; no request may be on its way */

/* What became of a request. */
enum http_fate {
	HTTP_NOT_SENT, /* no byte of it left: name, connection or TLS did not come about */
	HTTP_UNSURE,   /* it may have been carried out: reset, timeout, stop, truncated answer */
	HTTP_ANSWERED  /* a whole answer came, whatever its status */
};

struct http_request {
	const char *method;         /* "GET" … */
	const char *url;            /* http:// or https:// */
	const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
	const char *body;           /* NULL: none */
	size_t body_len;
	int64_t timeout_ms; /* 0: the settings' */
	mono_ms deadline;   /* 0: none besides the timeout */
	enum wait_mode mode;
};

/* Texts are made of printable ASCII (what is not is "?"), cut to size, "" when the header was absent; a location or a
 * token that does not fit is "" too, since half of it is of no use. Of equal headers the first counts. Only the last
 * header block counts (100 Continue comes in one of its own), never a trailer. Without a whole answer all this is what
 * had come so far. */
struct http_reply {
	enum http_fate fate;
	bool hopeless; /* no answer, and none to be had: stop, deadline, bad URL, untrusted certificate, too large */
	int status;    /* 0 when there was none */
	struct buf body;
	char request_id[80]; /* x-openstack-request-id, or x-compute-request-id */
	char location[512];
	char subject_token[8192]; /* x-subject-token: a secret */
	char authenticate[256];   /* www-authenticate */
	char content_type[128];
	bool has_receipt;       /* openstack-auth-receipt: more factors are wanted */
	int64_t retry_after_ms; /* -1: none; of seconds or an HTTP date, at most HTTP_RETRY_AFTER_MAX_MS */
	int64_t date;           /* wall seconds of the Date header, 0: none */
	int64_t took_ms;
};

#define HTTP_RETRY_AFTER_MAX_MS 120000

void http_reply_init(struct http_reply *r);
void http_reply_finish(struct http_reply *r); /* wipes token and body */

/* 0 when a whole answer came (any status), -1 otherwise, with r->fate and err "GET https://…: cause" (ERR_CLOUD, or
 * ERR_CANCELED on a stop; code 0). *r must be initialised; what an earlier call left in it is dropped. An answer that
 * is there wins over a stop. */
int http_do(struct http *h, const struct http_request *q, struct http_reply *r, struct err *err) MUST_USE;

/* What to do after an attempt (1, 2, …). Pure, so that it can be read and tested as a table. */
enum http_next {
	HTTP_ACCEPT, /* an answer to work with: 2xx, 300, a refusal that repeating does not change; or giving up */
	HTTP_AGAIN,  /* the same request again after *wait_ms */
	HTTP_LOOK    /* a create whose effect is unknown: look whether it happened, never repeat blindly */
};
/* safe: the request may be repeated whatever happened (GET, HEAD, DELETE, PUT and POSTs that set a state): AGAIN unless
 * there is an answer other than 408, 429, 500, 502, 503, 504 and 413 with Retry-After. Not safe, a create: AGAIN when
 * it was not sent, or refused with 429 or 413; ACCEPT for 2xx with a JSON body or none, 300, 301, 307, 308 and 4xx (but
 * 408) with a JSON object for a body; LOOK for all else, HTML with 2xx or 4xx included: a gateway wrote it, and
 * what became of the request behind it is not known.
 * Waits are 1, 2, 4 … 30 s, of which jitter (in [0, 1)) takes away up to a half, or what Retry-After says and up to 1 s
 * more; *wait_ms is 0 unless AGAIN. After attempt `attempts`, and when hopeless, it is ACCEPT or LOOK. 401 is always
 * ACCEPT: the caller knows about tokens. */
enum http_next http_judge(const struct http_reply *r, bool safe, int attempt, int attempts, double jitter,
			  int64_t *wait_ms);

/* Appends s percent-encoded for a segment of a URL's path or a value of its query: all but A-Z a-z 0-9 - . _ ~. */
void http_escape(struct buf *out, const char *s);

#endif
