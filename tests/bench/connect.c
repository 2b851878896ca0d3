/* SPDX-License-Identifier: MIT */
/* What connecting costs.
 *
 *     connect [ROUNDS]
 *
 * (1) On loopback: a process of ours, start to end, that connects, logs in, runs a command and reads its first output,
 *     against `ssh … true`, interleaved. (2) Round trips, as the slope between 50 and 200 ms on a delay link (tunlink,
 * in the directory of this program): to the first output of a command; to the first byte of a journal that is followed
 *     again; to the trailer of a whole flight. Ends with 1 when an aim is missed, 77 when the machine lacks something.
 */
#include <inttypes.h>
#include <libgen.h>
#include <spawn.h>
#include <time.h>

#include "base/stop.h"
#include "provision/flight.h"
#include "tests/bench/far.h"

#define NONCE       "00112233445566778899aabbccddeeff"
#define SOON_MS     20000
#define ROUNDS_MAX  101
#define LINK_ROUNDS 7
#define RATIO_AIM   0.45
#define TRIPS_AIM   10.2
#define FLIGHT_AIM  12.0
#define HOLE_AIM_S  39.0 /* 1.3 times the 30 s of ssh.c */

static const char runner[] = "cd \"$1\"; echo $$ >pid\n"
			     "{ echo \"@$2 hello run=$3\"; echo \"@$2 done ok=1 why=end ms=1\"; } >>journal\n";

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_size);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void die(const char *doing, const struct err *err)
{
	fprintf(stderr, "connect: %s: %s\n", doing, err->msg);
	exit(1);
}

/* ---- (1) loopback ---- */

/* In a child: the target as sshd_target() would give it, from the files of the test's directory. */
static int once(const char *dir, const char *port)
{
	struct ssh_target t = {.address = "127.0.0.1", .port = (int)strtol(port, NULL, 10), .user = "root"};
	struct err err = ERR_INIT;
	AUTO_BUF line = buf_make(1000);
	AUTO_BUF pem = buf_make(1000);
	AUTO_FREE char *host = xasprintf("%s/host.pub", dir);
	AUTO_FREE char *login = xasprintf("%s/login", dir);
	char out[16];
	if (ssh_library_init(&err) < 0 || fs_read(host, 1000, &line, &err) < 0 ||
	    fs_read(login, 1000, &pem, &err) < 0 || key_blob_of_line(line.data, t.host_blob, &err) < 0)
		die("reading keys", &err);
	snprintf(t.private_pem, sizeof(t.private_pem), "%s", pem.data);
	mono_ms deadline = clock_deadline(SOON_MS);
	CLEANUP(ssh_closep) struct ssh *s = ssh_connect(&t, deadline, WAIT_STOPPABLE, &err);
	if (!s || ssh_exec(s, "echo x", deadline, &err) < 0 || ssh_read(s, out, sizeof(out), deadline, &err) != 2)
		die("one connection", &err);
	return 0;
}

static double timed(const char *const *argv)
{
	pid_t pid;
	int status = 0;
	char **args;
	memcpy(&args, &argv, sizeof(args)); /* posix_spawn() does not write to them */
	double began = now_ms();
	if (posix_spawnp(&pid, argv[0], NULL, NULL, args, environ) != 0 || waitpid(pid, &status, 0) < 0 ||
	    status != 0) {
		fprintf(stderr, "connect: %s: status %d\n", argv[0], status);
		exit(1);
	}
	return now_ms() - began;
}

static bool loopback(size_t rounds)
{
	struct sshd d;
	double v[3][ROUNDS_MAX], ratio[3][ROUNDS_MAX], m[3];
	if (!sshd_start(&d, NULL))
		exit(77);
	char port[16], known[160], key[96];
	AUTO_FREE char *line = xasprintf("[127.0.0.1]:%d %s\n", d.port, d.host.public_line);
	snprintf(port, sizeof(port), "%d", d.port);
	snprintf(known, sizeof(known), "UserKnownHostsFile=%s/known", d.dir);
	snprintf(key, sizeof(key), "%s/login", d.dir);
	sshd_write(&d, "known", line, 0600);
	sshd_write(&d, "host.pub", d.host.public_line, 0600);
	sshd_write(&d, "login", d.login.private_pem, 0600);
#define SSH                                                                                                            \
	"ssh", "-F", "none", "-o", known, "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR", "-i", key, "-p", port,   \
		"-l", "root"
	const char *ours[] = {"/proc/self/exe", "--once", d.dir, port, NULL};
	const char *fair[] = {SSH, "-o", "KexAlgorithms=curve25519-sha256", "127.0.0.1", "true", NULL};
	const char *plain[] = {SSH, "127.0.0.1", "true", NULL};
	const char *const *argv[] = {ours, fair, plain};
	static const char *const names[] = {"stepbox", "ssh, curve25519", "ssh, default"};
	for (size_t i = 0; i < rounds + 1; i++) /* the first is to warm up */
		for (size_t k = 0; k < 3; k++)
			v[k][i ? i - 1 : 0] = timed(argv[k]);
	for (size_t i = 0; i < rounds; i++) /* by round: load that comes and goes meets both of a pair */
		for (size_t k = 0; k < 3; k++)
			ratio[k][i] = v[k][i] / v[1][i];
	double load = 0;
	(void)getloadavg(&load, 1);
	printf("loopback (load average %.1f), process start to end, %zu rounds interleaved, ms\n%-18s %8s %8s %8s "
	       "%8s\n",
	       load, rounds, "", "median", "min", "max", "ratio");
	for (size_t k = 0; k < 3; k++) {
		m[k] = median(ratio[k], rounds);
		double mid = median(v[k], rounds);
		printf("%-18s %8.1f %8.1f %8.1f %8.2f\n", names[k], mid, v[k][0], v[k][rounds - 1], m[k]);
	}
	bool good = m[0] <= RATIO_AIM;
	printf("aim: ratio <= %.2f: %s\n\n", RATIO_AIM, good ? "met" : "MISSED");
	sshd_end(&d);
	return good;
}

