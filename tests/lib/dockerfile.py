"""The language of Dockerfiles, asked of tests/build/dockerfile_dump."""

import json
import os
import subprocess

from harness import BIN, SLOW

PROGRAM = os.path.join(os.path.dirname(BIN), "tests", "dockerfile_dump")


class Language:
    """One process that answers requests in order."""

    def __init__(self):
        self.process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, op, **request):
        self.process.stdin.write(json.dumps({"op": op, **request}).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"dockerfile_dump ended ({self.process.wait(60 * SLOW)}) at {op} {request}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(60 * SLOW)
