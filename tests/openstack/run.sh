#!/bin/sh
# SPDX-License-Identifier: MIT
# make test-openstack: the main job on a real OpenStack, the lab's or yours (tests/openstack/lib.sh tells how to choose).
#   run.sh BUILD [PATTERN]        PATTERN (of grep -E): only these checks
# One line a check; after each, the API is asked whether everything is as it was before. Exit 77: nothing was tested.
# shellcheck disable=SC2034,SC2119,SC2120,SC2154 # variables of lib.sh; functions with arguments that may be absent
set -u
: "${1:?run.sh BUILD [PATTERN]}"
STEPBOX=$(cd "$1" && pwd)/stepbox
only=${2:-.}
passed=0 failed=0 skipped=0
work=$(mktemp -d "${TMPDIR:-/tmp}/stepbox-openstack.XXXXXX")
sampler=
skip() {
	echo "0 passed, 0 failed, 1 skipped: $*"
	exit 77
}
. "$(dirname "$0")/lib.sh"
# Every stepbox of this test: they have its store in their environment.
ours() {
	for e in $(grep -lsaF "XDG_STATE_HOME=$work/" /proc/[0-9]*/environ); do
		[ "$(cat "${e%/environ}/comm" 2>/dev/null)" != stepbox ] || basename "${e%/environ}"
	done
}
finish() {
	[ -z "$sampler" ] || kill "$sampler" 2>/dev/null
	# Only after a stop of this script: they tear down what they have.
	for pid in $(ours); do kill "$pid"; done
	tries=0
	while [ -n "$(ours)" ] && [ $tries -lt 90 ]; do
		tries=$((tries + 1))
		sleep 1
	done
	if [ -d "$XDG_STATE_HOME/stepbox" ]; then
		timeout 300 "$STEPBOX" down --all >/dev/null 2>&1
	fi
	[ -z "${cloud:-}" ] || [ -n "$project" ] || api purge "$tag" >/dev/null 2>&1
	lib_cleanup
	if [ -n "${OPENSTACK_KEEP_LOGS:-}" ]; then echo "logs: $work" >&2; else rm -rf "$work"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM HUP
tag=st$$ # in every name, so that nothing else is ever touched
XDG_CACHE_HOME=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache} XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config
export XDG_CACHE_HOME XDG_STATE_HOME XDG_CONFIG_HOME
STEPBOX_OWNER=$tag
export STEPBOX_OWNER
[ -x "$STEPBOX" ] || skip "no $STEPBOX: make all"

# -- checks and what they are made of ------------------------------------------------------------------------------------

die() {
	echo "$*" >&2
	exit 1
}

# check NAME FUNCTION ARGUMENT…: in a directory of its own; output is shown when it did not pass.
check() {
	title=$1
	shift
	echo "$title" | grep -qE -- "$only" || return 0
	n=$((passed + failed + 1))
	mkdir "$work/$n"
	begin=$(date +%s)
	# In the background, because `set -e` means nothing on the left of && or in an `if`.
	(
		trap - EXIT INT TERM HUP
		set -e
		cd "$work/$n"
		"$@"
		nothing_left
	) >"$work/$n/log" 2>&1 &
	rc=0
	wait $! || rc=$?
	took=$(($(date +%s) - begin))
	if [ $rc = 0 ]; then
		passed=$((passed + 1))
		echo "ok    $title ($took s)"
		return 0
	fi
	failed=$((failed + 1))
	echo "FAIL  $title ($took s)"
	tail -n 40 "$work/$n/log" | sed 's/^/      /'
	# The next one begins with nothing.
	timeout 300 "$STEPBOX" down --all >/dev/null 2>&1
	"$STEPBOX" gc >/dev/null 2>&1
	api purge "$tag" >/dev/null 2>&1
}

not_here() { # NAME WHY
	echo "$1" | grep -qE -- "$only" || return 0
	skipped=$((skipped + 1))
	echo "skip  $1: $2"
}

