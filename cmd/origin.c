/* SPDX-License-Identifier: MIT */
#include "cmd/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "provision/git.h"

#define LOCK_POLL_MS 200
#define KEY_DIGITS   16
#define NAME_SHOWN   40 /* bytes of the repository's name, for people who look there */

void origin_finish(struct origin *o)
{
	free(o->repo);
	free(o->ref);
	*o = (struct origin){0};
}

static int set_ref(struct origin *o, const char *ref, mono_ms deadline, struct err *err)
{
	char commit[GIT_HASH_MAX];
	if (git_resolve(o->repo, ref, commit, deadline, err) < 0)
		return -1;
	o->ref = xstrdup(commit);
	return 0;
}

/* Paths of versions are counted from the top of the repository. */
static int check_top(const char *repo, mono_ms deadline, struct err *err)
{
	static const char *const args[] = {"rev-parse", "--show-prefix", NULL};
	AUTO_BUF out = buf_make(8192);
	struct git_call c = {.repo = repo, .args = args, .out = &out, .deadline = deadline};
	if (git_run(&c, err) < 0)
		return err_ctx(err, "source: %s", repo);
	if (out.len > 1)
		return err_set(err, ERR_USER, 0, "source: %s: not the top of its git repository", repo);
	return 0;
}

/* ---- a remote repository ---- */

/* *fd is an open file that is ours until it is closed. */
static int lock(const char *path, mono_ms deadline, int *fd, struct err *err)
{
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0)
		return err_sys(err, ERR_USER, errno, "%s", path);
	while (flock(*fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, ERR_USER, errno, "%s", path);
		if (clock_mono() >= deadline)
			return err_set(err, ERR_USER, 0, "%s: another stepbox has it", path);
		if (wait_ms(LOCK_POLL_MS, WAIT_STOPPABLE, err) < 0)
			return -1;
	}
	return 0;
}

static char *cache_path(const char *url)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	char hash[SHA256_HEX];
	const char *base = strrchr(url, '/');
	base = base ? base + 1 : url;
	AUTO_BUF name = buf_make(256);
	for (; *base && name.len < NAME_SHOWN; base++)
		if (strchr(plain, *base))
			buf_addc(&name, *base);
		else
			buf_addc(&name, '_');
	sha256_hex(url, strlen(url), hash);
	return xasprintf("%s/git/%.*s-%s", fs_cache_dir(), KEY_DIGITS, hash, name.data);
}

static int git_there(const char *repo, const char *const *args, bool network, mono_ms deadline, struct err *err)
{
	struct git_call c = {.repo = repo, .args = args, .network = network, .deadline = deadline};
	return git_run(&c, err);
}

/* All branches and tags as they are there now, and its HEAD under a name of our own. */
static int fetch(const char *repo, const char *url, mono_ms deadline, struct err *err)
{
	const char *args[] = {"fetch",
			      "-q",
			      "--prune",
			      "--no-write-fetch-head",
			      "--no-auto-maintenance",
			      "--force",
			      "--end-of-options",
			      url,
			      "+refs/heads/*:refs/heads/*",
			      "+refs/tags/*:refs/tags/*",
			      "+HEAD:refs/stepbox/HEAD",
			      NULL};
	return git_there(repo, args, true, deadline, err);
}

/* Made beside its place and renamed, so that half of one is never taken for one. Templates may bring hooks. */
static int make(const char *repo, const char *url, mono_ms deadline, struct err *err)
{
	AUTO_FREE char *part = xasprintf("%s.part", repo);
	const char *init[] = {"init", "-q", "--bare", "--template=", part, NULL};
	if (fs_remove_tree(part, err) < 0 || git_there(NULL, init, false, deadline, err) < 0 ||
	    fetch(part, url, deadline, err) < 0)
		return -1;
	return rename(part, repo) < 0 ? err_sys(err, ERR_USER, errno, "%s", repo) : 0;
}

/* What was there before is better than nothing, when the network is not. */
static int refresh(const char *repo, const char *url, mono_ms deadline, struct err *err)
{
	struct err why = ERR_INIT;
	if (fetch(repo, url, deadline, &why) == 0)
		return 0;
	if (why.reach == ERR_CANCELED) {
		*err = why;
		return -1;
	}
	log_warn("source", "%s: %s; going on with what was fetched before", url, why.msg);
	return 0;
}

/* A branch of the far side before a tag, before a commit; at last whatever the far side calls so (refs/changes/…). */
static int remote_ref(struct origin *o, const struct recipe *r, mono_ms deadline, struct err *err)
{
	struct err why = ERR_INIT;
	if (!r->ref)
		return set_ref(o, "refs/stepbox/HEAD", deadline, err);
	AUTO_FREE char *branch = xasprintf("refs/heads/%s", r->ref);
	if (set_ref(o, branch, deadline, &why) == 0 || set_ref(o, r->ref, deadline, &why) == 0)
		return 0;
	AUTO_FREE char *asked = xasprintf("+%s:refs/stepbox/asked", r->ref);
	const char *args[] = {
		"fetch", "-q", "--no-write-fetch-head", "--no-auto-maintenance", "--end-of-options", r->git,
		asked,   NULL};
	if (git_there(o->repo, args, true, deadline, &why) < 0 && why.reach != ERR_CANCELED)
		return err_set(err, ERR_USER, 0, "%s: no such branch, tag or commit in %s", r->ref, r->git);
	if (why.reach == ERR_CANCELED) {
		*err = why;
		return -1;
	}
	return set_ref(o, "refs/stepbox/asked", deadline, err);
}

static int open_remote(struct origin *o, const struct recipe *r, mono_ms deadline, struct err *err)
{
	o->repo = cache_path(r->git);
	AUTO_FREE char *lock_path = xasprintf("%s.lock", o->repo);
	AUTO_FREE char *dir = xstrndup(o->repo, (size_t)(strrchr(o->repo, '/') - o->repo));
	if (fs_mkdirs(dir, 0700, err) < 0)
		return -1;
	AUTO_CLOSE int held = -1;
	if (lock(lock_path, deadline, &held, err) < 0)
		return -1;
	bool there = fs_is_dir(o->repo);
	log_info("source", "%s %s into %s", there ? "fetching" : "cloning", r->git, o->repo);
	if ((there ? refresh(o->repo, r->git, deadline, err) : make(o->repo, r->git, deadline, err)) < 0)
		return err_ctx(err, "%s", r->git);
	return remote_ref(o, r, deadline, err);
}

int origin_open(struct origin *o, const struct recipe *r, mono_ms deadline, struct err *err)
{
	*o = (struct origin){0};
	if (!r->git && !r->path)
		return err_set(err, ERR_USER, 0, "%s: source: missing: whose history is meant?", r->name);
	int rc = 0;
	if (r->local_path || !r->git) {
		o->repo = xstrdup(r->local_path);
		rc = check_top(o->repo, deadline, err) < 0 ? -1 : set_ref(o, r->ref, deadline, err);
	} else {
		rc = open_remote(o, r, deadline, err);
	}
	if (rc < 0)
		origin_finish(o);
	return rc;
}
