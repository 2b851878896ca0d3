/* SPDX-License-Identifier: MIT */
/* flight.c and bootstrap.sh against a real sshd, with a small runner of our own that keeps the real one's contract. */
#include "provision/flight.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/stop.h"
#include "base/template.h"
#include "provision/plan.h"
#include "tests/fake/cutter.h"
#include "tests/fake/sshd.h"

#define SOON_MS 60000 /* the machine may be busy */
#define AT_ONCE 10000 /* much sooner than that */
#define NONCE   "00112233445566778899aabbccddeeff"

/* pieces COUNT BYTES PAUSE: so many output records, a pause after every tenth. */
static const char runner[] =
	"dir=$1 nonce=$2 run=$3\n"
	"cd \"$dir\" || exit 1\n"
	"echo start >>starts\n"
	"trap 'done_ 0 stop; exit 1' TERM\n"
	"say() { printf '@%s %s\\n' \"$nonce\" \"$*\" >>journal; }\n"
	"done_() { say done ok=\"$1\" why=\"$2\" ms=1; }\n"
	"pieces() {\n"
	"	awk -v n=\"$1\" -v bytes=\"$2\" -v pause=\"$3\" -v nonce=\"$nonce\" 'BEGIN {\n"
	"		for (i = 1; i <= n; i++) {\n"
	"			len = bytes + i % 97; line = i \" abc\\n\"\n"
	"			while (length(line) < len) line = line line\n"
	"			printf \"@%s out task=1 len=%d\\n%s\\n\", nonce, len, substr(line, 1, len)\n"
	"			if (i % 10 == 0 && pause > 0) { fflush(); system(\"sleep \" pause) }\n"
	"		}\n"
	"	}' >>journal\n"
	"}\n"
	"echo $$ >pid\n"
	"say hello run=\"$run\" pid=$$ utc=2026-01-01T00:00:00Z\n"
	". ./plan\n";

static struct sshd box;
static int runs;

/* What a client saw, put back into the journal's form. */
struct seen {
	struct buf text;
	char events[4096], contacts[4096];
	int fail_at, records, asked;
	uint64_t bytes;
	bool count_only;
};

static int on_record(void *ctx, const struct journal_record *r, struct err *err)
{
	struct seen *seen = ctx;
	if (++seen->records == seen->fail_at)
		return err_set(err, ERR_BOX, 4711, "the store is full");
	seen->bytes += r->len;
	if (seen->count_only)
		return 0;
	bool has_len = journal_get(r, "len");
	buf_addf(&seen->text, "@%s %s", NONCE, r->kind);
	for (size_t i = 0; i < r->n_keys; i++)
		buf_addf(&seen->text, " %s=%s", r->keys[i].key, r->keys[i].value);
	buf_adds(&seen->text, "\n");
	if (has_len) {
		buf_add(&seen->text, r->payload, r->len);
		buf_adds(&seen->text, "\n");
	}
	return 0;
}

static void on_event(void *ctx, enum flight_event kind, const char *text, const char *detail)
{
	struct seen *seen = ctx;
	char *to = kind == FLIGHT_CONTACT ? seen->contacts : seen->events;
	size_t len = strlen(to);
	(void)detail;
	assert_int_equal(kind == FLIGHT_DROP, strncmp(text, "connection lost", 15) == 0);
	assert_int_equal(kind == FLIGHT_BACK, strcmp(text, "connected again") == 0);
	snprintf(to + len, sizeof(seen->events) - len, "%s\n", text);
}

struct trip {
	char run[32];
	struct ssh_target target;
	struct flight f;
	struct seen seen;
	struct journal *j;
	struct err err;
	int rc;
};

static void trip_init(struct trip *t, const char *plan)
{
	memset(t, 0, sizeof(*t));
	snprintf(t->run, sizeof(t->run), "r%d", ++runs);
	t->target = sshd_target(&box);
	t->f = (struct flight){.nonce = NONCE, .runner = runner, .plan = plan, .drop_ms = 30000, .event = on_event};
	t->seen.text = buf_make((size_t)64 << 20);
	t->j = journal_new(NONCE, 0, on_record, &t->seen);
}

static int trip_go(struct trip *t)
{
	t->f.run = t->run;
	t->f.event_ctx = &t->seen;
	err_clear(&t->err);
	t->rc = flight_run(&t->target, NULL, &t->f, t->j, clock_deadline(SOON_MS), &t->err);
	return t->rc;
}