nothing_left() {
	[ -z "$("$STEPBOX" ls --boxes)" ] || die "left in the ledger: $("$STEPBOX" ls --boxes)"
	[ ! -d "$XDG_STATE_HOME/stepbox/keys" ] || [ -z "$(ls "$XDG_STATE_HOME/stepbox/keys")" ] || die "keys are left"
	api left "$work/before.json" || die "left in the cloud"
}

# bare [FLAVOR [IMAGE [LINES OF box:]]]: a box, and nothing on it.
bare() {
	{
		echo "name: $tag"
		echo box:
		box_lines "${1:-}" "${2:-}"
		[ -z "${3:-}" ] || printf '%b\n' "$3" | sed 's/^/  /'
		echo '  ttl: 20m'
	} >stepbox.yaml
}
# The same with the sample project.
recipe() {
	bare "$@"
	{
		if [ -n "${git_url:-}" ]; then
			echo "packages: [git, sqlite3]"
			echo "source: {git: '$git_url'}"
		else
			echo "packages: [sqlite3]"
			echo "source: {path: '$top/templates/sample'}"
		fi
		sed -n '/^database:/,$p' "$top/templates/sample/stepbox.yaml"
	} >>stepbox.yaml
}

# A project of 30 migrations that take 0.4 s each, sent along; ./plain has the dumps of the same walk by hand.
slow_project() {
	recipe
	mkdir -p project/migrations plain
	i=1
	while [ $i -le 30 ]; do
		v=$(printf '%03d_step' $i)
		echo "CREATE TABLE t$i (id INTEGER PRIMARY KEY, v TEXT);" >"project/migrations/$v.sql"
		sqlite3 -bail plain.db <"project/migrations/$v.sql"
		sqlite3 plain.db "SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name" >"plain/$v.sql"
		i=$((i + 1))
	done
	{
		sed '/^source:/,$d' stepbox.yaml
		cat <<-'EOF'
			source: {path: project}
			database: sqlite
			migrations:
			  tool: plain-sql
			  directory: migrations
			  up: |
			    sleep 0.4
			    sqlite3 -bail ${database.file} <migrations/"$VERSION".sql
			    echo "$VERSION" >>"$STATE/applied"
		EOF
	} >new.yaml
	mv new.yaml stepbox.yaml
}

field() { $python -c 'import json, sys; print(json.loads(sys.stdin.readlines()[-1])[sys.argv[1]])' "$1"; }

