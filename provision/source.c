/* SPDX-License-Identifier: MIT */
#include "provision/source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/text.h"
#include "provision/git.h"

/* How it works. First the work tree goes into the tar (for a checkout only what git names, repositories inside it
 * likewise), then each of these repositories as the plain `.git` directory of its place: the common part, what is this
 * linked worktree's own, objects borrowed from other repositories, and a cleaned configuration. So a plain checkout, a
 * submodule and a linked worktree all become one checkout that stands alone. */

#define NAMES_MAX    ((size_t)64 << 20) /* all names of a tree, each with its NUL */
#define MAX_DEPTH    16                 /* repositories within repositories */
#define SAYS_MAX     8192
#define SMALL_MAX    ((size_t)1 << 20)
#define MAX_BORROWED 16         /* object directories of other repositories */
#define XFSZ_EXIT    (128 + 25) /* SIGXFSZ ended it: the size limit of prlimit */

struct packing {
	const char *root; /* the tree */
	const char *tar_path;
	mono_ms deadline;
	struct buf names; /* NUL-terminated paths below root, each beginning with "./" */
	struct buf repos; /* NUL-terminated places of repositories below root: "", "sub/" */
	char *stage;      /* a directory for small files of ours */
};

/* ---- running tools ---- */

/* What a tool said on stderr, for an error: its first line. */
static void first_line(struct buf *out, const struct buf *says)
{
	text_safe_line(out, says->data, strcspn(says->data, "\n"), 400);
	if (out->len == 0)
		buf_adds(out, "it ended without a word");
}

#define NOT_THERE 5 /* of `git config`, for a key that it was to unset; 1 when it was to list it */

/* git in dir, its stdout into out. Returns its exit code (not above answers), or -1. */
static int git(const struct packing *p, const char *dir, const char *const *args, struct buf *out, int answers,
	       struct err *err)
{
	struct git_call c = {.repo = dir, .args = args, .out = out, .answers = answers, .deadline = p->deadline};
	int rc = git_run(&c, err);
	return rc < 0 ? err_ctx(err, "%s", dir) : rc;
}

/* tar with these arguments behind the common ones; names on stdin, or NULL. */
static int tar(const struct packing *p, const char *const *args, const struct buf *names, struct err *err)
{
	char limit[48];
	snprintf(limit, sizeof(limit), "--fsize=%llu", (unsigned long long)SOURCE_MAX_BYTES);
	AUTO_FREE char *file = xasprintf("--file=%s", p->tar_path);
	const char *argv[32] = {"prlimit",
				limit,
				"--",
				"env",
				"LC_ALL=C",
				"tar",
				"--append",
				file,
				"--force-local",
				"--format=gnu",
				"--sort=name",
				"--owner=0",
				"--group=0",
				"--numeric-owner",
				"--warning=no-file-ignored",
				"--no-unquote"};
	size_t n = 16;
	while (*args && n < ARRAY_SIZE(argv) - 1)
		argv[n++] = *args++;
	AUTO_BUF says = buf_make(SAYS_MAX);
	struct proc_opts opts = {.errout = &says, .deadline = p->deadline};
	if (names) {
		opts.input = names->data;
		opts.input_len = names->len;
	}
	int rc = proc_run(argv, &opts, err);
	if (rc < 0)
		return -1;
	if (rc == XFSZ_EXIT)
		return err_set(err, ERR_USER, EFBIG, "it is over %llu GiB",
			       (unsigned long long)(SOURCE_MAX_BYTES >> 30));
	AUTO_BUF line = buf_make(SAYS_MAX);
	first_line(&line, &says);
	if (rc == 1) /* a file changed or vanished under our hands: somebody is at work in the tree */
		log_warn("source", "%s: %s", p->root, line.data);
	return rc > 1 ? err_set(err, ERR_USER, rc, "%s", line.data) : 0;
}

/* ---- the names ---- */

/* Whether a path below the directory exists as the entry it is, reached without any symbolic link: git names `a/b`
 * also when somebody made `a` a link. */
static bool is_there(int dir, const char *path, bool *is_dir)
{
	struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
	struct stat st;
	AUTO_CLOSE int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	if (fd < 0 && errno != ENOSYS)
		return false;
	if ((fd >= 0 ? fstat(fd, &st) : fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW)) < 0)
		return false;
	*is_dir = S_ISDIR(st.st_mode);
	return true;
}

