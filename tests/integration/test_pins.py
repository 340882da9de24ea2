"""Images that are pinned: by name, glob and label, as the image of sandboxes, and by hand. Prune passes
them over, a removal takes them by force only, and CRI, lists and inspect tell it."""

import json

from criclient import Cri
from fakeregistry import FakeRegistry
from harness import Daemon, TestCase
from ociimage import Image, Layer, tar


def image(name, labels=None):
    config = {"Cmd": ["sh"]} if labels is None else {"Cmd": ["sh"], "Labels": labels}
    return Image([Layer(tar({name: name.encode()}))], config={"config": config})


class Pins(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)

    def begin(self, *flags):
        self.imaged = self.daemon(*flags)
        self.client = self.imaged.client()

    def add(self, name, labels=None):
        repository, _, tag = name.partition(":")
        made = self.registry.repo(repository).add(image(name, labels), tag)
        self.client.pull(f"{self.registry.host}/{name}")
        return made

    def refused(self, *flags):
        """What a daemon says that does not start with these."""
        daemon = Daemon(self.path("refused"), *flags, ready=False)
        self.assertNotEqual(0, daemon.wait(20))
        return daemon.log

    def name(self, name):
        return f"{self.registry.host}/{name}"

    def short(self, tag):
        return tag.removeprefix(self.registry.host + "/")

    def pinned(self):
        return {self.short(tag): one.pinned_by for one in self.client.ListImages().images for tag in one.repo_tags if one.pinned_by}

    def left(self):
        return sorted(self.short(tag) for one in self.client.ListImages().images for tag in one.repo_tags)

    def assert_refused(self, text, why, **fields):
        for dry_run in (True, False):
            error = self.assert_rpc_fails("FAILED_PRECONDITION", "CONFLICT", self.client.RemoveImage, image=text, dry_run=dry_run, text=why, **fields)
            self.assertIn("use --force", error.details())


class ByRule(Pins):
    def test_a_reference_a_glob_a_label_and_the_sandbox(self):
        host = self.registry.host
        self.begin(
            "--pin", f"{host}/exact", "--pin", f"{host}/team/*", "--pin", "*:v?-keep", "--pin-label", "keep", "--pin-label", "stage=base",
            "--sandbox-image", f"{host}/pause:3.9",
        )  # fmt: skip
        for name in ("exact:latest", "exact:other", "team/a:1", "team/sub/b:1", "x:v1-keep", "x:v12-keep", "pause:3.9", "pause:3.8"):
            self.add(name)
        self.add("labelled:1", {"keep": "0"})
        self.add("stage:1", {"stage": "base"})
        self.add("stage:2", {"stage": "end"})
        wanted = {
            "exact:latest": f"--pin {host}/exact:latest",
            "team/a:1": f"--pin {host}/team/*",
            "team/sub/b:1": f"--pin {host}/team/*",
            "x:v1-keep": "--pin *:v?-keep",
            "pause:3.9": f"--sandbox-image {host}/pause:3.9",
            "labelled:1": "--pin-label keep",
            "stage:1": "--pin-label stage=base",
        }
        self.assertEqual(wanted, self.pinned())
        self.assertEqual({"exact:other", "x:v12-keep", "pause:3.8", "stage:2"}, set(self.left()) - set(wanted))
        plan = self.client.PruneImages(all=True, dry_run=True)
        done = self.client.PruneImages(all=True)
        self.assertEqual(plan.freed_bytes, done.freed_bytes)
        self.assertEqual(list(plan.items), list(done.items))
        self.assertEqual(sorted(wanted), self.left())
        self.assertEqual(0, self.client.PruneImages(all=True, dry_run=True).freed_bytes)

    def test_names_are_compared_in_full_and_as_they_are_shown(self):
        self.begin("--pin", "busybox", "--pin", "docker.io/library/al*:3", "--pin", "debian:*")
        made = self.add("any:1")
        for name, kept in (("busybox:latest", True), ("busybox:1", False), ("alpine:3", True), ("alpine:4", False), ("debian:12", True), ("my/debian:12", False)):
            self.client.TagImage(source=made.id, target=name)
            self.assertEqual(kept, bool(self.client.InspectImage(image=made.id).image.pinned_by), name)
            self.client.RemoveImage(image=name, force=True)

    def test_a_glob_of_many_stars_ends_soon(self):
        """One that goes back for each of its stars would take years."""
        self.begin("--pin", "*a" * 40 + "b")
        self.add("a" * 120 + ":1")
        self.assertEqual({}, self.pinned())

    def test_what_is_no_rule_is_refused_at_the_start(self):
        for flags, said in (
            (("--pin", "Upper"), "--pin: 'Upper'"),
            (("--pin", "no such*"), "--pin: 'no such*' is neither a reference nor a glob"),
            (("--sandbox-image", "a*"), "--sandbox-image: 'a*'"),
            (("--pin-label", "=x"), "--pin-label: '=x' names no label"),
        ):
            self.assertIn(said, self.refused(*flags), flags)

    def test_the_name_that_pins_stays_and_others_go(self):
        self.begin("--pin", f"{self.registry.host}/kept:1")
        made = self.add("kept:1")
        self.client.TagImage(source=made.id, target="other:1")
        rule = f"pinned by --pin {self.registry.host}/kept:1"
        self.assert_refused(self.name("kept:1"), rule)
        self.client.RemoveImage(image="other:1")
        self.assert_refused(made.id, rule)
        self.assertEqual(["kept:1"], self.left())
        self.client.RemoveImage(image=self.name("kept:1"), force=True)
        self.assertEqual([], self.left())

    def test_the_keys_of_the_file(self):
        with open(self.path("imaged.toml"), "w", encoding="utf-8") as file:
            file.write(f'pin = ["{self.registry.host}/a:*"]\npin-label = ["k"]\nsandbox-image = "{self.registry.host}/pause:1"\n')
        self.begin("--config", self.path("imaged.toml"))
        for name in ("a:1", "b:1", "pause:1"):
            self.add(name)
        self.add("c:1", {"k": ""})
        self.assertEqual({"a:1", "pause:1", "c:1"}, set(self.pinned()))


