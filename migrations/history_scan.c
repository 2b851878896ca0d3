/* SPDX-License-Identifier: MIT */
/* A small reader of Python, enough for what migrations say of themselves: `revision = "…"`, `down_revision = ("…",
 * "…")`, `dependencies = [("app", "name"), …]`. It knows comments, strings (with their prefixes, triple quotes,
 * backslashes and adjacent ones) and brackets, so that a name in a docstring or a bracket in a string misleads it not.
 * What is no literal is left out. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "migrations/history_map.h"

#define MAX_STRING 1024
#define MAX_DEPTH  64
#define TEXT_MAX   ((size_t)64 << 10)

struct scanner {
	const char *p, *end;
	size_t depth; /* open brackets */
	char string[MAX_STRING];
	size_t len; /* of the last string */
};

enum token { T_END, T_NAME, T_STRING, T_OPEN, T_CLOSE, T_OTHER, T_NEWLINE };

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static void keep(struct scanner *s, char c)
{
	if (s->len + 1 < sizeof(s->string))
		s->string[s->len++] = c;
}

/* Behind a quote: takes the string, into s->string. */
static void take_string(struct scanner *s, bool raw)
{
	char quote = *s->p++;
	bool triple = s->end - s->p >= 2 && s->p[0] == quote && s->p[1] == quote;
	if (triple)
		s->p += 2;
	while (s->p < s->end) {
		char c = *s->p++;
		if (c == '\\' && s->p < s->end) {
			if (raw)
				keep(s, c);
			if (*s->p != '\n' || raw)
				keep(s, *s->p);
			s->p++;
		} else if (c == quote && !triple) {
			return;
		} else if (c == quote && s->end - s->p >= 2 && s->p[0] == quote && s->p[1] == quote) {
			s->p += 2;
			return;
		} else if (c == '\n' && !triple) {
			s->p--; /* an open string: the line ends it */
			return;
		} else {
			keep(s, c);
		}
	}
}

/* How long the blank at p is: white space, an escaped line end, inside brackets any line end. */
static size_t blank(const struct scanner *s)
{
	if (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\f' || (*s->p == '\n' && s->depth > 0))
		return 1;
	return *s->p == '\\' && s->end - s->p >= 2 && s->p[1] == '\n' ? 2 : 0;
}

static void skip_blank(struct scanner *s)
{
	for (size_t n; s->p < s->end && ((n = blank(s)) > 0 || *s->p == '#'); s->p += n)
		while (n == 0 && s->p < s->end && *s->p != '\n') /* a comment */
			s->p++;
}

/* A name, a number, or the prefix of a string. */
static enum token take_word(struct scanner *s)
{
	const char *begin = s->p;
	bool raw = false, prefix = true;
	while (s->p < s->end && is_word(*s->p)) {
		raw |= *s->p == 'r' || *s->p == 'R';
		prefix &= strchr("rRbBuUfF", *s->p) != NULL;
		s->p++;
	}
	s->len = 0;
	if (s->p < s->end && (*s->p == '\'' || *s->p == '"') && prefix && s->p - begin <= 2) {
		take_string(s, raw);
		return T_STRING;
	}
	for (const char *c = begin; c < s->p; c++)
		keep(s, *c);
	return T_NAME;
}

static enum token next(struct scanner *s)
{
	skip_blank(s);
	if (s->p >= s->end)
		return T_END;
	char c = *s->p;
	s->string[s->len = 0] = '\0';
	if (c == '\n') {
		s->p++;
		return T_NEWLINE;
	}
	if (c == '\'' || c == '"') {
		take_string(s, false);
		s->string[s->len] = '\0';
		return T_STRING;
	}
	if (is_word(c)) {
		enum token t = take_word(s);
		s->string[s->len] = '\0';
		return t;
	}
	s->p++;
	if (c == '(' || c == '[' || c == '{') {
		s->depth += s->depth < MAX_DEPTH;
		return T_OPEN;
	}
	if (c == ')' || c == ']' || c == '}') {
		s->depth -= s->depth > 0;
		return T_CLOSE;
	}
	s->string[0] = c;
	s->string[1] = '\0';
	return T_OTHER;
}

/* ---- values ---- */

/* The strings of the value that follows `=`, to the end of the statement, each behind what tells its place: depth of
 * the innermost bracket and a number for that bracket. add() takes them; a string that is called on, added to or an
 * argument of a function is no literal. */
struct value {
	void (*add)(void *ctx, size_t group, const char *text);
	void *ctx;
};

static void take_value(struct scanner *s, const struct value *v)
{
	size_t outer = s->depth, group = 0;
	size_t call = 0; /* depth of the bracket of a function's arguments; 0: in none */
	enum token before = T_OTHER, t;
	char text[MAX_STRING] = "";
	bool have = false;
	while ((t = next(s)) != T_END) {
		/* Adjacent strings are one. */
		if (t == T_STRING && have && before == T_STRING) {
			size_t n = strlen(text);
			size_t room = sizeof(text) - 1 - n;
			size_t m = s->len < room ? s->len : room;
			memcpy(text + n, s->string, m);
			text[n + m] = '\0';
			continue;
		}
		if (have && !call &&
		    (t == T_CLOSE || t == T_NEWLINE || (t == T_OTHER && (s->string[0] == ',' || s->string[0] == ';'))))
			v->add(v->ctx, group, text);
		have = false;
		if (t == T_NEWLINE || (s->depth < outer) || (t == T_OTHER && s->string[0] == ';' && s->depth == outer))
			return;
		if (t == T_OPEN) {
			group++;
			if (!call && (before == T_NAME || before == T_CLOSE || before == T_STRING))
				call = s->depth;
		} else if (t == T_CLOSE) {
			if (call && s->depth < call)
				call = 0;
		} else if (t == T_STRING) {
			have = true;
			memcpy(text, s->string, s->len + 1);
		}
		before = t;
	}
	if (have && !call)
		v->add(v->ctx, group, text);
}

/* Is the next thing an assignment (`: annotation` before it is fine)? It is taken then. */
static bool take_assignment(struct scanner *s)
{
	size_t outer = s->depth;
	enum token t = next(s);
	if (t == T_OTHER && s->string[0] == ':') {
		while ((t = next(s)) != T_END && t != T_NEWLINE &&
		       !(t == T_OTHER && s->string[0] == '=' && s->depth == outer))
			continue;
	}
	if (t != T_OTHER || s->string[0] != '=')
		return false;
	return s->p >= s->end || *s->p != '='; /* == */
}

/* ---- what the two tools say ---- */

static bool is_version(const char *text)
{
	size_t n = strlen(text);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7F)
			return false;
	return n > 0 && n <= HISTORY_VERSION_MAX;
}

