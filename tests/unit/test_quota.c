/* SPDX-License-Identifier: MIT */
#include "cloud/quota.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/stop.h"

static void quota_freep(struct quota **q)
{
	quota_free(*q);
}
#define AUTO_QUOTA CLEANUP(quota_freep) struct quota *

/* Limits as nova's JSON; text has ' for ". */
static void set(struct quota *q, const char *text)
{
	AUTO_FREE char *s = xstrdup(text);
	for (char *p = s; *p; p++)
		if (*p == '\'')
			*p = '"';
	json_t *j = json_loads(s, JSON_DECODE_ANY, NULL);
	assert_non_null(j);
	quota_set(q, j);
	json_decref(j);
}

static const char lab_limits[] = "{'maxTotalInstances':10,'maxTotalCores':20,'maxTotalRAMSize':51200,"
				 "'maxServerMeta':128,'maxTotalFloatingIps':-1,'totalRAMUsed':0,'totalCoresUsed':0,"
				 "'totalInstancesUsed':0}";

static void test_takes_and_gives(void **state)
{
	(void)state;
	AUTO_QUOTA q = quota_new();
	struct quota_need need = {1, 4, 8192};
	struct err err = ERR_INIT;
	char why[160];
	set(q, lab_limits);
	for (int i = 0; i < 5; i++)
		assert_int_equal(quota_take(q, &need, why, &err), 1);
	assert_int_equal(quota_take(q, &need, why, &err), 0);
	assert_string_equal(why, "4 cores wanted, 0 of 20 free");
	assert_true(quota_others(q, &need));
	quota_give(q, &need);
	assert_int_equal(quota_take(q, &need, why, &err), 1);
	for (int i = 0; i < 4; i++)
		quota_give(q, &need);
	assert_false(quota_others(q, &need));
	quota_give(q, &need);
	assert_int_equal(err.reach, ERR_NONE);
}

static void test_never(void **state)
{
	(void)state;
	AUTO_QUOTA q = quota_new();
	struct err err = ERR_INIT;
	char why[160];
	set(q, "{'maxTotalInstances':10,'totalInstancesUsed':10,'maxTotalCores':20,'totalCoresUsed':18,"
	       "'maxTotalRAMSize':51200,'totalRAMUsed':2048}");
	assert_int_equal(quota_take(q, &(struct quota_need){0, 4, 512}, why, &err), -1);
	assert_string_equal(err.msg, "quota: 4 cores wanted, 2 of 20 free");
	assert_int_equal(err.reach, ERR_CLOUD);
	assert_int_equal(quota_take(q, &(struct quota_need){1, 1, 65536}, why, &err), -1);
	assert_string_equal(err.msg,
			    "quota: 1 instance wanted, 0 of 10 free; 65536 MB of RAM wanted, 49152 of 51200 free");
	/* What has been refused holds nothing. */
	assert_int_equal(quota_take(q, &(struct quota_need){0, 2, 512}, why, &err), 1);
	assert_int_equal(quota_take(q, &(struct quota_need){0, 2, 512}, why, &err), 0);
	/* Waiting for that one would not help. */
	assert_int_equal(quota_take(q, &(struct quota_need){0, 3, 512}, why, &err), -1);
	assert_int_equal(quota_wait(q, &(struct quota_need){0, 3, 512}, NULL, NULL, DEADLINE_NEVER, &err), -1);
	assert_string_equal(err.msg, "quota: 3 cores wanted, 2 of 20 free");
	quota_give(q, &(struct quota_need){0, 2, 512});
}

static void test_odd_limits(void **state)
{
	(void)state;
	static const char *const unlimited[] = {
		"null",
		"[]",
		"17",
		"{}",
		"{'maxTotalCores':-1,'maxTotalInstances':-1,'maxTotalRAMSize':-1,'totalCoresUsed':99}",
		"{'maxTotalCores':'20','maxTotalInstances':null,'maxTotalRAMSize':[1]}",
		"{'maxTotalCores':9223372036854775807,'maxTotalInstances':1e300,'maxTotalRAMSize':1.5}",
		"{'maxTotalCores':-9223372036854775808,'totalCoresUsed':9223372036854775807}",
	};
	struct quota_need huge = {INT64_MAX, INT64_MAX, INT64_MAX}, odd = {-1, INT64_MIN, 0};
	struct err err = ERR_INIT;
	char why[160];
	for (size_t i = 0; i < ARRAY_SIZE(unlimited); i++) {
		AUTO_QUOTA q = quota_new();
		set(q, unlimited[i]);
		for (int k = 0; k < 1000; k++)
			assert_int_equal(quota_take(q, k % 2 ? &huge : &odd, why, &err), 1);
		for (int k = 0; k < 1000; k++)
			quota_give(q, k % 2 ? &huge : &odd);
		assert_false(quota_others(q, &odd));
	}
	AUTO_QUOTA q = quota_new();
	assert_int_equal(quota_take(q, &huge, why, &err), 1); /* nothing is known yet */
	quota_give(q, &huge);
	set(q, "{'maxTotalCores':1000000000000,'totalCoresUsed':9223372036854775807,'maxTotalInstances':1000000000000,"
	       "'totalInstancesUsed':'many','maxTotalRAMSize':1000000000000,'totalRAMUsed':-7}");
	assert_int_equal(quota_take(q, &huge, why, &err), -1);
	assert_in_range(strlen(why), 1, sizeof(why) - 1);
	assert_int_equal(quota_take(q, &(struct quota_need){1, 0, 1}, why, &err), 1);
	quota_give(q, &(struct quota_need){1, 0, 1});
	set(q, "{'maxTotalInstances':0}");
	assert_int_equal(quota_take(q, &(struct quota_need){1, 1, 1}, why, &err), -1);
	assert_string_equal(err.msg, "quota: 1 instance wanted, 0 of 0 free");
	quota_free(NULL);
}

