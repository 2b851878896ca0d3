/* SPDX-License-Identifier: MIT */
/* An SQL expression → its normal form: read into a tree by precedence, printed again in one way. */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "migrations/schema_canon.h"
#include "migrations/schema_lex.h"
#include "migrations/schema_model.h"

enum { MAX_DEPTH = 100, MAX_EXPRESSION = 64 << 10, MAX_PRINTED = 20000, MAX_NESTED = 400 };

/* By what binds weakest. */
enum level { L_OR = 1, L_AND, L_NOT, L_COMPARE, L_OTHER, L_ADD, L_MULTIPLY, L_UNARY, L_PRIMARY };

enum form {
	F_LEAF,   /* text */
	F_BINARY, /* children joined by text: any number where the order of evaluation is free */
	F_PREFIX, /* text child */
	F_SUFFIX, /* child text */
	F_CALL,   /* text(children) */
	F_LIST,   /* (children) */
	F_IN,     /* first text (others) */
	F_WORDS,  /* children one after the other: CASE … END */
};

struct node {
	enum form form;
	enum level level;
	const char *text;
	struct node *first, *last, *next;
	bool string; /* a leaf that is 'x' */
	bool array;  /* an F_LIST that was ARRAY[…] */
};

struct expr {
	struct sql_lexer lx;
	struct sql_token t; /* the one to be taken next */
	int depth;
	bool bad;
	struct schema *memory;
	size_t printed, limit; /* of the output */
};

/* ---- nodes ---- */

static struct node *node(struct expr *e, enum form form, enum level level, const char *text)
{
	/* From the same blocks as the texts, with room to align. */
	static const char zero[sizeof(struct node) + _Alignof(struct node)];
	uintptr_t at = (uintptr_t)schema_keep(e->memory, zero, sizeof(zero));
	size_t off = (_Alignof(struct node) - at % _Alignof(struct node)) % _Alignof(struct node);
	struct node *n = (struct node *)(at + off);
	*n = (struct node){.form = form, .level = level, .text = text};
	return n;
}

