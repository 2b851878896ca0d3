/* SPDX-License-Identifier: MIT */
/* Real boxes of the local driver. Skipped (77) on machines that cannot have any: `stepbox doctor` says why. The first
 * run on a machine makes the base tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/stop.h"
#include "base/template.h"
#include "base/text.h"
#include "cloud/cloud.h"
#include "cloud/ledger.h"

#define BOOT_MS   20000
#define DELETE_MS 20000
#define MANY      10

static struct db *db;
static struct key host_key, login_key;

static void must(int rc, const struct err *err)
{
	if (rc < 0)
		fail_msg("%s", err->msg);
}

/* ---- helpers ---- */

static struct db *open_store(void)
{
	struct err err = ERR_INIT;
	AUTO_BUF script = buf_make(BUF_TEXT_MAX);
	must(template_file("store.sql", &script, &err), &err);
	AUTO_FREE char *path = xasprintf("%s/store.db", fs_state_dir());
	must(fs_mkdirs(fs_state_dir(), 0700, &err), &err);
	struct db *d = db_open(path, script.data, &err);
	must(d ? 0 : -1, &err);
	return d;
}

static int boot(struct db *d, const char *name, int64_t ttl_ms, struct box *box, struct err *err)
{
	const struct box_spec spec = {.name = name,
				      .run = "r1",
				      .cloud = "local",
				      .image = "debian-12",
				      .ttl_ms = ttl_ms,
				      .host_key = &host_key,
				      .login_key = &login_key};
	return cloud_boot(d, &spec, NULL, BOOT_MS, box, err);
}

static struct box must_boot(const char *name, int64_t ttl_ms)
{
	struct err err = ERR_INIT;
	struct box box;
	must(boot(db, name, ttl_ms, &box, &err), &err);
	return box;
}

/* What a command on the box prints, by OpenSSH with the pinned host key. */
static char *ssh(const struct box *box, const char *command)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = buf_make(1 << 20);
	AUTO_FREE char *known = xasprintf("%s/known-%s", fs_state_dir(), box->name);
	AUTO_FREE char *line = xasprintf("[%s]:%d %s\n", box->address, box->port, box->host_key);
	must(fs_write(known, line, strlen(line), 0600, &err), &err);
	AUTO_FREE char *known_opt = xasprintf("UserKnownHostsFile=%s", known);
	AUTO_FREE char *port = xasprintf("%d", box->port);
	const char *argv[] = {"ssh",
			      "-F",
			      "none",
			      "-i",
			      box->key_path,
			      "-o",
			      "IdentitiesOnly=yes",
			      "-o",
			      known_opt,
			      "-o",
			      "StrictHostKeyChecking=yes",
			      "-o",
			      "BatchMode=yes",
			      "-p",
			      port,
			      "-l",
			      box->user,
			      box->address,
			      command,
			      NULL};
	struct proc_opts opts = {.out = &out, .merge = true, .deadline = clock_deadline(60000)};
	int rc = proc_run(argv, &opts, &err);
	must(rc, &err);
	if (rc)
		fail_msg("ssh: %d: %s", rc, out.data);
	return buf_take(&out);
}

/* How many processes name this text in a file of their /proc directory. */
static int processes_with(const char *file, const char *text)
{
	int n = 0;
	DIR *d = opendir("/proc");
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		struct err ignored = ERR_INIT;
		char path[300];
		AUTO_BUF b = buf_make(1 << 20);
		(void)snprintf(path, sizeof(path), "/proc/%s/%s", e->d_name, file);
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		char piece[4096];
		for (ssize_t r; (r = read(fd, piece, sizeof(piece))) > 0;)
			buf_add(&b, piece, (size_t)r);
		close(fd);
		(void)ignored;
		n += memmem(b.data, b.len, text, strlen(text)) != NULL;
	}
	closedir(d);
	return n;
}

static bool left(const char *name)
{
	AUTO_FREE char *dir = xasprintf("%s/boxes/%s", fs_state_dir(), name);
	AUTO_FREE char *mount = xasprintf(" overlay %s ", name);
	return fs_exists(dir) || processes_with("cmdline", dir) || processes_with("mountinfo", mount);
}

