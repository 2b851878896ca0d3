/* SPDX-License-Identifier: MIT */
/* Against a small HTTP server in threads of this program, which counts the calls. */
#include "cloud/poll.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/stop.h"

#define LONG_MS 3600000

/* ---- the cloud */

struct cloud {
	int fd;
	pthread_t acceptor;
	pthread_mutex_t lock;
	json_t *servers; /* what it lists */
	atomic_int calls, looks, on_the_way, most_on_the_way;
	atomic_int delay_ms; /* between looking at its servers and answering */
	atomic_int status;   /* other than 200: refuses */
	atomic_int connections;
	struct os_session *session;
	struct poll *poll;
};

static struct cloud cloud;

static void send_all(int fd, const char *s, size_t n)
{
	while (n > 0) {
		ssize_t w = send(fd, s, n, MSG_NOSIGNAL);
		if (w <= 0)
			return;
		s += w;
		n -= (size_t)w;
	}
}

static void answer(int fd, const char *request)
{
	if (!strstr(request, "GET /v2/p1/servers/detail?name=stepbox- HTTP")) {
		static const char no[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
		send_all(fd, no, sizeof(no) - 1);
		return;
	}
	cloud.calls++;
	int now = ++cloud.on_the_way;
	if (now > cloud.most_on_the_way)
		cloud.most_on_the_way = now;
	pthread_mutex_lock(&cloud.lock);
	json_t *body = json_pack("{s:O}", "servers", cloud.servers);
	char *text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	pthread_mutex_unlock(&cloud.lock);
	cloud.looks++;
	poll(NULL, 0, cloud.delay_ms);
	int status = cloud.status;
	char head[128];
	snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		 status, strlen(text));
	cloud.on_the_way--;
	send_all(fd, head, strlen(head));
	send_all(fd, text, strlen(text));
	free(text);
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char request[8192];
	size_t n = 0;
	for (;;) {
		ssize_t r = recv(fd, request + n, sizeof(request) - 1 - n, 0);
		if (r <= 0)
			break;
		n += (size_t)r;
		request[n] = '\0';
		if (strstr(request, "\r\n\r\n")) { /* no bodies, no pipelining */
			answer(fd, request);
			n = 0;
		}
	}
	close(fd);
	cloud.connections--;
	return NULL;
}

static void *accept_all(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept(cloud.fd, NULL, NULL);
		if (fd < 0)
			return NULL;
		pthread_t t;
		cloud.connections++;
		if (pthread_create(&t, NULL, serve, (void *)(intptr_t)fd) != 0)
			abort();
		pthread_detach(t);
	}
}

