/* SPDX-License-Identifier: MIT */
/* Log lines on stderr: "tag: text". stdout is data and never written here. Text passes text_safe(), so no control
 * byte of a remote machine reaches the terminal; each line of a text of several gets the tag. LOG_WARN and LOG_ERR put
 * "warning: " or "error: " before the text. tag may be NULL. Thread-safe: a call is one write. */
#ifndef STEPBOX_BASE_LOG_H
#define STEPBOX_BASE_LOG_H

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

void log_set_level(enum log_level level); /* default LOG_INFO */
enum log_level log_level(void);
/* Called before and after each write while a progress line may be on the screen; must not log. NULL for none. */
void log_set_hook(void (*hook)(int before));

void log_at(enum log_level level, const char *tag, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define log_err(tag, ...)   log_at(LOG_ERR, tag, __VA_ARGS__)
#define log_warn(tag, ...)  log_at(LOG_WARN, tag, __VA_ARGS__)
#define log_info(tag, ...)  log_at(LOG_INFO, tag, __VA_ARGS__)
#define log_debug(tag, ...) log_at(LOG_DEBUG, tag, __VA_ARGS__)
#define log_trace(tag, ...) log_at(LOG_TRACE, tag, __VA_ARGS__)

#endif
