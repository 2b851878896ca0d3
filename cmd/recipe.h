/* SPDX-License-Identifier: MIT */
/* The recipe: read from YAML, every key known and checked, with its place for messages. The reference is the table in
 * recipe.c and the README. */
#ifndef STEPBOX_CMD_RECIPE_H
#define STEPBOX_CMD_RECIPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/yaml.h"
#include "cloud/cloud.h"
#include "cmd/opt.h"
#include "migrations/adapter.h"
#include "migrations/limits.h"

#define RECIPE_DEFAULT_NAME "stepbox.yaml"

struct recipe {
	struct yaml y;     /* the checked tree; everything below borrows from it */
	char *dir;         /* the recipe's directory (owned): relative local paths start there */
	char variant[128]; /* "database=sqlite": what --vary made of it, or "" */
	const char *name;
	struct box_spec box; /* all but name, run and keys */
	bool layer;          /* local: packages are installed once a day for all boxes that want the same ones */
	int64_t connect_ms;  /* how long the box may take from its address to the first login */
	const char *proxy;   /* for what the box downloads, or NULL */
	const char *git, *path, *ref; /* git or path is NULL, or both */
	char *local_path;          /* owned: a path or local git repository to send, absolute; NULL: the box clones */
	int64_t depth;             /* of the clone; 0: full history */
	const char *tool, *engine; /* tool NULL: no migrations (up only) */
	const char *from, *to;
	bool match_commit; /* each version with the code that went with it */
	int64_t step_timeout_s, setup_timeout_s;
	bool roundtrip;
	int64_t seed_rows, seed;                   /* of the generator; rows 0: nothing is filled in by itself */
	struct limits *limits;                     /* owned */
	struct adapter *tool_adapter, *db_adapter; /* owned; the recipe's overrides are applied */
};

/* Reads path (NULL: ./stepbox.yaml) with `--set` assignments "key.path=value" applied. All of it is checked. */
int recipe_load(struct recipe *r, const char *path, const struct opt_list *sets, struct err *err) MUST_USE;
/* The recipe of an earlier run, as recipe_json() gave it, with assignments applied (NULL: none). */
int recipe_from_json(struct recipe *r, const char *json, const struct opt_list *sets, struct err *err) MUST_USE;
/* The checked tree with the recipe's directory, as text. Caller frees. */
char *recipe_json(const struct recipe *r);
void recipe_finish(struct recipe *r);

/* A list of strings at a pointer of the tree ("/packages"), possibly empty; a single scalar counts as a list of one. */
size_t recipe_list(const struct recipe *r, const char *key, const char **out, size_t max);

/* The setup commands, in order. */
struct recipe_setup {
	const char *run;
	const char *from, *to; /* versions, "base", "head"; NULL: a task before the walk */
};
size_t recipe_setups(const struct recipe *r, struct recipe_setup *out, size_t max);

#endif
