"""Layers: what is in the archive of each, and in what order; their times and digests."""

import hashlib

from buildcorpus import Again, case
from buildimage import file, folder, read_tar

EMPTY = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


def members(number, *wanted):
    """check: the names of the new layer of this number, in order, as they are in the archive."""

    def check(result):
        names = [path.lstrip("/") for path, _ in read_tar(result.image.layers[number])]
        return [] if names == list(wanted) else [f"layer {number} has {names}, not {list(wanted)}"]

    return check


def both(*checks):
    return lambda result: [line for check in checks for line in check(result) or []]


case("layer-names", "sorted, directories before what is in them, each with those that it is in", "FROM {base}\nCOPY b a /new/deep/\nRUN touch /base/sub/z /base/sub/a && rm /base/two\n", {"a": "a", "b": "b"},
     check=both(members(1, "new", "new/deep", "new/deep/a", "new/deep/b"), members(2, "base", "base/sub", "base/sub/a", "base/sub/z", "base/.wh.two")),
     differs={"buildkit-20.10": "names of whiteouts in another place", "buildah-1.28": "one layer for all"})  # fmt: skip


def digests(result):
    got = result.image.diff_ids[1:]
    return [] if got == [EMPTY] * len(got) else [f"diff IDs {got}"]


case("layer-empty", "a step without a change has the archive of nothing, always the same", "FROM {base}\nRUN true\nRUN touch /x && rm /x\nRUN chmod 700 /base && chmod 750 /base\n", layers=3, tree={}, check=digests,
     differs={"buildkit-20.10": "what a step is given leaves new times of directories", "buildah-1.28": "one layer for all"})  # fmt: skip

case("layer-replaced", "a directory in the place of one that was removed, a file in that of a directory",
     "FROM {base}\nRUN rm -r /base/sub && mkdir /base/sub && echo n > /base/sub/new\nRUN rm -r /base && echo f > /base\n", tree={"/base": "f\n"},
     gone=["/base/hard", "/base/hard2", "/base/one", "/base/sub", "/base/sub/deep", "/base/two"])  # fmt: skip

case("layer-stubs", "what a step is given leaves nothing", "FROM scratch\nCOPY --from={base} /bin /bin\nRUN ls -d /dev /proc /sys /etc/hosts > /tmp-list || true; test -e /etc/resolv.conf\n", part={"/tmp-list": file(None)},
     check=lambda r: [p for p in ("/etc", "/etc/hosts", "/etc/resolv.conf", "/proc", "/sys", "/dev") if p in r.image.tree],
     differs={"buildkit-20.10": "keeps the directories", "buildah-1.28": "keeps the directories"})  # fmt: skip

case("layer-large-values", "owners beyond what tar has room for, long names", "FROM {base}\nRUN chown 3000000:4000000 /base/one && mkdir -p /" + "n" * 200 + "/" + "m" * 200 + " && ln -s " + "t" * 300 + " /long\n",
     part={"/base/one": file("one\n", 0o640, 3_000_000, 4_000_000), "/" + "n" * 200: folder(), "/" + "n" * 200 + "/" + "m" * 200: folder()})  # fmt: skip

EPOCH = "1577934245"


def at_epoch(result):
    told = []
    config = result.image.config
    if config["created"] not in ("2020-01-02T03:04:05Z",):
        told.append(f"created {config['created']}")
    told += [f"history of {entry['created']}" for entry in config["history"][1:] if entry["created"] != "2020-01-02T03:04:05Z"]
    for layer in result.image.layers[1:]:
        told += [f"{path} of {entry.mtime}" for path, entry in read_tar(layer) if entry.mtime and entry.mtime > int(EPOCH)]
    return told


OLD = {"buildkit-20.10": "knows no SOURCE_DATE_EPOCH", "buildah-1.28": "knows no SOURCE_DATE_EPOCH"}
case("layer-epoch", "SOURCE_DATE_EPOCH dates the image and, where that is asked for, new files",
     "FROM {base}\nRUN echo x > /x\nWORKDIR /w\nCOPY a /new/a\n", {"a": file("a", mtime=1_700_000_000)},
     options=["--build-arg", "SOURCE_DATE_EPOCH=" + EPOCH, "--output", "type=image,rewrite-timestamp=true"], check=at_epoch, differs=OLD)  # fmt: skip


def same_twice(result):
    first = hashlib.sha256(repr(sorted(result.image.diff_ids)).encode()).hexdigest()
    again = result.builder.image(result.tag, result.directory)
    return [] if first == hashlib.sha256(repr(sorted(again.diff_ids)).encode()).hexdigest() else ["other layers"]


case("layer-same", "the same build gives the same layers", "FROM {base}\nCOPY a /a\nRUN echo x > /x\n", {"a": "a"}, options=["--build-arg", "SOURCE_DATE_EPOCH=" + EPOCH, "--output", "type=image,rewrite-timestamp=true"],
     again=[Again(options=["--no-cache"])], check=same_twice, differs=OLD)  # fmt: skip
