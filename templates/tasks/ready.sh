# shellcheck shell=sh
# Waits until cloud-init's last stage is reached (the marker that templates/cloud-init/user-data.yaml has it make), at most
# $TIMEOUT seconds. Looks at cloud-init's own status files: `cloud-init status` is half a second of Python each time, on
# a box that is busy booting.
marker=/run/stepbox-ready
kept=/var/lib/cloud/instance/stepbox-ready # a box that was booted again has only this one
run=/run/cloud-init
log=/var/log/cloud-init-output.log

# The texts of all JSON lists of that name in a status file (which has one text a line), indented.
list() { # NAME FILE
	sed -n '/"'"$1"'": \[$/,/^ *\],\{0,1\}$/s/^ *"\(.*\)",\{0,1\}$/  \1/p' "$2" 2>/dev/null | cut -c1-500 | head -n 20
}

fail() {
	echo "$1" >&2
	list errors $run/status.json >&2
	# Without the tables of interfaces and routes.
	[ ! -s $log ] || { echo "the last lines of $log:" && grep -v '^ci-info:' $log | tail -n 25; } | cut -c1-500 >&2
	exit 1
}

# Somebody (unattended upgrades of a first boot) holds a lock of apt or dpkg: what flock -n would say, from /proc/locks.
busy() {
	for file in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock; do
		inode=$(stat -c %i $file 2>/dev/null) || continue
		grep -q ":$inode " /proc/locks 2>/dev/null && return
	done
	return 1
}

uptime() {
	read -r seconds _ </proc/uptime
	echo "${seconds%.*}"
}

stage() {
	now=$(sed -n 's/^ *"stage": "\{0,1\}\([a-z-]*\)"\{0,1\},\{0,1\}$/\1/p' $run/status.json 2>/dev/null) || true
	[ -z "$now" ] || [ "$now" = null ] || [ "$now" = "$was" ] || echo "cloud-init: $now"
	was=${now:-$was}
}

reached() {
	[ -e $marker ] || [ -e $kept ]
}

end=$(($(uptime) + TIMEOUT))
was=
until reached; do
	if [ -e $run/disabled ] || { ! command -v cloud-init >/dev/null && [ ! -d $run ]; }; then
		fail "the image has no cloud-init, or has it disabled: what the box was given did not take effect"
	fi
	stage
	# The marker comes before the result: both may have come since we looked.
	if [ -e $run/result.json ] && ! reached; then
		fail "cloud-init has ended, but has not done what the box was given"
	fi
	if [ "$(uptime)" -ge $end ]; then
		timeout 20 cloud-init status --long >&2 || true
		fail "cloud-init is not done after $TIMEOUT s"
	fi
	sleep 0.1 2>/dev/null || sleep 1
done
stage

# Our part is done by now. What else the image wanted of cloud-init, and did not get, is told: it may be nothing to us.
for level in errors WARNING DEPRECATED ERROR CRITICAL; do
	said=$(list $level $run/status.json)
	[ -z "$said" ] || printf 'cloud-init reports (%s, it went on):\n%s\n' $level "$said"
done

waited=
while busy && [ "$(uptime)" -lt $end ]; do
	[ -n "$waited" ] || echo "apt is busy with something of the image's own: waiting"
	waited=1
	sleep 1
done
echo "ready"
