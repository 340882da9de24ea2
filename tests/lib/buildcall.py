"""A foreign client of whole builds, from the .proto alone.

    call = BuildCall(client, "FROM scratch\nCOPY a /", Directory("id", {"a": b""}), tags=["x"])
    done = call.run()
    call.steps   {"[1/1] COPY a /": Step}, as they ended

Contexts are buildclient's; an Archive answers want_archive.
"""

import queue

import grpc
from rpc import pb

STATES = {value: name[6:] for name, value in pb.Step.State.items()}


class Archive:
    """A tar, or a Dockerfile, as it comes from standard input."""

    def __init__(self, data, name="", piece=100000):
        self.data, self.name, self.piece = data, name, piece

    def context(self):
        return pb.BuildContext(name=self.name, archive=pb.ClientArchive())

    def answer(self, event):
        if event.WhichOneof("event") == "want_archive":
            for at in range(0, len(self.data), self.piece):
                yield pb.BuildRequest(archive=pb.ArchiveData(context=self.name, data=self.data[at : at + self.piece]))
            yield pb.BuildRequest(archive=pb.ArchiveData(context=self.name, end=True))


def url(text, name=""):
    return pb.BuildContext(name=name, url=text)


class BuildCall:
    """`contexts`: of buildclient, or ready BuildContexts; the first without a name is the main one."""

    def __init__(self, client, dockerfile, *contexts, timeout=120, start=None, **fields):
        self.out, self.events, self.logs = queue.Queue(), [], {}
        self.sources = [c for c in contexts if not isinstance(c, pb.BuildContext)]
        self.start = start or pb.BuildStart(**fields)
        if dockerfile is None:
            self.start.dockerfile_in_context = True
        else:
            self.start.dockerfile = dockerfile.encode() if isinstance(dockerfile, str) else dockerfile
        for context in contexts:
            message = context if isinstance(context, pb.BuildContext) else context.context()
            if message.name:
                self.start.named_contexts.append(message)
            else:
                self.start.context.CopyFrom(message)
        self.send(pb.BuildRequest(start=self.start))
        self.call = client.Build(request=iter(self.out.get, None), timeout=timeout)

    def send(self, request):
        self.out.put(request)

    def half_close(self):
        self.out.put(None)

    def next(self):
        """The next event, answered; None at the end."""
        try:
            event = next(self.call)
        except StopIteration:
            return None
        self.take(event)
        return event

    def take(self, event):
        self.events.append(event)
        if event.WhichOneof("event") == "log":
            self.logs[event.log.step] = self.logs.get(event.log.step, b"") + event.log.data
        kind = event.WhichOneof("event")
        wanted = getattr(event, kind).context if kind.startswith("want_") else None
        for source in self.sources:
            if source.name == wanted:
                for request in source.answer(event):
                    self.send(request)

    def until(self, wanted):
        """The first event that is wanted."""
        while True:
            event = self.next()
            if event is None:
                raise AssertionError(f"the build ended before that; {self.names()}")
            if wanted(event):
                return event

    def run(self):
        """BuildDone."""
        try:
            while self.next() is not None:
                pass
        finally:
            self.half_close()
        kinds = [e.WhichOneof("event") for e in self.events]
        assert kinds[0] == "started" and kinds[-1] == "done" and kinds.count("done") == 1, kinds
        return self.events[-1].done

    def fails(self):
        """The RpcError."""
        try:
            self.run()
        except grpc.RpcError as error:
            return error
        raise AssertionError("the build did not fail")

    # -- what was told

    def told(self, kind):
        return [getattr(e, kind) for e in self.events if e.WhichOneof("event") == kind]

    def names(self):
        """Of steps, in the order of their numbers."""
        return list(dict.fromkeys(s.name for s in sorted(self.told("step"), key=lambda s: s.number)))

    @property
    def steps(self):
        return {s.name: s for s in self.told("step")}

    def state(self, name):
        return STATES[self.steps[name].state]

    def log(self, name):
        return self.logs.get(self.steps[name].number, b"").decode()

    def statuses(self, name):
        number = self.steps[name].number
        return {p.what: p for p in self.told("progress") if p.step == number}

    def warnings(self):
        return [w for w in self.told("warning") if not w.is_error]

    def excerpt(self):
        return "".join(w.excerpt.decode() for w in self.told("warning") if w.is_error)
