"""SSH agents that a build forwards, by the program agents_relay (tests/build/agents_relay.c): the test is the client."""

import contextlib
import glob
import itertools
import os
import resource
import shutil
import socket
import stat
import subprocess
import threading
import unittest

from harness import BIN, SLOW, TestCase, program
from runstep import StepCase
from sshagent import KEY, AgentMixin

AGENTS_RELAY = os.path.join(os.path.dirname(BIN), "tests", "agents_relay")
BUFFER = 1 << 20
CONNECTIONS = 64


class Relay:
    """The daemon's side, and what it says to its client, in order."""

    def __init__(self, directory, *ids):
        self.directory = directory
        self.process = subprocess.Popen(
            [AGENTS_RELAY, directory, *ids], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.waiting = []

    def say(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def line(self):
        words = self.process.stdout.readline().split(maxsplit=3)
        if not words:
            raise AssertionError("agents_relay has ended")
        return words

    def open(self, ssh_id, mode=0o600, uid=0):
        """The number of a step's socket, or why there is none."""
        self.say("open", ssh_id, f"{mode:o}", uid)
        while True:
            words = self.line()
            if words[0] == "socket":
                return int(words[1])
            if words[0] == "failed":
                return words[1], " ".join(words[2:])
            self.waiting.append(words)

    def message(self):
        """(connection, agent, data, end)"""
        words = self.waiting.pop(0) if self.waiting else self.line()
        return int(words[0]), words[1].strip("-"), bytes.fromhex(words[2].strip("-")), words[3].strip() == "1"

    def data(self, connection, data=b"", end=False):
        self.say("data", connection, data.hex() or "-", int(end))

    def connect(self, number=0):
        """A step's connection."""
        connection = socket.socket(socket.AF_UNIX)
        with contextlib.chdir(self.directory):
            connection.connect(f"agent-{number}")
        connection.settimeout(50 * SLOW)
        return connection

    def end(self):
        """Closes its input; its exit code."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(50 * SLOW)


class RelayCase(TestCase):
    def setUp(self):
        super().setUp()
        self.step = self.path("s" * 100)  # longer than an address of a socket
        os.mkdir(self.step)
        self.relay = Relay(self.step, "default", "other")
        self.addCleanup(self.ended)

    def ended(self):
        self.assertEqual(0, self.relay.end())


class Connections(RelayCase):
    def test_bytes_go_both_ways(self):
        self.assertEqual(0, self.relay.open("other"))
        with self.relay.connect() as step:
            number, ssh_id, data, end = self.relay.message()
            self.assertEqual(("other", b"", False), (ssh_id, data, end))
            step.sendall(b"question")
            self.assertEqual((number, "", b"question", False), self.relay.message())
            self.relay.data(number, b"answer")
            self.assertEqual(b"answer", step.recv(100))
        self.assertEqual((number, "", b"", True), self.relay.message())

    def test_connections_are_told_apart(self):
        self.relay.open("default")
        self.relay.open("other")
        with self.relay.connect(0) as a, self.relay.connect(1) as b:
            names = dict(self.relay.message()[:2] for _ in range(2))
            self.assertEqual(["default", "other"], sorted(names.values()))
            numbers = {ssh_id: number for number, ssh_id in names.items()}
            self.relay.data(numbers["other"], b"to b")
            self.relay.data(numbers["default"], b"to a")
            self.assertEqual((b"to a", b"to b"), (a.recv(9), b.recv(9)))

    def test_the_clients_end_comes_after_its_bytes(self):
        self.relay.open("default")
        with self.relay.connect() as step:
            number = self.relay.message()[0]
            self.relay.data(number, b"x" * 500_000)
            self.relay.data(number, b"last", end=True)
            got = b"".join(iter(lambda: step.recv(65536), b""))
            self.assertEqual((500_004, b"last"), (len(got), got[-4:]))
        self.assertEqual((number, "", b"", True), self.relay.message())

    def test_what_is_said_of_a_connection_that_is_over(self):
        self.relay.open("default")
        for number in (0, 77, 4294967295):
            self.relay.data(number, b"nobody", end=True)
        with self.relay.connect() as step:
            number = self.relay.message()[0]
            self.relay.data(number, end=True)
            self.relay.data(number, b"late")
            self.assertEqual(b"", step.recv(9))

    def test_a_step_that_does_not_read(self):
        self.relay.open("default")
        with self.relay.connect() as step:
            number = self.relay.message()[0]
            for _ in range(3):
                self.relay.data(number, b"x" * BUFFER)
            self.assertEqual((number, "", b"", True), self.relay.message())
            with contextlib.suppress(ConnectionResetError):
                while step.recv(1 << 20):
                    pass

    def test_more_connections_wait(self):
        self.relay.open("default")
        with contextlib.ExitStack() as stack:
            steps = [stack.enter_context(self.relay.connect()) for _ in range(CONNECTIONS + 1)]
            numbers = [self.relay.message()[0] for _ in range(CONNECTIONS)]
            self.assertEqual(CONNECTIONS, len(set(numbers)))
            steps[CONNECTIONS].sendall(b"waits")
            steps[0].sendall(b"goes on")
            self.assertEqual(b"goes on", self.relay.message()[2])
            steps[0].close()
            self.assertTrue(self.relay.message()[3])
            number, ssh_id, _, _ = self.relay.message()
            self.assertEqual("default", ssh_id)
            self.assertNotIn(number, numbers)
            self.assertEqual((number, "", b"waits", False), self.relay.message())

    def test_without_descriptors_it_waits_and_does_not_turn(self):
        self.relay.open("default")
        pid = self.relay.process.pid
        limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        with contextlib.ExitStack() as stack:
            # poll() wants no fewer descriptors than it looks at.
            for _ in range(CONNECTIONS - 2):
                stack.enter_context(self.relay.connect())
                self.relay.message()
            free = next(fd for fd in itertools.count() if not os.path.lexists(f"/proc/{pid}/fd/{fd}"))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, limit[1]))
            step = stack.enter_context(self.relay.connect())
            step.sendall(b"waits")
            before = self.waits()
            self.wait_until(lambda: self.waits() >= before + 5, "it sleeps between two tries")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
            number = self.relay.message()[0]
            self.assertEqual((number, "", b"waits", False), self.relay.message())

    def waits(self):
        """How often its threads have gone to sleep."""
        found = 0
        for path in glob.glob(f"/proc/{self.relay.process.pid}/task/*/status"):
            with open(path, encoding="ascii") as file:
                found += next(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))
        return found

    def test_a_socket_that_is_closed_ends_its_connections(self):
        self.relay.open("default")
        self.relay.open("default")
        with self.relay.connect(0) as gone, self.relay.connect(1) as stays:
            numbers = [self.relay.message()[0] for _ in range(2)]
            self.relay.say("close", 0)
            self.assertEqual(b"", gone.recv(9))
            number, _, _, end = self.relay.message()
            self.assertTrue(end and number in numbers)
            stays.sendall(b"still")
            self.assertEqual(b"still", self.relay.message()[2])
        with self.assertRaises(OSError):
            self.relay.connect(0)

    def test_a_call_that_is_over_ends_all(self):
        self.relay.open("default")
        with self.relay.connect() as step:
            self.relay.message()
            self.relay.say("break")
            self.relay.open("default")  # so that it has heard that
            step.sendall(b"nobody hears it")
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(b"", step.recv(9))

    def test_agents_that_the_client_has_not(self):
        reason, text = self.relay.open("nope")
        self.assertEqual(("NOT_FOUND", 'no SSH key "nope" forwarded from the client'), (reason, text.strip()))

    def test_modes_and_owners(self):
        self.relay.open("default", 0o640, os.geteuid())
        found = os.lstat(os.path.join(self.step, "agent-0"))
        self.assertTrue(stat.S_ISSOCK(found.st_mode))
        self.assertEqual((0o640, os.geteuid()), (found.st_mode & 0o7777, found.st_uid))


class Client(threading.Thread):
    """As imagectl: each connection of the relay is one to the agent at `path`."""

    def __init__(self, relay, path):
        super().__init__(daemon=True)
        self.relay, self.path, self.agents = relay, path, {}

    def run(self):
        with contextlib.suppress(AssertionError, ValueError):
            while True:
                number, _, data, end = self.relay.message()
                if number not in self.agents and not end:
                    self.agents[number] = socket.socket(socket.AF_UNIX)
                    self.agents[number].connect(self.path)
                    threading.Thread(target=self.answer, args=(number,), daemon=True).start()
                if data:
                    self.agents[number].sendall(data)
                if end:
                    self.agents.pop(number).shutdown(socket.SHUT_RDWR)

    def answer(self, number):
        with contextlib.suppress(OSError):
            agent = self.agents[number]
            while data := agent.recv(65536):
                self.relay.data(number, data)


@unittest.skipUnless(shutil.which("ssh-agent"), "openssh-client is not installed")
class RealAgent(AgentMixin, StepCase):
    def setUp(self):
        super().setUp()
        agent = self.start_agent()
        os.mkdir(self.path("agents"))
        self.relay = Relay(self.path("agents"), "default")
        self.addCleanup(lambda: self.assertEqual(0, self.relay.end()))
        self.relay.open("default")
        self.socket = self.path("agents", "agent-0")
        self.client = Client(self.relay, agent)
        self.client.start()

    def test_keys_are_listed_and_sign(self):
        env = {**os.environ, "SSH_AUTH_SOCK": self.socket}
        listed = subprocess.run(["ssh-add", "-l"], env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
        self.assertIn(KEY, listed)
        with open(self.path("text"), "w", encoding="ascii") as file:
            file.write("signed")
        for _ in range(3):
            subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", self.path("key.pub"), "-n", "file", self.path("text")], env=env, check=True)
            os.remove(self.path("text.sig"))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_within_a_step(self):
        mounts = [
            {"type": "socket", "target": "/run/buildkit/ssh_agent.0", "source": self.socket},
            {"type": "bind", "target": "/host", "source": "/"},
        ]
        libraries = "/host/lib/x86_64-linux-gnu:/host/usr/lib/x86_64-linux-gnu"
        command = f"/host/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --library-path {libraries} /host/usr/bin/ssh-add -l"
        env = ["SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0"]
        self.assertIn(KEY, self.ok(command, mounts=mounts, env=env))
        self.assertNotEqual(0, self.run_step(command, mounts=mounts, env=env, user="bob")["exit_code"])


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("ssh-agent") and shutil.which("crun"), "needs root, crun and openssh-client")
class Builds(AgentMixin, TestCase):
    """From imagectl to a step, through the whole build."""

    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.agent = self.start_agent()
        self.tools, self.list_keys = self.agent_tools()

    def build(self, mount, *options):
        os.makedirs(self.path("context"), exist_ok=True)
        with open(self.path("context", "Dockerfile"), "w", encoding="ascii") as file:
            file.write(f"FROM scratch\nRUN --mount=from=tools,target=/t --mount=type=ssh{mount} {self.list_keys}\n")
        command = [program("imagectl"), "--host", f"unix://{self.imaged.socket}", "build", "--progress=plain", "--build-context", f"tools={self.tools}"]
        return subprocess.run(
            [*command, *options, self.path("context")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100 * SLOW
        )

    def test_keys_of_the_client(self):
        said = self.build("", "--ssh", f"default={self.agent}")
        self.assertEqual(0, said.returncode, said.stdout)
        self.assertIn(KEY, said.stdout)
        said = self.build(",id=work,required", "--ssh", f"work={self.agent}")
        self.assertIn(KEY, said.stdout)

    def test_an_agent_that_is_required(self):
        said = self.build(",id=work,required", "--ssh", f"default={self.agent}")
        self.assertNotEqual(0, said.returncode)
        self.assertIn("work", said.stdout)
        self.assertNotIn("key of a test", said.stdout)


if __name__ == "__main__":
    unittest.main()
