/* SPDX-License-Identifier: MIT */
/* Types and defaults of three engines → one form; how two types go together. */
#include "migrations/schema_canon.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "migrations/schema_lex.h"
#include "migrations/schema_model.h"

enum { MAX_TYPE_WORDS = 96, MAX_EQUATES = 64, UNLIMITED = -1 };

/* ---- reading a type ---- */

static const struct type_word {
	const char *name;
	enum canon_family family;
	int size;
	bool tz;
} type_words[] = {
	/* Sorted by name. */
	{"bigint", CANON_INT, 8, false},
	{"bigserial", CANON_INT, 8, false},
	{"binary", CANON_BINARY, 0, false},
	{"binary varying", CANON_BINARY, 0, false},
	{"bit", CANON_BIT, 0, false},
	{"blob", CANON_BLOB, 0, false},
	{"bool", CANON_BOOL, 0, false},
	{"boolean", CANON_BOOL, 0, false},
	{"bytea", CANON_BLOB, 0, false},
	{"char", CANON_CHAR, 0, false},
	{"char varying", CANON_VARCHAR, 0, false},
	{"character", CANON_CHAR, 0, false},
	{"character varying", CANON_VARCHAR, 0, false},
	{"cidr", CANON_INET, 0, false},
	{"citext", CANON_TEXT, 0, false},
	{"clob", CANON_TEXT, 0, false},
	{"date", CANON_DATE, 0, false},
	{"datetime", CANON_DATETIME, 0, false},
	{"dec", CANON_NUMERIC, 0, false},
	{"decimal", CANON_NUMERIC, 0, false},
	{"double", CANON_FLOAT, 8, false},
	{"double precision", CANON_FLOAT, 8, false},
	{"enum", CANON_ENUM, 0, false},
	{"float", CANON_FLOAT, 0, false},
	{"float4", CANON_FLOAT, 4, false},
	{"float8", CANON_FLOAT, 8, false},
	{"inet", CANON_INET, 0, false},
	{"inet6", CANON_INET, 0, false},
	{"int", CANON_INT, 4, false},
	{"int2", CANON_INT, 2, false},
	{"int4", CANON_INT, 4, false},
	{"int8", CANON_INT, 8, false},
	{"integer", CANON_INT, 4, false},
	{"interval", CANON_INTERVAL, 0, false},
	{"json", CANON_JSON, 0, false},
	{"jsonb", CANON_JSON, 0, false},
	{"longblob", CANON_BLOB, 0, false},
	{"longtext", CANON_TEXT, 0, false},
	{"mediumblob", CANON_BLOB, 0, false},
	{"mediumint", CANON_INT, 3, false},
	{"mediumtext", CANON_TEXT, 0, false},
	{"nchar", CANON_CHAR, 0, false},
	{"numeric", CANON_NUMERIC, 0, false},
	{"nvarchar", CANON_VARCHAR, 0, false},
	{"real", CANON_FLOAT, 0, false},
	{"serial", CANON_INT, 4, false},
	{"smallint", CANON_INT, 2, false},
	{"smallserial", CANON_INT, 2, false},
	{"string", CANON_TEXT, 0, false},
	{"text", CANON_TEXT, 0, false},
	{"time", CANON_TIME, 0, false},
	{"time with time zone", CANON_TIME, 0, true},
	{"time without time zone", CANON_TIME, 0, false},
	{"timestamp", CANON_DATETIME, 0, false},
	{"timestamp with time zone", CANON_DATETIME, 0, true},
	{"timestamp without time zone", CANON_DATETIME, 0, false},
	{"timestamptz", CANON_DATETIME, 0, true},
	{"tinyblob", CANON_BLOB, 0, false},
	{"tinyint", CANON_INT, 1, false},
	{"tinytext", CANON_TEXT, 0, false},
	{"uuid", CANON_UUID, 0, false},
	{"varbinary", CANON_BINARY, 0, false},
	{"varchar", CANON_VARCHAR, 0, false},
};

