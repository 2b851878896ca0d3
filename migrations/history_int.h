/* SPDX-License-Identifier: MIT */
/* The inside of a history. Used by history*.c only. */
#ifndef STEPBOX_MIGRATIONS_HISTORY_INT_H
#define STEPBOX_MIGRATIONS_HISTORY_INT_H

#include <jansson.h>

#include "migrations/history.h"
#include "provision/git.h"

/* Ages from `from` to before `to`. */
struct span {
	size_t from, to;
};
struct hold { /* a file that holds a version with the same bytes */
	struct span ages;
	size_t path, blob;
};

struct version {
	char *name;
	int era;
	size_t rank; /* its place in the order; HISTORY_NONE: only ever named by others */
	struct hold *holds;
	size_t n_holds, cap_holds;
	struct span *tops; /* when it was a highest one */
	size_t n_tops, cap_tops;
	/* while the events are played: */
	size_t files, children;
	bool is_top, touched;
};
struct path {
	char *path;
	int era;
	size_t version; /* by its name, or HISTORY_NONE */
	size_t blob;    /* while the events are played: what it has now */
	size_t hold;    /* and which hold of its version that is */
};
struct blob {
	char *hash;
	size_t path; /* one that has it */
	bool wanted;
	enum history_order order;
	size_t version; /* by its contents, or HISTORY_NONE */
	size_t *parents, n_parents;
};
struct event {
	size_t path, blob; /* blob HISTORY_NONE: the path has gone */
};
struct age {
	char commit[GIT_HASH_MAX], parent[GIT_HASH_MAX]; /* its first commit, and that one's first parent or "" */
	size_t first_event;
	size_t low, high; /* ranks; HISTORY_NONE: nothing is there */
	size_t n, n_tops;
};

struct history {
	const struct history_map *map; /* borrowed */
	char *tip;
	json_t *version_names, *path_names, *blob_names;
	struct version *versions;
	size_t n_versions, cap_versions;
	struct path *paths;
	size_t n_paths, cap_paths;
	struct blob *blobs;
	size_t n_blobs, cap_blobs;
	struct event *events;
	size_t n_events, cap_events;
	struct age *ages;
	size_t n_ages, cap_ages;
	size_t *line; /* the versions that ever were, by rank */
	size_t n_line;
	char *described;
};

void *history_grow(void *items, size_t n, size_t *cap, size_t size);
#define HISTORY_PUSH(items, n, cap) ((items) = history_grow((items), (n), &(cap), sizeof(*(items))), &(items)[(n)++])

#endif
