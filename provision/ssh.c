/* SPDX-License-Identifier: MIT */
#include "provision/ssh.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libssh2.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"

/* Facts about libssh2 1.10 that shape this file:
 * - one call outstanding per session: what answered EAGAIN is repeated with the same arguments before anything else is
 *   called, else BAD_USE; so each public function here ends its call or declares the connection dead (`dead`), and a
 *   read whose window adjustment is half sent is finished first by the next one (`half_sent`);
 * - it never judges a silent connection, so the kernel does (TCP_USER_TIMEOUT);
 * - freeing sends, so our callbacks stop touching the descriptor first (`closing`): by then its number may belong to
 *   another thread. */

#define TCP_ATTEMPT_MS       2000  /* one connect(): no link is slower */
#define RACE_MS              250   /* between connects to a silent port: kernels repeat a SYN after 1, 3, 7, 15 s */
#define RACE_MAX             8     /* TCP_ATTEMPT_MS / RACE_MS */
#define HANDSHAKE_MS         30000 /* connected to login; a port that accepts and stays silent is tried again */
#define RETRY_FIRST_MS       10
#define RETRY_MAX_MS         250
#define RETRY_ODD_MS         1000 /* what the box said may change; sshd 9.8 and later shuts out who asks too often */
#define ODD_KEY_MS           20000
#define YOUNG_MS             10000
#define ODD_LOGIN_MS         6000
#define ASK_MS               1000  /* between questions whether the box is gone */
#define DEAD_MS              30000 /* no TCP acknowledgement for so long is death */
#define KEEPALIVE_IDLE_S     10
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT      4
#define MAX_BEFORE_LOGIN     ((size_t)256 << 10) /* bytes a server may send before it has proved who it is */
#define INBOX_MAX            ((size_t)1 << 20)   /* output kept while ssh_write() is waiting for room */
#define PIECE                ((size_t)32 << 10)

/* Fast and enough (measured): a server cannot pull us into a group exchange of 100 ms, nor into its ECDSA host key.
 * None of these is within reach of the Terrapin attack. */
static const struct {
	int method;
	const char *list;
} preferences[] = {
	{LIBSSH2_METHOD_KEX, "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256"},
	{LIBSSH2_METHOD_HOSTKEY, "ssh-ed25519"},
	{LIBSSH2_METHOD_CRYPT_CS, "aes128-ctr,aes256-ctr"},
	{LIBSSH2_METHOD_CRYPT_SC, "aes128-ctr,aes256-ctr"},
	{LIBSSH2_METHOD_MAC_CS, "hmac-sha2-256"},
	{LIBSSH2_METHOD_MAC_SC, "hmac-sha2-256"},
	{LIBSSH2_METHOD_COMP_CS, "none"},
	{LIBSSH2_METHOD_COMP_SC, "none"},
};

struct ssh {
	int fd;
	LIBSSH2_SESSION *session;
	LIBSSH2_CHANNEL *channel;
	enum wait_mode mode;
	bool quickack; /* until the first exec is confirmed */
	bool logged_in;
	bool half_sent; /* a read left a packet half sent */
	bool cut;       /* the socket reported its end … */
	bool cut_told;  /* … and libssh2 may know */
	int cut_errno;  /* 0: orderly end */
	bool dead;      /* no further call may be made but ssh_close() */
	bool closing;
	size_t early; /* bytes received before login */
	struct buf inbox;
	size_t inbox_read; /* of which the caller has */
	char label[80];    /* "127.0.0.1:22" */
};

int ssh_library_init(struct err *err)
{
	int rc = libssh2_init(0);
	return rc ? err_set(err, ERR_BUG, rc, "libssh2_init: %d", rc) : 0;
}

void ssh_library_exit(void)
{
	libssh2_exit();
}

/* ---- the socket, as libssh2 sees it ---- */

/* What libssh2 has received and not yet handed over is lost as soon as it hears of an error; so once logged in it hears
 * of none before there is nothing more to hand over (wait_socket()). */
static ssize_t note_cut(struct ssh *s, int cause)
{
	if (!s->cut)
		s->cut_errno = cause;
	s->cut = true;
	if (!s->logged_in)
		s->cut_told = true;
	return s->cut_told ? -cause : -EAGAIN;
}

