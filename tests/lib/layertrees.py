"""A store whose images are shown as a mount shows them, and compared with what GNU tar
makes of their layers' tars."""

import contextlib
import os
import subprocess

import erofs
from engines import unmount_below
from harness import SLOW, TestCase
from ociimage import Blob, Layer

PACK = {"gzip": ["gzip", "-1nc"], "zstd": ["zstd", "-q1c"]}


def packed_layer(tar, how):
    """A layer of a tar file of any size."""
    diff_id = Blob(path=tar).digest
    if how == "plain":
        return Layer(how=how, blob=Blob(path=tar), diff_id=diff_id)
    with open(f"{tar}.{how}", "wb") as out:
        subprocess.run([*PACK[how], tar], stdout=out, check=True)
    return Layer(how=how, blob=Blob(path=f"{tar}.{how}"), diff_id=diff_id)


class LayerCase(TestCase):
    def setUp(self):
        super().setUp()
        if not erofs.can_mount():
            self.skipTest("erofs cannot be mounted here")
        self.addCleanup(unmount_below, self.dir)
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def layer_files(self, reference):
        """The images of its layers, the lowest first."""
        answer = self.client.InspectImage(image=reference)
        return [os.path.join(self.imaged.root, layer.image_file) for layer in answer.layers]

    @contextlib.contextmanager
    def mounted(self, reference, **fields):
        """The root of the image, at a directory of its own while it is looked at."""
        target = self.path("mnt")
        os.makedirs(target, exist_ok=True)
        self.client.MountImage(image=reference, target=os.fsencode(target), **fields)
        try:
            yield target
        finally:
            self.client.UnmountImage(mount=os.fsencode(target))

    def shown(self, reference, **fields):
        """What the mounted image shows, without the marks of overlays of users, which those of
        root do not hide."""
        with self.mounted(reference, **fields) as root:
            tree = erofs.snapshot(root)
        for entry in tree.values():
            entry["xattrs"] = {name: value for name, value in entry["xattrs"].items() if not name.startswith("user.overlay.")}
        return tree

    def assert_shows(self, reference, *tars, root=True, implied=False):
        """The mounted image is what GNU tar makes of the tars, one after the other. root: one
        of them has an entry for the root. implied: not all directories are entries, and those
        have no time of their own. Gives what is seen."""
        for file in self.layer_files(reference):
            self.assertIsNone(erofs.fsck(file))
        for tar in tars:
            erofs.gnu_extract(tar, self.path("gnu"))
        got = self.shown(reference)
        wanted = erofs.snapshot(self.path("gnu"))
        subprocess.run(["rm", "-rf", self.path("gnu")], check=True, timeout=170 * SLOW)
        if not root:
            wanted.pop(b"."), got.pop(b".")
        if implied:
            for tree in (wanted, got):
                for entry in tree.values():
                    entry["mtime"] = entry["mtime"] if entry["size"] is not None else None
        self.assertEqual([], erofs.differences(wanted, got))
        self.assertGreater(len(got), 1)
        return got
