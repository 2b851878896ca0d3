/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/owner.h"
#include "base/template.h"
#include "cloud/ledger.h"

static struct db *db;
static char dir[] = "/tmp/stepbox-ledger-XXXXXX";
static const struct key key = {.public_line = "ssh-ed25519 AAAA test"};

static void must(int rc, const struct err *err)
{
	if (rc < 0)
		fail_msg("%s", err->msg);
}

static struct db *open_store(void)
{
	struct err err = ERR_INIT;
	AUTO_BUF script = buf_make(BUF_TEXT_MAX);
	must(template_file("store.sql", &script, &err), &err);
	AUTO_FREE char *path = xasprintf("%s/store.db", dir);
	struct db *d = db_open(path, script.data, &err);
	must(d ? 0 : -1, &err);
	return d;
}

static int want(const char *name, struct err *err)
{
	struct box box = {.run = "run-1",
			  .cloud = "local",
			  .image = "debian-12",
			  .user = "root",
			  .key_path = "/k",
			  .created = clock_wall(),
			  .expires = 2000000000};
	snprintf(box.name, sizeof(box.name), "%s", name);
	snprintf(box.host_key, sizeof(box.host_key), "%s", key.public_line);
	return ledger_want(db, &box, err);
}

static const char *state_of(const char *name)
{
	static struct box box;
	struct err err = ERR_INIT;
	int found = ledger_find(db, name, &box, &err);
	must(found, &err);
	return found ? box.state : "none";
}

static int setup(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	if (db_run(db, &err, "DELETE FROM boxes", "") < 0)
		return -1;
	return 0;
}

/* ---- tests ---- */

static void test_life(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct box box;
	must(want("a", &err), &err);
	assert_string_equal(state_of("a"), "wanted");
	must(ledger_created(db, "a", "id-1", &err), &err);
	must(ledger_active(db, "a", "127.0.0.1", 2222, &err), &err);
	assert_int_equal(ledger_find(db, "a", &box, &err), 1);
	assert_string_equal(box.state, "active");
	assert_string_equal(box.id, "id-1");
	assert_string_equal(box.address, "127.0.0.1");
	assert_int_equal(box.port, 2222);
	assert_string_equal(box.user, "root");
	assert_string_equal(box.host_key, key.public_line);
	assert_int_equal(box.expires, 2000000000);
	must(ledger_expires(db, "a", 2000000001, &err), &err);
	must(ledger_state(db, "a", BOX_DELETING, &err), &err);
	must(ledger_state(db, "a", BOX_GONE, &err), &err);
	assert_string_equal(state_of("a"), "gone");
	assert_int_equal(ledger_known(db, "a", NULL, &err), 0);
}

/* Every change that the table of states does not have is refused and changes nothing. */
static void test_forbidden(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	must(want("a", &err), &err);
	assert_int_equal(ledger_state(db, "a", BOX_GONE, &err), -1);
	assert_int_equal(ledger_active(db, "a", "::1", 1, &err), -1);
	assert_int_equal(want("a", &err), -1);
	assert_string_equal(err.msg, "box a exists already");
	assert_int_equal(err.reach, ERR_USER);
	assert_string_equal(state_of("a"), "wanted");
	must(ledger_state(db, "a", BOX_DELETING, &err), &err);
	assert_int_equal(ledger_created(db, "a", "x", &err), -1);
	assert_int_equal(ledger_active(db, "a", "::1", 1, &err), -1);
	assert_int_equal(ledger_adopt(db, "a", &err), -1);
	must(ledger_state(db, "a", BOX_DELETING, &err), &err); /* again is fine */
	must(ledger_state(db, "a", BOX_GONE, &err), &err);
	assert_int_equal(ledger_state(db, "a", BOX_DELETING, &err), -1);
	must(ledger_state(db, "a", BOX_GONE, &err), &err);
	assert_int_equal(ledger_created(db, "nobody", "x", &err), -1);
	assert_int_equal(ledger_release(db, "nobody", true, &err), -1);
}

static void test_name_again(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct box box;
	must(want("a", &err), &err);
	must(ledger_created(db, "a", "old", &err), &err);
	must(ledger_release(db, "a", true, &err), &err);
	must(ledger_state(db, "a", BOX_DELETING, &err), &err);
	must(ledger_state(db, "a", BOX_GONE, &err), &err);
	must(want("a", &err), &err);
	assert_int_equal(ledger_find(db, "a", &box, &err), 1);
	assert_string_equal(box.state, "wanted");
	assert_string_equal(box.id, "");
}

