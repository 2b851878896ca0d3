/* SPDX-License-Identifier: MIT */
#include "cloud/endpoint.h"

#include <assert.h>
#include <ctype.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/text.h"

/* ---- URLs ---- */

/* Length of "http://" or "https://" at the start, 0 when it is neither. */
static size_t scheme_len(const char *text)
{
	if (strncasecmp(text, "http://", 7) == 0)
		return 7;
	return strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
}

/* Printable ASCII that needs no escape in a URL: what else is there is a mistake or an attack. */
static bool is_url_text(const char *text)
{
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p >= 0x7F || strchr("\"<>\\^`{|}", *p))
			return false;
	return true;
}

/* Length of ":443" at the end of a host, 0 when there is none. */
static size_t port_len(const char *host, size_t n)
{
	size_t at = n;
	while (at > 0 && isdigit((unsigned char)host[at - 1]))
		at--;
	return at > 0 && host[at - 1] == ':' ? n - at + 1 : 0;
}

/* A name, an IPv4 address, or an IPv6 one in brackets. */
static bool is_host(const char *host, size_t n)
{
	bool v6 = n > 2 && host[0] == '[' && host[n - 1] == ']';
	for (size_t i = v6; i < n - v6; i++)
		if (!isalnum((unsigned char)host[i]) && !strchr(v6 ? ":.%-" : ".-_", host[i]))
			return false;
	return n > 0;
}

/* "https://HOST:443" of n bytes, in one spelling. */
static int put_origin(struct url *u, const char *text, size_t scheme, size_t n, struct err *err)
{
	const char *standard = scheme == 8 ? ":443" : ":80";
	size_t len = n, port = port_len(text + scheme, n - scheme);
	if (port == 1 || (port == strlen(standard) && memcmp(text + n - port, standard, port) == 0))
		len -= port;
	if (!is_host(text + scheme, n - port - scheme) || port > 6 || len >= sizeof(u->origin))
		return err_set(err, ERR_USER, 0, "not a URL of a service: %.100s", text);
	for (size_t i = 0; i < len; i++)
		u->origin[i] = (char)tolower((unsigned char)text[i]);
	u->origin[len] = '\0';
	return 0;
}

/* Appends the pieces of a path one by one, so that no slash is doubled. */
static int put_path(struct url *u, const char *path, size_t n, struct err *err)
{
	size_t len = strlen(u->path);
	for (size_t at = 0; at < n;) {
		const char *slash = memchr(path + at, '/', n - at);
		size_t piece = slash ? (size_t)(slash - path) - at : n - at;
		if (len + piece + 1 >= sizeof(u->path))
			return err_set(err, ERR_USER, 0, "a URL that is too long: %.100s", path);
		if (piece > 0) {
			u->path[len++] = '/';
			memcpy(u->path + len, path + at, piece);
			len += piece;
		}
		at += piece + 1;
	}
	u->path[len] = '\0';
	return 0;
}

int url_parse(struct url *u, const char *text, struct err *err)
{
	*u = (struct url){0};
	size_t scheme = scheme_len(text);
	if (scheme == 0 || !is_url_text(text)) {
		AUTO_BUF shown = buf_make(BUF_TEXT_MAX);
		text_safe_line(&shown, text, strlen(text), 100);
		return err_set(err, ERR_USER, 0, "not an http:// or https:// URL: \"%s\"", shown.data);
	}
	size_t n = scheme + strcspn(text + scheme, "/?#");
	if (memchr(text + scheme, '@', n - scheme)) /* before anything shows it */
		return err_set(err, ERR_USER, 0, "a URL with a user or password in it");
	if (text[n + strcspn(text + n, "?#")])
		return err_set(err, ERR_USER, 0, "a URL with a query or fragment: %.100s", text);
	if (put_origin(u, text, scheme, n, err) < 0)
		return -1;
	return put_path(u, text + n, strlen(text + n), err);
}

int url_append(struct url *u, const char *path, struct err *err)
{
	return put_path(u, path, strlen(path), err);
}

