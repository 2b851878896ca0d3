# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Shell functions in front of keeper.sh and base.sh: a program as root of new user, mount, pid, ipc and UTS namespaces.
#
# Who is who in there: ids 0-65535 inside are other ids outside, so that root inside is nobody. uids and gids hold the
# mapping: as root "0 FIRST 65536", written by ourselves; as an ordinary user "0 OWN 1 1 FIRST 65535", written by
# newuidmap and newgidmap, who look it up in /etc/subuid and /etc/subgid.

# ns_start PROGRAM [ARGUMENT...] in the background: its unshare is $ns, what it prints comes in on descriptor 6.
# Descriptor 5 becomes its stdin, 4 is handed on, 3 reads the file $ns_control; 9 (a lock, perhaps) is held by unshare
# but not by the program. Needs the fifos `out` and `go` in the current directory. They are opened both ways (<>), as
# a plain open waits for the other side; our writing end of `out` is closed as soon as the child has its own, so that
# we see its end.
ns_control=/dev/null
ns_start()
{
	exec 7<>out 8<>go
	# The first word is said as nobody yet: the mapping can be written only once the namespace is there.
	# Changing the uid makes the kernel forget the death signal that --kill-child asked for, so it is asked for again.
	# shellcheck disable=SC2016
	setpriv --pdeathsig KILL unshare --user --keep-caps --mount --pid --ipc --uts --fork --kill-child \
		sh -c 'exec 9<&-; echo unshared; read -r go <&8 && exec 8<&- setpriv --reuid=0 --regid=0 --clear-groups --pdeathsig KILL "$@"' \
		sh "$@" 3<"$ns_control" <&5 >&7 2>&7 5<&- 7<&- &
	ns=$!
	exec 6<out 7<&-
	ns_line=
	while read -r ns_line <&6 && [ "$ns_line" != unshared ]; do
		printf '%s\n' "$ns_line"
	done
	[ "$ns_line" = unshared ] && ns_map && echo go >&8
	ns_rc=$?
	exec 8<&-
	return "$ns_rc"
}

ns_map()
{
	if [ "$(id -u)" = 0 ]; then
		# shellcheck disable=SC2154
		echo "$uids" >"/proc/$ns/uid_map" && echo "$gids" >"/proc/$ns/gid_map"
	else
		# The mapping is several words on purpose.
		# shellcheck disable=SC2086
		newuidmap "$ns" $uids && newgidmap "$ns" $gids
	fi
}

# The exit code of what ns_start began, once it has ended. A trapped signal ends `wait` early.
ns_wait()
{
	while :; do
		wait "$ns"
		ns_rc=$?
		kill -0 "$ns" 2>/dev/null || return "$ns_rc"
	done
}
