"""What the tests of saved archives share: a registry that images are pulled from, and what
the archive says of itself."""

import json
import os

from archives import ArchiveCase, save, unpack
from fakeregistry import FakeRegistry
from ociimage import Layer, random_bytes, tar


class SaveCase(ArchiveCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.base = Layer(tar({"base": random_bytes(20000, 1)}))

    def full(self, name):
        return f"{self.registry.host}/{name}"

    def pull(self, name, image, platform=""):
        repository, _, tag = name.partition(":")
        self.registry.repo(repository).add(image, tag)
        self.client.pull(self.full(name), platform=platform)
        return image

    def saved(self, *images, **fields):
        return unpack(save(self.client, *images, **fields))

    def index_of(self, files):
        """[(digest, name or None)] of index.json."""
        return [
            (entry["digest"], entry.get("annotations", {}).get("io.containerd.image.name"))
            for entry in json.loads(files["index.json"])["manifests"]
        ]

    def docker_of(self, files):
        """[(image id, tags or None)] of manifest.json."""
        return [("sha256:" + os.path.basename(e["Config"]), e["RepoTags"]) for e in json.loads(files["manifest.json"])]
