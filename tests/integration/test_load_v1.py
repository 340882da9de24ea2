"""Archives of docker's first format, which have neither manifest.json nor index.json: what
Docker 1 saved. The configurations are those that docker makes, so that the IDs are its."""

import json
import os

from archives import WAYS, ArchiveCase, load, save, unpack
from engines import Dockerd
from ociimage import Layer, sha256, tar
from rpc import pb

BASE, TOP, SIDE = ("a" * 64, "b" * 64, "c" * 64)
KNOWN = ("comment", "created", "container", "container_config", "docker_version", "author", "config", "architecture", "os")
CONTAINER = {
    "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": False, "AttachStderr": False,
    "Tty": False, "OpenStdin": False, "StdinOnce": False, "Env": None, "Cmd": None, "Image": "", "Volumes": None,
    "WorkingDir": "", "Entrypoint": None, "OnBuild": None, "Labels": None,
}  # fmt: skip


def go(value):
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()


class V1:
    """One image: its document, and the tar of its layer."""

    def __init__(self, name, parent=None, how="plain", **more):
        self.name, self.layer = name, Layer(tar({name[:1]: name.encode()}), how)
        self.document = {
            "id": name, **({"parent": parent.name} if parent else {}), "created": "2014-01-02T03:04:05.1Z",
            "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) <" + name[:3]]}, "os": "linux", "architecture": "amd64", **more,
        }  # fmt: skip
        self.line = (parent.line if parent else []) + [self]

    def files(self):
        directory = self.name + "/"
        return {directory: None, directory + "VERSION": b"1.0", directory + "json": go(self.document), directory + "layer.tar": self.layer.blob.data}

    def config(self):
        """What is known of it, where docker is too old to be trusted with more."""
        body = {key: value for key, value in self.document.items() if key not in ("id", "parent", "Size", "layer_id", "parent_id", "throwaway")}
        version = [int(part) for part in body.get("docker_version", "0").split(".")]
        if version < [1, 8, 3]:
            body = {key: body[key] for key in KNOWN if key in body}
            for key in ("container_config", "config"):
                if key in body:
                    body[key] = {**CONTAINER, **body[key]}
        steps = [{"created": one.document["created"], "created_by": " ".join(one.document["container_config"]["Cmd"])} for one in self.line]
        body |= {"rootfs": {"type": "layers", "diff_ids": [one.layer.diff_id for one in self.line]}, "history": steps}
        return go(dict(sorted(body.items())))

    @property
    def id(self):
        return sha256(self.config())


def manifest_json(data):
    """Of a saved archive."""
    return unpack(data)["manifest.json"].decode()


def archive(*images, tags=None, **more):
    files = {}
    for image in images:
        files |= image.files()
    if tags is not None:
        files["repositories"] = json.dumps(tags).encode()
    return tar({**files, **{name: data for name, data in more.items() if data is not None}})


