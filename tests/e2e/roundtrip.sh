#!/bin/sh
# Round trips on a box: each version up, down and up again. What leads back, what is lost, what is left, what is refused and what
# breaks on the way is told, and no verdict is the echo of another one. A database that a trip has spoilt is put right.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
mkdir -p p/m
m() { # VERSION UP [DOWN]
	printf '%s\n' "$2" >"p/m/$1.up.sql"
	[ $# -lt 3 ] || printf '%s\n' "$3" >"p/m/$1.down.sql"
}
m 01_clean 'CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE INDEX ta ON t (a);' 'DROP TABLE t;'
m 02_rows "INSERT INTO t (a) VALUES ('x'), ('y'), (NULL);" 'DELETE FROM t;'
m 03_loses 'ALTER TABLE t ADD COLUMN b INT;' 'DROP INDEX ta; ALTER TABLE t DROP COLUMN b;'
m 04_leaves 'CREATE TABLE u (x INT); CREATE TABLE v (x INT);' 'DROP TABLE u;'
m 05_refused 'ALTER TABLE u ADD COLUMN y INT;'
m 06_breaks 'ALTER TABLE u ADD COLUMN z INT;' "DELETE FROM t; DROP TABLE u; SELECT no_such_function();"
m 07_spoils 'CREATE TABLE w (x INT);' 'DROP TABLE w; DELETE FROM t WHERE id = 1; UPDATE t SET a = NULL;'
m 08_only_once "CREATE TABLE once (x INT); INSERT INTO t VALUES (9, 'z', 1);" 'DROP TABLE once;'
m 09_clean 'CREATE TABLE "we''ird	\x" ("c""d" TEXT);' 'DROP TABLE "we''ird	\x";'
cat >p/stepbox.yaml <<'END'
name: trips
box: {ttl: 20m}
source: {path: .}
migrations: {tool: plain-sql, directory: m, roundtrip: true}
END
rc=0
(cd p && "$STEPBOX" run) >out 2>err || rc=$?
[ $rc = 1 ] || die "exit $rc: $(cat out err)"
says() {
	grep -qE -- "$1" out || die "not told: $1: $(cat out err)"
}
says '^ ↕ 01_clean +clean .*leaves no trace'
says '^ ↕ 02_rows +clean'
says '^ ↕ 03_loses +loses index'
says '! loses index: t: - index ta'
says '^ ↕ 04_leaves +down failed|^ ↕ 04_leaves +up again failed'
says '^ ↕ 05_refused +refused'
says '^ ↕ 06_breaks +down failed'
says '! down: failed-partial, exit code 1'
says '^ ↕ 07_spoils +loses (rows|values)'
says '! loses rows: t: 1 of 3'
says '! loses values: t\.a: 2 of 2'
says '^ ↕ 08_only_once +up again failed'
says '^ ↕ 09_clean +clean'
says '^trips-1: 9 steps there and back: 3 leave no trace, '
says '^trips-1: finding in .*step 03_loses: loses index.*and [0-9]+ more findings'
# Each begins where the first way up of the one before ended.
"$STEPBOX" schema trips-1:09_clean >got.sql
for f in p/m/*.up.sql; do sqlite3 -bail plain.db <"$f"; done
sqlite3 plain.db "SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name" >want.sql
cmp got.sql want.sql || die "the last schema is not that of the way up alone: $(diff got.sql want.sql)"
"$STEPBOX" show trips-1 --json | python3 -c '
import json, sys
r = json.load(sys.stdin)
assert r["status"] == "finding", r["status"]
trips = {s["version"]: s["trip"] for s in r["steps"] if s["trip"]}
assert len(trips) == 9 and trips["05_refused"] == "refused", trips
up = [s for s in r["steps"] if s["leg"] in (0, 1)]
assert [s["rows"].get("t", 0) for s in up] == [0, 0, 3, 3, 3, 3, 3, 3, 4, 4], [s["rows"] for s in up]
'
# The same words later, and the legs by name.
"$STEPBOX" show trips-1 | grep -q '^ ↕ 03_loses .*loses index' || die "show"
"$STEPBOX" show trips-1 | grep -q '9 steps there and back' || die "show: no summary"
"$STEPBOX" diff trips-1:02_rows trips-1:03_loses/down >d && die "before up and after down are the same"
grep -q 'index ta' d || die "diff: $(cat d)"
nothing_left
# What leads back everywhere is exit code 0; down is no round trip.
rm p/m/0[3-8]*
(cd p && "$STEPBOX" run) >out 2>err || die "exit $?: $(cat out err)"
says '^trips-2: 3 steps there and back: 3 leave no trace$'
says '^trips-2: ok'
rc=0
(cd p && "$STEPBOX" run --from head --to base) >out 2>err || rc=$?
[ $rc = 1 ] && grep -q 'a round trip leads up and back' out err || die "down: exit $rc: $(cat out err)"
(cd p && "$STEPBOX" run --from head --to base --set migrations.roundtrip=false) >out 2>err || die "down: $(cat out err)"
says '↓ 09_clean +applied'
nothing_left
# The same trips, and the same words, on three engines; on the servers, too, a database is put back with all its rows.
mkdir -p e/m
n() {
	printf '%s\n' "$2" >"e/m/$1.up.sql"
	[ $# -lt 3 ] || printf '%s\n' "$3" >"e/m/$1.down.sql"
}
n 01_clean 'CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9)); CREATE INDEX ta ON t (a);' 'DROP TABLE t;'
n 02_rows "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, NULL);" 'DELETE FROM t;'
n 03_fk 'CREATE TABLE u (x INT PRIMARY KEY, t INT, CONSTRAINT uf FOREIGN KEY (t) REFERENCES t (id)); INSERT INTO u VALUES (1, 1);' \
	'DROP TABLE u;'
n 04_breaks 'ALTER TABLE u ADD COLUMN z INT;' 'DROP TABLE u; SELECT no_such_function();'
n 05_spoils 'CREATE TABLE w (x INT);' 'DROP TABLE w; DELETE FROM t WHERE id = 2; UPDATE t SET a = NULL;'
n 06_refused 'ALTER TABLE u ADD COLUMN y INT;'
n 07_clean 'CREATE TABLE q (x INT);' 'DROP TABLE q;'
cat >e/stepbox.yaml <<'END'
name: engines
box: {ttl: 30m}
source: {path: .}
migrations: {tool: plain-sql, directory: m, roundtrip: true}
END
rc=0
(cd e && "$STEPBOX" run --json --vary database=sqlite,mariadb,postgresql) >out 2>err || rc=$?
[ $rc = 1 ] || die "three engines: exit $rc: $(cat out err)"
python3 - <<'END'
import json
runs = [o for o in map(json.loads, open("out")) if "status" in o and "steps" in o]
assert len(runs) == 3, runs
told = []
for r in runs:
    assert r["status"] == "finding", (r["engine"], r["status"], r["detail"])
    trips = [(s["version"], s["trip"]) for s in r["steps"] if s["trip"]]
    lines = [f.split(", exit code")[0] for s in r["steps"] for f in s["findings"]]
    last = r["steps"][-1]["rows"]
    assert last == {"t": 3, "u": 1, "w": 0, "q": 0}, (r["engine"], last)
    told.append((trips, lines))
assert told[0] == told[1] == told[2], told
assert [t for _, t in told[0][0]] == ["clean", "clean", "clean", "down failed", "loses rows", "refused", "clean"], told[0]
assert "trip: loses values: t.a: 2 of 2" in told[0][1], told[0][1]
END
nothing_left
