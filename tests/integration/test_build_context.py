"""Contexts of builds: what a service asks of a client's directory, what it keeps, and
clients that lie."""

import bz2
import contextlib
import functools
import gzip
import hashlib
import http.server
import io
import json
import lzma
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import tarfile
import threading
import time

from buildclient import Build, Directory, Entry, build, listed
from buildweb import Quiet
from harness import BIN, SLOW, TestCase, free_port, program, wait_listening
from rpc import Client, pb

TESTS = os.path.join(os.path.dirname(os.path.abspath(BIN)), "tests")
PROGRAM, CLIENT = os.path.join(TESTS, "context_server"), os.path.join(TESTS, "context_client")
TREE = {
    "Dockerfile": b"FROM scratch\n",
    "src": None,
    "src/a.c": b"int a;\n",
    "src/b.c": b"int b;\n",
    "src-x": b"beside\n",
    "empty": b"",
    "link": "src/a.c",
    "large": bytes(range(256)) * 4096,
}


class Server:
    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        self.root, self.address = os.path.join(directory, "root"), f"unix://{directory}/s.sock"
        self.errors = open(os.path.join(directory, "errors"), "a+", encoding="utf-8")
        self.process = subprocess.Popen([PROGRAM, self.root, self.address, program("imaged-layer")], stdout=subprocess.PIPE, stderr=self.errors)
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"context_server did not start: {self.said()}")
        self.client = Client(self.address)

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)  # First: a client that leaves ends its builds, and what came of them is kept.
        self.client.close()
        status = self.process.wait(30)
        self.process.stdout.close()
        self.errors.close()
        return status

    def anonymous_memory(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("RssAnon"))


class ContextTestCase(TestCase):
    def setUp(self):
        super().setUp()
        self.server = Server(self.path("s"))
        self.addCleanup(self.stop)

    def stop(self):
        if self.server is None:
            return
        server, self.server = self.server, None
        said = server.said()
        self.assertEqual(0, server.stop(), said)
        self.assertEqual("", said)

    def restart(self, number=signal.SIGTERM):
        server, self.server = self.server, None
        status = server.stop(number)
        self.assertEqual(0 if number == signal.SIGTERM else -number, status)
        self.server = Server(self.path("s"))

    @property
    def client(self):
        return self.server.client

    def build(self, tree, *steps, ident="d", kind=Directory):
        """(answers, the directory with what was asked of it)."""
        directory = kind(ident, tree)
        return build(self.client, directory, *steps), directory

    def usage(self):
        return build(self.client, None, ("usage", ""))[0]

    def settle(self):
        """A context is made durable behind the answer."""
        self.settled_but(0)

    def settled_but(self, n):
        self.wait_until(lambda: build(self.client, None, ("in-use", ""))[0] <= n, "builds are over")

    def files(self):
        return sorted(
            os.path.relpath(os.path.join(d, n), self.server.root)
            for d, _, names in os.walk(os.path.join(self.server.root, "contexts"))
            for n in names
        )


