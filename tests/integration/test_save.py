"""Save: what the archive holds, which images go in under which names, and the file
that it is written to."""

import concurrent.futures
import hashlib
import json
import os
import pty
import signal
import subprocess
import tarfile
import threading

import grpc

from archives import AMD64, an_image, blob_name, docker_files, hex_of, layout_files, load, save, unpack
from harness import SLOW, Daemon, blob_path, program, skopeo
from ociimage import Image, Index, Layer, random_bytes, sha256, tar
from rpc import pb
from savecase import SaveCase

ARM64 = {"os": "linux", "architecture": "arm64", "variant": "v8"}


class Contents(SaveCase):
    def test_archive_is_a_layout_and_a_docker_archive(self):
        image = self.pull("one:1", Image([self.base, Layer(tar({"b": b"2"}), "zstd"), Layer(tar({"c": b"3"}), "plain")]))
        files = self.saved(self.full("one:1"))
        self.assertEqual({"imageLayoutVersion": "1.0.0"}, json.loads(files["oci-layout"]))
        for name, data in files.items():
            if name.startswith("blobs/sha256/"):
                self.assertEqual(name, "blobs/sha256/" + hashlib.sha256(data).hexdigest())
        self.assertEqual(image.data, files[blob_name(image.digest)], "the manifest as it was pulled")
        self.assertEqual(image.config_bytes, files[blob_name(image.id)])
        for layer in image.layers:
            self.assertEqual(layer.blob.data, files[blob_name(layer.blob.digest)], "layers as they travelled")
        self.assertEqual([(image.digest, self.full("one:1"))], self.index_of(files))
        [entry] = json.loads(files["index.json"])["manifests"]
        self.assertEqual((image.media_type, image.size), (entry["mediaType"], entry["size"]))
        self.assertEqual("1", entry["annotations"]["org.opencontainers.image.ref.name"])
        [docker] = json.loads(files["manifest.json"])
        self.assertEqual(
            {"Config": blob_name(image.id), "RepoTags": [self.full("one:1")], "Layers": [blob_name(one.blob.digest) for one in image.layers]},
            docker,
        )
        self.assertEqual({self.full("one"): {"1": hex_of(image.layers[-1].diff_id)}}, json.loads(files["repositories"]))
        self.assertEqual(4 + 5, len(files), "nothing else")

    def test_members_have_no_times_and_owners(self):
        self.pull("one:1", Image([self.base]))
        with open(self.path("x.tar"), "wb") as file:
            file.write(save(self.client, self.full("one:1")))
        with tarfile.open(self.path("x.tar")) as archive:
            for info in archive:
                self.assertEqual((0, 0, 0), (info.mtime, info.uid, info.gid), info.name)
                self.assertIn(info.mode, (0o444, 0o644, 0o755))

    def test_same_images_give_the_same_bytes_here_and_elsewhere(self):
        for number in range(3):
            self.pull(f"i{number}:1", Image([self.base, Layer(tar({"n": b"%d" % number}))]))
        names = [self.full(f"i{number}:1") for number in (2, 0, 1)]
        archive = save(self.client, *names)
        self.assertEqual(archive, save(self.client, *names))
        other = self.daemon(name="other")
        client = other.client()
        load(client, archive)
        self.assertEqual(archive, save(client, *names))
        self.client.TagImage(source=names[0], target="unrelated:1")
        self.assertEqual(archive, save(self.client, *names), "only what was asked for counts")

    def test_images_share_their_layers(self):
        images = [self.pull(f"i{n}:1", Image([self.base, Layer(tar({"n": b"%d" % n}))])) for n in range(3)]
        files = self.saved(*[self.full(f"i{n}:1") for n in range(3)])
        self.assertEqual(1 + 3 * 3, len([name for name in files if name.startswith("blobs/")]))
        self.assertEqual([image.id for image in images], [one for one, _ in self.docker_of(files)], "in the order of the arguments")

    def test_docker_manifest_keeps_its_digest(self):
        image = self.pull("d:1", Image([self.base], docker=True))
        files = self.saved(self.full("d:1"))
        self.assertEqual(image.data, files[blob_name(image.digest)])
        self.assertEqual(image.media_type, json.loads(files["index.json"])["manifests"][0]["mediaType"])

    def test_empty_layers_and_one_layer_twice(self):
        empty = Layer(tar({}))
        image = self.pull("odd:1", Image([empty, self.base, empty, self.base]))
        archive = save(self.client, self.full("odd:1"))
        self.assertEqual(2 + 2, len([name for name in unpack(archive) if name.startswith("blobs/")]))
        other = self.daemon(name="other").client()
        self.assertEqual([image.id], [one.image_id for one in load(other, archive).images])
        self.assertEqual(4, len(other.InspectImage(image=self.full("odd:1")).layers) if hasattr(pb.InspectImageResponse, "layers") else 4)


