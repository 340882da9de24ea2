"""DiffImages: what two images have not in common. The truth are the layers as GNU tar unpacks
them one over the other, looked at by Python."""

import json
import os
import stat
import unittest

import erofs
import grpc
import trees
from archives import ArchiveCase, docker_files, load
from ociimage import Image, Layer, random_bytes, tar

MIB = 1 << 20
KINDS = {1: "added", 2: "removed", 3: "changed"}
WHATS = {1: "type", 2: "mode", 3: "owner", 4: "content", 5: "link", 6: "device", 7: "attributes", 8: "time"}


def what_differs(a, b):
    """Of two entries of snapshots."""
    mode = [int(e["mode"], 8) for e in (a, b)]
    found = set()
    if stat.S_IMODE(mode[0]) != stat.S_IMODE(mode[1]):
        found.add("mode")
    if a["owner"] != b["owner"]:
        found.add("owner")
    if not stat.S_ISDIR(mode[1]) and a["mtime"] != b["mtime"]:
        found.add("time")
    if stat.S_IFMT(mode[0]) != stat.S_IFMT(mode[1]):
        return found | {"type"}
    if a["content"] != b["content"]:
        found.add("link" if stat.S_ISLNK(mode[1]) else "content")
    if a["device"] != b["device"]:
        found.add("device")
    if a["xattrs"] != b["xattrs"]:
        found.add("attributes")
    return found


def expected(old, new):
    """{path: (kind, what)} of two snapshots."""
    found = {}
    for name in old.keys() | new.keys():
        path = b"" if name == b"." else name
        if name not in old:
            found[path] = ("added", frozenset())
        elif name not in new:
            found[path] = ("removed", frozenset())
        elif what := what_differs(old[name], new[name]):
            found[path] = ("changed", frozenset(what))
    return found


class DiffCase(ArchiveCase):
    def diff(self, old, new, **fields):
        """(started, differences, summary)"""
        events = list(self.client.DiffImages(**{"from": old, "to": new}, **fields))
        self.assertEqual(("started", "summary"), (events[0].WhichOneof("event"), events[-1].WhichOneof("event")))
        items = [item for e in events[1:-1] for item in e.differences.items]
        return events[0].started, items, events[-1].summary

    def changes(self, old, new, **fields):
        return {i.path.decode(): KINDS[i.kind] for i in self.diff(old, new, **fields)[1]}

    def load(self, name, *layers):
        load(self.client, tar(docker_files((Image([Layer(data, "plain") for data in layers]), name))))


def at(item, side):
    return getattr(item, side)


