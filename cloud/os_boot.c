/* SPDX-License-Identifier: MIT */
/* From a choice to a server with an address. A create whose answer was lost is looked for by name and run id, and
 * repeated at most once. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "cloud/ledger.h"
#include "cloud/openstack.h"
#include "cloud/userdata.h"

#define CREATE_MS 120000 /* some clouds answer only when a host has been found; unless api_timeout says otherwise */
/* Group and server, each looked for and asked for once more. */
#define ASK_MS         600000
#define FIND_WAIT_MS   3000
#define ACTIVE_MS      600000
#define ADDRESS_MS     300000
#define RACKCONNECT_MS 300000
/* Between looks: a second at first, for boots are short; longer for those that are not. */
#define LOOK_FIRST_MS 1000
#define LOOK_LATER_MS 4000
#define LOOK_SOON_MS  30000
#define FAULT_MS      10000
#define CONSOLE_LINES 20
#define CONSOLE_MS    10000
#define PROBE_MS      5000
#define SSH_PORT      22

/* ---- create ---- */

static json_t *metadata_of(struct db *db, const struct box *box, struct err *err)
{
	char store[32], until[32];
	if (ledger_store_id(db, store, err) < 0)
		return NULL;
	clock_iso(box->expires, until);
	return json_pack("{s:s, s:s, s:s, s:s}", OS_META_RUN, box->run, OS_META_OWNER, cloud_owner(), OS_META_EXPIRES,
			 until, OS_META_STORE, store);
}

static void add_boot_source(json_t *server, const struct os_choice *choice)
{
	if (!choice->volume_gb) {
		json_object_set_new(server, "imageRef", json_string(choice->image.id));
		return;
	}
	/* delete_on_termination: the API's own default would leave the volume. */
	json_object_set_new(server, "block_device_mapping_v2",
			    json_pack("[{s:i, s:s, s:s, s:s, s:I, s:b}]", "boot_index", 0, "uuid", choice->image.id,
				      "source_type", "image", "destination_type", "volume", "volume_size",
				      (json_int_t)choice->volume_gb, "delete_on_termination", 1));
}

static void add_network(json_t *server, struct os_cloud *c, const struct os_choice *choice)
{
	enum { NETWORKS_REQUIRED = 37 };
	if (choice->has_network)
		json_object_set_new(server, "networks", json_pack("[{s:s}]", "uuid", choice->network.id));
	else if (os_microversion(c->session) >= NETWORKS_REQUIRED)
		json_object_set_new(server, "networks", json_string("auto"));
}

/* nova's POST /servers (schemas/servers.py): absent keys are left out, null is refused. */
static json_t *server_body(struct os_cloud *c, struct db *db, const struct box_spec *spec, const struct box *box,
			   const struct os_choice *choice, const char *group, struct err *err)
{
	AUTO_BUF text = buf_make(USERDATA_MAX + 1);
	AUTO_BUF coded = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *name = xasprintf(OS_NAME_PREFIX "%s", box->name);
	const struct userdata data = {box->user, spec->host_key, spec->login_key, box->expires - clock_wall()};
	json_t *metadata = metadata_of(db, box, err);
	if (!metadata || userdata_make(&text, &data, err) < 0) {
		json_decref(metadata);
		return NULL;
	}
	base64_encode(&coded, text.data, text.len);
	json_t *server = json_pack("{s:s, s:s, s:o, s:s}", "name", name, "flavorRef", choice->flavor.id, "metadata",
				   metadata, "user_data", coded.data);
	explicit_bzero(text.data, text.len);
	explicit_bzero(coded.data, coded.len);
	if (!spec->no_config_drive)
		json_object_set_new(server, "config_drive", json_true());
	add_boot_source(server, choice);
	add_network(server, c, choice);
	if (*group)
		json_object_set_new(server, "security_groups", json_pack("[{s:s}]", "name", group));
	if (spec->availability_zone)
		json_object_set_new(server, "availability_zone", json_string(spec->availability_zone));
	return json_pack("{s:o}", "server", server);
}

/* Runs are counted in each store: another machine's may have the same name and number. */
static bool is_of_box(const json_t *server, const char *name, const struct box *box, const char *store)
{
	const json_t *metadata = json_object_get(server, "metadata");
	return strcmp(os_text(server, "name"), name) == 0 && strcmp(os_text(metadata, OS_META_RUN), box->run) == 0 &&
	       strcmp(os_text(metadata, OS_META_STORE), store) == 0 &&
	       strcmp(os_text(server, "status"), "DELETED") != 0;
}