static int by_word(const void *key, const void *item)
{
	return strcmp(key, ((const struct type_word *)item)->name);
}

/* The words of a type in lower case, without what stands in brackets; its first two numbers. */
struct type_parts {
	char words[MAX_TYPE_WORDS];
	long numbers[2];
	size_t n_numbers;
	bool is_unsigned, is_array;
};

static void add_type_word(struct type_parts *p, const struct sql_token *t)
{
	size_t len = strlen(p->words);
	if (sql_is(t, "unsigned")) {
		p->is_unsigned = true;
	} else if (!sql_is(t, "zerofill") && !sql_is(t, "signed") && len + 1 + t->len + 1 < sizeof(p->words)) {
		char *at = p->words + len;
		if (len)
			*at++ = ' ';
		for (size_t i = 0; i < t->len; i++)
			*at++ = (char)tolower((unsigned char)t->s[i]);
		*at = '\0';
	}
}

static void read_numbers(struct type_parts *p, struct sql_lexer *group)
{
	struct sql_token t;
	while (sql_next(group, &t) && p->n_numbers < ARRAY_SIZE(p->numbers)) {
		if (t.kind != SQL_WORD || t.len > 9 || !isdigit((unsigned char)t.s[0]))
			continue;
		char digits[10];
		memcpy(digits, t.s, t.len);
		digits[t.len] = '\0';
		p->numbers[p->n_numbers++] = strtol(digits, NULL, 10);
	}
}

static void split_type(const char *type, struct type_parts *p)
{
	struct sql_lexer lx = {.p = type, .end = type + strlen(type)};
	struct sql_token t;
	while (sql_next(&lx, &t)) {
		if (t.kind == SQL_WORD) {
			add_type_word(p, &t);
		} else if (sql_is_punct(&t, '(')) {
			struct sql_lexer group;
			sql_skip_group(&lx, &group);
			read_numbers(p, &group);
		} else if (t.kind == SQL_NAME && t.s[0] == '[') {
			p->is_array = true;
		}
	}
}

/* Sizes that a word has on one engine only. */
static int float_size(const char *engine, const char *word)
{
	bool real = strcmp(word, "real") == 0;
	if (strcmp(engine, "mariadb") == 0)
		return real ? 8 : 4;
	return strcmp(engine, "postgresql") == 0 ? (real ? 4 : 8) : 0;
}

/* What stands in brackets means. */
static void apply_numbers(const struct type_parts *p, const char *engine, struct canon_type *out)
{
	long first = p->n_numbers > 0 ? p->numbers[0] : -1;
	bool mariadb = strcmp(engine, "mariadb") == 0;
	if (out->family == CANON_INT) { /* the number is a width to show it in */
		if (out->size == 1 && first == 1)
			out->family = CANON_BOOL;
	} else if (out->family == CANON_NUMERIC) {
		out->length = first;
		out->scale = p->n_numbers > 1 ? p->numbers[1] : first >= 0 ? 0 : -1;
	} else if (out->family == CANON_DATETIME || out->family == CANON_TIME) {
		out->scale = first;
	} else {
		bool one = first < 0 && (out->family == CANON_CHAR || out->family == CANON_BIT);
		out->length = one ? 1 : first;
		if (out->family == CANON_BIT && mariadb && out->length == 1)
			out->family = CANON_BOOL;
	}
}

void canon_type_parse(const char *engine, const char *type, const char *labels, struct canon_type *out)
{
	struct type_parts p = {.words = ""};
	*out = (struct canon_type){.length = -1, .scale = -1, .engine = engine, .raw = type, .labels = labels};
	split_type(type, &p);
	const struct type_word *w =
		bsearch(p.words, type_words, ARRAY_SIZE(type_words), sizeof(type_words[0]), by_word);
	if (labels[0] && strcmp(p.words, "set") != 0) {
		out->family = CANON_ENUM;
		return;
	}
	if (!w || p.is_array) {
		out->family = p.words[0] ? CANON_OTHER : CANON_NONE;
		return;
	}
	out->family = w->family;
	out->size = w->size;
	out->tz = w->tz;
	out->is_unsigned = p.is_unsigned;
	if (w->family == CANON_FLOAT && w->size == 0)
		out->size = float_size(engine, p.words);
	apply_numbers(&p, engine, out);
}

