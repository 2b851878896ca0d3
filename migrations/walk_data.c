/* SPDX-License-Identifier: MIT */
/* What is found although a step was applied: data that is gone, time over its limit, round trips that leave a trace.
 * And what was filled in before a step. */
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "migrations/rows.h"
#include "migrations/schema_diff.h"
#include "migrations/walk_state.h"

enum { MAX_FINDINGS = 200 /* lines of one step */, FINDINGS_MAX = 1 << 20 };

/* ---- the legs of a round trip ---- */

enum { LEG_UP = 1, LEG_DOWN = 2, LEG_AGAIN = 3, LEG_BACK = 4 };

/* Legs that may follow the step that has ended, as bits; LEG_UP is that of the next version. */
static unsigned next_legs(const struct walker *w)
{
	bool ok = outcome_is_good(w->step.outcome);
	switch (w->step.leg) {
	case LEG_UP:
		return ok ? 1U << LEG_DOWN : 0;
	case LEG_DOWN:
		return ok ? 1U << LEG_AGAIN : 1U << LEG_BACK | 1U << LEG_UP;
	case LEG_AGAIN:
		return 1U << LEG_BACK | 1U << LEG_UP;
	default:
		return ok ? 1U << LEG_UP : 0;
	}
}

static int check_leg(struct walker *w, const struct journal_record *r, struct step *s, const char *dir, struct err *err)
{
	static const char *const dirs[] = {"", "up", "down", "up", "restore"};
	if (strcmp(dir, dirs[s->leg]) != 0)
		return walk_bad(r, err, "not in the direction of the walk");
	if (!(next_legs(w) & 1U << s->leg))
		return walk_bad(r, err, "not the leg that follows");
	if (s->leg == LEG_UP && w->trips >= w->planned)
		return walk_bad(r, err, "more steps than the walk has");
	if (s->leg != LEG_UP && strcmp(s->version, w->step.version) != 0)
		return walk_bad(r, err, "not the version of the round trip");
	w->trips += s->leg == LEG_UP;
	return 0;
}

int walk_leg(struct walker *w, const struct journal_record *r, struct step *s, const char *dir, struct err *err)
{
	bool trip = w->trip && s->n > 0;
	if (!trip && s->n > w->planned)
		return walk_bad(r, err, "more steps than the walk has");
	if (trip && journal_int(r, "leg", LEG_UP, LEG_BACK, &s->leg, err) < 0)
		return -1;
	if (trip)
		return check_leg(w, r, s, dir, err);
	if (journal_get(r, "leg"))
		return walk_bad(r, err, "a leg of no round trip");
	return strcmp(dir, s->n == 0 ? "base"
			   : w->down ? "down"
				     : "up") == 0
		       ? 0
		       : walk_bad(r, err, "not in the direction of the walk");
}

bool walk_is_whole(const struct walker *w)
{
	if (w->phase != PHASE_WALK || w->step.n < 0)
		return w->phase == PHASE_WALK && w->step.n == w->planned;
	return w->trip ? w->trips == w->planned && (next_legs(w) & 1U << LEG_UP) : w->step.n == w->planned;
}

/* ---- what was filled in ---- */

static void set_seeded(struct walker *w, const char *lines)
{
	char *all = xasprintf("%s%s", lines, w->step.seeded);
	free(w->step.seeded);
	w->step.seeded = all;
}

/* "table<TAB>message" lines of what could not be filled. */
static int check_seeded(struct walker *w, const struct journal_record *r, struct err *err)
{
	AUTO_BUF lines = buf_make(4 * WALK_MAX_SET);
	AUTO_BUF safe = buf_make(4 * WALK_MAX_SET);
	if (walk_expect(r, "n", w->step.n, err) < 0 || journal_int(r, "rc", 0, MAX_RC, &w->rc, err) < 0)
		return -1;
	if (w->step.n == 0 || w->seen || w->step.leg > LEG_UP)
		return walk_bad(r, err, "not at this place");
	if (r->len > WALK_MAX_SET)
		return walk_bad(r, err, "too large");
	w->seen |= SEEN_SEEDED;
	text_safe(&safe, r->payload, r->len);
	for (const char *p = safe.data; *p;) {
		size_t n = strcspn(p, "\n"), name = strcspn(p, "\t\n");
		if (name > 0 && name + 1 < n)
			buf_addf(&lines, "%.*s\t0\t%.*s\n", (int)name, p, (int)(n - name - 1), p + name + 1);
		p += n + (p[n] == '\n');
	}
	set_seeded(w, lines.data);
	return 0;
}

