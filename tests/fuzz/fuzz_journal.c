/* SPDX-License-Identifier: MIT */
/* The journal as a hostile box may write it. The first bytes of the input say how to cut it into pieces; the pieces and
 * the whole must give the same records, and going on from the offset of any record the same rest. */
#include "provision/journal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NONCE "0123456789abcdef0123456789abcdef"
#define CUTS  8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct digest {
	uint64_t hash;
	size_t records;
	uint64_t middle; /* offset behind the first record */
	const struct journal *j;
};

static void mix(struct digest *d, const void *data, size_t n)
{
	const unsigned char *p = data;
	for (size_t i = 0; i < n; i++)
		d->hash = (d->hash ^ p[i]) * 1099511628211u;
	d->hash = (d->hash ^ n) * 1099511628211u;
}

static int take(void *ctx, const struct journal_record *r, struct err *err)
{
	struct digest *d = ctx;
	(void)err;
	if (r->payload[r->len] != '\0' || r->len > JOURNAL_MAX_PAYLOAD || r->n_keys > JOURNAL_MAX_KEYS)
		abort();
	mix(d, r->kind, strlen(r->kind));
	for (size_t i = 0; i < r->n_keys; i++) {
		mix(d, r->keys[i].key, strlen(r->keys[i].key));
		mix(d, r->keys[i].value, strlen(r->keys[i].value));
	}
	mix(d, r->payload, r->len);
	if (d->records++ == 0)
		d->middle = journal_offset(d->j);
	return 0;
}

/* Feeds data in pieces of the lengths in cuts[] (0: all that is left). Returns the offset reached; *rc as fed. */
static uint64_t feed(struct digest *d, const uint8_t *data, size_t size, const uint8_t cuts[CUTS], int *rc)
{
	CLEANUP(journal_freep) struct journal *j = journal_new(NONCE, 0, take, d);
	struct err err = ERR_INIT;
	d->j = j;
	*rc = 0;
	for (size_t at = 0, i = 0; at < size && *rc == 0; i++) {
		size_t n = cuts[i % CUTS] ? cuts[i % CUTS] : size - at;
		if (n > size - at)
			n = size - at;
		*rc = journal_feed(j, data + at, n, &err);
		at += n;
	}
	if ((*rc != 0) != (err.msg[0] != '\0'))
		abort();
	return journal_offset(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t whole[CUTS];
	if (size < CUTS)
		return 0;
	const uint8_t *cuts = data;
	data += CUTS;
	size -= CUTS;
	struct digest a = {0}, b = {0};
	int rc_a = 0, rc_b = 0;
	uint64_t end_a = feed(&a, data, size, whole, &rc_a);
	uint64_t end_b = feed(&b, data, size, cuts, &rc_b);
	if (rc_a != rc_b || end_a != end_b || a.hash != b.hash || a.records != b.records || end_a > size)
		abort();
	if (a.records > 1) {
		struct digest c = {0};
		int rc_c = 0;
		uint64_t end_c = feed(&c, data + a.middle, size - a.middle, cuts, &rc_c);
		if (rc_c != rc_a || end_c + a.middle != end_a || c.records != a.records - 1)
			abort();
	}
	return 0;
}
