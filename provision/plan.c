/* SPDX-License-Identifier: MIT */
#include "provision/plan.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/template.h"
#include "base/text.h"

#define FILE_TIMEOUT_S 60
#define BASE64_LINE    76
#define TITLE_SHOWN    72 /* bytes of a title in the list, before "…" */
#define TITLE_COLUMN   44 /* timeouts begin behind it; longer titles push theirs to the right */
#define MAX_TASKS      10000

struct task {
	char *kind, *title, *dir, *command;
	int64_t timeout_s;
	bool question; /* behind the walk */
	/* A file: */
	char *path;
	unsigned mode;
	char *data;
	size_t len;
};

struct plan {
	char *run;
	char **env; /* "NAME=VALUE" */
	size_t n_env;
	struct task *tasks;
	size_t n_tasks;
	bool has_walk;
	struct plan_walk walk;
};

/* The strings of struct plan_walk and its variants, to copy, free, print and write them all alike. */
#define WALK_TEXTS(X)                                                                                                  \
	X(tool)                                                                                                        \
	X(engine)                                                                                                      \
	X(dir)                                                                                                         \
	SNIPPETS(X)                                                                                                    \
	X(save)                                                                                                        \
	X(restore)                                                                                                     \
	X(seed) X(interpreter) X(harness) X(from) X(to) X(checkout) X(commits) X(files) X(refused) X(env_failed)
#define SNIPPETS(X)      X(list) X(up) X(down) X(current) X(look) X(warm)
#define VARIANT_TEXTS(X) X(name) X(when) SNIPPETS(X)
#define SCRIPT_TEXTS(X)                                                                                                \
	X(tool)                                                                                                        \
	X(dir) SNIPPETS(X) X(save) X(restore) X(seed) X(interpreter) X(from) X(to) X(checkout) X(commits) X(files)

struct plan *plan_new(const char *run)
{
	struct plan *p = xcalloc(1, sizeof(*p));
	p->run = xstrdup(run);
	return p;
}

static void drop(const char *text)
{
	/* The walk's strings are const for those who fill it in; these are our own copies. */
	free((void *)(uintptr_t)text);
}

static void walk_drop(struct plan_walk *w)
{
#define X(field) drop(w->field);
	WALK_TEXTS(X);
#undef X
	for (size_t i = 0; i < w->n_variants; i++) {
#define X(field) drop(w->variants[i].field);
		VARIANT_TEXTS(X);
#undef X
	}
	for (size_t i = 0; i < w->n_before; i++) {
		drop(w->before[i].version);
		drop(w->before[i].command);
	}
	free((void *)(uintptr_t)w->before);
	for (size_t i = 0; i < w->n_setups; i++) {
		drop(w->setups[i].from);
		drop(w->setups[i].to);
		drop(w->setups[i].title);
		drop(w->setups[i].command);
	}
	free((void *)(uintptr_t)w->setups);
	*w = (struct plan_walk){0};
}

static void copy_before(struct plan_walk *to, const struct plan_walk *from)
{
	struct plan_before *before = from->n_before ? xcalloc(from->n_before, sizeof(*before)) : NULL;
	for (size_t i = 0; i < from->n_before; i++) {
		before[i].version = xstrdup(from->before[i].version);
		before[i].command = xstrdup(from->before[i].command);
	}
	to->before = before;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_env; i++)
		free(p->env[i]);
	free(p->env);
	for (size_t i = 0; i < p->n_tasks; i++) {
		struct task *t = &p->tasks[i];
		free(t->kind);
		free(t->title);
		free(t->dir);
		free(t->command);
		free(t->path);
		free(t->data);
	}
	free(p->tasks);
	walk_drop(&p->walk);
	free(p->run);
	free(p);
}

void plan_freep(struct plan **p)
{
	plan_free(*p);
	*p = NULL;
}

void plan_env(struct plan *p, const char *name, const char *value)
{
	assert(name[0] != '\0' && !strchr(name, '='));
	size_t len = strlen(name);
	char *pair = xasprintf("%s=%s", name, value);
	for (size_t i = 0; i < p->n_env; i++) {
		if (strncmp(p->env[i], pair, len + 1) == 0) {
			free(p->env[i]);
			p->env[i] = pair;
			return;
		}
	}
	p->env = xrealloc(p->env, p->n_env + 1, sizeof(*p->env));
	p->env[p->n_env++] = pair;
}

