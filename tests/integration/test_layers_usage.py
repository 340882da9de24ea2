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


class Told(LayersCase):
    def inspect(self, reference):
        return self.client.InspectImage(image=reference)

    def test_inspect_tells_the_file_of_each_layer(self):
        layers = [layer(n, 50_000 * n) for n in (1, 2, 3)]
        reference = self.add("a:1", *layers)
        self.client.pull(reference)
        files = self.files()
        for told, made in zip(self.inspect(reference).layers, layers, strict=True):
            self.assertEqual(made.diff_id, told.diff_id)
            path = os.path.join(self.imaged.root, told.image_file)
            self.assertEqual(files[made.diff_id], path)
            self.assertEqual(os.stat(path).st_size, told.image_size)

    def test_inspect_tells_of_no_file_where_there_is_none(self):
        reference = self.add("a:1", layer(1))
        self.client.pull(reference, no_layers=True)
        [told] = self.inspect(reference).layers
        self.assertEqual(("", 0), (told.image_file, told.image_size))
        driver = json.loads(self.imaged.ctl("inspect", reference).stdout)[0]["GraphDriver"]
        self.assertEqual({"Data": None, "Name": "erofs"}, driver)

    def test_inspect_counts_the_images_that_share_a_layer(self):
        base, second, other = layer(1), layer(2), layer(3)
        names = [self.add("a:1", base, second), self.add("a:2", base, second, other), self.add("a:3", base, other),
                 self.add("a:4", other, base)]
        for name in names:
            self.client.pull(name)
        self.assertEqual([3, 2], [told.images for told in self.inspect(names[0]).layers])
        self.assertEqual([3, 2, 1], [told.images for told in self.inspect(names[1]).layers])
        self.assertEqual([3, 1], [told.images for told in self.inspect(names[2]).layers])
        self.assertEqual([1, 1], [told.images for told in self.inspect(names[3]).layers])
        self.client.RemoveImage(image=names[1])
        self.assertEqual([2, 1], [told.images for told in self.inspect(names[0]).layers])

    def test_several_manifests_of_one_image_are_one(self):
        data = tar({"f": random_bytes(1000, 1)})
        zipped, packed = Image([Layer(data, "gzip")]), Image([Layer(data, "zstd")])
        self.registry.repo("a").add(zipped, "1")
        self.registry.repo("a").add(packed, "2")
        for tag in "12":
            self.client.pull(f"{self.registry.host}/a:{tag}")
        self.assertEqual(1, len(self.client.images()))
        [told] = self.inspect(f"{self.registry.host}/a:1").layers
        self.assertEqual(1, told.images)

    def test_the_graph_driver_has_the_files_as_an_overlay_takes_them(self):
        layers = [layer(n) for n in (1, 2, 3)]
        reference = self.add("a:1", *layers)
        self.client.pull(reference)
        files = self.files()
        low, middle, top = (files[made.diff_id] for made in layers)
        said = json.loads(self.imaged.ctl("image", "inspect", reference).stdout)[0]["GraphDriver"]
        self.assertEqual({"Data": {"LowerDir": f"{middle}:{low}", "UpperDir": top}, "Name": "erofs"}, said)
        for template, wanted in (
            ("{{.GraphDriver.Name}}", "erofs"),
            ("{{.GraphDriver.Data.UpperDir}}", top),
            ('{{index .GraphDriver.Data "LowerDir"}}', f"{middle}:{low}"),
            ("{{.Id}} {{.GraphDriver.Data.UpperDir}}", f"{self.client.images()[0].id} {top}"),
        ):
            self.assertEqual(wanted + "\n", self.imaged.ctl("inspect", "-f", template, reference).stdout)

    def test_an_image_of_one_layer_has_no_lower_directory(self):
        reference = self.add("a:1", layer(1))
        self.client.pull(reference)
        [file] = self.files().values()
        said = self.imaged.ctl("inspect", "-f", "{{json .GraphDriver}}", reference, reference).stdout
        self.assertEqual([{"Data": {"UpperDir": file}, "Name": "erofs"}] * 2, [json.loads(t) for t in said.split()])

    def test_an_image_without_layers_has_no_data(self):
        self.client.pull(self.add("a:1"))
        said = self.imaged.ctl("inspect", "-f", "{{json .GraphDriver}}", f"{self.registry.host}/a:1").stdout
        self.assertEqual('{"Data":null,"Name":"erofs"}\n', said)


class Usage(LayersCase):
    def assert_usage_is_true(self):
        usage = self.client.GetDiskUsage()
        sizes = [os.stat(path).st_size for path in self.files().values()]
        self.assertEqual((sum(sizes), len(sizes)), (usage.layer_image_bytes, usage.layer_image_count))
        return usage

    def test_images_of_layers_are_counted_apart_from_content(self):
        before = self.assert_usage_is_true()
        self.assertEqual(0, before.layer_image_count)
        shared = layer(1, MIB)
        self.client.pull(self.add("a:1", shared, layer(2)))
        one = self.assert_usage_is_true()
        self.client.pull(self.add("a:2", shared, layer(3)))
        two = self.assert_usage_is_true()
        self.assertEqual((2, 3), (one.layer_image_count, two.layer_image_count))
        contents = sum(os.stat(os.path.join(folder, name)).st_size
                       for folder, _, names in os.walk(os.path.join(self.imaged.root, "content")) for name in names)
        self.assertEqual(contents, two.content_bytes)
        self.client.PruneImages(all=True)
        self.assertEqual(0, self.assert_usage_is_true().layer_image_count)

    def test_df_shows_them_below_what_docker_shows(self):
        self.client.pull(self.add("a:1", layer(1, MIB), layer(2)))
        usage = self.client.GetDiskUsage()
        said = self.imaged.ctl("system", "df", "-v").stdout
        dockers, _, ours = said.partition("\nStore usage: ")
        self.assertTrue(dockers.endswith("USAGE     SHARED\n"), dockers)
        self.assertRegex(ours, r"^0B unfinished, [0-9.]+[kM]?B metadata\n\nTYPE +FILES +SIZE\n"
                               rf"Content +{usage.blob_count} +1.15MB\nLayer Images +2 +1.1[0-9]*MB\n$")
        self.assertEqual(5, self.imaged.ctl("system", "df").stdout.count("\n"))

    def test_what_a_removal_frees_is_both(self):
        """In a dry run, in the answer, and on the disk."""
        def taken():
            usage = self.client.GetDiskUsage()
            return usage.content_bytes + usage.layer_image_bytes

        base = layer(1, MIB)
        first, second = self.add("a:1", base, layer(2)), self.add("a:2", base, layer(3))
        for name in (first, second):
            self.client.pull(name)
        for remove in (lambda **f: self.client.RemoveImage(image=first, **f), lambda **f: self.client.PruneImages(all=True, **f)):
            before = taken()
            planned = remove(dry_run=True).freed_bytes
            self.assertEqual(before, taken())
            freed = remove().freed_bytes
            self.assertEqual((before - taken(), freed), (freed, planned))
        self.assertEqual(0, taken())


if __name__ == "__main__":
    import unittest

    unittest.main()
