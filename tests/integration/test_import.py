"""Import: an image out of the tar of a root file system."""

import bz2
import contextlib
import gzip
import http.server
import json
import lzma
import os
import pty
import select
import signal
import socketserver
import subprocess
import threading

import grpc

from archives import PIECE, import_requests, without_padding
from harness import SLOW, TestCase, blob_path, incomplete, program, skopeo
from ociimage import compress, random_bytes, sha256, tar
from rpc import pb, reason

TAR = tar({"etc/": None, "etc/motd": b"hello\n", "bin/sh": b"#!", "lib": "usr/lib"})
HUB = "docker.io/library"


def content(root):
    return sorted(name for _, _, names in os.walk(os.path.join(root, "content")) for name in names)


def ingests(root):
    return [name for _, _, names in os.walk(os.path.join(root, "ingest")) for name in names]


class WebServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Files by path; what is not one is 404. `gate`: a body stops in its middle until it
    is set. A redirect is a path whose value is a str."""

    daemon_threads = True

    def __init__(self):
        self.files, self.gate, self.chunked, self.cut, self.seen = {}, None, False, None, []
        super().__init__(("127.0.0.1", 0), WebHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # clients that go away are part of the tests


class WebHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        file = self.server.files.get(self.path)
        self.server.seen.append((self.path, dict(self.headers)))
        if isinstance(file, str):
            self.send_response(302)
            self.send_header("Location", file)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif file is None:
            self.answer(404, b"  no such\n thing  ")
        elif self.server.chunked:
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.body(file)
            self.close_connection = True
        else:
            self.answer(200, file)

    def answer(self, status, file):
        self.send_response(status)
        self.send_header("Content-Length", str(len(file)))
        self.end_headers()
        self.body(file)

    def body(self, file):
        half = len(file) // 2
        self.wfile.write(file[:half])
        if self.server.gate:
            self.wfile.flush()
            self.server.gate.wait(60)
        if self.server.cut:
            self.close_connection = True
            return
        self.wfile.write(file[half:])


class Import(TestCase):
    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    # -- helpers

    def run_import(self, data=TAR, **start):
        """ImportDone and all events."""
        events = list(self.client.Import(import_requests(data, **start)))
        self.assertEqual("done", events[-1].WhichOneof("event"))
        return events[-1].done, events

    def refused(self, code, reason, data=TAR, text=None, **start):
        error = self.assert_rpc_fails(code, reason, self.client.Import, import_requests(data, **start), text=text)
        self.assert_nothing_kept()
        return error.details()

    def assert_nothing_kept(self):
        self.assertEqual([], self.client.images())
        self.wait_until(lambda: not ingests(self.imaged.root), "no unfinished bytes")
        self.wait_until(lambda: not content(self.imaged.root), "no content")
        self.assert_clean(self.client, [])

    def config(self, done):
        with open(blob_path(self.imaged.root, done.image_id), "rb") as file:
            return json.load(file)

    def layer(self, done):
        """Media type, bytes and diff ID of the layer."""
        with open(blob_path(self.imaged.root, done.manifest_digest), "rb") as file:
            manifest = json.load(file)
        self.assertEqual(1, len(manifest["layers"]))
        layer = manifest["layers"][0]
        with open(blob_path(self.imaged.root, layer["digest"]), "rb") as file:
            data = file.read()
        self.assertEqual(layer["size"], len(data))
        return layer["mediaType"], data, self.config(done)["rootfs"]["diff_ids"][0]

    def file(self, data=TAR, name="r.tar"):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def server(self):
        made = WebServer()
        self.addCleanup(made.server_close)
        self.addCleanup(made.shutdown)
        return made

    # -- the image

    def test_image_of_a_tar_is_its_one_layer_and_a_history_of_one_step(self):
        done, events = self.run_import(reference="imp:1")
        self.assertEqual(1, len(events), "without a URL there is nothing to tell on the way")
        self.assertEqual(f"{HUB}/imp:1", done.reference)
        media_type, data, diff_id = self.layer(done)
        self.assertEqual(("application/vnd.oci.image.layer.v1.tar", TAR), (media_type, data))
        self.assertEqual(sha256(TAR), diff_id)
        config = self.config(done)
        self.assertEqual(
            {"architecture", "os", "created", "comment", "config", "history", "rootfs"}, set(config), config
        )
        self.assertEqual(("linux", {}), (config["os"], config["config"]))
        self.assertEqual([{"created": config["created"], "comment": "Imported from -"}], config["history"])
        self.assertRegex(config["created"], r"^20\d\d-\d\d-\d\dT[0-9:.]+Z$")
        self.assert_clean(self.client, [f"{HUB}/imp:1"])
        self.assertEqual([], incomplete(self.imaged.root, self.client))

    def test_same_tar_and_changes_give_the_same_configuration_but_for_the_time(self):
        fields = {"changes": ["LABEL z=1 a=2", "ENV B=1 A=2", "EXPOSE 80 443", "VOLUME /b /a"], "message": "m"}
        first, second = (self.config(self.run_import(**fields)[0]) for _ in range(2))
        for config in (first, second):
            created = config.pop("created")
            self.assertEqual(created, config["history"][0].pop("created"))
        self.assertEqual(json.dumps(first), json.dumps(second))
        self.assertEqual(sorted(first), list(first), "keys are sorted")

    def test_name_is_optional_and_latest_is_its_default_tag(self):
        done, _ = self.run_import()
        self.assertEqual("", done.reference)
        self.assertEqual([], list(self.client.images()[0].repo_tags))
        done, _ = self.run_import(reference="example.com/a/b")
        self.assertEqual("example.com/a/b:latest", done.reference)

    def test_name_moves_to_the_new_image_and_the_old_one_stays(self):
        self.run_import(reference="imp:1")
        second, _ = self.run_import(tar({"other": b"1"}), reference="imp:1")
        self.assertEqual({f"{HUB}/imp:1": second.image_id}, {i.repo_tags[0]: i.id for i in self.client.images() if i.repo_tags})
        self.assertEqual(2, len(self.client.images()))

    def test_import_is_an_event(self):
        done, _ = self.run_import(reference="imp:1")
        events = list(self.client.WatchEvents(after_revision=1, no_follow=True))
        self.assertEqual([(7, done.image_id, f"{HUB}/imp:1")], [(e.action, e.image_id, e.name) for e in events])

    # -- compression

    def test_gzip_and_zstd_are_kept_as_they_come(self):
        for name, data in (("gzip", gzip.compress(TAR, mtime=1)), ("zstd", compress(TAR, "zstd"))):
            done, _ = self.run_import(data, reference=f"imp:{name}")
            media_type, kept, diff_id = self.layer(done)
            self.assertEqual(f"application/vnd.oci.image.layer.v1.tar+{name}", media_type)
            self.assertEqual(data, kept)
            self.assertEqual(sha256(TAR), diff_id)

    def test_xz_and_bzip2_are_stored_as_plain_tar(self):
        for name, data in (("xz", lzma.compress(TAR)), ("bz2", bz2.compress(TAR))):
            media_type, kept, diff_id = self.layer(self.run_import(data, reference=f"imp:{name}")[0])
            self.assertEqual(("application/vnd.oci.image.layer.v1.tar", TAR), (media_type, kept), name)
            self.assertEqual(sha256(TAR), diff_id)

    def test_bytes_in_small_pieces_are_the_same(self):
        for data in (TAR, gzip.compress(TAR), lzma.compress(TAR)):
            pieces = [pb.ImportRequest(start=pb.ImportStart())] + [
                pb.ImportRequest(data=data[at : at + 3]) for at in range(0, len(data), 3)
            ]
            done = list(self.client.Import(iter(pieces)))[-1].done
            self.assertEqual(sha256(TAR), self.layer(done)[2])

    def test_layer_that_is_here_is_not_written_again(self):
        self.run_import()
        before, inode = content(self.imaged.root), os.stat(blob_path(self.imaged.root, sha256(TAR))).st_ino
        self.run_import()
        self.assertEqual(2, len(set(content(self.imaged.root)) - set(before)), "a configuration and a manifest")
        self.assertEqual(inode, os.stat(blob_path(self.imaged.root, sha256(TAR))).st_ino)

    # -- what is no root file system

    def test_empty_input_is_an_empty_layer(self):
        done, _ = self.run_import(b"", reference="imp:empty")
        self.assertEqual(bytes(1024), self.layer(done)[1])
        self.assertEqual(0, self.client.images()[0].size)
        self.assert_clean(self.client, [f"{HUB}/imp:empty"])

    def test_garbage_is_refused(self):
        self.assertEqual("unexpected EOF", self.refused("FAILED_PRECONDITION", "INVALID_CONTENT", b"garbage\n"))
        self.refused("FAILED_PRECONDITION", "INVALID_CONTENT", random_bytes(100000, 1), text="tar")
        self.refused("FAILED_PRECONDITION", "INVALID_CONTENT", gzip.compress(random_bytes(5000, 1)), text="tar")

    def test_truncated_input_is_refused(self):
        big = tar({"a": random_bytes(300000, 2), "b": b"1"})
        for data in (big, gzip.compress(big), compress(big, "zstd"), lzma.compress(big), bz2.compress(big)):
            for part in (0.3, 0.9):
                self.refused(
                    "FAILED_PRECONDITION", "INVALID_CONTENT", data[: int(len(data) * part)], text="truncated|ends|EOF"
                )

    def test_tar_that_is_cut_off_between_two_entries_is_refused(self):
        for data in (TAR[: 3 * 512], gzip.compress(TAR[: 3 * 512]), lzma.compress(TAR[: 3 * 512])):
            self.refused("FAILED_PRECONDITION", "INVALID_CONTENT", data, text="no end mark: it was cut off")

    def test_input_that_is_cut_at_every_fiftieth_is_refused(self):
        whole = without_padding(tar({f"{n}": random_bytes(3072, n) for n in range(9)}))
        for kind, data in (("plain", whole), ("gzip", gzip.compress(whole, mtime=0))):
            for number in range(1, 50):
                at = len(data) * number // 50
                with self.subTest(compression=kind, cut=at, of=len(data)):
                    self.refused("FAILED_PRECONDITION", "INVALID_CONTENT", data[:at], text="truncated|ends|EOF|cut off", reference="imp:cut")
            self.run_import(data, reference=f"imp:{kind}")
            self.client.PruneImages(all=True)

    def test_hostile_compression_is_refused(self):
        head = tar({"zeros": b""})[:512]
        bomb = gzip.compress(head + bytes(64 << 20), 9)
        self.refused("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", bomb, text="limit|ratio|more than|inflate")
        self.refused("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", lzma.compress(bytes(256 << 20)), text="limit|ratio|more")
        self.refused("FAILED_PRECONDITION", "INVALID_CONTENT", gzip.compress(TAR) + b"tail", text="damaged")

    def test_names_in_a_tar_cannot_leave_it(self):
        """A layer is never unpacked: such names are bytes in a file, or refused."""
        self.run_import(tar({"/abs": b"y", "link": "/etc/shadow"}), reference="imp:1")
        with self.assertRaises(grpc.RpcError) as caught:
            self.run_import(tar({"../../etc/passwd": b"x"}), reference="imp:2")
        self.assertEqual("INVALID_CONTENT", reason(caught.exception))
        self.assertRegex(caught.exception.details(), "leads out")
        self.assert_clean(self.client, [f"{HUB}/imp:1"])

    # -- what the request says

    def test_changes_make_the_configuration(self):
        config = self.config(
            self.run_import(
                changes=[
                    'CMD ["/a", "b"]', "ENTRYPOINT run \\\n  it", "ENV K=V W='a b'", "ENV P=/x/$K", "LABEL a=b",
                    "EXPOSE 80 53/udp", "HEALTHCHECK --interval=5s CMD ok", "ONBUILD RUN x", "STOPSIGNAL SIGINT",
                    "USER me:us", "VOLUME /v", "WORKDIR /w\nWORKDIR d", "MAINTAINER me",
                ]
            )[0]
        )
        self.assertEqual("me", config["author"])
        self.assertEqual(
            {
                "Cmd": ["/a", "b"], "Entrypoint": ["/bin/sh", "-c", "run   it"],
                "Env": ["K=V", "W=a b", "P=/x/V"], "Labels": {"a": "b"},
                "ExposedPorts": {"53/udp": {}, "80/tcp": {}}, "OnBuild": ["RUN x"], "StopSignal": "SIGINT",
                "Healthcheck": {"Test": ["CMD-SHELL", "ok"], "Interval": 5000000000},
                "User": "me:us", "Volumes": {"/v": {}}, "WorkingDir": "/w/d",
            },
            config["config"],
        )

    def test_wrong_requests_are_refused_before_any_data_is_read(self):
        def waiting(**start):
            yield pb.ImportRequest(start=pb.ImportStart(**start))
            never.wait(30)

        never = threading.Event()
        self.addCleanup(never.set)
        digest = "x@sha256:" + "0" * 64
        for reason, text, start in (
            ("INVALID_ARGUMENT", "^FROM is not a valid change command$", {"changes": ["FROM x"]}),
            ("INVALID_ARGUMENT", "^nOpE is not a valid change command$", {"changes": ["USER a", "nOpE x"]}),
            ("INVALID_ARGUMENT", "^ENV must have two arguments$", {"changes": ["ENV a"]}),
            ("INVALID_ARGUMENT", "^file with no instructions$", {"changes": ["# nothing"]}),
            ("INVALID_REFERENCE", "^cannot import digest reference$", {"reference": digest}),
            ("INVALID_REFERENCE", r"must be lowercase$", {"reference": "Imp:x"}),
            ("INVALID_PLATFORM", '^"a/b/c/d": cannot parse platform', {"platform": "a/b/c/d"}),
            ("INVALID_PLATFORM", "^operating system is not supported$", {"platform": "windows/amd64"}),
        ):
            self.assert_rpc_fails("INVALID_ARGUMENT", reason, self.client.Import, waiting(**start), text=text)
        self.assert_nothing_kept()

    def test_changes_that_grow_without_bound_are_refused(self):
        changes = ["ENV a=0123456789abcdef"] + ["ENV a=$a$a"] * 30
        self.refused("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", changes=changes)

    def test_messages_out_of_order_are_refused(self):
        start = pb.ImportRequest(start=pb.ImportStart())
        for messages in ([], [pb.ImportRequest(data=b"x")], [start, start]):
            self.assert_rpc_fails("INVALID_ARGUMENT", None, self.client.Import, iter(messages), text="start")
        self.assert_nothing_kept()

    def test_platform_and_message(self):
        config = self.config(self.run_import(platform="linux/arm/v7", message="my words")[0])
        self.assertEqual(("arm", "v7", "linux"), (config["architecture"], config["variant"], config["os"]))
        self.assertEqual(("my words", "my words"), (config["comment"], config["history"][0]["comment"]))

    # -- URLs

    def test_url_is_fetched_with_progress_and_named_in_the_history(self):
        server = self.server()
        data = tar({"big": random_bytes(3 << 20, 3)})
        server.files["/r.tar"] = data
        done, events = self.run_import(b"", url=server.url + "/r.tar", reference="imp:url")
        told = [e.progress for e in events[:-1]]
        self.assertEqual((0, len(data)), (told[0].current, told[0].total))
        self.assertEqual((len(data), len(data)), (told[-1].current, told[-1].total))
        self.assertEqual(f"Imported from {server.url}/r.tar", self.config(done)["history"][0]["comment"])
        signed = "/r.tar?signature=secret"
        server.files[signed] = data
        done, _ = self.run_import(b"", url=server.url + signed)
        self.assertEqual(f"Imported from {server.url}/r.tar", self.config(done)["history"][0]["comment"])
        self.assertEqual(data, self.layer(done)[1])
        self.assertNotIn("Authorization", server.seen[0][1])

    def test_url_without_a_length_and_with_compression(self):
        server = self.server()
        server.chunked = True
        server.files["/r.txz"] = lzma.compress(TAR)
        done, events = self.run_import(b"", url=server.url + "/r.txz")
        self.assertEqual(0, events[0].progress.total)
        self.assertEqual(TAR, self.layer(done)[1])

    def test_redirects_are_followed_to_a_bound(self):
        server = self.server()
        server.files.update({"/a": "/b", "/b": server.url + "/c", "/c": TAR, "/loop": "/loop"})
        done, _ = self.run_import(b"", url=server.url + "/a")
        self.assertEqual(TAR, self.layer(done)[1])
        self.client.RemoveImage(image=done.image_id)
        self.refused("UNAVAILABLE", "REGISTRY_UNAVAILABLE", b"", url=server.url + "/loop", text="redirects")

    def test_urls_that_are_refused(self):
        server = self.server()
        server.files.update({"/meta": "http://169.254.169.254/x", "/file": "file:///etc/passwd", "/none": ""})
        for url, reason, text in (
            ("http://169.254.169.254/latest", "ACCESS_DENIED", "link-local"),
            ("http://[fe80::1]/x", "ACCESS_DENIED", "link-local"),
            (server.url + "/meta", "ACCESS_DENIED", "link-local"),
            (server.url + "/file", None, "redirect refused"),
            (server.url + "/none", None, "Location"),
            ("file:///etc/passwd", None, "URL"),
            ("http://me:secret@127.0.0.1/", None, "password"),
            (server.url + "/nosuch?sig=1", "NOT_FOUND", rf"^failed to GET {server.url}/nosuch with status 404 Not Found: no such  thing$"),
        ):
            with self.assertRaises(grpc.RpcError) as caught:
                self.run_import(b"", url=url)
            self.assertRegex(caught.exception.details(), text)
            self.assertNotIn("secret", caught.exception.details())
            if reason:
                self.assert_rpc_fails(caught.exception.code().name, reason, self.client.Import, import_requests(url=url))
        self.assert_nothing_kept()

    def test_download_that_breaks_off_is_refused(self):
        server = self.server()
        server.cut = True
        server.files["/r.tar"] = tar({"a": random_bytes(200000, 4)})
        self.refused("UNAVAILABLE", "REGISTRY_UNAVAILABLE", b"", url=server.url + "/r.tar", text="EOF")

    def test_cancel_in_a_download_keeps_nothing(self):
        server = self.server()
        server.gate = threading.Event()
        self.addCleanup(server.gate.set)
        server.files["/r.tar"] = tar({"a": random_bytes(4 << 20, 5)})
        call = self.client.Import(import_requests(url=server.url + "/r.tar"))
        next(call)
        self.wait_until(lambda: ingests(self.imaged.root), "bytes that come in")
        call.cancel()
        self.assert_nothing_kept()

    # -- interruptions

    def test_cancel_keeps_nothing(self):
        more = threading.Event()
        self.addCleanup(more.set)

        def halting(data):
            yield from import_requests(data, reference="imp:1")
            more.wait(60)

        for data in (tar({"a": random_bytes(2 << 20, 6)}), lzma.compress(random_bytes(1 << 20, 6))):
            call = self.client.Import(halting(data))
            self.wait_until(lambda: ingests(self.imaged.root), "bytes that come in")
            call.cancel()
            self.assert_nothing_kept()

    def test_client_that_is_killed_keeps_nothing(self):
        ctl = subprocess.Popen(
            [program("imagectl"), "import", "-", "imp:1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, "IMAGED_HOST": self.imaged.address},
        )
        ctl.stdin.write(random_bytes(1 << 20, 7))
        ctl.stdin.flush()
        self.wait_until(lambda: ingests(self.imaged.root), "bytes that come in")
        ctl.kill()
        ctl.communicate()
        self.assert_nothing_kept()

    def test_daemon_that_is_killed_keeps_nothing(self):
        def halting():
            yield from import_requests(random_bytes(2 << 20, 8))
            more.wait(60)

        more = threading.Event()
        self.addCleanup(more.set)
        call = self.client.Import(halting())
        self.wait_until(lambda: ingests(self.imaged.root), "bytes that come in")
        self.imaged.kill()
        with contextlib.suppress(grpc.RpcError):
            list(call)
        self.imaged.start()
        self.client = self.imaged.client()
        self.assertEqual([], self.client.images())
        self.assertEqual([], content(self.imaged.root))
        self.run_import(reference="imp:1")
        self.assert_clean(self.client, [f"{HUB}/imp:1"])

    def test_full_disk_ends_the_import_and_keeps_nothing(self):
        disk = self.path("small")
        os.makedirs(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], stderr=subprocess.PIPE).returncode:
            self.skipTest("mount is not permitted")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        self.imaged = self.daemon(name="full", root=os.path.join(disk, "root"))
        self.client = self.imaged.client()
        error = self.refused("RESOURCE_EXHAUSTED", "DISK_FULL", tar({"a": random_bytes(40 << 20, 9)}))
        self.assertRegex(error, r"\d+ bytes are needed and \d+ are free")
        server = self.server()
        server.files["/r.tar"] = tar({"a": random_bytes(40 << 20, 9)})
        self.refused("RESOURCE_EXHAUSTED", "DISK_FULL", b"", url=server.url + "/r.tar")
        self.run_import(reference="imp:1")
        self.assert_clean(self.client, [f"{HUB}/imp:1"])

    def test_read_only_store_takes_nothing(self):
        self.imaged.stop()
        mounted = self.path("ro")
        os.makedirs(mounted)
        if subprocess.run(["mount", "--bind", self.imaged.root, mounted], stderr=subprocess.PIPE).returncode:
            self.skipTest("mount is not permitted")
        self.addCleanup(subprocess.run, ["umount", "-l", mounted], check=True)
        if subprocess.run(["mount", "-o", "remount,bind,ro", mounted], stderr=subprocess.PIPE).returncode:
            self.skipTest("remount read-only is not permitted")
        client = self.daemon(name="second", root=mounted).client()
        self.assert_rpc_fails("FAILED_PRECONDITION", "READ_ONLY_STORE", client.Import, import_requests(TAR), text="nothing can be imported")

    def test_imports_of_one_tar_at_once(self):
        results, data = [], tar({"a": random_bytes(1 << 20, 10)})

        def one(n):
            results.append(self.run_import(data, reference=f"imp:{n}")[0])

        threads = [threading.Thread(target=one, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(6, len(results))
        self.assertEqual({sha256(data)}, {self.layer(done)[2] for done in results})
        self.assert_clean(self.client, [f"{HUB}/imp:{n}" for n in range(6)])

    def test_removal_leaves_nothing(self):
        self.run_import(reference="imp:1")
        self.client.RemoveImage(image="imp:1")
        self.assert_nothing_kept()

    # -- imagectl

    def test_command_takes_files_and_pipes_and_prints_the_id(self):
        for arguments, options in (
            ((self.file(), "imp:1"), {}),
            (("-c", "CMD a,b", "--change=ENV x=1,2", "-m", "words", "--platform", "linux/arm64", self.file(), "imp:2"), {}),
        ):
            said = self.imaged.ctl("import", *arguments, **options)
            self.assertRegex(said.stdout, r"^sha256:[0-9a-f]{64}\n$")
            self.assertEqual("", said.stderr)
        with open(self.file(), "rb") as file:
            said = subprocess.run(
                [program("imagectl"), "image", "import", "-", "imp:3"], stdin=file, stdout=subprocess.PIPE,
                env={**os.environ, "IMAGED_HOST": self.imaged.address}, check=True,
            )
        self.assertRegex(said.stdout, rb"^sha256:[0-9a-f]{64}\n$")
        self.assertEqual(
            '["/bin/sh","-c","a,b"] ["x=1,2"] words|arm64/linux|\n',
            self.imaged.ctl(
                "image", "inspect", "-f",
                "{{json .Config.Cmd}} {{json .Config.Env}} {{.Comment}}|{{.Architecture}}/{{.Os}}|{{.Author}}", "imp:2",
            ).stdout,
        )
        self.assertEqual(
            "|Imported from -|8B\n",
            self.imaged.ctl("history", "--format", "{{.CreatedBy}}|{{.Comment}}|{{.Size}}", "imp:1").stdout,
        )

    def test_command_says_what_is_wrong_as_docker_does(self):
        archive = self.file()
        digest = "x@sha256:" + "9f" * 32
        for arguments, said in (
            (("nosuch.tar", "imp:x"), "open nosuch.tar: no such file or directory\n"),
            ((self.dir,), f"read {self.dir}: is a directory\n"),
            ((archive, "Imp:x"), "invalid reference format: repository name (library/Imp) must be lowercase\n"),
            ((archive, digest), "Error response from daemon: cannot import digest reference\n"),
            (("-c", "NOPE x", archive), "Error response from daemon: NOPE is not a valid change command\n"),
            (("--platform", "windows/amd64", archive), "Error response from daemon: operating system is not supported\n"),
            ((self.file(b"garbage\n", "bad"), "imp:x"), "Error response from daemon: unexpected EOF\n"),
            (
                ("http://127.0.0.1:1/x.tar",),
                'Error response from daemon: Get "http://127.0.0.1:1/x.tar": dial tcp 127.0.0.1:1: connect: connection refused\n',
            ),
        ):
            result = self.imaged.ctl("import", *arguments, check=False)
            self.assertEqual((1, "", said), (result.returncode, result.stdout, result.stderr))
        self.assert_nothing_kept()

    def test_command_tells_of_a_url(self):
        server = self.server()
        server.files["/r.tar"] = tar({"a": random_bytes(2 << 20, 11)})
        said = self.imaged.ctl("import", server.url + "/r.tar", "imp:1").stdout
        self.assertRegex(said, rf"^Downloading from {server.url}/r.tar\n\nsha256:[0-9a-f]{{64}}\n$")
        self.assertRegex(
            self.on_terminal("import", server.url + "/r.tar"),
            rf"^Downloading from {server.url}/r.tar\r\n(\x1b\[2K\rImporting \[=*> *\] +[0-9.]+MB/2.099MB\r)+\r\nsha256:[0-9a-f]{{64}}\r\n$",
        )
        server.cut = True
        broken = self.imaged.ctl("import", server.url + "/r.tar", check=False)
        self.assertEqual(1, broken.returncode)
        self.assertRegex(broken.stderr, r'^Get "http:.*: unexpected EOF\n$')

    def on_terminal(self, *arguments):
        """What imagectl writes to a terminal of its own."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(
                program("imagectl"), ["imagectl", *arguments], {**os.environ, "IMAGED_HOST": self.imaged.address}
            )
        out = b""
        while select.select([fd], [], [], 30 * SLOW)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:  # the other end is closed
                break
            out += piece
            if not piece:
                break
        os.close(fd)
        self.assertEqual(0, os.waitpid(pid, 0)[1])
        return out.decode()

    # -- with others

    def test_imported_image_can_be_saved_loaded_and_copied(self):
        for name, data in (("plain", TAR), ("gzip", gzip.compress(TAR))):
            reference = f"imp:{name}"
            done, _ = self.run_import(data, reference=reference, changes=['CMD ["/a"]'])
            archive = self.path(name + ".tar")
            self.imaged.ctl("save", "-o", archive, reference)
            raw = skopeo("inspect", "--config", "--raw", f"oci-archive:{archive}")
            self.assertEqual(done.image_id, sha256(raw))
            skopeo("copy", f"docker-archive:{archive}", f"dir:{self.path(name)}")
            other = self.daemon(name="other-" + name)
            self.assertEqual(f"Loaded image: {reference}\n", other.ctl("load", "-i", archive).stdout)
            self.assertEqual([done.image_id], [i.id for i in other.client().images()])
            self.assert_clean(other.client(), [f"{HUB}/{reference}"])


class Silence(TestCase):
    def test_empty_pieces_mean_nothing(self):
        """What a client sends whose own source is silent, so that the call goes on."""
        client = self.daemon().client()
        for data in (TAR, gzip.compress(TAR, mtime=1), lzma.compress(TAR)):
            pieces = [b""] * 3 + [data[:5], b"", b"", data[5:], b""]
            requests = [pb.ImportRequest(start=pb.ImportStart())] + [pb.ImportRequest(data=piece) for piece in pieces]
            done = list(client.Import(iter(requests)))[-1].done
            self.assertEqual([sha256(TAR)], [layer.diff_id for layer in client.InspectImage(image=done.image_id).layers])
