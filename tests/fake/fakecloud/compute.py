# SPDX-License-Identifier: MIT
"""Nova: v2.1 with microversions; Rackspace's v2 without. Two sets of paths, one set of handlers."""
import re
import time

from . import schemas, state
from .http import Answer, Service, nova_fault

compute = Service("compute", "/compute")


def bad(message):
    return nova_fault(400, message)


# ---- versions and microversions ----

def version(cloud, detail):
    if cloud.rackspace:
        return {"id": "v2.0", "status": "CURRENT", "updated": "2011-01-21T11:33:21Z",
                "links": [{"rel": "self", "href": f"{cloud.url}/compute/v2/"}]}
    found = {"id": "v2.1", "status": "CURRENT", "version": f"2.{cloud.max_microversion}", "min_version": "2.1",
             "updated": "2013-07-23T11:33:21Z", "links": [{"rel": "self", "href": f"{cloud.url}/compute/v2.1/"}]}
    if detail:
        found["links"].append({"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"})
        found["media-types"] = [{"base": "application/json",
                                 "type": "application/vnd.openstack.compute+json;version=2.1"}]
    return found


@compute.route("GET", "", token=False)
def versions(cloud, _):
    old = {"id": "v2.0", "status": "SUPPORTED", "version": "", "min_version": "", "updated": "2011-01-21T11:33:21Z",
           "links": [{"rel": "self", "href": f"{cloud.url}/compute/v2/"}]}
    return Answer(200, {"versions": ([] if cloud.rackspace else [old]) + [version(cloud, False)]})


@compute.route("GET", "/v2.1", token=False)
def version_21(cloud, request):
    negotiate(cloud, request)
    return Answer(200, {"version": version(cloud, True)})


@compute.route("GET", "/v2", token=False)
def version_2(cloud, _):
    return Answer(200, {"version": version(cloud, False)})


def negotiate(cloud, request):
    """Sets request.mv, or refuses as nova does."""
    given = None
    for part in request.headers.get("OpenStack-API-Version", "").split(","):
        words = part.split()
        if len(words) == 2 and words[0].lower() == "compute":
            given = words[1]
    given = given or request.headers.get("X-OpenStack-Nova-API-Version")
    if given is None:
        return
    if cloud.rackspace:
        cloud.strays["microversion sent to a cloud without any"] += 1
        return
    if given == "latest":
        request.mv = cloud.max_microversion
        return
    found = re.fullmatch(r"([1-9]\d*)\.([1-9]\d*|0)", given)
    if not found:
        reply = bad(f"API Version String {given} is of invalid format. Must be of format MajorNum.MinorNum.")
        reply.headers["mv"] = "none"
        raise reply
    if found[1] != "2" or not 1 <= int(found[2]) <= cloud.max_microversion:
        reply = nova_fault(406, f"Version {given} is not supported by the API. Minimum is 2.1 and maximum is "
                           f"2.{cloud.max_microversion}.")
        reply.headers["mv"] = given
        raise reply
    request.mv = int(found[2])


def route(method, template, since=1, until=999):
    """Registers a handler under both prefixes; outside its microversions the path is unknown."""
    def keep(function):
        def checked(cloud, request, **parts):
            tenant = parts.pop("tenant", None)
            if (tenant is not None) != cloud.rackspace or tenant not in (None, cloud.project):
                cloud.strays[f"{request.method} {request.path}"] += 1
                raise nova_fault(404, "The resource could not be found.")
            negotiate(cloud, request)
            if not since <= request.mv <= until:
                raise nova_fault(404, f"API version '2.{request.mv}' is not supported on this method.")
            if method in ("POST", "PUT"):
                if "json" not in request.headers.get("Content-Type", "application/json"):
                    raise nova_fault(415, "Unsupported Content-Type")
                if request.json() is None:
                    raise bad("Malformed request body")
            return function(cloud, request, **parts)
        compute.route(method, "/v2.1" + template)(checked)
        compute.route(method, "/v2/{tenant}" + template)(checked)
        return function
    return keep


