"""Build as a foreign client sees it: what is told, contexts of each form, errors, how a call ends."""

import gzip
import hashlib
import http.server
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import tarfile
import threading
import unittest

import fixtures
import grpc
from buildcall import Archive, BuildCall, url
from buildclient import Directory
from fakeregistry import FakeRegistry
from harness import TestCase, free_port, wait_listening
from ociimage import Image, Layer
from rpc import pb, reason
from runstep import processes

INVALID, CANCELLED, UNKNOWN = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN
ROOT = os.geteuid() == 0


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Web(http.server.ThreadingHTTPServer):
    """Files by path."""

    def __init__(self, files):
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                body = files.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class BuildCase(TestCase):
    arguments = ()

    def setUp(self):
        super().setUp()
        self.imaged = self.daemon(*self.arguments)
        self.client = self.imaged.client()

    def build(self, dockerfile, *contexts, **fields):
        return BuildCall(self.client, dockerfile, *contexts, **fields)

    def ok(self, dockerfile, *contexts, **fields):
        call = self.build(dockerfile, *contexts, **fields)
        call.done = call.run()
        return call

    def fails(self, code, text, dockerfile, *contexts, **fields):
        call = self.build(dockerfile, *contexts, **fields)
        error = call.fails()
        self.assertEqual(code, error.code(), error.details())
        self.assertIn(text, error.details())
        return call

    def files(self, call):
        """Of the image that was built."""
        out = {}
        data = b"".join(piece.data for piece in self.client.ExportTree(image=call.done.image_id))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                if member.name.strip("./"):
                    out[member.name.rstrip("/")] = tar.extractfile(member).read() if member.isreg() else None
        return out

    def idle(self):
        """No build runs any more, and no step's process."""
        self.wait_idle(self.client)


class Told(BuildCase):
    def test_a_build_without_steps(self):
        call = self.ok("FROM scratch\nCOPY a /b\nENV X=1\n", Directory("told", {"a": b"hello"}), tags=["told:1"])
        self.assertEqual(
            [
                "[internal] load build definition from Dockerfile",
                "[internal] load .dockerignore",
                "[internal] load build context",
                "[1/1] COPY a /b",
                "exporting to image",
            ],
            call.names(),
        )
        for name in call.names():
            self.assertEqual("DONE", call.state(name), name)
        for name, status in zip(call.names(), ("transferring dockerfile:", "transferring context:", "transferring context:")):
            self.assertEqual([status], [what for what, p in call.statuses(name).items() if p.done and p.current > 0])
        self.assertEqual(2, call.statuses(call.names()[1])["transferring context:"].current, "as BuildKit counts no file")
        self.assertEqual({"b": b"hello"}, self.files(call))
        inspected = self.client.InspectImage(image="told:1")
        self.assertEqual(call.done.image_id, inspected.image.id)
        self.assertIn("X=1", list(inspected.config.env.values))

    def test_what_is_known_is_not_done_again(self):
        first = self.ok("FROM scratch\nCOPY a /b\n", Directory("again", {"a": b"hello"}))
        source = Directory("again", {"a": b"hello"})
        second = self.ok("FROM scratch\nCOPY a /b\n", source)
        self.assertEqual("CACHED", second.state("[1/1] COPY a /b"))
        self.assertEqual(first.done.image_id, second.done.image_id)
        self.assertEqual((0, 0), (source.list_asked, source.sent), "nothing was sent again")

    def test_an_ignore_file_that_was_sent_along(self):
        context = Directory("ignore", {"a": b""}).context()
        context.ignore, context.ignore_name = b"*.o\nb\n", ".dockerignore"
        call = self.build("FROM scratch\nCOPY b /\n", context)
        call.sources = [Directory("ignore", {"a": b""})]
        error = call.fails()
        self.assertGreater(call.statuses("[internal] load .dockerignore")["transferring context:"].current, 6)
        self.assertIn("not found", error.details())
        self.assertIn("CopyIgnoredFile", [w.rule for w in call.warnings()])

    def test_warnings_come_with_their_places(self):
        call = self.ok("FROM scratch AS Foo\nENV a b\n")
        self.assertEqual([("StageNameCasing", 1, 1), ("LegacyKeyValueFormat", 2, 2)], [(w.rule, w.first_line, w.last_line) for w in call.warnings()])
        self.assertIn("   1 | >>> FROM scratch AS Foo\n", call.warnings()[0].excerpt.decode())
        self.assertEqual(2, call.done.warnings)

    def test_warnings_that_fail_a_build(self):
        self.fails(INVALID, "lint violation found for rules: StageNameCasing", "# check=error=true\nFROM scratch AS Foo\n")

    def test_an_unknown_syntax_is_told(self):
        call = self.ok("# syntax=example.com/mine\nFROM scratch\n")
        self.assertIn("example.com/mine", call.warnings()[0].message)
        self.assertEqual([], self.ok("# syntax=docker/dockerfile:1\nFROM scratch\n").warnings())

    def test_labels_of_the_command_line_win(self):
        call = self.ok("FROM scratch\nLABEL a=1 b=2\n", labels={"a": "3", "c": "4"})
        labels = dict(self.client.InspectImage(image=call.done.image_id).config.labels.values)
        self.assertEqual({"a": "3", "b": "2", "c": "4"}, labels)

    def test_arguments(self):
        call = self.ok(
            "ARG B=scratch\nFROM $B\nARG X=1 TARGETPLATFORM BUILDPLATFORM TARGETVARIANT\nENV x=$X t=$TARGETPLATFORM b=$BUILDPLATFORM v=[$TARGETVARIANT]\n",
            arguments=[pb.BuildArgument(name="X", value="2"), pb.BuildArgument(name="UNUSED", value="")],
        )
        env = dict(e.split("=", 1) for e in self.client.InspectImage(image=call.done.image_id).config.env.values)
        self.assertEqual("2", env["x"])
        self.assertEqual(env["t"], env["b"])
        if env["t"].startswith("linux/amd64"):
            self.assertEqual(("linux/amd64", "[]"), (env["t"], env["v"]), "what the processor can do is no part of it")
        self.assertEqual([], call.warnings())

    def test_the_record_of_a_build(self):
        call = self.ok("FROM scratch\n", tags=["r:1"])
        [started] = call.told("started")
        [build] = self.client.ListBuilds(id=started.build_id).builds
        self.assertEqual((pb.BuildInfo.STATE_DONE, call.done.image_id, ["r:1"]), (build.state, build.image_id, list(build.tags)))
        log = list(self.client.GetBuildLog(id=started.build_id))
        self.assertEqual([e.WhichOneof("event") for e in call.events], [e.WhichOneof("event") for e in log])

    def test_an_epoch_makes_builds_alike(self):
        epoch = [pb.BuildArgument(name="SOURCE_DATE_EPOCH", value="1700000000")]
        one = self.ok("FROM scratch\nCOPY a /d/\n", Directory("e1", {"a": b"x"}), arguments=epoch)
        other = self.daemon(name="o").client()
        two = BuildCall(other, "FROM scratch\nCOPY a /d/\n", Directory("e2", {"a": b"x"}), arguments=epoch).run()
        self.assertEqual(one.done.digest, two.digest)
        self.fails(INVALID, "invalid SOURCE_DATE_EPOCH: soon", "FROM scratch\n", arguments=[pb.BuildArgument(name="SOURCE_DATE_EPOCH", value="soon")])
        self.fails(INVALID, "invalid SOURCE_DATE_EPOCH", "FROM scratch\n", Directory("e3", {}), arguments=[pb.BuildArgument(name="SOURCE_DATE_EPOCH", value="context")])


