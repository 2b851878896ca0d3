# SPDX-License-Identifier: MIT
"""HTTP: routes, tokens, the scripted faults of the exchange, and the tests' own /fake/ paths."""
import email.utils
import http.client
import http.server
import json
import os
import re
import select
import socket
import struct
import threading
import time
import traceback
import urllib.parse
import uuid

from . import cloudinit, script

BODY_MAX = 8 << 20
IDLE_S = 300
CONNECTIONS_MAX = 400
HTML = "<html><head><title>{0} {1}</title></head><body><center><h1>{0} {1}</h1></center><hr>nginx</body></html>\n"
NOVA_WORDS = {400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
              409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit",
              501: "notImplemented", 503: "serviceUnavailable"}
AUTH = "The request you have made requires authentication."


class Answer(Exception):
    """What goes back; raised where the way to it is short."""

    def __init__(self, status, body=None, headers=None, reason=None):
        super().__init__(status)
        self.status, self.headers, self.reason = status, dict(headers or {}), reason
        self.body = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()


def nova_fault(status, message):
    word = NOVA_WORDS.get(status, "computeFault")
    fault = {"code": status, "message": message}
    return Answer(status, {word: fault}, {"Content-Type": "application/json; charset=UTF-8"})


def keystone_error(status, message, title, headers=None):
    return Answer(status, {"error": {"code": status, "message": message, "title": title}}, headers)


def neutron_error(status, kind, message):
    return Answer(status, {"NeutronError": {"type": kind, "message": message, "detail": ""}})


def glance_error(status, message):
    title = http.client.responses[status]
    return Answer(status, {"message": f"{message}<br /><br />\n\n\n", "code": f"{status} {title}", "title": title})


class Route:
    def __init__(self, method, template, function, token):
        self.method, self.template, self.function, self.token = method, template, function, token
        self.regex = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template)) + "/?")


