#!/bin/sh
# Sides by side: equal and planted differences, each told where it appears and where it goes away; stepped against fresh
# and against the whole schema at once; a side that fails; stored runs; a stop in the middle. Exit codes, machines, JSON.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
make_project 12
mv project one

expect_rc() { # RC ARGUMENTS…
	want=$1
	shift
	rc=0
	"$STEPBOX" compare "$@" >out 2>err || rc=$?
	[ $rc = "$want" ] || die "compare $*: exit $rc, not $want: $(cat out err)"
	tr -s ' ' <out >flat
}
told() {
	grep -qF -- "$1" flat || die "not told: $1: $(cat out)"
}
untold() {
	! grep -qF -- "$1" flat || die "told: $1: $(cat out)"
}

# Equal: said in one line; two machines by their own word.
cp -r one two
expect_rc 0 one/stepbox.yaml two/stepbox.yaml
told 'base…012_step equal (13 versions)'
told 'on machines of their own: A '
[ "$(grep -c equal out)" = 3 ] || die "one line, a head and a foot: $(cat out)"
"$STEPBOX" show proj-1 | grep -Eq '^  machine [0-9a-f]{32}, boot [0-9a-f-]{36}$' || die "show: $("$STEPBOX" show proj-1)"
[ "$("$STEPBOX" show --json proj-1 | sed 's/.*"machine":"\([0-9a-f]*\)".*/\1/')" != \
	"$("$STEPBOX" show --json proj-2 | sed 's/.*"machine":"\([0-9a-f]*\)".*/\1/')" ] || die "one machine-id on two boxes"

# Planted: an index that is there from 004 to 008, a column lost from 007 on, the order of two columns at the end.
echo 'CREATE INDEX extra ON a (v);' >>two/migrations/004_step.up.sql
echo 'DROP INDEX extra;' >>two/migrations/008_step.up.sql
echo 'SELECT 1;' >two/migrations/007_step.up.sql
printf 'CREATE TABLE b (x INT, y INT);\n' >>one/migrations/012_step.up.sql
printf 'CREATE TABLE b (y INT, x INT);\n' >>two/migrations/012_step.up.sql
expect_rc 1 one/stepbox.yaml two/stepbox.yaml
told 'base…003_step equal (4 versions)'
[ "$(grep -c '+ index extra' out)" = 2 ] || die "an index comes and goes: $(cat out)"
told 'no longer: a: + index extra'
[ "$(grep -c 'column c7' out)" = 1 ] || die "a lost column is told once: $(cat out)"
grep -A 1 '^    012_step .* DIFFERENT' out | grep -q '^      b: ' || die "an order at the end: $(cat out)"
told 'different from 004_step on'
# The same from the store, without boxes; a run against itself is no comparison of clean machines.
expect_rc 1 proj-3 proj-4 --json
python3 - <<'END' || die "$(cat out)"
import json
events = [json.loads(line) for line in open("out")]
kinds = {}
for e in events:
    kinds.setdefault(e["event"], []).append(e)
assert len(kinds["side"]) == 2 and len({s["machine"] for s in kinds["side"]}) == 2
assert len(kinds["version"]) == 13, kinds["version"]
assert [v["version"] for v in kinds["version"] if v["state"] == "different"][0] == "004_step"
d = kinds["difference"]
assert [x["version"] for x in d] == ["004_step", "007_step", "012_step"], d
assert d[0]["record"]["kind"] == "index" and d[0]["record"]["name"] == "extra" and d[0]["class"] == "structural"
assert d[2]["record"]["field"] == "order", d
assert [x["version"] for x in kinds["gone"]] == ["008_step"]
s = kinds["summary"]
assert len(s) == 1 and s[0]["differ"] and s[0]["structural"] == 3 and s[0]["compared"] == 13 and s[0]["equal"] == 4, s
END
expect_rc 0 proj-1 proj-1
told 'not on clean machines: proj-1 and proj-1 were on the same machine'
expect_rc 1 proj-3 proj-4 --text
told '+CREATE INDEX extra ON a (v);'
expect_rc 1 proj-3 proj-4 --ignore order,index
untold 'extra'
untold 'column order'
told 'column c7'
expect_rc 0 proj-3 proj-4 --ignore order,index,column

