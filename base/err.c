/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* Long enough for a message and the context around it before the cut. */
#define LONG_MESSAGE 4096
#define ELLIPSIS     "…"

/* A byte that continues a UTF-8 character: no cut before it. */
static int continues(char c)
{
	return ((unsigned char)c & 0xC0) == 0x80;
}

/* Stores text of n bytes; when it is too long its middle gives way, since the subject is in front and the cause behind.
 */
static void store(struct err *err, const char *text, size_t n)
{
	size_t room = sizeof(err->msg) - 1;
	if (n <= room) {
		memcpy(err->msg, text, n);
		err->msg[n] = '\0';
		return;
	}
	size_t mark = strlen(ELLIPSIS);
	size_t head = (room - mark) / 2;
	size_t tail = room - mark - head;
	while (head > 0 && continues(text[head]))
		head--;
	while (tail > 0 && continues(text[n - tail]))
		tail--;
	memcpy(err->msg, text, head);
	memcpy(err->msg + head, ELLIPSIS, mark);
	memcpy(err->msg + head + mark, text + n - tail, tail);
	err->msg[head + mark + tail] = '\0';
}

/* Bytes that a (v)snprintf into size bytes really left there. */
static size_t written(int n, size_t size)
{
	if (n < 0)
		return 0;
	return (size_t)n < size ? (size_t)n : size - 1;
}

int err_set(struct err *err, enum err_reach reach, int code, const char *fmt, ...)
{
	char text[LONG_MESSAGE]; /* apart from err->msg, which may be among the arguments */
	va_list ap;
	va_start(ap, fmt);
	size_t n = written(vsnprintf(text, sizeof(text), fmt, ap), sizeof(text));
	va_end(ap);
	err->reach = reach;
	err->code = code;
	store(err, text, n);
	return -1;
}

int err_sys(struct err *err, enum err_reach reach, int errnum, const char *fmt, ...)
{
	char text[LONG_MESSAGE + 128];
	va_list ap;
	va_start(ap, fmt);
	size_t n = written(vsnprintf(text, LONG_MESSAGE, fmt, ap), LONG_MESSAGE);
	va_end(ap);
	const char *cause = strerrordesc_np(errnum); /* static text: nothing shared between threads */
	size_t left = sizeof(text) - n;
	int more = cause ? snprintf(text + n, left, ": %s", cause) : snprintf(text + n, left, ": errno %d", errnum);
	err->reach = reach;
	err->code = errnum;
	store(err, text, n + written(more, left));
	return -1;
}

int err_ctx(struct err *err, const char *fmt, ...)
{
	char text[LONG_MESSAGE + sizeof(err->msg) + 2];
	va_list ap;
	va_start(ap, fmt);
	size_t n = written(vsnprintf(text, LONG_MESSAGE, fmt, ap), LONG_MESSAGE);
	va_end(ap);
	n += written(snprintf(text + n, sizeof(text) - n, ": %s", err->msg), sizeof(text) - n);
	if (err->reach == ERR_NONE) /* a context without a cause: still must not look like success */
		err->reach = ERR_BUG;
	store(err, text, n);
	return -1;
}

void err_clear(struct err *err)
{
	*err = (struct err)ERR_INIT;
}

const char *err_reach_name(enum err_reach reach)
{
	static const char *const names[] = {
		[ERR_NONE] = "none",   [ERR_USER] = "user",         [ERR_STEP] = "step", [ERR_BOX] = "box",
		[ERR_CLOUD] = "cloud", [ERR_CANCELED] = "canceled", [ERR_BUG] = "bug",
	};
	static_assert(ARRAY_SIZE(names) == ERR_REACH_COUNT_, "a name for each reach");
	return (unsigned)reach < ERR_REACH_COUNT_ ? names[reach] : "unknown";
}

int err_exit_code(const struct err *err)
{
	static const int codes[] = {
		[ERR_NONE] = 0,  [ERR_USER] = 2,       [ERR_STEP] = 1, [ERR_BOX] = 3,
		[ERR_CLOUD] = 3, [ERR_CANCELED] = 130, [ERR_BUG] = 3,
	};
	static_assert(ARRAY_SIZE(codes) == ERR_REACH_COUNT_, "an exit code for each reach");
	return (unsigned)err->reach < ERR_REACH_COUNT_ ? codes[err->reach] : 3;
}
