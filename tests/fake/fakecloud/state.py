# SPDX-License-Identifier: MIT
"""Everything the fake cloud knows, under one lock."""
import collections
import hashlib
import json
import os
import shutil
import threading
import time
import uuid

from . import boxes, forward, script

PERSONALITIES = {
    "plain": "one shared network whose addresses can be reached",
    "floating": "a private network that cannot be reached, and a pool of floating IPs",
    "rackspace": "Keystone v2.0 with API keys, compute v2 without microversions, regions; no network service",
    "multi-network": "two networks: one must be named",
    "no-image-disk": "flavors without a disk: boot from volume",
    "no-port-security": "a network where security groups end in ERROR",
    "no-router": "floating IPs cannot reach the private network",
    "two-regions": "a second region in the catalog, nothing of it answers",
    "no-volume": "no volume service in the catalog",
    "old-nova": "compute ends at microversion 2.42",
}
REGION, TENANT = "RegionOne", "da73550b84f14a4cb26622ce22ab2df6"
ACCOUNTS = {"user": "demo", "user_id": "cb2fca51b1e841ad96d872cc5c6c81f9", "password": "demopw", "domain": "Default",
            "domain_id": "default", "project": "demo", "project_id": TENANT,
            "appcred_id": "fe5a1a818ad646f5b1ebc93e33e1d508", "appcred_name": "stepbox", "appcred_secret": "appsecret",
            "rax_user": "raxuser", "rax_password": "raxpw", "rax_api_key": "0123456789abcdef0123456789abcdef",
            "rax_tenant": "960893"}
QUOTAS = {"instances": 40, "cores": 80, "ram": 204800, "metadata_items": 128, "floatingip": 50, "security_group": 50,
          "key_pairs": 100}
SETTINGS = {"build_s", "ssh_s", "ready_s", "delete_s", "token_life_s", "page_max", "quotas", "open", "fip_lag_s"}
LOG_BODY_MAX = 20000
SECRET_KEYS = {"user_data", "password", "apiKey", "secret", "adminPass"}


def iso(seconds, micro=False):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + (".000000" if micro else "Z")


def new_id():
    return str(uuid.uuid4())


def redact(value, key=""):
    """A body without its secrets, for the log."""
    if isinstance(value, dict):
        return {k: redact(v, "token" if key == "token" and k == "id" else k) for k, v in value.items()}
    if isinstance(value, list):
        return [redact(v) for v in value]
    if isinstance(value, str) and (key in SECRET_KEYS or key == "token"):
        return f"<{key}: {len(value)} characters>"
    return value


class Server:
    """A server as nova keeps it, with what the fake does to it."""

    def __init__(self, **values):
        self.id, self.created = new_id(), time.time()
        self.updated, self.launched, self.terminated = self.created, None, None
        self.status, self.vm_state, self.task_state, self.power_state = "BUILD", "building", "scheduling", 0
        self.host, self.fault, self.console, self.shown = "", None, "", False
        self.ports, self.volumes, self.tags, self.gets, self.active_gets = [], [], [], 0, 0
        self.deleting = self.soft = False
        self.delete_faults, self.lingering = {}, None
        self.wants_power, self.reach, self.open_at, self.life = None, ([], None), None, None
        self.__dict__.update(values)

    def touch(self):
        self.updated = time.time()


