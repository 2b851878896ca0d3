# SPDX-License-Identifier: MIT
"""Scripted faults. A rule says when (method, path, how many to skip, how often, or the number of the call) and what:

  {"do": "hang", "method": "POST", "path": "/servers$", "skip": 0, "times": 1, "act": true}
  {"do": "status", "at": 17, "status": 500}

times 0 means always. `at` counts all API calls since the start or the last reset-counters; `times` then means that many
calls from there on. Faults that have a box or a server as their subject (SERVER) belong to the request that creates it.
"""
import re

# What happens to the exchange itself; act: is the request carried out first?
EXCHANGE = {
    "status": {"act": False, "status": 500, "body": None, "html": False, "headers": {}, "reason": None},
    "hang": {"act": True, "seconds": 300.0},       # no answer until the client goes away
    "kill": {"act": True, "pid_file": "", "signal": 9, "seconds": 30.0},  # a signal to the client instead of an answer
    "reset": {"act": True},                        # TCP reset instead of an answer
    "close": {"act": True},                        # the connection ends without an answer
    "truncate": {"act": True, "bytes": 0},         # ends in the middle of the body; bytes: how much is sent, 0: half
    "invalid_json": {"act": True},                 # a whole answer of half the JSON
    "big_body": {"act": True, "bytes": 17 << 20},  # the body padded (still JSON)
    "retry_after": {"act": False, "status": 429, "seconds": 1, "form": "seconds"},  # form: seconds, date, none
    "unauthorized": {"act": False, "revoke": False},  # revoke: the token is dead from now on, too
    "redirect": {"act": False, "status": 301},     # to the trap: another port that notes whether a token came along
}
# What is done to an answer that is otherwise as it would be.
ANSWER = {
    "latency": {"ms": 200},
    "lower_headers": {},
    "date_skew": {"seconds": 3600},
    "close_after": {},          # the connection is closed behind the answer, unannounced
    "no_request_id": {},
    "catalog": {"omit": []},    # of a token: service types left out
    "unscoped": {},             # a token without project and catalog
    "wrong_links": {"host": "http://controller.invalid:8774", "page": 1},  # pages of so many, links to a wrong host
    "delete_lies": {},          # 204, and it is still there
    "sg_in_use": {},
    "conflict": {},             # 409 in nova's words
    "first_404": {"gets": 2},   # of POST /servers: the next GETs of the server do not know it yet
    "lingers": {"gets": 3, "status": "ACTIVE"},  # of DELETE: so many GETs see it; SOFT_DELETED: until forceDelete
}
# What becomes of the server that a POST /servers makes.
SERVER = {
    "error": {"message": "No valid host was found. ", "after": 0.0, "address": False},
    "stuck_build": {},
    "no_address": {"empty": 2, "hollow": 3},  # ACTIVE with {} so often, then with {"net": []}
    "wrong_host_key": {},
    "no_login_key": {},
    "no_ssh": {},                # nothing listens
    "mute_ssh": {},              # it listens and says nothing
    "no_ready": {},              # cloud-init's last stage never comes
    "poweroff": {"after": 1.0},
    "slow": {"build": None, "ssh": None, "ready": None, "delete": None},  # seconds, instead of the settings
    "userdata_ignored": {},      # an image without cloud-init
}
ACTIONS = {**EXCHANGE, **ANSWER, **SERVER}
WHEN = {"id", "do", "method", "path", "skip", "times", "at"}
RULES_MAX = 1000


class Rule:
    def __init__(self, spec):
        if not isinstance(spec, dict) or spec.get("do") not in ACTIONS:
            raise ValueError(f"no action in {spec!r}; there are {', '.join(sorted(ACTIONS))}")
        self.name = spec["do"]
        defaults = ACTIONS[self.name]
        strange = set(spec) - WHEN - set(defaults)
        if strange:
            raise ValueError(f"{self.name}: unknown {', '.join(sorted(strange))}")
        standard = ("POST", r"/servers$") if self.name in SERVER or self.name == "first_404" else ("", "")
        self.id = str(spec.get("id", self.name))
        self.method = re.compile(spec.get("method", standard[0]) or ".*")
        self.path = re.compile(spec.get("path", standard[1]))
        self.skip, self.times, self.at = int(spec.get("skip", 0)), int(spec.get("times", 1)), spec.get("at")
        self.params = {**defaults, **{k: v for k, v in spec.items() if k in defaults}}
        self.seen = self.used = 0

    def __getitem__(self, key):
        return self.params[key]

    def matches(self, number, method, path):
        if not self.method.fullmatch(method) or not self.path.search(path):
            return False
        if self.at is not None:
            hit = number >= self.at and (self.times == 0 or number < self.at + self.times)
        else:
            self.seen += 1
            hit = self.seen > self.skip and (self.times == 0 or self.used < self.times)
        self.used += hit
        return hit


class Script:
    """The rules in force. Callers hold the cloud's lock."""

    def __init__(self):
        self.rules = []

    def add(self, specs):
        new = [Rule(s) for s in (specs if isinstance(specs, list) else [specs])]
        if len(self.rules) + len(new) > RULES_MAX:
            raise ValueError(f"more than {RULES_MAX} rules")
        self.rules += new

    def faults(self, number, method, path):
        """{action: rule} for this call. Of several that replace the answer the first one wins."""
        found = {}
        for rule in self.rules:
            if rule.matches(number, method, path):
                found.setdefault("exchange" if rule.name in EXCHANGE else rule.name, rule)
        return found

    def report(self):
        return [{"id": r.id, "do": r.name, "used": r.used, "seen": r.seen} for r in self.rules]