static ssize_t on_recv(libssh2_socket_t fd, void *data, size_t n, int flags, void **abstract)
{
	struct ssh *s = *abstract;
	if (s->closing)
		return -ECONNRESET;
	ssize_t got = recv(fd, data, n, flags | MSG_NOSIGNAL);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (got <= 0)
		return note_cut(s, got < 0 ? errno : 0);
	if (s->quickack) {
		/* Not sticky. sshd has Nagle on until the first session starts and would wait 40 ms for our
		 * delayed acknowledgement. */
		int on = 1;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
	}
	if (!s->logged_in && (s->early += (size_t)got) > MAX_BEFORE_LOGIN)
		return -EPROTO;
	return got;
}

static ssize_t on_send(libssh2_socket_t fd, const void *data, size_t n, int flags, void **abstract)
{
	struct ssh *s = *abstract;
	if (s->closing)
		return -ECONNRESET;
	ssize_t sent = send(fd, data, n, flags | MSG_NOSIGNAL);
	if (sent >= 0)
		return sent;
	if (errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	int cause = errno;
	(void)note_cut(s, cause);
	return s->cut_told ? -cause : (ssize_t)n; /* as good as sent: nobody will get it */
}

/* ---- waiting and errors ---- */

/* Waits until libssh2 can go on. -1: stopped, or the deadline came (ETIMEDOUT). */
static int wait_socket(struct ssh *s, mono_ms deadline, struct err *err)
{
	if (s->cut) { /* all that had come is handed over */
		s->cut_told = true;
		return 0;
	}
	int dirs = libssh2_session_block_directions(s->session);
	short events = 0;
	if (dirs & LIBSSH2_SESSION_BLOCK_OUTBOUND)
		events |= POLLOUT;
	if (dirs & LIBSSH2_SESSION_BLOCK_INBOUND || !events)
		events |= POLLIN;
	int rc = wait_fd(s->fd, events, deadline, s->mode, err);
	if (rc == 0)
		return err_set(err, ERR_BOX, ETIMEDOUT, "no answer in time");
	return rc < 0 ? -1 : 0;
}

/* Repeats a libssh2 call until it is done; ends with rc = EAGAIN (and err) when the wait did not go well. */
#define REPEAT(s, deadline, err, rc, call)                                                                             \
	do {                                                                                                           \
		(rc) = (call);                                                                                         \
	} while ((rc) == LIBSSH2_ERROR_EAGAIN && wait_socket((s), (deadline), (err)) == 0)

/* After a call that did not end well: what to say. EAGAIN: wait_socket() has said it. A call left in the middle makes
 * the connection useless in either case. Returns -1. */
static int broken(struct ssh *s, int rc, const char *doing, struct err *err)
{
	s->dead = true;
	if (rc == LIBSSH2_ERROR_EAGAIN) {
		if (err->reach == ERR_CANCELED)
			return -1;
		return err_ctx(err, "%s: %s", s->label, doing);
	}
	if (s->cut)
		return err_set(err, ERR_BOX, ECONNRESET, "%s: %s: connection lost (%s)", s->label, doing,
			       s->cut_errno ? strerror(s->cut_errno) : "closed by the far end");
	char *text = NULL;
	int len = 0;
	(void)libssh2_session_last_error(s->session, &text, &len, 0);
	return err_set(err, ERR_BOX, ECONNRESET, "%s: %s: %.*s (libssh2 %d)", s->label, doing, text ? len : 0,
		       text ? text : "", rc);
}

static int check_usable(const struct ssh *s, struct err *err)
{
	if (s->dead)
		return err_set(err, ERR_BOX, ECONNRESET, "%s: connection lost", s->label);
	return 0;
}

/* ---- connecting ---- */

static socklen_t parse_address(const struct ssh_target *t, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
	memset(to, 0, sizeof(*to));
	if (t->port < 1 || t->port > 65535)
		return 0;
	if (inet_pton(AF_INET, t->address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)t->port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, t->address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)t->port);
		return sizeof(*v6);
	}
	return 0;
}