static void append(struct node *parent, struct node *child)
{
	if (!child)
		return;
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

static struct node *bad(struct expr *e)
{
	e->bad = true;
	return node(e, F_LEAF, L_PRIMARY, "");
}

static struct node *join(struct expr *e, enum level level, const char *op, struct node *a, struct node *b)
{
	bool chain = level == L_OR || level == L_AND;
	bool grows = a->form == F_BINARY && a->level == level && strcmp(a->text, op) == 0 &&
		     (chain || level == L_ADD || level == L_MULTIPLY || strcmp(op, "||") == 0);
	struct node *n = grows ? a : node(e, F_BINARY, level, op);
	if (!grows)
		append(n, a);
	/* a AND (b AND c) is a AND b AND c. */
	if (chain && b->form == F_BINARY && b->level == level && b->first) {
		n->last->next = b->first;
		n->last = b->last;
	} else {
		append(n, b);
	}
	return n;
}

static const char *text_of(struct expr *e, const char *s, size_t n)
{
	return schema_keep(e->memory, s, n);
}

static const char *lower_of(struct expr *e, const char *s, size_t n)
{
	AUTO_FREE char *low = xstrndup(s, n);
	for (size_t i = 0; i < n; i++)
		low[i] = (char)tolower((unsigned char)low[i]);
	return schema_keep(e->memory, low, n);
}

/* ---- tokens ---- */

static void advance(struct expr *e)
{
	sql_next(&e->lx, &e->t);
}

static bool take_word(struct expr *e, const char *word)
{
	if (!sql_is(&e->t, word))
		return false;
	advance(e);
	return true;
}

static bool take_punct(struct expr *e, char c)
{
	if (!sql_is_punct(&e->t, c))
		return false;
	advance(e);
	return true;
}

static bool next_is(const struct expr *e, const char *word)
{
	struct sql_lexer lx = e->lx;
	struct sql_token t;
	return sql_next(&lx, &t) && sql_is(&t, word);
}

struct symbol {
	const char *spelled, *meant;
	enum level level;
};
static const struct symbol symbols[] = {
	{"!~~*", "not ilike", L_COMPARE},
	{"!~~", "not like", L_COMPARE},
	{"~~*", "ilike", L_COMPARE},
	{"->>", "->>", L_OTHER},
	{"<=>", "<=>", L_COMPARE},
	{"!~*", "!~*", L_OTHER},
	{"~~", "like", L_COMPARE},
	{"<=", "<=", L_COMPARE},
	{">=", ">=", L_COMPARE},
	{"<>", "<>", L_COMPARE},
	{"!=", "<>", L_COMPARE},
	{"==", "=", L_COMPARE},
	{"||", "||", L_OTHER},
	{"->", "->", L_OTHER},
	{"<<", "<<", L_OTHER},
	{">>", ">>", L_OTHER},
	{"@>", "@>", L_OTHER},
	{"<@", "<@", L_OTHER},
	{"&&", "&&", L_OTHER},
	{"!~", "!~", L_OTHER},
	{"~*", "~*", L_OTHER},
	{"=", "=", L_COMPARE},
	{"<", "<", L_COMPARE},
	{">", ">", L_COMPARE},
	{"+", "+", L_ADD},
	{"-", "-", L_ADD},
	{"*", "*", L_MULTIPLY},
	{"/", "/", L_MULTIPLY},
	{"%", "%", L_MULTIPLY},
	{"&", "&", L_OTHER},
	{"|", "|", L_OTHER},
	{"^", "^", L_OTHER},
	{"#", "#", L_OTHER},
	{"~", "~", L_OTHER},
};

/* The operator at the current token, or NULL; not taken. */
static const struct symbol *symbol_here(const struct expr *e)
{
	if (e->t.kind != SQL_PUNCT)
		return NULL;
	size_t left = (size_t)(e->lx.end - e->t.s);
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		size_t n = strlen(symbols[i].spelled);
		if (n <= left && memcmp(e->t.s, symbols[i].spelled, n) == 0)
			return &symbols[i];
	}
	return NULL;
}

static void take_symbol(struct expr *e, const struct symbol *op)
{
	e->lx.p = e->t.s + strlen(op->spelled);
	advance(e);
}

/* ---- primaries ---- */

static struct node *expression(struct expr *e, enum level level);

static bool is_number(const char *s)
{
	size_t digits = 0;
	s += *s == '-' || *s == '+';
	for (; *s; s++) {
		digits += isdigit((unsigned char)*s) != 0;
		if (!isdigit((unsigned char)*s) && *s != '.')
			return false;
	}
	return digits > 0;
}

/* A type behind :: or AS. Whether it is one of numbers, so that '1'::integer is 1. */
static bool skip_type(struct expr *e)
{
	static const char *const more[] = {"varying", "precision", "without", "with",  "time",
					   "zone",    "unsigned",  "signed",  "large", "object"};
	static const char *const numbers[] = {"integer", "bigint", "smallint", "numeric", "decimal",
					      "int",     "real",   "double",   "signed",  "unsigned"};
	bool number = false;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		number |= sql_is(&e->t, numbers[i]);
	if (e->t.kind != SQL_WORD && !(e->t.kind == SQL_NAME && e->t.s[0] != '['))
		bad(e);
	advance(e);
	while (take_punct(e, '.'))
		advance(e); /* "schema"."type" */
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < ARRAY_SIZE(more); i++)
			again |= take_word(e, more[i]);
		if (sql_is_punct(&e->t, '(')) {
			struct sql_lexer group;
			sql_skip_group(&e->lx, &group);
			advance(e);
			again = true;
		} else if (e->t.kind == SQL_NAME && e->t.s[0] == '[') {
			number = false; /* an array of them */
			advance(e);
			again = true;
		}
	}
	return number;
}

