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
# - Commands are run by a worker: a second shell in a process group of its own (`timeout 0` makes it), which reads requests
#   from a pipe, runs each in a subshell with `set -eu`, and says when it has ended. A task has a worker to itself; all
#   commands of a walk share one, because starting programs is what a step costs (1 to 2 ms each): only what the
#   command itself starts is left, and one diff.
# - Output goes to a fresh regular file for each command, so a daemon that a command leaves behind can neither hold
#   the runner nor write into a later record.
# - This shell sits in `read` on the pipe of events: the worker's "N EXITCODE" and, each second, a line of the ticker. At a
#   tick what is new in the output goes to the journal, and time and size are looked at; a shorter command costs nothing
#   more. No signals, for `wait` and $(…) of some shells do not bear them. When the runner is gone (kill -9 included)
#   the ticker ends the command that nobody watches any longer, and itself.
# - Files are read and lengths are found by builtins, old files are removed many at a time, and none
#   is cut off to be written again (ext4 then starts writing it to the disk at once).
# - Only this shell writes the journal. Lengths are known before a header goes out, so payloads are copied to a file of
#   ours first. When the disk is full, the record that was begun is completed from a reserve, and the trailer says so.
# shellcheck disable=SC2094,SC2154 # names that only look like the same file; variables that the plan sets
set -uf
unset _ # who started us may have exported it: commands would see what is read into it here
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
WORK_MAX=32               # lines
FILES_TOLD=8388608        # bytes of the list of versions' files
SET_MAX=1048576           # bytes of a version set as the tool prints it
VERSIONS_MAX=20000        # in the list
VERSION_LEN=200           # bytes of one version
LOOK_SECONDS=300          # for looking at the database
WHEN_SECONDS=60           # for asking whether a variant fits
WARM_SECONDS=120          # at most, for loading a tool
WARM_STEPS=3              # with the same code, for which it is loaded anew
JUMP_SECONDS=14400        # at most, for the way to the first version in one go
CODE_SECONDS=3600         # for putting the checkout at a commit, and for a setup command of a step
CODE_TOLD=65536           # bytes told of what such a command printed, when all was well
CHAIN=32                  # dumps in a row as deltas
RING=64                   # output files until a name is used again
LOOKS=8                   # and look directories: these stay and are emptied, for new ones are slow on ext4
LOOKS_MAX=8388608         # bytes of dumps in them until they are emptied
GRACE=5000                # ms from TERM to KILL

J=0                                       # bytes of the journal up to the last complete record
H='' T='' F=''                            # the record being written: header, text or file
broken='' stop='' running=''              # states: '' or 1
env="export STEPBOX_DIR='$D'; " key='' capture='' out='' sent=0 room=0
slot=0 look=none tasks=0 planned=0 walks=0 runs=0 pipe=0 worker=''
rc=0 ms=0 why=exit now=0
VERSION='' TARGET='' STATE='' warm='' net=''
caller='stepbox_warm() { "$@"; }
'

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

