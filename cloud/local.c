/* SPDX-License-Identifier: MIT */
/* The `local` driver: boxes on this machine, by util-linux's unshare, overlayfs and sshd. See local.h. */
#include "cloud/local.h"

#include <arpa/inet.h>
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/owner.h"
#include "base/proc.h"
#include "base/template.h"
#include "base/text.h"
#include "cloud/driver.h"

/* A box is up in a fifth of a second; a machine under heavy load gets this much. */
#define BOOT_MS 60000
/* The keeper detaches at once. */
#define START_MS 20000
/* Ports that are tried, should others take them between our look and sshd's bind. */
#define PORTS           6
#define REPORT_MAX      ((size_t)64 << 10)
#define RESOLV_CONF_MAX ((size_t)64 << 10)
/* How long a box may take to end when asked, and a keeper to remove its directory, before they are killed. */
#define ASK_MS  3000
#define LOOK_MS 2
/* A directory without a lock file is being made or removed by somebody; after this, nobody is left to do it. */
#define NO_LOCK_MS  2000
#define STRAY_MS    30000
#define LAST_ACT_MS 500
#define TEARDOWN_MS 60000

static char *box_dir(const char *name)
{
	return xasprintf("%s/boxes/%s", fs_state_dir(), name);
}

static int box_lock(const char *dir)
{
	AUTO_FREE char *path = xasprintf("%s/lock", dir);
	return local_lock(path, false);
}

static bool local_serves(const char *cloud)
{
	return strcmp(cloud, "local") == 0;
}

/* What lies under the box: the base tree, and a layer over it or "". */
static int trees(const struct box_spec *spec, const struct cloud_watch *watch, mono_ms deadline, char base[PATH_MAX],
		 char layer[PATH_MAX], struct err *err)
{
	layer[0] = '\0';
	if (local_base(spec->image, watch, deadline, base, err) < 0)
		return -1;
	return spec->layer ? local_layer(base, spec->layer, spec->layer_title, watch, deadline, layer, err) : 0;
}

static int local_prepare(const struct box_spec *spec, struct box *box, const struct cloud_watch *watch,
			 mono_ms deadline, struct err *err)
{
	char base[PATH_MAX], layer[PATH_MAX];
	if (box)
		(void)snprintf(box->user, sizeof(box->user), "root");
	return trees(spec, watch, deadline, base, layer, err);
}

static int local_admit(const struct box_spec *spec, struct box *box, const struct cloud_watch *watch, struct err *err)
{
	(void)spec;
	(void)box;
	(void)watch;
	(void)err;
	return 0;
}

/* ---- create: the directory ---- */

static int link_tree(const char *from, const char *dir, const char *name, struct err *err)
{
	AUTO_FREE char *tree = xasprintf("%s/tree", from);
	AUTO_FREE char *link = xasprintf("%s/%s", dir, name);
	return symlink(tree, link) < 0 ? err_sys(err, ERR_BOX, errno, "%s", link) : 0;
}

static int make_file(const char *dir, const char *name, mode_t type, struct err *err)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	int rc = S_ISDIR(type) ? mkdir(path, 0755) : mknod(path, type, 0);
	/* The umask may be anything. */
	return rc < 0 || chmod(path, type & 0777) < 0 ? err_sys(err, ERR_BOX, errno, "%s", path) : 0;
}

int local_overlay(const char *dir, const char *base, bool root, struct err *err)
{
	AUTO_FREE char *upper = xasprintf("%s/upper", dir);
	if (make_file(dir, "upper", S_IFDIR | 0755, err) < 0)
		return -1;
	if (root && chown(upper, LOCAL_FIRST_ID, LOCAL_FIRST_ID) < 0)
		return err_sys(err, ERR_BOX, errno, "%s", upper);
	return make_file(dir, "work", S_IFDIR | 0755, err) < 0 || make_file(dir, "out", S_IFIFO | 0600, err) < 0 ||
			       make_file(dir, "go", S_IFIFO | 0600, err) < 0 ||
			       /* By a link, as mount options cannot hold every path. */
			       link_tree(base, dir, "lower", err) < 0 || local_script(dir, "mounts.sh", false, err) < 0
		       ? -1
		       : 0;
}

