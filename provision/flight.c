/* SPDX-License-Identifier: MIT */
#include "provision/flight.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/template.h"
#include "base/text.h"

/* How it works. Each connection is one exec of templates/bootstrap.sh, which is a word of that command in base64: no
 * login shell has to understand it, and the answer comes back with exec's own round trip. The command prints a marker
 * line of fresh randomness at once, and what stands before it is the login shell's noise. On the first connection
 * runner and plan ride behind without waiting for an answer; a payload, and everything on later connections, waits for
 * the box to say `send`. From `follow` on, every byte is the journal's. Whether a run was brought and started is
 * decided on the box by rename() and mkdir(), so any connection may be cut anywhere and simply be made again. */

#define NOISE_MAX      ((size_t)64 << 10) /* what a login shell may print before the marker */
#define LINE_MAX_LEN   ((size_t)4096)
#define BLOCK          ((size_t)64 << 10) /* less than a quarter of the SSH window */
#define PAYLOAD_BLOCK  ((size_t)256 << 10)
#define SCRIPT_MAX     ((size_t)20 << 10) /* bootstrap.sh: one packet has room for 32 KiB */
#define ORDER_MAX      ((size_t)10 << 10) /* in base64, beside it */
#define RIDE_MAX       ((size_t)512 << 10) /* well inside sshd's window of 2 MiB: cannot stall on a box that has the run */
#define ANSWER_MS      60000
#define BLOCK_MS       120000 /* for one block of the payload: 2 KB/s is the slowest link we bear */
#define CHECK_MS       600000 /* for the box to hash what it got */
#define DROP_MS        120000
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS   2000
#define MUTE_MAX       3 /* sessions in a row that end before the marker: the login itself is broken */

/* One connection with a command of bootstrap.sh on it. */
struct talk {
	struct ssh *ssh;
	const char *user; /* borrowed: logged in as */
	struct buf in;    /* received, not yet used */
	char marker[JOURNAL_NONCE_LEN + 1];
	mono_ms deadline; /* for each answer */
};

static void talk_finish(struct talk *t)
{
	buf_finish(&t->in);
}

static bool is_hex(const char *s, size_t len)
{
	return strlen(s) == len && strspn(s, "0123456789abcdef") == len;
}

static bool needs_sudo(const struct talk *t)
{
	return strcmp(t->user, "root") != 0;
}

/* Starts the bootstrap with these arguments (plain words); `ride` goes in behind it. A command that ended early is no
 * error here: what it said is the better one. */
static int talk_start(struct talk *t, const char *args, const struct buf *ride, struct err *err)
{
	AUTO_BUF script = buf_make(SCRIPT_MAX);
	AUTO_BUF command = buf_make(2 * SCRIPT_MAX);
	if (template_file("bootstrap.sh", &script, err) < 0)
		return -1;
	if (script.overflow)
		return err_set(err, ERR_USER, EFBIG, "bootstrap.sh: over %zu KiB", SCRIPT_MAX >> 10);
	random_hex(t->marker, sizeof(t->marker) / 2);
	t->in = buf_make(NOISE_MAX + BLOCK);
	if (needs_sudo(t))
		buf_adds(&command, "exec sh -c 'printf \"LOGIN %s\\n\" \"$2\"; c=$1; shift; "
				   "exec sudo -n -H sh -c \"$c\" stepbox \"$@\"' stepbox ");
	else
		buf_adds(&command, "exec sh -c ");
	buf_adds(&command, "'printf \"STEPBOX %s\\n\" \"$1\"; eval \"$(printf %s \"$2\" | base64 -d)\"' ");
	buf_addf(&command, needs_sudo(t) ? "%s " : "stepbox %s ", t->marker);
	base64_encode(&command, script.data, script.len);
	buf_addf(&command, " %s", args);
	if (ssh_exec(t->ssh, command.data, t->deadline, err) < 0)
		return -1;
	if (ride && ssh_write(t->ssh, ride->data, ride->len, t->deadline, err) < 0 && err->code != EPIPE)
		return -1;
	err_clear(err);
	return 0;
}

