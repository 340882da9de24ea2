"""GetDiskUsage with on_disk, and `image du`: whose the bytes on the disk are. The truth are the
files below the daemon's root, and which of them each image names."""

import json
import os

from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import Image, Index, Layer, random_bytes, tar

ARM = {"os": "linux", "architecture": "arm64"}
AMD = {"os": "linux", "architecture": "amd64"}


def layer(seed, size=50_000, how="gzip"):
    return Layer(tar({f"f{seed}": random_bytes(size, seed)}), how)


def files_below(directory):
    """{digest: bytes} of content or of layers' images."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            digest = "sha256:" + name.partition(".")[0]
            found[digest] = found.get(digest, 0) + os.path.getsize(os.path.join(folder, name))
    return found


class Usage(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.imaged = self.daemon()
        self.client = self.imaged.client()
        self.owned = {}  # image ID → (digests of content, diff IDs), as we made it

    def add(self, name, manifest, image=None):
        """Pulled; `image`: the one of an index that is ours."""
        repository, _, tag = name.partition(":")
        self.registry.repo(repository).add(manifest, tag)
        self.client.pull(f"{self.registry.host}/{name}")
        image = image or manifest
        content, diffs = self.owned.setdefault(image.id, (set(), set()))
        content |= {manifest.digest, image.digest, image.id, *(one.blob.digest for one in image.layers)}
        diffs |= {one.diff_id for one in image.layers}
        return f"{self.registry.host}/{name}"

    def usage(self, **fields):
        """(first answer, {ID: ImageUsage} of all pages)"""
        first = page = self.client.GetDiskUsage(per_image=True, on_disk=True, **fields)
        images = list(page.images)
        while page.next_page_token:
            page = self.client.GetDiskUsage(per_image=True, on_disk=True, page_token=page.next_page_token, **fields)
            images += page.images
        return first, {one.image.id: one for one in images}

    def assert_true(self, none=0):
        """Every byte of the disk is told of, and of whom it is."""
        total, images = self.usage()
        content = files_below(os.path.join(self.imaged.root, "content"))
        layers = files_below(os.path.join(self.imaged.root, "layers"))
        self.assertEqual(set(self.owned), set(images))
        for files, which, owners in ((content, 0, total.content_owners), (layers, 1, total.layer_image_owners)):
            counts = {d: sum(d in owned[which] for owned in self.owned.values()) for d in files}
            told = (owners.one_image, owners.several_images, owners.no_image)
            self.assertEqual(told, tuple(sum(size for d, size in files.items() if min(counts[d], 2) == n) for n in (1, 2, 0)))
            for image, usage in images.items():
                mine = (usage.content_unique, usage.content_shared) if which == 0 else (usage.layer_image_unique, usage.layer_image_shared)
                owned = {d for d in self.owned[image][which] if d in files}
                self.assertEqual(tuple(sum(files[d] for d in owned if (counts[d] > 1) == several) for several in (False, True)), mine)
        self.assertEqual(sum(content.values()), total.content_bytes)
        self.assertEqual(sum(layers.values()), total.layer_image_bytes)
        unique = sum(one.content_unique + one.layer_image_unique for one in images.values())
        self.assertEqual(unique, total.content_owners.one_image + total.layer_image_owners.one_image)
        return total, images

    def test_images_that_share(self):
        base, second = layer(1), layer(2)
        for n in range(3):
            self.add(f"r{n}:1", Image([base, *([second] if n < 2 else []), layer(10 + n)]))
        _, images = self.assert_true()
        self.assertEqual(3, len(images))
        self.assertTrue(all(one.content_shared and one.layer_image_shared for one in images.values()))

    def test_nothing_at_all(self):
        self.assert_true()
        self.assertEqual("Of one image       0B\n", self.imaged.ctl("image", "du", "-s").stdout.splitlines(True)[0])

    def test_an_index_with_an_image_for_each_of_two_platforms(self):
        """It is of both, as long as both have a name through it."""
        amd, arm = Image([layer(1), layer(2)], platform=AMD), Image([layer(1), layer(3)], platform=ARM)
        index = Index([(amd, AMD), (arm, ARM)])
        name = self.add("i:1", index, amd)
        self.assert_true()
        self.imaged.ctl("tag", name, "kept:1")
        self.client.pull(name, platform="linux/arm64")
        self.owned[arm.id] = ({index.digest, arm.digest, arm.id, *(one.blob.digest for one in arm.layers)}, {one.diff_id for one in arm.layers})
        self.assert_true()

    def test_one_layer_in_several_compressions(self):
        """Blobs are told apart, the image of the layer is of all."""
        data = tar({"f": random_bytes(70_000, 7)})
        for how in ("gzip", "zstd"):
            self.add(f"{how}:1", Image([Layer(data, how)], config={"author": how}))
        self.assert_true()

    def test_two_manifests_of_one_image(self):
        data = tar({"f": random_bytes(70_000, 7)})
        for how in ("gzip", "zstd"):
            self.add(f"{how}:1", Image([Layer(data, how)]))
        self.assertEqual(1, len(self.assert_true()[1]))

    def test_names_do_not_count(self):
        name = self.add("a:1", Image([layer(1)]))
        for n in range(5):
            self.imaged.ctl("tag", name, f"other:{n}")
        self.assert_true()

    def test_what_is_unique_is_what_a_removal_frees(self):
        base = layer(1)
        names = [self.add(f"r{n}:1", Image([base, layer(10 + n)])) for n in range(2)]
        usage = self.usage()[1][self.client.InspectImage(image=names[0]).image.id]
        answer = self.client.RemoveImage(image=names[0], force=True)
        self.assertEqual(usage.content_unique + usage.layer_image_unique, answer.freed_bytes)

    def test_of_no_image_is_what_an_interrupted_pull_left(self):
        """Its configuration has come, its layer has not."""
        self.add("a:1", Image([layer(1)]))
        image = Image([layer(2)])
        self.registry.repo("b").add(image, "1")
        self.registry.fault("GET", "/blobs/" + image.layers[0].blob.digest, status=403)
        self.imaged.ctl("pull", f"{self.registry.host}/b:1", check=False)
        self.assert_true()

    def test_totals_are_asked_for(self):
        """They look at every file: who does not want them does not wait for them."""
        self.add("a:1", Image([layer(1)]))
        self.assertFalse(self.client.GetDiskUsage(per_image=True).HasField("content_owners"))
        total, images = self.usage(page_size=1)
        self.assertEqual(1, len(images))
        self.assertTrue(total.HasField("content_owners"))

    def test_imagectl_says_so(self):
        base = layer(1, 1_000_000)
        for n in range(2):
            self.add(f"r{n}:1", Image([base, layer(10 + n, 200_000)], config={"created": f"202{n}-01-01T00:00:00Z"}))
        total, images = self.assert_true()
        said = self.imaged.ctl("image", "du").stdout
        table, _, totals = said.partition("\n\n")
        self.assertEqual("IMAGE IMAGE_ID ON_DISK UNIQUE SHARED".split(), table.splitlines()[0].replace("E ID", "E_ID").replace("N D", "N_D").split())
        self.assertEqual([f"{self.registry.host}/r1:1", f"{self.registry.host}/r0:1"], [line.split()[0] for line in table.splitlines()[1:]])
        self.assertEqual(["Of one image", "Of several images", "Of no image", "Together", "Unfinished", "Metadata"],
                         [line[:18].rstrip() for line in totals.splitlines()])
        rows = [json.loads(line) for line in self.imaged.ctl("image", "du", "--no-trunc", "--format", "json").stdout.splitlines()]
        for row in rows:
            usage = images[row["ID"]]
            self.assertEqual((usage.content_unique + usage.layer_image_unique, usage.content_shared + usage.layer_image_shared),
                             (row["UniqueBytes"], row["SharedBytes"]))
        sums = json.loads(self.imaged.ctl("image", "du", "-s", "--format", "json").stdout)
        self.assertEqual(total.content_bytes + total.layer_image_bytes, sums["Together"])
        self.assertEqual(sum(row["UniqueBytes"] for row in rows), sums["OneImage"])
        self.assertEqual(sums["Together"], sums["OneImage"] + sums["SeveralImages"] + sums["NoImage"])
