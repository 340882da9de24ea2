"""See run.sh."""

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import images  # noqa: E402
from fakeregistry import FakeRegistry  # noqa: E402
from harness import BIN, ROOT, Daemon, program, stop, wait_listening  # noqa: E402,F401
from ociimage import Image, Layer, tar  # noqa: E402
from rpc import Client  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
MANY = int(os.environ.get("BENCH_IMAGES", "10000"))
TESTS = os.path.join(os.path.dirname(BIN), "tests")
SECTIONS = ("pull", "present", "calls", "memory", "start", "cli", "unary")
missed = []


def say(text=""):
    print(text, flush=True)


def verdict(name, value, aim, unit=""):
    good = value <= aim
    if not good:
        missed.append(name)
    say(f"  {name:44} {value:8.2f}{unit:4} aim <= {aim:g}{unit}  {'ok' if good else 'MISSED'}")


def run(command, **options):
    """Wall seconds of a whole process; its output is thrown away."""
    begin = time.monotonic()
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, **options
    )
    seconds = time.monotonic() - begin
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode()[-2000:]}")
    return seconds


def shown(values, scale=1.0):
    low, middle, high = min(values) * scale, statistics.median(values) * scale, max(values) * scale
    return f"{middle:8.3f} [{low:.3f}-{high:.3f}]"


