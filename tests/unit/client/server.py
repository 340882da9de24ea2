"""The foreign end of the client library's tests: wiretest.Wire on python3-grpcio.

server.py DESCRIPTOR_SET DIRECTORY listens on DIRECTORY/s.sock, and with TLS on
three ports of loopback. It makes its certificates in DIRECTORY with openssl, and
prints "ready TLS MTLS OTHER" (other = what is no gRPC server) once it serves.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from concurrent import futures

os.environ["GRPC_VERBOSITY"] = "NONE"  # refused handshakes are what is tested
import grpc  # noqa: E402
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def load(path):
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as f:
        files.ParseFromString(f.read())
    for file in files.file:
        pool.Add(file)
    return pool, message_factory.MessageFactory(pool)


def openssl(directory, *args):
    subprocess.run(["openssl", *args], cwd=directory, check=True, stderr=subprocess.DEVNULL)


def make_certificates(directory):
    for ca in "ca", "other-ca":
        openssl(directory, "req", "-x509", *EC, "-keyout", f"{ca}.key", "-out", f"{ca}.crt", "-days", "2", "-subj", f"/CN={ca}")
    for name, ca, alt in ("server", "ca", "IP:127.0.0.1"), ("elsewhere", "ca", "DNS:elsewhere.test"), ("alice", "ca", "DNS:alice"), ("mallory", "other-ca", "DNS:mallory"):
        with open(f"{directory}/{name}.ext", "w") as f:
            f.write(f"subjectAltName={alt}")
        openssl(directory, "req", *EC, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key",
                "-CAcreateserial", "-out", f"{name}.crt", "-days", "2", "-extfile", f"{name}.ext")


class Wire:
    def __init__(self, factory, pool):
        self.make = lambda name: factory.GetPrototype(pool.FindMessageTypeByName("wiretest." + name))
        self.lock = threading.Lock()
        self.calls = {}

    def describe(self, request, context):
        text = json_format.MessageToJson(request, preserving_proto_field_name=True, sort_keys=True, indent=None)
        return self.make("Text")(text=json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")))

    def echo(self, request, context):
        return request

    def whoami(self, request, context):
        names = context.auth_context().get("x509_common_name", [b""])
        return self.make("Text")(text=names[0].decode())

    def fail(self, request, context):
        if request.details:
            context.set_trailing_metadata((("grpc-status-details-bin", request.details),))
        code = [c for c in grpc.StatusCode if c.value[0] == request.code][0]
        context.abort(code, request.message)

    def flaky(self, request, context):
        with self.lock:
            n = self.calls[request.text] = self.calls.get(request.text, 0) + 1
        if n % 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "try again")
        return self.make("Number")(value=n)

    def raw(self, request, context):
        return request.data

    def wait_for_end(self, context):
        over = threading.Event()
        if context.add_callback(over.set):
            over.wait()

    def hang(self, request, context):
        self.wait_for_end(context)
        return self.make("Text")(text="too late")

    def large(self, request, context):
        return self.make("Blob")(data=bytes(request.value))

    def count(self, request, context):
        for i in range(request.value):
            yield self.make("Number")(value=i)

    def count_then_fail(self, request, context):
        yield self.make("Number")(value=7)
        self.fail(request, context)

    def count_then_hang(self, request, context):
        yield self.make("Number")(value=7)
        self.wait_for_end(context)

    def raw_stream(self, request, context):
        yield request.data

    def sum(self, requests, context):
        return self.make("Number")(value=sum(r.value for r in requests))

    def sum_impatient(self, requests, context):
        next(requests)
        context.abort(grpc.StatusCode.ABORTED, "one was enough")

    def shout(self, requests, context):
        for r in requests:
            yield self.make("Text")(text=r.text.upper())

    def handlers(self):
        unary, out = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        into, both = grpc.stream_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        table = {
            "Describe": (unary, self.describe, "Everything"), "Echo": (unary, self.echo, "Everything"),
            "WhoAmI": (unary, self.whoami, "Text"), "Fail": (unary, self.fail, "Failure"),
            "Flaky": (unary, self.flaky, "Text"), "FlakyOnce": (unary, self.flaky, "Text"),
            "Raw": (unary, self.raw, "Blob"), "Hang": (unary, self.hang, "Text"), "Large": (unary, self.large, "Number"),
            "Count": (out, self.count, "Number"), "CountThenFail": (out, self.count_then_fail, "Failure"),
            "CountThenHang": (out, self.count_then_hang, "Number"), "RawStream": (out, self.raw_stream, "Blob"),
            "Sum": (into, self.sum, "Number"), "SumImpatient": (into, self.sum_impatient, "Number"),
            "Shout": (both, self.shout, "Text"),
        }
        pack = lambda m: m if isinstance(m, bytes) else m.SerializeToString()
        return grpc.method_handlers_generic_handler("wiretest.Wire", {
            name: kind(fn, self.make(request).FromString, pack) for name, (kind, fn, request) in table.items()})


def pem(directory, *names):
    parts = []
    for name in names:
        with open(f"{directory}/{name}", "rb") as f:
            parts.append(f.read())
    return tuple(parts)


def serve_garbage():
    s = socket.create_server(("127.0.0.1", 0))

    def answer():
        while True:
            c, _ = s.accept()
            c.sendall(b"SSH-2.0-not-grpc\r\n" * 4)
            c.close()

    threading.Thread(target=answer, daemon=True).start()
    return s.getsockname()[1]


def main():
    descriptors, directory = sys.argv[1:]
    pool, factory = load(descriptors)
    make_certificates(directory)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    server.add_generic_rpc_handlers((Wire(factory, pool).handlers(),))
    server.add_insecure_port(f"unix:{directory}/s.sock")
    pair = pem(directory, "server.key", "server.crt")
    ca = pem(directory, "ca.crt")[0]
    tls = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    mtls = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair], ca, True))
    elsewhere = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pem(directory, "elsewhere.key", "elsewhere.crt")]))
    server.start()
    print("ready", tls, mtls, elsewhere, serve_garbage(), flush=True)
    server.wait_for_termination()


main()
