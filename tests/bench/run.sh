#!/bin/sh
# SPDX-License-Identifier: MIT
# All benches: run.sh BUILD. Each prints figures as ratios against a peer in the same run and misses its aim with exit 1.
set -u
build=$1 here=$(dirname "$0") bad=0
one() {
	echo "== $1"
	shift
	"$@"
	case $? in
	0) ;;
	77) echo "   (skipped)" ;;
	*) echo "   an aim is MISSED"; bad=1 ;;
	esac
}
one 'boot: to the first remote command' bash "$here/boot.sh" "$build"
one 'connect: loopback and round trips' "$build/bench/connect"
one 'steps: what the runner costs, on this machine' sh "$here/steps.sh"
one 'warm: a walk with the tool loaded once, against a typed loop' sh "$here/warm.sh" "$build"
one 'walk: 200 steps end to end over a delay link; memory' "$build/bench/walk"
one 'diff: structure beside diff -u, 110 and 5,000 tables' "$build/bench/diff"
one 'cloud: calls to the API, one box and 32' env STEPBOX="$PWD/$build/stepbox" sh "$here/cloud-calls.sh"
one 'openstack: to the first remote command, on a real cloud' bash "$here/openstack.sh" "$build"
exit $bad
