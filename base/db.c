/* SPDX-License-Identifier: MIT */
#include "base/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/wait.h"

/* How it works: one SQLite connection behind one recursive mutex. Each statement takes the mutex; a transaction keeps
 * it from db_begin() to db_commit() or db_rollback(), so the statements of its own thread go through and other threads
 * wait. Other processes are kept apart by SQLite's file locks and the busy timeout. */

#define BUSY_TIMEOUT_MS 10000
#define SQL_SHOWN       60
#define WAL_RETRY_MS    20

struct db {
	sqlite3 *handle;
	char *path;
	pthread_mutex_t mutex;
	bool in_transaction; /* the rest is guarded by the mutex */
	bool full;
};

static void lock(struct db *db)
{
	pthread_mutex_lock(&db->mutex);
}

static void unlock(struct db *db)
{
	pthread_mutex_unlock(&db->mutex);
}

/* ---- errors ---- */

/* What an SQLite result means to us: the user's file or disk, the machine's trouble, or a statement of ours. */
static enum err_reach reach_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
		return ERR_USER;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_NOMEM:
	case SQLITE_PROTOCOL:
	case SQLITE_INTERRUPT:
		return ERR_BOX;
	default:
		return ERR_BUG;
	}
}

/* Records what SQLite said last; sql NULL when no statement is to be shown. */
static int fail(const struct db *db, struct err *err, const char *sql)
{
	int code = sqlite3_extended_errcode(db->handle);
	const char *cause = sqlite3_errmsg(db->handle);
	if ((code & 0xff) == SQLITE_NOTADB)
		cause = "not an SQLite database (move it away to begin a new one)";
	else if ((code & 0xff) == SQLITE_CORRUPT)
		cause = "damaged (database disk image is malformed); sqlite3's .recover may save its rows";
	if (sql == NULL)
		return err_set(err, reach_of(code), code, "%s: %s", db->path, cause);
	AUTO_BUF shown = buf_make(BUF_TEXT_MAX);
	text_safe_line(&shown, sql, strlen(sql), SQL_SHOWN);
	return err_set(err, reach_of(code), code, "%s: %s (SQL: %s)", db->path, cause, shown.data);
}

/* SQLite rolls back by itself after errors such as a full disk. */
static bool transaction_lost(const struct db *db)
{
	return db->in_transaction && sqlite3_get_autocommit(db->handle);
}

static int set_lost(const struct db *db, struct err *err)
{
	return err_set(err, ERR_BOX, 0, "%s: the transaction was rolled back by an earlier error", db->path);
}

static int exec(struct db *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return fail(db, err, sql);
	return 0;
}

/* ---- statements ---- */

static int bind_one(sqlite3_stmt *st, int n, char type, va_list *ap)
{
	const void *data;
	switch (type) {
	case 's':
		return sqlite3_bind_text(st, n, va_arg(*ap, const char *), -1, SQLITE_STATIC);
	case 'i':
		return sqlite3_bind_int64(st, n, va_arg(*ap, int64_t));
	case 'd':
		return sqlite3_bind_double(st, n, va_arg(*ap, double));
	case 'b':
		data = va_arg(*ap, const void *);
		return sqlite3_bind_blob64(st, n, data ? data : "", va_arg(*ap, size_t), SQLITE_STATIC);
	default:
		return SQLITE_MISUSE;
	}
}

/* Compiles sql, which must be one statement with exactly the parameters that types names. Finalized by the caller. */
static sqlite3_stmt *prepare(struct db *db, struct err *err, const char *sql, const char *types, va_list *ap)
{
	sqlite3_stmt *st = NULL;
	const char *tail = NULL;
	if (transaction_lost(db)) { /* or this statement would be committed at once, alone */
		set_lost(db, err);
		return NULL;
	}
	if (sqlite3_prepare_v2(db->handle, sql, -1, &st, &tail) != SQLITE_OK) {
		fail(db, err, sql);
		return NULL;
	}
	int want = types ? (int)strlen(types) : 0;
	if (st == NULL || tail[strspn(tail, " \t\n;")] != '\0' || sqlite3_bind_parameter_count(st) != want) {
		err_set(err, ERR_BUG, SQLITE_MISUSE, "%s: not one statement of %d parameters (SQL: %.60s)", db->path,
			want, sql);
		sqlite3_finalize(st);
		return NULL;
	}
	for (int i = 0; i < want; i++) {
		int rc = bind_one(st, i + 1, types[i], ap);
		if (rc != SQLITE_OK) {
			err_set(err, ERR_BUG, rc, "%s: parameter %d: %s (SQL: %.60s)", db->path, i + 1,
				sqlite3_errstr(rc), sql);
			sqlite3_finalize(st);
			return NULL;
		}
	}
	return st;
}

