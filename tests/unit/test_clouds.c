/* SPDX-License-Identifier: MIT */
/* The expected values are what openstacksdk makes of the same files and variables, unless a comment says that we differ
 * (the list is in cloud/clouds.h). */
#include "cloud/clouds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/template.h"
#include "base/text.h"

static char root[] = "/tmp/stepbox-clouds-XXXXXX";

/* ---- a small world: work/ is the current directory; config/, home/ and site/ are searched ---- */

__attribute__((format(printf, 1, 2))) static const char *at(const char *fmt, ...)
{
	static char path[4][400];
	static int turn;
	char rest[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(rest, sizeof rest, fmt, ap);
	va_end(ap);
	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", root, rest);
	return path[turn];
}

static void put(const char *name, const char *text)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *dir = xstrdup(at("%s", name));
	*strrchr(dir, '/') = '\0';
	if (fs_mkdirs(dir, 0700, &err) != 0 || fs_write(at("%s", name), text, strlen(text), 0600, &err) != 0)
		fail_msg("%s", err.msg);
}

static int fresh(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	for (char **var = environ; *var != NULL;) {
		AUTO_FREE char *name = xstrndup(*var, strcspn(*var, "="));
		if (text_starts(name, "OS_")) {
			unsetenv(name);
			var = environ;
		} else {
			var++;
		}
	}
	if (chdir("/") != 0 || fs_remove_tree(root, &err) != 0 || fs_mkdirs(at("work"), 0700, &err) != 0 ||
	    chdir(at("work")) != 0)
		return -1;
	setenv("HOME", at("home"), 1);
	setenv("XDG_CONFIG_HOME", at("config"), 1);
	setenv("XDG_CONFIG_DIRS", at("site"), 1);
	unsetenv("SNAP_REAL_HOME");
	unsetenv("STEPBOX_TEMPLATES");
	return 0;
}

/* "NAME=value NAME=value" */
static void set_env(const char *vars)
{
	AUTO_FREE char *copy = xstrdup(vars);
	for (char *p = copy, *word; (word = strsep(&p, " ")) != NULL;) {
		char *value = strchr(word, '=');
		if (value == NULL)
			continue;
		*value = '\0';
		setenv(word, value + 1, 1);
	}
}

/* ---- what came out, as one line ---- */

static char line[4096];

static const char *load(const char *name)
{
	struct cloud_config c;
	struct err err = ERR_INIT;
	if (clouds_load(&c, name, &err) != 0) {
		assert_int_equal(err.reach, ERR_USER);
		snprintf(line, sizeof line, "%s", err.msg);
		return line;
	}
	char *auth = json_dumps(c.auth, JSON_COMPACT | JSON_SORT_KEYS);
	for (char *p = auth, *q = auth;; q++) /* easier to write down without them */
		if (*q != '"' && (*p++ = *q) == '\0')
			break;
	snprintf(line, sizeof line, "%s %s %s %s", cloud_config_get(&c, "auth_type"), c.region, c.interface, auth);
	free(auth);
	cloud_config_finish(&c);
	cloud_config_finish(&c); /* again is fine */
	return line;
}

/* What load() logs; elsewhere it is not shown. */
static const char *warnings(const char *name)
{
	static char text[4096];
	FILE *f = tmpfile();
	int old = dup(STDERR_FILENO);
	fflush(stderr);
	log_set_level(LOG_TRACE);
	dup2(fileno(f), STDERR_FILENO);
	load(name);
	log_set_level(LOG_ERR);
	dup2(old, STDERR_FILENO);
	close(old);
	rewind(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void expect_part(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" has no \"%s\"", text, part);
}

/* A file with one cloud "x" whose entry is this flow mapping without its braces. */
static void put_entry(const char *entry)
{
	AUTO_FREE char *text = xasprintf("clouds:\n  x: {%s}\n", entry);
	put("work/clouds.yaml", text);
}

#define USER    "username: u, password: p"
#define USER_V3 USER ", user_domain_name: D"
#define V3      "auth_url: \"http://k/v3\", " USER_V3
#define V2      "auth_url: \"http://k/v2.0/\", " USER

struct row {
	const char *entry, *want;
};

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		put_entry(rows[i].entry);
		if (strcmp(load("x"), rows[i].want) != 0)
			fail_msg("{%s}\nis   %s\nwant %s", rows[i].entry, line, rows[i].want);
	}
}

/* The errors of row i, without the subject. */
static void check_errors(const struct row *rows, size_t n)
{
	AUTO_FREE char *subject = xasprintf("cloud x of %s: ", at("work/clouds.yaml"));
	for (size_t i = 0; i < n; i++) {
		put_entry(rows[i].entry);
		const char *text = load("x");
		if (!text_starts(text, subject))
			fail_msg("{%s}\nis   %s\nwant %s%s", rows[i].entry, text, subject, rows[i].want);
		expect_part(text + strlen(subject), rows[i].want);
	}
}

/* ---- files ---- */

static void put_cloud(const char *file, const char *region)
{
	AUTO_FREE char *text = xasprintf("clouds: {x: {region_name: %s, auth: {" V3 "}}}", region);
	put(file, text);
}

static void expect_region(const char *region)
{
	AUTO_FREE char *want =
		xasprintf("password %s public {auth_url:http://k/v3,password:p,user_domain_name:D,username:u}", region);
	assert_string_equal(load("x"), want);
}

static void search_order(void **state)
{
	(void)state;
	put_cloud("site/openstack/clouds.json", "site"); /* flow style YAML is not JSON: left out */
	put_cloud("site/openstack/clouds.yml", "site");
	expect_region("site");
	put_cloud("home/.config/openstack/clouds.yml", "home");
	expect_region("home");
	put_cloud("config/openstack/clouds.yml", "config");
	expect_region("config");
	put_cloud("config/openstack/clouds.yaml", "config-yaml");
	expect_region("config-yaml");
	put("work/clouds.json",
	    "{\"clouds\": {\"x\": {\"region_name\": \"work\", \"auth\": {\"auth_url\": \"http://k/v3\","
	    "\"username\": \"u\", \"password\": \"p\", \"user_domain_name\": \"D\"}}}}");
	expect_region("work");
	put_cloud("snap/.config/openstack/clouds.yml", "snap");
	setenv("SNAP_REAL_HOME", at("snap"), 1);
	expect_region("work");
	setenv("XDG_CONFIG_HOME", at("none"), 1);
	assert_int_equal(unlink(at("work/clouds.json")), 0);
	expect_region("snap");
}

static void first_that_parses(void **state)
{
	(void)state;
	put_cloud("config/openstack/clouds.yaml", "good");
	put("work/clouds.yaml", "clouds: {x: [");
	put("work/clouds.yml", "a: b: c\n");
	put("work/clouds.json", "{\"clouds\": ");
	expect_region("good");
	const char *text = warnings("x");
	expect_part(text, "work/clouds.yaml:2:");
	expect_part(text, "work/clouds.yml:1:");
	expect_part(text, "work/clouds.json:1:");
	assert_int_equal(mkdir(at("work/d"), 0700), 0);
	assert_int_equal(rename(at("work/d"), at("work/secure.yaml")), 0);
	expect_part(warnings("x"), "secure.yaml: Is a directory; this file is left out");
	/* an empty file ends the search as well */
	put("work/clouds.yaml", "# nothing\n");
	expect_part(load("x"), "which has no clouds");
}

static void named_files_must_be_there(void **state)
{
	(void)state;
	put_cloud("work/clouds.yaml", "cwd");
	put_cloud("other/my.conf", "other");
	set_env("OS_CLIENT_CONFIG_FILE=");
	expect_region("cwd");
	setenv("OS_CLIENT_CONFIG_FILE", at("other/my.conf"), 1);
	expect_region("other");
	setenv("OS_CLIENT_CONFIG_FILE", at("other/gone"), 1);
	AUTO_FREE char *want = xasprintf("OS_CLIENT_CONFIG_FILE: %s: No such file or directory", at("other/gone"));
	assert_string_equal(load("x"), want);
	put("other/gone", "clouds: [");
	expect_part(load("x"), "OS_CLIENT_CONFIG_FILE: ");
	unsetenv("OS_CLIENT_CONFIG_FILE");
	setenv("OS_CLIENT_SECURE_FILE", at("other/none"), 1);
	expect_part(load("x"), "OS_CLIENT_SECURE_FILE: ");
	put("other/none", "clouds: {x: {region_name: sec}}");
	expect_region("sec");
}

