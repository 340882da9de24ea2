"""kill -9 of the daemon at any point of a build: after the next start there is no process, no
mount and no cgroup of it, the store is sound, the next build works and has the cache."""

import hashlib
import os
import random
import select
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

from buildcorpus import put, steps_of  # noqa: E402
from buildworld import BuildCase, cgroups_with, mounts_with  # noqa: E402
from harness import SLOW  # noqa: E402
from runstep import processes  # noqa: E402

ROUNDS = int(os.environ.get("IMAGED_BUILD_KILLS", "12"))
STEPS = """FROM localhost/base AS fixed
COPY fixed /fixed
RUN echo of-the-cache > /kept
FROM fixed AS left
COPY src /src
RUN --mount=type=cache,target=/cache,id=kill cat /src/* | wc -c > /left && echo x >> /cache/log && (setsid sleep MARKER &)
FROM fixed AS right
RUN --mount=target=/ctx --mount=type=cache,target=/cache,id=kill,sharing=locked cat /ctx/src/* | md5sum > /right
FROM fixed
WORKDIR /result
COPY --from=left /left .
COPY --from=right /right .
RUN cat left right > both
"""


class AnyPoint(BuildCase):
    SECONDS = 600

    def change(self, context, number):
        for file in range(40):
            put(context, f"src/{file}", f"{number} {file}\n" * 200, 1_500_000_000 + number)

    def nothing_left(self, marker):
        self.wait_until(lambda: not processes(f"sleep\0{marker}"), "no process is left")
        self.wait_until(lambda: not [line for line in mounts_with(self.daemon_.root) if "overlay" in line], "no mount is left")
        self.wait_until(lambda: not [path for path in cgroups_with(self.parent) if os.path.basename(path) != self.parent], "no cgroup is left")

    def test_kill(self):
        chance = random.Random(int(os.environ.get("IMAGED_SEED", "1")))
        marker = f"4{os.getpid()}44"
        context = self.context(STEPS.replace("MARKER", marker), {"fixed": "fixed"})
        self.change(context, 0)
        options = ["-t", "killed"]
        self.build(context, *options)
        for number in range(1, ROUNDS + 1):
            self.change(context, number)
            process = self.start(context, *options)
            select.select([], [], [], chance.random() * 0.8 * SLOW)
            self.daemon_.kill()
            process.communicate(timeout=60 * SLOW)
            self.daemon_.start()
            self.nothing_left(marker)
            said = self.build(context, *options).log
            states = steps_of(said)
            for text in ("COPY fixed /fixed", "RUN echo of-the-cache"):
                self.assertEqual([True], [state for name, state in states.items() if name and text in name], said)
            self.assertEqual(b"".join(self.expected(context)), self.image("killed").tree["/result/both"].data)
        self.assertNotRegex(self.daemon_.ctl("system", "check").stdout, r"(?i)damaged|missing|broken")

    def expected(self, context):
        names = sorted(os.listdir(os.path.join(context, "src")))
        data = b""
        for name in names:
            with open(os.path.join(context, "src", name), "rb") as file:
                data += file.read()
        yield f"{len(data)}\n".encode()
        yield f"{hashlib.md5(data).hexdigest()}  -\n".encode()
