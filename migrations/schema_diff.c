/* SPDX-License-Identifier: MIT */
/* Two schemas → records. Things are paired by name and by definition (sorted, so that the work is n log n), then what
 * is paired is compared part by part. schema_cross.c has what is special about two engines. */
#include "migrations/schema_diff.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "migrations/schema_diff_state.h"
#include "migrations/schema_lex.h"

enum { ORDER_SHOWN = 6, PG_NAME_BYTES = 63 };

const char *const schema_equates[] = {
	/* addresses */
	"varchar(39)=inet",
	"varchar(43)=inet",
	"varchar(43)=cidr",
	"char(39)=inet",
	/* UUIDs with and without dashes */
	"char(32)=uuid",
	"char(36)=uuid",
	"varchar(36)=uuid",
	/* microseconds (Django), or a time since the epoch (SQLAlchemy) */
	"bigint=interval",
	"datetime=interval",
	NULL,
};

/* ---- records ---- */

const char *keep(struct differ *d, const char *text)
{
	return schema_str(d->scratch, text);
}

static const char *own(struct differ *d, const char *text)
{
	return schema_str(d->out->memory, text);
}

static bool is_ignored(const struct differ *d, const struct schema_change *c)
{
	const struct schema_diff_options *o = d->o;
	return (o->ignore_fields >> c->field & 1) || (o->ignore_kinds >> c->kind & 1) ||
	       (o->ignore_classes >> c->class & 1);
}

static struct schema_change *room(struct differ *d, enum change_class class)
{
	struct schema_changes *out = d->out;
	if (d->skip)
		return out->n_skipped < SCHEMA_MAX_CHANGES ? SCHEMA_ADD(out->skipped, out->n_skipped) : NULL;
	out->count[class]++;
	if (out->n < SCHEMA_MAX_CHANGES)
		return SCHEMA_ADD(out->items, out->n);
	out->incomplete = true;
	return NULL;
}

void note(struct differ *d, const struct schema_change *c, const char *prefix, const char *between, const char *detail)
{
	const char *place = c->table && c->table[0] ? c->table : c->name;
	if (d->o->table && strcasecmp(place ? place : "", d->o->table) != 0)
		return;
	if (is_ignored(d, c)) {
		d->out->ignored++;
		return;
	}
	enum change_class class = d->o->strict && c->class == CHANGE_COSMETIC ? CHANGE_STRUCTURAL : c->class;
	struct schema_change *r = room(d, class);
	if (!r)
		return;
	buf_reset(&d->tmp);
	buf_adds(&d->tmp, prefix);
	size_t behind = d->tmp.len;
	if (detail[0]) {
		buf_adds(&d->tmp, between);
		behind = d->tmp.len;
		buf_adds(&d->tmp, detail);
	}
	*r = *c;
	r->class = class;
	r->text = schema_keep(d->out->memory, d->tmp.data, d->tmp.len);
	r->detail = r->text + (behind < d->tmp.len ? behind : d->tmp.len);
	r->table = own(d, c->table);
	r->name = own(d, c->name);
	r->a = own(d, c->a);
	r->b = own(d, c->b);
}

static int by_place(const void *x, const void *y)
{
	const struct schema_change *a = x;
	const struct schema_change *b = y;
	int d = strcmp(a->table[0] ? a->table : a->name, b->table[0] ? b->table : b->name);
	if (d == 0)
		d = (int)a->kind - (int)b->kind;
	if (d == 0)
		d = strcmp(a->name, b->name);
	if (d == 0)
		d = (int)a->op - (int)b->op;
	if (d == 0)
		d = (int)a->field - (int)b->field;
	return d ? d : strcmp(a->text, b->text);
}

/* ---- pairing ---- */

struct items items_make(size_t n)
{
	struct items i = {xcalloc(n + 1, sizeof(*i.v)), n};
	for (size_t k = 0; k < n; k++)
		i.v[k] = (struct item){.name = "", .def = "", .at = k};
	return i;
}

void items_finish(struct items *i)
{
	free(i->v);
}

static int by_both(const struct item *x, const struct item *y)
{
	int d = strcmp(x->name, y->name);
	return d ? d : strcmp(x->def, y->def);
}

static int by_one(const struct item *x, const struct item *y, unsigned by)
{
	return by == (BY_NAME | BY_DEF) ? by_both(x, y)
	       : by == BY_NAME          ? strcmp(x->name, y->name)
					: strcmp(x->def, y->def);
}

struct ref {
	struct item *it;
};

static int sorted(const void *x, const void *y, void *by)
{
	const struct item *a = ((const struct ref *)x)->it;
	const struct item *b = ((const struct ref *)y)->it;
	int d = by_one(a, b, *(unsigned *)by);
	return d ? d : a->at < b->at ? -1 : 1;
}

/* Those without a mate that have what they are to be paired by, sorted by it. */
static struct ref *loose(struct items *items, unsigned by, bool (*only)(const struct item *), size_t *n)
{
	struct ref *out = xcalloc(items->n + 1, sizeof(*out));
	*n = 0;
	for (size_t i = 0; i < items->n; i++) {
		struct item *it = &items->v[i];
		bool has = (!(by & BY_NAME) || it->name[0]) && (!(by & BY_DEF) || it->def[0]);
		if (!it->mate && has && (!only || only(it)))
			out[(*n)++].it = it;
	}
	qsort_r(out, *n, sizeof(*out), sorted, &by);
	return out;
}

void pair_up(struct items *a, struct items *b, unsigned by, bool (*only)(const struct item *))
{
	size_t n, m;
	AUTO_FREE struct ref *x = loose(a, by, only, &n);
	AUTO_FREE struct ref *y = n ? loose(b, by, only, &m) : NULL;
	for (size_t i = 0, k = 0; y && i < n && k < m;) {
		int d = by_one(x[i].it, y[k].it, by);
		if (d == 0) {
			x[i].it->mate = y[k].it;
			y[k].it->mate = x[i].it;
		}
		i += d <= 0;
		k += d >= 0;
	}
}

/* How many of sorted v from i on have the same definition. */
static size_t alike(const struct ref *v, size_t n, size_t i)
{
	size_t end = i + 1;
	while (end < n && strcmp(v[end].it->def, v[i].it->def) == 0)
		end++;
	return end - i;
}

