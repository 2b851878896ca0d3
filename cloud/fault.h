/* SPDX-License-Identifier: MIT */
/* What a cloud says when it refuses, as one short line that is safe to show and to log. Error bodies come in five
 * shapes (nova's, keystone's, neutron's, glance's, and none: HTML of a proxy, plain text, nothing, half of a JSON
 * text); nova's schema errors echo the value they dislike, which may be a whole user_data, and a server may echo a
 * password. So the secrets that we know are cut out, and every run of base64 that is long enough to be a key or a file.
 */
#ifndef STEPBOX_CLOUD_FAULT_H
#define STEPBOX_CLOUD_FAULT_H

#include <stddef.h>

#include "base/buf.h"

/* Bytes of the sentence with its NUL. */
#define FAULT_MAX 400
/* The longest run of base64 that is shown: a request id ("req-" and a UUID) has 40 characters. */
#define FAULT_BASE64_MAX 44

/* Texts that must not be seen, each also as JSON, Python, HTML, URLs and base64 would spell it. */
struct secrets {
	char **v;
	size_t n, cap;
};
#define SECRETS_MAX 256

void secrets_add(struct secrets *s, const char *secret); /* NULL and "" are ignored; copied */
void secrets_finish(struct secrets *s);                  /* wipes them */

/* Appends text with every secret and every long run of base64 replaced by "[cut]". A secret shorter than 6 characters
 * counts only as a whole word; the beginning of one at the very end of the text counts, too (somebody cut it there).
 * s may be NULL. */
void secrets_cut(const struct secrets *s, struct buf *out, const char *text, size_t n);
/* The same in place; the text is shortened to size - 1 bytes where it grew. */
void secrets_cut_text(const struct secrets *s, char *text, size_t size);

/* The cloud's own words in an error body: one line of printable text, never empty (at least "Bad Gateway" for 502). */
void fault_text(const struct secrets *s, int status, const char *body, size_t n, char out[FAULT_MAX]);
/* "Bad Gateway" for 502; "refused" or "server error" for codes without a name. */
const char *fault_reason(int status);

#endif