/* ---- declared equivalences ---- */

struct canon_equates {
	struct canon_type a[MAX_EQUATES], b[MAX_EQUATES];
	char *text[MAX_EQUATES];
	size_t n;
};

static bool parse_equate(char *text, struct canon_type *a, struct canon_type *b)
{
	char *eq = strchr(text, '=');
	if (!eq || strchr(eq + 1, '='))
		return false;
	*eq = '\0';
	canon_type_parse("", text, "", a);
	canon_type_parse("", eq + 1, "", b);
	return a->family != CANON_NONE && b->family != CANON_NONE;
}

int canon_equate_check(const char *text, struct err *err)
{
	struct canon_type a, b;
	AUTO_FREE char *copy = xstrdup(text);
	if (!parse_equate(copy, &a, &b))
		return err_set(err, ERR_USER, 0, "--equate %s: write TYPE=TYPE, as in varchar(39)=inet", text);
	return 0;
}

static void add_equate(struct canon_equates *e, const char *text)
{
	if (e->n == MAX_EQUATES)
		return;
	char *copy = xstrdup(text);
	if (parse_equate(copy, &e->a[e->n], &e->b[e->n]))
		e->text[e->n++] = copy;
	else
		free(copy);
}

struct canon_equates *canon_equates_new(const char *const *defaults, const char *const *more, size_t n_more)
{
	struct canon_equates *e = xcalloc(1, sizeof(*e));
	for (; defaults && *defaults; defaults++)
		add_equate(e, *defaults);
	for (size_t i = 0; i < n_more; i++)
		add_equate(e, more[i]);
	return e;
}

void canon_equates_free(struct canon_equates *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->n; i++)
		free(e->text[i]);
	free(e);
}

static bool same_spelling(const char *a, const char *b)
{
	AUTO_BUF x = buf_make(BUF_TEXT_MAX);
	AUTO_BUF y = buf_make(BUF_TEXT_MAX);
	sql_normalise(a, strlen(a), &x);
	sql_normalise(b, strlen(b), &y);
	return strcmp(x.data, y.data) == 0;
}

/* Whether t is the type w that a person wrote. */
static bool is_meant(const struct canon_type *t, const struct canon_type *w)
{
	if (t->family != w->family)
		return false;
	if (t->family == CANON_OTHER)
		return same_spelling(t->raw, w->raw);
	return (w->length < 0 || t->length == w->length) && (w->size == 0 || t->size == 0 || t->size == w->size) &&
	       (w->scale < 0 || t->scale == w->scale);
}

static bool are_equated(const struct canon_type *a, const struct canon_type *b, const struct canon_equates *e)
{
	for (size_t i = 0; e && i < e->n; i++)
		if ((is_meant(a, &e->a[i]) && is_meant(b, &e->b[i])) ||
		    (is_meant(a, &e->b[i]) && is_meant(b, &e->a[i])))
			return true;
	return false;
}

/* ---- how two go together ---- */

/* The next label of a list "'a','b'", as a range with its quotes; false at the end. */
static bool next_label(struct sql_lexer *lx, struct sql_token *t)
{
	while (sql_next(lx, t))
		if (t->kind == SQL_STRING)
			return true;
	return false;
}

static size_t label_columns(const char *labels, size_t *n)
{
	struct sql_lexer lx = {.p = labels, .end = labels + strlen(labels)};
	struct sql_token t;
	size_t longest = 0;
	*n = 0;
	for (; next_label(&lx, &t); ++*n) {
		AUTO_BUF plain = buf_make(BUF_TEXT_MAX);
		size_t columns = 0;
		sql_unquote(&t, &plain);
		for (const char *p = plain.data; *p; p++)
			columns += ((unsigned char)*p & 0xC0) != 0x80;
		longest = columns > longest ? columns : longest;
	}
	return longest;
}

