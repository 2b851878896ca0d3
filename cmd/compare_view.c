/* SPDX-License-Identifier: MIT */
#include "cmd/compare_view.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cmd/report.h"
#include "migrations/diff.h"

#define HARD_CLASSES (~(1U << COMPARE_COSMETIC))
#define DIFF_MAX     ((size_t)64 << 20)
#define VERSIONS_MAX 40 /* columns of "216…401" */
#define FORKS_TOLD   8
#define ITEMS_TOLD   40 /* of one version, without --verbose */

static char letter(const struct compare_view *v, const struct side *s)
{
	return (char)('A' + (s - v->sides));
}

/* ---- versions ---- */

/* How much of a version's name its number or date is, where it has one: 3 of 011_check, 10 of 2019-10-10_add_x. */
static size_t number_len(const char *name)
{
	static const char digits[] = "0123456789";
	size_t n = strspn(name, digits);
	if (!n || !strchr("_-.", name[n]))
		return strlen(name);
	while (name[n] && strchr("_-.", name[n]) && strspn(name + n + 1, digits))
		n += 1 + strspn(name + n + 1, digits);
	return n;
}

/* "216…401"; long names are cut to their numbers: where it matters they stand alone. */
static void span_of_names(const char *first, const char *last, struct buf *out)
{
	AUTO_BUF a = buf_make(BUF_TEXT_MAX);
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	text_safe_line(&a, first, strlen(first), 100);
	text_safe_line(&b, last, strlen(last), 100);
	if (strcmp(first, last) == 0)
		buf_adds(out, a.data);
	else if (text_columns(a.data) + text_columns(b.data) < VERSIONS_MAX)
		buf_addf(out, "%s…%s", a.data, b.data);
	else
		buf_addf(out, "%.*s…%.*s", (int)number_len(a.data), a.data, (int)number_len(b.data), b.data);
}

/* ---- the sides ---- */

static void print_side(const struct compare_view *v, const struct side *s)
{
	AUTO_BUF what = buf_make(BUF_TEXT_MAX);
	AUTO_BUF detail = buf_make(BUF_TEXT_MAX);
	AUTO_BUF range = buf_make(BUF_TEXT_MAX);
	text_safe_line(&what, s->what, strlen(s->what), 120);
	text_safe_line(&detail, s->run.detail, strlen(s->run.detail), 200);
	if (s->n_steps)
		span_of_names(s->names[0], s->names[s->n_steps - 1], &range);
	printf("%c  %s  %s, %s: %s%s%s\n", letter(v, s), s->run.id, what.data, range.len ? range.data : "no steps",
	       s->run.status, detail.len ? ": " : "", detail.data);
}

static void print_machines(const struct compare_view *v)
{
	AUTO_BUF bad = buf_make(BUF_TEXT_MAX);
	AUTO_BUF ids = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < v->n_sides; i++) {
		for (size_t j = i + 1; j < v->n_sides && !bad.len; j++)
			match_machines(&v->sides[i], &v->sides[j], &bad);
		buf_addf(&ids, "%s%c %.12s", i ? ", " : "", letter(v, &v->sides[i]), v->sides[i].run.machine);
	}
	if (bad.len)
		printf("not on clean machines: %s\n", bad.data);
	else
		printf("on machines of their own: %s\n", ids.data);
}

static json_t *side_json(const struct compare_view *v, const struct side *s)
{
	char name[2] = {letter(v, s), '\0'};
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "event", "side", "side", name, "run",
			 s->run.id, "status", s->run.status, "variant", s->run.variant, "tool", s->run.tool, "engine",
			 s->run.engine, "machine", s->run.machine, "boot", s->run.boot, "steps",
			 (json_int_t)s->n_steps);
}

void compare_view_sides(const struct compare_view *v)
{
	for (size_t i = 0; i < v->n_sides; i++) {
		if (v->json)
			report_print_json(side_json(v, &v->sides[i]));
		else
			print_side(v, &v->sides[i]);
	}
	if (!v->json)
		print_machines(v);
}

/* ---- forks ---- */

struct forks {
	const struct compare_view *v;
	const struct match *m;
	size_t n[2];
	struct buf told[2];
};

