"""COPY and ADD beside dockerd's BuildKit: the same Dockerfile, base and context give the same tree."""

import os
import re
import shutil
import subprocess
import tarfile
import unittest

from copystep import CopyCase, Entry, entry_of, make_tar
from engines import Dockerd
from harness import SLOW

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nmail:x:8:12:mail:/var/mail:/bin/sh\n"
BASE = {
    "etc": None, "etc/passwd": PASSWD, "etc/group": b"root:x:0:\nmail:x:12:\n", "usr": None, "usr/bin": None, "bin": "usr/bin",
    "d": Entry(mode=0o1770, uid=3, gid=4), "d/old": b"old", "d/s": Entry(mode=0o755, uid=6), "d/l": "../etc", "out": "../../../usr", "file": b"f",
}
CONTEXT = {
    "a.txt": Entry(b"1", mode=0o4755), "b.txt": Entry(b"2", mode=0o600), "c.md": b"3", "dir": Entry(mode=0o700), "dir/s": Entry(mode=0o2750), "dir/s/x": b"4",
    "dir/l": "s/x", "dir/abs": "/etc/passwd", "lf": "dir/s/x", "ld": "dir", "empty": None,
    "t.tar": make_tar({"t": Entry(mode=0o711, uid=5), "t/f": Entry(b"5", uid=1, gid=2), "etc/new": Entry(b"6", uid=7)}),
}
STEPS = [
    "COPY a.txt /new/x/y", "COPY a.txt /d", "COPY a.txt b.txt /d/", "COPY *.txt /x/", "COPY dir /d", "COPY dir /fresh", "COPY dir /d/l/", "COPY lf ld /k/",
    "COPY a.txt /out/o", "COPY a.txt /file", "COPY --chown=mail dir /m/n", "COPY --chown=5 a.txt /five", "COPY --chown=mail:33 . /all/", "COPY --chmod=640 b.txt empty /d/",
    "COPY ../a.txt /../up", "COPY empty /e", "COPY . /bin/", "ADD t.tar /un/", "ADD t.tar /", "ADD a.txt /plain", "COPY no*such /none/", "WORKDIR /bin/w",
    "COPY --from=base /d /copied", "COPY --from=base /d/s /etc/passwd /copied/", "USER mail\nWORKDIR /wu/wx",
]
CLI = "/usr/bin/docker"  # Debian's, which speaks to BuildKit itself
REFUSED = ["COPY a.txt /file/", "COPY a.txt /file/x", "COPY dir /file", "COPY nosuch /", "COPY . /conflict/"]


def tree_of(*tars):
    """What the layers make together: {path: what it is}."""
    tree = {}
    for path in tars:
        with tarfile.open(path) as tar:
            for info in tar:
                name = info.name.strip("/").removeprefix("./")
                data = tar.extractfile(info).read() if info.isreg() else info.linkname
                if name not in ("", "."):
                    tree[name] = (info.type, info.mode if info.type != tarfile.SYMTYPE else 0o777, info.uid, info.gid, data)
    return tree


class BesideBuildKit(CopyCase):
    def setUp(self):
        super().setUp()
        if not shutil.which(CLI):
            self.skipTest(f"{CLI} is not there")
        self.docker = Dockerd(self)
        self.base_tar, self.context = self.path("base.tar"), self.path("context")
        base = {**BASE, "conflict": None, "conflict/a.txt": None}
        with open(self.base_tar, "wb") as file:
            file.write(make_tar(base))
        self.docker.run("import", self.base_tar, "base:latest")
        os.mkdir(self.context)
        for path, value in CONTEXT.items():
            e, where = entry_of(value), os.path.join(self.context, path)
            if e.kind == tarfile.SYMTYPE:
                os.symlink(e.link, where)
            elif e.kind == tarfile.DIRTYPE:
                os.mkdir(where)
            else:
                with open(where, "wb") as file:
                    file.write(e.data)
            if e.kind != tarfile.SYMTYPE:
                os.chmod(where, e.mode)

    def peer(self, step, number):
        """The tree, or None and what it said."""
        dockerfile, out = self.path(f"Dockerfile{number}"), self.path(f"{number}.peer.tar")
        with open(dockerfile, "w", encoding="utf-8") as file:
            file.write(f"FROM base\n{step}\n")
        done = subprocess.run(
            [CLI, "-H", self.docker.address, "build", "-q", "--output", f"type=tar,dest={out}", "-f", dockerfile, self.context],
            env={**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": self.path("config")}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=120 * SLOW)
        return (tree_of(out), "") if done.returncode == 0 else (None, done.stdout)

    def ours(self, step):
        base = {**BASE, "conflict": None, "conflict/a.txt": None}
        request = self.request(step, dockerfile=f"FROM scratch AS base\nFROM scratch\n{step}\n", context=CONTEXT, into=[base], stages=[[base]])
        said = self.run_request(request)
        return (None, said["text"]) if "reason" in said else (tree_of(self.base_tar_of(base), request["out"]), "")

    def base_tar_of(self, base):
        path = self.new_path(".tar")
        with open(path, "wb") as file:
            file.write(make_tar(base))
        return path

    def test_the_same_trees(self):
        for number, step in enumerate(STEPS):
            with self.subTest(step=step):
                peer, said = self.peer(step, number)
                self.assertIsNotNone(peer, said)
                ours, said = self.ours(step)
                self.assertIsNotNone(ours, said)
                self.assertEqual({k: v for k, v in peer.items() if ours.get(k) != v}, {k: v for k, v in ours.items() if peer.get(k) != v})

    def test_the_same_refusals(self):
        for number, step in enumerate(REFUSED):
            with self.subTest(step=step):
                peer, said = self.peer(step, number)
                self.assertIsNone(peer)
                ours, text = self.ours(step)
                self.assertIsNone(ours)
                said = re.sub(r"/\S*/merged", "", said)  # where its snapshot lies
                for words in text.split(": ", 1) if "nosuch" in step else [text]:
                    self.assertIn(words, said)


if __name__ == "__main__":
    unittest.main()