/* '1' that is cast to a number is 1. */
static void unquote_number(struct expr *e, struct node *n)
{
	if (n->form != F_LEAF || !n->string)
		return;
	AUTO_FREE char *inner = xstrndup(n->text + 1, strlen(n->text) - 2);
	if (!is_number(inner))
		return;
	n->text = schema_keep(e->memory, inner, strlen(inner));
	n->string = false;
}

static void arguments(struct expr *e, struct node *n)
{
	if (take_punct(e, ')'))
		return;
	do {
		if (sql_is_punct(&e->t, '*')) {
			append(n, node(e, F_LEAF, L_PRIMARY, "*"));
			advance(e);
		} else {
			append(n, expression(e, L_OR));
		}
	} while (!e->bad && take_punct(e, ','));
	if (!take_punct(e, ')'))
		bad(e);
}

/* ARRAY['a', 'b']: the lexer takes [ … ] for a quoted name. */
static struct node *array(struct expr *e)
{
	struct node *n = node(e, F_LIST, L_PRIMARY, "");
	n->array = true;
	struct sql_lexer outer = e->lx;
	size_t len = e->t.len >= 2 && e->t.s[e->t.len - 1] == ']' ? e->t.len - 2 : 0;
	e->lx = (struct sql_lexer){.p = e->t.s + 1, .end = e->t.s + 1 + len};
	advance(e);
	while (!e->bad && e->t.kind != SQL_END) {
		append(n, expression(e, L_OR));
		if (!take_punct(e, ',') && e->t.kind != SQL_END)
			bad(e);
	}
	e->lx = outer;
	advance(e);
	return n;
}

static struct node *case_words(struct expr *e)
{
	static const char *const words[] = {"when", "then", "else"};
	struct node *n = node(e, F_WORDS, L_PRIMARY, "");
	append(n, node(e, F_LEAF, L_PRIMARY, "case"));
	while (!e->bad && !take_word(e, "end")) {
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (take_word(e, words[i]))
				append(n, node(e, F_LEAF, L_PRIMARY, words[i]));
		append(n, expression(e, L_OR));
	}
	append(n, node(e, F_LEAF, L_PRIMARY, "end"));
	return n;
}

/* Behind "CAST(". */
static struct node *cast(struct expr *e)
{
	struct node *n = expression(e, L_OR);
	if (!take_word(e, "as"))
		return bad(e);
	if (skip_type(e))
		unquote_number(e, n);
	return take_punct(e, ')') ? n : bad(e);
}

static struct node *string(struct expr *e)
{
	struct node *n = node(e, F_LEAF, L_PRIMARY, text_of(e, e->t.s, e->t.len));
	n->string = e->t.len >= 2 && e->t.s[e->t.len - 1] == '\'';
	advance(e);
	return n;
}

/* b'0' is 0; N'x', E'x', _utf8'x' are 'x'; other prefixes stay. */
static struct node *prefixed(struct expr *e, const struct sql_token *word)
{
	struct node *n = string(e);
	if (sql_is(word, "b") && n->string) {
		size_t zeros = 1 + strspn(n->text + 1, "0");
		AUTO_FREE char *bits = xstrndup(n->text + zeros, strlen(n->text) - zeros - 1);
		n->string = false;
		n->text = strcmp(bits, "") == 0    ? "0"
			  : strcmp(bits, "1") == 0 ? "1"
						   : lower_of(e, word->s, word->len + strlen(n->text));
	} else if (!sql_is(word, "n") && !sql_is(word, "e") && word->s[0] != '_') {
		n->text = lower_of(e, word->s, word->len + strlen(n->text));
		n->string = false;
	}
	return n;
}

static bool glued_string(const struct expr *e, const struct sql_token *word)
{
	return e->t.kind == SQL_STRING && word->s + word->len == e->t.s;
}

