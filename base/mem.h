/* SPDX-License-Identifier: MIT */
/* Allocation that cannot fail (prints and aborts: boxes are safe because the ledger is on disk before they exist),
 * and release at the end of a scope. */
#ifndef STEPBOX_BASE_MEM_H
#define STEPBOX_BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Zeroed memory of n * size bytes; the product is checked. */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
/* NULL gives NULL. */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
void *xmemdup(const void *p, size_t n); /* one NUL byte is kept behind the n bytes */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* CLEANUP(x_freep) T *v = NULL;  runs x_freep(&v) when the scope ends; TAKE(v) moves the value out. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define TAKE(p)                                                                                                        \
	__extension__({                                                                                                \
		__typeof__(p) take_ = (p);                                                                             \
		(p) = NULL;                                                                                            \
		take_;                                                                                                 \
	})

void mem_freep(void *p); /* for any `T *` from the allocators above */
void fd_closep(int *fd); /* closes when >= 0 */
#define AUTO_FREE  CLEANUP(mem_freep)
#define AUTO_CLOSE CLEANUP(fd_closep)

#include "base/banned.h"

#endif
