/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Longer words have no near neighbours worth telling. */
#define WORD_MAX 64

/* Length of the well-formed UTF-8 character at s (Unicode 15, table 3-7), its code point in *cp; 0 when there is none:
 * truncated, overlong, a surrogate, above U+10FFFF. */
static size_t utf8_char(const unsigned char *s, size_t n, uint32_t *cp)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;
	if (len == 0 || len > n)
		return 0;
	uint32_t c = len == 1 ? s[0] : s[0] & (0xFFu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3F);
	}
	if (c < smallest[len] || (c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF)
		return 0;
	*cp = c;
	return len;
}

/* Does a terminal act on this character instead of showing it? */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c <= 0x9F)        /* C0, DEL, C1 */
	       || c == 0x61C || c == 0x200E || c == 0x200F /* direction marks */
	       || (c >= 0x2028 && c <= 0x202E)             /* line and paragraph separators, embeddings, overrides */
	       || (c >= 0x2066 && c <= 0x2069);            /* isolates */
}

/* One unit of safe output: the character at s as it is, or its bytes as \xNN. Returns the bytes of s used;
 * *out_len is 0 for a CR that goes. out holds the longest: four escaped bytes. */
static size_t safe_unit(const unsigned char *s, size_t n, bool one_line, char out[17], size_t *out_len)
{
	uint32_t c = 0;
	size_t len = utf8_char(s, n, &c);
	*out_len = 0;
	if (c == '\r' && n > 1 && s[1] == '\n')
		return 1;
	if (len == 1 && (c == '\n' || c == '\t')) {
		out[0] = "\t\n "[one_line ? 2 : c == '\n'];
		*out_len = 1;
		return 1;
	}
	if (len > 0 && !is_control(c)) {
		memcpy(out, s, len);
		*out_len = len;
		return len;
	}
	static const char digits[] = "0123456789abcdef";
	size_t bad = len ? len : 1;
	for (size_t i = 0; i < bad; i++) {
		char *o = out + 4 * i;
		o[0] = '\\';
		o[1] = 'x';
		o[2] = digits[s[i] >> 4];
		o[3] = digits[s[i] & 15];
	}
	*out_len = 4 * bad;
	return bad;
}

void text_safe(struct buf *out, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + n;
	while (p < end) {
		char unit[17];
		size_t len;
		p += safe_unit(p, (size_t)(end - p), false, unit, &len);
		buf_add(out, unit, len);
	}
}

void text_safe_line(struct buf *out, const char *s, size_t n, size_t max)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + n;
	size_t used = 0;
	while (p < end) {
		char unit[17];
		size_t len;
		p += safe_unit(p, (size_t)(end - p), true, unit, &len);
		if (len > max - used) {
			buf_adds(out, "…");
			return;
		}
		buf_add(out, unit, len);
		used += len;
	}
}

size_t text_columns(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xC0) != 0x80;
	return n;
}

void text_pad(struct buf *out, const char *s, size_t columns)
{
	buf_adds(out, s);
	for (size_t n = text_columns(s); n < columns; n++)
		buf_addc(out, ' ');
}

void text_shell_quote(struct buf *out, const char *s)
{
	buf_addc(out, '\'');
	for (;;) {
		size_t n = strcspn(s, "'");
		buf_add(out, s, n);
		if (!s[n])
			break;
		buf_adds(out, "'\\''");
		s += n + 1;
	}
	buf_addc(out, '\'');
}

bool text_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);
	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool text_is_name(const char *s)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = strspn(s, rest);
	return n >= 1 && n <= 63 && s[n] == '\0' && strchr(first, s[0]);
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;
	return m < c ? m : c;
}

/* Optimal string alignment: insertions, deletions, replacements and swaps of neighbours ("rnu" is one from "run").
 * Both at most WORD_MAX bytes. */
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m)
{
	size_t row[3][WORD_MAX + 1];
	size_t *before = row[0], *last = row[1], *now = row[2];
	for (size_t j = 0; j <= m; j++)
		last[j] = j;
	for (size_t i = 1; i <= n; i++) {
		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		size_t *oldest = before;
		before = last;
		last = now;
		now = oldest;
	}
	return last[m];
}

const char *text_nearest(const char *s, const char *const *words)
{
	const char *best = NULL;
	size_t n = strlen(s), best_distance = n / 3 + 1;
	if (n > WORD_MAX)
		return NULL;
	for (; *words; words++) {
		size_t m = strlen(*words);
		if (m > WORD_MAX)
			continue;
		size_t d = edit_distance(s, n, *words, m);
		if (d < best_distance) {
			best = *words;
			best_distance = d;
		}
	}
	return best;
}

/* Decimal digits at s into *value; the end of them, or NULL when there are none or too many. */
static const char *parse_digits(const char *s, uint64_t *value)
{
	if (*s < '0' || *s > '9')
		return NULL;
	*value = 0;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(*value, 10u, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(*s - '0'), value))
			return NULL;
	return s;
}

int text_parse_int(const char *name, const char *s, int64_t min, int64_t max, int64_t *out, struct err *err)
{
	bool negative = *s == '-';
	uint64_t magnitude = 0;
	const char *end = parse_digits(s + negative, &magnitude);
	int64_t value = 0;
	bool fits = end && !*end &&
		    !(negative ? __builtin_sub_overflow((int64_t)0, magnitude, &value)
			       : __builtin_add_overflow((int64_t)0, magnitude, &value));
	if (!fits || value < min || value > max)
		return err_set(err, ERR_USER, 0, "%s: not a number from %" PRId64 " to %" PRId64 ": \"%.40s\"", name,
			       min, max, s);
	*out = value;
	return 0;
}

/* Bytes of a size unit; 0 when it is none. A bare letter is binary, as in most tools that take one. */
static uint64_t size_unit(const char *unit)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} units[] = {
		{"", 1},
		{"B", 1},
		{"K", (uint64_t)1 << 10},
		{"KiB", (uint64_t)1 << 10},
		{"kB", 1000},
		{"KB", 1000},
		{"M", (uint64_t)1 << 20},
		{"MiB", (uint64_t)1 << 20},
		{"MB", (uint64_t)1000 * 1000},
		{"G", (uint64_t)1 << 30},
		{"GiB", (uint64_t)1 << 30},
		{"GB", (uint64_t)1000 * 1000 * 1000},
		{"T", (uint64_t)1 << 40},
		{"TiB", (uint64_t)1 << 40},
		{"TB", (uint64_t)1000 * 1000 * 1000 * 1000},
	};
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcmp(units[i].name, unit) == 0)
			return units[i].bytes;
	return 0;
}

int text_parse_size(const char *name, const char *s, uint64_t *out, struct err *err)
{
	uint64_t n = 0, bytes = 0;
	const char *end = parse_digits(s, &n);
	if (end && *end == ' ')
		end++;
	uint64_t unit = end ? size_unit(end) : 0;
	if (unit == 0 || __builtin_mul_overflow(n, unit, &bytes))
		return err_set(err, ERR_USER, 0, "%s: not a size such as 512MiB, 4GiB or 10GB: \"%.40s\"", name, s);
	*out = bytes;
	return 0;
}
