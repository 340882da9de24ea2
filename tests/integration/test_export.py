"""ExportTree: the merged tree of an image as one tar. It is what GNU tar makes of the layers
one after the other, and what an overlay over their images shows."""

import concurrent.futures
import contextlib
import hashlib
import io
import os
import pty
import random
import shutil
import subprocess
import tarfile

import erofs
import trees
from archives import ArchiveCase, docker_files, import_requests, load
from erofs import Tar
from fakeregistry import FakeRegistry
from harness import SLOW, program
from ociimage import Image, Layer, random_bytes, tar

MIB = 1 << 20
GOING_MAX = 32


def read(path):
    with open(path, "rb") as file:
        return file.read()


@contextlib.contextmanager
def overlay(images, directory):
    """Images of layers, lowest first, laid over each other by the kernel."""
    with contextlib.ExitStack() as stack:
        lower = [stack.enter_context(erofs.mounted(path, f"{directory}.{n}")) for n, path in enumerate(images)]
        os.makedirs(directory)
        if len(lower) == 1:
            yield lower[0]
            return
        options = "ro,xino=on,lowerdir=" + ":".join(reversed(lower))
        subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", directory], check=True, timeout=60)
        try:
            yield directory
        finally:
            subprocess.run(["umount", directory], check=True, timeout=60)


class ExportCase(ArchiveCase):
    def export(self, image, client=None, timeout=120):
        return b"".join(piece.data for piece in (client or self.client).ExportTree(image=image, timeout=timeout * SLOW))

    def load_layers(self, tars, name="x:1", client=None):
        load(client or self.client, tar(docker_files((Image([Layer(read(path), "plain") for path in tars]), name))))
        return name

    def layer_images(self, name):
        """Paths of the images of an image's layers, lowest first."""
        found = []
        for layer in self.client.InspectImage(image=name).layers:
            value = layer.diff_id.partition(":")[2]
            [file] = [n for n in os.listdir(self.path("d", "root", "layers", "sha256", value[:2])) if n.startswith(value)]
            found.append(self.path("d", "root", "layers", "sha256", value[:2], file))
        return found

    def unpack_export(self, name, where="exported"):
        with open(self.path(where + ".tar"), "wb") as file:
            file.write(self.export(name))
        return erofs.snapshot(erofs.gnu_extract(self.path(where + ".tar"), self.path(where)))

    def assert_same(self, wanted, got):
        self.assertEqual([], erofs.differences(wanted, got))

    def check_layers(self, *tars, hidden_links=False):
        """The export against GNU tar and the kernel; gives the snapshot of it."""
        name = self.load_layers(tars)
        got = self.unpack_export(name)
        self.assert_same(erofs.snapshot(erofs.gnu_layers(tars, self.path("gnu"))), got)
        if erofs.can_mount():
            with overlay(self.layer_images(name), self.path("merged")) as root:
                shown = erofs.snapshot(root)
            # There a file has all names of its layer, those too that a layer above hides.
            for entry in (*shown.values(), *got.values()) if hidden_links else ():
                entry.pop("links")
            self.assert_same(self.without_marks(shown), got)
        return got

    def without_marks(self, shown):
        for entry in shown.values():
            for name in [name for name in entry["xattrs"] if name.startswith(("trusted.overlay.", "user.overlay."))]:
                entry["xattrs"].pop(name)
        return shown


