#!/bin/sh
# The first version where something holds: over stored schemas without a box, and on boxes, one or several at a time; what
# comes and goes, what cannot be told, what never holds, a migration that fails on the way, a stop in the middle.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
make_project 20
cat >>project/migrations/006_step.up.sql <<'END'
CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INT REFERENCES a (id), x INT);
CREATE INDEX b_x ON b (x, a_id);
END
echo 'DROP INDEX b_x;' >>project/migrations/009_step.up.sql
echo 'CREATE INDEX b_x ON b (x, a_id);' >>project/migrations/015_step.up.sql
cd project

expect_rc() { # RC ARGUMENTS…
	want=$1
	shift
	rc=0
	"$STEPBOX" bisect "$@" >out 2>err || rc=$?
	[ $rc = "$want" ] || die "bisect $*: exit $rc, not $want: $(cat out err)"
}
found() { # VERSION BEFORE
	[ "$(head -n 1 out)" = "$1" ] || die "not $1: $(cat out err)"
	grep -qxF "  the last without: $2" out || die "not behind $2: $(cat out)"
}
boxes_were() { # HOW MANY RUNS THERE ARE
	n=$("$STEPBOX" ls --json | grep -c '"run":"proj-[0-9]*","status"') || true
	[ "$n" = "$1" ] || die "$n runs, not $1"
}

