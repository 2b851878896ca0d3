#!/bin/sh
# SPDX-License-Identifier: MIT
# The runner: walks a plan on the box, all by itself, and writes down every task and step in the journal.
#
#     setsid sh DIR/runner.sh DIR NONCE RUN
#
# DIR/plan is shell text (made by provision/plan.c) that calls the plan_* functions below in order; DIR/journal is what
# the client reads (format: provision/journal.h). Needs a POSIX sh, coreutils and diffutils.
#
# How it works
# - A command is `timeout … sh -euc TEXT`: `timeout` gives it a process group of its own and its time. It runs in the
#   background with its output in a regular file, and the shell sits in `wait`; so a daemon that a command leaves behind
#   can neither hold the runner nor write into a later record. A subshell without traps waits for it and writes down its
#   exit code: a `wait` that a signal interrupts may lose it (bash) or not tell it from the signal (all shells).
# - One ticker process for the runner's whole life sends USR1 each second. That interrupts `wait`, and what is new in
#   the output goes to the journal. A command that is shorter costs nothing more. When the runner is gone (kill -9
#   included) the ticker ends the command that nobody watches any longer, and itself.
# - Forks are what a step costs (0.5 to 1 ms each), so the common step has few: files are read and lengths are found by
#   builtins, names come from a ring of directories made 64 at a time, an unchanged dump costs one diff and no hash.
# - Only this shell writes the journal. Lengths are known before a header goes out, so payloads are copied to a file of
#   ours first. When the disk is full, the record that was begun is completed from a reserve, and the trailer says so.
# shellcheck disable=SC2094,SC2154 # names that only look like the same file; variables that the plan sets
set -uf
D=$1 NONCE=$2 RUN=$3
user_umask=$(umask)
user_locale=${LC_ALL-}
umask 077
LC_ALL=C # bytes, for ${#x}, sort and join; commands get the user's back
export LC_ALL
cd "$D" || exit 2
D=$(pwd)
# A run is never started twice.
(set -C && echo "$$" >pid) 2>/dev/null || exit 3
exec </dev/null >>log 2>&1 3>>journal

NL='
'
PIECE=65536               # bytes of output in one record
HEAD=1048576              # of a command's output this much from the start …
TAIL=262144               # … and this much from the end are told
FILES_MAX=67108864        # a command whose output files grow beyond is killed
DUMP_MAX=16777216         # JOURNAL_MAX_PAYLOAD
COUNTS_MAX=4194304        # bytes
SET_MAX=1048576           # bytes of a version set as the tool prints it
VERSIONS_MAX=20000        # in the list
VERSION_LEN=200           # bytes of one version
LOOK_SECONDS=300          # for looking at the database
WHEN_SECONDS=60           # for asking whether a variant fits
JUMP_SECONDS=14400        # at most, for the way to the first version in one go
CHAIN=32                  # dumps in a row as deltas
RING=64                   # output files and look directories until they are used again
SHORT=100000              # bytes of command text that surely fit into one argument (MAX_ARG_STRLEN is 128 KiB)

J=0                                       # bytes of the journal up to the last complete record
H='' T='' F=''                            # the record being written: header, text or file
broken='' stop='' limit='' job=''         # states: '' or 1 (job: the subshell of the command that runs)
env="export STEPBOX_DIR='$D'; " key='' capture='' out='' sent=0 room=0
slot=$RING tasks=0 planned=0 walks=0 runs=0
rc=0 ms=0 why=exit now=0
VERSION='' TARGET='' LIST='' LOOK='' STATE=''

# --- the journal ---