/* Like a new client: from the start of the journal, or from where the trip was (again = true). */
static void trip_only_follow(struct trip *t)
{
	t->f.runner = NULL;
	t->f.plan = NULL;
	t->f.payload = NULL;
	journal_free(t->j);
	buf_reset(&t->seen.text);
	t->j = journal_new(NONCE, 0, on_record, &t->seen);
}

static void trip_end(struct trip *t)
{
	journal_free(t->j);
	buf_finish(&t->seen.text);
}

static void read_box_file(const struct trip *t, const char *name, struct buf *out)
{
	char path[256];
	struct err err = ERR_INIT;
	snprintf(path, sizeof(path), "%s/.stepbox/%s/%s", box.dir, t->run, name);
	if (fs_read(path, out->max, out, &err) < 0)
		fail_msg("%s", err.msg);
}

static void must_succeed(struct trip *t)
{
	if (t->rc != 0)
		fail_msg("%s\n%s", t->err.msg, t->seen.events);
	assert_true(journal_is_done(t->j));
}

/* The client saw the journal's bytes, and the runner was started once. */
static void must_be_whole(struct trip *t)
{
	AUTO_BUF journal = buf_make((size_t)64 << 20);
	AUTO_BUF starts = buf_make(1000);
	must_succeed(t);
	read_box_file(t, "journal", &journal);
	read_box_file(t, "starts", &starts);
	assert_int_equal(journal.len, t->seen.text.len);
	assert_memory_equal(journal.data, t->seen.text.data, journal.len);
	assert_string_equal(starts.data, "start\n");
	assert_int_equal(journal_offset(t->j), journal.len);
}

static void test_plain(void **state)
{
	(void)state;
	struct trip t;
	trip_init(&t, "pieces 50 500 0\ndone_ 1 end\n");
	assert_int_equal(trip_go(&t), 0);
	must_be_whole(&t);
	assert_string_equal(t.seen.events, "sending the plan\n");
	assert_non_null(strstr(t.seen.contacts, "\nhost key\nlogin\n"));
	/* The same flight again: followed, not started. */
	journal_free(t.j);
	buf_reset(&t.seen.text);
	t.j = journal_new(NONCE, 0, on_record, &t.seen);
	assert_int_equal(trip_go(&t), 0);
	must_be_whole(&t);
	trip_end(&t);
}

static void test_directory_is_private(void **state)
{
	(void)state;
	struct trip t;
	struct stat st;
	char path[256];
	trip_init(&t, "umask >mask\ndone_ 1 end\n");
	assert_int_equal(trip_go(&t), 0);
	snprintf(path, sizeof(path), "%s/.stepbox", box.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/.stepbox/%s", box.dir, t.run);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	trip_end(&t);
}

/* first given: taken over. */
static void test_open_connection(void **state)
{
	(void)state;
	struct trip t;
	trip_init(&t, "done_ 1 end\n");
	t.f.run = t.run;
	t.f.event_ctx = &t.seen;
	struct ssh *first = ssh_connect(&t.target, clock_deadline(SOON_MS), WAIT_STOPPABLE, &t.err);
	assert_non_null(first);
	t.rc = flight_run(&t.target, first, &t.f, t.j, clock_deadline(SOON_MS), &t.err);
	must_be_whole(&t);
	trip_end(&t);
}

static void write_random(const char *path, size_t n)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *data = xcalloc(1, n);
	random_bytes(data, n);
	assert_int_equal(fs_write(path, data, n, 0600, &err), 0);
}

static void test_payload(void **state)
{
	(void)state;
	struct trip t;
	char path[128];
	AUTO_BUF got = buf_make((size_t)8 << 20);
	AUTO_BUF want = buf_make((size_t)8 << 20);
	struct err err = ERR_INIT;
	snprintf(path, sizeof(path), "%s/payload", box.dir);
	write_random(path, 3000001);
	trip_init(&t, "done_ 1 end\n");
	t.f.payload = path;
	assert_int_equal(trip_go(&t), 0);
	must_be_whole(&t);
	read_box_file(&t, "source.tar", &got);
	assert_int_equal(fs_read(path, want.max, &want, &err), 0);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.data, want.data, got.len);
	/* Again, to a box that has it and does not want 3 MB on stdin. */
	trip_go(&t);
	must_be_whole(&t);
	trip_end(&t);
}