def check(schema, body):
    wrong = schemas.problem(schema, body)
    if not wrong:
        return
    key, value, message = wrong
    if "printable-name" in message:
        raise bad("Invalid input received: An invalid 'name' value was provided. The name must be: printable "
                  "characters. Can not start or end with whitespace.")
    raise bad(message if key is None else f"Invalid input for field/attribute {key}. Value: {value}. {message}")


# ---- what it shows ----

def links(cloud, kind, thing_id):
    base = f"v2/{cloud.project}" if cloud.rackspace else "v2.1"
    return [{"rel": "self", "href": f"{cloud.url}/compute/{base}/{kind}/{thing_id}"},
            {"rel": "bookmark", "href": f"{cloud.url}/compute/{kind}/{thing_id}"}]


def bookmark(cloud, kind, thing_id):
    return {"id": thing_id, "links": [{"rel": "bookmark", "href": f"{cloud.url}/compute/{kind}/{thing_id}"}]}


def addresses(cloud, server):
    """By what nova's cache knows: nothing before ACTIVE, and with a fault not even then for a while."""
    if not server.shown:
        return {}
    hide = server.faults.get("no_address")
    if hide and server.status == "ACTIVE":
        server.active_gets += 1
        if server.active_gets <= hide["empty"]:
            return {}
        if server.active_gets <= hide["empty"] + hide["hollow"]:
            return {cloud.networks[server.networks[0]]["name"] if cloud.networks else "public": []}
    found = {}
    for port in (cloud.ports[p] for p in server.ports if p in cloud.ports):
        name = "public" if cloud.rackspace else cloud.networks[port["network_id"]]["name"]
        fixed = port["fixed_ips"][0]["ip_address"]
        entries = [(fixed, "fixed")] + [
            (f["floating_ip_address"], "floating") for f in cloud.fips.values()
            if f["port_id"] == port["id"] and time.time() >= f.get("_shown", 0)]
        found[name] = [entry(address, kind, port["mac_address"], cloud.rackspace) for address, kind in entries]
    if cloud.rackspace and found:
        found["public"].insert(0, {"version": 6, "addr": "2001:db8::" + server.id[:4]})
        found["private"] = [{"version": 4, "addr": "10.254.78." + str(int(server.id[:2], 16) % 250 + 1)}]
    return found