# dumps RUN DIRECTORY: what `stepbox schema` gives for each step of the run.
dumps() {
	mkdir -p "$2"
	for v in $(versions); do
		"$STEPBOX" schema "$1:$v" >"$2/$v.sql" || die "$1:$v has no dump"
	done
}
versions() {
	for f in "$top"/templates/sample/migrations/*.up.sql; do basename "$f" .up.sql; done
}

# same_dumps RUN DIRECTORY
same_dumps() {
	count=0
	for f in "$2"/*.sql; do
		"$STEPBOX" schema "$1:$(basename "$f" .sql)" | cmp - "$f" || die "$1: the dump of $(basename "$f" .sql) is another one"
		count=$((count + 1))
	done
	[ $count -gt 0 ] || die "nothing compared"
}

# stepbox ARGUMENT…: stdout to ./out, stderr to ./err (both shown with a failed check), exit code to $code.
stepbox() {
	code=0
	timeout 420 "$STEPBOX" "$@" >out 2>err || code=$?
	echo "\$ stepbox $* → $code"
	cat out err
}
well() {
	stepbox "$@"
	[ $code = 0 ] || die "stepbox $*: exit $code"
}

box_name() { "$STEPBOX" ls --boxes --json | field box; }
run_name() {
	"$STEPBOX" ls --json | $python -c 'import json, sys
print(next(o["run"] for o in map(json.loads, sys.stdin) if "status" in o))'
}

# begin ARGUMENT…: stepbox in the background as $pid; until_* wait for it to get somewhere.
begin() {
	rm -f out err
	"$STEPBOX" "$@" >out 2>err &
	pid=$!
}
until_steps() {
	tries=0
	until [ "$(grep -c ' applied' out 2>/dev/null)" -ge "$1" ] 2>/dev/null; do
		kill -0 $pid 2>/dev/null || die "ended before step $1: $(cat out err)"
		tries=$((tries + 1))
		[ $tries -lt 1500 ] || die "no step $1 in 150 s: $(cat out err)"
		sleep 0.1
	done
}
ended() { # sets code
	code=0
	wait $pid || code=$?
	cat out err
}

# -- the checks ------------------------------------------------------------------------------------------------------------

doctor() {
	well doctor --cloud "$cloud"
}

reference() {
	recipe
	well run --set box.cloud=local
	"$STEPBOX" schema last >/dev/null
	dumps "$(run_name)" "$work/reference"
}

main_job() { # ARGUMENT… of recipe
	[ -d "$work/reference" ] || die "there is no reference"
	recipe "$@"
	well run --json
	[ "$(field status <out)" = ok ] || die "status $(field status <out)"
	same_dumps "$(field run <out)" "$work/reference"
}

app_credential() {
	cloud=$cloud-appcred
	main_job
}

# As root, and two boxes at a time, one of them by the metadata service instead of a config drive.
root_login() {
	recipe '' debian-12-root 'user: root'
	well up
	box=$(box_name)
	[ "$("$STEPBOX" ssh "$box" -- id -un)" = root ] || die "not root"
	well step "$box" --to 003
	same=$("$STEPBOX" schema last:003_seed_trial_data) && [ "$same" = "$(cat "$work/reference/003_seed_trial_data.sql")" ] || die "another dump"
	well down "$box"
}

two_at_once() {
	recipe
	well run --json --vary box.config_drive=true,false
	for r in $("$STEPBOX" ls --json | $python -c 'import json, sys
print(*[o["run"] for o in map(json.loads, sys.stdin) if o.get("variant", "").startswith("box.config_drive=")])'); do
		same_dumps "$r" "$work/reference"
		r_done="${r_done:-}x"
	done
	[ "${r_done:-}" = xx ] || die "not two runs"
}

# up, step, ssh, ls, extend, gc, down; the box was to end after two minutes, and gets two hours.
staying() {
	recipe
	ttl=120
	well up --set box.ttl=${ttl}s
	up_at=$(date +%s)
	box=$(box_name)
	api server "$box" >server.json
	$python - "$box" "$tag" <<-'EOF'
		import json, sys
		s = json.load(open('server.json'))
		m = s['metadata']
		assert s['name'] == 'stepbox-' + sys.argv[1], s['name']
		assert m['stepbox-owner'] == sys.argv[2], m
		assert all(m[k] for k in ('stepbox-run', 'stepbox-expires', 'stepbox-store')), m
		assert not s.get('key_name'), 'a keypair object'
	EOF
	well extend "$box" 2h
	well step "$box" --to 005
	well step "$box" --to +2
	"$STEPBOX" schema last:007_unique_customer_email | cmp - "$work/reference/007_unique_customer_email.sql" || die "another dump"
	well step "$box" --to -1
	# The host key that was injected is the only one, and the very one that answers.
	address=$("$STEPBOX" ls --boxes --json | field address)
	ssh-keyscan -T 5 "$address" 2>/dev/null | cut -d' ' -f2,3 | sort >scanned
	"$STEPBOX" ssh-config "$box" >config
	known=$(sed -n 's/^[[:space:]]*UserKnownHostsFile *//p' config | tr -d '"')
	cut -d' ' -f2,3 "$known" >known
	grep -qxFf scanned known || die "another host key than the pinned one: $(cat scanned known)"
	[ "$(wc -l <scanned)" = 1 ] || die "more than one host key: $(cat scanned)"
	[ "$("$STEPBOX" ssh "$box" -- 'sudo -n id -un')" = root ] || die "no sudo"
	# What the box can read about itself has no secret of the account.
	"$STEPBOX" ssh "$box" -- 'sudo cat /var/lib/cloud/instance/user-data.txt' >user-data
	[ -s user-data ] || die "no user-data"
	if grep -qFf "$work/secrets" user-data; then die "a secret of the account is in the user-data"; fi
	well ls --cloud "$cloud"
	grep -q "$box" out || die "ls --cloud does not list it"
	well gc --dry-run
	other_store ls --cloud "$cloud"
	grep -q "$box" out || die "ls --cloud of another store does not list it"
	other_store gc --cloud "$cloud"
	other_store gc --cloud "$cloud" --owner "nobody-$tag"
	api wait "$box" ACTIVE 1 || die "gc of another store has touched a box that has not expired"
	api server "$box" | $python -c 'import calendar, json, sys, time
left = calendar.timegm(time.strptime(json.load(sys.stdin)["metadata"]["stepbox-expires"], "%Y-%m-%dT%H:%M:%SZ")) - time.time()
assert 6300 < left < 7300, left' || die "extend did not reach the metadata"
	while [ $(($(date +%s) - up_at)) -lt $((ttl + 5)) ]; do sleep 1; done
	[ "$("$STEPBOX" ssh "$box" -- 'echo here')" = here ] || die "the box ended itself in spite of extend"
	well down "$box"
	grep -q gone out || die "down does not say gone"
}

