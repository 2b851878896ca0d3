/* SPDX-License-Identifier: MIT */
#include "cmd/compile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/template.h"
#include "base/text.h"
#include "cmd/lineage.h"
#include "cmd/recipe_data.h"
#include "migrations/history_files.h"
#include "provision/git.h"
#include "provision/source.h"

#define MAX_WORDS          2000
#define PACKAGES_TIMEOUT_S 3600
#define SOURCE_TIMEOUT_S   3600
#define DATABASE_TIMEOUT_S 600
#define READY_TIMEOUT_S    900
#define FILES_MS           60000 /* for listing the files of the versions of a local source */

struct compiler {
	const struct recipe *r;
	struct plan *plan;
	json_t *vars; /* database.url, source.dir, name … */
	char dir[64]; /* the checkout on the box */
	/* match: commit */
	struct lineage lineage;
	struct buf commits; /* of the recipe's range, each once */
	struct buf *refill; /* files are written again: their commands come here */
};

static int add_vars(struct compiler *c, struct err *err)
{
	snprintf(c->dir, sizeof(c->dir), "/srv/%s", c->r->name);
	c->vars = json_pack("{s:s, s:s}", "name", c->r->name, "source.dir", c->dir);
	return adapter_database_vars(c->r->db_adapter, c->vars, err);
}

static int fill(const struct compiler *c, const char *where, const char *text, struct buf *out, struct err *err)
{
	if (template_fill(out, text, c->vars, err) < 0)
		return err_ctx(err, "%s: %s", c->r->y.name, where);
	return 0;
}

static void add_env_of(struct compiler *c, const json_t *env, const json_t *unless, struct err *err, int *rc)
{
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)env, name, value) {
		AUTO_BUF text = buf_make(BUF_TEXT_MAX);
		if (*rc < 0 || !json_is_string(value) || (unless && json_object_get(unless, name)))
			continue;
		AUTO_FREE char *where = xasprintf("env: %s", name);
		*rc = fill(c, where, json_string_value(value), &text, err);
		if (*rc == 0)
			plan_env(c->plan, name, text.data);
	}
}

/* The recipe's own words win over the adapter's, and both over DATABASE_URL, which most tools read. */
static int add_env(struct compiler *c, struct err *err)
{
	int rc = 0;
	const json_t *mine = json_object_get(c->r->y.root, "env");
	const char *url = json_string_value(json_object_get(c->vars, "database.url"));
	if (c->r->proxy) {
		plan_env(c->plan, "http_proxy", c->r->proxy);
		plan_env(c->plan, "https_proxy", c->r->proxy);
		plan_env(c->plan, "no_proxy", "localhost,127.0.0.1,::1");
	}
	if (url && !json_object_get(mine, "DATABASE_URL"))
		plan_env(c->plan, "DATABASE_URL", url);
	if (c->r->tool_adapter)
		add_env_of(c, json_object_get(adapter_json(c->r->tool_adapter), "env"), mine, err, &rc);
	add_env_of(c, mine, NULL, err, &rc);
	return rc;
}

static void add_word(struct buf *words, const char *word)
{
	AUTO_FREE char *spaced = xasprintf(" %s ", word);
	AUTO_FREE char *all = xasprintf(" %s ", words->data);
	if (!strstr(all, spaced))
		buf_addf(words, "%s%s", words->len ? " " : "", word);
}

/* The recipe's packages, the database's, and git when the box clones. */
static void collect_packages(const struct recipe *r, struct buf *words)
{
	const char *list[MAX_WORDS];
	size_t n = recipe_list(r, "packages", list, MAX_WORDS), i;
	json_t *p;
	for (i = 0; i < n; i++)
		add_word(words, list[i]);
	json_array_foreach (json_object_get(adapter_json(r->db_adapter), "packages"), i, p) {
		add_word(words, json_string_value(p));
	}
	if (r->git || r->match_commit)
		add_word(words, "git");
	if (r->git && !r->local_path)
		add_word(words, "ca-certificates");
}

static int add_task_file(struct compiler *c, const char *file, struct buf *command, struct err *err)
{
	(void)c;
	AUTO_FREE char *name = xasprintf("tasks/%s", file);
	return template_file(name, command, err);
}

