/* SPDX-License-Identifier: MIT */
#include "cloud/choose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

/* JSON with ' for ". */
static json_t *parse(const char *text)
{
	AUTO_FREE char *s = xstrdup(text);
	for (char *p = s; *p; p++)
		if (*p == '\'')
			*p = '"';
	json_error_t e;
	json_t *j = json_loads(s, JSON_DECODE_ANY, &e);
	if (!j)
		fail_msg("%s at %d: %s", e.text, e.position, s);
	return j;
}

static void json_freep(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON CLEANUP(json_freep) json_t *

/* One line, short enough, nothing in it that a terminal obeys. */
static void assert_sane(const struct err *err)
{
	assert_int_equal(err->reach, ERR_USER);
	assert_in_range(strlen(err->msg), 1, sizeof(err->msg) - 1);
	for (const char *p = err->msg; *p; p++)
		assert_true((unsigned char)*p >= 0x20 && *p != 0x7F);
}

static void assert_says(const struct err *err, const char *part)
{
	assert_sane(err);
	if (!strstr(err->msg, part))
		fail_msg("no \"%s\" in \"%s\"", part, err->msg);
}

/* ---- images */

static const char lab_images[] =
	"[{'name':'not-an-image','size':12288,'virtual_size':12288,'status':'active','min_ram':0,'min_disk':0,"
	"'id':'4c277224-d1fe-4646-8599-071515c216ed','created_at':'2026-11-22T16:02:11Z'},"
	"{'os_distro':'debian','os_version':'12','os_admin_user':'debian','name':'debian-12-root','size':89604096,"
	"'virtual_size':89604096,'status':'active','min_ram':256,'min_disk':1,"
	"'id':'d4e2deba-414f-440a-a0e7-b5a5e6ce0116','created_at':'2026-11-22T16:02:10Z'},"
	"{'os_distro':'debian','os_version':'12','os_admin_user':'debian','name':'debian-12','size':89604096,"
	"'virtual_size':89604096,'status':'active','min_ram':256,'min_disk':1,"
	"'id':'a6cc61c5-0a45-41fb-a2d8-a37ea8960471','created_at':'2026-11-22T16:02:09Z'}]";

static void test_image_of_the_lab(void **state)
{
	(void)state;
	AUTO_JSON images = parse(lab_images);
	struct os_image image;
	struct err err = ERR_INIT;
	bool several = true;
	assert_int_equal(choose_image(images, "debian-12", &image, &several, &err), 0);
	assert_string_equal(image.id, "a6cc61c5-0a45-41fb-a2d8-a37ea8960471");
	assert_string_equal(image.name, "debian-12");
	assert_string_equal(image.user, "debian");
	assert_int_equal(image.min_disk_gb, 1);
	assert_int_equal(image.min_ram_mb, 256);
	assert_int_equal(image.size, 89604096);
	assert_false(several);
	assert_int_equal(choose_image(images, "d4e2deba-414f-440a-a0e7-b5a5e6ce0116", &image, &several, &err), 0);
	assert_string_equal(image.name, "debian-12-root");
	assert_int_equal(choose_image(images, "debian*", &image, &several, &err), 0);
	assert_string_equal(image.name, "debian-12-root"); /* the newest */
	assert_true(several);
	assert_int_equal(choose_image(images, "not-an-image", &image, &several, &err), 0);
	assert_string_equal(image.user, "");
	assert_int_equal(choose_image(images, "Debian-12", &image, &several, &err), -1);
	assert_says(&err, "box.image: the cloud has no image \"Debian-12\" (did you mean \"debian-12\"?): it has "
			  "debian-12-root, debian-12, not-an-image");
}

static void test_image_duplicates(void **state)
{
	(void)state;
	AUTO_JSON images = parse("[{'id':'a','name':'D','status':'active','created_at':'2024-01-02T00:00:00Z'},"
				 "{'id':'b','name':'D','status':'active','created_at':'2025-01-02T00:00:00Z'},"
				 "{'id':'c','name':'D','status':'queued','created_at':'2026-01-02T00:00:00Z'},"
				 "{'id':'d','name':'D','created_at':17},"
				 "{'id':'e/../x','name':'D','status':'active','created_at':'2027-01-02T00:00:00Z'}]");
	struct os_image image;
	struct err err = ERR_INIT;
	bool several = false;
	assert_int_equal(choose_image(images, "D", &image, &several, &err), 0);
	assert_string_equal(image.id, "b");
	assert_true(several);
	assert_int_equal(choose_image(images, "d", &image, &several, &err), 0); /* an id; no status counts as active */
	assert_string_equal(image.id, "d");
	assert_false(several);
	assert_int_equal(choose_image(images, "c", &image, &several, &err), -1);
	assert_says(&err, "image \"D\" cannot be used now: its status is \"queued\"");
}

static void test_image_glob(void **state)
{
	(void)state;
	AUTO_JSON images = parse(
		"[{'id':'1','name':'Debian 12 with nginx','image_type':'snapshot','created_at':'2026-06-01T00:00:00Z'},"
		"{'id':'2','name':'Debian 12 (bookworm)','created_at':'2026-01-01T00:00:00Z'},"
		"{'id':'3','name':'Debian 12 kernel','container_format':'aki','created_at':'2026-07-01T00:00:00Z'},"
		"{'id':'4','name':'my-snap-7','image_type':'snapshot'},"
		"{'id':'5','name':'Debian 12*','created_at':'2020-01-01T00:00:00Z'}]");
	struct os_image image;
	struct err err = ERR_INIT;
	bool several = false;
	assert_int_equal(choose_image(images, "Debian 12 *", &image, &several, &err), 0);
	assert_string_equal(image.id, "2");
	assert_false(several);
	assert_int_equal(choose_image(images, "my-snap-?", &image, &several, &err), 0);
	assert_string_equal(image.id, "4");
	assert_int_equal(choose_image(images, "Debian 12*", &image, &several, &err), 0); /* the name itself wins */
	assert_string_equal(image.id, "5");
	assert_int_equal(choose_image(images, "Ubuntu*", &image, &several, &err), -1);
	assert_int_equal(choose_image(images, "Debian 12 ", &image, &several, &err), -1); /* no glob, no prefix */
}

static void test_image_sizes(void **state)
{
	(void)state;
	AUTO_JSON images =
		parse("[{'id':'1','name':'compressed','size':600000000,'virtual_size':2147483649,'min_disk':2},"
		      "{'id':'2','name':'told','size':5,'virtual_size':null,'min_disk':40,'min_ram':'512'},"
		      "{'id':'3','name':'odd','size':-5,'virtual_size':9223372036854775807,'min_disk':1e300,"
		      "'min_ram':-9223372036854775808},"
		      "{'id':'4','name':'odder','size':'x','virtual_size':[],'min_disk':{},'min_ram':true}]");
	struct os_image image;
	struct err err = ERR_INIT;
	bool several;
	assert_int_equal(choose_image(images, "compressed", &image, &several, &err), 0);
	assert_int_equal(image.min_disk_gb, 3); /* 2 GiB and a byte */
	assert_int_equal(choose_image(images, "told", &image, &several, &err), 0);
	assert_int_equal(image.min_disk_gb, 40);
	assert_int_equal(image.min_ram_mb, 512);
	assert_int_equal(choose_image(images, "odd", &image, &several, &err), 0);
	assert_int_equal(image.min_disk_gb, (int64_t)1 << 33);
	assert_int_equal(image.min_ram_mb, 0);
	assert_int_equal(image.size, 0);
	assert_int_equal(choose_image(images, "odder", &image, &several, &err), 0);
	assert_int_equal(image.min_disk_gb, 0);
}

static void test_hostile_items(void **state)
{
	(void)state;
	static const char *const lists[] = {
		"null",
		"17",
		"'x'",
		"{}",
		"{'images':[]}",
		"[]",
		"[null]",
		"[[]]",
		"[17,'x',true,{}]",
		"[{'id':null,'name':'x'}]",
		"[{'id':'','name':'x'}]",
		"[{'id':'a/b','name':'x'}]",
		"[{'id':'a\\\\b','name':'x'}]",
		"[{'id':'a\\u0022b','name':'x'}]",
		"[{'id':'a b','name':'x'}]",
		"[{'id':'..','name':'x'}]",
		"[{'id':'.','name':'x'}]",
		"[{'id':'a?b','name':'x'}]",
		"[{'id':'a%2Fb','name':'x'}]",
		"[{'id':-1,'name':'x'}]",
		"[{'id':1.5,'name':'x'}]",
		"[{'id':['x'],'name':'x'}]",
		"[{'id':'\\u00e4','name':'x'}]",
		"[{'id':'a\\nb','name':'x'}]",
		"[{'id':'#','name':'x'}]",
		"[{'name':'x'}]",
	};
	char long_id[CHOOSE_ID_MAX + 32];
	snprintf(long_id, sizeof(long_id), "[{'name':'x','id':'%0*d'}]", CHOOSE_ID_MAX, 1);
	for (size_t i = 0; i <= ARRAY_SIZE(lists); i++) {
		AUTO_JSON list = parse(i < ARRAY_SIZE(lists) ? lists[i] : long_id);
		struct os_image image;
		struct os_flavor flavor;
		struct os_network network;
		struct flavor_want by_name = {.name = "x"}, by_size = {.vcpus = 1};
		struct os_address addresses[CHOOSE_ADDRESSES_MAX];
		struct err err = ERR_INIT;
		bool several = true;
		assert_int_equal(choose_image(list, "x", &image, &several, &err), -1);
		assert_sane(&err);
		assert_int_equal(choose_flavor(list, &by_name, NULL, &flavor, &err), -1);
		assert_sane(&err);
		assert_int_equal(choose_flavor(list, &by_size, NULL, &flavor, &err), -1);
		assert_sane(&err);
		assert_int_equal(choose_network(list, "x", &network, &err), -1);
		assert_sane(&err);
		assert_int_equal(choose_network(list, NULL, &network, &err), -1);
		assert_sane(&err);
		assert_int_equal(choose_pool(list, NULL, &network, &err), 0);
		assert_int_equal(choose_addresses(list, addresses), 0);
	}
	struct err err = ERR_INIT;
	struct os_image image;
	bool several;
	assert_int_equal(choose_image(NULL, "", &image, &several, &err), -1);
	assert_says(&err, "box.image: the cloud has no image \"\": it has nothing");
}

static void test_odd_ids_are_told(void **state)
{
	(void)state;
	AUTO_JSON images = parse("[{'id':'a/b','name':'x'},{'id':'ok','name':'y'},{'id':'c d','name':'z'}]");
	struct os_image image;
	struct err err = ERR_INIT;
	bool several;
	assert_int_equal(choose_image(images, "x", &image, &several, &err), -1);
	assert_says(&err, "it has y; left out, for ids that cannot be used: 2");
}

static void test_hostile_names(void **state)
{
	(void)state;
	AUTO_JSON images = json_array();
	json_array_append_new(images,
			      json_pack("{s:s, s:s}", "id", "1", "name", "\x1b]0;owned\x07\xe2\x80\xae evil\n\tx"));
	json_array_append_new(images, json_pack("{s:s, s:s}", "id", "2", "name", "100%s %n \" ' `"));
	AUTO_FREE char *huge = xcalloc(1 << 20, 1);
	memset(huge, 'A', (1 << 20) - 1);
	json_array_append_new(images, json_pack("{s:s, s:s}", "id", "3", "name", huge));
	struct os_image image;
	struct err err = ERR_INIT;
	bool several;
	assert_int_equal(choose_image(images, "x\x1b[2J", &image, &several, &err), -1);
	assert_says(&err, "100%s %n \" ' `");
	assert_says(&err, "x\\x1b[2J");
	assert_int_equal(choose_image(images, "1", &image, &several, &err), 0);
	assert_null(strchr(image.name, '\x1b'));
	assert_null(strchr(image.name, '\n'));
	assert_int_equal(choose_image(images, "3", &image, &several, &err), 0);
	assert_in_range(strlen(image.name), 200, sizeof(image.name) - 1);
	assert_int_equal(choose_image(images, huge, &image, &several, &err), 0); /* its very name */
	assert_int_equal(choose_image(images, "A*", &image, &several, &err), -1);
	huge[0] = '*';
	assert_int_equal(choose_image(images, huge, &image, &several, &err), -1);
	assert_sane(&err);
}

static void test_thousands(void **state)
{
	(void)state;
	AUTO_JSON items = json_array();
	for (int i = 0; i < 10000; i++) {
		AUTO_FREE char *id = xasprintf("id-%d", i);
		AUTO_FREE char *name =
			xasprintf("%s long enough a name to fill the line: %d", i % 700 == 699 ? "Rocky" : "Ubuntu", i);
		json_array_append_new(items, json_pack("{s:s, s:s, s:i, s:i, s:i}", "id", id, "name", name, "vcpus",
						       1 + i % 32, "ram", 512 * (1 + i % 64), "disk", i % 100));
	}
	struct os_image image;
	struct os_flavor flavor;
	struct os_network network;
	struct err err = ERR_INIT;
	bool several;
	assert_int_equal(choose_image(items, "rocky-9", &image, &several, &err), -1);
	assert_says(&err, "it has Rocky long enough a name to fill the line: 699, Rocky");
	assert_says(&err, " …and 9988 more");
	struct flavor_want want = {.vcpus = 9999};
	assert_int_equal(choose_flavor(items, &want, NULL, &flavor, &err), -1);
	assert_says(&err, " …and 9988 more");
	assert_int_equal(choose_network(items, NULL, &network, &err), -1);
	assert_says(&err, "box.network: the cloud has several networks, name one: Ubuntu");
	assert_says(&err, "(id-11) …and 9988 more");
}

static void test_user(void **state)
{
	(void)state;
	static const struct {
		const char *distro, *name, *user;
	} rows[] = {
		{"debian", "whatever", "debian"},
		{NULL, "Debian 12 (Bookworm)", "debian"},
		{"", "ubuntu-22.04-server-cloudimg-amd64", "ubuntu"},
		{NULL, "Ubuntu2204", "ubuntu"},
		{"org.debian", "x", "debian"},
		{"com.ubuntu", "x", "ubuntu"},
		{"centos", "CentOS-7-x86_64-GenericCloud", "centos"},
		{NULL, "centos6.9", "centos"},
		{"centos", "CentOS Stream 9", "cloud-user"},
		{NULL, "CentOS-Stream-GenericCloud-x86_64-9", "cloud-user"},
		{"rhel", "RHEL 7", "cloud-user"},
		{NULL, "rhel9", "cloud-user"},
		{NULL, "Red Hat Enterprise Linux 9", "cloud-user"},
		{NULL, "Fedora-Cloud-Base-40", "fedora"},
		{NULL, "Rocky-9-GenericCloud", "rocky"},
		{NULL, "RockyLinux 8", "rocky"},
		{NULL, "AlmaLinux-9", "almalinux"},
		{NULL, "openSUSE-Leap-15.5", "opensuse"},
		{NULL, "SLES15-SP5", "sles"},
		{NULL, "amzn2-kvm", "ec2-user"},
		{NULL, "Alpine 3.19", "alpine"},
		{NULL, "Arch-Linux-x86_64", "arch"},
		{NULL, "FreeBSD 14", "freebsd"},
		{NULL, "cirros-0.6.2", "cirros"},
		{NULL, "ubuntu with a debian mirror", "ubuntu"},
		{"windows", "Windows Server 2022", ""},
		{NULL, "architect", ""},
		{NULL, "searchbox", ""},
		{NULL, "research-debianish", ""},
		{NULL, "", ""},
		{NULL, NULL, ""},
		{"linux", "Debian 11", "debian"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(choose_user(rows[i].distro, rows[i].name), rows[i].user) != 0)
			fail_msg("%s, %s: %s", rows[i].distro, rows[i].name, choose_user(rows[i].distro, rows[i].name));
}

static void test_user_of_an_image(void **state)
{
	(void)state;
	AUTO_JSON images = parse("[{'id':'1','name':'Debian 12','os_admin_user':'admin'},"
				 "{'id':'2','name':'Debian 12','image_original_user':'osism'},"
				 "{'id':'3','name':'Debian 12','os_admin_user':'root; reboot'},"
				 "{'id':'4','name':'Debian 12','os_admin_user':'-oProxyCommand=x'},"
				 "{'id':'5','name':'Debian 12','os_admin_user':['x'],'os_distro':7},"
				 "{'id':'6','name':'Debian 12','os_admin_user':'a234567890123456789012345678901234'},"
				 "{'id':'7','name':'box','os_distro':'fedora','os_admin_user':''}]");
	static const char *const users[] = {"admin", "osism", "debian", "debian", "debian", "debian", "fedora"};
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		const char id[] = {(char)('1' + i), '\0'};
		struct os_image image;
		struct err err = ERR_INIT;
		bool several;
		assert_int_equal(choose_image(images, id, &image, &several, &err), 0);
		assert_string_equal(image.user, users[i]);
	}
}

/* ---- flavors */

static const char lab_flavors[] =
	"[{'id':'1e845063','name':'m1.slow','ram':512,'disk':1,'swap':'','OS-FLV-DISABLED:disabled':false,'vcpus':1},"
	"{'id':'86ddf241','name':'m1.small','ram':2048,'disk':20,'swap':'','vcpus':1},"
	"{'id':'934227b0','name':'m1.medium','ram':4096,'disk':40,'swap':512,'vcpus':2},"
	"{'id':'eac5bd10','name':'m1.tiny','ram':512,'disk':1,'swap':0,'vcpus':1},"
	"{'id':'f0f08255','name':'m1.huge','ram':1048576,'disk':2000,'swap':'','vcpus':64}]";

static void test_flavor_named(void **state)
{
	(void)state;
	AUTO_JSON flavors = parse(lab_flavors);
	struct os_flavor f;
	struct err err = ERR_INIT;
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.name = "m1.small"}, NULL, &f, &err), 0);
	assert_string_equal(f.id, "86ddf241");
	assert_string_equal(f.name, "m1.small");
	assert_int_equal(f.vcpus, 1);
	assert_int_equal(f.ram_mb, 2048);
	assert_int_equal(f.disk_gb, 20);
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.name = "f0f08255"}, NULL, &f, &err), 0);
	assert_string_equal(f.name, "m1.huge");
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.name = "m1.smal"}, NULL, &f, &err), -1);
	assert_says(&err,
		    "box.flavor: the cloud has no flavor \"m1.smal\" (did you mean \"m1.small\"?): it has m1.slow, "
		    "m1.small, m1.medium, m1.tiny, m1.huge");
}

