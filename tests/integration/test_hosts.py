"""Who is asked for an image: hosts.toml, certificate folders, mirrors, proxies."""

import contextlib
import os
import socket

import ociimage
from fakeregistry import FakeRegistry
from harness import DockerRegistry, TestCase, free_port, incomplete
from ociimage import Image, Layer, Repo, tar
from pki import CLIENT, Pki
from proxy import Proxy

USER, PASSWORD = "somebody", "a pass:word"


def image(text=b"1"):
    return Image([Layer(tar({"a": text}))])


class HostsCase(TestCase):
    def setUp(self):
        super().setUp()
        self.hosts_dir = self.path("hosts")
        os.mkdir(self.hosts_dir)

    def start(self, *args, **options):
        self.imaged = self.daemon("--hosts-dir", self.hosts_dir, *args, **options)
        self.client = self.imaged.client()
        return self.client

    def registry(self, content=None, **options):
        registry = FakeRegistry(**options).__enter__()
        self.addCleanup(registry.stop)
        if content is not None:
            registry.repo("a/b").add(content, "1")
        return registry

    def folder(self, host):
        name, _, port = host.partition(":")
        path = os.path.join(self.hosts_dir, f"{name}_{port}_" if port else host)
        os.makedirs(path, exist_ok=True)
        return path

    def hosts(self, host, text):
        """hosts.toml of a registry."""
        with open(os.path.join(self.folder(host), "hosts.toml"), "w", encoding="utf-8") as file:
            file.write(text)

    def put(self, host, name, source):
        """A certificate file of a registry."""
        with open(source, "rb") as file, open(os.path.join(self.folder(host), name), "wb") as copy:
            copy.write(file.read())

    def mirrored(self, mirror, registry, keys=""):
        self.hosts(registry.host, f'[host."{mirror.scheme}://{mirror.host}"]\n{keys}\n')

    def whole(self):
        self.assertEqual([], incomplete(self.imaged.root, self.client))


