"""The cases of tests/build/corpus: what is built, and what must come of it.

A module of the corpus calls case() for each of its cases. Whoever builds them gives a
Builder: build() and save(); compare() then says what is not as the case wants it.
Names of images and places stand in braces in Dockerfiles and options, see Bases.
"""

import importlib.util
import io
import json
import os
import re
import shutil
import socket as sockets
import subprocess
import tarfile
from dataclasses import dataclass, field

import ociimage
from archives import docker_files
from buildimage import apply_layer, as_bytes, file, tree_changes
from harness import ROOT

CORPUS = os.path.join(ROOT, "tests", "build", "corpus")
CONTEXT_MTIME = 1_500_000_000
BASE_MTIME = 1_600_000_000
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Again:
    """The same build once more after `change` of its context (None: the file is gone)."""

    change: dict = field(default_factory=dict)
    cached: list = field(default_factory=list)  # texts of steps that must come from the cache
    ran: list = field(default_factory=list)  # and of those that must not
    options: list = field(default_factory=list)
    dockerfile: str | None = None
    error: str | None = None


@dataclass
class Case:
    """None of an expectation: nobody asks."""

    name: str
    about: str
    dockerfile: object  # str, bytes, or None: only what `context` has
    context: dict = field(default_factory=dict)
    options: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)
    how: str = "directory"  # what the context is: "directory", "dockerfile" or a tar on standard input: "tar", "tar.gz", "tar.xz"; an address
    file_name: str = "Dockerfile"
    config: dict | None = None  # keys of .config; a value None: not there, or empty
    image: dict | None = None  # keys of the document
    history: list | None = None  # of the new entries, see BuiltImage.history
    layers: int | None = None  # new ones
    tree: dict | None = None  # all that is not as in the base image
    part: dict | None = None  # some of it
    gone: list | None = None
    hard: dict | None = None  # further names of files
    output: list = field(default_factory=list)  # expressions that what the build says has, in order
    silent: list = field(default_factory=list)  # and those that it has not
    error: str | None = None  # expression; the build must fail
    again: list = field(default_factory=list)
    check: object = None  # check(result) for the rest
    saved: bool = True  # the result is an image
    base: str = "base"
    needs: tuple = ()
    differs: dict = field(default_factory=dict)  # peer: why it gives something else
    module: str = ""


_cases = []


def case(name, about, dockerfile, context=None, **fields):
    _cases.append(Case(name, about, dockerfile, context or {}, **fields))


def all_cases():
    """Those of every module, by name."""
    _cases.clear()
    found = {}
    for entry in sorted(os.listdir(CORPUS)):
        if not entry.endswith(".py"):
            continue
        before = len(_cases)
        spec = importlib.util.spec_from_file_location("corpus_" + entry[:-3], os.path.join(CORPUS, entry))
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        for one in _cases[before:]:
            if one.name in found:
                raise ValueError(f"two cases are named {one.name}")
            one.module = entry[:-3]
            found[one.name] = one
    return found


# ---- contexts


def put(directory, path, entry, mtime=CONTEXT_MTIME):
    """Makes the entry at the path below the directory, or removes what is there."""
    place = os.path.join(os.fsencode(directory), as_bytes(path))
    if entry is None:
        shutil.rmtree(place) if os.path.isdir(place) and not os.path.islink(place) else os.remove(place)
        return
    if isinstance(entry, (str, bytes)):
        entry = file(entry)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if entry.kind not in ("folder", "hard") and os.path.lexists(place):
        os.remove(place)
    _make(directory, place, entry)
    if entry.kind in ("file", "folder", "fifo"):
        os.chown(place, entry.uid, entry.gid)
        os.chmod(place, entry.mode)
    for name, value in entry.xattrs.items():
        os.setxattr(place, name, value, follow_symlinks=False)
    if entry.kind != "hard":
        at = entry.mtime if entry.mtime is not None else mtime
        os.utime(place, (at, at), follow_symlinks=False)