void pair_twins(struct items *a, struct items *b)
{
	size_t n, m;
	AUTO_FREE struct ref *x = loose(a, BY_DEF, NULL, &n);
	AUTO_FREE struct ref *y = n ? loose(b, BY_DEF, NULL, &m) : NULL;
	for (size_t i = 0, k = 0; y && i < n && k < m;) {
		int d = strcmp(x[i].it->def, y[k].it->def);
		size_t xs = alike(x, n, i);
		size_t ys = alike(y, m, k);
		if (d == 0 && xs == 1 && ys == 1) {
			x[i].it->mate = y[k].it;
			y[k].it->mate = x[i].it;
		}
		i += d <= 0 ? xs : 0;
		k += d >= 0 ? ys : 0;
	}
}

/* ---- names ---- */

static bool has_postgresql(const struct differ *d)
{
	return strcmp(d->a->engine, "postgresql") == 0 || strcmp(d->b->engine, "postgresql") == 0;
}

const char *name_key(struct differ *d, const char *name)
{
	if (!d->cross)
		return name;
	size_t len = strlen(name);
	if (len > PG_NAME_BYTES && has_postgresql(d)) {
		len = PG_NAME_BYTES;
		while (len > 0 && ((unsigned char)name[len] & 0xC0) == 0x80)
			len--; /* it cuts between characters */
	}
	bool plain = name[len] == '\0';
	for (size_t i = 0; plain && i < len; i++)
		plain = !isupper((unsigned char)name[i]);
	if (plain)
		return name;
	char *key = xstrndup(name, len);
	for (size_t i = 0; i < len; i++)
		key[i] = (char)tolower((unsigned char)key[i]);
	const char *kept = keep(d, key);
	free(key);
	return kept;
}

const char *bare_name(struct differ *d, const char *name)
{
	const char *p = name + 1;
	if (name[0] != '"')
		return name;
	while (*p && (*p != '"' || p[1] == '"'))
		p += *p == '"' ? 2 : 1;
	if (*p == '\0' || p[1])
		return name;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	sql_unquote(&(struct sql_token){.kind = SQL_NAME, .s = name, .len = strlen(name)}, &out);
	return keep(d, out.data);
}

const char *names_key(struct differ *d, const char *names)
{
	if (!d->cross)
		return names;
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	for (const char *p = names; *p;) {
		const char *comma = strstr(p, ", ");
		size_t n = comma ? (size_t)(comma - p) : strlen(p);
		AUTO_FREE char *one = xstrndup(p, n);
		buf_addf(&out, "%s%s", out.len ? ", " : "", name_key(d, bare_name(d, one)));
		p += n + (comma ? 2 : 0);
	}
	return keep(d, out.data);
}

/* ---- columns ---- */

static void add_word(struct buf *out, const char *word)
{
	buf_addf(out, "%s%s", out->len ? " " : "", word);
}

/* "VARCHAR(64) NOT NULL DEFAULT 'x'" */
void column_text(const struct column *c, struct buf *out)
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
	if (c->on_update[0])
		buf_addf(out, " ON UPDATE %s", c->on_update);
	if (c->identity[0])
		buf_addf(out, strcmp(c->identity, "serial") == 0 ? " %s" : " GENERATED %s AS IDENTITY", c->identity);
	else if (c->autoincrement)
		add_word(out, "AUTOINCREMENT");
	if (c->options[0])
		add_word(out, c->options);
}

/* DEFAULT NULL is what is so anyway. */
static const char *default_of(const struct column *c)
{
	return c->dflt && strcasecmp(c->dflt, "NULL") != 0 ? c->dflt : "";
}

struct part {
	enum change_field field;
	enum change_class class;
	const char *label; /* before a value that is there */
	const char *a, *b;
	const char *none; /* for a value that is not */
};

static void note_part(struct differ *d, const struct schema_change *c, const char *prefix, const struct part *p)
{
	if (same_text(p->a, p->b))
		return;
	struct schema_change r = *c;
	r.op = CHANGE_CHANGE;
	r.class = p->class;
	r.field = p->field;
	r.a = p->a;
	r.b = p->b;
	AUTO_FREE char *detail = xasprintf("%s%s → %s%s", p->a[0] ? p->label : "", p->a[0] ? p->a : p->none,
					   p->b[0] ? p->label : "", p->b[0] ? p->b : p->none);
	note(d, &r, prefix, ": ", detail);
}

static void same_columns(struct differ *d, const char *table, const struct column *a, const struct column *b)
{
	const enum change_class s = CHANGE_STRUCTURAL;
	const struct part parts[] = {
		{FIELD_TYPE, s, "", a->type, b->type, "no type"},
		{FIELD_ENUM, s, "labels ", a->labels, b->labels, "no labels"},
		{FIELD_NULL, s, "", a->not_null ? "NOT NULL" : "NULL", b->not_null ? "NOT NULL" : "NULL", ""},
		{FIELD_DEFAULT, s, "DEFAULT ", default_of(a), default_of(b), "no default"},
		{FIELD_COLLATION, s, "COLLATE ", a->collation, b->collation, "no collation"},
		{FIELD_GENERATED, s, "AS ", a->generated, b->generated, "not generated"},
		{FIELD_ON_UPDATE, s, "ON UPDATE ", a->on_update, b->on_update, "not on update"},
		{FIELD_IDENTITY, s, "",
		 a->identity[0]     ? a->identity
		 : a->autoincrement ? "AUTOINCREMENT"
				    : "",
		 b->identity[0]     ? b->identity
		 : b->autoincrement ? "AUTOINCREMENT"
				    : "",
		 "no AUTOINCREMENT"},
		{FIELD_OPTIONS, s, "", a->options, b->options, "no options"},
		{FIELD_COMMENT, CHANGE_COSMETIC, "comment ", a->comment, b->comment, "no comment"},
	};
	const struct schema_change c = {.kind = KIND_COLUMN, .word = "column", .table = table, .name = a->name};
	AUTO_FREE char *prefix = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		/* An enumeration that spells its labels out in its type is told once. */
		if (same_text(parts[i].a, parts[i].b) ||
		    (parts[i].field == FIELD_ENUM && strcmp(a->type, b->type) != 0))
			continue;
		if (!prefix)
			prefix = xasprintf("column %s", a->name);
		note_part(d, &c, prefix, &parts[i]);
	}
}

