"""Builds without a client, by the program solve_run (tests/build/solve_run.c)."""

import io
import json
import os
import select
import subprocess
import tarfile
import time

from harness import BIN, SLOW, TestCase, blob_path, program
from runstep import make_root

SOLVE_RUN = os.path.join(os.path.dirname(BIN), "tests", "solve_run")
ANSWER_SECONDS = 100


class Solver:
    """One process with a store; builds run in it at the same time."""

    def __init__(self, root, base):
        env = {**os.environ, "IMAGED_LAYER": program("imaged-layer"), "IMAGED_RUN": program("imaged-run")}
        self.process = subprocess.Popen([SOLVE_RUN, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self.said, self.unread = [], b""
        self.wait(lambda o: "ready" in o)
        self.send(op="image", name="base", tar=base)

    def send(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def _read(self, until):
        while b"\n" not in self.unread:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise AssertionError(f"solve_run says no more after {self.said[-20:]}")
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            if not piece:
                raise AssertionError(f"solve_run ended ({self.process.wait()}) after {self.said[-20:]}")
            self.unread += piece
        line, self.unread = self.unread.split(b"\n", 1)
        self.said.append(json.loads(line))

    def wait(self, wanted):
        """The first that it said, or says now, for which wanted() is true."""
        at, until = 0, time.monotonic() + ANSWER_SECONDS * SLOW
        while True:
            for o in self.said[at:]:
                if wanted(o):
                    return o
            at = len(self.said)
            self._read(until)

    def result(self, number):
        return self.wait(lambda o: o.get("id") == number and ("done" in o or "failed" in o))

    def wait_state(self, number, vertex, state):
        """Until a vertex that has this in its name is in a state that begins so."""
        return self.wait(lambda o: o.get("id") == number and vertex in o.get("vertex", "") and o["state"].startswith(state))

    def states(self, number):
        """How each vertex of a build ended, by its name without the place."""
        found = {}
        for o in self.said:
            if o.get("id") == number and "vertex" in o and o["state"].split(":")[0] in ("done", "cached", "failed"):
                found[o["vertex"].split("] ", 1)[-1]] = o["state"]
        return found

    def told(self, number, kind):
        """Its logs, or what changed: all texts that begin so."""
        kind += ": "
        return [o["state"][len(kind) :] for o in self.said if o.get("id") == number and o.get("state", "").startswith(kind)]

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(ANSWER_SECONDS * SLOW)
        self.process.stdout.close()
        return self.process.returncode

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class SolveCase(TestCase):
    """self.build() solves a Dockerfile on a busybox root called "base"."""

    def setUp(self):
        super().setUp()
        make_root(self.path("root"))
        self.base = self.path("base.tar")
        subprocess.run(
            ["tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-C", self.path("root"), "-cf", self.base, "."],
            check=True,
        )
        self.solver, self.builds = None, 0
        self.open()
        self.addCleanup(self._unmounted)
        self.addCleanup(lambda: self.assertEqual(0, self.solver.close()))

    def _unmounted(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            self.assertNotIn(self.dir, file.read(), "a mount is left")

    def open(self):
        self.solver = Solver(self.path("store"), self.base)

    def reopen(self):
        self.assertEqual(0, self.solver.close())
        self.open()

    def context(self, files):
        """A tar of {name: bytes or (bytes, {attribute of tarfile.TarInfo})}; its path."""
        path = self.path(f"context{self.builds}.tar")
        with tarfile.open(path, "w") as tar:
            for name, content in sorted(files.items()):
                data, fields = content if isinstance(content, tuple) else (content, {})
                info = tarfile.TarInfo(name)
                info.size = len(data)
                info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
                info.mode = 0o755 if name.endswith("/") else 0o644
                for field, value in fields.items():
                    setattr(info, field, value)
                tar.addfile(info, io.BytesIO(data))
        return path

    def start(self, dockerfile, files=None, **fields):
        """The number of a build that goes on."""
        self.builds += 1
        if files is not None:
            fields["context"] = self.context(files)
        self.solver.send(op="build", id=self.builds, dockerfile=dockerfile, **fields)
        return self.builds

    def build(self, dockerfile, files=None, **fields):
        """What came of it; self.states says it of each step."""
        number = self.start(dockerfile, files, **fields)
        result = self.solver.result(number)
        self.states = self.solver.states(number)
        self.log = "".join(self.solver.told(number, "log"))
        self.assertNotIn("failed", result)
        return result

    def refused(self, reason, text, dockerfile, files=None, **fields):
        number = self.start(dockerfile, files, **fields)
        result = self.solver.result(number)
        self.states = self.solver.states(number)
        self.assertEqual(reason, result.get("failed"), result)
        self.assertRegex(result["text"], text)
        return result

    def files(self, result, layer=-1):
        """The members of one of its layers: names, and content."""
        with tarfile.open(blob_path(self.path("store"), result["layers"][layer])) as tar:
            return {m.name: tar.extractfile(m).read() if m.isreg() else b"" for m in tar}
