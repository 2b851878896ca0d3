/* SPDX-License-Identifier: MIT */
/* The `openstack` driver: the clouds of this process, what a box will be made of, and the slots. See openstack.h. */
#include "cloud/openstack.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/text.h"

#define LOOK_MS      20000 /* for one question outside of a boot */
#define ALIVE_AGE_MS 3000
/* Login and four lists, on a cloud in trouble. One after the other: all at once was slower on a real cloud (3.4 to 5.3
 * s against 2.9), for each service asks keystone about the new token by itself. */
#define PREPARE_MS 180000
/* Server, its volume and a group that is in use until its port has gone. */
#define TEARDOWN_MS 300000
#define IMAGES_PATH "/images?status=active&sort=created_at:desc&limit=200"

static pthread_mutex_t clouds_lock = PTHREAD_MUTEX_INITIALIZER;
static struct os_cloud *clouds;

/* ---- small things ---- */

const char *os_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	return text ? text : "";
}

bool os_is_id(const char *id)
{
	size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
	return n > 0 && n < CHOOSE_ID_MAX && !id[n] && *id != '.';
}

int64_t os_time(const char *iso)
{
	struct tm tm = {0};
	const char *end = strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm);
	return end ? (int64_t)timegm(&tm) : 0;
}

int os_send(struct os_cloud *c, enum os_service service, const char *method, const char *path, const json_t *body,
	    mono_ms deadline, enum wait_mode mode, json_t **json, struct err *err)
{
	struct os_answer a;
	struct os_call call = {
		.service = service, .method = method, .path = path, .body = body, .deadline = deadline, .mode = mode};
	int rc = os_do(c->session, &call, &a, err);
	if (rc == 0 && json)
		*json = json_incref(a.json);
	os_answer_finish(&a);
	return rc;
}

int os_get(struct os_cloud *c, enum os_service service, const char *path, mono_ms deadline, enum wait_mode mode,
	   json_t **json, struct err *err)
{
	return os_send(c, service, "GET", path, NULL, deadline, mode, json, err);
}

int os_delete(struct os_cloud *c, enum os_service service, const char *path, mono_ms deadline, struct err *err)
{
	int rc = os_send(c, service, "DELETE", path, NULL, deadline, WAIT_IGNORE_STOP, NULL, err);
	if (rc < 0 && err->code == 404) {
		err_clear(err);
		rc = 0;
	}
	return rc;
}

const char *os_volume_of(const json_t *server)
{
	const json_t *attached = json_object_get(server, "os-extended-volumes:volumes_attached");
	return os_text(json_array_get(attached, 0), "id");
}

void os_on_turn(void *ctx, const char *why)
{
	const struct cloud_watch *watch = ctx;
	if (watch->stage)
		watch->stage(watch->ctx, "waiting for its turn", why, 0);
}

/* ---- the clouds of this process ---- */

