"""Credentials: who is asked, who gets them, and who never does."""

import base64
import crypt
import json
import os

import grpc

import ociimage
from fakeregistry import FakeRegistry
from harness import DockerRegistry, TestCase
from ociimage import Image, Layer, Repo, tar
from rpc import reason

USER, PASSWORD = "somebody", "pass:with:colons and spaces"


def image():
    return Image([Layer(tar({"a": b"1"}))])


class Auth(TestCase):
    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def registry(self, **options):
        registry = FakeRegistry(**options).__enter__()
        self.addCleanup(registry.stop)
        registry.repo("private/a").add(image(), "1")
        return registry

    def credentials(self, registry, password=PASSWORD):
        return {"server_address": registry.host, "username": USER, "password": password}

    def test_anonymous_token_for_a_public_image(self):
        registry = self.registry(auth="bearer")
        self.client.pull(f"{registry.host}/private/a:1")
        self.assertEqual(1, registry.count("/token"))
        self.assertIn("scope=repository%3Aprivate%2Fa%3Apull", registry.matching("/token")[0].path)

    def test_bearer_with_credentials(self):
        registry = self.registry(auth="bearer", user=USER, password=PASSWORD)
        self.client.pull(f"{registry.host}/private/a:1", credentials=self.credentials(registry))
        for request in registry.matching("/v2/"):
            self.assertFalse(request.headers.get("Authorization", "").startswith("Basic"), "the password goes to the realm only")

    def test_basic_with_credentials(self):
        registry = self.registry(auth="basic", user=USER, password=PASSWORD)
        self.client.pull(f"{registry.host}/private/a:1", credentials=self.credentials(registry))
        self.assertIsNone(registry.requests[0].headers.get("Authorization"), "only when it is asked for")

    def test_wrong_password_is_said(self):
        for auth in ("bearer", "basic"):
            with self.subTest(auth=auth):
                registry = self.registry(auth=auth, user=USER, password=PASSWORD)
                with self.assertRaises(grpc.RpcError) as caught:
                    self.client.pull(f"{registry.host}/private/a:1", credentials=self.credentials(registry, "wrong"))
                error = caught.exception
                self.assertIn(error.code().name, ("UNAUTHENTICATED", "PERMISSION_DENIED"), error.details())
                self.assertNotIn("wrong", error.details())
                self.assertEqual([], self.client.images())

    def test_credentials_of_another_server_are_not_used(self):
        registry = self.registry(auth="basic", user=USER, password=PASSWORD)
        with self.assertRaises(grpc.RpcError):
            self.client.pull(
                f"{registry.host}/private/a:1",
                credentials={"server_address": "registry.example:5000", "username": USER, "password": PASSWORD},
            )
        self.assertEqual({None}, {r.headers.get("Authorization") for r in registry.requests})

    def test_redirect_to_another_host_gets_no_authorization(self):
        """A5: blobs lie elsewhere; the token stays at home."""
        for auth in ("bearer", "basic"):
            with self.subTest(auth=auth):
                storage = FakeRegistry().__enter__()
                self.addCleanup(storage.stop)
                content = storage.repo("private/a").add(image(), "1")
                registry = self.registry(auth=auth, user=USER, password=PASSWORD, blobs_at=f"http://{storage.host}")
                self.client.pull(f"{registry.host}/private/a:1", credentials=self.credentials(registry))
                self.assertGreaterEqual(storage.count("/blobs/" + content.layers[0].blob.digest), 1)
                for request in storage.requests:
                    self.assertIsNone(request.headers.get("Authorization"))
                self.client.PruneImages(all=True)

    def test_expired_token_is_fetched_again(self):
        registry = self.registry(auth="bearer", user=USER, password=PASSWORD)
        fields = {"credentials": self.credentials(registry)}
        self.client.pull(f"{registry.host}/private/a:1", **fields)
        registry.tokens.clear()  # the server forgets it
        self.client.PruneImages(all=True)
        self.client.pull(f"{registry.host}/private/a:1", **fields)

    def test_token_is_not_shared_between_callers(self):
        registry = self.registry(auth="bearer", user=USER, password=PASSWORD)
        self.client.pull(f"{registry.host}/private/a:1", credentials=self.credentials(registry))
        self.client.PruneImages(all=True)
        with self.assertRaises(grpc.RpcError):
            self.client.pull(f"{registry.host}/private/a:1")

    def test_registry_token_is_sent_as_it_is(self):
        registry = self.registry(auth="bearer", user=USER, password=PASSWORD)
        registry.tokens["ready-made"] = {"private/a"}
        reference = f"{registry.host}/private/a:1"
        self.client.pull(reference, credentials={"server_address": registry.host, "registry_token": "ready-made"})
        self.assertEqual(0, registry.count("/token"))
        self.client.PruneImages(all=True)
        with self.assertRaises(grpc.RpcError):
            self.client.pull(reference, credentials={"server_address": registry.host, "registry_token": "another"})
        self.assertEqual(0, registry.count("/token"))

    def test_stale_password_and_a_public_image(self):
        """Anonymous is tried when that is asked for, and only then."""
        registry = self.registry(auth="bearer")
        body = json.dumps({"details": "incorrect username or password"}).encode()
        registry.fault("GET", "/token.*account=", status=401, body=body)
        reference, stale = f"{registry.host}/private/a:1", self.credentials(registry, "stale")
        with self.assertRaises(grpc.RpcError) as caught:
            self.client.pull(reference, credentials=stale)
        self.assertEqual("UNAUTHENTICATED", caught.exception.code().name)
        self.assertEqual(1, registry.count("/token"))
        self.client.pull(reference, credentials={**stale, "or_anonymous": True})
        shown = [r.headers.get("Authorization") is not None for r in registry.matching("/token")]
        self.assertEqual([True, True, False], shown, "not shown again and again")

    def test_rate_limit_is_waited_for_and_then_said(self):
        registry = self.registry()
        registry.fault("*", "/manifests/", times=1, status=429, headers={"Retry-After": "1"})
        self.client.pull(f"{registry.host}/private/a:1")
        registry.fault("*", "/manifests/", status=429, headers={"Retry-After": "3600"})
        with self.assertRaises(grpc.RpcError) as caught:
            self.client.pull(f"{registry.host}/private/a:1")
        self.assertEqual(("RESOURCE_EXHAUSTED", "RATE_LIMITED"), (caught.exception.code().name, reason(caught.exception)))

    def test_temporary_failures_are_retried(self):
        registry = self.registry()
        registry.fault("*", "/manifests/", times=2, status=503)
        registry.fault("GET", "/blobs/", times=2, status=502)
        self.client.pull(f"{registry.host}/private/a:1")

    def test_secrets_are_in_no_log(self):
        imaged = self.daemon("--log-level", "debug", name="chatty")
        registry = self.registry(auth="basic", user=USER, password=PASSWORD)
        client = imaged.client()
        client.CheckAuth(server_address=registry.host, credentials=self.credentials(registry))
        client.pull(f"{registry.host}/private/a:1", credentials=self.credentials(registry))
        with self.assertRaises(grpc.RpcError):
            client.pull(f"{registry.host}/private/a:2", credentials=self.credentials(registry, "secretsecret"))
        encoded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        for secret in (PASSWORD, encoded, "secretsecret"):
            self.assertNotIn(secret, imaged.log)

    # -- a real registry with Basic authentication, and imagectl login

    def htpasswd_registry(self):
        path = self.path("htpasswd")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{USER}:{crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))}\n")
        storage = self.path("open")
        server = DockerRegistry(self.path("open-server"), storage)
        repo = Repo()
        repo.add(image(), "1")
        ociimage.push(repo, server.host, "private/a")
        server.stop()
        server = DockerRegistry(self.path("server"), storage, htpasswd=path)
        self.addCleanup(server.stop)
        return server

    def test_check_auth(self):
        server = self.htpasswd_registry()
        answer = self.client.CheckAuth(server_address=server.host, credentials=self.credentials(server))
        self.assertEqual(server.host, answer.server_address)
        for password in ("wrong", ""):
            self.assert_rpc_fails(
                "UNAUTHENTICATED", "UNAUTHENTICATED", self.client.CheckAuth,
                server_address=server.host, credentials=self.credentials(server, password),
            )

    def test_login_with_a_helper_keeps_nothing_in_the_file(self):
        server = self.htpasswd_registry()
        home = {"DOCKER_CONFIG": self.path("config"), "HOME": self.path("home"), "PATH": f"{self.path('bin')}:{os.environ['PATH']}"}
        for name in ("config", "bin"):
            os.makedirs(self.path(name))
        kept, config = self.path("kept"), self.path("config", "config.json")
        with open(self.path("bin", "docker-credential-test"), "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\ncase $1 in\nstore) cat >{kept};;\nerase) rm -f {kept};;\n"
                       f"get) [ -e {kept} ] && cat {kept} || {{ echo credentials not found in native keychain; exit 1; }};;\nesac\n")
        os.chmod(self.path("bin", "docker-credential-test"), 0o755)
        with open(config, "w", encoding="ascii") as file:
            json.dump({"credHelpers": {server.host: "test"}}, file)
        ctl, reference = self.imaged.ctl, f"{server.host}/private/a:1"
        self.assertEqual(1, ctl("pull", reference, check=False, env=home).returncode)
        said = ctl("login", "-u", USER, "--password-stdin", server.host, env=home, input=PASSWORD)
        self.assertNotIn("unencrypted", said.stderr)
        with open(kept, encoding="ascii") as file:
            self.assertEqual({"ServerURL": server.host, "Username": USER, "Secret": PASSWORD}, json.load(file))
        with open(config, encoding="ascii") as file:
            self.assertEqual({}, json.load(file)["auths"][server.host])
        ctl("pull", reference, env=home)
        ctl("logout", server.host, env=home)
        self.assertFalse(os.path.exists(kept))

    def test_helper_that_fails_is_told_and_the_pull_goes_on(self):
        registry = self.registry()
        home = {"DOCKER_CONFIG": self.path("config"), "HOME": self.path("home")}
        os.makedirs(self.path("config"))
        for helper, says in (("absent", "docker-credential-absent"), ("../evil", "cannot be used")):
            with open(self.path("config", "config.json"), "w", encoding="ascii") as file:
                json.dump({"credsStore": helper}, file)
            said = self.imaged.ctl("pull", f"{registry.host}/private/a:1", env=home)
            self.assertIn("WARNING: no credentials for", said.stderr)
            self.assertIn(says, said.stderr)

    def test_key_of_a_repository_is_for_it_alone(self):
        registry = self.registry(auth="basic", user=USER, password=PASSWORD)
        registry.repo("team/app").add(image(), "1")
        home = {"DOCKER_CONFIG": self.path("config"), "HOME": self.path("home"), "REGISTRY_AUTH_FILE": self.path("auth.json")}
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        with open(self.path("auth.json"), "w", encoding="ascii") as file:
            json.dump({"auths": {f"{registry.host}/team": {"auth": auth}}}, file)
        self.imaged.ctl("pull", f"{registry.host}/team/app:1", env=home)
        seen = len(registry.requests)
        self.assertEqual(1, self.imaged.ctl("pull", f"{registry.host}/private/a:1", env=home, check=False).returncode)
        self.assertEqual({None}, {r.headers.get("Authorization") for r in registry.requests[seen:]})

    def test_logout_with_a_helper_that_fails(self):
        """docker only warns; who calls imagectl learns that the password is still there."""
        helper = self.path("bin", "docker-credential-broken")
        for directory in ("bin", "config"):
            os.makedirs(self.path(directory))
        with open(helper, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\necho it is broken\nexit 1\n")
        os.chmod(helper, 0o755)
        with open(self.path("config", "config.json"), "w", encoding="ascii") as file:
            json.dump({"credsStore": "broken"}, file)
        env = {"DOCKER_CONFIG": self.path("config"), "PATH": f"{self.path('bin')}:{os.environ['PATH']}"}
        for name, status in (("imagectl", 1), ("docker", 0)):
            said = self.imaged.ctl("logout", "127.0.0.1:5000", env=env, check=False, name=name)
            self.assertEqual(status, said.returncode)
            self.assertRegex(said.stderr, r"^WARNING: could not erase credentials:\n127\.0\.0\.1:5000: .*it is broken\n$")

    def test_login_pull_logout(self):
        server = self.htpasswd_registry()
        home = {"DOCKER_CONFIG": self.path("config"), "HOME": self.path("home")}
        reference = f"{server.host}/private/a:1"
        ctl = self.imaged.ctl
        self.assertEqual(1, ctl("pull", reference, check=False, env=home).returncode)
        wrong = ctl("login", "-u", USER, "--password-stdin", server.host, env=home, input="wrong", check=False)
        self.assertEqual(1, wrong.returncode)
        self.assertFalse(os.path.exists(self.path("config", "config.json")), "a failed login writes nothing")
        said = ctl("login", "-u", USER, "--password-stdin", server.host, env=home, input=PASSWORD + "\n")
        self.assertIn("Login Succeeded", said.stdout)
        config = self.path("config", "config.json")
        self.assertEqual(0o600, os.stat(config).st_mode & 0o777)
        with open(config, encoding="utf-8") as file:
            auths = json.load(file)["auths"]
        self.assertEqual(f"{USER}:{PASSWORD}", base64.b64decode(auths[server.host]["auth"]).decode())
        ctl("pull", reference, env=home)
        said = ctl("logout", server.host, env=home).stdout
        self.assertEqual(f"Removing login credentials for {server.host}\n", said)
        self.assertEqual(1, ctl("pull", reference.replace(":1", ":2"), check=False, env=home).returncode)
        self.assertFalse(any(PASSWORD in open(os.path.join(d, f), "rb").read().decode(errors="replace")
                             for d, _, files in os.walk(self.imaged.root) for f in files), "the daemon keeps none")
