"""Real servers: docker-registry with htpasswd and with tokens, nginx in front of it, and a
storage that signs its URLs."""

import base64
import crypt
import json
import os
import threading

import grpc

import ociimage
from hostileworld import PASSWORD, USER, HostileCase, image
from harness import DockerRegistry
from nginx import Nginx
from ociimage import Image, Layer, Repo, random_bytes, tar
from pki import Authority
from tokenserver import TokenServer


class Real(HostileCase):
    def storage(self, *names):
        """Where a registry without any door was fed."""
        path = self.path("storage")
        server = DockerRegistry(self.path("feeder"), path)
        self.content = Image([Layer(tar({f"f{n}": random_bytes(100000, n)}), level=1) for n in range(6)])
        for name in names:
            repo = Repo()
            repo.add(self.content, "1")
            ociimage.push(repo, server.host, name)
        server.stop()
        return path

    def registry(self, storage, **options):
        made = DockerRegistry(self.path(f"registry{len(os.listdir(self.dir))}"), storage, **options)
        self.addCleanup(made.stop)
        return made

    def htpasswd(self):
        path = self.path("htpasswd")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{USER}:{crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))}\n")
        return path

    def tokens(self, algorithm="RS256", **options):
        made = TokenServer(self.path("tokens"), "registry.test", {USER: PASSWORD}, algorithm, **options)
        self.addCleanup(made.stop)
        return made

    def nginx(self, registry, server=""):
        pki = Authority(self.path("pki"))
        front = f"location / {{ {server} proxy_pass http://{registry.host}; proxy_set_header Host $http_host; }}"
        made = Nginx(self.path("nginx"), pki.issue("127.0.0.1"), front)
        self.addCleanup(made.stop)
        return made

    def home(self, host, **entry):
        directory = self.path("home")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "config.json"), "w", encoding="ascii") as file:
            json.dump({"auths": {host: entry}}, file)
        return {"DOCKER_CONFIG": directory, "HOME": directory}

    # -- docker-registry

    def test_registry_with_htpasswd(self):
        registry = self.registry(self.storage("a"), htpasswd=self.htpasswd())
        reference = f"{registry.host}/a:1"
        self.assert_refused(reference, "UNAUTHENTICATED", "no basic auth credentials")
        self.assert_refused(reference, "PERMISSION_DENIED", "denied|unauthorized", credentials={"username": USER, "password": "wrong"})
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self.imaged.ctl("pull", reference, env=self.home(registry.host, auth=auth))
        self.assert_listed(reference)
        self.assert_log_is_silent()

    def test_registry_with_tokens(self):
        for algorithm in ("RS256", "ES256"):
            with self.subTest(algorithm):
                tokens = self.tokens(algorithm)
                registry = self.registry(self.storage("private/a", "public/a"), auth=tokens.configuration())
                reference = f"{registry.host}/private/a:1"
                self.assert_refused(reference, "PERMISSION_DENIED", "denied|unauthorized")
                self.client.pull(f"{registry.host}/public/a:1")
                self.client.PruneImages(all=True)
                self.client.pull(reference, credentials=self.credentials(registry))
                self.assert_listed(reference)
                self.client.PruneImages(all=True)
                self.assert_log_is_silent()

    def test_refresh_token_of_a_login_is_stored_and_rotates(self):
        tokens = self.tokens()
        registry = self.registry(self.storage("private/a"), auth=tokens.configuration())
        home = self.home("other.example", auth="YTpi")
        self.imaged.ctl("login", "-u", USER, "--password-stdin", registry.host, env=home, input=PASSWORD)
        with open(os.path.join(home["HOME"], "config.json"), encoding="ascii") as file:
            entry = json.load(file)["auths"][registry.host]
        self.assertIn(entry["identitytoken"], tokens.refresh)
        self.assertEqual(f"{USER}:", base64.b64decode(entry["auth"]).decode())
        self.assertNotIn(PASSWORD, json.dumps(entry))
        said = self.imaged.ctl("login", registry.host, env=home)
        self.assertIn("Login Succeeded", said.stdout)
        with open(os.path.join(home["HOME"], "config.json"), encoding="ascii") as file:
            after = json.load(file)["auths"][registry.host]
        self.assertNotEqual(entry["identitytoken"], after["identitytoken"])
        self.assertIn(after["identitytoken"], tokens.refresh)
        self.imaged.ctl("pull", f"{registry.host}/private/a:1", env=home)
        grants = [form["grant_type"] for method, _, _, form in tokens.requests if method == "POST"]
        self.assertEqual([["refresh_token"], ["refresh_token"]], grants)
        secret = {entry["identitytoken"], after["identitytoken"], *tokens.refresh}
        for directory, _, files in os.walk(self.imaged.root):
            for name in files:
                with open(os.path.join(directory, name), "rb") as file:
                    data = file.read()
                self.assertFalse(any(token.encode() in data for token in secret), "the daemon writes none down")

    def test_twenty_pulls_at_once_fetch_one_token(self):
        tokens = self.tokens()
        registry = self.registry(self.storage("private/a"), auth=tokens.configuration())
        feeder = self.registry(self.path("storage"))
        repo = Repo()
        for n in range(20):
            repo.add(image(b"%d" % n), f"t{n}")
        ociimage.push(repo, feeder.host, "private/a")
        failed = []

        def pull(n):
            try:
                self.client.pull(f"{registry.host}/private/a:t{n}", credentials=self.credentials(registry))
            except grpc.RpcError as error:
                failed.append(error.details())

        threads = [threading.Thread(target=pull, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failed)
        self.assertEqual(1, len(tokens.requests))

    # -- nginx

    def test_nginx_with_tls_and_basic(self):
        registry = self.registry(self.storage("a"))
        path = self.path("users")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{USER}:{crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_SHA512))}\n")
        front = self.nginx(registry, f'auth_basic "front"; auth_basic_user_file {path};')
        reference = f"{front.host}/a:1"
        self.assert_refused(reference, "UNAUTHENTICATED", "no basic auth credentials")
        self.client.pull(reference, credentials=self.credentials(front))
        self.assert_listed(reference)
        self.assert_log_is_silent()

    def test_nginx_with_tokens_behind(self):
        tokens = self.tokens()
        registry = self.registry(self.storage("private/a"), auth=tokens.configuration())
        front = self.nginx(registry)
        # the registry is https now, and its realm is not
        self.assert_refused(f"{front.host}/private/a:1", "PERMISSION_DENIED", "not https", credentials=self.credentials(front))
        self.assertEqual([], tokens.requests)

    def test_pitfall_15_connections_that_end_after_a_few_requests(self):
        """HTTP/2 with GOAWAY after every second request."""
        registry = self.registry(self.storage("a"))
        front = self.nginx(registry, "keepalive_requests 2;")
        self.client.pull(f"{front.host}/a:1")
        self.assert_listed(f"{front.host}/a:1")
        self.assertEqual({"HTTP/2.0"}, front.protocols())

    def test_pitfall_15_goaway_in_the_middle_of_a_body(self):
        content = Image([Layer(tar({"d": random_bytes(3 << 20, 9)}), level=1)])
        backend = self.host()
        backend.repo("a").add(content, "1")
        gate = threading.Event()
        self.addCleanup(gate.set)
        backend.fault("GET", content.layers[0].blob.digest, times=1, cut=1 << 20, gate=gate)
        front = self.nginx(backend)
        call = self.client.Pull(reference=f"{front.host}/a:1", timeout=60)
        events = []
        reader = threading.Thread(target=lambda: events.extend(call))
        reader.start()
        self.assertTrue(backend.wait_for(lambda: any(r.sent == 1 << 20 for r in backend.requests)))
        front.reload()
        gate.set()
        reader.join(60)
        self.assertEqual("done", events[-1].WhichOneof("event"))
        self.assert_listed(f"{front.host}/a:1")
        self.assertEqual({"HTTP/2.0"}, front.protocols())