static struct task *task_add(struct plan *p, const char *kind, const char *title, const char *dir, int64_t timeout_s)
{
	assert(p->n_tasks < MAX_TASKS);
	assert(kind[0] != '\0' && kind[strcspn(kind, " \n")] == '\0'); /* a value in the journal */
	p->tasks = xrealloc(p->tasks, p->n_tasks + 1, sizeof(*p->tasks));
	struct task *t = &p->tasks[p->n_tasks++];
	*t = (struct task){
		.kind = xstrdup(kind),
		.title = xstrdup(title),
		.dir = xstrdup(dir && dir[0] ? dir : "/"),
		.timeout_s = timeout_s > 0 ? timeout_s : 1, /* 0 would mean "for ever" to timeout(1) */
	};
	return t;
}

void plan_task(struct plan *p, const char *kind, const char *title, const char *dir, const char *command,
	       int64_t timeout_s)
{
	task_add(p, kind, title, dir, timeout_s)->command = xstrdup(command);
}

void plan_question(struct plan *p, const char *title, const char *dir, const char *command, int64_t timeout_s)
{
	struct task *t = task_add(p, "question", title, dir, timeout_s);
	t->command = xstrdup(command);
	t->question = true;
}

static void base64_lines(struct buf *out, const void *data, size_t len)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	base64_encode(&text, data, len);
	for (size_t at = 0; at < text.len; at += BASE64_LINE) {
		size_t n = text.len - at < BASE64_LINE ? text.len - at : BASE64_LINE;
		buf_add(out, text.data + at, n);
		buf_addc(out, '\n');
	}
}

/* The mode is set before the bytes are there: a secret is never readable in between. */
char *plan_file_command(const char *path, unsigned mode, const void *data, size_t len)
{
	AUTO_BUF cmd = buf_make(BUF_TEXT_MAX);
	AUTO_BUF quoted = buf_make(BUF_TEXT_MAX);
	text_shell_quote(&quoted, path);
	const char *slash = strrchr(path, '/');
	if (slash && slash != path) {
		AUTO_FREE char *parent = xstrndup(path, (size_t)(slash - path));
		buf_adds(&cmd, "mkdir -p -- ");
		text_shell_quote(&cmd, parent);
		buf_addc(&cmd, '\n');
	}
	buf_addf(&cmd, "(umask 077 && : >>%s)\nchmod %04o -- %s\nbase64 -d >%s <<'.'\n", quoted.data, mode & 07777,
		 quoted.data, quoted.data);
	base64_lines(&cmd, data, len);
	buf_adds(&cmd, ".\n");
	assert(!cmd.overflow && !quoted.overflow); /* recipes are at most YAML_MAX_BYTES */
	return buf_take(&cmd);
}

void plan_file(struct plan *p, const char *path, unsigned mode, const void *data, size_t len)
{
	AUTO_FREE char *title = xasprintf("write %s (%zu bytes)", path, len);
	struct task *t = task_add(p, "file", title, "", FILE_TIMEOUT_S);
	t->command = plan_file_command(path, mode, data, len);
	t->path = xstrdup(path);
	t->mode = mode & 07777;
	t->data = xmemdup(data, len);
	t->len = len;
}

/* Any change of the tree, deletions included, leaves a directory or a file with a newer status than the mark. The nap
 * is longer than the clock of file systems is coarse. */
char *plan_wiped(size_t n, const char *command)
{
	return xasprintf(
		"stepbox_mark=${STEPBOX_DIR%%/*}/state/setup.%zu\n"
		"mkdir -p \"${stepbox_mark%%/*}\"\n: >\"$stepbox_mark.new\"\nsleep 0.02\n(\n%s\n)\n"
		"if [ -n \"$(find . -path ./.git -prune -o -cnewer \"$stepbox_mark.new\" -print -quit)\" ]; then\n"
		"\tmv \"$stepbox_mark.new\" \"$stepbox_mark\"\nelse\n"
		"\trm -f \"$stepbox_mark\" \"$stepbox_mark.new\"\nfi",
		n, command);
}

static const struct plan_setup *copy_setups(const struct plan_walk *w)
{
	struct plan_setup *all = xcalloc(w->n_setups + 1, sizeof(*all));
	for (size_t i = 0; i < w->n_setups; i++)
		all[i] = (struct plan_setup){.n = w->setups[i].n,
					     .from = xstrdup(w->setups[i].from),
					     .to = xstrdup(w->setups[i].to),
					     .title = xstrdup(w->setups[i].title),
					     .command = xstrdup(w->setups[i].command),
					     .done = w->setups[i].done};
	return all;
}

