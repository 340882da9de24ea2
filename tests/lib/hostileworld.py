"""A daemon and the hosts around it, for what must not go wrong.

    class Case(HostileCase):
        def test_x(self):
            registry, storage = self.host(auth="bearer", user=USER, password=PASSWORD), self.host()
            ...
            self.assert_refused(f"{registry.host}/a:1", "PERMISSION_DENIED", "denied", credentials=...)
            self.assert_no_credential_at(storage)

All hosts run in this process and write down every request that reaches them.
"""

import base64
import contextlib
import os
import re
import socket
from urllib.parse import quote

import grpc

from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import Image, Layer, tar
from rpc import reason

USER, PASSWORD = "somebody", "t0p:s3cret phrase"


def outward_address():
    """An address of this machine that is not loopback, or None."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.254", 9))  # sends nothing
        address = probe.getsockname()[0]
        return None if address.startswith(("127.", "0.", "169.254.")) else address
    return None


def loopback_name():
    """A name of this machine that only DNS (or /etc/hosts) shows to be loopback."""
    with contextlib.suppress(OSError), open("/etc/hosts", encoding="utf-8") as file:
        for line in file:
            words = line.split("#")[0].split()
            if words and words[0] == "127.0.0.1":
                for name in words[1:]:
                    if not name.endswith("localhost") and "." not in name:
                        return name
    return None


def image(text=b"hello"):
    return Image([Layer(tar({"etc/motd": text}))])


class HostileCase(TestCase):
    def setUp(self):
        super().setUp()
        self.hosts = []
        self.imaged = self.start_daemon()
        self.client = self.imaged.client()
        self.before = self.kept()

    def start_daemon(self):
        return self.daemon("--log-level", "debug")

    def host(self, **options):
        made = FakeRegistry(**options).__enter__()
        self.addCleanup(made.stop)
        self.hosts.append(made)
        return made

    def outward_host(self, **options):
        """A host that is not loopback, to be listed as insecure; skips where there is none."""
        address = outward_address()
        if not address:
            self.skipTest("this machine has no address but loopback")
        return self.host(address=address, **options)

    def credentials(self, registry, **more):
        return {"server_address": registry.host, "username": USER, "password": PASSWORD, **more}

    # -- what is kept

    def kept(self):
        content = os.path.join(self.imaged.root, "content")
        return sorted(name for _, _, names in os.walk(content) for name in names)

    def assert_nothing_kept(self):
        self.assertEqual([], self.client.images())
        self.assertIsNone(self.imaged.process.poll(), "imaged lives")
        findings, _ = self.client.check()
        self.assertEqual([], [f for f in findings if f.kind in (1, 2, 4)])
        self.client.PruneImages(all=True)
        self.assertEqual(self.before, self.kept())

    def assert_refused(self, reference, code, text, **fields):
        """The pull ends with one clear error, and leaves nothing. `code` may be several."""
        with self.assertRaises(grpc.RpcError) as caught:
            self.client.pull(reference, **fields)
        error = caught.exception
        said = f"{error.code().name} {reason(error)}: {error.details()}"
        self.assertIn(error.code().name, (code,) if isinstance(code, str) else code, said)
        self.assertRegex(error.details(), re.compile(text, re.I))
        self.assertNotEqual("", reason(error))
        self.assertLess(len(error.details()), 800)
        self.assertNotIn("\n", error.details().strip())
        self.assert_silent(error.details())
        self.assert_nothing_kept()
        return error

    def assert_listed(self, *names):
        self.assert_clean(self.client, list(names))

    # -- what was told to whom

    def secrets(self):
        plain = f"{USER}:{PASSWORD}".encode()
        known = [PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), base64.b64encode(plain).decode()]
        return known + [token for host in self.hosts for token in host.tokens]

    def assert_silent(self, text):
        for secret in self.secrets():
            self.assertNotIn(secret, text)

    def assert_no_credential_at(self, *hosts):
        for host in hosts:
            for request in host.requests:
                self.assertNotIn("authorization", {name.lower() for name in request.headers}, repr(request))
                self.assert_silent(f"{request.path}\n{request.headers}\n{request.content!r}")

    def assert_log_is_silent(self):
        self.assert_silent(self.imaged.log)
