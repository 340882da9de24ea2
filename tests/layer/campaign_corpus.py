"""fsck.erofs over what fuzzing has of tars: the seeds, and whatever a corpus directory holds
(CORPUS: directories, with a colon between). The first byte of an input is the target's."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

import erofs
from harness import ROOT, TestCase

SEEDS = os.path.join(ROOT, "tests", "fuzz", "seeds")
WITH_A_BYTE, PLAIN = ("fuzz_erofs_writer", "fuzz_layer_data"), ("fuzz_tar_members",)


def inputs():
    """(path, the tar in it)."""
    folders = [(os.path.join(SEEDS, name), 1) for name in WITH_A_BYTE] + [(os.path.join(SEEDS, name), 0) for name in PLAIN]
    folders += [(folder, 1) for folder in os.environ.get("CORPUS", "").split(":") if folder]
    for folder, skip in folders:
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as file:
                yield os.path.join(folder, name), file.read()[skip:]


class Corpus(TestCase):
    SECONDS = 1800

    def test_each_image_passes_fsck(self):
        made = tried = 0
        for path, data in inputs():
            tried += 1
            with self.subTest(path=path):
                with open(self.path("tar"), "wb") as file:
                    file.write(repaired(data))
                said = erofs.convert(self.path("tar"), self.path("image"), "--limit", "image=33554432", "--limit", "file=67108864")
                if "code" in said:
                    continue
                made += 1
                self.assertNotIn("code", erofs.check(self.path("image")))
                self.assertIsNone(erofs.fsck(self.path("image")))
                if erofs.can_mount():
                    with erofs.mounted(self.path("image"), self.path("mnt")) as root:
                        erofs.snapshot(root)
        print(f"     {made} images of {tried} inputs")
        self.assertGreater(made, 10)


def repaired(data):
    """With the checksums that its headers should have."""
    tar = bytearray(data)
    for at in range(0, len(tar) - 511, 512):
        header = tar[at : at + 512]
        if header[257:262] == b"ustar":
            header[148:156] = b" " * 8
            tar[at + 148 : at + 156] = b"%06o\0 " % sum(header)
    return bytes(tar)
