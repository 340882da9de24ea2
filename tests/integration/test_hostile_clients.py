"""Clients that want to exhaust imaged: it stays small, ends what is too much, and
answers everybody else meanwhile."""

import contextlib
import re
import socket
import struct
import threading

import grpc

from harness import TestCase, free_port
from http2 import (
    ACK, CONTINUATION, DATA, EMPTY, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, Http2, block, call, field, frame,
)  # fmt: skip
from pki import CLIENT, Pki

VERSION = "/imaged.v1.ImageService/GetVersion"
MANY = 200
IDLE = 1000
IDLE_BYTES = 20 << 10  # of imaged's memory, each
ROOM = 32 << 20  # what an attack may cost, bytes
FUSE = 128 << 20  # what gRPC may hold for all clients


def anonymous(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read())[1]) << 10


class HostileClients(TestCase):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.imaged = self.daemon("--listen", f"tcp://127.0.0.1:{self.port}", "--grant", "write:anonymous")

    @contextlib.contextmanager
    def meanwhile(self, room=ROOM, interrupted=False):
        """While the block runs somebody else is answered again and again (unless that may be interrupted),
        and imaged stays small."""
        client, over, failed, sizes = self.imaged.client(), threading.Event(), [], []
        client.GetVersion()
        before = anonymous(self.imaged.pid)

        def ask():
            while not over.is_set() and not failed:
                try:
                    client.GetVersion(timeout=30)
                except grpc.RpcError as error:
                    if not interrupted:
                        failed.append(error)
                sizes.append(anonymous(self.imaged.pid))

        asker = threading.Thread(target=ask)
        asker.start()
        try:
            yield
        finally:
            over.set()
            asker.join()
        self.wait_until(self.answered, "a new connection is answered")
        self.assertEqual([], failed)
        self.assertTrue(sizes)
        self.assertLess(max(sizes), before + room)

    def unix(self):
        return Http2.unix(self.imaged.socket)

    def answered(self):
        with self.unix() as one:
            one.start().send(call(1, VERSION))
            return one.ended(1)

    def closed(self, connection):
        """Reads until imaged has closed it."""
        for _ in connection.frames():
            pass

    # -- too slow

    def test_half_a_preface_holds_nobody_up_and_tcp_ends_it(self):
        for begin in (b"", PREFACE[:10], PREFACE):
            with self.subTest(begin=begin), self.meanwhile(), contextlib.ExitStack() as open_ones:
                slow = [open_ones.enter_context(Http2.tcp(self.port)) for _ in range(MANY)]
                for one in slow + [open_ones.enter_context(self.unix()) for _ in range(MANY)]:
                    one.send(begin)
                for one in slow:
                    self.closed(one)

    def test_half_a_tls_handshake_is_ended(self):
        pki, port = Pki(self.path("pki")), free_port()
        ca = pki.authority("ca")
        server = pki.issue("server", ca)
        self.imaged = self.daemon(
            "--listen", f"tcp://127.0.0.1:{port}", "--tls-cert", server[0], "--tls-key", server[1], "--tls-client-ca", ca[0], "--grant", "write:certificate", name="tls",
        )
        with self.meanwhile(), contextlib.ExitStack() as open_ones:
            slow = [open_ones.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(MANY)]
            for number, one in enumerate(slow):
                one.sendall(b"\x16\x03\x01\x02\x00\x01\x00"[: number % 8])
            for one in slow:
                with contextlib.suppress(ConnectionResetError):
                    while one.recv(4096):
                        pass
        with Http2.tls(port, ca[0], pki.issue("alice", ca, CLIENT)) as good:
            good.start().send(call(1, VERSION))
            self.assertTrue(good.ended(1))

    def test_half_a_request_holds_nobody_up(self):
        with self.meanwhile(), contextlib.ExitStack() as open_ones:
            for number in range(MANY):
                one = open_ones.enter_context(self.unix()).start()
                one.send(frame(HEADERS, END_HEADERS if number % 2 else 0, 1, block(VERSION)))
                one.send(frame(DATA, 0, 1, EMPTY[:3]) if number % 2 else b"")

    def test_connection_that_is_closed_half_way_is_given_up(self):
        with self.meanwhile():
            for _ in range(MANY):
                with self.unix() as one:
                    one.start().send(frame(HEADERS, END_HEADERS, 1, block(VERSION)))
                    one.sock.shutdown(socket.SHUT_WR)
                    self.closed(one)

    # -- too much

    def test_headers_that_are_too_large_are_refused(self):
        more = [(b"x-%d" % number, b"v" * 100) for number in range(150)]
        with self.meanwhile(), self.unix() as one:
            one.start()
            whole = block(VERSION, *more)
            one.send(frame(HEADERS, 0, 1, whole[:16000]) + frame(CONTINUATION, END_HEADERS, 1, whole[16000:]))
            one.send(frame(DATA, END_STREAM, 1, EMPTY))
            said = b"".join(payload for kind, _, stream, payload in self.until_end(one, 1) if stream == 1)
            self.assertIn(b"8", said)

    def until_end(self, connection, stream):
        for kind, flags, which, payload in connection.frames():
            yield kind, flags, which, payload
            if which == stream and (kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM)):
                return

    def test_streams_beyond_the_limit_are_not_served(self):
        with self.meanwhile(), self.unix() as one:
            one.start().send(b"".join(frame(HEADERS, END_HEADERS, 2 * n + 1, block(VERSION)) for n in range(1000)))

    def test_floods_of_frames_cost_nothing(self):
        for name, flood in (
            ("ping", frame(PING, 0, 0, b"12345678")),
            ("settings", frame(SETTINGS, 0, 0)),
            ("settings of a value", frame(SETTINGS, 0, 0, b"\0\x04\0\0\xff\xff")),
            ("acknowledgements", frame(PING, ACK, 0, b"12345678")),
            ("resets of nothing", frame(RST_STREAM, 0, 1, b"\0\0\0\x08")),
        ):
            with self.subTest(flood=name), self.meanwhile(), self.unix() as one:
                self.flood(one.start(), [flood * 1000] * 500)

    def flood(self, connection, pieces):
        """Sends them, as long as imaged takes them."""
        connection.sock.settimeout(2)  # imaged stops to read who does not read
        with contextlib.suppress(TimeoutError):
            for piece in pieces:
                if not connection.send(piece):
                    break

    def test_calls_that_are_reset_at_once_do_not_pile_up(self):
        def calls(first):
            for number in range(first, first + 500):
                stream = 2 * number + 1
                yield frame(HEADERS, END_HEADERS, stream, block(VERSION)) + frame(RST_STREAM, 0, stream, b"\0\0\0\x08")

        # Until somebody steps in for the poller they pile up; another of this user's calls may meet their limit.
        with self.meanwhile(2 * FUSE, interrupted=True), self.unix() as one:
            one.start()
            self.flood(one, (b"".join(calls(first)) for first in range(0, 30000, 500)))

    # One that is let in can blow the fuse, which may end a call of somebody else, too.

    def test_a_message_without_an_end_is_ended(self):
        piece, window, answers = b"x" * 16384, {0: 65535, 1: 65535}, []

        def learn(kind, flags, stream, payload):
            if kind == WINDOW_UPDATE:
                window[stream] += int.from_bytes(payload, "big")
            elif kind == SETTINGS and not flags & ACK:
                values = dict(struct.iter_unpack(">HI", payload))
                window[1] += values.get(4, 65535) - 65535
            elif kind == RST_STREAM:
                answers.append(stream)

        with self.meanwhile(FUSE + ROOM, interrupted=True), self.unix() as one:
            frames = one.start().frames()
            one.send(frame(HEADERS, END_HEADERS, 1, block(VERSION)) + frame(DATA, 0, 1, b"\0\xf0\0\0\0"))
            sent = 5
            while not answers and sent < 4 * FUSE:
                while not answers and min(window.values()) - sent < len(piece):
                    learn(*next(frames, (RST_STREAM, 0, 1, b"")))  # closed is ended, too
                one.send(frame(DATA, 0, 1, piece))
                sent += len(piece)
            self.assertEqual([1], answers)

    def test_headers_without_an_end_are_not_all_kept(self):
        more = b"".join(field(b"x-%d" % number, b"v" * 100) for number in range(140))
        with self.meanwhile(8 * FUSE, interrupted=True), self.unix() as one:
            one.start().send(frame(HEADERS, 0, 1, block(VERSION)))
            self.flood(one, (frame(CONTINUATION, 0, 1, more) for _ in range(8 * FUSE // len(more))))

    # -- too many

    def test_a_thousand_idle_connections(self):
        def used():
            one = self.unix().start()
            one.send(call(1, VERSION))
            self.assertTrue(one.ended(1))
            return one

        with contextlib.ExitStack() as open_ones:
            for _ in range(20):  # what the first ones cost
                open_ones.enter_context(used())
            before = anonymous(self.imaged.pid)
            for _ in range(IDLE):
                open_ones.enter_context(used())
            self.assertLess(anonymous(self.imaged.pid) - before, IDLE * IDLE_BYTES)
            self.imaged.client().GetVersion()
