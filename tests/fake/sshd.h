/* SPDX-License-Identifier: MIT */
/* A real sshd of our own for tests: throw-away keys, a loopback port, HOME in a directory of the test. Needs root (as
 * the system's sshd does) and /usr/sbin/sshd; sshd_start() returns false otherwise, and the test program ends with 77.
 */
#ifndef STEPBOX_TESTS_FAKE_SSHD_H
#define STEPBOX_TESTS_FAKE_SSHD_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/key.h"
#include "provision/ssh.h"

/* What the memory limits of tests are multiplied by: sanitizers keep what is freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_FACTOR 1000L
#else
#define MEMORY_FACTOR 1L
#endif

struct sshd {
	char dir[64];
	pid_t pid;
	int port;
	struct key host, login;
	const char *netns;  /* file of the network namespace it runs in; NULL: ours */
	const char *passwd; /* file that is /etc/passwd for it; NULL: ours */
};

/* A loopback port that is free now. *fd (if wanted) keeps it bound and not listening. */
static inline int free_port(int *keep)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	if (keep)
		*keep = fd;
	else
		close(fd);
	return ntohs(a.sin_port);
}

static inline void sshd_write(const struct sshd *d, const char *name, const char *text, mode_t mode)
{
	char path[128];
	struct err err = ERR_INIT;
	snprintf(path, sizeof(path), "%s/%s", d->dir, name);
	if (fs_write(path, text, strlen(text), mode, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		abort();
	}
}

/* Keys, directory, configuration and port; not started. extra: lines for sshd_config. */
static inline bool sshd_prepare(struct sshd *d, const char *extra)
{
	struct err err = ERR_INIT;
	memset(d, 0, sizeof(*d));
	if (geteuid() != 0 || access("/usr/sbin/sshd", X_OK) < 0)
		return false;
	snprintf(d->dir, sizeof(d->dir), "/tmp/stepbox-sshd-XXXXXX");
	if (!mkdtemp(d->dir) || key_generate(&d->host, "host", &err) < 0 || key_generate(&d->login, "login", &err) < 0)
		abort();
	(void)mkdir("/run/sshd", 0755);
	d->port = free_port(NULL);
	char text[2048];
	sshd_write(d, "host", d->host.private_pem, 0600);
	sshd_write(d, "authorized", d->login.public_line, 0600);
	snprintf(text, sizeof(text),
		 "%s\nPort %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\n"
		 "StrictModes no\nUsePAM no\nUseDNS no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
		 "PermitRootLogin prohibit-password\nPidFile none\nLogLevel VERBOSE\nMaxStartups 100\nSetEnv HOME=%s\n",
		 extra ? extra : "", d->port, d->dir, d->dir, d->dir);
	sshd_write(d, "config", text, 0600);
	return true;
}

static inline void sshd_launch(struct sshd *d)
{
	char config[128], log[128];
	snprintf(config, sizeof(config), "%s/config", d->dir);
	snprintf(log, sizeof(log), "%s/log", d->dir);
	d->pid = fork();
	if (d->pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(fd, 2);
		int ns = d->netns ? open(d->netns, O_RDONLY) : -1;
		if (d->netns && setns(ns, CLONE_NEWNET) < 0)
			_exit(126);
		if (d->passwd && (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
				  mount(d->passwd, "/etc/passwd", NULL, MS_BIND, NULL) < 0))
			_exit(125);
		execl("/usr/sbin/sshd", "/usr/sbin/sshd", "-D", "-e", "-f", config, (char *)NULL);
		_exit(127);
	}
}

static inline bool sshd_start(struct sshd *d, const char *extra)
{
	if (!sshd_prepare(d, extra))
		return false;
	sshd_launch(d);
	return true;
}

static inline void sshd_end(struct sshd *d)
{
	struct err err = ERR_INIT;
	if (d->pid > 0) {
		kill(d->pid, SIGTERM);
		waitpid(d->pid, NULL, 0);
		d->pid = 0;
	}
	if (d->dir[0] && fs_remove_tree(d->dir, &err) < 0)
		fprintf(stderr, "%s\n", err.msg);
}

static inline struct ssh_target sshd_target(const struct sshd *d)
{
	struct ssh_target t = {.address = "127.0.0.1", .port = d->port, .user = "root"};
	memcpy(t.host_blob, d->host.blob, sizeof(t.host_blob));
	memcpy(t.private_pem, d->login.private_pem, sizeof(t.private_pem));
	return t;
}

/* How often a text stands in sshd's log. */
static inline int sshd_logged(const struct sshd *d, const char *text)
{
	AUTO_BUF log = buf_make(BUF_TEXT_MAX);
	struct err err = ERR_INIT;
	char path[128];
	int n = 0;
	snprintf(path, sizeof(path), "%s/log", d->dir);
	if (fs_read(path, BUF_TEXT_MAX, &log, &err) < 0)
		return 0;
	for (const char *p = log.data; (p = strstr(p, text)); p++)
		n++;
	return n;
}

/* Kills the sessions (children of the listening sshd), not the listener. Returns how many. */
static inline int sshd_kill_sessions(const struct sshd *d, int sig)
{
	char path[64], text[1024] = "";
	int n = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)d->pid, (int)d->pid);
	FILE *f = fopen(path, "re");
	if (f && fgets(text, sizeof(text), f)) {
		char *rest = text;
		for (char *end; strtol(rest, &end, 10) > 0 && end != rest; rest = end, n++)
			kill((pid_t)strtol(rest, NULL, 10), sig);
	}
	if (f)
		fclose(f);
	return n;
}

#endif
