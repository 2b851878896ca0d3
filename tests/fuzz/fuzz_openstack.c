/* SPDX-License-Identifier: MIT */
/* What a hostile keystone, proxy or compute API may answer: token answers, version documents, links, times, error
 * bodies. The first byte says which. */
#include "cloud/keystone.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_url(const struct url *u)
{
	struct url again;
	struct err err = ERR_INIT;
	char text[URL_TEXT_MAX], second[URL_TEXT_MAX];
	url_text(u, text);
	assert(url_parse(&again, text, &err) == 0);
	url_text(&again, second);
	assert(strcmp(text, second) == 0);
}

static void use_catalog(const struct catalog *c)
{
	static const char *const types[] = {"compute", "volumev3", NULL};
	const char *region;
	for (size_t i = 0; i < c->n && i < 50; i++) {
		struct err err = ERR_INIT;
		struct url u;
		char account[320];
		const struct endpoint *e = &c->v[i];
		struct endpoint_want w = {"compute", types, e->interface, e->region, e->name};
		assert(catalog_find(c, &w, &err) || strcmp(e->type, "compute") != 0 || !*e->type);
		err_clear(&err);
		w.region = "nowhere";
		if (!catalog_find(c, &w, &err))
			assert(err.reach == ERR_USER && err.msg[0]);
		err_clear(&err);
		if (catalog_region(c, &w, &region, &err) == 0)
			assert(region);
		err_clear(&err);
		AUTO_FREE char *full = url_fill(e->url, "p");
		if (url_parse(&u, full, &err) == 0) {
			check_url(&u);
			account_text(&u, e->name, e->region, account, sizeof(account));
			assert(strlen(account) < sizeof(account));
		}
	}
}

static void token(const char *text, size_t n, bool v3)
{
	struct token t = {0};
	struct err err = ERR_INIT;
	int rc = v3 ? keystone_parse_v3(&t, text, n, "subject", &err) : keystone_parse_v2(&t, text, n, &err);
	assert(rc == 0 ? t.id && *t.id && *t.project_id : err.msg[0] && !t.id && t.catalog.n == 0);
	use_catalog(&t.catalog);
	token_finish(&t);
}

static void versions(const char *text, size_t n)
{
	static struct api_version v[API_VERSIONS_MAX];
	struct url at, out;
	struct err err = ERR_INIT;
	size_t found = versions_parse(text, n, v);
	assert(found <= API_VERSIONS_MAX && url_parse(&at, "https://h:5000/identity", &err) == 0);
	for (size_t i = 0; i < found; i++) {
		int out_micro = 0;
		err_clear(&err);
		if (versions_url(&out, &at, &v[i], &err) < 0)
			continue;
		assert(strcmp(out.origin, at.origin) == 0);
		check_url(&out);
		int micro = microversion_choose(v[i].min_micro, v[i].max_micro);
		assert(micro == 0 || (micro <= v[i].max_micro && micro >= v[i].min_micro));
		(void)microversion_wanted("2.52", v[i].min_micro, v[i].max_micro, &out_micro, &err);
	}
}

/* No byte that a terminal obeys, and no secret, comes through. */
static void faults(const char *text, size_t n)
{
	static const char secret[] = "hunter2<&>\"'"; /* no backslash: unsafe bytes are shown with one */
	struct secrets s = {0};
	char out[FAULT_MAX];
	secrets_add(&s, secret);
	secrets_add(&s, "pw");
	fault_text(&s, n ? text[0] * 5 : 500, text, n, out);
	assert(out[0] && strlen(out) < FAULT_MAX && !strstr(out, secret));
	for (const char *p = out; *p; p++)
		assert((unsigned char)*p >= ' ' && *p != 0x7F);
	AUTO_BUF cut = buf_make(BUF_TEXT_MAX);
	secrets_cut(&s, &cut, text, n);
	assert(!memmem(cut.data, cut.len, secret, sizeof(secret) - 1));
	secrets_finish(&s);
}

static void words(const char *text)
{
	struct url at, out;
	struct err err = ERR_INIT;
	assert(keystone_time(text) >= -86400);
	if (url_parse(&out, text, &err) == 0)
		check_url(&out);
	err_clear(&err);
	assert(url_parse(&at, "https://h:5000/identity", &err) == 0);
	if (url_link(&out, &at, text, &err) == 0) {
		assert(strcmp(out.origin, at.origin) == 0);
		check_url(&out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	/* Of its exact size, so that a byte too far is seen; words need their NUL. */
	AUTO_FREE char *text = xcalloc(1, size - 1 ? size - 1 : 1);
	memcpy(text, data + 1, size - 1);
	AUTO_FREE char *string = xstrndup((const char *)data + 1, size - 1);
	switch (data[0] % 5) {
	case 0:
		token(text, size - 1, true);
		break;
	case 1:
		token(text, size - 1, false);
		break;
	case 2:
		versions(text, size - 1);
		break;
	case 3:
		faults(text, size - 1);
		break;
	default:
		words(string);
	}
	return 0;
}
