/* SPDX-License-Identifier: MIT */
/* Inside of clouds.c: environment → files → one merged entry → its credentials. See clouds.h. */
#ifndef STEPBOX_CLOUD_CLOUDS_INT_H
#define STEPBOX_CLOUD_CLOUDS_INT_H

#include "base/buf.h"
#include "cloud/clouds.h"

/* ---- clouds_env.c ---- */

/* A variable of the environment, taken or not; NULL when it is not set or empty. */
const char *clouds_env(const char *name);
/* The entry that OS_* make, {"auth_url": …, "username": …}, or NULL when there are none but selectors. */
json_t *clouds_env_entry(void);

/* ---- clouds_files.c ---- */

struct clouds_files {
	json_t *clouds; /* owned: name → entry, as written; secure.yaml is merged in */
	json_t *client; /* owned: the client: section, keys normalised; may be empty */
	char *path;     /* of clouds.yaml (or of secure.yaml, when only that is there); NULL: none */
};

/* quiet: without warnings. */
int clouds_files_load(struct clouds_files *f, bool quiet, struct err *err) MUST_USE;
void clouds_files_finish(struct clouds_files *f);
/* "/a, /b": where files are looked for; the caller frees. */
char *clouds_places(void);
/* Values of a profile, keys normalised: from clouds-public.yaml, else from templates/clouds/. *out is NULL when there
 * is none of that name, which was said as a warning. */
int clouds_profile(const char *cloud, const char *name, json_t **out, struct err *err) MUST_USE;
/* A copy of value in which the keys of all mappings have "_" for "-". */
json_t *clouds_normalize(const json_t *value);
/* Path with a leading ~ expanded; the caller frees. */
char *clouds_expand_home(const char *path);

/* ---- clouds_merge.c ---- */

/* Fills in all but the login of c from the entry as it was written (null: an empty one), with its profile and region;
 * c->name and from_env are set. */
int clouds_merge(struct cloud_config *c, const json_t *written, struct err *err) MUST_USE;
/* The text of a key, or NULL: absent, null, empty, or no text. */
const char *clouds_text(const json_t *values, const char *key);
/* A boolean by the rule of c, or standard when it is not set. */
bool clouds_flag(const json_t *value, bool from_env, bool standard);

/* words ends with NULL. */
bool clouds_is_one_of(const char *text, const char *const *words);

/* ---- clouds_fix.c ---- */

/* Brings c->values to today's spellings, with the credentials in c->auth, and fills in their {…}. */
int clouds_fix(struct cloud_config *c, struct err *err) MUST_USE;

/* ---- clouds_auth.c ---- */

/* Fills in c->auth_type, reduces c->auth to the texts that it uses, and checks that all it needs are there. */
int clouds_auth(struct cloud_config *c, struct err *err) MUST_USE;

/* ---- clouds.c ---- */

/* Appends the keys of a mapping, "a, b, c", sorted; at most CLOUDS_LIST_MAX of them. */
#define CLOUDS_LIST_MAX 40
void clouds_list(struct buf *out, const json_t *object);

#endif
