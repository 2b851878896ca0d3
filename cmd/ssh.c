/* SPDX-License-Identifier: MIT */
/* ssh: a shell on a box, by OpenSSH, with the box's own key and the host key it was given. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/sshkit.h"

#define MAX_WORDS 256

static int run(struct cmd_ctx *c, struct err *err)
{
	struct box box;
	if (sshkit_box(c->db, c->argc ? c->argv[0] : NULL, &box, err) < 0)
		return -1;
	AUTO_FREE char *known = sshkit_known_hosts(c->db, err);
	if (!known)
		return -1;
	AUTO_FREE char *port = xasprintf("%d", box.port);
	AUTO_FREE char *dest = xasprintf("%s@%s", box.user, box.address);
	AUTO_FREE char *hosts = xasprintf("UserKnownHostsFile=%s", known);
	AUTO_FREE char *alias = xasprintf("HostKeyAlias=%s", box.name);
	const char *argv[MAX_WORDS] = {"ssh",
				       "-F",
				       "none",
				       "-p",
				       port,
				       "-i",
				       box.key_path,
				       "-o",
				       "IdentitiesOnly=yes",
				       "-o",
				       "IdentityAgent=none",
				       "-o",
				       hosts,
				       "-o",
				       "StrictHostKeyChecking=yes",
				       "-o",
				       alias,
				       "-o",
				       "GlobalKnownHostsFile=/dev/null",
				       "-o",
				       "UpdateHostKeys=no",
				       dest};
	size_t n = 0;
	while (argv[n])
		n++;
	for (int i = 1; i < c->argc && n + 1 < MAX_WORDS; i++)
		argv[n++] = c->argv[i];
	fflush(stdout);
	/* The store is a file of ours; ssh needs nothing of it (descriptors are close-on-exec). */
	execvp("ssh", (char *const *)(uintptr_t)argv);
	return err_set(err, ERR_USER, errno,
		       errno == ENOENT ? "ssh: not installed: apt-get install -y openssh-client" : "ssh");
}

const struct cmd cmd_ssh = {
	.name = "ssh",
	.args = "[BOX] [-- COMMAND…]",
	.brief = "open a shell, or run a command, on a box",
	.max_args = -1,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
