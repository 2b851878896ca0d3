# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# layer.sh NAME UIDS GIDS: runs a program as root in a tree like a box's own, in the current directory, and keeps what
# it leaves in `upper`. As root it is started in a mount namespace of its own.
# stdin: the program (bash). stdout: what it prints, and what goes wrong.
set -u
umask 022
# shellcheck disable=SC2034
name=$1 uids=$2 gids=$3
how=user
if [ "$(id -u)" = 0 ]; then
	how=root
	mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work,volatile "$name" /tmp || exit 1
fi
exec 5<&0 4<mounts.sh
ns_start sh /dev/fd/4 "$how" "$name" || exit 1
exec 4<&- 5</dev/null
cat <&6
ns_wait || exit 1
[ "$how" != root ] || umount -l /tmp
# Only its contents are of use: the overlay's own directory belongs to ids of the namespace.
if [ "$how" = root ]; then
	rm -rf work
else
	ns_start rm -rf work && cat <&6 && ns_wait
fi && mv upper tree && rm -f lower out go layer.sh mounts.sh
