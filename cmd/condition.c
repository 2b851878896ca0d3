/* SPDX-License-Identifier: MIT */
#include "cmd/condition.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/text.h"
#include "cmd/compile.h"
#include "migrations/schema_diff.h"
#include "migrations/schema_model.h"

#define SCHEMA_PREFIX_MIN 4
/* Exit codes of a question: git's `bisect run` has the same 125; the shell says 126 and 127 when a command cannot be
 * run, and more when it was killed. */
#define RC_SKIP       125
#define RC_CANNOT_RUN 126

/* ---- reading ---- */

/* "A, B desc" → "a,bdesc": how a list of columns is compared. */
static char *squeeze(const char *text, size_t n)
{
	char *out = xcalloc(n + 1, 1);
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		if (!isspace((unsigned char)text[i]) && !strchr("\"`", text[i]))
			out[len++] = (char)tolower((unsigned char)text[i]);
	}
	return out;
}

static int parse_columns(struct condition *c, const char *spec, const char *open, struct err *err)
{
	const char *close = strchr(open, ')');
	const char *rest = close ? close + 1 + strspn(close + 1, " ") : "";
	if (!close || close == open + 1 || open == spec ||
	    (*rest && (c->kind != CONDITION_FK || !text_starts(rest, "->"))))
		return err_set(err, ERR_USER, 0, "%s: TABLE(A,B) is wanted", spec);
	if (*rest && !rest[2 + strspn(rest + 2, " ")])
		return err_set(err, ERR_USER, 0, "%s: TABLE(A,B)->PARENT is wanted", spec);
	c->table = xstrndup(spec, (size_t)(open - spec));
	c->columns = squeeze(open + 1, (size_t)(close - open - 1));
	c->name = xstrdup(*rest ? rest + 2 + strspn(rest + 2, " ") : "");
	return 0;
}

/* TABLE.NAME, at the last dot: PostgreSQL's tables may have one in their names. */
static void parse_dotted(struct condition *c, const char *spec)
{
	const char *dot = strrchr(spec, '.');
	c->table = dot ? xstrndup(spec, (size_t)(dot - spec)) : xstrdup("");
	c->name = xstrdup(dot ? dot + 1 : spec);
}

static int parse_spec(struct condition *c, const char *spec, struct err *err)
{
	const char *open = strchr(spec, '(');
	if (!*spec)
		return err_set(err, ERR_USER, 0, "a name is wanted, not nothing");
	if ((c->kind == CONDITION_INDEX || c->kind == CONDITION_FK) && open)
		return parse_columns(c, spec, open, err);
	if (c->kind == CONDITION_TABLE) {
		c->table = xstrdup(spec);
		c->name = xstrdup("");
		return 0;
	}
	if (c->kind == CONDITION_FK && strstr(spec, "->"))
		return err_set(err, ERR_USER, 0, "%s: TABLE(A,B)->PARENT is wanted", spec);
	parse_dotted(c, spec);
	if (c->kind == CONDITION_COLUMN && (!*c->table || !*c->name))
		return err_set(err, ERR_USER, 0, "%s: TABLE.COLUMN is wanted", spec);
	return 0;
}

static int parse_schema(struct condition *c, const char *hash, struct err *err)
{
	size_t n = strlen(hash);
	if (n < SCHEMA_PREFIX_MIN || n >= SHA256_HEX || hash[strspn(hash, "0123456789abcdef")])
		return err_set(err, ERR_USER, 0, "--schema %s: at least %d hexadecimal digits of a hash are wanted",
			       hash, SCHEMA_PREFIX_MIN);
	c->name = xstrdup(hash);
	c->table = xstrdup("");
	return 0;
}

/* One word is a text for the shell, several are a command and its arguments. */
static void join_command(struct condition *c, char *const *words, int n)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	for (int i = 0; i < n; i++) {
		if (i)
			buf_addc(&text, ' ');
		if (n == 1)
			buf_adds(&text, words[i]);
		else
			text_shell_quote(&text, words[i]);
	}
	c->name = buf_take(&text);
	c->table = xstrdup("");
}

static void describe(struct condition *c, const char *what, const char *spec)
{
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	text_safe_line(&safe, spec, strlen(spec), sizeof(c->words) - 32);
	snprintf(c->words, sizeof(c->words), "%s%s %s", c->negative ? "no " : "", what, safe.data);
}

int condition_make(struct condition *c, const struct condition_opts *o, char *const *command, int n, struct err *err)
{
	const struct {
		enum condition_kind kind;
		bool negative;
		const char *what;
		const struct opt_list *list;
	} lists[] = {
		{CONDITION_COLUMN, false, "column", &o->column}, {CONDITION_COLUMN, true, "column", &o->no_column},
		{CONDITION_TABLE, false, "table", &o->table},    {CONDITION_TABLE, true, "table", &o->no_table},
		{CONDITION_INDEX, false, "index", &o->index},    {CONDITION_INDEX, true, "index", &o->no_index},
		{CONDITION_FK, false, "foreign key", &o->fk},    {CONDITION_FK, true, "foreign key", &o->no_fk},
	};
	size_t given = (o->schema != NULL) + (size_t)(o->sql != NULL) + (size_t)(n > 0);
	*c = (struct condition){0};
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		given += lists[i].list->n;
	if (given != 1)
		return err_set(err, ERR_USER, 0,
			       "%s condition: give one of --column, --table, --index, --fk (or --no-…), "
			       "--schema, --sql, -- COMMAND",
			       given ? "more than one" : "no");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (!lists[i].list->n)
			continue;
		c->kind = lists[i].kind;
		c->negative = lists[i].negative;
		describe(c, lists[i].what, lists[i].list->v[0]);
		return parse_spec(c, lists[i].list->v[0], err);
	}
	if (o->schema) {
		c->kind = CONDITION_SCHEMA;
		describe(c, "schema", o->schema);
		return parse_schema(c, o->schema, err);
	}
	c->kind = o->sql ? CONDITION_SQL : CONDITION_COMMAND;
	if (o->sql) {
		c->name = xstrdup(o->sql);
		c->table = xstrdup("");
	} else {
		join_command(c, command, n);
	}
	describe(c, o->sql ? "sql" : "failing command", c->name);
	if (!c->name[strspn(c->name, "; \t\n")])
		return err_set(err, ERR_USER, 0, "%s is wanted, not nothing", o->sql ? "--sql: a query" : "a command");
	return 0;
}