static int add_name(struct packing *p, const char *prefix, const char *name, struct err *err)
{
	AUTO_FREE char *path = xasprintf("./%s%s", prefix, name);
	if (buf_add(&p->names, path, strlen(path) + 1) < 0)
		return err_set(err, ERR_USER, EFBIG, "over %zu MiB of names", NAMES_MAX >> 20);
	return 0;
}

static int add_repository(struct packing *p, const char *prefix, int depth, struct err *err);

/* A directory that git names: a submodule or another repository inside; or one that is not filled. */
static int add_directory(struct packing *p, const char *prefix, const char *name, int depth, struct err *err)
{
	AUTO_FREE char *below = xasprintf("%s%s/", prefix, name);
	AUTO_FREE char *inner_git = xasprintf("%s/%s.git", p->root, below);
	if (add_name(p, prefix, name, err) < 0)
		return -1;
	if (!fs_exists(inner_git))
		return 0;
	if (depth >= MAX_DEPTH)
		return err_set(err, ERR_USER, ELOOP, "%s: repositories are nested too deeply", below);
	return add_repository(p, below, depth + 1, err);
}

/* Adds what git knows or would add in the repository at prefix ("" or "sub/"). */
static int add_repository(struct packing *p, const char *prefix, int depth, struct err *err)
{
	static const char *const list[] = {"ls-files", "-z", "--cached", "--others", "--exclude-standard", NULL};
	AUTO_FREE char *dir = xasprintf("%s/%s", p->root, prefix);
	AUTO_BUF out = buf_make(NAMES_MAX);
	if (buf_add(&p->repos, prefix, strlen(prefix) + 1) < 0)
		return err_set(err, ERR_USER, EFBIG, "%s: too many repositories", dir);
	if (git(p, dir, list, &out, 0, err) < 0)
		return -1;
	AUTO_CLOSE int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, ERR_USER, errno, "%s", dir);
	const char *last = "";
	for (char *name = out.data; name < out.data + out.len; name += strlen(name) + 1) {
		size_t len = strlen(name);
		bool is_dir = false;
		if (strcmp(name, last) == 0) /* a conflict: the same name in several stages */
			continue;
		last = name;
		AUTO_FREE char *plain = xstrndup(name, len > 0 && name[len - 1] == '/' ? len - 1 : len);
		if (!is_there(fd, plain, &is_dir))
			continue;
		if ((is_dir ? add_directory(p, prefix, plain, depth, err) : add_name(p, prefix, plain, err)) < 0)
			return -1;
	}
	return 0;
}

/* ---- the repository ---- */

/* One line of `git rev-parse` that is a path; absolute. */
static int git_path(const struct packing *p, const char *dir, const char *what, struct buf *out, struct err *err)
{
	const char *args[] = {"rev-parse", "--path-format=absolute", what, NULL};
	if (git(p, dir, args, out, 0, err) < 0)
		return -1;
	if (out->len > 0 && out->data[out->len - 1] == '\n')
		out->data[--out->len] = '\0';
	return 0;
}

/* What stands in a directory is stored as prefix + where; hard links are renamed with it, symbolic links keep their
 * target. */
static char *rename_to(const char *prefix, const char *where)
{
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	buf_adds(&out, "--transform=flags=rhS;s,^\\.\\(/\\|$\\),");
	for (const char *c = prefix; *c; c++) {
		if (strchr("\\&,", *c))
			buf_addc(&out, '\\');
		buf_addc(&out, *c);
	}
	buf_addf(&out, "%s\\1,", where);
	return buf_take(&out);
}

/* Keys that must not go along: where the repository lay on this machine, and what could open doors elsewhere. */
static const char *const private_keys[] = {
	"core.worktree", "core.fsmonitor", "core.hookspath", "core.sshcommand", "core.askpass", NULL,
};

/* Unsets every key of the file that matches the expression. */
static int unset_matching(const struct packing *p, const char *file, const char *expression, struct err *err)
{
	const char *list[] = {"config", "--file", file, "-z", "--name-only", "--get-regexp", expression, NULL};
	AUTO_BUF out = buf_make(SMALL_MAX);
	if (git(p, p->root, list, &out, NOT_THERE, err) < 0)
		return -1;
	for (const char *key = out.data; key < out.data + out.len; key += strlen(key) + 1) {
		const char *unset[] = {"config", "--file", file, "--unset-all", key, NULL};
		if (git(p, p->root, unset, NULL, NOT_THERE, err) < 0)
			return -1;
	}
	return 0;
}