class OneLayer(ExportCase):
    def tar_of(self, directory, *options):
        made = self.path("made.tar")
        subprocess.run(
            ["tar", "-cf", made, "-C", directory, "--format=posix", "--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*", *options, "."],
            check=True,
            stderr=subprocess.PIPE,
        )
        return made

    def test_every_type_attribute_and_link(self):
        tree = trees.everything(self.path("tree"))
        got = self.check_layers(self.tar_of(tree))
        self.assertIn("security.capability", got[b"size32"]["xattrs"])
        self.assertIn("system.posix_acl_access", got[b"size31"]["xattrs"])
        self.assertIn("system.posix_acl_default", got[b"dir/below"]["xattrs"])
        self.assertEqual((4_000_000_000, 3_000_000_000), got[b"owner-large"]["owner"])
        self.assertEqual(-1_500_000_000, got[b"old"]["mtime"])

    def test_names_of_any_bytes_and_lengths(self):
        root = os.fsencode(self.path("tree"))
        deep = root
        for i in range(30):
            deep = os.path.join(deep, b"%03d" % i + b"d" * 97)
        os.makedirs(deep)
        names = [b"\xff\xfe not utf-8", b"new\nline", b"-dash", b"...", b".hidden", "ü".encode(), b"x" * 255, b"\xff" * 200, b"%s", b"a=b", b" 1 "]
        for name in names:
            for folder in (root, deep):
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(name)
            os.symlink(name, os.path.join(root, b"l" + name[:250]))
        os.symlink(b"\xfe" * 3000, os.path.join(deep, b"link"))
        for length in range(90, 110):  # around the borders of a header's fields
            for folder in range(50, 160, 13):
                directory = os.path.join(root, b"f" * folder)
                os.makedirs(directory, exist_ok=True)
                with open(os.path.join(directory, b"n" * length), "wb"):
                    pass
        got = self.check_layers(self.tar_of(self.path("tree")))
        self.assertIn(b"\xff" * 200, got)

    def test_attributes_of_any_name(self):
        os.makedirs(self.path("tree"))
        for name in (b"file", b"directory", b"link"):
            path = os.path.join(os.fsencode(self.path("tree")), name)
            if name == b"link":
                os.symlink(b"nowhere", path)
            elif name == b"directory":
                os.mkdir(path)
            else:
                self.write("tree/file", b"")
            for attribute in (b"a=b", b"%3D", b"100%", b"=", b"\xff\xfe", b"n" * 240, b" space\n"):
                os.setxattr(path, b"trusted." + attribute, b"v\n=\0" + attribute, follow_symlinks=False)
            os.setxattr(path, "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"), follow_symlinks=False)
        got = self.check_layers(self.tar_of(self.path("tree")))
        self.assertEqual(8, len(got[b"directory"]["xattrs"]))

    def test_sparse_files_stay_sparse(self):
        root = self.path("tree")
        os.makedirs(os.path.join(root, "d"))

        def sparse(name, size, *pieces):
            with open(os.path.join(root, name), "wb") as file:
                for offset, data in pieces:
                    file.seek(offset)
                    file.write(data)
                file.truncate(size)

        sparse("all-hole", 1 << 24)
        sparse("end", 1 << 24, ((1 << 24) - 5000, b"e" * 5000))
        sparse("begin", MIB + 123, (0, b"b" * 100))
        sparse("d/middle" + "m" * 200, 1 << 24, (12_345_678, b"m" * 10_000))
        sparse("many", 1 << 24, *[(i * 123_457, bytes([i]) * 5000) for i in range(1, 130)])
        sparse("large", 1 << 34, (9_876_543_210, b"large"))
        os.link(os.path.join(root, "many"), os.path.join(root, "d", "many-too"))
        made = self.tar_of(root, "--sparse")
        name = self.load_layers([made])
        archive = self.export(name)
        self.assertLess(len(archive), 8 * MIB)
        self.write("x.tar", archive)
        os.mkdir(self.path("out"))
        subprocess.run(["tar", "-xpSf", self.path("x.tar"), "-C", self.path("out")], check=True)
        for file in ("all-hole", "end", "begin", "d/middle" + "m" * 200, "many"):
            self.assertEqual(read(os.path.join(root, file)), read(self.path("out", file)), file)
        large = os.stat(self.path("out", "large"))
        self.assertEqual(1 << 34, large.st_size)
        self.assertLess(large.st_blocks * 512, MIB)
        with open(self.path("out", "large"), "rb") as file:
            file.seek(9_876_543_210)
            self.assertEqual(b"large\0", file.read(6))
        with tarfile.open(self.path("x.tar")) as python:
            self.assertEqual(read(os.path.join(root, "many")), python.extractfile("d/many-too").read())

    def test_more_holes_than_a_map_may_have(self):
        pieces, step = 17_000, 8192
        size = pieces * step
        text = ",".join(f"{i * step},1" for i in range(pieces))
        archive = Tar(self.path("t"))
        archive.directory(".")
        archive.add("f", data=b"x" * pieces, pax_headers={"GNU.sparse.map": text, "GNU.sparse.size": str(size)})
        self.write("x.tar", self.export(self.load_layers([archive.done()])))
        with tarfile.open(self.path("x.tar")) as python:
            member = python.getmember("f")
            self.assertEqual(size, member.size)
            self.assertLessEqual(len(member.sparse), 16384 + 1)
            file = python.extractfile(member)
            for block in range(0, size, step * 512):
                file.seek(block)
                self.assertEqual(b"x" + bytes(step - 1), file.read(step))

    def test_many_entries_in_one_directory(self):
        archive = Tar(self.path("t"))
        archive.directory(".")
        archive.directory("d")
        names = [f"{i * 7919 % 64000:05d}" + "n" * (i % 40) for i in range(64000)]
        for name in names:
            archive.add(f"d/{name}", data=name.encode())
        data = self.export(self.load_layers([archive.done()]))
        with tarfile.open(fileobj=io.BytesIO(data)) as python:
            got = python.getnames()
            self.assertEqual([".", "d"] + sorted("d/" + name for name in names), got)
            self.assertEqual(names[777].encode(), python.extractfile("d/" + names[777]).read())

    def test_an_image_of_nothing(self):
        self.load_layers([Tar(self.path("t")).done()])
        self.write("x.tar", self.export("x:1"))
        with tarfile.open(self.path("x.tar")) as python:
            self.assertEqual(["."], python.getnames())
        load(self.client, tar(docker_files((Image([]), "none:1"))))
        self.assertEqual(bytes(1024), self.export("none:1"))