record() { # HEADER
	H="@$NONCE $1" T='' F=''
	printf '%s\n' "$H" >&3 || full
	J=$((J + ${#H} + 1))
}

record_text() { # HEADER TEXT
	H="@$NONCE $1 len=${#2}" T="$2$NL" F=''
	printf '%s\n%s' "$H" "$T" >&3 || full
	J=$((J + ${#H} + 1 + ${#T}))
}

record_file() { # HEADER FILE LENGTH
	H="@$NONCE $1 len=$3" T='' F=$2
	{ printf '%s\n' "$H" && cat "$F" && printf '\n'; } >&3 || full
	J=$((J + ${#H} + 1 + $3 + 1))
}

# A write did not succeed. The client may have read a part of the record already, so it is completed rather than cut
# off; then the trailer says that this is no success.
full() {
	[ -z "$broken" ] || exit 1
	broken=1
	rm -f reserve
	have=$(wc -c <journal)
	if [ "$have" -gt "$J" ]; then
		{
			printf '%s\n%s' "$H" "$T"
			[ -z "$F" ] || { cat "$F" && echo; }
		} | tail -c "+$((have - J + 1))" >&3 || exit 1
	fi
	finish 0 disk
}

clock() {
	read -r now _ </proc/uptime
	now=${now%.*}${now#*.}0
}

finish() { # OK WHY
	trap '' USR1 TERM INT HUP
	trap - EXIT
	[ -z "$job" ] || kill_group KILL
	clock
	record "done ok=$1 why=$2 ms=$((now - born))"
	kill "$ticker"
	rm -f reserve
	exit $((1 - $1))
}

# --- output ---

# Tells what is new in $out, at most $room bytes.
out_new() {
	while [ "$room" -gt 0 ]; do
		take=$PIECE
		[ "$room" -ge "$take" ] || take=$room
		dd "if=$out" of=piece "bs=$PIECE" "skip=$sent" "count=$take" iflag=skip_bytes,count_bytes 2>dd.log || full
		len=0
		while read -r number word _; do
			case $number$word in
			*[0-9]byte | *[0-9]bytes) [ "$len" -lt 0 ] || len=$number ;;
			dd:*) len=-1 ;; # cannot skip
			esac
		done <dd.log
		if [ "$len" -lt 0 ] && [ "$sent" -gt 0 ]; then
			sent=0 # the command cut its own output (tee /dev/stderr does)
			continue
		fi
		[ "$len" -gt 0 ] || break
		record_file "out $key" piece "$len"
		sent=$((sent + len)) room=$((room - len))
		[ "$len" -eq "$take" ] || break
	done
}

# Tells the rest once the command has ended: the middle of a long output is dropped.
out_end() {
	[ -s "$out" ] || return 0
	out_new
	[ "$room" -eq 0 ] || return 0
	size=$(wc -c <"$out")
	if [ "$((size - sent))" -gt "$TAIL" ]; then
		record "cut $key dropped=$((size - TAIL - sent))"
		sent=$((size - TAIL))
	fi
	room=$TAIL
	out_new
	rm -f "$out"
}

# --- commands ---

# Names for the next command: $out, $LOOK, the capture file. All fresh.
next_slot() {
	if [ "$slot" -ge "$RING" ]; then
		# shellcheck disable=SC2086 # lists of our own words
		rm -rf $ring
		# shellcheck disable=SC2086
		mkdir $ring_dirs || full
		slot=0
	fi
	slot=$((slot + 1))
	out=o.$slot LOOK=$D/l.$slot sent=0 room=$HEAD limit=''
}

# Signals the process group of the command that runs, if it has one already.
kill_group() { # SIGNAL
	read -r number group <group && [ "$number" = "$runs" ] || return 0
	kill -s "$1" -- "-$group" 2>/dev/null || kill -s "$1" "$group" 2>/dev/null
}

# A second has passed, or a signal came, while the command runs.
watch() {
	if [ -n "$stop" ]; then
		kill_group TERM # `timeout` kills what is left of it after 5 s
		return
	fi
	sizes=$(wc -c "$out" "c.$slot" "l.$slot.current" "l.$slot/dump" "l.$slot/counts" "l.$slot/versions" 2>/dev/null)
	sizes=${sizes##*"$NL"}
	sizes=${sizes#"${sizes%%[! ]*}"}
	if [ "${sizes%% *}" -gt "$FILES_MAX" ]; then
		limit=1
		kill_group KILL
	elif [ -n "$key" ] && [ -s "$out" ]; then
		out_new
	fi
}

# Has the command ended? Sets rc. The files `ended` and `group` are written over, not cut off: no space is needed.
is_over() {
	read -r number rc <ended && [ "$number" = "$runs" ]
}

# Runs one command to its end. Its output is in $out, told live when $key is set; with $capture its stdout is in
# c.$slot instead. Sets rc, ms and why (exit, timeout, stop, limit).
run() { # TEXT DIR SECONDS
	rc=143 ms=0 why=stop
	next_slot
	[ -z "$stop" ] || return 0
	runs=$((runs + 1))
	sink=$out
	[ -z "$capture" ] || sink=c.$slot
	run_text="$prelude$env$contract$1"
	set -- "$2" "$3" "$user_locale" "$VERSION" "$TARGET" "$LIST" "$LOOK" "$STATE"
	dir=$1 seconds=$2 file=''
	shift 2
	if [ "${#run_text}" -ge "$SHORT" ]; then
		file=cmd
		printf '%s' "$run_text" >"$file" || full
	fi
	clock
	begun=$now
	# Only here: bash 5.2 may lose its place in what it executes when a trap comes in the middle of $(…).
	trap : USR1
	(
		if [ -z "$file" ]; then
			timeout --kill-after=5s "$seconds" sh -euc "$run_text" sh "$dir" "$@" </dev/null >>"$sink" 2>>"$out" &
		else
			timeout --kill-after=5s "$seconds" sh -eu "$file" "$dir" "$@" </dev/null >>"$sink" 2>>"$out" &
		fi
		echo "$runs $!" 1<>group
		wait "$!"
		echo "$runs $?" 1<>ended
	) 3>&- 4<&- &
	job=$!
	while
		wait "$job"
		! is_over && kill -s 0 "$job" 2>/dev/null
	do
		trap '' USR1
		watch
		trap : USR1
	done
	trap '' USR1
	is_over || { rc=255 && kill_group KILL; } # somebody killed the subshell
	job=''
	clock
	ms=$((now - begun)) why=exit
	if [ -n "$stop" ]; then
		why=stop
	elif [ -n "$limit" ]; then
		why=limit
	elif { [ "$rc" -eq 124 ] || [ "$rc" -eq 137 ]; } && [ "$((ms + 20))" -ge "${seconds}000" ]; then
		why=timeout
	fi
	# Children that outlived a TERM. What a command leaves behind in peace (a database server) stays.
	[ "$why" = exit ] || kill_group KILL
}

succeeded() {
	[ "$rc" -eq 0 ] && [ "$why" = exit ]
}

# --- what a plan consists of ---

plan_env() { # NAME=VALUE in quotes, as shell text
	env="${env}export $1; "
}

task_begin() { # KIND SECONDS TITLE
	tasks=$((tasks + 1)) key=task=$tasks
	record_text "task n=$tasks kind=$1 timeout=$2" "$3"
}

task_end() {
	out_end
	record "end n=$tasks rc=$rc ms=$ms why=$why"
	key=''
	[ "$why" != stop ] || finish 0 stop
}

plan_task() { # KIND SECONDS DIR TITLE COMMAND
	task_begin "$1" "$2" "$4"
	run "$5" "$3" "$2"
	task_end
	succeeded || finish 0 task
	planned=$((planned + 1))
}

# The walk cannot be done as asked: told as a task that did not succeed.
refuse() { # WHY MESSAGE
	task_begin walk 0 "walk from $walk_from to $walk_to"
	record_text "out $key" "$2$NL"
	record "end n=$tasks rc=2 ms=0 why=exit"
	finish 0 "$1"
}

# --- versions ---

# How the list spells a version -> v: tools print 42 for a file that is called 0042, and the other way round.
spell() { # VERSION
	v=$1
	case $1 in '' | *[!0-9]*) return ;; esac
	digits=${1#"${1%%[!0]*}"}
	eval "v=\${zero_$digits-}"
	[ -n "$v" ] || v=${digits:-0}
}

# A number below the list's first: the tool's own name for "nothing applied" (migrate_version has 0, nova 215).
is_below_first() { # VERSION
	case $first_digits$1 in '' | *[!0-9]*) return 1 ;; esac
	[ -n "$first_digits" ] || return 1
	digits=${1#"${1%%[!0]*}"}
	[ "${#digits}" -le "${#first_digits}" ] || return 1
	[ "${#digits}" -lt "${#first_digits}" ] || { [ "${#digits}" -le 18 ] && [ "${digits:-0}" -lt "$first_digits" ]; }
}

# Reads what the tool listed (c.$slot) into the file `list`. Sets count, first, last; message when it cannot be used.
read_list() {
	count=0 first='' last='' first_digits='' message=''
	while IFS= read -r v || [ -n "$v" ]; do
		case $v in
		'') continue ;;
		*[[:cntrl:][:space:]]* | base | head | current | [+-]*)
			message="line $((count + 1)) is no version: '$v'"
			return
			;;
		0*[!0-9]*) ;;
		0*) eval "zero_${v#"${v%%[!0]*}"}=\$v" ;;
		esac
		count=$((count + 1)) last=$v
		[ -n "$first" ] || first=$v
		if [ "${#v}" -gt "$VERSION_LEN" ] || [ "$count" -gt "$VERSIONS_MAX" ]; then
			message="more than $VERSIONS_MAX versions, or one of more than $VERSION_LEN bytes"
			return
		fi
		printf '%s\n' "$v"
	done <"c.$slot" >list || full
	[ "$count" -gt 0 ] || message='there are no versions'
	twice=$(sort list | uniq -d | head -n 1)
	[ -z "$twice" ] || message="version $twice is listed twice"
	case $first in *[!0-9]*) ;; *) first_digits=${first#"${first%%[!0]*}"} ;; esac
}

list_versions() {
	task_begin list "$walk_timeout" "list the versions of $walk_tool"
	capture=1
	run "$walk_list" "$walk_dir" "$walk_timeout"
	capture=''
	if succeeded; then
		read_list
		[ -z "$message" ] || { printf 'the list of versions: %s\n' "$message" >>"$out" && rc=2; }
	else
		cat "c.$slot" >>"$out" # some tools say there what is wrong
	fi
	task_end
	succeeded || finish 0 task
	LIST=$D/list
	record_file "versions n=$count" list "$(wc -c <list)"
}

# Looks a version up in the list: index (from 1; 0: not there) and v, its spelling; near: where it would be, for a message.
find_version() { # VERSION
	spell "$1"
	wanted=$v index=0 i=0 near=''
	while read -r v; do
		i=$((i + 1))
		case $v in
		"$wanted")
			index=$i
			break
			;;
		*"$wanted"*) [ "${#near}" -gt 300 ] || near="$near $v" ;;
		esac
	done <list
	v=$wanted
}

# The only version that begins so, where no number is cut in two: 011 for 011_add_x -> index, v.
find_beginning() { # TEXT
	i=0 hits=0
	while read -r v; do
		i=$((i + 1))
		case $v in "$1"[!0-9]*) hits=$((hits + 1)) index=$i found=$v ;; esac
	done <list
	if [ "$hits" -eq 1 ]; then v=$found; else index=0 v=$wanted; fi
}

# As find_version, for a name of the recipe; refuses what is not there.
need_version() { # from|to VERSION
	find_version "$2"
	[ "$index" -gt 0 ] || find_beginning "$2"
	[ "$index" -gt 0 ] || refuse version "$1: version $2 is not in the list of $count versions ($first … $last)${near:+; there is:$near}"
}

# Reads a version set as the tool prints it -> set: LF, then each version and LF. message when it is none.
read_set() { # FILE
	message='' raw='' i=0
	while IFS= read -r v || [ -n "$v" ]; do
		i=$((i + 1)) raw=$raw$v$NL
		[ "$i" -lt 8 ] || break
	done <"$1"
	[ "$i" -lt 8 ] || raw=$(head -c "$SET_MAX" "$1") # many lines are slow by `read`
	IFS=$NL
	# shellcheck disable=SC2086 # one word a line
	set -- $raw
	unset IFS
	set=$NL
	for v; do
		case $v in *[[:cntrl:][:space:]]*) message="the current version is no version: '$v'" && return ;; esac
		is_below_first "$v" && continue
		spell "$v"
		set=$set$v$NL
	done
	[ "$#" -lt 2 ] || [ -n "$walk_applied" ] || order_set
}

# The set in the order of the list; what the list does not know comes first.
order_set() {
	[ -s list.sorted ] || cat -n list | sort -b -k2,2 >list.sorted
	printf '%s' "${set#"$NL"}" | sort -u >set.sorted
	set=$(
		join -1 1 -2 2 -v 1 set.sorted list.sorted
		join -1 1 -2 2 -o 2.1,0 set.sorted list.sorted | sort -n | cut -d' ' -f2
	)
	set=$NL$set$NL
}

has() { # SET VERSION
	case $1 in *"$NL$2$NL"*) ;; *) false ;; esac
}

