"""EROFS images of layers: made from tars, mounted, and compared with what GNU tar makes
of the same tar."""

import contextlib
import errno
import hashlib
import io
import json
import os
import resource
import shutil
import stat
import subprocess
import tarfile

from harness import BIN, SLOW

PAGE, LARGE = 4096, 32 << 20
TAR2EROFS = os.path.join(os.path.dirname(BIN), "tests", "tar2erofs")


def convert(tar, image, *options, program=(TAR2EROFS,)):
    """What tar2erofs says of it: a dictionary, with "code" and "text" when it failed."""
    result = subprocess.run(
        [*program, *options, tar, image],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=170 * SLOW,
    )
    if result.returncode not in (0, 1) or result.stderr:
        raise AssertionError(f"tar2erofs: exit {result.returncode}\n{result.stderr.decode(errors='replace')}")
    return json.loads(result.stdout)


def check(image):
    """What the daemon's own check says of an image; "code" and "text" when it refuses it."""
    result = subprocess.run([TAR2EROFS, "--check", image], stdout=subprocess.PIPE, timeout=170 * SLOW)
    return json.loads(result.stdout)


def amiss(root, client):
    """What is wrong with the images of layers in a store: such as are not sound, and layers
    of listed images that have none."""
    found, wrong = set(), []
    for folder, _, names in os.walk(os.path.join(root, "layers")):
        for name in names:
            if name.startswith("new-"):  # it was on its way, and goes soon
                continue
            found.add("sha256:" + name.partition(".")[0])
            said = check(os.path.join(folder, name))
            if "code" in said:
                wrong.append(f"{name}: {said['text']}")
    for image in client.images():
        answer = client.InspectImage(image=image.id, include_raw=True)
        for diff in json.loads(answer.raw_config)["rootfs"]["diff_ids"]:
            if diff not in found:
                wrong.append(f"{image.id}: no image of layer {diff}")
    return wrong


def fsck(image):
    """fsck.erofs reads everything; its complaint, or None."""
    result = subprocess.run(
        ["fsck.erofs", "--extract", image], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=170 * SLOW
    )
    return result.stdout.decode(errors="replace") or "failed" if result.returncode else None


def can_mount():
    return os.geteuid() == 0 and subprocess.run(["grep", "-qw", "erofs", "/proc/filesystems"]).returncode == 0


@contextlib.contextmanager
def mounted(image, directory):
    os.makedirs(directory, exist_ok=True)
    subprocess.run(["mount", "-t", "erofs", "-o", "ro,nodev,nosuid", image, directory], check=True, timeout=60)
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True, timeout=60)


@contextlib.contextmanager
def overlaid(images, directory):
    """Images of layers, the lowest first, as one root."""
    with contextlib.ExitStack() as stack:
        lower = [stack.enter_context(mounted(image, os.path.join(directory, f"{n}"))) for n, image in enumerate(images)]
        if len(lower) == 1:
            yield lower[0]
            return
        root = os.path.join(directory, "root")
        os.makedirs(root, exist_ok=True)
        names = ":".join(f"{n}" for n in reversed(range(len(lower))))  # one page is all that mount(2) takes
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={names}", root], cwd=directory, check=True, timeout=60)
        stack.callback(subprocess.run, ["umount", root], check=True, timeout=60)
        yield root


def gnu_extract(tar, directory):
    os.makedirs(directory, exist_ok=True)
    subprocess.run(
        ["tar", "-xpf", tar, "-C", directory, "--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*"],
        check=True,
        timeout=170 * SLOW,
        stderr=subprocess.PIPE,
    )
    return directory


# ---- what docker would make of the layers, by GNU tar ----------------------------------------


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _apply_whiteout(root, name):
    folder, base = os.path.split(os.path.join(root, name))
    if base == b".wh..wh..opq":
        for inner in os.listdir(folder) if os.path.isdir(folder) else ():
            _remove(os.path.join(folder, inner))
    else:
        _remove(os.path.join(folder, base.removeprefix(b".wh.")))


def _clear_way(root, member):
    """Entries of another type replace what is there with all that is in it."""
    path = os.path.join(root, os.fsencode(member.name))
    if os.path.lexists(path) and not (member.isdir() and os.path.isdir(path) and not os.path.islink(path)):
        _remove(path)


def gnu_layers(tars, directory):
    """The layers unpacked one over the other, lowest first."""
    root = os.fsencode(directory)
    os.makedirs(root)
    for path in tars:
        with tarfile.open(path, errors="surrogateescape") as archive:
            members = archive.getmembers()
        marks = [m for m in members if os.path.basename(m.name).startswith(".wh.")]
        for member in sorted(marks, key=lambda m: not m.name.endswith(".wh..wh..opq")):
            _apply_whiteout(root, os.fsencode(member.name))
        for member in members:
            if member not in marks:
                _clear_way(root, member)
        subprocess.run(
            ["tar", "-xpf", path, "-C", root, "--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*", "--exclude=.wh.*"],
            check=True,
            timeout=170 * SLOW,
        )
    return directory


