/* SPDX-License-Identifier: MIT */
/* compare: recipes on clean boxes, or stored runs, side by side, version by version. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/compare_view.h"
#include "cmd/fleet.h"

#define MAX_SIDES 16
#define MAX_PAIRS (MAX_SIDES * (MAX_SIDES - 1) / 2)

struct compare_opts {
	struct opt_list set, set_b, vary;
	struct difftext_opts what;
	const char *from, *to, *fresh;
	bool create, by_position, text, all_pairs, cold;
};

static const struct opt opts[] = {
	{0, "vary", "KEY.PATH=A,B", "one side per value: database=sqlite,mariadb, source.ref=mine,theirs", OPT_LIST,
	 offsetof(struct compare_opts, vary)},
	{0, "fresh", "REF[:VERSION]", "one more side: the code of REF, from nothing to VERSION (default: --to) at once",
	 OPT_STRING, offsetof(struct compare_opts, fresh)},
	{0, "create", NULL, "one more side: the schema as migrations.fresh makes it at once", OPT_FLAG,
	 offsetof(struct compare_opts, create)},
	{0, "set-b", "KEY.PATH=VALUE", "one more side: the same recipe with this value", OPT_LIST,
	 offsetof(struct compare_opts, set_b)},
	{0, "set", "KEY.PATH=VALUE", "override one value on all sides", OPT_LIST, offsetof(struct compare_opts, set)},
	{0, "from", "VERSION", "where the walks begin", OPT_STRING, offsetof(struct compare_opts, from)},
	{0, "to", "VERSION", "where they end", OPT_STRING, offsetof(struct compare_opts, to)},
	DIFFTEXT_OPTS(struct compare_opts, what),
	{0, "cold", NULL, "start the tool anew for each step, as one types it", OPT_FLAG,
	 offsetof(struct compare_opts, cold)},
	{0, "text", NULL, "unified diffs of the dumps, too", OPT_FLAG, offsetof(struct compare_opts, text)},
	{0, "by-position", NULL, "the n-th step beside the n-th, whatever the versions are called", OPT_FLAG,
	 offsetof(struct compare_opts, by_position)},
	{0, "all-pairs", NULL, "of several sides each with each, not each with the first", OPT_FLAG,
	 offsetof(struct compare_opts, all_pairs)},
	OPT_END,
};

/* One side is to come from a ship of the fleet or from a run of the store. */
struct origin {
	const struct ship *ship; /* or NULL */
	struct run run;
};

struct comparison {
	struct cmd_ctx *c;
	const struct compare_opts *o;
	struct fleet fleet;
	struct origin origins[MAX_SIDES];
	struct side sides[MAX_SIDES];
	size_t n;
};

/* ---- which sides there are ---- */

static int add_origin(struct comparison *k, const struct origin *o, struct err *err)
{
	if (k->n == MAX_SIDES)
		return err_set(err, ERR_USER, 0, "more than %d sides", MAX_SIDES);
	k->origins[k->n++] = *o;
	return 0;
}

static int add_recipe(struct comparison *k, const struct fleet_order *order, struct err *err)
{
	size_t had = k->fleet.n;
	struct fleet_order all = *order;
	all.cold = k->o->cold;
	if (fleet_add(&k->fleet, &all, err) < 0)
		return -1;
	for (size_t i = had; i < k->fleet.n; i++) {
		if (add_origin(k, &(struct origin){.ship = k->fleet.ships[i]}, err) < 0)
			return -1;
	}
	return 0;
}

static bool is_recipe(const char *operand)
{
	return fs_exists(operand) || strchr(operand, '/') || text_ends(operand, ".yaml") || text_ends(operand, ".yml");
}

static int add_operand(struct comparison *k, const char *operand, struct err *err)
{
	const struct compare_opts *o = k->o;
	struct origin run = {0};
	if (!operand || is_recipe(operand)) {
		struct fleet_order order = {
			.path = operand, .set = o->set, .vary = o->vary, .from = o->from, .to = o->to};
		return add_recipe(k, &order, err);
	}
	int found = store_run_find(k->c->db, operand, &run.run, err);
	if (found == 0)
		return err_set(err, ERR_USER, 0, "%s: neither a recipe nor a run; `stepbox ls` lists the runs",
			       operand);
	return found < 0 ? -1 : add_origin(k, &run, err);
}

