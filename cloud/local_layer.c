/* SPDX-License-Identifier: MIT */
/* Layers of packages: installing them is most of what a box costs, and is the same for many boxes.
 *
 *   CACHE/layers/IMAGE-BASE-KEY/   complete: tree/ (over the base tree of that name) and stamp. The key covers base,
 *                                  script and day: packages are as fresh as lists that are renewed once a day
 *   …-KEY.part/, …-KEY.lock        while it is made
 *
 * A layer is made in the namespaces of a box, by a program in place of its init. Boxes that lie over it hold a shared
 * flock on its stamp. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/template.h"
#include "base/text.h"
#include "cloud/driver.h"
#include "cloud/local.h"

#define MAKE_MS    ((int64_t)30 * 60 * 1000)
#define UNUSED_S   ((int64_t)2 * 24 * 3600)
#define KEY_DIGITS 16
#define DAY_LEN    (sizeof("2026-01-31") - 1)

struct layer {
	struct local_tree tree;
	struct local_ids ids;
	const char *base, *script;
	const struct cloud_watch *watch;
};

static char *layers_dir(void)
{
	return xasprintf("%s/layers", fs_cache_dir());
}

static void layer_init(struct layer *l, const char *title)
{
	char now[32], hash[SHA256_HEX];
	clock_iso(clock_wall(), now);
	AUTO_FREE char *what = xasprintf("%s\n%s\n%.*s\n", l->base, l->script, (int)DAY_LEN, now);
	sha256_hex(what, strlen(what), hash);
	AUTO_FREE char *dir = layers_dir();
	struct local_tree *t = &l->tree;
	(void)snprintf(t->path, sizeof(t->path), "%s/%s-%.*s", dir, strrchr(l->base, '/') + 1, KEY_DIGITS, hash);
	(void)snprintf(t->part, sizeof(t->part), "%.*s.part", PATH_MAX - 6, t->path);
	(void)snprintf(t->lock, sizeof(t->lock), "%.*s.lock", PATH_MAX - 6, t->path);
	(void)snprintf(t->what, sizeof(t->what), "layer of packages (%.90s)", title ? title : "");
}

/* ---- making ---- */

static int run(const struct layer *l, const char *stage, mono_ms deadline, struct err *err)
{
	AUTO_BUF program = buf_make(BUF_TEXT_MAX);
	local_settings("layer", &program);
	if (template_file("local/layer-init.sh", &program, err) < 0)
		return -1;
	buf_adds(&program, l->script);
	/* As with base trees: nobody goes on behind our lock. */
	const char *const as_root[] = {"env",           "-i",    LOCAL_PATH,  "LC_ALL=C.UTF-8", "unshare", "--mount",
				       "--propagation", "slave", "setpriv",   "--pdeathsig",    "KILL",    "sh",
				       "./layer.sh",    "layer", l->ids.uids, l->ids.gids,      NULL};
	const char *const as_user[] = {"env",         "-i",        LOCAL_PATH, "LC_ALL=C.UTF-8", "setpriv",
				       "--pdeathsig", "KILL",      "sh",       "./layer.sh",     "layer",
				       l->ids.uids,   l->ids.gids, NULL};
	return local_tree_run(&l->tree, l->ids.root ? as_root : as_user, &program, l->watch, stage, deadline, err);
}

static int make(void *ctx, const struct local_tree *t, mono_ms deadline, struct err *err)
{
	const struct layer *l = ctx;
	AUTO_FREE char *stage = xasprintf("making the %s", t->what);
	AUTO_FREE char *stamp = xasprintf("%s/stamp", t->part);
	if (l->watch->stage)
		l->watch->stage(l->watch->ctx, stage, NULL, deadline - clock_mono());
	if (local_overlay(t->part, l->base, l->ids.root, err) < 0 || local_script(t->part, "layer.sh", true, err) < 0 ||
	    run(l, stage, deadline, err) < 0)
		return -1;
	return fs_write(stamp, l->script, strlen(l->script), 0644, err);
}

static bool nobody_knows(void *ctx, const char *name, const char *id)
{
	(void)ctx;
	(void)name;
	(void)id;
	return false;
}

static void say_nothing(void *ctx, const char *what, const char *why, int rc, const struct err *err)
{
	(void)ctx;
	log_debug("local", "%s: %s%s%s", what, why, rc < 0 ? ": " : "", rc < 0 ? err->msg : "");
}

int local_layer(const char *base, const char *script, const char *title, const struct cloud_watch *watch,
		mono_ms deadline, char path[PATH_MAX], struct err *err)
{
	static const struct cloud_gc_filter all;
	const struct cloud_strays strays = {.filter = &all, .known = nobody_knows, .found = say_nothing};
	struct layer l = {.base = base, .script = script, .watch = watch};
	path[0] = '\0';
	if (local_ids(&l.ids, err) < 0)
		return -1;
	layer_init(&l, title);
	bool is_new = !local_tree_complete(l.tree.path);
	mono_ms until = clock_deadline(MAKE_MS);
	if (local_tree_make(&l.tree, watch, make, &l, until < deadline ? until : deadline, err) == 0) {
		memcpy(path, l.tree.path, PATH_MAX);
		/* What was made on other days goes when a new one comes, without a gc. */
		if (is_new)
			local_layer_strays(&strays);
		return 0;
	}
	if (err->reach == ERR_CANCELED)
		return err_ctx(err, "%s", l.tree.what);
	log_debug("local", "%s: %s", l.tree.what, err->msg);
	err_clear(err);
	return 0;
}

/* ---- strays ---- */

/* Why this entry may go, or NULL; *lock keeps others away meanwhile. */
static const char *stray_reason(const char *path, int *lock)
{
	struct stat st;
	AUTO_FREE char *stamp = xasprintf("%s/stamp", path);
	if (text_ends(path, ".part")) {
		AUTO_FREE char *file = xasprintf("%.*s.lock", (int)(strlen(path) - strlen(".part")), path);
		*lock = local_lock(file, true);
		return *lock >= 0 ? "half a layer; its maker was killed" : NULL;
	}
	if (!fs_is_dir(path))
		return NULL;
	if (stat(stamp, &st) < 0)
		return "the rest of a layer";
	if (clock_wall() - st.st_mtime < UNUSED_S)
		return NULL;
	*lock = local_lock(stamp, false);
	return *lock >= 0 ? "a layer of packages, unused for two days" : NULL;
}

void local_layer_strays(const struct cloud_strays *s)
{
	AUTO_FREE char *dir = layers_dir();
	DIR *d = opendir(dir);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		AUTO_CLOSE int lock = -1;
		AUTO_FREE char *path = xasprintf("%s/%s", dir, e->d_name);
		const char *why = e->d_name[0] == '.' ? NULL : stray_reason(path, &lock);
		if (!why)
			continue;
		struct err err = ERR_INIT;
		int rc = s->filter->dry_run ? 0 : local_tree_remove(path, &err);
		AUTO_FREE char *file = xasprintf("%s.lock", path);
		if (rc == 0 && !s->filter->dry_run)
			(void)unlink(file);
		AUTO_FREE char *what = xasprintf("directory %s", path);
		s->found(s->ctx, what, why, rc, &err);
	}
	closedir(d);
}
