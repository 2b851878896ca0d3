/* SPDX-License-Identifier: MIT */
/* clouds.yaml, secure.yaml, clouds-public.yaml and OS_* as openstacksdk reads them (openstack/config/loader.py), with
 * these deliberate differences:
 * - A file named by OS_CLIENT_CONFIG_FILE or OS_CLIENT_SECURE_FILE must exist and be readable.
 * - A named cloud's auth values win over OS_*, but OS_REGION_NAME (one of its regions) and OS_INTERFACE
 *   (OS_ENDPOINT_TYPE) win over its region and interface, as the `openstack` command does it; and as there, users and
 *   projects without a domain are in "default" where identity_api_version is 3.
 * - Without auth_type the keys tell: application_credential_* mean v3applicationcredential, a token alone token, an
 *   api_key alone rackspace_apikey. auth_plugin is heard when there is no auth_type.
 * - Every scalar is its text: "0123" stays, where PyYAML makes 83 of it. Booleans of files are YAML 1.1's words, quoted
 *   or not; of the environment, only "true" is true and OS_VERIFY ends TLS checks only by "false".
 * - "-" is "_" in all keys from the start; null and empty texts of credentials count as not given.
 * - OS_* go over their profile's values, the defaults do not. Profiles given by an URL are not fetched.
 *
 * Below: clouds_env.c, clouds_files.c, clouds_merge.c, clouds_fix.c, clouds_auth.c. */
#ifndef STEPBOX_CLOUD_CLOUDS_H
#define STEPBOX_CLOUD_CLOUDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum auth_type {
	AUTH_PASSWORD,   /* password, v3password: v3, or v2 where discovery or the URL says so */
	AUTH_TOKEN,      /* token, v3token */
	AUTH_APPCRED,    /* v3applicationcredential */
	AUTH_V2PASSWORD, /* v2password, rackspace_password */
	AUTH_V2TOKEN,    /* v2token */
	AUTH_RAX_APIKEY, /* rackspace_apikey */
	AUTH_NONE,       /* none, admin_token: endpoint (and token), no keystone */
	AUTH_TYPE_COUNT_
};

/* One cloud entry, merged and normalised. All owned. */
struct cloud_config {
	char *name;    /* the entry's, or "envvars" */
	char *source;  /* "…/clouds.yaml", or "the environment", for messages */
	bool from_env; /* made of OS_* */
	enum auth_type auth_type;
	/* Flat object of strings, only those that the type uses: auth_url, username, password, project_name, … (v3
	 * spelling); token, api_key, endpoint. Where there are both an id and a name, the id counts. An application
	 * credential has no scope, Keystone v2.0 no domains. */
	json_t *auth;
	json_t *values;  /* the whole merged entry, keys normalised, auth_type resolved; never logged */
	char *region;    /* "" when none is known: the catalog must have only one */
	char *interface; /* public, internal, admin */
	bool verify;
	char *cacert, *cert, *key; /* paths with ~ expanded, or NULL */
	bool force_ipv4;
	int64_t timeout_ms; /* api_timeout; 0: none given */
};

/* Takes the OS_* variables (but OS_TEST*, OS_STD*, OS_LOG*) out of our environment, so that no child process sees a
 * password and neither does who looks at ours. Call once in main(), before any thread. Without it clouds_load() reads
 * the environment as it is (tests). */
void clouds_take_environment(void);

/* name: an entry of clouds.yaml, or NULL: OS_CLOUD, else OS_* as "envvars", else the only entry. ERR_USER names file,
 * entry and what to do: unknown names (with the nearest and all known ones), missing keys for the auth type, refused
 * auth types with what to use instead. Warnings (unreadable files, unknown profile, both OS_CLOUD and OS_AUTH_URL) are
 * logged. */
int clouds_load(struct cloud_config *c, const char *name, struct err *err) MUST_USE;
void cloud_config_finish(struct cloud_config *c);

/* Per-service setting by official type ("compute", "image", "network", "block-storage"), its aliases, then unprefixed
 * where that is the rule (interface, region_name): key "endpoint_override", "interface", "region_name",
 * "service_name", "service_type", "api_version", "default_microversion". NULL when not set. An endpoint_override may
 * hold %(project_id)s; with AUTH_NONE it is the endpoint. */
const char *cloud_config_service(const struct cloud_config *c, const char *service, const char *key);

/* A top-level value as text, or NULL. A boolean by the rule above, standard when it is not set. */
const char *cloud_config_get(const struct cloud_config *c, const char *key);
bool cloud_config_flag(const struct cloud_config *c, const char *key, bool standard);

/* Names of all entries that clouds_load() would know, sorted (strings); "envvars" when OS_* make one. Owned by the
 * caller. */
json_t *clouds_names(void);

#endif
