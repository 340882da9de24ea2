"""Images that were made from others step by step, as docker's classic builder made them: an
archive tells which is whose parent."""

import json

from archives import docker_files, load
from harness import TestCase
from ociimage import Image, Layer, tar, to_json

BASE = Layer(tar({"etc/": None, "etc/base": b"base"}))
WHEN = "2024-01-02T03:04:05Z"


def step(text, empty=True):
    return {"created": WHEN, "created_by": text, **({"empty_layer": True} if empty else {})}


def chain(*texts, layers=(BASE,)):
    """The image of a base layer, and one more for each step: the base first."""
    images = []
    for n in range(len(texts) + 1):
        history = [step("ADD base in /", False)] + [step(text) for text in texts[:n]]
        labels = {text: "1" for text in texts[:n]}
        images.append(Image(list(layers), config={"history": history, "config": {"Labels": labels}, "created": WHEN}))
    return images


def archive(images, names, parents=True):
    """docker's, with `Parent`: of each image the one before it. Names by place."""
    files = docker_files(*((image, *names.get(n, ())) for n, image in enumerate(images)))
    entries = json.loads(files["manifest.json"])
    for n in range(1, len(entries)):
        if parents:
            entries[n]["Parent"] = images[n - 1].id
    files["manifest.json"] = to_json(entries)
    return tar(files)


class ImageParents(TestCase):
    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.client = self.imaged.client()
        # base:1 <- (no name) <- made:1 <- made:2
        self.images = chain("LABEL x", "LABEL y", "LABEL z")
        self.base, self.middle, self.first, self.second = self.images
        load(self.client, archive(self.images, {0: ["base:1"], 2: ["made:1"], 3: ["made:2"]}))

    def listed(self, *args):
        said = self.imaged.ctl("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}", *args).stdout
        return sorted(line.replace("<none>:<none>", "-") for line in said.splitlines())

    def rows(self, *pairs):
        return sorted(f"{image.id} {name}" for image, name in pairs)

    def remove(self, *args):
        done = self.imaged.ctl("rmi", *args, check=False)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    def conflict(self, image):
        return (f"Error response from daemon: conflict: unable to delete {image.id[7:19]} (cannot be forced) - "
                "image has dependent child images")  # fmt: skip

    def test_what_has_no_name_and_was_built_upon_is_listed_on_request(self):
        named = self.rows((self.base, "base:1"), (self.first, "made:1"), (self.second, "made:2"))
        self.assertEqual(named, self.listed())
        self.assertEqual(sorted(named + [f"{self.middle.id} -"]), self.listed("-a"))
        self.assertEqual([], self.listed("-a", "-f", "dangling=true"))
        self.assertEqual(named, self.listed("-a", "-f", "reference=*"))
        usage = self.client.GetDiskUsage(per_image=True)
        self.assertEqual((3, 3), (usage.image_count, len(usage.images)))
        self.assertNotIn("<none>", self.imaged.ctl("system", "df", "-v").stdout)

    def test_history_and_inspect_tell_the_parents(self):
        said = self.imaged.ctl("history", "-q", "--no-trunc", "made:2").stdout.split()
        self.assertEqual([image.id for image in reversed(self.images)], said)
        self.assertEqual(self.first.id + "\n", self.imaged.ctl("inspect", "-f", "{{.Parent}}", "made:2").stdout)
        self.assertEqual("\n", self.imaged.ctl("inspect", "-f", "{{.Parent}}", "base:1").stdout)

    def test_a_parent_loses_its_name_and_stays(self):
        self.assertEqual((0, ["Untagged: made:1"], []), self.remove("made:1"))
        self.assertEqual(self.rows((self.base, "base:1"), (self.second, "made:2")), self.listed())
        self.assertEqual(4, len(self.listed("-a")))

    def test_a_parent_cannot_be_removed_by_its_id(self):
        for args in ((self.first.id,), ("-f", self.first.id[7:19]), (self.middle.id,), ("--dry-run", self.first.id)):
            image = self.middle if args[-1] == self.middle.id else self.first
            self.assertEqual((1, [], [self.conflict(image)]), self.remove(*args))
        self.imaged.ctl("tag", "made:1", "other:1")
        self.assertEqual((1, [], [self.conflict(self.first)]), self.remove(self.first.id))
        self.assertEqual(5, len(self.listed("-a")))

    def test_parents_without_a_name_go_with_the_last_child(self):
        self.remove("made:1")
        gone = ["Untagged: made:2"] + [f"Deleted: {image.id}" for image in (self.second, self.first, self.middle)]
        self.assertEqual((0, gone, []), self.remove("made:2"))
        self.assertEqual(self.rows((self.base, "base:1")), self.listed("-a"))
        self.assert_clean(self.client, ["docker.io/library/base:1"])

    def test_the_layers_go_with_the_last_of_them(self):
        self.imaged.ctl("rmi", "base:1", "made:1")
        planned = self.client.RemoveImage(image="made:2", dry_run=True)
        done = self.client.RemoveImage(image="made:2")
        self.assertEqual(planned.items, done.items)
        self.assertEqual(planned.freed_bytes, done.freed_bytes)
        self.assertEqual([image.id for image in reversed(self.images)] + [BASE.diff_id], [item.value for item in done.items if item.kind != 1])
        usage = self.client.GetDiskUsage()
        self.assertEqual((0, 0), (usage.blob_count, usage.layer_image_count))

    def test_no_prune_keeps_them(self):
        self.remove("made:1")
        self.assertEqual((0, ["Untagged: made:2", f"Deleted: {self.second.id}"], []), self.remove("--no-prune", "made:2"))
        self.assertEqual(self.rows((self.base, "base:1"), (self.first, "-")), self.listed())
        self.assertEqual(self.rows((self.first, "-")), self.listed("-f", "dangling=true"))
        self.assertEqual((0, [f"Deleted: {self.first.id}", f"Deleted: {self.middle.id}"], []), self.remove(self.first.id))

    def test_a_second_child_keeps_the_parent(self):
        other = chain("LABEL x", "LABEL other")[2]
        load(self.client, archive([self.images[1], other], {1: ["other:1"]}))
        self.imaged.ctl("rmi", "made:1", "made:2")
        self.assertEqual(self.rows((self.base, "base:1"), (self.middle, "-"), (other, "other:1")), self.listed("-a"))
        self.assertEqual((0, ["Untagged: other:1", f"Deleted: {other.id}", f"Deleted: {self.middle.id}"], []), self.remove("other:1"))

    def test_a_named_parent_stays(self):
        self.remove("made:1")
        self.imaged.ctl("tag", self.middle.id, "held:1")
        self.assertEqual((0, ["Untagged: made:2", f"Deleted: {self.second.id}", f"Deleted: {self.first.id}"], []), self.remove("made:2"))
        self.assertEqual(self.rows((self.base, "base:1"), (self.middle, "held:1")), self.listed("-a"))

    def test_prune_takes_no_parents_and_those_of_what_it_takes(self):
        self.assertEqual([], list(self.client.PruneImages().items))
        self.remove("made:1")
        self.client.RemoveImage(image="made:2", keep_parents=True)
        said = self.imaged.ctl("image", "prune", "-f").stdout.splitlines()
        self.assertEqual(["Deleted Images:", f"deleted: {self.first.id}", f"deleted: {self.middle.id}", "", "Total reclaimed space: 0B"], said)

    def test_prune_of_all_takes_named_parents_too(self):
        planned = self.client.PruneImages(all=True, dry_run=True)
        done = self.client.PruneImages(all=True)
        self.assertEqual(sorted(item.value for item in planned.items), sorted(item.value for item in done.items))
        self.assertEqual(sorted(image.id for image in self.images), sorted(item.value for item in done.items if item.kind == 2))
        self.assertEqual(sorted(["base:1", "made:1", "made:2"]), sorted(item.value for item in done.items if item.kind == 1))
        self.assertEqual([], self.listed("-a"))

    def test_they_live_on(self):
        self.imaged.restart()
        self.client = self.imaged.client()
        self.assertEqual(self.first.id + "\n", self.imaged.ctl("inspect", "-f", "{{.Parent}}", "made:2").stdout)
        self.assert_clean(self.client)


