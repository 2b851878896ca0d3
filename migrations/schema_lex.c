/* SPDX-License-Identifier: MIT */
#include "migrations/schema_lex.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Classes of bytes: most of a dump is words and blanks. */
enum { CLASS_WORD = 1, CLASS_SPACE = 2, CLASS_COMMENT = 4 };
static const unsigned char classes[256] = {
	['\t' ... '\r'] = CLASS_SPACE, [' '] = CLASS_SPACE,   ['0' ... '9'] = CLASS_WORD, ['A' ... 'Z'] = CLASS_WORD,
	['a' ... 'z'] = CLASS_WORD,    ['_'] = CLASS_WORD,    ['$'] = CLASS_WORD,         [0x80 ... 0xff] = CLASS_WORD,
	['-'] = CLASS_COMMENT,         ['/'] = CLASS_COMMENT, ['#'] = CLASS_COMMENT,      ['*'] = CLASS_COMMENT,
};

static inline bool is_word(char c)
{
	return (classes[(unsigned char)c] & CLASS_WORD) != 0;
}

static inline bool is_space(char c)
{
	return (classes[(unsigned char)c] & CLASS_SPACE) != 0;
}

/* ---- tokens ---- */

/* Behind the block comment that begins at p. Text that could be statements of its own is never taken for a comment: a
 * view may be stored with a comment that is not closed, and the next one to end would be some other object's. */
static const char *skip_block_comment(struct sql_lexer *lx, const char *p)
{
	static const char statement[] = ";\nCREATE ";
	if (lx->no_close)
		return p;
	const char *close = memmem(p + 2, (size_t)(lx->end - p - 2), "*/", 2);
	if (!close) {
		lx->no_close = true; /* asked once: the time stays linear */
		return p;
	}
	return memmem(p, (size_t)(close - p), statement, sizeof(statement) - 1) ? p : close + 2;
}

/* The same in PostgreSQL, where comments nest. */
static const char *skip_nested_comment(struct sql_lexer *lx, const char *p)
{
	size_t depth = 0;
	if (lx->no_close)
		return p;
	for (const char *q = p; q + 1 < lx->end; q++) {
		if (q[0] == '/' && q[1] == '*') {
			depth++;
			q++;
		} else if (q[0] == '*' && q[1] == '/') {
			q++;
			if (--depth == 0)
				return q + 1;
		}
	}
	lx->no_close = true;
	return p;
}

/* What MariaDB writes for some versions only is text like any other, its brackets are blank. */
static const char *skip_version_mark(const struct sql_lexer *lx, const char *p)
{
	p += 3;
	if (p < lx->end && *p == '!' && p[-1] == 'M')
		p++;
	while (p < lx->end && isdigit((unsigned char)*p))
		p++;
	return p;
}

static const char *skip_line(const struct sql_lexer *lx, const char *p)
{
	const char *lf = memchr(p, '\n', (size_t)(lx->end - p));
	return lf ? lf : lx->end;
}

/* Behind the comment that begins at p, or p when there is none. */
static const char *skip_comment(struct sql_lexer *lx, const char *p)
{
	bool mariadb = lx->dialect == SQL_MARIADB;
	size_t n = (size_t)(lx->end - p);
	if (mariadb && n > 0 && *p == '#')
		return skip_line(lx, p);
	if (n < 2)
		return p;
	if (p[0] == '-' && p[1] == '-')
		return mariadb && n > 2 && !is_space(p[2]) ? p : skip_line(lx, p);
	if (mariadb && p[0] == '*' && p[1] == '/')
		return p + 2;
	if (p[0] != '/' || p[1] != '*')
		return p;
	if (mariadb && n > 2 && (p[2] == '!' || (p[2] == 'M' && n > 3 && p[3] == '!')))
		return skip_version_mark(lx, p);
	return lx->dialect == SQL_POSTGRESQL ? skip_nested_comment(lx, p) : skip_block_comment(lx, p);
}

