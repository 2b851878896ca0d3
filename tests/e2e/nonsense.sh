#!/bin/sh
# Nonsense gets one clear sentence and the right exit code, and nothing is begun.
. "$(dirname "$0")/lib/common.sh"
says() {
	want=$1 text=$2
	shift 2
	rc=0
	"$STEPBOX" "$@" >out 2>err </dev/null || rc=$?
	[ $rc = "$want" ] || die "stepbox $*: exit $rc, not $want: $(cat out err)"
	grep -qF -- "$text" err || die "stepbox $*: does not say '$text' but: $(cat err)"
	[ "$(wc -l <err)" = 1 ] || die "stepbox $*: more than one line: $(cat err)"
}
says 2 'did you mean `stepbox show`' shwo
says 2 'no such option; did you mean --keep' run --kep=never
says 2 'no recipe: name one' run
says 2 'nowhere.yaml' run nowhere.yaml
says 2 'no such run' show nothing-1
says 2 'no such run' attach nothing-1
says 2 'no such box' down nothing
says 2 'no such box' step nothing --to 1
says 2 'name boxes, or give --all' down
says 2 'there is no box' ssh
says 2 'usage: stepbox diff' diff a
says 2 'no such step' diff a b
says 2 'no migrations recognised here' init
echo 'name: x' >stepbox.yaml
says 2 'the recipe has no migrations' run
printf 'name: x\nbox: {image: debian-99}\nsource: {path: .}\nmigrations: {tool: plain-sql}\n' >r.yaml
says 2 'debian-99' run r.yaml
printf 'name: x\nname: y\n' >r.yaml
says 2 'r.yaml:2:1' plan r.yaml
head -c 3000000 /dev/zero | tr '\0' a >big.yaml
says 2 'big.yaml' plan big.yaml
head -c 3000 /dev/urandom >rnd.yaml
rc=0
"$STEPBOX" plan rnd.yaml >out 2>err || rc=$?
[ $rc = 2 ] || die "random bytes: exit $rc"
# Escape sequences of a hostile file name or recipe never reach the terminal raw.
printf 'name: "\\e[31mx"\n' >esc.yaml
"$STEPBOX" plan esc.yaml >out 2>err || true
! grep -q "$(printf '\033')" err || die "raw escape in an error"
[ -z "$(ls "$boxes" 2>/dev/null)" ] || die "something was begun"
"$STEPBOX" --help | grep -q 'Exit codes' || die "--help"
for c in init plan run up step ls show log diff schema attach ssh ssh-config extend down gc doctor completion; do
	"$STEPBOX" $c --help | grep -q "usage: stepbox $c" || die "$c --help"
done
