/* SPDX-License-Identifier: MIT */
/* Where something begins to hold, in an ordered list of places of which only some were looked at: what to ask next, and
 * what the answers say. Pure functions. */
#ifndef STEPBOX_MIGRATIONS_BISECT_H
#define STEPBOX_MIGRATIONS_BISECT_H

#include <stdbool.h>
#include <stddef.h>

enum answer { ANSWER_NONE, ANSWER_NO, ANSWER_YES, ANSWER_SKIP /* asked, but cannot be told */ };

struct bisect {
	enum answer *answers; /* of n places; owned */
	size_t n;
	size_t good, bad; /* the search is between these: the last known NO before the first known YES */
	bool back;        /* a NO was seen behind a YES: what is found is one of several beginnings */
};

/* Between good and bad, good < bad < n; neither has been asked. */
void bisect_init(struct bisect *b, size_t n, size_t good, size_t bad);
void bisect_finish(struct bisect *b);
/* Notes an answer and moves good and bad. */
void bisect_note(struct bisect *b, size_t at, enum answer answer);
/* At most k places to ask next, in rising order, such that they divide what is left evenly. 0: all that can be known
 * is known. */
size_t bisect_pick(const struct bisect *b, size_t k, size_t *out);
/* How many places between good and bad have no answer yet. */
size_t bisect_left(const struct bisect *b);
/* Rounds of k that are still needed at most. */
size_t bisect_rounds(const struct bisect *b, size_t k);

#endif
