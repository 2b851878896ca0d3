#!/bin/sh
# Runs test programs and scripts one after another: run.sh BUILD TEST…  Exit code 77 of a test means skipped. Output is
# shown for what did not pass; the last line is for machines.
set -u
build=$1
shift
STEPBOX=$(cd "$build" && pwd)/stepbox
export STEPBOX
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Tests keep their state to themselves, but share one cache: the base tree takes a minute to make.
XDG_CACHE_HOME=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}
export XDG_CACHE_HOME
for t; do
	case $t in
	*.sh) set -- sh "$t"; name=${t#tests/}; limit=600 ;;
	*) set -- "$t"; name=unit/$(basename "$t"); limit=300 ;;
	esac
	state=$(mktemp -d)
	begin=$(date +%s)
	XDG_STATE_HOME=$state XDG_CONFIG_HOME=$state/config timeout -k 10 $limit "$@" >"$log" 2>&1 </dev/null
	rc=$?
	took=$(($(date +%s) - begin))
	case $rc in
	0) passed=$((passed + 1)); echo "ok    $name (${took} s)" ;;
	77) skipped=$((skipped + 1)); echo "skip  $name: $(tail -n 1 "$log")" ;;
	*) failed=$((failed + 1)); echo "FAIL  $name (exit $rc, ${took} s)"; sed 's/^/      /' "$log" | tail -n 60 ;;
	esac
	# Whatever a test left running is a leak, and said as one.
	if [ -d "$state/stepbox/boxes" ] && [ -n "$(ls "$state/stepbox/boxes" 2>/dev/null)" ]; then
		echo "      $name left boxes behind: $(ls "$state/stepbox/boxes")"
		XDG_STATE_HOME=$state "$STEPBOX" down --all >/dev/null 2>&1
		failed=$((failed + 1))
	fi
	rm -rf "$state"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
