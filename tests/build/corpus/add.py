"""ADD: archives, and what is not one; addresses."""

import gzip
import io
import tarfile

from buildcorpus import case
from buildimage import file, folder, link


def archive(mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, kind, data, more in (
            ("dir", tarfile.DIRTYPE, b"", {"mode": 0o710, "uid": 3, "gid": 4}),
            ("dir/file", tarfile.REGTYPE, b"content", {"mode": 0o4755, "uid": 1, "gid": 2}),
            ("dir/hard", tarfile.LNKTYPE, b"", {"linkname": "dir/file"}),
            ("link", tarfile.SYMTYPE, b"", {"linkname": "dir/file"}),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.size, info.mtime = kind, len(data), 1_400_000_000
            for key, value in more.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def unpacked(at, uid=None, gid=None):
    own = lambda u, g: (u if uid is None else uid, g if gid is None else gid)
    return {
        f"{at}/dir": folder(0o710, *own(3, 4)),
        f"{at}/dir/file": file(b"content", 0o4755, *own(1, 2), mtime=1_400_000_000),
        f"{at}/dir/hard": file(b"content", 0o4755, *own(1, 2)),
        f"{at}/link": link("dir/file", *own(0, 0)),
    }


case("add-archives", "of every compression, told by content, unpacked into a directory", "FROM {base}\nADD plain /plain\nADD gz.txt /gz/\nADD bz2 xz /several/\nADD --chown=7:8 plain /owned\n",
     {"plain": archive(), "gz.txt": archive("w:gz"), "bz2": archive("w:bz2"), "xz": archive("w:xz")},
     tree={"/plain": folder(), **unpacked("/plain"), "/gz": folder(), **unpacked("/gz"), "/several": folder(), **unpacked("/several"), "/owned": folder(0o755, 7, 8), **unpacked("/owned", 7, 8)},
     hard={"/plain/dir/hard": "/plain/dir/file"},
     history=["* ADD plain /plain # buildkit", "* ADD gz.txt /gz/ # buildkit", "* ADD bz2 xz /several/ # buildkit", "* ADD --chown=7:8 plain /owned # buildkit"],
     differs={"buildkit-20.10": "its history has no flags, and --chown leaves an archive alone", "buildah-1.28": "drops setuid"})  # fmt: skip

case("add-no-archive", "what is only compressed is copied, so is what only starts as an archive", "FROM {base}\nADD text.gz /\nADD text /new/\nADD d /d\n", {"text.gz": gzip.compress(b"text", mtime=0), "text": "plain", "d/t": archive()},
     tree={"/text.gz": gzip.compress(b"text", mtime=0), "/new": folder(), "/new/text": "plain", "/d": folder(), "/d/t": archive()})  # fmt: skip

case("add-unpack", "--unpack says whether", "FROM {base}\nADD --unpack=false plain /plain\nADD --unpack=true plain /un/\n", {"plain": archive()}, tree={"/plain": archive(), "/un": folder(), **unpacked("/un")},
     differs={"buildkit-20.10": "its language is of 2020", "buildah-1.28": "knows no such flag"})  # fmt: skip


case("add-chmod", "--chmod of a file", "FROM {base}\nADD --chmod=600 text /text\n", {"text": "x"}, tree={"/text": file("x", 0o600)})
