/* SPDX-License-Identifier: MIT */
/* The real templates/runner.sh, under dash and bash, with plans of provision/plan.c for a small SQL tool on a real
 * sqlite3; its journal is read by provision/journal.c in pieces of random length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <assert.h>
#include <cmocka.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/template.h"
#include "base/wait.h"
#include "provision/journal.h"
#include "provision/plan.h"

#define NONCE       "0123456789abcdef0123456789abcdef"
#define MAX_RECORDS 4096

struct record {
	char *head;    /* "kind k=v k=v" without len= */
	char *payload; /* len bytes and NUL */
	size_t len;
};

struct world {
	char root[64]; /* temporary */
	char *dir;     /* of the run */
	char *src;     /* the checkout */
	char nap[24];  /* what our `sleep $NAP.1` have among their arguments, and nobody else */
	struct plan *plan;
	struct record records[MAX_RECORDS];
	size_t n;
	bool done;
	int runs;
};

static const char *const dash[] = {"dash", NULL};
static const char *const bash[] = {"bash", "--posix", NULL};
static const char *const *shell; /* the one under test in this process */

/* --- files and processes --- */

static void write_file(const struct world *w, const char *name, const char *text)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = xasprintf("%s/%s", w->src, name);
	if (fs_write(path, text, strlen(text), 0644, &err) != 0)
		fail_msg("%s", err.msg);
}

static bool has_file(const struct world *w, const char *name)
{
	AUTO_FREE char *path = xasprintf("%s/%s", w->src, name);
	return fs_exists(path);
}

static void read_path(const char *path, struct buf *out)
{
	struct err err = ERR_INIT;
	if (fs_read(path, out->max, out, &err) != 0)
		fail_msg("%s", err.msg);
}

static void sleep_ms(int64_t ms)
{
	struct err err = ERR_INIT;
	assert_int_equal(wait_ms(ms, WAIT_IGNORE_STOP, &err), 0);
}

static pid_t read_pid(const char *dir, const char *name)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	AUTO_BUF text = buf_make(100);
	struct err err = ERR_INIT;
	if (!fs_exists(path) || fs_read(path, 99, &text, &err) != 0)
		return 0;
	return (pid_t)strtol(text.data, NULL, 10);
}

/* Is there a process that has this word among its arguments, zombies aside? */
static bool is_running(const char *word)
{
	bool found = false;
	DIR *proc = opendir("/proc");
	assert_non_null(proc);
	for (const struct dirent *e; !found && (e = readdir(proc));) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		char path[300], text[8192];
		snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
		if (fd >= 0)
			close(fd);
		found = n > 0 && memmem(text, (size_t)n, word, strlen(word));
	}
	closedir(proc);
	return found;
}

static bool is_gone_within(const char *word, int64_t ms)
{
	for (mono_ms end = clock_deadline(ms); is_running(word);) {
		if (clock_mono() > end)
			return false;
		sleep_ms(20);
	}
	return true;
}

/* --- the world of one test --- */

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	snprintf(w->root, sizeof(w->root), "/tmp/stepbox-test-XXXXXX");
	assert_non_null(mkdtemp(w->root));
	w->dir = xasprintf("%s/box/r1", w->root);
	w->src = xasprintf("%s/src", w->root);
	AUTO_FREE char *mig = xasprintf("%s/mig", w->src);
	struct err err = ERR_INIT;
	assert_int_equal(fs_mkdirs(mig, 0755, &err), 0);
	w->plan = plan_new("r1");
	AUTO_FREE char *db = xasprintf("%s/db", w->src);
	plan_env(w->plan, "DB", db);
	snprintf(w->nap, sizeof(w->nap), "9%d", (int)getpid());
	plan_env(w->plan, "NAP", w->nap);
	w->nap[strlen(w->nap)] = '.'; /* the rest is zeros */
	*state = w;
	return 0;
}

static void forget_records(struct world *w)
{
	for (size_t i = 0; i < w->n; i++) {
		free(w->records[i].head);
		free(w->records[i].payload);
	}
	w->n = 0;
	w->done = false;
}

static int teardown(void **state)
{
	struct world *w = *state;
	struct err err = ERR_INIT;
	/* Nothing of a run stays: its processes all have the run's directory among their arguments or are `sleep`. */
	bool clean = is_gone_within(w->root, 3000);
	AUTO_FREE char *memory = xasprintf("/dev/shm/stepbox-r1-%d", (int)read_pid(w->dir, "pid"));
	clean = clean && !fs_exists(memory);
	assert_int_equal(fs_remove_tree(w->root, &err), 0);
	forget_records(w);
	plan_free(w->plan);
	free(w->dir);
	free(w->src);
	free(w);
	return clean ? 0 : -1;
}

/* A tool that keeps its versions in a table; NNN.sql goes up, NNN.down down, NNN.sh is what a test wants to happen. */
#define LIST "ls mig | sed -n 's/^\\([a-z0-9]*\\)[.]sql$/\\1/p'"
#define UP                                                                                                             \
	"sqlite3 \"$DB\" 'CREATE TABLE IF NOT EXISTS ver (v TEXT)'\n"                                                  \
	"while read -r v; do\n"                                                                                        \
	"	if [ -z \"$(sqlite3 \"$DB\" \"SELECT 1 FROM ver WHERE v = '$v'\")\" ]; then\n"                               \
	"		[ ! -e mig/$v.sh ] || . ./mig/$v.sh\n"                                                                      \
	"		sqlite3 -bail \"$DB\" <mig/$v.sql\n"                                                                        \
	"		sqlite3 \"$DB\" \"INSERT INTO ver VALUES ('$v')\"\n"                                                        \
	"	fi\n"                                                                                                        \
	"	[ \"$v\" != \"$VERSION\" ] || break\n"                                                                       \
	"done <\"$LIST\"\n"
#define DOWN                                                                                                           \
	"sqlite3 -bail \"$DB\" <mig/$VERSION.down\n"                                                                   \
	"sqlite3 \"$DB\" \"DELETE FROM ver WHERE v = '$VERSION'\"\n"
#define CURRENT "[ ! -e \"$DB\" ] || sqlite3 \"$DB\" \"SELECT v FROM ver ORDER BY v DESC LIMIT 1\"\n"
#define LOOK                                                                                                           \
	": >$LOOK/dump\n: >$LOOK/counts\n: >$LOOK/versions\n"                                                          \
	"[ ! -e mig/look.sh ] || . ./mig/look.sh\n"                                                                    \
	"[ -e \"$DB\" ] || exit 0\n"                                                                                   \
	"sqlite3 \"$DB\" \"SELECT sql || ';' FROM sqlite_master WHERE name <> 'ver' ORDER BY name\" >$LOOK/dump\n"     \
	"for t in $(sqlite3 \"$DB\" \"SELECT name FROM sqlite_master WHERE name LIKE 't%'\"); do\n"                    \
	"	sqlite3 \"$DB\" \"SELECT '$t' || char(9) || count(*) FROM $t\"\n"                                            \
	"done >$LOOK/counts\n"

static struct plan_walk tool(const struct world *w, const char *from, const char *to)
{
	return (struct plan_walk){
		.tool = "little-sql",
		.engine = "sqlite",
		.dir = w->src,
		.list = LIST,
		.up = UP,
		.down = DOWN,
		.current = CURRENT,
		.look = LOOK,
		.from = from,
		.to = to,
		.timeout_s = 30,
	};
}

static void walk(struct world *w, const char *from, const char *to)
{
	struct plan_walk t = tool(w, from, to);
	plan_set_walk(w->plan, &t);
}

/* Four versions: a table, a column, nothing for the schema, a second table. */
static void four_versions(const struct world *w)
{
	write_file(w, "mig/001.sql", "CREATE TABLE t1 (a int);");
	write_file(w, "mig/001.down", "DROP TABLE t1;");
	write_file(w, "mig/002.sql", "ALTER TABLE t1 ADD COLUMN b text;");
	write_file(w, "mig/002.down", "ALTER TABLE t1 DROP COLUMN b;");
	write_file(w, "mig/003.sql", "INSERT INTO t1 (a) VALUES (1), (2);");
	write_file(w, "mig/003.down", "DELETE FROM t1;");
	write_file(w, "mig/004.sql", "CREATE TABLE t2 (c int); INSERT INTO t2 VALUES (1);");
	write_file(w, "mig/004.down", "DROP TABLE t2;");
}

/* --- running --- */

/* Puts runner and plan where the bootstrap would. */
static void install_run(struct world *w)
{
	struct err err = ERR_INIT;
	AUTO_BUF runner = buf_make(BUF_TEXT_MAX);
	AUTO_BUF plan = buf_make(BUF_TEXT_MAX);
	if (w->runs++ > 0) {
		free(w->dir);
		w->dir = xasprintf("%s/box/r%d", w->root, w->runs);
	}
	assert_int_equal(fs_mkdirs(w->dir, 0700, &err), 0);
	AUTO_FREE char *runner_path = xasprintf("%s/runner.sh", w->dir);
	AUTO_FREE char *plan_path = xasprintf("%s/plan", w->dir);
	assert_int_equal(template_file("runner.sh", &runner, &err), 0);
	assert_int_equal(fs_write(runner_path, runner.data, runner.len, 0600, &err), 0);
	plan_script(w->plan, &plan);
	assert_false(plan.overflow);
	assert_int_equal(fs_write(plan_path, plan.data, plan.len, 0600, &err), 0);
}

/* Runs it; `before` is shell text in front of the runner. Returns its exit code. */
static int launch(struct world *w, const char *before)
{
	AUTO_BUF cmd = buf_make(BUF_TEXT_MAX);
	buf_addf(&cmd, "%s ", before);
	for (const char *const *s = shell; *s; s++)
		buf_addf(&cmd, "%s ", *s);
	buf_addf(&cmd, "%s/runner.sh %s " NONCE " r1", w->dir, w->dir);
	const char *argv[] = {"sh", "-c", cmd.data, NULL};
	struct err err = ERR_INIT;
	struct proc_opts opts = {.inherit_stderr = true, .deadline = clock_deadline(100000)};
	int rc = proc_run(argv, &opts, &err);
	if (rc < 0)
		fail_msg("%s", err.msg);
	return rc;
}

static int keep(void *ctx, const struct journal_record *r, struct err *err)
{
	struct world *w = ctx;
	(void)err;
	assert_true(w->n < MAX_RECORDS);
	AUTO_BUF head = buf_make(2000);
	buf_adds(&head, r->kind);
	for (size_t i = 0; i < r->n_keys; i++)
		if (strcmp(r->keys[i].key, "len") != 0)
			buf_addf(&head, " %s=%s", r->keys[i].key, r->keys[i].value);
	w->records[w->n++] = (struct record){buf_take(&head), xmemdup(r->payload, r->len), r->len};
	return 0;
}

/* Reads the journal as it is now. */
static void read_journal(struct world *w)
{
	AUTO_FREE char *path = xasprintf("%s/journal", w->dir);
	AUTO_BUF text = buf_make((size_t)256 << 20);
	read_path(path, &text);
	forget_records(w);
	CLEANUP(journal_freep) struct journal *j = journal_new(NONCE, 0, keep, w);
	for (size_t at = 0, piece; at < text.len; at += piece) {
		unsigned char r[2];
		random_bytes(r, sizeof(r));
		piece = r[0] < 100 ? 1 + r[1] % 7u : 1 + r[1] * 400u;
		if (piece > text.len - at)
			piece = text.len - at;
		struct err err = ERR_INIT;
		if (journal_feed(j, text.data + at, piece, &err) != 0)
			fail_msg("%s", err.msg);
	}
	w->done = journal_is_done(j);
}

