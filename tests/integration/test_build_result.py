"""What becomes of a build: configuration and history, the store, archives, files, pushes,
and caches elsewhere, as other tools read them."""

import json
import os
import platform
import shutil
import subprocess
import tarfile
import unittest

import fixtures
import ociimage
from archives import layout_files
from engines import Dockerd
from fakeregistry import FakeRegistry
from harness import DockerRegistry, TestCase, free_port, skopeo
from ociimage import Image, Layer, sha256, tar

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
EPOCH = 1600000000
EPOCH_TEXT = "2020-09-13T12:26:40Z"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
BUILDKIT_CACHE = "application/vnd.buildkit.cacheconfig.v0"

SMALL = """\
FROM scratch
COPY a.txt /dir/a.txt
ENV A=b
WORKDIR /w
COPY --chmod=755 sub /s/
CMD ["/bin/x"]
"""


class ResultCase(TestCase):
    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.context()

    def context(self, dockerfile=SMALL):
        os.makedirs(self.path("ctx", "sub"), exist_ok=True)
        self.write("Dockerfile", dockerfile)
        self.write("a.txt", "hello\n")
        self.write("sub/1", "1\n")
        if not os.path.exists(self.path("ctx", "sub", "2")):
            os.link(self.path("ctx", "sub", "1"), self.path("ctx", "sub", "2"))
            os.symlink("1", self.path("ctx", "sub", "l"))

    def write(self, name, text):
        with open(self.path("ctx", name), "w", encoding="utf-8") as file:
            file.write(text)

    def build(self, *flags, imaged=None, check=True):
        return (imaged or self.imaged).ctl("build", "--progress=plain", *flags, self.path("ctx"), check=check)

    def docs(self, archive):
        """(index.json, [(manifest, config)], {name: bytes} of an archive that is an OCI layout."""
        with tarfile.open(archive) as file:
            blobs = {m.name: file.extractfile(m).read() for m in file if m.isfile()}
        index = json.loads(blobs["index.json"])
        roots = [json.loads(blobs[blob_name(e["digest"])]) for e in index["manifests"]]
        manifests = []
        for root in roots:
            listed = [json.loads(blobs[blob_name(e["digest"])]) for e in root.get("manifests", [])]
            manifests += listed or [root]
        return index, [(m, json.loads(blobs[blob_name(m["config"]["digest"])])) for m in manifests], blobs

    def oci(self, *flags, imaged=None, **attributes):
        out = self.path(f"out-{len(os.listdir(self.dir))}.tar")
        output = ",".join(["type=oci", f"dest={out}", *(f"{k.replace('_', '-')}={v}" for k, v in attributes.items())])
        self.build("-o", output, *flags, imaged=imaged)
        return self.docs(out)

    def config(self, reference="x", imaged=None):
        return json.loads((imaged or self.imaged).ctl("inspect", reference).stdout)[0]


def blob_name(digest):
    return "blobs/" + digest.replace(":", "/")


def tree_of(root):
    """{path: (type, mode, content or target)}"""
    found = {}
    for directory, names, files in os.walk(root):
        for name in names + files:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            if os.path.islink(path):
                what = ("link", 0, os.readlink(path))
            elif os.path.isdir(path):
                what = ("dir", info.st_mode & 0o7777, None)
            else:
                with open(path, "rb") as file:
                    what = ("file", info.st_mode & 0o7777, file.read())
            found[os.path.relpath(path, root)] = what
    return found


