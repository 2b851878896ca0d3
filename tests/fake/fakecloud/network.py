# SPDX-License-Identifier: MIT
"""Neutron v2.0: what a server's network needs."""
import time

from . import schemas, state
from .http import Answer, Service, neutron_error

network = Service("network", "/network")
# collection -> (key of one, what a 404 calls it)
KINDS = {"networks": ("network", "Network"), "subnets": ("subnet", "Subnet"), "ports": ("port", "Port"),
         "floatingips": ("floatingip", "FloatingIP"), "security-groups": ("security_group", "SecurityGroup"),
         "security-group-rules": ("security_group_rule", "SecurityGroupRule")}
NOT_FILTERS = {"fields", "limit", "marker", "sort_key", "sort_dir", "page_reverse"}
EXTENSIONS = ["address-scope", "availability_zone", "external-net", "port-security", "router", "security-group",
              "standard-attr-tag", "standard-attr-description", "fip-port-details", "filter-validation"]


def route(method, template, token=True):
    """A classic Rackspace account has no network service."""
    def keep(function):
        def checked(cloud, request, **parts):
            if cloud.rackspace:
                cloud.strays[f"{request.method} {request.path}"] += 1
            # Without an external network there is no L3 service: nobody knows what a floating IP is.
            if cloud.rackspace or not cloud.floating and "/floatingips" in request.path:
                return neutron_error(404, "HTTPNotFound", "The resource could not be found.")
            return function(cloud, request, **parts)
        network.route(method, template, token)(checked)
        return function
    return keep


@route("GET", "", token=False)
def versions(cloud, _):
    return Answer(200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [
        {"rel": "self", "href": f"{cloud.url}/network/v2.0/"}]}]})


@route("GET", "/v2.0", token=False)
def version(cloud, _):
    names = ["networks", "subnets", "ports", "floatingips", "security-groups", "security-group-rules"]
    return Answer(200, {"resources": [{"name": n, "collection": n, "links": [
        {"rel": "self", "href": f"{cloud.url}/network/v2.0/{n}"}]} for n in names]})


@route("GET", "/v2.0/extensions")
def extensions(_, __):
    return Answer(200, {"extensions": [{"name": n, "alias": n, "description": "", "links": [],
                                        "updated": "2013-07-23T10:00:00-00:00"} for n in EXTENSIONS]})


def table(cloud, collection):
    return {"networks": cloud.networks, "subnets": cloud.subnets, "ports": cloud.ports, "floatingips": cloud.fips,
            "security-groups": cloud.groups, "security-group-rules": cloud.rules}[collection]


def view(cloud, collection, thing):
    found = {k: v for k, v in thing.items() if not k.startswith("_")}
    if collection == "security-groups":
        found["security_group_rules"] = [r for r in cloud.rules.values() if r["security_group_id"] == thing["id"]]
    return found


def missing(collection, thing_id):
    word = KINDS[collection][1]
    return neutron_error(404, word + "NotFound", f"{word} {thing_id} could not be found.".replace(
        "SecurityGroupRule", "Security group rule").replace("SecurityGroup", "Security group").replace(
        "FloatingIP", "Floating IP"))


def checked_body(schema, request):
    body = request.json()
    if body is None:
        raise neutron_error(400, "HTTPBadRequest", "Invalid JSON in request body")
    wrong = schemas.problem(schema, body)
    if wrong:
        key, value, message = wrong
        if "Additional properties" in message:
            strange = message.split("(", 1)[1].split(" ", 1)[0]
            raise neutron_error(400, "HTTPBadRequest", f"Unrecognized attribute(s) {strange}")
        if "is a required property" in message:
            name = message.split("'")[1]
            raise neutron_error(400, "HTTPBadRequest",
                                f"Failed to parse request. Required attribute '{name}' not specified")
        raise neutron_error(400, "HTTPBadRequest", f"Invalid input for {key}. Reason: {message}.")
    return body


def fits(thing, key, values):
    have = thing[key]
    if isinstance(have, list):
        return all(part in have for v in values for part in v.split(","))
    return ("" if have is None else str(have)).lower() in [v.lower() for v in values]


@route("GET", "/v2.0/{collection}")
def listing(cloud, request, collection):
    if collection not in KINDS:
        return neutron_error(404, "HTTPNotFound", "The resource could not be found.")
    found = [view(cloud, collection, t) for t in table(cloud, collection).values()]
    for key, values in request.query.items():
        if key in NOT_FILTERS or not found:
            continue
        if key == "device_owner" or key in found[0]:
            found = [t for t in found if fits(t, key, values)]
        elif not any(key in t for t in found):
            return neutron_error(400, "HTTPBadRequest", f"['{key}'] is invalid attribute for filtering")
    if "fields" in request.query:
        found = [{k: v for k, v in t.items() if k in request.query["fields"]} for t in found]
    marker, limit = request.one("marker"), request.one("limit")
    name = collection.replace("-", "_")
    body = {name: found}
    wrong = request.faults.get("wrong_links")
    if limit or marker or wrong:
        ids = [t.get("id") for t in found]
        found = found[ids.index(marker) + 1:] if marker in ids else found
        most = min(int(limit or 1000), wrong["page"] if wrong else 1000)
        body = {name: found[:most]}
        if len(found) > most:
            base = wrong["host"] if wrong else cloud.url + "/network"
            body[name + "_links"] = [{"rel": "next", "href": f"{base}/v2.0/{collection}?" + "&".join(
                [f"{k}={v}" for k, v in request.query_items() if k not in ("marker", "limit")] +
                [f"limit={most}", f"marker={found[most - 1]['id']}"])}]
    return Answer(200, body)


