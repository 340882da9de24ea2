"""--progress json: an object a line, whose fields are those of the call's events; an error is the last line."""

import json
import os
import subprocess

from buildworld import BuildCase
from fakeuploads import UploadRegistry
from harness import TestCase, program
from ociimage import Image, Layer, random_bytes, tar


def lines(text):
    """The objects; every line must be one."""
    return [json.loads(line) for line in text.splitlines()]


def named(events, event):
    return [e for e in events if e["event"] == event]


class Progress(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = UploadRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.imaged = self.daemon()
        self.image = Image([Layer(tar({"f": random_bytes(200_000, 1)})), Layer(tar({"g": b"g"}))])
        self.registry.repo("a").add(self.image, "1")
        self.name = f"{self.registry.host}/a:1"

    def events(self, *command, status=0, stream="stdout", input=None):
        done = self.imaged.ctl(*command, "--progress", "json", check=False, input=input)
        self.assertEqual(status, done.returncode, done.stderr)
        self.assertEqual("", done.stderr if stream == "stdout" else done.stdout)
        return lines(getattr(done, stream))

    def test_of_a_pull(self):
        said = self.events("pull", f"{self.registry.host}/a:1")
        self.assertEqual(("resolved", "done"), (said[0]["event"], said[-1]["event"]))
        self.assertEqual(self.image.digest, said[0]["manifest"]["digest"])
        self.assertEqual([layer.blob.digest for layer in self.image.layers], [d["digest"] for d in said[0]["layers"]])
        complete = [e["digest"] for e in named(said, "layer") if e["state"] == "complete"]
        self.assertEqual({layer.blob.digest for layer in self.image.layers}, set(complete))
        self.assertEqual((self.image.id, False), (said[-1]["image_id"], said[-1]["up_to_date"]))
        self.assertGreater(said[-1]["fetched_bytes"], 200_000)

    def test_of_a_pull_that_fails(self):
        said = self.events("pull", f"{self.registry.host}/a:nosuch", status=1)
        self.assertEqual(("error", "MANIFEST_UNKNOWN"), (said[-1]["event"], said[-1]["reason"]))
        self.assertIn("nosuch", said[-1]["message"])

    def test_of_a_push(self):
        self.imaged.ctl("pull", self.name)
        self.imaged.ctl("tag", self.name, f"{self.registry.host}/b:2")
        self.registry.repo("b")
        said = self.events("push", f"{self.registry.host}/b:2")
        self.assertEqual(f"{self.registry.host}/b", named(said, "started")[0]["repository"])
        self.assertEqual([("2", self.image.digest)], [(e["tag"], e["digest"]) for e in named(said, "tag")])
        self.assertEqual("done", said[-1]["event"])
        self.assertEqual("NO_SUCH_IMAGE", self.events("push", f"{self.registry.host}/c:1", status=1)[-1]["reason"])

    def test_of_a_copy(self):
        self.registry.repo("b")
        said = self.events("copy", self.name, f"{self.registry.host}/b:3")
        self.assertEqual([self.image.digest], [e["digest"] for e in named(said, "tag")])

    def test_of_save_and_load(self):
        """The archive may go to standard output: what is told goes to the other one."""
        self.imaged.ctl("pull", self.name)
        archive = self.path("a.tar")
        said = self.events("save", "-o", archive, self.name, stream="stderr")
        self.assertEqual({"event": "done", "bytes": os.path.getsize(archive)}, said[-1])
        self.assertEqual("NO_SUCH_IMAGE", self.events("save", "-o", archive, "nosuch", status=1, stream="stderr")[-1]["reason"])
        self.imaged.ctl("rmi", self.name)
        said = self.events("load", "-i", archive)
        self.assertEqual([[f"{self.registry.host}/a:1"]], [e["references"] for e in named(said, "image")])
        self.assertEqual(0, said[-1]["present_bytes"])
        self.assertEqual("done", said[-1]["event"])
        self.assertEqual([], named(said, "want"))
        with open(self.path("broken"), "wb") as file:
            file.write(b"no archive")
        self.assertEqual("error", self.events("load", "-i", self.path("broken"), status=1)[-1]["event"])

    def test_of_a_save_as_it_goes(self):
        big = Image([Layer(tar({"f": random_bytes(40 << 20, 3)}), "plain")])
        self.registry.repo("big").add(big, "1")
        self.imaged.ctl("pull", "-q", f"{self.registry.host}/big:1")
        said = self.events("save", "-o", self.path("big.tar"), f"{self.registry.host}/big:1", stream="stderr")
        self.assertEqual(["progress", "progress", "done"], [e["event"] for e in said])
        self.assertGreaterEqual(said[0]["bytes"], 16 << 20)

    def test_of_an_import(self):
        with open(self.path("root.tar"), "wb") as file:
            file.write(tar({"etc/motd": b"hello"}))
        said = self.events("import", self.path("root.tar"), "made:1")
        self.assertEqual(("done", "docker.io/library/made:1"), (said[-1]["event"], said[-1]["reference"]))

    def test_plain_is_what_a_pipe_gets(self):
        plain = self.imaged.ctl("pull", "--progress", "plain", self.name).stdout
        self.imaged.ctl("rmi", self.name)
        self.assertEqual(sorted(plain.splitlines()), sorted(self.imaged.ctl("pull", self.name).stdout.splitlines()))

    def test_what_cannot_be_is_refused(self):
        for mode, text in (("nosuch", "invalid progress mode nosuch\n"), ("json", "progress=json and quiet cannot be used together\n")):
            for command in (("pull", self.name), ("push", self.name), ("copy", self.name, "x"), ("load", "-i", "/nosuch")):
                done = self.imaged.ctl(*command, "-q", "--progress", mode, check=False)
                self.assertEqual((1, "", text), (done.returncode, done.stdout, done.stderr))


class Build(BuildCase):
    def build_json(self, context, *options):
        return subprocess.run(
            [program("imagectl"), "build", "--progress", "json", *options, context],
            env={**os.environ, "IMAGED_HOST": self.daemon_.address}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def test_of_a_build(self):
        done = self.build_json(self.context("FROM localhost/base\nRUN echo said\n"), "-t", "made:1")
        self.assertEqual((0, ""), (done.returncode, done.stdout), done.stderr)
        said = lines(done.stderr)
        self.assertEqual(("started", "done"), (said[0]["event"], said[-1]["event"]))
        steps = named(said, "step")
        self.assertTrue({"running", "done"} <= {e["state"] for e in steps}, steps)
        self.assertEqual(["said\n"], [e["data"] for e in named(said, "log")])
        self.assertEqual(["docker.io/library/made:1"], said[-1]["names"])

    def test_of_a_build_that_fails(self):
        done = self.build_json(self.context("FROM localhost/base\nRUN exit 7\n"))
        self.assertEqual(1, done.returncode)
        said = lines(done.stderr)
        self.assertIn("failed", [e["state"] for e in named(said, "step")])
        self.assertEqual("error", said[-1]["event"])
        self.assertIn("exit code: 7", said[-1]["message"])
