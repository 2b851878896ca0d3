/* SPDX-License-Identifier: MIT */
/* What the files of the `local` driver share: who is who in a box's user namespace, how its scripts are started, and
 * where the base trees are. Nobody else includes this.
 *
 * How it works. A box is a directory, STATE/boxes/NAME, and a tree of processes:
 *
 *   keeper.sh ── unshare ── init.sh (pid 1 inside) ── sshd on 127.0.0.1
 *
 * keeper.sh is started detached and holds the lock of the directory as long as the box lives; it removes the directory
 * when the box has ended. All mounts are in namespaces that go with these processes. Files in the directory:
 *
 *   lock         held (flock) by keeper and unshare: the box lives. A directory without it is being removed
 *   control      fifo to pid 1: "expires SECONDS", "end"
 *   pid          keeper's process id and start time
 *   lower        link to the base tree; layer: link to a layer of packages over it, if any; upper, work: the box's own
 *                files (overlayfs)
 *   out, go      fifos for the start of the namespaces (userns.sh)
 *   keeper.sh, mounts.sh   the scripts as they were when the box was made
 */
#ifndef STEPBOX_CLOUD_LOCAL_H
#define STEPBOX_CLOUD_LOCAL_H

#include <limits.h>
#include <stdbool.h>

#include "base/buf.h"
#include "cloud/cloud.h"

/* First of the 65536 ids that root's boxes use outside: above what people, services and subuid ranges have. */
#define LOCAL_FIRST_ID 1879048192
#define LOCAL_IDS      65536

/* Everything is in Debian's own places; pivot_root and mount are not on an ordinary user's PATH. */
#define LOCAL_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Who inside is who outside, as templates/local/userns.sh wants it. */
struct local_ids {
	bool root; /* we are root: no subuid is needed, files are shifted by LOCAL_FIRST_ID */
	char uids[64];
	char gids[64];
};

struct cloud_strays;

/* Finds the mapping for this user. ERR_USER with the command that mends it when there is none. */
int local_ids(struct local_ids *ids, struct err *err) MUST_USE;

/* Writes dir/NAME: userns.sh (when it needs it) and the template local/NAME. */
int local_script(const char *dir, const char *name, bool userns, struct err *err) MUST_USE;

/* What lies over a base tree in dir: `upper` (becomes "/" and belongs to root inside), `work`, the link `lower`, and
 * what the start of the namespaces needs (`out`, `go`, mounts.sh). */
int local_overlay(const char *dir, const char *base, bool root, struct err *err) MUST_USE;

/* A plain write of a small file, without fsync: nothing here outlives a power cut. */
int local_write(const char *path, const void *data, size_t n, mode_t mode, struct err *err) MUST_USE;

/* Removes a directory whose contents belong to ids of a box's namespace. Ignores stop. */
int local_remove(const char *dir, mono_ms deadline, struct err *err) MUST_USE;

/* Takes the flock of a file: the descriptor, -1 when somebody else holds it, -2 when there is no such file (create
 * makes it). Never waits. */
int local_lock(const char *path, bool create);

/* A directory of the cache that is made once and never written again: base trees and package layers. It is made in
 * `part` under the flock of `lock` and renamed to `path`, where a file `stamp` makes it complete. */
struct local_tree {
	char path[PATH_MAX], part[PATH_MAX], lock[PATH_MAX];
	char what[128]; /* for people: "base tree debian-12" */
};
/* Fills t->part, its stamp last. */
typedef int (*local_tree_fn)(void *ctx, const struct local_tree *t, mono_ms deadline, struct err *err);
/* Makes it if need be, or waits for who is making it; the stamp's time is that of the last use. */
int local_tree_make(const struct local_tree *t, const struct cloud_watch *watch, local_tree_fn fill, void *ctx,
		    mono_ms deadline, struct err *err) MUST_USE;
/* Runs a script in t->part and shows what it prints; when it ends with an error, err has its most telling line. */
int local_tree_run(const struct local_tree *t, const char *const *argv, const struct buf *input,
		   const struct cloud_watch *watch, const char *stage, mono_ms deadline, struct err *err) MUST_USE;
bool local_tree_complete(const char *path);
int local_tree_touch(const char *path, struct err *err) MUST_USE;
/* The stamp goes first: without it nobody takes the tree for complete. */
int local_tree_remove(const char *path, struct err *err) MUST_USE;

/* The complete base tree of an image (its directory without "/tree"), making it if need be. */
int local_base(const char *image, const struct cloud_watch *watch, mono_ms deadline, char path[PATH_MAX],
	       struct err *err) MUST_USE;
/* The layer of packages over a base tree (its directory, with "tree" in it): what the script leaves behind that is run
 * as root in a tree of the base's, kept for the day. title: for people. "" when the script did not succeed: the box
 * does without, and its own task will tell why. */
int local_layer(const char *base, const char *script, const char *title, const struct cloud_watch *watch,
		mono_ms deadline, char path[PATH_MAX], struct err *err) MUST_USE;
/* Layers that nobody has used for two days, and half-made ones. */
void local_layer_strays(const struct cloud_strays *s);
/* Settings of this machine that what runs in a box needs: shell text setting resolv_conf, and proxies as sshd_env. */
void local_settings(const char *name, struct buf *out);

/* Half-made trees, and outdated ones that nobody has used for a while. */
void local_base_strays(const struct cloud_strays *s);

void local_doctor(const char *cloud, cloud_check_fn report, void *ctx);
/* Prepends to err what doctor finds missing on this machine, if anything: the likely cause. Returns -1. */
int local_explain(struct err *err);

#endif
