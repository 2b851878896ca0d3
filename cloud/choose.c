/* SPDX-License-Identifier: MIT */
#include "cloud/choose.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

/* How many candidates an error names. */
#define LIST_MAX 12
/* Bytes of a name in it. Where ids stand beside the names, these must be shorter for all to fit in struct err. */
#define LIST_NAME         56
#define LIST_NAME_WITH_ID 28
/* A longer pattern, or a longer name, takes part in no fnmatch(). Glance's names have 255 at most. */
#define GLOB_MAX 255

/* ---- values of foreign JSON */

static const char *text_at(const json_t *item, const char *key)
{
	const char *s = json_string_value(json_object_get(item, key));
	return s ? s : "";
}

/* A count. 0 when it is missing, negative or nothing like a number. */
static int64_t number_at(const json_t *item, const char *key)
{
	const json_t *v = json_object_get(item, key);
	int64_t n = 0;
	struct err ignored = ERR_INIT;
	if (json_is_integer(v))
		n = json_integer_value(v);
	else if (json_is_real(v) && json_real_value(v) >= 0 && json_real_value(v) < 9e18)
		n = (int64_t)json_real_value(v);
	else if (json_is_string(v) && text_parse_int(key, json_string_value(v), 0, INT64_MAX, &n, &ignored) < 0)
		n = 0;
	return n > 0 ? n : 0;
}

static bool flag_at(const json_t *item, const char *key, bool standard)
{
	const json_t *v = json_object_get(item, key);
	if (json_is_boolean(v))
		return json_is_true(v);
	if (json_is_string(v))
		return strcasecmp(json_string_value(v), "true") == 0;
	return standard;
}

/* Ids go into URLs: whatever means something there makes an id unusable, and so do "." and "..". Flavors of old clouds
 * have numbers. "" when false. */
static bool take_id(const json_t *item, char id[CHOOSE_ID_MAX])
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const json_t *v = json_object_get(item, "id");
	id[0] = '\0';
	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		snprintf(id, CHOOSE_ID_MAX, "%" PRId64, (int64_t)json_integer_value(v));
		return true;
	}
	size_t n = json_string_length(v); /* 0 when it is no string */
	if (n == 0 || n >= CHOOSE_ID_MAX)
		return false;
	const char *s = json_string_value(v);
	if (strspn(s, allowed) != n || strspn(s, ".") == n)
		return false;
	memcpy(id, s, n + 1);
	return true;
}

/* Foreign text, safe to print, cut to the size of out. */
static void safe_copy(char *out, size_t size, const char *s)
{
	AUTO_BUF b = buf_make(size - 1);
	text_safe_line(&b, s, strlen(s), size - 1 - strlen("…"));
	memcpy(out, b.data, b.len + 1);
}

static bool id_is(const json_t *item, const char *want)
{
	char id[CHOOSE_ID_MAX];
	return take_id(item, id) && strcmp(id, want) == 0;
}

static bool name_is(const json_t *item, const char *want)
{
	return want[0] && strcmp(text_at(item, "name"), want) == 0;
}

/* ---- candidates in errors */

struct listing {
	struct buf *text;
	size_t name_max;
	size_t n;
};

/* detail: our own words, or "". */
static void list_add(struct listing *l, const char *name, const char *detail)
{
	if (l->n++ >= LIST_MAX)
		return;
	if (l->n > 1)
		buf_adds(l->text, ", ");
	text_safe_line(l->text, name, strlen(name), l->name_max);
	if (detail[0])
		buf_addf(l->text, name[0] ? " (%s)" : "%s", detail);
}

static const char *list_text(struct listing *l)
{
	if (l->n > LIST_MAX)
		buf_addf(l->text, " …and %zu more", l->n - LIST_MAX);
	return l->n ? l->text->data : "nothing";
}

/* Does name have the first word of want in it? Such candidates come first: of 300 images the 20 of the wanted
 * distribution matter. */
static bool is_akin(const char *name, const char *want)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	char word[32];
	want += strcspn(want, letters);
	size_t n = strspn(want, letters);
	if (n < 2 || n >= sizeof(word))
		return false;
	memcpy(word, want, n);
	word[n] = '\0';
	return strcasestr(name, word);
}

