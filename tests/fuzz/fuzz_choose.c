/* SPDX-License-Identifier: MIT */
/* What a cloud may answer. Input: "WANT\nJSON". Whatever is chosen must be usable: an id that can stand in a URL, a
 * user that can log in, a numeric address; whatever is said must be one safe line. */
#include "cloud/choose.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_line(const char *s, size_t size)
{
	require(memchr(s, '\0', size) != NULL);
	for (; *s; s++)
		require((unsigned char)*s >= 0x20 && *s != 0x7F);
}

static void check_id(const char *id)
{
	require(*id && strlen(id) < CHOOSE_ID_MAX && !strpbrk(id, "/?#%&\"\\ \n") && strspn(id, ".") < strlen(id));
}

static void check_error(int rc, const struct err *err)
{
	require((rc < 0) == (err->reach != ERR_NONE));
	require(rc >= 0 || (err->reach == ERR_USER && err->msg[0]));
	check_line(err->msg, sizeof(err->msg));
}

static void check_image(const json_t *list, const char *want, struct os_image *image)
{
	struct err err = ERR_INIT;
	bool several;
	int rc = choose_image(list, want, image, &several, &err);
	check_error(rc, &err);
	if (rc < 0)
		return;
	check_id(image->id);
	check_line(image->name, sizeof(image->name));
	check_line(image->user, sizeof(image->user));
	require(image->user[0] != '-' && !strpbrk(image->user, " ;:'\"$`\\\n"));
	require(image->min_disk_gb >= 0 && image->min_ram_mb >= 0 && image->size >= 0);
}

static void check_flavor(const json_t *list, const struct flavor_want *want, const struct os_image *image)
{
	struct os_flavor f;
	struct err err = ERR_INIT;
	int rc = choose_flavor(list, want, image, &f, &err);
	check_error(rc, &err);
	if (rc < 0)
		return;
	check_id(f.id);
	check_line(f.name, sizeof(f.name));
	require(f.ram_mb >= (image ? image->min_ram_mb : 0) && f.vcpus >= (want->name ? 0 : want->vcpus));
}

static void check_network(const json_t *list, const char *want, bool pool)
{
	struct os_network n;
	struct err err = ERR_INIT;
	int rc = pool ? choose_pool(list, want, &n, &err) : choose_network(list, want, &n, &err);
	check_error(rc, &err);
	if (rc < 0 || (pool && rc == 0))
		return;
	check_id(n.id);
	check_line(n.name, sizeof(n.name));
	require(!pool || n.external);
}

static void check_addresses(const json_t *server)
{
	struct os_address a[CHOOSE_ADDRESSES_MAX];
	unsigned char bytes[16];
	size_t n = choose_addresses(server, a);
	require(n <= CHOOSE_ADDRESSES_MAX);
	for (size_t i = 0; i < n; i++) {
		require(inet_pton(a[i].version == 6 ? AF_INET6 : AF_INET, a[i].text, bytes) == 1);
		require(i == 0 || !a[i].floating || a[i - 1].floating);
		for (size_t k = 0; k < i; k++)
			require(strcmp(a[i].text, a[k].text) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line = memchr(data, '\n', size);
	if (!line)
		return 0;
	AUTO_FREE char *want = xstrndup((const char *)data, (size_t)(line - data));
	size -= (size_t)(line + 1 - data);
	json_t *j = json_loadb((const char *)line + 1, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (!j)
		return 0;
	struct os_image image = {.min_ram_mb = 0};
	check_image(j, want, &image);
	check_flavor(j, &(struct flavor_want){.name = want}, &image);
	check_flavor(j, &(struct flavor_want){.vcpus = 2, .ram_mb = 512, .disk_gb = 5}, &image);
	check_flavor(j, &(struct flavor_want){.name = NULL}, NULL);
	check_network(j, want, false);
	check_network(j, NULL, false);
	check_network(j, want, true);
	check_network(j, NULL, true);
	check_addresses(j);
	size_t i;
	const json_t *item;
	json_array_foreach (j, i, item)
		check_addresses(item);
	json_decref(j);
	return 0;
}