static void bad_shapes(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"[1]", "work/clouds.yaml: not a mapping"},
		{"just text", "work/clouds.yaml: not a mapping"},
		{"clouds: [x]", "\"clouds:\" is not a mapping"},
		{"clouds: {x: text}", "cloud x is not a mapping"},
		{"clouds: {x: [a]}", "cloud x is not a mapping"},
		{"clouds: {x: }", "auth: auth_url is missing"},
		{"clouds: {x: {auth: text}}", "auth: auth_url is missing"},
		{"clouds: {x: {auth: [a]}}", "auth: auth_url is missing"},
		{"clouds: {x: {auth: {auth_url: [a]}}}", "auth: auth_url is missing"},
		{"clouds: {x: {regions: text}}", "regions: not a list"},
		{"clouds: {x: {regions: [[a]]}}", "regions: an item is a name"},
		{"clouds: {x: {regions: [{name: a, vales: {}}]}}", "regions: an item is a name"},
		{"clouds: {x: {regions: [{values: {}}]}}", "regions: an item is a name"},
		{"clouds: {x: {regions: [{name: a, values: b}]}}", "regions: an item is a name"},
		{"clouds: {x: {api_timeout: soon}}", "api_timeout: not a number"},
		{"clouds: {x: {api_timeout: .}}", "api_timeout: not a number"},
		{"clouds: {x: {interface: outside}}", "interface: not public, internal or admin"},
		{"clouds: {y: {}}", "not in "},
		{"client: {}", "which has no clouds"},
		{"clouds: ", "which has no clouds"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		put("work/clouds.yaml", rows[i].text);
		expect_part(load("x"), rows[i].want);
	}
	put("work/clouds.yaml", "client: {}");
	expect_part(warnings("x"), "has no \"clouds:\"");
}

static void json_files(void **state)
{
	(void)state;
	put("work/clouds.json",
	    "{\"clouds\": {\"x\": {\"identity_api_version\": 2.0, \"volume_api_version\": 3, \"verify\": false,\n"
	    "\t\"a\": null, \"image_api_version\": 2.5, \"insecure\": true, \"auth\": {\"auth_url\": "
	    "\"http:\\/\\/k\",\n"
	    "\t\"username\": \"\\ud83d\\ude00\", \"password\": \"p\", \"project_id\": 1234}}}}");
	assert_string_equal(load(NULL), "password  public {auth_url:http://k,password:p,project_id:1234,username:😀}");
	struct cloud_config c;
	struct err err = ERR_INIT;
	assert_int_equal(clouds_load(&c, NULL, &err), 0);
	assert_string_equal(cloud_config_get(&c, "identity_api_version"), "2.0");
	assert_string_equal(cloud_config_get(&c, "image_api_version"), "2.5");
	assert_string_equal(cloud_config_get(&c, "volume_api_version"), "3");
	assert_null(cloud_config_get(&c, "a"));
	assert_false(c.verify);
	cloud_config_finish(&c);
}

static void secure_wins(void **state)
{
	(void)state;
	put("work/clouds.yaml", "clouds:\n  x: {region_name: A, auth: {" V3 ", password: none}}\n  y: \n");
	put("work/clouds.yaml", "clouds:\n  x: {region_name: A, auth: {auth_url: \"http://k/v3\", username: u, "
				"user_domain_name: D}}\n  y: \n");
	put("config/openstack/secure.yaml", "clouds:\n  x: {auth: {password: s}}\n  y: {auth: {" V2 "}}\n  z: {}\n");
	assert_string_equal(load("x"),
			    "password A public {auth_url:http://k/v3,password:s,user_domain_name:D,username:u}");
	assert_string_equal(load("y"), "password  public {auth_url:http://k/v2.0/,password:p,username:u}");
	put("work/secure.yml", "clouds: {x: {auth: {password: null}}}");
	expect_part(load("x"), "auth: password is missing");
	/* alone it will do, too */
	put("work/secure.yml", "clouds: {x: {auth: {" V2 "}}}");
	assert_int_equal(unlink(at("work/clouds.yaml")), 0);
	assert_string_equal(load("x"), "password  public {auth_url:http://k/v2.0/,password:p,username:u}");
}

/* ---- files that people have ---- */

static void files_people_have(void **state)
{
	(void)state;
	put("config/openstack/clouds.yaml",
	    "clouds:\n"
	    "  rax-classic: {profile: rackspace, auth_type: rackspace_apikey, region_name: SYD, auth: {username: U, "
	    "api_key: K}}\n"
	    "  rax-flex:    {region_name: DFW3, auth: {auth_url: \"https://keystone.api.dfw3.rackspacecloud.com/v3\",\n"
	    "                username: U, password: P, project_name: 123456_Flex, user_domain_name: "
	    "rackspace_cloud_domain,\n"
	    "                project_domain_name: rackspace_cloud_domain}}\n"
	    "  appcred:     {auth_type: v3applicationcredential, region_name: R, auth: {auth_url: "
	    "\"https://id.example/v3\",\n"
	    "                application_credential_id: I, application_credential_secret: S}}\n"
	    "  devstack:    {auth: {auth_url: \"http://10.0.0.5/identity\", username: demo, password: p, project_name: "
	    "demo,\n"
	    "                user_domain_id: default, project_domain_id: default},\n"
	    "                identity_api_version: 3, volume_api_version: 3, verify: false, region_name: RegionOne}\n"
	    "  nodepool:    {profile: rackspace, auth: {username: U, password: P, project_id: 42}, vm_mode: hvm,\n"
	    "                diskimages: [{name: a, meta: {k: v}}], networks: [{name: n}, {no: name}], rate: 0.001,\n"
	    "                boot-timeout: 120, regions: [{name: IAD, values: {rate: 1}}, ORD]}\n"
	    "client: {force_ipv4: true}\n"
	    "cache: {max_age: 0, expiration: {server: 5}}\n"
	    "ansible: {use_hostnames: True, expand_hostvars: False}\n");
	assert_string_equal(load("rax-classic"), "rackspace_apikey SYD public {api_key:K,"
						 "auth_url:https://identity.api.rackspacecloud.com/v2.0/,username:U}");
	assert_string_equal(load("rax-flex"),
			    "password DFW3 public {auth_url:https://keystone.api.dfw3.rackspacecloud.com/v3,password:P,"
			    "project_domain_name:rackspace_cloud_domain,project_name:123456_Flex,"
			    "user_domain_name:rackspace_cloud_domain,username:U}");
	assert_string_equal(load("appcred"), "v3applicationcredential R public {application_credential_id:I,"
					     "application_credential_secret:S,auth_url:https://id.example/v3}");
	assert_string_equal(load("devstack"), "password RegionOne public {auth_url:http://10.0.0.5/identity,password:p,"
					      "project_domain_id:default,project_name:demo,user_domain_id:default,"
					      "username:demo}");
	assert_string_equal(load("nodepool"),
			    "password IAD public {auth_url:https://identity.api.rackspacecloud.com/v2.0/,"
			    "password:P,project_id:42,username:U}");
	assert_string_equal(warnings("nodepool"), "");
	struct cloud_config c;
	struct err err = ERR_INIT;
	assert_int_equal(clouds_load(&c, "nodepool", &err), 0);
	assert_true(c.force_ipv4);
	assert_true(c.timeout_ms == 120000);
	assert_int_equal(c.auth_type, AUTH_PASSWORD);
	assert_string_equal(c.name, "nodepool");
	assert_string_equal(c.source, at("config/openstack/clouds.yaml"));
	assert_string_equal(cloud_config_service(&c, "compute", "service_name"), "cloudServersOpenStack");
	assert_string_equal(cloud_config_service(&c, "volume", "endpoint_override"),
			    "https://IAD.blockstorage.api.rackspacecloud.com/v2/%(project_id)s");
	assert_string_equal(cloud_config_get(&c, "floating_ip_source"), "None");
	assert_false(cloud_config_flag(&c, "has_network", true));
	assert_false(cloud_config_flag(&c, "requires_floating_ip", true));
	assert_true(cloud_config_flag(&c, "image_api_use_tasks", false));
	cloud_config_finish(&c);
}

