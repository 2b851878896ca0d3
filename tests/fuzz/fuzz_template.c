/* SPDX-License-Identifier: MIT */
/* A text with its variables through template_fill(): bounded output, and text without "${" comes out as it is. */
#include "base/template.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#define OUT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static json_t *vars;
	if (vars == NULL)
		vars = json_pack("{sssssi}", "database.url", "sqlite:////x.db", "user", "joe", "port", 22);
	struct err err = ERR_INIT;
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	AUTO_BUF out = buf_make(OUT_MAX);
	int rc = template_fill(&out, text, vars, &err);
	assert(out.len <= OUT_MAX);
	if (rc == 0 && strstr(text, "${") == NULL)
		assert(strcmp(out.data, text) == 0);
	if (rc != 0)
		assert(err.reach == ERR_USER && (out.overflow || strstr(err.msg, "no such variable") != NULL));
	/* as a file name: found or refused */
	AUTO_BUF file = buf_make(OUT_MAX);
	if (strlen(text) < 64)
		(void)!template_file(text, &file, &err);
	return 0;
}
