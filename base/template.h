/* SPDX-License-Identifier: MIT */
/* Text templates and the data files of templates/.
 *
 * `${a.b}` is replaced by the value of that name; `$${` stands for a literal `${`. Everything else, `$X` and
 * `$(…)` of shell text included, stays as it is. */
#ifndef STEPBOX_BASE_TEMPLATE_H
#define STEPBOX_BASE_TEMPLATE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends text with the variables of the flat JSON object vars ({"database.url": "…"}) filled in. An unknown name is
 * an error naming the nearest known one (ERR_USER). */
int template_fill(struct buf *out, const char *text, const json_t *vars, struct err *err) MUST_USE;

/* A file of templates/ by its path below it ("runner.sh", "tools/alembic.yaml"): from $STEPBOX_TEMPLATES (a directory)
 * when set and holding it, else from $XDG_CONFIG_HOME/stepbox/templates/, else from the copy inside the program.
 * Appends to out; ERR_USER when there is none. */
int template_file(const char *name, struct buf *out, struct err *err) MUST_USE;

/* Names of all files below a prefix ("tools/") from all three places, sorted, each once: a JSON array of strings. */
json_t *template_list(const char *prefix);

#endif
