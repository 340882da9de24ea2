"""Push: what arrives at registries, how, and what does not, against Debian's
docker-registry, nginx before it, and registries that break off and lie."""

import contextlib
import gzip
import json
import os
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import fixtures
import ociimage
from archives import an_image, docker_files, layout_files
from fakeuploads import UploadRegistry
from harness import DockerRegistry, TestCase, skopeo
from nginx import RegistryProxy
from ociimage import Image, Index, Layer, random_bytes, sha256, tar
from rpc import pb

STATE = pb.PushProgress.State
MIB = 1 << 20


class PushCase(TestCase):
    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def load(self, *images, files=layout_files, imaged=None):
        with open(self.path("archive.tar"), "wb") as file:
            file.write(tar(files(*images)))
        (imaged or self.imaged).ctl("load", "-i", self.path("archive.tar"))

    def push(self, reference, **fields):
        """(PushDone, {digest: last progress}, [tags])"""
        events = list(self.client.Push(reference=reference, timeout=120, **fields))
        self.assertEqual("started", events[0].WhichOneof("event"))
        self.assertEqual("done", events[-1].WhichOneof("event"))
        layers = {e.layer.digest: e.layer for e in events if e.WhichOneof("event") == "layer"}
        return events[-1].done, layers, [e.tag for e in events if e.WhichOneof("event") == "tag"]

    def states(self, layers):
        return sorted({layer.state for layer in layers.values()})

    def repo_digests(self, reference):
        return list(self.client.InspectImage(image=reference).image.repo_digests)