static int keep_seeded(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	return walk_keep_step(w, err);
}

bool walk_is_filling(const struct walker *w)
{
	return w->seen == SEEN_SEEDED;
}

/* Until the step's own counts come they stand in its row: another process may go on with the next record. */
int walk_filled(struct walker *w, const struct journal_record *r, struct err *err)
{
	AUTO_BUF lines = buf_make(4 * WALK_MAX_SET);
	if (walk_expect(r, "n", w->step.n, err) < 0)
		return -1;
	w->seen |= SEEN_FILLED;
	buf_reset(&w->text);
	text_safe(&w->text, r->payload, r->len);
	rows_gained(w->counts_before, w->text.data, &lines);
	set_seeded(w, lines.data);
	free(w->counts_before);
	w->counts_before = xstrdup(w->text.data);
	free(w->step.counts);
	w->step.counts = xstrdup(w->text.data);
	return 0;
}

/* ---- findings ---- */

/* Where lines go. */
struct finder {
	struct buf *out;
	size_t n;
	const char *prefix; /* of a text: "up again " … */
	const char *known;  /* lines that need not be told again with the prefix, or NULL */
	enum loss loss;
	bool down;
	bool text;      /* something differs, but nothing that counts */
	char worst[32]; /* of a round trip: what is said of it in short … */
	int rank;       /* … by this order: loses, changes, leaves, reorders; 0 nothing */
};

static bool is_known(const struct finder *f, const char *kind, const char *line)
{
	size_t skip = strlen(kind) + 2;
	if (!text_starts(line + skip, f->prefix))
		return false;
	AUTO_FREE char *without = xasprintf("%s: %s", kind, line + skip + strlen(f->prefix));
	return strstr(f->known, without) != NULL;
}

__attribute__((format(printf, 3, 4))) static void find(struct finder *f, const char *kind, const char *fmt, ...)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	AUTO_BUF line = buf_make(BUF_TEXT_MAX);
	buf_addf(&line, "%s: ", kind);
	text_safe_line(&line, text.data, text.len, 300);
	buf_addc(&line, '\n');
	if (f->known && is_known(f, kind, line.data))
		return;
	if (++f->n <= MAX_FINDINGS)
		buf_add(f->out, line.data, line.len);
}

static void finder_end(struct finder *f)
{
	if (f->n > MAX_FINDINGS)
		buf_addf(f->out, "note: and %zu more\n", f->n - MAX_FINDINGS);
}

/* ---- data of a step ---- */

static void on_loss(void *ctx, const struct rows_change *c)
{
	struct finder *f = ctx;
	const char *kind = f->loss == LOSS_ALLOW ? "note" : "loss";
	switch (c->what) {
	case ROWS_LESS:
		find(f, kind, "%s: %lld of %lld rows are gone", c->table, (long long)(c->before - c->after),
		     (long long)c->before);
		break;
	case TABLE_DROPPED:
		if (!f->down)
			find(f, kind, "%s: dropped with %lld row%s", c->table, (long long)c->before,
			     c->before == 1 ? "" : "s");
		break;
	case VALUES_LESS:
		find(f, kind, "%s.%s: %lld of %lld values are gone", c->table, c->column,
		     (long long)(c->before - c->after), (long long)c->before);
		break;
	case COLUMN_DROPPED:
		if (!f->down)
			find(f, f->loss == LOSS_STRICT ? "loss" : "note", "%s.%s: dropped with %lld value%s", c->table,
			     c->column, (long long)c->before, c->before == 1 ? "" : "s");
		break;
	case ROWS_MORE:
		break;
	}
}

