/* SPDX-License-Identifier: MIT */
/* diff: two schemas, of one engine or two: what differs in words, and as text where that means something. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/difftext.h"
#include "cmd/report.h"
#include "migrations/diff.h"

#define DUMP_MAX ((size_t)64 << 20)

struct diff_opts {
	struct difftext_opts what;
	bool text, structure;
	const char *table;
};

static const struct opt opts[] = {
	DIFFTEXT_OPTS(struct diff_opts, what),
	{'t', "table", "TABLE", "this table only", OPT_STRING, offsetof(struct diff_opts, table)},
	{0, "text", NULL, "the dumps as text only; the exit code says whether they are the same bytes", OPT_FLAG,
	 offsetof(struct diff_opts, text)},
	{0, "structure", NULL, "no text diff", OPT_FLAG, offsetof(struct diff_opts, structure)},
	OPT_END,
};

struct side {
	struct run run;
	struct step step;
	struct buf dump;
	struct schema *schema; /* NULL: not readable, and why */
	struct err why;
	char label[400];
};

/* The lines of --table only. 0/-1 (ERR_USER when no side has it is left to the caller). */
static void only_table(struct side *s, const char *table)
{
	struct buf part = buf_make(DUMP_MAX);
	schema_table_text(s->dump.data, s->dump.len, s->run.engine, table, &part);
	buf_finish(&s->dump);
	s->dump = part;
}

static int load_side(struct cmd_ctx *c, const char *spec, struct side *s, struct err *err)
{
	int found = store_step_by_spec(c->db, spec, &s->run, &s->step, err);
	if (found == 0)
		return err_set(err, ERR_USER, 0, "%s: no such step with a schema; `stepbox show` lists them", spec);
	if (found < 0)
		return -1;
	s->schema = difftext_load(c->db, s->run.engine, &s->step, &s->dump, &s->why);
	if (!s->schema && s->why.reach != ERR_STEP) {
		*err = s->why;
		return err_ctx(err, "%s", spec);
	}
	snprintf(s->label, sizeof(s->label), "%s:%s", s->run.id, s->step.version);
	return 0;
}

static void print_text(const struct buf *out)
{
	AUTO_BUF safe = buf_make(DUMP_MAX * 2);
	text_safe(&safe, out->data, out->len);
	fputs(safe.data, stdout);
}

static bool same_engine(const struct side *a, const struct side *b)
{
	return strcmp(a->run.engine, b->run.engine) == 0;
}

static int text_diff(const struct side *a, const struct side *b, struct buf *out, struct err *err)
{
	return diff_text(a->dump.data, a->dump.len, a->label, b->dump.data, b->dump.len, b->label, out, err);
}

/* Which two, and how they differ; above a text diff each line is a comment to tools that read diffs. */
static void print_words(const struct side *a, const struct side *b, const struct schema_changes *cs, bool all,
			bool above_text)
{
	AUTO_BUF words = buf_make(BUF_TEXT_MAX);
	bool same = same_engine(a, b);
	buf_addf(&words, "%s%s%s%s → %s (%s): ", a->label, same ? "" : " (", same ? "" : a->run.engine, same ? "" : ")",
		 b->label, b->run.engine);
	schema_changes_summary(cs, &words);
	buf_addc(&words, '\n');
	difftext_lines(cs, all, 2, &words);
	for (const char *p = words.data; *p;) {
		size_t n = strcspn(p, "\n");
		printf("%s%.*s\n", above_text ? "# " : "", (int)n, p);
		p += n + (p[n] == '\n');
	}
}

static int print_json(const struct side *a, const struct side *b, const struct schema_changes *cs)
{
	char hash_a[SHA256_HEX], hash_b[SHA256_HEX];
	json_t *o = difftext_json(cs);
	schema_hash(a->schema, schema_bookkeeping, hash_a);
	schema_hash(b->schema, schema_bookkeeping, hash_b);
	json_object_set_new(o, "a",
			    json_pack("{s:s, s:s, s:s, s:s}", "run", a->run.id, "version", a->step.version, "engine",
				      a->run.engine, "schema", hash_a));
	json_object_set_new(o, "b",
			    json_pack("{s:s, s:s, s:s, s:s}", "run", b->run.id, "version", b->step.version, "engine",
				      b->run.engine, "schema", hash_b));
	json_object_set_new(o, "same", json_boolean(!schema_changes_differ(cs)));
	report_print_json(o);
	return schema_changes_differ(cs);
}