static void set_socket_options(int fd)
{
	const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{IPPROTO_TCP, TCP_QUICKACK, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, DEAD_MS},
	};
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
}

static int handshake(struct ssh *s, mono_ms deadline, struct err *err)
{
	s->session = libssh2_session_init_ex(NULL, NULL, NULL, s);
	if (!s->session)
		return err_set(err, ERR_BUG, 0, "%s: libssh2 has no memory", s->label);
	libssh2_session_set_blocking(s->session, 0);
	/* The API takes callbacks of all kinds as void *. */
	ssize_t (*recv_fn)(libssh2_socket_t, void *, size_t, int, void **) = on_recv;
	ssize_t (*send_fn)(libssh2_socket_t, const void *, size_t, int, void **) = on_send;
	void *raw;
	memcpy(&raw, &recv_fn, sizeof(raw));
	(void)libssh2_session_callback_set(s->session, LIBSSH2_CALLBACK_RECV, raw);
	memcpy(&raw, &send_fn, sizeof(raw));
	(void)libssh2_session_callback_set(s->session, LIBSSH2_CALLBACK_SEND, raw);
	int rc;
	for (size_t i = 0; i < ARRAY_SIZE(preferences); i++) {
		rc = libssh2_session_method_pref(s->session, preferences[i].method, preferences[i].list);
		if (rc)
			return broken(s, rc, "choosing algorithms", err);
	}
	REPEAT(s, deadline, err, rc, libssh2_session_handshake(s->session, s->fd));
	return rc ? broken(s, rc, "SSH handshake", err) : 0;
}

static int check_host_key(struct ssh *s, const struct ssh_target *t, struct err *err)
{
	size_t len = 0;
	int type = 0;
	const char *blob = libssh2_session_hostkey(s->session, &len, &type);
	if (blob && len == KEY_BLOB_LEN && memcmp(blob, t->host_blob, KEY_BLOB_LEN) == 0)
		return 0;
	return err_set(err, ERR_BOX, EKEYREJECTED,
		       "%s: host key is not the one this box was given (refused before login)", s->label);
}

static int login(struct ssh *s, const struct ssh_target *t, mono_ms deadline, struct err *err)
{
	int rc;
	REPEAT(s, deadline, err, rc,
	       libssh2_userauth_publickey_frommemory(s->session, t->user, strlen(t->user), NULL, 0, t->private_pem,
						     strlen(t->private_pem), NULL));
	/* libssh2 says the same of a connection that ends in the middle of it. */
	if (!s->cut && (rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED || rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED))
		return err_set(err, ERR_BOX, EACCES, "%s: the box refused the login key of %s", s->label, t->user);
	if (rc)
		return broken(s, rc, "login", err);
	s->logged_in = true;
	return 0;
}

/* ---- from the first SYN to the login ---- */

enum stage { STAGE_NONE, STAGE_PORT, STAGE_HOST_KEY, STAGE_LOGIN };

/* One ssh_connect(). */
struct contact {
	const struct ssh_target *target;
	const struct ssh_watch *watch;
	struct sockaddr_storage to;
	socklen_t to_len;
	mono_ms began, deadline;
	enum wait_mode mode;
	char label[80];
	/* connects under way: raced[i] ends at until[i], the last one began at `raced_at` */
	int epoll, raced[RACE_MAX];
	mono_ms until[RACE_MAX], raced_at;
	size_t n_raced;
	/* when to try again, and to ask */
	mono_ms next, ask_at;
	int64_t pause;
	/* what was told */
	enum stage stage;
	int why;
	/* what was seen; 0: not yet */
	mono_ms closed_at, odd_key_at, odd_login_at;
};

static void make_label(const struct ssh_target *t, char *label, size_t size)
{
	snprintf(label, size, strchr(t->address, ':') ? "[%s]:%d" : "%s:%d", t->address, t->port);
}

static int contact_init(struct contact *c, struct err *err)
{
	make_label(c->target, c->label, sizeof(c->label));
	c->to_len = parse_address(c->target, &c->to);
	if (!c->to_len)
		return err_set(err, ERR_BUG, EINVAL, "%s: not a numeric address and port", c->label);
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0)
		return err_sys(err, ERR_BOX, errno, "%s: epoll", c->label);
	c->began = c->next = clock_mono();
	c->ask_at = c->began + ASK_MS;
	c->pause = RETRY_FIRST_MS;
	return 0;
}

