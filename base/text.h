/* SPDX-License-Identifier: MIT */
/* Small work on strings: making foreign bytes safe to print, quoting, names, nearest word. */
#ifndef STEPBOX_BASE_TEXT_H
#define STEPBOX_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends n bytes of foreign text so that a terminal shows them and obeys none of them: printable UTF-8, TAB and LF
 * stay; CR before LF goes; every other control byte (C0, DEL, C1, bad UTF-8, bidi controls) becomes \xNN. */
void text_safe(struct buf *out, const char *s, size_t n);
/* The same into one line: LF and TAB become a space; at most max bytes of output, then "…". */
void text_safe_line(struct buf *out, const char *s, size_t n, size_t max);

/* How many columns of a terminal a UTF-8 text takes: its characters, which is right for all but wide ones. */
size_t text_columns(const char *s);
/* Appends s, and blanks up to so many columns. */
void text_pad(struct buf *out, const char *s, size_t columns);

/* Appends s in single quotes for a POSIX shell. */
void text_shell_quote(struct buf *out, const char *s);

bool text_starts(const char *s, const char *prefix);
bool text_ends(const char *s, const char *suffix);
/* A name usable as file name, host name and shell word: [a-z0-9][a-z0-9._-]{0,62}, lower case. */
bool text_is_name(const char *s);

/* The word of the NULL-terminated list nearest to s (edit distance at most a third of its length), or NULL. */
const char *text_nearest(const char *s, const char *const *words);

/* Whole decimal number in [min, max]; 0 or -1 (ERR_USER "NAME: not a number …"). */
int text_parse_int(const char *name, const char *s, int64_t min, int64_t max, int64_t *out, struct err *err) MUST_USE;
/* "512MiB", "4GiB", "10GB", "1024" → bytes. */
int text_parse_size(const char *name, const char *s, uint64_t *out, struct err *err) MUST_USE;

#endif