def entry(address, kind, mac, plain):
    """Rackspace tells no types."""
    found = {"version": 4, "addr": address}
    return found if plain else {**found, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": mac}


def show_flavor(cloud, server, mv):
    f = server.flavor
    if mv < 47:
        return bookmark(cloud, "flavors", f["id"])
    return {"vcpus": f["vcpus"], "ram": f["ram"], "disk": f["disk"], "ephemeral": 0, "swap": 0,
            "original_name": f["name"], "extra_specs": {}}


def show(cloud, server, mv):
    seen = addresses(cloud, server)
    first = next((a["addr"] for a in seen.get("public", []) if a["version"] == 4), "") if cloud.rackspace else ""
    task = "deleting" if server.deleting and server.lingering is None else server.task_state
    body = {
        "id": server.id, "name": server.name, "status": server.status, "tenant_id": cloud.project,
        "user_id": cloud.accounts["user_id"], "metadata": server.metadata,
        "hostId": "ce796d974a010046a6bf6f29c171d6ebddf02360a186b103d4e8dd4a" if server.host else "",
        "image": bookmark(cloud, "images", server.image) if server.image else "",
        "flavor": show_flavor(cloud, server, mv), "created": state.iso(server.created),
        "updated": state.iso(server.updated), "addresses": seen, "accessIPv4": first,
        "accessIPv6": "2001:db8::" + server.id[:4] if first else "", "links": links(cloud, "servers", server.id),
        "OS-DCF:diskConfig": "MANUAL"}
    if server.status in ("ACTIVE", "BUILD"):
        body["progress"] = 100 if cloud.rackspace and server.status == "ACTIVE" else 0
    if server.fault and server.status in ("ERROR", "DELETED"):
        body["fault"] = {"code": server.fault[0], "created": state.iso(server.updated), "message": server.fault[1]}
    body.update({
        "OS-EXT-AZ:availability_zone": server.host, "config_drive": "True" if server.config_drive else "",
        "key_name": server.key_name,
        "OS-SRV-USG:launched_at": state.iso(server.launched, True) if server.launched else None,
        "OS-SRV-USG:terminated_at": state.iso(server.terminated, True) if server.terminated else None,
        "OS-EXT-STS:task_state": task, "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:power_state": server.power_state,
        "os-extended-volumes:volumes_attached": [
            {"id": v, **({"delete_on_termination": cloud.volumes[v]["delete_on_termination"]} if mv >= 3 else {})}
            for v in server.volumes if v in cloud.volumes]})
    if server.ports and not cloud.rackspace and server.status not in ("ERROR", "DELETED"):
        body["security_groups"] = [{"name": cloud.groups[g]["name"]} for g in server.group_ids if g in cloud.groups]
    for since, key, value in ((9, "locked", False), (73, "locked_reason", None), (19, "description", server.description),
                              (26, "tags", server.tags), (63, "trusted_image_certificates", None),
                              (90, "OS-EXT-SRV-ATTR:hostname", server.name), (71, "server_groups", [])):
        if mv >= since:
            body[key] = value
    return body


# ---- servers that are there ----

def find_groups(cloud, request_groups):
    found = []
    for wanted in request_groups or [{"name": "default"}]:
        name = wanted.get("name", "default")
        match = [g for g in cloud.groups.values() if name in (g["name"], g["id"])]
        if not match:
            raise bad(f"Unable to find security_group with name or id '{name}'")
        if len(match) > 1:
            raise nova_fault(409, f"Multiple security_group matches found for name '{name}', use an ID to be more "
                             "specific.")
        found.append(match[0]["id"])
    return found



def find(cloud, server_id, looking=False):
    server = cloud.servers.get(server_id)
    if server and looking:
        late = server.faults.get("first_404")
        server.gets += 1
        if late and server.gets <= late["gets"]:
            server = None
        elif server.lingering is not None and not server.soft:
            server.lingering -= 1
            if server.lingering < 0:
                del cloud.servers[server_id]
                server = None
    if server is None:
        raise nova_fault(404, f"Instance {server_id} could not be found.")
    return server


FILTERS_ALWAYS = {"limit", "marker", "name", "status", "changes-since", "image", "flavor", "sort_key", "sort_dir",
                  "all_tenants", "deleted", "ip", "ip6", "host", "uuid", "project_id", "tenant_id", "vm_state",
                  "availability_zone", "key_name", "description", "created_at", "config_drive", "power_state",
                  "task_state", "user_id", "reservation_id", "locked", "changes-before"}
TAG_FILTERS = {"tags", "tags-any", "not-tags", "not-tags-any"}


def selected(cloud, request):
    """The servers a list shows, newest first."""
    known = FILTERS_ALWAYS | (TAG_FILTERS if request.mv >= 26 else set())
    strange = sorted(set(request.query) - known)
    if strange and request.mv >= 75:
        raise bad(f"Invalid input for query parameters. Additional properties are not allowed ({strange[0]!r} was "
                  "unexpected)")
    try:
        name = re.compile(request.one("name", ""))
    except re.error:
        raise bad(f"Invalid input for query parameters name. Value: {request.one('name')}. "
                  f"'{request.one('name')}' is not a 'regex'") from None
    found = []
    for server in sorted(cloud.servers.values(), key=lambda s: (s.created, s.id), reverse=True):
        tags = set(filter(None, request.one("tags", "").split(","))) if request.mv >= 26 else set()
        if name.search(server.name) and request.one("status", server.status).upper() == server.status and \
           tags <= set(server.tags) and request.one("uuid", server.id) == server.id and \
           request.one("changes-since", "") <= state.iso(server.updated):
            found.append(server)
    return found


def page(cloud, request, things, kind):
    """(this page's things, "<kind>_links" or None)."""
    wrong = request.faults.get("wrong_links")
    most = min(cloud.page_max, wrong["page"]) if wrong else cloud.page_max
    limit, marker = request.one("limit"), request.one("marker")
    if limit is not None and not re.fullmatch(r"\d+", limit):
        raise bad(f"Invalid input for query parameters limit. Value: {limit}. '{limit}' does not match '^[0-9]*$'")
    most = min(most, int(limit) or most) if limit is not None else most
    ids = [t["id"] if isinstance(t, dict) else t.id for t in things]
    if marker is not None:
        if marker not in ids:
            raise bad(f"marker [{marker}] not found")
        things = things[ids.index(marker) + 1:]
    shown = things[:most]
    if len(things) <= most:
        return shown, None
    last = shown[-1]["id"] if isinstance(shown[-1], dict) else shown[-1].id
    query = "&".join([f"{k}={v}" for k, v in request.query_items() if k not in ("limit", "marker")] +
                     [f"limit={most}", f"marker={last}"])
    base = wrong["host"] if wrong else f"{cloud.url}/compute"
    path = request.path.removeprefix("/compute")
    return shown, [{"rel": "next", "href": f"{base}{path}?{query}"}]


def listing(cloud, request, detail):
    shown, more = page(cloud, request, selected(cloud, request), "servers")
    # A look at a list is a look at each of its servers.
    seen = []
    for server in shown:
        try:
            seen.append(find(cloud, server.id, looking=True))
        except Answer:
            continue
    body = {"servers": [show(cloud, s, request.mv) if detail else
                        {"id": s.id, "name": s.name, "links": links(cloud, "servers", s.id)} for s in seen]}
    if more:
        body["servers_links"] = more
    return Answer(200, body)


@route("GET", "/servers/detail")
def servers_detail(cloud, request):
    return listing(cloud, request, True)


@route("GET", "/servers")
def servers(cloud, request):
    return listing(cloud, request, False)


@route("GET", "/servers/{server}")
def get_server(cloud, request, server):
    return Answer(200, {"server": show(cloud, find(cloud, server, looking=True), request.mv)})


@route("DELETE", "/servers/{server}")
def delete_server(cloud, request, server):
    if "conflict" in request.faults:
        raise nova_fault(409, f"Cannot 'delete' instance {server} while it is in vm_state building")
    found = find(cloud, server)
    if found.lingering is not None and not found.soft:
        raise nova_fault(404, f"Instance {server} could not be found.")
    if found.soft or "delete_lies" in request.faults:
        return Answer(204)
    found.delete_faults = found.delete_faults or dict(request.faults)
    found.deleting = True
    found.touch()
    found.life.wake.set()
    return Answer(204)


@route("GET", "/servers/{server}/metadata")
def get_metadata(cloud, _, server):
    return Answer(200, {"metadata": find(cloud, server).metadata})


def set_metadata(cloud, request, server, replace):
    check(schemas.METADATA_BODY, request.json())
    found = find(cloud, server)
    new = {**({} if replace else found.metadata), **request.json()["metadata"]}
    if len(new) > cloud.quotas["metadata_items"]:
        raise nova_fault(403, f"Maximum number of metadata items exceeds {cloud.quotas['metadata_items']}")
    found.metadata = new
    found.touch()
    return Answer(200, {"metadata": new})


@route("POST", "/servers/{server}/metadata")
def add_metadata(cloud, request, server):
    return set_metadata(cloud, request, server, False)


@route("PUT", "/servers/{server}/metadata")
def put_metadata(cloud, request, server):
    return set_metadata(cloud, request, server, True)


@route("PUT", "/servers/{server}/metadata/{key}")
def put_meta(cloud, request, server, key):
    check(schemas.META_BODY, request.json())
    found, meta = find(cloud, server), request.json()["meta"]
    if key not in meta:
        raise bad("Request body and URI mismatch")
    found.metadata = {**found.metadata, **meta}
    return Answer(200, {"meta": meta})


@route("GET", "/servers/{server}/tags", since=26)
def get_tags(cloud, _, server):
    return Answer(200, {"tags": find(cloud, server).tags})


@route("GET", "/servers/{server}/ips")
def get_ips(cloud, _, server):
    seen = addresses(cloud, find(cloud, server))
    return Answer(200, {"addresses": {n: [{"version": a["version"], "addr": a["addr"]} for a in l]
                                      for n, l in seen.items()}})


@route("GET", "/servers/{server}/os-interface")
def get_interfaces(cloud, _, server):
    ports = [cloud.ports[p] for p in find(cloud, server).ports if p in cloud.ports]
    return Answer(200, {"interfaceAttachments": [
        {"net_id": p["network_id"], "port_id": p["id"], "mac_addr": p["mac_address"], "port_state": p["status"],
         "fixed_ips": p["fixed_ips"]} for p in ports]})


@route("GET", "/servers/{server}/os-instance-actions")
def get_actions(cloud, request, server):
    found = find(cloud, server)
    return Answer(200, {"instanceActions": [{
        "action": "create", "instance_uuid": found.id, "request_id": request.id, "user_id": cloud.accounts["user_id"],
        "project_id": cloud.project, "start_time": state.iso(found.created, True), "message": None}]})


# ---- actions ----

def console(cloud, request, server, _):
    check(schemas.CONSOLE, request.json())
    length = request.json()["os-getConsoleOutput"].get("length")
    lines = server.console.splitlines(True)
    keep = lines if length is None or int(length) < 0 else lines[len(lines) - int(length):] if int(length) else []
    return Answer(200, {"output": "".join(keep)})


def power(server, action, wanted, states):
    if server.vm_state not in states:
        raise nova_fault(409, f"Cannot '{action}' instance {server.id} while it is in vm_state {server.vm_state}")
    server.wants_power = wanted
    return Answer(202)


def force_delete(cloud, _, server, __):
    server.soft = False
    if server.lingering is not None:
        del cloud.servers[server.id]
    else:
        server.deleting = True
        server.life.wake.set()
    return Answer(202)


def create_image(cloud, request, server, args):
    check(schemas.CREATE_IMAGE, request.json())
    if server.vm_state not in ("active", "stopped"):
        raise nova_fault(409, f"Cannot 'createImage' instance {server.id} while it is in vm_state {server.vm_state}")
    image = cloud.add_image(args["name"], time.time(), status="queued", visibility="private", image_type="snapshot",
                            **(args.get("metadata") or {}))
    image["_ready"] = time.time() + cloud.build_s
    if request.mv >= 45:
        return Answer(202, {"image_id": image["id"]})
    return Answer(202, None, {"Location": f"{cloud.url}/image/images/{image['id']}"})


def add_group(cloud, _, server, args):
    group = find_groups(cloud, [args])[0]
    server.group_ids.append(group)
    for port in server.ports:
        cloud.ports[port]["security_groups"].append(group)
    return Answer(202)


ACTIONS = {
    "os-getConsoleOutput": console,
    "os-stop": lambda c, r, s, a: power(s, "stop", False, ("active", "error")),
    "os-start": lambda c, r, s, a: power(s, "start", True, ("stopped",)),
    "reboot": lambda c, r, s, a: power(s, "reboot", None, ("active", "stopped")),
    "forceDelete": force_delete, "createImage": create_image, "addSecurityGroup": add_group}


@route("POST", "/servers/{server}/action")
def action(cloud, request, server):
    found, body = find(cloud, server), request.json()
    name = next(iter(body), None)
    if len(body) != 1 or name not in ACTIONS:
        raise bad(f"There is no such action: {name}")
    return ACTIONS[name](cloud, request, found, body[name])


# ---- the rest ----

def flavor_view(cloud, flavor, mv):
    found = {"id": flavor["id"], "name": flavor["name"], "ram": flavor["ram"], "disk": flavor["disk"], "swap": "",
             "OS-FLV-EXT-DATA:ephemeral": 0, "OS-FLV-DISABLED:disabled": False, "vcpus": flavor["vcpus"],
             "os-flavor-access:is_public": True, "rxtx_factor": 1.0, "links": links(cloud, "flavors", flavor["id"])}
    if mv >= 55:
        found["description"] = None
    if mv >= 61:
        found["extra_specs"] = {}
    if mv >= 75:
        found["swap"] = 0
    return found


def flavors_list(cloud, request, detail):
    found = [f for f in cloud.flavors.values() if f["ram"] >= int(request.one("minRam", "0")) and
             f["disk"] >= int(request.one("minDisk", "0"))]
    shown, more = page(cloud, request, found, "flavors")
    body = {"flavors": [flavor_view(cloud, f, request.mv) if detail else
                        {"id": f["id"], "name": f["name"], "links": links(cloud, "flavors", f["id"])} for f in shown]}
    if more:
        body["flavors_links"] = more
    return Answer(200, body)


@route("GET", "/flavors/detail")
def flavors_detail(cloud, request):
    return flavors_list(cloud, request, True)


@route("GET", "/flavors")
def flavors(cloud, request):
    return flavors_list(cloud, request, False)


@route("GET", "/flavors/{flavor}")
def get_flavor(cloud, request, flavor):
    if flavor not in cloud.flavors:
        raise nova_fault(404, f"Flavor {flavor} could not be found.")
    return Answer(200, {"flavor": flavor_view(cloud, cloud.flavors[flavor], request.mv)})


@route("GET", "/flavors/{flavor}/os-extra_specs")
def extra_specs(cloud, request, flavor):
    get_flavor(cloud, request, flavor)
    return Answer(200, {"extra_specs": {}})


@route("GET", "/limits")
def limits(cloud, request):
    used, quota = cloud.usage(), cloud.quotas
    absolute = {"maxTotalInstances": quota["instances"], "maxTotalCores": quota["cores"],
                "maxTotalRAMSize": quota["ram"], "maxServerMeta": quota["metadata_items"],
                "maxTotalKeypairs": quota["key_pairs"], "maxServerGroups": 10, "maxServerGroupMembers": 10,
                "totalRAMUsed": used["ram"], "totalCoresUsed": used["cores"], "totalInstancesUsed": used["instances"],
                "totalServerGroupsUsed": 0}
    if request.mv < 36:
        absolute.update(maxTotalFloatingIps=-1, maxSecurityGroups=-1, maxSecurityGroupRules=-1,
                        totalFloatingIpsUsed=0, totalSecurityGroupsUsed=0)
    if request.mv < 57:
        absolute.update(maxImageMeta=128, maxPersonality=5, maxPersonalitySize=10240)
    rate = [{"uri": "*", "regex": ".*", "limit": []}] if cloud.rackspace else []
    return Answer(200, {"limits": {"rate": rate, "absolute": absolute}})


@route("GET", "/os-availability-zone")
def zones(_, __):
    return Answer(200, {"availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": True},
                                                  "hosts": None}]})


