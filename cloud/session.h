/* SPDX-License-Identifier: MIT */
/* A cloud account that is logged in: keystone's token and catalog, one HTTP client, and os_do(), through which every
 * API call goes. It renews the token before it expires and once on a 401, repeats what may be repeated, and turns the
 * five shapes of error bodies into one sentence with the request id. Thread-safe. Names and rules: keystone
 * api/discovery.py, keystoneauth1 (discover.py, access/service_catalog.py, session.py). */
#ifndef STEPBOX_CLOUD_SESSION_H
#define STEPBOX_CLOUD_SESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/wait.h"
#include "cloud/clouds.h"
#include "cloud/http.h"

enum os_service { OS_COMPUTE, OS_IMAGE, OS_NETWORK, OS_VOLUME, OS_SERVICE_COUNT_ };
const char *os_service_name(enum os_service s); /* "compute", "image", "network", "block-storage" */

struct os_session;

/* Nothing is sent yet. Takes over the config (also on error). */
struct os_session *os_open(struct cloud_config *config /* takes */, struct err *err);
void os_close(struct os_session *s); /* NULL is fine. Does not revoke: nova's middleware would not notice for minutes */
const struct cloud_config *os_config(const struct os_session *s);

/* Logs in unless there is a token that lasts: discovery, token, catalog. Credentials are sent once: keystone locks
 * accounts. ERR_CLOUD with what to check; a clock that is off by more than a minute is said. */
int os_login(struct os_session *s, mono_ms deadline, enum wait_mode mode, struct err *err) MUST_USE;

/* After os_login(). Has the catalog (or an override) this service in our region? */
bool os_has(struct os_session *s, enum os_service service);
/* The compute microversion that requests use: 67 for 2.67, 52, 37, or 0 for none (2.1, and v2 clouds). */
int os_microversion(struct os_session *s);
/* A Rackspace classic account: no networks API use, config drive, root. */
bool os_is_rackspace(struct os_session *s);
/* What a row of the ledger belongs to: "COMPUTE-ENDPOINT-ORIGIN PROJECT-ID REGION". Two accounts never share it. Valid
 * until os_close(). "" before os_login(). */
const char *os_account(struct os_session *s);
/* The id of the project that the token is for, or "". Valid until os_close(). */
const char *os_project(struct os_session *s);

struct os_call {
	enum os_service service;
	const char *method;
	const char *path;   /* below the service's versioned endpoint: "/servers/detail?limit=100" */
	const json_t *body; /* NULL: none */
	bool create;        /* not to be repeated when its effect is unknown: answer.unsure tells */
	int64_t timeout_ms; /* 0: the standard one */
	mono_ms deadline;   /* over all repetitions; required */
	enum wait_mode mode;
};

struct os_answer {
	int status;   /* of the last attempt; 0: none */
	json_t *json; /* of a 2xx with a JSON body; NULL otherwise; owned by the caller: os_answer_finish() */
	char request_id[80];
	char location[512]; /* as the cloud sent it, or "" */
	char message[400];  /* the cloud's own words on an error status, safe and short, secrets and long base64 cut out
			     */
	bool unsure;        /* the request may have been carried out though no 2xx came */
	int64_t retry_after_ms; /* of the last attempt; -1: none */
};

/* 0 on 2xx. -1 otherwise with err (ERR_CLOUD, code = HTTP status or 0; ERR_CANCELED on stop): "POST https://…/servers:
 * 403 Quota exceeded for cores (20 of 20) (req-8f…)". *a is always filled in; finish it in either case. */
int os_do(struct os_session *s, const struct os_call *c, struct os_answer *a, struct err *err) MUST_USE;
void os_answer_finish(struct os_answer *a);

/* All pages of a list: GET path, the array at `key` ("servers", "images", "flavors", "networks" …) of each page,
 * joined. Follows "<key>_links"[rel=next].href and glance's "next" by their query only (hosts in them are often wrong),
 * at most OS_LIST_MAX items and OS_PAGES_MAX pages. Caller frees. */
#define OS_LIST_MAX  10000
#define OS_PAGES_MAX 100
json_t *os_list(struct os_session *s, enum os_service service, const char *path, const char *key, mono_ms deadline,
		enum wait_mode mode, struct err *err);

#endif