static int run(struct world *w)
{
	install_run(w);
	int rc = launch(w, "");
	read_journal(w);
	return rc;
}

/* Starts the runner detached, as the bootstrap does. */
static pid_t start(struct world *w)
{
	install_run(w);
	AUTO_BUF cmd = buf_make(BUF_TEXT_MAX);
	buf_adds(&cmd, "setsid ");
	for (const char *const *s = shell; *s; s++)
		buf_addf(&cmd, "%s ", *s);
	buf_addf(&cmd, "%s/runner.sh %s " NONCE " r1 </dev/null >/dev/null 2>&1 &", w->dir, w->dir);
	const char *argv[] = {"sh", "-c", cmd.data, NULL};
	struct err err = ERR_INIT;
	assert_int_equal(proc_run(argv, &(struct proc_opts){.inherit_stderr = true}, &err), 0);
	pid_t pid = 0;
	for (mono_ms end = clock_deadline(5000); pid == 0 && clock_mono() < end; sleep_ms(10))
		pid = read_pid(w->dir, "pid");
	assert_true(pid > 0);
	return pid;
}

static bool is_done_within(struct world *w, int64_t ms)
{
	for (mono_ms end = clock_deadline(ms); clock_mono() < end; sleep_ms(50)) {
		read_journal(w);
		if (w->done)
			return true;
	}
	return false;
}

/* --- looking at the records --- */

/* The first record whose head begins like this. */
static const struct record *find(const struct world *w, const char *head)
{
	for (size_t i = 0; i < w->n; i++)
		if (strncmp(w->records[i].head, head, strlen(head)) == 0)
			return &w->records[i];
	return NULL;
}

static void show(const struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		print_message("  %s%s%.200s\n", w->records[i].head, w->records[i].len ? " | " : "",
			      w->records[i].payload);
	AUTO_FREE char *path = xasprintf("%s/log", w->dir);
	AUTO_BUF log = buf_make(100000);
	if (fs_exists(path))
		read_path(path, &log);
	print_message("log: %s\n", log.data);
}

static const char *payload(const struct world *w, const char *head)
{
	const struct record *r = find(w, head);
	if (!r) {
		show(w);
		fail_msg("no record: %s", head);
	}
	return r ? r->payload : "";
}

static void expect(const struct world *w, const char *head)
{
	payload(w, head);
}

/* Heads of all records but out, hello and those of time: one a line, `ms=` and what is behind `sha256=` left out. */
static void story(const struct world *w, struct buf *out)
{
	for (size_t i = 0; i < w->n; i++) {
		const char *h = w->records[i].head;
		if (strncmp(h, "hello", 5) == 0 || strncmp(h, "out", 3) == 0)
			continue;
		const char *ms = strstr(h, " ms="), *sha = strstr(h, " sha256=");
		if (sha)
			buf_add(out, h, (size_t)(sha - h));
		else if (ms) {
			buf_add(out, h, (size_t)(ms - h));
			buf_adds(out, ms + 1 + strcspn(ms + 1, " "));
		} else
			buf_adds(out, h);
		buf_addc(out, '\n');
	}
}

static void expect_story(const struct world *w, const char *want)
{
	AUTO_BUF got = buf_make(BUF_TEXT_MAX);
	story(w, &got);
	if (strcmp(got.data, want) != 0)
		show(w);
	assert_string_equal(got.data, want);
}

static void collect(const struct world *w, const char *head, struct buf *out)
{
	for (size_t i = 0; i < w->n; i++)
		if (strncmp(w->records[i].head, head, strlen(head)) == 0)
			buf_add(out, w->records[i].payload, w->records[i].len);
}

/* `diff -n` applied: "dLINE COUNT" and "aLINE COUNT" with lines; line numbers are those of the base. */
static void apply(const struct buf *base, const char *delta, size_t len, struct buf *out)
{
	const char *b = base->data, *b_end = base->data + base->len, *end = delta + len;
	long line = 1;
	while (delta < end) {
		char op = *delta++, *next;
		long at = strtol(delta, &next, 10), count = strtol(next, &next, 10);
		delta = next + 1;
		for (; line < at + (op == 'a'); line++) {
			const char *lf = memchr(b, '\n', (size_t)(b_end - b));
			const char *to = lf ? lf + 1 : b_end;
			buf_add(out, b, (size_t)(to - b));
			b = to;
		}
		for (; count > 0; count--) {
			const char **p = op == 'a' ? &delta : &b, *stop = op == 'a' ? end : b_end;
			const char *lf = memchr(*p, '\n', (size_t)(stop - *p));
			const char *to = lf ? lf + 1 : stop;
			if (op == 'a')
				buf_add(out, *p, (size_t)(to - *p));
			else
				line++;
			*p = to;
		}
	}
	buf_add(out, b, (size_t)(b_end - b));
}

/* Puts every dump (or model) together as the client does and checks length, hash and what the runner keeps. Returns how
 * many of each form there were. */
static void check_texts(const struct world *w, const char *kind, int *full, int *delta, int *same)
{
	AUTO_FREE char *begin = xasprintf("%s ", kind);
	AUTO_BUF dump = buf_make(JOURNAL_MAX_PAYLOAD);
	*full = *delta = *same = 0;
	for (size_t i = 0; i < w->n; i++) {
		const struct record *r = &w->records[i];
		if (strncmp(r->head, begin, strlen(begin)) != 0)
			continue;
		if (strstr(r->head, "form=full")) {
			++*full;
			buf_reset(&dump);
			buf_add(&dump, r->payload, r->len);
		} else if (strstr(r->head, "form=delta")) {
			++*delta;
			AUTO_BUF next = buf_make(JOURNAL_MAX_PAYLOAD);
			apply(&dump, r->payload, r->len, &next);
			buf_reset(&dump);
			buf_add(&dump, next.data, next.len);
		} else
			++*same;
		char sha[SHA256_HEX];
		sha256_hex(dump.data, dump.len, sha);
		AUTO_FREE char *want = xasprintf("sha256=%s size=%zu", sha, dump.len);
		assert_non_null(strstr(r->head, want));
		AUTO_FREE char *path = xasprintf("%s/dumps/%s", w->dir, sha);
		AUTO_BUF kept = buf_make(JOURNAL_MAX_PAYLOAD);
		read_path(path, &kept);
		assert_int_equal(kept.len, dump.len);
		assert_memory_equal(kept.data, dump.data, dump.len);
	}
}

/* --- tasks --- */

static void tasks_run_in_order_and_the_first_failure_ends_it(void **state)
{
	struct world *w = *state;
	plan_env(w->plan, "WHO", "it's me");
	plan_env(w->plan, "n", "not the runner's");
	plan_task(w->plan, "setup", "say ‘hello’", w->src, "echo \"$WHO $n\" $#; pwd; umask; cat", 10);
	plan_task(w->plan, "setup", "second", "", "pwd; echo to stderr >&2; (exit 3); echo not here", 10);
	plan_task(w->plan, "setup", "third", "", "echo never", 10);
	assert_int_equal(run(w), 1);
	expect_story(w, "task n=1 kind=setup timeout=10\nend n=1 rc=0 why=exit\n"
			"task n=2 kind=setup timeout=10\nend n=2 rc=3 why=exit\n"
			"done ok=0 why=task\n");
	assert_string_equal(payload(w, "task n=1"), "say ‘hello’");
	AUTO_FREE char *want = xasprintf("it's me not the runner's 0\n%s\n0022\n", w->src);
	assert_string_equal(payload(w, "out task=1"), want);
	assert_string_equal(payload(w, "out task=2"), "/\nto stderr\n");
	assert_non_null(strstr(find(w, "hello")->head, "hello run=r1 pid="));
	AUTO_BUF machine = buf_make(1000);
	if (fs_exists("/etc/machine-id"))
		read_path("/etc/machine-id", &machine);
	if (machine.len <= 1)
		buf_adds(&machine, "-");
	AUTO_FREE char *ids = xasprintf(" machine=%.*s boot=", (int)strcspn(machine.data, "\n"), machine.data);
	assert_non_null(strstr(find(w, "hello")->head, ids));
}

/* In sh and in whatever else the machine has: what a step finds is there, and any exit code is an answer. */
static void questions_are_asked_behind_the_walk(void **state)
{
	struct world *w = *state;
	four_versions(w);
	walk(w, "002", "003");
	plan_task(w->plan, "setup", "first", "", "echo \"${VERSION-none}\"", 10);
	plan_question(w->plan, "how many?", w->src,
		      "echo \"$VERSION $TARGET\"; head -n 1 \"$LIST\"; ls -d \"$STATE\" >&2; exit 4", 10);
	plan_question(w->plan, "again", w->src, "test -s \"$LIST\"", 10);
	assert_int_equal(run(w), 0);
	expect(w, "end n=3 rc=4");
	expect(w, "end n=4 rc=0");
	assert_string_equal(payload(w, "out task=1"), "none\n");
	assert_non_null(strstr(payload(w, "out task=3"), "003 003\n001\n"));
	expect(w, "done ok=1 why=ok");
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	plan_print(w->plan, false, &text);
	assert_true(strstr(text.data, "how many?") > strstr(text.data, "then: walk"));
}

static void a_question_without_an_end_is_no_success(void **state)
{
	struct world *w = *state;
	four_versions(w);
	walk(w, "base", "base");
	plan_question(w->plan, "for ever", w->src, "sleep 100", 1);
	assert_int_equal(run(w), 1);
	expect(w, "done ok=0 why=task");
}

static void a_command_has_the_users_locale(void **state)
{
	struct world *w = *state;
	plan_task(w->plan, "setup", "x", "", "echo ${LC_ALL-none}", 10);
	install_run(w);
	assert_int_equal(launch(w, "LC_ALL=C.UTF-8"), 0);
	read_journal(w);
	assert_string_equal(payload(w, "out task=1"), "C.UTF-8\n");
	install_run(w);
	assert_int_equal(launch(w, "env -u LC_ALL"), 0);
	read_journal(w);
	assert_string_equal(payload(w, "out task=1"), "none\n");
	plan_env(w->plan, "LC_ALL", "POSIX");
	assert_int_equal(run(w), 0);
	assert_string_equal(payload(w, "out task=1"), "POSIX\n");
}

static void files_arrive_byte_for_byte(void **state)
{
	struct world *w = *state;
	unsigned char bytes[150000];
	random_bytes(bytes, sizeof(bytes));
	AUTO_FREE char *path = xasprintf("%s/new dir's/a\n/x.conf", w->src);
	plan_file(w->plan, path, 0640, bytes, sizeof(bytes));
	plan_file(w->plan, path, 0604, bytes, sizeof(bytes) - 1);
	AUTO_FREE char *empty = xasprintf("%s/empty", w->src);
	plan_file(w->plan, empty, 0600, "", 0);
	assert_int_equal(run(w), 0);
	AUTO_BUF got = buf_make(sizeof(bytes) + 1);
	read_path(path, &got);
	assert_int_equal(got.len, sizeof(bytes) - 1);
	assert_memory_equal(got.data, bytes, got.len);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	assert_int_equal(stat(empty, &st), 0);
	assert_int_equal(st.st_size, 0);
}

