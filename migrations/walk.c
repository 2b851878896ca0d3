/* SPDX-License-Identifier: MIT */
/* How it works: a record is handled in three parts. `check` looks at it and prepares everything (it may wait for the
 * box, holds no lock, stores nothing); `keep` writes it, in one transaction with the journal offset and with where we
 * stand; `tell` informs the view once that is on disk. Which kind of record may come when says the table `rules`.
 *
 * Where we stand (phase, numbers, what the current step has told already) is kept as a line of text in runs.walker, so
 * that another process can go on with the next record. */
#include "migrations/walk.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "migrations/diff.h"
#include "migrations/outcome.h"
#include "migrations/schema_model.h"

enum phase {
	PHASE_NEW = 1,   /* before hello */
	PHASE_TASKS = 2, /* between tasks */
	PHASE_TASK = 4,  /* inside one */
	PHASE_WALK = 8,  /* between steps */
	PHASE_STEP = 16, /* inside one */
	PHASE_DONE = 32,
	PHASE_ANY = PHASE_TASKS | PHASE_TASK | PHASE_WALK | PHASE_STEP,
};

/* What of a step has come; each comes at most once. */
enum seen { SEEN_RAN = 1, SEEN_AT = 2, SEEN_DUMP = 4, SEEN_COUNTS = 8, SEEN_LOOK = 16 };

enum { MAX_MS = 2000000000, MAX_RC = 255, TITLE_MAX = 200, BRIEF_MAX = 72, MAX_CHANGES = 4 << 20 };

struct dump {
	char sha256[SHA256_HEX]; /* "" for none */
	struct buf text;
	struct schema *schema; /* read when first needed; NULL then: not readable, and why */
	bool tried;
	char unreadable[200];
};

struct walker {
	struct walk w;
	const struct journal *journal;
	struct outcome_patterns *patterns;

	enum phase phase;
	int64_t tasks;             /* number of the last one */
	char title[TITLE_MAX + 8]; /* of the last task */
	struct step step;          /* the current or last one; n -1 before the first */
	unsigned seen;             /* enum seen, of the current step */
	int64_t planned;           /* steps of the walk */
	bool down;
	int64_t output; /* bytes of the current task's or step's output */
	char to[256], variant[128], done_why[32];
	bool done_ok;
	char finding[512]; /* the first bad thing, or "" */

	struct dump before, after; /* of the step before, of the current one */
	bool same;                 /* after is before */
	char brief[4 * BRIEF_MAX];
	struct buf text; /* of the current record, made safe */
	int64_t rc, ms;  /* of the current record */
};

/* ---- dumps ---- */

static void dump_clear(struct dump *d)
{
	d->sha256[0] = '\0';
	buf_reset(&d->text);
	schema_freep(&d->schema);
	d->schema = NULL;
	d->tried = false;
}

static void dump_finish(struct dump *d)
{
	dump_clear(d);
	buf_finish(&d->text);
}

static const struct schema *dump_schema(struct walker *w, struct dump *d)
{
	struct err err = ERR_INIT;
	if (!d->tried) {
		d->tried = true;
		d->schema = schema_read(w->w.engine, d->text.data, d->text.len, &err);
		(void)snprintf(d->unreadable, sizeof(d->unreadable), "%.190s", err.msg);
	}
	return d->schema;
}

static bool checks(const struct buf *text, const char *sha256, int64_t size)
{
	char hash[SHA256_HEX];
	if ((int64_t)text->len != size)
		return false;
	sha256_hex(text->data, text->len, hash);
	return strcmp(hash, sha256) == 0;
}

/* ---- reading records ---- */

static int bad(const struct journal_record *r, struct err *err, const char *what)
{
	return err_set(err, ERR_BOX, 0, "journal: %s: %s", r->kind, what);
}

/* A value that must be there and fit. */
static int get_word(const struct journal_record *r, const char *key, char *out, size_t size, struct err *err)
{
	const char *v = journal_get(r, key);
	AUTO_BUF safe = buf_make((size_t)JOURNAL_MAX_HEADER * 4);
	if (!v || *v == '\0' || strlen(v) >= size)
		return err_set(err, ERR_BOX, 0, "journal: %s: %s: %s", r->kind, key, v ? "too long" : "missing");
	text_safe(&safe, v, strlen(v));
	if (strcmp(safe.data, v) != 0)
		return err_set(err, ERR_BOX, 0, "journal: %s: %s: not plain text: %.200s", r->kind, key, safe.data);
	(void)snprintf(out, size, "%s", v);
	return 0;
}

