"""The images of the pull benchmark: what they are made of is real or random, and the
layers are one gzip -6 member each, as docker push makes them.

    small   1 layer: busybox                      tiny60  60 layers of one small file
    medium  1 layer: Debian with python3          many    1 layer of 100,000 files of 1.4 KB
    large   8 layers of this machine's /usr       big     1 layer of 1 GB of random bytes
    big1-4  four others like big
"""

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

import ociimage  # noqa: E402
from fixtures import busybox_tar, sixty_layers  # noqa: E402
from harness import ROOT, DockerRegistry  # noqa: E402
from ociimage import Blob, Image, Layer, Repo  # noqa: E402

CACHE = os.environ.get("IMAGED_BENCH_CACHE", os.path.join(ROOT, "build", "bench-cache"))
NAMES = ("small", "tiny60", "medium", "many", "large", "big")
BIG_BYTES = 1000 * 1000 * 1000
TAR = [
    "tar", "--sort=name", f"--mtime=@{ociimage.EPOCH}", "--owner=0", "--group=0", "--numeric-owner",
    "--format=posix", "--pax-option=delete=atime,delete=ctime",
]


def work(name):
    return os.path.join(CACHE, "work", name)


def pack(name):
    """gzip -6 of NAME.tar, which goes away."""
    with open(work(name + ".gz"), "wb") as out:
        subprocess.run(["gzip", "-6", "-n", "-c", work(name + ".tar")], stdout=out, check=True)
    with open(work(name + ".tar"), "rb") as file:
        diff_id = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    os.unlink(work(name + ".tar"))
    return Layer(blob=Blob(path=work(name + ".gz")), diff_id=diff_id)


def medium():
    command = ["mmdebstrap", "--variant=minbase", "--format=tar", "--quiet", "--include=python3", "bookworm", work("medium.tar")]
    done = subprocess.run(command, env={**os.environ, "SOURCE_DATE_EPOCH": str(ociimage.EPOCH)}, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        print("medium: mmdebstrap failed; files of /usr/bin and /usr/lib/python3* instead")
        subprocess.run([*TAR, "-C", "/", "-cf", work("medium.tar"), "usr/bin", "usr/lib/python3"], check=True)
    return [pack("medium")]


def usr_groups(count, limit):
    """Directories of /usr in `count` groups of about equal size, `limit` bytes in all."""
    sizes = []
    for top in ("usr/bin", "usr/sbin", "usr/libexec", "usr/share", "usr/lib", "usr/include"):
        for entry in os.scandir("/" + top):
            if entry.is_dir(follow_symlinks=False):
                size = sum(os.lstat(os.path.join(d, f)).st_size for d, _, files in os.walk(entry.path) for f in files)
                if 100_000 < size < limit // 4:
                    sizes.append((size, entry.path[1:]))
    groups, total = [(0, []) for _ in range(count)], 0
    for size, path in sorted(sizes, reverse=True):
        if total + size > limit:
            continue
        total += size
        least = min(range(count), key=lambda n: groups[n][0])
        groups[least] = (groups[least][0] + size, groups[least][1] + [path])
    return [sorted(paths) for _, paths in groups]


def large():
    names = []
    for number, paths in enumerate(usr_groups(8, 600_000_000)):
        names.append(f"large{number}")
        done = subprocess.run([*TAR, "-C", "/", "-cf", work(names[-1] + ".tar"), *paths], stderr=subprocess.DEVNULL)
        if done.returncode > 1:
            raise RuntimeError("tar failed")
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(pack, names))


def many():
    text = bytearray()
    for folder, _, files in sorted(os.walk("/usr/include")):
        for name in sorted(files):
            if len(text) < 140_000_000:
                with open(os.path.join(folder, name), "rb") as file:
                    text += file.read()
    text *= -(-140_000_000 // len(text))
    entries = {}
    for number in range(100_000):
        if number % 1000 == 0:
            entries[f"d{number // 1000:02}/"] = None
        entries[f"d{number // 1000:02}/f{number % 1000:03}"] = bytes(text[number * 1400 : number * 1400 + 1400])
    with open(work("many.tar"), "wb") as out:
        out.write(ociimage.tar(entries))
    return [pack("many")]


def layers(name):
    if name == "small":
        return [Layer(busybox_tar())]
    if name == "tiny60":
        return sixty_layers()
    if name.startswith("big"):
        return [ociimage.random_layer(work(name + ".gz"), BIG_BYTES, name, level=0)]
    return {"medium": medium, "large": large, "many": many}[name]()


def registry(directory, names):
    """docker-registry with these images; {name: (reference, manifest digest, bytes of layers)}."""
    storage = os.path.join(CACHE, "registry")
    os.makedirs(os.path.join(CACHE, "work"), exist_ok=True)
    server = DockerRegistry(directory, storage)
    found = {}
    for name in names:
        note = os.path.join(CACHE, name + ".digest")
        if not os.path.exists(note):
            print(f"making image {name}", flush=True)
            repo = Repo()
            image = repo.add(Image(layers(name)), "1")
            ociimage.push(repo, server.host, name)
            with open(note + ".new", "w", encoding="ascii") as file:
                file.write(f"{image.digest} {sum(layer.blob.size for layer in image.layers)}\n")
            os.rename(note + ".new", note)
            shutil.rmtree(os.path.join(CACHE, "work"))
            os.makedirs(os.path.join(CACHE, "work"))
        with open(note, encoding="ascii") as file:
            digest, size = file.read().split()
        found[name] = (f"{server.host}/{name}:1", digest, int(size))
    return server, found
