"""gRPC's own view of imaged (grpc.channelz.v1), asked by a client that is made of the .proto file alone."""

import os
import subprocess
import unittest

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import rpc
from harness import TestCase, free_port
from pki import CLIENT, Pki


def load():
    """A pool of its own: as Python modules the files would hide the package grpc."""
    names = ["grpc/channelz/v1/channelz.proto", "grpc/reflection/v1/reflection.proto"]
    command = ["protoc", "-I", rpc.PROTO, "-I", "/usr/include", "--include_imports", "--descriptor_set_out=/dev/stdout", *names]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(done.stdout).file:
        pool.Add(file)
    return pool, message_factory.MessageFactory(pool)


POOL, FACTORY = load()
SERVICE = POOL.FindServiceByName("grpc.channelz.v1.Channelz")


def stub(channel, method):
    request, response = FACTORY.GetPrototype(method.input_type), FACTORY.GetPrototype(method.output_type)
    call = channel.unary_unary(f"/{SERVICE.full_name}/{method.name}", lambda m: m.SerializeToString(), response.FromString)
    return lambda **fields: call(request(**fields), timeout=60)


class Channelz:
    def __init__(self, address, credentials=None):
        self.channel = rpc.channel(address, credentials)
        for method in SERVICE.methods:
            setattr(self, method.name, stub(self.channel, method))

    def server(self):
        (server,) = self.GetServers().server
        return server

    def sockets(self, **fields):
        return self.GetServerSockets(server_id=self.server().ref.server_id, **fields)