same_set() { # SET SET
	[ "$1" = "$2" ] || [ "$(printf '%s' "$1" | sort)" = "$(printf '%s' "$2" | sort)" ]
}

# Is $1 the set $2 and the version $3 beside?
is_plus() { # SET SET VERSION
	has "$1" "$3" && ! has "$2" "$3" && same_set "${1%%"$NL$3$NL"*}$NL${1#*"$NL$3$NL"}" "$2"
}

# --- looking ---

look_fail() { # MESSAGE
	[ -n "$look_text" ] || look_text=$1
	[ "$look_rc" -ne 0 ] || look_rc=1
}

# Runs `current` and `look`, as one command when all is well: a start of `timeout` and `sh` less. Sets set (when known is
# 1), look_rc and look_text ('': all went well).
look_run() {
	look_rc=0 look_text='' known='' key=''
	if [ -z "$walk_current" ]; then
		run "$walk_look" "$walk_dir" "$LOOK_SECONDS"
	else
		run "($NL$walk_current$NL) >\"\$LOOK.current\"$NL: >\"\$LOOK.asked\"$NL$walk_look" "$walk_dir" \
			"$((walk_timeout + LOOK_SECONDS))"
		if [ -e "l.$slot.asked" ]; then
			look_set "l.$slot.current"
		else
			look_check 'asking for the current version' "l.$slot.current"
			run "$walk_look" "$walk_dir" "$LOOK_SECONDS"
		fi
	fi
	look_done=''
	if succeeded; then
		look_done=1
		[ -n "$walk_current" ] || look_set "l.$slot/versions"
	else
		look_check 'looking at the database'
	fi
}

