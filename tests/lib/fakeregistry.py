"""A registry in this process, with scripted faults and an exact record of requests.

    with FakeRegistry() as registry:
        registry.repo("a/b").add(image, "latest")
        registry.fault("GET", "/blobs/", cut=1000, times=1)
        ... pull registry.host + "/a/b:latest" ...
        registry.sent("/blobs/")      # bytes of bodies that went out

Faults are tried in the order in which they were added; each is used `times`
times (None: always), after skipping `skip` matching requests.

    cut=N         sends N bytes of the body, then breaks the connection
    gate=EVENT    waits for the event before it answers, or after `cut` bytes
    status=N      answers so; with headers={} and body=b""
    pace=SECONDS  pauses after each MiB of the body
    body=BYTES    in place of the right bytes (with status 200 if none is given)
    ranges=False  answers Range requests with the whole body
    raw=BYTES     exactly these, the status line too, then hangs up; or a function of
                  the request that gives them
    answer=F      F(handler, blob, start, end) answers in its own way, where a blob is asked for

`referrers` says how GET .../referrers/DIGEST is answered: "api" (filters, and says
so), "unfiltered", or None as by registries that have no such call; `referrers_page`
entries come in one page.
"""

import base64
import json
import re
import secrets
import socket
import ssl
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlparse

from ociimage import OCI_INDEX, Repo, to_json


class Request:
    def __init__(self, method, path, headers):
        self.method, self.path, self.headers = method, path, dict(headers.items())
        self.status, self.sent = None, 0

    def __repr__(self):
        return f"{self.method} {self.path} -> {self.status} ({self.sent} bytes)"


