"""Copy: from registry to registry, bit by bit, without keeping anything."""

import json
import threading
import urllib.error
import urllib.request

import fixtures
from fakeregistry import FakeRegistry
from harness import DockerRegistry, TestCase, skopeo
from ociimage import (
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Artifact,
    Blob,
    Image,
    Index,
    Layer,
    Manifest,
    random_bytes,
    tar,
    to_json,
)
from rpc import pb

SBOM, SIGNATURE = "application/spdx+json", "application/vnd.dev.example.signature"
State = pb.PushProgress.State


def image(text="hello", **more):
    return Image([Layer(tar({"etc/": None, "etc/motd": text.encode()}))], **more)


class Copy(TestCase):
    """From a registry of the test to Debian's docker-registry, which knows no referrers."""

    def setUp(self):
        super().setUp()
        self.source = FakeRegistry().__enter__()
        self.addCleanup(self.source.stop)
        self.target = DockerRegistry(self.path("registry"))
        self.addCleanup(self.target.stop)
        self.imaged = self.daemon("--log-level", "debug")
        self.client = self.imaged.client()

    def copy(self, source, destination, **fields):
        """To the end; gives (PushedTag, PushDone, all events)."""
        events = list(self.client.Copy(source=source, destination=destination, **fields))
        kinds = [e.WhichOneof("event") for e in events]
        self.assertEqual(("started", "tag", "done"), (kinds[0], kinds[-2], kinds[-1]))
        self.assert_nothing_kept()
        return events[-2].tag, events[-1].done, events

    def assert_nothing_kept(self):
        usage = self.client.GetDiskUsage()
        self.assertEqual((0, 0, 0), (usage.image_count, usage.blob_count, usage.ingest_bytes))

    def raw(self, reference, registry=None):
        """The manifest that the target serves."""
        name, _, what = reference.rpartition("@" if "@" in reference else ":")
        request = urllib.request.Request(f"http://{(registry or self.target).host}/v2/{name}/manifests/{what}")
        request.add_header("Accept", ", ".join((OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)))
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def blob(self, name, digest):
        with urllib.request.urlopen(f"http://{self.target.host}/v2/{name}/blobs/{digest}") as answer:
            return answer.read()

    def states(self, events):
        last = {}
        for event in events:
            if event.WhichOneof("event") == "layer":
                last[event.layer.digest] = event.layer.state
        return last

    def test_image_goes_over_bit_by_bit(self):
        made = self.source.repo("a").add(Image([Layer(tar({"a": random_bytes(3 << 20, 1)})), Layer(tar({"b": b"2"}))]), "1")
        tag, done, events = self.copy(f"{self.source.host}/a:1", f"{self.target.host}/b/c:2")
        self.assertEqual(("2", made.digest, made.size, OCI_MANIFEST), (tag.tag, tag.digest, tag.size, tag.media_type))
        self.assertEqual(made.data, self.raw("b/c:2"))
        self.assertEqual([layer.blob.digest for layer in made.layers], [layer.digest for layer in events[0].started.layers])
        self.assertEqual({layer.blob.digest: State.STATE_COMPLETE for layer in made.layers}, self.states(events))
        size = sum(b.size for b in made.blobs)
        self.assertLessEqual(size, done.sent_bytes)
        self.assertLess(done.sent_bytes, size + (64 << 10), "small ones may be sent twice")
        for layer in made.layers:
            self.assertEqual(layer.blob.bytes(), self.blob("b/c", layer.blob.digest))
        self.assertIn("amd64", skopeo("inspect", "--tls-verify=false", f"docker://{self.target.host}/b/c:2").decode())

    def test_second_copy_sends_nothing(self):
        self.source.repo("a").add(image(), "1")
        self.copy(f"{self.source.host}/a:1", f"{self.target.host}/a")
        self.source.clear()
        tag, done, events = self.copy(f"{self.source.host}/a:1", f"{self.target.host}/a")
        self.assertEqual(("1", 0), (tag.tag, done.sent_bytes))
        self.assertEqual(0, self.source.count("/blobs/"))
        self.assertEqual([State.STATE_EXISTS], list(self.states(events).values()))

    def index(self):
        """Two platforms and an attestation, as buildkit makes them."""
        one, two = image("one"), image("two", platform={"os": "linux", "architecture": "arm64"})
        attestation = Artifact("application/vnd.in-toto+json", [("application/vnd.in-toto+json", b"{}")])

        def mark(head):
            head["manifests"][2]["annotations"] = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": one.digest}

        unknown = {"os": "unknown", "architecture": "unknown"}
        made = Index([(one, one.platform), (two, two.platform), (attestation, unknown)], edit=mark)
        return self.source.repo("multi").add(made, "1"), one, two, attestation

    def test_index_goes_whole_with_its_attestations(self):
        made, *children = self.index()
        self.copy(f"{self.source.host}/multi:1", f"{self.target.host}/multi")
        self.assertEqual(made.data, self.raw("multi:1"))
        for child in children:
            self.assertEqual(child.data, self.raw(f"multi@{child.digest}"))

    def test_one_platform_of_an_index(self):
        _, one, two, _ = self.index()
        tag, _, _ = self.copy(f"{self.source.host}/multi:1", f"{self.target.host}/multi:arm", platform="linux/arm64")
        self.assertEqual(two.digest, tag.digest)
        self.assertEqual(two.data, self.raw("multi:arm"))
        self.assertEqual(0, self.source.count(one.digest))
        self.assert_rpc_fails(
            "NOT_FOUND", "NO_MATCHING_PLATFORM", self.client.Copy, source=f"{self.source.host}/multi:1",
            destination=f"{self.target.host}/multi:x", platform="linux/s390x",
        )

    def test_real_images_of_every_kind(self):
        fixture = fixtures.registry()
        for name in ("busybox:docker-gzip", "busybox:oci-zstd", "multi:docker", "odd:empty-layer", "odd:same-layer-twice"):
            with self.subTest(name):
                self.copy(f"{fixture.host}/{name}", f"{self.target.host}/{name}")
                self.assertEqual(fixtures.inspect_raw(f"{fixture.host}/{name}"), self.raw(name))
        # And the whole of it can be pulled.
        self.client.pull(f"{self.target.host}/busybox:oci-zstd")

    def test_artifacts_and_unknown_types_go_over(self):
        odd = Artifact("application/x-odd", [("application/x-one", b"1" * 1000), ("application/x-two+encrypted", b"2")], annotations={"a": "b"})

        def encrypt(head, _):
            head["layers"][0]["mediaType"] += "+encrypted"

        for name, made in (("odd", odd), ("encrypted", image("secret", edit=encrypt))):
            with self.subTest(name):
                self.source.repo(name).add(made, "1")
                self.copy(f"{self.source.host}/{name}:1", f"{self.target.host}/{name}")
                self.assertEqual(made.data, self.raw(f"{name}:1"))

    def test_embedded_content_needs_no_request(self):
        made = self.source.repo("a").add(Artifact(SBOM, [("text/plain", b"bill")]), "1")
        self.source.fault("GET", "/blobs/" + json.loads(made.data)["config"]["digest"], status=404)
        self.copy(f"{self.source.host}/a:1", f"{self.target.host}/a")
        self.assertEqual(b"{}", self.blob("a", json.loads(made.data)["config"]["digest"]))

    def test_by_digest(self):
        made = self.source.repo("a").add(image(), "1")
        tag, _, _ = self.copy(f"{self.source.host}/a@{made.digest}", f"{self.target.host}/a")
        self.assertEqual(("", made.digest), (tag.tag, tag.digest))
        self.assertEqual(made.data, self.raw(f"a@{made.digest}"))
        self.assert_rpc_fails(
            "INVALID_ARGUMENT", "INVALID_REFERENCE", self.client.Copy, source=f"{self.source.host}/a:1",
            destination=f"{self.target.host}/a@{made.digest}",
        )

    def test_same_registry_mounts(self):
        made = self.source.repo("a").add(image("mounted"), "1")
        self.copy(f"{self.source.host}/a:1", f"{self.target.host}/one")
        _, done, events = self.copy(f"{self.target.host}/one:1", f"{self.target.host}/two")
        self.assertEqual(0, done.sent_bytes)
        layer = [e.layer for e in events if e.WhichOneof("event") == "layer"][-1]
        self.assertEqual((State.STATE_MOUNTED, "one"), (layer.state, getattr(layer, "from")))
        self.assertEqual(made.data, self.raw("two:1"))

    # -- what goes wrong

    def refuse(self, code, reason, text, source="a:1"):
        self.assert_rpc_fails(
            code, reason, self.client.Copy, source=f"{self.source.host}/{source}", destination=f"{self.target.host}/bad:1", text=text
        )
        self.assert_nothing_kept()
        with self.assertRaises(urllib.error.HTTPError, msg="nothing has the tag"):
            self.raw("bad:1")

    def test_wrong_bytes_never_become_a_blob(self):
        for size in (1000, 3 << 20):
            with self.subTest(size=size):
                good = Layer(random_bytes(size, size), "plain")
                bad = bytearray(good.blob.data)
                bad[size // 2] ^= 1
                made = Image([Layer(blob=Blob(bytes(bad), digest=good.blob.digest), diff_id=good.diff_id, how="plain")])
                self.source.repo("a").add(made, "1")
                self.refuse("DATA_LOSS", "DIGEST_MISMATCH", "digest")
                with self.assertRaises(urllib.error.HTTPError):
                    self.blob("bad", good.blob.digest)

    def test_wrong_size_is_refused(self):
        for by in (7, -7):
            with self.subTest(by=by):

                def edit(head, _, by=by):
                    head["layers"][0]["size"] += by

                self.source.repo("a").add(image(f"size {by}", edit=edit), "1")
                self.refuse("FAILED_PRECONDITION", "INVALID_CONTENT", "bytes")

    def test_missing_parts_are_said(self):
        made = self.source.repo("a").add(image(), "1")
        self.refuse("NOT_FOUND", "MANIFEST_UNKNOWN", "manifest for", source="a:2")
        del self.source.repo("a").blobs[made.layers[0].blob.digest]
        self.refuse("NOT_FOUND", "NOT_FOUND", "blob sha256:")

    def test_child_of_an_index_that_is_missing_is_said_before_anything_is_sent(self):
        _, one, _, _ = self.index()
        del self.source.repo("multi").manifests[one.digest]
        self.refuse("NOT_FOUND", "MANIFEST_UNKNOWN", one.digest, source="multi:1")
        self.assertEqual(0, self.source.count("/blobs/"))

    def test_nested_indexes_end(self):
        deep = image()
        for _ in range(12):
            deep = Index([(deep, None)])
        self.source.repo("a").add(deep, "1")
        self.refuse("FAILED_PRECONDITION", "INVALID_CONTENT", "nested")

    def test_index_that_lists_what_nobody_knows_is_refused(self):
        entry = {"mediaType": "application/x-unknown", "digest": "sha256:" + "1" * 64, "size": 3}
        self.source.repo("a").add(Manifest(to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}), OCI_INDEX), "1")
        self.refuse("FAILED_PRECONDITION", "UNSUPPORTED_CONTENT", "application/x-unknown")

    def test_interrupted_source_goes_on_where_it_was(self):
        made = self.source.repo("a").add(Image([Layer(random_bytes(6 << 20, 6), "plain")]), "1")
        blob = made.layers[0].blob
        self.source.fault("GET", blob.digest, times=1, cut=5 << 20)
        self.source.fault("GET", blob.digest, times=1, cut=1 << 19)
        self.copy(f"{self.source.host}/a:1", f"{self.target.host}/a")
        asked = self.source.matching(blob.digest)
        self.assertEqual([None, f"bytes={5 << 20}-", f"bytes={(5 << 20) + (1 << 19)}-"], [r.headers.get("Range") for r in asked])
        self.assertEqual(blob.size, sum(r.sent for r in asked))
        self.assertEqual(blob.data, self.blob("a", blob.digest))

    def test_interrupted_source_without_ranges_begins_again(self):
        made = self.source.repo("a").add(Image([Layer(random_bytes(6 << 20, 6), "plain")]), "1")
        blob = made.layers[0].blob
        self.source.fault("GET", blob.digest, times=1, cut=5 << 20)
        self.source.fault("GET", blob.digest, ranges=False)
        self.copy(f"{self.source.host}/a:1", f"{self.target.host}/a")
        self.assertEqual(blob.data, self.blob("a", blob.digest))

    def test_source_that_always_breaks_is_given_up(self):
        made = self.source.repo("a").add(Image([Layer(random_bytes(2 << 20, 6), "plain")]), "1")
        self.source.fault("GET", made.layers[0].blob.digest, cut=1000, ranges=False)
        self.refuse("UNAVAILABLE", "REGISTRY_UNAVAILABLE", "EOF")

    def test_cancel_ends_it(self):
        made = self.source.repo("a").add(Image([Layer(random_bytes(2 << 20, 6), "plain")]), "1")
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.source.fault("GET", made.layers[0].blob.digest, cut=1000, gate=gate)
        call = self.client.Copy(source=f"{self.source.host}/a:1", destination=f"{self.target.host}/bad:1")
        self.source.wait_for(lambda: any(r.sent for r in self.source.requests if made.layers[0].blob.digest in r.path))
        call.cancel()
        gate.set()
        self.assertEqual("CANCELLED", call.code().name)
        self.wait_until(lambda: "Copy" in self.imaged.log and "CANCELLED" in self.imaged.log, "the call ended inside")

    # -- referrers

    def signed(self, depth=1):
        repo = self.source.repo("app")
        subject = repo.add(image(), "1")
        found, at = [], subject
        for n in range(depth):
            at = repo.add(Artifact(SIGNATURE if n else SBOM, [("text/plain", b"%d" % n)], at, {"n": str(n)}))
            found.append(at)
        return subject, found

    def tag_entries(self, subject):
        return json.loads(self.raw("app:" + subject.digest.replace(":", "-")))["manifests"]

    def test_referrers_go_along_when_asked(self):
        subject, found = self.signed(3)
        other = self.source.repo("app").add(Artifact(SIGNATURE, [("text/plain", b"other")], subject))
        self.source.referrers = "api"
        self.copy(f"{self.source.host}/app:1", f"{self.target.host}/app")
        self.assertEqual(0, self.source.count("/referrers/"))
        self.copy(f"{self.source.host}/app:1", f"{self.target.host}/app", referrers=True)
        for referrer in (*found, other):
            self.assertEqual(referrer.data, self.raw(f"app@{referrer.digest}"))
        # This registry lists no referrers by itself: they are found by tag.
        answer = self.client.ListReferrers(reference=f"{self.target.host}/app:1")
        self.assertEqual(2, answer.source)
        self.assertEqual({found[0].digest, other.digest}, {r.descriptor.digest for r in answer.referrers})
        self.assertEqual({SBOM, SIGNATURE}, {r.artifact_type for r in answer.referrers})
        self.assertEqual([{"n": "1"}], [e["annotations"] for e in self.tag_entries(found[0])])

    def test_a_second_copy_lists_nobody_twice(self):
        subject, found = self.signed()
        self.source.referrers = "api"
        for _ in range(3):
            self.copy(f"{self.source.host}/app:1", f"{self.target.host}/app", referrers=True)
        self.assertEqual([found[0].digest], [e["digest"] for e in self.tag_entries(subject)])

    def test_the_tag_keeps_what_others_wrote(self):
        subject, _ = self.signed()
        self.source.referrers = "api"
        other = Artifact(SIGNATURE, [("text/plain", b"other")], subject)
        self.source.repo("other").add(other, "1")
        self.copy(f"{self.source.host}/other:1", f"{self.target.host}/app:other")
        self.copy(f"{self.source.host}/app:1", f"{self.target.host}/app", referrers=True)
        self.assertEqual(2, len(self.tag_entries(subject)))

    def test_referrers_of_a_source_without_the_api(self):
        subject, found = self.signed(2)
        self.source.referrers = "api"
        self.copy(f"{self.source.host}/app:1", f"{self.target.host}/app", referrers=True)
        self.copy(f"{self.target.host}/app:1", f"{self.target.host}/again", referrers=True)
        for referrer in found:
            self.assertEqual(referrer.data, self.raw(f"again@{referrer.digest}"))

    def test_referrers_are_bounded(self):
        self.signed(6)
        self.source.referrers = "api"
        self.assert_rpc_fails(
            "RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", self.client.Copy, source=f"{self.source.host}/app:1",
            destination=f"{self.target.host}/bad:1", referrers=True, text="deep",
        )

    # -- foreign layers

    def test_foreign_layers_stay_where_they_are(self):
        def edit(head, _):
            head["layers"][0].update(mediaType=DOCKER_LAYER.replace("diff", "foreign.diff") + ".gzip", urls=["http://127.0.0.1:9/x"])

        made = image(docker=True, edit=edit)
        with FakeRegistry() as target:
            target.repo("win")
            self.source.repo("win").add(made, "1")
            made_call = self.client.Copy(source=f"{self.source.host}/win:1", destination=f"{self.target.host}/win")
            states = {}
            try:
                for event in made_call:
                    if event.WhichOneof("event") == "layer":
                        states[event.layer.digest] = event.layer.state
            except Exception:  # this registry takes no foreign layers unless its configuration says so
                pass
        self.assertEqual({made.layers[0].blob.digest: State.STATE_SKIPPED}, states)
        self.assertEqual(0, self.source.count(made.layers[0].blob.digest))

    # -- the command

    def test_cli(self):
        made = self.source.repo("a").add(image(), "1")
        said = self.imaged.ctl("copy", f"{self.source.host}/a:1", f"{self.target.host}/a:2").stdout
        short = made.layers[0].blob.digest[7:19]
        self.assertEqual(
            f"Copying to {self.target.host}/a\n{short}: Copied\n2: digest: {made.digest} size: {made.size}\n", said
        )
        quiet = self.imaged.ctl("copy", "-q", f"{self.source.host}/a:1", f"{self.target.host}/a:2").stdout
        self.assertEqual(made.digest + "\n", quiet)
        bad = self.imaged.ctl("copy", f"{self.source.host}/a:3", f"{self.target.host}/a:2", check=False)
        self.assertEqual(1, bad.returncode)
        self.assertRegex(bad.stderr, "^Error response from daemon: manifest for .*not found")
