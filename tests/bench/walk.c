/* SPDX-License-Identifier: MIT */
/* A whole walk, end to end: the real runner on a real sshd, followed into a real store, over a delay link of 0, 50 and
 * 200 ms of round-trip time, against the same loop typed into a shell.
 *
 *     walk [STEPS]
 *
 * Aims: round trips of the walk ≤ 12, whatever the number of steps; the same when every step changes one line of a dump
 * of 200 KB; peak memory of the client < 16 MiB. The overhead a step is judged by steps.sh. Ends with 1 when one is
 * missed, 77 when the machine lacks something. */
#include <libgen.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include "base/hash.h"
#include "base/stop.h"
#include "base/template.h"
#include "cmd/state.h"
#include "migrations/walk.h"
#include "provision/flight.h"
#include "provision/plan.h"
#include "tests/bench/far.h"

#define TRIPS_AIM  12.0
#define MEMORY_AIM (16L * 1024) /* KiB */
#define SOON_MS    120000
#define ROUNDS     3

static void die(const char *doing, const struct err *err)
{
	fprintf(stderr, "walk: %s: %s\n", doing, err->msg);
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

#define LOOK                                                                                                           \
	"cd \"$LOOK\"; [ -e ../db ] || { : >dump; : >counts; : >versions; exit 0; }\n"                                 \
	"sqlite3 -batch -bail ../db <<'END'\n.once dump\nSELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL "  \
	"ORDER BY tbl_name, type DESC, name;\n.once counts\nSELECT 'v' || char(9) || count(*) FROM v;\n.once "         \
	"versions\n"                                                                                                   \
	"SELECT n FROM v;\nEND"

/* Steps that change nothing but the version; or one line of a schema of 200 KB. */
static char *make_plan(const char *run, int steps, bool wide)
{
	CLEANUP(plan_freep) struct plan *p = plan_new(run);
	AUTO_BUF up = buf_make(BUF_TEXT_MAX);
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *list = xasprintf("seq 1 %d", steps);
	buf_adds(&up, "{ if [ $VERSION = 1 ]; then echo 'CREATE TABLE v (n);'; ");
	if (wide)
		buf_adds(&up,
			 "i=0; while [ $i -lt 800 ]; do i=$((i+1)); echo \"CREATE TABLE t$i (id INTEGER PRIMARY KEY, "
			 "a_rather_long_name_of_a_column VARCHAR(255) NOT NULL DEFAULT 'nothing in particular', "
			 "another_rather_long_name_of_a_column INTEGER NOT NULL DEFAULT 12345678, and_one_more "
			 "TIMESTAMP);\"; done; ");
	buf_adds(&up, "else echo 'DELETE FROM v;'; ");
	if (wide)
		buf_adds(&up, "echo \"ALTER TABLE t$VERSION ADD COLUMN extra INTEGER;\"; ");
	buf_adds(&up, "fi; echo \"INSERT INTO v VALUES ($VERSION);\"; } | sqlite3 -batch -bail \"${LOOK%/*}/db\"");
	struct plan_walk w = {.tool = "bench",
			      .engine = "sqlite",
			      .dir = "/",
			      .list = list,
			      .up = up.data,
			      .look = LOOK,
			      .from = "base",
			      .to = "head",
			      .timeout_s = 60};
	plan_set_walk(p, &w);
	plan_script(p, &out);
	return buf_take(&out);
}

/* One flight with its walk into the store; ms. */
static double walk(struct db *db, const struct far *f, int steps, bool wide)
{
	struct err err = ERR_INIT;
	struct run run = {.name = "bench"};
	AUTO_BUF runner = buf_make(BUF_TEXT_MAX);
	snprintf(run.engine, sizeof(run.engine), "sqlite");
	random_hex(run.nonce, JOURNAL_NONCE_LEN / 2);
	if (template_file("runner.sh", &runner, &err) < 0 || store_run_add(db, &run, "{}", &err) < 0)
		die("run", &err);
	AUTO_FREE char *plan = make_plan(run.id, steps, wide);
	struct walk w = {.db = db};
	snprintf(w.run, sizeof(w.run), "%s", run.id);
	snprintf(w.engine, sizeof(w.engine), "sqlite");
	CLEANUP(walker_freep) struct walker *walker = walker_new(&w, &err);
	if (!walker)
		die("walker", &err);
	CLEANUP(journal_freep) struct journal *j = journal_new(run.nonce, 0, walker_record, walker);
	walker_set_journal(walker, j);
	struct flight flight = {.run = run.id, .nonce = run.nonce, .runner = runner.data, .plan = plan};
	double began = now_ms();
	if (flight_run(&f->target, NULL, &flight, j, clock_deadline(SOON_MS), &err) < 0)
		die("flight", &err);
	double took = now_ms() - began;
	char why[512] = "";
	if (walker_verdict(walker, why) != 1) {
		fprintf(stderr, "walk: %s\n", why);
		exit(1);
	}
	walker_set_journal(walker, NULL);
	return took;
}

static bool judge(const char *name, const double best[3])
{
	double trips = (best[2] - best[0]) / 200;
	bool met = trips <= TRIPS_AIM;
	printf("%-34s %8.0f %8.0f %8.0f %12.1f %5.0f %s\n", name, best[0], best[1], best[2], trips, TRIPS_AIM,
	       met ? "met" : "MISSED");
	return met;
}

int main(int argc, char **argv)
{
	static const char *const delays[3] = {"0", "25", "100"}; /* each way */
	struct err err = ERR_INIT;
	struct far far[3];
	double best[2][3];
	char dir[] = "/tmp/stepbox-walk-XXXXXX";
	bool good = true;
	int steps = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 200;
	AUTO_FREE char *self = xstrdup(argv[0]);
	AUTO_FREE char *tunlink = xasprintf("%s/tunlink", dirname(self));
	/* All sides alike, sshd and runner included: other load of the machine shall not decide. */
	struct sched_param first = {.sched_priority = 1};
	(void)sched_setscheduler(0, SCHED_RR, &first);
	stop_install();
	if (!mkdtemp(dir) || setenv("XDG_STATE_HOME", dir, 1) || ssh_library_init(&err) < 0)
		return 2;
	struct db *db = state_open(&err);
	if (!db)
		die("store", &err);
	for (int i = 0; i < 3; i++) {
		far_start(&far[i], tunlink, 60 + i, delays[i]);
		(void)walk(db, &far[i], 1, false); /* waits for sshd, and warms up */
	}
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < 3; i++)
			for (int wide = 0; wide < 2; wide++) {
				double ms = walk(db, &far[i], wide ? 30 : steps, wide != 0);
				if (round == 0 || ms < best[wide][i])
					best[wide][i] = ms;
			}
	for (int i = 0; i < 3; i++)
		far_end(&far[i]);
	printf("whole walks, best of %d, ms\n%-34s %8s %8s %8s %12s %5s\n", ROUNDS, "", "RTT 0", "RTT 50", "RTT 200",
	       "round trips", "aim");
	AUTO_FREE char *name = xasprintf("%d steps that change nothing", steps);
	good = judge(name, best[0]);
	good = judge("30 steps, one line of 200 KB each", best[1]) && good;
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	printf("peak memory of the client: %.1f MiB, aim < %ld: %s\n", (double)u.ru_maxrss / 1024, MEMORY_AIM / 1024,
	       u.ru_maxrss < MEMORY_AIM ? "met" : "MISSED");
	good = good && u.ru_maxrss < MEMORY_AIM;
	db_close(db);
	ssh_library_exit();
	(void)!fs_remove_tree(dir, &err);
	return good ? 0 : 1;
}
