"""Other container engines of this machine, started on directories of a test's own."""

import contextlib
import json
import os
import shutil
import subprocess
import threading

from harness import SLOW, stop


def unmount_below(directory):
    with open("/proc/mounts", encoding="utf-8", errors="surrogateescape") as file:
        mounts = [line.split()[1] for line in file]
    for path in reversed(mounts):
        if path.startswith(directory + "/"):
            subprocess.run(["umount", "-l", path], check=False)


class Dockerd:
    """Debian's dockerd, where it can be started; else the case is skipped."""

    def __init__(self, case):
        for program in ("dockerd", "docker"):
            if not shutil.which(program):
                case.skipTest(f"{program} is not installed")
        self.dir = case.path("dockerd")
        os.makedirs(self.dir)
        path = lambda name: os.path.join(self.dir, name)
        self.address = "unix://" + path("docker.sock")
        log = open(path("log"), "wb")
        case.addCleanup(log.close)
        self.process = subprocess.Popen(
            ["dockerd", "--data-root", path("data"), "--exec-root", path("exec"), "-H", self.address, "-p", path("pid"),
             "--iptables=false", "--bridge=none"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        case.addCleanup(self.stop)
        pause = threading.Event()
        for _ in range(int(300 * SLOW)):  # nothing tells when it is ready
            if self.process.poll() is not None:
                case.skipTest("dockerd does not start here")
            if not subprocess.run(["docker", "-H", self.address, "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
                return
            pause.wait(0.1)
        case.skipTest("dockerd does not become ready here")

    def stop(self):
        stop(self.process, 60)
        unmount_below(self.dir)

    def run(self, *args):
        done = subprocess.run(
            ["docker", "-H", self.address, *args], env={**os.environ, "DOCKER_CONFIG": os.path.join(self.dir, "config")}, check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120 * SLOW)
        return done.stdout

    @contextlib.contextmanager
    def mounted(self, image, directory):
        """The root of a pulled image, as its containers get it: an overlay of docker's own
        layers; only the drivers of that kind say where they are."""
        [found] = json.loads(self.run("image", "inspect", image))
        driver = found["GraphDriver"]
        if driver["Name"] != "overlay2":
            raise NotImplementedError(f"docker's storage driver is {driver['Name']}")
        lower = driver["Data"]["UpperDir"]
        if "LowerDir" in driver["Data"]:
            lower += ":" + driver["Data"]["LowerDir"]
        os.makedirs(directory, exist_ok=True)
        empty = os.path.join(self.dir, "empty")  # an overlay has two layers
        os.makedirs(empty, exist_ok=True)
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={lower}:{empty}", directory], check=True)
        try:
            yield directory
        finally:
            subprocess.run(["umount", directory], check=True)


class Podman:
    """Debian's podman on stores of its own."""

    def __init__(self, case):
        if not shutil.which("podman"):
            case.skipTest("podman is not installed")
        self.dir = case.path("podman")
        self.store = ["--root", os.path.join(self.dir, "root"), "--runroot", os.path.join(self.dir, "run"), "--storage-driver", "overlay"]
        os.makedirs(self.dir)
        case.addCleanup(unmount_below, self.dir)

    def run(self, *args):
        environment = {**os.environ, "HOME": self.dir, "XDG_RUNTIME_DIR": os.path.join(self.dir, "run"), "TMPDIR": self.dir}
        done = subprocess.run(["podman", "--cgroup-manager=cgroupfs", "--events-backend=none", *self.store, *args], env=environment, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=120 * SLOW)
        return done.stdout

    @contextlib.contextmanager
    def mounted(self, image, _):
        yield self.run("image", "mount", image).strip()
        self.run("image", "unmount", image)