static void test_flavor_too_small_for_the_image(void **state)
{
	(void)state;
	AUTO_JSON flavors = parse(lab_flavors);
	struct os_image image = {.name = "Windows", .min_ram_mb = 4096, .min_disk_gb = 30};
	struct os_flavor f;
	struct err err = ERR_INIT;
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.name = "m1.small"}, &image, &f, &err), -1);
	assert_says(&err, "box.flavor: flavor \"m1.small\" has 2048 MB of RAM, image \"Windows\" wants 4096 MB");
	image.min_ram_mb = 512;
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.name = "m1.small"}, &image, &f, &err), -1);
	assert_says(&err, "box.flavor: flavor \"m1.small\" has a disk of 20 GB, image \"Windows\" wants 30 GB");
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.name = "m1.medium"}, &image, &f, &err), 0);
	/* Disk 0 boots from a volume of the size that is wanted. */
	AUTO_JSON bfv = parse("[{'id':'1','name':'gp.2','ram':4096,'vcpus':1,'disk':0}]");
	assert_int_equal(choose_flavor(bfv, &(struct flavor_want){.name = "gp.2"}, &image, &f, &err), 0);
}

static void test_flavor_ids_and_disabled(void **state)
{
	(void)state;
	AUTO_JSON flavors =
		parse("[{'id':2,'name':'old','ram':512,'vcpus':1,'disk':1},"
		      "{'id':'3','name':'twin','ram':512,'vcpus':1,'disk':1},"
		      "{'id':'4','name':'twin','ram':1024,'vcpus':1,'disk':1},"
		      "{'id':'5','name':'twin','ram':1024,'vcpus':1,'disk':1,"
		      "'OS-FLV-DISABLED:disabled':true},"
		      "{'id':'6','name':'3','ram':4096,'vcpus':1,'disk':1},"
		      "{'id':'7','name':'off','ram':1,'vcpus':1,'disk':1,'OS-FLV-DISABLED:disabled':'True'}]");
	struct os_flavor f;
	struct err err = ERR_INIT;
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.name = "old"}, NULL, &f, &err), 0);
	assert_string_equal(f.id, "2");
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.name = "2"}, NULL, &f, &err), 0);
	assert_string_equal(f.name, "old");
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.name = "3"}, NULL, &f, &err), 0);
	assert_string_equal(f.id, "3"); /* ids before names */
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.name = "twin"}, NULL, &f, &err), -1);
	assert_says(&err, "box.flavor: the cloud has several of flavor \"twin\": give one of the ids 3, 4");
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.name = "5"}, NULL, &f, &err), -1);
	assert_says(&err, "box.flavor: the cloud has disabled flavor 5");
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.name = "off"}, NULL, &f, &err), -1);
	assert_says(&err, "has no flavor \"off\"");
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){0}, NULL, &f, &err), 0);
	assert_string_equal(f.id, "2");
}

