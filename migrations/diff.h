/* SPDX-License-Identifier: MIT */
/* Unified text diff of two dumps, by diff(1) of diffutils (Essential in Debian). */
#ifndef STEPBOX_MIGRATIONS_DIFF_H
#define STEPBOX_MIGRATIONS_DIFF_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

/* Appends `diff -u` output with these labels; what is over out's maximum is dropped (out->overflow). Runs diff(1) for
 * at most DIFF_TIMEOUT_MS, ends on stop. Returns 0 same, 1 different, -1 err (ERR_USER without diff(1), ERR_BOX when it
 * took too long, ERR_CANCELED). */
#define DIFF_TIMEOUT_MS 60000
int diff_text(const char *a, size_t a_len, const char *a_label, const char *b, size_t b_len, const char *b_label,
	      struct buf *out, struct err *err) MUST_USE;
/* Applies `diff -n` (RCS) output and appends the result to out. Linear, and strict, as delta is foreign: lines in
 * rising order, inside base, complete. ERR_BOX "delta: …" when malformed or when out is full. */
int diff_apply_rcs(const char *base, size_t base_len, const char *delta, size_t delta_len, struct buf *out,
		   struct err *err) MUST_USE;

#endif