/* One of the words of the NULL-terminated list. */
static int get_choice(const struct journal_record *r, const char *key, const char *const *words, const char **out,
		      struct err *err)
{
	const char *v = journal_get(r, key);
	for (size_t i = 0; v && words[i]; i++)
		if (strcmp(words[i], v) == 0) {
			*out = words[i];
			return 0;
		}
	return err_set(err, ERR_BOX, 0, "journal: %s: %s: %s", r->kind, key, v ? v : "missing");
}

/* A number that is known beforehand: records come in order. */
static int expect_n(const struct journal_record *r, const char *key, int64_t want, struct err *err)
{
	int64_t n;
	if (journal_int(r, key, 0, WALK_MAX_STEPS, &n, err) < 0)
		return -1;
	if (n != want)
		return err_set(err, ERR_BOX, 0, "journal: %s: %s is %lld where %lld follows", r->kind, key,
			       (long long)n, (long long)want);
	return 0;
}

/* The payload as text that can be shown, in w->text. */
static int take_text(struct walker *w, const struct journal_record *r, struct err *err)
{
	if (r->len > WALK_MAX_SET)
		return bad(r, err, "too large");
	buf_reset(&w->text);
	text_safe(&w->text, r->payload, r->len);
	return 0;
}

/* rc, ms and why of an end or ran record. */
static int take_end(struct walker *w, const struct journal_record *r, const char **why, struct err *err)
{
	static const char *const whys[] = {"exit", "timeout", "stop", "limit", NULL};
	if (journal_int(r, "rc", 0, MAX_RC, &w->rc, err) < 0 || journal_int(r, "ms", 0, MAX_MS, &w->ms, err) < 0)
		return -1;
	return get_choice(r, "why", whys, why, err);
}

/* A part of a step that may come once. */
static int step_part(struct walker *w, const struct journal_record *r, enum seen part, struct err *err)
{
	if (expect_n(r, "n", w->step.n, err) < 0)
		return -1;
	if (w->seen & part)
		return bad(r, err, "twice in one step");
	w->seen |= part;
	return 0;
}

static void set_text(char **slot, const struct buf *text)
{
	free(*slot);
	*slot = xstrndup(text->data, text->len);
}

__attribute__((format(printf, 2, 3))) static void find(struct walker *w, const char *fmt, ...)
{
	va_list ap;
	if (w->finding[0])
		return;
	va_start(ap, fmt);
	(void)vsnprintf(w->finding, sizeof(w->finding), fmt, ap);
	va_end(ap);
}

static int keep_step(struct walker *w, struct err *err)
{
	return store_step_put(w->w.db, w->w.run, &w->step, err);
}

/* ---- tasks ---- */

static int check_hello(struct walker *w, const struct journal_record *r, struct err *err)
{
	const char *run = journal_get(r, "run");
	if (!run || strcmp(run, w->w.run) != 0)
		return bad(r, err, "another run's journal");
	w->phase = PHASE_TASKS;
	return 0;
}

static int check_task(struct walker *w, const struct journal_record *r, struct err *err)
{
	char kind[32];
	if (w->tasks >= WALK_MAX_TASKS)
		return bad(r, err, "too many");
	if (expect_n(r, "n", w->tasks + 1, err) < 0 || get_word(r, "kind", kind, sizeof(kind), err) < 0)
		return -1;
	w->tasks++;
	w->output = 0;
	w->phase = PHASE_TASK;
	buf_reset(&w->text);
	text_safe_line(&w->text, r->payload, r->len, TITLE_MAX);
	(void)snprintf(w->title, sizeof(w->title), "%s", w->text.data);
	return 0;
}

static int keep_task(struct walker *w, const struct journal_record *r, struct err *err)
{
	return store_task(w->w.db, w->w.run, w->tasks, journal_get(r, "kind"), w->title, err);
}

static void tell_task(struct walker *w, const struct journal_record *r)
{
	if (w->w.view->task)
		w->w.view->task(w->w.view->ctx, w->tasks, journal_get(r, "kind"), w->title);
}

static void find_task(struct walker *w, const char *title, int64_t rc, const char *why)
{
	if (strcmp(why, "exit") == 0 && rc != 0)
		find(w, "task %s: exit %lld", title, (long long)rc);
	else if (strcmp(why, "exit") != 0)
		find(w, "task %s: %s", title, strcmp(why, "limit") == 0 ? "too much output" : why);
}