class ArchivesOfParents(TestCase):
    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def parents(self):
        listed = self.client.ListImages(all=True).images
        return {image.id: self.client.InspectImage(image=image.id).parent for image in listed}

    def test_a_parent_that_the_archive_does_not_hold_is_none(self):
        base, child = chain("LABEL x")
        load(self.client, archive([base], {0: ["base:1"]}))
        files = docker_files((child, "made:1"))
        entries = json.loads(files["manifest.json"])
        entries[0]["Parent"] = base.id
        load(self.client, tar({**files, "manifest.json": to_json(entries)}))
        self.assertEqual({base.id: "", child.id: ""}, self.parents())

    def test_histories_must_agree(self):
        for images in ([chain("LABEL x")[0], chain("LABEL x", "LABEL y")[2]], [chain("LABEL a")[1], chain("LABEL x", "LABEL y")[2]], list(reversed(chain("LABEL x")))):
            text = f"image {images[0].id} is not a valid parent for {images[1].id}"
            self.assert_rpc_fails("FAILED_PRECONDITION", "INVALID_CONTENT", lambda data: load(self.client, data), archive(images, {1: ["a:1"]}), text=text)
        self.assertEqual({}, self.parents())

    def test_images_without_history_are_nobodys_parents(self):
        bare = [Image([BASE], config={"history": [], "author": author}) for author in "ab"]
        files = docker_files((bare[0], "a:1"), (bare[1], "b:1"))
        entries = json.loads(files["manifest.json"])
        entries[0]["Parent"], entries[1]["Parent"] = bare[1].id, bare[0].id
        load(self.client, tar({**files, "manifest.json": to_json(entries)}))
        self.assertEqual({bare[0].id: "", bare[1].id: ""}, self.parents())

    def test_a_parent_is_a_digest(self):
        base, child = chain("LABEL x")
        for wrong in ("no digest", 7, ["x"]):
            files = docker_files((base, "a:1"), (child, "b:1"))
            entries = json.loads(files["manifest.json"])
            entries[1]["Parent"] = wrong
            with self.assertRaisesRegex(Exception, "Parent"):
                load(self.client, tar({**files, "manifest.json": to_json(entries)}))
        entries[1]["Parent"] = None
        load(self.client, tar({**files, "manifest.json": to_json(entries)}))
        self.assertEqual({base.id: "", child.id: ""}, self.parents())


if __name__ == "__main__":
    import unittest

    unittest.main()
