/* SPDX-License-Identifier: MIT */
/* The parts of a recipe that are about data and limits: seed:, limits: and migrations.roundtrip. */
#ifndef STEPBOX_CMD_RECIPE_DATA_H
#define STEPBOX_CMD_RECIPE_DATA_H

#include "cmd/recipe.h"
#include "provision/plan.h"

#define SEED_MAX_ROWS 10000
#define SEED_MAX_SQL  ((size_t)16 << 20) /* of one file */

/* Checks them and fills in the recipe's roundtrip, seed_rows and limits; the file that limits: names is read into the
 * tree once, so that a stored recipe has it. */
int recipe_data_check(struct recipe *r, struct err *err) MUST_USE;
/* What of it belongs to a walk; vars fill the commands. The texts of *w live in *keep (an array). */
int recipe_data_walk(const struct recipe *r, const json_t *vars, struct plan_walk *w, json_t *keep,
		     struct err *err) MUST_USE;

#endif