/* The same recipe with further values, as one more side. label: what is special about it. */
static int add_variant(struct comparison *k, const struct opt_list *more, const char *from, const char *to,
		       const char *label, struct err *err)
{
	const char *path = k->c->argc ? k->c->argv[0] : NULL;
	if (path && !is_recipe(path))
		return err_set(err, ERR_USER, 0, "%s: a recipe is wanted where a side is to be made from it", path);
	struct fleet_order order = {.path = path, .set = k->o->set, .from = from, .to = to, .label = label};
	for (size_t i = 0; i < more->n; i++) {
		if (order.set.n == OPT_LIST_MAX)
			return err_set(err, ERR_USER, 0, "--set-b: more than %d assignments", OPT_LIST_MAX);
		if (!strchr(more->v[i], '='))
			return err_set(err, ERR_USER, 0, "--set-b %s: KEY.PATH=VALUE is wanted", more->v[i]);
		order.set.v[order.set.n++] = more->v[i];
	}
	return add_recipe(k, &order, err);
}

/* REF[:VERSION]: a walk that begins and ends at VERSION gets there in one go. */
static int add_fresh(struct comparison *k, struct err *err)
{
	const char *spec = k->o->fresh, *colon = strrchr(spec, ':');
	if (!*spec)
		return err_set(err, ERR_USER, 0,
			       "--fresh: a branch, tag or commit, or :VERSION, is wanted, not nothing");
	size_t n = colon ? (size_t)(colon - spec) : strlen(spec);
	const char *to = colon && colon[1] ? colon + 1
			 : k->o->to        ? k->o->to
			 : k->fleet.n      ? k->fleet.ships[0]->recipe.to
					   : "head";
	AUTO_FREE char *ref = xasprintf("source.ref=%.*s", (int)n, spec);
	AUTO_FREE char *label = xasprintf("fresh %.*s%s%s", (int)n, spec, n ? ":" : "", to);
	struct opt_list more = {.n = n ? 1 : 0, .v = {ref}};
	return add_variant(k, &more, to, to, label, err);
}

static int add_create(struct comparison *k, struct err *err)
{
	static const struct opt_list more = {.n = 1, .v = {"migrations.tool=fresh"}};
	return add_variant(k, &more, "base", "head", "fresh, at once", err);
}

static void label_sets(const struct opt_list *sets, struct buf *out)
{
	for (size_t i = 0; i < sets->n; i++)
		buf_addf(out, "%s%s", i ? " " : "", sets->v[i]);
}

static int collect(struct comparison *k, struct err *err)
{
	const struct compare_opts *o = k->o;
	int rc = k->c->argc ? 0 : add_operand(k, NULL, err);
	for (int i = 0; i < k->c->argc && rc == 0; i++)
		rc = add_operand(k, k->c->argv[i], err);
	if (rc == 0 && o->set_b.n) {
		AUTO_BUF label = buf_make(BUF_TEXT_MAX);
		label_sets(&o->set_b, &label);
		rc = add_variant(k, &o->set_b, o->from, o->to, label.data, err);
	}
	if (rc == 0 && o->fresh)
		rc = add_fresh(k, err);
	if (rc == 0 && o->create)
		rc = add_create(k, err);
	if (rc == 0 && k->n < 2)
		return err_set(
			err, ERR_USER, 0,
			"one side only: name another recipe or run, or give --vary, --set-b, --fresh or --create");
	if (rc == 0 && !k->fleet.n && (o->from || o->to || o->set.n || o->vary.n || o->cold))
		return err_set(err, ERR_USER, 0,
			       "--%s is for recipes that are walked, and all sides are runs that have been",
			       o->from     ? "from"
			       : o->to     ? "to"
			       : o->set.n  ? "set"
			       : o->vary.n ? "vary"
					   : "cold");
	return rc;
}

/* ---- comparing ---- */

static int load(struct comparison *k, struct err *err)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct origin *o = &k->origins[i];
		if (side_load(&k->sides[i], k->c->db, o->ship ? o->ship->job.run : o->run.id, err) < 0)
			return -1;
	}
	return 0;
}

/* Two walks that end in the same failure are equal, but not as they should be. */
static int judge_runs(const struct comparison *k)
{
	int code = 0;
	for (size_t i = 0; i < k->n; i++)
		code |= !side_is_whole(&k->sides[i]);
	return code;
}