look_check() { # WHAT [FILE]: of the command's output beside $out
	[ "$why" != stop ] || finish 0 stop
	succeeded && return
	look_fail "$1: $why $rc
$(tail -qc 4096 "$out" "${2:-/dev/null}")"
	look_rc=$rc
}

look_set() { # FILE
	if [ ! -f "$1" ]; then
		look_fail 'looking at the database told no versions'
		return
	fi
	read_set "$1"
	if [ -n "$message" ]; then
		look_fail "$message"
	else
		known=1
	fi
}

# Tells what look_run() saw. Returns whether all of it is good.
look_tell() { # N
	[ -z "$known" ] || record_text "at n=$1" "${set#"$NL"}"
	if [ -n "$look_done" ]; then
		if [ -f "l.$slot/dump" ]; then
			tell_dump "$1" "l.$slot/dump"
		else
			look_fail 'looking at the database made no dump'
		fi
		[ ! -f "l.$slot/counts" ] || tell_counts "$1" "l.$slot/counts"
	fi
	[ -n "$look_text" ] || return 0
	record_text "look n=$1 rc=$look_rc" "$look_text"
	return 1
}

tell_dump() { # N FILE
	form=full
	if [ -n "$dump_before" ]; then
		# Exact for every byte: lines end at LF only, and a last line without one stays so.
		diff -a -n "$dump_before" "$2" >dump.delta
		case $? in
		0)
			record "dump n=$1 form=same sha256=$dump_sha size=$dump_size"
			return
			;;
		1) [ "$chain" -ge "$CHAIN" ] || form='delta' ;;
		esac
	fi
	# shellcheck disable=SC2046 # SIZE NAME SIZE NAME
	set -- "$1" "$2" $(wc -c "$2" dump.delta)
	if [ "$3" -gt "$DUMP_MAX" ]; then
		look_fail "a dump of $3 bytes: more than $DUMP_MAX"
		return
	fi
	[ "$5" -lt "$3" ] || form=full
	dump_size=$3 dump_sha=$(sha256sum <"$2")
	dump_sha=${dump_sha%% *} dump_before=dumps/$dump_sha
	{ [ "${#dump_sha}" -eq 64 ] && mv "$2" "$dump_before"; } || full
	if [ "$form" = full ]; then
		chain=0
		record_file "dump n=$1 form=full sha256=$dump_sha size=$dump_size" "$dump_before" "$3"
	else
		chain=$((chain + 1))
		record_file "dump n=$1 form=delta sha256=$dump_sha size=$dump_size" dump.delta "$5"
	fi
}

