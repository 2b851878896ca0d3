/* SPDX-License-Identifier: MIT */
/* Two schemas → what changed, as records; the records → lines, or a few words.
 *
 * Objects are matched by name. One that is gone and one that is new with the very same definition (a column: in the
 * same place) are shown as a rename, with a question mark: that is a guess. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "migrations/schema_model.h"

enum { LINE_MAX_BYTES = 2000, SHORT_CHANGE = 60 };

enum op { ADD, DROP, CHANGE, RENAME };
/* In the order in which they are shown. */
enum kind {
	TABLE,
	VIEW,
	OPTIONS,
	PRIMARY_KEY,
	COLUMN,
	ORDER,
	UNIQUE,
	INDEX,
	FOREIGN_KEY,
	CHECK,
	EXTRA,
	TRIGGER,
	OTHER
};

struct change {
	enum op op;
	enum kind kind;
	const char *word;  /* "column" … */
	const char *table; /* "" for what belongs to none */
	const char *name;
	char *text; /* the rest of the line */
};
struct changes {
	struct change *items;
	size_t n;
};

static void changes_finish(struct changes *cs)
{
	for (size_t i = 0; i < cs->n; i++)
		free(cs->items[i].text);
	free(cs->items);
}

/* fmt: what stands behind "+ ", "- ", "~ " or, for renames, at the beginning. */
__attribute__((format(printf, 7, 8))) static void note(struct changes *cs, enum op op, enum kind kind, const char *word,
						       const char *table, const char *name, const char *fmt, ...)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	*SCHEMA_ADD(cs->items, cs->n) = (struct change){op, kind, word, table, name, buf_take(&text)};
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* ---- columns ---- */

static void add_word(struct buf *out, const char *word)
{
	buf_addf(out, "%s%s", out->len ? " " : "", word);
}

/* "VARCHAR(64) NOT NULL DEFAULT 'x'" */
static void column_text(const struct column *c, struct buf *out)
{
	buf_reset(out);
	if (c->type[0])
		add_word(out, c->type);
	add_word(out, c->not_null ? "NOT NULL" : "NULL");
	if (c->dflt)
		buf_addf(out, " DEFAULT %s", c->dflt);
	if (c->collation[0])
		buf_addf(out, " COLLATE %s", c->collation);
	if (c->generated[0])
		buf_addf(out, " AS %s", c->generated);
	if (c->autoincrement)
		add_word(out, "AUTOINCREMENT");
}

static bool same_column(const struct column *a, const struct column *b)
{
	return same(a->type, b->type) && a->not_null == b->not_null && same(a->dflt, b->dflt) &&
	       same(a->collation, b->collation) && same(a->generated, b->generated) &&
	       a->autoincrement == b->autoincrement;
}

/* One attribute that changed: "old → new"; empty ones get a word of their own. */
static void add_attribute(struct buf *out, const char *prefix, const char *a, const char *b, const char *none)
{
	if (same(a, b))
		return;
	bool has_a = a && *a;
	bool has_b = b && *b;
	buf_addf(out, "%s%s%s → %s%s", out->len ? ", " : "", has_a ? prefix : "", has_a ? a : none, has_b ? prefix : "",
		 has_b ? b : none);
}

static void column_changed(struct changes *cs, const char *table, const struct column *a, const struct column *b)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	add_attribute(&text, "", a->type, b->type, "no type");
	add_attribute(&text, "", a->not_null ? "NOT NULL" : "NULL", b->not_null ? "NOT NULL" : "NULL", "");
	add_attribute(&text, "DEFAULT ", a->dflt, b->dflt, "no default");
	add_attribute(&text, "COLLATE ", a->collation, b->collation, "no collation");
	add_attribute(&text, "AS ", a->generated, b->generated, "not generated");
	if (a->autoincrement != b->autoincrement)
		buf_addf(&text, "%s%s AUTOINCREMENT", text.len ? ", " : "", b->autoincrement ? "now" : "no longer");
	note(cs, CHANGE, COLUMN, "column", table, a->name, "column %s: %s", a->name, text.data);
}

static const struct column *find_column(const struct table *t, const char *name)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (same(t->columns[i].name, name))
			return &t->columns[i];
	return NULL;
}

