/* SPDX-License-Identifier: MIT */
/* What OpenSSH needs to reach a box: its login key and a known_hosts file of our own. */
#ifndef STEPBOX_CMD_SSHKIT_H
#define STEPBOX_CMD_SSHKIT_H

#include "cloud/ledger.h"

/* Writes known_hosts (below the state directory) for all boxes that are there, under their names (HostKeyAlias). Caller
 * frees the path; NULL with err. */
char *sshkit_known_hosts(struct db *db, struct err *err);
/* A living box by name or prefix; `pick` is NULL: the only one there is. -1 with err. */
int sshkit_box(struct db *db, const char *pick, struct box *box, struct err *err) MUST_USE;

#endif
