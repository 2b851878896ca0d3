/* SPDX-License-Identifier: MIT */
/* The store file and the tables it holds: $XDG_STATE_HOME/stepbox/store.sqlite, made by templates/store.sql. */
#ifndef STEPBOX_CMD_STATE_H
#define STEPBOX_CMD_STATE_H

#include "base/db.h"
#include "base/err.h"

/* NULL with err when it cannot be opened. */
struct db *state_open(struct err *err);

#endif
