"""A FakeRegistry that takes uploads, and says how it got them.

    with UploadRegistry() as registry:
        ... push to registry.host + "/a/b:1" ...
        registry.repos["a/b"].tags["1"]      # digest of what the tag leads to
        registry.received                    # bytes of bodies of blobs that came

What it does is chosen by its attributes:

    min_chunk = N         POST answers OCI-Chunk-Min-Length: N, and shorter pieces are 416
    single_post = True    POST ?digest= stores the blob (201); else it is answered 202
    mounts = 201          status of POST ?mount=; 201 only when `from` has the blob
    location = "relative" or "absolute"; "http": absolute, with http:// whatever the scheme
    upload_host = HOST    Locations lead there (another UploadRegistry, `partner`)
    many_tags = True      PUT manifests/DIGEST?tag= takes the tags
    referrers = "api"     answers OCI-Subject to what has a subject, and lists it
    body_max = N          longer bodies are 413, as of a proxy

Each answer has another Location; an old one is 404. Faults of FakeRegistry, and

    take=N                of a body: takes N bytes, keeps them, then breaks the connection;
                          with gate=EVENT it waits for that in between
    forget=True           no token counts any more
"""

import base64
import json
import os
import re
import socket
import struct
from urllib.parse import parse_qs, urlparse

from fakeregistry import FakeRegistry, Handler
from ociimage import Blob, Manifest, sha256

STEP = 1 << 16


class Upload:
    def __init__(self, name):
        self.name, self.data, self.turn = name, bytearray(), 0