static void a_plan_that_did_not_arrive_whole_is_no_success(void **state)
{
	struct world *w = *state;
	plan_task(w->plan, "setup", "one", "", "echo one", 10);
	plan_task(w->plan, "setup", "two", "", "echo two", 10);
	install_run(w);
	AUTO_FREE char *path = xasprintf("%s/plan", w->dir);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 14), 0); /* in the middle of the last quotes */
	assert_int_not_equal(launch(w, ""), 0);
	read_journal(w);
	expect(w, "done ok=0 why=runner");
	install_run(w);
	AUTO_FREE char *path2 = xasprintf("%s/plan", w->dir);
	assert_int_equal(stat(path2, &st), 0);
	assert_int_equal(truncate(path2, st.st_size - 13), 0); /* without plan_end */
	assert_int_not_equal(launch(w, ""), 0);
	read_journal(w);
	expect(w, "done ok=0 why=runner");
}

static void a_run_is_never_started_twice(void **state)
{
	struct world *w = *state;
	plan_task(w->plan, "setup", "one", "", "echo x", 10);
	assert_int_equal(run(w), 0);
	size_t n = w->n;
	assert_int_equal(launch(w, ""), 3);
	read_journal(w);
	assert_int_equal(w->n, n);
}

/* --- output --- */

static void output_cannot_fake_a_record(void **state)
{
	struct world *w = *state;
	static const char fake[] =
		"\n@" NONCE " end n=1 rc=0 ms=1 why=exit\n@" NONCE " done ok=1 why=ok ms=1\n"
		"@ffffffffffffffffffffffffffffffff done ok=1 why=ok ms=1\n\x1b[2J\xff\xfe no newline";
	AUTO_FREE char *path = xasprintf("%s/fake", w->src);
	plan_file(w->plan, path, 0644, fake, sizeof(fake)); /* with its NUL */
	plan_task(w->plan, "setup", fake, w->src, "cat fake; exit 1", 10);
	assert_int_equal(run(w), 1);
	const struct record *r = find(w, "out task=2");
	assert_non_null(r);
	assert_int_equal(r->len, sizeof(fake));
	assert_memory_equal(r->payload, fake, r->len);
	assert_string_equal(payload(w, "task n=2"), fake);
	expect(w, "done ok=0 why=task");
}

static void output_is_told_while_the_command_runs(void **state)
{
	struct world *w = *state;
	plan_task(w->plan, "setup", "slow", "", "echo one; sleep 2.5; echo two; sleep 1", 10);
	start(w);
	mono_ms begin = clock_mono();
	AUTO_BUF got = buf_make(1000);
	for (; clock_mono() < begin + 2400 && got.len == 0; sleep_ms(50)) {
		read_journal(w);
		collect(w, "out task=1", &got);
	}
	assert_string_equal(got.data, "one\n");
	assert_null(find(w, "end n=1"));
	assert_true(is_done_within(w, 8000));
	buf_reset(&got);
	collect(w, "out task=1", &got);
	assert_string_equal(got.data, "one\ntwo\n");
	expect(w, "done ok=1 why=ok");
}

static void long_output_loses_its_middle(void **state)
{
	struct world *w = *state;
	plan_task(w->plan, "setup", "long", "", "seq 1 400000", 20);
	plan_task(w->plan, "setup", "just fits", "", "head -c 1310720 /dev/zero", 20);
	plan_task(w->plan, "setup", "one more", "", "head -c 1310721 /dev/zero", 20);
	assert_int_equal(run(w), 0);
	AUTO_BUF got = buf_make(BUF_TEXT_MAX), all = buf_make(BUF_TEXT_MAX);
	for (int i = 1; i <= 400000; i++)
		buf_addf(&all, "%d\n", i);
	collect(w, "out task=1", &got);
	assert_int_equal(got.len, (1024 + 256) << 10);
	assert_memory_equal(got.data, all.data, 1024 << 10);
	assert_memory_equal(got.data + (1024 << 10), all.data + all.len - (256 << 10), 256 << 10);
	AUTO_FREE char *cut = xasprintf("cut task=1 dropped=%zu", all.len - got.len);
	expect(w, cut);
	buf_reset(&got);
	collect(w, "out task=2", &got);
	assert_int_equal(got.len, 1310720);
	assert_null(find(w, "cut task=2"));
	expect(w, "cut task=3 dropped=1");
	for (size_t i = 0; i < w->n; i++)
		assert_true(w->records[i].len <= 65536);
	buf_finish(&got);
	buf_finish(&all);
}

static void endless_output_is_ended(void **state)
{
	struct world *w = *state;
	plan_task(w->plan, "setup", "endless", "", "trap '' TERM; yes 'stepbox endless output'", 60);
	assert_int_equal(run(w), 1);
	expect(w, "cut task=1 dropped=");
	const struct record *end = find(w, "end n=1 ");
	assert_non_null(end);
	assert_non_null(strstr(end->head, "why=limit"));
	assert_true(is_gone_within("stepbox endless output", 1000));
	expect(w, "done ok=0 why=task");
}

static void a_command_may_cut_its_own_output(void **state)
{
	struct world *w = *state;
	plan_task(w->plan, "setup", "tee", "",
		  "seq 1 10000; sleep 1.2; echo first; echo again | tee /dev/stderr; sleep 1.2; echo last", 20);
	assert_int_equal(run(w), 0);
	AUTO_BUF got = buf_make(BUF_TEXT_MAX);
	collect(w, "out task=1", &got);
	assert_non_null(strstr(got.data, "\n10000\n"));
	assert_non_null(strstr(got.data, "again\n"));
	assert_string_equal(got.data + got.len - 5, "last\n");
}

static void a_daemon_left_behind_neither_holds_us_nor_writes_into_later_records(void **state)
{
	struct world *w = *state;
	plan_task(w->plan, "setup", "daemon", w->src,
		  "echo before; (while sleep 0.2; do echo daemon; done) & echo $! >daemon.pid", 10);
	plan_task(w->plan, "setup", "next", "", "sleep 1.5; echo next", 10);
	mono_ms begin = clock_mono();
	assert_int_equal(run(w), 0);
	assert_true(clock_mono() - begin < 4000);
	AUTO_BUF got = buf_make(BUF_TEXT_MAX);
	collect(w, "out task=2", &got);
	assert_string_equal(got.data, "next\n");
	/* It is left alone: it may be the database. */
	pid_t pid = read_pid(w->src, "daemon.pid");
	assert_int_equal(kill(pid, SIGKILL), 0);
}

/* --- time and signals --- */

static void a_timeout_ends_the_whole_group(void **state)
{
	struct world *w = *state;
	plan_task(w->plan, "setup", "grandchildren", "",
		  "(trap '' TERM; sleep $NAP.1; sleep $NAP.2) & sleep $NAP.3 & echo started; sleep $NAP.4", 1);
	mono_ms begin = clock_mono();
	assert_int_equal(run(w), 1);
	assert_true(clock_mono() - begin < 4000);
	const struct record *end = find(w, "end n=1 ");
	assert_non_null(end);
	assert_non_null(strstr(end->head, "why=timeout"));
	assert_string_equal(payload(w, "out task=1"), "started\n");
	assert_true(is_gone_within(w->nap, 1000));
}

static void a_command_that_ignores_its_timeout_is_killed(void **state)
{
	struct world *w = *state;
	plan_task(w->plan, "setup", "stubborn", "", "trap '' TERM; while :; do sleep $NAP.1 || :; done", 1);
	mono_ms begin = clock_mono();
	assert_int_equal(run(w), 1);
	assert_true(clock_mono() - begin < 9000);
	const struct record *end = find(w, "end n=1 ");
	assert_non_null(end);
	assert_non_null(strstr(end->head, "why=timeout"));
	assert_true(is_gone_within(w->nap, 1000));
}

static void an_exit_code_like_a_signals_is_one(void **state)
{
	struct world *w = *state;
	plan_task(w->plan, "setup", "138", "", "sleep 1.5; exit 138", 20);
	assert_int_equal(run(w), 1);
	expect(w, "end n=1 rc=138 ");
	plan_free(w->plan);
	w->plan = plan_new("r1");
	plan_task(w->plan, "setup", "127", "", "sleep 2.5; kill -9 $$", 20);
	assert_int_equal(run(w), 1);
	expect(w, "end n=1 rc=137 ");
	assert_non_null(strstr(find(w, "end n=1")->head, "why=exit"));
}

static void wait_for_step(struct world *w, const char *head)
{
	for (mono_ms end = clock_deadline(10000); clock_mono() < end; sleep_ms(20)) {
		read_journal(w);
		if (find(w, head))
			return;
	}
	show(w);
	fail_msg("no record in time: %s", head);
}

static void a_stop_in_a_step_is_told(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/002.sh", "echo stopping; sleep $NAP.1 & sleep $NAP.2");
	walk(w, "base", "head");
	pid_t pid = start(w);
	wait_for_step(w, "step n=2");
	sleep_ms(300);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_true(is_done_within(w, 3000));
	const struct record *ran = find(w, "ran n=2 ");
	assert_non_null(ran);
	assert_non_null(strstr(ran->head, "why=stop"));
	assert_string_equal(payload(w, "out step=2"), "stopping\n");
	expect(w, "done ok=0 why=stop");
	assert_true(is_gone_within(w->nap, 1000));
}

static void nothing_stays_when_the_runner_is_killed(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/002.sh", "sleep $NAP.1 & sleep $NAP.2");
	walk(w, "base", "head");
	pid_t pid = start(w);
	wait_for_step(w, "step n=2");
	sleep_ms(300);
	assert_true(is_running(w->nap));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(is_gone_within(w->nap, 9000));
	read_journal(w);
	assert_false(w->done);
}

/* --- walking --- */

static void up_from_base_to_head(void **state)
{
	struct world *w = *state;
	four_versions(w);
	walk(w, "base", "head");
	assert_int_equal(run(w), 0);
	expect_story(w,
		     "task n=1 kind=list timeout=30\nend n=1 rc=0 why=exit\nversions n=4\n"
		     "walk from=base to=004 dir=up n=4\n"
		     "step n=0 version=base dir=base\nat n=0\ndump n=0 form=full\ncounts n=0\nstepend n=0 ok=1 why=ok\n"
		     "step n=1 version=001 dir=up\nran n=1 rc=0 why=exit\nat n=1\ndump n=1 form=full\ncounts n=1\n"
		     "stepend n=1 ok=1 why=ok\n"
		     "step n=2 version=002 dir=up\nran n=2 rc=0 why=exit\nat n=2\ndump n=2 form=full\ncounts n=2\n"
		     "stepend n=2 ok=1 why=ok\n"
		     "step n=3 version=003 dir=up\nran n=3 rc=0 why=exit\nat n=3\ndump n=3 form=same\ncounts n=3\n"
		     "stepend n=3 ok=1 why=ok\n"
		     "step n=4 version=004 dir=up\nran n=4 rc=0 why=exit\nat n=4\ndump n=4 form=delta\ncounts n=4\n"
		     "stepend n=4 ok=1 why=ok\n"
		     "done ok=1 why=ok\n");
	assert_string_equal(payload(w, "versions"), "001\n002\n003\n004\n");
	assert_string_equal(payload(w, "at n=0"), "");
	assert_string_equal(payload(w, "at n=4"), "004\n");
	assert_string_equal(payload(w, "dump n=0"), "");
	assert_string_equal(payload(w, "counts n=4"), "t1\t2\nt2\t1\n");
	assert_string_equal(payload(w, "dump n=2"), "CREATE TABLE t1 (a int, b text);\n");
	int full, delta, same;
	check_texts(w, "dump", &full, &delta, &same);
}

