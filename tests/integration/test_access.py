"""Who may call what: every method by every kind of caller, over unix sockets, TLS and plain TCP;
what is written down of it, and how much one client may have at once."""

import json
import os
import re
import subprocess
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import criclient
import rpc
from fakeregistry import FakeRegistry
from harness import Daemon, TestCase, free_port
from ociimage import Image, Layer, random_bytes, tar
from pki import CLIENT, Pki
from relay import Relay
from rpc import pb

ROLES = ("none", "read", "write", "admin")
ROLE = rpc._MODULES["imaged/v1/options.proto"].role
WATCHES = {"WatchEvents", "WatchTransfers", "Watch"}  # they have no end
WATCH_SECONDS = 5

# What each role may call beyond those before it.
METHODS = {
    "none": ["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"],
    "read": [
        *(f"imaged.v1.ImageService/{name}" for name in (
            "ListImages InspectImage DiffImages GetHistory Search ListTags InspectRemote ListReferrers ExplainHost WatchTransfers Save "
            "ListBuilds GetBuildLog ListBuildCache ExportTree ListMounts CheckAuth GetDiskUsage WatchEvents GetVersion GetInfo"
        ).split()),
        *(f"runtime.v1.ImageService/{name}" for name in "ListImages StreamImages ImageStatus ImageFsInfo".split()),
        *(f"runtime.v1.RuntimeService/{name}" for name in "Version Status ListContainers ListPodSandbox RuntimeConfig".split()),
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
    "write": [
        *(f"imaged.v1.ImageService/{name}" for name in (
            "TagImage PinImage RemoveImage Pull Push Copy PutManifest Load Import Build RemoveBuilds").split()),
        "runtime.v1.ImageService/PullImage",
        "runtime.v1.ImageService/RemoveImage",
    ],
    "admin": [
        *(f"imaged.v1.ImageService/{name}" for name in "PruneImages PruneBuildCache MountImage UnmountImage CheckStore".split()),
    ],
}  # fmt: skip


def standard_files():
    """The files of health and reflection, which hold no roles."""
    names = ["grpc/health/v1/health.proto", "grpc/reflection/v1/reflection.proto", "grpc/reflection/v1alpha/reflection.proto"]
    done = subprocess.run(["protoc", "-I", rpc.PROTO, "--descriptor_set_out=/dev/stdout", *names], check=True, stdout=subprocess.PIPE)
    return descriptor_pb2.FileDescriptorSet.FromString(done.stdout).file


STANDARD = standard_files()


def kinds():
    """Path of each method: (the client streams, the server streams)."""
    files = list(STANDARD)
    for service in (rpc.SERVICE, *criclient.SERVICES):
        files.append(descriptor_pb2.FileDescriptorProto.FromString(service.file.serialized_pb))
    return {
        f"{file.package}.{service.name}/{method.name}": (method.client_streaming, method.server_streaming)
        for file in files for service in file.service for method in service.method
    }  # fmt: skip


KINDS = kinds()
# Empty would be Docker Hub.
REQUESTS = {"imaged.v1.ImageService/CheckAuth": pb.CheckAuthRequest(server_address="127.0.0.1:1").SerializeToString()}


def outcome(channel, path):
    """The status of a call with an empty request."""
    client_streams, server_streams = KINDS[path]
    request = REQUESTS.get(path, b"")
    make = getattr(channel, f"{'stream' if client_streams else 'unary'}_{'stream' if server_streams else 'unary'}")
    try:
        timeout = WATCH_SECONDS if path.split("/")[1] in WATCHES else 60
        answer = make("/" + path)(iter([request]) if client_streams else request, timeout=timeout)
        if server_streams:
            list(answer)
    except grpc.RpcError as error:
        return error.code().name, rpc.reason(error)
    return "OK", ""


def seen_role(channel):
    """The role that the calls which are let in make, and those that do not fit it."""
    with ThreadPoolExecutor(32) as pool:
        outcomes = dict(zip(KINDS, pool.map(lambda path: outcome(channel, path), KINDS)))
    allowed = {path for path, (_, reason) in outcomes.items() if reason != "ROLE_REQUIRED"}
    denied = {code for code, reason in outcomes.values() if reason == "ROLE_REQUIRED"}
    assert denied <= {"PERMISSION_DENIED"}, denied
    assert "UNAVAILABLE" not in {outcomes[path][0] for path in METHODS["none"]}, outcomes
    expected = set()
    for role in ROLES:
        expected |= set(METHODS[role])
        if allowed == expected:
            return role
    return f"no role allows {sorted(allowed)}"


class Table(TestCase):
    """One row for each caller. Methods are all tried, with requests that are empty."""

    def role_of(self, address, credentials=None):
        channel = rpc.channel(address, credentials)
        try:
            return seen_role(channel)
        finally:
            channel.close()

    @unittest.skipUnless(os.geteuid() == 0, "other users need root")
    def test_unix_sockets_by_user_and_group(self):
        imaged = self.daemon("--grant", "admin:uid=root", "--grant", "write:uid=41001", "--grant", "read: gid=41777")
        self.open_to_all(imaged)
        many = [*range(42000, 42090), 41777]
        rows = (
            ("write", 41001, 41001, ()),
            ("write", 41001, 41777, ()),  # the higher one counts
            ("read", 41002, 41777, ()),
            ("read", 41003, 41003, (41777,)),
            ("read", 41004, 41004, many),
            ("none", 41005, 41005, (41001,)),  # a user's number is no group's
        )
        self.assertEqual("admin", self.role_of(imaged.address))
        for n, (role, uid, gid, groups) in enumerate(rows):
            os.mkdir(self.path(str(n)))
            with self.subTest(uid=uid, gid=gid, groups=len(groups)), Relay(self.path(str(n)), imaged.socket, uid, gid, groups) as relay:
                self.assertEqual(role, self.role_of(relay.address))

    @unittest.skipUnless(os.geteuid() == 0, "other users need root")
    def test_unix_sockets_without_a_grant_are_for_whoever_may_open_them(self):
        imaged = self.daemon("--grant", "read:cn=somebody")  # speaks of TCP only
        self.open_to_all(imaged)
        with Relay(self.dir, imaged.socket, 41001, 41001) as relay:
            self.assertEqual("admin", self.role_of(relay.address))

    def open_to_all(self, imaged):
        os.chmod(self.dir, 0o755)
        os.chmod(imaged.socket, 0o666)

    def test_certificates_by_their_names(self):
        pki = Pki(self.path("pki"))
        ca, other = pki.authority("ca"), pki.authority("other")
        grants = (
            "write:cn=writer", "read:cn=viewer-*", "write:spiffe=spiffe://cluster.example/ns/*/sa/builder", "read:dns=*.read.example",
            "admin:email=ops@example.org", "read:ip=192.0.2.7", "write:uri=https://id.example/*",
        )  # fmt: skip
        address = self.tls(pki, ca, grants)
        rows = (
            ("write", "writer", CLIENT),
            ("none", "writer2", CLIENT),
            ("read", "viewer-1", CLIENT),
            ("none", "viewer-", CLIENT),
            ("none", "viewer-1.elsewhere.example", CLIENT),
            ("write", "a", "subjectAltName=URI:spiffe://cluster.example/ns/dev/sa/builder"),
            ("none", "b", "subjectAltName=URI:spiffe://cluster.example/ns/dev/x/sa/builder"),
            ("none", "c", "subjectAltName=URI:spiffe://other.example/ns/dev/sa/builder"),
            ("read", "d", "subjectAltName=DNS:one.read.example"),
            ("read", "e", "subjectAltName=DNS:elsewhere.example,DNS:ONE.Read.example"),
            ("none", "f", "subjectAltName=DNS:one.two.read.example"),
            ("none", "one.read.example", CLIENT),  # a common name is no DNS name
            ("admin", "g", "subjectAltName=email:ops@example.org"),
            ("read", "h", "subjectAltName=IP:192.0.2.7"),
            ("write", "i", "subjectAltName=URI:https://id.example/7"),
            ("none", "j", "subjectAltName=DNS:writer"),
        )
        shown = [self.shown(ca, pki.issue(name, ca, extension)) for _, name, extension in rows]
        with ThreadPoolExecutor(len(rows)) as pool:
            found = list(pool.map(lambda credentials: self.role_of(address, credentials), shown))
        for (role, name, extension), seen in zip(rows, found):
            with self.subTest(name=name, extension=extension):
                self.assertEqual(role, seen)
        for why, pair in (
            ("no certificate", (None, None)),
            ("expired", pki.issue("writer", ca, CLIENT, days=-1)),
            ("of another authority", pki.issue("writer", other, CLIENT)),
        ):
            with self.subTest(why=why):
                channel = rpc.channel(address, self.shown(ca, pair))
                self.assertEqual("UNAVAILABLE", outcome(channel, "grpc.health.v1.Health/Check")[0])
                channel.close()

    def tls(self, pki, ca, grants, *flags):
        server, address = pki.issue("server", ca), f"tcp://127.0.0.1:{free_port()}"
        flags = flags or ("--tls-client-ca", ca[0])
        listed = [flag for grant in grants for flag in ("--grant", grant)]
        self.imaged = self.daemon("--listen", address, "--tls-cert", server[0], "--tls-key", server[1], *flags, *listed)
        return address

    @staticmethod
    def shown(ca, pair=(None, None)):
        texts = []
        for name in (ca[0], pair[1], pair[0]):
            if name is None:
                texts.append(None)
                continue
            with open(name, "rb") as file:
                texts.append(file.read())
        return grpc.ssl_channel_credentials(*texts)

    def test_any_certificate_may_be_granted_to(self):
        pki = Pki(self.path("pki"))
        ca = pki.authority("ca")
        address = self.tls(pki, ca, ["write:certificate", "admin:anonymous"])
        self.assertEqual("write", self.role_of(address, self.shown(ca, pki.issue("x", ca, CLIENT))))

    def test_tls_without_certificates_is_for_what_is_granted_to_anonymous(self):
        pki = Pki(self.path("pki"))
        ca = pki.authority("ca")
        address = self.tls(pki, ca, ["read:anonymous", "admin:certificate"], "--tls-allow-anonymous")
        self.assertEqual("read", self.role_of(address, self.shown(ca)))
        # Nobody asked for it, so nobody has verified it.
        self.assertEqual("read", self.role_of(address, self.shown(ca, pki.issue("x", ca, CLIENT))))

    def test_tcp_is_closed_until_somebody_is_granted_to(self):
        address = f"tcp://127.0.0.1:{free_port()}"
        imaged = self.daemon("--listen", address)
        self.assertEqual("none", self.role_of(address))
        self.assertEqual("admin", self.role_of(imaged.address))
        self.assertRegex(imaged.log, rf"(?i)warn.*no grant lets anybody in over {address}")
        imaged = self.daemon("--listen", address[:-5] + str(free_port()).zfill(5), "--grant", "admin:anonymous", name="open")
        self.assertEqual("admin", self.role_of(re.search(r"tcp://\S+", imaged.log)[0]))
        self.assertNotIn("no grant", imaged.log)


class Words(TestCase):
    def test_a_refusal_says_who_what_and_how(self):
        address = f"tcp://127.0.0.1:{free_port()}"
        imaged = self.daemon("--listen", address, "--grant", "read:anonymous", "--grant", f"write:uid={os.geteuid()}")
        with rpc.Client(address) as client:
            self.assert_rpc_fails(
                "PERMISSION_DENIED", "ROLE_REQUIRED", client.Pull, reference="x",
                text=r'^ipv4:127\.0\.0\.1:\d+ has the role read here, and imaged\.v1\.ImageService/Pull needs write: '
                     r'the grant "write:anonymous" in imaged\'s configuration would allow it$',
            )  # fmt: skip
        said = imaged.ctl("image", "prune", "-f", check=False)
        self.assertEqual((1, ""), (said.returncode, said.stdout))
        self.assertRegex(said.stderr, rf'uid={os.geteuid()},.* has the role write .*PruneImages needs admin: the grant "admin:uid={os.geteuid()}"')
        self.assertEqual(0, imaged.ctl("images").returncode)

    def test_grants_that_cannot_be_meant_end_the_start(self):
        for n, (grant, text) in enumerate((
            ("", "ROLE:WHO"), ("root:unix", "read, write or admin"), ("none:unix", "read, write or admin"), ("read", "who that is"),
            ("read:", "who that is"), ("read:nobody=1", "who that is"), ("read:uid", "uid=SOMETHING"), ("read:uid=", "uid=SOMETHING"),
            ("read:unix=1", "without a value"), ("read:anonymous=", "without a value"), ("read:uid=no-such-user", "no user 'no-such-user'"),
            ("read:gid=no-such-group", "no group 'no-such-group'"), ("read:uid=-1", "no user"), ("read:uid=4294967295", "no user"),
            ("read:uid=99999999999999999999", "no user"),
        )):  # fmt: skip
            with self.subTest(grant=grant):
                refused = Daemon(self.path(str(n)), "--grant", grant, ready=False)
                self.assertNotEqual(0, refused.wait(20))
                self.assertIn(f"grant '{grant}'", refused.log)
                self.assertIn(text, refused.log)

    def test_the_file_has_them_too(self):
        with open(self.path("imaged.toml"), "w", encoding="utf-8") as file:
            file.write('grant = ["read:unix"]\n')
        client = self.daemon("--config", self.path("imaged.toml")).client()
        self.assertEqual([], list(client.ListImages().images))
        self.assert_rpc_fails("PERMISSION_DENIED", "ROLE_REQUIRED", client.RemoveImage, image="x")


class Scan(TestCase):
    def test_every_method_that_is_served_has_a_role(self):
        """As reflection tells: what is served, and the options of it."""
        pool = descriptor_pool.DescriptorPool()
        for file in STANDARD:
            pool.Add(file)
        package = "grpc.reflection.v1.ServerReflection"
        factory = message_factory.MessageFactory(pool)
        request, response = (factory.GetPrototype(pool.FindMessageTypeByName(package + kind)) for kind in ("Request", "Response"))
        channel = rpc.channel(self.daemon().address)
        self.addCleanup(channel.close)
        ask = channel.stream_stream(f"/{package}/ServerReflectionInfo", lambda m: m.SerializeToString(), response.FromString)
        services = [s.name for s in next(ask(iter([request(list_services="")]))).list_services_response.service]
        standard = {f"{file.package}.{service.name}" for file in STANDARD for service in file.service}
        found = {}
        for service in services:
            answer = next(ask(iter([request(file_containing_symbol=service)])))
            file = descriptor_pb2.FileDescriptorProto.FromString(answer.file_descriptor_response.file_descriptor_proto[0])
            for one in file.service:
                for method in one.method:
                    path = f"{file.package}.{one.name}/{method.name}"
                    found[path] = None if service in standard else method.options.Extensions[ROLE]
        self.assertEqual({path for paths in METHODS.values() for path in paths}, set(found))
        told = {path: role for path, role in found.items() if role is not None}
        self.assertEqual({path: role for role, paths in METHODS.items() for path in paths if path in told}, told)


class Audit(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.registry.repo("a").add(Image([Layer(tar({"a": b"1"}))]), "1")
        self.reference = f"{self.registry.host}/a:1"

    def test_each_call_that_may_change_something_leaves_one_line(self):
        imaged = self.daemon()
        client = imaged.client()
        secret = "pa55-for-nobody"
        client.pull(self.reference, credentials={"username": "u", "password": secret})
        client.ListImages()
        client.TagImage(source=self.reference, target="x:1")
        self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_REFERENCE", client.RemoveImage, image="nothing\nhere")
        tree = pb.ImportRequest(start=pb.ImportStart(reference="tree:1")), pb.ImportRequest(data=tar({"f": b"1"}))
        list(client.Import(request=iter(tree)))
        client.PruneImages()
        self.assertEqual(0, imaged.stop())
        lines = [line for line in imaged.log.splitlines() if " audit: " in line]
        me = rf"by unix:uid={os.geteuid()},gid={os.getegid()},pid={os.getpid()}"
        expected = (
            ("Pull", self.reference, "OK"), ("TagImage", f"{self.reference},x:1", "OK"), ("RemoveImage", r"nothing\\x0ahere", "INVALID_REFERENCE"),
            ("Import", "tree:1", "OK"), ("PruneImages", "-", "OK"),
        )  # fmt: skip
        self.assertEqual(len(expected), len(lines), lines)
        for line, (method, target, code) in zip(lines, expected):
            self.assertRegex(line, rf" info  audit: /imaged\.v1\.ImageService/{method} {me}, target {target}, {code} after \d+ ms")
        self.assertNotIn(secret, imaged.log)

    def test_as_json_it_has_members_and_the_id_of_its_call(self):
        imaged = self.daemon("--log-format", "json", "--grant", "write:unix")
        client = imaged.client()
        self.assert_rpc_fails("NOT_FOUND", "NO_SUCH_IMAGE", client.PinImage, image="x:1", metadata=[("x-request-id", "pin-1")])
        self.assert_rpc_fails("PERMISSION_DENIED", "ROLE_REQUIRED", client.PruneImages, metadata=[("x-request-id", "prune-1")])
        self.assertEqual(0, imaged.stop())
        lines = [json.loads(line) for line in imaged.log.splitlines() if '"msg":"audit: ' in line]
        me = f"unix:uid={os.geteuid()},gid={os.getegid()},pid={os.getpid()}"
        names = ("request_id", "method", "peer", "role", "target", "code", "reason")
        self.assertEqual(
            [
                ("pin-1", "/imaged.v1.ImageService/PinImage", me, "write", "x:1", "NOT_FOUND", "NO_SUCH_IMAGE"),
                ("prune-1", "/imaged.v1.ImageService/PruneImages", me, "admin", "-", "PERMISSION_DENIED", "ROLE_REQUIRED"),
            ],
            [tuple(line[name] for name in names) for line in lines],
        )
        self.assertTrue(all(line["duration_us"] > 0 for line in lines), lines)

    def test_a_refused_call_leaves_one_too_and_it_can_be_switched_off(self):
        imaged = self.daemon("--grant", "read:unix")
        self.assert_rpc_fails("PERMISSION_DENIED", "ROLE_REQUIRED", imaged.client().Pull, reference="x")
        self.assertTrue(imaged.wait_log(r" audit: /imaged\.v1\.ImageService/Pull by unix:\S+, target -, ROLE_REQUIRED after"))
        quiet = self.daemon("--no-audit", name="quiet")
        quiet.client().PruneImages()
        self.assertEqual(0, quiet.stop())
        self.assertNotIn("audit", quiet.log)


def chunks(data, size):
    return (data[at : at + size] for at in range(0, len(data), size))


class Limits(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)

    def serve(self, name):
        layer = Layer(tar({"b": random_bytes(100000, len(name))}))
        self.registry.repo(name).add(Image([layer]), "1")
        self.registry.fault("GET", layer.blob.digest, gate=self.gate)
        return f"{self.registry.host}/{name}:1"

    def assert_limited(self, call, text, **fields):
        error = self.assert_rpc_fails("RESOURCE_EXHAUSTED", "CLIENT_LIMIT", call, text=text, **fields)
        self.assertEqual(1, rpc.details(error)[1])

    def test_pulls(self):
        imaged = self.daemon("--client-transfers", "2")
        client, other = imaged.client(), imaged.client()  # two connections, one client
        pulls = [one.Pull(reference=self.serve(name)) for one, name in ((client, "a"), (other, "aa"))]
        for pull in pulls:
            next(pull)
        text = rf"client uid={os.geteuid()} may have 2 pulls, pushes and copies at once"
        self.assert_limited(client.Pull, text, reference=self.serve("aaa"))
        self.assert_limited(other.Push, text, reference="x")
        client.ListImages()
        self.gate.set()
        for pull in pulls:
            list(pull)
        client.pull(f"{self.registry.host}/aaa:1")

    def test_calls(self):
        imaged = self.daemon("--client-calls", "3")
        client = imaged.client()
        watches = [client.WatchTransfers() for _ in range(3)]
        for watch in watches:
            next(watch)
        self.assert_limited(imaged.client().ListImages, r"may have 3 calls at once")
        watches[0].cancel()
        self.wait_until(lambda: outcome(client.channel, "imaged.v1.ImageService/ListImages")[0] == "OK", "a call that ends makes room")
        for watch in watches:
            watch.cancel()

    @unittest.skipUnless(os.geteuid() == 0, "other users need root")
    def test_of_one_user_are_not_those_of_another(self):
        imaged = self.daemon("--client-calls", "1")
        os.chmod(self.dir, 0o755)
        os.chmod(imaged.socket, 0o666)
        watch = imaged.client().WatchTransfers()
        next(watch)
        self.assert_limited(imaged.client().ListImages, "calls")
        with Relay(self.dir, imaged.socket, 41001, 41001) as relay, rpc.Client(relay.address) as client:
            client.ListImages()
        watch.cancel()

    def test_bytes(self):
        client = self.daemon("--client-bytes", "3MB").client()
        text = rf"may have {3 << 20} bytes of messages on their way at once"
        self.assert_limited(client.InspectImage, text, image="x" * (3 << 20))
        start, large = pb.ImportRequest(start=pb.ImportStart(reference="t:1")), 8 << 20
        self.assert_limited(client.Import, text, request=iter([start, pb.ImportRequest(data=bytes(3 << 20))]))
        # What is dealt with counts no longer: in all it is more than the limit.
        pieces = [pb.ImportRequest(data=piece) for piece in chunks(tar({"f": random_bytes(large, 1)}), 512 << 10)]
        list(client.Import(request=iter([start, *pieces])))
        self.assertGreater(sum(len(answer.data) for answer in client.Save(images=["t:1"])), large)
        self.assert_rpc_fails("NOT_FOUND", "NO_SUCH_IMAGE", client.InspectImage, image="x")

    def test_values_that_are_none_end_the_start(self):
        for n, (flag, value) in enumerate((
            ("--client-calls", "0"), ("--client-calls", "-1"), ("--client-calls", "x"), ("--client-calls", "4294967296"),
            ("--client-transfers", "0"), ("--client-bytes", "0"), ("--client-bytes", "much"),
        )):  # fmt: skip
            with self.subTest(flag=flag, value=value):
                refused = Daemon(self.path(str(n)), flag, value, ready=False)
                self.assertNotEqual(0, refused.wait(20))
                self.assertIn(flag[2:], refused.log)
