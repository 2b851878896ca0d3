#!/bin/sh
# SPDX-License-Identifier: MIT
# Fills the empty tables of the database. Before it stand: ENGINE, ROWS, SEED, SKIP (tables that stay empty, one a line), FILL_AWK
# (the text of fill.awk), and two functions of the database: columns (prints what its tables look like) and sql_each (reads SQL,
# goes on after an error and tells the line). Called by the runner: provision/plan.h, `seed`.
# shellcheck disable=SC2154 # set by whoever puts it together
LC_ALL=C # bytes
export LC_ALL
W=$STEPBOX_DIR/seed.work
mkdir -p "$W"
[ -e "$W/fill.awk" ] || printf '%s' "$FILL_AWK" >"$W/fill.awk"
columns >"$W/tables"

fill() { # AWK-OPTION…: sets the tables' first errors in $W/bad
	awk -v engine="$ENGINE" -v rows="$ROWS" -v seed="$SEED" -v map="$W/map" "$@" -f "$W/fill.awk" \
		"$STEPBOX_DIR/counts" "$W/tables" >"$W/sql"
	: >>"$W/map"
	sql_each <"$W/sql" >"$W/said" 2>&1 || :
	# What went wrong first with each table; row by row: with those that are still empty.
	awk -v rowwise="$ROWWISE" '
	BEGIN { FS = "\t" }
	FILENAME == ARGV[1] {
		at[$1] = $2
		if (!($2 in seen)) {
			seen[$2] = 1
			order[++n] = $2
		}
		next
	}
	match($0, /STEPBOX-EMPTY [0-9]+/) {
		empty[at[substr($0, RSTART + 14, RLENGTH - 14) + 0]] = 1
		next
	}
	match($0, /(line [0-9]+|:[0-9]+: ERROR)/) {
		number = substr($0, RSTART, RLENGTH)
		gsub(/[^0-9]/, "", number)
		if (!((number + 0) in at) || at[number + 0] in first)
			next
		message = substr($0, RSTART + RLENGTH)
		sub(/^: */, "", message)
		gsub(/\t/, " ", message)
		first[at[number + 0]] = message
	}
	END {
		for (i = 1; i <= n; i++)
			if (rowwise ? order[i] in empty : order[i] in first)
				printf "%s\t%s\n", order[i], order[i] in first ? first[order[i]] : "no row was taken"
	}' "$W/map" "$W/said" >"$W/bad"
	rm -f "$W/map"
}

ROWWISE=''
export SKIP
fill
if [ -s "$W/bad" ]; then
	# Row by row, in other ways: what one row breaks the others need not suffer for.
	mv "$W/bad" "$W/only"
	ROWWISE=1
	fill -v only="$W/only"
	cat "$W/bad" >"$STEPBOX_DIR/unfilled"
fi
