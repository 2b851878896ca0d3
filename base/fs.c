/* SPDX-License-Identifier: MIT */
#include "base/fs.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_PIECE ((size_t)64 << 10)

/* ---- files ---- */

static int read_fd(int fd, const char *path, size_t max, struct buf *out, struct err *err)
{
	AUTO_FREE char *piece = xcalloc(READ_PIECE, 1);
	size_t total = 0;
	for (;;) {
		ssize_t n = read(fd, piece, READ_PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_USER, errno, "%s", path);
		if (n == 0)
			return 0;
		total += (size_t)n; /* counted here: files of /proc say size 0, others may be growing */
		if (total > max || buf_add(out, piece, (size_t)n) < 0)
			return err_set(err, ERR_USER, EFBIG, "%s: larger than %zu bytes", path,
				       max < out->max ? max : out->max);
	}
}

int fs_read(const char *path, size_t max, struct buf *out, struct err *err)
{
	/* O_NONBLOCK: a FIFO of that name must not hang us before fstat() can tell. */
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, ERR_USER, errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return err_sys(err, ERR_USER, EISDIR, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USER, 0, "%s: not a regular file", path);
	return read_fd(fd, path, max, out, err);
}

static int write_fd(int fd, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, data, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		data += w;
		n -= (size_t)w;
	}
	return 0;
}

/* The directory part of a path ("." when it has none); the caller frees. */
static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

/* The rename is only as durable as the directory; not every file system can fsync one, so errors do not count. */
static void sync_dir(const char *dir)
{
	AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
}

int fs_write(const char *path, const void *data, size_t n, mode_t mode, struct err *err)
{
	AUTO_FREE char *dir = parent_of(path);
	AUTO_FREE char *temp = xasprintf("%s/.stepbox-XXXXXX", dir);
	AUTO_CLOSE int fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, ERR_USER, errno, "%s", path);
	/* fchmod, since the umask would take bits off an open() mode. */
	if (write_fd(fd, data, n) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temp, path) < 0) {
		int cause = errno;
		unlink(temp);
		return err_sys(err, ERR_USER, cause, "%s", path);
	}
	sync_dir(dir);
	return 0;
}

int fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
	AUTO_FREE char *part = xstrdup(path);
	size_t done = 0;
	do {
		done += strspn(part + done, "/");
		done += strcspn(part + done, "/");
		char next = part[done];
		part[done] = '\0';
		if (*part && mkdir(part, mode) == 0) {
			if (chmod(part, mode) < 0) /* the umask again */
				return err_sys(err, ERR_USER, errno, "%s", part);
		} else if (*part && !fs_is_dir(part)) {
			/* mkdir's errno only counts now: an existing directory may also give EROFS or EACCES. */
			int cause = fs_exists(part) ? ENOTDIR : errno;
			return err_sys(err, ERR_USER, cause, "%s", part);
		}
		part[done] = next;
	} while (part[done]);
	return 0;
}

bool fs_exists(const char *path)
{
	struct stat st;
	int saved = errno;
	bool yes = stat(path, &st) == 0;
	errno = saved;
	return yes;
}

bool fs_is_dir(const char *path)
{
	struct stat st;
	int saved = errno;
	bool yes = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	errno = saved;
	return yes;
}

static bool is_program(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *fs_which(const char *program)
{
	if (!*program)
		return NULL;
	if (strchr(program, '/'))
		return is_program(program) ? xstrdup(program) : NULL;
	const char *p = getenv("PATH");
	if (!p)
		p = "/usr/local/bin:/usr/bin:/bin";
	while (*p) {
		size_t n = strcspn(p, ":");
		AUTO_FREE char *path = xasprintf("%.*s/%s", (int)n, p, program);
		if (n > 0 && is_program(path)) /* an empty entry means "here": nobody wants that */
			return TAKE(path);
		p += n;
		p += *p == ':';
	}
	return NULL;
}

/* ---- removing trees ----
 *
 * How it works: directories are opened relative to their parent's descriptor with O_NOFOLLOW and what was opened is
 * checked, never what a name meant a moment ago; so nobody who swaps a directory for a link leads us elsewhere.
 * One descriptor per level is open; what is deeper than DEPTH_MAX is moved up beside the first level and found
 * there by the next pass. Errors do not stop the rest; the first one is reported. */

#define DEPTH_MAX 48
/* How often a directory is read again because it was not empty after all (others add to it, or we moved one up), and
 * how many names are tried for one that moves. */
#define PASSES_MAX 1000
#define NAMES_MAX  1000

struct removal {
	int top; /* descriptor of the tree's first directory, where deep directories are moved to */
	unsigned long moved;
	dev_t dev;
	struct err *err;
	bool bad; /* err is set */
};

static void removal_failed(struct removal *r, int cause, const char *name)
{
	if (!r->bad)
		err_sys(r->err, ERR_USER, cause, "%s", name);
	r->bad = true;
}

/* Opens a directory for removal, giving ourselves the permissions that it lacks. -1 with errno; ENOTDIR or ELOOP when
 * it is no directory. */
static int open_dir(int at, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	int fd = openat(at, name, flags);
	if (fd < 0 && errno == EACCES && fchmodat(at, name, S_IRWXU, AT_SYMLINK_NOFOLLOW) == 0)
		fd = openat(at, name, flags);
	struct stat st;
	if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & S_IRWXU) != S_IRWXU && st.st_uid == geteuid())
		fchmod(fd, S_IRWXU); /* if that is not enough, unlinkat() says so */
	return fd;
}