static int make_files(const char *dir, const char *base, const char *layer, bool root, struct err *err)
{
	return local_overlay(dir, base, root, err) < 0 || make_file(dir, "control", S_IFIFO | 0600, err) < 0 ||
			       make_file(dir, "lock", S_IFREG | 0600, err) < 0 ||
			       (*layer && link_tree(layer, dir, "layer", err) < 0) ||
			       local_script(dir, "keeper.sh", true, err) < 0
		       ? -1
		       : 0;
}

static int local_create(struct db *db, const struct box_spec *spec, struct box *box, const struct cloud_watch *watch,
			mono_ms deadline, struct err *err)
{
	(void)db;
	char base[PATH_MAX], layer[PATH_MAX];
	struct local_ids ids;
	(void)snprintf(box->id, sizeof(box->id), "%s", box->name);
	AUTO_FREE char *boxes = xasprintf("%s/boxes", fs_state_dir());
	AUTO_FREE char *dir = box_dir(box->name);
	if (local_ids(&ids, err) < 0 || trees(spec, watch, deadline, base, layer, err) < 0 ||
	    fs_mkdirs(boxes, 0700, err) < 0)
		return -1;
	if (mkdir(dir, 0700) < 0)
		return err_sys(err, ERR_BOX, errno, "%s", dir);
	return make_files(dir, base, layer, ids.root, err);
}

/* ---- await: the processes ---- */

/* Free ports on the loopback address, as "P1 P2 …": all are bound at a time, so that they differ. */
static int free_ports(struct buf *out, struct err *err)
{
	int fds[PORTS], rc = 0, n = 0;
	for (; n < PORTS && rc == 0; n++) {
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t len = sizeof(a);
		fds[n] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[n] < 0 || bind(fds[n], (struct sockaddr *)&a, len) < 0 ||
		    getsockname(fds[n], (struct sockaddr *)&a, &len) < 0)
			rc = err_sys(err, ERR_BOX, errno, "looking for a free port");
		else
			buf_addf(out, "%s%d", n ? " " : "", ntohs(a.sin_port));
	}
	while (n-- > 0)
		fd_closep(&fds[n]);
	return rc;
}

static void add_setting(struct buf *out, const char *name, const char *value)
{
	buf_addf(out, "%s=", name);
	text_shell_quote(out, value);
	buf_addc(out, '\n');
}

/* The proxies of our environment, for all logins of the box: words for sshd's SetEnv. */
static void add_proxies(struct buf *out)
{
	static const char *const names[] = {"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy",
					    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"};
	AUTO_BUF words = buf_make(BUF_TEXT_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);
		bool plain = value && *value;
		for (const char *p = value; plain && *p; p++)
			plain = *p > ' ' && *p < 0x7f && *p != '"' && *p != '\\';
		if (plain)
			buf_addf(&words, " \"%s=%s\"", names[i], value);
	}
	add_setting(out, "sshd_env", words.data);
}

void local_settings(const char *name, struct buf *out)
{
	struct err ignored = ERR_INIT;
	AUTO_BUF resolv = buf_make(RESOLV_CONF_MAX);
	if (fs_read("/etc/resolv.conf", RESOLV_CONF_MAX, &resolv, &ignored) < 0)
		log_debug(name, "%s", ignored.msg); /* a machine without a resolver has boxes without one */
	add_setting(out, "name", name);
	add_setting(out, "resolv_conf", resolv.data);
	add_proxies(out);
}

