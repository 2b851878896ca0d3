#!/bin/sh
# Planted secrets are nowhere but where they belong: not in what is printed at any verbosity, not in arguments or environment
# of any process that is started, not in the store or any other file of ours, not on the box.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/fake.sh
. "$OLDPWD/tests/e2e/lib/fake.sh"
needs_boxes
command -v strace >/dev/null && strace -qq -o /dev/null true 2>/dev/null || { echo "strace may not trace here"; exit 77; }
make_project 2
cat >accounts.json <<'END'
{"password": "Planted-Passw0rd", "appcred_secret": "Planted-AppSecret", "rax_api_key": "PlantedApiKey00112233445566778899",
 "rax_password": "Planted-RaxPassw0rd"}
END
grep -o 'Planted[A-Za-z0-9-]*' accounts.json >planted

# Every line of the private keys that the cloud was given, and the tokens that it gave.
keys_of() {
	for id in $(fake_state '" ".join(x["id"] for x in s["servers"])'); do
		curl -s "$fake_url/fake/servers/$id/user_data"
	done | sed -n '/BEGIN OPENSSH/,/END OPENSSH/p' | sed 's/^ *//; /-----/d; /^b3BlbnNzaC1rZXkt/d' | grep -E '^[A-Za-z0-9+/=]{20,}$' >keys || true # the first line is in all keys
}
clean() { # SUBJECT FILE…
	subject=$1
	shift
	! grep -raF -f planted "$@" /dev/null || die "$subject: a secret"
	! grep -raE 'gAAAAA[A-Za-z0-9_-]{30}' "$@" /dev/null || die "$subject: a token"
	[ ! -s keys ] || ! grep -raF -f keys "$@" /dev/null || die "$subject: a private key"
}

for kind in fake fake-appcred rax; do
	case $kind in
	rax*) start_fake rackspace --accounts accounts.json ;;
	*) start_fake floating --accounts accounts.json ;;
	esac
	cloud_recipe r.yaml
	: >keys
	strace -f -qq -s 65535 -v -e trace=execve -o exec.trace "$STEPBOX" up r.yaml --set box.cloud=$kind --debug -v >out 2>err ||
		die "$kind: $(cat out err)"
	keys_of
	[ -s keys ] || die "$kind: no key in user-data"
	"$STEPBOX" step cl --to head --debug >>out 2>>err || die "$kind: step: $(cat out err)"
	"$STEPBOX" ls --json >>out 2>>err
	"$STEPBOX" show --json >>out 2>>err
	"$STEPBOX" ls --cloud $kind --debug >>out 2>>err
	grep -q '^http: ' err || die "$kind: the log does not log"
	clean "$kind: output" out err
	clean "$kind: programs" exec.trace
	# The login key is a file of mode 0600 while its box lives; the host key is nowhere.
	clean "$kind: store" "$XDG_STATE_HOME/stepbox"
	[ "$(find "$XDG_STATE_HOME/stepbox/keys" -type f ! -perm 0600)" = '' ] || die "$kind: the login key can be read"
	"$STEPBOX" ssh cl -- 'cat /root/.stepbox/*/plan /root/.stepbox/*/journal /root/.stepbox/*/runner.sh; env' >box.out 2>&1 || die "ssh: $(cat box.out)"
	clean "$kind: box" box.out
	"$STEPBOX" down --all >/dev/null
	cloud_empty "$kind"
done

# A cloud that says what it was told: nova's schema errors echo the request, and a proxy may echo anything.
start_fake floating --accounts accounts.json
fault '{"do": "status", "status": 400, "body": "{\"badRequest\": {\"code\": 400, \"message\": \"Invalid input for field user_data. Value: Planted-Passw0rd QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3ODk= is too long\"}}", "method": "POST", "path": "/servers$"}'
"$STEPBOX" run r.yaml --debug >out 2>err && die "a 400 was taken for success"
: >keys
clean echo out err
! grep -q QUJDREVGR0 err || die "user-data is echoed: $(cat err)"
fake_forget
sed -i 's/Planted-Passw0rd/Planted-Wrong/' "$work/fake/clouds.yaml"
echo Planted-Wrong >>planted
"$STEPBOX" run r.yaml --debug >out 2>err && die "a wrong password"
clean wrong out err
# By environment: no child has it.
OS_CLIENT_CONFIG_FILE='' OS_AUTH_URL=$fake_url/identity OS_USERNAME=demo OS_PASSWORD=Planted-Passw0rd OS_PROJECT_NAME=demo OS_USER_DOMAIN_NAME=Default \
	OS_PROJECT_DOMAIN_NAME=Default OS_REGION_NAME=RegionOne sh -c 'unset OS_CLIENT_CONFIG_FILE; strace -f -qq -s 65535 -v -e trace=execve -o exec.trace "$STEPBOX" run r.yaml --set box.cloud=envvars --debug' >out 2>err ||
	die "by environment: $(cat err)"
sed 1d exec.trace >children
clean environment children out err
cloud_empty environment
