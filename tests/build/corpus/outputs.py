"""Where a result goes: files, archives, names; what is told of it."""

import json
import os
import tarfile

from buildcorpus import case
from buildimage import read_image

RESULT = "FROM {base} AS one\nRUN echo r > /r && ln -s r /l && chmod 4750 /r && mkdir -m 700 /d\nFROM scratch\nCOPY --from=one /r /l /out/\nCOPY --from=one /d /out/d\n"


def directory(result):
    place = os.path.join(result.directory, "made")
    found = sorted(os.path.relpath(os.path.join(path, name), place) for path, folders, names in os.walk(place) for name in folders + names)
    told = [] if found == ["out", "out/d", "out/l", "out/r"] else [f"made {found}"]
    mode = os.lstat(os.path.join(place, "out/r")).st_mode & 0o7777
    return told + ([] if mode & 0o777 == 0o750 else [f"mode {mode:o}"])


def archive(result):
    with tarfile.open(os.path.join(result.directory, "made.tar")) as tar:
        names = sorted(name.strip("/") for name in tar.getnames())
    return [] if names == ["out", "out/d", "out/l", "out/r"] else [f"made {names}"]


def image_archive(name):
    def check(result):
        image = read_image(os.path.join(result.directory, name))
        wanted = {"/out": None, "/out/r": b"r\n", "/out/l": b"r\n"}
        return [f"{path} is {image.tree.get(path)}" for path, data in wanted.items() if path not in image.tree or (data and image.tree[path].data != data)]

    return check


case("output-local", "the files in a directory of the client", RESULT, options=["--output", "type=local,dest={dir}/made"], saved=False, check=directory)
case("output-short", "a path alone is a directory", RESULT, options=["-o", "{dir}/made"], saved=False, check=directory)
case("output-tar", "as an archive", RESULT, options=["--output", "type=tar,dest={dir}/made.tar"], saved=False, check=archive)
case("output-docker", "as docker loads it", RESULT, options=["--output", "type=docker,name=corpus/made,dest={dir}/made.tar"], saved=False, check=image_archive("made.tar"), differs={"buildkit-20.10": "not within dockerd", "buildah-1.28": "knows no such output"})
case("output-oci", "as an OCI layout", RESULT, options=["--output", "type=oci,dest={dir}/made.tar"], saved=False, check=image_archive("made.tar"), differs={"buildkit-20.10": "not within dockerd", "buildah-1.28": "knows no such output"})


def oci_zstd(result):
    with tarfile.open(os.path.join(result.directory, "made.tar")) as tar:
        index = json.load(tar.extractfile("index.json"))
        manifest = json.load(tar.extractfile("blobs/" + index["manifests"][0]["digest"].replace(":", "/")))
    return [f"layers of {layer['mediaType']}" for layer in manifest["layers"] if layer["mediaType"] != "application/vnd.oci.image.layer.v1.tar+zstd"] + image_archive("made.tar")(result)


case("output-zstd", "with a compression of its own", RESULT, options=["--output", "type=oci,compression=zstd,dest={dir}/made.tar"], saved=False, check=oci_zstd, differs={"buildkit-20.10": "not within dockerd", "buildah-1.28": "knows no such output"})
case("output-several", "several at once", RESULT, options=["--output", "type=local,dest={dir}/made", "--output", "type=tar,dest={dir}/made.tar"], saved=False, check=lambda r: directory(r) + archive(r),
     differs={"buildkit-20.10": "one alone", "buildah-1.28": "the last alone"})  # fmt: skip
case("output-unknown", "one that is not there", RESULT, options=["--output", "type=nothing"], saved=False, error=r"exporter \"?nothing\"? could not be found|nothing", differs={"buildah-1.28": "takes it"})


def identity(result):
    image = result.file("id").decode()
    told = [] if image.startswith("sha256:") and len(image) == 71 else [f"--iidfile has {image!r}"]
    told += [] if result.out.strip() == image else [f"-q says {result.out!r}"]
    return told + ([f"-q also says {result.log!r}"] if result.log else [])


case("output-quiet", "-q says the image's identity alone, --iidfile has it", "FROM {base}\nRUN echo quiet > /q\n", options=["-q", "--iidfile", "{dir}/id"], check=identity, differs={"buildah-1.28": "says it without its algorithm"})


def metadata(result):
    found = json.loads(result.file("meta.json"))
    told = [f"no {key} in {sorted(found)}" for key in ("containerimage.config.digest", "containerimage.digest") if key not in found]
    return told + ([] if found.get("image.name", "").endswith("corpus/output-metadata:latest") else [f"image.name {found.get('image.name')}"])


case("output-metadata", "--metadata-file", "FROM {base}\nRUN echo meta > /q\n", options=["--metadata-file", "{dir}/meta.json"], check=metadata, differs={"buildkit-20.10": "knows no such option", "buildah-1.28": "knows no such option"})

case("output-bad-tag", "a name that is none", "FROM {base}\n", options=["-t", "Bad:1"], error=r"invalid (argument|tag) \"Bad:1\".*repository name must be lowercase")
case("output-bad-argument", "an argument without a name", "FROM {base}\n", options=["--build-arg", "=x"], error=r"invalid key-value pair \"=x\": empty key|invalid", differs={"buildah-1.28": "takes it"})


def index_of(result):
    with tarfile.open(os.path.join(result.directory, "made.tar")) as tar:
        index = json.load(tar.extractfile("index.json"))
        top = index["manifests"][0]
        body = json.load(tar.extractfile("blobs/" + top["digest"].replace(":", "/")))
    return index, body


def platforms(result):
    index, body = index_of(result)
    found = sorted(f"{m['platform']['os']}/{m['platform']['architecture']}" for m in body.get("manifests", index["manifests"]))
    return [] if found == ["linux/amd64", "linux/arm64"] else [f"platforms {found}"]


def annotated(result):
    _, body = index_of(result)
    return [] if body.get("annotations", {}).get("org.example.key") == "a value" else [f"annotations {body.get('annotations')}"]


NOT_HERE = {"buildkit-20.10": "not within dockerd", "buildah-1.28": "knows no such output"}
case("output-platforms", "several platforms in an index", "FROM scratch\nARG TARGETARCH\nCOPY f-$TARGETARCH /f\n", {"f-amd64": "a", "f-arm64": "b"}, options=["--platform", "linux/amd64,linux/arm64", "--output", "type=oci,dest={dir}/made.tar"],
     saved=False, check=platforms, differs=NOT_HERE)  # fmt: skip
case("output-annotation", "annotations of the manifest", "FROM scratch\nCOPY f /f\n", {"f": "f"}, options=["--annotation", "org.example.key=a value", "--output", "type=oci,dest={dir}/made.tar"], saved=False, check=annotated, differs=NOT_HERE)