class Config(ResultCase):
    def test_the_history_says_what_buildkit_says(self):
        self.context(
            """\
FROM scratch
ARG VER=1 FOO
ENV A=b C="d e"
LABEL l1=x l2="y z"
MAINTAINER me <me@x>
EXPOSE 443 53/udp 80
VOLUME /v1 /v2
WORKDIR /work
WORKDIR sub
COPY a.txt ./
COPY --chown=1:2 --chmod=644 a.txt ./g.txt
ADD a.txt h.txt
USER 1:2
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s --retries=2 CMD echo ok
SHELL ["/bin/sh", "-ec"]
ONBUILD RUN x
CMD echo $A
WORKDIR /
"""
        )
        _, [(manifest, config)], _ = self.oci("--build-arg", "FOO=bar")
        self.assertEqual(
            [
                "ARG VER=1 FOO=bar",
                "ENV A=b C=d e",
                "LABEL l1=x l2=y z",
                "MAINTAINER me <me@x>",
                "EXPOSE [443/tcp 53/udp 80/tcp]",
                "VOLUME [/v1 /v2]",
                "WORKDIR /work",
                "WORKDIR /work/sub",
                "COPY a.txt ./ # buildkit",
                "COPY --chown=1:2 --chmod=644 a.txt ./g.txt # buildkit",
                "ADD a.txt h.txt # buildkit",
                "USER 1:2",
                "STOPSIGNAL SIGINT",
                """HEALTHCHECK &{["CMD-SHELL" "echo ok"] "5s" "0s" "0s" "0s" '\\x02'}""",
                "SHELL [/bin/sh -ec]",
                'CMD ["/bin/sh" "-ec" "echo $A"]',
                "WORKDIR /",
            ],
            [h["created_by"] for h in config["history"]],
        )
        self.assertEqual({"buildkit.dockerfile.v0"}, {h["comment"] for h in config["history"]})
        made = [h for h in config["history"] if not h.get("empty_layer")]
        self.assertEqual(5, len(made))
        self.assertEqual(5, len(manifest["layers"]))
        self.assertEqual(5, len(config["rootfs"]["diff_ids"]))
        self.assertEqual("me <me@x>", config["author"])
        self.assertEqual("linux", config["os"])
        self.assertNotIn("variant", config)
        self.assertEqual(config["history"][-1]["created"], config["created"])

    def test_entries_have_the_times_of_their_layers(self):
        _, [(_, config)], _ = self.oci()
        times = [h["created"] for h in config["history"]]
        copy, env, workdir, sub, cmd = times
        self.assertEqual(copy, env)
        self.assertLess(copy, workdir)
        self.assertLess(workdir, sub)
        self.assertEqual(sub, cmd)
        self.assertEqual(cmd, config["created"])

    def test_what_is_all_cached_is_the_same_image(self):
        self.build("-t", "x:1")
        self.build("-t", "x:2")
        self.assertEqual(self.config("x:1")["Id"], self.config("x:2")["Id"])
        self.write("a.txt", "other\n")
        self.build("-t", "x:3")
        self.assertNotEqual(self.config("x:1")["Id"], self.config("x:3")["Id"])

    def test_what_has_no_time_keeps_the_first_one(self):
        self.context("FROM scratch\nENV A=b\n")
        self.build("-t", "x:1")
        self.imaged.restart()
        self.build("-t", "x:2")
        self.assertEqual(self.config("x:1")["Id"], self.config("x:2")["Id"])
        self.assertLess("2020", self.config("x:1")["Created"])

    def test_a_base_stays_as_it_is(self):
        registry = fixtures.registry()
        base = f"{registry.host}/busybox:docker-gzip"
        self.context(f"FROM {base}\nCOPY a.txt /a.txt\nCMD x\n")
        _, [(manifest, config)], _ = self.oci()
        theirs, below = json.loads(fixtures.inspect_raw(base)), json.loads(fixtures.config_raw(base))
        self.assertEqual(theirs["layers"][0]["digest"], manifest["layers"][0]["digest"])
        self.assertEqual(OCI_LAYER + "+gzip", manifest["layers"][0]["mediaType"])
        self.assertEqual(OCI_LAYER, manifest["layers"][-1]["mediaType"])
        n = len(below["history"])
        self.assertEqual([h.get("created_by") for h in below["history"]], [h.get("created_by") for h in config["history"][:n]])
        self.assertEqual(below["rootfs"]["diff_ids"], config["rootfs"]["diff_ids"][:-1])
        self.assertNotIn("container_config", config)

    def test_a_base_whose_history_is_short_gets_entries(self):
        image = Image([Layer(tar({name: b"1"})) for name in ("a", "b")], config={"history": [{"created_by": "one"}]})
        with open(self.path("base.tar"), "wb") as file:
            file.write(tar(layout_files((image, "docker.io/library/base:1"))))
        self.imaged.ctl("load", "-i", self.path("base.tar"))
        self.context("FROM base:1\nCOPY a.txt /\n")
        _, [(manifest, config)], _ = self.oci()
        self.assertEqual(["one", None, "COPY a.txt / # buildkit"], [h.get("created_by") for h in config["history"]])
        self.assertEqual(len(manifest["layers"]), sum(not h.get("empty_layer") for h in config["history"]))

    def test_a_base_without_history_and_time_gets_its_entries_once(self):
        image = Image([Layer(tar({name: b"1"})) for name in ("a", "b")], edit=lambda _, config: [config.pop(key) for key in ("created", "history")])
        with open(self.path("base.tar"), "wb") as file:
            file.write(tar(layout_files((image, "docker.io/library/base:1"))))
        self.imaged.ctl("load", "-i", self.path("base.tar"))
        self.context("FROM base:1\nENV a=b\n")
        _, [(_, config)], _ = self.oci()
        self.assertEqual([None, None, "ENV a=b"], [h.get("created_by") for h in config["history"]])
        self.assertEqual([False, False, True], [h.get("empty_layer", False) for h in config["history"]])

    def test_labels_come_last(self):
        self.context('FROM scratch\nLABEL a=1 b=2\nCOPY a.txt /\n')
        self.build("-t", "x", "--label", "a=9", "--label", "c=3")
        self.assertEqual({"a": "9", "b": "2", "c": "3"}, self.config()["Config"]["Labels"])

    def provenance(self, *flags):
        self.build("--metadata-file", self.path("md"), *flags)
        with open(self.path("md"), encoding="ascii") as file:
            return json.load(file)["buildx.build.provenance"]

    def test_provenance_of_nothing_but_files(self):
        self.assertEqual(
            {
                "builder": {"id": ""},
                "buildType": "https://mobyproject.org/buildkit@v1",
                "invocation": {
                    "configSource": {"entryPoint": "Dockerfile"},
                    "parameters": {"frontend": "dockerfile.v0", "locals": [{"name": "context"}, {"name": "dockerfile"}]},
                    "environment": {"platform": f"linux/{ARCH}"},
                },
            },
            self.provenance("--build-arg", "SECRET=1", "--label", "a=b"),
        )

    def test_provenance_names_images_and_options(self):
        server = self.enterContext(FakeRegistry())
        registry, digest = server.host, server.repo("busybox").add(Image([Layer(tar({"f": b"f"}))]), "oci-gzip").digest
        self.context(
            f"FROM {registry}/busybox:oci-gzip AS a\nFROM {registry}/busybox@{digest} AS b\nFROM {registry}/nosuch:1 AS unused\n"
            "FROM a AS last\nCOPY --from=b / /b/\n"
        )
        told = self.provenance("--network", "none", "--no-cache", "--target", "last")
        uri, hexadecimal = f"pkg:docker/{registry}/busybox", digest.split(":")[1]
        query = f"platform=linux%2F{ARCH}"
        self.assertEqual(
            [
                {"uri": f"{uri}@oci-gzip?{query}", "digest": {"sha256": hexadecimal}},
                {"uri": f"{uri}?digest=sha256%3A{hexadecimal}&{query}", "digest": {"sha256": hexadecimal}},
            ],
            told["materials"],
        )
        self.assertEqual(
            {"force-network-mode": "none", "no-cache": "", "target": "last"}, told["invocation"]["parameters"]["args"]
        )

    def test_names_and_what_the_client_is_told(self):
        done = self.build("-t", "x:1", "-t", "127.0.0.1:5000/y", "-t", "x:1", "--iidfile", self.path("iid"), "--metadata-file", self.path("md"))
        self.assertIn("naming to docker.io/library/x:1 done", done.stderr)
        self.assertIn("naming to 127.0.0.1:5000/y:latest done", done.stderr)
        with open(self.path("iid"), encoding="ascii") as file:
            image_id = file.read()
        with open(self.path("md"), encoding="ascii") as file:
            metadata = json.load(file)
        self.assertEqual(image_id, self.config("x:1")["Id"])
        self.assertEqual(image_id, self.config("127.0.0.1:5000/y")["Id"])
        self.assertEqual(image_id, metadata["containerimage.config.digest"])
        self.assertEqual("docker.io/library/x:1,127.0.0.1:5000/y:latest", metadata["image.name"])
        self.assertEqual(OCI_MANIFEST, metadata["containerimage.descriptor"]["mediaType"])
        self.assertEqual(metadata["containerimage.digest"], metadata["containerimage.descriptor"]["digest"])
        events = self.imaged.ctl("events", "--no-follow", "--since", "1", check=False).stdout
        self.assertIn("image build", events)


