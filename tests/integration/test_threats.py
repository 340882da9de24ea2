"""What hostile registries try (registry-cri.md 5.2), by name: each ends in one clear error,
nothing is kept, and no credential goes where it does not belong."""

import gzip
import json
import socket
import threading

import grpc

from hostileworld import PASSWORD, USER, HostileCase, image, loopback_name, outward_address
from ociimage import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Blob,
    Image,
    Index,
    Layer,
    Manifest,
    random_bytes,
    sha256,
    tar,
    to_json,
)
from pki import Authority

BEARER = 'Bearer realm="{}",service="s",scope="repository:a:pull"'


class Documents(HostileCase):
    """Manifests and what they name."""

    def setUp(self):
        super().setUp()
        self.registry = self.host(auth="bearer", user=USER, password=PASSWORD)
        self.reference = f"{self.registry.host}/a:1"

    def refused(self, content, text, code="FAILED_PRECONDITION"):
        self.registry.repo("a").add(content, "1")
        error = self.assert_refused(self.reference, code, text, credentials=self.credentials(self.registry))
        self.assert_log_is_silent()
        return error

    def edited(self, change):
        content = image()
        body = json.loads(content.data)
        change(body)
        return Manifest(to_json(body), OCI_MANIFEST, content.blobs)

    def test_threat_type_confusion_of_image_and_index(self):
        for key, value in (("manifests", []), ("manifests", [{"mediaType": OCI_MANIFEST, "digest": sha256(b"x"), "size": 1}]), ("fsLayers", [])):
            with self.subTest(key=key, value=value):
                self.refused(self.edited(lambda body, k=key, v=value: body.update({k: v})), "fields of several kinds")

    def test_threat_type_confusion_by_media_type(self):
        """The document, its Content-Type and the descriptor that named it must agree."""
        content = image()
        self.refused(Manifest(content.data, DOCKER_MANIFEST, content.blobs), "media ?type|Content-Type")
        self.refused(Manifest(content.data, OCI_INDEX, content.blobs), "media ?type|Content-Type|index")
        entry = content.descriptor(platform={"os": "linux", "architecture": "amd64"})
        entry["mediaType"] = DOCKER_MANIFEST
        index = Manifest(to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}), OCI_INDEX, (), [content])
        self.refused(index, "media ?type|Content-Type")

    def test_threat_signed_part_is_not_the_used_part(self):
        content = image()
        documents = {
            "a key twice": content.data[:-1] + b',"layers":[]}',
            "a key twice deep down": content.data.replace(b'"size":', b'"size":1,"size":', 1),
            "data behind": content.data + b'{"schemaVersion":2}',
            "a NUL behind": content.data + b"\0",
            "deep": b'{"schemaVersion":2,"annotations":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}",
            "a number past all": content.data.replace(b'"size":', b'"size":1e400,"other":', 1),
            "a size past 64 bits": content.data.replace(b'"size":', b'"size":99999999999999999999999,"other":', 1),
            "a size that is no number": content.data.replace(b'"size":', b'"size":"1","other":', 1),
            "a byte-order mark": b"\xef\xbb\xbf" + content.data,
            "broken UTF-8": content.data.replace(b'"mediaType"', b'"x":"\xff","mediaType"', 1),
        }
        for name, data in documents.items():
            with self.subTest(name):
                self.refused(Manifest(data, OCI_MANIFEST, content.blobs), "manifest|JSON|duplicate|end of file|depth|size|digest")

    def test_threat_digests_that_are_paths_or_urls(self):
        for text in ("sha256:../../../../../../etc/passwd", "../../x", "sha256:" + "a" * 63 + "/", "sha256:%2e%2e%2f" + "a" * 54,
                     "http://127.0.0.1/x", "sha256:" + "a" * 64 + "?x=y", "sha256:" + "A" * 64, "md5:" + "a" * 32, "sha256", "", "sha256:" + "a" * 65):
            with self.subTest(text):
                self.registry.requests.clear()
                self.refused(self.edited(lambda body, t=text: body["layers"][0].update(digest=t)), "digest")
                self.assertEqual(0, self.registry.count("/blobs/"), "nothing is asked for by it")

    def test_threat_urls_of_layers_get_no_credentials(self):
        """Foreign layers are not fetched from where they say, unless that is allowed; also
        where the registry has none."""
        elsewhere, content = self.host(), image()
        elsewhere.repo("a").add(content)
        blob = content.layers[0].blob
        for media_type in ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                           "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"):
            with self.subTest(media_type):
                def change(body, t=media_type):
                    body["layers"][0].update(mediaType=t, urls=[f"http://{elsewhere.host}/v2/a/blobs/{blob.digest}"])

                foreign = self.edited(change)
                foreign.blobs = [content.config_blob]
                self.refused(foreign, "outside of the registry|foreign|not found", ("FAILED_PRECONDITION", "NOT_FOUND"))
                self.assertEqual([], elsewhere.requests)

    def test_threat_documents_without_end(self):
        content = image()
        endless = b'{"schemaVersion":2,"x":"' + b"a" * (20 << 20)
        self.registry.repo("a").add(content, "1")
        self.registry.fault("GET", "/manifests/", status=200, body=endless, headers={"Content-Type": OCI_MANIFEST})
        self.assert_refused(self.reference, "RESOURCE_EXHAUSTED", "longer than|large|limit", credentials=self.credentials(self.registry))
        self.assertLess(self.peak_memory(), 400 << 20)
        huge = self.edited(lambda body: body["config"].update(size=1 << 40))
        self.registry.clear()
        self.refused(huge, "configuration has 1099511627776 bytes", "RESOURCE_EXHAUSTED")

    def peak_memory(self):
        with open(f"/proc/{self.imaged.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM"))

    def test_threat_answers_of_token_servers_without_end(self):
        self.registry.repo("a").add(image(), "1")
        for body in (b'{"token":"' + b"a" * (1 << 20) + b'"}', b'{"token":"' + b"a" * 40000 + b'"}', b"[" * 60000):
            with self.subTest(len(body)):
                self.registry.clear()
                self.registry.fault("*", "/token", status=200, body=body)
                with self.assertRaises(grpc.RpcError) as caught:
                    self.client.pull(self.reference, credentials=self.credentials(self.registry))
                self.assertIn(caught.exception.code().name, ("RESOURCE_EXHAUSTED", "UNAVAILABLE"))
                self.assertLess(len(caught.exception.details()), 800)
                self.assert_silent(caught.exception.details())
                self.assert_nothing_kept()

    def test_threat_malformed_manifests_do_not_end_the_daemon(self):
        shapes = [b"", b"null", b"[]", b"{}", b"7", b'"x"', b'{"schemaVersion":2}', b'{"schemaVersion":1}', b'{"schemaVersion":2,"layers":{}}',
                  b'{"schemaVersion":2,"config":[],"layers":[]}', b'{"schemaVersion":2,"config":null,"layers":null}',
                  b'{"schemaVersion":2,"manifests":{"a":1}}', b'{"schemaVersion":2,"manifests":[1,[],null]}', random_bytes(4096, 7), b"\0" * 100]
        for data in shapes:
            for media_type in (OCI_MANIFEST, OCI_INDEX):
                with self.subTest(data=data[:30], media_type=media_type):
                    self.registry.repo("a").add(Manifest(data, media_type), "1")
                    with self.assertRaises(grpc.RpcError) as caught:
                        self.client.pull(self.reference, credentials=self.credentials(self.registry))
                    self.assertIn(caught.exception.code().name, ("FAILED_PRECONDITION", "NOT_FOUND", "DATA_LOSS", "UNAVAILABLE"), caught.exception.details())
        self.assert_nothing_kept()

    def test_threat_configuration_is_data(self):
        """Names and labels of a configuration lead nowhere and print as text."""
        hostile = {"config": {"Labels": {"../../x": "$(touch /tmp/x)", "\x1b[31m": "\u202e"}, "Volumes": {"/etc": {}}, "Entrypoint": ["/bin/sh"]},
                   "id": "../../etc", "os.features": ["\n"]}
        content = Image([Layer(tar({"a": b"1"}))], config=hostile)
        self.registry.repo("a").add(content, "1")
        self.client.pull(self.reference, credentials=self.credentials(self.registry))
        shown = self.imaged.ctl("inspect", self.reference).stdout
        self.assertNotIn("\x1b", shown)
        self.assertEqual([self.reference], json.loads(shown)[0]["RepoTags"])

    def test_threat_private_image_is_not_pulled_again_without_rights(self):
        self.registry.repo("a").add(image(), "1")
        self.client.pull(self.reference, credentials=self.credentials(self.registry))
        with self.assertRaises(grpc.RpcError) as caught:
            self.client.pull(self.reference)
        self.assertIn(caught.exception.code().name, ("UNAUTHENTICATED", "PERMISSION_DENIED"))


