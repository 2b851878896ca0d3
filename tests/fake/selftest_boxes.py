# SPDX-License-Identifier: MIT
"""The fake cloud with real boxes: verified logins, and what can go wrong with them. selftest_boxes.py FAKEBOX [words]"""
import base64
import gzip
import os
import subprocess
import sys
import tempfile
import time
import unittest

import yaml

sys.dont_write_bytecode = True

from client import HERE, LONG_S, Fake  # pylint: disable=wrong-import-position

FAKEBOX = sys.argv.pop(1) if __name__ == "__main__" else ""


class Boxes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fake = Fake(boxes=FAKEBOX)
        cls.dir = tempfile.mkdtemp(prefix="fakecloud-keys-")
        for name in ("host", "login"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{cls.dir}/{name}"], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.fake.stop()
        subprocess.run(["rm", "-rf", cls.dir], check=True)

    def tearDown(self):
        self.fake.call("DELETE", "/fake/script")

    def key(self, name):
        with open(f"{self.dir}/{name}", encoding="utf-8") as f:
            return f.read()

    def user_data(self, user="root", zipped=False, **more):
        rights = {} if user == "root" else {"sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash", "lock_passwd": True}
        config = {"ssh_keys": {"ed25519_private": self.key("host"), "ed25519_public": self.key("host.pub").strip()},
                  "disable_root": user != "root", "ssh_pwauth": False,
                  "users": [{"name": user, "ssh_authorized_keys": [self.key("login.pub").strip()], **rights}],
                  "runcmd": [["touch", "/run/stepbox-ready"]], **more}
        text = ("#cloud-config\n" + yaml.safe_dump(config)).encode()
        return base64.b64encode(gzip.compress(text) if zipped else text).decode()

    def boot(self, user_data, **values):
        """(server, its address)."""
        self.group_id = self.fake.group()
        server = self.fake.create(user_data=user_data, security_groups=[{"name": self.group_id}], **values)
        found = self.fake.wait(server, "ACTIVE", "ERROR")
        return server, found["addresses"]["private"][0]["addr"]

    def end(self, server):
        self.fake.delete(server)
        self.assertEqual(204, self.fake.call("DELETE", f"/network/v2.0/security-groups/{self.group_id}").status)
        boxes, until = os.path.join(self.fake.dir, "boxes"), time.monotonic() + 10
        while os.listdir(boxes) and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual([], os.listdir(boxes))

    def ssh(self, address, command, user="root", seconds=10):
        """Repeats while nobody answers at all."""
        known = f"{self.dir}/known_hosts"
        with open(known, "w", encoding="utf-8") as f:
            f.write(f"[{address}]:2222 {self.key('host.pub')}")
        end = time.monotonic() + seconds
        while True:
            done = subprocess.run(
                ["ssh", "-F", "none", "-i", f"{self.dir}/login", "-p", "2222", f"{user}@{address}"] +
                [w for o in ("IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "BatchMode=yes", "ConnectTimeout=2",
                             f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=/dev/null") for w in ("-o", o)] +
                [command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONG_S, check=False)
            if "refused" not in done.stderr or time.monotonic() > end:
                return done
            time.sleep(0.05)

    def test_root(self):
        server, address = self.boot(self.user_data(zipped=True))
        done = self.ssh(address, "until [ -e /run/stepbox-ready ]; do sleep 0.05; done; hostname; id -u")
        self.assertEqual("stepbox-t\n0\n", done.stdout, done.stderr)
        self.end(server)
        self.assertIn("refused", self.ssh(address, "true", seconds=0).stderr)

    def test_another_user(self):
        server, address = self.boot(self.user_data("worker"))
        done = self.ssh(address, "id -un; sudo -n id -u; ls ~/.ssh", "worker")
        self.assertEqual("worker\n0\nauthorized_keys\n", done.stdout, done.stderr)
        self.assertIn("Permission denied", self.ssh(address, "true").stderr)
        self.end(server)

    def test_default_user(self):
        """Without users: the image's own, with nova's key; root only learns whom to ask for."""
        pair = {"keypair": {"name": "k", "public_key": self.key("login.pub")}}
        self.assertEqual(200, self.fake.call("POST", "/compute/v2.1/os-keypairs", pair).status)
        text = yaml.safe_dump({"ssh_keys": {"ed25519_private": self.key("host")}})
        server, address = self.boot(base64.b64encode(b"#cloud-config\n" + text.encode()).decode(), key_name="k")
        self.assertEqual("debian\n", self.ssh(address, "id -un", "debian").stdout)
        self.assertIn('Please login as the user "debian"', self.ssh(address, "id -un").stdout)
        self.end(server)

    def test_two_at_once(self):
        servers = [self.boot(self.user_data()) for _ in range(2)]
        self.assertNotEqual(servers[0][1], servers[1][1])
        for _, address in servers:
            self.assertEqual("ok\n", self.ssh(address, "echo ok").stdout)
        size = self.ssh(servers[0][1], "head -c 30000000 /dev/zero | tr '\\0' x")
        self.assertEqual(30000000, len(size.stdout))
        self.fake.delete(servers[0][0])
        self.end(servers[1][0])

    def test_wrong_host_key(self):
        for rule in ("wrong_host_key", "userdata_ignored"):
            self.fake.script(do=rule)
            server, address = self.boot(self.user_data())
            self.assertIn("REMOTE HOST IDENTIFICATION HAS CHANGED", self.ssh(address, "true").stderr)
            self.end(server)

    def test_no_login(self):
        self.fake.script(do="no_login_key")
        server, address = self.boot(self.user_data())
        self.assertIn("Permission denied", self.ssh(address, "true").stderr)
        self.end(server)
        self.fake.script(do="no_ssh")
        server, address = self.boot(self.user_data())
        self.assertIn("refused", self.ssh(address, "true", seconds=1).stderr)
        self.end(server)
        self.fake.script(do="mute_ssh")
        server, address = self.boot(self.user_data())
        self.assertIn("timed out", self.ssh(address, "true", seconds=1).stderr)
        self.end(server)
        self.fake.script(do="no_ready")
        server, address = self.boot(self.user_data())
        self.assertEqual(1, self.ssh(address, "sleep 1; test -e /run/stepbox-ready").returncode)
        self.end(server)

    def test_bad_host_key(self):
        """sshd refuses it: ACTIVE, and nobody there."""
        server, address = self.boot(self.user_data(ssh_keys={"ed25519_private": "nonsense"}))
        self.assertIn("refused", self.ssh(address, "true", seconds=1).stderr)
        self.assertTrue(self.fake.state()["problems"])
        self.end(server)

    def test_dead_man(self):
        timer = "setsid sh -c 'sleep 1; poweroff' </dev/null >/dev/null 2>&1 &"
        server, address = self.boot(self.user_data(bootcmd=[timer]))
        self.assertEqual(0, self.ssh(address, "true").returncode)
        self.fake.wait(server, "SHUTOFF")
        self.assertIn("refused", self.ssh(address, "true", seconds=0).stderr)
        self.end(server)

    def test_deleted_while_it_boots(self):
        for pause in (0.0, 0.05, 0.1, 0.2):
            server = self.fake.create(user_data=self.user_data())
            time.sleep(pause)
            self.fake.delete(server)
        self.assertEqual([], os.listdir(os.path.join(self.fake.dir, "boxes")))


class Ends(unittest.TestCase):
    """What the fake leaves behind: nothing."""

    def boot(self, fake):
        server = fake.create()
        fake.wait(server, "ACTIVE")
        name = os.path.join(fake.dir, "boxes", server, "stepbox", "boxes", "stepbox-t")
        with open(name + "/pid", encoding="ascii") as f:
            return int(f.read().split()[0])

    def gone(self, pid, seconds=20):
        end = time.monotonic() + seconds
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
            time.sleep(0.05)
        return not os.path.exists(f"/proc/{pid}")

    def test_term(self):
        fake = Fake(boxes=FAKEBOX)
        pid = self.boot(fake)
        fake.stop()
        self.assertTrue(self.gone(pid, 2))
        self.assertEqual(0, fake.process.returncode)

    def test_parent(self):
        """A fake whose starter is killed ends, with its boxes."""
        words = [sys.executable, os.path.join(HERE, "cloud.py"), "--no-boxes", "--state", tempfile.mkdtemp()]
        with subprocess.Popen(["sh", "-c", 'trap "" TERM; "$@" & echo $!; wait', "sh", *words],
                              stdout=subprocess.PIPE, text=True) as starter:
            pid = int(starter.stdout.readline())
            self.assertTrue(starter.stdout.readline().startswith("listening"))
            starter.kill()
        self.assertTrue(self.gone(pid))
        subprocess.run(["rm", "-rf", words[-1]], check=True)


if __name__ == "__main__":
    unittest.main()
