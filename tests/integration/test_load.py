"""Load: every kind of archive that tools write, what it leaves in the store, and what
it says."""

import fcntl
import hashlib
import json
import os
import pty
import struct
import subprocess
import termios

import grpc

from archives import (
    AMD64,
    COMPRESSIONS,
    WAYS,
    ArchiveCase,
    an_image,
    blob_name,
    docker25_files,
    docker_files,
    hex_of,
    layout_files,
    legacy_files,
    load,
    save,
)
from harness import blob_path, program
from ociimage import OCI_CONFIG, OCI_MANIFEST, Blob, Image, Index, Layer, Manifest, compress, random_bytes, sha256, tar, to_json
from rpc import pb

ARM64 = {"os": "linux", "architecture": "arm64", "variant": "v8"}
LIBRARY = "docker.io/library/"


class LoadCase(ArchiveCase):
    def ctl_load(self, *args, data=None, **options):
        return self.imaged.ctl("load", *args, input=None, **options) if data is None else self.piped(data, *args)

    def piped(self, data, *args):
        done = subprocess.run([program("imagectl"), "load", *args], env={**os.environ, "IMAGED_HOST": self.imaged.address},
                              input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def diff_ids(self, image, client=None):
        answer = (client or self.client).InspectImage(image=image, include_raw=True)
        return json.loads(answer.raw_config)["rootfs"]["diff_ids"]

    def assert_is(self, image, name, client=None):
        """The image is there under the name, with its ID and diff IDs, and complete."""
        answer = (client or self.client).InspectImage(image=name)
        self.assertEqual(image.id, answer.image.id)
        self.assertEqual([layer.diff_id for layer in image.layers], self.diff_ids(name, client))


class Formats(LoadCase):
    def setUp(self):
        super().setUp()
        base = Layer(tar({"base": random_bytes(30000, 1)}), "plain")
        self.a = Image([base, Layer(tar({"a": b"1"}), "plain")])
        self.b = Image([base, Layer(tar({"b": b"2"}), "plain")])

    def loads(self, files):
        """Both ways into stores of their own: the same manifests, complete images, no
        change by a second load."""
        data, manifests = tar(files), []
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                imaged = self.daemon(name=way)
                client = imaged.client()
                first = load(client, data, seekable)
                self.assertEqual([["a:1", "a:2"], ["b:1"]], [list(image.references) for image in first.images])
                self.assertEqual([self.a.id, self.b.id], [image.image_id for image in first.images])
                for image, names in ((self.a, ("a:1", "a:2")), (self.b, ("b:1",))):
                    for name in names:
                        self.assert_is(image, name, client)
                self.assert_clean(client, [LIBRARY + name for name in ("a:1", "a:2", "b:1")])
                manifests.append([image.manifest_digest for image in first.images])
                before = self.files("content", "ingest", daemon=imaged)
                second = load(client, data, not seekable)
                self.assertEqual(manifests[-1], [image.manifest_digest for image in second.images])
                self.assertEqual(before, self.files("content", "ingest", daemon=imaged))
                self.assertEqual(2, len(client.images()), "one image each")
                self.assertEqual(0, second.done.new_bytes)
                self.assertEqual(0, load(client, data, True).done.new_bytes)
        self.assertEqual(manifests[0], manifests[1], "the same manifests, whichever way")
        return manifests[0]

    def test_docker_20_10(self):
        """Its directories; the layer of the second image is a symlink into the first's."""
        # The same diff ID under another v1 ID: the base layer comes second in the other image.
        self.b = Image([Layer(tar({"b": b"2"}), "plain"), self.a.layers[0]])
        files = legacy_files((self.a, "a:1", "a:2"), (self.b, "b:1"))
        self.assertEqual(1, len([1 for content in files.values() if isinstance(content, str)]), "one symlink")
        self.loads(files)

    def test_docker_25(self):
        manifests = self.loads(docker25_files((self.a, "a:1", "a:2"), (self.b, "b:1")))
        files = docker25_files((self.a, "a:1"))
        [entry] = json.loads(files["index.json"])["manifests"]
        self.assertEqual(entry["digest"], manifests[0], "the index's own manifest")

    def test_plain_docker_archive(self):
        self.loads(docker_files((self.a, "a:1", "a:2"), (self.b, "b:1")))

    def test_docker_archive_of_both_kinds_gives_one_image(self):
        one = load(self.client, tar(legacy_files((self.a, "a:1"))))
        two = load(self.client, tar(docker_files((self.a, "a:2"))))
        self.assertEqual(one.images[0].manifest_digest, two.images[0].manifest_digest)
        self.assertEqual(1, len(self.client.images()))

    def test_layout(self):
        manifests = self.loads(layout_files((self.a, LIBRARY + "a:1", LIBRARY + "a:2"), (self.b, LIBRARY + "b:1")))
        self.assertEqual([self.a.digest, self.b.digest], manifests)

    def test_layout_whose_files_begin_with_a_dot(self):
        """As tar -C layout -cf x.tar . has it."""
        files = {"./": None, **{"./" + name: data for name, data in layout_files((self.a, "a:1")).items()}}
        self.assertEqual(["a:1"], list(load(self.client, tar(files)).images[0].references))

    def test_compressed_layers(self):
        for number, how in enumerate(("gzip", "zstd", "plain")):
            image = Image([Layer(tar({how: random_bytes(5000, 9)}), how)])
            for kind, files in (("layout", layout_files((image, f"l{number}:1"))), ("docker", docker_files((image, f"d{number}:1")))):
                with self.subTest(layers=how, archive=kind):
                    load(self.client, tar(files))
            self.assert_is(image, f"l{number}:1")
            self.assert_is(image, f"d{number}:1")
        self.assertEqual(3, len(self.client.images()))

    def test_archive_that_is_compressed(self):
        for how, packer in COMPRESSIONS.items():
            for way, seekable in WAYS:
                with self.subTest(compression=how, archive=way):
                    imaged = self.daemon(name=how + way)
                    data = packer(tar(layout_files((self.a, "a:1"), (an_image(size=300_000), "big:1"))))
                    self.assertEqual([["a:1"], ["big:1"]], [list(i.references) for i in load(imaged.client(), data, seekable).images])
                    self.assert_is(self.a, "a:1", imaged.client())

    def test_compressed_in_several_parts(self):
        data = tar(layout_files((self.a, "a:1")))
        for how, packer in COMPRESSIONS.items():
            with self.subTest(compression=how):
                self.assertEqual(1, len(load(self.client, packer(data[:20000]) + packer(data[20000:])).images))

    def test_by_imagectl_from_file_standard_input_and_pipe(self):
        data = tar(docker_files((self.a, "a:1"), (self.b,)))
        path, said = self.write("x.tar", data), f"Loaded image: a:1\nLoaded image ID: {self.a.id}\nLoaded image ID: {self.b.id}\n"
        self.assertEqual(said, self.imaged.ctl("load", "-i", path).stdout)
        self.assertEqual(said, self.imaged.ctl("image", "load", "--quiet", "--input", path).stdout)
        self.assertEqual((0, said, ""), self.piped(data))
        self.assertEqual((0, said, ""), self.piped(COMPRESSIONS["gzip"](data)))
        environment = {**os.environ, "IMAGED_HOST": self.imaged.address}
        with open(path, "rb") as file:
            self.assertEqual(said.encode(), subprocess.run([program("imagectl"), "load"], env=environment, stdin=file, stdout=subprocess.PIPE).stdout)
        with open(self.write("y", b"something before" + data), "rb", buffering=0) as file:
            file.seek(len("something before"))
            self.assertEqual(said.encode(), subprocess.run([program("imagectl"), "load"], env=environment, stdin=file, stdout=subprocess.PIPE).stdout)

    def test_layer_without_a_byte(self):
        """Docker takes it for an empty tar; so do tools that write it."""
        image = Image([Layer(b"", "plain"), Layer(tar({"a": b"1"}), "plain")])
        load(self.client, tar(docker_files((image, "a:1"))))
        self.assert_is(image, "a:1")
        self.assert_clean(self.client)

    def test_archive_of_nothing_loads_nothing(self):
        for files in ({"manifest.json": b"[]"}, layout_files()):
            loaded = load(self.client, tar(files))
            self.assertEqual([], loaded.images)
        self.assert_nothing_kept()

    def test_members_that_nobody_names_are_not_kept(self):
        """Also in order, where each comes before it is known what it is for."""
        junk = {f"junk/{number}": b"%d" % number * 100 for number in range(300)}
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                loaded = load(self.client, tar({**junk, **layout_files((self.a, "a:1"))}), seekable)
                self.assertEqual(1, len(loaded.images))
                self.assertEqual(4, len(self.files("content")))
                self.assertEqual({}, self.files("ingest"))
                self.client.PruneImages(all=True)
                self.assert_nothing_kept()


class Present(LoadCase):
    """What is here is not written, and from a file not even read."""

    def setUp(self):
        super().setUp()
        self.base = Layer(tar({"base": random_bytes(3 << 20, 1)}), "plain")
        self.top = Layer(tar({"top": random_bytes(1 << 20, 2)}), "plain")
        self.small, self.large = Image([self.base]), Image([self.base, self.top])

    def kinds(self):
        return (
            ("layout", layout_files((self.large, "large:1"))),
            ("docker", docker_files((self.large, "large:1"))),
            ("docker 25", docker25_files((self.large, "large:1"))),
            ("docker 20.10", legacy_files((self.large, "large:1"))),
        )

    def test_layers_that_are_present_are_not_written_again(self):
        for kind, files in self.kinds():
            for way, seekable in WAYS:
                with self.subTest(archive=kind, how=way):
                    imaged = self.daemon(name=f"{kind}{way}")
                    client = imaged.client()
                    load(client, tar(layout_files((self.small, "small:1"))))
                    before = self.files(daemon=imaged)
                    loaded = load(client, tar(files), seekable)
                    after = self.files(daemon=imaged)
                    self.assertEqual(before, {path: after[path] for path in before}, "untouched")
                    written = sum(size for path, (size, _) in after.items() if path not in before)
                    self.assertLess(written - self.top.blob.size, 10_000)
                    self.assertEqual(written, loaded.done.new_bytes, "what came and went again is not among them")
                    self.assertGreaterEqual(loaded.done.present_bytes, self.base.blob.size)
                    self.assertEqual({self.top.diff_id}, {layer.diff_id for layer in loaded.layers}, "progress of the new one only")
                    if seekable:
                        self.assertLess(loaded.asked, self.top.blob.size + (1 << 20), "the present one is not asked for")

    def test_one_layer_may_come_several_times(self):
        """Next to each other, and further apart than layers are verified at a time."""
        layers = [Layer(tar({f"{n}": b"%d" % n}), how) for n, how in enumerate(("plain", "gzip", "plain", "gzip", "plain"))]
        image = Image([layers[0], layers[0], layers[1], *layers, layers[1], layers[1]])
        for kind, files in (("layout", layout_files((image, "many:1"))), ("docker", docker_files((image, "many:1")))):
            for way, seekable in WAYS:
                with self.subTest(archive=kind, how=way):
                    client = self.daemon(name=f"{kind}-{way}").client()
                    loaded = load(client, tar(files), seekable)
                    self.assertEqual([image.id], [one.image_id for one in loaded.images])
                    self.assertEqual({layer.diff_id for layer in layers}, {layer.diff_id for layer in loaded.layers})
                    self.assertEqual(2 * len(layers), len(loaded.layers), "each begins and ends once")
                    self.assert_clean(client)

    def test_layers_that_are_named_by_sha512(self):
        """A plain one, too, whose digest is then not its diff ID."""
        for how in ("plain", "gzip"):
            data = tar({"f": how.encode()})
            blob = compress(data, how)
            layer = Layer(blob=Blob(blob, digest="sha512:" + hashlib.sha512(blob).hexdigest()), how=how, diff_id=sha256(data))
            image = Image([layer])
            for way, seekable in WAYS:
                with self.subTest(layer=how, archive=way):
                    client = self.daemon(name=how + way).client()
                    load(client, tar(layout_files((image, "s:512"))), seekable)
                    self.assert_is(image, "s:512", client)
                    self.assertIn(blob, save(client, "s:512"))
                    self.assert_clean(client, [LIBRARY + "s:512"])

    def test_progress_grows_with_the_bytes(self):
        """On demand the layer's own, else how much of the archive has come."""
        image = Image([Layer(tar({"f": random_bytes(3 << 20, 5)}), "plain")])
        archive = tar(layout_files((image, "p:1")))
        layer = image.layers[0]
        loaded = load(self.daemon(name="one").client(), archive, seekable=True)
        current = [event.current for event in loaded.layers]
        size = layer.blob.size
        self.assertEqual({(layer.diff_id, size)}, {(event.diff_id, event.total) for event in loaded.layers})
        self.assertEqual([0, size], [current[0], current[-1]])
        self.assertEqual(sorted(set(current)), current)
        self.assertGreater(len(current), 3)
        self.assertEqual([], loaded.received)
        loaded = load(self.daemon(name="two").client(), archive)
        self.assertEqual([0, size], [event.current for event in loaded.layers])
        self.assertEqual(sorted(set(loaded.received)), loaded.received)
        self.assertGreater(len(loaded.received), 1)
        self.assertLessEqual(loaded.received[-1], len(archive))

    def test_wrong_layer_between_others_is_named(self):
        layers = [Layer(tar({f"{n}": random_bytes(200_000, n)}), "gzip") for n in range(6)]
        diff_ids = [layers[4 if n == 3 else n].diff_id for n in range(6)]
        wrong = Image(layers, config={"rootfs": {"type": "layers", "diff_ids": diff_ids}})
        for way, seekable in WAYS:
            with self.subTest(how=way):
                self.assert_rpc_fails("DATA_LOSS", None, load, self.client, tar(layout_files((wrong, "w:1"))), seekable, text="layer 3")
                self.assert_nothing_kept()

    def test_image_that_is_present_gets_names_only(self):
        for kind, files in self.kinds():
            with self.subTest(archive=kind):
                imaged = self.daemon(name=kind)
                client = imaged.client()
                load(client, tar(files))
                client.TagImage(source="large:1", target="other:1")
                client.RemoveImage(image="large:1")
                before = self.files(daemon=imaged)
                loaded = load(client, tar(files), True)
                self.assertEqual(before, self.files(daemon=imaged))
                self.assertEqual(0, loaded.done.new_bytes)
                self.assertEqual([], loaded.layers)
                self.assertLess(loaded.asked, 1 << 20)
                self.assertEqual([LIBRARY + "large:1", LIBRARY + "other:1"], self.tags(client))

    def test_layer_file_that_is_missing_may_be_in_the_store(self):
        """As docker has it."""
        load(self.client, tar(docker_files((self.small, "small:1"))))
        files = docker_files((self.large, "large:1"))
        del files[hex_of(self.base.diff_id) + ".tar"]
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                load(self.client, tar(files), seekable)
                self.assert_is(self.large, "large:1")
                self.assert_clean(self.client)
                self.client.RemoveImage(image="large:1")

    def test_same_layer_compressed_differently_is_the_same_image(self):
        packed = Image([Layer(tar({"base": random_bytes(3 << 20, 1)}), "gzip")])
        self.assertEqual(self.small.id, packed.id)
        load(self.client, tar(layout_files((self.small, "one:1"))))
        load(self.client, tar(layout_files((packed, "two:1"))))
        [image] = self.client.images()
        self.assertEqual([LIBRARY + "one:1", LIBRARY + "two:1"], sorted(image.repo_tags))
        self.assertEqual(sorted([self.small.digest, packed.digest]), sorted(image.manifest_digests))

    def test_blob_that_became_shorter_or_went_away_is_brought_again(self):
        """As after a bad disk; a pull heals it, and so does a load."""
        for kind, files in (("layout", layout_files((self.small, "small:1"))), ("docker", docker_files((self.small, "small:1")))):
            imaged = self.daemon(name=f"heals-{kind}")
            client = imaged.client()
            manifest = load(client, tar(files)).images[0].manifest_digest
            for digest in (self.base.diff_id, self.small.id, manifest):
                path = blob_path(imaged.root, digest)
                for way, seekable in WAYS:
                    with self.subTest(archive=kind, blob=digest, way=way, how="shorter"):
                        os.chmod(path, 0o600)
                        os.truncate(path, 20)
                        load(client, tar(files), seekable)
                        self.assert_clean(client, [LIBRARY + "small:1"])
                    with self.subTest(archive=kind, blob=digest, way=way, how="away"):
                        os.unlink(path)
                        load(client, tar(files), seekable)
                        self.assert_clean(client, [LIBRARY + "small:1"])


class Names(LoadCase):
    def setUp(self):
        super().setUp()
        self.one, self.two = an_image("one"), an_image("two")

    def test_tag_that_moves_is_told(self):
        load(self.client, tar(docker_files((self.one, "x:1", "y:1"))))
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                said = load(self.client, tar(docker_files((self.two, "x:1", "z:1"))), seekable).images[0]
                self.assertEqual([("x:1", self.one.id)], [(r.reference, r.old_image_id) for r in said.replaced])
                self.client.TagImage(source="y:1", target="x:1")
        path = self.write("x.tar", tar(docker_files((self.two, "x:1"))))
        self.assertEqual(
            f"The image x:1 already exists, renaming the old one with ID {self.one.id} to empty string\nLoaded image: x:1\n",
            self.imaged.ctl("load", "-i", path).stdout)
        self.assertEqual("Loaded image: x:1\n", self.imaged.ctl("load", "-i", path).stdout, "now it is its own")
        self.assertEqual([LIBRARY + "y:1"], [t for i in self.client.images() if i.id == self.one.id for t in i.repo_tags])

    def test_old_image_without_a_name_stays(self):
        load(self.client, tar(docker_files((self.one, "x:1"))))
        load(self.client, tar(docker_files((self.two, "x:1"))))
        self.assertEqual([[], [LIBRARY + "x:1"]], sorted(list(image.repo_tags) for image in self.client.images()))

    def test_names_of_every_form(self):
        names = ["x:1", "user/x:1", "example.com/x:1", "example.com:5000/a/b:1", "localhost/x:1", "[::1]:5000/x:1"]
        [image] = load(self.client, tar(docker_files((self.one, *names, "x:1")))).images
        self.assertEqual(names, list(image.references))
        full = [LIBRARY + "x:1", "docker.io/user/x:1", *names[2:]]
        self.assertEqual(sorted(full), self.tags())

    def test_several_entries_of_one_image_are_one_image(self):
        files = docker_files((self.one, "a:1"), (self.one, "b:1"))
        self.assertEqual([["a:1", "b:1"]], [list(image.references) for image in load(self.client, tar(files)).images])

    def test_ref_name_without_a_repository_gives_no_name(self):
        """skopeo and buildah write tags there: "1" or "latest"."""
        for text, names in (("1", []), ("latest", []), ("x", []), ("example.com/x:2", ["example.com/x:2"]), ("x:3", ["x:3"])):
            with self.subTest(ref_name=text):
                files = layout_files((self.one,))
                entry = self.one.descriptor(annotations={"org.opencontainers.image.ref.name": text})
                files["index.json"] = to_json({"schemaVersion": 2, "manifests": [entry]})
                self.assertEqual(names, list(load(self.client, tar(files)).images[0].references))

    def test_ref_name_that_is_no_reference_gives_no_name(self):
        """An image may be called anything in a layout."""
        for text in ("MyApp:1.0+x", "feature:with:colons", "a:b/c", "x:" + "1" * 200):
            files = layout_files((self.one,))
            entries = [self.one.descriptor(annotations={"org.opencontainers.image.ref.name": name}) for name in (text, "good:1")]
            for number, names in ((1, []), (2, ["good:1"])):
                files["index.json"] = to_json({"schemaVersion": 2, "manifests": entries[:number]})
                for way, seekable in WAYS:
                    with self.subTest(ref_name=text, entries=number, archive=way):
                        [image] = load(self.client, tar(files), seekable).images
                        self.assertEqual((self.one.id, names), (image.image_id, list(image.references)))
            self.client.PruneImages(all=True)

    def test_bad_name_is_told_with_the_file_it_stands_in(self):
        for name in ("example.com/MyApp:1.0", "feature:with:colons", "x:1.0+x"):
            for file, files in (("index.json", layout_files((self.one, name))), ("manifest.json", docker_files((self.one, name)))):
                for way, seekable in WAYS:
                    with self.subTest(name=name, file=file, archive=way):
                        error = self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_REFERENCE", load, self.client, tar(files), seekable)
                        self.assertRegex(error.details(), r"\A(index.json: name .*|)invalid reference format")
                        self.assertEqual(file == "index.json", name in error.details() and file in error.details(), "docker does not tell which")
                        self.assert_nothing_kept()

    def test_nothing_is_named_before_all_is_good(self):
        load(self.client, tar(docker_files((self.one, "x:1"))))
        bad = Image([Layer(blob=self.one.layers[0].blob, diff_id="sha256:" + "0" * 64)])
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                with self.assertRaises(grpc.RpcError):
                    load(self.client, tar(docker_files((self.two, "x:1", "new:1"), (bad, "bad:1"))), seekable)
                self.assertEqual([LIBRARY + "x:1"], self.tags())
                self.assert_is(self.one, "x:1")

    def test_nothing_is_named_when_a_record_does_not_fit(self):
        label = Image([Layer(tar({"l": b"1"}))], config={"config": {"Labels": {"a": "x" * (1 << 20)}}})
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                data = tar(docker_files((self.one, "x:1"), (label, "l:1")))
                self.assert_rpc_fails("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", load, self.client, data, seekable, text="metadata")
                self.assert_nothing_kept()

    def test_events(self):
        load(self.client, tar(docker_files((self.one, "x:1", "y:1"), (self.two,))))
        load(self.client, tar(docker_files((self.two, "x:1"))))
        events = [(pb.Event.Action.Name(e.action), e.image_id, e.name) for e in self.client.WatchEvents(after_revision=1, no_follow=True)]
        loads = [(image, name) for action, image, name in events if action == "ACTION_LOAD"]
        self.assertEqual([(self.one.id, LIBRARY + "x:1"), (self.two.id, ""), (self.two.id, LIBRARY + "x:1")], loads, "one for each image, with its first name")

    def test_labels_and_names_of_the_configuration_are_data(self):
        image = an_image(config={"config": {"Labels": {"../../x": "\u2028", "a": "$(reboot)"}, "Cmd": ["a\tb"]}})
        load(self.client, tar(docker_files((image, "x:1"))))
        self.assert_is(image, "x:1")


def cosign_signature(image):
    """As cosign attaches it: an image by its types, whose layer is no layer."""
    payload = Blob(to_json({"critical": {"image": {"docker-manifest-digest": image.digest}}}))
    layer = {"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "size": payload.size, "digest": payload.digest}
    config = Blob(to_json({"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": [payload.digest]}}))
    head = {"mediaType": OCI_CONFIG, "size": config.size, "digest": config.digest}
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": head, "layers": [layer]}
    return Manifest(to_json(body), OCI_MANIFEST, [config, payload])


def artifact(image):
    """What refers to an image: an SBOM."""
    empty, payload = Blob(b"{}"), Blob(b'{"spdxVersion":"SPDX-2.3"}')
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/spdx+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": empty.size, "digest": empty.digest},
        "layers": [{"mediaType": "application/spdx+json", "size": payload.size, "digest": payload.digest}],
        "subject": image.descriptor(),
    }
    return Manifest(to_json(body), OCI_MANIFEST, [empty, payload])


