"""tests/load.sh in short: many connections, many calls, pulls beside."""

import load
from fakeregistry import FakeRegistry
from harness import TestCase


class LoadProof(TestCase):
    def test_many_calls_and_connections_beside_pulls(self):
        with FakeRegistry() as registry:
            rate, said, pulled, before, after = load.run(self.daemon(), registry, connections=300, seconds=3)
        self.assertGreater(rate, 0, said)
        self.assertGreater(pulled, 0)
        self.assertLessEqual(after, before + load.LEFT)