/* Reads more into t->in. Returns 0; 1 at the end of the output; -1. */
static int talk_more(struct talk *t, struct err *err)
{
	char block[4096];
	ssize_t got = ssh_read(t->ssh, block, sizeof(block), t->deadline, err);
	if (got > 0 && buf_add(&t->in, block, (size_t)got) < 0)
		return err_set(err, ERR_BUG, 0, "answer of %zu bytes overran", t->in.len);
	return got > 0 ? 0 : got == 0 ? 1 : -1;
}

/* The command ended without its marker: whose fault is that? */
static int no_marker(const struct talk *t, struct err *err)
{
	AUTO_BUF said = buf_make(LINE_MAX_LEN);
	AUTO_FREE char *login = xasprintf("LOGIN %s\n", t->marker);
	const char *at = memmem(t->in.data, t->in.len, login, strlen(login));
	size_t skip = at ? (size_t)(at - t->in.data) + strlen(login) : 0;
	size_t len = t->in.len - skip;
	while (len && t->in.data[skip + len - 1] == '\n')
		len--;
	text_safe_line(&said, t->in.data + skip, len < 1024 ? len : 1024, 300);
	/* Without a word it was cut off, perhaps with its session. */
	if (at && said.len)
		return err_set(err, ERR_BOX, EPERM, "%s may not become root with `sudo -n` on the box: %s", t->user,
			       said.data);
	return err_set(err, ERR_BOX, ENODATA, "the login shell does not run our command; it said: %s",
		       said.len ? said.data : "nothing");
}

/* Drops everything up to and with the marker line. ENODATA: the command ended without it; EPERM: and sudo said why. */
static int talk_await_marker(struct talk *t, struct err *err)
{
	AUTO_FREE char *marker = xasprintf("STEPBOX %s\n", t->marker);
	for (;;) {
		const char *at = memmem(t->in.data, t->in.len, marker, strlen(marker));
		if (at) {
			buf_consume(&t->in, (size_t)(at - t->in.data) + strlen(marker));
			return 0;
		}
		int rc = t->in.len > NOISE_MAX ? 1 : talk_more(t, err);
		if (rc < 0)
			return -1;
		if (rc > 0)
			return no_marker(t, err);
	}
}

/* The next answer line, without its end, into line. `error TEXT` is an error with code EREMOTEIO. */
static int talk_line(struct talk *t, struct buf *line, struct err *err)
{
	for (;;) {
		const char *end = memchr(t->in.data, '\n', t->in.len < LINE_MAX_LEN ? t->in.len : LINE_MAX_LEN);
		if (end) {
			buf_reset(line);
			buf_add(line, t->in.data, (size_t)(end - t->in.data));
			buf_consume(&t->in, line->len + 1);
			break;
		}
		int rc = t->in.len > LINE_MAX_LEN ? 1 : talk_more(t, err);
		if (rc < 0)
			return -1;
		if (rc > 0)
			return err_set(err, ERR_BOX, ECONNRESET,
				       "the command on the box ended in the middle of its answer");
	}
	AUTO_BUF safe = buf_make(2 * LINE_MAX_LEN);
	text_safe_line(&safe, line->data, line->len, 600);
	log_trace("flight", "box: %s", safe.data);
	if (text_starts(line->data, "error "))
		return err_set(err, ERR_BOX, EREMOTEIO, "the box says: %s", safe.data + strlen("error "));
	return 0;
}

static int talk_unknown(const struct buf *line, struct err *err)
{
	AUTO_BUF safe = buf_make(2 * LINE_MAX_LEN);
	text_safe_line(&safe, line->data, line->len, 200);
	return err_set(err, ERR_BOX, EPROTO, "unknown answer of the box: %s", safe.data);
}

/* ---- flying ---- */

struct cargo {
	struct buf text; /* runner and plan, one behind the other, gzipped */
	int payload;     /* descriptor, or -1 */
	uint64_t payload_len;
	char args[512]; /* for bootstrap.sh: what comes and its hashes; "" when we only follow */
};