class Others(LoadCase):
    """What stands beside images in a layout and is none."""

    REFUSALS = {
        cosign_signature: 'unsupported layer format "application/vnd.dev.cosign.simplesigning.v1\\+json"',
        artifact: "it is an artifact",
    }

    def setUp(self):
        super().setUp()
        self.image = an_image()

    def test_are_passed_over_beside_an_image(self):
        whole = (self.image, LIBRARY + "x:1")
        others = [(make(self.image), f"sha256-{make.__name__}.sig") for make in self.REFUSALS]
        unnamed = [one[:1] for one in others]
        for number, entries in enumerate(([whole, *others], [*others, whole], [*unnamed, whole, *unnamed])):
            for way, seekable in WAYS:
                with self.subTest(order=number, archive=way):
                    loaded = load(self.client, tar(layout_files(*entries)), seekable)
                    self.assertEqual([(self.image.id, ["x:1"])], [(one.image_id, list(one.references)) for one in loaded.images])
                    self.assert_is(self.image, "x:1")
                    self.assert_clean(self.client, [LIBRARY + "x:1"])
                    self.assertEqual(3, len(self.files()), "nothing of the others is kept")
                    self.client.PruneImages(all=True)
                    self.assert_nothing_kept()

    def test_are_refused_alone(self):
        for make, text in self.REFUSALS.items():
            for way, seekable in WAYS:
                with self.subTest(what=make.__name__, archive=way):
                    data = tar(layout_files((make(self.image), LIBRARY + "x:1")))
                    self.assert_rpc_fails("FAILED_PRECONDITION", "UNSUPPORTED_CONTENT", load, self.client, data, seekable, text=text)
                    self.assert_nothing_kept()

    def test_are_refused_under_the_name_of_an_image(self):
        for make, text in self.REFUSALS.items():
            for way, seekable in WAYS:
                with self.subTest(what=make.__name__, archive=way):
                    data = tar(layout_files((self.image, LIBRARY + "x:1"), (make(self.image), LIBRARY + "y:1")))
                    self.assert_rpc_fails("FAILED_PRECONDITION", "UNSUPPORTED_CONTENT", load, self.client, data, seekable, text=text)
                    self.assert_nothing_kept()

    def test_do_not_hide_an_image_that_is_bad(self):
        bad = Image([Layer(blob=self.image.layers[0].blob, diff_id="sha256:" + "0" * 64)])
        for make in self.REFUSALS:
            for way, seekable in WAYS:
                with self.subTest(what=make.__name__, archive=way):
                    data = tar(layout_files((make(self.image),), (self.image, LIBRARY + "x:1"), (bad, LIBRARY + "bad:1")))
                    self.assert_rpc_fails("DATA_LOSS", None, load, self.client, data, seekable, text="invalid diffID for layer 0")
                    self.assert_nothing_kept()


