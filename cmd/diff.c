/* SPDX-License-Identifier: MIT */
/* diff: two schemas, as unified text. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "migrations/diff.h"
#include "migrations/schema_diff.h"
#include "migrations/store.h"

#define DUMP_MAX ((size_t)64 << 20)

struct side {
	struct run run;
	struct step step;
	struct buf dump;
	char label[400];
};

static int load_side(struct cmd_ctx *c, const char *spec, struct side *s, struct err *err)
{
	int found = store_step_by_spec(c->db, spec, &s->run, &s->step, err);
	if (found == 0)
		return err_set(err, ERR_USER, 0, "%s: no such step with a schema; `stepbox show` lists them", spec);
	if (found < 0 || store_blob_get(c->db, s->step.dump, &s->dump, err) < 0)
		return -1;
	snprintf(s->label, sizeof(s->label), "%s:%s", s->run.id, s->step.version);
	return 0;
}

/* What changed in words, above the text diff. */
static void print_words(const struct side *a, const struct side *b)
{
	struct err err = ERR_INIT;
	const struct schema_text ta = {.dump = a->dump.data, .dump_len = a->dump.len};
	const struct schema_text tb = {.dump = b->dump.data, .dump_len = b->dump.len};
	CLEANUP(schema_freep) struct schema *sa = schema_read(a->run.engine, &ta, &err);
	CLEANUP(schema_freep) struct schema *sb = schema_read(b->run.engine, &tb, &err);
	AUTO_BUF words = buf_make(BUF_TEXT_MAX);
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	if (!sa || !sb || strcmp(a->run.engine, b->run.engine) != 0)
		return;
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(sa, sb, NULL);
	schema_change_lines(cs, CHANGE_ALL, &words);
	text_safe(&safe, words.data, words.len);
	for (const char *p = safe.data; *p;) {
		size_t n = strcspn(p, "\n");
		printf("# %.*s\n", (int)n, p);
		p += n + (p[n] == '\n');
	}
}

static int compare(const struct side *a, const struct side *b, struct err *err)
{
	AUTO_BUF out = buf_make(DUMP_MAX);
	AUTO_BUF safe = buf_make(DUMP_MAX * 2);
	int rc = diff_text(a->dump.data, a->dump.len, a->label, b->dump.data, b->dump.len, b->label, &out, err);
	if (rc == 1) {
		print_words(a, b);
		text_safe(&safe, out.data, out.len);
		fputs(safe.data, stdout);
	}
	return rc;
}

static int run(struct cmd_ctx *c, struct err *err)
{
	struct side a = {.dump = buf_make(DUMP_MAX)}, b = {.dump = buf_make(DUMP_MAX)};
	int rc = load_side(c, c->argv[0], &a, err);
	if (rc == 0)
		rc = load_side(c, c->argv[1], &b, err);
	if (rc == 0)
		rc = compare(&a, &b, err);
	step_finish(&a.step);
	step_finish(&b.step);
	buf_finish(&a.dump);
	buf_finish(&b.dump);
	return rc;
}

const struct cmd cmd_diff = {
	.name = "diff",
	.args = "RUN[:VERSION] RUN[:VERSION]",
	.brief = "compare two schemas: exit code 0 same, 1 different",
	.min_args = 2,
	.max_args = 2,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
