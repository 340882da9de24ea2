"""The processes that read layers: what they can do, and what becomes of a pull whose
worker crashes, hangs or is killed. Real ones, seen and hit from outside."""

import os
import signal
import stat
import threading

import grpc

import erofs
from fakeregistry import FakeRegistry
from harness import SLOW, TestCase
from ociimage import Image, Layer, random_bytes, tar
from rpc import reason

MIB = 1 << 20
INFLATES, WRITES = b"", b"erofs"
SECRET = "hunter2-of-the-environment"


class WorkerCase(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)
        self.layer = Layer(tar({f"f{n}": random_bytes(MIB, n) for n in range(8)}), level=1)
        self.registry.repo("held").add(Image([self.layer]), "1")
        self.registry.repo("other").add(Image([Layer(tar({"other": random_bytes(MIB, 99)}))]), "1")
        self.held, self.other = (f"{self.registry.host}/{name}:1" for name in ("held", "other"))
        self.imaged = self.daemon(env={"IMAGED_TEST_SECRET": SECRET})
        self.client = self.imaged.client()

    def hold(self):
        """A pull whose layer has come to the half, and its workers: {mode: pid}."""
        self.gate.clear()
        self.registry.fault("GET", "/blobs/" + self.layer.blob.digest, times=1, cut=4 * MIB, gate=self.gate)
        call = self.client.Pull(reference=self.held, timeout=300)
        for event in call:
            if event.WhichOneof("event") == "layer" and event.layer.current >= 3 * MIB:
                break
        else:
            self.fail("the pull ended before")
        self.wait_until(lambda: set(self.workers()) == {INFLATES, WRITES}, "both workers at work")
        return call, self.workers()

    def workers(self):
        """{mode: pid} of the daemon's children that are in their sandbox."""
        found = {}
        for task in os.listdir(f"/proc/{self.imaged.pid}/task"):
            with open(f"/proc/{self.imaged.pid}/task/{task}/children", encoding="ascii") as file:
                for pid in map(int, file.read().split()):
                    with open(f"/proc/{pid}/cmdline", "rb") as line:
                        if self.status(pid)["Seccomp"] == "2":
                            found[line.read().split(b"\0")[1]] = pid
        return found

    @staticmethod
    def status(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)

    def layer_files(self):
        return [name for _, _, names in os.walk(os.path.join(self.imaged.root, "layers")) for name in names]

    def assert_fails(self, call, text):
        with self.assertRaises(grpc.RpcError) as caught:
            list(call)
        error = caught.exception
        self.assertEqual(("INTERNAL", "WORKER_FAILED"), (error.code().name, reason(error)), error.details())
        self.assertRegex(error.details(), text)
        self.assertIsNone(self.imaged.process.poll(), "imaged lives")
        self.assertEqual([], self.layer_files())
        self.assertEqual([], self.client.images())

    def assert_works(self, *references):
        for reference in references:
            self.client.pull(reference)
        self.assertEqual([], erofs.amiss(self.imaged.root, self.client))
        self.assert_clean(self.client, references)


