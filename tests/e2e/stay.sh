#!/bin/sh
# A box that stays: up, step, ssh, ssh-config, extend, down; and one that ends itself.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
make_project 9
plain_loop
cd project
"$STEPBOX" up >out 2>err || die "up: exit $?: $(cat out err)"
cd ..
"$STEPBOX" step proj-1 --to 004_step >out 2>err || die "step --to: $(cat out err)"
"$STEPBOX" step proj-1 --to +2 >out 2>err || die "step +2: $(cat out err)"
"$STEPBOX" schema proj-3:006_step | cmp - plain/006_step.sql
"$STEPBOX" step proj-1 --to -3 >out 2>err || die "step -3: $(cat out err)"
"$STEPBOX" schema last | cmp - plain/003_step.sql
"$STEPBOX" step proj-1 >out 2>err || die "step to head: $(cat out err)"
"$STEPBOX" schema last | cmp - plain/009_step.sql
[ "$("$STEPBOX" ssh proj-1 -- hostname)" = proj-1 ] || die "ssh"
"$STEPBOX" ssh-config proj-1 >cfg
[ "$(ssh -F cfg proj-1 id -u)" = 0 ] || die "ssh-config"
"$STEPBOX" extend proj-1 2h | grep -q 'stays until' || die "extend"
"$STEPBOX" gc | grep -q 'nothing' || die "gc touches a kept box"
"$STEPBOX" down proj-1 | grep -q gone || die "down"
nothing_left
if "$STEPBOX" step proj-1 --to 1 2>err; then die "step on a box that is gone"; else [ $? = 2 ] || die "exit $?"; fi

# Its own expiry ends it: processes, mounts, files.
(cd project && "$STEPBOX" up --set box.ttl=3s) >out 2>err || die "up: $(cat out err)"
i=0
while [ -n "$(ls "$boxes")" ]; do
	i=$((i + 1))
	[ $i -lt 150 ] || die "the box did not end itself"
	sleep 0.1
done
"$STEPBOX" gc >/dev/null
nothing_left