static void one_up_one_down_from_where_the_database_is(void **state)
{
	struct world *w = *state;
	four_versions(w);
	walk(w, "base", "002");
	assert_int_equal(run(w), 0);
	walk(w, "current", "+1");
	assert_int_equal(run(w), 0);
	expect_story(w,
		     "task n=1 kind=list timeout=30\nend n=1 rc=0 why=exit\nversions n=4\n"
		     "walk from=002 to=003 dir=up n=1\n"
		     "step n=0 version=002 dir=base\nat n=0\ndump n=0 form=full\ncounts n=0\nstepend n=0 ok=1 why=ok\n"
		     "step n=1 version=003 dir=up\nran n=1 rc=0 why=exit\nat n=1\ndump n=1 form=same\ncounts n=1\n"
		     "stepend n=1 ok=1 why=ok\n"
		     "done ok=1 why=ok\n");
	walk(w, "current", "-2");
	assert_int_equal(run(w), 0);
	expect(w, "walk from=003 to=001 dir=down n=2");
	expect(w, "step n=1 version=003 dir=down");
	expect(w, "step n=2 version=002 dir=down");
	assert_string_equal(payload(w, "at n=2"), "001\n");
	walk(w, "current", "1"); /* as some tools spell it; nothing to do */
	assert_int_equal(run(w), 0);
	expect(w, "walk from=001 to=001 dir=up n=0");
	walk(w, "current", "base");
	assert_int_equal(run(w), 0);
	expect(w, "walk from=001 to=base dir=down n=1");
	assert_string_equal(payload(w, "at n=1"), "");
	walk(w, "current", "+9");
	assert_int_equal(run(w), 1);
	assert_non_null(
		strstr(payload(w, "out task=2"), "to: +9 from version base leads beyond the list of 4 versions"));
	expect(w, "done ok=0 why=version");
}

static void down_from_a_version_in_the_middle(void **state)
{
	struct world *w = *state;
	four_versions(w);
	walk(w, "003", "base");
	assert_int_equal(run(w), 0);
	expect_story(w, "task n=1 kind=list timeout=30\nend n=1 rc=0 why=exit\nversions n=4\n"
			"walk from=003 to=base dir=down n=3\n"
			"step n=0 version=003 dir=base\nran n=0 rc=0 why=exit\nat n=0\ndump n=0 form=full\ncounts n=0\n"
			"stepend n=0 ok=1 why=ok\n"
			"step n=1 version=003 dir=down\nran n=1 rc=0 why=exit\nat n=1\ndump n=1 form=same\ncounts n=1\n"
			"stepend n=1 ok=1 why=ok\n"
			"step n=2 version=002 dir=down\nran n=2 rc=0 why=exit\nat n=2\ndump n=2 form=full\ncounts n=2\n"
			"stepend n=2 ok=1 why=ok\n"
			"step n=3 version=001 dir=down\nran n=3 rc=0 why=exit\nat n=3\ndump n=3 form=full\ncounts n=3\n"
			"stepend n=3 ok=1 why=ok\n"
			"done ok=1 why=ok\n");
	assert_string_equal(payload(w, "at n=1"), "002\n");
	assert_string_equal(payload(w, "counts n=0"), "t1\t2\n");
	assert_string_equal(payload(w, "counts n=1"), "t1\t0\n");
}

static void no_way_down(void **state)
{
	struct world *w = *state;
	four_versions(w);
	struct plan_walk t = tool(w, "003", "001");
	t.down = NULL;
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	expect(w, "done ok=0 why=no-down");
	assert_non_null(strstr(payload(w, "out task=2"), "little-sql cannot go down"));
	assert_false(has_file(w, "db"));
}

static void a_step_that_does_not_work_is_looked_at(void **state)
{
	struct world *w = *state;
	four_versions(w);
	/* The half of it is done: what MySQL leaves behind after a failure. */
	write_file(w, "mig/003.sql", "CREATE TABLE t9 (x int);\nINSERT INTO nowhere VALUES (1);");
	walk(w, "base", "head");
	assert_int_equal(run(w), 1);
	expect(w, "ran n=3 rc=1 ");
	assert_non_null(strstr(payload(w, "out step=3"), "no such table: nowhere"));
	assert_string_equal(payload(w, "at n=3"), "002\n");
	int full, delta, same;
	check_texts(w, "dump", &full, &delta, &same);
	assert_null(strstr(find(w, "dump n=3")->head, "form=same"));
	expect(w, "stepend n=3 ok=0 why=rc");
	expect(w, "done ok=0 why=step");
	assert_null(find(w, "step n=4"));
}

static void exit_codes_are_not_believed(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/002.sh", "exit 0");
	walk(w, "base", "head");
	assert_int_equal(run(w), 1);
	expect(w, "ran n=2 rc=0 ");
	expect(w, "stepend n=2 ok=0 why=noop");
	/* Somewhere else than asked for. */
	write_file(w, "mig/002.sh", "sqlite3 \"$DB\" \"INSERT INTO ver VALUES ('003')\"; exit 0");
	walk(w, "current", "002");
	assert_int_equal(run(w), 1);
	expect(w, "stepend n=1 ok=0 why=wrong");
}

static void a_step_has_its_time(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/002.sh", "sqlite3 \"$DB\" 'CREATE TABLE t8 (x int)'; sleep $NAP.1");
	struct plan_walk t = tool(w, "base", "head");
	t.timeout_s = 2;
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	assert_non_null(strstr(find(w, "ran n=2")->head, "why=timeout"));
	expect(w, "stepend n=2 ok=0 why=timeout");
	assert_non_null(strstr(payload(w, "dump n=2"), "t8"));
	assert_true(is_gone_within(w->nap, 500));
}

static void looking_may_not_work(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/look.sh", "[ ! -e \"$DB\" ] || { echo 'database is locked' >&2; exit 5; }");
	walk(w, "base", "head");
	assert_int_equal(run(w), 1);
	assert_string_equal(payload(w, "at n=1"), "001\n");
	assert_string_equal(payload(w, "look n=1 rc=5"), "looking at the database: exit 5\ndatabase is locked");
	expect(w, "stepend n=1 ok=0 why=look");
	/* Neither the version … */
	struct plan_walk t = tool(w, "current", "head");
	t.current = "echo 'no module' >&2; exit 7";
	plan_set_walk(w->plan, &t);
	write_file(w, "mig/look.sh", "");
	assert_int_equal(run(w), 1);
	assert_string_equal(payload(w, "look n=0 rc=7"), "asking for the current version: exit 7\nno module");
	assert_null(find(w, "at n=0"));
	expect(w, "dump n=0 form=full");
	expect(w, "stepend n=0 ok=0 why=look");
	/* … nor a sensible one. */
	t.current = "echo 'two words'";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	assert_non_null(strstr(payload(w, "look n=0 rc=1"), "is no version: 'two words'"));
	t.current = CURRENT;
	t.look = "head -c 16777217 /dev/zero >$LOOK/dump";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	assert_string_equal(payload(w, "look n=0 rc=1"), "a dump of 16777217 bytes: more than 16777216");
	t.look = "yes >$LOOK/dump";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	assert_non_null(strstr(payload(w, "look n=0 rc=137"), "looking at the database: limit 137"));
	t.look = "echo nothing";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	assert_non_null(strstr(payload(w, "look n=0 rc=1"), "made no dump"));
}

static void versions_may_come_with_the_look(void **state)
{
	struct world *w = *state;
	four_versions(w);
	struct plan_walk t = tool(w, "002", "004");
	t.current = NULL;
	t.look = LOOK "sqlite3 \"$DB\" 'SELECT max(v) FROM ver' >$LOOK/versions\n";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	expect(w, "step n=0 version=002 dir=base");
	expect(w, "ran n=0 rc=0");
	assert_string_equal(payload(w, "at n=0"), "002\n");
	assert_string_equal(payload(w, "at n=2"), "004\n");
}

static void tools_that_tell_all_applied_versions(void **state)
{
	struct world *w = *state;
	four_versions(w);
	struct plan_walk t = tool(w, "002", "head");
	t.applied = true;
	t.current = "[ ! -e \"$DB\" ] || sqlite3 \"$DB\" 'SELECT v FROM ver ORDER BY v DESC'\n";
	/* Runs only the one, as plain-sql does: the way to the first version leads over all before it. */
	t.up = "sqlite3 \"$DB\" 'CREATE TABLE IF NOT EXISTS ver (v TEXT)'\n[ ! -e mig/$VERSION.sh ] || . "
	       "./mig/$VERSION.sh\n"
	       "sqlite3 -bail \"$DB\" <mig/$VERSION.sql\nsqlite3 \"$DB\" \"INSERT INTO ver VALUES ('$VERSION')\"\n";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	assert_string_equal(payload(w, "at n=0"), "002\n001\n");
	assert_string_equal(payload(w, "at n=2"), "004\n003\n002\n001\n");
	t.from = "current";
	t.to = "-3";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	assert_string_equal(payload(w, "at n=3"), "001\n");
	/* One more than asked for. */
	write_file(w, "mig/002.sh", "sqlite3 \"$DB\" \"INSERT INTO ver VALUES ('003')\"");
	t.to = "+1";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	expect(w, "stepend n=1 ok=0 why=wrong");
	/* The way to the first version stops where it fails. */
	write_file(w, "mig/002.sh", "exit 4");
	AUTO_FREE char *db = xasprintf("%s/db", w->src);
	assert_int_equal(unlink(db), 0);
	t.from = "003";
	t.to = "head";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	expect(w, "ran n=0 rc=4");
	expect(w, "stepend n=0 ok=0 why=rc");
	assert_string_equal(payload(w, "at n=0"), "001\n");
}

/* 002 came late: it stands before what is applied already. */
static void gaps_in_what_is_applied_are_filled(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/001.sql", "CREATE TABLE t1 (a int); CREATE TABLE IF NOT EXISTS ver (v TEXT);");
	struct plan_walk t = tool(w, "current", "004");
	t.applied = true;
	t.up = "sqlite3 -bail \"$DB\" <mig/$VERSION.sql; sqlite3 \"$DB\" \"INSERT INTO ver VALUES ('$VERSION')\"";
	t.current = "[ ! -e \"$DB\" ] || sqlite3 \"$DB\" 'SELECT v FROM ver ORDER BY v DESC'";
	plan_task(w->plan, "setup", "as it is", w->src,
		  "sqlite3 \"$DB\" 'CREATE TABLE t1 (a int); CREATE TABLE ver (v TEXT)' "
		  "\"INSERT INTO ver VALUES ('001'), ('003')\"",
		  10);
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	expect(w, "walk from=003 to=004 dir=up n=2");
	expect(w, "step n=1 version=002 dir=up");
	expect(w, "step n=2 version=004 dir=up");
	assert_string_equal(payload(w, "at n=1"), "003\n002\n001\n");
	/* Down: what is not applied is not undone. */
	plan_free(w->plan);
	w->plan = plan_new("r1");
	AUTO_FREE char *db = xasprintf("%s/db", w->src);
	plan_env(w->plan, "DB", db);
	plan_task(w->plan, "setup", "as it is", w->src,
		  "sqlite3 \"$DB\" \"DELETE FROM ver WHERE v = '002'\" 'ALTER TABLE t1 DROP COLUMN b'", 10);
	t.to = "001";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	expect(w, "walk from=004 to=001 dir=down n=2");
	expect(w, "step n=1 version=004 dir=down");
	expect(w, "step n=2 version=003 dir=down");
	assert_string_equal(payload(w, "at n=2"), "001\n");
}