static void cargo_finish(struct cargo *c)
{
	buf_finish(&c->text);
	fd_closep(&c->payload);
}

static int hash_payload(int fd, uint64_t *len, char out[SHA256_HEX], struct err *err)
{
	AUTO_FREE char *block = xcalloc(1, PAYLOAD_BLOCK);
	struct sha256 *h = sha256_new();
	ssize_t got;
	int rc = 0;
	*len = 0;
	while (rc == 0 && (got = pread(fd, block, PAYLOAD_BLOCK, (off_t)*len)) != 0) {
		if (got < 0)
			rc = err_sys(err, ERR_USER, errno, "reading");
		else if (wait_fd(-1, 0, 0, WAIT_STOPPABLE, err) < 0)
			rc = -1;
		else {
			sha256_add(h, block, (size_t)got);
			*len += (uint64_t)got;
		}
	}
	sha256_end(h, out);
	return rc;
}

/* Shell text shrinks to a third, and so into TCP's first window (10 segments): a round trip less. */
static int pack(const char *runner, const char *plan, struct buf *out, struct err *err)
{
	enum { GZIP_FORMAT = 16 + MAX_WBITS, STANDARD_MEMORY = 8 };
	AUTO_BUF both = buf_make(BUF_TEXT_MAX);
	z_stream z = {0};
	buf_adds(&both, runner);
	if (buf_adds(&both, plan) < 0)
		return err_set(err, ERR_USER, 0, "the plan is over %zu MiB", BUF_TEXT_MAX >> 20);
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_FORMAT, STANDARD_MEMORY, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return err_set(err, ERR_BUG, 0, "zlib does not start");
	size_t max = deflateBound(&z, both.len);
	AUTO_FREE char *packed = xcalloc(1, max);
	z.next_in = (Bytef *)both.data;
	z.avail_in = (uInt)both.len;
	z.next_out = (Bytef *)packed;
	z.avail_out = (uInt)max;
	int rc = deflate(&z, Z_FINISH);
	buf_add(out, packed, z.total_out);
	deflateEnd(&z);
	return rc == Z_STREAM_END ? 0 : err_set(err, ERR_BUG, rc, "zlib does not pack %zu bytes", both.len);
}

static int cargo_load(struct cargo *c, const struct flight *f, struct err *err)
{
	char text_sha[SHA256_HEX], payload_sha[SHA256_HEX] = "-";
	*c = (struct cargo){.text = buf_make(BUF_TEXT_MAX), .payload = -1};
	if (!f->runner || !f->plan)
		return 0;
	if (pack(f->runner, f->plan, &c->text, err) < 0)
		return -1;
	sha256_hex(c->text.data, c->text.len, text_sha);
	if (f->payload) {
		c->payload = open(f->payload, O_RDONLY | O_CLOEXEC);
		if (c->payload < 0)
			return err_sys(err, ERR_USER, errno, "%s", f->payload);
		if (hash_payload(c->payload, &c->payload_len, payload_sha, err) < 0)
			return err_ctx(err, "%s", f->payload);
	}
	snprintf(c->args, sizeof(c->args), " %zu %s %zu %zu %" PRIu64 " %s", c->text.len, text_sha, strlen(f->runner),
		 strlen(f->plan), c->payload_len, payload_sha);
	return 0;
}

static int send_payload(struct ssh *s, const struct cargo *c, struct err *err)
{
	AUTO_FREE char *block = xcalloc(1, PAYLOAD_BLOCK);
	uint64_t sent = 0;
	while (sent < c->payload_len) {
		size_t want = c->payload_len - sent < PAYLOAD_BLOCK ? (size_t)(c->payload_len - sent) : PAYLOAD_BLOCK;
		ssize_t got = pread(c->payload, block, want, (off_t)sent);
		if (got < 0)
			return err_sys(err, ERR_USER, errno, "reading the payload");
		if (got == 0)
			return err_set(err, ERR_USER, EIO, "the payload became shorter while it was sent");
		if (ssh_write(s, block, (size_t)got, clock_deadline(BLOCK_MS), err) < 0)
			return -1;
		sent += (uint64_t)got;
	}
	return 0;
}