/* Nothing of the box may be there, or within a moment: the kernel takes mounts down behind the processes. */
static void assert_nothing_left(const char *name)
{
	struct err err = ERR_INIT;
	for (int i = 0; i < 200 && left(name); i++)
		must(wait_ms(10, WAIT_IGNORE_STOP, &err), &err);
	AUTO_FREE char *dir = xasprintf("%s/boxes/%s", fs_state_dir(), name);
	AUTO_FREE char *key = xasprintf("%s/keys/%s", fs_state_dir(), name);
	AUTO_FREE char *mount = xasprintf(" overlay %s ", name);
	assert_int_equal(processes_with("cmdline", dir), 0);
	assert_int_equal(processes_with("mountinfo", mount), 0);
	assert_false(fs_exists(dir));
	assert_false(fs_exists(key));
}

static void must_delete(const char *name)
{
	struct err err = ERR_INIT;
	must(cloud_delete(db, name, &err), &err);
	assert_nothing_left(name);
}

static pid_t keeper_of(const char *name)
{
	struct err err = ERR_INIT;
	AUTO_BUF text = buf_make(64);
	AUTO_FREE char *path = xasprintf("%s/boxes/%s/pid", fs_state_dir(), name);
	must(fs_read(path, 64, &text, &err), &err);
	return (pid_t)strtol(text.data, NULL, 10);
}

static pid_t child_of(pid_t pid)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	char text[64] = "";
	assert_non_null(fgets(text, sizeof(text), f));
	(void)fclose(f);
	return (pid_t)strtol(text, NULL, 10);
}

static int gc(void)
{
	struct err err = ERR_INIT;
	int n = cloud_gc(db, &(struct cloud_gc_filter){.dry_run = false}, NULL, NULL, &err);
	must(n, &err);
	return n;
}

/* ---- tests ---- */

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void assert_has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" in:\n%s", part, text);
}

/* What a command prints becomes this within a few seconds: a login before may be on its way out, pid 1 reaps now and
 * then. */
static void assert_settles(const struct box *box, const char *command, const char *wanted)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *out = ssh(box, command);
	for (int i = 0; i < 20 && strcmp(out, wanted) != 0; i++) {
		must(wait_ms(200, WAIT_IGNORE_STOP, &err), &err);
		free(out);
		out = ssh(box, command);
	}
	assert_string_equal(out, wanted);
}

static void test_inside(void **state)
{
	(void)state;
	struct box box = must_boot("inside", 600000);
	assert_string_equal(box.state, "active");
	AUTO_FREE char *id = ssh(&box, "id -u; hostname; cat /etc/hostname; stat -c %U / /root /etc/passwd");
	assert_string_equal(id, "0\ninside\ninside\nroot\nroot\nroot\n");
	AUTO_FREE char *ps = ssh(&box, "ps -e -o pid=,args=");
	assert_has(ps, "1 bash /run/box/init");
	assert_has_not(ps, "keeper.sh");
	/* Nothing of this machine: its files, descriptors, environment, signal settings. */
	AUTO_FREE char *mounts = ssh(&box, "cat /proc/self/mountinfo");
	assert_has_not(mounts, fs_state_dir());
	assert_has_not(mounts, "/run/box/old");
	assert_settles(&box,
		       "ls -l /proc/[0-9]*/fd | grep -o -- '-> /.*' | grep -v -E '/(dev|proc)/|/run/box/|/control$' || "
		       "echo none",
		       "none\n");
	AUTO_FREE char *env = ssh(&box, "tr '\\0' '\\n' </proc/1/environ; env");
	assert_has_not(env, "STEPBOX_TEST_SECRET");
	/* 32 and 33 are glibc's own. */
	AUTO_FREE char *sig = ssh(&box, "grep -c -E 'SigBlk:.0{16}|SigIgn:.0{7}[01][08]0{7}' /proc/self/status");
	assert_string_equal(sig, "2\n");
	AUTO_FREE char *dev = ssh(&box, "echo x >/dev/null; head -c4 /dev/zero | od -An -tx1; ls /dev/fd/0; "
					"script -qc 'test -t 0 && echo tty' /dev/null");
	assert_has(dev, "00 00 00 00");
	assert_has(dev, "tty");
	AUTO_FREE char *orphans = ssh(&box, "for i in 1 2 3; do sh -c 'true & exec true'; done");
	assert_string_equal(orphans, "");
	assert_settles(&box, "ps -e -o stat= | grep -c Z || true", "0\n");
	must_delete("inside");
}

