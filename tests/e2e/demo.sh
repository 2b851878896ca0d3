#!/bin/sh
# The bundled sample project: every dump as a plain loop makes it, and the demo's own output is worth reading.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
tests=$OLDPWD/tests
[ -d "$tests" ] || die "run from the top of the source tree"
cp -R "$tests/../templates/sample" project
plain_loop
sh "$tests/demo.sh" "$STEPBOX" >out 2>err || die "demo: exit $?: $(cat out err)"
same_as_plain "$("$STEPBOX" ls --json | python3 -c 'import json,sys
print([o["run"] for o in map(json.loads, sys.stdin) if "status" in o][0])')"
grep -q '^[-+] *.*NOT NULL' out || die "the demo shows no lost NOT NULL: $(cat out)"
! grep -q "$(printf '\033')" out || die "escape sequences without a terminal"
nothing_left
