"""What the layers of an archive may hold. A layer is never unpacked here: its tar must
be sound, and files of an image that can be mounted are made of it, in memory and in that
image alone. What is hostile only where it is unpacked comes in, keeps its bytes and
touches nothing; what is no tar, or has files that there cannot be, is refused
(registry-cri.md 5.1)."""

import json
import os
import re
import stat

import grpc

from archives import (
    BLOCK,
    END,
    WAYS,
    ArchiveCase,
    blob_name,
    docker_files,
    layout_files,
    load,
    pax_record,
    raw_header,
    raw_member,
    save,
    tar_of,
    unpack,
)
from harness import ROOT, blob_path
from ociimage import Image, Layer, random_bytes, sha256, tar
from rpc import reason

CASES = os.path.join(os.path.dirname(ROOT), "shared", "cases", "registry", "archive-breakouts")
REGULAR, HARD, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
NEGATIVE_MTIME = b"\xff" * 11 + b"\xfe"  # -2, as GNU has it


def file(name, data=b"x", **more):
    return raw_member(name, data, **more)


def link(name, target, kind=SYMLINK):
    return raw_member(name, kind=kind, link=target, pax={"linkpath": target} if len(target) > 100 else None)


def directory(name, **more):
    return raw_member(name, kind=DIRECTORY, **more)


