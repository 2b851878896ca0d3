#!/bin/sh
# SPDX-License-Identifier: MIT
# Fills the empty tables of the database. Before it stand: ENGINE, ROWS, SEED, SKIP (tables that stay empty, one a line), FILL_AWK
# (the text of fill.awk), and two functions of the database: columns (prints what its tables look like) and sql_each (reads SQL,
# goes on after an error and tells the line). Called by the runner: provision/plan.h, `seed`.
# shellcheck disable=SC2154 # set by whoever puts it together
W=$STEPBOX_DIR/seed.work
mkdir -p "$W"
[ -e "$W/fill.awk" ] || printf '%s' "$FILL_AWK" >"$W/fill.awk"
columns >"$W/tables"

fill() { # AWK-OPTION…: sets the tables' first errors in $W/bad
	awk -v engine="$ENGINE" -v rows="$ROWS" -v seed="$SEED" -v map="$W/map" "$@" -f "$W/fill.awk" \
		"$STEPBOX_DIR/counts" "$W/tables" >"$W/sql"
	: >>"$W/map"
	sql_each <"$W/sql" >"$W/said" 2>&1 || :
	awk -v every="$EVERY" '
	BEGIN { FS = "\t" }
	FILENAME ~ /map$/ { at[$1] = $2; lines[$2]++; if (!(($2) in seen)) { seen[$2] = 1; order[++n] = $2 } next }
	match($0, /(line [0-9]+|:[0-9]+: ERROR)/) {
		number = substr($0, RSTART, RLENGTH)
		gsub(/[^0-9]/, "", number)
		table = at[number]
		if (table == "")
			next
		message = substr($0, RSTART + RLENGTH)
		sub(/^: */, "", message)
		gsub(/\t/, " ", message)
		errors[table]++
		if (!(table in first))
			first[table] = message
	}
	END {
		for (i = 1; i <= n; i++)
			if (order[i] in first && (!every || errors[order[i]] >= lines[order[i]]))
				printf "%s\t%s\n", order[i], first[order[i]]
	}' "$W/map" "$W/said" >"$W/bad"
	rm -f "$W/map"
}

EVERY=''
export SKIP
fill
if [ -s "$W/bad" ]; then
	# Row by row, in other ways: what one row breaks the others need not suffer for.
	mv "$W/bad" "$W/only"
	EVERY=1
	fill -v only="$W/only"
	cat "$W/bad" >"$STEPBOX_DIR/unfilled"
fi
