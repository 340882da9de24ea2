"""Pull, load and import leave an image of each layer that can be mounted: made while the
bytes stream, kept once, gone with the layer."""

import json
import os
import subprocess
import threading

import grpc

import erofs
import fixtures
from archives import docker_files, import_requests, load
from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import Image, Layer, random_bytes, tar
from rpc import reason

MIB = 1 << 20
VERSION = 2


class LayersCase(TestCase):
    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def files(self):
        """{diff ID: path} of all images; nothing else lies there."""
        found = {}
        top = os.path.join(self.imaged.root, "layers")
        for folder, _, names in os.walk(top):
            for name in names:
                value, _, version = name.partition(".")
                self.assertEqual((64, str(VERSION)), (len(value), version), name)
                self.assertEqual(os.path.join(top, "sha256", value[:2]), folder)
                found["sha256:" + value] = os.path.join(folder, name)
        return found

    def diff_ids(self, reference):
        answer = self.client.InspectImage(image=reference, include_raw=True)
        return json.loads(answer.raw_config)["rootfs"]["diff_ids"]

    def assert_layers_of(self, *references):
        """Exactly the layers of these images have files, and sound ones."""
        wanted = {diff for reference in references for diff in self.diff_ids(reference)}
        files = self.files()
        self.assertEqual(wanted, set(files))
        for path in files.values():
            self.assertIsNone(erofs.fsck(path))
            self.assertNotIn("code", erofs.check(path))
            self.assertEqual(0o600, os.stat(path).st_mode & 0o7777)
        return files


class FromRegistry(LayersCase):
    @classmethod
    def setUpClass(cls):
        cls.host = fixtures.registry().host

    def test_each_kind_of_image(self):
        names = ["busybox:oci-gzip", "busybox:oci-zstd", "busybox:oci-plain", "busybox:members", "tree:oci-gzip", "tree:docker-gzip",
                 "sixty:oci-gzip", "shared:one", "shared:two", "odd:empty-layer", "odd:same-layer-twice"]
        for name in names:
            with self.subTest(name=name):
                self.client.pull(f"{self.host}/{name}")
                self.assert_layers_of(f"{self.host}/{name}")
                self.client.PruneImages(all=True)
                self.assertEqual({}, self.files())

    def test_the_files_are_those_of_the_layer(self):
        if not erofs.can_mount():
            self.skipTest("erofs cannot be mounted here")
        reference = f"{self.host}/tree:oci-gzip"
        self.client.pull(reference)
        [path] = self.assert_layers_of(reference).values()
        fixtures.tree_kind()
        wanted = erofs.snapshot(erofs.gnu_extract(os.path.join(fixtures.CACHE, "tree.tar"), self.path("gnu")))
        with erofs.mounted(path, self.path("mnt")) as root:
            got = erofs.snapshot(root)
        wanted.pop(b"."), got.pop(b".")
        # Directories that are no entries of their own have no time of their own.
        differ = [line for line in erofs.differences(wanted, got, limit=1000) if " mtime: " not in line]
        self.assertEqual([], differ)

    def test_equal_layers_are_kept_once_and_go_with_the_last(self):
        for name in ("busybox:oci-gzip", "busybox:oci-zstd", "busybox:oci-plain", "shared:one"):
            self.client.pull(f"{self.host}/{name}")
        files = self.assert_layers_of(f"{self.host}/busybox:oci-zstd", f"{self.host}/shared:one")
        self.assertEqual(2, len(files))
        [busybox] = self.diff_ids(f"{self.host}/busybox:oci-gzip")
        for name in ("busybox:oci-gzip", "busybox:oci-plain", "busybox:oci-zstd"):
            self.client.RemoveImage(image=f"{self.host}/{name}")
            self.assertIn(busybox, self.files())
        self.client.RemoveImage(image=f"{self.host}/shared:one")
        self.assertEqual({}, self.files())

    def test_they_survive_a_restart(self):
        self.client.pull(f"{self.host}/sixty:oci-gzip")
        before = self.files()
        self.imaged.restart()
        self.client = self.imaged.client()
        self.assertEqual(before, self.assert_layers_of(f"{self.host}/sixty:oci-gzip"))


