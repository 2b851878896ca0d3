#!/bin/sh
# Many boxes at a time: one security group, one list of statuses for all, turns where the quota has no room, and a word
# from the cloud that it is full although its limits said otherwise.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/fake.sh
. "$OLDPWD/tests/e2e/lib/fake.sh"
needs_boxes
make_project 1
cloud_recipe r.yaml
start_fake floating
calls() { fake_state "sum(n for k, n in s['counters'].items() if k.startswith('$1'))"; }
fleet() { # NAME N
	"$STEPBOX" run r.yaml --vary "env.N=$(seq -s , 1 "$2")" --json >out 2>err || die "$1: exit $?: $(cat err)"
	[ "$(grep -c '"status": *"ok"' out)" = "$2" ] || die "$1: $(grep -c '"status": *"ok"' out) of $2 are ok: $(cat out err)"
	nothing_left
	cloud_empty "$1"
}

fleet four 4
made=$(calls 'POST /network/v2.0/security-groups')
[ "$made" = 1 ] || die "four boxes made $made security groups"
[ "$(calls 'POST /identity')" = 1 ] || die "four boxes logged in $(calls 'POST /identity') times"

# Room for two: the others wait for their turn, and none is refused.
fake_config '{"quotas": {"instances": 2, "cores": 20, "ram": 51200}}'
fleet turns 5
! grep -q '"status": *403' "$work/fake/requests.log" || die "the cloud had to refuse"

# The limits promise room that is not there: the cloud's 403 makes them wait, too.
fake_config '{"quotas": {"instances": 10, "cores": 20, "ram": 51200}}'
fault '{"do": "status", "status": 403, "body": "{\"forbidden\": {\"code\": 403, \"message\": \"Quota exceeded for instances: Requested 1, but already used 2 of 2 instances\"}}", "method": "POST", "path": "/servers$", "skip": 1, "times": 2}'
fleet refused 3
fake_forget

# One box that can never fit is told at once, with the numbers.
rc=0
"$STEPBOX" run r.yaml --set box.flavor=m1.huge >out 2>err || rc=$?
[ $rc = 3 ] && grep -qi 'quota\|no valid host' err || die "too big: exit $rc: $(cat err)"
cloud_empty huge

# One that waits for its turn is ended from outside: it makes nothing any more, and the other goes on.
fake_config '{"quotas": {"instances": 1, "cores": 20, "ram": 51200}, "build_s": 3}'
"$STEPBOX" run r.yaml --vary env.N=1,2 >out 2>err &
pid=$!
i=0
until [ "$("$STEPBOX" ls --boxes --json | wc -l)" = 2 ] || [ $i -gt 100 ]; do
	i=$((i + 1))
	sleep 0.05
done
sleep 1
waits=$("$STEPBOX" ls --boxes --json | grep '"state": *"wanted"' | sed -n 's/.*"box": *"\([^"]*\)".*/\1/p' | head -n 1)
[ -n "$waits" ] || die "nobody waits for a turn: $("$STEPBOX" ls --boxes)"
"$STEPBOX" down "$waits" >/dev/null || die "down of one that waits"
wait $pid && die "a box that was ended is ok: $(cat out err)"
[ "$(grep -c ': ok in' out)" = 1 ] || die "the other one did not go on: $(cat out err)"
nothing_left
cloud_empty outside