/* Numbers that are read while ours run have them among those in use. */
static void test_set_again(void **state)
{
	(void)state;
	AUTO_QUOTA q = quota_new();
	struct quota_need need = {1, 2, 1024};
	struct err err = ERR_INIT;
	char why[160];
	set(q, "{'maxTotalCores':8,'totalCoresUsed':2}");
	for (int i = 0; i < 3; i++)
		assert_int_equal(quota_take(q, &need, why, &err), 1);
	assert_int_equal(quota_take(q, &need, why, &err), 0);
	set(q, "{'maxTotalCores':8,'totalCoresUsed':8}"); /* 6 of them ours */
	assert_int_equal(quota_take(q, &need, why, &err), 0);
	set(q, "{'maxTotalCores':8,'totalCoresUsed':6}"); /* the others have ended */
	assert_int_equal(quota_take(q, &need, why, &err), 1);
	assert_int_equal(quota_take(q, &need, why, &err), 0);
	set(q, "{'maxTotalCores':6,'totalCoresUsed':8}"); /* cut below what we hold */
	assert_int_equal(quota_take(q, &need, why, &err), 0);
	assert_string_equal(why, "2 cores wanted, 0 of 6 free");
	for (int i = 0; i < 4; i++)
		quota_give(q, &need);
}

struct waiter {
	struct quota *q;
	struct quota_need need;
	int64_t hold_ms;
	mono_ms deadline;
	int rounds;
	int rc;
	struct err err;
	atomic_int *running, *most, *turns;
	atomic_int stages;
	char why[160];
};

static void on_stage(void *ctx, const char *why)
{
	struct waiter *w = ctx;
	snprintf(w->why, sizeof(w->why), "%s", why);
	w->stages++;
}

/* Takes, holds, gives, `rounds` times. */
static void *live(void *arg)
{
	struct waiter *w = arg;
	for (int i = 0; i < w->rounds; i++) {
		w->rc = quota_wait(w->q, &w->need, on_stage, w, w->deadline, &w->err);
		if (w->rc != 0)
			return NULL;
		int now = atomic_fetch_add(w->running, (int)w->need.cores) + (int)w->need.cores;
		for (int most = atomic_load(w->most); now > most && !atomic_compare_exchange_weak(w->most, &most, now);)
			;
		w->rc = wait_ms(w->hold_ms, WAIT_IGNORE_STOP, &w->err);
		atomic_fetch_sub(w->running, (int)w->need.cores);
		atomic_fetch_add(w->turns, 1);
		quota_give(w->q, &w->need);
	}
	return NULL;
}

