# SPDX-License-Identifier: MIT
"""Nova's POST /servers: what is refused, and what a server is made of."""
import secrets
import time

from . import cloudinit, schemas, state
from .compute import bad, check, find_groups, links, route
from .http import Answer, nova_fault

MEMORY_FLAVOR = "Policy doesn't allow memory_flavor:create:image_backed to be performed."


def find_networks(cloud, asked):
    """(networks that get a port from nova, ports that were made before)."""
    if cloud.rackspace:
        return ["00000000-0000-0000-0000-000000000000"], []
    if asked == "none":
        return [], []
    usable = [n["id"] for n in cloud.networks.values() if not n["router:external"] and n["subnets"]]
    if asked in (None, [], "auto"):
        if len(usable) > 1:
            raise nova_fault(409, "Multiple possible networks found, use a Network ID to be more specific.")
        return usable, []
    nets, ports = [], []
    for item in asked:
        if item.get("port"):
            port = cloud.ports.get(item["port"])
            if port is None:
                raise bad(f"Port {item['port']} could not be found.")
            if port["device_id"]:
                raise nova_fault(409, f"Port {item['port']} is still in use.")
            ports.append(item["port"])
        elif item.get("uuid") not in cloud.networks:
            raise bad(f"Network {item.get('uuid')} could not be found.")
        elif cloud.networks[item["uuid"]]["router:external"]:
            raise nova_fault(403, f"It is not allowed to create an interface on external network {item['uuid']}")
        else:
            nets.append(item["uuid"])
    return nets, ports


def boot_device(server):
    """The element of block_device_mapping_v2 with boot index 0, or None."""
    return next((d for d in server.get("block_device_mapping_v2") or [] if d.get("boot_index") in (0, "0")), None)


def find_image(cloud, server, flavor):
    """(image, size of the volume to boot from or None)."""
    device, ref = boot_device(server), server.get("imageRef") or None
    if device is None and ref is None:
        raise bad("Invalid imageRef provided.")
    if device is not None:
        if device.get("source_type") != "image" or device.get("destination_type") != "volume":
            raise bad("Block Device Mapping is Invalid: the fake cloud boots from an image, or its copy on a volume.")
        if ref not in (None, device.get("uuid")):
            raise bad("Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping "
                      "combination is not valid.")
        ref = device.get("uuid")
        if not device.get("volume_size"):
            raise bad("Images with destination_type 'volume' need to have a non-zero size specified")
    image = cloud.images.get(str(ref).lower())
    if image is None:
        raise bad("Can not find requested image")
    if image["status"] != "active":
        raise bad(f"Image {image['id']} is not active.")
    if image["min_ram"] > flavor["ram"]:
        raise bad("Flavor's memory is too small for requested image.")
    if device is not None:
        if int(device["volume_size"]) < image["min_disk"]:
            raise bad("Volume is smaller than the minimum size specified in image metadata. Volume size is "
                      f"{int(device['volume_size']) << 30} bytes, minimum size is {image['min_disk'] << 30} bytes.")
        return image, int(device["volume_size"])
    if flavor["name"].startswith("memory"):
        raise nova_fault(403, MEMORY_FLAVOR)
    if flavor["disk"] == 0:
        raise nova_fault(403, "Only volume-backed servers are allowed for flavors with zero disk.")
    if image["min_disk"] > flavor["disk"]:
        raise bad("Flavor's disk is too small for requested image. Flavor disk is "
                  f"{flavor['disk'] << 30} bytes, minimum size is {image['min_disk'] << 30} bytes.")
    return image, None