int db_run(struct db *db, struct err *err, const char *sql, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	lock(db);
	int changed = -1;
	sqlite3_stmt *st = prepare(db, err, sql, types, &ap);
	if (st != NULL) {
		int64_t before = sqlite3_total_changes64(db->handle);
		int rc;
		while ((rc = sqlite3_step(st)) == SQLITE_ROW)
			;
		/* sqlite3_changes() keeps the number of an earlier statement when this one changed nothing. */
		if (rc != SQLITE_DONE)
			fail(db, err, sql);
		else
			changed = sqlite3_total_changes64(db->handle) == before ? 0 : sqlite3_changes(db->handle);
		sqlite3_finalize(st);
	}
	unlock(db);
	va_end(ap);
	return changed;
}

int db_query(struct db *db, struct err *err, db_row_fn row, void *ctx, const char *sql, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	lock(db);
	int rows = -1;
	sqlite3_stmt *st = prepare(db, err, sql, types, &ap);
	if (st != NULL) {
		int rc;
		for (rows = 0; (rc = sqlite3_step(st)) == SQLITE_ROW;) {
			rows++;
			if (row(st, ctx) != 0)
				break;
		}
		if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
			fail(db, err, sql);
			rows = -1;
		}
		sqlite3_finalize(st);
	}
	unlock(db);
	va_end(ap);
	return rows;
}

