/* SPDX-License-Identifier: MIT */
/* Time. All waiting uses the monotonic clock; the wall clock is for display and for expiries that other machines read.
 */
#ifndef STEPBOX_BASE_CLOCK_H
#define STEPBOX_BASE_CLOCK_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* A point on the monotonic clock in ms. A deadline is such a point. */
typedef int64_t mono_ms;
#define DEADLINE_NEVER INT64_MAX

mono_ms clock_mono(void);
mono_ms clock_deadline(int64_t timeout_ms); /* now + timeout_ms, saturating */
/* Seconds since 1970 UTC. */
int64_t clock_wall(void);

/* "2026-11-22T17:26:03Z" (UTC) of a wall-clock second; out holds at least 32 bytes. */
void clock_iso(int64_t wall, char out[32]);
/* A time span for people: "840 ms", "4.2 s", "3 m 12 s", "2 h 05 m". */
void clock_span(int64_t ms, char out[32]);

/* Parses "90", "90s", "10m", "4h", "2d" (no unit: seconds) to ms; 1 s to 30 d. */
int clock_parse_span(const char *text, int64_t *ms, struct err *err);

#endif
