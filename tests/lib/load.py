"""Load: connections that stay open, ListImages as fast as a client of bare HTTP/2 gets answers,
and pulls beside. See tests/load.sh.

    rate, problems = run(daemon, registry, connections=1000, seconds=60)
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fakeregistry import FakeRegistry  # noqa: E402
from harness import BIN, Daemon  # noqa: E402
from http2 import Http2, call  # noqa: E402
from ociimage import Image, Layer, random_bytes, tar  # noqa: E402

LOAD = os.path.join(os.path.dirname(BIN), "tests", "bench_unary")
LIST = "/imaged.v1.ImageService/ListImages"
OUTSTANDING = 64
IMAGES = 10
LEFT = 8 << 20  # what memory may differ by when all is over


def anonymous(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read())[1]) << 10


def publish(registry, name, seed):
    registry.repo(name).add(Image([Layer(tar({"a": random_bytes(200000, seed)}))]), "1")
    return f"{registry.host}/{name}:1"


def list_images(daemon, seconds):
    """Calls a second. A call that fails is an error."""
    command = [LOAD, daemon.socket, LIST, str(OUTSTANDING), str(seconds), ""]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=seconds + 60)
    if done.returncode:
        raise RuntimeError(f"ListImages under load: {done.stderr.strip()}")
    return int(done.stdout.split()[0]), done.stdout.strip()


@contextlib.contextmanager
def pulls_beside(daemon, registry):
    """One image after the other is pulled and removed; gives the list of those that were."""
    client, over, pulled, failed = daemon.client(), threading.Event(), [], []

    def work():
        while not over.wait(0.1):
            reference = publish(registry, f"beside{len(pulled)}", len(pulled))
            try:
                client.pull(reference)
                client.RemoveImage(image=reference)
                pulled.append(reference)
            except Exception as error:  # told by the thread that waits
                failed.append(error)
                return

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield pulled
    finally:
        over.set()
        worker.join()
        if failed:
            raise failed[0]


def run(daemon, registry, connections, seconds):
    """(calls a second, the generator's words, pulls, bytes of memory before and after)."""
    client = daemon.client()
    for number in range(IMAGES):
        client.pull(publish(registry, f"held{number}", 1000 + number))
    with contextlib.ExitStack() as open_ones:
        for _ in range(connections):
            one = open_ones.enter_context(Http2.unix(daemon.socket)).start()
            one.send(call(1, LIST))
            if not one.ended(1):
                raise RuntimeError("a connection was closed")
        with pulls_beside(daemon, registry):
            list_images(daemon, 1)  # warm: what the first calls and pulls leave
        before = anonymous(daemon.pid)
        with pulls_beside(daemon, registry) as pulled:
            rate, said = list_images(daemon, seconds)
        after = anonymous(daemon.pid)
    return rate, said, len(pulled), before, after


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory(prefix="imaged-load-") as directory, FakeRegistry() as registry:
        daemon = Daemon(os.path.join(directory, "d"))
        begin = time.monotonic()
        _, said, pulled, before, after = run(daemon, registry, 1000, seconds)
        print(f"ListImages of {IMAGES} images, {OUTSTANDING} at a time, 1,000 connections open: {said}")
        print(f"{pulled} pulls and removals beside; {time.monotonic() - begin:.0f} s in all")
        print(f"RssAnon before {before / 2**20:.1f} MiB, after {after / 2**20:.1f} MiB")
        status = daemon.stop()
    sys.exit(0 if status == 0 and pulled and after <= before + LEFT else 1)


if __name__ == "__main__":
    main()