/* More than rides along, with bytes that shells are touchy about. */
static void test_big_plan(void **state)
{
	(void)state;
	struct trip t;
	AUTO_BUF plan = buf_make((size_t)2 << 20);
	AUTO_BUF got = buf_make((size_t)2 << 20);
	buf_adds(&plan, "done_ 1 end\nexit\n: '\n");
	while (plan.len < 900000)
		buf_adds(&plan, "`$(\\\" \xff\x01 %s !\n");
	buf_adds(&plan, "'\n");
	trip_init(&t, plan.data);
	trip_go(&t);
	must_be_whole(&t);
	read_box_file(&t, "plan", &got);
	assert_string_equal(got.data, plan.data);
	trip_end(&t);
}

static void test_cut_at_random(void **state)
{
	(void)state;
	struct cutter c;
	struct trip t;
	/* sshd makes packets of up to 32 KB, which arrive whole or not at all */
	cutter_start(&c, box.port, 40, 100, 150000, 1);
	trip_init(&t, "pieces 4000 700 0.01\ndone_ 1 end\n");
	t.target.port = c.port;
	trip_go(&t);
	must_be_whole(&t);
	print_message("%d cuts, %d connections\n", c.cuts, c.connections);
	assert_true(c.cuts >= 20);
	cutter_end(&c);
	trip_end(&t);
}

/* Cut while plan and payload are on their way: what is half there must not count. */
static void test_cut_while_sending(void **state)
{
	(void)state;
	char path[128];
	snprintf(path, sizeof(path), "%s/payload", box.dir);
	write_random(path, 2000000);
	for (unsigned seed = 1; seed <= 4; seed++) {
		struct cutter c;
		struct trip t;
		AUTO_BUF got = buf_make((size_t)8 << 20);
		cutter_start(&c, box.port, 4, 2500, seed % 2 ? 20000 : 1900000, seed);
		trip_init(&t, "sha256sum <source.tar >sum\npieces 30 700 0.02\ndone_ 1 end\n");
		t.target.port = c.port;
		t.f.payload = path;
		trip_go(&t);
		must_be_whole(&t);
		read_box_file(&t, "source.tar", &got);
		assert_int_equal(got.len, 2000000);
		assert_int_equal(c.cuts, 4);
		cutter_end(&c);
		trip_end(&t);
	}
}

static void *stop_remote(void *arg)
{
	struct trip *t = arg;
	struct err err = ERR_INIT;
	if (wait_ms(1000, WAIT_IGNORE_STOP, &err) < 0 ||
	    flight_stop(&t->target, t->run, clock_deadline(SOON_MS), &err) < 0)
		fprintf(stderr, "%s\n", err.msg);
	return NULL;
}

/* The runner and plan that go to boxes, under cuts. */
static void test_real_runner(void **state)
{
	(void)state;
	struct cutter c;
	struct trip t;
	struct err err = ERR_INIT;
	AUTO_BUF real = buf_make(BUF_TEXT_MAX);
	AUTO_BUF script = buf_make(BUF_TEXT_MAX);
	AUTO_BUF journal = buf_make(BUF_TEXT_MAX);
	assert_int_equal(template_file("runner.sh", &real, &err), 0);
	trip_init(&t, NULL);
	CLEANUP(plan_freep) struct plan *plan = plan_new(t.run);
	plan_task(plan, "setup", "count", "", "seq 60000; sleep 1.2; seq 60000", 60);
	plan_task(plan, "setup", "once", "", "echo x >>\"$STEPBOX_DIR/once\"; sleep 1.2; seq 5", 60);
	plan_script(plan, &script);
	t.f.runner = real.data;
	t.f.plan = script.data;
	cutter_start(&c, box.port, 8, 20000, 200000, 3);
	t.target.port = c.port;
	trip_go(&t);
	must_succeed(&t);
	read_box_file(&t, "journal", &journal);
	assert_int_equal(journal.len, t.seen.text.len);
	assert_memory_equal(journal.data, t.seen.text.data, journal.len);
	assert_non_null(strstr(journal.data, " done ok=1 "));
	buf_reset(&journal);
	read_box_file(&t, "once", &journal);
	assert_string_equal(journal.data, "x\n");
	cutter_end(&c);
	trip_end(&t);
}

