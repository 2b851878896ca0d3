#!/bin/sh
# Limits: a step that takes longer than it may, and data that vanishes, are findings: the walk goes on, the end says the first and how
# many, the exit code is 1. What is allowed is none. learn makes limits of what runs took.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
mkdir -p p/m
echo "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INT); INSERT INTO t (a, b) VALUES ('x', 1), ('y', 2); CREATE TABLE u (x INT); INSERT INTO u VALUES (1);" >p/m/01_make.up.sql
echo 'DELETE FROM t WHERE id = 1;' >p/m/02_row.up.sql
echo 'DROP TABLE u;' >p/m/03_table.up.sql
echo 'ALTER TABLE t RENAME TO r;' >p/m/04_rename.up.sql
cat >p/stepbox.yaml <<'END'
name: limits
box: {ttl: 20m}
source: {path: .}
migrations:
  tool: plain-sql
  directory: m
END
run() { # WANTED-EXIT ARG…
	want=$1 rc=0
	shift
	(cd p && "$STEPBOX" run "$@") >out 2>err || rc=$?
	[ $rc = "$want" ] || die "run $*: exit $rc, not $want: $(cat out err)"
}
run 1
grep -q '! loss: t: 1 of 2 rows are gone' out || die "a row: $(cat out)"
grep -q '! loss: u: dropped with 1 row' out || die "a table: $(cat out)"
grep -q '04_rename .*applied' out || die "the walk did not go on: $(cat out)"
grep -q '^limits-1: finding in .*step 02_row: t: 1 of 2 rows are gone, and 1 more finding' out || die "the end: $(cat out)"
run 0 --set limits.loss=allow
grep -q '· u: dropped with 1 row' out || die "what is allowed is not told: $(cat out)"
run 0 --set 'limits.loss=["02", "03_table"]'
run 1 --set 'limits.loss=["02"]'
# Time. The tool's own: the step itself is quick.
run 0 --set limits.loss=allow --set limits.step=60s --to 01_make
cat >>p/stepbox.yaml <<'END'
  up: |
    [ "$VERSION" != 02_row ] || sleep 1.5
    sqlite3 -bail "${database.file}" <m/"$VERSION".up.sql
    echo "$VERSION" >>"$STATE/at"
  current: |
    cat "$STATE/at" 2>/dev/null || true
  applied: true
limits: {step: 1s, loss: allow}
END
run 1
grep -q '! limit: took 1.*more than 1.0 s' out || die "time: $(cat out)"
grep -q '^limits-6: finding in .*step 02_row: took' out || die "time, the end: $(cat out)"
run 0 --set limits.02=10s
# What was learned: of the runs in which 02_row was slow.
"$STEPBOX" learn limits-6 limits-7 --samples 1 --default 1s --margin 1s --into p/learned.yaml
grep -q '"02_row": 3s # 1.* in 2 runs' p/learned.yaml || die "learned: $(cat p/learned.yaml)"
[ "$(grep -c ' runs$' p/learned.yaml)" -ge 1 ] || die "learned: $(cat p/learned.yaml)"
"$STEPBOX" learn limits-6 limits-7 --samples 1 --default 1s --margin 1s | cmp - p/learned.yaml || die "learn is not the same twice"
run 0 --set limits='{file: learned.yaml, loss: allow}'
"$STEPBOX" learn --name limits | grep -q '^learned: \[\]' || die "learned from too few: $("$STEPBOX" learn --name limits)"
rc=0
"$STEPBOX" learn --name nobody >out 2>err || rc=$?
[ $rc = 2 ] && grep -q 'nobody: no runs of this name' err || die "learn of nothing: exit $rc"
rc=0
(cd p && "$STEPBOX" run --set limits.step=soon) >out 2>err || rc=$?
[ $rc = 2 ] && grep -q 'limits: step: not a time span' err || die "a mistake: exit $rc: $(cat err)"
# A file that says it all, even to who takes over later.
"$STEPBOX" show limits-8 | grep -q '02_row' || die "show"
nothing_left
