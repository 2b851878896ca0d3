/* SPDX-License-Identifier: MIT */
/* Dumps by content.
 *
 * How it works: a blob is a zstd frame. Neighbouring dumps differ by a few lines, so a new one is compressed with its
 * predecessor's plain bytes as reference prefix (a thousand times smaller than plain, and cheaper than compressing
 * it alone); reading then needs the predecessor first. Chains end in a key frame (base NULL, depth 0); a blob that
 * would be deeper than CHAIN_MAX becomes one itself. */
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "base/hash.h"
#include "migrations/store.h"

enum { LEVEL = 3, CHAIN_MAX = 31, WINDOW_LOG_MIN = 10, WINDOW_LOG_MAX = 27 };

struct blob {
	char base[SHA256_HEX]; /* or "" */
	int64_t size;
	int64_t depth;
	char *data; /* compressed; owned */
	size_t len;
};

static void blob_finish(struct blob *b)
{
	mem_freep(&b->data);
}

static int take_blob(sqlite3_stmt *st, void *ctx)
{
	struct blob *b = ctx;
	(void)snprintf(b->base, sizeof(b->base), "%s", db_text(st, 0));
	b->size = sqlite3_column_int64(st, 1);
	b->depth = sqlite3_column_int64(st, 2);
	b->len = (size_t)sqlite3_column_bytes(st, 3);
	b->data = xmemdup(sqlite3_column_blob(st, 3), b->len);
	return 1;
}

/* 1/0/-1 */
static int load(struct db *db, const char *sha256, struct blob *b, struct err *err)
{
	memset(b, 0, sizeof(*b));
	return db_query(db, err, take_blob, b, "SELECT base, size, depth, data FROM blobs WHERE sha256 = ?", "s",
			sha256);
}

static int take_depth(sqlite3_stmt *st, void *ctx)
{
	*(int64_t *)ctx = sqlite3_column_int64(st, 0);
	return 1;
}

/* The depth of a blob, or -1 when there is none; -2 err. */
static int64_t depth_of(struct db *db, const char *sha256, struct err *err)
{
	int64_t depth = -1;
	if (db_query(db, err, take_depth, &depth, "SELECT depth FROM blobs WHERE sha256 = ?", "s", sha256) < 0)
		return -2;
	return depth;
}

/* ---- compressing ---- */

/* The window must reach back over the whole prefix. */
static int window_log(size_t bytes)
{
	int n = WINDOW_LOG_MIN;
	while (n < WINDOW_LOG_MAX && ((size_t)1 << n) < bytes)
		n++;
	return n;
}

static void cctx_freep(ZSTD_CCtx **c)
{
	ZSTD_freeCCtx(*c);
}

static void dctx_freep(ZSTD_DCtx **d)
{
	ZSTD_freeDCtx(*d);
}

static int compress(const void *data, size_t len, const struct buf *prefix, struct buf *out, struct err *err)
{
	CLEANUP(cctx_freep) ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t bound = ZSTD_compressBound(len);
	AUTO_FREE char *frame = xcalloc(1, bound);
	if (!c)
		return err_set(err, ERR_BUG, 0, "zstd: no memory");
	ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, LEVEL);
	if (prefix->len > 0) {
		ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log(len + prefix->len));
		ZSTD_CCtx_refPrefix(c, prefix->data, prefix->len);
	}
	size_t n = ZSTD_compress2(c, frame, bound, data, len);
	if (ZSTD_isError(n))
		return err_set(err, ERR_BUG, 0, "zstd: %s", ZSTD_getErrorName(n));
	return buf_add(out, frame, n) < 0 ? err_set(err, ERR_BUG, 0, "zstd: frame too large") : 0;
}

/* Reads the plain bytes of `near` when it can serve as prefix; depth gets that of the new blob. */
static int read_near(struct db *db, const char *near, struct buf *prefix, int64_t *depth, struct err *err)
{
	*depth = 0;
	if (!near || near[0] == '\0')
		return 0;
	int64_t near_depth = depth_of(db, near, err);
	if (near_depth == -2)
		return -1;
	if (near_depth < 0 || near_depth >= CHAIN_MAX)
		return 0;
	if (store_blob_get(db, near, prefix, err) < 0)
		return -1;
	*depth = prefix->len > 0 ? near_depth + 1 : 0;
	return 0;
}