/* Root inside is nobody outside, or the user who runs this. */
static void test_uids(void **state)
{
	(void)state;
	struct box box = must_boot("uids", 600000);
	AUTO_FREE char *ignored = ssh(&box, "touch /root/mine; useradd -m someone; su someone -c 'touch /tmp/theirs'");
	AUTO_FREE char *mine = xasprintf("%s/boxes/uids/upper/root/mine", fs_state_dir());
	AUTO_FREE char *theirs = xasprintf("%s/boxes/uids/upper/tmp/theirs", fs_state_dir());
	struct stat st;
	if (geteuid() == 0) {
		assert_int_equal(stat(mine, &st), 0);
		assert_int_equal(st.st_uid, 1879048192);
	}
	assert_int_equal(stat(theirs, &st), 0);
	assert_true(st.st_uid > 65535);
	must_delete("uids");
}

static void test_apt(void **state)
{
	(void)state;
	struct box box = must_boot("apt", 600000);
	AUTO_FREE char *out =
		ssh(&box, "apt-get -qq update && apt-get -qq install -y tree >/dev/null 2>&1; tree --version");
	assert_has(out, "tree v");
	must_delete("apt");
}

static void test_expiry(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	must_boot("expiring", 2000);
	must_boot("extended", 2000);
	must(ledger_release(db, "expiring", true, &err), &err);
	must(ledger_release(db, "extended", true, &err), &err);
	must(cloud_extend(db, "extended", clock_wall() + 600, &err), &err);
	AUTO_FREE char *dir = xasprintf("%s/boxes/expiring", fs_state_dir());
	for (int i = 0; i < 100 && fs_exists(dir); i++)
		must(wait_ms(50, WAIT_IGNORE_STOP, &err), &err);
	assert_false(fs_exists(dir));
	assert_int_equal(cloud_alive(db, "expiring", &err), 0);
	assert_int_equal(cloud_alive(db, "extended", &err), 1);
	assert_int_equal(gc(), 1);
	assert_nothing_left("expiring");
	struct box box;
	assert_int_equal(ledger_find(db, "expiring", &box, &err), 1);
	assert_string_equal(box.state, "gone");
	assert_int_equal(cloud_alive(db, "extended", &err), 1);
	must_delete("extended");
	assert_int_equal(cloud_alive(db, "extended", &err), 0);
	assert_int_equal(cloud_extend(db, "extended", clock_wall() + 600, &err), -1);
}

/* kill -9 of any of its processes ends all of them, and gc leaves nothing. */
static void test_kills(void **state)
{
	(void)state;
	for (int victim = 0; victim < 4; victim++) {
		struct err err = ERR_INIT;
		char name[16];
		(void)snprintf(name, sizeof(name), "killed-%d", victim);
		struct box box = must_boot(name, 600000);
		/* A number of our own: other tests run beside us. It may take a moment until the new process has its
		 * name. */
		AUTO_FREE char *mark = xasprintf("3%08d", (int)getpid());
		AUTO_FREE char *start = xasprintf("setsid sleep %s >/dev/null 2>&1 </dev/null & true", mark);
		AUTO_FREE char *sleeper = ssh(&box, start);
		/* Between two names a process has none, and the shell that starts it names it, too: what stays counts.
		 */
		int seen = 0;
		for (int i = 0; i < 400 && seen < 5; i++) {
			seen = processes_with("cmdline", mark) == 1 ? seen + 1 : 0;
			must(wait_ms(10, WAIT_IGNORE_STOP, &err), &err);
		}
		assert_int_equal(seen, 5);
		must(ledger_release(db, name, true, &err), &err);
		pid_t pid = keeper_of(name);
		for (int i = 0; i < victim; i++)
			pid = child_of(pid);
		assert_int_equal(kill(pid, SIGKILL), 0);
		for (int i = 0; i < 400 && cloud_alive(db, name, &err) == 1; i++)
			must(wait_ms(10, WAIT_IGNORE_STOP, &err), &err);
		assert_int_equal(cloud_alive(db, name, &err), 0);
		assert_int_equal(gc(), 1);
		assert_nothing_left(name);
		assert_int_equal(processes_with("cmdline", mark), 0);
	}
}

/* A box that does not listen to anybody is killed. */
static void test_stubborn(void **state)
{
	(void)state;
	must_boot("stubborn", 600000);
	assert_int_equal(kill(child_of(child_of(keeper_of("stubborn"))), SIGSTOP), 0);
	must_delete("stubborn");
}

