"""Lists of manifests that are put together by imagectl: files as docker's, pushed by the daemon."""

import json
import os
import stat
import unittest

from fakeuploads import UploadRegistry
from harness import TestCase
from ociimage import DOCKER_LIST, OCI_INDEX, Image, Index, Layer, tar

AMD64 = {"architecture": "amd64", "os": "linux"}
ARM64 = {"architecture": "arm64", "os": "linux", "variant": "v8"}
NOWHERE = "sha256:" + "0" * 64


def image(text, platform, **more):
    return Image([Layer(tar({"f": text.encode()}))], platform=platform, **more)


def stored(repo, what):
    """The manifest that the tag or digest leads to."""
    return repo.manifests[repo.tags.get(what, what)]


def entry(made, platform):
    """Of a list, in docker's order."""
    return {"mediaType": made.media_type, "size": len(made.data), "digest": made.digest, "platform": platform}


def document(media_type, *entries):
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": list(entries)}, indent="   ")


class ManifestLists(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = UploadRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.imaged = self.daemon()
        self.host = self.registry.host
        self.amd = self.registry.repo("amd").add(image("amd", AMD64, docker=True), "1")
        self.arm = self.registry.repo("arm").add(image("arm", ARM64, docker=True), "1")
        self.list = f"{self.host}/team/app:1"

    def manifest(self, *args, check=True):
        return self.imaged.ctl("manifest", *args, check=check, env={"DOCKER_CONFIG": self.path("config")})

    def refuses(self, message, *args):
        done = self.manifest(*args, check=False)
        self.assertEqual((1, "", message + "\n"), (done.returncode, done.stdout, done.stderr))

    def create(self, *names):
        return self.manifest("create", self.list, *[f"{self.host}/{name}" for name in names])

    def file(self, name):
        host = self.host.replace(":", "-")
        return self.path("config", "manifests", f"{host}_team_app-1", f"{host}_{name}")

    def test_a_list_is_made_annotated_pushed_and_forgotten(self):
        self.assertEqual(f"Created manifest list {self.list}\n", self.create("amd:1", "arm:1").stdout)
        made = document(DOCKER_LIST, entry(self.amd, AMD64), entry(self.arm, ARM64))
        self.assertEqual(made + "\n", self.manifest("inspect", self.list).stdout)
        annotations = ["--variant", "v9", "--os-version", "1.2", "--os-features", "a,b", "--os-features", "a"]
        self.manifest("annotate", *annotations, self.list, f"{self.host}/arm:1")
        platform = {"architecture": "arm64", "os": "linux", "os.version": "1.2", "os.features": ["a", "b"], "variant": "v9"}
        made = document(DOCKER_LIST, entry(self.amd, AMD64), entry(self.arm, platform))
        self.assertEqual(made + "\n", self.manifest("inspect", self.list).stdout)
        pushed = self.manifest("push", "--purge", self.list).stdout.splitlines()
        name = f"{self.host}/team/app"
        told = [f"Pushed ref {name}@{m.digest} with digest: {m.digest}" for m in (self.amd, self.arm)]
        self.assertEqual(told, pushed[:2])
        kept = self.registry.repo("team/app")
        self.assertEqual(made, stored(kept, "1").data.decode())
        self.assertEqual(stored(kept, "1").digest, pushed[2])
        self.assertFalse(os.path.exists(os.path.dirname(self.file("amd-1"))))
        for got in (self.amd, self.arm):
            self.assertEqual(got.data, stored(kept, got.digest).data)

    def test_one_manifest_of_a_list_is_shown_with_tabs(self):
        self.create("amd:1")
        shown = self.manifest("inspect", self.list, f"{self.host}/amd:1").stdout
        self.assertEqual(json.dumps(json.loads(self.amd.data), indent="\t") + "\n", shown)
        told = json.loads(self.manifest("inspect", "-v", self.list).stdout)
        with open(self.file("amd-1"), encoding="utf-8") as file:
            self.assertEqual([json.load(file)], told)
        self.refuses(f"No such manifest: {self.host}/arm:1", "inspect", self.list, f"{self.host}/arm:1")

    def test_a_list_grows_only_when_told_to(self):
        self.create("amd:1")
        self.refuses(
            "refusing to amend an existing manifest list with no --amend flag", "create", self.list, f"{self.host}/arm:1"
        )
        self.manifest("create", "--amend", self.list, f"{self.host}/arm:1", f"{self.host}/amd:1")
        self.assertEqual(2, len(json.loads(self.manifest("inspect", self.list).stdout)["manifests"]))

    def test_the_first_manifest_says_what_the_list_is(self):
        oci = self.registry.repo("team/app").add(image("oci", AMD64), "oci")
        self.create("team/app:oci")
        self.assertEqual(document(OCI_INDEX, entry(oci, AMD64)) + "\n", self.manifest("inspect", self.list).stdout)
        self.assertEqual(1, len(self.manifest("push", self.list).stdout.splitlines()), "it is in its repository")

    def test_what_cannot_be_put_together(self):
        self.registry.repo("index").add(Index([(self.amd, AMD64)]), "1")
        list_, host = self.list, self.host
        self.refuses(f"no such manifest: {host}/nosuch:1", "create", list_, f"{host}/nosuch:1")
        self.refuses(f"{host}/index:1 is a manifest list", "create", list_, f"{host}/index:1")
        self.refuses(f"No such manifest: {list_}", "push", list_)
        self.refuses(f"No such manifest: {list_}\nNo such manifest: docker.io/library/x:latest", "rm", list_, "x")
        self.refuses(f"manifest for image {host}/amd does not exist in x", "annotate", "x", f"{host}/amd")
        self.create("amd:1")
        unknown = "manifest entry for image has unsupported os/arch combination: hurd/"
        self.refuses(unknown, "annotate", "--os", "hurd", list_, f"{host}/amd:1")
        self.manifest("create", "other.example/x", f"{host}/amd:1")
        different = f"cannot use source images from a different registry than the target image: {host} != other.example"
        self.refuses(different, "push", "other.example/x")
        self.refuses(f"failed to assemble ManifestDescriptor: {different}", "inspect", "other.example/x")

    def test_files_that_are_not_what_they_say_are_refused(self):
        self.create("amd:1")
        path = self.file("amd-1")
        with open(path, encoding="utf-8") as file:
            good = json.load(file)
        for change in ({"Raw": "AAAA"}, {"Raw": ""}, {"Descriptor": {"digest": "x"}}, {"Descriptor": 7}):
            with open(path, "w", encoding="utf-8") as file:
                json.dump(good | change, file)
            done = self.manifest("push", self.list, check=False)
            self.assertEqual(1, done.returncode)
            self.assertIn(f"invalid manifest file {path}: ", done.stderr)
        with open(path, "w", encoding="utf-8") as file:
            file.write("{")
        self.assertEqual(1, self.manifest("push", self.list, check=False).returncode)
        self.manifest("rm", self.list)
        self.assertFalse(os.path.exists(path))

    def test_files_are_the_users_alone(self):
        self.create("amd:1")
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.file("amd-1")).st_mode))

    # -- the call

    def test_a_manifest_is_stored_as_it_is(self):
        client = self.imaged.client()
        body = document(DOCKER_LIST).encode()
        answer = client.PutManifest(reference=f"{self.host}/x", manifest=body)
        self.assertEqual((f"{self.host}/x:latest", DOCKER_LIST), (answer.reference, answer.descriptor.media_type))
        self.assertEqual(body, stored(self.registry.repo("x"), answer.descriptor.digest).data)
        self.assertEqual(body, stored(self.registry.repo("x"), "latest").data)
        bare = client.PutManifest(reference=f"{self.host}/y@{answer.descriptor.digest}", manifest=body)
        self.assertEqual(answer.descriptor, bare.descriptor)

    def test_what_is_no_manifest_is_not_sent(self):
        client = self.imaged.client()
        body = document(DOCKER_LIST).encode()
        for code, reference, manifest in (
            ("DATA_LOSS", f"x@{NOWHERE}", body),
            ("INVALID_ARGUMENT", "Bad", body),
            ("FAILED_PRECONDITION", "x", b"{}"),
            ("FAILED_PRECONDITION", "x", b""),
        ):
            self.assert_rpc_fails(code, None, client.PutManifest, reference=f"{self.host}/{reference}", manifest=manifest)
        self.assertEqual(0, self.registry.count("/manifests/", "PUT"))


if __name__ == "__main__":
    unittest.main()