static void every_builtin_profile(void **state)
{
	(void)state;
	json_t *list = template_list("clouds/"), *item;
	size_t i;
	assert_true(json_array_size(list) >= 10);
	json_array_foreach (list, i, item) {
		AUTO_FREE char *name = xstrdup(json_string_value(item) + strlen("clouds/"));
		*strrchr(name, '.') = '\0';
		AUTO_FREE char *entry = xasprintf("profile: %s, auth: {" USER_V3 "}", name);
		put_entry(entry);
		const char *text = load("x");
		if (strstr(text, "{auth_url:https://") == NULL || strstr(text, "  ") != NULL)
			fail_msg("%s: %s", name, text);
		assert_string_equal(warnings("x"), "");
	}
	json_decref(list);
}

/* ---- profiles ---- */

static void profiles(void **state)
{
	static const struct row rows[] = {
		{"profile: mine, auth: {" USER_V3 "}",
		 "password P1 internal {auth_url:http://mine/v3,password:p,user_domain_name:D,username:u}"},
		{"cloud: mine, auth: {" USER_V3 "}",
		 "password P1 internal {auth_url:http://mine/v3,password:p,user_domain_name:D,username:u}"},
		/* the old spelling wins, even the profile's */
		{"profile: mine, region_name: Q, interface: admin, auth: {" USER_V3 ", auth_url: \"http://own/v3\"}",
		 "password Q internal {auth_url:http://own/v3,password:p,user_domain_name:D,username:u}"},
		/* a file's profile goes before a built-in one */
		{"profile: fuga, auth: {" USER_V3 "}",
		 "password  public {auth_url:http://fuga/v3,password:p,user_domain_name:D,username:u}"},
		/* one level below (we: of a file's profiles, too) */
		{"profile: nested, auth: {" USER_V3 "}",
		 "password R public {auth_url:http://mine/v3,password:p,user_domain_name:D,username:u}"},
		{"profile: old, auth: {" USER_V3 "}",
		 "password  public {auth_url:http://old/v3,password:p,user_domain_name:D,username:u}"},
		{"profile: citycloud, region_name: Sto2, auth: {" USER_V3 "}",
		 "password Sto2 public "
		 "{auth_url:https://Sto2.citycloud.com:5000/v3/,password:p,user_domain_name:D,username:u}"},
	};
	(void)state;
	put("config/openstack/clouds-public.yaml",
	    "public-clouds:\n"
	    "  mine: {auth: {auth-url: \"http://mine/v3\"}, regions: [P1, P2], endpoint_type: internalURL}\n"
	    "  fuga: {auth: {auth_url: \"http://fuga/v3\"}}\n"
	    "  nested: {profile: mine, regions: [R], interface: public, endpoint_type: public}\n"
	    "  old: {status: deprecated, message: use new, auth: {auth_url: \"http://old/v3\"}}\n"
	    "  gone: {status: shutdown, message: since May, auth: {auth_url: \"http://gone/v3\"}}\n");
	check_rows(rows, ARRAY_SIZE(rows));
	put_entry("profile: old, auth: {" USER_V3 "}");
	expect_part(warnings("x"), "cloud x: profile old is deprecated: use new");
	put_entry("profile: gone, auth: {" USER_V3 "}");
	expect_part(load("x"), "profile gone: this cloud no longer exists: since May");
	put_entry("profile: nosuch, auth: {" V3 "}");
	expect_part(warnings("x"), "there is no profile nosuch");
	expect_part(load("x"), "auth_url:http://k/v3");
	put_entry("profile: ../../etc/x, auth: {" V3 "}");
	expect_part(warnings("x"), "there is no profile ../../etc/x");
	put_entry("profile: \"https://vexxhost.com\", auth: {" USER "}");
	expect_part(warnings("x"), "profile https://vexxhost.com is not fetched");
	expect_part(load("x"), "auth: auth_url is missing; the profile gives none");
	put("config/openstack/clouds-public.yaml", "public-clouds: [");
	put_entry("profile: fuga, auth: {" USER "}");
	expect_part(load("x"), "auth_url:https://identity.api.fuga.io:5000");
	put("config/openstack/clouds-public.yaml", "- a");
	expect_part(warnings("x"), "clouds-public.yaml: not a mapping");
}

/* ---- regions ---- */

static void regions(void **state)
{
#define AUTH_OUT " public {auth_url:http://k/v3,password:p,user_domain_name:D,username:u}"
	static const struct row rows[] = {
		{"auth: {" V3 "}", "password " AUTH_OUT},
		{"region_name: null, auth: {" V3 "}", "password " AUTH_OUT},
		{"region-name: A, auth: {" V3 "}", "password A" AUTH_OUT},
		{"region_name: NO, auth: {" V3 "}", "password NO" AUTH_OUT}, /* SDK: a boolean, and an exception */
		{"region_name: \"A,B\", auth: {" V3 "}", "password A" AUTH_OUT},
		{"region_name: [A, B], auth: {" V3 "}", "password A" AUTH_OUT},
		{"regions: [A, B], auth: {" V3 "}", "password A" AUTH_OUT},
		{"regions: [], auth: {" V3 "}", "password " AUTH_OUT},
		{"regions: [], profile: ovh, auth: {" V3 "}",
		 "password  public "
		 "{auth_url:http://k/v3,password:p,project_domain_name:Default,user_domain_name:D,username:u}"},
		/* the first of regions, whatever region_name says */
		{"regions: [A, B], region_name: B, auth: {" V3 "}", "password A" AUTH_OUT},
		{"regions: [{name: A, values: {interface: admin, auth: {username: ra}}}, B], auth: {" V3 "}",
		 "password A admin {auth_url:http://k/v3,password:p,user_domain_name:D,username:ra}"},
		{"regions: [{name: A, values: {interface: null}}], auth: {" V3 "}", "password A" AUTH_OUT},
		/* values of a profile's region only when the region is the profile's */
		{"profile: rackspace, region_name: NEW, auth: {" USER "}",
		 "password NEW public {auth_url:https://identity.api.rackspacecloud.com/v2.0/,password:p,username:u}"},
		{"profile: rackspace, auth: {" USER "}",
		 "password DFW public {auth_url:https://identity.api.rackspacecloud.com/v2.0/,password:p,username:u}"},
	};
	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
	put_entry("regions: [A, B], region_name: B, auth: {" V3 "}");
	expect_part(warnings("x"), "region_name B has no effect beside regions, whose first is taken: A");
	set_env("OS_REGION_NAME=B");
	assert_string_equal(load("x"), "password B" AUTH_OUT);
	assert_string_equal(warnings("x"), "");
	put_entry("regions: [A, {name: B, values: {interface: internal}}], auth: {" V3 "}");
	assert_string_equal(load("x"),
			    "password B internal {auth_url:http://k/v3,password:p,user_domain_name:D,username:u}");
	put_entry("auth: {" V3 "}");
	assert_string_equal(load("x"), "password B" AUTH_OUT);
	set_env("OS_REGION_NAME=dfw OS_CLOUD=x");
	put_entry("profile: rackspace, auth: {" USER "}");
	expect_part(load(NULL), "cloud x of ");
	expect_part(line, "region dfw is none of its regions (DFW, HKG, IAD, ORD, SYD, LON)");
	expect_part(line, "names are case sensitive");
	set_env("OS_REGION_NAME=SDY1");
	put_entry("regions: [LON1, SYD1], auth: {" V3 "}");
	expect_part(load(NULL), "region SDY1 is none of its regions (LON1, SYD1); names are case sensitive");
	set_env("OS_REGION_NAME=dfw");
	/* as the openstack command: the entry's own region is the only one it knows */
	put_entry("profile: rackspace, region_name: SYD, auth: {" USER "}");
	expect_part(load(NULL), "region dfw is none of its regions (SYD)");
}

