/* SPDX-License-Identifier: MIT */
/* What a machine needs for boxes of its own. The last check builds a box's namespaces and mounts for real; the ones
 * before it name the likely reason when it does not work. */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/text.h"
#include "cloud/local.h"

#define PROBE_MS 15000
/* A base tree is about 400 MB, and a box with a stack of packages 1 GB. */
#define SPACE_MIN_MIB 2048

struct check {
	cloud_check_fn report;
	void *ctx;
};

static void ok(const struct check *c, const char *subject, const char *detail)
{
	c->report(c->ctx, subject, true, detail, NULL);
}

static void bad(const struct check *c, const char *subject, const char *detail, const char *fix)
{
	c->report(c->ctx, subject, false, detail, fix);
}

static void check_programs(const struct check *c)
{
	static const struct {
		const char *program, *package;
	} needs[] = {{"unshare", "util-linux"},   {"setpriv", "util-linux"}, {"setsid", "util-linux"},
		     {"flock", "util-linux"},     {"mount", "mount"},        {"pivot_root", "util-linux"},
		     {"hostname", "hostname"},    {"env", "coreutils"},      {"tar", "tar"},
		     {"mmdebstrap", "mmdebstrap"}};
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		AUTO_FREE char *path = fs_which(needs[i].program);
		AUTO_FREE char *sbin = xasprintf("/usr/sbin/%s", needs[i].program);
		AUTO_FREE char *fix = xasprintf("apt-get install -y %s", needs[i].package);
		if (path || fs_exists(sbin))
			ok(c, needs[i].program, path ? path : sbin);
		else
			bad(c, needs[i].program, "not installed", fix);
	}
}