class Fault:
    def __init__(self, method, pattern, times=None, skip=0, **action):
        self.method, self.pattern = method, re.compile(pattern)
        self.times, self.skip, self.action = times, skip, action

    def take(self, request):
        if self.method not in ("*", request.method) or not self.pattern.search(request.path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass  # a client that goes away is part of the tests


class Server6(Server):
    address_family = socket.AF_INET6


class FakeRegistry:
    """`realm` is another token server's URL; `address` is where it listens; `client_ca` has
    it demand certificates of clients."""

    handler = None  # of a subclass that answers more

    def __init__(self, user=None, password=None, auth=None, blobs_at=None, cert=None, token_ttl=300, realm=None,
                 address="127.0.0.1", client_ca=None):
        self.repos, self.requests, self.faults, self.routes = {}, [], [], []
        self.realm = realm
        self.user, self.password, self.auth, self.blobs_at = user, password, auth, blobs_at
        self.tokens, self.token_ttl = {}, token_ttl
        self.referrers, self.referrers_page = None, 0
        self.headers = {}  # of every answer
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.server = (Server6 if ":" in address else Server)((address, 0), self.handler or Handler)
        self.server.owner = self
        self.scheme = "http"
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*cert)
            if client_ca:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(client_ca)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        self.port = self.server.server_address[1]
        self.host = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def repo(self, name):
        return self.repos.setdefault(name, Repo())

    def fault(self, method, pattern, times=None, skip=0, **action):
        fault = Fault(method, pattern, times, skip, **action)
        with self.lock:
            self.faults.append(fault)
        return fault

    def route(self, pattern, respond):
        """Paths that match it are answered by respond(query, request): (status, headers, body)."""
        self.routes.append((re.compile(pattern), respond))

    def clear(self):
        with self.lock:
            self.faults.clear()
            self.requests.clear()

    def matching(self, pattern="", method=None):
        expression = re.compile(pattern)
        with self.lock:
            return [r for r in self.requests if expression.search(r.path) and method in (None, r.method)]

    def count(self, pattern="", method=None):
        return len(self.matching(pattern, method))

    def sent(self, pattern=""):
        return sum(request.sent for request in self.matching(pattern))

    def wait_for(self, predicate, timeout=20):
        """Until predicate(), looked at whenever a request began or ended."""
        with self.changed:
            return self.changed.wait_for(predicate, timeout)

    def wait_requests(self, count, pattern="", timeout=20):
        expression = re.compile(pattern)
        return self.wait_for(lambda: sum(1 for r in self.requests if expression.search(r.path)) >= count, timeout)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.serve()

    def do_GET(self):
        self.serve()

    def do_POST(self):
        self.serve()

    # -- one request

    def serve(self):
        owner = self.server.owner
        self.record = Request(self.command, self.path, self.headers)
        with owner.changed:
            fault = next((f for f in owner.faults if f.take(self.record)), None)
        self.action = fault.action if fault else {}
        self.content = self.record.content = self.read_body(owner)
        with owner.changed:
            owner.requests.append(self.record)
            owner.changed.notify_all()
        if self.content is None:
            return
        try:
            self.answer(owner)
        finally:
            with owner.changed:
                owner.changed.notify_all()

    def read_body(self, _):
        """None: the connection broke off meanwhile, and nothing is answered."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, owner):
        gate = self.action.get("gate")
        if gate and "cut" not in self.action:
            gate.wait(60)
        if "raw" in self.action:
            return self.raw(self.action["raw"])
        if "status" in self.action:
            return self.reply(self.action["status"], self.action.get("headers", {}), self.action.get("body", b""))
        path = urlparse(self.path).path
        if path == "/token":
            return self.token(owner)
        if owner.auth and not self.allowed(owner, path):
            return self.challenge(owner, path)
        if path in ("/v2/", "/v2"):
            return self.reply(200, {}, b"{}")
        for pattern, respond in owner.routes:
            if pattern.fullmatch(path):
                return self.reply(*respond(parse_qs(urlparse(self.path).query, keep_blank_values=True), self.record))
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs|referrers)/([^/]+)", path)
        if not found or found[1] not in owner.repos:
            return self.error(404, "NAME_UNKNOWN", "repository name not known to registry")
        return getattr(self, found[2])(owner, owner.repos[found[1]], found[3])

    def manifests(self, _, repo, reference):
        digest = repo.tags.get(reference, reference)
        manifest = repo.manifests.get(digest)
        if manifest is None:
            return self.error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        headers = {"Content-Type": manifest.media_type, "Docker-Content-Digest": digest}
        return self.reply(200, headers, self.action.get("body", manifest.data))

    def referrers(self, owner, repo, digest):
        if owner.referrers is None:
            return self.error(404, "NOT_FOUND", "page not found")
        query = parse_qs(urlparse(self.path).query)
        entries = repo.referrers(digest)
        headers = {"Content-Type": OCI_INDEX}
        wanted = query.get("artifactType", [None])[0]
        if wanted and owner.referrers == "api":
            entries = [entry for entry in entries if entry.get("artifactType") == wanted]
            headers["OCI-Filters-Applied"] = "artifactType"
        start, size = int(query.get("from", ["0"])[0]), owner.referrers_page or len(entries) or 1
        if start + size < len(entries):
            query["from"] = [str(start + size)]
            headers["Link"] = f'<{urlparse(self.path).path}?{urlencode(query, doseq=True)}>; rel="next"'
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries[start : start + size]}
        return self.reply(200, headers, to_json(body))

    def blobs(self, owner, repo, digest):
        blob = repo.blobs.get(digest)
        if blob is None:
            return self.error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if owner.blobs_at:
            return self.reply(307, {"Location": f"{owner.blobs_at}{self.path}?signature=x"}, b"")
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
        if "body" in self.action:
            return self.reply(200, headers, self.action["body"])
        start, end = self.range(blob.size)
        if start is None:
            return self.reply(416, {"Content-Range": f"bytes */{blob.size}"}, b"")
        if "answer" in self.action:
            return self.action["answer"](self, blob, start, end)
        if "Range" in self.headers and self.action.get("ranges") is not False:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size}"
            return self.reply(206, headers, blob, start, end)
        return self.reply(200, headers, blob, 0, blob.size)

    def range(self, size):
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not asked or self.action.get("ranges") is False:
            return 0, size
        start = int(asked[1])
        end = min(size, int(asked[2]) + 1) if asked[2] else size
        return (None, None) if start >= size else (start, end)

    # -- sending

    def raw(self, what):
        self.wfile.write(what(self.record) if callable(what) else what)
        self.close_connection = True

    def error(self, status, code, text):
        body = json.dumps({"errors": [{"code": code, "message": text}]}).encode()
        self.reply(status, {"Content-Type": "application/json"}, body)

    def reply(self, status, headers, body, start=0, end=None):
        size = (len(body) if isinstance(body, bytes) else body.size) if end is None else end - start
        self.record.status = status
        self.send_response(status)
        for name, value in {**self.server.owner.headers, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command == "HEAD":
            return
        pieces = [body] if isinstance(body, bytes) else body.pieces(start, start + size)
        self.send_body(pieces)

    def send_body(self, pieces):
        left = self.action.get("cut")
        for piece in pieces:
            if left is not None and len(piece) >= left:
                self.wfile.write(piece[:left])
                self.record.sent += left
                return self.break_off(piece[left:], pieces)
            self.wfile.write(piece)
            self.record.sent += len(piece)
            time.sleep(self.action.get("pace", 0))
            left = None if left is None else left - len(piece)

    def break_off(self, rest, pieces):
        """After `cut` bytes: break the connection, or go on once the gate opens."""
        gate = self.action.get("gate")
        self.wfile.flush()
        with self.server.owner.changed:
            self.server.owner.changed.notify_all()
        if gate:
            gate.wait(60)
            self.wfile.write(rest)
            self.record.sent += len(rest)
            for piece in pieces:
                self.wfile.write(piece)
                self.record.sent += len(piece)
            return
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        self.close_connection = True

    # -- authentication

    def basic(self):
        kind, _, value = (self.headers.get("Authorization") or "").partition(" ")
        if kind.lower() != "basic":
            return None
        user, _, password = base64.b64decode(value).decode().partition(":")
        return user, password

    def allowed(self, owner, path):
        if owner.auth == "basic":
            return self.basic() == (owner.user, owner.password)
        kind, _, value = (self.headers.get("Authorization") or "").partition(" ")
        scope = owner.tokens.get(value) if kind.lower() == "bearer" else None
        return scope is not None and (path in ("/v2/", "/v2") or self.repository(path) in scope)

    @staticmethod
    def repository(path):
        if path == "/v2/_catalog":
            return "_catalog"
        found = re.match(r"/v2/(.+)/(manifests|blobs|tags|referrers)/", path)
        return found[1] if found else ""

    def challenge(self, owner, path):
        if owner.auth == "basic":
            wanted = 'Basic realm="fake registry"'
        else:
            name = self.repository(path)
            scope = f',scope="repository:{name}:pull"' if name and name != "_catalog" else ""
            realm = owner.realm or f"{owner.scheme}://{owner.host}/token"
            wanted = f'Bearer realm="{realm}",service="fake, with comma"{scope}'
        body = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}).encode()
        self.reply(401, {"WWW-Authenticate": wanted, "Content-Type": "application/json"}, body)

    def token(self, owner):
        query = parse_qs(urlparse(self.path).query)
        if self.command == "POST":
            query = parse_qs(self.content.decode())
            who = (query.get("username", [None])[0], query.get("password", [None])[0])
            who = None if who == (None, None) else who
        else:
            who = self.basic()
        if owner.user and who != (owner.user, owner.password):
            return self.error(401, "UNAUTHORIZED", "incorrect username or password")
        if query.get("service") != ["fake, with comma"]:
            return self.error(400, "UNSUPPORTED", f"service is {query.get('service')}")
        value = secrets.token_hex(16)
        scopes = " ".join(query.get("scope", []))
        owner.tokens[value] = set(re.findall(r"repository:([^:]+):[^ ]*pull", scopes))
        if "registry:catalog:*" in scopes:
            owner.tokens[value].add("_catalog")
        body = json.dumps({"token": value, "access_token": value, "expires_in": owner.token_ttl}).encode()
        return self.reply(200, {"Content-Type": "application/json"}, body)