/* The name nearest to want as " (did you mean …?)", or nothing. */
static void add_nearest(struct buf *out, const json_t *items, const char *want)
{
	AUTO_FREE const char **names = xcalloc(json_array_size(items) + 1, sizeof(*names));
	size_t i, n = 0;
	const json_t *item;
	json_array_foreach (items, i, item)
		if (text_at(item, "name")[0])
			names[n++] = text_at(item, "name");
	const char *nearest = text_nearest(want, names);
	if (!nearest)
		return;
	buf_adds(out, " (did you mean \"");
	text_safe_line(out, nearest, strlen(nearest), LIST_NAME);
	buf_adds(out, "\"?)");
}

/* ERR_USER: no `what` of that name or id among the items; key is the recipe's. */
static int not_found(const char *what, const char *key, const json_t *items, const char *want, struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	AUTO_BUF near = buf_make(BUF_TEXT_MAX);
	struct listing l = {.text = &text, .name_max = LIST_NAME};
	size_t i, odd = 0;
	const json_t *item;
	char label[80], id[CHOOSE_ID_MAX], hint[64] = "";
	for (int akin = 1; akin >= 0; akin--)
		json_array_foreach (items, i, item) {
			const char *name = text_at(item, "name");
			if (is_akin(name, want) != (akin == 1))
				continue;
			if (take_id(item, id))
				list_add(&l, name[0] ? name : id, "");
			else
				odd++;
		}
	add_nearest(&near, items, want);
	safe_copy(label, sizeof(label), want);
	if (odd)
		snprintf(hint, sizeof(hint), "; left out, for ids that cannot be used: %zu", odd);
	return err_set(err, ERR_USER, 0, "%s: the cloud has no %s \"%s\"%s: it has %s%s", key, what, label, near.data,
		       list_text(&l), hint);
}

/* The item of that id, or else of that name; ids win. NULL with err: none, or several of the name. */
static const json_t *find_named(const char *what, const char *key, const json_t *items, const char *want,
				struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	struct listing ids = {.text = &text};
	const json_t *item, *found = NULL;
	char id[CHOOSE_ID_MAX], label[80];
	size_t i;
	json_array_foreach (items, i, item)
		if (id_is(item, want))
			return item;
	json_array_foreach (items, i, item)
		if (name_is(item, want) && take_id(item, id)) {
			list_add(&ids, "", id);
			found = item;
		}
	if (ids.n == 1)
		return found;
	if (ids.n == 0)
		not_found(what, key, items, want, err);
	else {
		safe_copy(label, sizeof(label), want);
		err_set(err, ERR_USER, 0, "%s: the cloud has several of %s \"%s\": give one of the ids %s", key, what,
			label, list_text(&ids));
	}
	return NULL;
}

/* ---- login users */

/* The default user of cloud-init's template (config/cloud.cfg.tmpl), or what the distribution's image builders put
 * there. */
static const struct {
	const char *word, *user;
} users[] = {
	{"debian", "debian"},
	{"ubuntu", "ubuntu"},
	{"centos", "cloud-user"},
	{"rhel", "cloud-user"},
	{"redhat", "cloud-user"},
	{"red hat", "cloud-user"},
	{"fedora", "fedora"},
	{"rocky", "rocky"},
	{"rockylinux", "rocky"},
	{"almalinux", "almalinux"},
	{"alma", "almalinux"},
	{"opensuse", "opensuse"},
	{"sles", "sles"},
	{"amazon", "ec2-user"},
	{"amazonlinux", "ec2-user"},
	{"amzn", "ec2-user"},
	{"alpine", "alpine"},
	{"alpinelinux", "alpine"},
	{"arch", "arch"},
	{"archlinux", "arch"},
	{"freebsd", "freebsd"},
	{"azurelinux", "azureuser"},
	{"cirros", "cirros"},
	{"gentoo", "gentoo"},
	{"flatcar", "core"},
};

/* Where the word stands in text: not as the end or the beginning of another word, but a version may follow at once
 * ("rhel9"). NULL: nowhere. */
