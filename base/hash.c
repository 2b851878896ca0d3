/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* base64 goes piece by piece; a multiple of 3 keeps the padding at the end. */
#define BASE64_PIECE   3072
#define RANDOM_HEX_MAX 64

struct sha256 {
	EVP_MD_CTX *ctx;
};

/* Memory or a crippled OpenSSL: as with malloc, there is no sensible way on. */
static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "stepbox: OpenSSL has no %s\n", what);
	abort();
}

struct sha256 *sha256_new(void)
{
	struct sha256 *h = xcalloc(1, sizeof(*h));
	h->ctx = EVP_MD_CTX_new();
	must(h->ctx && EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL), "SHA-256");
	return h;
}

void sha256_add(struct sha256 *h, const void *data, size_t n)
{
	must(EVP_DigestUpdate(h->ctx, data, n), "SHA-256");
}

void sha256_end(struct sha256 *h, char out[SHA256_HEX])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	must(EVP_DigestFinal_ex(h->ctx, digest, &n) && n == 32, "SHA-256");
	hex_encode(digest, n, out);
	sha256_free(h);
}

void sha256_free(struct sha256 *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void sha256_hex(const void *data, size_t n, char out[SHA256_HEX])
{
	struct sha256 *h = sha256_new();
	sha256_add(h, data, n);
	sha256_end(h, out);
}

void hex_encode(const unsigned char *data, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * n] = '\0';
}

void base64_encode(struct buf *out, const void *data, size_t n)
{
	const unsigned char *p = data;
	while (n > 0) {
		unsigned char text[BASE64_PIECE / 3 * 4 + 1];
		size_t piece = n < BASE64_PIECE ? n : BASE64_PIECE;
		int len = EVP_EncodeBlock(text, p, (int)piece);
		buf_add(out, text, (size_t)len);
		p += piece;
		n -= piece;
	}
}

void random_bytes(void *out, size_t n)
{
	unsigned char *p = out;
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			perror("stepbox: getrandom");
			abort();
		}
		p += got;
		n -= (size_t)got;
	}
}

void random_hex(char *out, size_t n)
{
	unsigned char bytes[RANDOM_HEX_MAX];
	while (n > 0) {
		size_t piece = n < sizeof(bytes) ? n : sizeof(bytes);
		random_bytes(bytes, piece);
		hex_encode(bytes, piece, out);
		out += 2 * piece;
		n -= piece;
	}
	*out = '\0';
}
