/* SPDX-License-Identifier: MIT */
#include "cloud/login.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

#define RACKSPACE_COMPUTE "cloudServersOpenStack"
#define RACKSPACE_HOST    "identity.api.rackspacecloud.com"

static const char *const compute_types[] = {"compute", NULL};
static const char *const image_types[] = {"image", NULL};
static const char *const network_types[] = {"network", NULL};
static const char *const volume_types[] = {"block-storage", "block-store", "volumev3", "volumev2", "volume", NULL};

static const struct {
	const char *name;
	const char *const *types; /* in the catalog: the official one and its aliases, best first */
} services[] = {
	[OS_COMPUTE] = {"compute", compute_types},
	[OS_IMAGE] = {"image", image_types},
	[OS_NETWORK] = {"network", network_types},
	[OS_VOLUME] = {"block-storage", volume_types},
};
static_assert(ARRAY_SIZE(services) == OS_SERVICE_COUNT_, "each service has a name");

const char *os_service_name(enum os_service s)
{
	assert(s < OS_SERVICE_COUNT_);
	return services[s].name;
}

/* ---- where the services are ---- */

static const char *setting(const struct os_session *s, enum os_service service, const char *key)
{
	const char *v = cloud_config_service(&s->config, services[service].name, key);
	return v && *v ? v : NULL;
}

static bool catalog_has_name(const struct catalog *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->v[i].name, name) == 0)
			return true;
	return false;
}

static struct endpoint_want want_of(const struct os_session *s, enum os_service service, const char *types[2])
{
	struct endpoint_want w = {
		.service = services[service].name,
		.types = services[service].types,
		.interface = setting(s, service, "interface"),
		.name = setting(s, service, "service_name"),
	};
	if (!w.interface)
		w.interface = s->config.interface;
	types[0] = setting(s, service, "service_type");
	types[1] = NULL;
	if (types[0])
		w.types = types;
	if (service == OS_COMPUTE && !w.name && catalog_has_name(&s->catalog, RACKSPACE_COMPUTE))
		w.name = RACKSPACE_COMPUTE;
	return w;
}

/* The configured region, or the only one there is. */
static int find_region(struct os_session *s, struct err *err)
{
	const char *region = s->config.region, *types[2];
	struct endpoint_want w = want_of(s, OS_COMPUTE, types);
	bool fixed = setting(s, OS_COMPUTE, "endpoint_override") || s->config.auth_type == AUTH_NONE;
	if (!region || !*region) {
		struct err e = ERR_INIT;
		int rc = catalog_region(&s->catalog, &w, &region, &e);
		if (rc < 0 && !fixed) {
			*err = e;
			return -1;
		}
		if (rc < 0)
			region = "";
	}
	free(s->region);
	s->region = xstrdup(region);
	return 0;
}

/* The URL of a service as configured or in the catalog. */
static int find_service(struct os_session *s, enum os_service service, struct url *out, struct err *err)
{
	const char *override = setting(s, service, "endpoint_override"), *types[2];
	if (!override && s->config.auth_type == AUTH_NONE && service == OS_COMPUTE)
		override = json_string_value(json_object_get(s->config.auth, "endpoint"));
	if (!override && s->config.auth_type == AUTH_NONE)
		return err_set(err, ERR_USER, 0, "no %s endpoint: without keystone it needs an _endpoint_override",
			       services[service].name);
	if (override) {
		AUTO_FREE char *text = url_fill(override, s->project);
		return url_parse(out, text, err) < 0 ? err_ctx(err, "%s_endpoint_override", services[service].name) : 0;
	}
	struct endpoint_want w = want_of(s, service, types);
	const char *region = setting(s, service, "region_name");
	w.region = *s->region ? s->region : region;
	/* Another region than the general one, for this service alone. */
	if (region && s->config.region && strcmp(region, s->config.region) != 0)
		w.region = region;
	const struct endpoint *e = catalog_find(&s->catalog, &w, err);
	if (!e)
		return -1;
	AUTO_FREE char *text = url_fill(e->url, s->project);
	return url_parse(out, text, err) < 0 ? err_ctx(err, "%s service in the catalog", services[service].name) : 0;
}

/* Drops a last piece that ends in the project's id: "/v2/960893", "/v1/AUTH_…". */
static void drop_project(struct url *u, const char *project)
{
	char *last = strrchr(u->path, '/');
	if (last && *project && text_ends(last, project))
		*last = '\0';
}

