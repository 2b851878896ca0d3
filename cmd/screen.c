/* SPDX-License-Identifier: MIT */
#include "cmd/screen.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define MAX_PANES 64
#define TICK_MS   200

struct pane {
	struct screen *screen; /* borrowed */
	char tag[64];
	char what[160];
	char detail[200];
	mono_ms since;
	int64_t limit_ms;
};

struct screen {
	pthread_mutex_t lock;
	pthread_cond_t end;
	pthread_t ticker;
	bool ticking, ending;
	bool live; /* stderr is a terminal that may be redrawn */
	bool json, verbose, quiet, several;
	bool aside, muted; /* screen_set_aside() */
	bool shown;        /* a live line stands at the cursor */
	struct pane *panes[MAX_PANES];
	size_t n_panes;
};

/* The log writes to the same terminal: its hook needs to find the screen. One screen a process, set by screen_new(). */
static struct screen *the_screen;

static int terminal_width(void)
{
	struct winsize w;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20)
		return w.ws_col;
	return 80;
}

static void erase(struct screen *s)
{
	if (s->shown)
		fputs("\r\033[K", stderr);
	s->shown = false;
}

/* Cuts UTF-8 text to at most max columns, counting every code point as one. */
static void cut_columns(struct buf *b, size_t max)
{
	size_t cols = 0;
	for (size_t i = 0; i < b->len; i++) {
		if (((unsigned char)b->data[i] & 0xC0) == 0x80)
			continue;
		if (cols++ == max) {
			b->len = i;
			b->data[i] = '\0';
			return;
		}
	}
}

static void describe(const struct pane *p, bool several, struct buf *out)
{
	char span[32], limit[32];
	if (!p->what[0])
		return;
	clock_span(clock_mono() - p->since, span);
	if (out->len)
		buf_adds(out, " | ");
	if (several && p->tag[0])
		buf_addf(out, "%s ", p->tag);
	buf_addf(out, "%s  %s", p->what, span);
	if (p->limit_ms > 0 && !several) {
		clock_span(p->limit_ms, limit);
		buf_addf(out, " of %s", limit);
	}
	if (p->detail[0] && !several)
		buf_addf(out, "  %s", p->detail);
}

static void draw(struct screen *s)
{
	AUTO_BUF line = buf_make(BUF_TEXT_MAX);
	if (!s->live)
		return;
	erase(s);
	for (size_t i = 0; i < s->n_panes; i++)
		describe(s->panes[i], s->several, &line);
	if (!line.len)
		return;
	cut_columns(&line, (size_t)terminal_width() - 1);
	fprintf(stderr, "%s", line.data);
	fflush(stderr);
	s->shown = true;
}

