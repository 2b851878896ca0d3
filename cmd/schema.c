/* SPDX-License-Identifier: MIT */
/* schema: the normalised dump after a step, on stdout, byte for byte. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "migrations/schema.h"
#include "migrations/store.h"

#define DUMP_MAX ((size_t)64 << 20)

static int run(struct cmd_ctx *c, struct err *err)
{
	struct run r;
	struct step s = {0};
	AUTO_BUF dump = buf_make(DUMP_MAX);
	AUTO_BUF part = buf_make(DUMP_MAX);
	const char *spec = c->argc ? c->argv[0] : "last";
	int found = store_step_by_spec(c->db, spec, &r, &s, err);
	if (found == 0)
		return err_set(err, ERR_USER, 0, "%s: no such step with a schema; `stepbox show` lists them", spec);
	int rc = found < 0 ? -1 : store_blob_get(c->db, s.dump, &dump, err);
	step_finish(&s);
	if (rc < 0)
		return -1;
	const struct buf *out = &dump;
	if (c->argc > 1) {
		if (schema_table_text(dump.data, dump.len, r.engine, c->argv[1], &part) == 0)
			return err_set(err, ERR_USER, 0, "%s: no table %s", spec, c->argv[1]);
		out = &part;
	}
	if (!isatty(STDOUT_FILENO))
		return fwrite(out->data, 1, out->len, stdout) == out->len
			       ? 0
			       : err_set(err, ERR_BOX, 0, "stdout: cannot be written");
	/* On a terminal: safe to look at. */
	AUTO_BUF safe = buf_make(DUMP_MAX);
	text_safe(&safe, out->data, out->len);
	fputs(safe.data, stdout);
	return 0;
}

const struct cmd cmd_schema = {
	.name = "schema",
	.args = "[RUN[:VERSION] [TABLE]]",
	.brief = "print the schema after a step",
	.help = "The normalised dump, byte for byte (made safe when stdout is a terminal). Without VERSION: after the "
		"last step.",
	.max_args = 2,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