struct flying {
	const struct flight *f;
	const struct ssh_target *target;
	struct cargo cargo;
	struct journal *journal; /* borrowed */
	bool flown_before;       /* an earlier connection may have brought the run */
	int mute;                /* sessions in a row that ended before the marker */
};

static void say(const struct flying *fl, enum flight_event kind, const char *text)
{
	if (fl->f->event)
		fl->f->event(fl->f->event_ctx, kind, text, NULL);
}

/* From the start of the bootstrap until it says `follow`: *running. */
static int board(struct flying *fl, struct talk *t, bool *running, struct err *err)
{
	struct cargo *c = &fl->cargo;
	AUTO_BUF line = buf_make(LINE_MAX_LEN);
	bool ride = !fl->flown_before && c->text.len <= RIDE_MAX;
	AUTO_FREE char *args =
		xasprintf("fly %s %s %" PRIu64 "%s", fl->f->run, fl->f->nonce, journal_offset(fl->journal), c->args);
	fl->flown_before = true;
	if (talk_start(t, args, ride ? &c->text : NULL, err) < 0 || talk_await_marker(t, err) < 0 ||
	    talk_line(t, &line, err) < 0)
		return -1;
	if (strcmp(line.data, "send") == 0) {
		say(fl, FLIGHT_STAGE, "sending the plan");
		if ((!ride && ssh_write(t->ssh, c->text.data, c->text.len, clock_deadline(BLOCK_MS), err) < 0) ||
		    (c->payload_len && send_payload(t->ssh, c, err) < 0)) {
			if (err->code != EPIPE)
				return -1;
			err_clear(err); /* the box will have said why */
		}
		t->deadline = clock_deadline(CHECK_MS);
		if (talk_line(t, &line, err) < 0)
			return -1;
	}
	*running = strcmp(line.data, "follow running") == 0;
	if (!*running && strcmp(line.data, "follow ended") != 0)
		return talk_unknown(&line, err);
	return 0;
}

/* Feeds the journal until its trailer. */
static int follow(struct flying *fl, struct talk *t, bool running, bool *again, struct err *err)
{
	AUTO_FREE char *block = xcalloc(1, BLOCK);
	int rc = journal_feed(fl->journal, t->in.data, t->in.len, err);
	buf_finish(&t->in);
	while (rc == 0 && !journal_is_done(fl->journal)) {
		/* A migration may be silent for hours: only the death of the connection ends this wait. */
		ssize_t got = ssh_read(t->ssh, block, BLOCK, DEADLINE_NEVER, err);
		if (got > 0) {
			rc = journal_feed(fl->journal, block, (size_t)got, err);
			continue;
		}
		*again = got < 0 || running;
		if (got == 0)
			return err_set(err, ERR_BOX, ECONNRESET,
				       running ? "the journal's stream ended" : "the runner on the box is gone");
		return -1;
	}
	return rc;
}

/* One connection's worth. *again: what went wrong is the connection's fault. */
static int fly_once(struct flying *fl, struct ssh *s, bool *again, struct err *err)
{
	CLEANUP(talk_finish)
	struct talk t = {.ssh = s, .user = fl->target->user, .in = buf_make(0), .deadline = clock_deadline(ANSWER_MS)};
	bool running = false;
	*again = false;
	if (board(fl, &t, &running, err) < 0) {
		fl->mute = err->code == ENODATA ? fl->mute + 1 : 0;
		*again = err->reach == ERR_BOX && err->code != EREMOTEIO && err->code != EPROTO && err->code != EPERM &&
			 fl->mute < MUTE_MAX;
		return -1;
	}
	fl->mute = 0;
	return follow(fl, &t, running, again, err);
}