# Not `read -r now _`: where a `_` came in the environment, commands would see the time in it.
clock() {
	read -r now </proc/uptime
	now=${now%% *} now=${now%.*}${now#*.}0
}

finish() { # OK WHY
	trap '' TERM INT HUP
	trap - EXIT
	if [ -n "$running" ]; then
		kill -s KILL -- "-$worker"
	else
		worker_quit
	fi
	clock
	record "done ok=$1 why=$2 ms=$((now - born))"
	kill "$ticker"
	rm -rf reserve "$memory"
	exit $((1 - $1))
}

# What a file of one line says of this machine, or `-` when it is no id.
read_id() { # NAME FILE
	id=''
	[ ! -r "$2" ] || read -r id <"$2"
	case $id in '' | *[!0-9a-f-]*) id=- ;; esac
	eval "$1=\$id"
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

# Names for the next command: $out, and $look, its directory if it is one that looks. All fresh; used again after a while.
next_slot() { # NAME
	if [ "$slot" -ge "$RING" ]; then
		# shellcheck disable=SC2086 # a list of our own words
		rm -f $ring
		slot=0
	fi
	slot=$((slot + 1))
	out=o.$slot sent=0 room=$HEAD
	case $1 in look | current) ;; *) return ;; esac
	if [ "$look_slot" -ge "$LOOKS" ] || [ "$((look_slot * dump_size))" -gt "$LOOKS_MAX" ]; then
		set +f
		rm -rf "$looks"/l.*/* "$looks"/l.*.current "$looks"/l.*.asked
		set -f
		look_slot=0
	fi
	look_slot=$((look_slot + 1))
	look=$looks/l.$look_slot
}

# What a worker executes. Its variables have long names, for commands see them. A loaded tool (below) is its child; 7 and 8
# lead to it and from it, so that it ends when the worker does.
# shellcheck disable=SC2016 # for the other shell
work='stepbox_dir=$1 stepbox_first=$2 stepbox_cd=$3 stepbox_locale=$4 stepbox_state=$5
trap : TERM
while read -r stepbox_n stepbox_name stepbox_out stepbox_sink stepbox_look stepbox_version stepbox_target; do
	[ "$stepbox_n" -ge "$stepbox_first" ] || continue
	[ "$stepbox_name" != quit ] || exit 0
	if [ "$stepbox_name" = warm ]; then
		mkfifo "$stepbox_dir/asked.$stepbox_n" "$stepbox_dir/said.$stepbox_n"
		(
			set -eu
			. "$stepbox_dir/run/warm.sh"
		) </dev/null >>"$stepbox_dir/$stepbox_out" 2>>"$stepbox_dir/$stepbox_out" 5>&- \
			3<"$stepbox_dir/asked.$stepbox_n" 4>"$stepbox_dir/said.$stepbox_n" &
		exec 7<>"$stepbox_dir/asked.$stepbox_n" 8<"$stepbox_dir/said.$stepbox_n" # 7 both ways: no SIGPIPE
		read -r stepbox_said _ <&8 || stepbox_said=
		[ "$stepbox_said" = ready ] || exec 7>&- 8<&-
		[ "$stepbox_said" = ready ] && stepbox_loaded=1
		echo "$stepbox_n $?" >&5
		continue
	fi
	(
		set -eu
		. "$stepbox_dir/run/$stepbox_name.sh"
	) </dev/null >>"$stepbox_dir/$stepbox_sink" 2>>"$stepbox_dir/$stepbox_out" 5>&-
	echo "$stepbox_n $?" >&5
done'

# There are two pipes in turns: a worker that was killed a moment ago may still take a byte out of its own.
worker_start() { # DIR
	pipe=$((1 - pipe))
	exec 6<>"requests.$pipe"
	timeout 0 sh -c "$work" sh "$D" "$runs" "$1" "$user_locale" "$STATE" <"requests.$pipe" 3>&- 4<&- 6>&- &
	worker=$! worker_cd=$1
}

# Lets go of the worker. What its commands left behind in peace stays: it may be a database server.
worker_quit() {
	[ -n "$worker" ] || return 0
	runs=$((runs + 1))
	echo "$runs quit" >&6
	wait "$worker"
	worker=''
}

worker_kill() {
	kill -s KILL -- "-$worker" || kill -s KILL "$worker"
	wait "$worker"
	worker=''
}

# A second has passed, or a signal came, while the command runs. Returns whether to go on waiting for it.
watch() {
	clock
	if [ -n "$doom" ]; then
		[ "$now" -lt "$doom" ] || return 1
	elif [ -n "$stop" ]; then
		why=stop
	elif [ "$now" -ge "$((begun + seconds * 1000))" ]; then
		why=timeout
	fi
	if [ "$why" != exit ] && [ -z "$doom" ]; then
		doom=$((now + GRACE))
		kill -s TERM -- "-$worker"
	fi
	sizes=$(wc -c "$out" "c.$slot" "$look.current" "$look/dump" "$look/model" "$look/counts" "$look/versions" 2>/dev/null)
	sizes=${sizes##*"$NL"}
	sizes=${sizes#"${sizes%%[! ]*}"}
	if [ "${sizes%% *}" -gt "$FILES_MAX" ]; then
		why=limit
		return 1
	fi
	[ -z "$key" ] || [ ! -s "$out" ] || out_new
	kill -s 0 "$worker" # it may have been killed by somebody
}

# Hands a command's text to the workers under the name that the shell calls it by in its messages.
give() { # NAME TEXT
	printf '%s\n' "$prelude$env$contract$2" >"run/$1.sh" || full
}

# Runs one command, given before, to its end. Its output is in $out, told live when $key is set; with $capture its stdout is in
# c.$slot instead. Sets rc, ms and why (exit, timeout, stop, limit).
run() { # NAME DIR SECONDS
	rc=143 ms=0 why=stop
	next_slot "$1"
	[ -z "$stop" ] || return 0
	seconds=$3 doom='' sink=$out
	[ -z "$capture" ] || sink=c.$slot
	[ -z "$worker" ] || [ "$worker_cd" = "$2" ] || worker_quit
	runs=$((runs + 1))
	[ -n "$worker" ] || worker_start "$2"
	clock
	begun=$now why=exit running=1
	echo "$worker" 1<>group
	echo "$runs $1 $out $sink $look ${VERSION:--} ${TARGET:--}" >&6
	while
		read -r number rc <&5 || number=''
		[ "$number" != "$runs" ]
	do
		watch && continue
		rc=137
		worker_kill
		break
	done
	running=''
	echo 0 1<>group
	clock
	ms=$((now - begun))
	# Children that outlived a TERM.
	[ "$why" = exit ] || [ -z "$worker" ] || worker_kill
}

succeeded() {
	[ "$rc" = 0 ] && [ "$why" = exit ]
}

# --- a loaded tool ---
# Starting a tool's interpreter and importing its modules is most of what a step takes, so that is done once: the worker has a
# program beside it (templates/warm/) that has loaded the tool and forks for each step. In a step's shell text the interpreter
# is called by stepbox_warm, which asks that program by the pipe 7 and is answered by 8:
#
#     asked  NUL behind each of: number of the request, pid of the asking shell (its directory and its files 9, 6 and 2 are
#            the command's, through /proc; its 0 and 1 are now and then the pipes), NAME=VALUE… (env -0), nothing, count
#            of words, words
#     said   ready | cold         once, when it has loaded
#            runs PID             the command begins when this was said
#            ended RC MS SIGNAL   MS: net, of all commands of this request; SIGNAL: that ended it, or 0
#            cold WHY             nothing was run, and it would not be the same: do it the cold way
#
# The program and its forks are in the worker's process group: what ends a step ends them. A command is never run twice: when
# the program is gone after "runs", its fork is killed and the step has failed.

# shellcheck disable=SC2016 # for the command's own shell
warm_client='stepbox_warm() {
	[ -n "${stepbox_loaded-}" ] || {
		"$@"
		return
	}
	read -r stepbox_pid _ </proc/self/stat
	stepbox_said="" stepbox_fork=""
	{
		{ printf "%s\0" "$stepbox_n" "$stepbox_pid" && env -0 && printf "\0%s\0" "$#" && printf "%s\0" "$@"; } >&7 &&
			read -r stepbox_said stepbox_fork <&8 && [ "$stepbox_said" = runs ] &&
			read -r stepbox_said stepbox_rc stepbox_ms stepbox_signal <&8
	} 9<&0 6>&1 || :
	case $stepbox_said-$stepbox_fork in
	ended-*) ;;
	cold-* | -)
		echo "step $stepbox_n is cold: ${stepbox_fork:-the loaded tool is gone}" >>"$stepbox_dir/log"
		"$@"
		return
		;;
	*)
		case $stepbox_fork in
		"" | *[!0-9]*) ;;
		*)
			kill -s KILL "$stepbox_fork" 2>/dev/null || :
			while [ -e "/proc/$stepbox_fork/exe" ]; do sleep 0.1; done
			;;
		esac
		echo "the loaded tool ended in the middle of this step" >&2
		return 137
		;;
	esac
	echo "$stepbox_n $stepbox_ms" 1<>"$stepbox_dir/net"
	[ "$stepbox_signal" = 0 ] || sh -c "kill -$stepbox_signal \$\$" || : # for what the shell says of it
	return "$stepbox_rc"
}
'

# The worker gets the tool beside it. Sets warm.
warm_load() {
	seconds=$WARM_SECONDS warm=''
	[ "$walk_timeout" -ge "$seconds" ] || seconds=$walk_timeout
	{ printf '%s\n' "$walk_warm" >warm.parts && printf '%s\n' "$walk_harness" >warm.py && echo 0 >net; } || full
	give warm "env -0 >\"\$stepbox_dir/warm.env\"
exec $walk_interpreter \"\$stepbox_dir/warm.py\" \"\$stepbox_dir/warm.parts\" \"\$stepbox_dir/warm.env\" \"\$\$\" $walk_interpreter"
	run warm "$walk_dir" "$seconds"
	if succeeded; then warm=1; fi
}

warm_can() {
	case ${walk_warm:+$walk_up$walk_down} in *stepbox_warm*) ;; *) false ;; esac
}

# Loads the tool, told as a task. When that cannot be done the walk goes on cold, which is no failure.
warm_begin() {
	warm_can || return 0
	caller=$warm_client
	[ -z "$walk_checkout" ] || return 0 # it would not be that of any step
	task_begin warm "$WARM_SECONDS" "load $walk_tool once"
	warm_load
	task_end
}

# The step's code is not that of the step before: what was loaded is no longer true. It is loaded anew when it will be of use.
warm_again() {
	step_key=$key key=''
	[ -z "$warm" ] || worker_quit
	warm=''
	if warm_can && { [ -z "$walk_checkout" ] || [ "$(grep -c " $commit\$" commits)" -ge "$WARM_STEPS" ]; }; then
		warm_load
		[ "$why" != stop ] || finish 0 stop
		! [ -s "$out" ] || cat "$out" >>log
		rm -f "$out"
	fi
	key=$step_key
}

# Of the last command, for the record: " net=MS" when the loaded tool ran it.
warm_net() {
	net=''
	[ -n "$warm" ] || return 0
	read -r number net <net || :
	if [ "$number" = "$runs" ]; then net=" net=$net"; else net=''; fi
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
	give "$1" "$5"
	run "$1" "$3" "$2"
	worker_quit
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
	give list "$walk_list"
	run list "$walk_dir" "$walk_timeout"
	capture=''
	if succeeded; then
		read_list
		[ -z "$message" ] || { printf 'the list of versions: %s\n' "$message" >>"$out" && rc=2; }
	else
		cat "c.$slot" >>"$out" # some tools say there what is wrong
	fi
	task_end
	succeeded || finish 0 task
	record_file "versions n=$count" list "$(wc -c <list)"
}

# The files of each version, by git's hashes. Where that cannot be told nothing is lost.
tell_files() {
	[ -n "$walk_files" ] || return 0
	key='' capture=1
	give files "$walk_files"
	run files "$walk_dir" "$WHEN_SECONDS"
	capture=''
	[ "$why" != stop ] || finish 0 stop
	succeeded || return 0
	size=$(wc -c <"c.$slot")
	[ "$size" -gt "$FILES_TOLD" ] || record_file "files n=$(wc -l <"c.$slot")" "c.$slot" "$size"
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
	if [ -n "$walk_applied" ]; then
		# The list is of the project's own history: what others brought along is no version of it.
		[ -z "$walk_checkout" ] || [ "$#" -eq 0 ] || set=$NL$(printf '%s' "${set#"$NL"}" | grep -xFf list)$NL
		[ "$set" != "$NL$NL" ] || set=$NL
	elif [ "$#" -gt 1 ]; then
		order_set
	fi
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
	[ "$1" != "$2" ] || return 0
	[ "${#1}" -eq "${#2}" ] || return 1
	case $1 in "$NL"*"$NL"*"$NL") ;; *) return 1 ;; esac # one version: no order
	[ "$(printf '%s' "$1" | sort)" = "$(printf '%s' "$2" | sort)" ]
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

# Runs `current` and `look`, as one command when all is well. Sets set (when known is
# 1), look_rc and look_text ('': all went well).
look_run() {
	look_rc=0 look_text='' known='' key=''
	if [ -z "$walk_current" ]; then
		run look "$walk_dir" "$LOOK_SECONDS"
	else
		run current "$walk_dir" "$((walk_timeout + LOOK_SECONDS))"
		if [ -e "$look.asked" ]; then
			look_set "$look.current"
		else
			look_check 'asking for the current version' "$look.current"
			run look "$walk_dir" "$LOOK_SECONDS"
		fi
	fi
	look_done=''
	if succeeded; then
		look_done=1
		[ -n "$walk_current" ] || look_set "$look/versions"
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
		if [ -f "$look/dump" ]; then
			tell_text dump "$1" "$look/dump"
			[ ! -f "$look/model" ] || tell_text model "$1" "$look/model"
		else
			look_fail 'looking at the database made no dump'
		fi
		[ ! -f "$look/counts" ] || tell_counts "$1" "$look/counts"
		[ ! -s "$look/work" ] || tell_work "$1" "$look/work"
	fi
	[ -n "$look_text" ] || return 0
	record_text "look n=$1 rc=$look_rc" "$look_text"
	return 1
}

# Tells a text (a dump, a model) as a whole or as what changed since the last of its kind.
tell_text() { # KIND N FILE
	eval "told=\$${1}_before sha=\$${1}_sha size=\$${1}_size chain=\$${1}_chain"
	form=full
	if [ -n "$told" ]; then
		# Exact for every byte: lines end at LF only, and a last line without one stays so.
		diff -a -n "$told" "$3" >difference
		case $? in
		0)
			record "$1 n=$2 form=same sha256=$sha size=$size"
			return
			;;
		1) [ "$chain" -ge "$CHAIN" ] || form='delta' ;;
		esac
	fi
	# shellcheck disable=SC2046 # SIZE - SIZE NAME
	set -- "$1" "$2" "$3" $(wc -c - difference <"$3" 2>/dev/null)
	if [ "$4" -gt "$DUMP_MAX" ]; then
		look_fail "a $1 of $4 bytes: more than $DUMP_MAX"
		return
	fi
	[ "$form" = full ] || [ "$6" -lt "$4" ] || form=full
	size=$4 sha=$(sha256sum <"$3")
	sha=${sha%% *} told=dumps/$sha
	{ [ "${#sha}" -eq 64 ] && mv "$3" "$told"; } || full
	if [ "$form" = full ]; then
		chain=0
		record_file "$1 n=$2 form=full sha256=$sha size=$size" "$told" "$4"
	else
		chain=$((chain + 1))
		record_file "$1 n=$2 form=delta sha256=$sha size=$size" difference "$6"
	fi
	eval "${1}_before=\$told ${1}_sha=\$sha ${1}_size=\$size ${1}_chain=\$chain"
}

tell_counts() { # N FILE
	text='' i=0
	# Without the tokens, which are new whenever a table is.
	[ -z "$walk_roundtrip" ] || counts_sum=$(cut -f 1,2,4- "$2" | sha256sum)
	count_empty "$2"
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

tell_work() { # N FILE
	text='' i=0
	while IFS= read -r line && [ "$i" -lt "$WORK_MAX" ]; do
		i=$((i + 1)) text=$text$line$NL
	done <"$2"
	record_text "work n=$1" "$text"
}

# --- the code that goes with a version ---
# The plan gives walk_checkout (match: commit; else the code of all steps is the source as it is), walk_commits and setup
# commands with the versions they are for. Steps run with `commit` checked out; commit_changed says that this step's code is not
# that of the step before: whoever keeps the tool loaded has to load it anew.

commit='' commit_changed='' at_commit='' setups=0

# Keeps what is to be done in step N for the versions FROM to TO. DONE=1: it has been done as a task.
plan_setup() { # N DONE FROM TO COMMAND
	setups=$((setups + 1))
	eval "setup_${setups}_n=\$1 setup_${setups}_on=\$2 setup_${setups}_from=\$3 setup_${setups}_to=\$4 setup_${setups}_text=\$5"
}

# A bound of a range of versions -> index. A number need not be in the list (an era may begin or end between two), and counts by
# the digits that versions begin with.
setup_bound() { # from|to VERSION
	case $2 in
	base) index=0 && return ;;
	head) index=$count && return ;;
	esac
	find_version "$2"
	[ "$index" -gt 0 ] || find_beginning "$2"
	[ "$index" -eq 0 ] || return 0
	digits=${2#"${2%%[!0]*}"} i=0
	case $2 in *[!0-9]* | ????????????????*) ;; *)
		[ "$1" = to ] || digits=$((${digits:-0} - 1))
		while read -r v; do
			v=${v%%[!0-9]*}
			case $v in '' | ????????????????*) break ;; esac
			v=${v#"${v%%[!0]*}"}
			[ "${v:-0}" -le "${digits:-0}" ] || break
			i=$((i + 1))
		done <list
		index=$i
		[ "$1" = to ] || index=$((i + 1))
		return
		;;
	esac
	refuse version "setup: $1: version $2 is not in the list of $count versions ($first … $last)"
}

setup_bounds() {
	n=1
	while [ "$n" -le "$setups" ]; do
		eval "bound_from=\$setup_${n}_from bound_to=\$setup_${n}_to"
		setup_bound from "$bound_from"
		eval "setup_${n}_from=$index"
		setup_bound to "$bound_to"
		eval "setup_${n}_to=$index"
		n=$((n + 1))
	done
}

# One command of a step before the step itself: only a little is told of it, unless it did not end well.
code_run() { # NAME TEXT
	give "$1" "$2"
	step_key=$key key=''
	run "$1" "$walk_dir" "$CODE_SECONDS"
	key=$step_key
	[ "$why" != stop ] || finish 0 stop
	succeeded || return 1
	[ -s "$out" ] || return 0
	[ "$room" -le "$told" ] || room=$told
	out_new
	told=$((told - sent))
	size=$(wc -c <"$out")
	[ "$size" -le "$sent" ] || record "cut $key dropped=$((size - sent))"
	rm -f "$out"
}

# The commit of a version -> commit.
code_of() { # VERSION
	while read -r v commit; do
		[ "$v" != "$1" ] || return 0
	done <commits
	commit=''
	return 1
}

# Which variant fits what is checked out now.
code_variant() {
	walk_up=$plain_up walk_down=$plain_down walk_current=$plain_current walk_look=$plain_look walk_warm=$plain_warm
	variant_before=$variant variant='' n=1
	while [ "$n" -le "$variants" ] && [ -z "$variant" ]; do
		eval "code_run when \"\$variant_${n}_when\"" && eval "use_variant $n"
		n=$((n + 1))
	done
	[ "$variant" = "$variant_before" ] || record "variant name=${variant:-plain}"
	[ -n "$walk_down" ] || walk_down="echo 'downgrade: not supported by $walk_tool at this commit' >&2; exit 1"
	give_walk
}

# Before the step: its commit is checked out, and the setup commands for its version have been run: when the walk comes to their
# versions, and once more when the checkout has wiped what they left there. Returns whether all of it went well.
code_ready() {
	told=$CODE_TOLD commit_changed='' wiped=''
	if [ -n "$walk_checkout" ] && [ "$commit" != "$at_commit" ]; then
		at_commit='' commit_changed=1 wiped=1
		code_run checkout "COMMIT=$commit$NL$walk_checkout" || return 1
		at_commit=$commit
		code_variant
	fi
	[ "$setups" -gt 0 ] || return 0
	find_version "$VERSION"
	i_code=$index n=1
	while [ "$n" -le "$setups" ]; do
		eval "setup_n=\$setup_${n}_n setup_on=\$setup_${n}_on setup_from=\$setup_${n}_from setup_to=\$setup_${n}_to"
		if [ "$i_code" -lt "$setup_from" ] || [ "$i_code" -gt "$setup_to" ]; then
			setup_on=''
		elif [ -z "$setup_on" ] || { [ -n "$wiped" ] && [ -e "${D%/*}/state/setup.$setup_n" ]; }; then
			eval "code_run setup \"\$setup_${n}_text\"" || return 1
			setup_on=1 commit_changed=1
		fi
		eval "setup_${n}_on=\$setup_on"
		n=$((n + 1))
	done
}

# --- walking ---
# The plan gives walk_tool, walk_dir, walk_list, walk_up, walk_down, walk_current, walk_applied, walk_look, walk_save,
# walk_restore, walk_seed, walk_from, walk_to, walk_timeout and walk_roundtrip.

# One step, and whether to go on: by what is read back, never by the exit code alone. leg: of a round trip, or ''.
step() { # N DIR VERSION TARGET SECONDS
	VERSION=$3 TARGET=$4 before=$set key=step=$1 verdict=''
	[ -z "$walk_checkout" ] || code_of "$VERSION"
	record "step n=$1 version=$VERSION dir=$2${leg:+ leg=$leg}${commit:+ commit=$commit}"
	if code_ready; then
		[ -z "$commit_changed" ] || warm_again
		[ "$2" != base ] || give_base
		case $2$leg in up | down | up1) fill "$1" ;; esac
		key=step=$1
		run "$2" "$walk_dir" "$5"
	else
		verdict='env'
	fi
	out_end
	warm_net
	record "ran n=$1 rc=$rc ms=$ms why=$why$net"
	[ "$why" != stop ] || finish 0 stop
	succeeded || verdict=${verdict:-rc}
	[ "$why" != timeout ] || [ "$verdict" = env ] || verdict=timeout
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
		# A round trip that does not lead back is a finding, and the way up goes on.
		case $leg in 2 | 3) ;; *) finish 0 step ;; esac
	fi
}

# verdict of a step that ended well by its own word: ok, noop or wrong.
judge() { # DIR
	verdict=wrong
	if [ "$1" = base ]; then
		has "$set" "$VERSION" && verdict=ok
	elif [ "$1" = restore ]; then
		[ "$state" != "$state_1" ] || verdict=ok
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

# --- data for the steps to work on ---

plan_before() { # VERSION COMMAND
	befores=$((befores + 1))
	give "before.$befores" "$2"
	printf '%s\n' "$1" >>before || full
}

# The recipe's names for versions -> before: LF, then "VERSION NUMBER" and LF each.
find_befores() {
	before_map=$NL n_before=0
	[ "$befores" -gt 0 ] || return 0
	while read -r name; do
		need_version 'seed: before' "$name"
		n_before=$((n_before + 1))
		before_map="$before_map$v $n_before$NL"
	done <before
}

# Has the database filled in what the recipe wants before this version, then looks at it again: the step is measured from there.
fill() { # N
	filled=''
	case $before_map in
	*"$NL$VERSION "*)
		number=${before_map#*"$NL$VERSION "}
		fill_by "$1" "before.${number%%"$NL"*}" "$walk_timeout"
		;;
	esac
	# What could not be filled is tried again when the schema is another one.
	if [ -n "$walk_seed" ] && [ -n "$empty" ] && [ "$dump_sha $empty" != "$tried" ]; then
		cp "$look/counts" counts || full
		[ -z "$model_before" ] || cp "$model_before" model || full
		rm -f unfilled
		fill_by "$1" seed "$LOOK_SECONDS"
		tried="$dump_sha $empty"
	fi
	[ -n "$filled" ] || return 0
	: >>unfilled
	record_file "seeded n=$1 rc=0" unfilled "$(wc -c <unfilled)"
	rm -f unfilled
	[ ! -f "$look/counts" ] || tell_counts "$1" "$look/counts"
}

fill_by() { # N NAME SECONDS
	filled=1 key=step=$1
	run "$2" "$walk_dir" "$3"
	out_end
	[ "$why" != stop ] || finish 0 stop
	succeeded || fill_failed "$1" "$rc" ''
	look_run
	[ -z "$look_text" ] || fill_failed "$1" "$look_rc" "$look_text"
	same_set "$set" "$before" || fill_failed "$1" 1 'what was to fill in data has changed the version'
	cmp -s "$look/dump" "$dump_before" || fill_failed "$1" 1 'what was to fill in data has changed the schema'
	count_empty "$look/counts"
}

fill_failed() { # N RC MESSAGE
	[ -z "$3" ] || record_text "out step=$1" "$3$NL"
	record "seeded n=$1 rc=$2"
	record "stepend n=$1 ok=0 why=seed"
	finish 0 step
}

# Tables without a row -> empty
count_empty() { # FILE
	[ -z "$walk_seed" ] || empty=$(cut -f 1,2 "$1" | sed -n 's/	0$//p')
}

# --- round trips ---

# What is told of the database as one line -> state: to see whether two looks saw the same.
state_now() {
	state="$dump_sha $model_sha $counts_sum $known$look_text$set"
}

copy_files() { # FROM TO
	set -- "$2" "$1"
	set +f
	for file in "$2"/*; do
		[ ! -f "$file" ] || set -- "$@" "$file"
	done
	set -f
	to_dir=$1
	shift 2
	[ "$#" -eq 0 ] || cp -p "$@" "$to_dir"/ || full
}

# One version there, back, and there again. Each is a step of its own, its number is i_step. What the way back or the
# second way up has spoilt is put right from what was kept aside: the next version begins where the first way up ended, so no
# verdict is the echo of another.
trip() { # VERSION VERSION-BEFORE
	leg=1 i_step=$((i_step + 1))
	step "$i_step" up "$1" "$1" "$walk_timeout"
	state_now
	state_1=$state saved='' key=''
	if [ -n "$walk_save" ]; then
		run save "$walk_dir" "$LOOK_SECONDS"
		[ "$why" != stop ] || finish 0 stop
		succeeded && saved=1
		# What the tool keeps beside the database belongs to it.
		copy_files "$STATE" save.state
	fi
	leg=2 i_step=$((i_step + 1))
	step "$i_step" down "$1" "$2" "$walk_timeout"
	if [ "$verdict" = ok ]; then
		leg=3 i_step=$((i_step + 1))
		step "$i_step" up "$1" "$1" "$walk_timeout"
	fi
	state_now
	if [ "$state" != "$state_1" ] || [ -z "$known" ]; then put_back "$1"; fi
	leg=''
}

# Without a way to do so the walk can only go on from a database that is at this version all the same.
put_back() { # VERSION
	if [ -z "$saved" ]; then
		[ "$leg" = 3 ] && [ "$verdict" = ok ] && return
		finish 0 restore
	fi
	leg=4 i_step=$((i_step + 1)) VERSION=$1 TARGET=$1 key=step=$i_step
	record "step n=$i_step version=$1 dir=restore leg=4"
	run restore "$walk_dir" "$LOOK_SECONDS"
	copy_files save.state "$STATE"
	out_end
	record "ran n=$i_step rc=$rc ms=$ms why=$why"
	[ "$why" != stop ] || finish 0 stop
	verdict=''
	succeeded || verdict=rc
	look_run
	look_tell "$i_step" || verdict=${verdict:-look}
	state_now
	[ -n "$verdict" ] || judge restore
	step_end "$i_step"
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

# The versions between the two -> the file steps, in the order of the walk; way and steps, their number. What a tool tells one
# by one need not be a beginning of the list: going up fills the gaps, going down leaves them out.
find_steps() {
	way=up steps=$((to_i - from_i))
	[ "$steps" -ge 0 ] || way=down steps=$((-steps))
	if [ "$walk_from" != current ] || [ -z "$walk_applied" ]; then
		head -n "$((from_i > to_i ? from_i : to_i))" list | tail -n "$steps" >steps
	elif [ "$way" = up ]; then
		printf '%s' "${set#"$NL"}" >applied
		head -n "$to_i" list | grep -vxFf applied >steps
	else
		printf '%s' "${set#"$NL"}" >applied
		tail -n "+$((to_i + 1))" list | grep -xFf applied >steps
	fi
	steps=$(wc -l <steps)
	if [ "$way" = down ]; then
		{ tac steps >steps.down && mv steps.down steps; } || full
	fi
}

tell_walk() {
	find_steps
	if [ -n "$walk_roundtrip" ]; then
		[ "$way" = up ] || refuse version "a round trip leads up and back; from $from to $to is down"
		way=roundtrip
	fi
	[ "$way" = up ] || [ -n "$walk_down$walk_checkout" ] || refuse no-down "$walk_tool cannot go down (from $from to $to)"
	if [ "$steps" -gt 0 ] || { [ "$walk_from" != current ] && [ "$from_i" -gt 0 ]; }; then
		warm_begin
		give_walk
	fi
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

# The command that leads to version $from at once.
give_base() {
	give base "$caller$walk_up"
	[ -n "$walk_applied$walk_branched" ] || return 0
	# Such a tool's way to a version need not lead over all that the list has before it.
	head -n "$from_i" list >todo || full
	give base "${caller}while read -r VERSION; do TARGET=\$VERSION; ($NL$walk_up$NL) </dev/null; done <\"\${LIST%list}todo\""
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
		step 0 base "$from" "$from" "$seconds"
		return
	fi
	[ "$walk_from" = current ] || look_run
	step_0 "$from"
}

walk_begin() {
	# shellcheck disable=SC2016 # for the command's own shell
	contract='VERSION=$stepbox_version TARGET=$stepbox_target LIST=$stepbox_dir/list LOOK=$stepbox_look '
	contract="${contract}STATE=\$stepbox_state SAVE=\$stepbox_dir/save; export VERSION TARGET LIST LOOK STATE SAVE; set --; "
	STATE=${D%/*}/state/${walk_tool##*/}
	mkdir -p "$STATE" || full
	leg='' counts_sum='' befores=0 empty='' tried=''
	# shellcheck disable=SC2034 # tell_text has their names made
	dump_before='' dump_sha='' dump_size=0 dump_chain=0
	# shellcheck disable=SC2034
	model_before='' model_sha='' model_size=0 model_chain=0
	variant='' variants=0 set=$NL look_slot=0 i=1
	plain_up=$walk_up plain_down=$walk_down plain_current=$walk_current plain_look=$walk_look plain_warm=${walk_warm-}
	[ -z "$walk_checkout" ] || printf '%s' "$walk_commits" >commits || full
	# In memory where that is possible: making files is most of the rest of what a step costs.
	mkdir "$memory" 2>/dev/null && looks=$memory
	set --
	while [ "$i" -le "$LOOKS" ]; do
		set -- "$@" "$looks/l.$i"
		i=$((i + 1))
	done
	mkdir "$@" || full
}

