/* SPDX-License-Identifier: MIT */
#include "provision/git.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/proc.h"
#include "base/text.h"

#define SAYS_MAX  8192
#define ARGS_MAX  64
#define FIRST_MAX 300

/* A hook or alias of git may have started us: its repository is not the one meant here. Configuration that would change
 * what is printed is set back; whose the repository is does not matter, for nothing it names is run. */
static const char *const front[] = {"env",
				    "-u",
				    "GIT_DIR",
				    "-u",
				    "GIT_WORK_TREE",
				    "-u",
				    "GIT_INDEX_FILE",
				    "-u",
				    "GIT_COMMON_DIR",
				    "-u",
				    "GIT_OBJECT_DIRECTORY",
				    "LC_ALL=C",
				    "git",
				    "--no-pager",
				    "-c",
				    "safe.directory=*",
				    "-c",
				    "core.fsmonitor=false",
				    "-c",
				    "core.hooksPath=/dev/null",
				    "-c",
				    "core.quotePath=false",
				    "-c",
				    "color.ui=false",
				    "-c",
				    "log.showSignature=false",
				    "-c",
				    "log.follow=false",
				    "-c",
				    "log.showRoot=true",
				    "-c",
				    "log.diffMerges=separate",
				    "-c",
				    "diff.renames=false",
				    "-c",
				    "protocol.ext.allow=never"};

/* Transports: none at all unless the call is meant to use one (a partial clone would fetch what it lacks). */
static const char *const offline[] = {"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false", "SSH_ASKPASS=/bin/false",
				      "GIT_NO_LAZY_FETCH=1",   "GIT_ALLOW_PROTOCOL=",    NULL};
static const char *const online[] = {"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false", "SSH_ASKPASS=/bin/false",
				     "GIT_ALLOW_PROTOCOL=file:git:http:https:ssh", NULL};
/* The same where the user has no ssh of their own for git: a question could only be put to a terminal that waits for
 * us. */
static const char *const online_ssh[] = {"GIT_TERMINAL_PROMPT=0",
					 "GIT_ASKPASS=/bin/false",
					 "SSH_ASKPASS=/bin/false",
					 "GIT_ALLOW_PROTOCOL=file:git:http:https:ssh",
					 "GIT_SSH_COMMAND=ssh -oBatchMode=yes",
					 NULL};

static const char *const *environment(bool network)
{
	if (!network)
		return offline;
	return getenv("GIT_SSH_COMMAND") || getenv("GIT_SSH") ? online : online_ssh;
}

int git_run(const struct git_call *c, struct err *err)
{
	const char *argv[ARRAY_SIZE(front) + ARGS_MAX + 4];
	size_t n = 0;
	for (; n < ARRAY_SIZE(front); n++)
		argv[n] = front[n];
	for (size_t i = 0; c->args[i]; i++) {
		if (i == ARGS_MAX)
			return err_set(err, ERR_BUG, E2BIG, "git %s: too many arguments", c->args[0]);
		argv[n++] = c->args[i];
	}
	argv[n] = NULL;
	AUTO_BUF says = buf_make(SAYS_MAX);
	struct proc_opts opts = {.dir = c->repo ? c->repo : "/",
				 .env = environment(c->network),
				 .input = c->input,
				 .input_len = c->input_len,
				 .out = c->out,
				 .errout = &says,
				 .deadline = c->deadline};
	int rc = proc_run(argv, &opts, err);
	if (rc < 0)
		return err_ctx(err, "git %s", c->args[0]);
	if (c->out && c->out->overflow)
		return err_set(err, ERR_USER, EFBIG, "git %s: more than %zu MiB", c->args[0], c->out->max >> 20);
	if (rc <= c->answers)
		return rc;
	if (rc == 127)
		return err_set(err, ERR_USER, rc, "git: not installed");
	AUTO_BUF line = buf_make(SAYS_MAX);
	text_safe_line(&line, says.data, strcspn(says.data, "\n"), FIRST_MAX);
	return err_set(err, ERR_USER, rc, "git %s: %s", c->args[0], line.len ? line.data : "it ended without a word");
}

bool git_is_hash(const char *s, size_t n)
{
	return (n == 40 || n == 64) && strspn(s, "0123456789abcdef") >= n;
}

int git_resolve(const char *repo, const char *ref, char out[GIT_HASH_MAX], mono_ms deadline, struct err *err)
{
	AUTO_FREE char *spec = xasprintf("%s^{commit}", ref ? ref : "HEAD");
	AUTO_FREE char *tracked = xasprintf("refs/remotes/origin/%s^{commit}", ref ? ref : "HEAD");
	const char *tries[] = {spec, tracked};
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		const char *args[] = {"rev-parse", "-q", "--verify", "--end-of-options", tries[i], NULL};
		AUTO_BUF sha = buf_make(256);
		struct git_call c = {.repo = repo, .args = args, .out = &sha, .answers = 1, .deadline = deadline};
		int rc = git_run(&c, err);
		if (rc < 0)
			return -1;
		size_t n = strcspn(sha.data, "\n");
		if (rc == 0 && git_is_hash(sha.data, n)) {
			memcpy(out, sha.data, n);
			out[n] = '\0';
			return 0;
		}
	}
	return err_set(err, ERR_USER, 0, "%s: no such branch, tag or commit in %s", ref ? ref : "HEAD", repo);
}
