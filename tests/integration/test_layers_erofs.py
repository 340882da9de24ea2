"""Layers as EROFS images: what the kernel shows of them is what GNU tar makes of the tar."""

import hashlib
import json
import os
import random
import subprocess
import tarfile
import unittest

import erofs
from erofs import Tar
from harness import BIN, TestCase

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/cases/registry/archive-breakouts")


class ErofsCase(TestCase):
    def convert(self, tar, *options, name="image"):
        """The image of a tar that is taken."""
        said = erofs.convert(tar, self.path(name), *options)
        self.assertNotIn("code", said, said)
        self.assertEqual(os.path.getsize(self.path(name)), said["image_bytes"])
        self.assertIsNone(erofs.fsck(self.path(name)))
        self.said = said
        return self.path(name)

    def refuse(self, tar, code, text, *options):
        said = erofs.convert(tar, self.path("refused"), *options)
        self.assertEqual(said.get("code"), code, said)
        self.assertRegex(said["text"], text)

    def show(self, tar, *options):
        """What the kernel shows of it: path → attributes."""
        if not erofs.can_mount():
            self.skipTest("erofs cannot be mounted here")
        image = self.convert(tar, *options)
        with erofs.mounted(image, self.path("mnt")) as root:
            return erofs.snapshot(root)

    def assert_as_gnu_tar(self, tar, root=True):
        """root: the archive says what its root directory is like."""
        wanted = erofs.snapshot(erofs.gnu_extract(tar, self.path("gnu")))
        got = self.show(tar)
        if not root:
            wanted.pop(b"."), got.pop(b".")
        self.assertEqual([], erofs.differences(wanted, got))
        return got

    def tar_of(self, directory, *options, name="made.tar"):
        tar = self.path(name)
        subprocess.run(
            ["tar", "-cf", tar, "-C", directory, "--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*", *options, "."],
            check=True,
            stderr=subprocess.PIPE,
        )
        return tar


