#!/bin/sh
# What a step can come to, each made for real: the outcome is named, the walk stops, the step's last lines are shown.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
mkdir -p project/migrations
for v in 1 2 3; do echo "CREATE TABLE t$v (id INTEGER);" >project/migrations/$v.sql; done
outcome() { # OUTCOME EXIT TEXT-IN-STDERR UP-COMMAND [MORE-YAML]
	cat >project/stepbox.yaml <<-EOF
		name: out
		source: {path: .}
		migrations:
		  tool: plain-sql
		  timeout: 2s
		  applied: "false"
		  current: "tail -n 1 \$STATE/at 2>/dev/null || true"
		  up: |
		$(printf '%s\n' "$4" | sed 's/^/    /')
		${5:-}
	EOF
	rc=0
	(cd project && "$STEPBOX" run --from 1 --to 3 >../out 2>../err) || rc=$?
	[ $rc = "$2" ] || die "$1: exit $rc: $(cat out err)"
	grep -q " 2 .* $1 " out || die "step 2 is not $1: $(cat out err)"
	! grep -q '^   3 ' out || die "$1: the walk went on"
	grep -q "out-.*: finding in .*: step 2: $1" out || die "$1: no verdict: $(cat out)"
	[ -z "$3" ] || grep -q "$3" err || die "$1: the step's own words are not shown: $(cat err)"
	nothing_left
}
# shellcheck disable=SC2016 # all of these are for the box
{
do_it='sqlite3 ${database.file} <migrations/$VERSION.sql; echo $VERSION >>$STATE/at'
outcome failed-clean 1 'no such luck' "[ \$VERSION != 2 ] || { echo no such luck; exit 3; }; $do_it"
outcome failed-partial 1 'half way' "[ \$VERSION != 2 ] || { sqlite3 \${database.file} 'CREATE TABLE half (i)'; echo half way; exit 1; }; $do_it"
outcome silent-noop 1 '' "[ \$VERSION != 2 ] || exit 0; $do_it"
outcome wrong-target 1 '' "[ \$VERSION != 2 ] || { echo 3 >>\$STATE/at; exit 0; }; $do_it"
outcome timeout 1 'so long' "[ \$VERSION != 2 ] || { echo so long; sleep 100 & sleep 100; }; $do_it"
outcome env-failed 1 'No module named' "[ \$VERSION != 2 ] || python3 -c 'import nosuchthing'; $do_it" '  env_failed: ModuleNotFoundError'
outcome refused 1 'NotImplementedError' "[ \$VERSION != 2 ] || { echo NotImplementedError; exit 1; }; $do_it" '  refused: NotImplementedError'
}
# A task that does not succeed is a finding, too, and shows its last lines.
printf 'name: out\nsource: {path: .}\nsetup: ["echo oh dear; exit 9"]\nmigrations: {tool: plain-sql}\n' >project/stepbox.yaml
rc=0
(cd project && "$STEPBOX" run >../out 2>../err) || rc=$?
[ $rc = 1 ] || die "setup: exit $rc"
grep -q 'oh dear' err || die "setup: its words are not shown"
grep -q 'exit code 9' err || die "setup: its exit code is not shown: $(cat err)"
# A version that is not there.
printf 'name: out\nsource: {path: .}\nmigrations: {tool: plain-sql, from: 1, to: 7}\n' >project/stepbox.yaml
rc=0
(cd project && "$STEPBOX" run >../out 2>../err) || rc=$?
[ $rc = 1 ] || die "to 7: exit $rc"
grep -q 'version 7 is not in the list of 3 versions (1 … 3)' err || die "to 7: $(cat err)"
nothing_left
