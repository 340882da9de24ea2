"""imagectl build: what it sends, what it prints, and what it does with what comes back."""

import contextlib
import fcntl
import gzip
import io
import json
import os
import pty
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import tarfile
import termios
import threading
import unittest

import fixtures
import grpc
from fakeregistry import FakeRegistry
from fakeservice import FakeService
from harness import SLOW, TestCase, program
from rpc import pb

SECRET = "s3cr3t-value-of-a-test"
HELLO = "FROM busybox:latest\nRUN echo hello > /hello && echo to-stdout && echo to-stderr >&2\nCOPY f /f\nCMD [\"sh\"]\n"


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def plain(text):
    """Without times, IDs and sizes, which differ."""
    text = re.sub(r"sha256:[0-9a-f]{64}", "sha256:H", text)
    text = re.sub(r"(?m)^(#\d+) \d+\.\d+ ", r"\1 T ", text)
    return re.sub(r" \d+\.\d+s", "", text)


def steps(text):
    """The lines of each step by its name, in the order in which they were printed."""
    names, lines = {}, {}
    for line in plain(text).splitlines():
        found = re.match(r"#(\d+) (.*)", line)
        if not found or found[1] == "0" or found[2] == "...":
            continue
        if found[1] not in names:
            names[found[1]] = found[2]
            lines[found[2]] = []
        elif found[2] != names[found[1]]:
            lines[names[found[1]]].append(found[2])
    return lines


