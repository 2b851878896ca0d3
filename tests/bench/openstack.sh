#!/bin/bash
# SPDX-License-Identifier: MIT
# On an OpenStack (tests/openstack/lib.sh: OS_CLOUD, or the lab): from nothing to the first remote command, alternating
#   ours    stepbox up, whole process
#   script  openstack server create --wait, then ssh in a loop (key by keypair, host key by user-data; its group, key pair and
#           image id are made and known beforehand, ours makes and finds its own)
# and how much of that is our own: the time between "login possible" and our first command.
#   openstack.sh BUILD [ROUNDS]
# Aims: ours faster than the script; own part below 0.5 s. Exit 1 when one is missed, 77 when there is no cloud.
#
# How it is measured. "First remote command": ours, the moment the runner on the box wrote its pid file (by the box's clock,
# which is checked against ours); the script's, the end of `ssh … true`. "Ready": cloud-init is done, which is the first
# task of a stepbox plan, and `cloud-init status --wait` of the script. "Login possible": tests/openstack/watch.py beside
# each boot, in a tight loop (a connect every 10 to 110 ms, then ssh logins without a pause); it counts from the banner of the
# connection just before the login that succeeded, so the handshake is ours. The watcher runs beside both and costs both CPU.
set -u
build=$(realpath "$1") rounds=${2:-5}
skip() {
	echo "openstack: skipped: $*" >&2
	exit 77
}
work=$(mktemp -d)
tag=stb$$
export XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config STEPBOX_OWNER=$tag
group='' keypair=''
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../openstack/lib.sh"
finish() {
	[ ! -d "$XDG_STATE_HOME/stepbox" ] || "$build/stepbox" down --all >/dev/null 2>&1
	if [ -n "$group" ]; then
		api purge "$tag" >/dev/null 2>&1
		[ -z "$keypair" ] || openstack keypair delete "$tag" 2>/dev/null
		openstack security group delete "$group" 2>/dev/null
	fi
	lib_cleanup
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP
cd "$work" || exit 3
use_cloud "$tag"
command -v openstack >/dev/null || skip "no openstack: apt-get install python3-openstackclient"
# The database's package is installed after the moment that counts.
[ -z "$host" ] || start_proxy
user=${OPENSTACK_USER:-debian}
network=${OPENSTACK_NETWORK:-$(api names networks)}
[ "$(echo "$network" | wc -l)" = 1 ] || skip "which network? OPENSTACK_NETWORK"
{
	printf 'name: %s\nbox:\n' "$tag"
	box_lines
	echo '  ttl: 10m'
} >stepbox.yaml
case $flavor in
*'{'*) skip "the script needs a flavor's name: OPENSTACK_FLAVOR" ;;
esac
ssh-keygen -q -t ed25519 -N '' -f host
ssh-keygen -q -t ed25519 -N '' -f login
{
	printf '#cloud-config\nssh_keys:\n  ed25519_private: |\n'
	sed 's/^/    /' host
	printf '  ed25519_public: %s\nssh_pwauth: false\n' "$(cut -d' ' -f1,2 host.pub)"
} >user-data
group=$(openstack security group create -f value -c id "$tag") || skip "no security group"
openstack security group rule create --protocol tcp --dst-port 22 "$group" >/dev/null || skip "no rule"
openstack keypair create --public-key login.pub "$tag" >/dev/null && keypair=1 || skip "no keypair"
image_id=$(openstack image show -f value -c id "$image") || skip "no image $image"

