/* SPDX-License-Identifier: MIT */
/* The canonical rendering of a schema: everything a structural difference could be about, in a fixed order, and nothing
 * else. Fields are separated by control bytes, so that no name can look like two. */
#include "migrations/schema_diff_state.h"

static void add(struct buf *out, const char *text)
{
	buf_adds(out, text);
	buf_addc(out, '\x1f');
}

static void end(struct buf *out)
{
	buf_addc(out, '\n');
}

static void add_column(const struct column *c, struct buf *out)
{
	add(out, "c");
	add(out, c->name);
	add(out, c->type);
	add(out, c->labels);
	add(out, c->not_null ? "not null" : "");
	add(out, c->dflt && strcasecmp(c->dflt, "NULL") != 0 ? c->dflt : "");
	add(out, c->collation);
	add(out, c->generated);
	add(out, c->on_update);
	add(out, c->identity[0] ? c->identity : c->autoincrement ? "AUTOINCREMENT" : "");
	add(out, c->options);
	end(out);
}

static void add_index(const struct index *ix, bool nameless, struct buf *out)
{
	/* The name of a constraint, or of an index that is as good as one, is cosmetic. */
	bool named = !nameless && !ix->unique && !ix->automatic;
	add(out, ix->unique ? "u" : "i");
	add(out, named ? ix->name : "");
	index_text(ix, out);
	end(out);
}

static const char *plain_action(const char *action)
{
	return strcmp(action, "RESTRICT") == 0 ? "" : action;
}

static void add_fk(const struct table *t, const struct foreign_key *fk, bool nameless, struct buf *out)
{
	add(out, "f");
	add(out, fk->from);
	add(out, nameless && strcmp(fk->parent, t->name) == 0 ? "" : fk->parent);
	add(out, fk->to);
	add(out, plain_action(fk->on_update));
	add(out, plain_action(fk->on_delete));
	add(out, fk->match);
	add(out, fk->deferrable);
	end(out);
}

static int by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lines in a buffer, sorted: what has no order of its own, by what it says. */
static void add_sorted(struct buf *lines, struct buf *out)
{
	char **v = NULL;
	size_t n = 0;
	for (char *p = lines->data; *p;) {
		char *lf = strchr(p, '\n');
		*SCHEMA_ADD(v, n) = p;
		if (!lf)
			break;
		*lf = '\0';
		p = lf + 1;
	}
	if (n > 1)
		qsort(v, n, sizeof(*v), by_line);
	for (size_t i = 0; i < n; i++)
		buf_addf(out, "%s\n", v[i]);
	free(v);
}

void render_table(const struct table *t, bool nameless, struct buf *out)
{
	const char *const head[] = {
		"t",          nameless ? "" : t->name, t->kind,      t->options, t->engine, t->charset,
		t->collation, t->row_format,           t->partition, t->pk};
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(head); i++)
		add(out, head[i]);
	end(out);
	for (size_t i = 0; i < t->n_columns; i++)
		add_column(&t->columns[i], out);
	for (size_t i = 0; i < t->n_indexes; i++)
		add_index(&t->indexes[i], nameless, &lines);
	for (size_t i = 0; i < t->n_fks; i++)
		add_fk(t, &t->fks[i], nameless, &lines);
	for (size_t i = 0; i < t->n_checks; i++)
		buf_addf(&lines, "k\x1f%s\n", t->checks[i].expr);
	for (size_t i = 0; i < t->n_extras; i++)
		buf_addf(&lines, "x\x1f%s\n", t->extras[i]);
	add_sorted(&lines, out);
	if (t->unmodelled && !nameless)
		buf_addf(out, "unmodelled\x1f%s\n", t->text);
}

static bool in_list(const char *const *list, const char *name)
{
	for (; list && *list; list++)
		if (strcasecmp(*list, name) == 0)
			return true;
	return false;
}

void schema_hash(const struct schema *s, const char *const *skip_tables, char hex[SHA256_HEX])
{
	struct sha256 *h = sha256_new();
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < s->n_tables; i++) {
		if (in_list(skip_tables, s->tables[i].name))
			continue;
		buf_reset(&text);
		render_table(&s->tables[i], false, &text);
		sha256_add(h, text.data, text.len);
	}
	for (size_t i = 0; i < s->n_objects; i++) {
		const struct object *o = &s->objects[i];
		if (o->automatic || (o->table[0] && in_list(skip_tables, o->table)))
			continue;
		buf_addf(&lines, "o\x1f%s\x1f%s\x1f%s\x1f%s\n", o->table, o->kind, o->name, o->text);
	}
	buf_reset(&text);
	add_sorted(&lines, &text);
	sha256_add(h, text.data, text.len);
	sha256_end(h, hex);
}