class Mirrors(HostsCase):
    def test_mirror_serves_and_the_registry_is_not_asked(self):
        content = image()
        mirror, registry = self.registry(content), self.registry(content)
        self.mirrored(mirror, registry)
        done, _ = self.start().pull(f"{registry.host}/a/b:1")
        self.assertEqual([], registry.requests)
        self.assertEqual(mirror.host, done.host)
        self.assertEqual(1, mirror.count(content.layers[0].blob.digest))
        self.whole()

    def test_mirrors_are_told_the_registry_and_the_registry_is_not(self):
        content = image()
        mirror, registry = self.registry(), self.registry(content)
        self.mirrored(mirror, registry)
        self.start().pull(f"{registry.host}/a/b:1")
        asked = [r.path for r in mirror.requests if "/a/b/" in r.path]
        self.assertTrue(asked)
        for path in asked:
            self.assertTrue(path.endswith("?ns=" + registry.host.replace(":", "%3A")), path)
        self.assertEqual([], registry.matching("ns="))

    def test_a_mirror_without_the_image_is_passed_over(self):
        content = image()
        mirror, registry = self.registry(), self.registry(content)
        self.mirrored(mirror, registry)
        done, _ = self.start().pull(f"{registry.host}/a/b:1")
        self.assertEqual(registry.host, done.host)
        self.whole()

    def test_a_mirror_that_is_down_is_passed_over(self):
        content = Image([Layer(tar({f"f{n}": b"x"})) for n in range(20)])
        registry = self.registry(content)
        self.hosts(registry.host, f'[host."http://127.0.0.1:{free_port()}"]\n')
        self.start().pull(f"{registry.host}/a/b:1")
        self.whole()

    def test_a_mirror_that_fails_is_left_in_peace_for_a_while(self):
        """60 layers do not pay 60 times for it, nor does the next pull."""
        content = Image([Layer(tar({f"f{n}": b"x"})) for n in range(60)])
        registry, mirror = self.registry(content), self.registry(content)
        mirror.fault("*", "/a/b/", status=503)
        self.mirrored(mirror, registry)
        self.start().pull(f"{registry.host}/a/b:1")
        self.client.PruneImages(all=True)
        self.client.pull(f"{registry.host}/a/b:1")
        self.assertEqual(1, mirror.count("/a/b/"))
        self.whole()

    def test_dial_timeout_is_that_of_the_host(self):
        """A listener that accepts nothing: its queue is full, and a connect hangs."""
        silent = socket.socket()
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        with contextlib.ExitStack() as queue:
            for _ in range(3):
                filler = queue.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(silent.getsockname())
            self.hosts(host, f'server = "http://{host}"\ndial_timeout = "500ms"\n')
            self.start()
            # by default it is 30 s, and the deadline would come first
            self.assert_rpc_fails("UNAVAILABLE", None, self.client.Pull, reference=f"{host}/a/b:1", timeout=25,
                                  text="i/o timeout")

    def test_order_is_that_of_the_file(self):
        content = image()
        first, second, registry = self.registry(), self.registry(content), self.registry(content)
        self.hosts(registry.host, f'[host."http://{first.host}"]\n[host."http://{second.host}"]\n'
                                  f'[host."http://{first.host}".header]\nX-First = "1"\n')
        self.start().pull(f"{registry.host}/a/b:1")
        self.assertGreater(first.count("/a/b/"), 0)
        self.assertEqual([], registry.requests)
        self.assertEqual("1", first.requests[0].headers.get("X-First"))

    def test_a_mirror_that_lies_about_a_blob(self):
        """One at a time: whoever has lied is not asked for the others any more."""
        content, other = image(), image(b"2")
        layer, config = content.layers[0].blob, content.config_blob
        lies = {
            "no archive": (layer, b"x" * layer.size),
            "another archive": (layer, other.layers[0].blob.bytes()),
            "longer": (layer, layer.bytes() + b"more"),
            "shorter": (layer, layer.bytes()[:-1]),
            "another configuration": (config, other.config_bytes),
        }
        client = self.start()
        for name, (blob, body) in lies.items():
            with self.subTest(name):
                mirror, registry = self.registry(content), self.registry(content)
                mirror.fault("GET", "/blobs/" + blob.digest, body=body)
                self.mirrored(mirror, registry)
                client.pull(f"{registry.host}/a/b:1")
                self.assertEqual(1, mirror.count("/blobs/" + blob.digest))
                self.assertEqual(1, registry.count("/blobs/" + blob.digest))
                self.whole()
                client.PruneImages(all=True)

    def test_a_mirror_that_lies_about_a_manifest(self):
        content, other = image(), image(b"2")
        mirror, registry = self.registry(content), self.registry(content)
        mirror.fault("GET", "/manifests/sha256:", body=other.data)
        mirror.fault("HEAD", "/manifests/sha256:", status=404)
        self.mirrored(mirror, registry)
        digest = content.digest
        self.start().pull(f"{registry.host}/a/b@{digest}")
        self.assertEqual(1, registry.count("/manifests/" + digest, "GET"))
        self.whole()

    def test_a_layer_goes_on_at_the_registry_when_the_mirror_breaks(self):
        content = Image([ociimage.random_layer(self.path("random"), 4 << 20, 7)])
        mirror, registry = self.registry(content), self.registry(content)
        digest = content.layers[0].blob.digest
        mirror.fault("GET", "/blobs/" + digest, times=1, cut=3 << 20)
        self.mirrored(mirror, registry)
        self.start().pull(f"{registry.host}/a/b:1")
        [rest] = registry.matching("/blobs/" + digest)
        self.assertRegex(rest.headers.get("Range"), r"bytes=\d+-")
        self.assertLess(rest.sent, 4 << 20)
        self.assertEqual(1, mirror.count("/blobs/" + digest))
        self.whole()

    def test_a_mirror_that_lies_about_a_range_and_breaks(self):
        """The registry ends what the mirror began: who was wrong cannot be told, so all is fetched once more."""
        content = Image([ociimage.random_layer(self.path("random"), 40 << 20, 7)])
        blob = content.layers[0].blob
        lie = bytearray(blob.bytes()[: 8 << 20])
        lie[5 << 20] ^= 1

        def answer(handler, blob, start, end):
            said = {"ETag": f'"{blob.digest}"', "Content-Range": f"bytes {start}-{end - 1}/{blob.size}"}
            handler.reply(206, said, bytes(lie[start:end]))

        client = self.start()
        for pace in (0, 0.02):  # one connection, and several
            with self.subTest(pace=pace):
                mirror, registry = self.registry(content), self.registry(content)
                mirror.fault("GET", blob.digest, times=1, answer=answer)
                mirror.fault("GET", blob.digest, status=503)
                registry.fault("GET", blob.digest, pace=pace)
                self.mirrored(mirror, registry)
                client.pull(f"{registry.host}/a/b:1")
                self.whole()
                client.PruneImages(all=True)

    def test_a_copy_goes_on_at_the_registry_when_the_mirror_breaks_or_lies(self):
        content = Image([ociimage.random_layer(self.path("random"), 4 << 20, 7)])
        blob = content.layers[0].blob
        wrong = bytearray(blob.bytes())
        wrong[1 << 20] ^= 1
        faults = {
            "wrong": {"body": bytes(wrong)},
            "wrong-and-breaks": {"body": bytes(wrong), "cut": 2 << 20},
            "breaks": {"cut": 1 << 20},
            "shorter": {"body": blob.bytes()[:-1]},
            "re-encoded": {"status": 200, "headers": {"Content-Encoding": "gzip"}, "body": blob.bytes()},
        }
        target = DockerRegistry(self.path("target"))
        self.addCleanup(target.stop)
        client = self.start()
        for name, fault in faults.items():
            with self.subTest(name):
                mirror, registry = self.registry(content), self.registry(content)
                mirror.fault("GET", "/blobs/" + blob.digest, **fault)
                self.mirrored(mirror, registry)
                list(client.Copy(source=f"{registry.host}/a/b:1", destination=f"{target.host}/{name}:1"))
                self.assertEqual(1, mirror.count("/blobs/" + blob.digest, "GET"))
                self.assertEqual(1 + (name == "wrong-and-breaks"), registry.count("/blobs/" + blob.digest, "GET"))

    def test_a_mirror_that_lies_about_a_configuration_that_is_looked_at(self):
        content, other = image(), image(b"2")
        client = self.start()
        for body in (other.config_bytes, b"{}"):
            with self.subTest(body[:10]):
                mirror, registry = self.registry(content), self.registry(content)
                mirror.fault("GET", "/blobs/", body=body)
                self.mirrored(mirror, registry)
                found = client.InspectRemote(reference=f"{registry.host}/a/b:1", verbose=True)
                self.assertEqual(content.config_bytes, found.manifests[0].config)
                self.assertEqual(1, mirror.count("/blobs/"))
                self.assertEqual(1, registry.count("/blobs/"))

    def test_capabilities(self):
        """Tags are believed only of hosts that may resolve; digests of all that may be pulled from."""
        old, new = image(b"old"), image(b"new")
        mirror, registry = self.registry(old), self.registry(new)
        mirror.repo("a/b").add(new, "other")
        self.mirrored(mirror, registry, 'capabilities = ["pull"]')
        self.start().pull(f"{registry.host}/a/b:1")
        self.assertEqual([], mirror.matching("/manifests/1"))
        self.assertEqual(1, mirror.count(new.layers[0].blob.digest))
        self.assertEqual(0, registry.count("/blobs/"))
        self.client.PruneImages(all=True)
        self.mirrored(mirror, registry, 'capabilities = ["push"]')
        mirror.clear()
        self.client.pull(f"{registry.host}/a/b:1")
        self.assertEqual([], mirror.requests)

    def test_nobody_may_be_asked(self):
        registry = self.registry(image())
        self.hosts(registry.host, f'server = "http://{registry.host}"\ncapabilities = ["push"]\n')
        self.start()
        self.assert_rpc_fails("PERMISSION_DENIED", "ACCESS_DENIED", self.client.Pull,
                              reference=f"{registry.host}/a/b:1", text="no host that is configured")
        self.assertEqual([], registry.requests)

    def test_override_path(self):
        content = image()
        mirror, registry = self.registry(), self.registry(content)
        mirror.repo("proxy/a/b").add(content, "1")
        self.hosts(registry.host, f'[host."http://{mirror.host}/v2/proxy"]\noverride_path = true\n')
        self.start().pull(f"{registry.host}/a/b:1")
        self.assertEqual([], registry.requests)
        self.assertTrue(all(r.path.startswith("/v2/proxy/") for r in mirror.requests))

    def test_server_stands_for_the_registry(self):
        content = image()
        registry = self.registry(content)
        self.hosts("registry.example", f'server = "http://{registry.host}"\n')
        self.start().pull("registry.example/a/b:1")
        self.assertEqual(["registry.example/a/b:1"], list(self.client.images()[0].repo_tags))

    def test_default_is_for_all_without_a_folder(self):
        content = image()
        mirror = self.registry(content)
        self.hosts("_default", f'[host."http://{mirror.host}"]\n')
        self.start().pull("registry.example:5000/a/b:1")
        self.assertIn("ns=registry.example%3A5000", mirror.matching("/manifests/")[0].path)

    def test_a_change_counts_at_once(self):
        content = image()
        registry, mirror = self.registry(content), self.registry(content)
        self.start().pull(f"{registry.host}/a/b:1")
        self.client.PruneImages(all=True)
        registry.clear()
        self.mirrored(mirror, registry)
        self.client.pull(f"{registry.host}/a/b:1")
        self.assertEqual([], registry.requests)
        os.unlink(os.path.join(self.folder(registry.host), "hosts.toml"))
        self.client.PruneImages(all=True)
        self.client.pull(f"{registry.host}/a/b:1")
        self.assertGreater(len(registry.requests), 0)

    def test_a_file_that_cannot_be_read_is_said(self):
        registry = self.registry(image())
        self.start()
        for text, said in (("server = \n", r"hosts\.toml:1:"),
                           ('[host."http://x"]\ncapabilities = ["pul"]\n', r"hosts\.toml:2:1: unknown capability 'pul'"),
                           ('ca = "nowhere.pem"\n', r"nowhere\.pem: No such file")):
            with self.subTest(text=text):
                self.hosts(registry.host, text)
                self.assert_rpc_fails("FAILED_PRECONDITION", None, self.client.Pull,
                                      reference=f"{registry.host}/a/b:1", text=said)
        self.assertEqual([], registry.requests)

    def test_mirrors_of_the_command_line(self):
        content = image()
        hub, named, registry = self.registry(), self.registry(content), self.registry(content)
        hub.repo("library/x").add(content, "1")
        self.start("--registry-mirror", f"http://{hub.host}", "--registry-mirror",
                   f"{registry.host}=http://{named.host}")
        self.client.pull("x:1")
        self.assertIn("ns=docker.io", hub.matching("/manifests/")[0].path)
        self.client.pull(f"{registry.host}/a/b:1")
        self.assertEqual([], registry.requests)
        self.assertGreater(named.count("/a/b/"), 0)


