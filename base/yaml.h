/* SPDX-License-Identifier: MIT */
/* YAML by libfyaml as a json_t tree that still knows where each value stood.
 *
 * Every scalar becomes a JSON *string*, exactly as written ("0042", "no", "1e3"): what a scalar means is decided by
 * the code that knows the key, never by its looks. A plain empty scalar, `~` and `null` become JSON null. Aliases are
 * expanded (bounded), merge keys (`<<`) resolved (merged keys follow a mapping's own), duplicate keys are errors. Texts
 * and keys hold no NUL. Tags beyond YAML's core schema are errors. */
#ifndef STEPBOX_BASE_YAML_H
#define STEPBOX_BASE_YAML_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

#define YAML_MAX_BYTES ((size_t)1 << 20)
#define YAML_MAX_NODES 100000
#define YAML_MAX_DEPTH 64

struct yaml {
	json_t *root; /* owned; never null itself: an empty document is an error */
	char *name;   /* as shown in messages: a path, or "--set" */
	/* owned: JSON pointer → [line, column], 1-based; the key's place for mapping values. What came by an alias or a
	 * merge key has the place where it was written; an empty list item has none. */
	json_t *marks;
};

/* Parses text. name is used in messages. ERR_USER "FILE:LINE:COLUMN: cause". */
int yaml_parse(struct yaml *y, const char *name, const char *text, size_t len, struct err *err) MUST_USE;
int yaml_load(struct yaml *y, const char *path, struct err *err) MUST_USE;
void yaml_finish(struct yaml *y);

/* ERR_USER "FILE:LINE:COLUMN: message" with the place of the JSON pointer ("/migrations/from"), or of its nearest
 * parent that is known. Returns -1. */
int yaml_err(const struct yaml *y, const char *pointer, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
