/* SPDX-License-Identifier: MIT */
/* Security group and floating IP: asked for with a row of the ledger before, found again by name when an answer was
 * lost, gone only when the network service says so. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "cloud/ledger.h"
#include "cloud/openstack.h"

#define SSH_PORT  22
#define TWINS_MAX 8
/* A group is in use until the port of the deleted server has gone. */
#define IN_USE_WAIT_MS 2000
#define LIE_WAIT_MS    1000

int os_mark(struct db *db, const struct box *box, struct buf *out, struct err *err)
{
	char store[32], until[32];
	if (ledger_store_id(db, store, err) < 0)
		return -1;
	clock_iso(box->expires, until);
	buf_addf(out, "owner=%s store=%s expires=%s", cloud_owner(), store, until);
	return 0;
}

/* ---- making a part ---- */

struct kind {
	const char *kind, *path, *key, *list; /* of neutron's API */
};

static const struct kind group_kind = {PART_SECURITY_GROUP, "/security-groups", "security_group", "security_groups"};
static const struct kind ip_kind = {PART_FLOATING_IP, "/floatingips", "floatingip", "floatingips"};

/* Groups are found by their name; floating IPs have none: by how their description begins. Both only with the mark of
 * our store: runs are counted in each, another machine's may have the same name. */
static bool is_ours(const struct kind *k, const json_t *o, const char *name, const char *store)
{
	const char *text = os_text(o, "description");
	AUTO_FREE char *mark = xasprintf(" store=%s ", store);
	if (!strstr(text, mark))
		return false;
	if (k == &group_kind)
		return strcmp(os_text(o, "name"), name) == 0;
	size_t n = strlen(name);
	return strncmp(text, name, n) == 0 && text[n] == ' ';
}

/* What the service has of this name, right now: an array, or NULL. */
static json_t *find_now(struct os_cloud *c, struct db *db, const struct kind *k, const char *name, mono_ms deadline,
			struct err *err)
{
	size_t i;
	json_t *o;
	char store[32];
	if (ledger_store_id(db, store, err) < 0)
		return NULL;
	AUTO_FREE char *path = k == &group_kind ? xasprintf("%s?name=%s", k->path, name) : xstrdup(k->path);
	json_t *all = os_list(c->session, OS_NETWORK, path, k->list, deadline, WAIT_IGNORE_STOP, err);
	if (!all)
		return NULL;
	json_t *ours = json_array();
	json_array_foreach (all, i, o) {
		if (is_ours(k, o, name, store) && os_is_id(os_text(o, "id")) && json_array_size(ours) < TWINS_MAX)
			json_array_append(ours, o);
	}
	json_decref(all);
	return ours;
}

/* The same, until there is something or its time is over. */
static json_t *find_settled(struct os_cloud *c, struct db *db, const struct kind *k, const struct part *part,
			    mono_ms deadline, struct err *err)
{
	for (;;) {
		json_t *found = find_now(c, db, k, part->name, deadline, err);
		if (!found || json_array_size(found) || clock_wall() > part->asked + OS_PART_SETTLE_S ||
		    clock_mono() >= deadline)
			return found;
		json_decref(found);
		if (wait_ms(IN_USE_WAIT_MS, WAIT_IGNORE_STOP, err) < 0)
			return NULL;
	}
}

static json_t *post(struct os_cloud *c, const char *path, const json_t *body, const char *key, mono_ms deadline,
		    bool *unsure, struct err *err)
{
	struct os_answer a;
	struct os_call call = {.service = OS_NETWORK,
			       .method = "POST",
			       .path = path,
			       .body = body,
			       .create = true,
			       .deadline = deadline,
			       .mode = WAIT_IGNORE_STOP};
	json_t *made = NULL;
	int rc = os_do(c->session, &call, &a, err);
	*unsure = a.unsure;
	if (rc == 0) {
		made = json_incref(json_object_get(a.json, key));
		if (!os_is_id(os_text(made, "id"))) {
			json_decref(made);
			made = NULL;
			*unsure = true;
			err_set(err, ERR_CLOUD, 0, "POST %s: the answer names no id (%s)", path, a.request_id);
		}
	}
	os_answer_finish(&a);
	return made;
}

