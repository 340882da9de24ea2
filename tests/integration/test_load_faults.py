"""Load and Save while the disk is full, the client dies, others load, pull and remove
the same, and with a thousand images at once."""

import contextlib
import os
import re
import subprocess
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import grpc

from archives import (
    END,
    ArchiveCase,
    Loading,
    an_image,
    docker_files,
    layout_files,
    legacy_files,
    load,
    load_requests,
    padded,
    raw_header,
    save,
    unpack,
)
from fakeregistry import FakeRegistry
from harness import SLOW, TestCase, blob_path, incomplete, program
from ociimage import Image, Layer, random_bytes, sha256, tar
from rpc import pb, reason

LIBRARY = "docker.io/library/"
MIB = 1 << 20


class Disk(ArchiveCase):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("small"))
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", self.path("small")], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("mount is not permitted")
        self.addCleanup(subprocess.run, ["umount", "-l", self.path("small")], check=True)
        self.imaged = self.daemon(name="on-tmpfs", root=self.path("small", "root"))
        self.client = self.imaged.client()
        self.small = an_image("small", size=MIB)
        load(self.client, tar(docker_files((self.small, "small:1"))))

    def fill_up(self, left=0):
        status = os.statvfs(self.path("small"))
        size = status.f_bavail * status.f_frsize - left if left else None
        with open(self.path("small", "ballast"), "wb", buffering=0) as file, contextlib.suppress(OSError):
            while size is None or file.tell() < size:
                file.write(bytes(1 << 16))

    def refused(self, call):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        error = caught.exception
        self.assertEqual(("RESOURCE_EXHAUSTED", "DISK_FULL"), (error.code().name, reason(error)), error.details())
        self.assertRegex(error.details(), "needed|space|full")
        self.assertEqual({}, self.files("ingest"))
        self.assert_clean(self.client, [LIBRARY + "small:1"])
        self.assertEqual(3, len(self.files("content")), "nothing of it is left")

    def test_archive_that_does_not_fit(self):
        data = tar(docker_files((an_image(size=40 * MIB), "big:1")))
        for seekable in (True, False):
            with self.subTest(seekable=seekable):
                self.refused(lambda seekable=seekable: load(self.client, data, seekable))
        load(self.client, tar(docker_files((an_image("other", size=MIB), "other:1"))))
        self.assertEqual([LIBRARY + "other:1", LIBRARY + "small:1"], self.tags())

    def test_disk_that_fills_up_while_it_is_loaded(self):
        data = tar(docker_files((an_image(size=12 * MIB), "big:1")))
        for seekable in (True, False):
            with self.subTest(seekable=seekable):
                loading = Loading(self.client).start(seekable=seekable, size=len(data))
                self.addCleanup(loading.close)

                def go_on(loading=loading, seekable=seekable):
                    """Half of the archive, then the disk is full, then the rest."""
                    if not seekable:
                        loading.data(data[: 2 * MIB])
                    for event in loading if seekable else ():
                        if event.WhichOneof("event") != "want":
                            continue
                        want = event.want
                        if want.length > 4 * MIB:
                            loading.data(data[want.offset : want.offset + MIB])
                            break
                        loading.data(data[want.offset : want.offset + want.length])
                    self.fill_up()
                    for at in range(0, len(data), MIB):
                        loading.data(data[at : at + MIB])
                    loading.close()
                    return list(loading)

                with self.assertRaises(grpc.RpcError) as caught:
                    go_on()
                os.unlink(self.path("small", "ballast"))
                self.assertEqual("DISK_FULL", reason(caught.exception), caught.exception.details())
                self.assert_clean(self.client, [LIBRARY + "small:1"])
        load(self.client, data)
        self.assertEqual([LIBRARY + "big:1", LIBRARY + "small:1"], self.tags())

    def no_room_for_metadata(self, seekable):
        """All content is here, and one image is named; for thousands of names there is no room."""
        first, many = an_image("first"), an_image("many")
        names = [f"many:{number}-{'n' * 100}" for number in range(8000)]
        archive = tar(docker_files((first, "first:1"), (many, *names)))
        self.fill_up(left=4 * MIB)
        told = []
        with self.assertRaises(grpc.RpcError) as caught, Loading(self.client).start(seekable=seekable, size=len(archive)) as loading:
            if not seekable:
                loading.data(archive).close()
            for event in loading:
                if event.WhichOneof("event") == "want":
                    loading.data(archive[event.want.offset : event.want.offset + event.want.length])
                if event.WhichOneof("event") == "image":
                    told += event.image.references
        self.assertEqual(("RESOURCE_EXHAUSTED", "DISK_FULL"), (caught.exception.code().name, reason(caught.exception)), caught.exception.details())
        self.assertRegex(caught.exception.details(), "space|full")
        self.assertEqual(["first:1"], told)
        tags = self.tags()
        self.assertLessEqual({LIBRARY + "first:1", LIBRARY + "small:1"}, set(tags))
        self.assertLess(len(tags), 8000)
        self.assert_clean(self.client)
        self.assertEqual([], incomplete(self.imaged.root, self.client))
        self.assertEqual({}, self.files("ingest"))
        os.unlink(self.path("small", "ballast"))
        load(self.client, archive, seekable)
        self.assertEqual(8002, len(self.tags()))
        self.assert_clean(self.client)

    def test_metadata_that_does_not_fit_of_a_file(self):
        self.no_room_for_metadata(True)

    def test_metadata_that_does_not_fit_of_a_pipe(self):
        self.no_room_for_metadata(False)

    def test_save_from_a_full_disk(self):
        self.fill_up()
        self.assertEqual(7, len(unpack(save(self.client, "small:1"))))