/* Puts the version where requests of ours need it: catalogs have it or not. */
static int normalise(const struct os_session *s, enum os_service service, struct url *u, struct err *err)
{
	struct url_version v;
	if (service == OS_IMAGE || service == OS_NETWORK)
		drop_project(u, s->project);
	bool versioned = url_find_version(u->path, &v);
	if (service == OS_IMAGE && versioned && v.major == 1) {
		u->path[v.start - 1] = '\0';
		versioned = false;
	}
	if (versioned)
		return 0;
	if (service == OS_VOLUME) {
		if (url_append(u, "v3", err) < 0)
			return -1;
		return url_append(u, s->project, err);
	}
	return url_append(u, service == OS_IMAGE ? "v2" : "v2.0", err);
}

/* The versions that the compute service publishes at `at`, and the URL of its 2.x one if `at` is none. */
static int read_compute(struct os_session *s, struct url *at, bool versioned, int *min_micro, int *max_micro,
			mono_ms deadline, enum wait_mode mode, struct err *err)
{
	struct api_version *all = xcalloc(API_VERSIONS_MAX, sizeof(*all));
	int n = session_versions(s, at, true, deadline, mode, all, err), rc = n < 0 ? -1 : 0;
	const struct api_version *v = versions_find(all, n > 0 ? (size_t)n : 0, 2);
	if (v) {
		*min_micro = v->min_micro;
		*max_micro = v->max_micro;
	}
	if (rc == 0 && !versioned)
		rc = v ? versions_url(at, at, v, err) : url_append(at, "v2.1", err);
	if (rc == 0 && !v)
		log_debug(s->config.name, "%s%s: no version document", at->origin, at->path);
	free(all);
	return rc;
}

/* Compute: which API it is decides how all requests look. One GET, none where only the old API can be. */
static int set_compute(struct os_session *s, struct url *base, mono_ms deadline, enum wait_mode mode, struct err *err)
{
	struct url_version v = {0};
	bool versioned = url_find_version(base->path, &v);
	int min_micro = 0, max_micro = 0;
	if (versioned && v.major != 2)
		return err_set(err, ERR_USER, 0, "compute API v%d at %.200s is not supported", v.major, base->origin);
	if (!versioned) {
		if (read_compute(s, base, false, &min_micro, &max_micro, deadline, mode, err) < 0)
			return -1;
	} else if (v.minor > 0 && !s->rackspace) {
		struct url at = *base;
		at.path[v.end] = '\0'; /* the project behind it has no document */
		if (read_compute(s, &at, true, &min_micro, &max_micro, deadline, mode, err) < 0)
			return -1;
	}
	const char *want = setting(s, OS_COMPUTE, "default_microversion");
	if (want)
		return microversion_wanted(want, min_micro, max_micro, &s->microversion, err);
	s->microversion = microversion_choose(min_micro, max_micro);
	return 0;
}

static void put_base(struct os_session *s, enum os_service service, const struct url *u)
{
	char text[URL_TEXT_MAX];
	url_text(u, text);
	free(s->base[service]);
	s->base[service] = xstrdup(text);
}

static bool is_rackspace(const struct os_session *s)
{
	return s->config.auth_type == AUTH_RAX_APIKEY || catalog_has_name(&s->catalog, RACKSPACE_COMPUTE) ||
	       text_ends(s->keystone.origin, RACKSPACE_HOST);
}

int login_survey(struct os_session *s, mono_ms deadline, enum wait_mode mode, struct err *err)
{
	struct url compute;
	s->rackspace = is_rackspace(s);
	if (find_region(s, err) < 0 || find_service(s, OS_COMPUTE, &compute, err) < 0 ||
	    set_compute(s, &compute, deadline, mode, err) < 0)
		return -1;
	put_base(s, OS_COMPUTE, &compute);
	for (enum os_service i = 0; i < OS_SERVICE_COUNT_; i++) {
		struct url u;
		if (i == OS_COMPUTE)
			continue;
		err_clear(&s->absent[i]);
		if (find_service(s, i, &u, &s->absent[i]) == 0 && normalise(s, i, &u, &s->absent[i]) == 0)
			put_base(s, i, &u);
	}
	account_text(&compute, s->project, s->region, s->account, sizeof(s->account));
	log_debug(s->config.name, "compute is %s, microversion 2.%d, region %s", s->base[OS_COMPUTE],
		  s->microversion ? s->microversion : 1, s->region);
	return 0;
}
