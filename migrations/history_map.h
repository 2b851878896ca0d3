/* SPDX-License-Identifier: MIT */
/* Which files of a project are versions of its database, and in which order: an adapter's `history:` ready for use.
 * Pure: paths and bytes of files in, names of versions out. */
#ifndef STEPBOX_MIGRATIONS_HISTORY_MAP_H
#define STEPBOX_MIGRATIONS_HISTORY_MAP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define HISTORY_MAX_ERAS    8
#define HISTORY_MAX_PATHS   16
#define HISTORY_MAX_NAMES   8
#define HISTORY_VERSION_MAX 200 /* bytes of a version, as the runner takes them */
#define HISTORY_PARENTS_MAX 64  /* of one version */

/* How versions of one era are put in order (migrations/adapter.h). */
enum history_order {
	HISTORY_NUMBER,
	HISTORY_NATURAL,
	HISTORY_TEXT,
	HISTORY_ALEMBIC,
	HISTORY_DJANGO,
	HISTORY_ORDER_COUNT_
};
/* HISTORY_ORDER_COUNT_ for an unknown word. */
enum history_order history_order_parse(const char *word);
/* Whether files name what they follow, so that there may be several newest ones. */
bool history_order_is_graph(enum history_order o);

struct history_map;
/* spec: as adapter_history() gives it. */
struct history_map *history_map_new(const json_t *spec, struct err *err);
void history_map_free(struct history_map *m);
void history_map_freep(struct history_map **m);

size_t history_map_n(const struct history_map *m); /* eras */
enum history_order history_map_order(const struct history_map *m, size_t era);
/* All pathspecs of all eras, NULL-terminated. Borrowed. */
const char *const *history_map_paths(const struct history_map *m);

/* The era a path belongs to by its name, or -1: it is no version. version: as the name says it; "" where only the
 * content does (Alembic). Paths with control characters, and versions that are too long or have a blank, are none. */
int history_map_path(const struct history_map *m, const char *path, char version[HISTORY_VERSION_MAX + 1]);

/* What a file of a graph says of itself. */
struct history_node {
	char *version;  /* Alembic: `revision`, or "" when there is none; Django: "" (the path says it) */
	char *parents;  /* one a line, never NULL: what it follows */
	char *replaces; /* Django: one a line, never NULL */
};
/* Scans the text of a migration; what cannot be read is left out (values are literals in practice). */
void history_scan(enum history_order order, const char *text, size_t len, struct history_node *out);
void history_node_finish(struct history_node *n);

/* Order of two versions of one era that is no graph, as strcmp(). */
int history_compare(enum history_order order, const char *a, const char *b);

#endif
