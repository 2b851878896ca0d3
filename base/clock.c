/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SPAN_MAX_S ((int64_t)30 * 24 * 3600)

mono_ms clock_mono(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (mono_ms)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

mono_ms clock_deadline(int64_t timeout_ms)
{
	mono_ms deadline;
	if (__builtin_add_overflow(clock_mono(), timeout_ms, &deadline))
		return DEADLINE_NEVER;
	return deadline;
}

int64_t clock_wall(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

void clock_iso(int64_t wall, char out[32])
{
	time_t t = wall;
	struct tm tm;
	if (!gmtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, 32, "@%" PRId64, wall); /* a year with more digits than fit: GNU date's form */
}

void clock_span(int64_t ms, char out[32])
{
	if (ms < 0)
		ms = 0;
	int64_t s = ms / 1000;
	if (s < 1)
		snprintf(out, 32, "%" PRId64 " ms", ms);
	else if (s < 60)
		snprintf(out, 32, "%" PRId64 ".%d s", s, (int)(ms % 1000 / 100));
	else if (s < 3600)
		snprintf(out, 32, "%" PRId64 " m %02d s", s / 60, (int)(s % 60));
	else if (s < (int64_t)48 * 3600)
		snprintf(out, 32, "%" PRId64 " h %02d m", s / 3600, (int)(s % 3600 / 60));
	else
		snprintf(out, 32, "%" PRId64 " d %02d h", s / 86400, (int)(s % 86400 / 3600));
}

/* Seconds of a unit letter ('\0': none given); 0 for a letter that is none. */
static int64_t unit_seconds(char unit)
{
	switch (unit) {
	case '\0':
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	default:
		return 0;
	}
}

int clock_parse_span(const char *text, int64_t *ms, struct err *err)
{
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits;
	int64_t factor = unit_seconds(*unit);
	if (digits == 0 || factor == 0 || (*unit && unit[1]))
		return err_set(err, ERR_USER, 0, "not a time span such as 90s, 10m, 4h or 2d: \"%.40s\"", text);
	int64_t n = 0;
	for (const char *p = text; p < unit && n <= SPAN_MAX_S; p++)
		n = n * 10 + (*p - '0');
	if (n == 0 || n > SPAN_MAX_S / factor)
		return err_set(err, ERR_USER, 0, "a time span from 1s to 30d is needed: \"%.40s\"", text);
	*ms = n * factor * 1000;
	return 0;
}
