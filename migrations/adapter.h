/* SPDX-License-Identifier: MIT */
/* Adapters are data: a migration tool or a database engine is one YAML file, templates/tools/NAME.yaml or
 * templates/databases/NAME.yaml. A user's own, $XDG_CONFIG_HOME/stepbox/adapters/NAME.yaml for a tool and
 * adapters/databases/NAME.yaml for a database, wins.
 *
 * A tool:
 *     name: alembic
 *     brief: Alembic (SQLAlchemy)
 *     tested: "alembic 1.8.1"        # what a test has run on a box; or untested: why it has not
 *     detect: [alembic.ini]          # files in a checkout that give it away (globs), for `stepbox init`. An entry may
 *                                    # be {file: GLOB, text: REGEX, beside: GLOB, beside_text: REGEX}: a line of that
 *                                    # file matches, and there is another file (with such a line). up: 1: what is
 *                                    # meant is the directory above the file's
 *     rank: 50                       # of several tools that are recognised the one with the lowest rank is meant
 *     files: "versions/NNN_*.py"     # where versions live (glob from the checkout; may use ${option})
 *     env: {K: V}                    # exported to tasks and steps unless the recipe says otherwise
 *     urls: {sqlite: "…"}            # for each engine the database as the tool wants it said: ${tool.url}, which is
 *                                    # database.url where the engine is not named
 *     options: {config: alembic.ini} # keys a recipe may set under migrations:, with defaults; used as ${config}
 *     list: |                        # shell snippets; the contract is in provision/plan.h
 *     up: |
 *     down: |                        # absent: the tool cannot
 *     current: |                     # or version_sql:
 *     version_table: alembic_version # SQL instead of the tool: read from this table …
 *     version_sql: SELECT version_num FROM alembic_version ORDER BY 1
 *     applied: false                 # current/version_sql give *all* applied versions
 *     refused: 'regex'               # output that means: this direction is not supported
 *     env_failed: 'regex'            # output that means: the environment is broken, not the migration
 *     warm: |                        # what to load once instead of with every step; see below
 *     variants: [{name, when, list, up, down, current, version_table, version_sql, warm}]
 *     history:                       # which files are versions, all through git's history (migrations/history.h):
 *       - paths: [db/migrate]        # git pathspecs from the top of the repository: every place where they ever lived
 *         name: '/([0-9]+)_[^/]*$'   # extended regular expression on "/path", or a list: of the first that matches
 *                                    # group 1 is the version; a path that none matches is no version. The files that
 *                                    # go down belong to their version, too
 *         skip: 'regex'              # paths that are no version, whatever name says
 *         version: '\1.\2'           # where it takes more than group 1
 *         order: number              # number: digits, leading zeros do not count (0042 becomes 42)
 *                                    # natural: by numbers where there are numbers; text: by bytes
 *                                    # alembic: the file says `revision`, `down_revision`, `depends_on` (name may be
 *                                    #   absent); django: the file says `dependencies`, `replaces`
 *       - …                          # of a later era: its versions come after all of the above
 *     starter: |                     # the part of a recipe `stepbox init` writes. FOUND_FILE: the file that gave the
 *                                    # tool away; FOUND_DIR: its directory (less `up`); FOUND_ROOT: that up to the
 *                                    # glob's first wildcard
 * A database (brief and tested as above):
 *     name: sqlite
 *     options: {file: /var/tmp/${name}.sqlite}
 *     url: sqlite:///${file}         # database.url; further names under `vars:` become database.NAME
 *     vars: {…}
 *     packages: [sqlite3]
 *     start: |                       # makes and starts it (a task), may be absent
 *     look: |                        # writes $LOOK/dump, $LOOK/counts, and $LOOK/versions from ${version_table},
 *                                    # ${version_sql}, or the same as SQL string literals: ${version_sql_literal} …
 *                                    # less the lines of $STATE/ignored, if a tool's list made that file
 *     model: |                       # SQL that prints what the catalogue says (migrations/schema_catalog.h): look
 *                                    # has it as ${model} and makes $LOOK/model of it; absent: the dump says it all
 *     save: |                        # keeps the database in the directory $SAVE; absent: cannot be done
 *     restore: |                     # puts it back as save found it
 *     columns: |                     # prints what templates/tasks/fill.awk needs to know of the tables (its head has
 *                                    # the format); the database also has the var sql_each: as sql, goes on after an
 *                                    # error
 *
 * Filling is by text (base/template.h): shell snippets put what they fill in between double quotes. An option may use
 * the options before it; an option of a database is ${file} in its own file, and ${database.file} everywhere.
 * A key that a recipe overrides is overridden in all variants.
 *
 * Warm: a tool written in Python (its options have `python`: the interpreter) spends most of a step on importing
 * itself. `warm` is Python text, executed once in the checkout; each `${python} …` of up and down is then a fork of
 * what it left, with the command's own words, environment, directory and files, so the snippets are the same warm and
 * cold. The text must import and nothing more: whatever touches a database, a file or a connection, prints, or starts a
 * thread is not kept (templates/warm/python.py). Parts are divided by a line `--`; a part that is not kept costs only
 * itself and those behind it. cold("why") ends a part; os.chdir() to where the snippets go is the first part's
 * business, and `${python}` must be a command of its own there (not behind exec or env). A recipe that says itself how
 * to go up or down has no warm way. */
