/* SPDX-License-Identifier: MIT */
/* What base trees and package layers have in common: made once under a lock, complete when their stamp is there. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/text.h"
#include "cloud/local.h"

#define LOOK_MS        100
#define LINE_MAX_BYTES 200
#define REMOVE_MS      120000

bool local_tree_complete(const char *path)
{
	AUTO_FREE char *stamp = xasprintf("%s/stamp", path);
	return fs_exists(stamp);
}

int local_tree_touch(const char *path, struct err *err)
{
	AUTO_FREE char *stamp = xasprintf("%s/stamp", path);
	return utimensat(AT_FDCWD, stamp, NULL, 0) < 0 ? err_sys(err, ERR_BOX, errno, "%s", stamp) : 0;
}

int local_tree_remove(const char *path, struct err *err)
{
	AUTO_FREE char *stamp = xasprintf("%s/stamp", path);
	if (unlink(stamp) < 0 && errno != ENOENT)
		return err_sys(err, ERR_BOX, errno, "%s", stamp);
	return local_remove(path, clock_deadline(REMOVE_MS), err);
}

/* ---- running its script ---- */

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

int local_tree_run(const struct local_tree *t, const char *const *argv, const struct buf *input,
		   const struct cloud_watch *watch, const char *stage, mono_ms deadline, struct err *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, ERR_BOX, errno, "pipe");
	AUTO_CLOSE int reader = fds[0];
	AUTO_BUF last = buf_make(4 * LINE_MAX_BYTES + 16);
	struct maker m = {.argv = argv, .err = ERR_INIT};
	m.opts = (struct proc_opts){.dir = t->part,
				    .input = input ? input->data : NULL,
				    .input_len = input ? input->len : 0,
				    .output_fd = fds[1],
				    .merge = true,
				    .deadline = deadline};
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

/* ---- one maker at a time ---- */

/* Waits for the lock or for somebody else's tree; *lock is -1 in the latter case. */
static int wait_turn(const struct local_tree *t, const struct cloud_watch *watch, mono_ms deadline, int *lock,
		     struct err *err)
{
	AUTO_FREE char *stage = xasprintf("waiting for another stepbox that makes the %s", t->what);
	bool told = false;
	while (!local_tree_complete(t->path)) {
		*lock = local_lock(t->lock, true);
		if (*lock == -2)
			return err_sys(err, ERR_USER, errno, "%s", t->lock);
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

/* Under the lock. */
static int make(const struct local_tree *t, local_tree_fn fill, void *ctx, mono_ms deadline, struct err *err)
{
	if (local_remove(t->part, clock_deadline(REMOVE_MS), err) < 0)
		return -1;
	if (mkdir(t->part, 0755) < 0)
		return err_sys(err, ERR_BOX, errno, "%s", t->part);
	int rc = fill(ctx, t, deadline, err);
	if (rc == 0 && rename(t->part, t->path) < 0)
		rc = err_sys(err, ERR_BOX, errno, "%s", t->path);
	struct err ignored = ERR_INIT;
	if (rc < 0 && local_remove(t->part, clock_deadline(REMOVE_MS), &ignored) < 0)
		return err_set(err, err->reach, err->code, "%.500s (and %.400s is left)", err->msg, t->part);
	return rc;
}

int local_tree_make(const struct local_tree *t, const struct cloud_watch *watch, local_tree_fn fill, void *ctx,
		    mono_ms deadline, struct err *err)
{
	AUTO_CLOSE int lock = -1;
	if (local_tree_complete(t->path))
		return local_tree_touch(t->path, err);
	AUTO_FREE char *dir = xstrndup(t->path, (size_t)(strrchr(t->path, '/') - t->path));
	if (fs_mkdirs(dir, 0755, err) < 0 || wait_turn(t, watch, deadline, &lock, err) < 0)
		return -1;
	/* Between the last look and the lock somebody may have been done with it. */
	return lock >= 0 && !local_tree_complete(t->path) ? make(t, fill, ctx, deadline, err) : 0;
}
