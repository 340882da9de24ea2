"""images --tree: names, platforms of their index, layers, what is shared; on terminals of any width."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

from fakeregistry import FakeRegistry
from harness import TestCase, program
from ociimage import Image, Index, Layer, random_bytes, tar

ARM = {"os": "linux", "architecture": "arm64"}
AMD = {"os": "linux", "architecture": "amd64"}
OLD = {"os": "linux", "architecture": "arm", "variant": "v7"}


def layer(seed, size=1000):
    return Layer(tar({f"f{seed}": random_bytes(size, seed)}))


def short(digest):
    return digest[7:19]


class Tree(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def add(self, name, manifest, **fields):
        repository, _, tag = name.partition(":")
        self.registry.repo(repository).add(manifest, tag)
        reference = f"{self.registry.host}/{name}"
        self.client.pull(reference, **fields)
        self.client.TagImage(source=reference, target=name)
        self.client.RemoveImage(image=reference)
        return name

    def tree(self, *args, **more):
        return self.imaged.ctl("images", "--tree", *args, **more).stdout

    def on_terminal(self, columns, *args, env=None):
        """What comes to a terminal of that width."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([program("imagectl"), "images", "--tree", *args],
                                   env={**os.environ, "IMAGED_HOST": self.imaged.address, **(env or {})},
                                   stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)  # fmt: skip
        os.close(slave)
        said = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            said += piece
        os.close(master)
        self.assertEqual(0, process.wait(60))
        return said.decode().replace("\r\n", "\n")

    def pair(self):
        """Two images over one layer; the second, newer one in an index of three platforms."""
        base = layer(1)
        self.one = Image([base, layer(2, 500)], config={"created": "2020-01-01T00:00:00Z"})
        self.two = Image([base], config={"created": "2021-01-01T00:00:00Z"})
        self.arm = Image([layer(3)], platform=ARM)
        self.old = Image([layer(4)], platform=OLD)
        self.index = Index([(self.arm, ARM), (self.two, AMD), (self.old, OLD)])
        self.add("one:1", self.one)
        self.add("two:1", self.index)

    def test_all_of_it(self):
        self.pair()
        self.client.TagImage(source="two:1", target="three:a-longer-name")
        base, above = self.one.layers
        self.assertEqual(
            "IMAGE                 ID             SIZE       SHARED\n"
            f"three:a-longer-name   {short(self.index.digest)}\n"
            "two:1\n"
            f"├─ linux/arm64        {short(self.arm.digest)}   not here\n"
            f"├─ linux/amd64        {short(self.two.id)}   1kB        1kB\n"
            f"│  └─ {short(base.diff_id)}                   1kB        2 images\n"
            f"└─ linux/arm/v7       {short(self.old.digest)}   not here\n"
            f"one:1                 {short(self.one.digest)}\n"
            f"└─ linux/amd64        {short(self.one.id)}   1.5kB      1kB\n"
            f"   ├─ {short(base.diff_id)}                   1kB        2 images\n"
            f"   └─ {short(above.diff_id)}                   500B\n", self.tree())

    def test_what_a_filter_leaves_is_still_shared_with_the_rest(self):
        self.pair()
        said = self.tree("one:1")
        self.assertNotIn("two:1", said)
        self.assertEqual(1, said.count("2 images"))
        self.assertEqual(said, self.tree("--filter", "reference=one"))
        self.assertEqual("IMAGE                ID             SIZE       SHARED\n", self.tree("nosuch"))

    def test_two_platforms_of_one_index_that_are_here(self):
        self.pair()
        reference = f"{self.registry.host}/two:1"
        self.client.pull(reference, platform="linux/arm64")
        self.client.TagImage(source=reference, target="arm:1")
        self.client.RemoveImage(image=reference)
        said = self.tree()
        self.assertRegex(said, rf"(?m)^├─ linux/arm64 +{short(self.arm.id)}   1kB$")
        self.assertRegex(said, rf"(?m)^├─ linux/arm64 +{short(self.arm.id)}   1kB +0B\n│  └─ {short(self.arm.layers[0].diff_id)} +1kB$")

    def test_images_without_a_name_and_without_layers(self):
        self.pair()
        image = Image([])
        self.add("none:1", image)
        self.client.pull(f"{self.registry.host}/one:1")
        self.client.RemoveImage(image=f"{self.registry.host}/one:1")
        self.assertIn(f"none:1               {short(image.digest)}\n└─ linux/amd64       {short(image.id)}   0B         0B\n", self.tree())

    def test_terminals_of_any_width(self):
        """No line is wider than the terminal: columns go from the right, then names are cut."""
        self.pair()
        name = "a-repository-with-a-long-name/and-another-part:tag"
        self.client.TagImage(source="one:1", target=name)
        whole = self.on_terminal(200)
        self.assertIn(f"\033[1m{name}", whole)
        for columns in (100, 60, 50, 40, 30, 18, 5):
            said = re.sub("\033\\[[0-9;]*m", "", self.on_terminal(columns))
            self.assertLessEqual(max(map(len, said.splitlines())), columns, said)
            self.assertEqual(len(whole.splitlines()), len(said.splitlines()))
            self.assertEqual(columns < 57, "SHARED" not in said, said)
        self.assertIn("…", said)

    def test_no_colours_where_they_are_not_wanted(self):
        self.pair()
        self.assertNotIn("\033", self.on_terminal(100, env={"NO_COLOR": "1"}))
        self.assertNotIn("\033", self.tree())

    def test_a_locale_of_wide_branches(self):
        """There branches take two cells each, and columns stay in line."""
        self.pair()
        said = self.tree(env={"LC_ALL": "zh_CN.UTF-8"})
        lines = [line for line in said.splitlines() if re.search("linux/amd64|^one:1|IMAGE", line)]
        cells = lambda text: len(text) + sum(c in "├─└│" for c in text)
        places = {cells(line[: re.search(r"   [0-9a-f]{12}|   ID", line).start()]) for line in lines}
        self.assertEqual(1, len({place for place in places if place > 15}), said)

    def test_json_is_an_object_for_each_image(self):
        self.pair()
        images = [json.loads(line) for line in self.tree("--format", "json").splitlines()]
        self.assertEqual([self.two.id, self.one.id], [image["id"] for image in images])
        root = images[0]["roots"][0]
        self.assertEqual((self.index.digest, True, ["docker.io/library/two:1"]), (root["descriptor"]["digest"], root["is_index"], root["names"]))
        self.assertEqual(["", self.two.id, ""], [entry["image_id"] for entry in root["entries"]])
        self.assertEqual(["arm64", "amd64", "arm"], [entry["descriptor"]["platform"]["architecture"] for entry in root["entries"]])
        self.assertEqual([one.diff_id for one in self.one.layers], [one["diff_id"] for one in images[1]["layers"]])

    def test_what_does_not_go_with_it(self):
        for flag, name in (("-q", "quiet"), ("--no-trunc", "no-trunc"), ("--digests", "show-digest"), ("--format=x", "format")):
            failed = self.imaged.ctl("images", "--tree", flag, check=False)
            self.assertEqual((1, f"--{name} is not yet supported with --tree\n"), (failed.returncode, failed.stderr))

    def test_a_list_has_none_of_it(self):
        self.pair()
        for image in self.client.images():
            self.assertEqual((0, 0), (len(image.roots), len(image.layers)))
