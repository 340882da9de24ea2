"""Content that is not a plain image: referrers, artifacts, attestations, embedded data,
foreign and encrypted layers (registry-cri.md 1.1, 1.5)."""

import base64
import json

from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import (
    DOCKER_LAYER,
    DOCKER_SCHEMA1,
    EMPTY,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Artifact,
    Image,
    Index,
    Layer,
    Manifest,
    random_bytes,
    tar,
    to_json,
)

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
        neighbour = f"http://127.0.0.1:{self.registry.port ^ 1}"
        for link in (neighbour + path, "http://127.0.0.1:1" + path, "/v2/other/referrers/" + self.subject.digest, path + "/../x", "http://[", path + "x"):
            with self.subTest(link=link):
                self.registry.clear()
                self.registry.fault(
                    "GET", "/referrers/", status=200, body=to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}),
                    headers={"Content-Type": OCI_INDEX, "Link": f'<{link}>; rel="next"'},
                )
                self.assert_rpc_fails("UNAVAILABLE", "REGISTRY_UNAVAILABLE", self.list, text="the link to the next page")
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


class Artifacts(Content):
    """What is no image: refused with a word on what it is, and nothing of it is kept."""

    def refuse(self, manifest, text, **fields):
        self.registry.repo("app").add(manifest, "1")
        self.assert_rpc_fails("FAILED_PRECONDITION", "UNSUPPORTED_CONTENT", self.client.pull, self.name("app:1"), text=text, **fields)
        self.assert_clean(self.client, [])

    def test_artifact_type(self):
        self.refuse(Artifact(SBOM, [("text/spdx", b"x")]), r'artifact \(of type "application/spdx\+json"\).*imagectl copy')
        self.assertEqual(0, self.registry.count("/blobs/"), "nothing is fetched for it")

    def test_configuration_of_another_type(self):
        def edit(head, _):
            head["config"] = {**head["layers"][0], "mediaType": "application/vnd.cncf.helm.config.v1+json"}
            head["layers"][0]["mediaType"] = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

        self.refuse(image(edit=edit), 'artifact \\(with a configuration of type "application/vnd.cncf.helm.config.v1.json"\\)')

    def test_empty_configuration_without_a_type(self):
        def edit(head, _):
            head["config"] = {"mediaType": OCI_EMPTY, "digest": EMPTY.digest, "size": 2, "data": "e30="}

        self.refuse(image(edit=edit), "artifact")

    def test_docker_schema_1(self):
        body = to_json({"schemaVersion": 1, "name": "a/b", "tag": "1", "fsLayers": [], "history": []})
        for media_type in (DOCKER_SCHEMA1, "application/vnd.docker.distribution.manifest.v1+json", "text/plain"):
            with self.subTest(media_type=media_type):
                self.refuse(Manifest(body, media_type), "schema 1")

    def test_encrypted_layer(self):
        def edit(head, _):
            head["layers"][0]["mediaType"] += "+encrypted"

        self.refuse(image(edit=edit), "layer is encrypted")
        self.assertEqual(0, self.registry.count("/blobs/"))

    def test_attestations_are_no_platform(self):
        attestation = image("attestation", platform={"os": "unknown", "architecture": "unknown"})
        good = image("good")
        unknown = {"os": "unknown", "architecture": "unknown"}

        def mark(head):
            head["manifests"][0]["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}

        self.registry.repo("app").add(Index([(attestation, unknown), (good, good.platform)], edit=mark), "1")
        done, _ = self.client.pull(self.name("app:1"))
        self.assertEqual(good.id, done.image_id)
        # Even where it claims the platform of the machine.
        self.registry.repo("lie").add(Index([(attestation, good.platform), (good, good.platform)], edit=mark), "1")
        self.assertEqual(good.id, self.client.pull(self.name("lie:1"))[0].image_id)

    def test_index_of_attestations_only_has_no_image(self):
        unknown = {"os": "unknown", "architecture": "unknown"}
        self.registry.repo("app").add(Index([(image(platform=unknown), unknown)]), "1")
        self.assert_rpc_fails("NOT_FOUND", "NO_MATCHING_PLATFORM", self.client.pull, self.name("app:1"))

    def test_annotations_of_lazy_formats_stay(self):
        """estargz and zstd:chunked keep their tables of contents in annotations."""
        notes = {"containerd.io/snapshot/stargz/toc.digest": "sha256:" + "1" * 64, "io.github.containers.zstd-chunked.manifest-position": "1:2:3:1"}

        def edit(head, _):
            head["layers"][0]["annotations"] = notes

        made = self.registry.repo("app").add(image(edit=edit), "1")
        self.client.pull(self.name("app:1"))
        raw = self.client.InspectImage(image=self.name("app:1"), include_raw=True).raw_manifest
        self.assertEqual(made.data, raw)


class Embedded(Content):
    """Content within a descriptor: no request when it is right, an error when it is not."""

    def embed(self, descriptor, data):
        descriptor["data"] = base64.b64encode(data).decode()

    def test_config_and_layers(self):
        def edit(head, body):
            self.embed(head["layers"][0], layer.blob.data)

        layer = Layer(tar({"a": b"1"}))
        made = Image([layer], edit=edit)
        head = json.loads(made.data)
        self.embed(head["config"], made.config_bytes)
        manifest = Manifest(to_json(head), made.media_type)
        self.registry.repo("app").add(manifest, "1")
        done, _ = self.client.pull(self.name("app:1"))
        self.assertEqual((made.id, 0), (done.image_id, done.fetched_bytes))
        self.assertEqual(0, self.registry.count("/blobs/"))
        self.assert_clean(self.client, [self.name("app:1")])

    def test_manifest_in_its_index(self):
        made = image()

        def edit(head):
            self.embed(head["manifests"][0], made.data)

        repo = self.registry.repo("app")
        repo.add(Index([(made, made.platform)], edit=edit), "1")
        del repo.manifests[made.digest]
        done, _ = self.client.pull(self.name("app:1"))
        self.assertEqual(made.digest, done.manifest_digest)
        self.assertEqual(1, self.registry.count("/manifests/"))
        self.assert_clean(self.client, [self.name("app:1")])

    def test_other_bytes_are_refused(self):
        good = image()
        size = len(good.config_bytes)
        for data in (b"x" * size, good.config_bytes + b" ", good.config_bytes[:-1]):
            with self.subTest(data[-10:]):
                head = json.loads(good.data)
                self.embed(head["config"], data)
                self.registry.repo("app").add(Manifest(to_json(head), good.media_type, good.blobs), "1")
                self.assert_rpc_fails("FAILED_PRECONDITION", "INVALID_CONTENT", self.client.pull, self.name("app:1"), text="embeds")
                self.assert_clean(self.client, [])

    def test_other_bytes_of_a_manifest_are_refused(self):
        made, other = image(), image("other")

        def edit(head):
            self.embed(head["manifests"][0], other.data)

        self.registry.repo("app").add(Index([(made, made.platform)], edit=edit), "1")
        self.assert_rpc_fails("FAILED_PRECONDITION", "INVALID_CONTENT", self.client.pull, self.name("app:1"), text="embeds")

    def test_what_is_no_base64_is_refused(self):
        head = json.loads(image().data)
        head["config"]["data"] = "???"
        self.registry.repo("app").add(Manifest(to_json(head), OCI_MANIFEST), "1")
        self.assert_rpc_fails("FAILED_PRECONDITION", "INVALID_CONTENT", self.client.pull, self.name("app:1"), text="base64")


class Foreign(Content):
    """Layers that the registry does not have."""

    def setUp(self):
        super().setUp()
        self.elsewhere = FakeRegistry().__enter__()
        self.addCleanup(self.elsewhere.stop)
        self.layer = Layer(tar({"a": random_bytes(200000, 3)}))  # too short for its worker to be asked before the end
        self.elsewhere.repo("files").blobs[self.layer.blob.digest] = self.layer.blob

    def allow(self):
        self.imaged.stop()
        self.imaged = self.daemon("--allow-foreign-urls", name="allowed")
        self.client = self.imaged.client()

    def url(self, registry=None):
        return f"http://{(registry or self.elsewhere).host}/v2/files/blobs/{self.layer.blob.digest}"

    def add(self, urls, in_registry=False, media_type=OCI_LAYER.replace("layer.", "layer.nondistributable.") + "+gzip"):
        def edit(head, _):
            head["layers"][0].update(mediaType=media_type, urls=urls)

        made = Image([self.layer], edit=edit)
        if not in_registry:
            made.blobs = [made.config_blob]
        self.registry.repo("win").add(made, "1")
        return made

    def test_are_refused_unless_the_policy_allows_them(self):
        self.add([self.url()])
        self.assert_rpc_fails(
            "FAILED_PRECONDITION", "UNSUPPORTED_CONTENT", self.client.pull, self.name("win:1"), text="allow-foreign-urls"
        )
        self.assertEqual(0, self.elsewhere.count())
        self.assert_clean(self.client, [])

    def test_are_fetched_without_credentials(self):
        self.registry.auth, self.registry.user, self.registry.password = "basic", "somebody", "secret"
        self.allow()
        made = self.add([self.url()])
        credentials = {"server_address": self.registry.host, "username": "somebody", "password": "secret"}
        done, _ = self.client.pull(self.name("win:1"), credentials=credentials)
        self.assertEqual(made.id, done.image_id)
        self.assertEqual(1, self.elsewhere.count())
        self.assertNotIn("Authorization", self.elsewhere.requests[0].headers)
        self.assert_clean(self.client, [self.name("win:1")])

    def test_the_registry_is_asked_first(self):
        for media_type in (OCI_LAYER.replace("layer.", "layer.nondistributable.") + "+gzip", DOCKER_LAYER.replace("diff", "foreign.diff") + ".gzip"):
            self.add([self.url()], in_registry=True, media_type=media_type)
            self.client.pull(self.name("win:1"))
            self.client.PruneImages(all=True)
        self.assertEqual(0, self.elsewhere.count())

    def test_next_url_is_tried(self):
        self.allow()
        self.elsewhere.fault("GET", "/v2/wrong", status=200, body=b"x" * self.layer.blob.size)
        urls = ["ftp://127.0.0.1/x", "file:///etc/passwd", f"http://{self.elsewhere.host}/nothing", f"http://{self.elsewhere.host}/v2/wrong", self.url()]
        made = self.add(urls)
        self.assertEqual(made.id, self.client.pull(self.name("win:1"))[0].image_id)

    def test_an_interruption_goes_on_where_it_was(self):
        self.allow()
        self.add([self.url()])
        self.elsewhere.fault("GET", "/blobs/", times=1, cut=200000)
        self.client.pull(self.name("win:1"))
        first, second = self.elsewhere.matching("/blobs/")
        self.assertEqual("bytes=200000-", second.headers.get("Range"))
        self.assertEqual(self.layer.blob.size, first.sent + second.sent)

    def test_wrong_bytes_are_refused(self):
        self.allow()
        self.add([self.url()])
        self.elsewhere.fault("GET", "/blobs/", body=b"x" * self.layer.blob.size)
        self.assert_rpc_fails("DATA_LOSS", "DIGEST_MISMATCH", self.client.pull, self.name("win:1"), text="digest")
        self.elsewhere.clear()
        self.elsewhere.fault("GET", "/blobs/", body=b"x" * (self.layer.blob.size + 1))
        self.assert_rpc_fails("FAILED_PRECONDITION", "INVALID_CONTENT", self.client.pull, self.name("win:1"), text="bytes")
        self.assert_clean(self.client, [])

    def test_link_local_addresses_are_out_of_reach(self):
        self.allow()
        for url in ("http://169.254.169.254/latest/meta-data", "http://[fe80::1]/x"):
            with self.subTest(url=url):
                self.add([url])
                self.assert_rpc_fails("PERMISSION_DENIED", "ACCESS_DENIED", self.client.pull, self.name("win:1"), text="refused|link-local")
        self.elsewhere.fault("GET", "/blobs/", status=302, headers={"Location": "http://169.254.169.254/x"})
        self.add([self.url()])
        self.assert_rpc_fails("PERMISSION_DENIED", "ACCESS_DENIED", self.client.pull, self.name("win:1"), text="link-local")

    def test_more_urls_than_anybody_needs_are_refused(self):
        self.allow()
        self.add([self.url()] * 17)
        self.assert_rpc_fails("FAILED_PRECONDITION", "INVALID_CONTENT", self.client.pull, self.name("win:1"), text="urls")
        self.assertEqual(0, self.elsewhere.count())
