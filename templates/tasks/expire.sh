# shellcheck shell=sh
# Moves the box's own end to $EXPIRES (seconds since 1970 by the client's clock, which says $NOW; NOW empty: by the box's
# own). The new timer runs before the old ones go: no moment without an end. What it does on later boots is in the file, see
# templates/cloud-init/user-data.yaml.
box_now=$(date +%s)
left=$((EXPIRES - ${NOW:-$box_now}))
[ $left -gt 0 ] || left=1
at=$((box_now + left))
unit=stepbox-expiry-$at
pid_file=/run/stepbox-expiry.pid
old_sleeper=$(cat $pid_file 2>/dev/null) || true

start_timer() {
	[ -d /run/systemd/system ] || return 1
	systemctl -q is-active "$unit.timer" ||
		systemd-run --quiet --unit="$unit" --on-active=$left --timer-property=AccuracySec=1s systemctl poweroff
}

start_sleeper() {
	rm -f $pid_file
	setsid sh -c 'echo $$ >'$pid_file'; sleep "$1"; poweroff' sh $left </dev/null >/dev/null 2>&1 &
	until [ -s $pid_file ]; do
		sleep 0.1 2>/dev/null || sleep 1
	done
}

drop_timers() {
	for timer in $(systemctl list-units --all --plain --no-legend 'stepbox-expiry*.timer' | cut -d' ' -f1); do
		[ "$timer" = "$unit.timer" ] || systemctl stop "$timer"
	done
}

if start_timer; then
	drop_timers
	rm -f $pid_file
else
	unit=
	start_sleeper
	[ ! -d /run/systemd/system ] || drop_timers
fi
# The sleeper leads a group of its own. A number from before a boot would not be in /run.
case $old_sleeper in
'' | *[!0-9]*) ;;
*) kill -- "-$old_sleeper" 2>/dev/null || true ;;
esac

file=/var/lib/cloud/instance/stepbox-expires
if [ -d "${file%/*}" ]; then
	echo "$at $left" >$file.new
	mv $file.new $file
fi
echo "the box ends itself in $left s"
