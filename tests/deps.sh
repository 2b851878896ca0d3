#!/bin/sh
# Installs the Debian packages that are missing for: build, run (the local cloud), test, lint, fuzz. Says what it does;
# does nothing, silently, when all are there.
set -eu
want=
for what; do
	case $what in
	build) want="$want build-essential pkg-config libfyaml-dev libcurl4-openssl-dev libssh2-1-dev libjansson-dev libsqlite3-dev libzstd-dev zlib1g-dev libssl-dev" ;;
	run) want="$want util-linux mmdebstrap debian-archive-keyring uidmap git tar diffutils openssh-client ca-certificates" ;;
	test)
		want="$want libcmocka-dev openssh-server sqlite3 procps git python3 python3-yaml python3-jsonschema curl openssl strace dash bash mawk"
		# Projects of the tools that live there are installed by it; whose it is does not matter.
		command -v npm >/dev/null || want="$want npm"
		;;
	lint) want="$want clang-format clang-tidy cppcheck shellcheck" ;;
	fuzz) want="$want clang libclang-rt-14-dev" ;;
	bench) want="$want openssh-client openssh-server iproute2 time python3 podman runc" ;;
	*) echo "deps.sh: $what: no such set" >&2; exit 2 ;;
	esac
done
missing=
for p in $want; do
	dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
as=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || { echo "missing packages, and no sudo: as root: apt-get install -y$missing" >&2; exit 1; }
	as=sudo
fi
echo "installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
	# shellcheck disable=SC2086 # lists of words
	$as env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
		install -y --no-install-recommends $missing >"$log" 2>&1
}
# Old or absent lists are the usual reason why a first try does not work.
install || { $as apt-get -q -o Acquire::Retries=3 update >>"$log" 2>&1 && install; } || { cat "$log" >&2; exit 1; }
