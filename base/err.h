/* SPDX-License-Identifier: MIT */
/* The one error object: caller-owned, fixed size, never allocates, cannot fail.
 *
 * Every fallible function takes `struct err *err` last and returns 0/-1 or pointer/NULL. The cause calls
 * err_set(); each level that knows a subject prepends it with err_ctx(), so the message reads from the subject to
 * the cause: `booting nova-a: starting sshd: no free port`. Nobody adds the word "failed". It is printed once, at
 * the top. */
#ifndef STEPBOX_BASE_ERR_H
#define STEPBOX_BASE_ERR_H

#include <stdarg.h>

/* On every fallible function: an error that nobody looks at does not compile. */
#define MUST_USE __attribute__((warn_unused_result))

/* What is lost because of this error. */
enum err_reach {
	ERR_NONE,     /* no error: the value of ERR_INIT */
	ERR_USER,     /* bad usage or recipe; nothing was started */
	ERR_STEP,     /* a migration did not do its work: a finding, stored, not a malfunction of ours */
	ERR_BOX,      /* this box is of no more use; others go on */
	ERR_CLOUD,    /* no new boxes from this cloud; teardown is still tried */
	ERR_CANCELED, /* the user asked to stop */
	ERR_BUG,      /* our own mistake */
	ERR_REACH_COUNT_
};

struct err {
	enum err_reach reach;
	int code; /* errno, libssh2, SQLite or HTTP code of the cause; 0 where there is none */
	char msg[1024];
};

#define ERR_INIT                                                                                                       \
	{                                                                                                              \
		.reach = ERR_NONE                                                                                      \
	}

/* Records the cause, replacing what was there. Always returns -1, so that failing is one line. */
int err_set(struct err *err, enum err_reach reach, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* As err_set() with ": strerror(errnum)" behind the message and errnum as code. */
int err_sys(struct err *err, enum err_reach reach, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Prepends "subject: ". On overflow the middle of the message is cut: both ends stay. Returns -1. */
int err_ctx(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Back to ERR_INIT. */
void err_clear(struct err *err);

/* "user", "step", "box", … for logs and JSON. */
const char *err_reach_name(enum err_reach reach);

/* The process exit code for this error as of the design: USER 2, STEP 1, BOX and CLOUD 3, CANCELED 130, BUG 3. */
int err_exit_code(const struct err *err);

#endif
