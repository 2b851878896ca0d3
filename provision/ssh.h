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

/* Connects: TCP (a refused or silent port is tried again every 10 ms at first, at most every 250 ms, each attempt
 * capped, until the deadline), handshake on the socket that connected, host key compared *before* any
 * authentication, login. A wrong host key or a refused login key ends it at once (ERR_BOX). The error names address,
 * port and the stage reached. */
struct ssh *ssh_connect(const struct ssh_target *target, mono_ms deadline, enum wait_mode mode, struct err *err);
/* The same; gone(ctx) is asked between attempts, at most once a second: true ends it (ERR_BOX, code ENODEV). An attempt
 * that is on its way is never cut short for it: over a slow link it takes seconds. gone NULL: never. */
struct ssh *ssh_connect_while(const struct ssh_target *target, mono_ms deadline, enum wait_mode mode,
			      bool (*gone)(void *ctx), void *ctx, struct err *err);
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
