/* SPDX-License-Identifier: MIT */
/* A growing byte buffer with a maximum given at the start. `data` is never NULL and always NUL-terminated (the NUL is
 * not counted in `len`), so text can be handed to C functions as it is. */
#ifndef STEPBOX_BASE_BUF_H
#define STEPBOX_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t max;    /* bytes it may ever hold */
	bool overflow; /* something did not fit and was dropped; sticky until buf_reset() */
};

/* Text that we make ourselves: a limit that only a mistake of ours can reach. */
#define BUF_TEXT_MAX ((size_t)16 << 20)

struct buf buf_make(size_t max);
/* Frees the memory; the buffer may be used again, with the same maximum. */
void buf_finish(struct buf *b);
void buf_reset(struct buf *b);
#define AUTO_BUF CLEANUP(buf_finish) struct buf

/* Appends; a piece that would pass the maximum is dropped as a whole and sets `overflow`, and so is everything after
 * it: what is held is always a beginning of what was added. Returns 0, or -1 on overflow. data must not lie in b. */
int buf_add(struct buf *b, const void *data, size_t n);
int buf_adds(struct buf *b, const char *s);
int buf_addc(struct buf *b, char c);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vaddf(struct buf *b, const char *fmt, va_list ap);
/* Removes the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);
/* Moves the memory out (caller frees) and leaves the buffer empty. */
char *buf_take(struct buf *b);

#endif