class Platforms(LoadCase):
    def setUp(self):
        super().setUp()
        self.amd = an_image("amd", platform=AMD64)
        self.arm = an_image("arm", platform=ARM64)
        self.index = Index([(self.arm, ARM64), (self.amd, AMD64)])
        self.layout = tar(layout_files((self.index, LIBRARY + "multi:1")))

    def test_of_an_index_the_one_for_this_machine(self):
        [image] = load(self.client, self.layout).images
        self.assertEqual(self.amd.id, image.image_id)
        self.assertIn(self.index.digest.encode(), save(self.client, "multi:1"), "the name leads to the index")

    def test_of_an_index_the_one_that_is_asked_for(self):
        for way, seekable in WAYS:
            for platform in ("linux/arm64", "linux/arm64/v8"):
                with self.subTest(archive=way, platform=platform):
                    self.assertEqual([self.arm.id], [i.image_id for i in load(self.client, self.layout, seekable, platform=platform).images])

    def test_of_an_index_the_only_one_that_is_in_the_archive(self):
        files = layout_files((self.index, LIBRARY + "multi:1"))
        for one in (self.amd.digest, self.amd.id):
            del files[blob_name(one)]
        [image] = load(self.client, tar(files)).images
        self.assertEqual(self.arm.id, image.image_id)
        self.assert_clean(self.client)

    def test_of_several_images_those_of_the_platform(self):
        for kind, files in (("layout", layout_files((self.amd, "amd:1"), (self.arm, "arm:1"))), ("docker", docker_files((self.amd, "amd:1"), (self.arm, "arm:1")))):
            with self.subTest(archive=kind):
                self.assertEqual([["arm:1"]], [list(i.references) for i in load(self.client, tar(files), platform="linux/arm64").images])
                self.assertEqual([LIBRARY + "arm:1"], self.tags())
        self.assertEqual(2, len(load(self.client, tar(files)).images), "without it all")

    def test_nested_index(self):
        nested = tar(layout_files((Index([(self.index, None)]), LIBRARY + "multi:1")))
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                self.assertEqual([self.amd.id], [i.image_id for i in load(self.client, nested, seekable).images])
                self.assert_clean(self.client, [LIBRARY + "multi:1"])

    def test_only_manifest_of_an_index_may_leave_its_platform_to_the_configuration(self):
        data = tar(layout_files((Index([(self.amd, None)]), LIBRARY + "one:1")))
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                self.assertEqual([self.amd.id], [i.image_id for i in load(self.client, data, seekable, platform="linux/amd64").images])
                self.client.RemoveImage(image="one:1")
                self.assert_rpc_fails("NOT_FOUND", None, load, self.client, data, seekable, platform="linux/arm64")

    def test_platform_that_is_not_in_the_archive(self):
        path = self.write("x.tar", self.layout)
        said = self.imaged.ctl("load", "--platform", "linux/s390x", "-i", path, check=False)
        self.assertEqual((1, ""), (said.returncode, said.stdout))
        self.assertEqual("requested platform (linux/s390x) not found: image might be filtered out\n", said.stderr)
        self.assert_nothing_kept()
        said = self.imaged.ctl("load", "--platform", "a/b/c/d", "-i", path, check=False)
        self.assertEqual((1, 1), (said.returncode, said.stderr.count("\n")), said.stderr)

    def test_attestations_are_passed_over(self):
        note = Image([], manifest={"config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": self.amd.id, "size": len(self.amd.config_bytes)}})

        def edit(head):
            head["manifests"].append({**note.descriptor(platform={"os": "unknown", "architecture": "unknown"}),
                                      "annotations": {"vnd.docker.reference.type": "attestation-manifest"}})

        index = Index([(self.amd, AMD64)], edit=edit)
        self.assertEqual([self.amd.id], [i.image_id for i in load(self.client, tar(layout_files((index, LIBRARY + "a:1")))).images])


