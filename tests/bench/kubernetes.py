"""What kubelet asks again and again, of imaged and of containerd with the same images."""

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import time

import rpc
from criclient import IMAGE, Cri, spec
from harness import BIN, Daemon, program
from peers import Containerd
from verdicts import say, shown, verdict

IMAGES = int(os.environ.get("BENCH_CRI_IMAGES", "1000"))
MANY = int(os.environ.get("BENCH_IMAGES", "10000"))
CALLS = 41
ROUNDS, SECONDS = 5, 2
TESTS = os.path.join(os.path.dirname(BIN), "tests")
SERVICE = "/runtime.v1.ImageService/"


class Caller:
    """Bytes in, bytes out: what a client does with an answer is not measured."""

    def __init__(self, address):
        self.channel = rpc.channel(address, None, [("grpc.max_receive_message_length", 64 << 20)])

    def __call__(self, method, request):
        call, message = self.channel.unary_unary(SERVICE + method), request.SerializeToString()
        begin = time.monotonic()
        call(message, timeout=60)
        return time.monotonic() - begin

    def close(self):
        self.channel.close()


def answered(address):
    """Seconds from one call to its answer. By a client that costs next to nothing: Python's takes
    longer for so large an answer than either server does."""
    command = [os.path.join(TESTS, "bench_unary"), address.removeprefix("unix://"), f"{SERVICE}ListImages", "1", str(SECONDS), ""]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    return float(re.search(r"median (\d+) us", said)[1]) / 1e6


def listed(address):
    with contextlib.closing(Cri(address, None, [("grpc.max_receive_message_length", 64 << 20)])) as client:
        return sorted(one.id for one in client.images())


class Kubernetes:
    def into_containerd(self, imaged, containerd):
        """The images of one in the other, by an archive of the first."""
        archive = os.path.join(self.fresh("archive"), "images.tar")
        names = [tag for one in imaged.client().images() for tag in one.repo_tags]
        subprocess.run([program("imagectl"), "save", "-o", archive, *names], env={**os.environ, "IMAGED_HOST": imaged.address}, check=True)
        ctr = ["ctr", "--address", containerd, "-n", "k8s.io", "images", "import", "--no-unpack", archive]
        subprocess.run(ctr, stdout=subprocess.DEVNULL, check=True)
        shutil.rmtree(os.path.dirname(archive))

    def list_images(self, imaged, containerd):
        self.into_containerd(imaged, containerd)
        address = f"unix://{containerd}"
        ids = listed(imaged.address)
        while listed(address) != ids:  # its plugin follows events
            time.sleep(0.1)
        times = {"imaged": [], "containerd": []}
        for _ in range(ROUNDS):
            times["imaged"].append(answered(imaged.address))
            times["containerd"].append(answered(address))
        say(f" ListImages, {len(ids)} images, ms: medians of {SECONDS} s, {ROUNDS} in turn")
        for name, seconds in times.items():
            say(f"  {name:44} {shown(seconds, 1e3)}")
        middle = {name: statistics.median(seconds) for name, seconds in times.items()}
        verdict("ListImages: imaged / containerd", middle["imaged"] / middle["containerd"], 0.3, " x")

    def single(self, name, address, method, request):
        call = Caller(address)
        times = [call(method, request) for _ in range(10 * CALLS)]
        call.close()
        say(f" {name}, ms: {shown(times, 1e3)}")
        verdict(name, statistics.median(times) * 1e3, 1, " ms")

    def cri(self):
        path, image = self.many_images(IMAGES)
        imaged = Daemon(path)
        if Containerd.is_there():
            peer = Containerd(self.fresh("containerd"))
            with peer.running():
                self.list_images(imaged, peer.address)
        self.single(f"ImageStatus with {IMAGES} images", imaged.address, "ImageStatus", IMAGE.ImageStatusRequest(image=spec(image)))
        imaged.stop()
        path, _ = self.with_many()
        imaged = Daemon(path)
        self.single(f"ImageFsInfo with {MANY} images", imaged.address, "ImageFsInfo", IMAGE.ImageFsInfoRequest())
        imaged.stop()