static void test_flavor_by_requirement(void **state)
{
	(void)state;
	AUTO_JSON flavors = parse("[{'id':'a','name':'a','ram':8192,'vcpus':8,'disk':80},"
				  "{'id':'b','name':'b','ram':4096,'vcpus':4,'disk':40},"
				  "{'id':'c','name':'c','ram':4096,'vcpus':2,'disk':60},"
				  "{'id':'d','name':'d','ram':4096,'vcpus':2,'disk':40},"
				  "{'id':'e','name':'e','ram':2048,'vcpus':2,'disk':0},"
				  "{'id':'f','name':'f','ram':16384,'vcpus':2,'disk':0},"
				  "{'id':'g','name':'g','ram':0,'vcpus':0,'disk':1},"
				  "{'id':'h','name':'h'},{'id':'i','ram':'lots','vcpus':1,'disk':10},"
				  "{'id':'j','ram':1024,'vcpus':1,'disk':10,'OS-FLV-DISABLED:disabled':true}]");
	static const struct {
		struct flavor_want want;
		int64_t min_ram, min_disk;
		const char *id;
	} rows[] = {
		{{.vcpus = 2, .ram_mb = 2048}, 0, 0, "d"}, /* not e: others have a disk */
		{{.vcpus = 2, .ram_mb = 2048, .disk_gb = 50}, 0, 0, "c"},
		{{.vcpus = 3}, 0, 0, "b"},
		{{.vcpus = 5}, 0, 0, "a"},
		{{.ram_mb = 9000}, 0, 0, "f"},
		{{.disk_gb = 81}, 0, 0, "e"}, /* from a volume: no disk is large enough */
		{{.vcpus = 1}, 5000, 0, "a"},
		{{.vcpus = 1}, 0, 41, "c"},
		{{.vcpus = 1, .ram_mb = 1}, 9000, 500, "f"},
		{{.vcpus = 0}, 0, 0, "d"},
	};
	struct os_flavor f;
	struct err err = ERR_INIT;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct os_image image = {.min_ram_mb = rows[i].min_ram, .min_disk_gb = rows[i].min_disk};
		assert_int_equal(choose_flavor(flavors, &rows[i].want, &image, &f, &err), 0);
		assert_string_equal(f.id, rows[i].id);
	}
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.vcpus = 64, .disk_gb = 7}, NULL, &f, &err), -1);
	assert_says(&err,
		    "box.flavor: the cloud has no flavor of at least 64 vCPUs, 1 MB of RAM and 7 GB of disk: it has "
		    "a (8, 8192 MB, 80 GB), b (4, 4096 MB, 40 GB)");
	assert_int_equal(choose_flavor(flavors, &(struct flavor_want){.ram_mb = INT64_MAX}, NULL, &f, &err), -1);
}