class CommandLine(LoadCase):
    def test_terminal_as_input_is_refused(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        done = subprocess.run([program("imagectl"), "load"], env={**os.environ, "IMAGED_HOST": self.imaged.address}, stdin=slave,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual((1, "", "requested load from stdin, but stdin is empty\n"), (done.returncode, done.stdout, done.stderr))

    def test_input_that_cannot_be_read(self):
        for path, text in (("nosuch.tar", "open nosuch.tar: no such file or directory\n"), (self.dir, f"read {self.dir}: is a directory\n")):
            said = self.imaged.ctl("load", "-i", path, check=False)
            self.assertEqual((1, "", text), (said.returncode, said.stdout, said.stderr))

    def test_error_is_one_line_with_status_1(self):
        tar_failed, missing = r"Error processing tar file\(exit status 1\): ", f"open {self.imaged.root}/tmp/docker-import-[0-9]+/%s: no such file or directory"
        whole = tar(docker_files((an_image(size=20_000), "x:1")))
        for data, text in (
            (b"garbage" * 1000, tar_failed + "archive/tar: invalid tar header"), (b"garbage", tar_failed + "unexpected EOF"), (whole[:15_000], tar_failed + "unexpected EOF"),
            (b"", missing % "repositories"), (bytes(10240), missing % "repositories"), (tar({"x": b""}), missing % "repositories"),
            (tar({"blobs/sha256/x": b""}), missing % "blobs/json"),
        ):  # fmt: skip
            for said in (self.piped(data), self.from_file(data)):
                self.assertEqual((1, ""), said[:2])
                self.assertRegex(said[2], r"\A" + text + r"\n\Z")
        self.assert_nothing_kept()

    def from_file(self, data):
        said = self.imaged.ctl("load", "-i", self.write("in.tar", data), check=False)
        return said.returncode, said.stdout, said.stderr

    def on_terminal(self, *args, stdin=subprocess.DEVNULL):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 150, 0, 0))
        process = subprocess.Popen([program("imagectl"), "load", *args], env={**os.environ, "IMAGED_HOST": self.imaged.address},
                                   stdin=stdin, stdout=slave, stderr=slave)
        os.close(slave)
        out = b""
        with open(master, "rb", buffering=0) as screen:
            try:
                while piece := screen.read(4096):
                    out += piece
            except OSError:  # EIO: the other end is closed
                pass
        self.assertEqual(0, process.wait(20))
        return out.decode().replace("\r\n", "\n")

    def test_progress_on_a_terminal(self):
        base, top = (Layer(tar({"f": random_bytes(400_000, seed)}), "plain") for seed in (1, 2))
        load(self.client, tar(docker_files((Image([base]), "base:1"))))
        path = self.write("x.tar", tar(docker_files((Image([base, top]), "x:1"))))
        shown = self.on_terminal("-i", path)
        self.assertRegex(shown, f"{hex_of(top.diff_id)[:12]}: Loading layer +\\[=*>? *\\]")
        self.assertRegex(shown, r"409.6kB/409.6kB")
        self.assertNotIn(hex_of(base.diff_id)[:12], shown, "a layer that is present shows nothing")
        self.assertTrue(shown.endswith("Loaded image: x:1\n"), shown[-200:])
        self.assertEqual("Loaded image: x:1\n", self.on_terminal("-i", path), "nothing is new")

    def test_progress_of_a_pipe_on_a_terminal(self):
        image = Image([Layer(tar({"f": random_bytes(3 << 20, 3)}), "plain")])
        path = self.write("x.tar", tar(docker_files((image, "x:1"))))
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as pipe:
            shown = self.on_terminal(stdin=pipe.stdout)
        self.assertRegex(shown, r"archive: Receiving +[0-9.]+[kM]B")
        self.assertRegex(shown, f"{hex_of(image.layers[0].diff_id)[:12]}: Loading layer +\\[=*>? *\\]")
        self.assertTrue(shown.endswith("Loaded image: x:1\n"), shown[-200:])

    def test_ids_are_told_when_the_last_image_has_no_name(self):
        one, two = an_image("1"), an_image("2")
        for tags, said in (
            (((one,), (two, "two:1")), "Loaded image: two:1\n"),
            (((one, "one:1"), (two,)), f"Loaded image: one:1\nLoaded image ID: {one.id}\nLoaded image ID: {two.id}\n"),
            (((one,), (two,)), f"Loaded image ID: {one.id}\nLoaded image ID: {two.id}\n"),
        ):  # fmt: skip
            self.assertEqual((0, said, ""), self.from_file(tar(docker_files(*tags))))
        self.assertEqual((0, "\n", ""), self.from_file(tar({"manifest.json": b"[]"})))

    def test_documents_that_docker_refuses_in_its_words(self):
        image = an_image()
        config, layer = hex_of(image.id) + ".json", hex_of(image.layers[0].diff_id) + ".tar"
        base = f"{self.imaged.root}/tmp/docker-import-[0-9]+"
        entry = lambda **more: json.dumps([{"Config": config, "RepoTags": ["x:1"], "Layers": [layer], **more}]).encode()
        go = "json: cannot unmarshal %s into Go %s"
        for document, text in (
            (b"{}", go % ("object", r"value of type \[\]tarexport.manifestItem")), (b"7", go % ("number", r"value of type \[\]tarexport.manifestItem")),
            (b"[7]", go % ("number", "value of type tarexport.manifestItem")), (b"null", r"invalid manifest, manifest cannot be null \(but can be \[\]\)"),
            (b" ", "EOF"), (b"x", "invalid character 'x' looking for beginning of value"),
            (entry(Config=7), go % ("number", "struct field manifestItem.Config of type string")), (entry(Layers="x"), go % ("string", r"struct field manifestItem.Layers of type \[\]string")),
            (entry(RepoTags=[True]), go % ("bool", "struct field manifestItem.RepoTags of type string")),
            (entry(Config="../../" + config), f"evalSymlinksInScope: {self.imaged.root}/{config} is not in {base}"), (entry(Layers=["../x.tar"]), f"evalSymlinksInScope: {self.imaged.root}/tmp/x.tar is not in {base}"),
            (entry(Config="/etc/passwd"), f"open {base}/etc/passwd: no such file or directory"), (entry(Config=""), f"read {base}: is a directory"), (b"[{}]", f"read {base}: is a directory"),
            (entry(Layers=[]), "invalid manifest, layers length mismatch: expected 0, got 1"), (entry(RepoTags=["x"]), 'invalid tag "x"'), (entry(RepoTags=["a:b:c"]), "invalid reference format"),
        ):  # fmt: skip
            said = self.from_file(tar({**docker_files((image, "x:1")), "manifest.json": document}))
            self.assertEqual((1, ""), said[:2], document)
            self.assertRegex(said[2], rf"\A{text}\n\Z", document)
        self.assert_nothing_kept()
        self.assertEqual((0, "Loaded image: x:1\n", ""), self.from_file(tar({**docker_files((image, "x:1")), "manifest.json": entry(Config="a/.././/" + config, Layers=["/" + layer])})))

    def test_quiet_on_a_terminal(self):
        path = self.write("x.tar", tar(docker_files((an_image(), "x:1"))))
        self.assertEqual("Loaded image: x:1\n", self.on_terminal("-q", "-i", path))

    def test_round_trip_through_a_shell_pipe(self):
        image = an_image(size=5 << 20)
        load(self.client, tar(docker_files((image, "x:1"))))
        other = self.daemon(name="other")
        done = subprocess.run(["bash", "-c", f'set -o pipefail; "$0" -H {self.imaged.address} save x:1 | "$0" -H {other.address} load', program("imagectl")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual((0, "Loaded image: x:1\n"), (done.returncode, done.stdout))
        self.assert_is(image, "x:1", other.client())

    def test_whoever_writes_into_the_pipe_is_read_to_the_end(self):
        """tar's padding, and more, must not kill the writer."""
        path = self.write("x.tar", tar(docker_files((an_image(), "x:1"))) + bytes(3 << 20))
        done = subprocess.run(["bash", "-c", f'cat {path} | "$0" load; echo "${{PIPESTATUS[@]}}"', program("imagectl")],
                              env={**os.environ, "IMAGED_HOST": self.imaged.address}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual("Loaded image: x:1\n0 0\n", done.stdout)
