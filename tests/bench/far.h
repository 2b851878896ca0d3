/* SPDX-License-Identifier: MIT */
/* A real sshd at the far end of a delay link (tunlink): for the benches that judge round trips. Ends the program with
 * 77 when the machine lacks something. */
#ifndef STEPBOX_TESTS_BENCH_FAR_H
#define STEPBOX_TESTS_BENCH_FAR_H

#include "tests/fake/sshd.h"

#define LINK_SECONDS "240"

struct far {
	pid_t link;
	char netns[32], netns_file[64];
	struct sshd sshd;
	struct ssh_target target;
};

static inline void far_start(struct far *f, const char *tunlink, int number, const char *delay)
{
	char num[16], listen[64], word[16] = "";
	int out[2];
	snprintf(f->netns, sizeof(f->netns), "sbbench%d-%d", (int)getpid() % 100000, number);
	snprintf(f->netns_file, sizeof(f->netns_file), "/run/netns/%s", f->netns);
	snprintf(num, sizeof(num), "%d", number);
	snprintf(listen, sizeof(listen), "ListenAddress 198.18.%d.2", number);
	if (pipe(out) < 0)
		exit(1);
	f->link = fork();
	if (f->link == 0) {
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execl(tunlink, "tunlink", f->netns, num, delay, LINK_SECONDS, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	if (read(out[0], word, sizeof(word) - 1) < 5) {
		fprintf(stderr, "no delay link\n");
		exit(77);
	}
	close(out[0]);
	if (!sshd_prepare(&f->sshd, listen))
		exit(77);
	f->sshd.netns = f->netns_file;
	sshd_launch(&f->sshd);
	f->target = sshd_target(&f->sshd);
	snprintf(f->target.address, sizeof(f->target.address), "198.18.%d.2", number);
}

static inline void far_end(struct far *f)
{
	sshd_end(&f->sshd);
	kill(f->link, SIGTERM);
	waitpid(f->link, NULL, 0);
}

#endif
