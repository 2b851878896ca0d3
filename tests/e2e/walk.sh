#!/bin/sh
# A walk on a box: every dump equals a plain loop's; show, schema, diff, log and JSON tell the same story; nothing stays.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
make_project 12
plain_loop
cd project
"$STEPBOX" run >../out 2>../err || die "run: exit $?: $(cat ../out ../err)"
grep -q 'proj-1: ok' ../out || die "no verdict: $(cat ../out)"
grep -q '002_step .*applied .*column' ../out || die "step 002 is not told: $(cat ../out)"
grep -q '003_step .*applied-empty .*no change' ../out || die "step 003 is not told: $(cat ../out)"
cd ..
same_as_plain proj-1
nothing_left
"$STEPBOX" show proj-1 | grep -q '012_step ' || die "show"
"$STEPBOX" diff proj-1:003_step proj-1:002_step >same || die "003_step and 002 are the same"
[ ! -s same ] || die "diff of the same prints: $(cat same)"
if "$STEPBOX" diff proj-1:001_step proj-1:004_step >d; then die "001_step and 004 differ"; else [ $? = 1 ] || die "diff: exit $?"; fi
grep -q '^+.*c4' d || die "diff: $(cat d)"
"$STEPBOX" show proj-1 --json | python3 -c '
import json, sys
r = json.load(sys.stdin)
assert r["status"] == "ok", r
s = r["steps"]
assert [x["version"] for x in s][1:] == ["%03d_step" % i for i in range(1, 13)], s
assert s[5]["rows"] == {"a": 1} and s[4]["rows"] == {"a": 0}, s[5]
assert s[3]["outcome"] == "applied-empty" and s[2]["outcome"] == "applied"
assert s[3]["dump_sha256"] == s[2]["dump_sha256"]
'
# One object a line while it happens, one per run at the end.
(cd project && "$STEPBOX" run --json --from 004_step --to 006_step) >j
python3 - <<'EOF'
import json
lines = [json.loads(l) for l in open("j")]
last = lines[-1]
assert last["run"] == "proj-2" and last["status"] == "ok", last
assert [s["version"] for s in last["steps"]] == ["004_step", "005_step", "006_step"], last
assert [l["version"] for l in lines if l.get("event") == "step"] == ["004_step", "005_step", "006_step"]
EOF
"$STEPBOX" schema proj-2:006_step | cmp - plain/006_step.sql
nothing_left