static int check_flight(const struct flight *f, struct err *err)
{
	if (!text_is_name(f->run))
		return err_set(err, ERR_BUG, 0, "run id: not a name: %s", f->run);
	if (!is_hex(f->nonce, JOURNAL_NONCE_LEN))
		return err_set(err, ERR_BUG, 0, "nonce: not %d hex digits", JOURNAL_NONCE_LEN);
	return 0;
}

static void on_stage(void *ctx, const char *stage, const char *detail)
{
	const struct flying *fl = ctx;
	if (fl->f->event)
		fl->f->event(fl->f->event_ctx, FLIGHT_CONTACT, stage, detail);
}

static bool is_gone(void *ctx)
{
	const struct flying *fl = ctx;
	return fl->f->gone && fl->f->gone(fl->f->event_ctx);
}

/* After a drop, what the box is busy with matters more than the stages of getting back to it. */
static struct ssh *dial(struct flying *fl, bool first, mono_ms deadline, struct err *err)
{
	struct ssh_watch watch = {
		.stage = first ? on_stage : NULL, .gone = is_gone, .ctx = fl, .fresh = first && fl->f->fresh};
	return ssh_connect_while(fl->target, deadline, WAIT_STOPPABLE, &watch, err);
}

/* Connects again and goes on until the trailer came, the box stayed away too long without any progress, or something
 * happened that no new connection mends. */
static int fly(struct flying *fl, struct ssh *first, mono_ms deadline, struct err *err)
{
	CLEANUP(ssh_closep) struct ssh *s = first;
	int64_t pause = PAUSE_FIRST_MS;
	bool dropped = false;
	for (;;) {
		uint64_t before = journal_offset(fl->journal);
		bool again;
		if (!s && !(s = dial(fl, !dropped, deadline, err)))
			return -1;
		if (dropped)
			say(fl, FLIGHT_BACK, "connected again");
		if (fly_once(fl, s, &again, err) == 0)
			return 0;
		ssh_closep(&s);
		if (err->reach == ERR_CANCELED || !again)
			return -1;
		if (!dropped || journal_offset(fl->journal) > before) {
			pause = PAUSE_FIRST_MS;
			deadline = clock_deadline(fl->f->drop_ms > 0 ? fl->f->drop_ms : DROP_MS);
		}
		if (clock_mono() + pause >= deadline)
			return err_ctx(err, "lost for too long");
		dropped = true;
		AUTO_FREE char *what = xasprintf("connection lost, connecting again: %s", err->msg);
		say(fl, FLIGHT_DROP, what);
		journal_rewind(fl->journal);
		err_clear(err);
		if (wait_ms(pause, WAIT_STOPPABLE, err) < 0)
			return -1;
		pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
	}
}

int flight_run(const struct ssh_target *target, struct ssh *first, const struct flight *f, struct journal *j,
	       mono_ms connect_deadline, struct err *err)
{
	struct flying fl = {.f = f, .target = target, .journal = j, .cargo = {.payload = -1}};
	int rc = check_flight(f, err);
	if (rc == 0)
		rc = cargo_load(&fl.cargo, f, err);
	if (rc == 0)
		rc = fly(&fl, first, connect_deadline, err);
	else
		ssh_close(first);
	cargo_finish(&fl.cargo);
	return rc;
}

/* ---- small talk ---- */

/* Connects, runs the bootstrap with args, and reads the first answer line. */
static struct ssh *ask(const struct ssh_target *target, struct talk *t, const char *args, enum wait_mode mode,
		       struct buf *line, mono_ms deadline, struct err *err)
{
	CLEANUP(ssh_closep) struct ssh *s = ssh_connect(target, deadline, mode, err);
	if (!s)
		return NULL;
	*t = (struct talk){.ssh = s, .user = target->user, .in = buf_make(0), .deadline = deadline};
	if (talk_start(t, args, NULL, err) < 0 || talk_await_marker(t, err) < 0 || talk_line(t, line, err) < 0)
		return NULL;
	return TAKE(s);
}