def accepted(victim):
    """{what: members}, all of them sound tars. `victim`: the path of a directory that is watched, without its
    first slash."""
    return {
        "a whiteout": [file("x"), file(".wh.x", b""), file("d/.wh.y", b"")],
        "an opaque directory": [directory("d/"), file("d/.wh..wh..opq", b""), file("d/new")],
        "an opaque mark behind what it hides": [file("d/new"), file("d/.wh..wh..opq", b"")],
        "a whiteout of the directory itself": [file(".wh..", b""), file("d/.wh..", b"")],
        "a whiteout of the directory above": [file(".wh...", b""), file("d/.wh...", b"")],
        "a whiteout of nothing": [file(".wh.", b""), file("d/.wh.", b"")],
        "a whiteout of a whiteout": [file(".wh..wh.x", b""), file(".wh..wh..wh.x", b"")],
        "a whiteout of AUFS": [file(".wh..wh.plnk/1.2", b"x"), file(".wh..wh.aufs", b"")],
        "a whiteout that is a directory": [directory(".wh.d/"), file(".wh.d/f")],
        "a whiteout that is a link": [link(".wh.x", f"/{victim}/canary"), link(".wh.y", f"/{victim}/canary", HARD)],
        "a whiteout below a link": [link("out", "/" + victim), file("out/.wh.canary", b""), file("out/.wh..wh..opq", b"")],
        "a whiteout with a path": [file(f".wh.{victim}/canary", b""), file("../.wh.canary", b"")],
        "a name that climbs out": [file("../evil"), file("a/../../evil"), file("a/" + "../" * 9 + "evil"), directory("..")],
        "a name that is absolute": [file(f"/{victim}/evil"), file(f"//{victim}/evil"), directory(f"/{victim}/evil.d/"), directory("/")],
        "a name that climbs out by pax": [file("x", pax={"path": "../" * 60 + f"{victim}/evil"})],
        "no name": [file("")],
        "odd names": [file("."), file("./"), file("a//b"), file("a/./b"), file("\\..\\evil"), file("C:\\evil"), file("-rf")],
        "names that are no text": [file(b"\xff\xfe\n\x1b[2J\r"), file("x", pax={"path": b"\xff/\x1b]0;evil\x07"})],
        "names that differ in their case": [file("File"), file("FILE"), file("ﬁle".encode())],
        "names as long as any": [file("x", pax={"path": "/".join(["n" * 255] * 16)}), file("x", pax={"path": "n" * 5000})],
        "directories as deep as any": [file("x", pax={"path": "d/" * 2000 + "f"})],
        "a hard link out": [link("h", "../" * 40 + f"{victim}/canary", HARD), file("h", b"evil")],
        "a hard link that is absolute": [link("h", f"/{victim}/canary", HARD), file("h", b"evil")],
        "a hard link to nothing": [link("h", "nothing", HARD), link("i", "", HARD)],
        "a hard link to itself": [link("h", "h", HARD)],
        "a hard link to a symlink": [link("s", f"/{victim}/canary"), link("h", "s", HARD), file("h", b"evil")],
        "a hard link to a later member": [link("h", "late", HARD), file("late")],
        "a hard link to a directory": [directory("d/"), link("h", "d", HARD)],
        "a hard link with data": [file("f"), raw_member("h", b"evil", kind=REGULAR), raw_member("h", kind=HARD, link="f")],
        "a symlink as the parent": [link("out", "/" + victim), file("out/evil"), directory("out/evil.d/")],
        "a symlink as the parent, relative": [link("out", "../" * 40 + victim), file("out/evil")],
        "a chain of symlinks as the parent": [link("a", "b"), link("b", "c"), link("c", "/" + victim), file("a/evil")],
        "a circle of symlinks": [link("a", "b"), link("b", "a"), file("a/x")],
        "a symlink that is followed for its mode": [link("out", f"/{victim}/canary"), file("out", mode=0o6777)],
        "a directory that a link replaces": [directory("d/"), file("d/a"), link("d", "/" + victim), file("d/evil")],
        "a link that a directory replaces": [link("d", "/" + victim), directory("d/", mode=0o777), file("d/evil")],
        "a file that a directory replaces": [file("d"), directory("d/"), file("d/evil")],
        "a file as the parent": [file("f"), file("f/evil")],
        "one name many times": [file("x", b"%d" % number) for number in range(50)],
        "devices": [raw_member("null", kind=CHARACTER), raw_member("sda", kind=BLOCK_DEVICE), raw_member("dev/mem", kind=CHARACTER, mode=0o666)],
        "a fifo": [raw_member("fifo", kind=FIFO)],
        "a socket": [file("socket", b"", mode=0o140777)],
        "types that nobody knows": [raw_member("z", kind=b"Z"), raw_member("s", kind=b"s"), raw_member("7", b"x", kind=b"7")],
        "setuid and setgid": [file("su", mode=0o4755), file("sg", mode=0o2755), file("both", mode=0o7777), directory("d/", mode=0o7777)],
        "a capability": [file("ping", pax={"SCHILY.xattr.security.capability": b"\x01\x00\x00\x02\x00\x20" + bytes(14)})],
        "attributes of overlayfs": [
            directory("d/", pax={"SCHILY.xattr.trusted.overlay.opaque": "y"}),
            directory("r/", pax={"SCHILY.xattr.trusted.overlay.redirect": f"/{victim}"}),
            directory("u/", pax={"SCHILY.xattr.user.overlay.opaque": "y"}),
            file("f", pax={"SCHILY.xattr.trusted.overlay.metacopy": "", "LIBARCHIVE.xattr.trusted.overlay.origin": "eA=="}),
        ],
        "attributes without end": [file("f", pax={f"SCHILY.xattr.user.{number}": "v" * 1000 for number in range(500)})],
        "pax keys that come twice": [
            file("x", pax=pax_record("path", "one") + pax_record("path", "two") + pax_record("mtime", 1) + pax_record("mtime", 2)),
            file("y", b"x" * 600, pax=pax_record("size", 1) + pax_record("size", 600), size=5),
        ],
        "a global header": [raw_member("g", pax_record("path", "evil") + pax_record("comment", "x"), kind=b"g"), file("x")],
        "times before there was time": [file("x", pax={"mtime": "-1.5", "atime": "-9" * 9}), file("y", mtime_field=NEGATIVE_MTIME)],
        "times that are none": [file("x", pax={"mtime": "never"}), file("y", mtime_field=b"z" * 12)],
        "a sparse file": [file("x", b"1\n0\n1\n".ljust(BLOCK, b"\0") + b"x", pax={"GNU.sparse.major": 1, "GNU.sparse.minor": 0, "GNU.sparse.realsize": 9})],
        "a GNU name": [raw_member("././@LongLink", b"../" * 40 + victim.encode() + b"/evil\0", kind=b"L"), file("x")],
    }  # fmt: skip