class Secrets(HostsCase):
    def credentials(self, registry):
        return {"server_address": registry.host, "username": USER, "password": PASSWORD}

    def test_credentials_of_the_registry_do_not_reach_a_mirror(self):
        content = image()
        for auth in ("basic", "bearer"):
            for address in (None, ""):
                with self.subTest(auth=auth, address=address):
                    registry = self.registry(content, auth=auth, user=USER, password=PASSWORD)
                    mirror = self.registry(content, auth=auth, user=USER, password=PASSWORD)
                    self.mirrored(mirror, registry)
                    given = self.credentials(registry)
                    if address is not None:
                        given["server_address"] = address
                    self.start(name=f"d-{auth}-{address}").pull(f"{registry.host}/a/b:1", credentials=given)
                    self.assertEqual({None}, {r.headers.get("Authorization") for r in mirror.requests})
                    self.assertGreater(mirror.count(), 0)

    def test_credentials_that_are_the_mirrors_reach_it(self):
        content = image()
        mirror = self.registry(content, auth="basic", user=USER, password=PASSWORD)
        registry = self.registry(content)
        self.mirrored(mirror, registry)
        self.start().pull(f"{registry.host}/a/b:1", credentials=self.credentials(mirror))
        self.assertEqual(0, registry.count())

    def test_a_mirror_that_lets_nobody_in_is_asked_once(self):
        content = Image([Layer(tar({f"f{n}": b"x"})) for n in range(10)])
        mirror = self.registry(content, auth="basic", user=USER, password=PASSWORD)
        registry = self.registry(content)
        self.mirrored(mirror, registry)
        self.start().pull(f"{registry.host}/a/b:1")
        self.assertLessEqual(mirror.count(), 2, mirror.requests)

    def test_headers_stay_with_their_host(self):
        """registry-cri.md 1.6, 1: what libcurl would have kept on a redirect."""
        content = image()
        storage = self.registry(content)
        mirror = self.registry(content, blobs_at=f"http://{storage.host}")
        registry = self.registry(content)
        mirror.fault("GET", "/blobs/" + content.config_blob.digest, status=404)
        self.mirrored(mirror, registry,
                      f'[host."http://{mirror.host}".header]\nX-Secret = "one"\nAuthorization = ["Bearer two"]')
        self.start().pull(f"{registry.host}/a/b:1")
        self.assertEqual({("one", "Bearer two")},
                         {(r.headers.get("X-Secret"), r.headers.get("Authorization")) for r in mirror.requests})
        for other in (storage, registry):
            self.assertGreater(other.count(), 0)
            self.assertEqual({(None, None)},
                             {(r.headers.get("X-Secret"), r.headers.get("Authorization")) for r in other.requests})