# ---- what a file system tells --------------------------------------------------


def _content(path, mode):
    if stat.S_ISLNK(mode):
        return os.readlink(path)
    if not stat.S_ISREG(mode):
        return None
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        return hashlib.file_digest(file, "sha256").hexdigest() if size < LARGE else _pages(file, size)


def _pages(file, size):
    """A hash of the pages of a large file that are not all zero, and of their places; holes
    are not read."""
    state, at, zero = hashlib.sha256(), 0, bytes(PAGE)
    while at < size:
        try:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError as error:  # no more data
            if error.errno != errno.ENXIO:
                raise
            break
        at -= at % PAGE
        file.seek(at)
        data = file.read(256 * PAGE)
        for place in range(0, len(data), PAGE):
            page = data[place : place + PAGE]
            if page != zero[: len(page)]:
                state.update(b"%d:" % (at + place) + page)
        at += len(data)
    return f"pages {state.hexdigest()}"


def _allow_descriptors():
    """One for each level is open while a tree is walked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))


def walk(root):
    """(name, path) of the root and of all below it, in the order of their names. The path
    is one that works now, however deep it is: it begins with an open directory."""
    _allow_descriptors()
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    yield b".", b"/proc/self/fd/%d/." % top
    open_ones = [(top, b"", iter(sorted(map(os.fsencode, os.listdir(top)))))]
    try:
        while open_ones:
            at, above, names = open_ones[-1]
            name = next(names, None)
            if name is None:
                os.close(at)
                open_ones.pop()
                continue
            yield above + name, b"/proc/self/fd/%d/%s" % (at, name)
            if stat.S_ISDIR(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                open_ones.append((below, above + name + b"/", iter(sorted(map(os.fsencode, os.listdir(below))))))
    finally:
        for at, _, _ in open_ones:
            os.close(at)


def snapshot(root):
    """path → all that a file system tells of it. Bytes throughout. The link count of
    directories is left out: file systems disagree on it."""
    tree, inodes = {}, {}
    for name, path in walk(root):
        s = os.lstat(path)
        directory = stat.S_ISDIR(s.st_mode)
        tree[name] = {
            "mode": oct(s.st_mode),
            "owner": (s.st_uid, s.st_gid),
            "size": None if directory else s.st_size,
            "mtime": s.st_mtime_ns,
            "links": None if directory else s.st_nlink,
            "same as": name if directory else inodes.setdefault((s.st_dev, s.st_ino), name),
            "device": s.st_rdev if stat.S_ISCHR(s.st_mode) or stat.S_ISBLK(s.st_mode) else None,
            "content": _content(path, s.st_mode),
            "xattrs": {n: os.getxattr(path, n, follow_symlinks=False) for n in sorted(os.listxattr(path, follow_symlinks=False))},
        }
    return tree


def differences(wanted, got, limit=10):
    """What differs, in words."""
    found = []
    for name in sorted(wanted.keys() | got.keys()):
        if wanted.get(name) == got.get(name):
            continue
        a, b = wanted.get(name), got.get(name)
        if a is None or b is None:
            found.append(f"{name!r}: {'only in the image' if a is None else 'missing in the image'}")
        else:
            found += [f"{name!r} {key}: {a[key]!r} != {b[key]!r}" for key in a if a[key] != b[key]]
        if len(found) >= limit:
            break
    return found


class Tar:
    """An archive made entry by entry, of any kind of entry, in order."""

    def __init__(self, path, format=tarfile.PAX_FORMAT):
        self.path = path
        self.tar = tarfile.open(path, "w", format=format)

    def add(self, name, type=tarfile.REGTYPE, data=b"", **fields):
        info = tarfile.TarInfo(name)
        info.type = type
        info.size = len(data)
        info.mode = 0o755 if type == tarfile.DIRTYPE else 0o644
        for key, value in fields.items():
            setattr(info, key, value)
        self.tar.addfile(info, io.BytesIO(data))
        return self

    def directory(self, name, **fields):
        return self.add(name, tarfile.DIRTYPE, **fields)

    def symlink(self, name, target, **fields):
        return self.add(name, tarfile.SYMTYPE, linkname=target, **fields)

    def hard_link(self, name, target, **fields):
        return self.add(name, tarfile.LNKTYPE, linkname=target, **fields)

    def done(self):
        self.tar.close()
        return self.path
