"""What the programs say of themselves is what the manuals say of them. imagectl's own is made of
the tables of its help."""

import os
import re
import shutil
import subprocess
import unittest

from harness import BIN, ROOT, TestCase, program


def text(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def help_of(name, *command):
    done = subprocess.run([program(name), *command, "--help"], stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return done.stdout


def commands(*group):
    """The first words of the lines in which a help lists commands."""
    sections = re.findall(r"^(?:Management |Common )?Commands:\n((?:  .*\n)+)", help_of("imagectl", *group), re.M)
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

    def test_every_command_has_its_place_in_the_readme(self):
        readme = text("README.md")
        for command in all_commands():
            name = " ".join(command)
            self.assertRegex(readme, rf"`(image |system )?{name}`", name)

    def manual(self):
        path = os.path.join(os.path.dirname(BIN), "docs", "imagectl.1")
        if not os.path.exists(path):
            self.skipTest("the programs under test are not in a build directory")
        with open(path, encoding="utf-8") as file:
            return file.read().replace("\\-", "-")

    def test_the_manual_of_imagectl_has_every_command_with_its_flags(self):
        sections = re.split(r"^\.SS ", self.manual(), flags=re.M)[1:]
        names = re.compile(r"[a-z -]*[a-z]")
        told = {names.match(section).group(): section for section in sections}
        others = {name: section for section in sections for name in re.findall(r"\\fB([a-z -]+)\\fR", section)}
        for command in all_commands():
            name = " ".join(command)
            section = told.get(name) or others.get(name)
            self.assertTrue(section, name)
            for flag in re.findall(r"^ +(?:-\w, )?--([a-z-]+)", help_of("imagectl", *command), re.M):
                self.assertIn(f"--{flag}\\fR", section, name)

    def test_the_manual_renders(self):
        if not shutil.which("groff"):
            self.skipTest("there is no groff")
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-cbou"], input=self.manual().encode(), capture_output=True, timeout=60, check=True)
        self.assertNotRegex(done.stderr.decode(), "not defined|unbalanced|expected")
        self.assertTrue(re.search("Also .*image ls", done.stdout.decode()))

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