static void test_names(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct box box;
	assert_int_equal(boot(db, "../evil", 600000, &box, &err), -1);
	assert_int_equal(err.reach, ERR_USER);
	must_boot("twice", 600000);
	assert_int_equal(boot(db, "twice", 600000, &box, &err), -1);
	assert_has(err.msg, "exists already");
	assert_int_equal(cloud_alive(db, "twice", &err), 1);
	must_delete("twice");
	must_boot("twice", 600000);
	must_delete("twice");
	must(cloud_delete(db, "twice", &err), &err);
	assert_int_equal(cloud_delete(db, "never", &err), -1);
	const struct box_spec spec = {.name = "image",
				      .run = "r",
				      .cloud = "local",
				      .image = "debian-9",
				      .ttl_ms = 1000,
				      .host_key = &host_key,
				      .login_key = &login_key};
	assert_int_equal(cloud_boot(db, &spec, NULL, 1000, &box, &err), -1);
	assert_has(err.msg, "debian-12 (bookworm)");
}

static void test_stop(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct box box;
	stop_trigger();
	int rc = boot(db, "stopped", 600000, &box, &err);
	stop_clear();
	assert_int_equal(rc, -1);
	assert_int_equal(err.reach, ERR_CANCELED);
	assert_nothing_left("stopped");
}

static void *many_run(void *arg)
{
	const char *name = arg;
	struct err err = ERR_INIT;
	struct box box;
	if (boot(db, name, 600000, &box, &err) < 0)
		return xstrdup(err.msg);
	AUTO_FREE char *out = ssh(&box, "hostname");
	if (strncmp(out, name, strlen(name)) != 0)
		return xstrdup(out);
	return cloud_delete(db, name, &err) < 0 ? xstrdup(err.msg) : NULL;
}

static void test_many(void **state)
{
	(void)state;
	char names[MANY][16];
	pthread_t threads[MANY];
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "many-%d", i);
		assert_int_equal(pthread_create(&threads[i], NULL, many_run, names[i]), 0);
	}
	for (int i = 0; i < MANY; i++) {
		void *said = NULL;
		pthread_join(threads[i], &said);
		if (said)
			fail_msg("%s: %s", names[i], (char *)said);
		assert_nothing_left(names[i]);
	}
}

/* A stepbox killed after so many ms: whatever there is then, gc ends it. */
static void kill_boot_after(int ms)
{
	struct err err = ERR_INIT;
	pid_t pid = fork();
	if (pid == 0) {
		struct box box;
		struct db *own = open_store();
		_exit(boot(own, "orphan", 600000, &box, &err) < 0 ? 1 : 0);
	}
	must(wait_ms(ms, WAIT_IGNORE_STOP, &err), &err);
	kill(pid, SIGKILL);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	gc();
	assert_nothing_left("orphan");
}

static void test_killed_stepbox(void **state)
{
	(void)state;
	for (int ms = 0; ms <= 160; ms += 4)
		kill_boot_after(ms);
	kill_boot_after(1000);
}

static void add_line(void *ctx, const char *what, const char *why, bool done)
{
	buf_addf(ctx, "%s: %s%s\n", what, why, done ? "" : " (dry)");
}

static void test_gc_keeps(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF said = buf_make(1 << 16);
	AUTO_FREE char *stray = xasprintf("%s/boxes/stray", fs_state_dir());
	AUTO_FREE char *key = xasprintf("%s/keys/stray", fs_state_dir());
	must_boot("owned", 600000);
	must_boot("kept", 600000);
	must_boot("left", 600000);
	must(ledger_release(db, "kept", true, &err), &err);
	must(ledger_release(db, "left", false, &err), &err);
	must(fs_mkdirs(stray, 0700, &err), &err);
	must(fs_write(key, "x", 1, 0600, &err), &err);
	assert_int_equal(cloud_gc(db, &(struct cloud_gc_filter){.dry_run = true}, add_line, &said, &err), 3);
	assert_has(said.data, "box left: its stepbox was killed (dry)");
	assert_has(said.data, "key stray: ");
	assert_has(said.data, "boxes/stray: ");
	assert_int_equal(cloud_alive(db, "left", &err), 1);
	buf_reset(&said);
	assert_int_equal(cloud_gc(db, &(struct cloud_gc_filter){.dry_run = false}, add_line, &said, &err), 3);
	assert_nothing_left("left");
	assert_nothing_left("stray");
	assert_int_equal(cloud_alive(db, "owned", &err), 1);
	assert_int_equal(cloud_alive(db, "kept", &err), 1);
	assert_int_equal(gc(), 0);
	must_delete("owned");
	must_delete("kept");
}