static int check_end(struct walker *w, const struct journal_record *r, struct err *err)
{
	const char *why = NULL;
	if (expect_n(r, "n", w->tasks, err) < 0 || take_end(w, r, &why, err) < 0)
		return -1;
	find_task(w, w->title, w->rc, why);
	w->phase = PHASE_TASKS;
	return 0;
}

static int keep_end(struct walker *w, const struct journal_record *r, struct err *err)
{
	return store_task_end(w->w.db, w->w.run, w->tasks, w->rc, journal_get(r, "why"), w->ms, err);
}

static void tell_end(struct walker *w, const struct journal_record *r)
{
	if (w->w.view->task_end)
		w->w.view->task_end(w->w.view->ctx, w->tasks, w->rc, journal_get(r, "why"), w->ms);
}

/* ---- output ---- */

static char output_kind(const struct journal_record *r)
{
	return journal_get(r, "task") ? 't' : 's';
}

static int64_t output_n(const struct walker *w, const struct journal_record *r)
{
	return output_kind(r) == 't' ? w->tasks : w->step.n;
}

/* Output is of what runs now. */
static int check_source(struct walker *w, const struct journal_record *r, struct err *err)
{
	if (w->phase == PHASE_TASK)
		return expect_n(r, "task", w->tasks, err);
	if (journal_get(r, "task") || (w->seen & ~(unsigned)SEEN_RAN))
		return bad(r, err, "of nothing that runs");
	return expect_n(r, "step", w->step.n, err);
}

static int check_out(struct walker *w, const struct journal_record *r, struct err *err)
{
	w->output += (int64_t)r->len;
	if (w->output > WALK_MAX_OUTPUT)
		return bad(r, err, "more output than the runner lets through");
	return check_source(w, r, err);
}

static int keep_out(struct walker *w, const struct journal_record *r, struct err *err)
{
	return store_output(w->w.db, w->w.run, output_kind(r), output_n(w, r), r->payload, r->len, err);
}

static void tell_out(struct walker *w, const struct journal_record *r)
{
	if (w->w.view->output)
		w->w.view->output(w->w.view->ctx, output_kind(r), output_n(w, r), r->payload, r->len);
}

static int check_cut(struct walker *w, const struct journal_record *r, struct err *err)
{
	int64_t dropped;
	if (journal_int(r, "dropped", 1, INT64_MAX, &dropped, err) < 0)
		return -1;
	buf_reset(&w->text);
	buf_addf(&w->text, "\n[… %lld bytes of output left out …]\n", (long long)dropped);
	return check_source(w, r, err);
}

static int keep_cut(struct walker *w, const struct journal_record *r, struct err *err)
{
	return store_output(w->w.db, w->w.run, output_kind(r), output_n(w, r), w->text.data, w->text.len, err);
}

static void tell_cut(struct walker *w, const struct journal_record *r)
{
	if (w->w.view->output)
		w->w.view->output(w->w.view->ctx, output_kind(r), output_n(w, r), w->text.data, w->text.len);
}

/* ---- the walk ---- */

static int check_variant(struct walker *w, const struct journal_record *r, struct err *err)
{
	return get_word(r, "name", w->variant, sizeof(w->variant), err);
}

static int check_versions(struct walker *w, const struct journal_record *r, struct err *err)
{
	int64_t lines = 0;
	for (size_t i = 0; i < r->len; i++)
		lines += r->payload[i] == '\n';
	return journal_int(r, "n", lines, lines, &w->rc, err);
}

static void tell_versions(struct walker *w, const struct journal_record *r)
{
	(void)r;
	if (w->w.view->versions)
		w->w.view->versions(w->w.view->ctx, w->rc, w->variant);
}

static int check_walk(struct walker *w, const struct journal_record *r, struct err *err)
{
	static const char *const dirs[] = {"up", "down", NULL};
	char from[256];
	const char *dir = NULL;
	if (get_word(r, "from", from, sizeof(from), err) < 0 || get_word(r, "to", w->to, sizeof(w->to), err) < 0 ||
	    get_choice(r, "dir", dirs, &dir, err) < 0 || journal_int(r, "n", 0, WALK_MAX_STEPS, &w->planned, err) < 0)
		return -1;
	w->down = dir == dirs[1];
	w->phase = PHASE_WALK;
	return 0;
}

static void tell_walk(struct walker *w, const struct journal_record *r)
{
	if (w->w.view->walk)
		w->w.view->walk(w->w.view->ctx, journal_get(r, "from"), w->to, journal_get(r, "dir"), w->planned);
}