static void find_loss(struct walker *w, struct finder *f)
{
	if (!(w->seen & SEEN_COUNTS) || !(w->seen & SEEN_DUMP) || !w->counts_before[0])
		return;
	CLEANUP(rows_freep) struct rows *before = rows_read(w->counts_before), *after = rows_read(w->step.counts);
	const struct schema *a = w->before.dump.sha256[0] ? walk_schema(w, &w->before) : NULL;
	const struct schema *b = w->same ? a : walk_schema(w, &w->after);
	f->loss = limits_loss(w->w.limits, w->step.version);
	f->down = w->down;
	/* Down is where rows go that a migration put in; whether others go with them, a round trip can tell. */
	if (w->down && f->loss != LOSS_STRICT)
		f->loss = LOSS_ALLOW;
	rows_compare(before, after, a, b, on_loss, f);
}

static void find_limit(const struct walker *w, struct finder *f)
{
	char took[32], most[32];
	int64_t limit = limits_ms(w->w.limits, w->step.version);
	int64_t ms = w->step.net_ms >= 0 ? w->step.net_ms : w->step.ms;
	if (limit == 0 || ms <= limit)
		return;
	clock_span(ms, took);
	clock_span(limit, most);
	find(f, "limit", "took %s, more than %s", took, most);
}

/* ---- round trips ---- */

/* The database after another leg, as the store has it. */
struct side {
	struct look look;
	char *counts;
	char *findings;
	char *seeded;
	bool known;
};

static void side_finish(struct side *s)
{
	walk_look_finish(&s->look);
	free(s->counts);
	free(s->findings);
	free(s->seeded);
}

static int side_load(struct walker *w, int64_t n, struct side *out, struct err *err)
{
	struct step s;
	out->look.dump.text = out->look.model.text = buf_make(STORE_BLOB_MAX);
	int found = store_step_get(w->w.db, w->w.run, n, &s, err);
	if (found < 1)
		return found;
	memcpy(out->look.dump.sha256, s.dump, sizeof(s.dump));
	memcpy(out->look.model.sha256, s.model, sizeof(s.model));
	out->counts = TAKE(s.counts);
	out->findings = TAKE(s.findings);
	out->seeded = TAKE(s.seeded);
	step_finish(&s);
	out->known = out->look.dump.sha256[0] != '\0';
	return 0;
}

/* *schema NULL: not readable. */
static int side_read(struct walker *w, struct side *s, const struct schema **schema, struct err *err)
{
	struct walk_text *const texts[] = {&s->look.dump, &s->look.model};
	*schema = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i]->sha256[0] && texts[i]->text.len == 0 &&
		    store_blob_get(w->w.db, texts[i]->sha256, &texts[i]->text, err) < 0)
			return -1;
	*schema = walk_schema(w, &s->look);
	return 0;
}

static bool side_is_now(const struct walker *w, const struct side *s)
{
	return strcmp(s->look.dump.sha256, w->step.dump) == 0 && strcmp(s->look.model.sha256, w->step.model) == 0;
}

/* The short word for a trip: the worst of its differences. */
static void rate(struct finder *f, int rank, const char *verb, const char *noun)
{
	if (rank <= f->rank)
		return;
	f->rank = rank;
	(void)snprintf(f->worst, sizeof(f->worst), "%s %s", verb, noun);
}

/* The words of what is found about a trip; rate_lines() reads them again. */
static const struct trip_word {
	const char *verb;
	int rank;
} reorders = {"reorders", 1}, leaves = {"leaves", 2}, changes = {"changes", 3}, loses = {"loses", 4};

static const char only_text[] = "only the text of the schema differs";