plan_variant() { # NAME WHEN LIST UP DOWN CURRENT LOOK WARM
	variants=$((variants + 1))
	eval "variant_${variants}_name=\$1 variant_${variants}_when=\$2 variant_${variants}_up=\$4"
	eval "variant_${variants}_down=\$5 variant_${variants}_current=\$6 variant_${variants}_look=\$7 variant_${variants}_warm=\${8-}"
	[ -z "$variant" ] || return 0
	key=''
	give when "$2"
	run when "$walk_dir" "$WHEN_SECONDS"
	[ "$why" != stop ] || finish 0 stop
	succeeded || return 0
	variant=$1
	record "variant name=$1"
	walk_list=${3:-$walk_list}
	use_variant "$variants"
}

use_variant() { # N
	eval "variant=\$variant_${1}_name walk_up=\${variant_${1}_up:-\$walk_up} walk_down=\${variant_${1}_down:-\$walk_down}"
	eval "walk_current=\${variant_${1}_current:-\$walk_current} walk_look=\${variant_${1}_look:-\$walk_look}"
	eval "walk_warm=\${variant_${1}_warm:-\${walk_warm-}}"
}

# The commands of the walk as they are now.
give_walk() {
	give up "$caller$walk_up"
	give down "$caller$walk_down"
	give look "$walk_look"
	give current "($NL$walk_current$NL) >\"\$LOOK.current\"$NL: >\"\$LOOK.asked\"$NL$walk_look"
}

