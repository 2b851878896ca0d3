/* SPDX-License-Identifier: MIT */
#include "migrations/diff.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/proc.h"

enum { RCS_MAX_DIGITS = 9 };

/* A file without a name, so that not even a killed process leaves a dump behind in a shared directory. */
static int memory_file(const char *data, size_t n, struct err *err)
{
	int fd = memfd_create("stepbox-diff", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, ERR_BUG, errno, "diff: memfd_create");
	while (n > 0) {
		ssize_t w = write(fd, data, n);
		if (w < 0 && errno != EINTR) {
			err_sys(err, ERR_BUG, errno, "diff: writing to memory");
			close(fd);
			return -1;
		}
		if (w > 0) {
			data += w;
			n -= (size_t)w;
		}
	}
	return fd;
}

int diff_text(const char *a, size_t a_len, const char *a_label, const char *b, size_t b_len, const char *b_label,
	      struct buf *out, struct err *err)
{
	if (a_len == b_len && memcmp(a, b, a_len) == 0)
		return 0;
	AUTO_CLOSE int fd_a = memory_file(a, a_len, err);
	if (fd_a < 0)
		return -1;
	AUTO_CLOSE int fd_b = memory_file(b, b_len, err);
	if (fd_b < 0)
		return -1;
	/* Through our own /proc entry: the descriptors stay close-on-exec, no other child inherits them. */
	char path_a[64];
	char path_b[64];
	(void)snprintf(path_a, sizeof(path_a), "/proc/%ld/fd/%d", (long)getpid(), fd_a);
	(void)snprintf(path_b, sizeof(path_b), "/proc/%ld/fd/%d", (long)getpid(), fd_b);
	const char *argv[] = {"diff", "-a", "-u", "--label", a_label, "--label", b_label, "--", path_a, path_b, NULL};
	const char *env[] = {"LC_ALL=C", NULL};
	AUTO_BUF trouble = buf_make(512);
	struct proc_opts opts = {
		.env = env, .out = out, .errout = &trouble, .deadline = clock_deadline(DIFF_TIMEOUT_MS)};
	int rc = proc_run(argv, &opts, err);
	if (rc < 0)
		return err_ctx(err, "comparing %s with %s", a_label, b_label);
	if (rc > 1)
		return err_set(err, ERR_BUG, rc, "diff: exit %d: %s", rc, trouble.data);
	return rc;
}

/* Applying an RCS script: `dN C` deletes C lines from line N of the base on, `aN C` adds the C lines that follow it
 * in the script behind line N of the base. Both texts are walked once. */
struct rcs {
	const char *base, *base_end;
	const char *delta, *delta_end;
	size_t line; /* lines of the base that are behind us */
};

/* Behind the next n lines; the last line of a text may lack its LF. NULL when there are not so many. */
static const char *skip_lines(const char *p, const char *end, size_t n)
{
	for (; n > 0; n--) {
		if (p == end)
			return NULL;
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		p = lf ? lf + 1 : end;
	}
	return p;
}

static bool rcs_number(struct rcs *r, char end, size_t *out)
{
	size_t n = 0;
	int digits = 0;
	for (; r->delta < r->delta_end && *r->delta >= '0' && *r->delta <= '9'; r->delta++) {
		if (++digits > RCS_MAX_DIGITS)
			return false;
		n = n * 10 + (size_t)(*r->delta - '0');
	}
	if (digits == 0 || r->delta == r->delta_end || *r->delta != end)
		return false;
	r->delta++;
	*out = n;
	return true;
}

/* Takes the base up to line `upto` over into out (or drops it). */
static const char *rcs_base(struct rcs *r, size_t upto, struct buf *out)
{
	if (upto < r->line)
		return "lines not in order";
	const char *to = skip_lines(r->base, r->base_end, upto - r->line);
	if (!to)
		return "line beyond the end";
	if (out && buf_add(out, r->base, (size_t)(to - r->base)) < 0)
		return "result too large";
	r->base = to;
	r->line = upto;
	return NULL;
}

static const char *rcs_insert(struct rcs *r, size_t count, struct buf *out)
{
	const char *to = skip_lines(r->delta, r->delta_end, count);
	if (!to)
		return "added lines are missing";
	if (buf_add(out, r->delta, (size_t)(to - r->delta)) < 0)
		return "result too large";
	r->delta = to;
	return NULL;
}

/* One command. NULL or what is wrong. */
static const char *rcs_command(struct rcs *r, struct buf *out)
{
	size_t line;
	size_t count;
	char op = *r->delta++;
	if ((op != 'a' && op != 'd') || !rcs_number(r, ' ', &line) || !rcs_number(r, '\n', &count) || count == 0)
		return "not a command";
	if (op == 'a') {
		const char *bad = rcs_base(r, line, out);
		return bad ? bad : rcs_insert(r, count, out);
	}
	if (line == 0)
		return "not a command";
	const char *bad = rcs_base(r, line - 1, out);
	return bad ? bad : rcs_base(r, line - 1 + count, NULL);
}

int diff_apply_rcs(const char *base, size_t base_len, const char *delta, size_t delta_len, struct buf *out,
		   struct err *err)
{
	struct rcs r = {.base = base, .base_end = base + base_len, .delta = delta, .delta_end = delta + delta_len};
	while (r.delta < r.delta_end) {
		const char *at = r.delta;
		const char *bad = rcs_command(&r, out);
		if (bad)
			return err_set(err, ERR_BOX, 0, "delta: byte %zu: %s", (size_t)(at - delta), bad);
	}
	if (buf_add(out, r.base, (size_t)(r.base_end - r.base)) < 0)
		return err_set(err, ERR_BOX, 0, "delta: result too large");
	return 0;
}
