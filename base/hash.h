/* SPDX-License-Identifier: MIT */
/* SHA-256, hexadecimal, base64 and random bytes, all by OpenSSL. */
#ifndef STEPBOX_BASE_HASH_H
#define STEPBOX_BASE_HASH_H

#include <stddef.h>

#include "base/buf.h"

#define SHA256_HEX 65 /* 64 digits and NUL */

struct sha256; /* incremental */
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *h, const void *data, size_t n);
/* Writes the digest in lower-case hex and frees h. */
void sha256_end(struct sha256 *h, char out[SHA256_HEX]);
void sha256_free(struct sha256 *h); /* NULL is fine */

void sha256_hex(const void *data, size_t n, char out[SHA256_HEX]);
void hex_encode(const unsigned char *data, size_t n, char *out /* 2n+1 */);
void base64_encode(struct buf *out, const void *data, size_t n);
void random_bytes(void *out, size_t n); /* aborts when the system has none */
/* n bytes of randomness as hex; out holds 2n+1 bytes. */
void random_hex(char *out, size_t n);

#endif