class Reports(BuildCase):
    FILE = "# g what it is\nARG g=1\nFROM scratch AS one\nARG X=3\nFROM one\nRUN --mount=type=secret,id=s,required --mount=type=ssh true\n"

    def report(self, call, dockerfile=FILE, **fields):
        done = self.ok(dockerfile, call=call, **fields)
        self.assertEqual([], self.client.images(), "nothing is built")
        return done.done.report.decode()

    def test_check(self):
        self.assertEqual("", self.report("check"))
        found = self.report("check", "FROM scratch AS Foo\n")
        self.assertIn("WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/\n", found)
        self.assertIn('"ruleName": "StageNameCasing"', self.report("check,format=json", "FROM scratch AS Foo\n"))

    def test_check_tells_why_it_cannot_be_built(self):
        found = self.report("check", "FROM scratch\nFOO\n")
        self.assertIn("dockerfile parse error on line 2: unknown instruction: FOO", found)
        self.assertIn("   2 | >>> FOO\n", found)

    def test_outline(self):
        self.assertEqual(
            "BUILD ARG VALUE DESCRIPTION\ng         1     what it is\nX         3     \n\nSECRET REQUIRED\ns      true\n\nSSH     REQUIRED\ndefault \n\n",
            self.report("outline"),
        )
        self.assertIn('"required": true', self.report("outline,format=json"))

    def test_targets(self):
        self.assertEqual("TARGET    DESCRIPTION\none       \n(default) \n", self.report("targets"))
        self.assertIn('"default": true', self.report("targets,format=json"))

    def test_no_such_call(self):
        self.fails(INVALID, 'invalid call "dance"', "FROM scratch\n", call="dance")


