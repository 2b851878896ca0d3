/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* FIPS 180-2, appendix B. */
static const char abc_digest[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char million_digest[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void test_sha256_vectors(void **state)
{
	(void)state;
	char out[SHA256_HEX];
	sha256_hex("", 0, out);
	assert_string_equal(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256_hex("abc", 3, out);
	assert_string_equal(out, abc_digest);
}

static void test_sha256_in_pieces(void **state)
{
	(void)state;
	char piece[1000], out[SHA256_HEX];
	memset(piece, 'a', sizeof(piece));
	struct sha256 *h = sha256_new();
	for (int i = 0; i < 1000; i++)
		sha256_add(h, piece, sizeof(piece));
	sha256_end(h, out);
	assert_string_equal(out, million_digest);
	sha256_free(NULL);
	sha256_free(sha256_new());
}

static void test_hex(void **state)
{
	(void)state;
	char out[9];
	hex_encode((const unsigned char *)"\x00\x7f\x80\xff", 4, out);
	assert_string_equal(out, "007f80ff");
	hex_encode(NULL, 0, out);
	assert_string_equal(out, "");
}

/* RFC 4648, section 10. */
static void test_base64(void **state)
{
	(void)state;
	static const char *const rows[][2] = {{"", ""},
					      {"f", "Zg=="},
					      {"fo", "Zm8="},
					      {"foo", "Zm9v"},
					      {"foob", "Zm9vYg=="},
					      {"fooba", "Zm9vYmE="},
					      {"foobar", "Zm9vYmFy"}};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_BUF b = buf_make(BUF_TEXT_MAX);
		base64_encode(&b, rows[i][0], strlen(rows[i][0]));
		assert_string_equal(b.data, rows[i][1]);
	}
}

static void test_base64_long(void **state)
{
	(void)state;
	static char zeros[10000];
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	base64_encode(&b, zeros, sizeof(zeros));
	assert_int_equal(b.len, (sizeof(zeros) + 2) / 3 * 4);
	assert_int_equal(strspn(b.data, "A"), b.len - 2); /* padding at the very end only */
	assert_string_equal(b.data + b.len - 2, "==");
}

static void test_random(void **state)
{
	(void)state;
	char a[2 * 100 + 1], b[2 * 100 + 1];
	random_hex(a, 100);
	random_hex(b, 100);
	assert_int_equal(strspn(a, "0123456789abcdef"), 200);
	assert_int_equal(strlen(a), 200);
	assert_string_not_equal(a, b);
	unsigned char big[1000] = {0};
	random_bytes(big, sizeof(big));
	int seen[256] = {0}, kinds = 0;
	for (size_t i = 0; i < sizeof(big); i++)
		kinds += !seen[big[i]]++;
	assert_true(kinds > 200); /* expected 251 */
}

static void *hash_many(void *arg)
{
	char out[SHA256_HEX];
	for (int i = 0; i < 200; i++) {
		sha256_hex("abc", 3, out);
		if (strcmp(out, abc_digest) != 0)
			return arg;
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	pthread_t threads[4];
	char out[] = "bad";
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hash_many, out), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *bad = NULL;
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256_vectors),
		cmocka_unit_test(test_sha256_in_pieces),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_long),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