/* Asks for what the row `part` stands for. An answer that was lost is looked for, and the request repeated at most
 * once. */
static json_t *make(struct os_cloud *c, struct db *db, const struct kind *k, const json_t *body, struct part *part,
		    mono_ms deadline, struct err *err)
{
	bool unsure = false, again = false;
	json_t *made = post(c, k->path, body, k->key, deadline, &unsure, err);
	if (!made && unsure) {
		struct err why = *err;
		again = true;
		json_t *found = find_settled(c, db, k, part, deadline, err);
		if (json_array_size(found))
			made = json_incref(json_array_get(found, 0));
		else if (found && part_asked(db, part, err) == 0)
			made = post(c, k->path, body, k->key, deadline, &unsure, err);
		json_decref(found);
		log_debug(part->name, "%s; looked for it: %s", why.msg, made ? "it is there" : "not there");
		if (made)
			err_clear(err);
	}
	struct err second = ERR_INIT;
	/* A plain no, before any answer was lost: there is nothing to look for later. */
	if (!made && !unsure && !again && part_gone(db, part, &second) < 0)
		log_warn(part->name, "%s", second.msg);
	if (made && part_created(db, part, os_text(made, "id"), err) < 0) {
		json_decref(made);
		return NULL;
	}
	return made;
}

/* ---- the group ---- */

static int make_group(struct os_cloud *c, struct db *db, const struct box *box, mono_ms deadline, struct err *err)
{
	struct part part;
	AUTO_FREE char *name = xasprintf(OS_NAME_PREFIX "%s", box->name);
	AUTO_BUF mark = buf_make(BUF_TEXT_MAX);
	if (os_mark(db, box, &mark, err) < 0 || part_want(db, PART_SECURITY_GROUP, name, box, &part, err) < 0)
		return -1;
	json_t *body = json_pack("{s:{s:s, s:s}}", "security_group", "name", name, "description", mark.data);
	json_t *made = body ? make(c, db, &group_kind, body, &part, deadline, err) : NULL;
	json_decref(body);
	if (!made)
		return err_ctx(err, "security group");
	json_decref(made);
	c->group = part;
	json_array_clear(c->rules);
	return 0;
}

int os_group(struct os_cloud *c, struct db *db, const struct box_spec *spec, const struct box *box,
	     const struct os_choice *choice, mono_ms deadline, char group[128], struct err *err)
{
	group[0] = '\0';
	if (spec->security_group) {
		(void)snprintf(group, 128, "%s", spec->security_group);
		return 0;
	}
	if (!choice->has_network || !choice->network.port_security)
		return 0;
	pthread_mutex_lock(&c->lock);
	int rc = c->group.n ? part_use(db, &c->group, box->name, err) : 0;
	if (rc == 0)
		rc = make_group(c, db, box, deadline, err);
	if (rc >= 0)
		(void)snprintf(group, 128, "%s", c->group.id);
	pthread_mutex_unlock(&c->lock);
	return rc < 0 ? -1 : 0;
}

/* RFC 1918, 6598 and 3927, loopback; for IPv6 all but global unicast. */
static bool is_private(const char *address)
{
	struct in6_addr six;
	struct in_addr four;
	if (inet_pton(AF_INET6, address, &six) == 1)
		return (six.s6_addr[0] & 0xe0) != 0x20;
	if (inet_pton(AF_INET, address, &four) != 1)
		return false;
	uint32_t a = ntohl(four.s_addr);
	return a >> 24 == 10 || a >> 24 == 127 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 22 == 0x191 ||
	       a >> 16 == 0xa9fe;
}

/* Our own address on the way to that one, as routes have it: no packet is sent. */
static int own_address(const char *to, char out[64], struct err *err)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_DGRAM}, *ai = NULL;
	struct sockaddr_storage me;
	socklen_t len = sizeof(me);
	if (getaddrinfo(to, "22", &hints, &ai) != 0)
		return err_set(err, ERR_CLOUD, 0, "%s: not an address", to);
	AUTO_CLOSE int fd = socket(ai->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
		  getsockname(fd, (struct sockaddr *)&me, &len) == 0 &&
		  getnameinfo((struct sockaddr *)&me, len, out, 64, NULL, 0, NI_NUMERICHOST) == 0;
	freeaddrinfo(ai);
	return ok ? 0 : err_sys(err, ERR_CLOUD, errno, "the way to %s", to);
}