walk_go() {
	if [ -z "$walk_list" ] || [ -z "$walk_up" ] || [ -z "$walk_look" ]; then
		refuse variant "none of the ways that are known of $walk_tool fits this checkout"
	fi
	list_versions
	tell_files
	setup_bounds
	give_walk
	if [ -n "$walk_roundtrip" ]; then
		mkdir save save.state || full
		give save "$walk_save"
		give restore "$walk_restore"
	fi
	[ -z "$walk_seed" ] || give seed "$walk_seed"
	find_befores
	baseline
	i_step=0
	exec 4<steps
	read -r next <&4 || next=''
	last=$from
	while [ -n "$next" ]; do
		version=$next steps=$((steps - 1))
		read -r next <&4 || next=''
		case $way in
		up) i_step=$((i_step + 1)) && step "$i_step" up "$version" "$version" "$walk_timeout" ;;
		down) i_step=$((i_step + 1)) && step "$i_step" down "$version" "${next:-$to}" "$walk_timeout" ;;
		roundtrip) trip "$version" "$last" ;;
		esac
		last=$version
	done
	exec 4<&-
	[ "$steps" -ne 0 ] || walks=$((walks + 1))
}

# A question about the database as the walk left it; the command finds what a step finds. Its exit code is the answer: any
# is good.
plan_question() { # KIND SECONDS DIR TITLE COMMAND
	task_begin "$1" "$2" "$4"
	VERSION=$to TARGET=$to
	give "$1" "$5"
	run "$1" "$3" "$2"
	task_end
	[ "$why" = exit ] || finish 0 task
	planned=$((planned + 1))
}

