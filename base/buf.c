/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define FIRST_CAP ((size_t)64)

/* What `data` of a buffer without memory (cap 0) points to; only ever read. */
static char nothing[1];

struct buf buf_make(size_t max)
{
	if (max > SIZE_MAX / 2) /* so that len + n + 1 cannot wrap */
		max = SIZE_MAX / 2;
	return (struct buf){.data = nothing, .max = max};
}

void buf_finish(struct buf *b)
{
	if (b->cap)
		free(b->data);
	*b = buf_make(b->max);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->overflow = false;
	if (b->cap)
		b->data[0] = '\0';
}

/* Makes room for n more bytes and the NUL; -1 when the maximum forbids it. */
static int grow(struct buf *b, size_t n)
{
	if (b->overflow || n > b->max - b->len) {
		b->overflow = true;
		return -1;
	}
	size_t need = b->len + n + 1;
	if (need <= b->cap)
		return 0;
	size_t cap = b->cap ? b->cap : FIRST_CAP;
	while (cap < need)
		cap *= 2;
	if (cap > b->max + 1)
		cap = b->max + 1;
	b->data = xrealloc(b->cap ? b->data : NULL, cap, 1);
	b->cap = cap;
	return 0;
}

int buf_add(struct buf *b, const void *data, size_t n)
{
	if (grow(b, n) < 0)
		return -1;
	if (n)
		memcpy(b->data + b->len, data, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int rc = buf_vaddf(b, fmt, ap);
	va_end(ap);
	return rc;
}

int buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	size_t room = b->cap ? b->cap - b->len : 0;
	int n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
	assert(n >= 0); /* only a wrong format or 2 GiB of text can do that */
	int rc = 0;
	if ((size_t)n >= room || b->overflow) {
		if (room)
			b->data[b->len] = '\0'; /* take back the half that was printed */
		rc = grow(b, (size_t)n);
		if (rc == 0)
			vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
	}
	va_end(again);
	if (rc == 0)
		b->len += (size_t)n;
	return rc;
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	if (n == 0)
		return;
	b->len -= n;
	memmove(b->data, b->data + n, b->len + 1);
}

char *buf_take(struct buf *b)
{
	char *data = b->cap ? b->data : xstrdup("");
	*b = buf_make(b->max);
	return data;
}