static void several_heads_come_in_the_order_of_the_list(void **state)
{
	struct world *w = *state;
	struct plan_walk t = tool(w, "base", "head");
	t.list = "printf '%s\\n' aa zz cc bb";
	t.up = "case $VERSION in aa) echo aa;; zz) echo zz;; cc) echo cc; echo zz;; bb) echo bb;; esac >at";
	t.current = "[ ! -e at ] || cat at";
	t.look = ": >$LOOK/dump";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	assert_string_equal(payload(w, "at n=3"), "zz\ncc\n");
	write_file(w, "at", "cc\nnew\nzz\n");
	t.from = "current";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	assert_string_equal(payload(w, "at n=0"), "new\nzz\ncc\n");
	expect(w, "walk from=cc to=bb dir=up n=1");
	write_file(w, "at", "new\n");
	assert_int_equal(run(w), 1);
	assert_non_null(strstr(payload(w, "out task=2"), "the database is at version new, which is not in the list"));
	expect(w, "done ok=0 why=version");
}

static void numbers_are_versions_however_they_are_spelled(void **state)
{
	struct world *w = *state;
	four_versions(w);
	struct plan_walk t = tool(w, "base", "head");
	t.current = "[ ! -e \"$DB\" ] || sqlite3 \"$DB\" 'SELECT coalesce(max(CAST(v AS int)), 0) FROM ver'";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	assert_string_equal(payload(w, "at n=1"), "001\n");
	t.from = "current";
	t.to = "base"; /* where this tool says 0 */
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	assert_string_equal(payload(w, "at n=4"), "");
	/* The other way round. */
	t.list = "echo 8; echo 9; echo 10";
	t.up = "printf '%04d' $VERSION >at";
	t.current = "[ ! -e at ] || cat at";
	t.look = ": >$LOOK/dump";
	t.from = "0008";
	t.to = "+2";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	expect(w, "walk from=8 to=10 dir=up n=2");
	assert_string_equal(payload(w, "at n=2"), "10\n");
}

static void a_version_that_is_not_there_is_named(void **state)
{
	struct world *w = *state;
	four_versions(w);
	walk(w, "005", "head");
	assert_int_equal(run(w), 1);
	assert_string_equal(payload(w, "out task=2"),
			    "from: version 005 is not in the list of 4 versions (001 … 004)\n");
	expect(w, "end n=2 rc=2 ");
	expect(w, "done ok=0 why=version");
	walk(w, "base", "04");
	assert_int_equal(run(w), 0);
	struct plan_walk t = tool(w, "base", "add");
	t.list = "echo 1_add_name; echo 2_add_index; echo 3_drop";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	assert_string_equal(payload(w, "out task=2"), "to: version add is not in the list of 3 versions (1_add_name … "
						      "3_drop); there is: 1_add_name 2_add_index\n");
	/* The only one that begins so is meant. */
	t.list = "echo 1_a; echo 01_b; echo 2_c; echo 22_d";
	t.up = "echo $VERSION >at";
	t.current = "[ ! -e at ] || cat at";
	t.look = ": >$LOOK/dump";
	t.to = "2";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	expect(w, "walk from=base to=2_c dir=up n=3");
}

static void lists_that_cannot_be_used(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *list, *says;
	} cases[] = {
		{"echo nope; exit 4", "nope\n"},
		{":", "the list of versions: there are no versions\n"},
		{"echo 1; echo '2 b'", "the list of versions: line 2 is no version: '2 b'\n"},
		{"printf '1\\n2\\r\\n'", "the list of versions: line 2 is no version: '2\r'\n"},
		{"echo 1; echo 2; echo 1", "the list of versions: version 1 is listed twice\n"},
		{"echo head", "the list of versions: line 1 is no version: 'head'\n"},
		{"seq 1 20001", "the list of versions: more than 20000 versions, or one of more than 200 bytes\n"},
		{"printf '%0201d\\n' 1",
		 "the list of versions: more than 20000 versions, or one of more than 200 bytes\n"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct plan_walk t = tool(w, "base", "head");
		t.list = cases[i].list;
		plan_set_walk(w->plan, &t);
		assert_int_equal(run(w), 1);
		assert_string_equal(payload(w, "out task=1"), cases[i].says);
		expect(w, "done ok=0 why=task");
	}
}

static void the_first_variant_that_fits_is_taken(void **state)
{
	struct world *w = *state;
	four_versions(w);
	struct plan_walk t = tool(w, "base", "001");
	t.n_variants = 3;
	t.variants[0] = (struct plan_variant){.name = "old", .when = "echo quiet; test -e nothing", .up = "exit 9"};
	t.variants[1] = (struct plan_variant){.name = "new", .when = "test -d mig", .list = "echo 001"};
	t.variants[2] = (struct plan_variant){.name = "newest", .when = ":", .up = "exit 9"};
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	expect(w, "variant name=new");
	expect(w, "versions n=1");
	t.n_variants = 1;
	t.list = NULL;
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	expect(w, "done ok=0 why=variant");
	assert_non_null(strstr(payload(w, "out task=1"), "none of the ways that are known of little-sql fits"));
}

static void snippets_get_what_the_contract_says(void **state)
{
	struct world *w = *state;
	four_versions(w);
	plan_env(w->plan, "VERSION", "from the recipe");
	plan_env(w->plan, "i", "from the recipe, too");
	plan_task(w->plan, "setup", "x", "", "echo $VERSION", 10);
	struct plan_walk t = tool(w, "base", "001");
	t.up = UP "cd /; echo \"$VERSION $TARGET $LIST $STATE $# $i\"; pwd; touch \"$STATE/was-here\"";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	assert_string_equal(payload(w, "out task=1"), "from the recipe\n");
	AUTO_FREE char *want =
		xasprintf("001 001 %s/list %s/box/state/little-sql 0 from the recipe, too\n/\n", w->dir, w->root);
	assert_string_equal(payload(w, "out step=1"), want);
	AUTO_FREE char *left = xasprintf("%s/box/state/little-sql/was-here", w->root);
	assert_true(fs_exists(left));
}

/* --- dumps --- */

static void large_dumps_come_as_deltas(void **state)
{
	struct world *w = *state;
	struct plan_walk t = tool(w, "base", "head");
	t.list = "seq 1 40";
	t.up = "echo $VERSION >at; sed -i \"$((VERSION * 37))s/.*/-- version $VERSION/\" dump";
	t.current = "[ ! -e at ] || cat at";
	t.look = "cp dump $LOOK/dump; seq 1 200 >$LOOK/counts";
	AUTO_BUF dump = buf_make(BUF_TEXT_MAX);
	for (int i = 0; dump.len < 100000; i++)
		buf_addf(&dump, "CREATE TABLE t%d (id int);\n", i);
	write_file(w, "dump", dump.data);
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	int full, delta, same;
	check_texts(w, "dump", &full, &delta, &same);
	assert_int_equal(full, 2); /* 0 and 33 */
	assert_int_equal(delta, 39);
	assert_int_equal(same, 0);
	for (size_t i = 0; i < w->n; i++)
		if (strstr(w->records[i].head, "form=delta"))
			assert_true(w->records[i].len < 100);
	assert_int_equal(find(w, "counts n=40")->len, 9 * 2 + 90 * 3 + 101 * 4);
}

/* Lines of arbitrary bytes, few different ones, so that deltas are found; with or without a last LF. */
static void random_dump(struct world *w, const char *name)
{
	unsigned char r[64];
	AUTO_BUF b = buf_make(BUF_TEXT_MAX);
	random_bytes(r, sizeof(r));
	for (int i = 0; i < 1 + r[0] % 30; i++) {
		static const char *const lines[] = {"a", "b\0b", "\xff\xfe", "", ".", "d1 1", "\r", "a1 1"};
		static const size_t lens[] = {1, 3, 2, 0, 1, 4, 1, 4};
		unsigned k = r[1 + i] % 8;
		buf_addf(&b, "a line that is long enough for a delta to be shorter than the dump ");
		buf_add(&b, lines[k], lens[k]);
		buf_addc(&b, '\n');
	}
	if (r[40] % 2)
		b.len--;
	struct err err = ERR_INIT;
	AUTO_FREE char *path = xasprintf("%s/%s", w->src, name);
	assert_int_equal(fs_write(path, b.data, b.len, 0644, &err), 0);
}

static void dumps_survive_byte_for_byte(void **state)
{
	struct world *w = *state;
	for (int i = 1; i <= 40; i++) {
		AUTO_FREE char *name = xasprintf("d%d", i);
		random_dump(w, name);
	}
	struct plan_walk t = tool(w, "base", "head");
	t.list = "seq 1 40";
	t.up = "echo $VERSION >at";
	t.current = NULL;
	t.look = "cp at $LOOK/versions 2>/dev/null || : >$LOOK/versions; cp d$(cat at || echo 1) $LOOK/dump; "
		 "cp d$(cat at >/dev/null && expr 41 - $(cat at) || echo 7) $LOOK/model; "
		 "printf 'statements\\t7\\n' >$LOOK/work; "
		 "printf 'no last newline' >$LOOK/counts";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	int full, delta, same;
	check_texts(w, "dump", &full, &delta, &same);
	assert_int_equal(full + delta + same, 41);
	assert_true(delta > 10);
	/* The description of the catalogue is a chain of its own. */
	check_texts(w, "model", &full, &delta, &same);
	assert_true(full + delta + same > 30);
	assert_true(delta > 10);
	assert_string_equal(payload(w, "counts n=40"), "no last newline");
	assert_string_equal(payload(w, "work n=40"), "statements\t7\n");
}

static void a_full_disk_is_no_success(void **state)
{
	struct world *w = *state;
	if (geteuid() != 0)
		skip();
	struct plan_walk t = tool(w, "base", "head");
	t.list = "seq 1 50";
	t.up = "echo $VERSION >at; head -c 700000 /dev/urandom >dump";
	t.current = "[ ! -e at ] || cat at";
	t.look = "cp dump $LOOK/dump || :";
	write_file(w, "dump", "");
	plan_set_walk(w->plan, &t);
	install_run(w);
	AUTO_FREE char *before = xasprintf(
		"cd %s && mv r1 x && mkdir r1 && mount -t tmpfs -o size=6m stepbox-test r1 || exit 77; cp x/* r1 && ",
		w->dir);
	char *end = strstr(before, "/r1 "); /* cd to the parent */
	assert_non_null(end);
	memmove(end, end + 3, strlen(end + 3) + 1);
	AUTO_FREE char *inner = xasprintf("%s %s", before, shell[0]);
	AUTO_FREE char *cmd = xasprintf("unshare -m sh -c '%s %s r1/runner.sh %s " NONCE " r1; rc=$?; cp r1/journal x; "
					"umount -l r1; rmdir r1; mv x r1; exit $rc'",
					inner, shell[1] ? shell[1] : "", w->dir);
	const char *argv[] = {"sh", "-c", cmd, NULL};
	struct err err = ERR_INIT;
	int rc = proc_run(argv, &(struct proc_opts){.inherit_stderr = true, .deadline = clock_deadline(60000)}, &err);
	if (rc == 77)
		skip();
	assert_int_equal(rc, 1);
	read_journal(w);
	expect(w, "done ok=0 why=disk");
	int full, delta, same;
	assert_true(w->n > 10);
	(void)full, (void)delta, (void)same;
}

/* --- round trips --- */

#define SAVE    "rm -f \"$SAVE/db\"\n[ ! -e \"$DB\" ] || cp \"$DB\" \"$SAVE/db\"\n"
#define RESTORE "if [ -e \"$SAVE/db\" ]; then cp \"$SAVE/db\" \"$DB\"; else rm -f \"$DB\"; fi\n"

