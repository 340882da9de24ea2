"""Addresses: unix sockets, TCP, TLS, client certificates, socket activation; and
what foreign clients may rely on: deadlines, cancellation, health."""

import os
import re
import socket
import subprocess
import threading

import grpc

import rpc
from fakeregistry import FakeRegistry
from harness import Daemon, TestCase, free_port, program
from ociimage import Image, Layer, random_bytes, tar


class Certificates:
    """A CA, a server certificate for 127.0.0.1 and localhost, a client certificate,
    and one of another CA."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory)
        self.ca = self.authority("ca")
        self.server = self.issue("server", self.ca, "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self.client = self.issue("client", self.ca, "extendedKeyUsage=clientAuth")
        self.stranger = self.issue("stranger", self.authority("other"), "extendedKeyUsage=clientAuth")

    def path(self, name):
        return os.path.join(self.directory, name)

    def openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def authority(self, name):
        cert, key = self.path(name + ".crt"), self.path(name + ".key")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                     "-out", cert, "-days", "2", "-subj", f"/CN=test {name}")
        return cert, key

    def issue(self, name, authority, extension):
        cert, key, request = self.path(name + ".crt"), self.path(name + ".key"), self.path(name + ".csr")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
                     "-subj", f"/CN={name}")
        with open(self.path(name + ".ext"), "w", encoding="ascii") as file:
            file.write(extension + "\n")
        self.openssl("x509", "-req", "-in", request, "-CA", authority[0], "-CAkey", authority[1], "-CAcreateserial",
                     "-days", "2", "-extfile", self.path(name + ".ext"), "-out", cert)
        return cert, key


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Listen(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.registry.repo("a").add(Image([Layer(tar({"a": b"1"}))]), "1")
        self.reference = f"{self.registry.host}/a:1"

    def work(self, client):
        """Pull, list, remove."""
        client.pull(self.reference)
        self.assertEqual(1, len(client.images()))
        client.RemoveImage(image=self.reference)

    def refused(self, *args, **options):
        daemon = Daemon(self.path("refused"), *args, ready=False, **options)
        status = daemon.wait(20)
        self.assertNotEqual(0, status)
        return daemon.log

    def test_unix_and_tcp_at_the_same_time(self):
        port = free_port()
        imaged = self.daemon("--listen", f"tcp://127.0.0.1:{port}", "--grant", "write:anonymous")
        self.work(imaged.client())
        with rpc.Client(f"tcp://127.0.0.1:{port}") as client:
            self.work(client)
        self.assertIn(f"tcp://127.0.0.1:{port}", imaged.log)
        self.assertEqual("0.1.0", rpc.Client(imaged.address).GetVersion().version)
        said = subprocess.run([program("imagectl"), "-H", f"tcp://127.0.0.1:{port}", "images", "-q"], stdout=subprocess.PIPE)
        self.assertEqual((0, b""), (said.returncode, said.stdout))

    def test_directories_of_a_socket_are_made(self):
        """/run is empty after a boot."""
        address = f"unix://{self.path('run', 'of', 'imaged.sock')}"
        self.daemon("--listen", address)
        with rpc.Client(address) as client:
            self.assertEqual("0.1.0", client.GetVersion().version)

    def test_port_zero_is_chosen_and_told(self):
        imaged = self.daemon("--listen", "tcp://127.0.0.1:0", "--grant", "write:anonymous")
        port = int(re.search(r"tcp://127\.0\.0\.1:(\d+)", imaged.log)[1])
        self.assertGreater(port, 0)
        with rpc.Client(f"tcp://127.0.0.1:{port}") as client:
            self.work(client)

    def test_tcp_beyond_loopback_needs_tls(self):
        said = self.refused("--listen", "tcp://0.0.0.0:0")
        self.assertIn("TLS", said.upper())

    def test_address_in_use_is_said(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assertIn(str(port), self.refused("--listen", f"tcp://127.0.0.1:{port}"))

    def test_tls(self):
        made = Certificates(self.path("tls"))
        port = free_port()
        pair = ["--listen", f"tcp://127.0.0.1:{port}", "--tls-cert", made.server[0], "--tls-key", made.server[1]]
        said = self.refused(*pair)
        self.assertIn("tls-client-ca", said)
        self.assertIn("tls-allow-anonymous", said)
        imaged = self.daemon(*pair, "--tls-allow-anonymous", "--grant", "write:anonymous")
        good = grpc.ssl_channel_credentials(read(made.ca[0]))
        with rpc.Client(f"tcp://127.0.0.1:{port}", good) as client:
            self.work(client)
        with rpc.Client(f"tcp://127.0.0.1:{port}") as client, self.assertRaises(grpc.RpcError):
            client.GetVersion(timeout=5)
        other = grpc.ssl_channel_credentials(read(made.path("other.crt")))
        with rpc.Client(f"tcp://127.0.0.1:{port}", other) as client, self.assertRaises(grpc.RpcError):
            client.GetVersion(timeout=5)
        said = imaged.ctl("-H", f"tcp://localhost:{port}", "--tlsverify", "--tlscacert", made.ca[0], "version")
        self.assertIn("0.1.0", said.stdout)
        wrong = imaged.ctl("-H", f"tcp://localhost:{port}", "--tlsverify", "--tlscacert", made.path("other.crt"), "images", check=False)
        self.assertEqual(1, wrong.returncode)
        self.assertRegex(wrong.stderr, "certificate|TLS|handshake|verify")

    def test_client_certificate_is_demanded_when_a_ca_is_given(self):
        made = Certificates(self.path("tls"))
        port = free_port()
        imaged = self.daemon(
            "--listen", f"tcp://127.0.0.1:{port}", "--tls-cert", made.server[0], "--tls-key", made.server[1],
            "--tls-client-ca", made.ca[0], "--grant", "write:cn=client",
        )
        address, ca = f"tcp://127.0.0.1:{port}", read(made.ca[0])
        with rpc.Client(address, grpc.ssl_channel_credentials(ca, read(made.client[1]), read(made.client[0]))) as client:
            self.work(client)
        for credentials in (
            grpc.ssl_channel_credentials(ca),
            grpc.ssl_channel_credentials(ca, read(made.stranger[1]), read(made.stranger[0])),
        ):
            with rpc.Client(address, credentials) as client, self.assertRaises(grpc.RpcError):
                client.GetVersion(timeout=5)
        self.wait_until(lambda: re.search("gRPC.*andshake", imaged.log), "a handshake that is refused is logged")
        flags = ["-H", f"tcp://localhost:{port}", "--tlsverify", "--tlscacert", made.ca[0]]
        said = imaged.ctl(*flags, "--tlscert", made.client[0], "--tlskey", made.client[1], "images")
        self.assertTrue(said.stdout.startswith("REPOSITORY"))
        self.assertEqual(1, imaged.ctl(*flags, "images", check=False).returncode)
        self.assertTrue(self.registry.requests)

    def test_socket_activation(self):
        listener = socket.socket(socket.AF_UNIX)
        address = self.path("activated.sock")
        listener.bind(address)
        listener.listen(16)
        self.addCleanup(listener.close)
        # The shell puts its own pid into LISTEN_PID, as systemd does, and becomes imaged.
        script = f'exec 3<&{listener.fileno()} && export LISTEN_PID=$$ && exec "$@"'
        imaged = self.daemon(
            "--listen", "fd://3", wrapper=["sh", "-c", script, "sh"], pass_fds=[listener.fileno()], env={"LISTEN_FDS": "1"}, listen=False
        )
        with rpc.Client(f"unix://{address}") as client:
            self.work(client)
        self.assertEqual(0, imaged.stop())
        self.assertTrue(os.path.exists(address), "the socket is systemd's")

    def test_readiness_is_told_to_the_service_manager(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(self.path("notify"))
            notify.settimeout(20)
            self.daemon(env={"NOTIFY_SOCKET": self.path("notify")})
            self.assertIn(b"READY=1", notify.recv(4096))

    # -- what clients rely on

    def hold(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        layer = Layer(tar({"b": random_bytes(100000, 3)}))
        self.registry.repo("slow").add(Image([layer]), "1")
        self.registry.fault("GET", layer.blob.digest, gate=gate)
        return f"{self.registry.host}/slow:1", layer

    def test_cancel_reaches_the_work(self):
        reference, layer = self.hold()
        imaged = self.daemon()
        client = imaged.client()
        call = client.Pull(reference=reference)
        next(call)
        self.assertTrue(self.registry.wait_requests(1, layer.blob.digest))
        call.cancel()
        self.wait_idle(client)

    def test_deadline_reaches_the_work(self):
        reference, _ = self.hold()
        client = self.daemon().client()
        with self.assertRaises(grpc.RpcError) as caught:
            list(client.Pull(reference=reference, timeout=1))
        self.assertEqual(grpc.StatusCode.DEADLINE_EXCEEDED, caught.exception.code())
        self.wait_idle(client)

    def test_unknown_method_garbage_and_oversize_are_answered(self):
        imaged = self.daemon()
        raw = rpc.channel(imaged.address)
        for method, data, code in (
            ("/imaged.v1.ImageService/Nope", b"", grpc.StatusCode.UNIMPLEMENTED),
            ("/nobody.Knows/It", b"", grpc.StatusCode.UNIMPLEMENTED),
            ("/imaged.v1.ImageService/InspectImage", b"\xff\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
            ("/imaged.v1.ImageService/InspectImage", b"\0" * (5 << 20), grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            with self.subTest(method=method, size=len(data)), self.assertRaises(grpc.RpcError) as caught:
                raw.unary_unary(method)(data, timeout=20)
            self.assertEqual(code, caught.exception.code())
        raw.close()
        self.assertEqual("0.1.0", imaged.client().GetVersion().version)

    def test_health(self):
        imaged = self.daemon()
        raw = rpc.channel(imaged.address)
        answer = raw.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=10)
        self.assertEqual(b"\x08\x01", answer)
        raw.close()

    def test_unreachable_daemon_is_said_with_its_address(self):
        for address in ("unix:///nowhere/imaged.sock", f"tcp://127.0.0.1:{free_port()}"):
            said = subprocess.run([program("imagectl"), "-H", address, "images"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertEqual((1, ""), (said.returncode, said.stdout))
            self.assertIn(address, said.stderr)
            self.assertEqual(1, len(said.stderr.strip().splitlines()))
