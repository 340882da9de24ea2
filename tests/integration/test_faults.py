"""Disks, roots and processes that misbehave."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading

import grpc

from fakeregistry import FakeRegistry
from harness import Daemon, TestCase, blob_path, incomplete, program
from ociimage import Image, Layer, random_bytes, tar


class Faults(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)

    def serve(self, name="a", size=200000, seed=1):
        image = Image([Layer(tar({"data": random_bytes(size, seed)}), level=1)])
        self.registry.repo(name).add(image, "1")
        return f"{self.registry.host}/{name}:1"

    def refused(self, *args, **options):
        """What imaged says when it does not start; its exit status is 1."""
        daemon = Daemon(self.path("refused"), *args, ready=False, **options)
        status = daemon.wait(20)
        self.assertEqual(1, status, daemon.log)
        self.assertEqual(1, len(daemon.log.strip().splitlines()), daemon.log)
        return daemon.log

    def mount(self, what, path, *options):
        os.makedirs(path, exist_ok=True)
        done = subprocess.run(["mount", *options, what, path], stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            self.skipTest("mount is not permitted: " + done.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=True)
        return path

    def test_second_daemon_on_a_root_is_refused_with_the_pid_of_the_first(self):
        first = self.daemon()
        said = self.refused(root=first.root)
        self.assertIn(str(first.pid), said)
        self.assertIn(first.root, said)
        self.assertEqual("0.1.0", first.client().GetVersion().version)

    def test_root_can_be_used_again_after_kill(self):
        first = self.daemon()
        first.kill()
        first.start()
        self.assertEqual([], first.client().images())

    def test_stale_socket_is_replaced_and_a_live_one_is_not(self):
        first = self.daemon()
        second_root = self.path("second")
        said = self.refused("--listen", first.address, root=second_root)
        self.assertIn(first.socket, said)
        first.kill()
        self.assertTrue(os.path.exists(first.socket))
        first.start()
        self.assertEqual(0o660, os.stat(first.socket).st_mode & 0o777)

    def test_directory_that_is_no_store_is_refused(self):
        os.makedirs(self.path("full"))
        with open(self.path("full", "letter.txt"), "w", encoding="ascii") as file:
            file.write("dear")
        self.assertIn(self.path("full"), self.refused(root=self.path("full")))
        self.assertEqual(["letter.txt"], os.listdir(self.path("full")))

    def test_newer_format_is_refused_and_untouched(self):
        first = self.daemon()
        first.stop()
        with open(os.path.join(first.root, "FORMAT"), "w", encoding="ascii") as file:
            file.write("imaged store 999\n")
        self.assertIn("999", self.refused(root=first.root))

    def test_directories_of_the_store_are_private(self):
        first = self.daemon()
        for name in (".", "content", "ingest", "meta"):
            self.assertEqual(0o700, os.stat(os.path.join(first.root, name)).st_mode & 0o777, name)

    def test_read_only_root_reads_and_refuses_to_write(self):
        reference = self.serve()
        first = self.daemon()
        first.client().pull(reference)
        first.stop()
        mounted = self.mount(first.root, self.path("ro"), "--bind")
        if subprocess.run(["mount", "-o", "remount,bind,ro", mounted], stderr=subprocess.PIPE).returncode:
            self.skipTest("remount read-only is not permitted")
        second = self.daemon(name="second", root=mounted)
        client = second.client()
        self.assertEqual([reference], [t for i in client.images() for t in i.repo_tags])
        self.assertEqual(reference, client.InspectImage(image=reference).image.repo_tags[0])
        for call, fields in (
            (client.TagImage, {"source": reference, "target": "x"}),
            (client.RemoveImage, {"image": reference}),
            (client.PruneImages, {"all": True}),
            (client.Pull, {"reference": self.serve("b", seed=2)}),
        ):
            self.assert_rpc_fails("FAILED_PRECONDITION", "READ_ONLY_STORE", call, **fields)
        self.assert_clean(client, [reference])

    def test_full_disk_ends_the_pull_and_nothing_else(self):
        disk = self.mount("tmpfs", self.path("small"), "-t", "tmpfs", "-o", "size=24m")
        imaged = self.daemon(root=os.path.join(disk, "root"))
        client = imaged.client()
        small = self.serve("small", 1000000, 2)
        client.pull(small)
        big = self.serve("big", 30000000, 3)
        error = self.assert_rpc_fails("RESOURCE_EXHAUSTED", "DISK_FULL", client.Pull, reference=big)
        self.assertRegex(error.details(), r"needed|space|full")
        self.assertRegex(error.details(), r"[kMG]i?B|bytes")
        self.assert_clean(client, [small])
        client.TagImage(source=small, target="still:works")
        client.RemoveImage(image="still:works")
        again = self.serve("again", 2000000, 4)
        client.pull(again)
        self.assert_clean(client, [small, again])
        said = imaged.ctl("pull", big, check=False)
        self.assertEqual(1, said.returncode)
        self.assertEqual(1, len(said.stderr.strip().splitlines()), said.stderr)

    def test_disk_that_fills_up_while_a_pull_writes(self):
        """The reservation cannot know what others write."""
        disk = self.mount("tmpfs", self.path("small"), "-t", "tmpfs", "-o", "size=48m")
        imaged = self.daemon(root=os.path.join(disk, "root"))
        client = imaged.client()
        gate = threading.Event()
        self.addCleanup(gate.set)
        reference = self.serve("a", 16 << 20, 5)
        self.registry.fault("GET", "/blobs/", times=2, cut=1 << 20, gate=gate)
        call = client.Pull(reference=reference)
        next(call)
        self.assertTrue(self.registry.wait_requests(1, "/blobs/"))
        with open(os.path.join(disk, "ballast"), "wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 65536)
        gate.set()
        try:
            self.assertEqual("done", list(call)[-1].WhichOneof("event"))  # its space was set aside before
        except grpc.RpcError as error:
            self.assertEqual("RESOURCE_EXHAUSTED", error.code().name, error.details())
            self.assertEqual([], client.images())
        self.assertEqual([], incomplete(imaged.root, client))
        os.unlink(os.path.join(disk, "ballast"))
        client.pull(reference)
        self.assert_clean(client, [reference])

    def test_log_level_says_how_much_is_told(self):
        for level, told in (("warn", (False, False)), ("info", (True, False)), ("debug", (True, True))):
            with self.subTest(level):
                imaged = self.daemon("--log-level", level, name=level)
                client = imaged.client()
                client.pull(self.serve(level, 1000))
                self.assert_rpc_fails("NOT_FOUND", "NO_SUCH_IMAGE", client.RemoveImage, image="nothing")
                imaged.stop()
                self.assertEqual(told[0], " info  /imaged.v1.ImageService/RemoveImage from unix:" in imaged.log)
                for line in (r"\S+/Pull from unix:\S+ after \d+ ms: OK", r"transfer of sha256:\S+ after \d+ ms: OK, [1-9]"):
                    (self.assertRegex if told[1] else self.assertNotRegex)(imaged.log, " debug " + line)

    def test_worker_that_is_killed_fails_its_pull_with_a_reason(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        reference = self.serve("a", 4 << 20, 6)
        self.registry.fault("GET", "/blobs/" , times=2, cut=1 << 20, gate=gate)
        imaged = self.daemon("--log-level", "warn")
        client = imaged.client()
        call = client.Pull(reference=reference)
        next(call)
        self.assertTrue(self.registry.wait_for(lambda: any(r.sent >= 1 << 20 for r in self.registry.requests)))
        workers = self.children(imaged.pid)
        self.assertTrue(workers, "a worker runs while a layer is fetched")
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        gate.set()
        self.assert_rpc_fails("INTERNAL", "WORKER_FAILED", lambda: call)
        self.assertTrue(imaged.wait_log(r" warn  \S+/Pull from unix:\S+ after \d+ ms: WORKER_FAILED: "))
        self.assertEqual([], client.images())
        client.pull(reference)
        self.assert_clean(client, [reference])

    @staticmethod
    def children(pid):
        """Child processes that have executed imaged-layer."""
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            found = [int(text) for text in file.read().split()]
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(text) for text in file.read().split()]
        return sorted(set(found))

    def test_worker_has_no_privileges(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        reference = self.serve("a", 4 << 20, 7)
        self.registry.fault("GET", "/blobs/", times=2, cut=1 << 20, gate=gate)
        imaged = self.daemon()
        call = imaged.client().Pull(reference=reference)
        next(call)
        self.assertTrue(self.registry.wait_for(lambda: any(r.sent >= 1 << 20 for r in self.registry.requests)))
        for pid in self.children(imaged.pid):
            for _ in range(1000):  # until it has begun: a program that starts has no event for that
                with open(f"/proc/{pid}/status", encoding="ascii") as file:
                    status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
                if status["Seccomp"] == "2":
                    break
                threading.Event().wait(0.01)
            self.assertEqual("1", status["NoNewPrivs"])
            self.assertEqual("2", status["Seccomp"])
            self.assertEqual(0, int(status["CapEff"], 16))
            self.assertEqual(0, int(status["CapBnd"], 16) & int(status["CapEff"], 16))
            self.assertNotIn("0", status["Uid"].split()[1:2])
        gate.set()
        self.assertEqual("done", list(call)[-1].WhichOneof("event"))

    def test_missing_worker_program_is_said_at_start(self):
        os.makedirs(self.path("bin"))
        shutil.copy(program("imaged"), self.path("bin", "imaged"))
        done = subprocess.run(
            [self.path("bin", "imaged"), "--root", self.path("r"), "--listen", f"unix://{self.path('s')}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20,
        )
        if "ready" in done.stdout:
            self.skipTest("an installed imaged-layer was found")
        self.assertEqual(1, done.returncode)
        self.assertIn("imaged-layer", done.stdout)

    def test_root_directory_that_vanishes_is_an_error_not_a_crash(self):
        imaged = self.daemon()
        client = imaged.client()
        reference = self.serve()
        client.pull(reference)
        shutil.rmtree(os.path.join(imaged.root, "content"))
        findings, _ = client.check(quick=True)
        self.assertTrue(any(f.kind == 2 for f in findings), findings)
        self.assertFalse(os.path.exists(blob_path(imaged.root, client.images()[0].id)))
