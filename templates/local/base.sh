# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# base.sh SUITE UIDS GIDS: makes the tree that boxes of one Debian release lie over, in ./tree, owned as root inside
# will see it. It is made in namespaces like a box's own, with everything it needs below the current directory, so
# that an interrupted one leaves nothing but this directory. As root it is started in a mount namespace of its own.
# stdout: progress and what goes wrong.
set -u
umask 022
# shellcheck disable=SC2034
suite=$1 uids=$2 gids=$3
rm -f go out
mkfifo go out || exit 1

# The settings of this machine for reaching its mirrors, and those mirrors themselves where they carry this release.
apt-config dump 2>/dev/null | grep -iE '^Acquire::((https?|ftp)::Proxy|Check-(Valid-Until|Date)) ' >apt.conf
# Descriptions in other languages are half of what `apt-get update` fetches.
printf '%s\n' 'Acquire::Retries "3";' 'Acquire::Languages "none";' >>apt.conf
main=http://deb.debian.org/debian/ security=http://deb.debian.org/debian-security/
# These are apt's variables.
# shellcheck disable=SC2016
targets=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null)
while read -r release component uri; do
	case $release/$component/$uri in
	"$suite/main/http"*/debian/) main=$uri ;;
	"$suite-security/main/http"*/debian-security/) security=$uri ;;
	esac
done <<END
$targets
END
cat >sources.list <<END
deb $main $suite main
deb $main $suite-updates main
deb $security $suite-security main
END

# /tmp for the same reason as in keeper.sh: everybody can reach it.
how=user
if [ "$(id -u)" = 0 ]; then
	how=root
	first=${uids#* }
	first=${first%% *}
	chown "$first:$first" . && mount --bind . /tmp || exit 1
fi

make=$(
	cat <<'END'
set -eu
[ "$1" = root ] || mount --bind . /tmp
cd /tmp
mkdir -m 1777 tmp
export TMPDIR=/tmp/tmp
# Who sits behind a proxy with a certificate authority of its own has told this machine so.
authorities=/usr/local/share/ca-certificates
hook=true
if ls $authorities/*.crt >/dev/null 2>&1; then
	hook="cp $authorities/*.crt \"\$1$authorities/\" && chroot \"\$1\" update-ca-certificates"
fi
mmdebstrap --mode=root --variant=minbase --format=directory --verbose --aptopt=/tmp/apt.conf \
	--include=openssh-server,sudo,python3,git,sqlite3,ca-certificates,iproute2,procps,diffutils \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*/LC_MESSAGES/*' --dpkgopt='path-exclude=/usr/share/info/*' \
	--customize-hook="$hook" --skip=cleanup/apt/lists --skip=chroot/mount/sys "$2" /tmp/tree - <sources.list
# Nothing in a box is started by the packages it installs: there is no init to do it.
printf '#!/bin/sh\nexit 101\n' >tree/usr/sbin/policy-rc.d
chmod 755 tree/usr/sbin/policy-rc.d
# Each box gets its own of these.
rm -f tree/etc/ssh/ssh_host_*
: >tree/etc/machine-id
# Boxes are many and short: a power cut must not leave them a half-written tree for ever.
sync -f tree
END
)
exec 5</dev/null
ns_start env -i PATH="$PATH" LC_ALL=C.UTF-8 ${http_proxy:+"http_proxy=$http_proxy"} \
	${https_proxy:+"https_proxy=$https_proxy"} ${no_proxy:+"no_proxy=$no_proxy"} sh -c "$make" make "$how" "$suite" || exit 1
cat <&6
ns_wait || exit 1
rm -rf go out tmp