class Trees(ErofsCase):
    """Whole trees, packed by GNU tar."""

    def make_everything(self, root):
        """One of each: types, modes, owners, times, xattrs, ACLs, links."""
        os.makedirs(root)
        path = lambda *names: os.path.join(root, *names)
        for size in (0, 1, 31, 32, 100, 3967, 3968, 4000, 4032, 4033, 4064, 4095, 4096, 4097, 8191, 8192, 8193, 1 << 20):
            with open(path(f"size{size}"), "wb") as file:
                file.write(random.Random(size).randbytes(size))
            os.utime(path(f"size{size}"), ns=(0, 1_600_000_000_123_456_789 + size))
        os.makedirs(path("dir", "below", "deeper"))
        os.chmod(path("dir"), 0o1777)
        os.chmod(path("dir", "below"), 0o2750)
        for mode in (0o4755, 0o2755, 0o6711, 0o000, 0o1644):
            with open(path(f"mode{mode:o}"), "wb") as file:
                file.write(b"x" * mode)
            os.chown(path(f"mode{mode:o}"), mode, mode + 1)
            os.chmod(path(f"mode{mode:o}"), mode)
        os.symlink("size100", path("link"))
        os.symlink("x" * 4000, path("link-long"))
        os.symlink("/nowhere/../at all", path("dir", "link-absolute"))
        os.lchown(path("link"), 70000, 80000)
        os.utime(path("link"), ns=(0, 987_654_321), follow_symlinks=False)
        os.mkfifo(path("fifo"), 0o640)
        os.mknod(path("char"), 0o20666, os.makedev(1, 3))
        os.mknod(path("block"), 0o60660, os.makedev(259, 300000))
        os.link(path("size8193"), path("dir", "hard1"))
        os.link(path("size8193"), path("hard2"))
        os.link(path("link"), path("link-hard"))
        os.link(path("fifo"), path("dir", "below", "fifo-hard"))
        for name, value in (
            ("user.empty", b""),
            ("user.text", b"a value"),
            ("user.binary", bytes(range(256))),
            ("user.large", b"v" * 3000),
            ("trusted.own", b"\0\n="),
            ("security.other", b"label"),
        ):
            os.setxattr(path("size100"), name, value)
        os.setxattr(path("dir"), "user.of.directory", b"y")
        os.setxattr(path("link"), "trusted.of.symlink", b"y", follow_symlinks=False)
        # cap_net_raw=ep, revision 2
        os.setxattr(path("size32"), "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
        with open(path("owner-large"), "wb") as file:
            file.write(b"owner")
        os.chown(path("owner-large"), 4_000_000_000, 3_000_000_000)
        with open(path("old"), "wb") as file:
            file.write(b"time before 1970")
        os.utime(path("old"), ns=(0, -1_500_000_000))
        subprocess.run(["setfacl", "-m", "u:1234:rwx,g:99:r,m::rx", path("size31")], check=True)
        subprocess.run(["setfacl", "-d", "-m", "u:1234:rwx,g:99:r", path("dir", "below")], check=True)
        return root

    def test_every_type_attribute_and_link(self):
        root = self.make_everything(self.path("tree"))
        for form in ("posix", "gnu"):
            with self.subTest(form=form):
                # GNU's own form has neither xattrs, nor parts of seconds, nor times that
                # are the same in both; what it has must come out the same.
                tar = self.tar_of(root, f"--format={form}") if form == "posix" else self.path("gnu.tar")
                if form == "gnu":
                    subprocess.run(["tar", "-cf", tar, "-C", root, "--format=gnu", "--numeric-owner", "."], check=True)
                got = self.assert_as_gnu_tar(tar)
                self.assertEqual(3, got[b"hard2"]["links"])
                subprocess.run(["rm", "-rf", self.path("gnu")], check=True)
        self.assertIn("user.binary", self.show(self.tar_of(root))[b"size100"]["xattrs"])

    def test_large_xattrs_and_their_blocks(self):
        tar = Tar(self.path("t"))
        tar.add("before", data=b"b" * 100)
        for size in (3900, 4000, 4096, 10000, 40000, 65000):
            tar.add(f"x{size}", data=b"d" * (size % 5000), pax_headers={"SCHILY.xattr.user.v": "v" * size})
            tar.symlink(f"l{size}", "t" * 200, pax_headers={"SCHILY.xattr.trusted.v": "v" * size})
            tar.directory(f"d{size}", pax_headers={"SCHILY.xattr.user.v": "v" * size})
            tar.add(f"d{size}/f", data=b"in it")
        tar.add("after", data=b"a" * 5000)
        got = self.show(tar.done())
        for size in (3900, 4000, 4096, 10000, 40000, 65000):
            self.assertEqual(b"v" * size, got[b"x%d" % size]["xattrs"]["user.v"])
            self.assertEqual(hashlib.sha256(b"d" * (size % 5000)).hexdigest(), got[b"x%d" % size]["content"])
            self.assertEqual(b"t" * 200, got[b"l%d" % size]["content"])
            self.assertEqual(b"v" * size, got[b"l%d" % size]["xattrs"]["trusted.v"])
            self.assertEqual(b"v" * size, got[b"d%d" % size]["xattrs"]["user.v"])
            self.assertIn(b"d%d/f" % size, got)

    def test_names_of_any_bytes_and_lengths(self):
        root = self.path("tree").encode()
        names = [b"\xff\xfe not utf-8", b"new\nline", b"-dash", b"!first", b"...", b"..a", b".hidden", b"a", b"a.", b"a/b"[:1] + b" b",
                 b"\x01", "ü".encode(), b"x" * 255, b"%s", b"~"]
        os.makedirs(root)
        for name in names:
            with open(os.path.join(root, name), "wb") as file:
                file.write(name)
        deep = root
        for i in range(30):
            deep = os.path.join(deep, b"%03d" % i + b"d" * 97)
            os.mkdir(deep)
        with open(os.path.join(deep, b"file"), "wb") as file:
            file.write(b"deep")
        for form in ("posix", "gnu"):
            with self.subTest(form=form):
                tar = self.path(form + ".tar")
                subprocess.run(["tar", "-cf", tar, "-C", root, f"--format={form}", "."], check=True)
                self.assert_as_gnu_tar(tar)
                subprocess.run(["rm", "-rf", self.path("gnu")], check=True)

    def test_many_entries_in_one_directory(self):
        tar = Tar(self.path("t"))
        names = [f"{i * 7919 % 64000:05d}" + "n" * (i % 40) for i in range(64000)]
        for name in names:
            tar.add(f"d/{name}", data=name.encode())
        got = self.show(tar.done())
        self.assertEqual(sorted(names), sorted(os.path.basename(p).decode() for p in got if p.startswith(b"d/")))
        self.assertEqual(hashlib.sha256(names[777].encode()).hexdigest(), got[b"d/" + names[777].encode()]["content"])

    def test_directories_of_every_size_around_a_block(self):
        tar = Tar(self.path("t"))
        wanted = set()
        for entries in (1, 2, 15, 16, 17, 18, 19, 20, 150, 151, 152, 153, 154, 300):
            for length in (1, 10, 255) if entries < 25 else (10,):
                for i in range(entries):
                    name = f"d{entries}.{length}/{i:0{length}d}"
                    if length == 1 and i > 9:
                        break
                    wanted.add(name.encode())
                    tar.add(name)
        got = self.show(tar.done())
        self.assertEqual(wanted, {p for p in got if b"/" in p})

    def test_a_system_tree(self):
        tar = self.path("t.tar")
        subprocess.run(
            ["tar", "-cf", tar, "--numeric-owner", "--xattrs", "--acls", "-C", "/", "etc", "-C", "/usr/lib", "python3", "-C", "/usr", "bin"],
            stderr=subprocess.PIPE,
        )
        got = self.assert_as_gnu_tar(tar, root=False)
        files = sum(a["size"] for a in got.values() if a["size"] and a["mode"].startswith("0o100"))
        self.assertLess(os.path.getsize(self.path("image")), files * 1.2)

    def test_sparse_files(self):
        root = self.path("tree")
        os.makedirs(root)

        def sparse(name, size, *pieces):
            with open(os.path.join(root, name), "wb") as file:
                for offset, data in pieces:
                    file.seek(offset)
                    file.write(data)
                file.truncate(size)

        sparse("all-hole", 1 << 26)
        sparse("end", 1 << 26, ((1 << 26) - 5000, b"e" * 5000))
        sparse("begin", (1 << 20) + 123, (0, b"b" * 100))
        sparse("middle", 1 << 26, (12_345_678, b"m" * 10_000))
        sparse("many", 1 << 26, *[(i * 123_457, bytes([i]) * 5000) for i in range(1, 200)])
        sparse("odd", 100_001, (50_000, b"o"))
        for form in (["--format=gnu"], ["--format=posix", "--sparse-version=0.0"], ["--format=posix", "--sparse-version=0.1"],
                     ["--format=posix", "--sparse-version=1.0"]):
            with self.subTest(form=form):
                if "1.0" in form[-1]:
                    sparse("large", 1 << 30, (987_654_321, b"large"))
                tar = self.path("t.tar")
                subprocess.run(["tar", "-cSf", tar, "-C", root, *form, "."], check=True)
                self.assertLess(os.path.getsize(tar), 4 << 20)
                self.assert_as_gnu_tar(tar)
                self.assertLess(os.path.getsize(self.path("image")), 12 << 20)
                subprocess.run(["rm", "-rf", self.path("gnu")], check=True)

    def test_pieces_of_any_place_and_length(self):
        """Chunks of many sizes, most of them not full."""
        if not erofs.can_mount():
            self.skipTest("erofs cannot be mounted here")
        random_ = random.Random(3)
        maps = {
            "small": (100_000, [(5000, 3), (70_000, 2)]),
            "touching": (50_000, [(1, 4095), (4096, 1), (4097, 5000), (20_000, 0), (20_001, 9000)]),
            "end": (9001, [(8000, 1001)]),
            "wide": ((1 << 34) + 17, [(i * 123_456_789 + 1, 7) for i in range(100)] + [((1 << 34) + 10, 7)]),
            "runs": (1 << 30, [(i * 10_000_000 + i, 300_000) for i in range(20)]),
            "holes": (1 << 30, []),
        }
        tar, wanted = Tar(self.path("t")), {}
        for name, (size, pieces) in maps.items():
            wanted[name] = [(offset, random_.randbytes(length)) for offset, length in pieces]
            text = ",".join(f"{offset},{length}" for offset, length in pieces) or "0,0"
            records = {"GNU.sparse.map": text, "GNU.sparse.size": str(size)}
            tar.add(name, data=b"".join(data for _, data in wanted[name]), pax_headers=records)
        with erofs.mounted(self.convert(tar.done()), self.path("mnt")) as root:
            for name, (size, _) in maps.items():
                with self.subTest(name=name), open(os.path.join(root, name), "rb") as file:
                    self.assertEqual(size, os.fstat(file.fileno()).st_size)
                    at = 0
                    for offset, data in [*wanted[name], (size, b"")]:
                        file.seek(max(at, offset - 5000))
                        self.assertEqual(b"", file.read(offset - file.tell()).strip(b"\0"), f"before {offset}")
                        self.assertEqual(data, file.read(len(data)), f"at {offset}")
                        at = offset + len(data)

    def test_holes_are_holes(self):
        root = self.path("tree")
        os.makedirs(root)
        with open(os.path.join(root, "f"), "wb") as file:
            file.seek(1 << 20)
            file.write(b"x" * 4096)
            file.truncate(4 << 20)
        tar = self.path("t.tar")
        subprocess.run(["tar", "-cSf", tar, "-C", root, "."], check=True)
        if not erofs.can_mount():
            self.skipTest("erofs cannot be mounted here")
        with erofs.mounted(self.convert(tar), self.path("mnt")) as at, open(os.path.join(at, "f"), "rb") as file:
            self.assertEqual(1 << 20, os.lseek(file.fileno(), 0, os.SEEK_DATA))
            self.assertLess(os.lseek(file.fileno(), 1 << 20, os.SEEK_HOLE), 2 << 20)

    def test_the_same_tar_gives_the_same_bytes(self):
        tar = self.tar_of(self.make_everything(self.path("tree")))
        with open(self.convert(tar), "rb") as one, open(self.convert(tar, name="again"), "rb") as two:
            self.assertEqual(hashlib.file_digest(one, "sha256").digest(), hashlib.file_digest(two, "sha256").digest())

    def test_compact_inodes_where_all_times_are_one(self):
        same, other = Tar(self.path("same")), Tar(self.path("other"))
        for i in range(2000):
            same.add(f"f{i}", data=b"12345678", mtime=1700000000)
            other.add(f"f{i}", data=b"12345678", mtime=1700000000 + i)
        self.convert(same.done(), name="a")
        self.convert(other.done(), name="b")
        self.assertLess(os.path.getsize(self.path("a")) + 60_000, os.path.getsize(self.path("b")))

    def test_an_empty_layer(self):
        got = self.show(Tar(self.path("t")).done())
        self.assertEqual([b"."], list(got))
        self.assertEqual("0o40755", got[b"."]["mode"])
        with open(self.path("zeros"), "wb"):
            pass
        self.assertEqual([b"."], list(self.show(self.path("zeros"))))


class Entries(ErofsCase):
    """What becomes of odd entries."""

    def data(self, content):
        return hashlib.sha256(content).hexdigest()

    def test_the_last_entry_of_a_name_counts(self):
        tar = Tar(self.path("t"))
        tar.add("twice", data=b"first").add("twice", data=b"second" * 2000, mode=0o600)
        tar.add("to-dir", data=b"file").directory("to-dir").add("to-dir/in", data=b"in")
        tar.directory("to-file").add("to-file/in", data=b"gone").add("to-file", data=b"file")
        tar.directory("back").add("back/in", data=b"gone").add("back", data=b"x").directory("back").add("back/new", data=b"new")
        tar.symlink("link", "twice").add("link", data=b"no link")
        tar.directory("dir", mode=0o700).add("dir/kept", data=b"kept").directory("dir", mode=0o711)
        tar.add("now-link", data=b"x").symlink("now-link", "elsewhere")
        got = self.show(tar.done())
        self.assertEqual(self.data(b"second" * 2000), got[b"twice"]["content"])
        self.assertEqual("0o100600", got[b"twice"]["mode"])
        self.assertEqual(self.data(b"in"), got[b"to-dir/in"]["content"])
        self.assertEqual(self.data(b"file"), got[b"to-file"]["content"])
        self.assertEqual({b"back", b"back/new"}, {p for p in got if p.startswith(b"back")})
        self.assertEqual(self.data(b"no link"), got[b"link"]["content"])
        self.assertIn(b"dir/kept", got)
        self.assertEqual("0o40711", got[b"dir"]["mode"])
        self.assertEqual(b"elsewhere", got[b"now-link"]["content"])

    def test_missing_parents_are_made(self):
        got = self.show(Tar(self.path("t")).add("a/b/c", data=b"c", mtime=1234).add("./x/../y//z", data=b"z").add("/abs", data=b"a").done())
        self.assertEqual({b".", b"a", b"a/b", b"a/b/c", b"y", b"y/z", b"abs"}, set(got))
        self.assertEqual(("0o40755", (0, 0), 1234 * 10**9), (got[b"a"]["mode"], got[b"a"]["owner"], got[b"a"]["mtime"]))

    def test_the_root_has_the_attributes_that_the_archive_gives_it(self):
        got = self.show(Tar(self.path("t")).directory("./", mode=0o1711, uid=5, gid=6, mtime=99,
                                                      pax_headers={"SCHILY.xattr.user.root": "yes"}).done())
        root = got[b"."]
        self.assertEqual(("0o41711", (5, 6), 99 * 10**9, {"user.root": b"yes"}),
                         (root["mode"], root["owner"], root["mtime"], root["xattrs"]))

    def test_hard_links(self):
        tar = Tar(self.path("t"))
        tar.add("f", data=b"linked").hard_link("g", "f").hard_link("d/h", "./f").hard_link("abs", "/f")
        tar.symlink("s", "f").hard_link("s2", "s").hard_link("self", "f").hard_link("self", "self")
        tar.add("gone", data=b"was linked").hard_link("stays", "gone").add("gone", data=b"another")
        got = self.show(tar.done())
        self.assertEqual(5, got[b"f"]["links"])
        self.assertEqual({b"abs"}, {got[p]["same as"] for p in (b"f", b"g", b"d/h", b"abs", b"self")} - {b"d/h"})
        self.assertEqual(b"f", got[b"s2"]["content"])
        self.assertEqual((self.data(b"was linked"), 1), (got[b"stays"]["content"], got[b"stays"]["links"]))
        self.assertEqual(self.data(b"another"), got[b"gone"]["content"])

    def test_hard_links_that_lead_nowhere_are_refused(self):
        for target in ("missing", "later", "d", ".wh.x", "x", "../f", "f/below"):
            with self.subTest(target=target):
                tar = Tar(self.path("t")).directory("d").add("f").add(".wh.x").hard_link("l", target).add("later")
                self.refuse(tar.done(), "INVALID_CONTENT", "hard link|leads out|no directory")

    def test_whiteouts_and_opaque_directories(self):
        tar = Tar(self.path("t"))
        tar.add("d/.wh.gone").add("d/stays", data=b"s").add("o/.wh..wh..opq").add("o/new", data=b"n")
        tar.add(".wh.both").add("both", data=b"wins").add("both2", data=b"wins").add(".wh.both2")
        tar.add(".wh.dir").directory("dir").add("dir/in", data=b"i")
        tar.directory("dir2").add("dir2/in", data=b"i").add(".wh.dir2")
        tar.add(".wh.under").add("under/in", data=b"i")
        tar.add("q/.wh..wh.plnk/ignored", data=b"x").add(".wh..wh.aufs", data=b"x").directory(".wh.asdir")
        got = self.show(tar.done())
        for name in (b"d/gone", b"asdir"):
            self.assertEqual(("0o20000", 0), (got[name]["mode"], got[name]["device"]), name)
        for name in (b"both", b"both2"):
            self.assertEqual(self.data(b"wins"), got[name]["content"])
        opaque = {"trusted.overlay.opaque": b"y", "user.overlay.opaque": b"y"}
        for name in (b"o", b"dir", b"dir2", b"under"):
            self.assertEqual(opaque, got[name]["xattrs"], name)
        whiteouts = {"trusted.overlay.origin": b"", "user.overlay.origin": b""}
        self.assertEqual(whiteouts, got[b"d"]["xattrs"], "without it overlayfs lists whiteouts of a directory of one layer")
        self.assertFalse([p for p in got if b".wh." in p])
        self.assertFalse(self.said["root_is_opaque"])

    def test_an_opaque_directory_keeps_its_xattrs(self):
        tar = Tar(self.path("t")).directory("d", pax_headers={"SCHILY.xattr.user.a": "b"}).add("d/.wh..wh..opq")
        got = self.show(tar.add(".wh..wh..opq").done())
        self.assertEqual({"user.a", "trusted.overlay.opaque", "user.overlay.opaque"}, set(got[b"d"]["xattrs"]))
        self.assertTrue(self.said["root_is_opaque"])

    def test_whiteouts_of_nothing_are_refused(self):
        for name in (".wh.", ".wh..", ".wh...", "d/.wh.", ".wh.x/below"):
            with self.subTest(name=name):
                self.refuse(Tar(self.path("t")).add(name).done(), "INVALID_CONTENT", "whiteout")

    def test_an_overlay_of_two_layers(self):
        if not erofs.can_mount():
            self.skipTest("erofs cannot be mounted here")
        lower = Tar(self.path("lower")).add("gone", data=b"g").add("kept", data=b"k").add("o/old", data=b"o").add("p/old", data=b"o")
        upper = Tar(self.path("upper")).add(".wh.gone").add("o/.wh..wh..opq").add("o/new", data=b"n").add("p/.wh.old").add("p/new")
        a, b = self.convert(lower.done(), name="a"), self.convert(upper.done(), name="b")
        os.makedirs(self.path("merged"))
        with erofs.mounted(a, self.path("ma")) as la, erofs.mounted(b, self.path("mb")) as lb:
            subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={lb}:{la}", self.path("merged")], check=True)
            try:
                names = set(erofs.snapshot(self.path("merged")))
            finally:
                subprocess.run(["umount", self.path("merged")], check=True)
        self.assertEqual({b".", b"kept", b"o", b"o/new", b"p", b"p/new"}, names)

    def test_acls_with_names_are_left_out_and_with_numbers_are_not(self):
        named = "user::rw-\nuser:somebody:rwx\ngroup::r--\nmask::rwx\nother::---\n"
        numbered = "user::rw-,user:root:r--,user:joe:rwx:1234,group::r--,mask::rwx,other:---"
        binary = "\x02\0\0\0"
        tar = Tar(self.path("t"))
        tar.add("named", pax_headers={"SCHILY.acl.access": named}, mode=0o670)
        tar.add("numbered", pax_headers={"SCHILY.acl.access": numbered}, mode=0o670)
        tar.add("minimal", pax_headers={"SCHILY.acl.access": "user::rw-,group::r--,other::---"})
        tar.directory("d", pax_headers={"SCHILY.acl.default": "user::rw-,group::r--,other::---"})
        tar.symlink("l", "x", pax_headers={"SCHILY.acl.access": numbered})
        got = self.show(tar.done())
        self.assertEqual({}, got[b"named"]["xattrs"])
        self.assertEqual({}, got[b"minimal"]["xattrs"])
        self.assertEqual({}, got[b"l"]["xattrs"])
        self.assertEqual(["system.posix_acl_default"], list(got[b"d"]["xattrs"]))
        acl = got[b"numbered"]["xattrs"]["system.posix_acl_access"]
        self.assertEqual(4 + 6 * 8, len(acl))
        self.assertIn((1234).to_bytes(4, "little"), acl)
        for bad in ("user::rw-", "nonsense", "user::rw-,group::r--,other::q", "user::rw-,user:5:r,group::r,other::r"):
            self.refuse(Tar(self.path("t")).add("f", pax_headers={"SCHILY.acl.access": bad}).done(), "INVALID_CONTENT", "ACL")
        self.refuse(Tar(self.path("t")).add("f", pax_headers={"SCHILY.xattr.system.posix_acl_access": binary}).done(),
                    "INVALID_CONTENT", "ACL")

    def test_xattrs_of_overlayfs_are_refused_and_of_others_left_out(self):
        for name in ("trusted.overlay.opaque", "user.overlay.redirect", "trusted.overlay.metacopy"):
            with self.subTest(name=name):
                tar = Tar(self.path("t")).directory("d", pax_headers={"SCHILY.xattr." + name: "y"})
                self.refuse(tar.done(), "INVALID_CONTENT", "overlayfs")
        tar = Tar(self.path("t")).add("f", pax_headers={"SCHILY.xattr.system.other": "y", "SCHILY.xattr.btrfs.c": "y",
                                                        "SCHILY.xattr.user.a%3Db%25": "y", "SCHILY.xattr.user.overlays": "y"})
        self.assertEqual({"user.a=b%": b"y", "user.overlays": b"y"}, self.show(tar.done())[b"f"]["xattrs"])
        for name in ("user.", "user." + "n" * 251):
            self.refuse(Tar(self.path("t")).add("f", pax_headers={"SCHILY.xattr." + name: "y"}).done(), "INVALID_CONTENT", "bad name")


class Hostile(ErofsCase):
    """Rows of registry-cri.md 5.1, and limits."""

    def test_names_that_lead_out_are_refused(self):
        for name in ("..", "../x", "a/../../x", "/../x", "/..", "a/b/../../../x"):
            with self.subTest(name=name):
                self.refuse(Tar(self.path("t")).add(name, data=b"x").done(), "INVALID_CONTENT", "leads out")

    def test_names_that_cannot_be_are_refused(self):
        self.refuse(Tar(self.path("t")).add("x" * 256).done(), "INVALID_CONTENT", "255")
        self.refuse(Tar(self.path("t")).add("d/" * 2048 + "x").done(), "INVALID_CONTENT", "too long")
        self.refuse(Tar(self.path("t")).add("/", data=b"x").done(), "INVALID_CONTENT", "root")
        self.refuse(Tar(self.path("t")).add("f").add("f/x").done(), "INVALID_CONTENT", "no directory")

    def test_directories_that_are_too_deep_are_refused(self):
        deep = "/".join(["d"] * 1500)
        tar = Tar(self.path("t")).directory(deep).symlink("s", deep).add("s/" + "e/" * 500 + "f")
        # fsck.erofs 1.5 gives up on that many levels; the check and the kernel do not.
        self.assertNotIn("code", erofs.convert(tar.add("d/f").done(), self.path("image")))
        if erofs.can_mount():
            with erofs.mounted(self.path("image"), self.path("mnt")) as root:
                self.assertEqual(0, os.lstat(os.path.join(root, deep, "e/" * 500 + "f")).st_size)
        tar = Tar(self.path("t")).directory(deep).symlink("s", deep).add("s/" + "e/" * 600 + "f")
        self.refuse(tar.done(), "LIMIT_EXCEEDED", "2048 deep")

    def test_symlinks_on_the_way_stay_in_the_layer(self):
        tar = Tar(self.path("t"))
        tar.symlink("out", "../../../etc").add("out/passwd", data=b"p")
        tar.symlink("abs", "/target").add("abs/file", data=b"f")
        tar.directory("usr/lib").symlink("lib", "usr/lib").add("lib/foo", data=b"foo")
        tar.symlink("a/up", "..").add("a/up/top", data=b"t")
        tar.symlink("swap", "/etc").directory("swap").add("swap/own", data=b"o")
        got = self.show(tar.done())
        for name in (b"etc/passwd", b"target/file", b"usr/lib/foo", b"top", b"swap/own"):
            self.assertIn(name, got)
        self.assertEqual(b"../../../etc", got[b"out"]["content"])

    def test_symlinks_that_go_in_circles_are_refused(self):
        self.refuse(Tar(self.path("t")).symlink("a", "b").symlink("b", "a").add("a/x").done(), "INVALID_CONTENT", "too many symbolic")
        self.refuse(Tar(self.path("t")).symlink("a", "a/a/a/a").add("a/x").done(), "INVALID_CONTENT", "too many symbolic")

    def test_limits(self):
        tar = Tar(self.path("t"))
        for i in range(200):
            tar.add(f"file-{i}-{'n' * 100}", data=b"d" * 1000)
        tar.done()
        self.refuse(self.path("t"), "LIMIT_EXCEEDED", "more than 199 entries", "--limit", "entries=199")
        self.refuse(self.path("t"), "LIMIT_EXCEEDED", "1000 bytes: the limit is 999", "--limit", "file=999")
        self.refuse(self.path("t"), "LIMIT_EXCEEDED", "image of more than 100000 bytes", "--limit", "image=100000")
        self.refuse(self.path("t"), "LIMIT_EXCEEDED", "names that take more", "--limit", "tree=10000")
        self.convert(self.path("t"), "--limit", "entries=200", "--limit", "file=1000")
        big = Tar(self.path("x")).add("f", pax_headers={"SCHILY.xattr.user.v": "v" * 2000}).done()
        self.refuse(big, "LIMIT_EXCEEDED", "1999 bytes of extended attributes", "--limit", "xattr=1999")
        many = {f"SCHILY.xattr.user.n{i}": "v" for i in range(257)}
        self.refuse(Tar(self.path("x")).add("f", pax_headers=many).done(), "LIMIT_EXCEEDED", "256 extended")
        self.refuse(Tar(self.path("x")).add("f", pax_headers={"SCHILY.xattr.user.v": "v" * 65536}).done(), "LIMIT_EXCEEDED", "65535")

    def test_a_sparse_file_that_claims_everything(self):
        tar = Tar(self.path("t"))
        pieces = ",".join(f"{i << 32},1" for i in range(60))
        tar.add("f", data=b"x" * 60, pax_headers={"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": pieces,
                                                  "GNU.sparse.size": str(1 << 39)})
        self.convert(tar.done())
        self.assertLess(os.path.getsize(self.path("image")), 256 << 20)
        tar = Tar(self.path("t2")).add("f", data=b"x", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 62)})
        self.refuse(tar.done(), "LIMIT_EXCEEDED", "the limit is")
        for bad in ("5,1,3,1", "0,2", "0", "0,1,", "-1,1", f"{1 << 62},{1 << 62}"):
            tar = Tar(self.path("t3")).add("f", data=b"x", pax_headers={"GNU.sparse.map": bad, "GNU.sparse.size": "100"})
            self.refuse(tar.done(), "INVALID_CONTENT", "sparse")

    def test_every_cut_of_an_archive_is_refused_or_sound(self):
        tar = Tar(self.path("t"), format=tarfile.GNU_FORMAT)
        tar.directory("d").add("d/f", data=b"x" * 1500).symlink("l", "t" * 150).add("e", data=b"y" * 10)
        with open(tar.done(), "rb") as file:
            whole = file.read()
        sound = 0
        for cut in range(0, 8192, 256):
            with open(self.path("cut"), "wb") as file:
                file.write(whole[:cut])
            said = erofs.convert(self.path("cut"), self.path("image"))
            if "code" not in said:
                sound += 1
                self.assertIsNone(erofs.fsck(self.path("image")))
            else:
                self.assertEqual("INVALID_CONTENT", said["code"])
        self.assertGreater(sound, 2)

    def test_unknown_types_are_refused(self):
        self.refuse(Tar(self.path("t")).add("v", b"V").done(), "UNSUPPORTED_CONTENT", "type 86")

    def test_breakouts_of_other_engines(self):
        path = os.path.join(CASES, "moby_applylayer_invalid.json")
        if not os.path.exists(path):
            self.skipTest("shared cases are not here")
        with open(path, encoding="utf-8") as file:
            cases = json.load(file)
        types = {"tar.TypeReg": tarfile.REGTYPE, "tar.TypeLink": tarfile.LNKTYPE, "tar.TypeSymlink": tarfile.SYMTYPE,
                 "tar.TypeDir": tarfile.DIRTYPE}
        ran = 0
        for name in ("TestApplyLayerInvalidFilenames", "TestApplyLayerInvalidHardlink", "TestApplyLayerInvalidSymlink"):
            for headers in cases[name]:
                tar = Tar(self.path("case"))
                for h in headers:
                    tar.add(h["Name"], types[h["Typeflag"]["$go"]], linkname=h.get("Linkname", ""), mode=h["Mode"])
                said = erofs.convert(tar.done(), self.path("image"))
                ran += 1
                if "code" in said:
                    self.assertEqual("INVALID_CONTENT", said["code"])
                else:
                    self.assertIsNone(erofs.fsck(self.path("image")))
        self.assertGreater(ran, 10)


