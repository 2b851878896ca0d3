/* SPDX-License-Identifier: MIT */
/* How it works: calls are numbered in the order in which they begin. A thread notes the number of the last one begun
 * before it came. A later call knows the present; the list of an earlier one will do when it has the server and is
 * young enough. That a server is *not* there can only be said by a later call: an earlier one may have begun before
 * the server existed.
 *
 * Whoever wants a call, while none is on its way and the last one began max_age_ms ago (PACE_MS suffices), makes one
 * for all. So the calls grow with time only, also for servers that are not in the list, and also after errors. The lock
 * is not held during the call; the others look again every LOOK_MS (a condition variable would not notice a stop). */
#include "cloud/poll.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"

/* How often a waiting thread looks whether the call of another one has ended. */
#define LOOK_MS 20
/* The most that a thread holds a call back for others to share it, and the time to its deadline from which on it does
 * not. */
#define PACE_MS    1000
#define PACE_UNTIL 10000
/* stepbox's own only: an account may have thousands of other servers. */
#define LIST_PATH "/servers/detail?name=stepbox-"

struct poll {
	struct os_session *session; /* borrowed: outlives this */
	pthread_mutex_t lock;
	uint64_t begun;        /* number of the last call */
	mono_ms begun_at;      /* when it began */
	bool busy;             /* it is on its way */
	json_t *list;          /* the newest list, NULL: none yet */
	uint64_t list_number;  /* of its call */
	mono_ms list_at;       /* when that began */
	uint64_t error_number; /* the newest call that did not succeed for a reason that others share */
	struct err error;
};

/* What one thread wants. */
struct asker {
	const char *id;
	uint64_t begun; /* the last call begun when it came */
	bool came_in;   /* while that was on its way */
	mono_ms oldest; /* a list must have been asked for after that */
	int64_t max_age_ms;
	mono_ms deadline;
};

struct poll *poll_new(struct os_session *s)
{
	struct poll *p = xcalloc(1, sizeof(*p));
	p->session = s;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void poll_free(struct poll *p)
{
	if (!p)
		return;
	assert(!p->busy);
	json_decref(p->list);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* The server's object in the list, borrowed, or NULL. */
static json_t *find_server(const json_t *list, const char *id)
{
	size_t i;
	json_t *item;
	json_array_foreach (list, i, item) {
		const json_t *v = json_object_get(item, "id");
		if (json_is_string(v) && json_string_length(v) == strlen(id) && strcmp(json_string_value(v), id) == 0)
			return item;
	}
	return NULL;
}

/* What is known answers the asker: 1, 0 or -1 as poll_server(); 2: it does not. Locked. */
static int look(const struct poll *p, const struct asker *a, json_t **server, struct err *err)
{
	bool later = p->list && p->list_number > a->begun;
	json_t *found = later || (p->list && p->list_at > a->oldest) ? find_server(p->list, a->id) : NULL;
	if (found) {
		/* A copy: the list goes with the next call. */
		*server = json_deep_copy(found);
		return *server ? 1 : err_set(err, ERR_BUG, 0, "server %s: copying what the cloud says about it", a->id);
	}
	if (later)
		return 0;
	if (p->error_number > a->begun || (a->came_in && p->error_number == a->begun)) {
		*err = p->error;
		return -1;
	}
	return 2;
}

/* Is it for the asker to make a call now? Locked. */
static bool is_turn(const struct poll *p, const struct asker *a)
{
	mono_ms now = clock_mono();
	int64_t pace = a->max_age_ms < PACE_MS ? a->max_age_ms : PACE_MS;
	return !p->busy && (p->begun == 0 || now - p->begun_at >= pace || now + PACE_UNTIL >= a->deadline);
}

/* Is what happened to the asker's call true for the others, too? A stop is none of theirs when they ignore it, and its
 * deadline is its own: near to it a call is not repeated as often as theirs would be. */
static bool is_common(const struct asker *a, const struct err *err)
{
	bool refusal = err->code >= 400 && err->code < 500 && err->code != 408 && err->code != 413 &&
		       err->code != 425 && err->code != 429;
	return err->reach != ERR_CANCELED && (refusal || clock_mono() + HTTP_RETRY_AFTER_MAX_MS < a->deadline);
}

/* Makes the call that is_turn() allowed. Locked at the beginning and at the end, not between. Returns -1 with err when
 * it did not succeed. */
static int call(struct poll *p, const struct asker *a, enum wait_mode mode, struct err *err)
{
	uint64_t number = ++p->begun;
	mono_ms at = clock_mono();
	p->begun_at = at;
	p->busy = true;
	pthread_mutex_unlock(&p->lock);
	json_t *list = os_list(p->session, OS_COMPUTE, LIST_PATH, "servers", a->deadline, mode, err);
	pthread_mutex_lock(&p->lock);
	p->busy = false;
	if (list) {
		json_decref(p->list);
		p->list = list;
		p->list_number = number;
		p->list_at = at;
		return 0;
	}
	if (is_common(a, err)) {
		p->error_number = number;
		p->error = *err;
	}
	return -1;
}

int poll_server(struct poll *p, const char *id, int64_t max_age_ms, mono_ms deadline, enum wait_mode mode,
		json_t **server, struct err *err)
{
	struct asker a = {
		.id = id, .oldest = clock_mono() - max_age_ms, .max_age_ms = max_age_ms, .deadline = deadline};
	int rc = 2;
	*server = NULL;
	pthread_mutex_lock(&p->lock);
	a.begun = p->begun;
	a.came_in = p->busy;
	for (;;) {
		rc = look(p, &a, server, err);
		if (rc != 2)
			break;
		if (is_turn(p, &a)) {
			rc = call(p, &a, mode, err);
			if (rc < 0)
				break;
			continue; /* that list is later than we: look() is sure to answer */
		}
		pthread_mutex_unlock(&p->lock);
		rc = clock_mono() < deadline
			     ? wait_ms(LOOK_MS, mode, err)
			     : err_set(err, ERR_CLOUD, 0,
				       "the cloud has not answered in time what has become of server %s", id);
		pthread_mutex_lock(&p->lock);
		if (rc < 0)
			break;
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}
