/* SPDX-License-Identifier: MIT */
#include "cmd/lookout.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/wait.h"
#include "cloud/cloud.h"

struct lookout {
	struct db *db;
	char box[BOX_NAME_MAX];
	int bell;      /* eventfd: a question, or the end */
	char why[256]; /* written before is_gone, read after */
	atomic_bool is_gone, is_over;
	pthread_t thread;
};

static void ring(const struct lookout *l)
{
	uint64_t one = 1;
	/* Full only after 2^64 questions. */
	if (write(l->bell, &one, sizeof(one)) < 0)
		return;
}

static void *look(void *arg)
{
	struct lookout *l = arg;
	uint64_t rings;
	struct err err = ERR_INIT;
	while (wait_fd(l->bell, POLLIN, DEADLINE_NEVER, WAIT_STOPPABLE, &err) == 1 && !l->is_over) {
		/* How often the cloud is really asked is the driver's affair: it remembers its last answer for a while.
		 */
		if (read(l->bell, &rings, sizeof(rings)) > 0 && !l->is_gone && cloud_alive(l->db, l->box, &err) == 0) {
			(void)snprintf(l->why, sizeof(l->why), "%.250s", err.msg);
			l->is_gone = true;
		}
		err_clear(&err);
	}
	return NULL;
}

struct lookout *lookout_new(struct db *db, const char *box)
{
	struct lookout *l = xcalloc(1, sizeof(*l));
	l->db = db;
	(void)snprintf(l->box, sizeof(l->box), "%s", box);
	l->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->bell >= 0 && pthread_create(&l->thread, NULL, look, l) == 0)
		return l;
	fd_closep(&l->bell);
	free(l);
	return NULL;
}

bool lookout_gone(struct lookout *l)
{
	if (!l)
		return false;
	ring(l);
	return l->is_gone;
}

const char *lookout_why(const struct lookout *l)
{
	return l && l->is_gone ? l->why : "";
}

void lookout_free(struct lookout *l)
{
	if (!l)
		return;
	l->is_over = true;
	ring(l);
	pthread_join(l->thread, NULL);
	close(l->bell);
	free(l);
}
