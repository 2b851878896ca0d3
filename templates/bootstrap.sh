# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2039,SC3067  # [ -O ] is in dash, bash and busybox
# What a connection runs on the box: a word of the command that provision/flight.c executes, which has printed the marker
# line already. The words behind it:
#
#     fly RUN NONCE OFFSET [TEXT_BYTES TEXT_SHA RUNNER_BYTES PLAN_BYTES PAYLOAD_BYTES PAYLOAD_SHA]
#     stop RUN
#     dump RUN SHA256
#     order TEXT_IN_BASE64
#
# It answers in lines: `send` (wants runner, plan and payload on stdin), `follow running|ended` (the journal's bytes from
# the offset come behind it), `stopped`, `dump BYTES` (and they), `ordered EXIT_CODE` (and what the order said), or
# `error TEXT`.

say()
{
	printf '%s\n' "$*"
}

die()
{
	say "error $(printf '%s' "$*" | tr '\n' ' ')"
	exit 1
}

usable()
{
	[ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && [ -w "$1" ]
}

# Sets $dir: where this run lives, or would.
find_dir()
{
	umask 077
	home=${HOME:-/nonexistent}/.stepbox
	base=$home
	dir=$base/$run
	usable "$base" && [ -d "$dir" ] && return # the common case, with no process started
	spare=/var/tmp/.stepbox-$(id -u)
	for base in "$home" "$spare"; do
		dir=$base/$run
		usable "$base" && [ -d "$dir" ] && return
	done
	for base in "$home" "$spare"; do
		dir=$base/$run
		mkdir "$base" 2>/dev/null
		usable "$base" && return
	done
	die "neither $home nor $spare can be written"
}

take()
{
	[ "$2" -gt 0 ] || return 0
	why=$(head -c "$2" 2>&1 >"$new/$1") && [ "$(sha256sum <"$new/$1")" = "$3  -" ] && return
	rm -rf "$new"
	die "$1 did not arrive whole${why:+: $why}"
}

# The rename decides who of several clients brought the run; a drop before it leaves nothing that counts.
receive()
{
	new=$(mktemp -d "$base/.new-XXXXXX" 2>&1) || die "$new"
	take text.gz "$1" "$2"
	gzip -dc "$new/text.gz" | { head -c "$3" >"$new/runner.sh" && cat >"$new/plan"; }
	if [ "$(cat "$new/runner.sh" "$new/plan" | wc -c)" != $(($3 + $4)) ]; then
		rm -rf "$new"
		die "runner and plan cannot be unpacked"
	fi
	rm -f "$new/text.gz"
	take source.tar "$5" "$6"
	mv -T "$new" "$dir" 2>/dev/null || rm -rf "$new"
	[ -d "$dir" ] || die "$dir cannot be made"
}

# The mkdir decides who starts it, once. The inner shell ends at once, so that the runner is nobody's child here:
# nothing would wait for it, and a zombie looks alive.
start()
{
	mkdir "$dir/started" 2>/dev/null || return 0
	(setsid sh "$dir/runner.sh" "$dir" "$nonce" "$run" </dev/null >/dev/null 2>>"$dir/runner.err" &)
}

# Process numbers come again after a reboot: it must also be a runner.
alive()
{
	kill -0 "$1" 2>/dev/null || return 1
	case $(tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null) in
	*"$dir/runner.sh"*) return 0 ;;
	esac
	return 1
}

get_pid()
{
	pid=$(cat "$dir/pid" 2>/dev/null)
	case $pid in
	'' | *[!0-9]*) return 1 ;;
	esac
}

follow()
{
	i=0
	until get_pid && [ -f "$dir/journal" ]; do
		i=$((i + 1))
		[ "$i" -le 600 ] || die "the runner did not start: $(tail -c 300 "$dir/runner.err" 2>/dev/null)"
		sleep 0.0"$((i < 10 ? 1 : 5))"
	done
	if alive "$pid"; then
		say follow running
		# On an overlay tail does not trust inotify and looks again after each interval: a box of the local cloud is one.
		exec tail -c "+$(($1 + 1))" -s 0.02 -f --pid="$pid" "$dir/journal" 2>/dev/null
	fi
	say follow ended
	exec tail -c "+$(($1 + 1))" "$dir/journal"
}

fly()
{
	nonce=$1
	offset=$2
	shift 2
	find_dir
	# Or a dump after a second's silence takes four flights instead of one.
	{ echo 0 >/proc/sys/net/ipv4/tcp_slow_start_after_idle; } 2>/dev/null
	if [ ! -d "$dir" ]; then
		[ "$#" -eq 6 ] || die "this box knows no run $run"
		say send
		receive "$@"
	fi
	start
	follow "$offset"
}

# Processes of the runner's session, the runner last.
session_of()
{
	for stat in /proc/[0-9]*/stat; do
		read -r line <"$stat" 2>/dev/null || continue
		# shellcheck disable=SC2086  # fields behind the name, which may hold anything
		set -- "${line%% *}" ${line##*) }
		[ "$5" = "$pid" ] && [ "$1" != "$pid" ] && echo "$1"
	done 2>/dev/null
	echo "$pid"
}

stop()
{
	find_dir
	[ -d "$dir" ] || die "this box knows no run $run"
	if get_pid && alive "$pid"; then
		kill -TERM "$pid"
		i=0
		while alive "$pid" && [ "$i" -lt 100 ]; do
			i=$((i + 1))
			sleep 0.1
		done
		# shellcheck disable=SC2046  # numbers
		alive "$pid" && kill -KILL $(session_of) 2>/dev/null
	fi
	say stopped
}

dump()
{
	find_dir
	[ -f "$dir/dumps/$1" ] || die "the box has no dump $1"
	say dump "$(wc -c <"$dir/dumps/$1")"
	exec cat "$dir/dumps/$1"
}

# The text is where the others have their run.
order()
{
	text=$(printf %s "$run" | base64 -d)
	said=$(sh -c "$text" stepbox </dev/null 2>&1)
	say ordered "$?"
	say "$said"
}

bootstrap()
{
	# All that follows is the same as for who logged in as root; and the command is long.
	unset SUDO_COMMAND SUDO_USER SUDO_UID SUDO_GID
	act=$3
	run=$4
	shift 4
	"$act" "$@"
}

bootstrap "$@"