tell_counts() { # N FILE
	text='' i=0
	while IFS= read -r line; do
		i=$((i + 1)) text=$text$line$NL
		[ "$i" -lt 64 ] || break
	done <"$2"
	if [ "$i" -lt 64 ]; then
		record_text "counts n=$1" "$text${line-}"
		return
	fi
	size=$(wc -c <"$2")
	if [ "$size" -gt "$COUNTS_MAX" ]; then
		look_fail "row counts of $size bytes: more than $COUNTS_MAX"
	else
		record_file "counts n=$1" "$2" "$size"
	fi
}

# --- walking ---
# The plan gives walk_tool, walk_dir, walk_list, walk_up, walk_down, walk_current, walk_applied, walk_look, walk_from,
# walk_to and walk_timeout.

# One step, and whether to go on: by what is read back, never by the exit code alone.
step() { # N DIR VERSION TARGET TEXT SECONDS
	VERSION=$3 TARGET=$4 before=$set key=step=$1
	record "step n=$1 version=$VERSION dir=$2"
	run "$5" "$walk_dir" "$6"
	out_end
	record "ran n=$1 rc=$rc ms=$ms why=$why"
	[ "$why" != stop ] || finish 0 stop
	verdict=''
	succeeded || verdict=rc
	[ "$why" != timeout ] || verdict=timeout
	look_run
	look_tell "$1" || verdict=${verdict:-look}
	[ -n "$verdict" ] || judge "$2"
	step_end "$1"
}