/* The column of b that stands where a's column i stood, when it is new and defined alike. */
static const struct column *renamed_column(const struct table *a, size_t i, const struct table *b)
{
	if (i >= b->n_columns || !same_column(&a->columns[i], &b->columns[i]) || find_column(a, b->columns[i].name))
		return NULL;
	return &b->columns[i];
}

static bool is_rename_target(const struct table *a, const struct table *b, size_t i)
{
	return i < a->n_columns && !find_column(b, a->columns[i].name) && renamed_column(a, i, b);
}

/* Whether the columns both have stand in the same order. */
static bool same_order(const struct table *a, const struct table *b)
{
	size_t k = 0;
	for (size_t i = 0; i < a->n_columns; i++) {
		if (!find_column(b, a->columns[i].name))
			continue;
		while (k < b->n_columns && !find_column(a, b->columns[k].name))
			k++;
		if (k == b->n_columns || !same(a->columns[i].name, b->columns[k].name))
			return false;
		k++;
	}
	return true;
}

static void diff_columns(struct changes *cs, const struct table *a, const struct table *b)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < a->n_columns; i++) {
		const struct column *c = &a->columns[i];
		const struct column *d = find_column(b, c->name);
		const struct column *r = d ? NULL : renamed_column(a, i, b);
		if (d && !same_column(c, d))
			column_changed(cs, a->name, c, d);
		else if (r)
			note(cs, RENAME, COLUMN, "column", a->name, c->name, "column %s → %s", c->name, r->name);
		else if (!d)
			note(cs, DROP, COLUMN, "column", a->name, c->name, "column %s", c->name);
	}
	for (size_t i = 0; i < b->n_columns; i++) {
		const struct column *c = &b->columns[i];
		if (find_column(a, c->name) || is_rename_target(a, b, i))
			continue;
		column_text(c, &text);
		note(cs, ADD, COLUMN, "column", b->name, c->name, "column %s %s", c->name, text.data);
	}
	if (!same_order(a, b))
		note(cs, CHANGE, ORDER, "column order", a->name, "", "column order changed");
}

/* ---- indexes ---- */

static const char *index_word(const struct index *ix)
{
	return ix->constraint ? "unique" : ix->unique ? "unique index" : "index";
}

static enum kind index_kind(const struct index *ix)
{
	return ix->constraint ? UNIQUE : INDEX;
}

/* "(a, b) where c = 1" */
static void index_def(const struct index *ix, struct buf *out)
{
	buf_reset(out);
	buf_addf(out, "(%s)%s%s", ix->parts, ix->where[0] ? " where " : "", ix->where);
}

static bool same_index(const struct index *a, const struct index *b)
{
	return a->unique == b->unique && same(a->parts, b->parts) && same(a->where, b->where);
}

/* Unique constraints need no name: what they say is their name. */
static const struct index *find_index(const struct table *t, const struct index *ix)
{
	for (size_t i = 0; i < t->n_indexes; i++) {
		const struct index *other = &t->indexes[i];
		if (other->constraint == ix->constraint &&
		    (ix->constraint ? same(other->parts, ix->parts) : same(other->name, ix->name)))
			return other;
	}
	return NULL;
}

static void note_index(struct changes *cs, enum op op, const char *table, const struct index *ix)
{
	AUTO_BUF def = buf_make(BUF_TEXT_MAX);
	index_def(ix, &def);
	const char *name = ix->constraint ? "" : ix->name;
	note(cs, op, index_kind(ix), index_word(ix), table, name[0] ? name : ix->parts, "%s%s%s %s", index_word(ix),
	     name[0] ? " " : "", name, def.data);
}

static void index_changed(struct changes *cs, const char *table, const struct index *a, const struct index *b)
{
	AUTO_BUF was = buf_make(BUF_TEXT_MAX);
	AUTO_BUF is = buf_make(BUF_TEXT_MAX);
	index_def(a, &was);
	index_def(b, &is);
	note(cs, CHANGE, INDEX, index_word(a), table, a->name, "%s %s %s → %s%s", index_word(a), a->name, was.data,
	     a->unique == b->unique ? ""
	     : b->unique            ? "unique "
				    : "not unique ",
	     is.data);
}

