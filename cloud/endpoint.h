/* SPDX-License-Identifier: MIT */
/* Where a service is: URLs, the catalog, version documents. Pure functions. Rules: keystoneauth1 discover.py and
 * access/service_catalog.py; links that an API publishes often have the wrong scheme or host (a proxy is in front), so
 * only their path counts. */
#ifndef STEPBOX_CLOUD_ENDPOINT_H
#define STEPBOX_CLOUD_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define URL_ORIGIN_MAX 300
#define URL_PATH_MAX   700
#define URL_TEXT_MAX   (URL_ORIGIN_MAX + URL_PATH_MAX)

struct url {
	char origin[URL_ORIGIN_MAX]; /* "https://host", ":port" only when it is not the scheme's; lower case */
	char path[URL_PATH_MAX];     /* "" or "/a/b": no slash at the end, none doubled */
};

/* http and https; no user, query or fragment (a query or fragment is an error, too: it would not be sent). */
int url_parse(struct url *u, const char *text, struct err *err) MUST_USE;
/* Appends "/x/y" or "x". */
int url_append(struct url *u, const char *path, struct err *err) MUST_USE;
/* What `href`, published at `at`, means: scheme, host and port are those of `at`; its path when it lies below the path
 * of `at` (or that is empty), else its last piece behind the path of `at`: the proxy has a prefix that the API does not
 * know. href may be relative. */
int url_link(struct url *out, const struct url *at, const char *href, struct err *err) MUST_USE;
void url_text(const struct url *u, char out[URL_TEXT_MAX]);
/* For a host of this machine: http without TLS is no danger there. */
bool url_is_loopback(const struct url *u);

struct url_version {
	size_t start, end; /* of the piece "v2.1" in the path */
	int major, minor;
};
/* The last piece of a path that is a version ("v3", "v2.0"). */
bool url_find_version(const char *path, struct url_version *out);

/* Replaces "%(project_id)s", "%(tenant_id)s" and "$(…)s" in a configured URL. Caller frees. */
char *url_fill(const char *text, const char *project_id);

/* Origin and path prefix (without version and project) of a compute endpoint, project and region, as one word each: two
 * accounts never have the same. Long ones end in a hash. */
void account_text(const struct url *compute, const char *project_id, const char *region, char *out, size_t size);

/* ---- the catalog ---- */

struct endpoint {
	char *type, *name, *interface, *region, *url; /* never NULL */
};
struct catalog {
	struct endpoint *v;
	size_t n, cap;
};
#define CATALOG_MAX 4096

/* An endpoint without type or URL, or one too many, is left out. NULL is "". "publicURL" is "public". */
void catalog_add(struct catalog *c, const char *type, const char *name, const char *interface, const char *region,
		 const char *url);
void catalog_finish(struct catalog *c);

struct endpoint_want {
	const char *service;      /* for messages: "compute" */
	const char *const *types; /* the type and its aliases, NULL-terminated; earlier ones are preferred */
	const char *interface;    /* NULL or "": any */
	const char *region;       /* NULL or "": any */
	const char *name;         /* counts only for entries that have a name; NULL or "": any */
};

/* Borrowed from c. NULL with ERR_USER that tells what there is instead. */
const struct endpoint *catalog_find(const struct catalog *c, const struct endpoint_want *w, struct err *err);
/* The one region in which the service is (*region: borrowed, "" when its endpoints have none). Several: ERR_USER that
 * lists them, since a server on the wrong continent costs money. w->region does not count. */
int catalog_region(const struct catalog *c, const struct endpoint_want *w, const char **region,
		   struct err *err) MUST_USE;

/* ---- version documents ---- */

struct api_version {
	int major, minor;         /* of its id: "v3.14" */
	int min_micro, max_micro; /* minor parts of "min_version" and "version" ("2.93": 93); 0: no microversions */
	char href[URL_TEXT_MAX];  /* link to itself as published; "" when there is none */
};
#define API_VERSIONS_MAX 64

/* {"versions": […]}, {"versions": {"values": […]}}, {"choices": […]}, {"version": {…}}. Returns how many; 0 when it is
 * no such document. */
size_t versions_parse(const char *body, size_t n, struct api_version out[API_VERSIONS_MAX]);
/* The entry of this major version with the highest minor one, or NULL. */
const struct api_version *versions_find(const struct api_version *v, size_t n, int major);
/* The URL of a version whose document was read at `at`. */
int versions_url(struct url *out, const struct url *at, const struct api_version *v, struct err *err) MUST_USE;

/* Which compute microversion to speak: 67, 52 or 37 when the cloud has it, else 0 (2.1 without headers). */
int microversion_choose(int min_micro, int max_micro);
/* The same for compute_default_microversion = want ("2.60", "latest"): the highest of these that is not above it.
 * ERR_USER when the cloud has no such version. */
int microversion_wanted(const char *want, int min_micro, int max_micro, int *out, struct err *err) MUST_USE;

#endif