/* flight_stop() with the runner that goes to boxes. */
static void test_real_runner_stops(void **state)
{
	(void)state;
	struct trip t;
	struct err err = ERR_INIT;
	pthread_t thread;
	AUTO_BUF real = buf_make(BUF_TEXT_MAX);
	AUTO_BUF script = buf_make(BUF_TEXT_MAX);
	assert_int_equal(template_file("runner.sh", &real, &err), 0);
	trip_init(&t, NULL);
	CLEANUP(plan_freep) struct plan *plan = plan_new(t.run);
	plan_task(plan, "setup", "long", "", "sleep 61.25 & sleep 61.25", 100);
	plan_script(plan, &script);
	t.f.runner = real.data;
	t.f.plan = script.data;
	assert_int_equal(pthread_create(&thread, NULL, stop_remote, &t), 0);
	mono_ms began = clock_mono();
	trip_go(&t);
	pthread_join(thread, NULL);
	must_succeed(&t);
	assert_true(clock_mono() - began < AT_ONCE);
	assert_non_null(strstr(t.seen.text.data, " done ok=0 why=stop"));
	trip_end(&t);
}

static atomic_int killing;

static void *kill_sessions(void *arg)
{
	struct err err = ERR_INIT;
	unsigned seed = 7;
	(void)arg;
	for (int n = 0; killing && wait_ms(200 + rand_r(&seed) % 300, WAIT_IGNORE_STOP, &err) == 0; n++)
		sshd_kill_sessions(&box, n % 2 ? SIGKILL : SIGTERM);
	return NULL;
}

static void test_killed_sessions(void **state)
{
	(void)state;
	struct trip t;
	pthread_t thread;
	trip_init(&t, "pieces 1000 700 0.03\ndone_ 1 end\n");
	killing = 1;
	assert_int_equal(pthread_create(&thread, NULL, kill_sessions, NULL), 0);
	trip_go(&t);
	killing = 0;
	pthread_join(thread, NULL);
	must_be_whole(&t);
	assert_non_null(strstr(t.seen.events, "connection lost, connecting again: "));
	assert_non_null(strstr(t.seen.events, "connected again"));
	assert_string_equal(strstr(t.seen.contacts, "login\n"), "login\n"); /* only of the first contact */
	trip_end(&t);
}

static void *go(void *arg)
{
	trip_go(arg);
	return NULL;
}

static void test_clients_at_once(void **state)
{
	(void)state;
	struct trip t[4];
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++) {
		trip_init(&t[i], "pieces 200 700 0.02\ndone_ 1 end\n");
		snprintf(t[i].run, sizeof(t[i].run), "together%d", runs / 1000);
	}
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, go, &t[i]), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < 4; i++) {
		must_be_whole(&t[i]);
		trip_end(&t[i]);
	}
}

static void test_runner_gone(void **state)
{
	(void)state;
	struct trip t;
	trip_init(&t, "pieces 5 100 0\nsleep 0.3\nkill -9 $$\n");
	mono_ms began = clock_mono();
	assert_int_equal(trip_go(&t), -1);
	assert_true(clock_mono() - began < AT_ONCE);
	assert_non_null(strstr(t.err.msg, "the runner on the box is gone"));
	assert_int_equal(t.err.reach, ERR_BOX);
	assert_int_equal(t.seen.records, 6);
	trip_end(&t);
}

static void test_unknown_run(void **state)
{
	(void)state;
	struct trip t;
	trip_init(&t, "");
	trip_only_follow(&t);
	assert_int_equal(trip_go(&t), -1);
	assert_non_null(strstr(t.err.msg, "the box says: this box knows no run r"));
	trip_end(&t);
}

static void test_runner_does_not_start(void **state)
{
	(void)state;
	struct trip t;
	trip_init(&t, "");
	t.f.runner = "echo $$ >$1/pid; echo '@no' >>$1/journal\n";
	assert_int_equal(trip_go(&t), -1); /* a journal that is none: no new connection mends it */
	assert_null(strstr(t.seen.events, "again"));
	trip_end(&t);
}

static void test_attach_later(void **state)
{
	(void)state;
	struct trip t;
	trip_init(&t, "pieces 100 700 0\ndone_ 1 end\n");
	trip_go(&t);
	trip_only_follow(&t);
	trip_go(&t);
	must_be_whole(&t);
	trip_end(&t);
}

static void *stop_soon(void *arg)
{
	struct err err = ERR_INIT;
	(void)arg;
	if (wait_ms(800, WAIT_IGNORE_STOP, &err) == 0)
		stop_trigger();
	return NULL;
}

