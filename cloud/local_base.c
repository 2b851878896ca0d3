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
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/proc.h"
#include "base/template.h"
#include "base/text.h"
#include "cloud/driver.h"
#include "cloud/local.h"

/* 30 to 90 seconds on a good line. */
#define MAKE_MS        ((int64_t)30 * 60 * 1000)
#define LOOK_MS        100
#define LINE_MAX_BYTES 200
#define REMOVE_MS      120000
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
	char path[PATH_MAX]; /* when complete */
	char part[PATH_MAX];
	char lock[PATH_MAX];
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
	(void)snprintf(base->path, sizeof(base->path), "%s/base/%s-%.*s", dir, name, HASH_DIGITS, hash);
	(void)snprintf(base->part, sizeof(base->part), "%s/base/%s.part", dir, name);
	(void)snprintf(base->lock, sizeof(base->lock), "%s/base/%s.lock", dir, name);
	return 0;
}

static bool is_complete(const char *path)
{
	AUTO_FREE char *stamp = xasprintf("%s/stamp", path);
	return fs_exists(stamp);
}

static int touch_stamp(const char *path, struct err *err)
{
	AUTO_FREE char *stamp = xasprintf("%s/stamp", path);
	return utimensat(AT_FDCWD, stamp, NULL, 0) < 0 ? err_sys(err, ERR_BOX, errno, "%s", stamp) : 0;
}

/* ---- making ---- */

/* A thread waits for the program while we read what it prints. */
struct maker {
	const char *const *argv;
	struct proc_opts opts;
	int rc;
	struct err err;
};

static void *maker_run(void *arg)
{
	struct maker *m = arg;
	m->rc = proc_run(m->argv, &m->opts, &m->err);
	fd_closep(&m->opts.output_fd); /* the reader's end of file */
	return NULL;
}

static void show_line(const struct cloud_watch *watch, const char *stage, const char *line, size_t n, int64_t limit_ms,
		      struct buf *last)
{
	AUTO_BUF safe = buf_make(4 * LINE_MAX_BYTES + 16);
	text_safe_line(&safe, line, n, LINE_MAX_BYTES);
	if (!safe.len)
		return;
	if (watch->stage)
		watch->stage(watch->ctx, stage, safe.data, limit_ms);
	/* The first complaint is the cause, what follows complains about it; without one, the last line must do. */
	bool complaint = text_starts(safe.data, "E:") || strstr(safe.data, "rror");
	if (text_starts(last->data, "E:"))
		return;
	if (complaint || !strstr(last->data, "rror")) {
		buf_reset(last);
		buf_adds(last, safe.data);
	}
}

/* Reads lines until the end. Every wait ends, as the program has a deadline and the thread closes the pipe. */
static void read_lines(int fd, const struct cloud_watch *watch, const char *stage, mono_ms deadline, struct buf *last)
{
	char text[4096];
	size_t len = 0;
	for (;;) {
		ssize_t n = read(fd, text + len, sizeof(text) - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		char *start = text, *end;
		while ((end = memchr(start, '\n', len - (size_t)(start - text)))) {
			show_line(watch, stage, start, (size_t)(end - start), deadline - clock_mono(), last);
			start = end + 1;
		}
		len -= (size_t)(start - text);
		memmove(text, start, len);
		if (len == sizeof(text))
			len = 0; /* one line that long is of no interest */
	}
}

static int run_script(const struct base *base, const struct cloud_watch *watch, const char *stage, mono_ms deadline,
		      struct err *err)
{
	/* When we are killed, the script must not go on behind our lock: the death signal takes it along. */
	const char *const as_root[] = {"env",           LOCAL_PATH,     "unshare",   "--mount",
				       "--propagation", "slave",        "setpriv",   "--pdeathsig",
				       "KILL",          "sh",           "./base.sh", base->release->suite,
				       base->ids.uids,  base->ids.gids, NULL};
	const char *const as_user[] = {"env",       LOCAL_PATH,           "setpriv",      "--pdeathsig",  "KILL", "sh",
				       "./base.sh", base->release->suite, base->ids.uids, base->ids.gids, NULL};
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, ERR_BOX, errno, "pipe");
	AUTO_CLOSE int reader = fds[0];
	AUTO_BUF last = buf_make(4 * LINE_MAX_BYTES + 16);
	struct maker m = {.argv = base->ids.root ? as_root : as_user, .err = ERR_INIT};
	m.opts = (struct proc_opts){.dir = base->part, .output_fd = fds[1], .merge = true, .deadline = deadline};
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, maker_run, &m);
	if (rc) {
		close(fds[1]);
		return err_sys(err, ERR_BUG, rc, "thread");
	}
	read_lines(reader, watch, stage, deadline, &last);
	pthread_join(thread, NULL);
	if (m.rc < 0)
		*err = m.err;
	else if (m.rc > 0) {
		err_set(err, ERR_BOX, m.rc, "%s", last.data);
		return local_explain(err);
	}
	return m.rc;
}