step_end() { # N
	if [ "$verdict" = ok ]; then
		record "stepend n=$1 ok=1 why=ok"
	else
		record "stepend n=$1 ok=0 why=$verdict"
		finish 0 step
	fi
}

# verdict of a step that ended well by its own word: ok, noop or wrong.
judge() { # DIR
	verdict=wrong
	if [ "$1" = base ]; then
		has "$set" "$VERSION" && verdict=ok
	elif same_set "$set" "$before"; then
		verdict=noop
	elif [ -n "$walk_applied" ]; then
		case $1 in
		up) is_plus "$set" "$before" "$VERSION" ;;
		down) is_plus "$before" "$set" "$VERSION" ;;
		esac && verdict=ok
	elif [ "$1" = up ]; then
		has "$set" "$VERSION" && verdict=ok
	elif ! has "$set" "$VERSION"; then
		case $TARGET in
		base) [ "$set" = "$NL" ] ;;
		*) has "$set" "$TARGET" ;;
		esac && verdict=ok
	fi
}

# Where the database is by what was read back -> index, v.
position() {
	index=0 v=base
	[ "$set" != "$NL" ] || return 0
	unordered=$set
	order_set
	v=${set%"$NL"}
	v=${v##*"$NL"}
	set=$unordered
	find_version "$v"
	[ "$index" -gt 0 ] || refuse version "the database is at version $v, which is not in the list of $count versions ($first … $last)"
}

# walk_to -> index, v; from_i must be known when it is relative.
resolve_to() {
	case $walk_to in
	base) index=0 v=base ;;
	head) index=$count v=$last ;;
	[+-]*)
		case ${walk_to#?} in '' | *[!0-9]* | ???????*) refuse version "to: not a number of steps: $walk_to" ;; esac
		index=$((from_i + walk_to))
		if [ "$index" -lt 0 ] || [ "$index" -gt "$count" ]; then
			refuse version "to: $walk_to from version $from leads beyond the list of $count versions ($first … $last)"
		fi
		v=base
		[ "$index" -eq 0 ] || v=$(head -n "$index" list | tail -n 1)
		;;
	*) need_version to "$walk_to" ;;
	esac
	to_i=$index to=$v
}

tell_walk() {
	way=up steps=$((to_i - from_i))
	[ "$steps" -ge 0 ] || way=down steps=$((-steps))
	[ "$way" = up ] || [ -n "$walk_down" ] || refuse no-down "$walk_tool cannot go down (from $from to $to)"
	record "walk from=$from to=$to dir=$way n=$steps"
}

# Step 0 where nothing is to be run: what look_run() saw.
step_0() { # VERSION
	record "step n=0 version=$1 dir=base"
	verdict=ok
	[ "$walk_from" = current ] || [ "$set" = "$NL" ] || verdict=wrong
	look_tell 0 || verdict=look
	step_end 0
}

# Where the walk begins, and where it leads.
baseline() {
	case $walk_from in
	base) from_i=0 from=base ;;
	head) from_i=$count from=$last ;;
	current)
		look_run
		if [ -z "$known" ]; then
			record "walk from=current to=$walk_to dir=up n=0"
			step_0 current
		fi
		position
		from_i=$index from=$v
		;;
	*)
		need_version from "$walk_from"
		from_i=$index from=$v
		;;
	esac
	resolve_to
	tell_walk
	if [ "$walk_from" != current ] && [ "$from_i" -gt 0 ]; then
		seconds=$((walk_timeout * from_i))
		[ "$seconds" -le "$JUMP_SECONDS" ] || seconds=$JUMP_SECONDS
		[ "$seconds" -ge "$walk_timeout" ] || seconds=$walk_timeout
		text=$walk_up
		if [ -n "$walk_applied" ]; then
			# Such a tool's way to a version need not lead over all that the list has before it.
			head -n "$from_i" list >todo || full
			text="while read -r VERSION; do TARGET=\$VERSION; ($NL$walk_up$NL) </dev/null; done <\"\${LIST%list}todo\""
		fi
		step 0 base "$from" "$from" "$text" "$seconds"
		return
	fi
	[ "$walk_from" = current ] || look_run
	step_0 "$from"
}

