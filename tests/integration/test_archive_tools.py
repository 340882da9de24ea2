"""Archives to and from other tools: skopeo, umoci, podman, buildah and dockerd. Image
IDs and diff IDs are the same always; manifest digests where the format carries them."""

import json
import os
import shutil
import subprocess

from archives import WAYS, ArchiveCase, layout_files, load, save
from engines import Dockerd, unmount_below
from fakeregistry import FakeRegistry
from fixtures import busybox_tar, sixty_layers
from harness import SLOW
from ociimage import Image, Layer, Repo, random_bytes, tar, write_layout

NAME = "example.com/tools/app:1"


def needs(case, program):
    if not shutil.which(program):
        case.skipTest(f"{program} is not installed")


class ToolCase(ArchiveCase):
    def setUp(self):
        super().setUp()
        layers = [Layer(busybox_tar()), Layer(tar({"etc/": None, "etc/two": b"2", "etc/hard": ("hard", "etc/two"), "etc/soft": "two"}))]
        self.image = Image(layers)
        self.other = Image([layers[0], Layer(tar({"three": random_bytes(10_000, 3)}))])

    def run_tool(self, *command, env=None, **options):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, **(env or {})}, timeout=120 * SLOW, cwd=self.dir, **options)
        if done.returncode:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def skopeo(self, *args):
        needs(self, "skopeo")
        return self.run_tool("skopeo", "--insecure-policy", *args)

    def layout(self, image=None, tag="1"):
        """An OCI layout on the disk, from which tools start."""
        repo = Repo()
        repo.add(image or self.image, tag)
        write_layout(repo, self.path("layout"))
        return self.path("layout")

    def load_file(self, path):
        with open(path, "rb") as file:
            return load(self.client, file.read(), True)

    def assert_is(self, name, image=None, client=None):
        image = image or self.image
        answer = (client or self.client).InspectImage(image=name, include_raw=True)
        self.assertEqual(image.id, answer.image.id)
        self.assertEqual([layer.diff_id for layer in image.layers], json.loads(answer.raw_config)["rootfs"]["diff_ids"])
        return answer

    def assert_layers(self, name, image=None, client=None):
        """For tools that write a configuration of their own."""
        image = image or self.image
        answer = (client or self.client).InspectImage(image=name, include_raw=True)
        self.assertEqual([layer.diff_id for layer in image.layers], json.loads(answer.raw_config)["rootfs"]["diff_ids"])

    def loaded_here(self):
        """The image in our store, under NAME."""
        load(self.client, tar(layout_files((self.image, NAME), (self.other, "example.com/tools/other:1"))))

    def saved_file(self, *names, name="ours.tar"):
        return self.write(name, save(self.client, *(names or (NAME,))))

    def twice(self, path):
        """Loading twice gives one image, whose manifest is the same."""
        first = self.load_file(path)
        second = self.load_file(path)
        self.assertEqual([(i.image_id, i.manifest_digest) for i in first.images], [(i.image_id, i.manifest_digest) for i in second.images])
        self.assertEqual(0, second.done.new_bytes)
        self.assert_clean(self.client)
        return first


