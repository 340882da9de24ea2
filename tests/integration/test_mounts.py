"""Images mounted at directories: what is seen, how long it stays, and what is left afterwards."""

import os
import re
import shutil
import stat
import subprocess
import tarfile
import threading

import grpc

import erofs
from archives import docker_files, load
from erofs import Tar
from harness import TestCase, free_port
from ociimage import Image, Layer, random_bytes, tar
from rpc import Client, reason

FILE, LOOP, FUSE = 1, 2, 3
OPAQUE = {"trusted.overlay.opaque", "user.overlay.opaque", "trusted.overlay.origin", "user.overlay.origin"}


def mounts_of_ours():
    """{target: source} of all mounts that an imaged made."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.split() for line in file]
    return {line[4]: line[line.index("-") + 2] for line in lines if line[line.index("-") + 2].startswith("imaged:")}


def all_mounts():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return [line.split()[4] for line in file]


def options_of(target):
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return [line.split()[5].split(",") for line in file if line.split()[4] == target]


class MountsCase(TestCase):
    def setUp(self):
        super().setUp()
        if not erofs.can_mount():
            self.skipTest("erofs cannot be mounted here")
        self.addCleanup(self.assert_nothing_left)
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def assert_nothing_left(self):
        """No mount below the test's directory, no loop device of its files."""
        mounted = [target for target in mounts_of_ours() if target.startswith(self.dir)]
        for target in mounted:
            subprocess.run(["umount", "-l", target], check=False)
        self.assertEqual([], mounted)
        # The kernel lets go of a file system a little after its last user.
        loops = lambda: subprocess.run(["losetup", "-a"], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.wait_until(lambda: self.dir not in loops(), "no loop device stays")

    def directory(self, name="mnt"):
        os.makedirs(self.path(name), exist_ok=True)
        return self.path(name)

    def load(self, name, *layers):
        """Layers as bytes of tars, lowest first."""
        load(self.client, tar(docker_files((Image([Layer(layer, "plain") for layer in layers]), name))))
        return name

    def small(self, name="small:1"):
        return self.load(name, tar({"etc/": None, "etc/motd": b"hello"}))

    def mount(self, image, target=None, **fields):
        return self.client.MountImage(image=image, target=os.fsencode(target or self.directory()), **fields).mount

    def unmount(self, which, **fields):
        return self.client.UnmountImage(mount=os.fsencode(which), **fields)

    def mounted(self):
        return [os.fsdecode(m.target) for m in self.client.ListMounts().mounts]

    def refuse_mount(self, code, reason_, image, target, text, **fields):
        self.assert_rpc_fails(code, reason_, self.client.MountImage, image=image, target=os.fsencode(target), text=text, **fields)

    def again(self):
        """The daemon after a restart."""
        self.imaged.restart()
        self.client = self.imaged.client()


def apply_layers(directory, paths):
    """What the layers make together, by GNU tar and the rules of whiteouts (OCI image-spec, layer.md)."""
    os.makedirs(directory)
    for path in paths:
        with tarfile.open(path) as archive:
            names = archive.getnames()
        hidden = [name for name in names if os.path.basename(name).startswith(".wh.")]
        for name in hidden:
            parent, base = os.path.split(name)
            where = os.path.join(directory, parent)
            gone = os.listdir(where) if base == ".wh..wh..opq" and os.path.isdir(where) else [base[4:]]
            for one in gone:
                subprocess.run(["rm", "-rf", os.path.join(where, one)], check=True)
        # A directory in place of a file, and the other way round, is no merge.
        with tarfile.open(path) as archive:
            for member in archive:
                there = os.path.join(directory, member.name)
                if os.path.lexists(there) and (member.isdir() != (os.path.isdir(there) and not os.path.islink(there))):
                    subprocess.run(["rm", "-rf", there], check=True)
        subprocess.run(
            ["tar", "-xpf", path, "-C", directory, "--numeric-owner", "--xattrs", "--xattrs-include=*", "--exclude=.wh.*"],
            check=True,
            stderr=subprocess.PIPE,
        )
    return directory


class Trees(MountsCase):
    """What is seen is what the layers say."""

    def layers(self):
        """Three, with all that one can do to another."""
        pax = lambda value: {"SCHILY.xattr.user.a": value}
        dirs = ("bin", "cut", "d", "d/deep", "swap", "gone", "onlylow", "mode")
        low = Tar(self.path("0.tar"))
        low.directory(".", mode=0o711, mtime=11)
        for name in dirs:
            low.directory(name, mtime=5)
        low.add("bin/tool", data=random_bytes(10000, 1), mode=0o4755, uid=7, gid=8, mtime=9).hard_link("bin/same", "bin/tool")
        low.add("cut/a", data=b"a").add("cut/b", data=b"b").add("d/keep", data=b"keep").add("d/remove", data=b"r")
        low.add("d/deep/low", data=b"low", pax_headers=pax("1")).add("swap/file", data=b"f").directory("swap/dir").add("swap/dir/in", data=b"i")
        low.add("gone/x", data=b"x").symlink("link", "d/keep").add("onlylow/.wh.never").add("onlylow/stays", data=b"s")
        low.add("fifo", type=tarfile.FIFOTYPE).add("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3).add("mode/m", mode=0o600)
        middle = Tar(self.path("1.tar"))
        middle.directory(".", mode=0o711, mtime=12)
        middle.directory("cut", mtime=6).add("cut/.wh..wh..opq").add("cut/c", data=b"c")
        middle.directory("d", mtime=7).add("d/.wh.remove").add("d/added", data=b"added", pax_headers=pax("2"))
        middle.directory("swap", mtime=7).directory("swap/file", mtime=7).add("swap/file/now", data=b"n").add("swap/dir", data=b"file now")
        middle.add(".wh.gone").add(".wh.link").directory("mode", mode=0o1777, uid=3, gid=4, mtime=70)
        middle.directory("new", mtime=1).add("new/.wh.nothing").add("new/file", data=b"new")
        top = Tar(self.path("2.tar"))
        top.directory(".", mode=0o755, mtime=13)
        top.directory("gone", mtime=8).add("gone/y", data=b"y").directory("cut", mtime=8).add("cut/.wh.c").add("cut/a", data=b"again")
        top.add("link", data=b"no link now", mtime=3)
        return [low.done(), middle.done(), top.done()]

    def see(self, root):
        """Without overlayfs's marks, and the directories' times, which tar extraction changes."""
        tree = erofs.snapshot(root)
        for name, entry in tree.items():
            entry["xattrs"] = {key: value for key, value in entry["xattrs"].items() if key not in OPAQUE}
            if entry["size"] is None:
                entry["mtime"] = None
        return tree

    def test_several_layers_as_gnu_tar_makes_them(self):
        paths = self.layers()
        contents = [open(path, "rb").read() for path in paths]
        for n in (1, 2, 3):
            wanted = self.see(apply_layers(self.path(f"gnu{n}"), paths[:n]))
            self.load(f"tree:{n}", *contents[:n])
            for way in (FILE, LOOP):
                with self.subTest(layers=n, way=way):
                    mount = self.mount(f"tree:{n}", way=way)
                    self.assertEqual((n, way), (mount.layers, mount.way))
                    got = self.see(self.directory())
                    self.unmount(mount.id)
                    self.assertEqual([], erofs.differences(wanted, got))

    def test_a_whiteout_at_the_bottom_is_not_seen(self):
        low = tar({"d/": None, "d/.wh.x": b"", "d/y": b"", ".wh.z": b"", "o/": None, "o/.wh..wh..opq": b"", "o/.wh.q": b""})
        for layers in ([low], [low, tar({"d/": None, "d/new": b""})]):
            self.load("low:1", *layers)
            self.mount("low:1")
            self.assertEqual({"d", "o"}, set(os.listdir(self.directory())))
            self.assertEqual({"y"} | ({"new"} if layers[1:] else set()), set(os.listdir(self.path("mnt", "d"))))
            self.assertEqual([], os.listdir(self.path("mnt", "o")))
            self.unmount(self.directory())

    def test_an_opaque_root_hides_the_layers_below(self):
        self.load("root:1", tar({"low": b"", "d/": None, "d/low": b""}), tar({".wh..wh..opq": b"", "d/": None, "d/high": b""}), tar({"top": b""}))
        self.mount("root:1")
        self.assertEqual({"d", "top"}, set(os.listdir(self.directory())))
        self.assertEqual(["high"], os.listdir(self.path("mnt", "d")))
        self.unmount(self.directory())

    def test_a_layer_that_comes_more_than_once(self):
        one, two = tar({"f": b"one", "d/": None, "d/one": b"1"}), tar({".wh.d": b"", "f": b"two", "two": b""})
        self.load("again:1", one, two, one)
        self.mount("again:1")
        self.assertEqual({"f", "d", "two"}, set(os.listdir(self.directory())))
        self.assertEqual(b"one", open(self.path("mnt", "f"), "rb").read())
        self.assertEqual(["one"], os.listdir(self.path("mnt", "d")))
        self.unmount(self.directory())

    def test_no_layer_at_all(self):
        """Its root is one that everybody may look into, whatever umask the service has."""
        self.imaged.stop()
        self.imaged = self.daemon(name="strict", wrapper=["sh", "-c", 'umask 077; exec "$@"', "sh"])
        self.client = self.imaged.client()
        self.load("scratch:1")
        for fields in ({}, {"read_write": True}):
            self.mount("scratch:1", **fields)
            self.assertEqual((0o755, []), (stat.S_IMODE(os.stat(self.directory()).st_mode), os.listdir(self.directory())))
            self.unmount(self.directory())

    def test_500_layers(self):
        self.load("many:500", *[tar({f"f{i}": str(i).encode(), "all": str(i).encode()}) for i in range(500)])
        for way in (FILE, LOOP):
            mount = self.mount("many:500", way=way)
            self.assertEqual(500, mount.layers)
            self.assertEqual({f"f{i}" for i in range(500)} | {"all"}, set(os.listdir(self.directory())))
            self.assertEqual(b"499", open(self.path("mnt", "all"), "rb").read())
            self.assertEqual(b"0", open(self.path("mnt", "f0"), "rb").read())
            self.unmount(mount.id)

    def test_mounts_of_a_layer_share_one_file_system(self):
        """As many images as there are: what is read of it is in memory once."""
        base = tar({"base": random_bytes(100000, 1)})
        self.load("a:1", base), self.load("b:1", base, tar({"b": b""}))
        for way in (FILE, LOOP):
            before = self.kernel_file_systems()
            self.mount("a:1", self.directory("a"), way=way)
            self.mount("b:1", self.directory("b"), way=way), self.mount("a:1", self.directory("c"), way=way)
            self.assertEqual(2, self.kernel_file_systems() - before)
            self.unmount(self.directory("a")), self.unmount(self.directory("b"))
            self.assertEqual(1, self.kernel_file_systems() - before)
            self.unmount(self.directory("c"))
            self.wait_until(lambda: self.kernel_file_systems() == before, "all are gone")

    def kernel_file_systems(self):
        """Instances of erofs: the daemon has a descriptor of each that it shares."""
        fds = f"/proc/{self.imaged.pid}/fd"
        devices = set()
        for fd in os.listdir(fds):
            try:
                s = os.stat(os.path.join(fds, fd))
            except OSError:  # closed meanwhile
                continue
            if stat.S_ISDIR(s.st_mode) and s.st_dev != os.stat(self.imaged.root).st_dev:
                devices.add(s.st_dev)
        return len(devices)

    def test_a_layer_without_its_image_gets_it(self):
        self.small()
        for folder, _, names in os.walk(os.path.join(self.imaged.root, "layers")):
            for name in names:
                os.unlink(os.path.join(folder, name))
        self.mount("small:1")
        self.assertEqual(b"hello", open(self.path("mnt", "etc", "motd"), "rb").read())
        self.unmount(self.directory())


class ReadAndWrite(MountsCase):
    def test_read_only_unless_asked_for(self):
        self.small()
        self.mount("small:1")
        with self.assertRaises(OSError):
            open(self.path("mnt", "new"), "w").close()
        self.assertLessEqual({"ro", "nodev", "nosuid"}, set(options_of(self.directory())[0]))
        self.unmount(self.directory())

    def test_what_is_written_is_gone_with_the_mount(self):
        low = Tar(self.path("t")).directory(".", mode=0o1770, uid=5, gid=6).directory("etc").add("etc/motd", data=b"hello").done()
        self.load("small:1", open(low, "rb").read())
        for way in (FILE, LOOP):
            mount = self.mount("small:1", read_write=True, way=way)
            s = os.stat(self.directory())
            self.assertEqual((0o1770, 5, 6), (stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid))
            with open(self.path("mnt", "etc", "new"), "wb") as file:
                file.write(random_bytes(1 << 20, 1))
            os.makedirs(self.path("mnt", "a", "b", "c"))
            os.symlink("/etc", self.path("mnt", "a", "link"))
            os.unlink(self.path("mnt", "etc", "motd"))
            self.assertEqual(["new"], os.listdir(self.path("mnt", "etc")))
            self.assertLessEqual({"rw", "nodev", "nosuid"}, set(options_of(self.directory())[0]))
            answer = self.unmount(mount.id)
            self.assertGreaterEqual(answer.freed_bytes, 1 << 20)
            self.assertNotIn(mount.id, os.listdir(os.path.join(self.imaged.root, "mounts")))
            self.mount("small:1", read_write=True, way=way)
            self.assertEqual(["motd"], os.listdir(self.path("mnt", "etc")))
            self.unmount(self.directory())

    def test_what_is_deeper_than_the_limit_of_open_files(self):
        self.small()
        self.imaged.stop()
        self.imaged = self.daemon(name="few", wrapper=["prlimit", "--nofile=2048:2048"], root=self.imaged.root)
        self.client = self.imaged.client()
        mount = self.mount("small:1", read_write=True)
        here = os.open(self.directory(), os.O_RDONLY)
        for name in ["d"] * 2200:
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=below))
            os.close(here)
            here = below
        os.close(here)
        self.unmount(mount.id)
        self.assertNotIn(mount.id, os.listdir(os.path.join(self.imaged.root, "mounts")))

    def test_two_mounts_do_not_see_what_the_other_wrote(self):
        self.small()
        for name in ("a", "b"):
            self.mount("small:1", self.directory(name), read_write=True)
        open(self.path("a", "mine"), "w").close()
        self.assertEqual(["etc"], os.listdir(self.path("b")))
        for name in ("a", "b"):
            self.unmount(self.directory(name))

    def test_devices_and_set_user_id_work_only_when_allowed(self):
        layer = Tar(self.path("t")).add("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666).done()
        self.load("dev:1", open(layer, "rb").read())
        self.mount("dev:1")
        with self.assertRaises(PermissionError):
            open(self.path("mnt", "null"), "rb").close()
        self.unmount(self.directory())
        mount = self.mount("dev:1", allow_devices=True, allow_setuid=True)
        self.assertTrue(mount.allow_devices and mount.allow_setuid)
        with open(self.path("mnt", "null"), "rb") as file:
            self.assertEqual(b"", file.read())
        self.assertFalse({"nodev", "nosuid"} & set(options_of(self.directory())[0]))
        self.unmount(mount.id)


class Targets(MountsCase):
    def test_what_is_no_good_directory(self):
        self.small()
        open(self.path("file"), "w").close()
        os.symlink("loop", self.path("loop"))
        root = self.imaged.root
        for target, code, reason_, text in (
            (self.path("missing"), "NOT_FOUND", "NOT_FOUND", "there is no directory .*: make it first"),
            (self.path("file"), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "is not a directory"),
            ("mnt", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "absolute path"),
            ("", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "absolute path"),
            ("/", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "'/'"),
            ("/a\0b", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "absolute path"),
            ("/" + "a/" * 3000, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "longer than"),
            ("/" + "a" * 300, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "name too long"),
            (self.path("loop"), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "symbolic links"),
            (root, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "choose another directory"),
            (os.path.join(root, "content"), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "choose another directory"),
            (os.path.dirname(root), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "choose another directory"),
        ):
            with self.subTest(target=target[:40]):
                self.refuse_mount(code, reason_, "small:1", target, text)
        self.refuse_mount("NOT_FOUND", "NO_SUCH_IMAGE", "other:1", self.directory(), "No such image")
        self.assertEqual([], self.mounted())

    def test_a_directory_is_ours_once(self):
        self.small()
        self.mount("small:1")
        os.symlink(self.path("mnt"), self.path("link"))
        for name in ("mnt", "link", "mnt/."):
            self.refuse_mount("ALREADY_EXISTS", "ALREADY_EXISTS", "small:1", self.path(name), "unmount it first")
        self.unmount(self.path("link"))  # any name of it will do
        self.assertEqual([], self.mounted())

    def test_names_of_any_bytes(self):
        self.small()
        for name in ("with blank", "tab\there", "line\nbreak", "back\\slash\\040", os.fsdecode(b"\xff\xfe"), "ü", "x" * 255):
            target = self.directory(name)
            self.mount("small:1", target)
            self.assertEqual(["etc"], os.listdir(target))
            self.assertEqual([target], self.mounted())
            self.again()
            self.assertEqual([target], self.mounted())
            self.unmount(target)
            self.assertEqual([], os.listdir(target))

    def test_one_of_many_callers_gets_the_directory(self):
        self.small()
        target, said = os.fsencode(self.directory()), []

        def call():
            client = self.imaged.client()
            try:
                said.append(client.MountImage(image="small:1", target=target).mount.id)
            except grpc.RpcError as error:
                said.append(reason(error))

        threads = [threading.Thread(target=call) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        ids = [word for word in said if re.fullmatch("[0-9a-f]{16}", word)]
        self.assertEqual((1, 7), (len(ids), len([w for w in said if w in ("ALREADY_EXISTS", "CONFLICT")])), said)
        self.unmount(ids[0])
        self.assertEqual({}, {t: s for t, s in mounts_of_ours().items() if t.startswith(self.dir)})

    def test_what_was_opened_is_what_is_mounted_on(self):
        """The directory's name is swapped for a symlink all the while: no mount ends up elsewhere."""
        self.small()
        self.directory("real"), self.directory("elsewhere")
        stop = threading.Event()

        def patiently(step, *paths):
            while not stop.is_set():
                try:
                    return step(*paths)
                except OSError:  # EBUSY while an image is mounted on it
                    pass

        def swap():
            while not stop.is_set():
                patiently(os.rename, self.path("real"), self.path("aside"))
                patiently(os.symlink, self.path("elsewhere"), self.path("real"))
                patiently(os.unlink, self.path("real"))
                patiently(os.rename, self.path("aside"), self.path("real"))

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            for _ in range(40):
                try:
                    mount = self.mount("small:1", self.path("real"))
                except grpc.RpcError as error:
                    self.assertIn(reason(error), ("NOT_FOUND", "INVALID_ARGUMENT"), error.details())
                    continue
                where = os.fsdecode(mount.target)
                self.assertIn(where, (self.path("real"), self.path("aside"), self.path("elsewhere")))
                self.unmount(mount.id)
        finally:
            stop.set()
            thread.join()

    def test_what_stands_there_is_what_is_unmounted(self):
        """A directory above is swapped for a symlink all the while: the mount of somebody else stays."""
        self.small()
        target, theirs = self.directory("real/mnt"), self.directory("elsewhere/mnt")
        subprocess.run(["mount", "-t", "tmpfs", "none", theirs], check=True)
        self.addCleanup(subprocess.run, ["umount", theirs], check=False)
        stop = threading.Event()

        def swap():
            while not stop.is_set():
                os.rename(self.path("real"), self.path("aside"))
                os.symlink(self.path("elsewhere"), self.path("real"))
                stop.wait(0.0002)
                os.unlink(self.path("real"))
                os.rename(self.path("aside"), self.path("real"))
                stop.wait(0.0002)

        for _ in range(100):
            mount = self.mount("small:1", target)
            stop.clear()
            thread = threading.Thread(target=swap)
            thread.start()
            try:
                while True:
                    try:
                        self.unmount(mount.id, lazy=True)
                        break
                    except grpc.RpcError as error:
                        self.assertEqual("CONFLICT", reason(error), error.details())
                        self.assertRegex(error.details(), "not seen at")
            finally:
                stop.set()
                thread.join()
            self.assertTrue(os.path.ismount(theirs))

    def test_only_over_a_unix_socket(self):
        self.small()
        port = free_port()
        imaged = self.daemon("--listen", f"tcp://127.0.0.1:{port}", "--grant", "admin:anonymous", name="tcp")
        with Client(f"127.0.0.1:{port}") as client:
            for call, fields in (
                (client.MountImage, {"image": "small:1", "target": b"/mnt"}),
                (client.UnmountImage, {"mount": b"/mnt"}),
                (client.ListMounts, {}),
            ):
                self.assert_rpc_fails("PERMISSION_DENIED", "ACCESS_DENIED", call, text="unix socket", **fields)
        self.assertEqual([], list(imaged.client().ListMounts().mounts))


class Unmounting(MountsCase):
    def test_by_directory_and_by_id(self):
        self.small()
        first = self.mount("small:1")
        answer = self.unmount(first.id)
        self.assertEqual((first.id, 0), (answer.mount.id, answer.freed_bytes))
        second = self.mount("small:1")
        self.assertNotEqual(first.id, second.id)
        self.assertEqual(second.id, self.unmount(self.directory()).mount.id)
        for which in (first.id, self.directory(), "", "x"):
            self.assert_rpc_fails("NOT_FOUND", "NOT_FOUND", self.unmount, which, text="no image is mounted")

    def test_one_in_use_stays_unless_lazy(self):
        self.small()
        mount = self.mount("small:1")
        with open(self.path("mnt", "etc", "motd"), "rb") as file:
            self.assert_rpc_fails("FAILED_PRECONDITION", "CONFLICT", self.unmount, mount.id, text="in use.*--lazy")
            self.assertEqual([self.directory()], self.mounted())
            self.unmount(mount.id, lazy=True)
            self.assertEqual(([], []), (self.mounted(), os.listdir(self.directory())))
            self.assertEqual(b"hello", file.read())

    def test_one_that_is_covered_says_so(self):
        self.small()
        mount = self.mount("small:1")
        subprocess.run(["mount", "-t", "tmpfs", "none", self.directory()], check=True)
        try:
            self.assert_rpc_fails("FAILED_PRECONDITION", "CONFLICT", self.unmount, self.directory(), text="mounted over")
        finally:
            subprocess.run(["umount", self.directory()], check=True)
        self.unmount(mount.id)

    def test_a_store_that_cannot_be_written_to(self):
        """Then nothing is taken down that stays on record."""
        self.small()
        mount = self.mount("small:1")
        self.imaged.stop()
        subprocess.run(["mount", "--bind", self.imaged.root, self.imaged.root], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", self.imaged.root], check=True)
            self.imaged.start()
            self.client = self.imaged.client()
            self.assert_rpc_fails("FAILED_PRECONDITION", "READ_ONLY_STORE", self.unmount, mount.id)
            self.refuse_mount("FAILED_PRECONDITION", "READ_ONLY_STORE", "small:1", self.directory("other"), "read-only")
            self.assertEqual(([self.directory()], ["etc"]), (self.mounted(), os.listdir(self.directory())))
            self.imaged.stop()
        finally:
            subprocess.run(["umount", self.imaged.root], check=True)
        self.imaged.start()
        self.client = self.imaged.client()
        self.unmount(mount.id)

    def test_one_that_somebody_else_unmounted(self):
        self.small()
        mount = self.mount("small:1", read_write=True)
        subprocess.run(["umount", self.directory()], check=True)
        self.assertEqual([], self.mounted())
        self.unmount(mount.id)  # what is left of it
        self.assert_rpc_fails("NOT_FOUND", "NOT_FOUND", self.unmount, mount.id)
        self.mount("small:1")
        subprocess.run(["umount", self.directory()], check=True)
        second = self.mount("small:1")  # the directory is free again
        self.assertEqual([self.directory()], self.mounted())
        self.unmount(second.id)

    def test_a_mount_that_was_bound_elsewhere_too(self):
        self.small()
        mount = self.mount("small:1")
        subprocess.run(["mount", "--bind", self.directory(), self.directory("bound")], check=True)
        self.unmount(mount.id)
        self.assertEqual(([], []), (os.listdir(self.directory()), os.listdir(self.directory("bound"))))

    def test_one_in_use_stays_though_it_is_bound_elsewhere(self):
        """A bind mount comes after the mount itself, and is taken for no other place of it."""
        self.small()
        mount = self.mount("small:1", read_write=True)
        bound = self.directory("bound")
        subprocess.run(["mount", "--bind", self.path("mnt", "etc"), bound], check=True)
        with open(self.path("mnt", "etc", "motd"), "rb"):
            self.assert_rpc_fails("FAILED_PRECONDITION", "CONFLICT", self.unmount, mount.id, text="/mnt' is in use.*--lazy")
            self.assertEqual(([self.directory()], ["motd"]), (self.mounted(), os.listdir(bound)))
        with open(os.path.join(bound, "motd"), "rb") as file:
            self.assert_rpc_fails("FAILED_PRECONDITION", "CONFLICT", self.unmount, mount.id, text="/bound' is in use.*--lazy")
            self.assertEqual(["motd"], os.listdir(bound))
            self.unmount(mount.id, lazy=True)
            self.assertEqual(b"hello", file.read())
        self.assertEqual(([], []), (os.listdir(self.directory()), os.listdir(bound)))

    def test_what_others_mounted_over_a_bound_one_stays(self):
        self.small()
        mount = self.mount("small:1")
        bound = self.directory("bound")
        subprocess.run(["mount", "--bind", self.directory(), bound], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", bound], check=True)
        subprocess.run(["mount", "--bind", self.directory(), self.directory("third")], check=True)
        try:
            open(os.path.join(bound, "mine"), "w").close()
            for lazy in (False, True):
                self.assert_rpc_fails("FAILED_PRECONDITION", "CONFLICT", self.unmount, mount.id, lazy=lazy, text="mounted over '.*bound'")
                self.assertEqual(["mine"], os.listdir(bound))
        finally:
            subprocess.run(["umount", bound], check=False)
        self.unmount(mount.id)


class Kept(MountsCase):
    """A mount keeps the image's content."""

    def blobs(self):
        top = os.path.join(self.imaged.root, "content")
        return sorted(name for _, _, names in os.walk(top) for name in names)

    def test_a_mounted_image_is_removed_by_force_only(self):
        self.small()
        image = self.client.InspectImage(image="small:1").image.id
        mount = self.mount("small:1")
        for name in ("small:1", image):
            self.assert_rpc_fails("FAILED_PRECONDITION", "CONFLICT", self.client.RemoveImage, image=name, text=f"is mounted at '{self.directory()}'")
        self.client.TagImage(source="small:1", target="other:1")
        self.client.RemoveImage(image="other:1")  # one name of several
        answer = self.client.RemoveImage(image="small:1", force=True)
        self.assertEqual(0, answer.freed_bytes)
        self.assertEqual([], list(self.client.images()))
        self.client.PruneImages(all=True)
        self.assertEqual(3, len(self.blobs()))
        self.assertEqual(b"hello", open(self.path("mnt", "etc", "motd"), "rb").read())
        freed = self.unmount(mount.id).freed_bytes
        self.assertGreater(freed, 4096)
        self.assertEqual([], self.blobs())
        self.assertEqual([], [n for _, _, names in os.walk(os.path.join(self.imaged.root, "layers")) for n in names])
        self.assert_clean(self.client, [])

    def test_content_of_a_removed_image_stays_over_restarts(self):
        self.small()
        self.mount("small:1")
        self.client.RemoveImage(image="small:1", force=True)
        for _ in range(2):
            self.again()
            self.imaged.wait_log("ready")
            self.client.PruneImages(all=True)
            self.assertEqual(3, len(self.blobs()))
            self.assertEqual([self.directory()], self.mounted())
        self.assert_clean(self.client, [])
        self.unmount(self.directory())
        self.assertEqual([], self.blobs())

    def test_prune_passes_over_mounted_images(self):
        self.small(), self.load("free:1", tar({"free": b""}))
        self.mount("small:1")
        said = self.client.PruneImages(all=True, dry_run=True)
        untagged = [item.value for item in self.client.PruneImages(all=True).items if item.value.endswith(":1")]
        self.assertEqual(["free:1"], untagged)
        self.assertEqual(["free:1"], [item.value for item in said.items if item.value.endswith(":1")])
        self.assertEqual(["docker.io/library/small:1"], [n for image in self.client.images() for n in image.repo_tags])
        self.unmount(self.directory())
        self.client.PruneImages(all=True)
        self.assertEqual([], self.blobs())

    def test_the_image_may_come_back(self):
        self.small()
        mount = self.mount("small:1")
        self.client.RemoveImage(image="small:1", force=True)
        self.small()
        self.assertEqual(0, self.unmount(mount.id).freed_bytes)
        self.assertEqual(3, len(self.blobs()))
        self.assert_clean(self.client, ["docker.io/library/small:1"])

    def test_one_that_was_unmounted_by_hand_keeps_nothing(self):
        self.small()
        self.mount("small:1", read_write=True)
        subprocess.run(["umount", self.directory()], check=True)
        self.client.RemoveImage(image="small:1")
        self.assertEqual([], self.blobs())
        self.assertEqual([], self.leftovers())

    def leftovers(self):
        return [name for name in os.listdir(os.path.join(self.imaged.root, "mounts")) if not name.startswith("empty")]


class Restarts(MountsCase):
    def test_mounts_live_on(self):
        self.small()
        ro, rw = self.mount("small:1"), self.mount("small:1", self.directory("rw"), read_write=True)
        open(self.path("rw", "mine"), "w").close()
        self.imaged.stop()
        self.assertEqual(["etc"], os.listdir(self.directory()))
        self.imaged.start()
        self.client = self.imaged.client()
        self.assertEqual([ro.id, rw.id], [m.id for m in self.client.ListMounts().mounts])
        self.assertEqual({"etc", "mine"}, set(os.listdir(self.path("rw"))))
        self.imaged.kill()
        self.imaged.start()
        self.client = self.imaged.client()
        self.assertEqual([self.directory(), self.directory("rw")], self.mounted())
        self.assertEqual(2, self.client.GetInfo().mounts)
        for mount in (ro, rw):
            self.unmount(mount.id)

    def test_what_a_reboot_took_is_forgotten(self):
        self.small()
        self.mount("small:1"), self.mount("small:1", self.directory("rw"), read_write=True)
        self.client.RemoveImage(image="small:1", force=True)
        self.imaged.stop()
        for name in ("mnt", "rw"):
            subprocess.run(["umount", self.path(name)], check=True)
        self.imaged.start()
        self.client = self.imaged.client()
        self.assertEqual([], self.mounted())
        self.assertEqual([], [n for n in os.listdir(os.path.join(self.imaged.root, "mounts")) if not n.startswith("empty")])
        self.assertEqual([], [n for _, _, names in os.walk(os.path.join(self.imaged.root, "content")) for n in names])


    def test_what_cannot_be_taken_down_is_in_nobodys_way(self):
        """One mount of which something stays: the service starts, and other images are removed."""
        self.small(), self.small("other:1")
        mount = self.mount("small:1", read_write=True)
        busy = os.path.join(self.imaged.root, "mounts", mount.id, "upper", "busy")
        os.makedirs(busy)
        self.imaged.stop()
        subprocess.run(["umount", self.directory()], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", busy], check=True)
        try:
            self.imaged.start()
            self.client = self.imaged.client()
            self.assertRegex(self.imaged.log, f"mount {mount.id}.*busy")
            self.assertEqual([], self.mounted())
            self.client.RemoveImage(image="other:1")
            self.client.PruneImages()
            self.assert_rpc_fails("INTERNAL", "IO_ERROR", self.unmount, mount.id, text="busy")
        finally:
            subprocess.run(["umount", busy], check=True)
        self.unmount(mount.id)
        self.assertNotIn(mount.id, os.listdir(os.path.join(self.imaged.root, "mounts")))

    def test_what_a_killed_probe_left(self):
        """The overlay that it tries by names."""
        left = os.path.join(self.imaged.root, "mounts", "probe", "m")
        os.makedirs(left)
        for _ in range(2):
            subprocess.run(["mount", "-t", "tmpfs", "none", left], check=True)
        try:
            self.assertIn(FILE, self.client.GetInfo().mount_ways)
            self.assertNotIn(left, all_mounts())
            self.assertFalse(os.path.exists(os.path.dirname(left)))
        finally:
            for _ in range(all_mounts().count(left)):
                subprocess.run(["umount", left], check=True)

    def test_a_probe_that_could_try_nothing_is_made_again(self):
        """As with a disk that was full."""
        mounts = os.path.join(self.imaged.root, "mounts")
        self.imaged.stop()
        subprocess.run(["mount", "--bind", mounts, mounts], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", mounts], check=True)
            self.imaged.start()
            self.client = self.imaged.client()
            info = self.client.GetInfo()
            self.assertEqual([], list(info.mount_ways))
            self.assertIn("Read-only file system", info.mount_problem)
            subprocess.run(["mount", "-o", "remount,bind,rw", mounts], check=True)
            self.assertIn(FILE, self.client.GetInfo().mount_ways)
            self.small()
            self.unmount(self.mount("small:1").id)
            self.imaged.stop()
        finally:
            subprocess.run(["umount", "-l", mounts], check=True)

class OtherKernels(MountsCase):
    """Where the kernel takes no layers by descriptor, as those before Linux 6.15: strace fails
    the first try of it, which is the fifth call of fsconfig(2)."""

    def setUp(self):
        if not shutil.which("strace"):
            self.skipTest("needs strace")
        super().setUp()
        inject = ["-e", "trace=fsconfig", "-e", "inject=fsconfig:error=EINVAL:when=5"]
        tracer = subprocess.Popen(["strace", "-f", "-p", str(self.imaged.pid), "-o", "/dev/null", *inject], stderr=subprocess.PIPE, text=True)
        try:
            self.assertIn("attached", tracer.stderr.readline())
            ways = self.client.GetInfo().mount_ways  # found out now, and kept
        finally:
            tracer.terminate()
            tracer.communicate(timeout=60)
        self.assertLessEqual({FILE, LOOP}, set(ways))

    def super_options(self):
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            [line] = [line for line in file if line.split()[4] == self.directory()]
        return line.split()[-1].split(",")

    def test_layers_by_name(self):
        self.load("many:500", *[tar({f"f{i}": b"", "all": str(i).encode()}) for i in range(500)])
        self.load("one:1", tar({"d/": None, "d/f": b"1"})), self.load("two:1", tar({"a": b""}), tar({".wh.a": b"", "b": b""}))
        for image, seen in (("one:1", {"d"}), ("two:1", {"b"}), ("many:500", {f"f{i}" for i in range(500)} | {"all"})):
            for fields in ({}, {"way": LOOP}, {"read_write": True}) if image != "many:500" else ({},):
                with self.subTest(image=image, **fields):
                    mount = self.mount(image, **fields)
                    self.assertFalse([o for o in self.super_options() if o.startswith("lowerdir+=")])
                    self.assertEqual(seen, set(os.listdir(self.directory())))
                    if fields.get("read_write"):
                        open(self.path("mnt", "new"), "w").close()
                    self.assertLessEqual({"nodev", "nosuid"}, set(options_of(self.directory())[0]))
                    self.unmount(mount.id)
                    self.assertEqual([], [t for t in all_mounts() if t.startswith(self.dir)])
        self.assertEqual([], [n for n in os.listdir(os.path.join(self.imaged.root, "mounts")) if not n.startswith("empty")])


class WithoutPrivileges(MountsCase):
    """A daemon of an ordinary user: erofsfuse for layers, fuse-overlayfs over them."""

    def setUp(self):
        for program_ in ("erofsfuse", "fuse-overlayfs", "fusermount3", "setpriv", "unshare"):
            if not shutil.which(program_):
                self.skipTest(f"needs {program_}")
        super().setUp()
        self.imaged.stop()
        os.chmod(self.dir, 0o755)
        os.makedirs(self.path("user"))
        os.chown(self.path("user"), 65534, 65534)
        # A private /dev/fuse that everybody may open, as it is on most machines.
        script = self.path("as-user.sh")
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"set -e; mknod {self.path('fuse')} c 10 229; chmod 666 {self.path('fuse')}\n")
            file.write(f"mount --bind {self.path('fuse')} /dev/fuse\n")
            file.write('exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"\n')
        self.wrapper = ["unshare", "--mount", "--propagation", "private", "sh", script]

    def start(self, **options):
        self.imaged = self.daemon(name="user", wrapper=self.wrapper, **options)
        self.client = self.imaged.client()

    def seen(self, *names):
        """A path as the daemon's namespace has it."""
        return os.path.join(f"/proc/{self.imaged.pid}/root", self.path(*names).lstrip("/"))

    def mounted_there(self):
        with open(f"/proc/{self.imaged.pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return [line.split()[4] for line in file if self.dir in line.split()[4]]

    def as_user(self, *command):
        """In the daemon's namespace."""
        enter = ["nsenter", "-t", str(self.imaged.pid), "-m", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        done = subprocess.run([*enter, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout.split("\n")[:-1]

    def target(self):
        path = self.directory("mnt")
        os.chown(path, 65534, 65534)
        return path

    def test_layers_and_overlay_by_fuse(self):
        self.start()
        info = self.client.GetInfo()
        self.assertEqual([FUSE], list(info.mount_ways), info.mount_problem)
        self.load("two:1", tar({"d/": None, "d/a": b"low", "d/gone": b"", "o/": None, "o/low": b""}), tar({"d/.wh.gone": b"", "d/b": b"", "o/": None, "o/.wh..wh..opq": b"", "o/high": b""}))
        for read_write in (False, True):
            mount = self.mount("two:1", self.target(), read_write=read_write)
            self.assertEqual(FUSE, mount.way)
            self.assertEqual([self.target()], self.mounted_there(), "layers are not to be seen")
            found = self.as_user("find", self.target(), "-mindepth", "1", "-printf", "%P\n")
            self.assertEqual({"d", "d/a", "d/b", "o", "o/high"}, set(found))
            self.assertEqual(["low"], self.as_user("sh", "-c", f"cat {self.target()}/d/a; echo"))
            if read_write:
                self.as_user("touch", f"{self.target()}/new")
            self.assert_rpc_fails("ALREADY_EXISTS", "ALREADY_EXISTS", self.mount, "two:1", self.target())
            self.unmount(mount.id)
            self.assertEqual([], self.mounted_there())
            self.assertEqual([], os.listdir(self.target()))
        self.wait_until(lambda: not self.programs(), "the programs end with what they served")

    def programs(self):
        """Programs of mounts of this test that run."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if os.path.basename(words[0]) in (b"erofsfuse", b"fuse-overlayfs") and any(os.fsencode(self.dir) in w for w in words):
                found.append(words[0])
        return found

    def test_what_is_missing_is_said(self):
        empty = self.directory("bin")
        for name in ("setpriv", "sh", "mknod", "chmod", "mount", "unshare", "fusermount3"):
            os.symlink(shutil.which(name), os.path.join(empty, name))
        self.start(env={"PATH": empty})
        info = self.client.GetInfo()
        self.assertEqual([], list(info.mount_ways))
        self.assertRegex(info.mount_problem, "file: .*; loop: .*; fuse: the program erofsfuse is not installed")
        self.load("one:1", tar({"f": b""}))
        self.refuse_mount("FAILED_PRECONDITION", "CANNOT_MOUNT", "one:1", self.target(), "erofsfuse is not installed")
        self.assertRegex(self.imaged.ctl("info").stdout, "Mount Ways: none: file: ")


class ByFuse(MountsCase):
    """Layers by erofsfuse below the kernel's overlay."""

    def test_layers_by_erofsfuse(self):
        if not shutil.which("erofsfuse"):
            self.skipTest("needs erofsfuse")
        self.assertEqual([FILE, LOOP, FUSE], list(self.client.GetInfo().mount_ways))
        self.load("two:1", tar({"a": b"", "d/": None, "d/f": b"x"}), tar({".wh.a": b"", "b": b""}))
        for read_write in (False, True):
            mount = self.mount("two:1", way=FUSE, read_write=read_write)
            self.assertEqual({"b", "d"}, set(os.listdir(self.directory())))
            self.assertEqual([self.directory()], [t for t in all_mounts() if t.startswith(self.dir)])
            self.imaged.restart()
            self.client = self.imaged.client()
            self.assertEqual(b"x", open(self.path("mnt", "d", "f"), "rb").read(), "its programs outlive the daemon")
            self.unmount(mount.id)


class CommandLine(MountsCase):
    def test_mount_list_and_unmount(self):
        self.small()
        ctl = self.imaged.ctl
        self.directory()
        here = os.getcwd()
        os.chdir(self.dir)
        try:
            mount = ctl("image", "mount", "small:1", "mnt").stdout.strip()
            self.assertRegex(mount, "^[0-9a-f]{16}$")
            lines = ctl("image", "mounts").stdout.splitlines()
            self.assertRegex(lines[0], "^MOUNT ID +IMAGE +MODE +WAY +CREATED +DIRECTORY$")
            self.assertRegex(lines[1], f"^{mount} +small:1 +ro +file +.* ago +{self.path('mnt')}$")
            self.assertEqual(mount, ctl("image", "mounts", "-q").stdout.strip())
            self.assertEqual(f"{self.path('mnt')} 1 ro", ctl("image", "mounts", "--format", "{{.Target}} {{.Layers}} {{.Mode}}").stdout.strip())
            self.assertIn(f'"ID":"{mount}"', ctl("image", "mounts", "--format", "json").stdout)
            self.assertRegex(ctl("info").stdout, r"(?m)^ Mounts: 1\n Mount Ways: file loop")
            done = ctl("image", "mount", "small:1", "mnt", check=False)
            self.assertEqual(1, done.returncode)
            self.assertIn("unmount it first", done.stderr)
            self.assertEqual(mount, ctl("image", "unmount", "mnt").stdout.strip())
            done = ctl("image", "unmount", "mnt", mount, check=False)
            self.assertEqual((1, 2), (done.returncode, len(done.stderr.splitlines())))
            done = ctl("image", "mount", "--way", "boat", "small:1", "mnt", check=False)
            self.assertEqual((125, "invalid way 'boat': it is file, loop or fuse"), (done.returncode, done.stderr.strip()))
            mount = ctl("image", "mount", "--rw", "--allow-devices", "--allow-setuid", "--way", "loop", "small:1", "mnt").stdout.strip()
            self.assertEqual("rw,dev,suid loop", ctl("image", "mounts", "--format", "{{.Mode}} {{.Way}}").stdout.strip())
            ctl("image", "unmount", "--lazy", mount)
        finally:
            os.chdir(here)

    def test_pages(self):
        self.small()
        ids = [self.mount("small:1", self.directory(f"m{n}")).id for n in range(5)]
        seen, token = [], ""
        while True:
            page = self.client.ListMounts(page_size=2, page_token=token)
            seen.append([m.id for m in page.mounts])
            token = page.next_page_token
            if not token:
                break
        self.assertEqual([ids[0:2], ids[2:4], ids[4:5]], seen)
        self.assert_rpc_fails("INVALID_ARGUMENT", None, self.client.ListMounts, page_token="x", text="page_token")
        self.assert_rpc_fails("INVALID_ARGUMENT", None, self.client.ListMounts, page_size=-1, text="negative")
        for one in ids:
            self.unmount(one)


if __name__ == "__main__":
    import unittest

    unittest.main()
