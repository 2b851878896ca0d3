#!/bin/sh
# The connection is cut at random moments of a walk, again and again: dumps and outputs are those of an undisturbed run.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
make_project 60 0.05
plain_loop
cd project
"$STEPBOX" run >out 2>err || die "undisturbed: $(cat out err)"
"$STEPBOX" run >out2 2>err2 &
pid=$!
cuts=0
# The sshd children that serve connections of this box, and of no other: told by its pid namespace. The listener stays.
serving() {
	keeper=$(cut -d' ' -f1 "$boxes/proj-2/pid" 2>/dev/null) || return 0
	for init in $(pgrep -P "$(pgrep -d, -P "$keeper" || echo 0)" || true); do
		for p in $(pgrep --ns "$init" --nslist pid -f '^sshd: root@notty' || true); do echo "$p"; done
	done
}
while kill -0 $pid 2>/dev/null; do
	sleep 0.$(($(od -An -N1 -tu1 /dev/urandom) % 4 + 1))
	for p in $(serving); do
		kill -9 "$p" 2>/dev/null && cuts=$((cuts + 1))
	done
done
rc=0
wait $pid || rc=$?
[ $rc = 0 ] || die "cut: exit $rc: $(cat out2 err2)"
[ $cuts -ge 3 ] || die "only $cuts cuts"
echo "$cuts cuts"
cd ..
same_as_plain proj-1
same_as_plain proj-2
for r in 1 2; do "$STEPBOX" log proj-$r >log$r; done
cmp log1 log2 || die "the outputs differ"
nothing_left