class Skopeo(ToolCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)

    def test_oci_archive_to_us(self):
        self.skopeo("copy", "--preserve-digests", f"oci:{self.layout()}:1", f"oci-archive:{self.path('x.tar')}:{NAME}")
        [image] = self.twice(self.path("x.tar")).images
        self.assertEqual((self.image.digest, [NAME]), (image.manifest_digest, list(image.references)))
        self.assert_is(NAME)

    def test_docker_archive_to_us(self):
        self.skopeo("copy", f"oci:{self.layout()}:1", f"docker-archive:{self.path('x.tar')}:{NAME}")
        self.twice(self.path("x.tar"))
        self.assert_is(NAME)

    def test_docker_archive_of_several_tags(self):
        self.skopeo("copy", "--additional-tag", "example.com/tools/app:2", f"oci:{self.layout()}:1", f"docker-archive:{self.path('x.tar')}:{NAME}")
        [image] = self.twice(self.path("x.tar")).images
        self.assertEqual([NAME, "example.com/tools/app:2"], list(image.references))

    def test_oci_archive_of_docker_schema_2_and_zstd(self):
        for number, image in enumerate((Image(self.image.layers, docker=True), Image([Layer(tar({"z": b"1"}), "zstd")]))):
            shutil.rmtree(self.path("layout"), ignore_errors=True)
            with self.subTest(image=number):
                # skopeo makes OCI of it on the way.
                self.registry.repo("x").add(image, str(number))
                self.skopeo("copy", "--src-tls-verify=false", f"docker://{self.registry.host}/x:{number}", f"oci-archive:{self.path(f'{number}.tar')}:x:{number}")
                self.twice(self.path(f"{number}.tar"))
                self.assert_layers(f"x:{number}", image)

    def from_us(self, transport, image=None):
        """Skopeo reads our archive; what it copied into a directory."""
        target = self.path("copied")
        shutil.rmtree(target, ignore_errors=True)
        self.skopeo("copy", "--preserve-digests", transport, f"dir:{target}")
        with open(os.path.join(target, "manifest.json"), "rb") as file:
            manifest = file.read()
        config = json.loads(manifest)["config"]["digest"]
        with open(os.path.join(target, config.split(":")[1]), "rb") as file:
            self.assertEqual((image or self.image).config_bytes, file.read())
        return manifest

    def test_our_archive_as_an_oci_archive(self):
        self.loaded_here()
        path = self.saved_file()
        self.assertEqual(self.image.data, self.from_us(f"oci-archive:{path}"), "the manifest's bytes")

    def test_our_archive_of_two_images_by_tag(self):
        self.loaded_here()
        path = self.saved_file("example.com/tools/other:1", NAME)
        self.from_us(f"docker-archive:{path}:{NAME}")
        self.from_us(f"docker-archive:{path}:example.com/tools/other:1", self.other)
        self.from_us(f"docker-archive:{path}:@0", self.other)

    def test_our_archive_as_a_docker_archive(self):
        self.loaded_here()
        manifest = json.loads(self.from_us(f"docker-archive:{self.saved_file()}"))
        self.assertEqual(2, len(manifest["layers"]))

    def test_our_archive_unpacked_as_a_layout(self):
        self.loaded_here()
        os.mkdir(self.path("unpacked"))
        self.run_tool("tar", "-xf", self.saved_file(), "-C", self.path("unpacked"))
        self.assertEqual(self.image.data, self.from_us(f"oci:{self.path('unpacked')}"))

    def test_dir_to_us_by_way_of_an_archive(self):
        self.skopeo("copy", f"oci:{self.layout()}:1", f"dir:{self.path('copied')}")
        self.skopeo("copy", "--preserve-digests", f"dir:{self.path('copied')}", f"oci-archive:{self.path('x.tar')}:{NAME}")
        [image] = self.load_file(self.path("x.tar")).images
        self.assertEqual(self.image.digest, image.manifest_digest)

    def test_sixty_layers_there_and_back(self):
        image = Image(sixty_layers())
        self.skopeo("copy", f"oci:{self.layout(image)}:1", f"docker-archive:{self.path('x.tar')}:sixty:1")
        self.load_file(self.path("x.tar"))
        self.assert_is("sixty:1", image)
        self.skopeo("copy", f"docker-archive:{self.saved_file('sixty:1')}", f"oci-archive:{self.path('y.tar')}:back:1")
        self.load_file(self.path("y.tar"))
        # skopeo writes a configuration of its own when it goes from docker to OCI.
        self.assert_layers("back:1", image)
        self.skopeo("copy", f"docker-archive:{self.path('x.tar')}", f"docker-archive:{self.path('z.tar')}:back:2")
        self.load_file(self.path("z.tar"))
        self.assert_is("back:2", image)


