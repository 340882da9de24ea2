"""Large blobs in ranges: over several connections where one is slow, through cuts,
stalls and daemons that are killed, and against registries that answer with other
bytes than they were asked for. Bytes are counted at the registry.

SLOW paces each connection, so that more of them are worth it (split.c).
"""

import random
import re
import threading

from fakeregistry import FakeRegistry
from harness import TestCase, blob_path, incomplete
from ociimage import Image, Layer, random_bytes, tar

MIB = 1 << 20
RANGE = 8 * MIB
LANES = 6
SLOW = 0.02  # seconds after each MiB: 50 MB/s at most


def bounds(request):
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range") or "")
    return (int(found[1]), int(found[2]) + 1 if found[2] else None) if found else None


class Ranges(TestCase):
    SIZE = 64 * MIB

    @classmethod
    def setUpClass(cls):
        cls.layer = Layer(tar({"random": random_bytes(cls.SIZE, 11)}), "plain")

    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.registry.repo("a").add(Image([self.layer]), "1")
        self.reference = f"{self.registry.host}/a:1"
        self.blob = "/blobs/" + self.layer.blob.digest
        self.size = self.layer.blob.size
        self.imaged = self.daemon("--insecure-registry", self.registry.host)
        self.client = self.imaged.client()

    def slow(self, **action):
        return self.registry.fault("GET", self.blob, pace=SLOW, **action)

    def requests(self):
        return self.registry.matching(self.blob, "GET")

    def pull(self):
        done, events = self.client.pull(self.reference)
        self.assert_clean(self.client, [self.reference])
        self.assertEqual([], incomplete(self.imaged.root, self.client))
        return done, events

    def begin_and_hold(self, count):
        """A pull whose layer has so many bytes; it goes on."""
        call = self.client.Pull(reference=self.reference)
        for event in call:
            if event.WhichOneof("event") == "layer" and event.layer.digest == self.layer.blob.digest:
                if event.layer.current >= count:
                    return call
        self.fail("the pull ended before")