class TestTransfer(ContextTestCase):
    def test_what_is_needed_comes_and_nothing_else(self):
        _, directory = self.build(TREE, ("need", "src"))
        self.assertEqual((1, ["src/a.c", "src/b.c"]), (directory.list_asked, directory.paths()))

    def test_a_second_build_sends_nothing(self):
        self.build(TREE, ("need", ""))
        answers, directory = self.build(TREE, ("need", ""), ("hash", "large"))
        self.assertEqual((0, [], 0), (directory.list_asked, directory.asked, directory.sent))
        self.assertEqual("sha256:" + hashlib.sha256(TREE["large"]).hexdigest(), answers[0])

    def test_a_second_build_after_a_restart_sends_nothing(self):
        self.build(TREE, ("need", ""))
        self.restart()
        answers, directory = self.build(TREE, ("need", ""), ("hash", "src/b.c"))
        self.assertEqual((0, []), (directory.list_asked, directory.asked))
        self.assertEqual("sha256:" + hashlib.sha256(b"int b;\n").hexdigest(), answers[0])

    def test_of_one_changed_file_that_file_alone_is_sent(self):
        self.build(TREE, ("need", ""))
        _, directory = self.build({**TREE, "src/b.c": b"int c;\n"}, ("need", ""))
        self.assertEqual((1, ["src/b.c"], 7), (directory.list_asked, directory.paths(), directory.sent))

    def test_what_was_not_needed_before_comes_when_it_is(self):
        self.build(TREE, ("need", "src"))
        _, directory = self.build(TREE, ("need", "src"), ("need", "empty"), ("need", "large"), ("need", ""))
        self.assertEqual(0, directory.list_asked)
        self.assertEqual(["empty", "large", "Dockerfile", "src-x"], directory.paths())

    def test_new_removed_and_renamed_files(self):
        self.build(TREE, ("need", ""))
        tree = {**TREE, "src/new.c": b"new", "src/a": None, "src/a/deep": b"d"}
        del tree["large"]
        answers, directory = self.build(tree, ("need", ""), ("list", "src"))
        self.assertEqual(["src/a/deep", "src/new.c"], directory.paths())
        self.assertEqual(["src", "src/a", "src/a/deep", "src/a.c", "src/b.c", "src/new.c"], [e["path"] for e in answers[0]])

    def test_a_file_without_a_stamp_comes_each_time(self):
        tree = {**TREE, "loose": Entry(b"x", stamp=0)}
        self.build(tree, ("need", ""))
        for _ in range(2):
            _, directory = self.build(tree, ("need", ""))
            self.assertEqual((0, ["loose"]), (directory.list_asked, directory.paths()))

    def test_an_unsettled_file_comes_once_more(self):
        class Unsettled(Directory):
            def pieces(self, index):
                for piece in super().pieces(index):
                    piece.unsettled = piece.end and self.entries[index][0] == b"src/a.c"
                    yield piece

        self.build(TREE, ("need", ""), kind=Unsettled)
        _, directory = self.build(TREE, ("need", ""))
        self.assertEqual(["src/a.c"], directory.paths())
        _, directory = self.build(TREE, ("need", ""))
        self.assertEqual([], directory.paths())

    def test_contexts_share_nothing(self):
        self.build(TREE, ("need", ""), ident="one")
        _, directory = self.build(TREE, ("need", ""), ident="two")
        self.assertEqual(8 - 2, len(directory.asked))

    def test_entries_come_as_they_are(self):
        tree = {
            b"caf\xe9": b"not utf-8",
            "a": None,
            "a/b": b"1",
            "a-b": b"2",
            "a.b": b"3",
            "hard": Entry(b"1", same_as="a/b"),
            "fifo": Entry(mode=stat.S_IFIFO | 0o600),
            "null": Entry(mode=stat.S_IFCHR | 0o666, device=1 << 32 | 3),
            "suid": Entry(b"s", mode=stat.S_IFREG | 0o4755, mtime=-5),
            "x" * 255: b"long",
            "ln": "../../etc/passwd",
        }
        answers, directory = self.build(tree, ("list", ""), ("need", ""), ("hash", "hard"), ("hash", b"caf\xe9"))
        wanted = [
            (p.decode("latin-1"), e.mode, e.size, e.mtime, e.device, e.link.decode(), e.same_as.decode())
            for p, e in listed(tree)
        ]
        got = [(e["path"], e["mode"], e["size"], e["mtime_ns"], e["device"], e["link"], e["same_as"]) for e in answers[0]]
        self.assertEqual(wanted, got)
        self.assertNotIn("hard", directory.paths())
        self.assertEqual("sha256:" + hashlib.sha256(b"1").hexdigest(), answers[1])

    def test_extended_attributes(self):
        capability = bytes.fromhex("0100000200000400000000000000000000000000")
        tree = {
            "d": Entry(xattrs=[(b"user.of", b"a directory")]),
            "f": Entry(b"bytes", xattrs=[(b"security.capability", capability), (b"user.k", b"v" * 3000)]),
            "g": b"none",
        }
        for _ in range(2):
            answers, _ = self.build(tree, ("need", ""), ("xattrs", "d"), ("xattrs", "f"), ("xattrs", "g"))
            wanted = {"security.capability": capability.decode("latin-1"), "user.k": "v" * 3000}
            self.assertEqual([{"user.of": "a directory"}, wanted, {}], answers)
            self.restart()

    def test_sources_of_copy(self):
        tree = {
            "a.c": b"1", "b.c": b"2", "c.h": b"3", "d": None, "d/a.c": b"4", "d/e": None, "d/e/f.c": b"5", "d/e/g": b"6",
            "to-d": "d", "to-a.c": "a.c", "out.c": "../../etc/passwd", "[x]": b"7",
        }
        cases = {
            "a.c": [["a.c", 1]],
            "/../a.c": [["a.c", 1]],
            "*.c": [["a.c", 1], ["b.c", 1], ["a.c", 1]],
            "d": [["d", 5]],
            "d/": [["d", 5]],
            ".": [["[x]", 12]],
            "to-d/*.c": [["d/a.c", 1]],
            "d/*": [["d/a.c", 1], ["d/e", 3]],
            "*/*/*.c": [["d/e/f.c", 1]],
            "to-d": [["d", 5]],
            "nothing": [],
            "d/nothing/*": [],
            "[[]x]": [["[x]", 1]],
            "?.h": [["c.h", 1]],
        }
        answers, directory = self.build(tree, *[("match", source) for source in cases])
        self.assertEqual(list(cases.values()), answers)
        _, directory = self.build(tree, ("match", "to-d/e/*.c"), ident="other")
        self.assertEqual(["d/e/f.c"], directory.paths())
        self.assert_rpc_fails("INVALID_ARGUMENT", None, self.build, tree, ("match", "[a"), text="syntax error in pattern")

    def test_an_empty_context(self):
        answers, directory = self.build({}, ("need", ""), ("list", ""), ("digest", ""))
        self.assertEqual((1, [], []), (directory.list_asked, directory.asked, answers[0]))

    def test_two_builds_of_one_context_at_once(self):
        gate = self.path("gate")
        first = Build(self.client, Directory("d", TREE), ("need", "src"), ("hold", gate), ("hash", "src/a.c"))
        done = []
        thread = threading.Thread(target=lambda: done.append(first.run()))
        thread.start()
        self.wait_until(lambda: len(first.context.asked) == 2, "the first one waits")
        changed = {**TREE, "src/a.c": b"int changed;\n"}
        answers, directory = self.build(changed, ("need", ""), ("hash", "src/a.c"))
        self.assertEqual("sha256:" + hashlib.sha256(b"int changed;\n").hexdigest(), answers[0])
        self.assertNotIn("src/b.c", directory.paths(), "the first one has it already")
        with open(gate, "wb"):
            pass
        thread.join()
        self.assertEqual("sha256:" + hashlib.sha256(TREE["src/a.c"]).hexdigest(), done[0][0])

    def test_many_builds_of_one_context_at_once(self):
        rng = random.Random(7)
        trees = [{f"f{i}": rng.randbytes(rng.choice([10, 70000])) for i in range(40)} for _ in range(3)]
        for tree in trees[1:]:
            for name in list(tree)[::2]:
                tree[name] = trees[0][name]
        wrong = []

        def one(tree):
            answers, _ = self.build(tree, ("need", ""), *[("hash", name) for name in tree])
            if answers != ["sha256:" + hashlib.sha256(data).hexdigest() for data in tree.values()]:
                wrong.append(tree)

        threads = [threading.Thread(target=one, args=(trees[i % 3],)) for i in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], wrong)


class TestDigests(ContextTestCase):
    """What must and must not change the key of a step (build.md 2.1)."""

    def digest(self, tree, path="src"):
        answers, _ = self.build(tree, ("need", ""), ("digest", path))
        return answers[0]

    def changed(self, path="src", **files):
        """Whether files of `src` make another digest of it."""
        tree = {**TREE, "src/l": "a.c", **{f"src/{n}": v for n, v in files.items()}}
        return self.digest(tree, path) != self.digest({**TREE, "src/l": "a.c"}, path)

    def test_what_counts(self):
        self.assertTrue(self.changed(**{"a.c": b"other\n"}), "bytes")
        self.assertTrue(self.changed(**{"a.c": Entry(b"int a;\n", mode=stat.S_IFREG | 0o755)}), "mode")
        self.assertTrue(self.changed(**{"n.c": b""}), "a new file")
        self.assertTrue(self.changed(l="b.c"), "the target of a link")
        self.assertTrue(self.changed(**{"a.c": Entry(b"int a;\n", xattrs=[(b"user.a", b"1")], stamp=7)}), "xattrs")
        self.assertTrue(self.changed(l=b"a.c"), "a file for a link")

    def test_what_does_not_count(self):
        self.assertFalse(self.changed(**{"a.c": Entry(b"int a;\n", mtime=77, stamp=99)}), "time")
        self.assertFalse(self.changed(l=Entry(mode=stat.S_IFLNK | 0o700, link="a.c")), "mode of a link")

    def test_the_own_mode_counts_in_the_tree_and_not_in_the_contents(self):
        other = {**TREE, "src": Entry(mode=stat.S_IFDIR | 0o700)}
        self.assertNotEqual(self.digest(TREE), self.digest(other))
        self.assertEqual(self.digest(TREE, "src/"), self.digest(other, "src/"))

    def test_names_and_nesting_count(self):
        self.assertNotEqual(self.digest({"d": None, "d/a": b"1", "d/b": b""}, "d"), self.digest({"d": None, "d/a": b"", "d/b": b"1"}, "d"))
        flat = {"d": None, "d/e": None, "d/f": b"1"}
        deep = {"d": None, "d/e": None, "d/e/f": b"1"}
        self.assertNotEqual(self.digest(flat, "d"), self.digest(deep, "d"))

    def test_the_same_everywhere(self):
        self.assertEqual(
            self.digest({"d": None, "d/x": None, "d/x/y": b"1", "d/x-y": b"2"}, "d"),
            self.digest({"top": None, "top/x": None, "top/x/y": b"1", "top/x-y": b"2"}, "top"),
        )