/* Boxes that were booted for this comparison and turn out to be the same machine: nothing of it means anything. */
static int check_machines(const struct comparison *k, struct err *err)
{
	for (size_t i = 0; i < k->n; i++) {
		for (size_t j = i + 1; j < k->n; j++) {
			AUTO_BUF bad = buf_make(BUF_TEXT_MAX);
			match_machines(&k->sides[i], &k->sides[j], &bad);
			if (bad.len && k->origins[i].ship && k->origins[j].ship && k->sides[i].run.machine[0] &&
			    k->sides[j].run.machine[0])
				return err_set(err, ERR_BOX, 0, "not compared on clean machines: %s", bad.data);
		}
	}
	return 0;
}

static int compare_pairs(struct comparison *k, struct match *m, size_t *n, struct err *err)
{
	const struct compare_opts *o = k->o;
	struct match_options how = {.by_position = o->by_position, .what = o->what};
	struct compare_view view = {.json = k->c->globals->json,
				    .verbose = k->c->globals->verbose,
				    .text = o->text,
				    .sides = k->sides,
				    .n_sides = k->n};
	int code = 0;
	compare_view_sides(&view);
	for (size_t i = 0; i < (o->all_pairs ? k->n : 1); i++) {
		for (size_t j = i + 1; j < k->n; j++) {
			struct match *one = &m[(*n)++];
			if (match_make(one, &k->sides[i], &k->sides[j], &how, err) < 0 ||
			    compare_view_match(&view, one, err) < 0)
				return -1;
			code |= one->differs || one->n_both == 0;
		}
	}
	compare_view_table(&view, m, *n);
	return code;
}

static int compare_sides(struct comparison *k, struct err *err)
{
	struct match *m = xcalloc(MAX_PAIRS, sizeof(*m));
	size_t n = 0;
	int code = load(k, err) < 0 ? -1 : compare_pairs(k, m, &n, err);
	for (size_t i = 0; i < n; i++)
		match_finish(&m[i]);
	free(m);
	if (code >= 0 && check_machines(k, err) < 0)
		return -1;
	return code < 0 ? -1 : fleet_worse(code, judge_runs(k));
}

/* Boots and walks what is to be walked. Returns the worst exit code. */
static int walk(struct comparison *k)
{
	if (!k->fleet.n)
		return 0;
	struct screen *screen = screen_new(k->c->globals, (int)k->fleet.n);
	screen_set_aside(screen, true);
	struct fleet_run how = {.db = k->c->db, .screen = screen, .keep = KEEP_NEVER, .what = COMPILE_ALL};
	int code = fleet_run(&k->fleet, &how);
	screen_free(screen);
	return code;
}

static bool has_begun(const struct comparison *k)
{
	for (size_t i = 0; i < k->fleet.n; i++) {
		if (!k->fleet.ships[i]->job.run[0])
			return false;
	}
	return true;
}

static int run(struct cmd_ctx *c, struct err *err)
{
	struct comparison k = {.c = c, .o = c->opts};
	struct match_options how = {.what = k.o->what};
	int rc = match_options_check(&how, err) < 0 ? -1 : collect(&k, err);
	int code = rc == 0 ? walk(&k) : 0;
	if (rc == 0 && code != 130 && has_begun(&k)) {
		rc = compare_sides(&k, err);
		/* What the runs found is compared; a box that may still be running is worse than whatever was found. */
		code = rc < 0 ? code : code > 1 ? fleet_worse(rc, code) : rc;
		rc = rc < 0 && code == 4 ? 0 : rc;
	}
	for (size_t i = 0; i < k.n; i++)
		side_finish(&k.sides[i]);
	fleet_finish(&k.fleet);
	return rc < 0 ? -1 : code;
}

const struct cmd cmd_compare = {
	.name = "compare",
	.args = "[RECIPE|RUN]…",
	.brief = "walk recipes side by side on clean boxes and say what differs: exit code 0 same, 1 different",
	.help = "Each side is a recipe, or a run of the store; one recipe makes several by --vary, --set-b, --fresh, "
		"--create.\n"
		"Versions stand beside each other by name. --ignore knows rows and outcome, too. What differs is told "
		"where it first does, and where it no\n"
		"longer does.",
	.opts = opts,
	.ctx_size = sizeof(struct compare_opts),
	.max_args = MAX_SIDES,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
