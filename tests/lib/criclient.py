"""Kubernetes' CRI v1 as kubelet and crictl speak it: the .proto files of the project through
protoc and python3-grpcio.

    client = Cri("unix:///run/imaged/imaged.sock")
    client.ImageStatus(image=spec("busybox")).image.id
"""

import importlib
import os
import subprocess
import sys
import tempfile

import rpc

NAMES = [f"cri/v1/{name}.proto" for name in ("image", "runtime", "image_service", "runtime_service")]


def _load():
    out = tempfile.mkdtemp(prefix="imaged-cri-")
    subprocess.run(["protoc", "-I", rpc.PROTO, "-I", "/usr/include", "--python_out", out, *NAMES], check=True)
    sys.path.insert(0, out)
    modules = [importlib.import_module(name[:-6].replace("/", ".") + "_pb2") for name in NAMES]
    sys.path.remove(out)
    subprocess.run(["rm", "-rf", out], check=True)
    return modules


IMAGE, RUNTIME, IMAGE_SERVICE, RUNTIME_SERVICE = _load()
SERVICES = (IMAGE_SERVICE.DESCRIPTOR.services_by_name["ImageService"], RUNTIME_SERVICE.DESCRIPTOR.services_by_name["RuntimeService"])


def message(name):
    return getattr(IMAGE, name, None) or getattr(RUNTIME, name)


def spec(image, **fields):
    return IMAGE.ImageSpec(image=image, **fields)


class Cri:
    """One method per RPC of both services. Fields are keyword arguments, `timeout` the deadline."""

    def __init__(self, address, credentials=None, options=()):
        self.channel = rpc.channel(address, credentials, options)
        for service in SERVICES:
            for method in service.methods:
                setattr(self, method.name, self._stub(service, method))

    def _stub(self, service, method):
        request, response = message(method.input_type.name), message(method.output_type.name)
        make = self.channel.unary_stream if method.name.startswith("Stream") else self.channel.unary_unary
        call = make(
            f"/{service.full_name}/{method.name}",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=response.FromString,
        )
        return lambda timeout=60, **fields: call(request(**fields), timeout=timeout)

    def close(self):
        self.channel.close()

    # -- short forms

    def pull(self, image, **fields):
        return self.PullImage(image=spec(image), **fields).image_ref

    def status(self, image):
        """The image, or None."""
        answer = self.ImageStatus(image=spec(image))
        return answer.image if answer.HasField("image") else None

    def remove(self, image):
        self.RemoveImage(image=spec(image))

    def images(self, **fields):
        return list(self.ListImages(**fields).images)
