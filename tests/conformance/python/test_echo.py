#!/usr/bin/python3
"""python3-grpcio against the server runtime: every call kind over every transport.

    test_echo.py SETUP.json

SETUP.json is what run.sh writes: addresses of one echo_server and certificate
files. Prints a line for each test: "ok NAME", "FAIL NAME" or "skip NAME: WHY".
"""

import json
import os
import sys
import threading
import time
import traceback

import grpc
from reflected import BY_NAME, BY_SYMBOL, Reflection, Service, channel, fields

PATIENCE = 20
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def eventually(condition, what):
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.01)


def status_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call succeeded")


def details(error):
    """(code, message, {type name: {field: value}}) of grpc-status-details-bin."""
    data = dict(error.trailing_metadata())["grpc-status-details-bin"]
    code, message, found = 0, "", {}
    for number, value in fields(data):
        if number == 1:
            code = value
        elif number == 2:
            message = value.decode()
        else:
            parts = dict(fields(value))
            found[parts[1].decode().rsplit("/", 1)[1]] = list(fields(parts.get(2, b"")))
    return code, message, found


def entries(info):
    """The metadata map of an ErrorInfo."""
    pairs = (dict(fields(value)) for number, value in info if number == 3)
    return {pair[1].decode(): pair[2].decode() for pair in pairs}


def full_request(echo):
    request = echo.new(
        "EchoRequest",
        text="grüße 鏡像 🐳",
        data=bytes(range(256)),
        numbers=[0, 1, 2**64 - 1],
        color=7,
        colors=[1, 0, 7, 99],
        ratio=-0.125,
        flag=True,
        lines=["", "two", "ß"],
        fixed=2**63,
        negative=-(2**63),
    )
    request.labels.update({"a": "1", "": "empty key", "ü": ""})
    request.parts[3].name = "three"
    request.parts[2**32 - 1].deltas.extend([-1, 0, 2**62, -(2**63)])
    request.inner.name = "chosen"
    request.inner.leaves.add().raw = b"\x00\xff"
    request.inner.leaves.add()
    request.when.seconds, request.when.nanos = -62135596800, 999999999
    return request


# ---- messages and calls ----


@test
def every_kind_of_field_comes_back(echo, setup):
    request = full_request(echo)
    for method in (echo.Echo, echo.EchoInline):
        assert method(request, timeout=PATIENCE).echo == request
    for choice in ({"number": 0}, {"number": -5}, {"word": ""}, {"inner": {}}, {}):
        request = echo.new("EchoRequest", **choice)
        answer = echo.Echo(request, timeout=PATIENCE).echo
        assert answer == request and answer.WhichOneof("choice") == request.WhichOneof("choice")


@test
def unknown_fields_are_no_harm(echo, setup):
    raw = setup.channel.unary_unary("/echo.v1.EchoService/Echo")
    answer = raw(b"\x0a\x02hi" + b"\xf8\x3f\x07" + b"\x82\x40\x03abc", timeout=PATIENCE)
    assert b"hi" in answer


@test
def server_stream_is_in_order(echo, setup):
    chunks = list(echo.Count(echo.new("CountRequest", count=200, size=70000), timeout=PATIENCE))
    assert [chunk.serial for chunk in chunks] == list(range(1, 201))
    assert all(len(chunk.data) == 70000 for chunk in chunks)