int os_find_servers(struct os_cloud *c, struct db *db, const struct box *box, char out[OS_TWINS_MAX][128],
		    mono_ms deadline, enum wait_mode mode, struct err *err)
{
	int n = 0;
	size_t i;
	json_t *s;
	char store[32];
	if (ledger_store_id(db, store, err) < 0)
		return -1;
	AUTO_FREE char *name = xasprintf(OS_NAME_PREFIX "%s", box->name);
	/* The name is a regular expression on most clouds, a substring on some: without anchors it finds on both. */
	AUTO_FREE char *path = xasprintf("/servers/detail?name=%s", name);
	json_t *all = os_list(c->session, OS_COMPUTE, path, "servers", deadline, mode, err);
	if (!all)
		return -1;
	json_array_foreach (all, i, s) {
		const char *id = os_text(s, "id");
		if (n < OS_TWINS_MAX && os_is_id(id) && is_of_box(s, name, box, store))
			(void)snprintf(out[n++], 128, "%s", id);
	}
	json_decref(all);
	return n;
}

/* After a lost answer: the server, should it be there. One is ours; of several the others are ended. 1, 0 or -1. */
static int recover(struct os_cloud *c, struct db *db, struct box *box, mono_ms deadline, struct err *err)
{
	char ids[OS_TWINS_MAX][128];
	mono_ms until = clock_deadline((int64_t)OS_SETTLE_S * 1000);
	for (;;) {
		int n = os_find_servers(c, db, box, ids, deadline, WAIT_STOPPABLE, err);
		if (n < 0)
			return -1;
		if (n > 0)
			(void)snprintf(box->id, sizeof(box->id), "%s", ids[0]);
		for (int i = 1; i < n; i++)
			if (os_end_server(c, ids[i], 0, deadline, err) < 0)
				return -1;
		if (n > 0 || clock_mono() >= until || clock_mono() >= deadline)
			return n > 0;
		if (wait_ms(FIND_WAIT_MS, WAIT_STOPPABLE, err) < 0)
			return -1;
	}
}

enum posted { POSTED, POSTED_NOT, POSTED_PERHAPS, POSTED_NO_ROOM };

static enum posted post_server(struct os_cloud *c, const json_t *body, struct box *box, struct os_seat *seat,
			       mono_ms deadline, struct err *err)
{
	struct os_answer a;
	/* A stop does not cut it: a second later the id is known, and teardown need not search. */
	struct os_call call = {.service = OS_COMPUTE,
			       .method = "POST",
			       .path = "/servers",
			       .body = body,
			       .create = true,
			       .timeout_ms = os_config(c->session)->timeout_ms ? 0 : CREATE_MS,
			       .deadline = deadline,
			       .mode = WAIT_IGNORE_STOP};
	enum posted how = os_do(c->session, &call, &a, err) == 0 ? POSTED : a.unsure ? POSTED_PERHAPS : POSTED_NOT;
	(void)snprintf(seat->request_id, sizeof(seat->request_id), "%s", a.request_id);
	if (how == POSTED) {
		const char *id = os_text(json_object_get(a.json, "server"), "id");
		if (os_is_id(id)) {
			(void)snprintf(box->id, sizeof(box->id), "%s", id);
		} else {
			err_set(err, ERR_CLOUD, 0, "POST /servers: the answer names no id (%s)", a.request_id);
			how = POSTED_PERHAPS;
		}
	} else if (a.status == 403 && strstr(a.message, "uota")) {
		how = POSTED_NO_ROOM;
	}
	os_answer_finish(&a);
	return how;
}

/* The cloud's own word on quotas: there is hope while another box of ours may make room. */
static int await_room(struct os_cloud *c, struct os_seat *seat, const struct cloud_watch *watch, struct err *err)
{
	struct err why = ERR_INIT;
	if (!quota_others(c->quota, &seat->need))
		return -1;
	seat->taken =
		quota_refused(c->quota, &seat->need, os_on_turn, (void *)(uintptr_t)watch, DEADLINE_NEVER, &why) == 0;
	if (!seat->taken)
		*err = why;
	return seat->taken ? 0 : -1;
}

/* A plain no, before any answer was lost: teardown need not look for what cannot be there. */
static int refused(struct db *db, struct box *box, bool repeated)
{
	struct err second = ERR_INIT;
	if (!repeated)
		box->asked = 0;
	if (!repeated && ledger_refused(db, box->name, &second) < 0)
		log_warn(box->name, "%s", second.msg);
	return -1;
}

