#!/bin/sh
# Ctrl-C at many moments: exit 130 (or 0 when it was done already), one line on what is left, nothing left.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
make_project 40 0.05
cd project
for ms in 10 60 120 180 240 300 400 500 700 900 1200 1600; do
	"$STEPBOX" run >out 2>err &
	pid=$!
	sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
	kill -INT $pid 2>/dev/null || true
	rc=0
	wait $pid || rc=$?
	case $rc in
	130) grep -qE 'stopped' out err || die "after $ms ms: nothing said: $(cat out err)" ;;
	0) ;;
	*) die "after $ms ms: exit $rc: $(cat out err)" ;;
	esac
	nothing_left
done
[ $rc = 130 ] || die "the last stop came too late to mean anything"
# Asked to keep: the box stays, and nothing runs on it any more.
rm -f out
"$STEPBOX" run --keep=always >out 2>err &
pid=$!
until [ "$(grep -c applied out)" -gt 2 ] 2>/dev/null; do sleep 0.05; done
kill -INT $pid
rc=0
wait $pid || rc=$?
[ $rc = 130 ] || die "keep: exit $rc"
box=$("$STEPBOX" ls --boxes --json | python3 -c 'import json,sys; print(json.loads(sys.stdin.readline())["box"])')
sleep 0.3
"$STEPBOX" ssh "$box" -- 'ps -e -o args' | grep -q '[r]unner.sh' && die "the runner goes on after Ctrl-C"
"$STEPBOX" down "$box" >/dev/null
nothing_left
# A second Ctrl-C leaves at once, with exit code 4 and what to type; gc does the rest.
rm -f out
"$STEPBOX" run >out 2>err &
pid=$!
until [ "$(grep -cs applied out)" -gt 2 ] 2>/dev/null; do sleep 0.05; done
kill -INT $pid
kill -TERM $pid
rc=0
wait $pid || rc=$?
[ $rc = 4 ] || die "twice: exit $rc"
grep -q 'stepbox gc' err || die "twice: does not say what to type: $(cat err)"
"$STEPBOX" gc >/dev/null
nothing_left