static void assign(struct buf *command, const char *name, const char *value)
{
	buf_addf(command, "%s=", name);
	text_shell_quote(command, value);
	buf_addc(command, '\n');
}

/* A box of a cloud lets us in before cloud-init has come to its end. */
static int add_ready(struct compiler *c, struct err *err)
{
	char limit[24];
	AUTO_BUF command = buf_make(BUF_TEXT_MAX);
	if (!cloud_is_remote(c->r->box.cloud))
		return 0;
	snprintf(limit, sizeof(limit), "%d", READY_TIMEOUT_S - 10);
	assign(&command, "TIMEOUT", limit);
	if (add_task_file(c, "ready.sh", &command, err) < 0)
		return -1;
	plan_task(c->plan, COMPILE_READY, "cloud-init done", "", command.data, READY_TIMEOUT_S);
	return 0;
}

int compile_packages(const struct recipe *r, struct buf *command, struct buf *title, struct err *err)
{
	AUTO_BUF words = buf_make(BUF_TEXT_MAX);
	collect_packages(r, &words);
	if (!words.len)
		return 0;
	assign(command, "PACKAGES", words.data);
	text_safe_line(title, words.data, words.len, 60);
	return template_file("tasks/packages.sh", command, err) < 0 ? -1 : 1;
}

static int add_packages(struct compiler *c, struct err *err)
{
	AUTO_BUF command = buf_make(BUF_TEXT_MAX);
	AUTO_BUF words = buf_make(BUF_TEXT_MAX);
	int any = compile_packages(c->r, &command, &words, err);
	if (any < 1)
		return any;
	AUTO_FREE char *title = xasprintf("install %s", words.data);
	plan_task(c->plan, "packages", title, "", command.data, PACKAGES_TIMEOUT_S);
	return 0;
}

/* A work tree's own state is no commit: with match: commit it goes as a repository does. */
static bool is_packed_git(const struct recipe *r)
{
	return r->git || r->match_commit;
}

static int add_source(struct compiler *c, struct err *err)
{
	const struct recipe *r = c->r;
	AUTO_BUF command = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *title = NULL;
	if (!r->git && !r->path)
		return 0;
	assign(&command, "DIR", c->dir);
	if (r->local_path) {
		assign(&command, "CHECKOUT", is_packed_git(r) ? "1" : "0");
		title = r->git ? xasprintf("%s, %s", r->git, r->ref ? r->ref : "HEAD")
			       : xasprintf("%s as it is", r->path);
		if (add_task_file(c, "source-tar.sh", &command, err) < 0)
			return -1;
	} else {
		char depth[24] = "";
		if (r->depth)
			snprintf(depth, sizeof(depth), "%lld", (long long)r->depth);
		assign(&command, "URL", r->git);
		assign(&command, "REF", r->ref ? r->ref : "");
		assign(&command, "DEPTH", depth);
		assign(&command, "COMMITS", c->commits.data);
		title = xasprintf("clone %s, %s", r->git, r->ref ? r->ref : "HEAD");
		if (add_task_file(c, "source-git.sh", &command, err) < 0)
			return -1;
	}
	plan_task(c->plan, "source", title, "", command.data, SOURCE_TIMEOUT_S);
	return 0;
}

static bool is_inside(const struct compiler *c, const char *path)
{
	size_t n = strlen(c->dir);
	return *path != '/' || (strncmp(path, c->dir, n) == 0 && path[n] == '/');
}

static int add_file(struct compiler *c, const char *path, const json_t *v, struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	AUTO_BUF filled = buf_make(BUF_TEXT_MAX);
	const char *content = json_string_value(json_is_string(v) ? v : json_object_get(v, "content"));
	const char *file = json_string_value(json_object_get(v, "template"));
	const char *mode = json_string_value(json_object_get(v, "mode"));
	if (file) {
		AUTO_FREE char *local = *file == '/' ? xstrdup(file) : xasprintf("%s/%s", c->r->dir, file);
		if (fs_read(local, YAML_MAX_BYTES, &text, err) < 0)
			return err_ctx(err, "%s: files: %s", c->r->y.name, path);
		content = text.data;
	}
	AUTO_FREE char *where = xasprintf("files: %s", path);
	if (fill(c, where, content, &filled, err) < 0)
		return -1;
	AUTO_FREE char *full = *path == '/' ? xstrdup(path) : xasprintf("%s/%s", c->dir, path);
	unsigned bits = mode ? (unsigned)strtoul(mode, NULL, 8) : 0644;
	if (c->refill) {
		AUTO_FREE char *again =
			is_inside(c, path) ? plan_file_command(full, bits, filled.data, filled.len) : NULL;
		buf_addf(c->refill, "%s", again ? again : "");
	} else {
		plan_file(c->plan, full, bits, filled.data, filled.len);
	}
	return 0;
}

