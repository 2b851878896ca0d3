/* SPDX-License-Identifier: MIT */
#include "base/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/proc.h"

#define EXIT_SKIP 77

static struct key generate(const char *comment)
{
	struct key key;
	struct err err = ERR_INIT;
	if (key_generate(&key, comment, &err) != 0)
		fail_msg("%s", err.msg);
	return key;
}

/* What the real ssh-keygen says about the private key. */
static void ssh_keygen(const struct key *key, const char *option, struct buf *out)
{
	struct err err = ERR_INIT;
	char path[] = "/tmp/stepbox-key-XXXXXX";
	int fd = mkstemp(path); /* 0600, as ssh-keygen demands */
	assert_true(fd >= 0);
	size_t len = strlen(key->private_pem);
	assert_int_equal(write(fd, key->private_pem, len), (ssize_t)len);
	close(fd);
	const char *const argv[] = {"ssh-keygen", option, "-f", path, NULL};
	struct proc_opts opts = {.out = out, .deadline = clock_deadline(20000), .inherit_stderr = true};
	int rc = proc_run(argv, &opts, &err);
	unlink(path);
	if (rc != 0)
		fail_msg("ssh-keygen %s: %d %s", option, rc, err.msg);
}

static void ssh_keygen_reads_it(void **state)
{
	(void)state;
	/* comments of all lengths give all lengths of padding */
	static const char *const comments[] = {"",
					       "a",
					       "ab",
					       "abc",
					       "abcd",
					       "abcde",
					       "abcdef",
					       "abcdefg",
					       "abcdefgh",
					       "box nova-a",
					       "0123456789abcdef0123456789abcdef"};
	for (size_t i = 0; i < ARRAY_SIZE(comments); i++) {
		struct key key = generate(comments[i]);
		AUTO_BUF out = buf_make(BUF_TEXT_MAX);
		ssh_keygen(&key, "-y", &out);
		char want[160];
		snprintf(want, sizeof want, "%s\n", key.public_line);
		assert_string_equal(out.data, want);
	}
}

static void ssh_keygen_fingerprint(void **state)
{
	(void)state;
	struct key key = generate("box");
	AUTO_BUF out = buf_make(BUF_TEXT_MAX);
	ssh_keygen(&key, "-l", &out);
	struct err err = ERR_INIT;
	assert_memory_equal(out.data, "256 SHA256:", 11);
	assert_non_null(strstr(out.data, " box (ED25519)\n"));
	unsigned char blob[KEY_BLOB_LEN];
	assert_int_equal(key_blob_of_line(key.public_line, blob, &err), 0);
	/* the fingerprint is the SHA-256 of the blob */
	char hex[SHA256_HEX];
	sha256_hex(blob, sizeof blob, hex);
	unsigned char digest[32];
	for (size_t i = 0; i < sizeof digest; i++) {
		char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
		digest[i] = (unsigned char)strtoul(byte, NULL, 16);
	}
	AUTO_BUF b64 = buf_make(BUF_TEXT_MAX);
	base64_encode(&b64, digest, sizeof digest);
	assert_memory_equal(out.data + 11, b64.data, 43);
}

static void file_form(void **state)
{
	(void)state;
	struct key key = generate("0123456789abcdef0123456789abcdef");
	assert_memory_equal(key.private_pem, "-----BEGIN OPENSSH PRIVATE KEY-----\n", 36);
	size_t lines = 0;
	for (const char *line = key.private_pem; *line != '\0'; lines++) {
		size_t n = strcspn(line, "\n");
		assert_true(n <= 70);
		assert_int_equal(line[n], '\n');
		line += n + 1;
	}
	assert_int_equal(lines, 8);
	struct key other = generate("0123456789abcdef0123456789abcdef");
	assert_string_not_equal(key.public_line, other.public_line);
	assert_string_not_equal(key.private_pem, other.private_pem);
}

static void blob_round_trip(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	for (int i = 0; i < 50; i++) {
		struct key key = generate(i % 2 ? "c" : "");
		unsigned char blob[KEY_BLOB_LEN];
		assert_int_equal(key_blob_of_line(key.public_line, blob, &err), 0);
		assert_memory_equal(blob, key.blob, KEY_BLOB_LEN);
		char line[160];
		snprintf(line, sizeof line, "%.80s\n", key.public_line);
		assert_int_equal(key_blob_of_line(line, blob, &err), 0);
		assert_memory_equal(blob, key.blob, KEY_BLOB_LEN);
	}
}

static void bad_lines(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"ssh-ed25519",
		"ssh-ed25519 ",
		"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ",
		"ssh-ed25519AAAAC3NzaC1lZDI1NTE5AAAAIEFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB",
		"ssh-ed25519  AAAAC3NzaC1lZDI1NTE5AAAAIEFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQ",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB!UFB",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE6AAAAIEFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = ERR_INIT;
		unsigned char blob[KEY_BLOB_LEN];
		if (key_blob_of_line(bad[i], blob, &err) != -1)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.reach, ERR_USER);
	}
	struct err err = ERR_INIT;
	unsigned char blob[KEY_BLOB_LEN];
	assert_int_equal(key_blob_of_line("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQ"
					  "UFBQUFB x y",
					  blob, &err),
			 0);
	assert_memory_equal(blob + 19, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 32);
}

static void bad_comments(void **state)
{
	(void)state;
	static const char *const bad[] = {"0123456789abcdef0123456789abcdef0", "a\nb", "\x7f", "é"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = ERR_INIT;
		struct key key;
		assert_int_equal(key_generate(&key, bad[i], &err), -1);
		assert_int_equal(err.reach, ERR_BUG);
		assert_int_equal(key.private_pem[0], '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ssh_keygen_reads_it), cmocka_unit_test(ssh_keygen_fingerprint),
		cmocka_unit_test(file_form),           cmocka_unit_test(blob_round_trip),
		cmocka_unit_test(bad_lines),           cmocka_unit_test(bad_comments),
	};
	AUTO_FREE char *keygen = fs_which("ssh-keygen");
	if (keygen == NULL) {
		print_message("skipped: no ssh-keygen here\n");
		return EXIT_SKIP;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