class ByTheWorker(ErofsCase):
    """The daemon's way: one process inflates, another one writes, the daemon checks."""

    WORKER = (erofs.TAR2EROFS, "--worker", os.path.join(BIN, "imaged-layer"))

    def test_the_workers_make_the_same_image(self):
        tar = self.path("t.tar")
        subprocess.run(["tar", "-cf", tar, "-C", "/usr/lib", "--numeric-owner", "python3"], check=True, stderr=subprocess.PIPE)
        with open(self.convert(tar), "rb") as file:
            wanted = hashlib.file_digest(file, "sha256").hexdigest()
        subprocess.run(["gzip", "-1k", tar], check=True)
        subprocess.run(["zstd", "-q1", tar], check=True)
        for name in (tar, tar + ".gz", tar + ".zst"):
            said = erofs.convert(name, self.path("made"), program=self.WORKER)
            self.assertNotIn("code", said, said)
            with open(self.path("made"), "rb") as file:
                self.assertEqual(wanted, hashlib.file_digest(file, "sha256").hexdigest())

    def test_the_workers_refuse_with_the_same_words(self):
        tar = Tar(self.path("t")).add("../out").done()
        said = erofs.convert(tar, self.path("made"), program=self.WORKER)
        self.assertEqual(erofs.convert(tar, self.path("own")), said)
        self.assertEqual("INVALID_CONTENT", said["code"])

    def test_a_full_disk(self):
        if not erofs.can_mount():
            self.skipTest("nothing can be mounted here")
        tar = Tar(self.path("t")).add("f", data=b"d" * (3 << 20)).done()
        os.makedirs(self.path("small"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.path("small")], check=True)
        try:
            for program in ((erofs.TAR2EROFS,), self.WORKER):
                said = erofs.convert(tar, self.path("small", "image"), program=program)
                self.assertEqual("DISK_FULL", said["code"], said)
                os.unlink(self.path("small", "image"))
        finally:
            subprocess.run(["umount", self.path("small")], check=True)