# Rows.
rm -r two
cp -r one two
echo "INSERT INTO a (v) VALUES ('surplus');" >>two/migrations/003_step.up.sql
expect_rc 1 one/stepbox.yaml two/stepbox.yaml
told 'a: ~ rows: 0 → 1'
expect_rc 0 last "$("$STEPBOX" ls --json | sed -n 's/.*"run":"\([^"]*\)".*"status":"ok".*/\1/p' | sed -n 2p)" --ignore rows

# Stepped against fresh: the same code in one go, and the whole schema at once.
cat one/migrations/*.up.sql >one/schema.sql
printf '  fresh: |\n    ${database.sql} <schema.sql\n' >>one/stepbox.yaml
expect_rc 0 --fresh : one/stepbox.yaml
told 'base…011_step only A (12 versions)'
told '012_step equal'
expect_rc 0 --create one/stepbox.yaml
told '012_step equal'
sed -i 's/ADD COLUMN c8 /ADD COLUMN c8x /' one/schema.sql
expect_rc 1 --create one/stepbox.yaml
told 'column c8'
sed -i '/fresh/,$d' one/stepbox.yaml
expect_rc 2 --create one/stepbox.yaml
grep -q 'fresh: missing' err || die "$(cat err)"

# By position, and versions that only one side has.
rm -r two
cp -r one two
mv two/migrations/012_step.up.sql two/migrations/013_other.up.sql
expect_rc 0 one/stepbox.yaml two/stepbox.yaml
told '012_step only A'
told '013_other only B'
expect_rc 0 --by-position one/stepbox.yaml two/stepbox.yaml
told 'equal (13 versions)'
told '012_step ≙ 013_other'

# One side fails: that is a difference, and what comes behind was not reached.
rm -r two
cp -r one two
echo 'syntax error here;' >>two/migrations/008_step.up.sql
expect_rc 1 one/stepbox.yaml two/stepbox.yaml
told '~ the step: applied → failed-partial (outcome)'
told '009_step…012_step'
told 'NOT REACHED by B (4 versions)'
# A side that does not even get to its walk.
printf 'setup: ["exit 7"]\n' >>two/stepbox.yaml
expect_rc 1 one/stepbox.yaml two/stepbox.yaml
told 'nothing to compare'

# NULLs count whatever a table and its columns are called.
rm -r two
printf 'CREATE TABLE "we\tird" (id INTEGER PRIMARY KEY, "c=d" TEXT);\nINSERT INTO "we\tird" VALUES (1, NULL), (2, NULL);\n' \
	>one/migrations/014_odd.up.sql
cp -r one two
sed -i 's/(2, NULL)/(2, 7)/' two/migrations/014_odd.up.sql
expect_rc 1 one/stepbox.yaml two/stepbox.yaml
told 'we\tird: ~ NULLs of c=d: 2 → 1'
rm one/migrations/014_odd.up.sql

# Usage.
expect_rc 2 one/stepbox.yaml
expect_rc 2 one/stepbox.yaml nowhere
expect_rc 2 one/stepbox.yaml nowhere.yaml
expect_rc 2 proj-1 proj-2 --ignore colour
expect_rc 2 proj-1 --set-b database=sqlite
expect_rc 2 one/stepbox.yaml --set-b database
grep -q -- '--set-b database' err || die "$(cat err)"
expect_rc 2 --fresh '' one/stepbox.yaml
# What is said of a walk says nothing of runs that have been.
for option in --from=001_step --to=002_step --set=database=sqlite --vary=database=sqlite,mariadb --cold; do
	# shellcheck disable=SC2046 # two words
	expect_rc 2 proj-1 proj-2 $(echo "$option" | sed 's/=/ /')
	grep -q 'all sides are runs that have been' err || die "$option: $(cat err)"
done
nothing_left

# A stop in the middle leaves nothing.
rm -rf project
make_project 30 0.3
"$STEPBOX" compare project/stepbox.yaml project/stepbox.yaml >out 2>err &
pid=$!
i=0
until [ "$("$STEPBOX" ls --json --boxes | grep -c '"state":"active"')" = 2 ] || [ $i = 200 ]; do
	sleep 0.1
	i=$((i + 1))
done
kill -INT $pid
rc=0
wait $pid || rc=$?
[ $rc = 130 ] || die "a stopped comparison: exit $rc: $(cat out err)"
[ ! -s out ] || die "a stopped comparison says nothing: $(cat out)"
nothing_left
