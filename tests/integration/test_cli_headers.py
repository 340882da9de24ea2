"""HttpHeaders of config.json: what the user wants sent along with every call."""

import json
import os
import subprocess
from concurrent import futures

import grpc

from harness import TestCase, free_port, program
from rpc import pb


class Headers(TestCase):
    def setUp(self):
        super().setUp()
        self.seen = []
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        handlers = {
            "ListImages": grpc.unary_unary_rpc_method_handler(
                self.list_images, pb.ListImagesRequest.FromString, pb.ListImagesResponse.SerializeToString
            ),
            "Pull": grpc.unary_stream_rpc_method_handler(self.pull, pb.PullRequest.FromString, pb.PullEvent.SerializeToString),
        }
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("imaged.v1.ImageService", handlers),))
        self.port = free_port()
        self.server.add_insecure_port(f"127.0.0.1:{self.port}")
        self.server.start()
        self.addCleanup(lambda: self.server.stop(0).wait())

    def list_images(self, _, context):
        self.seen.append(dict(context.invocation_metadata()))
        return pb.ListImagesResponse()

    def pull(self, _, context):
        self.seen.append(dict(context.invocation_metadata()))
        context.abort(grpc.StatusCode.NOT_FOUND, "no")

    def imagectl(self, headers, *arguments):
        with open(self.path("config.json"), "w", encoding="utf-8") as file:
            json.dump({"HttpHeaders": headers}, file)
        environment = {**os.environ, "DOCKER_CONFIG": self.dir, "IMAGED_HOST": f"tcp://127.0.0.1:{self.port}"}
        return subprocess.run([program("imagectl"), *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)

    def test_they_go_along_with_calls_of_every_kind(self):
        headers = {"X-Team": "build machines", "X-Trace": "1", "User-Agent": "is gRPC's"}
        self.assertEqual(0, self.imagectl(headers, "images").returncode)
        self.assertEqual(1, self.imagectl(headers, "pull", "a/b:1").returncode)
        for seen in self.seen:
            self.assertEqual(("build machines", "1"), (seen["x-team"], seen["x-trace"]))
            self.assertNotIn("is gRPC's", seen["user-agent"])
        self.assertEqual(2, len(self.seen))

    def test_one_that_cannot_be_sent_is_named(self):
        for name, value in (("no name", "a"), ("X-Line", "a\nb"), ("x-raw-bin", "a")):
            done = self.imagectl({name: value}, "images")
            self.assertEqual((1, ""), (done.returncode, done.stdout))
            self.assertIn(f'the header "{name}" cannot be sent', done.stderr)
        self.assertEqual([], self.seen)
