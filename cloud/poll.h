/* SPDX-License-Identifier: MIT */
/* The status of servers: one list call for all boxes of a cloud that are waiting, shared by their threads. A thread
 * asks for a state of its server not older than some time; whoever comes first while nobody is asking makes the call,
 * the others take its result. So the calls grow with time, not with boxes × time. */
#ifndef STEPBOX_CLOUD_POLL_H
#define STEPBOX_CLOUD_POLL_H

#include <jansson.h>

#include "cloud/session.h"

struct poll;

/* The session is borrowed. */
struct poll *poll_new(struct os_session *s);
void poll_free(struct poll *p); /* NULL is fine */

/* 1 and *server (owned by the caller: json_decref) with nova's object as of a list asked for at most max_age_ms ago, or
 * now (0: now); 0 when a list asked for after the call came has no such server; -1 err (a refusal of the shared call is
 * every waiting thread's; a stop or a deadline only of who has it). The list is GET /servers/detail?name=stepbox- (all
 * pages). There is one call on its way at a time, and one in max_age_ms (at most a second of it); the waiting for that
 * is part of this function. */
int poll_server(struct poll *p, const char *id, int64_t max_age_ms, mono_ms deadline, enum wait_mode mode,
		json_t **server, struct err *err) MUST_USE;

#endif
