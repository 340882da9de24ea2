"""What list, inspect, history, tag, rmi and prune mean, by gRPC and by imagectl."""

import json
import os

from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import Image, Layer, tar


def layer(text, size=1000):
    return Layer(tar({f"files/{text}": text.encode().ljust(size, b".")}))


class Images(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.imaged = self.daemon()
        self.client = self.imaged.client()
        self.base = layer("base", 50000)

    def serve(self, name, *texts, tag="1", **config):
        """An image of the common base and a layer for each text."""
        layers = [self.base] + [layer(text) for text in texts]
        image = Image(layers, config=config or None)
        self.registry.repo(name).add(image, tag)
        return image

    def pull(self, name, *texts, tag="1", **config):
        image = self.serve(name, *texts, tag=tag, **config)
        self.client.pull(f"{self.registry.host}/{name}:{tag}")
        return image

    def tags(self):
        return sorted(tag for image in self.client.images() for tag in image.repo_tags)

    def full(self, name):
        return f"{self.registry.host}/{name}"

    # -- disk usage

    def test_disk_usage_of_more_than_fits_into_a_message(self):
        for number in range(8):
            self.pull(f"n{number}", f"{number}", config={"Labels": {"big": str(number) * 450_000}})
        self.assertLess(len(self.client.GetDiskUsage(per_image=True).images), 8)
        said = self.imaged.ctl("system", "df", "-v", "--format", "{{range .Images}}{{.Repository}} {{end}}").stdout
        self.assertEqual(sorted(self.full(f"n{number}") for number in range(8)), sorted(said.split()))

    # -- list

    def test_list_is_newest_first(self):
        for day, name in ((3, "c"), (1, "a"), (2, "b")):
            self.pull(name, name, created=f"2024-01-0{day}T00:00:00Z")
        self.assertEqual(
            [self.full("c:1"), self.full("b:1"), self.full("a:1")],
            [image.repo_tags[0] for image in self.client.ListImages().images],
        )

    def test_pages_cover_every_image_once(self):
        for number in range(7):
            self.pull(f"n{number}", f"text {number}", created=f"2024-01-0{1 + number % 3}T00:00:00Z")
        everything = [image.id for image in self.client.images()]
        self.assertEqual(7, len(set(everything)))
        for order in (0, 1, 2):
            for size in (1, 2, 3, 7, 100):
                with self.subTest(order=order, page_size=size):
                    paged = [image.id for image in self.client.images(page_size=size, order=order)]
                    self.assertEqual(sorted(everything), sorted(paged))
        page = self.client.ListImages(page_size=2)
        self.assert_rpc_fails(
            "INVALID_ARGUMENT", None, self.client.ListImages, page_size=2, page_token=page.next_page_token, order=2
        )
        self.assert_rpc_fails("INVALID_ARGUMENT", None, self.client.ListImages, page_token="nonsense")

    def test_filters(self):
        self.pull("a/x", "1", created="2024-01-01T00:00:00Z", config={"Labels": {"kind": "old", "both": "yes"}})
        self.pull("a/y", "2", created="2024-01-02T00:00:00Z", config={"Labels": {"kind": "new", "both": "yes"}})
        self.pull("b/x", "3", created="2024-01-03T00:00:00Z")
        host = self.registry.host
        for fields, wanted in (
            ({"references": [f"{host}/a/*"]}, ["a/x", "a/y"]),
            ({"references": [f"{host}/*/x:1", f"{host}/a/y"]}, ["a/x", "a/y", "b/x"]),
            ({"references": ["nothing*"]}, []),
            ({"labels": ["both"]}, ["a/x", "a/y"]),
            ({"labels": ["both", "kind=new"]}, ["a/y"]),
            ({"without_labels": ["kind=new"]}, ["a/x", "b/x"]),
            ({"before": f"{host}/a/y:1"}, ["a/x"]),
            ({"since": f"{host}/a/x:1"}, ["a/y", "b/x"]),
            ({"dangling": 1}, ["a/x", "a/y", "b/x"]),
            ({"dangling": 2}, []),
        ):
            with self.subTest(filter=fields):
                images = self.client.images(filter=fields)
                self.assertEqual(
                    [f"{host}/{name}:1" for name in wanted], sorted(tag for image in images for tag in image.repo_tags)
                )
        self.assert_rpc_fails("NOT_FOUND", None, self.client.ListImages, filter={"before": "nosuch"})

    # -- inspect and history

    def test_inspect_by_name_id_and_prefix(self):
        image = self.pull("a", "1")
        for text in (self.full("a:1"), image.id, image.id[7:], image.id[7:19], image.id[7:8], self.full("a@" + image.digest)):
            with self.subTest(text=text):
                self.assertEqual(image.id, self.client.InspectImage(image=text).image.id)
        for text in ("nosuch", "0" * 64, "sha256:" + "0" * 64):
            self.assert_rpc_fails("NOT_FOUND", "NO_SUCH_IMAGE", self.client.InspectImage, image=text, text="[Nn]o such image")

    def test_inspect_shows_the_configuration(self):
        self.pull(
            "a",
            "1",
            author="somebody",
            config={
                "User": "1000:1000",
                "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
                "Env": ["A=1", "B=two words"],
                "Entrypoint": ["/bin/sh", "-c"],
                "Cmd": [],
                "Volumes": {"/data": {}},
                "WorkingDir": "/work",
                "Labels": {"a.b": "c"},
                "StopSignal": "SIGINT",
                "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1000000000, "Retries": 3},
            },
        )
        answer = self.client.InspectImage(image=self.full("a:1"))
        config = answer.config
        self.assertEqual("somebody", answer.author)
        self.assertEqual("1000:1000", config.user)
        self.assertEqual(["443/tcp", "80/tcp"], sorted(config.exposed_ports))
        self.assertEqual(["A=1", "B=two words"], list(config.env.values))
        self.assertEqual(["/bin/sh", "-c"], list(config.entrypoint.values))
        self.assertTrue(config.HasField("cmd"), "an empty list is not an absent one")
        self.assertEqual(["/data"], list(config.volumes.values))
        self.assertEqual({"a.b": "c"}, dict(config.labels.values))
        self.assertEqual(["CMD", "true"], list(config.healthcheck.test))
        self.assertFalse(config.HasField("on_build"))
        [shown] = json.loads(self.imaged.ctl("inspect", self.full("a:1")).stdout)
        self.assertEqual("/work", shown["Config"]["WorkingDir"])
        self.assertEqual(answer.image.id, shown["Id"])

    def test_history_is_newest_first_with_sizes_of_its_layers(self):
        history = [
            {"created": "2024-01-01T00:00:00Z", "created_by": "base"},
            {"created": "2024-01-01T00:00:00Z", "created_by": "ENV A=1", "empty_layer": True},
            {"created": "2024-01-01T00:00:00Z", "created_by": "second"},
        ]
        self.pull("a", "second", history=history)
        entries = self.client.GetHistory(image=self.full("a:1")).entries
        self.assertEqual(["second", "ENV A=1", "base"], [e.created_by for e in entries])
        self.assertEqual([1000, 0, 50000], [e.size for e in entries])
        self.assertTrue(entries[0].id.startswith("sha256:"))
        self.assertEqual(["", ""], [e.id for e in entries[1:]])

    # -- tag and remove

    def test_tag_moves_an_existing_name(self):
        first, second = self.pull("a", "1"), self.pull("b", "2")
        self.client.TagImage(source=self.full("a:1"), target="mine")
        self.assertEqual(first.id, self.client.InspectImage(image="mine").image.id)
        answer = self.client.TagImage(source=second.id[7:19], target="mine:latest")
        self.assertEqual(("docker.io/library/mine:latest", second.id), (answer.name, answer.image_id))
        self.assertEqual(second.id, self.client.InspectImage(image="mine").image.id)
        self.assertEqual(3, len(self.tags()))

    def test_names_survive_a_restart(self):
        self.pull("a", "1")
        for number in range(20):
            self.client.TagImage(source=self.full("a:1"), target=f"name{number}:t")
        before = self.tags()
        self.imaged.kill()
        self.imaged.start()
        self.client = self.imaged.client()
        self.assertEqual(before, self.tags())

    def test_removing_a_name_keeps_the_image_until_the_last(self):
        image = self.pull("a", "1")
        self.client.TagImage(source=image.id, target="other")
        answer = self.client.RemoveImage(image="other")
        self.assertEqual([(1, "other:latest")], [(i.kind, i.value) for i in answer.items])
        self.assertEqual(0, answer.freed_bytes)
        answer = self.client.RemoveImage(image=self.full("a:1"))
        self.assertEqual([1, 1, 2, 3, 3], [i.kind for i in answer.items])
        self.assertGreater(answer.freed_bytes, 100)
        self.assertEqual([], self.client.images())
        self.assertEqual(0, self.client.GetDiskUsage().blob_count)

    def layer_bytes(self):
        """Of the images of layers on the disk."""
        folders = os.walk(os.path.join(self.imaged.root, "layers"))
        return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in folders for name in names)

    def test_removing_frees_only_what_nobody_shares(self):
        self.pull("a", "1")
        self.pull("b", "2")
        before, layers = self.client.GetDiskUsage(), self.layer_bytes()
        answer = self.client.RemoveImage(image=self.full("a:1"))
        after = self.client.GetDiskUsage()
        self.assertGreater(layers, self.layer_bytes())
        self.assertEqual(answer.freed_bytes, before.content_bytes - after.content_bytes + layers - self.layer_bytes())
        self.assertEqual(1, len([i for i in answer.items if i.kind == 3]), "the base layer stays")
        self.assert_clean(self.client, [self.full("b:1")])
        self.assertFalse(self.client.pull(self.full("a:1"))[0].up_to_date)

    def test_removing_by_id_with_names_in_several_repositories_needs_force(self):
        image = self.pull("a", "1")
        self.client.TagImage(source=image.id, target="other")
        error = self.assert_rpc_fails("FAILED_PRECONDITION", "CONFLICT", self.client.RemoveImage, image=image.id[7:19])
        self.assertIn("must be forced", error.details())
        self.assertEqual(2, len(self.tags()))
        self.client.RemoveImage(image=image.id[7:19], force=True)
        self.assertEqual([], self.client.images())

    def test_dry_run_says_what_would_happen_and_does_nothing(self):
        self.pull("a", "1")
        wish = self.client.RemoveImage(image=self.full("a:1"), dry_run=True)
        self.assertEqual([self.full("a:1")], self.tags())
        self.assert_clean(self.client, [self.full("a:1")])
        done = self.client.RemoveImage(image=self.full("a:1"))
        self.assertEqual(done, wish)

    # -- prune

    def test_prune_takes_what_has_no_name(self):
        image = self.pull("a", "1")
        self.pull("a", "2")  # the tag moves; the first image has a digest name only
        before, layers = self.client.GetDiskUsage(), self.layer_bytes()
        wish = self.client.PruneImages(dry_run=True)
        answer = self.client.PruneImages()
        self.assertEqual(wish, answer)
        after = self.client.GetDiskUsage()
        self.assertEqual(answer.freed_bytes, before.content_bytes - after.content_bytes + layers - self.layer_bytes())
        self.assertEqual([self.full("a:1")], self.tags())
        self.assertEqual(1, len(self.client.images()))

    def test_prune_all_empties_the_store(self):
        self.pull("a", "1")
        self.pull("b", "2")
        answer = self.client.PruneImages(all=True)
        self.assertGreater(answer.freed_bytes, 0)
        self.assertEqual([], self.client.images())
        self.assertEqual((0, 0), (self.client.GetDiskUsage().blob_count, self.client.GetDiskUsage().content_bytes))

    def test_prune_obeys_labels_and_until(self):
        self.pull("a", "1", created="2020-01-01T00:00:00Z", config={"Labels": {"keep": "yes"}})
        self.pull("b", "2", created="2020-01-01T00:00:00Z")
        self.pull("c", "3", created="2024-01-01T00:00:00Z")
        self.client.PruneImages(all=True, filter={"without_labels": ["keep"], "until": {"seconds": 1600000000}})
        self.assertEqual([self.full("a:1"), self.full("c:1")], self.tags())

    # -- imagectl says the same

    def test_imagectl_tells_the_whole_story(self):
        ctl, host = self.imaged.ctl, self.registry.host
        image = self.serve("a", "1")
        said = ctl("pull", self.full("a:1")).stdout
        self.assertIn(f"Digest: {image.digest}\nStatus: Downloaded newer image for {host}/a:1\n{host}/a:1\n", said)
        self.assertIn("Status: Image is up to date for", ctl("pull", self.full("a:1")).stdout)
        table = ctl("images").stdout.splitlines()
        self.assertRegex(table[0], r"^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$")
        self.assertRegex(table[1], rf"^{host}/a +1 +{image.id[7:19]} .* ago +51kB$")
        self.assertEqual(image.id[7:19] + "\n", ctl("images", "-q").stdout)
        self.assertEqual(image.id + "\n", ctl("images", "-q", "--no-trunc").stdout)
        self.assertIn(image.digest, ctl("images", "--digests").stdout)
        self.assertEqual(f"{host}/a 1\n", ctl("images", "--format", "{{.Repository}} {{.Tag}}").stdout)
        self.assertEqual("", ctl("tag", self.full("a:1"), "other:2").stdout)
        self.assertEqual("Untagged: other:2\n", ctl("rmi", "other:2").stdout)
        gone = ctl("image", "rm", self.full("a:1")).stdout.splitlines()
        self.assertEqual(f"Untagged: {host}/a:1", gone[0])
        self.assertEqual(f"Untagged: {host}/a@{image.digest}", gone[1])
        self.assertEqual(f"Deleted: {image.id}", gone[2])
        self.assertEqual(5, len(gone))
        refused = ctl("rmi", "nosuch", check=False)
        self.assertEqual((1, "Error response from daemon: No such image: nosuch:latest\n"), (refused.returncode, refused.stderr))
        self.assertIn("Total reclaimed space: 0B", ctl("image", "prune", "-f").stdout)
        self.assertRegex(ctl("version").stdout, r"0\.1\.0")
        self.assertIn(self.imaged.root, ctl("info").stdout)
        self.assertIn("Images", ctl("system", "df").stdout)