static void braces(void **state)
{
	static const struct row good[] = {
		{"region_name: r, auth: {auth_url: \"https://{region_name}.k/v3\", " USER_V3 "}",
		 "password r public {auth_url:https://r.k/v3,password:p,user_domain_name:D,username:u}"},
		{"region_name: r, auth: {auth_url: \"https://h/{{a}}/{region_name}{region_name}/v3\", " USER_V3 "}",
		 "password r public {auth_url:https://h/{a}/rr/v3,password:p,user_domain_name:D,username:u}"},
		{"auth: {auth_url: \"http://k/v3\", username: \"{x}\", password: \"{region_name}{\", user_domain_name: "
		 "\"{\"}",
		 "password  public {auth_url:http://k/v3,password:{region_name}{,user_domain_name:{,username:{x}}"},
	};
	static const struct row bad[] = {
		{"auth: {auth_url: \"https://{regionname}.k/v3\", " USER_V3 "}", "auth_url: its {…} names no value"},
		{"auth: {auth_url: \"https://{auth[password]}.k/v3\", " USER_V3 "}",
		 "auth_url: its {…} names no value"},
		{"auth: {auth_url: \"https://{.k/v3\", " USER_V3 "}", "auth_url: its {…} names no value"},
		{"auth: {auth_url: \"https://}.k/v3\", " USER_V3 "}", "auth_url: its {…} names no value"},
		{"auth: {auth_url: \"https://{}.k/v3\", " USER_V3 "}", "auth_url: its {…} names no value"},
		{"auth: {auth_url: \"https://{auth}.k/v3\", " USER_V3 "}", "auth_url: its {…} names no value"},
	};
	struct cloud_config c;
	struct err err = ERR_INIT;
	(void)state;
	check_rows(good, ARRAY_SIZE(good));
	check_errors(bad, ARRAY_SIZE(bad));
	put_entry("region_name: r, auth: {" V3
		  ", project_id: p1}, compute_endpoint_override: \"http://{region_name}/{auth[project_id]}\","
		  "image_endpoint_override: \"http://i/%(project_id)s\", note: \"{{ ansible }}\", other: \"{unknown}\","
		  "steal: \"{auth[password]}\", a: \"{b}{b}\", b: \"{c}{c}\", c: xy");
	assert_int_equal(clouds_load(&c, "x", &err), 0);
	assert_string_equal(cloud_config_service(&c, "compute", "endpoint_override"), "http://r/p1");
	assert_string_equal(cloud_config_service(&c, "image", "endpoint_override"), "http://i/%(project_id)s");
	assert_string_equal(cloud_config_get(&c, "note"), "{ ansible }");
	/* SDK: an exception; we leave them to the program that they are meant for */
	assert_string_equal(cloud_config_get(&c, "other"), "{unknown}");
	assert_string_equal(cloud_config_get(&c, "steal"), "{auth[password]}");
	assert_string_equal(cloud_config_get(&c, "a"), "{c}{c}{c}{c}"); /* one after the other, not again */
	assert_string_equal(cloud_config_get(&c, "b"), "xyxy");
	cloud_config_finish(&c);
}

/* Values that double from line to line do not fill the memory. */
static void braces_are_bounded(void **state)
{
	(void)state;
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	buf_adds(&text, "auth: {" V3 "}");
	for (int i = 60; i > 0; i--)
		buf_addf(&text, ", v%d: \"{v%d}{v%d}\"", i, i + 1, i + 1);
	AUTO_FREE char *doubled = xasprintf("v61: 0123456789, %s", text.data);
	put_entry(doubled);
	expect_part(load("x"), "password ");
}

/* ---- spellings ---- */

