# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# probe.sh UIDS GIDS: builds and drops the namespaces and mounts of a box in the current, empty directory; silent when
# all of it works. As root it is started in a mount namespace of its own.
set -u
# shellcheck disable=SC2034
uids=$1 gids=$2
how=user
mkfifo out go && mkdir lower upper work || exit 1
if [ "$(id -u)" = 0 ]; then
	how=root
	first=${uids#* }
	first=${first%% *}
	chown "$first:$first" upper || exit 1
	mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work,volatile probe /tmp || exit 1
fi
exec 5</dev/null
# Expanded by the shell inside.
# shellcheck disable=SC2016
ns_start sh -c '
	set -e
	if [ "$1" = root ]; then
		mount --rbind /tmp /tmp
	else
		mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr,volatile probe /tmp
	fi
	mkdir -p /tmp/proc /tmp/dev
	mount -t tmpfs dev /tmp/dev
	mkdir /tmp/dev/pts
	mount -t devpts -o newinstance devpts /tmp/dev/pts
	: >/tmp/dev/null
	mount --bind /dev/null /tmp/dev/null
	mount -t proc proc /tmp/proc' probe "$how" || exit 1
cat <&6
ns_wait