void plan_set_walk(struct plan *p, const struct plan_walk *w)
{
	assert(w->n_variants <= ARRAY_SIZE(w->variants));
	walk_drop(&p->walk);
	p->walk = *w;
	if (p->walk.timeout_s <= 0)
		p->walk.timeout_s = 1;
	p->has_walk = true;
	copy_before(&p->walk, w);
	p->walk.setups = copy_setups(w);
#define X(field) p->walk.field = xstrdup(w->field);
	WALK_TEXTS(X);
#undef X
	for (size_t i = 0; i < w->n_variants; i++) {
#define X(field) p->walk.variants[i].field = xstrdup(w->variants[i].field);
		VARIANT_TEXTS(X);
#undef X
	}
}

size_t plan_n_tasks(const struct plan *p)
{
	return p->n_tasks;
}

const char *plan_task_title(const struct plan *p, size_t n)
{
	return n >= 1 && n <= p->n_tasks ? p->tasks[n - 1].title : "";
}

/* --- for people --- */

/* Text indented by a tab, made safe for a terminal. */
static void print_indented(struct buf *out, const char *text, size_t len)
{
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	text_safe(&safe, text, len);
	for (const char *line = safe.data; *line;) {
		size_t n = strcspn(line, "\n");
		if (n > 0)
			buf_adds(out, "        ");
		buf_add(out, line, n);
		buf_addc(out, '\n');
		line += n + (line[n] == '\n');
	}
}

static void print_task(const struct task *t, size_t n, int number_width, int kind_width, bool verbose, struct buf *out)
{
	AUTO_BUF title = buf_make(BUF_TEXT_MAX);
	text_safe_line(&title, t->title, strlen(t->title), TITLE_SHOWN);
	char span[32];
	clock_span(t->timeout_s * 1000, span);
	size_t width = text_columns(title.data);
	int pad = width < TITLE_COLUMN ? (int)(TITLE_COLUMN - width) : 0;
	buf_addf(out, "%*zu  %-*s  %s%*s  (%s)\n", number_width, n, kind_width, t->kind, title.data, pad, "", span);
	if (!verbose)
		return;
	if (t->path) {
		print_indented(out, t->data, t->len);
		return;
	}
	if (strcmp(t->dir, "/") != 0) {
		AUTO_FREE char *where = xasprintf("in %s:", t->dir);
		print_indented(out, where, strlen(where));
	}
	print_indented(out, t->command, strlen(t->command));
}

static void print_snippet(struct buf *out, const char *prefix, const char *name, const char *text)
{
	if (!text)
		return;
	buf_addf(out, "    %s%s:\n", prefix, name);
	print_indented(out, text, strlen(text));
}

/* With which code, and what is done before some of the steps. */
static void print_code(const struct plan_walk *w, struct buf *out)
{
	size_t lines = 0, commits = 0;
	const char *before = "";
	for (const char *p = w->commits; p && *p; lines++) {
		size_t n = strcspn(p, "\n"), name = strcspn(p, " \n");
		const char *commit = p + name;
		commits += n - name != strcspn(before, "\n") || strncmp(commit, before, n - name) != 0;
		before = commit;
		p += n + (p[n] == '\n');
	}
	if (w->commits)
		buf_addf(out, "    each version with the code that went with it: %zu versions, %zu commits\n", lines,
			 commits);
	for (size_t i = 0; i < w->n_setups; i++) {
		if (w->setups[i].done)
			continue;
		AUTO_FREE char *line = xasprintf("    from %s to %s: ", w->setups[i].from, w->setups[i].to);
		text_safe_line(out, line, strlen(line), SIZE_MAX);
		text_safe_line(out, w->setups[i].title, strlen(w->setups[i].title), TITLE_SHOWN);
		buf_addc(out, '\n');
	}
}

