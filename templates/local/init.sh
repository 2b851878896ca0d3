# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# pid 1 of a box. In front of this text stand its settings: name, expires (wall seconds), ports (to try), resolv_conf,
# host_key, login_key, sshd_env. stdout goes to the keeper. Descriptor 3 is `control`: lines "expires SECONDS" and
# "end"; its end means that the keeper is gone. bash, not sh: it waits for a line and for the clock at the same time,
# reaps what is left to it meanwhile, and needs no other process for either.
look_s=1 listen_tries=2000

# Waits for a line on control at most $1 seconds and obeys it.
obey()
{
	local word value
	if read -r -t "$1" -u 3 word value; then
		case $word in
		expires) [[ $value =~ ^[0-9]+$ ]] && expires=$value ;;
		end) exit 0 ;;
		esac
	elif (($? <= 128)); then
		exit 0
	fi
}

make_files()
{
	printf '%s\n' "$name" >/etc/hostname
	printf '127.0.0.1 localhost %s\n::1 localhost ip6-localhost ip6-loopback\n' "$name" >/etc/hosts
	rm -f /etc/resolv.conf
	printf '%s\n' "$resolv_conf" >/etc/resolv.conf
	local uuid
	read -r uuid </proc/sys/kernel/random/uuid
	printf '%s\n' "${uuid//-/}" >/etc/machine-id
	umask 077
	printf '%s\n' "$host_key" >/run/box/host_key
	printf '%s\n' "$login_key" >/run/box/authorized_keys
	printf '%s\n' >/run/box/sshd_config \
		'HostKey /run/box/host_key' \
		'AuthorizedKeysFile /run/box/authorized_keys' \
		'ListenAddress 127.0.0.1' \
		'PermitRootLogin prohibit-password' \
		'PasswordAuthentication no' \
		'KbdInteractiveAuthentication no' \
		'UsePAM no' \
		'UseDNS no' \
		'StrictModes no' \
		'PrintMotd no' \
		'PrintLastLog no' \
		'PidFile none' \
		'MaxSessions 100' \
		'MaxStartups 100:30:200' \
		'LoginGraceTime 60' \
		'Subsystem sftp internal-sftp' \
		"SetEnv LANG=C.UTF-8$sshd_env"
	umask 022
}

# The port may have been taken since it was found free: sshd ends then, and the next one is tried.
start_sshd()
{
	local port text i
	for port in $ports; do
		# A shell's background job ignores SIGINT and SIGQUIT, and so would every login of it.
		env --default-signal=INT,QUIT /usr/sbin/sshd -D -f /run/box/sshd_config -E /run/box/sshd.log -p "$port" \
			</dev/null >/dev/null 2>/run/box/sshd.err 3<&- &
		sshd=$!
		for ((i = 0; i < listen_tries; i++)); do
			text=
			[[ -r /run/box/sshd.log ]] && IFS= read -r -d '' text </run/box/sshd.log
			if [[ $text == *"Server listening on 127.0.0.1 port $port"* ]]; then
				printf 'listening %s\n' "$port"
				return
			fi
			kill -0 "$sshd" 2>/dev/null || break
			obey 0.003
		done
		kill "$sshd" 2>/dev/null
	done
	cat /run/box/sshd.log /run/box/sshd.err
	exit 1
}

make_files
start_sshd
exec >/dev/null 2>&1
while :; do
	obey "$look_s"
	printf -v now '%(%s)T' -1
	((now < expires)) || exit 0
	# Nobody can reach a box without its sshd.
	kill -0 "$sshd" || exit 0
done
