/* SPDX-License-Identifier: MIT */
/* Base trees: one per Debian release, made once by mmdebstrap, never written again; boxes are overlays over them.
 *
 *   CACHE/base/IMAGE.lock      held (flock) by the one who makes it
 *   CACHE/base/IMAGE.part/     where it is made
 *   CACHE/base/IMAGE-HASH/     complete: tree/, and stamp, which says what it is. The hash covers the script that makes
 *                              it and the ids that own it: when either changes, another tree is made beside it.
 *                              The stamp's time is that of the last use, and each living box holds a shared flock on
 *                              it: a cache may serve several stores. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/template.h"
#include "base/text.h"
#include "cloud/driver.h"
#include "cloud/local.h"

/* 30 to 90 seconds on a good line. */
#define MAKE_MS ((int64_t)30 * 60 * 1000)
/* An outdated tree goes after a week without use: several versions of stepbox may be in use side by side. */
#define UNUSED_S ((int64_t)7 * 24 * 3600)
/* How many hex digits of the hash are in the name. */
#define HASH_DIGITS 8

static const struct release {
	const char *image, *suite;
} releases[] = {
	{"debian-11", "bullseye"},
	{"debian-12", "bookworm"},
	{"debian-13", "trixie"},
};

static const struct release *find_release(const char *image, struct err *err)
{
	AUTO_BUF names = buf_make(1024);
	for (size_t i = 0; i < ARRAY_SIZE(releases); i++) {
		if (strcmp(image, releases[i].image) == 0 || strcmp(image, releases[i].suite) == 0)
			return &releases[i];
		buf_addf(&names, "%s%s (%s)", i ? ", " : "", releases[i].image, releases[i].suite);
	}
	err_set(err, ERR_USER, 0, "image \"%s\": on the local cloud there are %s", image, names.data);
	return NULL;
}

/* What one tree is made of, and where. */
struct base {
	const struct release *release;
	struct local_ids ids;
	struct local_tree tree;
	const struct cloud_watch *watch;
};

static int base_init(struct base *base, const char *image, struct err *err)
{
	char hash[SHA256_HEX];
	AUTO_BUF recipe = buf_make(BUF_TEXT_MAX);
	base->release = find_release(image, err);
	if (!base->release || local_ids(&base->ids, err) < 0 || template_file("local/base.sh", &recipe, err) < 0)
		return -1;
	buf_addf(&recipe, "\n%s\n%s\n", base->ids.uids, base->ids.gids);
	sha256_hex(recipe.data, recipe.len, hash);
	const char *dir = fs_cache_dir(), *name = base->release->image;
	struct local_tree *t = &base->tree;
	(void)snprintf(t->path, sizeof(t->path), "%s/base/%s-%.*s", dir, name, HASH_DIGITS, hash);
	(void)snprintf(t->part, sizeof(t->part), "%s/base/%s.part", dir, name);
	(void)snprintf(t->lock, sizeof(t->lock), "%s/base/%s.lock", dir, name);
	(void)snprintf(t->what, sizeof(t->what), "base tree %s", name);
	return 0;
}

/* ---- making ---- */

static int write_stamp(const struct base *base, struct err *err)
{
	char now[32];
	clock_iso(clock_wall(), now);
	AUTO_BUF text = buf_make(1024);
	buf_addf(&text, "image %s (%s)\nmade %s\nuids %s\ngids %s\n", base->release->image, base->release->suite, now,
		 base->ids.uids, base->ids.gids);
	AUTO_FREE char *stamp = xasprintf("%s/stamp", base->tree.part);
	return fs_write(stamp, text.data, text.len, 0644, err);
}