# Stored: no box is booted.
"$STEPBOX" run -q >/dev/null
expect_rc 0 proj-1 --column a.c7
found 007_step 006_step
grep -qF 'a: + column c7' out || die "$(cat out)"
expect_rc 0 last --column A.C19 --bad 019
found 019_step 018_step
expect_rc 0 proj-1 --index b_x
found 006_step 005_step
grep -qx '  then no longer from 009_step on' out || die "$(cat out)"
grep -qx '  then again from 015_step on' out || die "$(cat out)"
expect_rc 0 proj-1 --no-index 'b(x,a_id)' --good 008
found 009_step 008_step
expect_rc 0 proj-1 --table b
found 006_step 005_step
expect_rc 0 proj-1 --fk 'b(a_id)->a'
found 006_step 005_step
expect_rc 1 proj-1 --fk 'b(a_id)->c'
expect_rc 1 proj-1 --no-table c
hash=$("$STEPBOX" show --json proj-1 | python3 -c '
import json, sys
print([s["dump_sha256"] for s in json.load(sys.stdin)["steps"] if s["version"] == "010_step"][0][:10])')
expect_rc 0 proj-1 --schema "$hash"
found 009_step 008_step # 010 only moves rows
grep -qx '  then no longer from 011_step on' out || die "no longer that schema: $(cat out)"
# A version whose schema is not there may be the first one, too.
set_dump() {
	python3 -c 'import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as db:
    print(db.execute("SELECT dump FROM steps WHERE run = \"proj-1\" AND version = \"006_step\"").fetchone()[0])
    assert db.execute("UPDATE steps SET dump = ? WHERE run = \"proj-1\" AND version = \"006_step\"", sys.argv[2:]).rowcount == 1
' "$XDG_STATE_HOME/stepbox/store.sqlite" "$1"
}
dump=$(set_dump '')
expect_rc 1 proj-1 --column a.c7
grep -qx 'column a.c7: begins to hold at one of 006_step, 007_step' out || die "not all of it is known: $(cat out)"
set_dump "$dump" >/dev/null
expect_rc 0 --json proj-1 --column a.c7
python3 -c '
import json
o = [json.loads(line) for line in open("out")]
assert o[0]["event"] == "found" and o[0]["version"] == "007_step" and o[0]["before"] == "006_step", o
assert o[0]["changes"] == ["a: + column c7 INTEGER NULL DEFAULT 7"], o' || die "$(cat out)"
boxes_were 1
# A walk down is read backwards.
cp -r . ../down && (cd ../down && sed -i 's/name: proj/name: down/' stepbox.yaml && echo 'DROP TABLE b;' >>migrations/006_step.down.sql &&
	printf 'DROP INDEX b_x;\n' >>migrations/015_step.down.sql && echo 'CREATE INDEX b_x ON b (x, a_id);' >>migrations/009_step.down.sql &&
	"$STEPBOX" run -q --from head --to 004 >../out) || [ $? = 1 ] || die "the walk down: $(cat ../out)"
expect_rc 0 down-1 --column a.c7
found_at=$(head -n 1 out)
[ "$found_at" = 007_step ] || die "downwards: $(cat out)"
grep -qx '  the last without: 006_step' out || die "downwards: $(cat out)"

# On boxes: two ends, four or five places between, and the step by itself.
expect_rc 0 --column a.c13
found 013_step 012_step
grep -q '^proj-2: base  does not hold$' err || die "$(cat err)"
grep -q '^proj-3: head  holds$' err || die "$(cat err)"
# Three at a time, by a command; a run names the recipe.
expect_rc 0 proj-1 --jobs 3 -- 'test -f migrations/001_step.up.sql
! sqlite3 /var/tmp/proj.sqlite .schema | grep -q c14'
found 014_step 013_step
grep -q 'at most 3 more rounds' err || die "$(cat err)"
# By SQL, of rows; what the database refuses does not hold.
expect_rc 0 --jobs 3 --sql "SELECT count(*) > 1 FROM a WHERE v LIKE 'row %';"
found 010_step 009_step
expect_rc 0 --good 004 --bad 011 --jobs 3 --sql 'SELECT 1 + count(*) FROM b'
found 006_step 005_step
# What cannot be told is gone round.
expect_rc 1 --jobs 3 -- 'case $VERSION in 00[45]*) exit 125 ;; 00[6-9]* | 01* | 02*) exit 1 ;; esac'
grep -qx '.*begins to hold at one of 004_step, 005_step, 006_step' out || die "$(cat out)"
# Neither, and usage.
expect_rc 1 --table nothing
grep -qx 'table nothing: does not hold where the search ends (base … 020_step)' out || die "$(cat out)"
expect_rc 1 -- false
expect_rc 2
expect_rc 2 --table a --column a.b
expect_rc 2 --column ab
expect_rc 2 --schema xyz
expect_rc 2 --table a --jobs 99
expect_rc 2 --sql ' ;'
expect_rc 2 -- ''
expect_rc 2 proj-1 --fk 'b(a_id)->'
expect_rc 2 proj-1 --fk '->a'
for stored in proj-1 ''; do
	# shellcheck disable=SC2086 # a word or none
	expect_rc 2 $stored --good 012 --bad 004 --column a.c7
	grep -q -- '--bad 004.* does not come after --good 012' err || die "ends in the wrong order: $(cat err)"
done
# With another value a stored run is not the run that is asked about.
expect_rc 1 proj-1 --set migrations.to=005_step --column a.c7
grep -qF '(base … 005_step)' out || die "--set of a stored run: $(cat out)"
expect_rc 2 nowhere --table a
nothing_left

# A migration in the middle fails: the end cannot be looked at.
cp migrations/012_step.up.sql keep
echo 'no such thing;' >>migrations/012_step.up.sql
expect_rc 1 --column a.c7
grep -q 'version head cannot be looked at' err || die "$(cat err)"
expect_rc 0 --column a.c7 --bad 011
found 007_step 006_step
mv keep migrations/012_step.up.sql

# A stop in the middle leaves nothing.
"$STEPBOX" bisect --jobs 2 -- 'sleep 30' >out 2>err &
pid=$!
i=0
until [ "$("$STEPBOX" ls --json --boxes | grep -c '"state":"active"')" = 2 ] || [ $i = 200 ]; do
	sleep 0.1
	i=$((i + 1))
done
sleep 0.5
kill -INT $pid
rc=0
wait $pid || rc=$?
[ $rc = 130 ] || die "a stopped search: exit $rc: $(cat out err)"
nothing_left