/* Is path the same as prefix or below it? */
static bool is_below(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);
	return strncmp(path, prefix, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

int url_link(struct url *out, const struct url *at, const char *href, struct err *err)
{
	struct url link = {0}, base = *at; /* out may be at */
	size_t scheme = scheme_len(href);
	if (scheme == 0 && text_starts(href, "//"))
		scheme = 2;
	const char *path = href + scheme + (scheme ? strcspn(href + scheme, "/?#") : 0);
	bool relative = scheme == 0 && *href != '/';
	if (!is_url_text(path))
		return err_set(err, ERR_CLOUD, 0, "%.200s%.200s publishes a link that is no URL", at->origin, at->path);
	if (put_path(&link, path, strcspn(path, "?#"), err) < 0)
		return -1;
	*out = base;
	if (!relative && is_below(link.path, base.path)) {
		out->path[0] = '\0';
		return url_append(out, link.path, err);
	}
	const char *last = strrchr(link.path, '/');
	return relative ? url_append(out, link.path, err) : url_append(out, last ? last : "", err);
}

void url_text(const struct url *u, char out[URL_TEXT_MAX])
{
	snprintf(out, URL_TEXT_MAX, "%s%s", u->origin, u->path);
}

bool url_is_loopback(const struct url *u)
{
	const char *host = u->origin + scheme_len(u->origin);
	return text_starts(host, "127.") || text_starts(host, "[::1]") || strcmp(host, "localhost") == 0 ||
	       text_starts(host, "localhost:");
}

/* A number of at most four digits; -1 when there is none. */
static int small_number(const char **p)
{
	int n = 0;
	const char *start = *p;
	while (isdigit((unsigned char)**p) && *p - start < 4)
		n = n * 10 + (*(*p)++ - '0');
	return *p > start && !isdigit((unsigned char)**p) ? n : -1;
}

/* "v3", "v2.0": up to the end or a slash. Returns the length, 0 when it is none. */
static size_t version_piece(const char *text, int *major, int *minor)
{
	const char *p = text;
	if (*p++ != 'v')
		return 0;
	*minor = 0;
	*major = small_number(&p);
	if (*major >= 0 && *p == '.') {
		p++;
		*minor = small_number(&p);
	}
	bool whole = *p == '\0' || *p == '/';
	return *major >= 0 && *minor >= 0 && whole ? (size_t)(p - text) : 0;
}

bool url_find_version(const char *path, struct url_version *out)
{
	bool found = false;
	for (const char *p = path; (p = strchr(p, '/')); p++) {
		int major, minor;
		size_t n = version_piece(p + 1, &major, &minor);
		if (n == 0)
			continue;
		size_t start = (size_t)(p + 1 - path);
		*out = (struct url_version){start, start + n, major, minor};
		found = true;
	}
	return found;
}

char *url_fill(const char *text, const char *project_id)
{
	static const char *const marks[] = {"%(project_id)s", "%(tenant_id)s", "$(project_id)s", "$(tenant_id)s"};
	struct buf out = buf_make(BUF_TEXT_MAX);
	while (*text) {
		size_t used = 0;
		for (size_t i = 0; i < ARRAY_SIZE(marks) && used == 0; i++)
			if (text_starts(text, marks[i]))
				used = strlen(marks[i]);
		if (used > 0)
			buf_adds(&out, project_id);
		else
			buf_addc(&out, *text);
		text += used ? used : 1;
	}
	return buf_take(&out);
}

/* A word of foreign bytes that cannot be taken for two. "-" when there is none. */
static void add_field(struct buf *out, const char *text)
{
	if (!*text)
		buf_addc(out, '-');
	for (const char *p = text; *p; p++)
		if (isalnum((unsigned char)*p) || strchr("._:/[]~", *p) || (*p == '-' && p > text))
			buf_addc(out, *p);
		else
			buf_addf(out, "%%%02X", (unsigned char)*p);
}

void account_text(const struct url *compute, const char *project_id, const char *region, char *out, size_t size)
{
	struct url root = *compute;
	struct url_version version;
	if (url_find_version(root.path, &version))
		root.path[version.start - 1] = '\0';
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	add_field(&text, root.origin);
	buf_adds(&text, root.path);
	buf_addc(&text, ' ');
	add_field(&text, project_id);
	buf_addc(&text, ' ');
	add_field(&text, region);
	if (text.len >= size) {
		char hash[SHA256_HEX];
		sha256_hex(text.data, text.len, hash);
		size_t keep = size - sizeof(hash) - 1;
		snprintf(out, size, "%.*s~%s", (int)keep, text.data, hash);
		return;
	}
	snprintf(out, size, "%s", text.data);
}

/* ---- the catalog ---- */

void catalog_add(struct catalog *c, const char *type, const char *name, const char *interface, const char *region,
		 const char *url)
{
	if (!type || !*type || !url || !*url || c->n >= CATALOG_MAX)
		return;
	if (c->n == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 32;
		c->v = xrealloc(c->v, c->cap, sizeof(*c->v));
	}
	const char *face = interface ? interface : "";
	size_t n = text_ends(face, "URL") ? strlen(face) - strlen("URL") : strlen(face);
	c->v[c->n++] = (struct endpoint){
		.type = xstrdup(type),
		.name = xstrdup(name ? name : ""),
		.interface = xstrndup(face, n),
		.region = xstrdup(region ? region : ""),
		.url = xstrdup(url),
	};
}

void catalog_finish(struct catalog *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].type);
		free(c->v[i].name);
		free(c->v[i].interface);
		free(c->v[i].region);
		free(c->v[i].url);
	}
	free(c->v);
	*c = (struct catalog){0};
}