class Case(TestCase):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("ctx"))
        self.write("ctx/f", "content\n")
        self.environment = {"XDG_STATE_HOME": self.path("state"), "DOCKER_CONFIG": self.path("config"), "BUILDKIT_PROGRESS": ""}

    def write(self, name, text, mode=0o644):
        path = self.path(*name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        return path

    def run_build(self, *args, address=None, input=None, name="imagectl", text=True, **environment):
        """CompletedProcess of a build in self.dir."""
        return subprocess.run(
            [name, "build", *args],
            executable=program("imagectl"),
            cwd=self.dir,
            env={**os.environ, **self.environment, "IMAGED_HOST": address or "unix:///nonexistent/imaged.sock", **environment},
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=text,
            timeout=120 * SLOW,
            check=False,
        )


class Flags(Case):
    """Values that docker's buildx refuses before it asks anybody, in its words."""

    def refused(self, text, *args, status=1, **more):
        done = self.run_build(*args, **more)
        self.assertEqual((status, "", text + "\n"), (done.returncode, done.stdout, done.stderr), args)

    def test_wrong_values(self):
        build = "ERROR: failed to build: "
        for text, args in (
            ('ERROR: invalid key-value pair "=x": empty key', ["--build-arg", "=x", "ctx"]),
            ('ERROR: invalid key-value pair "=x": empty key', ["--label", "=x", "ctx"]),
            (build + 'invalid tag "Bad:1": repository name must be lowercase', ["-t", "Bad:1", "ctx"]),
            (build + 'invalid tag "good:-1": invalid reference format', ["-t", "good:-1", "ctx"]),
            (build + '"a/b/c/d": cannot parse platform specifier: invalid argument', ["--platform", "a/b/c/d", "ctx"]),
            (build + 'failed to solve: exporter "foo" could not be found', ["-o", "type=foo", "ctx"]),
            (build + "type is required for output", ["-o", "dest=x", "ctx"]),
            (build + "dest is required for local exporter", ["-o", "type=local", "ctx"]),
            (build + "tag is needed when pushing to registry", ["--push", "ctx"]),
            (build + 'unable to prepare context: path "nodir" not found', ["nodir"]),
            (build + 'unable to prepare context: path "ctx/f" not found', ["ctx/f"]),
            (build + "failed to stat nosuch: stat nosuch: no such file or directory", ["--secret", "id=s,src=nosuch", "ctx"]),
            (build + "secret missing ID", ["--secret", "src=ctx/f", "ctx"]),
            (build + "unexpected key 'x' in 'x=y'", ["--secret", "id=s,x=y", "ctx"]),
            (build + 'network mode "foo" not supported by buildkit', ["--network", "foo", "ctx"]),
            (build + "invalid entitlement: foo", ["--allow", "foo", "ctx"]),
            (build + 'bad format for add-host: "a"', ["--add-host", "a", "ctx"]),
            (build + 'invalid IP address in add-host: "b"', ["--add-host", "a:b", "ctx"]),
            (build + "invalid context value: x, expected key=value", ["-f", "-", "--build-context", "x", "ctx"]),
            (build + "invalid argument: can't use stdin for both build context and dockerfile", ["-f", "-", "-"]),
            ("ERROR: progress=plain and quiet cannot be used together", ["--progress=plain", "-q", "ctx"]),
            ("ERROR: invalid progress mode fancy", ["--progress=fancy", "ctx"]),
            ("ERROR: failed to get console: provided file is not a console", ["--progress=tty", "ctx"]),
            ("ERROR: push and load may not be set together at the moment", ["--push", "--load", "ctx"]),
            ("ERROR: invalid ulimit type: foo", ["--ulimit", "foo=1", "ctx"]),
            ("ERROR: invalid ulimit argument: nofile", ["--ulimit", "nofile", "ctx"]),
        ):
            with self.subTest(args=args):
                self.refused(text, *args)

    def test_an_agent_that_is_not_there(self):
        text = "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set"
        self.refused("ERROR: failed to build: failed to convert agent config {default [] false}: " + text, "--ssh", "default", "ctx", SSH_AUTH_SOCK="")
        done = self.run_build("--ssh", "default=ctx/f", "ctx")
        self.assertIn("is no socket of an SSH agent: keys are not read here; load it into an agent", done.stderr)

    def test_usage(self):
        usage = "\n\nUsage:  {0} [OPTIONS] PATH | URL | -\n\nRun '{0} --help' for more information"
        for name, path in (("docker", "docker buildx build"), ("imagectl", "imagectl build")):
            self.refused(f"ERROR: {name}: '{path}' requires 1 argument" + usage.format(path), name=name)
            self.refused("unknown flag: --nope" + usage.format(path), "--nope", "ctx", name=name, status=125)
            wrong = "invalid argument \"5x\" for \"-m, --memory\" flag: invalid suffix: 'x'"
            self.refused(wrong + usage.format(path), "-m", "5x", "ctx", name=name, status=125)

    def test_no_dockerfile(self):
        done = self.run_build("-f", "ctx/Nope", "ctx", name="docker")
        self.assertEqual(1, done.returncode)
        self.assertEqual(
            '#0 building with "default" instance using docker driver\n\n'
            "#1 [internal] load build definition from Nope\n#1 transferring dockerfile: 2B done\n#1 DONE\n"
            "ERROR: failed to build: failed to solve: failed to read dockerfile: open Nope: no such file or directory\n",
            plain(done.stderr),
        )

    def test_nothing_on_standard_input(self):
        done = self.run_build("-", input="")
        self.assertTrue(done.stderr.endswith("ERROR: failed to build: failed to solve: failed to read dockerfile: no local sources enabled\n"))

    def test_no_daemon(self):
        self.write("ctx/Dockerfile", HELLO)
        text = "Cannot connect to the imaged daemon at unix:///nonexistent/imaged.sock. Is the imaged daemon running?"
        self.refused("ERROR: " + text, "ctx")

    def test_standard_output_must_not_be_a_terminal(self):
        self.write("ctx/Dockerfile", HELLO)
        shown = self.terminal("-o", "type=tar", "ctx")
        self.assertIn("dest file is required for tar exporter. refusing to write to console", shown)

    def terminal(self, *args):
        parent, child = pty.openpty()
        with contextlib.closing(os.fdopen(parent, "rb", 0)) as out:
            process = subprocess.Popen(
                [program("imagectl"), "build", *args], cwd=self.dir, env={**os.environ, **self.environment}, stdin=child, stdout=child, stderr=child
            )
            os.close(child)
            return read_terminal(out, process)


def read_terminal(out, process):
    shown = b""
    with contextlib.suppress(OSError):
        while piece := out.read(65536):
            shown += piece
    process.wait(60 * SLOW)
    return shown.decode(errors="replace")


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Builds(Case):
    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        with open(self.write("busybox.tar", fixtures.busybox_tar()), "rb"):
            self.imaged.ctl("import", self.path("busybox.tar"), "busybox:latest")

    def build(self, *args, status=0, **more):
        done = self.run_build("--network", "none", *args, address=self.imaged.address, **more)
        self.assertEqual(status, done.returncode, done.stderr)
        return done

    def tar_of(self, *args, **more):
        """The files of a build's result."""
        done = self.build("-q", "-o", "-", *args, text=False, **more)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            files = {m.name.removeprefix("./"): tar.extractfile(m).read() for m in tar if m.isreg()}
        return {name: data for name, data in files.items() if not name.startswith(("bin/", "etc/"))}

    def test_a_directory(self):
        self.write("ctx/Dockerfile", HELLO)
        first = self.build("-t", "hello:1", "ctx", name="docker")
        self.assertEqual("", first.stdout)
        self.assertTrue(first.stderr.startswith('#0 building with "default" instance using docker driver\n\n#1 [internal] load build definition from Dockerfile\n'))
        found = steps(first.stderr)
        run = "[2/3] RUN echo hello > /hello && echo to-stdout && echo to-stderr >&2"
        self.assertEqual(["T to-stderr", "T to-stdout"], sorted(found[run][:2]))
        self.assertEqual("DONE", found[run][-1])
        self.assertEqual(["DONE"], found["[3/3] COPY f /f"])
        self.assertIn("naming to docker.io/library/hello:1 done", found["exporting to image"])
        second = self.build("-t", "hello:2", "ctx")
        self.assertEqual(["CACHED"], steps(second.stderr)[run])
        self.assertEqual(["CACHED"], steps(second.stderr)["[3/3] COPY f /f"])
        quiet = self.build("-q", "ctx")
        self.assertEqual("", quiet.stderr)
        self.assertRegex(quiet.stdout, r"^sha256:[0-9a-f]{64}\n$")
        inspected = self.imaged.ctl("image", "inspect", "-f", "{{.Id}}", "hello:2").stdout
        self.assertEqual(quiet.stdout, inspected)

    def test_where_the_dockerfile_may_be(self):
        self.write("ctx/Dockerfile", "FROM scratch\nCOPY f /default\n")
        self.write("Elsewhere", "FROM scratch\nCOPY f /elsewhere\n")
        self.write("lower/dockerfile", "FROM scratch\nCOPY x /lower\n")
        self.write("lower/x", "x")
        os.symlink("ctx", self.path("link"))
        archive = tar_of({"Dockerfile": b"FROM scratch\nCOPY f /archive\n", "f": b"1", "Other": b"FROM scratch\nCOPY f /other\n"})
        self.assertEqual({"default": b"content\n"}, self.tar_of("ctx"))
        self.assertEqual({"default": b"content\n"}, self.tar_of("link"))
        self.assertEqual({"elsewhere": b"content\n"}, self.tar_of("-f", "Elsewhere", "ctx"))
        self.assertEqual({"lower": b"x"}, self.tar_of("lower"))
        self.assertEqual({"stdin": b"content\n"}, self.tar_of("-f", "-", "ctx", input=b"FROM scratch\nCOPY f /stdin\n"))
        self.assertEqual({"archive": b"1"}, self.tar_of("-", input=archive))
        self.assertEqual({"archive": b"1"}, self.tar_of("-", input=gzip.compress(archive)))
        self.assertEqual({"other": b"1"}, self.tar_of("-f", "Other", "-", input=archive))
        self.assertEqual({"here": b"1\n"}, self.tar_of("-", input=b"FROM scratch\nCOPY <<EOF /here\n1\nEOF\n"))

    def test_what_is_ignored(self):
        for name in ("a", "b", "c"):
            self.write(f"ctx/{name}", name)
        self.write("ctx/.dockerignore", "f\nDockerfile*\n.dockerignore\na\n")
        self.write("ctx/Dockerfile", "FROM scratch\nCOPY . /\n")
        self.write("ctx/Dockerfile.two", "FROM scratch\nCOPY . /\n")
        self.write("ctx/Dockerfile.two.dockerignore", "*\n!b\n")
        self.assertEqual({"b": b"b", "c": b"c"}, self.tar_of("ctx"))
        self.assertEqual({"b": b"b"}, self.tar_of("-f", "ctx/Dockerfile.two", "ctx"))

    def test_named_contexts(self):
        self.write("more/g", "more")
        self.write("more/.dockerignore", "h\n.dockerignore\n")
        self.write("more/h", "ignored")
        self.write("ctx/Dockerfile", "FROM base\nCOPY --from=more . /more/\n")
        found = self.tar_of("--build-context", "more=more", "--build-context", "base=docker-image://busybox", "ctx")
        self.assertEqual({"more/g": b"more"}, found)

    def test_a_layout_as_a_context(self):
        self.write("ctx/Dockerfile", "FROM base\nCOPY f /more/\n")
        self.build("-o", "type=oci,dest=layout.tar", "-t", "x:1", "-", input="FROM busybox\nRUN echo 1 > /of-layout\n")
        os.mkdir(self.path("layout"))
        subprocess.run(["tar", "-xf", self.path("layout.tar"), "-C", self.path("layout")], check=True)
        found = self.tar_of("--build-context", "base=oci-layout://layout:1", "ctx")
        self.assertEqual({"more/f": b"content\n", "of-layout": b"1\n"}, found)

    def test_an_image_that_is_here_as_a_cache(self):
        self.write("ctx/Dockerfile", HELLO)
        self.build("-t", "cached:1", "--cache-to", "type=inline", "ctx")
        self.build("-t", "plain:1", "-", input="FROM busybox\n")
        for name in ("cached:1", "plain:1"):  # of the second nothing comes
            told = steps(self.build("--progress=plain", "--cache-from", name, "ctx").stderr)
            self.assertEqual(["DONE"], told[f"importing cache manifest from {name}"])
        self.imaged.ctl("builder", "prune", "-af")
        told = steps(self.build("--progress=plain", "--cache-from", "cached:1", "ctx").stderr)
        self.assertEqual(["CACHED"], told["[3/3] COPY f /f"])

    def test_urls_that_give_nothing(self):
        with FakeRegistry() as registry:
            done = self.build("--progress=plain", f"http://{registry.host}/none", status=1)
        self.assertIn("[internal] load remote build context\n#1 ERROR: invalid response status 404\n", done.stderr)
        self.assertTrue(done.stderr.endswith("ERROR: failed to build: failed to solve: failed to read downloaded context: failed to load cache key: invalid response status 404\n"), done.stderr)

    def test_arguments_secrets_and_labels(self):
        self.write("secret", SECRET)
        self.write(
            "ctx/Dockerfile",
            "FROM busybox\nARG A=0\nARG B=0\nARG C=0\n"
            "RUN --mount=type=secret,id=file --mount=type=secret,id=variable "
            "wc -c < /run/secrets/file > /sizes && wc -c < /run/secrets/variable >> /sizes && echo $A$B$C > /args\n",
        )
        args = ["--secret", "id=file,src=secret", "--secret", "id=variable,env=VALUE", "--build-arg", "A=1", "--build-arg", "B", "--build-arg", "C"]
        found = self.tar_of(*args, "ctx", VALUE=SECRET + "x", B="2")
        size = len(SECRET)
        self.assertEqual({"sizes": f"{size}\n{size + 1}\n".encode(), "args": b"120\n"}, found)
        self.build(*args, "--label", "x=y", "--label", "z", "-t", "lab:1", "ctx", VALUE=SECRET, B="2")
        self.assertEqual({"x": "y", "z": ""}, json.loads(self.imaged.ctl("image", "inspect", "-f", "{{json .Config.Labels}}", "lab:1").stdout))
        self.imaged.stop()
        found = subprocess.run(["grep", "-rlF", SECRET, self.imaged.root], stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual("", found.stdout)

    def test_outputs(self):
        self.write("ctx/run", "#!\n", mode=0o751)
        os.utime(self.path("ctx", "run"), (1000, 1000))
        self.write("ctx/Dockerfile", "FROM scratch\nCOPY run f /d/\n")
        self.write("old/d/f", "old")
        os.symlink("/etc", self.path("old", "d", "run"))
        self.build("-o", "old", "-o", "type=tar,dest=out.tar", "-o", "type=oci,dest=oci.tar", "-o", "type=docker,dest=docker.tar", "-t", "o:1", "ctx")
        found = os.lstat(self.path("old", "d", "run"))
        self.assertEqual((0o751, 1000), (stat.S_IMODE(found.st_mode), int(found.st_mtime)))
        with open(self.path("old", "d", "f"), encoding="ascii") as file:
            self.assertEqual("content\n", file.read())
        with tarfile.open(self.path("out.tar")) as tar:
            self.assertIn("d/run", [m.name.removeprefix("./") for m in tar])
        for name in ("oci.tar", "docker.tar"):
            with tarfile.open(self.path(name)) as tar:
                self.assertIn("index.json" if name == "oci.tar" else "manifest.json", tar.getnames())
        self.imaged.ctl("load", "-i", self.path("docker.tar"))
        self.assertIn("o:1", self.imaged.ctl("images", "--format", "{{.Repository}}:{{.Tag}}").stdout)

    def test_files_about_the_result(self):
        self.write("ctx/Dockerfile", "FROM scratch\nCOPY f /\n")
        self.write("id", "of another build")
        done = self.build("-q", "--iidfile", "id", "--metadata-file", "md", "-t", "md:1", "ctx")
        with open(self.path("id"), encoding="ascii") as file:
            self.assertEqual(done.stdout.strip(), file.read())
        with open(self.path("md"), encoding="ascii") as file:
            text = file.read()
        self.assertTrue(text.startswith('{\n  "'))
        self.assertEqual(done.stdout.strip(), json.loads(text)["containerimage.config.digest"])
        self.assertEqual("docker.io/library/md:1", json.loads(text)["image.name"])
        self.write("ctx/Dockerfile", "FROM scratch\nCOPY nosuch /\n")
        self.build("--iidfile", "id", "ctx", status=1)
        self.assertFalse(os.path.exists(self.path("id")))

    def test_a_step_that_fails(self):
        self.write("ctx/Dockerfile.bad", "FROM busybox:latest\nRUN echo before; exit 3\n")
        done = self.build("-f", "ctx/Dockerfile.bad", "ctx", status=1)
        process = 'process "/bin/sh -c echo before; exit 3" did not complete successfully: exit code: 3'
        text = re.sub(r"(?m)^\d+\.\d+ ", "T ", plain(done.stderr))
        self.assertTrue(
            text.endswith(
                f"ERROR: {process}\n------\n > [2/2] RUN echo before; exit 3:\nT before\n------\n"
                "Dockerfile.bad:2\n--------------------\n   1 |     FROM busybox:latest\n   2 | >>> RUN echo before; exit 3\n   3 |     \n"
                f"--------------------\nERROR: failed to build: failed to solve: {process}\n"
            ),
            text,
        )
        done = self.build("-q", "-f", "ctx/Dockerfile.bad", "ctx", status=1)
        self.assertTrue(done.stderr.startswith("Dockerfile.bad:2\n"), done.stderr)

    def test_linters(self):
        self.write("ctx/Dockerfile", "from busybox:latest as Base\nrun true\n")
        done = self.build("--check", "ctx", status=1)
        self.assertIn("WARNING: StageNameCasing", done.stdout)
        done = self.build("ctx")
        self.assertIn("WARN: StageNameCasing: Stage name 'Base' should be lowercase (line 1)", done.stderr)
        self.assertRegex(done.stderr, r"\n \x1b\[33m\d warnings? found \(use build --debug to expand\):\n\x1b\[0m - ")
        self.assertNotIn("\x1b", self.build("ctx", NO_COLOR="1").stderr)
        self.write("ctx/Dockerfile", "FROM busybox:latest\n")
        self.assertIn("no warnings found", self.build("--check", "ctx").stdout)
        self.assertIn("TARGET", self.build("--call", "targets", "ctx").stdout)

    def test_rawjson(self):
        self.write("ctx/Dockerfile", HELLO)
        done = self.build("--progress", "rawjson", "ctx")
        events = [json.loads(line) for line in done.stderr.splitlines()]
        names = [v["name"] for e in events for v in e.get("vertexes", [])]
        self.assertIn("[3/3] COPY f /f", names)
        self.assertTrue(any("logs" in e for e in events))

    def start(self, *args, **more):
        return subprocess.Popen(
            [program("imagectl"), "build", "--network", "none", *args],
            cwd=self.dir,
            env={**os.environ, **self.environment, "IMAGED_HOST": self.imaged.address},
            **more,
        )

    def test_an_interrupt_cancels(self):
        self.write("ctx/Dockerfile", "FROM busybox\nRUN echo begun; sleep 1234567\n")
        process = self.start("--progress", "plain", "ctx", stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if line.endswith(" begun\n"):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        process.stderr.close()
        self.assertEqual(130, process.wait(60 * SLOW), rest)
        self.assertIn("canceling the build", rest)
        self.assertIn("CANCELED\n", rest)
        self.assertTrue(rest.endswith("ERROR: failed to build: failed to solve: Canceled: context canceled\n"), rest)
        self.wait_until(lambda: not self.sleepers(), "the step has ended")

    def sleepers(self):
        found = subprocess.run(["pgrep", "-fx", "sleep 1234567"], stdout=subprocess.PIPE, text=True, check=False)
        return found.stdout.split()

    def on_terminal(self, *args, columns=80, rows=24, typed=None, **environment):
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.environment.update({"TERM": "xterm", **environment})
        with contextlib.closing(os.fdopen(parent, "r+b", 0)) as out:
            process = self.start(*args, stdin=child, stdout=child, stderr=child)
            os.close(child)
            if typed:
                typed(out)
            return read_terminal(out, process), process.returncode

    def test_on_a_terminal(self):
        self.write("ctx/Dockerfile", HELLO)
        shown, status = self.on_terminal("ctx")
        self.assertEqual(0, status, shown)
        last = shown[shown.rindex("[+] Building") :].replace("\r", "").split("\n")
        self.assertRegex(last[0], r"^\[\+\] Building \d+\.\ds \((\d+)/\1\) FINISHED +imaged:default$")
        self.assertEqual(79, len(last[0]))
        self.assertTrue(any("=> [3/3] COPY f /f" in line for line in last), last)
        self.assertIn("\x1b[34m", shown)
        shown, _ = self.on_terminal("ctx", NO_COLOR="1")
        self.assertNotIn("\x1b[34m", shown)
        shown, _ = self.on_terminal("ctx", NO_COLOR="", TERM="dumb")
        self.assertIn("#1 [internal] load build definition from Dockerfile", shown)

    def test_explain(self):
        self.write("ctx/Dockerfile", "FROM busybox\nARG V\nRUN echo $V\nCOPY f /f\n")
        self.build("--build-arg", "V=1", "ctx")
        done = self.build("--explain", "--build-arg", "V=2", "ctx")
        self.assertIn("CHANGED: ", done.stderr)

    def test_called_by_its_other_names(self):
        self.write("ctx/Dockerfile", "FROM scratch\nCOPY f /\n")
        for words in (["image", "build"], ["builder", "build"], ["buildx", "build"], ["builder", "b"]):
            self.imaged.ctl(*words, "-q", self.path("ctx"), env=self.environment)


class Answers(Case):
    """A service that imaged is not."""

    def answer(self, *events, args=(), before=None, **more):
        address = f"unix://{self.path('fake.sock')}"
        self.write("ctx/Dockerfile", HELLO)

        def build(requests, context):
            self.start = next(requests).start
            if before:
                yield from before(requests, context)
            yield from events

        with FakeService(address, Build=build):
            return self.run_build(*args, "ctx", address=address, **more)

    def entry(self, path, mode=0o100644, **fields):
        entry = pb.ContextEntry(path=path, mode=mode, **fields)
        return pb.BuildEvent(output_entry=pb.OutputEntry(output=0, entry=entry))

    def data(self, data, end=False, output=0):
        return pb.BuildEvent(output_data=pb.OutputData(output=output, data=data, end=end))

    def done(self):
        return pb.BuildEvent(done=pb.BuildDone(image_id="sha256:" + "0" * 64))

    def test_files_stay_in_their_directory(self):
        os.mkdir(self.path("out"))
        self.write("victim", "untouched")
        os.symlink("..", self.path("out", "up"))
        os.symlink(self.path("victim"), self.path("out", "link"))
        for path in (b"../x", b"/x", b"a/../../x", b"up/victim", b"a\0b", b"", b".", b"a//b", b"nosuch/x"):
            done = self.answer(self.entry(path, size=1), self.data(b"1", end=True), self.done(), args=["-o", "out"])
            self.assertEqual(1, done.returncode, path)
            self.assertTrue(done.stderr.startswith("ERROR: failed to build: "), done.stderr)
        lie = self.entry(b"hard", size=0, same_as=b"up/victim")
        self.assertEqual(1, self.answer(lie, self.done(), args=["-o", "out"]).returncode)
        done = self.answer(self.entry(b"link", size=1), self.data(b"1", end=True), self.done(), args=["-o", "out"])
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertTrue(stat.S_ISREG(os.lstat(self.path("out", "link")).st_mode))
        with open(self.path("victim"), encoding="ascii") as file:
            self.assertEqual("untouched", file.read())
        self.assertEqual(["Dockerfile", "f"], sorted(os.listdir(self.path("ctx"))))

    def test_what_makes_no_sense_is_refused(self):
        one = self.entry(b"f", size=2)
        for text, *events in (
            ("the service sends bytes of no file", self.data(b"1")),
            ("output: a file is longer than was said", one, self.data(b"123", end=True)),
            ("output: a file is shorter than was said", one, self.data(b"1", end=True)),
            ("output: the last file has no end", one, self.data(b"12")),
            ("output: a file came before the end of the one before", one, one),
            ("output: a file of an unknown type", self.entry(b"s", mode=0o140755)),
            ("the service sends an output that was not asked for", self.data(b"1", output=1)),
            ("output: an entry without a path", pb.BuildEvent(output_entry=pb.OutputEntry(output=0))),
            ('the service asked for what build context "" has not', pb.BuildEvent(want_archive=pb.WantArchive(context=""))),
            ('the service asked for what build context "" has not', pb.BuildEvent(want_files=pb.WantFiles(context="", files=[99]))),
            ('the service asks for the SSH agent "other", which was not offered', pb.BuildEvent(agent=pb.AgentData(connection=1, ssh_id="other"))),
            ("the service says twice that the build is done", self.done()),
            ("the service opens a shell that was not asked for", pb.BuildEvent(shell=pb.ShellOutput(data=b"$ "))),
        ):
            done = self.answer(*events, self.done(), args=["-o", "out"])
            self.assertEqual((1, f"ERROR: failed to build: {text}\n"), (done.returncode, done.stderr))
        self.assertIn("the service ended the build without a result", self.answer().stderr)

    def test_nothing_is_kept_of_directories_that_are_whole(self):
        """Each is finished with the first entry that is not in it, however many there are."""

        def mtime(path):
            return os.stat(self.path("out", path)).st_mtime_ns if os.path.exists(self.path("out", path)) else 0

        def tree(_, __):
            for path, time in ((b"a", 1), (b"a/b", 2), (b"a/b/c", 3), (b"a/d", 4)):
                yield self.entry(path, mode=0o40700, mtime_ns=time * 10**9)
            self.wait_until(lambda: mtime("a/b") == 2 * 10**9, "a/b is finished")
            self.assertNotEqual(10**9, mtime("a"))
            yield self.entry(b"a-", mode=0o40755, mtime_ns=5 * 10**9)
            self.wait_until(lambda: mtime("a") == 10**9, "a is finished")

        done = self.answer(self.done(), args=["-o", "out"], before=tree)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual([t * 10**9 for t in (1, 2, 3, 4, 5)], [mtime(p) for p in ("a", "a/b", "a/b/c", "a/d", "a-")])

    def test_an_archive_appears_whole_or_not_at_all(self):
        args = ["-o", "type=tar,dest=out.tar"]
        self.write("out.tar", "old")
        self.assertEqual(1, self.answer(self.data(b"new"), self.done(), args=args).returncode)
        with open(self.path("out.tar"), encoding="ascii") as file:
            self.assertEqual("old", file.read())
        self.assertEqual(0, self.answer(self.data(b"new"), self.data(b"er", end=True), self.done(), args=args).returncode)
        with open(self.path("out.tar"), encoding="ascii") as file:
            self.assertEqual("newer", file.read())
        done = self.answer(self.data(b"raw", end=True), self.done(), args=["-o", "-"])
        self.assertEqual((0, "raw"), (done.returncode, done.stdout))

    def test_an_agent_is_forwarded(self):
        path, replies = self.path("agent.sock"), []
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()
        self.addCleanup(server.close)

        def serve():
            connection, _ = server.accept()
            with connection:
                while piece := connection.recv(100):
                    connection.sendall(piece.upper())

        threading.Thread(target=serve, daemon=True).start()

        def talk(requests, _):
            yield pb.BuildEvent(agent=pb.AgentData(connection=7, ssh_id="id", data=b"ask"))
            reply = b""
            for request in requests:
                replies.append(request.agent)
                reply += request.agent.data
                if reply == b"ASK":
                    yield pb.BuildEvent(agent=pb.AgentData(connection=7, end=True))
                if request.agent.end:
                    return

        done = self.answer(self.done(), args=["--ssh", f"id={path}"], before=talk)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(["id"], list(self.start.ssh_ids))
        self.assertEqual({7}, {r.connection for r in replies})

    def test_the_build_that_is_asked_for(self):
        self.write("config/config.json", json.dumps({
            "auths": {"reg.example:5000": {"auth": "dTpw"}, "other.example": {"auth": "dTpw"}},
            "proxies": {"default": {"httpProxy": "http://proxy.example:3128"}},
        }))
        done = self.answer(
            self.done(),
            args=["-t", "reg.example:5000/a:1", "--target", "t", "--no-cache-filter", "s", "--pull", "-m", "64m", "--shm-size", "1g",
                  "--ulimit", "nofile=1:2", "--add-host", "h:1.2.3.4", "--add-host", "i=::1", "--allow", "network.host", "--cache-from", "u/c:1",
                  "--cache-to", "type=registry,ref=u/c:1,mode=max", "--push", "-o", "type=image,compression=zstd,annotation.k=v",
                  "--annotation", "manifest:a=b", "--platform", "linux/amd64,linux/arm64"],
        )  # fmt: skip
        self.assertEqual(0, done.returncode, done.stderr)
        s = self.start
        self.assertEqual((HELLO.encode(), "Dockerfile", "t"), (s.dockerfile, s.dockerfile_name, s.target))
        self.assertEqual((["linux/amd64", "linux/arm64"], ["s"], True), (list(s.platforms), list(s.no_cache_stages), s.pull))
        self.assertEqual((64 << 20, 1 << 30, ["nofile=1:2"]), (s.limits.memory_bytes, s.limits.shm_bytes, list(s.limits.ulimits)))
        self.assertEqual([("h", "1.2.3.4"), ("i", "::1")], [(h.name, h.address) for h in s.extra_hosts])
        self.assertEqual([pb.BuildOutput.KIND_IMAGE, pb.BuildOutput.KIND_REGISTRY], [o.kind for o in s.outputs])
        self.assertEqual((pb.COMPRESSION_ZSTD, {"k": "v"}), (s.outputs[0].compression, dict(s.outputs[0].annotations)))
        self.assertEqual([("registry", "u/c:1")], [(c.type, c.reference) for c in s.cache_from])
        self.assertEqual([("registry", "u/c:1", True)], [(c.type, c.reference, c.max) for c in s.cache_to])
        self.assertEqual(["reg.example:5000"], [c.server_address for c in s.credentials])
        self.assertEqual({"HTTP_PROXY": "http://proxy.example:3128"}, dict(s.proxies))
        self.assertEqual(32, len(s.context.directory.id))

    def test_a_shell_has_the_terminal_as_it_is(self):
        typed = []

        def shell(requests, _):
            yield pb.BuildEvent(shell=pb.ShellOutput(data=b"$ "))
            for request in requests:
                typed.append(request.shell)
                if b"\x04" in request.shell.data:
                    break
            yield pb.BuildEvent(shell=pb.ShellOutput(data=b"bye\n", end=True))
            yield self.done()

        address = f"unix://{self.path('fake.sock')}"
        self.write("ctx/Dockerfile", HELLO)
        parent, child = pty.openpty()
        before = termios.tcgetattr(child)
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
        with FakeService(address, Build=lambda requests, context: shell(iter(requests), context)), contextlib.closing(os.fdopen(parent, "r+b", 0)) as out:
            command = [program("imagectl"), "build", "--debug-shell", "--progress", "plain", "ctx"]
            process = subprocess.Popen(
                command, cwd=self.dir, env={**os.environ, **self.environment, "IMAGED_HOST": address}, stdin=child, stdout=child, stderr=child
            )
            shown = b""
            while b"$ " not in shown:
                shown += out.read(100)
            self.wait_until(lambda: not termios.tcgetattr(child)[3] & termios.ECHO, "the terminal is raw")
            out.write(b"\x03\x04")  # an interrupt is the shell's
            self.assertEqual(0, process.wait(60 * SLOW), shown)
            self.assertEqual(before[3], termios.tcgetattr(child)[3])
            os.close(child)
        self.assertIn((90, 30), [(t.columns, t.rows) for t in typed])
        self.assertIn(b"\x03\x04", b"".join(t.data for t in typed))

    def test_what_the_service_says_of_a_failure(self):
        def end(_, context):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no luck")
            yield

        done = self.answer(before=end)
        self.assertEqual((1, "ERROR: failed to build: failed to solve: no luck\n"), (done.returncode, done.stderr))

    def test_a_shell_in_a_step(self):
        typed = []

        def shell(requests, _):
            yield pb.BuildEvent(shell=pb.ShellOutput(data=b"$ "))
            for request in requests:
                typed.append(request.shell)
                if request.shell.end:
                    break
            yield pb.BuildEvent(shell=pb.ShellOutput(data=b"bye\n", end=True))

        done = self.answer(self.done(), args=["--debug-shell"], before=shell, input="exit\n")
        self.assertEqual((0, "$ bye\n"), (done.returncode, done.stdout))
        self.assertTrue(self.start.debug_shell)
        self.assertEqual(b"exit\n", b"".join(t.data for t in typed))


if __name__ == "__main__":
    unittest.main()