/* A name, number, function; a.b.c is one leaf. */
static struct node *name_or_call(struct expr *e)
{
	static const struct {
		const char *spelled, *meant;
	} constants[] = {{"true", "1"}, {"false", "0"}};
	struct sql_token first = e->t;
	AUTO_BUF name = buf_make(MAX_EXPRESSION);
	advance(e);
	if (first.kind == SQL_WORD && glued_string(e, &first))
		return prefixed(e, &first);
	if (sql_is(&first, "array") && e->t.kind == SQL_NAME && e->t.s[0] == '[')
		return array(e);
	if (sql_is(&first, "case"))
		return case_words(e);
	for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
		if (sql_is(&first, constants[i].spelled))
			return node(e, F_LEAF, L_PRIMARY, constants[i].meant);
	sql_normalise(first.s, first.len, &name);
	while (sql_is_punct(&e->t, '.')) {
		advance(e);
		buf_addc(&name, '.');
		if (e->t.kind == SQL_WORD || e->t.kind == SQL_NAME) {
			sql_normalise(e->t.s, e->t.len, &name);
			advance(e);
		}
	}
	const char *text = text_of(e, name.data, name.len);
	if (!take_punct(e, '('))
		return node(e, F_LEAF, L_PRIMARY, text);
	if (sql_is(&first, "cast"))
		return cast(e);
	struct node *call = node(e, F_CALL, L_PRIMARY, text);
	arguments(e, call);
	return call;
}

static struct node *group(struct expr *e)
{
	struct node *n = expression(e, L_OR);
	if (!sql_is_punct(&e->t, ','))
		return take_punct(e, ')') ? n : bad(e);
	struct node *list = node(e, F_LIST, L_PRIMARY, ""); /* (a, b) = (1, 2) */
	append(list, n);
	advance(e);
	arguments(e, list);
	return list;
}

static struct node *negative(struct expr *e)
{
	struct node *n = expression(e, L_UNARY);
	if (n->form == F_LEAF && is_number(n->text) && n->text[0] != '-') {
		AUTO_FREE char *text = xasprintf("-%s", n->text);
		n->text = schema_keep(e->memory, text, strlen(text));
		return n;
	}
	struct node *minus = node(e, F_PREFIX, L_UNARY, "-");
	append(minus, n);
	return minus;
}

static struct node *primary(struct expr *e)
{
	if (e->t.kind == SQL_STRING)
		return string(e);
	if (take_punct(e, '('))
		return sql_is(&e->t, "select") ? bad(e) : group(e);
	if (take_punct(e, '-'))
		return negative(e);
	if (take_punct(e, '+'))
		return expression(e, L_UNARY);
	if (take_punct(e, '.') && e->t.kind == SQL_WORD) { /* .5 */
		const char *text = text_of(e, e->t.s - 1, e->t.len + 1);
		advance(e);
		return node(e, F_LEAF, L_PRIMARY, text);
	}
	if (e->t.kind == SQL_WORD || (e->t.kind == SQL_NAME && e->t.len > 2))
		return name_or_call(e);
	return bad(e);
}

/* ---- what stands behind ---- */

static bool at_cast(const struct expr *e)
{
	return sql_is_punct(&e->t, ':') && e->lx.p < e->lx.end && *e->lx.p == ':';
}

static struct node *postfix(struct expr *e, struct node *n)
{
	for (;;) {
		if (at_cast(e)) {
			advance(e);
			advance(e);
			if (skip_type(e))
				unquote_number(e, n);
		} else if (take_word(e, "collate")) {
			advance(e); /* engines name collations differently */
			while (take_punct(e, '.'))
				advance(e);
		} else {
			return n;
		}
	}
}

/* Engines quote the numbers of a comparison or not: '0' is 0 there. */
static bool is_ordering(const char *op)
{
	return strpbrk(op, "<>=") && !strchr(op, '-') && !strchr(op, '@');
}