/* ---- networks */

static void test_network_of_the_lab(void **state)
{
	(void)state;
	AUTO_JSON networks =
		parse("[{'id':'013adc11-9c91-41ab-ae0d-7e38241f366b','name':'private','admin_state_up':true,"
		      "'status':'ACTIVE','subnets':['81d43043'],'shared':true,'router:external':false,"
		      "'port_security_enabled':true}]");
	struct os_network n;
	struct err err = ERR_INIT;
	assert_int_equal(choose_network(networks, NULL, &n, &err), 0);
	assert_string_equal(n.id, "013adc11-9c91-41ab-ae0d-7e38241f366b");
	assert_string_equal(n.name, "private");
	assert_false(n.external);
	assert_true(n.port_security);
	assert_int_equal(choose_network(networks, "private", &n, &err), 0);
	assert_int_equal(choose_network(networks, "privat", &n, &err), -1);
	assert_says(&err,
		    "box.network: the cloud has no network \"privat\" (did you mean \"private\"?): it has private");
	assert_int_equal(choose_pool(networks, NULL, &n, &err), 0);
	assert_int_equal(choose_pool(networks, "private", &n, &err), -1);
	assert_says(&err, "box.floating_network: network \"private\" is not external");
}

static void test_network_choice(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		const char *id;    /* NULL: an error */
		const char *error; /* part of it */
	} rows[] = {
		/* ours beside the external one */
		{"[{'id':'ext','router:external':true,'shared':true,'subnets':['s']},{'id':'in','subnets':['s']}]",
		 "in", 0},
		/* provider style */
		{"[{'id':'ext','router:external':true,'shared':true,'subnets':['s']}]", "ext", 0},
		{"[{'id':'ext','name':'net4','router:external':true,'shared':false,'subnets':['s']}]", 0,
		 "net4 (external)"},
		{"[{'id':'e1','name':'n4','router:external':true,'shared':true,'subnets':['s']},"
		 "{'id':'e2','name':'n6','router:external':true,'shared':true,'subnets':['s']}]",
		 0, "several networks, name one: n4 (e1), n6 (e2)"},
		/* without a subnet, or down: not for us */
		{"[{'id':'a','subnets':[]},{'id':'b','subnets':['s']},"
		 "{'id':'c','subnets':['s'],'admin_state_up':false}]",
		 "b", 0},
		{"[{'id':'a','name':'empty','subnets':[]},{'id':'b','name':'dark','admin_state_up':false}]", 0,
		 "empty (no subnet), dark (down)"},
		{"[{'id':'a','name':'one','subnets':['s']},{'id':'b','name':'two','subnets':['s']}]", 0,
		 "box.network: the cloud has several networks, name one: one (a), two (b)"},
		{"[{'id':'a'}]", "a", 0}, /* nothing is known against it */
		{"[{'id':'a','subnets':'none','router:external':'no','admin_state_up':1}]", "a", 0},
		{"[]", 0, "it has nothing"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_JSON networks = parse(rows[i].json);
		struct os_network n;
		struct err err = ERR_INIT;
		if (rows[i].id) {
			assert_int_equal(choose_network(networks, NULL, &n, &err), 0);
			assert_string_equal(n.id, rows[i].id);
		} else {
			assert_int_equal(choose_network(networks, NULL, &n, &err), -1);
			assert_says(&err, rows[i].error);
		}
	}
}

