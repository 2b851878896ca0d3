/* SPDX-License-Identifier: MIT */
#include "cloud/keystone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- what is sent ---- */

static void double_quotes(char *s)
{
	for (char *p = s; p && (p = strchr(p, '\'')); p++)
		*p = '"';
}

/* auth and expected with ' for ". expected NULL: an error with `part` in it. */
static void assert_request(enum auth_type type, int version, const char *auth, const char *expected, const char *part)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *a = xstrdup(auth), *e = xstrdup(expected);
	double_quotes(a);
	double_quotes(e);
	json_t *in = json_loads(a, 0, NULL);
	assert_non_null(in);
	json_t *body = keystone_request(type, in, version, &err);
	AUTO_FREE char *text = body ? json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	if (e) {
		assert_string_equal(err.msg, "");
		assert_string_equal(text, e);
	} else {
		assert_null(body);
		assert_int_equal(err.reach, ERR_USER);
		assert_non_null(strstr(err.msg, part ? part : "?"));
	}
	json_decref(body);
	json_decref(in);
}

static void test_v3_password(void **state)
{
	(void)state;
	assert_request(
		AUTH_PASSWORD, 3,
		"{'username':'U','password':'P','user_domain_name':'D','project_name':'PN',"
		"'project_domain_name':'PD'}",
		"{'auth':{'identity':{'methods':['password'],'password':{'user':{'domain':{'name':'D'},'name':'U',"
		"'password':'P'}}},'scope':{'project':{'domain':{'name':'PD'},'name':'PN'}}}}",
		NULL);
	/* by ids: no domain beside an id */
	assert_request(AUTH_PASSWORD, 3,
		       "{'user_id':'UID','username':'U','password':'P','project_id':'PID','project_name':'N'}",
		       "{'auth':{'identity':{'methods':['password'],'password':{'user':{'id':'UID','password':'P'}}},"
		       "'scope':{'project':{'id':'PID'}}}}",
		       NULL);
	/* the domain of the project defaults to the user's, that of both to the default domain */
	assert_request(
		AUTH_PASSWORD, 3,
		"{'username':'U','password':'P','user_domain_id':'d','project_name':'PN','project_domain_name':''}",
		"{'auth':{'identity':{'methods':['password'],'password':{'user':{'domain':{'id':'d'},'name':'U',"
		"'password':'P'}}},'scope':{'project':{'domain':{'id':'d'},'name':'PN'}}}}",
		NULL);
	assert_request(
		AUTH_PASSWORD, 3, "{'username':'U','password':'P','default_domain_id':'default','project_name':'PN'}",
		"{'auth':{'identity':{'methods':['password'],'password':{'user':{'domain':{'id':'default'},'name':"
		"'U','password':'P'}}},'scope':{'project':{'domain':{'id':'default'},'name':'PN'}}}}",
		NULL);
}

