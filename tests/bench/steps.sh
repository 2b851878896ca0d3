#!/bin/sh
# SPDX-License-Identifier: MIT
# What the runner costs: a walk of 200 steps that change no schema, against the same loop typed into a shell: for each
# version `sqlite3 DB <N.sql`, then `sqlite3 DB "SELECT …"` for the dump. Both run here, on this machine, in turns; the
# best of the rounds counts, as this measures our own work and not the neighbours'.
#
#     tests/bench/steps.sh [STEPS [ROUNDS]]          RUNNER_SH=bash for another shell than sh
set -eu
steps=${1:-200} rounds=${2:-3}
runner=${RUNNER_SH:-sh}
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dump="SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name"

new_database() {
	rm -f "$work/db"
	i=0
	while [ "$i" -lt 30 ]; do
		i=$((i + 1))
		echo "CREATE TABLE t$i (id integer PRIMARY KEY, name varchar(255) NOT NULL, created datetime, deleted int);"
		echo "CREATE INDEX t${i}_name ON t$i (name);"
	done | sqlite3 -batch "$work/db"
}

# Wall and CPU time (of ourselves and our children) of a command, in ms.
measure() {
	begin=$(date +%s%N)
	cpu_begin=$(cpu)
	"$@"
	cpu_ms=$(($(cpu) - cpu_begin))
	wall_ms=$((($(date +%s%N) - begin) / 1000000))
}

# User and system time of all children that have ended, from stat's cutime and cstime (ticks of 10 ms).
cpu() {
	read -r line <"/proc/$$/stat"
	# shellcheck disable=SC2086 # fields
	set -- ${line##*) }
	echo "$(((${14} + ${15}) * 10))"
}

plain() {
	(
		cd "$work"
		i=0
		while [ "$i" -lt "$steps" ]; do
			i=$((i + 1))
			sqlite3 -batch -bail db <"mig/$i.sql"
			sqlite3 -batch db "$dump" >"dump.$i"
		done
	)
}

walk() {
	mkdir -p "$work/box/r1"
	cp "$top/templates/runner.sh" "$work/box/r1/"
	cat >"$work/box/r1/plan" <<PLAN
walk_tool='bench' walk_dir='$work' walk_from='base' walk_to='head' walk_applied='' walk_timeout=60 walk_down=''
walk_list='seq 1 $steps'
walk_up='sqlite3 -batch -bail db <"mig/\$VERSION.sql"'
walk_current=''
walk_look='
cd "\$LOOK"
sqlite3 -batch $work/db <<"END"
.once dump
.read $work/dump.sql
.once counts
SELECT "t1" || char(9) || count(*) FROM t1;
.once versions
SELECT user_version FROM pragma_user_version WHERE user_version > 0;
END'
walk_begin
walk_go
plan_end 0 1
PLAN
	"$runner" "$work/box/r1/runner.sh" "$work/box/r1" 0123456789abcdef0123456789abcdef r1 || {
		tail -n 5 "$work/box/r1/journal" >&2
		exit 1
	}
}

best() { # NAME VALUE
	eval "old=\${$1:-}"
	if [ -z "$old" ] || [ "$2" -lt "$old" ]; then
		eval "$1=$2"
	fi
}

per_step() { # MS
	echo "$(($1 * 100 / steps))" | sed 's/..$/.&/; s/^\./0./; s/^.$/0.0&/'
}

mkdir "$work/mig"
echo "$dump;" >"$work/dump.sql"
i=0
while [ "$i" -lt "$steps" ]; do
	i=$((i + 1))
	echo "PRAGMA synchronous=OFF; PRAGMA user_version=$i;" >"$work/mig/$i.sql"
done
round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	new_database
	measure plain
	best plain_wall "$wall_ms"
	best plain_cpu "$cpu_ms"
	new_database
	measure walk
	best walk_wall "$wall_ms"
	best walk_cpu "$cpu_ms"
	cmp -s "$work/dump.$steps" "$work"/box/r1/dumps/* || { echo 'the dumps differ' >&2; exit 1; }
	rm -rf "$work/box"
done
# shellcheck disable=SC2154 # set by best
: "$walk_wall" "$walk_cpu" "$plain_wall" "$plain_cpu"
echo "steps wall: $(per_step "$walk_wall") ms a step, plain loop $(per_step "$plain_wall") ms," \
	"overhead $(per_step $((walk_wall - plain_wall))) ms, ratio $((walk_wall * 100 / plain_wall))%"
echo "steps cpu:  $(per_step "$walk_cpu") ms a step, plain loop $(per_step "$plain_cpu") ms," \
	"overhead $(per_step $((walk_cpu - plain_cpu))) ms, ratio $((walk_cpu * 100 / plain_cpu))%"