/* One attempt. The row says so before the request leaves, each time: what may still come of it is looked for by that
 * time. */
static enum posted try_server(struct os_cloud *c, struct db *db, const struct box_spec *spec, struct box *box,
			      struct os_seat *seat, const char *group, mono_ms deadline, struct err *err)
{
	enum posted how = POSTED_NOT;
	json_t *body = server_body(c, db, spec, box, &seat->choice, group, err);
	box->asked = clock_wall();
	if (body && ledger_asked(db, box->name, err) == 0)
		how = post_server(c, body, box, seat, deadline, err);
	json_decref(body);
	return how;
}

static int request_server(struct os_cloud *c, struct db *db, const struct box_spec *spec, struct box *box,
			  struct os_seat *seat, const char *group, const struct cloud_watch *watch, mono_ms deadline,
			  struct err *err)
{
	bool repeated = false;
	for (;;) {
		struct err why;
		switch (try_server(c, db, spec, box, seat, group, deadline, err)) {
		case POSTED:
			return 0;
		case POSTED_NOT:
			return refused(db, box, repeated);
		case POSTED_NO_ROOM:
			if (await_room(c, seat, watch, err) < 0)
				return refused(db, box, repeated);
			/* Its time begins now. */
			deadline = clock_deadline(ACTIVE_MS);
			box->expires = box_spec_expires(spec);
			if (ledger_expires(db, box->name, box->expires, err) < 0)
				return -1;
			continue;
		case POSTED_PERHAPS:
			why = *err;
			log_debug(box->name, "%s; looking whether it was carried out", why.msg);
			int found = recover(c, db, box, deadline, err);
			if (found > 0)
				err_clear(err);
			if (found != 0)
				return found < 0 ? -1 : 0;
			if (repeated) {
				*err = why;
				return -1;
			}
			repeated = true;
		}
	}
}

int os_create(struct db *db, const struct box_spec *spec, struct box *box, const struct cloud_watch *watch,
	      mono_ms deadline, struct err *err)
{
	char group[128];
	struct part volume;
	struct os_cloud *c = os_cloud_get(spec->cloud, deadline, WAIT_STOPPABLE, err);
	struct os_seat *seat = c ? os_seat_of(c, box->name) : NULL;
	if (!seat)
		return -1;
	const struct os_choice *choice = &seat->choice;
	if (deadline > clock_deadline(ASK_MS))
		deadline = clock_deadline(ASK_MS);
	AUTO_FREE char *name = xasprintf(OS_NAME_PREFIX "%s", box->name);
	if (watch->stage)
		watch->stage(watch->ctx, "asking for a server", choice->flavor.name, deadline - clock_mono());
	if (os_group(c, db, spec, box, choice, deadline, group, err) < 0 ||
	    (choice->volume_gb && part_want(db, PART_VOLUME, name, box, &volume, err) < 0))
		return -1;
	int rc = request_server(c, db, spec, box, seat, group, watch, deadline, err);
	seat->created = clock_mono();
	log_debug(box->name, "server %s (%s)", box->id, seat->request_id);
	return rc;
}

/* ---- await ---- */

/* A server that never got a host is listed without its fault; asked for by its id, it has one (seen on nova 26). */
static json_t *whole_server(struct os_cloud *c, const struct box *box, const json_t *listed)
{
	json_t *json = NULL, *whole;
	struct err ignored = ERR_INIT;
	AUTO_FREE char *path = xasprintf("/servers/%s", box->id);
	if (json_object_get(listed, "fault") ||
	    os_get(c, OS_COMPUTE, path, clock_deadline(FAULT_MS), WAIT_STOPPABLE, &json, &ignored) < 0)
		return json_incref((json_t *)(uintptr_t)listed);
	whole = json_incref(json_object_get(json, "server"));
	json_decref(json);
	return whole;
}

/* What nova says about a server that will not boot. */
static int broken(const struct os_seat *seat, const struct box *box, const json_t *server, struct err *err)
{
	const json_t *fault = json_object_get(server, "fault");
	const char *status = os_text(server, "status"), *message = os_text(fault, "message");
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	text_safe_line(&safe, message, strlen(message), 400);
	while (safe.len && safe.data[safe.len - 1] == ' ')
		safe.data[--safe.len] = '\0';
	AUTO_BUF what = buf_make(BUF_TEXT_MAX);
	text_safe_line(&what, status, strlen(status), 40);
	return err_set(err, ERR_BOX, 0, "server %s is %s%s%s%s%s%s", box->id, what.data, safe.len ? ": " : "",
		       safe.data, *seat->request_id ? " (" : "", seat->request_id, *seat->request_id ? ")" : "");
}

