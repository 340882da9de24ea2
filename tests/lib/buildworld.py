"""A daemon that builds: bases loaded, contexts made, nothing left behind."""

import contextlib
import os
import select
import subprocess

import buildcorpus
from buildimage import read_image
from harness import SLOW, TestCase, program
from runstep import processes


def cgroup_of(directory):
    """The parent of all cgroups of a daemon's steps: nobody else's daemon sweeps there."""
    return os.path.basename(directory).replace("_", "-").lower()


def contexts_of(directory, files):
    """Makes a context of {path: content or Entry}."""
    os.makedirs(directory, exist_ok=True)
    for path, entry in files.items():
        buildcorpus.put(directory, path, entry)
    return directory


def mounts_with(text):
    """Lines of mountinfo of any process that have the text."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
                found.update(line.strip() for line in file if text in line)
    return sorted(found)


def cgroups_with(text):
    """Directories of cgroups whose path has the text."""
    return [path for path, _, _ in os.walk("/sys/fs/cgroup") if text in path]


def pidfds(marker):
    """Of all processes that have the marker among their arguments."""
    found = []
    for pid in processes(marker):
        with contextlib.suppress(ProcessLookupError):
            found.append(os.pidfd_open(pid))
    return found


def ended(fds, timeout=60):
    """Until each of the processes has ended; False when one does not."""
    left = [fd for fd in fds if not select.select([fd], [], [], timeout * SLOW)[0]]
    for fd in fds:
        os.close(fd)
    return not left


class BuildCase(TestCase):
    """self.build(context, *options): a finished process; self.start(): one that goes on."""

    client_flags = ()  # of imagectl, before the command

    def daemon_flags(self):
        return ()

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.parent = cgroup_of(self.dir)
        self.daemon_ = self.daemon("--build-cgroup-parent", self.parent, *self.daemon_flags())
        self.addCleanup(self.remove_cgroups)
        archive = self.path("bases.tar")
        buildcorpus.base_archive(archive)
        self.daemon_.ctl("load", "-q", "-i", archive)
        os.remove(archive)
        self.contexts = 0

    def remove_cgroups(self):
        for path in sorted(cgroups_with(self.parent), reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(path)

    def context(self, dockerfile, files=None):
        self.contexts += 1
        return contexts_of(self.path(f"context{self.contexts}"), {**(files or {}), "Dockerfile": dockerfile})

    def start(self, context, *options, environment=None):
        return subprocess.Popen(
            [program("imagectl"), *self.client_flags, "build", "--progress", "plain", *options, context],
            env={**os.environ, "IMAGED_HOST": self.daemon_.address, **(environment or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def build(self, context, *options, check=True, environment=None):
        process = self.start(context, *options, environment=environment)
        process.stdout_text, process.log = process.communicate(timeout=120 * SLOW)
        if check:
            self.assertEqual(0, process.returncode, process.log)
        return process

    def image(self, name):
        path = self.path("image.tar")
        self.daemon_.ctl("save", "-o", path, name)
        return read_image(path)

    def wait_line(self, process, text):
        """Until a line of the progress has the text; what was said before it."""
        said = []
        for line in process.stderr:
            said.append(line)
            if text in line:
                return "".join(said)
        self.fail(f"never says {text!r}:\n{''.join(said)}")
