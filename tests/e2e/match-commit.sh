#!/bin/sh
# match: commit: each version is stepped with the code that went with it. Old versions of this project run with old code only, and
# what a commit leaves behind (bytecode without its source, an untracked file, a database that a later commit tracks) breaks
# the next. Local repository, its work tree, a shallow copy, a remote one; setup for versions; down; versions.
src=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/lib/common.sh"
needs_boxes
git() { command git -c init.defaultBranch=main -c user.name=t -c user.email=t@example.invalid "$@"; }
commit() { git add -A && git commit -qm "$1"; }
mkdir -p origin/app origin/m
cd origin
git init -q .
# Applies one file, and leaves traces; refuses versions that are not this code's.
run_py() { # LOWEST HIGHEST MORE
	cat >app/run.py <<-EOP
		import glob, os, py_compile, sqlite3, sys
		way, version, path = sys.argv[1:]
		assert $1 <= int(version[:3]) <= $2, "%s is not of this code" % version
		assert open("app/local.conf").read() == "mine\n" and open("app/settings.conf").read() == "written\n"
		left = [x for x in glob.glob("app/left-*") if not $1 <= int(x[9:12]) <= $2]
		assert not left, "something was left: %s" % left
		${3:-}
		db = sqlite3.connect(path)
		db.executescript(open("m/%s.%s.sql" % (version, way)).read())
		db.close()
		os.makedirs("app/left-" + version + "/.git")
		[py_compile.compile(name, name + "c") for name in glob.glob("app/*.py")]
	EOP
}
step() { # VERSION SQL DOWN
	echo "$2" >"m/$1.up.sql"
	echo "$3" >"m/$1.down.sql"
}
echo 'name = "old"' >app/helper.py
run_py 1 1 'import helper; assert helper.name == "old"'
step 001_a 'CREATE TABLE a (id INTEGER);' 'DROP TABLE a;'
commit one
echo more >app/notes
commit 'after one'
git rm -q app/helper.py
run_py 2 2 'sys.path.insert(0, "app")
try:
	import helper
	sys.exit("bytecode of the commit before")
except ImportError:
	pass'
step 002_b 'CREATE TABLE b (id INTEGER);' 'DROP TABLE b;'
echo 'no database' >db.sqlite
commit two
git rm -q db.sqlite
run_py 3 4
step 003_c 'CREATE TABLE c (id INTEGER);' 'DROP TABLE c;'
step 004_d '-- placeholder' '-- placeholder'
commit 'three and four'
run_py 5 99
step 005_e 'CREATE TABLE e (id INTEGER);' 'DROP TABLE e;'
echo '*.ignored' >.gitignore
commit five
git rm -q m/001_a.* m/002_b.* m/003_c.*
commit squash
cd ..
cat >r.yaml <<'EOF2'
name: mc
packages: [python3]
source: {git: ./origin}
files: {app/settings.conf: "written\n"}
setup:
  - echo mine >app/local.conf
  - echo once >>/root/once
  - {run: 'echo "era of $(ls m/*.up.sql | wc -l)" >>/root/era', from: 3, to: 004_d}
  - {run: echo late >>/root/late, from: 005_e}
database: {engine: sqlite, file: db.sqlite}
migrations:
  tool: plain-sql
  directory: m
  up: |
    python3 app/run.py up "$VERSION" "${database.file}"
    echo "$VERSION" >>"$STATE/applied"
  down: |
    python3 app/run.py down "$VERSION" "${database.file}"
    grep -vxF "$VERSION" "$STATE/applied" >"$STATE/new" || [ $? = 1 ]
    mv "$STATE/new" "$STATE/applied"
  from: base
  to: head
  match: commit
EOF2
# The versions: without a box, for the ref, from a version that a squash took away, all.
"$STEPBOX" versions --json --set migrations.from=001_a r.yaml >v || die "versions: $?"
at() { git -C origin rev-parse "HEAD~$1"; }
printf '%s\n' "001_a $(at 4) head True" "002_b $(at 3) head True" "003_c $(at 2) batch True" "004_d $(at 2) head False" \
	"005_e $(at 0) tip False" >wanted
