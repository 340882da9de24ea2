"""Many builds in a row, cached and not, some that fail, some that are cancelled; then many
at once, and a client with names without end: sh tests/build_soak.sh [BUILDS]. The anonymous
memory of the daemon stays flat."""

import concurrent.futures
import os
import queue
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import buildcorpus  # noqa: E402
import grpc  # noqa: E402
from buildworld import cgroup_of, contexts_of, mounts_with  # noqa: E402
from harness import Daemon, program  # noqa: E402
from rpc import pb  # noqa: E402

GROWTH_KB = 8 * 1024  # of the last tenth over the third one
NAMES = 10_000_000
NAMES_KB = 64 * 1024  # over what it was before
STEPS = """FROM localhost/base AS one
ARG N=0
COPY src /src
RUN --mount=type=cache,target=/cache cat /src/* | wc -c > /one && echo $N >> /cache/log
FROM localhost/base AS two
RUN --mount=target=/ctx ls /ctx/src > /two && rm -rf /base/sub && seq 1000
FROM localhost/base
COPY --from=one /one /
COPY --from=two /two /
ENV N=$N
RUN test -s /one && test -s /two && exit $FAIL
"""


def anonymous_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    raise RuntimeError("no RssAnon")


class Soak:
    def __init__(self, directory):
        self.daemon = Daemon(os.path.join(directory, "d"), "--build-cgroup-parent", cgroup_of(directory))
        archive = os.path.join(directory, "bases.tar")
        buildcorpus.base_archive(archive)
        self.daemon.ctl("load", "-q", "-i", archive)
        self.contexts = [self.context(directory, number) for number in range(4)]
        self.chance = random.Random(1)

    def context(self, directory, number):
        files = {f"src/{n}": f"{number} {n}\n" * 50 for n in range(200)}
        return contexts_of(os.path.join(directory, f"context{number}"), {**files, "Dockerfile": STEPS})

    def command(self, context, *options):
        return [program("imagectl"), "build", "--progress", "plain", *options, context]

    def build(self, number, context):
        """One of the kinds: as before, a changed file, another argument, without the cache, failing, cancelled."""
        kind = ("cached", "cached", "changed", "argument", "no-cache", "failing", "cancelled", "checked")[number % 8]
        options = ["-t", f"soak:{number % 10}"]
        if kind == "changed":
            buildcorpus.put(context, "src/7", f"build {number}\n")
        options += {"argument": ["--build-arg", f"N={number}"], "no-cache": ["--no-cache"], "failing": ["--build-arg", "FAIL=3", "--no-cache-filter", "stage-2"],
                    "cancelled": ["--no-cache"], "checked": ["--check"]}.get(kind, [])  # fmt: skip
        process = subprocess.Popen(self.command(context, *options), env={**os.environ, "IMAGED_HOST": self.daemon.address}, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
        if kind == "cancelled":
            for line in process.stderr:
                if b"RUN --mount" in line:
                    break
            process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=300)
        if process.returncode and kind not in ("failing", "cancelled", "checked"):
            raise RuntimeError(f"build {number} ({kind}): {error.decode(errors='replace')[-3000:]}")

    def row(self, builds):
        """One after another: KB of anonymous memory after each."""
        values = []
        for number in range(builds):
            self.build(number, self.contexts[0])
            values.append(anonymous_kb(self.daemon.pid))
            if number % 50 == 49:
                print(f"  {number + 1:5} builds: RssAnon {values[-1] / 1024:.1f} MiB", flush=True)
        return values

    def at_once(self, builds):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            lanes = [pool.submit(lambda lane=lane: [self.build(number, self.contexts[lane]) for number in range(lane, builds, 4)]) for lane in range(4)]
            for lane in lanes:
                lane.result()
        return anonymous_kb(self.daemon.pid)

    def names(self):
        """A context of ten million files: (how many names were sent, what the daemon said, the most memory)."""
        requests, sent, most = queue.Queue(), 0, 0
        start = pb.BuildStart(dockerfile=b"FROM scratch\nCOPY . /\n", dockerfile_name="Dockerfile")
        start.context.directory.id, start.context.directory.list_digest = b"names", bytes(32)
        requests.put(pb.BuildRequest(start=start))

        def stream():
            nonlocal sent, most
            yield requests.get()
            requests.get()  # the list is wanted
            for sent in range(0, NAMES, 1000):
                entries = [pb.ContextEntry(path=b"%08d" % n, mode=0o100644, size=1, stamp=n + 1) for n in range(sent, sent + 1000)]
                yield pb.BuildRequest(list=pb.ContextList(entries=entries, last=sent + 1000 >= NAMES))
                most = max(most, anonymous_kb(self.daemon.pid))

        try:
            for event in self.daemon.client().Build(request=stream(), timeout=900):
                if event.WhichOneof("event") == "want_list":
                    requests.put(None)
                if event.WhichOneof("event") == "want_files":
                    return sent, "asks for the files", most
        except grpc.RpcError as error:
            return sent, f"{error.code().name}: {error.details()}", most
        return sent, "is done", most


def judge(values, after):
    tenth = max(1, len(values) // 10)
    early, late = statistics.median(values[2 * tenth : 3 * tenth]), statistics.median(values[-tenth:])
    print(f"RssAnon: {early / 1024:.1f} MiB early, {late / 1024:.1f} MiB at the end, {after / 1024:.1f} MiB after four at a time")
    return late - early <= GROWTH_KB


def main():
    builds = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    directory = tempfile.mkdtemp(prefix="imaged-soak-")
    soak = Soak(directory)
    try:
        values = soak.row(builds)
        after = soak.at_once(builds // 5)
        good = judge(values, after)
        before = anonymous_kb(soak.daemon.pid)
        sent, said, most = soak.names()
        print(f"after {sent} names: {said}; RssAnon {before / 1024:.1f} MiB before, at most {most / 1024:.1f} MiB")
        good = good and most - before <= NAMES_KB
        left = [line for line in mounts_with(soak.daemon.root) if "overlay" in line]
        status = soak.daemon.stop()
        print(f"mounts left: {len(left)}, exit status {status}: {'flat' if good else 'GROWS'}")
        return 0 if good and not left and status == 0 else 1
    finally:
        soak.daemon.kill()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
