"""Pulls an image and shows how it comes.

    python3 pull.py IMAGE [unix:///PATH | HOST:PORT]

Needs grpc (Debian: python3-grpcio) and, in this folder, what protoc makes of the
.proto files that imaged installs:

    protos=$(pkg-config --variable=protodir imaged-client)
    protoc -I "$protos" --python_out=. "$protos"/imaged/v1/*.proto "$protos"/google/rpc/*.proto
"""

import sys

import grpc
from google.rpc import error_details_pb2, status_pb2
from imaged.v1 import transfer_pb2

PULL = "/imaged.v1.ImageService/Pull"


def reason(error):
    """The stable name of what went wrong, such as MANIFEST_UNKNOWN."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return error.code().name


def show(event):
    kind = event.WhichOneof("event")
    if kind == "layer":
        layer = event.layer
        state = transfer_pb2.LayerProgress.State.Name(layer.state).removeprefix("STATE_").lower()
        print(f"{layer.digest[:19]} {state:11} {layer.current} of {layer.total} bytes")
    elif kind == "done":
        print(f"{event.done.reference} is {event.done.image_id}")


def main(image, address="unix:///run/imaged/imaged.sock"):
    with grpc.insecure_channel(address) as channel:
        pull = channel.unary_stream(
            PULL,
            request_serializer=transfer_pb2.PullRequest.SerializeToString,
            response_deserializer=transfer_pb2.PullEvent.FromString,
        )
        try:
            for event in pull(transfer_pb2.PullRequest(reference=image)):
                show(event)
        except grpc.RpcError as error:
            sys.exit(f"pull: {error.details()} ({reason(error)})")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: pull.py IMAGE [ADDRESS]")
    main(*sys.argv[1:])
