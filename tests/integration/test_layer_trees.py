"""Real trees through the whole service: imported, and as the layers of a pulled image. The
mounted root is what GNU tar makes of the same tars. The campaign (tests/layers.sh) does
the same with large trees."""

import erofs
import trees
from fakeregistry import FakeRegistry
from layertrees import LayerCase, packed_layer
from ociimage import Image


class Trees(LayerCase):
    """Each of QUICK in two ways."""

    def test_an_imported_tree_is_what_gnu_tar_makes_of_it(self):
        for name, make in trees.QUICK.items():
            with self.subTest(tree=name):
                tar = trees.pack(make(self.path(name)), self.path(name + ".tar"))
                self.imaged.ctl("import", tar, f"{name}:1")
                self.assert_shows(f"{name}:1", tar)

    def test_the_layers_of_a_pulled_image_are_what_gnu_tar_makes_of_them(self):
        """All of them in one image, each below a directory of its own, in all compressions."""
        tars, layers = [], []
        for number, (name, make) in enumerate(trees.QUICK.items()):
            make(self.path("all", name))
            tars.append(trees.pack(self.path("all"), self.path(name + ".tar"), name))
            layers.append(packed_layer(tars[-1], ("gzip", "zstd", "plain")[number % 3]))
        with FakeRegistry() as registry:
            registry.repo("trees").add(Image(layers), "1")
            self.client.pull(f"{registry.host}/trees:1")
            self.assert_shows(f"{registry.host}/trees:1", *tars, root=False)

    def test_a_path_beyond_path_max(self):
        """By a symlink that is as long as a path may be, which tar itself follows too."""
        long = "/".join(["d" * 254] * 15)
        tar = erofs.Tar(self.path("t")).directory(long).symlink("s", long)
        tar.add("s/" + "/".join(["e" * 254] * 14) + "/file", data=b"far away")
        got = self.imported(tar.done())
        self.assertIn(b"/".join([b"d" * 254] * 15 + [b"e" * 254] * 14 + [b"file"]), got)
        self.assertGreater(max(map(len, got)), 7000)

    def imported(self, tar):
        self.imaged.ctl("import", tar, "one:1")
        return self.assert_shows("one:1", tar, implied=True)