static void on_fork(void *ctx, enum compare_fork what, const char *a, const char *b)
{
	struct forks *f = ctx;
	if (f->v->json) {
		report_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "event", "fork", "a", f->m->a->run.id,
					    "b", f->m->b->run.id, "what",
					    what == COMPARE_FORK_CONTENT ? "same-number-different-content"
									 : "same-content-different-number",
					    "version_a", a, "version_b", b));
		return;
	}
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	text_safe_line(&safe, a, strlen(a), 60);
	if (what == COMPARE_FORK_NUMBER) {
		buf_adds(&safe, " = ");
		text_safe_line(&safe, b, strlen(b), 60);
	}
	if (f->n[what]++ < FORKS_TOLD || f->v->verbose)
		buf_addf(&f->told[what], "%s%s", f->told[what].len ? ", " : "", safe.data);
}

static void print_forks(const struct compare_view *v, const struct match *m)
{
	static const char *const words[] = {
		[COMPARE_FORK_CONTENT] = "same number, different content",
		[COMPARE_FORK_NUMBER] = "same content, different number",
	};
	struct forks f = {v, m, {0}, {buf_make(BUF_TEXT_MAX), buf_make(BUF_TEXT_MAX)}};
	compare_forks(m->a->contents, m->a->n_contents, m->b->contents, m->b->n_contents, on_fork, &f);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (f.n[i])
			printf("  %s: %s%s\n", words[i], f.told[i].data,
			       f.n[i] > FORKS_TOLD && !v->verbose ? " …" : "");
		buf_finish(&f.told[i]);
	}
}

/* ---- one pair, as text ---- */

static void span_name(const struct match *m, const struct compare_span *s, struct buf *out)
{
	span_of_names(m->names[s->first], m->names[s->last], out);
}

static size_t name_width(const struct match *m, const struct compare_spans *spans)
{
	size_t width = 4;
	for (size_t i = 0; i < spans->n; i++) {
		AUTO_BUF name = buf_make(BUF_TEXT_MAX);
		span_name(m, &spans->items[i], &name);
		size_t n = text_columns(name.data);
		width = n > width ? n : width;
	}
	return width < VERSIONS_MAX ? width : VERSIONS_MAX;
}

/* Time of the steps of a span on each side. */
static void add_times(const struct compare_view *v, const struct match *m, const struct compare_span *s,
		      struct buf *out)
{
	int64_t ms[2] = {0};
	bool any[2] = {false};
	for (size_t i = s->first; i <= s->last; i++) {
		const struct compare_point *p = &m->points.points[i];
		const struct step *steps[] = {p->a >= 0 ? &m->a->steps[p->a] : NULL,
					      p->b >= 0 ? &m->b->steps[p->b] : NULL};
		for (int k = 0; k < 2; k++) {
			ms[k] += steps[k] && steps[k]->ms > 0 ? steps[k]->ms : 0;
			any[k] |= steps[k] != NULL;
		}
	}
	for (int k = 0; k < 2; k++) {
		char span[32];
		clock_span(ms[k], span);
		if (any[k])
			buf_addf(out, "%s%c %s", out->len ? ", " : "", letter(v, k ? m->b : m->a), span);
	}
}

static void span_word(const struct compare_view *v, const struct match *m, const struct compare_span *s,
		      struct buf *out)
{
	size_t n = s->last - s->first + 1;
	const struct side *lacks = s->state == COMPARE_ONLY_A || s->state == COMPARE_NOT_B ? m->b : m->a;
	switch (s->state) {
	case COMPARE_SAME:
		buf_adds(out, "equal");
		break;
	case COMPARE_DIFFERENT:
		buf_adds(out, s->n_appeared ? "DIFFERENT" : s->n_gone ? "still different" : "different, as before");
		break;
	case COMPARE_ONLY_A:
	case COMPARE_ONLY_B:
		buf_addf(out, "only %c", letter(v, s->state == COMPARE_ONLY_A ? m->a : m->b));
		break;
	case COMPARE_NOT_A:
	case COMPARE_NOT_B:
		buf_addf(out, "NOT REACHED by %c", letter(v, lacks));
		break;
	case COMPARE_STATE_COUNT_:
		break;
	}
	if (n > 1)
		buf_addf(out, " (%zu versions)", n);
}