/* ---- a step ---- */

static int check_step(struct walker *w, const struct journal_record *r, struct err *err)
{
	static const char *const dirs[] = {"base", "up", "down", NULL};
	const char *dir = NULL;
	struct step s = {.n = w->step.n + 1, .rc = -1};
	if (s.n > w->planned)
		return bad(r, err, "more steps than the walk has");
	if (expect_n(r, "n", s.n, err) < 0 || get_word(r, "version", s.version, sizeof(s.version), err) < 0 ||
	    get_choice(r, "dir", dirs, &dir, err) < 0)
		return -1;
	if (dir != dirs[s.n == 0 ? 0 : w->down ? 2 : 1])
		return bad(r, err, "not in the direction of the walk");
	(void)snprintf(s.direction, sizeof(s.direction), "%s", dir);
	s.versions = xstrdup("");
	s.counts = xstrdup("");
	s.changes = xstrdup("");
	step_finish(&w->step);
	w->step = s;
	w->seen = 0;
	w->output = 0;
	w->phase = PHASE_STEP;
	return 0;
}

/* Step n going down begins where step n-1 led to. */
static int keep_step_begin(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	if (w->down && w->step.n > 1 && store_step_target(w->w.db, w->w.run, w->step.n - 1, w->step.version, err) < 0)
		return -1;
	return keep_step(w, err);
}

static void tell_step(struct walker *w, const struct journal_record *r)
{
	(void)r;
	if (w->w.view->step)
		w->w.view->step(w->w.view->ctx, w->step.n, w->step.version, w->step.direction);
}

static int check_ran(struct walker *w, const struct journal_record *r, struct err *err)
{
	const char *why = NULL;
	if (step_part(w, r, SEEN_RAN, err) < 0 || take_end(w, r, &why, err) < 0)
		return -1;
	w->step.rc = w->rc;
	w->step.ms = w->ms;
	(void)snprintf(w->step.why, sizeof(w->step.why), "%s", why);
	return 0;
}

static int keep_part(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	return keep_step(w, err);
}

static int check_at(struct walker *w, const struct journal_record *r, struct err *err)
{
	if (step_part(w, r, SEEN_AT, err) < 0 || take_text(w, r, err) < 0)
		return -1;
	set_text(&w->step.versions, &w->text);
	return 0;
}

static int check_counts(struct walker *w, const struct journal_record *r, struct err *err)
{
	if (step_part(w, r, SEEN_COUNTS, err) < 0)
		return -1;
	buf_reset(&w->text);
	text_safe(&w->text, r->payload, r->len);
	set_text(&w->step.counts, &w->text);
	return 0;
}

/* Why the database could not be looked at: kept behind the step's output. */
static int check_look(struct walker *w, const struct journal_record *r, struct err *err)
{
	if (step_part(w, r, SEEN_LOOK, err) < 0 || journal_int(r, "rc", 0, MAX_RC, &w->rc, err) < 0 ||
	    take_text(w, r, err) < 0)
		return -1;
	if (w->text.len > 0 && w->text.data[w->text.len - 1] != '\n')
		buf_addc(&w->text, '\n');
	return 0;
}

/* ---- its dump ---- */

static int dump_same(struct walker *w, const struct journal_record *r, const char *sha256, int64_t size,
		     struct err *err)
{
	if (strcmp(sha256, w->before.sha256) != 0 || size != (int64_t)w->before.text.len || r->len != 0)
		return bad(r, err, "not the same as the one before");
	return 0;
}

/* A delta may not fit when it was made against something else than we have: the box has the whole by its hash. */
static int dump_delta(struct walker *w, const struct journal_record *r, const char *sha256, int64_t size,
		      struct err *err)
{
	struct err why = ERR_INIT;
	if (w->before.sha256[0] == '\0')
		return bad(r, err, "a delta to nothing");
	if (diff_apply_rcs(w->before.text.data, w->before.text.len, r->payload, r->len, &w->after.text, &why) == 0 &&
	    checks(&w->after.text, sha256, size))
		return 0;
	if (!w->w.fetch)
		return bad(r, err, why.reach == ERR_NONE ? "SHA-256 does not check" : why.msg);
	buf_reset(&w->after.text);
	if (w->w.fetch(w->w.fetch_ctx, sha256, &w->after.text, err) < 0)
		return err_ctx(err, "dump %.8s of step %s", sha256, w->step.version);
	return checks(&w->after.text, sha256, size) ? 0 : bad(r, err, "SHA-256 does not check, nor does the whole");
}