/* From where the port is to be open: our address, or anywhere when a translation lies between (keys are all that lets
 * anybody in). */
static int rule_source(const struct box_spec *spec, const char *address, char out[80], struct err *err)
{
	char me[64];
	bool six = strchr(address, ':') != NULL;
	if (spec->ssh_from) {
		(void)snprintf(out, 80, "%s", spec->ssh_from);
		return 0;
	}
	if (own_address(address, me, err) < 0)
		return -1;
	if (is_private(me) && !is_private(address))
		(void)snprintf(out, 80, six ? "::/0" : "0.0.0.0/0");
	else
		(void)snprintf(out, 80, "%s/%d", me, six ? 128 : 32);
	return 0;
}

static int add_rule(struct os_cloud *c, const struct box_spec *spec, const char *source, mono_ms deadline,
		    struct err *err)
{
	struct os_answer a;
	int port = spec->port ? spec->port : SSH_PORT;
	json_t *body = json_pack("{s:{s:s, s:s, s:s, s:s, s:i, s:i, s:s}}", "security_group_rule", "security_group_id",
				 c->group.id, "direction", "ingress", "ethertype",
				 strchr(source, ':') ? "IPv6" : "IPv4", "protocol", "tcp", "port_range_min", port,
				 "port_range_max", port, "remote_ip_prefix", source);
	/* Repeating it does no harm: the second one is a 409. */
	struct os_call call = {.service = OS_NETWORK,
			       .method = "POST",
			       .path = "/security-group-rules",
			       .body = body,
			       .deadline = deadline,
			       .mode = WAIT_IGNORE_STOP};
	int rc = os_do(c->session, &call, &a, err);
	if (rc < 0 && a.status == 409 && strstr(a.message, "exists")) {
		err_clear(err);
		rc = 0;
	}
	os_answer_finish(&a);
	json_decref(body);
	return rc;
}

int os_group_rule(struct os_cloud *c, const struct box_spec *spec, const char *address, mono_ms deadline,
		  struct err *err)
{
	char source[80];
	size_t i;
	json_t *known;
	if (spec->security_group)
		return 0;
	if (rule_source(spec, address, source, err) < 0)
		return -1;
	int port = spec->port ? spec->port : SSH_PORT;
	AUTO_FREE char *rule = xasprintf("%s %d", source, port);
	pthread_mutex_lock(&c->lock);
	int rc = 0;
	bool there = c->group.n == 0;
	json_array_foreach (c->rules, i, known) {
		there |= strcmp(json_string_value(known), rule) == 0;
	}
	if (!there) {
		rc = add_rule(c, spec, source, deadline, err);
		if (rc == 0) {
			json_array_append_new(c->rules, json_string(rule));
			log_debug(c->group.name, "port %d is open from %s", port, source);
		}
	}
	pthread_mutex_unlock(&c->lock);
	return rc < 0 ? err_ctx(err, "security group rule for %s", source) : 0;
}

/* ---- the floating IP ---- */

/* The server's port with an IPv4 address: made by nova while it builds. */
static int find_port(struct os_cloud *c, const char *server, mono_ms deadline, char port[128], char fixed[64],
		     struct err *err)
{
	size_t i, j;
	json_t *p, *ip;
	AUTO_FREE char *path = xasprintf("/ports?device_id=%s", server);
	json_t *ports = os_list(c->session, OS_NETWORK, path, "ports", deadline, WAIT_STOPPABLE, err);
	if (!ports)
		return -1;
	port[0] = '\0';
	json_array_foreach (ports, i, p) {
		json_array_foreach (json_object_get(p, "fixed_ips"), j, ip) {
			const char *address = os_text(ip, "ip_address");
			struct in_addr four;
			if (*port || !os_is_id(os_text(p, "id")) || inet_pton(AF_INET, address, &four) != 1)
				continue;
			(void)snprintf(port, 128, "%s", os_text(p, "id"));
			(void)snprintf(fixed, 64, "%s", address);
		}
	}
	json_decref(ports);
	return *port ? 0 : err_set(err, ERR_CLOUD, 0, "server %s has no port with an IPv4 address", server);
}

