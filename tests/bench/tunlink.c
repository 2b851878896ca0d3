/* SPDX-License-Identifier: MIT */
/* A link with a delay, for kernels without netem: two TUN devices, one here and one in a network namespace of its own,
 * with this program carrying packets between them and holding each for the delay.
 *
 *     tunlink NETNS NUMBER DELAY_MS SECONDS
 *
 * makes the namespace NETNS (see ip-netns(8)) and the link 198.18.NUMBER.1 (here) to 198.18.NUMBER.2 (there), prints
 * "ready" and carries for at most so many seconds, or until SIGTERM or SIGINT; all is gone then. DELAY_MS is for each
 * way. SIGUSR1 turns it into a black hole, and back. Needs root, /dev/net/tun and iproute2. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/proc.h"

#define MTU       1500
#define QUEUE_MAX 8192 /* packets on their way in one direction; more are dropped */

struct packet {
	int64_t due_ns;
	size_t len;
	unsigned char data[MTU];
};

struct way {
	int from, to;
	struct packet *queue; /* a ring */
	size_t first, n;
};

static volatile sig_atomic_t over, hole;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		hole = !hole;
	else
		over = 1;
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ip with these words; exits when it does not work, unless `may_fail`. */
static void ip(bool may_fail, const char *words)
{
	AUTO_FREE char *text = xstrdup(words);
	AUTO_BUF says = buf_make(4096);
	const char *argv[32] = {"ip"};
	size_t n = 1;
	char *rest = text;
	for (char *word; (word = strsep(&rest, " ")) && n < ARRAY_SIZE(argv) - 1;)
		argv[n++] = word;
	struct proc_opts opts = {.out = &says, .errout = &says, .deadline = clock_deadline(10000)};
	struct err err = ERR_INIT;
	int rc = proc_run(argv, &opts, &err);
	if (rc == 0 || may_fail)
		return;
	fprintf(stderr, "tunlink: ip %s: %s%s\n", words, rc < 0 ? err.msg : "", says.data);
	exit(1);
}

static int open_tun(const char *name)
{
	struct ifreq req = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &req) < 0) {
		fprintf(stderr, "tunlink: /dev/net/tun: %s\n", strerror(errno));
		exit(1);
	}
	return fd;
}

/* Takes in what has come and hands out what is due. Returns when the next one is due, or INT64_MAX. */
static int64_t carry(struct way *w, int64_t delay_ns)
{
	unsigned char data[MTU];
	ssize_t len;
	while ((len = read(w->from, data, sizeof(data))) > 0) {
		if (hole || w->n == QUEUE_MAX)
			continue;
		struct packet *p = &w->queue[(w->first + w->n++) % QUEUE_MAX];
		p->due_ns = now_ns() + delay_ns;
		p->len = (size_t)len;
		memcpy(p->data, data, p->len);
	}
	while (w->n > 0) {
		struct packet *p = &w->queue[w->first];
		if (p->due_ns > now_ns())
			return p->due_ns;
		if (!hole && write(w->to, p->data, p->len) < 0 && errno != EIO && errno != EINVAL)
			perror("tunlink: write");
		w->first = (w->first + 1) % QUEUE_MAX;
		w->n--;
	}
	return INT64_MAX;
}

static void carry_all(struct way ways[2], int64_t delay_ns)
{
	struct pollfd fds[] = {{ways[0].from, POLLIN, 0}, {ways[1].from, POLLIN, 0}};
	while (!over) {
		int64_t a = carry(&ways[0], delay_ns), b = carry(&ways[1], delay_ns);
		int64_t next = a < b ? a : b, left = next - now_ns();
		if (left < 0)
			left = 0;
		struct timespec wait = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
		(void)ppoll(fds, 2, next == INT64_MAX ? NULL : &wait, NULL);
	}
}

static void set_up(const char *netns, const char *number)
{
	char here[16], there[16], words[256];
	snprintf(here, sizeof(here), "sblink%sa", number);
	snprintf(there, sizeof(there), "sblink%sb", number);
	snprintf(words, sizeof(words), "netns add %s", netns);
	ip(false, words);
	snprintf(words, sizeof(words), "link set %s netns %s", there, netns);
	ip(false, words);
	snprintf(words, sizeof(words), "addr add 198.18.%s.1/30 dev %s", number, here);
	ip(false, words);
	snprintf(words, sizeof(words), "link set %s up", here);
	ip(false, words);
	snprintf(words, sizeof(words), "-n %s link set lo up", netns);
	ip(false, words);
	snprintf(words, sizeof(words), "-n %s addr add 198.18.%s.2/30 dev %s", netns, number, there);
	ip(false, words);
	snprintf(words, sizeof(words), "-n %s link set %s up", netns, there);
	ip(false, words);
	/* What a Debian box has; the machine of the bench may have another default. */
	snprintf(words, sizeof(words), "-n %s route change 198.18.%s.0/30 dev %s src 198.18.%s.2 congctl cubic", netns,
		 number, there, number);
	ip(true, words);
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: tunlink NETNS NUMBER DELAY_MS SECONDS\n");
		return 2;
	}
	const char *netns = argv[1], *number = argv[2];
	int64_t delay_ns = (int64_t)(strtod(argv[3], NULL) * 1e6);
	struct sigaction act = {.sa_handler = on_signal};
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGUSR1};
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &act, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	alarm((unsigned)strtoul(argv[4], NULL, 10));
	char name[16];
	snprintf(name, sizeof(name), "sblink%sa", number);
	int here = open_tun(name);
	snprintf(name, sizeof(name), "sblink%sb", number);
	int there = open_tun(name);
	struct way ways[2] = {{.from = here, .to = there}, {.from = there, .to = here}};
	for (size_t i = 0; i < 2; i++)
		ways[i].queue = xcalloc(QUEUE_MAX, sizeof(struct packet));
	set_up(netns, number);
	printf("ready\n");
	fflush(stdout);
	carry_all(ways, delay_ns);
	AUTO_FREE char *words = xasprintf("netns del %s", netns);
	ip(true, words);
	for (size_t i = 0; i < 2; i++)
		free(ways[i].queue);
	return 0;
}