static int dump_full(struct walker *w, const struct journal_record *r, const char *sha256, int64_t size,
		     struct err *err)
{
	if (buf_add(&w->after.text, r->payload, r->len) < 0 || !checks(&w->after.text, sha256, size))
		return bad(r, err, "SHA-256 does not check");
	return 0;
}

static int check_dump(struct walker *w, const struct journal_record *r, struct err *err)
{
	static const char *const forms[] = {"full", "delta", "same", NULL};
	const char *form = NULL;
	char sha256[SHA256_HEX];
	int64_t size;
	if (step_part(w, r, SEEN_DUMP, err) < 0 || get_choice(r, "form", forms, &form, err) < 0 ||
	    get_word(r, "sha256", sha256, sizeof(sha256), err) < 0 ||
	    journal_int(r, "size", 0, (int64_t)STORE_BLOB_MAX, &size, err) < 0)
		return -1;
	if (strspn(sha256, "0123456789abcdef") != SHA256_HEX - 1)
		return bad(r, err, "no SHA-256");
	dump_clear(&w->after);
	int rc = form == forms[0]   ? dump_full(w, r, sha256, size, err)
		 : form == forms[1] ? dump_delta(w, r, sha256, size, err)
				    : dump_same(w, r, sha256, size, err);
	/* A full one may come although nothing changed: the schema is not read again. */
	w->same = strcmp(sha256, w->before.sha256) == 0;
	memcpy(w->after.sha256, sha256, sizeof(sha256));
	memcpy(w->step.dump, sha256, sizeof(sha256));
	return rc;
}

static int keep_dump(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	if (!w->same &&
	    store_blob_put(w->w.db, w->after.sha256, w->after.text.data, w->after.text.len, w->before.sha256, err) < 0)
		return -1;
	return keep_step(w, err);
}

/* ---- its end ---- */

static void describe_base(struct walker *w)
{
	const struct schema *s = dump_schema(w, &w->after);
	if (s)
		(void)snprintf(w->brief, sizeof(w->brief), "%zu table%s", s->n_tables, s->n_tables == 1 ? "" : "s");
	else
		(void)snprintf(w->brief, sizeof(w->brief), "not readable: %s", w->after.unreadable);
}

/* What the step did to the schema: brief, and step.changes. */
static void describe(struct walker *w)
{
	AUTO_BUF text = buf_make(MAX_CHANGES);
	(void)snprintf(w->brief, sizeof(w->brief), "no change");
	if (!(w->seen & SEEN_DUMP)) {
		(void)snprintf(w->brief, sizeof(w->brief), "schema unknown");
		return;
	}
	if (w->before.sha256[0] == '\0') {
		describe_base(w);
		return;
	}
	if (w->same)
		return;
	const struct schema *a = dump_schema(w, &w->before);
	const struct schema *b = dump_schema(w, &w->after);
	if (!a || !b) {
		(void)snprintf(w->brief, sizeof(w->brief), "schema changed (not readable: %s)",
			       b ? w->before.unreadable : w->after.unreadable);
		return;
	}
	schema_brief(a, b, BRIEF_MAX, &text);
	/* The text differs, the model sees no difference: spelling, or the order of clauses. */
	(void)snprintf(w->brief, sizeof(w->brief), "%s",
		       strcmp(text.data, "no change") == 0 ? "only the text of the schema" : text.data);
	buf_reset(&text);
	schema_diff(a, b, &text);
	set_text(&w->step.changes, &text);
}

static int classify(struct walker *w, bool ok, const char *why, struct err *err)
{
	AUTO_BUF output = buf_make(OUTCOME_OUTPUT_MAX);
	bool dumped = (w->seen & SEEN_DUMP) != 0;
	if (!ok && store_output_read(w->w.db, w->w.run, 's', w->step.n, 0, &output, err) < 0)
		return -1;
	/* Before step 0 there is nothing to compare with: an empty dump is as good as unchanged. */
	bool changed = dumped && (w->before.sha256[0] ? !w->same : w->after.text.len > 0);
	struct outcome_signs signs = {
		.base = w->step.n == 0,
		.ok = ok,
		.why = why,
		.dumped = dumped,
		.changed = changed,
		.output = output.data,
		.output_len = output.len,
	};
	w->step.outcome = outcome_classify(&signs, w->patterns);
	return 0;
}