int store_blob_put(struct db *db, const char *sha256, const void *data, size_t len, const char *near, struct err *err)
{
	AUTO_BUF prefix = buf_make(STORE_BLOB_MAX);
	AUTO_BUF frame = buf_make(2 * STORE_BLOB_MAX);
	int64_t depth = depth_of(db, sha256, err);
	if (depth == -2)
		return -1;
	if (depth >= 0)
		return 0;
	if (len > STORE_BLOB_MAX)
		return err_set(err, ERR_BOX, 0, "dump %.8s: %zu bytes are too large", sha256, len);
	if (read_near(db, near, &prefix, &depth, err) < 0 || compress(data, len, &prefix, &frame, err) < 0)
		return err_ctx(err, "dump %.8s", sha256);
	return db_run(db, err,
		      "INSERT INTO blobs (sha256, size, base, depth, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO "
		      "NOTHING",
		      "sisib", sha256, (int64_t)len, depth > 0 ? near : NULL, depth, frame.data, frame.len) < 0
		       ? -1
		       : 0;
}

/* ---- reading ---- */

static int decompress(const struct blob *b, const struct buf *prefix, struct buf *out, struct err *err)
{
	if (b->size < 0 || b->size > (int64_t)STORE_BLOB_MAX)
		return err_set(err, ERR_BOX, 0, "damaged (size %lld)", (long long)b->size);
	CLEANUP(dctx_freep) ZSTD_DCtx *d = ZSTD_createDCtx();
	AUTO_FREE char *plain = xcalloc(1, (size_t)b->size + 1);
	if (!d)
		return err_set(err, ERR_BUG, 0, "zstd: no memory");
	if (prefix->len > 0)
		ZSTD_DCtx_refPrefix(d, prefix->data, prefix->len);
	size_t n = ZSTD_decompressDCtx(d, plain, (size_t)b->size, b->data, b->len);
	if (ZSTD_isError(n))
		return err_set(err, ERR_BOX, 0, "damaged (%s)", ZSTD_getErrorName(n));
	return buf_add(out, plain, n) < 0 ? err_set(err, ERR_BOX, 0, "too large") : 0;
}

/* The chain from the wanted blob (0) down to its key frame. */
struct chain {
	struct blob blobs[CHAIN_MAX + 1];
	size_t n;
};

static void chain_freep(struct chain **c)
{
	for (size_t i = 0; *c && i < (*c)->n; i++)
		blob_finish(&(*c)->blobs[i]);
	free(*c);
}

static int load_chain(struct db *db, const char *sha256, struct chain *c, struct err *err)
{
	const char *next = sha256;
	while (next[0] != '\0') {
		if (c->n > CHAIN_MAX)
			return err_set(err, ERR_BOX, 0, "damaged (its chain does not end)");
		int rc = load(db, next, &c->blobs[c->n], err);
		if (rc < 0)
			return -1;
		if (rc == 0)
			return c->n == 0 ? err_set(err, ERR_USER, 0, "not in the store")
					 : err_set(err, ERR_BOX, 0, "damaged (its base %.8s is missing)", next);
		next = c->blobs[c->n++].base;
	}
	return 0;
}

static int unfold(const struct chain *c, struct buf *plain, struct err *err)
{
	AUTO_BUF prefix = buf_make(STORE_BLOB_MAX);
	for (size_t i = c->n; i-- > 0;) {
		buf_reset(plain);
		if (decompress(&c->blobs[i], &prefix, plain, err) < 0)
			return -1;
		struct buf swap = prefix;
		prefix = *plain;
		*plain = swap;
	}
	struct buf swap = prefix;
	prefix = *plain;
	*plain = swap;
	return 0;
}

int store_blob_get(struct db *db, const char *sha256, struct buf *out, struct err *err)
{
	AUTO_BUF plain = buf_make(STORE_BLOB_MAX);
	CLEANUP(chain_freep) struct chain *c = xcalloc(1, sizeof(*c));
	char hash[SHA256_HEX];
	if (load_chain(db, sha256, c, err) < 0 || unfold(c, &plain, err) < 0)
		return err_ctx(err, "dump %.8s", sha256);
	sha256_hex(plain.data, plain.len, hash);
	if (strcmp(hash, sha256) != 0)
		return err_set(err, ERR_BOX, 0, "dump %.8s: damaged (its SHA-256 is %.8s…)", sha256, hash);
	if (buf_add(out, plain.data, plain.len) < 0)
		return err_set(err, ERR_BOX, 0, "dump %.8s: too large (%zu bytes)", sha256, plain.len);
	return 0;
}