/* Takes raced[i] out; the others stay in the order they began. Out of the epoll in so many words: closing alone leaves
 * it there as long as a process that somebody forked meanwhile has a copy. */
static int race_take(struct contact *c, size_t i)
{
	int fd = c->raced[i];
	epoll_ctl(c->epoll, EPOLL_CTL_DEL, fd, NULL);
	c->n_raced--;
	memmove(c->raced + i, c->raced + i + 1, (c->n_raced - i) * sizeof(c->raced[0]));
	memmove(c->until + i, c->until + i + 1, (c->n_raced - i) * sizeof(c->until[0]));
	return fd;
}

static void race_end(struct contact *c)
{
	while (c->n_raced)
		close(race_take(c, c->n_raced - 1));
}

static void contact_finish(struct contact *c)
{
	race_end(c);
	fd_closep(&c->epoll);
}

/* why: an errno, 0 at the beginning of a stage. */
static void tell(struct contact *c, enum stage stage, int why, const char *detail)
{
	bool back = stage == STAGE_PORT && why; /* what is behind a closed port does not count any longer */
	if (stage < c->stage ? !back : stage == c->stage && (!why || why == c->why))
		return;
	c->stage = stage;
	c->why = why;
	if (!c->watch || !c->watch->stage)
		return;
	char port[32];
	snprintf(port, sizeof(port), "port %d", c->target->port);
	c->watch->stage(c->watch->ctx,
			stage == STAGE_PORT       ? port
			: stage == STAGE_HOST_KEY ? "host key"
						  : "login",
			detail);
}

static void port_is_closed(struct contact *c, int why, struct err *err)
{
	err_sys(err, ERR_BOX, why, "%s: connecting", c->label);
	c->closed_at = clock_mono();
	tell(c, STAGE_PORT, why, strerror(why));
}

static int give_up(const struct contact *c, struct err *err)
{
	char span[32];
	char last[sizeof(err->msg)];
	if (err->reach == ERR_NONE)
		err_sys(err, ERR_BOX, ETIMEDOUT, "%s: connecting", c->label);
	clock_span(clock_mono() - c->began, span);
	memcpy(last, err->msg, sizeof(last));
	return err_set(err, ERR_BOX, err->code, "%.900s (given up after %s)", last, span);
}

/* The next attempt after one that did not succeed. */
static void try_again_in(struct contact *c, int64_t ms)
{
	c->next = clock_deadline(ms ? ms : c->pause);
	c->pause = c->pause * 2 < RETRY_MAX_MS ? c->pause * 2 : RETRY_MAX_MS;
}

static int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

/* Begins a connect. Returns a connected socket or -1: it is under way, or was refused. */
static int race_start(struct contact *c, struct err *err)
{
	AUTO_CLOSE int fd = socket(c->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int why = fd < 0 ? errno : 0;
	c->raced_at = clock_mono();
	try_again_in(c, 0);
	if (why == 0) {
		set_socket_options(fd);
		why = connect(fd, (struct sockaddr *)&c->to, c->to_len) == 0 ? 0 : errno;
	}
	if (why == 0)
		return take_fd(&fd);
	struct epoll_event ev = {.events = EPOLLOUT, .data.fd = fd};
	if (why == EINPROGRESS && epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev) == 0) {
		c->raced[c->n_raced] = take_fd(&fd);
		c->until[c->n_raced++] = c->raced_at + TCP_ATTEMPT_MS;
	} else if (c->n_raced == 0) {
		port_is_closed(c, why, err);
	}
	return -1;
}

/* Looks at the connects under way; the first that is through is returned, else -1. */
static int race_look(struct contact *c, struct err *err)
{
	struct epoll_event ready[RACE_MAX];
	int n = epoll_wait(c->epoll, ready, RACE_MAX, 0);
	for (int k = 0; k < n; k++) {
		size_t i = 0;
		while (i < c->n_raced && c->raced[i] != ready[k].data.fd)
			i++;
		if (i == c->n_raced)
			continue;
		AUTO_CLOSE int fd = race_take(c, i);
		int why = 0;
		socklen_t len = sizeof(why);
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) == 0 && why == 0)
			return take_fd(&fd);
		port_is_closed(c, why ? why : errno, err);
	}
	while (c->n_raced && clock_mono() >= c->until[0]) {
		close(race_take(c, 0));
		port_is_closed(c, ETIMEDOUT, err);
	}
	return -1;
}