@test
def client_stream_is_summed_up(echo, setup):
    chunks = [echo.new("Chunk", serial=i, data=bytes(i * 1000)) for i in range(100)]
    answer = echo.Upload(iter(chunks), timeout=PATIENCE)
    assert (answer.chunks, answer.bytes) == (100, 99 * 100 // 2 * 1000)
    assert echo.Upload(iter([]), timeout=PATIENCE).chunks == 0


@test
def both_directions_take_turns(echo, setup):
    words = [f"word {i}" for i in range(50)]
    answers = echo.Chat((echo.new("EchoRequest", text=word) for word in words), timeout=PATIENCE)
    assert [answer.echo.text for answer in answers] == words


@test
def many_calls_at_once(echo, setup):
    calls = [echo.Echo.future(echo.new("EchoRequest", text=str(i)), timeout=PATIENCE) for i in range(64)]
    assert [call.result().echo.text for call in calls] == [str(i) for i in range(64)]


@test
def compressed_requests_are_understood(echo, setup):
    request = echo.new("EchoRequest", data=bytes(1 << 20))
    answer = echo.Echo(request, timeout=PATIENCE, compression=grpc.Compression.Gzip)
    assert answer.echo == request


@test
def compression_does_not_hide_size(echo, setup):
    request = echo.new("EchoRequest", data=bytes(5 << 20))
    error = status_of(lambda: echo.Echo(request, timeout=PATIENCE, compression=grpc.Compression.Gzip))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


# ---- errors ----


@test
def error_carries_its_details(echo, setup):
    request = echo.new(
        "FailRequest", reason="DISK_FULL", text="100 % full: größe", needed_bytes=10**12, free_bytes=5, retry_after_ms=2500
    )
    error = status_of(lambda: echo.Fail(request, timeout=PATIENCE))
    assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, request.text)
    code, message, found = details(error)
    assert (code, message) == (8, request.text)
    info = found["google.rpc.ErrorInfo"]
    assert dict(info)[1] == b"DISK_FULL" and dict(info)[2] == b"imaged.dev"
    call_id = dict(error.trailing_metadata())["request-id"]
    assert entries(info) == {"needed_bytes": str(10**12), "free_bytes": "5", "request-id": call_id}
    delay = dict(fields(dict(found["google.rpc.RetryInfo"])[1]))
    assert delay == {1: 2, 2: 500000000}


@test
def codes_are_grpc_codes(echo, setup):
    for reason, code in (
        ("NO_SUCH_IMAGE", grpc.StatusCode.NOT_FOUND),
        ("INVALID_REFERENCE", grpc.StatusCode.INVALID_ARGUMENT),
        ("CONFLICT", grpc.StatusCode.FAILED_PRECONDITION),
        ("CONTENT_DAMAGED", grpc.StatusCode.DATA_LOSS),
        ("UNAUTHENTICATED", grpc.StatusCode.UNAUTHENTICATED),
    ):
        assert status_of(lambda: echo.Fail(echo.new("FailRequest", reason=reason))).code() == code


@test
def unknown_methods_are_unimplemented(echo, setup):
    for path in ("/echo.v1.EchoService/Nope", "/no.Service/Echo"):
        error = status_of(lambda: setup.channel.unary_unary(path)(b"", timeout=PATIENCE))
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED
        error = status_of(lambda: list(setup.channel.stream_stream(path)(iter([b"", b""]), timeout=PATIENCE)))
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert status_of(lambda: echo.Missing(echo.new("WatchRequest"))).code() == grpc.StatusCode.UNIMPLEMENTED