/* Kernel settings that can forbid namespaces. One that a kernel has not does not forbid. */
static void check_settings(const struct check *c)
{
	static const struct {
		const char *name, *path;
		bool good_when_zero;
		const char *mend;
	} settings[] = {
		{"kernel.unprivileged_userns_clone", "/proc/sys/kernel/unprivileged_userns_clone", false, "1"},
		{"kernel.apparmor_restrict_unprivileged_userns",
		 "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", true, "0"},
		{"user.max_user_namespaces", "/proc/sys/user/max_user_namespaces", false, "65536"},
		{"user.max_mnt_namespaces", "/proc/sys/user/max_mnt_namespaces", false, "65536"},
		{"user.max_pid_namespaces", "/proc/sys/user/max_pid_namespaces", false, "65536"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		struct err ignored = ERR_INIT;
		AUTO_BUF text = buf_make(64);
		if (fs_read(settings[i].path, 64, &text, &ignored) < 0)
			continue;
		long value = strtol(text.data, NULL, 10);
		AUTO_FREE char *detail = xasprintf("%ld", value);
		AUTO_FREE char *fix = xasprintf("sysctl -w %s=%s", settings[i].name, settings[i].mend);
		if ((value == 0) == settings[i].good_when_zero)
			ok(c, settings[i].name, detail);
		else
			bad(c, settings[i].name, detail, fix);
	}
}

/* Root without CAP_SYS_ADMIN: a container's. */
static void check_capability(const struct check *c)
{
	static const char key[] = "CapEff:";
	struct err ignored = ERR_INIT;
	AUTO_BUF text = buf_make(1 << 16);
	if (geteuid() != 0 || fs_read("/proc/self/status", 1 << 16, &text, &ignored) < 0)
		return;
	const char *line = strstr(text.data, key);
	uint64_t caps = line ? strtoull(line + sizeof(key) - 1, NULL, 16) : 0;
	if (caps >> CAP_SYS_ADMIN & 1)
		ok(c, "CAP_SYS_ADMIN", "root has it");
	else
		bad(c, "CAP_SYS_ADMIN", "root of a container that may not mount", "docker run --privileged ...");
}

/* File systems that cannot hold the upper half of an overlay. */
static void check_file_system(const struct check *c)
{
	static const struct {
		unsigned long type;
		const char *name;
	} unable[] = {{OVERLAYFS_SUPER_MAGIC, "an overlay itself (a container's?)"},
		      {NFS_SUPER_MAGIC, "on NFS"},
		      {FUSE_SUPER_MAGIC, "on FUSE"},
		      {MSDOS_SUPER_MAGIC, "FAT"}};
	struct statfs st;
	const char *dir = fs_state_dir();
	struct err ignored = ERR_INIT;
	if (fs_mkdirs(dir, 0700, &ignored) < 0 || statfs(dir, &st) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(unable); i++)
		if ((unsigned long)st.f_type == unable[i].type) {
			AUTO_FREE char *detail = xasprintf("%s is %s", dir, unable[i].name);
			bad(c, "file system of boxes", detail, "export XDG_STATE_HOME=/a/directory/on/a/disk");
			return;
		}
	ok(c, "file system of boxes", dir);
}

/* Returns whether boxes can have their ids. */
static bool check_ids(const struct check *c)
{
	struct err err = ERR_INIT;
	struct local_ids ids;
	if (local_ids(&ids, &err) == 0) {
		ok(c, "ids for root inside", ids.root ? "as root: ids of no user" : ids.uids);
		return true;
	}
	/* The message is "what is missing: the command". */
	char *colon = strstr(err.msg, ": ");
	if (colon)
		*colon = '\0';
	bad(c, "ids for root inside", err.msg, colon ? colon + 2 : NULL);
	return false;
}

static void check_space(const struct check *c)
{
	struct statvfs st;
	const char *dir = fs_cache_dir();
	if (!fs_exists(dir) || statvfs(dir, &st) < 0)
		if (statvfs("/", &st) < 0)
			return;
	uint64_t mib = (uint64_t)st.f_bavail * st.f_frsize >> 20;
	AUTO_FREE char *detail = xasprintf("%" PRIu64 " MiB free in %s", mib, dir);
	if (mib >= SPACE_MIN_MIB)
		ok(c, "disk space", detail);
	else
		bad(c, "disk space", detail, "stepbox gc");
}

/* Builds namespaces and mounts as a box has them, and says the line that did not work. */
static int probe(struct buf *said, struct err *err)
{
	struct local_ids ids;
	if (local_ids(&ids, err) < 0)
		return -1;
	AUTO_FREE char *dir = xasprintf("%s/probe-%ld", fs_state_dir(), (long)getpid());
	if (fs_mkdirs(dir, 0700, err) < 0)
		return -1;
	const char *const as_root[] = {"env",        LOCAL_PATH, "unshare", "--mount", "--propagation", "slave", "sh",
				       "./probe.sh", ids.uids,   ids.gids,  NULL};
	const char *const as_user[] = {"env", LOCAL_PATH, "sh", "./probe.sh", ids.uids, ids.gids, NULL};
	struct proc_opts opts = {
		.dir = dir, .out = said, .merge = true, .deadline = clock_deadline(PROBE_MS), .mode = WAIT_IGNORE_STOP};
	int rc = local_script(dir, "probe.sh", true, err);
	if (rc == 0)
		rc = proc_run(ids.root ? as_root : as_user, &opts, err);
	struct err ignored = ERR_INIT;
	if (local_remove(dir, clock_deadline(PROBE_MS), &ignored) < 0 && rc == 0)
		*err = ignored;
	return rc;
}

static void check_probe(const struct check *c)
{
	struct err err = ERR_INIT;
	AUTO_BUF said = buf_make(4096);
	AUTO_BUF line = buf_make(1024);
	int rc = probe(&said, &err);
	if (rc == 0) {
		ok(c, "namespaces and overlay", "built and taken down");
		return;
	}
	text_safe_line(&line, said.data, said.len, 400);
	/* Nothing above explains it: a container or an old kernel (5.11 brought overlays in user namespaces). */
	bad(c, "namespaces and overlay", rc < 0 ? err.msg : line.data, NULL);
}

/* Everything but the trial; returns whether a trial makes sense. */
static bool check_parts(const struct check *c)
{
	check_programs(c);
	check_settings(c);
	check_capability(c);
	check_file_system(c);
	check_space(c);
	return check_ids(c);
}

void local_doctor(const char *cloud, cloud_check_fn report, void *ctx)
{
	struct check c = {report, ctx};
	(void)cloud;
	if (check_parts(&c))
		check_probe(&c);
}

/* The first thing that is missing and has a cure. */
static void keep_first(void *ctx, const char *subject, bool is_ok, const char *detail, const char *fix)
{
	struct buf *first = ctx;
	if (!is_ok && fix && !first->len)
		buf_addf(first, "%s: %s, mend it with `%s`", subject, detail, fix);
}

int local_explain(struct err *err)
{
	AUTO_BUF first = buf_make(512);
	struct check c = {keep_first, &first};
	check_parts(&c);
	return first.len ? err_ctx(err, "%s", first.data) : -1;
}
