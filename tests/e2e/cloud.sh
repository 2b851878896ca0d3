#!/bin/sh
# The whole way over the OpenStack API to a real login, on every kind of fake cloud: the same dumps as a plain loop, and
# nothing left.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/fake.sh
. "$OLDPWD/tests/e2e/lib/fake.sh"
needs_boxes
make_project 5
plain_loop

walk() { # NAME [ARGUMENT…]
	name=$1
	shift
	"$STEPBOX" run r.yaml "$@" >out 2>err || die "$name: exit $?: $(cat out err)"
	same_as_plain "$(last_run)"
	nothing_left
	cloud_empty "$name"
	echo "$name: ok"
}

cloud_recipe r.yaml
start_fake plain
walk plain
walk appcred --set box.cloud=fake-appcred
walk flavor --set box.flavor=m1.small --set box.image='debian*'
start_fake floating
walk floating
start_fake no-image-disk
walk volume
start_fake old-nova
walk old-nova
start_fake no-port-security
walk no-port-security
start_fake multi-network
"$STEPBOX" run r.yaml >out 2>err && die "several networks, and none was named"
grep -q 'box.network.*alpha.*beta' err || die "the networks are not named: $(cat err)"
cloud_empty multi-network
walk network --set box.network=alpha
start_fake rackspace
walk rackspace --set box.cloud=rax
walk rackspace-v2password --set box.cloud=rax-v2password
