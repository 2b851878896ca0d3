# Sourced behind common.sh by scripts that run stepbox against the fake cloud (tests/fake/cloud.py), whose servers are local
# boxes.
# shellcheck shell=sh disable=SC2154 # $work is common.sh's
fake_dir=$OLDPWD/tests/fake
[ -f "$fake_dir/lib.sh" ] || die "run from the top of the source tree"
# shellcheck source=../../fake/lib.sh
. "$fake_dir/lib.sh"
fake_needs
fake_pid='' fake_url=''
cleanup() {
	"$STEPBOX" down --all >/dev/null 2>&1 || true
	[ -z "$fake_pid" ] || fake_stop || true
	rm -rf "$work"
}

# start_fake PERSONALITY[,…] [OPTION…]: a fresh cloud; its clouds.yaml is ours.
start_fake() {
	[ -z "$fake_pid" ] || fake_stop || die "the fake cloud: $(cat "$work/fake/out")"
	personality=$1
	shift
	rm -rf "$work/fake"
	fake_start "$work/fake" --fakebox "$(fake_box)" --personality "$personality" "$@" || die "the fake cloud does not start"
	OS_CLIENT_CONFIG_FILE=$work/fake/clouds.yaml
	export OS_CLIENT_CONFIG_FILE
}

# The only rule from now on (tests/fake/fakecloud/script.py): fault JSON
fault() {
	fake_forget && fake_script "$1" || die "fake: $1"
}

# What of ours is in the cloud, in words; nothing when it is empty.
cloud_left() {
	fake_state '{k: n for k, n in s["counts"].items() if n} or ""'
}

# Nothing is, and the cloud has nothing to object to what we sent: cloud_empty SUBJECT
cloud_empty() {
	left=$(cloud_left)
	[ -z "$left" ] || die "$1: left in the cloud: $left"
	problems=$(fake_state 's["problems"] or ""')
	[ -z "$problems" ] || die "$1: the cloud objects: $problems"
}

# A recipe for ./project on it: cloud_recipe FILE [LINE-OF-BOX…]
cloud_recipe() {
	file=$1
	shift
	cat >"$file" <<-END
		name: cl
		box:
		  cloud: fake
		  image: debian-12
		  flavor: {vcpus: 1, ram: 256MiB}
		  user: root
		  port: 2222
		  ttl: 20m
	END
	for line; do echo "  $line" >>"$file"; done
	cat >>"$file" <<-END
		source: {path: project}
		migrations: {tool: plain-sql, directory: migrations}
	END
}

# The newest run's id.
last_run() {
	"$STEPBOX" ls --json | python3 -c 'import json, sys
print([o["run"] for o in map(json.loads, sys.stdin) if "status" in o][0])'
}