/* For renames: what the column is and where it stands: behind which of the columns that both have, and how far. */
static void place_columns(struct differ *d, const struct table *t, struct items *items)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	const char *anchor = "";
	size_t off = 0;
	for (size_t i = 0; i < items->n; i++) {
		struct item *it = &items->v[i];
		if (it->mate) {
			anchor = it->name;
			off = 0;
			continue;
		}
		column_text(&t->columns[i], &text);
		buf_addf(&text, "\n%s\n%s\n%zu", t->columns[i].labels, anchor, off++);
		it->def = keep(d, text.data);
	}
}

static bool any_loose(const struct items *items)
{
	for (size_t i = 0; i < items->n; i++)
		if (!items->v[i].mate)
			return true;
	return false;
}

static void pair_columns(struct differ *d, const struct table *a, struct items *x, const struct table *b,
			 struct items *y)
{
	size_t paired = 0;
	for (size_t i = 0; i < x->n; i++)
		x->v[i].name = name_key(d, a->columns[i].name);
	for (size_t i = 0; i < y->n; i++)
		y->v[i].name = name_key(d, b->columns[i].name);
	/* Nearly always they stand in the same place. */
	for (size_t i = 0; i < x->n && i < y->n && strcmp(x->v[i].name, y->v[i].name) == 0; i++, paired++) {
		x->v[i].mate = &y->v[i];
		y->v[i].mate = &x->v[i];
	}
	if (paired < x->n && paired < y->n)
		pair_up(x, y, BY_NAME, NULL);
	if (!any_loose(x) || !any_loose(y))
		return;
	place_columns(d, a, x);
	place_columns(d, b, y);
	pair_up(x, y, BY_DEF, NULL);
}

static void note_columns(struct differ *d, enum change_op op, const struct table *t, const struct items *items)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < items->n; i++) {
		const struct column *c = &t->columns[i];
		if (items->v[i].mate)
			continue;
		column_text(c, &text);
		const struct schema_change r = {
			.op = op,
			.kind = KIND_COLUMN,
			.word = "column",
			.table = t->name,
			.name = c->name,
			.a = op == CHANGE_DROP ? text.data : "",
			.b = op == CHANGE_ADD ? text.data : "",
		};
		AUTO_FREE char *prefix = xasprintf("column %s", c->name);
		note(d, &r, prefix, " ", op == CHANGE_ADD ? text.data : "");
	}
}

static void note_column_rename(struct differ *d, const char *table, const struct column *a, const struct column *b)
{
	const struct schema_change r = {.op = CHANGE_RENAME,
					.kind = KIND_COLUMN,
					.word = "column",
					.table = table,
					.name = a->name,
					.a = a->name,
					.b = b->name};
	AUTO_FREE char *names = xasprintf("%s → %s", a->name, b->name);
	note(d, &r, "column", " ", names);
}

/* The columns both have, in the order of `items`: places in t. */
static size_t *common(const struct items *items, size_t *n)
{
	size_t *out = xcalloc(items->n + 1, sizeof(*out));
	*n = 0;
	for (size_t i = 0; i < items->n; i++)
		if (items->v[i].mate)
			out[(*n)++] = i;
	return out;
}

static void add_names(struct buf *out, const struct table *t, const size_t *at, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		buf_addf(out, "%s%s", i > from ? ", " : "", t->columns[at[i]].name);
}

/* "vendor_id, product_id → product_id, vendor_id": what stands between the ends that are alike. */
static void diff_order(struct differ *d, const struct table *a, const struct items *x, const struct table *b,
		       const struct items *y)
{
	size_t n, m;
	AUTO_FREE size_t *in_a = common(x, &n);
	AUTO_FREE size_t *in_b = common(y, &m); /* as many */
	size_t from = 0, to = n;
	while (from < to && x->v[in_a[from]].mate->at == in_b[from])
		from++;
	while (to > from && x->v[in_a[to - 1]].mate->at == in_b[to - 1])
		to--;
	if (from == to)
		return;
	AUTO_BUF was = buf_make(BUF_TEXT_MAX);
	AUTO_BUF is = buf_make(BUF_TEXT_MAX);
	add_names(&was, a, in_a, from, to);
	add_names(&is, b, in_b, from, to);
	const struct schema_change r = {.op = CHANGE_REORDER,
					.kind = KIND_COLUMN,
					.field = FIELD_ORDER,
					.word = "column order",
					.table = a->name,
					.a = was.data,
					.b = is.data};
	AUTO_FREE char *detail = to - from <= ORDER_SHOWN
					 ? xasprintf("%s → %s", was.data, is.data)
					 : xasprintf("%zu columns from %s on", to - from, a->columns[in_a[from]].name);
	note(d, &r, "column order", ": ", detail);
}

/* ---- indexes ---- */

static const char *index_word(const struct index *ix)
{
	return ix->constraint ? "unique" : ix->unique ? "unique index" : "index";
}

static enum change_kind index_kind(const struct index *ix)
{
	return ix->constraint ? KIND_UNIQUE : KIND_INDEX;
}

void index_text(const struct index *ix, struct buf *out)
{
	if (ix->method[0])
		buf_addf(out, "%s ", ix->method);
	buf_addf(out, "(%s)", ix->parts);
	if (ix->include[0])
		buf_addf(out, " include (%s)", ix->include);
	if (ix->where[0])
		buf_addf(out, " where %s", ix->where);
	if (ix->options[0])
		buf_addf(out, " %s", ix->options);
}

static const char *index_def(struct differ *d, const char *engine, const struct index *ix)
{
	if (d->cross)
		return cross_index_def(d, engine, ix);
	AUTO_BUF def = buf_make(BUF_TEXT_MAX);
	buf_adds(&def, ix->unique ? "unique " : "");
	index_text(ix, &def);
	return keep(d, def.data);
}

