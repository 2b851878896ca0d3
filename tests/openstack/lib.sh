# SPDX-License-Identifier: MIT
# Sourced by tests/openstack/run.sh and tests/bench/openstack.sh: which cloud, what is needed to reach it, the helpers on this
# machine (apt proxy, git daemon), and their end.
#
#   OS_CLOUD            test on this entry of clouds.yaml; else on the lab
#   OPENSTACK_LAB       the lab's directory (default ../shared/openstack-lab beside the source tree); OSLAB_STATE is where it keeps
#                       what it runs on. A lab that does not run is started, and ended again when the tests are over.
#   OPENSTACK_HOST      an address of this machine that the cloud's servers can reach (the lab: OSLAB_NET.1). Without: no apt
#                       proxy, and the sample project is sent along instead of being cloned.
#   OPENSTACK_IMAGE     default debian-12       OPENSTACK_USER  its login user, where the image does not tell
#   OPENSTACK_FLAVOR    default m1.small where there is one, else {vcpus: 1, ram: 1GiB}
#   OPENSTACK_BOX       more lines for `box:` of every recipe: "network: mine\nfloating_network: public"
# shellcheck shell=sh disable=SC2034,SC2154 # used or set by who sources it
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
python=/usr/bin/python3 # openstacksdk comes from Debian's package
LIFETIME=3600           # seconds; no helper lives longer, whatever happens to this script
children='' lab_started='' project=''

api() { timeout 300 $python "$top/tests/openstack/api.py" "$@"; }
as_admin() { (export OS_CLIENT_CONFIG_FILE="$lab_clouds" OS_CLOUD=oslab-admin && "$@"); }

lib_cleanup() {
	for pid in $children; do
		kill "$pid" 2>/dev/null || true
	done
	if [ -n "$project" ]; then
		as_admin api project-end "$project" || echo "the lab's project $project stays" >&2
	fi
	[ -z "$lab_started" ] || "$lab/down.sh" >/dev/null 2>&1 || true
}

# A child that is ended by pid at exit, and by itself in an hour.
helper() {
	timeout -k 5 $LIFETIME "$@" &
	children="$children $!"
}

# Debian packages, without letting them start services.
install_packages() {
	[ "$(id -u)" = 0 ] || return 1
	made=
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && made=1
	fi
	rc=0
	DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 install -y \
		--no-install-recommends "$@" >"$work/apt.log" 2>&1 || rc=$?
	[ -z "$made" ] || rm -f /usr/sbin/policy-rc.d
	return $rc
}

has_sdk() { $python -c 'import openstack.config' 2>/dev/null; }

# An own project in the lab: its counts and quotas are nobody else's, and its password occurs nowhere by chance.
use_lab() {
	lab=${OPENSTACK_LAB:-$top/../shared/openstack-lab}
	[ -x "$lab/up.sh" ] || skip "no OS_CLOUD, and no lab in $lab"
	[ "$(id -u)" = 0 ] || skip "no OS_CLOUD, and the lab in $lab needs root"
	OSLAB_STATE=${OSLAB_STATE:-${TMPDIR:-/tmp}/openstack-lab}
	export OSLAB_STATE
	lab_clouds=$OSLAB_STATE/clouds.yaml
	if ! { [ -e "$lab_clouds" ] && has_sdk && as_admin api names flavors; } >/dev/null 2>&1; then
		echo "starting the lab in $OSLAB_STATE (the first time: about 8 minutes)"
		# In its own environment: up.sh sets HOME, and wants no OS_*.
		timeout 2400 "$lab/up.sh" >"$work/lab.log" 2>&1 || skip "the lab does not start: $(tail -n 1 "$work/lab.log")"
		lab_started=1
	fi
	name=$1
	as_admin api project-new "$name" "$work/clouds.yaml" || skip "the lab does not answer"
	project=$name
	OS_CLIENT_CONFIG_FILE=$work/clouds.yaml OS_CLOUD=$name
	export OS_CLIENT_CONFIG_FILE OS_CLOUD
}

