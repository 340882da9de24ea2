"""One walk through everything, for sanitizers and valgrind: short, without the
fixtures, with faults on the way."""

import threading

import grpc

from fakeregistry import FakeRegistry
from harness import TestCase, incomplete
from hostile import hostile
from ociimage import Image, Index, Layer, random_bytes, tar

import os
import shlex


class Scenario(TestCase):
    SECONDS = 240

    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.imaged = self.daemon(wrapper=shlex.split(os.environ.get("IMAGED_VALGRIND", "")))
        self.client = self.imaged.client()

    def image(self, how, seed, size=300000):
        return Image([Layer(tar({f"{how}{n}": random_bytes(size, seed + n)}), how) for n in range(2)])

    def test_short_walk(self):
        host = self.registry.host
        for number, how in enumerate(("gzip", "zstd", "plain")):
            self.registry.repo(how).add(self.image(how, 10 * number), "1")
            self.client.pull(f"{host}/{how}:1")
        self.assertEqual(3, len(self.client.images()))
        self.client.InspectImage(image=f"{host}/gzip:1", include_raw=True)
        self.client.GetHistory(image=f"{host}/gzip:1")
        self.client.TagImage(source=f"{host}/gzip:1", target="x:1")
        self.client.GetDiskUsage(per_image=True)
        self.assert_rpc_fails("NOT_FOUND", "MANIFEST_UNKNOWN", self.client.Pull, reference=f"{host}/gzip:nosuch")
        self.assertIn("x", self.imaged.ctl("images").stdout)
        self.client.RemoveImage(image=f"{host}/zstd:1")
        self.assert_clean(self.client)
        self.client.PruneImages(all=True)
        self.assertEqual([], self.client.images())
        self.assertEqual(0, self.imaged.stop())

    def test_faults_on_the_way(self):
        host = self.registry.host
        image = self.image("gzip", 5, 2000000)
        self.registry.repo("a").add(Index([(image, {"os": "linux", "architecture": "amd64"})]), "1")
        self.registry.fault("GET", "/blobs/", times=2, cut=500000)
        self.registry.fault("GET", "/manifests/", times=1, status=503)
        threads = [threading.Thread(target=self.client.pull, args=(f"{host}/a:1",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], incomplete(self.imaged.root, self.client))
        self.client.PruneImages(all=True)
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.registry.fault("GET", "/blobs/", times=2, cut=500000, gate=gate)
        call = self.client.Pull(reference=f"{host}/a:1")
        next(call)
        self.assertTrue(self.registry.wait_requests(1, "/blobs/"))
        call.cancel()
        gate.set()
        self.client.pull(f"{host}/a:1")
        self.assert_clean(self.client)

    def test_hostile_answers(self):
        for name, (image, _) in hostile().items():
            self.registry.repo("bad").add(image, "1")
            with self.subTest(name), self.assertRaises(grpc.RpcError):
                self.client.pull(f"{self.registry.host}/bad:1")
        self.assertEqual([], self.client.images())

    def test_authentication(self):
        with FakeRegistry(auth="bearer", user="u", password="p") as private:
            private.repo("a").add(self.image("gzip", 7), "1")
            self.client.pull(f"{private.host}/a:1", credentials={"username": "u", "password": "p"})
            with self.assertRaises(grpc.RpcError):
                self.client.CheckAuth(server_address=private.host, credentials={"username": "u", "password": "x"})