static const char *find_word(const char *text, const char *word)
{
	size_t n = strlen(word);
	for (const char *at = text; (at = strcasestr(at, word)); at++)
		if ((at == text || !isalnum((unsigned char)at[-1])) && !isalpha((unsigned char)at[n]))
			return at;
	return NULL;
}

/* The user of the first distribution named in text, or NULL; *where is set to that word. */
static const char *user_of(const char *text, const char **where)
{
	const char *user = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		const char *at = find_word(text, users[i].word);
		if (at && (!user || at < *where)) {
			user = users[i].user;
			*where = at;
		}
	}
	return user;
}

/* CentOS 6 and 7 had a user of their own name. */
static bool is_old_centos(const char *image_name)
{
	static const char digits[] = "0123456789";
	const char *at = find_word(image_name, "centos");
	if (!at)
		return false;
	at += strcspn(at, digits);
	return strspn(at, digits) == 1 && (*at == '6' || *at == '7');
}

const char *choose_user(const char *distro, const char *image_name)
{
	const char *where = "";
	const char *user = distro ? user_of(distro, &where) : NULL;
	if (!user && image_name)
		user = user_of(image_name, &where);
	if (!user)
		return "";
	if (text_starts(user, "cloud-user") && image_name && is_old_centos(image_name))
		return "centos";
	return user;
}

/* It goes into user-data and the SSH login. */
static bool is_user(const char *s)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strspn(s, rest);
	return n >= 1 && n <= 32 && s[n] == '\0' && strchr(first, s[0]);
}

static const char *image_user(const json_t *image)
{
	static const char *const keys[] = {"os_admin_user", "image_original_user"};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (is_user(text_at(image, keys[i])))
			return text_at(image, keys[i]);
	return choose_user(text_at(image, "os_distro"), text_at(image, "name"));
}

/* ---- images */

/* How an image is meant; the first kind that any image has decides. One's own snapshots take part in a glob only when
 * nothing else does: "Debian 12*" is not meant to find last week's "Debian 12 with nginx". */
enum tier { BY_ID, BY_NAME, BY_GLOB, BY_GLOB_SNAPSHOT, NO_MATCH };

static enum tier image_tier(const json_t *image, const char *want)
{
	const char *name = text_at(image, "name");
	const char *format = text_at(image, "container_format");
	if (id_is(image, want))
		return BY_ID;
	if (name_is(image, want))
		return BY_NAME;
	if (strlen(want) > GLOB_MAX || strlen(name) > GLOB_MAX || !want[strcspn(want, "*?[")])
		return NO_MATCH;
	if (strcmp(format, "aki") == 0 || strcmp(format, "ari") == 0) /* a kernel, a ramdisk: nothing to boot alone */
		return NO_MATCH;
	if (fnmatch(want, name, 0) != 0)
		return NO_MATCH;
	return strcmp(text_at(image, "image_type"), "snapshot") == 0 ? BY_GLOB_SNAPSHOT : BY_GLOB;
}

static bool is_active(const json_t *image)
{
	const json_t *status = json_object_get(image, "status");
	return !status || json_is_null(status) || strcasecmp(text_at(image, "status"), "active") == 0;
}