static void test_network_named(void **state)
{
	(void)state;
	AUTO_JSON networks = parse("[{'id':'a','name':'x','subnets':['s'],'port_security_enabled':false},"
				   "{'id':'b','name':'dup','subnets':['s']},{'id':'c','name':'dup','subnets':['s']},"
				   "{'id':'d','name':'bare','subnets':[]},"
				   "{'id':'e','name':'net4','router:external':true,'shared':false,'subnets':['s']}]");
	struct os_network n;
	struct err err = ERR_INIT;
	assert_int_equal(choose_network(networks, "x", &n, &err), 0);
	assert_false(n.port_security);
	assert_int_equal(choose_network(networks, "c", &n, &err), 0);
	assert_string_equal(n.id, "c");
	assert_int_equal(choose_network(networks, "dup", &n, &err), -1);
	assert_says(&err, "box.network: the cloud has several of network \"dup\": give one of the ids b, c");
	assert_int_equal(choose_network(networks, "bare", &n, &err), -1);
	assert_says(&err, "network \"bare\" has no subnet");
	assert_int_equal(choose_network(networks, "net4", &n, &err), 0);
	assert_true(n.external);
}

static void test_pool(void **state)
{
	(void)state;
	AUTO_JSON networks = parse("[{'id':'a','name':'in','subnets':['s']},"
				   "{'id':'b','name':'floating','router:external':true,'subnets':[]},"
				   "{'id':'c','name':'old','router:external':true,'admin_state_up':false}]");
	struct os_network n;
	struct err err = ERR_INIT;
	assert_int_equal(choose_pool(networks, NULL, &n, &err), 1);
	assert_string_equal(n.id, "b");
	assert_true(n.external);
	assert_int_equal(choose_pool(networks, "floating", &n, &err), 1);
	assert_int_equal(choose_pool(networks, "nope", &n, &err), -1);
	assert_says(&err, "box.floating_network: the cloud has no network \"nope\"");

	json_array_append_new(networks, parse("{'id':'d','name':'more','router:external':true,'is_default':false}"));
	assert_int_equal(choose_pool(networks, NULL, &n, &err), -1);
	assert_says(&err,
		    "box.floating_network: the cloud has several external networks, name one: floating (b), more (d)");
	json_array_append_new(networks, parse("{'id':'e','name':'std','router:external':true,'is_default':true}"));
	assert_int_equal(choose_pool(networks, NULL, &n, &err), 1);
	assert_string_equal(n.id, "e");
	json_array_append_new(networks, parse("{'id':'f','name':'std2','router:external':true,'is_default':true}"));
	assert_int_equal(choose_pool(networks, NULL, &n, &err), -1);
}