/* The program of pid 1. It goes in by stdin, as it holds the host key: never by arguments, never onto the disk. */
static int init_program(const struct box_spec *spec, const struct box *box, struct buf *out, struct err *err)
{
	AUTO_BUF ports = buf_make(256);
	if (free_ports(&ports, err) < 0)
		return -1;
	local_settings(box->name, out);
	buf_addf(out, "expires=%" PRId64 "\n", box->expires);
	add_setting(out, "ports", ports.data);
	add_setting(out, "host_key", spec->host_key->private_pem);
	add_setting(out, "login_key", spec->login_key->public_line);
	return template_file("local/init.sh", out, err);
}

/* Starts the keeper in a session of its own. report_fd becomes its stdout. */
static int start_keeper(const struct box *box, const struct local_ids *ids, const struct buf *init, int report_fd,
			struct err *err)
{
	AUTO_FREE char *dir = box_dir(box->name);
	AUTO_FREE char *script = xasprintf("%s/keeper.sh", dir);
	const char *argv[24];
	size_t n = 0;
	/* Nothing of our environment gets in. */
	static const char *const clean[] = {"env", "-i", LOCAL_PATH, "LC_ALL=C.UTF-8", "setsid", "--fork"};
	static const char *const as_root[] = {"unshare", "--mount", "--propagation", "slave"};
	for (size_t i = 0; i < ARRAY_SIZE(clean); i++)
		argv[n++] = clean[i];
	for (size_t i = 0; ids->root && i < ARRAY_SIZE(as_root); i++)
		argv[n++] = as_root[i];
	argv[n++] = "sh";
	argv[n++] = script;
	argv[n++] = box->name;
	argv[n++] = ids->uids;
	argv[n++] = ids->gids;
	argv[n] = NULL;
	struct proc_opts opts = {.dir = dir,
				 .input = init->data,
				 .input_len = init->len,
				 .output_fd = report_fd,
				 .merge = true,
				 .deadline = clock_deadline(START_MS),
				 .mode = WAIT_IGNORE_STOP};
	int rc = proc_run(argv, &opts, err);
	return rc > 0 ? err_set(err, ERR_BOX, rc, "its keeper ended at once (%d)", rc) : rc;
}

/* The port in a complete line "listening PORT" of the report, 0 when there is none yet. */
static int listening_port(const char *report)
{
	static const char word[] = "listening ";
	for (const char *line = report, *end; (end = strchr(line, '\n')); line = end + 1)
		if (text_starts(line, word))
			return (int)strtol(line + sizeof(word) - 1, NULL, 10);
	return 0;
}

/* Reads what the keeper says until the box listens or the keeper has gone. */
static int follow_keeper(int fd, mono_ms deadline, int *port, struct err *err)
{
	char piece[4096];
	AUTO_BUF report = buf_make(REPORT_MAX);
	while ((*port = listening_port(report.data)) == 0) {
		int ready = wait_fd(fd, POLLIN, deadline, WAIT_STOPPABLE, err);
		if (ready < 0)
			return -1;
		if (ready == 0)
			return err_set(err, ERR_BOX, 0, "its sshd did not listen in time");
		ssize_t n = read(fd, piece, sizeof(piece));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			AUTO_BUF line = buf_make(1024);
			text_safe_line(&line, report.data, report.len, 400);
			err_set(err, ERR_BOX, 0, "%s", line.len ? line.data : "ended before its sshd listened");
			return local_explain(err);
		}
		buf_add(&report, piece, (size_t)n);
	}
	return 0;
}

