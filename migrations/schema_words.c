/* SPDX-License-Identifier: MIT */
/* Records of schema_changes() in words: lines, a summary, a few words for the screen; and the words for --ignore. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "migrations/schema_diff.h"

enum { LINE_MAX_BYTES = 2000, SHORT_CHANGE = 60 };

/* ---- names ---- */

static const char *const op_names[] = {
	[CHANGE_ADD] = "add",       [CHANGE_DROP] = "drop",       [CHANGE_CHANGE] = "change",
	[CHANGE_RENAME] = "rename", [CHANGE_REORDER] = "reorder",
};
static const char *const class_names[] = {
	[CHANGE_STRUCTURAL] = "structural",
	[CHANGE_UNMODELLED] = "unmodelled",
	[CHANGE_COSMETIC] = "cosmetic",
};
static const char *const kind_names[] = {
	[KIND_TABLE] = "table",
	[KIND_VIEW] = "view",
	[KIND_PRIMARY_KEY] = "primary-key",
	[KIND_COLUMN] = "column",
	[KIND_UNIQUE] = "unique-constraint",
	[KIND_INDEX] = "index",
	[KIND_FOREIGN_KEY] = "foreign-key",
	[KIND_CHECK] = "check",
	[KIND_CONSTRAINT] = "constraint",
	[KIND_TRIGGER] = "trigger",
	[KIND_OTHER] = "other",
};
static const char *const field_names[] = {
	[FIELD_WHOLE] = "whole",
	[FIELD_NAME] = "name",
	[FIELD_ORDER] = "order",
	[FIELD_INDEX_ORDER] = "index-order",
	[FIELD_COLUMNS] = "columns",
	[FIELD_TYPE] = "type",
	[FIELD_TEXT_TYPE] = "text-type",
	[FIELD_ENUM] = "enum",
	[FIELD_UNSIGNED] = "unsigned",
	[FIELD_NULL] = "null",
	[FIELD_DEFAULT] = "default",
	[FIELD_COLLATION] = "collation",
	[FIELD_GENERATED] = "generated",
	[FIELD_ON_UPDATE] = "on-update",
	[FIELD_IDENTITY] = "identity",
	[FIELD_COMMENT] = "comment",
	[FIELD_OPTIONS] = "options",
	[FIELD_PARTITION] = "partition",
	[FIELD_UNIQUE] = "unique",
	[FIELD_WHERE] = "where",
	[FIELD_PREFIX] = "prefix",
	[FIELD_TARGET] = "target",
	[FIELD_FK_ACTION] = "fk-action",
	[FIELD_FK_INDEX] = "fk-index",
	[FIELD_DEFERRABLE] = "deferrable",
	[FIELD_EVENT] = "event",
	[FIELD_BODY] = "body",
	[FIELD_ENGINE] = "engine",
	[FIELD_TEXT] = "text",
	[FIELD_UNMODELLED] = "not-modelled",
};
_Static_assert(ARRAY_SIZE(op_names) == CHANGE_OP_COUNT_, "a word for every op");
_Static_assert(ARRAY_SIZE(class_names) == CHANGE_CLASS_COUNT_, "a word for every class");
_Static_assert(ARRAY_SIZE(kind_names) == CHANGE_KIND_COUNT_, "a word for every kind");
_Static_assert(ARRAY_SIZE(field_names) == CHANGE_FIELD_COUNT_, "a word for every field");

const char *change_op_name(enum change_op op)
{
	return op_names[op];
}

const char *change_class_name(enum change_class c)
{
	return class_names[c];
}

const char *change_kind_name(enum change_kind k)
{
	return kind_names[k];
}

const char *change_field_name(enum change_field field)
{
	return field_names[field];
}

const char *const schema_bookkeeping[] = {
	"migrate_version",
	"alembic_version",
	"django_migrations",
	"schema_migrations",
	"ar_internal_metadata",
	"flyway_schema_history",
	"DATABASECHANGELOG",
	"DATABASECHANGELOGLOCK",
	"goose_db_version",
	"knex_migrations",
	"knex_migrations_lock",
	"SequelizeMeta",
	"_prisma_migrations",
	"_sqlx_migrations",
	"__diesel_schema_migrations",
	"doctrine_migration_versions",
	"phinxlog",
	"gorp_migrations",
	NULL,
};

/* ---- what is to be ignored ---- */

static bool find_word(const char *const *names, size_t n, const char *word, uint64_t *bits)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], word) == 0) {
			*bits |= UINT64_C(1) << i;
			return true;
		}
	return false;
}

