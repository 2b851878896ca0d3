/* SPDX-License-Identifier: MIT */
/* A tree is a history of one commit that adds all there is: it goes through the same parser. */
#include "migrations/history_files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/template.h"
#include "base/text.h"
#include "provision/git.h"

#define FILE_MAX ((size_t)4 << 20) /* of a migration that is read for what it says of itself */
#define NO_HASH  "0000000000000000000000000000000000000000"
#define ARGS     (HISTORY_MAX_ERAS * HISTORY_MAX_PATHS + 16)

static size_t add_paths(const struct history_map *map, const char **args, size_t n)
{
	for (const char *const *path = history_map_paths(map); *path; path++)
		args[n++] = *path;
	return n;
}

struct lines {
	struct buf *out;
	const char *version;
};

static void add_line(void *ctx, const char *path, const char *blob)
{
	const struct lines *l = ctx;
	buf_addf(l->out, "%s\t%s\t%s\n", l->version, blob, path);
}

void history_files_of_picks(const struct history *h, const struct history_pick *picks, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		history_files(h, &picks[i], add_line, &(struct lines){out, picks[i].version});
}

/* Parsed, ordered, and told. */
static int tell(struct history *h, struct buf *out, struct err *err)
{
	if (history_order(h, err) < 0)
		return -1;
	for (size_t i = 0; i < history_n(h); i++) {
		struct history_pick p;
		history_pick(h, i, NULL, 0, &p);
		history_files_of_picks(h, &p, 1, out);
	}
	return 0;
}

/* ---- a commit ---- */

/* The name of the tree with nothing in it: another one in repositories of another hash. */
static int empty_tree(const char *repo, char out[GIT_HASH_MAX], mono_ms deadline, struct err *err)
{
	static const char *const args[] = {"hash-object", "-t", "tree", "--stdin", NULL};
	AUTO_BUF text = buf_make(256);
	struct git_call c = {.repo = repo, .args = args, .out = &text, .deadline = deadline};
	if (git_run(&c, err) < 0)
		return -1;
	size_t n = strcspn(text.data, "\n");
	if (!git_is_hash(text.data, n))
		return err_set(err, ERR_USER, 0, "git hash-object: no hash");
	memcpy(out, text.data, n);
	out[n] = '\0';
	return 0;
}

int history_files_of_commit(const struct history_map *map, const char *repo, const char *commit, struct buf *out,
			    mono_ms deadline, struct err *err)
{
	char empty[GIT_HASH_MAX];
	AUTO_BUF log = buf_make(HISTORY_LOG_MAX);
	const char *args[ARGS] = {"diff-tree", "-r", "--raw", "--no-renames", "--no-abbrev", "-z", empty, commit, "--"};
	add_paths(map, args, 9);
	struct git_call c = {.repo = repo, .args = args, .out = &log, .deadline = deadline};
	buf_addf(&log, "\2%s 0 ", commit);
	buf_addc(&log, '\0');
	if (empty_tree(repo, empty, deadline, err) < 0 || git_run(&c, err) < 0)
		return -1;
	CLEANUP(history_freep) struct history *h = history_parse_log(map, commit, log.data, log.len, err);
	return !h || history_read_contents(h, repo, deadline, err) < 0 ? -1 : tell(h, out, err);
}

/* ---- a work tree ---- */

/* Without a repository git is lent an empty one, so that it lists the files by the same rules. */
static int list_files(const struct history_map *map, const char *dir, struct buf *out, mono_ms deadline,
		      struct err *err)
{
	AUTO_FREE char *own = xasprintf("%s/.git", dir);
	if (fs_exists(own)) {
		const char *args[ARGS] = {"ls-files",      "-z", "--cached", "--others", "--exclude-standard",
					  "--deduplicate", "--"};
		add_paths(map, args, 7);
		struct git_call c = {.repo = dir, .args = args, .out = out, .deadline = deadline};
		return git_run(&c, err);
	}
	char lent[] = "/tmp/stepbox-git-XXXXXX";
	if (!mkdtemp(lent))
		return err_sys(err, ERR_USER, errno, "%s", lent);
	AUTO_FREE char *git_dir = xasprintf("--git-dir=%s", lent);
	const char *init[] = {"init", "-q", "--bare", "--template=", lent, NULL};
	const char *args[ARGS] = {git_dir, "--work-tree=.", "ls-files", "-z", "--others", "--"};
	add_paths(map, args, 6);
	struct git_call make = {.args = init, .deadline = deadline};
	struct git_call c = {.repo = dir, .args = args, .out = out, .deadline = deadline};
	int rc = git_run(&make, err) < 0 ? -1 : git_run(&c, err);
	struct err ignored = ERR_INIT;
	if (fs_remove_tree(lent, &ignored) < 0)
		log_warn("source", "%s", ignored.msg);
	return rc;
}

/* Those of the names that are versions and there, one a line. */
static void keep_versions(const struct history_map *map, const char *dir, const struct buf *names, struct buf *out)
{
	char version[HISTORY_VERSION_MAX + 1];
	for (const char *name = names->data; name < names->data + names->len; name += strlen(name) + 1) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
		struct stat st;
		if (history_map_path(map, name, version) >= 0 && lstat(path, &st) == 0 && S_ISREG(st.st_mode))
			buf_addf(out, "%s\n", name);
	}
}