class Reproducible(ResultCase):
    def test_two_roots_give_the_same_bytes(self):
        other = self.daemon(name="e")
        flags = ("--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}")
        _, [(_, config)], one = self.oci(*flags, rewrite_timestamp="true")
        os.utime(self.path("ctx", "a.txt"), (EPOCH + 99, EPOCH + 99))
        _, _, two = self.oci(*flags, imaged=other, rewrite_timestamp="true")
        self.assertEqual(one, two)
        self.assertEqual({EPOCH_TEXT}, {h["created"] for h in config["history"]})
        self.assertEqual(EPOCH_TEXT, config["created"])

    def test_what_others_compressed_makes_no_difference(self):
        """A layer of the build is here already, as another program compressed it."""
        flags = ("--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}")
        _, [(manifest, _)], blobs = self.oci(*flags)
        same = Image([Layer(blobs[blob_name(manifest["layers"][0]["digest"])], how="gzip")])
        with open(self.path("same.tar"), "wb") as file:
            file.write(tar(layout_files((same, "docker.io/library/same:1"))))
        _, [(without, _)], _ = self.oci(*flags, compression="gzip")
        self.imaged.ctl("load", "-i", self.path("same.tar"))
        _, [(beside, _)], _ = self.oci(*flags, compression="gzip")
        self.assertEqual(without, beside)

    def test_times_later_than_the_epoch_are_clamped(self):
        os.utime(self.path("ctx", "a.txt"), (1000, 1000))
        os.utime(self.path("ctx", "sub", "1"), (EPOCH + 5, EPOCH + 5.5))
        flags = ("--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}")
        _, [(manifest, config)], blobs = self.oci(*flags, rewrite_timestamp="true")
        times = {}
        for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"]):
            data = blobs[blob_name(layer["digest"])]
            self.assertEqual(diff_id, sha256(data))
            with open(self.path("layer"), "wb") as file:
                file.write(data)
            with tarfile.open(self.path("layer")) as file:
                times.update({m.name: m.mtime for m in file})
        self.assertEqual(1000, times["dir/a.txt"])
        self.assertEqual(EPOCH, times["s/1"])
        self.assertLessEqual(max(times.values()), EPOCH)

    def test_layers_of_the_base_keep_their_times(self):
        registry = fixtures.registry()
        base = f"{registry.host}/busybox:oci-gzip"
        self.context(f"FROM {base}\nCOPY a.txt /a.txt\n")
        _, [(manifest, _)], _ = self.oci("--build-arg", "SOURCE_DATE_EPOCH=5", rewrite_timestamp="true")
        theirs = json.loads(fixtures.inspect_raw(base))
        self.assertEqual(theirs["layers"][0]["digest"], manifest["layers"][0]["digest"])


