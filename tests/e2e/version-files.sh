#!/bin/sh
# Every run keeps which files its versions consist of, by git's hashes: a work tree with changes, one without git, a repository
# at a ref, a remote one (there the box tells); names that say the version, and files that say it themselves.
. "$(dirname "$0")/lib/common.sh"
needs_boxes
git() { command git -c init.defaultBranch=main -c user.name=t -c user.email=t@example.invalid "$@"; }
XDG_CONFIG_HOME=$work/config
export XDG_CONFIG_HOME
mkdir -p config/stepbox/adapters origin/m origin/versions/sub
tool() { # NAME HISTORY
	cat >"config/stepbox/adapters/$1.yaml" <<-EOF
		name: $1
		brief: a tool of this test
		list: echo 1
		up: echo 1 >>"\$STATE/at"
		current: cat "\$STATE/at" 2>/dev/null || true
		history: $2
	EOF
}
tool numbers '{paths: [m], name: ["/([0-9]+)_[^/]*[.](up|down)[.]sql$", "/v([0-9]+)[.]sql$"], skip: "/00_", order: number}'
tool scripts '{paths: [":(glob)versions/**/*.py"], order: alembic}'
tool apps '{paths: [":(glob)**/migrations/*.py"], name: "([^/]+)/migrations/([^/]+)[.]py$", skip: "__init__", version: "\\1.\\2", order: django}'
cd origin
git init -q .
echo a >m/001_a.up.sql
echo b >m/001_a.down.sql
echo c >m/v0010.sql
echo d >m/00_skipped.up.sql
echo e >m/other.txt
echo f >'m/002_two words.up.sql'
printf 'revision = "r2"\ndown_revision = "r1"\n' >versions/sub/x.py
printf '"""\nrevision = "no"\n"""\nrevision: str = '"'r1'"'\ndown_revision = None\n' >versions/y.py
echo 'nothing = 1' >versions/helper.py
mkdir -p books/migrations
echo 'dependencies = []' >books/migrations/0001_initial.py
: >books/migrations/__init__.py
git add -A
git commit -qm one
cd ..
line() { # VERSION PATH
	printf '%s\t%s\t%s\n' "$1" "$(git hash-object "origin/$2")" "$2"
}
numbers() {
	line 1 m/001_a.down.sql
	line 1 m/001_a.up.sql
	line 10 m/v0010.sql
	line 2 'm/002_two words.up.sql'
	"$@"
}
check() { # TOOL SOURCE WHAT-ELSE
	printf 'name: vf\nsource: {%s}\nmigrations: {tool: %s}\n' "$2" "$1" >r.yaml
	"$STEPBOX" run r.yaml >out 2>err || die "$1, $2: exit $?: $(cat out err)"
	case $1 in
	numbers) numbers "$3" ;;
	scripts) line r1 versions/y.py && line r2 versions/sub/x.py ;;
	apps) line books.0001_initial books/migrations/0001_initial.py ;;
	esac | sort >wanted
	run=$("$STEPBOX" show --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["run"])')
	sqlite3 -separator '	' "$XDG_STATE_HOME/stepbox/store.sqlite" \
		"SELECT version, blob, path FROM migration_files WHERE run = '$run'" | sort >got
	diff wanted got || die "$1, $2"
}
port=$((20000 + $$ % 20000))
command git daemon --reuseaddr --listen=127.0.0.1 --port=$port --base-path="$work" --export-all 2>/dev/null &
daemon=$!
trap 'kill $daemon; cleanup' EXIT
sleep 0.5
for tool in numbers scripts apps; do
	check $tool 'git: ./origin' true
	check $tool "git: 'git://127.0.0.1:$port/origin'" true
done
# Changed, new, gone and ignored files of a work tree; then the same without git.
echo changed >>origin/m/001_a.up.sql
echo new >origin/m/003_new.up.sql
echo '*_ignored*' >origin/.gitignore
echo no >origin/m/004_ignored.up.sql
rm origin/m/v0010.sql
numbers() {
	line 1 m/001_a.down.sql
	line 1 m/001_a.up.sql
	line 2 'm/002_two words.up.sql'
	line 3 m/003_new.up.sql
}
printf 'revision = "r1"\ndown_revision = None\nchanged = 1\n' >origin/versions/y.py
for tool in numbers scripts apps; do check $tool 'path: origin' true; done
rm -rf origin/.git origin/m/004_ignored.up.sql
for tool in numbers scripts apps; do check $tool 'path: origin' true; done
nothing_left