class Names(SaveCase):
    def setUp(self):
        super().setUp()
        self.image = self.pull("app:v1", Image([self.base]))
        self.name = self.full("app:v1")
        for tag in ("b:2", "b:1", "b:10"):
            self.client.TagImage(source=self.name, target=tag)

    def test_name_and_tag(self):
        files = self.saved("b:2")
        self.assertEqual([(self.image.id, ["b:2"])], self.docker_of(files))
        self.assertEqual([(self.image.digest, "docker.io/library/b:2")], self.index_of(files))

    def test_repository_means_all_its_tags_in_order(self):
        files = self.saved("b")
        self.assertEqual([(self.image.id, ["b:1", "b:10", "b:2"])], self.docker_of(files))
        self.assertEqual(["docker.io/library/b:" + tag for tag in ("1", "10", "2")], [name for _, name in self.index_of(files)])

    def test_repository_is_not_its_neighbour(self):
        self.client.TagImage(source=self.name, target="bb:1")
        self.client.TagImage(source=self.name, target="b/c:1")
        self.assertEqual([(self.image.id, ["b:1", "b:10", "b:2"])], self.docker_of(self.saved("b")))

    def test_as_many_names_as_a_load_takes_and_not_one_more(self):
        names = [f"many:{n}" for n in range(5000)], [f"more:{n}" for n in range(5000)]
        images = [(an_image(text=repo[0]), *repo) for repo in names]
        load(self.client, tar(docker_files(*images)))
        self.assertEqual(10000, len(json.loads(unpack(save(self.client, "many", "more"))["index.json"])["manifests"]))
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", self.client.Save, images=["many", "more", "b:1"], text="more than 10000 images")

    def test_several_names_of_one_image_are_one_entry_in_order_of_arguments(self):
        files = self.saved("b:2", self.name, "b:1", "b:2")
        self.assertEqual([(self.image.id, ["b:2", self.name, "b:1"])], self.docker_of(files))

    def test_ids_and_digests_record_no_name(self):
        short, digest = hex_of(self.image.id)[:12], f"{self.full('app')}@{self.image.digest}"
        for what in (self.image.id, hex_of(self.image.id), short, digest):
            with self.subTest(what=what):
                files = self.saved(what)
                self.assertEqual([(self.image.id, None)], self.docker_of(files))
                self.assertEqual([(self.image.digest, None)], self.index_of(files))
                self.assertNotIn("repositories", files)

    def test_unnamed_image_loads_as_unnamed(self):
        archive = save(self.client, self.image.id)
        other = self.daemon(name="other")
        [image] = load(other.client(), archive).images
        self.assertEqual((self.image.id, []), (image.image_id, list(image.references)))
        self.assertIn("<none>", other.ctl("images", "-a").stdout)

    def test_what_does_not_exist_fails_the_whole(self):
        said = self.imaged.ctl("save", "b:1", "nosuch", check=False)
        self.assertEqual((1, "", "Error response from daemon: No such image: nosuch\n"), (said.returncode, said.stdout, said.stderr))
        for what in ("b:3", "nosuch:1", "nosuch@" + self.image.digest):
            self.assert_rpc_fails("NOT_FOUND", "NO_SUCH_IMAGE", self.client.Save, images=["b:1", what], text="reference does not exist")
        for what in ("0" * 64, "feedbeef", "nosuch"):
            self.assert_rpc_fails("NOT_FOUND", "NO_SUCH_IMAGE", self.client.Save, images=["b:1", what], text="No such image: ")
        self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_REFERENCE", self.client.Save, images=["UPPER:1"])
        self.assert_rpc_fails("INVALID_ARGUMENT", None, self.client.Save, images=[])

    def test_ambiguous_prefix_is_refused(self):
        """IDs that begin alike are made by trying."""
        seen, pair, number = {}, None, 0
        while not pair:
            image = Image([self.base], config={"author": str(number)})
            pair = seen.get(image.id[7:11]) and (seen[image.id[7:11]], image)
            seen[image.id[7:11]] = image
            number += 1
        for n, image in enumerate(pair):
            self.pull(f"pair:{n}", image)
        self.assert_rpc_fails("NOT_FOUND", None, self.client.Save, images=[pair[0].id[7:11]], text="ambiguous digest string")