int64_t db_last_rowid(struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

const char *db_text(sqlite3_stmt *st, int col)
{
	const unsigned char *text = sqlite3_column_text(st, col);
	return text ? (const char *)text : "";
}

/* ---- transactions ---- */

/* PRAGMA synchronous has no effect inside a transaction, so it is set around it. */
static int set_full(struct db *db, bool full, struct err *err)
{
	if (db->full == full)
		return 0;
	if (exec(db, full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", err) != 0)
		return -1;
	db->full = full;
	return 0;
}

int db_begin(struct db *db, bool full, struct err *err)
{
	lock(db);
	int rc = db->in_transaction ? err_set(err, ERR_BUG, 0, "%s: a transaction inside a transaction", db->path)
				    : set_full(db, full, err);
	if (rc != 0 || exec(db, "BEGIN IMMEDIATE", err) != 0) {
		unlock(db);
		return -1;
	}
	db->in_transaction = true;
	return 0; /* the mutex stays ours */
}

/* Ends the transaction of this thread, rolling back what is not committed, and gives up the mutex of db_begin(). */
static void end_transaction(struct db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	struct err ignored = ERR_INIT; /* db->full stays true then and the next db_begin() tries again */
	(void)!set_full(db, false, &ignored);
	db->in_transaction = false;
	unlock(db);
}

int db_commit(struct db *db, struct err *err)
{
	lock(db);
	int rc = 0;
	if (!db->in_transaction) {
		rc = err_set(err, ERR_BUG, 0, "%s: commit without a transaction", db->path);
	} else {
		rc = transaction_lost(db) ? set_lost(db, err) : exec(db, "COMMIT", err);
		end_transaction(db);
	}
	unlock(db);
	return rc;
}

void db_rollback(struct db *db)
{
	lock(db);
	if (db->in_transaction)
		end_transaction(db);
	unlock(db);
}

/* ---- opening ---- */

/* The part of script after the line "-- version N", or NULL. *end is where it ends. */
static const char *find_part(const char *script, int n, const char **end)
{
	char head[32];
	int len = snprintf(head, sizeof head, "-- version %d\n", n);
	const char *at = script;
	while (at != NULL && strncmp(at, head, (size_t)len) != 0) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	if (at == NULL)
		return NULL;
	at += len;
	const char *next = strstr(at, "\n-- version ");
	*end = next ? next + 1 : at + strlen(at);
	return at;
}

static int newest_version(const char *script)
{
	const char *end;
	int n = 0;
	while (find_part(script, n + 1, &end) != NULL)
		n++;
	return n;
}

static int read_int(struct db *db, const char *sql, int *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db->handle, sql, -1, &st, NULL) != SQLITE_OK)
		return fail(db, err, NULL);
	int rc = 0;
	if (sqlite3_step(st) == SQLITE_ROW)
		*out = sqlite3_column_int(st, 0);
	else
		rc = fail(db, err, NULL);
	sqlite3_finalize(st);
	return rc;
}

/* The file's version, refusing what a later program wrote. */
static int check_version(struct db *db, int newest, int *version, struct err *err)
{
	if (read_int(db, "PRAGMA user_version", version, err) != 0)
		return -1;
	if (*version > newest || *version < 0)
		return err_set(err, ERR_USER, 0, "%s: written by a newer stepbox (version %d, this one knows %d)",
			       db->path, *version, newest);
	return 0;
}

/* Switching to WAL needs the file for itself for a moment and does not ask the busy handler. */
static int use_wal(struct db *db, struct err *err)
{
	mono_ms deadline = clock_deadline(BUSY_TIMEOUT_MS);
	int rc;
	while ((rc = sqlite3_exec(db->handle, "PRAGMA journal_mode=WAL", NULL, NULL, NULL)) != SQLITE_OK) {
		if (((rc & 0xff) != SQLITE_BUSY && (rc & 0xff) != SQLITE_LOCKED) || clock_mono() >= deadline)
			return fail(db, err, "PRAGMA journal_mode=WAL");
		if (wait_ms(WAL_RETRY_MS, WAIT_IGNORE_STOP, err) != 0)
			return -1;
	}
	return 0;
}

/* Runs the first missing part. The version is read again inside the transaction: another process may have been faster.
 */
static int run_part(struct db *db, const char *script, int newest, int *version, struct err *err)
{
	if (check_version(db, newest, version, err) != 0)
		return -1;
	if (*version == newest)
		return 0;
	const char *end = NULL;
	const char *part = find_part(script, *version + 1, &end);
	assert(part != NULL); /* newest_version() saw it */
	AUTO_FREE char *sql = xstrndup(part, (size_t)(end - part));
	if (exec(db, sql, err) != 0)
		return err_ctx(err, "upgrading to version %d", *version + 1);
	char pragma[48];
	snprintf(pragma, sizeof pragma, "PRAGMA user_version=%d", ++*version);
	return exec(db, pragma, err);
}

static int upgrade(struct db *db, const char *script, struct err *err)
{
	int newest = newest_version(script), version = 0;
	if (check_version(db, newest, &version, err) != 0 || use_wal(db, err) != 0)
		return -1;
	while (version < newest) {
		if (db_begin(db, true, err) != 0)
			return -1;
		if (run_part(db, script, newest, &version, err) != 0) {
			db_rollback(db);
			return -1;
		}
		if (db_commit(db, err) != 0)
			return -1;
	}
	return 0;
}

/* Makes the file, so that it never is readable by others. An existing one is not touched: closing a descriptor of it
 * would drop the locks that another connection of this process holds. */
static int create_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST)
		return err_sys(err, ERR_USER, errno, "%s", path);
	if (fd >= 0)
		close(fd);
	return 0;
}

static int set_up(struct db *db, const char *script, struct err *err)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE;
	if (strcmp(db->path, ":memory:") != 0 && create_file(db->path, err) != 0)
		return -1;
	int rc = sqlite3_open_v2(db->path, &db->handle, flags, NULL);
	if (rc != SQLITE_OK)
		return err_set(err, reach_of(rc), rc, "%s: %s", db->path, sqlite3_errstr(rc));
	sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
	/* A mistyped column name in double quotes must be an error, not a text. */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	if (set_full(db, true, err) != 0 || upgrade(db, script, err) != 0 || set_full(db, false, err) != 0)
		return -1;
	/* After the upgrade, which may rebuild tables that others refer to. */
	return exec(db, "PRAGMA foreign_keys=ON", err);
}

struct db *db_open(const char *path, const char *script, struct err *err)
{
	struct db *db = xcalloc(1, sizeof *db);
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&db->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	db->path = xstrdup(path);
	if (set_up(db, script, err) == 0)
		return db;
	db_close(db);
	return NULL;
}

void db_close(struct db *db)
{
	if (db == NULL)
		return;
	db_rollback(db);
	sqlite3_close_v2(db->handle);
	pthread_mutex_destroy(&db->mutex);
	free(db->path);
	free(db);
}

void db_set_busy_timeout(struct db *db, int timeout_ms)
{
	sqlite3_busy_timeout(db->handle, timeout_ms);
}

void db_closep(struct db **db)
{
	db_close(*db);
	*db = NULL;
}