static int by_label(const void *x, const void *y)
{
	const struct sql_token *a = x;
	const struct sql_token *b = y;
	size_t n = a->len < b->len ? a->len : b->len;
	int d = memcmp(a->s, b->s, n);
	return d ? d : (a->len > b->len) - (a->len < b->len);
}

static struct sql_token *sorted_labels(const char *labels, size_t *n)
{
	struct sql_lexer lx = {.p = labels, .end = labels + strlen(labels)};
	struct sql_token *out = NULL;
	struct sql_token t;
	*n = 0;
	while (next_label(&lx, &t))
		*SCHEMA_ADD(out, *n) = t;
	if (*n > 1)
		qsort(out, *n, sizeof(*out), by_label);
	return out;
}

bool canon_same_labels(const char *a, const char *b)
{
	size_t n, m;
	AUTO_FREE struct sql_token *x = sorted_labels(a, &n);
	AUTO_FREE struct sql_token *y = sorted_labels(b, &m);
	bool same = n == m;
	for (size_t i = 0; same && i < n; i++)
		same = by_label(&x[i], &y[i]) == 0;
	return same;
}

static bool is_text(const struct canon_type *t)
{
	return t->family == CANON_CHAR || t->family == CANON_VARCHAR || t->family == CANON_TEXT;
}

static bool is_bytes(const struct canon_type *t)
{
	return t->family == CANON_BINARY || t->family == CANON_BLOB;
}

/* Text that may be of any length. */
static bool is_unlimited(const struct canon_type *t)
{
	return t->family == CANON_TEXT || (t->family == CANON_VARCHAR && t->length < 0);
}

static bool on(const struct canon_type *t, const char *engine)
{
	return strcmp(t->engine, engine) == 0;
}

static enum canon_match match_enum(const struct canon_type *a, const struct canon_type *b)
{
	if (a->family == b->family)
		return canon_same_labels(a->labels, b->labels) ? CANON_SAME : CANON_OTHER_LABELS;
	const struct canon_type *e = a->family == CANON_ENUM ? a : b;
	const struct canon_type *t = e == a ? b : a;
	size_t n;
	long longest = (long)label_columns(e->labels, &n);
	if (!is_text(t) || (!is_unlimited(t) && t->length < longest))
		return CANON_DIFFERENT;
	/* As long as the longest label: what frameworks make of an enumeration where there is none. */
	return !is_unlimited(t) && t->length == longest ? CANON_SAME : CANON_SAME_ENUM;
}

/* An engine without the size takes the next one; PostgreSQL has neither 1 nor 3 bytes, nor unsigned. */
static int common_size(const struct canon_type *t, bool postgresql)
{
	if (!postgresql)
		return t->size;
	return t->size == 1 ? 2 : t->size == 3 ? 4 : t->size;
}

static enum canon_match match_int(const struct canon_type *a, const struct canon_type *b)
{
	bool postgresql = on(a, "postgresql") || on(b, "postgresql");
	if (a->any_size || b->any_size)
		return CANON_SAME;
	if (common_size(a, postgresql) == common_size(b, postgresql))
		return a->is_unsigned == b->is_unsigned ? CANON_SAME : CANON_SAME_UNSIGNED;
	/* int unsigned needs a bigint where there is no sign to give up. */
	const struct canon_type *u = a->is_unsigned ? a : b;
	const struct canon_type *s = u == a ? b : a;
	return u->is_unsigned && !s->is_unsigned && s->size == 2 * common_size(u, true) ? CANON_SAME_UNSIGNED
											: CANON_DIFFERENT;
}

static enum canon_match match_float(const struct canon_type *a, const struct canon_type *b)
{
	if (a->size == b->size || a->size == 0 || b->size == 0)
		return CANON_SAME;
	/* FLOAT is 4 bytes on MariaDB and 8 on PostgreSQL: what was asked for is the same. */
	const struct canon_type *m = on(a, "mariadb") ? a : b;
	const struct canon_type *p = m == a ? b : a;
	return on(m, "mariadb") && on(p, "postgresql") && m->size == 4 ? CANON_SAME : CANON_DIFFERENT;
}

