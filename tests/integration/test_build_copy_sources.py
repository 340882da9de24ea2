"""ADD of URLs and of git repositories: what becomes of them, what their keys are, and when they
are fetched at all."""

import contextlib
import gzip
import hashlib
import http.server
import os
import signal
import subprocess
import tarfile
import threading
import unittest

from copystep import NOW, CopyCase, Entry, make_tar, read_layer
from harness import free_port, wait_listening

BODY = b"what the server has\n"
MODIFIED, MODIFIED_S = "Wed, 21 Oct 2015 07:28:00 GMT", 1445412480


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("If-None-Match"), self.headers.get("If-Modified-Since")))
        if self.path.endswith("/nosuch"):
            return self.answer(404, b"gone")
        if self.path.endswith("/moved"):
            return self.answer(302, b"", {"Location": "/file"})
        tags = {k: v for k, v in (("ETag", server.etag), ("Last-Modified", server.modified)) if v}
        if server.etag and self.headers.get("If-None-Match") == server.etag:
            return self.answer(304, None, tags)
        return self.answer(200, server.body, tags)

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


class Urls(CopyCase):
    """"ADD http(s)"."""

    def setUp(self):
        super().setUp()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.asked, self.server.etag, self.server.modified, self.server.body = [], '"1"', MODIFIED, BODY
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def test_mode_time_and_name(self):
        for url, name in (("/a/file.txt", "file.txt"), ("/file?x=1#y", "file"), ("/dir/", "dir"), ("", "__unnamed__"), ("/moved", "moved")):
            layer = self.copy(f"ADD {self.url}{url} /x/")
            self.assertEqual(["x", f"x/{name}"], list(layer))
            e = layer[f"x/{name}"]
            self.assertEqual((BODY, 0o600, (0, 0), MODIFIED_S), (e.data, e.mode, e.owner, e.mtime))

    def test_renamed_and_changed(self):
        e = self.copy(f"ADD --chown=1:2 --chmod=755 {self.url}/f /x")["x"]
        self.assertEqual((0o755, (1, 2)), (e.mode, e.owner))

    def test_never_unpacked_unless_it_is_asked_for(self):
        self.server.body = gzip.compress(make_tar({"a": b"1"}))
        self.assertEqual(["x", "x/f.tgz"], list(self.copy(f"ADD {self.url}/f.tgz /x/")))
        self.assertEqual(["x", "x/a"], list(self.copy(f"ADD --unpack {self.url}/f.tgz /x/")))

    def test_what_has_not_changed_is_asked_for_and_not_fetched(self):
        self.copy(f"ADD {self.url}/f /x")
        [[first, fetched]] = self.identified
        self.assertTrue(fetched)
        request = self.request(f"ADD {self.url}/f /x")
        asked = len(self.server.asked)
        [[again, fetched]] = self.run_request(request)["identified"]
        self.assertEqual((first, False), (again, fetched))
        self.assertEqual(("/f", '"1"', MODIFIED), self.server.asked[asked])

    def test_what_has_changed_is_another_thing(self):
        self.copy(f"ADD {self.url}/f /x")
        [[first, _]] = self.identified
        self.server.etag, self.server.body = '"2"', b"new"
        self.assertEqual(b"new", self.copy(f"ADD {self.url}/f /x")["x"].data)
        self.assertNotEqual(first, self.identified[0][0])

    def test_a_server_without_tags_is_asked_for_all(self):
        self.server.etag = self.server.modified = None
        for _ in range(2):
            self.assertEqual(0, self.copy(f"ADD {self.url}/f /x")["x"].mtime)
            self.assertTrue(self.identified[0][1])

    def test_no_cache_fetches(self):
        for _ in range(2):
            self.copy(f"ADD {self.url}/f /x", no_cache=True)
            self.assertTrue(self.identified[0][1])

    def test_checksum(self):
        good = "sha256:" + hashlib.sha256(BODY).hexdigest()
        self.assertEqual(BODY, self.copy(f"ADD --checksum={good} {self.url}/f /x")["x"].data)
        self.assertFalse(self.identified[0][1], "nothing was asked for the key")
        bad = "sha256:" + hashlib.sha256(b"other").hexdigest()
        self.assertEqual(("DIGEST_MISMATCH", f"digest mismatch {good}: {bad}"), self.refused(f"ADD --checksum={bad} {self.url}/f /x"))

    def test_what_is_not_there(self):
        reason, text = self.refused(f"ADD {self.url}/nosuch /x")
        self.assertEqual("NOT_FOUND", reason)
        self.assertIn("/nosuch with status 404 Not Found", text)