class TestLies(ContextTestCase):
    def refused(self, kind, reason, text, tree=None, steps=(("need", ""),), code="INVALID_ARGUMENT"):
        directory = kind(f"liar {kind.__name__}", tree or TREE)
        self.assert_rpc_fails(code, reason, lambda: build(self.client, directory, *steps), text=text)
        self.alive()

    def alive(self):
        answers, _ = self.build(TREE, ("need", ""), ("hash", "src/a.c"), ident="honest")
        self.assertEqual("sha256:" + hashlib.sha256(TREE["src/a.c"]).hexdigest(), answers[0])

    def test_paths(self):
        for path in ("/abs", "../up", "a/../b", "./a", "a//b", "a/", "..", ".", "a/./b", "y" * 256, "nul\0"):
            with self.subTest(path):
                self.refused(Directory, "INVALID_ARGUMENT", "context path", {path: b"x"})

    def test_entries_that_cannot_be(self):
        for entry in (
            Entry(b"", mode=stat.S_IFSOCK | 0o600),
            Entry(b"", mode=0o644),
            Entry(b"", size=-1),
            Entry(mode=stat.S_IFDIR | 0o755, size=5),
            Entry(mode=stat.S_IFLNK | 0o777),
            Entry(b"", link="x"),
            Entry(b"", device=5),
            Entry(mode=stat.S_IFDIR | 0o755, stamp=5),
            Entry(mode=stat.S_IFDIR | 0o755, xattrs=[(b"trusted.overlay.opaque", b"y")]),
            Entry(mode=stat.S_IFDIR | 0o755, xattrs=[(b"user.b", b""), (b"user.a", b"")]),
            Entry(mode=stat.S_IFDIR | 0o755, xattrs=[(b"user.b", b"x" * 70000)]),
            Entry(b"", same_as="nothing"),
            Entry(b"", same_as="m"),
        ):
            with self.subTest(entry.__dict__):
                self.refused(Directory, "INVALID_ARGUMENT", "context entry \"m\"", {"l": b"1", "m": entry})

    def test_the_order(self):
        class Unsorted(Directory):
            def __init__(self, *args):
                super().__init__(*args)
                self.entries.reverse()

        class Twice(Directory):
            def __init__(self, *args):
                super().__init__(*args)
                self.entries = [self.entries[0]] * 2

        self.refused(Unsorted, "INVALID_ARGUMENT", "not in order")
        self.refused(Twice, "INVALID_ARGUMENT", "not in order")
        for tree in ({"a/b": b""}, {"a": b"", "a/b": b""}, {"a": "b", "a/b": b""}, {"a": None, "a-b": None, "a/b/c": b""}):
            self.refused(Directory, "INVALID_ARGUMENT", "no directory of the list", tree)

    def test_another_digest(self):
        class Other(Directory):
            def digest(self):
                return hashlib.sha256(b"").digest()

        class Short(Directory):
            def digest(self):
                return b"short"

        self.refused(Other, "INVALID_ARGUMENT", "not the one of its digest")
        self.refused(Short, "INVALID_ARGUMENT", "32 bytes")

    def test_ids(self):
        for ident in (b"", b"x" * 257):
            self.assert_rpc_fails("INVALID_ARGUMENT", None, lambda i=ident: build(self.client, Directory(i, TREE)), text="id of a build context")

    def test_bytes_of_another_length(self):
        class Longer(Directory):
            def pieces(self, index):
                yield pb.FilePiece(file=index, data=self.entries[index][1].data + b"!", end=True)

        class Shorter(Directory):
            def pieces(self, index):
                yield pb.FilePiece(file=index, data=self.entries[index][1].data[:-1], end=True)

        self.refused(Longer, "INVALID_ARGUMENT", "more bytes came")
        self.refused(Shorter, "INVALID_ARGUMENT", "fewer bytes came")
        _, directory = self.build(TREE, ("need", ""), ident="liar Longer")
        self.assertEqual(5 + 1, len(directory.asked), "nothing of it was kept")

    def test_files_that_were_not_asked_for(self):
        class Other(Directory):
            def send_files(self, files):
                return super().send_files(files[::-1])

        class More(Directory):
            def send_files(self, files):
                return super().send_files([*files, files[-1]])

        class Early(Directory):
            def send_list(self, pieces=1000):
                yield from super().send_files([0])

        class Again(Directory):
            def send_files(self, files):
                yield from self.send_list()

        self.refused(Other, "INVALID_ARGUMENT", "came where")
        self.refused(More, "INVALID_ARGUMENT", "not asked for|came where", steps=(("need", "src"), ("need", ""), ("hold", self.path("never"))))
        self.refused(Early, "INVALID_ARGUMENT", "not asked for")
        self.refused(Again, "INVALID_ARGUMENT", "not asked for")

    def test_a_file_that_cannot_be_given(self):
        class Gone(Directory):
            def pieces(self, index):
                yield pb.FilePiece(file=index, failed="open /x/src/a.c: no such file or directory")

        self.refused(Gone, "ABORTED", "src/a.c\": open /x/src/a.c: no such file", steps=(("need", "src"),), code="ABORTED")

    def test_extended_attributes(self):
        tree = {"f": Entry(b"1", xattrs=[(b"security.selinux", b"x")])}
        self.refused(Directory, "INVALID_ARGUMENT", "no such extended attribute", tree)

    def test_a_size_that_no_disk_has(self):
        class Huge(Directory):
            def send_files(self, files):
                return []

        for size in (1 << 50, (1 << 62) + 1, (1 << 63) - 1):
            tree = {"a": Entry(b"", size=size), "b": Entry(b"", size=size)}
            directory = Huge("liar", tree)
            self.assert_rpc_fails("RESOURCE_EXHAUSTED", None, lambda d=directory: build(self.client, d, ("need", "")))
        self.alive()

    def test_a_lie_about_a_stamp_harms_the_own_context_only(self):
        lie = {**TREE, "src/a.c": Entry(b"evil a;", stamp=5)}
        truth = {**TREE, "src/a.c": Entry(b"int a;\n", stamp=5)}
        self.build(lie, ("need", ""), ident="liar")
        answers, _ = self.build(truth, ("need", ""), ("hash", "src/a.c"), ident="honest")
        self.assertEqual("sha256:" + hashlib.sha256(b"int a;\n").hexdigest(), answers[0])

    def test_clients_that_go_away(self):
        class Half(Directory):
            def send_files(self, files):
                yield pb.BuildRequest(data=pb.ContextData(pieces=[pb.FilePiece(file=files[0], data=b"FRO")]))

        for tree in ({"Dockerfile": TREE["Dockerfile"]}, TREE):
            half = Build(self.client, Half("liar", tree), ("need", ""))
            half.run(until=lambda event: event.WhichOneof("event") == "want_files")
            for request in half.context.send_files(half.events[-1].want_files.files):
                half.send(request)
            half.call.cancel()
            half.end()
        self.settle()
        _, directory = self.build(TREE, ("need", "Dockerfile"), ("hash", "Dockerfile"), ident="liar")
        self.assertEqual(["Dockerfile"], directory.paths())

    def test_what_has_come_before_a_failure_is_kept(self):
        class Stops(Directory):
            def pieces(self, index):
                if self.entries[index][0] == b"src/b.c":
                    yield pb.FilePiece(file=index, failed="unreadable")
                else:
                    yield from super().pieces(index)

        directory = Stops("d", TREE)
        self.assert_rpc_fails("ABORTED", None, lambda: build(self.client, directory, ("need", "")))
        self.settle()
        _, directory = self.build(TREE, ("need", ""))
        self.assertEqual(["src/b.c", "src-x"], directory.paths())


