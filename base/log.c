/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"

/* The longest message; what is behind is not shown. */
#define LOG_MAX ((size_t)64 << 10)

static atomic_int max_level = LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the terminal and the hook */
static void (*line_hook)(int before);

void log_set_level(enum log_level level)
{
	atomic_store(&max_level, (int)level);
}

enum log_level log_level(void)
{
	return (enum log_level)atomic_load(&max_level);
}

void log_set_hook(void (*hook)(int before))
{
	pthread_mutex_lock(&lock);
	line_hook = hook;
	pthread_mutex_unlock(&lock);
}

static void write_all(const char *s, size_t n)
{
	while (n > 0) {
		ssize_t w = write(STDERR_FILENO, s, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return; /* nobody to tell */
		s += w;
		n -= (size_t)w;
	}
}

static void add_prefix(struct buf *out, enum log_level level, const char *tag)
{
	if (tag) {
		text_safe_line(out, tag, strlen(tag), 80);
		buf_adds(out, ": ");
	}
	if (level == LOG_ERR)
		buf_adds(out, "error: ");
	else if (level == LOG_WARN)
		buf_adds(out, "warning: ");
}

void log_at(enum log_level level, const char *tag, const char *fmt, ...)
{
	if (level > log_level())
		return;
	int saved = errno;
	AUTO_BUF raw = buf_make(BUF_TEXT_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vaddf(&raw, fmt, ap);
	va_end(ap);
	if (raw.len > LOG_MAX)
		raw.len = LOG_MAX;
	while (raw.len > 0 && raw.data[raw.len - 1] == '\n')
		raw.len--;

	/* Every line of the text gets the prefix, so that none of them can pass for another tag's. */
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	const char *p = raw.data, *end = raw.data + raw.len;
	do {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf ? lf + 1 : end;
		add_prefix(&out, level, tag);
		text_safe(&out, p, (size_t)(stop - p));
		p = stop;
	} while (p < end);
	buf_addc(&out, '\n');

	pthread_mutex_lock(&lock);
	if (line_hook)
		line_hook(1);
	write_all(out.data, out.len);
	if (line_hook)
		line_hook(0);
	pthread_mutex_unlock(&lock);
	errno = saved;
}