/* Somebody removes the directory of a living box. */
static void test_gc_lost_directory(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	must_boot("lost", 600000);
	AUTO_FREE char *dir = xasprintf("%s/boxes/lost", fs_state_dir());
	AUTO_FREE char *away = xasprintf("%s/away", fs_state_dir());
	assert_int_equal(rename(dir, away), 0);
	must(ledger_release(db, "lost", false, &err), &err);
	assert_true(gc() >= 2);
	assert_nothing_left("lost");
	if (geteuid() == 0)
		must(fs_remove_tree(away, &err), &err);
}

/* An old base tree goes when nobody has used it for long and no box lies over it. */
static void test_gc_base(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF said = buf_make(1 << 16);
	AUTO_FREE char *dir = xasprintf("%s/base/debian-12-00000000", fs_cache_dir());
	AUTO_FREE char *stamp = xasprintf("%s/stamp", dir);
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	must(fs_mkdirs(dir, 0755, &err), &err);
	must(fs_write(stamp, "x", 1, 0644, &err), &err);
	assert_int_equal(cloud_gc(db, &(struct cloud_gc_filter){.dry_run = true}, add_line, &said, &err),
			 0); /* used just now */
	assert_int_equal(utimensat(AT_FDCWD, stamp, times, 0), 0);
	int fd = open(stamp, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	assert_int_equal(cloud_gc(db, &(struct cloud_gc_filter){.dry_run = false}, add_line, &said, &err),
			 0); /* in use */
	assert_true(fs_exists(stamp));
	close(fd);
	assert_int_equal(cloud_gc(db, &(struct cloud_gc_filter){.dry_run = false}, add_line, &said, &err), 1);
	assert_has(said.data, "an older recipe");
	assert_false(fs_exists(dir));
}

/* ---- layers ---- */

static struct box boot_layered(const char *name, const char *layer)
{
	struct err err = ERR_INIT;
	struct box box;
	const struct box_spec spec = {.name = name,
				      .run = "r1",
				      .cloud = "local",
				      .image = "debian-12",
				      .ttl_ms = 600000,
				      .host_key = &host_key,
				      .login_key = &login_key,
				      .layer = layer,
				      .layer_title = "a test"};
	must(cloud_boot(db, &spec, NULL, BOOT_MS, &box, &err), &err);
	return box;
}

/* Directories of the cache that hold layers and parts of them, by what is in their stamps. */
static int layers_with(const char *text)
{
	int n = 0;
	AUTO_FREE char *dir = xasprintf("%s/layers", fs_cache_dir());
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		struct err ignored = ERR_INIT;
		AUTO_BUF stamp = buf_make(1 << 16);
		AUTO_FREE char *path = xasprintf("%s/%s/stamp", dir, e->d_name);
		n += fs_read(path, 1 << 16, &stamp, &ignored) == 0 && strstr(stamp.data, text);
	}
	if (d)
		closedir(d);
	return n;
}

static void assert_ssh(const struct box *box, const char *command, const char *wanted)
{
	AUTO_FREE char *out = ssh(box, command);
	assert_string_equal(out, wanted);
}

/* Made once; what one box does to its files no other sees. A name of its own each time, as the cache outlives us. */
static void test_layer(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_FREE char *script = xasprintf(
		"echo \"$(id -u) $PATH\"; date +%%s%%N >/usr/share/made-%d\nrm /usr/bin/tac\n", (int)getpid());
	AUTO_FREE char *file = xasprintf("/usr/share/made-%d", (int)getpid());
	AUTO_FREE char *cat = xasprintf("cat %s", file);
	struct box a = boot_layered("layer-a", script), b = boot_layered("layer-b", script);
	AUTO_FREE char *made = ssh(&a, cat);
	assert_true(strlen(made) > 10);
	assert_ssh(&b, cat, made);
	assert_ssh(&b, "ls /usr/bin/tac 2>/dev/null; ls -d /usr/bin/cat; stat -c %U /usr/share",
		   "/usr/bin/cat\nroot\n");
	AUTO_FREE char *change = xasprintf("echo mine >%s", file);
	assert_ssh(&a, change, "");
	assert_ssh(&b, cat, made);
	AUTO_FREE char *id_a = ssh(&a, "cat /etc/machine-id"), *id_b = ssh(&b, "cat /etc/machine-id");
	assert_string_not_equal(id_a, id_b);
	must_delete("layer-a");
	/* It goes when nobody has used it for long, but not from under a box. */
	assert_int_equal(layers_with(file), 1);
	AUTO_FREE char *dir = xasprintf("%s/layers", fs_cache_dir());
	AUTO_FREE char *age = xasprintf("cd %s && touch -d '3 days ago' $(grep -l %s ./*/stamp)", dir, file);
	const char *const argv[] = {"sh", "-c", age, NULL};
	must(proc_run(argv, &(struct proc_opts){.deadline = clock_deadline(10000)}, &err), &err);
	gc();
	assert_int_equal(layers_with(file), 1);
	assert_ssh(&b, cat, made);
	must_delete("layer-b");
	assert_true(gc() >= 1);
	assert_int_equal(layers_with(file), 0);
}

