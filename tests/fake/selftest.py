# SPDX-License-Identifier: MIT
"""Does the fake cloud's API behave as the real one's, and as its script says? selftest.py [unittest's words]"""
import base64
import http.client
import json
import os
import socket
import sys
import time
import unittest

sys.dont_write_bytecode = True

from client import MV, PASSWORD, PROJECT, Fake  # pylint: disable=wrong-import-position


class Case(unittest.TestCase):
    personality = "plain"

    @classmethod
    def setUpClass(cls):
        cls.fake = Fake(personality=cls.personality)

    @classmethod
    def tearDownClass(cls):
        problems = cls.fake.state()["problems"]
        cls.fake.stop()
        assert not problems, problems

    def tearDown(self):
        self.fake.call("DELETE", "/fake/script")

    def refused(self, status, words, reply):
        self.assertEqual((status, True), (reply.status, words in reply.body.decode()), reply.body[:400])


class Plain(Case):
    def test_versions(self):
        root = self.fake.call("GET", "/identity", token=False)
        self.assertEqual(300, root.status)
        self.assertEqual("v3.14", root.json["versions"]["values"][0]["id"])
        self.assertIn("/identity/v3/", root.headers["Location"])
        self.assertEqual(300, self.fake.call("GET", "/image/", token=False).status)
        for path in ("/compute/", "/compute/v2.1/", "/network/", "/identity/v3"):
            self.assertEqual(200, self.fake.call("GET", path, token=False).status, path)
        self.assertEqual("2.93", self.fake.call("GET", "/compute/").json["versions"][1]["version"])

    def test_tokens(self):
        wrong = json.loads(json.dumps(PASSWORD))
        wrong["password"]["user"]["password"] = "x"
        reply = self.fake.auth(wrong, PROJECT)
        self.assertEqual({"error": {"code": 401, "title": "Unauthorized", "message":
                                    "The request you have made requires authentication."}}, reply.json)
        self.assertIn("Keystone uri=", reply.headers["WWW-Authenticate"])
        self.assertEqual(401, self.fake.auth(PASSWORD, {"project": {"id": "nosuch"}}).status)
        self.refused(400, "'identity' is a required property", self.fake.call("POST", "/identity/v3/auth/tokens",
                                                                              {"auth": {}}))
        self.refused(400, "valid JSON", self.fake.call("POST", "/identity/v3/auth/tokens", b'{"auth": '))
        self.refused(400, "Expecting to find domain in user", self.fake.auth(
            {"methods": ["password"], "password": {"user": {"name": "demo", "password": "demopw"}}}, PROJECT))
        self.assertNotIn("catalog", self.fake.auth(PASSWORD).json["token"])
        self.assertNotIn("catalog", self.fake.auth(PASSWORD, "unscoped").json["token"])
        whole = self.fake.auth(PASSWORD, PROJECT)
        self.assertEqual(201, whole.status)
        self.assertEqual(183, len(whole.headers["X-Subject-Token"]))
        types = {e["type"] for e in whole.json["token"]["catalog"]}
        self.assertLessEqual({"compute", "image", "network", "identity", "volumev3"}, types)
        again = self.fake.auth({"methods": ["token"], "token": {"id": whole.headers["X-Subject-Token"]}}, PROJECT)
        self.assertEqual(201, again.status)

    def test_application_credential(self):
        cred = {"methods": ["application_credential"], "application_credential": {
            "id": "fe5a1a818ad646f5b1ebc93e33e1d508", "secret": "appsecret"}}
        self.assertIn("catalog", self.fake.auth(cred).json["token"])
        self.refused(401, "cannot request a scope", self.fake.auth(cred, PROJECT))
        cred["application_credential"] = {"name": "stepbox", "secret": "appsecret", "user": {
            "name": "demo", "domain": {"id": "default"}}}
        self.assertEqual(201, self.fake.auth(cred).status)
        cred["application_credential"]["secret"] = "x"
        self.assertEqual(401, self.fake.auth(cred).status)

    def test_refused_tokens(self):
        for path in ("/compute/v2.1/servers", "/network/v2.0/networks", "/image/v2/images", "/identity/v3/auth/projects"):
            for token in (False, "gAAAAgarbage"):
                reply = self.fake.call("GET", path, token=token)
                self.assertEqual((401, True), (reply.status, "WWW-Authenticate" in reply.headers), path)
        self.assertEqual("401 Unauthorized", self.fake.call("GET", "/image/v2/images", token=False).json["code"])
        self.fake.config(token_life_s=0.2)
        short = self.fake.auth(PASSWORD, PROJECT).headers["X-Subject-Token"]
        self.fake.config(token_life_s=3600)
        self.assertEqual(200, self.fake.call("GET", "/compute/v2.1/servers", token=short).status)
        time.sleep(0.25)
        self.assertEqual(401, self.fake.call("GET", "/compute/v2.1/servers", token=short).status)
        self.assertEqual(404, self.fake.call("GET", "/identity/v3/auth/tokens",
                                             headers={"X-Subject-Token": short}).status)
        other = self.fake.auth(PASSWORD, PROJECT).headers["X-Subject-Token"]
        self.assertEqual(204, self.fake.call("DELETE", "/identity/v3/auth/tokens",
                                             headers={"X-Subject-Token": other}).status)
        self.assertEqual(401, self.fake.call("GET", "/compute/v2.1/servers", token=other).status)

    def test_microversions(self):
        def ask(*values):
            return self.fake.call("GET", "/compute/v2.1/servers", headers={
                k: v for k, v in zip(("OpenStack-API-Version", "X-OpenStack-Nova-API-Version"), values) if v})
        self.assertEqual("compute 2.1", ask().headers["Openstack-Api-Version"])
        self.assertEqual("2.67", ask("compute 2.67").headers["X-Openstack-Nova-Api-Version"])
        self.assertEqual("2.5", ask(None, "2.5").headers["X-Openstack-Nova-Api-Version"])
        self.assertEqual("compute 2.93", ask("compute latest").headers["Openstack-Api-Version"])
        self.refused(406, "Minimum is 2.1 and maximum is 2.93.", ask("compute 2.999"))
        self.refused(400, "API Version String banana is of invalid format", ask("compute banana"))
        self.assertEqual(404, self.fake.call("GET", "/compute/v2.1/nosuch").status)

    def test_life(self):
        fake = self.fake
        reply = fake.call("POST", "/compute/v2.1/servers", fake.body(metadata={"stepbox-run": "r"}, tags=["x"]), MV)
        self.assertEqual(202, reply.status)
        self.assertEqual({"id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"}, set(reply.json["server"]))
        server = reply.json["server"]["id"]
        self.assertTrue(reply.headers["Location"].endswith("/servers/" + server))
        first = fake.get(server)
        self.assertEqual(("BUILD", {}, None, "scheduling"), (first["status"], first["addresses"], first.get(
            "security_groups"), first["OS-EXT-STS:task_state"]))
        active = fake.wait(server, "ACTIVE")
        entry = active["addresses"]["private"][0]
        self.assertEqual(("fixed", 4, True), (entry["OS-EXT-IPS:type"], entry["version"],
                                              entry["addr"].startswith("127.")))
        self.assertEqual("1", active["flavor"]["id"])
        self.assertNotIn("id", fake.get(server, MV)["flavor"])
        self.assertEqual(["x"], fake.get(server, MV)["tags"])
        for query, count in (("name=%5Estepbox-t%24", 1), ("name=%5Et", 0), ("status=ACTIVE", 1), ("status=ERROR", 0),
                             ("metadata=nonsense", 1)):
            found = fake.call("GET", "/compute/v2.1/servers/detail?" + query).json["servers"]
            self.assertEqual(count, len(found), query)
        self.assertEqual(400, fake.call("GET", "/compute/v2.1/servers?metadata=x", headers={
            "OpenStack-API-Version": "compute 2.75"}).status)
        more = fake.call("POST", f"/compute/v2.1/servers/{server}/metadata", {"metadata": {"stepbox-expires": "z"}})
        self.assertEqual({"stepbox-run": "r", "stepbox-expires": "z"}, more.json["metadata"])
        self.assertEqual(400, fake.call("POST", f"/compute/v2.1/servers/{server}/metadata", {"metadata": {"a": 1}}).status)
        port = fake.call("GET", f"/network/v2.0/ports?device_id={server}").json["ports"]
        self.assertEqual(entry["addr"], port[0]["fixed_ips"][0]["ip_address"])
        self.refused(400, "There is no such action: nosuch",
                     fake.call("POST", f"/compute/v2.1/servers/{server}/action", {"nosuch": None}))
        self.refused(409, "Cannot 'start' instance",
                     fake.call("POST", f"/compute/v2.1/servers/{server}/action", {"os-start": None}))
        time.sleep(0.5)
        console = fake.call("POST", f"/compute/v2.1/servers/{server}/action", {"os-getConsoleOutput": {"length": 4}})
        self.assertEqual(4, console.json["output"].count("\n"))
        self.assertEqual(204, fake.call("DELETE", f"/compute/v2.1/servers/{server}").status)
        self.assertEqual("deleting", fake.get(server)["OS-EXT-STS:task_state"])
        self.assertEqual(204, fake.call("DELETE", f"/compute/v2.1/servers/{server}").status)
        fake.wait(server, 404)
        self.refused(404, f"Instance {server} could not be found.", fake.call("DELETE", f"/compute/v2.1/servers/{server}"))
        self.assertEqual([], fake.call("GET", f"/network/v2.0/ports?device_id={server}").json["ports"])

    def test_refusals(self):
        fake = self.fake

        def post(headers=MV, **values):
            return fake.call("POST", "/compute/v2.1/servers", fake.body(**values), headers)
        none = "00000000-0000-0000-0000-000000000000"
        self.refused(400, "Can not find requested image", post(imageRef=none))
        self.refused(400, "field/attribute imageRef. Value: debian-12", post(imageRef="debian-12"))
        self.refused(400, "Flavor nosuch could not be found.", post(flavorRef="nosuch"))
        self.refused(400, "Invalid key_name provided.", post(key_name="nosuch"))
        self.refused(400, f"Network {none} could not be found.", post(networks=[{"uuid": none}]))
        self.refused(400, "Unable to find security_group with name or id 'nosuch'",
                     post(security_groups=[{"name": "nosuch"}]))
        self.refused(400, "'name' is a required property", post(name=None))
        self.refused(400, "('nosuch' was unexpected)", post(nosuch=1))
        self.refused(400, "Invalid input for field/attribute user_data", post(user_data="A" * 65536))
        self.refused(400, "1 is not of type 'string'", post(metadata={"a": 1}))
        self.refused(400, "'networks' is a required property", post(networks=None))
        self.refused(400, "('tags' was unexpected)", post(headers={}, tags=["a"]))
        self.refused(400, "The name must be: printable", post(name=" x"))
        self.refused(400, "availability zone is not available", post(availability_zone="mars"))
        self.refused(400, "memory is too small", post(imageRef=fake.image("big")))
        self.refused(400, "is not active", post(imageRef=fake.image("half-made")))
        self.refused(400, "Malformed request body", fake.call("POST", "/compute/v2.1/servers", b'{"server":'))
        self.refused(415, "Unsupported Content-Type", fake.call("POST", "/compute/v2.1/servers", b"name=x", {
            "Content-Type": "application/x-www-form-urlencoded"}))
        before = fake.call("GET", "/compute/v2.1/limits").json["limits"]["absolute"]
        fake.config(quotas={"instances": 0})
        self.refused(403, "Quota exceeded for instances: Requested 1, but already used 0 of 0 instances", post())
        self.assertEqual(0, fake.call("GET", "/compute/v2.1/limits").json["limits"]["absolute"]["maxTotalInstances"])
        fake.config(quotas={"instances": before["maxTotalInstances"], "cores": 20})
        self.refused(403, "Quota exceeded for cores, ram: Requested 64, 1048576, but already used 0, 0 of 20,",
                     post(flavorRef="5"))

    def test_pages(self):
        fake = self.fake
        servers = [fake.create(name=f"p{i}") for i in range(3)]
        seen, path = [], "/compute/v2.1/servers/detail?limit=2&name=p"
        while path:
            reply = fake.call("GET", path).json
            seen += [s["name"] for s in reply["servers"]]
            path = reply.get("servers_links", [{}])[0].get("href", "").partition(str(fake.port))[2]
        self.assertEqual(["p2", "p1", "p0"], seen)
        fake.script(do="wrong_links", times=0, page=1)
        link = fake.call("GET", "/compute/v2.1/servers").json["servers_links"][0]["href"]
        self.assertTrue(link.startswith("http://controller.invalid:8774/v2.1/servers?limit=1&marker="), link)
        for server in servers:
            fake.delete(server)

    def test_images(self):
        fake = self.fake
        twins = fake.call("GET", "/image/v2/images?name=twin&sort=created_at:desc&status=active").json["images"]
        self.assertEqual(2, len(twins))
        self.assertGreater(twins[0]["created_at"], twins[1]["created_at"])
        first = fake.call("GET", "/image/v2/images?limit=4&visibility=public").json
        self.assertTrue(first["next"].startswith("/v2/images?limit=4&visibility=public&marker="))
        rest = fake.call("GET", "/image" + first["next"]).json
        self.assertEqual((6, False), (len(first["images"]) + len(rest["images"]), "next" in rest))
        self.refused(404, "No image found with ID", fake.call("GET", "/image/v2/images/nosuch"))

    def test_groups(self):
        fake = self.fake
        group = fake.group()
        rule = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
                "port_range_min": 2222, "port_range_max": 2222, "remote_ip_prefix": "127.0.0.1/32"}

        def post(**values):
            return fake.call("POST", "/network/v2.0/security-group-rules", {"security_group_rule": {**rule, **values}})
        self.refused(409, "SecurityGroupRuleExists", post())
        self.refused(400, "SecurityGroupRuleInvalidProtocol", post(protocol="nosuch"))
        self.refused(400, "Unrecognized attribute(s) 'x'", post(x=1))
        self.refused(400, "Conflicting value ethertype", post(ethertype="IPv6"))
        self.refused(400, "port_range_min", post(port_range_min=70000))
        server = fake.create(security_groups=[{"name": group}])
        fake.wait(server, "ACTIVE")
        self.refused(409, "SecurityGroupInUse", fake.call("DELETE", f"/network/v2.0/security-groups/{group}"))
        address = fake.get(server)["addresses"]["private"][0]["addr"]
        self.assertTrue(self.listens(address))
        fake.delete(server)
        self.assertFalse(self.listens(address, 0.3))
        fake.script(do="sg_in_use", method="DELETE", times=3)
        self.assertEqual([409, 409, 409, 204], [fake.call(
            "DELETE", f"/network/v2.0/security-groups/{group}").status for _ in range(4)])
        closed = fake.create()
        address = fake.wait(closed, "ACTIVE")["addresses"]["private"][0]["addr"]
        self.assertFalse(self.listens(address, 0.5))
        fake.delete(closed)

    def listens(self, address, seconds=5.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                with socket.create_connection((address, 2222), 1) as s:
                    return s.recv(100).startswith(b"SSH-2.0-")
            except OSError:
                time.sleep(0.02)
        return False

    def test_connections(self):
        """Nova's are kept, keystone's are not."""
        connection = http.client.HTTPConnection("127.0.0.1", self.fake.port)
        self.fake.on(connection, "GET", "/compute/v2.1/servers")
        local = connection.sock.getsockname()
        self.fake.on(connection, "GET", "/network/v2.0/networks")
        self.assertEqual(local, connection.sock.getsockname())
        self.fake.on(connection, "GET", "/identity/v3")
        self.assertIsNone(connection.sock)

    def test_log_has_no_secrets(self):
        fake = self.fake
        fake.delete(fake.create(user_data=base64.b64encode(b"#cloud-config\n# planted-secret").decode()))
        with open(os.path.join(fake.dir, "requests.log"), encoding="utf-8") as f:
            text = f.read()
        self.assertGreater(text.count("\n"), 3)
        for secret in ("demopw", "appsecret", fake.token, base64.b64encode(b"planted")[:8].decode()):
            self.assertNotIn(secret, text)
        self.assertIn("<user_data: ", text)

    def test_keypairs(self):
        pair = {"keypair": {"name": "k", "public_key": "ssh-ed25519 AAAA x"}}
        self.assertEqual(200, self.fake.call("POST", "/compute/v2.1/os-keypairs", pair).status)
        self.refused(409, "Key pair 'k' already exists.", self.fake.call("POST", "/compute/v2.1/os-keypairs", pair))
        self.assertEqual(202, self.fake.call("DELETE", "/compute/v2.1/os-keypairs/k").status)


class Faults(Case):
    """Every action of the script."""
    LIST = "/compute/v2.1/servers"

    def list(self, **more):
        return self.fake.call("GET", self.LIST, **more)

    def servers(self):
        return self.fake.state()["counts"]["servers"]

    def clear(self):
        for server in self.fake.state()["servers"]:
            self.fake.delete(server["id"])

    def post(self, **more):
        return self.fake.call("POST", "/compute/v2.1/servers", self.fake.body(), MV, **more)

    def test_when(self):
        self.fake.script(do="status", status=503, path="/servers$", skip=1, times=2)
        self.assertEqual([200, 503, 503, 200], [self.list().status for _ in range(4)])
        self.fake.call("POST", "/fake/reset-counters")
        self.fake.script(do="status", at=3)
        self.assertEqual([200, 200, 500, 200], [self.list().status for _ in range(4)])
        self.assertEqual(4, self.fake.state()["calls"])
        self.assertEqual(4, self.fake.state()["counters"]["GET /compute/v2.1/servers"])
        for bad in ({"do": "nosuch"}, {"do": "status", "stauts": 1}, 5):
            self.assertEqual(400, self.fake.call("POST", "/fake/script", bad).status)

    def test_answered_badly_after_acting(self):
        for rule in ({"do": "status", "status": 504, "html": True, "act": True}, {"do": "truncate"},
                     {"do": "invalid_json"}, {"do": "reset"}, {"do": "close"}, {"do": "hang"}):
            self.fake.script(method="POST", path="/servers$", **rule)
            before = self.servers()
            got = None
            try:
                reply = self.post(timeout=1)
                got = reply.status
                json.loads(reply.body)
                self.fail(rule)
            except (OSError, http.client.HTTPException, ValueError) as e:
                kind = type(e).__name__
            self.assertEqual(before + 1, self.servers(), rule)
            want = {"status": 504, "truncate": "IncompleteRead", "invalid_json": 202, "reset": "ConnectionResetError",
                    "close": "RemoteDisconnected", "hang": "TimeoutError"}[rule["do"]]
            self.assertIn(want, (got, kind), rule)
        self.clear()

    def test_not_carried_out(self):
        for rule in ({"do": "reset", "act": False}, {"do": "close", "act": False}, {"do": "hang", "act": False},
                     {"do": "status", "status": 500}, {"do": "retry_after"}, {"do": "unauthorized"},
                     {"do": "status", "status": 503, "html": True}):
            self.fake.script(method="POST", path="/servers$", **rule)
            try:
                self.assertGreaterEqual(self.post(timeout=0.5).status, 400)
            except (OSError, http.client.HTTPException):
                pass
            self.assertEqual(0, self.servers(), rule)

    def test_rate_limits(self):
        self.fake.script(do="retry_after", status=413, seconds=7)
        self.assertEqual("7", self.list().headers["Retry-After"])
        self.fake.script(do="retry_after", seconds=7, form="date")
        self.assertTrue(self.list().headers["Retry-After"].endswith("GMT"))
        self.fake.script(do="retry_after", form="none")
        self.assertNotIn("Retry-After", self.list().headers)

    def test_unauthorized(self):
        self.fake.script(do="unauthorized", path="/compute", revoke=True)
        self.assertEqual([401, 401], [self.list().status, self.list().status])
        self.fake.login()
        self.assertEqual(200, self.list().status)
        self.fake.call("POST", "/fake/expire-tokens")
        self.assertEqual(401, self.list().status)
        self.fake.login()

    def test_redirect(self):
        self.fake.call("POST", "/fake/reset-counters")
        self.fake.script(do="redirect", status=301)
        where = self.list().headers["Location"]
        trap = self.fake.state()["trap"]
        self.assertIn(f":{trap['port']}/compute", where)
        connection = http.client.HTTPConnection("127.0.0.1", trap["port"])
        connection.request("GET", "/x", headers={"X-Auth-Token": "t"})
        self.assertEqual(200, connection.getresponse().status)
        connection.close()
        self.assertEqual([{"method": "GET", "path": "/x", "token": True}], self.fake.state()["trap"]["requests"])

    def test_answers(self):
        self.fake.script(do="big_body", bytes=1 << 20)
        self.assertGreater(len(self.list().json["padding"]), 1000000)
        self.fake.script(do="date_skew", seconds=-7200)
        skewed = time.mktime(time.strptime(self.list().headers["Date"], "%a, %d %b %Y %H:%M:%S %Z"))
        self.assertLess(abs(skewed + 7200 - time.mktime(time.gmtime())), 100)
        self.fake.script(do="lower_headers")
        self.assertIn("x-openstack-request-id", [k for k, _ in self.list().headers.items()])
        self.fake.script(do="latency", ms=300)
        begin = time.monotonic()
        self.list()
        self.assertGreater(time.monotonic() - begin, 0.29)
        self.fake.script(do="close_after")
        connection = http.client.HTTPConnection("127.0.0.1", self.fake.port)
        reply = self.fake.on(connection, "GET", self.LIST)
        self.assertNotIn("Connection", reply.headers)
        with self.assertRaises((ConnectionError, http.client.RemoteDisconnected)):
            self.fake.on(connection, "GET", self.LIST)
        self.fake.script(do="unscoped")
        self.assertNotIn("catalog", self.fake.auth(PASSWORD, PROJECT).json["token"])
        self.fake.script(do="catalog", omit=["network"])
        types = [e["type"] for e in self.fake.auth(PASSWORD, PROJECT).json["token"]["catalog"]]
        self.assertNotIn("network", types)

    def test_servers_that_err(self):
        self.fake.script(do="error", message="No valid host was found. ")
        server = self.fake.create()
        found = self.fake.wait(server, "ERROR")
        self.assertEqual((500, "No valid host was found. "), (found["fault"]["code"], found["fault"]["message"]))
        self.assertNotIn("progress", found)
        self.fake.delete(server)
        self.fake.script(do="stuck_build")
        server = self.fake.create()
        time.sleep(0.6)
        self.assertEqual("BUILD", self.fake.get(server)["status"])
        self.fake.delete(server)

    def test_late_addresses(self):
        self.fake.script(do="no_address", empty=1, hollow=3)
        server = self.fake.create()
        seen = [self.fake.wait(server, "ACTIVE")["addresses"]] + [self.fake.get(server)["addresses"] for _ in range(4)]
        self.assertEqual([{}, {"private": []}, {"private": []}, {"private": []}], seen[:4])
        self.assertEqual(1, len(seen[4]["private"]))
        self.fake.delete(server)

    def test_slow_to_know_and_to_forget(self):
        self.fake.script(do="first_404", gets=2)
        server = self.fake.create()
        self.assertEqual([404, 404, "BUILD"], [f if isinstance(f, int) else f["status"] for f in (
            self.fake.get(server) for _ in range(3))])
        self.fake.wait(server, "ACTIVE")
        self.fake.script(do="lingers", method="DELETE", gets=3)
        self.assertEqual(204, self.fake.call("DELETE", f"{self.LIST}/{server}").status)
        time.sleep(0.6)
        self.assertEqual(0, self.servers())
        seen = [self.fake.get(server) for _ in range(4)]
        self.assertEqual(["ACTIVE"] * 3 + [404], [f if isinstance(f, int) else f["status"] for f in seen])
        server = self.fake.create()
        self.fake.script(do="lingers", method="DELETE", status="SOFT_DELETED")
        self.fake.call("DELETE", f"{self.LIST}/{server}")
        self.fake.wait(server, "SOFT_DELETED")
        self.assertEqual(1, self.fake.state()["counts"]["soft_deleted"])
        self.assertEqual(202, self.fake.call("POST", f"{self.LIST}/{server}/action", {"forceDelete": None}).status)
        self.assertEqual(404, self.fake.get(server))
        self.fake.script(do="conflict", method="DELETE")
        server = self.fake.create()
        self.assertEqual(409, self.fake.call("DELETE", f"{self.LIST}/{server}").status)
        self.fake.script(do="slow", build=1.0)
        slow = self.fake.create()
        time.sleep(0.5)
        self.assertEqual("BUILD", self.fake.get(slow)["status"])
        self.fake.delete(slow)
        self.fake.delete(server)

    def test_power(self):
        self.fake.script(do="poweroff", after=0.1)
        server = self.fake.create()
        found = self.fake.wait(server, "SHUTOFF")
        self.assertEqual((4, "stopped"), (found["OS-EXT-STS:power_state"], found["OS-EXT-STS:vm_state"]))
        self.fake.delete(server)


class Floating(Case):
    personality = "floating"

    def test_floating_ip(self):
        fake = self.fake
        server = fake.create(security_groups=[{"name": fake.group()}])
        fixed = fake.wait(server, "ACTIVE")["addresses"]["private"][0]["addr"]
        self.assertTrue(fixed.startswith("10."))
        port = fake.call("GET", f"/network/v2.0/ports?device_id={server}").json["ports"][0]["id"]
        pool = fake.network(**{"router:external": True})

        def post(**values):
            return fake.call("POST", "/network/v2.0/floatingips", {"floatingip": {
                "floating_network_id": pool, "port_id": port, "fixed_ip_address": fixed, "description": "d", **values}})
        self.refused(404, "PortNotFound", post(port_id="00000000-0000-0000-0000-000000000000"))
        self.refused(400, "is not a valid external network", post(floating_network_id=fake.network()))
        self.refused(404, "NetworkNotFound", post(floating_network_id="00000000-0000-0000-0000-000000000000"))
        made = post()
        self.assertEqual((201, "ACTIVE"), (made.status, made.json["floatingip"]["status"]))
        fip = made.json["floatingip"]
        self.refused(409, "FloatingIPPortAlreadyAssociated", post())
        seen = {a["addr"]: a["OS-EXT-IPS:type"] for a in fake.get(server)["addresses"]["private"]}
        self.assertEqual({fixed: "fixed", fip["floating_ip_address"]: "floating"}, seen)
        end = time.monotonic() + 5
        while fip["floating_ip_address"] + ":2222" not in fake.state()["listening"]:
            self.assertLess(time.monotonic(), end)
        fake.script(do="delete_lies", method="DELETE", path="/floatingips/", times=2)
        path = "/network/v2.0/floatingips/" + fip["id"]
        for _ in range(2):
            self.assertEqual((204, 200), (fake.call("DELETE", path).status, fake.call("GET", path).status))
        self.assertEqual((204, 404), (fake.call("DELETE", path).status, fake.call("GET", path).status))
        fake.config(quotas={"floatingip": 0})
        self.refused(409, "OverQuota", post())
        fake.config(quotas={"floatingip": 50})
        again = post().json["floatingip"]["id"]
        fake.delete(server)
        left = fake.call("GET", "/network/v2.0/floatingips/" + again).json["floatingip"]
        self.assertEqual((None, "DOWN"), (left["port_id"], left["status"]))
        self.assertEqual(204, fake.call("DELETE", "/network/v2.0/floatingips/" + again).status)


class Rackspace(Case):
    personality = "rackspace"

    def test_account(self):
        fake = self.fake

        def auth(**credentials):
            return fake.call("POST", "/identity/v2.0/tokens", {"auth": credentials})
        key = {"username": "raxuser", "apiKey": "0123456789abcdef0123456789abcdef"}
        access = auth(**{"RAX-KSKEY:apiKeyCredentials": key}).json["access"]
        computes = [s for s in access["serviceCatalog"] if s["type"] == "compute"]
        self.assertEqual(["cloudServers", "cloudServersOpenStack"], [s["name"] for s in computes])
        self.assertIn("SYD", [e["region"] for e in computes[1]["endpoints"]])
        self.refused(401, "unauthorized", auth(**{"RAX-KSKEY:apiKeyCredentials": {**key, "apiKey": "x"}}))
        self.assertEqual(200, auth(passwordCredentials={"username": "raxuser", "password": "raxpw"},
                                   tenantId="960893").status)
        self.refused(400, "badRequest", auth(passwordCredentials={"username": "raxuser", "password": "raxpw"},
                                             tenantId="960893", tenantName="960893"))
        self.assertEqual(404, fake.call("POST", "/identity/v3/auth/tokens", {}).status)
        self.assertEqual(404, fake.call("GET", "/network/v2.0/networks").status)

    def test_server(self):
        fake = self.fake
        server = fake.create()
        found = fake.wait(server, "ACTIVE")
        v4 = [a["addr"] for a in found["addresses"]["public"] if a["version"] == 4]
        self.assertEqual([found["accessIPv4"]], v4)
        reply = fake.call("GET", "/compute/v2/960893/servers")
        self.assertNotIn("Openstack-Api-Version", reply.headers)
        fake.call("GET", "/compute/v2/960893/servers", headers=MV)
        self.assertIn("microversion sent to a cloud without any", fake.state()["strays"])
        self.refused(403, "memory_flavor", fake.call("POST", "/compute/v2/960893/servers",
                                                     fake.body(flavorRef="memory1-15")))
        self.refused(403, "metadata items exceeds 40", fake.call(
            "POST", "/compute/v2/960893/servers", fake.body(metadata={f"k{i}": "" for i in range(41)})))
        fake.delete(server)


class Volumes(Case):
    personality = "no-image-disk"

    def test_boot_from_volume(self):
        fake = self.fake
        self.refused(403, "zero disk", fake.call("POST", "/compute/v2.1/servers", fake.body(), MV))
        device = {"boot_index": 0, "uuid": fake.image(), "source_type": "image", "destination_type": "volume",
                  "delete_on_termination": True}
        self.refused(400, "non-zero size", fake.call("POST", "/compute/v2.1/servers", fake.body(
            imageRef=None, block_device_mapping_v2=[device]), MV))
        self.assertEqual(0, fake.state()["counts"]["volumes"])
        path = "/volume/v3/da73550b84f14a4cb26622ce22ab2df6/volumes"
        for keep in (False, True):
            server = fake.create(imageRef=None, block_device_mapping_v2=[
                {**device, "volume_size": 10, "delete_on_termination": not keep}])
            found = fake.wait(server, "ACTIVE")
            volume = found["os-extended-volumes:volumes_attached"][0]["id"]
            self.assertEqual("", found["image"])
            seen = fake.call("GET", path + "/detail").json["volumes"]
            self.assertEqual([("in-use", server)], [(v["status"], v["attachments"][0]["server_id"]) for v in seen])
            self.refused(400, "Volume status must be available", fake.call("DELETE", f"{path}/{volume}"))
            fake.delete(server)
            self.assertEqual(keep, fake.call("GET", f"{path}/{volume}").status == 200)
        self.assertEqual(202, fake.call("DELETE", f"{path}/{volume}").status)
        self.assertEqual(0, fake.state()["counts"]["volumes"])


class Networks(Case):
    personality = "multi-network,old-nova"

    def test_several(self):
        fake = self.fake
        self.refused(409, "Multiple possible networks found", fake.call(
            "POST", "/compute/v2.1/servers", fake.body(networks=None)))
        self.assertEqual(406, fake.call("GET", "/compute/v2.1/servers", headers=MV).status)
        server = fake.create(mv={"OpenStack-API-Version": "compute 2.37"}, networks=[
            {"uuid": fake.network(name="beta")}])
        self.assertEqual(["beta"], list(fake.wait(server, "ACTIVE")["addresses"]))
        fake.delete(server)


class Guarded(Case):
    personality = "no-port-security"

    def test_group_on_an_open_network(self):
        server = self.fake.create(security_groups=[{"name": "default"}])
        self.assertIn("port_security_enabled", self.fake.wait(server, "ERROR")["fault"]["message"])
        self.fake.delete(server)


if __name__ == "__main__":
    unittest.main()
