/* SPDX-License-Identifier: MIT */
#include "migrations/bisect.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

void bisect_init(struct bisect *b, size_t n, size_t good, size_t bad)
{
	assert(good < bad && bad < n);
	*b = (struct bisect){.answers = xcalloc(n, sizeof(*b->answers)), .n = n, .good = good, .bad = bad};
}

void bisect_finish(struct bisect *b)
{
	free(b->answers);
	*b = (struct bisect){0};
}

void bisect_note(struct bisect *b, size_t at, enum answer answer)
{
	assert(at < b->n);
	b->answers[at] = answer;
	if (answer == ANSWER_YES && at > b->good && at < b->bad)
		b->bad = at;
	/* A NO only counts in front of the first YES. */
	for (size_t i = b->good + 1; i < b->bad; i++) {
		if (b->answers[i] == ANSWER_NO)
			b->good = i;
	}
	bool yes = false;
	for (size_t i = 0; i < b->n; i++) {
		yes |= b->answers[i] == ANSWER_YES;
		b->back |= yes && b->answers[i] == ANSWER_NO;
	}
}

size_t bisect_left(const struct bisect *b)
{
	size_t left = 0;
	for (size_t i = b->good + 1; i < b->bad; i++)
		left += b->answers[i] == ANSWER_NONE;
	return left;
}

/* The m-th place (from 0) between good and bad that has no answer. */
static size_t open_place(const struct bisect *b, size_t m)
{
	size_t i = b->good + 1;
	for (; i < b->bad; i++) {
		if (b->answers[i] == ANSWER_NONE && m-- == 0)
			break;
	}
	return i;
}

size_t bisect_pick(const struct bisect *b, size_t k, size_t *out)
{
	size_t left = bisect_left(b);
	if (k > left)
		k = left;
	for (size_t i = 0; i < k; i++)
		out[i] = open_place(b, (i + 1) * (left + 1) / (k + 1) - 1);
	return k;
}

size_t bisect_rounds(const struct bisect *b, size_t k)
{
	size_t rounds = 0, left = bisect_left(b);
	for (; left > 0 && k > 0; rounds++)
		left = left > k ? (left - k + k) / (k + 1) : 0; /* the widest of the k + 1 gaps, rounded up */
	return rounds;
}
