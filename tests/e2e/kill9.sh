#!/bin/sh
# kill -9 of stepbox at many moments: gc ends what it left; attach shows a run that went on without us, complete to the byte.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
make_project 30 0.05
plain_loop
cd project
for ms in 5 40 90 150 210 280 400 600 1000; do
	"$STEPBOX" run >out 2>err &
	pid=$!
	sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
	kill -9 $pid 2>/dev/null || true
	wait $pid || true
	"$STEPBOX" gc >gc.out || die "gc after $ms ms: exit $?: $(cat gc.out)"
	nothing_left
done
run() {
	"$STEPBOX" run >out 2>err &
	pid=$!
	until [ "$(grep -c applied out)" -ge "$1" ] 2>/dev/null; do sleep 0.02; done
	kill -9 $pid
	wait $pid || true
	id=$("$STEPBOX" ls --json | python3 -c 'import json,sys
for l in sys.stdin:
	o = json.loads(l)
	if "status" in o:
		print(o["run"])
		break')
}
for at in 1 7 20; do
	run $at
	sleep 0.2
	"$STEPBOX" attach "$id" >out2 2>err2 || die "attach: exit $?: $(cat out2 err2)"
	(cd .. && same_as_plain "$id")
	nothing_left
done
# Twice killed, and attached to after it has ended on its own.
run 2
"$STEPBOX" attach "$id" >/dev/null 2>&1 &
pid=$!
sleep 0.3
kill -9 $pid
wait $pid || true
sleep 3
"$STEPBOX" attach "$id" >out2 2>err2 || die "second attach: exit $?: $(cat out2 err2)"
(cd .. && same_as_plain "$id")
nothing_left
