/* SPDX-License-Identifier: MIT */
/* The code that goes with a version: a project's versions through the history of a git repository, and for each version
 * the commit whose code it ran with when it was new.
 *
 * How it works. One `git log --first-parent` over the places where versions ever lived gives each commit that touched
 * one, as a list of paths and blobs. Between two of those commits (here: an age, from one such commit to the parent of
 * the next) the set of versions does not change. For version N the newest commit is wanted at which N was the highest
 * version: the end of the newest age whose highest is N. That is the tree a developer had when nothing newer was there.
 * Where files name what they follow (Alembic, Django) there may be several highest ones, the heads. */
#ifndef STEPBOX_MIGRATIONS_HISTORY_H
#define STEPBOX_MIGRATIONS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/wait.h"
#include "migrations/history_map.h"

#define HISTORY_LOG_MAX      ((size_t)64 << 20)  /* bytes of git log */
#define HISTORY_CONTENTS_MAX ((size_t)256 << 20) /* bytes of all files of graphs */
#define HISTORY_VERSIONS_MAX 20000
#define HISTORY_NONE         SIZE_MAX

/* Which rule chose a commit. */
enum history_rule {
	HISTORY_TIP,   /* N is the highest at the ref: the ref itself */
	HISTORY_HEAD,  /* the newest commit at which N was the highest */
	HISTORY_HEADS, /* one of several highest (a branchy graph), never the only one */
	HISTORY_BATCH, /* never the highest: later ones came in the same commit (placeholders): the newest commit at
			  which the highest of that batch was the highest */
	HISTORY_RULE_COUNT_
};
const char *history_rule_name(enum history_rule r);

struct history_pick {
	const char *version; /* borrowed from the history, as are all texts here */
	const char *commit;
	enum history_rule rule;
	const char *batch; /* HISTORY_BATCH: the highest there */
	size_t age;
	bool stale;    /* no commit with this version as its highest had what the walk is at: an older one than by the
			  rule, or a later one, was taken */
	bool unusable; /* nor did any other: this version cannot be stepped to from where the walk is */
	bool gone;     /* not at the ref any more (a squash, a revert) */
	bool edited;   /* its files were changed later */
	const char *low, *high; /* at that commit */
	size_t n;               /* versions at that commit */
	int64_t date;           /* of the commit, wall seconds; this and the next by history_describe() */
	const char *subject;
};

struct history;
/* Reads ref (NULL: HEAD) of the repository at repo. ERR_USER when there are no versions. */
struct history *history_read(const struct history_map *map, const char *repo, const char *ref, mono_ms deadline,
			     struct err *err);
void history_free(struct history *h);
void history_freep(struct history **h);

/* The parts of history_read(), pure: `git log` as in history.c, then what `git cat-file --batch` says of the blobs that
 * history_wanted() lists (one a line; nothing for tools whose names say all), then the ordering. tip: the ref's commit.
 */
struct history *history_parse_log(const struct history_map *map, const char *tip, const char *data, size_t len,
				  struct err *err);
void history_wanted(const struct history *h, struct buf *out);
int history_parse_contents(struct history *h, const char *data, size_t len, struct err *err) MUST_USE;
int history_order(struct history *h, struct err *err) MUST_USE;

/* history_parse_contents() of what git has at repo. */
int history_read_contents(struct history *h, const char *repo, mono_ms deadline, struct err *err) MUST_USE;
/* A path that had these bytes (hex); "" when none had. */
const char *history_path_of_blob(const struct history *h, const char *blob);

/* Versions that ever were, in order. */
size_t history_n(const struct history *h);
const char *history_name(const struct history *h, size_t i);
bool history_is_at_tip(const struct history *h, size_t i);
/* By name, a number also with zeros in front, or by the only beginning as the runner takes it; HISTORY_NONE. */
size_t history_find(const struct history *h, const char *name);

/* Those of [first, …] that make one walk, in order: what the ref has, and below its lowest what each squash took away
 * (the versions of the newest commit that still had both), down to first (HISTORY_NONE: only what the ref has). out has
 * room for history_n(). Returns how many. */
size_t history_line(const struct history *h, size_t first, size_t *out);

/* The commit for version i. at[n_at]: versions the code must know, too: where the walk is before the step. */
void history_pick(const struct history *h, size_t i, const size_t *at, size_t n_at, struct history_pick *out);
/* The commits for a walk over line[n]: out[k] is for the step to line[k] from line[k-1]. from_nothing: the first step
 * begins at an empty database; else line[0] is only where the walk begins. */
void history_picks(const struct history *h, const size_t *line, size_t n, struct history_pick *out);
/* Whether some version of the line does not follow the one before it: a graph with branches. */
bool history_is_branched(const struct history *h, const size_t *line, size_t n);
/* Calls fn for each file of the version at the commit of the pick, by path. */
void history_files(const struct history *h, const struct history_pick *p,
		   void (*fn)(void *ctx, const char *path, const char *blob), void *ctx);
/* Date and subject of n picks, by one git. */
int history_describe(struct history *h, const char *repo, struct history_pick *picks, size_t n, mono_ms deadline,
		     struct err *err) MUST_USE;

#endif
