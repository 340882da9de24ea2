"""Workers that hang for as long as they are let: a minute each, so that this is part of the
campaign (tests/layers.sh) and not of every run."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

from test_layer_workers import INFLATES, WRITES, WorkerCase


class Hanging(WorkerCase):
    SECONDS = 400

    def test_a_worker_that_hangs_is_ended_with_a_reason(self):
        for mode in (INFLATES, WRITES):
            with self.subTest(mode=mode):
                call, workers = self.hold()
                os.kill(workers[mode], signal.SIGSTOP)
                self.gate.set()
                self.client.pull(self.other)
                self.client.RemoveImage(image=self.other)
                self.assert_fails(call, "no progress")
                self.assertFalse(os.path.exists(f"/proc/{workers[mode]}"))
                self.assert_works(self.held)
                self.client.PruneImages(all=True)