class Outputs(ResultCase):
    def expected(self):
        return {
            "dir": ("dir", 0o755, None),
            "dir/a.txt": ("file", 0o644, b"hello\n"),
            "w": ("dir", 0o755, None),
            "s": ("dir", 0o755, None),
            "s/1": ("file", 0o755, b"1\n"),
            "s/2": ("file", 0o755, b"1\n"),
            "s/l": ("link", 0, "1"),
        }

    def test_a_tar_is_what_gnu_tar_extracts(self):
        self.build("-o", f"type=tar,dest={self.path('out.tar')}", "--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}")
        os.mkdir(self.path("x"))
        subprocess.run(["tar", "-xpf", self.path("out.tar"), "-C", self.path("x")], check=True)
        with tarfile.open(self.path("out.tar")) as file:
            self.assertEqual("dir", file.getnames()[0], "the root has no entry, as with BuildKit")
        self.assertEqual(self.expected(), tree_of(self.path("x")))
        self.assertTrue(os.path.samefile(self.path("x", "s", "1"), self.path("x", "s", "2")))
        self.assertEqual(EPOCH, int(os.stat(self.path("x", "s", "1")).st_mtime))

    def test_a_directory_gets_the_same_files(self):
        self.build("-o", self.path("x"))
        self.assertEqual(self.expected(), tree_of(self.path("x")))
        self.assertTrue(os.path.samefile(self.path("x", "s", "1"), self.path("x", "s", "2")))

    def test_platforms_share_an_output_by_directories(self):
        self.build("--platform", "linux/amd64,linux/arm64", "-o", f"type=tar,dest={self.path('out.tar')}")
        os.mkdir(self.path("x"))
        subprocess.run(["tar", "-xpf", self.path("out.tar"), "-C", self.path("x")], check=True)
        self.assertEqual(["linux_amd64", "linux_arm64"], sorted(os.listdir(self.path("x"))))
        self.assertEqual(self.expected(), tree_of(self.path("x", "linux_arm64")))

    def test_platforms_are_split_or_not_as_wanted(self):
        two = ["--platform", "linux/amd64,linux/arm64"]
        self.build("-o", f"type=local,dest={self.path('one')},platform-split=true")
        self.assertEqual(["linux_amd64"], os.listdir(self.path("one")))
        for output in ("type=local,dest=" + self.path("same"), "type=tar,dest=" + self.path("same.tar")):
            done = self.build("-o", f"{output},platform-split=false", *two, check=False)
            self.assertEqual(1, done.returncode)
            self.assertRegex(done.stderr, "cannot overwrite .+ from linux/amd64 with linux/arm64 when split option is disabled")
        self.assertFalse(os.path.exists(self.path("same.tar")))
        self.context("FROM scratch AS amd64\nCOPY a.txt /a/x\nFROM scratch AS arm64\nCOPY a.txt /a-b\nCOPY a.txt /a/y\nFROM $TARGETARCH\n")
        self.build("-o", f"type=local,dest={self.path('all')},platform-split=false", *two)
        self.assertEqual(["a", "a-b", "a/x", "a/y"], sorted(tree_of(self.path("all"))))

    def test_an_archive_for_docker(self):
        self.build("-o", f"type=docker,dest={self.path('d.tar')},name=d:1", "-t", "unused")
        said = json.loads(skopeo("inspect", "--config", f"docker-archive:{self.path('d.tar')}:docker.io/library/d:1"))
        self.assertEqual(["/bin/x"], said["config"]["Cmd"])
        self.assertEqual("", self.imaged.ctl("images", "-q").stdout, "nothing comes into the store")
        loaded = self.daemon(name="e").ctl("load", "-i", self.path("d.tar"))
        self.assertIn("d:1", loaded.stdout)

    def test_podman_loads_it(self):
        if not shutil.which("podman"):
            self.skipTest("no podman here")
        self.build("-o", f"type=docker,dest={self.path('d.tar')},name=d:1")
        podman = ["podman", "--root", self.path("p"), "--runroot", self.path("q"), "--storage-driver", "vfs"]
        done = subprocess.run([*podman, "load", "-i", self.path("d.tar")], capture_output=True, text=True, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("d:1", done.stdout)

    def test_docker_loads_and_pulls_it(self):
        docker = Dockerd(self).run
        registry = DockerRegistry(self.path("registry"))
        self.addCleanup(registry.stop)
        name = f"{registry.host}/x:1"
        self.build("-t", "d:1", "-o", f"type=docker,dest={self.path('d.tar')},name=d:1", "-o", f"type=registry,name={name}", "-o", "type=image")
        self.assertIn("Loaded image: d:1", docker("load", "-i", self.path("d.tar")))
        docker("pull", name)
        image_id = self.config("d:1")["Id"]
        for found in ("d:1", name):
            self.assertEqual(image_id, json.loads(docker("image", "inspect", found))[0]["Id"])

    def test_layers_are_compressed_as_wanted(self):
        for how, suffix in (("gzip", "+gzip"), ("zstd", "+zstd"), ("uncompressed", "")):
            _, [(manifest, config)], blobs = self.oci(compression=how)
            self.assertEqual({OCI_LAYER + suffix}, {layer["mediaType"] for layer in manifest["layers"]})
            for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"]):
                data = blobs[blob_name(layer["digest"])]
                if suffix:
                    data = subprocess.run([how, "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
                self.assertEqual(diff_id, sha256(data))

    def test_a_level_that_is_more_than_there_is_is_told(self):
        for how, level, most in (("gzip", 9, 3), ("gzip", 3, 0), ("zstd", 19, 12)):
            done = self.build("-o", f"type=oci,dest={self.path('out.tar')},compression={how},compression-level={level}")
            told = f"compression-level={level}: {how} is compressed with level {most} here, the highest there is"
            self.assertEqual(bool(most), told in done.stderr, done.stderr)

    def test_the_base_is_compressed_anew_only_by_force(self):
        registry = fixtures.registry()
        self.context(f"FROM {registry.host}/busybox:oci-gzip\nCOPY a.txt /a.txt\n")
        _, [(kept, _)], _ = self.oci(compression="zstd")
        _, [(forced, config)], blobs = self.oci(compression="zstd", force_compression="true")
        self.assertEqual([OCI_LAYER + "+gzip", OCI_LAYER + "+zstd"], [layer["mediaType"] for layer in kept["layers"]])
        self.assertEqual({OCI_LAYER + "+zstd"}, {layer["mediaType"] for layer in forced["layers"]})
        data = subprocess.run(
            ["zstd", "-dc"], input=blobs[blob_name(forced["layers"][0]["digest"])], stdout=subprocess.PIPE, check=True
        ).stdout
        self.assertEqual(config["rootfs"]["diff_ids"][0], sha256(data))

    def test_annotations_go_where_they_are_meant(self):
        index, [(manifest, _)], _ = self.oci(
            "--annotation", "a=1", "--annotation", "manifest,index-descriptor:b=x=2", "--annotation", "index-descriptor:c=3"
        )
        self.assertEqual({"a": "1", "b": "x=2"}, manifest["annotations"])
        self.assertEqual({"b": "x=2", "c": "3"}, index["manifests"][0]["annotations"])

    def test_annotations_of_an_index_need_one(self):
        for text, why in (
            ("index:a=1", "index annotations not supported for single platform export"),
            ("nothing:a=1", 'unknown annotation type "nothing"'),
        ):
            done = self.build("--annotation", text, check=False)
            self.assertEqual(1, done.returncode)
            self.assertIn(why, done.stderr)

    def test_an_index_lists_the_platforms(self):
        index, manifests, blobs = self.oci(
            "--platform", "linux/amd64,linux/arm64", "--annotation", "index,manifest-descriptor[linux/arm64]:a=1"
        )
        root = json.loads(blobs[blob_name(index["manifests"][0]["digest"])])
        self.assertEqual(["amd64", "arm64"], [m["platform"]["architecture"] for m in root["manifests"]])
        self.assertEqual({"a": "1"}, root["annotations"])
        self.assertEqual([None, {"a": "1"}], [m.get("annotations") for m in root["manifests"]])
        self.assertEqual(["amd64", "arm64"], [config["architecture"] for _, config in manifests])

    def test_platforms_have_one_name_each(self):
        self.context("FROM scratch\nARG TARGETPLATFORM TARGETVARIANT\nLABEL is=$TARGETPLATFORM,$TARGETVARIANT\nCOPY a.txt /\n")
        index, images, _ = self.oci("--platform", "linux/arm64/v8,linux/arm", "--annotation", "manifest[linux/arm64]:a=1", "--annotation", "manifest[linux/arm]:b=1")
        self.assertEqual(["linux/arm64,", "linux/arm/v7,v7"], [config["config"]["Labels"]["is"] for _, config in images])
        self.assertEqual([{"a": "1"}, {"b": "1"}], [manifest["annotations"] for manifest, _ in images])
        self.assertEqual([None, "v7"], [config.get("variant") for _, config in images])

    def test_several_outputs_at_once(self):
        self.build("-o", f"type=tar,dest={self.path('a.tar')}", "-o", f"type=oci,dest={self.path('b.tar')}", "-o", "type=image,name=x")
        with tarfile.open(self.path("a.tar")) as file:
            self.assertIn("dir/a.txt", file.getnames())
        _, [(manifest, _)], _ = self.docs(self.path("b.tar"))
        self.assertEqual(manifest["config"]["digest"], self.config("x")["Id"])


class Pushes(ResultCase):
    def setUp(self):
        super().setUp()
        self.registry = DockerRegistry(self.path("registry"))
        self.addCleanup(self.registry.stop)

    def raw(self, reference):
        return json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}"))

    def test_what_is_pushed_is_pulled(self):
        name = f"{self.registry.host}/a/x:1"
        done = self.build("-o", f"type=registry,name={name}", "--metadata-file", self.path("md"))
        self.assertIn(f"pushing manifest for {name}@sha256:", done.stderr)
        manifest = self.raw(name)
        self.assertEqual(OCI_MANIFEST, manifest["mediaType"])
        self.assertEqual({OCI_LAYER + "+gzip"}, {layer["mediaType"] for layer in manifest["layers"]})
        skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"oci:{self.path('layout')}:x")
        with open(self.path("md"), encoding="ascii") as file:
            metadata = json.load(file)
        self.assertEqual(metadata["containerimage.config.digest"], manifest["config"]["digest"])
        other = self.daemon(name="e")
        other.ctl("pull", name)
        self.assertEqual(manifest["config"]["digest"], self.config(name, imaged=other)["Id"])

    def test_the_store_and_a_registry_get_the_same_image(self):
        name = f"{self.registry.host}/x:1"
        self.build("-t", name, "--push")
        self.build("-t", "y")
        self.assertEqual(self.raw(name)["config"]["digest"], self.config("y")["Id"])

    def test_docker_types_and_no_compression_on_request(self):
        name = f"{self.registry.host}/x:1"
        self.build("-o", f"type=registry,name={name},oci-mediatypes=false,compression=uncompressed")
        manifest = self.raw(name)
        self.assertEqual(DOCKER_MANIFEST, manifest["mediaType"])
        self.assertEqual({"application/vnd.docker.image.rootfs.diff.tar"}, {layer["mediaType"] for layer in manifest["layers"]})

    def test_an_index_is_pushed_with_all_it_lists(self):
        name = f"{self.registry.host}/x:1"
        self.build("--platform", "linux/amd64,linux/arm64", "-o", f"type=registry,name={name}")
        for platform in ("amd64", "arm64"):
            said = json.loads(
                skopeo("inspect", "--config", "--tls-verify=false", "--override-arch", platform, f"docker://{name}")
            )
            self.assertEqual(platform, said["architecture"])

    def test_a_stored_index_is_pushed_as_a_build_pushes_it(self):
        """With compressed layers, and the same to the byte."""
        flags = ["--platform", "linux/amd64,linux/arm64", "--annotation", "index,manifest-descriptor[linux/arm64]:a=1"]
        names = [f"{self.registry.host}/{name}:1" for name in ("stored", "built")]
        self.build("-t", names[0], *flags)
        self.imaged.ctl("push", names[0])
        self.build("-o", f"type=registry,name={names[1]}", *flags)
        stored, built = (self.raw(name) for name in names)
        self.assertEqual(built, stored)
        for entry in stored["manifests"]:
            manifest = self.raw(f"{names[0].removesuffix(':1')}@{entry['digest']}")
            self.assertEqual({"application/vnd.oci.image.layer.v1.tar+gzip"}, {layer["mediaType"] for layer in manifest["layers"]})
        self.assertIn("Layer already exists", self.imaged.ctl("push", names[0]).stdout)
        other = self.daemon(name="e")
        other.ctl("pull", names[0])
        self.assertEqual(self.config(names[0])["Id"], self.config(names[0], imaged=other)["Id"])

    def test_what_is_not_to_be_stored_is_not(self):
        name = f"{self.registry.host}/not-here:1"
        self.build("--iidfile", self.path("iid"), "-o", f"type=image,name={name},store=false")
        self.assertEqual("", self.imaged.ctl("images", "-q").stdout)
        self.build("-o", f"type=image,name={name},store=false,push=true")
        self.assertEqual("", self.imaged.ctl("images", "-q").stdout)
        self.imaged.ctl("pull", "-q", name)
        with open(self.path("iid"), encoding="ascii") as file:
            self.assertEqual(file.read(), self.config(name)["Id"])

    def test_a_push_needs_a_name(self):
        done = self.build("-o", "type=registry", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("tag is needed when pushing to registry", done.stderr)

    def test_a_registry_that_is_not_there_is_told(self):
        done = self.build("-o", f"type=registry,name=127.0.0.1:{free_port()}/x", check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("failed to push 127.0.0.1:", done.stderr)

    def test_annotations_survive_a_push_from_the_store(self):
        name = f"{self.registry.host}/x:1"
        self.build("-t", name, "--annotation", "a=1")
        self.imaged.ctl("push", name)
        manifest = self.raw(name)
        self.assertEqual({"a": "1"}, manifest["annotations"])
        self.assertEqual({OCI_LAYER + "+gzip"}, {layer["mediaType"] for layer in manifest["layers"]})

    def test_what_was_compressed_once_is_found(self):
        name = f"{self.registry.host}/x"
        self.build("-o", f"type=registry,name={name}:1")
        before = self.blobs()
        self.build("-o", f"type=registry,name={name}:2")
        self.assertEqual(before, self.blobs())
        self.assertEqual(self.raw(f"{name}:1"), self.raw(f"{name}:2"))

    def blobs(self):
        found = set()
        for directory, _, files in os.walk(os.path.join(self.imaged.root, "content")):
            found.update(os.path.join(directory, f) for f in files)
        return found


STAGES = """\
FROM scratch AS one
COPY a.txt /dir/a.txt
FROM scratch AS two
COPY sub /s/
FROM scratch
COPY --from=one /dir /d/
COPY --from=two /s/1 /e/
"""


class Rewriting:
    """The document of a cache in a directory: what it is at the end takes its place."""

    def __init__(self, cache):
        self.cache = cache
        self.index = self._read(os.path.join(cache, "index.json"))
        self.manifest = self._read(self._blob(self.index["manifests"][0]["digest"]))
        self.config = self._read(self._blob(self.manifest["config"]["digest"]))

    def _blob(self, digest):
        return os.path.join(self.cache, blob_name(digest))

    @staticmethod
    def _read(path):
        with open(path, "rb") as file:
            return json.load(file)

    def _change(self, descriptor, document):
        data = ociimage.to_json(document)
        with open(self._blob(sha256(data)), "wb") as file:
            file.write(data)
        descriptor["digest"], descriptor["size"] = sha256(data), len(data)

    def __enter__(self):
        return self.config

    def __exit__(self, *why):
        self._change(self.manifest["config"], self.config)
        self._change(self.index["manifests"][0], self.manifest)
        with open(os.path.join(self.cache, "index.json"), "wb") as file:
            file.write(ociimage.to_json(self.index))


class Caches(ResultCase):
    def setUp(self):
        super().setUp()
        self.registry = DockerRegistry(self.path("registry"))
        self.addCleanup(self.registry.stop)
        self.cache = f"{self.registry.host}/cache:1"

    def cached(self, stderr):
        """Names of steps that were found."""
        names, found = {}, []
        for line in stderr.splitlines():
            number, _, rest = line.partition(" ")
            if rest.startswith("["):
                names[number] = rest
            elif rest == "CACHED":
                found.append(names[number])
        return sorted(found)

    def elsewhere(self, *flags, **options):
        return self.cached(self.build(*flags, imaged=self.daemon(name=f"e{len(self._daemons)}"), **options).stderr)

    def test_a_registry_keeps_what_the_result_has(self):
        self.context(STAGES)
        self.build("-t", "x", "--cache-to", f"type=registry,ref={self.cache}")
        self.assertEqual(
            ["[stage-2 1/2] COPY --from=one /dir /d/", "[stage-2 2/2] COPY --from=two /s/1 /e/"],
            [n for n in self.elsewhere("--cache-from", f"type=registry,ref={self.cache}") if n.startswith("[stage-2")],
        )

    def test_max_keeps_all_steps(self):
        self.context(STAGES)
        self.build("-t", "x", "--cache-to", f"type=registry,ref={self.cache},mode=max")
        found = self.elsewhere("--cache-from", f"type=registry,ref={self.cache}", "-t", "x")
        self.assertEqual(4, len(found), found)
        self.assertEqual(self.config("x")["Id"], self.config("x", imaged=self._daemons[-1])["Id"])

    def test_what_was_brought_is_kept_once(self):
        self.build("-t", "x", "--cache-to", f"type=local,dest={self.path('cache')}")
        own = [e.description for e in self.imaged.client().ListBuildCache().entries if e.kind == "regular"]
        with Rewriting(self.path("cache")) as config:
            for step in config["steps"]:
                step["description"] = "\033[31mnot this"
        self.assertEqual(3, len(self.elsewhere("--cache-from", f"type=local,src={self.path('cache')}", "-t", "x")))
        other = self._daemons[-1].client()
        self.assertEqual(sorted(own), sorted(e.description for e in other.ListBuildCache().entries if e.kind == "regular"))

    def test_other_files_are_not_found(self):
        self.build("-t", "x", "--cache-to", f"type=registry,ref={self.cache}")
        self.write("a.txt", "other\n")
        self.assertEqual([], self.elsewhere("--cache-from", f"type=registry,ref={self.cache}"))

    def test_an_image_brings_its_own(self):
        name = f"{self.registry.host}/x:1"
        self.build("-o", f"type=registry,name={name}", "--cache-to", "type=inline")
        found = self.elsewhere("--cache-from", name)
        self.assertEqual(3, len(found), found)

    def test_an_index_brings_that_of_each_platform(self):
        name = f"{self.registry.host}/x:1"
        self.context("FROM scratch\nARG TARGETARCH\nCOPY a.txt /$TARGETARCH\n")
        self.build("--platform", "linux/amd64,linux/arm64", "-o", f"type=registry,name={name}", "--cache-to", "type=inline")
        self.assertEqual(["[1/1] COPY a.txt /arm64"], self.elsewhere("--platform", "linux/arm64", "--cache-from", name))
        both = self.elsewhere("--platform", "linux/arm64,linux/amd64", "--cache-from", name)
        self.assertEqual(["[linux/amd64 1/1] COPY a.txt /amd64", "[linux/arm64 1/1] COPY a.txt /arm64"], both)

    def test_a_directory_of_the_client(self):
        self.build("-t", "x", "--cache-to", f"type=local,dest={self.path('cache')}")
        self.assertTrue(os.path.exists(self.path("cache", "index.json")))
        found = self.elsewhere("--cache-from", f"type=local,src={self.path('cache')}")
        self.assertEqual(3, len(found), found)

    def test_cache_mounts_travel_along(self):
        registry = fixtures.registry()
        head = f"FROM {registry.host}/busybox:oci-gzip\n"
        self.context(head + 'RUN --mount=type=cache,target=/c mkdir -p /c/d && echo kept >/c/d/x && ln -s x /c/d/l\n')
        self.build("-o", "type=tar,dest=" + self.path("o.tar"), "--cache-to", f"type=registry,ref={self.cache},cache-mounts=true")
        self.context(head + 'RUN --mount=type=cache,target=/c cat /c/d/l >/found\n')
        other = self.daemon(name="e")
        self.build("-o", self.path("x"), "--cache-from", f"type=registry,ref={self.cache}", imaged=other)
        with open(self.path("x", "found"), encoding="ascii") as file:
            self.assertEqual("kept\n", file.read())
        self.context(head + 'RUN --mount=type=cache,target=/c echo mine >/c/d/x; cat /c/d/l >/found\n')
        self.build("-o", self.path("y"), "--cache-from", f"type=registry,ref={self.cache}", imaged=other)
        with open(self.path("y", "found"), encoding="ascii") as file:
            self.assertEqual("mine\n", file.read())

    def test_one_that_is_not_there_stops_no_build(self):
        gone = f"127.0.0.1:{free_port()}/cache"
        done = self.build("-t", "x", "--cache-from", f"type=registry,ref={gone}", "--cache-from", f"type=registry,ref={self.registry.host}/none")
        self.assertIn(f"importing cache manifest from {gone}", done.stderr)
        self.assertIn("failed to configure registry cache importer", done.stderr)

    def test_one_of_buildkit_is_passed_over(self):
        index = ociimage.to_json(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [{"mediaType": BUILDKIT_CACHE, "digest": sha256(b"x"), "size": 1}],
            }
        )
        os.makedirs(self.path("cache", "blobs", "sha256"))
        for name, data in (("index.json", index), ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')):
            with open(self.path("cache", name), "wb") as file:
                file.write(data)
        done = self.build("-t", "x", "--cache-from", f"type=local,src={self.path('cache')}")
        self.assertIn("a cache that BuildKit wrote", done.stderr)

    def test_a_layer_that_is_another_one_is_refused(self):
        cache = self.path("cache")
        epoch = ("--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}")
        self.build("-t", "x", "--cache-to", f"type=local,dest={cache}", *epoch)

        with Rewriting(cache) as config:
            config["diff_ids"].reverse()  # each key leads to the layer of another step
        found = self.elsewhere("--cache-from", f"type=local,src={cache}", "-t", "x", *epoch)
        self.assertEqual(["[2/3] WORKDIR /w"], found)  # the one in the middle is right
        other = self._daemons[-1]
        self.assertEqual(self.config("x")["RootFS"]["Layers"], self.config("x", imaged=other)["RootFS"]["Layers"])

    def test_keys_that_nobody_asked_for_are_not_taken(self):
        """A cache says that its layer is also that of other steps, which no build here has asked it about."""
        def cache_of(name):
            self.build("-t", name, "--cache-to", f"type=local,dest={self.path(name)}")
            return self.path(name)

        other = self.daemon(name="other")
        self.context("FROM scratch\nCOPY a.txt /a\n")
        with Rewriting(cache_of("good")) as good:
            wanted = good["steps"][0]["keys"]
        self.context("FROM scratch\nCOPY sub /s\n")
        with Rewriting(cache_of("bad")) as bad:
            bad["steps"][0]["keys"] += wanted
        found = self.cached(self.build("-t", "x", "--cache-from", f"type=local,src={self.path('bad')}", imaged=other).stderr)
        self.assertEqual(["[1/1] COPY sub /s"], found)
        self.context("FROM scratch\nCOPY a.txt /a\n")
        self.assertEqual([], self.cached(self.build("-t", "y", imaged=other).stderr))


if __name__ == "__main__":
    unittest.main()
