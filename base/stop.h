/* SPDX-License-Identifier: MIT */
/* Ctrl-C and its kin. The handlers only count and write a pipe; every wait (base/wait.h) has that pipe among its
 * descriptors. First SIGINT/SIGTERM/SIGHUP: stop_requested() turns true and waits end with ERR_CANCELED. Second: the
 * process leaves at once with exit code 4 after stop_set_last_words()'s text. */
#ifndef STEPBOX_BASE_STOP_H
#define STEPBOX_BASE_STOP_H

#include <stdbool.h>

/* Installs the handlers (SIGHUP's not under nohup), ignores SIGPIPE and gives SIGCHLD its default back. Call once,
 * before any thread. */
void stop_install(void);
/* How many stop signals came so far. */
int stop_count(void);
bool stop_requested(void);
/* Readable as soon as a stop was requested; never read from it. -1 before stop_install(). */
int stop_fd(void);
/* Text (static storage or never freed) written to stderr when a second signal ends the process. */
void stop_set_last_words(const char *text);
/* For tests: as if a signal had come / forget all. */
void stop_trigger(void);
void stop_clear(void);

#endif
