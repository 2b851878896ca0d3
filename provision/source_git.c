/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/text.h"
#include "provision/git.h"
#include "provision/source.h"

#define TAR_SAYS_MAX 4096

/* in repo (NULL: nowhere). */
static int git(const char *repo, const char *const *args, const char *input, mono_ms deadline, struct err *err)
{
	struct git_call c = {.repo = repo,
			     .args = args,
			     .input = input,
			     .input_len = input ? strlen(input) : 0,
			     .network = true, /* file: the box's copy is fetched from the repository here */
			     .deadline = deadline};
	return git_run(&c, err);
}

static int fetch(const char *repo, const char *sha, int64_t depth, const char *commits, const char *into,
		 mono_ms deadline, struct err *err)
{
	AUTO_FREE char *url = xasprintf("file://%s", repo);
	AUTO_FREE char *one = xasprintf("+%s:refs/heads/stepbox", sha);
	char deep[32];
	snprintf(deep, sizeof(deep), "--depth=%lld", (long long)depth);
	/* The user's templates may bring hooks: they are not for the box. */
	const char *init[] = {"init", "-q", "--template=", into, NULL};
	/* Two argument lists: a shallow one with the single commit, a full one with all names. */
	const char *shallow[] = {"fetch", "-q", "--no-tags", deep, "--stdin", url, NULL};
	AUTO_FREE char *wanted = xasprintf("%s\n%s", one, commits);
	const char *full[] = {"fetch", "-q", "--tags", url, one, "+refs/heads/*:refs/remotes/origin/*", NULL};
	/* A repository that is shallow itself can only be sent as it is. */
	const char *set[] = {"update-ref", "--no-deref", "HEAD", "refs/heads/stepbox", NULL};
	const char *drop[] = {"update-ref", "-d", "refs/heads/stepbox", NULL};
	if (git(NULL, init, NULL, deadline, err) < 0 ||
	    git(into, depth ? shallow : full, depth ? wanted : NULL, deadline, err) < 0)
		return -1;
	return git(into, set, NULL, deadline, err) < 0 ? -1 : git(into, drop, NULL, deadline, err);
}

static int tar_git(const char *dir, const char *tar_path, mono_ms deadline, struct err *err)
{
	AUTO_BUF says = buf_make(TAR_SAYS_MAX);
	const char *argv[] = {"tar", "-C",     dir,    "--owner=0", "--group=0", "--numeric-owner",
			      "-cf", tar_path, ".git", NULL};
	struct proc_opts opts = {.errout = &says, .deadline = deadline};
	int rc = proc_run(argv, &opts, err);
	AUTO_BUF line = buf_make(TAR_SAYS_MAX);
	text_safe_line(&line, says.data, says.len, 300);
	return rc > 0 ? err_set(err, ERR_USER, 0, "tar: %s", line.data) : rc;
}

int source_pack_git(const char *repo, const char *ref, int64_t depth, const char *commits, const char *tar_path,
		    mono_ms deadline, struct err *err)
{
	char sha[GIT_HASH_MAX];
	AUTO_FREE char *dir = xasprintf("%s.git.XXXXXX", tar_path);
	if (git_resolve(repo, ref, sha, deadline, err) < 0)
		return -1;
	if (!mkdtemp(dir))
		return err_sys(err, ERR_USER, errno, "%s", dir);
	int rc = fetch(repo, sha, depth, commits, dir, deadline, err);
	if (rc == 0)
		rc = tar_git(dir, tar_path, deadline, err);
	struct err ignored = ERR_INIT;
	if (fs_remove_tree(dir, &ignored) < 0)
		log_warn("source", "%s", ignored.msg);
	return rc < 0 ? err_ctx(err, "%s", repo) : 0;
}