static void round_trip(struct world *w, const char *from, const char *to, bool keeps)
{
	struct plan_walk t = tool(w, from, to);
	t.roundtrip = true;
	t.save = keeps ? SAVE : NULL;
	t.restore = keeps ? RESTORE : NULL;
	plan_set_walk(w->plan, &t);
}

/* Heads of the steps and how they ended, without what is told of the database. */
static void expect_legs(const struct world *w, const char *want)
{
	AUTO_BUF got = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < w->n; i++) {
		const char *h = w->records[i].head;
		if (strncmp(h, "step ", 5) == 0 || strncmp(h, "stepend ", 8) == 0 || strncmp(h, "walk ", 5) == 0)
			buf_addf(&got, "%s\n", h);
	}
	if (strcmp(got.data, want) != 0)
		show(w);
	assert_string_equal(got.data, want);
}

static void each_version_goes_up_down_and_up_again(void **state)
{
	struct world *w = *state;
	four_versions(w);
	round_trip(w, "001", "003", true);
	assert_int_equal(run(w), 0);
	expect_legs(w, "walk from=001 to=003 dir=roundtrip n=2\n"
		       "step n=0 version=001 dir=base\nstepend n=0 ok=1 why=ok\n"
		       "step n=1 version=002 dir=up leg=1\nstepend n=1 ok=1 why=ok\n"
		       "step n=2 version=002 dir=down leg=2\nstepend n=2 ok=1 why=ok\n"
		       "step n=3 version=002 dir=up leg=3\nstepend n=3 ok=1 why=ok\n"
		       "step n=4 version=003 dir=up leg=1\nstepend n=4 ok=1 why=ok\n"
		       "step n=5 version=003 dir=down leg=2\nstepend n=5 ok=1 why=ok\n"
		       "step n=6 version=003 dir=up leg=3\nstepend n=6 ok=1 why=ok\n");
	assert_string_equal(payload(w, "at n=2"), "001\n");
	assert_string_equal(payload(w, "counts n=5"), "t1\t0\n");
	assert_string_equal(payload(w, "counts n=6"), "t1\t2\n");
	int full, delta, same;
	check_texts(w, "dump", &full, &delta, &same);
	expect(w, "done ok=1 why=ok");
}

static void a_way_down_that_fails_is_put_right(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/002.down", "DELETE FROM t1; DROP TABLE t1; no such statement;");
	write_file(w, "mig/003.down", "DELETE FROM t1; UPDATE ver SET v = '003' WHERE v = '002';"); /* then 003 goes */
	round_trip(w, "base", "004", true);
	assert_int_equal(run(w), 0);
	expect_legs(w, "walk from=base to=004 dir=roundtrip n=4\n"
		       "step n=0 version=base dir=base\nstepend n=0 ok=1 why=ok\n"
		       "step n=1 version=001 dir=up leg=1\nstepend n=1 ok=1 why=ok\n"
		       "step n=2 version=001 dir=down leg=2\nstepend n=2 ok=1 why=ok\n"
		       "step n=3 version=001 dir=up leg=3\nstepend n=3 ok=1 why=ok\n"
		       "step n=4 version=002 dir=up leg=1\nstepend n=4 ok=1 why=ok\n"
		       "step n=5 version=002 dir=down leg=2\nstepend n=5 ok=0 why=rc\n"
		       "step n=6 version=002 dir=restore leg=4\nstepend n=6 ok=1 why=ok\n"
		       "step n=7 version=003 dir=up leg=1\nstepend n=7 ok=1 why=ok\n"
		       "step n=8 version=003 dir=down leg=2\nstepend n=8 ok=0 why=wrong\n"
		       "step n=9 version=003 dir=restore leg=4\nstepend n=9 ok=1 why=ok\n"
		       "step n=10 version=004 dir=up leg=1\nstepend n=10 ok=1 why=ok\n"
		       "step n=11 version=004 dir=down leg=2\nstepend n=11 ok=1 why=ok\n"
		       "step n=12 version=004 dir=up leg=3\nstepend n=12 ok=1 why=ok\n");
	assert_string_equal(payload(w, "counts n=5"), "");
	assert_string_equal(payload(w, "counts n=9"), "t1\t2\n");
	int full, delta, same;
	check_texts(w, "dump", &full, &delta, &same);
}

static void what_a_round_trip_loses_is_put_right(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/003.sql", "");
	write_file(w, "mig/003.sh", "[ -e again ] || sqlite3 \"$DB\" 'INSERT INTO t1 (a) VALUES (7)'; : >again");
	round_trip(w, "002", "003", true);
	assert_int_equal(run(w), 0);
	assert_string_equal(payload(w, "counts n=1"), "t1\t1\n");
	assert_string_equal(payload(w, "counts n=3"), "t1\t0\n");
	assert_string_equal(payload(w, "counts n=4"), "t1\t1\n");
	expect(w, "stepend n=4 ok=1");
}

static void a_refusal_that_changes_nothing_needs_no_putting_back(void **state)
{
	struct world *w = *state;
	four_versions(w);
	AUTO_FREE char *path = xasprintf("%s/mig/002.down", w->src);
	assert_int_equal(unlink(path), 0);
	round_trip(w, "001", "003", false);
	assert_int_equal(run(w), 0);
	expect(w, "stepend n=2 ok=0 why=rc");
	expect(w, "step n=3 version=003 dir=up leg=1");
}

static void without_a_way_back_the_walk_ends_where_it_is(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/002.down", "DELETE FROM t1; DROP TABLE t1; no such statement;");
	round_trip(w, "001", "004", false);
	assert_int_equal(run(w), 1);
	expect(w, "stepend n=2 ok=0 why=rc");
	expect(w, "done ok=0 why=restore");
	assert_null(find(w, "step n=3"));
}

static void the_second_way_up_may_fail(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/002.sh", "[ ! -e again ] || exit 4; : >again");
	round_trip(w, "001", "003", true);
	assert_int_equal(run(w), 0);
	expect(w, "step n=3 version=002 dir=up leg=3");
	expect(w, "stepend n=3 ok=0 why=rc");
	expect(w, "step n=4 version=002 dir=restore leg=4");
	expect(w, "stepend n=4 ok=1 why=ok");
	expect(w, "stepend n=7 ok=1 why=ok");
}

static void a_way_back_that_leads_elsewhere_ends_the_walk(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/002.down", "DROP TABLE t1; no such statement;");
	struct plan_walk t = tool(w, "001", "004");
	t.roundtrip = true;
	t.save = "true";
	t.restore = "true"; /* says it did */
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	expect(w, "stepend n=3 ok=0 why=wrong");
	expect(w, "done ok=0 why=step");
}

static void a_round_trip_leads_up(void **state)
{
	struct world *w = *state;
	four_versions(w);
	round_trip(w, "003", "001", true);
	assert_int_equal(run(w), 1);
	expect(w, "done ok=0 why=version");
}

/* --- data for the steps to work on --- */

static void data_is_filled_in_before_its_version(void **state)
{
	struct world *w = *state;
	four_versions(w);
	struct plan_walk t = tool(w, "base", "004");
	const struct plan_before before[] = {
		{"2", "echo filling $VERSION; sqlite3 -bail \"$DB\" 'INSERT INTO t1 VALUES (5)'"},
		{"004", "sqlite3 -bail \"$DB\" 'INSERT INTO t1 VALUES (6, 7)'"},
	};
	t.before = before;
	t.n_before = ARRAY_SIZE(before);
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	expect(w, "seeded n=2 rc=0");
	expect(w, "seeded n=4 rc=0");
	assert_null(find(w, "seeded n=1"));
	assert_null(find(w, "seeded n=3"));
	assert_string_equal(payload(w, "out step=2"), "filling 002\n");
	assert_string_equal(payload(w, "counts n=2"), "t1\t1\n");
	assert_string_equal(payload(w, "counts n=4"), "t1\t4\n");
}

static void what_cannot_be_filled_in_ends_the_walk(void **state)
{
	static const struct {
		const char *command, *out;
	} cases[] = {
		{"sqlite3 -bail \"$DB\" 'INSERT INTO t7 VALUES (5)'", "no such table"},
		{"sqlite3 \"$DB\" 'CREATE TABLE t9 (x)'", "has changed the schema"},
		{"sqlite3 \"$DB\" \"INSERT INTO ver VALUES ('004')\"", "has changed the version"},
	};
	struct world *w = *state;
	four_versions(w);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct plan_walk t = tool(w, "001", "004");
		const struct plan_before before = {"002", cases[i].command};
		t.before = &before;
		t.n_before = 1;
		plan_set_walk(w->plan, &t);
		AUTO_FREE char *db = xasprintf("%s/db", w->src);
		unlink(db);
		assert_int_equal(run(w), 1);
		expect(w, "stepend n=1 ok=0 why=seed");
		expect(w, "done ok=0 why=step");
		assert_null(find(w, "ran n=1"));
		AUTO_BUF said = buf_make(BUF_TEXT_MAX);
		collect(w, "out step=1", &said);
		if (!strstr(said.data, cases[i].out))
			show(w);
		assert_non_null(strstr(said.data, cases[i].out));
	}
}

static void data_for_a_version_that_is_not_there(void **state)
{
	struct world *w = *state;
	four_versions(w);
	struct plan_walk t = tool(w, "001", "004");
	const struct plan_before before = {"005", "true"};
	t.before = &before;
	t.n_before = 1;
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	expect(w, "done ok=0 why=version");
	assert_non_null(strstr(payload(w, "out task=2"), "seed: before: version 005 is not in the list"));
}

static void the_generator_runs_while_tables_are_empty(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/003.sql", "");
	struct plan_walk t = tool(w, "base", "004");
	t.seed = "cat \"$STEPBOX_DIR/counts\"; printf 't1\\tis closed\\n' >\"$STEPBOX_DIR/unfilled\"";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	assert_null(find(w, "seeded n=1"));
	assert_string_equal(payload(w, "seeded n=2"), "t1\tis closed\n");
	assert_string_equal(payload(w, "out step=2"), "t1\t0\n");
	/* 002 changed the schema: tried again. 003 did not. */
	expect(w, "seeded n=3");
	assert_null(find(w, "seeded n=4"));
}

/* --- a loaded tool --- */

/* A migration may have a NNN.py, which is what a test wants to happen. */
static const char tool_py[] = "import os, sqlite3, sys\n"
			      "def main():\n"
			      "    way, version = sys.argv[1:]\n"
			      "    db = sqlite3.connect(os.environ['DB'])\n"
			      "    db.execute('CREATE TABLE IF NOT EXISTS ver (v TEXT)')\n"
			      "    done = [v for v, in db.execute('SELECT v FROM ver')]\n"
			      "    with open(os.environ['LIST']) as f:\n"
			      "        todo = [v for v in f.read().split() if v <= version and v not in done] "
			      "if way == 'up' else [version]\n"
			      "    for v in todo:\n"
			      "        if os.path.exists('mig/%s.py' % v):\n"
			      "            with open('mig/%s.py' % v) as f:\n"
			      "                exec(compile(f.read(), v, 'exec'), {'version': v})\n"
			      "        with open('mig/%s.%s' % (v, {'up': 'sql'}.get(way, way))) as f:\n"
			      "            db.executescript(f.read())\n"
			      "        db.execute('INSERT INTO ver VALUES (?)' if way == 'up' else 'DELETE "
			      "FROM ver WHERE v = ?', (v,))\n"
			      "        db.commit()\n"
			      "if __name__ == '__main__':\n"
			      "    main()\n";