# Everything was called and came back: a plan that was cut off on its way, or a shell that lost its place, is no success.
plan_end() { # TASKS WALKS
	[ "$planned" -eq "$1" ] && [ "$walks" -eq "$2" ] && finish 1 ok
	finish 0 runner
}

# --- the run ---

clock
born=$now
i=1 ring='' ticker=''
while [ "$i" -le "$RING" ]; do
	ring="$ring o.$i c.$i" i=$((i + 1))
done
# shellcheck disable=SC2016 # for the command's own shell
prelude='if [ -n "$stepbox_locale" ]; then LC_ALL=$stepbox_locale; else unset LC_ALL; fi; cd -- "$stepbox_cd"; '
prelude="umask $user_umask; $prelude"
contract='set --; '

# The name is nobody's business to guess, and of no use when somebody does: mkdir takes no directory that is there.
memory=/dev/shm/stepbox-$RUN-$$ looks=$D
trap 'stop=1' TERM INT HUP
trap '[ -z "$stop" ] || finish 0 stop; finish 0 runner' EXIT
mkfifo events requests.0 requests.1 || exit 2
exec 5<>events
echo 0 >group
# The ticker's parent is looked up rather than asked for by kill -0: a process id can be used again.
(
	exec 3>&-
	while
		sleep 1 5>&-
		read -r _ _ _ parent _ </proc/self/stat
		[ "$parent" = "$$" ]
	do
		echo 0 0 >&5
	done
	rm -rf "$memory"
	read -r worker <group
	[ "$worker" -gt 0 ] || exit
	kill -s TERM -- "-$worker"
	for i in 1 2 3 4 5 6 7 8 9 10; do
		kill -s 0 -- "-$worker" || exit
		sleep 0.5 5>&-
	done
	kill -s KILL -- "-$worker"
) &
ticker=$!
mkdir dumps run
head -c 1048576 /dev/zero >reserve
read_id machine /etc/machine-id
read_id boot /proc/sys/kernel/random/boot_id
record "hello run=$RUN pid=$$ utc=$(date -u +%Y-%m-%dT%H:%M:%SZ) machine=$machine boot=$boot"
# shellcheck source=/dev/null
. ./plan