class TestKept(ContextTestCase):
    def test_usage_is_what_is_on_the_disk(self):
        for ident in ("a", "b"):
            self.build({**TREE, "own": ident.encode()}, ("need", ""), ident=ident)
        self.settle()
        self.assertEqual(2, len(self.usage()))
        on_disk = sum(os.stat(os.path.join(self.server.root, name)).st_size for name in self.files())
        self.assertEqual(on_disk, sum(u["bytes"] for u in self.usage()))

    def test_the_longest_unused_goes_first_and_what_is_in_use_stays(self):
        for ident in ("old", "new"):
            self.build(TREE, ("need", ""), ident=ident)
            self.settle()
        held = Build(self.client, Directory("held", TREE), ("need", ""), ("hold", self.path("gate")), ("hash", "large"))
        done = []
        thread = threading.Thread(target=lambda: done.append(held.run()))
        thread.start()
        self.wait_until(lambda: len(held.context.asked) == 6, "the third one is here")
        one = max(u["bytes"] for u in self.usage())
        freed = build(self.client, None, ("prune", str(one)))[0]
        self.assertEqual(1, freed["count"])
        _, directory = self.build(TREE, ("need", ""), ident="new")
        self.assertEqual([], directory.asked)
        self.settled_but(1)
        build(self.client, None, ("prune", "0"))
        with open(self.path("gate"), "wb"):
            pass
        thread.join()
        self.assertEqual("sha256:" + hashlib.sha256(TREE["large"]).hexdigest(), done[0][0])
        self.settle()
        self.assertEqual([hashlib.sha256(b"held").hexdigest()], [u["id"][7:] for u in self.usage()])
        build(self.client, None, ("prune", "0"))
        self.assertEqual([], self.files())

    def test_old_lists_and_lost_room_go(self):
        big = os.urandom(70 << 20)
        self.build({"keep": b"k", "big": big}, ("need", ""))
        for i in range(3):
            self.build({"keep": b"k", f"big{i}": Entry(big, stamp=i + 1)}, ("need", ""))
            self.settle()
        answers, directory = self.build({"keep": b"k"}, ("need", ""), ("hash", "keep"))
        self.assertEqual([], directory.asked)
        self.assertEqual("sha256:" + hashlib.sha256(b"k").hexdigest(), answers[0])
        self.settle()
        self.assertEqual(3, len(self.files()), self.files())
        self.assertLess(self.usage()[0]["bytes"], 8192)

    def test_a_killed_service_leaves_nothing_and_loses_nothing_committed(self):
        self.build(TREE, ("need", "src"))
        self.settle()
        held = Build(self.client, Directory("d", {**TREE, "new": b"new"}), ("need", "large"), ("hold", self.path("never")))
        thread = threading.Thread(target=lambda: contextlib.suppress(Exception) and self.swallow(held))
        thread.start()
        self.wait_until(lambda: held.context.asked, "bytes are coming")
        self.restart(signal.SIGKILL)
        thread.join()
        answers, directory = self.build(TREE, ("need", ""), ("hash", "src/b.c"), ("hash", "large"))
        self.assertEqual(["Dockerfile", "empty", "large", "src-x"], directory.paths())
        self.assertEqual("sha256:" + hashlib.sha256(TREE["large"]).hexdigest(), answers[1])
        self.settle()
        self.assertEqual(3, len(self.files()), self.files())

    def swallow(self, held):
        with contextlib.suppress(Exception):
            held.run()

    def test_damaged_files_begin_anew(self):
        for kind in ("list", "places", "pack"):
            with self.subTest(kind):
                self.build(TREE, ("need", ""))
                self.settle()
                self.restart()
                path = next(os.path.join(self.server.root, n) for n in self.files() if n.endswith(kind))
                os.truncate(path, os.stat(path).st_size // 2)
                answers, directory = self.build(TREE, ("need", ""), ("hash", "large"))
                self.assertEqual(6, len(directory.asked))
                self.assertEqual("sha256:" + hashlib.sha256(TREE["large"]).hexdigest(), answers[0])


class TestSize(ContextTestCase):
    def many(self, n):
        tree = {}
        for i in range(n):
            if i % 1000 == 0:
                tree[f"d{i // 1000:06}"] = None
            tree[f"d{i // 1000:06}/file-{i:08}"] = Entry(b"x", stamp=i + 1)
        return tree

    def test_memory_does_not_grow_with_names(self):
        self.build(TREE, ("need", ""))
        before = self.server.anonymous_memory()
        _, directory = self.build(self.many(100_000), ("need", "d000001"), ident="many")
        grown = self.server.anonymous_memory() - before
        self.assertEqual(1000, len(directory.asked))
        self.assertLess(grown, 12 << 20 if SLOW == 1 else 64 << 20)
        _, directory = self.build(self.many(100_000), ("need", "d000001"), ident="many")
        self.assertEqual((0, []), (directory.list_asked, directory.asked))

    def test_a_list_without_end_is_refused(self):
        if SLOW > 1:
            self.skipTest("four million names: too slow here")

        class Endless(Directory):
            def send_list(self, pieces=1000):
                for n in range(0, 5_000_000, 1000):
                    entries = [pb.ContextEntry(path=b"%08d" % (n + i), mode=stat.S_IFREG | 0o644) for i in range(1000)]
                    yield pb.BuildRequest(list=pb.ContextList(entries=entries))

        endless = Endless("endless", {})
        before = self.server.anonymous_memory()
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", lambda: build(self.client, endless, timeout=900), text="more than 4194304 files")
        self.assertLess(self.server.anonymous_memory() - before, 48 << 20)
        self.settle()
        self.assertEqual([], self.files())


class TestFullDisk(ContextTestCase):
    def setUp(self):
        TestCase.setUp(self)
        self.server = None
        small = self.path("s", "root")
        os.makedirs(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", small], stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("no mounts here")
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        self.server = Server(self.path("s"))
        self.addCleanup(self.stop)

    def test_what_does_not_fit_is_refused_before_it_is_asked_for(self):
        directory = Directory("d", {"large": os.urandom(40 << 20), "small": b"1"})
        error = self.assert_rpc_fails("RESOURCE_EXHAUSTED", "DISK_FULL", lambda: build(self.client, directory, ("need", "")))
        self.assertIn("are needed and", error.details())
        self.assertEqual([], directory.asked)
        answers, _ = self.build({"small": b"1"}, ("need", ""), ("hash", "small"))
        self.assertEqual(["sha256:" + hashlib.sha256(b"1").hexdigest()], answers)

    def test_an_archive_that_does_not_fit(self):
        archive = Archive(tar_of(("f", os.urandom(40 << 20))))
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "DISK_FULL", lambda: build(self.client, archive))
        many = Archive(tar_of(*[(f"f{i}", os.urandom(1 << 20)) for i in range(40)]))
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "DISK_FULL", lambda: build(self.client, many))
        self.assertEqual(1, len(build(self.client, Archive(tar_of(("f", b"1"))), ("list", ""))[0]))

    def test_a_list_that_does_not_fit(self):
        names = {f"{i:05}" + "n" * 240: Entry(b"", stamp=i + 1) for i in range(80_000)}
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "DISK_FULL", lambda: build(self.client, Directory("d", names)))
        self.settle()
        self.assertEqual([], self.files())


