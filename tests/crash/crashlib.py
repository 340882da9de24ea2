"""Common to the crash tests: a daemon under iotrace.so and a small registry."""

import mmap
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

from harness import BIN, Daemon  # noqa: E402
from ociimage import Image, Layer, random_bytes, tar  # noqa: E402

IOTRACE = os.path.join(os.path.dirname(BIN), "tests", "iotrace.so")


class Control:
    """The shared words of iotrace.so: how many calls there were, where to die."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.write(bytes(24))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 24)

    def arm(self, kill_at, torn=False):
        struct.pack_into("<QQQ", self.map, 0, 0, kill_at, 1 if torn else 0)

    @property
    def count(self):
        return struct.unpack_from("<Q", self.map, 0)[0]


def traced(directory, root, ready=True, control=None, log=None, boot_id=None):
    os.makedirs(root, mode=0o700, exist_ok=True)
    assert os.path.exists(IOTRACE), f"{IOTRACE} is missing: sh tests/run.sh build"  # a preload that is not there is ignored
    environment = {"LD_PRELOAD": IOTRACE, "IOTRACE_ROOT": root}
    if control:
        environment["IOTRACE_CONTROL"] = control.path
    if log:
        environment["IOTRACE_LOG"] = log
    if boot_id:
        environment["IOTRACE_BOOT_ID"] = boot_id
    return Daemon(directory, root=root, env=environment, ready=ready)


def fill(registry):
    """base: 2 layers; app: base's and 2 more, one of 3 MB; wide: 12 layers (syncfs)."""
    base = [Layer(tar({f"base{n}": random_bytes(60000, n)}), level=1) for n in range(2)]
    app = base + [Layer(tar({"big": random_bytes(3 << 20, 7)}), level=1), Layer(tar({"z": random_bytes(50000, 8)}), "zstd")]
    wide = [Layer(tar({f"wide{n}": random_bytes(3000, 20 + n)})) for n in range(12)]
    images = {"base": Image(base), "app": Image(app), "wide": Image(wide)}
    for name, image in images.items():
        registry.repo(name).add(image, "1")
    return images


def mount_directories(root):
    """What a store keeps of mounts that can be written to. Where ways of mounting are tried is
    no mount's: the next try uses it again and takes it away."""
    return sorted(name for name in os.listdir(os.path.join(root, "mounts")) if name != "probe")
