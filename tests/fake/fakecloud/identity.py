# SPDX-License-Identifier: MIT
"""Keystone: v3, and v2.0 as Rackspace has it."""
import base64
import secrets
import time

from . import schemas, state
from .http import Answer, Service, keystone_error, unauthorized

identity = Service("identity", "/identity")
MALFORMED = ("Expecting to find valid JSON in request body. The server could not comply with the request since it is "
             "either malformed or otherwise incorrect. The client is assumed to be in error.")
EXPECTED = ("Expecting to find {} in {}. The server could not comply with the request since it is either malformed or "
            "otherwise incorrect. The client is assumed to be in error.")


def bad(message):
    return keystone_error(400, message, "Bad Request")


# ---- versions ----

def version(cloud):
    name, path = ("v2.0", "v2.0") if cloud.rackspace else ("v3.14", "v3")
    return {"id": name, "status": "stable", "updated": "2020-04-07T00:00:00Z",
            "links": [{"rel": "self", "href": f"{cloud.url}/identity/{path}/"}],
            "media-types": [{"base": "application/json", "type": f"application/vnd.openstack.identity-{path}+json"}]}


@identity.route("GET", "", token=False)
def versions(cloud, _):
    found = version(cloud)
    return Answer(300, {"versions": {"values": [found]}}, {"Location": found["links"][0]["href"]}, "MULTIPLE CHOICES")


@identity.route("GET", "/v3", token=False)
def version_3(cloud, _):
    return keystone_error(404, "Not Found", "Not Found") if cloud.rackspace else Answer(200, {"version": version(cloud)})


@identity.route("GET", "/v2.0", token=False)
def version_2(cloud, _):
    return Answer(200, {"version": version(cloud)}) if cloud.rackspace else keystone_error(404, "Not Found", "Not Found")


# ---- the catalog ----

def endpoints(cloud):
    """(type, name, URL of our region's endpoint)."""
    url = cloud.url
    found = [("image", "glance", f"{url}/image"), ("network", "neutron", f"{url}/network"),
             ("identity", "keystone", f"{url}/identity/v3"), ("placement", "placement", f"{url}/placement")]
    if "no-volume" not in cloud.personality:
        found.append(("volumev3", "cinderv3", f"{url}/volume/v3/{cloud.project}"))
    return found + [("compute", "nova", f"{url}/compute/v2.1")]


def catalog(cloud, request):
    omit = request.faults["catalog"]["omit"] if "catalog" in request.faults else []
    regions = [state.REGION] + (["RegionTwo"] if "two-regions" in cloud.personality else [])
    found = []
    for kind, name, url in endpoints(cloud):
        if kind not in omit:
            found.append({"type": kind, "name": name, "id": secrets.token_hex(16), "endpoints": [
                {"id": secrets.token_hex(16), "interface": interface, "region": region, "region_id": region,
                 "url": url if region == state.REGION else url.replace(cloud.url, f"{cloud.url}/elsewhere/{region}")}
                for region in reversed(regions) for interface in ("internal", "public", "admin")]})
    return found


def catalog_2(cloud):
    """Rackspace's: two compute services, a region each, the first generation without one."""
    url, tenant = cloud.url, cloud.project

    def places(path, regions=("ORD", "DFW", "SYD", "IAD", "HKG"), **more):
        return [{"region": region, "tenantId": tenant, **more,
                 "publicURL": f"{url}{path}" if region == cloud.region else f"{url}/elsewhere/{region}{path}",
                 "internalURL": f"{url}/elsewhere/snet-{region}{path}"} for region in regions]
    return [
        {"name": "cloudServers", "type": "compute", "endpoints": [{
            "tenantId": tenant, "publicURL": f"{url}/elsewhere/first-generation/v1.0/{tenant}", "versionId": "1.0",
            "versionInfo": f"{url}/elsewhere/v1.0", "versionList": f"{url}/elsewhere/"}]},
        {"name": "cloudServersOpenStack", "type": "compute", "endpoints": places(
            f"/compute/v2/{tenant}", versionId="2", versionInfo=f"{url}/compute/v2", versionList=f"{url}/compute/")},
        {"name": "cloudImages", "type": "image", "endpoints": places("/image/v2")},
        {"name": "cloudBlockStorage", "type": "volume", "endpoints": places(f"/volume/v3/{tenant}")},
        {"name": "cloudFiles", "type": "object-store", "endpoints": places(f"/elsewhere/files/{tenant}")}]