/* A session that needs no keystone. */
static struct os_session *open_session(int port)
{
	AUTO_FREE char *url = xasprintf("http://127.0.0.1:%d/v2/p1", port);
	struct cloud_config config = {
		.name = xstrdup("fake"),
		.source = xstrdup("the test"),
		.auth_type = AUTH_NONE,
		.auth = json_pack("{s:s, s:s, s:s}", "endpoint", url, "token", "t", "project_id", "p1"),
		.values = json_object(),
		.region = xstrdup(""),
		.interface = xstrdup("public"),
		.verify = true,
	};
	struct err err = ERR_INIT;
	struct os_session *s = os_open(&config, &err);
	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

static int setup(void **state)
{
	(void)state;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	cloud = (struct cloud){.status = 200, .servers = json_array()};
	pthread_mutex_init(&cloud.lock, NULL);
	cloud.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(cloud.fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(cloud.fd, 64), 0);
	assert_int_equal(getsockname(cloud.fd, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(pthread_create(&cloud.acceptor, NULL, accept_all, NULL), 0);
	cloud.session = open_session(ntohs(at.sin_port));
	cloud.poll = poll_new(cloud.session);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	poll_free(cloud.poll);
	os_close(cloud.session);
	shutdown(cloud.fd, SHUT_RDWR);
	pthread_join(cloud.acceptor, NULL);
	while (cloud.connections > 0)
		poll(NULL, 0, 1);
	close(cloud.fd);
	json_decref(cloud.servers);
	pthread_mutex_destroy(&cloud.lock);
	return 0;
}

static void list_also(json_t *server /* takes */)
{
	pthread_mutex_lock(&cloud.lock);
	json_array_append_new(cloud.servers, server);
	pthread_mutex_unlock(&cloud.lock);
}

static json_t *make_server(const char *id)
{
	return json_pack("{s:s, s:s, s:{}}", "id", id, "status", "BUILD", "addresses");
}

static void list_nothing(void)
{
	pthread_mutex_lock(&cloud.lock);
	json_array_clear(cloud.servers);
	pthread_mutex_unlock(&cloud.lock);
}

static void sleep_ms(int64_t ms)
{
	struct err err = ERR_INIT;
	assert_int_equal(wait_ms(ms, WAIT_IGNORE_STOP, &err), 0);
}

/* ---- one asker */

struct asker {
	const char *id;
	int64_t max_age_ms;
	mono_ms deadline;
	enum wait_mode mode;
	int rc;
	struct err err;
	char status[16];
	int64_t took_ms;
	/* many rounds: until then, `pause_ms` between them */
	mono_ms until;
	int64_t pause_ms;
	int rounds;
};

static void *ask(void *arg)
{
	struct asker *a = arg;
	json_t *server = NULL;
	mono_ms begin = clock_mono();
	a->err = (struct err)ERR_INIT;
	a->rc = poll_server(cloud.poll, a->id, a->max_age_ms, a->deadline, a->mode, &server, &a->err);
	a->took_ms = clock_mono() - begin;
	a->status[0] = '\0';
	if (server)
		snprintf(a->status, sizeof(a->status), "%s", json_string_value(json_object_get(server, "status")));
	/* It is ours, whatever others do with theirs. */
	json_object_set_new(server, "status", json_string("mine"));
	json_decref(server);
	return NULL;
}

static int ask_now(const char *id, int64_t max_age_ms)
{
	struct asker a = {.id = id, .max_age_ms = max_age_ms, .deadline = clock_deadline(LONG_MS)};
	ask(&a);
	if (a.rc < 0)
		fail_msg("%s", a.err.msg);
	assert_string_equal(a.status, a.rc == 1 ? "BUILD" : "");
	return a.rc;
}

static void *ask_again_and_again(void *arg)
{
	struct asker *a = arg;
	struct err err = ERR_INIT;
	int expected = a->rc;
	while (clock_mono() < a->until) {
		ask(a);
		if (a->rc != expected)
			return NULL;
		a->rounds++;
		if (wait_ms(a->pause_ms, WAIT_IGNORE_STOP, &err) < 0)
			return NULL;
	}
	return NULL;
}

static void start(pthread_t *t, void *(*fn)(void *), struct asker *a)
{
	assert_int_equal(pthread_create(t, NULL, fn, a), 0);
}

/* Until the first call is on its way and the cloud has looked at its servers for it. */
static void wait_for_look(void)
{
	mono_ms limit = clock_deadline(30000);
	while (cloud.looks < 1 && clock_mono() < limit)
		sleep_ms(1);
	assert_int_equal(cloud.looks, 1);
}

/* ---- tests */

static void test_age(void **state)
{
	(void)state;
	list_also(make_server("a"));
	assert_int_equal(ask_now("a", 60000), 1);
	assert_int_equal(cloud.calls, 1);
	assert_int_equal(ask_now("a", 60000), 1);
	assert_int_equal(cloud.calls, 1);
	sleep_ms(60);
	assert_int_equal(ask_now("a", 50), 1);
	assert_int_equal(cloud.calls, 2);
	assert_int_equal(ask_now("a", 0), 1); /* now */
	assert_int_equal(cloud.calls, 3);
	assert_int_equal(ask_now("a", -5), 1);
	assert_int_equal(cloud.calls, 4);
}

/* Absence is only said by a list that was asked for after the question. */
static void test_absence(void **state)
{
	(void)state;
	assert_int_equal(ask_now("a", 300), 0);
	assert_int_equal(cloud.calls, 1);
	list_also(make_server("a"));
	assert_int_equal(ask_now("a", 300), 1);
	assert_int_equal(cloud.calls, 2);
	list_nothing();
	assert_int_equal(ask_now("a", 60000), 1); /* as it was */
	assert_int_equal(cloud.calls, 2);
	assert_int_equal(ask_now("a", 0), 0);
	assert_int_equal(cloud.calls, 3);
}

/* The other one's call began before the server was there. */
static void test_server_younger_than_the_call(void **state)
{
	(void)state;
	cloud.delay_ms = 200;
	struct asker first = {.id = "old", .max_age_ms = 100, .deadline = clock_deadline(LONG_MS)};
	struct asker second = {.id = "new", .max_age_ms = 60000, .deadline = clock_deadline(LONG_MS)};
	pthread_t t;
	list_also(make_server("old"));
	start(&t, ask, &first);
	wait_for_look();
	list_also(make_server("new"));
	ask(&second);
	pthread_join(t, NULL);
	assert_int_equal(first.rc, 1);
	assert_int_equal(second.rc, 1);
	assert_int_equal(cloud.calls, 2);
}

/* So many threads ask for three seconds; returns the calls that were made. Each paces itself as a box does. */
static int crowd(const char *prefix, int expected)
{
	enum { THREADS = 32, FOR_MS = 3000, AGE_MS = 500 };
	struct asker a[THREADS];
	pthread_t threads[THREADS];
	char ids[THREADS][16];
	int before = cloud.calls, rounds = 0;
	cloud.most_on_the_way = 0;
	mono_ms begin = clock_mono();
	for (int i = 0; i < THREADS; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%s%d", prefix, i);
		a[i] = (struct asker){.id = ids[i],
				      .max_age_ms = AGE_MS,
				      .deadline = clock_deadline(LONG_MS),
				      .until = begin + FOR_MS,
				      .pause_ms = 20 + 7 * i,
				      .rc = expected};
		start(&threads[i], ask_again_and_again, &a[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(a[i].rc, expected);
		assert_true(a[i].rounds > 0);
		rounds += a[i].rounds;
	}
	int calls = cloud.calls - before;
	int64_t took = clock_mono() - begin;
	print_message("%d rounds of %d threads in %d ms: %d calls\n", rounds, THREADS, (int)took, calls);
	/* One at the beginning, then one in AGE_MS at most. */
	assert_in_range(calls, 2, 1 + took / AGE_MS);
	assert_int_equal(cloud.most_on_the_way, 1);
	return rounds;
}

static void test_crowd(void **state)
{
	(void)state;
	cloud.delay_ms = 30;
	for (int i = 0; i < 32; i++) {
		char id[16];
		snprintf(id, sizeof(id), "box%d", i);
		list_also(make_server(id));
	}
	assert_true(crowd("box", 1) > 32 * 3);
	crowd("gone", 0);
}

static void test_crowd_is_refused(void **state)
{
	(void)state;
	cloud.status = 403;
	crowd("box", -1);
}

/* An error of the one call is everybody's; the next question is asked anew. */
static void test_error_is_shared(void **state)
{
	(void)state;
	enum { THREADS = 16 };
	struct asker a[THREADS];
	pthread_t threads[THREADS];
	cloud.status = 403;
	cloud.delay_ms = 800;
	for (int i = 0; i < THREADS; i++) {
		a[i] = (struct asker){.id = "a", .max_age_ms = 1000, .deadline = clock_deadline(30000)};
		start(&threads[i], ask, &a[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(a[i].rc, -1);
		assert_int_equal(a[i].err.reach, ERR_CLOUD);
		assert_int_equal(a[i].err.code, 403);
		assert_string_equal(a[i].err.msg, a[0].err.msg);
	}
	assert_non_null(strstr(a[0].err.msg, "/servers/detail: 403"));
	assert_int_equal(cloud.calls, 1);
	cloud.status = 200;
	list_also(make_server("a"));
	assert_int_equal(ask_now("a", 100), 1);
	assert_int_equal(cloud.calls, 2);
}

static void test_time_is_up(void **state)
{
	(void)state;
	cloud.delay_ms = 1500;
	list_also(make_server("a"));
	struct asker first = {.id = "a", .max_age_ms = 100, .deadline = clock_deadline(LONG_MS)};
	struct asker second = {.id = "a", .max_age_ms = 100};
	pthread_t t;
	start(&t, ask, &first);
	wait_for_look();
	second.deadline = clock_deadline(100);
	ask(&second);
	assert_int_equal(cloud.on_the_way, 1); /* it did not wait for that */
	assert_int_equal(second.rc, -1);
	assert_int_equal(second.err.reach, ERR_CLOUD);
	assert_string_equal(second.err.msg, "the cloud has not answered in time what has become of server a");
	pthread_join(t, NULL);
	assert_int_equal(first.rc, 1);
	assert_int_equal(cloud.calls, 1);
}

/* Who makes the call has little time; who waits for it has more, and asks again. */
static void test_deadline_is_the_callers_own(void **state)
{
	(void)state;
	cloud.delay_ms = 1500;
	list_also(make_server("a"));
	struct asker first = {.id = "a", .max_age_ms = 100, .deadline = clock_deadline(1000)};
	struct asker second = {.id = "a", .max_age_ms = 100, .deadline = clock_deadline(LONG_MS)};
	pthread_t t;
	start(&t, ask, &first);
	wait_for_look();
	ask(&second);
	pthread_join(t, NULL);
	assert_int_equal(first.rc, -1);
	assert_int_equal(second.rc, 1);
	assert_int_equal(cloud.calls, 2);
}

/* A stop ends the call of one who heeds it; one who must go on (teardown) asks again. */
static void test_stop(void **state)
{
	(void)state;
	cloud.delay_ms = 800;
	list_also(make_server("a"));
	struct asker first = {
		.id = "a", .max_age_ms = 100, .deadline = clock_deadline(LONG_MS), .mode = WAIT_STOPPABLE};
	struct asker second = {
		.id = "a", .max_age_ms = 100, .deadline = clock_deadline(LONG_MS), .mode = WAIT_IGNORE_STOP};
	struct asker third = first;
	pthread_t t[3];
	start(&t[0], ask, &first);
	wait_for_look();
	start(&t[1], ask, &second);
	start(&t[2], ask, &third);
	sleep_ms(50);
	stop_trigger();
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(first.rc, -1);
	assert_int_equal(first.err.reach, ERR_CANCELED);
	assert_int_equal(third.rc, -1);
	assert_int_equal(third.err.reach, ERR_CANCELED);
	assert_int_equal(second.rc, 1);
	stop_clear();
}

static void test_hostile_list(void **state)
{
	(void)state;
	list_also(json_null());
	list_also(json_integer(7));
	list_also(json_array());
	list_also(json_pack("{s:i}", "id", 7));
	list_also(json_pack("{s:[s]}", "id", "a"));
	list_also(json_pack("{s:s%}", "id", "a\0b", (size_t)3));
	list_also(json_pack("{s:s, s:s}", "id", "a", "status", "BUILD"));
	list_also(json_pack("{s:s, s:s}", "id", "a", "status", "ERROR"));
	assert_int_equal(ask_now("a", 1000), 1);
	assert_int_equal(ask_now("7", 100), 0);
	assert_int_equal(ask_now("", 100), 0);
	assert_int_equal(cloud.calls, 3);
}

static void test_nothing_asked(void **state)
{
	(void)state;
	poll_free(NULL);
	assert_int_equal(cloud.calls, 0); /* and teardown frees one that was never used */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_age, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_younger_than_the_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crowd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crowd_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_error_is_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time_is_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline_is_the_callers_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_asked, setup, teardown),
	};
	struct err err = ERR_INIT;
	stop_install();
	if (http_library_init(&err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	http_library_exit();
	return rc;
}
