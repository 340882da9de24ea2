"""Content that is not a plain image: referrers, artifacts, attestations, embedded data,
foreign and encrypted layers (registry-cri.md 1.1, 1.5)."""

import json

from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import OCI_INDEX, Artifact, Image, Layer, Manifest, tar, to_json

SBOM, SIGNATURE = "application/spdx+json", "application/vnd.dev.example.signature"
API, TAG = 1, 2


def image(text="hello", **more):
    return Image([Layer(tar({"etc/": None, "etc/motd": text.encode()}))], **more)


class Content(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def name(self, path):
        return f"{self.registry.host}/{path}"


class Referrers(Content):
    def setUp(self):
        super().setUp()
        self.repo = self.registry.repo("app")
        self.subject = self.repo.add(image(), "1")
        self.sbom = self.repo.add(
            Artifact(SBOM, [("text/spdx", b"bill of materials")], self.subject, {"made.by": "a tool", "à": "ü"})
        )
        self.signature = self.repo.add(Artifact(SIGNATURE, [("text/plain", b"signed")], self.subject))
        self.registry.referrers = "api"

    def list(self, reference=None, artifact_type=""):
        return self.client.ListReferrers(reference=reference or self.name("app:1"), artifact_type=artifact_type)

    def digests(self, answer):
        return [r.descriptor.digest for r in answer.referrers]

    def as_tag(self, entries, digest=None):
        """What registries without the API have: an index under a tag."""
        index = Manifest(to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}), OCI_INDEX)
        self.registry.referrers = None
        self.repo.manifests[index.digest] = index
        self.repo.tags[(digest or self.subject.digest).replace(":", "-")] = index.digest

    def test_api_lists_type_size_and_annotations(self):
        answer = self.list()
        self.assertEqual(self.subject.digest, answer.subject)
        self.assertEqual(API, answer.source)
        self.assertEqual([self.sbom.digest, self.signature.digest], self.digests(answer))
        first = answer.referrers[0]
        self.assertEqual(SBOM, first.artifact_type)
        self.assertEqual(self.sbom.size, first.descriptor.size)
        self.assertEqual(self.sbom.media_type, first.descriptor.media_type)
        self.assertEqual({"made.by": "a tool", "à": "ü"}, dict(first.descriptor.annotations))

    def test_filter_of_the_registry_is_used_and_one_that_is_not_applied_is_made_good(self):
        for kind in ("api", "unfiltered"):
            with self.subTest(kind):
                self.registry.referrers = kind
                self.assertEqual([self.signature.digest], self.digests(self.list(artifact_type=SIGNATURE)))
        self.assertIn("artifactType=application%2Fvnd.dev.example.signature", self.registry.matching("/referrers/")[0].path)

    def test_a_registry_that_says_it_filtered_is_believed(self):
        entries = [{k: v for k, v in e.items() if k != "artifactType"} for e in self.repo.referrers(self.subject.digest)]
        self.registry.fault(
            "GET", "/referrers/", status=200, body=to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}),
            headers={"Content-Type": OCI_INDEX, "OCI-Filters-Applied": "artifactType"},
        )
        self.assertEqual(2, len(self.list(artifact_type=SBOM).referrers))

    def test_pages_are_followed(self):
        for n in range(9):
            self.repo.add(Artifact(SBOM, [("text/plain", b"%d" % n)], self.subject))
        self.registry.referrers_page = 3
        self.assertEqual(11, len(self.list().referrers))
        self.assertEqual(4, self.registry.count("/referrers/"))
        self.assertEqual(10, len(self.list(artifact_type=SBOM).referrers))

    def test_next_page_elsewhere_is_refused(self):
        path = f"/v2/app/referrers/{self.subject.digest}"
        for link in ("http://127.0.0.1:1" + path, "/v2/other/referrers/" + self.subject.digest, path + "/../x", "http://[", path + "x"):
            with self.subTest(link=link):
                self.registry.clear()
                self.registry.fault(
                    "GET", "/referrers/", status=200, body=to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}),
                    headers={"Content-Type": OCI_INDEX, "Link": f'<{link}>; rel="next"'},
                )
                self.assert_rpc_fails("UNAVAILABLE", "REGISTRY_UNAVAILABLE", self.list, text="elsewhere")
                self.assertEqual(1, self.registry.count("/referrers/"))

    def test_pages_that_circle_end(self):
        path = f"/v2/app/referrers/{self.subject.digest}"
        self.registry.fault(
            "GET", "/referrers/", status=200, body=to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}),
            headers={"Content-Type": OCI_INDEX, "Link": f'<{path}?n=1>; rel="next"'},
        )
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", self.list, text="pages")
        self.assertEqual(100, self.registry.count("/referrers/"))

    def test_registry_without_the_api_has_a_tag(self):
        self.as_tag(self.repo.referrers(self.subject.digest))
        answer = self.list()
        self.assertEqual(TAG, answer.source)
        self.assertEqual([self.sbom.digest, self.signature.digest], self.digests(answer))
        self.assertEqual([self.sbom.digest], self.digests(self.list(artifact_type=SBOM)))

    def test_registry_without_the_api_and_without_a_tag_has_none(self):
        self.registry.referrers = None
        answer = self.list(self.name("app@" + self.subject.digest))
        self.assertEqual((TAG, 0), (answer.source, len(answer.referrers)))

    def test_a_page_for_people_is_no_api(self):
        self.as_tag(self.repo.referrers(self.subject.digest))
        for status in (200, 400, 405, 501):
            with self.subTest(status=status):
                self.registry.clear()
                self.registry.fault("GET", "/referrers/", status=status, body=b"<html>hello</html>", headers={"Content-Type": "text/html"})
                answer = self.list()
                self.assertEqual((TAG, 2), (answer.source, len(answer.referrers)))

    def test_sha512_subject_is_cut_in_the_tag(self):
        digest = "sha512:" + "ab" * 64
        self.as_tag(self.repo.referrers(self.subject.digest), "sha512:" + "ab" * 32)
        self.assertEqual(2, len(self.list(self.name("app@" + digest)).referrers))
        self.assertEqual(1, self.registry.count("/manifests/sha512-" + "ab" * 32 + "$"))

    def test_what_is_no_list_is_refused(self):
        bodies = {
            ("FAILED_PRECONDITION", "INVALID_CONTENT"): [b"{", b"[]", self.subject.data, to_json({"schemaVersion": 2, "manifests": [{"digest": "sha256:12"}]}),
                                b'{"schemaVersion":2,"manifests":[],"manifests":[]}'],
            ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED"): [b" " * (5 << 20)],
        }
        for (code, reason), cases in bodies.items():
            for body in cases:
                with self.subTest(body=body[:50]):
                    self.registry.clear()
                    self.registry.fault("GET", "/referrers/", status=200, body=body, headers={"Content-Type": OCI_INDEX})
                    self.assert_rpc_fails(code, reason, self.list)

    def test_refused_access_is_said(self):
        self.registry.fault("GET", "/referrers/", status=403, body=b'{"errors":[{"code":"DENIED","message":"no"}]}')
        self.assert_rpc_fails("PERMISSION_DENIED", "ACCESS_DENIED", self.list, text="denied")

    def test_cli_prints_a_table_and_json(self):
        said = self.imaged.ctl("image", "referrers", self.name("app:1")).stdout.splitlines()
        self.assertRegex(said[0], r"^DIGEST +ARTIFACT TYPE +SIZE$")
        self.assertIn(self.sbom.digest[:19], said[1])
        self.assertIn(SBOM, said[1])
        self.assertEqual(3, len(said))
        quiet = self.imaged.ctl("image", "referrers", "-q", "--artifact-type", SIGNATURE, self.name("app:1")).stdout
        self.assertEqual(self.signature.digest + "\n", quiet)
        rows = self.imaged.ctl("image", "referrers", "--format", "json", self.name("app:1")).stdout.splitlines()
        self.assertEqual(
            {"Annotations": {"made.by": "a tool", "à": "ü"}, "ArtifactType": SBOM, "Digest": self.sbom.digest,
             "MediaType": self.sbom.media_type, "Size": self.sbom.size},
            json.loads(rows[0]),
        )
