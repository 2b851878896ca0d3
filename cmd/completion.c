/* SPDX-License-Identifier: MIT */
/* completion: commands and options for a shell, from the same tables as everything else. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"

static void print_bash(void)
{
	puts("_stepbox() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=\n\tif [ \"$COMP_CWORD\" = 1 ]; then");
	printf("\t\twords='");
	for (size_t i = 0; cmds[i]; i++)
		printf("%s ", cmds[i]->name);
	puts("'\n\telse\n\t\tcase ${COMP_WORDS[1]} in");
	for (size_t i = 0; cmds[i]; i++) {
		printf("\t\t%s) words='--help --json --quiet --verbose ", cmds[i]->name);
		for (const struct opt *o = cmds[i]->opts; o && o->name; o++)
			printf("--%s ", o->name);
		puts("' ;;");
	}
	puts("\t\tesac\n\tfi\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\") $(compgen -f -- \"$cur\"))\n}\n"
	     "complete -o filenames -F _stepbox stepbox");
}

static int run(struct cmd_ctx *c, struct err *err)
{
	if (strcmp(c->argv[0], "bash") != 0)
		return err_set(err, ERR_USER, 0, "%s: only bash is known", c->argv[0]);
	print_bash();
	return 0;
}

const struct cmd cmd_completion = {
	.name = "completion",
	.args = "bash",
	.brief = "print shell completion",
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
