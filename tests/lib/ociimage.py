"""Container images made in memory, with chosen properties, good and hostile.

A Blob is bytes, or a file for what is too big. A Repo is what a registry serves
under one name: blobs, manifests and tags. Everything is deterministic: equal
arguments give equal digests.

    repo = Repo()
    image = Image([Layer(tar({"etc/motd": b"hello"}))])
    repo.add(image, "latest")
    write_layout(repo, directory)        # for skopeo
    push(repo, "127.0.0.1:5000", "a/b")  # as it is, by HTTP
"""

import gzip
import hashlib
import http.client
import io
import json
import os
import random
import subprocess
import tarfile
import zlib

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

STEP = 1 << 20
EPOCH = 1700000000


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Blob:
    """Bytes with their digest; `path` instead of `data` for those that stay on disk."""

    def __init__(self, data=None, path=None, digest=None):
        self.path = path
        self.data = data
        if data is not None:
            self.size = len(data)
            self.digest = digest or sha256(data)
        else:
            self.size = os.path.getsize(path)
            self.digest = digest or self._file_digest()

    def _file_digest(self):
        state = hashlib.sha256()
        for piece in self.pieces():
            state.update(piece)
        return "sha256:" + state.hexdigest()

    def pieces(self, start=0, end=None):
        end = self.size if end is None else end
        if self.data is not None:
            for at in range(start, end, STEP):
                yield self.data[at : min(at + STEP, end)]
            return
        with open(self.path, "rb") as file:
            file.seek(start)
            while start < end:
                piece = file.read(min(STEP, end - start))
                if not piece:
                    return
                start += len(piece)
                yield piece

    def bytes(self):
        return self.data if self.data is not None else b"".join(self.pieces())


# ---- layers -----------------------------------------------------------------


