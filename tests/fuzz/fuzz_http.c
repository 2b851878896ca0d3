/* SPDX-License-Identifier: MIT */
/* The head of an answer as a hostile server may write it, line by line, then the judgement over what was understood;
 * and the same bytes as a URL to be shown. The .c itself is included: its line parser has no name outside. */
#include "cloud/http.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *s, size_t size)
{
	size_t n = strnlen(s, size);
	if (n == size)
		abort();
	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~')
			abort();
}

static void check_reply(const struct http_reply *r)
{
	check_text(r->request_id, sizeof(r->request_id));
	check_text(r->location, sizeof(r->location));
	check_text(r->subject_token, sizeof(r->subject_token));
	check_text(r->authenticate, sizeof(r->authenticate));
	check_text(r->content_type, sizeof(r->content_type));
	if (r->status < 0 || r->status > 999 || r->date < 0)
		abort();
	if (r->retry_after_ms < -1 || r->retry_after_ms > HTTP_RETRY_AFTER_MAX_MS)
		abort();
}

static void check_judgement(struct http_reply *r, bool final)
{
	r->fate = final ? HTTP_ANSWERED : HTTP_UNSURE;
	for (int i = 0; i < 8; i++) {
		int64_t ms = -1;
		bool safe = i & 1;
		enum http_next next = http_judge(r, safe, 1 + i / 2, 4, 0.25, &ms);
		if ((next == HTTP_AGAIN ? ms < 0 || ms > HTTP_RETRY_AFTER_MAX_MS + 1000 : ms != 0) ||
		    (safe && next == HTTP_LOOK) || (next == HTTP_AGAIN && i / 2 == 3))
			abort();
		/* The one rule that costs money. */
		if (!safe && next == HTTP_AGAIN && (!final || (r->status != 429 && r->status != 413)))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_reply r;
	struct exchange x = {.r = &r};
	http_reply_init(&r);
	const char *p = (const char *)data, *end = p + size;
	while (p < end && !x.final) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *next = lf ? lf + 1 : end;
		char *line = xmemdup(p, (size_t)(next - p));
		if (on_header(line, 1, (size_t)(next - p), &x) == 0)
			next = end;
		free(line);
		p = next;
	}
	check_reply(&r);
	buf_add(&r.body, p, (size_t)(end - p));
	check_judgement(&r, x.final);
	http_reply_finish(&r);

	char *url = xmemdup(data, size); /* NUL-terminated */
	struct buf shown = buf_make(BUF_TEXT_MAX);
	add_url(&shown, url);
	if (shown.len > URL_PRINT_MAX + 8)
		abort();
	buf_reset(&shown);
	http_escape(&shown, url);
	for (size_t i = 0; i < shown.len; i++)
		if (!isalnum((unsigned char)shown.data[i]) && !strchr("-._~%", shown.data[i]))
			abort();
	buf_finish(&shown);
	free(url);
	return 0;
}
