"""imagectl with thousands of names: what it prints is whole, and it keeps little of each."""

import os
import re
import subprocess

from fakeregistry import FakeRegistry
from harness import SLOW, TestCase, program
from ociimage import Image, Layer, tar

NAMES = 2000


class Many(TestCase):
    def many_names(self):
        registry = FakeRegistry().__enter__()
        self.addCleanup(registry.stop)
        imaged = self.daemon()
        client = imaged.client()
        for name in ("a", "b"):
            registry.repo(name).add(Image([Layer(tar({name: b"x"}))]), "1")
            client.pull(f"{registry.host}/{name}:1")
        for number in range(NAMES):
            client.TagImage(source=f"{registry.host}/a:1", target=f"many{number % 7}:{number}")
        return imaged

    def test_names_are_all_there(self):
        imaged = self.many_names()
        out = imaged.ctl("images").stdout
        self.assertEqual(1 + 2 + NAMES, out.count("\n"))
        self.assertEqual(NAMES, len(set(re.findall(r"^many\d +(\d+) +[0-9a-f]{12} ", out, re.M))))
        self.assertEqual(2 + NAMES, len(imaged.ctl("images", "-q").stdout.splitlines()))
        self.assertEqual(len(range(3, NAMES, 7)), imaged.ctl("images", "-q", "many3").stdout.count("\n"))
        self.assertEqual("7\n", imaged.ctl("images", "--format", "{{.Tag}}", "*:7").stdout)
        with self.subTest("an error at the last row discards all"):
            done = imaged.ctl("images", "--format", '{{if eq .Tag "1999"}}{{.Nope}}{{end}}{{.Tag}}', check=False)
            self.assertEqual((1, ""), (done.returncode, done.stdout))
        with self.subTest("inspect"):
            names = [f"many{number % 7}:{number}" for number in range(0, NAMES, 3)]
            self.assertEqual("linux\n" * len(names), imaged.ctl("inspect", "-f", "{{.Os}}", *names).stdout)
        with self.subTest("a closed pipe ends it quietly"):
            process = subprocess.Popen(
                [program("imagectl"), "images"], env={**os.environ, "IMAGED_HOST": imaged.address},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
            process.stdout.close()
            self.assertEqual(b"", process.stderr.read())
            process.stderr.close()
            self.assertEqual(-13, process.wait())

    def test_nothing_is_loaded_but_the_c_library(self):
        """What is loaded is a command's start: OpenSSL's relocations alone took a third of it."""
        found = subprocess.run(["ldd", program("imagectl")], stdout=subprocess.PIPE, text=True, check=False).stdout
        loaded = set(re.findall(r"^\s*(?:/\S+/)?(lib[a-z+-]+)", found, re.M))
        if "libstdc++" in loaded or SLOW > 1:
            self.skipTest("a sanitizer loads more")
        self.assertLessEqual(loaded, {"libc", "libm", "libprotobuf-c"}, found)