/* "ok" must not contradict what was told before. */
static int check_ok(const struct walker *w, const struct journal_record *r, struct err *err)
{
	bool ran = (w->seen & SEEN_RAN) != 0;
	if (!(w->seen & SEEN_DUMP) || !(w->seen & SEEN_AT) || (w->seen & SEEN_LOOK))
		return bad(r, err, "ok, but the database was not looked at");
	if (ran ? w->step.rc != 0 || strcmp(w->step.why, "exit") != 0 : w->step.n > 0)
		return bad(r, err, "ok, but the command was not");
	return 0;
}

static int check_stepend(struct walker *w, const struct journal_record *r, struct err *err)
{
	static const char *const whys[] = {"ok", "rc", "noop", "wrong", "timeout", "look", NULL};
	const char *why = NULL;
	int64_t ok;
	if (expect_n(r, "n", w->step.n, err) < 0 || journal_int(r, "ok", 0, 1, &ok, err) < 0 ||
	    get_choice(r, "why", whys, &why, err) < 0)
		return -1;
	if (ok != (why == whys[0]))
		return bad(r, err, "ok contradicts why");
	if (ok && check_ok(w, r, err) < 0)
		return -1;
	describe(w);
	if (classify(w, ok, why, err) < 0)
		return -1;
	/* rc tells less than what ended the command, when that was not its own exit. */
	if (ok)
		w->step.why[0] = '\0';
	else if (why != whys[1] || w->step.why[0] == '\0' || strcmp(w->step.why, "exit") == 0)
		(void)snprintf(w->step.why, sizeof(w->step.why), "%s", why);
	if (!outcome_is_good(w->step.outcome))
		find(w, "step %s: %s", w->step.version, outcome_name(w->step.outcome));
	w->phase = PHASE_WALK;
	return 0;
}

static int keep_stepend(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	if (w->down && w->step.n > 0 && w->step.n == w->planned && outcome_is_good(w->step.outcome) &&
	    store_step_target(w->w.db, w->w.run, w->step.n, w->to, err) < 0)
		return -1;
	return keep_step(w, err);
}

static void tell_stepend(struct walker *w, const struct journal_record *r)
{
	(void)r;
	if (w->w.view->step_end)
		w->w.view->step_end(w->w.view->ctx, &w->step, w->brief);
	if ((w->seen & SEEN_DUMP) && !w->same) {
		struct dump old = w->before;
		w->before = w->after;
		w->after = old;
	}
	dump_clear(&w->after);
}

/* ---- the trailer ---- */

static int check_done(struct walker *w, const struct journal_record *r, struct err *err)
{
	int64_t ok;
	if (journal_int(r, "ok", 0, 1, &ok, err) < 0 || get_word(r, "why", w->done_why, sizeof(w->done_why), err) < 0 ||
	    journal_int(r, "ms", 0, MAX_MS, &w->ms, err) < 0)
		return -1;
	bool whole = w->phase == PHASE_TASKS || (w->phase == PHASE_WALK && w->step.n == w->planned);
	if (ok && (!whole || w->finding[0]))
		return bad(r, err, "ok, but the run was not");
	w->done_ok = ok;
	return 0;
}

/* Ends what was running when the runner ended. The phase is still that of what runs. */
static int keep_unfinished(struct walker *w, const char *why, struct err *err)
{
	if (w->phase == PHASE_TASK)
		return store_task_end(w->w.db, w->w.run, w->tasks, -1, why, 0, err);
	if (w->phase != PHASE_STEP)
		return 0;
	w->step.outcome = OUTCOME_LOST;
	(void)snprintf(w->step.why, sizeof(w->step.why), "%s", why);
	return keep_step(w, err);
}

static int keep_done(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	return keep_unfinished(w, w->done_why, err);
}

static void tell_done(struct walker *w, const struct journal_record *r)
{
	(void)r;
	if (w->phase == PHASE_STEP && w->w.view->step_end)
		w->w.view->step_end(w->w.view->ctx, &w->step, "not finished");
	w->phase = PHASE_DONE;
}

/* ---- the table ---- */