class Umoci(ToolCase):
    def setUp(self):
        super().setUp()
        needs(self, "umoci")

    def test_umoci_reads_what_we_save(self):
        self.loaded_here()
        os.mkdir(self.path("u"))
        self.run_tool("tar", "-xf", self.saved_file(), "-C", self.path("u"))
        listed = self.run_tool("umoci", "list", "--layout", self.path("u")).split()
        self.assertEqual(["1"], listed)
        # A tag that it sets names the manifest that it found.
        self.run_tool("umoci", "tag", "--image", f"{self.path('u')}:1", "2")
        with open(self.path("u", "index.json"), "rb") as file:
            entries = json.load(file)["manifests"]
        tagged = [entry["digest"] for entry in entries if entry["annotations"]["org.opencontainers.image.ref.name"] == "2"]
        self.assertEqual([self.image.digest], tagged)
        shown = json.loads(self.run_tool("umoci", "stat", "--json", "--image", f"{self.path('u')}:1"))
        self.assertEqual(2, len([entry for entry in shown["history"] if not entry.get("empty_layer")]))
        self.run_tool("umoci", "unpack", "--rootless", "--image", f"{self.path('u')}:1", self.path("bundle"))
        with open(self.path("bundle", "rootfs", "etc", "two"), "rb") as file:
            self.assertEqual(b"2", file.read())

    def test_image_that_umoci_changed(self):
        layout = self.layout()
        self.run_tool("umoci", "config", "--image", f"{layout}:1", "--tag", "2", "--config.user", "nobody")
        self.run_tool("tar", "-cf", self.path("u.tar"), "-C", layout, ".")
        one, two = self.twice(self.path("u.tar")).images
        self.assertEqual(self.image.digest, one.manifest_digest)
        self.assertNotEqual(one.image_id, two.image_id)
        answer = self.client.InspectImage(image=two.image_id)
        self.assertEqual("nobody", answer.config.user)


class Containers(ToolCase):
    """podman and buildah, over a store of their own."""

    PROGRAM = AS_JSON = None

    def setUp(self):
        super().setUp()
        if not self.PROGRAM:
            self.skipTest("for its children")
        needs(self, self.PROGRAM)
        with open(self.path("policy.json"), "w", encoding="ascii") as file:
            json.dump({"default": [{"type": "insecureAcceptAnything"}]}, file)
        with open(self.path("storage.conf"), "w", encoding="ascii") as file:
            file.write(f'[storage]\ndriver = "vfs"\ngraphroot = "{self.path("graph")}"\nrunroot = "{self.path("runroot")}"\n')
        self.addCleanup(unmount_below, self.dir)  # podman mounts its own store onto itself

    def tool(self, *args):
        environment = {"CONTAINERS_STORAGE_CONF": self.path("storage.conf"), "HOME": self.dir, "XDG_RUNTIME_DIR": self.path("run"), "TMPDIR": self.dir}
        os.makedirs(self.path("run"), exist_ok=True)
        return self.run_tool(self.PROGRAM, *args, env=environment)

    def pull(self, source):
        self.tool("pull", "--signature-policy", self.path("policy.json"), source)

    def only_image(self):
        """What it says of the one image of its store: the ID, and the digest of the manifest."""
        [image] = json.loads(self.tool("images", *self.AS_JSON))
        image = {key.lower(): value for key, value in image.items()}
        return "sha256:" + image["id"].removeprefix("sha256:"), image["digest"]

    def their_archives_are_what_they_say(self):
        self.run_tool("tar", "-cf", self.path("start.tar"), "-C", self.layout(tag=NAME), ".")
        self.pull(f"oci-archive:{self.path('start.tar')}")
        self.assertEqual((self.image.id, self.image.digest), self.only_image())
        for transport in ("oci-archive", "docker-archive"):
            self.write_archive(transport)
            self.tool("rmi", "--all", "--force")
            self.pull(f"{transport}:{self.path(transport)}")
            image_id, digest = self.only_image()
            with open(self.path(transport), "rb") as file:
                data = file.read()
            for way, seekable in WAYS:
                with self.subTest(transport=transport, archive=way):
                    client = self.daemon(name=transport + way).client()
                    [image] = load(client, data, seekable).images
                    self.assertEqual([image_id] * 2, [self.image.id, image.image_id])
                    if transport == "oci-archive":
                        self.assertEqual(digest, image.manifest_digest)
                    self.assert_is(NAME, client=client)
                    self.assert_clean(client, [NAME])