class CuttingLine:
    """A line to a port of loopback that breaks off `times` times: when so many bytes have
    gone that way in one connection."""

    def __init__(self, port, limit, times):
        self.to, self.limit, self.times = port, limit, times
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
                threading.Thread(target=self.copy, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self.copy, args=(far, near, False), daemon=True).start()

    def copy(self, source, sink, counted):
        passed = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                passed += len(piece)
                if counted and passed > self.limit and self.times > 0:
                    self.times -= 1
                    break
                sink.sendall(piece)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class ToRegistry(PushCase):
    """Debian's docker-registry."""

    def setUp(self):
        super().setUp()
        self.source = fixtures.registry().host
        self.registry = DockerRegistry(self.path("registry"))
        self.addCleanup(self.registry.stop)
        self.host = self.registry.host

    def pull_and_tag(self, name, target, **fields):
        self.client.pull(f"{self.source}/{name}", **fields)
        self.client.TagImage(source=f"{self.source}/{name}", target=target)

    def raw(self, reference):
        return skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{reference}")

    def test_every_kind_of_image_arrives_bit_by_bit(self):
        for name in fixtures.IMAGES:
            if name.startswith(("multi:", "random:")):
                continue
            with self.subTest(image=name):
                target = f"{self.host}/all/{name}"
                self.pull_and_tag(name, target)
                done, layers, [tag] = self.push(target)
                raw = fixtures.inspect_raw(f"{self.source}/{name}")
                self.assertEqual(raw, self.raw(target))
                self.assertEqual((sha256(raw), len(raw)), (tag.digest, tag.size))
                self.assertTrue(set(self.states(layers)) <= {STATE.STATE_COMPLETE, STATE.STATE_EXISTS, STATE.STATE_MOUNTED})
        self.assert_clean(self.client)

    def test_skopeo_reads_back_the_bytes_that_were_stored(self):
        target = f"{self.host}/back:1"
        self.pull_and_tag("tree:oci-gzip", target)
        self.push(target)
        skopeo("copy", "--src-tls-verify=false", f"docker://{target}", f"dir:{self.path('out')}")
        names = set(os.listdir(self.path("out")))
        for layer in json.loads(self.raw(target))["layers"]:
            self.assertIn(layer["digest"].partition(":")[2], names, "skopeo has verified it")

    def test_second_push_sends_nothing(self):
        target = f"{self.host}/again:1"
        self.pull_and_tag("sixty:oci-gzip", target)
        first, layers, _ = self.push(target)
        self.assertGreater(first.sent_bytes, 0)
        self.assertEqual([STATE.STATE_COMPLETE], self.states(layers))
        second, layers, [tag] = self.push(target)
        self.assertEqual(0, second.sent_bytes)
        self.assertEqual([STATE.STATE_EXISTS], self.states(layers))
        self.assertEqual(60, len(layers))
        self.assertEqual(sha256(self.raw(target)), tag.digest)

    def test_image_knows_where_it_can_be_had(self):
        target = f"{self.host}/known:1"
        self.pull_and_tag("busybox:oci-gzip", target)
        _, _, [tag] = self.push(target)
        self.assertIn(f"{self.host}/known@{tag.digest}", self.repo_digests(target))
        [event] = [e for e in self.client.WatchEvents(after_revision=1, no_follow=True) if e.action == pb.Event.ACTION_PUSH]
        self.assertEqual(f"{self.host}/known@{tag.digest}", event.name)

    def test_layers_are_mounted_from_where_they_are(self):
        self.pull_and_tag("shared:one", f"{self.host}/m/one:1")
        self.push(f"{self.host}/m/one:1")
        self.pull_and_tag("shared:two", f"{self.host}/m/two:1")
        done, layers, _ = self.push(f"{self.host}/m/two:1")
        by_state = {layer.state: layer for layer in layers.values()}
        self.assertEqual({STATE.STATE_MOUNTED, STATE.STATE_COMPLETE}, set(by_state))
        self.assertEqual("m/one", getattr(by_state[STATE.STATE_MOUNTED], "from"))
        self.assertLess(done.sent_bytes, 10000)

    def multi(self, target, platforms=("linux/amd64", "linux/arm64", "linux/arm/v7"), name="multi:oci"):
        for platform in platforms:
            self.pull_and_tag(name, target, platform=platform)
        return fixtures.inspect_raw(f"{self.source}/{name}")

    def test_index_arrives_with_all_its_images(self):
        for name, media_type in (("multi:oci", ociimage.OCI_INDEX), ("multi:docker", ociimage.DOCKER_LIST)):
            with self.subTest(image=name):
                target = f"{self.host}/{name}"
                raw = self.multi(target, name=name)
                done, _, [tag] = self.push(target)
                self.assertEqual(raw, self.raw(target))
                self.assertEqual((sha256(raw), len(raw), media_type), (tag.digest, tag.size, tag.media_type))
                skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{target}", f"dir:{self.path(name)}")
                self.assertEqual(0, self.push(target)[0].sent_bytes)
        self.assert_clean(self.client)

    def test_index_of_which_one_image_is_here_goes_as_that_image(self):
        target = f"{self.host}/part:1"
        index = json.loads(self.multi(target, ["linux/arm64"]))
        [arm] = [e["digest"] for e in index["manifests"] if e["platform"]["architecture"] == "arm64"]
        _, layers, [tag] = self.push(target)
        self.assertEqual((arm, ociimage.OCI_MANIFEST), (tag.digest, tag.media_type))
        self.assertEqual(arm, sha256(self.raw(target)))
        self.assertEqual(0, self.push(target)[0].sent_bytes)
        self.assertIn(f"{self.host}/part@{arm}", self.repo_digests(target))

    def test_index_goes_whole_where_the_registry_has_the_rest(self):
        first, second = f"{self.host}/rest:1", f"{self.host}/rest:2"
        raw = self.multi(first)
        self.push(first)
        other = self.daemon(name="other")
        with other.client() as client:
            client.pull(first)
            client.TagImage(source=first, target=second)
            tags = [e.tag for e in client.Push(reference=second) if e.WhichOneof("event") == "tag"]
        self.assertEqual([sha256(raw)], [tag.digest for tag in tags])
        self.assertEqual(raw, self.raw(second))

    def test_platform_of_an_index_alone(self):
        target = f"{self.host}/one:arm"
        index = json.loads(self.multi(target))
        [arm] = [e["digest"] for e in index["manifests"] if e["platform"]["architecture"] == "arm64"]
        _, _, [tag] = self.push(target, platform="linux/arm64")
        self.assertEqual(arm, tag.digest)
        self.assert_rpc_fails("NOT_FOUND", "NO_MATCHING_PLATFORM", self.client.Push, reference=target, platform="linux/s390x")

    def test_all_tags(self):
        one, two = an_image("one", "gzip"), an_image("two", "gzip")
        self.load((one, f"{self.host}/t:b", f"{self.host}/t:a"), (two, f"{self.host}/t:c"))
        _, _, tags = self.push(f"{self.host}/t", all_tags=True)
        self.assertEqual([("a", one.digest), ("b", one.digest), ("c", two.digest)], [(t.tag, t.digest) for t in tags])
        self.assertEqual(one.data, self.raw(f"{self.host}/t:b"))

    def test_loaded_image_goes_compressed_once(self):
        image = an_image("plain", size=2 * MIB)
        target = f"{self.host}/plain:1"
        self.load((image, target), files=docker_files)
        _, _, [tag] = self.push(target)
        head = json.loads(self.raw(target))
        [layer] = head["layers"]
        self.assertEqual(ociimage.DOCKER_LAYER + ".gzip", layer["mediaType"])
        self.assertEqual(ociimage.DOCKER_MANIFEST, tag.media_type)
        self.assertEqual(image.id, head["config"]["digest"], "the image ID stays")
        with open(self.blob(layer["digest"]), "rb") as file:
            self.assertEqual(image.layers[0].diff_id, sha256(gzip.decompress(file.read())))
        second, layers, [again] = self.push(target)
        self.assertEqual((0, tag.digest), (second.sent_bytes, again.digest))
        self.assertEqual({layer["digest"]}, set(layers))
        other = self.daemon(name="other")
        with other.client() as client:
            client.pull(target)
            self.assertEqual([image.id], [found.id for found in client.images()])
        self.assert_clean(self.client)

    def blob(self, digest):
        value = digest.partition(":")[2]
        return os.path.join(self.imaged.root, "content", "sha256", value[:2], value)

    def test_base_that_two_loaded_images_share_is_compressed_once(self):
        base = Layer(tar({"base": random_bytes(MIB, 7)}), "plain")
        images = [Image([base, Layer(tar({name: b"1"}), "plain")]) for name in ("one", "two")]
        self.load(*[(image, f"{self.host}/b/{n}:1") for n, image in enumerate(images)], files=docker_files)
        heads = []
        for n in range(2):
            self.push(f"{self.host}/b/{n}:1")
            heads.append(json.loads(self.raw(f"{self.host}/b/{n}:1")))
        self.assertEqual(heads[0]["layers"][0], heads[1]["layers"][0])

    def test_compression_is_the_same_in_every_store(self):
        image = an_image("same", size=MIB)
        digests = []
        for name in ("one", "two"):
            imaged = self.daemon(name=name)
            self.load((image, f"{self.host}/{name}:1"), files=docker_files, imaged=imaged)
            imaged.ctl("push", f"{self.host}/{name}:1")
            digests.append(sha256(self.raw(f"{self.host}/{name}:1")))
        self.assertEqual(digests[0], digests[1])

    def test_plain_layers_of_a_manifest_that_came_stay_plain(self):
        image = an_image("given", "plain")
        target = f"{self.host}/given:1"
        self.load((image, target))
        _, _, [tag] = self.push(target)
        self.assertEqual(image.digest, tag.digest)
        self.assertEqual(image.data, self.raw(target))

    def test_read_only_store_can_push(self):
        target = f"{self.host}/ro:1"
        self.pull_and_tag("busybox:oci-gzip", target)
        self.imaged.stop()
        os.mkdir(self.path("ro"))
        if subprocess.run(["mount", "--bind", self.imaged.root, self.path("ro")], stderr=subprocess.PIPE).returncode:
            self.skipTest("mounts are not permitted")
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.path("ro")], check=True)
        if subprocess.run(["mount", "-o", "remount,bind,ro", self.path("ro")], stderr=subprocess.PIPE).returncode:
            self.skipTest("remount read-only is not permitted")
        imaged = self.daemon(root=self.path("ro"), name="second")
        result = imaged.ctl("push", target)
        self.assertIn("1: digest: sha256:", result.stdout)
        self.assertEqual(fixtures.inspect_raw(f"{self.source}/busybox:oci-gzip"), self.raw(target))

    def test_killed_in_the_middle_it_starts_again(self):
        target = f"{self.host}/killed:1"
        self.pull_and_tag("random:64m", target)
        stream = self.client.Push(reference=target, timeout=60)
        for event in stream:
            if event.WhichOneof("event") == "layer" and event.layer.state == STATE.STATE_PUSHING:
                break
        self.imaged.kill()
        self.imaged.start()
        self.client = self.imaged.client()
        self.push(target)
        self.assertEqual(fixtures.inspect_raw(f"{self.source}/random:64m"), self.raw(target))
        self.assert_clean(self.client)

    def test_pushes_at_once_of_a_loaded_image_send_one_manifest(self):
        image = an_image("at once", size=4 * MIB)
        names = [f"{self.host}/at/once{n}:1" for n in range(6)]
        self.load((image, *names), files=docker_files)
        with ThreadPoolExecutor(6) as pool:
            digests = {tags[0].digest for _, _, tags in pool.map(self.push, names)}
        self.assertEqual(1, len(digests))
        self.assertEqual(2, len(self.client.images()[0].manifest_digests), "the one of the load, and one of all pushes")
        self.assert_clean(self.client)

    def test_line_that_breaks_before_a_real_registry(self):
        with CuttingLine(self.registry.port, 20 * MIB, times=2) as line:
            target = f"127.0.0.1:{line.port}/cut:1"
            self.pull_and_tag("random:64m", target)
            done, _, [tag] = self.push(target)
        self.assertEqual(0, line.times, "it broke")
        self.assertEqual(fixtures.inspect_raw(f"{self.source}/random:64m"), self.raw(f"{self.host}/cut:1"))
        self.assertGreater(done.sent_bytes, 64 * MIB)

    # -- names that are not here, and what imagectl prints

    def test_what_is_not_here(self):
        self.load((an_image("x", "gzip"), f"{self.host}/here:1"))
        for reference, text in (
            (f"{self.host}/nosuch:1", f"An image does not exist locally with the tag: {self.host}/nosuch"),
            (f"{self.host}/here:2", f"tag does not exist: {self.host}/here:2"),
        ):
            error = self.assert_rpc_fails("NOT_FOUND", "NO_SUCH_IMAGE", self.client.Push, reference=reference)
            self.assertEqual(text, error.details())
        digest = "sha256:" + "1" * 64
        self.assert_rpc_fails("INVALID_ARGUMENT", None, self.client.Push, reference=f"{self.host}/here@{digest}")

    def test_lines_are_dockers(self):
        image = Image([Layer(tar({"low": b"1"})), Layer(tar({"high": b"2"}))])
        name = f"{self.host}/lines"
        self.load((image, f"{name}:latest"))
        low, high = (layer.diff_id[7:19] for layer in image.layers)
        end = f"latest: digest: {image.digest} size: {image.size}"
        head = ["Using default tag: latest", f"The push refers to repository [{name}]"]
        lines = self.imaged.ctl("push", name).stdout.splitlines()
        self.assertEqual(head + [f"{high}: Preparing", f"{low}: Preparing"], lines[:4])
        self.assertEqual({f"{high}: Pushed", f"{low}: Pushed"}, set(lines[4:6]))
        self.assertEqual([end], lines[6:])
        lines = self.imaged.ctl("push", name).stdout.splitlines()
        self.assertEqual({f"{high}: Layer already exists", f"{low}: Layer already exists"}, set(lines[4:6]))
        self.assertEqual(f"{name}:latest\n", self.imaged.ctl("image", "push", "-q", name).stdout)

    def dockers(self, config, layers):
        """The manifest that docker's engine makes of them."""
        size = len(config)
        head = {
            "schemaVersion": 2,
            "mediaType": ociimage.DOCKER_MANIFEST,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": size, "digest": sha256(config)},
            "layers": [
                {"mediaType": ociimage.DOCKER_LAYER + ".gzip", "size": layer.blob.size, "digest": layer.blob.digest}
                for layer in layers
            ],
        }
        return json.dumps(head, indent=3)

    def test_who_is_called_docker_sends_dockers_manifest(self):
        gzip_, zstd = an_image("gzip", "gzip"), an_image("zstd", "zstd")
        for n, image in enumerate((gzip_, zstd)):
            self.load((image, f"{self.host}/d/{n}:1"))
        made = self.dockers(gzip_.config_bytes, gzip_.layers)
        for name, sent in (("imagectl", gzip_.data.decode()), ("docker", made), ("docker", made)):
            lines = self.imaged.ctl("push", f"{self.host}/d/0:1", name=name).stdout.splitlines()
            self.assertEqual(f"1: digest: {sha256(sent.encode())} size: {len(sent)}", lines[-1])
            self.assertEqual(sent, self.raw(f"{self.host}/d/0:1").decode())
        self.imaged.ctl("push", f"{self.host}/d/1:1", name="docker")
        self.assertEqual(zstd.data, self.raw(f"{self.host}/d/1:1"), "docker's cannot say zstd")
        self.assertEqual({gzip_.id, zstd.id}, {found.id for found in self.client.images()})
        self.assert_clean(self.client)

    def test_a_loaded_image_whose_layers_came_as_gzip_needs_no_compressing(self):
        """The digest is docker's, whatever manifest the layers came under."""
        data = tar({"both": b"1"})
        layers = [Layer(data, "gzip")]
        image, given = Image([Layer(data, "plain")]), Image(layers)
        self.assertEqual(image.id, given.id)
        self.load((image, f"{self.host}/p/loaded:1"), files=docker_files)
        self.load((given, f"{self.host}/p/given:1"))
        self.push(f"{self.host}/p/loaded:1")
        self.assertEqual(self.dockers(image.config_bytes, layers), self.raw(f"{self.host}/p/loaded:1").decode())
        self.push(f"{self.host}/p/given:1")
        self.assertEqual(given.data, self.raw(f"{self.host}/p/given:1"))

    def test_errors_are_dockers(self):
        for arguments, out, said in (
            (["push", f"{self.host}/x"], f"Using default tag: latest\nThe push refers to repository [{self.host}/x]\n",
             f"An image does not exist locally with the tag: {self.host}/x\n"),
            (["push", "-a", f"{self.host}/x:1"], "", "tag can't be used with --all-tags/-a\n"),
            (["push", f"{self.host}/x@sha256:{'1' * 64}"], "", "cannot push a digest reference\n"),
        ):
            result = self.imaged.ctl(*arguments, check=False)
            self.assertEqual((1, out, said), (result.returncode, result.stdout, result.stderr))

    def test_image_without_layers_is_sent_as_docker_sends_it(self):
        image = Image([], edit=lambda _, config: config.pop("history"))
        target = f"{self.host}/empty:1"
        self.load((image, target), files=docker_files)
        _, layers, [tag] = self.push(target)
        wanted = (
            '{\n   "schemaVersion": 2,\n   "mediaType": "application/vnd.docker.distribution.manifest.v2+json",\n   "config": {\n'
            '      "mediaType": "application/vnd.docker.container.image.v1+json",\n'
            f'      "size": {len(image.config_bytes)},\n      "digest": "{image.id}"\n   }},\n   "layers": []\n}}'
        )
        self.assertEqual(wanted, self.raw(target).decode())
        self.assertEqual(sha256(wanted.encode()), tag.digest)
        self.assertEqual({}, layers)

    def test_platform_that_is_not_here_is_dockers(self):
        self.load((an_image("amd", "gzip"), f"{self.host}/amd:1"))
        result = self.imaged.ctl("push", "--platform", "linux/s390x", f"{self.host}/amd:1", check=False)
        self.assertTrue(result.stdout.startswith("\n Info -> Using --platform pushes only"), result.stdout)
        self.assertNotIn("The push refers", result.stdout)
        self.assertEqual(f"Error response from daemon: image with reference {self.host}/amd:1 was found but its platform "
                         "(linux/amd64) does not match the specified platform (linux/s390x)\n", result.stderr)

    def test_nobody_listens(self):
        self.load((an_image("down", "gzip"), "127.0.0.1:1/x:1"))
        result = self.imaged.ctl("push", "127.0.0.1:1/x:1", check=False)
        self.assertEqual("The push refers to repository [127.0.0.1:1/x]\n", result.stdout)
        self.assertRegex(result.stderr, r'^Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused')