/* The tool's own tables are no trace of the migration. */
static void find_changes(struct finder *f, const struct schema *a, const struct schema *b)
{
	size_t before = f->n;
	const struct schema_diff_options options = {.skip_tables = schema_bookkeeping};
	CLEANUP(schema_changes_freep) struct schema_changes *cs = schema_changes(a, b, &options);
	for (size_t i = 0; i < cs->n; i++) {
		const struct schema_change *c = &cs->items[i];
		const struct trip_word *word = c->op == CHANGE_ADD       ? &leaves
					       : c->op == CHANGE_DROP    ? &loses
					       : c->op == CHANGE_REORDER ? &reorders
									 : &changes;
		const char *noun = c->op == CHANGE_REORDER ? "columns" : c->word;
		AUTO_BUF line = buf_make(BUF_TEXT_MAX);
		if (c->class == CHANGE_COSMETIC)
			continue;
		schema_change_line(c, &line);
		rate(f, word->rank, word->verb, noun);
		find(f, "trip", "%s%s %s: %s", f->prefix, word->verb, noun, line.data);
	}
	if (f->n == before && (cs->n > 0 || cs->n_skipped == 0)) {
		f->text = true;
		find(f, "note", "%s%s", f->prefix, only_text);
	}
}

static void on_trip_rows(void *ctx, const struct rows_change *c)
{
	struct finder *f = ctx;
	bool values = c->what == VALUES_LESS;
	if (c->what == TABLE_DROPPED || c->what == COLUMN_DROPPED)
		return; /* the schemas say so */
	bool less = c->what != ROWS_MORE;
	rate(f, less ? loses.rank : leaves.rank, less ? loses.verb : leaves.verb, values ? "values" : "rows");
	const char *verb = less ? loses.verb : leaves.verb, *noun = values ? "values" : "rows";
	AUTO_FREE char *what = xasprintf("%s%s%s", c->table, values ? "." : "", c->column);
	if (less)
		find(f, "trip", "%s%s %s: %s: %lld of %lld", f->prefix, verb, noun, what,
		     (long long)(c->before - c->after), (long long)c->before);
	else
		find(f, "trip", "%s%s %s: %s: %lld", f->prefix, verb, noun, what, (long long)(c->after - c->before));
}

/* What this leg's end differs in from `then`. */
static int find_trace(struct walker *w, struct side *then, const char *counts, struct finder *f, struct err *err)
{
	const struct schema *a = NULL, *b = NULL;
	bool same = side_is_now(w, then);
	if (side_read(w, then, &a, err) < 0)
		return -1;
	b = same ? a : walk_schema(w, w->same ? &w->before : &w->after);
	if (!same && a && b)
		find_changes(f, a, b);
	if (!same && (!a || !b)) {
		rate(f, changes.rank, changes.verb, "object");
		find(f, "trip", "%schanges object: the schema differs, and cannot be read", f->prefix);
	}
	if (!(w->seen & SEEN_COUNTS) || !counts[0])
		return 0;
	CLEANUP(rows_freep) struct rows *before = rows_read(counts), *after = rows_read(w->step.counts);
	rows_compare(before, after, a, b, on_trip_rows, f);
	return 0;
}

/* Why a leg of a round trip did not come about, in words. */
static void find_failed_leg(struct walker *w, struct finder *f, const char *what)
{
	const struct step *s = &w->step;
	if (s->outcome == OUTCOME_SILENT_NOOP)
		find(f, "trip", "%s did nothing, with exit code 0", what);
	else if (s->outcome == OUTCOME_WRONG_TARGET)
		find(f, "trip", "%s led to another version", what);
	else if (s->outcome == OUTCOME_TIMEOUT)
		find(f, "trip", "%s took too long", what);
	else if (s->rc > 0)
		find(f, "trip", "%s: %s, exit code %lld", what, outcome_name(s->outcome), (long long)s->rc);
	else
		find(f, "trip", "%s: %s", what, outcome_name(s->outcome));
}

static void set_trip(struct walker *w, const char *what)
{
	(void)snprintf(w->step.trip, sizeof(w->step.trip), "%s", what);
}

/* After the way down: as before the way up? */
static int find_down(struct walker *w, bool ok, struct finder *f, struct err *err)
{
	CLEANUP(side_finish) struct side then = {0}, up = {0};
	if (!ok) {
		bool refused = w->step.outcome == OUTCOME_REFUSED;
		if (!refused)
			find_failed_leg(w, f, "down");
		set_trip(w, refused ? "refused" : "down failed");
		return 0;
	}
	if (side_load(w, w->step.n - 2, &then, err) < 0 || side_load(w, w->step.n - 1, &up, err) < 0)
		return -1;
	if (!then.known || !up.known)
		return 0;
	AUTO_FREE char *counts = up.seeded[0] ? rows_plus(then.counts, up.seeded) : xstrdup(then.counts);
	return find_trace(w, &then, counts, f, err);
}