class UploadHandler(Handler):
    def do_PUT(self):
        self.serve()

    def do_PATCH(self):
        self.serve()

    def do_DELETE(self):
        self.serve()

    # -- the body

    def read_body(self, owner):
        length = int(self.headers.get("Content-Length") or 0)
        if owner.body_max and length > owner.body_max:
            self.close_connection = True
            return self.drain_and_refuse(length)
        take = min(self.action.get("take", length), length)
        body = bytearray()
        while len(body) < take:
            piece = self.rfile.read(min(STEP, take - len(body)))
            if not piece:
                break
            body += piece
        if "/blobs/uploads/" in self.path:
            owner.received += len(body)
        if len(body) < length:
            return self.break_body(owner, bytes(body))
        return bytes(body)

    def drain_and_refuse(self, length):
        self.action = {"status": 413, "body": b"<html>413 Request Entity Too Large</html>"}
        while length > 0:
            piece = self.rfile.read(min(STEP, length))
            if not piece:
                break
            length -= len(piece)
        return b""

    def break_body(self, owner, body):
        upload = self.upload(owner)
        if upload:
            upload.data[self.offset(upload) :] = body
        gate = self.action.get("gate")
        if gate:
            with owner.changed:
                owner.requests.append(self.record)
                owner.changed.notify_all()
            gate.wait(60)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        self.close_connection = True
        return None

    # -- paths

    def answer(self, owner):
        path = urlparse(self.path).path
        found = re.fullmatch(r"/v2/(.+)/blobs/uploads/([^/]*)", path)
        writes = self.command in ("POST", "PUT", "PATCH", "DELETE") and path != "/token"
        if "status" in self.action or not (found or writes):
            return super().answer(owner)
        if self.action.get("gate"):
            self.action["gate"].wait(60)
        if self.action.get("forget"):
            owner.scopes.clear()
        if owner.auth and not self.allowed(owner, path):
            return self.challenge(owner, path)
        if found and not found[2]:
            return self.begin(owner, found[1])
        if found:
            return self.go_on(owner)
        found = re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", path)
        if found and self.command == "PUT":
            return self.put_manifest(owner, found[1], found[2])
        return self.error(405, "UNSUPPORTED", "the operation is unsupported")

    def query(self, name):
        return parse_qs(urlparse(self.path).query).get(name, [None])[0]

    def upload(self, owner):
        found = re.fullmatch(r"/v2/(.+)/blobs/uploads/([^/]+)", urlparse(self.path).path)
        upload = owner.uploads.get(found[2]) if found else None
        if upload is None:
            return None
        state = self.query("_state") or ""
        return upload if state == owner.state(found[2], upload) else None

    def offset(self, upload):
        found = re.fullmatch(r"(\d+)-\d+", self.headers.get("Content-Range") or "")
        if self.command == "PUT":
            return 0 if self.content_length() else len(upload.data)
        return int(found[1]) if found else len(upload.data)

    def content_length(self):
        return int(self.headers.get("Content-Length") or 0)

    # -- sessions

    def location(self, owner, identity):
        upload = owner.uploads[identity]
        upload.turn += 1
        path = f"/v2/{upload.name}/blobs/uploads/{identity}?_state={owner.state(identity, upload)}"
        if owner.upload_host:
            owner.partner.uploads[identity] = upload
            return f"{owner.scheme}://{owner.upload_host}{path}"
        if owner.location == "relative":
            return path
        scheme = "http" if owner.location == "http" else owner.scheme
        return f"{scheme}://{owner.host}{path}"

    def said(self, owner, identity, status, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        data = owner.uploads[identity].data
        if data:
            headers["Range"] = f"0-{len(data) - 1}"
        if owner.min_chunk:
            headers["OCI-Chunk-Min-Length"] = str(owner.min_chunk)
        self.reply(status, {"Location": self.location(owner, identity), **headers}, b"")

    def begin(self, owner, name):
        mount, digest = self.query("mount"), self.query("digest")
        repo = owner.repo(name)
        if mount:
            origin = owner.repos.get(self.query("from") or "")
            if owner.mounts == 201 and origin and mount in origin.blobs:
                repo.blobs[mount] = origin.blobs[mount]
                return self.reply(201, {"Location": f"/v2/{name}/blobs/{mount}"}, b"")
            if owner.mounts not in (201, 202):
                return self.error(owner.mounts, "UNAUTHORIZED", "no mount for you")
        if digest and owner.single_post:
            return self.keep(owner, repo, digest, self.content)
        identity = os.urandom(8).hex()
        owner.uploads[identity] = Upload(name)
        return self.said(owner, identity, 202)

    def go_on(self, owner):
        upload = self.upload(owner)
        identity = urlparse(self.path).path.rpartition("/")[2]
        if upload is None:
            return self.error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if self.command == "DELETE":
            del owner.uploads[identity]
            return self.reply(204, {}, b"")
        if self.command == "GET":
            return self.said(owner, identity, 204)
        if self.command == "PATCH":
            return self.patch(owner, identity, upload)
        if self.content:
            upload.data[:] = self.content
        return self.keep(owner, owner.repo(upload.name), self.query("digest"), bytes(upload.data))

    def patch(self, owner, identity, upload):
        asked = re.fullmatch(r"(\d+)-(\d+)", self.headers.get("Content-Range") or "")
        if not asked or int(asked[1]) != len(upload.data) or int(asked[2]) - int(asked[1]) + 1 != len(self.content):
            return self.error(416, "RANGE_INVALID", "invalid content range")
        if owner.last_piece_short and owner.min_chunk and len(self.content) < owner.min_chunk:
            return self.error(416, "RANGE_INVALID", "too short a piece")
        owner.last_piece_short = owner.min_chunk and len(self.content) < owner.min_chunk
        upload.data += self.content
        return self.said(owner, identity, 202)

    def keep(self, owner, repo, digest, data):
        if sha256(data) != digest:
            return self.error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        repo.blobs[digest] = Blob(data)
        return self.reply(201, {"Location": "/", "Docker-Content-Digest": digest}, b"")

    # -- manifests

    def put_manifest(self, owner, name, reference):
        repo, digest = owner.repo(name), sha256(self.content)
        body = json.loads(self.content)
        for entry in [body.get("config"), *body.get("layers", [])]:
            if entry and entry["digest"] not in repo.blobs and "foreign" not in entry["mediaType"]:
                return self.error(404, "MANIFEST_BLOB_UNKNOWN", f"blob unknown to registry: {entry['digest']}")
        for entry in body.get("manifests", []):
            if entry["digest"] not in repo.manifests:
                return self.error(404, "MANIFEST_BLOB_UNKNOWN", f"manifest unknown to registry: {entry['digest']}")
        if reference.startswith("sha256:") and reference != digest:
            return self.error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        repo.manifests[digest] = Manifest(self.content, self.headers["Content-Type"])
        headers = {"Docker-Content-Digest": digest, "Location": f"/v2/{name}/manifests/{digest}"}
        tags = parse_qs(urlparse(self.path).query).get("tag", []) if owner.many_tags else []
        if not reference.startswith("sha256:"):
            repo.tags[reference] = digest
        for tag in tags:
            repo.tags[tag] = digest
        if tags:
            headers["OCI-Tag"] = ", ".join(tags)
        if owner.referrers and body.get("subject"):
            headers["OCI-Subject"] = body["subject"]["digest"]
        return self.reply(201, headers, b"")

    # -- authentication

    def allowed(self, owner, path):
        if owner.auth != "bearer" or path in ("/v2/", "/v2"):
            return super().allowed(owner, path)
        kind, _, value = (self.headers.get("Authorization") or "").partition(" ")
        scopes = owner.scopes.get(value, "") if kind.lower() == "bearer" else ""
        name = self.repository(path)
        needed = [(name, "push" if self.command not in ("GET", "HEAD") else "pull")]
        if self.query("from"):
            needed.append((self.query("from"), "pull"))
        return all(re.search(rf"repository:{re.escape(one)}:\S*{action}", scopes) for one, action in needed)

    def token(self, owner):
        before = set(owner.tokens)
        super().token(owner)
        scopes = " ".join(parse_qs(urlparse(self.path).query or self.content.decode()).get("scope", []))
        for value in set(owner.tokens) - before:
            owner.scopes[value] = scopes


class UploadRegistry(FakeRegistry):
    handler = UploadHandler

    def __init__(self, **options):
        super().__init__(**options)
        self.uploads, self.scopes, self.received = {}, {}, 0
        self.min_chunk = self.body_max = 0
        self.last_piece_short = False
        self.single_post = self.many_tags = False
        self.mounts, self.location = 201, "relative"
        self.upload_host = self.partner = None

    @staticmethod
    def state(identity, upload):
        """Base64 with what must not be escaped another time: = and _."""
        return base64.urlsafe_b64encode(f"{identity}:{upload.turn}".encode()).decode()
