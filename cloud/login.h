/* SPDX-License-Identifier: MIT */
/* The inside of a session, for session.c (turns, calls, lists), login.c (keystone and the token) and survey.c (what the
 * catalog says) only.
 *
 * How it works: one thread at a time logs in (`busy`), without the lock; the others look every 20 ms. What the first
 * login finds out about the cloud (endpoints, microversion, account) is written once before `ready` and only read after
 * it. The token may change at any time: a call takes a copy, with its generation, so that of several calls that meet a
 * 401 only one drops it. */
#ifndef STEPBOX_CLOUD_LOGIN_H
#define STEPBOX_CLOUD_LOGIN_H

#include <pthread.h>

#include "cloud/cloud.h"
#include "cloud/endpoint.h"
#include "cloud/fault.h"
#include "cloud/session.h"

#define LOGIN_ATTEMPTS 3

static inline bool is_2xx(int status)
{
	return status >= 200 && status < 300;
}

struct os_session {
	struct cloud_config config;
	struct http *http;
	char run_id[80]; /* header: this process's id in the cloud's logs */

	pthread_mutex_t lock; /* of what follows, up to the next blank line; never held across a wait */
	bool busy, ready;
	char *token; /* NULL: none. A secret */
	unsigned generation;
	mono_ms renew_at, expire_at;
	struct secrets secrets;
	struct err refused; /* of credentials that were refused: valid until refused_until */
	mono_ms refused_until;
	bool was_in;
	int64_t skew; /* seconds that the cloud's clock is ahead of ours */
	bool skew_known;

	/* The busy thread's before `ready`, everybody's and constant after it. */
	struct url keystone;  /* with its version */
	int keystone_version; /* 0: not yet known */
	struct catalog catalog;
	char *project;
	char *region;
	char *base[OS_SERVICE_COUNT_]; /* NULL: absent says why */
	struct err absent[OS_SERVICE_COUNT_];
	int microversion;
	bool rackspace;
	char account[BOX_ACCOUNT_MAX];
};

/* One request and its repetitions. */
struct exchange {
	struct http_request q;
	bool safe;      /* may be repeated whatever happened */
	bool need_json; /* a 2xx without it is no answer */
	int attempts;
};

/* 0 when there is a whole answer of any status (with *json, the caller's, for a 2xx that has it); -1 err otherwise.
 * *look: the request may have been carried out nevertheless. r is initialised. */
int session_exchange(struct os_session *s, const struct exchange *x, struct http_reply *r, json_t **json, bool *look,
		     struct err *err) MUST_USE;
/* Always -1, with "POST https://…/servers: 403 Quota exceeded … (req-8f…)". message: the cloud's words alone. */
int session_refusal(struct os_session *s, const struct http_request *q, const struct http_reply *r,
		    char message[FAULT_MAX], struct err *err);
/* Cuts what must not be seen out of a message. */
void session_cut_secrets(struct os_session *s, struct err *err);
/* A GET of a version document, with the token or not. Returns the number of versions, 0 when what is there is no such
 * document, -1 when nothing sensible answered. */
int session_versions(struct os_session *s, const struct url *at, bool with_token, mono_ms deadline, enum wait_mode mode,
		     struct api_version out[API_VERSIONS_MAX], struct err *err) MUST_USE;
/* A copy of the token for one request: session_wipe() it. "" when there is none. */
char *session_token(struct os_session *s, unsigned *generation);
void session_wipe(char **text);

/* The busy thread's work: a new token, and with the first one project and catalog. *refused: the credentials are known
 * to be no good. */
int login_authenticate(struct os_session *s, mono_ms deadline, enum wait_mode mode, bool *refused,
		       struct err *err) MUST_USE;
/* "; this machine's clock is 5 m 10 s behind the cloud's" behind a message, when it is. date: of the refusal, or 0. */
void login_explain_skew(struct os_session *s, int64_t date, struct err *err);
/* Endpoints, microversion and account from the catalog. */
int login_survey(struct os_session *s, mono_ms deadline, enum wait_mode mode, struct err *err) MUST_USE;

#endif