class ByHand(Pins):
    def setUp(self):
        super().setUp()
        self.begin()

    def test_it_is_the_images_and_lasts(self):
        made = self.add("a:1")
        self.add("b:1")
        answer = self.client.PinImage(image=self.name("a:1"))
        self.assertEqual((made.id, "image pin"), (answer.image_id, answer.pinned_by))
        self.client.TagImage(source=made.id, target="moved:1")
        self.client.RemoveImage(image=self.name("a:1"))
        self.imaged.stop()
        self.imaged.start()
        self.client = self.imaged.client()
        self.assert_refused("moved:1", "pinned by image pin")
        self.client.PruneImages(all=True)
        self.assertEqual([made.id], [one.id for one in self.client.ListImages().images])
        self.assertEqual("", self.client.PinImage(image=made.id, unpin=True).pinned_by)
        self.client.RemoveImage(image="moved:1")
        self.assertEqual([], list(self.client.ListImages().images))

    def test_a_dangling_image_stays(self):
        made = self.add("a:1")
        self.client.PinImage(image=made.id)
        other = self.registry.repo("a").add(image("another"), "1")
        self.client.pull(self.name("a:1"))
        self.client.PruneImages()
        self.assertEqual({made.id, other.id}, {one.id for one in self.client.ListImages().images})

    def test_a_pull_again_keeps_it_and_removal_by_force_ends_it(self):
        made = self.add("a:1")
        self.client.PinImage(image=made.id)
        self.client.pull(self.name("a:1"))
        self.assertEqual({"a:1": "image pin"}, self.pinned())
        self.client.RemoveImage(image=made.id, force=True)
        self.client.pull(self.name("a:1"))
        self.assertEqual({}, self.pinned())

    def test_what_is_not_here_cannot_be_pinned(self):
        self.assert_rpc_fails("NOT_FOUND", "NO_SUCH_IMAGE", self.client.PinImage, image="nothing")

    def test_the_command(self):
        made = self.add("a:1")
        name = self.name("a:1")
        self.assertEqual(made.id + "\n", self.imaged.ctl("image", "pin", name).stdout)
        self.assertEqual("image pin\n", self.imaged.ctl("image", "inspect", "-f", "{{.PinnedBy}}", name).stdout)
        self.assertEqual("image pin", json.loads(self.imaged.ctl("inspect", name).stdout)[0]["PinnedBy"])
        self.assertIn("linux/amd64 (pinned)", self.imaged.ctl("images", "--tree").stdout)
        refused = self.imaged.ctl("rmi", name, check=False)
        self.assertEqual(1, refused.returncode)
        self.assertIn("image is pinned by image pin: use --force", refused.stderr)
        self.assertEqual("Total reclaimed space: 0B\n", self.imaged.ctl("image", "prune", "-a", "-f").stdout)
        self.imaged.ctl("image", "unpin", made.id)
        self.assertNotIn("PinnedBy", json.loads(self.imaged.ctl("inspect", name).stdout)[0])
        self.assertNotIn("pinned", self.imaged.ctl("images", "--tree").stdout)
        self.imaged.ctl("image", "pin", name)
        self.imaged.ctl("rmi", "--force", name)
        self.assertEqual([], self.left())
        missing = self.imaged.ctl("image", "pin", "nothing", check=False)
        self.assertEqual((1, "Error response from daemon: No such image: nothing:latest\n"), (missing.returncode, missing.stderr))

    def test_unpin_tells_what_still_pins(self):
        self.imaged = self.daemon("--pin", f"{self.registry.host}/a:*", name="ruled")
        self.client = self.imaged.client()
        self.add("a:1")
        said = self.imaged.ctl("image", "unpin", self.name("a:1")).stderr
        self.assertIn(f"still pinned by --pin {self.registry.host}/a:* of the service", said)


class Kubernetes(Pins):
    def test_kubelet_sees_it_and_may_remove_it(self):
        self.begin("--sandbox-image", f"{self.registry.host}/pause:3.9")
        pause, other = self.add("pause:3.9"), self.add("other:1")
        cri = Cri(self.imaged.address)
        self.addCleanup(cri.close)
        self.assertEqual({pause.id: True, other.id: False}, {one.id: one.pinned for one in cri.images()})
        self.assertTrue(cri.status(pause.id).pinned)
        self.client.PinImage(image=other.id)
        self.assertTrue(cri.status(other.id).pinned)
        for one in (pause, other):
            cri.remove(one.id)
        self.assertEqual([], cri.images())