class Errors(BuildCase):
    def test_of_the_dockerfile(self):
        for text, wanted in (
            ("", "the Dockerfile cannot be empty"),
            ("# nothing\n", "file with no instructions"),
            ("RUN x\n", "no build stage in current context"),
            ("FROM scratch\nFOO\n", "dockerfile parse error on line 2: unknown instruction: FOO"),
            ("FROM scratch\nCOPY a\n", "COPY requires at least two arguments"),
            ("FROM UPPER\n", "must be lowercase"),
        ):
            call = self.fails(INVALID, wanted, text)
            if text.startswith("FROM scratch"):
                self.assertIn("   2 | >>> ", call.excerpt())

    def test_of_what_is_asked_for(self):
        for wanted, fields in (
            ('target stage "nope" could not be found', {"target": "nope"}),
            ('invalid tag "Bad:1": ', {"tags": ["Bad:1"]}),
            ('"a/b/c/d": cannot parse platform specifier: invalid argument', {"platforms": ["a/b/c/d"]}),
            ('invalid key-value pair "=x": empty key', {"arguments": [pb.BuildArgument(name="", value="x")]}),
            ("invalid entitlement: root", {"allow": ["root"]}),
            ("invalid ulimit argument: nofile", {"limits": pb.StepLimits(ulimits=["nofile"])}),
            ("ulimit soft limit must be less than or equal to hard limit", {"limits": pb.StepLimits(ulimits=["nofile=2:1"])}),
            ("is negative", {"limits": pb.StepLimits(memory_bytes=-1)}),
            ('network mode "bridge" not supported', {"network": "bridge"}),
        ):
            self.fails(INVALID, wanted, "FROM scratch\n", **fields)

    def test_more_than_anybody_asks_for(self):
        for wanted, fields in (
            ("1001 entitlements: a build has at most 1000", {"allow": ["network.host"] * 1001}),
            ("1001 ulimits: a build has at most 1000", {"limits": pb.StepLimits(ulimits=["nofile=1"] * 1001)}),
            ("1001 tags: a build has at most 1000", {"tags": ["a"] * 1001}),
        ):
            self.fails(grpc.StatusCode.RESOURCE_EXHAUSTED, wanted, "FROM scratch\n", **fields)

    def test_entitlements_are_the_services_to_give(self):
        error = self.build("FROM scratch\n", allow=["security.insecure"]).fails()
        self.assertEqual(grpc.StatusCode.PERMISSION_DENIED, error.code())
        self.assertEqual("granting entitlement security.insecure is not allowed by build daemon configuration", error.details())
        none = self.daemon("--build-allow", "none", name="none").client()
        self.assertIn("network.host", BuildCall(none, "FROM scratch\n", network="host").fails().details())
        self.ok("FROM scratch\n", network="host")

    def test_a_missing_source(self):
        call = self.build("FROM scratch\nCOPY nosuch /\n", Directory("missing", {"a": b""}))
        error = call.fails()
        self.assertIn("/nosuch", error.details())
        self.assertIn("not found", error.details())
        self.assertIn("   2 | >>> COPY nosuch /\n", call.excerpt())

    def test_without_a_context_there_are_no_files(self):
        error = self.build("FROM scratch\nCOPY a /\n").fails()
        self.assertIn("not found", error.details())

    def test_messages_that_make_no_sense(self):
        def answer(*requests, then=None):
            call = self.client.Build(request=iter([*requests]), timeout=60)
            with self.assertRaises(grpc.RpcError) as caught:
                list(call)
            return caught.exception

        start = pb.BuildRequest(start=pb.BuildStart(dockerfile=b"FROM scratch\nCOPY a /\n", context=Directory("hostile", {"a": b"x"}).context()))
        for requests in (
            [],
            [pb.BuildRequest()],
            [pb.BuildRequest(list=pb.ContextList())],
            [start, start],
            [start, pb.BuildRequest(list=pb.ContextList(context="other", last=True))],
            [start, pb.BuildRequest(data=pb.ContextData(context=""))],
            [start, pb.BuildRequest(archive=pb.ArchiveData(context="", data=b"x"))],
            [start, pb.BuildRequest(agent=pb.AgentData(connection=1))],
            [pb.BuildRequest(start=pb.BuildStart(dockerfile=b"FROM scratch\n", context=pb.BuildContext(name="x")))],
            [pb.BuildRequest(start=pb.BuildStart(dockerfile=b"FROM scratch\n", named_contexts=[pb.BuildContext(name="x")] * 2))],
            [pb.BuildRequest(start=pb.BuildStart(dockerfile=b"FROM scratch\n", context=pb.BuildContext(url="ftp://x/y")))],
            [pb.BuildRequest(start=pb.BuildStart(dockerfile=b"FROM scratch\n", context=pb.BuildContext(directory=pb.ClientDirectory())))],
        ):
            self.assertEqual(INVALID, answer(*requests).code(), requests)
        self.ok("FROM scratch\n")

    def test_an_archive_that_was_not_asked_for(self):
        """Its first bytes end the build: a receiver that kept them would wait for ever, and all else behind it."""
        call = self.build("FROM scratch\nCOPY a /\n", Archive(b"", name="never"), Directory("beside", {"a": b"x"}))
        call.sources = []
        call.send(pb.BuildRequest(archive=pb.ArchiveData(context="never", data=b"x")))
        error = call.fails()
        self.assertEqual(INVALID, error.code(), error.details())
        self.assertIn('build context "never": an archive that was not asked for', error.details())
        self.ok("FROM scratch\n")

    def test_a_client_that_has_ended_its_part(self):
        call = self.build("FROM scratch\nCOPY a /\n", Directory("half", {"a": b"x"}))
        call.sources = []
        call.half_close()
        error = call.fails()
        self.assertIn("the client has ended its part of the build", error.details())

    def test_caches_of_an_unknown_kind(self):
        for _ in range(10):
            self.fails(INVALID, 'unknown cache exporter: "x"', "FROM scratch\nCOPY a /\n", Directory("d", {"a": b"1"}), cache_to=[pb.CacheTarget(type="x")])
        self.ok("FROM scratch\nCOPY a /\n", Directory("d", {"a": b"1"}))

    def test_times_that_no_file_has(self):
        for seconds, wanted in ((-99999999999999, -(1 << 63)), (99999999999999, (1 << 63) - 1), (-5, -5 * 10**9)):
            call = self.ok("FROM scratch\nCOPY a /\n", Directory("d", {"a": b"1"}), outputs=[pb.BuildOutput(kind=pb.BuildOutput.KIND_LOCAL)],
                           arguments=[pb.BuildArgument(name="SOURCE_DATE_EPOCH", value=str(seconds))])  # fmt: skip
            self.assertEqual([wanted], [e.entry.mtime_ns for e in call.told("output_entry")])