void condition_finish(struct condition *c)
{
	free(c->table);
	free(c->name);
	free(c->columns);
	*c = (struct condition){0};
}

bool condition_needs_box(const struct condition *c)
{
	return c->kind == CONDITION_SQL || c->kind == CONDITION_COMMAND;
}

/* ---- asking a schema ---- */

static bool same_columns(const char *squeezed, const char *list)
{
	AUTO_FREE char *other = squeeze(list, strlen(list));
	return strcmp(squeezed, other) == 0;
}

static bool has_column(const struct table *t, const char *name)
{
	for (size_t i = 0; i < t->n_columns; i++) {
		if (strcasecmp(t->columns[i].name, name) == 0)
			return true;
	}
	return false;
}

static bool has_index(const struct condition *c, const struct table *t)
{
	for (size_t i = 0; i < t->n_indexes; i++) {
		const struct index *x = &t->indexes[i];
		if (c->columns ? same_columns(c->columns, x->parts) : strcasecmp(x->name, c->name) == 0)
			return true;
	}
	return false;
}

/* By columns (and parent, when given), by one column (TABLE.COLUMN), or by its name. */
static bool has_fk(const struct condition *c, const struct table *t)
{
	for (size_t i = 0; i < t->n_fks; i++) {
		const struct foreign_key *k = &t->fks[i];
		if (c->columns && same_columns(c->columns, k->from) &&
		    (!*c->name || strcasecmp(k->parent, c->name) == 0))
			return true;
		if (!c->columns &&
		    (strcasecmp(k->name, c->name) == 0 || (*c->table && strcasecmp(k->from, c->name) == 0)))
			return true;
	}
	return false;
}

static bool ask_table(const struct condition *c, const struct table *t)
{
	switch (c->kind) {
	case CONDITION_TABLE:
		return true;
	case CONDITION_COLUMN:
		return has_column(t, c->name);
	case CONDITION_INDEX:
		return has_index(c, t);
	case CONDITION_FK:
		return has_fk(c, t);
	case CONDITION_SCHEMA:
	case CONDITION_SQL:
	case CONDITION_COMMAND:
		break;
	}
	return false;
}

static bool ask_object(const struct condition *c, const struct object *o)
{
	if (c->kind == CONDITION_TABLE)
		return strcasecmp(o->name, c->table) == 0 && strstr(o->kind, "view");
	return c->kind == CONDITION_INDEX && !c->columns && strcmp(o->kind, "index") == 0 &&
	       strcasecmp(o->name, c->name) == 0;
}

static bool ask_hash(const struct condition *c, const struct schema *s, const char *dump, const char *model)
{
	char hex[SHA256_HEX];
	if (text_starts(dump, c->name) || text_starts(model, c->name))
		return true;
	schema_hash(s, schema_bookkeeping, hex);
	return text_starts(hex, c->name);
}

enum answer condition_ask(const struct condition *c, const struct schema *s, const char *dump, const char *model)
{
	bool found = c->kind == CONDITION_SCHEMA && ask_hash(c, s, dump, model);
	for (size_t i = 0; i < s->n_tables && !found; i++) {
		const struct table *t = &s->tables[i];
		found = (!*c->table || strcasecmp(t->name, c->table) == 0) && ask_table(c, t);
	}
	for (size_t i = 0; i < s->n_objects && !found; i++)
		found = ask_object(c, &s->objects[i]);
	return found != c->negative ? ANSWER_YES : ANSWER_NO;
}

/* ---- asking a box ---- */

/* The value is printed for who reads the output; SQL that the database refuses does not hold. */
static char *sql_command(const struct condition *c, const struct recipe *r, struct err *err)
{
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *ask = compile_fill(r, "${database.values}", err);
	if (!ask)
		return NULL;
	size_t n = strlen(c->name);
	while (n && strchr("; \n\t", c->name[n - 1]))
		n--;
	AUTO_FREE char *sql = xstrndup(c->name, n);
	buf_adds(&out, "SQL=");
	text_shell_quote(&out, sql);
	buf_addf(&out,
		 "\nVALUE=$(printf '%%s\\n;\\n' \"$SQL\" | %s) || { echo 'the database refuses this'; exit 1; }\n"
		 "VALUE=$(printf '%%s\\n' \"$VALUE\" | sed '/^$/d;s/[\\t|].*//;q')\n"
		 "printf '%%s\\n' \"$VALUE\"\ncase $VALUE in '' | 0 | f | false) exit 1 ;; esac\n",
		 ask);
	return buf_take(&out);
}

char *condition_command(const struct condition *c, const struct recipe *r, struct err *err)
{
	return c->kind == CONDITION_SQL ? sql_command(c, r, err) : xstrdup(c->name);
}

enum answer condition_answer(const struct condition *c, int64_t rc)
{
	if (rc == RC_SKIP || rc >= RC_CANNOT_RUN || rc < 0)
		return ANSWER_SKIP;
	return (rc == 0) == (c->kind == CONDITION_SQL) ? ANSWER_YES : ANSWER_NO;
}
