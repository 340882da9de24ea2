"""What interrupted and refused pulls leave on the disk, and who may take it away."""

import os
import threading

import grpc

from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import Image, Layer, random_bytes, tar

MIB = 1 << 20


class Leases(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.base = Layer(tar({"base": random_bytes(MIB, 1)}), level=1)
        self.big = Layer(tar({"big": random_bytes(8 * MIB, 2)}), level=1)
        self.registry.repo("base").add(Image([self.base]), "1")
        self.registry.repo("derived").add(Image([self.base, self.big]), "1")
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)
        self.blob = "/blobs/" + self.big.blob.digest
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def full(self, name):
        return f"{self.registry.host}/{name}:1"

    def files(self, directory):
        found = []
        for folder, _, names in os.walk(os.path.join(self.imaged.root, directory)):
            found += [os.path.join(folder, name) for name in names]
        return found

    def assert_empty(self):
        self.assertEqual([], self.files("content"))
        self.assertEqual([], self.files("ingest"))
        usage = self.client.GetDiskUsage()
        self.assertEqual(
            (0, 0, 0, 0, 0),
            (usage.image_count, usage.layers_size, usage.content_bytes, usage.ingest_bytes, usage.blob_count),
        )

    def pull_until_the_middle(self):
        """The big layer stops at half; the call that waits for the rest."""
        self.registry.fault("GET", self.blob, times=1, cut=4 * MIB, gate=self.gate)
        call = self.client.Pull(reference=self.full("derived"))
        for event in call:
            if event.WhichOneof("event") == "layer" and event.layer.digest == self.big.blob.digest:
                if event.layer.current >= 3 * MIB:
                    return call
        self.fail("the pull ended before")

    def kill_in_the_middle(self):
        self.pull_until_the_middle()
        self.imaged.kill()
        self.gate.set()
        self.imaged.start()
        self.client = self.imaged.client()

    def test_prune_of_all_leaves_nothing_of_a_killed_pull(self):
        self.kill_in_the_middle()
        self.assertGreater(self.client.GetDiskUsage().ingest_bytes, 2 * MIB)
        wish = self.client.PruneImages(all=True, dry_run=True)
        self.assertGreater(wish.freed_bytes, 2 * MIB)
        answer = self.client.PruneImages(all=True)
        self.assertEqual(wish, answer)
        self.assert_empty()
        self.assertEqual(0, self.client.PruneImages(all=True).freed_bytes)

    def test_a_prune_of_some_images_is_not_about_pulls(self):
        self.kill_in_the_middle()
        before = len(self.files("ingest"))
        self.client.PruneImages()
        self.client.PruneImages(all=True, filter={"until": {"seconds": 1}})
        self.assertEqual(before, len(self.files("ingest")))

    def test_a_resumed_pull_fetches_less_than_all(self):
        self.kill_in_the_middle()
        done, _ = self.client.pull(self.full("derived"))
        self.assertLess(done.fetched_bytes, self.big.blob.size - 2 * MIB)
        self.assert_clean(self.client, [self.full("derived")])

    def remove_base_after(self, interrupt):
        self.client.pull(self.full("base"))
        interrupt()
        freed = self.client.RemoveImage(image=self.full("base")).freed_bytes
        self.assertGreater(freed, self.base.blob.size)
        self.assertEqual([], self.files("content"))

    def test_a_killed_pull_keeps_nothing_of_an_image_that_is_removed(self):
        self.remove_base_after(self.kill_in_the_middle)

    def test_a_cancelled_pull_keeps_nothing_of_an_image_that_is_removed(self):
        def cancel():
            self.pull_until_the_middle().cancel()
            self.wait_idle(self.client)

        self.remove_base_after(cancel)

    def test_a_running_pull_keeps_what_it_relies_on(self):
        self.client.pull(self.full("base"))
        call = self.pull_until_the_middle()
        self.client.RemoveImage(image=self.full("base"))
        self.client.PruneImages(all=True)
        self.assertEqual(1, len(self.files("content")), "the base layer")
        self.gate.set()
        self.assertEqual(self.full("derived"), list(call)[-1].done.reference)
        self.assertEqual(1, self.registry.count("/blobs/" + self.base.blob.digest, "GET"))
        self.assert_clean(self.client, [self.full("derived")])

    def test_a_refused_pull_leaves_nothing(self):
        wrong = bytearray(self.big.blob.data)
        wrong[-100] ^= 1
        self.registry.fault("GET", self.blob, times=None, body=bytes(wrong))
        with self.assertRaises(grpc.RpcError) as caught:
            self.client.pull(self.full("derived"))
        self.assertEqual(grpc.StatusCode.DATA_LOSS, caught.exception.code())
        self.wait_idle(self.client)
        self.wait_until(lambda: not self.files("ingest"), "nothing unfinished")
        self.assert_empty()