/* Whole GiB that hold so many bytes. */
static int64_t gib(int64_t bytes)
{
	int64_t unit = (int64_t)1 << 30;
	return bytes / unit + (bytes % unit != 0);
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void take_image(const json_t *image, struct os_image *out)
{
	*out = (struct os_image){.size = number_at(image, "size"), .min_ram_mb = number_at(image, "min_ram")};
	(void)take_id(image, out->id); /* it was looked at before */
	safe_copy(out->name, sizeof(out->name), text_at(image, "name"));
	/* Nova compares size with the flavor's disk at once, but finds out only on the host that the unpacked image
	 * is larger. */
	int64_t bytes = larger(out->size, number_at(image, "virtual_size"));
	out->min_disk_gb = larger(number_at(image, "min_disk"), gib(bytes));
	snprintf(out->user, sizeof(out->user), "%s", image_user(image));
}

int choose_image(const json_t *images, const char *want, struct os_image *out, bool *several, struct err *err)
{
	const json_t *image, *best = NULL, *inactive = NULL;
	enum tier best_tier = NO_MATCH;
	char id[CHOOSE_ID_MAX], name[80], status[40];
	size_t i, n = 0;
	json_array_foreach (images, i, image) {
		enum tier tier = image_tier(image, want);
		if (tier == NO_MATCH || tier > best_tier || !take_id(image, id))
			continue;
		if (!is_active(image)) {
			inactive = image;
			continue;
		}
		n = tier < best_tier ? 1 : n + 1;
		/* ISO 8601 in UTC: the order of the texts is that of the times. */
		if (tier < best_tier || strcmp(text_at(image, "created_at"), text_at(best, "created_at")) > 0)
			best = image;
		best_tier = tier;
	}
	*several = n > 1;
	if (best) {
		take_image(best, out);
		return 0;
	}
	if (!inactive)
		return not_found("image", "box.image", images, want, err);
	safe_copy(name, sizeof(name), text_at(inactive, "name"));
	safe_copy(status, sizeof(status), text_at(inactive, "status"));
	return err_set(err, ERR_USER, 0, "box.image: image \"%s\" cannot be used now: its status is \"%s\"", name,
		       status);
}

/* ---- flavors */

static bool take_flavor(const json_t *item, struct os_flavor *f)
{
	*f = (struct os_flavor){.vcpus = number_at(item, "vcpus"),
				.ram_mb = number_at(item, "ram"),
				.disk_gb = number_at(item, "disk")};
	safe_copy(f->name, sizeof(f->name), text_at(item, "name"));
	return take_id(item, f->id);
}

static bool is_disabled(const json_t *flavor)
{
	return flag_at(flavor, "OS-FLV-DISABLED:disabled", false);
}

/* A copy without the disabled ones. The caller's. */
static json_t *enabled_flavors(const json_t *flavors)
{
	json_t *enabled = json_array();
	size_t i;
	json_t *item;
	json_array_foreach (flavors, i, item)
		if (!is_disabled(item) && json_array_append(enabled, item) < 0)
			abort(); /* out of memory */
	return enabled;
}

static void json_freep(json_t **v)
{
	json_decref(*v);
}

/* Is the named flavor large enough for the image? */
static int check_flavor(const struct os_flavor *f, const struct os_image *image, struct err *err)
{
	if (!image)
		return 0;
	if (f->ram_mb < image->min_ram_mb)
		return err_set(err, ERR_USER, 0,
			       "box.flavor: flavor \"%.80s\" has %" PRId64 " MB of RAM, image \"%.80s\" wants %" PRId64
			       " MB",
			       f->name, f->ram_mb, image->name, image->min_ram_mb);
	/* Disk 0: it boots from a volume, which is made large enough. */
	if (f->disk_gb > 0 && f->disk_gb < image->min_disk_gb)
		return err_set(err, ERR_USER, 0,
			       "box.flavor: flavor \"%.80s\" has a disk of %" PRId64
			       " GB, image \"%.80s\" wants %" PRId64 " GB",
			       f->name, f->disk_gb, image->name, image->min_disk_gb);
	return 0;
}

static int named_flavor(const json_t *flavors, const char *name, const struct os_image *image, struct os_flavor *out,
			struct err *err)
{
	CLEANUP(json_freep) json_t *enabled = enabled_flavors(flavors);
	const json_t *item;
	size_t i;
	json_array_foreach (flavors, i, item)
		if (is_disabled(item) && id_is(item, name))
			return err_set(err, ERR_USER, 0, "box.flavor: the cloud has disabled flavor %s", name);
	item = find_named("flavor", "box.flavor", enabled, name, err);
	if (!item)
		return -1;
	(void)take_flavor(item, out); /* the id has been looked at */
	return check_flavor(out, image, err);
}

/* Sorts before: root disk in the flavor, then least RAM, CPUs, disk. */
static bool is_smaller(const struct os_flavor *a, const struct os_flavor *b)
{
	if ((a->disk_gb > 0) != (b->disk_gb > 0))
		return a->disk_gb > 0;
	if (a->ram_mb != b->ram_mb)
		return a->ram_mb < b->ram_mb;
	if (a->vcpus != b->vcpus)
		return a->vcpus < b->vcpus;
	return a->disk_gb < b->disk_gb;
}

static int no_flavor_fits(const json_t *flavors, const struct os_flavor *least, struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	struct listing l = {.text = &text, .name_max = LIST_NAME_WITH_ID};
	const json_t *item;
	size_t i;
	json_array_foreach (flavors, i, item) {
		struct os_flavor f;
		char detail[80];
		if (is_disabled(item) || !take_flavor(item, &f))
			continue;
		snprintf(detail, sizeof(detail), "%" PRId64 ", %" PRId64 " MB, %" PRId64 " GB", f.vcpus, f.ram_mb,
			 f.disk_gb);
		list_add(&l, f.name[0] ? f.name : f.id, detail);
	}
	return err_set(err, ERR_USER, 0,
		       "box.flavor: the cloud has no flavor of at least %" PRId64 " vCPUs, %" PRId64
		       " MB of RAM and %" PRId64 " GB of disk: it has %s",
		       least->vcpus, least->ram_mb, least->disk_gb, list_text(&l));
}

int choose_flavor(const json_t *flavors, const struct flavor_want *want, const struct os_image *image,
		  struct os_flavor *out, struct err *err)
{
	if (want->name)
		return named_flavor(flavors, want->name, image, out, err);
	/* One without RAM or CPU is a record that we do not understand. */
	struct os_flavor least = {
		.vcpus = larger(want->vcpus, 1),
		.ram_mb = larger(larger(want->ram_mb, 1), image ? image->min_ram_mb : 0),
		.disk_gb = larger(want->disk_gb, image ? image->min_disk_gb : 0),
	};
	bool found = false;
	const json_t *item;
	size_t i;
	json_array_foreach (flavors, i, item) {
		struct os_flavor f;
		if (is_disabled(item) || !take_flavor(item, &f))
			continue;
		if (f.vcpus < least.vcpus || f.ram_mb < least.ram_mb || (f.disk_gb > 0 && f.disk_gb < least.disk_gb))
			continue;
		if (!found || is_smaller(&f, out))
			*out = f;
		found = true;
	}
	return found ? 0 : no_flavor_fits(flavors, &least, err);
}

/* ---- networks */

static bool is_external(const json_t *network)
{
	return flag_at(network, "router:external", false);
}

/* Unknown counts as yes: what the cloud does not tell is no reason to refuse. */
static bool has_subnet(const json_t *network)
{
	const json_t *subnets = json_object_get(network, "subnets");
	return !json_is_array(subnets) || json_array_size(subnets) > 0;
}

static bool is_up(const json_t *network)
{
	return flag_at(network, "admin_state_up", true);
}

static void take_network(const json_t *item, struct os_network *out)
{
	*out = (struct os_network){.external = is_external(item),
				   .port_security = flag_at(item, "port_security_enabled", true)};
	(void)take_id(item, out->id); /* it was looked at before */
	safe_copy(out->name, sizeof(out->name), text_at(item, "name"));
}

/* A server of ours can be put there. */
static bool is_inside(const json_t *network)
{
	return !is_external(network) && has_subnet(network) && is_up(network);
}

/* "Provider" style: a public network that servers are put into directly. */
static bool is_direct(const json_t *network)
{
	return is_external(network) && flag_at(network, "shared", false) && has_subnet(network) && is_up(network);
}

static bool is_pool(const json_t *network)
{
	return is_external(network) && is_up(network);
}

static bool is_default_pool(const json_t *network)
{
	return is_pool(network) && flag_at(network, "is_default", false);
}

/* How many networks are so; *last is one of them. */
static size_t count_networks(const json_t *networks, bool (*is)(const json_t *), const json_t **last)
{
	char id[CHOOSE_ID_MAX];
	const json_t *item;
	size_t i, n = 0;
	json_array_foreach (networks, i, item)
		if (take_id(item, id) && is(item)) {
			*last = item;
			n++;
		}
	return n;
}

/* ERR_USER: several would do. */
static int ask_for_network(const json_t *networks, bool (*is)(const json_t *), const char *what, const char *key,
			   struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	struct listing l = {.text = &text, .name_max = LIST_NAME_WITH_ID};
	char id[CHOOSE_ID_MAX];
	const json_t *item;
	size_t i;
	json_array_foreach (networks, i, item)
		if (take_id(item, id) && is(item))
			list_add(&l, text_at(item, "name"), id);
	return err_set(err, ERR_USER, 0, "%s: the cloud has several %s, name one: %s", key, what, list_text(&l));
}

static int no_network(const json_t *networks, struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	struct listing l = {.text = &text, .name_max = LIST_NAME_WITH_ID};
	const json_t *item;
	char id[CHOOSE_ID_MAX];
	size_t i;
	json_array_foreach (networks, i, item) {
		const char *name = text_at(item, "name");
		const char *why = !take_id(item, id)  ? "odd id"
				  : is_external(item) ? "external"
				  : !is_up(item)      ? "down"
						      : "no subnet";
		list_add(&l, name[0] ? name : id, why);
	}
	return err_set(err, ERR_USER, 0,
		       "box.network: the account has no network with a subnet to put a server into: it has %s",
		       list_text(&l));
}

int choose_network(const json_t *networks, const char *want, struct os_network *out, struct err *err)
{
	const json_t *item = NULL;
	if (want) {
		item = find_named("network", "box.network", networks, want, err);
		if (!item)
			return -1;
		take_network(item, out);
		if (!has_subnet(item))
			return err_set(err, ERR_USER, 0,
				       "box.network: network \"%.80s\" has no subnet: a server gets no address there",
				       out->name);
		return 0;
	}
	size_t inside = count_networks(networks, is_inside, &item);
	if (inside > 1)
		return ask_for_network(networks, is_inside, "networks", "box.network", err);
	size_t direct = inside ? 0 : count_networks(networks, is_direct, &item);
	if (direct > 1)
		return ask_for_network(networks, is_direct, "networks", "box.network", err);
	if (!item)
		return no_network(networks, err);
	take_network(item, out);
	return 0;
}

int choose_pool(const json_t *networks, const char *want, struct os_network *out, struct err *err)
{
	static const char key[] = "box.floating_network";
	const json_t *item = NULL;
	if (want) {
		item = find_named("network", key, networks, want, err);
		if (!item)
			return -1;
		take_network(item, out);
		if (!out->external)
			return err_set(err, ERR_USER, 0,
				       "%s: network \"%.80s\" is not external: floating IPs cannot come from it", key,
				       out->name);
		return 1;
	}
	size_t n = count_networks(networks, is_pool, &item);
	if (n == 0)
		return 0;
	if (n > 1 && count_networks(networks, is_default_pool, &item) != 1)
		return ask_for_network(networks, is_pool, "external networks", key, err);
	take_network(item, out);
	return 1;
}

/* ---- addresses */

enum reach { NOWHERE, PRIVATE, PUBLIC };

static enum reach reach4(uint32_t a)
{
	static const struct {
		uint32_t net, mask;
		enum reach reach;
	} table[] = {
		{0x00000000, 0xFF000000, NOWHERE}, /* 0/8 */
		{0xE0000000, 0xE0000000, NOWHERE}, /* 224/3: multicast, reserved, broadcast */
		{0x0A000000, 0xFF000000, PRIVATE}, /* 10/8 */
		{0xAC100000, 0xFFF00000, PRIVATE}, /* 172.16/12 */
		{0xC0A80000, 0xFFFF0000, PRIVATE}, /* 192.168/16 */
		{0x64400000, 0xFFC00000, PRIVATE}, /* 100.64/10 */
		{0xA9FE0000, 0xFFFF0000, PRIVATE}, /* 169.254/16 */
		{0x7F000000, 0xFF000000, PRIVATE}, /* 127/8: a cloud on this machine */
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if ((a & table[i].mask) == table[i].net)
			return table[i].reach;
	return PUBLIC;
}

static enum reach reach6(const struct in6_addr *a)
{
	/* Link-local ones need a zone, which only our own machine knows. */
	if (IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_MULTICAST(a) || IN6_IS_ADDR_LINKLOCAL(a) ||
	    IN6_IS_ADDR_V4MAPPED(a))
		return NOWHERE;
	bool private = IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_SITELOCAL(a) || (a->s6_addr[0] & 0xFE) == 0xFC;
	return private ? PRIVATE : PUBLIC;
}

/* text: foreign. Returns false when it is no address that one could connect to. */
static bool parse_address(const char *text, struct os_address *out)
{
	struct in_addr v4;
	struct in6_addr v6;
	enum reach reach = NOWHERE;
	*out = (struct os_address){.version = 0};
	if (inet_pton(AF_INET, text, &v4) == 1) {
		out->version = 4;
		reach = reach4(ntohl(v4.s_addr));
		inet_ntop(AF_INET, &v4, out->text, sizeof(out->text));
	} else if (inet_pton(AF_INET6, text, &v6) == 1) {
		out->version = 6;
		reach = reach6(&v6);
		inet_ntop(AF_INET6, &v6, out->text, sizeof(out->text));
	}
	out->private = reach == PRIVATE;
	return reach != NOWHERE;
}

/* The best so far, best first. */
struct ranking {
	struct os_address *out;
	int rank[CHOOSE_ADDRESSES_MAX];
	size_t n;
};

static void ranking_drop(struct ranking *r, size_t i)
{
	r->n--;
	memmove(r->out + i, r->out + i + 1, (r->n - i) * sizeof(*r->out));
	memmove(r->rank + i, r->rank + i + 1, (r->n - i) * sizeof(*r->rank));
}

/* Puts it behind those of the same rank; the worst gives way when it is full. An address counts once, by its best
 * rank. */
static void ranking_add(struct ranking *r, const struct os_address *a, int rank)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->out[i].text, a->text) == 0) {
			if (r->rank[i] <= rank)
				return;
			ranking_drop(r, i);
			break;
		}
	size_t at = 0;
	while (at < r->n && r->rank[at] <= rank)
		at++;
	if (at == CHOOSE_ADDRESSES_MAX)
		return;
	if (r->n == CHOOSE_ADDRESSES_MAX)
		r->n--;
	memmove(r->out + at + 1, r->out + at, (r->n - at) * sizeof(*r->out));
	memmove(r->rank + at + 1, r->rank + at, (r->n - at) * sizeof(*r->rank));
	r->out[at] = *a;
	r->rank[at] = rank;
	r->n++;
}