/* A script that does not succeed leaves nothing: the box is there without its layer. */
static void test_layer_fails(void **state)
{
	(void)state;
	AUTO_FREE char *script =
		xasprintf("touch /usr/share/made-%d\necho 'E: no such package' >&2\nfalse\n", (int)getpid());
	AUTO_FREE char *file = xasprintf("ls /usr/share/made-%d 2>/dev/null || echo none", (int)getpid());
	struct box box = boot_layered("layer-c", script);
	assert_ssh(&box, file, "none\n");
	assert_int_equal(layers_with("no such package"), 0);
	must_delete("layer-c");
}

/* ---- main ---- */

static void look(void *ctx, const char *subject, bool ok, const char *detail, const char *fix)
{
	if (ok)
		return;
	(void)fprintf(stderr, "skipped: %s: %s%s%s\n", subject, detail, fix ? ": " : "", fix ? fix : "");
	*(bool *)ctx = false;
}

static void show_stage(void *ctx, const char *stage, const char *detail, int64_t limit_ms)
{
	(void)ctx;
	(void)limit_ms;
	if (!detail)
		(void)fprintf(stderr, "# %s\n", stage);
}

static int start(void)
{
	struct err err = ERR_INIT;
	struct cloud_watch watch = {.stage = show_stage, .ctx = NULL};
	bool able = true;
	stop_install();
	cloud_doctor("local", look, &able);
	if (!able)
		return 77;
	if (key_generate(&host_key, "host", &err) < 0 || key_generate(&login_key, "login", &err) < 0 ||
	    cloud_prepare("local", "bookworm", &watch, clock_deadline(1800000), &err) < 0) {
		(void)fprintf(stderr, "skipped: %s\n", err.msg);
		return 77;
	}
	db = open_store();
	/* What others have left in the cache would be counted with ours. */
	return cloud_gc(db, &(struct cloud_gc_filter){.dry_run = false}, NULL, NULL, &err) < 0 ? 77 : 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inside),      cmocka_unit_test(test_uids),
		cmocka_unit_test(test_apt),         cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_kills),       cmocka_unit_test(test_stubborn),
		cmocka_unit_test(test_names),       cmocka_unit_test(test_stop),
		cmocka_unit_test(test_many),        cmocka_unit_test(test_killed_stepbox),
		cmocka_unit_test(test_gc_keeps),    cmocka_unit_test(test_gc_lost_directory),
		cmocka_unit_test(test_gc_base),     cmocka_unit_test(test_layer),
		cmocka_unit_test(test_layer_fails),
	};
	char dir[] = "/tmp/stepbox-local-XXXXXX";
	if (!mkdtemp(dir) || setenv("XDG_STATE_HOME", dir, 1) < 0 || setenv("STEPBOX_TEST_SECRET", "1", 1) < 0)
		return 1;
	struct err err = ERR_INIT;
	int rc = start();
	if (rc == 0) {
		rc = cmocka_run_group_tests(tests, NULL, NULL);
		/* What a test that did not end well has left. */
		if (db_run(db, &err, "UPDATE boxes SET expires = 0, owner_pid = 0", "") < 0 ||
		    cloud_gc(db, &(struct cloud_gc_filter){.dry_run = false}, NULL, NULL, &err) < 0)
			(void)fprintf(stderr, "%s\n", err.msg);
	}
	db_close(db);
	if (fs_remove_tree(dir, &err) < 0)
		(void)fprintf(stderr, "%s\n", err.msg);
	return rc;
}
