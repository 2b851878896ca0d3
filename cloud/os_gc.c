/* SPDX-License-Identifier: MIT */
/* What the cloud's own listing says: servers, floating IPs and groups that carry our marks. Only what bears both our
 * name and an owner's mark counts; whatever else is in the account is never touched. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cloud/ledger.h"
#include "cloud/openstack.h"

#define LOOK_MS      60000
#define END_MS       300000
#define SERVERS_PATH "/servers/detail?name=" OS_NAME_PREFIX

/* Whose a thing is. */
struct mark {
	char owner[BOX_NAME_MAX], store[32];
	int64_t expires;
};

struct sweep {
	const struct cloud_strays *s;
	struct os_cloud *c;
	char store[32];
};

/* " KEY=VALUE" in a description. */
static void read_word(const char *text, const char *key, char *out, size_t size)
{
	const char *at = strstr(text, key);
	out[0] = '\0';
	if (at)
		(void)snprintf(out, size, "%.*s", (int)strcspn(at + strlen(key), " "), at + strlen(key));
}

static struct mark mark_of_text(const char *text)
{
	char until[32];
	struct mark m;
	read_word(text, "owner=", m.owner, sizeof(m.owner));
	read_word(text, "store=", m.store, sizeof(m.store));
	read_word(text, "expires=", until, sizeof(until));
	m.expires = os_time(until);
	return m;
}

static struct mark mark_of_server(const json_t *server)
{
	const json_t *metadata = json_object_get(server, "metadata");
	struct mark m = {.expires = os_time(os_text(metadata, OS_META_EXPIRES))};
	(void)snprintf(m.owner, sizeof(m.owner), "%s", os_text(metadata, OS_META_OWNER));
	(void)snprintf(m.store, sizeof(m.store), "%s", os_text(metadata, OS_META_STORE));
	return m;
}

/* Why something that no row knows has to go, or false: it is not ours, or another machine may be at work with it. */
static bool has_to_go(const struct sweep *w, const struct mark *m, char why[96])
{
	char span[32];
	const struct cloud_gc_filter *filter = w->s->filter;
	const char *owner = filter->owner ? filter->owner : cloud_owner();
	int64_t over = clock_wall() - m->expires;
	bool expired = m->expires > 0 && over >= 0;
	if (!*m->owner || strcmp(m->owner, owner) != 0 || (filter->expired_only && !expired))
		return false;
	clock_span(over * 1000, span);
	if (expired)
		(void)snprintf(why, 96, "expired %s ago", span);
	else if (strcmp(m->store, w->store) == 0)
		(void)snprintf(why, 96, "no box of the ledger");
	else
		(void)snprintf(why, 96, "of %.60s", owner);
	return expired || filter->owner || strcmp(m->store, w->store) == 0;
}

static void found(const struct sweep *w, const char *what, const char *name, const char *why, int rc,
		  const struct err *err)
{
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	buf_addf(&safe, "%s ", what);
	text_safe_line(&safe, name, strlen(name), 100);
	w->s->found(w->s->ctx, safe.data, why, rc, err);
}

static void sweep_server(const struct sweep *w, const json_t *server)
{
	char why[96];
	struct err err = ERR_INIT;
	const char *name = os_text(server, "name"), *id = os_text(server, "id");
	struct mark m = mark_of_server(server);
	if (!text_starts(name, OS_NAME_PREFIX) || !os_is_id(id) || strcmp(os_text(server, "status"), "DELETED") == 0 ||
	    w->s->known(w->s->ctx, name + strlen(OS_NAME_PREFIX), id) || !has_to_go(w, &m, why))
		return;
	int rc = w->s->filter->dry_run ? 0 : os_end_server(w->c, id, 0, clock_deadline(END_MS), &err);
	found(w, "server", name, why, rc, &err);
}

/* One try: a group that is in use, and an address that has a port, belong to a living server, whose expiry may have
 * been moved. */
