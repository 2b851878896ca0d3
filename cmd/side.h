/* SPDX-License-Identifier: MIT */
/* A run as compare and bisect look at it: all its steps, the files of its versions, its schemas. From the store, no
 * box. */
#ifndef STEPBOX_CMD_SIDE_H
#define STEPBOX_CMD_SIDE_H

#include "migrations/compare.h"
#include "migrations/schema.h"
#include "migrations/store.h"

struct side {
	struct db *db; /* borrowed */
	struct run run;
	char what[256]; /* what is special about it: "source.ref=x, sqlite" */
	struct step *steps;
	char **names; /* of the steps, unique: the version, and what tells it from others of the same version */
	size_t n_steps;
	struct compare_content *contents; /* by version */
	size_t n_contents;
	struct schema *schema; /* the last one asked for */
	char schema_of[130];   /* the hashes it was read from */
	char unreadable[256];  /* why it could not be read, or "" */
};

/* -1 when the store says so. */
int side_load(struct side *s, struct db *db, const char *run, struct err *err) MUST_USE;
void side_finish(struct side *s);
/* Whether the walk came to where it was to go. */
bool side_is_whole(const struct side *s);
/* The schema after step i: valid until asked for another. NULL when there is none or it cannot be read: unreadable says
 * why. *err only when the store cannot be read (then -1). */
int side_schema(struct side *s, size_t i, const struct schema **out, struct err *err) MUST_USE;
/* The dump after step i, appended. */
int side_dump(const struct side *s, size_t i, struct buf *out, struct err *err) MUST_USE;

#endif