static void print_walk(const struct plan_walk *w, bool verbose, struct buf *out)
{
	char span[32];
	clock_span(w->timeout_s * 1000, span);
	AUTO_FREE char *line = xasprintf("then: walk %s on %s from %s to %s%s", w->tool, w->engine, w->from, w->to,
					 w->roundtrip ? ", at each version up, down and up again" : "");
	text_safe_line(out, line, strlen(line), SIZE_MAX);
	buf_addf(out, "  (%s a step)\n", span);
	print_code(w, out);
	if (!verbose)
		return;
	AUTO_FREE char *where = xasprintf("in %s", w->dir);
	print_indented(out, where, strlen(where));
#define X(field) print_snippet(out, "", #field, w->field);
	SNIPPETS(X);
	X(checkout);
#undef X
	for (size_t i = 0; i < w->n_variants; i++) {
		const struct plan_variant *v = &w->variants[i];
		AUTO_FREE char *prefix = xasprintf("%s: ", v->name);
#define X(field) print_snippet(out, prefix, #field, v->field);
		X(when);
		SNIPPETS(X);
#undef X
	}
	if (w->roundtrip) {
		print_snippet(out, "", "save", w->save);
		print_snippet(out, "", "restore", w->restore);
	}
	for (size_t i = 0; i < w->n_before; i++)
		print_snippet(out, "before ", w->before[i].version, w->before[i].command);
	print_snippet(out, "", "fill empty tables", w->seed);
}

void plan_print(const struct plan *p, bool verbose, struct buf *out)
{
	int number_width = 1, kind_width = 0;
	for (size_t n = p->n_tasks; n >= 10; n /= 10)
		number_width++;
	for (size_t i = 0; i < p->n_tasks; i++) {
		int len = (int)strlen(p->tasks[i].kind);
		kind_width = len > kind_width ? len : kind_width;
	}
	for (size_t i = 0; i < p->n_tasks; i++) {
		if (!p->tasks[i].question)
			print_task(&p->tasks[i], i + 1, number_width, kind_width, verbose, out);
	}
	if (p->has_walk)
		print_walk(&p->walk, verbose, out);
	for (size_t i = 0; i < p->n_tasks; i++) {
		if (p->tasks[i].question)
			print_task(&p->tasks[i], i + 1, number_width, kind_width, verbose, out);
	}
}

/* --- JSON --- */

/* A JSON string, or NULL bytes and bad UTF-8 as {"base64": …}; NULL gives null. */
static json_t *json_text(const char *data, size_t len)
{
	if (!data)
		return json_null();
	json_t *s = memchr(data, '\0', len) ? NULL : json_stringn(data, len);
	if (s)
		return s;
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	base64_encode(&text, data, len);
	return json_pack("{s:s}", "base64", text.data);
}

static void set_text(json_t *o, const char *key, const char *value)
{
	json_object_set_new(o, key, json_text(value, value ? strlen(value) : 0));
}

static json_t *task_json(const struct task *t, size_t n)
{
	json_t *o = json_object();
	json_object_set_new(o, "n", json_integer((json_int_t)n));
	set_text(o, "kind", t->kind);
	set_text(o, "title", t->title);
	json_object_set_new(o, "timeout_s", json_integer(t->timeout_s));
	if (t->question)
		json_object_set_new(o, "question", json_true());
	if (t->path) {
		char mode[8];
		snprintf(mode, sizeof(mode), "%04o", t->mode);
		set_text(o, "path", t->path);
		set_text(o, "mode", mode);
		json_object_set_new(o, "content", json_text(t->data, t->len));
	} else {
		set_text(o, "dir", t->dir);
		set_text(o, "command", t->command);
	}
	return o;
}

static json_t *walk_json(const struct plan_walk *w)
{
	json_t *o = json_object(), *variants = json_array();
#define X(field) set_text(o, #field, w->field);
	WALK_TEXTS(X);
#undef X
	json_object_set_new(o, "applied", json_boolean(w->applied));
	json_object_set_new(o, "branched", json_boolean(w->branched));
	json_object_set_new(o, "roundtrip", json_boolean(w->roundtrip));
	json_t *before = json_array();
	for (size_t i = 0; i < w->n_before; i++) {
		json_t *b = json_object();
		set_text(b, "version", w->before[i].version);
		set_text(b, "command", w->before[i].command);
		json_array_append_new(before, b);
	}
	json_object_set_new(o, "before", before);
	json_object_set_new(o, "timeout_s", json_integer(w->timeout_s));
	for (size_t i = 0; i < w->n_variants; i++) {
		json_t *v = json_object();
#define X(field) set_text(v, #field, w->variants[i].field);
		VARIANT_TEXTS(X);
#undef X
		json_array_append_new(variants, v);
	}
	json_object_set_new(o, "variants", variants);
	json_t *setups = json_array();
	for (size_t i = 0; i < w->n_setups; i++) {
		json_t *s = json_object();
		set_text(s, "from", w->setups[i].from);
		set_text(s, "to", w->setups[i].to);
		set_text(s, "title", w->setups[i].title);
		set_text(s, "command", w->setups[i].command);
		json_object_set_new(s, "done", json_boolean(w->setups[i].done));
		json_array_append_new(setups, s);
	}
	json_object_set_new(o, "setups", setups);
	return o;
}

