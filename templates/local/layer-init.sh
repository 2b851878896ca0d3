# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# What makes a layer: in front of this text stand the settings name, resolv_conf and sshd_env (words "NAME=VALUE"); behind it
# the script itself, whose files stay.
set -eu
umask 022
cd /
eval "environment=($sshd_env)"
for word in "${environment[@]}"; do
	export "${word?}"
done
# The box's own init writes these anew.
rm -f /etc/resolv.conf
printf '%s\n' "$resolv_conf" >/etc/resolv.conf
printf '%s\n' "$name" >/etc/hostname
printf '127.0.0.1 localhost %s\n' "$name" >/etc/hosts
trap 'rc=$?; apt-get clean; rm -rf /tmp/* /var/tmp/* /root/.cache; : >/etc/machine-id; exit $rc' EXIT