static bool fits(const char *want, const char *have)
{
	return !want || !*want || strcmp(want, have) == 0;
}

/* Type and name. Rackspace has two services of type compute, told apart by name only. */
static bool is_service(const struct endpoint *e, const char *type, const struct endpoint_want *w)
{
	return strcmp(e->type, type) == 0 && (!*e->name || fits(w->name, e->name));
}

/* A set of words for a message, in order of appearance. */
static void add_word(struct buf *list, const char *word)
{
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	text_safe_line(&safe, word, strlen(word), 60);
	size_t n = safe.len;
	for (const char *p = list->data; n > 0 && (p = strstr(p, safe.data)); p += n)
		if ((p == list->data || p[-1] == ' ') && (p[n] == ',' || p[n] == '\0'))
			return;
	if (n == 0 || list->len > 300)
		return;
	buf_addf(list, "%s%s", list->len ? ", " : "", safe.data);
}

enum word_of { REGION, INTERFACE, NAME, TYPE };

/* The words of all endpoints of the service, as far as they fit in what comes before in that order. */
static void list_words(struct buf *list, const struct catalog *c, const struct endpoint_want *w, enum word_of what)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct endpoint *e = &c->v[i];
		bool of_type = what == TYPE;
		for (const char *const *type = w->types; *type && !of_type; type++)
			of_type = what == NAME ? strcmp(e->type, *type) == 0 : is_service(e, *type, w);
		if (!of_type || (what == REGION && !fits(w->interface, e->interface)))
			continue;
		const char *words[] = {
			[REGION] = e->region, [INTERFACE] = e->interface, [NAME] = e->name, [TYPE] = e->type};
		add_word(list, words[what]);
	}
}

/* A region that differs only in case. */
static const char *region_nocase(const struct catalog *c, const char *region)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcasecmp(c->v[i].region, region) == 0 && strcmp(c->v[i].region, region) != 0)
			return c->v[i].region;
	return NULL;
}

/* Why nothing was found: the first condition that leaves nothing over. */
static int explain(const struct catalog *c, const struct endpoint_want *w, struct err *err)
{
	AUTO_BUF regions = buf_make(BUF_TEXT_MAX), faces = buf_make(BUF_TEXT_MAX);
	AUTO_BUF names = buf_make(BUF_TEXT_MAX), types = buf_make(BUF_TEXT_MAX);
	list_words(&regions, c, w, REGION);
	list_words(&faces, c, w, INTERFACE);
	list_words(&names, c, w, NAME);
	list_words(&types, c, w, TYPE);
	if (c->n == 0)
		return err_set(err, ERR_USER, 0, "the catalog is empty: no %s service", w->service);
	if (faces.len == 0 && names.len > 0)
		return err_set(err, ERR_USER, 0, "no %s service is called %.60s; there is: %s", w->service, w->name,
			       names.data);
	if (faces.len == 0)
		return err_set(err, ERR_USER, 0, "the catalog has no %s service; it has: %s", w->service, types.data);
	if (regions.len == 0)
		return err_set(err, ERR_USER, 0, "the %s service has no %.20s endpoint; it has: %s", w->service,
			       w->interface ? w->interface : "", faces.data);
	const char *nearly = region_nocase(c, w->region ? w->region : "");
	return err_set(err, ERR_USER, 0,
		       "no %s service in region \"%.60s\"%s; it is in: %s (region_name in clouds.yaml, or "
		       "OS_REGION_NAME)",
		       w->service, w->region ? w->region : "", nearly ? " (names of regions are case sensitive)" : "",
		       regions.data);
}

const struct endpoint *catalog_find(const struct catalog *c, const struct endpoint_want *w, struct err *err)
{
	for (const char *const *type = w->types; *type; type++)
		for (size_t i = 0; i < c->n; i++) {
			const struct endpoint *e = &c->v[i];
			if (is_service(e, *type, w) && fits(w->interface, e->interface) && fits(w->region, e->region))
				return e;
		}
	explain(c, w, err);
	return NULL;
}