const char *const *schema_ignore_words(void)
{
	enum { FIRST = 1 }; /* FIELD_WHOLE says nothing */
	static const char *words[CHANGE_FIELD_COUNT_ + CHANGE_KIND_COUNT_ + CHANGE_CLASS_COUNT_ + 1];
	size_t n = 0;
	for (size_t i = FIRST; i < ARRAY_SIZE(field_names); i++)
		words[n++] = field_names[i];
	for (size_t i = 0; i < ARRAY_SIZE(kind_names); i++)
		words[n++] = kind_names[i];
	for (size_t i = FIRST; i < ARRAY_SIZE(class_names); i++)
		words[n++] = class_names[i];
	words[n] = NULL;
	return words;
}

static int ignore_word(const char *word, struct schema_diff_options *o, struct err *err)
{
	uint64_t field = 0; /* without FIELD_WHOLE, which says nothing */
	if (find_word(field_names + 1, ARRAY_SIZE(field_names) - 1, word, &field)) {
		o->ignore_fields |= field << 1;
		return 0;
	}
	if (find_word(kind_names, ARRAY_SIZE(kind_names), word, &o->ignore_kinds))
		return 0;
	if (strcmp(word, class_names[CHANGE_STRUCTURAL]) != 0 &&
	    find_word(class_names, ARRAY_SIZE(class_names), word, &o->ignore_classes))
		return 0;
	const char *near = text_nearest(word, schema_ignore_words());
	if (near)
		return err_set(err, ERR_USER, 0, "--ignore %s: no such difference; did you mean %s?", word, near);
	return err_set(err, ERR_USER, 0, "--ignore %s: no such difference; order, name, comment … are (see --help)",
		       word);
}

int schema_ignore_parse(const char *list, struct schema_diff_options *o, struct err *err)
{
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ", ");
		AUTO_FREE char *word = xstrndup(p, n);
		if (n > 0 && ignore_word(word, o, err) < 0)
			return -1;
		p += n;
		p += strspn(p, ", ");
	}
	return 0;
}

/* ---- lines ---- */

static const char *sign(enum change_op op)
{
	return op == CHANGE_ADD ? "+ " : op == CHANGE_DROP ? "- " : op == CHANGE_RENAME ? "" : "~ ";
}

/* A table as a whole, or what belongs to none. */
static bool names_itself(const struct schema_change *c)
{
	return c->table[0] == '\0' || (c->kind == KIND_TABLE && c->name[0]);
}

void schema_change_line(const struct schema_change *c, struct buf *out)
{
	AUTO_BUF line = buf_make(BUF_TEXT_MAX);
	if (!names_itself(c))
		buf_addf(&line, "%s: ", c->table);
	buf_addf(&line, "%s%s%s", sign(c->op), c->text, c->op == CHANGE_RENAME ? " (renamed?)" : "");
	text_safe_line(out, line.data, line.len, LINE_MAX_BYTES);
}

size_t schema_change_lines(const struct schema_changes *cs, unsigned classes, struct buf *lines)
{
	size_t n = 0;
	for (size_t i = 0; i < cs->n; i++) {
		if (!(classes >> cs->items[i].class & 1))
			continue;
		schema_change_line(&cs->items[i], lines);
		buf_addc(lines, '\n');
		n++;
	}
	return n;
}

void schema_changes_summary(const struct schema_changes *cs, struct buf *out)
{
	buf_addf(out, "%zu structural, %zu cosmetic, %zu unmodelled", cs->count[CHANGE_STRUCTURAL],
		 cs->count[CHANGE_COSMETIC], cs->count[CHANGE_UNMODELLED]);
	if (cs->ignored)
		buf_addf(out, ", %zu ignored", cs->ignored);
}

/* ---- a few words ---- */

struct briefing {
	const struct schema_changes *cs;
	bool *told;
	size_t left; /* things, not records: what became of one column is one */
};

/* Several records of one column in turn are told as one. */
static bool continues(const struct schema_change *c, const struct schema_change *before)
{
	return c->op == CHANGE_CHANGE && before->op == CHANGE_CHANGE && c->kind == before->kind &&
	       c->kind == KIND_COLUMN && strcmp(c->table, before->table) == 0 && strcmp(c->name, before->name) == 0;
}

static bool is_told(const struct briefing *b, size_t i)
{
	const struct schema_change *c = &b->cs->items[i];
	return b->told[i] || c->field == FIELD_TEXT || (i > 0 && continues(c, c - 1));
}

/* Whether two are counted as one: "+2 columns instances". */
static bool counts_with(const struct schema_change *a, const struct schema_change *b)
{
	return a->op == b->op && strcmp(a->word, b->word) == 0 && names_itself(a) == names_itself(b) &&
	       (names_itself(a) || strcmp(a->table, b->table) == 0);
}

