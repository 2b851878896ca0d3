/* SPDX-License-Identifier: MIT */
/* init: write a commented recipe; the tool is recognised from the checkout. */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/template.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/recipe.h"

struct init_opts {
	bool list, force;
	const char *output;
};

static const struct opt opts[] = {
	{0, "list", NULL, "list the migration tools that are known", OPT_FLAG, offsetof(struct init_opts, list)},
	{'f', "force", NULL, "replace a recipe that is there", OPT_FLAG, offsetof(struct init_opts, force)},
	{'o', "output", "FILE", "where to write it (default stepbox.yaml; - for stdout)", OPT_STRING,
	 offsetof(struct init_opts, output)},
	OPT_END,
};

static void print_json(const struct adapter *a)
{
	static const char *const keys[] = {"brief", "tested", "untested"};
	json_t *o = json_pack("{s:s}", "tool", adapter_name(a));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (adapter_get(a, keys[i]))
			json_object_set_new(o, keys[i], json_string(adapter_get(a, keys[i])));
	AUTO_FREE char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	puts(text);
}

/* Bundled adapters say whether a test has run them; what a user's own does not say is not asked for. */
static void print_line(const struct adapter *a)
{
	AUTO_BUF line = buf_make(BUF_TEXT_MAX);
	const char *brief = adapter_get(a, "brief"), *untested = adapter_get(a, "untested");
	text_safe_line(&line, brief, strlen(brief), 80);
	if (untested) {
		buf_adds(&line, " (untested: ");
		text_safe_line(&line, untested, strlen(untested), 120);
		buf_addc(&line, ')');
	}
	printf("%-20s %s\n", adapter_name(a), line.data);
}

static int list_tools(const struct cmd_ctx *c, struct err *err)
{
	size_t i;
	json_t *item, *names = adapter_names(false);
	int rc = 0;
	json_array_foreach (names, i, item) {
		const char *name = json_string_value(item);
		CLEANUP(adapter_freep) struct adapter *a = adapter_load_tool(name, err);
		if (!a) {
			rc = -1;
			break;
		}
		if (c->globals->json)
			print_json(a);
		else
			print_line(a);
	}
	json_decref(names);
	return rc;
}

/* The directory's name as a recipe name. */
static char *project_name(void)
{
	char dir[4096];
	struct buf name = buf_make(33);
	const char *base = getcwd(dir, sizeof(dir)) ? strrchr(dir, '/') : NULL;
	for (base = base ? base + 1 : ""; *base && name.len < 32; base++) {
		if (isalnum((unsigned char)*base))
			buf_addc(&name, (char)tolower((unsigned char)*base));
		else if (name.len)
			buf_addc(&name, '-');
	}
	while (name.len && name.data[name.len - 1] == '-')
		name.data[--name.len] = '\0';
	if (!text_is_name(name.data)) {
		buf_finish(&name);
		return xstrdup("project");
	}
	return buf_take(&name);
}

static int compose(const char *tool, const char *found, struct buf *out, struct err *err)
{
	AUTO_BUF starter = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *name = project_name();
	CLEANUP(adapter_freep) struct adapter *a = adapter_load_tool(tool, err);
	if (!a || template_file("recipes/starter.yaml", &starter, err) < 0)
		return -1;
	json_t *vars = json_pack("{s:s}", "name", name);
	int rc = template_fill(out, starter.data, vars, err);
	json_decref(vars);
	if (rc == 0)
		adapter_starter(a, found, out);
	return rc;
}

/* Written for people, but it must be a recipe: read back before anybody else has to. */
static int check(const char *text, size_t len, struct err *err)
{
	struct yaml y = {0};
	int rc = yaml_parse(&y, "the new recipe", text, len, err);
	yaml_finish(&y);
	return rc;
}

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct init_opts *o = c->opts;
	char tool[ADAPTER_NAME_SIZE] = "", why[ADAPTER_FOUND_SIZE] = "";
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	const char *output = o->output ? o->output : RECIPE_DEFAULT_NAME;
	if (o->list)
		return list_tools(c, err);
	if (c->argc) {
		snprintf(tool, sizeof(tool), "%s", c->argv[0]);
	} else {
		int found = adapter_detect(".", tool, why, err);
		if (found < 0)
			return -1;
		if (!found)
			return err_set(
				err, ERR_USER, 0,
				"no migrations recognised here; name the tool: `stepbox init --list` lists them");
	}
	if (compose(tool, c->argc ? NULL : why, &text, err) < 0 || check(text.data, text.len, err) < 0)
		return -1;
	if (strcmp(output, "-") == 0) {
		fputs(text.data, stdout);
		return 0;
	}
	if (fs_exists(output) && !o->force)
		return err_set(err, ERR_USER, 0, "%s: is there already; --force replaces it", output);
	if (fs_write(output, text.data, text.len, 0644, err) < 0)
		return -1;
	if (*why)
		printf("%s: a recipe for %s (%s is here)\n", output, tool, why);
	else
		printf("%s: a recipe for %s\n", output, tool);
	puts("look it over, then: stepbox plan, stepbox run");
	return 0;
}

const struct cmd cmd_init = {
	.name = "init",
	.args = "[TOOL]",
	.brief = "write a commented recipe for the checkout you stand in",
	.opts = opts,
	.ctx_size = sizeof(struct init_opts),
	.max_args = 1,
	.run = run,
};
