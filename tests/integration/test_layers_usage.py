"""What the images of layers mean to the other calls: whether they are made, what is told of
them, what they take, and what becomes of damaged ones."""

import json
import os
import threading

import erofs
from archives import docker_files, import_requests, load
from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import Image, Layer, random_bytes, tar

MIB = 1 << 20


def image_files(root):
    """{diff ID: path} of all images of layers in a store."""
    found = {}
    for folder, _, names in os.walk(os.path.join(root, "layers")):
        for name in names:
            found["sha256:" + name.partition(".")[0]] = os.path.join(folder, name)
    return found


def layer(seed, size=100_000, how="gzip"):
    return Layer(tar({f"f{seed}": random_bytes(size, seed)}), how)


class LayersCase(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.imaged = self.daemon(*self.flags())
        self.client = self.imaged.client()

    def flags(self):
        return ()

    def files(self):
        return image_files(self.imaged.root)

    def add(self, name, *layers, **fields):
        """An image of the registry; its reference."""
        repository, _, tag = name.partition(":")
        self.registry.repo(repository).add(Image(list(layers), **fields), tag)
        return f"{self.registry.host}/{name}"


class NoLayers(LayersCase):
    def test_a_pull_makes_none_when_it_is_told_so(self):
        one, two = layer(1), layer(2)
        reference = self.add("a:1", one, two)
        self.imaged.ctl("pull", "--no-layers", reference)
        self.assertEqual({}, self.files())
        self.assert_clean(self.client, [reference])
        done, _ = self.client.pull(reference, no_layers=True)
        self.assertTrue(done.up_to_date)
        self.assertEqual({}, self.files())

    def test_another_pull_of_the_same_layers_makes_them(self):
        one, two, three = layer(1), layer(2), layer(3)
        self.client.pull(self.add("a:1", one, two), no_layers=True)
        self.client.pull(self.add("a:2", one, two, three))
        self.assertEqual({one.diff_id, two.diff_id, three.diff_id}, set(self.files()))

    def test_two_pulls_at_once_of_which_one_wants_none(self):
        """Whichever comes first, one of them wants the image, so that it is made."""
        for first_wants in (False, True):
            with self.subTest(first_wants=first_wants):
                shared, gate = layer(10 + first_wants, 3 * MIB), threading.Event()
                self.addCleanup(gate.set)
                name = "wants" if first_wants else "wants-none"
                first, second = self.add(f"{name}:1", shared), self.add(f"{name}:2", shared)
                self.registry.fault("GET", "/blobs/" + shared.blob.digest, times=1, cut=2 * MIB, gate=gate)
                call = self.client.Pull(reference=first, no_layers=not first_wants)
                for event in call:
                    if event.WhichOneof("event") == "layer" and event.layer.current >= MIB:
                        break
                other = self.client.Pull(reference=second, no_layers=first_wants)
                next(iter(other))  # it is resolved, and joins or waits
                gate.set()
                list(call), list(other)
                self.assertEqual([shared.diff_id], list(self.files()))
                self.client.PruneImages(all=True)


class NoLayersAtAll(LayersCase):
    def flags(self):
        return ("--no-layers",)

    def test_neither_pull_nor_load_nor_import_makes_any(self):
        self.client.pull(self.add("a:1", layer(1), layer(2)))
        load(self.client, tar(docker_files((Image([layer(3), layer(4, how="plain")]), "x:1"))))
        list(self.client.Import(import_requests(tar({"f": b"imported"}), reference="imp:1")))
        self.assertEqual({}, self.files())
        self.assertEqual(3, len(self.client.images()))
        self.assert_clean(self.client)

    def test_info_tells_it(self):
        self.assertTrue(self.client.GetInfo().no_layers)
        self.assertRegex(self.imaged.ctl("info").stdout, r"\n Images of Layers: made by the first mount only\n")
        self.assertEqual("true\n", self.imaged.ctl("info", "-f", "{{.NoLayers}}").stdout)

    def test_the_file_of_the_configuration_says_it_too(self):
        with open(self.path("imaged.toml"), "w", encoding="ascii") as file:
            file.write("no-layers = true\n")
        other = self.daemon("--config", self.path("imaged.toml"), name="other")
        self.assertTrue(other.client().GetInfo().no_layers)


if __name__ == "__main__":
    import unittest

    unittest.main()