static int by_string(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

/* The names of a list, sorted; they lie in text, which is cut. */
static struct items sorted_names(char *text)
{
	struct items out = {0};
	char *p = text;
	do {
		char *comma = strstr(p, ", ");
		*SCHEMA_ADD(out.v, out.n) = (struct item){.name = p};
		if (comma)
			*comma = '\0';
		p = comma ? comma + 2 : NULL;
	} while (p);
	qsort(out.v, out.n, sizeof(*out.v), by_string);
	return out;
}

/* Whether two lists have the same names in another order. */
static bool same_names(const char *a, const char *b)
{
	if (strlen(a) != strlen(b))
		return false;
	AUTO_FREE char *copy_a = xstrdup(a);
	AUTO_FREE char *copy_b = xstrdup(b);
	CLEANUP(items_finish) struct items x = sorted_names(copy_a);
	CLEANUP(items_finish) struct items y = sorted_names(copy_b);
	bool same = x.n == y.n;
	for (size_t i = 0; same && i < x.n; i++)
		same = strcmp(x.v[i].name, y.v[i].name) == 0;
	return same;
}

static enum change_field index_field(const struct index *a, const struct index *b)
{
	if (a->unique != b->unique)
		return FIELD_UNIQUE;
	if (strcmp(a->parts, b->parts) != 0)
		return same_names(a->parts, b->parts) ? FIELD_INDEX_ORDER : FIELD_COLUMNS;
	return strcmp(a->where, b->where) != 0 ? FIELD_WHERE : FIELD_OPTIONS;
}

static struct schema_change index_change(const struct index *ix, const char *table)
{
	return (struct schema_change){.kind = index_kind(ix),
				      .word = index_word(ix),
				      .table = table,
				      .name = ix->name[0] ? ix->name : ix->parts};
}

/* "unique index ux" */
static char *index_title(const struct index *ix)
{
	return xasprintf("%s%s%s", index_word(ix), ix->name[0] ? " " : "", ix->name);
}

static void note_index(struct differ *d, enum change_op op, const struct schema *s, const struct table *t,
		       const struct index *ix)
{
	struct schema_change r = index_change(ix, t->name);
	AUTO_BUF def = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *title = index_title(ix);
	index_text(ix, &def);
	r.op = op;
	*(op == CHANGE_ADD ? &r.b : &r.a) = def.data;
	if (d->cross && cross_is_fk_index(d, s, t, ix)) {
		r.class = CHANGE_COSMETIC;
		r.field = FIELD_FK_INDEX;
		buf_adds(&def, ", for a foreign key");
	} else if (d->cross && cross_is_special(ix)) {
		r.class = CHANGE_COSMETIC;
		r.field = FIELD_ENGINE;
	}
	note(d, &r, title, " ", def.data);
}

/* Whether one is partial and the other cannot be: MariaDB knows no such index. */
static bool cannot_be_partial(const struct differ *d, const struct index *a, const struct index *b)
{
	const struct index *whole = a->where[0] ? b : a;
	const char *engine = whole == a ? d->a->engine : d->b->engine;
	return d->cross && !a->unique && !whole->where[0] && strcmp(engine, "mariadb") == 0;
}

static void index_changed(struct differ *d, const char *table, const struct index *a, const struct index *b)
{
	struct schema_change r = index_change(a, table);
	AUTO_BUF was = buf_make(BUF_TEXT_MAX);
	AUTO_BUF is = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *title = index_title(a);
	index_text(a, &was);
	if (a->unique != b->unique)
		buf_adds(&is, b->unique ? "unique " : "not unique ");
	index_text(b, &is);
	r.op = CHANGE_CHANGE;
	r.field = index_field(a, b);
	if (r.field == FIELD_WHERE && cannot_be_partial(d, a, b))
		r.class = CHANGE_COSMETIC;
	r.a = was.data;
	r.b = is.data;
	AUTO_FREE char *detail = xasprintf("%s → %s", was.data, is.data);
	note(d, &r, title, " ", detail);
}

/* The same under another name; or a constraint that became an index. */
static void index_renamed(struct differ *d, const char *table, const struct index *a, const struct index *b)
{
	struct schema_change r = index_change(a, table);
	AUTO_BUF def = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *title = index_title(a);
	r.field = FIELD_NAME;
	r.class = a->unique ? CHANGE_COSMETIC : CLASS(d, CHANGE_STRUCTURAL, CHANGE_COSMETIC);
	r.a = a->name;
	r.b = b->name;
	index_text(a, &def);
	if (a->constraint == b->constraint && a->name[0] && b->name[0]) {
		r.op = CHANGE_RENAME;
		AUTO_FREE char *names = xasprintf("%s → %s", a->name, b->name);
		note(d, &r, index_word(a), " ", names);
	} else {
		r.op = CHANGE_CHANGE;
		AUTO_FREE char *to = index_title(b);
		AUTO_FREE char *detail = xasprintf("%s → %s", def.data, to);
		note(d, &r, title, " ", detail);
	}
}

static bool auto_named(const struct index *ix)
{
	return ix->automatic || ix->name[0] == '\0';
}

/* Whether nobody chose the name: MariaDB calls an index it needs for a foreign key like that. */
static bool named_by_engine(const struct differ *d, const struct table *t, const struct index *ix)
{
	bool is_auto = auto_named(ix);
	for (size_t i = 0; d->cross && !is_auto && i < t->n_fks && i < CROSS_MAX_FKS; i++)
		is_auto = strcmp(t->fks[i].name, ix->name) == 0;
	return is_auto;
}

static void compare_index(struct differ *d, const struct table *ta, const struct index *a, const struct table *tb,
			  const struct index *b)
{
	const char *table = ta->name;
	/* What one engine makes of UNIQUE in a CREATE TABLE, the other may make of an index. */
	bool named_alike = strcmp(name_key(d, a->name), name_key(d, b->name)) == 0;
	bool form = !d->cross && a->constraint != b->constraint;
	bool auto_a = named_by_engine(d, ta, a);
	bool auto_b = named_by_engine(d, tb, b);
	if (form || (!named_alike && !(auto_a && auto_b) && !(d->cross && (auto_a || auto_b))))
		index_renamed(d, table, a, b);
	if (!d->cross && strcmp(a->comment, b->comment) != 0) {
		struct schema_change r = index_change(a, table);
		AUTO_FREE char *title = index_title(a);
		const struct part p = {FIELD_COMMENT, CHANGE_COSMETIC, "comment ",
				       a->comment,    b->comment,      "no comment"};
		note_part(d, &r, title, &p);
	}
}

static bool is_unique_def(const struct item *it)
{
	return strncmp(it->def, "unique ", 7) == 0;
}

static void fill_indexes(struct differ *d, const char *engine, const struct table *t, struct items *items)
{
	for (size_t i = 0; i < items->n; i++) {
		const struct index *ix = &t->indexes[i];
		items->v[i].name = auto_named(ix) && d->cross ? "" : name_key(d, ix->name);
		items->v[i].def = index_def(d, engine, ix);
	}
}

/* A unique index is what it says, any other one what it is called: the next migration may drop it by that name. */
static void diff_indexes(struct differ *d, const struct table *a, const struct table *b)
{
	if (a->n_indexes + b->n_indexes == 0)
		return;
	CLEANUP(items_finish) struct items x = items_make(a->n_indexes);
	CLEANUP(items_finish) struct items y = items_make(b->n_indexes);
	fill_indexes(d, d->a->engine, a, &x);
	fill_indexes(d, d->b->engine, b, &y);
	pair_up(&x, &y, BY_NAME | BY_DEF, NULL);
	pair_up(&x, &y, BY_DEF, is_unique_def);
	if (d->cross)
		pair_up(&x, &y, BY_DEF, NULL);
	pair_up(&x, &y, BY_NAME, NULL);
	pair_up(&x, &y, BY_DEF, NULL);
	for (size_t i = 0; i < x.n; i++) {
		const struct item *mate = x.v[i].mate;
		if (mate && strcmp(x.v[i].def, mate->def) != 0)
			index_changed(d, a->name, &a->indexes[i], &b->indexes[mate->at]);
		else if (mate)
			compare_index(d, a, &a->indexes[i], b, &b->indexes[mate->at]);
		else
			note_index(d, CHANGE_DROP, d->a, a, &a->indexes[i]);
	}
	for (size_t i = 0; i < y.n; i++)
		if (!y.v[i].mate)
			note_index(d, CHANGE_ADD, d->b, b, &b->indexes[i]);
}

/* ---- foreign keys ---- */

/* RESTRICT and NO ACTION differ only in when they are checked; MariaDB says the one where the other was said. */
static const char *plain_action(const char *action)
{
	return strcmp(action, "RESTRICT") == 0 ? "" : action;
}

/* "parent(a, b) ON DELETE CASCADE" */
static void fk_target(const struct foreign_key *fk, struct buf *out)
{
	bool to = fk->to[0] != '\0';
	buf_addf(out, "%s%s%s%s", fk->parent, to ? "(" : "", fk->to, to ? ")" : "");
	if (fk->on_update[0])
		buf_addf(out, " ON UPDATE %s", fk->on_update);
	if (fk->on_delete[0])
		buf_addf(out, " ON DELETE %s", fk->on_delete);
	if (fk->match[0])
		buf_addf(out, " MATCH %s", fk->match);
	if (fk->deferrable[0])
		buf_addf(out, " %s", fk->deferrable);
}

/* For an addition a is b, for a loss b is a. */
static void note_fk(struct differ *d, const struct schema_change *how, const char *table, const struct foreign_key *a,
		    const struct foreign_key *b)
{
	AUTO_BUF was = buf_make(BUF_TEXT_MAX);
	AUTO_BUF is = buf_make(BUF_TEXT_MAX);
	bool both = how->op == CHANGE_CHANGE;
	if (how->op != CHANGE_ADD)
		fk_target(a, &was);
	if (how->op != CHANGE_DROP)
		fk_target(b, &is);
	struct schema_change r = *how;
	r.kind = KIND_FOREIGN_KEY;
	r.word = "foreign key";
	r.table = table;
	r.name = a->from;
	r.a = was.data;
	r.b = is.data;
	AUTO_FREE char *prefix = xasprintf("foreign key (%s)", a->from);
	AUTO_FREE char *detail = xasprintf("%s%s%s", was.data, both ? " → " : "", is.data);
	note(d, &r, prefix, both ? ": " : " → ", detail);
}

static bool same_actions(const struct differ *d, const struct foreign_key *a, const struct foreign_key *b, bool plain)
{
	if (!plain || (d->cross && d->o->strict))
		return strcmp(a->on_update, b->on_update) == 0 && strcmp(a->on_delete, b->on_delete) == 0;
	return strcmp(plain_action(a->on_update), plain_action(b->on_update)) == 0 &&
	       strcmp(plain_action(a->on_delete), plain_action(b->on_delete)) == 0;
}

/* Whether what only some engines can say is said alike. */
static bool same_checking(const struct differ *d, const struct foreign_key *a, const struct foreign_key *b)
{
	bool deferrable = strcmp(a->deferrable, b->deferrable) == 0 && strcmp(a->match, b->match) == 0;
	/* InnoDB checks at once, row by row, and knows nothing else. */
	bool can = !d->cross || (strcmp(d->a->engine, "mariadb") != 0 && strcmp(d->b->engine, "mariadb") != 0);
	return deferrable || !can;
}

static void compare_fks(struct differ *d, const char *table, const struct foreign_key *a, const struct foreign_key *b,
			bool same_target)
{
	const struct schema_change target = {.op = CHANGE_CHANGE, .field = FIELD_TARGET};
	const struct schema_change action = {.op = CHANGE_CHANGE, .field = FIELD_FK_ACTION};
	const struct schema_change wording = {.op = CHANGE_CHANGE, .field = FIELD_FK_ACTION, .class = CHANGE_COSMETIC};
	const struct schema_change checking = {.op = CHANGE_CHANGE, .field = FIELD_DEFERRABLE};
	if (!same_target)
		note_fk(d, &target, table, a, b);
	else if (!same_actions(d, a, b, true))
		note_fk(d, &action, table, a, b);
	else if (!same_checking(d, a, b))
		note_fk(d, &checking, table, a, b);
	else if (!d->cross && !same_actions(d, a, b, false))
		note_fk(d, &wording, table, a, b);
	bool auto_names = a->automatic || b->automatic || a->name[0] == '\0' || b->name[0] == '\0';
	if (auto_names ? d->cross || (a->automatic && b->automatic)
		       : strcmp(name_key(d, a->name), name_key(d, b->name)) == 0)
		return;
	if (strcmp(a->name, b->name) == 0)
		return;
	const struct schema_change r = {.op = CHANGE_CHANGE,
					.class = CHANGE_COSMETIC,
					.kind = KIND_FOREIGN_KEY,
					.word = "foreign key",
					.table = table,
					.name = a->from};
	const struct part p = {FIELD_NAME, CHANGE_COSMETIC, "name ", a->name, b->name, "no name"};
	AUTO_FREE char *prefix = xasprintf("foreign key (%s)", a->from);
	note_part(d, &r, prefix, &p);
}

/* with_rest: all it says, or only where it leads. */
static const char *fk_def(struct differ *d, const struct foreign_key *fk, bool with_rest)
{
	AUTO_BUF def = buf_make(BUF_TEXT_MAX);
	buf_addf(&def, "%s\n%s\n%s", names_key(d, fk->from), name_key(d, fk->parent), names_key(d, fk->to));
	if (with_rest)
		buf_addf(&def, "\n%s\n%s\n%s\n%s", plain_action(fk->on_update), plain_action(fk->on_delete), fk->match,
			 fk->deferrable);
	return keep(d, def.data);
}

static void fill_fks(struct differ *d, const struct table *t, struct items *items, int what)
{
	for (size_t i = 0; i < items->n; i++) {
		const struct foreign_key *fk = &t->fks[i];
		if (items->v[i].mate)
			continue;
		items->v[i].name = name_key(d, fk->name);
		items->v[i].def = what == 2 ? names_key(d, fk->from) : fk_def(d, fk, what == 0);
	}
}

static void diff_fks(struct differ *d, const struct table *a, const struct table *b)
{
	if (a->n_fks + b->n_fks == 0)
		return;
	CLEANUP(items_finish) struct items x = items_make(a->n_fks);
	CLEANUP(items_finish) struct items y = items_make(b->n_fks);
	/* By all they say (and the name, if there are several), by where they lead, by where they come from. */
	for (int what = 0; what < 3; what++) {
		if (what > 0 && (!any_loose(&x) || !any_loose(&y)))
			break;
		fill_fks(d, a, &x, what);
		fill_fks(d, b, &y, what);
		pair_up(&x, &y, BY_NAME | BY_DEF, NULL);
		pair_up(&x, &y, BY_DEF, NULL);
	}
	const struct schema_change drop = {.op = CHANGE_DROP};
	const struct schema_change add = {.op = CHANGE_ADD};
	for (size_t i = 0; i < x.n; i++) {
		const struct item *mate = x.v[i].mate;
		const struct foreign_key *fk = &a->fks[i];
		const struct foreign_key *to = mate ? &b->fks[mate->at] : NULL;
		if (to)
			compare_fks(d, a->name, fk, to, strcmp(fk_def(d, fk, false), fk_def(d, to, false)) == 0);
		else
			note_fk(d, &drop, a->name, fk, fk);
	}
	for (size_t i = 0; i < y.n; i++)
		if (!y.v[i].mate)
			note_fk(d, &add, b->name, &b->fks[i], &b->fks[i]);
}

/* ---- checks and the rest of a table ---- */

/* As note_fk(). */
static void note_check(struct differ *d, const struct schema_change *how, const char *table, const struct check *a,
		       const struct check *b)
{
	bool named = a->name[0] && !a->automatic;
	struct schema_change r = *how;
	r.kind = KIND_CHECK;
	r.word = "check";
	r.table = table;
	r.name = named ? a->name : a->expr;
	r.a = how->op == CHANGE_ADD ? "" : a->expr;
	r.b = how->op == CHANGE_DROP ? "" : b->expr;
	AUTO_FREE char *prefix = xasprintf("check%s%s", named ? " " : "", named ? a->name : "");
	AUTO_FREE char *detail =
		how->op == CHANGE_CHANGE ? xasprintf("(%s) → (%s)", a->expr, b->expr) : xasprintf("(%s)", a->expr);
	note(d, &r, prefix, " ", detail);
}

static void compare_checks(struct differ *d, const char *table, const struct check *a, const struct check *b,
			   bool alike_)
{
	const struct schema_change body = {.op = CHANGE_CHANGE, .field = FIELD_BODY};
	if (!alike_)
		note_check(d, &body, table, a, b);
	bool auto_names = a->automatic || b->automatic || !a->name[0] || !b->name[0];
	if ((auto_names && (d->cross || (a->automatic && b->automatic))) ||
	    strcmp(name_key(d, a->name), name_key(d, b->name)) == 0)
		return;
	const struct schema_change r = {
		.kind = KIND_CHECK, .word = "check", .table = table, .name = a->name[0] ? a->name : a->expr};
	const struct part p = {FIELD_NAME, CHANGE_COSMETIC, "name ", a->name, b->name, "no name"};
	AUTO_FREE char *prefix = xasprintf("check (%s)", a->expr);
	note_part(d, &r, prefix, &p);
}

/* cross: what is known of them where the engines differ, or NULL. */
static void fill_checks(struct differ *d, const struct table *t, const struct cross_check *cross, struct items *items)
{
	for (size_t i = 0; i < items->n; i++) {
		const struct check *c = &t->checks[i];
		if (cross && cross[i].dropped)
			continue;
		items->v[i].name = c->automatic ? "" : name_key(d, c->name);
		items->v[i].def = cross ? cross[i].def : c->expr[0] ? c->expr : " ";
	}
}

static void diff_checks(struct differ *d, const struct table *a, const struct cross_check *cross_a,
			const struct table *b, const struct cross_check *cross_b)
{
	if (a->n_checks + b->n_checks == 0)
		return;
	CLEANUP(items_finish) struct items x = items_make(a->n_checks);
	CLEANUP(items_finish) struct items y = items_make(b->n_checks);
	fill_checks(d, a, cross_a, &x);
	fill_checks(d, b, cross_b, &y);
	pair_up(&x, &y, BY_NAME | BY_DEF, NULL);
	pair_up(&x, &y, BY_DEF, NULL);
	pair_up(&x, &y, BY_NAME, NULL);
	const struct schema_change drop = {.op = CHANGE_DROP};
	const struct schema_change add = {.op = CHANGE_ADD};
	for (size_t i = 0; i < x.n; i++) {
		const struct item *mate = x.v[i].mate;
		if (mate)
			compare_checks(d, a->name, &a->checks[i], &b->checks[mate->at],
				       strcmp(x.v[i].def, mate->def) == 0);
		else if (x.v[i].def[0])
			note_check(d, &drop, a->name, &a->checks[i], &a->checks[i]);
	}
	for (size_t i = 0; i < y.n; i++)
		if (!y.v[i].mate && y.v[i].def[0])
			note_check(d, &add, b->name, &b->checks[i], &b->checks[i]);
}

static void note_extra(struct differ *d, enum change_op op, const char *table, const char *extra)
{
	const struct schema_change r = {.op = op,
					.class = CLASS(d, CHANGE_STRUCTURAL, CHANGE_COSMETIC),
					.kind = KIND_CONSTRAINT,
					.field = CLASS(d, FIELD_WHOLE, FIELD_ENGINE),
					.word = "constraint",
					.table = table,
					.name = extra,
					.a = op == CHANGE_DROP ? extra : "",
					.b = op == CHANGE_ADD ? extra : ""};
	note(d, &r, "constraint", " ", extra);
}

/* Two sorted lists of texts, merged; how often a text occurs counts. */
static void diff_extras(struct differ *d, const struct table *a, const struct table *b)
{
	for (size_t i = 0, k = 0; i < a->n_extras || k < b->n_extras;) {
		int c = i == a->n_extras ? 1 : k == b->n_extras ? -1 : strcmp(a->extras[i], b->extras[k]);
		if (c < 0)
			note_extra(d, CHANGE_DROP, a->name, a->extras[i]);
		else if (c > 0)
			note_extra(d, CHANGE_ADD, b->name, b->extras[k]);
		i += c <= 0;
		k += c >= 0;
	}
}

/* ---- a table ---- */

static void note_table_part(struct differ *d, const struct table *a, const char *word, const struct part *p)
{
	if (same_text(p->a, p->b))
		return;
	const struct schema_change r = {.op = CHANGE_CHANGE,
					.class = p->class,
					.kind = p->field == FIELD_COLUMNS ? KIND_PRIMARY_KEY : KIND_TABLE,
					.field = p->field,
					.word = word,
					.table = a->name,
					.a = p->a,
					.b = p->b};
	AUTO_FREE char *detail = xasprintf("(%s) → (%s)", p->a, p->b);
	note(d, &r, word, " ", detail);
}

static void diff_options(struct differ *d, const struct table *a, const struct table *b)
{
	const enum change_class s = CHANGE_STRUCTURAL, c = CHANGE_COSMETIC;
	const struct {
		const char *word;
		struct part p;
	} same[] = {
		{"kind", {FIELD_OPTIONS, s, "", a->kind, b->kind, ""}},
		{"options", {FIELD_OPTIONS, s, "", a->options, b->options, ""}},
		{"engine", {FIELD_OPTIONS, s, "", a->engine, b->engine, ""}},
		{"row format", {FIELD_OPTIONS, s, "", a->row_format, b->row_format, ""}},
		{"character set", {FIELD_COLLATION, s, "", a->charset, b->charset, ""}},
		{"collation", {FIELD_COLLATION, s, "", a->collation, b->collation, ""}},
		{"partition", {FIELD_PARTITION, s, "", a->partition, b->partition, ""}},
		{"comment", {FIELD_COMMENT, c, "", a->comment, b->comment, ""}},
		{"primary key name", {FIELD_NAME, c, "", a->pk_name, b->pk_name, ""}},
	};
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		note_table_part(d, a, same[i].word, &same[i].p);
}

static void diff_comment(struct differ *d, const struct table *a, const struct table *b)
{
	const struct part p = {FIELD_COMMENT, CHANGE_COSMETIC, "", a->comment, b->comment, ""};
	if (strcmp(d->a->engine, "sqlite") != 0 && strcmp(d->b->engine, "sqlite") != 0)
		note_table_part(d, a, "comment", &p);
}

static void diff_pk(struct differ *d, const struct table *a, const struct table *b)
{
	const struct part p = {FIELD_COLUMNS, CHANGE_STRUCTURAL, "", a->pk, b->pk, ""};
	if (strcmp(names_key(d, a->pk), names_key(d, b->pk)) != 0)
		note_table_part(d, a, "primary key", &p);
}

/* What the model cannot tell is told as such; mere spelling too, when all else is equal. */
static void diff_text(struct differ *d, const struct table *a, const struct table *b, size_t noted)
{
	const char *why = a->unmodelled ? a->unmodelled : b->unmodelled;
	struct schema_change r = {.op = CHANGE_CHANGE, .kind = KIND_TABLE, .word = "text", .table = a->name};
	if (why && (d->cross || strcmp(a->text, b->text) != 0)) {
		r.class = CHANGE_UNMODELLED;
		r.field = FIELD_UNMODELLED;
		r.a = a->unmodelled;
		r.b = b->unmodelled;
		note(d, &r, "not modelled", ": ", why);
	} else if (!d->cross && noted == 0 && strcmp(a->text, b->text) != 0) {
		r.class = CHANGE_COSMETIC;
		r.field = FIELD_TEXT;
		note(d, &r, "text", ": ", "spelled differently");
	}
}

static size_t noted(const struct differ *d)
{
	const struct schema_changes *o = d->out;
	return o->count[0] + o->count[1] + o->count[2] + o->ignored + o->n_skipped;
}

static void diff_columns(struct differ *d, const struct table *a, struct items *x, struct cross_table *ca,
			 const struct table *b, struct items *y, struct cross_table *cb)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct item *mate = x->v[i].mate;
		if (!mate)
			continue;
		bool renamed = strcmp(x->v[i].name, mate->name) != 0;
		if (renamed)
			note_column_rename(d, a->name, &a->columns[i], &b->columns[mate->at]);
		if (d->cross)
			cross_columns(d, ca, i, cb, mate->at);
		else
			same_columns(d, a->name, &a->columns[i], &b->columns[mate->at]);
	}
	note_columns(d, CHANGE_DROP, a, x);
	note_columns(d, CHANGE_ADD, b, y);
	diff_order(d, a, x, b, y);
}

