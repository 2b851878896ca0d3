/* SPDX-License-Identifier: MIT */
/* A whole journal into the store: records in any order, with any values. Lines that begin with '@' get the nonce, so
 * that the fuzzer need not guess it. Whatever comes, the store stays consistent: its offset is that of a whole record,
 * every dump of a step is there and checks, and a new walker can be made from it. */
#include "migrations/walk.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/template.h"

#define NONCE "00112233445566778899aabbccddeeff"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct db *open_store(void)
{
	struct err err = ERR_INIT;
	AUTO_BUF script = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *path = xasprintf("/dev/shm/fuzz_walk.%ld.sqlite", (long)getpid());
	int rc = template_file("store.sql", &script, &err);
	struct db *db = rc == 0 ? db_open(path, script.data, &err) : NULL;
	assert(db);
	for (int i = 0; i < 3; i++) { /* the open descriptors are enough */
		AUTO_FREE char *file = xasprintf("%s%s", path, (const char *[]){"", "-wal", "-shm"}[i]);
		unlink(file);
	}
	return db;
}

static int check_step(const struct step *s, void *ctx)
{
	struct err err = ERR_INIT;
	AUTO_BUF dump = buf_make(STORE_BLOB_MAX);
	if (s->dump[0]) {
		int rc = store_blob_get(ctx, s->dump, &dump, &err);
		assert(rc == 0);
	}
	return 0;
}

static void check_store(const struct walk *w, uint64_t offset)
{
	struct err err = ERR_INIT;
	struct run run;
	char why[512];
	int found = store_run_find(w->db, w->run, &run, &err);
	assert(found == 1 && run.received == offset);
	int steps = store_step_each(w->db, w->run, check_step, w->db, &err);
	assert(steps >= 0);
	CLEANUP(walker_freep) struct walker *again = walker_new(w, &err);
	assert(again);
	int good = walker_verdict(again, why);
	assert(good == (why[0] == '\0'));
	int rc = walker_lost(again, &err);
	assert(rc == 0);
}

static void add_nonces(struct buf *out, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		buf_addc(out, (char)data[i]);
		if (data[i] == '@' && (i == 0 || data[i - 1] == '\n'))
			buf_adds(out, NONCE);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct db *db;
	struct err err = ERR_INIT;
	if (!db)
		db = open_store();
	int rc = db_run(db, &err, "DELETE FROM runs", NULL);
	assert(rc >= 0 && db_run(db, &err, "DELETE FROM blobs", NULL) >= 0);
	struct run run = {.name = "r", .nonce = NONCE, .engine = "sqlite"};
	rc = store_run_add(db, &run, "{}", &err);
	assert(rc == 0 && strcmp(run.id, "r-1") == 0);
	static struct limits *limits;
	json_t *tree = json_pack("{s:s, s:s}", "step", "3s", "loss", "strict");
	limits = limits ? limits : limits_new(tree, "sqlite", 20, &err);
	json_decref(tree);
	assert(limits);
	struct walk walk = {
		.db = db, .engine = "sqlite", .refused = "refused$", .env_failed = "^Import", .limits = limits};
	(void)snprintf(walk.run, sizeof(walk.run), "%s", run.id);
	AUTO_BUF journal = buf_make(BUF_TEXT_MAX);
	add_nonces(&journal, data, size);
	CLEANUP(walker_freep) struct walker *w = walker_new(&walk, &err);
	CLEANUP(journal_freep) struct journal *j = journal_new(NONCE, 0, walker_record, w);
	walker_set_journal(w, j);
	rc = journal_feed(j, journal.data, journal.len, &err);
	assert(rc == 0 || err.reach == ERR_BOX);
	check_store(&walk, journal_offset(j));
	return 0;
}