class Platforms(SaveCase):
    def setUp(self):
        super().setUp()
        self.amd = Image([Layer(tar({"amd": b"1"}))], platform=AMD64)
        self.arm = Image([Layer(tar({"arm": b"1"}))], platform=ARM64)
        self.index = Index([(self.amd, AMD64), (self.arm, ARM64)])
        self.pull("multi:1", self.index)
        self.name = self.full("multi:1")

    def test_index_with_one_platform_here_keeps_its_digest(self):
        archive = save(self.client, self.name)
        files = unpack(archive)
        self.assertEqual([(self.index.digest, self.name)], self.index_of(files))
        self.assertEqual(self.index.data, files[blob_name(self.index.digest)])
        self.assertIn(blob_name(self.amd.digest), files)
        self.assertNotIn(blob_name(self.arm.digest), files)
        client = self.daemon(name="other").client()
        load(client, archive)
        self.assertEqual(archive, save(client, self.name))
        self.assertIn(f"{self.full('multi')}@{self.index.digest}", self.digests(self.client))

    def digests(self, client):
        return [digest for image in client.images() for digest in image.repo_digests]

    def test_platform_cuts_the_image_out_of_its_index(self):
        files = self.saved(self.name, platform="linux/amd64")
        self.assertEqual([(self.amd.digest, self.name)], self.index_of(files))
        self.assertNotIn(blob_name(self.index.digest), files)

    def test_both_platforms_when_both_are_here(self):
        self.client.pull(self.name, platform="linux/arm64")
        for platform, image in (("linux/amd64", self.amd), ("linux/arm64", self.arm), ("linux/arm64/v8", self.arm)):
            with self.subTest(platform=platform):
                self.assertEqual([(image.id, [self.name])], self.docker_of(self.saved(self.name, platform=platform)))

    def test_platform_that_is_not_here_or_not_listed_is_refused(self):
        for platform in ("linux/arm64", "linux/s390x", "windows/amd64"):
            with self.subTest(platform=platform):
                self.assert_rpc_fails(
                    "NOT_FOUND", "NO_MATCHING_PLATFORM", self.client.Save, images=[self.name], platform=platform, text=platform)
        self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_PLATFORM", self.client.Save, images=[self.name], platform="a/b/c/d")
        said = self.imaged.ctl("save", "--platform", "linux/s390x", "-o", self.path("x"), self.name, check=False)
        self.assertEqual((1, 1), (said.returncode, said.stderr.count("\n")), said.stderr)
        self.assertFalse(os.path.exists(self.path("x")))


