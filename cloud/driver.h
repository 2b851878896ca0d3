/* SPDX-License-Identifier: MIT */
/* What a kind of cloud must be able to do. cloud.c is the only caller; it keeps the ledger, the driver keeps nothing
 * but the cloud itself. Every slot is filled. A driver is listed in drivers[] of cloud.c.
 *
 * Order of one box's life: prepare, create, await, (alive | extend)*, end. end may come after any of them, also when
 * they did not succeed or were cut off by a kill, and more than once. */
#ifndef STEPBOX_CLOUD_DRIVER_H
#define STEPBOX_CLOUD_DRIVER_H

#include "cloud/cloud.h"

/* One thing found by `strays`: ends it unless dry, and tells the report. */
struct cloud_strays {
	bool dry_run;
	/* Is there a row that is not gone? Such things are left alone. Boxes and their directories have the name of
	 * their row. */
	bool (*known)(void *ctx, const char *name);
	/* what, why as of cloud_gc_fn; rc 0, or -1 with err when it resisted. */
	void (*found)(void *ctx, const char *what, const char *why, int rc, const struct err *err);
	void *ctx;
};

struct cloud_driver {
	const char *name;
	const char *user; /* login user of its boxes */

	/* Does this driver speak to the cloud of that name in a recipe? */
	bool (*serves)(const char *cloud);
	/* Makes the image ready. Stoppable. */
	int (*prepare)(const char *cloud, const char *image, const struct cloud_watch *watch, mono_ms deadline,
		       struct err *err);
	/* Asks for the box; box has everything that the ledger knows, the driver fills in id. */
	int (*create)(const struct box_spec *spec, struct box *box, mono_ms deadline, struct err *err);
	/* Waits until its sshd answers; the driver fills in address and port. Stoppable. */
	int (*await)(const struct box_spec *spec, struct box *box, const struct cloud_watch *watch, mono_ms deadline,
		     struct err *err);
	/* Ends the box and returns 0 only when nothing of it is left. Ignores stop. id may be empty. */
	int (*end)(const struct box *box, mono_ms deadline, struct err *err);
	int (*alive)(const struct box *box, struct err *err); /* as cloud_alive() */
	int (*extend)(const struct box *box, int64_t expires, struct err *err);
	/* Finds (and ends) what no row knows. Never touches what a living process is busy with. */
	void (*strays)(const struct cloud_strays *s);
	void (*doctor)(cloud_check_fn report, void *ctx);
};

extern const struct cloud_driver cloud_local;

#endif
