/* SPDX-License-Identifier: MIT */
#include "cloud/fault.h"

#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/text.h"

#define CUT "[cut]"
/* Of a message only so much is looked at: far more than is shown, since markup and echoes in front go away. */
#define LOOK_MAX ((size_t)64 << 10)
/* Shorter secrets are found as whole words only: "demo" must not take pieces out of "democracy". */
#define WORD_LEN 6
/* At the end of a text, the beginning of a secret is seen as such from this length on. */
#define PREFIX_LEN 4
#define WORD_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

/* ---- secrets ---- */

static void add_spelling(struct secrets *s, const char *text)
{
	if (!text || !*text || s->n >= SECRETS_MAX)
		return;
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i], text) == 0)
			return;
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 16;
		s->v = xrealloc(s->v, s->cap, sizeof(*s->v));
	}
	s->v[s->n++] = xstrdup(text);
}

static void wipe_buf(struct buf *b)
{
	explicit_bzero(b->data, b->len);
	buf_finish(b);
}

static void add_json_spelling(struct secrets *s, const char *secret, size_t flags)
{
	json_t *string = json_string(secret); /* NULL when it is not UTF-8: then no JSON can hold it */
	char *text = string ? json_dumps(string, JSON_ENCODE_ANY | flags) : NULL;
	if (text) {
		size_t n = strlen(text);
		text[n - 1] = '\0'; /* without the quotes */
		add_spelling(s, text + 1);
		explicit_bzero(text, n);
	}
	free(text);
	json_decref(string);
}

enum spelling { PYTHON, HTML, HTML_NUMERIC, URL };

static void spell(struct buf *out, const char *secret, enum spelling how)
{
	for (const char *p = secret; *p; p++) {
		bool plain = isalnum((unsigned char)*p) || strchr("-._~", *p);
		if (how == URL && !plain)
			buf_addf(out, "%%%02X", (unsigned char)*p);
		else if (how == PYTHON && (*p == '\\' || *p == '\''))
			buf_addf(out, "\\%c", *p);
		else if (how != PYTHON && how != URL && *p == '<')
			buf_adds(out, "&lt;");
		else if (how != PYTHON && how != URL && *p == '>')
			buf_adds(out, "&gt;");
		else if (how != PYTHON && how != URL && *p == '&')
			buf_adds(out, "&amp;");
		else if (how != PYTHON && how != URL && *p == '"')
			buf_adds(out, how == HTML ? "&quot;" : "&#34;");
		else if (how == HTML_NUMERIC && *p == '\'')
			buf_adds(out, "&#39;");
		else if (how == HTML && *p == '\'')
			buf_adds(out, "&#x27;");
		else
			buf_addc(out, *p);
	}
}

void secrets_add(struct secrets *s, const char *secret)
{
	if (!secret || !*secret)
		return;
	add_spelling(s, secret);
	add_json_spelling(s, secret, 0);
	add_json_spelling(s, secret, JSON_ENSURE_ASCII);
	static const enum spelling all[] = {PYTHON, HTML, HTML_NUMERIC, URL};
	struct buf b = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		spell(&b, secret, all[i]);
		add_spelling(s, b.data);
		explicit_bzero(b.data, b.len);
		buf_reset(&b);
	}
	base64_encode(&b, secret, strlen(secret));
	/* Padding depends on what follows: without it. */
	while (b.len > 0 && b.data[b.len - 1] == '=')
		b.data[--b.len] = '\0';
	add_spelling(s, b.data);
	wipe_buf(&b);
}

void secrets_finish(struct secrets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		explicit_bzero(s->v[i], strlen(s->v[i]));
		free(s->v[i]);
	}
	free(s->v);
	*s = (struct secrets){0};
}

/* ---- cutting: first the bytes are marked, all of them on the original text, then they are left out ---- */

static bool word_char(char c)
{
	return c && strchr(WORD_CHARS, c);
}

static void mark_secret(const char *secret, const char *text, size_t n, bool *marks)
{
	size_t len = strlen(secret);
	for (const char *p = text; (p = memmem(p, n - (size_t)(p - text), secret, len)); p++) {
		size_t at = (size_t)(p - text);
		bool inside = (at > 0 && word_char(text[at - 1])) || (at + len < n && word_char(text[at + len]));
		if (len >= WORD_LEN || !inside)
			memset(marks + at, true, len);
	}
	size_t least = len / 2 > PREFIX_LEN ? len / 2 : PREFIX_LEN;
	for (size_t k = len - 1; len > 0 && k >= least; k--) {
		if (k > n || memcmp(text + n - k, secret, k) != 0)
			continue;
		memset(marks + n - k, true, k);
		break;
	}
}

