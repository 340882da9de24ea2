"""Images whose layers hide, replace and add to what is below them: what a mount shows is
what dockerd and podman make of the same image, pulled from the same registry."""

import tarfile

import erofs
from engines import Dockerd, Podman
from erofs import Tar
from fakeregistry import FakeRegistry
from layertrees import LayerCase
from ociimage import EPOCH, Image, Layer

HARD, LINK, DIR = tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE

BASE = (
    ("etc/", DIR), ("etc/a", "a"), ("etc/b", "b"), ("etc/c", "c" * 5000), ("usr/", DIR), ("usr/lib/", DIR), ("usr/lib/one", "1"),
    ("usr/lib/two", "2"), ("usr/lib/deep/", DIR), ("usr/lib/deep/x", "x"), ("lib", LINK, "usr/lib"), ("hard1", "hard"),
    ("hard2", HARD, "hard1"), ("opaque/", DIR), ("opaque/old", "o"), ("opaque/sub/", DIR), ("opaque/sub/old", "o"), ("gone/", DIR),
    ("gone/f", "f"), ("again/", DIR), ("again/old", "o"), ("to-file/", DIR), ("to-file/in", "i"), ("to-dir", "f"), ("to-link/", DIR),
    ("to-link/in", "i"), ("from-link", LINK, "etc/a"), ("fifo", tarfile.FIFOTYPE), ("dev", tarfile.CHRTYPE),
)
LAYERS = {
    "whiteouts of files and directories": [
        (("etc/", DIR), ("etc/.wh.a", ""), (".wh.gone", ""), ("usr/", DIR), ("usr/lib/", DIR), ("usr/lib/.wh.deep", ""), (".wh.lib", ""),
         (".wh.hard1", ""), (".wh.fifo", ""), (".wh.dev", "")),
    ],
    "opaque directories": [
        (("opaque/", DIR), ("opaque/.wh..wh..opq", ""), ("opaque/new", "n"), ("usr/", DIR), ("usr/lib/", DIR), ("usr/lib/deep/", DIR),
         ("usr/lib/deep/.wh..wh..opq", "")),
    ],
    "one thing in place of another": [
        (("to-file", "now a file"), ("to-dir/", DIR), ("to-dir/in", "i"), ("to-link", LINK, "etc"), ("from-link", "now a file"),
         ("etc/", DIR), ("etc/b", "other b"), ("hard1", "other hard")),
    ],
    "gone and back": [
        ((".wh.again", ""), ("etc/", DIR), ("etc/.wh.c", ""), (".wh.opaque", "")),
        (("again/", DIR), ("again/new", "n"), ("etc/", DIR), ("etc/c", "c is back"), ("opaque/", DIR), ("opaque/sub/", DIR)),
        (("again/", DIR), ("again/.wh.new", ""), ("etc/", DIR), ("etc/.wh.none", ""), (".wh.nothing", "")),
    ],
    "attributes of directories": [
        (("usr/", DIR, {"mode": 0o700, "uid": 7, "gid": 8, "mtime": EPOCH + 5}), ("usr/lib/", DIR, {"mode": 0o1777}), ("usr/lib/new", "n")),
        (("usr/", DIR, {"mode": 0o711, "mtime": EPOCH + 9}), ("usr/lib/", DIR), ("usr/lib/.wh.one", "")),
    ],
}  # fmt: skip


def layer_of(path, entries):
    """(name, content), (name, type), (name, type, fields), or a link's (name, type, target)."""
    tar = Tar(path)
    for name, what, *more in entries:
        fields = {"mtime": EPOCH}
        if isinstance(what, str):
            what, fields["data"] = tarfile.REGTYPE, what.encode()
        if what == tarfile.CHRTYPE:
            fields.update(devmajor=1, devminor=3)
        for extra in more:
            fields.update(extra if isinstance(extra, dict) else {"linkname": extra})
        tar.add(name, what, **fields)
    with open(tar.done(), "rb") as file:
        return Layer(file.read())


class Engines(LayerCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        base = layer_of(self.path("base.tar"), BASE)
        self.references = {}
        for number, (name, layers) in enumerate(LAYERS.items()):
            made = [layer_of(self.path(f"{number}.tar"), entries) for entries in layers]
            self.registry.repo(f"image{number}").add(Image([base, *made], docker=True), "1")
            self.references[name] = f"{self.registry.host}/image{number}:1"

    def assert_equal_to(self, engine, *pull):
        for name, reference in self.references.items():
            with self.subTest(image=name):
                self.client.pull(reference)
                engine.run(*pull, reference)
                got = self.shown(reference)
                with engine.mounted(reference, self.path("engine")) as root:
                    wanted = erofs.snapshot(root)
                # The root is no entry of these layers: its attributes are the engine's own.
                wanted.pop(b"."), got.pop(b".")
                self.assertEqual([], erofs.differences(wanted, got))
                self.assertGreater(len(got), 10)

    def test_dockerd(self):
        self.assert_equal_to(Dockerd(self), "pull", "-q")

    def test_podman(self):
        self.assert_equal_to(Podman(self), "pull", "-q", "--tls-verify=false")
