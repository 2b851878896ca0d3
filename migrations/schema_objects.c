/* SPDX-License-Identifier: MIT */
/* Views, triggers and what else is no table: paired by table, kind and name. On one engine their text is compared,
 * across engines only what both can tell: that they are there, a view's columns, when a trigger runs. */
#include <stdio.h>

#include "migrations/schema_diff_state.h"
#include "migrations/schema_lex.h"

struct thing {
	const struct object *o;
	const char *table, *name; /* keys */
	const char *text;
};
struct things {
	struct thing *v;
	size_t n;
};

static bool is_kind(const struct object *o, const char *kind)
{
	return strcmp(o->kind, kind) == 0;
}

static bool is_view(const struct object *o)
{
	return is_kind(o, "view") || is_kind(o, "materialised view");
}

/* Whether the other engine could have it at all. */
static bool is_common(const struct object *o)
{
	return is_view(o) || is_kind(o, "trigger") || !o->modelled;
}

static enum change_kind kind_of(const struct object *o)
{
	return is_view(o) ? KIND_VIEW : is_kind(o, "trigger") ? KIND_TRIGGER : KIND_OTHER;
}

/* ---- across engines: a trigger's timing and events, a view's columns ---- */

static const char *trigger_key(struct differ *d, const struct object *o)
{
	static const char *const words[] = {"before", "after", "instead", "insert", "update", "delete", "truncate"};
	AUTO_BUF key = buf_make(BUF_TEXT_MAX);
	struct sql_lexer lx = {.p = o->text, .end = o->text + strlen(o->text)};
	struct sql_token t;
	unsigned seen = 0;
	while (sql_next(&lx, &t) && !(seen && sql_is(&t, "on")))
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			seen |= sql_is(&t, words[i]) ? 1U << i : 0;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (seen >> i & 1)
			buf_addf(&key, "%s%s", key.len ? " " : "", words[i]);
	return keep(d, key.data);
}

/* "a, b" of "a integer, b numeric(10, 2)". */
static const char *view_key(struct differ *d, const struct object *o)
{
	AUTO_BUF key = buf_make(BUF_TEXT_MAX);
	bool name = true;
	int depth = 0;
	for (const char *p = o->columns; *p; p++) {
		depth += (*p == '(') - (*p == ')');
		if (*p == ',' && depth <= 0) {
			buf_adds(&key, ",");
			name = true;
		} else if (name && *p == ' ' && key.len && key.data[key.len - 1] != ' ' &&
			   key.data[key.len - 1] != ',') {
			name = false;
		} else if (name) {
			buf_addc(&key, *p);
		}
	}
	return names_key(d, key.data);
}

static const char *text_key(struct differ *d, const struct object *o)
{
	if (!d->cross)
		return o->text;
	return is_view(o) ? view_key(d, o) : is_kind(o, "trigger") ? trigger_key(d, o) : "";
}

/* ---- pairing ---- */

static int by_key(const void *x, const void *y)
{
	const struct thing *a = x;
	const struct thing *b = y;
	int d = strcmp(a->table, b->table);
	if (d == 0)
		d = strcmp(a->o->kind, b->o->kind);
	return d ? d : strcmp(a->name, b->name);
}

static int by_key_and_text(const void *x, const void *y)
{
	int d = by_key(x, y);
	return d ? d : strcmp(((const struct thing *)x)->text, ((const struct thing *)y)->text);
}

/* What comes with a table, as the sequence of a serial column, is told with that. */
static struct things gather(struct differ *d, const struct schema *s)
{
	struct things t = {xcalloc(s->n_objects + 1, sizeof(*t.v)), 0};
	for (size_t i = 0; i < s->n_objects; i++) {
		const struct object *o = &s->objects[i];
		if (!o->automatic)
			t.v[t.n++] = (struct thing){o, name_key(d, o->table), name_key(d, o->name), text_key(d, o)};
	}
	if (t.n > 1)
		qsort(t.v, t.n, sizeof(*t.v), by_key_and_text);
	return t;
}

static void set_skip(struct differ *d, const struct object *o)
{
	d->skip = false;
	for (const char *const *s = d->o->skip_tables; s && *s && !d->skip; s++)
		d->skip = o->table[0] && strcasecmp(*s, o->table) == 0;
}

static struct schema_change object_change(const struct object *o)
{
	return (struct schema_change){
		.class = o->modelled ? CHANGE_STRUCTURAL : CHANGE_UNMODELLED,
		.kind = kind_of(o),
		.word = o->kind,
		.table = o->table,
		.name = o->name,
	};
}

static void note_object(struct differ *d, enum change_op op, const struct object *o)
{
	struct schema_change r = object_change(o);
	AUTO_FREE char *prefix = xasprintf("%s %s", o->kind, o->name);
	r.op = op;
	*(op == CHANGE_ADD ? &r.b : &r.a) = o->text;
	if (d->cross && !is_common(o)) {
		r.class = CHANGE_COSMETIC;
		r.field = FIELD_ENGINE;
	}
	set_skip(d, o);
	note(d, &r, prefix, " ", o->modelled ? "" : "(not modelled)");
}

/* Where the engines differ the keys are what can be shown; else the texts are too long for a line. */
static void note_changed(struct differ *d, const struct thing *a, const struct thing *b)
{
	struct schema_change r = object_change(a->o);
	r.op = CHANGE_CHANGE;
	r.field = !d->cross ? FIELD_BODY : kind_of(a->o) == KIND_VIEW ? FIELD_COLUMNS : FIELD_EVENT;
	r.word = a->o->kind;
	r.a = d->cross ? a->text : a->o->text;
	r.b = d->cross ? b->text : b->o->text;
	if (!b->o->modelled)
		r.class = CHANGE_UNMODELLED;
	AUTO_FREE char *prefix = xasprintf("%s %s", a->o->kind, a->o->name);
	AUTO_FREE char *detail = d->cross ? xasprintf("%s → %s", a->text, b->text)
					  : xstrdup(r.class == CHANGE_UNMODELLED ? "(not modelled)" : "");
	set_skip(d, a->o);
	note(d, &r, prefix, d->cross ? ": " : " ", detail);
}

static void compare_things(struct differ *d, const struct thing *a, const struct thing *b)
{
	/* Not known on one side: SQLite does not tell a view's columns. */
	bool known = !d->cross || (a->text[0] && b->text[0]);
	if (known && strcmp(a->text, b->text) != 0)
		note_changed(d, a, b);
	else if (d->cross && !(a->o->modelled && b->o->modelled))
		note_object(d, CHANGE_CHANGE, a->o);
}

void diff_objects(struct differ *d)
{
	struct things a = gather(d, d->a);
	struct things b = gather(d, d->b);
	for (size_t i = 0, k = 0; i < a.n || k < b.n;) {
		int c = i == a.n ? 1 : k == b.n ? -1 : by_key(&a.v[i], &b.v[k]);
		if (c < 0)
			note_object(d, CHANGE_DROP, a.v[i].o);
		else if (c > 0)
			note_object(d, CHANGE_ADD, b.v[k].o);
		else
			compare_things(d, &a.v[i], &b.v[k]);
		i += c <= 0;
		k += c >= 0;
	}
	d->skip = false;
	free(a.v);
	free(b.v);
}
