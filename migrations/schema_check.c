/* SPDX-License-Identifier: MIT */
#include "migrations/schema_check.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "migrations/schema_catalog.h"

enum { REASON_MAX = 90 };
#define MAX_DUMP ((size_t)64 << 20)

/* ---- tokens that are expected ---- */

/* The bytes a token means, one after the other. */
struct bytes {
	const char *p, *end;
	char close; /* a doubled one is one; '\0' for bare words */
	bool backslash;
};

static struct bytes bytes_of(enum sql_dialect dialect, const struct sql_token *t)
{
	struct bytes b = {.p = t->s, .end = t->s + t->len};
	if (t->kind != SQL_NAME && t->kind != SQL_STRING)
		return b;
	if (*b.p == 'e' || *b.p == 'E') {
		b.backslash = true;
		b.p++;
	}
	if (b.p == b.end || *b.p == '$')
		return b;
	b.backslash |= dialect == SQL_MARIADB && t->kind == SQL_STRING;
	b.close = *b.p;
	if (b.close == '[')
		b.close = ']';
	b.p++;
	if (b.end > b.p && b.end[-1] == b.close)
		b.end--;
	return b;
}

static char escaped(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'b':
		return '\b';
	case '0':
		return '\0';
	default:
		return c;
	}
}

static int next_byte(struct bytes *b)
{
	if (b->p >= b->end)
		return -1;
	char c = *b->p++;
	if (b->backslash && c == '\\' && b->p < b->end)
		return (unsigned char)escaped(*b->p++);
	if (b->close && c == b->close && b->p < b->end && *b->p == b->close)
		b->p++;
	return (unsigned char)c;
}

static bool same_token(enum sql_dialect dialect, const struct sql_token *a, const struct sql_token *b)
{
	if (a->kind == SQL_WORD && b->kind == SQL_WORD)
		return a->len == b->len && strncasecmp(a->s, b->s, a->len) == 0;
	if (a->kind == SQL_PUNCT || b->kind == SQL_PUNCT)
		return a->kind == b->kind && *a->s == *b->s;
	struct bytes x = bytes_of(dialect, a);
	struct bytes y = bytes_of(dialect, b);
	for (;;) {
		int c = next_byte(&x);
		int d = next_byte(&y);
		if (c != d && tolower(c) != tolower(d))
			return false;
		if (c < 0)
			return true;
	}
}

bool check_means(enum sql_dialect dialect, const struct sql_token *t, const char *text)
{
	struct bytes b = bytes_of(dialect, t);
	for (const char *p = text; *p; p++)
		if (next_byte(&b) != (unsigned char)*p)
			return false;
	return next_byte(&b) < 0;
}

static bool is_own_schema(const struct sql_lexer *lx, const struct sql_token *t)
{
	return lx->dialect == SQL_POSTGRESQL && lx->p < lx->end && *lx->p == '.' &&
	       (sql_is(t, "public") || sql_is(t, "pg_catalog"));
}

bool check_next(struct sql_lexer *lx, struct sql_token *t)
{
	while (sql_next(lx, t)) {
		if (is_own_schema(lx, t))
			lx->p++;
		else if (!sql_is_punct(t, '(') && !sql_is_punct(t, ')'))
			return true;
	}
	return false;
}

/* Most questions are answered by the first letter. Those of the schemas that are skipped ask for more. */
static bool begins_otherwise(const struct sql_lexer *lx, const char *text)
{
	const char *p = lx->p;
	while (p < lx->end && *p == ' ')
		p++;
	if (p == lx->end || !islower((unsigned char)*text) || !isalpha((unsigned char)*p))
		return false;
	int c = tolower((unsigned char)*p);
	return c != *text && c != 'p';
}

bool check_eat(struct sql_lexer *lx, const char *text)
{
	if (begins_otherwise(lx, text))
		return false;
	struct sql_lexer want = {.p = text, .end = text + strlen(text), .dialect = lx->dialect};
	struct sql_lexer at = *lx;
	struct sql_token a;
	struct sql_token b;
	while (check_next(&want, &a))
		if (!check_next(&at, &b) || !same_token(lx->dialect, &a, &b))
			return false;
	*lx = at;
	return true;
}

bool check_at_end(struct sql_lexer lx)
{
	struct sql_token t;
	return !check_next(&lx, &t);
}

bool check_punct(struct sql_lexer *lx, char c)
{
	struct sql_lexer at = *lx;
	struct sql_token t;
	if (!sql_next(&at, &t) || !sql_is_punct(&t, c))
		return false;
	*lx = at;
	return true;
}