static int add_files(struct compiler *c, struct err *err)
{
	const char *path;
	json_t *v;
	json_object_foreach (json_object_get(c->r->y.root, "files"), path, v) {
		if (add_file(c, path, v, err) < 0)
			return -1;
	}
	return 0;
}

static int add_database(struct compiler *c, struct err *err)
{
	AUTO_BUF command = buf_make(BUF_TEXT_MAX);
	const char *start = adapter_get(c->r->db_adapter, "start");
	if (!start)
		return 0;
	if (fill(c, "database", start, &command, err) < 0)
		return -1;
	AUTO_FREE char *title = xasprintf("start %s", c->r->engine);
	plan_task(c->plan, "database", title, "", command.data, DATABASE_TIMEOUT_S);
	return 0;
}

static void setup_title(const char *command, struct buf *title)
{
	text_safe_line(title, command, strcspn(command, "\n"), 70);
}

/* Tasks; those that are for some versions are the walk's. */
static int add_setup(struct compiler *c, struct err *err)
{
	AUTO_FREE struct recipe_setup *list = xcalloc(MAX_WORDS, sizeof(*list));
	size_t n = recipe_setups(c->r, list, MAX_WORDS);
	for (size_t i = 0; i < n; i++) {
		AUTO_BUF command = buf_make(BUF_TEXT_MAX);
		AUTO_BUF title = buf_make(BUF_TEXT_MAX);
		if (list[i].from)
			continue;
		if (fill(c, "setup", list[i].run, &command, err) < 0)
			return -1;
		setup_title(command.data, &title);
		AUTO_FREE char *wiped = c->r->match_commit ? plan_wiped(i + 1, command.data) : NULL;
		plan_task(c->plan, "setup", title.data, c->r->git || c->r->path ? c->dir : "",
			  wiped ? wiped : command.data, c->r->setup_timeout_s);
	}
	return 0;
}

/* What is run before some of the steps: setup commands for versions, and those that a checkout may wipe. The texts live
 * in keep. */
static int collect_setups(const struct compiler *c, struct plan_setup *out, size_t *n_out, json_t *keep,
			  struct err *err)
{
	AUTO_FREE struct recipe_setup *list = xcalloc(MAX_WORDS, sizeof(*list));
	size_t n = recipe_setups(c->r, list, MAX_WORDS);
	for (size_t i = 0; i < n; i++) {
		AUTO_BUF command = buf_make(BUF_TEXT_MAX);
		AUTO_BUF title = buf_make(BUF_TEXT_MAX);
		if (!list[i].from && !c->r->match_commit)
			continue;
		if (fill(c, "setup", list[i].run, &command, err) < 0)
			return -1;
		setup_title(command.data, &title);
		AUTO_FREE char *wiped = plan_wiped(i + 1, command.data);
		json_t *texts = json_pack("[s, s]", title.data, wiped);
		json_array_append_new(keep, texts);
		out[(*n_out)++] = (struct plan_setup){
			.n = i + 1,
			.from = list[i].from ? list[i].from : "base",
			.to = list[i].to ? list[i].to : "head",
			.title = json_string_value(json_array_get(texts, 0)),
			.command = json_string_value(json_array_get(texts, 1)),
			.done = !list[i].from,
		};
	}
	return 0;
}

/* The command that puts the checkout at $COMMIT. */
static int add_checkout(struct compiler *c, struct buf *out, struct err *err)
{
	const char *file = json_string_value(json_object_get(c->vars, "database.file"));
	assign(out, "KEEP", file && is_inside(c, file) ? file : "");
	if (template_file("tasks/checkout.sh", out, err) < 0)
		return -1;
	c->refill = out;
	int rc = add_files(c, err);
	c->refill = NULL;
	return rc;
}