class Podman(Containers):
    PROGRAM, AS_JSON = "podman", ("--format", "json")

    def test_archives_have_its_ids_and_digests(self):
        self.their_archives_are_what_they_say()

    def write_archive(self, transport):
        self.tool("save", "--format", transport, "-o", self.path(transport), NAME)

    def tool(self, *args):
        if args[0] == "load":
            args = (args[0], "--signature-policy", self.path("policy.json"), *args[1:])
        return super().tool("--cgroup-manager=cgroupfs", "--events-backend=none", *args)

    def test_there_and_back(self):
        self.loaded_here()
        said = self.tool("load", "-i", self.saved_file(NAME, "example.com/tools/other:1"))
        self.assertIn(NAME, said)
        self.assertEqual("sha256:" + self.tool("image", "inspect", "--format", "{{.Id}}", NAME).strip(), self.image.id)
        self.assertEqual("sha256:" + self.tool("image", "inspect", "--format", "{{.Id}}", "example.com/tools/other:1").strip(), self.other.id)
        for format in ("docker-archive", "oci-archive"):
            with self.subTest(format=format):
                self.tool("save", "--format", format, "-o", self.path(format), NAME)
                second = self.daemon(name=format + "-store")
                with open(self.path(format), "rb") as file:
                    data = file.read()
                first, again = load(second.client(), data, True), load(second.client(), data)
                self.assertEqual(first.images[0].manifest_digest, again.images[0].manifest_digest)
                # It takes ours for a docker-archive, and writes a configuration of its own.
                self.assert_layers(NAME, client=second.client())
        self.tool("save", "-m", "-o", self.path("multi"), NAME, "example.com/tools/other:1")
        third = self.daemon(name="multi-store")
        with open(self.path("multi"), "rb") as file:
            load(third.client(), file.read())
        self.assert_layers(NAME, client=third.client())
        self.assert_layers("example.com/tools/other:1", self.other, third.client())


class Buildah(Containers):
    PROGRAM, AS_JSON = "buildah", ("--json", "--no-trunc")

    def test_archives_have_its_ids_and_digests(self):
        self.their_archives_are_what_they_say()

    def write_archive(self, transport):
        self.tool("push", "--signature-policy", self.path("policy.json"), NAME, f"{transport}:{self.path(transport)}:{NAME}")

    def test_there_and_back(self):
        self.loaded_here()
        path = self.saved_file()
        self.pull(f"oci-archive:{path}")
        images = json.loads(self.tool("images", "--json"))
        self.assertEqual([self.image.id.split(":")[1][:12]], [image["id"][:12] for image in images])
        for transport in ("docker-archive", "oci-archive"):
            with self.subTest(transport=transport):
                self.tool("push", "--signature-policy", self.path("policy.json"), images[0]["id"], f"{transport}:{self.path(transport)}:{NAME}")
                second = self.daemon(name=transport + "-store")
                with open(self.path(transport), "rb") as file:
                    data = file.read()
                load(second.client(), data)
                load(second.client(), data, True)
                self.assertEqual(1, len(second.client().images()))
                self.assert_layers(NAME, client=second.client())
                self.assert_clean(second.client())


class Docker(ToolCase):
    """Debian's dockerd, where it can be started."""

    def setUp(self):
        super().setUp()
        self.docker = Dockerd(self).run

    def test_there_and_back(self):
        self.loaded_here()
        other = "example.com/tools/other:1"
        said = self.docker("load", "-i", self.saved_file(NAME, other))
        self.assertEqual(f"Loaded image: {NAME}\nLoaded image: {other}\n", said)
        for name, image in ((NAME, self.image), (other, self.other)):
            [found] = json.loads(self.docker("image", "inspect", name))
            self.assertEqual(image.id, found["Id"])
            self.assertEqual([layer.diff_id for layer in image.layers], found["RootFS"]["Layers"])
        self.docker("save", "-o", self.path("docker.tar"), NAME, other)
        second = self.daemon(name="second")
        with open(self.path("docker.tar"), "rb") as file:
            data = file.read()
        first, again = load(second.client(), data), load(second.client(), data, True)
        self.assertEqual(sorted(i.manifest_digest for i in first.images), sorted(i.manifest_digest for i in again.images))
        self.assert_is(NAME, client=second.client())
        self.assert_is(other, self.other, second.client())
        self.assertEqual(2, len(second.client().images()))
        self.assert_clean(second.client())
        # What they saved of ours, saved by us, is theirs again.
        self.docker("rmi", NAME, other)
        self.write("again.tar", save(second.client(), NAME, other))
        self.docker("load", "-i", self.path("again.tar"))
        self.assertEqual(self.image.id, json.loads(self.docker("image", "inspect", NAME))[0]["Id"])
