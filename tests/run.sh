#!/bin/sh
# Runs test programs and scripts, JOBS (4: they mostly wait) at a time: run.sh BUILD TEST…  Exit code 77 of a test means skipped. Output is
# shown for what did not pass; the last line is for machines.
set -u

# One test: its line (and output) in one write, its verdict as a file in $results.
one() {
	t=$1
	log=$(mktemp)
	state=$(mktemp -d)
	case $t in
	*.sh) set -- sh "$t"; name=${t#tests/}; limit=600 ;;
	*) set -- "$t"; name=unit/$(basename "$t"); limit=300 ;;
	esac
	begin=$(date +%s)
	XDG_STATE_HOME=$state XDG_CONFIG_HOME=$state/config timeout -k 10 $limit "$@" >"$log" 2>&1 </dev/null
	rc=$?
	took=$(($(date +%s) - begin))
	case $rc in
	0) verdict=passed said="ok    $name (${took} s)" ;;
	77) verdict=skipped said="skip  $name: $(tail -n 1 "$log")" ;;
	*) verdict=failed said="FAIL  $name (exit $rc, ${took} s)
$(sed 's/^/      /' "$log" | tail -n 60)" ;;
	esac
	# Whatever a test left running is a leak, and said as one.
	if [ -d "$state/stepbox/boxes" ] && [ -n "$(ls "$state/stepbox/boxes" 2>/dev/null)" ]; then
		said="$said
      $name left boxes behind: $(ls "$state/stepbox/boxes")"
		XDG_STATE_HOME=$state "$STEPBOX" down --all >/dev/null 2>&1
		verdict=failed
	fi
	printf '%s\n' "$said"
	mktemp "$results/$verdict-XXXXXX" >/dev/null
	rm -rf "$state" "$log"
}

if [ "$1" = --one ]; then
	one "$2"
	exit 0
fi
build=$1
shift
STEPBOX=$(cd "$build" && pwd)/stepbox
# Tests keep their state to themselves, but share one cache: the base tree takes a minute to make.
XDG_CACHE_HOME=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}
results=$(mktemp -d)
export STEPBOX XDG_CACHE_HOME results
trap 'rm -rf "$results"' EXIT
count() {
	find "$results" -name "$1-*" | wc -l
}
printf '%s\0' "$@" | xargs -0 -n 1 -P "${JOBS:-4}" sh "$0" --one
echo "$(count passed) passed, $(count failed) failed, $(count skipped) skipped"
[ "$(count failed)" = 0 ] && [ "$(count passed)" -gt 0 ] && [ $(($(count passed) + $(count skipped))) = $# ]