class Tls(HostsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        import tempfile

        cls.folder_of_keys = tempfile.TemporaryDirectory(prefix="imaged-pki-")
        cls.addClassCleanup(cls.folder_of_keys.cleanup)
        pki = Pki(cls.folder_of_keys.name)
        cls.ca, cls.other_ca = pki.authority("ca"), pki.authority("other")
        cls.server = pki.issue("server", cls.ca)
        cls.wrong_name = pki.issue("wrong", cls.ca, "subjectAltName=DNS:registry.example")
        cls.expired = pki.issue("expired", cls.ca, days=-1)
        cls.person = pki.issue("person", cls.ca, CLIENT)
        cls.stranger = pki.issue("stranger", cls.other_ca, CLIENT)

    def asked_over(self, server, keys, **options):
        registry = self.registry(image(), cert=server, **options)
        self.hosts(registry.host, f'server = "https://{registry.host}"\n{keys}\n')
        return registry

    def refused(self, registry, text):
        self.assert_rpc_fails("UNAVAILABLE", "REGISTRY_TLS", self.client.Pull, reference=f"{registry.host}/a/b:1",
                              text=text)
        self.assertEqual([], registry.requests)

    def test_own_authority(self):
        self.start()
        registry = self.asked_over(self.server, f'ca = "{self.ca[0]}"')
        self.client.pull(f"{registry.host}/a/b:1")
        self.refused(self.asked_over(self.server, ""), "not trusted")
        self.refused(self.asked_over(self.server, f'ca = ["{self.other_ca[0]}"]'), "not trusted")

    def test_token_server_of_the_same_authority(self):
        self.start()
        registry = self.asked_over(self.server, f'ca = "{self.ca[0]}"', auth="bearer")
        self.client.pull(f"{registry.host}/a/b:1")
        self.assertEqual(1, registry.count("/token"))

    def test_connections_are_not_shared_between_settings(self):
        """What was trusted before is not trusted after the file has changed."""
        self.start()
        for before in (f'ca = "{self.ca[0]}"', "skip_verify = true"):
            registry = self.asked_over(self.server, before)
            self.client.pull(f"{registry.host}/a/b:1")
            self.client.PruneImages(all=True)
            registry.clear()
            for after in ("", f'ca = "{self.other_ca[0]}"'):
                self.hosts(registry.host, f'server = "https://{registry.host}"\n{after}\n')
                self.refused(registry, "not trusted")

    def test_wrong_name_and_expired(self):
        self.start()
        self.refused(self.asked_over(self.wrong_name, f'ca = "{self.ca[0]}"'), "not trusted")
        self.refused(self.asked_over(self.expired, f'ca = "{self.ca[0]}"'), "expired")

    def test_skip_verify(self):
        self.start()
        for server in (self.server, self.wrong_name, self.expired):
            registry = self.asked_over(server, "skip_verify = true")
            self.client.pull(f"{registry.host}/a/b:1")
            self.client.PruneImages(all=True)

    def test_client_certificate(self):
        self.start()
        pair = f'client = [["{self.person[0]}", "{self.person[1]}"]]'
        registry = self.asked_over(self.server, f'ca = "{self.ca[0]}"\n{pair}', client_ca=self.ca[0])
        self.client.pull(f"{registry.host}/a/b:1")
        self.client.PruneImages(all=True)
        registry.clear()
        # the connections that were made with it are not for those without
        for keys in ("", f'client = [["{self.stranger[0]}", "{self.stranger[1]}"]]'):
            self.hosts(registry.host, f'server = "https://{registry.host}"\nca = "{self.ca[0]}"\n{keys}\n')
            self.assert_rpc_fails("UNAVAILABLE", None, self.client.Pull, reference=f"{registry.host}/a/b:1")
            self.assertEqual([], registry.requests)

    def test_certificate_and_key_in_one_file(self):
        with open(self.path("both.pem"), "wb") as both:
            for name in self.person:
                with open(name, "rb") as file:
                    both.write(file.read())
        self.start()
        registry = self.asked_over(self.server, f'ca = "{self.ca[0]}"\nclient = "{self.path("both.pem")}"',
                                   client_ca=self.ca[0])
        self.client.pull(f"{registry.host}/a/b:1")

    def test_of_several_certificates_the_one_that_suits(self):
        repo, storage = Repo(), self.path("storage")
        repo.add(image(), "1")
        server = DockerRegistry(self.path("open"), storage)
        ociimage.push(repo, server.host, "a/b")
        server.stop()
        server = DockerRegistry(self.path("closed"), storage, cert=self.server, client_ca=self.ca[0])
        self.addCleanup(server.stop)
        pairs = ",".join(f'["{cert}", "{key}"]' for cert, key in (self.stranger, self.person))
        self.hosts(server.host, f'server = "https://{server.host}"\nca = "{self.ca[0]}"\nclient = [{pairs}]\n')
        self.start().pull(f"{server.host}/a/b:1")

    def test_a_redirect_target_is_shown_no_certificate(self):
        storage = self.registry(image(), cert=self.server, client_ca=self.ca[0])
        self.start()
        pair = f'client = [["{self.person[0]}", "{self.person[1]}"]]'
        registry = self.asked_over(self.server, f'ca = "{self.ca[0]}"\n{pair}', blobs_at=f"https://{storage.host}")
        self.assert_rpc_fails("UNAVAILABLE", None, self.client.Pull, reference=f"{registry.host}/a/b:1", timeout=120)
        self.assertEqual([], storage.requests)

    def test_certificate_folder(self):
        self.start()
        registry = self.registry(image(), cert=self.server, client_ca=self.ca[0])
        self.put(registry.host, "ca.crt", self.ca[0])
        self.put(registry.host, "client.cert", self.person[0])
        self.assert_rpc_fails("FAILED_PRECONDITION", None, self.client.Pull, reference=f"{registry.host}/a/b:1",
                              text=r"its key is missing: .*client\.key")
        self.put(registry.host, "client.key", self.person[1])
        self.client.pull(f"{registry.host}/a/b:1")
        self.put(registry.host, "client.key", self.stranger[1])
        self.assert_rpc_fails("FAILED_PRECONDITION", None, self.client.Pull, reference=f"{registry.host}/a/b:1",
                              text="does not belong to the certificate")

    def test_an_authority_of_a_folder_is_meant_also_on_this_machine(self):
        self.start()
        registry = self.registry(image(), cert=self.server)
        self.put(registry.host, "ca.crt", self.other_ca[0])
        self.refused(registry, "not trusted")

    def test_mirror_of_the_command_line_with_a_certificate_folder(self):
        content = image()
        mirror, registry = self.registry(content, cert=self.server), self.registry(content)
        self.put(mirror.host, "ca.crt", self.ca[0])
        self.start("--registry-mirror", f"{registry.host}=https://{mirror.host}")
        self.client.pull(f"{registry.host}/a/b:1")
        self.assertEqual([], registry.requests)


class Explain(HostsCase):
    def explained(self, host, *args, **options):
        return self.imaged.ctl("system", "explain-host", *args, host, **options).stdout

    def test_order_trust_and_notes(self):
        self.hosts("docker.io", 'colour = "red"\n[host."https://m.example/hub"]\ncapabilities = ["pull"]\nca = "ca.pem"\n'
                                'dial_timeout = "1.5s"\nheader = {X-Key = "secret"}\n[host."http://n.example:80"]\n')
        self.start()
        answer = self.client.ExplainHost(host="busybox:latest")
        self.assertEqual("docker.io", answer.host)
        self.assertEqual(os.path.join(self.hosts_dir, "docker.io", "hosts.toml"), answer.config_file)
        self.assertEqual(["https://m.example/hub/v2", "http://n.example:80/v2", "https://registry-1.docker.io/v2"],
                         [e.url for e in answer.endpoints])
        self.assertEqual([True, True, False], [e.mirror for e in answer.endpoints])
        first = answer.endpoints[0]
        self.assertEqual((True, False, False, 1500), (first.pull, first.resolve, first.push, first.dial_timeout_ms))
        self.assertEqual([os.path.join(self.hosts_dir, "docker.io", "ca.pem")], list(first.ca_files))
        self.assertEqual(["X-Key"], list(first.header_names))
        self.assertNotIn("secret", str(answer))
        self.assertEqual(2, len(answer.notes), answer.notes)
        self.assertRegex(answer.notes[0], r"ca\.pem: No such file")
        self.assertRegex(answer.notes[1], r"hosts\.toml:1: the key 'colour'")

    def test_http_and_why(self):
        self.start("--insecure-registry", "old.example", "--registry-mirror", "x.example=https://m.example")
        cases = {
            "registry.example": ("https", "", False),
            "old.example": ("https", "it is listed as insecure", True),
            "127.0.0.1:5000": ("https", "it is on this machine, with a port of its own", True),
            "localhost": ("https", "", True),
            "localhost:80": ("http", "it is on this machine, and port 80 is that of http", True),
        }
        for host, expected in cases.items():
            [found] = self.client.ExplainHost(host=host).endpoints
            self.assertEqual(expected, (found.url.split(":")[0], found.plain_http, found.skip_verify), host)
        self.assertEqual([True, False], [e.mirror for e in self.client.ExplainHost(host="x.example/a/b").endpoints])
        self.assert_rpc_fails("INVALID_ARGUMENT", None, self.client.ExplainHost, host="No/Image")

    def test_where_credentials_come_from(self):
        self.hosts("r.example:5000", '[host."https://m.example"]\n')
        self.start()
        os.mkdir(self.path("config"))
        config = {"DOCKER_CONFIG": self.path("config"), "PATH": f"{self.path('config')}:{os.environ['PATH']}"}

        def write(name, text, mode=0o600):
            with open(self.path("config", name), "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(self.path("config", name), mode)

        line = ("--format", "{{range .Endpoints}}{{.Credentials}} {{end}}")
        self.assertEqual("none none \n", self.explained("r.example:5000", *line, env=config))
        write("config.json", '{"auths":{"r.example:5000":{"auth":"YTpi"}}}')
        self.assertEqual(f"none {self.path('config', 'config.json')} \n",
                         self.explained("r.example:5000/a/b", *line, env=config))
        write("config.json", '{"credHelpers":{"r.example:5000":"x"}}')
        write("docker-credential-x", '#!/bin/sh\necho \'{"ServerURL":"r","Username":"u","Secret":"s3"}\'\n', 0o700)
        said = self.explained("r.example:5000", env=config)
        self.assertIn(" 2. https://r.example:5000/v2\n", said)
        self.assertIn("  Credentials: docker-credential-x\n", said)
        self.assertNotIn("s3", said)

    def test_a_mirror_that_is_passed_over_is_told(self):
        registry = self.registry(image())
        url = f"http://127.0.0.1:{free_port()}"
        self.hosts(registry.host, f'[host."{url}"]\n')
        self.start()
        self.assertEqual([], list(self.client.ExplainHost(host=registry.host).notes))
        self.client.pull(f"{registry.host}/a/b:1")
        asked = len(registry.requests)
        [note] = self.client.ExplainHost(host=registry.host).notes
        self.assertRegex(note, f"{url}/v2 failed a moment ago")
        self.assertEqual(asked, len(registry.requests), "nothing is sent")

    def test_proxy_is_shown_without_its_password(self):
        self.start(env={"https_proxy": "http://u:secret@proxy.example:3128", "no_proxy": "near.example"})
        self.assertEqual("http://proxy.example:3128", self.client.ExplainHost(host="far.example").endpoints[0].proxy)
        self.assertEqual("", self.client.ExplainHost(host="near.example").endpoints[0].proxy)
        self.assertNotIn("secret", self.explained("far.example"))


class Proxies(HostsCase):
    def proxied(self, *args, none=""):
        proxy = Proxy().__enter__()
        self.addCleanup(proxy.stop)
        environment = {"http_proxy": proxy.url, "https_proxy": proxy.url, "no_proxy": none}
        self.start(*args, env=environment)
        return proxy

    def test_all_goes_through_the_proxy(self):
        registry = self.registry(image())
        proxy = self.proxied()
        self.client.pull(f"{registry.host}/a/b:1")
        plain = [target for method, target, _ in proxy.log if method != "CONNECT"]
        self.assertEqual([registry.host] * len(registry.requests), plain)
        self.assertTrue(plain)

    def test_what_no_proxy_names_goes_straight(self):
        for none in ("127.0.0.0/8", "127.0.0.1", "*"):
            with self.subTest(no_proxy=none):
                registry = self.registry(image())
                proxy = Proxy().__enter__()
                self.addCleanup(proxy.stop)
                imaged = self.daemon("--hosts-dir", self.hosts_dir, name="d" + none.replace("/", "-").replace("*", "all"),
                                     env={"http_proxy": proxy.url, "https_proxy": proxy.url, "NO_PROXY": none})
                imaged.client().pull(f"{registry.host}/a/b:1")
                self.assertEqual([], proxy.log)

    def test_a_port_in_no_proxy_is_that_port(self):
        mirror, registry = self.registry(), self.registry(image())
        self.mirrored(mirror, registry)
        proxy = self.proxied(none=registry.host)
        self.client.pull(f"{registry.host}/a/b:1")
        self.assertEqual({mirror.host}, set(proxy.targets()))