static bool one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* Rackspace's managed accounts go on with a server that is ACTIVE; time-boxed, for some never finish. */
static bool is_being_automated(const struct os_seat *seat, const json_t *server)
{
	static const char *const over[] = {"", "DEPLOYED", "FAILED", "UNPROCESSABLE", NULL};
	return !one_of(os_text(json_object_get(server, "metadata"), "rackconnect_automation_status"), over) &&
	       clock_mono() < seat->created + RACKCONNECT_MS;
}

/* 1: ACTIVE with an address; 0: not yet, and *stage says what is awaited; -1: never. */
static int judge(struct os_cloud *c, const struct os_seat *seat, const struct box *box, const json_t *server,
		 const char **stage, struct err *err)
{
	static const char *const terminal[] = {"ERROR",        "SHUTOFF",           "DELETED",
					       "SOFT_DELETED", "SUSPENDED",         "PAUSED",
					       "SHELVED",      "SHELVED_OFFLOADED", NULL};
	struct os_address addresses[CHOOSE_ADDRESSES_MAX];
	const char *status = os_text(server, "status");
	*stage = "waiting for ACTIVE";
	if (one_of(status, terminal)) {
		json_t *whole = whole_server(c, box, server);
		broken(seat, box, whole, err);
		json_decref(whole);
		return -1;
	}
	if (strcmp(status, "ACTIVE") != 0)
		return 0;
	*stage = "waiting for an address";
	return choose_addresses(server, addresses) > 0 && !is_being_automated(seat, server);
}

/* Jittered, so that many clients do not ask in step. */
static int64_t look_interval(mono_ms since)
{
	unsigned char r = 0;
	random_bytes(&r, 1);
	int64_t base = clock_mono() - since < LOOK_SOON_MS ? LOOK_FIRST_MS : LOOK_LATER_MS;
	return base + base * r / 512;
}

static int lost_server(const struct os_seat *seat, const struct box *box, struct err *err)
{
	if (clock_mono() < seat->created + (int64_t)OS_SETTLE_S * 1000)
		return 0;
	return err_set(err, ERR_BOX, 0, "server %s has vanished (%s)", box->id, seat->request_id);
}

/* Until ACTIVE with an address: *server, owned by the caller. */
static int await_active(struct os_cloud *c, const struct os_seat *seat, const struct box *box,
			const struct cloud_watch *watch, mono_ms deadline, json_t **server, struct err *err)
{
	const char *stage = NULL, *shown = NULL;
	mono_ms until = deadline;
	for (;;) {
		int64_t interval = look_interval(seat->created);
		json_t *now = NULL;
		int rc = poll_server(c->poll, box->id, interval * 3 / 4, until, WAIT_STOPPABLE, &now, err);
		stage = stage ? stage : "waiting for ACTIVE";
		if (rc == 1)
			rc = judge(c, seat, box, now, &stage, err);
		else if (rc == 0)
			rc = lost_server(seat, box, err);
		if (rc == 1) {
			*server = now;
			return 0;
		}
		json_decref(now);
		if (rc < 0)
			return -1;
		if (stage != shown) {
			int64_t limit = shown ? ADDRESS_MS : ACTIVE_MS;
			until = clock_deadline(limit) < deadline ? clock_deadline(limit) : deadline;
			shown = stage;
			if (watch->stage)
				watch->stage(watch->ctx, stage, NULL, limit);
		}
		if (clock_mono() >= until)
			return err_set(err, ERR_BOX, ETIMEDOUT, "%s: server %s took too long (%s)", stage, box->id,
				       seat->request_id);
		if (wait_ms(interval, WAIT_STOPPABLE, err) < 0)
			return -1;
	}
}

static int connect_start(const char *address, int port)
{
	char service[16];
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *ai = NULL;
	(void)snprintf(service, sizeof(service), "%d", port);
	if (getaddrinfo(address, service, &hints, &ai) != 0)
		return -1;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS && errno != ECONNREFUSED)
		fd_closep(&fd);
	freeaddrinfo(ai);
	return fd;
}

