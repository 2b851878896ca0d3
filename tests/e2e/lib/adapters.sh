# Sourced by tests/e2e/adapters-*.sh, after common.sh: a real tool walks a real project on a box, and what stepbox saw is what
# the same commands leave when they are typed, on the same box, in another database.
# shellcheck shell=sh

# node_modules of the project in $1 with these packages (exact versions), from a cache that fills itself once.
npm_modules() { # DIR PACKAGE…
	dir=$1
	shift
	command -v npm >/dev/null || { echo "npm is not installed"; exit 77; }
	store=${XDG_CACHE_HOME:-$HOME/.cache}/stepbox-tests/npm
	kept=$store/$(printf '%s\n' "$@" | sha256sum | cut -c1-16)
	mkdir -p "$store"
	(
		flock 9
		[ ! -e "$kept/node_modules" ] || exit 0
		rm -rf "$kept.new"
		mkdir "$kept.new"
		cd "$kept.new"
		echo '{"private": true}' >package.json
		timeout 300 npm install --no-audit --no-fund --loglevel=error --legacy-peer-deps "$@" </dev/null >npm.log 2>&1 ||
			{ tail -n 5 npm.log; exit 77; }
		# Each box gets all of it: not what only editors and other C libraries use.
		rm -rf node_modules/@libsql/*-musl node_modules/prisma/prisma-client node_modules/effect/src node_modules/effect/dist/esm
		find node_modules '(' -name '*.map' -o -name '*.d.ts' -o -name '*.md' ')' -exec rm -f {} +
		mv "$kept.new" "$kept"
	) 9>"$kept.lock" || { echo "npm cannot install $*"; exit 77; }
	cp -R "$kept/node_modules" "$dir/"
}

# What a person would type on the box, in the checkout; output in ./typed.out.
typed() { # COMMAND
	"$STEPBOX" ssh t-1 -- "cd /srv/t && $1" >typed.out 2>&1 || die "typed: $1: exit $?: $(cat typed.out)"
}

file_of() { # NAME
	printf 'typed.%s.sql' "$1" | tr / _
}

# The dump of the typed database, kept as NAME.
typed_dump() { # NAME
	"$STEPBOX" ssh t-1 -- "sqlite3 /tmp/typed.sqlite \"SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name\"" \
		>"$(file_of "$1")" || die "typed: the dump of $1"
}

# The last run's dump at VERSION is the one kept as NAME.
same_dump() { # VERSION NAME
	"$STEPBOX" schema "last:$1" >got.sql || die "$1: no dump"
	file=$(file_of "$2")
	cmp got.sql "$file" || { diff "$file" got.sql || :; die "$1: not what the typed commands leave ($2)"; }
}

# Runs COMMAND; the versions of its steps must be these, all of them well.
walks() { # VERSIONS COMMAND…
	printf '%s\n' "$1" | tr ' ' '\n' >wanted
	shift
	rc=0
	"$@" --json >out 2>err || rc=$?
	[ $rc = 0 ] || die "$*: exit $rc: $(cat out err)"
	python3 -c '
import json, sys
for line in sys.stdin:
    o = json.loads(line)
    if o.get("event") == "step" and o["n"]:
        assert o["outcome"] in ("applied", "applied-empty"), o
        assert all(f.startswith("note: customers: 2 of 2 rows") for f in o.get("findings", [])), o
        print(o["version"])
' <out >walked || die "$*: $(cat out)"
	cmp -s walked wanted || die "$*: went over $(cat walked)"
}

# A walk that comes to a finding at VERSION.
finding() { # VERSION OUTCOME COMMAND…
	version=$1 outcome=$2 rc=0
	shift 2
	"$@" >out 2>err || rc=$?
	[ $rc = 1 ] || die "$version: exit $rc instead of a finding: $(cat out err)"
	grep -q " $version .*$outcome" out || die "$version is not $outcome: $(cat out err; "$STEPBOX" log last)"
}

here() { # STEPBOX-ARGUMENT…: in the project
	(cd project && "$STEPBOX" "$@")
}

# The whole of it. ./project has a recipe called t and five migrations $1 to $5 (a table, a second one with a foreign key, an
# index, rows, a column that cannot be taken away again), and $6, which does not end well. The script gives
#   typed_up VERSION, typed_down VERSION TARGET   run the tool with /tmp/typed.sqlite; $has_down is empty where it cannot
#   $noop                                         an `up` that says all is well and does nothing, for $4 ('' for none)
exercise() {
	first=$1 second=$2 third=$3 fourth=$4 fifth=$5 broken=$6
	here up >out 2>err || die "up: exit $?: $(cat out err)"
	for v in "$first" "$second" "$third" "$fourth"; do
		typed_up "$v"
		typed_dump "$v"
	done
	walks "$first $second $third $fourth" "$STEPBOX" step t-1 --to "$fourth"
	for v in "$first" "$second" "$third" "$fourth"; do same_dump "$v" "$v"; done
	"$STEPBOX" show last --json | python3 -c '
import json, sys
s = {x["version"]: x for x in json.load(sys.stdin)["steps"]}
rows = {k.lower(): v for k, v in s[sys.argv[1]]["rows"].items()}
assert rows["customers"] == 2, rows' "$fourth" || die "rows after $fourth: $("$STEPBOX" show last)"
	rest=$fifth
	typed "cp /tmp/typed.sqlite /tmp/four.sqlite"
	[ -z "$has_down" ] || exercise_down
	typed "mv /tmp/four.sqlite /tmp/typed.sqlite"
	typed_up "$fifth"
	typed_dump "$fifth"
	walks "$rest" "$STEPBOX" step t-1 --to "$fifth"
	for v in $rest; do same_dump "$v" "$v"; done
	finding "$broken" " failed-[cp]" "$STEPBOX" step t-1
	[ -z "$has_down" ] || finding "$fifth" " refused" "$STEPBOX" step t-1 --to "$fourth"
	if "$STEPBOX" step t-1 --to no-such-version >out 2>err; then die "no such version: exit 0"; fi
	grep -q 'no-such-version is not in the list' err || die "no such version: $(cat err)"
	if [ -n "$noop" ]; then
		finding "$fourth" " silent-noop" here run --from "$second" --to "$fourth" --set "migrations.up=$noop"
	else
		walks "$third $fourth" here run --from "$second" --to "$fourth"
		same_dump "$fourth" "$fourth"
	fi
	same_dump "$third" "$third"
	"$STEPBOX" down --all >/dev/null
	nothing_left
}

exercise_down() {
	set -- "$fourth" "$third" "$second" "$first" base
	while [ $# -gt 1 ]; do
		typed_down "$1" "$2"
		typed_dump "down.$2"
		shift
	done
	walks "$fourth $third" "$STEPBOX" step t-1 --to "$second"
	for v in "$third" "$second"; do same_dump "$v" "down.$v"; done
	walks "$second $first" "$STEPBOX" step t-1 --to base
	for v in "$first" base; do same_dump "$v" "down.$v"; done
	rest="$first $second $third $fourth $fifth"
}
