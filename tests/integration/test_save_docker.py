"""Save as docker up to version 24 does: which members, in which order, with which bytes,
modes, owners and times. The rules are written down here a second time."""

import hashlib
import json
import os
import subprocess

from archives import BLOCK, docker_files, hex_of, load, save
from harness import program, skopeo
from ociimage import Image, Layer, random_bytes, sha256, tar
from rpc import pb
from savecase import SaveCase

DOCKER = pb.ARCHIVE_LAYOUT_DOCKER
NOTHING = {
    "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": False, "AttachStderr": False,
    "Tty": False, "OpenStdin": False, "StdinOnce": False, "Env": None, "Cmd": None, "Image": "", "Volumes": None,
    "WorkingDir": "", "Entrypoint": None, "OnBuild": None, "Labels": None,
}  # fmt: skip
CREATED = 1700000000  # ociimage.Image's


def go(value, **options):
    """JSON as Go writes it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, **options)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode()


class Member:
    """One member of a tar, as its header says it."""

    def __init__(self, block, data):
        text = lambda a, b: block[a:b].split(b"\0")[0].decode()
        self.name, self.mode, self.link, self.data = text(0, 100), text(100, 108), text(157, 257), data
        self.ids, self.owner, self.devices = block[108:124], (text(265, 297), text(297, 329)), block[329:345]
        self.mtime, self.kind, self.magic = int(text(136, 148), 8), block[156:157], block[257:265]


def members_of(archive):
    found, at = [], 0
    while archive[at : at + BLOCK].strip(b"\0"):
        block = archive[at : at + BLOCK]
        size = int(block[124:135], 8)
        found.append(Member(block, archive[at + BLOCK : at + BLOCK + size]))
        at += BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK
    assert archive[at:] == bytes(2 * BLOCK), "two blocks of zeros, and no more"
    return found


def chains(image):
    chain = ""
    for layer in image.layers:
        chain = sha256(f"{chain} {layer.diff_id}".encode()) if chain else layer.diff_id
        yield chain


def documents(image, own):
    """[(v1 id, its json)], the lowest first; `own`: what the top one has of the image's."""
    found, parent = [], None
    for chain in chains(image):
        top = len(found) == len(image.layers) - 1
        body = own if top else {"created": "1970-01-01T00:00:00Z", "container_config": NOTHING}
        identity = {**body, "layer_id": chain, **({"parent": "sha256:" + parent} if parent else {})}
        one = hashlib.sha256(go(dict(sorted(identity.items())))).hexdigest()
        head = {"id": one, **({"parent": parent} if parent else {})}
        found.append((one, go({**head, **body, **({} if top else {"os": "linux"})})))
        parent = one
    return found


OWN = {
    "created": "2023-11-14T22:13:20Z", "container_config": NOTHING,
    "config": {**NOTHING, "Env": ["PATH=/usr/bin:/bin"], "Cmd": ["sh"]}, "architecture": "amd64", "os": "linux",
}  # fmt: skip