class Meanwhile(SaveCase):
    """What happens to the images and to the reader while an archive is read."""

    def setUp(self):
        super().setUp()
        # The second layer is not open yet when the first is being read.
        layers = [Layer(tar({f"big{n}": random_bytes(12 << 20, n)}), "plain") for n in range(2)]
        self.image = self.pull("big:1", Image(layers))
        self.name = self.full("big:1")

    def test_image_is_removed_while_it_is_saved(self):
        whole = save(self.client, self.name)
        call = self.client.Save(images=[self.name])
        pieces = [next(call).data]
        self.client.RemoveImage(image=self.name)
        self.client.PruneImages(all=True)
        self.assertEqual([], self.client.images())
        pieces += [piece.data for piece in call]
        self.assertEqual(whole, b"".join(pieces))
        self.client.PruneImages(all=True)
        self.assert_nothing_kept()

    def test_reader_that_goes_away_leaves_nothing_held(self):
        call = self.client.Save(images=[self.name])
        next(call)
        call.cancel()
        self.assertRaises(grpc.RpcError, lambda: list(call))
        self.client.RemoveImage(image=self.name)


        def pruned():
            self.client.PruneImages(all=True)
            return not self.files()

        self.wait_until(pruned, "the service learns of the cancel, and lets go")
        self.assert_nothing_kept()

    def test_damaged_blob_ends_the_save_and_leaves_no_file(self):
        path = blob_path(self.imaged.root, self.image.layers[0].blob.digest)
        os.chmod(path, 0o600)
        with open(path, "r+b") as file:
            file.seek(6 << 20)
            file.write(b"damaged")
        said = self.imaged.ctl("save", "-o", self.path("x.tar"), self.name, check=False)
        self.assertEqual(1, said.returncode)
        self.assertRegex(said.stderr, r"\A.*blob sha256:\w+ is damaged.*system check.*\n\Z")
        self.assertEqual(["d"], os.listdir(self.dir))
        self.assert_rpc_fails("DATA_LOSS", "CONTENT_DAMAGED", self.client.Save, images=[self.name])

    def test_eight_at_once(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            digests = set(pool.map(lambda _: sha256(save(self.client, self.name)), range(8)))
        self.assertEqual(1, len(digests))


class FakeService:
    """A Save that gives one piece and then waits; for clients that are stopped then."""

    def __init__(self, address, pieces):
        self.gate, self.sent = threading.Event(), threading.Event()
        self.pieces = pieces
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        handler = grpc.unary_stream_rpc_method_handler(
            self.save, request_deserializer=pb.SaveRequest.FromString, response_serializer=pb.SaveResponse.SerializeToString)
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("imaged.v1.ImageService", {"Save": handler}),))
        self.server.add_insecure_port(address)
        self.server.start()

    def save(self, _, context):
        for piece in self.pieces:
            yield pb.SaveResponse(data=piece)
        self.sent.set()  # all pieces were taken for sending
        self.gate.wait(20 * SLOW)
        context.abort(grpc.StatusCode.INTERNAL, "the disk is on fire")

    def stop(self):
        self.gate.set()
        self.server.stop(None).wait()


