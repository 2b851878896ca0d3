#!/bin/bash
# SPDX-License-Identifier: MIT
# From nothing to the end of the first remote command, on a warm base tree, interleaved: `stepbox up` (whole process with
# ledger, keys, keeper, expiry, plan and journal), the raw engine typed by hand + ssh, podman run + ssh. Medians.
#   boot.sh BUILD [ROUNDS]
# Aims: stepbox ≤ 1.3 × raw, and below podman. Exit 1 when one is missed.
set -eu
build=$(realpath "$1") rounds=${2:-9} here=$(dirname "$(realpath "$0")")
[ "$(id -u)" = 0 ] || { echo "boot: skipped: not root" >&2; exit 77; }
top=$(mktemp -d)
export XDG_STATE_HOME=$top/state
cleanup() {
	"$build/stepbox" down --all >/dev/null 2>&1 || true
	[ ! -x "$(command -v podman)" ] || podman rm -f -t 0 stepbox-bench >/dev/null 2>&1 || true
	rm -rf "$top"
}
trap cleanup EXIT
cd "$top"
printf 'name: bench\nbox: {ttl: 10m}\n' >stepbox.yaml
"$build/stepbox" up >/dev/null 2>&1 # makes the base tree when there is none
"$build/stepbox" down --all >/dev/null
base=$(ls -td "${XDG_CACHE_HOME:-$HOME/.cache}"/stepbox/base/debian-12-*/tree | head -n 1)
ssh-keygen -q -t ed25519 -N '' -f host
ssh-keygen -q -t ed25519 -N '' -f login
now() { echo $((${EPOCHREALTIME/./} / 1000)); }
median() { sort -n "$1" | sed -n "$((($(wc -l <"$1") + 1) / 2))p"; }

stepbox() {
	local start line
	start=$(now)
	"$build/stepbox" up --json 2>/dev/null | while read -r line; do
		case $line in *'"event":"task"'*) echo $(($(now) - start)) && break ;; esac
	done >>ours
	"$build/stepbox" down --all >/dev/null
}

raw() { "$here/raw-engine.sh" "$base" 1 2>/dev/null | sed -n 's/^boot->login \([0-9]*\) .*/\1/p' >>raw; }

with_podman() {
	local start port=$((20000 + RANDOM % 10000))
	echo "[127.0.0.1]:$port $(cat host.pub)" >known
	start=$(now)
	# Limits that a user namespace may set; runc, as crun 1.8 refuses hybrid cgroups.
	podman --runtime runc run -d --rm --name stepbox-bench --uidmap 0:1879048192:65536 --gidmap 0:1879048192:65536 \
		--ulimit nofile=1024:1024 --ulimit nproc=4096:4096 --network host --rootfs "$base:O" sh -c "
		mkdir -p /run/sshd /run/k
		echo '$(base64 -w0 host)' | base64 -d >/run/k/host
		chmod 600 /run/k/host
		echo '$(cat login.pub)' >/run/k/auth
		exec /usr/sbin/sshd -D -p $port -h /run/k/host -o ListenAddress=127.0.0.1 -o UsePAM=no -o UseDNS=no \
			-o StrictModes=no -o PidFile=none -o AuthorizedKeysFile=/run/k/auth" >/dev/null 2>podman.err || return 1
	until ssh -F none -i login -o UserKnownHostsFile=known -o LogLevel=ERROR -p $port root@127.0.0.1 true 2>/dev/null; do
		[ $(($(now) - start)) -lt 20000 ] || return 1
		sleep 0.01
	done
	echo $(($(now) - start)) >>podman
	podman rm -f -t 0 stepbox-bench >/dev/null
}

have_podman=
if command -v podman >/dev/null && command -v runc >/dev/null && with_podman; then have_podman=1; else echo "podman does not run here: $(tail -n 1 podman.err 2>/dev/null)"; fi
rm -f podman
for ((i = 0; i < rounds; i++)); do
	stepbox
	raw
	[ -z "$have_podman" ] || with_podman || true
done
o=$(median ours) r=$(median raw)
printf 'boot to first remote command, median of %d: stepbox up %d ms, raw engine + ssh %d ms (%d %%, aim 130 %%)' "$rounds" "$o" "$r" $((o * 100 / r))
bad=$((o * 100 > r * 130))
if [ -n "$have_podman" ]; then
	p=$(median podman)
	printf ', podman + ssh %d ms (%d %%, aim below 100 %%)' "$p" $((o * 100 / p))
	[ "$o" -lt "$p" ] || bad=1
fi
echo
exit $bad