class TestClient(ContextTestCase):
    """imagectl's side: a real directory."""

    def setUp(self):
        super().setUp()
        self.context = self.path("context")
        os.mkdir(self.context)

    def write(self, name, data=b"", mode=None):
        path = os.path.join(os.fsencode(self.context), name if isinstance(name, bytes) else name.encode())
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def age(self):
        """Files whose times are those of now are asked for once more."""
        newest = max(os.lstat(os.path.join(d, n)).st_ctime for d, ds, ns in os.walk(self.context) for n in ds + ns)
        self.wait_until(lambda: time.time() > newest + 0.05, "time goes on")

    def run_client(self, *steps, context=None, ignore=None, user=None, check=True, **options):
        command = [CLIENT]
        if ignore is not None:
            with open(self.path("ignore"), "w", encoding="utf-8") as f:
                f.write(ignore)
            command += ["-i", self.path("ignore")]
        command += [self.server.address, context or self.context, *[f"{n}={v}" for n, v in steps]]
        environment = {**os.environ, "XDG_STATE_HOME": self.path("state")}
        done = subprocess.run(command, capture_output=True, check=False, env=environment, timeout=120, user=user, **options)
        if not check:
            return done
        self.assertEqual((0, b""), (done.returncode, done.stderr))
        return json.loads(done.stdout)

    def paths(self, **options):
        return [e["path"] for e in self.run_client(("list", ""), **options)["answers"][0]]

    def test_files_come_as_they_are(self):
        self.write("a/b", b"1")
        self.write("a-b", b"2" * 1_000_000, 0o4755)
        self.write(b"caf\xe9", b"3")
        self.write("a/empty")
        os.symlink("/etc/passwd", os.path.join(self.context, "link"))
        os.symlink("a", os.path.join(self.context, "to-a"))
        os.link(os.path.join(self.context, "a/b"), os.path.join(self.context, "hard"))
        os.mkfifo(os.path.join(self.context, "fifo"))
        os.utime(os.path.join(self.context, "a-b"), ns=(5, 1_500_000_000_123_456_789))
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(os.path.join(self.context, "socket"))
        listening.close()
        answers = self.run_client(("list", ""), ("need", ""), ("hash", "a-b"), ("hash", "hard"))["answers"]
        found = {e["path"]: e for e in answers[0]}
        self.assertEqual(["a", "a/b", "a/empty", "a-b", "caf\xe9", "fifo", "hard", "link", "to-a"], list(found))
        self.assertEqual((0o104755, 1_000_000, 1_500_000_000_123_456_789), tuple(found["a-b"][k] for k in ("mode", "size", "mtime_ns")))
        self.assertEqual(("a/b", "/etc/passwd", "a"), (found["hard"]["same_as"], found["link"]["link"], found["to-a"]["link"]))
        self.assertEqual(["sha256:" + hashlib.sha256(d).hexdigest() for d in (b"2" * 1_000_000, b"1")], answers[1:])

    def test_nothing_is_sent_twice(self):
        for i in range(600):
            self.write(f"d{i % 7}/f{i}", b"%d" % i)
        self.write("large", os.urandom(3_000_000))
        self.age()
        first = self.run_client(("need", ""), ("digest", ""))
        second = self.run_client(("need", ""), ("digest", ""))
        self.assertEqual((1, 601), (first["lists"], first["files"]))
        self.assertEqual((0, 0, 0, first["answers"]), (second["lists"], second["files"], second["bytes"], second["answers"]))
        self.write("d3/f3", b"changed")
        self.age()
        third = self.run_client(("need", ""), ("digest", ""))
        self.assertEqual((1, 1, 7), (third["lists"], third["files"], third["bytes"]))
        self.assertNotEqual(first["answers"], third["answers"])

    def test_a_change_that_size_and_mtime_do_not_show(self):
        path = self.write("f", b"one")
        os.utime(path, ns=(0, 1))
        self.age()
        self.run_client(("need", ""))
        self.write("f", b"two")
        os.utime(path, ns=(0, 1))
        answers = self.run_client(("need", ""), ("hash", "f"))["answers"]
        self.assertEqual(["sha256:" + hashlib.sha256(b"two").hexdigest()], answers)

    def test_the_digest_is_of_what_counts(self):
        self.write("d/f", b"1")
        first = self.run_client(("need", ""), ("digest", ""))["answers"]
        os.utime(os.path.join(self.context, "d/f"), ns=(7, 7))
        os.chown(os.path.join(self.context, "d/f"), 12345, 54321)
        self.assertEqual(first, self.run_client(("need", ""), ("digest", ""))["answers"])
        os.chmod(os.path.join(self.context, "d/f"), 0o600)
        self.assertNotEqual(first, self.run_client(("need", ""), ("digest", ""))["answers"])

    def test_dockerignore(self):
        for name in ("Dockerfile", "a.log", "keep.log", "d/a.log", "d/x/y/deep", "d/x/keep/this", "node/m/1", "node/m/2"):
            self.write(name)
        self.assertEqual(["Dockerfile", "d", "d/x", "d/x/keep", "d/x/keep/this", "keep.log"],
                         [p for p in self.paths(ignore="*.log\n!keep.log\nd\n!d/x/keep\nnode\n")])
        self.assertEqual(["Dockerfile", "a.log", "keep.log"], self.paths(ignore="# all\nd/\n/node\n"))
        self.assertEqual(["node", "node/m", "node/m/2"], self.paths(ignore="**\n!node/m/2\n"))

    def test_a_walk_that_is_as_deep_as_paths_are(self):
        deep = self.context
        for _ in range(1200):
            deep += "/d"
            os.mkdir(deep)
        self.addCleanup(subprocess.run, ["rm", "-rf", self.context], check=True)
        with open(os.path.join(deep, "f"), "wb") as f:
            f.write(b"deep")
        path = "/".join(["d"] * 1200) + "/f"
        answers = self.run_client(("need", ""), ("hash", path), ("digest", ""))["answers"]
        self.assertEqual("sha256:" + hashlib.sha256(b"deep").hexdigest(), answers[0])

    def test_extended_attributes(self):
        path = self.write("f", b"1")
        capability = bytes.fromhex("0100000200000400000000000000000000000000")
        os.setxattr(path, "user.k", b"v")
        os.setxattr(path, "security.capability", capability)
        os.setxattr(path, "trusted.k", b"v")
        os.mkdir(os.path.join(self.context, "d"))
        os.setxattr(os.path.join(self.context, "d"), "user.d", b"w")
        answers = self.run_client(("need", ""), ("xattrs", "f"), ("xattrs", "d"))["answers"]
        self.assertEqual([{"security.capability": capability.decode("latin-1"), "user.k": "v"}, {"user.d": "w"}], answers)

    def test_files_that_cannot_be_read(self):
        os.chmod(self.dir, 0o755)
        self.write("d/secret", b"1", 0o600)
        os.chmod(os.path.join(self.server.root, "..", "s.sock"), 0o666)
        os.chmod(os.path.dirname(self.server.root), 0o755)
        done = self.run_client(("need", ""), user=65534, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn(f'file "d/secret": open {self.context}/d/secret: permission denied', done.stderr.decode())
        answers = self.run_client(("list", ""), user=65534)["answers"]
        self.assertEqual(2, len(answers[0]), "nobody needs it")
        os.chmod(os.path.join(self.context, "d"), 0o700)
        done = self.run_client(("need", ""), user=65534, check=False)
        self.assertEqual(f"open {self.context}/d: permission denied\n", done.stderr.decode())

    def test_a_context_that_is_none(self):
        done = self.run_client(context=self.path("nothing"), check=False)
        self.assertEqual(f"open {self.path('nothing')}: no such file or directory\n", done.stderr.decode())

    def test_files_that_change_while_the_build_reads(self):
        path = self.write("f", b"one")
        gate = self.path("gate")
        for change in (lambda: os.unlink(path), lambda: self.write("f", b"other size"), lambda: os.symlink("/etc/passwd", path)):
            with self.subTest(change):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                self.write("f", os.urandom(8))
                command = [CLIENT, self.server.address, self.context, f"hold={gate}", "need="]
                environment = {**os.environ, "XDG_STATE_HOME": self.path("state")}
                client = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)
                self.wait_until(lambda: build(self.client, None, ("in-use", ""))[0] == 1, "the list is there")
                self.wait_until(lambda: any(n.endswith(".places") for n in self.files()), "the list is there")
                if os.path.islink(path) or change.__code__.co_names[-1:] == ("symlink",):
                    os.unlink(path)
                change()
                with open(gate, "wb"):
                    pass
                _, said = client.communicate(timeout=60)
                self.assertEqual(1, client.returncode)
                self.assertRegex(said.decode(), 'file "f": .*(no such file|changed while|too many levels)')
                os.unlink(gate)
                self.settle()
                build(self.client, None, ("prune", "0"))

    def test_two_users_do_not_share(self):
        self.write("f", b"1")
        self.age()
        self.assertEqual(1, self.run_client(("need", ""))["files"])
        shutil.rmtree(self.path("state"))
        self.assertEqual(1, self.run_client(("need", ""))["files"])