/* When to begin the next connect. While one is under way, the port is perhaps only far. */
static mono_ms race_next(const struct contact *c)
{
	if (c->n_raced == RACE_MAX)
		return DEADLINE_NEVER;
	mono_ms apart = c->raced_at + RACE_MS;
	return c->n_raced && c->next < apart ? apart : c->next;
}

static int ask_gone(struct contact *c, struct err *err)
{
	if (!c->watch || !c->watch->gone || clock_mono() < c->ask_at)
		return 0;
	if (c->watch->gone(c->watch->ctx))
		return err_set(err, ERR_BOX, ENODEV, "%s: the box is gone", c->label);
	c->ask_at = clock_deadline(ASK_MS);
	return 0;
}

/* Waits for the port. Returns the socket that connected first, or -1. */
static int open_port(struct contact *c, struct err *err)
{
	tell(c, STAGE_PORT, 0, NULL);
	for (;;) {
		mono_ms now = clock_mono();
		int fd = now >= race_next(c) ? race_start(c, err) : -1;
		if (fd < 0)
			fd = race_look(c, err);
		if (fd >= 0)
			return fd;
		mono_ms wake = race_next(c);
		if (c->n_raced && c->until[0] < wake)
			wake = c->until[0];
		if (now >= c->deadline || (wake >= c->deadline && !c->n_raced))
			return give_up(c, err);
		if (ask_gone(c, err) < 0)
			return -1;
		struct err stopped = ERR_INIT;
		if (wait_fd(c->epoll, POLLIN, wake < c->deadline ? wake : c->deadline, c->mode, &stopped) < 0) {
			*err = stopped;
			return -1;
		}
	}
}

static struct ssh *ssh_new(const struct contact *c, int fd)
{
	struct ssh *s = xcalloc(1, sizeof(*s));
	s->fd = fd;
	s->mode = c->mode;
	s->quickack = true;
	s->inbox = buf_make(INBOX_MAX + PIECE); /* a half sent packet is ended also when it is full */
	memcpy(s->label, c->label, sizeof(s->label));
	return s;
}

static bool within(mono_ms *since, int64_t ms)
{
	mono_ms now = clock_mono();
	if (!*since)
		*since = now;
	return now - *since < ms;
}

/* Is what ended this attempt passing? Then it is tried again; *pause says when (0: soon). */
static bool is_passing(struct contact *c, const struct ssh *s, const struct err *err, int64_t *pause)
{
	bool fresh = c->watch && c->watch->fresh;
	mono_ms now = clock_mono();
	*pause = RETRY_ODD_MS;
	if (err->reach != ERR_BOX)
		return false;
	if (err->code == EACCES)
		return fresh && within(&c->odd_login_at, ODD_LOGIN_MS);
	if (err->code != EKEYREJECTED && (err->code == ETIMEDOUT || s->cut)) {
		*pause = 0;
		c->closed_at = now;
		return true;
	}
	/* A host key of another kind only shows as no algorithm in common. */
	return fresh && c->stage == STAGE_HOST_KEY && c->closed_at && now - c->closed_at < YOUNG_MS &&
	       within(&c->odd_key_at, ODD_KEY_MS);
}

/* Handshake, host key and login on a connected socket. *again: it may go better next time, from c->next on. */
static struct ssh *greet(struct contact *c, int fd, bool *again, struct err *err)
{
	CLEANUP(ssh_closep) struct ssh *s = ssh_new(c, fd);
	mono_ms cap = clock_deadline(HANDSHAKE_MS);
	int64_t pause;
	if (c->deadline < cap)
		cap = c->deadline;
	err_clear(err);
	tell(c, STAGE_HOST_KEY, 0, NULL);
	if (handshake(s, cap, err) == 0 && check_host_key(s, c->target, err) == 0) {
		tell(c, STAGE_LOGIN, 0, NULL);
		if (login(s, c->target, cap, err) == 0)
			return TAKE(s);
	}
	*again = is_passing(c, s, err, &pause);
	if (*again) {
		tell(c, c->stage, err->code, err->msg);
		try_again_in(c, pause);
	} else if (err->code == EKEYREJECTED && c->watch && c->watch->fresh) {
		err_ctx(err, "the image may be without cloud-init, or it did not find what the box was given");
	}
	return NULL;
}