int flight_stop(const struct ssh_target *target, const char *run, mono_ms deadline, struct err *err)
{
	CLEANUP(talk_finish) struct talk t = {.in = buf_make(0)};
	AUTO_BUF line = buf_make(LINE_MAX_LEN);
	if (!text_is_name(run))
		return err_set(err, ERR_BUG, 0, "run id: not a name: %s", run);
	AUTO_FREE char *args = xasprintf("stop %s", run);
	CLEANUP(ssh_closep) struct ssh *s = ask(target, &t, args, WAIT_IGNORE_STOP, &line, deadline, err);
	if (!s)
		return err_ctx(err, "stopping run %s", run);
	return strcmp(line.data, "stopped") == 0 ? 0 : talk_unknown(&line, err);
}

static int read_dump(struct talk *t, const struct buf *line, const char *sha256, struct buf *out, struct err *err)
{
	int64_t size;
	char got[SHA256_HEX];
	if (!text_starts(line->data, "dump ") ||
	    text_parse_int("size", line->data + strlen("dump "), 0, (int64_t)JOURNAL_MAX_PAYLOAD, &size, err) < 0)
		return talk_unknown(line, err);
	AUTO_FREE char *block = xcalloc(1, BLOCK);
	AUTO_BUF all = buf_make(JOURNAL_MAX_PAYLOAD);
	ssize_t n = 1;
	int full = buf_add(&all, t->in.data, t->in.len);
	while (full == 0 && n > 0 && all.len < (size_t)size) {
		n = ssh_read(t->ssh, block, BLOCK, t->deadline, err);
		if (n < 0)
			return -1;
		full = buf_add(&all, block, (size_t)n);
	}
	sha256_hex(all.data, all.len, got);
	if (strcmp(got, sha256) != 0)
		return err_set(err, ERR_BOX, EBADMSG, "%zu of %lld bytes came, with another hash", all.len,
			       (long long)size);
	if (buf_add(out, all.data, all.len) < 0)
		return err_set(err, ERR_BOX, EFBIG, "dump of %zu bytes is over the limit", all.len);
	return 0;
}

int flight_fetch_dump(const struct ssh_target *target, const char *run, const char *sha256, struct buf *out,
		      mono_ms deadline, struct err *err)
{
	CLEANUP(talk_finish) struct talk t = {.in = buf_make(0)};
	AUTO_BUF line = buf_make(LINE_MAX_LEN);
	if (!text_is_name(run) || !is_hex(sha256, SHA256_HEX - 1))
		return err_set(err, ERR_BOX, EINVAL, "not a run id and a dump's hash");
	AUTO_FREE char *args = xasprintf("dump %s %s", run, sha256);
	CLEANUP(ssh_closep) struct ssh *s = ask(target, &t, args, WAIT_STOPPABLE, &line, deadline, err);
	if (!s || read_dump(&t, &line, sha256, out, err) < 0)
		return err_ctx(err, "dump %.12s of run %s", sha256, run);
	return 0;
}

int flight_order(const struct ssh_target *target, const char *text, struct buf *out, mono_ms deadline, struct err *err)
{
	CLEANUP(talk_finish) struct talk t = {.in = buf_make(0)};
	AUTO_BUF args = buf_make(ORDER_MAX);
	AUTO_BUF line = buf_make(LINE_MAX_LEN);
	int64_t code;
	buf_adds(&args, "order ");
	base64_encode(&args, text, strlen(text));
	if (args.overflow)
		return err_set(err, ERR_BUG, E2BIG, "an order of %zu bytes", strlen(text));
	CLEANUP(ssh_closep) struct ssh *s = ask(target, &t, args.data, WAIT_STOPPABLE, &line, deadline, err);
	if (!s)
		return -1;
	if (!text_starts(line.data, "ordered ") ||
	    text_parse_int("exit code", line.data + strlen("ordered "), 0, 255, &code, err) < 0)
		return talk_unknown(&line, err);
	int rc = 0;
	while (rc == 0 && t.in.len <= NOISE_MAX)
		rc = talk_more(&t, err);
	if (rc < 0)
		return -1;
	(void)buf_add(out, t.in.data, t.in.len < out->max - out->len ? t.in.len : out->max - out->len);
	return (int)code;
}