static const char *plural(const char *word)
{
	return strcmp(word, "unique") == 0 ? " constraints" : text_ends(word, "x") ? "es" : "s";
}

/* What became of one column, all of it. */
static void add_details(const struct schema_changes *cs, size_t i, struct buf *out)
{
	buf_addf(out, "%s", cs->items[i].text);
	for (size_t k = i + 1; k < cs->n && continues(&cs->items[k], &cs->items[i]); k++)
		buf_addf(out, ", %s", cs->items[k].detail);
}

/* "- index y on t", "column a → b on t". */
static void phrase_one(const struct schema_changes *cs, size_t i, struct buf *raw)
{
	const struct schema_change *c = &cs->items[i];
	bool whole = names_itself(c);
	const char *on = whole ? "" : " on ";
	const char *table = whole ? "" : c->table;
	bool named =
		c->name[0] && c->kind != KIND_CONSTRAINT && !(c->kind == KIND_CHECK && strlen(c->name) > SHORT_CHANGE);
	AUTO_BUF details = buf_make(BUF_TEXT_MAX);
	if (c->op == CHANGE_REORDER) {
		buf_addf(raw, "column order %s", c->table);
		return;
	}
	/* What became of a column is what people look for: a lost NOT NULL must not hide behind "~ column". */
	if (c->op == CHANGE_CHANGE && c->kind == KIND_COLUMN)
		add_details(cs, i, &details);
	if (details.len && details.len <= SHORT_CHANGE)
		buf_addf(raw, "~ %s%s%s", details.data, on, table);
	else if (c->op == CHANGE_RENAME)
		buf_addf(raw, "%s%s%s", c->text, on, table);
	else
		buf_addf(raw, "%s%s%s%s%s%s", sign(c->op), c->word, named ? " " : "", named ? c->name : "", on, table);
}

/* The n that count with item i, as they can be shown. */
static void phrase(const struct schema_changes *cs, size_t i, size_t n, struct buf *out)
{
	const struct schema_change *c = &cs->items[i];
	AUTO_BUF raw = buf_make(BUF_TEXT_MAX);
	bool whole = names_itself(c);
	if (n > 1)
		buf_addf(&raw, "%c%zu %s%s%s%s", c->op == CHANGE_RENAME ? '~' : *sign(c->op), n, c->word,
			 plural(c->word), whole ? "" : " ", whole ? "" : c->table);
	else
		phrase_one(cs, i, &raw);
	buf_reset(out);
	text_safe_line(out, raw.data, raw.len, LINE_MAX_BYTES);
}

/* Marks those that count with item i as told; returns their number. They are of one table, so they are near, or whole
 * tables. */
static size_t take_group(struct briefing *b, size_t i)
{
	const struct schema_change *first = &b->cs->items[i];
	size_t n = 0;
	for (size_t k = i; k < b->cs->n; k++) {
		const struct schema_change *c = &b->cs->items[k];
		if (!names_itself(first) && strcmp(first->table, c->table) != 0)
			break;
		if (!is_told(b, k) && counts_with(first, c)) {
			b->told[k] = true;
			n++;
		}
	}
	return n;
}

static size_t more_length(size_t left)
{
	return left ? (size_t)snprintf(NULL, 0, ", and %zu more", left) : 0;
}

/* Adds a phrase for item i and those like it; false when the line is full. */
static bool tell(struct briefing *b, size_t i, size_t max, size_t begin, struct buf *out)
{
	static const size_t ellipsis = sizeof("…") - 1;
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	bool first = out->len == begin;
	size_t n = take_group(b, i);
	size_t reserve = more_length(b->left - n);
	phrase(b->cs, i, n, &text);
	if (!first && out->len + 2 + text.len + reserve > begin + max) {
		buf_addf(out, ", and %zu more", b->left);
		return false;
	}
	buf_adds(out, first ? "" : ", ");
	/* The first is told in any case, cut when it has to be. */
	if (!first || text.len + reserve <= max)
		buf_add(out, text.data, text.len);
	else
		text_safe_line(out, text.data, text.len, max > reserve + ellipsis ? max - reserve - ellipsis : 0);
	b->left -= n;
	return true;
}

void schema_changes_brief(const struct schema_changes *cs, size_t max, struct buf *out)
{
	AUTO_FREE bool *told = xcalloc(cs->n + 1, sizeof(*told));
	struct briefing b = {.cs = cs, .told = told};
	size_t begin = out->len;
	for (size_t i = 0; i < cs->n; i++)
		b.left += !is_told(&b, i);
	if (b.left == 0)
		buf_adds(out, cs->n ? "only the text of the schema" : "no change");
	for (size_t i = 0; i < cs->n; i++)
		if (!is_told(&b, i) && !tell(&b, i, max, begin, out))
			return;
}