static const struct rule {
	const char *kind;
	unsigned phases; /* in which it may come */
	int (*check)(struct walker *w, const struct journal_record *r, struct err *err);
	int (*keep)(struct walker *w, const struct journal_record *r, struct err *err);
	void (*tell)(struct walker *w, const struct journal_record *r);
} rules[] = {
	{"hello", PHASE_NEW, check_hello, NULL, NULL},
	{"task", PHASE_TASKS, check_task, keep_task, tell_task},
	{"out", PHASE_TASK | PHASE_STEP, check_out, keep_out, tell_out},
	{"cut", PHASE_TASK | PHASE_STEP, check_cut, keep_cut, tell_cut},
	{"end", PHASE_TASK, check_end, keep_end, tell_end},
	{"variant", PHASE_TASKS, check_variant, NULL, NULL},
	{"versions", PHASE_TASKS, check_versions, NULL, tell_versions},
	{"walk", PHASE_TASKS, check_walk, NULL, tell_walk},
	{"step", PHASE_WALK, check_step, keep_step_begin, tell_step},
	{"ran", PHASE_STEP, check_ran, keep_part, NULL},
	{"at", PHASE_STEP, check_at, keep_part, NULL},
	{"dump", PHASE_STEP, check_dump, keep_dump, NULL},
	{"counts", PHASE_STEP, check_counts, keep_part, NULL},
	{"look", PHASE_STEP, check_look, keep_cut, tell_cut},
	{"stepend", PHASE_STEP, check_stepend, keep_stepend, tell_stepend},
	{"done", PHASE_ANY, check_done, keep_done, tell_done},
};

/* ---- where we stand ---- */

enum { STATE_NUMBERS = 9 };

static int save_state(struct walker *w, bool done, struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	buf_addf(&text, "1 %d %lld %lld %u %lld %d %lld %d %s %s %s", done ? PHASE_DONE : (int)w->phase,
		 (long long)w->tasks, (long long)w->step.n, w->seen, (long long)w->planned, w->down,
		 (long long)w->output, w->done_ok, w->to[0] ? w->to : "-", w->variant[0] ? w->variant : "-",
		 w->done_why[0] ? w->done_why : "-");
	return store_walker_put(w->w.db, w->w.run, text.data, err);
}

static const char *state_word(const char *p, char *out, size_t size)
{
	size_t n = strcspn(p, " ");
	(void)snprintf(out, size, "%.*s", (int)n, p);
	if (strcmp(out, "-") == 0)
		*out = '\0';
	return p[n] ? p + n + 1 : p + n;
}

/* The text that save_state() wrote. */
static int parse_state(struct walker *w, const char *p, struct err *err)
{
	long long v[STATE_NUMBERS];
	for (size_t i = 0; i < STATE_NUMBERS; i++) {
		char *end;
		v[i] = strtoll(p, &end, 10);
		if (end == p || *end != ' ')
			return err_set(err, ERR_BUG, 0, "run %s: the state of its reader is damaged", w->w.run);
		p = end + 1;
	}
	w->phase = (enum phase)v[1];
	w->tasks = v[2];
	w->step.n = v[3];
	w->seen = (unsigned)v[4];
	w->planned = v[5];
	w->down = v[6] != 0;
	w->output = v[7];
	w->done_ok = v[8] != 0;
	p = state_word(p, w->to, sizeof(w->to));
	p = state_word(p, w->variant, sizeof(w->variant));
	state_word(p, w->done_why, sizeof(w->done_why));
	return v[0] == 1 ? 0 : err_set(err, ERR_USER, 0, "run %s: read by a newer stepbox", w->w.run);
}

static int restore_task(const struct task_row *t, void *ctx)
{
	struct walker *w = ctx;
	(void)snprintf(w->title, sizeof(w->title), "%s", t->title);
	if (t->rc >= 0)
		find_task(w, t->title, t->rc, t->why);
	return 0;
}

static int restore_step(const struct step *s, void *ctx)
{
	struct walker *w = ctx;
	bool current = w->phase == PHASE_STEP && s->n == w->step.n;
	if (!current && !outcome_is_good(s->outcome))
		find(w, "step %s: %s", s->version, outcome_name(s->outcome));
	if (s->dump[0])
		memcpy(current ? w->after.sha256 : w->before.sha256, s->dump, sizeof(s->dump));
	return 0;
}

static int restore_dump(struct walker *w, struct dump *d, struct err *err)
{
	return d->sha256[0] ? store_blob_get(w->w.db, d->sha256, &d->text, err) : 0;
}

