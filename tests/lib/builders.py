"""Other builders, each started on directories of its own: dockerd's BuildKit and buildah."""

import os
import shutil
import subprocess
import tempfile
import threading

from buildimage import read_image
from engines import unmount_below
from harness import stop


def execute(command, data=None, environment=None, directory=None, timeout=300):
    """(status, stdout, stderr) of a process in the directory."""
    source = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    done = subprocess.run(command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=directory, timeout=timeout, **source)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


class BuildKit:
    """What Debian's dockerd has within it, asked by the docker of the same version."""

    name, programs, history = "buildkit-20.10", ("/usr/sbin/dockerd", "/usr/bin/docker"), True

    def __init__(self, directory, archive, _):
        self.directory, self.address = directory, f"unix://{directory}/docker.sock"
        self.environment = {"DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": directory, "DOCKER_HOST": self.address}
        self.log = open(os.path.join(directory, "log"), "wb")
        self.process = subprocess.Popen(
            ["/usr/sbin/dockerd", "--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec", "-H", self.address,
             "-p", f"{directory}/pid", "--iptables=false", "--bridge=none"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)  # fmt: skip
        pause = threading.Event()
        while execute(["/usr/bin/docker", "version"], None, self.environment)[0]:
            if self.process.poll() is not None:
                raise RuntimeError("dockerd does not start here")
            pause.wait(0.1)  # nothing tells when it is ready
        status, _, error = execute(["/usr/bin/docker", "load", "-q", "-i", archive], None, self.environment)
        if status:
            raise RuntimeError(error)

    def command(self, *arguments):
        network = [] if any(a.startswith("--network") for a in arguments) else ["--network=none"]
        return ["/usr/bin/docker", "build", "--progress=plain", *network, *arguments]

    def build(self, arguments, data, environment, directory):
        return execute(self.command(*arguments), data, {**self.environment, **environment}, directory)

    def image(self, tag, directory):
        path = os.path.join(directory, "image.tar")
        status, _, error = execute(["/usr/bin/docker", "save", "-o", path, tag], None, self.environment)
        if status:
            raise RuntimeError(error)
        return read_image(path)

    def close(self):
        stop(self.process, 60)
        self.log.close()
        unmount_below(self.directory)


class Buildah:
    name, programs, history = "buildah-1.28", ("buildah", "skopeo"), False
    environment = {}

    def __init__(self, directory, archive, bases):
        self.directory = directory
        self.run_root = tempfile.mkdtemp(prefix="bah-")
        self.store = ["--root", f"{directory}/root", "--runroot", self.run_root, "--storage-driver", "overlay"]
        for name in bases:
            self.copy(f"docker-archive:{archive}:localhost/{name}:latest", self.stored(f"localhost/{name}:latest"))

    def stored(self, name):
        return f"containers-storage:[overlay@{self.directory}/root+{self.run_root}]{name}"

    def copy(self, *places):
        status, _, error = execute(["skopeo", "--insecure-policy", "copy", "-q", *places])
        if status:
            raise RuntimeError(error)

    def command(self, *arguments, layers=False):
        network = [] if any(a.startswith("--network") for a in arguments) else ["--network=none"]
        options = ["--runtime", "runc", "--pull-never", "--format", "docker", f"--layers={'true' if layers else 'false'}", *network]
        return ["buildah", *self.store, "bud", *options, *arguments]

    def build(self, arguments, data, environment, directory):
        return execute(self.command(*arguments), data, environment, directory)

    def image(self, tag, directory):
        path = os.path.join(directory, "image.tar")
        self.copy(self.stored("localhost/" + tag), f"docker-archive:{path}:{tag}")
        image = read_image(path)
        # Its own label, and what its RUN leaves in every image, are no difference between cases.
        (image.config["config"].get("Labels") or {}).pop("io.buildah.version", None)
        for name in ("/run", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"):
            image.tree.pop(name, None)
        return image

    def close(self):
        unmount_below(self.directory)
        unmount_below(self.run_root)
        shutil.rmtree(self.run_root, ignore_errors=True)
