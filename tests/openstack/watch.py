#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Watches, from outside and with nobody's help, when a server can first be logged in to:

    watch.py NAME-REGEX KEY-GLOB USER SECONDS >times.json

It looks the server up by name and takes its address from the network API (which knows it seconds before nova tells it),
then connects to port 22 in a tight loop: every try may take 100 ms, the next follows 10 ms later. As soon as an SSH banner is
read, ssh(1) logs in with the private key that KEY-GLOB names, again and again until it may. Times are wall seconds:

    seen     the server is in nova's list        address  the network API has its address
    open     port 22 accepted a connection       banner   sshd sent its first line, on the connection just before ...
    login    ... the attempt that succeeded: the earliest moment at which a login was possible
    ran      when the command of that login ran, by the guest's clock
    refused  how many login attempts were turned away before; why: the last of their messages

Needs python3-openstacksdk (it comes with python3-openstackclient) and the cloud as OS_CLOUD."""
import glob
import json
import re
import socket
import subprocess
import sys
import time

from openstack import config


def main():
    want, key_glob, user, limit = re.compile(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
    end = time.time() + limit
    session = config.OpenStackConfig().get_one().get_session()
    compute, network = ({'service_type': t} for t in ('compute', 'network'))
    session.get_token()
    out = {'refused': 0}
    print('ready', file=sys.stderr, flush=True)

    def get(path, where):
        return session.get(path, endpoint_filter=where).json()

    server = None
    while not server and time.time() < end:
        server = next((s for s in get('/servers', compute)['servers'] if want.search(s['name'])), None)
        server or time.sleep(0.1)
    out['seen'] = time.time()
    base = '/ports' if '/v2.0' in session.get_endpoint(**network) else '/v2.0/ports'
    address = None
    while server and not address and time.time() < end:
        for port in get(base + '?device_id=' + server['id'], network)['ports']:
            for ip in port['fixed_ips']:
                address = ip['ip_address']
        address or time.sleep(0.1)
    out['address'], out['ip'] = time.time(), address

    while address and time.time() < end:
        try:
            with socket.create_connection((address, 22), 0.1) as s:
                out.setdefault('open', time.time())
                s.settimeout(5)
                banner = s.recv(64)
        except OSError:
            time.sleep(0.01)
            continue
        if not banner.startswith(b'SSH-'):
            continue
        seen = time.time()
        out.setdefault('banner', seen)
        keys = glob.glob(key_glob)
        if not keys:
            time.sleep(0.01)
            continue
        p = subprocess.run(['ssh', '-F', 'none', '-i', keys[0], '-o', 'IdentitiesOnly=yes', '-o', 'IdentityAgent=none',
                            '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'BatchMode=yes',
                            '-o', 'LogLevel=ERROR', '-o', 'ConnectTimeout=5', user + '@' + address, 'date +%s.%N'],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if p.returncode == 0:
            out['login'], out['ran'] = seen, float(p.stdout)
            break
        out['refused'] += 1
        out['why'] = (p.stderr.strip().splitlines() or ['exit %d' % p.returncode])[-1]
    print(json.dumps(out))


main()