#ifndef STEPBOX_MIGRATIONS_ADAPTER_H
#define STEPBOX_MIGRATIONS_ADAPTER_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/yaml.h"
#include "provision/plan.h"

struct adapter; /* a tool or a database, checked */

struct adapter *adapter_load_tool(const char *name, struct err *err);
struct adapter *adapter_load_database(const char *name, struct err *err);
void adapter_free(struct adapter *a);
void adapter_freep(struct adapter **a);

const char *adapter_name(const struct adapter *a);
/* A key's text, or NULL. Borrowed. */
const char *adapter_get(const struct adapter *a, const char *key);
/* The whole file as JSON (scalars are strings). Borrowed. */
const json_t *adapter_json(const struct adapter *a);

/* Overrides one key as a recipe's migrations:/database: mapping does: an adapter key (list, up, down, step (= up),
 * current, look, files, version_table, version_sql, applied, refused, env_failed) or one of its options. ERR_USER with
 * the nearest known key when it is neither. */
int adapter_override(struct adapter *a, const char *key, const char *value, struct err *err) MUST_USE;
/* Takes the tool's warm way: each step starts the tool by itself, as it is typed. */
void adapter_cold(struct adapter *tool);

/* Adds database.url, database.file, … to vars (a flat object that has "name", "source.dir" already). */
int adapter_database_vars(const struct adapter *db, json_t *vars, struct err *err) MUST_USE;

/* Makes the walk of a plan out of tool and database; vars fill the snippets. The strings of *w live in *keep (an array
 * the caller owns and frees after plan_set_walk() copied them). from/to/timeout/dir are left to the caller. */
int adapter_walk(const struct adapter *tool, const struct adapter *db, const json_t *vars, struct plan_walk *w,
		 json_t **keep, struct err *err) MUST_USE;

/* Makes *out the tool's `history:`, filled, as an array of {paths: […], name: […], skip, version, order} (the caller
 * owns it), for history_map_new(). Returns 1, 0 when the tool has none, -1 with err. */
int adapter_history(const struct adapter *tool, const json_t *vars, json_t **out, struct err *err) MUST_USE;

#define ADAPTER_MAX_RANK 1000
#define ADAPTER_MAX_UP   8

/* Names of all tools (database: of all databases), sorted: a new array of strings. */
json_t *adapter_names(bool database);

#define ADAPTER_NAME_SIZE  64  /* of a name with its NUL */
#define ADAPTER_FOUND_SIZE 256 /* of a path with its NUL; longer ones are cut */
/* The tool that a checkout uses, by the `detect` globs of all tools: lowest rank first, then the pattern with most
 * ordinary characters. tool and why (the file seen, relative to the checkout) are set when one was found. Returns 1
 * found, 0 none, -1 with err. */
int adapter_detect(const char *checkout, char tool[ADAPTER_NAME_SIZE], char why[ADAPTER_FOUND_SIZE],
		   struct err *err) MUST_USE;
/* Appends the tool's starter. found is adapter_detect()'s `why`; NULL: FOUND_FILE, FOUND_DIR … become the default of
 * the option they stand behind. */
void adapter_starter(const struct adapter *tool, const char *found, struct buf *out);

#endif