/* ---- addresses */

/* The server's addresses as "10.0.0.1 [2001:db8::1]f": p private, f floating. */
static void assert_addresses(const char *json, const char *expected)
{
	AUTO_JSON server = parse(json);
	struct os_address a[CHOOSE_ADDRESSES_MAX];
	AUTO_BUF text = buf_make(4096);
	size_t n = choose_addresses(server, a);
	assert_in_range(n, 0, CHOOSE_ADDRESSES_MAX);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(a[i].version, strchr(a[i].text, ':') ? 6 : 4);
		buf_addf(&text, "%s%s%s%s", i ? " " : "", a[i].text, a[i].private ? "p" : "", a[i].floating ? "f" : "");
	}
	assert_string_equal(text.data, expected);
}

static void test_addresses(void **state)
{
	(void)state;
	/* the lab's, while it is built and when it is ready */
	assert_addresses("{'addresses':{},'accessIPv4':'','accessIPv6':''}", "");
	assert_addresses("{'addresses':{'private':[{'version':4,'addr':'10.131.57.121','OS-EXT-IPS:type':'fixed',"
			 "'OS-EXT-IPS-MAC:mac_addr':'fa:16:3e:08:28:4f'}]},'accessIPv4':'','accessIPv6':''}",
			 "10.131.57.121p");
	assert_addresses("{'addresses':{'os384':[]}}", ""); /* kitchen-openstack#134 */
	/* Rackspace classic; no type there */
	assert_addresses("{'accessIPv4':'119.9.12.34','accessIPv6':'2401:1800:7800:102:be76:4eff:fe1c:1','addresses':{"
			 "'private':[{'version':4,'addr':'10.176.65.1'}],"
			 "'public':[{'version':6,'addr':'2401:1800:7800:102:be76:4eff:fe1c:1'},"
			 "{'version':4,'addr':'119.9.12.34'}]}}",
			 "119.9.12.34 2401:1800:7800:102:be76:4eff:fe1c:1 10.176.65.1p");
	/* floating first, whatever else */
	assert_addresses("{'accessIPv4':'198.51.100.7','addresses':{'net':["
			 "{'addr':'192.168.0.5','OS-EXT-IPS:type':'fixed'},{'addr':'fd00::5'},{'addr':'2001:db8::5'},"
			 "{'addr':'203.0.113.9'},{'addr':'172.24.4.9','OS-EXT-IPS:type':'floating'}]}}",
			 "172.24.4.9pf 198.51.100.7 203.0.113.9 2001:db8::5 192.168.0.5p fd00::5p");
	/* two private networks: the one called public is the routed one */
	assert_addresses("{'addresses':{'back':[{'addr':'10.0.0.1'}],'public':[{'addr':'172.24.4.2'}]}}",
			 "172.24.4.2p 10.0.0.1p");
	assert_addresses("{'addresses':{'n':[{'addr':'100.64.1.1'},{'addr':'100.128.1.1'},{'addr':'172.32.0.1'},"
			 "{'addr':'169.254.7.7'},{'addr':'127.0.0.1'},{'addr':'::1'}]}}",
			 "100.128.1.1 172.32.0.1 100.64.1.1p 169.254.7.7p 127.0.0.1p ::1p");
}