def _make(directory, place, entry):
    if entry.kind == "file":
        with open(place, "wb") as out:
            out.write(entry.data)
    elif entry.kind == "folder":
        os.makedirs(place, exist_ok=True)
    elif entry.kind == "link":
        os.symlink(entry.target, place)
    elif entry.kind == "hard":
        os.link(os.path.join(directory, entry.target), os.fsdecode(place))
    elif entry.kind == "fifo":
        os.mkfifo(place)
    elif entry.kind == "socket":
        listener = sockets.socket(sockets.AF_UNIX)
        here = os.open(os.path.dirname(place), os.O_RDONLY)  # the path may be too long for the address
        listener.bind(f"/proc/self/fd/{here}/{os.fsdecode(os.path.basename(place))}")
        listener.close()
        os.close(here)


def make_context(one, directory, names):
    os.makedirs(directory, exist_ok=True)
    entries = dict(one.context)
    if one.dockerfile is not None and one.how != "dockerfile":
        entries[one.file_name] = file(dockerfile_bytes(one.dockerfile, names))
    for path in sorted(entries, key=lambda p: (as_bytes(p).count(b"/"), getattr(entries[p], "kind", "") == "hard", as_bytes(p))):
        put(directory, path, entries[path])
    # Directories that nobody named have a fixed mode, whatever the umask is.
    for path, _, _ in os.walk(os.fsencode(directory)):
        inner = os.path.relpath(path, os.fsencode(directory))
        named = entries.get(os.fsdecode(inner))
        if named is None or isinstance(named, (str, bytes)):
            os.chmod(path, 0o755)
        at = getattr(named, "mtime", None) or CONTEXT_MTIME
        os.utime(path, (at, at))


def dockerfile_bytes(text, names):
    if isinstance(text, bytes):
        return text
    for key, value in names.items():
        text = text.replace("{" + key + "}", value)
    return text.encode("utf-8", "surrogateescape")


