"""HTTP/2 by hand: frames that no client of gRPC would send, or would send so.

    with Http2.unix(path) as h:
        h.start()
        h.headers(1, "/imaged.v1.ImageService/GetVersion")
        h.data(1, b"\\0\\0\\0\\0\\0", END_STREAM)
        for kind, flags, stream, payload in h.frames(): ...
"""

import socket
import ssl
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EMPTY = b"\0\0\0\0\0"  # a gRPC message without a field


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def field(name, value):
    """Literal, never indexed, no Huffman; of up to 126 bytes each."""
    return b"\x10" + bytes([len(name)]) + name + bytes([len(value)]) + value


def block(path, *more):
    """The header block of a gRPC request."""
    fields = [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", path.encode()), (b":authority", b"localhost"),
        (b"te", b"trailers"), (b"content-type", b"application/grpc"), *more,
    ]  # fmt: skip
    return b"".join(field(name, value) for name, value in fields)


def call(stream, path, message=EMPTY):
    return frame(HEADERS, END_HEADERS, stream, block(path)) + frame(DATA, END_STREAM, stream, message)


class Http2:
    def __init__(self, sock):
        self.sock, self._buffer = sock, b""
        sock.settimeout(60)

    @classmethod
    def unix(cls, path):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        return cls(sock)

    @classmethod
    def tcp(cls, port):
        return cls(socket.create_connection(("127.0.0.1", port)))

    @classmethod
    def tls(cls, port, authority, pair):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authority)
        context.load_cert_chain(*pair)
        context.set_alpn_protocols(["h2"])
        return cls(context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1"))

    def start(self):
        self.send(PREFACE + frame(SETTINGS, 0, 0))
        return self

    def send(self, data):
        """False when the other side has closed the connection."""
        try:
            self.sock.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def frames(self):
        """What comes, until the connection is closed."""
        while (head := self._take(9)) is not None:
            payload = self._take(int.from_bytes(head[:3], "big"))
            if payload is None:
                return
            yield head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, payload

    def _take(self, size):
        while len(self._buffer) < size:
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self._buffer += more
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def ended(self, stream):
        """Reads until the stream ended; False when the connection did first."""
        for kind, flags, which, _ in self.frames():
            if which == stream and (kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM)):
                return True
        return False

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