class Contexts(BuildCase):
    FILES = {"Dockerfile": b"FROM scratch\nCOPY a /b\n", "a": b"hello", "sub/Dockerfile": b"FROM scratch\nCOPY s /\n", "sub/s": b"s"}

    def test_an_archive(self):
        for data in (tar_of(self.FILES), gzip.compress(tar_of(self.FILES))):
            call = self.ok(None, Archive(data))
            self.assertEqual(["[internal] load remote build context", "copy /context /", "[1/1] COPY a /b", "exporting to image"], call.names())
            self.assertEqual({"b": b"hello"}, self.files(call))

    def test_an_archive_that_is_a_dockerfile(self):
        call = self.ok(None, Archive(b"FROM scratch\nENV a=b\n"))
        self.assertEqual(["[internal] load remote build context", "exporting to image"], call.names())
        self.assertIn("not found", self.build(None, Archive(b"FROM scratch\nCOPY a /\n")).fails().details())

    def test_the_name_of_the_dockerfile(self):
        call = self.ok(None, Archive(tar_of({"x/y": b"FROM scratch\n"})), dockerfile_name="x/y")
        self.assertEqual("DONE", call.state("copy /context /"))
        self.ok(None, Archive(tar_of({"dockerfile": b"FROM scratch\n"})))
        error = self.build(None, Archive(tar_of({"a": b""}))).fails()
        self.assertEqual("failed to read dockerfile: open Dockerfile: no such file or directory", error.details())

    def test_a_dockerfile_beside_an_archive(self):
        call = self.ok("FROM scratch\nCOPY a /c\n", Archive(tar_of(self.FILES)))
        self.assertEqual({"c": b"hello"}, self.files(call))

    def test_a_url(self):
        web = Web({"/c.tar.gz": gzip.compress(tar_of(self.FILES)), "/Dockerfile": b"FROM scratch\nENV a=b\n"})
        self.addCleanup(web.stop)
        self.assertEqual({"b": b"hello"}, self.files(self.ok(None, url(f"{web.url}/c.tar.gz"))))
        call = self.ok(None, url(f"{web.url}/Dockerfile"))
        self.assertIn("a=b", list(self.client.InspectImage(image=call.done.image_id).config.env.values))
        call = self.build(None, url(f"{web.url}/nope.tar"))
        self.assertIn("404", call.fails().details())
        self.assertEqual("FAILED", call.state("[internal] load remote build context"))

    @unittest.skipUnless(shutil.which("git"), "needs git")
    def test_a_git_repository(self):
        served, work = self.path("served"), self.path("work")
        for name, data in self.FILES.items():
            os.makedirs(os.path.dirname(os.path.join(work, name)), exist_ok=True)
            with open(os.path.join(work, name), "wb") as file:
                file.write(data)
        env = {**os.environ, "GIT_AUTHOR_DATE": "1600000000 +0000", "GIT_COMMITTER_DATE": "1600000000 +0000"}
        for command in (
            ["init", "-q", "-b", "main", work],
            ["-C", work, "add", "-A"],
            ["-C", work, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "m"],
            ["clone", "-q", "--bare", work, os.path.join(served, "r.git")],
        ):
            subprocess.run(["git", *command], check=True, env=env)
        port = free_port()
        command = ["git", "daemon", "--export-all", "--reuseaddr", f"--base-path={served}", "--listen=127.0.0.1", f"--port={port}"]
        git = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(git.wait, 20)
        self.addCleanup(os.killpg, git.pid, signal.SIGTERM)
        wait_listening(port, git)
        source = f"git://127.0.0.1:{port}/r.git#main:sub"
        call = self.ok(None, url(source), arguments=[pb.BuildArgument(name="SOURCE_DATE_EPOCH", value="context")])
        self.assertEqual(f"[internal] load git source {source}", call.names()[0])
        self.assertEqual({"s": b"s"}, self.files(call))
        self.assertEqual(1600000000, self.client.InspectImage(image=call.done.image_id).image.created.seconds)

    def test_named_directories(self):
        call = self.ok(
            "FROM scratch\nCOPY a /\nCOPY --from=other b /\n",
            Directory("main", {"a": b"A"}),
            Directory("other", {"b": b"B", "c": b"not wanted"}, name="other"),
        )
        self.assertEqual({"a": b"A", "b": b"B"}, self.files(call))
        self.assertIn("[context other] load from client", call.names())

    def test_what_is_not_needed_is_not_asked_for(self):
        main, other = Directory("need", {"a": b"A", "b": b"B"}), Directory("unused", {"x": b"X"}, name="unused")
        self.ok("FROM scratch AS no\nCOPY b /\nFROM scratch\nCOPY a /\n", main, other)
        self.assertEqual((["a"], 0), (main.paths(), other.list_asked))

    def test_a_named_context_stands_for_a_stage_or_an_image(self):
        call = self.ok("FROM scratch AS base\nCOPY a /\nFROM base\nFROM busybox\nCOPY --from=base x /y\n", Directory("stage", {"x": b"X"}, name="base"), Directory("image", {"z": b"Z"}, name="busybox"))
        self.assertEqual({"y": b"X", "z": b"Z"}, self.files(call))

    def test_targets_of_other_files_are_refused(self):
        call = self.build("FROM scratch\n", url("target:x", name="a"))
        self.assertIn("target:x", call.fails().details())

    def test_a_server_that_is_slow_holds_up_no_other_build(self):
        class Held(dict):
            """/slow comes when it may."""

            asked, may = threading.Event(), threading.Event()

            def get(self, path):
                self.asked.set()
                self.may.wait(60)
                return super().get(path)

        files = Held({"/slow": b"slow"})
        web = Web(files)
        self.addCleanup(web.stop)
        self.addCleanup(files.may.set)
        client = self.daemon("--build-parallel", "1", name="one").client()
        digest = hashlib.sha256(b"slow").hexdigest()
        slow = BuildCall(client, f"FROM scratch\nADD --checksum=sha256:{digest} {web.url}/slow /\n")
        thread = threading.Thread(target=slow.run)
        thread.start()
        self.assertTrue(files.asked.wait(60))
        BuildCall(client, "FROM scratch\nCOPY a /\n", Directory("d", {"a": b"1"})).run()
        self.assertFalse(files.may.is_set())
        files.may.set()
        thread.join()
        self.assertEqual("done", slow.events[-1].WhichOneof("event"))


