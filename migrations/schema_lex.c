/* SPDX-License-Identifier: MIT */
#include "migrations/schema_lex.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
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

/* Behind the comment that begins at p, or p when there is none. */
static const char *skip_comment(struct sql_lexer *lx, const char *p)
{
	if (lx->end - p < 2)
		return p;
	if (p[0] == '-' && p[1] == '-') {
		const char *lf = memchr(p, '\n', (size_t)(lx->end - p));
		return lf ? lf : lx->end;
	}
	return p[0] == '/' && p[1] == '*' ? skip_block_comment(lx, p) : p;
}

static const char *skip_blank(struct sql_lexer *lx)
{
	const char *p = lx->p;
	for (;;) {
		while (p < lx->end && is_space(*p))
			p++;
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
static const char *skip_quoted(const char *p, const char *end, char close)
{
	for (p++; p < end; p++) {
		if (*p != close)
			continue;
		if (close != ']' && p + 1 < end && p[1] == close)
			p++;
		else
			return p + 1;
	}
	return end;
}

bool sql_next(struct sql_lexer *lx, struct sql_token *t)
{
	const char *p = skip_blank(lx);
	t->s = p;
	if (p == lx->end) {
		t->kind = SQL_END;
	} else if (*p == '\'') {
		t->kind = SQL_STRING;
		p = skip_quoted(p, lx->end, '\'');
	} else if (*p == '"' || *p == '`' || *p == '[') {
		t->kind = SQL_NAME;
		p = skip_quoted(p, lx->end, closing(*p));
	} else if (is_word(*p)) {
		t->kind = SQL_WORD;
		while (p < lx->end && is_word(*p))
			p++;
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

/* A quoted name that could as well stand there bare. */
static bool is_plain_name(const struct sql_token *t)
{
	if (t->len < 3 || isdigit((unsigned char)t->s[1]))
		return false;
	for (size_t i = 1; i < t->len - 1; i++)
		if (!is_word(t->s[i]))
			return false;
	return true;
}

static void add_lower(struct buf *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_addc(out, (char)tolower((unsigned char)s[i]));
}

static void add_token(struct buf *out, const struct sql_token *t)
{
	if (t->kind == SQL_WORD) {
		add_lower(out, t->s, t->len);
	} else if (t->kind == SQL_NAME && is_plain_name(t)) {
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

/* Two bytes of one operator: <=, ||, ->> … */
static bool is_operator(const struct sql_token *before, const struct sql_token *t)
{
	return before->kind == SQL_PUNCT && t->kind == SQL_PUNCT && before->s + 1 == t->s &&
	       strchr("<>=!|-", *before->s) && strchr("<>=|", *t->s);
}

static bool wants_space(const struct sql_token *before, const struct sql_token *t)
{
	if (before->kind == SQL_END || is_operator(before, t) || sql_is_punct(before, '(') || sql_is_punct(before, '.'))
		return false;
	if (t->kind != SQL_PUNCT)
		return true;
	if (*t->s == '(')
		return spaces_bracket(before);
	return *t->s != ')' && *t->s != ',' && *t->s != '.' && *t->s != ';';
}

void sql_normalise(const char *s, size_t n, struct buf *out)
{
	struct sql_lexer lx = {.p = s, .end = s + n};
	struct sql_token before = {.kind = SQL_END};
	struct sql_token t;
	while (sql_next(&lx, &t)) {
		if (wants_space(&before, &t))
			buf_addc(out, ' ');
		add_token(out, &t);
		before = t;
	}
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