@route("GET", "/os-keypairs")
def keypairs(cloud, _):
    return Answer(200, {"keypairs": [{"keypair": k} for k in cloud.keypairs.values()]})


@route("POST", "/os-keypairs")
def new_keypair(cloud, request):
    check(schemas.KEYPAIR, request.json())
    pair = request.json()["keypair"]
    if pair["name"] in cloud.keypairs:
        raise nova_fault(409, f"Key pair '{pair['name']}' already exists.")
    if not re.match(r"(ssh-|ecdsa-)\S+ [A-Za-z0-9+/=]+", pair.get("public_key", "")):
        raise bad("Keypair data is invalid: failed to generate fingerprint")
    cloud.keypairs[pair["name"]] = {"name": pair["name"], "public_key": pair["public_key"],
                                    "fingerprint": "0d:1c:87:a8:2e:0e:2d:1a:ce:47:ed:d6:01:8f:1e:c3"}
    shown = {**cloud.keypairs[pair["name"]], "user_id": cloud.accounts["user_id"]}
    return Answer(201 if request.mv >= 2 else 200, {"keypair": shown})


@route("DELETE", "/os-keypairs/{name}")
def drop_keypair(cloud, request, name):
    if cloud.keypairs.pop(name, None) is None:
        raise nova_fault(404, f"Keypair {name} not found for user {cloud.accounts['user_id']}")
    return Answer(204 if request.mv >= 2 else 202)
