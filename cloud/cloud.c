/* SPDX-License-Identifier: MIT */
#include "cloud/cloud.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "cloud/driver.h"
#include "cloud/http.h"
#include "cloud/ledger.h"

/* Longest name: with suffixes it is still a host name and a socket path. */
#define NAME_MAX_BYTES 40

#define CLOUDS_MAX       64
#define OWNER_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+-"

static const struct cloud_driver *const drivers[] = {&cloud_local, &cloud_openstack};

static const struct cloud_driver *driver_of(const char *cloud, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (drivers[i]->serves(cloud))
			return drivers[i];
	err_set(err, ERR_USER, 0, "\"%s\" cannot be the name of a cloud", cloud);
	return NULL;
}

int cloud_library_init(struct err *err)
{
	return http_library_init(err);
}

void cloud_library_exit(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		drivers[i]->exit();
	http_library_exit();
}

bool cloud_is_remote(const char *cloud)
{
	struct err ignored = ERR_INIT;
	const struct cloud_driver *driver = driver_of(cloud, &ignored);
	return driver && driver->remote;
}

int64_t cloud_teardown_ms(const char *cloud)
{
	struct err ignored = ERR_INIT;
	const struct cloud_driver *driver = driver_of(cloud, &ignored);
	return driver ? driver->teardown_ms : 0;
}

const char *cloud_owner(void)
{
	static char owner[BOX_NAME_MAX];
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&lock);
	if (!*owner) {
		const char *given = getenv("STEPBOX_OWNER");
		const struct passwd *me = given && *given ? NULL : getpwuid(getuid());
		(void)snprintf(owner, sizeof(owner), "%s", given && *given ? given : me ? me->pw_name : "somebody");
		/* One plain word: it stands between others in descriptions. */
		for (char *p = owner; *p; p++)
			if (!strchr(OWNER_CHARACTERS, *p))
				*p = '-';
	}
	pthread_mutex_unlock(&lock);
	return owner;
}

/* ---- the login key ---- */

static void key_path_of(const char *name, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/keys/%s", fs_state_dir(), name);
}

/* Without fsync, unlike fs_write(): after a power cut the box is gone, too. */
static int key_write(const char *path, const struct key *key, struct err *err)
{
	AUTO_FREE char *dir = xasprintf("%s/keys", fs_state_dir());
	if (fs_mkdirs(dir, 0700, err) < 0)
		return -1;
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, ERR_USER, errno, "%s", path);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, ERR_USER, errno, "%s", path);
	size_t n = strlen(key->private_pem);
	if (write(fd, key->private_pem, n) != (ssize_t)n)
		return err_sys(err, ERR_USER, errno, "%s", path);
	return 0;
}

/* ---- the end of a box ---- */

/* From `deleting` to `gone`. */
static int take_down(struct db *db, const struct cloud_driver *driver, const struct box *box, mono_ms deadline,
		     struct err *err)
{
	log_debug(box->name, "ending it");
	if (driver->end(db, box, deadline, err) < 0)
		return -1;
	if (unlink(box->key_path) < 0 && errno != ENOENT)
		return err_sys(err, ERR_BOX, errno, "%s", box->key_path);
	log_debug(box->name, "gone");
	return ledger_state(db, box->name, BOX_GONE, err);
}

int cloud_delete(struct db *db, const char *name, struct err *err)
{
	struct box box;
	int found = ledger_find(db, name, &box, err);
	if (found < 0)
		return -1;
	if (!found)
		return err_set(err, ERR_USER, 0, "no box %s", name);
	if (strcmp(box.state, box_state_name(BOX_GONE)) == 0)
		return 0;
	const struct cloud_driver *driver = driver_of(box.cloud, err);
	/* Read again behind that: nothing comes to it any more (an id, parts) that we would not see. */
	if (!driver || ledger_state(db, box.name, BOX_DELETING, err) < 0 || ledger_find(db, box.name, &box, err) < 0 ||
	    take_down(db, driver, &box, clock_deadline(driver->teardown_ms), err) < 0)
		return err_ctx(err, "ending box %s", box.name);
	return 0;
}

/* ---- booting ---- */

static int check_spec(const struct box_spec *spec, struct err *err)
{
	assert(spec->run && spec->cloud && spec->image && spec->host_key && spec->login_key);
	if (!text_is_name(spec->name) || strlen(spec->name) > NAME_MAX_BYTES)
		return err_set(
			err, ERR_USER, 0,
			"\"%s\" cannot be a box's name: lower-case letters, digits, '.', '_' and '-', at most %d",
			spec->name, NAME_MAX_BYTES);
	if (spec->ttl_ms <= 0)
		return err_set(err, ERR_USER, 0, "box %s: ttl is not above zero", spec->name);
	return 0;
}