static void test_stop_and_go_on(void **state)
{
	(void)state;
	struct trip t;
	pthread_t thread;
	trip_init(&t, "pieces 20 100 0\nuntil [ -e go ]; do sleep 0.1; done\npieces 20 100 0\ndone_ 1 end\n");
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
	mono_ms began = clock_mono();
	assert_int_equal(trip_go(&t), -1);
	assert_true(clock_mono() - began < AT_ONCE);
	assert_int_equal(t.err.reach, ERR_CANCELED);
	pthread_join(thread, NULL);
	stop_clear();
	char path[256];
	snprintf(path, sizeof(path), "%s/.stepbox/%s/go", box.dir, t.run);
	assert_int_equal(fs_write(path, "", 0, 0600, &t.err), 0);
	journal_rewind(t.j);
	t.f.runner = t.f.plan = NULL;
	trip_go(&t); /* from where it was */
	must_be_whole(&t);
	trip_end(&t);
}

static void test_stop_remote(void **state)
{
	(void)state;
	struct trip t;
	pthread_t thread;
	trip_init(&t, "sleep 60 & wait\n");
	assert_int_equal(pthread_create(&thread, NULL, stop_remote, &t), 0);
	mono_ms began = clock_mono();
	trip_go(&t);
	assert_true(clock_mono() - began < AT_ONCE);
	pthread_join(thread, NULL);
	must_be_whole(&t);
	assert_non_null(strstr(t.seen.text.data, "done ok=0 why=stop"));
	struct err err = ERR_INIT; /* it is over: nothing to stop is fine, no run is not */
	assert_int_equal(flight_stop(&t.target, t.run, clock_deadline(SOON_MS), &err), 0);
	assert_int_equal(flight_stop(&t.target, "nosuch", clock_deadline(SOON_MS), &err), -1);
	assert_non_null(strstr(err.msg, "stopping run nosuch: the box says: this box knows no run nosuch"));
	trip_end(&t);
}

