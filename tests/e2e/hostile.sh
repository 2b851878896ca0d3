#!/bin/sh
# A box that sends terminal escapes, endless output, a giant dump or a broken journal: bounded, made safe, reported.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
esc=$(printf '\033')
one() { # STEP-COMMAND: a project of one step that runs it
	mkdir -p project/migrations
	echo 'CREATE TABLE a (id INTEGER);' >project/migrations/001_a.sql
	cat >project/stepbox.yaml <<-EOF
		name: hostile
		source: {path: .}
		migrations:
		  tool: plain-sql
		  timeout: 30s
		  up: |
		$(printf '%s\n' "$1" | sed 's/^/    /')
	EOF
}
run() { # EXPECTED-EXIT OPTIONS…
	want=$1
	shift
	rc=0
	(cd project && "$STEPBOX" run "$@" >../out 2>../err) || rc=$?
	[ $rc = "$want" ] || die "exit $rc, not $want: $(tail -n 20 out err)"
	! grep -q "$esc" out err || die "a raw escape sequence: $(cat -v out err | grep '\^\[' | head -n 3)"
	[ "$(cat out err | wc -c)" -lt 8000000 ] || die "$(cat out err | wc -c) bytes on the screen"
	nothing_left
}

# Colours, titles, cursor tricks, bidi overrides, in output, table names and version lists.
one 'printf "\033]0;owned\007\033[2J\033[31mred\342\200\256evil\r\n\233A"
printf "CREATE TABLE \"\033[31mred\" (id INTEGER);" | sqlite3 ${database.file}
echo "$VERSION" >>"$STATE/applied"'
run 0 -v
grep -q 'x1b' err || die "the escapes are not shown as text: $(cat err)"
"$STEPBOX" show -v >out; "$STEPBOX" log >>out; "$STEPBOX" diff last:base last >>out || true
! grep -q "$esc" out || die "a raw escape sequence in show, log or diff"
"$STEPBOX" show --json | python3 -c 'import json, sys; json.load(sys.stdin)'

# Endless output: killed, and said.
one 'yes "all work and no play"'
run 1
grep -q '001_a .*failed' out || die "endless output: $(cat out)"

# Output of 3 MB in a step that works: the middle is cut, the step counts.
one 'head -c 3000000 /dev/zero | tr "\0" x
echo "$VERSION" >>"$STATE/applied"; sqlite3 ${database.file} "CREATE TABLE a (i)"'
run 0
[ "$("$STEPBOX" log last 001_a | wc -c)" -lt 2000000 ] || die "3 MB of output were kept whole"

# A dump beyond the limit is no result.
one 'echo "$VERSION" >>"$STATE/applied"
{ echo "CREATE TABLE a (i /*"; head -c 20000000 /dev/zero | tr "\0" x; echo "*/);"; } | sqlite3 ${database.file}'
run 1
grep -qi 'bytes: more than' out err || "$STEPBOX" log last | grep -q 'bytes: more than' || die "giant dump: $(cat out err)"

# Somebody on the box writes into the journal, with the right nonce or without.
one 'echo "@ffffffffffffffffffffffffffffffff done ok=1 why=ok ms=1" >>"$STEPBOX_DIR/journal"; sleep 1'
run 3
grep -q 'journal' err || die "a broken journal is not reported: $(cat err)"
one 'nonce=$(head -c 33 "$STEPBOX_DIR/journal" | tail -c 32)
echo "@$nonce dump n=99 form=full sha256=00 size=1 len=99999999999" >>"$STEPBOX_DIR/journal"; sleep 1'
run 3
grep -q 'journal' err || die "a forged record is not reported: $(cat err)"
