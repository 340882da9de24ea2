"""Copy: from registry to registry, bit by bit, without keeping anything."""

import json
import re
import threading
import urllib.error
import urllib.request

import fixtures
import grpc
from fakeregistry import FakeRegistry
from fakeuploads import UploadRegistry
from harness import SLOW, DockerRegistry, TestCase, skopeo
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

    def test_of_two_registries_the_one_that_refuses_is_named(self):
        self.source.repo("a").add(image(), "1")
        with UploadRegistry() as target:
            refusal = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
            target.fault("POST", "/blobs/uploads/", status=401, body=to_json(refusal))
            with self.assertRaises(grpc.RpcError) as refused:
                list(self.client.Copy(source=f"{self.source.host}/a:1", destination=f"{target.host}/b:1"))
        self.assertEqual(
            f"push access denied for {target.host}/b: unauthorized: authentication required",
            refused.exception.details(),
        )

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
        self.assertEqual(1, self.source.count("/manifests/"))
        self.assertEqual(0, self.source.count("/blobs/"))
        # Under another tag its parts are asked for one by one.
        tag, done, events = self.copy(f"{self.source.host}/a:1", f"{self.target.host}/a:2")
        self.assertEqual(("2", 0), (tag.tag, done.sent_bytes))
        self.assertEqual([State.STATE_EXISTS], list(self.states(events).values()))
        self.assertEqual(0, self.source.count("/blobs/"))

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
        wrong = self.imaged.ctl("copy", "A:B:C", f"{self.target.host}/a:2", check=False)
        self.assertEqual(1, wrong.returncode)
        self.assertRegex(wrong.stderr, "^invalid reference format")
        bad = self.imaged.ctl("copy", f"{self.source.host}/a:3", f"{self.target.host}/a:2", check=False)
        self.assertEqual(1, bad.returncode)
        self.assertRegex(bad.stderr, "^Error response from daemon: manifest for .*not found")


