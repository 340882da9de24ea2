"""See run.sh."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import images  # noqa: E402, I001 (it makes the rest findable)
import archives  # noqa: E402
from builds import Builds  # noqa: E402
from fakeregistry import FakeRegistry  # noqa: E402
from harness import BIN, ROOT, Daemon, DockerRegistry, free_port, program, stop, wait_listening  # noqa: E402,F401
from http2 import Http2, call  # noqa: E402
from kubernetes import Kubernetes  # noqa: E402
from layers import Mounting  # noqa: E402
from networks import Networks  # noqa: E402
from ociimage import Image, Layer, tar  # noqa: E402
from pki import CLIENT, Pki  # noqa: E402
from rpc import Client  # noqa: E402
from verdicts import missed, say, shown, verdict  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
MANY = int(os.environ.get("BENCH_IMAGES", "10000"))
TESTS = os.path.join(os.path.dirname(BIN), "tests")
SECTIONS = (
    "pull", "present", "calls", "memory", "start", "cli", "save", "load", "push", "layers", "ranges", "tiny", "cut", "compress", "unary", "build", "conns", "cri",
)  # fmt: skip
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


def tag_by_api(address, reference, names):
    """dockerd is asked without its command, which would take minutes."""
    for number in range(names):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(address.removeprefix("unix://"))
        connection.request("POST", f"/images/{reference}/tag?repo=many&tag={number}")
        connection.getresponse().read()
        connection.close()


class Bench(Builds, Kubernetes, Mounting, Networks):
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
        self.stop_large()
        if self._served:
            self._served.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    # -- cold pull

    def pull_imaged(self, reference, _):
        path = self.fresh("imaged")
        daemon = Daemon(path)
        try:
            return run([program("imagectl"), "pull", "-q", "--no-layers", reference], env={**os.environ, "IMAGED_HOST": daemon.address})
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
        say(f"cold pull, seconds, median [min-max] of {ROUNDS} (of the small ones 21); imaged makes it durable, without images of layers; skopeo neither inflates nor checks diff ids")
        for name, (reference, digest, size) in served.items():
            times = {"floor": [], "imaged": [], "skopeo": []}
            self.pull_floor(reference, digest)  # the registry's files into the page cache
            rounds = ROUNDS if size > 10e6 else max(ROUNDS, 21)  # of milliseconds it takes more for a median
            for _ in range(rounds):
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

    @contextlib.contextmanager
    def sampled(self, daemon):
        """Gives a list that holds the peak, in KiB, when the block is left."""
        peak, done = [0], threading.Event()

        def sample():
            while not done.wait(0.01):
                peak[0] = max(peak[0], self.anonymous(daemon.pid))

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            yield peak
        finally:
            done.set()
            sampler.join()

    def memory(self):
        names = ["big1", "big2", "big3", "big4"]
        served = self.served(*names)
        daemon = Daemon(self.fresh("imaged"))
        with Client(daemon.address) as client:
            client.GetVersion()
            idle = self.anonymous(daemon.pid)
            begin = time.monotonic()
            with self.sampled(daemon) as peak, ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda name: client.pull(served[name][0], timeout=600), names))
            seconds = time.monotonic() - begin
            after = self.anonymous(daemon.pid)
        say(f"memory (RssAnon of daemon and workers): four pulls of 1 GB took {seconds:.1f} s; afterwards {after / 1024:.1f} MiB")
        verdict("idle", idle / 1024, 20, " MiB")
        verdict("during four parallel pulls of 1 GB", peak[0] / 1024, 64, " MiB")
        daemon.stop()
        shutil.rmtree(daemon.directory)

    def conns(self):
        """1,000 idle connections that each had a call: by unix socket, and by TLS both ways."""
        pki, port, count = Pki(self.fresh("pki")), free_port(), 1000
        ca = pki.authority("ca")
        server, client = pki.issue("server", ca), pki.issue("client", ca, CLIENT)
        daemon = Daemon(
            self.fresh("imaged"), "--listen", f"tcp://127.0.0.1:{port}", "--tls-cert", server[0], "--tls-key", server[1],
            "--tls-client-ca", ca[0], "--grant", "read:certificate",
        )  # fmt: skip

        def used(make):
            one = make().start()
            one.send(call(1, "/imaged.v1.ImageService/GetVersion"))
            if not one.ended(1):
                raise RuntimeError("a connection broke")
            return one

        for name, make in (("unix", lambda: Http2.unix(daemon.socket)), ("TLS", lambda: Http2.tls(port, ca[0], client))):
            with contextlib.ExitStack() as open_ones:
                for _ in range(20):  # what the first ones cost
                    open_ones.enter_context(used(make))
                before = self.anonymous(daemon.pid)
                for _ in range(count):
                    open_ones.enter_context(used(make))
                verdict(f"an idle connection, {name} (RssAnon)", (self.anonymous(daemon.pid) - before) / count, 20, " KiB")
        daemon.stop()

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

    def in_pairs(self, commands, rounds=31):
        """Medians in ms of whole processes, ours and docker's in turn; docker's is None without docker."""
        all_times = [[] for _ in commands]
        for _ in range(rounds):
            for times, (environment, command) in zip(all_times, commands):
                if command:
                    times.append(run(command, env=environment))
        return [times and statistics.median(times) * 1e3 for times in all_times]

    def cli_pair(self, ours, theirs, *arguments):
        name = " ".join(arguments[:1])
        mine, docker = self.in_pairs([
            (ours, [program("imagectl"), *arguments]),
            (None, theirs and [*theirs, *arguments]),
        ])  # fmt: skip
        say(f"  {name:44} {mine:8.2f} ms" + (f", docker {docker:.2f} ms" if docker else ""))
        return mine, docker

    def cli(self):
        reference = self.served("small")["small"][0]
        daemon, docker = Daemon(self.fresh("imaged")), self.dockerd()
        ours, theirs = {**os.environ, "IMAGED_HOST": daemon.address}, None
        run([program("imagectl"), "pull", "-q", reference], env=ours)
        if docker:
            theirs = ["docker", "-H", docker[1]]
            run([*theirs, "pull", "-q", reference])
        say("whole processes, ms, medians of 31, in turn; 1 name in the store")
        for flag in ("--help", "--version"):
            verdict(f"imagectl {flag}", self.cli_pair(ours, theirs, flag)[0], 10, " ms")
        for arguments in (("images",), ("inspect", reference), ("tag", reference, "name:1")):
            mine, his = self.cli_pair(ours, theirs, *arguments)
            if his:
                verdict(f"imagectl {arguments[0]} / docker {arguments[0]}", mine / his, 0.4, " x")
        self.cli_many(daemon, docker, ours, theirs, reference)
        if docker:
            self.stop_docker(docker[0], docker[2])
        daemon.stop()

    def cli_many(self, daemon, docker, ours, theirs, reference, names=5000):
        with Client(daemon.address) as client:
            for number in range(names):
                client.TagImage(source=reference, target=f"many:{number}")
        if docker:
            tag_by_api(docker[1], reference, names)
        say(f" {names} names")
        mine, his = self.cli_pair(ours, theirs, "images")
        if his:
            verdict("imagectl images / docker images", mine / his, 0.2, " x")

    # -- archives

    @staticmethod
    def stop_docker(process, path):
        stop(process, 60)
        for line in open("/proc/mounts", encoding="utf-8"):
            if line.split()[1].startswith(path + "/"):
                subprocess.run(["umount", "-l", line.split()[1]], check=False)

    def with_large(self):
        """The daemons with the large image, and archives of it: docker's own, and ours."""
        if hasattr(self, "_large"):
            return self._large
        reference = self.served("large")["large"][0]
        daemon, docker = Daemon(self.fresh("imaged")), self.dockerd()
        ours, theirs = {**os.environ, "IMAGED_HOST": daemon.address}, None
        run([program("imagectl"), "pull", "-q", reference], env=ours)
        files = {"imaged": os.path.join(self.fresh("archives"), "imaged.tar")}
        run([program("imagectl"), "save", "-o", files["imaged"], reference], env=ours)
        if docker:
            theirs = ["docker", "-H", docker[1]]
            run([*theirs, "pull", "-q", reference])
            files["docker"] = os.path.join(os.path.dirname(files["imaged"]), "docker.tar")
            run([*theirs, "save", "-o", files["docker"], reference])
        self._large = daemon, ours, docker, theirs, reference, files
        return self._large

    def stop_large(self):
        if hasattr(self, "_large"):
            daemon, _, docker, *_ = self._large
            daemon.stop()
            if docker:
                self.stop_docker(docker[0], docker[2])

    def in_turn(self, rounds, **commands):
        """{name: seconds of each round}; disks are synced before each command."""
        times = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                os.sync()
                times[name].append(command())
        for name, seconds in times.items():
            say(f"  {name.replace('_', ' '):44} {shown(seconds)}")
        return {name: statistics.median(seconds) for name, seconds in times.items()}

    def save(self):
        daemon, ours, docker, theirs, reference, files = self.with_large()
        out = os.path.join(self.fresh("save"), "out.tar")
        say(f"save of large to a file, s, median [min-max] of {ROUNDS}; " + ", ".join(f"{n}: {os.path.getsize(f) / 1e6:.0f} MB" for n, f in files.items()))
        commands = {"imagectl_save": lambda: run([program("imagectl"), "save", "-o", out, reference], env=ours)}
        if docker:
            commands["docker_save"] = lambda: run([*theirs, "save", "-o", out, reference])
        middle = self.in_turn(ROUNDS, **commands)
        if docker:
            verdict("save: imaged / docker", middle["imagectl_save"] / middle["docker_save"], 0.1, " x")
        os.unlink(out)
        self.save_into_a_pipe()

    def save_into_a_pipe(self):
        big = self.served("big")["big"][0]
        daemon = Daemon(self.fresh("imaged"))
        ours = {**os.environ, "IMAGED_HOST": daemon.address}
        run([program("imagectl"), "pull", "-q", big], env=ours)
        command = ["sh", "-c", f'"$0" save {big} | cat > /dev/null', program("imagectl")]
        run(command, env=ours)
        with self.sampled(daemon) as peak:
            times = [run(command, env=ours) for _ in range(ROUNDS)]
        rates = [images.BIG_BYTES / 1e6 / seconds for seconds in times]
        say(f"save of 1 GB into a pipe, MB/s: {shown(rates)}")
        verdict("700 MB/s / save into a pipe", 700 / statistics.median(rates), 1, " x")
        verdict("memory during it", peak[0] / 1024, 64, " MiB")
        archive = os.path.join(self.fresh("big"), "big.tar")
        run([program("imagectl"), "save", "-o", archive, big], env=ours)
        run([program("imagectl"), "image", "prune", "-af"], env=ours)
        with self.sampled(daemon) as peak:
            seconds = run([program("imagectl"), "load", "-i", archive], env=ours)
        verdict(f"memory during a load of 1 GB ({seconds:.1f} s)", peak[0] / 1024, 64, " MiB")
        daemon.stop()
        shutil.rmtree(daemon.directory)
        os.unlink(archive)

    def load_into_new(self, archive):
        """Into an empty store, which is made and thrown away outside of the measured time."""
        daemon = Daemon(self.fresh("load"))
        try:
            return run([program("imagectl"), "load", "-i", archive], env={**os.environ, "IMAGED_HOST": daemon.address})
        finally:
            daemon.stop()
            shutil.rmtree(daemon.directory)

    def load_into_docker(self, theirs, archive):
        """It has no empty store at hand: its images are removed before."""
        found = subprocess.run([*theirs, "images", "-aq"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        for at in range(0, len(found), 100):
            run([*theirs, "rmi", "-f", *found[at : at + 100]])
        os.sync()
        return run([*theirs, "load", "-q", "-i", archive])

    def load(self):
        daemon, ours, docker, theirs, _, files = self.with_large()
        say(f"load of large from a file, s, median [min-max] of {ROUNDS}")
        for kind, path in files.items():
            say(f" archive of {kind}, {os.path.getsize(path) / 1e6:.0f} MB")
            commands = {"imagectl_load": lambda path=path: self.load_into_new(path)}
            if docker:
                commands["docker_load"] = lambda path=path: self.load_into_docker(theirs, path)
            middle = self.in_turn(ROUNDS, **commands)
            run([program("imagectl"), "load", "-i", path], env=ours)
            again = {"imagectl_load_present": lambda path=path: run([program("imagectl"), "load", "-i", path], env=ours)}
            if docker:
                again["docker_load_present"] = lambda path=path: run([*theirs, "load", "-q", "-i", path])
            middle.update(self.in_turn(ROUNDS, **again))
            if docker:
                verdict(f"load of {kind}'s: imaged / docker", middle["imagectl_load"] / middle["docker_load"], 0.15, " x")
                verdict(f"present, of {kind}'s: imaged / docker", middle["imagectl_load_present"] / middle["docker_load_present"], 0.35, " x")
        self.load_tiny(docker, theirs)

    def load_tiny(self, docker, theirs):
        path = os.path.join(self.fresh("tiny"), "tiny.tar")
        with open(path, "wb") as file:
            file.write(tar(archives.docker_files(*[(archives.an_image(f"{n}"), f"tiny:{n}") for n in range(1000)])))
        say(" 1,000 distinct tiny images in one archive")
        rounds = max(1, ROUNDS // 2)
        commands = {"imagectl_load": lambda: self.load_into_new(path)}
        if docker:
            commands["docker_load"] = lambda: self.load_into_docker(theirs, path)
        middle = self.in_turn(rounds, **commands)
        if docker:
            verdict("1,000 tiny images: imaged / docker", middle["imagectl_load"] / middle["docker_load"], 0.1, " x")

    # -- push

    def push_to_new(self, command):
        """command(reference) with an empty registry, twice: (seconds, seconds again)."""
        registry = DockerRegistry(self.fresh("to"))
        try:
            reference = f"{registry.host}/bench:1"
            os.sync()
            return command(reference), command(reference)
        finally:
            registry.stop()
            shutil.rmtree(os.path.dirname(registry.log.name))

    def push(self):
        big = self.served("big")["big"][0]
        daemon = Daemon(self.fresh("imaged"))
        ours = {**os.environ, "IMAGED_HOST": daemon.address}
        run([program("imagectl"), "pull", "-q", big], env=ours)
        layout = self.fresh("layout")
        run(["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", f"docker://{big}", f"oci:{layout}:x"])

        def imaged(reference):
            run([program("imagectl"), "tag", big, reference], env=ours)
            return run([program("imagectl"), "push", "-q", reference], env=ours)

        def skopeo(reference):
            return run(["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:x", f"docker://{reference}"])

        say(f"push of 1 GB to an empty docker-registry, s, whole process, median [min-max] of {ROUNDS}")
        times = {"imaged": [], "skopeo": [], "imaged again": [], "skopeo again": []}
        with self.sampled(daemon) as peak:
            for _ in range(ROUNDS):
                for name, command in (("imaged", imaged), ("skopeo", skopeo)):
                    for what, seconds in zip((name, name + " again"), self.push_to_new(command)):
                        times[what].append(seconds)
        for name, values in times.items():
            say(f"  {name:44} {shown(values)}")
        verdict("push: imaged / skopeo", statistics.median(times["imaged"]) / statistics.median(times["skopeo"]), 1.0, " x")
        verdict("push again", statistics.median(times["imaged again"]) * 1e3, 50, " ms")
        verdict("memory during it", peak[0] / 1024, 64, " MiB")
        daemon.stop()
        shutil.rmtree(daemon.directory)
        shutil.rmtree(layout)

    # -- compression at push

    def compress(self):
        """A layer of 1 GB of this machine's files, beside one thread of gzip -6."""
        path, out = os.path.join(self.fresh("compress"), "layer.tar"), os.path.join(self.fresh("compress"), "out")
        run(["sh", "-c", f"tar -C / --sort=name -cf - usr 2>/dev/null | head -c 1000000000 > {path}"])
        times, sizes = {"gzip -6": [], "gzip": [], "zstd": []}, {}

        def ours(kind):
            done = subprocess.run(
                [os.path.join(TESTS, "bench_compress"), self.fresh("root"), path, kind, "0", "0", out],
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            seconds, sizes[kind] = done.stdout.split()
            times[kind].append(float(seconds))

        for _ in range(ROUNDS):
            times["gzip -6"].append(run(["sh", "-c", f"gzip -6 < {path} > {out}"]))
            sizes["gzip -6"] = os.path.getsize(out)
            ours("gzip")
            run(["sh", "-c", f"gzip -dc {out} | cmp - {path}"])
            ours("zstd")
        say(f"compression of a layer of 1 GB, s, median [min-max] of {ROUNDS}, and bytes")
        for name, values in times.items():
            say(f"  {name:44} {shown(values)} {int(sizes[name]):,}")
        middle = {name: statistics.median(values) for name, values in times.items()}
        verdict("gzip: 12 * imaged / gzip -6", 12 * middle["gzip"] / middle["gzip -6"], 1.0, " x")
        verdict("gzip: bytes, imaged / gzip -6", int(sizes["gzip"]) / sizes["gzip -6"], 1 / 0.88, " x")
        verdict("zstd: 6 * imaged / gzip -6", 6 * middle["zstd"] / middle["gzip -6"], 1.0, " x")
        verdict("zstd: bytes, imaged / gzip -6", int(sizes["zstd"]) / sizes["gzip -6"], 1.0, " x")
        os.unlink(path)

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