/* Bind mounts have the device number of their surroundings, hence the attribute too. */
static bool is_mount_point(int fd, dev_t dev)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_dev != dev)
		return true;
	struct statx stx;
	return statx(fd, "", AT_EMPTY_PATH, 0, &stx) == 0 && (stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) &&
	       (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static void remove_entry(struct removal *r, int at, const char *name, int depth);

/* One reading of a directory, removing all it shows. takes fd. */
static void empty_dir(struct removal *r, int fd, const char *name, int depth)
{
	DIR *dir = fdopendir(fd);
	if (!dir) {
		removal_failed(r, errno, name);
		close(fd);
		return;
	}
	struct dirent *e;
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			remove_entry(r, dirfd(dir), e->d_name, depth + 1);
	closedir(dir);
}

/* Moves a directory that is too deep up to the top, where a later pass finds it. */
static void move_up(struct removal *r, int at, const char *name)
{
	/* Its ".." changes, which needs the right to write it. */
	if (fchmodat(at, name, S_IRWXU, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return;
	for (int i = 0; i < NAMES_MAX; i++) {
		char flat[64];
		snprintf(flat, sizeof(flat), ".stepbox-removed-%lu", r->moved++);
		if (renameat2(at, name, r->top, flat, RENAME_NOREPLACE) == 0 || errno == ENOENT)
			return;
		if (errno != EEXIST) /* a name left by an interrupted removal */
			break;
	}
	removal_failed(r, errno, name);
}

static void remove_dir(struct removal *r, int at, const char *name, int depth)
{
	for (int pass = 0; pass < PASSES_MAX; pass++) {
		int fd = open_dir(at, name);
		if (fd < 0) {
			if (errno != ENOENT)
				removal_failed(r, errno, name);
			return;
		}
		if (is_mount_point(fd, r->dev)) {
			close(fd);
			removal_failed(r, EBUSY, name);
			return;
		}
		if (depth == 0)
			r->top = fd; /* stays open during empty_dir() */
		empty_dir(r, fd, name, depth);
		if (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return;
		if (r->bad || (errno != ENOTEMPTY && errno != EEXIST))
			break;
	}
	removal_failed(r, errno, name);
}

static void remove_entry(struct removal *r, int at, const char *name, int depth)
{
	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return;
	int cause = errno;
	struct stat st;
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			removal_failed(r, errno, name);
		return;
	}
	if (!S_ISDIR(st.st_mode))
		removal_failed(r, cause, name);
	else if (depth > DEPTH_MAX)
		move_up(r, at, name);
	else
		remove_dir(r, at, name, depth);
}

int fs_remove_tree(const char *path, struct err *err)
{
	AUTO_FREE char *clean = xstrdup(path);
	size_t n = strlen(clean);
	while (n > 1 && clean[n - 1] == '/') /* "link/" would be followed */
		clean[--n] = '\0';
	const char *slash = strrchr(clean, '/');
	const char *name = slash ? slash + 1 : clean;
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(err, ERR_BUG, 0, "refusing to remove \"%s\"", path);

	AUTO_FREE char *parent = parent_of(clean);
	AUTO_CLOSE int at = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	if (at < 0 || fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, ERR_USER, errno, "%s", path);
	struct removal r = {.top = -1, .dev = st.st_dev, .err = err};
	remove_entry(&r, at, name, 0);
	return r.bad ? err_ctx(err, "removing %s", path) : 0;
}

/* ---- our directories ---- */

static pthread_once_t dirs_once = PTHREAD_ONCE_INIT;
static char *state_dir, *cache_dir, *config_dir; /* kept until the end */

/* $HOME, or what the password database says; the caller frees. */
static char *home_dir(void)
{
	const char *home = getenv("HOME");
	if (home && *home == '/')
		return xstrdup(home);
	struct passwd pw, *found = NULL;
	AUTO_FREE char *text = xcalloc(READ_PIECE, 1);
	if (getpwuid_r(geteuid(), &pw, text, READ_PIECE, &found) == 0 && found && *found->pw_dir == '/')
		return xstrdup(found->pw_dir);
	return xstrdup("/");
}

static char *xdg_dir(const char *variable, const char *home, const char *fallback)
{
	const char *base = getenv(variable);
	if (base && *base == '/') /* the specification: relative paths are to be ignored */
		return xasprintf("%s/stepbox", base);
	return xasprintf("%s/%s/stepbox", strcmp(home, "/") == 0 ? "" : home, fallback);
}

static void find_dirs(void)
{
	AUTO_FREE char *home = home_dir();
	state_dir = xdg_dir("XDG_STATE_HOME", home, ".local/state");
	cache_dir = xdg_dir("XDG_CACHE_HOME", home, ".cache");
	config_dir = xdg_dir("XDG_CONFIG_HOME", home, ".config");
}

const char *fs_state_dir(void)
{
	pthread_once(&dirs_once, find_dirs);
	return state_dir;
}

const char *fs_cache_dir(void)
{
	pthread_once(&dirs_once, find_dirs);
	return cache_dir;
}

const char *fs_config_dir(void)
{
	pthread_once(&dirs_once, find_dirs);
	return config_dir;
}