/* x = ANY (ARRAY[…]) and x <> ALL (…) are x [NOT] IN (…); x IN (y) is x = y. */
static struct node *compare(struct expr *e, const char *op, struct node *a, struct node *b)
{
	bool any = strcmp(op, "=") == 0;
	struct node *list = b->form == F_CALL && b->first && b->first->array && !b->first->next ? b->first : NULL;
	if (is_ordering(op)) {
		unquote_number(e, a);
		unquote_number(e, b);
	}
	if (!list || strcmp(b->text, any ? "any" : "all") != 0 || (!any && strcmp(op, "<>") != 0))
		return join(e, L_COMPARE, op, a, b);
	if (list->first && list->first == list->last)
		return join(e, L_COMPARE, op, a, list->first);
	struct node *in = node(e, F_IN, L_COMPARE, any ? "in" : "not in");
	append(in, a);
	if (list->first) {
		in->last->next = list->first;
		in->last = list->last;
	}
	return in;
}

static struct node *in_list(struct expr *e, struct node *a, bool negated)
{
	struct node *in = node(e, F_IN, L_COMPARE, negated ? "not in" : "in");
	append(in, a);
	if (!take_punct(e, '(') || sql_is(&e->t, "select"))
		return bad(e);
	arguments(e, in);
	struct node *only = a->next && !a->next->next ? a->next : NULL;
	if (!only)
		return in;
	a->next = NULL;
	return join(e, L_COMPARE, negated ? "<>" : "=", a, only);
}

/* A copy, as a node stands in one place only. Its children are shared, which is fine: they are only printed. */
static struct node *again(struct expr *e, const struct node *n)
{
	struct node *copy = node(e, n->form, n->level, n->text);
	copy->first = n->first;
	copy->last = n->last;
	copy->string = n->string;
	return copy;
}

/* x BETWEEN a AND b is x >= a AND x <= b. */
static struct node *between(struct expr *e, struct node *a, bool negated)
{
	struct node *low = expression(e, L_OTHER);
	if (!take_word(e, "and"))
		return bad(e);
	struct node *high = expression(e, L_OTHER);
	unquote_number(e, low);
	unquote_number(e, high);
	struct node *x = again(e, a);
	struct node *from = join(e, L_COMPARE, negated ? "<" : ">=", a, low);
	struct node *to = join(e, L_COMPARE, negated ? ">" : "<=", x, high);
	return join(e, negated ? L_OR : L_AND, negated ? "or" : "and", from, to);
}

static struct node *is_test(struct expr *e, struct node *a)
{
	AUTO_BUF text = buf_make(MAX_EXPRESSION);
	buf_adds(&text, "is");
	if (take_word(e, "not"))
		buf_adds(&text, " not");
	if (e->t.kind != SQL_WORD || sql_is(&e->t, "distinct"))
		return bad(e);
	buf_addc(&text, ' ');
	sql_normalise(e->t.s, e->t.len, &text);
	advance(e);
	struct node *n = node(e, F_SUFFIX, L_COMPARE, text_of(e, text.data, text.len));
	append(n, a);
	return n;
}

/* [NOT] IN, LIKE, BETWEEN, IS. NULL when there is none. */
static struct node *word_operator(struct expr *e, struct node *a)
{
	static const char *const likes[] = {"like", "ilike", "glob", "regexp", "rlike", "similar", "match"};
	if (take_word(e, "is"))
		return is_test(e, a);
	bool negated = sql_is(&e->t, "not") && (next_is(e, "in") || next_is(e, "like") || next_is(e, "ilike") ||
						next_is(e, "between") || next_is(e, "glob") || next_is(e, "regexp"));
	if (negated)
		advance(e);
	if (take_word(e, "in"))
		return in_list(e, a, negated);
	if (take_word(e, "between"))
		return between(e, a, negated);
	for (size_t i = 0; i < ARRAY_SIZE(likes); i++)
		if (take_word(e, likes[i])) {
			AUTO_FREE char *op = xasprintf("%s%s", negated ? "not " : "", likes[i]);
			return join(e, L_COMPARE, text_of(e, op, strlen(op)), a, expression(e, L_OTHER));
		}
	return NULL;
}

