/* SPDX-License-Identifier: MIT */
/* Teardown, in the order in which things let go of one another: floating IP, server, volume, security group. Every
 * piece may be gone already, or half: it can be done again at any time, by any process. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "cloud/openstack.h"

#define LOOK_MS 1000
/* Clouds lose deletions. */
#define AGAIN_MS       60000
#define FIND_WAIT_MS   3000
#define VOLUME_WAIT_MS 2000
/* nova deletes the volume after the server; then we do. */
#define VOLUME_SELF_MS 30000

/* ---- the server ---- */

/* With reclaim_instance_interval, nova keeps deleted servers, with their volumes and addresses: ask for the real end.
 * Not everybody may. */
static void force_delete(struct os_cloud *c, const char *id, mono_ms deadline)
{
	struct err ignored = ERR_INIT;
	AUTO_FREE char *path = xasprintf("/servers/%s/action", id);
	json_t *body = json_pack("{s:n}", "forceDelete");
	if (os_send(c, OS_COMPUTE, "POST", path, body, deadline, WAIT_IGNORE_STOP, NULL, &ignored) < 0)
		log_debug(id, "%s", ignored.msg);
	json_decref(body);
}

/* 1 gone, 0 still there, -1 err. The shared list first: it costs one call for all boxes that end. */
static int is_gone(struct os_cloud *c, const char *id, bool *forced, mono_ms deadline, struct err *err)
{
	json_t *server = NULL, *one = NULL;
	int there = poll_server(c->poll, id, LOOK_MS / 2, deadline, WAIT_IGNORE_STOP, &server, err);
	bool soft = there == 1 && strcmp(os_text(server, "status"), "SOFT_DELETED") == 0;
	json_decref(server);
	if (there < 0 || (there == 1 && !soft))
		return there < 0 ? -1 : 0;
	AUTO_FREE char *path = xasprintf("/servers/%s", id);
	if (os_get(c, OS_COMPUTE, path, deadline, WAIT_IGNORE_STOP, &one, err) < 0) {
		bool gone = err->code == 404;
		if (gone)
			err_clear(err);
		return gone ? 1 : -1;
	}
	const char *status = os_text(json_object_get(one, "server"), "status");
	soft = strcmp(status, "SOFT_DELETED") == 0;
	bool deleted = strcmp(status, "DELETED") == 0;
	json_decref(one);
	if (soft && !*forced) {
		force_delete(c, id, deadline);
		*forced = true;
		return 0;
	}
	return deleted || soft;
}

/* A box in a state that forbids it (a locked or migrating server: 409) is asked again; so is one that is so young that
 * a 404 may only mean "not yet". */
static int ask_server(struct os_cloud *c, const char *path, int64_t young_until, mono_ms deadline, struct err *err)
{
	for (;;) {
		int rc = os_send(c, OS_COMPUTE, "DELETE", path, NULL, deadline, WAIT_IGNORE_STOP, NULL, err);
		bool absent = rc < 0 && err->code == 404;
		if (rc == 0 || (absent && clock_wall() >= young_until)) {
			err_clear(err);
			return 0;
		}
		if ((err->code != 409 && !absent) || clock_mono() + FIND_WAIT_MS >= deadline)
			return -1;
		if (wait_ms(FIND_WAIT_MS, WAIT_IGNORE_STOP, err) < 0)
			return -1;
	}
}

int os_end_server(struct os_cloud *c, const char *id, int64_t young_until, mono_ms deadline, struct err *err)
{
	bool forced = false;
	AUTO_FREE char *path = xasprintf("/servers/%s", id);
	for (;;) {
		if (ask_server(c, path, young_until, deadline, err) < 0)
			return err_ctx(err, "server %s", id);
		mono_ms again = clock_deadline(AGAIN_MS);
		while (clock_mono() < again && clock_mono() < deadline) {
			if (wait_ms(LOOK_MS, WAIT_IGNORE_STOP, err) < 0)
				return -1;
			int gone = is_gone(c, id, &forced, deadline, err);
			if (gone)
				return gone < 0 ? err_ctx(err, "server %s", id) : 0;
		}
		if (clock_mono() >= deadline)
			return err_set(err, ERR_CLOUD, 0, "server %s is still there after DELETE", id);
	}
}

/* What was asked for without an answer may still come into being: nothing found means nothing before its time is over.
 */
static int find_settled(struct os_cloud *c, struct db *db, const struct box *box, char ids[OS_TWINS_MAX][128],
			mono_ms deadline, struct err *err)
{
	for (;;) {
		int n = os_find_servers(c, db, box, ids, deadline, WAIT_IGNORE_STOP, err);
		if (n != 0 || clock_wall() > box->asked + OS_SETTLE_S || clock_mono() >= deadline)
			return n;
		if (wait_ms(FIND_WAIT_MS, WAIT_IGNORE_STOP, err) < 0)
			return -1;
	}
}

/* ---- the volume ---- */

