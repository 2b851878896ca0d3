# SPDX-License-Identifier: MIT
"""Glance v2."""
import time
import urllib.parse

from . import state
from .http import Answer, Service, glance_error

image = Service("image", "/image")
KEYS_OF_THE_LIST = {"limit", "marker", "sort", "sort_key", "sort_dir"}


@image.route("GET", "", token=False)
def versions(cloud, _):
    minor = [16, 15, 14, 9, 7, 6, 5, 4, 3, 2, 1, 0]
    return Answer(300, {"versions": [{"id": f"v2.{n}", "status": "CURRENT" if n == 16 else "SUPPORTED", "links": [
        {"rel": "self", "href": f"{cloud.url}/image/v2/"}]} for n in minor]})


@image.route("GET", "/versions", token=False)
def versions_again(cloud, request):
    reply = versions(cloud, request)
    reply.status = 200
    return reply


def view(found):
    """Snapshots become active after a while; what begins with _ is ours."""
    if found.get("_ready"):
        left = found["_ready"] - time.time()
        found["status"] = "active" if left <= 0 else "saving"
    return {k: v for k, v in found.items() if not k.startswith("_")}


def fits(found, key, value):
    if key == "visibility":
        return value in ("all", found["visibility"])
    if key == "tag":
        return value in found["tags"]
    if key in ("size_min", "size_max"):
        return (found["size"] >= int(value)) if key == "size_min" else found["size"] <= int(value)
    if key in ("member_status",):
        return True
    if key == "os_hidden":
        return str(found["os_hidden"]).lower() == value.lower()
    have = str(found.get(key, ""))
    if value.startswith("in:"):
        return have in value[3:].split(",")
    for word, compare in (("gt:", have.__gt__), ("gte:", have.__ge__), ("lt:", have.__lt__), ("lte:", have.__le__)):
        if key.endswith("_at") and value.startswith(word):
            return compare(value[len(word):])
    return have == value


@image.route("GET", "/v2/images")
def images(cloud, request):
    found = [view(i) for i in cloud.images.values()]
    for key, values in request.query.items():
        if key not in KEYS_OF_THE_LIST:
            found = [i for i in found if all(fits(i, key, v) for v in values)]
    order, _, way = request.one("sort", f"{request.one('sort_key', 'created_at')}:"
                                f"{request.one('sort_dir', 'desc')}").split(",")[0].partition(":")
    if found and order not in next(iter(found)):
        return glance_error(400, f"Invalid sort key: {order}. It must be one of the following: created_at, name")
    found.sort(key=lambda i: (str(i.get(order)), i["id"]), reverse=way != "asc")
    marker, limit = request.one("marker"), request.one("limit", "25")
    if not limit.isdigit():
        return glance_error(400, "limit param must be an integer")
    wrong = request.faults.get("wrong_links")
    most = min(cloud.page_max, int(limit), wrong["page"] if wrong else 1000)
    if marker is not None:
        ids = [i["id"] for i in found]
        if marker not in ids:
            return glance_error(400, "Invalid marker. Image could not be found.")
        found = found[ids.index(marker) + 1:]
    # Paths from the root of the service itself: what a proxy has put before it is not in them.
    rest = [(k, v) for k, v in request.query_items(raw=True) if k not in ("marker",)]
    first = "/v2/images" + ("?" + urllib.parse.urlencode(rest) if rest else "")
    body = {"images": found[:most], "first": first, "schema": "/v2/schemas/images"}
    if len(found) > most > 0:
        body["next"] = "/v2/images?" + urllib.parse.urlencode(rest + [("marker", found[most - 1]["id"])])
        if wrong:
            body["next"] = wrong["host"] + body["next"]
    return Answer(200, body)


@image.route("GET", "/v2/images/{image_id}")
def get_image(cloud, _, image_id):
    if image_id not in cloud.images:
        return glance_error(404, f"No image found with ID {image_id}")
    return Answer(200, view(cloud.images[image_id]))


@image.route("DELETE", "/v2/images/{image_id}")
def delete_image(cloud, request, image_id):
    if image_id not in cloud.images:
        return glance_error(404, f"Failed to find image {image_id} to delete")
    if image_id in cloud.seed_images:
        return glance_error(403, f"You are not authorized to complete delete_image action. ({state.REGION})")
    if "delete_lies" not in request.faults:
        del cloud.images[image_id]
    return Answer(204)
