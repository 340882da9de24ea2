"""What was fetched is not fetched again: broken connections, cancelled calls and
daemons that died go on where they stopped. Bytes are counted at the registry."""

import threading

import grpc

from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import Image, Layer, random_bytes, tar

MIB = 1 << 20


class Resume(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.layer = Layer(tar({"random": random_bytes(8 * MIB, 7)}), level=1)
        self.image = self.registry.repo("a").add(Image([self.layer]), "1")
        self.reference = f"{self.registry.host}/a:1"
        self.blob = "/blobs/" + self.layer.blob.digest
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def stop_after(self, count, call):
        """Reads events until the layer has so many bytes."""
        for event in call:
            if event.WhichOneof("event") == "layer" and event.layer.digest == self.layer.blob.digest:
                if event.layer.current >= count:
                    return
        self.fail("the pull ended before")

    def assert_fetched_once(self, slack):
        """The registry sent the blob once and at most `slack` bytes twice."""
        sent = self.registry.sent(self.blob)
        self.assertGreaterEqual(sent, self.layer.blob.size - slack)
        self.assertLessEqual(sent, self.layer.blob.size + slack)

    def hold_in_the_middle(self):
        """The blob's first answer stops at half and stays so; then it goes on whole."""
        self.registry.fault("GET", self.blob, times=1, cut=4 * MIB, gate=self.gate)

    def start_and_hold(self):
        self.hold_in_the_middle()
        call = self.client.Pull(reference=self.reference)
        self.stop_after(3 * MIB, call)
        return call

    def test_broken_connection_goes_on_by_range(self):
        self.registry.fault("GET", self.blob, times=1, cut=3 * MIB)
        self.registry.fault("GET", self.blob, times=1, cut=2 * MIB)
        done, events = self.client.pull(self.reference)
        ranges = [r.headers.get("Range") for r in self.registry.matching(self.blob, "GET")]
        self.assertEqual(3, len(ranges))
        self.assertIsNone(ranges[0])
        self.assertRegex(ranges[1], r"^bytes=\d+-")
        self.assert_fetched_once(MIB)
        self.assertTrue(any(e.layer.state == 6 for e in events if e.WhichOneof("event") == "layer"), "retrying is shown")
        self.assert_clean(self.client, [self.reference])

    def test_server_without_ranges_starts_over(self):
        self.registry.fault("GET", self.blob, times=1, cut=3 * MIB)
        self.registry.fault("GET", self.blob, times=1, ranges=False)
        self.client.pull(self.reference)
        self.assert_clean(self.client, [self.reference])

    def test_cancelled_pull_is_resumed_by_the_next(self):
        self.start_and_hold().cancel()
        self.wait_idle(self.client)
        self.gate.set()
        done, events = self.client.pull(self.reference)
        resumed = max(e.layer.resumed for e in events if e.WhichOneof("event") == "layer")
        self.assertGreaterEqual(resumed, 2 * MIB)
        self.assertLess(done.fetched_bytes, self.layer.blob.size - 2 * MIB)
        self.assert_clean(self.client, [self.reference])

    def test_deadline_keeps_what_came(self):
        self.hold_in_the_middle()
        call = self.client.Pull(reference=self.reference, timeout=3)
        with self.assertRaises(grpc.RpcError) as caught:
            list(call)
        self.assertEqual(grpc.StatusCode.DEADLINE_EXCEEDED, caught.exception.code())
        self.wait_idle(self.client)
        self.gate.set()
        done, _ = self.client.pull(self.reference)
        self.assertLess(done.fetched_bytes, self.layer.blob.size - 2 * MIB)

    def resumed_after(self, end):
        self.start_and_hold()
        end()
        self.gate.set()
        self.imaged.start()
        self.client = self.imaged.client()
        self.assertEqual([], self.client.images(), "unfinished is not listed")
        done, _ = self.client.pull(self.reference)
        self.assertLess(done.fetched_bytes, self.layer.blob.size)
        self.assert_clean(self.client, [self.reference])
        self.client.PruneImages(all=True)
        self.assertEqual(0, self.client.GetDiskUsage().ingest_bytes)

    def test_pull_goes_on_after_the_daemon_was_stopped(self):
        self.resumed_after(self.imaged.stop)

    def test_pull_goes_on_after_the_daemon_was_killed(self):
        self.resumed_after(self.imaged.kill)

    def test_another_image_with_the_blob_goes_on_too(self):
        other = self.registry.repo("b").add(Image([self.layer], config={"author": "other"}), "1")
        self.start_and_hold().cancel()
        self.wait_idle(self.client)
        self.gate.set()
        done, _ = self.client.pull(f"{self.registry.host}/b:1")
        self.assertEqual(other.id, done.image_id)
        self.assertLess(done.fetched_bytes, self.layer.blob.size - 2 * MIB)

    def test_bytes_that_changed_at_the_server_are_noticed(self):
        self.start_and_hold().cancel()
        self.wait_idle(self.client)
        self.gate.set()
        wrong = bytearray(self.layer.blob.data)
        wrong[-100] ^= 1
        self.registry.fault("GET", self.blob, times=None, body=bytes(wrong))
        self.assert_rpc_fails("DATA_LOSS", "DIGEST_MISMATCH", self.client.Pull, reference=self.reference)
        self.assertEqual([], self.client.images())
        self.registry.clear()
        self.client.pull(self.reference)
        self.assert_clean(self.client, [self.reference])