class Git(CopyCase):
    """"ADD git"."""

    def setUp(self):
        super().setUp()
        self.work = self.path("work")
        os.makedirs(self.work)
        self.git("init", "-q", "-b", "main")
        self.commit({"f": b"one\n", "run": b"#!\n", "sub/g": b"two\n"})
        self.git("tag", "-a", "v1", "-m", "t")
        self.first = self.git("rev-parse", "HEAD").strip()
        self.commit({"f": b"new\n"})
        subprocess.run(["git", "clone", "-q", "--bare", self.work, self.path("served", "r.git")], check=True, env=self.environment())
        port = free_port()
        self.daemon_ = subprocess.Popen(
            ["git", "daemon", "--export-all", "--reuseaddr", f"--base-path={self.path('served')}", "--listen=127.0.0.1", f"--port={port}"],
            stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(self.stop_git)
        wait_listening(port, self.daemon_)
        self.url = f"git://127.0.0.1:{port}/r.git"

    def stop_git(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.daemon_.pid, signal.SIGTERM)
        self.daemon_.wait(20)

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": self.dir, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
                "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b", "GIT_AUTHOR_DATE": "1500000000 +0000", "GIT_COMMITTER_DATE": "1500000000 +0000"}

    def git(self, *args, directory=None):
        return subprocess.run(["git", "-C", directory or self.work, *args], check=True, capture_output=True, text=True, env=self.environment()).stdout

    def commit(self, files):
        for name, data in files.items():
            path = os.path.join(self.work, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, 0o755 if name == "run" else 0o644)
        self.git("add", "-A")
        self.git("commit", "-qm", "c")

    def test_files_of_a_commit(self):
        layer = self.copy(f"ADD {self.url} /x")
        self.assertEqual(["x", "x/f", "x/run", "x/sub", "x/sub/g"], list(layer))
        self.assertEqual((b"new\n", 0o644, 0o755, (0, 0)), (layer["x/f"].data, layer["x/f"].mode, layer["x/run"].mode, layer["x/f"].owner))

    def test_refs_and_directories(self):
        self.assertEqual(b"one\n", self.copy(f"ADD {self.url}#v1 /x/")["x/f"].data)
        self.assertEqual(["x", "x/g"], list(self.copy(f"ADD {self.url}#main:sub /x/")))
        self.assertEqual(b"one\n", self.copy(f"ADD {self.url}#{self.first} /x/")["x/f"].data)

    def test_a_key_is_the_commit_and_takes_no_fetch(self):
        seen = {}
        for ref in ("", "#main", "#v1", f"#{self.first}", "#main:sub"):
            self.copy(f"ADD {self.url}{ref} /x/")
            [[seen[ref], fetched]] = self.identified
            self.assertFalse(fetched, ref)
        self.assertEqual(seen[""], seen["#main"])
        self.assertEqual(seen["#v1"], seen[f"#{self.first}"])
        self.assertEqual(3, len(set(seen.values())))

    def test_checksum(self):
        self.copy(f"ADD --checksum={self.first[:10]} {self.url}#v1 /x/")
        self.assertEqual("CONFLICT", self.refused(f"ADD --checksum={self.first[:10]} {self.url}#main /x/")[0])

    def test_git_directory_when_it_is_kept(self):
        self.copy(f"ADD --keep-git-dir=true {self.url}#v1 /x/")
        out = self.path("out")
        with tarfile.open(self.tar) as tar:
            tar.extractall(out, filter="fully_trusted") if hasattr(tarfile, "fully_trusted_filter") else tar.extractall(out)
        tree = os.path.join(out, "x")
        self.git("config", "--global", "safe.directory", "*")
        self.assertEqual(self.first, self.git("rev-parse", "HEAD", directory=tree).strip())
        self.assertEqual("", self.git("status", "--porcelain", directory=tree))

    def test_no_such_ref(self):
        reason, text = self.refused(f"ADD {self.url}#nothing /x/")
        self.assertEqual("NOT_FOUND", reason)
        self.assertIn('repository does not contain ref nothing, output: ""', text)


if __name__ == "__main__":
    unittest.main()