static void diff_table(struct differ *d, const struct table *a, const struct table *b)
{
	size_t before = noted(d);
	CLEANUP(items_finish) struct items x = items_make(a->n_columns);
	CLEANUP(items_finish) struct items y = items_make(b->n_columns);
	CLEANUP(cross_finish) struct cross_table ca = {0};
	CLEANUP(cross_finish) struct cross_table cb = {0};
	pair_columns(d, a, &x, b, &y);
	if (d->cross) {
		ca = cross_prepare(d, d->a, a);
		cb = cross_prepare(d, d->b, b);
		cross_drop_checks(&ca, &x, &cb, &y);
		diff_comment(d, a, b);
	} else {
		diff_options(d, a, b);
	}
	diff_pk(d, a, b);
	diff_columns(d, a, &x, &ca, b, &y, &cb);
	diff_indexes(d, a, b);
	diff_fks(d, a, b);
	diff_checks(d, a, ca.checks, b, cb.checks);
	diff_extras(d, a, b);
	diff_text(d, a, b, noted(d) - before);
}

/* ---- tables ---- */

static bool in_list(const char *const *list, const char *name)
{
	for (; list && *list; list++)
		if (strcasecmp(*list, name) == 0)
			return true;
	return false;
}

static void note_table(struct differ *d, enum change_op op, const struct table *t)
{
	const struct schema_change r = {
		.op = op, .kind = KIND_TABLE, .word = "table", .table = t->name, .name = t->name};
	AUTO_FREE char *prefix = xasprintf("table %s", t->name);
	AUTO_FREE char *detail = op == CHANGE_ADD
					 ? xasprintf("(%zu column%s)", t->n_columns, t->n_columns == 1 ? "" : "s")
					 : xstrdup("");
	note(d, &r, prefix, " ", detail);
}

