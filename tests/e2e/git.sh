#!/bin/sh
# Sources: a git daemon on loopback, a repository's path, a work tree as it is; branch, tag, commit; full and shallow.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
git() { command git -c init.defaultBranch=main -c user.name=t -c user.email=t@example.invalid -c protocol.file.allow=always "$@"; }
mkdir origin lib
(cd lib && git init -q . && echo one >in-submodule && git add . && git commit -qm lib)
cd origin
git init -q .
mkdir migrations
echo 'CREATE TABLE a (id INTEGER);' >migrations/1.sql
git add .
git commit -qm one
git tag -a v1 -m v1
echo 'CREATE TABLE b (id INTEGER);' >migrations/2.sql
git add .
git commit -qm two
sha=$(git rev-parse HEAD)
git checkout -qb topic
echo 'CREATE TABLE c (id INTEGER);' >migrations/3.sql
git add .
git commit -qm three
git checkout -q main
cd ..
port=$((20000 + $$ % 20000))
command git daemon --reuseaddr --listen=127.0.0.1 --port=$port --base-path="$work" --export-all --pid-file="$work/daemon.pid" 2>/dev/null &
daemon=$!
trap 'kill $daemon; cleanup' EXIT
sleep 0.5
walk() { # SOURCE-YAML EXPECTED-VERSIONS
	printf 'name: src\nsource: {%s}\nsetup: ["git log --oneline | wc -l", "git status --short"]\nmigrations: {tool: plain-sql}\n' "$1" >r.yaml
	"$STEPBOX" run --json r.yaml >j 2>err || die "$1: exit $?: $(cat err; "$STEPBOX" log)"
	got=$(tail -n 1 j | python3 -c 'import json, sys; print(*[s["version"] for s in json.load(sys.stdin)["steps"]][1:])')
	[ "$got" = "$2" ] || die "$1: versions $got, not $2"
}
for git in "git://127.0.0.1:$port/origin" "$work/origin" "file://$work/origin" ./origin; do
	walk "git: '$git'" '1 2'
	walk "git: '$git', ref: topic" '1 2 3'
	walk "git: '$git', ref: v1" '1'
	walk "git: '$git', ref: $sha" '1 2'
	"$STEPBOX" log last setup | grep -qx 2 || die "$git: the history is not there: $("$STEPBOX" log last setup)"
	walk "git: '$git', ref: topic, depth: 1" '1 2 3'
	"$STEPBOX" log last setup | grep -qx 1 || die "$git: depth 1 brought more: $("$STEPBOX" log last setup)"
done
# Not there: said with the words of git.
printf 'name: src\nsource: {git: "git://127.0.0.1:%s/origin", ref: nope}\nmigrations: {tool: plain-sql}\n' $port >r.yaml
"$STEPBOX" run r.yaml >out 2>err && die "a ref that is not there"
grep -q 'nope' err || die "ref nope: $(cat err)"
printf 'name: src\nsource: {git: ./origin, ref: nope}\nmigrations: {tool: plain-sql}\n' >r.yaml
rc=0
"$STEPBOX" run r.yaml >out 2>err || rc=$?
[ $rc = 2 ] && grep -q 'nope: no such branch, tag or commit' err || die "local ref nope: exit $rc $(cat err)"
# As it is: changed and untracked files come along, ignored ones do not; the history, too.
cd origin
echo 'ALTER TABLE b ADD COLUMN x INTEGER;' >>migrations/2.sql
echo 'CREATE TABLE "new file" (id INTEGER);' >'migrations/4 with blank.sql'
mv 'migrations/4 with blank.sql' migrations/4.sql
echo '*.log' >.gitignore
echo noise >migrations/9.log
git submodule --quiet add "$work/lib" sub 2>/dev/null
cd ..
walk 'path: origin' '1 2 4'
"$STEPBOX" schema last:2 | grep -q 'x INTEGER' || die "an uncommitted change did not come along"
"$STEPBOX" log last setup | grep -q 'migrations/4.sql' || die "git status in the box: $("$STEPBOX" log last setup)"
printf 'name: src\nsource: {path: origin}\nsetup: ["test -e sub/in-submodule", "! test -e migrations/9.log"]\n' >r.yaml
"$STEPBOX" up r.yaml >out 2>err || die "submodule or ignored file: $(cat err)"
"$STEPBOX" down --all >/dev/null
# A linked work tree, and no git at all.
command git -C origin worktree add -q "$work/linked" topic
walk 'path: linked' '1 2 3'
mkdir -p bare/migrations
cp origin/migrations/1.sql bare/migrations
printf 'name: src\nsource: {path: bare}\nmigrations: {tool: plain-sql}\n' >r.yaml
"$STEPBOX" run r.yaml >out 2>err || die "no git: $(cat err)"
nothing_left
