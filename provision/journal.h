/* SPDX-License-Identifier: MIT */
/* The journal: the append-only file on the box in which the runner (templates/runner.sh) records every task and step.
 * This is its incremental, bounded parser: the box is not trusted.
 *
 * Format. A record is one header line, and if it says so a payload:
 *
 *     @NONCE kind key=value key=value …\n
 *     <len bytes of payload>\n              only when the header has len=N
 *
 * NONCE is the run's 32 hex digits. kind and keys are [a-z0-9_]+, values are any bytes but space, LF and controls.
 * Payloads are framed by length, so no program's output can fake or break a record. Anything else at a record's
 * place is a broken journal: an error with the byte offset. Kinds, by the runner:
 *
 *     hello    run= pid= utc= machine= boot=    the runner started; its machine-id and boot id, or `-`
 *     task     n= kind= timeout= len=           payload: title. Behind the plan's own: kind=list (listing the
 *                                               versions), kind=warm (loading the tool once; when that does not
 *                                               work the walk goes on), kind=walk (only when it cannot be done as
 *                                               asked); kind=question: behind the walk, any rc is good
 *     out      task=|step= len=                 payload: output bytes, a piece
 *     cut      task=|step= dropped=             output was over the limit: so many bytes in the middle are missing
 *     end      n= rc= ms= why=                  of a task; why: exit, timeout, stop, limit (endless output)
 *     variant  name=                            which of the adapter's variants fits the checkout (`plain`: none any
 *                                               more); also in a step, where another commit was checked out
 *     versions n= len=                          payload: all versions in order, one a line
 *     files    n= len=                          payload: "version<TAB>blob<TAB>path" lines, n of them: the files of
 *                                               the versions by git's hashes. Only where the plan asks for it
 *     walk     from= to= dir=up|down|roundtrip n=   the steps that follow; n: of versions
 *     step     n= version= dir=base|up|down|restore [leg=1|2|3|4] [commit=HEX]
 *                                               n=0: where the walk begins; without `ran` when there was nothing to
 *                                               run. leg, in round trips: up, down, up again, put back from what was
 *                                               kept aside (2 or 3 is the last when the database is as after 1).
 *                                               commit: whose code runs it, where each version has its own
 *     seeded   n= rc= len=                      before `ran`: data was filled in; payload: what could not be,
 *                                               "table<TAB>message" lines. May be followed by `counts` as they are then
 *     ran      n= rc= ms= why= [net=]           as of `end`; net: ms without the tool's start-up, when it was loaded
 *     at       n= len=                          payload: current version set, one a line (may be empty)
 *     dump     n= form= sha256= size= [len=]    form: full, delta (`diff -n` against the dump before), same (no len)
 *     model    n= form= sha256= size= [len=]    what the database's catalogue says, told as dumps are; after `dump`
 *     counts   n= len=                          payload: "table<TAB>rows[<TAB>token[<TAB>column=nulls…]]" lines; token:
 *                                               another one when the table was written anew, `-`: not known; columns
 *                                               that have NULLs; \\ \t \n in names
 *     look     n= rc= len=                      looking at the database did not work; payload: why
 *     stepend  n= ok=0|1 why=                   ok=0 stops the walk; why: ok, rc, noop, wrong, timeout, look, seed,
 *                                               env (its code, or a setup command for it: `ran` is of that). In
 *                                               legs 2 and 3 the walk goes on all the same
 *     done     ok=0|1 why= ms=                  the trailer, the only word of success; why: ok, task, step, stop,
 *                                               version, variant, no-down, restore, disk, runner (it
 *                                               broke itself)
 */
#ifndef STEPBOX_PROVISION_JOURNAL_H
#define STEPBOX_PROVISION_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define JOURNAL_NONCE_LEN   32
#define JOURNAL_MAX_HEADER  1024
#define JOURNAL_MAX_KEYS    12
#define JOURNAL_MAX_PAYLOAD ((size_t)16 << 20)  /* one dump; outputs come in smaller pieces */
#define JOURNAL_MAX_TOTAL   ((uint64_t)4 << 30) /* one journal */

struct journal_record {
	const char *kind;
	size_t n_keys;
	struct {
		const char *key, *value;
	} keys[JOURNAL_MAX_KEYS];
	const char *payload; /* never NULL; NUL behind it */
	size_t len;
};

/* Value of a key, or NULL. */
const char *journal_get(const struct journal_record *r, const char *key);
/* Value as a whole number in [min, max]; -1 with ERR_BOX "journal: step: n: …". */
int journal_int(const struct journal_record *r, const char *key, int64_t min, int64_t max, int64_t *out,
		struct err *err) MUST_USE;

/* Called for each complete record; pointers are valid during the call. 0 to go on, -1 with err to end. */
typedef int (*journal_fn)(void *ctx, const struct journal_record *r, struct err *err);

struct journal;
struct journal *journal_new(const char *nonce, uint64_t offset, journal_fn fn, void *ctx);
void journal_free(struct journal *j); /* NULL is fine */
void journal_freep(struct journal **j);
int journal_feed(struct journal *j, const void *data, size_t n, struct err *err) MUST_USE;
/* Byte offset in the journal behind the last complete record: where to go on after a drop. */
uint64_t journal_offset(const struct journal *j);
/* Forgets the incomplete record at the end (before going on from journal_offset() on a new connection). */
void journal_rewind(struct journal *j);
bool journal_is_done(const struct journal *j);

#endif
