"""A client that knows nothing but the server's reflection: messages and methods
are made from the descriptors that the server sends.

The few reflection messages are written and read by hand, so that no generated
code stands between the test and the server.
"""

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

LIST, BY_NAME, BY_SYMBOL = 7, 3, 4  # fields of ServerReflectionRequest
FILES, SERVICES, ERROR = 4, 6, 7  # fields of ServerReflectionResponse


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """(number, value) of each field: bytes, or an int for a varint."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 0:
            value, at = read_varint(data, at)
        elif tag & 7 == 2:
            size, at = read_varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"wire type {tag & 7}")
        yield tag >> 3, value


class Reflection:
    """Questions to one version of the service ("v1", "v1alpha")."""

    def __init__(self, channel, version):
        path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        self._call = channel.stream_stream(path)

    def ask(self, number, text):
        request = field(number, text.encode())
        (answer,) = self._call(iter([request]), timeout=20)
        return dict(fields(answer))

    def services(self):
        answer = self.ask(LIST, "*")
        return [dict(fields(entry))[1].decode() for _, entry in fields(answer[SERVICES])]

    def files(self, number, text):
        answer = self.ask(number, text)
        if ERROR in answer:
            error = dict(fields(answer[ERROR]))
            raise KeyError(error[1], error[2].decode())
        files = []
        for _, data in fields(answer[FILES]):
            file = descriptor_pb2.FileDescriptorProto()
            file.ParseFromString(data)
            files.append(file)
        return files


def load(pool, files):
    """Adds files to the pool, imports first."""
    by_name = {file.name: file for file in files}
    done = set()

    def add(name):
        if name not in done:
            done.add(name)
            for imported in by_name[name].dependency:
                add(imported)
            pool.Add(by_name[name])

    for name in by_name:
        add(name)


class Service:
    """Methods of one service as attributes; messages by short name through new()."""

    def __init__(self, channel, name, version="v1"):
        self.pool = descriptor_pool.DescriptorPool()
        load(self.pool, Reflection(channel, version).files(BY_SYMBOL, name))
        self.descriptor = self.pool.FindServiceByName(name)
        self.package = self.descriptor.file.package
        for method in self.descriptor.methods:
            setattr(self, method.name, self._stub(channel, method))

    def _stub(self, channel, method):
        to_server, to_client = self._streaming(method)
        kind = ("stream" if to_server else "unary") + "_" + ("stream" if to_client else "unary")
        return getattr(channel, kind)(
            f"/{self.descriptor.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=self._class(method.output_type).FromString,
        )

    def _streaming(self, method):
        proto = descriptor_pb2.ServiceDescriptorProto()
        self.descriptor.CopyToProto(proto)
        found = next(m for m in proto.method if m.name == method.name)
        return found.client_streaming, found.server_streaming

    def _class(self, descriptor):
        return message_factory.MessageFactory(self.pool).GetPrototype(descriptor)

    def new(self, name, **values):
        return self._class(self.pool.FindMessageTypeByName(f"{self.package}.{name}"))(**values)


def channel(address, files, server_name=None):
    """A channel for an address as the server prints it; files: ca, cert, key or {}."""
    target = address.removeprefix("tcp://").replace("unix://", "unix:")
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    if server_name:
        options.append(("grpc.ssl_target_name_override", server_name))
    if not files:
        return grpc.insecure_channel(target, options)
    read = {name: open(path, "rb").read() for name, path in files.items()}
    credentials = grpc.ssl_channel_credentials(read["ca"], read.get("key"), read.get("cert"))
    return grpc.secure_channel(target, credentials, options)
