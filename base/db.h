/* SPDX-License-Identifier: MIT */
/* SQLite with the project's conventions: WAL, a busy timeout (several stepbox processes at once), forward-only
 * upgrades by PRAGMA user_version, and errors as struct err. One connection, one internal lock per statement run: a
 * struct db may be used by several threads. */
#ifndef STEPBOX_BASE_DB_H
#define STEPBOX_BASE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct db;

/* Opens (creating it 0600 when missing) and upgrades. script holds the schema in parts that each begin with a line
 * `-- version N`, N rising from 1; parts newer than the file's user_version are run, each in one transaction.
 * A file newer than the script is an error (ERR_USER), nothing is changed in it. */
struct db *db_open(const char *path, const char *script, struct err *err);
void db_close(struct db *db); /* NULL is fine */
void db_closep(struct db **db);
/* How long a statement waits for another process that has the file; 10 s at first. */
void db_set_busy_timeout(struct db *db, int timeout_ms);

/* One statement with parameters given by a type string: s text (NULL → NULL), i int64_t, d double, b (const void *,
 * size_t) blob (NULL → empty). The texts and blobs must live until the call returns. db_run() runs it to its end;
 * returns the number of changed rows, or -1. */
int db_run(struct db *db, struct err *err, const char *sql, const char *types, ...) MUST_USE;
/* Calls row() for each result row under the lock (row must not call db_*); row returns 0 to go on, anything else
 * stops. Returns the number of rows seen, or -1. */
typedef int (*db_row_fn)(sqlite3_stmt *st, void *ctx);
int db_query(struct db *db, struct err *err, db_row_fn row, void *ctx, const char *sql, const char *types,
	     ...) MUST_USE;
/* Rowid of this thread's … last insert: valid only inside db_begin()/db_commit() of the same thread. */
int64_t db_last_rowid(struct db *db);

/* A transaction (BEGIN IMMEDIATE) that holds the lock of this struct for the calling thread. full: synchronous=FULL,
 * for rows that stand for something that costs money; otherwise NORMAL. */
int db_begin(struct db *db, bool full, struct err *err) MUST_USE;
/* Ends the transaction in any case: rolled back when it returns -1. */
int db_commit(struct db *db, struct err *err) MUST_USE;
void db_rollback(struct db *db); /* nothing when there is no transaction */

/* Text column that is never NULL ("" instead); valid as sqlite3_column_text() is. */
const char *db_text(sqlite3_stmt *st, int col);

#endif
