/* SPDX-License-Identifier: MIT */
/* The records of what is seen in the database after a step: its dump, what its catalogue says, rows, work done. */
#include <string.h>

#include "base/text.h"
#include "migrations/diff.h"
#include "migrations/walk_state.h"

/* ---- dump and model: whole, or what changed ---- */

static bool checks(const struct buf *text, const char *sha256, int64_t size)
{
	char hash[SHA256_HEX];
	if ((int64_t)text->len != size)
		return false;
	sha256_hex(text->data, text->len, hash);
	return strcmp(hash, sha256) == 0;
}

/* A text record while it is taken apart. */
struct arrival {
	const struct journal_record *r;
	const struct walk_text *before;
	struct walk_text *after;
	char sha256[SHA256_HEX];
	int64_t size;
};

static int text_same(const struct arrival *a, struct err *err)
{
	if (strcmp(a->sha256, a->before->sha256) != 0 || a->size != (int64_t)a->before->text.len || a->r->len != 0)
		return walk_bad(a->r, err, "not the same as the one before");
	return 0;
}

/* A delta may not fit when it was made against something else than we have: the box has the whole by its hash. */
static int text_delta(struct walker *w, const struct arrival *a, struct err *err)
{
	struct err why = ERR_INIT;
	struct buf *out = &a->after->text;
	if (a->before->sha256[0] == '\0')
		return walk_bad(a->r, err, "a delta to nothing");
	if (diff_apply_rcs(a->before->text.data, a->before->text.len, a->r->payload, a->r->len, out, &why) == 0 &&
	    checks(out, a->sha256, a->size))
		return 0;
	if (!w->w.fetch)
		return walk_bad(a->r, err, why.reach == ERR_NONE ? "SHA-256 does not check" : why.msg);
	buf_reset(out);
	if (w->w.fetch(w->w.fetch_ctx, a->sha256, out, err) < 0)
		return err_ctx(err, "%s %.8s of step %s", a->r->kind, a->sha256, w->step.version);
	return checks(out, a->sha256, a->size) ? 0 : walk_bad(a->r, err, "SHA-256 does not check, nor does the whole");
}

static int text_full(const struct arrival *a, struct err *err)
{
	if (buf_add(&a->after->text, a->r->payload, a->r->len) < 0 || !checks(&a->after->text, a->sha256, a->size))
		return walk_bad(a->r, err, "SHA-256 does not check");
	return 0;
}

static int check_text(struct walker *w, struct arrival *a, enum seen part, struct err *err)
{
	static const char *const forms[] = {"full", "delta", "same", NULL};
	const char *form = NULL;
	if (walk_part(w, a->r, part, err) < 0 || walk_choice(a->r, "form", forms, &form, err) < 0 ||
	    walk_word(a->r, "sha256", a->sha256, sizeof(a->sha256), err) < 0 ||
	    journal_int(a->r, "size", 0, (int64_t)STORE_BLOB_MAX, &a->size, err) < 0)
		return -1;
	if (strspn(a->sha256, "0123456789abcdef") != SHA256_HEX - 1)
		return walk_bad(a->r, err, "no SHA-256");
	int rc = form == forms[0] ? text_full(a, err) : form == forms[1] ? text_delta(w, a, err) : text_same(a, err);
	/* A full one may come although nothing changed: the schema is not read again. */
	a->after->same = strcmp(a->sha256, a->before->sha256) == 0;
	memcpy(a->after->sha256, a->sha256, sizeof(a->sha256));
	w->same = walk_look_same(w);
	return rc;
}

static int keep_text(struct walker *w, const struct walk_text *before, const struct walk_text *t, struct err *err)
{
	if (!t->same && store_blob_put(w->w.db, t->sha256, t->text.data, t->text.len, before->sha256, err) < 0)
		return -1;
	return walk_keep_step(w, err);
}

static int check_dump(struct walker *w, const struct journal_record *r, struct err *err)
{
	struct arrival a = {.r = r, .before = &w->before.dump, .after = &w->after.dump};
	if (check_text(w, &a, SEEN_DUMP, err) < 0)
		return -1;
	memcpy(w->step.dump, a.sha256, sizeof(a.sha256));
	return 0;
}