class BehindProxy(PushCase):
    """docker-registry behind nginx, where TLS ends."""

    def setUp(self):
        super().setUp()
        self.registry = DockerRegistry(self.path("registry"))
        self.addCleanup(self.registry.stop)

    def push_through(self, image, **options):
        proxy = RegistryProxy(self.path("nginx"), self.registry.host, **options)
        self.addCleanup(proxy.stop)
        imaged = self.daemon("--insecure-registry", proxy.host, name="behind")
        name = f"{proxy.host}/p/x:1"
        self.load((image, name), imaged=imaged)
        result = imaged.ctl("push", name, check=False)
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        self.assertEqual(image.data, skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{self.registry.host}/p/x:1"))
        self.assertIn("Layer already exists", imaged.ctl("push", name).stdout)

    def test_location_with_http_for_its_own_host_is_https(self):
        self.push_through(an_image("http", "gzip", size=MIB))

    def test_location_that_forgets_the_port_too(self):
        self.push_through(an_image("port", "gzip", size=MIB), port=False)

    def test_proxy_that_is_set_up_well(self):
        self.push_through(an_image("well", "gzip", size=MIB), forwarded=True)

    def test_proxy_that_limits_bodies_gets_pieces(self):
        self.push_through(an_image("small", "gzip", size=6 * MIB), body_max="2m")


class ToFake(PushCase):
    """A registry that does as it is told."""

    def registry(self, **options):
        made = UploadRegistry(**options).__enter__()
        self.addCleanup(made.stop)
        return made

    def one(self, registry, size=2 * MIB, name="a/b"):
        image = an_image("fake", "gzip", size=size)
        self.load((image, f"{registry.host}/{name}:1"))
        return image, f"{registry.host}/{name}:1"

    def check_arrived(self, registry, image, name="a/b", tag="1"):
        repo = registry.repos[name]
        self.assertEqual(image.digest, repo.tags[tag])
        self.assertEqual(image.data, repo.manifests[image.digest].data)
        self.assertEqual(image.media_type, repo.manifests[image.digest].media_type)
        for blob in image.blobs:
            self.assertEqual(blob.bytes(), repo.blobs[blob.digest].bytes())

    def test_monolithic_upload(self):
        registry = self.registry()
        image, name = self.one(registry)
        self.push(name)
        self.check_arrived(registry, image)
        self.assertEqual(0, registry.count("", "PATCH"))
        for request in registry.matching("/blobs/uploads/", "PUT"):
            self.assertNotIn("Expect", request.headers)
            self.assertEqual("application/octet-stream", request.headers["Content-Type"])
        order = [r.method for r in registry.requests if "/manifests/" in r.path or "/uploads/" in r.path]
        self.assertEqual("PUT", order[-1])
        self.assertIn("/manifests/1", registry.requests[-1].path, "the tag comes last")

    def test_small_blob_goes_with_the_post_where_that_is_known(self):
        registry = self.registry()
        registry.single_post = True
        image, name = self.one(registry, size=1000)
        self.push(name)
        self.check_arrived(registry, image)
        self.assertEqual(0, registry.count("/blobs/uploads/", "PUT"))

    def test_pieces_where_the_registry_asks_for_them(self):
        registry = self.registry()
        registry.min_chunk = 100000
        image, name = self.one(registry)
        self.push(name)
        self.check_arrived(registry, image)
        self.assertGreater(registry.count("", "PATCH"), 0)

    def test_proxy_that_limits_a_body_gets_smaller_pieces(self):
        registry = self.registry()
        registry.body_max = MIB
        image, name = self.one(registry, size=3 * MIB)
        self.push(name)
        self.check_arrived(registry, image)
        self.assertGreater(registry.count("", "PATCH"), 2)
        self.assertGreater(registry.count("/uploads/", "DELETE"), 0, "the session that was refused is cancelled")

    def test_proxy_that_takes_nothing_is_said(self):
        registry = self.registry()
        registry.body_max = 20000
        _, name = self.one(registry)
        error = self.assert_rpc_fails("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", self.client.Push, reference=name)
        self.assertIn("413", error.details())
        self.assertEqual({}, registry.repos["a/b"].tags)

    def test_broken_upload_goes_on_where_it_was(self):
        registry = self.registry()
        registry.single_post = True
        image, name = self.one(registry, size=4 * MIB)
        registry.fault("PUT", "/blobs/uploads/", take=3 * MIB, times=1)
        done, layers, _ = self.push(name)
        self.check_arrived(registry, image)
        [again] = registry.matching("", "PATCH")
        self.assertTrue(again.headers["Content-Range"].startswith(f"{3 * MIB}-"), again.headers["Content-Range"])
        self.assertLess(registry.received, image.layers[0].blob.size + 10000, "nothing came twice")

    def test_upload_that_breaks_in_every_piece_ends_well_as_long_as_it_moves(self):
        registry = self.registry()
        registry.min_chunk = 1000
        image, name = self.one(registry, size=2 * MIB)
        registry.fault("PATCH", "/blobs/uploads/", take=300000, times=3)
        self.push(name)
        self.check_arrived(registry, image)

    def test_session_that_is_forgotten_starts_over(self):
        registry = self.registry()
        registry.single_post = True
        image, name = self.one(registry)
        registry.fault("PUT", "/blobs/uploads/", take=MIB, times=1)
        registry.fault("GET", "/blobs/uploads/", times=1, status=404)
        self.push(name)
        self.check_arrived(registry, image)
        self.assertGreaterEqual(registry.count("/blobs/uploads/$", "POST"), 2)

    def test_wrong_offset_is_asked_for_again(self):
        registry = self.registry()
        registry.min_chunk = 1000
        image, name = self.one(registry)
        registry.fault("PATCH", "/blobs/uploads/", times=1, status=416)
        self.push(name)
        self.check_arrived(registry, image)

    def test_server_error_is_tried_again_and_then_said(self):
        registry = self.registry()
        image, name = self.one(registry)
        registry.fault("PUT", "/blobs/uploads/", times=2, status=503)
        self.push(name)
        self.check_arrived(registry, image)
        image, name = self.one(registry, name="c/d")
        registry.fault("POST", "/c/d/blobs/uploads/", status=500)
        self.assert_rpc_fails("UNAVAILABLE", "REGISTRY_UNAVAILABLE", self.client.Push, reference=name)

    def test_wait_that_is_asked_for_is_kept(self):
        registry = self.registry()
        image, name = self.one(registry)
        registry.fault("PUT", "/blobs/uploads/", times=1, status=429, headers={"Retry-After": "1"})
        self.push(name)
        self.check_arrived(registry, image)
        registry.fault("PUT", "/manifests/2", status=429, headers={"Retry-After": "3600"})
        self.client.TagImage(source=name, target=f"{registry.host}/a/b:2")
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "RATE_LIMITED", self.client.Push, reference=f"{registry.host}/a/b:2")

    # -- mounts

    def two_repositories(self, registry):
        image, first = self.one(registry, name="from/here")
        self.push(first)
        second = f"{registry.host}/to/there:1"
        self.client.TagImage(source=first, target=second)
        return image, second

    def test_mount(self):
        registry = self.registry()
        image, second = self.two_repositories(registry)
        before = registry.received
        done, layers, _ = self.push(second)
        self.check_arrived(registry, image, "to/there")
        self.assertEqual([STATE.STATE_MOUNTED], self.states(layers))
        self.assertEqual((0, before), (done.sent_bytes, registry.received))

    def test_mount_that_becomes_a_session_goes_on_there(self):
        registry = self.registry()
        image, second = self.two_repositories(registry)
        registry.mounts = 202
        _, layers, _ = self.push(second)
        self.check_arrived(registry, image, "to/there")
        self.assertEqual([STATE.STATE_COMPLETE], self.states(layers))
        self.assertEqual(0, registry.count("/to/there/blobs/uploads/$", "POST"), "no session beside that of the mount")

    def test_mount_that_is_denied_is_done_without(self):
        registry = self.registry()
        image, second = self.two_repositories(registry)
        for status in (401, 403, 404, 405):
            registry.mounts = status
            registry.repos["to/there"] = ociimage.Repo()
            self.push(second)
            self.check_arrived(registry, image, "to/there")

    def test_token_for_a_mount_covers_both_repositories(self):
        registry = self.registry(auth="bearer")
        image, second = self.two_repositories(registry)
        _, layers, _ = self.push(second)
        self.check_arrived(registry, image, "to/there")
        self.assertEqual([STATE.STATE_MOUNTED], self.states(layers))
        scopes = set(registry.scopes.values())
        self.assertTrue(any("to/there:pull,push" in s and "from/here:pull" in s for s in scopes), scopes)

    # -- authentication

    def test_token_is_for_pushing(self):
        registry = self.registry(auth="bearer", user="u", password="p")
        image, name = self.one(registry)
        credentials = {"server_address": registry.host, "username": "u", "password": "p"}
        self.push(name, credentials=credentials)
        self.check_arrived(registry, image)
        self.assertTrue(any("a/b:pull,push" in scope for scope in registry.scopes.values()))

    def test_token_that_ends_in_mid_upload_is_fetched_again(self):
        registry = self.registry(auth="bearer")
        registry.single_post = True
        registry.min_chunk = 1000
        image, name = self.one(registry)
        for method in ("PATCH", "PUT"):
            registry.fault(method, "/blobs/uploads/", times=1, forget=True)
        self.push(name)
        self.check_arrived(registry, image)
        self.assertEqual(3, registry.count("/token"))
        self.assertEqual(2, registry.count("", "PATCH"), "one was refused, and sent again")

    def test_denied_is_in_the_registrys_words(self):
        registry = self.registry(auth="basic", user="u", password="p")
        _, name = self.one(registry)
        error = self.assert_rpc_fails("UNAUTHENTICATED", None, self.client.Push, reference=name)
        self.assertEqual("no basic auth credentials", error.details())
        registry = self.registry()
        _, name = self.one(registry)
        body = json.dumps({"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]})
        registry.fault("POST", "/blobs/uploads/", status=403, body=body.encode())
        error = self.assert_rpc_fails("PERMISSION_DENIED", "ACCESS_DENIED", self.client.Push, reference=name)
        self.assertEqual("denied: requested access to the resource is denied", error.details())

    def test_session_at_another_host_gets_no_credentials(self):
        registry = self.registry(auth="basic", user="u", password="p")
        other = self.registry()
        registry.upload_host, registry.partner = other.host, other
        image, name = self.one(registry)
        credentials = {"server_address": registry.host, "username": "u", "password": "p"}
        registry.repo("a/b")
        other.repos = registry.repos
        self.push(name, credentials=credentials)
        self.check_arrived(registry, image)
        self.assertGreater(other.count("", "PUT"), 0)
        for request in other.requests:
            self.assertNotIn("Authorization", request.headers)

    # -- manifests and tags

    def test_many_tags_go_in_one_request_where_that_is_known(self):
        for known in (True, False):
            with self.subTest(known=known):
                registry = self.registry()
                registry.many_tags = known
                image = an_image(f"tags {known}", "gzip")
                names = [f"{registry.host}/a/b:{tag}" for tag in ("1", "2", "3")]
                self.load((image, *names))
                _, _, tags = self.push(f"{registry.host}/a/b", all_tags=True)
                self.assertEqual(["1", "2", "3"], [tag.tag for tag in tags])
                for tag in ("1", "2", "3"):
                    self.check_arrived(registry, image, tag=tag)
                self.assertEqual(1 if known else 4, registry.count("/manifests/", "PUT"))

    def test_children_come_before_their_index(self):
        source, registry = self.registry(), self.registry()
        entries = []
        for platform in (fixtures.AMD64, fixtures.ARM64):
            entries.append((an_image(platform["architecture"], "gzip", platform=platform), platform))
        index = source.repo("a/b").add(Index(entries), "1")
        for platform in ("linux/amd64", "linux/arm64"):
            self.client.pull(f"{source.host}/a/b:1", platform=platform)
            self.client.TagImage(source=f"{source.host}/a/b:1", target=f"{registry.host}/a/b:1")
        self.push(f"{registry.host}/a/b:1")
        self.assertEqual(index.digest, registry.repos["a/b"].tags["1"])
        self.assertEqual(index.data, registry.repos["a/b"].manifests[index.digest].data)

    def test_refused_manifest_is_said_and_no_tag_moves(self):
        registry = self.registry()
        _, name = self.one(registry)
        body = json.dumps({"errors": [{"code": "MANIFEST_INVALID", "message": "manifest invalid"}]})
        registry.fault("PUT", "/manifests/", status=400, body=body.encode())
        error = self.assert_rpc_fails("UNKNOWN", None, self.client.Push, reference=name)
        self.assertIn("manifest invalid", error.details())
        self.assertEqual({}, registry.repos["a/b"].tags)
        self.assertEqual([], self.repo_digests(name))

    # -- ends

    def test_cancelled_push_cancels_its_session(self):
        registry = self.registry()
        _, name = self.one(registry, size=16 * MIB)
        gate = threading.Event()
        self.addCleanup(gate.set)
        registry.fault("PUT", "/blobs/uploads/", take=MIB, times=1, gate=gate)
        stream = self.client.Push(reference=name, timeout=60)
        self.assertTrue(registry.wait_requests(1, r"/blobs/uploads/\w+\?.*digest"))
        stream.cancel()
        self.assertTrue(registry.wait_for(lambda: any(r.method == "DELETE" for r in registry.requests)))
        self.assertEqual({}, registry.repos["a/b"].tags)

    def test_damaged_blob_of_the_store_is_not_stored_anywhere(self):
        registry = self.registry()
        image, name = self.one(registry)
        digest = image.layers[0].blob.digest.partition(":")[2]
        path = os.path.join(self.imaged.root, "content", "sha256", digest[:2], digest)
        os.chmod(path, 0o600)
        with open(path, "r+b") as file:
            file.seek(1000)
            file.write(b"damage")
        self.assert_rpc_fails("DATA_LOSS", "CONTENT_DAMAGED", self.client.Push, reference=name)
        self.assertEqual({}, registry.repos["a/b"].tags)
