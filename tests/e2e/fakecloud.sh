#!/bin/sh
# The fake OpenStack cloud by itself: its API against what real ones answer, each scripted fault, real logins to its
# boxes. What stepbox does with it is for the other scripts.
fake_dir=$(cd "$(dirname "$0")/../fake" && pwd)
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=../fake/lib.sh
. "$fake_dir/lib.sh"
fake_needs
python3 "$fake_dir/selftest.py" -q || die "selftest.py"

# By other eyes than our own client's.
fake_start "$work/cloud" --no-boxes --personality floating
[ "$(curl -s -o root -w '%{http_code} %{redirect_url}' "$fake_url/identity")" = "300 $fake_url/identity/v3/" ] || die "root"
curl -s -D headers -o token -H 'Content-Type: application/json' "$fake_url/identity/v3/auth/tokens" -d '{"auth": {
	"identity": {"methods": ["password"], "password": {"user": {"name": "demo", "domain": {"name": "Default"},
	"password": "demopw"}}}, "scope": {"project": {"name": "demo", "domain": {"name": "Default"}}}}}'
token=$(tr -d '\r' <headers | sed -n 's/^X-Subject-Token: //p')
grep -q "\"$fake_url/compute/v2.1\"" token || die "no catalog: $(cat token)"
api() { curl -sS -H "X-Auth-Token: $token" -w ' %{http_code}' "$@"; }
[ "$(api "$fake_url/compute/v2.1/servers")" = '{"servers": []} 200' ] || die "servers"
[ "$(api "$fake_url/network/v2.0/floatingips")" = '{"floatingips": []} 200' ] || die "floating IPs"
fake_script '{"do": "status", "status": 503, "html": true, "path": "/servers$"}'
api "$fake_url/compute/v2.1/servers" | grep -q '<h1>503 Service Unavailable</h1>' || die "no HTML"
# curl follows with the token, which is why stepbox must not: the trap tells.
fake_script '{"do": "redirect", "path": "/servers$"}'
api -L "$fake_url/compute/v2.1/servers" >/dev/null
[ "$(fake_state 's["trap"]["requests"][0]["token"]')" = True ] || die "the trap does not see the token"
# The client is killed with its request carried out and not answered.
fake_script "{\"do\": \"kill\", \"method\": \"POST\", \"pid_file\": \"$work/pid\"}"
if sh -c 'echo $$ >pid; exec "$@"' sh curl -s -H "X-Auth-Token: $token" -H 'Content-Type: application/json' \
	"$fake_url/network/v2.0/security-groups" -d '{"security_group": {"name": "orphan"}}'; then die "survived"; fi
[ "$(fake_state 's["counts"]["groups"], s["groups"][0]["name"]')" = '1 orphan' ] || die "not carried out"
! grep -q "demopw\|$token" cloud/requests.log || die "a secret in the log"
fake_stop || die "cloud.py: exit $?: $(cat cloud/out)"

# TLS.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
	-addext subjectAltName=IP:127.0.0.1 -keyout tls.key -out tls.crt 2>/dev/null
fake_start "$work/tls" --no-boxes --tls tls.crt tls.key
curl -s --cacert tls.crt "https://127.0.0.1:$fake_port/compute/" | grep -q '"version": "2.93"' || die "TLS"
if curl -s "https://127.0.0.1:$fake_port/" >/dev/null; then die "a certificate of nobody"; fi
fake_stop

needs_boxes
fakebox=$(fake_box) || die "fakebox cannot be built"
"$fakebox" prepare debian-12
python3 "$fake_dir/selftest_boxes.py" "$fakebox" -q || die "selftest_boxes.py"