static int keep_dump(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	return keep_text(w, &w->before.dump, &w->after.dump, err);
}

static int check_model(struct walker *w, const struct journal_record *r, struct err *err)
{
	struct arrival a = {.r = r, .before = &w->before.model, .after = &w->after.model};
	if (!(w->seen & SEEN_DUMP))
		return walk_bad(r, err, "before the dump");
	if (check_text(w, &a, SEEN_MODEL, err) < 0)
		return -1;
	memcpy(w->step.model, a.sha256, sizeof(a.sha256));
	return 0;
}

static int keep_model(struct walker *w, const struct journal_record *r, struct err *err)
{
	(void)r;
	return keep_text(w, &w->before.model, &w->after.model, err);
}

bool walk_look_same(const struct walker *w)
{
	return w->after.dump.same && (w->after.model.same || w->after.model.sha256[0] == '\0');
}

const struct schema *walk_schema(struct walker *w, struct look *l)
{
	struct err err = ERR_INIT;
	const struct buf *dump = l->dump.same ? &w->before.dump.text : &l->dump.text;
	const struct buf *model = l->model.same ? &w->before.model.text : &l->model.text;
	if (!l->tried) {
		l->tried = true;
		const struct schema_text text = {
			.dump = dump->data,
			.dump_len = dump->len,
			.model = l->model.sha256[0] ? model->data : NULL, /* "" of a database without tables */
			.model_len = l->model.sha256[0] ? model->len : 0,
		};
		l->schema = schema_read(w->w.engine, &text, &err);
		(void)snprintf(l->unreadable, sizeof(l->unreadable), "%.190s", err.msg);
	}
	return l->schema;
}

/* The box makes its deltas against the last text of each kind that it told. */
static void next_text(struct walk_text *before, struct walk_text *after)
{
	struct walk_text old = *before;
	if (after->sha256[0] == '\0' || after->same)
		return;
	*before = *after;
	*after = old;
}

void walk_look_next(struct walker *w)
{
	if ((w->seen & SEEN_DUMP) && !w->same) {
		next_text(&w->before.dump, &w->after.dump);
		next_text(&w->before.model, &w->after.model);
		schema_freep(&w->before.schema);
		w->before.schema = w->after.schema;
		w->before.tried = w->after.tried;
		memcpy(w->before.unreadable, w->after.unreadable, sizeof(w->before.unreadable));
		w->after.schema = NULL;
	}
	walk_look_clear(&w->after);
}

/* ---- rows ---- */

static int check_counts(struct walker *w, const struct journal_record *r, struct err *err)
{
	if (walk_is_filling(w))
		return walk_filled(w, r, err);
	if (walk_part(w, r, SEEN_COUNTS, err) < 0)
		return -1;
	buf_reset(&w->text);
	text_safe(&w->text, r->payload, r->len);
	walk_set_text(&w->step.counts, &w->text);
	return 0;
}

/* ---- what it took ---- */

enum { WORK_MAX = 4096 };

/* "[a-z_]+<TAB>[0-9]+" lines: views take them apart without further ado. */
static bool is_work(const char *p)
{
	while (*p) {
		size_t key = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
		if (key == 0 || p[key] != '\t')
			return false;
		p += key + 1;
		size_t digits = strspn(p, "0123456789");
		if (digits == 0 || digits > 18 || p[digits] != '\n')
			return false;
		p += digits + 1;
	}
	return true;
}

static int check_work(struct walker *w, const struct journal_record *r, struct err *err)
{
	if (walk_part(w, r, SEEN_WORK, err) < 0)
		return -1;
	if (r->len > WORK_MAX || strlen(r->payload) != r->len || !is_work(r->payload))
		return walk_bad(r, err, "no KEY<TAB>NUMBER lines");
	free(w->step.work);
	w->step.work = xstrdup(r->payload);
	return 0;
}

/* ---- the rules ---- */

const struct rule walk_look_rules[] = {
	{"dump", PHASE_STEP, check_dump, keep_dump, NULL},
	{"model", PHASE_STEP, check_model, keep_model, NULL},
	{"counts", PHASE_STEP, check_counts, walk_keep_part, NULL},
	{"work", PHASE_STEP, check_work, walk_keep_part, NULL},
	{0},
};
