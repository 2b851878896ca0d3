/* SPDX-License-Identifier: MIT */
/* extend: move a box's expiry. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/template.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/sshkit.h"
#include "provision/flight.h"

#define ORDER_LIMIT_MS (60LL * 1000)
#define SAID_MAX       ((size_t)64 << 10)

/* The timer inside a box of a cloud, before the ledger and the cloud are told: they must not promise more than the box
 * keeps. */
static int order_box(const struct box *box, int64_t expires, struct err *err)
{
	struct ssh_target target;
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	AUTO_BUF said = buf_make(SAID_MAX);
	AUTO_BUF safe = buf_make(BUF_TEXT_MAX);
	buf_addf(&text, "EXPIRES=%lld NOW=%lld\n", (long long)expires, (long long)clock_wall());
	if (template_file("tasks/expire.sh", &text, err) < 0 || sshkit_target(box, &target, err) < 0)
		return -1;
	int rc = flight_order(&target, text.data, &said, clock_deadline(ORDER_LIMIT_MS), err);
	explicit_bzero(&target, sizeof(target));
	if (rc == 0)
		return 0;
	text_safe_line(&safe, said.data, said.len, 300);
	return rc < 0 ? err_ctx(err, "box %s", box->name)
		      : err_set(err, ERR_BOX, rc, "box %s: its timer could not be moved: %s", box->name, safe.data);
}

static int run(struct cmd_ctx *c, struct err *err)
{
	struct box box;
	int64_t ms;
	char until[32];
	if (clock_parse_span(c->argv[1], &ms, err) < 0 || sshkit_box(c->db, c->argv[0], &box, err) < 0)
		return -1;
	int64_t expires = clock_wall() + ms / 1000;
	if (cloud_is_remote(box.cloud) && order_box(&box, expires, err) < 0)
		return -1;
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
