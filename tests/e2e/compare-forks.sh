#!/bin/sh
# Two forks of one repository: the same number with different content, the same content under another number, and what only
# one of them has, by the hashes git gives files; then the code of a commit, and the migration's files, for what bisect finds.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
make_project 8
cd project
sed -i 's/{path: .}/{git: .}/' stepbox.yaml
git init -q -b ours .
git config user.name Test
git config user.email test@localhost
commit() {
	git add -A
	git commit -q -m "$1"
}
commit 'all of it'
# Theirs: 004 adds another column, 007 came in as 009, 008 is not there.
git checkout -q -b theirs
sed -i 's/c4 /c4_theirs /' migrations/004_step.up.sql migrations/004_step.down.sql
for d in up down; do
	git mv migrations/007_step.$d.sql migrations/009_step.$d.sql
	git rm -q migrations/008_step.$d.sql
done
commit 'theirs'
git checkout -q ours
rc=0
"$STEPBOX" compare --vary source.ref=ours,theirs >out 2>err || rc=$?
[ $rc = 1 ] || die "forks: exit $rc: $(cat out err)"
tr -s ' ' <out >flat
grep -qx ' same number, different content: 004_step' flat || die "$(cat out)"
grep -qx ' same content, different number: 007_step = 009_step' flat || die "$(cat out)"
grep -q '^A proj-1 source.ref=ours, ' flat && grep -q '^B proj-2 source.ref=theirs, ' flat || die "$(cat out)"
grep -q '007_step…008_step only A (2 versions)' flat || die "$(cat out)"
grep -q '009_step only B' flat || die "$(cat out)"
# They end in versions of their own: the ends are compared.
grep -A 1 '008_step ≙ 009_step DIFFERENT' flat | grep -q 'a: - column c8' || die "$(cat out)"
grep -q 'a: column c4 → c4_theirs' flat || die "$(cat out)"
"$STEPBOX" compare --json proj-1 proj-2 | grep -q '"event":"fork",.*"what":"same-content-different-number","version_a":"007_step","version_b":"009_step"' ||
	die "no fork in JSON"
# The same fork twice: nothing is said of files, placeholders that are all alike included.
"$STEPBOX" compare --set source.ref=ours --set-b source.ref=ours stepbox.yaml >out 2>err || die "$(cat out err)"
! grep -q 'content' out || die "$(cat out)"
"$STEPBOX" bisect proj-1 --column a.c7 >out || die "$(cat out)"
blob=$(git rev-parse ours:migrations/007_step.up.sql | cut -c 1-12)
grep -q "file migrations/007_step.up.sql, blob $blob" out || die "its files: $(cat out)"
nothing_left
