/* SPDX-License-Identifier: MIT */
/* The record of the versions' files. */
#include <string.h>

#include "migrations/walk_state.h"
#include "provision/git.h"

enum { MAX_FILES = 100000, MAX_PATH_BYTES = 4096, MAX_VERSION_BYTES = 255 };

/* The next "version<TAB>blob<TAB>path" line at *p, taken apart in a copy; false when it is none. */
static bool next_file(const char **p, char *copy, size_t size, struct migration_file *f)
{
	size_t n = strcspn(*p, "\n");
	if ((*p)[n] != '\n' || n >= size)
		return false;
	memcpy(copy, *p, n);
	copy[n] = '\0';
	*p += n + 1;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)copy[i] < ' ' && copy[i] != '\t')
			return false;
	char *rest = copy;
	f->version = strsep(&rest, "\t");
	f->blob = strsep(&rest, "\t");
	f->path = rest;
	size_t hash = f->blob ? strlen(f->blob) : 0;
	return rest && *rest && !strchr(rest, '\t') && *f->version && strlen(f->version) <= MAX_VERSION_BYTES &&
	       git_is_hash(f->blob, hash);
}

#define LINE_BYTES (MAX_PATH_BYTES + MAX_VERSION_BYTES + 80)

static int check_files(struct walker *w, const struct journal_record *r, struct err *err)
{
	char copy[LINE_BYTES];
	struct migration_file f;
	int64_t n = 0, told;
	(void)w;
	if (memchr(r->payload, '\0', r->len))
		return walk_bad(r, err, "no text");
	for (const char *p = r->payload; *p; n++)
		if (!next_file(&p, copy, sizeof(copy), &f))
			return walk_bad(r, err, "not a version, a blob and a path");
	return journal_int(r, "n", 0, MAX_FILES, &told, err) < 0 ? -1
	       : told != n                                       ? walk_bad(r, err, "not as many as it says")
								 : 0;
}

static int keep_files(struct walker *w, const struct journal_record *r, struct err *err)
{
	char copy[LINE_BYTES];
	struct migration_file f;
	for (const char *p = r->payload; *p;)
		if (next_file(&p, copy, sizeof(copy), &f) && store_file_put(w->w.db, w->w.run, &f, err) < 0)
			return -1;
	return 0;
}

const struct rule walk_files_rules[] = {
	{"files", PHASE_TASKS, check_files, keep_files, NULL},
	{0},
};