static void print_items(const struct compare_view *v, const struct match *m, const unsigned *items, size_t n,
			const char *before)
{
	size_t told = v->verbose || n <= ITEMS_TOLD ? n : ITEMS_TOLD;
	for (size_t i = 0; i < told; i++) {
		const struct compare_item *it = compare_pool_get(m->pool, items[i]);
		bool class = it->class != COMPARE_STRUCTURAL && it->class != COMPARE_ROWS;
		printf("      %s%s%s%s%s\n", before, it->text, class ? "  (" : "",
		       class ? compare_class_name(it->class) : "", class ? ")" : "");
	}
	if (told < n)
		printf("      %sand %zu more: -v lists them\n", before, n - told);
}

static int print_text_diff(const struct match *m, size_t point, struct err *err)
{
	const struct compare_point *p = &m->points.points[point];
	AUTO_BUF a = buf_make(STORE_BLOB_MAX);
	AUTO_BUF b = buf_make(STORE_BLOB_MAX);
	AUTO_BUF out = buf_make(DIFF_MAX);
	AUTO_BUF safe = buf_make(DIFF_MAX * 2);
	if (!m->a->steps[p->a].dump[0] || !m->b->steps[p->b].dump[0])
		return 0;
	AUTO_FREE char *la = xasprintf("%s:%s", m->a->run.id, m->a->steps[p->a].version);
	AUTO_FREE char *lb = xasprintf("%s:%s", m->b->run.id, m->b->steps[p->b].version);
	if (side_dump(m->a, (size_t)p->a, &a, err) < 0 || side_dump(m->b, (size_t)p->b, &b, err) < 0 ||
	    diff_text(a.data, a.len, la, b.data, b.len, lb, &out, err) < 0)
		return -1;
	text_safe(&safe, out.data, out.len);
	fputs(safe.data, stdout);
	return 0;
}

static int print_span(const struct compare_view *v, const struct match *m, const struct compare_span *s, size_t width,
		      struct err *err)
{
	AUTO_BUF name = buf_make(BUF_TEXT_MAX);
	AUTO_BUF word = buf_make(BUF_TEXT_MAX);
	AUTO_BUF times = buf_make(BUF_TEXT_MAX);
	span_name(m, s, &name);
	span_word(v, m, s, &word);
	add_times(v, m, s, &times);
	printf("    %s%*s  %s%*s  %s\n", name.data,
	       (int)(width > text_columns(name.data) ? width - text_columns(name.data) : 0), "", word.data,
	       (int)(text_columns(word.data) < 30 ? 30 - text_columns(word.data) : 0), "", times.data);
	print_items(v, m, s->appeared, s->n_appeared, "");
	print_items(v, m, s->gone, s->n_gone, "no longer: ");
	return v->text && s->n_appeared ? print_text_diff(m, s->first, err) : 0;
}

static int print_match(const struct compare_view *v, const struct match *m, struct err *err)
{
	struct compare_spans spans;
	int rc = 0;
	printf("\n%c – %c   - only in %c, + only in %c, ~ %c → %c\n", letter(v, m->a), letter(v, m->b), letter(v, m->a),
	       letter(v, m->b), letter(v, m->a), letter(v, m->b));
	print_forks(v, m);
	if (m->points.out_of_order)
		printf("  the versions come in another order on %c\n", letter(v, m->b));
	compare_collapse(m->states, m->sets, m->points.n, m->pool, v->verbose ? ~0U : HARD_CLASSES, &spans);
	size_t width = name_width(m, &spans);
	for (size_t i = 0; i < spans.n && rc == 0; i++)
		rc = print_span(v, m, &spans.items[i], width, err);
	if (m->count[COMPARE_COSMETIC] && !v->verbose)
		printf("    and %zu cosmetic difference%s: -v lists them\n", m->count[COMPARE_COSMETIC],
		       m->count[COMPARE_COSMETIC] == 1 ? "" : "s");
	compare_spans_finish(&spans);
	return rc;
}

/* ---- one pair, as JSON ---- */

static const char *state_word(const struct match *m, size_t at)
{
	static const char *const words[] = {
		[COMPARE_SAME] = "equal",    [COMPARE_DIFFERENT] = "different",    [COMPARE_ONLY_A] = "only-a",
		[COMPARE_ONLY_B] = "only-b", [COMPARE_NOT_A] = "not-reached-by-a", [COMPARE_NOT_B] = "not-reached-by-b",
	};
	enum compare_state s = m->states[at];
	return words[s == COMPARE_SAME && compare_set_differs(&m->sets[at], m->pool) ? COMPARE_DIFFERENT : s];
}

