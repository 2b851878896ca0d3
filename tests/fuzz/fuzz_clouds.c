/* SPDX-License-Identifier: MIT */
/* A stranger's clouds.yaml through clouds_load(), by itself and with OS_*: no crash, no leak, nothing unbounded; what
 * comes out keeps the promises of cloud/clouds.h, and no message holds the password. The first byte chooses the file.
 */
#include "cloud/clouds.h"

#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml 0.7.12 forgets a text buffer of its scanner after some errors; see fuzz_yaml.c. */
const char *__lsan_default_suppressions(void); // NOLINT(bugprone-reserved-identifier): the sanitizer's own name
const char *__lsan_default_suppressions(void)  // NOLINT(bugprone-reserved-identifier)
{
	return "leak:libfyaml.so\n";
}

static char dir[] = "/tmp/stepbox-fuzz-clouds-XXXXXX";
static int back = -1; /* the corpus is named relative to where we began */

static void leave(void)
{
	struct err err = ERR_INIT;
	if (chdir("/") != 0 || fs_remove_tree(dir, &err) != 0)
		_exit(1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mkdtemp(dir) == NULL || back < 0)
		abort();
	setenv("HOME", dir, 1);
	setenv("XDG_CONFIG_HOME", dir, 1);
	setenv("XDG_CONFIG_DIRS", dir, 1);
	unsetenv("OS_CLOUD");
	log_set_level(LOG_ERR);
	atexit(leave);
	return 0;
}

/* Not fs_write(): it would wait for the disk. */
static void put(const char *name, const void *data, size_t n)
{
	FILE *f = fopen(name, "w");
	if (f == NULL || fwrite(data, 1, n, f) != n || fclose(f) != 0)
		abort();
}

static bool planted; /* the password is only where we put it: the input could use it as a name */

static void check(const char *name)
{
	static const char *const keys[] = {"endpoint_override", "interface", "region_name", "api_version"};
	struct cloud_config c;
	struct err err = ERR_INIT;
	if (clouds_load(&c, name, &err) != 0) {
		assert(err.reach == ERR_USER && err.msg[0] != '\0');
		assert(!planted || strstr(err.msg, "hunter2") == NULL);
		return;
	}
	const char *key;
	json_t *value;
	json_object_foreach (c.auth, key, value)
		assert(json_is_string(value) && json_string_length(value) > 0);
	assert(c.name != NULL && c.source != NULL && c.region != NULL && c.timeout_ms >= 0);
	assert(strcmp(c.interface, "public") == 0 || strcmp(c.interface, "internal") == 0 ||
	       strcmp(c.interface, "admin") == 0);
	assert(c.verify || c.cacert == NULL);
	assert(c.auth_type == AUTH_NONE || json_object_get(c.auth, "auth_url") != NULL);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		(void)cloud_config_service(&c, "block-storage", keys[i]);
	cloud_config_finish(&c);
}

static void check_all(void)
{
	json_t *names = clouds_names(), *name;
	size_t i;
	check(NULL);
	check("x");
	json_array_foreach (names, i, name)
		if (i < 8)
			check(json_string_value(name));
	json_decref(names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = {"clouds.yaml", "clouds.json", "secure.yaml", "clouds-public.yaml"};
	static const char clouds[] = "clouds: {x: {profile: mine, auth: {username: u, password: hunter2}}}\n";
	if (size == 0)
		return 0;
	const char *file = files[data[0] % ARRAY_SIZE(files)];
	if (chdir(dir) != 0)
		abort();
	put("clouds.yml", clouds, strlen(clouds));
	put(file, data + 1, size - 1);
	planted = memmem(data, size, "hunter2", 7) == NULL;
	check_all();
	setenv("OS_PASSWORD", "hunter2", 1);
	setenv("OS_PROFILE", "mine", 1);
	setenv("OS_REGION_NAME", "A", 1);
	check_all();
	unsetenv("OS_PASSWORD");
	unsetenv("OS_PROFILE");
	unsetenv("OS_REGION_NAME");
	unlink(file);
	if (fchdir(back) != 0)
		abort();
	return 0;
}
