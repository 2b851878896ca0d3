/* SPDX-License-Identifier: MIT */
#include "cmd/difftext.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/report.h"

enum { FOLD_FROM = 4, NAMES_SHOWN = 4, DUMP_MAX = 64 << 20 };

int difftext_options(const struct difftext_opts *given, struct schema_diff_options *out, struct err *err)
{
	*out = (struct schema_diff_options){
		.strict = given->strict,
		.skip_tables = schema_bookkeeping,
		.equates = given->equate.v,
		.n_equates = given->equate.n,
	};
	if (given->ignore && schema_ignore_parse(given->ignore, out, err) < 0)
		return -1;
	for (size_t i = 0; i < given->equate.n; i++)
		if (schema_equate_check(given->equate.v[i], err) < 0)
			return -1;
	return 0;
}

struct schema *difftext_load(struct db *db, const char *engine, const struct step *s, struct buf *dump, struct err *err)
{
	AUTO_BUF own = buf_make(DUMP_MAX);
	AUTO_BUF model = buf_make(DUMP_MAX);
	struct buf *text = dump ? dump : &own;
	size_t begin = text->len;
	if (store_blob_get(db, s->dump, text, err) < 0)
		return NULL;
	if (s->model[0] && store_blob_get(db, s->model, &model, err) < 0)
		return NULL;
	const struct schema_text both = {
		.dump = text->data + begin, .dump_len = text->len - begin, .model = model.data, .model_len = model.len};
	return schema_read(engine, &both, err);
}

/* ---- for people ---- */

static void indented(struct buf *out, int indent, const char *line)
{
	buf_addf(out, "%*s%s\n", indent, "", line);
}

/* Many of one kind say no more than a few: "text: 98 tables (a, b, c, d …)". */
static size_t count_field(const struct schema_changes *cs, enum change_class class, enum change_field field)
{
	size_t n = 0;
	for (size_t i = 0; i < cs->n; i++)
		n += cs->items[i].class == class && cs->items[i].field == field;
	return n;
}

static const char *field_words(enum change_field field)
{
	static const char *const words[CHANGE_FIELD_COUNT_] = {
		[FIELD_NAME] = "names of indexes and constraints",
		[FIELD_TEXT_TYPE] = "text types",
		[FIELD_ENUM] = "enumerations and text",
		[FIELD_UNSIGNED] = "integers without a sign",
		[FIELD_COMMENT] = "comments",
		[FIELD_FK_ACTION] = "RESTRICT and NO ACTION",
		[FIELD_FK_INDEX] = "indexes MariaDB needs for foreign keys",
		[FIELD_ENGINE] = "what only one of the engines has",
		[FIELD_TEXT] = "spelling of statements",
	};
	return words[field] ? words[field] : change_field_name(field);
}

static void folded(const struct schema_changes *cs, enum change_class class, enum change_field field, size_t n,
		   int indent, struct buf *out)
{
	AUTO_BUF line = buf_make(BUF_TEXT_MAX);
	AUTO_BUF names = buf_make(BUF_TEXT_MAX);
	const char *last = "";
	size_t shown = 0;
	for (size_t i = 0; i < cs->n && shown <= NAMES_SHOWN; i++) {
		const struct schema_change *c = &cs->items[i];
		const char *place = c->table[0] ? c->table : c->name;
		if (c->class != class || c->field != field || strcmp(place, last) == 0)
			continue;
		last = place;
		if (shown++ < NAMES_SHOWN)
			buf_addf(&names, "%s%s", names.len ? ", " : "", place);
		else
			buf_adds(&names, " …");
	}
	buf_addf(&line, "%zu × %s: ", n, field_words(field));
	text_safe_line(&line, names.data, names.len, BUF_TEXT_MAX);
	indented(out, indent, line.data);
}

static void class_lines(const struct schema_changes *cs, enum change_class class, bool all, int indent, struct buf *out)
{
	size_t fields[CHANGE_FIELD_COUNT_];
	bool told[CHANGE_FIELD_COUNT_] = {false};
	for (size_t f = 0; f < CHANGE_FIELD_COUNT_; f++)
		fields[f] = !all && class == CHANGE_COSMETIC ? count_field(cs, class, (enum change_field)f) : 0;
	for (size_t i = 0; i < cs->n; i++) {
		const struct schema_change *c = &cs->items[i];
		if (c->class != class || told[c->field])
			continue;
		if (fields[c->field] >= FOLD_FROM) {
			told[c->field] = true;
			folded(cs, class, c->field, fields[c->field], indent, out);
			continue;
		}
		AUTO_BUF line = buf_make(BUF_TEXT_MAX);
		schema_change_line(c, &line);
		indented(out, indent, line.data);
	}
}

void difftext_lines(const struct schema_changes *cs, bool all, int indent, struct buf *out)
{
	static const char *const headings[] = {
		[CHANGE_STRUCTURAL] = "structural:",
		[CHANGE_UNMODELLED] = "not modelled, the text differs:",
		[CHANGE_COSMETIC] = "cosmetic:",
	};
	_Static_assert(ARRAY_SIZE(headings) == CHANGE_CLASS_COUNT_, "a heading for every class");
	for (size_t i = 0; i < CHANGE_CLASS_COUNT_; i++) {
		if (cs->count[i] == 0)
			continue;
		indented(out, indent, headings[i]);
		class_lines(cs, (enum change_class)i, all, indent + 2, out);
	}
	if (cs->incomplete)
		indented(out, indent, "… and more: only the first are listed");
	if (cs->n_skipped == 0)
		return;
	indented(out, indent, "the tool's own tables (not counted):");
	for (size_t i = 0; i < cs->n_skipped && i < SCHEMA_MAX_CHANGES; i++) {
		AUTO_BUF line = buf_make(BUF_TEXT_MAX);
		schema_change_line(&cs->skipped[i], &line);
		indented(out, indent + 2, line.data);
	}
}

/* ---- for programs ---- */

static json_t *change_json(const struct schema_change *c)
{
	AUTO_BUF line = buf_make(BUF_TEXT_MAX);
	schema_change_line(c, &line);
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:s}", "op", change_op_name(c->op), "class",
			 change_class_name(c->class), "kind", change_kind_name(c->kind), "field",
			 change_field_name(c->field), "table", report_json_text(c->table), "name",
			 report_json_text(c->name), "a", report_json_text(c->a), "b", report_json_text(c->b), "text",
			 line.data);
}

static json_t *changes_json(const struct schema_change *items, size_t n)
{
	json_t *a = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, change_json(&items[i]));
	return a;
}

json_t *difftext_json(const struct schema_changes *cs)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:b, s:o, s:o}", "structural", (json_int_t)cs->count[CHANGE_STRUCTURAL],
			 "cosmetic", (json_int_t)cs->count[CHANGE_COSMETIC], "unmodelled",
			 (json_int_t)cs->count[CHANGE_UNMODELLED], "ignored", (json_int_t)cs->ignored, "complete",
			 !cs->incomplete, "changes", changes_json(cs->items, cs->n), "bookkeeping",
			 changes_json(cs->skipped, cs->n_skipped));
}
