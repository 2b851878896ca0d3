/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/template.h"
#include "base/text.h"
#include "cloud/local.h"

#define SUBIDS_MAX ((size_t)1 << 20)
/* Ids an ordinary user needs besides its own. */
#define SUB_COUNT (LOCAL_IDS - 1)
/* Where Debian's useradd begins with subordinate ids. */
#define SUB_FIRST 100000

/* ---- the mapping ---- */

/* A line "NAME:FIRST:COUNT" of subuid(5); 0 when it is one. */
static int parse_range(char *line, const char **who, uint64_t *first, uint64_t *count)
{
	char *end;
	char *colon = strchr(line, ':');
	if (!colon)
		return -1;
	*colon = '\0';
	*who = line;
	errno = 0;
	*first = strtoull(colon + 1, &end, 10);
	if (errno || *end != ':')
		return -1;
	*count = strtoull(end + 1, &end, 10);
	return errno || *end || *first > UINT32_MAX || *count > UINT32_MAX ? -1 : 0;
}

/* Looks for a range of the user (by name or number) that is large enough: *first is 0 when there is none. *next is
 * the first id behind all ranges, for the advice. */
static void find_range(const char *path, const char *user, uint64_t *first, uint64_t *next)
{
	struct err ignored = ERR_INIT;
	char number[32];
	AUTO_BUF text = buf_make(SUBIDS_MAX);
	(void)snprintf(number, sizeof(number), "%lu", (unsigned long)getuid());
	*first = 0;
	if (fs_read(path, SUBIDS_MAX, &text, &ignored) < 0)
		return;
	for (char *line = text.data, *end; *line; line = end) {
		const char *who;
		uint64_t from, count;
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = '\0';
		if (parse_range(line, &who, &from, &count) < 0)
			continue;
		if (from + count > *next)
			*next = from + count;
		if (!*first && count >= SUB_COUNT && (strcmp(who, user) == 0 || strcmp(who, number) == 0))
			*first = from;
	}
}

static int user_ids(struct local_ids *ids, struct err *err)
{
	char buf[1024], number[32];
	struct passwd pw, *found = NULL;
	uint64_t uid_first, gid_first, next = SUB_FIRST;
	(void)snprintf(number, sizeof(number), "%lu", (unsigned long)getuid());
	const char *user = getpwuid_r(getuid(), &pw, buf, sizeof(buf), &found) == 0 && found ? pw.pw_name : number;
	AUTO_FREE char *program = fs_which("newuidmap");
	if (!program)
		return err_set(err, ERR_USER, ENOENT,
			       "newuidmap is not installed (or run stepbox as root): apt-get install -y uidmap");
	find_range("/etc/subuid", user, &uid_first, &next);
	find_range("/etc/subgid", user, &gid_first, &next);
	if (!uid_first || !gid_first)
		return err_set(
			err, ERR_USER, 0,
			"%s has no %d subordinate ids in %s (root can give it some): usermod --add-subuids %" PRIu64
			"-%" PRIu64 " --add-subgids %" PRIu64 "-%" PRIu64 " %s",
			user, SUB_COUNT, uid_first ? "/etc/subgid" : "/etc/subuid", next, next + LOCAL_IDS - 1, next,
			next + LOCAL_IDS - 1, user);
	(void)snprintf(ids->uids, sizeof(ids->uids), "0 %lu 1 1 %" PRIu64 " %d", (unsigned long)getuid(), uid_first,
		       SUB_COUNT);
	(void)snprintf(ids->gids, sizeof(ids->gids), "0 %lu 1 1 %" PRIu64 " %d", (unsigned long)getgid(), gid_first,
		       SUB_COUNT);
	return 0;
}

/* Root of a container without privileges has no ids to give away: those that do not exist outside it. */
static bool has_ids(const char *map_path)
{
	struct err ignored = ERR_INIT;
	AUTO_BUF text = buf_make(1 << 16);
	if (fs_read(map_path, 1 << 16, &text, &ignored) < 0)
		return true; /* the keeper will say what is wrong */
	for (char *line = text.data; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		char *end;
		uint64_t first = strtoull(line, &end, 10);
		strtoull(end, &end, 10); /* who they are outside */
		uint64_t count = strtoull(end, &end, 10);
		if (first <= LOCAL_FIRST_ID && first + count >= (uint64_t)LOCAL_FIRST_ID + LOCAL_IDS)
			return true;
	}
	return false;
}

int local_ids(struct local_ids *ids, struct err *err)
{
	*ids = (struct local_ids){.root = geteuid() == 0};
	if (!ids->root)
		return user_ids(ids, err);
	if (!has_ids("/proc/self/uid_map") || !has_ids("/proc/self/gid_map"))
		return err_set(err, ERR_USER, 0,
			       "this is the root of a container that has no ids %d-%d to give: run stepbox outside it",
			       LOCAL_FIRST_ID, LOCAL_FIRST_ID + LOCAL_IDS - 1);
	(void)snprintf(ids->uids, sizeof(ids->uids), "0 %d %d", LOCAL_FIRST_ID, LOCAL_IDS);
	(void)snprintf(ids->gids, sizeof(ids->gids), "0 %d %d", LOCAL_FIRST_ID, LOCAL_IDS);
	return 0;
}

/* ---- files ---- */

int local_write(const char *path, const void *data, size_t n, mode_t mode, struct err *err)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0 || fchmod(fd, mode) < 0) /* whatever the umask is */
		return err_sys(err, ERR_BOX, errno, "%s", path);
	const char *p = data;
	while (n > 0) {
		ssize_t w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_sys(err, ERR_BOX, errno, "%s", path);
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

int local_script(const char *dir, const char *name, bool userns, struct err *err)
{
	AUTO_BUF text = buf_make(BUF_TEXT_MAX);
	AUTO_FREE char *from = xasprintf("local/%s", name);
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	if ((userns && template_file("local/userns.sh", &text, err) < 0) || template_file(from, &text, err) < 0)
		return -1;
	/* Readable for the box's root, who opens it again; its directory is closed. */
	return local_write(path, text.data, text.len, 0644, err);
}

int local_lock(const char *path, bool create)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
	if (fd < 0)
		return -2;
	struct stat ours, there;
	/* The file may have been removed, or replaced, between open and flock. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &ours) < 0 || stat(path, &there) < 0 ||
	    ours.st_ino != there.st_ino) {
		close(fd);
		return -1;
	}
	return fd;
}

/* An ordinary user can remove files of its subordinate ids only as root of such a namespace. */
static int remove_inside(const char *dir, mono_ms deadline, struct err *err)
{
	struct local_ids ids;
	AUTO_BUF said = buf_make(4096);
	if (local_ids(&ids, err) < 0 || local_script(dir, "remove.sh", true, err) < 0)
		return -1;
	const char *argv[] = {"env", LOCAL_PATH, "sh", "./remove.sh", ids.uids, ids.gids, NULL};
	struct proc_opts opts = {
		.dir = dir, .out = &said, .merge = true, .deadline = deadline, .mode = WAIT_IGNORE_STOP};
	int rc = proc_run(argv, &opts, err);
	if (rc > 0) {
		AUTO_BUF line = buf_make(1024);
		text_safe_line(&line, said.data, said.len, 400);
		return err_set(err, ERR_BOX, 0, "%s", line.data);
	}
	return rc;
}

int local_remove(const char *dir, mono_ms deadline, struct err *err)
{
	if (geteuid() != 0 && fs_is_dir(dir) && remove_inside(dir, deadline, err) < 0)
		return err_ctx(err, "removing %s", dir);
	return fs_remove_tree(dir, err);
}