class Cloud:
    def __init__(self, options):
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.dir, self.fakebox, self.no_boxes = options.state, options.fakebox, options.no_boxes
        self.ssh_port, self.box_ttl = options.ssh_port, options.box_ttl
        self.personality = set(options.personality.split(","))
        strange = self.personality - set(PERSONALITIES)
        if strange:
            raise ValueError(f"personality {', '.join(strange)}: there are {', '.join(PERSONALITIES)}")
        self.rackspace = "rackspace" in self.personality
        self.floating = bool(self.personality & {"floating", "no-router"})
        self.accounts = {**ACCOUNTS, **(options.accounts or {})}
        self.region = "SYD" if self.rackspace else REGION
        self.project = self.accounts["rax_tenant"] if self.rackspace else self.accounts["project_id"]
        self.build_s, self.ssh_s, self.ready_s, self.delete_s = 0.3, 0.1, 0.1, 0.1
        self.token_life_s, self.page_max, self.open, self.fip_lag_s = 3600.0, 1000, False, 0.0
        self.quotas = dict(QUOTAS, metadata_items=40 if self.rackspace else 128)
        self.max_microversion = 42 if "old-nova" in self.personality else 93
        self.tokens, self.servers, self.volumes = {}, {}, {}
        self.fips, self.groups, self.rules, self.ports, self.keypairs = {}, {}, {}, {}, {}
        self.script, self.calls, self.counters = script.Script(), 0, collections.Counter()
        self.trap, self.problems, self.strays = [], [], collections.Counter()
        self.port = self.trap_port = None
        self.used_hosts, self.next_host, self.next_private, self.servers_made = set(), 1, 0, 0
        # More at once only get into each other's way.
        self.boot_slots = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))
        os.makedirs(self.dir, mode=0o700, exist_ok=True)
        self.log_lock, self.log = threading.Lock(), open(  # pylint: disable=consider-using-with
            os.path.join(self.dir, "requests.log"), "a", encoding="utf-8", buffering=1)
        self.forwarder = forward.Forwarder()
        self.seed()

    # ---- what there is from the beginning ----

    def seed(self):
        self.networks, self.subnets, self.images, self.flavors = {}, {}, {}, {}
        if not self.rackspace:
            names = ["alpha", "beta"] if "multi-network" in self.personality else ["private"]
            for name in names:
                self.add_network(name, False)
            if self.floating:
                self.add_network("public", True)
            self.add_group("default", "Default security group")
        now = time.time()
        self.add_image("debian-12", now - 86400, os_distro="debian", os_version="12", os_admin_user="debian")
        self.add_image("debian-12-root", now - 80000, os_distro="debian", os_version="12", os_admin_user="root")
        self.add_image("twin", now - 90000, os_distro="debian", os_admin_user="root")
        self.add_image("twin", now - 70000, os_distro="debian", os_admin_user="root")
        self.add_image("big", now - 60000, min_disk=200, min_ram=1 << 20)
        self.add_image("half-made", now - 50000, status="queued")
        self.seed_images = set(self.images)
        disks = "no-image-disk" not in self.personality
        rows = [("m1.tiny", 1, 512, 1), ("m1.small", 1, 2048, 20), ("m1.medium", 2, 4096, 40),
                ("m1.large", 4, 8192, 80), ("m1.huge", 64, 1 << 20, 1000)]
        if self.rackspace:
            rows = [("general1-1", 1, 1024, 20), ("general1-2", 2, 2048, 40), ("memory1-15", 2, 15360, 0)]
        for i, (name, vcpus, ram, disk) in enumerate(rows):
            flavor_id = name if self.rackspace else str(i + 1)
            self.flavors[flavor_id] = {"id": flavor_id, "name": name, "vcpus": vcpus, "ram": ram,
                                       "disk": disk if disks else 0}

    def add_network(self, name, external):
        net, sub, now = new_id(), new_id(), iso(time.time())
        reachable = not self.floating
        cidr = "203.0.113.0/24" if external else "127.0.0.0/8" if reachable else "10.254.77.0/24"
        self.networks[net] = {
            "id": net, "name": name, "tenant_id": self.project, "admin_state_up": True, "mtu": 1500,
            "status": "ACTIVE", "subnets": [sub], "shared": not external, "availability_zone_hints": [],
            "availability_zones": [], "ipv4_address_scope": None, "ipv6_address_scope": None,
            "router:external": external, "description": "",
            "port_security_enabled": "no-port-security" not in self.personality, "tags": [], "created_at": now,
            "updated_at": now, "revision_number": 2, "project_id": self.project}
        if external:
            self.networks[net]["is_default"] = False
        self.subnets[sub] = {
            "id": sub, "name": name + "-v4", "tenant_id": self.project, "network_id": net, "ip_version": 4,
            "subnetpool_id": None, "enable_dhcp": False, "ipv6_ra_mode": None, "ipv6_address_mode": None,
            "gateway_ip": None, "cidr": cidr, "allocation_pools": [], "host_routes": [], "dns_nameservers": [],
            "description": "", "service_types": [], "tags": [], "created_at": now, "updated_at": now,
            "revision_number": 0, "project_id": self.project}

    def add_group(self, name, description):
        group, now = new_id(), iso(time.time())
        self.groups[group] = {"id": group, "name": name, "stateful": True, "tenant_id": self.project,
                              "description": description, "shared": False, "tags": [], "created_at": now,
                              "updated_at": now, "revision_number": 1, "project_id": self.project}
        for ethertype in ("IPv4", "IPv6"):
            self.add_rule({"security_group_id": group, "direction": "egress", "ethertype": ethertype})
        return group

    def add_rule(self, values):
        rule, now = new_id(), iso(time.time())
        self.rules[rule] = {
            "id": rule, "tenant_id": self.project, "security_group_id": None, "ethertype": "IPv4",
            "direction": "ingress", "protocol": None, "port_range_min": None, "port_range_max": None,
            "remote_ip_prefix": None, "remote_address_group_id": None,
            "normalized_cidr": values.get("remote_ip_prefix"), "remote_group_id": None, "description": "",
            "created_at": now, "updated_at": now, "revision_number": 0, "project_id": self.project, **values}
        return self.rules[rule]

    def add_image(self, name, created, **values):
        image = new_id()
        self.images[image] = {
            "name": name, "disk_format": "raw", "container_format": "bare", "visibility": "public",
            "size": 89604096, "virtual_size": 89604096, "status": "active", "checksum": "0" * 32,
            "protected": False, "min_ram": 256, "min_disk": 1, "owner": self.project, "os_hidden": False,
            "os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(name.encode()).hexdigest(), "id": image,
            "created_at": iso(created), "updated_at": iso(created), "tags": [], "self": f"/v2/images/{image}",
            "file": f"/v2/images/{image}/file", "schema": "/v2/schemas/image", **values}
        if self.rackspace:
            self.images[image].pop("os_admin_user", None)
        return self.images[image]

    # ---- addresses ----

    def take_address(self):
        """A loopback address of our own: the middle is our API's port, so two fakes share none."""
        for _ in range(254):
            host, self.next_host = self.next_host, self.next_host % 254 + 1
            if host not in self.used_hosts:
                self.used_hosts.add(host)
                return f"127.{self.port >> 8}.{self.port & 255}.{host}"
        return None

    def give_address(self, address):
        if address.startswith("127."):
            self.used_hosts.discard(int(address.rsplit(".", 1)[1]))

    def make_ports(self, server):
        with self.lock:
            for net in server.networks:
                address = self.take_address()
                if self.floating and address:
                    self.give_address(address)
                    self.next_private = self.next_private % 250 + 1
                    address = f"10.254.77.{self.next_private + 2}"
                if address is None:
                    server.broken = "Failed to allocate the network(s), not rescheduling."
                    return
                server.ports.append(self.add_port(net, address, server.id, "compute:nova", server.group_ids)["id"])

    def add_port(self, net, address, device, owner, groups, **values):
        port, now = new_id(), iso(time.time())
        network = self.networks.get(net, {"subnets": [None], "port_security_enabled": True})
        self.ports[port] = {
            "id": port, "name": "", "network_id": net, "tenant_id": self.project,
            "mac_address": "fa:16:3e:" + ":".join(port[i:i + 2] for i in (0, 2, 4)), "admin_state_up": True,
            "status": "ACTIVE" if device else "DOWN", "device_id": device, "device_owner": owner,
            "fixed_ips": [{"subnet_id": network["subnets"][0], "ip_address": address}],
            "allowed_address_pairs": [], "extra_dhcp_opts": [],
            "security_groups": list(groups) if network["port_security_enabled"] else [], "description": "",
            "binding:vnic_type": "normal", "port_security_enabled": network["port_security_enabled"], "tags": [],
            "created_at": now, "updated_at": now, "revision_number": 5, "project_id": self.project, **values}
        return self.ports[port]

    def drop_port(self, port):
        gone = self.ports.pop(port, None)
        if gone:
            self.give_address(gone["fixed_ips"][0]["ip_address"])
            for fip in self.fips.values():
                if fip["port_id"] == port:
                    fip.update(port_id=None, fixed_ip_address=None, router_id=None, status="DOWN")

    def admits(self, port):
        """May the port be reached? By what its groups let in from this machine."""
        if self.open or self.rackspace or not port["port_security_enabled"]:
            return True
        for rule in self.rules.values():
            low, high = rule["port_range_min"], rule["port_range_max"]
            if rule["security_group_id"] in port["security_groups"] and rule["direction"] == "ingress" and \
               rule["ethertype"] == "IPv4" and rule["protocol"] in ("tcp", "6", 6, None) and \
               rule["remote_group_id"] is None and \
               (low is None or any(int(low) <= p <= int(high) for p in (22, self.ssh_port))) and \
               (rule["remote_ip_prefix"] or "0.0.0.0/0").split("/")[0] in ("0.0.0.0", "127.0.0.0", "127.0.0.1"):
                return True
        return False

    def reachable(self, server):
        """The loopback addresses on which it answers now."""
        with self.lock:
            found = []
            for port in (self.ports[p] for p in server.ports if p in self.ports):
                if self.admits(port):
                    own = [port["fixed_ips"][0]["ip_address"]]
                    own += [f["floating_ip_address"] for f in self.fips.values() if f["port_id"] == port["id"]]
                    found += [a for a in own if a.startswith("127.")]
            return sorted(found)

    # ---- servers ----

    def start(self, server):
        self.servers[server.id] = server
        self.servers_made += 1
        server.life = boxes.Life(self, server)
        server.life.start()

    def wake(self):
        """Something has changed that decides who is reached."""
        for server in self.servers.values():
            server.life.wake.set()

    def attach_volumes(self, server):
        with self.lock:
            for volume in server.volumes:
                self.volumes[volume].update(status="in-use", bootable="true", attachments=[
                    {"server_id": server.id, "volume_id": volume, "device": "/dev/vda", "id": volume,
                     "attachment_id": new_id(), "host_name": None, "attached_at": iso(time.time(), True)}])

    def server_gone(self, server):
        """Everything that nova itself had made for it goes along."""
        with self.lock:
            for port in server.ports:
                if port in self.ports and self.ports[port]["device_owner"] == "compute:nova":
                    self.drop_port(port)
            for volume in server.volumes:
                if self.volumes.get(volume, {}).get("delete_on_termination"):
                    del self.volumes[volume]
                elif volume in self.volumes:
                    self.volumes[volume].update(status="available", attachments=[])
            server.status, server.vm_state, server.task_state = "DELETED", "deleted", None
            server.terminated, server.shown, server.power_state = time.time(), False, 0
            linger = server.delete_faults.get("lingers")
            if linger and not self.stopping.is_set():
                server.lingering = linger["gets"]
                server.status = linger["status"]
                server.soft = linger["status"] == "SOFT_DELETED"
            else:
                self.servers.pop(server.id, None)
        shutil.rmtree(os.path.join(self.dir, "boxes", server.id), ignore_errors=True)

    def usage(self):
        alive = [s for s in self.servers.values() if s.lingering is None]
        return {"instances": len(alive), "cores": sum(s.flavor["vcpus"] for s in alive),
                "ram": sum(s.flavor["ram"] for s in alive)}

    # ---- for the tests ----

    def problem(self, text):
        with self.lock:
            if len(self.problems) < 200:
                self.problems.append(text)
        print(f"fake cloud: {text}", flush=True)

    def write_log(self, entry, body):
        if body:
            try:
                text = json.dumps(redact(json.loads(body)))
            except (ValueError, RecursionError):
                text = f"<{len(body)} bytes, no JSON>"
            entry["body"] = text[:LOG_BODY_MAX]
        with self.log_lock:
            self.log.write(json.dumps(entry) + "\n")

    def configure(self, values):
        strange = set(values) - SETTINGS
        if strange:
            raise ValueError(f"no setting {', '.join(sorted(strange))}; there are {', '.join(sorted(SETTINGS))}")
        for key, value in values.items():
            if key == "quotas":
                self.quotas.update(value)
            else:
                setattr(self, key, type(getattr(self, key))(value))

    def report(self):
        with self.lock:
            groups = [g for g in self.groups.values() if g["name"] != "default"]
            lists = {
                "servers": [{"id": s.id, "name": s.name, "status": s.status, "task_state": s.task_state,
                             "metadata": s.metadata, "image": s.image, "flavor": s.flavor["name"],
                             "reachable": s.reach[0], "created": s.created, "open_at": s.open_at,
                             "cloud_init": s.life.init.summary() if s.life and s.life.init else None}
                            for s in self.servers.values() if s.lingering is None],
                "soft_deleted": [s.id for s in self.servers.values() if s.soft],
                "floatingips": list(self.fips.values()), "groups": groups, "volumes": list(self.volumes.values()),
                "ports": list(self.ports.values()), "keypairs": list(self.keypairs),
                "images": [i for i in self.images.values() if i["id"] not in self.seed_images]}
            return {"counts": {k: len(v) for k, v in lists.items()}, **lists, "calls": self.calls,
                    "counters": dict(sorted(self.counters.items())), "rules": self.script.report(),
                    "trap": {"port": self.trap_port, "requests": self.trap}, "problems": self.problems,
                    "strays": dict(self.strays), "connections": self.forwarder.accepted,
                    "listening": [f"{a}:{p}" for a, p in self.forwarder.listening()], "ssh_port": self.ssh_port,
                    "tokens": len(self.tokens), "servers_made": self.servers_made}

    def stop(self):
        """Ends every box."""
        self.stopping.set()
        with self.lock:
            lives = [s.life for s in self.servers.values() if s.life]
        for life in lives:
            life.wake.set()
        for life in lives:
            life.join(boxes.END_S + 5)
        self.forwarder.stop()
        shutil.rmtree(os.path.join(self.dir, "boxes"), ignore_errors=True)