# ---- v3 tokens ----

def same_domain(cloud, domain):
    return domain is not None and (domain.get("id") == cloud.accounts["domain_id"] or
                                   domain.get("name") == cloud.accounts["domain"])


def check_user(cloud, user):
    """The user of a password or of an application credential's name."""
    acc = cloud.accounts
    if "id" not in user and "name" not in user:
        raise bad("Invalid input for field identity/password/user: id or name must be present.")
    if "id" not in user and "domain" not in user:
        raise bad(EXPECTED.format("domain", "user"))
    return user["id"] == acc["user_id"] if "id" in user else \
        user["name"] == acc["user"] and same_domain(cloud, user["domain"])


def authenticate(cloud, auth):
    """(ok, project of the credential itself or of the token that was given)."""
    acc, identity_part = cloud.accounts, auth["identity"]
    for method in identity_part["methods"]:
        given = identity_part.get(method)
        if given is None:
            raise bad(EXPECTED.format(method, "identity"))
        if method == "password":
            if "user" not in given or "password" not in given["user"]:
                raise bad(EXPECTED.format("password", "user"))
            if not check_user(cloud, given["user"]) or given["user"]["password"] != acc["password"]:
                return False, None
        elif method == "token":
            token = cloud.tokens.get(given["id"])
            if token is None or token["expires"] <= time.time():
                return False, None
        elif method == "application_credential":
            by_id = given.get("id") == acc["appcred_id"]
            by_name = "name" in given and check_user(cloud, given.get("user") or {}) and \
                given["name"] == acc["appcred_name"]
            if not (by_id or by_name) or given.get("secret") != acc["appcred_secret"]:
                return False, None
            if "scope" in auth:
                raise keystone_error(401, "Error authenticating with application credential: Application credentials "
                                     "cannot request a scope.", "Unauthorized")
            return True, True
        else:
            return False, None
    return bool(identity_part["methods"]), None


def scoped(cloud, scope):
    """Does the scope name our project? None: no scope."""
    acc = cloud.accounts
    if scope in (None, "unscoped") or "unscoped" in scope:
        return None
    project = scope.get("project") if isinstance(scope, dict) else None
    if project is None:
        return False
    if "id" not in project and "name" not in project:
        raise bad("Invalid input for field scope/project: id or name must be present.")
    if "id" in project:
        return project["id"] == acc["project_id"]
    if "domain" not in project:
        raise bad(EXPECTED.format("domain", "project"))
    return project["name"] == acc["project"] and same_domain(cloud, project["domain"])


def new_token(cloud, **values):
    token = "gAAAAA" + base64.urlsafe_b64encode(secrets.token_bytes(133)).decode()[:177]
    now = time.time()
    cloud.tokens[token] = {"issued": now, "expires": now + cloud.token_life_s, **values}
    return token


def token_body(cloud, request, token):
    acc = cloud.accounts
    domain = {"id": acc["domain_id"], "name": acc["domain"]}
    body = {"methods": token["methods"], "user": {"domain": domain, "id": acc["user_id"], "name": acc["user"],
                                                  "password_expires_at": None},
            "audit_ids": [secrets.token_urlsafe(16)], "expires_at": state.iso(token["expires"], True) + "Z",
            "issued_at": state.iso(token["issued"], True) + "Z"}
    if token["scoped"]:
        body.update(project={"domain": domain, "id": acc["project_id"], "name": acc["project"]}, is_domain=False,
                    roles=[{"id": "98d89b74178a4029a2c4ef67026dbd59", "name": "reader"},
                           {"id": "77bc231e8a914e168ddb6ecf15fe4891", "name": "member"}],
                    catalog=catalog(cloud, request))
    if "application_credential" in token["methods"]:
        body["application_credential"] = {"id": acc["appcred_id"], "name": acc["appcred_name"], "restricted": True}
    return {"token": body}


