/* SPDX-License-Identifier: MIT */
#include "provision/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define NONCE "0123456789abcdef0123456789abcdef"
#define AT    "@" NONCE " "

/* Writes down what it is told: "kind k=v k=v|payload\n". */
struct seen {
	struct buf text;
	uint64_t last_offset;
	const struct journal *j;
	const char *fail_at;
};

static int see(void *ctx, const struct journal_record *r, struct err *err)
{
	struct seen *s = ctx;
	if (s->fail_at && strcmp(r->kind, s->fail_at) == 0)
		return err_set(err, ERR_BOX, 0, "no thanks");
	assert_int_equal(r->payload[r->len], 0);
	buf_adds(&s->text, r->kind);
	for (size_t i = 0; i < r->n_keys; i++)
		buf_addf(&s->text, " %s=%s", r->keys[i].key, r->keys[i].value);
	buf_addc(&s->text, '|');
	buf_add(&s->text, r->payload, r->len);
	buf_addc(&s->text, '\n');
	s->last_offset = journal_offset(s->j);
	return 0;
}

/* Feeds text in pieces of `step` bytes into a new journal. Returns journal_feed()'s last word. */
static int feed(struct seen *s, const char *text, size_t len, size_t step, struct err *err)
{
	CLEANUP(journal_freep) struct journal *j = journal_new(NONCE, 0, see, s);
	s->j = j;
	for (size_t at = 0; at < len; at += step)
		if (journal_feed(j, text + at, len - at < step ? len - at : step, err) != 0)
			return -1;
	return 0;
}

static const char good[] = AT "hello run=r1 pid=7 utc=2026-11-22T18:00:00Z\n" AT
			      "task n=1 kind=setup timeout=60 len=7\na title\n" AT "out task=1 len=5\na\0\n@b\n" AT
			      "out task=1 len=0\n\n" AT "end n=1 rc=0 ms=10 why=exit\n" AT "done ok=1 why= ms=12\n"
			      "whatever comes behind\n";
static const char good_seen[] = "hello run=r1 pid=7 utc=2026-11-22T18:00:00Z|\n"
				"task n=1 kind=setup timeout=60 len=7|a title\n"
				"out task=1 len=5|a\0\n@b\n"
				"out task=1 len=0|\n"
				"end n=1 rc=0 ms=10 why=exit|\n"
				"done ok=1 why= ms=12|\n";

static void records_come_out_whatever_the_pieces(void **state)
{
	(void)state;
	for (size_t step = 1; step < sizeof(good); step++) {
		struct err err = ERR_INIT;
		struct seen s = {.text = buf_make(BUF_TEXT_MAX)};
		assert_int_equal(feed(&s, good, sizeof(good) - 1, step, &err), 0);
		assert_int_equal(s.text.len, sizeof(good_seen) - 1);
		assert_memory_equal(s.text.data, good_seen, s.text.len);
		assert_int_equal(s.last_offset, strstr(good + sizeof(good) - 30, "whatever") - good);
		buf_finish(&s.text);
	}
}

static void going_on_from_an_offset_gives_the_rest(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const size_t cut = strlen(AT "hello run=r1 pid=7 utc=2026-11-22T18:00:00Z\n") + 50;
	struct seen s = {.text = buf_make(BUF_TEXT_MAX)};
	CLEANUP(journal_freep) struct journal *j = journal_new(NONCE, 0, see, &s);
	s.j = j;
	assert_int_equal(journal_feed(j, good, cut, &err), 0);
	assert_int_equal(journal_offset(j), cut - 50);
	/* The same parser on a new connection. */
	journal_rewind(j);
	uint64_t from = journal_offset(j);
	assert_int_equal(journal_feed(j, good + from, sizeof(good) - 1 - from, &err), 0);
	assert_true(journal_is_done(j));
	assert_int_equal(s.text.len, sizeof(good_seen) - 1);
	assert_memory_equal(s.text.data, good_seen, s.text.len);
	/* Another process that had stored the offset. */
	struct seen t = {.text = buf_make(BUF_TEXT_MAX)};
	CLEANUP(journal_freep) struct journal *k = journal_new(NONCE, from, see, &t);
	t.j = k;
	assert_int_equal(journal_feed(k, good + from, sizeof(good) - 1 - from, &err), 0);
	assert_int_equal(t.last_offset, s.last_offset);
	assert_string_equal(t.text.data, strchr(good_seen, '\n') + 1);
	buf_finish(&s.text);
	buf_finish(&t.text);
}