static void *tick(void *arg)
{
	struct screen *s = arg;
	pthread_mutex_lock(&s->lock);
	while (!s->ending) {
		struct timespec at;
		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_nsec += TICK_MS * 1000000L;
		if (at.tv_nsec >= 1000000000L) {
			at.tv_sec++;
			at.tv_nsec -= 1000000000L;
		}
		pthread_cond_timedwait(&s->end, &s->lock, &at);
		if (!s->ending)
			draw(s);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void log_hook(int before)
{
	struct screen *s = the_screen;
	if (!s)
		return;
	if (before) {
		pthread_mutex_lock(&s->lock);
		erase(s);
		fflush(stderr);
	} else {
		draw(s);
		pthread_mutex_unlock(&s->lock);
	}
}

struct screen *screen_new(const struct globals *g, int n_jobs)
{
	struct screen *s = xcalloc(1, sizeof(*s));
	const char *term = getenv("TERM");
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->end, NULL);
	s->json = g->json;
	s->verbose = g->verbose;
	s->quiet = g->quiet;
	s->several = n_jobs > 1;
	s->live = isatty(STDERR_FILENO) && !g->quiet && term && strcmp(term, "dumb") != 0;
	the_screen = s;
	log_set_hook(log_hook);
	if (s->live)
		s->ticking = pthread_create(&s->ticker, NULL, tick, s) == 0;
	return s;
}

void screen_free(struct screen *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	erase(s);
	fflush(stderr);
	pthread_cond_signal(&s->end);
	pthread_mutex_unlock(&s->lock);
	if (s->ticking)
		pthread_join(s->ticker, NULL);
	log_set_hook(NULL);
	the_screen = NULL;
	pthread_cond_destroy(&s->end);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct pane *pane_new(struct screen *s)
{
	struct pane *p = xcalloc(1, sizeof(*p));
	p->screen = s;
	pthread_mutex_lock(&s->lock);
	if (s->n_panes < MAX_PANES)
		s->panes[s->n_panes++] = p;
	pthread_mutex_unlock(&s->lock);
	return p;
}

void pane_free(struct pane *p)
{
	if (!p)
		return;
	struct screen *s = p->screen;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n_panes; i++) {
		if (s->panes[i] == p)
			s->panes[i] = s->panes[--s->n_panes];
	}
	draw(s);
	pthread_mutex_unlock(&s->lock);
	free(p);
}

void pane_set_tag(struct pane *p, const char *tag)
{
	pthread_mutex_lock(&p->screen->lock);
	snprintf(p->tag, sizeof(p->tag), "%s", tag);
	pthread_mutex_unlock(&p->screen->lock);
}

static void set_safe(char *out, size_t size, const char *text)
{
	AUTO_BUF b = buf_make(size * 4 + 64);
	if (text)
		text_safe_line(&b, text, strlen(text), size - 4);
	snprintf(out, size, "%s", b.data);
}

void pane_doing(struct pane *p, const char *what, const char *detail, int64_t limit_ms)
{
	struct screen *s = p->screen;
	char safe[sizeof(p->what)];
	set_safe(safe, sizeof(safe), what);
	pthread_mutex_lock(&s->lock);
	if (strcmp(p->what, safe) != 0) {
		memcpy(p->what, safe, sizeof(safe));
		p->since = clock_mono();
	}
	set_safe(p->detail, sizeof(p->detail), detail);
	p->limit_ms = limit_ms;
	draw(s);
	pthread_mutex_unlock(&s->lock);
}

static void stay(struct pane *p, FILE *f, const char *fmt, va_list ap)
{
	struct screen *s = p->screen;
	AUTO_BUF raw = buf_make(BUF_TEXT_MAX);
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	buf_vaddf(&raw, fmt, ap);
	text_safe(&safe, raw.data, raw.len);
	pthread_mutex_lock(&s->lock);
	erase(s);
	fflush(stderr);
	size_t tag = strlen(p->tag);
	/* Some lines name their run in any case. */
	if (s->several && tag && (strncmp(safe.data, p->tag, tag) != 0 || safe.data[tag] != ':'))
		fprintf(f, "%s: ", p->tag);
	fprintf(f, "%s\n", safe.data);
	fflush(f);
	draw(s);
	pthread_mutex_unlock(&s->lock);
}

void pane_progress(struct pane *p, const char *fmt, ...)
{
	va_list ap;
	if (p->screen->quiet || p->screen->muted || (p->screen->json && !p->screen->live))
		return;
	va_start(ap, fmt);
	stay(p, stderr, fmt, ap);
	va_end(ap);
}

void pane_result(struct pane *p, const char *fmt, ...)
{
	va_list ap;
	if (p->screen->aside ? !p->screen->verbose : p->screen->json)
		return;
	va_start(ap, fmt);
	stay(p, p->screen->aside ? stderr : stdout, fmt, ap);
	va_end(ap);
}

void pane_verdict(struct pane *p, const char *fmt, ...)
{
	va_list ap;
	if (p->screen->aside ? p->screen->quiet || p->screen->muted : p->screen->json)
		return;
	va_start(ap, fmt);
	stay(p, p->screen->aside ? stderr : stdout, fmt, ap);
	va_end(ap);
}

/* Where the last n lines of a text begin. */
static size_t last_lines(const char *data, size_t len, size_t n)
{
	size_t at = len;
	if (at && data[at - 1] == '\n')
		at--;
	for (size_t i = at; i > 0; i--) {
		if (data[i - 1] == '\n' && --n == 0)
			return i;
	}
	return 0;
}

void pane_output(struct pane *p, const char *data, size_t len, size_t max_lines)
{
	struct screen *s = p->screen;
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	if (s->muted)
		return;
	size_t from = max_lines ? last_lines(data, len, max_lines) : 0;
	if (len - from > BUF_TEXT_MAX / 8)
		from = len - BUF_TEXT_MAX / 8;
	text_safe(&safe, data + from, len - from);
	pthread_mutex_lock(&s->lock);
	erase(s);
	for (const char *line = safe.data; *line;) {
		size_t n = strcspn(line, "\n");
		if (s->several && p->tag[0])
			fprintf(stderr, "%s", p->tag);
		fprintf(stderr, "    | %.*s\n", (int)n, line);
		line += n + (line[n] == '\n');
	}
	fflush(stderr);
	draw(s);
	pthread_mutex_unlock(&s->lock);
}

void pane_json(struct pane *p, json_t *object)
{
	struct screen *s = p->screen;
	if (s->json && !s->aside) {
		char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
		pthread_mutex_lock(&s->lock);
		erase(s);
		fflush(stderr);
		if (text)
			printf("%s\n", text);
		fflush(stdout);
		draw(s);
		pthread_mutex_unlock(&s->lock);
		free(text);
	}
	json_decref(object);
}

void screen_set_aside(struct screen *s, bool lines)
{
	s->aside = true;
	s->muted = !lines && !s->verbose;
}

bool screen_is_json(const struct screen *s)
{
	return s->json;
}

bool screen_is_verbose(const struct screen *s)
{
	return s->verbose;
}