static void index_renamed(struct changes *cs, const char *table, const struct index *a, const struct index *b)
{
	AUTO_BUF def = buf_make(BUF_TEXT_MAX);
	index_def(a, &def);
	const char *name = a->constraint ? "" : a->name;
	const char *to = b->constraint ? "" : b->name;
	if (!a->constraint && !b->constraint)
		note(cs, RENAME, INDEX, index_word(a), table, a->name, "%s %s → %s", index_word(a), a->name, b->name);
	else /* constraint and index do the same, but only the index can be dropped */
		note(cs, CHANGE, index_kind(a), index_word(a), table, name[0] ? name : a->parts, "%s%s%s %s → %s%s%s",
		     index_word(a), name[0] ? " " : "", name, def.data, index_word(b), to[0] ? " " : "", to);
}

/* Takes the first index of b nobody has taken yet that is defined as x. */
static const struct index *take_alike(const struct index *x, const struct table *b, bool *taken)
{
	for (size_t i = 0; i < b->n_indexes; i++)
		if (!taken[i] && same_index(x, &b->indexes[i])) {
			taken[i] = true;
			return &b->indexes[i];
		}
	return NULL;
}

static void diff_indexes(struct changes *cs, const struct table *a, const struct table *b)
{
	AUTO_FREE bool *taken = xcalloc(b->n_indexes + 1, sizeof(*taken));
	for (size_t i = 0; i < b->n_indexes; i++)
		taken[i] = find_index(a, &b->indexes[i]) != NULL;
	for (size_t i = 0; i < a->n_indexes; i++) {
		const struct index *x = &a->indexes[i];
		const struct index *y = find_index(b, x);
		const struct index *r = y ? NULL : take_alike(x, b, taken);
		if (y && !same_index(x, y))
			index_changed(cs, a->name, x, y);
		else if (r)
			index_renamed(cs, a->name, x, r);
		else if (!y)
			note_index(cs, DROP, a->name, x);
	}
	for (size_t i = 0; i < b->n_indexes; i++)
		if (!taken[i])
			note_index(cs, ADD, b->name, &b->indexes[i]);
}

/* ---- keys, checks and the rest of a table ---- */

static bool same_fk(const struct foreign_key *a, const struct foreign_key *b)
{
	return same(a->from, b->from) && same(a->parent, b->parent) && same(a->to, b->to) &&
	       same(a->on_update, b->on_update) && same(a->on_delete, b->on_delete) &&
	       same(a->deferrable, b->deferrable);
}

static bool has_fk(const struct table *t, const struct foreign_key *fk)
{
	for (size_t i = 0; i < t->n_fks; i++)
		if (same_fk(&t->fks[i], fk))
			return true;
	return false;
}

/* The key of b that took the place of fk of a: from the same columns, new. */
static const struct foreign_key *successor(const struct table *a, const struct foreign_key *fk, const struct table *b)
{
	for (size_t i = 0; i < b->n_fks; i++)
		if (same(b->fks[i].from, fk->from) && !has_fk(a, &b->fks[i]))
			return &b->fks[i];
	return NULL;
}

/* "parent(a, b) ON DELETE CASCADE" */
static void fk_target(const struct foreign_key *fk, struct buf *out)
{
	bool to = fk->to[0] != '\0';
	buf_addf(out, "%s%s%s%s", fk->parent, to ? "(" : "", fk->to, to ? ")" : "");
	buf_addf(out, "%s%s", fk->on_update[0] ? " ON UPDATE " : "", fk->on_update);
	buf_addf(out, "%s%s", fk->on_delete[0] ? " ON DELETE " : "", fk->on_delete);
	buf_addf(out, "%s%s", fk->deferrable[0] ? " " : "", fk->deferrable);
}

static void note_fk(struct changes *cs, enum op op, const char *table, const struct foreign_key *fk,
		    const struct foreign_key *to)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	fk_target(fk, &text);
	if (to) {
		buf_adds(&text, " → ");
		fk_target(to, &text);
	}
	note(cs, op, FOREIGN_KEY, "foreign key", table, fk->from, "foreign key (%s)%s %s", fk->from, to ? ":" : " →",
	     text.data);
}

