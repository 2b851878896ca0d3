/* SPDX-License-Identifier: MIT */
/* What a kind of cloud must be able to do. cloud.c is the only caller; it keeps the rows of boxes. A driver that makes
 * other things besides keeps a row for each (cloud/parts.h), hence the database. Every slot is filled. A driver is
 * listed in drivers[] of cloud.c.
 *
 * Order of one box's life: prepare, (row `wanted`) admit, create, await, (alive | extend | console)*, end. end may come
 * after any of them, also when they did not succeed or were cut off by a kill, and more than once. */
#ifndef STEPBOX_CLOUD_DRIVER_H
#define STEPBOX_CLOUD_DRIVER_H

#include "cloud/cloud.h"

/* One thing found by `strays`: ends it unless dry, and tells the report. */
struct cloud_strays {
	struct db *db;
	const struct cloud_gc_filter *filter;
	const char *cloud; /* remote: which one */
	/* Is there a row that is not gone, of this id if it has one? Such things are left alone. Boxes and their
	 * directories have the name of their row. id NULL: any. */
	bool (*known)(void *ctx, const char *name, const char *id);
	/* what, why as of cloud_gc_fn; rc 0, or -1 with err when it resisted. */
	void (*found)(void *ctx, const char *what, const char *why, int rc, const struct err *err);
	void *ctx;
};

struct cloud_driver {
	const char *name;
	bool remote;         /* see cloud_is_remote() */
	int64_t teardown_ms; /* what `end` may take */

	/* Does this driver speak to the cloud of that name in a recipe? */
	bool (*serves)(const char *cloud);
	/* Makes the image ready and checks what is asked for; fills in user and account of the box (which may be NULL:
	 * then only cloud and image of the spec count). Stoppable. */
	int (*prepare)(const struct box_spec *spec, struct box *box, const struct cloud_watch *watch, mono_ms deadline,
		       struct err *err);
	/* Waits for the box's turn where a quota says so. Returns 1 when it had to wait, 0 when not. Stoppable. */
	int (*admit)(const struct box_spec *spec, struct box *box, const struct cloud_watch *watch, struct err *err);
	/* Asks for the box; box has everything that the ledger knows, the driver fills in id. Calls ledger_asked()
	 * right before what cannot be taken back by forgetting it. */
	int (*create)(struct db *db, const struct box_spec *spec, struct box *box, const struct cloud_watch *watch,
		      mono_ms deadline, struct err *err);
	/* Waits until it has an address where its sshd answers, or will; the driver fills in address and port.
	 * Stoppable. */
	int (*await)(struct db *db, const struct box_spec *spec, struct box *box, const struct cloud_watch *watch,
		     mono_ms deadline, struct err *err);
	/* Ends the box with its parts and returns 0 only when nothing of it is left. Ignores stop. id may be empty. */
	int (*end)(struct db *db, const struct box *box, mono_ms deadline, struct err *err);
	int (*alive)(const struct box *box, struct err *err); /* as cloud_alive() */
	int (*extend)(const struct box *box, int64_t expires, struct err *err);
	void (*leave)(const struct box *box);                               /* as cloud_leave() */
	void (*console)(const struct box *box, int lines, struct buf *out); /* as cloud_console() */
	/* Finds (and ends) what no row knows. Never touches what a living process is busy with. -1 when it could not
	 * look. */
	int (*strays)(const struct cloud_strays *s, struct err *err);
	/* As cloud_list(); known is filled in by cloud.c. */
	int (*list)(const char *cloud, void (*fn)(struct cloud_listed *l, void *ctx), void *ctx, struct err *err);
	void (*doctor)(const char *cloud, cloud_check_fn report, void *ctx);
	/* At the end of the process: memory and connections. */
	void (*exit)(void);
};

extern const struct cloud_driver cloud_local;
extern const struct cloud_driver cloud_openstack;

#endif