class CopyBetweenFakes(TestCase):
    """Where the target must do what Debian's docker-registry does not."""

    def setUp(self):
        super().setUp()
        self.source = FakeRegistry().__enter__()
        self.addCleanup(self.source.stop)
        self.target = UploadRegistry().__enter__()
        self.addCleanup(self.target.stop)
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def copy(self, **fields):
        request = {"source": f"{self.source.host}/a:1", "destination": f"{self.target.host}/b:1", **fields}
        return list(self.client.Copy(**request))

    def test_registry_that_lists_referrers_itself_gets_no_tag(self):
        self.source.referrers = self.target.referrers = "api"
        subject = self.source.repo("a").add(image(), "1")
        referrer = self.source.repo("a").add(Artifact(SBOM, [("text/plain", b"x")], subject))
        self.copy(referrers=True)
        self.assertEqual({"1": subject.digest}, self.target.repos["b"].tags)
        self.assertEqual(referrer.data, self.target.repos["b"].manifests[referrer.digest].data)
        answer = self.client.ListReferrers(reference=f"{self.target.host}/b:1")
        self.assertEqual((1, [referrer.digest]), (answer.source, [r.descriptor.digest for r in answer.referrers]))

    def test_the_tag_comes_last(self):
        self.source.referrers = "api"
        one, two = image("one"), image("two", platform={"os": "linux", "architecture": "arm64"})
        index = self.source.repo("a").add(Index([(one, one.platform), (two, two.platform)]), "1")
        self.source.repo("a").add(Artifact(SBOM, [("text/plain", b"x")], index))
        self.copy(referrers=True)
        puts = [r.path.rpartition("/")[2] for r in self.target.matching("/manifests/", "PUT")]
        self.assertEqual([one.digest, two.digest], puts[:2])
        self.assertEqual("1", puts[-1])
        sent = max(n for n, r in enumerate(self.target.requests) if "/blobs/" in r.path)
        first = min(n for n, r in enumerate(self.target.requests) if r.method == "PUT" and "/manifests/" in r.path)
        self.assertLess(sent, first, "blobs come before manifests")

    def test_list_that_others_write_at_the_same_time_keeps_both(self):
        """The tag is lost between our write and our look: it is written again."""
        self.source.referrers = "api"
        subject = self.source.repo("a").add(image(), "1")
        referrer = self.source.repo("a").add(Artifact(SBOM, [("text/plain", b"x")], subject))
        tag = subject.digest.replace(":", "-")
        self.target.fault("PUT", tag, times=1, status=201)  # said, and not done
        self.target.fault("PUT", tag, times=1, status=412)
        self.copy(referrers=True)
        listed = self.target.repos["b"].manifests[self.target.repos["b"].tags[tag]]
        self.assertEqual([referrer.digest], [e["digest"] for e in json.loads(listed.data)["manifests"]])
        self.assertEqual(3, self.target.count(tag, "PUT"))

    def test_tag_that_is_no_list_is_left_alone(self):
        self.source.referrers = "api"
        subject = self.source.repo("a").add(image(), "1")
        self.source.repo("a").add(Artifact(SBOM, [("text/plain", b"x")], subject))
        tag = subject.digest.replace(":", "-")
        other = self.target.repo("b").add(image("other"), tag)
        self.assert_rpc_fails("FAILED_PRECONDITION", "INVALID_CONTENT", self.copy, referrers=True, text="not an index")
        self.assertEqual(other.digest, self.target.repos["b"].tags[tag])

    def test_list_that_is_never_kept_is_an_error(self):
        self.source.referrers = "api"
        subject = self.source.repo("a").add(image(), "1")
        self.source.repo("a").add(Artifact(SBOM, [("text/plain", b"x")], subject))
        self.target.fault("PUT", subject.digest.replace(":", "-"), status=201)
        self.assert_rpc_fails("UNAVAILABLE", "REGISTRY_UNAVAILABLE", self.copy, referrers=True, text="does not keep")
        self.assertNotIn("1", self.target.repos["b"].tags)

    def test_foreign_layers_stay_where_they_are(self):
        def edit(head, _):
            head["layers"][0].update(mediaType=DOCKER_LAYER.replace("diff", "foreign.diff") + ".gzip", urls=["http://127.0.0.1:9/x"])

        made = self.source.repo("a").add(image(docker=True, edit=edit), "1")
        events = self.copy()
        layers = [e.layer for e in events if e.WhichOneof("event") == "layer"]
        self.assertEqual([(made.layers[0].blob.digest, State.STATE_SKIPPED)], [(m.digest, m.state) for m in layers])
        self.assertEqual(0, self.source.count(made.layers[0].blob.digest))
        self.assertEqual(made.data, self.target.repos["b"].manifests[made.digest].data)

    def test_upload_that_breaks_off_goes_on(self):
        """The source is read again from where the target says it is."""
        made = self.source.repo("a").add(Image([Layer(random_bytes(20 << 20, 9), "plain")]), "1")
        blob = made.layers[0].blob
        self.target.fault("PUT", blob.digest[7:], times=1, take=13 << 20)
        self.copy()
        self.assertEqual(blob.data, self.target.repos["b"].blobs[blob.digest].data)
        self.assertLess(self.target.received, blob.size + (1 << 20))
        ranges = [r.headers.get("Range") for r in self.source.matching(blob.digest)]
        self.assertIn(f"bytes={12 << 20}-", ranges, "from the last place whose hash was kept")

    def test_wrong_bytes_are_found_also_when_they_are_read_again(self):
        good = Layer(random_bytes(20 << 20, 9), "plain")
        bad = bytearray(good.blob.data)
        bad[-1] ^= 1
        made = Image([Layer(blob=Blob(bytes(bad), digest=good.blob.digest), diff_id=good.diff_id, how="plain")])
        self.source.repo("a").add(made, "1")
        self.target.fault("PUT", good.blob.digest[7:], times=1, take=13 << 20)
        self.assert_rpc_fails("DATA_LOSS", "DIGEST_MISMATCH", self.copy)
        self.assertNotIn(good.blob.digest, self.target.repos["b"].blobs)
        self.assertEqual({}, self.target.repos["b"].tags)

    def test_each_registry_gets_its_own_credentials(self):
        for auth in ("basic", "bearer"):
            with self.subTest(auth=auth):
                source = FakeRegistry(auth=auth, user="reader", password="one").__enter__()
                self.addCleanup(source.stop)
                target = UploadRegistry(auth=auth, user="writer", password="two").__enter__()
                self.addCleanup(target.stop)
                made = source.repo("a").add(image(auth), "1")
                credentials = {
                    "source_credentials": {"server_address": source.host, "username": "reader", "password": "one"},
                    "destination_credentials": {"server_address": target.host, "username": "writer", "password": "two"},
                }
                request = {"source": f"{source.host}/a:1", "destination": f"{target.host}/b:1"}
                self.copy(**request, **credentials)
                self.assertEqual(made.data, target.repos["b"].manifests[made.digest].data)
                swapped = {"source_credentials": credentials["destination_credentials"], "destination_credentials": credentials["source_credentials"]}
                with self.assertRaises(grpc.RpcError):
                    self.copy(**request, **swapped)

    def test_mount_within_a_registry_that_wants_tokens(self):
        target = UploadRegistry(auth="bearer", user="writer", password="two").__enter__()
        self.addCleanup(target.stop)
        made = target.repo("one").add(image("mounted"), "1")
        login = {"server_address": target.host, "username": "writer", "password": "two"}
        events = self.copy(
            source=f"{target.host}/one:1", destination=f"{target.host}/two:1", source_credentials=login, destination_credentials=login
        )
        self.assertEqual(0, target.received)
        self.assertEqual(0, events[-1].done.sent_bytes)
        self.assertEqual(made.data, target.repos["two"].manifests[made.digest].data)

    def test_memory_stays_small(self):
        """Four layers are on their way, and nobody takes their second half."""
        layers = [Layer(random_bytes(48 << 20, n), "plain") for n in range(4)]
        self.source.repo("a").add(Image(layers), "1")
        gate = threading.Event()
        self.addCleanup(gate.set)
        for layer in layers:
            self.target.fault("PUT", layer.blob.digest[7:], gate=gate, take=24 << 20)
        call = self.client.Copy(source=f"{self.source.host}/a:1", destination=f"{self.target.host}/b:1")
        self.assertTrue(self.target.wait_for(lambda: self.target.received >= 4 * (24 << 20), 60))
        with open(f"/proc/{self.imaged.pid}/status", encoding="ascii") as file:
            anonymous = int(re.search(r"RssAnon:\s+(\d+)", file.read())[1])
        call.cancel()
        gate.set()
        if SLOW == 1:
            self.assertLess(anonymous, 64 << 10, "KiB")
