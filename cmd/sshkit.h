/* SPDX-License-Identifier: MIT */
/* What it needs to reach a box: for OpenSSH its login key and a known_hosts file of our own, for us a target. */
#ifndef STEPBOX_CMD_SSHKIT_H
#define STEPBOX_CMD_SSHKIT_H

#include "cloud/ledger.h"
#include "provision/ssh.h"

/* Writes known_hosts (below the state directory) for all boxes that are there, under their names (HostKeyAlias). Caller
 * frees the path; NULL with err. */
char *sshkit_known_hosts(struct db *db, struct err *err);
/* A living box by name or prefix; `pick` is NULL: the only one there is. -1 with err. */
int sshkit_box(struct db *db, const char *pick, struct box *box, struct err *err) MUST_USE;

/* What our own connection to a box needs; wipe it after use: it holds the login key. */
int sshkit_target(const struct box *box, struct ssh_target *t, struct err *err) MUST_USE;

#endif
