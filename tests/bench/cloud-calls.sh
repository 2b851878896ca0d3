#!/bin/sh
# API thrift: how many calls one box costs from boot to gone, alone and as one of 32, on the fake cloud. Statuses are one
# list for all boxes: they grow with time, not with boxes × time.
. "$(dirname "$0")/../e2e/lib/common.sh"
# shellcheck source=../e2e/lib/fake.sh
. "$OLDPWD/tests/e2e/lib/fake.sh"
needs_boxes
make_project 2
cloud_recipe r.yaml
count() { # PERSONALITY N
	start_fake "$1"
	fake_config '{"build_s": 5, "quotas": {"instances": 100, "cores": 100, "ram": 1000000}}' >/dev/null
	fake_reset
	begin=$(date +%s)
	"$STEPBOX" run r.yaml --vary "env.N=$(seq -s , 1 "$2")" >out 2>&1 || die "$2 boxes: $(cat out)"
	took=$(($(date +%s) - begin))
	cloud_empty "$2 boxes"
	fake_state "'  %-8s %2d boxes  %4d calls, %5.1f a box, in $took s; lists of statuses %d, the rest %.1f a box' % ('$1', $2, s['calls'], s['calls'] / $2, sum(n for k, n in s['counters'].items() if 'servers/detail' in k), (s['calls'] - sum(n for k, n in s['counters'].items() if 'servers/detail' in k)) / $2)"
	[ "$(fake_state "sum(n for k, n in s['counters'].items() if 'servers/detail' in k)")" -le $((2 * took + 2)) ] || missed=1
}
missed=0
echo "calls to the API from boot to gone (a server takes 5 s to become ACTIVE)"
for n in 1 8 32; do
	count plain $n
	count floating $n
done
# The aim: never more than two lists a second, however many boxes.
[ "$missed" = 0 ]
