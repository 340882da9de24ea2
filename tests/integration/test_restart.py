"""A daemon follows another on a socket that a service manager holds, while clients call."""

import json
import os
import signal
import socket
import threading

import grpc

import rpc
from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import Image, Layer, random_bytes, tar

CLIENTS = 12
# What generated clients of ours do: UNAVAILABLE is asked again, three times at most.
RETRY = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4, "initialBackoff": "0.01s", "maxBackoff": "0.2s", "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}  # fmt: skip


class Restart(TestCase):
    def setUp(self):
        super().setUp()
        self.address = self.path("activated.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.address)
        self.listener.listen(4096)
        self.addCleanup(self.listener.close)
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)

    def activated(self):
        """The shell puts its own pid into LISTEN_PID, as systemd does, and becomes imaged."""
        script = f'exec 3<&{self.listener.fileno()} && export LISTEN_PID=$$ && exec "$@"'
        return self.daemon(
            "--listen", "fd://3", wrapper=["sh", "-c", script, "sh"], pass_fds=[self.listener.fileno()],
            env={"LISTEN_FDS": "1"}, listen=False,
        )

    def client(self):
        options = [("grpc.service_config", json.dumps(RETRY)), ("grpc.enable_retries", 1)]
        made = rpc.Client(f"unix:{self.address}", options=options)
        self.addCleanup(made.close)
        return made

    def callers(self):
        """Clients that call again and again: (how often each was answered, what failed, stop())."""
        answered, failed, over = [0] * CLIENTS, [], threading.Event()

        def call(number):
            client = self.client()
            while not over.is_set():
                try:
                    client.ListImages(timeout=60) if number % 2 else client.GetVersion(timeout=60)
                    answered[number] += 1
                except grpc.RpcError as error:
                    failed.append(f"{error.code().name}: {error.details()}")

        threads = [threading.Thread(target=call, args=(number,), daemon=True) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()

        def stop():
            over.set()
            for thread in threads:
                thread.join()

        self.addCleanup(stop)
        return answered, failed, stop

    def wait_answers(self, answered, more):
        before = list(answered)
        self.wait_until(lambda: all(now >= then + more for now, then in zip(answered, before)), "everybody is answered")

    def test_clients_see_nothing_of_restarts(self):
        imaged = self.activated()
        answered, failed, stop = self.callers()
        for _ in range(3):
            self.wait_answers(answered, 20)
            imaged.restart()
        self.wait_answers(answered, 20)
        stop()
        self.assertEqual([], failed)
        self.assertTrue(os.path.exists(self.address), "the socket is the service manager's")

    def test_clients_wait_for_the_next_daemon_while_a_pull_holds_the_old_one(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        layer = Layer(tar({"b": random_bytes(100000, 3)}))
        self.registry.repo("slow").add(Image([layer]), "1")
        self.registry.fault("GET", layer.blob.digest, gate=gate)
        imaged = self.activated()
        pulled = []
        puller = threading.Thread(target=lambda: pulled.append(self.client().pull(f"{self.registry.host}/slow:1")))
        puller.start()
        self.assertTrue(self.registry.wait_requests(1, layer.blob.digest))
        answered, failed, stop = self.callers()
        self.wait_answers(answered, 5)
        imaged.process.send_signal(signal.SIGTERM)
        self.assertTrue(imaged.wait_log("finishing the calls"))
        # Nobody is answered any more, and nobody is told so either.
        quiet, pause = None, threading.Event()
        while quiet != list(answered):
            quiet = list(answered)
            pause.wait(0.3)
        gate.set()
        puller.join()
        self.assertEqual(1, len(pulled), "the pull was finished by the old one")
        self.assertEqual(0, imaged.wait())
        imaged.start()
        self.wait_answers(answered, 5)
        stop()
        self.assertEqual([], failed)