class Images(BuildCase):
    def setUp(self):
        super().setUp()
        self.registry = self.enterContext(FakeRegistry())

    def test_is_pulled_once_and_then_taken_from_the_store(self):
        name = fixtures.registry().host + "/busybox:oci-gzip"
        first = self.ok(f"FROM {name}\nENV a=b\n")
        self.assertEqual(["DONE"] * 2, [first.state(f"[internal] load metadata for {name}"), first.state(f"[1/1] FROM {name}")])
        statuses = first.statuses(f"[1/1] FROM {name}")
        self.assertTrue([w for w in statuses if w.startswith(f"resolve {name}@sha256:")], statuses)
        self.assertTrue([p for w, p in statuses.items() if w.startswith("sha256:") and p.done and p.current == p.total], statuses)
        self.assertIn(name, [tag for image in self.client.images() for tag in image.repo_tags])
        second = self.ok(f"FROM {name}\nENV a=c\n")
        self.assertEqual({}, second.statuses(f"[1/1] FROM {name}"))
        third = self.ok(f"FROM {name}\nENV a=c\n", pull=True)
        self.assertTrue([w for w in third.statuses(f"[1/1] FROM {name}") if w.startswith("resolve ")])

    def test_that_does_not_exist(self):
        call = self.build(f"FROM scratch\nFROM {self.registry.host}/nosuch:1\nRUN x\n")
        error = call.fails()
        self.assertIn(f"{self.registry.host}/nosuch:1: failed to resolve source metadata for {self.registry.host}/nosuch:1: ", error.details())
        self.assertEqual("FAILED", call.state(f"[internal] load metadata for {self.registry.host}/nosuch:1"))
        self.assertIn("   2 | >>> FROM ", call.excerpt())

    def test_whose_registry_cannot_be_reached(self):
        """In BuildKit's words, which name the manifest."""
        for name, what in (("a/b:1", "1"), ("a/b@sha256:" + "1" * 64, "sha256:" + "1" * 64)):
            call = self.build(f"FROM 127.0.0.1:1/{name}\nENV a=b\n")
            why = f'failed to do request: Head "http://127.0.0.1:1/v2/a/b/manifests/{what}": dial tcp 127.0.0.1:1: connect: connection refused'
            self.assertEqual(f"127.0.0.1:1/{name}: failed to resolve source metadata for 127.0.0.1:1/{name}: {why}", call.fails().details())

    def test_of_stages_that_are_not_needed_are_not_looked_for(self):
        call = self.ok(f"FROM {self.registry.host}/nosuch:1 AS unused\nRUN x\nFROM scratch\nENV a=b\n")
        self.assertEqual(["[internal] load build definition from Dockerfile", "exporting to image"], call.names())
        self.assertEqual(0, self.registry.count())

    def test_by_the_platform_of_from(self):
        name = fixtures.registry().host + "/multi:oci"
        arm = self.ok(f"FROM --platform=linux/arm64 {name}\nENV a=b\n")
        here = self.ok(f"FROM {name}\nENV a=b\n")
        self.assertIn(b"arm64", self.files(arm)["etc/platform"])
        self.assertNotEqual(self.files(arm)["etc/platform"], self.files(here)["etc/platform"])
        self.assertIn("FromPlatformFlagConstDisallowed", [w.rule for w in arm.warnings()])

    TWO = {"platforms": ["linux/amd64", "linux/amd64/v2"]}

    @unittest.skipUnless(ROOT and platform.machine() == "x86_64", "needs root, and a machine that runs both")
    def test_platforms_at_the_same_time(self):
        """Each waits for the other."""
        both = "while [ $(ls /c | wc -l) != 2 ]; do usleep 20000; done"
        self.ok(f"FROM {fixtures.registry().host}/busybox:oci-gzip\nARG TARGETPLATFORM\nRUN --mount=type=cache,target=/c mkdir /c/$(echo $TARGETPLATFORM | tr / _); {both}\n", **self.TWO)

    @unittest.skipUnless(ROOT and platform.machine() == "x86_64", "needs root, and a machine that runs both")
    def test_a_platform_that_fails_ends_the_others(self):
        marker = f"6{os.getpid()}3"
        begun = "--mount=type=cache,target=/begun"
        call = self.build(
            f"FROM {fixtures.registry().host}/busybox:oci-gzip\nARG TARGETVARIANT\n"
            f"RUN {begun} if [ $TARGETVARIANT ]; then until [ -e /begun/it ]; do usleep 20000; done; exit 7; fi; touch /begun/it; sleep {marker}\n", **self.TWO
        )  # fmt: skip
        self.assertIn("exit code: 7", call.fails().details())
        self.assertIn(">>> RUN", call.excerpt())
        self.assertEqual([], processes(f"sleep\0{marker}"))

    def test_several_platforms(self):
        name = fixtures.registry().host + "/multi:oci"
        call = self.ok(
            f"FROM --platform=linux/amd64 {name} AS b\nCOPY a /\nFROM {name}\nCOPY --from=b a /\n",
            Directory("platforms", {"a": b"A"}),
            platforms=["linux/amd64", "linux/arm64"],
        )
        for title in (
            f"[linux/amd64 internal] load metadata for {name}",
            f"[linux/arm64 internal] load metadata for {name}",
            f"[linux/arm64 stage-1 1/2] FROM {name}",
            "[linux/amd64 stage-1 2/2] COPY --from=b a /",
            "[linux/arm64 stage-1 2/2] COPY --from=b a /",
        ):
            self.assertIn(title, call.names())
        copies = [n for n in call.names() if n.endswith(" b 2/2] COPY a /")]
        self.assertEqual(1, len(copies), "what both need is made once")
        self.assertIn("index", call.done.descriptor.media_type)

    def test_a_named_context_that_is_an_image(self):
        name = fixtures.registry().host + "/busybox:oci-gzip"
        call = self.ok("FROM base\nENV a=b\n", url(f"docker-image://{name}", name="base"))
        self.assertIn("bin/busybox", self.files(call))

    @staticmethod
    def layout(image, **annotations):
        index = {"schemaVersion": 2, "manifests": [image.descriptor(annotations=annotations)]}
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode(), "blobs": None, "blobs/sha256": None}
        for digest, data in [(image.digest, image.data)] + [(blob.digest, blob.data) for blob in image.blobs]:
            files["blobs/sha256/" + digest.split(":")[1]] = data
        return files

    def test_a_named_context_that_is_an_oci_layout(self):
        image = Image([Layer(fixtures.tar({"f": b"of a layout"}))], config={"config": {"Env": ["L=1"]}})
        files = self.layout(image, **{"org.opencontainers.image.ref.name": "v1"})
        for suffix in ("", ":v1", "@" + image.digest):
            call = self.ok("FROM base\nENV a=b\n", url(f"oci-layout://files{suffix}", name="base"), Directory("layout", files, name="files"))
            self.assertEqual({"f": b"of a layout"}, self.files(call))
            self.assertEqual(["L=1", "a=b"], [e for e in self.client.InspectImage(image=call.done.image_id).config.env.values if not e.startswith("PATH")])
        self.assertEqual([], [tag for image in self.client.images() for tag in image.repo_tags], "a layout names nothing here")
        for suffix in (":v2", "@sha256:" + "0" * 64):
            call = self.build("FROM base\n", url(f"oci-layout://files{suffix}", name="base"), Directory("layout", files, name="files"))
            self.assertIn("the OCI layout of context base has no image", call.fails().details())
        broken = {**files, "index.json": b"{}"}
        self.build("FROM base\n", url("oci-layout://files", name="base"), Directory("broken", broken, name="files")).fails()
        self.build("FROM base\n", url("oci-layout://nowhere", name="base")).fails()

    def test_configurations_are_all_that_a_check_wants(self):
        name = fixtures.registry().host + "/busybox:oci-gzip"
        self.ok(f"FROM {name}\nRUN x\n", call="check")
        self.assertEqual([], self.client.images())


