"""The layer of a step: its tar, laid over the layers below, gives what the step left."""

import hashlib
import os
import random
import shutil
import subprocess
import tarfile
import unittest

import erofs
from runstep import StepCase

EMPTY = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


class LayerCase(StepCase):
    def members(self, **fields):
        with tarfile.open(self.layer(**fields)) as tar:
            return tar.getmembers()

    def names(self, **fields):
        return [m.name + ("/" if m.isdir() else "") for m in self.members(**fields)]

    def changed_by(self, command, **fields):
        """The names in the layer of one step."""
        self.ok(command, **fields)
        return self.names()

    def applied(self, tar):
        """The lowest layer with the tar on top, by GNU tar."""
        target = self.path("applied")
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", self.root, target], check=True)
        with tarfile.open(tar) as archive:
            for member in archive:
                folder, name = os.path.split(os.path.join(target, member.name))
                if name.startswith(".wh."):
                    gone = os.path.join(folder, name[4:])
                    self.assertTrue(os.path.lexists(gone), f"{member.name} removes nothing")
                    shutil.rmtree(gone) if os.path.isdir(gone) and not os.path.islink(gone) else os.remove(gone)
                    continue
                there = os.path.join(target, member.name)
                if os.path.lexists(there) and not (member.isdir() and os.path.isdir(there) and not os.path.islink(there)):
                    shutil.rmtree(there) if os.path.isdir(there) and not os.path.islink(there) else os.remove(there)
        subprocess.run(
            ["tar", "-xpf", tar, "-C", target, "--numeric-owner", "--xattrs", "--xattrs-include=*", "--exclude=.wh.*"], check=True
        )
        return target

    def assert_layer_is_what_was_left(self, tar):
        """Against the kernel's own view of the overlay."""
        merged = self.path("merged")
        os.makedirs(merged, exist_ok=True)
        os.makedirs(self.path("work"), exist_ok=True)
        upper = os.path.join(self.step_directory, "upper")
        subprocess.run(["mount", "-t", "overlay", "o", "-o", f"ro,lowerdir={upper}:{self.root}", merged], check=True)
        try:
            wanted = erofs.snapshot(merged)
        finally:
            subprocess.run(["umount", merged], check=True)
        got = erofs.snapshot(self.applied(tar))
        for tree in (wanted, got):
            tree.pop(b".")
            for entry in tree.values():
                entry["mtime"] //= 1_000_000_000
                entry["xattrs"] = {n: v for n, v in entry["xattrs"].items() if "overlay" not in n}
        # A layer has no times of directories that only lost or got a name that is gone again.
        written = {m.name.encode() for m in tarfile.open(tar)}
        for name, entry in wanted.items():
            if entry["mode"].startswith("0o4") and name not in written:
                entry["mtime"] = got[name]["mtime"]
            if entry["mode"].startswith("0o14"):
                got[name] = entry
        self.assertEqual([], erofs.differences(wanted, got))


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Content(LayerCase):
    def test_nothing_changed(self):
        self.ok("true")
        with open(self.layer(), "rb") as file:
            self.assertEqual(EMPTY, hashlib.sha256(file.read()).hexdigest())

    def test_order_and_parents(self):
        names = self.changed_by("mkdir -p /z/y /a; touch /z/y/f /z/b /a.b /a/x /a-b; echo >> /etc/group")
        self.assertEqual(["a/", "a/x", "a-b", "a.b", "etc/", "etc/group", "z/", "z/b", "z/y/", "z/y/f"], names)

    def test_whiteouts(self):
        os.makedirs(os.path.join(self.root, "d/e"))
        for name in ("f", "g", "e/h"):
            with open(os.path.join(self.root, "d", name), "w", encoding="ascii"):
                pass
        self.assertEqual(["d/", "d/.wh.f"], self.changed_by("rm /d/f"))
        self.assertEqual([".wh.d"], self.changed_by("rm -r /d"))
        self.assertEqual(["d/", "d/.wh.e", "d/.wh.f", "d/.wh.g"], self.changed_by("rm -r /d; mkdir /d"))
        self.assertEqual(["d/", "d/.wh.e", "d/.wh.f", "d/g", "d/n"], self.changed_by("rm -r /d; mkdir /d; touch /d/g /d/n"))
        self.assertEqual([".wh.d", "d2/", "d2/e/", "d2/e/h", "d2/f", "d2/g"], self.changed_by("mv /d /d2"))
        self.assertEqual(["d/", "d/e/", "d/e/.wh.h", "d/e/i"], self.changed_by("rm -r /d/e; mkdir /d/e; touch /d/e/i"))
        whiteout = next(m for m in self.members() if ".wh." in m.name)
        self.assertEqual((0, 0, 0, 0, 0, tarfile.REGTYPE), (whiteout.mode, whiteout.uid, whiteout.gid, whiteout.mtime, whiteout.size, whiteout.type))

    def test_what_came_and_went_leaves_nothing(self):
        self.assertEqual([], self.changed_by("touch /n; rm /n; mkdir /m; rmdir /m; mkdir /tmp/x; touch /tmp/x/y; rm -r /tmp/x"))

    def test_types_that_change(self):
        self.assertEqual(["etc/", "etc/group/", "home", "root"], self.changed_by("rm /etc/group; mkdir /etc/group; rm -r /home; touch /home; rm -r /root; ln -s x /root"))
        self.assert_layer_is_what_was_left(self.layer())

    def test_copied_up_and_left_as_it_was(self):
        self.assertEqual([], self.changed_by("chmod 600 /etc/passwd; chmod 644 /etc/passwd"))
        self.assertEqual([], self.changed_by("chmod 700 /home; chmod 755 /home"))
        self.assertEqual(["etc/", "etc/passwd"], self.changed_by("chmod 600 /etc/passwd"))
        self.assertEqual(["home/"], self.changed_by("chown 5 /home"))
        self.assertEqual(["etc/", "etc/passwd"], self.changed_by("touch /etc/passwd"))

    def test_same_size_and_time_but_other_bytes(self):
        with open(os.path.join(self.root, "f"), "w", encoding="ascii") as file:
            file.write("one")
        os.utime(os.path.join(self.root, "f"), (1_500_000_000, 1_500_000_000))
        self.assertEqual(["f"], self.changed_by("printf two > /f; touch -d @1500000000 /f"))
        self.assertEqual([], self.changed_by("printf one > /f; touch -d @1500000000 /f"))

    def test_hard_links(self):
        self.ok("echo data > /b; ln /b /c; mkdir /a; ln /b /a/d")
        members = {m.name: m for m in self.members()}
        self.assertEqual((tarfile.REGTYPE, 5), (members["a/d"].type, members["a/d"].size))
        for name in ("b", "c"):
            self.assertEqual((tarfile.LNKTYPE, "a/d"), (members[name].type, members[name].linkname))
        # A new name of an old file brings the old one with it.
        self.assertEqual(["etc/", "etc/passwd", "passwd2"], self.changed_by("ln /etc/passwd /passwd2"))
        self.assert_layer_is_what_was_left(self.layer())

    def test_sockets_are_skipped_and_names_of_whiteouts_refused(self):
        code = "import socket; socket.socket(socket.AF_UNIX).bind('s')"
        self.ok("touch /f")
        subprocess.run(["python3", "-c", code], check=True, cwd=os.path.join(self.step_directory, "upper"))
        self.assertEqual(["f"], self.names())
        self.ok("touch /.wh.f")
        self.assertIsNone(self.layer())
        self.assertIn("UNSUPPORTED_CONTENT", self.layer_error)
        self.assertIn("/.wh.f: a layer cannot have", self.layer_error)

    def test_times_can_be_clamped(self):
        self.ok("touch -d @1000 /old; touch /new; ln -s x /l")
        self.assertEqual({"old": 1000, "new": 5000, "l": 5000}, {m.name: m.mtime for m in self.members(latest=5000)})

    def test_long_names_and_large_numbers(self):
        upper = self.path("step1", "upper")
        self.ok("touch /f")
        deep = os.path.join(upper, *["d" * 200] * 4)
        os.makedirs(deep)
        with open(os.path.join(deep, "f" * 255), "wb") as file:
            file.write(b"deep")
        os.symlink("t" * 3000, os.path.join(upper, "long"))
        with open(os.path.join(os.fsencode(upper), b"\xff\xfe\n raw"), "wb"):
            pass
        os.chown(os.path.join(upper, "f"), 4_000_000_000, 3_000_000_000)
        os.utime(os.path.join(upper, "f"), (-5, -5))
        with open(os.path.join(upper, "sparse"), "wb") as file:
            file.truncate(9 << 20)
        members = {m.name: m for m in self.members()}
        self.assertEqual((4_000_000_000, 3_000_000_000, -5), (members["f"].uid, members["f"].gid, members["f"].mtime))
        self.assertEqual("t" * 3000, members["long"].linkname)
        self.assertEqual(9 << 20, members["sparse"].size)
        self.assertEqual(4, members["/".join(["d" * 200] * 4 + ["f" * 255])].size)
        self.assertIn("\udcff\udcfe\n raw", members)

    def test_xattrs(self):
        self.ok("touch /f /g; mkdir /d; chmod 755 /etc/passwd /etc")
        upper = os.path.join(self.step_directory, "upper")
        capability = bytes.fromhex("0100000200200000000000000000000000000000")
        os.setxattr(os.path.join(upper, "f"), "security.capability", capability)
        os.setxattr(os.path.join(upper, "f"), "user.z", b"\0=\n")
        os.setxattr(os.path.join(upper, "f"), "user.a", b"")
        os.setxattr(os.path.join(upper, "f"), "user.n=%3D", b"1")
        os.setxattr(os.path.join(upper, "f"), "trusted.other", b"x")
        os.setxattr(os.path.join(upper, "d"), "user.d", b"of a directory")
        os.setxattr(os.path.join(upper, "d"), "user.overlay.x", b"x")
        with open(self.layer(), "rb") as file:
            raw = file.read()
        self.assertNotIn(b"overlay", raw)
        self.assertNotIn(b"trusted", raw)
        members = {m.name: m for m in self.members()}
        encoded = lambda b: b.decode("utf-8", "surrogateescape")
        self.assertEqual(
            {"SCHILY.xattr.security.capability": encoded(capability), "SCHILY.xattr.user.a": "", "SCHILY.xattr.user.n%3D%253D": "1", "SCHILY.xattr.user.z": "\0=\n"},
            {k: v for k, v in members["f"].pax_headers.items() if "xattr" in k},
        )
        self.assertEqual("of a directory", members["d"].pax_headers["SCHILY.xattr.user.d"])

    def test_a_changed_xattr_is_a_change(self):
        self.ok("chmod 600 /etc/passwd; chmod 644 /etc/passwd")
        os.setxattr(os.path.join(self.step_directory, "upper/etc/passwd"), "user.new", b"1")
        self.assertEqual(["etc/", "etc/passwd"], self.names())

    def test_the_same_tree_gives_the_same_bytes(self):
        command = "mkdir -p /x; for i in 9 3 7 1; do echo $i > /x/$i; ln /x/$i /x/l$i; done; rm -r /home; find /x -exec touch -h -d @1700000000 {} +"
        digests = set()
        for order in (1, 2):
            self.ok(command)
            with open(self.layer(latest=1_700_000_000), "rb") as file:
                digests.add(hashlib.sha256(file.read()).hexdigest())
        self.assertEqual(1, len(digests))

    def test_a_tree_by_chance(self):
        """Many changes of every kind; what comes out is what the kernel shows."""
        chance = random.Random(7)
        for number in range(40):
            folder = os.path.join(self.root, f"d{number % 8}", f"e{number % 5}")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"f{number}"), "w", encoding="ascii") as file:
                file.write("x" * number)
        lines = []
        for number in range(120):
            a, b = (f"/d{chance.randrange(8)}/e{chance.randrange(5)}" for _ in "ab")
            f, g = (f"f{chance.randrange(40)}" for _ in "fg")
            lines.append(
                chance.choice(
                    (
                        f"rm -rf {a}", f"mkdir -p {a}", f"rm -f {a}/{f}", f"echo {number} > {a}/{f}", f"mv {a} {b}", f"cp -a {a} {b}/",
                        f"ln {a}/{f} {b}/{g}", f"ln -s {g} {a}/{f}", f"chmod 7{chance.randrange(8)}5 {a}", f"mkfifo {a}/{f}",
                        f"mknod {a}/{f} c 1 3", f"rm -rf {a}; echo file > {a}", f"touch -h {a}/{f}", f"chown {number} {a}/{f}", f"mv {a}/{f} {b}/{g}",
                    )
                )
            )
        with open(os.path.join(self.root, "changes"), "w", encoding="ascii") as file:
            file.write("\n".join(lines))
        self.ok("sh /changes 2>/dev/null; true")
        self.assert_layer_is_what_was_left(self.layer())

    def test_large_files_and_many_names(self):
        self.ok("mkdir /many; cd /many; i=0; while [ $i -lt 2000 ]; do : > name$i; i=$((i+1)); done; head -c 20000001 /dev/urandom > /big")
        tar = self.layer()
        self.assert_layer_is_what_was_left(tar)

    def test_a_layer_becomes_an_image(self):
        self.ok("rm /etc/group; mkdir -p /n/m; echo x > /n/m/f; ln /n/m/f /n/g; chown -h 5:6 /n/g")
        said = erofs.convert(self.layer(), self.path("image"))
        self.assertNotIn("code", said, said)
        self.assertIsNone(erofs.fsck(self.path("image")))


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Ends(LayerCase):
    def test_a_directory_that_overlay_renamed_is_refused(self):
        self.ok("mkdir /d")
        os.setxattr(os.path.join(self.step_directory, "upper/d"), "trusted.overlay.redirect", b"/elsewhere")
        self.assertIsNone(self.layer())
        self.assertIn("/d: the overlay keeps part of it elsewhere", self.layer_error)

    def test_deep_trees(self):
        step = "d/" * 100
        self.ok(f"for i in 1 2 3 4 5 6 7 8 9; do mkdir -p {step} && cd {step}; done; touch f")
        self.assertEqual(901, len(self.names()))
        self.ok(f"for i in 1 2 3 4 5 6 7 8 9 10 11; do mkdir -p {step} && cd {step} || exit 1; done")
        self.assertIsNone(self.layer())
        self.assertIn("LIMIT_EXCEEDED", self.layer_error)
        self.remove()
        self.assertEqual([], os.listdir(self.step_directory))

    def test_removal_of_whatever_is_there(self):
        self.ok("mkdir -p /a/b; chmod 000 /a/b; mknod /dev0 c 0 5; ln -s /etc/passwd /l; mkfifo /p; rm -r /home; touch /etc/passwd")
        self.remove()
        self.assertEqual([], os.listdir(self.step_directory))
        self.assertTrue(os.path.exists(os.path.join(self.root, "etc/passwd")))


if __name__ == "__main__":
    unittest.main()