static const char *skip_blank(struct sql_lexer *lx)
{
	const char *p = lx->p;
	for (;;) {
		while (p < lx->end && is_space(*p))
			p++;
		if (p == lx->end || !(classes[(unsigned char)*p] & CLASS_COMMENT))
			return p;
		const char *behind = skip_comment(lx, p);
		if (behind == p)
			return p;
		p = behind;
	}
}

static char closing(char open)
{
	if (open == '[')
		return ']';
	return open;
}

/* Behind the closing quote; a doubled one does not close. */
static const char *skip_quoted(const char *p, const char *end, char close, bool backslash)
{
	for (p++; p < end; p++) {
		bool two = p + 1 < end && ((backslash && *p == '\\') || (*p == close && close != ']' && p[1] == close));
		if (two)
			p++;
		else if (*p == close)
			return p + 1;
	}
	return end;
}

/* Behind $tag$…$tag$, or NULL when there is none at p. */
static const char *skip_dollar(struct sql_lexer *lx, const char *p)
{
	const char *end = lx->end;
	if (lx->no_close)
		return NULL;
	const char *q = p + 1;
	while (q < end && (isalnum((unsigned char)*q) || *q == '_' || (unsigned char)*q >= 0x80))
		q++;
	if (q == end || *q != '$' || isdigit((unsigned char)p[1]))
		return NULL;
	size_t tag = (size_t)(q + 1 - p);
	const char *close = memmem(q + 1, (size_t)(end - q - 1), p, tag);
	lx->no_close = !close;
	return close ? close + tag : NULL;
}

static bool begins_string(const struct sql_lexer *lx, const char *p)
{
	return *p == '\'' || (*p == '"' && lx->dialect == SQL_MARIADB);
}

static bool begins_name(const struct sql_lexer *lx, const char *p)
{
	return *p == '"' || (*p == '`' && lx->dialect != SQL_POSTGRESQL) || (*p == '[' && lx->dialect == SQL_SQLITE);
}

static const char *skip_word(const char *p, const char *end)
{
	while (p < end && is_word(*p))
		p++;
	return p;
}

/* A word; in PostgreSQL also the strings that begin as one. */
static const char *word_or_string(struct sql_lexer *lx, const char *p, struct sql_token *t)
{
	bool pg = lx->dialect == SQL_POSTGRESQL;
	const char *dollar = pg && *p == '$' ? skip_dollar(lx, p) : NULL;
	t->kind = SQL_WORD;
	if (dollar) {
		t->kind = SQL_STRING;
		return dollar;
	}
	if (pg && (*p == 'E' || *p == 'e') && p + 1 < lx->end && p[1] == '\'') {
		t->kind = SQL_STRING;
		return skip_quoted(p + 1, lx->end, '\'', true);
	}
	return skip_word(p, lx->end);
}

bool sql_next(struct sql_lexer *lx, struct sql_token *t)
{
	const char *p = skip_blank(lx);
	t->s = p;
	if (p == lx->end) {
		t->kind = SQL_END;
	} else if (is_word(*p)) {
		p = word_or_string(lx, p, t);
	} else if (begins_string(lx, p)) {
		t->kind = SQL_STRING;
		p = skip_quoted(p, lx->end, *p, lx->dialect == SQL_MARIADB);
	} else if (begins_name(lx, p)) {
		t->kind = SQL_NAME;
		p = skip_quoted(p, lx->end, closing(*p), false);
	} else {
		t->kind = SQL_PUNCT;
		p++;
	}
	t->len = (size_t)(p - t->s);
	lx->p = p;
	return t->kind != SQL_END;
}

bool sql_is(const struct sql_token *t, const char *word)
{
	return t->kind == SQL_WORD && strlen(word) == t->len && strncasecmp(t->s, word, t->len) == 0;
}

bool sql_is_punct(const struct sql_token *t, char c)
{
	return t->kind == SQL_PUNCT && *t->s == c;
}