/* Hashes and names, line by line, as a log; and where contents count, these. */
static int make_log(struct buf *names, struct buf *hashes, struct buf *log, struct err *err)
{
	char *name = names->data, *hash = hashes->data, *end;
	buf_addf(log, "\2%s 0 ", NO_HASH);
	buf_addc(log, '\0');
	for (; *name; name = end + 1) {
		size_t n = strcspn(hash, "\n");
		end = strchr(name, '\n');
		if (!end || !git_is_hash(hash, n))
			return err_set(err, ERR_USER, 0, "git hash-object: not as many hashes as files");
		*end = '\0';
		buf_addf(log, ":000000 100644 %s %.*s A", NO_HASH, (int)n, hash);
		buf_addc(log, '\0');
		buf_add(log, name, strlen(name) + 1);
		hash += n + (hash[n] == '\n');
	}
	return 0;
}

/* As `git cat-file --batch` would print them: the files themselves may not be in the repository. */
static int read_contents(const struct history *h, const char *dir, struct buf *out, struct err *err)
{
	AUTO_BUF wanted = buf_make(HISTORY_LOG_MAX);
	history_wanted(h, &wanted);
	for (const char *hash = wanted.data; *hash;) {
		size_t n = strcspn(hash, "\n");
		AUTO_FREE char *one = xstrndup(hash, n);
		AUTO_FREE char *path = xasprintf("%s/%s", dir, history_path_of_blob(h, one));
		AUTO_BUF text = buf_make(FILE_MAX);
		if (fs_read(path, FILE_MAX, &text, err) < 0)
			return -1;
		buf_addf(out, "%s blob %zu\n", one, text.len);
		buf_add(out, text.data, text.len);
		buf_addc(out, '\n');
		hash += n + (hash[n] == '\n');
	}
	return out->overflow ? err_set(err, ERR_USER, EFBIG, "%s: its migrations are too large", dir) : 0;
}

int history_files_of_tree(const struct history_map *map, const char *dir, struct buf *out, mono_ms deadline,
			  struct err *err)
{
	static const char *const args[] = {"hash-object", "--stdin-paths", NULL};
	AUTO_BUF names = buf_make(HISTORY_LOG_MAX);
	AUTO_BUF versions = buf_make(HISTORY_LOG_MAX);
	AUTO_BUF hashes = buf_make(HISTORY_LOG_MAX);
	AUTO_BUF log = buf_make(HISTORY_LOG_MAX);
	AUTO_BUF contents = buf_make(HISTORY_CONTENTS_MAX);
	if (list_files(map, dir, &names, deadline, err) < 0)
		return -1;
	keep_versions(map, dir, &names, &versions);
	if (versions.len == 0)
		return 0;
	struct git_call c = {.repo = dir,
			     .args = args,
			     .input = versions.data,
			     .input_len = versions.len,
			     .out = &hashes,
			     .deadline = deadline};
	if (git_run(&c, err) < 0 || make_log(&versions, &hashes, &log, err) < 0)
		return -1;
	CLEANUP(history_freep) struct history *h = history_parse_log(map, NO_HASH, log.data, log.len, err);
	if (!h || read_contents(h, dir, &contents, err) < 0 ||
	    history_parse_contents(h, contents.data, contents.len, err) < 0)
		return -1;
	return tell(h, out, err);
}

/* ---- on a box ---- */

#define DELIMITER '\1' /* of sed's s: in no expression of an adapter */

/* The script for sed: from "blob<TAB>path" to "version<TAB>blob<TAB>path". */
static void add_program(const json_t *era, struct buf *out)
{
	const json_t *v;
	size_t i;
	const char *skip = json_string_value(json_object_get(era, "skip"));
	const char *version = json_string_value(json_object_get(era, "version"));
	const char *order = json_string_value(json_object_get(era, "order"));
	/* The first t forgets that this substitution was one. */
	buf_adds(out, "h\ns/^[^\t]*\t/\\//\nt names\n:names\n");
	if (skip && *skip)
		buf_addf(out, "\\%c%s%cd\n", DELIMITER, skip, DELIMITER);
	json_array_foreach (json_object_get(era, "name"), i, v) {
		buf_addf(out, "s%c%s%c\\n%s\\n%c\nt found\n", DELIMITER, json_string_value(v), DELIMITER,
			 version ? version : "\\1", DELIMITER);
	}
	buf_adds(out, "d\n:found\ns/^.*\\n(.*)\\n.*$/\\1/\n/^$/d\n/[[:cntrl:] ]/d\n");
	if (order && strcmp(order, "number") == 0)
		buf_adds(out, "s/^0+([0-9]+)$/\\1/\n");
	buf_adds(out, "G\ns/\\n/\t/\np\n");
}

static void assign(struct buf *out, const char *name, const char *value)
{
	buf_addf(out, "%s=", name);
	text_shell_quote(out, value);
	buf_addc(out, '\n');
}

int history_files_command(const json_t *spec, struct buf *out, struct err *err)
{
	const json_t *era, *path;
	size_t i, k;
	if (template_file("tasks/files.sh", out, err) < 0)
		return -1;
	json_array_foreach (spec, i, era) {
		AUTO_BUF program = buf_make(BUF_TEXT_MAX);
		const char *order = json_string_value(json_object_get(era, "order"));
		add_program(era, &program);
		assign(out, "PROGRAM", program.data);
		buf_adds(out, order && strcmp(order, "alembic") == 0 ? "by_content" : "by_name");
		json_array_foreach (json_object_get(era, "paths"), k, path) {
			buf_addc(out, ' ');
			text_shell_quote(out, json_string_value(path));
		}
		buf_addc(out, '\n');
	}
	return 0;
}