class ChannelzTest(TestCase):
    def open(self, address, credentials=None):
        client = Channelz(address, credentials)
        self.addCleanup(client.channel.close)
        return client

    def services(self, address):
        kinds = (FACTORY.GetPrototype(POOL.FindMessageTypeByName(f"grpc.reflection.v1.ServerReflection{kind}")) for kind in ("Request", "Response"))
        request, response = kinds
        with rpc.channel(address) as channel:
            ask = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", lambda m: m.SerializeToString(), response.FromString)
            return {s.name for s in next(ask(iter([request(list_services="")]))).list_services_response.service}

    def test_without_the_flag_there_is_none(self):
        imaged = self.daemon()
        client = self.open(imaged.address)
        self.assertNotIn(SERVICE.full_name, self.services(imaged.address))
        for method in SERVICE.methods:
            self.assert_rpc_fails("UNIMPLEMENTED", None, getattr(client, method.name))

    def test_the_server_counts_calls(self):
        imaged = self.daemon("--channelz")
        self.assertIn(SERVICE.full_name, self.services(imaged.address))
        client, other = self.open(imaged.address), imaged.client()
        before = client.server()
        for _ in range(5):
            other.GetVersion()
        for _ in range(3):
            self.assert_rpc_fails("NOT_FOUND", None, other.InspectImage, image="none")
        after = client.GetServer(server_id=before.ref.server_id).server
        self.assertEqual(9, after.data.calls_started - before.data.calls_started)
        # A client may know how its call has ended before it is counted.
        self.wait_until(lambda: client.server().data.calls_succeeded - before.data.calls_succeeded >= 6, "calls that went well are counted")
        self.wait_until(lambda: client.server().data.calls_failed - before.data.calls_failed == 3, "calls that failed are counted")
        self.assertGreaterEqual(after.data.last_call_started_timestamp.ToNanoseconds(), before.data.last_call_started_timestamp.ToNanoseconds())
        self.assertEqual(["Server created"], [event.description for event in after.data.trace.events])
        top = client.GetTopChannels()
        self.assertEqual((0, True), (len(top.channel), top.end))

    def test_connections_of_every_kind_are_listed(self):
        pki, port = Pki(self.path("pki")), free_port()
        ca = pki.authority("ca")
        cert, key = pki.issue("server", ca)
        credentials = grpc.ssl_channel_credentials(*(open(name, "rb").read() for name in (ca[0], *reversed(pki.issue("x", ca, CLIENT)))))
        imaged = self.daemon("--channelz", "--listen", f"tcp://127.0.0.1:{port}", "--tls-cert", cert, "--tls-key", key,
                             "--tls-client-ca", ca[0], "--grant", "admin:certificate", "--grant", "admin:unix")  # fmt: skip
        unix, tls = self.open(imaged.address), self.open(f"tcp://127.0.0.1:{port}", credentials)
        (listening,) = tls.server().listen_socket
        self.assertEqual(port, unix.GetSocket(socket_id=listening.socket_id).socket.local.tcpip_address.port)
        listed = unix.sockets()
        self.assertTrue(listed.end)
        found = {}
        for ref in listed.socket_ref:
            socket = tls.GetSocket(socket_id=ref.socket_id).socket
            self.assertEqual(ref, socket.ref)
            found[socket.local.WhichOneof("address")] = socket
        self.assertEqual({"uds_address", "tcpip_address"}, set(found))
        self.assertEqual(2, len(listed.socket_ref))
        self.assertEqual(imaged.address.removeprefix("unix://"), found["uds_address"].local.uds_address.filename)
        self.assertEqual((b"\x7f\0\0\1", port), (found["tcpip_address"].local.tcpip_address.ip_address, found["tcpip_address"].local.tcpip_address.port))
        self.assertEqual(b"\x7f\0\0\1", found["tcpip_address"].remote.tcpip_address.ip_address)
        self.assertIn(b"BEGIN CERTIFICATE", found["tcpip_address"].security.tls.remote_certificate)

    def test_connections_count_their_messages(self):
        client = self.open(self.daemon("--channelz").address)
        (ref,) = client.sockets().socket_ref
        before, after = (client.GetSocket(socket_id=ref.socket_id).socket.data for _ in range(2))
        self.assertEqual(1, after.streams_started - before.streams_started)
        self.assertEqual(1, after.messages_received - before.messages_received)
        self.assertEqual(1, after.messages_sent - before.messages_sent)
        self.assertEqual(0, after.streams_failed)

    def test_the_list_of_connections_has_pages_and_forgets_those_that_are_closed(self):
        imaged = self.daemon("--channelz")
        client = self.open(imaged.address)
        others = [rpc.channel(imaged.address, options=[("grpc.dummy", n)]) for n in range(7)]
        for channel in others:
            grpc.channel_ready_future(channel).result(60)
        self.wait_until(lambda: len(client.sockets().socket_ref) == 8, "all connections are listed")
        numbers, page = [], None
        while page is None or not page.end:
            page = client.sockets(start_socket_id=numbers[-1] + 1 if numbers else 0, max_results=3)
            self.assertLessEqual(len(page.socket_ref), 3)
            numbers += [ref.socket_id for ref in page.socket_ref]
        self.assertEqual([ref.socket_id for ref in client.sockets().socket_ref], numbers)
        self.assertEqual(8, len(numbers))
        for channel in others:
            channel.close()
        self.wait_until(lambda: len(client.sockets().socket_ref) == 1, "closed connections are not listed")
        (left,) = client.sockets().socket_ref
        for number in set(numbers) - {left.socket_id}:
            self.assert_rpc_fails("NOT_FOUND", None, client.GetSocket, socket_id=number)
        self.assertEqual(1, len(client.GetServers().server))

    def test_what_is_not_there_is_not_found_and_what_is_no_number_is_invalid(self):
        client = self.open(self.daemon("--channelz").address)
        server = client.server().ref.server_id
        for call, name in ((client.GetServer, "server_id"), (client.GetServerSockets, "server_id"), (client.GetSocket, "socket_id"),
                           (client.GetChannel, "channel_id"), (client.GetSubchannel, "subchannel_id")):  # fmt: skip
            for number in (0, -1, 1 << 40, -(1 << 63), (1 << 63) - 1):
                self.assert_rpc_fails("NOT_FOUND", "NOT_FOUND", call, **{name: number})
        self.assert_rpc_fails("NOT_FOUND", None, client.GetSocket, socket_id=server)
        for fields in ({"start_socket_id": -1}, {"max_results": -1}):
            self.assert_rpc_fails("INVALID_ARGUMENT", None, client.GetServerSockets, server_id=server, **fields)
        for call, start in ((client.GetServers, "start_server_id"), (client.GetTopChannels, "start_channel_id")):
            self.assert_rpc_fails("INVALID_ARGUMENT", None, call, **{start: -1})
            self.assert_rpc_fails("INVALID_ARGUMENT", None, call, max_results=-1)
            self.assertTrue(call(**{start: (1 << 63) - 1}).end)
        self.assertEqual(server, client.server().ref.server_id)

    def test_it_is_for_admins(self):
        client = self.open(self.daemon("--channelz", "--grant", f"write:uid={os.geteuid()}").address)
        for method in SERVICE.methods:
            self.assert_rpc_fails("PERMISSION_DENIED", "ROLE_REQUIRED", getattr(client, method.name))


if __name__ == "__main__":
    unittest.main()
