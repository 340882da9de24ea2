"""Peers that unpack what they pull, each in a directory of its own: within
`PEER(directory).running() as pull` its daemon is there, if it has one, and
pull(reference) gives the command that is measured."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading

from harness import stop


def unmount_below(directory):
    for line in reversed(list(open("/proc/mounts", encoding="utf-8"))):
        if line.split()[1].startswith(directory + "/"):
            subprocess.run(["umount", "-l", line.split()[1]], check=False)


@contextlib.contextmanager
def serving(directory, command, ask):
    """The daemon, ready once `ask` succeeds; nothing of it is left."""
    with open(os.path.join(directory, "log"), "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    pause = threading.Event()
    try:
        while subprocess.run(ask, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} does not start here")
            pause.wait(0.1)  # it has no other way to say so
        yield
    finally:
        stop(process, 60)
        unmount_below(directory)


class Peer:
    @classmethod
    def is_there(cls):
        return all(shutil.which(program) for program in cls.programs)


class Docker(Peer):
    name, programs = "docker pull, overlay2", ("dockerd", "docker")

    def __init__(self, directory):
        self.directory, self.address = directory, f"unix://{directory}/docker.sock"

    @contextlib.contextmanager
    def running(self):
        command = [
            "dockerd", "--data-root", f"{self.directory}/data", "--exec-root", f"{self.directory}/exec", "-H", self.address,
            "-p", f"{self.directory}/pid", "--iptables=false", "--bridge=none", "--storage-driver=overlay2",
        ]  # fmt: skip
        with serving(self.directory, command, ["docker", "-H", self.address, "version"]):
            yield lambda reference: ["docker", "-H", self.address, "pull", "-q", reference]


class Containerd(Peer):
    name, programs = "ctr images pull, overlayfs", ("containerd", "ctr")

    def __init__(self, directory):
        self.directory, self.address = directory, f"{directory}/containerd.sock"

    @contextlib.contextmanager
    def running(self):
        command = ["containerd", "--root", f"{self.directory}/data", "--state", f"{self.directory}/state", "--address", self.address]
        ctr = ["ctr", "--address", self.address]
        with serving(self.directory, command, [*ctr, "version"]):
            yield lambda reference: [*ctr, "images", "pull", "--plain-http", "--snapshotter", "overlayfs", reference]


class Podman(Peer):
    name, programs = "podman pull, overlay", ("podman",)

    def __init__(self, directory):
        self.directory = directory

    @contextlib.contextmanager
    def running(self):
        with tempfile.TemporaryDirectory() as run:  # podman takes no more than 50 characters there
            podman = ["podman", "--root", f"{self.directory}/data", "--runroot", run, "--storage-driver", "overlay"]
            try:
                yield lambda reference: [*podman, "pull", "-q", "--tls-verify=false", reference]
            finally:
                unmount_below(self.directory)
                unmount_below(run)


PEERS = (Docker, Containerd, Podman)