static void test_wait_its_turn(void **state)
{
	(void)state;
	enum { THREADS = 12, ROUNDS = 3, CORES = 7 };
	AUTO_QUOTA q = quota_new();
	atomic_int running = 0, most = 0, turns = 0, waited = 0;
	pthread_t threads[THREADS];
	struct waiter w[THREADS];
	set(q, "{'maxTotalCores':7,'maxTotalInstances':-1}");
	for (int i = 0; i < THREADS; i++) {
		/* One needs nearly all: no queue keeps the small ones back, but it gets its turn when they are through.
		 */
		w[i] = (struct waiter){.q = q,
				       .need = {1, i == 0 ? CORES - 1 : 1 + i % 3, 512},
				       .hold_ms = 5 + 3 * i,
				       .deadline = clock_deadline(120000),
				       .rounds = ROUNDS,
				       .err = ERR_INIT,
				       .running = &running,
				       .most = &most,
				       .turns = &turns};
		assert_int_equal(pthread_create(&threads[i], NULL, live, &w[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(w[i].rc, 0);
		waited += w[i].stages;
	}
	assert_int_equal(turns, THREADS * ROUNDS);
	assert_int_equal(running, 0);
	assert_in_range(most, 2, CORES);
	assert_true(waited > 0);
	assert_false(quota_others(q, &(struct quota_need){0, 0, 0}));
}

static void test_wait_ends(void **state)
{
	(void)state;
	AUTO_QUOTA q = quota_new();
	struct quota_need need = {1, 2, 512};
	struct waiter w = {.q = q};
	struct err err = ERR_INIT;
	set(q, "{'maxTotalInstances':1}");
	assert_int_equal(quota_wait(q, &need, on_stage, &w, 0, &err), 0); /* it fits: no time is needed */
	assert_int_equal(w.stages, 0);
	mono_ms begin = clock_mono();
	assert_int_equal(quota_wait(q, &need, on_stage, &w, clock_deadline(500), &err), -1);
	assert_true(clock_mono() - begin >= 499);
	assert_int_equal(err.reach, ERR_BOX);
	assert_string_equal(err.msg, "quota: its turn has not come: 1 instance wanted, 0 of 1 free");
	assert_int_equal(w.stages, 1); /* the same reason is not repeated */
	assert_string_equal(w.why, "1 instance wanted, 0 of 1 free");
	stop_trigger();
	assert_int_equal(quota_wait(q, &need, NULL, NULL, DEADLINE_NEVER, &err), -1);
	assert_int_equal(err.reach, ERR_CANCELED);
	stop_clear();
	quota_give(q, &need);
}

static void *refused(void *arg)
{
	struct waiter *w = arg;
	w->rc = quota_refused(w->q, &w->need, on_stage, w, w->deadline, &w->err);
	return NULL;
}

static void wait_for_stage(struct waiter *w)
{
	struct err err = ERR_INIT;
	while (w->stages == 0)
		assert_int_equal(wait_ms(2, WAIT_IGNORE_STOP, &err), 0);
}

/* The cloud says no although its numbers say yes. */
static void test_refused(void **state)
{
	(void)state;
	AUTO_QUOTA q = quota_new();
	struct quota_need need = {1, 2, 512}, other = {1, 4, 512};
	struct err err = ERR_INIT;
	char why[160];
	pthread_t threads[2];
	struct waiter w[2];
	for (int i = 0; i < 3; i++)
		assert_int_equal(quota_take(q, i < 2 ? &need : &other, why, &err), 1);
	for (int i = 0; i < 2; i++) {
		assert_true(quota_others(q, &need));
		w[i] = (struct waiter){
			.q = q, .need = need, .deadline = clock_deadline(60000), .rc = 7, .err = ERR_INIT};
		assert_int_equal(pthread_create(&threads[i], NULL, refused, &w[i]), 0);
		wait_for_stage(&w[i]);
	}
	/* Both have given theirs back, which wakes neither; only the third one's end does. */
	assert_false(quota_others(q, &other));
	assert_int_equal(wait_ms(450, WAIT_IGNORE_STOP, &err), 0);
	assert_false(quota_others(q, &other));
	quota_give(q, &other);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(w[i].rc, 0);
	}
	/* Refused again: each of them knows only of the other; the last one has nobody to wait for. */
	assert_true(quota_others(q, &need));
	quota_give(q, &need);
	assert_false(quota_others(q, &need));
	assert_int_equal(quota_refused(q, &need, NULL, NULL, clock_deadline(60000), &err), 0);
	quota_give(q, &need);
}

static void test_refused_ends(void **state)
{
	(void)state;
	AUTO_QUOTA q = quota_new();
	struct quota_need need = {1, 2, 512};
	struct err err = ERR_INIT;
	char why[160];
	for (int i = 0; i < 3; i++)
		assert_int_equal(quota_take(q, &need, why, &err), 1);
	assert_int_equal(quota_refused(q, &need, NULL, NULL, clock_deadline(50), &err), -1);
	assert_int_equal(err.reach, ERR_BOX);
	stop_trigger();
	assert_int_equal(quota_refused(q, &need, NULL, NULL, DEADLINE_NEVER, &err), -1);
	assert_int_equal(err.reach, ERR_CANCELED);
	stop_clear();
	assert_false(quota_others(q, &need)); /* one of three is still held */
	quota_give(q, &need);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_and_gives), cmocka_unit_test(test_never),
		cmocka_unit_test(test_odd_limits),      cmocka_unit_test(test_set_again),
		cmocka_unit_test(test_wait_its_turn),   cmocka_unit_test(test_wait_ends),
		cmocka_unit_test(test_refused),         cmocka_unit_test(test_refused_ends),
	};
	stop_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