struct ssh *ssh_connect(const struct ssh_target *target, mono_ms deadline, enum wait_mode mode, struct err *err)
{
	return ssh_connect_while(target, deadline, mode, NULL, err);
}

struct ssh *ssh_connect_while(const struct ssh_target *target, mono_ms deadline, enum wait_mode mode,
			      const struct ssh_watch *watch, struct err *err)
{
	CLEANUP(contact_finish)
	struct contact c = {.target = target, .watch = watch, .deadline = deadline, .mode = mode, .epoll = -1};
	struct ssh *s = NULL;
	bool again = true;
	err_clear(err);
	if (contact_init(&c, err) < 0)
		return NULL;
	while (!s && again) {
		int fd = open_port(&c, err);
		if (fd < 0)
			return NULL;
		race_end(&c);
		s = greet(&c, fd, &again, err);
	}
	return s;
}

void ssh_close(struct ssh *s)
{
	if (!s)
		return;
	s->closing = true;
	if (s->session)
		(void)libssh2_session_free(s->session); /* its channel too */
	fd_closep(&s->fd);
	buf_finish(&s->inbox);
	free(s);
}

void ssh_closep(struct ssh **s)
{
	ssh_close(*s);
	*s = NULL;
}

/* ---- one command ---- */

static LIBSSH2_CHANNEL *open_channel(struct ssh *s, mono_ms deadline, int *rc, struct err *err)
{
	for (;;) {
		LIBSSH2_CHANNEL *c = libssh2_channel_open_session(s->session);
		*rc = c ? 0 : libssh2_session_last_errno(s->session);
		if (*rc != LIBSSH2_ERROR_EAGAIN || wait_socket(s, deadline, err) < 0)
			return c;
	}
}

int ssh_exec(struct ssh *s, const char *command, mono_ms deadline, struct err *err)
{
	if (check_usable(s, err) < 0)
		return -1;
	if (s->channel)
		return err_set(err, ERR_BUG, 0, "%s: the command before is still open", s->label);
	int rc;
	s->channel = open_channel(s, deadline, &rc, err);
	if (!s->channel)
		return broken(s, rc, "opening a session", err);
	REPEAT(s, deadline, err, rc,
	       libssh2_channel_handle_extended_data2(s->channel, LIBSSH2_CHANNEL_EXTENDED_DATA_MERGE));
	if (rc == 0)
		REPEAT(s, deadline, err, rc, libssh2_channel_exec(s->channel, command));
	if (rc)
		return broken(s, rc, "starting a command", err);
	s->quickack = false;
	return 0;
}

/* libssh2_channel_read() with its two meanings of 0 told apart: EAGAIN when there is nothing now. */
static ssize_t read_now(struct ssh *s, void *data, size_t n)
{
	ssize_t got = libssh2_channel_read(s->channel, data, n);
	if (got == 0 && !libssh2_channel_eof(s->channel))
		got = LIBSSH2_ERROR_EAGAIN;
	s->half_sent = got == LIBSSH2_ERROR_EAGAIN &&
		       libssh2_session_block_directions(s->session) & LIBSSH2_SESSION_BLOCK_OUTBOUND;
	return got;
}