class Names(HostileCase):
    def test_threat_references_that_are_more_than_names(self):
        registry = self.host()
        host = registry.host
        names = [f"{USER}:{PASSWORD}@{host}/a", f"user@{host}/a", f"http://{host}/a", f"{host}/a%2f..%2fb", f"{host}/../a", f"{host}/a/../b",
                 f"{host}//a", f"{host}/A", f"{host}/a:{'t' * 129}", f"{host}/{'a' * 256}", f"{host}/a@sha256:abcd", f"-{host}/a", "-a", f"{host}/a?x=1",
                 f"{host}/a#x", f"{host}/a b", f"{host}/a\n", f"{host}/a\x00b", f"{host}/\u0430", "\u0430.example/a", "127.0.0.1:0x50/a", f"{host}/a:", ""]
        for name in names:
            with self.subTest(name):
                with self.assertRaises((grpc.RpcError, ValueError)) as caught:
                    self.client.pull(name)
                if isinstance(caught.exception, grpc.RpcError):
                    self.assertEqual("INVALID_ARGUMENT", caught.exception.code().name, caught.exception.details())
                    self.assertTrue(caught.exception.details().strip().isprintable(), caught.exception.details())
        self.assertEqual([], registry.requests)
        self.assert_nothing_kept()


class Ways(HostileCase):
    """Where requests are led to. The registry is no loopback host here, so that loopback is
    somewhere else."""

    def start_daemon(self):
        address = outward_address()
        return self.daemon("--log-level", "debug", *(("--insecure-registry", f"{address}/32") if address else ()))

    def registry(self, **options):
        made = self.outward_host(user=USER, password=PASSWORD, **options)
        self.content = image()
        made.repo("a").add(self.content, "1")
        self.reference = f"{made.host}/a:1"
        return made

    def refused(self, registry, code, text):
        error = self.assert_refused(self.reference, code, text, credentials=self.credentials(registry))
        self.assert_log_is_silent()
        return error

    # -- realms

    def test_threat_realm_on_loopback(self):
        trap = self.host()
        registry = self.registry(auth="bearer", realm=f"http://{trap.host}/token")
        self.refused(registry, "PERMISSION_DENIED", "loopback")
        self.assertEqual([], trap.requests)

    def test_threat_realm_whose_name_leads_to_loopback(self):
        name = loopback_name()
        if not name:
            self.skipTest("/etc/hosts has no such name")
        trap = self.host()
        registry = self.registry(auth="bearer", realm=f"http://{name}:{trap.port}/token")
        self.refused(registry, "PERMISSION_DENIED", "loopback")
        self.assertEqual([], trap.requests)

    def test_threat_realm_at_a_metadata_service(self):
        for host in ("169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "[::ffff:169.254.169.254]", "0xa9fea9fe", "2852039166", "[fe80::1]", "0.0.0.0", "127.1"):
            with self.subTest(host):
                registry = self.registry(auth="bearer", realm=f"http://{host}/latest/meta-data/")
                error = self.refused(registry, "PERMISSION_DENIED", "loopback|link-local")
                self.assertNotIn("meta-data/?", error.details())

    def test_threat_realm_with_a_user_or_another_scheme(self):
        for realm in ("http://user:pw@{}/token", "ftp://{}/token", "file:///etc/passwd", "//", "javascript:1", "http://", "{}/token"):
            with self.subTest(realm):
                trap = self.outward_host()
                registry = self.registry(auth="bearer", realm=realm.format(trap.host))
                self.refused(registry, "UNAVAILABLE", "token server")
                self.assertEqual([], trap.requests)

    def test_threat_realm_that_redirects(self):
        trap, tokens = self.outward_host(), self.outward_host()
        registry = self.registry(auth="bearer", realm=f"http://{tokens.host}/token")
        tokens.fault("*", "/token", status=307, headers={"Location": f"http://{trap.host}/token"})
        self.refused(registry, "UNAVAILABLE", "redirect")
        self.assertEqual([], trap.requests)

    def test_threat_challenge_that_breaks_out_of_its_header(self):
        registry = self.registry()
        for challenge in ('Bearer realm="http://{}/token\\r\\nX: y"', 'Bearer realm="http://{}/token",service="a\\"&scope=evil"',
                          'Bearer realm="http://{}/token",scope="a b&offline_token=true#"'):
            with self.subTest(challenge):
                registry.clear()
                registry.fault("*", "/manifests/", status=401, headers={"WWW-Authenticate": challenge.format(registry.host)})
                with self.assertRaises(grpc.RpcError):
                    self.client.pull(self.reference, credentials=self.credentials(registry))
                for request in registry.matching("/token"):
                    self.assertNotIn("X", request.headers)
                    self.assertNotIn("&scope=evil", request.path)
                    self.assertNotIn("offline_token=true", request.path.replace("%26offline_token%3Dtrue", ""))
        self.assert_nothing_kept()

    # -- redirects

    def led_to(self, location):
        registry = self.registry(auth="bearer")
        registry.fault("GET", "/blobs/" + self.content.layers[0].blob.digest, status=307, headers={"Location": location})
        return registry

    def test_threat_redirect_to_loopback(self):
        trap = self.host()
        trap.repo("a").add(image())
        self.refused(self.led_to(f"http://{trap.host}/x"), "PERMISSION_DENIED", "loopback")
        self.assertEqual([], trap.requests)

    def test_threat_redirect_by_a_name_to_loopback(self):
        name = loopback_name()
        if not name:
            self.skipTest("/etc/hosts has no such name")
        trap = self.host()
        self.refused(self.led_to(f"http://{name}:{trap.port}/x"), "PERMISSION_DENIED", "loopback")
        self.assertEqual([], trap.requests)

    def test_threat_redirect_to_a_metadata_service(self):
        for host in ("169.254.169.254", "[::ffff:a9fe:a9fe]", "2852039166"):
            with self.subTest(host):
                self.refused(self.led_to(f"http://{host}/latest/meta-data/iam"), "PERMISSION_DENIED", "link-local")

    def test_threat_redirect_to_other_schemes(self):
        for location in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "http://user:pw@127.0.0.1/", "http:///", "\\\\127.0.0.1\\x"):
            with self.subTest(location):
                registry = self.led_to(location)
                registry.fault("*", "127", status=404)
                error = self.assert_any_refusal(registry)
                self.assertNotIn("pw", error.details())

    def assert_any_refusal(self, registry):
        with self.assertRaises(grpc.RpcError) as caught:
            self.client.pull(self.reference, credentials=self.credentials(registry))
        self.assertIn(caught.exception.code().name, ("UNAVAILABLE", "PERMISSION_DENIED", "NOT_FOUND"), caught.exception.details())
        self.assert_nothing_kept()
        return caught.exception

    def test_threat_redirect_that_never_ends(self):
        registry = self.led_to("/v2/a/blobs/again")
        registry.fault("GET", "/blobs/again", status=302, headers={"Location": "/v2/a/blobs/again?" + "x" * 100})
        self.refused(registry, "UNAVAILABLE", "redirects")
        self.assertLess(registry.count("/blobs/again"), 80)

    # -- a challenge of somebody else

    def test_threat_challenge_of_another_host_gets_no_token_of_ours(self):
        storage = self.outward_host(auth="bearer")
        registry = self.registry(auth="bearer", blobs_at=f"http://{storage.host}")
        storage.repo("a").add(self.content)
        self.client.pull(self.reference, credentials=self.credentials(registry))
        self.assert_listed(self.reference)
        ours = set(registry.tokens)
        for request in storage.requests:
            sent = request.headers.get("Authorization", "")
            self.assertNotIn("Basic", sent)
            self.assertFalse(any(token in f"{sent}{request.path}" for token in ours), repr(request))
        self.assertEqual({None}, {r.headers.get("Authorization") for r in storage.matching("/token")}, "anonymous")
        self.assertEqual(0, sum("account" in r.path for r in storage.requests))
        for request in registry.requests:
            self.assertFalse(any(token in request.headers.get("Authorization", "") for token in storage.tokens))

    def test_threat_challenge_of_another_host_for_basic(self):
        storage = self.outward_host(auth="basic", user=USER, password=PASSWORD)
        registry = self.registry(auth="basic", blobs_at=f"http://{storage.host}")
        storage.repo("a").add(self.content)
        self.refused(registry, "PERMISSION_DENIED", "denied")
        self.assert_no_credential_at(storage)

    def test_threat_challenge_of_another_host_with_a_realm_on_loopback(self):
        trap = self.host()
        storage = self.outward_host(auth="bearer", realm=f"http://{trap.host}/token")
        registry = self.registry(auth="bearer", blobs_at=f"http://{storage.host}")
        storage.repo("a").add(self.content)
        self.refused(registry, "PERMISSION_DENIED", "loopback")
        self.assertEqual([], trap.requests)

    # -- TLS

    def tls_registry(self, *names, **options):
        """With a certificate for `names`, and a daemon that trusts nothing but the system's."""
        address = outward_address()
        if not address:
            self.skipTest("this machine has no address but loopback")
        self.pki = Authority(self.path(f"pki{len(self.hosts)}"))
        cert = self.pki.issue(*(names or [address]), **options)
        registry = self.host(address=address, cert=cert, auth="basic", user=USER, password=PASSWORD)
        registry.repo("a").add(image(), "1")
        self.reference = f"{registry.host}/a:1"
        return registry

    def strict_error(self, registry, **env):
        daemon = self.daemon("--log-level", "debug", name=f"strict{len(self.hosts)}", env=env)
        with self.assertRaises(grpc.RpcError) as caught:
            daemon.client().pull(self.reference, credentials=self.credentials(registry))
        self.assertEqual([], daemon.client().images())
        self.assert_silent(daemon.log)
        self.assertEqual([], registry.requests, "nothing goes over it")
        return caught.exception

    def test_threat_tls_of_an_unknown_authority(self):
        error = self.strict_error(self.tls_registry())
        self.assertRegex(error.details(), "(?i)certificate|issuer|authority")

    def test_threat_no_fallback_to_http_after_tls_failed(self):
        """Nothing but handshakes goes out."""
        first = []

        def relay(server, target):
            while True:
                try:
                    here, _ = server.accept()
                except OSError:
                    return
                with here, socket.create_connection(target) as there:
                    hello = here.recv(4096)
                    first.append(hello[:1])
                    there.sendall(hello)
                    here.sendall(there.recv(65536))
                    here.recv(4096)

        registry = self.tls_registry("another.example")
        server = socket.create_server((registry.host.rpartition(":")[0], 0))
        self.addCleanup(server.close)
        threading.Thread(target=relay, args=(server, (registry.host.rpartition(":")[0], registry.port)), daemon=True).start()
        self.reference = f"{registry.host.rpartition(':')[0]}:{server.getsockname()[1]}/a:1"
        error = self.strict_error(registry)
        self.assertRegex(error.details(), "is not trusted")
        self.assertEqual({b"\x16"}, set(first))

    def test_threat_redirect_from_https_to_http(self):
        registry = self.tls_registry()
        trap = self.outward_host()
        blob = registry.repo("a").manifests[registry.repo("a").tags["1"]].blobs[1]
        registry.fault("GET", blob.digest, status=307, headers={"Location": f"http://{trap.host}/x?signature=secret"})
        error = self.refused(registry, "PERMISSION_DENIED", "from https to")
        self.assertNotIn("signature", error.details())
        self.assertEqual([], trap.requests)

    def test_threat_realm_over_http_of_an_https_registry(self):
        trap = self.outward_host()
        registry = self.tls_registry()
        registry.auth, registry.realm = "bearer", f"http://{trap.host}/token"
        self.refused(registry, "PERMISSION_DENIED", "not https")
        self.assertEqual([], trap.requests)


