#!/bin/sh
# A cloud that misbehaves, one way at a time: what must work in spite of it works, what cannot is said in one clear line with
# exit code 3, and in neither case anything is left.
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/fake.sh
. "$OLDPWD/tests/e2e/lib/fake.sh"
needs_boxes
make_project 2
cloud_recipe r.yaml "connect_timeout: 20s"

attempt() { # → rc, out, err
	rc=0
	"$STEPBOX" run r.yaml --debug >out 2>err || rc=$?
}
works() { # NAME FAULT
	fault "$2"
	attempt
	[ $rc = 0 ] || die "$1: exit $rc: $(grep -v '^http' err)"
	fake_forget
	nothing_left
	cloud_empty "$1"
	echo "$1: works"
}
says() { # NAME FAULT WORDS [EXIT-CODE]
	fault "$2"
	attempt
	[ $rc = "${4:-3}" ] || die "$1: exit $rc: $(cat out err)"
	grep -q "error: .*$3" err || die "$1: not said ($3): $(cat err)"
	fake_forget
	timeout 120 "$STEPBOX" gc >gc.out 2>&1 || die "$1: gc: $(cat gc.out)"
	nothing_left
	cloud_empty "$1"
	echo "$1: said"
}

untouched() { # no request, and no token, went to where a redirect pointed
	[ "$(fake_state 'len(s["trap"]["requests"])')" = 0 ] || die "a redirect was followed: $(fake_state 's["trap"]')"
}

start_fake floating
# (a) the identity root points to another host: no token may arrive there
works root-300 '{"do": "redirect", "status": 300, "method": "GET", "path": "/identity/?$", "times": 0}'
untouched
says redirect '{"do": "redirect", "status": 301, "method": "GET", "path": "/servers/detail", "times": 0}' 301
untouched
# (b) created, but the answer is a gateway's 504
works created-504 '{"do": "status", "status": 504, "html": true, "act": true, "method": "POST", "path": "/servers$"}'
works created-reset '{"do": "reset", "method": "POST", "path": "/servers$"}'
works created-truncated '{"do": "truncate", "method": "POST", "path": "/servers$"}'
works created-garbage '{"do": "invalid_json", "method": "POST", "path": "/servers$"}'
works group-reset '{"do": "reset", "method": "POST", "path": "/security-groups$"}'
works ip-reset '{"do": "reset", "method": "POST", "path": "/floatingips$"}'
works ip-504 '{"do": "status", "status": 504, "html": true, "act": true, "method": "POST", "path": "/floatingips$"}'
# (c) ACTIVE without an address for a while
works no-address '{"do": "no_address"}'
# (d) a token that is refused, once and always
works once-401 '{"do": "unauthorized", "revoke": true, "method": "GET", "path": "/servers/detail", "skip": 1}'
works create-401 '{"do": "unauthorized", "revoke": true, "method": "POST", "path": "/servers$"}'
says always-401 '{"do": "unauthorized", "method": "POST", "path": "/servers$", "times": 0}' 401
# (e) slow down
works rate-429 '{"do": "retry_after", "status": 429, "seconds": 1, "path": "/servers/detail", "times": 2}'
works rate-413-date '{"do": "retry_after", "status": 413, "seconds": 2, "form": "date", "method": "POST", "path": "/servers$"}'
# (f) ERROR with its cause
says error '{"do": "error", "message": "No valid host was found. "}' 'No valid host was found.*req-'
# a plain no is no reason to look for what cannot be there
begin=$(date +%s)
says refused '{"do": "status", "status": 400, "method": "POST", "path": "/servers$"}' '400'
says group-refused '{"do": "status", "status": 409, "body": "{\"NeutronError\": {\"type\": \"OverQuota\", \"message\": \"Quota exceeded\", \"detail\": \"\"}}", "method": "POST", "path": "/security-groups$"}' 'Quota exceeded'
[ $(($(date +%s) - begin)) -lt 15 ] || die "two refusals took $(($(date +%s) - begin)) s"
# (g) deletions that take their time
works lingers '{"do": "lingers", "gets": 3, "method": "DELETE", "path": "/servers/"}'
works soft-deleted '{"do": "lingers", "status": "SOFT_DELETED", "gets": 3, "method": "DELETE", "path": "/servers/"}'
# (h) (i) what the network service says and does
works ip-lies '{"do": "delete_lies", "method": "DELETE", "path": "/floatingips/", "times": 2}'
works group-in-use '{"do": "sg_in_use", "method": "DELETE", "path": "/security-groups/", "times": 3}'
works server-conflict '{"do": "conflict", "method": "DELETE", "path": "/servers/", "times": 2}'
# (j) (k) pages with wrong hosts, headers in lower case
works wrong-links '{"do": "wrong_links", "method": "GET", "path": "/(servers|flavors)/detail", "times": 0}'
works lower-headers '{"do": "lower_headers", "times": 0}'
works close-after '{"do": "close_after", "times": 0}'
# (l) (m) what a token may lack
says unscoped '{"do": "unscoped", "method": "POST", "path": "/auth/tokens", "times": 0}' 'no project in scope' 2
says no-compute '{"do": "catalog", "omit": ["compute"], "method": "POST", "path": "/auth/tokens", "times": 0}' 'no compute service' 2
# (n) answers that are none
works truncated-list '{"do": "truncate", "method": "GET", "path": "/servers/detail"}'
says big-body '{"do": "big_body", "method": "GET", "path": "/flavors/detail", "times": 0}' '16 MiB\|too \(large\|big\)\|over '
works server-500 '{"do": "status", "status": 500, "method": "GET", "path": "/servers/detail"}'
works html-503 '{"do": "status", "status": 503, "html": true, "method": "GET", "path": "/servers/detail"}'
# (o) clocks that differ
works skew '{"do": "date_skew", "seconds": 7200, "times": 0}'
# the list does not know the server yet
works first-404 '{"do": "first_404", "gets": 2, "method": "POST", "path": "/servers$"}'
# boxes that do not let us in
says wrong-host-key '{"do": "wrong_host_key"}' 'host key'
says no-login-key '{"do": "no_login_key"}' 'key'
says no-ssh '{"do": "no_ssh"}' '2222'
says mute-ssh '{"do": "mute_ssh"}' '2222'
says poweroff '{"do": "poweroff", "after": 0.0}' 'gone\|SHUTOFF\|powered off'
says not-ready '{"do": "no_ready"}' 'cloud-init done'