def check_quota(cloud, flavor, metadata):
    if len(metadata) > cloud.quotas["metadata_items"]:
        raise nova_fault(403, f"Maximum number of metadata items exceeds {cloud.quotas['metadata_items']}")
    used = cloud.usage()
    wants = {"cores": flavor["vcpus"], "instances": 1, "ram": flavor["ram"]}
    over = [k for k, n in wants.items() if cloud.quotas[k] >= 0 and used[k] + n > cloud.quotas[k]]
    if over:
        raise nova_fault(403, f"Quota exceeded for {', '.join(over)}: Requested {', '.join(str(wants[k]) for k in over)}"
                         f", but already used {', '.join(str(used[k]) for k in over)} of "
                         f"{', '.join(str(cloud.quotas[k]) for k in over)} {', '.join(over)}")


def make_volume(cloud, image, size, device):
    volume = state.new_id()
    keep = device.get("delete_on_termination", False) in (True, "true", "True", "TRUE", "1", "yes", "on")
    cloud.volumes[volume] = {"id": volume, "name": "", "size": size, "status": "creating", "attachments": [],
                             "bootable": "false", "created_at": state.iso(time.time(), True), "metadata": {},
                             "volume_type": device.get("volume_type") or "lvm", "description": "",
                             "volume_image_metadata": {"image_id": image["id"], "image_name": image["name"]},
                             "delete_on_termination": keep, "_made": time.time()}
    return volume


@route("POST", "/servers")
def create(cloud, request):
    body = request.json()
    check(schemas.server_create(request.mv), body)
    asked = body["server"]
    flavor = cloud.flavors.get(str(asked["flavorRef"]))
    if flavor is None:
        raise bad(f"Flavor {asked['flavorRef']} could not be found.")
    image, volume_size = find_image(cloud, asked, flavor)
    nets, ports = find_networks(cloud, asked.get("networks"))
    groups = [] if cloud.rackspace else find_groups(cloud, asked.get("security_groups"))
    if asked.get("availability_zone") not in (None, "nova"):
        raise bad("The requested availability zone is not available")
    key = cloud.keypairs.get(asked.get("key_name"))
    if asked.get("key_name") and key is None:
        raise bad("Invalid key_name provided.")
    if int(asked.get("min_count", 1)) > 1:
        raise bad("The fake cloud makes one server at a time.")
    metadata = dict(asked.get("metadata") or {})
    check_quota(cloud, flavor, metadata)
    config_drive = asked.get("config_drive") in (True, "True", "TRUE", "true", "1", "yes", "on", "YES", "ON")
    text = asked.get("user_data") or ""
    broken = None
    if asked.get("security_groups") and any(not cloud.networks[n]["port_security_enabled"] for n in nets
                                            if n in cloud.networks):
        broken = "Network requires port_security_enabled and subnet associated in order to apply security groups."
    server = state.Server(
        name=asked["name"], image=None if volume_size else image["id"], flavor=flavor, metadata=metadata,
        networks=nets, group_ids=groups, key_name=asked.get("key_name"), config_drive=config_drive,
        description=asked.get("description"), user_data_text=text, faults=dict(request.faults), broken=broken,
        base="debian-12", default_user="root" if cloud.rackspace else image.get("os_admin_user", "debian"),
        metadata_keys=[key["public_key"].strip()] if key else [],
        ignores_user_data=cloud.rackspace and not config_drive)
    server.user_data = cloudinit.decode(text)
    server.tags = list(asked.get("tags") or [])
    server.ports = list(ports)
    for port in ports:
        cloud.ports[port].update(device_id=server.id, device_owner="compute:nova-given", status="ACTIVE")
    if volume_size:
        server.volumes = [make_volume(cloud, image, volume_size, boot_device(asked))]
    cloud.start(server)
    answer = {"id": server.id, "links": links(cloud, "servers", server.id), "OS-DCF:diskConfig": "MANUAL",
              "security_groups": [{"name": g.get("name", "default")} for g in asked.get("security_groups")
                                  or [{"name": "default"}]], "adminPass": secrets.token_urlsafe(9)}
    if cloud.rackspace:
        del answer["security_groups"]
    return Answer(202, {"server": answer}, {"Location": answer["links"][0]["href"]})
