"""The command line itself: help, flags, wrong words. Called docker, imagectl says what docker says."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import unittest

from harness import TestCase, program

DEPRECATED = "Flag shorthand -h has been deprecated, use --help\n"


class Usage(TestCase):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("home"))

    def run_as(self, name, *args, stdin=subprocess.DEVNULL, **env):
        clean = {k: v for k, v in os.environ.items() if k not in ("IMAGED_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")}
        return subprocess.run(
            [name, *args],
            executable=program("imagectl"),
            env={**clean, "HOME": self.path("home"), **env},
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def docker(self, *args, **env):
        done = self.run_as("docker", *args, **env)
        return done.returncode, done.stdout, done.stderr

    def help_of(self, name, *command):
        done = self.run_as(name, *command, "--help")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return done.stdout

    def test_flags_of_ours_are_not_in_dockers_help_and_work(self):
        for command, own in (
            (["build"], "--explain"),
            (["build"], "--memory"),
            (["builder", "prune"], "--dry-run"),
            (["pull"], "--no-layers"),
            (["image"], "  export "),
            (["system"], "  check "),
            (["build"], "history "),
        ):
            with self.subTest(command=command, own=own):
                self.assertIn(own, self.help_of("imagectl", *command))
                self.assertNotIn(own, self.help_of("docker", *command))
        status, _, wrong = self.docker("pull", "--no-layers", "Bad", IMAGED_HOST="unix:///nonexistent")
        self.assertEqual((1, "invalid reference format: repository name (library/Bad) must be lowercase\n"), (status, wrong))
        for name in ("docker", "imagectl"):  # accepted, and told of by nobody
            self.assertNotIn("--squash", self.help_of(name, "build"))

    def test_the_programs_help(self):
        docker, ours = self.help_of("docker"), self.help_of("imagectl")
        for text in (docker, ours):
            titles = re.findall(r"^([A-Z]\w+ ?\w*):$", text, re.M)
            self.assertEqual(["Common Commands", "Management Commands", "Commands", "Global Options"], titles)
            common = text[text.index("Common") : text.index("Management")]
            self.assertEqual("build pull push images login logout search version info".split(), re.findall(r"^  (\w+)", common, re.M))
            self.assertIn(f'"{self.path("home")}/.docker/cert.pem"', text.replace("\n                           ", ""))
        self.assertIn("\n  system      Manage Docker\n", docker)
        self.assertTrue(docker.endswith("\n\nFor more help on how to use Docker, head to https://docs.docker.com/go/guides/\n"))
        for text in ("IMAGED_HOST", "Manage the daemon and its store"):
            self.assertIn(text, ours)
            self.assertNotIn(text, docker)
        self.assertEqual((0, docker, ""), self.docker("help"))
        self.assertEqual((0, "", docker), self.docker())
        self.assertEqual((0, docker, DEPRECATED), self.docker("-h"))

    def test_help_in_every_place(self):
        tag = self.help_of("docker", "image", "tag")
        self.assertEqual((0, tag, ""), self.docker("help", "image", "tag"))
        self.assertEqual((0, tag, ""), self.docker("--help", "image", "tag"))
        self.assertEqual((0, DEPRECATED + tag, ""), self.docker("image", "tag", "-h"))
        self.assertEqual((0, DEPRECATED * 2 + tag, ""), self.docker("image", "tag", "-hh"))
        self.assertEqual((0, self.help_of("docker"), ""), self.docker("nosuch", "--help"))
        self.assertEqual((0, self.help_of("docker", "image"), ""), self.docker("image", "nosuch", "--help"))
        self.assertEqual((0, "", self.help_of("docker", "image")), self.docker("image"))
        self.assertEqual((1, "", "unknown help topic: nosuch ls\n"), self.docker("help", "nosuch", "ls"))
        self.assertEqual(0, self.docker("help", "--help")[0])

    def test_what_docker_calls_an_experiment(self):
        self.assertIn("  docker manifest inspect is an experimental feature.\n", self.help_of("docker", "manifest", "inspect"))
        self.assertNotIn("experiment", self.help_of("imagectl", "manifest", "inspect"))
        status, out, text = self.docker("manifest")
        self.assertEqual((0, "", "\n" + self.help_of("docker", "manifest")), (status, out, text))

    def test_unknown_words(self):
        run = "\n\nUsage:  docker{0}\n\nRun 'docker{1} --help' for more information\n"
        for args, status, text in (
            (["nosuch"], 1, "docker: unknown command: docker nosuch\n\nRun 'docker --help' for more information\n"),
            (["nosuch", "--x"], 125, "unknown flag: --x" + run.format(" [OPTIONS] COMMAND [ARG...]", "")),
            (["image", "nosuch"], 1, "docker: unknown command: docker image nosuch" + run.format(" image", " image")),
            (["image", "--x", "ls"], 125, "unknown flag: --x" + run.format(" image", " image")),
            (["image", "list", "-z"], 125, "unknown shorthand flag: 'z' in -z" + run.format(" image ls [OPTIONS] [REPOSITORY[:TAG]]", " image ls")),
            (["image", "rm", "-force", "x"], 125, "unknown shorthand flag: 'o' in -orce" + run.format(" image rm [OPTIONS] IMAGE [IMAGE...]", " image rm")),
            (["images", "--help=x"], 125, 'invalid argument "x" for "--help" flag: strconv.ParseBool: parsing "x": invalid syntax' + run.format(" images [OPTIONS] [REPOSITORY[:TAG]]", " images")),
        ):
            with self.subTest(args=args):
                self.assertEqual((status, "", text), self.docker(*args))

    def test_numbers_of_arguments_with_dockers_slips(self):
        for args, wanted, last, usage in (
            (["image", "prune", "x"], "accepts no arguments", "Run", "image prune [OPTIONS]"),
            (["history"], "requires 1 argument", "Run", "history [OPTIONS] IMAGE"),
            (["tag", "a"], "requires 2 arguments", "Run", "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]"),
            (["rmi"], "requires at least 1 argument", "See", "rmi [OPTIONS] IMAGE [IMAGE...]"),
            (["images", "a", "b"], "requires at most 1 argument", "SRun", "images [OPTIONS] [REPOSITORY[:TAG]]"),
        ):
            for name in ("docker", "imagectl"):
                path = name + " " + " ".join(args[:2] if args[0] == "image" else args[:1])
                done = self.run_as(name, *args)
                text = f"{name}: '{path}' {wanted}\n\nUsage:  {name} {usage}\n\n{last} '{path} --help' for more information\n"
                self.assertEqual((1, text), (done.returncode, done.stderr))

    def test_global_flags(self):
        for args, text in (
            (["-l", "nope", "images"], "Unable to parse logging level: nope\n"),
            (["-c", "default", "-H", "unix:///x", "images"], "conflicting options: cannot specify both --host and --context\n"),
        ):
            self.assertEqual((1, "", text), self.docker(*args))
        for level in ("debug", "WARN", "warning", "panic", ""):
            self.assertEqual(1, self.docker("-D", "-l", level, "images", "a", "b")[0])
        self.assertEqual(self.docker("images", "a", "b"), self.docker("-v", "images", "a", "b"))

    def test_contexts_of_docker_name_daemons(self):
        digest = "76a5ed15c60d5b4f5df5ae83b0ac34de04ce8943e20a4a4cd5a90e8b4f7ea1c0"
        missing = self.docker("-c", "team", "images")[2]
        found = re.fullmatch(r'Failed to initialize: unable to resolve docker endpoint: context "team": context not found: open (\S+): no such file or directory\n', missing)
        self.assertTrue(found, missing)
        path = found.group(1)
        self.assertRegex(path, f"^{self.path('home')}/.docker/contexts/meta/[0-9a-f]{{{len(digest)}}}/meta.json$")
        os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"Name": "team", "Endpoints": {"docker": {"Host": "unix:///nonexistent/team.sock"}}}, file)
        down = "Cannot connect to the Docker daemon at unix:///nonexistent/team.sock. Is the docker daemon running?\n"
        self.assertEqual((1, "", down), self.docker("-c", "team", "images"))
        self.assertEqual((1, "", down), self.docker("images", DOCKER_CONTEXT="team"))
        self.assertNotIn("team", self.docker("images", DOCKER_CONTEXT="team", IMAGED_HOST="unix:///other")[2])
        self.assertNotIn("team", self.docker("-c", "default", "images", DOCKER_CONTEXT="team")[2])

    def test_options_are_wrapped_at_the_terminals_width(self):
        for columns in (1, 30, 60, 80, 200):
            main, side = pty.openpty()
            fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            lines = self.run_as("imagectl", "build", "--help", stdin=side).stdout.splitlines()
            os.close(main)
            os.close(side)
            options = lines[lines.index("Options:") + 1 :]
            if columns >= 60:
                self.assertLess(max(map(len, options[:20])), columns)
            self.assertIn("  -q, --quiet", "\n".join(options))


if __name__ == "__main__":
    unittest.main()