static int restore(struct walker *w, struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	if (store_walker_get(w->w.db, w->w.run, &text, err) < 0)
		return -1;
	if (text.len == 0)
		return 0;
	if (parse_state(w, text.data, err) < 0)
		return -1;
	if (w->step.n >= 0) {
		int rc = store_step_get(w->w.db, w->w.run, w->step.n, &w->step, err);
		if (rc < 1)
			return rc < 0 ? -1 : err_set(err, ERR_BUG, 0, "run %s: its current step is missing", w->w.run);
	}
	if (store_task_each(w->w.db, w->w.run, restore_task, w, err) < 0 ||
	    store_step_each(w->w.db, w->w.run, restore_step, w, err) < 0 || restore_dump(w, &w->before, err) < 0 ||
	    restore_dump(w, &w->after, err) < 0)
		return -1;
	w->same = w->after.sha256[0] && strcmp(w->after.sha256, w->before.sha256) == 0;
	/* A walker_lost() of the process before us was too early: the box is there. */
	if (w->phase == PHASE_STEP && w->step.outcome == OUTCOME_LOST)
		w->step.outcome = OUTCOME_RUNNING;
	return 0;
}

/* ---- the walker ---- */

struct walker *walker_new(const struct walk *walk, struct err *err)
{
	static const struct walk_view nobody = {0};
	CLEANUP(walker_freep) struct walker *w = xcalloc(1, sizeof(*w));
	w->w = *walk;
	if (!w->w.view)
		w->w.view = &nobody;
	w->phase = PHASE_NEW;
	w->step.n = -1;
	w->before.text = buf_make(STORE_BLOB_MAX);
	w->after.text = buf_make(STORE_BLOB_MAX);
	w->text = buf_make(4 * JOURNAL_MAX_PAYLOAD);
	w->patterns = outcome_patterns_new(walk->refused, walk->env_failed, err);
	if (!w->patterns || restore(w, err) < 0)
		return NULL;
	return TAKE(w);
}

void walker_free(struct walker *w)
{
	if (!w)
		return;
	outcome_patterns_free(w->patterns);
	step_finish(&w->step);
	dump_finish(&w->before);
	dump_finish(&w->after);
	buf_finish(&w->text);
	free(w);
}

void walker_freep(struct walker **w)
{
	walker_free(*w);
}

void walker_set_journal(struct walker *w, const struct journal *j)
{
	w->journal = j;
}

static int keep(struct walker *w, const struct rule *rule, const struct journal_record *r, struct err *err)
{
	if (store_begin(w->w.db, err) < 0)
		return -1;
	if ((rule->keep && rule->keep(w, r, err) < 0) || save_state(w, rule->keep == keep_done, err) < 0) {
		store_abort(w->w.db);
		return -1;
	}
	return store_commit(w->w.db, w->w.run, journal_offset(w->journal), err);
}

int walker_record(void *walker, const struct journal_record *r, struct err *err)
{
	struct walker *w = walker;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct rule *rule = &rules[i];
		if (strcmp(rule->kind, r->kind) != 0)
			continue;
		if (!(rule->phases & (unsigned)w->phase))
			return bad(r, err, "not at this place");
		if (rule->check(w, r, err) < 0 || keep(w, rule, r, err) < 0)
			return -1;
		if (rule->tell)
			rule->tell(w, r);
		return 0;
	}
	return err_set(err, ERR_BOX, 0, "journal: %s: no such kind of record", r->kind);
}

bool walker_is_done(const struct walker *w)
{
	return w->phase == PHASE_DONE;
}

int walker_verdict(const struct walker *w, char why[512])
{
	static const struct {
		const char *word, *text;
	} ends[] = {
		{"stop", "stopped"},
		{"disk", "the disk of the box is full"},
		{"runner", "the runner on the box ended by itself"},
	};
	why[0] = '\0';
	if (w->phase == PHASE_DONE && w->done_ok && !w->finding[0])
		return 1;
	(void)snprintf(why, 512, "%s", w->finding);
	if (why[0])
		return 0;
	(void)snprintf(why, 512, "%s", w->phase == PHASE_DONE ? w->done_why : "not finished");
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (strcmp(why, ends[i].word) == 0)
			(void)snprintf(why, 512, "%s", ends[i].text);
	return 0;
}

int walker_lost(struct walker *w, struct err *err)
{
	if (w->phase != PHASE_TASK && w->phase != PHASE_STEP)
		return 0;
	if (store_begin(w->w.db, err) < 0)
		return -1;
	if (keep_unfinished(w, "lost", err) < 0) {
		store_abort(w->w.db);
		return -1;
	}
	if (db_commit(w->w.db, err) < 0)
		return -1;
	if (w->phase == PHASE_STEP && w->w.view->step_end)
		w->w.view->step_end(w->w.view->ctx, &w->step, "not finished");
	return 0;
}
