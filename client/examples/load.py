"""Loads the images of an archive and shows what becomes of it.

    python3 load.py FILE [unix:///PATH | HOST:PORT]

Needs grpc (Debian: python3-grpcio) and, in this folder, what protoc makes of the
.proto files that imaged installs:

    protos=$(pkg-config --variable=protodir imaged-client)
    protoc -I "$protos" --python_out=. "$protos"/imaged/v1/*.proto
"""

import sys

import grpc
from imaged.v1 import archive_pb2

LOAD = "/imaged.v1.ImageService/Load"


def requests(file):
    """What the call sends; gRPC asks for one after the other as fast as they go out."""
    yield archive_pb2.LoadRequest(start=archive_pb2.LoadStart())
    while piece := file.read(256 * 1024):
        yield archive_pb2.LoadRequest(data=piece)


def show(event):
    kind = event.WhichOneof("event")
    if kind == "layer":
        print(f"{event.layer.diff_id[:19]} {event.layer.current} of {event.layer.total} bytes")
    elif kind == "image":
        names = ", ".join(event.image.references) or "an image without name"
        print(f"{names} is {event.image.image_id}")
    elif kind == "done":
        print(f"{event.done.new_bytes} bytes were new")


def main(path, address="unix:///run/imaged/imaged.sock"):
    with open(path, "rb") as file, grpc.insecure_channel(address) as channel:
        load = channel.stream_stream(
            LOAD,
            request_serializer=archive_pb2.LoadRequest.SerializeToString,
            response_deserializer=archive_pb2.LoadEvent.FromString,
        )
        try:
            for event in load(requests(file)):
                show(event)
        except grpc.RpcError as error:
            sys.exit(f"load: {error.details()} ({error.code().name})")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: load.py FILE [ADDRESS]")
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"load: {error}")