int catalog_region(const struct catalog *c, const struct endpoint_want *w, const char **region, struct err *err)
{
	bool any = false, several = false;
	*region = "";
	for (const char *const *type = w->types; *type; type++)
		for (size_t i = 0; i < c->n; i++) {
			const struct endpoint *e = &c->v[i];
			if (!is_service(e, *type, w) || !fits(w->interface, e->interface))
				continue;
			several |= any && strcmp(*region, e->region) != 0;
			any = true;
			*region = e->region;
		}
	if (!any)
		return explain(c, w, err);
	if (!several)
		return 0;
	AUTO_BUF regions = buf_make(BUF_TEXT_MAX);
	list_words(&regions, c, w, REGION);
	return err_set(err, ERR_USER, 0,
		       "the cloud has several regions and none is chosen: set region_name in clouds.yaml, or "
		       "OS_REGION_NAME, to one of: %s",
		       regions.data);
}

/* ---- version documents ---- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? s : "";
}

/* The minor part of "2.93"; 0 for anything else. */
static int micro_of(const char *text)
{
	const char *p = text;
	if (small_number(&p) < 0 || *p++ != '.')
		return 0;
	int minor = small_number(&p);
	return minor > 0 && *p == '\0' ? minor : 0;
}

/* The link to the version itself, else the first one that is not a description. */
static const char *self_link(const json_t *entry)
{
	const json_t *links = json_object_get(entry, "links");
	const char *other = "";
	size_t i;
	json_t *link;
	json_array_foreach (links, i, link) {
		const char *href = text_of(link, "href");
		if (strcmp(text_of(link, "rel"), "self") == 0)
			return href;
		if (!*other && strcmp(text_of(link, "rel"), "describedby") != 0)
			other = href;
	}
	return other;
}

static bool parse_version(const json_t *entry, struct api_version *out)
{
	const char *id = text_of(entry, "id");
	size_t n = version_piece(id, &out->major, &out->minor);
	if (n == 0 || id[n])
		return false;
	out->min_micro = micro_of(text_of(entry, "min_version"));
	out->max_micro = micro_of(text_of(entry, "version"));
	const char *href = self_link(entry);
	snprintf(out->href, sizeof(out->href), "%s", strlen(href) < sizeof(out->href) ? href : "");
	return true;
}

size_t versions_parse(const char *body, size_t n, struct api_version out[API_VERSIONS_MAX])
{
	size_t found = 0;
	json_t *root = json_loadb(body, n, JSON_ALLOW_NUL, NULL);
	const json_t *list = json_object_get(root, "versions");
	if (json_is_object(list))
		list = json_object_get(list, "values");
	if (!list)
		list = json_object_get(root, "choices");
	const json_t *one = json_object_get(root, "version");
	if (json_is_object(one))
		found += parse_version(one, &out[found]);
	size_t i;
	json_t *entry;
	json_array_foreach (list, i, entry) {
		if (found < API_VERSIONS_MAX)
			found += parse_version(entry, &out[found]);
	}
	json_decref(root);
	return found;
}

const struct api_version *versions_find(const struct api_version *v, size_t n, int major)
{
	const struct api_version *best = NULL;
	for (size_t i = 0; i < n; i++)
		if (v[i].major == major && (!best || v[i].minor > best->minor))
			best = &v[i];
	return best;
}

int versions_url(struct url *out, const struct url *at, const struct api_version *v, struct err *err)
{
	struct url_version there;
	if (*v->href)
		return url_link(out, at, v->href, err);
	*out = *at;
	if (url_find_version(at->path, &there)) /* the document of this very version */
		return 0;
	char piece[32];
	snprintf(piece, sizeof(piece), v->minor ? "v%d.%d" : "v%d", v->major, v->minor);
	return url_append(out, piece, err);
}

/* ---- microversions ---- */

static const int spoken[] = {67, 52, 37};

int microversion_choose(int min_micro, int max_micro)
{
	for (size_t i = 0; i < ARRAY_SIZE(spoken); i++)
		if (spoken[i] <= max_micro && spoken[i] >= min_micro)
			return spoken[i];
	return 0;
}

int microversion_wanted(const char *want, int min_micro, int max_micro, int *out, struct err *err)
{
	enum { FIRST = 1 };
	int most = strcmp(want, "latest") == 0                          ? max_micro
		   : strcmp(want, "2") == 0 || strcmp(want, "2.0") == 0 ? FIRST
		   : text_starts(want, "2.")                            ? micro_of(want)
									: 0;
	*out = 0;
	if (most == 0 && strcmp(want, "latest") != 0)
		return err_set(err, ERR_USER, 0, "compute_default_microversion %.20s: a version such as 2.67 is wanted",
			       want);
	if (most > FIRST && max_micro == 0)
		return err_set(err, ERR_USER, 0,
			       "compute_default_microversion %.20s: this compute API has no microversions", want);
	if (most > FIRST && (most > max_micro || most < min_micro))
		return err_set(err, ERR_USER, 0, "compute_default_microversion %.20s: the cloud has 2.%d to 2.%d", want,
			       min_micro, max_micro);
	*out = microversion_choose(min_micro, most);
	return 0;
}
