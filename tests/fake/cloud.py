#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A fake OpenStack cloud on this machine, whose servers are real local boxes.

    python3 tests/fake/cloud.py --state DIR [--fakebox PROGRAM | --no-boxes] [--personality NAME,…] [--script FILE]

prints "listening PORT" and serves until SIGTERM, or until the process that started it has gone; then it ends all its
boxes. Services are by path: /identity, /compute, /image, /network, /volume. DIR gets clouds.yaml (OS_CLOUD=fake,
fake-appcred; or rax, rax-v2password) and requests.log (one JSON object a call, without secrets).

Servers answer on ADDRESS:SSH_PORT, ADDRESS being 127.X.Y.Z with X.Y from the API's port; the first group that lets in
TCP 22 or SSH_PORT opens them, as in a real cloud. User-data is carried out by a stand-in for cloud-init (cloudinit.py).

The tests' own paths: GET /fake/state (what there is: counts, lists, calls, counters, trap, problems), POST /fake/script
(rules: see script.py; DELETE forgets them), POST /fake/config ({"build_s": 2, "quotas": {"instances": 3}, …}),
POST /fake/reset-counters, POST /fake/expire-tokens, GET /fake/servers/ID/user_data, POST /fake/servers/ID/poweroff.
"""
import argparse
import ctypes
import json
import os
import signal
import ssl
import sys
import threading

import yaml

sys.dont_write_bytecode = True  # nothing of ours in the source tree

# pylint: disable=wrong-import-position
from fakecloud import compute, create, identity, image, network, state, volume
from fakecloud.http import Handler, Listener, TrapHandler

PR_SET_PDEATHSIG = 1


def options():
    parser = argparse.ArgumentParser(description="A fake OpenStack cloud.", epilog="Personalities: " + "; ".join(
        f"{name}: {text}" for name, text in state.PERSONALITIES.items()))
    parser.add_argument("--port", type=int, default=0, help="of the API; 0: a free one")
    parser.add_argument("--state", required=True, metavar="DIR", help="where everything is kept")
    parser.add_argument("--fakebox", metavar="PROGRAM", help="build/…/fakebox")
    parser.add_argument("--no-boxes", action="store_true", help="servers are records; something listens, that is all")
    parser.add_argument("--personality", default="plain", metavar="NAME,…")
    parser.add_argument("--script", metavar="FILE", help="JSON: rules from the start on")
    parser.add_argument("--config", metavar="FILE", help="JSON: settings from the start on")
    parser.add_argument("--accounts", metavar="FILE", help="JSON: other names and secrets than the standard ones")
    parser.add_argument("--ssh-port", type=int, default=2222, help="on which all servers answer (2222)")
    parser.add_argument("--box-ttl", type=int, default=900, metavar="S", help="a box that is forgotten ends by then")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    found = parser.parse_args()
    if not found.no_boxes and not (found.fakebox and os.access(found.fakebox, os.X_OK)):
        parser.error("--fakebox PROGRAM, or --no-boxes")
    found.state = os.path.abspath(found.state)
    found.fakebox = found.fakebox and os.path.abspath(found.fakebox)
    return found


def load(path):
    if path is None:
        return None
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def write_clouds(cloud, cacert):
    """clouds.yaml for whoever wants to use us."""
    acc, common = cloud.accounts, {"region_name": cloud.region, **({"cacert": cacert} if cacert else {})}
    if cloud.rackspace:
        url = cloud.url + "/identity/v2.0/"
        entries = {"rax": {"auth_type": "rackspace_apikey", "profile": "rackspace", "auth": {
            "auth_url": url, "username": acc["rax_user"], "api_key": acc["rax_api_key"]}},
            "rax-v2password": {"auth_type": "v2password", "compute_service_name": "cloudServersOpenStack", "auth": {
                "auth_url": url, "username": acc["rax_user"], "password": acc["rax_password"],
                "tenant_id": acc["rax_tenant"]}}}
    else:
        url = cloud.url + "/identity"
        entries = {"fake": {"identity_api_version": "3", "auth": {
            "auth_url": url, "username": acc["user"], "password": acc["password"], "project_name": acc["project"],
            "user_domain_name": acc["domain"], "project_domain_name": acc["domain"]}},
            "fake-appcred": {"auth_type": "v3applicationcredential", "auth": {
                "auth_url": url + "/v3", "application_credential_id": acc["appcred_id"],
                "application_credential_secret": acc["appcred_secret"]}}}
    path = os.path.join(cloud.dir, "clouds.yaml")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as f:
        yaml.safe_dump({"clouds": {k: {**common, **v} for k, v in entries.items()}}, f)


def watch_parent(parent, stop):
    """By signal, and by looking: the signal comes only if the thread that started us ends, too."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    def look():
        while os.getppid() == parent and not stop.wait(0.5):
            pass
        stop.set()
    threading.Thread(target=look, name="parent", daemon=True).start()


def main():
    chosen, parent, stop = options(), os.getppid(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    watch_parent(parent, stop)
    chosen.accounts = load(chosen.accounts)
    try:
        cloud = state.Cloud(chosen)
        cloud.script.add(load(chosen.script) or [])
        cloud.configure(load(chosen.config) or {})
    except ValueError as e:
        sys.exit(f"cloud.py: {e}")
    tls = None
    if chosen.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*chosen.tls)
    assert create.create  # its route is among compute's
    services = [identity.identity, compute.compute, image.image, network.network, volume.volume]
    api = Listener(cloud, ("127.0.0.1", chosen.port), Handler, services, tls)
    trap = Listener(cloud, ("127.0.0.1", 0), TrapHandler)
    cloud.port, cloud.trap_port = api.server_port, trap.server_port
    cloud.url = f"http{'s' if tls else ''}://127.0.0.1:{cloud.port}"
    write_clouds(cloud, os.path.abspath(chosen.tls[0]) if tls else None)
    for server in (api, trap):
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    print(f"listening {cloud.port}", flush=True)
    stop.wait()
    cloud.stopping.set()
    for server in (api, trap):
        server.shutdown()
        server.server_close()
    cloud.stop()


if __name__ == "__main__":
    main()