/* access: it is accessIPv4 or accessIPv6. on_public: its network is named "public": where that is a private range (a
 * cloud of one's own), it is still the one that is routed. */
static int address_rank(const struct os_address *a, bool access, bool on_public)
{
	enum { FLOATING, ACCESS4, PUBLIC4, PUBLIC6, PRIVATE4, PRIVATE6 } rank;
	if (a->floating)
		rank = FLOATING;
	else if (a->version == 4)
		rank = access ? ACCESS4 : a->private ? PRIVATE4 : PUBLIC4;
	else
		rank = a->private ? PRIVATE6 : PUBLIC6;
	return 2 * (int)rank + (on_public ? 0 : 1);
}

static void rank_network(struct ranking *r, const char *name, const json_t *list)
{
	const json_t *item;
	size_t i;
	json_array_foreach (list, i, item) {
		struct os_address a;
		if (!parse_address(text_at(item, "addr"), &a))
			continue;
		/* Some clouds leave the type out (docker/machine#1967). */
		a.floating = strcmp(text_at(item, "OS-EXT-IPS:type"), "floating") == 0;
		ranking_add(r, &a, address_rank(&a, false, strcasecmp(name, "public") == 0));
	}
}

size_t choose_addresses(const json_t *server, struct os_address out[CHOOSE_ADDRESSES_MAX])
{
	static const char *const access[] = {"accessIPv4", "accessIPv6"};
	struct ranking r = {.out = out};
	struct os_address a;
	for (size_t i = 0; i < ARRAY_SIZE(access); i++)
		if (parse_address(text_at(server, access[i]), &a))
			ranking_add(&r, &a, address_rank(&a, true, false));
	json_t *networks = json_object_get(server, "addresses");
	const char *name;
	json_t *list;
	json_object_foreach (networks, name, list) {
		rank_network(&r, name, list);
	}
	return r.n;
}