/* The best address that answers at all: one that refuses is reachable, too. Without any answer in time, the first. */
static size_t reachable(const struct os_address *a, size_t n, int port, mono_ms deadline)
{
	struct err ignored = ERR_INIT;
	struct pollfd fds[CHOOSE_ADDRESSES_MAX];
	size_t best = n;
	for (size_t i = 0; i < n; i++)
		fds[i] = (struct pollfd){.fd = connect_start(a[i].text, port), .events = POLLOUT};
	while (best == n && clock_mono() < deadline && wait_ms(20, WAIT_STOPPABLE, &ignored) == 0) {
		poll(fds, n, 0);
		for (size_t i = n; i-- > 0;) {
			int cause = 0;
			socklen_t len = sizeof(cause);
			if (fds[i].fd >= 0 && fds[i].revents &&
			    getsockopt(fds[i].fd, SOL_SOCKET, SO_ERROR, &cause, &len) == 0) {
				if (cause == 0 || cause == ECONNREFUSED)
					best = i;
				else
					fd_closep(&fds[i].fd);
			}
		}
	}
	for (size_t i = 0; i < n; i++)
		fd_closep(&fds[i].fd);
	return best == n ? 0 : best;
}

/* Lets us in and fills in the address. */
static int open_way(struct os_cloud *c, struct db *db, const struct box_spec *spec, struct box *box,
		    const struct os_choice *choice, const json_t *server, mono_ms deadline, struct err *err)
{
	struct os_address a[CHOOSE_ADDRESSES_MAX];
	size_t n = choose_addresses(server, a);
	box->port = spec->port ? spec->port : SSH_PORT;
	if (choice->has_pool && !a[0].floating) {
		if (os_floating_ip(c, db, box, &choice->pool, deadline, box->address, err) < 0)
			return -1;
		/* Seen from the box, we come from wherever the way to this address begins. */
		return os_group_rule(c, spec, box->address, deadline, err);
	}
	for (size_t i = 0; i < n; i++)
		if (os_group_rule(c, spec, a[i].text, deadline, err) < 0)
			return -1;
	size_t best = n > 1 ? reachable(a, n, box->port, clock_deadline(PROBE_MS)) : 0;
	memcpy(box->address, a[best].text, sizeof(box->address));
	return 0;
}

/* The volume that nova made: its id into the ledger. */
static int note_volume(struct db *db, const struct box *box, const json_t *server, struct err *err)
{
	struct part parts[PARTS_MAX];
	const char *id = os_volume_of(server);
	int n = parts_of(db, box->name, PART_VOLUME, parts, err);
	if (n <= 0 || !os_is_id(id))
		return n < 0 ? -1 : 0;
	return part_created(db, &parts[0], id, err);
}

int os_await(struct db *db, const struct box_spec *spec, struct box *box, const struct cloud_watch *watch,
	     mono_ms deadline, struct err *err)
{
	json_t *server = NULL;
	struct os_cloud *c = os_cloud_get(spec->cloud, deadline, WAIT_STOPPABLE, err);
	struct os_seat *seat = c ? os_seat_of(c, box->name) : NULL;
	if (!seat)
		return -1;
	int rc = await_active(c, seat, box, watch, deadline, &server, err);
	if (rc == 0)
		rc = note_volume(db, box, server, err);
	if (rc == 0)
		rc = open_way(c, db, spec, box, &seat->choice, server, deadline, err);
	json_decref(server);
	if (rc < 0 && err->reach == ERR_BOX && watch->console) {
		AUTO_BUF text = buf_make(BUF_TEXT_MAX);
		os_console(box, CONSOLE_LINES, &text);
		if (text.len)
			watch->console(watch->ctx, text.data, text.len);
	}
	return rc;
}

/* ---- console ---- */

void os_console(const struct box *box, int lines, struct buf *out)
{
	struct err ignored = ERR_INIT;
	mono_ms deadline = clock_deadline(CONSOLE_MS);
	struct os_cloud *c = *box->id ? os_cloud_of(box, deadline, WAIT_IGNORE_STOP, &ignored) : NULL;
	if (!c)
		return;
	json_t *json = NULL;
	AUTO_FREE char *path = xasprintf("/servers/%s/action", box->id);
	json_t *body = json_pack("{s:{s:i}}", "os-getConsoleOutput", "length", lines);
	if (os_send(c, OS_COMPUTE, "POST", path, body, deadline, WAIT_IGNORE_STOP, &json, &ignored) == 0)
		buf_adds(out, os_text(json, "output"));
	json_decref(json);
	json_decref(body);
}
