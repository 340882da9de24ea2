"""Metrics as Prometheus scrapes them, and what a hostile client of their port can do."""

import concurrent.futures
import contextlib
import http.client
import os
import re
import socket
import subprocess
import threading

import grpc

from fakeregistry import FakeRegistry
from fakeuploads import UploadRegistry
from harness import TestCase, program
from ociimage import Image, Layer, tar

METHOD = "/imaged.v1.ImageService/"
CONNECTIONS = 16
SAMPLE = re.compile(
    r'^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*)\})? '
    r"(?P<value>[-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|Inf|NaN))$"
)


class Scrape:
    """The exposition format 0.0.4, checked as it is read: each family once and in one piece,
    with help and type before its samples, names as the conventions have them."""

    def __init__(self, text):
        self.types, self.values, family = {}, {}, None
        assert text.endswith("\n")
        for line in text[:-1].split("\n"):
            if line.startswith("# HELP "):
                family = line.split(" ", 3)[2]
                assert family not in self.types and line.endswith("."), line
            elif line.startswith("# TYPE "):
                name, kind = line.split(" ")[2:]
                assert name == family and kind in ("counter", "gauge", "histogram"), line
                assert (kind == "counter") == name.endswith("_total"), line
                self.types[name] = kind
            else:
                self._sample(line, family)

    def _sample(self, line, family):
        found = SAMPLE.match(line)
        assert found, line
        name, kind = found["name"], self.types[family]
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        assert name in [family + part for part in parts], line
        key = (name, tuple(sorted((found["labels"] or "").split(",")))) if found["labels"] else (name, ())
        assert key not in self.values, line
        self.values[key] = float(found["value"])

    def get(self, name, **labels):
        return self.values.get((name, tuple(sorted(f'{k}="{v}"' for k, v in labels.items()))), 0)

    def named(self, name):
        return {labels: value for (found, labels), value in self.values.items() if found == name}

    def check_histograms(self):
        """Buckets never fall, the last is the count, and no more time than calls gave."""
        methods = {}
        for labels, value in self.named("imaged_rpc_duration_seconds_bucket").items():
            bound, method = labels if labels[0].startswith("le=") else labels[::-1]
            methods.setdefault(method, []).append((float(bound[4:-1].replace("+Inf", "inf")), value))
        for method, buckets in methods.items():
            counts = [value for _, value in sorted(buckets)]
            assert counts == sorted(counts), method
            assert counts[-1] == self.values["imaged_rpc_duration_seconds_count", (method,)], method
            assert (counts[-1] > 0) == (self.values["imaged_rpc_duration_seconds_sum", (method,)] > 0), method
        return len(methods)