static void diff_fks(struct changes *cs, const struct table *a, const struct table *b)
{
	for (size_t i = 0; i < a->n_fks; i++) {
		const struct foreign_key *fk = &a->fks[i];
		const struct foreign_key *to = has_fk(b, fk) ? NULL : successor(a, fk, b);
		if (to && successor(b, to, a) == fk)
			note_fk(cs, CHANGE, a->name, fk, to);
		else if (!has_fk(b, fk))
			note_fk(cs, DROP, a->name, fk, NULL);
	}
	for (size_t i = 0; i < b->n_fks; i++) {
		const struct foreign_key *fk = &b->fks[i];
		const struct foreign_key *was = has_fk(a, fk) ? NULL : successor(b, fk, a);
		if (!has_fk(a, fk) && !(was && successor(a, was, b) == fk))
			note_fk(cs, ADD, b->name, fk, NULL);
	}
}

/* Two sorted lists of texts, merged; how often a text occurs counts. */
static void diff_texts(struct changes *cs, const char *table, enum kind kind, const char *word, const char *const *a,
		       size_t n_a, const char *const *b, size_t n_b)
{
	for (size_t i = 0, k = 0; i < n_a || k < n_b;) {
		int d = i == n_a ? 1 : k == n_b ? -1 : strcmp(a[i], b[k]);
		if (d < 0)
			note(cs, DROP, kind, word, table, a[i], "%s %s", word, a[i]);
		else if (d > 0)
			note(cs, ADD, kind, word, table, b[k], "%s %s", word, b[k]);
		i += d <= 0;
		k += d >= 0;
	}
}

static void diff_checks(struct changes *cs, const struct table *a, const struct table *b)
{
	for (size_t i = 0, k = 0; i < a->n_checks || k < b->n_checks;) {
		int d = i == a->n_checks ? 1 : k == b->n_checks ? -1 : strcmp(a->checks[i].expr, b->checks[k].expr);
		if (d < 0)
			note(cs, DROP, CHECK, "check", a->name, a->checks[i].expr, "check (%s)", a->checks[i].expr);
		else if (d > 0)
			note(cs, ADD, CHECK, "check", a->name, b->checks[k].expr, "check (%s)", b->checks[k].expr);
		i += d <= 0;
		k += d >= 0;
	}
}

static void diff_text(struct changes *cs, const char *table, enum kind kind, const char *word, const char *a,
		      const char *b)
{
	if (!same(a, b))
		note(cs, CHANGE, kind, word, table, "", "%s (%s) → (%s)", word, a, b);
}

static void diff_table(struct changes *cs, const struct table *a, const struct table *b)
{
	diff_text(cs, a->name, OPTIONS, "options", a->options, b->options);
	diff_text(cs, a->name, PRIMARY_KEY, "primary key", a->pk, b->pk);
	diff_columns(cs, a, b);
	diff_indexes(cs, a, b);
	diff_fks(cs, a, b);
	diff_checks(cs, a, b);
	diff_texts(cs, a->name, EXTRA, "constraint", a->extras, a->n_extras, b->extras, b->n_extras);
}

/* ---- tables ---- */

