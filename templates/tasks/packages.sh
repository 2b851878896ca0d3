# shellcheck shell=sh
# Installs $PACKAGES (words) by apt. A fresh cloud image may hold the dpkg lock, have old lists, or meet a mirror in the
# middle of an update: wait, renew the lists, try again.
export DEBIAN_FRONTEND=noninteractive
missing=
for p in $PACKAGES; do
	# A version or release that was asked for (p=1.2, p/backports) is left to apt to judge.
	case $p in
	*[=/]*) missing="$missing $p" ;;
	*) dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing="$missing $p" ;;
	esac
done
if [ -z "$missing" ]; then
	echo "already installed: $PACKAGES"
	exit 0
fi
# A small tree has no manual pages, and no place for them; Java's packages link one there and end when they cannot.
mkdir -p /usr/share/man/man1
apt() {
	apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@"
}
# Lists younger than a day are good enough for a first try.
fresh=$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mtime -1 2>/dev/null | head -n 1)
[ -n "$fresh" ] || apt update || true
try=1
# shellcheck disable=SC2086 # a list of words
until apt install -y --no-install-recommends $missing; do
	if [ $try -ge 4 ]; then
		echo "apt-get could not install:$missing" >&2
		exit 1
	fi
	echo "try $try of 4 did not work; again in $((try * 3)) s with new lists" >&2
	sleep $((try * 3))
	dpkg --configure -a || true
	apt update || true
	try=$((try + 1))
done
