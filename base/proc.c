/* SPDX-License-Identifier: MIT */
/* How it works: posix_spawn() starts the child as leader of a new process group (glibc makes it a vfork that reports
 * exec's errno exactly), a pidfd makes its end pollable, and one poll watches pidfd, output pipes and the stop pipe.
 * Input is a file in memory, so nothing has to be written while we read and no SIGPIPE can come of it. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/stop.h"

/* From SIGTERM to SIGKILL, and from there until we give up on a child that the kernel cannot end. */
#define TERM_MS 300
#define KILL_MS 5000
/* How long output is still read after the child's own end, when somebody it left behind holds the pipe. */
#define DRAIN_MS 200

struct child {
	const char *name;
	pid_t pid; /* also its process group */
	int pidfd;
	int out, errout; /* our ends; -1: none, or at its end */
};

static void child_finish(struct child *c)
{
	fd_closep(&c->pidfd);
	fd_closep(&c->out);
	fd_closep(&c->errout);
}

/* What the child gets as 0, 1, 2; -1: /dev/null, or for errors ours. */
struct stdio {
	int in, out, errout;
	int in_own, out_own, err_own; /* those that are ours to close after the start */
};

static void stdio_finish(struct stdio *s)
{
	fd_closep(&s->in_own);
	fd_closep(&s->out_own);
	fd_closep(&s->err_own);
}

/* ---- starting ---- */

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");
	return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* Our environment with the settings of `more` put over it. The caller frees the array; the strings are borrowed. */
static char **make_env(const char *const *more)
{
	size_t n = 0, m = 0;
	while (environ[n])
		n++;
	while (more && more[m])
		m++;
	const char **env = xcalloc(n + m + 1, sizeof(*env));
	size_t count = 0;
	for (size_t i = 0; i < n; i++) {
		bool replaced = false;
		for (size_t j = 0; j < m && !replaced; j++)
			replaced = same_name(more[j], environ[i]);
		if (!replaced)
			env[count++] = environ[i];
	}
	for (size_t j = 0; j < m; j++)
		env[count++] = more[j];
	char **result;
	memcpy(&result, &env, sizeof(result)); /* exec's prototype has no const, but changes nothing */
	return result;
}

/* Fills a file in memory with the input and goes back to its start. */
static int fill_input(int fd, const struct proc_opts *opts)
{
	const char *p = opts->input;
	for (size_t left = opts->input_len; left > 0;) {
		ssize_t w = write(fd, p, left);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return -1;
		p += w;
		left -= (size_t)w;
	}
	return lseek(fd, 0, SEEK_SET) < 0 ? -1 : 0;
}

/* A pipe whose reading end is ours and does not block. */
static int output_pipe(int *ours, int *theirs, struct err *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, ERR_BOX, errno, "pipe");
	*ours = fds[0];
	*theirs = fds[1];
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, ERR_BUG, errno, "pipe");
	return 0;
}

static int open_stdio(const struct proc_opts *opts, struct child *c, struct stdio *s, struct err *err)
{
	if (opts->input) {
		s->in = s->in_own = memfd_create("stepbox-input", MFD_CLOEXEC);
		if (s->in < 0 || fill_input(s->in, opts) < 0)
			return err_sys(err, ERR_BOX, errno, "input");
	} else if (opts->input_fd > 0) {
		s->in = opts->input_fd;
	}
	if (opts->output_fd > 0) {
		s->out = opts->output_fd;
	} else if (opts->out) {
		if (output_pipe(&c->out, &s->out_own, err) < 0)
			return -1;
		s->out = s->out_own;
	}
	if (opts->inherit_stderr) {
		s->errout = STDERR_FILENO;
	} else if (opts->errout) {
		if (output_pipe(&c->errout, &s->err_own, err) < 0)
			return -1;
		s->errout = s->err_own;
	} else if (opts->merge) {
		s->errout = s->out;
	}
	return 0;
}

static void add_stdio(posix_spawn_file_actions_t *actions, int fd, int target)
{
	if (fd >= 0)
		posix_spawn_file_actions_adddup2(actions, fd, target);
	else
		posix_spawn_file_actions_addopen(actions, target, "/dev/null", target ? O_WRONLY : O_RDONLY, 0);
}