python3 -c '
import json
for l in open("v"):
	o = json.loads(l)
	print(o["version"], o["commit"], o["rule"], o["gone"])' >got
diff wanted got || die 'versions'
[ "$("$STEPBOX" versions r.yaml | tail -n +2 | cut -d' ' -f1 | tr '\n' ' ')" = '004_d 005_e ' ] || die "versions of the ref"
"$STEPBOX" versions r.yaml | sed -n 1p | grep -q '^version  *commit  *date  *subject  *files  *rule$' || die "the table"
"$STEPBOX" plan r.yaml | grep -q '2 versions, 2 commits' || die "plan: $("$STEPBOX" plan r.yaml)"
# With the code of the tip alone it does not go.
if "$STEPBOX" run --set migrations.match=tip r.yaml >out 2>err; then die 'the tip has no trouble with 004'; fi
walk() { # SOURCE
	"$STEPBOX" run --set "source={$1}" --set migrations.from=001_a --keep=always r.yaml >out 2>err ||
		die "$1: exit $?: $(cat out err; "$STEPBOX" log)"
	"$STEPBOX" show --json | python3 -c '
import json, sys
r = json.load(sys.stdin)
for s in r["steps"]:
	print(s["version"], s["commit"], s["outcome"])' >steps
	printf '%s\n' "001_a $(at 4) base" "002_b $(at 3) applied" "003_c $(at 2) applied" "004_d $(at 2) applied-empty" \
		"005_e $(at 0) applied" >wanted
	diff wanted steps || die "$1: not the commits of the versions"
	box=$("$STEPBOX" ls | grep -o 'mc-[0-9]*' | head -n 1)
	[ "$("$STEPBOX" ssh "$box" -- cat /root/once)" = once ] || die "$1: a command that leaves nothing here ran again"
	[ "$("$STEPBOX" ssh "$box" -- cat /root/era)" = 'era of 4' ] || die "$1: setup for versions: $("$STEPBOX" ssh "$box" -- cat /root/era)"
	[ "$("$STEPBOX" ssh "$box" -- cat /root/late)" = late ] || die "$1: setup for the last version"
	"$STEPBOX" ssh "$box" -- test -e "/srv/mc/app/left-001_a" && die "$1: something was left"
	grep -q "$(at 2 | cut -c1-10)" out || die "$1: the commit is not told: $(cat out)"
}
walk 'git: ./origin'
# Down and up again on the same box: a down step runs with the code of the version that is undone.
"$STEPBOX" step "$box" --to 001_a >out 2>err || die "down: $(cat out err; "$STEPBOX" log)"
"$STEPBOX" step "$box" --to +2 >out 2>err || die "up again: $(cat out err; "$STEPBOX" log)"
"$STEPBOX" down --all >/dev/null
walk 'git: ./origin, depth: 1'
"$STEPBOX" ssh "$box" -- git -C /srv/mc log --oneline | wc -l | grep -qx 1 || die 'depth 1 brought more'
"$STEPBOX" down --all >/dev/null
# A work tree: what is not committed stays away, and that is said.
echo 'no code' >origin/app/run.py
walk 'path: ./origin'
grep -q 'not committed' err || die "uncommitted: $(cat err)"
git -C origin checkout -q app/run.py
"$STEPBOX" down --all >/dev/null
port=$((20000 + $$ % 20000))
command git daemon --reuseaddr --listen=127.0.0.1 --port=$port --base-path="$work" --export-all 2>/dev/null &
daemon=$!
trap 'kill $daemon; cleanup' EXIT
sleep 0.5
XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}
url="git://127.0.0.1:$port/origin"
walk "git: '$url'"
grep -q "cloning $url" err || die "a clone is not told: $(cat err)"
"$STEPBOX" down --all >/dev/null
walk "git: '$url', depth: 1"
grep -q "fetching $url" err || die "a fetch is not told: $(cat err)"
"$STEPBOX" down --all >/dev/null
rm -rf "$XDG_CACHE_HOME/stepbox/git/"*-origin "$XDG_CACHE_HOME/stepbox/git/"*-origin.lock
# The adapter's variant is that of the commit: the way to the first version, the steps, and the way down, which only the old had.
mkdir -p config/stepbox/adapters
cat >config/stepbox/adapters/eras.yaml <<'EOF3'
name: eras
brief: a tool that changed its commands
list: 'ls m'
up: './new.sh "$VERSION" >>"$STATE/ran" && echo "$VERSION" >"$STATE/at"'
current: cat "$STATE/at" 2>/dev/null || true
variants:
  - {name: old, when: test -e old.sh, up: './old.sh "$VERSION" >>"$STATE/ran" && echo "$VERSION" >"$STATE/at"', down: './old.sh "$VERSION" && echo "$TARGET" >"$STATE/at"'}
