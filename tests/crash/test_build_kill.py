"""kill -9 at any point of a RUN step: no process, no mount, no cgroup stays."""

import contextlib
import os
import random
import select
import signal
import unittest

from harness import SLOW
from runstep import StepCase, processes

ROUNDS = int(os.environ.get("IMAGED_KILLS", "30"))


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class AnyPoint(StepCase):
    def children(self, pid):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
        return []

    def begin(self, chance):
        """A step, some time after its start; with a pidfd of its supervisor, if that is there yet."""
        self.marker = f"2{os.getpid()}{self.steps}55"
        running = self.start(f"echo ready; for i in 1 2 3; do setsid sleep {self.marker} & done; sleep {self.marker}")
        ended = select.select([running.process.stdout], [], [], chance.random() * 0.15 * SLOW)[0]
        if ended and chance.random() < 0.8:
            select.select([], [], [], chance.random() * 0.01)
        found = self.children(running.process.pid)
        fds = []
        with contextlib.suppress(ProcessLookupError, IndexError):
            fds.append(os.pidfd_open(found[0]))
        return running, found, fds

    def assert_nothing_left(self, running, fds):
        running.process.communicate()
        for fd in fds:
            self.assertTrue(select.select([fd], [], [], 60 * SLOW)[0], "the supervisor lives on")
            os.close(fd)
        self.wait_until(lambda: not processes(f"sleep\0{self.marker}"), "no process is left")
        self.wait_until(lambda: not self.left(), "no cgroup is left")

    def left(self):
        return [n for place in self.cgroups() for n in os.listdir(place) if n.startswith(self.prefix)]

    def test_of_the_daemon(self):
        chance = random.Random(1)
        for _ in range(ROUNDS):
            running, _, fds = self.begin(chance)
            running.process.kill()
            self.assert_nothing_left(running, fds)

    def test_of_the_supervisor(self):
        chance = random.Random(2)
        for _ in range(ROUNDS // 2):
            running, found, fds = self.begin(chance)
            if not found:
                running.process.send_signal(signal.SIGTERM)
            for pid in found:
                os.kill(pid, signal.SIGKILL)
            said = running.wait()
            self.assertIn(said["failed"], ("WORKER_FAILED", "CANCELLED"))
            self.assert_nothing_left(running, fds)

    def test_of_whatever_runs(self):
        chance = random.Random(3)
        for _ in range(ROUNDS // 2):
            running, found, fds = self.begin(chance)
            tree = list(found)
            for pid in tree:
                tree += self.children(pid)
            if tree:
                os.kill(chance.choice(tree), signal.SIGKILL)
            running.process.send_signal(signal.SIGTERM)
            running.wait()
            self.assert_nothing_left(running, fds)


if __name__ == "__main__":
    unittest.main()
