/* SPDX-License-Identifier: MIT */
/* Throw-away ed25519 key pairs in OpenSSH's formats (PROTOCOL.key of OpenSSH), made with OpenSSL's EVP: libssh2 1.10
 * cannot sign with RSA against a current sshd. */
#ifndef STEPBOX_BASE_KEY_H
#define STEPBOX_BASE_KEY_H

#include "base/err.h"

#define KEY_BLOB_LEN 51 /* string "ssh-ed25519", string of 32 bytes */

struct key {
	char private_pem[512];            /* "-----BEGIN OPENSSH PRIVATE KEY-----…", no passphrase */
	char public_line[128];            /* "ssh-ed25519 AAAA… comment" without newline */
	unsigned char blob[KEY_BLOB_LEN]; /* what libssh2_session_hostkey() returns for it */
};

/* comment: at most 32 printable ASCII characters. */
int key_generate(struct key *key, const char *comment, struct err *err);
/* Reads the blob back from a "ssh-ed25519 AAAA…" line. */
int key_blob_of_line(const char *line, unsigned char blob[KEY_BLOB_LEN], struct err *err);

#endif