/* The short word again, from the lines of the way down: "trip: VERB NOUN: …". */
static void rate_lines(struct finder *f, const char *findings)
{
	static const char start[] = "trip: ";
	static const struct trip_word *const words[] = {&reorders, &leaves, &changes, &loses};
	for (const char *p = findings; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (!text_starts(p, start))
			continue;
		const char *verb = p + sizeof(start) - 1;
		size_t len = strcspn(verb, " :\n");
		AUTO_FREE char *noun =
			xstrndup(verb + len + (verb[len] == ' '), strcspn(verb + len + (verb[len] == ' '), ":\n"));
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (strlen(words[i]->verb) == len && strncmp(words[i]->verb, verb, len) == 0)
				rate(f, words[i]->rank, words[i]->verb, noun);
	}
}

/* After the second way up: as after the first? Then the trip is judged. */
static int find_again(struct walker *w, bool ok, struct finder *f, struct err *err)
{
	CLEANUP(side_finish) struct side up = {0}, down = {0};
	if (!ok) {
		find_failed_leg(w, f, "up again");
		set_trip(w, "up again failed");
		return 0;
	}
	if (side_load(w, w->step.n - 2, &up, err) < 0 || side_load(w, w->step.n - 1, &down, err) < 0)
		return -1;
	if (!up.known || !down.known)
		return 0;
	struct finder first = {.out = f->out};
	rate_lines(&first, down.findings);
	f->prefix = "up again ";
	f->known = down.findings;
	if (find_trace(w, &up, up.counts, f, err) < 0)
		return -1;
	bool text = f->text || strstr(down.findings, only_text);
	if (first.rank)
		set_trip(w, first.worst);
	else if (f->rank && strcmp(f->worst, "loses rows") != 0 && strcmp(f->worst, "loses values") != 0)
		set_trip(w, "differs");
	else
		set_trip(w, f->rank ? f->worst : text ? "cosmetic" : "clean");
	return 0;
}

int walk_find(struct walker *w, bool ok, struct err *err)
{
	AUTO_BUF lines = buf_make(FINDINGS_MAX);
	struct finder f = {.out = &lines, .prefix = ""};
	int rc = 0;
	if (w->step.n > 0 && w->step.leg <= LEG_UP && ok) {
		find_loss(w, &f);
		find_limit(w, &f);
	} else if (w->step.leg == LEG_DOWN) {
		rc = find_down(w, ok, &f, err);
	} else if (w->step.leg == LEG_AGAIN) {
		rc = find_again(w, ok, &f, err);
	}
	finder_end(&f);
	/* What others have found stays. */
	char *all = xasprintf("%s%s", w->step.findings, lines.data);
	free(w->step.findings);
	w->step.findings = all;
	return rc;
}

void walk_count_findings(struct walker *w, const struct step *s)
{
	bool tried = s->leg == LEG_DOWN || s->leg == LEG_AGAIN; /* the walk goes on; there is a finding, or a refusal */
	if (!outcome_is_good(s->outcome) && !tried) {
		w->failed = true;
		FIND(w, "step %s: %s", s->version,
		     s->leg == LEG_BACK ? "could not be put back" : outcome_name(s->outcome));
	}
	for (const char *p = s->findings; *p;) {
		size_t n = strcspn(p, "\n");
		const char *colon = memchr(p, ':', n);
		if (colon && strncmp(p, "note:", 5) != 0)
			FIND(w, "step %s: %.*s", s->version, (int)(p + n - colon > 2 ? p + n - colon - 2 : 0),
			     colon + 2);
		p += n + (p[n] == '\n');
	}
}

/* ---- the rules ---- */

const struct rule walk_data_rules[] = {
	{"seeded", PHASE_STEP, check_seeded, keep_seeded, NULL},
	{0},
};
