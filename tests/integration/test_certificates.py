"""Certificates are replaced while imaged runs: who is connected stays, who comes gets
what is there now, and what cannot be served changes nothing."""

import contextlib
import os
import shutil
import socket
import ssl

import grpc

import rpc
from harness import TestCase, free_port
from pki import CLIENT, Pki


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Certificates(TestCase):
    def setUp(self):
        super().setUp()
        self.pki = Pki(self.path("pki"))
        self.ca, self.other = self.pki.authority("ca"), self.pki.authority("other")
        self.first, self.second = self.pki.issue("first", self.ca), self.pki.issue("second", self.ca)
        self.alice = self.pki.issue("alice", self.ca, CLIENT)
        self.live = self.path("live")
        os.mkdir(self.live)
        self.put(self.first)
        self.port = free_port()

    def file(self, name):
        return os.path.join(self.live, name)

    def put(self, pair, authority=None):
        """Over the files that are there: what a careless administrator does."""
        shutil.copyfile(pair[0], self.file("tls.crt"))
        shutil.copyfile(pair[1], self.file("tls.key"))
        shutil.copyfile((authority or self.ca)[0], self.file("ca.crt"))

    def serve(self):
        return self.daemon(
            "--listen", f"tcp://127.0.0.1:{self.port}", "--tls-cert", self.file("tls.crt"),
            "--tls-key", self.file("tls.key"), "--tls-client-ca", self.file("ca.crt"), "--grant", "read:certificate",
        )

    def shown(self):
        """The certificate that a new connection is shown, as DER."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca[0])
        context.set_alpn_protocols(["h2"])
        with socket.create_connection(("127.0.0.1", self.port), 20) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                return secure.getpeercert(True)

    def assert_shown(self, pair):
        self.assertEqual(ssl.PEM_cert_to_DER_cert(read(pair[0]).decode()), self.shown())

    def client(self, pair=None):
        pair = pair or self.alice
        credentials = grpc.ssl_channel_credentials(read(self.ca[0]), read(pair[1]), read(pair[0]))
        made = rpc.Client(f"tcp://127.0.0.1:{self.port}", credentials)
        self.addCleanup(made.close)
        return made

    def test_new_certificate_counts_for_new_connections_and_old_ones_live_on(self):
        imaged = self.serve()
        old = self.client()
        old.GetVersion()
        files = len(os.listdir(f"/proc/{imaged.pid}/fd"))
        self.assert_shown(self.first)
        self.put(self.second)
        self.assert_shown(self.second)
        old.GetVersion()
        self.client().GetVersion()
        self.assertNotIn("TLS", imaged.log)
        self.wait_until(lambda: len(os.listdir(f"/proc/{imaged.pid}/fd")) <= files + 2, "no file stays open")

    def test_what_cannot_be_served_leaves_the_old_in_use_and_is_told_once(self):
        imaged = self.serve()
        expired = self.pki.issue("expired", self.ca, days=-1)
        whole = read(self.second[0])
        chain = whole + read(self.ca[0])
        for name, content, said in (
            ("tls.crt", whole[: len(whole) // 2], "holds no certificate"),
            ("tls.crt", chain[:-100], "in the middle of a certificate"),
            ("tls.crt", b"", "holds no certificate"),
            ("tls.crt", whole, "does not belong to the certificate"),
            ("tls.crt", read(expired[0]), "has expired"),
            ("tls.key", read(self.second[1])[:60], "holds no private key"),
            ("ca.crt", b"nothing", "holds no certificate"),
            ("ca.crt", None, "No such file"),
        ):
            with self.subTest(name=name, said=said):
                self.put(self.first)
                self.assert_shown(self.first)
                begin = len(imaged.log)
                if content is None:
                    os.unlink(self.file(name))
                else:
                    with open(self.file(name), "wb") as file:
                        file.write(content)
                for _ in range(3):
                    self.assert_shown(self.first)
                self.client().GetVersion()
                self.assertTrue(imaged.wait_log(f"{said}.*from before stay in use", begin), imaged.log)
                self.assertEqual(1, imaged.log[begin:].count("from before stay in use"))
                self.assertRegex(imaged.log[begin:], "(?i)warn")
        self.put(self.second)
        self.assert_shown(self.second)

    def test_new_client_authority(self):
        self.serve()
        stranger = self.pki.issue("stranger", self.other, CLIENT)
        old = self.client()
        old.GetVersion()
        with self.assertRaises(grpc.RpcError):
            self.client(stranger).GetVersion(timeout=5)
        self.put(self.first, self.other)
        self.client(stranger).GetVersion()
        with self.assertRaises(grpc.RpcError):
            self.client().GetVersion(timeout=5)
        old.GetVersion()

    def test_symbolic_link_is_swapped_as_kubernetes_does_with_secrets(self):
        """tls.crt -> ..data/tls.crt, ..data -> a directory: one rename replaces all files."""
        for name in os.listdir(self.live):
            os.unlink(self.file(name))
            os.symlink(f"..data/{name}", self.file(name))

        def publish(name, pair):
            os.mkdir(self.file(name))
            for source, target in ((pair[0], "tls.crt"), (pair[1], "tls.key"), (self.ca[0], "ca.crt")):
                shutil.copyfile(source, os.path.join(self.live, name, target))
            os.symlink(name, self.file("..data_tmp"))
            os.rename(self.file("..data_tmp"), self.file("..data"))

        publish("..2026_1", self.first)
        imaged = self.serve()
        self.assert_shown(self.first)
        publish("..2026_2", self.second)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.file("..2026_1"))
        self.assert_shown(self.second)
        self.client().GetVersion()
        self.assertNotIn("TLS", imaged.log)