# Of these no file system can be made: {what: hint}.
UNMOUNTABLE = {
    "a GNU name": "leads out",
    "a circle of symlinks": "too many symbolic links",
    "a file as the parent": "no directory",
    "a hard link out": "leads out",
    "a hard link that is absolute": "not in it",
    "a hard link to a directory": "hard link to a directory",
    "a hard link to a later member": "not in it",
    "a hard link to itself": "not in it",
    "a hard link to nothing": "not in it",
    "a name that climbs out": "leads out",
    "a name that climbs out by pax": "leads out",
    "a whiteout of nothing": "whiteout of nothing",
    "a whiteout of the directory above": "whiteout of nothing",
    "a whiteout of the directory itself": "whiteout of nothing",
    "a whiteout that is a directory": "below a whiteout",
    "a whiteout with a path": "below a whiteout",
    "attributes of overlayfs": "overlayfs",
    "attributes without end": "256 extended attributes",
    "names as long as any": "too long",
    "no name": "without a name",
    "odd names": "root directory",
    "times that are none": "bad time",
    "types that nobody knows": "unknown type",
}

# {what: (bytes, hint)}
REFUSED = {
    "a header with a wrong checksum": (tar_of(file("x"), raw_header("y", checksum=b"000001\0 ")), "checksum"),
    "a size that is negative": (tar_of(raw_header("x", size_field=b"\xff" * 12)), "size"),
    "a size that is no number": (tar_of(raw_header("x", size_field=b"zzzzzzzzzzz\0")), "size"),
    "a size that is 8 EiB": (tar_of(raw_header("x", size_field=b"\x80\0\0\0" + (2**63 - 1).to_bytes(8, "big"))), "bytes"),
    "a size that is more than there is": (tar_of(raw_header("x", 1 << 20)), "ends in the middle"),
    "a pax size that is no number": (tar_of(file("x", pax={"size": "1e3"})), "bad size"),
    "a pax size that is negative": (tar_of(file("x", pax={"size": -1})), "bad size"),
    "a pax size twice, of which the last lies": (tar_of(file("x", b"x" * 600, pax=pax_record("size", 600) + pax_record("size", 1)), file("y")), "checksum|header"),
    "a pax record that lies about its length": (tar_of(file("x", pax=b"99 path=evil\n")), "bad record"),
    "a pax record without a key": (tar_of(file("x", pax=b"6 =x\n\n")), "bad record"),
    "a pax header that is too long": (tar_of(raw_member("x", b"0" * (2 << 20), kind=b"x")), "too long"),
    "a sparse file of 8 EiB": (tar_of(file("x", b"1\n0\n1\n".ljust(BLOCK, b"\0") + b"x", pax={"GNU.sparse.major": 1, "GNU.sparse.minor": 0, "GNU.sparse.realsize": 2**63 - 1})), "bytes"),
    "a single zero block in its middle": (file("x") + bytes(BLOCK) + file("y") + END, "zero block"),
    "an end in the middle of a file": (file("x", b"x" * 5000)[:-3000], "ends in the middle"),
    "an end in the middle of a header": (file("x") + file("y")[:100], "ends in the middle"),
    "random bytes": (random_bytes(4096, 1), "checksum"),
}  # fmt: skip


def archives_of(data):
    """(layer, image, archive): a layout, and a docker-archive whose layer is compressed."""
    plain, packed = Layer(data, "plain"), Layer(data, "gzip")
    first, second = Image([plain]), Image([packed])
    yield plain, first, tar(layout_files((first, "docker.io/library/x:1")))
    yield packed, second, tar(docker_files((second, "x:1")))