@route("GET", "/v2.0/{collection}/{thing}")
def get(cloud, _, collection, thing):
    if collection not in KINDS:
        return neutron_error(404, "HTTPNotFound", "The resource could not be found.")
    found = table(cloud, collection).get(thing)
    return missing(collection, thing) if found is None else \
        Answer(200, {KINDS[collection][0]: view(cloud, collection, found)})


@route("PUT", "/v2.0/{collection}/{thing}/tags")
def put_tags(cloud, request, collection, thing):
    if collection not in KINDS or thing not in table(cloud, collection):
        return missing(collection if collection in KINDS else "networks", thing)
    table(cloud, collection)[thing]["tags"] = checked_body(schemas.TAGS, request)["tags"]
    return Answer(200, {"tags": table(cloud, collection)[thing]["tags"]})


# ---- floating IPs ----

def over_quota(resource):
    return neutron_error(409, "OverQuota", f"Quota exceeded for resources: ['{resource}'].")


def bind(cloud, fip, port_id, fixed):
    """Connects the floating IP to the port, or frees it."""
    if port_id is None:
        fip.update(port_id=None, fixed_ip_address=None, router_id=None, status="DOWN")
        return
    port = cloud.ports.get(port_id)
    if port is None:
        raise missing("ports", port_id)
    if fixed is not None and fixed != port["fixed_ips"][0]["ip_address"]:
        raise neutron_error(400, "BadRequest", f"Bad floatingip request: Port {port_id} does not have fixed ip {fixed}.")
    if any(f["port_id"] == port_id for f in cloud.fips.values()):
        raise neutron_error(409, "FloatingIPPortAlreadyAssociated",
                            f"Cannot associate floating IP {fip['floating_ip_address']} ({fip['id']}) with port "
                            f"{port_id} using fixed IP {port['fixed_ips'][0]['ip_address']}, as that fixed IP already "
                            f"has a floating IP on external network {fip['floating_network_id']}.")
    if "no-router" in cloud.personality:
        raise neutron_error(404, "ExternalGatewayForFloatingIPNotFound",
                            f"External network {fip['floating_network_id']} is not reachable from subnet "
                            f"{port['fixed_ips'][0]['subnet_id']}. Therefore, cannot associate Port {port_id} with a "
                            "Floating IP.")
    fip.update(port_id=port_id, fixed_ip_address=port["fixed_ips"][0]["ip_address"], router_id=state.new_id(),
               status="ACTIVE", _shown=time.time() + cloud.fip_lag_s)


@route("POST", "/v2.0/floatingips")
def new_fip(cloud, request):
    asked = checked_body(schemas.FLOATING_IP, request)["floatingip"]
    net = cloud.networks.get(asked["floating_network_id"])
    if net is None:
        return missing("networks", asked["floating_network_id"])
    if not net["router:external"]:
        return neutron_error(400, "BadRequest", f"Bad floatingip request: Network {net['id']} is not a valid external "
                             "network.")
    if len(cloud.fips) >= cloud.quotas["floatingip"]:
        return over_quota("floatingip")
    address, now = cloud.take_address(), state.iso(time.time())
    if address is None:
        return neutron_error(409, "IpAddressGenerationFailure", f"No more IP addresses available on network {net['id']}.")
    fip = {"id": state.new_id(), "tenant_id": cloud.project, "floating_ip_address": address,
           "floating_network_id": net["id"], "router_id": None, "port_id": None, "fixed_ip_address": None,
           "status": "DOWN", "project_id": cloud.project, "description": asked.get("description", ""), "tags": [],
           "port_details": None, "qos_policy_id": None, "port_forwardings": [], "created_at": now, "updated_at": now,
           "revision_number": 0}
    try:
        if asked.get("port_id"):
            bind(cloud, fip, asked["port_id"], asked.get("fixed_ip_address"))
    except Answer:
        cloud.give_address(address)
        raise
    cloud.fips[fip["id"]] = fip
    cloud.wake()
    return Answer(201, {"floatingip": view(cloud, "floatingips", fip)})


@route("PUT", "/v2.0/floatingips/{fip}")
def put_fip(cloud, request, fip):
    asked = checked_body(schemas.FLOATING_IP_UPDATE, request)["floatingip"]
    if fip not in cloud.fips:
        return missing("floatingips", fip)
    if "port_id" in asked:
        bind(cloud, cloud.fips[fip], asked["port_id"], asked.get("fixed_ip_address"))
    cloud.fips[fip].update({k: v for k, v in asked.items() if k == "description"})
    cloud.wake()
    return Answer(200, {"floatingip": view(cloud, "floatingips", cloud.fips[fip])})