class GivesUp(TestCase):
    """A service that asks for bytes and ends the call before it has them all: imagectl
    tells why, not that its writing failed."""

    def test_reason_is_told(self):
        def load_half(requests, context):
            next(requests)
            yield pb.LoadEvent(want=pb.LoadWant(offset=0, length=64 * MIB))
            next(requests)
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the disk is full")

        handler = grpc.stream_stream_rpc_method_handler(load_half, pb.LoadRequest.FromString, pb.LoadEvent.SerializeToString)
        server = grpc.server(ThreadPoolExecutor(1))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("imaged.v1.ImageService", {"Load": handler}),))
        address = "unix://" + self.path("fake.sock")
        server.add_insecure_port(address)
        server.start()
        self.addCleanup(server.stop, None)
        with open(self.path("x.tar"), "wb") as file:
            file.truncate(64 * MIB)
        done = subprocess.run([program("imagectl"), "-H", address, "load", "-i", self.path("x.tar")], capture_output=True, text=True)
        self.assertEqual((1, "", "the disk is full\n"), (done.returncode, done.stdout, done.stderr))


class Killed(ArchiveCase):
    def setUp(self):
        super().setUp()
        self.image = an_image(size=8 * MIB)
        self.archive = tar(layout_files((self.image, LIBRARY + "x:1")))

    def kill_in_the_middle(self):
        """imagectl gets two thirds of an archive and waits for more in its pipe."""
        process = subprocess.Popen([program("imagectl"), "load"], env={**os.environ, "IMAGED_HOST": self.imaged.address}, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write(self.archive[: len(self.archive) * 2 // 3])
        process.stdin.flush()
        self.wait_until(lambda: sum(size for size, _ in self.files("ingest").values()) > MIB, "bytes that arrive")
        return process

    def test_client_is_killed_in_the_middle(self):
        process = self.kill_in_the_middle()
        process.kill()
        process.communicate()
        self.wait_until(lambda: not self.files(), "what it sent is gone")
        self.assert_nothing_kept()
        load(self.client, self.archive)
        self.assert_clean(self.client, [LIBRARY + "x:1"])

    def test_daemon_is_killed_in_the_middle(self):
        process = self.kill_in_the_middle()
        self.imaged.kill()
        out, said = process.communicate(timeout=20 * SLOW)
        self.assertEqual((1, b"", 1), (process.returncode, out, said.count(b"\n")), said)
        self.imaged.start()
        self.client = self.imaged.client()
        self.assertEqual([], self.client.images())
        load(self.client, self.archive)
        self.assert_clean(self.client, [LIBRARY + "x:1"])
        self.client.PruneImages(all=True)
        self.assert_nothing_kept()

    def test_daemon_ends_orderly_in_the_middle(self):
        process = self.kill_in_the_middle()
        self.imaged.process.terminate()
        self.assertTrue(self.imaged.wait_log("finishing the calls that run"))
        process.stdin.write(self.archive[len(self.archive) * 2 // 3 :])
        out, said = process.communicate(timeout=40 * SLOW)
        self.assertEqual((0, b"Loaded image: x:1\n"), (process.returncode, out), said)
        self.imaged._close_clients()
        self.assertEqual(0, self.imaged.wait())
        self.imaged.start()
        self.client = self.imaged.client()
        self.assert_clean(self.client, [LIBRARY + "x:1"])


class Published(ArchiveCase):
    """Once the first image of an archive is named, all of them are, whoever goes away."""

    COUNT = 50

    def setUp(self):
        super().setUp()
        self.archive = tar(docker_files(*[(an_image(f"{n}"), f"x:{n}") for n in range(self.COUNT)]))
        self.names = [f"{LIBRARY}x:{n}" for n in range(self.COUNT)]

    def goes_away_at_the_first_image(self, client, seekable, go_away):
        loading = Loading(client).start(seekable=seekable, size=len(self.archive))
        self.addCleanup(loading.close)
        if not seekable:
            loading.data(self.archive).close()
        for event in loading:
            if event.WhichOneof("event") == "want":
                loading.data(self.archive[event.want.offset : event.want.offset + event.want.length])
            if event.WhichOneof("event") == "image":
                go_away(loading)
                break
        self.wait_until(lambda: len(self.tags()) == self.COUNT, "all images of the archive")
        self.assert_clean(self.client, self.names)
        self.assertEqual([], incomplete(self.imaged.root, self.client))
        self.wait_until(lambda: len(self.files()) == 3 * self.COUNT, "the documents of the archive have gone")
        self.client.PruneImages(all=True)
        self.assert_nothing_kept()

    def test_cancelled_at_the_first_image(self):
        for seekable in (False, True):
            with self.subTest(seekable=seekable):
                self.goes_away_at_the_first_image(self.client, seekable, lambda loading: loading.call.cancel())

    def test_connection_is_lost_at_the_first_image(self):
        for seekable in (False, True):
            with self.subTest(seekable=seekable):
                other = self.imaged.client()
                self.goes_away_at_the_first_image(other, seekable, lambda _, other=other: other.close())


class AtOnce(ArchiveCase):
    def setUp(self):
        super().setUp()
        base = Layer(tar({"base": random_bytes(2 * MIB, 1)}), "gzip", level=1)
        self.images = [Image([base, Layer(tar({"n": random_bytes(200_000, n)}))]) for n in range(4)]
        self.archive = tar(layout_files(*[(image, f"{LIBRARY}x:{n}") for n, image in enumerate(self.images)]))
        self.names = [f"{LIBRARY}x:{n}" for n in range(4)]

    def eight_times(self, archive, blobs):
        """Files and pipes mixed."""
        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(lambda n: load(self.imaged.client(), archive, n % 2 == 0), range(8)))
        self.assertEqual(1, len({tuple((i.image_id, i.manifest_digest) for i in one.images) for one in done}), "the same for all")
        self.assertEqual([image.id for image in self.images], [image.image_id for image in done[0].images])
        self.assert_clean(self.client, self.names)
        self.assertEqual(4, len(self.client.images()))
        self.assertEqual([], incomplete(self.imaged.root, self.client))
        self.assertEqual({}, self.files("ingest"))
        self.assertEqual(blobs, len(self.files("content")))

    def test_layout_eight_times(self):
        self.eight_times(self.archive, 1 + 4 + 4 + 4)

    def test_docker_archive_eight_times(self):
        """The manifest that is made for each is the same."""
        self.eight_times(tar(docker_files(*[(image, f"x:{n}") for n, image in enumerate(self.images)])), 1 + 4 + 4 + 4)

    def test_docker_20_10_eight_times(self):
        self.eight_times(tar(legacy_files(*[(image, f"x:{n}") for n, image in enumerate(self.images)])), 1 + 4 + 4 + 4)

    def test_while_images_are_removed_and_pruned(self):
        stop, failures = threading.Event(), []

        def destroy(client):
            while not stop.is_set():
                client.PruneImages(all=True)
                with contextlib.suppress(grpc.RpcError):
                    client.RemoveImage(image="x:1", force=True)

        def bring(number):
            client = self.imaged.client()
            for turn in range(6):
                try:
                    load(client, self.archive, (turn + number) % 2 == 0)
                except grpc.RpcError as error:
                    if error.code() != grpc.StatusCode.ABORTED:
                        failures.append(f"{error.code().name}: {error.details()}")

        with ThreadPoolExecutor(4) as pool:
            destroyers = [pool.submit(destroy, self.imaged.client()) for _ in range(2)]
            for job in [pool.submit(bring, n) for n in range(2)]:
                job.result()
            stop.set()
            for job in destroyers:
                job.result()
        self.assertEqual([], failures)
        self.assertEqual([], incomplete(self.imaged.root, self.client))
        load(self.client, self.archive)
        self.assert_clean(self.client, self.names)
        self.assertEqual([], incomplete(self.imaged.root, self.client))
        self.client.PruneImages(all=True)
        self.assert_nothing_kept()

    def test_what_was_present_is_removed_before_the_end(self):
        """The archive's base was here and was passed over; then its image is removed."""
        one, two = self.images[:2]
        load(self.client, tar(layout_files((one, LIBRARY + "one:1"))))
        archive = tar(layout_files((two, LIBRARY + "two:1")))
        at = archive.index(two.layers[1].blob.data)
        other = self.imaged.client()
        loading, removed = Loading(self.client).start(seekable=True, size=len(archive)), False
        self.addCleanup(loading.close)
        with self.assertRaises(grpc.RpcError) as caught:
            for event in loading:
                if event.WhichOneof("event") != "want":
                    continue
                end = event.want.offset + event.want.length
                if event.want.offset < at + two.layers[1].blob.size and end > at + (64 << 10):
                    other.RemoveImage(image="one:1")
                    other.PruneImages(all=True)
                    removed = True
                loading.data(archive[event.want.offset : end])
        self.assertTrue(removed, "the new layer was asked for")
        self.assertEqual("ABORTED", caught.exception.code().name, caught.exception.details())
        self.assertRegex(caught.exception.details(), "was removed while it was being loaded: load again")
        self.assertEqual([], incomplete(self.imaged.root, self.client))
        self.assert_clean(self.client)
        load(self.client, archive, True)
        self.assert_clean(self.client, [LIBRARY + "two:1"])

    def test_pull_and_load_of_the_same_blobs(self):
        with FakeRegistry() as registry:
            for number, image in enumerate(self.images):
                registry.repo("x").add(image, str(number))
            for turn in range(4):
                with self.subTest(turn=turn), ThreadPoolExecutor(8) as pool:
                    jobs = [pool.submit(self.imaged.client().pull, f"{registry.host}/x:{n}") for n in range(4)]
                    jobs += [pool.submit(load, self.imaged.client(), self.archive, n % 2 == 0) for n in range(3)]
                    for job in jobs:
                        job.result()
                    pulled = [f"{registry.host}/x:{n}" for n in range(4)]
                    self.assert_clean(self.client, [*self.names, *pulled])
                    self.assertEqual([], incomplete(self.imaged.root, self.client))
                    self.assertEqual(4, len(self.client.images()), "the same manifests")
                self.client.PruneImages(all=True)
                self.assert_nothing_kept()

    def test_document_of_another_load_that_goes_again(self):
        """A load finds the oci-layout of another one, which is then cancelled and takes it away."""
        image = an_image(size=2 * MIB)
        own = layout_files((image, LIBRARY + "own:1"))
        document = blob_path(self.imaged.root, sha256(own["oci-layout"]))
        other = Loading(self.imaged.client()).start()
        other.data(tar({"oci-layout": own["oci-layout"], **{f"m{n}": b"%d" % n for n in range(200)}})[:-1024])
        self.wait_until(lambda: os.path.exists(document), "a whole batch is content")
        loading, archive = Loading(self.client).start(), tar(own)
        self.addCleanup(loading.close)
        loading.data(archive[: 1 * MIB])
        self.wait_until(lambda: sum(size for size, _ in self.files("ingest").values()) > MIB // 2, "the layer comes")
        other.call.cancel()
        self.wait_until(lambda: not os.path.exists(document), "it is gone again")
        loading.data(archive[1 * MIB :]).close()
        list(loading)
        self.assert_clean(self.client, [LIBRARY + "own:1"])

    def test_save_while_the_same_is_loaded(self):
        load(self.client, self.archive)
        whole = save(self.client, *self.names)
        with ThreadPoolExecutor(6) as pool:
            saves = [pool.submit(save, self.imaged.client(), *self.names) for _ in range(4)]
            loads = [pool.submit(load, self.imaged.client(), self.archive) for _ in range(4)]
            self.assertEqual({whole}, {job.result() for job in saves})
            for job in loads:
                job.result()
        self.assert_clean(self.client, self.names)


class MemoryCase(ArchiveCase):
    def peak(self, work):
        """MiB of anonymous memory of the daemon at the most while work() goes on."""
        done, most = threading.Event(), [0]

        def sample():
            while not done.wait(0.02):
                with contextlib.suppress(OSError), open(f"/proc/{self.imaged.pid}/status", encoding="ascii") as file:
                    most[0] = max(most[0], int(re.search(r"RssAnon:\s+(\d+)", file.read())[1]))

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            work()
        finally:
            done.set()
            sampler.join()
        self.assertGreater(most[0], 0)
        return most[0] / 1024


class Many(MemoryCase):
    """A thousand images, and a large one: the daemon's memory stays flat."""

    SECONDS = 120

    def test_thousand_distinct_tiny_images(self):
        images = [(an_image(f"{n}"), f"tiny:{n}") for n in range(1000)]
        archive = tar(docker_files(*images))
        self.assertLess(self.peak(lambda: load(self.client, archive, True, timeout=110)), 64)
        self.assertEqual(1000, len(self.client.images()))
        self.assertEqual(3000, len(self.files("content")))
        self.assertLess(self.peak(lambda: self.assertEqual(3004, len(unpack(save(self.client, "tiny"))))), 64)

    def test_many_tiny_images_through_a_pipe(self):
        archive = tar(docker_files(*[(an_image(f"{n}"), f"tiny:{n}") for n in range(200)]))
        self.assertLess(self.peak(lambda: load(self.client, archive)), 64)
        self.assertEqual(600, len(self.files("content")))
        self.client.PruneImages(all=True)
        self.assert_nothing_kept()

    def test_large_image(self):
        image = an_image(size=160 * MIB)
        archive = tar(layout_files((image, LIBRARY + "large:1")))
        for seekable in (True, False):
            with self.subTest(seekable=seekable):
                self.assertLess(self.peak(lambda seekable=seekable: load(self.client, archive, seekable)), 64)
                self.client.PruneImages(all=True)
        load(self.client, archive, True)
        del archive
        self.assertLess(self.peak(lambda: [None for _ in self.client.Save(images=["large:1"])]), 64)


def same_name(count):
    """Members of one name, in pieces: of 64 one has bytes, which no other one has. (What is
    brought in and removed again makes ext4 slow for some seconds; empty members do not.)"""
    full, empty = raw_header("same", 16), raw_header("same") * 63
    for at in range(0, count, 256):
        yield b"".join(full + padded(b"%016d" % number) + empty for number in range(at, at + 256, 64))
    yield END


def empty_members(count):
    piece = raw_header("same") * 512
    for _ in range(0, count, 512):
        yield piece
    yield END


def packed(pieces):
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


class Members(MemoryCase):
    """Members that replace each other count, too. The archives are made as they are
    sent, and are cut off long before they would be whole."""

    SECONDS = 90

    def assert_too_many(self, pieces):
        def refused():
            self.assert_rpc_fails("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", self.client.Load, load_requests(pieces), text="more than [0-9]+ members")

        self.assertLess(self.peak(refused), 64)
        self.assert_nothing_kept()
        self.assert_clean(self.client, [])

    def test_of_one_name_with_other_bytes(self):
        self.assert_too_many(same_name(200_000))

    def test_of_one_name_with_other_bytes_compressed(self):
        self.assert_too_many(packed(same_name(200_000)))

    def test_ten_millions_that_are_empty(self):
        self.assert_too_many(empty_members(10_000_000))

    def test_ten_millions_through_imagectl(self):
        process = subprocess.Popen([program("imagectl"), "load"], env={**os.environ, "IMAGED_HOST": self.imaged.address},
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)

        def write():
            with contextlib.suppress(BrokenPipeError):
                for piece in empty_members(10_000_000):
                    process.stdin.write(piece)

        self.assertLess(self.peak(write), 64)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        said, error = process.stdout.read(), process.stderr.read()
        self.assertEqual((1, b""), (process.wait(), said), error)
        self.assertRegex(error, rb"\A[ -~]*more than [0-9]+ members[ -~]*\n\Z")
        self.assert_nothing_kept()