static int local_await(struct db *db, const struct box_spec *spec, struct box *box, const struct cloud_watch *watch,
		       mono_ms deadline, struct err *err)
{
	(void)db;
	int fds[2];
	struct local_ids ids;
	AUTO_BUF init = buf_make(BUF_TEXT_MAX);
	mono_ms until = clock_deadline(BOOT_MS);
	if (until > deadline)
		until = deadline;
	if (watch->stage)
		watch->stage(watch->ctx, "starting the box", NULL, until - clock_mono());
	if (local_ids(&ids, err) < 0 || init_program(spec, box, &init, err) < 0)
		return -1;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, ERR_BOX, errno, "pipe");
	AUTO_CLOSE int report = fds[0];
	int rc = start_keeper(box, &ids, &init, fds[1], err);
	close(fds[1]);
	if (rc < 0 || follow_keeper(report, until, &box->port, err) < 0)
		return -1;
	if (box->port < 1 || box->port > UINT16_MAX)
		return err_set(err, ERR_BOX, 0, "its keeper names port %d", box->port);
	(void)snprintf(box->address, sizeof(box->address), "127.0.0.1");
	return 0;
}

/* ---- a box that is there ---- */

/* Says a line to pid 1. -1 (quietly) when nobody listens. */
static int tell(const char *dir, const char *line)
{
	AUTO_FREE char *path = xasprintf("%s/control", dir);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -1;
	size_t n = strlen(line);
	return write(fd, line, n) == (ssize_t)n ? 0 : -1;
}

static int local_alive(const struct box *box, struct err *err)
{
	(void)err;
	AUTO_FREE char *dir = box_dir(box->name);
	AUTO_CLOSE int fd = box_lock(dir);
	return fd == -1;
}

static int local_extend(const struct box *box, int64_t expires, struct err *err)
{
	char line[64];
	AUTO_FREE char *dir = box_dir(box->name);
	(void)snprintf(line, sizeof(line), "expires %" PRId64 "\n", expires);
	if (local_alive(box, err) != 1 || tell(dir, line) < 0)
		return err_set(err, ERR_BOX, 0, "box %s has ended", box->name);
	return 0;
}

/* ---- the end ---- */

/* Kills the keeper, with whom everything dies; the lock tells when that has happened. */
static void kill_keeper(const char *dir)
{
	struct err ignored = ERR_INIT;
	AUTO_BUF text = buf_make(64);
	AUTO_FREE char *path = xasprintf("%s/pid", dir);
	if (fs_read(path, 64, &text, &ignored) < 0)
		return;
	char *end;
	int64_t pid = strtoll(text.data, &end, 10), start = strtoll(end, NULL, 10);
	if (owner_alive(pid, start))
		kill((pid_t)pid, SIGKILL);
}

/* Waits until the directory is gone, or is ours to remove: then the lock's descriptor is in *lock. */
static int wait_end(const char *dir, mono_ms deadline, int *lock, struct err *err)
{
	bool asked = false;
	mono_ms patience = clock_deadline(ASK_MS), no_lock = clock_deadline(NO_LOCK_MS);
	while (fs_exists(dir)) {
		*lock = box_lock(dir);
		if (*lock >= 0)
			return 0;
		bool busy = *lock == -1;
		if (!busy && clock_mono() >= no_lock)
			return 0;
		/* Asked until somebody has heard it: a box that is still starting cannot yet. */
		if (busy && !asked)
			asked = tell(dir, "end\n") == 0;
		if (busy && clock_mono() >= patience)
			kill_keeper(dir);
		if (clock_mono() >= deadline)
			return err_set(err, ERR_BOX, 0, "%s: its processes do not end", dir);
		if (wait_ms(LOOK_MS, WAIT_IGNORE_STOP, err) < 0)
			return -1;
	}
	return 0;
}

static int end_dir(const char *dir, mono_ms deadline, struct err *err)
{
	AUTO_CLOSE int lock = -1;
	if (wait_end(dir, deadline, &lock, err) < 0)
		return -1;
	return fs_exists(dir) ? local_remove(dir, deadline, err) : 0;
}

static void local_leave(const struct box *box)
{
	(void)box;
}

static void local_console(const struct box *box, int lines, struct buf *out)
{
	(void)box;
	(void)lines;
	(void)out;
}

static int local_end(struct db *db, const struct box *box, mono_ms deadline, struct err *err)
{
	(void)db;
	AUTO_FREE char *dir = box_dir(box->name);
	return end_dir(dir, deadline, err);
}