static void test_v3_scopes(void **state)
{
	(void)state;
	static const char *const scopes[][2] = {
		{"", ""},
		{",'domain_name':'D'", ",'scope':{'domain':{'name':'D'}}"},
		{",'domain_id':'I'", ",'scope':{'domain':{'id':'I'}}"},
		{",'system_scope':'all'", ",'scope':{'system':{'all':true}}"},
		{",'trust_id':'T','project_id':'P'", ",'scope':{'OS-TRUST:trust':{'id':'T'}}"},
		{",'project_id':'P','domain_id':'I'", ",'scope':{'project':{'id':'P'}}"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
		AUTO_FREE char *auth = xasprintf("{'token':'TT'%s}", scopes[i][0]);
		AUTO_FREE char *body =
			xasprintf("{'auth':{'identity':{'methods':['token'],'token':{'id':'TT'}}%s}}", scopes[i][1]);
		assert_request(AUTH_TOKEN, 3, auth, body, NULL);
	}
}

static void test_v3_application_credential(void **state)
{
	(void)state;
	/* what an earlier openrc left behind must not become a scope */
	assert_request(AUTH_APPCRED, 3,
		       "{'application_credential_id':'I','application_credential_secret':'S','project_name':'x',"
		       "'project_domain_name':'y'}",
		       "{'auth':{'identity':{'application_credential':{'id':'I','secret':'S'},'methods':"
		       "['application_credential']}}}",
		       NULL);
	assert_request(
		AUTH_APPCRED, 3,
		"{'application_credential_name':'N','application_credential_secret':'S','username':'U',"
		"'user_domain_name':'D'}",
		"{'auth':{'identity':{'application_credential':{'name':'N','secret':'S','user':{'domain':{'name':"
		"'D'},'name':'U'}},'methods':['application_credential']}}}",
		NULL);
	assert_request(AUTH_APPCRED, 3, "{'application_credential_name':'N','application_credential_secret':'S'}", NULL,
		       "user");
	assert_request(AUTH_APPCRED, 3, "{'application_credential_id':'N'}", NULL, "application_credential_secret");
}

static void test_v2(void **state)
{
	(void)state;
	assert_request(AUTH_RAX_APIKEY, 2, "{'username':'U','api_key':'K'}",
		       "{'auth':{'RAX-KSKEY:apiKeyCredentials':{'apiKey':'K','username':'U'}}}", NULL);
	assert_request(AUTH_V2PASSWORD, 2, "{'username':'U','password':'P','project_id':'1','project_name':'N'}",
		       "{'auth':{'passwordCredentials':{'password':'P','username':'U'},'tenantId':'1'}}", NULL);
	assert_request(AUTH_PASSWORD, 2, "{'username':'U','password':'P','project_name':'N','user_domain_name':'D'}",
		       "{'auth':{'passwordCredentials':{'password':'P','username':'U'},'tenantName':'N'}}", NULL);
	assert_request(AUTH_V2TOKEN, 2, "{'token':'T','project_name':'N'}",
		       "{'auth':{'tenantName':'N','token':{'id':'T'}}}", NULL);
	assert_request(AUTH_TOKEN, 2, "{'token':'T'}", "{'auth':{'token':{'id':'T'}}}", NULL);
	assert_request(AUTH_RAX_APIKEY, 2, "{'username':'U'}", NULL, "api_key");
	assert_request(AUTH_V2PASSWORD, 2, "{'username':'U'}", NULL, "password");
	assert_request(AUTH_V2TOKEN, 2, "{}", NULL, "token");
}

static void test_missing_keys(void **state)
{
	(void)state;
	assert_request(
		AUTH_PASSWORD, 3, "{'username':'U','password':'P'}", NULL,
		"user_domain_name (often \"Default\") or user_domain_id is required with username on Keystone v3");
	assert_request(AUTH_PASSWORD, 3, "{'username':'U','user_domain_id':'d'}", NULL, "password is required");
	assert_request(AUTH_PASSWORD, 3, "{'password':'P'}", NULL, "username");
	assert_request(AUTH_PASSWORD, 3, "{'user_id':'U','password':'P','project_name':'N'}", NULL,
		       "project_domain_name");
	assert_request(AUTH_TOKEN, 3, "{}", NULL, "token is required");
	assert_request(AUTH_TOKEN, 3, "{'token':'T','project_name':'N'}", NULL, "project_domain_name");
}

/* ---- what comes back ---- */

/* Shortened from a keystone 22 (Debian 12). */
static const char v3_answer[] =
	"{\"token\": {\"methods\": [\"password\"], \"user\": {\"domain\": {\"id\": \"default\", \"name\": "
	"\"Default\"}, \"id\": "
	"\"cb2fca51b1e841ad96d872cc5c6c81f9\", \"name\": \"demo\", \"password_expires_at\": null}, \"audit_ids\": "
	"[\"76OqW4R3S6-rVK-2zS-3GQ\"], \"expires_at\": \"2026-11-22T17:02:49.000000Z\", \"issued_at\": "
	"\"2026-11-22T16:02:49.000000Z\", \"project\": {\"domain\": {\"id\": \"default\", \"name\": \"Default\"}, "
	"\"id\": "
	"\"da73550b84f14a4cb26622ce22ab2df6\", \"name\": \"demo\"}, \"is_domain\": false, \"catalog\": "
	"[{\"endpoints\": "
	"[{\"id\": \"0781\", \"interface\": \"internal\", \"region_id\": \"RegionOne\", \"url\": "
	"\"http://10.0.0.1:8774/v2.1\", \"region\": \"RegionOne\"}, {\"id\": \"0782\", \"interface\": \"public\", "
	"\"region_id\": \"RegionOne\", \"url\": \"http://127.0.0.1:8774/v2.1\", \"region\": \"RegionOne\"}], \"id\": "
	"\"1\", \"type\": \"compute\", \"name\": \"nova\"}, {\"endpoints\": [], \"id\": \"2\", \"type\": \"empty\", "
	"\"name\": \"\"}]}}";

/* Shortened from Rackspace's identity service. */
static const char v2_answer[] =
	"{\"access\":{\"token\":{\"id\":\"aaaabbbbcccc\",\"expires\":\"2015-05-15T16:54:01.897-05:00\",\"tenant\":{"
	"\"id\":"
	"\"960893\",\"name\":\"960893\"},\"RAX-AUTH:authenticatedBy\":[\"APIKEY\"]},\"serviceCatalog\":[{\"name\":"
	"\"cloudServers\",\"type\":\"compute\",\"endpoints\":[{\"tenantId\":\"960893\",\"publicURL\":"
	"\"https://servers.api.rackspacecloud.com/v1.0/960893\",\"versionId\":\"1.0\"}]},{\"name\":"
	"\"cloudServersOpenStack\",\"type\":\"compute\",\"endpoints\":[{\"region\":\"SYD\",\"tenantId\":\"960893\","
	"\"publicURL\":\"https://syd.servers.api.rackspacecloud.com/v2/"
	"960893\",\"versionId\":\"2\"},{\"region\":\"DFW\","
	"\"tenantId\":\"960893\",\"publicURL\":\"https://dfw.servers.api.rackspacecloud.com/v2/960893\"}]},{\"name\":"
	"\"cloudImages\",\"type\":\"image\",\"endpoints\":[{\"region\":\"SYD\",\"publicURL\":"
	"\"https://syd.images.api.rackspacecloud.com/v2\",\"internalURL\":\"https://snet.example/"
	"v2\"}]}],\"user\":{\"id\":"
	"\"1\",\"name\":\"U\"}}}";

static void test_v3_answer(void **state)
{
	(void)state;
	struct token t = {0};
	struct err err = ERR_INIT;
	assert_int_equal(keystone_parse_v3(&t, v3_answer, strlen(v3_answer), "gAAAA", &err), 0);
	assert_string_equal(t.id, "gAAAA");
	assert_string_equal(t.project_id, "da73550b84f14a4cb26622ce22ab2df6");
	assert_string_equal(t.user_name, "demo");
	assert_int_equal(t.expires - t.issued, 3600);
	assert_int_equal(t.expires, 1795366969);
	assert_int_equal(t.catalog.n, 2);
	assert_string_equal(t.catalog.v[1].url, "http://127.0.0.1:8774/v2.1");
	assert_string_equal(t.catalog.v[1].interface, "public");
	assert_string_equal(t.catalog.v[1].region, "RegionOne");
	assert_string_equal(t.catalog.v[1].name, "nova");
	/* every beginning of it is refused, and leaves nothing behind */
	for (size_t n = 0; n < strlen(v3_answer); n++) {
		err_clear(&err);
		assert_int_equal(keystone_parse_v3(&t, v3_answer, n, "gAAAA", &err), -1);
		assert_int_equal(err.reach, ERR_CLOUD);
		assert_null(t.id);
		assert_int_equal(t.catalog.n, 0);
	}
}

static void test_v2_answer(void **state)
{
	(void)state;
	struct token t = {0};
	struct err err = ERR_INIT;
	assert_int_equal(keystone_parse_v2(&t, v2_answer, strlen(v2_answer), &err), 0);
	assert_string_equal(t.id, "aaaabbbbcccc");
	assert_string_equal(t.project_id, "960893");
	assert_int_equal(t.expires, 1431726841);
	assert_int_equal(t.catalog.n, 5);
	assert_string_equal(t.catalog.v[0].region, "");
	assert_string_equal(t.catalog.v[4].interface, "internal");
	token_finish(&t);
}

static void assert_v3_refused(const char *body, const char *subject, const char *part)
{
	struct token t = {0};
	struct err err = ERR_INIT;
	assert_int_equal(keystone_parse_v3(&t, body, strlen(body), subject, &err), -1);
	assert_non_null(strstr(err.msg, part));
	assert_null(t.id);
}

static void test_odd_answers(void **state)
{
	(void)state;
	assert_v3_refused(v3_answer, "", "X-Subject-Token");
	assert_v3_refused(v3_answer, "with blank", "no token");
	assert_v3_refused("{\"token\":{\"user\":{\"name\":\"x\"}}}", "T", "no project in scope");
	assert_v3_refused("{\"token\":{\"project\":{\"id\":\"a/../b\"}}}", "T", "project id");
	assert_v3_refused("{\"token\":{\"project\":{\"id\":7}}}", "T", "no project in scope");
	assert_v3_refused("{\"token\":[]}", "T", "not keystone's");
	assert_v3_refused("<html>", "T", "not JSON");
	struct token t = {0};
	struct err err = ERR_INIT;
	static const char strange[] = "{\"token\":{\"project\":{\"id\":\"p\"},\"expires_at\":3,\"issued_at\":\"soon\","
				      "\"catalog\":[1,null,{\"type\":"
				      "\"compute\"},{\"type\":\"compute\",\"endpoints\":{}},{\"type\":\"compute\","
				      "\"endpoints\":[null,{\"url\":3},"
				      "{\"url\":\"http://h\"}]},{\"endpoints\":[{\"url\":\"http://h\"}]}]}}";
	assert_int_equal(keystone_parse_v3(&t, strange, strlen(strange), "T", &err), 0);
	assert_int_equal(t.expires, 0);
	assert_int_equal(t.issued, 0);
	assert_int_equal(t.catalog.n, 1);
	assert_string_equal(t.catalog.v[0].interface, "");
	token_finish(&t);
	assert_int_equal(keystone_parse_v2(&t, "{\"access\":{\"token\":{\"id\":\"x\"}}}", 31, &err), -1);
	assert_non_null(strstr(err.msg, "no project"));
}

static void test_time(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t t;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-22T17:02:49.000000Z", 1795366969},
		{"2026-11-22T17:02:49", 1795366969},
		{"2026-11-22T17:02:49+00:00", 1795366969},
		{"2026-11-22T12:02:49.1-0500", 1795366969},
		{"2026-11-22T22:32:49+05:30", 1795366969},
		{"2024-02-29T00:00:00Z", 1709164800},
		{"2000-03-01T00:00:00Z", 951868800},
		{"9999-12-31T23:59:60Z", 253402300800},
		{"", -1},
		{"2026-11-22", -1},
		{"2026-11-22 17:02:49Z", -1},
		{"2026-13-22T17:02:49Z", -1},
		{"2026-11-22T24:02:49Z", -1},
		{"2026-11-22T17:02:49X", -1},
		{"2026-11-22T17:02:49+5", -1},
		{"2026-11-22T17:02:49+05:3", -1},
		{"2026-11-22T17:02:49+05:300", -1},
		{"20260-1-22T17:02:49Z", -1},
		{"0000-00-00T00:00:00Z", -1},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(keystone_time(rows[i].text), rows[i].t);
}

static void test_secrets_of_auth(void **state)
{
	(void)state;
	struct secrets s = {0};
	json_t *auth = json_pack("{s:s, s:s, s:s, s:i}", "username", "visible", "password", "hunter22", "api_key",
				 "key123456", "token", 7);
	keystone_secrets(auth, &s);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	static const char text[] = "visible hunter22 key123456";
	secrets_cut(&s, &out, text, strlen(text));
	assert_string_equal(out.data, "visible [cut] [cut]");
	secrets_finish(&s);
	json_decref(auth);
	keystone_secrets(NULL, &s);
	assert_int_equal(s.n, 0);
}

/* ---- URLs ---- */

static void assert_url(const char *text, const char *expected)
{
	struct url u;
	struct err err = ERR_INIT;
	char out[URL_TEXT_MAX];
	if (!expected) {
		assert_int_equal(url_parse(&u, text, &err), -1);
		assert_int_equal(err.reach, ERR_USER);
		return;
	}
	assert_int_equal(url_parse(&u, text, &err), 0);
	url_text(&u, out);
	assert_string_equal(out, expected);
}

static void test_url(void **state)
{
	(void)state;
	assert_url("http://127.0.0.1:5000/v3", "http://127.0.0.1:5000/v3");
	assert_url("HTTPS://Id.Example:443//identity//v3///", "https://id.example/identity/v3");
	assert_url("http://h:80", "http://h");
	assert_url("https://h:80/", "https://h:80");
	assert_url("https://[2001:DB8::1]:5000/v3", "https://[2001:db8::1]:5000/v3");
	assert_url("https://[2001:DB8::1]/v3", "https://[2001:db8::1]/v3");
	assert_url("http://h:", "http://h");
	assert_url("", NULL);
	assert_url("h:5000/v3", NULL);
	assert_url("ftp://h/", NULL);
	assert_url("http://", NULL);
	assert_url("http:///v3", NULL);
	assert_url("http://:80/", NULL);
	assert_url("https://[::", NULL);
	assert_url("https://[]/", NULL);
	assert_url("https://::1/", NULL);
	assert_url("http://u:p@h/", NULL);
	assert_url("http://h:123456/", NULL);
	assert_url("http://h/v3?x=y", NULL);
	assert_url("http://h/v3#x", NULL);
	assert_url("http://h/a b", NULL);
	assert_url("http://h/\r\nX-Evil: 1", NULL);
	assert_url("http://h/\xc3\xa4", NULL);
	char many[2001];
	memset(many, 'a', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	AUTO_FREE char *long_path = xasprintf("http://h/%s", many), *long_host = xasprintf("http://%s/", many);
	assert_url(long_path, NULL);
	assert_url(long_host, NULL);
}

static void test_password_in_url_is_not_shown(void **state)
{
	(void)state;
	struct url u;
	struct err err = ERR_INIT;
	assert_int_equal(url_parse(&u, "http://user:hunter22@h/v3", &err), -1);
	assert_null(strstr(err.msg, "hunter22"));
}

static void assert_link(const char *at, const char *href, const char *expected)
{
	struct url u, out;
	struct err err = ERR_INIT;
	char text[URL_TEXT_MAX];
	assert_int_equal(url_parse(&u, at, &err), 0);
	int rc = url_link(&out, &u, href, &err);
	assert_int_equal(rc, expected ? 0 : -1);
	if (!expected)
		return;
	url_text(&out, text);
	assert_string_equal(text, expected);
}

/* Scheme, host and port are always those that were contacted. */
static void test_link(void **state)
{
	(void)state;
	assert_link("http://127.0.0.1:5000", "http://127.0.0.1:5000/v3/", "http://127.0.0.1:5000/v3");
	assert_link("https://id.example", "http://10.0.0.7:5000/v3/", "https://id.example/v3");
	assert_link("https://id.example/identity", "http://10.0.0.7/identity/v3/", "https://id.example/identity/v3");
	/* the proxy's prefix is not known to the API */
	assert_link("https://h/identity", "http://10.0.0.7:5000/v3/", "https://h/identity/v3");
	assert_link("https://h/compute", "https://h/v2.1/", "https://h/compute/v2.1");
	assert_link("https://h/ident", "https://h/identity/v3", "https://h/ident/v3");
	/* relative ones */
	assert_link("https://h/identity", "v3/", "https://h/identity/v3");
	assert_link("https://h/identity", "/identity/v3", "https://h/identity/v3");
	assert_link("https://h", "//evil.example/v3", "https://h/v3");
	assert_link("https://h/v3", "https://h/v3/", "https://h/v3");
	assert_link("https://h", "https://evil.example", "https://h");
	assert_link("https://h", "https://h/v3?x#y", "https://h/v3");
	assert_link("https://h", "https://h/\nv3", NULL);
}

static void test_loopback(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		bool loopback;
	} rows[] = {{"http://127.0.0.1:5000", true}, {"http://localhost/x", true},     {"http://localhost:5000", true},
		    {"http://[::1]:5000", true},     {"http://localhost.evil", false}, {"http://10.0.0.1", false}};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct url u;
		struct err err = ERR_INIT;
		assert_int_equal(url_parse(&u, rows[i].url, &err), 0);
		assert_int_equal(url_is_loopback(&u), rows[i].loopback);
	}
}