class LayerCase(ArchiveCase):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("victim", "below"))
        for name in ("canary", "below/canary"):
            self.write(os.path.join("victim", name), b"sings")
        self.victim = self.path("victim")[1:]
        self.before = self.outside()

    def outside(self):
        """All that is there but for the store: what kind, which mode, how many links, when changed."""
        found = {}
        for folder, folders, names in os.walk(self.dir):
            folders[:] = [name for name in folders if os.path.join(folder, name) != self.imaged.root]
            for name in [*folders, *names]:
                status = os.lstat(os.path.join(folder, name))
                found[os.path.join(folder, name)] = (status.st_mode, status.st_nlink, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return found

    def assert_untouched(self):
        """Nothing is new outside of the store, and in it are only files of its own making."""
        self.assertEqual(self.before, self.outside())
        for folder, folders, names in os.walk(os.path.join(self.imaged.root, "content")):
            for name in names:
                self.assertRegex(name, r"\A[0-9a-f]{64}\Z")
                self.assertTrue(stat.S_ISREG(os.lstat(os.path.join(folder, name)).st_mode))
            self.assertEqual([], [name for name in folders if not re.fullmatch("sha256|[0-9a-f]{2}", name)])

    def refuse(self, data, hint):
        for layer, _, archive in archives_of(data):
            for way, seekable in WAYS:
                with self.subTest(layers=layer.how, archive=way):
                    with self.assertRaises(grpc.RpcError) as caught:
                        load(self.client, archive, seekable)
                    said = f"{reason(caught.exception)}: {caught.exception.details()}"
                    self.assertRegex(said, rf"\A(INVALID_CONTENT|LIMIT_EXCEEDED|UNSUPPORTED_CONTENT): [ -~]*layer [ -~]*({hint})[ -~]*\Z")
                    self.assert_nothing_kept()
                    self.assert_untouched()
        self.assert_clean(self.client, [])

    def comes_in(self, data):
        """Out of archives of both formats, both ways: it is kept as it is, and saved again."""
        for number, (layer, image, archive) in enumerate(archives_of(data)):
            with self.subTest(layers=layer.how):
                [loaded] = load(self.client, archive, number == 0).images
                self.assertEqual(image.id, loaded.image_id)
                answer = self.client.InspectImage(image="x:1", include_raw=True)
                self.assertEqual([sha256(data)], json.loads(answer.raw_config)["rootfs"]["diff_ids"])
                self.assertEqual(layer.blob.data, unpack(save(self.client, "x:1"))[blob_name(layer.blob.digest)])
                with open(blob_path(self.imaged.root, layer.blob.digest), "rb") as blob:
                    self.assertEqual(layer.blob.data, blob.read())
                self.assert_untouched()
                self.assert_clean(self.client, ["docker.io/library/x:1"])
                self.client.PruneImages(all=True)
                self.assert_nothing_kept()


class Accepted(LayerCase):
    """Sound tars."""

    def test_many_empty_files_come_in(self):
        self.comes_in(tar_of(*[file(f"d/{number}", b"") for number in range(20_000)]))


class Refused(LayerCase):
    """What is no tar, or none of files."""


class SharedCases(LayerCase):
    """The tables of other projects, where they are on this machine."""

    def table(self, name):
        path = os.path.join(CASES, name)
        if not os.path.exists(path):
            self.skipTest(f"{path} is not here")
        with open(path, "rb") as table:
            return json.load(table)

    def test_break_outs_of_moby(self):
        kinds = {"tar.TypeReg": REGULAR, "tar.TypeLink": HARD, "tar.TypeSymlink": SYMLINK, "tar.TypeDir": DIRECTORY}
        tried = 0
        for test, lists in self.table("moby_applylayer_invalid.json").items():
            for number, headers in enumerate(lists if "Invalid" in test else []):
                with self.subTest(test=test, number=number):
                    data = tar_of(
                        *[raw_member(h["Name"], kind=kinds[h["Typeflag"]["$go"]], link=h.get("Linkname", ""), mode=h["Mode"]) for h in headers]
                    )
                    leads_out = any(".." in h["Name"] or h["Typeflag"]["$go"] == "tar.TypeLink" for h in headers)
                    if leads_out:
                        self.refuse(data, "leads out|not in it|no directory")
                    else:
                        self.comes_in(data)
                    tried += 1
        self.assertGreater(tried, 10)

    def test_whiteouts_of_moby(self):
        _, changes = self.table("moby_applylayer_invalid.json")["TestApplyLayerWhiteouts"]
        tried = 0
        for names in (one["change"] for one in changes):
            if isinstance(names, list):
                self.comes_in(tar_of(*[directory(name) if name.endswith("/") else file(name) for name in names]))
                tried += 1
        self.assertGreater(tried, 1)


def add_cases():
    def name_of(what):
        return re.sub(r"\W+", "_", what)

    for what in accepted(""):

        def comes_in(self, what=what):
            self.comes_in(tar_of(*accepted(self.victim)[what]))

        def cannot_be(self, what=what):
            self.refuse(tar_of(*accepted(self.victim)[what]), UNMOUNTABLE[what])

        if what in UNMOUNTABLE:
            setattr(Refused, f"test_{name_of(what)}_is_refused", cannot_be)
        else:
            setattr(Accepted, f"test_{name_of(what)}_comes_in", comes_in)
    for what, (data, hint) in REFUSED.items():

        def refuse(self, data=data, hint=hint):
            self.refuse(data, hint)

        setattr(Refused, f"test_{name_of(what)}_is_refused", refuse)


add_cases()
