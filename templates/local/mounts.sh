# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Root in the new namespaces, still with all of this machine's files in sight: builds the box's own tree of mounts,
# steps into it, lets go of the old one and becomes the box's init.
# $1 root: the overlay is at /tmp already | user: the current directory holds its parts.   $2 the box's name
set -eu
exec 4<&-
if [ "$1" = root ]; then
	# A mount that came with the namespace cannot become its root, a bind of it can.
	mount --rbind /tmp /tmp
else
	lowers=lower
	[ ! -h layer ] || lowers=layer:lower
	mount -t overlay -o "lowerdir=$lowers",upperdir=upper,workdir=work,userxattr,volatile "$2" /tmp
fi
cd /tmp
mount -t tmpfs -o mode=755,nosuid,nodev,size=256m run run
mount -t tmpfs -o mode=755,nosuid,size=1m dev dev
mkdir -p run/box/old run/lock run/sshd dev/pts dev/shm
chmod 700 run/box
chmod 1777 run/lock
for node in null zero full random urandom tty; do
	: >"dev/$node"
	echo "/dev/$node /tmp/dev/$node none bind 0 0"
done >run/box/fstab
cat >>run/box/fstab <<'END'
proc /tmp/proc proc nosuid,nodev,noexec 0 0
devpts /tmp/dev/pts devpts newinstance,ptmxmode=666,mode=620,gid=5,nosuid,noexec 0 0
shm /tmp/dev/shm tmpfs mode=1777,nosuid,nodev 0 0
END
mount -a -T run/box/fstab
cp -P /dev/fd /dev/stdin /dev/stdout /dev/stderr dev/
ln -s pts/ptmx dev/ptmx
cat >run/box/init
hostname "$2"
pivot_root . run/box/old
cd /
umount -l /run/box/old
rmdir /run/box/old
rm /run/box/fstab
# Handlers of signals that a shell's background job ignores would be ignored by everything in the box.
exec env -i --default-signal PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
	LANG=C.UTF-8 bash /run/box/init </dev/null
