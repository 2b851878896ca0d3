#!/bin/bash
# SPDX-License-Identifier: MIT
# The engine of a local box typed by hand, as a yardstick for `stepbox up`: from nothing to the first SSH login, and to
# the end. No ledger, no keeper, no expiry, no clean environment; keys and ports are ready beforehand. Run as root.
#   raw-engine.sh BASE_TREE [ROUNDS]     prints "boot->login MS  destroy MS" a round, then the medians
# BASE_TREE is .../stepbox/base/IMAGE-HASH/tree.
set -eu
tree=$(realpath "$1") rounds=${2:-9} first=1879048192
[ "$(id -u)" = 0 ] || { echo "skipped: not root" >&2; exit 77; }
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
cd "$top"
ssh-keygen -q -t ed25519 -N '' -f host
ssh-keygen -q -t ed25519 -N '' -f login

cat >inside <<'END'
echo unshared
read -r go <go
exec setpriv --reuid=0 --regid=0 --clear-groups --pdeathsig KILL sh -c '
	set -e
	mount --rbind /tmp /tmp
	cd /tmp
	mount -t tmpfs run run
	mount -t tmpfs dev dev
	mkdir -p run/box/old run/sshd dev/pts dev/shm
	for n in null zero full random urandom tty; do
		: >dev/$n
		mount --bind /dev/$n dev/$n
	done
	mount -t proc proc proc
	mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
	mount -t tmpfs shm dev/shm
	ln -s /proc/self/fd dev/fd
	ln -s pts/ptmx dev/ptmx
	cat >run/box/keys
	cat /etc/resolv.conf >etc/resolv.conf
	hostname raw
	pivot_root . run/box/old
	cd /
	umount -l /run/box/old
	umask 077
	sed -n "/BEGIN/,/END/p" /run/box/keys >/run/box/host
	sed -n "/^ssh-/p" /run/box/keys >/run/box/authorized
	exec /usr/sbin/sshd -D -p '"$1"' -h /run/box/host -o ListenAddress=127.0.0.1 -o UsePAM=no -o UseDNS=no \
		-o StrictModes=no -o PidFile=none -o AuthorizedKeysFile=/run/box/authorized'
END

now() { echo $((${EPOCHREALTIME/./} / 1000)); }

for ((i = 0; i < rounds; i++)); do
	port=$((20000 + RANDOM % 10000))
	printf -v listens '0100007F:%04X 00000000:0000 0A' "$port"
	echo "[127.0.0.1]:$port $(cat host.pub)" >known
	start=$(now)
	mkdir upper work
	chown $first:$first upper
	mkfifo go ready
	# shellcheck disable=SC2016
	unshare --mount --propagation slave sh -c '
		mount -t overlay -o lowerdir="$1",upperdir=upper,workdir=work,volatile raw /tmp
		cat host login.pub | unshare --user --keep-caps --mount --pid --ipc --uts --fork --kill-child \
			sh inside "$2" >ready 2>&1' sh "$tree" "$port" &
	outer=$!
	read -r _ <ready
	pid=$(pgrep -P "$outer" -x unshare)
	echo "0 $first 65536" >/proc/"$pid"/uid_map
	echo "0 $first 65536" >/proc/"$pid"/gid_map
	echo go >go
	until grep -q "$listens" /proc/net/tcp; do sleep 0.001; done
	ssh -F none -i login -o UserKnownHostsFile=known -o StrictHostKeyChecking=yes -o LogLevel=ERROR -p $port \
		root@127.0.0.1 true
	login=$(now)
	kill -9 "$pid"
	wait "$outer" 2>/dev/null || true
	rm -rf upper work go ready
	echo "$((login - start)) $(($(now) - login))"
done | tee rows | sed 's/\(.*\) \(.*\)/boot->login \1 ms  destroy \2 ms/'
echo "median: boot->login $(cut -d' ' -f1 rows | sort -n | sed -n "$((rounds / 2 + 1))p") ms," \
	"destroy $(cut -d' ' -f2 rows | sort -n | sed -n "$((rounds / 2 + 1))p") ms"
