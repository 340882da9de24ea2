"""A foreign client of Build: what imagectl sends of a directory, from the .proto alone, and
every lie that can be told instead.

    tree = {"a": b"bytes", "d": None, "d/l": "target"}
    build(client, Directory("id", tree), ("need", ""), ("digest", "d"))

A tree's values: bytes a file, None a directory, str a symbolic link; or an Entry.
"""

import hashlib
import json
import queue
import stat
import struct

from rpc import pb

PIECE = 256 * 1024


def latin1(path):
    return path.decode("latin-1") if isinstance(path, bytes) else path


def raw(path):
    return path if isinstance(path, bytes) else path.encode("latin-1")


class Entry:
    """stamp None: of the bytes, so that it changes when they do."""

    def __init__(self, data=None, mode=None, mtime=1, link=b"", device=0, xattrs=(), stamp=None, same_as=b"", size=None):
        kind = stat.S_IFDIR if data is None else stat.S_IFREG
        permissions = 0o755 if data is None else 0o644
        self.data = data
        self.mode = kind | permissions if mode is None else mode
        self.mtime, self.link, self.device, self.xattrs, self.same_as = mtime, raw(link), device, xattrs, raw(same_as)
        if stamp is None:
            stamp = int.from_bytes(hashlib.sha256(data).digest()[:8], "little") | 1 if stat.S_ISREG(self.mode) and not same_as else 0
        self.stamp = stamp
        self.size = size if size is not None else len(data) if data is not None else 0


def entry_of(value):
    if isinstance(value, str):
        return Entry(mode=stat.S_IFLNK | 0o777, link=value)
    return value if isinstance(value, Entry) else Entry(value)


def order(path):
    """As the .proto says: "/" before every other byte."""
    return [0 if b == ord("/") else b + 1 for b in path]


def listed(tree):
    return [(path, entry_of(value)) for path, value in sorted(((raw(p), v) for p, v in tree.items()), key=lambda i: order(i[0]))]


def message(path, e):
    m = pb.ContextEntry(path=path, mode=e.mode, size=e.size, mtime_ns=e.mtime, link=e.link, device=e.device, stamp=e.stamp, same_as=e.same_as)
    if not stat.S_ISREG(e.mode):
        m.xattrs.extend(pb.ExtendedAttribute(name=n, value=v) for n, v in e.xattrs)
    return m


def list_digest(entries):
    h = hashlib.sha256()

    def text(b):
        h.update(struct.pack("<I", len(b)) + b)

    for m in entries:
        text(m.path)
        h.update(struct.pack("<IqqQQ", m.mode, m.size, m.mtime_ns, m.device, m.stamp))
        text(m.link)
        text(m.same_as)
        h.update(struct.pack("<I", len(m.xattrs)))
        for x in m.xattrs:
            text(x.name)
            text(x.value)
    return h.digest()


class Directory:
    """Answers what a service asks. Lies are methods to override."""

    def __init__(self, ident, tree, name=""):
        self.id, self.name = raw(ident), name
        self.entries = listed(tree)
        self.list_asked, self.asked, self.sent = 0, [], 0

    def messages(self):
        return [message(path, e) for path, e in self.entries]

    def digest(self):
        return list_digest(self.messages())

    def context(self):
        return pb.BuildContext(name=self.name, directory=pb.ClientDirectory(id=self.id, list_digest=self.digest()))

    def send_list(self, pieces=1000):
        messages = self.messages()
        for at in range(0, max(len(messages), 1), pieces):
            part = messages[at : at + pieces]
            yield pb.BuildRequest(list=pb.ContextList(context=self.name, entries=part, last=at + pieces >= len(messages)))

    def pieces(self, index):
        """Of one file."""
        e = self.entries[index][1]
        for at in range(0, len(e.data), PIECE):
            yield pb.FilePiece(file=index, data=e.data[at : at + PIECE])
        yield pb.FilePiece(file=index, end=True, xattrs=[pb.ExtendedAttribute(name=n, value=v) for n, v in e.xattrs])

    def send_files(self, files):
        batch, size = [], 0
        for index in files:
            for piece in self.pieces(index):
                batch.append(piece)
                size += len(piece.data) + 32
                self.sent += len(piece.data)
                if size >= PIECE or len(batch) == 256:
                    yield pb.BuildRequest(data=pb.ContextData(context=self.name, pieces=batch))
                    batch, size = [], 0
        if batch:
            yield pb.BuildRequest(data=pb.ContextData(context=self.name, pieces=batch))

    def answer(self, event):
        kind = event.WhichOneof("event")
        if kind == "want_list":
            self.list_asked += 1
            yield from self.send_list()
        elif kind == "want_files":
            self.asked += list(event.want_files.files)
            yield from self.send_files(event.want_files.files)

    def paths(self):
        """What was asked for."""
        return [latin1(self.entries[i][0]) for i in self.asked]


class Build:
    """One call, step by step: run() to its end."""

    def __init__(self, client, context, *steps, source=None, timeout=60):
        self.out, self.context, self.events = queue.Queue(), context, []
        start = pb.BuildStart(arguments=[pb.BuildArgument(name=n, value=latin1(v)) for n, v in steps])
        if source is not None:
            start.context.CopyFrom(source)
        elif context is not None:
            start.context.CopyFrom(context.context())
        self.out.put(pb.BuildRequest(start=start))
        self.call = client.Build(request=iter(self.out.get, None), timeout=timeout)

    def send(self, request):
        self.out.put(request)

    def end(self):
        self.out.put(None)

    def run(self, until=None):
        """The steps' answers. `until`: returns None when it is true of an event."""
        try:
            for event in self.call:
                self.events.append(event)
                if event.WhichOneof("event") == "done":
                    return json.loads(event.done.metadata_json)
                if until is not None and until(event):
                    return None
                for request in self.context.answer(event):
                    self.send(request)
        finally:
            if until is None:
                self.end()
        raise AssertionError("the call ended without a result")


def build(client, context, *steps, **options):
    return Build(client, context, *steps, **options).run()
