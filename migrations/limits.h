/* SPDX-License-Identifier: MIT */
/* What a recipe allows its steps: time, and loss of data. To be over a limit is a finding, it ends nothing (what ends a
 * step is its timeout). Format, the `limits:` of a recipe or a file that it names:
 *
 *     step: 60s            # each step
 *     "204": 2m            # this version; the first word of its name is enough (011 for 011_add_x)
 *     loss: allow          # or strict (dropped columns count, too), or a list of versions that may lose data
 *     file: limits.yaml    # (recipe only) the same keys, and what `stepbox learn` found out:
 *     learned:             # (file only) by database engine and by rows of the generator (seed: rows)
 *       - {engine: mariadb, rows: 20, versions: {"151": 333s}}
 *
 * What the recipe says wins over its file, a version over `step`, what is said over what was learned. */
#ifndef STEPBOX_MIGRATIONS_LIMITS_H
#define STEPBOX_MIGRATIONS_LIMITS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

enum loss { LOSS_FIND, LOSS_ALLOW, LOSS_STRICT };

struct limits;
/* tree: the limits of a recipe with the content of its file, if any, at the key "from_file". NULL tree: no limits. NULL
 * with ERR_USER ("KEY: cause") when something does not fit. */
struct limits *limits_new(const json_t *tree, const char *engine, int64_t rows, struct err *err);
void limits_free(struct limits *l); /* NULL is fine */
void limits_freep(struct limits **l);

/* How long a version may take in ms; 0: no limit. limits NULL: none. */
int64_t limits_ms(const struct limits *l, const char *version);
/* What is to be done about data that a version loses. */
enum loss limits_loss(const struct limits *l, const char *version);

/* Whether a recipe's name for a version means this one: the same, the same number, or its beginning where no number is
 * cut. */
bool version_is(const char *name, const char *version);

/* The p-th percentile (1 … 100) of n > 0 numbers in rising order, by nearest rank: the smallest of them that at least p
 * percent are not above. */
int64_t percentile(const int64_t *sorted, size_t n, int64_t p);

#endif