static bool base64_char(char c)
{
	return isalnum((unsigned char)c) || c == '+' || c == '/' || c == '=' || c == '-' || c == '_';
}

static size_t base64_run(const char *text, size_t n)
{
	size_t len = 0;
	while (len < n && base64_char(text[len]))
		len++;
	return len;
}

/* The path of a URL has the same characters, but pieces that are short, and no capitals: base64 of that length always
 * has some. */
static bool is_path(const char *run, size_t len)
{
	size_t piece = 0;
	bool slash = false;
	for (size_t i = 0; i < len; i++) {
		if (isupper((unsigned char)run[i]) || run[i] == '+' || run[i] == '=')
			return false;
		slash |= run[i] == '/';
		piece = run[i] == '/' ? 0 : piece + 1;
		if (piece > FAULT_BASE64_MAX)
			return false;
	}
	return slash;
}

/* Length of a line end, as it is or escaped. */
static size_t line_end(const char *text, size_t n)
{
	if (n >= 1 && *text == '\n')
		return 1;
	if (n >= 2 && (memcmp(text, "\r\n", 2) == 0 || memcmp(text, "\\n", 2) == 0))
		return 2;
	return n >= 4 && memcmp(text, "\\r\\n", 4) == 0 ? 4 : 0;
}

static void mark_base64(const char *text, size_t n, bool *marks)
{
	for (size_t at = 0; at < n;) {
		size_t len = base64_run(text + at, n - at);
		if (len <= FAULT_BASE64_MAX || is_path(text + at, len)) {
			at += len ? len : 1;
			continue;
		}
		size_t end = line_end(text + at + len, n - at - len);
		size_t more = end ? base64_run(text + at + len + end, n - at - len - end) : 0;
		while (more > 0) { /* wrapped: its last line may be short */
			len += end + more;
			end = line_end(text + at + len, n - at - len);
			more = end ? base64_run(text + at + len + end, n - at - len - end) : 0;
		}
		memset(marks + at, true, len);
		at += len;
	}
}

void secrets_cut(const struct secrets *s, struct buf *out, const char *text, size_t n)
{
	if (n == 0)
		return;
	AUTO_FREE bool *marks = xcalloc(n, sizeof(*marks));
	for (size_t i = 0; s && i < s->n; i++)
		mark_secret(s->v[i], text, n, marks);
	mark_base64(text, n, marks);
	for (size_t at = 0; at < n;) {
		size_t end = at;
		while (end < n && marks[end] == marks[at])
			end++;
		if (marks[at])
			buf_adds(out, CUT);
		else
			buf_add(out, text + at, end - at);
		at = end;
	}
}

void secrets_cut_text(const struct secrets *s, char *text, size_t size)
{
	struct buf b = buf_make(BUF_TEXT_MAX);
	secrets_cut(s, &b, text, strlen(text));
	size_t n = b.len < size ? b.len : size - 1;
	while (n < b.len && n > 0 && ((unsigned char)b.data[n] & 0xC0) == 0x80) /* no half of a character */
		n--;
	memcpy(text, b.data, n);
	text[n] = '\0';
	buf_finish(&b);
}

/* ---- markup ---- */

/* Tags that glance and wsgi servers put into the message of a JSON body; others may be the cloud's words ("<uuid>"). */
static bool known_tag(const char *name, size_t n)
{
	static const char *const tags[] = {"br", "p",   "b",  "i",   "h1",   "h2",     "h3", "html", "head",  "title",
					   "hr", "pre", "li", "div", "span", "strong", "em", "body", "center"};
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
		if (strlen(tags[i]) == n && strncasecmp(tags[i], name, n) == 0)
			return true;
	return false;
}

/* Length of the name of the tag behind "<" or "</". */
static size_t tag_name(const char *text, size_t n)
{
	size_t len = 0;
	while (len < n && isalnum((unsigned char)text[len]))
		len++;
	return len;
}

static const char *find_nocase(const char *text, size_t n, const char *what)
{
	size_t len = strlen(what);
	for (size_t i = 0; i + len <= n; i++)
		if (strncasecmp(text + i, what, len) == 0)
			return text + i;
	return NULL;
}

