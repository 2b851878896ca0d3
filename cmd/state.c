/* SPDX-License-Identifier: MIT */
#include "cmd/state.h"

#include "base/fs.h"
#include "base/template.h"

struct db *state_open(struct err *err)
{
	AUTO_BUF script = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *path = xasprintf("%s/store.sqlite", fs_state_dir());
	if (fs_mkdirs(fs_state_dir(), 0700, err) < 0 || template_file("store.sql", &script, err) < 0)
		return NULL;
	return db_open(path, script.data, err);
}