class WebServer(http.server.ThreadingHTTPServer):
    """Files by path; a redirect is a path whose value is a str."""

    daemon_threads = True

    def __init__(self):
        self.files = {}
        super().__init__(("127.0.0.1", 0), WebHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class WebHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        file = self.server.files.get(self.path)
        self.send_response(404 if file is None else 302 if isinstance(file, str) else 200)
        if isinstance(file, str):
            self.send_header("Location", file)
        body = file if isinstance(file, bytes) else b"no"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Archive:
    """A ClientArchive, in pieces."""

    def __init__(self, data, piece=100_000, end=True):
        self.data, self.piece, self.end = data, piece, end

    def context(self):
        return pb.BuildContext(archive=pb.ClientArchive())

    def answer(self, event):
        if event.WhichOneof("event") != "want_archive":
            return
        for at in range(0, len(self.data), self.piece):
            yield pb.BuildRequest(archive=pb.ArchiveData(data=self.data[at : at + self.piece]))
        if self.end:
            yield pb.BuildRequest(archive=pb.ArchiveData(end=True))


def tar_of(*members, fmt=tarfile.PAX_FORMAT):
    """(name, bytes or a dict of TarInfo's fields)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as t:
        for name, value in members:
            info = tarfile.TarInfo(name)
            data = value if isinstance(value, bytes) else b""
            info.size, info.mode, info.mtime = len(data), 0o644, 1234567890
            for key, field in (value if isinstance(value, dict) else {}).items():
                setattr(info, key, field)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


DIRECTORY = {"type": tarfile.DIRTYPE, "mode": 0o750}


class TestArchive(ContextTestCase):
    def read(self, data, *steps, **options):
        return build(self.client, Archive(data, **options), *steps)

    def refused(self, data, text, code="FAILED_PRECONDITION", **options):
        self.assert_rpc_fails(code, None, lambda: self.read(data, **options), text=text)
        self.assertEqual(["a"], [e["path"] for e in self.read(tar_of(("a", b"1")), ("list", ""))[0]])

    def test_entries_become_a_list(self):
        data = tar_of(
            ("z", b"last"),
            ("./dir/", DIRECTORY),
            ("./dir/b", b"bytes" * 10000),
            ("missing/parent/f", b""),
            ("dir-x", b"beside"),
            ("/abs", b"absolute"),
            ("hard", {"type": tarfile.LNKTYPE, "linkname": "./dir/b"}),
            ("a-hard", {"type": tarfile.LNKTYPE, "linkname": "z"}),
            ("link", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
            ("fifo", {"type": tarfile.FIFOTYPE}),
            ("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),
            ("z", b"really the last"),
        )
        answers = self.read(data, ("list", ""), ("hash", "dir/b"), ("hash", "hard"), ("hash", "a-hard"), ("hash", "z"))
        found = {e["path"]: e for e in answers[0]}
        names = ["a-hard", "abs", "dir", "dir/b", "dir-x", "fifo", "hard", "link", "missing", "missing/parent", "missing/parent/f", "null", "z"]
        self.assertEqual(names, list(found))
        self.assertEqual((0o40750, 0o40755, "/etc/passwd"), (found["dir"]["mode"], found["missing"]["mode"], found["link"]["link"]))
        self.assertEqual((1234567890 * 10**9, 1 << 32 | 3), (found["z"]["mtime_ns"], found["null"]["device"]))
        self.assertEqual("dir/b", found["hard"]["same_as"])
        wanted = [b"bytes" * 10000, b"bytes" * 10000, b"really the last", b"really the last"]
        self.assertEqual(["sha256:" + hashlib.sha256(w).hexdigest() for w in wanted], answers[1:])

    def test_compressed_ones_and_pieces_of_any_size(self):
        data = tar_of(("f", os.urandom(200_000)), ("d", DIRECTORY))
        wanted = self.read(data, ("digest", ""))
        zstd = subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout
        for compressed in (gzip.compress(data), bz2.compress(data), lzma.compress(data), zstd):
            self.assertEqual(wanted, self.read(compressed, ("digest", "")))
        self.assertEqual(wanted, self.read(data, ("digest", ""), piece=777))

    def test_the_same_digest_as_of_a_directory(self):
        tree = {"d": Entry(mode=stat.S_IFDIR | 0o750), "d/f": b"1", "d/l": "f"}
        members = ("d", DIRECTORY), ("d/f", b"1"), ("d/l", {"type": tarfile.SYMTYPE, "linkname": "f"})
        self.assertEqual(self.build(tree, ("need", ""), ("digest", ""))[0], self.read(tar_of(*members), ("digest", "")))

    def test_extended_attributes(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
            info = tarfile.TarInfo("f")
            info.pax_headers = {"SCHILY.xattr.user.b": "2", "SCHILY.xattr.user.a": "1", "SCHILY.xattr.trusted.x": "3"}
            t.addfile(info)
        self.assertEqual([{"user.a": "1", "user.b": "2"}], self.read(out.getvalue(), ("xattrs", "f")))

    def test_sparse_files(self):
        path = self.path("sparse")
        with open(path, "wb") as f:
            f.truncate(3_000_000)
            f.seek(1_000_000)
            f.write(b"middle")
        with open(path, "rb") as f:
            wanted = "sha256:" + hashlib.sha256(f.read()).hexdigest()
        for form in ("gnu", "pax"):
            data = subprocess.run(["tar", "-C", self.dir, f"--format={form}", "-cSf", "-", "sparse"], capture_output=True, check=True).stdout
            self.assertEqual([wanted], self.read(data, ("hash", "sparse")))

    def test_a_dockerfile(self):
        for text in (b"FROM scratch\n", b"", b"# " + b"x" * 100_000 + b"\nFROM scratch\n"):
            self.assertEqual([{"dockerfile": text.decode()}], self.read(text))
        self.refused(b"x" * (3 << 20), "Dockerfile is larger", code="RESOURCE_EXHAUSTED")

    def test_names_that_lead_out(self):
        self.refused(tar_of(("../up", b"")), "archive")
        self.refused(tar_of(("a/../../up", b"")), "archive")
        self.refused(tar_of(("f", b""), ("f/x", b"")), "no directory of the list")
        self.refused(tar_of(("h", {"type": tarfile.LNKTYPE, "linkname": "h"})), "hard link")
        self.refused(tar_of(("h", {"type": tarfile.LNKTYPE, "linkname": "../../etc/passwd"})), "archive")
        self.refused(tar_of(("h", {"type": tarfile.LNKTYPE, "linkname": "d"}), ("d", DIRECTORY)), "hard link")

    def test_what_is_no_sound_archive(self):
        whole = tar_of(("f", os.urandom(100_000)))
        self.refused(whole[:50_000], "middle of an entry")
        self.refused(gzip.compress(whole)[:50_000], "truncated")
        self.refused(gzip.compress(b"no tar" * 1000), "not a sound tar")
        damaged = bytearray(gzip.compress(whole))
        damaged[5000] ^= 0xFF
        self.refused(bytes(damaged), "archive")

    def test_a_client_that_goes_away_or_says_that_it_cannot(self):
        self.assert_rpc_fails("INVALID_ARGUMENT", None, self.half, text="has ended its part")
        failed = Archive(b"")
        failed.answer = lambda event: [pb.BuildRequest(archive=pb.ArchiveData(failed="read stdin: input/output error"))]
        self.assert_rpc_fails("ABORTED", None, lambda: build(self.client, failed), text="read stdin: input/output error")

    def half(self):
        call = Build(self.client, Archive(tar_of(("f", b"x" * 5000))[:3000], end=False))
        for event in call.call:
            for request in call.context.answer(event):
                call.send(request)
            call.end()

    def test_nothing_stays(self):
        self.read(tar_of(("f", b"x" * 5000)), ("hash", "f"))
        self.wait_until(lambda: not self.files(), "nothing is left")

    def test_imagectls_side(self):
        data = tar_of(("f", os.urandom(3_000_000)))
        done = subprocess.run([CLIENT, "-a", self.server.address, "-", "hash=f"], input=data, capture_output=True, check=True)
        self.assertEqual(len(data), json.loads(done.stdout)["bytes"])

    def test_urls(self):
        web = WebServer()
        self.addCleanup(web.shutdown)
        web.files["/c.tar.gz"] = gzip.compress(tar_of(("d/f", b"1")))
        web.files["/moved"] = "/c.tar.gz"
        web.files["/Dockerfile"] = b"FROM scratch\n"
        for path in ("/c.tar.gz", "/moved"):
            answers = build(self.client, None, ("list", ""), source=pb.BuildContext(url=web.url + path))
            self.assertEqual(["d", "d/f"], [e["path"] for e in answers[0]])
        self.assertEqual([{"dockerfile": "FROM scratch\n"}], build(self.client, None, source=pb.BuildContext(url=web.url + "/Dockerfile")))
        self.assert_rpc_fails("NOT_FOUND", None, lambda: build(self.client, None, source=pb.BuildContext(url=web.url + "/none")), text="^invalid response status 404$")


class TestGit(ContextTestCase):
    """A repository of a git daemon on this machine."""

    def setUp(self):
        super().setUp()
        self.repository = self.path("served", "r.git")
        self.work = self.path("work")
        os.makedirs(self.work)
        self.git("init", "-q", "-b", "main")
        self.commit({"Dockerfile": b"FROM scratch\n", "sub/f": b"one\n", "sub/run": b"#!/bin/sh\n", "hidden": b"h", "v": b"$Format:%H$"})
        self.git("tag", "v1")
        self.first = self.git("rev-parse", "HEAD").strip()
        self.commit({"sub/f": b"two\n", ".gitattributes": b"hidden export-ignore\nv export-subst\n"})
        self.git("branch", "other", "v1")
        subprocess.run(["git", "clone", "-q", "--bare", self.work, self.repository], check=True, env=self.environment())
        port = free_port()
        command = ["git", "daemon", "--export-all", "--reuseaddr", f"--base-path={self.path('served')}", "--listen=127.0.0.1", f"--port={port}"]
        self.git_daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(self.stop_git)
        wait_listening(port, self.git_daemon)
        self.url = f"git://127.0.0.1:{port}/r.git"

    def stop_git(self):
        os.killpg(self.git_daemon.pid, signal.SIGTERM)
        self.git_daemon.wait(20)

    def environment(self):
        names = {f"GIT_{who}_{what}": "t@example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        dates = {f"GIT_{who}_DATE": "1500000000 +0000" for who in ("AUTHOR", "COMMITTER")}
        return {**os.environ, **names, **dates, "HOME": self.dir, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(self, *args):
        return subprocess.run(["git", "-C", self.work, *args], check=True, capture_output=True, text=True, env=self.environment()).stdout

    def commit(self, files):
        for name, data in files.items():
            os.makedirs(os.path.dirname(os.path.join(self.work, name)), exist_ok=True)
            with open(os.path.join(self.work, name), "wb") as f:
                f.write(data)
            if name == "sub/run":
                os.chmod(f.name, 0o777)
        self.git("add", "-A")
        self.git("commit", "-qm", "c")

    def read(self, fragment, *steps):
        call = Build(self.client, Directory("x", {}), *steps, source=pb.BuildContext(url=self.url + fragment))
        return call.run(), call.events[-1].done.digest

    def test_the_head(self):
        answers, commit = self.read("", ("list", ""), ("hash", "v"), ("hash", "sub/f"))
        found = {e["path"]: e for e in answers[0]}
        self.assertEqual([".gitattributes", "Dockerfile", "hidden", "sub", "sub/f", "sub/run", "v"], list(found))
        self.assertEqual((0o100644, 0o100755, 0o40755), tuple(found[n]["mode"] for n in ("sub/f", "sub/run", "sub")))
        self.assertEqual(1500000000 * 10**9, found["sub/f"]["mtime_ns"])
        wanted = ["sha256:" + hashlib.sha256(d).hexdigest() for d in (b"$Format:%H$", b"two\n")]
        self.assertEqual(wanted, answers[1:], "nothing is substituted or left out")
        self.assertEqual(self.git("rev-parse", "HEAD").strip() + " 0", commit)

    def test_a_web_server_that_knows_nothing_of_git(self):
        subprocess.run(["git", "-C", self.repository, "update-server-info"], check=True)
        handler = functools.partial(Quiet, directory=self.path("served"))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.url = f"http://127.0.0.1:{server.server_port}/r.git"
            for fragment, commit in (("", self.git("rev-parse", "HEAD").strip()), ("#v1:sub", self.first)):
                self.assertEqual(commit + " 0", self.read(fragment, ("list", ""))[1])
            server.shutdown()

    def test_refs_and_subdirectories(self):
        one = "sha256:" + hashlib.sha256(b"one\n").hexdigest()
        for ref in ("v1", "other", "refs/tags/v1", self.first, self.first[:10]):
            answers, commit = self.read(f"#{ref}:sub", ("hash", "f"), ("list", ""))
            self.assertEqual((one, ["f", "run"]), (answers[0], [e["path"] for e in answers[1]]), ref)
            self.assertEqual(self.first + " 0", commit)
        answers, _ = self.read("#:sub", ("list", ""))
        self.assertEqual(["f", "run"], [e["path"] for e in answers[0]])

    def add_submodule(self, url):
        """At `module`, of a repository that has the file `inside`."""
        own, served = self.path("own"), self.path("served", "m.git")
        subprocess.run(["git", "init", "-q", "-b", "main", own], check=True, env=self.environment())
        with open(os.path.join(own, "inside"), "wb") as f:
            f.write(b"module\n")
        for args in (["add", "-A"], ["commit", "-qm", "m"]):
            subprocess.run(["git", "-C", own, *args], check=True, env=self.environment())
        subprocess.run(["git", "clone", "-q", "--bare", own, served], check=True, env=self.environment())
        self.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "--name", "a.path.b", served, "deep/module")
        self.set_url(url)

    def set_url(self, url):
        self.git("config", "-f", ".gitmodules", "submodule.a.path.b.url", url)
        self.git("add", "-A")
        self.git("commit", "-qm", "m")
        self.git("push", "-q", self.repository, "main")

    def test_submodules(self):
        self.add_submodule("../m.git")
        answers, commit = self.read("", ("list", "deep"), ("hash", "deep/module/inside"))
        self.assertEqual(["deep", "deep/module", "deep/module/inside"], [e["path"] for e in answers[0]])
        self.assertEqual("sha256:" + hashlib.sha256(b"module\n").hexdigest(), answers[1])
        self.assertEqual("1", commit.split()[1])
        answers, _ = self.read("#:deep/module", ("list", ""))
        self.assertEqual(["inside"], [e["path"] for e in answers[0]])

    def test_submodules_of_other_protocols(self):
        self.add_submodule("../m.git")
        for url in (self.repository, "file://" + self.repository, "ext::sh -c touch", "ssh://h/r.git"):
            self.set_url(url)
            self.assert_rpc_fails("FAILED_PRECONDITION", None, self.read, "", text="only https, http and git")
        self.assertEqual([], self.left())

    def test_what_cannot_be(self):
        for fragment, code, text in (
            ("#nothing", "NOT_FOUND", "repository does not contain ref nothing, output: \"\""),
            ("#v1:nodir", "NOT_FOUND", "nodir"),
            ("#v1:Dockerfile", "NOT_FOUND", "Dockerfile"),
            ("#--upload-pack=touch", "INVALID_ARGUMENT", "none"),
            ("?checksum=0123456789", "FAILED_PRECONDITION", "expected checksum"),
        ):
            with self.subTest(fragment):
                self.assert_rpc_fails(code, None, self.read, fragment, text=text)
        for url, text in (("file://" + self.repository, "only https"), ("ssh://git@127.0.0.1/r.git", "only https")):
            self.assert_rpc_fails("FAILED_PRECONDITION", None, lambda u=url: build(self.client, None, source=pb.BuildContext(url=u)), text=text)
        self.assertEqual([], self.left())

    def left(self):
        return [n for n in os.listdir(os.path.join(self.server.root, "contexts")) if n.startswith("git-")]

    def test_a_cancelled_one_leaves_nothing(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        url = f"git://127.0.0.1:{listener.getsockname()[1]}/r.git"
        call = Build(self.client, None, source=pb.BuildContext(url=url))
        connection, _ = listener.accept()
        call.call.cancel()
        call.end()
        connection.settimeout(20)
        while connection.recv(4096):
            pass
        connection.close()
        self.wait_until(lambda: not self.left(), "git is gone")

    def restart_with(self, name, value):
        self.stop()
        os.environ[name] = value
        try:
            self.server = Server(self.path("s"))
        finally:
            del os.environ[name]

    def test_more_bytes_than_may_be_fetched(self):
        self.commit({"large": os.urandom(300_000)})
        self.git("push", "-q", self.repository, "main")
        self.restart_with("CONTEXT_GIT_BYTES", "200000")
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", self.read, "", text="more bytes than a build may fetch")
        self.read("#v1", ("list", ""))
        self.assertEqual([], self.left())

    def test_more_bytes_in_submodules(self):
        """They count together."""
        self.add_submodule("../m.git")
        self.commit({"large": os.urandom(150_000)})
        self.git("push", "-q", self.repository, "main")
        with open(self.path("own", "inside"), "wb") as f:
            f.write(os.urandom(150_000))
        subprocess.run(["git", "-C", self.path("own"), "commit", "-qam", "m"], check=True, env=self.environment())
        subprocess.run(["git", "-C", self.path("own"), "push", "-q", self.path("served", "m.git"), "main"], check=True, env=self.environment())
        self.git("-C", "deep/module", "pull", "-q", self.path("served", "m.git"), "main")
        self.commit({"other": b""})
        self.git("push", "-q", self.repository, "main")
        self.restart_with("CONTEXT_GIT_BYTES", "250000")
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", self.read, "", text="more bytes than a build may fetch")
        self.assertEqual([], self.left())

    def test_a_server_that_says_nothing(self):
        self.restart_with("CONTEXT_GIT_SECONDS", "1")
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        source = pb.BuildContext(url=f"git://127.0.0.1:{listener.getsockname()[1]}/r.git")
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", lambda: build(self.client, None, source=source), text="longer than a build may fetch")
        self.assertEqual([], self.left())

    def test_without_git(self):
        self.restart_with("CONTEXT_GIT", "no-such-git")
        self.assert_rpc_fails("FAILED_PRECONDITION", "UNSUPPORTED_CONTENT", self.read, "", text="git is not installed")