void sql_skip_group(struct sql_lexer *lx, struct sql_lexer *group)
{
	struct sql_token t;
	group->p = lx->p;
	group->end = lx->end;
	group->dialect = lx->dialect;
	group->no_close = lx->no_close;
	for (size_t depth = 1; sql_next(lx, &t);) {
		if (sql_is_punct(&t, '('))
			depth++;
		if (sql_is_punct(&t, ')') && --depth == 0) {
			group->end = t.s;
			return;
		}
	}
}

/* ---- normal form ---- */

void sql_unquote(const struct sql_token *t, struct buf *out)
{
	if (t->kind != SQL_NAME && t->kind != SQL_STRING) {
		buf_add(out, t->s, t->len);
		return;
	}
	char close = closing(*t->s);
	size_t len = t->len > 1 && t->s[t->len - 1] == close ? t->len - 1 : t->len;
	for (size_t i = 1; i < len; i++) {
		buf_addc(out, t->s[i]);
		if (t->s[i] == close && i + 1 < len && t->s[i + 1] == close)
			i++;
	}
}

void sql_strip_brackets(struct sql_lexer *lx)
{
	enum { MAX_LEVELS = 32 }; /* each is read to its end */
	for (int i = 0; i < MAX_LEVELS; i++) {
		struct sql_lexer rest = *lx;
		struct sql_lexer inner;
		struct sql_token t;
		if (!sql_next(&rest, &t) || !sql_is_punct(&t, '('))
			return;
		sql_skip_group(&rest, &inner);
		if (inner.end == lx->end || sql_next(&rest, &t))
			return;
		*lx = inner;
	}
}

/* Bare they would be no names. */
static bool is_value_word(const struct sql_token *t)
{
	static const char *const words[] = {"null",         "true",          "false",
					    "user",         "current_user",  "session_user",
					    "current_date", "current_time",  "current_timestamp",
					    "localtime",    "localtimestamp"};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == t->len - 2 && strncasecmp(t->s + 1, words[i], t->len - 2) == 0)
			return true;
	return false;
}

/* A quoted name that could as well stand there bare. */
static bool is_plain_name(enum sql_dialect dialect, const struct sql_token *t)
{
	if (t->len < 3 || isdigit((unsigned char)t->s[1]))
		return false;
	for (size_t i = 1; i < t->len - 1; i++)
		if (!is_word(t->s[i]) || (dialect == SQL_POSTGRESQL && isupper((unsigned char)t->s[i])))
			return false;
	return !is_value_word(t);
}