static void test_fetch_dump(void **state)
{
	(void)state;
	struct trip t;
	char sha[SHA256_HEX], empty[SHA256_HEX], wrong[SHA256_HEX];
	AUTO_BUF out = buf_make((size_t)1 << 20);
	AUTO_BUF small = buf_make(100);
	AUTO_BUF want = buf_make((size_t)1 << 20);
	for (int i = 0; i < 30000; i++)
		buf_addf(&want, "line %d\n", i);
	sha256_hex(want.data, want.len, sha);
	sha256_hex("", 0, empty);
	memset(wrong, 'a', 64);
	wrong[64] = '\0';
	trip_init(&t, "mkdir dumps\nseq 0 29999 | sed 's/^/line /' >dumps/new\n"
		      "cp dumps/new dumps/$(printf 'a%.0s' $(seq 64))\n"
		      "mv dumps/new dumps/$(sha256sum <dumps/new | cut -c1-64)\n"
		      ": >dumps/$(sha256sum </dev/null | cut -c1-64)\ndone_ 1 end\n");
	trip_go(&t);
	must_succeed(&t);
	struct err err = ERR_INIT;
	if (flight_fetch_dump(&t.target, t.run, sha, &out, clock_deadline(SOON_MS), &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(out.data, want.data);
	buf_reset(&out);
	assert_int_equal(flight_fetch_dump(&t.target, t.run, empty, &out, clock_deadline(SOON_MS), &err), 0);
	assert_int_equal(out.len, 0);
	assert_int_equal(flight_fetch_dump(&t.target, t.run, wrong, &out, clock_deadline(SOON_MS), &err), -1);
	assert_non_null(strstr(err.msg, "with another hash"));
	assert_int_equal(flight_fetch_dump(&t.target, t.run, sha, &small, clock_deadline(SOON_MS), &err), -1);
	assert_non_null(strstr(err.msg, "over the limit"));
	wrong[0] = 'b';
	assert_int_equal(flight_fetch_dump(&t.target, t.run, wrong, &out, clock_deadline(SOON_MS), &err), -1);
	assert_non_null(strstr(err.msg, "the box has no dump b"));
	assert_int_equal(flight_fetch_dump(&t.target, t.run, "../plan", &out, clock_deadline(SOON_MS), &err), -1);
	trip_end(&t);
}

static void test_callback_error(void **state)
{
	(void)state;
	struct trip t;
	trip_init(&t, "pieces 50 500 0\ndone_ 1 end\n");
	t.seen.fail_at = 20;
	assert_int_equal(trip_go(&t), -1);
	assert_int_equal(t.err.code, 4711);
	assert_int_equal(t.seen.records, 20);
	trip_end(&t);
}

/* Its own sshd: the one behind noise, refusals, other homes. */
static void with_sshd(const char *extra, struct sshd *d)
{
	assert_true(sshd_start(d, extra));
}

static void test_shell_noise(void **state)
{
	(void)state;
	struct sshd d;
	struct trip t;
	with_sshd("ForceCommand printf 'motd\\nSTEPBOX 0\\nno line end'; eval \"$SSH_ORIGINAL_COMMAND\"", &d);
	trip_init(&t, "pieces 5 500 0\ndone_ 1 end\n");
	t.target = sshd_target(&d);
	trip_go(&t);
	must_succeed(&t);
	assert_int_equal(t.seen.records, 7);
	sshd_end(&d);
	trip_end(&t);
}

static void test_too_much_noise(void **state)
{
	(void)state;
	struct sshd d;
	struct trip t;
	with_sshd("ForceCommand yes '\033[2Jnoise'", &d);
	trip_init(&t, "");
	t.target = sshd_target(&d);
	assert_int_equal(trip_go(&t), -1);
	assert_non_null(strstr(t.err.msg, "does not run our command; it said: \\x1b[2Jnoise"));
	sshd_end(&d);
	trip_end(&t);
}

static void test_no_login_shell(void **state)
{
	(void)state;
	struct sshd d;
	struct trip t;
	with_sshd("ForceCommand echo This account is closed.", &d);
	trip_init(&t, "");
	t.target = sshd_target(&d);
	assert_int_equal(trip_go(&t), -1);
	assert_non_null(strstr(t.err.msg, "it said: This account is closed."));
	sshd_end(&d);
	trip_end(&t);
}

static void test_home_not_writable(void **state)
{
	(void)state;
	struct sshd d;
	struct trip t;
	struct err err = ERR_INIT;
	char path[128];
	with_sshd("SetEnv HOME=/proc", &d);
	trip_init(&t, "done_ 1 end\n");
	snprintf(t.run, sizeof(t.run), "home-%d", (int)getpid());
	t.target = sshd_target(&d);
	trip_go(&t);
	must_succeed(&t);
	snprintf(path, sizeof(path), "/var/tmp/.stepbox-0/%s", t.run);
	assert_true(fs_is_dir(path));
	trip_only_follow(&t); /* and is found there again */
	trip_go(&t);
	must_succeed(&t);
	assert_int_equal(fs_remove_tree(path, &err), 0);
	(void)rmdir("/var/tmp/.stepbox-0");
	sshd_end(&d);
	trip_end(&t);
}

/* ---- another user than root ---- */

#define OTHER_UID "61234"

/* An sshd with a user `other`, and on its PATH a sudo that notes its arguments and then does what `then` says. */
static void other_start(struct sshd *d, char *passwd, size_t size, const char *then)
{
	char extra[512], text[1024];
	snprintf(passwd, size, "%s", "");
	assert_true(sshd_prepare(d, NULL));
	assert_int_equal(chmod(d->dir, 0755), 0);
	assert_int_equal(chown(d->dir, (uid_t)strtoul(OTHER_UID, NULL, 10), 0), 0);
	snprintf(text, sizeof(text),
		 "root:x:0:0:root:/root:/bin/sh\nother:x:" OTHER_UID ":65534::%s:/bin/sh\n"
		 "sshd:x:105:65534::/run/sshd:/usr/sbin/nologin\n",
		 d->dir);
	sshd_write(d, "passwd", text, 0644);
	snprintf(passwd, size, "%s/passwd", d->dir);
	d->passwd = passwd;
	snprintf(text, sizeof(text), "#!/bin/sh\necho \"$1 $2 $3 $4\" >%s/asked\n%s\n", d->dir, then);
	sshd_write(d, "sudo", text, 0755);
	sshd_write(d, "authorized", d->login.public_line, 0644);
	/* one SetEnv line only is taken */
	AUTO_BUF config = buf_make(10000);
	struct err err = ERR_INIT;
	snprintf(extra, sizeof(extra), "%s/config", d->dir);
	assert_int_equal(fs_read(extra, config.max, &config, &err), 0);
	char *env = strstr(config.data, "SetEnv ");
	assert_non_null(env);
	*env = '\0';
	snprintf(text, sizeof(text), "%s\nSetEnv HOME=%s PATH=%s:/usr/bin:/bin\n", config.data, d->dir, d->dir);
	sshd_write(d, "config", text, 0600);
	sshd_launch(d);
}

/* The flight of user `other`; the answer of its sudo is what `then` says. */
static void other_trip(struct sshd *d, struct trip *t, const char *then)
{
	char passwd[128];
	other_start(d, passwd, sizeof(passwd), then);
	trip_init(t, "id -u >uid\necho \"$HOME\" >home\npieces 50 500 0.05\ndone_ 1 end\n");
	t->target = sshd_target(d);
	snprintf(t->target.user, sizeof(t->target.user), "other");
	trip_go(t);
}

static void test_sudo(void **state)
{
	(void)state;
	struct sshd d;
	struct trip t;
	AUTO_BUF asked = buf_make(10000);
	AUTO_BUF out = buf_make(10000);
	char path[128];
	other_trip(&d, &t, "[ \"$1 $2\" = '-n -H' ] || exit 9\nshift 2\nexec \"$@\"");
	must_succeed(&t);
	assert_int_equal(t.seen.records, 52);
	snprintf(path, sizeof(path), "%s/asked", d.dir);
	assert_int_equal(fs_read(path, asked.max, &asked, &t.err), 0);
	assert_true(strncmp(asked.data, "-n -H sh -c\n", 12) == 0);
	assert_int_equal(flight_stop(&t.target, t.run, clock_deadline(SOON_MS), &t.err), 0);
	assert_int_equal(
		flight_order(&t.target, "id -u; echo \"it's\"; cat; exit 3", &out, clock_deadline(SOON_MS), &t.err), 3);
	assert_string_equal(out.data, OTHER_UID "\nit's\n");
	sshd_end(&d);
	trip_end(&t);
}

static void test_sudo_wants_password(void **state)
{
	(void)state;
	struct sshd d;
	struct trip t;
	struct err err = ERR_INIT;
	mono_ms began = clock_mono();
	other_trip(&d, &t, "echo 'sudo: a password is required' >&2; exit 1");
	assert_int_equal(t.rc, -1);
	assert_true(clock_mono() - began < AT_ONCE);
	assert_int_equal(t.err.reach, ERR_BOX);
	assert_int_equal(t.err.code, EPERM);
	assert_string_equal(t.err.msg,
			    "other may not become root with `sudo -n` on the box: sudo: a password is required");
	assert_string_equal(t.seen.events, ""); /* no second try */
	assert_int_equal(flight_stop(&t.target, t.run, clock_deadline(SOON_MS), &err), -1);
	assert_non_null(strstr(err.msg, "other may not become root"));
	sshd_end(&d);
	trip_end(&t);
}

static void test_no_sudo(void **state)
{
	(void)state;
	struct sshd d;
	struct trip t;
	char path[128], passwd[128];
	other_start(&d, passwd, sizeof(passwd), "");
	snprintf(path, sizeof(path), "%s/sudo", d.dir);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/sudo/", d.dir); /* nor the system's, should it have one */
	assert_int_equal(mkdir(path, 0755), 0);
	trip_init(&t, "");
	t.target = sshd_target(&d);
	snprintf(t.target.user, sizeof(t.target.user), "other");
	assert_int_equal(trip_go(&t), -1);
	assert_int_equal(t.err.code, EPERM);
	assert_non_null(strstr(t.err.msg, "sudo"));
	sshd_end(&d);
	trip_end(&t);
}

static void test_order(void **state)
{
	(void)state;
	struct ssh_target t = sshd_target(&box);
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(20);
	mono_ms soon = clock_deadline(SOON_MS);
	assert_int_equal(flight_order(&t, "echo \"$0\"; echo e >&2", &out, soon, &err), 0);
	assert_string_equal(out.data, "stepbox\ne\n");
	buf_reset(&out);
	assert_int_equal(flight_order(&t, "seq 100000; exit 255", &out, soon, &err), 255);
	assert_int_equal(out.len, 20); /* what there is room for */
	AUTO_BUF big = buf_make(100000);
	while (big.len < 90000)
		buf_adds(&big, "true\n");
	assert_int_equal(flight_order(&t, big.data, &out, soon, &err), -1);
	assert_int_equal(err.reach, ERR_BUG);
}

static void *end_sshd_soon(void *arg)
{
	struct sshd *d = arg;
	struct err err = ERR_INIT;
	if (wait_ms(700, WAIT_IGNORE_STOP, &err) == 0) {
		sshd_kill_sessions(d, SIGKILL);
		kill(d->pid, SIGKILL);
	}
	return NULL;
}

static void test_lost_for_good(void **state)
{
	(void)state;
	struct sshd d;
	struct trip t;
	pthread_t thread;
	with_sshd(NULL, &d);
	trip_init(&t, "pieces 20 100 0\nsleep 10\n");
	t.target = sshd_target(&d);
	t.f.drop_ms = 1500;
	assert_int_equal(pthread_create(&thread, NULL, end_sshd_soon, &d), 0);
	mono_ms began = clock_mono();
	assert_int_equal(trip_go(&t), -1);
	mono_ms took = clock_mono() - began;
	pthread_join(thread, NULL);
	assert_true(took > 1800 && took < AT_ONCE);
	assert_int_equal(t.err.reach, ERR_BOX);
	assert_non_null(strstr(t.err.msg, "Connection refused"));
	sshd_end(&d);
	trip_end(&t);
}

static bool is_gone(void *ctx)
{
	struct seen *seen = ctx;
	return ++seen->asked == 2;
}

/* Somebody knows that the box will not come back: no waiting for drop_ms. */
static void test_box_is_gone(void **state)
{
	(void)state;
	struct sshd d;
	struct trip t;
	pthread_t thread;
	with_sshd(NULL, &d);
	trip_init(&t, "sleep 10\n");
	t.target = sshd_target(&d);
	t.f.gone = is_gone;
	assert_int_equal(pthread_create(&thread, NULL, end_sshd_soon, &d), 0);
	mono_ms began = clock_mono();
	assert_int_equal(trip_go(&t), -1);
	assert_true(clock_mono() - began < AT_ONCE);
	pthread_join(thread, NULL);
	assert_int_equal(t.seen.asked, 2);
	assert_int_equal(t.err.reach, ERR_BOX);
	assert_non_null(strstr(t.err.msg, "the box is gone"));
	sshd_end(&d);
	trip_end(&t);
}

/* A handshake over a slow link takes seconds, and nobody may cut it short to ask after the box. */
static void test_slow_handshake(void **state)
{
	(void)state;
	struct cutter c;
	struct trip t;
	cutter_start(&c, box.port, 0, 0, 0, 0);
	c.delay_ms = 250;
	trip_init(&t, "done_ 1 end\n");
	t.target.port = c.port;
	t.f.gone = is_gone;
	trip_go(&t);
	must_succeed(&t);
	assert_int_equal(c.connections, 1);
	cutter_end(&c);
	trip_end(&t);
}

static void test_big_journal_in_little_memory(void **state)
{
	(void)state;
	struct trip t;
	struct rusage before, after;
	trip_init(&t, "pieces 800 65000 0\ndone_ 1 end\n");
	t.seen.count_only = true;
	getrusage(RUSAGE_SELF, &before);
	trip_go(&t);
	getrusage(RUSAGE_SELF, &after);
	must_succeed(&t);
	assert_true(t.seen.bytes > 50000000);
	print_message("grew by %ld KiB\n", after.ru_maxrss - before.ru_maxrss);
	assert_true(after.ru_maxrss - before.ru_maxrss < 6144L * MEMORY_FACTOR);
	trip_end(&t);
}

static int setup(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	return ssh_library_init(&err);
}

static int teardown(void **state)
{
	(void)state;
	sshd_end(&box);
	ssh_library_exit();
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_big_journal_in_little_memory),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_directory_is_private),
		cmocka_unit_test(test_open_connection),
		cmocka_unit_test(test_payload),
		cmocka_unit_test(test_big_plan),
		cmocka_unit_test(test_cut_at_random),
		cmocka_unit_test(test_cut_while_sending),
		cmocka_unit_test(test_real_runner),
		cmocka_unit_test(test_real_runner_stops),
		cmocka_unit_test(test_killed_sessions),
		cmocka_unit_test(test_clients_at_once),
		cmocka_unit_test(test_runner_gone),
		cmocka_unit_test(test_unknown_run),
		cmocka_unit_test(test_runner_does_not_start),
		cmocka_unit_test(test_attach_later),
		cmocka_unit_test(test_stop_and_go_on),
		cmocka_unit_test(test_stop_remote),
		cmocka_unit_test(test_fetch_dump),
		cmocka_unit_test(test_callback_error),
		cmocka_unit_test(test_shell_noise),
		cmocka_unit_test(test_too_much_noise),
		cmocka_unit_test(test_no_login_shell),
		cmocka_unit_test(test_home_not_writable),
		cmocka_unit_test(test_sudo),
		cmocka_unit_test(test_sudo_wants_password),
		cmocka_unit_test(test_no_sudo),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_lost_for_good),
		cmocka_unit_test(test_box_is_gone),
		cmocka_unit_test(test_slow_handshake),
	};
	stop_install();
	if (!sshd_start(&box, NULL)) {
		fprintf(stderr, "skipped: needs root and /usr/sbin/sshd\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