int64_t box_spec_expires(const struct box_spec *spec)
{
	return clock_wall() + (spec->ttl_ms + 999) / 1000;
}

static struct box box_of(const struct box_spec *spec)
{
	struct box box = {.created = clock_wall()};
	(void)snprintf(box.name, sizeof(box.name), "%s", spec->name);
	(void)snprintf(box.run, sizeof(box.run), "%s", spec->run);
	(void)snprintf(box.cloud, sizeof(box.cloud), "%s", spec->cloud);
	(void)snprintf(box.image, sizeof(box.image), "%s", spec->image);
	(void)snprintf(box.state, sizeof(box.state), "%s", box_state_name(BOX_WANTED));
	(void)snprintf(box.host_key, sizeof(box.host_key), "%s", spec->host_key->public_line);
	key_path_of(spec->name, box.key_path, sizeof(box.key_path));
	box.expires = box_spec_expires(spec);
	return box;
}

/* The part that has something to undo. */
static int boot(struct db *db, const struct cloud_driver *driver, const struct box_spec *spec, struct box *box,
		const struct cloud_watch *watch, int64_t limit_ms, struct err *err)
{
	int waited = key_write(box->key_path, spec->login_key, err) < 0 ? -1 : driver->admit(spec, box, watch, err);
	if (waited < 0)
		return -1;
	if (waited) {
		/* Its time begins now. */
		box->expires = box_spec_expires(spec);
		if (ledger_expires(db, box->name, box->expires, err) < 0)
			return -1;
	}
	if (driver->create(db, spec, box, watch, clock_deadline(limit_ms), err) < 0 ||
	    ledger_created(db, box->name, box->id, err) < 0)
		return -1;
	assert(*box->id);
	if (driver->await(db, spec, box, watch, clock_deadline(limit_ms), err) < 0 ||
	    ledger_active(db, box->name, box->address, box->port, err) < 0)
		return -1;
	assert(*box->address && box->port > 0);
	(void)snprintf(box->state, sizeof(box->state), "%s", box_state_name(BOX_ACTIVE));
	return 0;
}

/* Somebody else has ended the box while we were making it: its row says gone, but what came into being since is ours to
 * end. */
static int end_again(struct db *db, const struct cloud_driver *driver, struct box *box, struct err *err)
{
	struct box row;
	int found = ledger_find(db, box->name, &row, err);
	if (found <= 0 || strcmp(row.state, box_state_name(BOX_GONE)) != 0)
		return found < 0 ? -1 : 0;
	return driver->end(db, box, clock_deadline(driver->teardown_ms), err);
}

/* Takes down what was begun; err keeps its cause, and says it when something is left. */
static int undo(struct db *db, const struct cloud_driver *driver, struct box *box, struct err *err)
{
	struct err second = ERR_INIT;
	if (end_again(db, driver, box, &second) == 0 && cloud_delete(db, box->name, &second) == 0)
		return -1;
	struct err first = *err;
	return err_set(err, first.reach, first.code, "%.400s; then %.400s; `stepbox gc` will end it", first.msg,
		       second.msg);
}

int cloud_boot(struct db *db, const struct box_spec *spec, const struct cloud_watch *watch, int64_t limit_ms,
	       struct box *box, struct err *err)
{
	static const struct cloud_watch nobody;
	const struct cloud_driver *driver = driver_of(spec->cloud, err);
	if (!watch)
		watch = &nobody;
	if (!driver || check_spec(spec, err) < 0)
		return err_ctx(err, "booting %s", spec->name);
	*box = box_of(spec);
	if (driver->prepare(spec, box, watch, clock_deadline(limit_ms), err) < 0 || ledger_want(db, box, err) < 0)
		return err_ctx(err, "booting %s", spec->name);
	if (boot(db, driver, spec, box, watch, limit_ms, err) < 0) {
		err_ctx(err, "booting %s", spec->name);
		return undo(db, driver, box, err);
	}
	log_debug(box->name, "%s port %d, image %s", box->address, box->port, box->image);
	return 0;
}

/* ---- a box that is there ---- */

/* 1 and its driver, 0 when there is no such box any more. */
static int find_living(struct db *db, const char *name, struct box *box, const struct cloud_driver **driver,
		       struct err *err)
{
	int found = ledger_find(db, name, box, err);
	if (found < 0)
		return -1;
	if (!found) {
		err_set(err, ERR_USER, 0, "no box %s", name);
		return -1;
	}
	if (strcmp(box->state, box_state_name(BOX_GONE)) == 0)
		return 0;
	*driver = driver_of(box->cloud, err);
	return *driver ? 1 : -1;
}

