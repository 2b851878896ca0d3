/* SPDX-License-Identifier: MIT */
/* What became of a step, from everything that was seen of it (the outcomes: migrations/store.h). Pure. */
#ifndef STEPBOX_MIGRATIONS_OUTCOME_H
#define STEPBOX_MIGRATIONS_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "migrations/store.h"

/* Output that means something, as extended regular expressions (matched line by line); either may be NULL. */
struct outcome_patterns;
/* NULL with ERR_USER when one is no regular expression. */
struct outcome_patterns *outcome_patterns_new(const char *refused, const char *env_failed, struct err *err);
void outcome_patterns_free(struct outcome_patterns *p); /* NULL is fine */

/* Only this much of a step's output, from its end, is looked at. */
#define OUTCOME_OUTPUT_MAX ((size_t)64 << 10)

struct outcome_signs {
	bool base;            /* step 0 */
	bool ok;              /* by what the runner read back */
	const char *why;      /* when not: rc, noop, wrong, timeout, look, env */
	bool dumped, changed; /* there is a schema after it; it differs from the one before */
	const char *output;   /* its end */
	size_t output_len;
};
enum outcome outcome_classify(const struct outcome_signs *s, const struct outcome_patterns *p);

#endif