void check_name(struct sql_lexer *lx, struct buf *out)
{
	struct sql_token t;
	if (!sql_next(lx, &t))
		return;
	if (lx->p < lx->end && *lx->p == '.') {
		if (!sql_is(&t, "public")) {
			sql_unquote(&t, out);
			buf_addc(out, '.');
		}
		lx->p++;
		if (!sql_next(lx, &t))
			return;
	}
	sql_unquote(&t, out);
}

bool check_item(struct sql_lexer *list, struct sql_lexer *item)
{
	struct sql_token t;
	struct sql_lexer group;
	if (!sql_next(list, &t))
		return false;
	*item = *list;
	item->p = item->end = t.s;
	while (t.kind != SQL_END && !sql_is_punct(&t, ',')) {
		if (sql_is_punct(&t, '('))
			sql_skip_group(list, &group);
		item->end = list->p;
		sql_next(list, &t);
	}
	return true;
}

void check_fail(struct schema *s, struct table *t, const char *what, const char *text, const char *end)
{
	if (t->unmodelled)
		return;
	AUTO_BUF reason = buf_make(BUF_TEXT_MAX);
	buf_adds(&reason, what);
	for (const char *p = text; p < end && reason.len < REASON_MAX; p++) {
		bool blank = isspace((unsigned char)*p) != 0;
		if (!blank || (reason.len > 0 && reason.data[reason.len - 1] != ' '))
			buf_add(&reason, blank ? " " : p, 1);
	}
	/* Not in the middle of a character. */
	while (reason.len >= REASON_MAX && ((unsigned char)reason.data[reason.len - 1] & 0xc0) == 0x80)
		reason.data[--reason.len] = '\0';
	t->unmodelled = schema_str(s, reason.data);
}

/* ---- statements ---- */

struct sql_lexer check_lexer(enum sql_dialect dialect, const struct check_statement *st)
{
	return (struct sql_lexer){.p = st->s, .end = st->s + st->len, .dialect = dialect};
}

/* Between the lines DELIMITER ;; and DELIMITER ; all is one. */
static bool next_block(const char **p, const char *end, struct check_statement *st)
{
	static const char word[] = "DELIMITER ";
	static const char last[] = "\nDELIMITER ;\n";
	const char *s = *p;
	while (s < end && isspace((unsigned char)*s))
		s++;
	if ((size_t)(end - s) < sizeof(word) || memcmp(s, word, sizeof(word) - 1) != 0)
		return false;
	const char *lf = memchr(s, '\n', (size_t)(end - s));
	const char *body = lf ? lf : end;
	const char *to = memmem(body, (size_t)(end - body), last, sizeof(last) - 1);
	st->s = lf ? lf + 1 : end;
	if (to && to < st->s)
		st->s = to;
	st->len = (size_t)((to ? to : end) - st->s);
	*p = to ? to + sizeof(last) - 1 : end;
	return true;
}

/* BEGIN ATOMIC … END of a function has semicolons of its own. */
struct atomic {
	bool begin;
	size_t depth;
};

static bool ends(struct atomic *a, const struct sql_token *t)
{
	if (t->kind == SQL_WORD) {
		if (a->depth > 0 && sql_is(t, "case"))
			a->depth++;
		else if (a->depth > 0 && sql_is(t, "end"))
			a->depth--;
		else if (a->begin && sql_is(t, "atomic"))
			a->depth = 1;
		a->begin = sql_is(t, "begin");
	}
	return sql_is_punct(t, ';') && a->depth == 0;
}

bool check_next_statement(enum sql_dialect dialect, const char **p, const char *end, struct check_statement *st)
{
	struct sql_lexer lx = {.p = *p, .end = end, .dialect = dialect};
	struct atomic atomic = {0};
	struct sql_token t;
	if (dialect == SQL_MARIADB && next_block(p, end, st))
		return true;
	do {
		if (!sql_next(&lx, &t))
			return false;
	} while (sql_is_punct(&t, ';'));
	st->s = t.s;
	const char *last = t.s;
	while (t.kind != SQL_END && !ends(&atomic, &t)) {
		last = t.s + t.len;
		sql_next(&lx, &t);
	}
	st->len = (size_t)(last - st->s);
	*p = lx.p;
	return true;
}