static void test_prefix(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct box box;
	must(want("nova-a", &err), &err);
	must(want("nova-b", &err), &err);
	must(want("nova", &err), &err);
	must(want("x%y", &err), &err);
	assert_int_equal(ledger_find(db, "nova", &box, &err), 1);
	assert_string_equal(box.name, "nova");
	assert_int_equal(ledger_find(db, "nova-", &box, &err), -1);
	assert_string_equal(err.msg, "box nova-: which one? nova-a, nova-b");
	assert_int_equal(ledger_find(db, "nova-b", &box, &err), 1);
	assert_int_equal(ledger_find(db, "x", &box, &err), 1);
	assert_int_equal(ledger_find(db, "%", &box, &err), 0);
	assert_int_equal(ledger_find(db, "", &box, &err), 0);
	must(ledger_state(db, "nova-a", BOX_DELETING, &err), &err);
	must(ledger_state(db, "nova-a", BOX_GONE, &err), &err);
	assert_int_equal(ledger_find(db, "nova-", &box, &err), 1);
	assert_string_equal(box.name, "nova-b");
	assert_int_equal(ledger_find(db, "nova-a", &box, &err), 1); /* by its whole name */
	assert_int_equal(ledger_known(db, "nova-", NULL, &err), 0);
	assert_int_equal(ledger_known(db, "nova-b", NULL, &err), 1);
}

static int take_row(const struct ledger_row *row, void *ctx)
{
	*(struct ledger_row *)ctx = *row;
	struct err err = ERR_INIT;
	struct box box;
	assert_int_equal(ledger_find(db, row->box.name, &box, &err), 1); /* the database may be used in here */
	return 0;
}

static void test_owner(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct ledger_row row;
	must(want("a", &err), &err);
	assert_int_equal(ledger_each(db, false, take_row, &row, &err), 1);
	assert_true(row.owned);
	assert_false(row.kept);
	assert_int_equal(row.owner_pid, getpid());
	must(ledger_release(db, "a", true, &err), &err);
	assert_int_equal(ledger_each(db, false, take_row, &row, &err), 1);
	assert_false(row.owned);
	assert_true(row.kept);
	must(ledger_adopt(db, "a", &err), &err);
	assert_int_equal(ledger_each(db, false, take_row, &row, &err), 1);
	assert_true(row.owned);
	/* The same pid, started at another time, is somebody else. */
	assert_int_equal(db_run(db, &err, "UPDATE boxes SET owner_start = owner_start + 1", ""), 1);
	assert_int_equal(ledger_each(db, false, take_row, &row, &err), 1);
	assert_false(row.owned);
}

static void test_owner_dies(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct ledger_row row;
	pid_t pid = fork();
	if (pid == 0) {
		db = open_store();
		_exit(want("child", &err) < 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(ledger_each(db, false, take_row, &row, &err), 1);
	assert_string_equal(row.box.name, "child");
	assert_int_equal(row.owner_pid, pid);
	assert_false(row.owned);
}

/* Only one of two collectors gets a row, and none gets one that was adopted since. */
static void test_claim(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct ledger_row row;
	must(want("a", &err), &err);
	must(ledger_release(db, "a", true, &err), &err);
	assert_int_equal(ledger_each(db, false, take_row, &row, &err), 1);
	must(ledger_adopt(db, "a", &err), &err);
	assert_int_equal(ledger_claim(db, &row, &err), 0);
	assert_string_equal(state_of("a"), "wanted");
	must(ledger_release(db, "a", true, &err), &err);
	assert_int_equal(ledger_claim(db, &row, &err), 1);
	assert_string_equal(state_of("a"), "deleting");
	assert_int_equal(ledger_claim(db, &row, &err), 0);
}

static void test_each(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct ledger_row row;
	assert_int_equal(ledger_each(db, true, take_row, &row, &err), 0);
	must(want("a", &err), &err);
	must(want("b", &err), &err);
	must(ledger_state(db, "b", BOX_DELETING, &err), &err);
	must(ledger_state(db, "b", BOX_GONE, &err), &err);
	assert_int_equal(ledger_each(db, false, take_row, &row, &err), 1);
	assert_string_equal(row.box.name, "a");
	assert_int_equal(ledger_each(db, true, take_row, &row, &err), 2);
	assert_string_equal(row.box.name, "b");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_life, setup),       cmocka_unit_test_setup(test_forbidden, setup),
		cmocka_unit_test_setup(test_name_again, setup), cmocka_unit_test_setup(test_prefix, setup),
		cmocka_unit_test_setup(test_owner, setup),      cmocka_unit_test_setup(test_owner_dies, setup),
		cmocka_unit_test_setup(test_claim, setup),      cmocka_unit_test_setup(test_each, setup),
	};
	struct err err = ERR_INIT;
	if (!mkdtemp(dir))
		return 1;
	db = open_store();
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	db_close(db);
	if (fs_remove_tree(dir, &err) < 0)
		(void)fprintf(stderr, "%s\n", err.msg);
	return rc;
}
