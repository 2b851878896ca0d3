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

#define TCP_ATTEMPT_MS       5000  /* one connect(): old kernels back off 1, 3, 7, 15 s, a new SYN is quicker */
#define HANDSHAKE_MS         30000 /* connected to login; a port that accepts and stays silent is tried again */
#define RETRY_FIRST_MS       10
#define RETRY_MAX_MS         250
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

static int connect_socket(struct ssh *s, const struct sockaddr *to, socklen_t to_len, mono_ms deadline, struct err *err)
{
	s->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return err_sys(err, ERR_BOX, errno, "%s: socket", s->label);
	set_socket_options(s->fd);
	int cause = connect(s->fd, to, to_len) == 0 ? 0 : errno;
	if (cause == EINPROGRESS) {
		mono_ms cap = clock_deadline(TCP_ATTEMPT_MS);
		int rc = wait_fd(s->fd, POLLOUT, deadline < cap ? deadline : cap, s->mode, err);
		if (rc < 0)
			return -1;
		socklen_t len = sizeof(cause);
		cause = ETIMEDOUT;
		if (rc > 0 && getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &cause, &len) < 0)
			cause = errno;
	}
	return cause ? err_sys(err, ERR_BOX, cause, "%s: connecting", s->label) : 0;
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

static struct ssh *ssh_new(const struct ssh_target *t, enum wait_mode mode)
{
	struct ssh *s = xcalloc(1, sizeof(*s));
	s->fd = -1;
	s->mode = mode;
	s->quickack = true;
	s->inbox = buf_make(INBOX_MAX + PIECE); /* a half sent packet is ended also when it is full */
	snprintf(s->label, sizeof(s->label), strchr(t->address, ':') ? "[%s]:%d" : "%s:%d", t->address, t->port);
	return s;
}

/* One attempt from SYN to login. *again: the box may just not be up yet. */
static struct ssh *attempt(const struct ssh_target *t, mono_ms deadline, enum wait_mode mode, bool *again,
			   struct err *err)
{
	CLEANUP(ssh_closep) struct ssh *s = ssh_new(t, mode);
	struct sockaddr_storage to;
	socklen_t to_len = parse_address(t, &to);
	*again = false;
	if (!to_len) {
		err_set(err, ERR_BUG, EINVAL, "%s: not a numeric address and port", s->label);
		return NULL;
	}
	if (connect_socket(s, (struct sockaddr *)&to, to_len, deadline, err) < 0) {
		*again = err->reach == ERR_BOX;
		return NULL;
	}
	mono_ms cap = clock_deadline(HANDSHAKE_MS);
	if (deadline < cap)
		cap = deadline;
	if (handshake(s, cap, err) < 0 || check_host_key(s, t, err) < 0 || login(s, t, cap, err) < 0) {
		/* Only what the socket itself says is passing: sshd not up yet, its start limit, a drop. */
		*again = err->reach == ERR_BOX && (err->code == ETIMEDOUT || (err->code == ECONNRESET && s->cut));
		return NULL;
	}
	return TAKE(s);
}

struct ssh *ssh_connect(const struct ssh_target *target, mono_ms deadline, enum wait_mode mode, struct err *err)
{
	return ssh_connect_while(target, deadline, mode, NULL, NULL, err);
}

struct ssh *ssh_connect_while(const struct ssh_target *target, mono_ms deadline, enum wait_mode mode,
			      bool (*gone)(void *ctx), void *ctx, struct err *err)
{
	mono_ms began = clock_mono(), ask_at = began + ASK_MS;
	for (int64_t pause = RETRY_FIRST_MS;; pause = pause * 2 < RETRY_MAX_MS ? pause * 2 : RETRY_MAX_MS) {
		bool again;
		struct ssh *s = attempt(target, deadline, mode, &again, err);
		if (s || !again)
			return s;
		if (gone && clock_mono() >= ask_at) {
			if (gone(ctx)) {
				err_set(err, ERR_BOX, ENODEV, "%s:%d: the box is gone", target->address, target->port);
				return NULL;
			}
			ask_at = clock_deadline(ASK_MS);
		}
		mono_ms next = clock_deadline(pause);
		if (next >= deadline) {
			char span[32];
			char last[sizeof(err->msg)];
			clock_span(clock_mono() - began, span);
			memcpy(last, err->msg, sizeof(last));
			err_set(err, ERR_BOX, err->code, "%.900s (given up after %s)", last, span);
			return NULL;
		}
		struct err stopped = ERR_INIT;
		if (wait_fd(-1, 0, next, mode, &stopped) < 0) {
			*err = stopped;
			return NULL;
		}
	}
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