@test
def garbage_is_invalid_argument(echo, setup):
    call = setup.channel.unary_unary("/echo.v1.EchoService/Echo")
    for wire in (b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x02\xc3\x28", b"\x0a\x03a\x00b"):
        assert status_of(lambda: call(wire, timeout=PATIENCE)).code() == grpc.StatusCode.INVALID_ARGUMENT


@test
def big_messages_are_refused(echo, setup):
    request = echo.new("EchoRequest", data=bytes(5 << 20))
    assert status_of(lambda: echo.Echo(request, timeout=PATIENCE)).code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@test
def big_metadata_is_refused(echo, setup):
    other = setup.connect()  # gRPC core closes the connection behind it
    call = other.unary_unary("/echo.v1.EchoService/Echo")
    error = status_of(lambda: call(b"", timeout=PATIENCE, metadata=[("x-big", "v" * 20000)]))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    other.close()


# ---- time and cancellation ----


@test
def deadline_is_kept_and_reaches_the_handler(echo, setup):
    before = echo.Stats(echo.new("StatsRequest")).expired
    begin = time.monotonic()
    error = status_of(lambda: echo.Sleep(echo.new("SleepRequest", ms=600000), timeout=0.2))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED and time.monotonic() - begin < PATIENCE
    eventually(lambda: echo.Stats(echo.new("StatsRequest")).expired == before + 1, "the handler saw no deadline")


@test
def cancellation_reaches_the_handler(echo, setup):
    before = echo.Stats(echo.new("StatsRequest"))
    unary = echo.Sleep.future(echo.new("SleepRequest", ms=600000))
    stream = echo.Count(echo.new("CountRequest", count=10**9, size=100000))
    next(stream)
    eventually(lambda: echo.Stats(echo.new("StatsRequest")).running == before.running + 2, "the calls do not run")
    unary.cancel()
    stream.cancel()
    eventually(lambda: echo.Stats(echo.new("StatsRequest")).cancelled == before.cancelled + 2, "no cancellation")


@test
def upload_that_is_cancelled_is_not_whole(echo, setup):
    before = echo.Stats(echo.new("StatsRequest"))
    hold = threading.Event()

    def chunks():
        yield echo.new("Chunk", data=b"part")
        hold.wait(PATIENCE)

    def running():
        return echo.Stats(echo.new("StatsRequest")).running - before.running

    for _ in range(20):
        call = echo.Upload.future(chunks())
        eventually(lambda: running() == 1, "the upload does not run")
        call.cancel()
        eventually(lambda: running() == 0, "the upload still runs")
    hold.set()
    assert echo.Stats(echo.new("StatsRequest")).half_closed == before.half_closed


# ---- standard services ----


@test
def health_is_serving(echo, setup):
    health = Service(setup.channel, "grpc.health.v1.Health")
    for name in ("", "echo.v1.EchoService", "grpc.health.v1.Health"):
        assert health.Check(health.new("HealthCheckRequest", service=name), timeout=PATIENCE).status == 1
    error = status_of(lambda: health.Check(health.new("HealthCheckRequest", service="x"), timeout=PATIENCE))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    watch = health.Watch(health.new("HealthCheckRequest", service="x"), timeout=PATIENCE)
    assert next(watch).status == 3
    watch.cancel()


@test
def reflection_is_complete(echo, setup):
    expected = ["echo.v1.EchoService", "grpc.health.v1.Health"]
    expected += [f"grpc.reflection.{version}.ServerReflection" for version in ("v1", "v1alpha")]
    for version in ("v1", "v1alpha"):
        reflection = Reflection(setup.channel, version)
        assert sorted(reflection.services()) == expected
        for name in expected:
            Service(setup.channel, name, version)
        assert reflection.files(BY_NAME, "echo/v1/echo.proto")[0].name == "echo/v1/echo.proto"
        try:
            reflection.files(BY_SYMBOL, "no.such.Thing")
            raise AssertionError("found what is not there")
        except KeyError as error:
            assert error.args[0] == grpc.StatusCode.NOT_FOUND.value[0]


# ---- identity ----


@test
def identity_fits_the_transport(echo, setup):
    me = echo.WhoAmI(echo.new("WhoAmIRequest"), timeout=PATIENCE, metadata=[("x509_common_name", "mallory")])
    if setup.transport == "unix":
        assert (me.kind, me.uid, me.gid, me.pid) == (1, os.getuid(), os.getgid(), os.getpid())
    elif setup.transport == "mtls":
        assert (me.kind, me.common_name, list(me.alt_names)) == (2, "alice", ["alice.example"])
    else:
        assert (me.kind, me.common_name) == (0, "")


@test
def mutual_tls_refuses_strangers(echo, setup):
    if setup.transport != "mtls":
        return "only for mutual TLS"
    without = {"ca": setup.files["ca"]}
    stranger = {**without, "cert": setup.files["stranger_cert"], "key": setup.files["stranger_key"]}
    for files in (without, stranger, {}):
        other = channel(setup.address, files)
        error = status_of(lambda: other.unary_unary("/echo.v1.EchoService/Echo")(b"", timeout=PATIENCE))
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        other.close()


class Setup:
    def __init__(self, transport, config):
        self.transport, self.files = transport, config["files"]
        self.address = config["addresses"][transport]
        self.channel = self.connect()

    def connect(self):
        use = {"tls": ("ca",), "mtls": ("ca", "cert", "key")}.get(self.transport, ())
        return channel(self.address, {name: self.files[name] for name in use})


def main():
    with open(sys.argv[1]) as f:
        config = json.load(f)
    failed = 0
    for transport in ("unix", "tcp", "tls", "mtls"):
        setup = Setup(transport, config)
        echo = Service(setup.channel, "echo.v1.EchoService")
        for function in TESTS:
            name = f"python.{transport}.{function.__name__}"
            try:
                why = function(echo, setup)
                if why is None:
                    print("ok", name)
            except Exception:
                traceback.print_exc()
                failed += 1
                print("FAIL", name)
            sys.stdout.flush()
        setup.channel.close()
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
