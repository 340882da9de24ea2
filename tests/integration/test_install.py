"""cmake --install gives a prefix that works by itself."""

import os
import subprocess

import harness
from fakeregistry import FakeRegistry
from harness import BIN, ROOT, Daemon, TestCase
from ociimage import Image, Layer, tar


class Install(TestCase):
    def test_installed_prefix_pulls_an_image(self):
        prefix = self.path("prefix")
        build = os.path.dirname(BIN)
        if not os.path.exists(os.path.join(build, "cmake_install.cmake")):
            self.skipTest("the programs under test are not in a build directory")
        subprocess.run(["cmake", "--install", build, "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
        for name in ("sbin/imaged", "bin/imagectl", "libexec/imaged/imaged-layer", "libexec/imaged/imaged-run",
                     "share/man/man8/imaged.8", "lib/systemd/system/imaged.socket"):
            self.assertTrue(os.path.exists(os.path.join(prefix, name)), name)
        self.addCleanup(setattr, harness, "BIN", harness.BIN)
        harness.BIN = os.path.join(prefix, "sbin")
        daemon = Daemon(self.path("d"))
        self._daemons.append(daemon)
        with FakeRegistry() as registry:
            registry.repo("a").add(Image([Layer(tar({"a": b"1"}))]), "1")
            harness.BIN = os.path.join(prefix, "bin")
            said = daemon.ctl("pull", f"{registry.host}/a:1").stdout
        self.assertIn("Downloaded newer image", said)

    def test_bash_completes_commands_and_leaves_file_names_to_bash(self):
        script = os.path.join(ROOT, "deploy", "completions", "imagectl.bash")

        def offered(*words):
            ask = f'. "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _imagectl; echo "${{COMPREPLY[*]}}"'
            said = subprocess.run(["bash", "-c", ask, "-", harness.program("imagectl"), *words], stdout=subprocess.PIPE, text=True, check=True)
            return said.stdout.split()

        self.assertEqual(["history"], offered("his"))
        self.assertEqual(["--input"], offered("load", "--in"))
        self.assertEqual(["--message"], offered("import", "--me"))
        self.assertEqual(["explain-host"], offered("system", "exp"))
        self.assertEqual(["--referrers"], offered("copy", "--ref"))
        self.assertEqual(["inspect"], offered("manifest", ""))
        for words in (["load", "-i", ""], ["image", "save", "--output", ""], ["import", ""], ["image", "import", "a"]):
            self.assertEqual([], offered(*words), words)

    def test_unit_files_name_what_is_installed(self):
        with open(os.path.join(ROOT, "deploy", "systemd", "imaged.service"), encoding="ascii") as file:
            self.assertIn("ExecStart=/usr/sbin/imaged --listen fd://3", file.read())