class Bench:
    def __init__(self):
        base = os.environ.get("BENCH_DIR", images.CACHE)
        os.makedirs(base, exist_ok=True)
        self.dir = tempfile.mkdtemp(prefix="run-", dir=base)
        self.serial = 0
        self._served = None

    def fresh(self, name):
        self.serial += 1
        path = os.path.join(self.dir, f"{name}-{self.serial}")
        os.makedirs(path)
        return path

    def served(self, *names):
        if self._served:
            self._served.stop()
        self._served, found = images.registry(self.fresh("registry"), names)
        self.host = self._served.host
        return found

    def close(self):
        if self._served:
            self._served.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    # -- cold pull

    def pull_imaged(self, reference, _):
        path = self.fresh("imaged")
        daemon = Daemon(path)
        try:
            return run([program("imagectl"), "pull", "-q", reference], env={**os.environ, "IMAGED_HOST": daemon.address})
        finally:
            daemon.stop()
            shutil.rmtree(path)

    def pull_floor(self, reference, digest):
        path = self.fresh("floor")
        try:
            repository = reference.split("/", 1)[1].split(":")[0]
            return run([os.path.join(TESTS, "bench_floor"), self.host, repository, digest, path])
        finally:
            shutil.rmtree(path)

    def pull_skopeo(self, reference, _):
        path = self.fresh("skopeo")
        try:
            return run(["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", f"docker://{reference}", f"oci:{path}:x"])
        finally:
            shutil.rmtree(path)

    def pull(self):
        aims = {"small": 1.0, "big": 1.0, "tiny60": 1.0, "medium": 1.3, "large": 2.0, "many": 2.0}
        served = self.served(*images.NAMES)
        say(f"cold pull, seconds, median [min-max] of {ROUNDS}; imaged makes it durable, skopeo neither inflates nor checks diff ids")
        for name, (reference, digest, size) in served.items():
            times = {"floor": [], "imaged": [], "skopeo": []}
            self.pull_floor(reference, digest)  # the registry's files into the page cache
            for _ in range(ROUNDS):
                for peer, seconds in times.items():
                    os.sync()
                    seconds.append(getattr(self, "pull_" + peer)(reference, digest))
            say(f" {name} ({size / 1e6:.1f} MB)")
            for peer, seconds in times.items():
                say(f"  {peer:44} {shown(seconds)}")
            middle = {peer: statistics.median(seconds) for peer, seconds in times.items()}
            verdict(f"{name}: imaged / floor", middle["imaged"] / middle["floor"], 1.25, " x")
            verdict(f"{name}: imaged / skopeo", middle["imaged"] / middle["skopeo"], aims[name], " x")

    def present(self):
        reference = self.served("small")["small"][0]
        daemon = Daemon(self.fresh("imaged"))
        environment = {**os.environ, "IMAGED_HOST": daemon.address}
        command = [program("imagectl"), "pull", "-q", reference]
        run(command, env=environment)
        times = [run(command, env=environment) for _ in range(max(21, ROUNDS))]
        say(f"pull of an image that is present, ms, whole process: {shown(times, 1e3)}")
        verdict("pull of a present image", statistics.median(times) * 1e3, 25, " ms")
        daemon.stop()

    # -- many images

    def many_images(self, count):
        """A stopped root with `count` images over one layer, each with a tag."""
        path = self.fresh("many")
        daemon = Daemon(path)
        base = Layer(tar({"base": b"base"}))
        with FakeRegistry() as registry, Client(daemon.address) as client:
            begin = time.monotonic()
            repo = registry.repo("many")
            repo.add(Image([base], config={"author": "first"}), "first")
            client.pull(f"{registry.host}/many:first")

            def one(number):
                repo.add(Image([base], config={"author": str(number), "created": f"2024-01-01T00:{number // 60 % 60:02}:{number % 60:02}Z"}), f"t{number}")
                client.pull(f"{registry.host}/many:t{number}")

            with ThreadPoolExecutor(16) as pool:
                list(pool.map(one, range(count - 1)))
            say(f"  {count} images pulled in {time.monotonic() - begin:.0f} s")
            image = f"{registry.host}/many:first"
        daemon.stop()
        return path, image

    def measure_calls(self, address, image):
        out = subprocess.run([os.path.join(TESTS, "bench_calls"), address, image], stdout=subprocess.PIPE, check=True, text=True).stdout
        found = {}
        for line in out.splitlines():
            fields = line.split()
            found[fields[0]] = [float(field) for field in fields[1:]]
        return found

    def with_many(self):
        if not hasattr(self, "_many"):
            self._many = self.many_images(MANY)
        return self._many

    def calls(self):
        say("single calls of a C client over a unix socket, ms: median min max")
        results = {}
        for count in (10, MANY):
            path, image = self.many_images(count) if count == 10 else self.with_many()
            daemon = Daemon(path)
            results[count] = self.measure_calls(daemon.address, image)
            daemon.stop()
            say(f" {count} images, {int(results[count].pop('listed')[0])} listed")
            for name, values in results[count].items():
                say(f"  {name:12} " + " ".join(f"{v:8.3f}" for v in values))
        big = results[MANY]
        verdict(f"ListImages, {MANY} tags, first page", big["list-first"][0], 5, " ms")
        verdict(f"ListImages, {MANY} tags, all", big["list-all"][0], 60, " ms")
        verdict("inspect", big["inspect"][0], 1, " ms")
        verdict("tag, durable", big["tag"][0], 3, " ms")
        verdict("untag, durable", big["untag"][0], 3, " ms")
        verdict(f"tag with {MANY} images / with 10", big["tag"][0] / results[10]["tag"][0], 1.5, " x")

    # -- memory

    @staticmethod
    def anonymous(pid):
        """KiB of anonymous memory of a process and its children."""
        total = 0
        pids = [pid]
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                    pids += [int(text) for text in file.read().split()]
        for one in set(pids):
            with contextlib.suppress(OSError), open(f"/proc/{one}/status", encoding="ascii") as file:
                found = re.search(r"RssAnon:\s+(\d+)", file.read())
                total += int(found[1]) if found else 0
        return total

    def memory(self):
        names = ["big1", "big2", "big3", "big4"]
        served = self.served(*names)
        daemon = Daemon(self.fresh("imaged"))
        with Client(daemon.address) as client:
            client.GetVersion()
            idle = self.anonymous(daemon.pid)
            peak, done = 0, threading.Event()

            def sample():
                nonlocal peak
                while not done.wait(0.01):
                    peak = max(peak, self.anonymous(daemon.pid))

            sampler = threading.Thread(target=sample)
            sampler.start()
            begin = time.monotonic()
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda name: client.pull(served[name][0], timeout=600), names))
            seconds = time.monotonic() - begin
            done.set()
            sampler.join()
            after = self.anonymous(daemon.pid)
        say(f"memory (RssAnon of daemon and workers): four pulls of 1 GB took {seconds:.1f} s; afterwards {after / 1024:.1f} MiB")
        verdict("idle", idle / 1024, 20, " MiB")
        verdict("during four parallel pulls of 1 GB", peak / 1024, 64, " MiB")
        daemon.stop()
        shutil.rmtree(daemon.directory)

    # -- start

    def start(self):
        path, _ = self.with_many()
        times = []
        for _ in range(max(9, ROUNDS)):
            begin = time.monotonic()
            daemon = Daemon(path)
            times.append(time.monotonic() - begin)
            daemon.stop()
        say(f"start to ready with {MANY} images, ms: {shown(times, 1e3)}")
        verdict(f"ready with {MANY} images", statistics.median(times) * 1e3, 50, " ms")

    # -- command line against docker's

    def dockerd(self):
        if not shutil.which("dockerd"):
            say("  skipped: dockerd is not installed")
            return None
        path = self.fresh("docker")
        address = f"unix://{path}/docker.sock"
        log = open(os.path.join(path, "log"), "wb")
        process = subprocess.Popen(
            ["dockerd", "--data-root", f"{path}/data", "--exec-root", f"{path}/exec", "-H", address, "-p", f"{path}/pid",
             "--iptables=false", "--bridge=none"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        pause = threading.Event()
        for _ in range(300):
            if process.poll() is not None:
                break
            if subprocess.run(["docker", "-H", address, "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                return process, address, path
            pause.wait(0.1)
        say(f"  skipped: dockerd does not start here (see {path}/log)")
        process.kill()
        process.wait()
        return None

    def cli(self):
        reference = self.served("small")["small"][0]
        daemon = Daemon(self.fresh("imaged"))
        ours = {**os.environ, "IMAGED_HOST": daemon.address}
        run([program("imagectl"), "pull", "-q", reference], env=ours)
        for number in range(9):
            run([program("imagectl"), "tag", reference, f"name{number}:1"], env=ours)
        docker = self.dockerd()
        say("whole processes, ms, 10 names in the store")
        times = {"imagectl": [], "docker": []}
        if docker:
            process, address, path = docker
            theirs = ["docker", "-H", address]
            run([*theirs, "pull", "-q", reference])
            for number in range(9):
                run([*theirs, "tag", reference, f"name{number}:1"])
        for _ in range(max(21, ROUNDS)):
            times["imagectl"].append(run([program("imagectl"), "images"], env=ours))
            if docker:
                times["docker"].append(run([*theirs, "images"]))
        for name, values in times.items():
            if values:
                say(f"  {name + ' images':44} {shown(values, 1e3)}")
        if docker:
            verdict("imagectl images / docker images", statistics.median(times["imagectl"]) / statistics.median(times["docker"]), 0.4, " x")
            stop(process, 60)
            for line in open("/proc/mounts", encoding="utf-8"):
                if line.split()[1].startswith(path + "/"):
                    subprocess.run(["umount", "-l", line.split()[1]], check=False)
        daemon.stop()

    def unary(self):
        script = os.path.join(ROOT, "tests", "bench", "unary.sh")
        if not os.path.exists(script):
            say("unary: tests/bench/unary.sh does not exist")
            return
        subprocess.run(["sh", script], check=False)


def main():
    chosen = sys.argv[1:] or SECTIONS
    for name in chosen:
        if name not in SECTIONS:
            sys.exit(f"bench: unknown section '{name}'; one of {' '.join(SECTIONS)}")
    bench = Bench()
    try:
        for name in chosen:
            say(f"\n== {name}")
            getattr(bench, name)()
    finally:
        bench.close()
    say(f"\nmissed aims: {', '.join(missed) or 'none'}")


if __name__ == "__main__":
    main()
