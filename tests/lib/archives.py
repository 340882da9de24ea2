"""Archives of images: as docker and others write them, as nobody should, and
clients of Save and Load.

An archive is first a dict {member name: content} in its order (contents as in
ociimage.tar: bytes, None for a directory, str for a symlink, ("hard", target)),
which a test may change, and then bytes by ociimage.tar(). What tarfile does not
write is made of raw members: tar_of(raw_member(...), ...).
"""

import bz2
import contextlib
import gzip
import hashlib
import io
import json
import lzma
import os
import queue
import subprocess
import tarfile

from harness import TestCase
from ociimage import OCI_CONFIG, OCI_LAYER, Image, Layer, Repo, random_bytes, sha256, tar, to_json
from rpc import pb

AMD64 = {"os": "linux", "architecture": "amd64"}
BLOCK = 512
END = bytes(2 * BLOCK)


def hex_of(digest):
    return digest.partition(":")[2]


def blob_name(digest):
    return "blobs/" + digest.replace(":", "/")


def an_image(text="hello", how="plain", size=0, seed=1, **more):
    """A small image; `size` random bytes make it a larger one."""
    entries = {"etc/": None, "etc/motd": text.encode()}
    if size:
        entries["data"] = random_bytes(size, seed)
    return Image([Layer(tar(entries), how)], **more)


# ---- whole archives -----------------------------------------------------------


def layout_files(*images, layout=b'{"imageLayoutVersion":"1.0.0"}'):
    """An OCI layout of (manifest, name, ...) tuples; a name goes into containerd's
    annotation, no name means none."""
    repo, entries = Repo(), []
    for manifest, *names in images:
        repo.add(manifest)
        for name in names or (None,):
            more = {"annotations": {"io.containerd.image.name": name}} if name else {}
            entries.append(manifest.descriptor(**more))
    files = {"oci-layout": layout, "index.json": to_json({"schemaVersion": 2, "manifests": entries})}
    for one in [*repo.manifests.values(), *repo.blobs.values()]:
        files[blob_name(one.digest)] = one.data
    return files


def docker_files(*images):
    """A plain docker-archive of (image, tag, ...) tuples, as skopeo writes it."""
    files, entries = {}, []
    for image, *tags in images:
        layers = []
        for layer in image.layers:
            layers.append(hex_of(layer.diff_id) + ".tar")
            files[layers[-1]] = layer.blob.data
        files[hex_of(image.id) + ".json"] = image.config_bytes
        entries.append({"Config": hex_of(image.id) + ".json", "RepoTags": tags or None, "Layers": layers})
    files["manifest.json"] = to_json(entries)
    return files


_V1_CONTAINER = {
    "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": False, "AttachStderr": False,
    "Tty": False, "OpenStdin": False, "StdinOnce": False, "Env": None, "Cmd": None, "Image": "", "Volumes": None,
    "WorkingDir": "", "Entrypoint": None, "OnBuild": None, "Labels": None,
}  # fmt: skip


def _v1_ids(image):
    """docker-cli.md 9.1: ids of the v1 images, from the base up."""
    ids, chain, parent = [], "", None
    for number, layer in enumerate(image.layers):
        chain = sha256(f"{chain} {layer.diff_id}".encode()) if chain else layer.diff_id
        body = {"container_config": _V1_CONTAINER, "created": "1970-01-01T00:00:00Z", "layer_id": chain}
        if number == len(image.layers) - 1:
            body.update(json.loads(image.config_bytes))
            body.pop("rootfs")
            body.pop("history")
        if parent:
            body["parent"] = "sha256:" + parent
        parent = hashlib.sha256(json.dumps(body, separators=(",", ":"), sort_keys=True).encode()).hexdigest()
        ids.append(parent)
    return ids


def legacy_files(*images):
    """docker save of Docker 20.10: a directory per v1 image; a layer that is there
    under another v1 id is a symlink to it."""
    found, entries, repositories, written = {}, [], {}, {}
    for image, *tags in images:
        found[hex_of(image.id) + ".json"] = image.config_bytes
        layers, parent = [], None
        for one, layer in zip(_v1_ids(image), image.layers):
            layers.append(f"{one}/layer.tar")
            if f"{one}/" not in found:
                found[f"{one}/"] = None
                found[f"{one}/VERSION"] = b"1.0"
                head = {"id": one, **({"parent": parent} if parent else {}), "created": "1970-01-01T00:00:00Z"}
                found[f"{one}/json"] = to_json({**head, "container_config": _V1_CONTAINER, "os": "linux"})
                first = written.setdefault(layer.diff_id, one)
                found[f"{one}/layer.tar"] = layer.blob.data if first == one else f"../{first}/layer.tar"
            parent = one
        for tag in tags:
            repositories.setdefault(tag.rpartition(":")[0], {})[tag.rpartition(":")[2]] = parent
        entries.append({"Config": hex_of(image.id) + ".json", "RepoTags": tags or None, "Layers": layers})
    files = {name: found[name] for name in sorted(found)}
    files["manifest.json"] = to_json(entries) + b"\n"
    if repositories:
        files["repositories"] = to_json(repositories) + b"\n"
    return files


