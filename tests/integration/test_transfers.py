"""WatchTransfers and `system transfers`: every blob on its way, whoever asked for it;
and who comes first when a registry has many to give."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios
import threading

from criclient import Cri
from fakeregistry import FakeRegistry
from fakeuploads import UploadRegistry
from harness import SLOW, TestCase, program
from ociimage import Image, Layer, random_bytes, tar

MIB = 1 << 20
PULL, PUSH, COPY = 1, 2, 3
API, CRI, BUILD = 1, 2, 3
WAITING, TRANSFERRING, RETRYING = 1, 2, 4


class Transfers(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)
        self.layer = Layer(tar({"random": random_bytes(4 * MIB, 5)}), "plain")
        self.registry.repo("a").add(Image([self.layer]), "1")
        self.reference = f"{self.registry.host}/a:1"
        self.digest = self.layer.blob.digest
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def hold(self, pattern, cut=2 * MIB):
        self.registry.fault("GET", pattern, times=1, cut=cut, gate=self.gate)

    def watch_until(self, seen):
        """The first list that shows it, of a watch that begins now."""
        watch = self.client.WatchTransfers()
        for response in watch:
            if seen(response.transfers):
                watch.cancel()
                return list(response.transfers)
        return self.fail("the watch ended before")

    def held(self):
        """A pull whose layer stands at 2 MiB, and what is shown of it."""
        self.hold(self.digest)
        call = self.client.Pull(reference=self.reference)
        list_ = self.watch_until(lambda all_: any(t.digest == self.digest and t.current >= MIB for t in all_))
        return call, next(t for t in list_ if t.digest == self.digest)

    def test_a_pull_is_seen_by_others(self):
        call, shown = self.held()
        self.assertEqual((PULL, TRANSFERRING), (shown.direction, shown.state))
        self.assertEqual(self.layer.blob.size, shown.total)
        self.assertLessEqual(shown.current, 2 * MIB)
        self.assertEqual(f"{self.registry.host}/a", shown.repository)
        self.assertEqual((1, [API]), (shown.watchers, list(shown.origins)))
        self.assertGreater(shown.bytes_per_second, 0)
        self.assertGreater(shown.started.seconds, 1500000000)
        self.gate.set()
        self.assertEqual("done", list(call)[-1].WhichOneof("event"))

    def test_a_second_pull_of_the_blob_is_a_second_watcher(self):
        call, _ = self.held()
        other = self.client.Pull(reference=self.reference)
        self.watch_until(lambda all_: any(t.digest == self.digest and t.watchers == 2 for t in all_))
        other.cancel()
        self.watch_until(lambda all_: any(t.digest == self.digest and t.watchers == 1 for t in all_))
        self.gate.set()
        list(call)

    def test_a_pull_of_kubelet_is_seen_and_says_so(self):
        """By a client of the API, by a pipe and by a terminal, while it runs."""
        cri = Cri(self.imaged.address)
        self.addCleanup(cri.close)
        self.hold(self.digest)
        ids = []
        pull = threading.Thread(target=lambda: ids.append(cri.pull(self.reference)))
        pull.start()
        self.addCleanup(pull.join)
        self.addCleanup(self.gate.set)
        shown = self.watch_until(lambda all_: any(t.digest == self.digest and t.current >= MIB for t in all_))
        self.assertEqual([CRI], [origin for t in shown if t.digest == self.digest for origin in t.origins])
        row = rf"{self.digest.split(':')[1][:12]} +pull +transferring +\S+MB/4.2MB +\S+B/s +.* ago +cri +{self.registry.host}/a"
        self.assertRegex(self.imaged.ctl("system", "transfers").stdout, row)
        self.assertRegex(self.on_terminal(rb"\x1b\[\?7h", "system", "transfers", "--watch").decode(), row)
        other = self.client.Pull(reference=self.reference)
        self.watch_until(lambda all_: any(t.digest == self.digest and list(t.origins) == [API, CRI] for t in all_))
        self.assertIn("api,cri", self.imaged.ctl("system", "transfers", "--format", "{{.Origin}}").stdout.splitlines())
        self.gate.set()
        pull.join()
        self.assertEqual("done", list(other)[-1].WhichOneof("event"))
        self.assertEqual(1, len(ids))

    def on_terminal(self, end, *command):
        """What the command has written to a terminal of 200 columns when `end` was among it."""
        pid, fd = pty.fork()
        if pid == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("4H", 24, 200, 0, 0))
            os.execve(program("imagectl"), ["imagectl", *command], {**os.environ, "IMAGED_HOST": self.imaged.address})
        out = b""
        while not re.search(end, out) and select.select([fd], [], [], 30 * SLOW)[0]:
            out += os.read(fd, 65536)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)
        return out

    def test_the_list_is_empty_at_the_end(self):
        call, _ = self.held()
        self.gate.set()
        list(call)
        self.watch_until(lambda all_: not all_)

    def test_no_follow_is_one_list(self):
        self.assertEqual([[]], [list(r.transfers) for r in self.client.WatchTransfers(no_follow=True)])

    def test_a_failure_that_is_tried_again_says_why(self):
        self.registry.fault("GET", self.digest, times=1, status=503, headers={"Retry-After": "30"}, body=b"later")
        call = self.client.Pull(reference=self.reference)
        shown = self.watch_until(lambda all_: any(t.state == RETRYING for t in all_))
        self.assertIn("503", next(t.message for t in shown if t.state == RETRYING))
        call.cancel()

    def test_what_an_earlier_transfer_left_is_told(self):
        call, _ = self.held()
        call.cancel()
        self.wait_idle(self.client)
        self.hold(self.digest, cut=MIB)
        call = self.client.Pull(reference=self.reference)
        self.watch_until(lambda all_: any(t.resumed >= MIB and t.state == TRANSFERRING for t in all_))
        call.cancel()

    def uploading(self, begin):
        """A call whose layer stands in mid-upload, and what is shown of it."""
        target = UploadRegistry().__enter__()
        self.addCleanup(target.stop)
        target.fault("PUT", self.digest.split(":")[1], take=MIB, times=1, gate=self.gate)
        call = begin(target)
        seen = self.watch_until(lambda all_: any(t.digest == self.digest and t.current >= MIB for t in all_))
        return target, call, next(t for t in seen if t.digest == self.digest)

    def test_a_push_is_seen_by_others(self):
        list(self.client.Pull(reference=self.reference))

        def begin(target):
            self.client.TagImage(source=self.reference, target=f"{target.host}/b:1")
            return self.client.Push(reference=f"{target.host}/b:1")

        target, call, shown = self.uploading(begin)
        self.assertEqual((PUSH, TRANSFERRING, 1), (shown.direction, shown.state, shown.watchers))
        self.assertEqual((self.layer.blob.size, f"{target.host}/b"), (shown.total, shown.repository))
        self.gate.set()
        self.assertEqual("done", list(call)[-1].WhichOneof("event"))
        self.watch_until(lambda all_: not all_)

    def test_a_copy_is_seen_by_others(self):
        target, call, shown = self.uploading(
            lambda target: self.client.Copy(source=self.reference, destination=f"{target.host}/c:1")
        )
        self.assertEqual((COPY, TRANSFERRING, 1), (shown.direction, shown.state, shown.watchers))
        self.assertEqual((self.layer.blob.size, f"{target.host}/c"), (shown.total, shown.repository))
        self.gate.set()
        self.assertEqual("done", list(call)[-1].WhichOneof("event"))
        self.watch_until(lambda all_: not all_)

    def test_a_narrow_terminal_is_written_over_line_by_line(self):
        """A line that wrapped would be two, and the list would creep up the screen."""
        call, _ = self.held()
        pid, fd = pty.fork()
        if pid == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("4H", 2, 40, 0, 0))
            os.execve(
                program("imagectl"),
                ["imagectl", "system", "transfers", "--watch", "--no-trunc"],
                {**os.environ, "IMAGED_HOST": self.imaged.address},
            )
        out = b""
        while out.count(b"\x1b[?7h") < 2 and select.select([fd], [], [], 30 * SLOW)[0]:
            out += os.read(fd, 65536)
            self.gate.set()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)
        row = rb"\x1b\[\?7l%sDIGEST[^\n]*\r\n\x1b\[\?7h"
        self.assertRegex(out, b"^" + row % b"" + row % rb"\x1b\[1A\x1b\[J")
        list(call)

    def test_a_drain_ends_the_watch(self):
        watch = self.client.WatchTransfers()
        next(watch)
        self.imaged.process.terminate()
        for _ in watch:
            pass
        self.assertEqual(0, self.imaged.wait())

    def test_command_shows_a_table(self):
        call, _ = self.held()
        lines = self.imaged.ctl("system", "transfers").stdout.splitlines()
        self.assertRegex(lines[0], r"^DIGEST +DIRECTION +STATE +PROGRESS +SPEED +STARTED +ORIGIN +REPOSITORY$")
        digest = self.digest.split(":")[1][:12]
        row = next(line for line in lines if line.startswith(digest))
        self.assertRegex(row, rf"^{digest} +pull +transferring +\S+MB/4.2MB +\S+B/s +.* ago +api +{self.registry.host}/a$")
        self.gate.set()
        list(call)

    def test_command_formats(self):
        call, _ = self.held()
        out = self.imaged.ctl("system", "transfers", "--format", "json").stdout
        rows = [json.loads(line) for line in out.splitlines()]
        row = next(r for r in rows if r["Digest"] == self.digest.split(":")[1][:12])
        self.assertEqual(("pull", self.layer.blob.size), (row["Direction"], row["Total"]))
        out = self.imaged.ctl("system", "transfers", "--no-trunc", "--format", "{{.Digest}} {{.Watchers}}").stdout
        self.assertIn(f"{self.digest} 1", out.splitlines())
        self.assertEqual(1, self.imaged.ctl("system", "transfers", "--format", "{{.No}}", check=False).returncode)
        self.gate.set()
        list(call)


class Fairness(TestCase):
    """Sixteen images have all turns of a registry, one of eight layers waits for some, then
    comes a small one."""

    TURNS = 16

    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.gates = [self.add(f"holder{n}", [n])[0] for n in range(self.TURNS)]
        self.add("large", range(100, 108))
        self.client = self.daemon().client()

    def add(self, name, seeds):
        """An image whose layers stop in the middle; their gates."""
        layers = [Layer(tar({"a": random_bytes(2 * MIB, seed)}), "plain") for seed in seeds]
        self.registry.repo(name).add(Image(layers), "1")
        return [self.hold(layer.blob.digest) for layer in layers]

    def hold(self, blob):
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.registry.fault("GET", blob, cut=MIB, gate=gate)
        return gate

    def pull(self, name):
        return self.client.Pull(reference=f"{self.registry.host}/{name}:1")

    def wait_for_list(self, seen):
        watch = self.client.WatchTransfers()
        for response in watch:
            self.listed = response.transfers
            if seen(self.listed):
                break
        watch.cancel()

    def count(self, transfers, name, state):
        return sum(t.state == state and f"/{name}" in t.repository for t in transfers)

    def test_large_image_does_not_hold_up_a_small_one(self):
        calls = [self.pull(f"holder{n}") for n in range(self.TURNS)]
        self.wait_for_list(lambda all_: sum(t.state == TRANSFERRING and t.current >= MIB // 2 for t in all_) == self.TURNS)
        calls.append(self.pull("large"))
        self.wait_for_list(lambda all_: self.count(all_, "large", WAITING) == 9)
        (gate,) = self.add("small", [200])
        last = self.pull("small")
        self.wait_for_list(lambda all_: self.count(all_, "small", WAITING) == 2)
        self.gates[0].set()  # for the large one, which came first
        self.wait_for_list(lambda all_: self.count(all_, "large", TRANSFERRING) == 1 and self.count(all_, "large", WAITING) == 7)
        self.gates[1].set()  # for the small one, as the large one has a turn
        self.wait_for_list(lambda all_: self.count(all_, "small", TRANSFERRING) or self.count(all_, "large", WAITING) < 7)
        self.assertEqual(7, self.count(self.listed, "large", WAITING), "the small one is next")
        gate.set()
        self.assertEqual("done", list(last)[-1].WhichOneof("event"))
        for call in calls:
            call.cancel()
        self.wait_idle(self.client)
