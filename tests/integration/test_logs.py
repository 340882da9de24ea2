"""The daemon's log as programs read it: one JSON object a line, whose calls are known by ids
that clients choose, or are told."""

import json
import re

import grpc

from fakeregistry import FakeRegistry
from harness import TestCase
from http2 import DATA, EMPTY, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Http2, block, call, frame
from ociimage import Image, Layer, tar
from rpc import SERVICE, error_info, pb

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
MADE_UP = r"[0-9a-f]{16}$"


def unique(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), names
    return dict(pairs)


class LogTest(TestCase):
    def setUp(self):
        super().setUp()
        self.imaged = self.daemon("--log-format", "json", "--log-level", "debug")
        self.client = self.imaged.client()

    def lines(self):
        """All but the line of readiness, which has its own form."""
        return [
            json.loads(line, object_pairs_hook=unique)
            for line in self.imaged.log.splitlines()
            if " ready: listening on " not in line
        ]

    def call(self, method="GetVersion", metadata=(), request=None):
        """(trailing metadata, the line of the call), of a call that ends well."""
        begin = len(self.imaged.log)
        stub = self.client.channel.unary_unary(
            f"/{SERVICE.full_name}/{method}",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=lambda data: data,
        )
        _, call = stub.with_call(request or getattr(pb, method + "Request")(), metadata=metadata, timeout=30)
        trailing = dict(call.trailing_metadata())
        self.assertTrue(self.imaged.wait_log(rf'.*/{method} from .*\n', begin))
        found = [line for line in self.lines() if line.get("request_id") == trailing["request-id"]]
        self.assertEqual(1, len(found), found)
        return trailing, found[0]

    def test_line_of_a_call_has_members(self):
        trailing, line = self.call()
        self.assertRegex(trailing["request-id"], MADE_UP)
        self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
        self.assertEqual("debug", line["level"])
        self.assertEqual("/imaged.v1.ImageService/GetVersion", line["method"])
        self.assertEqual("OK", line["code"])
        self.assertRegex(line["peer"], r"^unix:uid=\d+,gid=\d+,pid=\d+$")
        self.assertGreater(line["duration_us"], 0)
        self.assertNotIn("trace_id", line)

    def test_ids_of_calls_differ(self):
        self.assertEqual(20, len({self.call()[0]["request-id"] for _ in range(20)}))

    def test_error_tells_the_id_of_its_call(self):
        error = self.assert_rpc_fails("NOT_FOUND", "NO_SUCH_IMAGE", self.client.RemoveImage, image="nothing")
        trailing = dict(error.trailing_metadata())
        self.assertEqual(trailing["request-id"], error_info(error).metadata["request-id"])
        self.assertTrue(self.imaged.wait_log(r"/RemoveImage from .*\n"))
        line = next(line for line in self.lines() if line.get("request_id") == trailing["request-id"])
        self.assertEqual(("info", "NOT_FOUND", "NO_SUCH_IMAGE"), (line["level"], line["code"], line["reason"]))

    def test_id_of_the_client_is_taken_over_when_it_can_stand_in_a_log(self):
        for given, taken in (
            ("c0ffee-1.2_3:a/b+c=@", True),
            ("x" * 64, True),
            ("x" * 65, False),
            ("two words", False),
            ('"},{"', False),
            ("back\\slash", False),
            ("", False),
        ):
            with self.subTest(given):
                trailing, _ = self.call(metadata=[("x-request-id", given)])
                if taken:
                    self.assertEqual(given, trailing["request-id"])
                else:
                    self.assertRegex(trailing["request-id"], MADE_UP)
        trailing, _ = self.call(metadata=[("x-request-id", "one"), ("x-request-id", "two")])
        self.assertRegex(trailing["request-id"], MADE_UP)

    def test_traceparent_is_taken_over_as_the_standard_says(self):
        for given, taken in (
            ([f"00-{TRACE}-{SPAN}-01"], True),
            ([f"00-{TRACE}-{SPAN}-00"], True),
            ([f"cc-{TRACE}-{SPAN}-01-more"], True),
            ([f"00-{TRACE}-{SPAN}-01-more"], False),
            ([f"ff-{TRACE}-{SPAN}-01"], False),
            ([f"00-{TRACE.upper()}-{SPAN}-01"], False),
            ([f"00-{'0' * 32}-{SPAN}-01"], False),
            ([f"00-{TRACE}-{'0' * 16}-01"], False),
            ([f"00-{TRACE}-{SPAN}"], False),
            ([f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"], False),
        ):
            with self.subTest(given):
                _, line = self.call(metadata=[("traceparent", one) for one in given])
                self.assertEqual((TRACE, SPAN) if taken else (None, None), (line.get("trace_id"), line.get("span_id")))

    def test_unknown_method_has_an_id(self):
        stub = self.client.channel.unary_unary("/no.such.Service/Method")
        with self.assertRaises(grpc.RpcError) as caught:
            stub(b"", timeout=30)
        self.assertRegex(dict(caught.exception.trailing_metadata())["request-id"], MADE_UP)

    def test_call_that_is_taken_back_before_it_is_read_is_the_client_s_affair(self):
        """However much of it had come: gRPC drops what came of a call that is reset."""
        path, reset = "/imaged.v1.ImageService/GetInfo", frame(RST_STREAM, 0, 1, (8).to_bytes(4, "big"))
        headers = frame(HEADERS, END_HEADERS, 1, block(path))
        for come in (headers, headers + frame(DATA, END_STREAM, 1), call(1, path), headers + frame(DATA, 0, 1, EMPTY)):
            begin = len(self.imaged.log)
            with Http2.unix(self.imaged.address.removeprefix("unix://")) as h:
                h.start().send(come + reset)
                line = json.loads(self.imaged.wait_log(r"[^\n]*/GetInfo from [^\n]*", begin)[0])
            self.assertEqual(("debug", "CANCELLED", "CANCELLED"), (line["level"], line["code"], line["reason"]))
        begin = len(self.imaged.log)
        with Http2.unix(self.imaged.address.removeprefix("unix://")) as h:
            h.start().send(headers + frame(DATA, END_STREAM, 1))
            self.assertTrue(h.ended(1))
            line = json.loads(self.imaged.wait_log(r"[^\n]*/GetInfo from [^\n]*", begin)[0])
        self.assertEqual(("info", "INVALID_ARGUMENT", "INVALID_ARGUMENT"), (line["level"], line["code"], line["reason"]))

    def test_transfers_carry_the_id_of_the_call_that_began_them(self):
        with FakeRegistry() as registry:
            registry.repo("a").add(Image([Layer(tar({"f": b"x" * 100000}))]), "1")
            events = self.client.Pull(
                reference=f"{registry.host}/a:1", timeout=60, metadata=[("x-request-id", "pull-1")]
            )
            self.assertEqual("done", list(events)[-1].WhichOneof("event"))
        self.assertTrue(self.imaged.wait_log(r"/Pull from .*\n"))
        # of the manifest, the configuration and the layer
        transfers = [line for line in self.lines() if line["msg"].startswith("transfer of sha256:")]
        self.assertEqual(["pull-1"] * 3, [line.get("request_id") for line in transfers])

    def test_every_line_is_an_object_whatever_clients_say(self):
        for text in ('a"b', "a\\b", "ä€\U0001f40b", "\x7f\x01\n{}", "x" * 3000, '"' * 3000):
            self.assert_rpc_fails("INVALID_ARGUMENT", None, self.client.TagImage, source=text, target=text)
        self.imaged.stop()
        lines = self.lines()
        # each call's line, and its audit's
        self.assertEqual(12, sum(line.get("method", "").endswith("/TagImage") for line in lines))
        for line in lines:
            self.assertEqual(["time", "level", "msg"], list(line)[:3])
        for line in self.imaged.log.splitlines(keepends=True):
            self.assertLessEqual(len(line.encode()), 4096)

    def test_text_shows_the_id(self):
        imaged = self.daemon("--log-level", "debug", name="text")
        call = imaged.client().GetVersion
        call(metadata=[("x-request-id", "seen")])
        self.assertTrue(imaged.wait_log(r"debug \S+/GetVersion from \S+ after \d+ ms: OK request_id=seen\n"))
        self.assertFalse(re.search(r"ready: listening.*request_id", imaged.log))
