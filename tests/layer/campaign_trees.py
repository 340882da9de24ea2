"""The large trees of the campaign (tests/layers.sh), through the whole service: a Debian
root file system, /usr of this machine, 100,000 small files, 64,000 entries in one
directory. Each is compared with GNU tar's extraction in all that a file system tells."""

import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

import erofs
import fixtures
import trees
from fakeregistry import FakeRegistry
from harness import CACHE, program
from layertrees import LayerCase, packed_layer
from ociimage import Image

TAR = ["tar", "-cS", "--one-file-system", "--format=posix", "--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*"]


class Large(LayerCase):
    SECONDS = 1800

    def tell(self, text):
        print(f"     {text}", flush=True)

    def both_ways(self, tar, root=True):
        begin = time.monotonic()
        self.imaged.ctl("import", tar, "tree:1", timeout=900)
        imported = time.monotonic()
        got = self.assert_shows("tree:1", tar, root=root)
        [file] = self.layer_files("tree:1")
        data = sum(entry["size"] for entry in got.values() if entry["size"] and entry["mode"].startswith("0o100"))
        self.tell(f"{len(got)} entries, {data} bytes, tar {os.path.getsize(tar)}, image {os.path.getsize(file)}; "
                  f"import {imported - begin:.1f} s")
        before = erofs_sum(file)
        self.client.PruneImages(all=True)
        with FakeRegistry() as registry:
            registry.repo("tree").add(Image([packed_layer(tar, "zstd")]), "1")
            self.client.pull(f"{registry.host}/tree:1", timeout=900)
            [file] = self.layer_files(f"{registry.host}/tree:1")
            self.assertEqual(before, erofs_sum(file), "the same tar gives the same image, whichever way it comes")
        self.assert_clean(self.client)

    def test_a_debian_root(self):
        self.tell(fixtures.tree_kind())
        # Some of its directories are no entries of their own.
        self.both_ways(repacked(os.path.join(CACHE, "tree.tar"), self.path("packed")))

    def test_100_000_small_files(self):
        self.both_ways(trees.pack(trees.small_files(self.path("tree")), self.path("t.tar")))

    def test_64_000_entries_in_one_directory(self):
        self.both_ways(trees.pack(trees.one_directory(self.path("tree")), self.path("t.tar")))

    def test_everything_sparse_deep_and_odd_names(self):
        for name in ("everything", "sparse", "deep", "names"):
            with self.subTest(tree=name):
                self.both_ways(trees.pack(trees.QUICK[name](self.path(name)), self.path(name + ".tar")))

    def test_usr_of_this_machine(self):
        """It may be many gigabytes, so that its tar is made twice and never kept."""
        used = int(subprocess.run(["du", "-sx", "--block-size=1", "/usr"], stdout=subprocess.PIPE, check=True).stdout.split()[0])
        if shutil.disk_usage(self.dir).free < 3 * used:
            self.skipTest(f"three times the {used} bytes of /usr are not free")
        os.makedirs(self.path("gnu"))
        pipe(self.tar_of("/usr"), ["tar", "-xp", "-C", self.path("gnu"), "--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*"])
        environment = {**os.environ, "IMAGED_HOST": self.imaged.address}
        begin = time.monotonic()
        pipe(self.tar_of("/usr"), ["zstd", "-q1"], [program("imagectl"), "import", "-", "usr:1"], env=environment)
        took = time.monotonic() - begin
        [file] = self.layer_files("usr:1")
        self.assertIsNone(erofs.fsck(file))
        got = self.shown("usr:1")
        wanted = erofs.snapshot(self.path("gnu"))
        self.assertEqual([], erofs.differences(wanted, got))
        data = sum(entry["size"] for entry in got.values() if entry["size"] and entry["mode"].startswith("0o100"))
        self.tell(f"{len(got)} entries, {data} bytes, image {os.path.getsize(file)}; tar, zstd and import {took:.1f} s")

    @staticmethod
    def tar_of(directory):
        return [*TAR, "-C", directory, "."]


def erofs_sum(path):
    return subprocess.run(["sha256sum", path], stdout=subprocess.PIPE, check=True).stdout.split()[0]


def repacked(tar, directory):
    """With all of its directories as entries."""
    erofs.gnu_extract(tar, directory)
    return trees.pack(directory, directory + ".tar")


def pipe(*commands, env=None):
    running, above = [], subprocess.DEVNULL
    for command in commands:
        last = command is commands[-1]
        running.append(subprocess.Popen(command, stdin=above, stdout=subprocess.DEVNULL if last else subprocess.PIPE, env=env))
        if above != subprocess.DEVNULL:
            above.close()
        above = running[-1].stdout
    for process, command in zip(running, commands):
        if process.wait() != 0:
            raise RuntimeError(f"{command[0]} ended with {process.returncode}")