static const struct table *find_table(const struct schema *s, const char *name)
{
	size_t low = 0;
	size_t high = s->n_tables;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = strcmp(s->tables[mid].name, name);
		if (d == 0)
			return &s->tables[mid];
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* The same in everything but its name and its indexes' names. */
static bool same_table(const struct table *a, const struct table *b)
{
	if (a->n_columns != b->n_columns || a->n_indexes != b->n_indexes || a->n_fks != b->n_fks)
		return false;
	for (size_t i = 0; i < a->n_columns; i++)
		if (!same(a->columns[i].name, b->columns[i].name))
			return false;
	struct changes cs = {0};
	diff_table(&cs, a, b);
	bool alike = true;
	for (size_t i = 0; i < cs.n; i++)
		alike &= cs.items[i].op == RENAME;
	changes_finish(&cs);
	return alike;
}

/* The one table of `in`, unknown to `not_in`, that is defined as t; NULL when there is none or more than one. */
static const struct table *only_twin(const struct table *t, const struct schema *in, const struct schema *not_in)
{
	const struct table *found = NULL;
	for (size_t i = 0; i < in->n_tables; i++) {
		const struct table *other = &in->tables[i];
		if (find_table(not_in, other->name) || !same_table(t, other))
			continue;
		if (found)
			return NULL;
		found = other;
	}
	return found;
}

static const struct table *renamed_table(const struct table *t, const struct schema *a, const struct schema *b)
{
	const struct table *to = only_twin(t, b, a);
	return to && only_twin(to, a, b) == t ? to : NULL;
}

static void diff_tables(struct changes *cs, const struct schema *a, const struct schema *b)
{
	for (size_t i = 0; i < a->n_tables; i++) {
		const struct table *t = &a->tables[i];
		const struct table *u = find_table(b, t->name);
		const struct table *r = u ? NULL : renamed_table(t, a, b);
		if (u)
			diff_table(cs, t, u);
		else if (r)
			note(cs, RENAME, TABLE, "table", t->name, t->name, "table %s → %s", t->name, r->name);
		else
			note(cs, DROP, TABLE, "table", t->name, t->name, "table %s", t->name);
	}
	for (size_t i = 0; i < b->n_tables; i++) {
		const struct table *t = &b->tables[i];
		if (!find_table(a, t->name) && !renamed_table(t, b, a))
			note(cs, ADD, TABLE, "table", t->name, t->name, "table %s (%zu column%s)", t->name,
			     t->n_columns, t->n_columns == 1 ? "" : "s");
	}
}

/* ---- views, triggers and the unmodelled ---- */

static int compare_objects(const struct object *a, const struct object *b)
{
	int d = strcmp(a->table, b->table);
	if (d == 0)
		d = strcmp(a->kind, b->kind);
	return d ? d : strcmp(a->name, b->name);
}

static void note_object(struct changes *cs, enum op op, const struct object *o)
{
	bool trigger = strcmp(o->kind, "trigger") == 0;
	enum kind kind = trigger ? TRIGGER : strcmp(o->kind, "view") == 0 ? VIEW : OTHER;
	note(cs, op, kind, o->kind, o->table, o->name, "%s %s%s", o->kind, o->name,
	     o->modelled ? "" : " (not modelled)");
}

/* Both lists are sorted alike. */
static void diff_objects(struct changes *cs, const struct schema *a, const struct schema *b)
{
	for (size_t i = 0, k = 0; i < a->n_objects || k < b->n_objects;) {
		int d = i == a->n_objects   ? 1
			: k == b->n_objects ? -1
					    : compare_objects(&a->objects[i], &b->objects[k]);
		if (d < 0)
			note_object(cs, DROP, &a->objects[i]);
		else if (d > 0)
			note_object(cs, ADD, &b->objects[k]);
		else if (!same(a->objects[i].text, b->objects[k].text))
			note_object(cs, CHANGE, &b->objects[k]);
		i += d <= 0;
		k += d >= 0;
	}
}

static int by_place(const void *x, const void *y)
{
	const struct change *a = x;
	const struct change *b = y;
	const char *place_a = a->table[0] ? a->table : a->name;
	const char *place_b = b->table[0] ? b->table : b->name;
	int d = strcmp(place_a, place_b);
	if (d == 0)
		d = (int)a->kind - (int)b->kind;
	if (d == 0)
		d = strcmp(a->name, b->name);
	return d ? d : (int)a->op - (int)b->op;
}

static struct changes changes_between(const struct schema *a, const struct schema *b)
{
	struct changes cs = {0};
	diff_tables(&cs, a, b);
	diff_objects(&cs, a, b);
	if (cs.n > 1)
		qsort(cs.items, cs.n, sizeof(*cs.items), by_place);
	return cs;
}

/* ---- in words ---- */

static const char *sign(enum op op)
{
	return op == ADD ? "+ " : op == DROP ? "- " : op == CHANGE ? "~ " : "";
}

static bool names_itself(const struct change *c)
{
	return c->table[0] == '\0' || c->kind == TABLE;
}

size_t schema_diff(const struct schema *a, const struct schema *b, struct buf *lines)
{
	CLEANUP(changes_finish) struct changes cs = changes_between(a, b);
	AUTO_BUF line = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < cs.n; i++) {
		const struct change *c = &cs.items[i];
		buf_reset(&line);
		if (!names_itself(c))
			buf_addf(&line, "%s: ", c->table);
		buf_addf(&line, "%s%s%s", c->kind == ORDER ? "" : sign(c->op), c->text,
			 c->op == RENAME ? " (renamed?)" : "");
		text_safe_line(lines, line.data, line.len, LINE_MAX_BYTES);
		buf_addc(lines, '\n');
	}
	return cs.n;
}