class Service:
    """One API under one prefix. Handlers: f(cloud, request, **parts of the path) -> Answer."""

    def __init__(self, name, prefix):
        self.name, self.prefix, self.routes = name, prefix, []

    def route(self, method, template, token=True):
        def keep(function):
            self.routes.append(Route(method, template, function, token))
            return function
        return keep

    def find(self, method, path):
        """(route, parts) or None; a path of another method gives 405."""
        other = False
        for route in self.routes:
            found = route.regex.fullmatch(path)
            if found and route.method == method:
                return route, found.groupdict()
            other = other or bool(found)
        return 405 if other else None


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.raw = method, target, headers, body
        self.path, _, query = target.partition("?")
        self.path = urllib.parse.unquote(self.path)
        self.query = urllib.parse.parse_qs(query, keep_blank_values=True)
        self.id, self.faults, self.mv, self.token = "req-" + str(uuid.uuid4()), {}, 1, None

    def one(self, key, default=None):
        return self.query.get(key, [default])[-1]

    def query_items(self, raw=False):
        """(key, value) in order, percent-encoded unless raw."""
        return [(k, v if raw else urllib.parse.quote(v)) for k, vs in self.query.items() for v in vs]

    def json(self):
        """The body, or None when it is no JSON object."""
        try:
            body = json.loads(self.raw)
        except (ValueError, RecursionError):
            return None
        return body if isinstance(body, dict) else None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True

    # ---- taking a request in ----

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, socket.timeout, TimeoutError, ValueError, OSError):
            self.close_connection = True

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while (size := int(self.rfile.readline(100).split(b";")[0], 16)) and len(data) + size <= BODY_MAX:
                data += self.rfile.read(size)
                self.rfile.readline(10)
            self.rfile.readline(10)
            return data
        size = int(self.headers.get("Content-Length") or 0)
        if size > BODY_MAX:
            self.close_connection = True
            return b""
        return self.rfile.read(size)

    def answer(self):
        cloud = self.server.cloud
        request = Request(self.command, self.path, self.headers, self.body())
        if request.path.startswith("/fake/"):
            return self.send(request, control(cloud, request))
        begin, host = time.monotonic(), self.headers.get("Host", "")
        service = next((s for s in self.server.services if request.path == s.prefix or
                        request.path.startswith(s.prefix + "/")), None)
        rest = request.path[len(service.prefix):] if service else request.path
        found = service.find(request.method, rest) if service else None
        label = f"{request.method} {service.prefix if service else ''}" + \
            (found[0].template if isinstance(found, tuple) else " (none)")
        if isinstance(found, tuple) and len(found[1].get("collection", "")) < 30:
            label = label.replace("{collection}", found[1].get("collection", ""))
        with cloud.lock:
            cloud.calls += 1
            number = cloud.calls
            cloud.counters[label] += 1
            request.faults = cloud.script.faults(number, request.method, request.target)
        if "latency" in request.faults:
            cloud.stopping.wait(request.faults["latency"]["ms"] / 1000)
        fault = request.faults.get("exchange")
        reply = fault_before(cloud, request, service, fault, host)
        if reply is None:
            reply = act(cloud, request, service, found)
        entry = {"n": number, "t": round(time.time(), 3), "method": request.method, "path": request.target,
                 "mv": request.headers.get("OpenStack-API-Version"), "token": "X-Auth-Token" in request.headers,
                 "status": reply.status, "faults": sorted(r.name for r in request.faults.values()),
                 "request_id": request.id, "ms": round((time.monotonic() - begin) * 1000)}
        cloud.write_log(entry, request.raw)
        dress(cloud, request, service, reply)
        return self.finish_exchange(request, reply, fault)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = answer

    # ---- sending ----

    def finish_exchange(self, request, reply, fault):
        name = fault.name if fault else ""
        if name == "kill":
            with open(fault["pid_file"], encoding="ascii") as f:
                os.kill(int(f.read()), fault["signal"])
        if name in ("hang", "kill"):
            self.hold(fault["seconds"])
        elif name == "reset":
            self.reset()
        elif name == "close":
            self.close_connection = True
        elif name == "truncate":
            self.send(request, reply, cut=fault["bytes"] or max(1, len(reply.body) // 2))
        else:
            if name == "invalid_json":
                reply.body = reply.body[:max(1, len(reply.body) // 2)] or b"{"
            elif name == "big_body":
                rest = reply.body.lstrip(b"{")
                reply.body = b'{"padding": "' + b"x" * fault["bytes"] + b'"' + (b", " + rest if len(rest) > 1 else b"}")
            elif name == "status" and fault["act"]:
                reply = fault_answer(fault)
                dress(self.server.cloud, request, None, reply)
            self.send(request, reply)
            if "close_after" in request.faults:
                self.close_connection = True
            if fault and fault.name == "big_body":
                self.close_connection = True

    def send(self, request, reply, cut=None):
        reason = reply.reason or http.client.responses.get(reply.status, "Unknown")
        headers = dict(reply.headers)
        if reply.status != 204 or not request.path.startswith("/identity"):
            headers["Content-Length"] = str(len(reply.body))
        if headers.get("Connection") == "close":
            self.close_connection = True
        if "lower_headers" in request.faults:
            headers = {k.lower(): v for k, v in headers.items()}
        head = f"HTTP/1.1 {reply.status} {reason}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        data = head.encode("latin-1") + b"\r\n" + (b"" if request.method == "HEAD" else reply.body)
        if cut is not None:
            data = data[:len(data) - len(reply.body) + cut]
            self.close_connection = True
        self.connection.sendall(data)

    def hold(self, seconds):
        """Says nothing until the client has gone, or time is up."""
        self.close_connection = True
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.server.cloud.stopping.is_set():
            if select.select([self.connection], [], [], 0.1)[0] and not self.connection.recv(1, socket.MSG_PEEK):
                return

    def reset(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        os.close(self.connection.detach())

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


# ---- faults ----

def fault_answer(fault):
    status = fault["status"]
    if fault["html"]:
        text = HTML.format(status, http.client.responses.get(status, ""))
        return Answer(status, text.encode(), {"Content-Type": "text/html", **fault["headers"]}, fault["reason"])
    body = fault["body"]
    if body is None:
        body = {NOVA_WORDS.get(status, "computeFault"): {"code": status, "message": "Unexpected API Error (scripted)."}}
    return Answer(status, body.encode() if isinstance(body, str) else body, fault["headers"], fault["reason"])


def fault_before(cloud, request, service, fault, host):
    """The answer of a fault that keeps the request from being carried out, or None."""
    if fault is None or fault.name in ("big_body", "truncate", "invalid_json") and fault["act"]:
        return None
    if fault.name == "retry_after":
        return retry_after(fault)
    if fault.name == "unauthorized":
        with cloud.lock:
            if fault["revoke"]:
                cloud.tokens.pop(request.headers.get("X-Auth-Token"), None)
        return unauthorized(cloud, service)
    if fault.name == "redirect":
        where = f"http://{host.rsplit(':', 1)[0]}:{cloud.trap_port}{request.target}"
        return Answer(fault["status"], {}, {"Location": where})
    if fault["act"]:
        return None
    return fault_answer(fault) if fault.name == "status" else Answer(200, {})


def retry_after(fault):
    seconds, status = fault["seconds"], fault["status"]
    value = {"seconds": str(seconds), "date": email.utils.formatdate(time.time() + seconds, usegmt=True)}
    headers = {"Retry-After": value[fault["form"]]} if fault["form"] in value else {}
    return Answer(status, {"overLimit": {"code": status, "message": "This request was rate-limited.",
                                         "details": "Only 10 POST request(s) can be made to * every minute.",
                                         "retryAt": value["date"]}}, headers)


def unauthorized(cloud, service):
    where = f'Keystone uri="{cloud.url}/identity/v3"'
    if service and service.name == "image":
        reply = glance_error(401, "This server could not verify that you are authorized to access the document you "
                             "requested. Either you supplied the wrong credentials (e.g., bad password), or your "
                             "browser does not understand how to supply the credentials required.")
        reply.headers["Www-Authenticate"] = where
        return reply
    return keystone_error(401, AUTH, "Unauthorized", {"Www-Authenticate": where})


# ---- carrying out ----

def act(cloud, request, service, found):
    try:
        if service is None or found is None:
            with cloud.lock:
                cloud.strays[f"{request.method} {request.path}"[:200]] += 1
            return no_such(service)
        if found == 405:
            return nova_fault(405, "Method not allowed") if service.name == "compute" else no_such(service)
        route, parts = found
        with cloud.lock:
            if route.token:
                token = cloud.tokens.get(request.headers.get("X-Auth-Token"))
                if token is None or token["expires"] <= time.time():
                    return unauthorized(cloud, service)
                request.token = token
            return route.function(cloud, request, **parts)
    except Answer as reply:
        return reply
    except Exception:  # pylint: disable=broad-except
        cloud.problem(traceback.format_exc())
        return nova_fault(500, "The fake cloud has a bug, see its output.")


def no_such(service):
    if service and service.name == "network":
        return neutron_error(404, "HTTPNotFound", "The resource could not be found.")
    if service and service.name == "identity":
        return keystone_error(404, "The resource could not be found.", "Not Found")
    return glance_error(404, "The resource could not be found.")


def dress(cloud, request, service, reply):
    """The headers of the real services, in their spelling."""
    headers = reply.headers
    headers.setdefault("Content-Type", "application/json")
    name = service.name if service else ""
    if name == "compute" and not cloud.rackspace and reply.status != 401 and \
       request.path.rstrip("/") != "/compute" and not reply.body.startswith(b'{"message": "The resource'):
        version = headers.pop("mv", None) or f"2.{request.mv}"
        if version != "none":
            headers.update({"Openstack-Api-Version": f"compute {version}", "X-Openstack-Nova-Api-Version": version,
                            "Vary": "X-OpenStack-Nova-API-Version"})
    headers.pop("mv", None)
    # Version documents have none, and glance's 401 has none.
    bare = reply.status == 401 and name == "image" or name != "identity" and request.path.count("/") < 3 and \
        not request.path.rpartition("/")[2].startswith("v2")
    if "no_request_id" not in request.faults and not bare:
        headers["x-openstack-request-id" if name == "identity" else "X-Openstack-Request-Id"] = request.id
        if name == "compute":
            headers["X-Compute-Request-Id"] = request.id
    if name == "identity":
        headers.update({"Vary": "X-Auth-Token", "Connection": "close"})
    skew = request.faults["date_skew"]["seconds"] if "date_skew" in request.faults else 0
    headers["Date"] = email.utils.formatdate(time.time() + skew, usegmt=True)


# ---- the tests' own paths ----

def control(cloud, request):
    """GET /fake/state, /fake/servers/ID/user_data; POST /fake/script, /fake/config, /fake/reset-counters, /fake/reset."""
    try:
        body = json.loads(request.raw) if request.raw else {}
        with cloud.lock:
            what = (request.method, request.path)
            if what == ("GET", "/fake/state"):
                return Answer(200, cloud.report())
            if what == ("POST", "/fake/script"):
                cloud.script.add(body)
                return Answer(200, {"rules": cloud.script.report()})
            if what == ("DELETE", "/fake/script"):
                cloud.script = script.Script()
                return Answer(200, {"rules": []})
            if what == ("POST", "/fake/config"):
                cloud.configure(body)
                return Answer(200, {})
            if what == ("POST", "/fake/reset-counters"):
                cloud.calls = cloud.servers_made = 0
                cloud.counters.clear()
                cloud.trap.clear()
                cloud.problems.clear()
                cloud.strays.clear()
                return Answer(200, {})
            if what == ("POST", "/fake/expire-tokens"):
                cloud.tokens.clear()
                return Answer(200, {})
            found = re.fullmatch(r"/fake/servers/([^/]+)/(user_data|poweroff)", request.path)
            server = cloud.servers.get(found[1]) if found else None
            if server and found[2] == "user_data":
                return Answer(200, cloudinit.decode(server.user_data_text), {"Content-Type": "text/plain"})
            if server:
                server.life.off_at = 0.001
                return Answer(200, {})
            return Answer(404, {"error": "no such /fake/ path or server"})
    except (ValueError, TypeError, KeyError) as e:
        return Answer(400, {"error": str(e)})


class TrapHandler(http.server.BaseHTTPRequestHandler):
    """Where redirects lead: notes who comes, and whether a secret came along."""
    protocol_version = "HTTP/1.1"
    timeout = 20

    def answer(self):
        self.rfile.read(min(int(self.headers.get("Content-Length") or 0), BODY_MAX))
        cloud = self.server.cloud
        with cloud.lock:
            if len(cloud.trap) < 1000:
                cloud.trap.append({"method": self.command, "path": self.path,
                                   "token": "X-Auth-Token" in self.headers or "X-Subject-Token" in self.headers})
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


class Listener(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, cloud, address, handler, services=(), tls=None):
        self.cloud, self.services = cloud, services
        self.slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__(address, handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request, client_address):
        if not self.slots.acquire(blocking=False):  # pylint: disable=consider-using-with
            return self.shutdown_request(request)
        return super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.slots.release()

    def handle_error(self, request, client_address):
        pass
