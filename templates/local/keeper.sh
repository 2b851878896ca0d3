# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# keeper.sh NAME UIDS GIDS: keeps one box. It runs detached, in the box directory, and lives as long as the box; when
# the box ends, whoever ended it, the keeper removes the directory. Whoever wants to know whether the box lives asks
# for the lock: keeper and unshare hold it, nobody else does. When the keeper is killed everything below it is, too:
# unshare by its parent's death signal, pid 1 of the box by unshare's, or because `control` has lost its last writer.
#
# stdin: the program of pid 1 (init.sh behind its settings). stdout: what goes wrong, or "listening PORT".
# As root it is started in a mount namespace of its own.
set -u
umask 022
# shellcheck disable=SC2034
name=$1 uids=$2 gids=$3
exec 9<lock
flock -n 9 || exit 1
# A lock file that was removed before we came belongs to no box any more. (dash and bash both know -ef.)
# shellcheck disable=SC3013
[ lock -ef /dev/fd/9 ] || exit 1
# Field 22 is the start time; behind the name, which may hold blanks, fields are counted from 3.
read -r stat <"/proc/$$/stat"
# shellcheck disable=SC2086
set -- ${stat##*) }
echo "$$ ${20}" >pid

# Real root lays the overlay here, over /tmp of this mount namespace, which everybody can reach: the way to our own
# directory may be closed to the user who is root inside.
how=user lowers=lower top=lower
if [ -h layer ]; then
	lowers=layer:lower top=layer
fi
# Our stdin holds a lock on the tree that we lie over as long as we live: it must not be removed. (A base tree outlives
# the layers over it.) Opened before /tmp is covered, below which it may be.
exec 5<&0 <"$top/../stamp"
flock -n -s 0 || { echo 'the tree under the box is being removed' && exit 1; }
if [ "$(id -u)" = 0 ]; then
	how=root
	mount -t overlay -o "lowerdir=$lowers",upperdir=upper,workdir=work,volatile "$name" /tmp 5<&- || exit 1
fi

# pid 1 gets the reading end of control as its descriptor 3; ours is the only writing one.
exec 3<>control 4<mounts.sh
# Used by ns_start.
# shellcheck disable=SC2034
ns_control=control
trap 'echo end >&3' HUP INT TERM
if ns_start sh /dev/fd/4 "$how" "$name"; then
	exec 4<&- 5<&-
	while read -r line <&6; do
		printf '%s\n' "$line"
		[ "${line%% *}" = listening ] && break
	done
fi
exec >/dev/null 2>&1 6<&-
ns_wait

# By the directory itself: what its name leads to may be covered.
cd -P .. || exit 1
if [ "$how" = root ]; then
	umount -l /tmp
	rm -rf -- "$name/upper" "$name/work"
else
	(cd "$name" && exec 5</dev/null && ns_start rm -rf upper work && ns_wait)
fi
# The lock goes last: a directory without one is on its way out.
rm -f -- "$name"/*
rmdir -- "$name"