class Mutated(ErofsCase):
    def test_changed_archives_are_refused_or_make_sound_images(self):
        """What the writer takes, its own check, fsck.erofs and the kernel take too."""
        tar = Tar(self.path("t"))
        tar.directory("d").add("d/f", data=b"x" * 3000).symlink("l", "d/f").hard_link("h", "d/f").add("d/.wh.g")
        tar.add("s", data=b"ab", pax_headers={"GNU.sparse.map": "4096,1,100000,1", "GNU.sparse.size": "200000"})
        tar.add("x", data=b"e" * 5000, pax_headers={"SCHILY.xattr.user.a": "value", "mtime": "1.5"})
        with open(tar.done(), "rb") as file:
            whole = file.read()
        random_ = random.Random(5)
        taken = 0
        for _ in range(150):
            changed = bytearray(whole)
            for _ in range(random_.randrange(1, 4)):
                at = random_.randrange(len(whole) - 2048)
                changed[at] = random_.choice((0, 0x2F, 0x2E, 0x30, 0x37, 0xFF, random_.randrange(256)))
            for block in range(0, len(changed) - 511, 512):  # their checksums are right
                header = changed[block : block + 512]
                if header[257:262] == b"ustar":
                    header[148:156] = b" " * 8
                    changed[block + 148 : block + 156] = b"%06o\0 " % sum(header)
            with open(self.path("changed"), "wb") as file:
                file.write(changed)
            said = erofs.convert(self.path("changed"), self.path("image"))
            if "code" in said:
                self.assertIn(said["code"], ("INVALID_CONTENT", "LIMIT_EXCEEDED", "UNSUPPORTED_CONTENT"), said)
                continue
            taken += 1
            self.assertIsNone(erofs.fsck(self.path("image")))
            if erofs.can_mount():
                with erofs.mounted(self.path("image"), self.path("mnt")) as root:
                    erofs.snapshot(root)
        self.assertGreater(taken, 20)


if __name__ == "__main__":
    unittest.main()