/* Takes user and password out of the URLs of remotes. */
static int clean_urls(const struct packing *p, const char *file, struct err *err)
{
	const char *list[] = {"config", "--file", file, "-z", "--get-regexp", "^(remote|submodule)\\..*\\.(push)?url$",
			      NULL};
	AUTO_BUF out = buf_make(SMALL_MAX);
	if (git(p, p->root, list, &out, NOT_THERE, err) < 0)
		return -1;
	/* "key\nvalue\0" */
	for (char *key = out.data, *next; key < out.data + out.len; key = next) {
		next = key + strlen(key) + 1;
		char *value = strchr(key, '\n');
		char *host = value ? strstr(value, "://") : NULL;
		char *at = host ? strchr(host, '@') : NULL;
		if (!at || (size_t)(at - host) > 3 + strcspn(host + 3, "/"))
			continue;
		*value++ = '\0';
		AUTO_FREE char *url = xasprintf("%.*s%s", (int)(host + 3 - value), value, at + 1);
		const char *set[] = {"config", "--file", file, "--replace-all", key, url, NULL};
		if (git(p, p->root, set, NULL, 0, err) < 0)
			return -1;
	}
	return 0;
}

static int clean_config(const struct packing *p, const char *file, struct err *err)
{
	const char *bare[] = {"config", "--file", file, "core.bare", "false", NULL};
	if (git(p, p->root, bare, NULL, 0, err) < 0)
		return -1;
	for (size_t i = 0; private_keys[i]; i++) {
		const char *unset[] = {"config", "--file", file, "--unset-all", private_keys[i], NULL};
		if (git(p, p->root, unset, NULL, NOT_THERE, err) < 0)
			return -1;
	}
	if (unset_matching(p, file, "^(credential\\.|http\\.|include\\.|includeif\\.|url\\.)", err) < 0)
		return -1;
	return clean_urls(p, file, err);
}

/* Stores a cleaned copy of the configuration. */
static int pack_config(const struct packing *p, const char *prefix, const char *common, struct err *err)
{
	AUTO_FREE char *from = xasprintf("%s/config", common);
	AUTO_FREE char *to = xasprintf("%s/config", p->stage);
	AUTO_BUF text = buf_make(SMALL_MAX);
	if ((fs_exists(from) && fs_read(from, SMALL_MAX, &text, err) < 0) ||
	    fs_write(to, text.data, text.len, 0644, err) < 0 || clean_config(p, to, err) < 0)
		return -1;
	AUTO_FREE char *dir = xasprintf("--directory=%s", p->stage);
	AUTO_FREE char *where = rename_to(prefix, ".git");
	const char *args[] = {dir, where, "./config", NULL};
	return tar(p, args, NULL, err);
}

/* Objects that live in other repositories (clones by --shared or --reference): put beside our own. Names of objects and
 * packs are hashes of what is in them, so nothing collides; derived files do and stay away. */
static int pack_borrowed(const struct packing *p, const char *prefix, const char *objects, int *n, int depth,
			 struct err *err)
{
	AUTO_FREE char *list = xasprintf("%s/info/alternates", objects);
	AUTO_BUF text = buf_make(SMALL_MAX);
	if (!fs_exists(list))
		return 0;
	if (depth >= MAX_DEPTH)
		return err_set(err, ERR_USER, ELOOP, "%s: object directories are chained too deeply", list);
	if (fs_read(list, SMALL_MAX, &text, err) < 0)
		return -1;
	char *rest = text.data;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (*line == '\0' || *line == '#')
			continue;
		if (++*n > MAX_BORROWED)
			return err_set(err, ERR_USER, E2BIG, "%s: too many object directories", list);
		AUTO_FREE char *other = *line == '/' ? xstrdup(line) : xasprintf("%s/%s", objects, line);
		AUTO_FREE char *dir = xasprintf("--directory=%s", other);
		AUTO_FREE char *where = rename_to(prefix, ".git/objects");
		const char *args[] = {
			dir, where, "--exclude=./info", "--exclude=./pack/multi-pack-index*", "--exclude=tmp_*",
			".", NULL};
		if (tar(p, args, NULL, err) < 0 || pack_borrowed(p, prefix, other, n, depth + 1, err) < 0)
			return err_ctx(err, "%s", other);
	}
	return 0;
}

/* The directory as `.git`, without these entries. */
static int pack_git_dir(const struct packing *p, const char *prefix, const char *dir, const char *const *without,
			struct err *err)
{
	AUTO_FREE char *from = xasprintf("--directory=%s", dir);
	AUTO_FREE char *where = rename_to(prefix, ".git");
	const char *args[16] = {from, where, "--anchored"};
	size_t n = 3;
	while (*without && n < ARRAY_SIZE(args) - 2)
		args[n++] = *without++;
	args[n] = ".";
	return tar(p, args, NULL, err);
}