static void add_lower(struct buf *out, const char *s, size_t n)
{
	char part[256];
	while (n > 0) {
		size_t k = n < sizeof(part) ? n : sizeof(part);
		for (size_t i = 0; i < k; i++)
			part[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
		buf_add(out, part, k);
		s += k;
		n -= k;
	}
}

static void add_token(struct buf *out, enum sql_dialect dialect, const struct sql_token *t)
{
	if (t->kind == SQL_WORD) {
		add_lower(out, t->s, t->len);
	} else if (t->kind == SQL_NAME && is_plain_name(dialect, t)) {
		add_lower(out, t->s + 1, t->len - 2);
	} else if (t->kind == SQL_NAME) {
		buf_addc(out, '"');
		sql_unquote(t, out);
		buf_addc(out, '"');
	} else {
		buf_add(out, t->s, t->len);
	}
}

/* Words before which a bracket opens a group rather than a function's arguments. */
static bool spaces_bracket(const struct sql_token *t)
{
	static const char *const words[] = {"in",   "and",  "or",     "not",   "check", "values", "as",
					    "when", "then", "exists", "where", "on",    "like",   "is"};
	if (t->kind == SQL_PUNCT)
		return *t->s != '(' && *t->s != '.';
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (sql_is(t, words[i]))
			return true;
	return t->kind == SQL_STRING;
}

/* Two bytes of one operator: <=, ||, ->>, :: … */
static bool is_operator(const struct sql_token *before, const struct sql_token *t)
{
	return before->kind == SQL_PUNCT && t->kind == SQL_PUNCT && before->s + 1 == t->s &&
	       ((strchr("<>=!|-", *before->s) && strchr("<>=|", *t->s)) || (*before->s == ':' && *t->s == ':'));
}

static bool wants_space(const struct sql_token *before, const struct sql_token *t)
{
	if (before->kind == SQL_END || is_operator(before, t) || sql_is_punct(before, '(') ||
	    sql_is_punct(before, '.') || sql_is_punct(before, ':') || sql_is_punct(t, ':'))
		return false;
	if (t->kind != SQL_PUNCT)
		return true;
	if (*t->s == '(')
		return spaces_bracket(before);
	return *t->s != ')' && *t->s != ',' && *t->s != '.' && *t->s != ';';
}

void sql_normalise_as(enum sql_dialect dialect, const char *s, size_t n, struct buf *out)
{
	struct sql_lexer lx = {.p = s, .end = s + n, .dialect = dialect};
	struct sql_token before = {.kind = SQL_END};
	struct sql_token t;
	while (sql_next(&lx, &t)) {
		if (wants_space(&before, &t))
			buf_addc(out, ' ');
		add_token(out, dialect, &t);
		before = t;
	}
}

void sql_normalise(const char *s, size_t n, struct buf *out)
{
	sql_normalise_as(SQL_SQLITE, s, n, out);
}

/* ---- statements ---- */

static void skip_if_not_exists(struct sql_lexer *lx, struct sql_token *t)
{
	if (!sql_is(t, "if"))
		return;
	sql_next(lx, t);
	sql_next(lx, t);
	sql_next(lx, t);
}

/* After the name: "… ON table" (a trigger has more before ON). */
static void find_on(struct sql_statement *st)
{
	struct sql_token t;
	while (sql_next(&st->rest, &t))
		if (sql_is(&t, "on")) {
			sql_next(&st->rest, &st->table);
			return;
		}
}

static void classify(struct sql_statement *st)
{
	struct sql_lexer lx = {.p = st->s, .end = st->s + st->len};
	struct sql_token t;
	st->kind = SQL_OTHER;
	sql_next(&lx, &t);
	if (!sql_is(&t, "create"))
		goto name;
	sql_next(&lx, &t);
	if (sql_is(&t, "virtual")) {
		sql_next(&lx, &t);
		st->kind = SQL_VIRTUAL;
	} else if (sql_is(&t, "unique")) {
		sql_next(&lx, &t);
	}
	if (sql_is(&t, "table"))
		st->kind = st->kind == SQL_VIRTUAL ? SQL_VIRTUAL : SQL_TABLE;
	else if (sql_is(&t, "index"))
		st->kind = SQL_INDEX;
	else if (sql_is(&t, "view"))
		st->kind = SQL_VIEW;
	else if (sql_is(&t, "trigger"))
		st->kind = SQL_TRIGGER;
	else
		goto name;
	sql_next(&lx, &t);
	skip_if_not_exists(&lx, &t);
name:
	st->name = st->table = t;
	st->rest = lx;
	if (st->kind == SQL_INDEX || st->kind == SQL_TRIGGER)
		find_on(st);
}

bool sql_next_statement(const char **p, const char *end, struct sql_statement *st)
{
	struct sql_lexer lx = {.p = *p, .end = end};
	struct sql_token t;
	do {
		if (!sql_next(&lx, &t))
			return false;
	} while (sql_is_punct(&t, ';'));
	st->s = t.s;
	const char *last = t.s + t.len; /* behind the last token that is not the closing ';' */
	const char *next = end;
	while (sql_next(&lx, &t)) {
		if (sql_is(&t, "create")) {
			next = t.s;
			break;
		}
		last = t.s + t.len;
	}
	while (last > st->s && (last[-1] == ';' || is_space(last[-1])))
		last--;
	st->len = (size_t)(last - st->s);
	*p = next;
	classify(st);
	return true;
}