static enum canon_match match_numeric(const struct canon_type *a, const struct canon_type *b)
{
	if (a->length == b->length && a->scale == b->scale)
		return CANON_SAME;
	/* Without numbers MariaDB takes (10,0); to SQLite they mean nothing, so some frameworks leave them out. */
	const struct canon_type *bare = a->length < 0 ? a : b;
	const struct canon_type *full = bare == a ? b : a;
	if (bare->length < 0 && on(bare, "sqlite"))
		return CANON_SAME;
	return bare->length < 0 && on(full, "mariadb") && full->length == 10 && full->scale == 0 ? CANON_SAME
												 : CANON_DIFFERENT;
}

static enum canon_match match_text(const struct canon_type *a, const struct canon_type *b)
{
	if (a->family == b->family && a->length == b->length)
		return CANON_SAME;
	if (a->family == CANON_TEXT && b->family == CANON_TEXT)
		return CANON_SAME; /* text(1000) is a hint */
	if (is_unlimited(a) && is_unlimited(b))
		return CANON_SAME_TEXT;
	return is_unlimited(a) || is_unlimited(b) ? CANON_TEXT_LIMIT : CANON_DIFFERENT;
}

static enum canon_match match_bytes(const struct canon_type *a, const struct canon_type *b)
{
	if (a->family == CANON_BLOB && b->family == CANON_BLOB)
		return CANON_SAME;
	if (a->family == b->family)
		return a->length == b->length ? CANON_SAME : CANON_DIFFERENT;
	/* PostgreSQL has bytea only. */
	return on(a, "postgresql") || on(b, "postgresql") ? CANON_SAME_TEXT : CANON_TEXT_LIMIT;
}

/* Fractions of a second: 0 digits on MariaDB and 6 on PostgreSQL where nothing is said; so what is not said by one of
 * them is not compared. */
static enum canon_match match_time(const struct canon_type *a, const struct canon_type *b)
{
	bool both_tell = a->scale >= 0 && b->scale >= 0;
	return both_tell && a->scale != b->scale ? CANON_DIFFERENT : CANON_SAME;
}

/* A boolean is one byte where there is none. */
static bool is_small_int(const struct canon_type *t)
{
	return t->family == CANON_INT && (t->size == 1 || (t->size == 2 && on(t, "postgresql")));
}

static enum canon_match match_family(const struct canon_type *a, const struct canon_type *b)
{
	if (a->family == CANON_INT)
		return match_int(a, b);
	if (a->family == CANON_FLOAT)
		return match_float(a, b);
	if (a->family == CANON_NUMERIC)
		return match_numeric(a, b);
	if (a->family == CANON_DATETIME || a->family == CANON_TIME)
		return match_time(a, b);
	bool same = a->family == CANON_BIT     ? a->length == b->length
		    : a->family == CANON_OTHER ? same_spelling(a->raw, b->raw)
					       : true;
	return same ? CANON_SAME : CANON_DIFFERENT;
}

enum canon_match canon_types(const struct canon_type *a, const struct canon_type *b, const struct canon_equates *e)
{
	enum canon_match m = CANON_DIFFERENT;
	if (a->family == CANON_ENUM || b->family == CANON_ENUM)
		m = match_enum(a, b);
	else if (is_text(a) && is_text(b))
		m = match_text(a, b);
	else if (is_bytes(a) && is_bytes(b))
		m = match_bytes(a, b);
	else if (a->family == b->family)
		m = match_family(a, b);
	else if ((a->family == CANON_BOOL && is_small_int(b)) || (b->family == CANON_BOOL && is_small_int(a)))
		m = CANON_SAME;
	return (m == CANON_DIFFERENT || m == CANON_TEXT_LIMIT) && are_equated(a, b, e) ? CANON_SAME : m;
}

/* ---- defaults ---- */

