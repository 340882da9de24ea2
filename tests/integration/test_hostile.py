"""What a hostile registry answers ends in one clear error each, and nothing stays
listed (c-style.md 3, A1 to A17; the images are in tests/lib/hostile.py)."""

import re

import grpc

from fakeregistry import FakeRegistry
from harness import TestCase
from hostile import hostile
from ociimage import Blob, Image, Layer, tar
from rpc import reason


class Hostile(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.imaged = self.daemon("--log-level", "debug")
        self.client = self.imaged.client()
        self.reference = f"{self.registry.host}/bad:1"

    def pull_error(self, reference=None):
        with self.assertRaises(grpc.RpcError) as caught:
            self.client.pull(reference or self.reference)
        return caught.exception

    def assert_refused(self, hint):
        error = self.pull_error()
        said = f"{error.code().name} {reason(error)}: {error.details()}"
        self.assertIn(
            error.code().name, ("FAILED_PRECONDITION", "DATA_LOSS", "NOT_FOUND", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "PERMISSION_DENIED"), said
        )
        self.assertRegex(error.details(), re.compile(hint, re.I))
        self.assertNotEqual("", reason(error))
        self.assertLess(len(error.details()), 800)
        self.assertNotIn("\n", error.details().strip())
        self.assert_nothing_kept()

    def assert_nothing_kept(self):
        self.assertEqual([], self.client.images())
        self.assertIsNone(self.imaged.process.poll(), "imaged lives")
        findings, _ = self.client.check()
        self.assertEqual([], [f for f in findings if f.kind in (1, 2, 4)])

    def case(self, name):
        image, hint = self.images[name]
        self.registry.repo("bad").add(image, "1")
        self.assert_refused(hint)

    images = {}

    @classmethod
    def setUpClass(cls):
        cls.images.update(hostile())

    def good(self):
        image = Image([Layer(tar({"a": b"1"}))])
        self.registry.repo("bad").add(image, "1")
        return image

    def test_manifest_by_digest_is_compared_with_the_digest(self):
        """A2: the header says what was asked for, the body is another's."""
        image = self.good()
        other = Image([Layer(tar({"b": b"2"}))])
        self.registry.repo("bad").add(other)
        self.registry.fault("GET", "/manifests/", body=other.data)
        error = self.pull_error(f"{self.registry.host}/bad@{image.digest}")
        self.assertEqual("DATA_LOSS", error.code().name, error.details())
        self.assert_nothing_kept()

    def test_child_of_an_index_is_compared_with_its_digest(self):
        from ociimage import Index

        image, other = Image([Layer(tar({"a": b"1"}))]), Image([Layer(tar({"b": b"2"}))])
        self.registry.repo("bad").add(other)
        self.registry.repo("bad").add(Index([(image, {"os": "linux", "architecture": "amd64"})]), "1")
        self.registry.fault("GET", "/manifests/" + image.digest, body=other.data)
        self.assert_refused("digest|sha256")

    def test_error_page_is_not_a_blob(self):
        """A6: status decides before the first byte of the body is taken."""
        image = self.good()
        for status in (404, 403, 500, 200):
            with self.subTest(status=status):
                self.registry.clear()
                self.registry.fault("GET", "/blobs/" + image.layers[0].blob.digest, status=status, body=b"<html>sorry</html>")
                self.assert_refused("404|403|500|not found|denied|digest|size|bytes|unknown|short")

    def test_rest_of_a_layer_that_is_none_is_not_fetched(self):
        blob = Blob(b"<html>sorry</html>" * (4 << 20))
        self.registry.repo("bad").add(Image([Layer(blob=blob, diff_id=blob.digest)]), "1")
        self.registry.fault("GET", "/blobs/" + blob.digest, pace=0.05)
        self.assert_refused("gzip|tar")
        self.assertLess(self.registry.sent(blob.digest), blob.size // 2)

    def test_content_type_and_media_type_must_agree(self):
        image = self.good()
        self.registry.fault(
            "GET", "/manifests/", status=200, body=image.data,
            headers={"Content-Type": "application/vnd.oci.image.index.v1+json"},
        )
        self.assert_refused("media ?type|index|manifests|Content-Type")

    def test_manifest_without_end_is_cut_off(self):
        self.good()
        self.registry.fault("*", "/manifests/", status=200, body=b" " * (8 << 20),
                            headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"})
        self.assert_refused("large|limit|big|bytes")

    def test_redirect_circle_ends(self):
        image = self.good()
        path = f"/v2/bad/blobs/{image.layers[0].blob.digest}"
        self.registry.fault("GET", path, status=307, headers={"Location": path})
        self.assert_refused("redirect")

    def test_redirect_to_a_file_is_refused(self):
        image = self.good()
        self.registry.fault("GET", "/blobs/" + image.layers[0].blob.digest, status=307, headers={"Location": "file:///etc/passwd"})
        self.assert_refused("redirect|file|scheme|protocol")

    def test_wrong_content_range_is_refused(self):
        image = self.good()
        blob = image.layers[0].blob
        self.registry.fault("GET", blob.digest, times=1, cut=10)
        self.registry.fault("GET", blob.digest, status=206, body=blob.data[5:],
                            headers={"Content-Range": f"bytes 5-{blob.size - 1}/{blob.size}"})
        self.assert_refused("range|digest|size|bytes")

    def test_two_challenges_and_odd_ones_are_survived(self):
        self.good()
        for challenge in ("Bearer", 'Bearer realm="', "Negotiate", 'Bearer realm="http://127.0.0.1:1/t",scope="' + "x" * 9000 + '"', "\x7f=,"):
            with self.subTest(challenge=challenge[:30]):
                self.registry.clear()
                self.registry.fault("*", "/v2/", status=401, headers={"WWW-Authenticate": challenge})
                error = self.pull_error()
                self.assertIn(error.code().name, ("UNAUTHENTICATED", "UNAVAILABLE", "PERMISSION_DENIED", "FAILED_PRECONDITION", "NOT_FOUND"), error.details())
                self.assert_nothing_kept()

    def test_platform_in_a_warning_is_printable(self):
        image = Image([Layer(tar({"a": b"1"}))], config={"os": "linux\x1b]0;x\x07", "architecture": "arm64"})
        self.registry.repo("bad").add(image, "1")
        done, _ = self.client.pull(self.reference, platform="linux/amd64")
        self.assertRegex(done.warning, r"\A[ -~]*platform \(linux\?[ -~]*\Z")

    def test_config_date_after_2038_and_before_1970(self):
        """A25."""
        for created in ("2106-02-07T06:28:16Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1901-01-01T00:00:00.5+02:00"):
            with self.subTest(created=created):
                image = Image([Layer(tar({"a": b"1"}))], config={"created": created})
                self.registry.repo("dates").add(image, "1")
                self.client.pull(f"{self.registry.host}/dates:1")
                self.assertEqual(1, self.imaged.ctl("images", "-q").stdout.count("\n"))
                self.client.PruneImages(all=True)


def add_case(name):
    def test(self):
        self.case(name)

    test.__doc__ = name
    setattr(Hostile, "test_refused_when_" + re.sub(r"\W+", "_", name), test)


for _name in hostile():
    add_case(_name)