/* Returns posix_spawn()'s errno. */
static int spawn(const char *path, const char *const *argv, const struct proc_opts *opts, const struct stdio *s,
		 pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	add_stdio(&actions, s->in, STDIN_FILENO);
	add_stdio(&actions, s->out, STDOUT_FILENO);
	add_stdio(&actions, s->errout, STDERR_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	if (opts->dir)
		posix_spawn_file_actions_addchdir_np(&actions, opts->dir);

	posix_spawnattr_t attr;
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attr, 0);
	sigset_t set;
	sigemptyset(&set); /* threads of boxes have signals blocked */
	posix_spawnattr_setsigmask(&attr, &set);
	sigaddset(&set, SIGPIPE); /* the one we ignore; handlers go back to the default by themselves */
	posix_spawnattr_setsigdefault(&attr, &set);

	char **env = make_env(opts->env);
	char *const *args;
	memcpy(&args, &argv, sizeof(args)); /* const, as above */
	int rc = posix_spawn(pid, path, &actions, &attr, args, env);
	free(env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static int start(struct child *c, const char *const *argv, const struct proc_opts *opts, struct err *err)
{
	/* Searched here and not by the child, which may get another PATH in its environment. */
	AUTO_FREE char *path = strchr(argv[0], '/') ? xstrdup(argv[0]) : fs_which(argv[0]);
	if (!path)
		return err_set(err, ERR_USER, ENOENT, "%s: not installed", c->name);
	if (opts->dir && !fs_is_dir(opts->dir))
		return err_set(err, ERR_USER, ENOTDIR, "%s: %s is not a directory", c->name, opts->dir);
	CLEANUP(stdio_finish) struct stdio s = {-1, -1, -1, -1, -1, -1};
	if (open_stdio(opts, c, &s, err) < 0)
		return err_ctx(err, "%s", c->name);
	int rc = spawn(path, argv, opts, &s, &c->pid);
	if (rc == ENOENT && !fs_exists(path))
		return err_set(err, ERR_USER, rc, "%s: not installed", c->name);
	if (rc == ENOENT)
		return err_set(err, ERR_USER, rc, "%s: the interpreter of its first line is not installed", c->name);
	if (rc == EAGAIN || rc == ENOMEM)
		return err_sys(err, ERR_BOX, rc, "%s", c->name);
	return rc ? err_sys(err, ERR_USER, rc, "%s", c->name) : 0;
}

/* ---- the end ---- */

/* Takes the exit status; -1 when it is not there. */
static int reap(const struct child *c, int flags)
{
	int status;
	pid_t pid;
	do
		pid = waitpid(c->pid, &status, flags);
	while (pid < 0 && errno == EINTR);
	if (pid != c->pid)
		return -1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Ends the whole group. Its number cannot be anybody else's as long as the leader is not reaped. */
static void kill_group(const struct child *c)
{
	struct err ignored = ERR_INIT;
	kill(-c->pid, SIGTERM);
	int ended = c->pidfd < 0 ? 0 : wait_fd(c->pidfd, POLLIN, clock_deadline(TERM_MS), WAIT_IGNORE_STOP, &ignored);
	kill(-c->pid, SIGKILL);
	if (ended == 0 && c->pidfd >= 0)
		ended = wait_fd(c->pidfd, POLLIN, clock_deadline(KILL_MS), WAIT_IGNORE_STOP, &ignored);
	reap(c, ended == 1 || c->pidfd < 0 ? 0 : WNOHANG);
	/* The others of the group have been killed too, but their last moments take a little. */
	for (int i = 0; i < 20 && kill(-c->pid, 0) == 0; i++)
		if (wait_ms(5, WAIT_IGNORE_STOP, &ignored) < 0)
			break;
}

/* ---- while it runs ---- */

/* Reads what is there into b (as much as it may hold). Closes at the end of file. */
static void drain(int *fd, struct buf *b)
{
	char piece[64 << 10];
	ssize_t n = read(*fd, piece, sizeof(piece));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		fd_closep(fd);
		return;
	}
	size_t room = b->max - b->len;
	if ((size_t)n > room && !b->overflow) {
		buf_add(b, piece, room); /* its beginning, then the overflow */
		buf_addc(b, piece[room]);
	} else {
		buf_add(b, piece, (size_t)n);
	}
}

/* This module polls by itself, the second place beside base/wait.c that does: it has up to three descriptors to
 * watch at a time. The rules are the same: stop pipe, monotonic deadline, the flag looked at after every return. */
static int poll_child(const struct child *c, bool running, mono_ms until, enum wait_mode mode, struct pollfd fds[4])
{
	fds[0] = (struct pollfd){.fd = running ? c->pidfd : -1, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = c->out, .events = POLLIN};
	fds[2] = (struct pollfd){.fd = c->errout, .events = POLLIN};
	fds[3] = (struct pollfd){.fd = running && mode == WAIT_STOPPABLE ? stop_fd() : -1, .events = POLLIN};
	mono_ms now = clock_mono();
	mono_ms left = until > now ? until - now : 0;
	if (poll(fds, 4, left < INT_MAX ? (int)left : INT_MAX) >= 0)
		return 0;
	for (int i = 0; i < 4; i++)
		fds[i].revents = 0; /* nothing is known to be ready */
	return errno == EINTR ? 0 : -1;
}

/* Reads output until the child has ended and its pipes have too (or the drain time is over). */
static int follow(struct child *c, const struct proc_opts *opts, struct err *err)
{
	mono_ms deadline = opts->deadline ? opts->deadline : DEADLINE_NEVER;
	mono_ms drain_end = 0;
	bool running = true;
	while (running || c->out >= 0 || c->errout >= 0) {
		struct pollfd fds[4];
		if (running && opts->mode == WAIT_STOPPABLE && stop_requested())
			return err_set(err, ERR_CANCELED, 0, "%s: stopped", c->name);
		if (poll_child(c, running, running ? deadline : drain_end, opts->mode, fds) < 0)
			return err_sys(err, ERR_BUG, errno, "%s: poll", c->name);
		if (fds[1].revents)
			drain(&c->out, opts->out);
		if (fds[2].revents)
			drain(&c->errout, opts->errout);
		if (fds[0].revents) {
			running = false;
			drain_end = clock_deadline(DRAIN_MS);
		}
		mono_ms now = clock_mono();
		if (running && now >= deadline)
			return err_set(err, ERR_BOX, 0, "%s: not done in its time, killed", c->name);
		if (!running && now >= drain_end)
			break;
	}
	return 0;
}

int proc_run(const char *const *argv, const struct proc_opts *opts, struct err *err)
{
	CLEANUP(child_finish) struct child c = {.name = argv[0], .pid = -1, .pidfd = -1, .out = -1, .errout = -1};
	if (start(&c, argv, opts, err) < 0)
		return -1;
	c.pidfd = pidfd_open(c.pid, 0);
	int rc = c.pidfd < 0 ? err_sys(err, ERR_BUG, errno, "%s: pidfd_open", c.name) : follow(&c, opts, err);
	if (rc < 0) {
		kill_group(&c);
		return -1;
	}
	int code = reap(&c, 0);
	return code < 0 ? err_sys(err, ERR_BUG, errno, "%s: waitpid", c.name) : code;
}
