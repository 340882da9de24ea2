"""Completions in bash, zsh and fish: commands and flags of the tables, images of the daemon."""

import os
import shutil
import subprocess
import unittest

from harness import BIN, TestCase, program
from ociimage import tar

DOCS = os.path.join(os.path.dirname(BIN), "docs")

BASH = '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _imagectl; printf "%s\n" "${COMPREPLY[@]}"'

# Completion functions of zsh work only while zsh completes: what they would be given is printed.
ZSH = """
compadd() { [[ $1 == -a ]] && print -rl -- ${(P)2} || print -rl -- "${@[2,-1]}" }
_describe() { [[ $1 == -o ]] && shift; print -rl -- ${(P)2} }
_files() { print -r -- "files $*" }
compset() { }
script=$1; shift
words=("$@")
CURRENT=$#
. $script
_imagectl
"""


class Completions(TestCase):
    def setUp(self):
        super().setUp()
        if not os.path.exists(os.path.join(DOCS, "imagectl")):
            self.skipTest("the programs under test are not in a build directory")
        self.imaged = self.daemon()
        with open(self.path("root.tar"), "wb") as file:
            file.write(tar({"a": b"1"}))
        for name in ("busybox:1", "127.0.0.1:5000/team/app:v2"):
            self.imaged.ctl("import", self.path("root.tar"), name)
        self.words = [program("imagectl"), "-H", self.imaged.address]

    def bash(self, *words):
        split = []
        for word in self.words + list(words):
            for part in word.replace(":", "\0:\0").replace("=", "\0=\0").split("\0"):
                split += [part] if part or word == "" else []
        return self.output(["bash", "-c", BASH, "-", os.path.join(DOCS, "imagectl"), *split])

    def zsh(self, *words):
        offered = self.output(["zsh", "-f", "-c", ZSH, "-", os.path.join(DOCS, "_imagectl"), *self.words, *words])
        return [word for word in offered if word.startswith(words[-1]) or word.startswith("files")]

    def fish(self, *words):
        line = " ".join(self.words + [w or "''" for w in words[:-1]] + [words[-1]])
        script = f"source {os.path.join(DOCS, 'imagectl.fish')}; complete -C '{line}'"
        return self.output(["fish", "--no-config", "-c", script])

    def output(self, command):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, cwd=self.path("."))
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return [line for line in done.stdout.splitlines() if line]

    def names(self, offered, separator):
        return [word.split(separator)[0] for word in offered]

    def test_bash(self):
        self.assertEqual(["history"], self.bash("his"))
        self.assertIn("explain-host", self.bash("system", "exp"))
        self.assertEqual(["--input"], self.bash("load", "--in"))
        self.assertEqual(["cache"], self.bash("build", "-t", "x:1", "ca"))
        self.assertEqual(["--no-cache", "--no-cache-filter"], self.bash("buildx", "b", "--no-c"))
        self.assertEqual(["tag", "tags"], self.bash("help", "image", "ta"))
        self.assertEqual(["plain"], self.bash("build", "--progress=pl"))
        self.assertEqual(["auto", "none", "plain", "quiet", "rawjson", "tty"], self.bash("build", "--progress", ""))
        self.assertEqual(["busybox:1"], self.bash("rmi", "bu"))
        self.assertEqual(["1"], self.bash("image", "rm", "-f", "busybox:"))
        self.assertEqual(["5000/team/app:v2"], self.bash("tag", "127.0.0.1:5"))
        self.assertEqual([], self.bash("version", ""))
        for words in (["load", "-i", ""], ["image", "save", "--output", ""], ["import", ""], ["images", "--filter", ""]):
            self.assertEqual([], self.bash(*words), words)

    def test_zsh(self):
        if not shutil.which("zsh"):
            self.skipTest("there is no zsh")
        self.assertEqual(["history:Show the history of an image"], self.zsh("his"))
        self.assertEqual(["--input"], self.names(self.zsh("load", "--in"), ":"))
        self.assertEqual(["tag", "tags"], self.names(self.zsh("help", "image", "ta"), ":"))
        self.assertEqual(["auto", "none", "plain", "quiet", "rawjson", "tty"], self.zsh("build", "--progress", ""))
        self.assertEqual(["127.0.0.1:5000/team/app:v2", "busybox:1"], sorted(self.zsh("image", "rm", "-f", "")))
        self.assertEqual(["files "], self.zsh("load", "-i", ""))
        self.assertEqual(["files -/"], [w for w in self.zsh("build", "x") if w.startswith("files")])

    def test_fish(self):
        if not shutil.which("fish"):
            self.skipTest("there is no fish")
        self.assertEqual(["history\tShow the history of an image"], self.fish("his"))
        self.assertEqual(["--input"], self.names(self.fish("load", "--in"), "\t"))
        self.assertEqual(["tag", "tags"], self.names(self.fish("help", "image", "ta"), "\t"))
        self.assertEqual(["--progress=plain"], self.fish("build", "--progress=pl"))
        self.assertEqual(["auto", "none", "plain", "quiet", "rawjson", "tty"], self.fish("build", "--progress", ""))
        self.assertEqual(["127.0.0.1:5000/team/app:v2", "busybox:1"], sorted(self.fish("rmi", "")))
        with open(self.path("archive.tar"), "wb"):
            pass
        self.assertEqual(["archive.tar"], self.fish("load", "-i", "arch"))

    def test_every_command_of_the_help_is_offered(self):
        for group in ([], ["image"], ["system"], ["build", "cache"], ["build", "history"], ["manifest"]):
            text = subprocess.run([program("imagectl"), *group, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
            listed = {line.split()[0] for line in text.splitlines() if line.startswith("  ") and line[2] not in " -"}
            self.assertEqual(listed, set(self.bash(*group, "")))


if __name__ == "__main__":
    unittest.main()
