"""Images as builders give them (an archive of `docker save` or of an OCI layout): the
configuration, the history, the layers, and the tree that the layers make."""

import gzip
import io
import json
import os
import subprocess
import tarfile
from dataclasses import dataclass, field, replace

MEMBERS_OF_KIND = {
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
    tarfile.SYMTYPE: "link",
    tarfile.DIRTYPE: "folder",
}


@dataclass
class Entry:
    """One name of a tree, or of a context. `data` None and `mtime` None: nobody asks."""

    kind: str = "file"
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    data: bytes | None = None
    target: str = ""
    mtime: int | None = None
    xattrs: dict = field(default_factory=dict)
    device: tuple = (0, 0)

    def differs(self, got):
        """What is not as it is here, as text; empty when all is."""
        told = []
        if self.kind != got.kind:
            return f"is a {got.kind}, not a {self.kind}"
        if self.kind != "link" and self.mode != got.mode:
            told.append(f"mode {got.mode:04o}, not {self.mode:04o}")
        if (self.uid, self.gid) != (got.uid, got.gid):
            told.append(f"owner {got.uid}:{got.gid}, not {self.uid}:{self.gid}")
        if self.data is not None and self.data != got.data:
            told.append(f"content {got.data[:200]!r}, not {self.data[:200]!r}")
        if self.target != got.target:
            told.append(f"leads to {got.target!r}, not {self.target!r}")
        if self.mtime is not None and self.mtime != got.mtime:
            told.append(f"mtime {got.mtime}, not {self.mtime}")
        if self.xattrs != got.xattrs:
            told.append(f"xattrs {got.xattrs}, not {self.xattrs}")
        if self.device != got.device:
            told.append(f"device {got.device}, not {self.device}")
        return ", ".join(told)


def as_bytes(data):
    return data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data


def file(data="", mode=0o644, uid=0, gid=0, **more):
    return Entry("file", mode, uid, gid, as_bytes(data), **more)


def folder(mode=0o755, uid=0, gid=0, **more):
    return Entry("folder", mode, uid, gid, **more)


def link(target, uid=0, gid=0, **more):
    return Entry("link", 0o777, uid, gid, target=target, **more)


def hard(target):
    """Another name of the file `target`."""
    return Entry("hard", 0, target=target)


def fifo(mode=0o644, uid=0, gid=0):
    return Entry("fifo", mode, uid, gid)


def socket():
    """In a context: a socket somebody is bound to."""
    return Entry("socket")


def unpacked(data):
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def entry_of(archive, member):
    xattrs = {k[13:]: as_bytes(v) for k, v in member.pax_headers.items() if k.startswith("SCHILY.xattr.")}
    made = Entry(MEMBERS_OF_KIND.get(member.type, "file"), member.mode & 0o7777, member.uid, member.gid, xattrs=xattrs, mtime=int(member.mtime))
    if member.isreg():
        made.data = archive.extractfile(member).read()
    elif member.issym():
        made.target = member.linkname
    elif member.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        made.device = (member.devmajor, member.devminor)
    return made


def clean(name):
    return os.path.normpath("/" + name.lstrip("/"))


def read_tar(data):
    """(path, Entry) of each member in order; a hard link has the kind "hard"."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if member.islnk():
                yield clean(member.name), hard(clean(member.linkname))
            else:
                yield clean(member.name), entry_of(archive, member)


def _remove_below(tree, path, spared=()):
    for name in [n for n in tree if n.startswith(path.rstrip("/") + "/") and n not in spared]:
        del tree[name]


def apply_layer(tree, links, data):
    """Puts a layer over a tree; `links` maps each further name of a file to its first."""
    fresh = set()
    for path, entry in read_tar(data):
        above, base = os.path.split(path)
        if base == ".wh..wh..opq":
            _remove_below(tree, above, fresh)
            continue
        if base.startswith(".wh."):
            gone = os.path.join(above, base[4:])
            if gone not in fresh:
                tree.pop(gone, None)
                _remove_below(tree, gone, fresh)
            continue
        if path == "/":
            continue
        if entry.kind == "hard":
            links[path] = links.get(entry.target, entry.target)
            entry = tree[links[path]]
        else:
            links.pop(path, None)
        if entry.kind != "folder":
            _remove_below(tree, path)
        tree[path] = entry
        fresh.add(path)


class BuiltImage:
    """config: the whole configuration document; layers: their tars."""

    def __init__(self, config, layers):
        self.config, self.layers = config, layers
        self.diff_ids = config["rootfs"].get("diff_ids") or []
        self.tree, self.links = {}, {}
        for layer in layers:
            apply_layer(self.tree, self.links, layer)

    @property
    def history(self):
        """created_by of each entry, with "* " before those that have a layer, and "- " before the others."""
        return [("- " if entry.get("empty_layer") else "* ") + entry.get("created_by", "") for entry in self.config.get("history") or []]


def read_image(path):
    """The one image of an archive."""
    with tarfile.open(path) as archive:
        members = {os.path.normpath(m.name): m for m in archive}

        def blob(name):
            member = members[os.path.normpath(name)]
            while member.issym() or member.islnk():
                base = os.path.dirname(member.name) if member.issym() else ""
                member = members[os.path.normpath(os.path.join(base, member.linkname))]
            return archive.extractfile(member).read()

        if "manifest.json" in members:
            [manifest] = json.loads(blob("manifest.json"))
            return BuiltImage(json.loads(blob(manifest["Config"])), [unpacked(blob(name)) for name in manifest["Layers"] or []])
        of = lambda descriptor: blob("blobs/" + descriptor["digest"].replace(":", "/"))
        manifest = json.loads(of(json.loads(blob("index.json"))["manifests"][0]))
        if "manifests" in manifest:
            manifest = json.loads(of(manifest["manifests"][0]))
        return BuiltImage(json.loads(of(manifest["config"])), [unpacked(of(layer)) for layer in manifest["layers"]])


def tree_changes(before, after):
    """(what is new or not the same, names that are gone); a time alone is no change"""
    changed = {path: entry for path, entry in after.items() if path not in before or replace(before[path], mtime=None).differs(entry)}
    return changed, sorted(path for path in before if path not in after)
