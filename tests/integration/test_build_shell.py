"""--debug-shell: the client's terminal in a step that failed."""

import os
import shutil
import unittest

import fixtures
import grpc
from buildcall import BuildCall
from harness import TestCase
from rpc import pb
from runstep import processes


@unittest.skipUnless(os.geteuid() == 0 and (shutil.which("crun") or shutil.which("runc")), "needs root and crun")
class DebugShell(TestCase):
    def setUp(self):
        super().setUp()
        self.client = self.daemon().client()
        self.base = fixtures.registry().host + "/busybox:oci-gzip"

    def build(self, dockerfile, **fields):
        return BuildCall(self.client, dockerfile, **fields)

    def open(self, dockerfile, **fields):
        """A build whose step fails, when its shell has begun."""
        call = self.build(f"FROM {self.base}\n{dockerfile}", debug_shell=True, **fields)
        call.until(lambda e: e.WhichOneof("event") == "shell")
        call.send(pb.BuildRequest(shell=pb.ShellInput(columns=101, rows=33)))
        return call

    def type(self, call, text, **fields):
        call.send(pb.BuildRequest(shell=pb.ShellInput(data=text.encode(), **fields)))

    def output(self, call):
        """All that the shell writes from now on, its exit code, and the end of the call."""
        data = b""
        while True:
            event = call.until(lambda e: e.WhichOneof("event") == "shell").shell
            data += event.data
            if event.end:
                break
        with self.assertRaises(grpc.RpcError) as raised:
            while call.next():
                pass
        call.half_close()
        return data.decode(), event.exit_code, raised.exception

    def test_what_a_step_left(self):
        call = self.open('ENV X=y\nARG Z=1\nWORKDIR /w\nRUN --mount=type=tmpfs,target=/t echo behind > left; exit 3\n')
        self.type(call, "pwd; cat left; echo $X$Z; stty size; grep ' /t ' /proc/mounts; exit 7\n")
        out, code, error = self.output(call)
        for wanted in ("/w\r\n", "behind\r\n", "y1\r\n", "33 101\r\n", "tmpfs /t "):
            self.assertIn(wanted, out)
        self.assertEqual((7, grpc.StatusCode.UNKNOWN), (code, error.code()))
        self.assertIn("exit code: 3", error.details())
        self.assertIn(">>> RUN --mount", call.excerpt())

    def test_the_shell_is_that_of_the_stage(self):
        call = self.open('RUN cp /bin/busybox /bin/ash\nSHELL ["/bin/ash", "-ec"]\nRUN false\n')
        self.type(call, "echo shell=$0; exit 0\n")
        self.assertIn("shell=/bin/ash\r\n", self.output(call)[0])
        call = self.open('SHELL ["/no/such", "-c"]\nRUN true\n')
        self.type(call, "echo shell=$0; exit 0\n")
        self.assertIn("shell=/bin/sh\r\n", self.output(call)[0])

    def test_caches_that_nobody_else_has_meanwhile(self):
        call = self.open("RUN --mount=type=cache,sharing=locked,target=/c false\n")
        self.type(call, "exit 0\n")
        self.output(call)
        self.assertIn(b"sharing=locked are nobody else's", call.told("shell")[0].data)
        call = self.open("RUN --mount=type=cache,target=/c false\n")
        self.type(call, "exit 0\n")
        self.output(call)
        self.assertEqual(b"", call.told("shell")[0].data)

    def test_the_end_of_the_clients_input_is_the_end(self):
        call = self.open("RUN false\n")
        self.type(call, "echo on'e'\n", end=True)
        out, code, _ = self.output(call)
        self.assertIn("one\r\n", out)
        call = self.open("RUN false # again\n")
        call.half_close()
        self.assertIn("exit code: 1", self.output(call)[2].details())

    def test_cancel(self):
        marker = f"8{os.getpid()}19"
        call = self.open("RUN false\n")
        self.type(call, f"sleep {marker}\n")
        self.wait_until(lambda: processes(f"sleep\0{marker}"), "the shell runs it")
        call.call.cancel()
        self.wait_until(lambda: not processes(f"sleep\0{marker}"), "it has ended")

    def test_nobody_asked_for_one(self):
        call = self.build(f"FROM {self.base}\nRUN false\n")
        self.assertIn("exit code: 1", call.fails().details())
        self.assertEqual([], call.told("shell"))
        call = self.build(f"FROM {self.base}\nRUN sleep 1000\n")
        call.until(lambda e: e.WhichOneof("event") == "step" and "sleep" in e.step.name)
        self.type(call, "x")
        self.assertIn("that it has not asked for", call.fails().details())

    def test_nothing_has_failed(self):
        call = self.build(f"FROM {self.base}\nRUN true\n", debug_shell=True)
        call.run()
        self.assertEqual([], call.told("shell"))
        call = self.build(f"FROM {self.base}\nCOPY none /\n", debug_shell=True)
        call.fails()
        self.assertEqual([], call.told("shell"))


if __name__ == "__main__":
    unittest.main()
