#!/bin/sh
# The fault sweep: every API call of one run fails once in every way: no answer after acting, 500, 503 as HTML, 429 and 413
# with Retry-After, truncated JSON, a connection reset after and before acting. The run ends well or says why (exit code 0 or
# 3); after `stepbox gc` nothing is left. One line per case that does not; the last line is for machines.
#   PART=1/1 PERSONALITY=floating STEPBOX=… sh tests/sweep/faults.sh
. "$(dirname "$0")/../e2e/lib/common.sh"
# shellcheck source=../e2e/lib/fake.sh
. "$OLDPWD/tests/e2e/lib/fake.sh"
needs_boxes
: "${PART:=1/1}" "${PERSONALITY:=floating}"
make_project 1
cloud_recipe r.yaml
begin() {
	start_fake "$PERSONALITY"
	# One that does not answer is given up after 2 s instead of a minute.
	sed -i 's/^  fake:/  fake:\n    api_timeout: 2/' "$work/fake/clouds.yaml"
}
begin
fake_reset
"$STEPBOX" run r.yaml >out 2>&1 || die "the run itself: $(cat out)"
total=$(fake_state 's["calls"]')
echo "$total calls"

n=0 bad=0 done=0 ok=0
for k in $(seq 1 "$total"); do
	for what in '"do": "hang", "act": true' '"do": "status", "status": 500' '"do": "status", "status": 500, "act": true' \
		'"do": "status", "status": 503, "html": true' '"do": "status", "status": 503, "html": true, "act": true' \
		'"do": "retry_after", "status": 429, "seconds": 1' '"do": "retry_after", "status": 413, "seconds": 1' \
		'"do": "truncate", "act": true' '"do": "reset", "act": true' '"do": "reset", "act": false'; do
		n=$((n + 1))
		[ $((n % ${PART#*/})) = $((${PART%/*} % ${PART#*/})) ] || continue
		fault "{$what, \"at\": $k}"
		fake_reset
		rc=0
		timeout 400 "$STEPBOX" run r.yaml >out 2>&1 || rc=$?
		fake_forget
		why=''
		case $rc in
		0) ok=$((ok + 1)) ;;
		3) grep -q 'error: ' out || why="exit 3 and no word" ;;
		*) why="exit $rc: $(tail -n 2 out)" ;;
		esac
		rc=0
		timeout 400 "$STEPBOX" gc >gc.out 2>&1 || rc=$?
		[ $rc = 0 ] || why="$why gc: exit $rc: $(tail -n 2 gc.out)"
		left=$(cloud_left)
		[ -z "$left" ] || why="$why left: $left"
		[ -z "$("$STEPBOX" ls --boxes)" ] || why="$why rows: $("$STEPBOX" ls --boxes)"
		done=$((done + 1))
		if [ -n "$why" ]; then
			bad=$((bad + 1))
			echo "call $k, $what: $why"
			begin
		fi
	done
done
echo "$ok of $done runs ended well in spite of it"
echo "$((done - bad)) passed, $bad failed"
[ $bad = 0 ]