history: {paths: [m], name: '/([0-9]+)$', order: number}
EOF3
mkdir -p eras/m
(
	cd eras
	git init -q .
	printf '#!/bin/sh\necho "old $1"\n' >old.sh
	chmod +x old.sh
	for v in 1 2 3 4; do
		[ $v != 3 ] || { git mv old.sh new.sh && printf '#!/bin/sh\necho "new $1"\n' >new.sh; }
		: >m/$v
		commit $v
	done
)
printf 'name: eras\nsource: {git: ./eras}\nmigrations: {tool: eras, match: commit, from: 1}\n' >e.yaml
XDG_CONFIG_HOME=$work/config "$STEPBOX" run --keep=always e.yaml >out 2>err || die "eras: $(cat out err; "$STEPBOX" log)"
box=$("$STEPBOX" ls | grep -o 'eras-[0-9]*' | head -n 1)
"$STEPBOX" ssh "$box" -- cat .stepbox/state/eras/ran | tr '\n' ' ' | grep -qx 'old 1 old 2 new 3 new 4 ' ||
	die "eras: $("$STEPBOX" ssh "$box" -- cat .stepbox/state/eras/ran)"
rc=0
XDG_CONFIG_HOME=$work/config "$STEPBOX" step "$box" --to 3 >out 2>err || rc=$?
[ $rc = 1 ] && grep -q '4 .*downgrade: not supported\|failed-clean' out || die "a way down that is not there: $rc $(cat out err)"
"$STEPBOX" down --all >/dev/null
# A setup command of a step that does not end well is no fault of the migration.
if "$STEPBOX" run --set 'setup=[{run: "echo mine >app/local.conf"}, {run: "echo so not; exit 9", from: 005_e}]' r.yaml >out 2>err; then die 'setup'; fi
grep -q 'from or to' err || die "a range without bounds: $(cat err)"
rc=0
"$STEPBOX" run --set 'setup=["echo mine >app/local.conf", {run: "echo so not; exit 9", from: 005_e}]' r.yaml >out 2>err || rc=$?
[ $rc = 1 ] && grep -q '005_e  *env-failed' out || die "a setup command that fails: $rc $(cat out err)"
"$STEPBOX" log last 005_e | grep -q 'so not' || die "its output"
nothing_left
# What is done to a checkout, on submodules and on a database of its own that git tracks.
tasks=$(cd "$src/templates/tasks" && pwd)
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=protocol.file.allow GIT_CONFIG_VALUE_0=always
mkdir -p lib sub state
(cd lib && git init -q . && echo one >inside && commit lib)
cd sub
git init -q .
echo 'tracked' >db.sqlite
commit none
git submodule --quiet add "$work/lib" lib
commit with
with=$(git rev-parse HEAD)
git rm -qr lib .gitmodules
commit without
there() { STATE=$work/state COMMIT=$1 KEEP=db.sqlite sh -eu "$tasks/checkout.sh"; }
echo mine >db.sqlite
echo wal >db.sqlite-wal
mkdir -p left/.git ignored
echo '*' >ignored/.gitignore
there "$with"
[ "$(cat lib/inside)" = one ] || die 'a submodule is not there'
echo left >lib/left
there "$with"
[ ! -e lib/left ] || die 'something was left in a submodule'
there main~2
[ ! -e lib ] && [ ! -e left ] && [ ! -e ignored ] || die "left: $(ls -A)"
there "$(git rev-parse main)"
[ "$(cat db.sqlite)" = mine ] && [ "$(cat db.sqlite-wal)" = wal ] || die 'the database did not stay'
cd ..