static void test_bad_addresses(void **state)
{
	(void)state;
	assert_addresses("{'accessIPv4':17,'accessIPv6':'example.org','addresses':{'a':null,'b':{'addr':'1.2.3.4'},"
			 "'c':['1.2.3.4',[],{'addr':7},{'addr':''},{'addr':'1.2.3'},{'addr':'1.2.3.4:22'},"
			 "{'addr':'0.0.0.0'},{'addr':'224.0.0.1'},{'addr':'255.255.255.255'},{'addr':'::'},"
			 "{'addr':'ff02::1'},{'addr':'fe80::1'},{'addr':'fe80::1%eth0'},{'addr':'::ffff:1.2.3.4'},"
			 "{'addr':' 1.2.3.4'},{'addr':'010.1.1.1'},{'addr':'-oProxyCommand=x'}]}}",
			 "");
	assert_addresses("{'addresses':[{'addr':'1.2.3.4'}]}", "");
	/* written differently, the same */
	assert_addresses("{'accessIPv6':'2001:DB8:0:0::1','addresses':{'n':[{'addr':'2001:db8::1','version':4},"
			 "{'addr':'2001:db8:0::1','OS-EXT-IPS:type':'floating'}]}}",
			 "2001:db8::1f");
}

static void test_many_addresses(void **state)
{
	(void)state;
	AUTO_JSON list = json_array();
	for (int i = 0; i < 3000; i++) {
		AUTO_FREE char *addr = xasprintf("10.1.%d.%d", i / 250, i % 250);
		json_array_append_new(list, json_pack("{s:s}", "addr", addr));
	}
	json_array_append_new(list, parse("{'addr':'203.0.113.1'}"));
	json_array_append_new(list, parse("{'addr':'203.0.113.2','OS-EXT-IPS:type':'floating'}"));
	AUTO_JSON server = json_pack("{s:{s:O}}", "addresses", "n", list);
	struct os_address a[CHOOSE_ADDRESSES_MAX];
	assert_int_equal(choose_addresses(server, a), CHOOSE_ADDRESSES_MAX);
	assert_string_equal(a[0].text, "203.0.113.2");
	assert_true(a[0].floating);
	assert_string_equal(a[1].text, "203.0.113.1");
	assert_string_equal(a[2].text, "10.1.0.0");
	assert_string_equal(a[7].text, "10.1.0.5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_of_the_lab),
		cmocka_unit_test(test_image_duplicates),
		cmocka_unit_test(test_image_glob),
		cmocka_unit_test(test_image_sizes),
		cmocka_unit_test(test_hostile_items),
		cmocka_unit_test(test_odd_ids_are_told),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_thousands),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_user_of_an_image),
		cmocka_unit_test(test_flavor_named),
		cmocka_unit_test(test_flavor_too_small_for_the_image),
		cmocka_unit_test(test_flavor_ids_and_disabled),
		cmocka_unit_test(test_flavor_by_requirement),
		cmocka_unit_test(test_network_of_the_lab),
		cmocka_unit_test(test_network_choice),
		cmocka_unit_test(test_network_named),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_bad_addresses),
		cmocka_unit_test(test_many_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
