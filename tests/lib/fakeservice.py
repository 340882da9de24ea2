"""An ImageService of a test's own: what imagectl does with answers that imaged does
not give, or gives at other times.

    with FakeService("unix:///…", Load=answer) as service: ...

`answer` is a generator function of (requests, context) that yields events: messages,
or bytes as they go over the wire.
"""

import concurrent.futures

import grpc

from rpc import SERVICE, pb


def _wire(event):
    return event if isinstance(event, bytes) else event.SerializeToString()


class FakeService:
    def __init__(self, address, **answers):
        handlers = {}
        for name, answer in answers.items():
            request = getattr(pb, SERVICE.methods_by_name[name].input_type.name)
            handlers[name] = grpc.stream_stream_rpc_method_handler(answer, request.FromString, _wire)
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))
        self.server.add_insecure_port(address)
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait()
