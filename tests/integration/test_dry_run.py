"""What rmi and prune would do: the same lines, and the same bytes, as the real run right after."""

import json
import os

from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import Image, Index, Layer, random_bytes, tar

ARM = {"os": "linux", "architecture": "arm64"}
AMD = {"os": "linux", "architecture": "amd64"}


def layer(seed, size=50_000, how="gzip"):
    return Layer(tar({f"f{seed}": random_bytes(size, seed)}), how)


def on_disk(root):
    """Bytes of content and of layers' images."""
    found = 0
    for directory in ("content", "layers"):
        for folder, _, names in os.walk(os.path.join(root, directory)):
            found += sum(os.path.getsize(os.path.join(folder, name)) for name in names)
    return found


class DryRun(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def add(self, name, manifest):
        repository, _, tag = name.partition(":")
        self.registry.repo(repository).add(manifest, tag)
        reference = f"{self.registry.host}/{name}"
        self.client.pull(reference)
        return reference

    def three(self):
        """Images that share: all a base, two of them another layer."""
        base, second = layer(1), layer(2)
        return [self.add(f"r{n}:1", Image([base, *([second] if n < 2 else []), layer(10 + n)])) for n in range(3)]

    def assert_same(self, *command, status=0):
        """The dry run says what the run does, and changes nothing; what it said."""
        before = on_disk(self.imaged.root)
        plan = json.loads(self.imaged.ctl(*command, "--dry-run", "--format", "json", check=status == 0).stdout)
        text = self.imaged.ctl(*command, "--dry-run", check=status == 0)
        self.assertEqual(before, on_disk(self.imaged.root))
        done = self.imaged.ctl(*command, "--format", "json", check=status == 0)
        self.assertEqual((status, status), (text.returncode, done.returncode))
        self.assertEqual(text.stderr, done.stderr)
        did = json.loads(done.stdout)
        self.assertEqual((True, False), (plan.pop("DryRun"), did.pop("DryRun")))
        self.assertEqual(plan, did)
        self.assertEqual(before - on_disk(self.imaged.root), did["Freed"])
        self.assertEqual(did["Reclaimed"], sum(item["Size"] for item in did["Removed"]))
        for item in did["Removed"]:
            self.assertIn(f"ntagged: {item['Object']}\n" if item["Action"] == "untagged" else f"eleted: {item['Object']}\n", text.stdout)
        findings, _ = self.client.check()
        self.assertEqual([], list(findings))
        return did, text.stdout

    def test_of_one_image_its_own_layers(self):
        names = self.three()
        did, said = self.assert_same("rmi", names[0])
        self.assertEqual(1, sum(item["Size"] > 0 for item in did["Removed"]))
        self.assertRegex(said, r"\n\nTotal space that would be reclaimed: 50kB, on the disk [0-9.]+kB\n$")

    def test_layers_that_several_share_go_with_the_last_of_them(self):
        names = self.three()
        did, _ = self.assert_same("rmi", names[1], names[0])
        self.assertEqual(3, sum(item["Size"] > 0 for item in did["Removed"]))
        self.assertEqual(150_000, did["Reclaimed"])

    def test_all_of_them(self):
        did, _ = self.assert_same("rmi", *self.three())
        self.assertEqual(250_000, did["Reclaimed"])
        self.assertEqual(0, on_disk(self.imaged.root))

    def test_names_of_one_image_one_after_the_other(self):
        """The last name takes the image, whichever it is."""
        name = self.add("a:1", Image([layer(1)]))
        for other in ("x:1", "x:2", "y:1"):
            self.imaged.ctl("tag", name, other)
        did, _ = self.assert_same("rmi", name, "x:2")
        self.assertEqual(0, did["Freed"])
        did, _ = self.assert_same("rmi", "x:1", "y:1")
        self.assertEqual(["x:1", "y:1"], [item["Object"] for item in did["Removed"]][:2])
        self.assertEqual(0, on_disk(self.imaged.root))

    def test_what_is_named_twice_is_there_once(self):
        """Also by its ID, of which nothing is left then."""
        name = self.add("a:1", Image([layer(1)]))
        image = self.client.images()[0].id
        did, _ = self.assert_same("rmi", name, name, image[7:19], status=1)
        self.assertEqual(50_000, did["Reclaimed"])

    def test_one_that_cannot_go_does_not_hold_up_the_others(self):
        names = self.three()
        self.imaged.ctl("tag", names[0], "other:1")
        image = self.client.InspectImage(image=names[0]).image.id
        did, _ = self.assert_same("rmi", "nosuch", image[7:19], names[1], "Upper/case", status=1)
        self.assertEqual(50_000, did["Reclaimed"])

    def test_after_its_other_names_an_id_is_no_conflict(self):
        """The real run sees the names that the one before left."""
        name = self.add("a:1", Image([layer(1)]))
        self.imaged.ctl("tag", name, "b:1")
        image = self.client.InspectImage(image=name).image.id
        self.assert_same("rmi", "b:1", image[7:19])
        self.assertEqual([], self.client.images())

    def test_an_index_goes_with_its_last_name(self):
        index = Index([(Image([layer(1)], platform=AMD), AMD), (Image([layer(2)], platform=ARM), ARM)])
        name = self.add("i:1", index)
        self.imaged.ctl("tag", name, "j:1")
        self.assert_same("rmi", name)
        self.assert_same("rmi", "j:1")
        self.assertEqual(0, on_disk(self.imaged.root))

    def test_the_same_layer_in_two_compressions(self):
        """Its image for mounts goes with the second blob, and is counted once."""
        data = tar({"f": random_bytes(70_000, 7)})
        names = [self.add(f"c{n}:1", Image([Layer(data, how)])) for n, how in enumerate(("gzip", "zstd", "plain"))]
        self.assert_same("rmi", names[0])
        self.assert_same("rmi", names[2], names[1])
        self.assertEqual(0, on_disk(self.imaged.root))

    def test_force_ignores_what_is_not_there(self):
        name = self.add("a:1", Image([layer(1)]))
        self.assert_same("rmi", "-f", "nosuch", name)

    def test_prune_takes_what_has_no_name(self):
        base = layer(1)
        for n in range(3):
            self.add("a:1", Image([base, layer(2), layer(10 + n)]))
        kept = self.add("b:1", Image([base]))
        did, said = self.assert_same("image", "prune", "-f")
        self.assertEqual(2, sum(item["Size"] > 0 for item in did["Removed"]))
        self.assertTrue(said.startswith("Images that would be deleted:\n"), said)
        self.assertIn("Total space that would be reclaimed: 100kB, on the disk", said)
        self.assert_same("image", "prune", "-af", "--filter", "until=1s")
        self.assertEqual([], self.client.images())
        self.assertTrue(kept)

    def test_prune_of_all_and_of_what_nobody_uses(self):
        self.three()
        did, _ = self.assert_same("image", "prune", "-af")
        self.assertEqual(250_000, did["Reclaimed"])
        self.assertEqual(0, on_disk(self.imaged.root))
        did, said = self.assert_same("image", "prune", "-af")
        self.assertEqual(([], 0), (did["Removed"], did["Freed"]))
        self.assertEqual("Total space that would be reclaimed: 0B, on the disk 0B\n", said)

    def test_prune_asks_nothing(self):
        """It does nothing that would have to be confirmed."""
        self.three()
        said = self.imaged.ctl("image", "prune", "-a", "--dry-run").stdout
        self.assertNotIn("WARNING", said)
        self.assertEqual(3, len(self.client.images()))

    def test_a_template_of_what_went(self):
        self.three()
        said = self.imaged.ctl("image", "prune", "-a", "--dry-run", "--format", "{{len .Removed}} {{.Reclaimed}} {{.DryRun}}").stdout
        self.assertEqual("14 250000 true\n", said)

    def test_a_template_that_is_none_removes_nothing(self):
        names = self.three()
        for command in (("image", "prune", "-af"), ("rmi", names[0])):
            failed = self.imaged.ctl(*command, "--format", "{{", check=False)
            self.assertEqual((64, ""), (failed.returncode, failed.stdout))
            self.assertIn("template parsing error", failed.stderr)
        self.assertEqual(3, len(self.client.images()))

    def test_several_images_are_for_dry_runs_only(self):
        names = self.three()
        self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_ARGUMENT", self.client.RemoveImage, image=names[0], then=names[1:])
        self.assertEqual(3, len(self.client.images()))
