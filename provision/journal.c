/* SPDX-License-Identifier: MIT */
/* How it works: bytes go into `line` until LF; the line is taken apart in place; with a len= key as many bytes and one
 * LF follow, into `payload`. A buffer grows with what really arrived, never by what a header promises. */
#include "provision/journal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

/* A payload buffer larger than this is given back after its record. */
#define KEEP_PAYLOAD ((size_t)1 << 20)

enum state { IN_HEADER, IN_PAYLOAD, IN_TAIL };

struct journal {
	char nonce[JOURNAL_NONCE_LEN + 1];
	journal_fn fn;
	void *ctx;
	uint64_t offset; /* behind the last complete record */
	uint64_t seen;   /* bytes taken of the record that is not complete */
	enum state state;
	bool done;
	struct err broken; /* the first error: the journal stays at it */
	char line[JOURNAL_MAX_HEADER];
	size_t line_len;
	struct buf payload;
	struct journal_record rec; /* points into line and payload */
};

const char *journal_get(const struct journal_record *r, const char *key)
{
	for (size_t i = 0; i < r->n_keys; i++)
		if (strcmp(r->keys[i].key, key) == 0)
			return r->keys[i].value;
	return NULL;
}

int journal_int(const struct journal_record *r, const char *key, int64_t min, int64_t max, int64_t *out,
		struct err *err)
{
	const char *value = journal_get(r, key);
	if (!value)
		return err_set(err, ERR_BOX, 0, "journal: %s: %s: missing", r->kind, key);
	if (text_parse_int(key, value, min, max, out, err) == 0)
		return 0;
	err->reach = ERR_BOX; /* the box's word, not the user's */
	return err_ctx(err, "journal: %s", r->kind);
}

struct journal *journal_new(const char *nonce, uint64_t offset, journal_fn fn, void *ctx)
{
	assert(strlen(nonce) == JOURNAL_NONCE_LEN);
	struct journal *j = xcalloc(1, sizeof(*j));
	memcpy(j->nonce, nonce, JOURNAL_NONCE_LEN);
	j->offset = offset;
	j->fn = fn;
	j->ctx = ctx;
	j->payload = buf_make(JOURNAL_MAX_PAYLOAD);
	return j;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	buf_finish(&j->payload);
	free(j);
}

void journal_freep(struct journal **j)
{
	journal_free(*j);
	*j = NULL;
}

uint64_t journal_offset(const struct journal *j)
{
	return j->offset;
}

bool journal_is_done(const struct journal *j)
{
	return j->done;
}

void journal_rewind(struct journal *j)
{
	j->state = IN_HEADER;
	j->line_len = 0;
	j->seen = 0;
	if (j->payload.cap > KEEP_PAYLOAD)
		buf_finish(&j->payload);
	buf_reset(&j->payload);
}

/* The journal is not as its format says; the place is the byte where the broken record begins. */
static int broken(const struct journal *j, struct err *err, const char *what)
{
	AUTO_BUF shown = buf_make(256);
	text_safe_line(&shown, j->line, strnlen(j->line, j->line_len), 80);
	return err_set(err, ERR_BOX, 0, "journal: byte %" PRIu64 ": %s: \"%s\"", j->offset, what, shown.data);
}