/* Should we have been killed before we knew it: the server tells which one it has. */
static int learn_volume(struct os_cloud *c, struct db *db, const char *server, struct part *volume, mono_ms deadline,
			struct err *err)
{
	json_t *json = NULL;
	AUTO_FREE char *path = xasprintf("/servers/%s", server);
	if (os_get(c, OS_COMPUTE, path, deadline, WAIT_IGNORE_STOP, &json, err) < 0) {
		bool gone = err->code == 404;
		if (gone)
			err_clear(err);
		return gone ? 0 : -1;
	}
	const char *id = os_volume_of(json_object_get(json, "server"));
	int rc = os_is_id(id) ? part_created(db, volume, id, err) : 0;
	json_decref(json);
	return rc;
}

static int end_volume(struct os_cloud *c, struct db *db, const struct part *volume, mono_ms deadline, struct err *err)
{
	AUTO_FREE char *path = xasprintf("/volumes/%s", volume->id);
	mono_ms patience = clock_deadline(VOLUME_SELF_MS);
	while (*volume->id && os_has(c->session, OS_VOLUME)) {
		struct err why = ERR_INIT;
		if (os_get(c, OS_VOLUME, path, deadline, WAIT_IGNORE_STOP, NULL, &why) < 0) {
			if (why.code == 404)
				break;
			*err = why;
			return -1;
		}
		/* 400 and 409 while it is being detached. */
		if (clock_mono() >= patience && os_delete(c, OS_VOLUME, path, deadline, &why) < 0 && why.code != 400 &&
		    why.code != 409) {
			*err = why;
			return -1;
		}
		if (clock_mono() >= deadline)
			return err_set(err, ERR_CLOUD, 0, "volume %s is still there", volume->id);
		if (wait_ms(VOLUME_WAIT_MS, WAIT_IGNORE_STOP, err) < 0)
			return -1;
	}
	return part_gone(db, volume, err);
}

/* ---- all of it ---- */

struct ending {
	struct os_cloud *c;
	struct db *db;
	const struct box *box;
	mono_ms deadline;
	struct part parts[PARTS_MAX];
	int n;
};

static int end_ips(struct ending *e, struct err *err)
{
	for (int i = 0; i < e->n; i++)
		if (strcmp(e->parts[i].kind, PART_FLOATING_IP) == 0 &&
		    os_end_floating_ip(e->c, e->db, &e->parts[i], e->deadline, err) < 0)
			return -1;
	return 0;
}

static int end_servers(struct ending *e, struct err *err)
{
	char ids[OS_TWINS_MAX][128];
	int n = 0;
	if (*e->box->id) {
		n = 1;
		memcpy(ids[0], e->box->id, sizeof(ids[0]));
	} else if (e->box->asked) {
		n = find_settled(e->c, e->db, e->box, ids, e->deadline, err);
	}
	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		for (int p = 0; p < e->n; p++)
			if (strcmp(e->parts[p].kind, PART_VOLUME) == 0 && !*e->parts[p].id &&
			    learn_volume(e->c, e->db, ids[i], &e->parts[p], e->deadline, err) < 0)
				return -1;
		/* What was ACTIVE once is known everywhere. */
		int64_t young_until = *e->box->address ? 0 : e->box->asked + OS_SETTLE_S;
		if (os_end_server(e->c, ids[i], young_until, e->deadline, err) < 0)
			return -1;
	}
	return 0;
}

static int end_rest(struct ending *e, struct err *err)
{
	for (int i = 0; i < e->n; i++)
		if (strcmp(e->parts[i].kind, PART_VOLUME) == 0 &&
		    end_volume(e->c, e->db, &e->parts[i], e->deadline, err) < 0)
			return -1;
	for (int i = 0; i < e->n; i++)
		if (strcmp(e->parts[i].kind, PART_SECURITY_GROUP) == 0 &&
		    os_end_group(e->c, e->db, &e->parts[i], e->box->name, e->deadline, err) < 0)
			return -1;
	return 0;
}

static int end_all(struct ending *e, struct err *err)
{
	/* Never asked for anything: nothing to ask the cloud about. */
	if (e->n == 0 && !*e->box->id && !e->box->asked)
		return 0;
	e->c = e->n < 0 ? NULL : os_cloud_of(e->box, e->deadline, WAIT_IGNORE_STOP, err);
	if (!e->c)
		return -1;
	/* A floating IP that resists must not keep the server alive: the dearer thing goes in any case. */
	struct err ip = ERR_INIT;
	int ips = end_ips(e, &ip);
	if (end_servers(e, err) < 0)
		return -1;
	os_leave(e->box); /* there is room for another one */
	if (ips < 0) {
		*err = ip;
		return -1;
	}
	return end_rest(e, err);
}

int os_end(struct db *db, const struct box *box, mono_ms deadline, struct err *err)
{
	struct ending e = {.db = db, .box = box, .deadline = deadline};
	e.n = parts_of(db, box->name, NULL, e.parts, err);
	int rc = end_all(&e, err);
	/* Also of one that resists: nobody should wait for its place for ever. */
	os_leave(box);
	return rc;
}
