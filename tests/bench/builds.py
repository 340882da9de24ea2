"""Builds beside dockerd's BuildKit and buildah, all in one run: what is cached, what RUN and
COPY cost, stages at the same time, a large context that has not changed, compression at push."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

import images
from harness import Daemon, DockerRegistry, program
from verdicts import say, shown, verdict

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import buildcorpus  # noqa: E402
from builders import Buildah, BuildKit  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PEER_ROUNDS = int(os.environ.get("BENCH_PEER_ROUNDS", "1"))
LAYER_BYTES = 1000 * 1000 * 1000

TWELVE = "FROM localhost/base\nWORKDIR /w\nCOPY . /src/\n" + "".join(f"RUN echo {n} > /w/{n}\n" for n in range(9)) + "COPY Dockerfile /d\n"
TEN = "FROM localhost/base\n" + "".join(f"RUN echo {n} > /{n}\n" for n in range(10))
TWENTY = "FROM localhost/base\n" + "".join(f"RUN echo {n} > /{n}\n" for n in range(20))
NONE = "FROM localhost/base\nLABEL a=b\n"
COPY = "FROM localhost/base\nCOPY . /src/\n"


def wall(command, environment):
    """Seconds of the whole process, which must succeed."""
    begin = time.monotonic()
    done = subprocess.run(command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    seconds = time.monotonic() - begin
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-2000:]}")
    return seconds


def tree(directory, files, size, dockerfile):
    """A context of so many files of so many bytes, new ones each time, 100 in a directory."""
    os.makedirs(directory)
    with open(os.path.join(directory, "Dockerfile"), "w", encoding="ascii") as file:
        file.write(dockerfile)
    for folder in range(0, files, 100):
        path = os.path.join(directory, f"d{folder}")
        os.mkdir(path)
        data = os.urandom(size)
        for number in range(folder, min(files, folder + 100)):
            with open(os.path.join(path, f"f{number}"), "wb") as file:
                file.write(b"%d" % number + data)
    return directory


class Ours:
    name = "imaged"

    def __init__(self, directory, archive, _):
        self.daemon = Daemon(directory, "--build-cgroup-parent", f"imaged-bench-{os.getpid()}")
        self.environment = {"IMAGED_HOST": self.daemon.address}
        self.daemon.ctl("load", "-q", "-i", archive)

    def command(self, *arguments):
        return [program("imagectl"), "build", "--progress=plain", "--network=none", *arguments]

    def close(self):
        self.daemon.stop()


class Builds:
    """A section of Bench."""

    def build(self):
        directory = self.fresh("builds")
        archive = os.path.join(directory, "bases.tar")
        bases = buildcorpus.base_archive(archive)
        self.builders = []
        try:
            for kind in (Ours, BuildKit, Buildah):
                if kind is Ours or all(shutil.which(name) for name in kind.programs):
                    place = os.path.join(directory, kind.name)
                    os.makedirs(place, exist_ok=True)
                    self.builders.append(kind(place, archive, bases))
            for part in (self.cached, self.small_cached, self.steps, self.copied, self.stages, self.unchanged, self.pushed):
                part()
        finally:
            for builder in self.builders:
                builder.close()
            shutil.rmtree(directory, ignore_errors=True)

    def once(self, builder, context, *options):
        if builder.name.startswith("buildah"):
            return wall(builder.command("-t", "bench", *options, context, layers=True), builder.environment)
        return wall(builder.command("-t", "bench", *options, context), builder.environment)

    def rounds(self, what, before, *options):
        """{builder: median seconds}; before(builder) makes the context and may build it first."""
        say(f" {what}, s, median [min-max]")
        middle = {}
        for builder in self.builders:
            values = []
            for _ in range(ROUNDS if builder.name == "imaged" else PEER_ROUNDS):
                context = before(builder)
                os.sync()
                values.append(self.once(builder, context, *options))
            middle[builder.name.split("-")[0]] = statistics.median(values)
            say(f"  {builder.name:44} {shown(values)}")
        return middle

    def against(self, what, middle, aim):
        if "buildkit" in middle:
            verdict(what, middle["imaged"] / middle["buildkit"], aim, " x")

    def warm(self, context):
        """before() that has built the same context once."""

        def before(builder):
            self.once(builder, context)
            return context

        return before

    def small(self, dockerfile):
        return tree(os.path.join(self.fresh("context"), "c"), 1, 10, dockerfile)

    def cached(self):
        context = tree(os.path.join(self.fresh("context"), "c"), 10_000, 20_000, TWELVE)
        self.against("12 steps cached, 200 MB: imaged / BuildKit", self.rounds("12 steps, 10,000 files, 200 MB, all cached", self.warm(context)), 0.2)

    def small_cached(self):
        middle = self.rounds("10 RUN steps, small context, all cached", self.warm(self.small(TEN)))
        verdict("10 RUN steps cached", middle["imaged"] * 1e3, 100, " ms")

    def bare_crun(self):
        """Median ms of crun alone, by build_run.py."""
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "build_run.py")
        said = subprocess.run(["/usr/bin/python3", script, "20"], check=True, stdout=subprocess.PIPE, text=True).stdout
        return float(said.split("\n")[0].split("median")[1].split()[0])

    def steps(self):
        twenty, none = self.small(TWENTY), self.small(NONE)
        cold = self.rounds("20 RUN steps, cold", lambda _: twenty, "--no-cache")
        empty = self.rounds("no step at all", lambda _: none, "--no-cache")
        self.against("20 steps cold: imaged / BuildKit", cold, 0.4)
        verdict("a RUN step over bare crun", (cold["imaged"] - empty["imaged"]) * 1e3 / 20 - self.bare_crun(), 25, " ms")

    def copied(self):
        def fresh(_):
            return tree(os.path.join(self.fresh("context"), "c"), 10_000, 20_000, COPY)

        self.against("COPY of 200 MB cold: imaged / BuildKit", self.rounds("COPY of 10,000 new files, 200 MB", fresh), 0.2)

    def second_of_work(self):
        """Turns of awk's loop that take one second alone."""
        loop = lambda turns: ["/usr/bin/busybox", "awk", f"BEGIN {{ for (i = 0; i < {turns}; i++); }}"]
        turns = 1_000_000
        return int(turns / min(wall(loop(turns), {}) for _ in range(5)))

    def stages(self):
        turns = self.second_of_work()
        text = "".join(f"FROM localhost/base AS s{n}\nRUN awk 'BEGIN {{ for (i = 0; i < {turns}; i++); }}' && echo {n} > /{n}\n" for n in range(4))
        text += "FROM scratch\n" + "".join(f"COPY --from=s{n} /{n} /{n}\n" for n in range(4))
        context = self.small(text)
        middle = self.rounds("four stages of 1 s of work each", lambda _: context, "--no-cache")
        verdict("four stages of 1 s", middle["imaged"], 2.4, " s")

    def unchanged(self):
        context = tree(os.path.join(self.fresh("context"), "c"), 100_000, 100, COPY)
        everybody, self.builders = self.builders, [builder for builder in self.builders if not builder.name.startswith("buildah")]  # it takes minutes
        middle = self.rounds("100,000 files, nothing changed", self.warm(context))
        self.builders = everybody
        verdict("no-op rebuild of 100,000 files", middle["imaged"], 1, " s")

    # -- compression at push

    def layer(self):
        """A tar of this machine's files, about 1 GB."""
        path = os.path.join(self.fresh("context"), "files.tar")
        [folders] = images.usr_groups(1, LAYER_BYTES)
        subprocess.run([*images.TAR, "-C", "/", "-cf", path, *folders], stderr=subprocess.DEVNULL, check=False)
        with open(os.path.join(os.path.dirname(path), "Dockerfile"), "w", encoding="ascii") as file:
            file.write("FROM scratch\nADD files.tar /\n")
        return path

    def one_thread(self, path):
        """(seconds, bytes) of gzip -6."""
        begin = time.monotonic()
        with open(path + ".gz", "wb") as out:
            subprocess.run(["gzip", "-6", "-n", "-c", path], stdout=out, check=True)
        return time.monotonic() - begin, os.path.getsize(path + ".gz")

    def push_new(self, ours, compression):
        """(seconds, bytes of the layer) of a build's push to an empty registry; the build itself is cached."""
        registry = DockerRegistry(self.fresh("to"))
        try:
            output = f"type=registry,name={registry.host}/bench:1,compression={compression},force-compression=true"
            seconds = wall(ours.command("--output", output, self.large), ours.environment)
            request = urllib.request.Request(f"http://{registry.host}/v2/bench/manifests/1")
            request.add_header("Accept", "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json")
            with urllib.request.urlopen(request) as answer:
                return seconds, json.load(answer)["layers"][0]["size"]
        finally:
            registry.stop()

    def pushed(self):
        """The whole push, in which the registry's hashing and writing has its part; section `compress` times the compression alone."""
        [ours] = [builder for builder in self.builders if builder.name == "imaged"]
        path = self.layer()
        self.large, size = os.path.dirname(path), os.path.getsize(path)
        self.once(ours, self.large)
        seconds, packed = self.one_thread(path)
        say(f" a layer of {size / 1e6:.0f} MB to a registry; gzip -6 of one thread: {seconds:.1f} s, ratio {size / packed:.2f}")
        for compression in ("gzip", "zstd"):
            took, bytes_there = self.push_new(ours, compression)
            say(f"  {compression + ', the whole push':44} {took:8.3f} s, {seconds / took:.1f} times gzip -6, ratio {size / bytes_there:.2f}")
            verdict(f"{compression}: ratio / that of gzip -6", packed / bytes_there, 0.88 if compression == "gzip" else 1.0, " x", at_least=True)
        shutil.rmtree(self.large)