/* Behind the first of these words outside brackets: whether it is there. */
static bool find_word(struct sql_lexer *lx, const char *word)
{
	struct sql_token t;
	struct sql_lexer group;
	while (sql_next(lx, &t)) {
		if (sql_is_punct(&t, '('))
			sql_skip_group(lx, &group);
		else if (sql_is(&t, word))
			return true;
	}
	return false;
}

/* "t" of t.column: the name without its last part. */
static void owner_name(struct sql_lexer *lx, struct buf *out)
{
	struct sql_token parts[3];
	size_t n = 0;
	while (n < ARRAY_SIZE(parts) && sql_next(lx, &parts[n])) {
		n++;
		if (lx->p == lx->end || *lx->p != '.')
			break;
		lx->p++;
	}
	if (n < 2)
		return;
	size_t first = n == 3 && sql_is(&parts[0], "public") ? 1 : 0;
	for (size_t i = first; i + 1 < n; i++) {
		if (i > first)
			buf_addc(out, '.');
		sql_unquote(&parts[i], out);
	}
}

static void eat_only(struct sql_lexer *lx)
{
	check_word(lx, "only");
}

static void table_of_create(struct sql_lexer *lx, struct buf *out)
{
	static const char *const before[] = {"or replace", "unlogged", "foreign", "unique", "constraint", "temporary"};
	for (size_t i = 0; i < ARRAY_SIZE(before); i++)
		check_word(lx, before[i]);
	if (check_word(lx, "table")) {
		check_name(lx, out);
	} else if (check_word(lx, "index") || check_word(lx, "trigger") || check_word(lx, "policy")) {
		if (find_word(lx, "on")) {
			eat_only(lx);
			check_name(lx, out);
		}
	} else if (check_word(lx, "rule")) {
		if (find_word(lx, "to"))
			check_name(lx, out);
	} else if (check_word(lx, "statistics")) {
		if (find_word(lx, "from"))
			check_name(lx, out);
	}
}

static void table_of_alter(struct sql_lexer *lx, struct buf *out)
{
	if (check_word(lx, "table")) {
		eat_only(lx);
		check_name(lx, out);
		if (check_word(lx, "attach partition")) { /* it is the partition's affair */
			buf_reset(out);
			check_name(lx, out);
		}
	} else if (check_word(lx, "sequence")) {
		struct sql_token t;
		while (sql_next(lx, &t))
			if (sql_is(&t, "by")) {
				owner_name(lx, out);
				return;
			}
	}
}

static void table_of_comment(struct sql_lexer *lx, struct buf *out)
{
	static const char *const on_table[] = {"constraint", "trigger", "rule", "policy"};
	if (check_word(lx, "table") || check_word(lx, "foreign table")) {
		check_name(lx, out);
	} else if (check_word(lx, "column")) {
		owner_name(lx, out);
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(on_table); i++)
			if (check_word(lx, on_table[i]) && find_word(lx, "on") && !check_word(lx, "domain")) {
				check_name(lx, out);
				return;
			}
	}
}

void check_table_of(enum sql_dialect dialect, const struct check_statement *st, struct buf *out)
{
	struct sql_lexer lx = check_lexer(dialect, st);
	struct sql_token t;
	if (dialect == SQL_MARIADB) { /* in a block there are settings before it */
		while (sql_next(&lx, &t))
			if (sql_is(&t, "create")) {
				table_of_create(&lx, out);
				return;
			}
		return;
	}
	if (check_word(&lx, "create"))
		table_of_create(&lx, out);
	else if (check_word(&lx, "alter"))
		table_of_alter(&lx, out);
	else if (check_word(&lx, "comment on"))
		table_of_comment(&lx, out);
}

/* ---- the whole dump ---- */

struct owned {
	struct table *table;
	struct check_statement st;
};

static int by_owner(const void *a, const void *b)
{
	const struct owned *x = a;
	const struct owned *y = b;
	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	return x->st.s < y->st.s ? -1 : x->st.s > y->st.s;
}

static void check_one(struct schema *s, const struct check_rules *rules, struct owned *of, size_t n, struct buf *text)
{
	AUTO_FREE struct check_statement *st = xcalloc(n, sizeof(*st));
	buf_reset(text);
	for (size_t i = 0; i < n; i++) {
		st[i] = of[i].st;
		if (i > 0)
			buf_addc(text, '\n');
		sql_normalise_as(rules->dialect, st[i].s, st[i].len, text);
	}
	of->table->text = schema_keep(s, text->data, text->len);
	if (n > CHECK_MAX_STATEMENTS)
		check_fail(s, of->table, "too many statements", "", "");
	else
		rules->table(s, of->table, st, n);
}