# The same command with a store that has never seen the box: another machine of the same user.
other_store() {
	XDG_STATE_HOME=$PWD/other timeout 300 "$STEPBOX" "$@" >out 2>err || die "another store: stepbox $*: exit $?: $(cat out err)"
	cat out err
}

# Nobody comes back: the box powers itself off, and gc from another machine finds it by its metadata.
expiry() {
	bare
	well up --set box.ttl=60s
	box=$(box_name)
	api wait "$box" SHUTOFF 90 || die "the box did not power itself off"
	other_store gc --cloud "$cloud" --expired --dry-run
	api wait "$box" SHUTOFF 1 || die "--dry-run did something"
	other_store gc --cloud "$cloud" --owner "$tag" --expired
	api wait "$box" GONE 1 || die "gc of another store did not end it"
	well gc
}

# A stop at moments of the boot and of the walk: signal(s), expected exit code, then what is to be typed.
interrupted_build() { # FLAVOR
	recipe "$1"
	begin run
	api wait "$tag" BUILD 60
	sleep 1
	kill -INT $pid
	ended
	[ $code = 130 ] || die "exit $code"
}
interrupted_twice() { # FLAVOR
	recipe "$1"
	begin run
	api wait "$tag" BUILD 60
	kill -INT $pid
	sleep 0.3
	kill -TERM $pid
	ended
	[ $code = 4 ] || die "exit $code"
	grep -q 'stepbox gc' err || die "does not say what to type"
	well gc
}
interrupted_walk() {
	slow_project
	begin run
	until_steps 3
	kill -INT $pid
	ended
	[ $code = 130 ] || die "exit $code"
}
killed_build() { # FLAVOR
	recipe "$1"
	begin run
	api wait "$tag" BUILD 60
	kill -9 $pid
	ended
	well gc
}
# Before there is anything to see: the moments around the requests.
killed_early() {
	recipe
	for wait in 0.2 0.5 1 1.5 2 3 4 6; do
		begin run
		sleep $wait
		kill -9 $pid 2>/dev/null || true
		ended
		well gc
		nothing_left
	done
}
killed_walk() {
	slow_project
	begin run
	until_steps 3
	kill -9 $pid
	ended
	well gc
}
killed_attached() {
	slow_project
	begin run
	until_steps 3
	kill -9 $pid
	ended
	run=$(run_name)
	well attach "$run"
	same_dumps "$run" plain
}

# lever SECONDS PATTERN ARGUMENT… of recipe: exit 3 within that time, and the words of the cloud.
lever() {
	limit=$1 pattern=$2
	shift 2
	recipe "$@"
	at=$(date +%s)
	stepbox run
	took=$(($(date +%s) - at))
	[ $code = 3 ] || die "exit $code"
	grep ' error: ' err >said || die "no error is told"
	grep -qiE "$pattern" said || die "does not say /$pattern/"
	[ "$(wc -l <said)" = 1 ] || die "said more than once"
	[ $took -le "$limit" ] || die "$took s, not $limit"
	echo "after $took s"
}
# With the request id, which the cloud's people ask for.
fault() {
	lever "$@"
	grep -qE 'req-[0-9a-f]{8}-[0-9a-f-]{27}' said || die "no request id"
}
# An end that the console explains.
silent() {
	lever "$@"
	grep -qE 'systemd|cloud-init|Reached target|reboot|login:|Finished' err || die "the console's last lines are not shown"
}