/* Takes what has arrived into the inbox, and ends a half sent packet of an earlier read. */
static int take_in(struct ssh *s, mono_ms deadline, struct err *err)
{
	char piece[PIECE];
	for (;;) {
		if (s->inbox.len >= INBOX_MAX && !s->half_sent)
			return 0; /* the far end waits for its window now */
		ssize_t got = read_now(s, piece, sizeof(piece));
		if (got > 0 && buf_add(&s->inbox, piece, (size_t)got) < 0)
			return err_set(err, ERR_BUG, 0, "%s: inbox of %zu bytes overran", s->label, s->inbox.len);
		if (got == 0 || (got == LIBSSH2_ERROR_EAGAIN && !s->half_sent))
			return 0;
		if (got == LIBSSH2_ERROR_EAGAIN && wait_socket(s, deadline, err) < 0)
			return broken(s, LIBSSH2_ERROR_EAGAIN, "reading", err);
		if (got < 0 && got != LIBSSH2_ERROR_EAGAIN)
			return broken(s, (int)got, "reading", err);
	}
}

int ssh_write(struct ssh *s, const void *data, size_t n, mono_ms deadline, struct err *err)
{
	const char *p = data;
	if (check_usable(s, err) < 0 || (s->half_sent && take_in(s, deadline, err) < 0))
		return -1;
	while (n > 0) {
		size_t piece = n < PIECE ? n : PIECE;
		ssize_t sent = libssh2_channel_write(s->channel, p, piece);
		if (s->cut)
			return broken(s, LIBSSH2_ERROR_SOCKET_SEND, "sending", err);
		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
			continue;
		}
		if (sent < 0 && sent != LIBSSH2_ERROR_EAGAIN)
			return broken(s, (int)sent, "sending", err);
		/* Only when nothing of ours is half sent may another call come between: then it is the far end's
		 * window that we wait for, and it may be waiting for us to read. */
		bool ours = libssh2_session_block_directions(s->session) & LIBSSH2_SESSION_BLOCK_OUTBOUND;
		if (!ours && take_in(s, deadline, err) < 0)
			return -1;
		if (libssh2_channel_eof(s->channel))
			return err_set(err, ERR_BOX, EPIPE, "%s: sending: the command ended first", s->label);
		if (wait_socket(s, deadline, err) < 0)
			return broken(s, LIBSSH2_ERROR_EAGAIN, "sending", err);
	}
	return 0;
}

int ssh_write_eof(struct ssh *s, mono_ms deadline, struct err *err)
{
	if (check_usable(s, err) < 0 || (s->half_sent && take_in(s, deadline, err) < 0))
		return -1;
	int rc;
	REPEAT(s, deadline, err, rc, libssh2_channel_send_eof(s->channel));
	return rc ? broken(s, rc, "sending", err) : 0;
}

static size_t read_inbox(struct ssh *s, void *data, size_t n)
{
	size_t have = s->inbox.len - s->inbox_read;
	if (n > have)
		n = have;
	memcpy(data, s->inbox.data + s->inbox_read, n);
	s->inbox_read += n;
	if (s->inbox_read == s->inbox.len) {
		buf_finish(&s->inbox); /* it is used once, at the start: give the memory back */
		s->inbox_read = 0;
	}
	return n;
}

ssize_t ssh_read(struct ssh *s, void *data, size_t n, mono_ms deadline, struct err *err)
{
	if (s->inbox.len > 0)
		return (ssize_t)read_inbox(s, data, n);
	if (check_usable(s, err) < 0)
		return -1;
	for (;;) {
		ssize_t got = read_now(s, data, n);
		if (got >= 0)
			return got;
		if (got != LIBSSH2_ERROR_EAGAIN)
			return broken(s, (int)got, "reading", err);
		if (wait_socket(s, deadline, err) < 0)
			return err->reach == ERR_CANCELED ? -1 : err_ctx(err, "%s: reading", s->label);
	}
}

void ssh_channel_close(struct ssh *s, mono_ms deadline)
{
	struct err ignored = ERR_INIT;
	if (!s->channel || s->dead)
		return;
	int rc = 0;
	if (s->half_sent && take_in(s, deadline, &ignored) < 0)
		return;
	REPEAT(s, deadline, &ignored, rc, libssh2_channel_close(s->channel));
	if (rc == 0)
		REPEAT(s, deadline, &ignored, rc, libssh2_channel_free(s->channel));
	if (rc) {
		s->dead = true; /* the channel itself goes with the session */
		return;
	}
	s->channel = NULL;
	s->half_sent = false;
	buf_finish(&s->inbox);
	s->inbox_read = 0;
}
