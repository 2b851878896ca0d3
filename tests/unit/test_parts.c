/* SPDX-License-Identifier: MIT */
/* The rows of what boxes need besides their server, and what the ledger says of clouds and identities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/template.h"
#include "cloud/ledger.h"
#include "cloud/parts.h"

static char dir[] = "/tmp/stepbox-parts-XXXXXX";
static struct db *db;

static void must(int rc, const struct err *err)
{
	if (rc < 0)
		fail_msg("%s", err->msg);
}

static struct box want_box(const char *name)
{
	struct err err = ERR_INIT;
	struct box box = {
		.cloud = "sky", .account = "http://sky p1 R", .run = "r", .created = 1, .expires = 2000000000};
	snprintf(box.name, sizeof(box.name), "%s", name);
	must(ledger_want(db, &box, &err), &err);
	return box;
}

static int set_up(void **state)
{
	struct err err = ERR_INIT;
	AUTO_BUF script = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *path = xasprintf("%s/store.db", dir);
	(void)state;
	unlink(path);
	must(template_file("store.sql", &script, &err), &err);
	db = db_open(path, script.data, &err);
	must(db ? 0 : -1, &err);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	db_close(db);
	return 0;
}

static void test_a_life(void **state)
{
	struct err err = ERR_INIT;
	struct part p, found[PARTS_MAX];
	(void)state;
	struct box box = want_box("a");
	must(part_want(db, PART_FLOATING_IP, "stepbox-a", &box, &p, &err), &err);
	assert_int_equal(parts_of(db, "a", NULL, found, &err), 1);
	assert_string_equal(found[0].state, "wanted");
	assert_string_equal(found[0].account, "http://sky p1 R");
	assert_int_equal(part_known(db, PART_FLOATING_IP, "x", "stepbox-a", &err), 1); /* by name, no id yet */
	must(part_created(db, &p, "id-1", &err), &err);
	assert_int_equal(part_known(db, PART_FLOATING_IP, "x", "stepbox-a", &err), 0);
	assert_int_equal(part_known(db, PART_FLOATING_IP, "id-1", "", &err), 1);
	assert_int_equal(part_known(db, PART_VOLUME, "id-1", "", &err), 0);
	assert_int_equal(parts_of(db, "a", PART_VOLUME, found, &err), 0);
	assert_int_equal(part_release(db, &p, "a", &err), 1);
	/* Killed here: gc finds it by the box again, and it is still its to end. */
	assert_int_equal(parts_of(db, "a", NULL, found, &err), 1);
	assert_string_equal(found[0].state, "deleting");
	assert_int_equal(part_release(db, &found[0], "a", &err), 1);
	must(part_gone(db, &p, &err), &err);
	assert_int_equal(parts_of(db, "a", NULL, found, &err), 0);
	assert_int_equal(part_known(db, PART_FLOATING_IP, "id-1", "", &err), 0);
}

static void test_the_last_one_ends_it(void **state)
{
	struct err err = ERR_INIT;
	struct part p, found[PARTS_MAX];
	(void)state;
	struct box a = want_box("a");
	want_box("b");
	must(part_want(db, PART_SECURITY_GROUP, "stepbox-a", &a, &p, &err), &err);
	assert_int_equal(part_use(db, &p, "b", &err), 0); /* not there yet */
	must(part_created(db, &p, "g", &err), &err);
	assert_int_equal(part_use(db, &p, "b", &err), 1);
	assert_int_equal(part_release(db, &p, "a", &err), 0);
	assert_int_equal(parts_of(db, "a", NULL, found, &err), 0);
	assert_int_equal(part_release(db, &p, "b", &err), 1);
	want_box("c");
	assert_int_equal(part_use(db, &p, "c", &err), 0); /* on its way out */
	must(part_gone(db, &p, &err), &err);
	assert_int_equal(part_created(db, &p, "again", &err), -1);
}

static void test_identity(void **state)
{
	struct err err = ERR_INIT;
	char one[32], two[32], clouds[4][BOX_NAME_MAX];
	(void)state;
	must(ledger_store_id(db, one, &err), &err);
	must(ledger_store_id(db, two, &err), &err);
	assert_int_equal(strlen(one), 16);
	assert_string_equal(one, two);
	assert_int_equal(ledger_clouds(db, clouds, 4, &err), 0);
	want_box("a");
	want_box("b");
	assert_int_equal(ledger_clouds(db, clouds, 4, &err), 1);
	assert_string_equal(clouds[0], "sky");
	must(ledger_state(db, "a", BOX_DELETING, &err), &err);
	must(ledger_state(db, "a", BOX_GONE, &err), &err);
	assert_int_equal(ledger_clouds(db, clouds, 4, &err), 1); /* gone just now */
}

static void test_asked(void **state)
{
	struct err err = ERR_INIT;
	struct box box;
	(void)state;
	want_box("a");
	assert_int_equal(ledger_find(db, "a", &box, &err), 1);
	assert_int_equal(box.asked, 0);
	must(ledger_asked(db, "a", &err), &err);
	assert_int_equal(ledger_find(db, "a", &box, &err), 1);
	assert_true(box.asked > 0);
	must(ledger_refused(db, "a", &err), &err);
	assert_int_equal(ledger_find(db, "a", &box, &err), 1);
	assert_int_equal(box.asked, 0);
	must(ledger_created(db, "a", "id-1", &err), &err);
	assert_int_equal(ledger_asked(db, "a", &err), -1);
	assert_int_equal(ledger_known(db, "a", "id-1", &err), 1);
	assert_int_equal(ledger_known(db, "a", "id-2", &err), 0); /* a twin */
	assert_int_equal(ledger_known(db, "a", NULL, &err), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_life, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_last_one_ends_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_identity, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_asked, set_up, tear_down),
	};
	struct err err = ERR_INIT;
	if (!mkdtemp(dir))
		return 1;
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	must(fs_remove_tree(dir, &err), &err);
	return rc;
}