static json_t *pair_json(const struct match *m, const char *event, const char *version)
{
	json_t *o = json_pack("{s:s, s:s, s:s}", "event", event, "a", m->a->run.id, "b", m->b->run.id);
	if (version)
		json_object_set_new(o, "version", json_string(version));
	return o;
}

static void version_json(const struct match *m, size_t at)
{
	const struct compare_point *p = &m->points.points[at];
	json_t *o = pair_json(m, "version", m->names[at]);
	json_object_set_new(o, "state", json_string(state_word(m, at)));
	if (p->a >= 0)
		json_object_set_new(o, "a_ms", json_integer(m->a->steps[p->a].ms));
	if (p->b >= 0)
		json_object_set_new(o, "b_ms", json_integer(m->b->steps[p->b].ms));
	report_print_json(o);
}

static void items_json(const struct match *m, const char *event, size_t at, const unsigned *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct compare_item *it = compare_pool_get(m->pool, items[i]);
		json_t *o = pair_json(m, event, m->names[at]), *record = json_loads(it->key, 0, NULL);
		json_object_set_new(o, "class", json_string(compare_class_name(it->class)));
		json_object_set_new(o, "text", report_json_text(it->text));
		json_object_set_new(o, "record", record ? record : json_null());
		report_print_json(o);
	}
}

static void match_json(const struct match *m)
{
	struct compare_spans spans;
	compare_collapse(m->states, m->sets, m->points.n, m->pool, ~0U, &spans);
	for (size_t i = 0; i < spans.n; i++) {
		const struct compare_span *s = &spans.items[i];
		for (size_t at = s->first; at <= s->last; at++) {
			version_json(m, at);
			if (at > s->first)
				continue;
			items_json(m, "difference", at, s->appeared, s->n_appeared);
			items_json(m, "gone", at, s->gone, s->n_gone);
		}
	}
	compare_spans_finish(&spans);
}

int compare_view_match(const struct compare_view *v, const struct match *m, struct err *err)
{
	if (!v->json)
		return print_match(v, m, err);
	print_forks(v, m);
	match_json(m);
	return 0;
}

/* ---- the end ---- */

static void summary_json(const struct match *m)
{
	json_t *o = pair_json(m, "summary", NULL);
	json_object_set_new(o, "compared", json_integer((json_int_t)m->n_both));
	json_object_set_new(o, "equal", json_integer((json_int_t)m->n_equal));
	for (int c = 0; c < COMPARE_CLASS_COUNT_; c++)
		json_object_set_new(o, compare_class_name((enum compare_class)c),
				    json_integer((json_int_t)m->count[c]));
	json_object_set_new(o, "differ", json_boolean(m->differs));
	report_print_json(o);
}

/* Where two sides part for the first time. */
static const char *first_difference(const struct match *m)
{
	for (size_t i = 0; i < m->points.n; i++) {
		if (m->states[i] == COMPARE_NOT_A || m->states[i] == COMPARE_NOT_B ||
		    (m->states[i] == COMPARE_SAME && compare_set_differs(&m->sets[i], m->pool)))
			return m->names[i];
	}
	return "";
}

void compare_view_table(const struct compare_view *v, const struct match *m, size_t n)
{
	if (!v->json)
		printf("\n       versions  equal  structural  unmodelled  outcome  rows  cosmetic\n");
	for (size_t i = 0; i < n; i++) {
		if (v->json) {
			summary_json(&m[i]);
			continue;
		}
		const size_t *c = m[i].count;
		printf("%c – %c  %8zu  %5zu  %10zu  %10zu  %7zu  %4zu  %8zu  ", letter(v, m[i].a), letter(v, m[i].b),
		       m[i].n_both, m[i].n_equal, c[COMPARE_STRUCTURAL], c[COMPARE_UNMODELLED], c[COMPARE_OUTCOME],
		       c[COMPARE_ROWS], c[COMPARE_COSMETIC]);
		if (m[i].n_both == 0)
			puts("nothing to compare");
		else if (m[i].differs)
			printf("different from %s on\n", first_difference(&m[i]));
		else
			puts("equal");
	}
}
