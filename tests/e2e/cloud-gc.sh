#!/bin/sh
# Leaks of killed processes, of other stores and other owners: what is ours goes, what is not ours stays, and an empty filter
# ends nothing.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/fake.sh
. "$OLDPWD/tests/e2e/lib/fake.sh"
needs_boxes
make_project 2
cloud_recipe r.yaml
start_fake floating
home=$XDG_STATE_HOME
servers() { fake_state 'len(s["servers"])'; }

# Killed with a box: the ledger knows.
"$STEPBOX" up r.yaml >out 2>&1 || die "up: $(cat out)"
box=$("$STEPBOX" ls --boxes --json | sed -n 's/.*"box": *"\([^"]*\)".*/\1/p')
"$STEPBOX" gc >out 2>&1 || die "gc: $(cat out)"
[ "$(servers)" = 1 ] || die "gc ended a kept box: $(cat out)"
"$STEPBOX" ls --cloud fake >out || die "ls --cloud: $(cat out)"
grep -q "$box.*ACTIVE.*known" out || die "ls --cloud: $(cat out)"

# The same account, another machine: its boxes are its own until they expire.
XDG_STATE_HOME=$work/other
export XDG_STATE_HOME
"$STEPBOX" gc --cloud fake >out 2>&1 || die "gc of another store: $(cat out)"
[ "$(servers)" = 1 ] || die "another store's gc ended a living box: $(cat out)"
"$STEPBOX" ls --cloud fake | grep -q "$box.*ACTIVE" || die "another store does not see it"
"$STEPBOX" gc --cloud fake --owner '' >out 2>&1 && die "an empty owner: $(cat out)"
"$STEPBOX" gc --cloud '' >out 2>&1 && die "an empty cloud: $(cat out)"
"$STEPBOX" gc --cloud fake --owner nobody-of-that-name >out 2>&1 || die "gc --owner: $(cat out)"
[ "$(servers)" = 1 ] || die "a filter that matches nothing ended something: $(cat out)"
"$STEPBOX" gc --cloud fake --owner "$(id -un)" --expired >out 2>&1 || die "gc --owner --expired: $(cat out)"
[ "$(servers)" = 1 ] || die "nothing had expired: $(cat out)"
"$STEPBOX" gc --cloud fake --owner "$(id -un)" --dry-run >out 2>&1 || die "gc --dry-run: $(cat out)"
[ "$(servers)" = 1 ] && grep -q "server stepbox-$box: would be ended" out || die "--dry-run: $(cat out)"
"$STEPBOX" gc --cloud fake --owner "$(id -un)" >out 2>&1 || die "gc --owner: $(cat out)"
cloud_empty owner

# Its first store notices that the box is gone, and clears its row away.
XDG_STATE_HOME=$home
export XDG_STATE_HOME
"$STEPBOX" gc >out 2>&1 || die "gc: $(cat out)"
nothing_left

# Expired, of another machine (ours was lost with its disk): found by the listing alone.
XDG_STATE_HOME=$work/lost "$STEPBOX" up r.yaml --set box.ttl=2s >out 2>&1 || die "up: $(cat out)"
rm -rf "$work/lost"
sleep 2
"$STEPBOX" gc --cloud fake >out 2>&1 || die "gc: $(cat out)"
grep -q 'expired' out || die "gc does not say why: $(cat out)"
cloud_empty expired

# A stranger's server with a name like ours is nobody's business.
token=$(curl -si -X POST -d '{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"demo","domain":{"name":"Default"},"password":"demopw"}}},"scope":{"project":{"name":"demo","domain":{"name":"Default"}}}}}' \
	-H 'Content-Type: application/json' "$fake_url/identity/v3/auth/tokens" | tr -d '\r' | sed -n 's/^[Xx]-[Ss]ubject-[Tt]oken: //p')
image=$(curl -s -H "X-Auth-Token: $token" "$fake_url/image/v2/images" | python3 -c 'import json,sys; print([i["id"] for i in json.load(sys.stdin)["images"] if i["name"] == "debian-12"][0])')
flavor=$(curl -s -H "X-Auth-Token: $token" "$fake_url/compute/v2.1/flavors" | python3 -c 'import json,sys; print(json.load(sys.stdin)["flavors"][0]["id"])')
network=$(curl -s -H "X-Auth-Token: $token" "$fake_url/network/v2.0/networks" | python3 -c 'import json,sys
print([n["id"] for n in json.load(sys.stdin)["networks"] if not n["router:external"]][0])')
curl -s -X POST -H "X-Auth-Token: $token" -H "Content-Type: application/json" "$fake_url/compute/v2.1/servers" \
	-d "{\"server\":{\"name\":\"stepbox-theirs\",\"flavorRef\":\"$flavor\",\"imageRef\":\"$image\",\"networks\":[{\"uuid\":\"$network\"}],\"metadata\":{\"stepbox-expires\":\"2001-01-01T00:00:00Z\"}}}" >out; grep -q adminPass out || die "a stranger cannot boot: $(cat out)"
"$STEPBOX" gc --cloud fake >out 2>&1 || die "gc: $(cat out)"
[ "$(servers)" = 1 ] || die "a stranger's server was ended: $(cat out)"

# clouds.yaml may not turn another account's 404 into "gone".
start_fake plain
"$STEPBOX" up r.yaml >out 2>&1 || die "up: $(cat out)"
cp "$work/fake/clouds.yaml" mine.yaml
sed 's/project_name: demo/project_name: other/' mine.yaml >"$work/fake/clouds.yaml"
box=$("$STEPBOX" ls --boxes --json | sed -n 's/.*"box": *"\([^"]*\)".*/\1/p')
rc=0
"$STEPBOX" down "$box" >out 2>&1 || rc=$?
[ $rc = 4 ] || die "down in another account: exit $rc: $(cat out)"
cp mine.yaml "$work/fake/clouds.yaml"
"$STEPBOX" gc >out 2>&1 || die "gc: $(cat out)"
nothing_left
cloud_empty account

# Extended: what another machine reads in the marks of its address and group is older than the box's new expiry.
start_fake floating
"$STEPBOX" up r.yaml --set box.ttl=10s >out 2>&1 || die "up: $(cat out)"
box=$("$STEPBOX" ls --boxes --json | sed -n 's/.*"box": *"\([^"]*\)".*/\1/p')
"$STEPBOX" extend "$box" 1h >out 2>&1 || die "extend: $(cat out)"
sleep 10
XDG_STATE_HOME=$work/other "$STEPBOX" gc --cloud fake >out 2>&1 || die "gc of another store: $(cat out)"
[ "$(fake_state 's["counts"]["servers"], s["counts"]["floatingips"], s["counts"]["groups"]')" = '1 1 1' ] || die "an extended box lost something: $(cat out)"
"$STEPBOX" down "$box" >/dev/null
cloud_empty extended

# A cloud that cannot be looked at is not an empty one.
rc=0
OS_CLIENT_CONFIG_FILE=$work/none.yaml "$STEPBOX" gc >out 2>&1 || rc=$?
[ $rc = 4 ] || die "gc without clouds.yaml: exit $rc: $(cat out)"
nothing_left
