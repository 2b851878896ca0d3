#!/bin/sh
# The kill sweep: one run on the fake cloud is watched system call by system call; then it is killed (SIGKILL) at POINTS of
# those calls, evenly spread, and `stepbox gc` has to bring the cloud back to nothing: no server, no floating IP, no
# group, no volume, and a store that opens clean. One line per point that does not; the last line is for machines.
#   POINTS=200 PART=1/1 sh tests/run.sh BUILD tests/sweep/kill.sh
. "$(dirname "$0")/../e2e/lib/common.sh"
# shellcheck source=../e2e/lib/fake.sh
. "$OLDPWD/tests/e2e/lib/fake.sh"
needs_boxes
command -v strace >/dev/null || { echo "strace is missing"; exit 77; }
strace -qq -o /dev/null true 2>/dev/null || { echo "strace may not trace here"; exit 77; }
: "${POINTS:=200}" "${PART:=1/1}" "${PERSONALITY:=floating}"
calls=write,pwrite64,writev,sendto,sendmsg,fsync,fdatasync,connect,openat,unlink,rename,ftruncate,close,shutdown
make_project 2
cloud_recipe r.yaml
start_fake "$PERSONALITY"

"$STEPBOX" run r.yaml >out 2>&1 || die "the run itself: $(cat out)"
strace -qq -o trace -e trace=$calls "$STEPBOX" run r.yaml >out 2>&1 || die "the traced run: $(cat out)"
# From the first thing in the ledger on: NAME NTH-OF-THAT-NAME a line.
sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' trace | awk '{ n[$1]++; print $1, n[$1] }' >all
begin=$(grep -n 'store.sqlite' trace | head -n 1 | cut -d: -f1)
tail -n +"$begin" all >calls
total=$(wc -l <calls)
awk -v total="$total" -v points="$POINTS" -v part="${PART%/*}" -v of="${PART#*/}" \
	'BEGIN { step = total / points; if (step < 1) step = 1; next_ = 1 }
	NR >= next_ { next_ += step; k++; if (k % of == part % of) print }' calls >points
echo "$total calls, $(wc -l <points) points of part $PART"

bad=0 done=0 killed=0
while read -r name nth; do
	rc=0
	strace -qq -o /dev/null -e trace="$name" -e inject="$name:signal=SIGKILL:when=$nth" "$STEPBOX" run r.yaml >out 2>&1 || rc=$?
	[ $rc -lt 128 ] || killed=$((killed + 1))
	rc=0
	timeout 300 "$STEPBOX" gc >gc.out 2>&1 || rc=$?
	what=''
	[ $rc = 0 ] || what="gc: exit $rc: $(tail -n 2 gc.out)"
	left=$(cloud_left)
	[ -z "$left" ] || what="$what left: $left"
	[ "$(sqlite3 "$XDG_STATE_HOME/stepbox/store.sqlite" 'PRAGMA integrity_check')" = ok ] || what="$what store damaged"
	[ -z "$("$STEPBOX" ls --boxes)" ] || what="$what rows: $("$STEPBOX" ls --boxes)"
	done=$((done + 1))
	if [ -n "$what" ]; then
		bad=$((bad + 1))
		echo "killed at $name $nth: $what"
		start_fake "$PERSONALITY" # what leaked must not be seen again
	fi
done <points
echo "$killed of $done runs were killed before their end"
echo "$((done - bad)) passed, $bad failed"
[ $bad = 0 ] && [ $killed -gt $((done / 2)) ]
