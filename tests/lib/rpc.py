"""imaged's API from Python, as any foreign client would use it: the .proto files
of the project through protoc and python3-grpcio, nothing of ours in between.

    client = Client("unix:///run/imaged/imaged.sock")
    for event in client.Pull(reference="busybox"): ...
    client.ListImages().images
"""

import importlib
import os
import subprocess
import sys
import tempfile

import google
import grpc
from google.protobuf import descriptor_pb2

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROTO = os.path.join(ROOT, "proto")


def _load():
    """The generated messages. protoc writes into a directory of this process; a
    `grpc` folder there would hide the real one, so only imaged and google/rpc."""
    out = tempfile.mkdtemp(prefix="imaged-pb-")
    names = [f"imaged/v1/{n}" for n in sorted(os.listdir(os.path.join(PROTO, "imaged/v1"))) if n.endswith(".proto")]
    names += ["google/rpc/status.proto", "google/rpc/error_details.proto"]
    subprocess.run(["protoc", "-I", PROTO, "-I", "/usr/include", "--python_out", out, *names], check=True)
    # google is a namespace of python3-protobuf: load ours by file into it.
    sys.path.insert(0, out)
    google.__path__.append(os.path.join(out, "google"))
    modules = {name: importlib.import_module(name[:-6].replace("/", ".") + "_pb2") for name in names}
    sys.path.remove(out)
    subprocess.run(["rm", "-rf", out], check=True)
    return modules


_MODULES = _load()


class _Names:
    """All messages and enums by their plain name."""


pb = _Names()
for _name, _module in _MODULES.items():
    if _name.startswith("imaged/"):
        for _key in dir(_module):
            if not _key.startswith("_"):
                setattr(pb, _key, getattr(_module, _key))
_STATUS = _MODULES["google/rpc/status.proto"].Status
_INFO = _MODULES["google/rpc/error_details.proto"].ErrorInfo
_RETRY = _MODULES["google/rpc/error_details.proto"].RetryInfo
SERVICE = _MODULES["imaged/v1/image_service.proto"].DESCRIPTOR.services_by_name["ImageService"]

OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1)]


def channel(address, credentials=None, options=()):
    target = address if address.startswith("unix:") else address.removeprefix("tcp://")
    options = OPTIONS + list(options)
    if credentials is not None:
        return grpc.secure_channel(target, credentials, options)
    return grpc.insecure_channel(target, options)


class Client:
    """One method per RPC. Fields are keyword arguments; `timeout` is the deadline,
    `request` a ready message, or an iterator of them where the client streams.
    Streams return the grpc call: iterate, cancel()."""

    def __init__(self, address, credentials=None, options=()):
        self.channel = channel(address, credentials, options)
        file = descriptor_pb2.FileDescriptorProto.FromString(SERVICE.file.serialized_pb)
        kinds = {m.name: (m.client_streaming, m.server_streaming) for s in file.service for m in s.method}
        for method in SERVICE.methods:
            setattr(self, method.name, self._stub(method, kinds[method.name]))

    def _stub(self, method, kind):
        request_type = getattr(pb, method.input_type.name)
        response_type = getattr(pb, method.output_type.name)
        make = {
            (False, False): self.channel.unary_unary,
            (False, True): self.channel.unary_stream,
            (True, False): self.channel.stream_unary,
            (True, True): self.channel.stream_stream,
        }[kind]
        call = make(
            f"/{SERVICE.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response_type.FromString,
        )

        def invoke(request=None, timeout=60, metadata=None, **fields):
            return call(request or request_type(**fields), timeout=timeout, metadata=metadata)

        return invoke

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- short forms

    def pull(self, reference, timeout=120, **fields):
        """Pulls to the end; gives (PullDone, all events)."""
        events = list(self.Pull(reference=reference, timeout=timeout, **fields))
        assert events and events[-1].WhichOneof("event") == "done", f"the last event of a pull is {events[-1:]}"
        return events[-1].done, events

    def images(self, **fields):
        found, token = [], ""
        while True:
            page = self.ListImages(page_token=token, **fields)
            found += page.images
            token = page.next_page_token
            if not token:
                return found

    def check(self, **fields):
        """(findings, summary) of CheckStore."""
        events = list(self.CheckStore(timeout=300, **fields))
        return [e.finding for e in events if e.WhichOneof("event") == "finding"], events[-1].summary


def reason(error):
    """ErrorInfo.reason of an RpcError, "" if it has none."""
    return details(error)[0]


def details(error):
    """(reason, retry delay in seconds or None) of an RpcError."""
    name, delay = "", None
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for entry in _STATUS.FromString(value).details:
            if entry.Is(_INFO.DESCRIPTOR):
                name = _INFO.FromString(entry.value).reason
            if entry.Is(_RETRY.DESCRIPTOR):
                wait = _RETRY.FromString(entry.value).retry_delay
                delay = wait.seconds + wait.nanos / 1e9
    return name, delay


def error_info(error):
    """The google.rpc.ErrorInfo of an RpcError, None if it has none."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for entry in _STATUS.FromString(value).details:
                if entry.Is(_INFO.DESCRIPTOR):
                    return _INFO.FromString(entry.value)
    return None


def room(error):
    """(needed, free) bytes of an RpcError about a full disk; 0 what it does not say."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for entry in _STATUS.FromString(value).details:
            if entry.Is(_INFO.DESCRIPTOR):
                told = _INFO.FromString(entry.value).metadata
                return int(told.get("needed_bytes", 0)), int(told.get("free_bytes", 0))
    return 0, 0