class Bodies(HostileCase):
    """Cut, slow, lying, oversized and reordered bodies."""

    def serve(self, content):
        registry = self.host()
        registry.repo("a").add(content, "1")
        self.reference = f"{registry.host}/a:1"
        return registry

    def test_threat_body_that_is_cut_every_time(self):
        content = Image([Layer(tar({"d": random_bytes(1 << 20, 3)}), level=1)])
        registry = self.serve(content)
        registry.fault("GET", content.layers[0].blob.digest, cut=0)
        self.assert_refused(self.reference, "UNAVAILABLE", "EOF|closed|reset|broke|transfer|partial")

    def test_threat_body_that_is_reordered(self):
        content = Image([Layer(tar({"d": random_bytes(1 << 20, 4)}), level=1)])
        blob = content.layers[0].blob
        half = blob.size // 2
        registry = self.serve(content)
        registry.fault("GET", blob.digest, body=blob.data[half:] + blob.data[:half])
        # the worker or the hash, whoever sees it first
        self.assert_refused(self.reference, ("FAILED_PRECONDITION", "DATA_LOSS"), "gzip|digest|header")

    def test_threat_body_of_right_size_and_wrong_bytes(self):
        content = Image([Layer(tar({"d": random_bytes(1 << 20, 5)}), how="plain")])
        blob = content.layers[0].blob
        wrong = bytearray(blob.data)
        wrong[600000] ^= 1
        registry = self.serve(content)
        registry.fault("GET", blob.digest, body=bytes(wrong))
        self.assert_refused(self.reference, "DATA_LOSS", "digest")

    def test_threat_body_without_end(self):
        content = image()
        blob = content.layers[0].blob
        registry = self.serve(content)
        registry.fault("GET", blob.digest, body=blob.data + b"\0" * (64 << 20))
        self.assert_refused(self.reference, "FAILED_PRECONDITION", "size|bytes|longer|more")
        self.assertLess(registry.sent(blob.digest), 64 << 20)

    def test_threat_length_that_lies(self):
        """The descriptor counts. What is whole and right may be taken whatever was said."""
        content = image()
        blob = content.layers[0].blob
        for said in (blob.size - 10, blob.size + 10, 1 << 60):
            with self.subTest(said):
                registry = self.serve(content)
                registry.fault("GET", blob.digest, raw=b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % said + blob.data)
                try:
                    self.client.pull(self.reference)
                    self.assertGreater(said, blob.size)
                    self.assert_listed(self.reference)
                    self.client.PruneImages(all=True)
                except grpc.RpcError as error:
                    self.assertIn(error.code().name, ("UNAVAILABLE", "FAILED_PRECONDITION", "DATA_LOSS"), error.details())
                    self.assert_nothing_kept()

    def test_threat_headers_without_end(self):
        registry = self.serve(image())
        for raw in (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n",
                    b"HTTP/1.1 200 OK\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(2000)) + b"\r\n",
                    b"HTTP/1.1 200 OK\r\nDocker-Content-Digest: a\0b\r\nContent-Length: 0\r\n\r\n",
                    b"HTTP/1.1 \x00\xff OK\r\n\r\n", b"\0" * 100000, b"garbage\r\n\r\n"):
            with self.subTest(raw[:40]):
                registry.clear()
                registry.fault("*", "/manifests/", raw=raw)
                with self.assertRaises(grpc.RpcError) as caught:
                    self.client.pull(self.reference)
                self.assertIn(caught.exception.code().name, ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"), caught.exception.details())
                self.assert_nothing_kept()

    def test_threat_content_encoding_that_was_not_asked_for(self):
        content = Image([Layer(tar({"d": b"x" * 1000}), how="plain")])
        blob = content.layers[0].blob
        registry = self.serve(content)
        packed = gzip.compress(blob.data, mtime=0)
        registry.fault("GET", blob.digest, status=200, body=packed, headers={"Content-Encoding": "gzip"})
        with self.assertRaises(grpc.RpcError):
            self.client.pull(self.reference)
        self.assertEqual({"identity"}, {r.headers["Accept-Encoding"] for r in registry.requests})
        self.assert_nothing_kept()

    def test_threat_slow_body_holds_up_nobody_else(self):
        content = Image([Layer(tar({"d": random_bytes(1 << 20, 6)}), level=1)])
        slow, gate = self.serve(content), threading.Event()
        self.addCleanup(gate.set)
        slow.fault("GET", content.layers[0].blob.digest, times=1, cut=1000, gate=gate)
        call = self.client.Pull(reference=self.reference, timeout=60)
        waiter = threading.Thread(target=lambda: list(call))
        waiter.start()
        self.assertTrue(slow.wait_for(lambda: any(r.sent == 1000 for r in slow.requests)))
        self.serve(image())
        self.client.pull(self.reference, timeout=20)
        gate.set()
        waiter.join(60)
        self.assertFalse(waiter.is_alive())