class LoadV1(ArchiveCase):
    def setUp(self):
        super().setUp()
        self.base = V1(BASE)
        self.top = V1(TOP, self.base, docker_version="1.12.1", config={"Cmd": ["x"], "Env": None}, junk={"z": 1, "a": "<"}, Size=5)
        self.side = V1(SIDE, self.base, how="gzip", docker_version="1.5.0", config={"Cmd": ["x"]}, junk=1, Size=5)

    def refused(self, text, data):
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                self.assert_rpc_fails("FAILED_PRECONDITION", None, load, self.client, data, seekable, text=text)
                self.assert_nothing_kept()

    def test_images_have_dockers_ids_and_the_names_that_they_are_given(self):
        data = archive(self.base, self.top, self.side, tags={"old": {"1": TOP, "2": BASE}, "example.com/x": {"y": TOP}})
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                client = self.daemon(name=way).client()
                loaded = {image.image_id: sorted(image.references) for image in load(client, data, seekable).images}
                self.assertEqual({self.base.id: ["old:2"], self.top.id: ["example.com/x:y", "old:1"], self.side.id: []}, loaded)
                raw = client.InspectImage(image="old:1", include_raw=True).raw_config
                self.assertEqual(self.top.config(), raw)
                self.assertIn(f'"Parent":"{self.base.id}"}}', manifest_json(save(client, "old", layout=pb.ARCHIVE_LAYOUT_DOCKER)))
                self.assertNotIn("Parent", manifest_json(save(client, "old:1", layout=pb.ARCHIVE_LAYOUT_DOCKER)))
                self.assert_clean(client)

    def test_parent_without_a_name_is_no_image(self):
        [image] = load(self.client, archive(self.base, self.top, tags={"old": {"1": TOP}})).images
        self.assertEqual((self.top.id, ["old:1"]), (image.image_id, list(image.references)))
        self.assertEqual(1, len(self.client.images()))

    def test_loading_again_writes_nothing(self):
        data = archive(self.base, self.top, tags={"old": {"1": TOP}})
        load(self.client, data)
        self.assertEqual(0, load(self.client, data, True).done.new_bytes)

    def test_docker_makes_the_same_of_it(self):
        path = self.write("v1.tar", archive(self.base, self.top, self.side, tags={"old": {"1": TOP, "2": BASE}, "o": {"x": SIDE}}))
        docker = Dockerd(self).run
        docker("load", "-i", path)
        for name, image in (("old:1", self.top), ("old:2", self.base), ("o:x", self.side)):
            self.assertEqual(image.id, json.loads(docker("image", "inspect", name))[0]["Id"])

    def test_what_is_missing_is_named(self):
        at = f"open {self.imaged.root}/tmp/docker-import-[0-9]+/"
        without = lambda name: tar({key: data for key, data in {**self.base.files(), "repositories": b"{}"}.items() if key != f"{BASE}/{name}"})
        for text, data in (
            (f"{BASE}/json: no such", without("json")), (f"{BASE}/layer.tar: no such", without("layer.tar")), ("repositories: no such", archive(self.base)),
            (f"{BASE}/json: no such", archive(self.top, tags={"o": {"x": TOP}})), ("blobs/json: no such", tar({"blobs/sha256/x": b""})), ("repositories: no such", tar({"x": b""})),
        ):  # fmt: skip
            with self.assertRaises(Exception) as caught:
                load(self.client, data)
            self.assertRegex(caught.exception.details(), r"\A" + at + text)
            self.assert_nothing_kept()

    def test_what_makes_no_sense_is_refused(self):
        self.refused("invalid target ID: " + TOP, archive(self.base, tags={"o": {"x": TOP}}))
        self.refused("cannot load windows image on linux", archive(V1(BASE, os="windows"), tags={}))
        self.refused(r"cannot unmarshal array into Go value of type map\[string\]map\[string\]string", archive(self.base, tags=[]))
        self.refused("cannot unmarshal number into Go value of type string", archive(self.base, tags={"o": {"x": 1}}))
        one, two = V1(BASE), V1(TOP)
        one.document["parent"], two.document["parent"] = TOP, BASE
        self.refused("their own parents", archive(one, two, tags={}))
        self.refused("its own parent", archive(one, two, tags={"o": {"x": TOP}}))
        for parent in ("../x", "..", "x" * 300):
            one.document["parent"] = parent
            self.refused("not the ID of an image", archive(one, tags={}))
        for name, tag in (("Bad", "x"), ("ok", "-x"), ("", "x"), ("a", "")):
            self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_REFERENCE", load, self.client, archive(self.base, tags={name: {tag: BASE}}))
        self.refused("is not a sound tar", archive(self.base, tags={}, **{f"{BASE}/layer.tar": b"x" * 2048}))

    def test_chain_of_more_layers_than_an_image_may_have(self):
        image = None
        images = []
        for n in range(501):
            image = V1(f"{n:064x}", image)
            images.append(image)
        self.refused("more than 500 layers", archive(*images, tags={"o": {"x": images[-1].name}}))

    def test_command_tells_what_came(self):
        path = self.write("v1.tar", archive(self.base, self.top, tags={"old": {"1": TOP}}))
        self.assertEqual("Loaded image: old:1\n", self.imaged.ctl("load", "-i", path).stdout)
        self.assertTrue(os.path.exists(path))
