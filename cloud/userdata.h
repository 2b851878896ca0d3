/* SPDX-License-Identifier: MIT */
/* The cloud-init user-data of a box (templates/cloud-init/user-data.yaml): our host key, our login key for one user who
 * may become root, the box's own dead-man timer, and the readiness marker that the plan's first task waits for
 * (templates/tasks/ready.sh). Never a cloud credential: any process on the box can read it. */
#ifndef STEPBOX_CLOUD_USERDATA_H
#define STEPBOX_CLOUD_USERDATA_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/key.h"

/* nova: 65535 characters of base64 (schemas/servers.py). */
#define USERDATA_MAX 49149

struct userdata {
	const char *user; /* login user, in the image or not; "root" is let in as root */
	const struct key *host_key, *login_key;
	int64_t ttl_s; /* power off this long after the first boot, reboots included; 1 s to 366 d */
};

/* Appends the text (#cloud-config, for cloud-init 0.7.9 and later). It holds the private host key: wipe it after use.
 * ERR_USER when the user is none or a template of the user's is bad, ERR_BUG when it is over USERDATA_MAX. */
int userdata_make(struct buf *out, const struct userdata *u, struct err *err) MUST_USE;

#endif
