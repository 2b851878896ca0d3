/* SPDX-License-Identifier: MIT */
/* ssh-config: the boxes as Host entries of OpenSSH, for scp, rsync, editors. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/sshkit.h"

struct listing {
	const char *known;
	const char *only; /* a name, or NULL */
};

static int on_box(const struct ledger_row *row, void *ctx)
{
	const struct listing *l = ctx;
	const struct box *b = &row->box;
	if (strcmp(b->state, "active") != 0 || (l->only && strcmp(l->only, b->name) != 0))
		return 0;
	printf("Host %s\n\tHostName %s\n\tPort %d\n\tUser %s\n\tIdentityFile \"%s\"\n\tIdentitiesOnly yes\n"
	       "\tUserKnownHostsFile \"%s\"\n\tHostKeyAlias %s\n\tStrictHostKeyChecking yes\n\tUpdateHostKeys no\n",
	       b->name, b->address, b->port, b->user, b->key_path, l->known, b->name);
	return 0;
}

static int run(struct cmd_ctx *c, struct err *err)
{
	struct box box;
	AUTO_FREE char *known = sshkit_known_hosts(c->db, err);
	struct listing l = {known, NULL};
	if (!known)
		return -1;
	if (c->argc) {
		if (sshkit_box(c->db, c->argv[0], &box, err) < 0)
			return -1;
		l.only = box.name;
	}
	return ledger_each(c->db, false, on_box, &l, err) < 0 ? -1 : 0;
}

const struct cmd cmd_ssh_config = {
	.name = "ssh-config",
	.args = "[BOX]",
	.brief = "print the boxes as entries for ~/.ssh/config",
	.help = "stepbox ssh-config >~/.ssh/stepbox.conf, and `Include stepbox.conf` in ~/.ssh/config: then scp, rsync "
		"and editors\n"
		"know the boxes by name.",
	.max_args = 1,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