#define UP_AS_FILE   "echo first >&2; stepbox_warm python3 tool.py up \"$VERSION\"; echo last"
#define UP_AS_TEXT   "stepbox_warm python3 -c 'import tool; tool.main()' up \"$VERSION\""
#define UP_AS_MODULE "stepbox_warm python3 -m tool up \"$VERSION\""
static const char *warm_up = UP_AS_FILE;

static void warm_walk(struct world *w, const char *from, const char *to, const char *warm)
{
	struct plan_walk t = tool(w, from, to);
	t.up = warm_up;
	t.down = "stepbox_warm python3 -c 'import tool; tool.main()' down \"$VERSION\"";
	t.warm = warm;
	t.interpreter = "python3";
	t.harness = "python.py";
	t.timeout_s = 10;
	write_file(w, "tool.py", tool_py);
	plan_env(w->plan, "PYTHONUNBUFFERED",
		 ""); /* whoever runs the tests may have it: order is a matter of buffers */
	plan_env(w->plan, "PATH", "/usr/bin:/bin"); /* no python3 that is a script to find another one */
	plan_set_walk(w->plan, &t);
}

static void forget_database(const struct world *w)
{
	AUTO_FREE char *db = xasprintf("%s/db", w->src);
	(void)unlink(db);
}

/* All that a walk told, less times and the task that loads. */
static void whole_story(const struct world *w, struct buf *out)
{
	for (size_t i = 0; i < w->n; i++) {
		const char *h = w->records[i].head, *ms = strstr(h, " ms=");
		if (strncmp(h, "task n=2 ", 9) == 0 || strstr(h, " task=2") || strncmp(h, "end n=2 ", 8) == 0 ||
		    strncmp(h, "hello", 5) == 0)
			continue;
		if (strncmp(h, "out ", 4) == 0) { /* in how many pieces is a matter of time */
			buf_adds(out, w->records[i].payload);
			continue;
		}
		buf_add(out, h, ms ? (size_t)(ms - h) : strlen(h));
		buf_addf(out, "%s\n%s\n",
			 strncmp(h, "ran", 3) != 0 ? ""
			 : strstr(h, " why=exit")  ? "exit"
						   : "other",
			 w->records[i].payload);
	}
}

/* The walk cold, then warm: the same to the last byte. Leaves the warm one's records. */
static void expect_the_same(struct world *w, const char *from, const char *to, const char *warm)
{
	AUTO_BUF cold_story = buf_make(BUF_TEXT_MAX), warm_story = buf_make(BUF_TEXT_MAX);
	forget_database(w);
	warm_walk(w, from, to, NULL);
	int rc = run(w);
	assert_null(find(w, "task n=2"));
	whole_story(w, &cold_story);
	for (size_t i = 0; i < w->n; i++)
		assert_null(strstr(w->records[i].head, " net="));
	forget_database(w);
	warm_walk(w, from, to, warm);
	int warm_rc = run(w);
	expect(w, "task n=2 kind=warm");
	whole_story(w, &warm_story);
	size_t same = 0;
	while (same < cold_story.len && warm_story.data[same] == cold_story.data[same])
		same++;
	if (warm_rc != rc || strcmp(cold_story.data, warm_story.data) != 0) {
		show(w);
		same = same > 100 ? same - 100 : 0;
		fail_msg("cold: …%.300s\nwarm: …%.300s", cold_story.data + same, warm_story.data + same);
	}
	assert_int_equal(warm_rc, rc);
	buf_finish(&cold_story);
	buf_finish(&warm_story);
}

static bool was_warm(const struct world *w, int n)
{
	char head[40];
	snprintf(head, sizeof(head), "ran n=%d ", n);
	const struct record *r = find(w, head);
	return r && strstr(r->head, " net=");
}

static void a_loaded_tool_steps_as_a_cold_one(void **state)
{
	struct world *w = *state;
	four_versions(w);
	/* What a command can see of itself, and all ways in which it may end or leave something to do at its
	 * end. */
	write_file(w, "mig/001.py",
		   "import atexit, os, sys, threading, time\n"
		   "env = dict(os.environ)\n"
		   "env.pop('_', None)  # the shell's own: what it did last\n"
		   "for k in ('STEPBOX_DIR', 'LIST', 'LOOK', 'STATE', 'SAVE', 'OLDPWD'): env.pop(k, None)\n"
		   "print(sorted(env.items()), sys.argv, sys.path, os.getcwd(), os.umask(0o22), sys.flags, "
		   "sys.stdin.read())\n"
		   "print(sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering, sys.executable)\n"
		   "print(sorted(k for k in vars(sys.modules['__main__'])), sorted(os.listdir('/proc/self/fd')))\n"
		   "print(sys.modules['__main__'].__dict__.get('__file__'), os.getpgrp() == "
		   "os.getpgid(os.getppid()))\n"
		   "print('to stderr', file=sys.stderr)\n"
		   "os.write(2, b'written\\n')\n"
		   "atexit.register(print, 'at exit')\n"
		   "threading.Thread(target=lambda: (time.sleep(1.5), print('a thread'))).start()\n"
		   "sys.left = open('left', 'w')\n"
		   "sys.left.write('in a buffer')\n"
		   "class C:\n"
		   "    def __del__(self): os.write(1, b'deleted\\n')\n"
		   "sys.modules['sqlite3'].kept = C()\n");
	write_file(w, "mig/003.py",
		   "import sqlite3, sys\nprint(hasattr(sqlite3, 'kept'), hasattr(sys, 'left'))\n"
		   "def g():\n    try: yield 1\n    finally: print('a generator')\n"
		   "sqlite3.g = g()\nnext(sqlite3.g)\n");
	expect_the_same(w, "base", "003", "import sqlite3");
	assert_true(was_warm(w, 1) && was_warm(w, 2) && was_warm(w, 3));
	expect(w, "end n=2 rc=0");
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	collect(w, "out step=1", &text);
	assert_non_null(strstr(text.data, "deleted"));
	assert_true(has_file(w, "left"));
	AUTO_FREE char *left = xasprintf("%s/left", w->src);
	buf_reset(&text);
	read_path(left, &text);
	assert_string_equal(text.data, "in a buffer");
	expect_the_same(w, "003", "base", "import sqlite3");
	assert_true(was_warm(w, 0) && was_warm(w, 1) && was_warm(w, 3));
	/* Who loads a module that wants no word of its children hears of them all the same. */
	expect_the_same(w, "base", "003", "import signal, sqlite3\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)");
	assert_true(was_warm(w, 1) && was_warm(w, 2) && was_warm(w, 3));
	buf_finish(&text);
}

static void a_loaded_tool_fails_as_a_cold_one(void **state)
{
	struct world *w = *state;
	four_versions(w);
	static const char *const ends[] = {
		"raise ValueError('of the migration')\n",
		("def f(): raise KeyError('inner')\n"
		 "try: f()\n"
		 "except KeyError as e: raise RuntimeError('outer') from e\n"),
		"import sys\nprint('half', end='')\nsys.exit('said so')\n",
		"import sys\nprint('first')\nsys.exit(['a', 'list'])\n",
		"import sys\nprint('first')\nprint('second', file=sys.stderr)\nraise ValueError('last')\n",
		"import sys\nsys.exit(7)\n",
		"import os\nos._exit(200)\n",
		"import os, signal\nprint('lost in the buffer')\nos.kill(os.getpid(), signal.SIGKILL)\n",
		"import os\nos.abort()\n",
		"import sys\nsys.excepthook = lambda *a: print('hooked', a[0], file=sys.stderr)\n1 / 0\n",
		"import sys\nsys.stdout.close()\n",
	};
	/* Which comes first, what was printed or the last words, depends on how the interpreter was called. */
	static const char *const ways[] = {UP_AS_FILE, UP_AS_TEXT, UP_AS_MODULE};
	for (size_t i = 0; i < ARRAY_SIZE(ends) * ARRAY_SIZE(ways); i++) {
		warm_up = ways[i % ARRAY_SIZE(ways)];
		write_file(w, "mig/002.py", ends[i / ARRAY_SIZE(ways)]);
		expect_the_same(w, "base", "head", "import sqlite3");
		assert_true(was_warm(w, 2));
	}
	warm_up = UP_AS_FILE;
}

static void what_is_not_clean_is_not_loaded(void **state)
{
	struct world *w = *state;
	four_versions(w);
	AUTO_FREE char *opens = xasprintf("import sqlite3\nsqlite3.connect('%s/db')", w->src);
	AUTO_FREE char *writes = xasprintf("open('%s/touched', 'w')", w->src);
	AUTO_FREE char *caught = xasprintf("try: open('%s/touched', 'w')\nexcept RuntimeError: pass", w->src);
	AUTO_FREE char *runs = xasprintf("import subprocess\nsubprocess.call(['touch', '%s/touched'])", w->src);
	const struct {
		const char *warm, *why;
	} cases[] = {
		{"import not_there", "No module named 'not_there'"},
		{"this is no Python", "SyntaxError"},
		{"raise SystemExit(3)", "SystemExit: 3"},
		{"import os\nos._exit(0)", "it ended when it was loaded"},
		{"print('talks')", "talks\nit cannot be loaded: it prints when it is loaded"},
		{"import threading, time\nthreading.Thread(target=time.sleep, args=(3,)).start()", "starts threads"},
		{"f = open('/proc/self/stat')", "keeps a file open"},
		{"cold('because')", "because"},
		{opens, "sqlite3.connect"},
		{writes, "open '"},
		{caught, "open '"},
		{runs, "subprocess.Popen"},
		{"import os\nos.write(4, b'garbage\\nrubbish\\n')", ""},
		{"import os\nos.closerange(3, 100)", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		forget_database(w);
		warm_walk(w, "base", "001", cases[i].warm);
		assert_int_equal(run(w), 0);
		const struct record *end = find(w, "end n=2 ");
		assert_non_null(end);
		if (*cases[i].why) {
			assert_non_null(strstr(end->head, "rc=1 "));
			if (!strstr(payload(w, "out task=2"), cases[i].why))
				fail_msg("%s: %s", cases[i].why, payload(w, "out task=2"));
		}
		assert_false(was_warm(w, 1));
		assert_false(has_file(w, "touched"));
		expect(w, "done ok=1 why=ok");
	}
	/* Of several parts those in front stay. */
	expect_the_same(w, "base", "002", "import sqlite3\n--\nprint('talks')\n--\nimport json");
	assert_non_null(strstr(payload(w, "out task=2"), "part 2 is left to each step: it prints"));
	assert_true(was_warm(w, 1));
}

static void no_interpreter_is_no_failure(void **state)
{
	struct world *w = *state;
	four_versions(w);
	warm_walk(w, "base", "head", "import sqlite3");
	struct plan_walk t = tool(w, "base", "head");
	t.up = "stepbox_warm python3 tool.py up \"$VERSION\"";
	t.warm = "import sqlite3";
	t.interpreter = "python-that-is-not-there";
	t.harness = "python.py";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	expect(w, "end n=2 rc=1");
	assert_non_null(strstr(payload(w, "out task=2"), "python-that-is-not-there"));
	/* One that loads longer than a step may take. */
	forget_database(w);
	warm_walk(w, "base", "head", "import os\nos.system and os.execlp('sleep', 'sleep', os.environ['NAP'] + '.1')");
	t.interpreter = "sleep $NAP.1; python3";
	t.timeout_s = 2;
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	assert_non_null(strstr(find(w, "end n=2 ")->head, "why=timeout"));
	expect(w, "done ok=1");
	assert_true(is_gone_within(w->nap, 500));
}

static void what_would_not_be_the_same_is_cold(void **state)
{
	struct world *w = *state;
	four_versions(w);
	static const char *const ups[] = {
		"export PYTHONHASHSEED=1; stepbox_warm python3 tool.py up \"$VERSION\"",
		"cd mig; cd ..; mkdir -p x; cd x; stepbox_warm python3 ../tool.py up \"$VERSION\" || cd ..; "
		"stepbox_warm python3 -E tool.py up \"$VERSION\"",
		"stepbox_warm python3.0 tool.py up \"$VERSION\" || python3 tool.py up \"$VERSION\"",
		"unset DB; export DB=$PWD/db; export OTHER=1; stepbox_warm python3 tool.py up \"$VERSION\"",
	};
	for (size_t i = 0; i < ARRAY_SIZE(ups); i++) {
		forget_database(w);
		warm_walk(w, "base", "002", "import sqlite3");
		struct plan_walk t = tool(w, "base", "002");
		t.up = ups[i];
		t.warm = "import sqlite3";
		t.interpreter = "python3";
		t.harness = "python.py";
		plan_set_walk(w->plan, &t);
		assert_int_equal(run(w), 0);
		expect(w, "end n=2 rc=0");
		assert_false(was_warm(w, 1));
	}
}

/* Where each version has its code the tool is loaded anew, if enough steps have the same; never is old code run. */
static void code_that_changes_is_loaded_anew(void **state)
{
	struct world *w = *state;
	four_versions(w);
	for (const char *c = "ab"; *c; c++) {
		AUTO_FREE char *name = xasprintf("tool.%c", *c);
		AUTO_FREE char *text = xasprintf("code = 'code %c'\n%s", *c, tool_py);
		write_file(w, name, text);
	}
	warm_walk(w, "base", "head", NULL);
	struct plan_walk t = tool(w, "base", "head");
	t.up = "stepbox_warm python3 -c 'import tool; print(tool.code); tool.main()' up \"$VERSION\"";
	t.warm = "import tool";
	t.interpreter = "python3";
	t.harness = "python.py";
	t.timeout_s = 10;
	t.checkout = "cp tool.$(printf %.1s $COMMIT) tool.py; rm -rf __pycache__";
	t.commits = "001 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n002 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"
		    "003 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n004 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n";
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 0);
	assert_null(find(w, "task n=2 kind=warm"));
	if (was_warm(w, 1) || !was_warm(w, 2) || !was_warm(w, 3) || !was_warm(w, 4))
		show(w);
	assert_true(!was_warm(w, 1) && was_warm(w, 2) && was_warm(w, 3) && was_warm(w, 4));
	assert_string_equal(payload(w, "out step=1"), "code a\n");
	for (int n = 2; n <= 4; n++) {
		AUTO_FREE char *head = xasprintf("out step=%d", n);
		assert_string_equal(payload(w, head), "code b\n");
	}
}

