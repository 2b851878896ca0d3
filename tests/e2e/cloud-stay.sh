#!/bin/sh
# Boxes of a cloud that stay: up, step, ssh, extend, attach after a kill, down; one that the cloud ends; Ctrl-C and kill -9
# at many moments.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/fake.sh
. "$OLDPWD/tests/e2e/lib/fake.sh"
needs_boxes
make_project 6
plain_loop
cloud_recipe r.yaml
start_fake floating
"$STEPBOX" up r.yaml >out 2>err || die "up: exit $?: $(cat out err)"
"$STEPBOX" step cl-1 --to 003_step >out 2>err || die "step --to: $(cat out err)"
"$STEPBOX" schema last | cmp - plain/003_step.sql
"$STEPBOX" step cl-1 >out 2>err || die "step: $(cat out err)"
"$STEPBOX" schema last | cmp - plain/006_step.sql
[ "$("$STEPBOX" ssh cl-1 -- id -u)" = 0 ] || die "ssh"
before=$(fake_state 's["servers"][0]["metadata"]["stepbox-expires"]')
"$STEPBOX" extend cl-1 3h | grep -q 'stays until' || die "extend"
[ "$(fake_state 's["servers"][0]["metadata"]["stepbox-expires"]')" != "$before" ] || die "extend: the cloud was not told"
"$STEPBOX" gc >out 2>&1 || die "gc: $(cat out)"
grep -q nothing out || die "gc touches a kept box: $(cat out)"
"$STEPBOX" doctor --cloud fake >out 2>&1 || die "doctor: $(cat out)"
"$STEPBOX" down cl-1 | grep -q gone || die "down"
nothing_left
cloud_empty down

# The owner of the cloud ends it behind our back.
"$STEPBOX" up r.yaml >out 2>err || die "up: $(cat out err)"
box=$("$STEPBOX" ls --boxes --json | sed -n 's/.*"box": *"\([^"]*\)".*/\1/p')
curl -sf -X POST "$fake_url/fake/servers/$(fake_state 's["servers"][0]["id"]')/poweroff" >/dev/null || die "poweroff"
sleep 0.5
"$STEPBOX" gc >out 2>&1 || die "gc: $(cat out)"
grep -q "$box: ended (ended by itself)" out || die "gc does not see that it has ended: $(cat out)"
nothing_left
cloud_empty poweroff

# Killed under a walk: the box walks on, attach takes the rest.
make_project 20 0.1
"$STEPBOX" run r.yaml >out 2>err &
pid=$!
until [ "$(grep -cs applied out)" -gt 2 ] 2>/dev/null; do sleep 0.05; done
kill -KILL $pid
wait $pid 2>/dev/null || true
"$STEPBOX" attach >out 2>err || die "attach: exit $?: $(cat out err)"
"$STEPBOX" schema "$(last_run):020_step" >/dev/null || die "attach: no last dump"
nothing_left
cloud_empty attach

# Stopped at many moments: a fast machine may be done before the last of them.
stopped=0
fake_config '{"build_s": 1.5}'
for ms in 20 100 200 400 800 1200 1700 2000 2400 3000 3600; do
	"$STEPBOX" run r.yaml >out 2>err &
	pid=$!
	sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
	kill -INT $pid
	rc=0
	wait $pid || rc=$?
	[ $rc = 130 ] || [ $rc = 0 ] || die "stopped after $ms ms: exit $rc: $(cat out err)"
	[ $rc = 0 ] || stopped=$((stopped + 1))
	nothing_left
	cloud_empty "stopped after $ms ms"
done

[ $stopped -ge 8 ] || die "only $stopped of the stops came in time to mean anything"

# Killed at many moments; two at once.
for ms in 150 400 900 1800 2600; do
	"$STEPBOX" run r.yaml >out 2>err &
	pid=$!
	"$STEPBOX" run r.yaml >out2 2>err2 &
	pid2=$!
	sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
	kill -KILL $pid
	wait $pid 2>/dev/null || true
	timeout 200 "$STEPBOX" gc >gc.out 2>&1 || die "killed after $ms ms: gc: $(cat gc.out)"
	wait $pid2 || die "killed after $ms ms: gc harmed the other run: $(cat gc.out out2 err2)"
	nothing_left
	cloud_empty "killed after $ms ms"
done