static int make(void *ctx, const struct local_tree *t, mono_ms deadline, struct err *err)
{
	const struct base *base = ctx;
	AUTO_FREE char *stage = xasprintf("making the %s", t->what);
	if (base->watch->stage)
		base->watch->stage(base->watch->ctx, stage, NULL, deadline - clock_mono());
	AUTO_FREE char *mmdebstrap = fs_which("mmdebstrap");
	if (!mmdebstrap)
		return err_set(err, ERR_USER, ENOENT, "mmdebstrap is not installed: apt-get install -y mmdebstrap");
	/* When we are killed, the script must not go on behind our lock: the death signal takes it along. */
	const char *const as_root[] = {"env",           LOCAL_PATH,     "unshare",   "--mount",
				       "--propagation", "slave",        "setpriv",   "--pdeathsig",
				       "KILL",          "sh",           "./base.sh", base->release->suite,
				       base->ids.uids,  base->ids.gids, NULL};
	const char *const as_user[] = {"env",       LOCAL_PATH,           "setpriv",      "--pdeathsig",  "KILL", "sh",
				       "./base.sh", base->release->suite, base->ids.uids, base->ids.gids, NULL};
	if (local_script(t->part, "base.sh", true, err) < 0 ||
	    local_tree_run(t, base->ids.root ? as_root : as_user, NULL, base->watch, stage, deadline, err) < 0)
		return -1;
	return write_stamp(base, err);
}

int local_base(const char *image, const struct cloud_watch *watch, mono_ms deadline, char path[PATH_MAX],
	       struct err *err)
{
	struct base base;
	if (base_init(&base, image, err) < 0)
		return -1;
	base.watch = watch;
	memcpy(path, base.tree.path, PATH_MAX);
	mono_ms until = clock_deadline(MAKE_MS);
	if (until > deadline)
		until = deadline;
	return local_tree_make(&base.tree, watch, make, &base, until, err) < 0 ? err_ctx(err, "%s", base.tree.what) : 0;
}

/* ---- strays ---- */

/* Whether a layer of packages lies over the tree (local_layer.c): boxes may, and hold only the layer's lock. */
static bool has_layers(const char *name)
{
	glob_t g = {0};
	AUTO_FREE char *pattern = xasprintf("%s/layers/%s-*", fs_cache_dir(), name);
	int rc = glob(pattern, GLOB_NOSORT, NULL, &g);
	globfree(&g);
	return rc != GLOB_NOMATCH;
}

/* "IMAGE.part" without a maker, "IMAGE-HASH" that is not today's: why it may go, or NULL. *lock keeps others away
 * while it goes. */
static const char *stray_reason(const char *dir, const char *name, int *lock)
{
	struct err ignored = ERR_INIT;
	struct stat st;
	for (size_t i = 0; i < ARRAY_SIZE(releases); i++) {
		struct base base;
		size_t n = strlen(releases[i].image);
		if (!text_starts(name, releases[i].image) || base_init(&base, releases[i].image, &ignored) < 0)
			continue;
		if (strcmp(name + n, ".part") == 0) {
			*lock = local_lock(base.tree.lock, true);
			return *lock >= 0 ? "half a base tree; its maker was killed" : NULL;
		}
		AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
		AUTO_FREE char *stamp = xasprintf("%s/stamp", path);
		if (name[n] != '-' || strlen(name + n + 1) != HASH_DIGITS || strcmp(path, base.tree.path) == 0)
			continue;
		/* Without a stamp its removal was cut off. */
		if (stat(stamp, &st) < 0)
			return "the rest of a base tree";
		if (clock_wall() - st.st_mtime < UNUSED_S || has_layers(name))
			return NULL;
		*lock = local_lock(stamp, false);
		return *lock >= 0 ? "a base tree of an older recipe, unused for a week" : NULL;
	}
	return NULL;
}

void local_base_strays(const struct cloud_strays *s)
{
	AUTO_FREE char *dir = xasprintf("%s/base", fs_cache_dir());
	DIR *d = opendir(dir);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		AUTO_CLOSE int lock = -1;
		const char *why = stray_reason(dir, e->d_name, &lock);
		if (!why)
			continue;
		struct err err = ERR_INIT;
		AUTO_FREE char *path = xasprintf("%s/%s", dir, e->d_name);
		int rc = s->filter->dry_run ? 0 : local_tree_remove(path, &err);
		AUTO_FREE char *what = xasprintf("directory %s", path);
		s->found(s->ctx, what, why, rc, &err);
	}
	closedir(d);
}