# use_cloud NAME: $OS_CLOUD is a cloud that answers; sets cloud, image, flavor, host, and what the cloud has to offer.
use_cloud() {
	if [ -n "${OS_CLOUD:-}" ]; then
		has_sdk || skip "python3-openstacksdk is missing: apt-get install python3-openstackclient"
	else
		use_lab "$1"
	fi
	cloud=$OS_CLOUD
	api names flavors >"$work/flavors" 2>"$work/err" || skip "$cloud: $(tail -n 1 "$work/err")"
	api names images >"$work/images" 2>"$work/err" || skip "$cloud: $(tail -n 1 "$work/err")"
	image=${OPENSTACK_IMAGE:-debian-12}
	# By name in the lab, whose levers are as small as its small flavors.
	flavor=${OPENSTACK_FLAVOR:-$(grep -x m1.small "$work/flavors" || echo '{vcpus: 1, ram: 1GiB}')}
	lab_host=${OSLAB_NET:-10.131.57}.1
	host=${OPENSTACK_HOST:-$(ip -4 -o addr show 2>/dev/null | grep -qwF "inet $lab_host" && grep -qx m1.nossh "$work/flavors" &&
		echo "$lab_host")} || true
}

has_flavor() { grep -qxF "$1" "$work/flavors"; }
has_image() { grep -qxF "$1" "$work/images"; }

# A port of $host that nobody listens on. Below 32768: apt-cacher-ng takes the others for negative numbers.
free_port() {
	$python -c 'import random, socket, sys
while True:
	try:
		port = random.randrange(20000, 30000)
		socket.socket().bind((sys.argv[1], port))
		break
	except OSError as e:
		if e.errno != 98:
			raise
print(port)' "$host"
}

answers() { # PORT
	i=0
	until $python -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)' "$host" "$1" 2>/dev/null; do
		i=$((i + 1))
		[ $i -lt 50 ] || return 1
		sleep 0.2
	done
}

# apt-cacher-ng in the foreground, all its own: the packages come over the network once, not once a box.
start_proxy() {
	command -v apt-cacher-ng >/dev/null || install_packages apt-cacher-ng || skip "apt-cacher-ng: $(tail -n 1 "$work/apt.log")"
	mkdir -p "$work/proxy/conf" "$work/proxy/cache" "$work/proxy/log"
	printf 'SupportDir: /usr/lib/apt-cacher-ng\n' >"$work/proxy/conf/acng.conf"
	port=$(free_port)
	helper apt-cacher-ng -c "$work/proxy/conf" ForeGround=1 "Port=$port" "BindAddress=$host" "CacheDir=$work/proxy/cache" \
		"LogDir=$work/proxy/log" >"$work/proxy/out" 2>&1
	answers "$port" || skip "apt-cacher-ng does not answer: $(tail -n 1 "$work/proxy/out")"
	proxy=http://$host:$port
}

# git://…/sample.git: the sample project, in one commit.
start_git() {
	cp -R "$top/templates/sample" "$work/sample"
	(
		cd "$work/sample"
		git -c init.defaultBranch=main init -q .
		git add -A
		git -c user.name=test -c user.email=test@example.invalid commit -qm 'The sample project'
		git clone -q --bare . "$work/git/sample.git"
	) || skip "git does not work here"
	port=$(free_port)
	# The program itself, not `git daemon`: what is killed is then what listens.
	helper "$(git --exec-path)/git-daemon" --reuseaddr --listen="$host" --port="$port" --base-path="$work/git" --export-all \
		"$work/git" >"$work/git.out" 2>&1
	answers "$port" || skip "git daemon does not answer: $(tail -n 1 "$work/git.out")"
	git_url=git://$host:$port/sample.git
}

# The lines of `box:` that all recipes share; $1: flavor, $2: image.
box_lines() {
	echo "  cloud: $cloud"
	echo "  image: ${2:-$image}"
	echo "  flavor: ${1:-$flavor}"
	[ -z "${proxy:-}" ] || echo "  proxy: $proxy"
	[ -z "${OPENSTACK_USER:-}" ] || echo "  user: $OPENSTACK_USER"
	[ -z "${OPENSTACK_BOX:-}" ] || printf '%b\n' "$OPENSTACK_BOX" | sed 's/^/  /'
}
