/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/text.h"
#include "provision/source.h"

#define GIT_SAYS_MAX 4096

static const char *const git_env[] = {"GIT_TERMINAL_PROMPT=0", NULL};

static int git_with(const char *const *argv, const char *input, mono_ms deadline, struct buf *out, struct err *err)
{
	AUTO_BUF says = buf_make(GIT_SAYS_MAX);
	struct proc_opts opts = {.env = git_env, .out = out, .errout = &says, .deadline = deadline};
	if (input) {
		opts.input = input;
		opts.input_len = strlen(input);
	}
	int rc = proc_run(argv, &opts, err);
	if (rc > 0) {
		AUTO_BUF line = buf_make((size_t)2 * GIT_SAYS_MAX);
		text_safe_line(&line, says.data, says.len, 300);
		return err_set(err, ERR_USER, 0, "git: %s", line.len ? line.data : "ended without a word");
	}
	return rc;
}

static int git(const char *const *argv, mono_ms deadline, struct buf *out, struct err *err)
{
	return git_with(argv, NULL, deadline, out, err);
}

/* The commit that ref names in repo; branches of the repository before its remote-tracking ones. */
static int resolve(const char *repo, const char *ref, mono_ms deadline, struct buf *sha, struct err *err)
{
	AUTO_FREE char *spec = xasprintf("%s^{commit}", ref);
	AUTO_FREE char *tracked = xasprintf("refs/remotes/origin/%s^{commit}", ref);
	const char *tries[] = {spec, tracked};
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		const char *argv[] = {"git",    "-C", repo, "rev-parse", "-q", "--verify", "--end-of-options",
				      tries[i], NULL};
		struct err why = ERR_INIT;
		buf_reset(sha);
		if (git(argv, deadline, sha, &why) == 0 && sha->len >= 40) {
			sha->data[strcspn(sha->data, "\n")] = '\0';
			return 0;
		}
		if (why.reach == ERR_CANCELED) {
			*err = why;
			return -1;
		}
	}
	return err_set(err, ERR_USER, 0, "%s: no such branch, tag or commit in %s", ref, repo);
}

static int fetch(const char *repo, const char *sha, int64_t depth, const char *commits, const char *into,
		 mono_ms deadline, struct err *err)
{
	AUTO_FREE char *url = xasprintf("file://%s", repo);
	AUTO_FREE char *one = xasprintf("+%s:refs/heads/stepbox", sha);
	char deep[32];
	snprintf(deep, sizeof(deep), "--depth=%lld", (long long)depth);
	const char *init[] = {"git", "init", "-q", into, NULL};
	/* Two argument lists: a shallow one with the single commit, a full one with all names. */
	const char *shallow[] = {"git", "-C", into, "fetch", "-q", "--no-tags", deep, "--stdin", url, NULL};
	AUTO_FREE char *wanted = xasprintf("%s\n%s", one, commits);
	const char *full[] = {
		"git", "-C", into, "fetch", "-q", "--tags", url, one, "+refs/heads/*:refs/remotes/origin/*", NULL};
	/* A repository that is shallow itself can only be sent as it is. */
	const char *set[] = {"git", "-C", into, "update-ref", "--no-deref", "HEAD", "refs/heads/stepbox", NULL};
	const char *drop[] = {"git", "-C", into, "update-ref", "-d", "refs/heads/stepbox", NULL};
	if (git(init, deadline, NULL, err) < 0 ||
	    (depth ? git_with(shallow, wanted, deadline, NULL, err) : git(full, deadline, NULL, err)) < 0)
		return -1;
	return git(set, deadline, NULL, err) < 0 || git(drop, deadline, NULL, err) < 0 ? -1 : 0;
}

static int tar_git(const char *dir, const char *tar_path, mono_ms deadline, struct err *err)
{
	AUTO_BUF says = buf_make(GIT_SAYS_MAX);
	const char *argv[] = {"tar", "-C",     dir,    "--owner=0", "--group=0", "--numeric-owner",
			      "-cf", tar_path, ".git", NULL};
	struct proc_opts opts = {.errout = &says, .deadline = deadline};
	int rc = proc_run(argv, &opts, err);
	return rc > 0 ? err_set(err, ERR_USER, 0, "tar: %.300s", says.data) : rc;
}

int source_pack_git(const char *repo, const char *ref, int64_t depth, const char *commits, const char *tar_path,
		    mono_ms deadline, struct err *err)
{
	AUTO_BUF sha = buf_make(GIT_SAYS_MAX);
	AUTO_FREE char *dir = xasprintf("%s.git.XXXXXX", tar_path);
	if (resolve(repo, ref ? ref : "HEAD", deadline, &sha, err) < 0)
		return -1;
	if (!mkdtemp(dir))
		return err_sys(err, ERR_USER, errno, "%s", dir);
	int rc = fetch(repo, sha.data, depth, commits, dir, deadline, err);
	if (rc == 0)
		rc = tar_git(dir, tar_path, deadline, err);
	struct err ignored = ERR_INIT;
	if (fs_remove_tree(dir, &ignored) < 0)
		log_warn("source", "%s", ignored.msg);
	return rc < 0 ? err_ctx(err, "%s", repo) : 0;
}
