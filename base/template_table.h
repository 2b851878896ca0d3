/* SPDX-License-Identifier: MIT */
/* The files of templates/ as the Makefile embeds them; read by base/template.c only. */
#ifndef STEPBOX_BASE_TEMPLATE_TABLE_H
#define STEPBOX_BASE_TEMPLATE_TABLE_H

struct template_entry {
	const char *name; /* path below templates/; NULL ends the table */
	const char *start, *end;
};
extern const struct template_entry template_table[];

#endif