/* How much of text ("<…") is markup that does not show; 0: it is text. */
static size_t markup(const char *text, size_t n, bool html)
{
	if (html && n >= 4 && memcmp(text, "<!--", 4) == 0) {
		const char *end = memmem(text, n, "-->", 3);
		return end ? (size_t)(end - text) + 3 : n;
	}
	static const char *const unseen[][2] = {{"<script", "</script>"},
						{"<style", "</style>"},
						{"<title", "</title>"},
						{"<head>", "</head>"},
						{"<head ", "</head>"}};
	for (size_t i = 0; html && i < ARRAY_SIZE(unseen); i++) {
		size_t len = strlen(unseen[i][0]);
		if (n < len || strncasecmp(text, unseen[i][0], len) != 0)
			continue;
		const char *end = find_nocase(text, n, unseen[i][1]);
		return end ? (size_t)(end - text) + strlen(unseen[i][1]) : n;
	}
	size_t slash = n > 1 && text[1] == '/';
	size_t name = tag_name(text + 1 + slash, n - 1 - slash);
	bool declaration = html && n > 1 && (text[1] == '!' || text[1] == '?');
	if (!declaration && (name == 0 || (!html && !known_tag(text + 1 + slash, name))))
		return 0;
	const char *end = memchr(text, '>', n);
	return end ? (size_t)(end - text) + 1 : html ? n : 0;
}

static void add_utf8(struct buf *out, uint32_t c)
{
	if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
		buf_addc(out, '?');
	} else if (c < 0x80) {
		buf_addc(out, (char)c);
	} else if (c < 0x800) {
		buf_addc(out, (char)(0xC0 | c >> 6));
		buf_addc(out, (char)(0x80 | (c & 0x3F)));
	} else if (c < 0x10000) {
		buf_addc(out, (char)(0xE0 | c >> 12));
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3F)));
		buf_addc(out, (char)(0x80 | (c & 0x3F)));
	} else {
		buf_addc(out, (char)(0xF0 | c >> 18));
		buf_addc(out, (char)(0x80 | (c >> 12 & 0x3F)));
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3F)));
		buf_addc(out, (char)(0x80 | (c & 0x3F)));
	}
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* "&#39;" or "&#x27;"; returns its length, 0 when it is none. */
static size_t numeric_entity(struct buf *out, const char *text, size_t n)
{
	if (n < 4 || text[1] != '#')
		return 0;
	int base = text[2] == 'x' || text[2] == 'X' ? 16 : 10;
	size_t i = base == 16 ? 3 : 2, first = i;
	uint32_t c = 0;
	for (; i < n && i < first + 8 && digit_value(text[i]) < base; i++)
		c = c * (uint32_t)base + (uint32_t)digit_value(text[i]);
	if (i == first || i >= n || text[i] != ';')
		return 0;
	add_utf8(out, c);
	return i + 1;
}

static size_t entity(struct buf *out, const char *text, size_t n)
{
	static const char *const names[][2] = {{"&lt;", "<"},    {"&gt;", ">"},   {"&amp;", "&"},
					       {"&quot;", "\""}, {"&apos;", "'"}, {"&nbsp;", " "}};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = strlen(names[i][0]);
		if (n >= len && memcmp(text, names[i][0], len) == 0) {
			buf_adds(out, names[i][1]);
			return len;
		}
	}
	return numeric_entity(out, text, n);
}

/* The text between the tags; html: the whole is a document, not a message with some tags in it. */
static void strip_markup(struct buf *out, const char *text, size_t n, bool html)
{
	for (size_t at = 0; at < n;) {
		size_t len = 0;
		if (text[at] == '<' && (len = markup(text + at, n - at, html)) > 0)
			buf_addc(out, ' ');
		else if (text[at] == '&')
			len = entity(out, text + at, n - at);
		if (len == 0) {
			buf_addc(out, text[at]);
			len = 1;
		}
		at += len;
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static void collapse_blanks(struct buf *out, const char *text, size_t n)
{
	bool gap = false;
	for (size_t i = 0; i < n; i++) {
		if (is_blank(text[i])) {
			gap = out->len > 0;
			continue;
		}
		if (gap)
			buf_addc(out, ' ');
		gap = false;
		buf_addc(out, text[i]);
	}
}

/* ---- the shapes ---- */

static const char *string_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s && s[strspn(s, " \t\r\n")] ? s : NULL;
}

/* The message in an object that has one, under the names in use. */
static const char *message_of(const json_t *object)
{
	static const char *const keys[] = {"message", "detail", "faultstring", "error_message", "details", "title"};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *s = string_of(object, keys[i]);
		if (s)
			return s;
	}
	return NULL;
}

/* {"message": …} (glance), {"<word>": {"message": …}} (nova, keystone, neutron), {"NeutronError": "…"}, {"errors":
 * [{"detail": …}]} (placement). Borrowed. */
static const char *json_message(const json_t *root)
{
	const char *found = message_of(root);
	if (found)
		return found;
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)root, key, value) {
		found = json_is_array(value) ? message_of(json_array_get(value, 0)) : message_of(value);
		if (!found && (strcmp(key, "NeutronError") == 0 || strcmp(key, "error") == 0))
			found = string_of(root, key);
		if (found)
			return found;
	}
	return NULL;
}