struct checking {
	struct schema *schema;
	const struct check_rules *rules;
	struct owned *owned; /* statements of tables */
	size_t n_owned;
	size_t *objects; /* those of the catalogue, by kind and name */
	size_t n_objects;
	struct buf text; /* scratch */
};

static void check_finish(struct checking *c)
{
	free(c->owned);
	free(c->objects);
	buf_finish(&c->text);
}

struct schema *check_schema(const struct checking *c)
{
	return c->schema;
}

static int compare_object(const struct object *o, const char *kind, const char *name)
{
	int d = strcmp(o->name, name);
	return d ? d : strcmp(o->kind, kind);
}

static int by_object(const void *a, const void *b, void *ctx)
{
	const struct schema *s = ctx;
	const struct object *y = &s->objects[*(const size_t *)b];
	return compare_object(&s->objects[*(const size_t *)a], y->kind, y->name);
}

static void sort_objects(struct checking *c)
{
	c->n_objects = c->schema->n_objects;
	c->objects = xcalloc(c->n_objects + 1, sizeof(*c->objects));
	for (size_t i = 0; i < c->n_objects; i++)
		c->objects[i] = i;
	qsort_r(c->objects, c->n_objects, sizeof(*c->objects), by_object, c->schema);
}

struct object *check_object(const struct checking *c, const char *kind, const char *name)
{
	size_t low = 0;
	size_t high = c->n_objects;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct object *o = &c->schema->objects[c->objects[mid]];
		int d = compare_object(o, kind, name);
		if (d == 0)
			return o;
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Which table each statement belongs to. */
static int sort_out(struct checking *c, const char *p, const char *end, struct err *err)
{
	struct check_statement st;
	while (check_next_statement(c->rules->dialect, &p, end, &st)) {
		AUTO_BUF name = buf_make(BUF_TEXT_MAX);
		check_table_of(c->rules->dialect, &st, &name);
		struct table *t = name.len ? schema_find_table(c->schema, name.data) : NULL;
		if (c->schema->n_objects >= SCHEMA_MAX_OBJECTS || c->n_owned >= (size_t)16 * SCHEMA_MAX_OBJECTS)
			return err_set(err, ERR_STEP, 0, "schema: more than %d objects", SCHEMA_MAX_OBJECTS);
		if (t && !(c->rules->apart && c->rules->apart(&st)))
			*SCHEMA_ADD(c->owned, c->n_owned) = (struct owned){t, st};
		else
			c->rules->other(c, &st, name.len ? name.data : "");
	}
	return 0;
}

int check_time(mono_ms deadline, struct err *err)
{
	return clock_mono() > deadline ? err_set(err, ERR_STEP, 0, "schema: too much work") : 0;
}

int check_dump(struct schema *s, const struct check_rules *rules, const char *dump, size_t len, mono_ms deadline,
	       struct err *err)
{
	CLEANUP(check_finish)
	struct checking c = {.schema = s, .rules = rules, .text = buf_make(MAX_DUMP * 2)};
	if (len > MAX_DUMP || (len > 0 && memchr(dump, '\0', len)))
		return err_set(err, ERR_STEP, 0, "schema: a dump of %zu bytes is too large, or no text", len);
	sort_objects(&c);
	if (sort_out(&c, dump, dump + len, err) < 0)
		return -1;
	if (c.n_owned > 1)
		qsort(c.owned, c.n_owned, sizeof(*c.owned), by_owner);
	for (size_t i = 0, k; i < c.n_owned; i = k) {
		for (k = i + 1; k < c.n_owned && c.owned[k].table == c.owned[i].table; k++)
			;
		check_one(s, rules, &c.owned[i], k - i, &c.text);
		if (check_time(deadline, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < s->n_tables; i++)
		if (s->tables[i].text[0] == '\0')
			check_fail(s, &s->tables[i], "it is not in the dump", "", "");
	return 0;
}

void check_unmodelled(struct checking *c, const char *kind, const char *name, const char *table,
		      const struct check_statement *st)
{
	struct schema *s = c->schema;
	buf_reset(&c->text);
	sql_normalise_as(c->rules->dialect, st->s, st->len, &c->text);
	*SCHEMA_ADD(s->objects, s->n_objects) = (struct object){
		.kind = schema_str(s, kind),
		.name = schema_str(s, name),
		.table = schema_str(s, table),
		.text = schema_str(s, c->text.data),
		.columns = "",
		.modelled = false,
	};
}