/* Whether the brief text counts the two as one: "+2 columns instances". */
static bool counts_with(const struct change *a, const struct change *b)
{
	return a->op == b->op && strcmp(a->word, b->word) == 0 && (names_itself(a) || same(a->table, b->table));
}

static const char *plural(const char *word)
{
	size_t n = strlen(word);
	return word[n - 1] == 'x' ? "es" : word[n - 1] == 'e' && word[0] == 'u' ? " constraints" : "s";
}

/* "+2 columns instances", "- index y on t", "column a → b on t", as it can be shown. */
static void phrase(const struct change *c, size_t n, struct buf *out)
{
	AUTO_BUF raw = buf_make(BUF_TEXT_MAX);
	bool whole = names_itself(c);
	bool named = c->name[0] && c->kind != CHECK && c->kind != EXTRA;
	if (n > 1)
		buf_addf(&raw, "%c%zu %s%s%s%s", c->op == RENAME ? '~' : *sign(c->op), n, c->word, plural(c->word),
			 whole ? "" : " ", whole ? "" : c->table);
	else if (c->kind == ORDER)
		buf_addf(&raw, "column order %s", c->table);
	else if (c->op == CHANGE && c->kind == COLUMN && strlen(c->text) <= SHORT_CHANGE)
		/* What became of a column is what people look for: a lost NOT NULL must not hide behind "~ column". */
		buf_addf(&raw, "~ %s on %s", c->text, c->table);
	else if (c->op == RENAME)
		buf_addf(&raw, "%s%s%s", c->text, whole ? "" : " on ", whole ? "" : c->table);
	else
		buf_addf(&raw, "%s%s%s%s%s%s", sign(c->op), c->word, named ? " " : "", named ? c->name : "",
			 whole ? "" : " on ", whole ? "" : c->table);
	buf_reset(out);
	text_safe_line(out, raw.data, raw.len, LINE_MAX_BYTES);
}

/* Marks those that count with item i as told (by an empty word); returns their number. */
static size_t take_group(struct changes *cs, size_t i)
{
	const struct change first = cs->items[i];
	size_t n = 0;
	for (size_t k = i; k < cs->n; k++)
		if (cs->items[k].word[0] && counts_with(&first, &cs->items[k])) {
			cs->items[k].word = "";
			n++;
		}
	return n;
}

static size_t more_length(size_t left)
{
	return left ? (size_t)snprintf(NULL, 0, ", and %zu more", left) : 0;
}

void schema_brief(const struct schema *a, const struct schema *b, size_t max, struct buf *out)
{
	static const size_t ellipsis = sizeof("…") - 1;
	CLEANUP(changes_finish) struct changes cs = changes_between(a, b);
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	size_t end = out->len + max;
	size_t told = 0;
	if (cs.n == 0)
		buf_adds(out, "no change");
	for (size_t i = 0; i < cs.n; i++) {
		if (cs.items[i].word[0] == '\0')
			continue;
		const struct change first = cs.items[i];
		size_t n = take_group(&cs, i);
		size_t left = cs.n - told - n;
		size_t reserve = more_length(left);
		phrase(&first, n, &text);
		if (told && out->len + 2 + text.len + reserve > end) {
			buf_addf(out, ", and %zu more", left + n);
			return;
		}
		if (told)
			buf_adds(out, ", ");
		/* The first is told in any case, cut when it has to be. */
		if (told || text.len + reserve <= max)
			buf_add(out, text.data, text.len);
		else
			text_safe_line(out, text.data, text.len,
				       max > reserve + ellipsis ? max - reserve - ellipsis : 0);
		told += n;
	}
}