static void note_table_rename(struct differ *d, const struct table *a, const struct table *b)
{
	const struct schema_change r = {.op = CHANGE_RENAME,
					.kind = KIND_TABLE,
					.word = "table",
					.table = a->name,
					.name = a->name,
					.a = a->name,
					.b = b->name};
	AUTO_FREE char *names = xasprintf("%s → %s", a->name, b->name);
	note(d, &r, "table", " ", names);
}

static void fill_twins(struct differ *d, const struct schema *s, struct items *items)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < items->n; i++) {
		char hex[SHA256_HEX];
		if (items->v[i].mate)
			continue;
		buf_reset(&text);
		render_table(&s->tables[i], true, &text);
		sha256_hex(text.data, text.len, hex);
		items->v[i].def = keep(d, hex);
	}
}

static void diff_tables(struct differ *d)
{
	CLEANUP(items_finish) struct items x = items_make(d->a->n_tables);
	CLEANUP(items_finish) struct items y = items_make(d->b->n_tables);
	for (size_t i = 0; i < x.n; i++)
		x.v[i].name = name_key(d, d->a->tables[i].name);
	for (size_t i = 0; i < y.n; i++)
		y.v[i].name = name_key(d, d->b->tables[i].name);
	pair_up(&x, &y, BY_NAME, NULL);
	if (!d->cross && any_loose(&x) && any_loose(&y)) {
		fill_twins(d, d->a, &x);
		fill_twins(d, d->b, &y);
		pair_twins(&x, &y);
	}
	for (size_t i = 0; i < x.n; i++) {
		const struct table *t = &d->a->tables[i];
		const struct item *mate = x.v[i].mate;
		d->skip = in_list(d->o->skip_tables, t->name);
		if (!mate)
			note_table(d, CHANGE_DROP, t);
		else if (strcmp(x.v[i].name, mate->name) != 0)
			note_table_rename(d, t, &d->b->tables[mate->at]);
		else
			diff_table(d, t, &d->b->tables[mate->at]);
	}
	for (size_t i = 0; i < y.n; i++) {
		d->skip = in_list(d->o->skip_tables, d->b->tables[i].name);
		if (!y.v[i].mate)
			note_table(d, CHANGE_ADD, &d->b->tables[i]);
	}
	d->skip = false;
}