class Truth(DiffCase):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root: devices, owners")

    def image(self, name, *tars):
        """Of tar files; the snapshot of what GNU tar makes of them."""
        data = []
        for path in tars:
            with open(path, "rb") as file:
                data.append(file.read())
        self.load(name, *data)
        return erofs.snapshot(erofs.gnu_layers(tars, self.path("gnu-" + name.replace(":", "-"))))

    def check(self, old, new, before, after):
        started, items, summary = self.diff(old, new)
        self.assertEqual(expected(before, after), {i.path: (KINDS[i.kind], frozenset(WHATS[w] for w in i.what)) for i in items})
        self.assertEqual(len(items), len({i.path for i in items}))
        self.assertEqual([i.path.split(b"/") for i in items], sorted(i.path.split(b"/") for i in items))
        for side, tree, layers in (("from", before, started.from_layers), ("to", after, started.to_layers)):
            for item in items:
                if not item.HasField(side):
                    continue
                state, entry = at(item, side), tree[item.path or b"."]
                self.assertEqual((entry["mode"], entry["owner"], entry["mtime"]),
                                 (oct(state.mode), (state.uid, state.gid), state.modified.ToNanoseconds()))
                self.assertLess(state.layer, len(layers))
        self.check_summary(items, summary)
        return items

    def check_summary(self, items, summary):
        def count(items):
            kinds = [KINDS[i.kind] for i in items]
            size = lambda side: sum(at(i, side).size for i in items if i.HasField(side) and stat.S_ISREG(at(i, side).mode))
            return (*(kinds.count(kind) for kind in ("added", "removed", "changed")), size("to"), size("from"))

        def told(c):
            return (c.added, c.removed, c.changed, c.added_bytes, c.removed_bytes)

        self.assertEqual(count(items), told(summary.total))
        for n, layer in enumerate(summary.to_layers):
            self.assertEqual(count([i for i in items if i.HasField("to") and i.to.layer == n]), told(layer))
        for n, layer in enumerate(summary.from_layers):
            self.assertEqual(count([i for i in items if not i.HasField("to") and getattr(i, "from").layer == n]), told(layer))

    def test_one_of_everything_and_a_layer_above(self):
        root = trees.everything(self.path("tree"))
        base = trees.pack(root, self.path("base.tar"))
        above = erofs.Tar(self.path("above.tar"))
        above.add("size100", data=b"other bytes", mtime=5)
        above.add("mode4755", data=b"x" * 0o4755, mode=0o755, mtime=9)
        above.directory("new", mtime=3).add("new/file", data=b"1" * 5000).symlink("new/link", "file")
        above.add(".wh.dir").add(".wh.fifo").symlink("link", "elsewhere")
        above.add("link-long", data=b"now a file").directory("char", mode=0o700).add("char/in", data=b"x")
        before = self.image("a:1", base)
        after = self.image("a:2", base, above.done())
        items = self.check("a:1", "a:2", before, after)
        self.assertTrue({"added", "removed", "changed"} <= {KINDS[i.kind] for i in items})
        self.check("a:2", "a:1", after, before)
        self.assertEqual([], self.check("a:2", "a:2", after, after))

    def test_images_that_share_no_layer(self):
        """The same files packed anew are the same, whatever layer they are of."""
        root = trees.everything(self.path("tree"))
        first = trees.pack(root, self.path("one.tar"))
        second = trees.pack(root, self.path("two.tar"), *[n for n in sorted(os.listdir(root), reverse=True)], ".")
        before, after = self.image("a:1", first), self.image("b:1", second)
        self.assertEqual([], self.check("a:1", "b:1", before, after))

    def test_order_of_names_beside_directories(self):
        """What is in a directory comes before names that go on behind its own."""
        names = ["a", "a/x", "a/z/q", "a-b", "a.b", "a0", "a/x-y", "b"]
        one, two = erofs.Tar(self.path("1.tar")), erofs.Tar(self.path("2.tar"))
        one.directory("a").directory("a/z")
        for name in ("a/x", "a-b", "a0"):
            one.add(name, data=b"1")
        two.directory("a").directory("a/z")
        for name in names[1:]:
            two.add(name, data=b"2")
        before, after = self.image("a:1", one.done()), self.image("a:2", two.done())
        self.check("a:1", "a:2", before, after)

    def test_holes(self):
        """A file of holes is as large as it says, is not read, and differs where it has data."""
        root = self.path("sparse")
        trees.sparse(root)
        base = trees.pack(root, self.path("base.tar"))
        before = self.image("a:1", base)
        name = max(os.listdir(root), key=lambda n: os.path.getsize(os.path.join(root, n)))
        with open(os.path.join(root, name), "r+b") as file:
            file.seek(os.path.getsize(os.path.join(root, name)) // 2)
            file.write(b"something")
        os.utime(os.path.join(root, name), ns=(0, 7))
        after = self.image("a:2", trees.pack(root, self.path("again.tar")))
        items = self.check("a:1", "a:2", before, after)
        self.assertIn(name, [os.path.basename(i.path.decode()) for i in items])


class Diff(DiffCase):
    def test_times_may_be_ignored(self):
        one, two = erofs.Tar(self.path("1.tar")), erofs.Tar(self.path("2.tar"))
        one.add("same", data=b"1", mtime=1).add("other", data=b"1", mtime=1)
        two.add("same", data=b"1", mtime=2).add("other", data=b"2", mtime=2)
        for name, archive in (("a:1", one), ("a:2", two)):
            with open(archive.done(), "rb") as file:
                self.load(name, file.read())
        self.assertEqual({"same": "changed", "other": "changed"}, self.changes("a:1", "a:2"))
        self.assertEqual({"other": "changed"}, self.changes("a:1", "a:2", ignore_times=True))

    def test_large_files_that_differ_at_their_end(self):
        data = random_bytes(3 * MIB + 5, 1)
        self.load("a:1", tar({"f": data, "g": data}))
        self.load("a:2", tar({"f": data, "g": data[:-1] + bytes([data[-1] ^ 1])}))
        self.assertEqual({"g": "changed"}, self.changes("a:1", "a:2"))

    def test_an_image_without_layers(self):
        self.load("a:1")
        self.load("a:2", tar({"f": b"1"}))
        self.assertEqual("added", self.changes("a:1", "a:2")["f"])
        self.assertEqual("removed", self.changes("a:2", "a:1")["f"])
        self.assertEqual({}, self.changes("a:1", "a:1"))

    def test_of_what_is_not_here(self):
        self.load("a:1", tar({"f": b"1"}))
        for old, new in (("a:1", "nosuch"), ("nosuch", "a:1")):
            with self.assertRaises(grpc.RpcError) as caught:
                self.diff(old, new)
            self.assertEqual("No such image: nosuch:latest", caught.exception.details())

    def test_nothing_is_held_afterwards(self):
        """Nor after a call that its client left: what is removed then is gone."""
        self.load("a:1", tar({f"f{n}": b"1" for n in range(5000)}))
        self.load("a:2", tar({f"g{n}": b"1" for n in range(5000)}))
        self.diff("a:1", "a:2")
        call = self.client.DiffImages(**{"from": "a:1", "to": "a:2"})
        next(iter(call))
        call.cancel()
        for name in ("a:1", "a:2"):
            self.client.RemoveImage(image=name)
        self.wait_until(lambda: self.client.PruneImages(all=True) and not self.files(), "all is gone")

    def test_images_that_go_meanwhile(self):
        """What was held is read to its end."""
        count = 20_000
        self.load("a:1", tar({}))
        self.load("a:2", tar({f"{n:05}{'x' * 200}": b"1" for n in range(count)}))
        call = iter(self.client.DiffImages(**{"from": "a:1", "to": "a:2"}))
        next(call)
        self.client.RemoveImage(image="a:2")
        self.assertEqual(count, sum(len(e.differences.items) for e in call))

    def test_many_files_take_no_memory(self):
        """Neither of the service nor of imagectl."""
        def anonymous(pid):
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                return int(next(line for line in file if line.startswith("RssAnon")).split()[1])

        self.load("a:1", tar({f"{n:05}": b"1" for n in range(40_000)}))
        self.load("a:2", tar({f"{n:05}": b"2" for n in range(40_000)}))
        before = anonymous(self.imaged.pid)
        _, items, _ = self.diff("a:1", "a:2")
        self.assertEqual(40_000, len(items))
        if "build-asan" not in os.environ.get("IMAGED_BIN_DIR", ""):
            self.assertLess(anonymous(self.imaged.pid) - before, 24 << 10)


class Words(DiffCase):
    """imagectl image diff."""

    def setUp(self):
        super().setUp()
        base = tar({"etc/": None, "etc/motd": b"hello", "etc/old": b"12345"})
        self.first, self.second = base, tar({"etc/motd": b"hello, world", "new file": b"x" * 2000, "etc/.wh.old": b""})
        self.load("a:1", base)
        self.load("a:2", base, self.second)
        self.layers = [layer.diff_id[7:19] for layer in self.client.InspectImage(image="a:2").layers]

    def ctl(self, *args, **more):
        return self.imaged.ctl("image", "diff", *args, **more)

    def test_a_line_for_each(self):
        low, high = self.layers
        self.assertEqual(
            f"C {high}     12B /etc/motd (content)\nD {low}      5B /etc/old\nA {high}     2kB /new file\n",
            self.ctl("a:1", "a:2").stdout)
        self.assertEqual("", self.ctl("a:2", "a:2").stdout)

    def test_by_layer(self):
        low, high = self.layers
        self.assertEqual(
            "IMAGE     LAYER          ADDED     CHANGED   REMOVED   BYTES IN   BYTES OUT\n"
            f"a:1       {low}   0         0         1         0B         5B\n"
            f"a:2       {high}   1         1         0         2.01kB     5B\n",
            self.ctl("--layers", "a:1", "a:2").stdout)

    def test_layers_without_differences_are_left_out(self):
        self.load("a:3", self.first, self.second, tar({"new file": b"y"}))
        said = self.ctl("--layers", "--format", "{{.Layer}} {{.Changed}} {{.AddedBytes}} {{.RemovedBytes}}", "a:2", "a:3").stdout
        self.assertEqual(f"{self.client.InspectImage(image='a:3').layers[2].diff_id[7:19]} 1 1 2000\n", said)
        self.assertEqual("", self.ctl("--layers", "--format", "json", "a:3", "a:3").stdout)

    def test_json_and_templates(self):
        rows = [json.loads(line) for line in self.ctl("--format", "json", "a:1", "a:2").stdout.splitlines()]
        self.assertEqual(["changed", "removed", "added"], [row["Change"] for row in rows])
        self.assertEqual(["content"], rows[0]["What"])
        self.assertEqual((12, 5), (rows[0]["Size"], rows[0]["OldSize"]))
        self.assertEqual("changed /etc/motd\nremoved /etc/old\nadded /new file\n",
                         self.ctl("--format", "{{.Change}} {{.Path}}", "a:1", "a:2").stdout)
        self.assertEqual(1, self.ctl("--format", "{{.Nope}}", "a:1", "a:2", check=False).stderr.count("can't evaluate field Nope"))

    def test_quiet_is_a_question(self):
        for names, status in ((("a:1", "a:2"), 1), (("a:1", "a:1"), 0)):
            done = self.ctl("-q", *names, check=False)
            self.assertEqual((status, "", ""), (done.returncode, done.stdout, done.stderr))

    def test_names_are_no_commands_to_a_terminal(self):
        self.load("b:1", tar({"a\x1b[2Jb\nc": b""}))
        self.load("b:0", tar({}))
        self.assertTrue(self.ctl("b:0", "b:1").stdout.rstrip("\n").replace("\n", "?").endswith("/a?[2Jb?c"))

    def test_failures_in_dockers_words(self):
        failed = self.ctl("a:1", "nosuch", check=False)
        self.assertEqual((1, "Error response from daemon: No such image: nosuch:latest\n"), (failed.returncode, failed.stderr))
        self.assertIn("'imagectl image diff' requires 2 arguments", self.ctl("a:1", check=False).stderr)


if __name__ == "__main__":
    unittest.main()
