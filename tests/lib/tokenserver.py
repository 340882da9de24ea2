"""A token server as registries trust it: signed tokens (JWT), Basic, refresh tokens.

    tokens = TokenServer(pki, "registry.test", users={"somebody": "secret"}, algorithm="ES256")
    DockerRegistry(directory, auth=tokens.configuration())
    tokens.requests         # [(method, path, headers, form)]

Users may do whatever they ask for, everybody else may pull what begins with "public/".
A refresh token is good once: the answer holds the next one.
"""

import base64
import json
import os
import secrets
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_signature(der):
    """r and s of an ECDSA signature in DER, 32 bytes each, as JWS has them."""
    at, parts = 2, []
    for _ in range(2):
        length = der[at + 1]
        parts.append(int.from_bytes(der[at + 2 : at + 2 + length], "big").to_bytes(32, "big"))
        at += 2 + length
    return b"".join(parts)


KEYS = {"RS256": ["-newkey", "rsa:2048"], "ES256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}


class TokenServer:
    def __init__(self, directory, service, users, algorithm="RS256", life=300):
        os.makedirs(directory, exist_ok=True)
        self.service, self.users, self.algorithm, self.life = service, users, algorithm, life
        self.key, self.certificate = (os.path.join(directory, name) for name in ("token.key", "token.pem"))
        subprocess.run(["openssl", "req", "-x509", *KEYS[algorithm], "-nodes", "-keyout", self.key, "-out", self.certificate,
                        "-days", "30", "-subj", "/CN=token signer"], check=True, stderr=subprocess.DEVNULL)
        self.der = subprocess.run(["openssl", "x509", "-in", self.certificate, "-outform", "DER"], check=True, stdout=subprocess.PIPE).stdout
        self.requests, self.refresh, self.lock = [], {}, threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads, self.server.owner = True, self
        self.realm = f"http://127.0.0.1:{self.server.server_address[1]}/token"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def configuration(self):
        """Of docker-registry."""
        return (f"{{token: {{realm: '{self.realm}', service: '{self.service}', issuer: test-issuer, "
                f"rootcertbundle: '{self.certificate}'}}}}")

    def token(self, user, scopes):
        now, access = int(time.time()), []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = actions.split(",") if user else ["pull"] * name.startswith("public/")
            access.append({"type": kind, "name": name, "actions": [a for a in actions.split(",") if a in allowed]})
        head = {"typ": "JWT", "alg": self.algorithm, "x5c": [base64.b64encode(self.der).decode()]}
        claims = {"iss": "test-issuer", "sub": user or "", "aud": self.service, "iat": now, "nbf": now - 10,
                  "exp": now + self.life, "jti": secrets.token_hex(8), "access": access}
        text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(claims).encode())
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text.encode(), check=True, stdout=subprocess.PIPE).stdout
        return text + "." + b64(raw_signature(signed) if self.algorithm == "ES256" else signed)

    def next_refresh(self, user):
        value = secrets.token_hex(16)
        with self.lock:
            self.refresh[value] = user
        return value


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def note(self, form):
        owner = self.server.owner
        with owner.lock:
            owner.requests.append((self.command, self.path, dict(self.headers.items()), form))

    def give(self, user, scopes, refresh):
        owner = self.server.owner
        value = {"token": owner.token(user, scopes), "expires_in": owner.life}
        value["access_token"] = value["token"]
        if refresh:
            value["refresh_token"] = owner.next_refresh(user)
        self.answer(200, value)

    def do_GET(self):
        owner, query = self.server.owner, parse_qs(urlsplit(self.path).query)
        self.note(query)
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        user = None
        if kind == "Basic":
            user, _, password = base64.b64decode(value).decode().partition(":")
            if owner.users.get(user) != password:
                return self.answer(401, {"details": "incorrect username or password"})
        self.give(user, query.get("scope", []), user and query.get("offline_token") == ["true"])

    def do_POST(self):
        owner = self.server.owner
        form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
        self.note(form)
        scopes = form.get("scope", [""])[0].split()
        if form.get("grant_type") == ["refresh_token"]:
            with owner.lock:
                user = owner.refresh.pop(form.get("refresh_token", [""])[0], None)
            if user is None:
                return self.answer(400, {"error": "invalid_grant", "error_description": "the refresh token is not good any more"})
            return self.give(user, scopes, True)
        user = form.get("username", [""])[0]
        if owner.users.get(user) != form.get("password", [""])[0]:
            return self.answer(401, {"error": "invalid_grant"})
        self.give(user, scopes, form.get("access_type") == ["offline"])
