"""Many callers at a time: work is shared, nobody's end is another's, and removal
never takes what a pull holds."""

import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from fakeregistry import FakeRegistry
from harness import TestCase, incomplete, program
from ociimage import Image, Layer, random_bytes, tar


class Concurrency(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def serve(self, name, seed, layers=3, size=300000):
        image = Image([Layer(tar({f"{seed}-{n}": random_bytes(size, seed * 100 + n)}), level=1) for n in range(layers)])
        self.registry.repo(name).add(image, "1")
        return image

    def blob_gets(self):
        found = {}
        for request in self.registry.matching("/blobs/", "GET"):
            found[request.path] = found.get(request.path, 0) + 1
        return found

    def test_fifty_clients_pull_one_image_and_each_blob_is_fetched_once(self):
        image = self.serve("a", 1)
        self.registry.fault("GET", "/blobs/", gate=self.gate)
        resolved = threading.Barrier(51)

        def one(_):
            with self.imaged_client() as client:
                call = client.Pull(reference=f"{self.registry.host}/a:1", timeout=120)
                next(call)
                resolved.wait(60)
                return [event for event in call][-1].done

        with ThreadPoolExecutor(50) as pool:
            results = pool.map(one, range(50))
            resolved.wait(60)
            self.gate.set()
            self.assertEqual({image.id}, {done.image_id for done in results})
        gets = self.blob_gets()
        self.assertEqual(4, len(gets))
        self.assertEqual({1}, set(gets.values()))
        self.assert_clean(self.client, [f"{self.registry.host}/a:1"])

    def imaged_client(self):
        from rpc import Client

        return Client(self.imaged.address)

    def test_one_callers_end_does_not_stop_the_others(self):
        self.serve("a", 2)
        self.registry.fault("GET", "/blobs/", gate=self.gate)
        calls = [self.client.Pull(reference=f"{self.registry.host}/a:1") for _ in range(3)]
        for call in calls:
            self.wait_downloading(call, 3)
        calls[0].cancel()
        late = self.client.Pull(reference=f"{self.registry.host}/a:1", timeout=0.5)
        with self.assertRaises(grpc.RpcError):
            list(late)
        self.gate.set()
        for call in calls[1:]:
            self.assertEqual("done", list(call)[-1].WhichOneof("event"))
        self.assertEqual({1}, set(self.blob_gets().values()))

    def wait_downloading(self, call, layers):
        """Until the pull takes part in the transfers of all its layers, the configuration's before them."""
        seen = set()
        while len(seen) < layers:
            event = next(call)
            if event.WhichOneof("event") == "layer" and event.layer.state == 3:
                seen.add(event.layer.digest)

    def test_client_killed_in_mid_pull_ends_its_pull(self):
        self.serve("a", 3)
        self.registry.fault("GET", "/blobs/", gate=self.gate)
        process = subprocess.Popen(
            [program("imagectl"), "pull", f"{self.registry.host}/a:1"],
            env={**os.environ, "IMAGED_HOST": self.imaged.address},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.assertTrue(self.registry.wait_requests(1, "/blobs/"))
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.wait_idle(self.client)
        self.gate.set()
        self.assertEqual([], self.client.images())
        self.client.pull(f"{self.registry.host}/a:1")
        self.assert_clean(self.client, [f"{self.registry.host}/a:1"])

    def test_interrupted_imagectl_ends_with_130(self):
        self.serve("a", 4)
        self.registry.fault("GET", "/blobs/", gate=self.gate)
        process = subprocess.Popen(
            [program("imagectl"), "pull", f"{self.registry.host}/a:1"],
            env={**os.environ, "IMAGED_HOST": self.imaged.address},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.assertTrue(self.registry.wait_requests(1, "/blobs/"))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        self.assertIn(process.returncode, (130, -2))

    def test_removal_and_prune_during_pulls_take_nothing_that_is_needed(self):
        images = {}
        base = Layer(tar({"base": random_bytes(200000, 99)}), level=1)
        for number in range(12):
            own = Layer(tar({f"own{number}": random_bytes(50000, number)}), level=1)
            images[f"n{number}"] = Image([base, own])
            self.registry.repo(f"n{number}").add(images[f"n{number}"], "1")
        stop, trouble = threading.Event(), []

        def sweep():
            with self.imaged_client() as client:
                while not stop.is_set():
                    try:
                        client.PruneImages(all=True)
                    except grpc.RpcError as error:
                        trouble.append(error.details())

        def pull(name):
            with self.imaged_client() as client:
                for _ in range(5):
                    reference = f"{self.registry.host}/{name}:1"
                    done, _ = client.pull(reference)
                    self.assertEqual(images[name].id, done.image_id)
                    try:
                        client.RemoveImage(image=reference)
                    except grpc.RpcError as error:
                        self.assertEqual(grpc.StatusCode.NOT_FOUND, error.code(), error.details())

        sweeper = threading.Thread(target=sweep)
        sweeper.start()
        try:
            with ThreadPoolExecutor(6) as pool:
                list(pool.map(pull, images))
        finally:
            stop.set()
            sweeper.join()
        self.assertEqual([], trouble)
        self.assertEqual([], incomplete(self.imaged.root, self.client))
        self.assert_clean(self.client)
        self.client.PruneImages(all=True)
        self.assertEqual(0, self.client.GetDiskUsage().blob_count)

    def test_pull_that_was_listed_stays_while_its_twin_is_removed(self):
        """The base layer of a removed image is kept for a pull that counts on it."""
        base = Layer(tar({"base": random_bytes(300000, 5)}), level=1)
        slow = Layer(tar({"slow": random_bytes(300000, 6)}), level=1)
        self.registry.repo("a").add(Image([base]), "1")
        second = self.registry.repo("b").add(Image([base, slow]), "1")
        self.client.pull(f"{self.registry.host}/a:1")
        self.registry.fault("GET", slow.blob.digest, gate=self.gate)
        call = self.client.Pull(reference=f"{self.registry.host}/b:1")
        next(call)
        self.assertTrue(self.registry.wait_requests(1, slow.blob.digest))
        self.client.RemoveImage(image=f"{self.registry.host}/a:1")
        self.client.PruneImages(all=True)
        self.gate.set()
        self.assertEqual(second.id, list(call)[-1].done.image_id)
        self.assertEqual([], incomplete(self.imaged.root, self.client))
        self.assertEqual(1, self.registry.count(base.blob.digest, "GET"))

    def test_drain_finishes_what_runs_and_refuses_what_comes(self):
        self.serve("a", 8)
        self.registry.fault("GET", "/blobs/", gate=self.gate)
        call = self.client.Pull(reference=f"{self.registry.host}/a:1")
        next(call)
        self.assertTrue(self.registry.wait_requests(1, "/blobs/"))
        self.imaged.process.terminate()
        threading.Timer(0.3, self.gate.set).start()
        self.assertEqual("done", list(call)[-1].WhichOneof("event"))
        self.assertEqual(0, self.imaged.wait())

    def assert_some_are_served(self, call):
        """Of a hundred that wait for ever; the rest is told, and all else works."""

        def outcome(client):
            try:
                call(client)
            except grpc.RpcError as error:
                return error.code().name, error.details()

        clients = [self.imaged.client() for _ in range(2)]
        with ThreadPoolExecutor(100) as pool:
            waiting = [pool.submit(outcome, clients[n % 2]) for n in range(100)]
            self.wait_until(lambda: sum(w.done() for w in waiting) == 100 - 32, "all but those that are served are refused")
            refused = {w.result() for w in waiting if w.done()}
            self.client.pull(f"{self.registry.host}/a:1")
            self.client.ListImages(timeout=10)
            self.gate.set()
            for client in clients:
                client.close()
        self.assertEqual({"RESOURCE_EXHAUSTED"}, {code for code, _ in refused})
        self.assertRegex(refused.pop()[1], "32 .* already: try again")

    def test_watches_leave_room_for_the_others(self):
        self.serve("a", 9)
        self.assert_some_are_served(lambda client: list(client.WatchEvents()))

    def test_logins_leave_room_for_the_others(self):
        self.serve("a", 9)
        slow = FakeRegistry().__enter__()
        self.addCleanup(slow.stop)
        slow.fault("*", "/v2/", gate=self.gate)
        self.assert_some_are_served(lambda client: client.CheckAuth(server_address=slow.host))

    def test_registry_that_stalls_does_not_stop_pulls_from_others(self):
        names = [f"s{n}" for n in range(5)]
        for seed, name in enumerate(names):
            self.serve(name, seed, layers=8, size=1000)
        self.registry.fault("GET", "/blobs/", gate=self.gate)
        with FakeRegistry() as good:
            good.repo("a").add(Image([Layer(tar({"good": b"good"}))]), "1")
            with ThreadPoolExecutor(5) as pool:
                stalled = [pool.submit(self.client.pull, f"{self.registry.host}/{name}:1") for name in names]
                self.assertTrue(self.registry.wait_requests(16, "/blobs/"))
                self.client.pull(f"{good.host}/a:1")
                self.assertEqual(16, self.registry.count("/blobs/"), "half of the threads")
                self.gate.set()
                for call in stalled:
                    call.result()
        self.assert_clean(self.client, [f"{good.host}/a:1"] + [f"{self.registry.host}/{name}:1" for name in names])

    def test_full_pool_says_so(self):
        """More calls than handlers and queue: RESOURCE_EXHAUSTED, and no harm."""
        self.serve("a", 9)
        self.registry.fault("*", "/manifests/", gate=self.gate)
        clients = [self.imaged.client() for _ in range(4)]  # a connection has 128 streams at most
        calls = [clients[n % 4].Pull(reference=f"{self.registry.host}/a:{n}", timeout=60) for n in range(300)]

        def outcome(call):
            try:
                list(call)
                return "OK"
            except grpc.RpcError as error:
                return error.code().name

        with ThreadPoolExecutor(300) as pool:
            waiting = [pool.submit(outcome, call) for call in calls]
            self.wait_until(lambda: any(w.done() for w in waiting), "one of the waiting is done")
            self.gate.set()
            codes = {w.result() for w in waiting}
        self.assertIn("RESOURCE_EXHAUSTED", codes)
        self.assertLessEqual(codes, {"OK", "NOT_FOUND", "RESOURCE_EXHAUSTED"})
        self.client.pull(f"{self.registry.host}/a:1")
