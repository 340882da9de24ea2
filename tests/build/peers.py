"""The corpus of builds through other builders: sh tests/build_peers.sh [-k WORD] [buildkit|buildah]...

Each case is built by dockerd's BuildKit and by buildah (started here, on directories of
their own) and held against what the case expects. Where a peer gives something else, the
case has to say why (`differs`): such a difference is listed and counts as explained.
Words of errors and of progress are each builder's own and are not compared.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import buildcorpus  # noqa: E402
from buildimage import read_image  # noqa: E402
from engines import unmount_below  # noqa: E402
from harness import stop  # noqa: E402


def execute(command, data=None, environment=None, timeout=300):
    """(status, stdout, stderr)"""
    source = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    done = subprocess.run(command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, **source)
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

    def build(self, arguments, data, environment, _):
        network = [] if any(a.startswith("--network") for a in arguments) else ["--network=none"]
        return execute(["/usr/bin/docker", "build", "--progress=plain", *network, *arguments], data, {**self.environment, **environment})

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

    def build(self, arguments, data, environment, _):
        network = [] if any(a.startswith("--network") for a in arguments) else ["--network=none"]
        options = ["--runtime", "runc", "--pull-never", "--format", "docker", "--layers=false", *network]
        return execute(["buildah", *self.store, "bud", *options, *arguments], data, environment)

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


def judge(peer, one, told, show):
    """Prints what became of the case; the verdict."""
    reason = one.differs.get(peer.name)
    if told and reason:
        verdict = "explained"
    elif told:
        verdict = "DIFFERS"
    else:
        verdict = "SAME NOW" if reason else "same"
    print(f"{verdict:9} {peer.name:14} {one.module}/{one.name}" + (f": {reason}" if reason else ""), flush=True)
    if verdict == "DIFFERS" or (told and show):
        print("    " + "\n".join(told).replace("\n", "\n    "), flush=True)
    return verdict


def run_peer(kind, cases, work, archive, images, jobs, show):
    directory = os.path.join(work, kind.name)
    os.makedirs(directory)
    peer = kind(directory, archive, images)
    verdicts = []
    try:
        bases = {name: buildcorpus.BaseImage(image) for name, image in images.items()}
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            names = {name: f"localhost/{name}" for name in images}
            running = {pool.submit(buildcorpus.run_case, one, peer, os.path.join(work, kind.name + "-cases", one.name), names): one for one in cases}
            for done in concurrent.futures.as_completed(running):
                one = running[done]
                try:
                    told = buildcorpus.compare(one, done.result(), bases[one.base], False, kind.history, kind.history)
                except Exception as error:  # whatever a peer makes of a case is a verdict
                    told = [f"cannot be tried: {error!r}"]
                verdicts.append(judge(peer, one, told, show))
    finally:
        peer.close()
    return verdicts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", default="")
    parser.add_argument("-j", type=int, default=3)
    parser.add_argument("-v", action="store_true", help="also show differences that are explained")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("peers", nargs="*", default=["buildkit", "buildah"])
    options = parser.parse_args()
    cases = [one for one in buildcorpus.all_cases().values() if re.search(options.k, f"{one.module}/{one.name}")]
    work, bad = tempfile.mkdtemp(prefix="imaged-peers-"), 0
    try:
        archive = os.path.join(work, "bases.tar")
        images = buildcorpus.base_archive(archive)
        for kind in (BuildKit, Buildah):
            if kind.name.split("-")[0] not in options.peers:
                continue
            if not all(shutil.which(program) for program in kind.programs):
                print(f"{kind.name} is not here")
                continue
            verdicts = run_peer(kind, [one for one in cases if not (one.needs and kind.name not in one.needs)], work, archive, images, options.j, options.v)
            print(f"{kind.name}: " + ", ".join(f"{verdicts.count(v)} {v}" for v in sorted(set(verdicts))))
            bad += verdicts.count("DIFFERS") + verdicts.count("SAME NOW")
    finally:
        if options.keep:
            print(work)
        else:
            shutil.rmtree(work, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