static uint32_t hex4(const char *text, size_t n)
{
	uint32_t c = 0;
	for (size_t i = 0; i < 4; i++) {
		if (i >= n || digit_value(text[i]) >= 16)
			return 0;
		c = c << 4 | (uint32_t)digit_value(text[i]);
	}
	return c;
}

/* One escape of a JSON string behind its backslash; returns its length. */
static size_t json_escape(struct buf *out, const char *text, size_t n)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *p = n > 0 && text[0] ? strchr(from, text[0]) : NULL;
	if (n > 0 && text[0] == 'u') {
		add_utf8(out, hex4(text + 1, n - 1)); /* halves of a pair become "?" */
		return n < 5 ? n : 5;
	}
	if (n > 0)
		buf_add(out, p ? to + (p - from) : text, 1);
	return n > 0;
}

/* The message in JSON that breaks off: what follows the first `"message": "`. Returns whether there was one. */
static bool broken_message(struct buf *out, const char *body, size_t n)
{
	static const char key[] = "\"message\"";
	const char *p = memmem(body, n, key, sizeof(key) - 1), *end = body + n;
	if (!p)
		return false;
	for (p += sizeof(key) - 1; p < end && (is_blank(*p) || *p == ':'); p++)
		;
	if (p >= end || *p++ != '"')
		return false;
	while (p < end && *p != '"') {
		if (*p != '\\')
			buf_addc(out, *p++);
		else if (++p < end)
			p += json_escape(out, p, (size_t)(end - p));
	}
	return out->len > 0;
}

static bool looks_like_html(const char *body, size_t n)
{
	size_t at = 0;
	while (at < n && is_blank(body[at]))
		at++;
	return at + 1 < n && body[at] == '<' && (isalpha((unsigned char)body[at + 1]) || body[at + 1] == '!');
}

/* HTML: what its page shows, or the title where it shows nothing. */
static void html_message(struct buf *out, const char *body, size_t n)
{
	struct buf seen = buf_make(LOOK_MAX);
	strip_markup(&seen, body, n, true);
	collapse_blanks(out, seen.data, seen.len);
	buf_finish(&seen);
	const char *title = find_nocase(body, n, "<title>");
	if (out->len > 0 || !title)
		return;
	title += strlen("<title>");
	const char *end = memchr(title, '<', n - (size_t)(title - body));
	strip_markup(out, title, end ? (size_t)(end - title) : n - (size_t)(title - body), false);
}

/* The raw words of a body; markup in a message stays. */
static void raw_message(struct buf *out, const char *body, size_t n)
{
	json_t *root = json_loadb(body, n, JSON_ALLOW_NUL, NULL);
	const char *message = root ? json_message(root) : NULL;
	if (message)
		buf_add(out, message, strnlen(message, LOOK_MAX));
	else if (!root && !broken_message(out, body, n < LOOK_MAX ? n : LOOK_MAX))
		buf_add(out, body, n < LOOK_MAX ? n : LOOK_MAX);
	json_decref(root);
}

const char *fault_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{300, "Multiple Choices"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{303, "See Other"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{411, "Length Required"},
		{413, "Too Large, or too many requests"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{422, "Unprocessable Entity"},
		{429, "Too Many Requests"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return status >= 500 ? "server error" : "refused";
}

void fault_text(const struct secrets *s, int status, const char *body, size_t n, char out[FAULT_MAX])
{
	AUTO_BUF raw = buf_make(LOOK_MAX);
	bool html = looks_like_html(body, n);
	if (html)
		buf_add(&raw, body, n < LOOK_MAX ? n : LOOK_MAX);
	else
		raw_message(&raw, body, n);

	/* Twice: an echo may be whole only before the markup goes, or only after. */
	AUTO_BUF cut = buf_make(2 * LOOK_MAX * strlen(CUT)), plain = buf_make(cut.max);
	secrets_cut(s, &cut, raw.data, raw.len);
	AUTO_BUF text = buf_make(cut.max);
	if (html)
		html_message(&text, cut.data, cut.len);
	else
		strip_markup(&text, cut.data, cut.len, false);
	collapse_blanks(&plain, text.data, text.len);
	buf_reset(&cut);
	secrets_cut(s, &cut, plain.data, plain.len);

	/* "503 Service Unavailable": who shows the sentence has put the number in front already. */
	char number[16];
	int digits = snprintf(number, sizeof(number), "%d ", status);
	size_t skip = text_starts(cut.data, number) ? (size_t)digits : 0;
	AUTO_BUF line = buf_make(2 * (size_t)FAULT_MAX);
	text_safe_line(&line, cut.data + skip, cut.len - skip, FAULT_MAX - 1 - strlen("…"));
	snprintf(out, FAULT_MAX, "%s", line.len > 0 ? line.data : fault_reason(status));
}