class DockerLayout(SaveCase):
    def docker(self, *names):
        return save(self.client, *names, layout=DOCKER)

    def by_name(self, archive):
        return {member.name: member for member in members_of(archive)}

    def v1_ids(self, archive):
        [entry] = json.loads(self.by_name(archive)["manifest.json"].data)
        return [name.partition("/")[0] for name in entry["Layers"]]

    def test_members_of_an_image_with_layers_of_every_compression(self):
        image = self.pull("one:1", Image([self.base, Layer(tar({"b": b"2"}), "zstd"), Layer(tar({"c": b"3"}), "plain")]))
        name, found = self.full("one:1"), documents(image, OWN)
        expected = {hex_of(image.id) + ".json": image.config_bytes}
        for (one, document), layer in zip(found, image.layers):
            expected |= {f"{one}/": b"", f"{one}/VERSION": b"1.0", f"{one}/json": document, f"{one}/layer.tar": self.plain(layer)}
        expected = {key: expected[key] for key in sorted(expected)}
        layers = [f"{one}/layer.tar" for one, _ in found]
        expected["manifest.json"] = go([{"Config": hex_of(image.id) + ".json", "RepoTags": [name], "Layers": layers}]) + b"\n"
        expected["repositories"] = go({self.full("one"): {"1": found[-1][0]}}) + b"\n"
        members = members_of(self.docker(name))
        self.assertEqual(list(expected), [member.name for member in members])
        for member in members:
            self.assertEqual(expected[member.name], member.data, member.name)

    def plain(self, layer):
        if layer.blob.data[:2] == b"\x1f\x8b":
            return subprocess.run(["gzip", "-dc"], input=layer.blob.data, stdout=subprocess.PIPE, check=True).stdout
        if layer.blob.data[:4] == b"\x28\xb5\x2f\xfd":
            return subprocess.run(["zstd", "-qdc"], input=layer.blob.data, stdout=subprocess.PIPE, check=True).stdout
        return layer.blob.data

    def test_headers(self):
        self.pull("one:1", Image([self.base]))
        for member in members_of(self.docker(self.full("one:1"))):
            self.assertEqual("0040755" if member.name.endswith("/") else "0100644", member.mode, member.name)
            self.assertEqual(b"5" if member.name.endswith("/") else b"0", member.kind)
            self.assertEqual((b"0000000\0" * 2, ("root", "root"), b"ustar\x0000", b"0000000\0" * 2), (member.ids, member.owner, member.magic, member.devices))
            self.assertEqual(0 if member.name in ("manifest.json", "repositories") else CREATED, member.mtime, member.name)

    def test_times_that_are_none(self):
        for number, (created, mtime) in enumerate(((None, 0), ("1960-01-01T00:00:00Z", 0), ("2300-01-01T00:00:00Z", 0), ("2038-02-03T04:05:06.9+01:00", 2148779106))):
            image = self.pull(f"t:{number}", Image([self.base], config={"created": created}))
            archive = self.docker(self.full(f"t:{number}"))
            self.assertEqual(mtime, self.by_name(archive)[hex_of(image.id) + ".json"].mtime)
            said = json.loads(self.by_name(archive)[self.v1_ids(archive)[0] + "/json"].data)
            self.assertEqual(created or "0001-01-01T00:00:00Z", said["created"], "in the zone of the image")

    def test_top_layer_has_what_the_image_has(self):
        text = "<a&b> \u2028 \"q\" \\ \t\x01\x7f é"
        config = {
            "created": "2023-11-14T22:13:20.120+08:00", "comment": text, "author": "A <a@b>", "docker_version": "20.10.7", "container": "cc",
            "variant": "v2", "container_config": {"Cmd": None, "Env": [], "Labels": {}},
            "config": {"Cmd": "one", "ExposedPorts": {"80/tcp": {}, "443/tcp": {}}, "Volumes": {"/b": {}, "/a": {}}, "Labels": {"z": "1", "a": "<"},
                       "Healthcheck": {"Test": ["CMD", "x"], "Interval": 10**9, "StartInterval": 5, "Retries": 3}, "Shell": ["/bin/sh", "-c"],
                       "StopSignal": "TERM", "StopTimeout": 0, "OnBuild": [], "ArgsEscaped": True, "Entrypoint": [], "MacAddress": "02:42", "NetworkDisabled": True},
        }  # fmt: skip
        image = self.pull("rich:1", Image([self.base, Layer(tar({"b": b"2"}))], config=config))
        ports, volumes = {"443/tcp": {}, "80/tcp": {}}, {"/a": {}, "/b": {}}
        health = {"Test": ["CMD", "x"], "Interval": 10**9, "Retries": 3}
        container = {
            "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": False, "AttachStderr": False, "ExposedPorts": ports,
            "Tty": False, "OpenStdin": False, "StdinOnce": False, "Env": None, "Cmd": ["one"], "Healthcheck": health, "ArgsEscaped": True, "Image": "",
            "Volumes": volumes, "WorkingDir": "", "Entrypoint": [], "NetworkDisabled": True, "MacAddress": "02:42", "OnBuild": [],
            "Labels": {"a": "<", "z": "1"}, "StopSignal": "TERM", "StopTimeout": 0, "Shell": ["/bin/sh", "-c"],
        }  # fmt: skip
        own = {
            "comment": text, "created": "2023-11-14T22:13:20.12+08:00", "container": "cc", "container_config": {**NOTHING, "Env": [], "Labels": {}},
            "docker_version": "20.10.7", "author": "A <a@b>", "config": container, "architecture": "amd64", "variant": "v2", "os": "linux",
        }  # fmt: skip
        archive = self.by_name(self.docker(self.full("rich:1")))
        for one, document in documents(image, own):
            self.assertEqual(document, archive[f"{one}/json"].data)

    def test_images_that_share_a_base_have_it_once(self):
        for n in (1, 2):
            self.pull(f"s:{n}", Image([self.base, Layer(tar({"n": b"%d" % n}))]))
        archive = self.docker(self.full("s"))
        entries = json.loads(self.by_name(archive)["manifest.json"].data)
        self.assertEqual(entries[0]["Layers"][0], entries[1]["Layers"][0])
        names = [member.name for member in members_of(archive)]
        self.assertEqual((2 + 3 * 4 + 2, len(set(names))), (len(names), len(names)))

    def test_layer_under_another_id_is_a_link(self):
        first = self.pull("l:1", Image([self.base]))
        second = self.pull("l:2", Image([self.base], config={"author": "other"}))
        archive = self.by_name(self.docker(self.full("l")))
        one, two = (entry["Layers"][0] for entry in json.loads(archive["manifest.json"].data))
        self.assertEqual((first.id, second.id), tuple("sha256:" + entry["Config"][:64] for entry in json.loads(archive["manifest.json"].data)))
        self.assertEqual((b"2", "0120777", "../" + one, CREATED), (archive[two].kind, archive[two].mode, archive[two].link, archive[two].mtime))
        self.assertEqual(self.plain(self.base), archive[one].data)

    def test_one_layer_twice_in_an_image(self):
        image = self.pull("odd:1", Image([Layer(tar({})), self.base, Layer(tar({})), self.base]))
        archive = self.docker(self.full("odd:1"))
        self.assertEqual(2, len([member for member in members_of(archive) if member.kind == b"2"]))
        for seekable in (True, False):
            other = self.daemon(name=f"other{seekable}").client()
            self.assertEqual([image.id], [one.image_id for one in load(other, archive, seekable).images])

    def test_names_in_the_order_of_the_arguments_and_images_by_id_without(self):
        image = self.pull("app:v1", Image([self.base]))
        name = self.full("app:v1")
        for tag in ("b:2", "a/c:1"):
            self.client.TagImage(source=name, target=tag)
        entries = lambda *names: json.loads(self.by_name(self.docker(*names))["manifest.json"].data)
        self.assertEqual([["b:2", name, "a/c:1"]], [entry["RepoTags"] for entry in entries("b:2", name, "a/c:1", "b")])
        self.assertEqual([None], [entry["RepoTags"] for entry in entries(image.id)])
        self.assertNotIn("repositories", self.by_name(self.docker(image.id)))
        top = self.v1_ids(self.docker(image.id))[0]
        self.assertEqual(go({"a/c": {"1": top}, "b": {"2": top}}) + b"\n", self.by_name(self.docker("b", "a/c"))["repositories"].data)

    def test_manifests_of_one_configuration_are_one_image(self):
        layer = tar({"x": b"1"})
        plain, packed = Image([Layer(layer, "plain")]), Image([Layer(layer, "gzip")])
        self.pull("m:1", plain)
        self.pull("m:2", packed)
        [entry] = json.loads(self.by_name(self.docker(self.full("m")))["manifest.json"].data)
        self.assertEqual([self.full("m:1"), self.full("m:2")], entry["RepoTags"])

    def test_same_bytes_wherever_it_is(self):
        image = Image([self.base, Layer(tar({"b": random_bytes(700_000, 4)}), "zstd")])
        self.pull("s:1", image)
        self.client.TagImage(source=self.full("s:1"), target="same:1")
        archive = self.docker("same:1")
        other = self.daemon(name="other")
        load(other.client(), archive)
        self.assertEqual(archive, save(other.client(), "same:1", layout=DOCKER))
        self.assertEqual(image.id, other.client().InspectImage(image="same:1").image.id)

    def test_image_without_layers_is_refused(self):
        load(self.client, tar(docker_files((Image([]), "none:1"))))
        self.assert_rpc_fails("FAILED_PRECONDITION", None, self.client.Save, images=["none:1"], layout=DOCKER, text="empty export - not implemented")
        save(self.client, "none:1")

    def test_layer_that_is_damaged_ends_it(self):
        image = self.pull("d:1", Image([Layer(tar({"d": random_bytes(600_000, 2)}))]))
        path = os.path.join(self.imaged.root, "content", "sha256", hex_of(image.layers[0].blob.digest)[:2], hex_of(image.layers[0].blob.digest))
        for at in (5000, 300_000):
            with open(path, "rb") as file:
                data = bytearray(file.read())
            data[at] ^= 0x40
            os.chmod(path, 0o600)
            with open(path, "wb") as file:
                file.write(data)
            self.assert_rpc_fails("DATA_LOSS", "CONTENT_DAMAGED", lambda: self.docker(self.full("d:1")))

    def test_unknown_layout_is_refused(self):
        self.pull("one:1", Image([self.base]))
        self.assert_rpc_fails("INVALID_ARGUMENT", None, self.client.Save, images=[self.full("one:1")], layout=7)