class Layers(ExportCase):
    def layer(self, number, *made):
        archive = Tar(self.path(f"layer{number}.tar"))
        archive.directory(".", mtime=1000 + number, mode=0o700 + number)
        for make in made:
            make(archive)
        return archive.done()

    def test_each_name_is_the_uppermost_layers(self):
        file = lambda name, data, **f: lambda a: a.add(name, data=data, **f)
        folder = lambda name, **f: lambda a: a.directory(name, **f)
        link = lambda name, to: lambda a: a.symlink(name, to)
        hard = lambda name, to: lambda a: a.hard_link(name, to)
        gone = lambda name: file(name, b"")
        lowest = self.layer(
            1,
            folder("d", mode=0o711, uid=7, mtime=5), file("d/only-below", b"1"), file("d/both", b"1"), file("d/gone", b"1"),
            folder("d/sub"), file("d/sub/1", b"1"), folder("d/sub/deep"), file("d/sub/deep/1", b"1"),
            folder("opaque"), file("opaque/below", b"1"), folder("opaque/dir"), file("opaque/dir/below", b"1"),
            folder("dir-then-file"), file("dir-then-file/x", b"1"), file("file-then-dir", b"1"),
            folder("dir-file-dir"), file("dir-file-dir/never", b"1"),
            folder("dir-gone-dir"), file("dir-gone-dir/never", b"1"), folder("gone-dir"), file("gone-dir/x", b"1"),
            link("link-then-dir", "d"), file("a", b"1"), file("a.b", b"1"), file("a0", b"1"),
            file("hard", b"hard" * 3000), hard("hard2", "hard"), hard("d/hard3", "hard"),
            file("hard-gone", b"other"), hard("hard-stays", "hard-gone"), hard("hard-stays2", "hard-gone"),
        )
        middle = self.layer(
            2,
            folder("d", mode=0o755, uid=8, mtime=6), file("d/both", b"22"), gone("d/.wh.gone"),
            folder("d/sub"), file("d/sub/2", b"22"), folder("opaque", uid=9), gone("opaque/.wh..wh..opq"), file("opaque/here", b"22"),
            file("dir-then-file", b"22"), folder("file-then-dir"), file("file-then-dir/x", b"22"),
            file("dir-file-dir", b"22"), gone(".wh.dir-gone-dir"), gone(".wh.gone-dir"), gone(".wh.hard-gone"),
            folder("link-then-dir"), file("link-then-dir/x", b"22"), folder("a"), file("a/x", b"22"),
            gone(".wh.never-was"), file("hard2", b"own now"),
        )
        highest = self.layer(
            3,
            folder("d", mode=0o750, uid=10, mtime=7, pax_headers={"SCHILY.xattr.user.of": "highest"}), file("d/gone", b"back"), folder("d/sub", mtime=8), gone("d/sub/.wh.deep"), file("d/sub/3", b"333"),
            folder("opaque"), folder("opaque/dir"), file("opaque/dir/new", b"333"), folder("dir-file-dir"), file("dir-file-dir/new", b"333"),
            folder("dir-gone-dir"), file("dir-gone-dir/new", b"333")
        )
        got = self.check_layers(lowest, middle, highest, hidden_links=True)
        self.assertNotIn(b"dir-file-dir/never", got)
        self.assertNotIn(b"opaque/below", got)
        self.assertEqual(b"hard-stays", got[b"hard-stays2"]["same as"])
        self.assertEqual({b"a", b"a/x", b"a.b", b"a0"}, {name for name in got if name.startswith(b"a")})

    def test_an_opaque_root_hides_all_below(self):
        below = self.layer(1, lambda a: a.add("below"), lambda a: a.directory("d").add("d/below"))
        middle = self.layer(2, lambda a: a.add(".wh..wh..opq"), lambda a: a.add("middle"))
        above = self.layer(3, lambda a: a.add("above"))
        self.load_layers([below, middle, above])
        self.assertEqual({b".", b"middle", b"above"}, set(self.unpack_export("x:1")))

    def random_layer(self, random_, number):
        """Of few names, so that layers meet; every directory is an entry of its own."""
        archive = Tar(self.path(f"layer{number}.tar"))
        archive.directory(".", mtime=number)

        def fill(folder, depth):
            for name in random_.sample("abcdef", random_.randrange(5)):
                path, choice = folder + name, random_.random()
                attributes = {"mtime": number * 100 + random_.randrange(90), "uid": random_.randrange(5), "mode": random_.choice((0o700, 0o755, 0o1777))}
                if choice < 0.2:
                    archive.add(folder + ".wh." + name)
                elif choice < 0.6 and depth < 4:
                    archive.directory(path, **attributes)
                    if random_.random() < 0.2:
                        archive.add(path + "/.wh..wh..opq")
                    fill(path + "/", depth + 1)
                elif choice < 0.7:
                    archive.symlink(path, name * 5, mtime=number)
                else:
                    archive.add(path, data=name.encode() * random_.randrange(6000), **attributes)

        fill("", 0)
        return archive.done()

    def test_random_layers(self):
        for seed in range(12):
            with self.subTest(seed=seed):
                random_ = random.Random(seed)
                self.check_layers(*[self.random_layer(random_, n) for n in range(random_.randrange(2, 8))])
            for name in ("gnu", "exported", "merged"):
                shutil.rmtree(self.path(name))

    def test_hundreds_of_layers(self):
        layers = [self.layer(n, lambda a, n=n: a.directory("d", mtime=n).add(f"d/{n}", data=b"%d" % n).add("same", data=b"%d" % n)) for n in range(300)]
        self.load_layers(layers)
        got = self.unpack_export("x:1")
        self.assertEqual(300 + 3, len(got))
        self.assertEqual(hashlib.sha256(b"299").hexdigest(), got[b"same"]["content"])
        self.assertEqual(299 * 10**9, got[b"d"]["mtime"])


