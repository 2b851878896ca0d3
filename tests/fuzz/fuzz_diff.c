/* SPDX-License-Identifier: MIT */
/* A base and a delta (RCS, as of diff -n), separated by a line "%%". */
#include "migrations/diff.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

enum { OUT_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *cut = memmem(text, size, "%%\n", 3);
	if (!cut)
		return 0;
	size_t n = (size_t)(cut - text);
	/* Of their exact sizes, so that a byte too far is seen. */
	AUTO_FREE char *base = xcalloc(1, n ? n : 1);
	AUTO_FREE char *delta = xcalloc(1, size - n - 3 ? size - n - 3 : 1);
	memcpy(base, text, n);
	memcpy(delta, cut + 3, size - n - 3);
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(OUT_MAX);
	int rc = diff_apply_rcs(base, n, delta, size - n - 3, &out, &err);
	assert(out.len <= n + size && out.len <= OUT_MAX);
	assert(rc == 0 ? err.reach == ERR_NONE : err.reach == ERR_BOX);
	return 0;
}
