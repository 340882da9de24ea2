"""Every kind of image that registries serve, by tag, digest and platform, against
Debian's docker-registry; what is stored equals what skopeo says is served."""

import hashlib
import json

import fixtures
from harness import TestCase, incomplete


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Pull(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.host = fixtures.registry().host

    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def check_stored(self, reference, done, manifest, config):
        """The image under `reference` has these bytes and nothing is amiss with it."""
        inspected = self.client.InspectImage(image=reference, include_raw=True)
        self.assertEqual(manifest, inspected.raw_manifest)
        self.assertEqual(config, inspected.raw_config)
        self.assertEqual(sha256(config), inspected.image.id)
        self.assertEqual(sha256(config), done.image_id)
        self.assertEqual(sha256(manifest), done.manifest_digest)
        body, wanted = json.loads(manifest), json.loads(config)
        self.assertEqual([layer["digest"] for layer in body["layers"]], [layer.blob.digest for layer in inspected.layers])
        self.assertEqual(wanted["rootfs"]["diff_ids"], [layer.diff_id for layer in inspected.layers])
        self.assertEqual(sum(layer.size for layer in inspected.layers), inspected.image.size)
        self.assertEqual([], incomplete(self.imaged.root, self.client))

    def pull_by_tag_and_digest(self, name):
        tagged = f"{self.host}/{name}"
        raw = fixtures.inspect_raw(tagged)
        done, events = self.client.pull(tagged)
        self.assertEqual(sha256(raw), done.root_digest)
        self.assertEqual("resolved", events[0].WhichOneof("event"))
        self.check_stored(tagged, done, raw, fixtures.config_raw(tagged))
        layers = json.loads(raw)["layers"]
        complete = {e.layer.digest for e in events if e.WhichOneof("event") == "layer" and e.layer.state == 5}
        self.assertEqual({layer["digest"] for layer in layers}, complete)
        by_digest = f"{self.host}/{name.split(':')[0]}@{sha256(raw)}"
        again, _ = self.client.pull(by_digest)
        self.assertEqual(0, again.fetched_bytes, "everything was present")
        self.assertEqual(done.image_id, self.client.InspectImage(image=by_digest).image.id)
        [image] = self.client.images()
        self.assertEqual([tagged], list(image.repo_tags))
        self.assertIn(by_digest, list(image.repo_digests))
        self.assert_clean(self.client, [tagged])

    def test_index_gives_the_platform_that_is_asked_for(self):
        for name in ("multi:oci", "multi:docker"):
            reference = f"{self.host}/{name}"
            root = fixtures.inspect_raw(reference)
            for platform, text in (
                (fixtures.AMD64, "linux/amd64"),
                (fixtures.ARM64, "linux/arm64/v8"),
                (fixtures.ARM64, "linux/arm64"),
                (fixtures.ARMV7, "linux/arm/v7"),
            ):
                with self.subTest(image=name, platform=text):
                    done, _ = self.client.pull(reference, platform=text)
                    self.assertEqual(sha256(root), done.root_digest)
                    config = fixtures.config_raw(reference, platform)
                    [entry] = [
                        e["digest"] for e in json.loads(root)["manifests"]
                        if e["platform"]["architecture"] == platform["architecture"]
                    ]
                    manifest = fixtures.inspect_raw(f"{self.host}/{name.split(':')[0]}@{entry}")
                    self.check_stored(reference, done, manifest, config)
                    got = self.client.InspectImage(image=reference).image.platform
                    self.assertEqual((platform["os"], platform["architecture"]), (got.os, got.architecture))
        self.assert_clean(self.client)

    def test_index_by_its_digest(self):
        digest = sha256(fixtures.inspect_raw(f"{self.host}/multi:oci"))
        done, _ = self.client.pull(f"{self.host}/multi@{digest}")
        self.assertEqual(digest, done.root_digest)
        [image] = self.client.images()
        self.assertEqual(f"{self.host}/multi@{digest}", image.repo_digests[0])
        self.assertEqual([], list(image.repo_tags))

    def test_tag_and_digest_together_mean_the_digest(self):
        digest = sha256(fixtures.inspect_raw(f"{self.host}/busybox:oci-gzip"))
        done, _ = self.client.pull(f"{self.host}/busybox:nonsense@{digest}")
        self.assertEqual(digest, done.root_digest)

    def test_platform_that_an_index_does_not_have_is_refused(self):
        reference = f"{self.host}/multi:oci"
        self.assert_rpc_fails(
            "NOT_FOUND", "NO_MATCHING_PLATFORM", self.client.Pull, reference=reference, platform="linux/s390x", text="linux/s390x"
        )
        self.assertEqual([], self.client.images())

    def test_other_platform_of_a_plain_manifest_is_a_warning(self):
        done, _ = self.client.pull(f"{self.host}/busybox:oci-gzip", platform="linux/arm64")
        self.assertIn("platform", done.warning)

    def test_second_pull_asks_for_no_blob(self):
        reference = f"{self.host}/busybox:oci-gzip"
        first, _ = self.client.pull(reference)
        self.assertFalse(first.up_to_date)
        self.assertGreater(first.fetched_bytes, 1000000)
        second, events = self.client.pull(reference)
        self.assertTrue(second.up_to_date)
        self.assertEqual(0, second.fetched_bytes)

    def test_layer_that_two_images_share_is_fetched_once(self):
        first, _ = self.client.pull(f"{self.host}/shared:one")
        second, events = self.client.pull(f"{self.host}/shared:two")
        self.assertGreater(first.fetched_bytes, 1000000)
        self.assertLess(second.fetched_bytes, 10000)
        states = {e.layer.digest: e.layer.state for e in events if e.WhichOneof("event") == "layer"}
        self.assertEqual(2, len(states))
        usage = self.client.GetDiskUsage(per_image=True)
        self.assertEqual(2, usage.image_count)
        self.assertLess(usage.layers_size, sum(u.image.size for u in usage.images))
        for entry in usage.images:
            self.assertEqual(entry.image.size, entry.shared_size + entry.unique_size)
            self.assertEqual(100000, entry.unique_size)

    def test_same_configuration_under_two_manifests_is_one_image(self):
        one, _ = self.client.pull(f"{self.host}/busybox:oci-gzip")
        two, _ = self.client.pull(f"{self.host}/busybox:oci-zstd")
        self.assertEqual(one.image_id, two.image_id)
        [image] = self.client.images()
        self.assertEqual(2, len(image.manifest_digests))
        self.assertEqual(2, len(image.repo_tags))

    def test_of_an_image_that_is_here_no_layer_is_told(self):
        """Under whatever name it came; but its layers are, of another image."""
        self.imaged.ctl("pull", "-q", f"{self.host}/shared:one")
        other = self.imaged.ctl("pull", f"{self.host}/shared:two").stdout
        self.assertEqual(1, other.count(": Already exists\n"))
        self.imaged.ctl("rmi", f"{self.host}/shared:one")
        self.imaged.ctl("tag", f"{self.host}/shared:two", "kept")
        self.imaged.ctl("rmi", f"{self.host}/shared:two")
        again = self.imaged.ctl("pull", f"{self.host}/shared:two").stdout.splitlines()
        self.assertEqual(["two: Pulling from shared", "Digest: ", "Status: Downloaded newer image for "],
                         [again[0], again[1][:8], again[2][:35]])

    def test_what_an_index_offers_is_told_by_imagectl(self):
        command = ["pull", "--platform", "linux/s390x", f"{self.host}/multi:oci"]
        said = "no matching manifest for linux/s390x in the manifest list entries"
        self.assertRegex(self.imaged.ctl(*command, check=False).stderr, rf"^{said} \(offered: linux/")
        self.assertEqual(said + "\n", self.imaged.ctl(*command, check=False, name="docker").stderr)

    def test_manifest_that_is_not_there(self):
        error = self.assert_rpc_fails(
            "NOT_FOUND", "MANIFEST_UNKNOWN", self.client.Pull, reference=f"{self.host}/busybox:nosuch"
        )
        self.assertIn("manifest unknown", error.details())

    def test_repository_that_is_not_there(self):
        self.assert_rpc_fails("NOT_FOUND", None, self.client.Pull, reference=f"{self.host}/nosuch:1")


def add_case(name, text):
    def test(self):
        self.pull_by_tag_and_digest(name)

    test.__doc__ = text
    setattr(Pull, "test_" + name.replace(":", "_").replace("-", "_") + "_is_stored_as_served", test)


for _name, _text in fixtures.IMAGES.items():
    if not _name.startswith("multi:"):
        add_case(_name, _text)
