# SPDX-License-Identifier: MIT
"""The life of a server: one thread each, from BUILD to gone, with a real local box behind it."""
import fcntl
import os
import re
import subprocess
import threading
import time

from . import cloudinit

BOOT_S, END_S, SCRIPT_S = 90, 45, 30
LOOK_S = 0.1
# A line whose private half nobody has: a box wants one.
NOBODY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA nobody"


class BoxProblem(Exception):
    pass


class Box:
    """A local box, made and ended by fakebox. Its stepbox state directory is its own."""

    def __init__(self, cloud, server):
        self.fakebox, self.home = cloud.fakebox, os.path.join(cloud.dir, "boxes", server.id)
        self.name = server.name if re.fullmatch("[a-z0-9][a-z0-9._-]{0,62}", server.name) else "s-" + server.id[:8]
        self.image, self.ttl, self.port, self.finals = server.base, cloud.box_ttl, None, []
        self.dir = os.path.join(self.home, "stepbox", "boxes", self.name)
        os.makedirs(self.home, mode=0o700, exist_ok=True)

    def run(self, *words, limit):
        env = {**os.environ, "XDG_STATE_HOME": self.home}
        done = subprocess.run([self.fakebox, *words], env=env, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=limit, check=False)
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace").strip()

    def file(self, name, text):
        path = os.path.join(self.home, name)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def new_key(self, name):
        """A host key as an image makes itself one at its first boot."""
        path = os.path.join(self.home, name)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "image", "-f", path], check=True,
                       stdin=subprocess.DEVNULL, timeout=30)
        return path

    def boot(self, host_key, login_line):
        key = self.new_key("image_key") if host_key is None else self.file("host_key", host_key)
        rc, out, err = self.run("boot", self.name, self.image, str(self.ttl), key,
                                self.file("login_key", login_line + "\n"), limit=BOOT_S)
        os.unlink(key)
        if rc != 0:
            raise BoxProblem(err or f"fakebox: exit {rc}")
        self.port = int(out.split()[1])

    def init_pid(self):
        """pid 1 of the box: the keeper's unshare's child."""
        with open(os.path.join(self.dir, "pid"), encoding="ascii") as f:
            pid = int(f.read().split()[0])
        for _ in range(2):
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                pid = int(f.read().split()[0])
        return pid

    def enter(self, script, wait=True):
        """Runs a shell script as root of the box. The script goes in by stdin, as it may hold secrets, and is read
        whole before it runs, so that nothing it starts can eat it."""
        words = ["nsenter", "-t", str(self.init_pid()), "-U", "-m", "-p", "-u", "-i", "-S", "0", "-G", "0", "--",
                 "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                 "LC_ALL=C.UTF-8", "sh", "-c", 'script=$(cat) && exec </dev/null && eval "$script"']
        # A file, not a pipe: what the script leaves in the background may keep it open.
        with open(os.path.join(self.home, "output"), "w+b") as output:
            child = subprocess.Popen(words, stdin=subprocess.PIPE,  # pylint: disable=consider-using-with
                                     stdout=output, stderr=subprocess.STDOUT)
            child.stdin.write(script.encode())
            child.stdin.close()
            if not wait:
                self.finals.append(child)
                return
            try:
                child.wait(SCRIPT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(5)
            if child.returncode:
                output.seek(0)
                raise BoxProblem(output.read(500).decode(errors="replace") or f"exit {child.returncode}")

    def alive(self):
        """As the driver asks it: somebody holds the lock."""
        for child in self.finals:
            child.poll()
        try:
            with open(os.path.join(self.dir, "lock"), "rb") as f:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def end(self):
        rc, _, err = self.run("end", self.name, limit=END_S)
        for child in self.finals:
            if child.poll() is None:
                child.kill()
            child.wait(5)
        if rc != 0:
            raise BoxProblem(err)


class Life(threading.Thread):
    """Owns a server's box; the only one that changes its status. Wakes at once when the server is to go."""

    def __init__(self, cloud, server):
        super().__init__(name=f"server {server.id[:8]}", daemon=True)
        self.cloud, self.server, self.faults = cloud, server, server.faults
        self.box, self.init, self.ssh_at, self.final_at, self.off_at = None, None, None, None, None
        self.wake = threading.Event()

    def seconds(self, what):
        slow = self.faults.get("slow")
        given = slow[what] if slow else None
        return getattr(self.cloud, what + "_s") if given is None else given

    def pause(self, seconds, until_deleted=True):
        """Sleeps; False when the server is to go."""
        end = time.monotonic() + seconds
        while not self.cloud.stopping.is_set() and not (until_deleted and self.server.deleting):
            left = end - time.monotonic()
            if left <= 0:
                return True
            self.wake.wait(min(left, LOOK_S))
            self.wake.clear()
        return False

    def tick(self):
        """Until something may have changed; False when the server is to go."""
        now = time.monotonic()
        soon = [t - now for t in (self.ssh_at, self.final_at) if t is not None and t > now]
        self.wake.wait(min(soon + [LOOK_S]))
        self.wake.clear()
        return not self.cloud.stopping.is_set() and not self.server.deleting

    def run(self):
        try:
            if self.build():
                while self.tick():
                    self.look()
            self.finish()
        except Exception as e:  # pylint: disable=broad-except
            self.cloud.problem(f"server {self.server.id}: {e!r}")
            self.finish()

    def set(self, **values):
        with self.cloud.lock:
            for key, value in values.items():
                setattr(self.server, key, value)
            self.server.touch()

    def build(self):
        server, cloud = self.server, self.cloud
        begin, build_s = time.monotonic(), self.seconds("build")
        error = self.faults.get("error")
        if error:
            self.pause(error["after"] or build_s / 2)
            if error["address"]:
                cloud.make_ports(server)
                server.shown = True
            self.set(status="ERROR", vm_state="error", task_state=None, fault=(500, error["message"]))
            return True
        self.pause(build_s * 0.2)
        self.set(task_state=None, host="nova")
        cloud.make_ports(server)
        if server.broken:
            self.set(status="ERROR", vm_state="error", task_state=None, fault=(500, server.broken))
            return True
        self.set(task_state="spawning")
        if "stuck_build" in self.faults:
            return self.pause(1e9)
        if not cloud.no_boxes and not server.deleting:
            self.boot()
        # A delete during the build is taken up when the build is over, as nova does it.
        self.pause(max(0, begin + build_s - time.monotonic()), until_deleted=False)
        if server.deleting:
            return False
        cloud.attach_volumes(server)
        self.set(status="ACTIVE", vm_state="active", task_state=None, power_state=1, launched=time.time(), shown=True)
        now = time.monotonic()
        self.ssh_at = now + self.seconds("ssh")
        self.final_at = self.ssh_at + self.seconds("ready")
        off = self.faults.get("poweroff")
        self.off_at = now + off["after"] if off else None
        return True

    def boot(self):
        server = self.server
        raw = b"" if server.ignores_user_data or "userdata_ignored" in self.faults else server.user_data
        init = self.init = cloudinit.CloudInit(raw, server.default_user, server.metadata_keys)
        host_key = None if "wrong_host_key" in self.faults else init.host_key
        if "no_login_key" in self.faults:
            init.keys = {user: [NOBODY] for user in init.keys}
        simple = init.plain_root() and len(init.first_root_key()) < 128
        server.console += "".join(f"[    1.000000] cloud-init[1]: {note}\n" for note in init.notes)
        self.box = Box(self.cloud, server)
        try:
            with self.cloud.boot_slots:
                self.box.boot(host_key, init.first_root_key() if simple else NOBODY)
                self.box.enter(init.boot_script())
                if not simple:
                    self.box.enter(init.setup_script())
        except BoxProblem as e:
            # It may be our user-data: a key that sshd refuses. A real server is ACTIVE all the same.
            self.cloud.problem(f"box of server {server.id}: {e}")
            server.console += f"sshd: {e}\n"

    def look(self):
        """What has changed since the last look."""
        server, now = self.server, time.monotonic()
        if server.status == "ACTIVE" and self.ssh_at is not None:
            if self.off_at and now >= self.off_at or self.box and self.box.port and not self.box.alive():
                self.power_off()
            elif self.final_at and now >= self.final_at:
                self.final_at = None
                self.last_stage()
            elif server.wants_power is False:
                self.power_off()
        elif server.status == "SHUTOFF" and server.wants_power:
            self.set(status="ACTIVE", vm_state="active", power_state=1, task_state=None)
        server.wants_power = None
        self.reach()

    def reach(self):
        """Who answers on the server's addresses: nobody while it may not be reached."""
        server, cloud = self.server, self.cloud
        up = (server.status == "ACTIVE" and not server.deleting and self.ssh_at is not None and
              time.monotonic() >= self.ssh_at and "no_ssh" not in self.faults and
              (cloud.no_boxes or self.box is not None and self.box.port is not None))
        addresses = cloud.reachable(server) if up else []
        target = "mute" if "mute_ssh" in self.faults else None if cloud.no_boxes else self.box and self.box.port
        if (addresses, target) != server.reach:
            server.reach = (addresses, target)
            cloud.forwarder.set(server.id, addresses, cloud.ssh_port, target)
            if addresses and server.open_at is None:
                server.open_at = time.time()

    def last_stage(self):
        """cloud-init's final modules: runcmd, and the console's word about the keys."""
        server = self.server
        if self.box and self.box.port and "no_ready" not in self.faults:
            try:
                self.box.enter(self.init.final_script(), wait=False)
            except (BoxProblem, OSError, IndexError, ValueError) as e:
                self.cloud.problem(f"last stage of {server.id}: {e}")
        server.console += (f"<14>cloud-init: -----BEGIN SSH HOST KEY FINGERPRINTS-----\n"
                           f"<14>cloud-init: 256 SHA256:fake root@{server.name} (ED25519)\n"
                           f"<14>cloud-init: -----END SSH HOST KEY FINGERPRINTS-----\n"
                           f"cloud-init[1]: Cloud-init v. 22.4.2 finished. Datasource DataSourceOpenStack.\n"
                           f"Debian GNU/Linux 12 {server.name} ttyS0\n\n{server.name} login: \n")

    def power_off(self):
        self.off_at = None
        self.end_box()
        self.set(status="SHUTOFF", vm_state="stopped", power_state=4, task_state=None)

    def end_box(self):
        if self.box is None:
            return
        self.cloud.forwarder.set(self.server.id, [], self.cloud.ssh_port, None)
        self.server.reach = ([], None)
        box, self.box = self.box, None
        try:
            box.end()
        except (BoxProblem, OSError, subprocess.SubprocessError) as e:
            self.cloud.problem(f"ending the box of {self.server.id}: {e}")

    def finish(self):
        self.cloud.forwarder.set(self.server.id, [], self.cloud.ssh_port, None)
        self.end_box()
        if not self.cloud.stopping.is_set():
            self.pause(self.seconds("delete"), until_deleted=False)
        self.cloud.server_gone(self.server)
