/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void out_of_memory(void)
{
	static const char text[] = "stepbox: out of memory; 'stepbox gc' deletes boxes that are left\n";
	ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)ignored;
	abort();
}

void *xcalloc(size_t n, size_t size)
{
	void *p = n && size ? calloc(n, size) : calloc(1, 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes))
		out_of_memory();
	void *q = realloc(p, bytes ? bytes : 1);
	if (!q)
		out_of_memory();
	return q;
}

char *xstrdup(const char *s)
{
	return s ? xmemdup(s, strlen(s)) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
	return s ? xmemdup(s, strnlen(s, n)) : NULL;
}

void *xmemdup(const void *p, size_t n)
{
	if (n == SIZE_MAX)
		out_of_memory();
	char *q = malloc(n + 1);
	if (!q)
		out_of_memory();
	if (n)
		memcpy(q, p, n);
	q[n] = '\0';
	return q;
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory();
	return s;
}

void mem_freep(void *p)
{
	void *q;
	memcpy(&q, p, sizeof(q)); /* *(void **)p would break the aliasing rules for a T * */
	free(q);
	q = NULL;
	memcpy(p, &q, sizeof(q));
}

void fd_closep(int *fd)
{
	if (*fd < 0)
		return;
	int saved = errno; /* runs between a failure and its report */
	close(*fd);
	errno = saved;
	*fd = -1;
}