static void old_spellings(void **state)
{
#define P_OUT "auth_url:http://k/v3,password:p,"
	static const struct row rows[] = {
		{"auth: {" V3 ", project-id: 0123, project-domain-name: E}",
		 "password  public {" P_OUT "project_domain_name:E,project_id:0123,user_domain_name:D,username:u}"},
		{"auth: {" V3 ", tenant_name: t, tenant_id: i, project_domain_id: e}",
		 "password  public {" P_OUT
		 "project_domain_id:e,project_id:i,project_name:t,user_domain_name:D,username:u}"},
		{"auth: {" V3 ", tenant_name: t, project_name: n, project_domain_id: e}",
		 "password  public {" P_OUT "project_domain_id:e,project_name:n,user_domain_name:D,username:u}"},
		/* these win from beside auth: … */
		{"project_id: out, auth: {" V3 ", project_id: in}",
		 "password  public {" P_OUT "project_id:out,user_domain_name:D,username:u}"},
		{"user_domain_name: out, auth: {" V3 "}",
		 "password  public {" P_OUT "user_domain_name:out,username:u}"},
		{"project_id: \"\", auth: {" V3 ", project_id: in}",
		 "password  public {" P_OUT "project_id:in,user_domain_name:D,username:u}"},
		{"project_id: null, auth: {" V3 ", project_id: in}",
		 "password  public {" P_OUT "project_id:in,user_domain_name:D,username:u}"},
		/* … and these only when there are none below it */
		{"username: out, password: out, auth_url: \"http://out\", auth: {" V3 "}",
		 "password  public {" P_OUT "user_domain_name:D,username:u}"},
		{"username: u, password: p, auth_url: \"http://k/v3\", user_domain_id: d",
		 "password  public {" P_OUT "user_domain_id:d,username:u}"},
		{"auth: {auth_url: \"http://k/v3\", user_name: u, password: p, user_domain_id: d}",
		 "password  public {" P_OUT "user_domain_id:d,username:u}"},
		{"auth_type: token, auth_token: t, auth: {auth_url: \"http://k/v3\"}",
		 "token  public {auth_url:http://k/v3,token:t}"},
		{"auth_type: token, auth: {auth_url: \"http://k/v3\", auth-token: t}",
		 "token  public {auth_url:http://k/v3,token:t}"},
		/* v2: its own names win, and we still call them projects */
		{"auth_type: v2password, auth: {" V2 ", tenant_name: t, project_name: n}",
		 "v2password  public {auth_url:http://k/v2.0/,password:p,project_name:t,username:u}"},
		{"auth_type: v2token, auth: {auth_url: \"http://k/v2.0\", token: t, tenant_id: 7}",
		 "v2token  public {auth_url:http://k/v2.0,project_id:7,token:t}"},
		/* one domain for both */
		{"auth: {auth_url: \"http://k/v3\", " USER ", project_name: n, domain_name: E}",
		 "password  public {" P_OUT "project_domain_name:E,project_name:n,user_domain_name:E,username:u}"},
		{"domain_id: e, auth: {" V3 ", project_name: n}",
		 "password  public {" P_OUT
		 "project_domain_id:e,project_name:n,user_domain_id:e,user_domain_name:D,username:u}"},
		/* without a project it is a scope */
		{"domain_id: e, auth: {" V3 "}",
		 "password  public {auth_url:http://k/v3,domain_id:e,password:p,user_domain_name:D,username:u}"},
		{"auth: {" V3 ", system_scope: all}",
		 "password  public {" P_OUT "system_scope:all,user_domain_name:D,username:u}"},
		{"auth: {" V3 ", trust_id: t}", "password  public {" P_OUT "trust_id:t,user_domain_name:D,username:u}"},
		/* default domains */
		{"auth: {auth_url: \"http://k/v3\", " USER ", default_domain_id: d, project_name: n}",
		 "password  public {" P_OUT "project_domain_id:d,project_name:n,user_domain_id:d,username:u}"},
		{"auth: {auth_url: \"http://k/v3\", " USER
		 ", project_name: n, project_domain_name: E}, default_domain_name: N",
		 "password  public {" P_OUT "project_domain_name:E,project_name:n,user_domain_name:N,username:u}"},
		{"default_domain: dd, auth: {auth_url: \"http://k/v3\", " USER "}",
		 "password  public {" P_OUT "user_domain_id:dd,username:u}"},
		{"identity_api_version: 3, auth: {auth_url: \"http://k\", " USER ", project_name: n}",
		 "password  public "
		 "{auth_url:http://k,password:p,project_domain_id:default,project_name:n,user_domain_id:default,"
		 "username:u}"},
		{"identity_api_version: 3, auth: {auth_url: \"http://k\", password: p, user_id: i, project_id: n}",
		 "password  public {auth_url:http://k,password:p,project_id:n,user_id:i}"},
		/* v2 has none */
		{"identity_api_version: 2, auth: {auth_url: \"http://k\", " USER ", project_name: n}",
		 "password  public {auth_url:http://k,password:p,project_name:n,username:u}"},
		{"identity_api_version: 2.0, auth: {auth_url: \"http://k\", " USER_V3
		 ", project_name: n, project_domain_id: e}",
		 "password  public {auth_url:http://k,password:p,project_name:n,username:u}"},
		{"auth: {" V2 ", project_name: n, domain_name: E}",
		 "password  public {auth_url:http://k/v2.0/,password:p,project_name:n,username:u}"},
		/* texts stay as they are written */
		{"auth: {auth_url: \"http://k/v3\", user_id: 0x1f, password: 0123, project_id: 1e3}",
		 "password  public {auth_url:http://k/v3,password:0123,project_id:1e3,user_id:0x1f}"},
		{"auth: {auth_url: \"http://k/v3\", user_id: 2020-01-01, password: no, project_id: 007}",
		 "password  public {auth_url:http://k/v3,password:no,project_id:007,user_id:2020-01-01}"},
		/* interfaces */
		{"interface: internalURL, auth: {" V2 "}",
		 "password  internal {auth_url:http://k/v2.0/,password:p,username:u}"},
		{"interface: admin, endpoint_type: internal, auth: {" V2 "}",
		 "password  internal {auth_url:http://k/v2.0/,password:p,username:u}"},
		{"interface: null, auth: {" V2 "}", "password  public {auth_url:http://k/v2.0/,password:p,username:u}"},
		{"interface: [internal, public], auth: {" V2 "}",
		 "password  internal {auth_url:http://k/v2.0/,password:p,username:u}"},
	};
	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void kinds_of_login(void **state)
{
#define APP "application_credential_id: i, application_credential_secret: s"
#define APP_OUT                                                                                                        \
	"v3applicationcredential  public "                                                                             \
	"{application_credential_id:i,application_credential_secret:s,auth_url:http://k/v3"
	static const struct row rows[] = {
		{"auth: {auth_url: \"http://k/v3\", " APP "}", APP_OUT "}"},
		/* the leftovers of another openrc: no scope goes along */
		{"auth_type: v3applicationcredential, auth: {auth_url: \"http://k/v3\", " APP
		 ", project_name: n, project_id: i,"
		 "project_domain_id: d, domain_id: e, system_scope: all, trust_id: t, tenant_name: x}",
		 APP_OUT ",user_domain_id:e}"},
		{"auth_type: password, auth: {auth_url: \"http://k/v3\", " APP ", username: u}",
		 APP_OUT ",username:u}"},
		{"auth_type: v3applicationcredential, auth: {auth_url: \"http://k/v3\", application_credential_name: n,"
		 "application_credential_secret: s, username: u, user_domain_id: d}",
		 "v3applicationcredential  public {application_credential_name:n,application_credential_secret:s,"
		 "auth_url:http://k/v3,user_domain_id:d,username:u}"},
		{"auth: {auth_url: \"http://k/v3\", token: t, project_id: p}",
		 "token  public {auth_url:http://k/v3,project_id:p,token:t}"},
		{"auth: {" V2 ", token: t}",
		 "password  public {auth_url:http://k/v2.0/,password:p,token:t,username:u}"},
		{"auth: {auth_url: \"http://k/v2.0\", username: u, api_key: a}",
		 "rackspace_apikey  public {api_key:a,auth_url:http://k/v2.0,username:u}"},
		{"auth_type: rackspace_password, auth: {" V2 "}",
		 "rackspace_password  public {auth_url:http://k/v2.0/,password:p,username:u}"},
		{"auth_type: v3password, auth: {" V3 "}",
		 "v3password  public {auth_url:http://k/v3,password:p,user_domain_name:D,username:u}"},
		{"auth_plugin: v3password, auth: {" V3 "}",
		 "v3password  public {auth_url:http://k/v3,password:p,user_domain_name:D,username:u}"},
		{"auth_type: none, auth: {endpoint: \"http://e\"}", "none  public {endpoint:http://e}"},
		{"auth_type: None, endpoint: \"http://e\"", "none  public {endpoint:http://e}"},
		{"auth_type: none, compute_endpoint_override: \"http://e\"", "none  public {}"},
		{"auth: {endpoint: \"http://e\"}", "none  public {endpoint:http://e}"},
		{"auth_type: token_endpoint, auth: {url: \"http://e\", token: t}",
		 "admin_token  public {endpoint:http://e,token:t}"},
		{"auth_type: admin_token, auth: {endpoint: \"http://e\", token: t}",
		 "admin_token  public {endpoint:http://e,token:t}"},
	};
	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void what_is_missing(void **state)
{
	static const struct row rows[] = {
		{"", "auth: auth_url is missing; auth_type password needs it"},
		{"auth: {auth_url: \"http://k/v3\", password: p}",
		 "auth: username is missing; auth_type password needs it"},
		{"auth: {auth_url: \"http://k/v3\", username: u, user_domain_id: d}",
		 "auth: password is missing; auth_type password needs it"},
		{"auth: {auth_url: \"http://k/v3\", " USER "}",
		 "auth: user_domain_name is missing; it is required with username on Keystone v3"},
		{"auth: {auth_url: \"http://k\", " USER "}", "auth: user_domain_name is missing"},
		{"auth_type: v3password, identity_api_version: 2, auth: {auth_url: \"http://k\", " USER "}",
		 "auth: user_domain_name is missing"},
		{"identity_api_version: 2, auth: {auth_url: \"http://k/v3/\", " USER "}",
		 "auth: user_domain_name is missing"},
		{"auth: {" V3 ", project_name: n}",
		 "auth: project_domain_name is missing; it is required with project_name on Keystone v3"},
		{"auth_type: token, auth: {auth_url: \"http://k/v3\", token: t, project_name: n}",
		 "auth: project_domain_name is missing"},
		{"auth: {" V3 ", project_id: n, system_scope: all}", "a login has one scope"},
		{"auth: {" V3 ", trust_id: n, domain_id: all}", "a login has one scope"},
		{"auth_type: token, auth: {auth_url: \"http://k/v3\"}",
		 "auth: token is missing; auth_type token needs it"},
		{"auth_type: v2token, auth: {auth_url: \"http://k/v3\"}",
		 "auth: token is missing; auth_type v2token needs it"},
		{"auth_type: v2password, auth: {auth_url: \"http://k\"}", "auth: username is missing"},
		{"auth_type: rackspace_apikey, auth: {auth_url: \"http://k\", username: u, password: p}",
		 "auth: api_key is missing; auth_type rackspace_apikey needs it"},
		{"auth_type: v3applicationcredential, auth: {auth_url: \"http://k\"}",
		 "auth: application_credential_secret is missing"},
		{"auth_type: v3applicationcredential, auth: {auth_url: \"http://k\", application_credential_secret: s}",
		 "auth: application_credential_id is missing"},
		{"auth_type: v3applicationcredential, auth: {auth_url: \"http://k\", application_credential_secret: s,"
		 "application_credential_name: n}",
		 "auth: username is missing"},
		{"auth_type: v3applicationcredential, auth: {auth_url: \"http://k\", application_credential_secret: s,"
		 "application_credential_name: n, username: u}",
		 "auth: user_domain_name is missing"},
		{"auth: {auth_url: \"http://k/v2.0\", " APP "}", "application credentials need Keystone v3"},
		{"auth_type: none", "auth: endpoint is missing; auth_type none needs it"},
		{"auth_type: admin_token, auth: {endpoint: \"http://e\"}", "auth: token is missing"},
		{"auth: {auth_url: k.example, " USER "}", "auth: auth_url is not a http:// or https:// URL"},
		{"auth: {auth_url: \"ftp://k\", " USER "}", "auth: auth_url is not a http:// or https:// URL"},
		{"auth: {auth_url: \"http:///v3\", " USER "}", "auth: auth_url is not a http:// or https:// URL"},
		{"auth: {auth_url: \"http://u:secret@k/v3\", " USER "}", "auth: auth_url holds a user name"},
		{"auth: {auth_url: \"http://k/v3\\n\", " USER "}", "auth: auth_url holds a character that no URL has"},
		{"auth: {auth_url: \"http://k/v3 x\", " USER "}", "auth: auth_url holds a character that no URL has"},
		{"auth_type: token, auth: {auth_url: \"http://k/v3\", token: \"a\\r\\nX: y\"}",
		 "auth: token holds a character that no token has"},
		{"auth_type: pasword, auth: {}",
		 "auth_type pasword: there is none of that name (did you mean password?); known: "},
	};
	(void)state;
	check_errors(rows, ARRAY_SIZE(rows));
}

static void refused_kinds(void **state)
{
	static const char *const names[] = {
		"v3totp",         "v3multifactor", "v3oidcpassword", "v3oidcclientcredentials",
		"v3samlpassword", "v3fedkerb",     "v3kerberos",     "kerberos",
		"v3oauth1",       "http_basic",    "v3tokenlessauth"};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_FREE char *entry = xasprintf("auth_type: %s, auth: {" V3 "}", names[i]);
		AUTO_FREE char *want = xasprintf(": auth_type %s ", names[i]);
		put_entry(entry);
		expect_part(load("x"), want);
		expect_part(line, "application credential (openstack application credential create NAME; auth_type: "
				  "v3applicationcredential)");
	}
}

/* ---- TLS and the like ---- */

static void load_entry(struct cloud_config *c, const char *settings)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *entry = xasprintf("%s%sauth: {" V3 "}", settings, *settings ? ", " : "");
	put_entry(entry);
	if (clouds_load(c, "x", &err) != 0)
		fail_msg("%s: %s", settings, err.msg);
}

