/* SPDX-License-Identifier: MIT */
/* The key `history:` of a tool's adapter: checking and filling. Used by adapter.c only; the format is in adapter.h. */
#ifndef STEPBOX_MIGRATIONS_ADAPTER_HISTORY_H
#define STEPBOX_MIGRATIONS_ADAPTER_HISTORY_H

#include <jansson.h>

#include "base/err.h"
#include "base/yaml.h"

/* Checks root's key and gives it one form: a list of mappings whose paths and name are lists. */
int adapter_history_check(const struct yaml *y, json_t *root, struct err *err) MUST_USE;
/* A copy with ${variables} filled in and paths as git takes them; NULL with err. */
json_t *adapter_history_fill(const json_t *history, const json_t *scope, struct err *err);

#endif
