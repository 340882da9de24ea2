"""What builds fetch: files, archives, a git repository and an image, served on loopback."""

import functools
import http.server
import io
import os
import signal
import subprocess
import tarfile
import threading

import ociimage
from harness import DockerRegistry, free_port, wait_listening

MODIFIED = 1_400_000_000
DOCKERFILE = b"FROM localhost/base\nCOPY served /served\n"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def archive(files, mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.GNU_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), MODIFIED
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Web:
    """self.address: "http://127.0.0.1:PORT"; self.commits: of the repository, the first and the last."""

    def __init__(self, directory, image):
        self.directory = directory
        os.makedirs(directory)
        self.registry = DockerRegistry(os.path.join(directory, "registry"))
        repository = ociimage.Repo()
        repository.add(image, "latest")
        ociimage.push(repository, self.registry.host, "served")
        self.digest = image.digest
        self.put("plain.txt", b"plain\n")
        self.put("t.tar", archive({"in-tar": b"x"}))
        self.put("context.tar.gz", archive({"Dockerfile": DOCKERFILE, "served": b"of a tar\n"}, "w:gz"))
        self.put("Remote", b"FROM localhost/base\nRUN echo remote > /remote\n")
        self.repository()
        handler = functools.partial(Quiet, directory=directory)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def put(self, name, data):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.utime(path, (MODIFIED, MODIFIED))

    def repository(self):
        work = os.path.join(self.directory, "work")
        who = {"GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x@example.org", "GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@example.org",
               "GIT_AUTHOR_DATE": f"{MODIFIED} +0000", "GIT_COMMITTER_DATE": f"{MODIFIED} +0000", "GIT_CONFIG_GLOBAL": "/dev/null"}  # fmt: skip
        git = lambda *args, at=work: subprocess.run(["git", "-C", at, *args], check=True, env={**os.environ, **who}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout
        os.makedirs(work)
        git("init", "-q", "-b", "main")
        self.commits = []
        for number in ("first", "last"):
            self.put("work/served", number.encode() + b"\n")
            self.put("work/Dockerfile", DOCKERFILE)
            self.put("work/sub/Dockerfile", DOCKERFILE)
            self.put("work/sub/served", b"below " + number.encode() + b"\n")
            os.chmod(os.path.join(work, "sub", "served"), 0o755)
            git("add", "-A")
            git("commit", "-q", "-m", number)
            git("tag", number)
            self.commits.append(git("rev-parse", "HEAD").strip())
        git("clone", "-q", "--bare", work, os.path.join(self.directory, "repo.git"), at=self.directory)
        port = free_port()
        command = ["git", "daemon", "--export-all", "--reuseaddr", f"--base-path={self.directory}", "--listen=127.0.0.1", f"--port={port}"]
        self.git = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_listening(port, self.git)
        self.git_address = f"git://127.0.0.1:{port}"

    def names(self):
        """For Dockerfiles and options of the corpus."""
        return {"http": self.address, "git": self.git_address, "registry": self.registry.host, "digest": self.digest, "first": self.commits[0], "last": self.commits[1]}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        os.killpg(self.git.pid, signal.SIGTERM)
        self.git.wait(20)
        self.registry.stop()
