"""What a disk may hold after the power went, from a log of iotrace.so.

A Disk replays the log up to a cut. It knows for every file which bytes were
synced and which writes came after, and for every directory which of its changes
were synced; then tree() says what is there, by one of these rules:

    lost      all that was not synced is gone: the strictest reading of POSIX
    names     changes of directories are there, unsynced bytes are not (files are
              short, or long and zero): what journalling file systems do
    random    each unsynced write and change is there or not, by a seeded coin; of
              changes of one name the earlier come first; a write may be torn at a
              page
    all       everything is there: the same as kill -9

A rename is one change: both its directories know of it or none does. fsync of a
file makes its bytes durable, not its name. syncfs makes all durable.
"""

import os
import random
import struct

HEAD = struct.Struct("<IIQQQQQII")
CREATE, MKDIR, WRITE, TRUNCATE, ALLOCATE, LINK, UNLINK, RENAME, SYNC, SYNCFS, UNNAMED = range(1, 12)
PAGE = 4096
RULES = ("lost", "names", "random", "all")


class Event:
    __slots__ = ("kind", "flags", "ino", "dir", "dir2", "offset", "len", "name", "name2", "data", "end")

    @property
    def changes(self):
        return self.kind not in (SYNC, SYNCFS)


def read_log(path):
    """All events; event.end is the place in the log after it."""
    with open(path, "rb") as file:
        log = file.read()
    events, at = [], 0
    while at + HEAD.size <= len(log):
        event = Event()
        fields = HEAD.unpack_from(log, at)
        event.kind, event.flags, event.ino, event.dir, event.dir2, event.offset, event.len = fields[:7]
        at += HEAD.size
        event.name = log[at : at + fields[7]].decode()
        at += fields[7]
        event.name2 = log[at : at + fields[8]].decode()
        at += fields[8]
        event.data = log[at : at + event.len]
        at += event.len
        event.end = at
        if at > len(log):
            break  # the last one was cut by the kill
        events.append(event)
    return events


class File:
    def __init__(self):
        self.synced, self.pending = bytearray(), []

    def sync(self):
        for change in self.pending:
            apply(self.synced, change, 1.0)
        self.pending.clear()


def apply(data, change, part):
    """A write, of which the first `part` is done in whole pages, or a new size."""
    kind, offset, payload = change
    if kind == WRITE:
        if part < 1.0:
            payload = payload[: int(len(payload) * part) // PAGE * PAGE]
        if len(data) < offset + len(payload):
            data.extend(bytes(offset + len(payload) - len(data)))
        data[offset : offset + len(payload)] = payload
    elif kind == TRUNCATE:
        del data[offset:]
        data.extend(bytes(offset - len(data)))
    elif kind == ALLOCATE:
        data.extend(bytes(max(0, offset - len(data))))


class Disk:
    """Starts from an empty root directory whose inode is `root`."""

    def __init__(self, root):
        self.root = root
        self.objects = {root: {}}  # ino -> File, or the synced dict of a directory: name -> object
        self.top = self.objects[root]
        self.pending = []  # (directories, [(directory, name, object or None)])
        self.now = {id(self.top): dict()}  # what the running system sees: id(directory) -> names

    def play(self, event):
        kind = event.kind
        if kind in (CREATE, MKDIR):
            made = {} if kind == MKDIR else File()
            self.objects[event.ino] = made
            if kind == MKDIR:
                self.now[id(made)] = {}
            self.change([(self.objects[event.dir], event.name, made)])
        elif kind == UNNAMED:
            self.objects[event.ino] = File()
        elif kind == LINK:
            self.change([(self.objects[event.dir], event.name, self.objects[event.ino])])
        elif kind == UNLINK and isinstance(self.objects.get(event.dir), dict):  # else the kernel made it, for an overlay
            self.change([(self.objects[event.dir], event.name, None)])
        elif kind == RENAME:
            source, target = self.objects[event.dir], self.objects[event.dir2]
            moved = self.now[id(source)][event.name]
            self.change([(source, event.name, None), (target, event.name2, moved)])
        elif kind in (WRITE, TRUNCATE, ALLOCATE):
            file = self.objects.get(event.ino)
            if not isinstance(file, File):
                return  # one without a name; should it get one, UNNAMED tells its bytes
            change = (kind, event.offset, event.data)
            if event.flags & 1:  # O_DSYNC: this write is on the disk when it returns
                apply(file.synced, change, 1.0)
            else:
                file.pending.append(change)
        elif kind == SYNC:
            found = self.objects.get(event.ino)
            if isinstance(found, File):
                found.sync()
            elif found is not None:
                self.settle(lambda places: any(place is found for place in places))
        elif kind == SYNCFS:
            for found in self.objects.values():
                if isinstance(found, File):
                    found.sync()
            self.settle(lambda places: True)

    def change(self, entries):
        for directory, name, target in entries:
            if target is None:
                self.now[id(directory)].pop(name, None)
            else:
                self.now[id(directory)][name] = target
        self.pending.append(([directory for directory, _, _ in entries], entries))

    def settle(self, chosen):
        """Makes changes durable, and with each one the earlier ones of its names."""
        keys, due = set(), []
        for places, entries in reversed(self.pending):
            own = {(id(directory), name) for directory, name, _ in entries}
            due.append(chosen(places) or bool(own & keys))
            if due[-1]:
                keys |= own
        rest = []
        for now, (places, entries) in zip(reversed(due), self.pending):
            if now:
                for directory, name, target in entries:
                    put(directory, name, target)
            else:
                rest.append((places, entries))
        self.pending = rest

    # -- after the loss

    def tree(self, rule, coin):
        """{directory id: names} and {file id: bytes} that survive."""
        names, touched = {}, set()

        def survives(entries):
            if rule != "random":
                return rule != "lost"
            # of one name, a later change needs the earlier
            keys = {(id(directory), name) for directory, name, _ in entries}
            if keys & touched or coin.random() < 0.5:
                touched.update(keys)
                return False
            return True

        def listing(directory):
            return names.setdefault(id(directory), dict(directory))

        for _, entries in self.pending:
            if survives(entries):
                for directory, name, target in entries:
                    put(listing(directory), name, target)
        return names

    def content(self, file, rule, coin):
        if rule in ("lost", "names") and file.pending:
            data = bytearray(file.synced)
            if rule == "names" and coin.random() < 0.5:
                sizes = [offset + len(payload) for kind, offset, payload in file.pending if kind != TRUNCATE]
                data.extend(bytes(max(0, max(sizes, default=0) - len(data))))
            return data
        data = bytearray(file.synced)
        for change in file.pending:
            if rule == "all":
                apply(data, change, 1.0)
            else:
                luck = coin.random()
                if luck < 0.4:
                    apply(data, change, 1.0)
                elif luck < 0.6:
                    apply(data, change, coin.random())
        return data

    def write(self, directory, rule, seed=0):
        """Makes the surviving tree in `directory`."""
        coin = random.Random(seed)
        names = self.tree(rule, coin)
        made = {}

        def lay(source, path):
            os.makedirs(path, mode=0o700, exist_ok=True)
            for name, found in sorted(names.get(id(source), source).items()):
                place = os.path.join(path, name)
                if not isinstance(found, File):
                    lay(found, place)
                elif id(found) in made:
                    os.link(made[id(found)], place)
                else:
                    made[id(found)] = place
                    with open(place, "wb", opener=private) as out:
                        out.write(self.content(found, rule, coin))

        lay(self.top, directory)


def private(path, flags):
    return os.open(path, flags, 0o600)


def put(directory, name, target):
    if target is None:
        directory.pop(name, None)
    else:
        directory[name] = target
