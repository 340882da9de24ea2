"""A disk that gets full while layers' images are written, which no reservation foresees:
their size is known when they are done. The call fails with a reason, the store goes on,
and nothing stays that nobody needs."""

import os
import subprocess
import threading

import erofs
from archives import ArchiveCase, docker_files, import_requests, load
from fakeregistry import FakeRegistry
from harness import blob_path
from ociimage import Image, Layer, compress, random_bytes, tar

MIB = 1 << 20


def loose(size, seed):
    """A tar that gzip makes a fiftieth of, or so."""
    return tar({f"f{n}": random_bytes(16384, seed * 1000 + n) * 64 for n in range(size // MIB)})


class FullDisk(ArchiveCase):
    """Content fits, the image of its layer does not."""

    SPACE = 40 * MIB

    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.small = Image([Layer(tar({"small": random_bytes(100_000, 1)}))])
        self.registry.repo("small").add(self.small, "1")
        self.big = Image([Layer(loose(64 * MIB, 2)), Layer(tar({"other": random_bytes(100_000, 3)}))])
        self.registry.repo("big").add(self.big, "1")
        self.assertLess(self.big.layers[0].blob.size, 4 * MIB)

    def on(self, *options):
        os.makedirs(self.path("disk"))
        done = subprocess.run(["mount", *options, self.path("disk")], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            self.skipTest("mount is not permitted: " + done.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", self.path("disk")], check=True)
        self.imaged = self.daemon(name="small-disk", root=self.path("disk", "root"))
        self.client = self.imaged.client()
        self.client.pull(self.ref("small"))

    def on_tmpfs(self):
        self.on("-t", "tmpfs", "-o", f"size={self.SPACE}", "tmpfs")

    def on_ext4(self):
        with open(self.path("disk.img"), "wb") as file:
            file.truncate(self.SPACE)
        made = subprocess.run(["mkfs.ext4", "-q", "-m", "0", self.path("disk.img")], stderr=subprocess.PIPE, text=True)
        if made.returncode:
            self.skipTest("no ext4: " + made.stderr.strip())
        self.on("-o", "loop", self.path("disk.img"))

    def ref(self, name):
        return f"{self.registry.host}/{name}:1"

    def free(self):
        status = os.statvfs(self.path("disk"))
        return status.f_bfree * status.f_frsize

    def layers(self):
        return [name for _, _, names in os.walk(os.path.join(self.imaged.root, "layers")) for name in names]

    def refused(self, call, *args, **fields):
        free, layers = self.free(), self.layers()
        error = self.assert_rpc_fails("RESOURCE_EXHAUSTED", "DISK_FULL", call, *args, **fields)
        self.assertRegex(error.details(), "needed|space|full")
        self.assertEqual(layers, self.layers())
        self.assert_clean(self.client, [self.ref("small")])
        self.assertEqual([], erofs.amiss(self.imaged.root, self.client))
        # A blob that came whole may wait for another try; not so an image that did not.
        self.wait_until(lambda: self.free() > free - 5 * MIB, "the space of what was not finished")

    def works(self):
        """The store takes what fits, and what did not, once there is room."""
        self.registry.repo("fits").add(Image([Layer(loose(8 * MIB, 4))]), "1")
        self.client.pull(self.ref("fits"))
        self.client.RemoveImage(image=self.ref("fits"))
        subprocess.run(["mount", "-o", f"remount,size={256 * MIB}", self.path("disk")], stderr=subprocess.PIPE)
        if self.free() > 100 * MIB:
            self.client.pull(self.ref("big"))
            self.assertEqual([], erofs.amiss(self.imaged.root, self.client))
            self.assert_clean(self.client, [self.ref("big"), self.ref("small")])

    def test_pull_load_and_import_onto_tmpfs(self):
        self.on_tmpfs()
        self.three_ways()

    def test_pull_load_and_import_onto_ext4(self):
        self.on_ext4()
        self.three_ways()

    def three_ways(self):
        self.refused(self.client.Pull, reference=self.ref("big"))
        archive = tar(docker_files((self.big, "big:1")))
        self.refused(lambda: load(self.client, archive))
        packed = compress(loose(64 * MIB, 5), "gzip")
        self.refused(lambda: list(self.client.Import(import_requests(packed, reference="big:2"))))
        self.works()

    def test_a_disk_that_others_fill_up_in_mid_layer(self):
        """Another pull, which has all it needs, goes on beside it."""
        self.on_tmpfs()
        gate = threading.Event()
        self.addCleanup(gate.set)
        layer = Layer(tar({f"f{n}": random_bytes(MIB, n) for n in range(8)}), level=1)
        self.registry.repo("held").add(Image([layer]), "1")
        self.registry.fault("GET", "/blobs/" + layer.blob.digest, times=1, cut=4 * MIB, gate=gate)
        call = self.client.Pull(reference=self.ref("held"))
        for event in call:
            if event.WhichOneof("event") == "layer" and event.layer.current >= 3 * MIB:
                break
        with open(self.path("disk", "ballast"), "wb", buffering=0) as file:
            while (left := self.free()) > 0 and file.write(bytes(min(left, MIB))):
                pass
        gate.set()
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "DISK_FULL", lambda: call)
        self.assertEqual(1, len(self.layers()))
        os.unlink(self.path("disk", "ballast"))
        self.assert_clean(self.client, [self.ref("small")])
        self.client.pull(self.ref("held"))
        self.assertEqual([], erofs.amiss(self.imaged.root, self.client))
        self.assertTrue(os.path.exists(blob_path(self.imaged.root, layer.blob.digest)))
