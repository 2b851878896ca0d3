#!/bin/sh
# Several runs at once: --vary in one process, and two processes on one store; nothing is lost or mixed.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
make_project 10
plain_loop
cd project
"$STEPBOX" run --vary migrations.to=004_step,007_step,010_step >out 2>err || die "vary: exit $?: $(cat out err)"
[ "$(grep -c ': ok in' out)" = 3 ] || die "three verdicts are wanted: $(cat out)"
"$STEPBOX" run >o1 2>e1 &
p1=$!
"$STEPBOX" run >o2 2>e2 &
p2=$!
wait $p1 || die "first: $(cat o1 e1)"
wait $p2 || die "second: $(cat o2 e2)"
cd ..
"$STEPBOX" ls --json | python3 -c '
import json, sys
runs = {o["run"]: o for o in map(json.loads, sys.stdin) if "status" in o}
assert sorted(runs) == ["proj-%d" % i for i in range(1, 6)], runs
assert all(r["status"] == "ok" for r in runs.values()), runs
assert sorted(r["variant"] for r in runs.values() if r["variant"]) == ["migrations.to=%s" % v for v in ("004_step", "007_step", "010_step")]
'
same_as_plain proj-4
same_as_plain proj-5
nothing_left
