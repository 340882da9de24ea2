"""Load as a stream of messages: clients that send too much, too little, nothing or in
the wrong order, and those that go away."""

import os
import pty
import select
import subprocess

import grpc

from archives import ArchiveCase, Loading, an_image, docker_files, layout_files, load
from fakeservice import FakeService
from harness import SLOW, program
from ociimage import compress, tar

import contextlib
import threading

import grpc

from archives import AMD64, ArchiveCase, Loading, an_image, docker_files, layout_files, load, save
from fakeregistry import FakeRegistry
from harness import SLOW
from ociimage import Index, compress, tar, to_json
from rpc import pb, reason


class Protocol(ArchiveCase):
    SECONDS = 60

    def setUp(self):
        super().setUp()
        self.image = an_image(size=300_000)
        self.data = tar(layout_files((self.image, "docker.io/library/x:1")))

    def loading(self):
        loading = Loading(self.client, timeout=20 * SLOW)
        self.addCleanup(loading.close)
        return loading

    def assert_refused(self, loading, code, text, kept=False):
        with self.assertRaises(grpc.RpcError) as caught:
            for _ in loading:
                pass
        error = caught.exception
        self.assertEqual(code, error.code().name, error.details())
        self.assertRegex(error.details(), text)
        if not kept:
            self.assert_nothing_kept()
        return error

    def wants(self, loading):
        """The first thing that the service asks for."""
        event = next(loading)
        self.assertEqual("want", event.WhichOneof("event"))
        return event.want

    # -- in the wrong order

    def test_data_before_start(self):
        self.assert_refused(self.loading().data(self.data).close(), "INVALID_ARGUMENT", "first message must be `start`")

    def test_nothing_at_all(self):
        self.assert_refused(self.loading().close(), "INVALID_ARGUMENT", "first message must be `start`")

    def test_empty_message(self):
        self.assert_refused(self.loading().send(pb.LoadRequest()).close(), "INVALID_ARGUMENT", "first message must be `start`")

    def test_start_twice(self):
        for seekable in (False, True):
            loading = self.loading().start(seekable=seekable, size=len(self.data))
            loading.start(seekable=seekable, size=len(self.data))
            self.assert_refused(loading, "INVALID_ARGUMENT", "only `data` may follow")

    def test_start_in_the_middle(self):
        loading = self.loading().start().data(self.data[:1000]).start().data(self.data[1000:]).close()
        self.assert_refused(loading, "INVALID_ARGUMENT", "only `data` may follow")

    def test_empty_message_in_the_middle(self):
        self.assert_refused(self.loading().start().data(self.data[:1000]).send(pb.LoadRequest()), "INVALID_ARGUMENT", "only `data` may follow")

    def test_start_that_makes_no_sense(self):
        for fields, text in (
            ({"seekable": True}, "needs its size"),
            ({"seekable": True, "size": -1}, "needs its size"),
            ({"size": -5}, "size"),
            ({"platform": "a/b/c/d"}, "platform"),
            ({"platform": "\x1b[2J"}, "platform"),
        ):
            with self.subTest(start=fields):
                self.assert_refused(self.loading().start(**fields), "INVALID_ARGUMENT", text)

    # -- in order

    def test_pieces_of_any_size(self):
        for piece in (1, 7, 511, 513, 3 << 20):
            data = self.data if piece > 100 else tar(layout_files((an_image(), "docker.io/library/x:1")))
            with self.subTest(piece=piece):
                self.assertEqual(1, len(load(self.client, data, piece=piece).images))

    def test_empty_pieces(self):
        """They mean nothing where the archive comes in order."""
        loading = self.loading().start()
        for at in range(0, len(self.data), 50_000):
            loading.data(b"").data(self.data[at : at + 50_000]).data(b"")
        self.assertEqual("done", [e.WhichOneof("event") for e in loading.close()][-1])

    def test_piece_that_is_larger_than_a_message_may_be(self):
        self.assert_refused(self.loading().start().data(bytes(32 << 20)).close(), "RESOURCE_EXHAUSTED", "larger|message|max")

    def test_no_half_close(self):
        """The archive has its end mark, yet the client says nothing more."""
        loading = Loading(self.client, timeout=0.5).start().data(self.data)
        self.addCleanup(loading.close)
        self.assert_refused(loading, "DEADLINE_EXCEEDED", "Deadline", kept=True)
        self.assert_all_is_let_go()

    def test_size_in_order_is_only_a_hint(self):
        for size in (0, 1, len(self.data), 1 << 50):
            with self.subTest(size=size):
                events = list(self.loading().start(size=size).data(self.data).close())
                self.assertEqual("done", events[-1].WhichOneof("event"))

    # -- on demand

    def test_exactly_what_is_asked_for(self):
        loaded = load(self.client, self.data, True)
        self.assertEqual(["x:1"], list(loaded.images[0].references))
        for want in loaded.wants:
            self.assertGreater(want.length, 0)
            self.assertGreaterEqual(want.offset, 0)
            self.assertLessEqual(want.offset + want.length, len(self.data))
        self.assertLess(loaded.asked, 2 * len(self.data))

    def test_answer_in_many_pieces(self):
        self.assertEqual(1, len(load(self.client, self.data, True, piece=333).images))

    def test_more_than_is_asked_for(self):
        loading = self.loading().start(seekable=True, size=len(self.data))
        want = self.wants(loading)
        loading.data(self.data[want.offset : want.offset + want.length] + b"x")
        self.assert_refused(loading, "INVALID_ARGUMENT", "more data came than was asked for")

    def test_more_than_is_asked_for_of_a_compressed_archive(self):
        data = compress(self.data, "gzip")
        loading = self.loading().start(seekable=True, size=len(data))
        first = self.wants(loading)
        loading.data(data[first.offset : first.offset + first.length])
        every = self.wants(loading)
        self.assertEqual((0, len(data)), (every.offset, every.length))
        loading.data(data[:-1]).data(data[-1:] + b"x")
        self.assert_refused(loading, "INVALID_ARGUMENT", "more data came than was asked for")

    def test_data_that_nobody_asked_for(self):
        """Before the first answer: then it is the answer, and the answer is too much."""
        loading = self.loading().start(seekable=True, size=len(self.data)).data(self.data[:100])
        want = self.wants(loading)
        loading.data(self.data[want.offset : want.offset + want.length])
        self.assert_refused(loading, "INVALID_ARGUMENT", "more data came than was asked for")

    def test_data_after_the_last_answer_is_ignored(self):
        loading = self.loading().start(seekable=True, size=len(self.data))
        kinds = []
        for event in loading:
            kinds.append(event.WhichOneof("event"))
            if kinds[-1] == "want":
                loading.data(self.data[event.want.offset : event.want.offset + event.want.length])
            elif kinds[-1] == "image":
                loading.data(b"x" * 1000)
        self.assertEqual("done", kinds[-1])

    def test_less_than_is_asked_for(self):
        for ended in ("by an empty message", "by a half-close"):
            with self.subTest(ended=ended):
                loading = self.loading().start(seekable=True, size=len(self.data))
                want = self.wants(loading)
                loading.data(self.data[want.offset : want.offset + want.length - 1])
                loading.close() if "half" in ended else loading.data(b"")
                self.assert_refused(loading, "FAILED_PRECONDITION", "unexpected EOF")

    def test_less_than_is_asked_for_of_a_compressed_archive(self):
        data = compress(self.data, "gzip")
        loading = self.loading().start(seekable=True, size=len(data))
        first = self.wants(loading)
        loading.data(data[first.offset : first.offset + first.length])
        self.wants(loading)
        loading.data(data[:-20]).data(b"")
        self.assert_refused(loading, "FAILED_PRECONDITION", "truncated|unexpected EOF")

    def test_nothing_of_what_is_asked_for(self):
        loading = self.loading().start(seekable=True, size=len(self.data)).close()
        self.assert_refused(loading, "FAILED_PRECONDITION", "unexpected EOF")

    def test_no_answer_ends_with_the_deadline(self):
        loading = Loading(self.client, timeout=0.5).start(seekable=True, size=len(self.data))
        self.addCleanup(loading.close)
        self.assert_refused(loading, "DEADLINE_EXCEEDED", "Deadline", kept=True)
        self.assert_all_is_let_go()

    def answer(self, loading, data):
        for event in loading:
            if event.WhichOneof("event") == "want":
                loading.data(data[event.want.offset : event.want.offset + event.want.length])
                if len(data) < event.want.offset + event.want.length:
                    loading.data(b"")

    def test_size_that_is_not_that_of_the_file(self):
        for size in (1, 512, 1000, len(self.data) // 2, len(self.data) + 1, 2 * len(self.data), 2**63 - 1):
            with self.subTest(size=size):
                loading = self.loading().start(seekable=True, size=size)
                with self.assertRaises(grpc.RpcError) as caught:
                    self.answer(loading, self.data)
                self.assertEqual("FAILED_PRECONDITION", caught.exception.code().name, caught.exception.details())
                self.assertRegex(caught.exception.details(), "unexpected EOF|truncated|sound tar|no such file")
                self.assert_nothing_kept()

    def test_other_bytes_at_the_second_look(self):
        """A file that changes meanwhile: what counts are the bytes that came."""
        evil = tar(layout_files((an_image("evil", size=300_000, seed=2), "docker.io/library/x:1")))
        loading, seen = self.loading().start(seekable=True, size=len(self.data)), 0
        with self.assertRaises(grpc.RpcError) as caught:
            for event in loading:
                source = evil if seen else self.data
                seen += 1
                loading.data(source[event.want.offset : event.want.offset + event.want.length].ljust(event.want.length, b"\0"))
        self.assertGreater(seen, 1)
        self.assertIn(reason(caught.exception), ("DIGEST_MISMATCH", "INVALID_CONTENT"))
        self.assert_nothing_kept()

    def test_compressed_file_is_asked_for_as_a_whole(self):
        from archives import COMPRESSIONS

        data = COMPRESSIONS["gzip"](self.data)
        loaded = load(self.client, data, True)
        self.assertEqual((0, len(data)), (loaded.wants[-1].offset, loaded.wants[-1].length))

    # -- clients that go away

    def assert_all_is_let_go(self):
        self.wait_until(lambda: not self.files(), "the service learns of it, and keeps nothing")
        self.assert_nothing_kept()
        self.assertEqual(1, len(load(self.client, self.data).images), "and works")

    def test_cancelled_in_the_middle(self):
        for seekable in (False, True):
            with self.subTest(seekable=seekable):
                loading = self.loading().start(seekable=seekable, size=len(self.data))
                if seekable:
                    self.wants(loading)
                loading.data(self.data[:40_000])
                loading.call.cancel()
                with self.assertRaises(grpc.RpcError) as caught:
                    list(loading)
                self.assertEqual("CANCELLED", caught.exception.code().name)
                self.assert_all_is_let_go()
                self.client.PruneImages(all=True)

    def test_connection_is_lost_in_the_middle(self):
        other = self.imaged.client()
        loading = Loading(other).start()
        loading.data(self.data[:200_000])
        other.close()
        loading.close()
        self.assert_all_is_let_go()

    def test_many_that_do_nothing_do_not_stop_the_others(self):
        idle = [self.loading().start() for _ in range(8)]
        self.assertEqual(1, len(load(self.client, self.data).images))
        for loading in idle:
            loading.call.cancel()

    def test_two_archives_under_one_name_one_after_the_other(self):
        for text in ("one", "two", "one"):
            image = an_image(text)
            load(self.client, tar(docker_files((image, "x:1"))))
            self.assertEqual(image.id, self.inspect("x:1").image.id)
        self.assert_clean(self.client)


class Imagectl(ArchiveCase):
    """What imagectl does between its input and the service."""

    def start(self, *args, address=None, stdout=subprocess.PIPE):
        """imagectl with a pipe as its input."""
        process = subprocess.Popen(
            [program("imagectl"), *args], env={**os.environ, "IMAGED_HOST": address or self.imaged.address},
            stdin=subprocess.PIPE, stdout=stdout, stderr=subprocess.PIPE,
        )
        self.addCleanup(process.__exit__, None, None, None)
        self.addCleanup(process.kill)
        return process

    def shown(self, screen, text):
        """Reads a terminal until it shows the text."""
        seen = b""
        while text not in seen:
            self.assertTrue(select.select([screen], [], [], 20 * SLOW)[0], f"nothing more after {seen}")
            seen += os.read(screen, 4096)
        return seen

    def follow(self, command, first, last):
        """`command` on a terminal, whose input goes on after the first event was shown."""

        def answer(requests, _):
            next(requests)
            self.assertEqual(b"one", next(requests).data)
            yield from first
            self.assertEqual(b"two", b"".join(request.data for request in requests))
            yield from last

        screen, terminal = pty.openpty()
        self.addCleanup(os.close, screen)
        address = "unix://" + self.path("fake.sock")
        with FakeService(address, **{command[0].title(): answer}):
            process = self.start(*command, address=address, stdout=terminal)
            os.close(terminal)
            process.stdin.write(b"one")
            process.stdin.flush()
            yield self.shown(screen, b"4.2kB")
            process.stdin.write(b"two")
            process.stdin.close()
            yield self.shown(screen, b"\n")
            self.assertEqual((b"", 0), (process.stderr.read(), process.wait(20 * SLOW)))

    def test_load_shows_progress_while_it_sends(self):
        layer = pb.LoadEvent(layer=pb.LoadLayer(diff_id="sha256:" + "ab" * 32, current=4200, total=8400))
        image = pb.LoadEvent(image=pb.LoadedImage(references=["x:1"]))
        first, last = self.follow(["load"], [layer], [image, pb.LoadEvent(done=pb.LoadDone())])
        self.assertIn(b"abababababab: Loading layer", first)
        self.assertIn(b"Loaded image: x:1", last)

    def test_import_shows_progress_while_it_sends(self):
        progress = pb.ImportEvent(progress=pb.ImportProgress(current=4200))
        done = pb.ImportEvent(done=pb.ImportDone(image_id="sha256:" + "ab" * 32))
        first, last = self.follow(["import", "-"], [progress], [done])
        self.assertEqual(b"\x1b[2K\rImporting    4.2kB", first.rstrip(b"\r"))
        self.assertEqual(b"\x1b[2K\rsha256:" + b"ab" * 32 + b"\r\n", last.lstrip(b"\r"))

    def test_events_of_a_newer_service_are_ignored(self):
        unknown = b"\x9a\x06\x03new"  # field 99: three bytes
        for command, last in (
            ("load", pb.LoadEvent(image=pb.LoadedImage(references=["x:1"]))),
            ("import", pb.ImportEvent(done=pb.ImportDone(image_id="Loaded image: x:1"))),
        ):

            def answer(requests, _, last=last):
                yield unknown
                list(requests)
                yield unknown
                yield last
                yield unknown

            address = "unix://" + self.path(command + ".sock")
            with FakeService(address, **{command.title(): answer}):
                process = self.start(command, *(["-"] if command == "import" else []), address=address)
                self.assertEqual((b"Loaded image: x:1\n", b""), process.communicate(b"data", 20 * SLOW))
                self.assertEqual(0, process.returncode)

    def test_call_that_fails_does_not_wait_for_more_input(self):
        for command, said in ((["load"], b"Error processing tar file[^\n]*invalid tar header"), (["import", "-c", "FROM x", "-"], b"Error response from daemon: FROM is not a valid")):
            process = self.start(*command)
            process.stdin.write(b"garbage\n" * 1000)
            process.stdin.flush()  # and the writer says nothing more
            self.assertEqual(1, process.wait(20 * SLOW), command)
            self.assertRegex(process.stderr.read(), rb"^" + said + rb"[^\n]*\n$")
        self.assert_nothing_kept()

    def test_input_that_cannot_be_read_is_named_and_is_no_answer_of_the_daemon(self):
        for command in (["load", "-i"], ["import"]):
            said = self.imaged.ctl(*command, "/proc/self/mem", check=False)
            self.assertEqual((1, "", "read /proc/self/mem: input/output error\n"), (said.returncode, said.stdout, said.stderr))
        self.wait_until(lambda: not self.files(), "nothing is kept")
        self.assert_nothing_kept()

class Repeated(ArchiveCase):
    """One large document that is named again and again is not asked for, read or searched
    each time: that would be hours of work for an archive of a few megabytes."""

    SECONDS = 30

    def assert_little_is_asked(self, data):
        """Gives up as soon as too much is asked for."""
        loading, images, asked, wants = Loading(self.client).start(seekable=True, size=len(data)), [], 0, 0
        self.addCleanup(loading.close)
        for event in loading:
            if event.WhichOneof("event") == "want":
                asked, wants = asked + event.want.length, wants + 1
                self.assertLess(asked, 2 * len(data))
                self.assertLess(wants, 100)
                loading.data(data[event.want.offset : event.want.offset + event.want.length])
            elif event.WhichOneof("event") == "image":
                images.append(event.image)
        return images

    def both_ways(self, data, image):
        for bring in (self.assert_little_is_asked, lambda data: load(self.client, data).images):
            images = bring(data)
            self.assertEqual([image.id], [one.image_id for one in images])
            yield images[0]
            self.assert_clean(self.client, self.tags())
            self.client.PruneImages(all=True)
            self.assert_nothing_kept()

    def test_index_that_many_descriptors_name(self):
        image = an_image()
        absent = [image.descriptor(platform=AMD64) | {"digest": f"sha256:{number:064x}"} for number in range(7500)]
        index = Index([(image, AMD64)], edit=lambda head: head.update(manifests=absent + head["manifests"]))
        self.assertGreater(index.size, 1_500_000)
        files = layout_files((index,))
        entry = index.descriptor(annotations={"io.containerd.image.name": "docker.io/library/x:1"})
        files["index.json"] = to_json({"schemaVersion": 2, "manifests": [entry] * 5000})
        for loaded in self.both_ways(tar(files), image):
            self.assertEqual(["x:1"], list(loaded.references))

    def test_configuration_that_many_entries_name(self):
        image = an_image(config={"org.example.padding": "x" * (1 << 20)})
        names = [f"x:{number}" for number in range(2000)]
        for loaded in self.both_ways(tar(docker_files(*[(image, name) for name in names])), image):
            self.assertEqual(names, list(loaded.references))
            self.assertEqual(sorted(f"docker.io/library/{name}" for name in names), self.tags())


class Idle(ArchiveCase):
    """Streams that are opened and then say nothing hold a handler each: a few of them may,
    and the rest of the service goes on."""

    SECONDS = 60
    COUNT, CONNECTIONS = 100, 4
    LEAST, MOST = 16, 32  # that may wait at a time

    def setUp(self):
        super().setUp()
        self.image = an_image()
        self.data = tar(layout_files((self.image, "docker.io/library/x:1")))
        load(self.client, self.data)
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.registry.repo("y").add(self.image, "1")
        self.silence = threading.Event()
        self.addCleanup(self.silence.set)

    def then_nothing(self, first):
        yield first
        self.silence.wait(60)

    def open(self, kinds):
        clients = [self.imaged.client() for _ in range(self.CONNECTIONS)]
        calls = []
        for number in range(self.COUNT):
            client = clients[number % self.CONNECTIONS]
            if kinds[number % len(kinds)] == "Load":
                calls.append(client.Load(self.then_nothing(pb.LoadRequest(start=pb.LoadStart()))))
            else:
                calls.append(client.Import(self.then_nothing(pb.ImportRequest(start=pb.ImportStart()))))
            self.addCleanup(calls[-1].cancel)
        return calls

    def assert_others_go_on(self):
        other = self.imaged.client()
        self.assertEqual(1, len(other.images()))
        done, _ = other.pull(f"{self.registry.host}/y:1", timeout=15 * SLOW)
        self.assertEqual(self.image.id, done.image_id)
        self.assertIn(self.image.data, save(other, "x:1", timeout=15 * SLOW))
        self.assertEqual(2, len(self.tags(other)))

    def ends_what_is_too_much(self, *kinds):
        calls = self.open(kinds)

        def ended():
            return [call for call in calls if call.done()]

        self.wait_until(lambda: len(ended()) >= self.COUNT - self.MOST, "those beyond the limit end")
        self.assert_others_go_on()
        for call in ended():
            self.assertEqual("RESOURCE_EXHAUSTED", call.code().name, call.details())
            self.assertRegex(call.details(), r"\A[ -~]{5,300}\Z")
        self.assertLessEqual(len(ended()), self.COUNT - self.LEAST)
        for call in calls:
            call.cancel()

        def loads():
            with contextlib.suppress(grpc.RpcError):
                return load(self.client, self.data).images

        self.wait_until(loads, "their places are free again")
        self.assert_clean(self.client)

    def test_hundred_loads(self):
        self.ends_what_is_too_much("Load")

    def test_hundred_imports(self):
        self.ends_what_is_too_much("Import")

    def test_hundred_of_both(self):
        self.ends_what_is_too_much("Load", "Import")
