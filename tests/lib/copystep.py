"""One COPY, ADD or WORKDIR on trees that a test describes, by the program copy_layer
(tests/build/copy_layer.c).

    self.copy("COPY a b /dst/", context={"a": b"x", "b": b"y"}, into=[{"etc": None}])

A tree's values: bytes a file, None a directory, str a symbolic link; or an Entry.
"""

import io
import json
import os
import subprocess
import tarfile

from erofs import convert
from harness import BIN, SLOW, TestCase, program

COPY_LAYER = os.path.join(os.path.dirname(os.path.abspath(BIN)), "tests", "copy_layer")
NOW = 1_700_000_000


class Entry:
    def __init__(self, data=None, mode=None, uid=0, gid=0, mtime=1_600_000_000, kind=None, link="", device=(0, 0), xattrs=None):
        self.data, self.uid, self.gid, self.mtime, self.link, self.device = data, uid, gid, mtime, link, device
        self.kind = kind or (tarfile.DIRTYPE if data is None else tarfile.REGTYPE)
        self.mode = mode if mode is not None else 0o755 if self.kind == tarfile.DIRTYPE else 0o777 if self.kind == tarfile.SYMTYPE else 0o644
        self.xattrs = xattrs or {}


def entry_of(value):
    if isinstance(value, str):
        return Entry(kind=tarfile.SYMTYPE, link=value)
    return value if isinstance(value, Entry) else Entry(value)


def hard_link(target):
    return Entry(kind=tarfile.LNKTYPE, link=target, mode=0o644)


def make_tar(tree, **options):
    """The bytes of a tar of the tree, in the order that it is given in."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, **options) as tar:
        for path, value in tree.items():
            e, info = entry_of(value), tarfile.TarInfo(path)
            info.type, info.mode, info.uid, info.gid, info.mtime, info.linkname = e.kind, e.mode, e.uid, e.gid, e.mtime, e.link
            info.devmajor, info.devminor = e.device
            info.pax_headers = {f"SCHILY.xattr.{k}": v for k, v in e.xattrs.items()}
            if e.kind == tarfile.REGTYPE:
                info.size = len(e.data)
            tar.addfile(info, io.BytesIO(e.data) if e.data else None)
    return out.getvalue()


class Written:
    """An entry of a layer."""

    def __init__(self, info, data):
        self.name, self.kind, self.mode, self.uid, self.gid = info.name, info.type, info.mode, info.uid, info.gid
        self.mtime, self.link, self.data, self.device = info.mtime, info.linkname, data, (info.devmajor, info.devminor)
        self.xattrs = {k[len("SCHILY.xattr."):]: v for k, v in info.pax_headers.items() if k.startswith("SCHILY.xattr.")}

    @property
    def owner(self):
        return (self.uid, self.gid)


def read_layer(path):
    """{name: Written}, in order. Every name is relative and comes once."""
    layer = {}
    with tarfile.open(path) as tar:
        for info in tar:
            if info.name in layer or info.name.startswith(("/", "./")):
                raise AssertionError(f"{path}: {info.name} is there twice, or not relative")
            layer[info.name] = Written(info, tar.extractfile(info).read() if info.isreg() else None)
    return layer


class CopyCase(TestCase):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("store"))
        self.made = 0

    def new_path(self, suffix):
        self.made += 1
        return self.path(f"{self.made}{suffix}")

    def image(self, tree):
        """The EROFS image of a layer: of a tree, or of a tar's bytes."""
        tar, image = self.new_path(".tar"), self.new_path(".erofs")
        with open(tar, "wb") as file:
            file.write(tree if isinstance(tree, bytes) else make_tar(tree))
        said = convert(tar, image)
        self.assertNotIn("code", said)
        return image

    def request(self, instruction, context=None, into=None, stages=None, dockerfile=None, **fields):
        """As copy_layer takes it. `instruction`: --from=0 is the first of `stages`."""
        stages = stages or []
        text = "".join("FROM scratch\n" for _ in stages) + f"FROM scratch\n{instruction}\n"
        request = {
            "dockerfile": dockerfile or text, "store": self.path("store"), "worker": program("imaged-layer"), "now": NOW,
            "out": self.new_path(".layer.tar"), **fields,
        }
        if context is not None:
            request["context"] = self.new_path(".context.tar")
            with open(request["context"], "wb") as file:
                file.write(make_tar(context))
        if into is not None:
            request["into"] = [self.image(tree) for tree in into]
        if stages:
            request["stages"] = {str(i): [self.image(tree) for tree in layers] for i, layers in enumerate(stages)}
        return request

    def run_request(self, request):
        path = self.new_path(".json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(request, file)
        done = subprocess.run([COPY_LAYER, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100 * SLOW)
        if done.returncode or done.stderr:
            raise AssertionError(f"copy_layer: exit {done.returncode}\n{done.stderr.decode(errors='replace')}")
        return json.loads(done.stdout)

    def copy(self, instruction, **fields):
        """The layer of a step that must succeed. self.digests: of its sources; self.tar: its path."""
        request = self.request(instruction, **fields)
        said = self.run_request(request)
        self.assertNotIn("reason", said, said)
        self.digests, self.identified, self.tar = said["digests"], said["identified"], request["out"]
        return read_layer(self.tar)

    def refused(self, instruction, **fields):
        """(reason, text)"""
        said = self.run_request(self.request(instruction, **fields))
        self.assertIn("reason", said)
        return said["reason"], said["text"]

    def digest(self, instruction, **fields):
        self.copy(instruction, **fields)
        return self.digests