int os_floating_ip(struct os_cloud *c, struct db *db, const struct box *box, const struct os_network *pool,
		   mono_ms deadline, char address[64], struct err *err)
{
	char port[128], fixed[64];
	struct part part;
	struct in_addr four;
	AUTO_FREE char *name = xasprintf(OS_NAME_PREFIX "%s", box->name);
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	buf_addf(&text, "%s ", name);
	if (find_port(c, box->id, deadline, port, fixed, err) < 0 || os_mark(db, box, &text, err) < 0 ||
	    part_want(db, PART_FLOATING_IP, name, box, &part, err) < 0)
		return -1;
	/* Bound to the port from the start: there is no moment in which another run could grab it. */
	json_t *body = json_pack("{s:{s:s, s:s, s:s, s:s}}", "floatingip", "floating_network_id", pool->id, "port_id",
				 port, "fixed_ip_address", fixed, "description", text.data);
	json_t *made = body ? make(c, db, &ip_kind, body, &part, deadline, err) : NULL;
	json_decref(body);
	if (!made)
		return err_ctx(err, "floating IP from %s", pool->name);
	(void)snprintf(address, 64, "%s", os_text(made, "floating_ip_address"));
	json_decref(made);
	return inet_pton(AF_INET, address, &four) == 1
		       ? 0
		       : err_set(err, ERR_CLOUD, 0, "floating IP %s has no usable address", part.id);
}

/* ---- the end ---- */

/* DELETE until GET says 404: services have been seen to say 204 and keep the thing. */
static int end_one(struct os_cloud *c, const struct kind *k, const char *id, mono_ms deadline, struct err *err)
{
	AUTO_FREE char *path = xasprintf("%s/%s", k->path, id);
	for (;;) {
		struct err why = ERR_INIT;
		int rc = os_delete(c, OS_NETWORK, path, deadline, &why);
		if (rc < 0 && why.code != 409) {
			*err = why;
			return -1;
		}
		if (rc == 0) {
			if (os_get(c, OS_NETWORK, path, deadline, WAIT_IGNORE_STOP, NULL, &why) < 0)
				return why.code == 404 ? 0 : (*err = why, -1);
			err_set(&why, ERR_CLOUD, 0, "%s is still there after DELETE", path);
		}
		if (clock_mono() + IN_USE_WAIT_MS >= deadline) {
			*err = why;
			return -1;
		}
		if (wait_ms(rc < 0 ? IN_USE_WAIT_MS : LIE_WAIT_MS, WAIT_IGNORE_STOP, err) < 0)
			return -1;
	}
}

/* By its id; without one, whatever bears its name. */
static int end_part(struct os_cloud *c, struct db *db, const struct kind *k, const struct part *part, mono_ms deadline,
		    struct err *err)
{
	size_t i;
	json_t *o;
	if (*part->id)
		return end_one(c, k, part->id, deadline, err);
	json_t *found = find_settled(c, db, k, part, deadline, err);
	int rc = found ? 0 : -1;
	json_array_foreach (found, i, o) {
		if (rc == 0)
			rc = end_one(c, k, os_text(o, "id"), deadline, err);
	}
	json_decref(found);
	return rc;
}

int os_end_floating_ip(struct os_cloud *c, struct db *db, const struct part *part, mono_ms deadline, struct err *err)
{
	if (end_part(c, db, &ip_kind, part, deadline, err) < 0)
		return err_ctx(err, "floating IP");
	return part_gone(db, part, err);
}

int os_end_group(struct os_cloud *c, struct db *db, const struct part *part, const char *box, mono_ms deadline,
		 struct err *err)
{
	int last = part_release(db, part, box, err);
	if (last <= 0)
		return last;
	pthread_mutex_lock(&c->lock);
	if (c->group.n == part->n)
		c->group = (struct part){0};
	pthread_mutex_unlock(&c->lock);
	if (end_part(c, db, &group_kind, part, deadline, err) < 0)
		return err_ctx(err, "security group");
	return part_gone(db, part, err);
}
