"""The pitfalls of registries that are about pushing (registry-cri.md 1.6, 5 to 7), and where
a session of an upload may lead."""

import json

import grpc

from fakeuploads import UploadRegistry
from hostileworld import PASSWORD, USER, HostileCase, outward_address
from ociimage import Image, Layer, random_bytes, tar
from pki import Authority


def content(size=3 << 20):
    return Image([Layer(tar({"data": random_bytes(size, 11)}), level=1)])


class Pushed(HostileCase):
    def start_daemon(self):
        address = outward_address()
        return self.daemon("--log-level", "debug", *(("--insecure-registry", f"{address}/32") if address else ()))

    def host(self, uploads=False, **options):
        if not uploads:
            return super().host(**options)
        made = UploadRegistry(**options).__enter__()
        self.addCleanup(made.stop)
        self.hosts.append(made)
        return made

    def image_for(self, registry):
        """Here under the name that it is to be pushed to."""
        source = self.host()
        self.content = content()
        source.repo("a").add(self.content, "1")
        self.client.pull(f"{source.host}/a:1")
        self.reference = f"{registry.host}/b:1"
        self.client.TagImage(source=f"{source.host}/a:1", target=self.reference)
        return registry

    def push(self, registry):
        return list(self.client.Push(reference=self.reference, credentials=self.credentials(registry), timeout=60))

    def assert_arrived(self, registry):
        repo = registry.repos["b"]
        self.assertEqual(self.content.digest, repo.tags["1"])
        for blob in self.content.blobs:
            self.assertEqual(blob.data, repo.blobs[blob.digest].data)

    def assert_push_refused(self, registry, code, text):
        with self.assertRaises(grpc.RpcError) as caught:
            self.push(registry)
        error = caught.exception
        self.assertEqual(code, error.code().name, error.details())
        self.assertRegex(error.details(), text)
        self.assert_silent(error.details())
        self.assert_log_is_silent()
        self.assertEqual({}, registry.repo("b").tags, "no tag moves")

    def test_pitfall_05_locations_in_all_their_forms(self):
        """Relative, absolute, with http behind TLS; each with a state that is sent back as it
        came, and none used twice."""
        cert = Authority(self.path("pki")).issue("127.0.0.1")
        for location in ("relative", "absolute", "http"):
            with self.subTest(location):
                registry = self.image_for(self.host(True, cert=cert, auth="basic", user=USER, password=PASSWORD))
                registry.location = location
                self.push(registry)
                self.assert_arrived(registry)

    def test_pitfall_05_location_at_another_host_gets_the_bytes_and_no_credentials(self):
        registry = self.image_for(self.host(True, auth="bearer", user=USER, password=PASSWORD))
        partner = self.host(True)
        registry.upload_host, registry.partner, partner.repos = partner.host, partner, registry.repos
        self.push(registry)
        self.assert_arrived(registry)
        self.assertLess(0, partner.count("", "PUT") + partner.count("", "PATCH"))
        self.assert_no_credential_at(partner)

    def test_pitfall_05_session_that_is_forgotten_starts_again(self):
        registry = self.image_for(self.host(True))
        body = json.dumps({"errors": [{"code": "BLOB_UPLOAD_UNKNOWN", "message": "blob upload unknown to registry"}]}).encode()
        registry.fault("PUT", "/blobs/uploads/", times=1, status=404, body=body)
        self.push(registry)
        self.assert_arrived(registry)

    def test_pitfall_06_digest_that_the_registry_does_not_find_ends_it(self):
        """A registry that mixed the pieces up says so at the end: no tag moves."""
        registry = self.image_for(self.host(True))
        body = json.dumps({"errors": [{"code": "DIGEST_INVALID", "message": "provided digest did not match"}]}).encode()
        registry.fault("PUT", "/blobs/uploads/", status=400, body=body)
        self.assert_push_refused(registry, "UNAVAILABLE", "digest invalid: provided digest did not match")

    def test_pitfall_06_single_post_that_only_opens_a_session(self):
        registry = self.image_for(self.host(True))
        self.push(registry)
        self.assert_arrived(registry)
        self.assertEqual(2, registry.count("/blobs/uploads/", "PUT"))

    def test_pitfall_07_nobody_waits_for_100_continue(self):
        registry = self.image_for(self.host(True))
        self.push(registry)
        bodies = [r for r in registry.requests if r.method in ("PUT", "PATCH", "POST")]
        self.assertTrue(any(int(r.headers.get("Content-Length", 0)) > 1 << 20 for r in bodies))
        for request in bodies:
            self.assertNotIn("expect", {name.lower() for name in request.headers})

    # -- sessions that lead astray

    def led_to(self, location, **options):
        address = outward_address()
        if not address:
            self.skipTest("this machine has no address but loopback")
        registry = self.image_for(self.host(True, address=address, user=USER, password=PASSWORD, **options))
        registry.fault("POST", "/blobs/uploads/", status=202, headers={"Location": location})
        return registry

    def test_threat_session_on_loopback(self):
        trap = self.host()
        registry = self.led_to(f"http://{trap.host}/upload?x=1", auth="bearer")
        self.assert_push_refused(registry, "PERMISSION_DENIED", "loopback")
        self.assertEqual([], trap.requests)

    def test_threat_session_at_a_metadata_service(self):
        self.assert_push_refused(self.led_to("http://169.254.169.254/latest", auth="basic"), "PERMISSION_DENIED", "link-local")

    def test_threat_session_from_https_to_http(self):
        """Another host: its own may sit behind somebody who ends TLS, and is asked by https."""
        cert = Authority(self.path("pki")).issue(outward_address() or "127.0.0.1")
        registry = self.led_to("http://198.51.100.7/upload?x=1", auth="basic", cert=cert)
        self.assert_push_refused(registry, "PERMISSION_DENIED", "https")

    def test_threat_session_with_a_user_or_another_scheme(self):
        for location in ("file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/"):
            with self.subTest(location):
                registry = self.led_to(location)
                with self.assertRaises(grpc.RpcError) as caught:
                    self.push(registry)
                self.assertIn(caught.exception.code().name, ("UNAVAILABLE", "PERMISSION_DENIED"), caught.exception.details())
                self.assertNotIn("pw", caught.exception.details())
                self.assertEqual({}, registry.repo("b").tags)
