"""Trees of files that layers are made of, each with what a file system can hold of one
kind. Every maker takes the directory that it makes, and gives it back. Root makes them:
they have devices, owners and xattrs of all sorts."""

import os
import random
import subprocess

SIZES = (0, 1, 31, 32, 100, 3967, 3968, 4000, 4032, 4033, 4064, 4095, 4096, 4097, 8191, 8192, 8193, 1 << 20)
NAMES = [b"\xff\xfe not utf-8", b"new\nline", b"-dash", b"!first", b"...", b"..a", b".hidden", b"a", b"a.", b"a b", b"\x01",
         "ü".encode(), b"x" * 255, b"%s", b"~", b"\xed\xa0\x80 half of a pair", b"\x7f", b"back\\slash", b"tab\t", b"=", b"*"]


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return path


def everything(root):
    """One of each: types, modes, owners, times, xattrs, ACLs, links."""
    os.makedirs(root)
    path = lambda *names: os.path.join(root, *names)
    for size in SIZES:
        write(path(f"size{size}"), random.Random(size).randbytes(size))
        os.utime(path(f"size{size}"), ns=(0, 1_600_000_000_123_456_789 + size))
    os.makedirs(path("dir", "below", "deeper"))
    os.chmod(path("dir"), 0o1777)
    os.chmod(path("dir", "below"), 0o2750)
    for mode in (0o4755, 0o2755, 0o6711, 0o000, 0o1644):
        write(path(f"mode{mode:o}"), b"x" * mode)
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
    attributes(path)
    os.chown(write(path("owner-large"), b"owner"), 4_000_000_000, 3_000_000_000)
    os.utime(write(path("old"), b"time before 1970"), ns=(0, -1_500_000_000))
    os.utime(write(path("late"), b"time after 2106"), ns=(0, 5_000_000_000_000_000_001))
    return root


def attributes(path):
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
    subprocess.run(["setfacl", "-m", "u:1234:rwx,g:99:r,m::rx", path("size31")], check=True)
    subprocess.run(["setfacl", "-d", "-m", "u:1234:rwx,g:99:r", path("dir", "below")], check=True)


def names(root):
    """Names of any bytes but NUL and slash, of files, directories and targets."""
    root = os.fsencode(root)
    os.makedirs(root)
    for number, name in enumerate(NAMES):
        below = os.path.join(root, b"%d" % number, name)
        os.makedirs(below)
        write(os.path.join(below, name), name)
        os.symlink(name, os.path.join(below, b"link"))
        write(os.path.join(root, name), name)
    return os.fsdecode(root)


def deep(root, longest=4092):
    """Directories as deep as a path that tar writes may be (with what is above), and many levels."""
    os.makedirs(root)
    at, length = os.open(root, os.O_RDONLY), 2
    for number in range(100):
        name = b"%03d" % number + b"d" * min(97, longest - length - 6)
        if length + len(name) + 2 > longest:
            break
        at, length = descend(at, name), length + len(name) + 1
    finish(at, b"f" * (longest - length))
    levels = os.open(root, os.O_RDONLY)
    for number in range(400):
        levels = descend(levels, b"%d" % (number % 10))
    finish(levels, b"file")
    return root


def descend(at, name):
    os.mkdir(name, dir_fd=at)
    below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
    os.close(at)
    return below


def finish(at, name):
    file = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=at)
    os.write(file, b"at the end")
    os.close(file)
    os.close(at)


def sparse(root, large=1 << 30):
    """Files that are mostly holes, one of them as large as told."""
    os.makedirs(root)

    def one(name, size, *pieces):
        with open(os.path.join(root, name), "wb") as file:
            for offset, data in pieces:
                file.seek(offset)
                file.write(data)
            file.truncate(size)

    one("large", large, (0, b"begin"), (large // 3, b"m" * 10_000), (large - 3, b"end"))
    one("all-hole", 1 << 26)
    one("end", 1 << 26, ((1 << 26) - 5000, b"e" * 5000))
    one("begin", (1 << 20) + 123, (0, b"b" * 100))
    one("many", 1 << 26, *[(i * 123_457, bytes([i]) * 5000) for i in range(1, 200)])
    one("odd", 100_001, (50_000, b"o"))
    return root


def small_files(root, count=100_000):
    """Source code, say: small files, a hundred to a directory."""
    dice = random.Random(count)
    for folder in range(0, count, 100):
        path = os.path.join(root, f"p{folder // 10000}", f"d{folder}")
        os.makedirs(path)
        at = os.open(path, os.O_RDONLY)
        for number in range(folder, min(count, folder + 100)):
            file = os.open(f"file{number}.c", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=at)
            os.write(file, dice.randbytes(dice.randrange(900)))
            os.close(file)
        os.close(at)
    return root


def one_directory(root, count=64_000):
    """All in one directory, made in no order, with names of many lengths."""
    os.makedirs(os.path.join(root, "d"))
    at = os.open(os.path.join(root, "d"), os.O_RDONLY)
    for number in range(count):
        name = f"{number * 7919 % count:05d}" + "n" * (number % 40)
        file = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=at)
        os.write(file, name.encode() if number % 3 else b"")
        os.close(file)
    os.close(at)
    return root


# What every run of the tests makes; the large ones are the campaign's (tests/layers.sh).
QUICK = {
    "everything": everything,
    "names": names,
    "deep": deep,
    "sparse": sparse,
    "small": lambda root: small_files(root, 3000),
    "wide": lambda root: one_directory(root, 5000),
}
LARGE = {"small": small_files, "wide": one_directory}


def pack(directory, tar, *members):
    """GNU tar's archive of a tree (or of some of it), with all that it knows of files."""
    subprocess.run(
        ["tar", "-cSf", tar, "-C", directory, "--format=posix", "--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*",
         *(members or (".",))],
        check=True,
        stderr=subprocess.PIPE,
    )
    return tar
