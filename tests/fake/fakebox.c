/* SPDX-License-Identifier: MIT */
/* The fake cloud's hands: boots and ends local boxes without ledger and recipe, straight through the `local` driver.
 *
 *   fakebox prepare IMAGE                                        makes the base tree
 *   fakebox boot NAME IMAGE TTL_S HOST_KEY_FILE LOGIN_KEY_FILE   prints "ADDRESS PORT"
 *   fakebox alive NAME                                           exit 0: it lives, 1: it does not
 *   fakebox end NAME                                             0 only when nothing of it is left
 *
 * HOST_KEY_FILE holds the private key that the box's sshd shows, LOGIN_KEY_FILE the public line that it lets in. Boxes
 * are in $XDG_STATE_HOME, base trees in $XDG_CACHE_HOME. Keys go by files: arguments are for everybody to read. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/stop.h"
#include "base/text.h"
#include "cloud/driver.h"

#define PREPARE_MS ((int64_t)30 * 60 * 1000)
#define BOOT_MS    60000
#define END_MS     30000
#define TTL_MAX_S  86400

static const struct cloud_watch nobody;

/* The file's text without the newlines at its end. */
static int read_key(const char *path, char *out, size_t size, struct err *err)
{
	AUTO_BUF text = buf_make(size - 1);
	if (fs_read(path, size - 1, &text, err) < 0)
		return -1;
	size_t n = text.len;
	while (n > 0 && text.data[n - 1] == '\n')
		n--;
	memcpy(out, text.data, n);
	out[n] = '\0';
	return 0;
}

static int prepare(const char *image, struct err *err)
{
	struct box_spec spec = {.cloud = "local", .image = image};
	return cloud_local.prepare(&spec, NULL, &nobody, clock_deadline(PREPARE_MS), err);
}

static int end(const char *name, struct err *err)
{
	struct box box = {.port = 0};
	(void)snprintf(box.name, sizeof(box.name), "%s", name);
	return cloud_local.end(NULL, &box, clock_deadline(END_MS), err);
}

static int alive(const char *name, struct err *err)
{
	struct box box = {.port = 0};
	(void)snprintf(box.name, sizeof(box.name), "%s", name);
	int rc = cloud_local.alive(&box, err);
	return rc < 0 ? -1 : !rc;
}

static int boot(char *const args[5], struct err *err)
{
	struct key host = {.private_pem = ""}, login = {.public_line = ""};
	int64_t ttl_s = strtoll(args[2], NULL, 10);
	if (ttl_s < 1 || ttl_s > TTL_MAX_S)
		return err_set(err, ERR_USER, 0, "%s: a box lives 1 to %d s", args[2], TTL_MAX_S);
	if (read_key(args[3], host.private_pem, sizeof(host.private_pem), err) < 0 ||
	    read_key(args[4], login.public_line, sizeof(login.public_line), err) < 0)
		return -1;
	struct box_spec spec = {.name = args[0],
				.run = "fake",
				.cloud = "local",
				.image = args[1],
				.ttl_ms = ttl_s * 1000,
				.host_key = &host,
				.login_key = &login};
	struct box box = {.created = clock_wall(), .expires = clock_wall() + ttl_s};
	(void)snprintf(box.name, sizeof(box.name), "%s", args[0]);
	mono_ms deadline = clock_deadline(BOOT_MS);
	if (prepare(args[1], err) < 0)
		return -1;
	if (cloud_local.create(NULL, &spec, &box, &nobody, deadline, err) < 0 ||
	    cloud_local.await(NULL, &spec, &box, &nobody, deadline, err) < 0) {
		struct err ignored = ERR_INIT;
		if (end(args[0], &ignored) < 0)
			(void)fprintf(stderr, "fakebox: %s\n", ignored.msg);
		return -1;
	}
	(void)printf("%s %d\n", box.address, box.port);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
	} words[] = {{"prepare", 1}, {"boot", 5}, {"alive", 1}, {"end", 1}};
	struct err err = ERR_INIT;
	size_t i = 0;
	while (i < ARRAY_SIZE(words) && (argc < 2 || strcmp(argv[1], words[i].name) != 0))
		i++;
	bool known = i < ARRAY_SIZE(words) && argc == words[i].args + 2;
	if (!known || (i > 0 && !text_is_name(argv[2]))) {
		(void)fprintf(stderr, "usage: fakebox prepare IMAGE | alive NAME | end NAME |\n"
				      "       boot NAME IMAGE TTL_S HOST_KEY_FILE LOGIN_KEY_FILE\n");
		return 2;
	}
	stop_install();
	int rc = i == 0   ? prepare(argv[2], &err)
		 : i == 1 ? boot(argv + 2, &err)
		 : i == 2 ? alive(argv[2], &err)
			  : end(argv[2], &err);
	if (rc < 0) {
		(void)fprintf(stderr, "fakebox: %s\n", err.msg);
		return err_exit_code(&err);
	}
	return rc;
}
