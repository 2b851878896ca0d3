# SPDX-License-Identifier: MIT
"""Cinder v3: the volumes that servers boot from."""
import time

from .http import Answer, Service, nova_fault

volume = Service("volume", "/volume")


def route(method, template):
    def keep(function):
        def checked(cloud, request, tenant, **parts):
            if tenant != cloud.project:
                return nova_fault(400, "Malformed request url")
            return function(cloud, request, **parts)
        volume.route(method, "/v3/{tenant}" + template)(checked)
        return function
    return keep


@volume.route("GET", "", token=False)
def versions(cloud, _):
    return Answer(300, {"versions": [{"id": "v3.0", "status": "CURRENT", "version": "3.70", "min_version": "3.0",
                                      "updated": "2022-08-31T00:00:00Z", "links": [
                                          {"rel": "self", "href": f"{cloud.url}/volume/v3/"}], "media-types": []}]})


def view(cloud, found):
    server = next((s for s in cloud.servers.values() if found["id"] in s.volumes), None)
    # A volume of a server in ERROR was made, and is not in use.
    if found["status"] == "creating" and time.time() > found["_made"] + cloud.build_s:
        found["status"] = "available" if server is None or server.status == "ERROR" else found["status"]
    return {k: v for k, v in found.items() if k != "delete_on_termination" and not k.startswith("_")}


@route("GET", "/volumes/detail")
def detail(cloud, request):
    found = [view(cloud, v) for v in cloud.volumes.values()]
    for key in ("name", "status"):
        if key in request.query:
            found = [v for v in found if v[key] == request.one(key)]
    return Answer(200, {"volumes": found})


@route("GET", "/volumes")
def listing(cloud, _):
    return Answer(200, {"volumes": [{"id": v["id"], "name": v["name"], "links": []} for v in cloud.volumes.values()]})


@route("GET", "/volumes/{volume_id}")
def get(cloud, _, volume_id):
    if volume_id not in cloud.volumes:
        return nova_fault(404, f"Volume {volume_id} could not be found.")
    return Answer(200, {"volume": view(cloud, cloud.volumes[volume_id])})


@route("DELETE", "/volumes/{volume_id}")
def delete(cloud, request, volume_id):
    if volume_id not in cloud.volumes:
        return nova_fault(404, f"Volume {volume_id} could not be found.")
    if view(cloud, cloud.volumes[volume_id])["status"] not in ("available", "error"):
        return nova_fault(400, "Invalid volume: Volume status must be available or error or error_restoring or "
                          "error_extending or error_managing and must not be migrating, attached, belong to a group, "
                          "have snapshots, awaiting a transfer, or be disassociated from snapshots after volume "
                          "transfer.")
    if "delete_lies" not in request.faults:
        del cloud.volumes[volume_id]
    return Answer(202)


@route("GET", "/limits")
def limits(cloud, _):
    used = sum(v["size"] for v in cloud.volumes.values())
    return Answer(200, {"limits": {"rate": [], "absolute": {
        "maxTotalVolumes": 10, "totalVolumesUsed": len(cloud.volumes), "maxTotalVolumeGigabytes": 1000,
        "totalGigabytesUsed": used}}})
