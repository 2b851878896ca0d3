#!/bin/sh
# Packages are installed once for all boxes that want the same ones: two runs at once, an interrupted and a killed maker, a
# package that does not exist, and boxes without layers.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
make_project 2
# Layers outlive the test in the cache, so this one is told apart by an option of apt's that nobody else has.
cache=$work/cache
mkdir -p "$cache/stepbox"
real=${XDG_CACHE_HOME:-$HOME/.cache}/stepbox/base
[ -d "$real" ] || { "$STEPBOX" run project/stepbox.yaml >/dev/null 2>&1; }
ln -s "$real" "$cache/stepbox/base"
XDG_CACHE_HOME=$cache
export XDG_CACHE_HOME
layers=$cache/stepbox/layers
count() { # of layers, of parts
	echo "$(ls -d "$layers"/*-???????????????? 2>/dev/null | wc -l) $(ls -d "$layers"/*.part 2>/dev/null | wc -l)"
}
cd project
ended() { # what a maker that is gone leaves running
	i=0
	while grep -ls "$layers" /proc/[0-9]*/environ /proc/[0-9]*/mountinfo >/dev/null 2>&1 || pgrep -f '^sh ./layer.sh' >/dev/null; do
		i=$((i + 1))
		[ $i -lt 100 ] || die "the maker's processes are left: $(pgrep -fa layer.sh)"
		sleep 0.1
	done
}

# Stopped in the middle: nothing stays. (apt-get update alone takes longer than the wait.)
"$STEPBOX" run --set packages=sl >out 2>err &
pid=$!
i=0
until [ -d "$layers" ] && ls -d "$layers"/*.part >/dev/null 2>&1; do
	i=$((i + 1))
	[ $i -lt 200 ] || die "no layer is made: $(cat out err)"
	sleep 0.05
done
kill -INT $pid
rc=0
wait $pid || rc=$?
[ $rc = 130 ] || die "stopped: exit $rc: $(cat out err)"
[ "$(count)" = "0 0" ] || die "stopped: $(ls "$layers")"

# Killed: what it began is not taken for a layer, and the next one makes it.
"$STEPBOX" run --set packages=sl >out 2>err &
pid=$!
until ls -d "$layers"/*.part >/dev/null 2>&1; do sleep 0.05; done
kill -KILL $pid
wait $pid 2>/dev/null || true
ended
[ "$(count)" = "0 1" ] || die "killed: $(ls "$layers")"

# Two at once make one.
"$STEPBOX" run --set packages=sl >o1 2>e1 &
p1=$!
"$STEPBOX" run --set packages=sl >o2 2>e2 &
p2=$!
wait $p1 || die "first: $(cat o1 e1)"
wait $p2 || die "second: $(cat o2 e2)"
[ "$(count)" = "1 0" ] || die "two: $(ls "$layers")"
"$STEPBOX" log proj-2 >log 2>&1 || true
"$STEPBOX" log "$("$STEPBOX" ls --json | python3 -c 'import json, sys
print([o["run"] for o in map(json.loads, sys.stdin) if "status" in o and o["status"] == "ok"][0])')" >log
grep -q 'already installed: sl' log || die "the box did not lie over it: $(cat log)"

# Without: the box installs by itself.
"$STEPBOX" run --set packages=sl --set box.layer=false >out 2>err || die "without: $(cat out err)"
"$STEPBOX" log last >log
grep -q 'Setting up sl' log || die "without a layer: $(cat log)"
[ "$(count)" = "1 0" ] || die "without: $(ls "$layers")"

# A package that is not there: the task says so, as ever.
rc=0
"$STEPBOX" run --set packages=no-such-package-at-all >out 2>err || rc=$?
[ $rc = 1 ] || [ $rc = 3 ] || die "no such package: exit $rc: $(cat out err)"
grep -q 'no-such-package-at-all' err || die "nobody says which package: $(cat out err)"
[ "$(count)" = "1 0" ] || die "no such package: $(ls "$layers")"
cd ..
"$STEPBOX" gc >/dev/null 2>&1 || true
nothing_left
rm -rf "$layers"