bool canon_is_nextval(const char *dflt)
{
	return strncasecmp(dflt, "nextval(", 8) == 0;
}

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

/* The functions that give the time, without the digits they may be given. */
static bool is_now(const char *s)
{
	static const char *const names[] = {"current_timestamp",     "now", "localtimestamp", "localtime",
					    "transaction_timestamp", NULL};
	static const char *const others[] = {"datetime('now')", "'now'", "datetime(current_timestamp)", NULL};
	size_t n = strcspn(s, "(");
	AUTO_FREE char *name = xstrndup(s, n);
	const char *rest = s + n;
	bool plain = rest[0] == '\0' || (rest[0] == '(' && rest[1 + strspn(rest + 1, "0123456789")] == ')' &&
					 rest[2 + strspn(rest + 1, "0123456789")] == '\0');
	return (plain && is_one_of(name, names)) || is_one_of(s, others);
}

static bool is_uuid(const char *s)
{
	static const char *const names[] = {"uuid()", "gen_random_uuid()", "uuid_generate_v4()", NULL};
	return is_one_of(s, names);
}

/* "'x'", one string and nothing behind it. */
static bool is_string(const char *s)
{
	struct sql_lexer lx = {.p = s, .end = s + strlen(s)};
	struct sql_token t;
	return sql_next(&lx, &t) && t.kind == SQL_STRING && t.len >= 2 && t.s[t.len - 1] == '\'' && !sql_next(&lx, &t);
}

static bool is_decimal(const char *s)
{
	s += *s == '-' || *s == '+';
	size_t digits = strspn(s, "0123456789");
	const char *rest = s + digits;
	size_t more = *rest == '.' ? 1 + strspn(rest + 1, "0123456789") : 0;
	return digits + more > 0 && rest[more] == '\0' && !(digits == 0 && more == 1);
}

/* "-007.50" → "-7.5" */
static void add_number(const char *s, struct buf *out)
{
	bool negative = *s == '-';
	s += *s == '-' || *s == '+';
	s += strspn(s, "0");
	size_t whole = strcspn(s, ".");
	size_t len = strlen(s);
	while (len > whole && (s[len - 1] == '0' || s[len - 1] == '.')) {
		bool point = s[len - 1] == '.';
		len--;
		if (point)
			break;
	}
	bool zero = len == 0;
	buf_addf(out, "%s%s%.*s", negative && !zero ? "-" : "", whole == 0 ? "0" : "", (int)len, s);
}

static bool wants_number(const struct canon_type *t)
{
	return t->family == CANON_INT || t->family == CANON_FLOAT || t->family == CANON_NUMERIC ||
	       t->family == CANON_BOOL || t->family == CANON_BIT;
}

static bool wants_string(const struct canon_type *t)
{
	return is_text(t) || t->family == CANON_ENUM || t->family == CANON_JSON;
}

static const char *truth(const char *s)
{
	static const char *const yes[] = {"t", "true", "y", "yes", "on", NULL};
	static const char *const no[] = {"f", "false", "n", "no", "off", NULL};
	return is_one_of(s, yes) ? "1" : is_one_of(s, no) ? "0" : s;
}

static void add_literal(const struct canon_type *type, const char *value, bool quoted, struct buf *out)
{
	const char *number = type->family == CANON_BOOL ? truth(value) : value;
	if (wants_number(type) && is_decimal(number)) {
		add_number(number, out);
	} else if (quoted || (wants_string(type) && is_decimal(value))) {
		buf_addc(out, '\'');
		for (const char *p = value; *p; p++)
			buf_addf(out, *p == '\'' ? "''" : "%c", *p);
		buf_addc(out, '\'');
	} else {
		buf_adds(out, value);
	}
}

