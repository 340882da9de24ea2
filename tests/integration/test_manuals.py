"""What the programs say of themselves is what the manuals say of them."""

import os
import re
import subprocess
import unittest

from harness import ROOT, TestCase, program


def text(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def help_of(name, *command):
    done = subprocess.run([program(name), *command, "--help"], stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return done.stdout


def commands(*group):
    """The first words of the lines in which a help lists commands."""
    sections = re.findall(r"^(?:Management )?Commands:\n((?:  .*\n)+)", help_of("imagectl", *group), re.M)
    return [line.split()[0] for section in sections for line in section.splitlines()]


def all_commands(*group):
    """Those of `builder` are others of the same names, which the places of those tell."""
    for name in commands(*group):
        inner = [*group, name]
        if name in ("image", "manifest", "system", "cache") or inner[-2:] == ["build", "history"]:
            yield from all_commands(*inner)
        elif inner == ["build"]:
            yield inner
            yield from all_commands(*inner)
        elif name != "builder":
            yield inner


class Manuals(TestCase):
    def test_names_of_commands_stand_apart_from_their_summaries(self):
        self.assertIn("explain-host", commands("system"))
        for name in commands("system") + commands("image") + commands():
            self.assertRegex(name, "^[a-z-]+$")

    def test_every_command_has_its_place_in_the_manuals(self):
        manual = text("deploy", "man", "imagectl.1").replace("\\-", "-")
        readme = text("README.md")
        for command in all_commands():
            name = " ".join(command)
            entry = rf'^\.TP\n\.BI? "?{name}\b'
            if len(command) == 1:  # or a short form, which stands in the place of the long one
                entry += rf"|^\.BR? {name}\b"
            self.assertRegex(manual, re.compile(entry, re.M), name)
            self.assertRegex(readme, rf"`(image |system )?{name}`", name)
        for name in commands("builder"):
            self.assertRegex(manual, re.compile(rf'^\.B[IR]? "?builder {name}\b', re.M), name)

    def test_every_flag_of_the_daemon_has_its_place_in_the_manuals(self):
        manual = text("deploy", "man", "imaged.8").replace("\\-", "-")
        synopsis = manual[manual.index(".SH SYNOPSIS") : manual.index(".SH DESCRIPTION")]
        options = manual[manual.index(".SH OPTIONS") : manual.index(".SH REGISTRIES")]
        flags = set(re.findall(r"^ +--([a-z-]+)", help_of("imaged"), re.M)) - {"version"}
        self.assertIn("registry-mirror", flags)
        for flag in flags:
            self.assertRegex(synopsis, rf"--{flag}\b")
            self.assertRegex(options, rf"--{flag}\b")
            self.assertIn(f"`--{flag}", text("README.md"))
            if flag != "config":
                self.assertIn(f"\n#{flag} = ", text("deploy", "imaged.toml"))


if __name__ == "__main__":
    unittest.main()
