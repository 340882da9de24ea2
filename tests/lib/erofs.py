"""EROFS images of layers: made from tars, mounted, and compared with what GNU tar makes
of the same tar."""

import contextlib
import hashlib
import io
import json
import os
import random
import stat
import subprocess
import tarfile

from harness import BIN, SLOW

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
            if name.startswith("new-"):  # it was on its way, and goes with time
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


def gnu_extract(tar, directory):
    os.makedirs(directory, exist_ok=True)
    subprocess.run(
        ["tar", "-xpf", tar, "-C", directory, "--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*"],
        check=True,
        timeout=170 * SLOW,
        stderr=subprocess.PIPE,
    )
    return directory


def make_everything(root):
    """One of each: types, modes, owners, times, xattrs, ACLs, links."""
    os.makedirs(root)
    path = lambda *names: os.path.join(root, *names)
    for size in (0, 1, 31, 32, 100, 3967, 3968, 4000, 4032, 4033, 4064, 4095, 4096, 4097, 8191, 8192, 8193, 1 << 20):
        with open(path(f"size{size}"), "wb") as file:
            file.write(random.Random(size).randbytes(size))
        os.utime(path(f"size{size}"), ns=(0, 1_600_000_000_123_456_789 + size))
    os.makedirs(path("dir", "below", "deeper"))
    os.chmod(path("dir"), 0o1777)
    os.chmod(path("dir", "below"), 0o2750)
    for mode in (0o4755, 0o2755, 0o6711, 0o000, 0o1644):
        with open(path(f"mode{mode:o}"), "wb") as file:
            file.write(b"x" * mode)
        os.chown(path(f"mode{mode:o}"), mode, mode + 1)
        os.chmod(path(f"mode{mode:o}"), mode)
    os.symlink("size100", path("link"))
    os.symlink("x" * 4000, path("link-long"))
    os.symlink("/nowhere/../at all", path("dir", "link-absolute"))
    os.lchown(path("link"), 70000, 80000)
    os.utime(path("link"), ns=(0, 987_654_321), follow_symlinks=False)
    os.mkfifo(path("fifo"), 0o640)
    os.mknod(path("char"), 0o20666, os.makedev(1, 3))
    os.mknod(path("block"), 0o60660, os.makedev(259, 300000))
    os.link(path("size8193"), path("dir", "hard1"))
    os.link(path("size8193"), path("hard2"))
    os.link(path("link"), path("link-hard"))
    os.link(path("fifo"), path("dir", "below", "fifo-hard"))
    for name, value in (
        ("user.empty", b""),
        ("user.text", b"a value"),
        ("user.binary", bytes(range(256))),
        ("user.large", b"v" * 3000),
        ("trusted.own", b"\0\n="),
        ("security.other", b"label"),
    ):
        os.setxattr(path("size100"), name, value)
    os.setxattr(path("dir"), "user.of.directory", b"y")
    os.setxattr(path("link"), "trusted.of.symlink", b"y", follow_symlinks=False)
    # cap_net_raw=ep, revision 2
    os.setxattr(path("size32"), "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    with open(path("owner-large"), "wb") as file:
        file.write(b"owner")
    os.chown(path("owner-large"), 4_000_000_000, 3_000_000_000)
    with open(path("old"), "wb") as file:
        file.write(b"time before 1970")
    os.utime(path("old"), ns=(0, -1_500_000_000))
    subprocess.run(["setfacl", "-m", "u:1234:rwx,g:99:r,m::rx", path("size31")], check=True)
    subprocess.run(["setfacl", "-d", "-m", "u:1234:rwx,g:99:r", path("dir", "below")], check=True)
    return root


def _content(path, mode):
    if stat.S_ISLNK(mode):
        return os.readlink(path)
    if not stat.S_ISREG(mode):
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def snapshot(root):
    """path → all that a file system tells of it. Bytes throughout. The link count of
    directories is left out: file systems disagree on it."""
    root = os.fsencode(root)
    tree, inodes = {}, {}

    def look(path, name):
        try:
            s = os.lstat(path)
        except FileNotFoundError:
            return  # overlayfs lists a whiteout in a directory that is of one layer, and finds it no more
        first = inodes.setdefault(s.st_ino, name) if not stat.S_ISDIR(s.st_mode) else name
        tree[name] = {
            "mode": oct(s.st_mode),
            "owner": (s.st_uid, s.st_gid),
            "size": None if stat.S_ISDIR(s.st_mode) else s.st_size,
            "mtime": s.st_mtime_ns,
            "links": None if stat.S_ISDIR(s.st_mode) else s.st_nlink,
            "same as": first,
            "device": s.st_rdev if stat.S_ISCHR(s.st_mode) or stat.S_ISBLK(s.st_mode) else None,
            "content": _content(path, s.st_mode),
            "xattrs": {n: os.getxattr(path, n, follow_symlinks=False) for n in sorted(_xattrs(path))},
        }

    look(root, b".")
    for directory, names, files in os.walk(root):
        for name in sorted(names + files):
            path = os.path.join(directory, name)
            look(path, os.path.relpath(path, root))
    return tree


def _xattrs(path):
    return os.listxattr(path, follow_symlinks=False)


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
