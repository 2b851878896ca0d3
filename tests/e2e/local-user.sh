#!/bin/sh
# SPDX-License-Identifier: MIT
# The local driver's boxes as an ordinary user with subordinate ids: runs the unit test of the driver as a user made
# for it. $1 is the test program. Its own base tree is made, which takes a minute.
set -eu
test=${1:-${STEPBOX:+$(dirname "$STEPBOX")/tests/test_local}}
test=${test:-build/release/tests/test_local}
user=stepbox-e2e-user
skip()
{
	echo "skipped: $*" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || skip "only root can make a user"
command -v newuidmap >/dev/null || skip "newuidmap is not installed: apt-get install -y uidmap"
[ -x "$test" ] || skip "no $test"

home=$(mktemp -d)
cleanup()
{
	# Files of subordinate ids: only root can remove them from here.
	rm -rf "$home"
	userdel "$user" 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' HUP INT TERM
userdel "$user" 2>/dev/null || true
useradd --home-dir "$home" --shell /bin/sh --no-create-home --add-subids-for-system "$user" 2>/dev/null ||
	useradd --home-dir "$home" --shell /bin/sh --no-create-home "$user"
grep -q "^$user:" /etc/subuid || usermod --add-subuids 400000000-400065535 --add-subgids 400000000-400065535 "$user"
cp "$test" "$home/test"
chown -R "$user:" "$home"
chmod 711 "$home"
cd "$home"
setpriv --reuid="$user" --regid="$user" --clear-groups env -i HOME="$home" PATH=/usr/local/bin:/usr/bin:/bin "$home/test"
