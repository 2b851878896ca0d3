#!/bin/sh
# The box goes away in the middle of a walk: said soon, never as success; what was learned is kept, nothing is left.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
make_project 60 0.1
plain_loop
cd project
"$STEPBOX" run --keep=on-failure >out 2>err &
pid=$!
until [ "$(grep -cs applied out)" -ge 5 ] 2>/dev/null; do sleep 0.05; done
# shellcheck disable=SC2046 # the keeper's pid and its start time
set -- $(cat "$boxes"/proj-1/pid)
kill -9 "$1"
begin=$(date +%s)
rc=0
wait $pid || rc=$?
[ $rc = 3 ] || die "exit $rc: $(cat out err)"
[ $(($(date +%s) - begin)) -lt 20 ] || die "noticed after $(($(date +%s) - begin)) s"
grep -q 'gone' err || die "does not say that the box is gone: $(cat err)"
"$STEPBOX" show proj-1 | grep -q ' lost ' || die "no step is lost: $("$STEPBOX" show proj-1)"
"$STEPBOX" schema proj-1:003_step | cmp - ../plain/003_step.sql
"$STEPBOX" gc >/dev/null
nothing_left