static bool is_word(const char *s)
{
	return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/* "kind key=value key=value" in place. */
static const char *split_header(struct journal_record *r, char *s)
{
	r->kind = s;
	while ((s = strchr(s, ' '))) {
		*s++ = '\0';
		char *eq = strchr(s, '=');
		char *space = strchr(s, ' ');
		if (!eq || (space && space < eq))
			return "a key without value";
		if (r->n_keys == JOURNAL_MAX_KEYS)
			return "too many keys";
		*eq = '\0';
		if (!is_word(s) || journal_get(r, s))
			return "a bad key, or one twice";
		r->keys[r->n_keys].key = s;
		r->keys[r->n_keys++].value = eq + 1;
		s = eq + 1;
	}
	return is_word(r->kind) ? NULL : "a bad kind";
}

/* Takes the complete line (LF replaced by NUL) apart. Returns what is wrong with it, or NULL. */
static const char *parse_header(struct journal *j)
{
	for (size_t i = 0; i + 1 < j->line_len; i++)
		if ((unsigned char)j->line[i] < ' ' || j->line[i] == 0x7F)
			return "not a record";
	if (j->line_len < JOURNAL_NONCE_LEN + 3 || j->line[0] != '@' || j->line[1 + JOURNAL_NONCE_LEN] != ' ' ||
	    memcmp(j->line + 1, j->nonce, JOURNAL_NONCE_LEN) != 0)
		return "not a record of this run";
	j->rec = (struct journal_record){0};
	return split_header(&j->rec, j->line + JOURNAL_NONCE_LEN + 2);
}

/* Gives the complete record out. The offset is behind it already during the call, so that whoever stores the record can
 * store the offset with it. */
static int deliver(struct journal *j, struct err *err)
{
	uint64_t before = j->offset;
	j->offset += j->seen;
	j->done = strcmp(j->rec.kind, "done") == 0;
	j->rec.payload = j->payload.data;
	j->rec.len = j->payload.len;
	if (j->fn(j->ctx, &j->rec, err) != 0) {
		j->offset = before;
		j->done = false;
		return -1;
	}
	journal_rewind(j);
	return 0;
}

static int end_of_header(struct journal *j, struct err *err)
{
	j->line[j->line_len - 1] = '\0';
	AUTO_FREE char *as_it_was = xmemdup(j->line, j->line_len);
	const char *wrong = parse_header(j);
	if (!wrong && journal_get(&j->rec, "len")) {
		int64_t len = 0;
		struct err e = ERR_INIT;
		if (journal_int(&j->rec, "len", 0, (int64_t)JOURNAL_MAX_PAYLOAD, &len, &e) == 0) {
			j->rec.len = (size_t)len;
			j->state = len > 0 ? IN_PAYLOAD : IN_TAIL;
			return 0;
		}
		wrong = "a bad len";
	}
	if (!wrong)
		return deliver(j, err);
	memcpy(j->line, as_it_was, j->line_len);
	return broken(j, err, wrong);
}

/* Each of these takes a part of the n bytes at p (n > 0) and returns how many, or -1. */
static ssize_t take_header(struct journal *j, const char *p, size_t n, struct err *err)
{
	const char *lf = memchr(p, '\n', n);
	size_t take = lf ? (size_t)(lf - p) + 1 : n;
	size_t room = sizeof(j->line) - j->line_len;
	size_t copy = take < room ? take : room;
	memcpy(j->line + j->line_len, p, copy);
	j->line_len += copy;
	j->seen += copy;
	if (take > room || (!lf && take == room))
		return broken(j, err, "a header without end");
	if (lf && end_of_header(j, err) != 0)
		return -1;
	return (ssize_t)copy;
}

static ssize_t take_payload(struct journal *j, const char *p, size_t n)
{
	size_t missing = j->rec.len - j->payload.len;
	size_t take = n < missing ? n : missing;
	int rc = buf_add(&j->payload, p, take);
	assert(rc == 0); /* len was checked against the buffer's maximum */
	j->seen += take;
	if (take == missing)
		j->state = IN_TAIL;
	return (ssize_t)take;
}

static ssize_t take_tail(struct journal *j, const char *p, struct err *err)
{
	if (*p != '\n')
		return broken(j, err, "a payload without end");
	j->seen++;
	return deliver(j, err) == 0 ? 1 : -1;
}

static ssize_t take(struct journal *j, const char *p, size_t n, struct err *err)
{
	switch (j->state) {
	case IN_HEADER:
		return take_header(j, p, n, err);
	case IN_PAYLOAD:
		return take_payload(j, p, n);
	case IN_TAIL:
		break;
	}
	return take_tail(j, p, err);
}

int journal_feed(struct journal *j, const void *data, size_t n, struct err *err)
{
	const char *p = data;
	if (j->broken.reach != ERR_NONE) {
		*err = j->broken;
		return -1;
	}
	while (n > 0 && !j->done) {
		ssize_t took = -1;
		if (j->offset + j->seen >= JOURNAL_MAX_TOTAL)
			err_set(err, ERR_BOX, 0, "journal: more than %" PRIu64 " bytes", JOURNAL_MAX_TOTAL);
		else
			took = take(j, p, n, err);
		if (took < 0) {
			j->broken = *err;
			return -1;
		}
		p += took;
		n -= (size_t)took;
	}
	return 0;
}