class State(WorkerCase):
    def test_no_worker_has_any_privilege(self):
        _, workers = self.hold()
        for mode, pid in workers.items():
            for task in os.listdir(f"/proc/{pid}/task"):
                with self.subTest(mode=mode, task=task):
                    status = self.status(f"{pid}/task/{task}")
                    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                        self.assertEqual(0, int(status[name], 16), name)
                    self.assertEqual(("1", "2"), (status["NoNewPrivs"], status["Seccomp"]))
                    for name in ("Uid", "Gid"):
                        self.assertEqual({"65534"}, set(status[name].split()), name)
                    self.assertEqual("", status["Groups"].strip())

    def test_workers_have_limits(self):
        _, workers = self.hold()
        for mode, pid in workers.items():
            with self.subTest(mode=mode), open(f"/proc/{pid}/limits", encoding="ascii") as file:
                limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
                self.assertEqual(["0", "0"], limits["Max core file size"])
                self.assertNotIn("unlimited", limits["Max cpu time"])
                if SLOW == 1:  # sanitizers need more of all
                    self.assertEqual(["0", "0"], limits["Max processes"])
                    self.assertNotIn("unlimited", limits["Max address space"])
                    self.assertNotIn("unlimited", limits["Max file size"])

    def test_workers_share_no_network_with_the_machine(self):
        _, workers = self.hold()
        for pid in workers.values():
            for name in ("net", "ipc"):
                self.assertNotEqual(os.readlink(f"/proc/{self.imaged.pid}/ns/{name}"), os.readlink(f"/proc/{pid}/ns/{name}"))

    def test_workers_have_only_the_descriptors_that_they_need(self):
        """Where each leads, and for what it is open."""
        _, workers = self.hold()
        nothing = {0: ("/dev/null", os.O_RDWR), 1: ("/dev/null", os.O_RDWR), 2: ("pipe", os.O_WRONLY), 3: ("socket", os.O_RDWR)}
        wanted = {
            INFLATES: [("content", os.O_RDONLY), ("pipe", os.O_WRONLY)],
            WRITES: [("layer", os.O_RDWR), ("pipe", os.O_RDONLY)],
        }
        for mode, pid in workers.items():
            with self.subTest(mode=mode):
                found = {int(fd): self.descriptor(pid, fd) for fd in os.listdir(f"/proc/{pid}/fd")}
                self.assertEqual(nothing, {fd: what for fd, what in found.items() if fd <= 3})
                self.assertEqual(wanted[mode], sorted(what for fd, what in found.items() if fd > 3))
                self.assertEqual({3}, {fd for fd, what in found.items() if what[0] == "socket"})

    def descriptor(self, pid, fd):
        """(what it is, how it is open)."""
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
            flags = dict(line.split(":", 1) for line in file if ":" in line)["flags"]
        kind = target.partition(":[")[0]
        if target.startswith(self.imaged.root + "/"):
            self.assertTrue(stat.S_ISREG(os.stat(f"/proc/{pid}/fd/{fd}").st_mode), target)
            folder = os.path.relpath(target, self.imaged.root).partition("/")[0]
            kind = {"ingest": "content", "content": "content", "layers": "layer"}.get(folder, target)
        return kind, int(flags, 8) & os.O_ACCMODE

    def test_no_secret_of_the_environment_comes_to_a_worker(self):
        _, workers = self.hold()
        for mode, pid in workers.items():
            with self.subTest(mode=mode), open(f"/proc/{pid}/environ", "rb") as file:
                self.assertEqual(b"", file.read())


class Fate(WorkerCase):
    SIGNALS = {signal.SIGKILL: "SIGKILL", signal.SIGSEGV: "SIGSEGV", signal.SIGABRT: "SIGABRT"}
    if SLOW != 1:  # sanitizers report the others themselves
        SIGNALS = {signal.SIGKILL: "SIGKILL"}

    def test_a_worker_that_dies_fails_its_pull_and_no_other(self):
        """The other one's pull goes on beside it, through workers of its own."""
        for mode in (INFLATES, WRITES):
            for number, name in self.SIGNALS.items():
                with self.subTest(mode=mode, signal=name):
                    call, workers = self.hold()
                    beside = self.client.Pull(reference=self.other)
                    os.kill(workers[mode], number)
                    self.assertEqual("done", list(beside)[-1].WhichOneof("event"))
                    self.client.RemoveImage(image=self.other)
                    self.gate.set()
                    self.assert_fails(call, name)
                    self.assert_works(self.held)
                    self.client.PruneImages(all=True)

    def test_a_worker_that_hangs_keeps_no_other_pull_and_can_be_cancelled(self):
        for mode in (INFLATES, WRITES):
            with self.subTest(mode=mode):
                call, workers = self.hold()
                os.kill(workers[mode], signal.SIGSTOP)
                self.gate.set()
                self.client.pull(self.other)
                self.assertEqual(1, self.client.GetInfo().running_pulls)
                call.cancel()
                self.wait_idle(self.client)
                self.wait_until(lambda pid=workers[mode]: not os.path.exists(f"/proc/{pid}"), "the stopped worker is gone")
                self.assert_works(self.held, self.other)
                self.client.PruneImages(all=True)