int cloud_alive(struct db *db, const char *name, struct err *err)
{
	struct box box;
	const struct cloud_driver *driver;
	int rc = find_living(db, name, &box, &driver, err);
	return rc == 1 ? driver->alive(&box, err) : rc;
}

int cloud_extend(struct db *db, const char *name, int64_t expires, struct err *err)
{
	struct box box;
	const struct cloud_driver *driver;
	int rc = find_living(db, name, &box, &driver, err);
	if (rc == 0)
		return err_set(err, ERR_USER, 0, "box %s is gone", name);
	/* The box first: a ledger that promises more than the box keeps would be the worse half. */
	if (rc < 0 || driver->extend(&box, expires, err) < 0)
		return -1;
	return ledger_expires(db, box.name, expires, err);
}

void cloud_leave(const struct box *box)
{
	struct err ignored = ERR_INIT;
	const struct cloud_driver *driver = driver_of(box->cloud, &ignored);
	if (driver)
		driver->leave(box);
}

void cloud_console(const struct box *box, int lines, struct buf *out)
{
	struct err ignored = ERR_INIT;
	const struct cloud_driver *driver = driver_of(box->cloud, &ignored);
	if (driver)
		driver->console(box, lines, out);
}

/* ---- gc ---- */

struct gc {
	struct db *db;
	const struct cloud_gc_filter *filter;
	cloud_gc_fn report;
	void *ctx;
	struct err *err; /* the first thing that resisted */
	int done;
	bool resisted;
};

static void gc_report(struct gc *gc, const char *what, const char *why, int rc, const struct err *err)
{
	if (rc == 0) {
		gc->done++;
	} else if (!gc->resisted) {
		*gc->err = *err;
		/* Whatever the cause, a box may be running. */
		if (gc->err->reach == ERR_USER)
			gc->err->reach = ERR_CLOUD;
		gc->resisted = true;
	}
	if (gc->report)
		gc->report(gc->ctx, what, why, rc == 0 && !gc->filter->dry_run);
}

/* Why a box has to go, or NULL when it stays. */
static const char *gc_reason(const struct ledger_row *row, bool expired_only, char *text, size_t size)
{
	char span[32];
	struct err ignored = ERR_INIT;
	int64_t over = clock_wall() - row->box.expires;
	if (row->owned || (expired_only && over < 0))
		return NULL;
	if (strcmp(row->box.state, box_state_name(BOX_DELETING)) == 0)
		return "its deletion was begun and not finished";
	if (strcmp(row->box.state, box_state_name(BOX_ACTIVE)) != 0)
		return "its stepbox was killed while it booted";
	if (over >= 0) {
		clock_span(over * 1000, span);
		(void)snprintf(text, size, "expired %s ago", span);
		return text;
	}
	const struct cloud_driver *driver = driver_of(row->box.cloud, &ignored);
	if (driver && driver->alive(&row->box, &ignored) == 0)
		return "ended by itself";
	return row->kept ? NULL : "its stepbox was killed";
}

static int gc_row(const struct ledger_row *row, void *ctx)
{
	struct gc *gc = ctx;
	struct err err = ERR_INIT;
	char what[BOX_NAME_MAX + 8], text[64];
	if (gc->filter->cloud && strcmp(gc->filter->cloud, row->box.cloud) != 0)
		return 0;
	const char *why = gc_reason(row, gc->filter->expired_only, text, sizeof(text));
	if (!why)
		return 0;
	(void)snprintf(what, sizeof(what), "box %s", row->box.name);
	if (gc->filter->dry_run) {
		gc_report(gc, what, why, 0, &err);
		return 0;
	}
	const struct cloud_driver *driver = driver_of(row->box.cloud, &err);
	int rc = driver ? ledger_claim(gc->db, row, &err) : -1;
	if (rc == 0)
		return 0; /* somebody else was faster */
	if (rc == 1)
		rc = take_down(gc->db, driver, &row->box, clock_deadline(driver->teardown_ms), &err);
	if (rc < 0) {
		err_ctx(&err, "ending box %s", row->box.name);
		/* Nobody's again, so that the next gc takes it up even while this process goes on. */
		struct err ignored = ERR_INIT;
		if (driver && ledger_release(gc->db, row->box.name, false, &ignored) < 0)
			log_warn("gc", "%s", ignored.msg);
	}
	gc_report(gc, what, why, rc, &err);
	return 0;
}

/* An unreadable ledger knows everything: nothing is ended on its word. */
static bool gc_known(void *ctx, const char *name, const char *id)
{
	struct gc *gc = ctx;
	struct err err = ERR_INIT;
	return ledger_known(gc->db, name, id, &err) != 0;
}