now() { echo "${EPOCHREALTIME/,/.}"; }
minus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f\n", a - b }'; }
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { printf "%.2f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'; }
value() { $python -c 'import json, sys; print(json.load(open(sys.argv[1])).get(sys.argv[2], ""))' "$1" "$2"; }

# watch NAME KEY-GLOB: in the background, as $watcher, when it is logged in.
watch() {
	: >watch.err
	timeout 300 $python "$top/tests/openstack/watch.py" "^$1" "$2" "$user" 120 >times.json 2>watch.err &
	watcher=$!
	until grep -q ready watch.err; do
		kill -0 $watcher 2>/dev/null || return 1
		sleep 0.05
	done
}

ours() {
	local start first ready login box line
	watch "stepbox-$tag" "$XDG_STATE_HOME/stepbox/keys/*" || return 1
	start=$(now)
	ready=
	while read -r line; do
		case $line in *'"event":"task"'*) [ -n "$ready" ] || ready=$(now) ;; esac
	done < <(timeout 300 "$build/stepbox" up --json 2>err)
	wait $watcher
	box=$("$build/stepbox" ls --boxes --json | sed -n 's/.*"box": *"\([^"]*\)".*/\1/p')
	[ -n "$ready" ] && [ -n "$box" ] || { echo "   ours: $(tail -n 1 err)" >&2; return 1; }
	# The runner's directory is root's.
	first=$("$build/stepbox" ssh "$box" -- 'date +%s.%N; sudo -n sh -c "stat -c %.9Y ~root/.stepbox/*/pid"' 2>>err)
	off=$(minus "$(now)" "${first%%$'\n'*}")
	first=${first#*$'\n'}
	"$build/stepbox" down "$box" >/dev/null
	less "$off" 1.5 && less -1 "$off" || { echo "   the box's clock is off by $off s" >&2; return 1; }
	login=$(value times.json login)
	minus "$first" "$start" >>ours.first
	minus "$ready" "$start" >>ours.ready
	minus "$first" "$login" >>ours.own
	minus "$login" "$start" >>ours.login
}

script() {
	local start first ready login address
	watch "$tag-script" "$work/login" || return 1
	start=$(now)
	timeout 300 openstack server create --wait --image "$image_id" --flavor "$flavor" --network "$network" --security-group "$group" \
		--key-name "$tag" --user-data user-data --config-drive true -f json "$tag-script" >server.json 2>err || { tail -n 1 err >&2; return 1; }
	address=$($python -c 'import json; print(next(iter(json.load(open("server.json"))["addresses"].values()))[0])')
	echo "$address $(cut -d' ' -f1,2 host.pub)" >known
	set -- ssh -F none -i login -o IdentitiesOnly=yes -o UserKnownHostsFile=known -o StrictHostKeyChecking=yes -o BatchMode=yes \
		-o LogLevel=ERROR -o ConnectTimeout=2 "$user@$address"
	until "$@" true 2>/dev/null; do
		less "$(minus "$(now)" "$start")" 240 || { echo "   script: no login" >&2; return 1; }
		sleep 0.2
	done
	first=$(now)
	"$@" 'cloud-init status --wait' >/dev/null
	ready=$(now)
	wait $watcher
	login=$(value times.json login)
	minus "$first" "$start" >>script.first
	minus "$ready" "$start" >>script.ready
	minus "$first" "$login" >>script.own
	minus "$login" "$start" >>script.login
	openstack server delete --wait "$tag-script"
}

# What a first boot of an image costs (the host fetches it) is nobody's.
ours || script || skip "no box boots"
rm -f ours.* script.*
for ((i = 0; i < rounds; i++)); do
	ours || true
	script || true
done
[ -s ours.first ] && [ -s script.first ] || { echo "openstack: no figures"; exit 1; }
for what in first ready login own; do
	case $what in
	first) title='to the first remote command' ;;
	ready) title='to cloud-init done' ;;
	login) title='to "login possible"' ;;
	own) title='of it after "login possible"' ;;
	esac
	o=$(median ours.$what) s=$(median script.$what)
	printf '%-30s ours %6.2f s, script %6.2f s, %3.0f %%   (%s | %s)\n' "$title" "$o" "$s" "$(awk -v a="$o" -v b="$s" 'BEGIN { print 100 * a / b }')" \
		"$(tr '\n' ' ' <ours.$what)" "$(tr '\n' ' ' <script.$what)"
done
bad=0
less "$(median ours.first)" "$(median script.first)" || bad=1
less "$(median ours.own)" 0.5 || bad=1
exit $bad