@route("DELETE", "/v2.0/floatingips/{fip}")
def drop_fip(cloud, request, fip):
    if fip not in cloud.fips:
        return missing("floatingips", fip)
    if "delete_lies" not in request.faults:
        cloud.give_address(cloud.fips.pop(fip)["floating_ip_address"])
        cloud.wake()
    return Answer(204)


# ---- security groups ----

@route("POST", "/v2.0/security-groups")
def new_group(cloud, request):
    asked = checked_body(schemas.SECURITY_GROUP, request)["security_group"]
    if asked.get("name") == "default":
        return neutron_error(409, "SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
    if len(cloud.groups) >= cloud.quotas["security_group"]:
        return over_quota("security_group")
    group = cloud.groups[cloud.add_group(asked.get("name", ""), asked.get("description", ""))]
    return Answer(201, {"security_group": view(cloud, "security-groups", group)})


@route("DELETE", "/v2.0/security-groups/{group}")
def drop_group(cloud, request, group):
    if group not in cloud.groups:
        return missing("security-groups", group)
    if cloud.groups[group]["name"] == "default":
        return neutron_error(409, "SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default "
                             "security group.")
    if "sg_in_use" in request.faults or any(group in p["security_groups"] for p in cloud.ports.values()):
        return neutron_error(409, "SecurityGroupInUse", f"Security Group {group} in use.")
    if "delete_lies" not in request.faults:
        del cloud.groups[group]
        cloud.rules = {k: r for k, r in cloud.rules.items() if r["security_group_id"] != group}
    return Answer(204)


def check_rule(asked):
    protocol, low, high = (asked.get(k) for k in ("protocol", "port_range_min", "port_range_max"))
    word = str(protocol).lower()
    if protocol is not None and word not in schemas.PROTOCOLS and not (word.isdigit() and int(word) <= 255):
        raise neutron_error(400, "SecurityGroupRuleInvalidProtocol",
                            f"Security group rule protocol {protocol} not supported. Only protocol values "
                            f"{[None] + schemas.PROTOCOLS} and integer representations [0 to 255] are supported.")
    if (low is None) != (high is None) or low is not None and int(low) > int(high):
        raise neutron_error(400, "SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= "
                            "port_range_max")
    if low is not None and protocol is None:
        raise neutron_error(400, "SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range "
                            "is given.")
    prefix = asked.get("remote_ip_prefix")
    if prefix and (":" in prefix) != (asked.get("ethertype", "IPv4") == "IPv6"):
        raise neutron_error(400, "SecurityGroupRuleParameterConflict",
                            f"Conflicting value ethertype {asked.get('ethertype', 'IPv4')} for CIDR {prefix}")


@route("POST", "/v2.0/security-group-rules")
def new_rule(cloud, request):
    asked = checked_body(schemas.SECURITY_GROUP_RULE, request)["security_group_rule"]
    check_rule(asked)
    if asked["security_group_id"] not in cloud.groups:
        return missing("security-groups", asked["security_group_id"])
    same = ("security_group_id", "direction", "ethertype", "protocol", "port_range_min", "port_range_max",
            "remote_ip_prefix", "remote_group_id")
    new = {"ethertype": "IPv4", **{k: v for k, v in asked.items() if k not in ("tenant_id", "project_id")}}
    for rule in cloud.rules.values():
        if all(rule[k] == new.get(k) for k in same):
            return neutron_error(409, "SecurityGroupRuleExists",
                                 f"Security group rule already exists. Rule id is {rule['id']}.")
    cloud.wake()
    return Answer(201, {"security_group_rule": cloud.add_rule(new)})


@route("DELETE", "/v2.0/security-group-rules/{rule}")
def drop_rule(cloud, _, rule):
    if cloud.rules.pop(rule, None) is None:
        return missing("security-group-rules", rule)
    return Answer(204)


# ---- ports ----

@route("POST", "/v2.0/ports")
def new_port(cloud, request):
    asked = checked_body(schemas.NEW_PORT, request)["port"]
    if asked["network_id"] not in cloud.networks:
        return missing("networks", asked["network_id"])
    groups = asked.get("security_groups") or [g for g, v in cloud.groups.items() if v["name"] == "default"]
    for group in groups:
        if group not in cloud.groups:
            return missing("security-groups", group)
    address = cloud.take_address()
    if address is None:
        return neutron_error(409, "IpAddressGenerationFailure", "No more IP addresses available on network "
                             f"{asked['network_id']}.")
    port = cloud.add_port(asked["network_id"], address, asked.get("device_id", ""), asked.get("device_owner", ""),
                          groups, name=asked.get("name", ""), description=asked.get("description", ""))
    return Answer(201, {"port": port})


@route("DELETE", "/v2.0/ports/{port}")
def delete_port(cloud, request, port):
    if port not in cloud.ports:
        return missing("ports", port)
    if "delete_lies" not in request.faults:
        cloud.drop_port(port)
    return Answer(204)
