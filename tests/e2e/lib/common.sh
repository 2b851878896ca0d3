# Sourced by the scripts of tests/e2e. $STEPBOX is the program; state, config and cache directories are given by tests/run.sh.
# shellcheck shell=sh
set -eu
: "${STEPBOX:?run by tests/run.sh}"
# A test on its own keeps off the user's store.
if [ -z "${XDG_STATE_HOME:-}" ]; then
	XDG_STATE_HOME=$(mktemp -d)
	export XDG_STATE_HOME
fi
boxes=$XDG_STATE_HOME/stepbox/boxes
work=$(mktemp -d)
cleanup() {
	"$STEPBOX" down --all >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
cd "$work"

die() {
	echo "$*" >&2
	exit 1
}

# Boxes need what `stepbox doctor` checks.
needs_boxes() {
	if ! "$STEPBOX" doctor >doctor.out 2>&1; then
		grep -A 1 '^LACK' doctor.out | tr '\n' ' '
		exit 77
	fi
}

# A project of $1 numbered SQL migrations in ./project; step k adds a column, every third is empty, every fifth moves rows.
# $2: seconds each step takes (a sleep in the tool, not in the SQL), default 0.
make_project() {
	mkdir -p project/migrations
	i=1
	while [ $i -le "$1" ]; do
		f=project/migrations/$(printf %03d $i)_step
		if [ $i = 1 ]; then
			echo 'CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT NOT NULL);' >"$f.up.sql"
			echo 'DROP TABLE a;' >"$f.down.sql"
		elif [ $((i % 3)) = 0 ]; then
			echo '-- a placeholder' >"$f.up.sql"
			echo '-- a placeholder' >"$f.down.sql"
		elif [ $((i % 5)) = 0 ]; then
			echo "INSERT INTO a (v) VALUES ('row $i');" >"$f.up.sql"
			echo "DELETE FROM a WHERE v = 'row $i';" >"$f.down.sql"
		else
			echo "ALTER TABLE a ADD COLUMN c$i INTEGER DEFAULT $i;" >"$f.up.sql"
			echo "ALTER TABLE a DROP COLUMN c$i;" >"$f.down.sql"
		fi
		i=$((i + 1))
	done
	cat >project/stepbox.yaml <<-EOF
		name: ${3:-proj}
		box: {ttl: 20m}
		source: {path: .}
		database: sqlite
		migrations:
		  tool: plain-sql
		  directory: migrations
		  from: base
		  to: head
	EOF
	if [ "${2:-0}" != 0 ]; then
		cat >>project/stepbox.yaml <<-EOF
			  up: |
			    sleep $2
			    echo "step \$VERSION"
			    sqlite3 -bail \${database.file} <migrations/"\$VERSION".up.sql
			    echo "\$VERSION" >>"\$STATE/at"
			  current: |
			    cat "\$STATE/at" 2>/dev/null || true
		EOF
	fi
}

# The same walk typed by hand: dumps of ./project into ./plain/VERSION.sql.
plain_loop() {
	mkdir -p plain
	rm -f plain.db
	for f in project/migrations/*.up.sql; do
		v=$(basename "$f")
		sqlite3 -bail plain.db <"$f"
		sqlite3 plain.db "SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name" \
			>"plain/${v%.up.sql}.sql"
	done
}

# Every dump of run $1 equals that of the plain loop.
same_as_plain() {
	n=0
	for f in plain/*.sql; do
		v=$(basename "$f" .sql)
		"$STEPBOX" schema "$1:$v" >got.sql || die "$1:$v has no dump"
		cmp got.sql "$f" || die "$1:$v differs from the plain loop"
		n=$((n + 1))
	done
	[ $n -gt 0 ] || die "nothing compared"
}

# Nothing of any box of this store is left: rows, directories, processes, mounts, keys.
nothing_left() {
	[ -z "$("$STEPBOX" ls --boxes)" ] || die "a box is left: $("$STEPBOX" ls --boxes)"
	[ ! -d "$boxes" ] || [ -z "$(ls "$boxes")" ] || die "left in $boxes: $(ls "$boxes")"
	[ ! -d "$XDG_STATE_HOME/stepbox/keys" ] || [ -z "$(ls "$XDG_STATE_HOME/stepbox/keys")" ] || die "keys are left"
	! pgrep -fa -- "$boxes/" || die "processes are left"
	! grep -lsF "$boxes/" /proc/[0-9]*/mountinfo || die "mounts are left in these processes"
}
