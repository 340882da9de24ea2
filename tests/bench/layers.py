"""Layers that mount: how long until a pulled image's root is there, beside pulls without
images of layers and beside peers that unpack (performance.md B and I).

Every cold run has a store on a file system of its own that was just made: ext4 with a
journal in a preallocated file, read and written past the page cache. On file systems
where files were just deleted others' figures are worse (performance.md 0).
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import tarfile
import time

import images
from harness import BIN, Daemon, program
from ociimage import Image, Layer, Repo, push, tar
from peers import PEERS
from rpc import Client
from verdicts import say, shown, verdict

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PEER_ROUNDS = int(os.environ.get("BENCH_PEER_ROUNDS", "1"))
TESTS = os.path.join(os.path.dirname(BIN), "tests")
DISK_BYTES = 8 << 30
MOUNTED = ("small", "medium", "large", "many", "tiny60")
FASTER = {"medium": 5, "large": 5, "many": 5, "tiny60": 2}


def run(command, **options):
    begin = time.monotonic()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, **options)
    return time.monotonic() - begin


def median(values):
    return statistics.median(values)


class Mounting:
    @contextlib.contextmanager
    def new_disk(self):
        """A directory on a fresh file system, which goes away with everything on it."""
        path = self.fresh("disk")
        file, mounted = os.path.join(path, "file"), os.path.join(path, "mounted")
        os.mkdir(mounted)
        run(["fallocate", "-l", str(DISK_BYTES), file])
        run(["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=1", file])
        device = subprocess.run(["losetup", "--find", "--show", "--direct-io=on", file], check=True, stdout=subprocess.PIPE, text=True)
        run(["mount", "-t", "ext4", device.stdout.strip(), mounted])
        run(["losetup", "--detach", device.stdout.strip()])  # it goes with the mount
        try:
            yield mounted
        finally:
            run(["umount", mounted])
            shutil.rmtree(path)

    @contextlib.contextmanager
    def new_daemon(self):
        """A function that runs imagectl and gives its seconds, and a directory."""
        with self.new_disk() as directory:
            daemon = Daemon(os.path.join(directory, "imaged"))
            daemon.target = os.path.join(directory, "target")
            os.mkdir(daemon.target)
            environment = {**os.environ, "IMAGED_HOST": daemon.address}
            try:
                yield daemon, lambda *args: run([program("imagectl"), *args], env=environment)
            finally:
                daemon.stop()

    def pull_mounted(self, reference):
        with self.new_daemon() as (daemon, imagectl):
            os.sync()
            pulled = imagectl("pull", "-q", reference)
            mounted = imagectl("image", "mount", reference, daemon.target)
            imagectl("image", "unmount", daemon.target)
            return pulled + mounted

    def pull_without(self, reference):
        with self.new_daemon() as (_, imagectl):
            os.sync()
            return imagectl("pull", "-q", "--no-layers", reference)

    def pull_peer(self, peer, reference):
        with self.new_disk() as directory, peer(directory).running() as pull:
            os.sync()
            return run(pull(reference))

    def mounted(self):
        served = self.served(*MOUNTED)
        peers = [peer for peer in PEERS if peer.is_there()]
        say(f"cold pull until the root is there, s, median [min-max] of {ROUNDS}, peers of {PEER_ROUNDS}; a store on a new ext4 for each")
        for name, (reference, _, size) in served.items():
            say(f" {name} ({size / 1e6:.1f} MB)")
            ours = self.pull_both(reference)
            verdict(f"{name}: pull and mount / pull --no-layers", ours["mounted"] / ours["without"], 1.3, " x")
            theirs = [self.measure_peer(peer, reference) for peer in peers if name in FASTER]
            if theirs:
                verdict(f"{name}: fastest peer / imaged", min(theirs) / ours["mounted"], FASTER[name], " x", at_least=True)

    def pull_both(self, reference):
        times = {"without": [], "mounted": []}
        self.pull_without(reference)  # the registry's files into the page cache
        for _ in range(ROUNDS):
            times["without"].append(self.pull_without(reference))
            times["mounted"].append(self.pull_mounted(reference))
        say(f"  {'imaged, pull --no-layers':44} {shown(times['without'])}")
        say(f"  {'imaged, pull and image mount':44} {shown(times['mounted'])}")
        return {what: median(seconds) for what, seconds in times.items()}

    def measure_peer(self, peer, reference):
        times = [self.pull_peer(peer, reference) for _ in range(PEER_ROUNDS)]
        say(f"  {peer.name:44} {shown(times)}")
        return median(times)

    # -- one large layer

    @staticmethod
    def blob_of(digest):
        algorithm, text = digest.split(":")
        return os.path.join(images.CACHE, "registry", "docker", "registry", "v2", "blobs", algorithm, text[:2], text, "data")

    def layer_blob(self, digest):
        """The file of the only layer of a manifest, in the registry's storage."""
        with open(self.blob_of(digest), encoding="utf-8") as file:
            return self.blob_of(json.load(file)["layers"][0]["digest"])

    def one_layer(self):
        reference, digest, _ = self.served("many")["many"]
        blob = self.layer_blob(digest)
        floor, made, removed, unlinked = [], [], [], []
        for _ in range(ROUNDS):
            floor.append(float(subprocess.run([os.path.join(TESTS, "bench_inflate"), blob], check=True, stdout=subprocess.PIPE).stdout))
            with self.new_daemon() as (daemon, imagectl):
                imagectl("pull", "-q", "--no-layers", reference)
                os.sync()
                made.append(imagectl("image", "mount", reference, daemon.target))
                imagectl("image", "unmount", daemon.target)
                os.sync()
                removed.append(self.remove(daemon, reference))
                unlinked.append(self.unlink_as_large(daemon.target))
        say(f"a layer of 100,000 files, ms, median [min-max] of {ROUNDS}")
        say(f"  {'inflate and hash it, one thread':44} {shown(floor, 1e3)}")
        say(f"  {'make its image of the blob, mount it':44} {shown(made, 1e3)}")
        say(f"  {'remove the image':44} {shown(removed, 1e3)}")
        say(f"  {'unlink a file of as many bytes, for scale':44} {shown(unlinked, 1e3)}")
        verdict("to mountable / inflate and hash", median(made) / median(floor), 1.5, " x")
        verdict("remove an image of 100,000 files", median(removed) * 1e3, 20, " ms")

    def remove(self, daemon, reference):
        with Client(daemon.address) as client:
            client.GetVersion()
            begin = time.monotonic()
            self.freed = client.RemoveImage(image=reference).freed_bytes
            return time.monotonic() - begin

    def unlink_as_large(self, directory):
        path, left = os.path.join(directory, "file"), self.freed
        with open(path, "wb") as file:
            while left > 0:
                left -= file.write(bytes(min(left, 1 << 20)))
            os.fsync(file.fileno())
        begin = time.monotonic()
        os.unlink(path)
        return time.monotonic() - begin

    # -- mounts

    def twenty_layers(self):
        """Pushed to the registry that serves; its reference."""
        repo = Repo()
        repo.add(Image([Layer(tar({f"d{n}/": None, f"d{n}/f": b"%d" % n, "top": b"%d" % n})) for n in range(20)]), "1")
        push(repo, self.host, "twenty")
        return f"{self.host}/twenty:1"

    def mounts(self):
        self.served("small")
        reference = self.twenty_layers()
        with self.new_daemon() as (daemon, imagectl), Client(daemon.address) as client:
            imagectl("pull", "-q", reference)
            times = [self.mount_once(client, reference, daemon.target) for _ in range(max(21, ROUNDS))]
        mount, unmount = zip(*times)
        say(f"an image of 20 layers, ms, median [min-max] of {len(times)}")
        say(f"  {'mount':44} {shown(mount, 1e3)}")
        say(f"  {'unmount':44} {shown(unmount, 1e3)}")
        verdict("mount and unmount, 20 layers", median([a + b for a, b in times]) * 1e3, 10, " ms")

    @staticmethod
    def mount_once(client, reference, target):
        begin = time.monotonic()
        client.MountImage(image=reference, target=target.encode())
        middle = time.monotonic()
        client.UnmountImage(mount=target.encode())
        return middle - begin, time.monotonic() - middle

    # -- disk

    def sizes(self):
        reference, digest, _ = self.served("medium")["medium"]
        with tarfile.open(self.layer_blob(digest)) as archive:
            files = sum(member.size for member in archive if member.isreg())
        with self.new_daemon() as (daemon, imagectl):
            imagectl("pull", "-q", reference)
            layers = sum(
                os.stat(os.path.join(folder, name)).st_blocks * 512
                for folder, _, names in os.walk(os.path.join(daemon.root, "layers"))
                for name in names
            )
        say(f"a minbase tree with python: files of {files / 1e6:.1f} MB, its layer's image takes {layers / 1e6:.1f} MB")
        verdict("image on the disk / files", layers / files, 1.10, " x")

    def layers(self):
        if os.geteuid() != 0:
            say("layers: skipped, file systems are made and mounted, which takes root")
            return
        self.sizes()
        self.mounts()
        self.one_layer()
        self.mounted()