static void sweep_part(const struct sweep *w, const char *kind, const char *what, const char *path, const json_t *o)
{
	char why[96], name[96];
	struct err err = ERR_INIT, ignored = ERR_INIT;
	bool group = strcmp(kind, PART_SECURITY_GROUP) == 0;
	const char *id = os_text(o, "id"), *text = os_text(o, "description");
	struct mark m = mark_of_text(text);
	(void)snprintf(name, sizeof(name), "%s", group ? os_text(o, "name") : text);
	name[strcspn(name, " ")] = '\0';
	if (!text_starts(name, OS_NAME_PREFIX) || !os_is_id(id) || *os_text(o, "port_id") ||
	    part_known(w->s->db, kind, id, name, &ignored) != 0 || !has_to_go(w, &m, why))
		return;
	AUTO_FREE char *at = xasprintf("%s/%s", path, id);
	int rc = w->s->filter->dry_run ? 0 : os_delete(w->c, OS_NETWORK, at, clock_deadline(LOOK_MS), &err);
	if (rc < 0 && err.code == 409)
		return;
	if (rc == 0 && !w->s->filter->dry_run &&
	    os_get(w->c, OS_NETWORK, at, clock_deadline(LOOK_MS), WAIT_IGNORE_STOP, NULL, &ignored) == 0)
		rc = err_set(&err, ERR_CLOUD, 0, "%s is still there after DELETE", at);
	found(w, what, name, why, rc, &err);
}

static int each(struct os_cloud *c, enum os_service service, const char *path, const char *key, json_t **all,
		struct err *err)
{
	*all = os_list(c->session, service, path, key, clock_deadline(LOOK_MS), WAIT_STOPPABLE, err);
	return *all ? 0 : -1;
}

int os_strays(const struct cloud_strays *s, struct err *err)
{
	struct sweep w = {.s = s, .c = os_cloud_get(s->cloud, clock_deadline(LOOK_MS), WAIT_STOPPABLE, err)};
	json_t *all = NULL, *o;
	size_t i;
	if (!w.c || ledger_store_id(s->db, w.store, err) < 0)
		return -1;
	/* Servers first: what they used is free then, and what is still in use has a living one. */
	bool network = os_has(w.c->session, OS_NETWORK) && !os_is_rackspace(w.c->session);
	if (each(w.c, OS_COMPUTE, SERVERS_PATH, "servers", &all, err) < 0)
		return -1;
	json_array_foreach (all, i, o) {
		sweep_server(&w, o);
	}
	json_decref(all);
	all = NULL;
	if (network && each(w.c, OS_NETWORK, "/floatingips", "floatingips", &all, err) < 0) {
		if (err->code != 404)
			return -1;
		err_clear(err); /* a cloud without routers has none */
	}
	json_array_foreach (all, i, o) {
		sweep_part(&w, PART_FLOATING_IP, "floating IP of", "/floatingips", o);
	}
	json_decref(all);
	if (!network)
		return 0;
	if (each(w.c, OS_NETWORK, "/security-groups", "security_groups", &all, err) < 0)
		return -1;
	json_array_foreach (all, i, o) {
		sweep_part(&w, PART_SECURITY_GROUP, "security group", "/security-groups", o);
	}
	json_decref(all);
	return 0;
}

/* ---- ls --cloud ---- */

static void list_one(const json_t *server, void (*fn)(struct cloud_listed *l, void *ctx), void *ctx)
{
	struct cloud_listed l = {0};
	struct os_address a[CHOOSE_ADDRESSES_MAX];
	const json_t *metadata = json_object_get(server, "metadata");
	const char *name = os_text(server, "name");
	struct mark m = mark_of_server(server);
	if (!text_starts(name, OS_NAME_PREFIX) || !*m.owner)
		return;
	(void)snprintf(l.name, sizeof(l.name), "%s", name + strlen(OS_NAME_PREFIX));
	(void)snprintf(l.id, sizeof(l.id), "%s", os_text(server, "id"));
	(void)snprintf(l.status, sizeof(l.status), "%s", os_text(server, "status"));
	(void)snprintf(l.run, sizeof(l.run), "%s", os_text(metadata, OS_META_RUN));
	memcpy(l.owner, m.owner, sizeof(l.owner));
	if (choose_addresses(server, a) > 0)
		memcpy(l.address, a[0].text, sizeof(l.address));
	l.expires = m.expires;
	fn(&l, ctx);
}

int os_listing(const char *cloud, void (*fn)(struct cloud_listed *l, void *ctx), void *ctx, struct err *err)
{
	json_t *all, *o;
	size_t i;
	struct os_cloud *c = os_cloud_get(cloud, clock_deadline(LOOK_MS), WAIT_STOPPABLE, err);
	if (!c || each(c, OS_COMPUTE, SERVERS_PATH, "servers", &all, err) < 0)
		return -1;
	json_array_foreach (all, i, o) {
		list_one(o, fn, ctx);
	}
	json_decref(all);
	return 0;
}