class TheSameBytes(ExportCase):
    def test_twice_and_from_another_store(self):
        with FakeRegistry() as registry:
            layers = [Layer(tar({f"d{n}/": None, f"d{n}/f": random_bytes(50_000, n), "same": b"%d" % n})) for n in range(5)]
            registry.repo("a").add(Image(layers), "1")
            name = f"{registry.host}/a:1"
            self.client.pull(name)
            first = self.export(name)
            self.assertEqual(first, self.export(self.client.images()[0].id), "by its ID")
            other = self.daemon(name="other").client()
            other.pull(name)
            self.assertEqual(first, self.export(name, other))

    def test_an_import_of_it_is_one_layer_of_the_same_bytes(self):
        tree = trees.everything(self.path("tree"))
        made = OneLayer.tar_of(self, tree)
        upper = Tar(self.path("upper.tar")).directory("dir", mode=0o755, mtime=3).add("dir/.wh.below").add("dir/new", data=b"new").done()
        self.load_layers([made, upper])
        first = self.export("x:1")
        list(self.client.Import(import_requests(first, reference="one:1")))
        self.assertEqual(1, len(self.client.InspectImage(image="one:1").layers))
        self.assertEqual(first, self.export("one:1"))


class Meanwhile(ExportCase):
    def setUp(self):
        super().setUp()
        self.content = random_bytes(40 * MIB, 1)
        load(self.client, tar(docker_files((Image([Layer(tar({"a": b"1", "f": self.content}), "plain")]), "x:1"))))

    def begun(self):
        call = self.client.ExportTree(image="x:1", timeout=120 * SLOW)
        return call, next(call).data

    def test_the_image_is_removed(self):
        call, first = self.begun()
        self.client.RemoveImage(image="x:1")
        self.client.PruneImages(all=True)
        self.assertTrue(self.files("content", "layers"), "held meanwhile")
        data = first + b"".join(piece.data for piece in call)
        self.client.PruneImages(all=True)
        self.assertEqual([], list(self.files("content", "layers")))
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            self.assertEqual(self.content, archive.extractfile("f").read())
        self.assert_rpc_fails("NOT_FOUND", "NO_SUCH_IMAGE", self.client.ExportTree, image="x:1")

    def test_a_reader_that_goes_away(self):
        for _ in range(GOING_MAX + 8):  # each would keep its place otherwise
            self.wait_until(self.begin_and_go, "a place is free")

    def begin_and_go(self):
        import grpc

        try:
            call, _ = self.begun()
            call.cancel()
        except grpc.RpcError as error:
            self.assertIn("try again", error.details())
            return False
        return True

    def test_more_at_once_than_there_are_places(self):
        calls = [self.begun()[0] for _ in range(GOING_MAX)]
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "SERVICE_BUSY", self.client.ExportTree, image="x:1", text="try again")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            sizes = set(pool.map(lambda call: sum(len(piece.data) for piece in call), calls))
        self.assertEqual(1, len(sizes))

    def memory(self):
        with open(f"/proc/{self.imaged.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))

    def test_memory_stays_while_much_goes_by(self):
        if SLOW > 1:
            self.skipTest("sanitizers keep what was freed")
        self.export("x:1")
        before, most = self.memory(), 0
        for _ in range(3):
            for number, _ in enumerate(self.client.ExportTree(image="x:1", timeout=120 * SLOW)):
                most = max(most, self.memory()) if number % 16 == 0 else most
        self.assertLess(most - before, 16 * 1024 * SLOW)


class ReadOnly(ExportCase):
    def test_a_store_that_cannot_be_written_to_exports(self):
        load(self.client, tar(docker_files((Image([Layer(tar({"f": b"1"}))]), "x:1"))))
        wanted = self.export("x:1")
        self.imaged.stop()
        os.makedirs(self.path("ro"))
        subprocess.run(["mount", "--bind", self.imaged.root, self.path("ro")], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.path("ro")], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", self.path("ro")], check=True)
        client = self.daemon(name="second", root=self.path("ro")).client()
        self.assertEqual(wanted, self.export("x:1", client))


class Damaged(ExportCase):
    def setUp(self):
        super().setUp()
        archive = Tar(self.path("t")).directory(".")
        for number in range(300):
            archive.directory(f"d{number}").add(f"d{number}/f", data=b"%d" % number * 100)
        self.load_layers([archive.done()])
        [self.layer] = self.layer_images("x:1")
        self.good = read(self.layer)

    def change(self, data):
        with open(self.layer, "r+b") as file:
            file.write(data)
            file.truncate(len(data))

    def outcome(self):
        import grpc

        try:
            return self.export("x:1")
        except grpc.RpcError as error:
            self.assertIn(error.code().name, ("DATA_LOSS", "RESOURCE_EXHAUSTED"), error.details())
            return error.details()

    def test_a_superblock_or_length_that_is_none(self):
        for name, data in (("empty", b""), ("short", self.good[:5000]), ("cut", self.good[:4096]), ("zeros", bytes(len(self.good)))):
            with self.subTest(name=name):
                self.change(data)
                self.assertIn("not sound", self.outcome())
        self.change(self.good)
        self.assertIsInstance(self.outcome(), bytes)

    def test_any_byte(self):
        good, refused, random_ = self.outcome(), 0, random.Random(7)
        for _ in range(150):
            changed = bytearray(self.good)
            for _ in range(random_.randrange(1, 20)):
                changed[random_.randrange(len(changed))] = random_.choice((0, 1, 0x7F, 0xFF, random_.randrange(256)))
            self.change(changed)
            refused += isinstance(self.outcome(), str)
        self.assertGreater(refused, 50)
        self.change(self.good)
        self.assertEqual(good, self.outcome())

    def test_an_image_that_is_gone_is_made_again(self):
        good = self.outcome()
        os.unlink(self.layer)
        self.assertEqual(good, self.outcome())


class Command(ExportCase):
    def setUp(self):
        super().setUp()
        load(self.client, tar(docker_files((Image([Layer(tar({"etc/": None, "etc/motd": b"hello"}))]), "x:1"))))

    def test_file_and_pipe_have_the_bytes_of_the_call(self):
        wanted = self.export("x:1")
        self.imaged.ctl("image", "export", "-o", self.path("o.tar"), "x:1")
        self.assertEqual(wanted, read(self.path("o.tar")))
        done = subprocess.run(
            [program("imagectl"), "image", "export", "x:1"], env={**os.environ, "IMAGED_HOST": self.imaged.address},
            stdout=subprocess.PIPE, timeout=60 * SLOW, check=True,
        )  # fmt: skip
        self.assertEqual(wanted, done.stdout)

    def test_terminal_is_refused(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        done = subprocess.run(
            [program("imagectl"), "image", "export", "x:1"], env={**os.environ, "IMAGED_HOST": self.imaged.address},
            stdout=theirs, stderr=subprocess.PIPE, timeout=60 * SLOW, text=True,
        )  # fmt: skip
        os.close(theirs)
        self.assertEqual((1, "cowardly refusing to save to a terminal. Use the -o flag or redirect\n"), (done.returncode, done.stderr))

    def test_what_is_wrong_leaves_no_file(self):
        done = self.imaged.ctl("image", "export", "-o", self.path("o.tar"), "none:1", check=False)
        self.assertEqual((1, "Error response from daemon: No such image: none:1\n"), (done.returncode, done.stderr))
        done = self.imaged.ctl("image", "export", "-o", self.path("no", "o.tar"), "x:1", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("failed to export image: invalid output path", done.stderr)
        self.assertEqual(["d"], os.listdir(self.dir))