/* ---- (2) the delay link ---- */

static double first_output(const struct far *f)
{
	struct err err = ERR_INIT;
	char out[16];
	mono_ms deadline = clock_deadline(SOON_MS);
	double began = now_ms();
	CLEANUP(ssh_closep) struct ssh *s = ssh_connect(&f->target, deadline, WAIT_STOPPABLE, &err);
	if (!s || ssh_exec(s, "echo x", deadline, &err) < 0 || ssh_read(s, out, sizeof(out), deadline, &err) != 2)
		die("first output", &err);
	return now_ms() - began;
}

static double first_record_at;

static int on_record(void *ctx, const struct journal_record *r, struct err *err)
{
	(void)ctx, (void)r, (void)err;
	if (first_record_at == 0)
		first_record_at = now_ms();
	return 0;
}

/* A flight to its trailer; *first: until the first record. */
static double flight(const struct far *f, const char *run, bool only_follow, double *first)
{
	struct err err = ERR_INIT;
	struct flight flight = {.run = run, .nonce = NONCE};
	struct journal *j = journal_new(NONCE, 0, on_record, NULL);
	if (!only_follow) {
		flight.runner = runner;
		flight.plan = ":\n";
	}
	first_record_at = 0;
	double began = now_ms();
	if (flight_run(&f->target, NULL, &flight, j, clock_deadline(SOON_MS), &err) < 0)
		die("flight", &err);
	double took = now_ms() - began;
	*first = first_record_at - began;
	journal_free(j);
	return took;
}

enum { FIRST_OUTPUT, REATTACH, FLIGHT, CASES };

static void measure(const struct far *f, size_t round, double v[CASES])
{
	char run[16];
	double ignored;
	snprintf(run, sizeof(run), "r%zu", round);
	v[FIRST_OUTPUT] = first_output(f);
	v[FLIGHT] = flight(f, run, false, &ignored);
	(void)flight(f, run, true, &v[REATTACH]);
}

/* How long until a connection that waits for output notices that nothing comes through any more, in s. */
static double black_hole(const struct far *f)
{
	struct err err = ERR_INIT;
	char out[16];
	mono_ms deadline = clock_deadline(SOON_MS);
	CLEANUP(ssh_closep) struct ssh *s = ssh_connect(&f->target, deadline, WAIT_STOPPABLE, &err);
	if (!s || ssh_exec(s, "sleep 100", deadline, &err) < 0)
		die("black hole", &err);
	kill(f->link, SIGUSR1);
	double began = now_ms();
	(void)!ssh_read(s, out, sizeof(out), clock_deadline(100000), &err);
	return (now_ms() - began) / 1e3;
}

static bool links(const char *tunlink)
{
	static const struct {
		const char *name;
		double aim;
	} cases[CASES] = {
		[FIRST_OUTPUT] = {"connect to first output", TRIPS_AIM},
		[REATTACH] = {"re-attach to first record", TRIPS_AIM},
		[FLIGHT] = {"whole flight, empty plan", FLIGHT_AIM},
	};
	static const char *const delays[2] = {"25", "100"}; /* each way, of RTT 50 and 200 */
	struct far far[2];
	double v[2][CASES], best[2][CASES]; /* the best: other load only adds */
	bool good = true;
	for (int i = 0; i < 2; i++) {
		far_start(&far[i], tunlink, 50 + i, delays[i]);
		(void)first_output(&far[i]); /* waits for sshd, and warms up */
	}
	for (size_t round = 0; round < LINK_ROUNDS; round++)
		for (size_t i = 0; i < 2; i++) {
			measure(&far[i], round, v[i]);
			for (size_t k = 0; k < CASES; k++)
				if (round == 0 || v[i][k] < best[i][k])
					best[i][k] = v[i][k];
		}
	double noticed = black_hole(&far[0]);
	for (size_t i = 0; i < 2; i++)
		far_end(&far[i]);
	printf("delay link, best of %d, ms\n%-26s %9s %9s %12s %6s\n", LINK_ROUNDS, "", "RTT 50", "RTT 200",
	       "round trips", "aim");
	for (size_t k = 0; k < CASES; k++) {
		double trips = (best[1][k] - best[0][k]) / 150;
		bool met = trips <= cases[k].aim;
		printf("%-26s %9.1f %9.1f %12.2f %6.1f %s\n", cases[k].name, best[0][k], best[1][k], trips,
		       cases[k].aim, met ? "met" : "MISSED");
		good = good && met;
	}
	printf("a black hole is noticed after %.1f s, aim <= %.0f: %s\n", noticed, HOLE_AIM_S,
	       noticed <= HOLE_AIM_S ? "met" : "MISSED");
	return good && noticed <= HOLE_AIM_S;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	stop_install();
	if (argc == 4 && strcmp(argv[1], "--once") == 0)
		return once(argv[2], argv[3]);
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 21;
	if (rounds < 1 || rounds > ROUNDS_MAX || ssh_library_init(&err) < 0)
		return 2;
	/* All sides alike, sshd included: other load of the machine shall not decide. */
	struct sched_param first = {.sched_priority = 1};
	(void)sched_setscheduler(0, SCHED_RR, &first);
	AUTO_FREE char *self = xstrdup(argv[0]);
	AUTO_FREE char *tunlink = xasprintf("%s/tunlink", dirname(self));
	bool good = loopback((size_t)rounds);
	good = links(tunlink) && good;
	ssh_library_exit();
	return good ? 0 : 1;
}