class OtherWays(LayersCase):
    def test_load(self):
        for how in ("plain", "gzip", "zstd"):
            with self.subTest(how=how):
                layers = [Layer(tar({f"f{n}": random_bytes(100_000 + n, n)}), how) for n in range(12)]
                load(self.client, tar(docker_files((Image(layers), "x:1"))))
                self.assertEqual(12, len(self.assert_layers_of("x:1")))
                self.client.PruneImages(all=True)
                self.assertEqual({}, self.files())

    def test_import(self):
        list(self.client.Import(import_requests(tar({"f": b"imported"}), reference="imp:1")))
        self.assertEqual(1, len(self.assert_layers_of("imp:1")))

    def test_a_load_that_fails_leaves_no_layer(self):
        good, bad = Image([Layer(tar({"f": b"x" * 100_000}))]), Image([Layer(tar({"../f": b"x"}))])
        with self.assertRaises(grpc.RpcError) as caught:
            load(self.client, tar(docker_files((good, "good:1"), (bad, "bad:1"))))
        self.assertEqual("INVALID_CONTENT", reason(caught.exception))
        self.assertEqual({}, self.files())


class Interrupted(LayersCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.layer = Layer(tar({f"f{n}": random_bytes(MIB, n) for n in range(8)}), level=1)
        self.registry.repo("a").add(Image([self.layer]), "1")
        self.reference = f"{self.registry.host}/a:1"
        self.blob = "/blobs/" + self.layer.blob.digest
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)

    def start_and_hold(self):
        """A pull whose layer has come to the half."""
        self.registry.fault("GET", self.blob, times=1, cut=4 * MIB, gate=self.gate)
        call = self.client.Pull(reference=self.reference)
        for event in call:
            if event.WhichOneof("event") == "layer" and event.layer.current >= 3 * MIB:
                return call
        self.fail("the pull ended before")

    def workers(self):
        """(pid, mode) of the processes of this daemon."""
        with open(f"/proc/{self.imaged.pid}/task/{self.imaged.pid}/children", encoding="ascii") as file:
            pids = file.read().split()
        for task in os.listdir(f"/proc/{self.imaged.pid}/task"):
            with open(f"/proc/{self.imaged.pid}/task/{task}/children", encoding="ascii") as file:
                pids += file.read().split()
        found = {}
        for pid in set(pids):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                found[int(pid)] = file.read().split(b"\0")[1]
        return found

    def test_killed_in_mid_layer_leaves_nothing_half_made(self):
        self.start_and_hold()
        self.imaged.kill()
        self.gate.set()
        self.assertEqual({}, self.files())
        self.imaged.start()
        self.client = self.imaged.client()
        self.assertEqual({}, self.files())
        self.client.pull(self.reference)
        self.assertEqual([self.layer.diff_id], list(self.assert_layers_of(self.reference)))

    def test_cancelled_in_mid_layer_leaves_nothing(self):
        call = self.start_and_hold()
        call.cancel()
        self.gate.set()
        self.wait_idle(self.client)
        self.assertEqual({}, self.files())
        self.client.pull(self.reference)
        self.assert_layers_of(self.reference)

    def test_a_restarted_transfer_makes_the_image_anew(self):
        self.registry.fault("GET", self.blob, times=1, cut=3 * MIB)
        self.registry.fault("GET", self.blob, times=1, ranges=False)
        self.client.pull(self.reference)
        self.assert_layers_of(self.reference)

    def test_a_worker_that_is_killed_fails_that_pull_and_no_other(self):
        for victim in (b"", b"erofs"):
            with self.subTest(victim=victim):
                call = self.start_and_hold()
                [pid] = [pid for pid, mode in self.workers().items() if mode == victim]
                os.kill(pid, 9)
                self.gate.set()
                with self.assertRaises(grpc.RpcError) as caught:
                    list(call)
                self.assertEqual("WORKER_FAILED", reason(caught.exception), caught.exception.details())
                self.assertRegex(caught.exception.details(), "SIGKILL")
                self.assertEqual({}, self.files())
                self.gate.clear()
                self.client.pull(self.reference)
                self.assert_layers_of(self.reference)
                self.client.RemoveImage(image=self.reference)
                self.client.PruneImages(all=True)