def docker25_files(*images):
    """docker save of Docker 25 and newer: docker-cli.md 9.2."""
    blobs, index, entries, repositories = {}, [], [], {}
    for image, *tags in images:
        layers = [{"mediaType": OCI_LAYER, "size": one.blob.size, "digest": one.diff_id} for one in image.layers]
        config = {"mediaType": OCI_CONFIG, "digest": image.id, "size": len(image.config_bytes)}
        manifest = to_json({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers,
        })  # fmt: skip
        for data in (manifest, image.config_bytes, *(layer.blob.data for layer in image.layers)):
            blobs[blob_name(sha256(data))] = data
        for number, _ in enumerate(image.layers):  # v1 configs, which nobody names
            v1 = to_json({"id": f"{number:064x}", "created": "1970-01-01T00:00:00Z", "os": "linux"})
            blobs[blob_name(sha256(v1))] = v1
        descriptor = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": sha256(manifest), "size": len(manifest)}
        for tag in tags:
            name, _, version = tag.rpartition(":")
            full = f"docker.io/library/{tag}" if "/" not in tag else tag
            index.append({**descriptor, "annotations": {"io.containerd.image.name": full, "org.opencontainers.image.ref.name": version}})
            repositories.setdefault(name, {})[version] = hex_of(image.layers[-1].diff_id)
        if not tags and not index:
            index.append(descriptor)
        entries.append({
            "Config": blob_name(image.id), "RepoTags": tags or None, "Layers": [blob_name(layer.diff_id) for layer in image.layers],
            "LayerSources": dict(sorted((layer["digest"], layer) for layer in layers)),
        })  # fmt: skip
    files = {"blobs/": None, "blobs/sha256/": None}
    files.update((name, blobs[name]) for name in sorted(blobs))
    files["index.json"] = to_json({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": index})
    files["manifest.json"] = to_json(entries) + b"\n"
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    if repositories:
        files["repositories"] = to_json(repositories) + b"\n"
    return files


# ---- raw members --------------------------------------------------------------


def raw_header(name, size=0, kind=b"0", link="", mode=0o644, magic=b"ustar\0" b"00", size_field=None, checksum=None, mtime_field=b"%011o\0" % 0):
    def text(value, length):
        value = value.encode() if isinstance(value, str) else value
        return value[:length].ljust(length, b"\0")

    size_field = size_field or (b"%011o\0" % size if size < 1 << 33 else b"\x80" + size.to_bytes(11, "big"))
    block = text(name, 100) + b"%07o\0" % mode + b"%07o\0" * 2 % (0, 0) + size_field + mtime_field
    block += b" " * 8 + kind + text(link, 100) + magic + bytes(32 * 2 + 8 * 2 + 155 + 12)
    total = b"%06o\0 " % sum(block) if checksum is None else checksum
    return block[:148] + total + block[156:]


def padded(data):
    return data + bytes(-len(data) % BLOCK)


def pax_record(key, value):
    """"LENGTH KEY=VALUE\\n", whose length counts itself."""
    rest = b" " + key.encode() + b"=" + (value if isinstance(value, bytes) else str(value).encode()) + b"\n"
    length = len(rest)
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def raw_member(name, data=b"", pax=None, **header):
    """One member; `pax`: {key: value} or ready bytes of an extended header."""
    before = b""
    if pax is not None:
        records = pax if isinstance(pax, bytes) else b"".join(pax_record(*one) for one in pax.items())
        before = raw_header("PaxHeaders/x", len(records), b"x") + padded(records)
    header.setdefault("size", len(data))
    return before + raw_header(name, **header) + padded(data)


def members_of(files):
    """The raw members of a sane archive, without its end."""
    return b"".join(raw_member(name, data) for name, data in files.items())


def tar_of(*members):
    return b"".join(members) + END


def without_padding(data):
    """An archive that tarfile made, without what it fills its last record with."""
    while data.endswith(bytes(BLOCK)):
        data = data[:-BLOCK]
    return data + END


# ---- compression --------------------------------------------------------------


def _zstd(data):
    return subprocess.run(["zstd", "-q", "-3", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


COMPRESSIONS = {
    "gzip": lambda data: gzip.compress(data, 1, mtime=0),
    "zstd": _zstd,
    "xz": lambda data: lzma.compress(data, preset=0),
    "bzip2": lambda data: bz2.compress(data, 1),
}


# ---- reading ------------------------------------------------------------------


def unpack(data):
    """{name: bytes} of the regular members of an archive, in order."""
    files = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for info in archive:
            if info.isfile():
                assert info.name not in files, f"{info.name} is there twice"
                files[info.name] = archive.extractfile(info).read()
    return files


# ---- the service's clients ----------------------------------------------------


def save(client, *images, platform="", layout=0, timeout=60):
    """The bytes of an archive."""
    return b"".join(piece.data for piece in client.Save(images=images, platform=platform, layout=layout, timeout=timeout))


def import_requests(data=b"", **start):
    """The messages of one Import call."""
    yield pb.ImportRequest(start=pb.ImportStart(**start))
    for at in range(0, len(data), PIECE):
        yield pb.ImportRequest(data=data[at : at + PIECE])


def load_requests(pieces, **start):
    """The messages of one Load call whose archive comes in order, each piece as late as it is sent."""
    yield pb.LoadRequest(start=pb.LoadStart(**start))
    for piece in pieces:
        yield pb.LoadRequest(data=piece)


class Loading:
    """One Load call: messages go out one by one, events are iterated over."""

    def __init__(self, client, timeout=60):
        self._out = queue.SimpleQueue()
        self.call = client.Load(iter(self._out.get, None), timeout=timeout)

    def start(self, **fields):
        self._out.put(pb.LoadRequest(start=pb.LoadStart(**fields)))
        return self

    def data(self, data):
        self._out.put(pb.LoadRequest(data=data))
        return self

    def send(self, message):
        self._out.put(message)
        return self

    def close(self):
        self._out.put(None)
        return self

    def __iter__(self):
        return iter(self.call)

    def __next__(self):
        return next(self.call)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self.call.cancel()


class Loaded:
    """What a load said: images, layers, wants, how much has come, done."""

    def __init__(self):
        self.images, self.layers, self.wants, self.received, self.done = [], [], [], [], None

    def take(self, event):
        kind = event.WhichOneof("event")
        if kind == "done":
            self.done = event.done
        elif kind == "received":
            self.received.append(event.received.bytes)
        else:
            getattr(self, kind + "s").append(getattr(event, kind))
        return kind

    @property
    def asked(self):
        return sum(want.length for want in self.wants)


PIECE = 256 << 10
# How an archive comes, and whether any part of it can be asked for.
WAYS = (("file", True), ("pipe", False))


def load(client, data, seekable=False, platform="", piece=PIECE, timeout=60):
    """Loads an archive as imagectl does; gives Loaded."""
    loaded = Loaded()
    with Loading(client, timeout) as loading:
        loading.start(seekable=seekable, size=len(data) if seekable else 0, platform=platform)
        if not seekable:
            for at in range(0, len(data), piece):
                loading.data(data[at : at + piece])
            loading.close()
        for event in loading:
            assert loaded.done is None, "an event after `done`"
            if loaded.take(event) == "want":
                asked = data[event.want.offset : event.want.offset + event.want.length]
                for at in range(0, len(asked), piece):
                    loading.data(asked[at : at + piece])
                if len(asked) < event.want.length:
                    loading.data(b"")
        assert loaded.done is not None, "a load that succeeds ends with `done`"
    return loaded


class ArchiveCase(TestCase):
    """A test with a daemon on an empty store and a client of it."""

    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def files(self, *directories, daemon=None):
        """{path: (size, time)} of what a store holds there."""
        found = {}
        for directory in directories or ("content", "ingest"):
            for folder, _, names in os.walk(os.path.join((daemon or self.imaged).root, directory)):
                for name in names:
                    path = os.path.join(folder, name)
                    with contextlib.suppress(FileNotFoundError):  # it may go while we look
                        status = os.stat(path)
                        found[path] = (status.st_size, status.st_mtime_ns)
        return found

    def assert_nothing_kept(self):
        """Neither content nor ingest nor name, and the daemon lives."""
        self.assertIsNone(self.imaged.process.poll(), "imaged lives")
        self.assertEqual([], self.client.images())
        self.assertEqual({}, self.files())

    def tags(self, client=None):
        return sorted(tag for image in (client or self.client).images() for tag in image.repo_tags)

    def inspect(self, image, client=None):
        return (client or self.client).InspectImage(image=image)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)