/* ---- the whole ---- */

struct schema_changes *schema_changes(const struct schema *a, const struct schema *b,
				      const struct schema_diff_options *o)
{
	static const struct schema_diff_options defaults;
	struct schema_changes *out = xcalloc(1, sizeof(*out));
	struct differ d = {.a = a, .b = b, .o = o ? o : &defaults, .out = out, .tmp = buf_make(BUF_TEXT_MAX)};
	out->memory = schema_new();
	d.scratch = schema_new();
	d.cross = out->cross = strcmp(a->engine, b->engine) != 0;
	if (d.cross)
		d.equates = canon_equates_new(d.o->no_default_equates ? NULL : schema_equates, d.o->equates,
					      d.o->n_equates);
	diff_tables(&d);
	diff_objects(&d);
	if (out->n > 1)
		qsort(out->items, out->n, sizeof(*out->items), by_place);
	if (out->n_skipped > 1)
		qsort(out->skipped, out->n_skipped, sizeof(*out->skipped), by_place);
	canon_equates_free(d.equates);
	schema_free(d.scratch);
	buf_finish(&d.tmp);
	return out;
}

void schema_changes_free(struct schema_changes *cs)
{
	if (!cs)
		return;
	free(cs->items);
	free(cs->skipped);
	schema_free(cs->memory);
	free(cs);
}

void schema_changes_freep(struct schema_changes **cs)
{
	schema_changes_free(*cs);
}

int schema_equate_check(const char *text, struct err *err)
{
	return canon_equate_check(text, err);
}

bool schema_changes_differ(const struct schema_changes *cs)
{
	return cs->count[CHANGE_STRUCTURAL] + cs->count[CHANGE_UNMODELLED] > 0;
}