static void broken_journals_are_refused_with_their_place(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"hello\n", "journal: byte 0: not a record of this run: \"hello\""},
		{AT "hello\nmotd: welcome\n", "journal: byte 40: not a record of this run: \"motd: welcome\""},
		{"@0123456789abcdef0123456789abcdeF hello\n", "not a record of this run"},
		{"@0123 hello\n", "not a record of this run"},
		{"\n", "not a record of this run"},
		{AT "\n", "a bad kind"},
		{AT "Hello\n", "a bad kind"},
		{AT "hello \n", "a key without value"},
		{AT "hello a\n", "a key without value"},
		{AT "hello a b=c\n", "a key without value"},
		{AT "hello =c\n", "a bad key"},
		{AT "hello a=1 a=2\n", "a bad key, or one twice"},
		{AT "hello A=1\n", "a bad key"},
		{AT "hello a=1  b=2\n", "a key without value"},
		{AT "hello a=\x1b[2J\n", "not a record: \"" AT "hello a=\\x1b[2J\""},
		{AT "hello a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1\n", "too many keys"},
		{AT "out len=-1\n", "a bad len: \"" AT "out len=-1\""},
		{AT "out len=16777217\n", "a bad len"},
		{AT "out len=99999999999999999999\n", "a bad len"},
		{AT "out len=0x10\n", "a bad len"},
		{AT "out len=\n", "a bad len"},
		{AT "out len=2\nabc\n", "a payload without end"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t step = 1; step < 100; step += 98) {
			struct err err = ERR_INIT;
			struct seen s = {.text = buf_make(BUF_TEXT_MAX)};
			assert_int_equal(feed(&s, cases[i].text, strlen(cases[i].text), step, &err), -1);
			assert_int_equal(err.reach, ERR_BOX);
			if (!strstr(err.msg, cases[i].message))
				fail_msg("case %zu: %s", i, err.msg);
			buf_finish(&s.text);
		}
	}
}

static void a_header_has_a_maximum(void **state)
{
	(void)state;
	char line[JOURNAL_MAX_HEADER + 2];
	for (size_t len = JOURNAL_MAX_HEADER - 1; len <= JOURNAL_MAX_HEADER + 1; len++) {
		int n = snprintf(line, sizeof(line), AT "hello a=");
		memset(line + n, 'x', len - (size_t)n);
		line[len - 1] = '\n';
		struct err err = ERR_INIT;
		struct seen s = {.text = buf_make(BUF_TEXT_MAX)};
		assert_int_equal(feed(&s, line, len, 7, &err), len <= JOURNAL_MAX_HEADER ? 0 : -1);
		buf_finish(&s.text);
	}
}

static void an_error_stays(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct seen s = {.text = buf_make(BUF_TEXT_MAX), .fail_at = "task"};
	CLEANUP(journal_freep) struct journal *j = journal_new(NONCE, 0, see, &s);
	s.j = j;
	assert_int_equal(journal_feed(j, good, sizeof(good) - 1, &err), -1);
	assert_string_equal(err.msg, "no thanks");
	/* The record that was not taken is not behind us. */
	assert_int_equal(journal_offset(j), strchr(good, '\n') + 1 - good);
	assert_false(journal_is_done(j));
	err_clear(&err);
	assert_int_equal(journal_feed(j, AT "hello\n", 40, &err), -1);
	assert_string_equal(err.msg, "no thanks");
	buf_finish(&s.text);
}

static void a_payload_may_be_as_large_as_its_maximum(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct seen s = {.text = buf_make(JOURNAL_MAX_PAYLOAD + 1000)};
	CLEANUP(journal_freep) struct journal *j = journal_new(NONCE, 0, see, &s);
	s.j = j;
	AUTO_FREE char *payload = xcalloc(JOURNAL_MAX_PAYLOAD, 1);
	static const char head[] = AT "dump n=1 len=16777216\n";
	assert_int_equal(journal_feed(j, head, sizeof(head) - 1, &err), 0);
	assert_int_equal(journal_feed(j, payload, JOURNAL_MAX_PAYLOAD, &err), 0);
	assert_int_equal(s.text.len, 0);
	assert_int_equal(journal_feed(j, "\n", 1, &err), 0);
	assert_int_equal(s.text.len, strlen("dump n=1 len=16777216|\n") + JOURNAL_MAX_PAYLOAD);
	buf_finish(&s.text);
}

static void a_journal_has_a_maximum(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct seen s = {.text = buf_make(BUF_TEXT_MAX)};
	CLEANUP(journal_freep) struct journal *j = journal_new(NONCE, JOURNAL_MAX_TOTAL - 40, see, &s);
	s.j = j;
	assert_int_equal(journal_feed(j, AT "hello\n" AT "hello\n", 80, &err), -1);
	assert_string_equal(err.msg, "journal: more than 4294967296 bytes");
	assert_string_equal(s.text.data, "hello|\n");
	buf_finish(&s.text);
}

static void numbers_are_checked(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	int64_t n = 0;
	struct journal_record r = {.kind = "step", .n_keys = 2, .keys = {{"n", "12"}, {"rc", "-1"}}, .payload = ""};
	assert_int_equal(journal_int(&r, "n", 0, 100, &n, &err), 0);
	assert_int_equal(n, 12);
	assert_int_equal(journal_int(&r, "rc", 0, 255, &n, &err), -1);
	assert_int_equal(err.reach, ERR_BOX);
	assert_non_null(strstr(err.msg, "journal: step: rc: "));
	assert_int_equal(journal_int(&r, "ms", 0, 255, &n, &err), -1);
	assert_string_equal(err.msg, "journal: step: ms: missing");
	assert_null(journal_get(&r, "ms"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_out_whatever_the_pieces),
		cmocka_unit_test(going_on_from_an_offset_gives_the_rest),
		cmocka_unit_test(broken_journals_are_refused_with_their_place),
		cmocka_unit_test(a_header_has_a_maximum),
		cmocka_unit_test(an_error_stays),
		cmocka_unit_test(a_payload_may_be_as_large_as_its_maximum),
		cmocka_unit_test(a_journal_has_a_maximum),
		cmocka_unit_test(numbers_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