# A password, a token, a private key: in no output, no store, no log, however talkative.
no_secrets() {
	recipe
	code=0
	timeout 420 "$STEPBOX" run -v --debug >out 2>err || code=$?
	[ $code = 0 ] || die "exit $code: $(tail -n 20 err)"
	found=$(grep -rlaFf "$work/secrets" "$work" --exclude=secrets --exclude=clouds.yaml --exclude-dir=proxy) && die "a secret is in: $found"
	found=$(grep -rlaE 'gAAAA[A-Za-z0-9_-]{60}|BEGIN OPENSSH PRIVATE' "$work" --exclude=user-data --exclude-dir=proxy) && die "a token or key is in: $found"
	[ ! -s "$work/seen" ] || die "in argv or environment: $(sort "$work/seen" | uniq -c)"
}

# -- all of them -----------------------------------------------------------------------------------------------------------

use_cloud "$tag"
api count >"$work/before.json" || skip "$cloud: cannot count"
umask 077
{
	api secrets
	[ -z "$project" ] || (export OS_CLOUD="$cloud-appcred" && api secrets)
} >"$work/secrets"
umask 022
proxy='' git_url=''
if [ -n "$host" ]; then
	start_proxy
	start_git
fi
# Whoever passes by can read argv; a child's environment is nobody's business either.
if [ -n "$project" ]; then
	while sleep 0.2; do
		grep -lsaFf "$work/secrets" /proc/[0-9]*/cmdline /proc/[0-9]*/environ >>"$work/seen"
	done &
	sampler=$!
fi

check "doctor --cloud" doctor
check "the sample project on a local box, to compare with" reference
check "run: boot, install, clone, walk, dumps as on a local box" main_job
check "two boxes at once, with and without a config drive" two_at_once
check "the smallest flavor that fits a requirement" main_job '{vcpus: 1, ram: 1GiB}'
if [ -n "$project" ] || [ -n "${OPENSTACK_APPCRED:-}" ]; then
	check "an application credential" app_credential
else
	not_here "an application credential" "set OPENSTACK_APPCRED=1 when $cloud-appcred is in clouds.yaml"
fi
if has_image debian-12-root; then
	check "root login" root_login
else
	not_here "root login" "no image debian-12-root"
fi
check "up, step, ssh, ls, extend, gc, down" staying
check "a box powers itself off; gc of another machine ends it" expiry
if has_flavor m1.slow; then
	check "Ctrl-C while it builds" interrupted_build m1.slow
	check "Ctrl-C twice while it builds, then gc" interrupted_twice m1.slow
	check "kill -9 while it builds, then gc" killed_build m1.slow
	check "a slow build" main_job m1.slow
else
	not_here "stops while it builds" "no flavor m1.slow"
fi
check "kill -9 at moments around the first requests, then gc" killed_early
check "Ctrl-C in the walk" interrupted_walk
check "kill -9 in the walk, then gc" killed_walk
check "kill -9 in the walk, then attach" killed_attached
if has_flavor m1.nossh; then
	if [ -n "$project" ]; then
		check "more than the quota" lever 30 'quota.*64' m1.huge
		as_admin api quota "$project"
	fi
	check "no valid host" fault 60 'no valid host' m1.huge
	check "the build is aborted" fault 90 'aborted' m1.abort
	check "all hosts have been tried" fault 90 'exhausted all hosts|exceeded maximum number of retries' m1.retry
	check "all hosts have been tried, with a network" fault 90 'exhausted all hosts|exceeded maximum number of retries' m1.partial
	check "an image that is none" fault 90 'unacceptable|aborted' '' not-an-image
	check "no sshd: ends by box.connect_timeout" silent 90 'ssh|port|connect' m1.nossh '' 'connect_timeout: 20s'
	check "a server that powers itself off is told at once" silent 60 'SHUTOFF' m1.dead
else
	not_here "faults" "no lever flavors"
fi
check "no secret in any output, store or argument" no_secrets
check "everything is as it was before" nothing_left
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
