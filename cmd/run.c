/* SPDX-License-Identifier: MIT */
/* run: up, step, down: the one command. With --vary one run per combination, each on a box and in a thread of its own.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/job.h"

#define MAX_RUNS 64

struct run_opts {
	struct opt_list set, vary;
	const char *from, *to, *keep;
};

static const struct opt opts[] = {
	{0, "from", "VERSION", "the step before the first one of interest (base: nothing applied)", OPT_STRING,
	 offsetof(struct run_opts, from)},
	{0, "to", "VERSION", "the last step (head: the newest)", OPT_STRING, offsetof(struct run_opts, to)},
	{0, "keep", "never|on-failure|always", "what happens to the box at the end (default never)", OPT_CHOICE,
	 offsetof(struct run_opts, keep)},
	{0, "set", "KEY.PATH=VALUE", "override one value of the recipe", OPT_LIST, offsetof(struct run_opts, set)},
	{0, "vary", "KEY.PATH=A,B", "one run per value", OPT_LIST, offsetof(struct run_opts, vary)},
	OPT_END,
};

/* One of the recipes that --vary makes: its own list of assignments. */
struct variant {
	struct opt_list sets;
	char *text[OPT_LIST_MAX]; /* owned assignments */
	size_t n_text;
	struct recipe recipe;
	struct job job;
	pthread_t thread;
	bool started;
};

static void variant_finish(struct variant *v)
{
	for (size_t i = 0; i < v->n_text; i++)
		free(v->text[i]);
	recipe_finish(&v->recipe);
}

static int add_set(struct variant *v, char *text /* takes */, struct err *err)
{
	if (v->sets.n == OPT_LIST_MAX || v->n_text == OPT_LIST_MAX) {
		free(text);
		return err_set(err, ERR_USER, 0, "--set: more than %d assignments", OPT_LIST_MAX);
	}
	v->text[v->n_text++] = text;
	v->sets.v[v->sets.n++] = text;
	return 0;
}

static size_t count_values(const char *values)
{
	size_t n = 1;
	for (const char *p = values; *p; p++)
		n += *p == ',';
	return n;
}

static char *nth_value(const char *values, size_t n)
{
	for (; n > 0; n--)
		values += strcspn(values, ",") + 1;
	return xstrndup(values, strcspn(values, ","));
}

/* Gives variant `index` of `total` its value of each --vary: the index is read as a number with one digit per option.
 */
static int vary(struct variant *v, const struct run_opts *o, size_t index, struct err *err)
{
	size_t used = 0;
	for (size_t i = 0; i < o->vary.n; i++) {
		const char *eq = strchr(o->vary.v[i], '=');
		if (!eq || eq == o->vary.v[i] || !eq[1])
			return err_set(err, ERR_USER, 0, "--vary %s: KEY.PATH=A,B is wanted", o->vary.v[i]);
		size_t n = count_values(eq + 1);
		AUTO_FREE char *value = nth_value(eq + 1, index % n);
		index /= n;
		char *text = xasprintf("%.*s=%s", (int)(eq - o->vary.v[i]), o->vary.v[i], value);
		if (used < sizeof(v->recipe.variant))
			used += (size_t)snprintf(v->recipe.variant + used, sizeof(v->recipe.variant) - used, "%s%s",
						 used ? " " : "", text);
		if (add_set(v, text, err) < 0)
			return -1;
	}
	return 0;
}

static int variant_load(struct variant *v, const char *path, const struct run_opts *o, size_t index, struct err *err)
{
	char name[sizeof(v->recipe.variant)];
	v->sets = o->set;
	if (o->from && add_set(v, xasprintf("migrations.from=%s", o->from), err) < 0)
		return -1;
	if (o->to && add_set(v, xasprintf("migrations.to=%s", o->to), err) < 0)
		return -1;
	if (vary(v, o, index, err) < 0)
		return -1;
	memcpy(name, v->recipe.variant, sizeof(name));
	if (recipe_load(&v->recipe, path, &v->sets, err) < 0)
		return -1;
	memcpy(v->recipe.variant, name, sizeof(name));
	return 0;
}

static void *job_thread(void *arg)
{
	job_run(arg);
	return NULL;
}

/* The worst word of several runs: something left behind, then stopped, then trouble, then a finding. */
static int worse(int a, int b)
{
	static const int order[] = {0, 1, 2, 3, 130, 4};
	size_t ra = 0, rb = 0;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		ra = order[i] == a ? i : ra;
		rb = order[i] == b ? i : rb;
	}
	return ra >= rb ? a : b;
}

static int run_all(struct cmd_ctx *c, struct variant *v, size_t n, enum keep keep, enum compile_what what)
{
	int code = 0;
	struct screen *screen = screen_new(c->globals, (int)n);
	for (size_t i = 0; i < n; i++) {
		v[i].job =
			(struct job){.db = c->db, .screen = screen, .recipe = &v[i].recipe, .what = what, .keep = keep};
		v[i].started = n > 1 && pthread_create(&v[i].thread, NULL, job_thread, &v[i].job) == 0;
		if (!v[i].started)
			job_run(&v[i].job);
	}
	for (size_t i = 0; i < n; i++) {
		if (v[i].started)
			pthread_join(v[i].thread, NULL);
		code = worse(v[i].job.exit_code, code);
	}
	screen_free(screen);
	return code;
}

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct run_opts *o = c->opts;
	size_t n = 1;
	int rc = 0;
	for (size_t i = 0; i < o->vary.n; i++)
		n *= count_values(o->vary.v[i] + strcspn(o->vary.v[i], "="));
	if (n > MAX_RUNS)
		return err_set(err, ERR_USER, 0, "--vary: %zu runs; at most %d at a time", n, MAX_RUNS);
	struct variant *v = xcalloc(n, sizeof(*v));
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = variant_load(&v[i], c->argv[0], o, i, err);
	if (rc == 0 && !v[0].recipe.tool)
		rc = err_set(err, ERR_USER, 0, "%s: the recipe has no migrations: `stepbox up` boots it without",
			     v[0].recipe.name);
	if (rc == 0)
		rc = run_all(c, v, n, keep_parse(o->keep), COMPILE_ALL);
	for (size_t i = 0; i < n; i++)
		variant_finish(&v[i]);
	free(v);
	return rc;
}

const struct cmd cmd_run = {
	.name = "run",
	.args = "[RECIPE]",
	.brief = "boot a box, step the migrations, look after each, throw it away",
	.help = "RECIPE is a YAML file; ./stepbox.yaml need not be named. Ctrl-C stops and cleans up.",
	.opts = opts,
	.ctx_size = sizeof(struct run_opts),
	.max_args = 1,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
