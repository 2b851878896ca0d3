/* SPDX-License-Identifier: MIT */
/* doctor: what this machine lacks, and the exact command that mends it. */
#include <jansson.h>
#include <stdio.h>

#include "base/fs.h"
#include "cloud/cloud.h"
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "cmd/state.h"

struct doctor {
	struct cmd_ctx *c;
	int lacking;
};

struct doctor_opts {
	const char *cloud;
};

static const struct opt opts[] = {
	{0, "cloud", "NAME", "look at this entry of clouds.yaml: login, services, limits", OPT_STRING,
	 offsetof(struct doctor_opts, cloud)},
	OPT_END,
};

static void on_check(void *ctx, const char *subject, bool ok, const char *detail, const char *fix)
{
	struct doctor *d = ctx;
	d->lacking += !ok;
	if (d->c->globals->json) {
		json_t *o = json_pack("{s:o, s:b, s:o}", "subject", report_json_text(subject), "ok", ok, "detail",
				      report_json_text(detail ? detail : ""));
		if (fix && !ok)
			json_object_set_new(o, "fix", report_json_text(fix));
		report_print_json(o);
		return;
	}
	printf("%-4s %-26s %s\n", ok ? "ok" : "LACK", subject, detail ? detail : "");
	if (!ok && fix)
		printf("     mend it with: %s\n", fix);
}

static void check_program(struct doctor *d, const char *program, const char *what, const char *fix)
{
	AUTO_FREE char *path = fs_which(program);
	on_check(d, program, path != NULL, path ? path : what, fix);
}

static void check_store(struct doctor *d)
{
	struct err err = ERR_INIT;
	struct db *db = state_open(&err);
	on_check(d, "store", db != NULL, db ? fs_state_dir() : err.msg, "see the message");
	db_close(db);
}

static int run(struct cmd_ctx *c, struct err *err)
{
	struct doctor d = {.c = c};
	(void)err;
	const struct doctor_opts *o = c->opts;
	if (o->cloud) {
		cloud_doctor(o->cloud, on_check, &d);
	} else {
		cloud_doctor("local", on_check, &d);
		check_program(&d, "git", "missing: packs checkouts", "apt-get install -y git");
		check_program(&d, "tar", "missing: packs checkouts", "apt-get install -y tar");
		check_program(&d, "diff", "missing: stepbox diff", "apt-get install -y diffutils");
		check_program(&d, "ssh", "missing: stepbox ssh", "apt-get install -y openssh-client");
		check_store(&d);
	}
	if (d.lacking && !c->globals->json)
		printf("%d thing%s to mend\n", d.lacking, d.lacking == 1 ? "" : "s");
	return d.lacking ? 1 : 0;
}

const struct cmd cmd_doctor = {
	.name = "doctor",
	.args = "",
	.brief = "check what this machine lacks, and say how to mend it",
	.opts = opts,
	.ctx_size = sizeof(struct doctor_opts),
	.run = run,
};
