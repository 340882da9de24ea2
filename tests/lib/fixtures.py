"""Real images in a real registry: Debian's docker-registry, fed by skopeo.

registry() starts one over storage that is made once and kept in the test cache;
it is read-only, so that any number of processes may serve it at a time. What is
in it (IMAGES) are small and real root file systems in every combination of
format and compression that registries serve.

    python3 fixtures.py        makes the storage and lists it
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import ociimage  # noqa: E402
from harness import CACHE, DockerRegistry, skopeo  # noqa: E402
from ociimage import Image, Index, Layer, Repo, tar  # noqa: E402

BUSYBOX_APPLETS = "sh ls cat cp mv rm mkdir mount ps wget vi sed grep awk find tar gzip true false echo".split()
AMD64 = {"os": "linux", "architecture": "amd64"}
ARM64 = {"os": "linux", "architecture": "arm64", "variant": "v8"}
ARMV7 = {"os": "linux", "architecture": "arm", "variant": "v7"}

# name:tag → what a test must know of it
IMAGES = {
    "busybox:oci-gzip": "OCI manifest, gzip",
    "busybox:docker-gzip": "Docker schema 2, gzip",
    "busybox:oci-zstd": "OCI manifest, zstd",
    "busybox:oci-plain": "OCI manifest, no compression",
    "busybox:members": "gzip of several members",
    "tree:oci-gzip": "a Debian root file system, one layer",
    "tree:docker-gzip": "the same in Docker schema 2",
    "tree:oci-zstd": "the same, zstd",
    "sixty:oci-gzip": "60 layers",
    "sixty:docker-gzip": "60 layers, Docker schema 2",
    "multi:oci": "OCI index: amd64, arm64/v8, arm/v7",
    "multi:docker": "manifest list of the same",
    "shared:one": "base layer and one of its own",
    "shared:two": "the same base layer, another of its own",
    "random:64m": "one layer of 64 MiB of random bytes",
    "odd:empty-layer": "a tar of no entries, twice",
    "odd:same-layer-twice": "one blob as two layers",
    "odd:no-created": "a configuration without a date",
}


def busybox_tar(extra=None):
    with open(shutil.which("busybox") or "/bin/busybox", "rb") as file:
        program = file.read()
    entries = {f"{name}/": None for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "root")}
    entries["bin/busybox"] = program
    entries.update({f"bin/{name}": ("hard", "bin/busybox") for name in BUSYBOX_APPLETS})
    entries["etc/passwd"] = b"root:x:0:0:root:/root:/bin/sh\n"
    entries.update(extra or {})
    return tar(entries)


def tree_tar(path):
    """A minbase Debian by mmdebstrap; without a mirror, real files of this machine.
    Gives the name of what it is."""
    if not os.path.exists(path):
        made = subprocess.run(
            ["mmdebstrap", "--variant=minbase", "--format=tar", "--quiet", "bookworm", path + ".new"],
            env={**os.environ, "SOURCE_DATE_EPOCH": str(ociimage.EPOCH), "TMPDIR": tempfile.gettempdir()},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=600,
        )
        kind = "mmdebstrap minbase"
        if made.returncode != 0:
            kind = "files of this machine (mmdebstrap failed: " + made.stderr.decode().strip().split("\n")[-1] + ")"
            options = "--sort=name --owner=0 --group=0 --numeric-owner --format=posix --pax-option=delete=atime,delete=ctime"
            folders = [n for n in ("usr/bin", "usr/sbin", "usr/lib/python3", "etc") if os.path.isdir("/" + n)]
            done = subprocess.run(
                ["tar", "-C", "/", *options.split(), f"--mtime=@{ociimage.EPOCH}", "-cf", path + ".new", *folders],
                stderr=subprocess.DEVNULL,
            )
            if done.returncode not in (0, 1):  # 1: a file changed as it was read
                raise RuntimeError("tar of this machine failed")
        with open(path + ".kind", "w", encoding="utf-8") as file:
            file.write(kind)
        os.rename(path + ".new", path)
    with open(path + ".kind", encoding="utf-8") as file:
        return file.read()


def file_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def sixty_layers():
    return [Layer(tar({f"layers/{n:02}/": None, f"layers/{n:02}/file": f"layer {n}\n".encode()})) for n in range(60)]


def multi():
    def one(platform):
        name = "-".join(platform.values())
        return Image([Layer(busybox_tar({"etc/platform": name.encode()}))], platform=platform)

    return Index([(one(p), p) for p in (AMD64, ARM64, ARMV7)])


def feed(host, directory):
    """All of IMAGES. The main ones go through skopeo, as users feed registries;
    what skopeo would convert goes in byte for byte."""

    def by_skopeo(name, image, *options):
        layout = os.path.join(directory, name.replace(":", "-"))
        repo = Repo()
        repo.add(image, "x")
        ociimage.write_layout(repo, layout)
        skopeo("copy", "--quiet", "--dest-tls-verify=false", *options, f"oci:{layout}:x", f"docker://{host}/{name}")
        shutil.rmtree(layout)

    def as_is(name, image):
        repo = Repo()
        repository, tag = name.split(":")
        repo.add(image, tag)
        ociimage.push(repo, host, repository)

    busybox = busybox_tar()
    by_skopeo("busybox:oci-gzip", Image([Layer(busybox)]))
    by_skopeo("busybox:docker-gzip", Image([Layer(busybox)]), "--format=v2s2")
    as_is("busybox:oci-zstd", Image([Layer(busybox, "zstd")]))
    as_is("busybox:oci-plain", Image([Layer(busybox, "plain")]))
    as_is("busybox:members", Image([Layer(busybox, members=5)]))
    tree = file_bytes(os.path.join(CACHE, "tree.tar"))
    whole = Layer(tree, level=6)
    by_skopeo("tree:oci-gzip", Image([whole]))
    by_skopeo("tree:docker-gzip", Image([whole]), "--format=v2s2")
    as_is("tree:oci-zstd", Image([Layer(tree, "zstd")]))
    del tree, whole
    by_skopeo("sixty:oci-gzip", Image(sixty_layers()))
    by_skopeo("sixty:docker-gzip", Image(sixty_layers()), "--format=v2s2")
    by_skopeo("multi:oci", multi(), "--all")
    by_skopeo("multi:docker", multi(), "--all", "--format=v2s2")
    base = Layer(busybox)
    as_is("shared:one", Image([base, Layer(tar({"one": b"1" * 100000}))]))
    as_is("shared:two", Image([base, Layer(tar({"two": b"2" * 100000}))], docker=True))
    as_is("random:64m", Image([ociimage.random_layer(os.path.join(directory, "random"), 64 << 20, 1)]))
    empty, same = Layer(tar({})), Layer(tar({"same": b"same"}))
    as_is("odd:empty-layer", Image([empty, same, empty]))
    as_is("odd:same-layer-twice", Image([same, same]))
    as_is("odd:no-created", Image([same], edit=lambda _, body: body.pop("created")))


@contextlib.contextmanager
def locked(name):
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, name), "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def storage():
    """The directory with the registry's content; made on first use, and again when
    what makes it has changed."""
    version = hashlib.sha256(file_bytes(__file__) + file_bytes(ociimage.__file__)).hexdigest()[:16]
    path = os.path.join(CACHE, "registry-" + version)
    with locked("fixtures.lock"):
        tree_tar(os.path.join(CACHE, "tree.tar"))
        if not os.path.isdir(path):
            with tempfile.TemporaryDirectory(prefix="imaged-fixtures-", dir=CACHE) as work:
                server = DockerRegistry(work)
                try:
                    feed(server.host, work)
                finally:
                    server.stop()
                os.rename(os.path.join(work, "storage"), path)
    return path


def tree_kind():
    return tree_tar(os.path.join(CACHE, "tree.tar"))


_registry = None


def registry():
    """One server for each process, over the common storage."""
    global _registry
    if _registry is None:
        content = storage()
        _registry = DockerRegistry(tempfile.mkdtemp(prefix="imaged-registry-"), content, readonly=True)
    return _registry


_inspected = {}


def inspect_raw(reference):
    """The manifest that the registry serves, as bytes, by skopeo."""
    if reference not in _inspected:
        _inspected[reference] = skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{reference}")
    return _inspected[reference]


def config_raw(reference, platform=None):
    options = []
    if platform:
        options = ["--override-os", platform["os"], "--override-arch", platform["architecture"]]
        if "variant" in platform:
            options += ["--override-variant", platform["variant"]]
    return skopeo(*options, "inspect", "--tls-verify=false", "--raw", "--config", f"docker://{reference}")


if __name__ == "__main__":
    for image, text in IMAGES.items():
        manifest = json.loads(inspect_raw(f"{registry().host}/{image}"))
        size = sum(layer["size"] for layer in manifest.get("layers", []))
        print(f"{image:24} {text}; {len(manifest.get('layers', []))} layers, {size} bytes, {manifest.get('mediaType')}")
    print("tree:", tree_kind())