@unittest.skipUnless(ROOT and (shutil.which("crun") or shutil.which("runc")), "needs root and crun")
class Steps(BuildCase):
    def setUp(self):
        super().setUp()
        self.base = fixtures.registry().host + "/busybox:oci-gzip"

    def test_run_and_copy(self):
        call = self.ok(f"FROM {self.base}\nRUN echo one; echo two >&2; echo x >/x\nCOPY a /b\nRUN cat /x /b\n", Directory("steps", {"a": b"A"}))
        self.assertEqual({"one", "two"}, set(call.log("[2/4] RUN echo one; echo two >&2; echo x >/x").split()))
        self.assertEqual("x\nA", call.log("[4/4] RUN cat /x /b"))
        self.assertEqual(b"x\n", self.files(call)["x"])

    def test_a_step_that_fails(self):
        call = self.fails(UNKNOWN, 'process "/bin/sh -c echo before; exit 3" did not complete successfully: exit code: 3', f"FROM {self.base}\nRUN echo before; exit 3\n")
        self.assertEqual("FAILED", call.state("[2/2] RUN echo before; exit 3"))
        self.assertIn("   2 | >>> RUN echo before; exit 3\n", call.excerpt())
        self.assertEqual("before\n", call.log("[2/2] RUN echo before; exit 3"))

    def test_secrets_are_seen_and_not_told(self):
        secret = b"s3cr3t-of-a-build"
        call = self.ok(f"FROM {self.base}\nRUN --mount=type=secret,id=s wc -c </run/secrets/s\n", secrets=[pb.BuildSecret(id="s", value=secret)])
        self.assertEqual(str(len(secret)), call.log(call.names()[-2]).strip())
        for folder, _, names in os.walk(self.imaged.root):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(secret, file.read(), os.path.join(folder, name))
        self.assertNotIn(secret.decode(), self.imaged.log)

    def test_two_at_once_share_a_step(self):
        dockerfile = f"FROM {self.base}\nRUN cat /proc/sys/kernel/random/uuid >/u\n"
        calls = [self.build(dockerfile) for _ in range(2)]
        results = [None, None]

        def run(i):
            results[i] = calls[i].run()

        threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(results[0].image_id, results[1].image_id)

    def test_a_client_that_does_not_read_holds_up_no_other(self):
        """Of two builds that share a step which says more than fits in between."""
        dockerfile = f"FROM {self.base}\nRUN --mount=type=cache,target=/c echo begun; until [ -e /c/go ]; do usleep 20000; done; yes {'x' * 80} | head -n 200000; echo end\n"
        idle = BuildCall(self.imaged.client(), dockerfile)
        idle.until(lambda e: e.WhichOneof("event") == "log")
        call = self.build(dockerfile)
        call.until(lambda e: e.WhichOneof("event") == "log")
        self.ok(f"FROM {self.base}\nRUN --mount=type=cache,target=/c touch /c/go\n")
        call.run()
        name = next(n for n in call.names() if " RUN " in n)
        # On a machine with much to do, this client may be too slow as well; it is not held up.
        self.assertRegex(call.log(name)[-80:], r"(end|the build's log has it\])\n$")
        idle.run()
        self.assertIn("[output clipped, as it was not read", idle.log(name))
        log = self.imaged.ctl("build", "history", "logs", idle.told("started")[0].build_id)
        self.assertIn("end\n", log.stdout + log.stderr)

    def test_who_joins_waits_for_no_reader(self):
        """A build that alone owns a step, and does not read what it says, holds up nobody who comes later."""
        dockerfile = f"FROM {self.base}\nRUN --mount=type=cache,target=/c echo begun; until [ -e /c/go ]; do head -c 65536 /dev/zero | tr '\\\\0' x; done; echo end\n"
        idle = BuildCall(self.imaged.client(), dockerfile)
        idle.until(lambda e: e.WhichOneof("event") == "log")
        self.wait_until(lambda: any(self.waits_for_a_pipe(p) for p in processes("tr\0\\\\0\0x\0")), "nobody reads what the step says")
        call = self.build(dockerfile)
        call.until(lambda e: e.WhichOneof("event") == "log")
        self.ok(f"FROM {self.base}\nRUN --mount=type=cache,target=/c touch /c/go\n")
        call.run()
        idle.run()  # it was not ended for what it did not read

    @staticmethod
    def waits_for_a_pipe(pid):
        try:
            with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
                return "pipe_write" in file.read()
        except OSError:
            return False

    def test_a_cancelled_step_ends(self):
        call = self.build(f"FROM {self.base}\nRUN echo begun; sleep 1000\n")
        call.until(lambda e: e.WhichOneof("event") == "log")
        call.call.cancel()
        self.idle()
        [started] = call.told("started")
        self.wait_until(lambda: self.client.ListBuilds(id=started.build_id).builds[0].state != pb.BuildInfo.STATE_RUNNING, "the build has ended")
        self.assertEqual(pb.BuildInfo.STATE_CANCELED, self.client.ListBuilds(id=started.build_id).builds[0].state)
        self.assertEqual([], [p for p in os.listdir("/proc") if p.isdigit() and self.is_sleeper(p)])

    @staticmethod
    def is_sleeper(pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return b"sleep\x001000\x00" in file.read()
        except OSError:
            return False


class Ends(BuildCase):
    """A call that ends early, in each phase."""

    def ended(self, call):
        self.idle()
        [started] = call.told("started")
        self.wait_until(lambda: self.client.ListBuilds(id=started.build_id).builds[0].state == pb.BuildInfo.STATE_CANCELED, "the build is on record as cancelled")
        self.ok("FROM scratch\n")

    def cancel_at(self, call, wanted):
        call.sources = []
        call.until(wanted)
        call.call.cancel()
        self.ended(call)

    def test_while_the_list_is_wanted(self):
        self.cancel_at(self.build("FROM scratch\nCOPY a /\n", Directory("c1", {"a": b"x"})), lambda e: e.WhichOneof("event") == "want_list")

    def test_while_files_are_wanted(self):
        self.ok("FROM scratch\n", Directory("c2", {"a": b"x"}))
        source = Directory("c2", {"a": b"x"})
        call = self.build("FROM scratch\nCOPY a /\n", source)
        call.until(lambda e: e.WhichOneof("event") == "want_list")
        self.cancel_at(call, lambda e: e.WhichOneof("event") == "want_files")

    def test_while_an_archive_comes(self):
        call = self.build(None, Archive(tar_of({"Dockerfile": b"FROM scratch\n"})))
        self.cancel_at(call, lambda e: e.WhichOneof("event") == "want_archive")

    def test_while_the_service_stops(self):
        call = self.build("FROM scratch\nCOPY a /\n", Directory("c3", {"a": b"x"}))
        call.sources = []
        call.until(lambda e: e.WhichOneof("event") == "want_list")
        self.imaged.process.terminate()
        error = call.fails()
        self.assertEqual(grpc.StatusCode.UNAVAILABLE, error.code(), error.details())
        self.assertEqual("the service is shutting down", error.details())

    def test_while_an_image_is_fetched(self):
        with FakeRegistry() as registry:
            registry.fault("GET", "/manifests/", delay=30)
            call = self.build(f"FROM {registry.host}/slow:1\nENV a=b\n")
            self.cancel_at(call, lambda e: e.WhichOneof("event") == "step" and "load metadata" in e.step.name)

    def test_what_the_client_says_wrong_ends_it_with_that(self):
        source = Directory("wrong", {"a": b"x"})
        call = self.build("FROM scratch\nCOPY a /\n", source)
        call.sources = []
        call.until(lambda e: e.WhichOneof("event") == "want_list")
        call.send(pb.BuildRequest(list=pb.ContextList(entries=[pb.ContextEntry(path=b"../x", mode=0o100644)], last=True)))
        error = call.fails()
        self.assertEqual(INVALID, error.code(), error.details())
        self.assertEqual("INVALID_ARGUMENT", reason(error))
        self.ok("FROM scratch\n")


@unittest.skipUnless(ROOT and (shutil.which("crun") or shutil.which("runc")), "needs root and crun")
class Shell(BuildCase):
    """--debug-shell: the place of a step that failed."""

    def test_sees_what_the_step_has_left(self):
        base = fixtures.registry().host + "/busybox:oci-gzip"
        call = self.build(f"FROM {base}\nWORKDIR /w\nRUN echo left >f; false\n", debug_shell=True)
        call.until(lambda e: e.WhichOneof("event") == "shell")
        self.assertEqual("FAILED", call.state("[3/3] RUN echo left >f; false"))
        call.send(pb.BuildRequest(shell=pb.ShellInput(columns=100, rows=40)))
        call.send(pb.BuildRequest(shell=pb.ShellInput(data=b"cat f; echo $((6*7)); exit 5\n")))
        error = call.fails()
        out = b"".join(s.data for s in call.told("shell"))
        self.assertIn(b"left\r\n42\r\n", out)
        self.assertEqual([5], [s.exit_code for s in call.told("shell") if s.end])
        self.assertIn("exit code: 1", error.details())
        self.ok("FROM scratch\n")

    def test_a_client_that_goes_ends_it(self):
        base = fixtures.registry().host + "/busybox:oci-gzip"
        call = self.build(f"FROM {base}\nRUN false\n", debug_shell=True)
        call.until(lambda e: e.WhichOneof("event") == "shell")
        call.call.cancel()
        self.idle()

    def test_was_not_asked_for(self):
        call = self.build("FROM scratch\nCOPY a /\n", Directory("noshell", {"a": b""}))
        call.sources = []
        call.send(pb.BuildRequest(shell=pb.ShellInput(data=b"x")))
        self.assertIn("not asked for", call.fails().details())
