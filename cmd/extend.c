/* SPDX-License-Identifier: MIT */
/* extend: move a box's expiry. */
#include <stdio.h>

#include "base/clock.h"
#include "cmd/cmd.h"
#include "cmd/sshkit.h"

static int run(struct cmd_ctx *c, struct err *err)
{
	struct box box;
	int64_t ms;
	char until[32];
	if (clock_parse_span(c->argv[1], &ms, err) < 0 || sshkit_box(c->db, c->argv[0], &box, err) < 0)
		return -1;
	int64_t expires = clock_wall() + ms / 1000;
	if (cloud_extend(c->db, box.name, expires, err) < 0)
		return -1;
	clock_iso(expires, until);
	printf("%s: stays until %s\n", box.name, until);
	return 0;
}

const struct cmd cmd_extend = {
	.name = "extend",
	.args = "BOX TIME",
	.brief = "let a box stay for TIME from now (90m, 2h, 1d)",
	.min_args = 2,
	.max_args = 2,
	.needs = CMD_NEEDS_STORE,
	.run = run,
};