/* Takes what may follow *a at this level or a tighter one into *a; false when nothing does. */
static bool more(struct expr *e, struct node **a, enum level level)
{
	if (level <= L_OR && take_word(e, "or")) {
		*a = join(e, L_OR, "or", *a, expression(e, L_AND));
		return true;
	}
	if (level <= L_AND && take_word(e, "and")) {
		*a = join(e, L_AND, "and", *a, expression(e, L_NOT));
		return true;
	}
	struct node *n = level <= L_COMPARE ? word_operator(e, *a) : NULL;
	const struct symbol *op = n ? NULL : symbol_here(e);
	if (n)
		*a = n;
	if (!op || op->level < level)
		return n != NULL;
	take_symbol(e, op);
	struct node *b = expression(e, op->level + 1);
	*a = op->level == L_COMPARE ? compare(e, op->meant, *a, b) : join(e, op->level, op->meant, *a, b);
	return true;
}

static struct node *expression(struct expr *e, enum level level)
{
	if (e->bad || ++e->depth > MAX_DEPTH)
		return bad(e);
	struct node *a;
	if (level <= L_NOT && take_word(e, "not")) {
		a = node(e, F_PREFIX, L_NOT, "not ");
		append(a, expression(e, L_NOT));
	} else {
		a = postfix(e, primary(e));
	}
	while (!e->bad && more(e, &a, level))
		;
	e->depth--;
	return a;
}

/* ---- printing ---- */

static void print(struct expr *e, const struct node *n, enum level level, struct buf *out);

static void print_list(struct expr *e, const struct node *n, const char *between, enum level level, struct buf *out)
{
	for (const char *sep = ""; n; n = n->next, sep = between) {
		buf_adds(out, sep);
		print(e, n, level, out);
	}
}

static void print_bare(struct expr *e, const struct node *n, struct buf *out)
{
	AUTO_FREE char *between = n->form == F_BINARY ? xasprintf(" %s ", n->text) : NULL;
	switch (n->form) {
	case F_LEAF:
		buf_adds(out, n->text);
		return;
	case F_BINARY:
		print_list(e, n->first, between, n->level + 1, out);
		return;
	case F_PREFIX:
		buf_adds(out, n->text);
		print_list(e, n->first, "", n->level, out);
		return;
	case F_SUFFIX:
		print(e, n->first, n->level + 1, out);
		buf_addf(out, " %s", n->text);
		return;
	case F_CALL:
		buf_adds(out, n->text);
		/* fallthrough */
	case F_LIST:
		buf_addc(out, '(');
		print_list(e, n->first, ", ", L_OR, out);
		buf_addc(out, ')');
		return;
	case F_IN:
		print(e, n->first, n->level + 1, out);
		buf_addf(out, " %s (", n->text);
		print_list(e, n->first->next, ", ", L_OR, out);
		buf_addc(out, ')');
		return;
	case F_WORDS:
		print_list(e, n->first, " ", L_OR, out);
		return;
	}
}

/* In brackets when it binds weaker than what it stands in. */
static void print(struct expr *e, const struct node *n, enum level level, struct buf *out)
{
	/* What is shared may be printed often; a - b + c - d … is read in a loop, but printed by recursion. */
	if (++e->printed > MAX_PRINTED || e->depth > MAX_NESTED || out->len > e->limit)
		e->bad = true;
	if (e->bad)
		return;
	e->depth++;
	if (n->level < level)
		buf_addc(out, '(');
	print_bare(e, n, out);
	if (n->level < level)
		buf_addc(out, ')');
	e->depth--;
}

void canon_expression(const char *text, struct buf *out)
{
	size_t len = strlen(text);
	struct expr e = {.lx = {.p = text, .end = text + len}, .memory = schema_new(), .bad = len > MAX_EXPRESSION};
	size_t begin = out->len;
	if (!e.bad) {
		advance(&e);
		const struct node *n = expression(&e, L_OR);
		e.bad |= e.t.kind != SQL_END;
		e.depth = 0;
		e.limit = begin + 4 * len + MAX_NESTED;
		print(&e, n, L_OR, out);
	}
	if (e.bad) {
		out->data[begin] = '\0';
		out->len = begin;
		sql_normalise(text, len, out);
	}
	schema_free(e.memory);
}
