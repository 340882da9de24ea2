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
                     "share/man/man8/imaged.8", "share/man/man1/imagectl.1",
                     "share/bash-completion/completions/imagectl", "share/zsh/site-functions/_imagectl",
                     "share/fish/vendor_completions.d/imagectl.fish", "lib/systemd/system/imaged.socket"):
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

    def test_unit_files_name_what_is_installed(self):
        with open(os.path.join(ROOT, "deploy", "systemd", "imaged.service"), encoding="ascii") as file:
            self.assertIn("ExecStart=/usr/sbin/imaged --listen fd://3", file.read())