/* "VERSION COMMIT" lines for the whole line: the walk may be made longer by `stepbox step`. */
static void add_commits(const struct compiler *c, struct buf *out)
{
	for (size_t i = 0; i < c->lineage.n; i++)
		buf_addf(out, "%s %s\n", c->lineage.picks[i].version, c->lineage.picks[i].commit);
}

static int open_lineage(struct compiler *c, const char *to, struct err *err)
{
	if (!c->r->match_commit || !c->r->tool)
		return 0;
	if (lineage_open(&c->lineage, c->r, to, false, clock_deadline(LINEAGE_LIMIT_MS), err) < 0)
		return err_ctx(err, "match: commit");
	lineage_commits(&c->lineage, &c->commits);
	return 0;
}

/* The files of the versions as they are here, as lines. */
static int files_here(const struct compiler *c, const json_t *spec, struct buf *out, struct err *err)
{
	const struct recipe *r = c->r;
	char commit[GIT_HASH_MAX];
	mono_ms deadline = clock_deadline(FILES_MS);
	CLEANUP(history_map_freep) struct history_map *map = history_map_new(spec, err);
	if (!map)
		return -1;
	if (r->path)
		return history_files_of_tree(map, r->local_path, out, deadline, err);
	return git_resolve(r->local_path, r->ref, commit, deadline, err) < 0
		       ? -1
		       : history_files_of_commit(map, r->local_path, commit, out, deadline, err);
}

/* The command that tells them: what is known here goes along as it is, of a remote source the box knows. */
static int add_version_files(const struct compiler *c, struct buf *out, struct err *err)
{
	json_t *spec;
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	struct err why = ERR_INIT;
	int rc = lineage_spec(c->r, &spec, err);
	if (rc < 1)
		return rc;
	if (c->r->match_commit)
		history_files_of_picks(c->lineage.history, c->lineage.picks, c->lineage.n, &lines);
	else if (!c->r->local_path)
		rc = history_files_command(spec, out, err);
	else if ((rc = files_here(c, spec, &lines, &why)) < 0 && why.reach != ERR_CANCELED)
		log_warn("source", "the files of the versions are not known: %s", why.msg);
	json_decref(spec);
	if (why.reach == ERR_CANCELED)
		*err = why;
	if (lines.len && !lines.overflow)
		buf_addf(out, "cat <<'STEPBOX_FILES'\n%sSTEPBOX_FILES\n", lines.data);
	return rc < 0 && (why.reach == ERR_NONE || why.reach == ERR_CANCELED) ? -1 : 0;
}

/* With match: commit the versions come from the history: no commit lists them all. */
#define LIST_OF_COMMITS "cut -d' ' -f1 \"$STEPBOX_DIR/commits\""

static int add_walk(struct compiler *c, const char *from, const char *to, struct err *err)
{
	struct plan_walk w = {0};
	json_t *keep = NULL, *texts = json_array();
	AUTO_BUF checkout = buf_make(BUF_TEXT_MAX);
	AUTO_BUF commits = buf_make(BUF_TEXT_MAX);
	AUTO_BUF files = buf_make(BUF_TEXT_MAX);
	AUTO_FREE struct plan_setup *setups = xcalloc(MAX_WORDS, sizeof(*setups));
	int rc = adapter_walk(c->r->tool_adapter, c->r->db_adapter, c->vars, &w, &keep, err);
	if (rc < 0)
		err_ctx(err, "%s", c->r->y.name);
	if (rc == 0)
		rc = collect_setups(c, setups, &w.n_setups, texts, err);
	if (rc == 0 && c->r->match_commit && (rc = add_checkout(c, &checkout, err)) == 0) {
		add_commits(c, &commits);
		w.checkout = checkout.data;
		w.commits = commits.data;
		w.list = LIST_OF_COMMITS;
		w.branched = history_is_branched(c->lineage.history, c->lineage.line, c->lineage.n);
		for (size_t i = 0; i < w.n_variants; i++)
			w.variants[i].list = NULL;
	}
	/* A box that stays may have been given another source since. */
	if (rc == 0 && strcmp(from, "current") != 0 && (rc = add_version_files(c, &files, err)) == 0 && files.len)
		w.files = files.data;
	if (rc == 0) {
		w.dir = c->dir;
		w.from = from;
		w.to = to;
		w.timeout_s = c->r->step_timeout_s;
		w.setups = setups;
		rc = recipe_data_walk(c->r, c->vars, &w, keep, err);
		w.roundtrip &= strcmp(from, "current") != 0; /* `step` goes where it is told to */
		if (rc == 0)
			plan_set_walk(c->plan, &w);
		free((void *)(uintptr_t)w.before);
	}
	json_decref(keep);
	json_decref(texts);
	return rc;
}