static void booleans(void **state)
{
	static const struct {
		const char *settings;
		bool verify, ipv4;
	} rows[] = {
		{"", true, false},
		{"verify: false", false, false},
		{"verify: no", false, false},
		{"verify: Off", false, false},
		{"verify: true", true, false},
		{"verify: yes", true, false},
		{"verify: null", true, false},
		{"verify: 1", true, false},
		{"verify: maybe", true, false},
		{"insecure: true", false, false},
		{"insecure: \"TRUE\"", false, false},
		{"insecure: yes", false, false},
		{"insecure: 1", true, false},
		{"insecure: false", true, false},
		{"insecure: true, verify: true", false, false},
		{"insecure: false, verify: false", false, false},
		{"force_ipv4: true", true, true},
		{"prefer_ipv6: false", true, true},
		{"prefer_ipv6: false, force_ipv4: false", true, true},
		{"prefer_ipv6: true, force_ipv4: false", true, false},
	};
	struct cloud_config c;
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		load_entry(&c, rows[i].settings);
		if (c.verify != rows[i].verify || c.force_ipv4 != rows[i].ipv4)
			fail_msg("%s: verify %d, ipv4 %d", rows[i].settings, c.verify, c.force_ipv4);
		cloud_config_finish(&c);
	}
	load_entry(&c, "a: true, b: \"yes\", c: False, d: 1, e: null, f: [true]");
	assert_true(cloud_config_flag(&c, "a", false));
	assert_true(cloud_config_flag(&c, "b", false));
	assert_false(cloud_config_flag(&c, "c", true));
	assert_false(cloud_config_flag(&c, "d", true));
	assert_true(cloud_config_flag(&c, "e", true));
	assert_false(cloud_config_flag(&c, "e", false));
	assert_true(cloud_config_flag(&c, "f", true));
	assert_true(cloud_config_flag(&c, "missing", true));
	assert_string_equal(cloud_config_get(&c, "a"), "true");
	assert_null(cloud_config_get(&c, "f"));
	cloud_config_finish(&c);
}