@identity.route("POST", "/v3/auth/tokens", token=False)
def issue(cloud, request):
    if cloud.rackspace:
        return keystone_error(404, "Not Found", "Not Found")
    body = request.json()
    if body is None or "auth" not in body:
        return bad(MALFORMED)
    wrong = schemas.problem(schemas.TOKEN, body["auth"])
    if wrong:
        return bad(f"{wrong[2]}\n\nFailed validating in schema:\n{schemas.TOKEN}"[:4000])
    ok, own_project = authenticate(cloud, body["auth"])
    in_scope = own_project or scoped(cloud, body["auth"].get("scope"))
    if not ok or in_scope is False:
        return unauthorized(cloud, identity)
    if "unscoped" in request.faults:
        in_scope = None
    token = new_token(cloud, methods=body["auth"]["identity"]["methods"], scoped=bool(in_scope))
    return Answer(201, token_body(cloud, request, cloud.tokens[token]), {"X-Subject-Token": token}, "CREATED")


@identity.route("GET", "/v3/auth/tokens")
def validate(cloud, request):
    subject = request.headers.get("X-Subject-Token")
    token = cloud.tokens.get(subject)
    if token is None or token["expires"] <= time.time():
        return keystone_error(404, "Failed to validate token", "Not Found")
    return Answer(200, token_body(cloud, request, token), {"X-Subject-Token": subject})


@identity.route("DELETE", "/v3/auth/tokens")
def revoke(cloud, request):
    if cloud.tokens.pop(request.headers.get("X-Subject-Token"), None) is None:
        return keystone_error(404, "Failed to validate token", "Not Found")
    return Answer(204)


@identity.route("GET", "/v3/auth/catalog")
def show_catalog(cloud, request):
    return Answer(200, {"catalog": catalog(cloud, request), "links": {"self": f"{cloud.url}/identity/v3/auth/catalog"}})


@identity.route("GET", "/v3/auth/projects")
def my_projects(cloud, _):
    acc = cloud.accounts
    return Answer(200, {"projects": [{
        "id": acc["project_id"], "name": acc["project"], "domain_id": acc["domain_id"], "description": "",
        "enabled": True, "parent_id": acc["domain_id"], "is_domain": False, "tags": [], "options": {},
        "links": {"self": f"{cloud.url}/identity/v3/projects/{acc['project_id']}"}}],
        "links": {"next": None, "self": f"{cloud.url}/identity/v3/auth/projects", "previous": None}})


@identity.route("GET", "/v3/projects")
def projects(_, __):
    return keystone_error(403, "You are not authorized to perform the requested action: identity:list_projects.",
                          "Forbidden")


# ---- v2.0 ----

def error_2(status, word, message):
    return Answer(status, {word: {"code": status, "message": message}})


@identity.route("POST", "/v2.0/tokens", token=False)
def issue_2(cloud, request):
    if not cloud.rackspace:
        return keystone_error(404, "Not Found", "Not Found")
    acc, body = cloud.accounts, request.json()
    wrong = "Invalid json request body" if body is None else schemas.problem(schemas.TOKEN_V2, body)
    if wrong:
        return error_2(400, "badRequest", wrong if isinstance(wrong, str) else wrong[2])
    auth = body["auth"]
    key, word, old = (auth.get(k) for k in ("RAX-KSKEY:apiKeyCredentials", "passwordCredentials", "token"))
    if key:
        ok = (key["username"], key["apiKey"]) == (acc["rax_user"], acc["rax_api_key"])
    elif word:
        ok = (word["username"], word["password"]) == (acc["rax_user"], acc["rax_password"])
    else:
        ok = old["id"] in cloud.tokens
    tenant = auth.get("tenantId", auth.get("tenantName", acc["rax_tenant"]))
    if not ok or tenant != acc["rax_tenant"]:
        return error_2(401, "unauthorized", "Unable to authenticate user with credentials provided.")
    token = new_token(cloud, methods=["apikey" if key else "password"], scoped=True)
    access = {"token": {"id": token, "expires": state.iso(cloud.tokens[token]["expires"])[:-1] + ".897Z",
                        "tenant": {"id": tenant, "name": tenant},
                        "RAX-AUTH:authenticatedBy": ["APIKEY" if key else "PASSWORD"]},
              "user": {"id": "10081591", "name": acc["rax_user"], "RAX-AUTH:defaultRegion": "SYD", "roles": [
                  {"id": "3", "name": "identity:user-admin", "description": "User Admin Role."}]}}
    if "unscoped" not in request.faults:
        access["serviceCatalog"] = catalog_2(cloud)
    return Answer(200, {"access": access})