/* The dumps as text: the whole comparison when a schema cannot be read, or when that is asked for. */
static int compare_text(const struct side *a, const struct side *b, struct err *err)
{
	AUTO_BUF out = buf_make(DUMP_MAX);
	int rc = text_diff(a, b, &out, err);
	if (rc == 1)
		print_text(&out);
	return rc;
}

static int compare_structure(struct cmd_ctx *c, const struct side *a, const struct side *b,
			     const struct schema_diff_options *options, struct err *err)
{
	const struct diff_opts *o = c->opts;
	AUTO_BUF out = buf_make(DUMP_MAX);
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(a->schema, b->schema, options);
	if (c->globals->json)
		return print_json(a, b, cs);
	int text = !o->structure && same_engine(a, b) ? text_diff(a, b, &out, err) : 0;
	if (text < 0)
		return -1;
	if (text || cs->n || cs->n_skipped || cs->ignored || !same_engine(a, b))
		print_words(a, b, cs, c->globals->verbose, text > 0);
	print_text(&out);
	return schema_changes_differ(cs);
}

static int compare(struct cmd_ctx *c, struct side *a, struct side *b, struct err *err)
{
	const struct diff_opts *o = c->opts;
	struct schema_diff_options options;
	if (difftext_options(&o->what, &options, err) < 0)
		return -1;
	options.table = o->table;
	if (o->table) {
		only_table(a, o->table);
		only_table(b, o->table);
		if (a->dump.len + b->dump.len == 0)
			return err_set(err, ERR_USER, 0, "%s: no such table in %s and %s", o->table, a->label,
				       b->label);
	}
	if (o->text && !same_engine(a, b))
		return err_set(err, ERR_USER, 0, "--text: %s is %s, %s is %s: their dumps have nothing in common",
			       a->label, a->run.engine, b->label, b->run.engine);
	const struct side *unread = !a->schema ? a : !b->schema ? b : NULL;
	if (unread && !o->text) {
		fprintf(stderr, "stepbox: %s: only the text can be compared: %s\n", unread->label, unread->why.msg);
		if (!same_engine(a, b) || o->structure || c->globals->json) {
			*err = unread->why;
			return -1;
		}
	}
	return o->text || unread ? compare_text(a, b, err) : compare_structure(c, a, b, &options, err);
}

static void side_finish(struct side *s)
{
	step_finish(&s->step);
	buf_finish(&s->dump);
	schema_free(s->schema);
}

static int run(struct cmd_ctx *c, struct err *err)
{
	const struct diff_opts *o = c->opts;
	CLEANUP(side_finish) struct side a = {.dump = buf_make(DUMP_MAX), .why = ERR_INIT};
	CLEANUP(side_finish) struct side b = {.dump = buf_make(DUMP_MAX), .why = ERR_INIT};
	if (o->text && o->structure)
		return err_set(err, ERR_USER, 0, "--text and --structure: one of them");
	if (load_side(c, c->argv[0], &a, err) < 0 || load_side(c, c->argv[1], &b, err) < 0)
		return -1;
	return compare(c, &a, &b, err);
}

const struct cmd cmd_diff = {
	.name = "diff",
	.args = "RUN[:VERSION] RUN[:VERSION]",
	.brief = "compare two schemas: exit code 0 same, 1 different",
	.help = "Two schemas are the same when nothing structural is between them and nothing that the model cannot "
		"tell;\n"
		"spelling, comments and names of constraints are cosmetic. Those of two database engines are compared\n"
		"through what both can say. Besides what is the same in any case, these types are held to be:\n"
		"varchar(39), varchar(43), char(39) = inet; varchar(43) = cidr; char(32), char(36), varchar(36) = "
		"uuid;\n"
		"bigint, datetime = interval; --equate adds to them. -v lists every cosmetic "
		"difference.\n" DIFFTEXT_IGNORE_HELP,
	.opts = opts,
	.ctx_size = sizeof(struct diff_opts),
	.min_args = 2,
	.max_args = 2,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
