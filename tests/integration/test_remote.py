"""What is asked of registries without pulling: tags, manifests; and all tags at once."""

import base64
import json
import socket
import subprocess
import unittest

from fakelists import absolute, query_only, relative, tags
from fakeregistry import FakeRegistry
from harness import DockerRegistry, TestCase
from ociimage import Image, Index, Layer, Repo, push, tar

TAGS = ["1", "1.1", "2", "2.1-alpine", "latest"]
AMD64 = {"os": "linux", "architecture": "amd64"}
ARM64 = {"os": "linux", "architecture": "arm64", "variant": "v8"}


def own_address():
    """An address of this machine that is not loopback; None without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        return probe.getsockname()[0]


def platform_of(entry):
    """In the order in which docker writes it."""
    platform = entry["platform"]
    return {key: platform[key] for key in ("architecture", "os", "os.version", "variant") if key in platform}


def image(name="1", **options):
    return Image([Layer(tar({name: name.encode()}))], **options)


class Remote(TestCase):
    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def registry(self, **options):
        registry = FakeRegistry(**options).__enter__()
        self.addCleanup(registry.stop)
        return registry

    def real_registry(self):
        registry = DockerRegistry(self.path("registry"))
        self.addCleanup(registry.stop)
        return registry

    def all_tags(self, name, **fields):
        """All pages' tags, and how many pages there were."""
        found, token, pages = [], "", 0
        while True:
            page = self.client.ListTags(repository=name, page_token=token, **fields)
            found += page.tags
            pages += 1
            token = page.next_page_token
            if not token:
                return found, pages

    # -- tags

    def test_tags_of_all_pages(self):
        for link in (relative, query_only, absolute):
            for size, pages in ((0, 1), (1, 5), (2, 3), (3, 2), (100000, 1)):
                with self.subTest(link=link.__name__, size=size):
                    registry = self.registry()
                    tags(registry, "a/b", TAGS, link=link)
                    self.assertEqual((TAGS, pages), self.all_tags(f"{registry.host}/a/b", page_size=size))

    def test_registries_that_take_no_notice_of_n_and_last(self):
        registry = self.registry()
        tags(registry, "a/b", TAGS, obey=False)
        for size, pages in ((1, 5), (2, 3), (5, 1)):
            self.assertEqual((TAGS, pages), self.all_tags(f"{registry.host}/a/b", page_size=size))

    def test_a_tag_that_goes_between_two_pages(self):
        registry = self.registry()
        listed = list(TAGS)
        tags(registry, "a/b", listed, page=100)
        first = self.client.ListTags(repository=f"{registry.host}/a/b", page_size=2)
        listed.remove("1.1")
        rest = self.client.ListTags(repository=f"{registry.host}/a/b", page_token=first.next_page_token)
        self.assertLessEqual({"2", "2.1-alpine", "latest"}, set(rest.tags), "none is lost")

    def test_the_name_is_canonical_and_no_tags_are_none(self):
        registry = self.registry()
        for body in (b'{"name":"a/b","tags":null}', b'{"tags":[]}', b"{}"):
            registry.routes.clear()
            registry.route("/v2/a/b/tags/list", lambda *_, b=body: (200, {}, b))
            found = self.client.ListTags(repository=f"{registry.host}/a/b")
            self.assertEqual((f"{registry.host}/a/b", []), (found.repository, list(found.tags)))

    def test_a_repository_that_is_not_there(self):
        registry = self.registry()
        self.assert_rpc_fails(
            "NOT_FOUND", "NOT_FOUND", self.client.ListTags, repository=f"{registry.host}/no/such", text="repository .* not found"
        )

    def test_tokens_are_ours(self):
        registry = self.registry()
        for name in ("a/b", "a/c"):
            tags(registry, name, TAGS)
        name = f"{registry.host}/a/b"
        token = self.client.ListTags(repository=name, page_size=1).next_page_token
        other = self.registry()
        changed = token[:-4] + ("00" if token[-4:-2] != "00" else "01") + token[-2:]
        bad = [changed, token[2:], token + "00", "zz", "00" * 60, token.upper(), "http://x/?n=1", "00" * 5000]
        for wrong in bad:
            self.assert_rpc_fails(
                "INVALID_ARGUMENT", "INVALID_ARGUMENT", self.client.ListTags, repository=name, page_token=wrong, text="page_token"
            )
        self.assert_rpc_fails(
            "INVALID_ARGUMENT", None, self.client.ListTags, repository=f"{registry.host}/a/c", page_token=token
        )
        self.assert_rpc_fails("INVALID_ARGUMENT", None, self.client.ListTags, repository=f"{other.host}/a/b", page_token=token)
        self.assertEqual([], other.requests)
        self.assertEqual(["1.1"], list(self.client.ListTags(repository=name, page_token=token, page_size=1).tags))

    def test_names_that_are_no_repository(self):
        for name in ("x:1", "a/b@sha256:" + "0" * 64, "UPPER", "", "http://x/y"):
            self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_REFERENCE", self.client.ListTags, repository=name)
        self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_ARGUMENT", self.client.ListTags, repository="127.0.0.1:1/x", page_size=-1)

    def test_pages_in_a_circle_end(self):
        """Also when the client turns them one by one."""
        registry = self.registry()

        def respond(query, _):
            at = int(query.get("p", ["0"])[0])
            return 200, {"Link": f'<?p={at % 9 + 1}>; rel="next"'}, json.dumps({"tags": [f"t{at}"]}).encode()

        registry.route("/v2/a/b/tags/list", respond)
        for size in (1, 1000):
            self.assert_rpc_fails(
                "UNAVAILABLE", None, self.all_tags, f"{registry.host}/a/b", page_size=size, text="circle"
            )
        self.assertLess(registry.count("tags/list"), 80)

    def test_pages_without_end_and_without_tags_end(self):
        registry = self.registry()

        def respond(query, _):
            at = int(query.get("p", ["0"])[0])
            return 200, {"Link": f'<?p={at + 1}>; rel="next"'}, b'{"tags":[]}'

        registry.route("/v2/a/b/tags/list", respond)
        self.assert_rpc_fails(
            "RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", self.client.ListTags, repository=f"{registry.host}/a/b", text="pages"
        )

    def test_tags_without_end_end(self):
        """A server that always has new ones, and more than were asked for."""
        registry = self.registry()
        numbers = iter(range(1 << 40))
        registry.route(
            "/v2/a/b/tags/list",
            lambda *_: (200, {}, json.dumps({"tags": [f"t{next(numbers)}" for _ in range(1001)]}).encode()),
        )
        self.assert_rpc_fails(
            "RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", self.all_tags, f"{registry.host}/a/b", page_size=1000, text="1000000 tags"
        )

    def test_a_link_to_another_host_is_refused(self):
        other = self.registry()
        registry = self.registry(auth="bearer", user="u", password="p")
        tags(registry, "a/b", TAGS, link=lambda *_: f'<http://{other.host}/v2/a/b/tags/list?n=2>; rel="next"')
        credentials = {"username": "u", "password": "p"}
        self.assert_rpc_fails(
            "UNAVAILABLE",
            "REGISTRY_UNAVAILABLE",
            self.client.ListTags,
            repository=f"{registry.host}/a/b",
            credentials=credentials,
            text="another host",
        )
        self.assertEqual([], other.requests)

    def test_tags_that_are_none_are_refused(self):
        for tag in ("../../x", "a b", "x\u001b[2J", "x" * 129, 5, None, ["a"], ""):
            with self.subTest(tag=tag):
                registry = self.registry()
                body = json.dumps({"tags": ["1", tag]}).encode()
                registry.route("/v2/a/b/tags/list", lambda *_, b=body: (200, {}, b))
                self.assert_rpc_fails(
                    "FAILED_PRECONDITION", "INVALID_CONTENT", self.client.ListTags, repository=f"{registry.host}/a/b"
                )

    def test_warnings_are_collected_once_cleaned_and_bounded(self):
        registry = self.registry()
        tags(registry, "a/b", TAGS, headers={"Warning": '299 - "old\tregistry\\\\ \\"x\\""'})
        found = self.client.ListTags(repository=f"{registry.host}/a/b")
        self.assertEqual('old registry\\ "x"', found.warning)
        for header in ('199 - "x"', '299 - x', '299 -', '299 - "x', '299 - ""', "299", ""):
            with self.subTest(header=header):
                other = self.registry()
                tags(other, "a/b", TAGS, headers={"Warning": header})
                self.assertEqual("", self.client.ListTags(repository=f"{other.host}/a/b").warning)
        many = self.registry()
        counter = iter(range(1000))

        def respond(query, _):
            at = next(counter)
            return 200, {"Warning": f'299 - "{at} {"x" * 300}"', "Link": f"<?p={at}>; rel=next"}, b'{"tags":["a"]}'

        many.route("/v2/a/b/tags/list", respond)
        found = self.client.ListTags(repository=f"{many.host}/a/b", page_size=100)
        self.assertTrue(found.warning.startswith("0 xxx"))
        self.assertLessEqual(len(found.warning), 4096)
        self.assertGreater(len(found.warning), 3000)

    def test_imagectl_lists_tags(self):
        registry = self.registry()
        tags(registry, "a/b", TAGS, headers={"Warning": '299 - "bye"'})
        shown = self.imaged.ctl("image", "tags", f"{registry.host}/a/b")
        self.assertEqual(("\n".join(TAGS) + "\n", "WARNING: bye\n"), (shown.stdout, shown.stderr))
        lines = self.imaged.ctl("image", "tags", "--format", "json", f"{registry.host}/a/b").stdout.splitlines()
        self.assertEqual([{"Repository": f"{registry.host}/a/b", "Tag": tag} for tag in TAGS], [json.loads(x) for x in lines])
        failed = self.imaged.ctl("image", "tags", f"{registry.host}/a/b:1", check=False)
        self.assertEqual((1, ""), (failed.returncode, failed.stdout))
        self.assertIn("without tag and digest", failed.stderr)

    def test_tags_of_docker_registry(self):
        registry = self.real_registry()
        repo = Repo()
        repo.add(image(), *TAGS)
        push(repo, registry.host, "a/b")
        found, _ = self.all_tags(f"{registry.host}/a/b", page_size=2)
        self.assertEqual(TAGS, sorted(found))
        self.assert_rpc_fails("NOT_FOUND", "NOT_FOUND", self.client.ListTags, repository=f"{registry.host}/none")

    # -- all tags at once

    def test_pull_all_tags(self):
        registry = self.registry()
        repo = registry.repo("a/b")
        for tag in TAGS[:3]:
            repo.add(image(tag), tag)
        tags(registry, "a/b", TAGS[:3])
        events = list(self.client.Pull(reference=f"{registry.host}/a/b", all_tags=True))
        names = [f"{registry.host}/a/b:{tag}" for tag in TAGS[:3]]
        kinds = [e for e in events if e.WhichOneof("event") != "layer"]
        self.assertEqual(
            [(kind, name) for name in names for kind in ("resolved", "done")],
            [(e.WhichOneof("event"), getattr(e, e.WhichOneof("event")).reference) for e in kinds],
        )
        self.assert_clean(self.client, names)
        again = list(self.client.Pull(reference=f"{registry.host}/a/b", all_tags=True))
        self.assertEqual([True] * 3, [e.done.up_to_date for e in again])

    def test_pull_all_tags_ends_at_the_first_failure(self):
        registry = self.registry()
        registry.repo("a/b").add(image(), "1")
        tags(registry, "a/b", ["1", "gone", "z"])
        self.assert_rpc_fails(
            "NOT_FOUND", "MANIFEST_UNKNOWN", self.client.Pull, reference=f"{registry.host}/a/b", all_tags=True, text="gone"
        )
        self.assert_clean(self.client, [f"{registry.host}/a/b:1"])
        self.assertEqual(0, registry.count("/manifests/z"))

    def test_pull_all_tags_of_nothing_and_of_a_tag(self):
        registry = self.registry()
        tags(registry, "a/b", [])
        self.assert_rpc_fails("NOT_FOUND", "NOT_FOUND", self.client.Pull, reference=f"{registry.host}/a/b", all_tags=True)
        self.assert_rpc_fails(
            "INVALID_ARGUMENT", "INVALID_REFERENCE", self.client.Pull, reference=f"{registry.host}/a/b:1", all_tags=True
        )

    def test_imagectl_pulls_all_tags(self):
        registry = self.registry()
        repo = registry.repo("a/b")
        digests = [repo.add(image(tag), tag).digest for tag in TAGS[:2]]
        tags(registry, "a/b", TAGS[:2])
        name = f"{registry.host}/a/b"
        shown = [line for line in self.imaged.ctl("pull", "-a", name).stdout.splitlines() if line[12:13] != ":"]
        self.assertEqual(
            [
                "1: Pulling from a/b",
                f"Digest: {digests[0]}",
                "1.1: Pulling from a/b",
                f"Digest: {digests[1]}",
                f"Status: Downloaded newer image for {name}",
                name,
            ],
            shown,
        )
        again = self.imaged.ctl("pull", "--all-tags", name).stdout.splitlines()
        self.assertEqual([f"Status: Image is up to date for {name}", name], again[-2:])
        self.assertEqual(name + "\n", self.imaged.ctl("pull", "-aq", name).stdout)
        failed = self.imaged.ctl("pull", "-a", name + ":1", check=False)
        self.assertEqual((1, "tag can't be used with --all-tags/-a\n"), (failed.returncode, failed.stderr))

    def test_a_warning_of_the_registry_comes_with_the_pull(self):
        registry = self.registry()
        made = registry.repo("a/b").add(image(), "1")
        headers = {"Warning": '299 - "soon gone"', "Content-Type": made.media_type}
        registry.fault("GET", "/manifests/", times=1, status=200, headers=headers, body=made.data)
        done, _ = self.client.pull(f"{registry.host}/a/b:1")
        self.assertEqual("soon gone", done.warning)
        storage = self.registry()
        made = storage.repo("a/c").add(image("c"), "1")
        other = self.registry(blobs_at=f"http://{storage.host}")
        other.repo("a/c").add(made, "1")
        for blob in made.blobs:
            storage.fault("GET", blob.digest, status=200, headers={"Warning": '299 - "of the storage"'}, body=blob.bytes())
        done, _ = self.client.pull(f"{other.host}/a/c:1")
        self.assertEqual(("", 2), (done.warning, storage.count("/blobs/")))

    # -- manifests

    def test_a_manifest_as_the_registry_sent_it(self):
        registry = self.registry()
        made = registry.repo("a/b").add(image(), "1")
        found = self.client.InspectRemote(reference=f"{registry.host}/a/b:1")
        self.assertEqual(made.data, found.manifest)
        self.assertEqual(
            (f"{registry.host}/a/b:1", made.digest, made.media_type, len(made.data)),
            (found.reference, found.descriptor.digest, found.descriptor.media_type, found.descriptor.size),
        )
        self.assertEqual(0, len(found.manifests))
        self.assertEqual(0, registry.count("/blobs/"))
        self.assertEqual([], self.client.images(), "nothing is kept")

    def test_a_manifest_by_its_digest_is_compared(self):
        registry = self.registry()
        made = registry.repo("a/b").add(image(), "1")
        name = f"{registry.host}/a/b@{made.digest}"
        self.assertEqual(made.data, self.client.InspectRemote(reference=name).manifest)
        registry.fault("GET", "/manifests/", body=made.data + b" ")
        self.assert_rpc_fails("DATA_LOSS", "DIGEST_MISMATCH", self.client.InspectRemote, reference=name)

    def index(self, registry):
        amd, arm = image("amd", platform=AMD64), image("arm", platform=ARM64)
        made = Index([(amd, AMD64), (arm, ARM64)])
        registry.repo("a/m").add(made, "1")
        return made, amd, arm

    def test_the_manifest_of_a_platform(self):
        registry = self.registry()
        made, amd, arm = self.index(registry)
        name = f"{registry.host}/a/m:1"
        self.assertEqual(made.data, self.client.InspectRemote(reference=name).manifest)
        self.assertEqual(arm.data, self.client.InspectRemote(reference=name, platform="linux/arm64").manifest)
        self.assert_rpc_fails(
            "NOT_FOUND", "NO_MATCHING_PLATFORM", self.client.InspectRemote, reference=name, platform="linux/s390x"
        )
        self.assert_rpc_fails(
            "INVALID_ARGUMENT", "INVALID_PLATFORM", self.client.InspectRemote, reference=name, platform="a/b/c/d"
        )

    def test_verbose_tells_each_manifest_with_its_configuration(self):
        registry = self.registry()
        made, amd, arm = self.index(registry)
        found = self.client.InspectRemote(reference=f"{registry.host}/a/m:1", verbose=True)
        self.assertEqual([amd.data, arm.data], [m.manifest for m in found.manifests])
        self.assertEqual([f"{registry.host}/a/m:1@{x.digest}" for x in (amd, arm)], [m.reference for m in found.manifests])
        self.assertEqual(["amd64", "arm64"], [json.loads(m.config)["architecture"] for m in found.manifests])
        self.assertEqual(["", "v8"], [m.descriptor.platform.variant for m in found.manifests])
        one = self.client.InspectRemote(reference=f"{registry.host}/a/m@{amd.digest}", verbose=True)
        self.assertEqual(["amd64"], [m.descriptor.platform.architecture for m in one.manifests])

    def test_a_configuration_that_lies_is_refused(self):
        registry = self.registry()
        made = registry.repo("a/b").add(image(), "1")
        config = json.loads(made.data)["config"]
        for body, code in ((b"{}", "FAILED_PRECONDITION"), (b" " * config["size"], "DATA_LOSS")):
            registry.clear()
            registry.fault("GET", "/blobs/", body=body)
            self.assert_rpc_fails(code, None, self.client.InspectRemote, reference=f"{registry.host}/a/b:1", verbose=True)

    def test_an_index_of_too_many_is_not_fetched_whole(self):
        registry = self.registry()
        registry.repo("a/m").add(Index([(image(), AMD64)] * 300), "1")
        self.assert_rpc_fails(
            "RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", self.client.InspectRemote, reference=f"{registry.host}/a/m:1", verbose=True
        )
        self.assertEqual(1, registry.count("/manifests/"))

    def test_what_is_not_there(self):
        registry = self.registry()
        registry.repo("a/b").add(image(), "1")
        self.assert_rpc_fails("NOT_FOUND", "MANIFEST_UNKNOWN", self.client.InspectRemote, reference=f"{registry.host}/a/b:2")
        shown = self.imaged.ctl("manifest", "inspect", f"{registry.host}/a/b:2", check=False)
        self.assertEqual((1, f"no such manifest: {registry.host}/a/b:2\n"), (shown.returncode, shown.stderr))

    def test_imagectl_prints_a_manifest_with_tabs(self):
        registry = self.registry()
        made = registry.repo("a/b").add(image(docker=True), "1")
        name = f"{registry.host}/a/b:1"
        shown = self.imaged.ctl("manifest", "inspect", name).stdout
        self.assertEqual(json.dumps(json.loads(made.data), indent="\t") + "\n", shown)
        told = json.loads(self.imaged.ctl("manifest", "inspect", "-v", name).stdout)
        self.assertEqual(["Ref", "Descriptor", "Raw", "SchemaV2Manifest"], list(told))
        self.assertEqual(made.data, base64.b64decode(told["Raw"]))
        self.assertEqual(json.loads(made.data), told["SchemaV2Manifest"])
        self.assertEqual(["mediaType", "digest", "size", "platform"], list(told["Descriptor"]))
        index, amd, _ = self.index(registry)
        name = f"{registry.host}/a/m:1"
        shown = self.imaged.ctl("manifest", "inspect", name).stdout
        listed = json.loads(index.data)
        order = ("mediaType", "size", "digest")
        entries = [{key: entry[key] for key in order} | {"platform": platform_of(entry)} for entry in listed["manifests"]]
        told = {"schemaVersion": 2, "mediaType": listed["mediaType"], "manifests": entries}
        self.assertEqual(json.dumps(told, indent="   ") + "\n", shown)
        told = json.loads(self.imaged.ctl("manifest", "inspect", "-v", name).stdout)
        self.assertEqual([json.loads(amd.data)], [entry["OCIManifest"] for entry in told][:1])

    # -- insecure, for one call

    def test_insecure_is_of_one_call(self):
        """Loopback is insecure anyway: another address of this machine is needed."""
        address = own_address()
        if not address or address.startswith("127."):
            self.skipTest("this machine has no address but loopback")
        key, cert = self.path("key"), self.path("cert")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=other.example", "-keyout", key, "-out", cert],
            check=True, capture_output=True,
        )  # fmt: skip
        for options, reason in (({}, "http: server gave HTTP response"), ({"cert": (cert, key)}, "certificate")):
            with self.subTest(**options):
                registry = self.registry(address=address, **options)
                made = registry.repo("a/b").add(image(), "1")
                name = f"{registry.host}/a/b:1"
                for _ in range(2):
                    error = self.assert_rpc_fails("UNAVAILABLE", None, self.client.InspectRemote, reference=name)
                    self.assertIn(reason, error.details())
                    found = self.client.InspectRemote(reference=name, insecure=True)
                    self.assertEqual(made.data, found.manifest)
                    shown = self.imaged.ctl("manifest", "inspect", name, check=False)
                    self.assertRegex(shown.stderr, "^failed to configure transport: error pinging v2 registry: ")
                    self.imaged.ctl("manifest", "inspect", "--insecure", name)
                self.assert_rpc_fails("UNAVAILABLE", None, self.client.Pull, reference=name)


if __name__ == "__main__":
    unittest.main()
