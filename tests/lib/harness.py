"""What the integration tests stand on: a daemon, imagectl, docker-registry, and a
test case with a directory of its own.

Programs come from IMAGED_BIN_DIR (default build/bin). Everything that is started
is stopped by its pid; nothing waits by sleeping.
"""

import atexit
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("IMAGED_BIN_DIR", os.path.join(ROOT, "build", "bin"))
CACHE = os.environ.get("IMAGED_TEST_CACHE", os.path.join(ROOT, "build", "test-cache"))
# Sanitizers and valgrind are slower: they multiply every patience below.
SLOW = float(os.environ.get("IMAGED_TEST_SLOW", "1"))


def program(name):
    return os.path.join(BIN, name)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_listening(port, process, timeout=20):
    """Until somebody accepts on the port; the process must stay alive meanwhile."""
    end = time.monotonic() + timeout
    pause = threading.Event()
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        pause.wait(0.01)  # there is no event for "somebody called listen()"
    raise RuntimeError(f"nobody listens on port {port}")


def stop(process, timeout=20):
    """SIGTERM, then the exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    return process.returncode


class DockerRegistry:
    """Debian's docker-registry on a loopback port, over `storage`."""

    def __init__(self, directory, storage=None, readonly=False, htpasswd=None, cert=None, client_ca=None, auth=None):
        os.makedirs(directory, exist_ok=True)
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        storage = storage or os.path.join(directory, "storage")
        config = os.path.join(directory, "config.yml")
        lines = [
            "version: 0.1",
            "log: {level: error, accesslog: {disabled: true}}",
            "storage:",
            f"  filesystem: {{rootdirectory: {storage}}}",
            "  delete: {enabled: true}",
            "  maintenance:",
            f"    readonly: {{enabled: {'true' if readonly else 'false'}}}",
            "    uploadpurging: {enabled: false}",
            "http:",
            f"  addr: {self.host}",
        ]
        if cert:
            clients = f", clientcas: [{client_ca}]" if client_ca else ""
            lines += [f"  tls: {{certificate: {cert[0]}, key: {cert[1]}{clients}}}"]
        if htpasswd:
            lines += [f"auth: {{htpasswd: {{realm: test, path: {htpasswd}}}}}"]
        if auth:  # the section as it is
            lines += [f"auth: {auth}"]
        with open(config, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        self.log = open(os.path.join(directory, "log"), "ab")
        self.process = subprocess.Popen(
            ["docker-registry", "serve", config], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        atexit.register(self.stop)
        wait_listening(self.port, self.process)

    def stop(self):
        atexit.unregister(self.stop)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()


def skopeo(*args):
    """stdout of skopeo, with a policy that takes everything."""
    return subprocess.run(
        ["skopeo", "--insecure-policy", *args], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300
    ).stdout


class Daemon:
    """imaged on a private root and socket. Starts when made; ready when it returns."""

    def __init__(self, directory, *args, root=None, env=None, wrapper=(), ready=True, pass_fds=(), listen=True):
        os.makedirs(directory, exist_ok=True)
        self.directory = directory
        self.root = root or os.path.join(directory, "root")
        self.socket = os.path.join(directory, "imaged.sock")
        self.address = f"unix://{self.socket}"
        command = [*wrapper, program("imaged"), "--root", self.root]
        if listen:
            command += ["--listen", self.address]
        self.command = command + list(args)
        self.environment = {**os.environ, **(env or {})}
        self.pass_fds = pass_fds
        self.log, self.process = "", None
        self._lines = threading.Condition()
        self._clients = []
        self.start(ready)

    def start(self, ready=True):
        self._ended = False
        begin = len(self.log)
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self.environment,
            pass_fds=self.pass_fds,
        )
        atexit.register(self.kill)
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        if ready and not self.wait_log(r" ready: listening on ", begin):
            self.kill()
            raise RuntimeError(f"imaged did not become ready:\n{self.log}")
        return self

    def _read(self, stream):
        for line in iter(stream.readline, b""):
            with self._lines:
                self.log += line.decode(errors="replace")
                self._lines.notify_all()
        with self._lines:
            self._ended = True
            self._lines.notify_all()

    def wait_log(self, pattern, begin=0, timeout=20):
        """The match once the log has it; None when the daemon ended or time is up."""
        expression = re.compile(pattern)
        found = None

        def look():
            nonlocal found
            found = expression.search(self.log, begin)
            return found or self._ended

        with self._lines:
            self._lines.wait_for(look, timeout * SLOW)
        return found

    @property
    def pid(self):
        return self.process.pid

    def client(self, **options):
        from rpc import Client

        made = Client(self.address, **options)
        self._clients.append(made)
        return made

    def ctl(self, *args, check=True, timeout=120, env=None, input=None, name="imagectl"):
        """imagectl, called by this name, with this daemon; gives CompletedProcess with text streams."""
        result = subprocess.run(
            [name, *args],
            executable=program("imagectl"),
            env={**os.environ, "IMAGED_HOST": self.address, **(env or {})},
            stdin=subprocess.DEVNULL if input is None else None,
            input=input,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=timeout * SLOW,
        )
        if check and result.returncode != 0:
            raise AssertionError(f"{name} {' '.join(args)}: exit {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def _close_clients(self):
        for client in self._clients:
            client.close()
        self._clients.clear()

    def _gone(self):
        atexit.unregister(self.kill)
        self._reader.join(20)
        self.process.stderr.close()

    def stop(self):
        """Drains; the exit status."""
        self._close_clients()
        if self.process is None:
            return 0
        status = stop(self.process, 40)
        self._gone()
        self.process = None
        return status

    def kill(self):
        self._close_clients()
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._gone()
        self.process = None

    def wait(self, timeout=60):
        """Until it ended by itself; the exit status."""
        status = self.process.wait(timeout * SLOW)
        self._gone()
        self.process = None
        return status

    def restart(self):
        self.stop()
        return self.start()


SANITIZER = re.compile(r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error|Assertion .* failed|MDB_|ERROR SUMMARY: [1-9])")


class TestCase(unittest.TestCase):
    """One behaviour per method. self.dir is a fresh directory; daemons made with
    self.daemon() are drained at the end and must exit 0 without a complaint."""

    maxDiff = 4000

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="imaged-test-")
        self._daemons = []
        self.addCleanup(self._clean)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def daemon(self, *args, name="d", **options):
        made = Daemon(self.path(name), *args, **options)
        self._daemons.append(made)
        return made

    def _clean(self):
        complaints = []
        for daemon in self._daemons:
            if daemon.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = daemon.stop()
                    if status != 0:
                        complaints.append(f"imaged exited with {status}")
                daemon.kill()
            if SANITIZER.search(daemon.log):
                complaints.append("imaged complained")
        if complaints or not self._outcome.success:
            for daemon in self._daemons:
                print(f"--- log of {daemon.directory}\n{daemon.log[-6000:]}---", flush=True)
        shutil.rmtree(self.dir, ignore_errors=True)
        if complaints:
            self.fail("; ".join(complaints))

    # -- waits for what the daemon has no event for

    def wait_until(self, done, what):
        """Asks again and again until it is so."""
        pause = threading.Event()
        for _ in range(int(6000 * SLOW)):
            if done():
                return
            pause.wait(0.01)
        self.fail(f"not seen: {what}")

    def wait_idle(self, client):
        """A call that was cancelled ends at once for the caller, and a little later inside."""
        self.wait_until(lambda: client.GetInfo().running_pulls == 0, "no pull goes on")

    # -- asserts of this project

    def assert_rpc_fails(self, code, reason, call, *args, text=None, **fields):
        """call(**fields) ends with this gRPC code and reason; gives the error."""
        import grpc

        from rpc import reason as reason_of

        with self.assertRaises(grpc.RpcError) as caught:
            result = call(*args, **fields)
            if hasattr(result, "cancel"):
                list(result)
        error = caught.exception
        said = f"{error.code().name} {reason_of(error)}: {error.details()}"
        self.assertEqual(error.code().name, code, said)
        if reason is not None:
            self.assertEqual(reason_of(error), reason, said)
        if text is not None:
            self.assertRegex(error.details(), text)
        self.assertNotIn("\n", error.details().strip(), "an error is one line")
        return error

    def assert_clean(self, client, listed=None):
        """The check finds nothing damaged, missing or broken; `listed`: names exactly."""
        findings, _ = client.check()
        bad = [f for f in findings if f.kind in (1, 2, 4)]
        self.assertEqual([], bad)
        if listed is not None:
            names = sorted(name for image in client.images() for name in image.repo_tags)
            self.assertEqual(sorted(listed), names)


@contextlib.contextmanager
def deadline(seconds, what):
    """Fails the test in the main thread after so many seconds."""

    def late(*_):
        raise TimeoutError(f"{what}: not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def blob_path(root, digest):
    algorithm, _, value = digest.partition(":")
    return os.path.join(root, "content", algorithm, value[:2], value)


def incomplete(root, client):
    """What is wrong with the listed images, found without the daemon's help: every
    blob that a listed manifest names is read from the disk and hashed."""
    wrong, seen = [], set()

    def look(digest, size, why):
        if digest in seen:
            return
        seen.add(digest)
        try:
            with open(blob_path(root, digest), "rb") as file:
                state = hashlib.file_digest(file, digest.partition(":")[0])
                got = file.tell()
        except OSError as error:
            wrong.append(f"{why} {digest}: {error.strerror}")
            return
        if state.hexdigest() != digest.partition(":")[2] or (size is not None and got != size):
            wrong.append(f"{why} {digest}: wrong bytes ({got} of {size})")

    for image in client.images():
        for manifest in image.manifest_digests:
            look(manifest, None, "manifest")
            with contextlib.suppress(OSError), open(blob_path(root, manifest), "rb") as file:
                body = json.load(file)
                look(body["config"]["digest"], body["config"]["size"], "config")
                for layer in body["layers"]:
                    look(layer["digest"], layer["size"], "layer")
    return wrong
