/* SPDX-License-Identifier: MIT */
/* Keystone's languages, v3, v2.0 and Rackspace's: what is sent to log in and what comes back. Pure functions; the
 * conversation is in session.c. Forms: keystone api-ref v3, keystone/auth/schema.py, Rackspace docs-cloud-identity. */
#ifndef STEPBOX_CLOUD_KEYSTONE_H
#define STEPBOX_CLOUD_KEYSTONE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cloud/clouds.h"
#include "cloud/endpoint.h"
#include "cloud/fault.h"

/* Which API an auth type needs: 2, 3, or 0 when discovery decides (password, token). */
int keystone_version_of(enum auth_type type);

/* The body that asks for a token; caller owns. auth is cloud_config's flat object; version 2 or 3. NULL with ERR_USER
 * that names the missing key. The result holds secrets. */
json_t *keystone_request(enum auth_type type, const json_t *auth, int version, struct err *err);
/* Adds every value of auth that is a secret. */
void keystone_secrets(const json_t *auth, struct secrets *s);

#define TOKEN_MAX 8192
struct token {
	char *id;         /* a secret */
	int64_t expires;  /* wall seconds of the cloud's clock; 0: unknown */
	int64_t issued;   /* likewise */
	char *project_id; /* "" when there is no project in scope */
	char *user_name;  /* or "" */
	struct catalog catalog;
};
void token_finish(struct token *t); /* wipes the id */

/* *out is overwritten (initialise it to zero). subject is the X-Subject-Token header of v3. A token without a project
 * in scope is an error: no service would work with it. */
int keystone_parse_v3(struct token *out, const char *body, size_t n, const char *subject, struct err *err) MUST_USE;
int keystone_parse_v2(struct token *out, const char *body, size_t n, struct err *err) MUST_USE;

/* "2026-01-01T10:00:00.000000Z", "…+00:00", "…-05:00", "…" (UTC) to wall seconds; -1 when it is none. */
int64_t keystone_time(const char *text);

#endif