class MetricsTest(TestCase):
    def setUp(self):
        super().setUp()
        self.imaged = self.daemon("--metrics-listen", "127.0.0.1:0")
        self.client = self.imaged.client()
        self.port = int(self.imaged.wait_log(r"metrics are at http://127\.0\.0\.1:(\d+)/metrics\n")[1])

    def ask(self, method="GET", path="/metrics", body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer, answer.read().decode()

    def scrape(self):
        answer, text = self.ask()
        self.assertEqual(200, answer.status)
        self.assertEqual("text/plain; version=0.0.4; charset=utf-8", answer.headers["Content-Type"])
        return Scrape(text)

    def image(self, registry, name, size=300000, layers=2):
        content = [Layer(tar({f"{name}{i}": bytes((i + j) % 251 for j in range(size))})) for i in range(layers)]
        registry.repo(name).add(Image(content), "1")
        return f"{registry.host}/{name}:1"

    def test_images_and_names_are_counted_as_they_come_and_go(self):
        """What each change keeps, against what a list finds."""
        with FakeRegistry() as registry:
            one, two = self.image(registry, "one"), self.image(registry, "two")
            steps = (
                (0, lambda client: None),
                (1, lambda client: client.pull(one)),
                (1, lambda client: client.pull(one)),
                (2, lambda client: client.pull(two)),
                (2, lambda client: client.TagImage(source=one, target="a:1")),
                (2, lambda client: client.TagImage(source=one, target="a:2")),
                (2, lambda client: client.TagImage(source=one, target="a:2")),
                (2, lambda client: client.TagImage(source=two, target="a:2")),
                (2, lambda client: client.RemoveImage(image="a:1")),
                (1, lambda client: client.RemoveImage(image=one)),
                (2, lambda client: client.pull(one)),
                (2, lambda client: self.restart()),
                (0, lambda client: client.PruneImages(all=True)),
                (0, lambda client: self.restart()),
            )
            for number, (images, step) in enumerate(steps):
                step(self.client)
                listed = self.client.images(all=True)
                names = sum(len(i.repo_tags) + len(i.repo_digests) for i in listed)
                seen, info = self.scrape(), self.client.GetInfo()
                self.assertEqual(images, len(listed), number)
                self.assertEqual((images, names), (seen.get("imaged_images"), seen.get("imaged_image_names")), number)
                self.assertEqual((images, names), (info.images, info.names), number)

    def restart(self):
        begin = len(self.imaged.log)
        self.imaged.restart()
        self.client = self.imaged.client()
        self.port = int(self.imaged.wait_log(r"metrics are at http://127\.0\.0\.1:(\d+)/metrics\n", begin)[1])

    def test_calls_are_counted_by_method_and_code(self):
        for _ in range(3):
            self.client.GetVersion()
        self.assert_rpc_fails("NOT_FOUND", None, self.client.RemoveImage, image="nothing")
        with self.assertRaises(grpc.RpcError):
            self.client.channel.unary_unary("/no.such.Service/" + "x" * 100)(b"", timeout=30)
        seen = self.scrape()
        count = lambda method, code: seen.get("imaged_rpc_handled_total", method=method, code=code)  # noqa: E731
        self.assertEqual(3, count(METHOD + "GetVersion", "OK"))
        self.assertEqual(1, count(METHOD + "RemoveImage", "NOT_FOUND"))
        self.assertEqual(1, count("unknown", "UNIMPLEMENTED"))
        self.assertEqual(3, seen.get("imaged_rpc_duration_seconds_count", method=METHOD + "GetVersion"))
        self.assertGreater(seen.get("imaged_rpc_sent_bytes_total", method=METHOD + "GetVersion"), 100)
        self.assertGreaterEqual(seen.check_histograms(), 3)

    def test_calls_that_are_refused_are_counted_with_their_code(self):
        imaged = self.daemon("--metrics-listen", "127.0.0.1:0", "--grant", "read:unix", "--client-calls", "1", name="strict")
        client, self.port = imaged.client(), int(imaged.wait_log(r"metrics are at http://127\.0\.0\.1:(\d+)/")[1])
        self.assert_rpc_fails("PERMISSION_DENIED", "ROLE_REQUIRED", client.Pull, reference="x")
        watch = client.WatchTransfers()
        next(watch)
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "CLIENT_LIMIT", client.ListImages)
        watch.cancel()
        seen = self.scrape()
        for method, code in (("Pull", "PERMISSION_DENIED"), ("ListImages", "RESOURCE_EXHAUSTED")):
            self.assertEqual(1, seen.get("imaged_rpc_handled_total", method=METHOD + method, code=code))
            self.assertEqual(0, seen.get("imaged_rpc_in_flight", method=METHOD + method))

    def test_methods_that_clients_invent_are_one_series(self):
        before = len(self.scrape().values)
        for number in range(50):
            with self.assertRaises(grpc.RpcError):
                self.client.channel.unary_unary(f"/no.such.Service/M{number}")(b"", timeout=30)
        after = self.scrape()
        self.assertEqual(50, after.get("imaged_rpc_handled_total", method="unknown", code="UNIMPLEMENTED"))
        self.assertLess(len(after.values) - before, 25)

    def test_pull_shows_while_it_runs_and_afterwards(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        with FakeRegistry() as registry:
            reference = self.image(registry, "a")
            registry.fault("GET", "/blobs/", times=1, cut=1000, gate=gate)
            call = self.client.Pull(reference=reference, timeout=60)
            next(call)
            running = self.scrape()
            self.assertEqual(1, running.get("imaged_pulls_running"))
            self.assertEqual(1, running.get("imaged_rpc_in_flight", method=METHOD + "Pull"))
            self.assertEqual(0, running.get("imaged_rpc_duration_seconds_count", method=METHOD + "Pull"))
            gate.set()
            list(call)
            done = self.scrape()
            fetched = registry.sent("/blobs/")
        self.assertEqual(0, done.get("imaged_pulls_running"))
        self.assertEqual(0, done.get("imaged_rpc_in_flight", method=METHOD + "Pull"))
        # the manifest, the configuration and two layers
        self.assertEqual(4, done.get("imaged_transfers_total", kind="pull", outcome="ok"))
        self.assertEqual(fetched, done.get("imaged_transfer_bytes_total", kind="pull"))
        # its tag and its digest
        self.assertEqual((1, 2), (done.get("imaged_images"), done.get("imaged_image_names")))
        usage = self.client.GetDiskUsage()
        self.assertEqual(usage.content_bytes, done.get("imaged_store_bytes", kind="content"))
        self.assertEqual(usage.layer_image_bytes, done.get("imaged_store_bytes", kind="layers"))
        self.assertEqual(2, done.get("imaged_store_files", kind="layers"))
        self.assertGreaterEqual(done.get("imaged_layer_worker_starts_total"), 1)
        self.assertEqual(0, done.get("imaged_layer_worker_failures_total"))

    def test_transfers_that_fail_and_pushes_are_counted(self):
        with UploadRegistry() as registry:
            reference = self.image(registry, "a")
            self.client.pull(reference)
            self.client.TagImage(source=reference, target=f"{registry.host}/b:1")
            list(self.client.Push(reference=f"{registry.host}/b:1", timeout=60))
            broken = self.image(registry, "broken", size=2000, layers=1)
            registry.fault("GET", "/broken/blobs/", status=404)
            with self.assertRaises(grpc.RpcError):
                self.client.pull(broken)
        seen = self.scrape()
        pushed = [seen.get("imaged_transfers_total", kind="push", outcome=o) for o in ("ok", "mounted")]
        self.assertEqual(3, sum(pushed), pushed)
        self.assertEqual(bool(pushed[0]), seen.get("imaged_transfer_bytes_total", kind="push") > 0)
        self.assertGreaterEqual(seen.get("imaged_transfers_total", kind="pull", outcome="failed"), 1)

    def test_garbage_collection_is_counted(self):
        self.wait_until(lambda: self.scrape().get("imaged_gc_runs_total", outcome="ok") == 1, "the first collection")
        self.assertGreater(self.scrape().get("imaged_gc_seconds_total"), 0)

    def test_process_is_described(self):
        seen = self.scrape()
        with open(f"/proc/{self.imaged.pid}/status", encoding="ascii") as file:
            anonymous = int(re.search(r"^RssAnon:\s+(\d+) kB", file.read(), re.M)[1]) * 1024
        self.assertAlmostEqual(anonymous, seen.get("process_resident_anonymous_memory_bytes"), delta=8 << 20)
        self.assertGreater(seen.get("process_resident_memory_bytes"), anonymous // 2)
        self.assertGreater(seen.get("process_cpu_seconds_total"), 0)
        for name in ("process_threads", "process_open_fds", "process_max_fds", "process_virtual_memory_bytes"):
            self.assertGreater(seen.get(name), 1, name)
        self.assertEqual([1], list(seen.named("imaged_build_info").values()))

    def test_scrapes_agree_with_themselves_under_load(self):
        stop = threading.Event()

        def load():
            with self.imaged.client() as client:
                while not stop.is_set():
                    client.ListImages()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            loads = [pool.submit(load) for _ in range(4)]
            try:
                for _ in range(50):
                    self.scrape().check_histograms()
            finally:
                stop.set()
            for one in loads:
                one.result()

    def test_only_get_and_head_of_one_path(self):
        self.assertEqual(404, self.ask(path="/")[0].status)
        self.assertEqual(404, self.ask(path="/metrics/../etc/passwd")[0].status)
        for method in ("POST", "PUT", "DELETE", "NONSENSE"):
            answer, _ = self.ask(method, body=b"x" * 10)
            self.assertEqual((405, "GET, HEAD"), (answer.status, answer.headers["Allow"]))
        answer, text = self.ask("HEAD")
        self.assertEqual((200, ""), (answer.status, text))

    def anonymous(self):
        return self.scrape().get("process_resident_anonymous_memory_bytes")

    def test_large_requests_are_refused(self):
        before = self.anonymous()
        for request in (
            b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1000000,
            b"GET /" + b"y" * 1000000,
            b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100000,
            b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + b"z" * 1000000,
        ):
            with socket.create_connection(("127.0.0.1", self.port), 30) as raw:
                with contextlib.suppress(ConnectionError):
                    raw.sendall(request)
                answer = b""
                with contextlib.suppress(ConnectionError):
                    while piece := raw.recv(65536):
                        answer += piece
                self.assertRegex(answer, rb"^$|^HTTP/1\.[01] 4\d\d ")
        self.assertLess(self.anonymous() - before, 4 << 20)

    def test_many_and_slow_clients_wait_and_do_not_disturb_the_service(self):
        before = self.scrape()
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(socket.create_connection(("127.0.0.1", self.port), 30)) for _ in range(30)]
            for one in slow:
                one.sendall(b"GET /metr")
            self.client.GetVersion(timeout=30)
            threads = len(list(self.tasks()))
            self.assertLessEqual(threads, before.get("process_threads") + 2)
            for one in slow[:CONNECTIONS]:  # silent ones are let go, and the rest gets its turn
                self.assertEqual(b"", one.recv(1))
            slow[-1].sendall(b"ics HTTP/1.0\r\n\r\n")
            self.assertRegex(slow[-1].recv(100), rb"^HTTP/1\.[01] 200 ")

    def tasks(self):
        return os.listdir(f"/proc/{self.imaged.pid}/task")

    def test_unix_socket(self):
        path = self.path("metrics.sock")
        imaged = self.daemon("--metrics-listen", f"unix://{path}", name="unix")
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(path)
            raw.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            answer = b""
            while piece := raw.recv(65536):
                answer += piece
        head, _, text = answer.partition(b"\r\n\r\n")
        self.assertRegex(head, rb"^HTTP/1\.[01] 200 ")
        self.assertEqual(1, len(Scrape(text.decode()).named("imaged_build_info")))
        imaged.stop()
        self.assertFalse(os.path.exists(path))

    def test_nobody_listens_unless_told_to(self):
        imaged = self.daemon(name="silent")
        imaged.client().GetVersion()
        self.assertNotIn("metrics", imaged.log)

    def test_addresses_that_cannot_be(self):
        for address in ("nonsense", "fd://3", "127.0.0.1", f"127.0.0.1:{self.port}", "unix://relative", "::1:99"):
            with self.subTest(address):
                result = subprocess.run(
                    [program("imaged"), "--root", self.path("other"), "--listen", f"unix://{self.path('o.sock')}",
                     "--metrics-listen", address],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                )  # fmt: skip
                self.assertEqual(1, result.returncode, result.stderr)
                self.assertRegex(result.stderr, r"(?m)^imaged: metrics-listen: ")