static int add_provision(struct compiler *c, struct err *err)
{
	return add_ready(c, err) < 0 || add_packages(c, err) < 0 || add_source(c, err) < 0 || add_files(c, err) < 0 ||
			       add_database(c, err) < 0 || add_setup(c, err) < 0
		       ? -1
		       : 0;
}

struct plan *compile(const struct recipe *r, enum compile_what what, const char *to, struct err *err)
{
	CLEANUP(plan_freep) struct plan *plan = plan_new(r->name);
	struct compiler c = {.r = r, .plan = plan, .commits = buf_make(BUF_TEXT_MAX)};
	int rc = add_vars(&c, err);
	if (rc == 0)
		rc = open_lineage(&c, to, err);
	if (rc == 0)
		rc = add_env(&c, err);
	if (rc == 0 && what != COMPILE_WALK)
		rc = add_provision(&c, err);
	if (rc == 0 && what == COMPILE_ALL && r->tool)
		rc = add_walk(&c, r->from, to ? to : r->to, err);
	if (rc == 0 && what == COMPILE_WALK)
		rc = r->tool ? add_walk(&c, "current", to ? to : r->to, err)
			     : err_set(err, ERR_USER, 0, "%s: the recipe has no migrations", r->name);
	json_decref(c.vars);
	lineage_finish(&c.lineage);
	buf_finish(&c.commits);
	return rc == 0 ? TAKE(plan) : NULL;
}

char *compile_fill(const struct recipe *r, const char *text, struct err *err)
{
	struct compiler c = {.r = r};
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	int rc = add_vars(&c, err);
	if (rc == 0)
		rc = fill(&c, "question", text, &out, err);
	json_decref(c.vars);
	return rc == 0 ? buf_take(&out) : NULL;
}

/* What is not committed does not go along with match: commit; that is said. */
static int tell_uncommitted(const struct recipe *r, mono_ms deadline, struct err *err)
{
	static const char *const args[] = {"status", "--porcelain", "--untracked-files=normal", NULL};
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	struct git_call c = {.repo = r->local_path, .args = args, .out = &out, .deadline = deadline};
	if (git_run(&c, err) < 0)
		return -1;
	if (out.len)
		log_warn("source", "%s: what is not committed stays here: with match: commit the code of commits runs",
			 r->path);
	return 0;
}

/* A shallow one has to have the commits of the walk, too. */
static int pack_git(const struct recipe *r, const char *path, mono_ms deadline, struct err *err)
{
	AUTO_BUF commits = buf_make(BUF_TEXT_MAX);
	CLEANUP(lineage_freep) struct lineage l = {0};
	if (r->match_commit && r->tool && r->depth) {
		if (lineage_open(&l, r, NULL, false, deadline, err) < 0)
			return -1;
		lineage_commits(&l, &commits);
	}
	if (r->path && tell_uncommitted(r, deadline, err) < 0)
		return -1;
	return source_pack_git(r->local_path, r->ref, r->depth, commits.data, path, deadline, err);
}

int compile_payload(const struct recipe *r, int *fd, mono_ms deadline, struct err *err)
{
	*fd = -1;
	if (!r->local_path)
		return 0;
	const char *tmp = getenv("TMPDIR");
	AUTO_FREE char *path = xasprintf("%s/stepbox-source-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
	AUTO_CLOSE int made = mkstemp(path);
	if (made < 0)
		return err_sys(err, ERR_USER, errno, "%s", path);
	int rc = is_packed_git(r) ? pack_git(r, path, deadline, err) : source_pack(r->local_path, path, deadline, err);
	if (rc == 0 && (*fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		rc = err_sys(err, ERR_USER, errno, "%s", path);
	unlink(path);
	return rc < 0 ? err_ctx(err, "source") : 0;
}