struct lines {
	struct buf text;
	size_t n;
	size_t group;         /* Django: of the pair that is being read */
	char app[MAX_STRING]; /* its first part, or "" */
};

static void add_line(struct lines *l, const char *text)
{
	if (l->n < HISTORY_PARENTS_MAX && is_version(text)) {
		buf_addf(&l->text, "%s\n", text);
		l->n++;
	}
}

static void add_revision(void *ctx, size_t group, const char *text)
{
	(void)group;
	add_line(ctx, text);
}

/* ("app", "name"): two strings of one bracket. */
static void add_pair(void *ctx, size_t group, const char *text)
{
	struct lines *l = ctx;
	if (l->app[0] == '\0' || l->group != group) {
		(void)snprintf(l->app, sizeof(l->app), "%s", text);
		l->group = group;
		return;
	}
	AUTO_FREE char *both = xasprintf("%s.%s", l->app, text);
	if (strncmp(text, "__", 2) != 0) /* __first__, __latest__ */
		add_line(l, both);
	l->app[0] = '\0';
}

void history_scan(enum history_order order, const char *text, size_t len, struct history_node *out)
{
	struct scanner s = {.p = text, .end = text + len};
	struct lines revision = {.text = buf_make(TEXT_MAX)}, parents = {.text = buf_make(TEXT_MAX)};
	struct lines replaces = {.text = buf_make(TEXT_MAX)};
	bool django = order == HISTORY_DJANGO;
	enum token t;
	while ((t = next(&s)) != T_END) {
		/* Alembic's names begin a line at its first column; Django's are in a class. */
		const char *begin = s.p - s.len;
		bool first = begin == text || begin[-1] == '\n';
		if (t != T_NAME || s.depth > 0 || (!django && !first))
			continue;
		struct lines *const places[] = {&revision, &parents, &parents, &parents, &replaces};
		static const char *const names[] = {"revision", "down_revision", "depends_on", "dependencies",
						    "replaces"};
		struct lines *to = NULL;
		for (size_t i = django ? 3 : 0; i < (django ? 5 : 3); i++)
			if (strcmp(s.string, names[i]) == 0)
				to = places[i];
		if (!to || !take_assignment(&s))
			continue;
		take_value(&s, &(struct value){.add = django ? add_pair : add_revision, .ctx = to});
	}
	revision.text.data[strcspn(revision.text.data, "\n")] = '\0';
	out->version = xstrdup(revision.text.data);
	out->parents = buf_take(&parents.text);
	out->replaces = buf_take(&replaces.text);
	buf_finish(&revision.text);
}

void history_node_finish(struct history_node *n)
{
	free(n->version);
	free(n->parents);
	free(n->replaces);
	*n = (struct history_node){0};
}