walk_begin() {
	# shellcheck disable=SC2016 # for the command's own shell
	contract='VERSION=$1 TARGET=$2 LIST=$3 LOOK=$4 STATE=$5; export VERSION TARGET LIST LOOK STATE; set --; '
	STATE=${D%/*}/state/${walk_tool##*/}
	mkdir -p "$STATE" || full
	dump_before='' chain=0 variant='' set=$NL
}

plan_variant() { # NAME WHEN LIST UP DOWN CURRENT LOOK
	[ -z "$variant" ] || return 0
	key=''
	run "$2" "$walk_dir" "$WHEN_SECONDS"
	[ "$why" != stop ] || finish 0 stop
	succeeded || return 0
	variant=$1
	record "variant name=$1"
	walk_list=${3:-$walk_list} walk_up=${4:-$walk_up} walk_down=${5:-$walk_down}
	walk_current=${6:-$walk_current} walk_look=${7:-$walk_look}
}

walk_go() {
	if [ -z "$walk_list" ] || [ -z "$walk_up" ] || [ -z "$walk_look" ]; then
		refuse variant "none of the ways that are known of $walk_tool fits this checkout"
	fi
	list_versions
	baseline
	head -n "$((from_i > to_i ? from_i : to_i))" list | tail -n "$steps" >todo
	if [ "$way" = down ]; then
		{ tac todo >todo.down && mv todo.down todo; } || full
	fi
	i_step=0
	exec 4<todo
	read -r next <&4 || next=''
	while [ -n "$next" ]; do
		version=$next i_step=$((i_step + 1))
		read -r next <&4 || next=''
		case $way in
		up) step "$i_step" up "$version" "$version" "$walk_up" "$walk_timeout" ;;
		down) step "$i_step" down "$version" "${next:-$to}" "$walk_down" "$walk_timeout" ;;
		esac
	done
	exec 4<&-
	[ "$i_step" -ne "$steps" ] || walks=$((walks + 1))
}

# Everything was called and came back: a plan that was cut off on its way, or a shell that lost its place, is no success.
plan_end() { # TASKS WALKS
	[ "$planned" -eq "$1" ] && [ "$walks" -eq "$2" ] && finish 1 ok
	finish 0 runner
}

# --- the run ---

clock
born=$now
i=1 ring='' ring_dirs='' ticker=''
while [ "$i" -le "$RING" ]; do
	ring="$ring o.$i c.$i l.$i l.$i.current l.$i.asked" ring_dirs="$ring_dirs l.$i" i=$((i + 1))
done
prelude="umask $user_umask; if [ -n \"\$2\" ]; then LC_ALL=\$2; else unset LC_ALL; fi; cd -- \"\$1\"; shift 2; "
contract='set --; '

trap '' USR1
trap 'stop=1' TERM INT HUP
trap '[ -z "$stop" ] || finish 0 stop; finish 0 runner' EXIT
# The ticker's parent is looked up rather than asked for by kill -0: a process id can be used again.
(
	while
		sleep 1
		read -r _ _ _ parent _ </proc/self/stat
		[ "$parent" = "$$" ]
	do
		kill -s USR1 "$$"
	done
	read -r runs _ <group
	is_over && exit
	kill_group TERM
	for i in 1 2 3 4 5 6 7 8 9 10; do
		kill -s 0 -- "-$group" || exit
		sleep 0.5
	done
	kill_group KILL
) 3>&- &
ticker=$!
mkdir -p dumps
: >dump.delta
echo 0 >group
echo 0 >ended
head -c 1048576 /dev/zero >reserve
record "hello run=$RUN pid=$$ utc=$(date -u +%Y-%m-%dT%H:%M:%SZ)"
# shellcheck source=/dev/null
. ./plan