/* ---- strays ---- */

/* Directories that no row knows. */
static void stray_dirs(const struct cloud_strays *s)
{
	AUTO_FREE char *boxes = xasprintf("%s/boxes", fs_state_dir());
	DIR *d = opendir(boxes);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		AUTO_FREE char *dir = box_dir(e->d_name);
		if (s->known(s->ctx, e->d_name, NULL))
			continue;
		struct err err = ERR_INIT;
		int rc = s->filter->dry_run ? 0 : end_dir(dir, clock_deadline(STRAY_MS), &err);
		AUTO_FREE char *what = xasprintf("directory %s", dir);
		s->found(s->ctx, what, "no box of the ledger", rc, &err);
	}
	closedir(d);
}

/* Is this process a keeper of ours? Its directory is what stands before "/keeper.sh". */
static bool keeper_dir(long pid, char *dir, size_t size)
{
	char path[64], text[PATH_MAX + 64];
	(void)snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 3)
		return false;
	text[n] = '\0';
	AUTO_FREE char *boxes = xasprintf("%s/boxes/", fs_state_dir());
	const char *script = text + strlen(text) + 1; /* "sh\0SCRIPT\0…" */
	if (script >= text + n || strcmp(text, "sh") != 0 || !text_starts(script, boxes) ||
	    !text_ends(script, "/keeper.sh"))
		return false;
	(void)snprintf(dir, size, "%.*s", (int)(strlen(script) - strlen("/keeper.sh")), script);
	return true;
}

/* A keeper whose box has just ended removes the directory itself, as its last act but one. */
static bool stays_without_dir(long pid, char *dir, size_t size)
{
	struct err ignored = ERR_INIT;
	for (mono_ms patience = clock_deadline(LAST_ACT_MS); clock_mono() < patience;) {
		if (!keeper_dir(pid, dir, size) || fs_exists(dir))
			return false;
		if (wait_ms(LOOK_MS, WAIT_IGNORE_STOP, &ignored) < 0)
			break;
	}
	return true;
}

/* Keepers whose directory somebody has removed under them. */
static void stray_processes(const struct cloud_strays *s)
{
	char dir[PATH_MAX];
	DIR *d = opendir("/proc");
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		long pid = strtol(e->d_name, NULL, 10);
		if (pid <= 0 || !stays_without_dir(pid, dir, sizeof(dir)))
			continue;
		struct err err = ERR_INIT;
		int rc = s->filter->dry_run || kill((pid_t)pid, SIGKILL) == 0
				 ? 0
				 : err_sys(&err, ERR_BOX, errno, "kill %ld", pid);
		AUTO_FREE char *what = xasprintf("process %ld", pid);
		s->found(s->ctx, what, "a box without its directory", rc, &err);
	}
	closedir(d);
}

static int local_strays(const struct cloud_strays *s, struct err *err)
{
	(void)err;
	stray_processes(s);
	stray_dirs(s);
	local_layer_strays(s);
	local_base_strays(s);
	return 0;
}

static int local_list(const char *cloud, void (*fn)(struct cloud_listed *l, void *ctx), void *ctx, struct err *err)
{
	(void)cloud;
	(void)fn;
	(void)ctx;
	return err_set(err, ERR_USER, 0, "local: its boxes are those of `stepbox ls`");
}

static void local_exit(void)
{
}

const struct cloud_driver cloud_local = {
	.name = "local",
	.teardown_ms = TEARDOWN_MS,
	.serves = local_serves,
	.prepare = local_prepare,
	.admit = local_admit,
	.create = local_create,
	.await = local_await,
	.end = local_end,
	.alive = local_alive,
	.extend = local_extend,
	.leave = local_leave,
	.console = local_console,
	.strays = local_strays,
	.list = local_list,
	.exit = local_exit,
	.doctor = local_doctor,
};