class Split(Ranges):
    def test_slow_registry_is_asked_for_several_ranges_at_once(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        # Each answer stops in the middle until two others have been asked for.
        self.slow(times=1)
        self.registry.fault("GET", self.blob, cut=4 * MIB, gate=gate)
        result = []
        pull = threading.Thread(target=lambda: result.append(self.pull()))
        pull.start()
        self.assertTrue(self.registry.wait_requests(3, self.blob), "other ranges are asked for meanwhile")
        gate.set()
        pull.join()
        self.assertEqual(self.size, self.registry.sent(self.blob))
        self.assertGreaterEqual(result[0][0].fetched_bytes, self.size)

    def test_ranges_are_bounded_and_none_is_fetched_twice(self):
        self.slow()
        self.pull()
        asked = sorted(bounds(r) for r in self.requests())
        for (begin, end), (following, _) in zip(asked, asked[1:], strict=False):
            self.assertEqual(end, following, "one follows the other")
            self.assertLessEqual(end - begin, RANGE)
        self.assertEqual(0, asked[0][0])
        self.assertEqual(self.size, self.registry.sent(self.blob))

    def test_every_range_but_the_first_names_the_version(self):
        self.slow()
        self.pull()
        tags = {r.headers.get("If-Range") for r in self.requests() if bounds(r)[0] > 0}
        self.assertEqual({f'"{self.layer.blob.digest}"'}, tags)

    def test_small_blobs_are_one_request(self):
        small = Layer(tar({"random": random_bytes(2 * RANGE - 10 * 1024, 3)}), "plain")
        self.assertLess(small.blob.size, 2 * RANGE)
        self.registry.repo("a").add(Image([small]), "small")
        self.registry.fault("GET", small.blob.digest, pace=SLOW)
        self.client.pull(f"{self.registry.host}/a:small")
        requests = self.registry.matching(small.blob.digest, "GET")
        self.assertEqual([None], [r.headers.get("Range") for r in requests])

    def test_progress_counts_what_is_here(self):
        self.slow()
        _, events = self.pull()
        seen = [e.layer.current for e in events if e.WhichOneof("event") == "layer" and e.layer.state == 3]
        self.assertEqual(sorted(seen), seen)
        self.assertLessEqual(max(seen), self.size)

    def test_storage_that_a_registry_leads_to_is_asked_directly(self):
        with FakeRegistry() as storage:
            storage.repo("a").add(Image([self.layer]), "1")
            self.registry.blobs_at = f"http://{storage.host}"
            storage.fault("GET", self.blob, pace=SLOW)
            self.pull()
            self.assertEqual(self.size, storage.sent(self.blob))
            self.assertLess(self.registry.count(self.blob), storage.count(self.blob))
            self.assertFalse([r for r in storage.requests if "Authorization" in r.headers])

    def test_signature_that_expires_between_ranges_is_renewed(self):
        with FakeRegistry() as storage:
            storage.repo("a").add(Image([self.layer]), "1")
            self.registry.blobs_at = f"http://{storage.host}"
            storage.fault("GET", self.blob, times=3, pace=SLOW)
            storage.fault("GET", self.blob, times=2, status=403, body=b"<Error>expired</Error>")
            storage.fault("GET", self.blob, pace=SLOW)
            self.pull()
            self.assertEqual(self.size, storage.sent(self.blob) - 2 * len(b"<Error>expired</Error>"))


class Odd(Ranges):
    """What a registry may answer to a range in mid-way. One stream goes on; the result is right."""

    SIZE = 40 * MIB

    def answer_once(self, answer, skip=2):
        self.slow(times=skip)
        self.registry.fault("GET", self.blob, times=1, answer=answer)
        self.slow()

    def part(self, handler, blob, start, end, shown=None, total=None, extra=0, headers=None):
        """206 of [start, end) that says `shown`."""
        first, last = shown or (start, end)
        said = {"ETag": f'"{blob.digest}"', "Content-Range": f"bytes {first}-{last - 1}/{total or blob.size}"}
        said.update(headers or {})
        said = {name: value for name, value in said.items() if value is not None}
        handler.reply(206, said, blob.data[start : end + extra])

    def check(self, answer, skip=2):
        self.answer_once(answer, skip)
        self.pull()
        self.assertLessEqual(self.registry.sent(self.blob), 2 * self.size + LANES * RANGE)

    def test_shifted(self):
        self.check(lambda h, b, s, e: self.part(h, b, s + 1, e, shown=(s + 1, e)))

    def test_shifted_and_not_said(self):
        """The digest finds what the headers do not tell; then it is fetched as a whole."""
        self.answer_once(lambda h, b, s, e: self.part(h, b, s - 1, e - 1, shown=(s, e)))
        error = self.assert_rpc_fails("DATA_LOSS", "DIGEST_MISMATCH", self.client.Pull, reference=self.reference)
        self.assertIn("digest", error.details())
        self.assertEqual(0, len(self.client.images()))
        self.pull()

    def test_shorter(self):
        self.check(lambda h, b, s, e: self.part(h, b, s, e - MIB))

    def test_longer_than_asked_for(self):
        self.check(lambda h, b, s, e: self.part(h, b, s, e, extra=1))

    def test_without_content_range(self):
        self.check(lambda h, b, s, e: self.part(h, b, s, e, headers={"Content-Range": None}))

    def test_malformed_content_range(self):
        self.check(lambda h, b, s, e: self.part(h, b, s, e, headers={"Content-Range": f"bytes {s}-{e - 1}"}))

    def test_other_total(self):
        self.check(lambda h, b, s, e: self.part(h, b, s, e, total=b.size + 1))

    def test_several_parts(self):
        kind = {"Content-Range": None, "Content-Type": "multipart/byteranges; boundary=x"}
        self.check(lambda h, b, s, e: self.part(h, b, s, e, headers=kind))

    def test_other_version(self):
        self.check(lambda h, b, s, e: self.part(h, b, s, e, headers={"ETag": '"other"'}))

    def test_whole_in_answer_to_a_range(self):
        self.check(lambda h, b, s, e: h.reply(200, {"ETag": f'"{b.digest}"'}, b, 0, b.size))

    def test_not_satisfiable(self):
        self.check(lambda h, b, s, e: h.reply(416, {"Content-Range": f"bytes */{b.size}"}, b""))

    def test_coded(self):
        self.check(lambda h, b, s, e: self.part(h, b, s, e, headers={"Content-Encoding": "gzip"}))

    def test_the_first_answer_may_be_odd_as_well(self):
        self.check(lambda h, b, s, e: self.part(h, b, s + 1, e, shown=(s + 1, e)), skip=0)

    def test_server_without_ranges_sends_the_whole_once(self):
        self.registry.fault("GET", self.blob, ranges=False)
        self.pull()
        self.assertEqual(self.size, self.registry.sent(self.blob))

    def test_server_that_has_enough_of_many_connections(self):
        """Refusals of further ranges cost lanes, not the pull."""
        self.slow(times=2)
        self.registry.fault("GET", self.blob, times=3, status=429, headers={"Retry-After": "0"})
        self.slow()
        self.pull()
        self.assertEqual(self.size, self.registry.sent(self.blob))


class Cuts(Ranges):
    def test_cut_range_goes_on_where_it_broke(self):
        self.slow(times=1)
        self.registry.fault("GET", self.blob, times=4, cut=3 * MIB)
        self.slow()
        self.pull()
        self.assertLessEqual(self.registry.sent(self.blob), self.size + 4 * RANGE)

    def test_dead_daemon_left_what_came_behind_the_gap(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        # The first range stops for good; others come.
        self.registry.fault("GET", self.blob, times=1, cut=4 * MIB, gate=gate, pace=SLOW * 5)
        self.slow()
        self.begin_and_hold(40 * MIB)
        self.imaged.kill()
        gate.set()
        self.registry.clear()
        self.imaged.start()
        self.client = self.imaged.client()
        _, events = self.pull()
        resumed = max(e.layer.resumed for e in events if e.WhichOneof("event") == "layer")
        self.assertGreaterEqual(resumed, 30 * MIB)
        self.assertEqual(self.size, self.registry.sent(self.blob) + resumed)

    def one_history(self, seed):
        """Random faults and ends; then the result is right and little came twice."""
        chance = random.Random(seed)
        allowed = self.size
        for _ in range(chance.randint(1, 4)):
            for _ in range(chance.randint(0, 4)):
                self.registry.fault("GET", self.blob, times=1, skip=chance.randint(0, 3), cut=chance.randrange(RANGE))
                allowed += RANGE
            self.slow()
            end = chance.choice(["kill", "stop", "cancel"])
            call = self.begin_and_hold(chance.randrange(self.client_has(), self.size - 8 * MIB))
            allowed += LANES * RANGE  # each in flight is a range that was cut
            if end == "cancel":
                call.cancel()
                self.wait_idle(self.client)
            else:
                getattr(self.imaged, end)()
                self.imaged.start()
                self.client = self.imaged.client()
            with self.registry.lock:
                self.registry.faults.clear()
        self.pull()
        self.assertLessEqual(self.registry.sent(self.blob), allowed, f"seed {seed}")
        with open(blob_path(self.imaged.root, self.layer.blob.digest), "rb") as file:
            self.assertEqual(self.layer.blob.data, file.read())

    def client_has(self):
        return min(self.client.GetDiskUsage().ingest_bytes, self.size - 9 * MIB)

    def test_random_histories(self):
        for seed in range(4):
            with self.subTest(seed=seed):
                self.one_history(seed)
                self.client.PruneImages(all=True)
                self.registry.clear()
