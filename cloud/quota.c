/* SPDX-License-Identifier: MIT */
/* How it works: `used` is what others of the account use: what the cloud said, less what we held at that moment (our
 * servers are among its numbers, though not those that are only about to be asked for: then it is too little, and the
 * cloud's 403 decides). Free is max - used - held.
 *
 * There is no queue: who waits looks every LOOK_MS, and whoever comes first after a share has been given back takes it.
 * Equal needs have equal chances; a big need may be overtaken by small ones as long as these keep coming. They are the
 * boxes of one process, and each takes its share once, so it gets its turn at the latest when they are through. */
#include "cloud/quota.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define LOOK_MS 200
/* No account has more of anything. Larger limits are none; larger needs and uses count as this, so sums of many stay in
 * range. */
#define MOST ((int64_t)1 << 40)
#define WHY  160

enum kind { INSTANCES, CORES, RAM, KIND_COUNT_ };

static const struct {
	const char *max, *used; /* keys of nova's limits */
	const char *one, *many; /* words */
} kinds[] = {
	[INSTANCES] = {"maxTotalInstances", "totalInstancesUsed", "instance", "instances"},
	[CORES] = {"maxTotalCores", "totalCoresUsed", "core", "cores"},
	[RAM] = {"maxTotalRAMSize", "totalRAMUsed", "MB of RAM", "MB of RAM"},
};
static_assert(ARRAY_SIZE(kinds) == KIND_COUNT_, "a row for each kind");

struct amounts {
	int64_t of[KIND_COUNT_];
};

struct quota {
	pthread_mutex_t lock;
	struct amounts max; /* MOST: unlimited */
	struct amounts used;
	struct amounts held;
	int64_t shares; /* takes less gives */
	uint64_t gives; /* shares that boxes have given back at their end */
};

static int64_t clamp(int64_t n)
{
	return n < 0 ? 0 : n < MOST ? n : MOST;
}

static struct amounts amounts_of(const struct quota_need *need)
{
	return (struct amounts){
		{[INSTANCES] = clamp(need->instances), [CORES] = clamp(need->cores), [RAM] = clamp(need->ram_mb)}};
}

struct quota *quota_new(void)
{
	struct quota *q = xcalloc(1, sizeof(*q));
	pthread_mutex_init(&q->lock, NULL);
	for (int k = 0; k < KIND_COUNT_; k++)
		q->max.of[k] = MOST;
	return q;
}

void quota_free(struct quota *q)
{
	if (!q)
		return;
	pthread_mutex_destroy(&q->lock);
	free(q);
}

/* A limit or use of foreign JSON; `odd` stands for what is missing, negative or no number. */
static int64_t amount_at(const json_t *absolute, const char *key, int64_t odd)
{
	const json_t *v = json_object_get(absolute, key);
	return json_is_integer(v) && json_integer_value(v) >= 0 ? clamp(json_integer_value(v)) : odd;
}

void quota_set(struct quota *q, const json_t *absolute)
{
	pthread_mutex_lock(&q->lock);
	for (int k = 0; k < KIND_COUNT_; k++) {
		q->max.of[k] = amount_at(absolute, kinds[k].max, MOST);
		q->used.of[k] = clamp(amount_at(absolute, kinds[k].used, 0) - q->held.of[k]);
	}
	pthread_mutex_unlock(&q->lock);
}

/* Tells what does not fit, when so much is held by others of ours: "4 cores wanted, 2 of 20 free; …". Returns whether
 * all fits. Locked. */
static bool fits(const struct quota *q, const struct amounts *need, const struct amounts *held, char why[WHY])
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	for (int k = 0; k < KIND_COUNT_; k++) {
		int64_t n = need->of[k], max = q->max.of[k];
		int64_t left = clamp(max - q->used.of[k] - held->of[k]);
		if (max == MOST || n <= left)
			continue;
		buf_addf(&text, "%s%" PRId64 " %s wanted, %" PRId64 " of %" PRId64 " free", text.len ? "; " : "", n,
			 n == 1 ? kinds[k].one : kinds[k].many, left, max);
	}
	snprintf(why, WHY, "%s", text.data);
	return text.len == 0;
}

int quota_take(struct quota *q, const struct quota_need *need, char why[160], struct err *err)
{
	static const struct amounts nothing;
	struct amounts n = amounts_of(need);
	int rc = 0;
	pthread_mutex_lock(&q->lock);
	if (!fits(q, &n, &nothing, why))
		rc = err_set(err, ERR_CLOUD, 0, "quota: %s", why);
	else if (fits(q, &n, &q->held, why)) {
		for (int k = 0; k < KIND_COUNT_; k++)
			q->held.of[k] += n.of[k];
		q->shares++;
		rc = 1;
	}
	pthread_mutex_unlock(&q->lock);
	return rc;
}

/* Locked. */
static void give(struct quota *q, const struct quota_need *need)
{
	struct amounts n = amounts_of(need);
	assert(q->shares > 0);
	q->shares--;
	for (int k = 0; k < KIND_COUNT_; k++) {
		assert(q->held.of[k] >= n.of[k]);
		q->held.of[k] -= n.of[k];
	}
}

void quota_give(struct quota *q, const struct quota_need *need)
{
	pthread_mutex_lock(&q->lock);
	give(q, need);
	q->gives++;
	pthread_mutex_unlock(&q->lock);
}

/* One more look later: -1 when the deadline has come, or on a stop. */
static int look_later(const char *why, mono_ms deadline, struct err *err)
{
	mono_ms now = clock_mono();
	if (now >= deadline)
		return err_set(err, ERR_BOX, 0, "quota: its turn has not come: %s", why);
	return wait_ms(deadline - now < LOOK_MS ? deadline - now : LOOK_MS, WAIT_STOPPABLE, err);
}

int quota_wait(struct quota *q, const struct quota_need *need, void (*stage)(void *ctx, const char *why), void *ctx,
	       mono_ms deadline, struct err *err)
{
	char why[WHY], told[WHY] = "";
	for (;;) {
		int rc = quota_take(q, need, why, err);
		if (rc != 0)
			return rc < 0 ? -1 : 0;
		if (stage && strcmp(why, told) != 0)
			stage(ctx, why);
		memcpy(told, why, sizeof(told));
		if (look_later(why, deadline, err) < 0)
			return -1;
	}
}

bool quota_others(struct quota *q, const struct quota_need *need)
{
	struct amounts n = amounts_of(need);
	bool others = false;
	pthread_mutex_lock(&q->lock);
	for (int k = 0; k < KIND_COUNT_; k++)
		others = others || q->held.of[k] > n.of[k];
	pthread_mutex_unlock(&q->lock);
	return others;
}

int quota_refused(struct quota *q, const struct quota_need *need, void (*stage)(void *ctx, const char *why), void *ctx,
		  mono_ms deadline, struct err *err)
{
	static const char why[] = "the cloud has no room; until another box has ended";
	pthread_mutex_lock(&q->lock);
	give(q, need); /* not counted: it makes no room, and others that were refused would ask the cloud again */
	uint64_t gives = q->gives;
	pthread_mutex_unlock(&q->lock);
	if (stage)
		stage(ctx, why);
	for (;;) {
		pthread_mutex_lock(&q->lock);
		bool again = q->gives != gives || q->shares == 0;
		pthread_mutex_unlock(&q->lock);
		if (again)
			return quota_wait(q, need, stage, ctx, deadline, err);
		if (look_later(why, deadline, err) < 0)
			return -1;
	}
}
