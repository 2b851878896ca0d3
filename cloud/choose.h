/* SPDX-License-Identifier: MIT */
/* Choosing from what a cloud offers: image, flavor, network, address. Pure functions over the API's JSON (foreign:
 * every value is checked). Errors are ERR_USER, begin with the recipe's key and name at most a dozen candidates. Ids
 * that come out can stand in a URL, texts on a terminal; items whose id cannot are as if they were not there. */
#ifndef STEPBOX_CLOUD_CHOOSE_H
#define STEPBOX_CLOUD_CHOOSE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CHOOSE_ID_MAX 128

struct os_image {
	char id[CHOOSE_ID_MAX];
	char name[256];
	char user[33]; /* login user the image has by its properties (os_admin_user, image_original_user), its
			* os_distro or its name; "" when nothing tells */
	int64_t min_disk_gb, min_ram_mb; /* the disk: by min_disk, size and virtual_size */
	int64_t size;                    /* bytes, 0 unknown */
};
/* images: glance v2 array. want: an id, else an exact name, else a glob ("Debian 12*": no kernels, and snapshots only
 * when there is nothing else). Several: the newest active one, with *several set so that the caller can say so. */
int choose_image(const json_t *images, const char *want, struct os_image *out, bool *several, struct err *err) MUST_USE;
/* Login user for an image name or os_distro, by cloud-init's and the distributions' conventions; "" when unknown. */
const char *choose_user(const char *distro, const char *image_name);

struct flavor_want {
	const char *name;               /* name or id; NULL: by requirement */
	int64_t vcpus, ram_mb, disk_gb; /* at least; 0: anything */
};
struct os_flavor {
	char id[CHOOSE_ID_MAX];
	char name[256];
	int64_t vcpus, ram_mb, disk_gb;
};
/* flavors: nova array of /flavors/detail. By requirement: the smallest (ram, then vcpus, then disk) enabled one that
 * fits the requirement and the image's min_ram; those with enough root disk come first, one with disk 0 (boot from
 * volume) only when none has. Named: an id, else a name that only one has; too small for the image is an error. image
 * may be NULL. */
int choose_flavor(const json_t *flavors, const struct flavor_want *want, const struct os_image *image,
		  struct os_flavor *out, struct err *err) MUST_USE;

struct os_network {
	char id[CHOOSE_ID_MAX];
	char name[256];
	bool external;      /* router:external: its addresses need no floating IP */
	bool port_security; /* without it security groups must not be asked for */
};
/* networks: neutron array. want: id, else name; NULL: the only one that has a subnet, is up and not external (else the
 * only such external one that is shared). Several: an error listing them. */
int choose_network(const json_t *networks, const char *want, struct os_network *out, struct err *err) MUST_USE;
/* The external network for floating IPs: want by name or id; NULL: the only one, or the one with is_default. 1 found, 0
 * there is none, -1 several, or not the one that is wanted. */
int choose_pool(const json_t *networks, const char *want, struct os_network *out, struct err *err) MUST_USE;

#define CHOOSE_ADDRESSES_MAX 8
struct os_address {
	char text[64]; /* numeric IPv4 or IPv6 */
	int version;   /* 4, 6 */
	bool floating;
	bool private; /* RFC 1918, 6598, 4193, 3927, loopback: perhaps not reachable from here */
};
/* server: nova's object. Best first: floating, accessIPv4, public IPv4, accessIPv6 and public IPv6, private IPv4,
 * private IPv6; among equals those of a network "public". Each once. What nobody can connect to is left out (multicast,
 * link-local IPv6 …). Returns how many; 0 is usual for some time after ACTIVE. */
size_t choose_addresses(const json_t *server, struct os_address out[CHOOSE_ADDRESSES_MAX]);

#endif