json_t *plan_json(const struct plan *p)
{
	json_t *o = json_object(), *env = json_object(), *tasks = json_array();
	set_text(o, "run", p->run);
	for (size_t i = 0; i < p->n_env; i++) {
		const char *eq = strchr(p->env[i], '=');
		AUTO_FREE char *name = xstrndup(p->env[i], (size_t)(eq - p->env[i]));
		set_text(env, name, eq + 1);
	}
	json_object_set_new(o, "env", env);
	for (size_t i = 0; i < p->n_tasks; i++)
		json_array_append_new(tasks, task_json(&p->tasks[i], i + 1));
	json_object_set_new(o, "tasks", tasks);
	json_object_set_new(o, "walk", p->has_walk ? walk_json(&p->walk) : json_null());
	return o;
}

/* --- for the runner --- */

static void add_word(struct buf *out, const char *text)
{
	buf_addc(out, ' ');
	text_shell_quote(out, text ? text : "");
}

static void set_variable(struct buf *out, const char *name, const char *text)
{
	buf_addf(out, "walk_%s=", name);
	text_shell_quote(out, text ? text : "");
	buf_addc(out, '\n');
}

static void script_harness(const struct plan_walk *w, struct buf *out)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	struct err err = ERR_INIT;
	if (!w->harness)
		return;
	AUTO_FREE char *path = xasprintf("warm/%s", w->harness);
	int rc = template_file(path, &text, &err);
	assert(rc == 0); /* it is in the program */
	set_variable(out, "harness", text.data);
}

static void script_walk(const struct plan_walk *w, struct buf *out)
{
#define X(field) set_variable(out, #field, w->field);
	SCRIPT_TEXTS(X);
#undef X
	set_variable(out, "applied", w->applied ? "1" : "");
	set_variable(out, "branched", w->branched ? "1" : "");
	set_variable(out, "roundtrip", w->roundtrip ? "1" : "");
	script_harness(w, out);
	buf_addf(out, "walk_timeout=%" PRId64 "\nwalk_begin\n", w->timeout_s);
	for (size_t i = 0; i < w->n_variants; i++) {
		buf_adds(out, "plan_variant");
#define X(field) add_word(out, w->variants[i].field);
		VARIANT_TEXTS(X);
#undef X
		buf_addc(out, '\n');
	}
	for (size_t i = 0; i < w->n_before; i++) {
		buf_adds(out, "plan_before");
		add_word(out, w->before[i].version);
		add_word(out, w->before[i].command);
		buf_addc(out, '\n');
	}
	for (size_t i = 0; i < w->n_setups; i++) {
		buf_addf(out, "plan_setup %zu %s", w->setups[i].n, w->setups[i].done ? "1" : "''");
		add_word(out, w->setups[i].from);
		add_word(out, w->setups[i].to);
		add_word(out, w->setups[i].command);
		buf_addc(out, '\n');
	}
	buf_adds(out, "walk_go\n");
}

static void script_tasks(const struct plan *p, bool questions, struct buf *out)
{
	for (size_t i = 0; i < p->n_tasks; i++) {
		const struct task *t = &p->tasks[i];
		if (t->question != questions)
			continue;
		buf_adds(out, questions ? "plan_question" : "plan_task");
		add_word(out, t->kind);
		buf_addf(out, " %" PRId64, t->timeout_s);
		add_word(out, t->dir);
		add_word(out, t->title);
		add_word(out, t->command);
		buf_addc(out, '\n');
	}
}

void plan_script(const struct plan *p, struct buf *out)
{
	for (size_t i = 0; i < p->n_env; i++) {
		/* Quoted twice: for this script, and for the shell of each command. */
		AUTO_BUF word = buf_make(BUF_TEXT_MAX);
		text_shell_quote(&word, p->env[i]);
		buf_adds(out, "plan_env");
		add_word(out, word.data);
		buf_addc(out, '\n');
	}
	script_tasks(p, false, out);
	if (p->has_walk)
		script_walk(&p->walk, out);
	script_tasks(p, true, out);
	/* Says what must have been done by now: what is cut off on its way is no complete plan. */
	buf_addf(out, "plan_end %zu %d\n", p->n_tasks, p->has_walk);
}