void canon_default(const struct canon_type *type, const char *dflt, struct buf *out)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	if (!dflt || canon_is_nextval(dflt))
		return;
	canon_expression(dflt, &text);
	bool is_name = dflt[0] == '"'; /* SQLite takes "x" for 'x' where no column can be meant */
	if (strcmp(text.data, "null") == 0)
		return;
	if (is_now(text.data)) {
		buf_adds(out, "now()");
	} else if (is_uuid(text.data)) {
		buf_adds(out, "uuid()");
	} else if (is_string(text.data) || is_name) {
		struct sql_token t = {.kind = is_name ? SQL_NAME : SQL_STRING,
				      .s = is_name ? dflt : text.data,
				      .len = strlen(is_name ? dflt : text.data)};
		AUTO_BUF value = buf_make(BUF_TEXT_MAX);
		sql_unquote(&t, &value);
		add_literal(type, value.data, true, out);
	} else {
		add_literal(type, text.data, false, out);
	}
}

/* ---- checks that only spell out a type ---- */

/* "x in (…)" or "x = …": the list, with x in *column. NULL when it is another expression. */
static const char *list_of(const char *expr, struct sql_token *column)
{
	struct sql_lexer lx = {.p = expr, .end = expr + strlen(expr)};
	struct sql_token t;
	if (!sql_next(&lx, column) || (column->kind != SQL_WORD && column->kind != SQL_NAME) || !sql_next(&lx, &t))
		return NULL;
	if (sql_is_punct(&t, '='))
		return lx.p;
	struct sql_lexer group;
	if (!sql_is(&t, "in") || !sql_next(&lx, &t) || !sql_is_punct(&t, '('))
		return NULL;
	const char *list = lx.p;
	sql_skip_group(&lx, &group);
	return sql_next(&lx, &t) ? NULL : list;
}

static enum canon_check kind_of_list(const char *list)
{
	struct sql_lexer lx = {.p = list, .end = list + strlen(list)};
	struct sql_token t;
	size_t strings = 0, bits = 0, others = 0;
	while (sql_next(&lx, &t)) {
		bool bit = t.kind == SQL_WORD && t.len == 1 && (*t.s == '0' || *t.s == '1');
		strings += t.kind == SQL_STRING;
		bits += bit;
		others += t.kind != SQL_STRING && !bit && t.kind != SQL_PUNCT;
	}
	if (others)
		return CANON_CHECK_OTHER;
	return strings && !bits ? CANON_CHECK_LABELS : bits == 2 && !strings ? CANON_CHECK_BOOLEAN : CANON_CHECK_OTHER;
}

static char *plain_name(const struct sql_token *t)
{
	AUTO_BUF name = buf_make(BUF_TEXT_MAX);
	sql_unquote(t, &name);
	return buf_take(&name);
}

/* "json_valid(x)", "json_valid(x) or x is null" */
static bool is_json_check(const char *expr, struct sql_token *column)
{
	struct sql_lexer lx = {.p = expr, .end = expr + strlen(expr)};
	struct sql_token t;
	if (!sql_next(&lx, &t) || !sql_is(&t, "json_valid") || !sql_next(&lx, &t) || !sql_is_punct(&t, '(') ||
	    !sql_next(&lx, column) || !sql_next(&lx, &t) || !sql_is_punct(&t, ')'))
		return false;
	if (!sql_next(&lx, &t))
		return true;
	struct sql_token again;
	return sql_is(&t, "or") && sql_next(&lx, &again) && again.len == column->len &&
	       memcmp(again.s, column->s, again.len) == 0 && sql_next(&lx, &t) && sql_is(&t, "is") &&
	       sql_next(&lx, &t) && sql_is(&t, "null") && !sql_next(&lx, &t);
}

enum canon_check canon_check_of(const char *expr, char **column, char **labels)
{
	struct sql_token name;
	*column = *labels = NULL;
	if (is_json_check(expr, &name)) {
		*column = plain_name(&name);
		return CANON_CHECK_JSON;
	}
	const char *list = list_of(expr, &name);
	enum canon_check kind = list ? kind_of_list(list) : CANON_CHECK_OTHER;
	if (kind != CANON_CHECK_OTHER)
		*column = plain_name(&name);
	if (kind == CANON_CHECK_LABELS)
		*labels = xstrdup(list);
	return kind;
}
