/* SPDX-License-Identifier: MIT */
/* The inside of the walker: where it stands, and its rules, one for each kind of record. Used by walk*.c only. */
#ifndef STEPBOX_MIGRATIONS_WALK_STATE_H
#define STEPBOX_MIGRATIONS_WALK_STATE_H

#include <stdio.h>

#include "base/hash.h"
#include "migrations/outcome.h"
#include "migrations/schema_model.h"
#include "migrations/walk.h"

enum phase {
	PHASE_NEW = 1,   /* before hello */
	PHASE_TASKS = 2, /* between tasks */
	PHASE_TASK = 4,  /* inside one */
	PHASE_WALK = 8,  /* between steps */
	PHASE_STEP = 16, /* inside one */
	PHASE_DONE = 32,
	PHASE_ANY = PHASE_TASKS | PHASE_TASK | PHASE_WALK | PHASE_STEP,
};

/* What of a step has come; each comes at most once. */
enum seen {
	SEEN_RAN = 1,
	SEEN_AT = 2,
	SEEN_DUMP = 4,
	SEEN_COUNTS = 8,
	SEEN_LOOK = 16,
	SEEN_MODEL = 32,
	SEEN_WORK = 64,
	SEEN_SEEDED = 128,
	SEEN_FILLED = 256,
};

enum {
	MAX_MS = 2000000000,
	MAX_RC = 255,
	TITLE_MAX = 200,
	BRIEF_MAX = 100,
	MAX_CHANGES = 4 << 20,
	WALK_MACHINE_ID = 64
};

/* A text that comes as a whole or as what changed in it. */
struct walk_text {
	char sha256[SHA256_HEX]; /* "" for none */
	struct buf text;         /* empty when `same` */
	bool same;               /* as the one of the step before */
};

/* What was seen of the schema after a step. */
struct look {
	struct walk_text dump, model;
	struct schema *schema; /* read when first needed; NULL then: not readable, and why */
	bool tried;
	char unreadable[200];
};

struct walker {
	struct walk w;
	const struct journal *journal;
	struct outcome_patterns *patterns;

	enum phase phase;
	int64_t tasks;             /* number of the last one */
	bool question;             /* that one is a question behind the walk: its exit code is an answer */
	char title[TITLE_MAX + 8]; /* of the last task */
	char kind[32];             /* of it */
	struct step step;          /* the current or last one; n -1 before the first */
	unsigned seen;             /* enum seen, of the current step */
	int64_t planned;           /* steps of the walk */
	bool down, trip;           /* the walk leads down; it is one of round trips */
	int64_t trips;             /* of these the last one's number */
	char *counts_before; /* of the current step: what the step before left, or what was filled in; "" unknown */
	int64_t output;      /* bytes of the current task's or step's output */
	char to[256], variant[128], done_why[32];
	bool done_ok;
	bool failed;       /* something that the runner itself must have seen */
	char finding[512]; /* the first bad thing, or "" */
	int64_t n_findings;

	struct look before, after; /* of the step before, of the current one */
	bool same;                 /* after is before */
	char brief[4 * BRIEF_MAX];
	struct buf text; /* of the current record, made safe */
	int64_t rc, ms;  /* of the current record */
};

/* ---- rules ---- */

/* A record is handled in three parts; check must be there. */
struct rule {
	const char *kind;
	unsigned phases; /* in which it may come */
	int (*check)(struct walker *w, const struct journal_record *r, struct err *err);
	int (*keep)(struct walker *w, const struct journal_record *r, struct err *err);
	void (*tell)(struct walker *w, const struct journal_record *r);
};
/* Each ends with a rule of kind NULL. */
extern const struct rule walk_task_rules[];  /* walk_task.c: tasks, the frame of the walk, the trailer */
extern const struct rule walk_step_rules[];  /* walk_step.c: a step and what became of it */
extern const struct rule walk_files_rules[]; /* walk_files.c: the files of versions */
extern const struct rule walk_look_rules[];  /* walk_look.c: what is seen in the database after it */
extern const struct rule walk_data_rules[];  /* walk_data.c: what was filled in before it */

/* ---- where it stands (walk_state.c) ---- */

/* In the transaction of each record; done: this is the trailer. */
int walk_save(struct walker *w, bool done, struct err *err) MUST_USE;
/* As the store has it; leaves a fresh walker as it is when the run has not begun. */
int walk_restore(struct walker *w, struct err *err) MUST_USE;
int walk_keep_step(struct walker *w, struct err *err) MUST_USE;
/* Ends in the store what was running when the runner ended; the phase is still that of what runs. */
int walk_keep_unfinished(struct walker *w, const char *why, struct err *err) MUST_USE;
void walk_look_clear(struct look *l);
void walk_look_finish(struct look *l);

/* Notes what is to be told as the reason when all is over: the first one and how many. */
#define FIND(w, ...) ((w)->n_findings++ > 0 ? (void)0 : (void)snprintf((w)->finding, sizeof((w)->finding), __VA_ARGS__))

void walk_find_task(struct walker *w, const char *title, int64_t rc, const char *why);

/* ---- what was seen (walk_look.c) ---- */

/* Of w->before or w->after; NULL with the reason in `unreadable`. */
const struct schema *walk_schema(struct walker *w, struct look *l);
/* The step has ended: what was seen after it is what is there before the next. */
void walk_look_next(struct walker *w);
/* Whether nothing of what was seen differs. */
bool walk_look_same(const struct walker *w);

/* ---- what is found although the step was applied; round trips (walk_data.c) ---- */

/* Takes the leg of a step record and checks that it may come now, in this direction. */
int walk_leg(struct walker *w, const struct journal_record *r, struct step *s, const char *dir,
	     struct err *err) MUST_USE;
/* Every step of the walk has come, with all that belongs to it. */
bool walk_is_whole(const struct walker *w);
/* A counts record that says what was filled in before the step. */
bool walk_is_filling(const struct walker *w);
int walk_filled(struct walker *w, const struct journal_record *r, struct err *err) MUST_USE;
/* At the end of a step, classified: step.findings and step.trip. ok: by the runner's word. */
int walk_find(struct walker *w, bool ok, struct err *err) MUST_USE;
/* Counts the findings of a step that has ended, and whether it ended the walk. */
void walk_count_findings(struct walker *w, const struct step *s);

/* ---- taking records apart (walk_task.c) ---- */

/* ERR_BOX "journal: KIND: what". */
int walk_bad(const struct journal_record *r, struct err *err, const char *what);
/* A value that must be there, fit and be plain text. */
int walk_word(const struct journal_record *r, const char *key, char *out, size_t size, struct err *err) MUST_USE;
/* One of the words of the NULL-terminated list; *out is that list's own pointer. */
int walk_choice(const struct journal_record *r, const char *key, const char *const *words, const char **out,
		struct err *err) MUST_USE;
/* A number that is known beforehand: records come in order. */
int walk_expect(const struct journal_record *r, const char *key, int64_t want, struct err *err) MUST_USE;
/* A part of the current step that may come once. */
int walk_part(struct walker *w, const struct journal_record *r, enum seen part, struct err *err) MUST_USE;
/* As keep of a rule: the step as it is now. */
int walk_keep_part(struct walker *w, const struct journal_record *r, struct err *err) MUST_USE;
void walk_set_text(char **slot, const struct buf *text);
/* rc and ms (into w) and why of an end or ran record. */
int walk_end(struct walker *w, const struct journal_record *r, const char **why, struct err *err) MUST_USE;

#endif