static void ipv4_of_all_clouds(void **state)
{
	static const struct {
		const char *client, *env;
		bool ipv4;
	} rows[] = {
		{"{}", "", false},
		{"{force_ipv4: true}", "", true},
		{"{force-ipv4: true}", "", true},
		{"{broken-ipv6: true}", "", true},
		{"{prefer_ipv6: false}", "", true},
		{"{prefer-ipv6: false, force_ipv4: false}", "", true},
		{"{force_ipv4: true}", "OS_FORCE_IPV4=false", false},
		{"{}", "OS_FORCE_IPV4=true", true},
		{"{}", "OS_FORCE_IPV4=1", false},
		{"{prefer_ipv6: false}", "OS_PREFER_IPV6=true", false},
		{"{}", "OS_PREFER_IPV6=false", true},
		{"[a]", "", false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cloud_config c;
		struct err err = ERR_INIT;
		fresh(NULL);
		AUTO_FREE char *text = xasprintf("clouds: {x: {auth: {" V3 "}}}\nclient: %s\n", rows[i].client);
		put("work/clouds.yaml", text);
		set_env(rows[i].env);
		assert_int_equal(clouds_load(&c, "x", &err), 0);
		if (c.force_ipv4 != rows[i].ipv4)
			fail_msg("%s %s", rows[i].client, rows[i].env);
		cloud_config_finish(&c);
	}
}

static void certificates_and_time(void **state)
{
	struct cloud_config c;
	(void)state;
	load_entry(&c, "cacert: ~/ca.pem, cert: ~, key: /k");
	assert_string_equal(c.cacert, at("home/ca.pem"));
	assert_null(c.cert); /* a plain ~ is YAML's null */
	assert_null(c.key);
	assert_true(c.timeout_ms == 0);
	cloud_config_finish(&c);
	load_entry(&c, "cert: \"~\", key: ~joe/k, api_timeout: 2.5");
	assert_string_equal(c.cert, at("home"));
	assert_string_equal(c.key, "~joe/k");
	assert_true(c.timeout_ms == 2500);
	cloud_config_finish(&c);
	load_entry(&c, "cacert: /ca, verify: false, api_timeout: 5, http_timeout: 7, timeout: 9");
	assert_null(c.cacert);
	assert_true(c.timeout_ms == 7000);
	cloud_config_finish(&c);
	expect_part(warnings("x"), "cloud x: its cacert is not used");
	load_entry(&c, "verify: /my/ca.pem, api_timeout: null"); /* requests takes it so */
	assert_true(c.verify);
	assert_string_equal(c.cacert, "/my/ca.pem");
	assert_true(c.timeout_ms == 0);
	cloud_config_finish(&c);
}

static void expect_service(const struct cloud_config *c, const char *service, const char *key, const char *want)
{
	const char *value = cloud_config_service(c, service, key);
	if (want == NULL ? value != NULL : value == NULL || strcmp(value, want) != 0)
		fail_msg("%s %s: %s", service, key, value ? value : "NULL");
}

static void services(void **state)
{
	struct cloud_config c;
	(void)state;
	load_entry(
		&c,
		"region_name: R, interface: internal, compute_endpoint_override: \"http://c\", image-endpoint: "
		"\"http://i\","
		"network_interface: adminURL, volumev3_endpoint_type: public, volume_region_name: V, "
		"volumev2_region_name: W,"
		"compute_service_name: nova, block_storage_service_type: volumev3, compute_default_microversion: 2.67,"
		"compute_api_version: 2.53, image_api_version: latest, image_status_code_retries: 1,"
		"status_code_retries: 9, identity_interface: [admin, public], endpoint_override: \"http://x\"");
	expect_service(&c, "compute", "endpoint_override", "http://c");
	expect_service(&c, "image", "endpoint_override", "http://i");
	expect_service(&c, "network", "endpoint_override", NULL);
	expect_service(&c, "compute", "interface", "internal");
	expect_service(&c, "network", "interface", "admin");
	expect_service(&c, "block-storage", "interface", "public");
	expect_service(&c, "identity", "interface", "admin");
	expect_service(&c, "block-storage", "region_name", "W");
	expect_service(&c, "volume", "region_name", "W");
	expect_service(&c, "compute", "region_name", "R");
	expect_service(&c, "compute", "service_name", "nova");
	expect_service(&c, "image", "service_name", NULL);
	expect_service(&c, "volumev2", "service_type", "volumev3");
	expect_service(&c, "compute", "default_microversion", "2.67");
	expect_service(&c, "compute", "api_version", "2.53");
	expect_service(&c, "image", "api_version", NULL);
	expect_service(&c, "network", "api_version", "2");
	expect_service(&c, "image", "status_code_retries", "1");
	expect_service(&c, "network", "status_code_retries", "9");
	expect_service(&c, "nosuch", "service_name", NULL);
	expect_service(&c, "nosuch", "region_name", "R");
	cloud_config_finish(&c);
	put_entry("auth_type: none, auth: {endpoint: \"http://e\"}, image_endpoint_override: \"http://i\"");
	struct err err = ERR_INIT;
	assert_int_equal(clouds_load(&c, "x", &err), 0);
	expect_service(&c, "compute", "endpoint_override", "http://e");
	expect_service(&c, "image", "endpoint_override", "http://i");
	cloud_config_finish(&c);
}

/* ---- the environment ---- */

#define ENV     "OS_AUTH_URL=http://e/v3 OS_USERNAME=eu OS_PASSWORD=ep OS_USER_DOMAIN_NAME=ED"
#define ENV_OUT "{auth_url:http://e/v3,password:ep,user_domain_name:ED,username:eu}"

static void environment_alone(void **state)
{
	static const struct {
		const char *env, *want;
	} rows[] = {
		{ENV, "password  public " ENV_OUT},
		{ENV " OS_REGION_NAME=R OS_ENDPOINT_TYPE=internalURL", "password R internal " ENV_OUT},
		{ENV " OS_INTERFACE=admin OS_PROJECT_ID= OS_TENANT_ID=", "password  admin " ENV_OUT},
		{ENV " OS_TEST_PATH=x OS_STDOUT_CAPTURE=1 OS_LOG_CAPTURE=1", "password  public " ENV_OUT},
		{ENV " OS_TENANT_NAME=t OS_PROJECT_DOMAIN_ID=pd",
		 "password  public "
		 "{auth_url:http://e/v3,password:ep,project_domain_id:pd,project_name:t,user_domain_name:ED,"
		 "username:eu}"},
		{"OS_AUTH_URL=http://e OS_USERNAME=eu OS_PASSWORD=ep OS_IDENTITY_API_VERSION=3 OS_PROJECT_NAME=n",
		 "password  public "
		 "{auth_url:http://e,password:ep,project_domain_id:default,project_name:n,user_domain_id:default,"
		 "username:eu}"},
		{"OS_AUTH_URL=http://e OS_USERNAME=eu OS_PASSWORD=ep OS_DEFAULT_DOMAIN=dd",
		 "password  public {auth_url:http://e,password:ep,user_domain_id:dd,username:eu}"},
		{"OS_AUTH_URL=http://e/v3 OS_USERID=id OS_PASSWORD=ep",
		 "password  public {auth_url:http://e/v3,password:ep,user_id:id}"},
		{"OS_AUTH_URL=http://e/v3 OS_AUTH_TYPE=token OS_TOKEN=t OS_PROJECT_ID=p",
		 "token  public {auth_url:http://e/v3,project_id:p,token:t}"},
		{"OS_AUTH_URL=http://e/v3 OS_AUTH_TOKEN=t", "token  public {auth_url:http://e/v3,token:t}"},
		/* Horizon's openrc over an older one */
		{"OS_AUTH_TYPE=v3applicationcredential OS_AUTH_URL=http://e/v3 OS_APPLICATION_CREDENTIAL_ID=i "
		 "OS_APPLICATION_CREDENTIAL_SECRET=s OS_PROJECT_NAME=old OS_PROJECT_DOMAIN_ID=old",
		 "v3applicationcredential  public {application_credential_id:i,application_credential_secret:s,"
		 "auth_url:http://e/v3}"},
		{"OS_PROFILE=rackspace OS_USERNAME=u OS_API_KEY=k OS_REGION_NAME=SYD",
		 "rackspace_apikey SYD public "
		 "{api_key:k,auth_url:https://identity.api.rackspacecloud.com/v2.0/,username:u}"},
		{"OS_USERNAME=u", "the environment: OS_AUTH_URL is not set; auth_type password needs it"},
		{"OS_AUTH_URL=http://e/v3 OS_USERNAME=u OS_PASSWORD=p",
		 "the environment: OS_USER_DOMAIN_NAME is not set; it is required with username on Keystone v3 (often: "
		 "Default)"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fresh(NULL);
		set_env(rows[i].env);
		if (strcmp(load(NULL), rows[i].want) != 0)
			fail_msg("%s\nis   %s\nwant %s", rows[i].env, line, rows[i].want);
	}
}

static void environment_booleans(void **state)
{
	static const struct {
		const char *env;
		bool verify;
	} rows[] = {
		{"OS_INSECURE=true", false}, {"OS_INSECURE=True", false}, {"OS_INSECURE=1", true},
		{"OS_INSECURE=yes", true},   {"OS_INSECURE=", true},      {"OS_VERIFY=false", false},
		{"OS_VERIFY=no", true},      {"OS_VERIFY=0", true},       {"OS_VERIFY=true", true},
		{"OS_VERIFY=/my/ca", true},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cloud_config c;
		struct err err = ERR_INIT;
		fresh(NULL);
		set_env(ENV " OS_CACERT=/ca OS_API_TIMEOUT=3 OS_FOO=yes");
		set_env(rows[i].env);
		assert_int_equal(clouds_load(&c, NULL, &err), 0);
		if (c.verify != rows[i].verify)
			fail_msg("%s", rows[i].env);
		assert_string_equal(c.verify ? c.cacert : "/ca", "/ca");
		assert_true(c.timeout_ms == 3000);
		assert_string_equal(c.name, "envvars");
		assert_string_equal(c.source, "the environment");
		assert_string_equal(cloud_config_get(&c, "foo"), "yes");
		assert_false(cloud_config_flag(&c, "foo", true));
		cloud_config_finish(&c);
	}
}

#define FILE_OUT "{auth_url:http://k/v3,password:p,user_domain_name:D,username:u}"

static void which_cloud(void **state)
{
	static const struct {
		const char *env, *name, *want;
	} rows[] = {
		{"", NULL, "work/clouds.yaml has several clouds (a, b, c); name one, or set OS_CLOUD"},
		{"OS_CLOUD=", NULL, "has several clouds"},
		{"OS_REGION_NAME=R", NULL, "has several clouds"},
		{"", "a", "password A public " FILE_OUT},
		{"OS_CLOUD=a", NULL, "password A public " FILE_OUT},
		{"OS_CLOUD=a", "b", "password  public " FILE_OUT},
		{ENV, NULL, "password  public " ENV_OUT},
		{ENV, "envvars", "password  public " ENV_OUT},
		{ENV " OS_CLOUD=envvars", NULL, "password  public " ENV_OUT},
		{ENV " OS_CLOUD_NAME=mine", "mine", "password  public " ENV_OUT},
		{ENV " OS_CLOUD_NAME=mine", "envvars", "cloud envvars: not in "},
		{ENV " OS_CLOUD_NAME=a", NULL, "a cloud is named a, as the one that OS_* variables make"},
		{"OS_CLOUD_NAME=a", "b", "a cloud is named a, as the one that OS_* variables make"},
		{"", "envvars", "cloud envvars: it is made of OS_* variables, and none is set"},
		/* a named cloud has its own credentials, but region and interface can be said from outside */
		{ENV " OS_CLOUD=b OS_PROJECT_ID=e", NULL, "password  public " FILE_OUT},
		{ENV " OS_REGION_NAME=Z OS_INTERFACE=internal", "b", "password Z internal " FILE_OUT},
		{"OS_CLOUD=c OS_ENDPOINT_TYPE=internalURL", NULL, "password  internal " FILE_OUT},
		{"OS_CLOUD=c OS_ENDPOINT_TYPE=internalURL OS_INTERFACE=public", NULL, "password  public " FILE_OUT},
		{"OS_CLOUD=cc", NULL, "cloud cc: not in "},
		{"", "nova-sydney", ", which has a, b, c"},
		/* any other OS_* makes a cloud of its own, which is said */
		{"OS_IDENTITY_API_VERSION=3", NULL, "the environment (OS_CLOUD would choose a cloud of "},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fresh(NULL);
		put("work/clouds.yaml", "clouds:\n  b: {auth: {" V3 "}}\n  a: {region_name: A, auth: {" V3 "}}\n"
					"  c: {endpoint_type: admin, auth: {" V3 "}}\n");
		set_env(rows[i].env);
		expect_part(load(rows[i].name), rows[i].want);
	}
	fresh(NULL);
	put("work/clouds.yaml", "clouds: {only-one: {auth: {" V3 "}}}");
	assert_string_equal(load(NULL), "password  public " FILE_OUT);
	expect_part(load("only-won"), " (did you mean only-one?), which has only-one");
	set_env("OS_CLOUD=only-one OS_AUTH_URL=http://e/v3");
	expect_part(warnings(NULL), "OS_CLOUD and OS_AUTH_URL are both set: cloud only-one is used");
	assert_string_equal(warnings("only-one"), "");
	put("work/clouds.yaml", "clouds: {envvars: {auth: {" V3 "}}}");
	expect_part(load("envvars"), "rename it, or set OS_CLOUD_NAME");
}

static void nothing_anywhere(void **state)
{
	(void)state;
	if (fs_exists("/etc/openstack/clouds.yaml"))
		skip();
	expect_part(load(NULL), "no OpenStack account: there is no clouds.yaml in ");
	expect_part(line, at("config/openstack"));
	expect_part(line, "/etc/openstack, and no OS_* variables are set");
	expect_part(load("x"), "cloud x: there is no clouds.yaml in ");
}

static void names(void **state)
{
	(void)state;
	json_t *list = clouds_names();
	assert_true(json_is_array(list));
	json_decref(list);
	put("work/clouds.yaml", "clouds: {b: {}, a: , c-1: text}");
	put("work/secure.yaml", "clouds: {a: {auth: {password: p}}, d: {}}");
	set_env(ENV);
	list = clouds_names();
	char *text = json_dumps(list, JSON_COMPACT);
	assert_string_equal(text, "[\"a\",\"b\",\"c-1\",\"d\",\"envvars\"]");
	free(text);
	json_decref(list);
	put("work/secure.yaml", "- a");
	list = clouds_names();
	assert_true(json_array_size(list) == 0);
	json_decref(list);
}

/* ---- secrets ---- */

static void no_secret_in_messages(void **state)
{
	static const char *const broken[] = {
		"clouds: {x: {auth: {password: *hunter2}}}",
		"clouds: {x: {auth: {password: !hunter2 a}}}",
		"clouds:\n  x:\n    auth:\n      password: &a b\n      api_key: *hunter2\n",
		"clouds:\n  x:\n    auth:\n      password: \"\\qhunter2\"\n",
		"clouds:\n  x:\n    auth:\n      password: %hunter2\n",
		"clouds:\n  x:\n    auth:\n      password: @hunter2\n",
		"clouds:\n  x:\n    auth:\n      password: `hunter2\n",
		"clouds:\n  x:\n    auth:\n      password: a: hunter2\n",
		"clouds:\n  x:\n    auth:\n      password: [hunter2\n",
		"clouds:\n  x:\n    auth:\n      password: \"hunter2\n",
		"clouds:\n  x:\n    auth:\n      password: 'hunter2' hunter2\n",
		"clouds:\n  x:\n    auth:\n      password: |hunter2\n",
		"clouds:\n  x:\n    auth:\n      password: x\n hunter2\n",
		"%TAG hunter2 hunter2\n---\nclouds: {}\n",
		"clouds: {x: {auth: {auth_url: \"http://u:hunter2@k/v3\", username: u, password: p}}}",
		"clouds: {x: {auth: {auth_url: \"hunter2\", username: u, password: p}}}",
		"clouds: {x: {api_timeout: hunter2, interface: hunter2}}",
		"clouds: {x: {auth: {auth_url: \"http://k/{hunter2}\", password: hunter2}}}",
		"clouds: {x: {auth: {auth_url: \"http://k/v3\", password: hunter2}}}",
		"clouds: {x: {auth_type: token, auth: {auth_url: \"http://k/v3\", token: \"hunter2 \"}}}",
		"clouds: [hunter2]",
		"hunter2",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		put("work/clouds.yaml", broken[i]);
		const char *text = warnings("x");
		if (strstr(text, "hunter2") != NULL || strstr(line, "hunter2") != NULL)
			fail_msg("%s\n%s\n%s", broken[i], text, line);
		put("work/my.yaml", broken[i]);
		set_env("OS_CLIENT_CONFIG_FILE=my.yaml");
		if (strstr(load("x"), "hunter2") != NULL)
			fail_msg("%s\n%s", broken[i], line);
		unsetenv("OS_CLIENT_CONFIG_FILE");
	}
	unlink(at("work/clouds.yaml"));
	put("work/clouds.json", "{\"clouds\": {\"x\": {\"auth\": {\"password\": hunter2}}}}");
	expect_part(warnings("x"), "work/clouds.json:1:");
	assert_null(strstr(warnings("x"), "hunter2"));
	put("work/clouds.json", "{\"clouds\": {\"x\": {\"auth\": {\"password\": \"hunter2}}}}");
	assert_null(strstr(warnings("x"), "hunter2"));
}

/* In a process of its own, as what is taken stays taken. */
static int taken_child(void)
{
	AUTO_BUF block = buf_make(BUF_TEXT_MAX);
	struct err err = ERR_INIT;
	clouds_take_environment();
	for (char **var = environ; *var != NULL; var++)
		if (text_starts(*var, "OS_") && !text_starts(*var, "OS_TEST_X=") && !text_starts(*var, "OS_LOG_X="))
			return 2;
	if (getenv("OS_TEST_X") == NULL || getenv("OS_LOG_X") == NULL || getenv("HOME") == NULL)
		return 3;
	if (fs_read("/proc/self/environ", 1 << 20, &block, &err) != 0)
		return 4;
	if (memmem(block.data, block.len, "hunter2", 7) != NULL)
		return 5;
	clouds_take_environment(); /* nothing new */
	if (strcmp(load(NULL),
		   "password R public {auth_url:http://e/v3,password:hunter2,user_domain_name:ED,username:eu}") != 0)
		return 6;
	json_t *list = clouds_names();
	bool listed = json_array_size(list) == 1;
	json_decref(list);
	return listed ? 0 : 7;
}

static void environment_is_taken(void **state)
{
	(void)state;
	/* exec puts the variables where /proc/PID/environ shows them */
	set_env(ENV " OS_PASSWORD=hunter2 OS_REGION_NAME=R OS_TEST_X=1 OS_LOG_X=1 STEPBOX_TEST_TAKEN=1");
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execl("/proc/self/exe", "test_clouds", (char *)NULL);
		_exit(99);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	unsetenv("STEPBOX_TEST_TAKEN");
	assert_int_equal(status, 0);
}

static void not_utf8(void **state)
{
	(void)state;
	set_env(ENV " OS_PASSWORD=\xff\xfe OS_\xff=1");
	expect_part(warnings(NULL), "OS_PASSWORD: not UTF-8; left out");
	expect_part(load(NULL), "OS_PASSWORD is not set");
	put_entry("auth: {" V3 "}");
	set_env("OS_REGION_NAME=\xff");
	expect_part(load("x"), "OS_REGION_NAME: not UTF-8");
	set_env("OS_REGION_NAME=R OS_INTERFACE=\xff");
	assert_string_equal(load("x"), "password R public " FILE_OUT);
	expect_part(load("\xff"), "not in ");
}

static int tear_down(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	return chdir("/") != 0 || fs_remove_tree(root, &err) != 0 ? -1 : 0;
}

int main(void)
{
	if (getenv("STEPBOX_TEST_TAKEN") != NULL)
		return taken_child();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(search_order, fresh),
		cmocka_unit_test_setup(first_that_parses, fresh),
		cmocka_unit_test_setup(named_files_must_be_there, fresh),
		cmocka_unit_test_setup(bad_shapes, fresh),
		cmocka_unit_test_setup(json_files, fresh),
		cmocka_unit_test_setup(secure_wins, fresh),
		cmocka_unit_test_setup(files_people_have, fresh),
		cmocka_unit_test_setup(every_builtin_profile, fresh),
		cmocka_unit_test_setup(profiles, fresh),
		cmocka_unit_test_setup(regions, fresh),
		cmocka_unit_test_setup(braces, fresh),
		cmocka_unit_test_setup(braces_are_bounded, fresh),
		cmocka_unit_test_setup(old_spellings, fresh),
		cmocka_unit_test_setup(kinds_of_login, fresh),
		cmocka_unit_test_setup(what_is_missing, fresh),
		cmocka_unit_test_setup(refused_kinds, fresh),
		cmocka_unit_test_setup(booleans, fresh),
		cmocka_unit_test_setup(ipv4_of_all_clouds, fresh),
		cmocka_unit_test_setup(certificates_and_time, fresh),
		cmocka_unit_test_setup(services, fresh),
		cmocka_unit_test_setup(environment_alone, fresh),
		cmocka_unit_test_setup(environment_booleans, fresh),
		cmocka_unit_test_setup(which_cloud, fresh),
		cmocka_unit_test_setup(nothing_anywhere, fresh),
		cmocka_unit_test_setup(names, fresh),
		cmocka_unit_test_setup(no_secret_in_messages, fresh),
		cmocka_unit_test_setup(environment_is_taken, fresh),
		cmocka_unit_test_setup(not_utf8, fresh),
	};
	log_set_level(LOG_ERR);
	if (mkdtemp(root) == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, tear_down);
}