static void cloud_free(struct os_cloud *c)
{
	for (struct os_seat *s = c->seats, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	poll_free(c->poll);
	quota_free(c->quota);
	os_close(c->session);
	json_decref(c->images);
	json_decref(c->flavors);
	json_decref(c->networks);
	json_decref(c->rules);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static struct os_cloud *cloud_new(const char *name, struct err *err)
{
	struct cloud_config config;
	if (clouds_load(&config, name, err) < 0)
		return NULL;
	struct os_session *session = os_open(&config, err);
	if (!session)
		return NULL;
	struct os_cloud *c = xcalloc(1, sizeof(*c));
	(void)snprintf(c->name, sizeof(c->name), "%s", name);
	c->session = session;
	c->poll = poll_new(session);
	c->quota = quota_new();
	c->images = json_object();
	c->rules = json_array();
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

/* Under clouds_lock. */
static struct os_cloud *cloud_known(const char *name)
{
	struct os_cloud *c = clouds;
	while (c && strcmp(c->name, name) != 0)
		c = c->next;
	return c;
}

struct os_cloud *os_cloud_get(const char *name, mono_ms deadline, enum wait_mode mode, struct err *err)
{
	pthread_mutex_lock(&clouds_lock);
	struct os_cloud *c = cloud_known(name);
	if (!c && (c = cloud_new(name, err)) != NULL) {
		c->next = clouds;
		clouds = c;
	}
	pthread_mutex_unlock(&clouds_lock);
	return c && os_login(c->session, deadline, mode, err) == 0 ? c : NULL;
}

struct os_cloud *os_cloud_of(const struct box *box, mono_ms deadline, enum wait_mode mode, struct err *err)
{
	struct os_cloud *c = os_cloud_get(box->cloud, deadline, mode, err);
	if (c && *box->account && strcmp(box->account, os_account(c->session)) != 0) {
		err_set(err, ERR_CLOUD, 0,
			"cloud %s is another account now (%s); box %s was made in %s: give that one back its name",
			c->name, os_account(c->session), box->name, box->account);
		return NULL;
	}
	return c;
}

static void os_exit(void)
{
	pthread_mutex_lock(&clouds_lock);
	for (struct os_cloud *c = clouds, *next; c; c = next) {
		next = c->next;
		cloud_free(c);
	}
	clouds = NULL;
	pthread_mutex_unlock(&clouds_lock);
}

struct os_seat *os_seat_of(struct os_cloud *c, const char *box)
{
	pthread_mutex_lock(&c->lock);
	struct os_seat *s = c->seats;
	while (s && strcmp(s->box, box) != 0)
		s = s->next;
	pthread_mutex_unlock(&c->lock);
	return s;
}

void os_leave(const struct box *box)
{
	pthread_mutex_lock(&clouds_lock);
	struct os_cloud *c = cloud_known(box->cloud);
	pthread_mutex_unlock(&clouds_lock);
	struct os_seat *seat = c ? os_seat_of(c, box->name) : NULL;
	if (seat && seat->taken)
		quota_give(c->quota, &seat->need);
	if (seat)
		seat->taken = false;
}

/* The name is there before other threads can see the seat; the rest is its own thread's. */
static void seat_add(struct os_cloud *c, const char *box, const struct os_choice *choice)
{
	struct os_seat *s = os_seat_of(c, box);
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		(void)snprintf(s->box, sizeof(s->box), "%s", box);
		pthread_mutex_lock(&c->lock);
		s->next = c->seats;
		c->seats = s;
		pthread_mutex_unlock(&c->lock);
	}
	s->choice = *choice;
	s->need = (struct quota_need){1, choice->flavor.vcpus, choice->flavor.ram_mb};
}

/* ---- what a box will be made of: each list is read once per process ---- */

static int find_image(struct os_cloud *c, const char *want, struct os_image *out, mono_ms deadline, struct err *err)
{
	bool several = false;
	json_t *list = json_object_get(c->images, want);
	if (!list) {
		AUTO_BUF path = buf_make(BUF_TEXT_MAX);
		buf_adds(&path, IMAGES_PATH "&name=");
		http_escape(&path, want);
		list = os_list(c->session, OS_IMAGE, path.data, "images", deadline, WAIT_STOPPABLE, err);
		/* An id, a glob, or another way to write the name: all of them. */
		if (list && json_array_size(list) == 0) {
			json_decref(list);
			list = os_list(c->session, OS_IMAGE, IMAGES_PATH, "images", deadline, WAIT_STOPPABLE, err);
		}
		if (!list)
			return -1;
		json_object_set_new(c->images, want, list);
	}
	if (choose_image(list, want, out, &several, err) < 0)
		return -1;
	if (several)
		log_debug(c->name, "several images are named %s; the newest is %s", want, out->id);
	return 0;
}

static int find_flavor(struct os_cloud *c, const struct box_spec *spec, struct os_choice *choice, mono_ms deadline,
		       struct err *err)
{
	const struct flavor_want want = {spec->flavor, spec->vcpus, spec->ram_mb, spec->disk_gb};
	if (!c->flavors)
		c->flavors =
			os_list(c->session, OS_COMPUTE, "/flavors/detail", "flavors", deadline, WAIT_STOPPABLE, err);
	struct os_image image = choice->image;
	if (spec->volume_gb)
		image.min_disk_gb = 0; /* the flavor's own disk is not used */
	if (!c->flavors || choose_flavor(c->flavors, &want, &image, &choice->flavor, err) < 0)
		return -1;
	choice->volume_gb = spec->volume_gb;
	if (!choice->volume_gb && choice->flavor.disk_gb == 0) {
		enum { USUAL_GB = 10 };
		int64_t least = spec->disk_gb > choice->image.min_disk_gb ? spec->disk_gb : choice->image.min_disk_gb;
		choice->volume_gb = least > USUAL_GB ? least : USUAL_GB;
	}
	if (choice->volume_gb && choice->volume_gb < choice->image.min_disk_gb)
		return err_set(err, ERR_USER, 0, "volume: %lld GB; image %s needs at least %lld",
			       (long long)choice->volume_gb, choice->image.name, (long long)choice->image.min_disk_gb);
	return 0;
}

/* A floating IP is wanted where a private network is all there is, and an external one to take it from. */
static int find_pool(struct os_cloud *c, const struct box_spec *spec, struct os_choice *choice, struct err *err)
{
	const struct cloud_config *config = os_config(c->session);
	const char *want = spec->floating_network;
	const char *source = cloud_config_get(config, "floating_ip_source");
	bool off = !cloud_config_flag(config, "requires_floating_ip", true) || (source && strcmp(source, "None") == 0);
	if (choice->network.external || (want && strcmp(want, "none") == 0) || (off && !want))
		return 0;
	int found = choose_pool(c->networks, want, &choice->pool, err);
	choice->has_pool = found == 1;
	return found < 0 ? -1 : 0;
}

static int find_network(struct os_cloud *c, const struct box_spec *spec, struct os_choice *choice, mono_ms deadline,
			struct err *err)
{
	if (!os_has(c->session, OS_NETWORK) || os_is_rackspace(c->session))
		return 0; /* nova knows which */
	if (!c->networks)
		c->networks = os_list(c->session, OS_NETWORK, "/networks", "networks", deadline, WAIT_STOPPABLE, err);
	if (!c->networks || choose_network(c->networks, spec->network, &choice->network, err) < 0)
		return -1;
	choice->has_network = true;
	return find_pool(c, spec, choice, err);
}

static int find_user(const struct os_cloud *c, const struct box_spec *spec, struct os_choice *choice)
{
	/* User-data makes the user where the image has none of that name; `stepbox` is nobody else's. */
	const char *user = spec->user                    ? spec->user
			   : os_is_rackspace(c->session) ? "root"
			   : *choice->image.user         ? choice->image.user
							 : "stepbox";
	(void)snprintf(choice->user, sizeof(choice->user), "%s", user);
	return 0;
}

static int find_limits(struct os_cloud *c, mono_ms deadline, struct err *err)
{
	json_t *json = NULL;
	if (os_get(c, OS_COMPUTE, "/limits", deadline, WAIT_STOPPABLE, &json, err) < 0)
		return -1;
	quota_set(c->quota, json_object_get(json_object_get(json, "limits"), "absolute"));
	json_decref(json);
	return 0;
}

static int choose(struct os_cloud *c, const struct box_spec *spec, struct os_choice *choice, mono_ms deadline,
		  struct err *err)
{
	*choice = (struct os_choice){0};
	pthread_mutex_lock(&c->lock);
	int rc = find_image(c, spec->image, &choice->image, deadline, err);
	if (rc == 0)
		rc = find_flavor(c, spec, choice, deadline, err);
	if (rc == 0)
		rc = find_network(c, spec, choice, deadline, err);
	if (rc == 0)
		rc = find_user(c, spec, choice);
	/* Once before the first box of this process; after that we know what we took. */
	if (rc == 0 && !c->has_limits)
		rc = find_limits(c, deadline, err);
	c->has_limits |= rc == 0;
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* ---- the slots ---- */

static bool os_serves(const char *cloud)
{
	return *cloud && strcmp(cloud, "local") != 0;
}

static int os_prepare(const struct box_spec *spec, struct box *box, const struct cloud_watch *watch, mono_ms deadline,
		      struct err *err)
{
	struct os_choice choice;
	if (deadline > clock_deadline(PREPARE_MS))
		deadline = clock_deadline(PREPARE_MS);
	if (watch->stage)
		watch->stage(watch->ctx, "looking at what the cloud offers", NULL, deadline - clock_mono());
	struct os_cloud *c = os_cloud_get(spec->cloud, deadline, WAIT_STOPPABLE, err);
	if (!c)
		return -1;
	if (choose(c, spec, &choice, deadline, err) < 0)
		return err_ctx(err, "cloud %s", spec->cloud);
	if (!box)
		return 0;
	seat_add(c, box->name, &choice);
	(void)snprintf(box->user, sizeof(box->user), "%s", choice.user);
	(void)snprintf(box->account, sizeof(box->account), "%s", os_account(c->session));
	(void)snprintf(box->image, sizeof(box->image), "%s", choice.image.name);
	log_debug(box->name, "image %s, flavor %s (%lld vcpus, %lld MB, %lld GB), network %s, user %s", choice.image.id,
		  choice.flavor.name, (long long)choice.flavor.vcpus, (long long)choice.flavor.ram_mb,
		  (long long)choice.flavor.disk_gb, choice.has_network ? choice.network.name : "nova's", choice.user);
	return 0;
}

static int os_admit(const struct box_spec *spec, struct box *box, const struct cloud_watch *watch, struct err *err)
{
	char why[160];
	(void)box;
	struct os_cloud *c = os_cloud_get(spec->cloud, clock_deadline(LOOK_MS), WAIT_STOPPABLE, err);
	struct os_seat *seat = c ? os_seat_of(c, spec->name) : NULL;
	if (!seat)
		return -1;
	int rc = quota_take(c->quota, &seat->need, why, err);
	if (rc < 0) {
		/* Somebody may have made room since we looked. */
		struct err again = ERR_INIT;
		if (find_limits(c, clock_deadline(LOOK_MS), &again) == 0)
			rc = quota_take(c->quota, &seat->need, why, err);
	}
	bool waits = rc == 0;
	if (waits)
		rc = quota_wait(c->quota, &seat->need, os_on_turn, (void *)(uintptr_t)watch, DEADLINE_NEVER, err);
	if (rc < 0)
		return -1;
	seat->taken = true;
	return waits;
}

/* Not in the list: of a young server that means nothing; of one that was ACTIVE once, its own 404 does. As os_alive().
 */
static int is_missing(struct os_cloud *c, const struct box *box, mono_ms deadline, struct err *err)
{
	AUTO_FREE char *path = xasprintf("/servers/%s", box->id);
	if (strcmp(box->state, "active") != 0)
		return clock_wall() < box->asked + OS_SETTLE_S;
	if (os_get(c, OS_COMPUTE, path, deadline, WAIT_STOPPABLE, NULL, err) == 0)
		return 1;
	if (err->code != 404)
		return -1;
	err_set(err, ERR_BOX, 0, "server %s is not there any more", box->id);
	return 0;
}

static int os_alive(const struct box *box, struct err *err)
{
	json_t *server = NULL;
	mono_ms deadline = clock_deadline(LOOK_MS);
	struct os_cloud *c = os_cloud_of(box, deadline, WAIT_STOPPABLE, err);
	if (!c)
		return -1;
	if (!*box->id)
		return 1; /* not known yet: nobody can say */
	int found = poll_server(c->poll, box->id, ALIVE_AGE_MS, deadline, WAIT_STOPPABLE, &server, err);
	if (found < 0)
		return -1;
	if (found == 0)
		return is_missing(c, box, deadline, err);
	static const char *const ended[] = {"SHUTOFF", "ERROR", "DELETED", "SOFT_DELETED"};
	bool alive = true;
	for (size_t i = 0; i < ARRAY_SIZE(ended); i++)
		alive &= strcmp(os_text(server, "status"), ended[i]) != 0;
	if (!alive)
		err_set(err, ERR_BOX, 0, "server %s is %.40s", box->id, os_text(server, "status"));
	json_decref(server);
	return alive;
}

static int os_extend(const struct box *box, int64_t expires, struct err *err)
{
	char until[32];
	mono_ms deadline = clock_deadline(LOOK_MS);
	struct os_cloud *c = os_cloud_of(box, deadline, WAIT_STOPPABLE, err);
	if (!c)
		return -1;
	clock_iso(expires, until);
	AUTO_FREE char *path = xasprintf("/servers/%s/metadata", box->id);
	json_t *body = json_pack("{s:{s:s}}", "metadata", OS_META_EXPIRES, until);
	int rc = os_send(c, OS_COMPUTE, "POST", path, body, deadline, WAIT_STOPPABLE, NULL, err);
	json_decref(body);
	return rc;
}

/* ---- doctor ---- */

static void doctor_services(struct os_cloud *c, cloud_check_fn report, void *ctx)
{
	for (int s = 0; s < OS_SERVICE_COUNT_; s++) {
		bool needed = s == OS_COMPUTE || s == OS_IMAGE, has = os_has(c->session, s);
		AUTO_FREE char *subject = xasprintf("%s: %s", c->name, os_service_name(s));
		report(ctx, subject, has || !needed,
		       has      ? "in the catalog"
		       : needed ? "not in the catalog of this region"
				: "not in the catalog; boxes do without",
		       has || !needed ? NULL : "check region_name of this entry in clouds.yaml");
	}
}

static void os_doctor(const char *cloud, cloud_check_fn report, void *ctx)
{
	struct err err = ERR_INIT;
	json_t *json = NULL;
	mono_ms deadline = clock_deadline(LOOK_MS);
	AUTO_FREE char *login = xasprintf("%s: login", cloud);
	struct os_cloud *c = os_cloud_get(cloud, deadline, WAIT_STOPPABLE, &err);
	report(ctx, login, c != NULL, c ? os_account(c->session) : err.msg, c ? NULL : "see the message");
	if (!c)
		return;
	doctor_services(c, report, ctx);
	AUTO_FREE char *subject = xasprintf("%s: limits", cloud);
	if (os_get(c, OS_COMPUTE, "/limits", deadline, WAIT_STOPPABLE, &json, &err) < 0) {
		report(ctx, subject, false, err.msg, "see the message");
		return;
	}
	const json_t *a = json_object_get(json_object_get(json, "limits"), "absolute");
	AUTO_FREE char *text = xasprintf("%lld of %lld instances, %lld of %lld cores in use",
					 (long long)json_integer_value(json_object_get(a, "totalInstancesUsed")),
					 (long long)json_integer_value(json_object_get(a, "maxTotalInstances")),
					 (long long)json_integer_value(json_object_get(a, "totalCoresUsed")),
					 (long long)json_integer_value(json_object_get(a, "maxTotalCores")));
	report(ctx, subject, true, text, NULL);
	json_decref(json);
}

const struct cloud_driver cloud_openstack = {
	.name = "openstack",
	.remote = true,
	.teardown_ms = TEARDOWN_MS,
	.serves = os_serves,
	.prepare = os_prepare,
	.admit = os_admit,
	.create = os_create,
	.await = os_await,
	.end = os_end,
	.alive = os_alive,
	.extend = os_extend,
	.leave = os_leave,
	.console = os_console,
	.strays = os_strays,
	.list = os_listing,
	.doctor = os_doctor,
	.exit = os_exit,
};
