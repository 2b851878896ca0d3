/* SPDX-License-Identifier: MIT */
#include "base/key.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

#define ED25519_LEN 32
#define COMMENT_MAX 32
#define PEM_COLUMNS 70 /* as ssh-keygen writes them */
#define BLOB_BASE64 ((size_t)68)

static_assert(KEY_BLOB_LEN % 3 == 0 && KEY_BLOB_LEN / 3 * 4 == 68, "BLOB_BASE64 has no padding");

static const char key_type[] = "ssh-ed25519";

/* A private key file before base64: at most 266 bytes with the longest comment. */
struct wire {
	unsigned char data[320];
	size_t len;
};

static void put(struct wire *w, const void *data, size_t n)
{
	memcpy(w->data + w->len, data, n);
	w->len += n;
}

static void put_u32(struct wire *w, uint32_t v)
{
	unsigned char be[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8),
			       (unsigned char)v};
	put(w, be, sizeof be);
}

/* A "string" of the SSH protocol (RFC 4251 section 5): length, then bytes. */
static void put_string(struct wire *w, const void *data, size_t n)
{
	put_u32(w, (uint32_t)n);
	put(w, data, n);
}

static void put_public(struct wire *w, const unsigned char pub[ED25519_LEN])
{
	put_string(w, key_type, sizeof key_type - 1);
	put_string(w, pub, ED25519_LEN);
}

/* The encrypted part of the file, which cipher "none" leaves as it is. */
static void put_private(struct wire *w, const unsigned char seed[ED25519_LEN], const unsigned char pub[ED25519_LEN],
			const char *comment)
{
	uint32_t check;
	random_bytes(&check, sizeof check);
	put_u32(w, check);
	put_u32(w, check);
	put_public(w, pub);
	put_u32(w, 2 * ED25519_LEN);
	put(w, seed, ED25519_LEN);
	put(w, pub, ED25519_LEN);
	put_string(w, comment, strlen(comment));
	for (unsigned char pad = 1; w->len % 8 != 0; pad++) /* block size of cipher "none" */
		put(w, &pad, 1);
}

static void put_file(struct wire *w, const struct wire *public_blob, const struct wire *private_part)
{
	static const char magic[] = "openssh-key-v1"; /* with its NUL */
	put(w, magic, sizeof magic);
	put_string(w, "none", 4); /* cipher */
	put_string(w, "none", 4); /* key derivation */
	put_string(w, "", 0);
	put_u32(w, 1);
	put_string(w, public_blob->data, public_blob->len);
	put_string(w, private_part->data, private_part->len);
}

static void write_pem(char *pem, size_t size, const struct wire *file)
{
	unsigned char text[sizeof file->data / 3 * 4 + 8];
	size_t len = (size_t)EVP_EncodeBlock(text, file->data, (int)file->len);
	size_t at = (size_t)snprintf(pem, size, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
	for (size_t i = 0; i < len; i += PEM_COLUMNS)
		at += (size_t)snprintf(pem + at, size - at, "%.*s\n", PEM_COLUMNS, (const char *)text + i);
	snprintf(pem + at, size - at, "-----END OPENSSH PRIVATE KEY-----\n");
	OPENSSL_cleanse(text, sizeof text);
}

static void write_key(struct key *key, const unsigned char seed[ED25519_LEN], const unsigned char pub[ED25519_LEN],
		      const char *comment)
{
	struct wire public_blob = {.len = 0}, private_part = {.len = 0}, file = {.len = 0};
	unsigned char text[BLOB_BASE64 + 1];
	put_public(&public_blob, pub);
	put_private(&private_part, seed, pub, comment);
	put_file(&file, &public_blob, &private_part);
	write_pem(key->private_pem, sizeof key->private_pem, &file);
	memcpy(key->blob, public_blob.data, KEY_BLOB_LEN);
	EVP_EncodeBlock(text, key->blob, KEY_BLOB_LEN);
	snprintf(key->public_line, sizeof key->public_line, "%s %s%s%s", key_type, (const char *)text,
		 *comment ? " " : "", comment);
	OPENSSL_cleanse(&private_part, sizeof private_part);
	OPENSSL_cleanse(&file, sizeof file);
}

static bool is_comment(const char *s)
{
	if (strlen(s) > COMMENT_MAX)
		return false;
	for (; *s != '\0'; s++)
		if (*s < 0x20 || *s > 0x7e)
			return false;
	return true;
}

int key_generate(struct key *key, const char *comment, struct err *err)
{
	memset(key, 0, sizeof *key);
	if (!is_comment(comment))
		return err_set(err, ERR_BUG, 0, "key comment: more than %d printable characters", COMMENT_MAX);
	unsigned char seed[ED25519_LEN], pub[ED25519_LEN];
	size_t seed_len = sizeof seed, pub_len = sizeof pub;
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	int rc = 0;
	if (pkey == NULL || EVP_PKEY_get_raw_private_key(pkey, seed, &seed_len) != 1 ||
	    EVP_PKEY_get_raw_public_key(pkey, pub, &pub_len) != 1) {
		char cause[160];
		ERR_error_string_n(ERR_get_error(), cause, sizeof cause);
		rc = err_set(err, ERR_BUG, 0, "making an ed25519 key: %s", cause);
	} else {
		write_key(key, seed, pub, comment);
	}
	OPENSSL_cleanse(seed, sizeof seed);
	EVP_PKEY_free(pkey);
	return rc;
}

int key_blob_of_line(const char *line, unsigned char blob[KEY_BLOB_LEN], struct err *err)
{
	static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t type_len = sizeof key_type - 1;
	if (strncmp(line, key_type, type_len) != 0 || line[type_len] != ' ')
		return err_set(err, ERR_USER, 0, "not an %s public key", key_type);
	const char *text = line + type_len + 1;
	if (strspn(text, b64) != BLOB_BASE64 || strchr(" \t\r\n", text[BLOB_BASE64]) == NULL)
		return err_set(err, ERR_USER, 0, "%s public key: not %zu base64 characters", key_type, BLOB_BASE64);
	/* strchr() above also finds the terminating NUL. */
	struct wire head = {.len = 0};
	put_string(&head, key_type, type_len);
	put_u32(&head, ED25519_LEN);
	if (EVP_DecodeBlock(blob, (const unsigned char *)text, BLOB_BASE64) != KEY_BLOB_LEN ||
	    memcmp(blob, head.data, head.len) != 0)
		return err_set(err, ERR_USER, 0, "%s public key: its base64 holds something else", key_type);
	return 0;
}
