"""The corpus of builds (tests/build/corpus) by imaged: each case is one test here. What the
cases expect is what BuildKit gives, see tests/build_peers.sh."""

import concurrent.futures
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import unittest

import buildcorpus
from buildimage import read_image
from buildweb import Web
from buildworld import cgroup_of
from harness import SANITIZER, SLOW, Daemon, program

AT_ONCE = 4


class Imaged:
    """imagectl against the one daemon of all cases."""

    def __init__(self, daemon):
        self.daemon = daemon

    def call(self, *arguments, data=None, environment=None, directory=None):
        source = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
        done = subprocess.run([program("imagectl"), *arguments], env={**os.environ, "IMAGED_HOST": self.daemon.address, **(environment or {})},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=directory, timeout=120 * SLOW, **source)  # fmt: skip
        return done.returncode, done.stdout, done.stderr.decode(errors="replace")

    def build(self, arguments, data, environment, directory):
        progress = [] if "-q" in arguments else ["--progress", "plain"]
        status, out, log = self.call("build", *progress, *arguments, data=data, environment=environment, directory=directory)
        return status, out.decode(errors="replace"), log

    def image(self, tag, directory):
        path = os.path.join(directory, "image.tar")
        status, _, error = self.call("save", "-o", path, tag)
        if status:
            raise AssertionError(f"save: {error}")
        image = read_image(path)
        os.remove(path)
        image.exported = self.exported(tag)
        return image

    def exported(self, tag):
        """The tree that `image export` gives."""
        status, data, error = self.call("image", "export", tag)
        if status:
            raise AssertionError(f"image export: {error}")
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return sorted(os.path.normpath("/" + name) for name in tar.getnames() if name.strip("./"))


class World:
    """Made once: the daemon, the bases, and every case building in the background."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="imaged-corpus-")
        self.daemon = Daemon(os.path.join(self.dir, "d"), "--build-cgroup-parent", cgroup_of(self.dir))
        archive = os.path.join(self.dir, "bases.tar")
        images = buildcorpus.base_archive(archive)
        self.daemon.ctl("load", "-q", "-i", archive)
        self.bases = {name: buildcorpus.BaseImage(image) for name, image in images.items()}
        self.builder = Imaged(self.daemon)
        self.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        self.web = Web(os.path.join(self.dir, "web"), images["base"])
        names = {**{name: f"localhost/{name}" for name in images}, **self.web.names()}
        self.results = {one.name: self.pool.submit(buildcorpus.run_case, one, self.builder, os.path.join(self.dir, one.name), names) for one in CASES.values()}

    def close(self):
        self.pool.shutdown(cancel_futures=True)
        self.web.close()
        if self.daemon.process is not None:
            status = self.daemon.stop()
            if status or SANITIZER.search(self.daemon.log):
                raise AssertionError(f"imaged exited with {status}:\n{self.daemon.log[-6000:]}")
        shutil.rmtree(self.dir, ignore_errors=True)


CASES = buildcorpus.all_cases()


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Corpus(unittest.TestCase):
    SECONDS = 300  # the first one waits for all that are before it in the queue
    world = None

    @classmethod
    def setUpClass(cls):
        cls.world = World()

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def check(self, one):
        result = self.world.results[one.name].result()
        told = buildcorpus.compare(one, result, self.world.bases[one.base])
        if result.image is not None and result.image.exported != sorted(result.image.tree):
            told.append(f"image export has {sorted(set(result.image.exported) ^ set(result.image.tree))} other than the layers")
        if told:
            self.fail(f"{one.about}\n" + "\n".join(told))


def test_of(one):
    def test(self):
        self.check(one)

    return test


for _one in CASES.values():
    if "imaged" not in _one.differs:
        setattr(Corpus, "test_" + _one.module + "_" + _one.name.replace("-", "_"), test_of(_one))