class OutputFile(SaveCase):
    def setUp(self):
        super().setUp()
        self.image = self.pull("one:1", Image([self.base]))
        self.name = self.full("one:1")
        os.mkdir(self.path("out"))
        self.target = self.path("out", "x.tar")

    def save_to(self, *args, **options):
        return self.imaged.ctl("save", "-o", *args, **options)

    def refused(self, path, text):
        said = self.save_to(path, self.name, check=False)
        self.assertEqual((1, "", text + "\n"), (said.returncode, said.stdout, said.stderr))
        self.assertEqual([], os.listdir(self.path("out")))

    def test_file_and_pipe_have_the_bytes_of_the_call(self):
        self.assertEqual(("", ""), (lambda said: (said.stdout, said.stderr))(self.save_to(self.target, self.name)))
        whole = save(self.client, self.name)
        with open(self.target, "rb") as file:
            self.assertEqual(whole, file.read())
        piped = subprocess.run(
            [program("imagectl"), "image", "save", self.name], env={**os.environ, "IMAGED_HOST": self.imaged.address}, stdout=subprocess.PIPE, check=True)
        self.assertEqual(whole, piped.stdout)

    def test_mode_is_0600_whatever_the_umask(self):
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.save_to(self.target, self.name)
        self.assertEqual(0o600, os.stat(self.target).st_mode & 0o7777)
        self.assertEqual(["x.tar"], os.listdir(self.path("out")))

    def test_existing_file_is_replaced(self):
        with open(self.target, "wb") as file:
            file.write(b"old" * 100000)
        os.link(self.target, self.path("out", "link"))
        self.save_to(self.target, self.name)
        self.assertEqual(save(self.client, self.name), open(self.target, "rb").read())
        self.assertEqual(b"old" * 100000, open(self.path("out", "link"), "rb").read(), "not written into")

    def test_existing_file_is_untouched_when_the_save_fails(self):
        with open(self.target, "wb") as file:
            file.write(b"precious")
        for images in (["nosuch"], [self.name, "nosuch"]):
            self.assertEqual(1, self.save_to(self.target, *images, check=False).returncode)
            self.assertEqual((["x.tar"], b"precious"), (os.listdir(self.path("out")), open(self.target, "rb").read()))

    def test_paths_that_cannot_be_written_to(self):
        self.refused(self.path("nodir", "x"), f"failed to save image: invalid output path: stat {self.path('nodir')}: no such file or directory")
        self.refused(self.path("out"), "failed to save image: cannot write to a directory")
        self.refused("/dev/null", "failed to save image: cannot write to a character device file")
        os.mkfifo(self.path("pipe"))
        self.refused(self.path("pipe"), "failed to save image: cannot write to a named pipe")

    def test_link_is_refused_and_stays(self):
        os.symlink("real", self.path("link"))
        for _ in ("a link to nowhere", "to a file"):
            self.refused(self.path("link"), "failed to save image: cannot write to a symbolic link directly")
            self.assertEqual("real", os.readlink(self.path("link")))
            with open(self.path("real"), "wb"):
                pass

    def test_path_is_checked_before_the_service_is_asked(self):
        self.imaged.stop()
        self.refused(self.path("out"), "failed to save image: cannot write to a directory")

    def test_terminal_is_refused(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        for option in ([], ["-o", ""]):
            done = subprocess.run([program("imagectl"), "save", *option, self.name], env={**os.environ, "IMAGED_HOST": self.imaged.address},
                                  stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE, text=True)
            self.assertEqual((1, "cowardly refusing to save to a terminal. Use the -o flag or redirect\n"), (done.returncode, done.stderr))
        os.write(slave, b"end")
        os.close(slave)
        self.assertEqual(b"end", os.read(master, 100), "nothing was written to it")

    def test_full_disk_on_the_clients_side(self):
        done = subprocess.run(["sh", "-c", f'exec "$0" save {self.name} > /dev/full', program("imagectl")],
                              env={**os.environ, "IMAGED_HOST": self.imaged.address}, stderr=subprocess.PIPE, text=True)
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.stderr, r"\A.*[Nn]o space left on device.*\n\Z")

    def test_full_disk_under_the_file_is_named_and_is_no_answer_of_the_daemon(self):
        small = self.path("small")
        os.makedirs(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", small], stderr=subprocess.PIPE).returncode:
            self.skipTest("mount is not permitted")
        self.addCleanup(subprocess.run, ["umount", "-l", small], check=True)
        said = self.save_to(f"{small}/f.tar", self.name, check=False)
        self.assertEqual((1, "", f"write {small}/f.tar: no space left on device\n"), (said.returncode, said.stdout, said.stderr))
        self.assertEqual([], os.listdir(small))

    def test_path_through_or_as_a_directory_is_refused_before_the_service_is_asked(self):
        with open(self.path("file"), "w", encoding="ascii"):
            pass
        self.imaged.stop()
        for path, directory, why in (
            (self.path("new") + "/", self.path("new"), "no such file or directory"),
            (self.path("file") + "/", self.path("file"), "not a directory"),
            (self.path("file", "x"), self.path("file"), "not a directory"),
        ):
            self.refused(path, f"failed to save image: invalid output path: stat {directory}: {why}")

    def interrupted(self, kill_with):
        """imagectl in the middle of a save; its exit status and what is left."""
        with open(self.target, "wb") as file:
            file.write(b"precious")
        service = FakeService("unix://" + self.path("fake.sock"), [random_bytes(100_000, n) for n in range(5)])
        self.addCleanup(service.stop)
        process = subprocess.Popen([program("imagectl"), "save", "-o", self.target, "x"], env={**os.environ, "IMAGED_HOST": "unix://" + self.path("fake.sock")},
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertTrue(service.sent.wait(20 * SLOW))
        self.assertIsNone(process.poll())
        if kill_with:
            process.send_signal(kill_with)
        else:
            service.gate.set()
        out, said = process.communicate(timeout=20 * SLOW)
        self.assertEqual("", out)
        self.assertEqual((["x.tar"], b"precious"), (os.listdir(self.path("out")), open(self.target, "rb").read()))
        return process.returncode, said

    def test_nothing_is_left_after_kill(self):
        self.assertEqual(-signal.SIGKILL, self.interrupted(signal.SIGKILL)[0])

    def test_nothing_is_left_after_an_interrupt(self):
        self.assertIn(self.interrupted(signal.SIGINT)[0], (130, -signal.SIGINT))

    def test_nothing_is_left_after_termination(self):
        self.assertIn(self.interrupted(signal.SIGTERM)[0], (143, -signal.SIGTERM))

    def test_nothing_is_left_after_an_error_in_the_middle(self):
        status, said = self.interrupted(None)
        self.assertEqual((1, 1), (status, said.count("\n")), said)
        self.assertIn("the disk is on fire", said)


class ReadOnly(SaveCase):
    def test_read_only_store_saves_and_does_not_load(self):
        image = self.pull("one:1", Image([self.base]))
        name, archive = self.full("one:1"), save(self.client, self.full("one:1"))
        self.imaged.stop()
        os.makedirs(self.path("ro"))
        for command in (["mount", "--bind", self.imaged.root, self.path("ro")], ["mount", "-o", "remount,bind,ro", self.path("ro")]):
            if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
                self.skipTest("mount is not permitted")
            if "--bind" in command:
                self.addCleanup(subprocess.run, ["umount", "-l", self.path("ro")], check=True)
        second = self.daemon(name="second", root=self.path("ro"))
        client = second.client()
        self.assertEqual(archive, save(client, name))
        second.ctl("save", "-o", self.path("x.tar"), name)
        said = second.ctl("load", "-i", self.path("x.tar"), check=False)
        self.assertEqual(1, said.returncode)
        self.assertRegex(said.stderr, r"\Athe store at .* is read-only: nothing can be loaded\n\Z")
        with self.assertRaises(grpc.RpcError) as caught:
            load(client, archive)
        self.assertEqual(grpc.StatusCode.FAILED_PRECONDITION, caught.exception.code())
        self.assertEqual([image.id], [one.id for one in client.images()])


class ForOldDocker(SaveCase):
    def test_skopeo_writes_zstd_layers_as_plain_tar(self):
        """As imagectl(1) says: Docker before 23 knows no zstd."""
        layer = Layer(tar({"top": random_bytes(9000, 3)}), "zstd")
        image = self.pull("z:1", Image([layer]))
        archive, plain = self.path("x.tar"), self.path("y.tar")
        self.imaged.ctl("save", "-o", archive, self.full("z:1"))
        with open(archive, "rb") as file:
            self.assertIn(layer.blob.data, unpack(file.read()).values(), "as it came")
        skopeo("copy", f"docker-archive:{archive}", f"docker-archive:{plain}:z:1")
        with open(plain, "rb") as file:
            files = unpack(file.read())
        [entry] = json.loads(files["manifest.json"])
        self.assertEqual(image.id, sha256(files[entry["Config"]]))
        self.assertEqual([layer.diff_id], [sha256(files[name]) for name in entry["Layers"]])