static int write_stamp(const struct base *base, struct err *err)
{
	char now[32];
	clock_iso(clock_wall(), now);
	AUTO_BUF text = buf_make(1024);
	buf_addf(&text, "image %s (%s)\nmade %s\nuids %s\ngids %s\n", base->release->image, base->release->suite, now,
		 base->ids.uids, base->ids.gids);
	AUTO_FREE char *stamp = xasprintf("%s/stamp", base->part);
	return fs_write(stamp, text.data, text.len, 0644, err);
}

/* Under the lock. */
static int make(const struct base *base, const struct cloud_watch *watch, mono_ms deadline, struct err *err)
{
	AUTO_FREE char *stage = xasprintf("making the base tree %s", base->release->image);
	if (watch->stage)
		watch->stage(watch->ctx, stage, NULL, deadline - clock_mono());
	AUTO_FREE char *mmdebstrap = fs_which("mmdebstrap");
	if (!mmdebstrap)
		return err_set(err, ERR_USER, ENOENT, "mmdebstrap is not installed: apt-get install -y mmdebstrap");
	if (local_remove(base->part, clock_deadline(REMOVE_MS), err) < 0)
		return -1;
	if (mkdir(base->part, 0755) < 0)
		return err_sys(err, ERR_BOX, errno, "%s", base->part);
	int rc = local_script(base->part, "base.sh", true, err);
	if (rc == 0)
		rc = run_script(base, watch, stage, deadline, err);
	if (rc == 0)
		rc = write_stamp(base, err);
	if (rc == 0 && rename(base->part, base->path) < 0)
		rc = err_sys(err, ERR_BOX, errno, "%s", base->path);
	struct err ignored = ERR_INIT;
	if (rc < 0 && local_remove(base->part, clock_deadline(REMOVE_MS), &ignored) < 0)
		return err_set(err, err->reach, err->code, "%.500s (and %.400s is left)", err->msg, base->part);
	return rc;
}

/* Waits for the lock or for somebody else's tree; *lock is -1 in the latter case. */
static int wait_turn(const struct base *base, const struct cloud_watch *watch, mono_ms deadline, int *lock,
		     struct err *err)
{
	AUTO_FREE char *stage =
		xasprintf("waiting for another stepbox that makes the base tree %s", base->release->image);
	bool told = false;
	while (!is_complete(base->path)) {
		*lock = local_lock(base->lock, true);
		if (*lock == -2)
			return err_sys(err, ERR_USER, errno, "%s", base->lock);
		if (*lock >= 0)
			return 0;
		if (!told && watch->stage)
			watch->stage(watch->ctx, stage, NULL, deadline - clock_mono());
		told = true;
		if (clock_mono() >= deadline)
			return err_set(err, ERR_BOX, 0, "another stepbox has not made it in time");
		if (wait_ms(LOOK_MS, WAIT_STOPPABLE, err) < 0)
			return -1;
	}
	return 0;
}

int local_base(const char *image, const struct cloud_watch *watch, mono_ms deadline, char path[PATH_MAX],
	       struct err *err)
{
	struct base base;
	if (base_init(&base, image, err) < 0)
		return -1;
	memcpy(path, base.path, PATH_MAX);
	if (is_complete(base.path))
		return touch_stamp(base.path, err);
	mono_ms until = clock_deadline(MAKE_MS);
	if (until > deadline)
		until = deadline;
	AUTO_CLOSE int lock = -1;
	AUTO_FREE char *dir = xasprintf("%s/base", fs_cache_dir());
	int rc = fs_mkdirs(dir, 0755, err);
	if (rc == 0)
		rc = wait_turn(&base, watch, until, &lock, err);
	/* Between the last look and the lock somebody may have been done with it. */
	if (rc == 0 && lock >= 0 && !is_complete(base.path))
		rc = make(&base, watch, until, err);
	return rc < 0 ? err_ctx(err, "base tree %s", base.release->image) : 0;
}

/* ---- strays ---- */

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
			*lock = local_lock(base.lock, true);
			return *lock >= 0 ? "half a base tree; its maker was killed" : NULL;
		}
		AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
		AUTO_FREE char *stamp = xasprintf("%s/stamp", path);
		if (name[n] != '-' || strlen(name + n + 1) != HASH_DIGITS || strcmp(path, base.path) == 0)
			continue;
		/* Without a stamp its removal was cut off. */
		if (stat(stamp, &st) < 0)
			return "the rest of a base tree";
		if (clock_wall() - st.st_mtime < UNUSED_S)
			return NULL;
		*lock = local_lock(stamp, false);
		return *lock >= 0 ? "a base tree of an older recipe, unused for a week" : NULL;
	}
	return NULL;
}

/* The stamp goes first: without it nobody takes the tree for complete. */
static int remove_base(const char *path, struct err *err)
{
	AUTO_FREE char *stamp = xasprintf("%s/stamp", path);
	if (unlink(stamp) < 0 && errno != ENOENT)
		return err_sys(err, ERR_BOX, errno, "%s", stamp);
	return local_remove(path, clock_deadline(REMOVE_MS), err);
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
		int rc = s->filter->dry_run ? 0 : remove_base(path, &err);
		AUTO_FREE char *what = xasprintf("directory %s", path);
		s->found(s->ctx, what, why, rc, &err);
	}
	closedir(d);
}
