"""Images of layers and the page cache: what was written of a large file does not stay
there, metadata does, since it is looked at first."""

import ctypes
import mmap
import os

from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import Image, Layer, random_layer, tar

MIB = 1 << 20
LARGE = 128 * MIB
BEHIND = 32 * MIB  # what may be on its way to the disk
OTHER = 8 * MIB
LIBC = ctypes.CDLL(None, use_errno=True)


def cached(path):
    """Bytes of the file that are in the page cache."""
    size = os.stat(path).st_size
    pages = -(-size // mmap.PAGESIZE)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), size) as mapped:
        begin = (ctypes.c_char * size).from_buffer(mapped)
        there = (ctypes.c_ubyte * pages)()
        failed = LIBC.mincore(ctypes.c_void_p(ctypes.addressof(begin)), ctypes.c_size_t(size), there)
        del begin
        if failed:
            raise OSError(ctypes.get_errno(), "mincore", path)
    return sum(page & 1 for page in there) * mmap.PAGESIZE


class PageCache(TestCase):
    def image_of(self, layer):
        """The file that a pull of it leaves."""
        daemon = self.daemon()
        with FakeRegistry() as registry:
            registry.repo("a").add(Image([layer]), "1")
            daemon.client().pull(f"{registry.host}/a:1")
        files = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(daemon.root, "layers")) for name in names]
        self.assertEqual(1, len(files))
        return files[0]

    def on_disk(self):
        """Not on a file system that is nothing but page cache."""
        with open("/proc/mounts", encoding="utf-8", errors="surrogateescape") as file:
            kinds = {fields[1]: fields[2] for fields in map(str.split, file)}
        path = os.path.realpath(self.dir)
        while path not in kinds:
            path = os.path.dirname(path)
        return kinds[path] != "tmpfs"

    def test_a_large_file_does_not_stay_in_the_page_cache(self):
        if not self.on_disk():
            self.skipTest("tmpfs")
        path = self.image_of(random_layer(os.path.join(self.dir, "large.gz"), LARGE, "cache"))
        self.assertGreater(os.stat(path).st_size, LARGE)
        self.assertLess(cached(path), BEHIND + OTHER)

    def test_metadata_stays_in_the_page_cache(self):
        path = self.image_of(Layer(tar({f"f{n:05}": b"%d" % n * 200 for n in range(20000)})))
        self.assertGreater(os.stat(path).st_size, OTHER)
        self.assertGreater(cached(path), os.stat(path).st_size * 0.9)