static void gc_found(void *ctx, const char *what, const char *why, int rc, const struct err *err)
{
	gc_report(ctx, what, why, rc, err);
}

/* Login keys of boxes that are gone. */
static void gc_keys(struct gc *gc)
{
	char path[512], what[300];
	AUTO_FREE char *dir = xasprintf("%s/keys", fs_state_dir());
	DIR *d = opendir(dir);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.' || gc_known(gc, e->d_name, NULL))
			continue;
		struct err err = ERR_INIT;
		key_path_of(e->d_name, path, sizeof(path));
		int rc = gc->filter->dry_run || unlink(path) == 0 ? 0 : err_sys(&err, ERR_BOX, errno, "%s", path);
		(void)snprintf(what, sizeof(what), "key %s", e->d_name);
		gc_report(gc, what, "its box is gone", rc, &err);
	}
	closedir(d);
}

static void gc_strays(struct gc *gc, const char *cloud)
{
	struct err err = ERR_INIT;
	struct cloud_strays strays = {
		.db = gc->db, .filter = gc->filter, .cloud = cloud, .known = gc_known, .found = gc_found, .ctx = gc};
	const struct cloud_driver *driver = driver_of(cloud, &err);
	if (driver && driver->strays(&strays, &err) == 0)
		return;
	/* "Nothing is left" would be a lie. */
	AUTO_FREE char *what = xasprintf("cloud %s", cloud);
	gc_report(gc, what, "could not be looked at", -1, &err);
}

/* What no row knows, here and in the clouds that the ledger has dealt with of late. */
static int gc_all_strays(struct gc *gc, struct err *err)
{
	char clouds[CLOUDS_MAX][BOX_NAME_MAX];
	int n = gc->filter->cloud ? 0 : ledger_clouds(gc->db, clouds, CLOUDS_MAX, err);
	if (n < 0)
		return -1;
	if (gc->filter->cloud)
		gc_strays(gc, gc->filter->cloud);
	else if (!gc->filter->owner)
		gc_strays(gc, "local");
	for (int i = 0; i < n; i++)
		if (cloud_is_remote(clouds[i]))
			gc_strays(gc, clouds[i]);
	return 0;
}

int cloud_gc(struct db *db, const struct cloud_gc_filter *filter, cloud_gc_fn report, void *ctx, struct err *err)
{
	struct gc gc = {.db = db, .filter = filter, .report = report, .ctx = ctx, .err = err};
	if ((filter->owner && !*filter->owner) || (filter->cloud && !*filter->cloud))
		return err_set(err, ERR_USER, 0, "gc: an empty filter ends nothing: give a name, or leave it out");
	/* Rows are ours, whoever we are today. */
	bool ours = !filter->owner || strcmp(filter->owner, cloud_owner()) == 0;
	if ((ours && ledger_each(db, false, gc_row, &gc, err) < 0) || gc_all_strays(&gc, err) < 0)
		return -1;
	if (ours)
		gc_keys(&gc);
	return gc.resisted ? -1 : gc.done;
}

/* ---- the cloud's own list ---- */

struct listing {
	struct db *db;
	void (*fn)(const struct cloud_listed *l, void *ctx);
	void *ctx;
	int n;
};

static void on_listed(struct cloud_listed *l, void *ctx)
{
	struct listing *all = ctx;
	struct err ignored = ERR_INIT;
	l->known = ledger_known(all->db, l->name, l->id, &ignored) == 1;
	all->n++;
	all->fn(l, all->ctx);
}

int cloud_list(struct db *db, const char *cloud, void (*fn)(const struct cloud_listed *l, void *ctx), void *ctx,
	       struct err *err)
{
	struct listing all = {.db = db, .fn = fn, .ctx = ctx};
	const struct cloud_driver *driver = driver_of(cloud, err);
	return driver && driver->list(cloud, on_listed, &all, err) == 0 ? all.n : -1;
}

/* ---- doctor, prepare ---- */

void cloud_doctor(const char *cloud, cloud_check_fn report, void *ctx)
{
	struct err err = ERR_INIT;
	const struct cloud_driver *driver = driver_of(cloud, &err);
	if (driver)
		driver->doctor(cloud, report, ctx);
	else
		report(ctx, cloud, false, err.msg, NULL);
}

int cloud_prepare(const char *cloud, const char *image, const struct cloud_watch *watch, mono_ms deadline,
		  struct err *err)
{
	static const struct cloud_watch nobody;
	const struct cloud_driver *driver = driver_of(cloud, err);
	if (!driver)
		return -1;
	const struct box_spec spec = {.cloud = cloud, .image = image};
	return driver->prepare(&spec, NULL, watch ? watch : &nobody, deadline, err);
}
