/* SPDX-License-Identifier: MIT */
#include "cmd/side.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- steps ---- */

static int add_step(const struct step *from, void *ctx)
{
	struct side *s = ctx;
	if ((s->n_steps & (s->n_steps - 1)) == 0)
		s->steps = xrealloc(s->steps, s->n_steps ? 2 * s->n_steps : 1, sizeof(*s->steps));
	struct step *to = &s->steps[s->n_steps++];
	*to = *from;
	to->versions = xstrdup(from->versions);
	to->counts = xstrdup(from->counts);
	to->changes = xstrdup(from->changes);
	to->findings = xstrdup(from->findings);
	to->work = xstrdup(from->work);
	to->seeded = xstrdup(from->seeded);
	return 0;
}

/* A version comes more than once in walks that go down, and in round trips. */
static char *name_of(const struct step *st)
{
	static const char *const legs[] = {"", "", " ↓", " ↑", " ↺"};
	bool leg = st->leg > 1 && st->leg < (int64_t)ARRAY_SIZE(legs);
	return xasprintf("%s%s", st->version, leg ? legs[st->leg] : strcmp(st->direction, "down") == 0 ? " ↓" : "");
}

static void name_steps(struct side *s)
{
	s->names = xcalloc(s->n_steps + 1, sizeof(*s->names));
	for (size_t i = 0; i < s->n_steps; i++)
		s->names[i] = name_of(&s->steps[i]);
	/* Where the walk begins need not be a version of its own: a step may lead back to it. */
	for (size_t i = 1; i < s->n_steps; i++) {
		if (strcmp(s->names[0], s->names[i]) == 0) {
			free(s->names[0]);
			s->names[0] = xasprintf("%s, begin", s->steps[0].version);
			break;
		}
	}
}

/* ---- files ---- */

/* Files come by version: their blobs are collected and sorted when the next version begins. */
struct collect {
	struct side *side;
	char *version;
	char **blobs;
	size_t n;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void collect_end(struct collect *c)
{
	struct side *s = c->side;
	if (!c->version)
		return;
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	if (c->n)
		qsort(c->blobs, c->n, sizeof(*c->blobs), by_text);
	for (size_t i = 0; i < c->n; i++) {
		buf_addf(&text, "%s%s", i ? " " : "", c->blobs[i]);
		free(c->blobs[i]);
	}
	free(c->blobs);
	if ((s->n_contents & (s->n_contents - 1)) == 0)
		s->contents = xrealloc(s->contents, s->n_contents ? 2 * s->n_contents : 1, sizeof(*s->contents));
	s->contents[s->n_contents++] = (struct compare_content){c->version, buf_take(&text)};
	*c = (struct collect){.side = s};
}

static int add_file(const struct migration_file *f, void *ctx)
{
	struct collect *c = ctx;
	if (!c->version || strcmp(c->version, f->version) != 0) {
		collect_end(c);
		c->version = xstrdup(f->version);
	}
	if ((c->n & (c->n - 1)) == 0)
		c->blobs = xrealloc(c->blobs, c->n ? 2 * c->n : 1, sizeof(*c->blobs));
	c->blobs[c->n++] = xstrdup(f->blob);
	return 0;
}

/* ---- the whole ---- */

static const char *text_at(const json_t *o, const char *a, const char *b)
{
	return json_string_value(json_object_get(json_object_get(o, a), b));
}

/* What a reader needs to tell the sides of a comparison from one another. */
static int describe(struct side *s, struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	if (store_run_recipe(s->db, s->run.id, &text, err) < 0)
		return -1;
	json_t *all = json_loads(text.data, 0, NULL);
	const json_t *recipe = json_object_get(all, "recipe");
	const char *ref = text_at(recipe, "source", "ref"), *path = text_at(recipe, "source", "path");
	const char *dir = json_string_value(json_object_get(all, "dir"));
	const char *slash = dir ? strrchr(dir, '/') : NULL;
	if (path && strcmp(path, ".") == 0 && slash)
		path = slash + 1;
	const char *special = *s->run.variant ? s->run.variant : ref ? ref : path ? path : "HEAD";
	snprintf(s->what, sizeof(s->what), "%.180s, %s on %s", special, s->run.tool, s->run.engine);
	json_decref(all);
	return 0;
}

int side_load(struct side *s, struct db *db, const char *run, struct err *err)
{
	*s = (struct side){.db = db};
	int found = store_run_find(db, run, &s->run, err);
	if (found < 1)
		return found < 0 ? -1 : err_set(err, ERR_USER, 0, "%s: no such run; `stepbox ls` lists them", run);
	struct collect c = {.side = s};
	int rc = describe(s, err) < 0 || store_step_each(db, s->run.id, add_step, s, err) < 0 ||
				 store_file_each(db, s->run.id, add_file, &c, err) < 0
			 ? -1
			 : 0;
	collect_end(&c);
	name_steps(s);
	return rc;
}

static void drop(const char *text)
{
	free((void *)(uintptr_t)text); /* ours: const is for who reads it */
}

void side_finish(struct side *s)
{
	for (size_t i = 0; i < s->n_steps; i++) {
		step_finish(&s->steps[i]);
		if (s->names)
			free(s->names[i]);
	}
	for (size_t i = 0; i < s->n_contents; i++) {
		drop(s->contents[i].version);
		drop(s->contents[i].blobs);
	}
	free(s->steps);
	free(s->names);
	free(s->contents);
	schema_free(s->schema);
	*s = (struct side){0};
}

/* Losses and the like are findings that end no walk; a step that went wrong does. */
bool side_is_whole(const struct side *s)
{
	bool finding = strcmp(s->run.status, "finding") == 0;
	if (strcmp(s->run.status, "ok") != 0 && !finding)
		return false;
	return s->n_steps > 0 && outcome_is_good(s->steps[s->n_steps - 1].outcome);
}

int side_dump(const struct side *s, size_t i, struct buf *out, struct err *err)
{
	return store_blob_get(s->db, s->steps[i].dump, out, err);
}

int side_schema(struct side *s, size_t i, const struct schema **out, struct err *err)
{
	const struct step *st = &s->steps[i];
	char of[sizeof(s->schema_of)];
	snprintf(of, sizeof(of), "%.64s %.64s", st->dump, st->model);
	*out = NULL;
	if (!st->dump[0]) {
		snprintf(s->unreadable, sizeof(s->unreadable), "the database was not looked at");
		return 0;
	}
	if (strcmp(of, s->schema_of) != 0) {
		AUTO_BUF dump = buf_make(STORE_BLOB_MAX);
		AUTO_BUF model = buf_make(STORE_BLOB_MAX);
		struct err why = ERR_INIT;
		if (store_blob_get(s->db, st->dump, &dump, err) < 0 ||
		    (st->model[0] && store_blob_get(s->db, st->model, &model, err) < 0))
			return -1;
		schema_free(s->schema);
		struct schema_text text = {dump.data, dump.len, model.data, model.len};
		s->schema = schema_read(s->run.engine, &text, &why);
		snprintf(s->unreadable, sizeof(s->unreadable), "%.250s", s->schema ? "" : why.msg);
		memcpy(s->schema_of, of, sizeof(of));
	}
	*out = s->schema;
	return 0;
}