def tar_of(directory, how):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode={"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[how], format=tarfile.GNU_FORMAT) as archive:
        archive.add(directory, ".")
    return out.getvalue()


# ---- bases

PASSWD = """root:x:0:0:root:/root:/bin/sh
mail:x:8:12:mail:/var/mail:/bin/false
bob:x:1000:1000:Bob:/home/bob:/bin/sh
eve:x:1001:1001:Eve:/home/eve:/bin/sh
"""
GROUP = """root:x:0:
wheel:x:10:bob,eve
mail:x:12:
audio:x:29:bob
staff:x:50:
bob:x:1000:
"""


def base_layer():
    """busybox with users, a few files to change and remove, a symbolic link to a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:

        def add(name, data=None, mode=0o755, uid=0, gid=0, target=None, hard=None):
            info = tarfile.TarInfo(name)
            info.mtime, info.mode, info.uid, info.gid = BASE_MTIME, mode, uid, gid
            if target is not None:
                info.type, info.linkname = tarfile.SYMTYPE, target
            elif hard is not None:
                info.type, info.linkname = tarfile.LNKTYPE, hard
            elif data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data) if data is not None else None)

        for name in ("bin", "dev", "etc", "home", "proc", "sys", "usr", "usr/bin", "var"):
            add(name)
        add("tmp", mode=0o1777)
        add("root", mode=0o700)
        add("home/bob", uid=1000, gid=1000)
        with open("/usr/bin/busybox", "rb") as program:
            add("bin/busybox", program.read())
        for name in subprocess.run(["/usr/bin/busybox", "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout.split():
            if name != "busybox":
                add("bin/" + name, target="busybox")
        add("etc/passwd", PASSWD.encode(), 0o644)
        add("etc/group", GROUP.encode(), 0o644)
        add("base", mode=0o750, uid=5, gid=6)
        add("base/one", b"one\n", 0o640, 5, 6)
        add("base/two", b"two\n", 0o4755)
        add("base/hard", b"twice\n", 0o644)
        add("base/hard2", mode=0o644, hard="base/hard")
        add("base/sub")
        add("base/sub/deep", b"deep\n", 0o644)
        add("to-dir", target="base/sub")
        add("to-nowhere", target="/not/there")
        add("to-outside", target="../../../../base/sub")
    return out.getvalue()


PLAIN = {"Env": [PATH], "Cmd": ["sh"]}
FULL = {
    "User": "bob",
    "ExposedPorts": {"80/tcp": {}},
    "Env": [PATH, "FROM_BASE=yes", "A=base"],
    "Entrypoint": ["/bin/entry"],
    "Cmd": ["base", "command"],
    "Volumes": {"/data": {}},
    "WorkingDir": "/base/sub",
    "Labels": {"from": "base", "both": "base"},
    "StopSignal": "SIGUSR1",
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 7_000_000_000},
    "Shell": ["/bin/sh", "-ec"],
}
TRIGGERS = {**PLAIN, "OnBuild": ["ENV FIRED=yes", "RUN echo $FIRED > /fired", "COPY for-trigger /from-context"]}


def base_images():
    """{name: image}: one layer under different configurations."""
    layer = ociimage.Layer(base_layer(), "plain")
    configs = {"base": PLAIN, "full": FULL, "triggers": TRIGGERS}
    return {name: ociimage.Image([layer], docker=True, config={**BASE_DOCUMENT, "config": config}) for name, config in configs.items()}


BASE_DOCUMENT = {
    "created": "2020-09-13T12:26:40Z",
    "history": [{"created": "2020-09-13T12:26:40Z", "created_by": "the base of the corpus"}],
}


def base_archive(path):
    """All of them as `docker load` takes them, with the names localhost/NAME:latest."""
    images = base_images()
    with tarfile.open(path, "w") as archive:
        for name, data in docker_files(*[(image, f"localhost/{name}:latest") for name, image in images.items()]).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return images


# ---- building


@dataclass
class Result:
    """What became of a case: the directory of its own, and of each build what was said."""

    directory: str
    status: int = 0
    log: str = ""
    out: str = ""
    image: object = None
    later: list = field(default_factory=list)  # (status, log) of each Again
    tag: str = ""
    builder: object = None

    def file(self, name):
        with open(os.path.join(self.directory, name), "rb") as source:
            return source.read()


def run_case(one, builder, directory, names):
    """Builds the case, as often as it wants it."""
    os.makedirs(directory)
    names = {**names, "dir": directory}
    result = Result(directory, tag=f"corpus/{one.name}:latest", builder=builder)
    context = os.path.join(directory, "context")
    make_context(one, context, names)
    options = [fill(option, names) for option in one.options]
    if not one.again:
        options.append("--no-cache")  # the output of a step that comes from the cache is not shown
    result.status, result.out, result.log = build_once(one, builder, result, context, options, names)
    if result.status == 0 and one.saved:
        result.image = builder.image(result.tag, directory)
    for more in one.again:
        for path, entry in more.change.items():
            # Some clients take a file of the same size and time for the same file.
            put(context, path, entry, CONTEXT_MTIME + 1 + len(result.later))
        if more.dockerfile is not None:
            put(context, one.file_name, file(dockerfile_bytes(more.dockerfile, names)), CONTEXT_MTIME + 1)
        status, _, log = build_once(one, builder, result, context, options + [fill(o, names) for o in more.options], names)
        result.later.append((status, log))
    return result


def fill(text, names):
    for key, value in names.items():
        text = text.replace("{" + key + "}", value)
    return text


def build_once(one, builder, result, context, options, names):
    arguments = ["-t", result.tag, *options] if one.saved else list(options)
    if one.file_name != "Dockerfile":
        arguments += ["-f", os.path.join(context, one.file_name)]
    data = None
    if one.how == "dockerfile":
        data, context = dockerfile_bytes(one.dockerfile, names), "-"
    elif one.how.startswith("tar"):
        data, context = tar_of(context, one.how), "-"
    elif one.how != "directory":
        context = fill(one.how, names)
    environment = {key: fill(value, names) for key, value in one.environment.items()}
    return builder.build([*arguments, context], data, environment, result.directory)


# ---- what is not as it should be


def steps_of(log):
    """{text of a step: cached?} of a plain progress."""
    names, states = {}, {}
    for line in log.splitlines():
        found = re.match(r"#(\d+) (.*)", line)
        if not found:
            continue
        number, text = found.groups()
        if text == "CACHED" or re.match(r"DONE \d", text):
            states[names.get(number)] = text == "CACHED"
        elif number not in names:
            names[number] = text
    return states


def compare(one, result, base, texts=True, history=True, cache=True):
    """Each difference from what the case wants, as a line. Other builders have texts, a history and a cache of their own."""
    told = []
    if (one.error is not None) != (result.status != 0):
        wanted = f"should fail with {one.error!r}" if one.error else "should succeed"
        return [f"{wanted}, ended with {result.status}:\n{result.log[-2500:]}"]
    if one.error is not None and texts and not re.search(one.error, result.out + result.log, re.M):
        told.append(f"error without {one.error!r}:\n{result.log[-1500:]}")
    if texts:
        told += compare_log(one, result)
    if result.image is not None:
        told += compare_image(one, result.image, base, history)
    for number, more in enumerate(one.again):
        told += [f"build {number + 2}: {line}" for line in compare_again(more, *result.later[number], cache)]
    if one.check is not None:
        told += one.check(result) or []
    return told


def compare_log(one, result):
    told, at = [], 0
    for expression in one.output:
        found = re.compile(expression, re.M).search(result.out + result.log, at)
        if not found:
            told.append(f"does not say {expression!r}:\n{result.log[-2500:]}")
            break
        at = found.end()
    told += [f"says {expression!r}" for expression in one.silent if re.search(expression, result.log, re.M)]
    return told


def compare_again(more, status, log, cache):
    if (more.error is not None) != (status != 0):
        return [f"ended with {status}:\n{log[-2000:]}"]
    if not cache:
        return []
    if more.error is not None and not re.search(more.error, log, re.M):
        return [f"error without {more.error!r}:\n{log[-1500:]}"]
    states, told = steps_of(log), []
    for wanted, texts in ((True, more.cached), (False, more.ran)):
        for text in texts:
            found = [state for name, state in states.items() if name and text in name]
            if found != [wanted]:
                word = "cached" if wanted else "run"
                told.append(f"step {text!r} is not {word} ({found}):\n{log[-2000:]}")
    return told


def compare_image(one, image, base, history):
    above = image.diff_ids[: len(base.layers)] == [layer.diff_id for layer in base.layers]
    below = base.tree if above else {}
    told, new = [], image.layers[len(base.layers) :] if above else image.layers
    if history and one.layers is not None and len(new) != one.layers:
        told.append(f"{len(new)} new layers, not {one.layers}")
    if history and one.history is not None:
        got = image.history[1 if above else 0 :]
        if got != one.history:
            told.append("history:\n  " + "\n  ".join(got) + "\nnot:\n  " + "\n  ".join(one.history))
    config = image.config.get("config") or {}
    told += compare_keys("config", one.config, config) + compare_keys("image", one.image, image.config)
    told += compare_tree(one, image, below)
    filled = sum(1 for entry in image.config.get("history") or [] if not entry.get("empty_layer"))
    if filled != len(image.layers) or len(image.layers) != len(image.diff_ids):
        told.append(f"{filled} entries of the history have a layer, there are {len(image.layers)} layers, {len(image.diff_ids)} diff IDs")
    return told


def compare_keys(where, wanted, got):
    told = []
    for key, value in (wanted or {}).items():
        has = got.get(key)
        if (has or None) != (value or None):
            told.append(f"{where} {key} is {json.dumps(has)}, not {json.dumps(value)}")
    return told


def compare_tree(one, image, below):
    changed, gone = tree_changes(below, image.tree)
    told = []
    for path, wanted in {**(one.tree or {}), **(one.part or {})}.items():
        wanted = file(wanted) if isinstance(wanted, (str, bytes)) else wanted
        got = image.tree.get(path)
        difference = "is not there" if got is None else wanted.differs(got)
        if difference:
            told.append(f"{path} {difference}")
    if one.tree is not None:
        told += [f"{path} is new or changed: {entry}" for path, entry in changed.items() if path not in one.tree]
    if one.gone is not None or one.tree is not None:
        if gone != sorted(one.gone or []):
            told.append(f"gone are {gone}, not {sorted(one.gone or [])}")
    for path, first in (one.hard or {}).items():
        if image.links.get(path) != first:
            told.append(f"{path} is not a hard link of {first}, but of {image.links.get(path)}")
    return told


class BaseImage:
    def __init__(self, image):
        self.layers, self.tree = image.layers, {}
        for layer in image.layers:
            apply_layer(self.tree, {}, layer.blob.data)
