# SPDX-License-Identifier: MIT
"""What request bodies must look like, as JSON Schema (draft 4): nova's published rules per microversion (API reference
and rest_api_version_history), keystone's for tokens, neutron's attribute rules."""
import base64
import binascii
import functools
import ipaddress
import re
import unicodedata
import uuid

import jsonschema

TEXT_MAX = 255
USER_DATA_MAX = 65535


def text(low=0, high=TEXT_MAX, **more):
    return {"type": "string", "minLength": low, "maxLength": high, **more}


def closed(properties, required=()):
    """An object with these keys and no others."""
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = list(required)
    return schema


def array(items, **more):
    return {"type": "array", "items": items, **more}


UUID = {"type": "string", "format": "uuid"}
UUID_OR_NULL = {"oneOf": [UUID, {"type": "null"}]}
NAME = text(1, format="printable-name")
IP = {"type": "string", "oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
FLAG_WORDS = ["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes",
              "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"]
FLAG = {"type": ["boolean", "string"], "enum": [True, False] + FLAG_WORDS}
COUNT = {"type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 1, "minLength": 1}
SIZE = {"type": ["integer", "string"], "pattern": "^[0-9]+$", "minimum": 1, "maximum": 2**31 - 1}
METADATA = {"type": "object", "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": text()},
            "additionalProperties": False}
TAG = text(1, 60, pattern="^[^,/]*$")
FQDN = text(1, pattern="^[a-zA-Z0-9-._]*$")
BASE64 = {"type": "string", "format": "base64"}


# ---- nova ----

def block_device(mv, version):
    """One element of block_device_mapping (version 1) or block_device_mapping_v2."""
    keys = {"virtual_name": text(), "volume_id": UUID, "snapshot_id": UUID, "volume_size": SIZE,
            "device_name": text(1, pattern="^[a-zA-Z0-9._-r/]*$"), "delete_on_termination": FLAG, "no_device": {},
            "connection_info": text(0, 2**24 - 1)}
    if version == 2:
        keys.update({
            "source_type": {"type": "string", "enum": ["volume", "image", "snapshot", "blank"]},
            "destination_type": {"type": "string", "enum": ["local", "volume"]},
            "uuid": text(1, pattern="^[a-zA-Z0-9._-]*$"), "image_id": UUID,
            "guest_format": text(), "device_type": text(), "disk_bus": text(),
            "boot_index": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$"}})
        if mv == 32 or mv >= 42:
            keys["tag"] = TAG
        if mv >= 67:
            keys["volume_type"] = {"type": ["string", "null"], "maxLength": TEXT_MAX}
    return closed(keys)


def networks(mv):
    keys = {"fixed_ip": IP, "port": UUID_OR_NULL, "uuid": UUID if mv >= 37 else {"type": "string"}}
    # Tags of devices came with 2.32, were lost with 2.37 and came back with 2.42.
    if 32 <= mv < 37 or mv >= 42:
        keys["tag"] = TAG
    listed = array(closed(keys))
    return listed if mv < 37 else {"oneOf": [listed, {"type": "string", "enum": ["none", "auto"]}]}


def hints():
    return {"type": "object", "properties": {
        "group": UUID, "different_host": {"oneOf": [UUID, array(UUID)]},
        "same_host": {"type": ["string", "array"], "items": UUID}, "query": {"type": ["string", "object"]},
        "target_cell": NAME, "different_cell": {"type": ["string", "array"], "items": {"type": "string"}},
        "build_near_host_ip": IP, "cidr": {"type": "string", "pattern": "^/[0-9a-f.:]+$"}}}


@functools.lru_cache(maxsize=None)
def server_create(mv):
    """POST /servers under microversion 2.<mv>."""
    keys = {"name": NAME, "flavorRef": {"type": ["string", "integer"], "minLength": 1},
            "imageRef": {"oneOf": [UUID, text(0, 0)]}, "adminPass": {"type": "string"}, "metadata": METADATA,
            "networks": networks(mv), "OS-DCF:diskConfig": {"type": "string", "enum": ["AUTO", "MANUAL"]},
            "accessIPv4": {"type": "string", "format": "ipv4"}, "accessIPv6": {"type": "string", "format": "ipv6"},
            "availability_zone": NAME, "key_name": NAME, "config_drive": FLAG,
            "block_device_mapping": array(block_device(mv, 1)),
            "block_device_mapping_v2": array(block_device(mv, 2)),
            "min_count": COUNT, "max_count": COUNT, "return_reservation_id": FLAG,
            "security_groups": array(closed({"name": NAME})),
            "user_data": {**BASE64, "maxLength": USER_DATA_MAX}}
    if mv < 57:
        keys["personality"] = array(closed({"path": {"type": "string"}, "contents": BASE64}))
    if mv >= 19:
        keys["description"] = {"type": ["string", "null"], "maxLength": TEXT_MAX, "format": "printable"}
    if mv >= 52:
        keys["tags"] = array(TAG, maxItems=50)
    if mv >= 63:
        keys["trusted_image_certificates"] = {"type": ["array", "null"], "minItems": 1, "maxItems": 50,
                                              "uniqueItems": True, "items": {"type": "string", "minLength": 1}}
    if mv >= 74:
        keys.update(host=FQDN, hypervisor_hostname=FQDN)
    if mv >= 90:
        keys["hostname"] = text(2, 63, pattern="^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$")
    required = ["name", "flavorRef"] + (["networks"] if mv >= 37 else [])
    return closed({"server": closed(keys, required), "os:scheduler_hints": hints(),
                   "OS-SCH-HNT:scheduler_hints": hints()}, ["server"])


METADATA_BODY = closed({"metadata": METADATA}, ["metadata"])
META_BODY = closed({"meta": {**METADATA, "minProperties": 1, "maxProperties": 1}}, ["meta"])
CONSOLE = closed({"os-getConsoleOutput": closed({"length": {
    "type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$", "minimum": -1}})}, ["os-getConsoleOutput"])
CREATE_IMAGE = closed({"createImage": closed({"name": NAME, "metadata": METADATA}, ["name"])}, ["createImage"])
KEYPAIR = {"type": "object", "properties": {"keypair": {"type": "object", "required": ["name"], "properties": {
    "name": NAME, "public_key": {"type": "string"}, "type": {"enum": ["ssh", "x509"]}}}}, "required": ["keypair"]}


# ---- keystone ----

def some(**properties):
    return {"type": "object", "properties": properties}


ID_NAME = some(id={"type": "string"}, name={"type": "string"})
SCOPE = {"type": ["object", "string"], "properties": {
    "project": some(id={"type": "string"}, name={"type": "string"}, domain=ID_NAME), "domain": ID_NAME,
    "OS-TRUST:trust": some(id={"type": "string"}), "system": some(all=FLAG)}}
TOKEN = {"type": "object", "required": ["identity"], "properties": {"scope": SCOPE, "identity": {
    "type": "object", "required": ["methods"], "properties": {
        "methods": array({"type": "string"}),
        "password": some(user=some(id={"type": "string"}, name={"type": "string"}, password={"type": "string"},
                                   domain=ID_NAME)),
        "token": {**some(id={"type": "string"}), "required": ["id"]}}}}}
TOKEN_V2 = {"type": "object", "required": ["auth"], "properties": {"auth": {
    "type": "object", "oneOf": [{"required": ["RAX-KSKEY:apiKeyCredentials"]}, {"required": ["passwordCredentials"]},
                                {"required": ["token"]}],
    "not": {"required": ["tenantId", "tenantName"]}, "additionalProperties": False, "properties": {
        "tenantId": {"type": "string"}, "tenantName": {"type": "string"},
        "token": closed({"id": {"type": "string"}}, ["id"]),
        "RAX-KSKEY:apiKeyCredentials": closed({"username": {"type": "string"}, "apiKey": {"type": "string"}},
                                              ["username", "apiKey"]),
        "passwordCredentials": closed({"username": {"type": "string"}, "password": {"type": "string"}},
                                      ["username", "password"])}}}, "additionalProperties": False}


# ---- neutron ----

PROTOCOLS = ["ah", "dccp", "egp", "esp", "gre", "hopopt", "icmp", "igmp", "ip", "ipip", "ipv6-encap", "ipv6-frag",
             "ipv6-icmp", "icmpv6", "ipv6-nonxt", "ipv6-opts", "ipv6-route", "ospf", "pgm", "rsvp", "sctp", "tcp",
             "udp", "udplite", "vrrp"]
PORT = {"type": ["integer", "string", "null"], "pattern": "^[0-9]+$", "minimum": 0, "maximum": 65535}
OWNER = {"tenant_id": text(), "project_id": text()}
FLOATING_IP = closed({"floatingip": closed({
    "floating_network_id": UUID, "port_id": UUID_OR_NULL, "fixed_ip_address": {"oneOf": [IP, {"type": "null"}]},
    "floating_ip_address": IP, "subnet_id": UUID_OR_NULL, "description": text(), "qos_policy_id": UUID_OR_NULL,
    "dns_name": text(), "dns_domain": text(), **OWNER}, ["floating_network_id"])}, ["floatingip"])
FLOATING_IP_UPDATE = closed({"floatingip": closed({
    "port_id": UUID_OR_NULL, "fixed_ip_address": {"oneOf": [IP, {"type": "null"}]}, "description": text(),
    "qos_policy_id": UUID_OR_NULL})}, ["floatingip"])
SECURITY_GROUP = closed({"security_group": closed({
    "name": text(), "description": text(), "stateful": FLAG, **OWNER})}, ["security_group"])
SECURITY_GROUP_RULE = closed({"security_group_rule": closed({
    "security_group_id": UUID, "direction": {"enum": ["ingress", "egress"]}, "ethertype": {"enum": ["IPv4", "IPv6"]},
    "protocol": {"type": ["string", "integer", "null"]}, "port_range_min": PORT, "port_range_max": PORT,
    "remote_ip_prefix": {"oneOf": [{"type": "string", "format": "cidr"}, {"type": "null"}]},
    "remote_group_id": UUID_OR_NULL, "remote_address_group_id": UUID_OR_NULL, "description": text(), **OWNER},
    ["security_group_id", "direction"])}, ["security_group_rule"])
NEW_PORT = closed({"port": closed({
    "network_id": UUID, "name": text(), "description": text(), "admin_state_up": FLAG, "device_id": text(),
    "device_owner": text(), "security_groups": array(UUID), "fixed_ips": array(some()),
    "port_security_enabled": FLAG, **OWNER}, ["network_id"])}, ["port"])
TAGS = closed({"tags": array(text(1), uniqueItems=True, maxItems=50)}, ["tags"])


# ---- formats and the validator ----

FORMATS = jsonschema.FormatChecker()


def _printable(char):
    kind = unicodedata.category(char)
    return ord(char) < 0xFFFF and kind[0] != "C" and (kind[0] != "Z" or kind == "Zs")


@FORMATS.checks("printable")
def is_printable(value):
    return not isinstance(value, str) or all(map(_printable, value.removesuffix("\n")))


@FORMATS.checks("printable-name")
def is_name(value):
    """Printable, no blank at either end. (A newline at the end passes as it does in a regular expression's $.)"""
    if not isinstance(value, str) or value == "":
        return value == ""
    body = value.removesuffix("\n")
    return (body != "" and all(map(_printable, body)) and
            all(unicodedata.category(c) != "Zs" for c in (body[0], body[-1])))


@FORMATS.checks("uuid")
def is_uuid(value):
    """As the services take it: any case, with or without dashes, braces and urn prefix."""
    if not isinstance(value, str):
        return True
    try:
        return uuid.UUID(value).hex == re.sub("urn:|uuid:", "", value).strip("{}").replace("-", "").lower()
    except ValueError:
        return False


@FORMATS.checks("base64")
def is_base64(value):
    """Lenient: what is not of the alphabet is skipped, only the padding must be right."""
    try:
        base64.b64decode(value)
    except (binascii.Error, ValueError, TypeError):
        return not isinstance(value, str)
    return True


@FORMATS.checks("cidr")
def is_cidr(value):
    try:
        return not isinstance(value, str) or bool(ipaddress.ip_network(value, strict=False))
    except ValueError:
        return False


def _number(value):
    for kind in (int, float):
        try:
            return kind(value)
        except (TypeError, ValueError):
            continue
    return None


def _bound(word):
    """minimum and maximum hold for numbers in strings, too."""
    plain = jsonschema.Draft4Validator.VALIDATORS[word]

    def check(validator, limit, value, schema):
        number = _number(value)
        return () if number is None else plain(validator, limit, number, schema)
    return check


Validator = jsonschema.validators.extend(jsonschema.Draft4Validator,
                                         {"minimum": _bound("minimum"), "maximum": _bound("maximum")})


def problem(schema, body):
    """The first thing that is wrong: (key, value, sentence), or None."""
    error = next(Validator(schema, format_checker=FORMATS).iter_errors(body), None)
    if error is None:
        return None
    return (error.path[-1] if error.path else None, error.instance, error.message)