/* Nothing is run twice, and nothing goes on running. */
static void a_loaded_tool_that_dies_in_a_step_fails_it(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/002.py",
		   "import os, signal, time\nopen('runs', 'a').write('x')\nprint('before', flush=True)\n"
		   "os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(3)\nopen('runs', 'a').write('y')\n");
	warm_walk(w, "base", "head", "import sqlite3");
	mono_ms begin = clock_mono();
	assert_int_equal(run(w), 1);
	assert_true(clock_mono() - begin < 3000);
	expect(w, "ran n=2 rc=137 ");
	AUTO_BUF text = buf_make(1000);
	collect(w, "out step=2", &text);
	assert_string_equal(text.data, "first\nbefore\nthe loaded tool ended in the middle of this step\n");
	buf_reset(&text);
	expect(w, "stepend n=2 ok=0 why=rc");
	AUTO_FREE char *runs = xasprintf("%s/runs", w->src);
	read_path(runs, &text);
	assert_string_equal(text.data, "x");
	/* Between two steps: those behind are cold. */
	forget_database(w);
	write_file(w, "mig/002.py", "import os\nopen('server', 'w').write(str(os.getppid()))\n");
	write_file(w, "mig/look.sh", "[ ! -e server ] || { kill -9 $(cat server); rm server; sleep 0.2; }");
	assert_int_equal(run(w), 0);
	assert_true(was_warm(w, 1) && was_warm(w, 2) && !was_warm(w, 3) && !was_warm(w, 4));
	buf_reset(&text);
	collect(w, "out step=3", &text);
	assert_string_equal(text.data, "first\nlast\n");
	buf_finish(&text);
}

static void a_warm_step_has_its_time(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/002.py", "import os\nprint('begins', flush=True)\nos.system('sleep $NAP.1')\n");
	warm_walk(w, "base", "head", "import sqlite3");
	struct plan_walk t = tool(w, "base", "head");
	t.up = "stepbox_warm python3 tool.py up \"$VERSION\"";
	t.warm = "import sqlite3";
	t.interpreter = "python3";
	t.harness = "python.py";
	t.timeout_s = 2;
	plan_set_walk(w->plan, &t);
	assert_int_equal(run(w), 1);
	assert_non_null(strstr(find(w, "ran n=2 ")->head, "why=timeout"));
	assert_string_equal(payload(w, "out step=2"), "begins\n");
	expect(w, "stepend n=2 ok=0 why=timeout");
	assert_true(is_gone_within(w->nap, 500));
	assert_true(is_gone_within("warm.py", 2000) || !is_running(w->dir));
}

static void a_stop_and_a_kill_reach_warm_steps(void **state)
{
	struct world *w = *state;
	four_versions(w);
	write_file(w, "mig/002.py", "import os\nprint('stopping', flush=True)\nos.system('sleep $NAP.1')\n");
	warm_walk(w, "base", "head", "import sqlite3");
	pid_t pid = start(w);
	wait_for_step(w, "step n=2");
	sleep_ms(500);
	assert_true(is_running(w->nap));
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_true(is_done_within(w, 3000));
	assert_non_null(strstr(find(w, "ran n=2 ")->head, "why=stop"));
	assert_string_equal(payload(w, "out step=2"), "first\nstopping\n");
	expect(w, "done ok=0 why=stop");
	assert_true(is_gone_within(w->nap, 1000));
	forget_database(w);
	pid = start(w);
	wait_for_step(w, "step n=2");
	sleep_ms(500);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(is_gone_within(w->nap, 9000));
	/* teardown() looks for what is left of the loaded tool; here between two commands. */
	forget_database(w);
	write_file(w, "mig/002.py", "");
	write_file(w, "mig/look.sh", "kill -9 $(cat $STEPBOX_DIR/pid)");
	install_run(w);
	launch(w, "");
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static const struct CMUnitTest commands[] = {
	CASE(tasks_run_in_order_and_the_first_failure_ends_it),
	CASE(questions_are_asked_behind_the_walk),
	CASE(a_question_without_an_end_is_no_success),
	CASE(a_command_has_the_users_locale),
	CASE(files_arrive_byte_for_byte),
	CASE(a_plan_that_did_not_arrive_whole_is_no_success),
	CASE(a_run_is_never_started_twice),
	CASE(output_cannot_fake_a_record),
	CASE(output_is_told_while_the_command_runs),
	CASE(long_output_loses_its_middle),
	CASE(endless_output_is_ended),
	CASE(a_command_may_cut_its_own_output),
	CASE(a_daemon_left_behind_neither_holds_us_nor_writes_into_later_records),
	CASE(a_timeout_ends_the_whole_group),
	CASE(a_command_that_ignores_its_timeout_is_killed),
	CASE(an_exit_code_like_a_signals_is_one),
	CASE(a_stop_in_a_step_is_told),
	CASE(nothing_stays_when_the_runner_is_killed),
};
static const struct CMUnitTest walks[] = {
	CASE(up_from_base_to_head),
	CASE(one_up_one_down_from_where_the_database_is),
	CASE(down_from_a_version_in_the_middle),
	CASE(no_way_down),
	CASE(a_step_that_does_not_work_is_looked_at),
	CASE(exit_codes_are_not_believed),
	CASE(a_step_has_its_time),
	CASE(looking_may_not_work),
	CASE(versions_may_come_with_the_look),
	CASE(tools_that_tell_all_applied_versions),
	CASE(gaps_in_what_is_applied_are_filled),
	CASE(several_heads_come_in_the_order_of_the_list),
	CASE(numbers_are_versions_however_they_are_spelled),
	CASE(a_version_that_is_not_there_is_named),
	CASE(lists_that_cannot_be_used),
	CASE(the_first_variant_that_fits_is_taken),
	CASE(snippets_get_what_the_contract_says),
	CASE(large_dumps_come_as_deltas),
	CASE(dumps_survive_byte_for_byte),
	CASE(a_full_disk_is_no_success),
};
static const struct CMUnitTest trips[] = {
	CASE(each_version_goes_up_down_and_up_again),        CASE(a_way_down_that_fails_is_put_right),
	CASE(what_a_round_trip_loses_is_put_right),          CASE(a_refusal_that_changes_nothing_needs_no_putting_back),
	CASE(without_a_way_back_the_walk_ends_where_it_is),  CASE(the_second_way_up_may_fail),
	CASE(a_way_back_that_leads_elsewhere_ends_the_walk), CASE(a_round_trip_leads_up),
	CASE(data_is_filled_in_before_its_version),          CASE(what_cannot_be_filled_in_ends_the_walk),
	CASE(data_for_a_version_that_is_not_there),          CASE(the_generator_runs_while_tables_are_empty),
};

static const struct CMUnitTest warm[] = {
	CASE(a_loaded_tool_steps_as_a_cold_one),
	CASE(a_loaded_tool_fails_as_a_cold_one),
	CASE(what_is_not_clean_is_not_loaded),
	CASE(no_interpreter_is_no_failure),
	CASE(what_would_not_be_the_same_is_cold),
	CASE(code_that_changes_is_loaded_anew),
	CASE(a_loaded_tool_that_dies_in_a_step_fails_it),
	CASE(a_warm_step_has_its_time),
	CASE(a_stop_and_a_kill_reach_warm_steps),
};

static int run_group(const char *const *with_shell, int which)
{
	static const char *const names[] = {"commands", "walks", "trips and data", "a loaded tool"};
	AUTO_FREE char *name = xasprintf("%s under %s", names[which], with_shell[0]);
	shell = with_shell;
	alarm(240); /* a test that hangs costs everybody's time */
	if (which == 0)
		return cmocka_run_group_tests_name(name, commands, NULL, NULL);
	if (which == 3)
		return cmocka_run_group_tests_name(name, warm, NULL, NULL);
	if (which == 1)
		return cmocka_run_group_tests_name(name, walks, NULL, NULL);
	return cmocka_run_group_tests_name(name, trips, NULL, NULL);
}

enum { GROUPS = 8 };

/* Most of the time is waiting, so all groups run at once. */
int main(int argc, char **argv)
{
	int failed = 0, status = 0;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	for (int i = 0; i < GROUPS; i++) {
		fflush(NULL);
		pid_t child = fork();
		assert(child >= 0);
		if (child == 0)
			return run_group(i & 1 ? bash : dash, i / 2) ? 1 : 0;
	}
	for (int i = 0; i < GROUPS; i++)
		if (wait(&status) < 0 || status != 0)
			failed++;
	print_message("%d of %d groups did not pass\n", failed, GROUPS);
	return failed ? 1 : 0;
}
