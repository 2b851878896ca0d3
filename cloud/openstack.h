/* SPDX-License-Identifier: MIT */
/* Inside the `openstack` driver: Keystone, Nova, Neutron, Glance, Cinder behind the slots of cloud/driver.h.
 *
 *   openstack.c  the clouds of this process, what a box will be made of, and the slots
 *   os_boot.c    create and await
 *   os_net.c     security group, rule, floating IP
 *   os_end.c     teardown
 *   os_gc.c      what the cloud's own listing says
 *
 * One struct os_cloud per entry of clouds.yaml and process, shared by the threads of all boxes. */
#ifndef STEPBOX_CLOUD_OPENSTACK_H
#define STEPBOX_CLOUD_OPENSTACK_H

#include <pthread.h>

#include "cloud/choose.h"
#include "cloud/driver.h"
#include "cloud/parts.h"
#include "cloud/poll.h"
#include "cloud/quota.h"
#include "cloud/session.h"

#define OS_NAME_PREFIX "stepbox-" /* of servers and groups */

/* Keys of a server's metadata. */
#define OS_META_RUN     "stepbox-run"
#define OS_META_OWNER   "stepbox-owner"
#define OS_META_EXPIRES "stepbox-expires"
#define OS_META_STORE   "stepbox-store"

/* A server may be missing from lists for this long after it was created, and an unanswered request may have its effect
 * this much later (replication, cell mappings, proxies): until then "not there" means nothing. */
#define OS_SETTLE_S      60
#define OS_PART_SETTLE_S 20

/* What a box will be made of. */
struct os_choice {
	struct os_image image;
	struct os_flavor flavor;
	struct os_network network, pool;
	bool has_network, has_pool;
	int64_t volume_gb; /* boot from a volume; 0: from the image */
	char user[33];
};

/* What this process knows of a box it boots. Used by the box's own thread only. */
struct os_seat {
	char box[BOX_NAME_MAX];
	struct os_choice choice;
	struct quota_need need;
	bool taken; /* holds a share of the quota */
	char request_id[80];
	mono_ms created;
	struct os_seat *next;
};

struct os_cloud {
	char name[BOX_NAME_MAX];
	struct os_session *session;
	struct poll *poll;
	struct quota *quota;
	/* Guards what follows. Held across requests: a stop and their own deadlines end them. */
	pthread_mutex_t lock;
	json_t *images, *flavors, *networks; /* what was read; images by what was asked for */
	bool has_limits;
	struct part group; /* the one that boxes of this process share; n 0: none */
	json_t *rules;     /* CIDRs that the group lets in */
	struct os_seat *seats;
	struct os_cloud *next;
};

/* The cloud of that name, logged in. Lives until the process ends. */
struct os_cloud *os_cloud_get(const char *name, mono_ms deadline, enum wait_mode mode, struct err *err);
/* The same for a box of the ledger: ERR_CLOUD when the entry is another account than the one the box was made in. */
struct os_cloud *os_cloud_of(const struct box *box, mono_ms deadline, enum wait_mode mode, struct err *err);
/* NULL when this process does not boot that box. */
struct os_seat *os_seat_of(struct os_cloud *c, const char *box);
/* The box has ended: its share of the quota is free again. No request. */
void os_leave(const struct box *box);

/* A request below a service that may be repeated; body NULL: none. The answer's JSON goes to *json (caller frees)
 * unless NULL. Returns 0, or -1 with err->code = HTTP status. */
int os_send(struct os_cloud *c, enum os_service service, const char *method, const char *path, const json_t *body,
	    mono_ms deadline, enum wait_mode mode, json_t **json, struct err *err) MUST_USE;
/* GET below a service; the answer's JSON goes to *json (caller frees) unless NULL. Returns 0, or -1 with err->code =
 * HTTP status. */
int os_get(struct os_cloud *c, enum os_service service, const char *path, mono_ms deadline, enum wait_mode mode,
	   json_t **json, struct err *err) MUST_USE;
/* DELETE; 404 is fine. */
int os_delete(struct os_cloud *c, enum os_service service, const char *path, mono_ms deadline,
	      struct err *err) MUST_USE;

/* Id of the volume that a server boots from, "" when it names none; foreign. */
const char *os_volume_of(const json_t *server);
/* For quota_wait(): ctx is the box's struct cloud_watch. */
void os_on_turn(void *ctx, const char *why);

/* A text at a key, "" when there is none; foreign. */
const char *os_text(const json_t *o, const char *key);
/* Ids go into URLs: letters, digits, '.', '_', '-'. */
bool os_is_id(const char *id);
/* "2026-11-22T17:26:03Z" → wall seconds; 0 when it is none. */
int64_t os_time(const char *iso);

/* os_boot.c */
int os_create(struct db *db, const struct box_spec *spec, struct box *box, const struct cloud_watch *watch,
	      mono_ms deadline, struct err *err) MUST_USE;
int os_await(struct db *db, const struct box_spec *spec, struct box *box, const struct cloud_watch *watch,
	     mono_ms deadline, struct err *err) MUST_USE;
/* Servers of this box by name, run id and store: ids into out. Returns how many, or -1. */
#define OS_TWINS_MAX 8
int os_find_servers(struct os_cloud *c, struct db *db, const struct box *box, char out[OS_TWINS_MAX][128],
		    mono_ms deadline, enum wait_mode mode, struct err *err) MUST_USE;
void os_console(const struct box *box, int lines, struct buf *out);

/* os_net.c */
/* The group for this box: *group gets its id, "" when none is to be asked for. */
int os_group(struct os_cloud *c, struct db *db, const struct box_spec *spec, const struct box *box,
	     const struct os_choice *choice, mono_ms deadline, char group[128], struct err *err) MUST_USE;
/* Lets us in at this address of the box, if the group is ours. */
int os_group_rule(struct os_cloud *c, const struct box_spec *spec, const char *address, mono_ms deadline,
		  struct err *err) MUST_USE;
/* A floating IP bound to the server's port; its address. */
int os_floating_ip(struct os_cloud *c, struct db *db, const struct box *box, const struct os_network *pool,
		   mono_ms deadline, char address[64], struct err *err) MUST_USE;
/* What says whose a group or floating IP is; appended to its description. */
int os_mark(struct db *db, const struct box *box, struct buf *out, struct err *err) MUST_USE;
int os_end_floating_ip(struct os_cloud *c, struct db *db, const struct part *part, mono_ms deadline,
		       struct err *err) MUST_USE;
int os_end_group(struct os_cloud *c, struct db *db, const struct part *part, const char *box, mono_ms deadline,
		 struct err *err) MUST_USE;

/* os_end.c */
int os_end(struct db *db, const struct box *box, mono_ms deadline, struct err *err) MUST_USE;
/* Deletes a server and waits until the cloud says it is gone. Until young_until (wall seconds) its 404 may mean that it
 * is not known yet. */
int os_end_server(struct os_cloud *c, const char *id, int64_t young_until, mono_ms deadline, struct err *err) MUST_USE;

/* os_gc.c */
int os_strays(const struct cloud_strays *s, struct err *err) MUST_USE;
int os_listing(const char *cloud, void (*fn)(struct cloud_listed *l, void *ctx), void *ctx, struct err *err) MUST_USE;

#endif
