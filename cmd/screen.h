/* SPDX-License-Identifier: MIT */
/* What a run shows: on a terminal one live line at the bottom (what is happening, for how long) and above it a line for
 * everything that ended; without a terminal only the latter; with --json one object a line on stdout. The results
 * (steps, the last line) go to stdout, progress to stderr. One screen is shared by all jobs of a command; its lock is
 * taken inside its own functions. */
#ifndef STEPBOX_CMD_SCREEN_H
#define STEPBOX_CMD_SCREEN_H

#include <jansson.h>
#include <stdbool.h>

#include "cmd/cmd.h"
#include "migrations/walk.h"

struct screen;
struct screen *screen_new(const struct globals *g, int n_jobs);
void screen_free(struct screen *s);

/* One job's part of the screen. tag: the run id, shown in front of lines when there are several jobs. */
struct pane;
struct pane *pane_new(struct screen *s);
void pane_free(struct pane *p);
void pane_set_tag(struct pane *p, const char *tag);

/* The live line: what is happening now. limit_ms 0: none. */
void pane_doing(struct pane *p, const char *what, const char *detail, int64_t limit_ms);
/* A line that stays, on stderr (progress) / stdout (a result); text is made safe. */
void pane_progress(struct pane *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pane_result(struct pane *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Foreign output, indented, on stderr: the last max_lines lines of it (0: all). */
void pane_output(struct pane *p, const char *data, size_t len, size_t max_lines);
/* --json only: one object a line; steals the reference. With text output it does nothing. */
void pane_json(struct pane *p, json_t *object /* takes */);
/* The command has results of its own: steps are shown with --verbose only, verdicts are progress, and there is no JSON
 * of the jobs. lines false: nor is there progress without --verbose but the live line. */
void screen_set_aside(struct screen *s, bool lines);
/* As pane_result(), for the last line of a job. */
void pane_verdict(struct pane *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool screen_is_json(const struct screen *s);
bool screen_is_verbose(const struct screen *s);

#endif
