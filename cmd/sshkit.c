/* SPDX-License-Identifier: MIT */
#include "cmd/sshkit.h"

#include <stdio.h>
#include <string.h>

#include "base/fs.h"

static int on_box(const struct ledger_row *row, void *ctx)
{
	struct buf *out = ctx;
	if (strcmp(row->box.state, "active") == 0)
		buf_addf(out, "%s %s\n", row->box.name, row->box.host_key);
	return 0;
}

char *sshkit_known_hosts(struct db *db, struct err *err)
{
	AUTO_BUF lines = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *path = xasprintf("%s/known_hosts", fs_state_dir());
	if (ledger_each(db, false, on_box, &lines, err) < 0 || fs_write(path, lines.data, lines.len, 0600, err) < 0)
		return NULL;
	return TAKE(path);
}

struct only {
	struct box box;
	int n;
};

static int count_box(const struct ledger_row *row, void *ctx)
{
	struct only *o = ctx;
	if (strcmp(row->box.state, "active") == 0) {
		o->box = row->box;
		o->n++;
	}
	return 0;
}

int sshkit_box(struct db *db, const char *pick, struct box *box, struct err *err)
{
	struct only only = {0};
	if (pick) {
		int found = ledger_find(db, pick, box, err);
		if (found < 0)
			return -1;
		if (!found || strcmp(box->state, "active") != 0)
			return err_set(err, ERR_USER, 0, "%s: no such box; `stepbox ls` lists them", pick);
	} else {
		if (ledger_each(db, false, count_box, &only, err) < 0)
			return -1;
		if (only.n != 1)
			return err_set(err, ERR_USER, 0,
				       only.n ? "name a box; `stepbox ls` lists them" : "there is no box");
		*box = only.box;
	}
	/* Of a cloud, ssh itself will tell: the question costs a login there. */
	if (cloud_is_remote(box->cloud))
		return 0;
	int alive = cloud_alive(db, box->name, err);
	if (alive == 0)
		return err_set(err, ERR_BOX, 0, "box %s: it is gone; `stepbox gc` clears it away", box->name);
	return alive < 0 ? -1 : 0;
}

int sshkit_target(const struct box *box, struct ssh_target *t, struct err *err)
{
	AUTO_BUF pem = buf_make(sizeof(t->private_pem) - 1);
	*t = (struct ssh_target){.port = box->port};
	snprintf(t->address, sizeof(t->address), "%s", box->address);
	snprintf(t->user, sizeof(t->user), "%s", box->user);
	if (key_blob_of_line(box->host_key, t->host_blob, err) < 0 ||
	    fs_read(box->key_path, sizeof(t->private_pem) - 1, &pem, err) < 0)
		return err_ctx(err, "box %s", box->name);
	memcpy(t->private_pem, pem.data, pem.len + 1);
	explicit_bzero(pem.data, pem.len);
	return 0;
}