/* modules: repositories of submodules; each of them is packed at its own place. */
#define NEVER                                                                                                          \
	"--exclude=./config", "--exclude=./worktrees", "--exclude=./modules", "--exclude=./objects/info/alternates"

static int pack_repository(const struct packing *p, const char *prefix, struct err *err)
{
	static const char *const not_needed[] = {NEVER, "--exclude=./index.lock", NULL};
	/* The same, and what is the main work tree's own. */
	static const char *const not_ours[] = {NEVER,
					       "--exclude=./HEAD",
					       "--exclude=./index*",
					       "--exclude=./logs/HEAD",
					       "--exclude=./*_HEAD",
					       "--exclude=./MERGE_*",
					       "--exclude=./rebase-*",
					       "--exclude=./sequencer",
					       NULL};
	static const char *const only_links[] = {"--exclude=./gitdir",
						 "--exclude=./commondir",
						 "--exclude=./locked",
						 "--exclude=./modules",
						 "--exclude=./config.worktree",
						 "--exclude=./index.lock",
						 NULL};
	AUTO_FREE char *dir = xasprintf("%s/%s", p->root, prefix);
	AUTO_BUF own = buf_make(SAYS_MAX);    /* of this work tree: HEAD, index */
	AUTO_BUF common = buf_make(SAYS_MAX); /* objects, refs */
	if (git_path(p, dir, "--git-dir", &own, err) < 0 || git_path(p, dir, "--git-common-dir", &common, err) < 0)
		return -1;
	bool linked = strcmp(own.data, common.data) != 0;
	AUTO_FREE char *objects = xasprintf("%s/objects", common.data);
	int n = 0;
	if (pack_git_dir(p, prefix, common.data, linked ? not_ours : not_needed, err) < 0 ||
	    (linked && pack_git_dir(p, prefix, own.data, only_links, err) < 0) ||
	    pack_borrowed(p, prefix, objects, &n, 0, err) < 0 || pack_config(p, prefix, common.data, err) < 0)
		return err_ctx(err, "the repository of %s", dir);
	return 0;
}

/* ---- all of it ---- */

static int pack_tree(struct packing *p, bool is_git, struct err *err)
{
	AUTO_FREE char *dir = xasprintf("--directory=%s", p->root);
	const char *everything[] = {dir, ".", NULL};
	const char *listed[] = {dir, "--null", "--verbatim-files-from", "--no-recursion", "--files-from=-", NULL};
	if (!is_git)
		return tar(p, everything, NULL, err);
	if (add_repository(p, "", 0, err) < 0)
		return -1;
	return tar(p, listed, &p->names, err);
}

static int pack_repositories(const struct packing *p, struct err *err)
{
	for (const char *prefix = p->repos.data; prefix < p->repos.data + p->repos.len; prefix += strlen(prefix) + 1)
		if (pack_repository(p, prefix, err) < 0)
			return -1;
	return 0;
}

static int pack(struct packing *p, struct err *err)
{
	AUTO_FREE char *dot_git = xasprintf("%s/.git", p->root);
	bool is_git = fs_exists(dot_git);
	if (pack_tree(p, is_git, err) < 0)
		return -1;
	if (!is_git)
		return 0;
	p->stage = xasprintf("%s.XXXXXX", p->tar_path);
	if (!mkdtemp(p->stage))
		return err_sys(err, ERR_USER, errno, "%s", p->stage);
	int rc = pack_repositories(p, err);
	struct err ignored = ERR_INIT;
	if (fs_remove_tree(p->stage, &ignored) < 0)
		log_warn("source", "%s", ignored.msg);
	return rc;
}

int source_pack(const char *path, const char *tar_path, mono_ms deadline, struct err *err)
{
	struct packing p = {.root = path,
			    .tar_path = tar_path,
			    .deadline = deadline,
			    .names = buf_make(NAMES_MAX),
			    .repos = buf_make(SMALL_MAX)};
	if (!fs_is_dir(path))
		return err_set(err, ERR_USER, ENOTDIR, "%s: not a directory", path);
	/* tar appends to it: an empty file is an empty archive. */
	(void)unlink(tar_path);
	AUTO_CLOSE int fd = open(tar_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, ERR_USER, errno, "%s", tar_path);
	int rc = pack(&p, err);
	buf_finish(&p.names);
	buf_finish(&p.repos);
	free(p.stage);
	if (rc < 0)
		(void)unlink(tar_path);
	return rc < 0 ? err_ctx(err, "packing %s", path) : 0;
}