class Command(SaveCase):
    """What it writes depends on what it is called, and on --format."""

    def setUp(self):
        super().setUp()
        self.image = self.pull("one:1", Image([self.base]))
        os.symlink(program("imagectl"), self.path("docker"))

    def run_as(self, name, *args):
        command = program("imagectl") if name == "imagectl" else self.path(name)
        done = subprocess.run([command, *args], env={**os.environ, "IMAGED_HOST": self.imaged.address}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return done.returncode, done.stdout, done.stderr.decode()

    def test_default_and_format(self):
        name = self.full("one:1")
        both, docker = save(self.client, name), save(self.client, name, layout=DOCKER)
        self.assertNotEqual(both, docker)
        for command in (("imagectl", "save", name), ("docker", "save", "--format", "oci", name), ("docker", "image", "save", "--format=oci", name)):
            self.assertEqual((0, both, ""), self.run_as(*command))
        for command in (("docker", "save", name), ("docker", "image", "save", name), ("imagectl", "save", "--format", "docker", name)):
            self.assertEqual((0, docker, ""), self.run_as(*command))
        self.assertEqual((1, b"", 'unknown format "tar": "docker" or "oci" was expected\n'), self.run_as("imagectl", "save", "--format", "tar", name))

    def test_help_of_docker_does_not_know_the_format(self):
        self.assertNotIn(b"--format", self.run_as("docker", "save", "--help")[1])
        self.assertIn(b"--format", self.run_as("imagectl", "save", "--help")[1])

    def test_platform(self):
        name = self.full("one:1")
        self.assertEqual((1, b"", "Error response from daemon: no suitable export target found for platform linux/s390x\n"),
                         self.run_as("docker", "save", "--platform", "linux/s390x", name))
        self.assertEqual((1, b"", 'invalid platform: "a/b/c/d": cannot parse platform specifier: invalid argument\n'),
                         self.run_as("docker", "save", "--platform", "a/b/c/d", name))
        self.assertEqual(0, self.run_as("docker", "save", "--platform", "linux/amd64", name)[0])

    def test_skopeo_reads_it(self):
        with open(self.path("x.tar"), "wb") as file:
            file.write(save(self.client, self.full("one:1"), layout=DOCKER))
        said = json.loads(skopeo("inspect", "--config", f"docker-archive:{self.path('x.tar')}"))
        self.assertEqual([layer.diff_id for layer in self.image.layers], said["rootfs"]["diff_ids"])
