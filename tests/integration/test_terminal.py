"""imagectl on a terminal: progress while the window changes, an interrupt, questions."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import termios
import threading

from fakeregistry import FakeRegistry
from fakeuploads import UploadRegistry
from harness import SLOW, TestCase, program
from ociimage import Image, Layer, random_bytes, tar

MIB = 1 << 20
BAR = rb"\[=+> +\] +[\d.]+MB/[\d.]+MB"
COUNT = rb": \w+ +[\d.]+MB/[\d.]+MB"


class Terminal:
    """A process on a terminal of its own, which it controls."""

    def __init__(self, *command, columns=140, rows=24, name="imagectl", **environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
            with contextlib.suppress(OSError):
                os.execve(program("imagectl"), [name, *command], {**os.environ, "TERM": "xterm", **environment})
            os._exit(127)
        self.out, self.status = b"", None

    def resize(self, columns, rows=24):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text)

    def read(self):
        """False at the end."""
        try:
            piece = os.read(self.fd, 65536) if select.select([self.fd], [], [], 60 * SLOW)[0] else b""
        except OSError:
            piece = b""
        self.out += piece
        return bool(piece)

    def wait_for(self, pattern, begin=0):
        """The match, and where it ends."""
        while not (found := re.compile(pattern, re.DOTALL).search(self.out, begin)):
            if not self.read():
                raise AssertionError(f"{pattern!r} is not in {self.out!r}")
        return found

    def end(self):
        """The exit status, after all that it prints."""
        if self.status is None:
            while self.read():
                pass
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            os.close(self.fd)
        return self.status


class Case(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.gates = [threading.Event(), threading.Event()]
        for gate in self.gates:
            self.addCleanup(gate.set)
        self.layer = Layer(tar({"random": random_bytes(6 * MIB, 7)}), "plain")
        self.registry.repo("a").add(Image([self.layer]), "1")
        self.reference = f"{self.registry.host}/a:1"
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def terminal(self, *command, **more):
        made = Terminal(*command, IMAGED_HOST=self.imaged.address, DOCKER_CONFIG=self.path("config"), **more)
        self.addCleanup(made.end)
        return made

    def in_steps(self, handler, blob, start, end):
        """A third of the blob, then another behind each gate."""
        end = blob.size if end is None else end
        handler.send_response(200)
        handler.send_header("Content-Length", str(end - start))
        handler.end_headers()
        data = b"".join(blob.pieces(start, end))
        third = len(data) // 3 + 1
        for step, at in enumerate(range(0, len(data), third)):
            if step:
                self.gates[step - 1].wait(60)
            handler.wfile.write(data[at : at + third])
            handler.wfile.flush()

    def no_transfers(self):
        watch = self.client.WatchTransfers()
        for response in watch:
            if not response.transfers:
                watch.cancel()
                return
        self.fail("the watch ended before")


class Progress(Case):
    def pull_in_steps(self, **more):
        self.registry.fault("GET", self.layer.blob.digest, times=1, answer=self.in_steps)
        return self.terminal("pull", self.reference, **more)

    def test_follows_the_window(self):
        """More than 110 columns have a bar, fewer have not: as wide as the window is then."""
        shell = self.pull_in_steps(columns=140)
        at = shell.wait_for(BAR).end()
        shell.resize(80)
        self.gates[0].set()
        # What was on its way is still a bar; from here on there are only numbers.
        at = shell.wait_for(COUNT, at).end()
        shell.resize(140)
        self.gates[1].set()
        self.assertEqual(0, shell.end(), shell.out)
        self.assertRegex(shell.out[at:], rb"Pull complete")

    def test_lines_are_rewritten_in_place(self):
        shell = self.pull_in_steps(columns=40)
        shell.wait_for(COUNT)
        for gate in self.gates:
            gate.set()
        self.assertEqual(0, shell.end(), shell.out)
        self.assertNotRegex(shell.out, BAR)
        self.assertRegex(shell.out, rb"\x1b\[1A\x1b\[2K\r[0-9a-f]{12}: Pull complete \r\x1b\[1B")
        self.assertTrue(shell.out.endswith(b"\r\n%s\r\n" % self.reference.encode()), shell.out)

    def test_is_plain_lines_elsewhere(self):
        done = self.imaged.ctl("pull", self.reference, env={"TERM": "xterm"})
        self.assertNotIn("\x1b", done.stdout)
        self.assertEqual(1, done.stdout.count("Pull complete\n"))

    def test_of_a_push(self):
        self.imaged.ctl("pull", "-q", self.reference)
        target = UploadRegistry().__enter__()
        self.addCleanup(target.stop)
        target.fault("*", "/uploads/", times=1, gate=self.gates[0])
        self.imaged.ctl("tag", self.reference, f"{target.host}/b:1")
        shell = self.terminal("push", f"{target.host}/b:1")
        shell.wait_for(rb": Preparing ")
        self.gates[0].set()
        self.assertEqual(0, shell.end(), shell.out)
        self.assertRegex(shell.out, rb"\x1b\[1A\x1b\[2K\r[0-9a-f]{12}: Pushed \r\x1b\[1B\r?\n?1: digest: sha256:")

    def test_of_a_load(self):
        path = self.path("a.tar")
        self.imaged.ctl("pull", "-q", self.reference)
        self.imaged.ctl("save", "-o", path, self.reference)
        self.imaged.ctl("rmi", self.reference)
        shell = self.terminal("load", "-i", path)
        self.assertEqual(0, shell.end(), shell.out)
        self.assertRegex(shell.out, rb"Loaded image: %s\r\n$" % self.reference.encode())


class Interrupts(Case):
    def held_pull(self, **more):
        self.registry.fault("GET", self.layer.blob.digest, times=1, answer=self.in_steps)
        shell = self.terminal("pull", self.reference, **more)
        shell.wait_for(BAR)
        return shell

    def test_of_a_pull_cancel_the_daemons_work(self):
        shell = self.held_pull()
        shell.type(b"\x03")
        self.assertEqual(130, shell.end(), shell.out)
        self.assertTrue(shell.out.endswith(b"^C\r\ncanceled\r\n"), shell.out)
        self.no_transfers()
        self.assertEqual("", self.imaged.ctl("images", "-q").stdout)

    def test_are_silent_as_docker_is(self):
        shell = self.held_pull(name="docker")
        begin = len(shell.out)
        shell.type(b"\x03")
        self.assertEqual(130, shell.end(), shell.out)
        self.assertNotIn(b"cancel", shell.out[begin:])
        self.no_transfers()

    def test_of_a_push_cancel_the_daemons_work(self):
        self.imaged.ctl("pull", "-q", self.reference)
        target = UploadRegistry().__enter__()
        self.addCleanup(target.stop)
        target.fault("*", "/uploads/", gate=self.gates[0])
        self.imaged.ctl("tag", self.reference, f"{target.host}/b:1")
        shell = self.terminal("push", f"{target.host}/b:1")
        target.wait_requests(1, "/uploads/")
        shell.type(b"\x03")
        self.assertEqual(130, shell.end(), shell.out)
        self.assertTrue(shell.out.endswith(b"canceled\r\n"), shell.out)
        self.no_transfers()

    def test_of_a_load_leave_nothing(self):
        path = self.path("fifo")
        os.mkfifo(path)
        shell = self.terminal("load", "-i", path)
        with open(path, "wb"):  # it reads from now on
            shell.type(b"\x03")
            self.assertEqual(130, shell.end(), shell.out)
        self.assertEqual("", self.imaged.ctl("images", "-q").stdout)


class Questions(Case):
    def test_prune_takes_y_only(self):
        for answer, deleted in ((b"n\n", False), (b"\n", False), (b"yes\n", False), (b"\x04", False), (b" Y \n", True)):
            self.imaged.ctl("pull", "-q", self.reference)
            with self.subTest(answer=answer):
                shell = self.terminal("image", "prune", "-a")
                shell.wait_for(rb"WARNING! This will remove all images without at least one container associated to them.\r\n"
                               rb"Are you sure you want to continue\? \[y/N\] ")
                shell.type(answer)
                shell.end()
                self.assertEqual(deleted, b"Total reclaimed space: " in shell.out and b"0B" not in shell.out, shell.out)
                self.assertEqual(not deleted, bool(self.imaged.ctl("images", "-q").stdout))

    def echo(self, shell):
        return bool(termios.tcgetattr(shell.fd)[3] & termios.ECHO)

    def test_a_password_is_not_shown(self):
        secret = FakeRegistry(user="me", password="geheim").__enter__()
        self.addCleanup(secret.stop)
        shell = self.terminal("login", secret.host)
        shell.wait_for(rb"Username: ")
        self.assertTrue(self.echo(shell))
        shell.type(b"me\n")
        shell.wait_for(rb"Password: ")
        self.assertFalse(self.echo(shell))
        shell.type(b"geheim\n")
        self.assertEqual(0, shell.end(), shell.out)
        self.assertNotIn(b"geheim", shell.out)
        self.assertRegex(shell.out, rb"Login Succeeded\r\n$")

    def test_an_interrupt_at_the_password_gives_the_echo_back(self):
        shell = self.terminal("login", self.registry.host)
        shell.wait_for(rb"Username: ")
        shell.type(b"me\n")
        shell.wait_for(rb"Password: ")
        kept = os.dup(shell.fd)
        self.addCleanup(os.close, kept)
        shell.type(b"\x03")
        self.assertEqual(130, shell.end(), shell.out)
        self.assertTrue(bool(termios.tcgetattr(kept)[3] & termios.ECHO))
        self.assertFalse(os.path.exists(self.path("config", "config.json")))
