# SPDX-License-Identifier: MIT
"""Starts a fake cloud and speaks to it, for tests in Python."""
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LONG_S = 60
PASSWORD = {"methods": ["password"], "password": {"user": {"name": "demo", "domain": {"name": "Default"},
                                                           "password": "demopw"}}}
PROJECT = {"project": {"name": "demo", "domain": {"name": "Default"}}}
MV = {"OpenStack-API-Version": "compute 2.67"}


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Fake:
    """A running fake cloud, and a token. boxes: the fakebox program; None: no boxes."""

    def __init__(self, *words, boxes=None, personality="plain"):
        self.dir = tempfile.mkdtemp(prefix="fakecloud-")
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "cloud.py"), "--state", self.dir, "--personality", personality,
             *(["--fakebox", boxes] if boxes else ["--no-boxes"]), *words], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.token = None
        self.rackspace = "rackspace" in personality
        self.login()

    def login(self):
        if self.rackspace:
            reply = self.call("POST", "/identity/v2.0/tokens", {"auth": {"RAX-KSKEY:apiKeyCredentials": {
                "username": "raxuser", "apiKey": "0123456789abcdef0123456789abcdef"}}})
            self.token = reply.json["access"]["token"]["id"]
        else:
            self.token = self.auth(PASSWORD, PROJECT).headers["X-Subject-Token"]

    def auth(self, identity, scope=None):
        body = {"auth": {"identity": identity, **({"scope": scope} if scope else {})}}
        return self.call("POST", "/identity/v3/auth/tokens", body)

    def call(self, method, path, body=None, headers=None, token=True, timeout=LONG_S):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            return self.on(connection, method, path, body, headers, token)
        finally:
            connection.close()

    def on(self, connection, method, path, body=None, headers=None, token=True):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        send = {"Content-Type": "application/json", **(headers or {})}
        if token and self.token:
            send["X-Auth-Token"] = token if isinstance(token, str) else self.token
        connection.request(method, path, data, send)
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())

    def state(self):
        return self.call("GET", "/fake/state").json

    def script(self, **rule):
        reply = self.call("POST", "/fake/script", rule)
        assert reply.status == 200, reply.body

    def config(self, **values):
        reply = self.call("POST", "/fake/config", values)
        assert reply.status == 200, reply.body

    def image(self, name="debian-12"):
        return self.call("GET", f"/image/v2/images?name={name}").json["images"][0]["id"]

    def network(self, **want):
        found = self.call("GET", "/network/v2.0/networks").json["networks"]
        return next(n["id"] for n in found if all(n[k] == v for k, v in {"router:external": False, **want}.items()))

    def compute(self):
        return "/compute/v2/960893" if self.rackspace else "/compute/v2.1"

    def body(self, **values):
        server = {"name": "stepbox-t", "flavorRef": "general1-1" if self.rackspace else "1", "imageRef": self.image()}
        if not self.rackspace:
            server["networks"] = [{"uuid": self.network()}]
        server.update(values)
        return {"server": {k: v for k, v in server.items() if v is not None}}

    def create(self, mv=None, **values):
        reply = self.call("POST", self.compute() + "/servers", self.body(**values), mv or ({} if self.rackspace else MV))
        assert reply.status == 202, reply.body
        return reply.json["server"]["id"]

    def get(self, server, headers=None):
        reply = self.call("GET", f"{self.compute()}/servers/{server}", headers=headers)
        return reply.json["server"] if reply.status == 200 else reply.status

    def wait(self, server, *statuses):
        """Until it has one of these statuses (404: gone)."""
        end = time.monotonic() + LONG_S
        while time.monotonic() < end:
            found = self.get(server)
            if (found if isinstance(found, int) else found["status"]) in statuses:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{server} does not get {statuses}: {found}")

    def delete(self, server):
        assert self.call("DELETE", f"{self.compute()}/servers/{server}").status == 204
        self.wait(server, 404)

    def group(self, port=2222):
        group = self.call("POST", "/network/v2.0/security-groups", {"security_group": {"name": "stepbox-g"}})
        group = group.json["security_group"]["id"]
        if port:
            rule = self.call("POST", "/network/v2.0/security-group-rules", {"security_group_rule": {
                "security_group_id": group, "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
                "port_range_min": port, "port_range_max": port, "remote_ip_prefix": "127.0.0.1/32"}})
            assert rule.status == 201, rule.body
        return group

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LONG_S)
        self.process.stdout.close()
        subprocess.run(["rm", "-rf", self.dir], check=True)
