/* SPDX-License-Identifier: MIT */
/* One SSH connection to one box by libssh2: verified host key, our own ed25519 login key, one channel at a time.
 * Non-blocking underneath; every call waits through wait_fd() until its deadline or a stop. An exit status is never
 * asked for: after a cut or a kill it is 0 (measured); success is what the journal's trailer says. */
#ifndef STEPBOX_PROVISION_SSH_H
#define STEPBOX_PROVISION_SSH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/key.h"
#include "base/mem.h"
#include "base/wait.h"

struct ssh_target {
	char address[64]; /* numeric IPv4 or IPv6 */
	int port;
	char user[33];
	unsigned char host_blob[KEY_BLOB_LEN]; /* the only host key that is accepted */
	char private_pem[512];                 /* login key */
};

struct ssh;

/* Once, before any thread. */
int ssh_library_init(struct err *err) MUST_USE;
void ssh_library_exit(void);

/* What a caller of ssh_connect_while() wants to hear and say meanwhile. */
struct ssh_watch {
	/* What is waited for now: "port 22", "host key", "login"; detail: why not yet ("Connection refused"), or NULL.
	 * Called when either has changed; a later stage stays until the port is closed again. May be NULL. */
	void (*stage)(void *ctx, const char *stage, const char *detail);
	/* Asked between attempts, at most once a second, and to be answered at once: true ends the wait (ERR_BOX, code
	 * ENODEV). An attempt that is on its way is never cut short for it: over a slow link it takes seconds. May be
	 * NULL: never. */
	bool (*gone)(void *ctx);
	void *ctx;
	/* A box of a cloud in its first boot, never reached before: see "How long" at ssh_connect(). */
	bool fresh;
};

/* Connects: TCP, handshake on the socket that connected, host key compared *before* any authentication, login. The
 * error names address, port and the stage reached.
 *
 * How long. Until the deadline it bears what a booting box does: a port that refuses (tried again every 10 ms at first,
 * at most every 250 ms) or is silent (a packet filter may not be open yet: a new attempt every 250 ms beside the older
 * ones, each for 2 s at most, because the kernel's own repetitions come ever later), a connection that is closed before
 * the login is done (sshd's start limit, PAM while the system is starting).
 * What a box *says* ends it at once (ERR_BOX): another host key, EKEYREJECTED; a refused login key, EACCES. Waiting
 * would not change it, and who sees a wrong key wants to know now. Except on a `fresh` box, where cloud-init is still
 * at work beside sshd:
 * - another host key is tried again (never accepted) while sshd came up less than 10 s ago, that is, while within that
 *   time its port was seen closed or it hung up; at most for 20 s. Current images start sshd behind cloud-init's keys;
 *   old or socket-activated ones answer earlier with a key of their own, and their sshd starts again with ours. A port
 *   that was open from our first look on gets no such time: it is not this box's first sshd that we met;
 * - a refused login key, once the host key was right, is tried again for 6 s: the image may write root's keys after
 *   the host's. */
struct ssh *ssh_connect(const struct ssh_target *target, mono_ms deadline, enum wait_mode mode, struct err *err);
/* The same; watch NULL: nobody watches. */
struct ssh *ssh_connect_while(const struct ssh_target *target, mono_ms deadline, enum wait_mode mode,
			      const struct ssh_watch *watch, struct err *err);
void ssh_close(struct ssh *s); /* NULL is fine; never waits */
void ssh_closep(struct ssh **s);

/* Starts a command on a new channel (the previous one must be closed). */
int ssh_exec(struct ssh *s, const char *command, mono_ms deadline, struct err *err) MUST_USE;
/* Writes all n bytes to the command's stdin, reading what arrives meanwhile into an internal bounded buffer. When the
 * command ended before it had read all: -1 with code EPIPE; its output can still be read. Any other error ends the
 * connection. */
int ssh_write(struct ssh *s, const void *data, size_t n, mono_ms deadline, struct err *err) MUST_USE;
int ssh_write_eof(struct ssh *s, mono_ms deadline, struct err *err) MUST_USE;
/* Reads what is there of stdout (stderr is merged into it), waiting for the first byte until the deadline.
 * Returns bytes > 0, 0 at end of file, -1 on error; when the deadline came without a byte: -1 with code ETIMEDOUT
 * (the connection is still good). A cut or dead connection (no byte and no TCP acknowledgement for 30 s) is ERR_BOX
 * with code ECONNRESET. */
ssize_t ssh_read(struct ssh *s, void *data, size_t n, mono_ms deadline, struct err *err) MUST_USE;
/* Closes the channel without waiting for the far end's manners longer than the deadline. */
void ssh_channel_close(struct ssh *s, mono_ms deadline);

#endif
