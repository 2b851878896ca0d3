#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the tests ask a cloud by another way than stepbox's own: openstacksdk reads clouds.yaml and logs in (OS_CLOUD).

    api.py count                          everything of the project that costs something, as JSON
    api.py left BEFORE.json               what is there now and was not then, or the other way: a line each, exit 1
    api.py wait NAME STATUS SECONDS       until a server with NAME in its name has that status (GONE: is not there)
    api.py server NAME                    nova's object of the server with NAME in its name
    api.py purge NAME                     delete servers and groups with NAME in their names (after a check that went wrong)
    api.py names flavors|images|networks  one a line
    api.py secrets                        the secrets of the cloud's entry, one a line
    api.py project-new NAME FILE.yaml     with an administrator's cloud: a project and a user NAME of their own, written to
                                          FILE.yaml as clouds NAME (password) and NAME-appcred (application credential)
    api.py quota NAME                     no limits of cores and memory for that project
    api.py project-end NAME               and away with both

Exit codes: 0; 1 the answer is no; 3 the cloud does not answer. Needs python3-openstacksdk (with python3-openstackclient)."""
import json
import os
import secrets
import sys
import time

from keystoneauth1 import exceptions
from openstack import config
from openstack.exceptions import ConfigException


class Cloud:
    def __init__(self):
        self.region = config.OpenStackConfig().get_one()
        self.session = self.region.get_session()
        self.project = self.session.get_project_id()

    def call(self, method, service, path, **kwargs):
        # Catalogs give neutron and glance without a version.
        where = {'service_type': service}
        prefix = {'network': '/v2.0', 'image': '/v2'}.get(service, '')
        if prefix and prefix in self.session.get_endpoint(**where):
            prefix = ''
        return self.session.request(prefix + path, method, endpoint_filter=where, raise_exc=False, **kwargs)

    def list(self, service, path, key):
        """All of a list, or nothing where the cloud has no such thing."""
        items, marker = [], ''
        while True:
            r = self.call('GET', service, path + ('&' if '?' in path else '?') + 'limit=500' + marker)
            if r.status_code in (403, 404, 405):
                return items
            if r.status_code >= 400:
                raise exceptions.HttpError('%s: %d' % (path, r.status_code))
            page = r.json()[key]
            items += page
            if len(page) < 500:
                return items
            marker = '&marker=' + page[-1]['id']

    def mine(self, service, path, key):
        return [x for x in self.list(service, path, key) if x.get('project_id', x.get('tenant_id', self.project)) == self.project]

    def servers(self):
        return self.list('compute', '/servers/detail', 'servers')

    def named(self, text):
        return [s for s in self.servers() if text in s['name']]

    def count(self):
        got = {'servers': {s['id']: s['name'] + ' ' + s['status'] for s in self.servers()},
               'ports': {p['id']: 'of %s %s' % (p['device_owner'], p['device_id']) for p in self.mine('network', '/ports', 'ports')},
               'floating IPs': {f['id']: f['floating_ip_address'] for f in self.mine('network', '/floatingips', 'floatingips')},
               'security groups': {g['id']: g['name'] for g in self.mine('network', '/security-groups', 'security_groups')},
               'rules': {g['id']: 'of group ' + g['security_group_id']
                         for g in self.mine('network', '/security-group-rules', 'security_group_rules')},
               'images': {i['id']: i['name'] for i in self.list('image', '/images', 'images') if i['owner'] == self.project},
               'keypairs': {k['keypair']['name']: '' for k in self.call('GET', 'compute', '/os-keypairs').json()['keypairs']},
               'volumes': {}}
        for service in 'block-storage', 'volumev3', 'volume':
            try:
                if self.session.get_endpoint(service_type=service):
                    got['volumes'] = {v['id']: v['name'] for v in self.mine(service, '/volumes/detail', 'volumes')}
                    break
            except exceptions.EndpointNotFound:
                pass
        return got


def differences(before, now):
    for kind, then in before.items():
        for i in now[kind].keys() - then.keys():
            yield '%s: left behind: %s %s' % (kind, i, now[kind][i])
        for i in then.keys() - now[kind].keys():
            yield '%s: was not ours and is gone: %s %s' % (kind, i, then[i])


def left(cloud, path):
    with open(path) as f:
        before = json.load(f)
    # A server is counted at once; what hangs on it may be a moment behind in the network service's answers.
    end = time.time() + 10
    while True:
        lines = list(differences(before, cloud.count()))
        if not lines or time.time() > end or any(x.startswith('servers') for x in lines):
            print(*lines, sep='\n', end='\n' if lines else '')
            return 1 if lines else 0
        time.sleep(1)


def wait(cloud, name, status, seconds):
    end = time.time() + float(seconds)
    seen = 'nothing'
    while time.time() < end:
        seen = ' '.join(s['status'] for s in cloud.named(name)) or 'GONE'
        if status in seen.split():
            return 0
        time.sleep(0.5)
    print('%s: %s after %s s, not %s' % (name, seen, seconds, status))
    return 1


def purge(cloud, name):
    for s in cloud.named(name):
        cloud.call('DELETE', 'compute', '/servers/' + s['id'])
    wait(cloud, name, 'GONE', 120)
    for g in cloud.mine('network', '/security-groups', 'security_groups'):
        if name in g['name'] or name in g['description']:
            cloud.call('DELETE', 'network', '/security-groups/' + g['id'])
    return 0


def identity(cloud, method, path, **kwargs):
    r = cloud.session.request('/v3' + path, method, raise_exc=True,
                              endpoint_override=cloud.session.get_endpoint(service_type='identity').split('/v3')[0].rstrip('/'), **kwargs)
    return r.json() if r.content else {}


def project_new(admin, name, path):
    password, secret = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    project = identity(admin, 'POST', '/projects', json={'project': {'name': name, 'domain_id': 'default'}})['project']['id']
    user = identity(admin, 'POST', '/users', json={'user': {'name': name, 'password': password, 'domain_id': 'default'}})['user']['id']
    role = identity(admin, 'GET', '/roles?name=member')['roles'][0]['id']
    identity(admin, 'PUT', '/projects/%s/users/%s/roles/%s' % (project, user, role))
    url, region = admin.region.config['auth']['auth_url'], admin.region.region_name
    os.umask(0o077)

    def write(appcred):
        with open(path, 'w') as f:
            clouds = {name: {'region_name': region, 'identity_api_version': '3',
                             'auth': {'auth_url': url, 'username': name, 'password': password, 'project_name': name,
                                      'user_domain_name': 'Default', 'project_domain_name': 'Default'}}}
            if appcred:
                clouds[name + '-appcred'] = {'region_name': region, 'auth_type': 'v3applicationcredential', 'identity_api_version': '3',
                                             'auth': {'auth_url': url, 'application_credential_id': appcred,
                                                      'application_credential_secret': secret}}
            json.dump({'clouds': clouds}, f, indent=1)  # JSON is YAML

    write(None)
    os.environ.update(OS_CLIENT_CONFIG_FILE=path, OS_CLOUD=name)
    me = Cloud()
    write(identity(me, 'POST', '/users/%s/application_credentials' % user,
                   json={'application_credential': {'name': name, 'secret': secret}})['application_credential']['id'])
    # Neutron makes the project's default group when it is first looked at.
    me.count()
    return 0


def quota(admin, name):
    for p in identity(admin, 'GET', '/projects?name=' + name)['projects']:
        r = admin.call('PUT', 'compute', '/os-quota-sets/' + p['id'], json={'quota_set': {'cores': -1, 'ram': -1}})
        if r.status_code != 200:
            raise exceptions.HttpError(r.text)
    return 0


def project_end(admin, name):
    for p in identity(admin, 'GET', '/projects?name=' + name)['projects']:
        servers = '/servers/detail?all_tenants=1&project_id=' + p['id']
        for s in admin.list('compute', servers, 'servers'):
            admin.call('DELETE', 'compute', '/servers/' + s['id'])
        end = time.time() + 90
        while admin.list('compute', servers, 'servers') and time.time() < end:
            time.sleep(1)
        for u in identity(admin, 'GET', '/users?name=' + name)['users']:
            identity(admin, 'DELETE', '/users/' + u['id'])
        identity(admin, 'DELETE', '/projects/' + p['id'])
        for g in admin.list('network', '/security-groups?project_id=' + p['id'], 'security_groups'):
            admin.call('DELETE', 'network', '/security-groups/' + g['id'])
    return 0


def show(items):
    print(*items, sep='\n')
    return 0


COMMANDS = {
    'count': lambda c: show([json.dumps(c.count(), indent=1)]),
    'left': left,
    'wait': wait,
    'server': lambda c, name: show([json.dumps(s) for s in c.named(name)][:1]),
    'purge': purge,
    'names': lambda c, what: show(x['name'] for x in c.list(
        {'flavors': 'compute', 'images': 'image', 'networks': 'network'}[what], '/' + what, what)),
    'secrets': lambda c: show(v for k, v in c.region.config['auth'].items() if 'password' in k or 'secret' in k or k in ('api_key', 'token')),
    'project-new': project_new,
    'quota': quota,
    'project-end': project_end,
}

try:
    sys.exit(COMMANDS[sys.argv[1]](Cloud(), *sys.argv[2:]))
except (exceptions.ClientException, ConfigException, OSError) as e:
    print('%s: %s' % (os.environ.get('OS_CLOUD', 'the cloud'), e), file=sys.stderr)
    sys.exit(3)