def tar(entries):
    """A tar of {name: content}: bytes is a file, None a directory, a str a symlink,
    ("hard", target) a hard link. Names that end in .wh.* are ordinary files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.mtime = EPOCH
            info.mode = 0o755
            if content is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            elif isinstance(content, tuple):
                info.type, info.linkname = tarfile.LNKTYPE, content[1]
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def random_bytes(size, seed):
    return random.Random(seed).randbytes(size)


def compress(data, how, members=1, level=6):
    if how == "plain":
        return data
    if how == "gzip":
        step = max(1, -(-len(data) // members))
        parts = [data[at : at + step] for at in range(0, len(data), step)] or [b""]
        return b"".join(gzip.compress(part, level, mtime=0) for part in parts)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-3", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    raise ValueError(how)


class Layer:
    """One layer of an image: `blob` as it travels, `diff_id` of its tar."""

    SUFFIX = {"plain": "", "gzip": "+gzip", "zstd": "+zstd"}
    DOCKER_SUFFIX = {"plain": "", "gzip": ".gzip", "zstd": ".zstd"}

    def __init__(self, data=None, how="gzip", members=1, level=6, blob=None, diff_id=None):
        self.how = how
        self.blob = blob or Blob(compress(data, how, members, level))
        self.diff_id = diff_id or sha256(data)

    def media_type(self, docker):
        if docker:
            return DOCKER_LAYER + self.DOCKER_SUFFIX[self.how]
        return OCI_LAYER + self.SUFFIX[self.how]


def random_layer(path, size, seed, level=1):
    """A gzip layer of one file of random bytes, made piece by piece into `path`;
    for sizes that memory should not hold."""
    if not os.path.exists(path + ".diff"):
        info = tarfile.TarInfo("data/random")
        info.size, info.mtime, info.mode = size, EPOCH, 0o644
        source = random.Random(seed)
        diff, packer = hashlib.sha256(), zlib.compressobj(level, zlib.DEFLATED, 31)
        with open(path + ".new", "wb") as out:

            def put(piece):
                diff.update(piece)
                out.write(packer.compress(piece))

            put(info.tobuf(tarfile.USTAR_FORMAT))
            for at in range(0, size, STEP):
                put(source.randbytes(min(STEP, size - at)))
            put(b"\0" * (-size % 512) + b"\0" * 1024)
            out.write(packer.flush())
        os.rename(path + ".new", path)
        with open(path + ".diff", "w", encoding="ascii") as file:
            file.write("sha256:" + diff.hexdigest())
    with open(path + ".diff", encoding="ascii") as file:
        return Layer(blob=Blob(path=path), diff_id=file.read())


# ---- manifests ----------------------------------------------------------------


def to_json(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Manifest:
    """Bytes with a media type, and the blobs and manifests that they name."""

    def __init__(self, data, media_type, blobs=(), children=()):
        self.data, self.media_type = data, media_type
        self.blobs, self.children = list(blobs), list(children)
        self.digest, self.size = sha256(data), len(data)

    def descriptor(self, **more):
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **more}


class Image(Manifest):
    """An image manifest. `config` and `manifest` are merged over what is made from
    the layers; `edit(manifest_dict, config_dict)` may change anything before the
    bytes are fixed, which is how hostile images are made."""

    def __init__(self, layers, docker=False, config=None, manifest=None, edit=None, platform=None):
        platform = platform or {"os": "linux", "architecture": "amd64"}
        self.layers = layers
        body = {
            "created": "2023-11-14T22:13:20Z",
            **platform,
            "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [
                {"created": "2023-11-14T22:13:20Z", "created_by": f"ADD layer {n} in /"} for n in range(len(layers))
            ],
            **(config or {}),
        }
        head = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
            "config": None,
            "layers": [
                {"mediaType": layer.media_type(docker), "digest": layer.blob.digest, "size": layer.blob.size}
                for layer in layers
            ],
            **(manifest or {}),
        }
        if edit:
            edit(head, body)
        self.config_bytes = body if isinstance(body, bytes) else to_json(body)
        self.config_blob = Blob(self.config_bytes)
        if head["config"] is None:
            head["config"] = {
                "mediaType": DOCKER_CONFIG if docker else OCI_CONFIG,
                "digest": self.config_blob.digest,
                "size": self.config_blob.size,
            }
        self.id = self.config_blob.digest
        self.platform = platform
        super().__init__(
            to_json(head), head["mediaType"], [self.config_blob] + [layer.blob for layer in layers]
        )


OCI_EMPTY = "application/vnd.oci.empty.v1+json"
EMPTY = Blob(b"{}")


class Artifact(Manifest):
    """A manifest that is no image: an artifact type, the empty configuration, blobs of
    any type [(media type, bytes)], perhaps a subject."""

    def __init__(self, artifact_type, parts=(), subject=None, annotations=None, config=None):
        blobs = [Blob(data) for _, data in parts]
        empty = {"mediaType": OCI_EMPTY, "digest": EMPTY.digest, "size": EMPTY.size, "data": "e30="}
        head = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": config or empty,
            "layers": [
                {"mediaType": part[0], "digest": blob.digest, "size": blob.size} for part, blob in zip(parts, blobs)
            ],
        }
        if subject is not None:
            head["subject"] = subject.descriptor()
        if annotations:
            head["annotations"] = annotations
        super().__init__(to_json(head), OCI_MANIFEST, [EMPTY, *blobs])


class Index(Manifest):
    """An index over images: [(manifest, platform dict or None)]."""

    def __init__(self, entries, docker=False, edit=None):
        listed = []
        for manifest, platform in entries:
            more = {} if platform is None else {"platform": platform}
            listed.append(manifest.descriptor(**more))
        media_type = DOCKER_LIST if docker else OCI_INDEX
        head = {"schemaVersion": 2, "mediaType": media_type, "manifests": listed}
        if edit:
            edit(head)
        super().__init__(to_json(head), media_type, (), [manifest for manifest, _ in entries])


class Repo:
    """Blobs, manifests and tags under one repository name."""

    def __init__(self):
        self.blobs, self.manifests, self.tags = {}, {}, {}

    def add(self, manifest, *tags):
        for child in manifest.children:
            self.add(child)
        for blob in manifest.blobs:
            self.blobs[blob.digest] = blob
        self.manifests[manifest.digest] = manifest
        for tag in tags:
            self.tags[tag] = manifest.digest
        return manifest


    def referrers(self, digest):
        """Descriptors of the manifests whose subject it is, as a registry lists them."""
        found = []
        for manifest in self.manifests.values():
            try:
                body = json.loads(manifest.data)
            except ValueError:
                continue
            if isinstance(body, dict) and (body.get("subject") or {}).get("digest") == digest:
                more = {"artifactType": body.get("artifactType") or body.get("config", {}).get("mediaType", "")}
                if "annotations" in body:
                    more["annotations"] = body["annotations"]
                found.append(manifest.descriptor(**more))
        return found


# ---- out to others ------------------------------------------------------------


def write_layout(repo, directory):
    """An OCI layout; each tag is a ref.name of index.json."""
    store = os.path.join(directory, "blobs", "sha256")
    os.makedirs(store, exist_ok=True)
    for blob in repo.blobs.values():
        with open(os.path.join(store, blob.digest.split(":")[1]), "wb") as out:
            for piece in blob.pieces():
                out.write(piece)
    for manifest in repo.manifests.values():
        with open(os.path.join(store, manifest.digest.split(":")[1]), "wb") as out:
            out.write(manifest.data)
    entries = [
        repo.manifests[digest].descriptor(annotations={"org.opencontainers.image.ref.name": tag})
        for tag, digest in repo.tags.items()
    ]
    for name, value in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", {"schemaVersion": 2, "manifests": entries})):
        with open(os.path.join(directory, name), "wb") as out:
            out.write(to_json(value))


def push(repo, host, name):
    """Puts everything into a registry, byte for byte."""
    line = http.client.HTTPConnection(host, timeout=60)

    def ask(method, path, body=None, headers=None, good=(200, 201, 202)):
        line.request(method, path, body, headers or {})
        reply = line.getresponse()
        text = reply.read()
        if reply.status not in good:
            raise RuntimeError(f"{method} {path}: {reply.status} {text[:300]!r}")
        return reply

    for blob in repo.blobs.values():
        if ask("HEAD", f"/v2/{name}/blobs/{blob.digest}", good=(200, 404)).status == 200:
            continue
        location = ask("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
        path = location.split(host, 1)[-1]
        path += ("&" if "?" in path else "?") + "digest=" + blob.digest
        body = blob.data if blob.data is not None else open(blob.path, "rb")
        try:
            ask("PUT", path, body, {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)})
        finally:
            if blob.data is None:
                body.close()
    done = set()

    def put(manifest, reference):
        for child in manifest.children:
            if child.digest not in done:
                put(child, child.digest)
        ask("PUT", f"/v2/{name}/manifests/{reference}", manifest.data, {"Content-Type": manifest.media_type})
        done.add(manifest.digest)

    for digest, manifest in repo.manifests.items():
        if digest not in done:
            put(manifest, digest)
    for tag, digest in repo.tags.items():
        put(repo.manifests[digest], tag)
    line.close()