static void test_version_in_path(void **state)
{
	(void)state;
	struct url_version v;
	assert_true(url_find_version("/identity/v3", &v));
	assert_int_equal(v.major, 3);
	assert_int_equal(v.start, 10);
	assert_int_equal(v.end, 12);
	assert_true(url_find_version("/v2/x/v2.1/abc", &v));
	assert_int_equal(v.minor, 1);
	assert_false(url_find_version("", &v));
	assert_false(url_find_version("/vpn/v/v2x/v2./v.1/v12345/V3", &v));
}

static void test_fill(void **state)
{
	(void)state;
	AUTO_FREE char *a = url_fill("http://h/v2/%(project_id)s/$(tenant_id)s/%(x)s%", "P");
	assert_string_equal(a, "http://h/v2/P/P/%(x)s%");
}

static void assert_account(const char *url, const char *project, const char *region, const char *expected)
{
	struct url u;
	struct err err = ERR_INIT;
	char out[320];
	assert_int_equal(url_parse(&u, url, &err), 0);
	account_text(&u, project, region, out, sizeof(out));
	assert_string_equal(out, expected);
}

static void test_account(void **state)
{
	(void)state;
	assert_account("http://127.0.0.1:8774/v2.1", "p1", "RegionOne", "http://127.0.0.1:8774 p1 RegionOne");
	assert_account("https://H/compute/v2.1/p1", "p1", "R", "https://h/compute p1 R");
	assert_account("https://h/compute", "p1", "R", "https://h/compute p1 R");
	assert_account("https://h", "", "", "https://h - -");
	assert_account("https://h", "-", "a b%", "https://h %2D a%20b%25");
	char a[320], b[320], longer[600];
	struct url u;
	struct err err = ERR_INIT;
	assert_int_equal(url_parse(&u, "https://h", &err), 0);
	memset(longer, 'p', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	account_text(&u, longer, "R1", a, sizeof(a));
	account_text(&u, longer, "R2", b, sizeof(b));
	assert_int_equal(strlen(a), sizeof(a) - 1);
	assert_string_not_equal(a, b);
}

/* ---- the catalog ---- */

static const char *const compute[] = {"compute", NULL};
static const char *const volume[] = {"block-storage", "volumev3", "volumev2", "volume", NULL};

static void make_catalog(struct catalog *c)
{
	catalog_add(c, "compute", "nova", "internal", "SYD", "http://internal");
	catalog_add(c, "compute", "nova", "public", "SYD", "http://syd");
	catalog_add(c, "compute", "nova", "public", "DFW", "http://dfw");
	catalog_add(c, "volumev2", "cinder", "public", "SYD", "http://v2");
	catalog_add(c, "volumev3", "cinder", "public", "SYD", "http://v3");
	catalog_add(c, "image", NULL, "publicURL", NULL, "http://image");
	catalog_add(c, "image", "x", "public", "SYD", "");
	catalog_add(c, NULL, "x", "public", "SYD", "http://x");
}

static void assert_found(const struct catalog *c, struct endpoint_want w, const char *url, const char *part)
{
	struct err err = ERR_INIT;
	const struct endpoint *e = catalog_find(c, &w, &err);
	if (url) {
		assert_non_null(e);
		assert_string_equal(e->url, url);
		return;
	}
	assert_null(e);
	assert_int_equal(err.reach, ERR_USER);
	if (!strstr(err.msg, part))
		fail_msg("%s", err.msg);
}

static void test_catalog(void **state)
{
	(void)state;
	struct catalog c = {0};
	make_catalog(&c);
	assert_int_equal(c.n, 6);
	struct endpoint_want w = {.service = "compute", .types = compute, .interface = "public", .region = "SYD"};
	assert_found(&c, w, "http://syd", NULL);
	w.interface = "internal";
	assert_found(&c, w, "http://internal", NULL);
	w.interface = "admin";
	assert_found(&c, w, NULL, "no admin endpoint; it has: internal, public");
	w.interface = "public";
	w.region = "syd";
	assert_found(&c, w, NULL,
		     "no compute service in region \"syd\" (names of regions are case sensitive); it is in: SYD, DFW");
	w.region = "LON";
	assert_found(&c, w, NULL, "in region \"LON\"; it is in: SYD, DFW");
	w.region = "";
	w.name = "zun";
	assert_found(&c, w, NULL, "no compute service is called zun; there is: nova");
	/* the newest of the aliases, whatever the order of the catalog */
	assert_found(&c, (struct endpoint_want){"block-storage", volume, "public", "SYD", NULL}, "http://v3", NULL);
	static const char *const image[] = {"image", NULL}, *const dns[] = {"dns", NULL};
	assert_found(&c, (struct endpoint_want){"image", image, "public", "", "glance"}, "http://image", NULL);
	assert_found(&c, (struct endpoint_want){"dns", dns, "public", "", ""}, NULL,
		     "no dns service; it has: compute, volumev2, volumev3, image");
	catalog_finish(&c);
	assert_found(&c, w, NULL, "catalog is empty");
}

static void test_region(void **state)
{
	(void)state;
	struct catalog c = {0};
	struct err err = ERR_INIT;
	const char *region;
	make_catalog(&c);
	struct endpoint_want w = {.service = "compute", .types = compute, .interface = "public"};
	assert_int_equal(catalog_region(&c, &w, &region, &err), -1);
	assert_non_null(strstr(err.msg, "one of: SYD, DFW"));
	w.interface = "internal";
	assert_int_equal(catalog_region(&c, &w, &region, &err), 0);
	assert_string_equal(region, "SYD");
	w.types = (const char *const[]){"image", NULL};
	w.interface = "public";
	assert_int_equal(catalog_region(&c, &w, &region, &err), 0);
	assert_string_equal(region, "");
	w.interface = "admin";
	assert_int_equal(catalog_region(&c, &w, &region, &err), -1);
	catalog_finish(&c);
}

/* Two services of type compute: the first generation has no region. */
static void test_rackspace(void **state)
{
	(void)state;
	struct token t = {0};
	struct err err = ERR_INIT;
	assert_int_equal(keystone_parse_v2(&t, v2_answer, strlen(v2_answer), &err), 0);
	struct endpoint_want w = {"compute", compute, "public", "SYD", "cloudServersOpenStack"};
	assert_found(&t.catalog, w, "https://syd.servers.api.rackspacecloud.com/v2/960893", NULL);
	w.region = "LON";
	assert_found(&t.catalog, w, NULL, "it is in: SYD, DFW");
	const char *region;
	assert_int_equal(catalog_region(&t.catalog, &w, &region, &err), -1);
	assert_non_null(strstr(err.msg, "one of: SYD, DFW"));
	token_finish(&t);
}

/* Names in a catalog are foreign. */
static void test_hostile_catalog(void **state)
{
	(void)state;
	struct catalog c = {0};
	for (int i = 0; i < CATALOG_MAX + 10; i++) {
		char region[64];
		snprintf(region, sizeof(region), "\x1b[3%dm region %d", i % 8, i);
		catalog_add(&c, "compute", "", "public", region, "http://h");
	}
	assert_int_equal(c.n, CATALOG_MAX);
	struct err err = ERR_INIT;
	struct endpoint_want w = {"compute", compute, "public", "R", NULL};
	assert_null(catalog_find(&c, &w, &err));
	assert_null(strchr(err.msg, '\x1b'));
	catalog_finish(&c);
}

/* ---- version documents ---- */

static void assert_versions(const char *body, int major, const char *at, const char *url, int max_micro)
{
	static struct api_version v[API_VERSIONS_MAX];
	struct url u, out;
	struct err err = ERR_INIT;
	char text[URL_TEXT_MAX];
	size_t n = versions_parse(body, strlen(body), v);
	const struct api_version *found = versions_find(v, n, major);
	if (!url) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_int_equal(url_parse(&u, at, &err), 0);
	assert_int_equal(versions_url(&out, &u, found, &err), 0);
	url_text(&out, text);
	assert_string_equal(text, url);
	assert_int_equal(found->max_micro, max_micro);
}

static void test_versions(void **state)
{
	(void)state;
	assert_versions(
		"{\"versions\": {\"values\": [{\"id\": \"v3.14\", \"status\": \"stable\", \"updated\": "
		"\"2020-04-07T00:00:00Z\", \"links\": [{\"rel\": \"self\", \"href\": \"http://127.0.0.1:5000/v3/\"}], "
		"\"media-types\": []}, {\"id\": \"v2.0\", \"links\": [{\"rel\": \"self\", \"href\": "
		"\"http://127.0.0.1:5000/v2.0/\"}]}]}}",
		3, "https://h", "https://h/v3", 0);
	static const char nova[] = "{\"versions\": [{\"id\": \"v2.0\", \"status\": \"SUPPORTED\", \"version\": \"\", "
				   "\"min_version\": \"\", "
				   "\"links\": [{\"rel\": \"self\", \"href\": \"http://127.0.0.1:8774/v2/\"}]}, "
				   "{\"id\": \"v2.1\", \"status\": "
				   "\"CURRENT\", \"version\": \"2.93\", \"min_version\": \"2.1\", \"links\": "
				   "[{\"rel\": \"self\", \"href\": "
				   "\"http://127.0.0.1:8774/v2.1/\"}]}]}";
	assert_versions(nova, 2, "https://h/compute", "https://h/compute/v2.1", 93);
	assert_versions(nova, 3, NULL, NULL, 0);
	assert_versions("{\"version\": {\"id\": \"v2.1\", \"version\": \"2.93\", \"min_version\": \"2.1\", \"links\": "
			"[{\"rel\": \"describedby\", \"href\": \"http://docs\"}]}}",
			2, "http://h/v2.1", "http://h/v2.1", 93);
	assert_versions("{\"choices\": [{\"id\": \"v2.0\"}]}", 2, "http://h", "http://h/v2", 0);
	assert_versions("{\"versions\": [{\"id\": \"v2.1\", \"version\": \"2.1x\"}]}", 2, "http://h", "http://h/v2.1",
			0);
}

static void test_odd_versions(void **state)
{
	(void)state;
	static const char *const bodies[] = {
		"",
		"{}",
		"[]",
		"{\"versions\": 3}",
		"{\"versions\": {\"values\": {}}}",
		"{\"versions\": [null, 1, {}]}",
		"{\"versions\": [{\"id\": \"3\"}, {\"id\": \"v\"}, {\"id\": \"v3/x\"}, {\"id\": 3}]}",
		"{\"version\": []}",
		"<html>"};
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		assert_versions(bodies[i], 3, NULL, NULL, 0);
	static struct api_version v[API_VERSIONS_MAX];
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	buf_adds(&b, "{\"version\": {\"id\": \"v1\"}, \"versions\": [");
	for (int i = 0; i < 500; i++)
		buf_addf(&b, "{\"id\": \"v3.%d\"},", i);
	buf_adds(&b, "null]}");
	assert_int_equal(versions_parse(b.data, b.len, v), API_VERSIONS_MAX);
}

static void test_microversion(void **state)
{
	(void)state;
	assert_int_equal(microversion_choose(1, 93), 67);
	assert_int_equal(microversion_choose(1, 67), 67);
	assert_int_equal(microversion_choose(1, 66), 52);
	assert_int_equal(microversion_choose(1, 38), 37);
	assert_int_equal(microversion_choose(1, 25), 0);
	assert_int_equal(microversion_choose(0, 0), 0);
	assert_int_equal(microversion_choose(70, 120), 0);
	static const struct {
		const char *want;
		int min, max, out;
		const char *part;
	} rows[] = {
		{"2.67", 1, 93, 67, NULL},
		{"2.37", 1, 93, 37, NULL},
		{"2.1", 1, 93, 0, NULL},
		{"2.1", 0, 0, 0, NULL},
		{"2", 0, 0, 0, NULL},
		{"2.53", 1, 93, 52, NULL},
		{"2.20", 1, 93, 0, NULL},
		{"latest", 1, 93, 67, NULL},
		{"latest", 0, 0, 0, NULL},
		{"3.67", 1, 93, -1, "such as 2.67"},
		{"2.x", 1, 93, -1, "such as 2.67"},
		{"2.67", 1, 60, -1, "the cloud has 2.1 to 2.60"},
		{"2.67", 0, 0, -1, "no microversions"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = ERR_INIT;
		int out = -2;
		int rc = microversion_wanted(rows[i].want, rows[i].min, rows[i].max, &out, &err);
		assert_int_equal(rc, rows[i].part ? -1 : 0);
		if (rows[i].part)
			assert_non_null(strstr(err.msg, rows[i].part));
		else
			assert_int_equal(out, rows[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v3_password),
		cmocka_unit_test(test_v3_scopes),
		cmocka_unit_test(test_v3_application_credential),
		cmocka_unit_test(test_v2),
		cmocka_unit_test(test_missing_keys),
		cmocka_unit_test(test_v3_answer),
		cmocka_unit_test(test_v2_answer),
		cmocka_unit_test(test_odd_answers),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_secrets_of_auth),
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_password_in_url_is_not_shown),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_version_in_path),
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_account),
		cmocka_unit_test(test_catalog),
		cmocka_unit_test(test_region),
		cmocka_unit_test(test_rackspace),
		cmocka_unit_test(test_hostile_catalog),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_odd_versions),
		cmocka_unit_test(test_microversion),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
