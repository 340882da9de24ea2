"""Archives that somebody made to do harm, or that broke on their way: each ends in one
clear error, as a file and through a pipe, and nothing of it is kept or named
(registry-cri.md 5.1 and 5.2)."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import tarfile
import zipfile

import grpc

from archives import (
    AMD64,
    BLOCK,
    COMPRESSIONS,
    END,
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
    members_of,
    pax_record,
    raw_header,
    raw_member,
    tar_of,
    without_padding,
    _zstd,
)
from harness import ROOT
from ociimage import OCI_LAYER, Blob, Image, Index, Layer, Manifest, random_bytes, sha256, tar, to_json
from rpc import reason

CASES = os.path.join(os.path.dirname(ROOT), "shared", "cases", "registry")
IMAGE = an_image()
LAYER = IMAGE.layers[0]
LAYOUT = layout_files((IMAGE, "docker.io/library/bad:1"))
DOCKER = docker_files((IMAGE, "bad:1"))
CONFIG_FILE = hex_of(IMAGE.id) + ".json"
LAYER_FILE = hex_of(LAYER.diff_id) + ".tar"


# ---- what may be wrong with the tar ---------------------------------------------


def with_member(*members):
    """A sound archive with these raw members in front."""
    return tar_of(*members, members_of(LAYOUT))


def replace(files, name, data):
    return tar({**files, name: data})


def without(files, name):
    return {key: data for key, data in files.items() if key != name}


def raw_size(text):
    """A member whose size field is this text."""
    return with_member(raw_header("x", size_field=text))


def of_many(count, name=lambda number: f"f{number}"):
    out = io.BytesIO()
    for number in range(count):
        text = name(number)
        pax = {"path": text} if len(text) > 99 else None
        out.write(raw_member(text[:99], pax=pax))
    return out.getvalue() + END


def of_many_links(count, target):
    return b"".join(raw_member(f"l{number}", kind=b"2", pax={"linkpath": target}) for number in range(count)) + END


def bad_checksum():
    data = bytearray(tar(LAYOUT))
    data[148:154] = b"000001"
    return bytes(data)


def other_format(kind):
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("manifest.json", "[]" * 1000)
        return out.getvalue()
    if kind == "iso9660":  # its first 32 KiB belong to nobody
        return bytes(16 * 2048) + b"\x01CD001\x01".ljust(2048, b"x") + b"\xffCD001\x01".ljust(2048, b"x")
    magics = {
        "cpio": b"070701" + b"0" * 104, "ar": b"!<arch>\n", "7z": b"7z\xbc\xaf\x27\x1c", "rar": b"Rar!\x1a\x07\x01\0",
        "rar 4": b"Rar!\x1a\x07\0", "xar": b"xar!\0\x1c\0\x01" + bytes(8),
    }  # fmt: skip
    return magics[kind].ljust(2048, b"x")


TAR_CASES = {
    "a member's name climbs out": (with_member(raw_member("../evil", b"x")), r'"\.\./evil".*"\.\."'),
    "a member's name climbs out from within": (with_member(raw_member("a/../../evil", b"x")), r'"\.\."'),
    "a member's name is absolute": (with_member(raw_member("/etc/passwd", b"x")), "absolute"),
    "a member's name has two slashes": (with_member(raw_member("a//b", b"x")), "slashes"),
    "a member's name is empty": (with_member(raw_member("", b"x")), "empty"),
    "a pax name climbs out": (with_member(raw_member("x", b"x", pax={"path": "../" * 60 + "etc/passwd"})), r'"\.\."'),
    "a pax name has a NUL": (with_member(raw_member("x", b"x", pax={"path": b"a\0b"})), "NUL"),
    "a pax name is longer than any": (with_member(raw_member("x", b"x", pax={"path": "n" * 5000})), "too long"),
    "a GNU name is longer than any": (
        with_member(raw_member("././@LongLink", b"n" * 5000 + b"\0", kind=b"L"), raw_member("x", b"x")), "too long"),
    "pax and GNU give two names": (
        with_member(raw_member("././@LongLink", b"one\0", kind=b"L"), raw_member("x", b"x", pax={"path": "two"})), "two names"),
    "a symlink leads out": (with_member(raw_member("x", kind=b"2", link="../../etc/passwd")), "outside of the archive"),
    "a symlink is absolute": (with_member(raw_member("x", kind=b"2", link="/etc/passwd")), "absolute"),
    "a symlink leads nowhere by its name": (with_member(raw_member("x", kind=b"2", link="")), "empty"),
    "a hard link leads out": (with_member(raw_member("x", kind=b"1", link="../../etc/passwd")), r'"\.\."'),
    "a hard link is absolute": (with_member(raw_member("x", kind=b"1", link="/etc/passwd")), "absolute"),
    "a size is negative": (raw_size(b"\xff" * 12), "size"),
    "a size is no number": (raw_size(b"zzzzzzzzzzz\0"), "size"),
    "a size is beyond 63 bits": (raw_size(b"\x80" + b"\xff" * 11), "size"),
    "a size is 8 EiB": (raw_size(b"\x80\0\0\0" + (2**63 - 1).to_bytes(8, "big")), "too large"),
    "a pax size is larger than the archive": (
        with_member(raw_member("x", b"x", pax={"size": 1 << 40})), "truncated|EOF|1099511627776 bytes are needed"),
    "a pax size is negative": (with_member(raw_member("x", b"x", pax={"size": -1})), "size|number|pax"),
    "a pax size is no number": (with_member(raw_member("x", b"x", pax={"size": "1e3"})), "size|number|pax"),
    "a pax size comes twice, of which the last lies": (
        with_member(raw_member("x", b"x" * 600, pax=pax_record("size", 600) + pax_record("size", 1))), "checksum|header|sound"),
    "a pax name comes twice, of which the last climbs out": (
        with_member(raw_member("x", b"x", pax=pax_record("path", "a") + pax_record("path", "../evil"))), r'"\.\."'),
    "a pax size hides the next header": (tar_of(raw_member("x", b"x" * 600, pax={"size": 1}), members_of(LAYOUT)), "checksum|header|sound"),
    "a pax record lies about its length": (with_member(raw_member("x", b"x", pax=b"99 path=evil\n")), "pax|record|header"),
    "a pax header has no end": (with_member(raw_header("PaxHeaders/x", 8, b"x") + END[:BLOCK] * 2), "pax|record|header|sound"),
    "a pax header is huge": (with_member(raw_member("PaxHeaders/x", b"0" * (2 << 20), kind=b"x")), "too long"),
    "a member has a thousand extended headers": (
        with_member(*[raw_member("PaxHeaders/x", pax_record("comment", n), kind=b"x") for n in range(1000)], raw_member("x", b"x")),
        "too many extended headers"),
    "a pax header is the last": (tar_of(members_of(LAYOUT), raw_member("PaxHeaders/x", pax_record("path", "x"), kind=b"x")), "header|sound|truncated"),
    "a member is GNU sparse": (with_member(raw_header("x", 512, b"S") + bytes(512)), "sparse"),
    "a member is pax sparse": (
        with_member(raw_member("x", b"1\n0\n1\n".ljust(512, b"\0") + b"x", pax={"GNU.sparse.major": 1, "GNU.sparse.minor": 0, "GNU.sparse.name": "x", "GNU.sparse.realsize": 1 << 40})),
        "sparse"),
    "a header has a wrong checksum": (bad_checksum(), "checksum"),
    "it is a block of garbage": (random_bytes(BLOCK * 4, 1), "invalid tar header|sound tar"),
    "it is less than a block of garbage": (b"garbage" * 20, "unexpected EOF"),
    "it is empty": (b"", "repositories: no such file"),
    "it is all zeros": (bytes(10240), "repositories: no such file"),
    "it is a tar of something else": (tar({"etc/": None, "etc/passwd": b"root"}), "etc/json: no such file"),
    "it is a zip": (other_format("zip"), "invalid tar header|sound tar"),
    "it is a cpio": (other_format("cpio"), "invalid tar header|sound tar"),
    "it is an ar": (other_format("ar"), "invalid tar header|sound tar"),
    "it is a 7z": (other_format("7z"), "invalid tar header|sound tar"),
    "it is a rar": (other_format("rar"), "invalid tar header|sound tar"),
    "it is a rar 4": (other_format("rar 4"), "invalid tar header|sound tar"),
    "it is a xar": (other_format("xar"), "invalid tar header|sound tar"),
    "it is an iso9660": (other_format("iso9660"), "repositories: no such file|invalid tar header"),
    "it is compressed twice": (gzip.compress(gzip.compress(tar(LAYOUT), mtime=0), mtime=0), "invalid tar header"),
    "manifest.json is a circle of symlinks": (
        tar({**without(DOCKER, "manifest.json"), "manifest.json": "a", "a": "b", "b": "manifest.json"}),
        "no such file|manifest.json|link"),
    "manifest.json is a circle of hard links": (
        tar({**without(DOCKER, "manifest.json"), "manifest.json": ("hard", "a"), "a": ("hard", "manifest.json")}),
        "no such file|manifest.json|link"),
    "a layer is a symlink to itself": (replace(DOCKER, LAYER_FILE, LAYER_FILE), f"open .*/{LAYER_FILE}: no such file"),
    "a layer is a link through a directory": (replace({**DOCKER, "d": "etc"}, "manifest.json", DOCKER["manifest.json"].replace(LAYER_FILE.encode(), b"d/passwd")), "no such file"),
    "a chain of symlinks has no end in sight": (
        tar({**without(DOCKER, LAYER_FILE), LAYER_FILE: "l0", **{f"l{n}": f"l{n + 1}" for n in range(100)}, "l100": LAYER.blob.data}),
        "no such file"),
    "the configuration is a device": (
        tar_of(members_of(without(DOCKER, CONFIG_FILE)), raw_header(CONFIG_FILE, 0, b"3")), f"open .*/{CONFIG_FILE}: no such file"),
    "a layer is a fifo": (
        tar_of(members_of(without(DOCKER, LAYER_FILE)), raw_header(LAYER_FILE, 0, b"6")), f"open .*/{LAYER_FILE}: no such file"),
    "the index is a directory": (tar_of(members_of(without(LAYOUT, "index.json")), raw_header("index.json/", 0, b"5")), "blobs/json: no such file"),
    "a second copy of a blob has other bytes": (tar_of(members_of(LAYOUT), raw_member(blob_name(LAYER.diff_id), b"evil")), "has the digest"),
    "a second index is hostile": (tar_of(members_of(LAYOUT), raw_member("index.json", b"[]")), r"index\.json"),
    "a second manifest.json is hostile": (tar_of(members_of(DOCKER), raw_member("manifest.json", b"{}")), "manifest"),
    "it has more members than any": (of_many(50_001), "more than 50000 members"),
    "the members' names take too much memory": (of_many(2200, lambda n: f"{n:05}/" + ("d" * 199 + "/") * 20), "names are too long"),
    "the links' targets take too much memory": (of_many_links(2200, ("d" * 199 + "/") * 20), "names are too long"),
}


# ---- what may be wrong with the documents ---------------------------------------


def index_json(*descriptors, **more):
    return to_json({"schemaVersion": 2, "manifests": list(descriptors), **more})


def with_index(data):
    return replace(LAYOUT, "index.json", data)


def with_root(manifest, *also, **more):
    """A layout whose index leads to this manifest; `also`: more blobs."""
    files = layout_files((manifest, "docker.io/library/bad:1"))
    files.update((blob_name(blob.digest), blob.data) for blob in also)
    return tar({**files, **more})


def image_but(edit, layers=(LAYER,), **more):
    return with_root(Image(list(layers), edit=edit, **more))


def descriptor_but(**changes):
    return with_index(index_json({**IMAGE.descriptor(), **changes}))


def edit_head(**changes):
    return lambda head, _: head.update(changes)


def edit_layer(**changes):
    return lambda head, _: head["layers"][0].update(changes)


def edit_config(**changes):
    return lambda _, body: body.update(changes)


def edit_diff_ids(*ids):
    return lambda _, body: body["rootfs"].update(diff_ids=list(ids))


def with_manifest_json(data):
    return replace(DOCKER, "manifest.json", data)


def docker_entry(**changes):
    return with_manifest_json(to_json([{**json.loads(DOCKER["manifest.json"])[0], **changes}]))


def docker_blobs(blob=None, data=None):
    """Docker 25's members without its index: all that names them is manifest.json."""
    files = docker25_files((IMAGE, "bad:1"))
    if blob:
        files[blob_name(blob)] = data
    return tar({name: content for name, content in files.items() if name not in ("index.json", "oci-layout")})


def docker_image(edit=None, layers=(LAYER,), **more):
    return tar(docker_files((Image(list(layers), edit=edit, **more), "bad:1")))


def nested(depth):
    manifest = IMAGE
    for _ in range(depth):
        manifest = Index([(manifest, AMD64)])
    return with_root(manifest)


def bad_docker_layer(data, diff_id):
    return docker_image(layers=[Layer(blob=Blob(data), diff_id=diff_id)])


def deep(depth):
    return b"[" * depth + b"]" * depth


ZEROS = "sha256:" + "0" * 64
ARTIFACT = Image([LAYER], edit=lambda head, _: head["config"].update(mediaType="application/vnd.example.thing+json"), manifest={
    "config": {"mediaType": "application/vnd.example.thing+json", "digest": IMAGE.id, "size": len(IMAGE.config_bytes)}})
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"

LAYOUT_CASES = {
    "a layer has other bytes than its name": (replace(LAYOUT, blob_name(LAYER.diff_id), b"evil" * 100), "has the digest"),
    "a configuration has other bytes than its name": (replace(LAYOUT, blob_name(IMAGE.id), b"{}"), "has the digest"),
    "a manifest has other bytes than its name": (replace(LAYOUT, blob_name(IMAGE.digest), IMAGE.data + b" "), "has the digest"),
    "the manifest is missing": (tar(without(LAYOUT, blob_name(IMAGE.digest))), f"manifest {IMAGE.digest} is not in the archive"),
    "the configuration is missing": (tar(without(LAYOUT, blob_name(IMAGE.id))), "configuration .* is not in the archive"),
    "a layer is missing": (tar(without(LAYOUT, blob_name(LAYER.diff_id))), "layer 0 .* is not in the archive"),
    "the child of an index is missing": (tar(without(layout_files((Index([(IMAGE, AMD64)]),)), blob_name(IMAGE.digest))), "platform|not in the archive|manifest"),
    "the index has layers and manifests": (with_index(index_json(IMAGE.descriptor(), layers=[])), "index.json.*layers"),
    "the index is null": (with_index(b"null"), "index.json"),
    "the index is a list": (with_index(b"[]"), "index.json"),
    "the index is not JSON": (with_index(b"<html>"), "index.json"),
    "the index is empty": (with_index(b""), "index.json"),
    "the index has a key twice": (with_index(index_json(IMAGE.descriptor())[:-1] + b',"manifests":[]}'), "index.json.*twice|index.json.*duplicate"),
    "the index is nested deep": (with_index(b'{"schemaVersion":2,"x":' + deep(5000) + b"}"), "index.json.*deeper"),
    "the index has data after its end": (with_index(LAYOUT["index.json"] + b"{}"), "index.json"),
    "the index is huge": (with_index(b" " * (5 << 20)), "index.json.*at most|index.json.*larger"),
    "a digest of the index is a path": (descriptor_but(digest="sha256:../../../etc/passwd"), "digest"),
    "a digest of the index is of an unknown kind": (descriptor_but(digest="md5:" + "0" * 32), "digest|algorithm"),
    "a size in the index is too small": (descriptor_but(size=IMAGE.size - 1), "its descriptor says"),
    "a size in the index is too large": (descriptor_but(size=IMAGE.size + 1), "its descriptor says"),
    "a size in the index is negative": (descriptor_but(size=-1), "size"),
    "the type of a descriptor is another": (descriptor_but(mediaType="application/vnd.oci.image.index.v1+json"), "mediaType: differs"),
    "a manifest has layers and manifests": (with_root(Image([LAYER], manifest={"manifests": []})), "manifests|ambiguous"),
    "a manifest is no JSON": (with_root(Manifest(b"<html>", "application/vnd.oci.image.manifest.v1+json")), "JSON|json"),
    "a manifest is the image configuration": (descriptor_but(digest=IMAGE.id, size=len(IMAGE.config_bytes)), "manifest|schemaVersion|document"),
    "a layer's size is too large": (image_but(edit_layer(size=LAYER.blob.size + 1)), "its manifest says"),
    "a layer's size is too small": (image_but(edit_layer(size=LAYER.blob.size - 1)), "its manifest says"),
    "a layer's digest is a path": (image_but(edit_layer(digest="sha256:../../../../etc/passwd")), "digest"),
    "a layer is foreign": (image_but(edit_layer(mediaType=FOREIGN, urls=["http://127.0.0.1:9/x"])), "outside of the archive"),
    "a layer is of an unknown type": (image_but(edit_layer(mediaType="application/x-evil")), "mediaType: unsupported layer format"),
    "a layer is encrypted": (image_but(edit_layer(mediaType=OCI_LAYER + "+gzip+encrypted")), "encrypted"),
    "a configuration's size lies": (with_root(Image([LAYER], edit=None, manifest={"config": {
        "mediaType": "application/vnd.oci.image.config.v1+json", "digest": IMAGE.id, "size": 1}})), "its manifest says"),
    "it is an artifact": (with_root(ARTIFACT), "artifact"),
    "the configuration has more diff ids": (image_but(edit_diff_ids(LAYER.diff_id, ZEROS)), "layer"),
    "the configuration has fewer diff ids": (image_but(edit_diff_ids()), "layer"),
    "the configuration is no JSON": (with_root(
        Manifest(to_json({**json.loads(IMAGE.data), "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b"no"), "size": 2}}),
                 IMAGE.media_type, [Blob(b"no"), LAYER.blob])), "JSON|json"),
    "a diff id is another": (image_but(edit_diff_ids(ZEROS)), "invalid diffID for layer 0: expected .*0000.*, got .*" + LAYER.diff_id),
    "indexes nest without end": (nested(12), "nested"),
    "the layout is of version 2": (replace(LAYOUT, "oci-layout", b'{"imageLayoutVersion":"2.0.0"}'), "oci-layout.*not supported"),
    "the layout's version is none": (replace(LAYOUT, "oci-layout", b'{"imageLayoutVersion":"x"}'), "oci-layout.*not a version"),
    "the layout has no version": (replace(LAYOUT, "oci-layout", b"{}"), "oci-layout"),
    "the layout is no JSON": (replace(LAYOUT, "oci-layout", b"1.0.0"), "oci-layout"),
    "the layout is huge": (replace(LAYOUT, "oci-layout", b" " * (2 << 20)), "oci-layout.*at most|oci-layout.*larger"),
    "a name is no reference": (tar(layout_files((IMAGE, "docker.io/library/BAD:1"))), "lowercase|reference"),
    "a name is a path": (tar(layout_files((IMAGE, "../../etc/passwd:1"))), "reference"),
    "a name has a line feed": (tar(layout_files((IMAGE, "docker.io/library/a\nb:1"))), "reference"),
    "a name is endless": (tar(layout_files((IMAGE, "a" * 5000 + ":1"))), "reference|long|name"),
    "hundreds of blobs came before what is wrong": (
        tar({**{f"junk/{n}": b"%d" % n for n in range(300)}, **LAYOUT, "oci-layout": b"{}"}), "oci-layout"),
    "the second image is hostile": (tar(layout_files((IMAGE, "docker.io/library/good:1"), (Image([LAYER], edit=edit_diff_ids(ZEROS)), "docker.io/library/bad:1"))), "invalid diffID"),
}

DOCKER_CASES = {
    "manifest.json is null": (with_manifest_json(b"null"), "manifest cannot be null"),
    "manifest.json is an object": (with_manifest_json(b"{}"), "cannot unmarshal object"),
    "manifest.json is a text": (with_manifest_json(b'"x"'), "cannot unmarshal string"),
    "manifest.json is empty": (with_manifest_json(b""), "EOF"),
    "manifest.json lists null": (with_manifest_json(b"[null]"), "is a directory"),
    "manifest.json is huge": (with_manifest_json(b" " * (9 << 20)), "manifest.json.*at most"),
    "manifest.json has a million values": (with_manifest_json(b"[" + b"0," * 1_000_000 + b"0]"), "manifest.json"),
    "manifest.json has a key twice": (with_manifest_json(DOCKER["manifest.json"][:-2] + b',"Config":"x.json"}]'), "manifest.json.*twice|manifest.json.*duplicate"),
    "manifest.json is nested deep": (with_manifest_json(deep(100000)), "manifest.json.*deeper"),
    "manifest.json has data after its end": (with_manifest_json(DOCKER["manifest.json"] + b"[]"), "manifest.json"),
    "manifest.json is not UTF-8": (docker_entry(RepoTags=["x:1"]).replace(b'"x:1"', b'"\xff:1"'), "manifest.json"),
    "manifest.json names no configuration": (docker_entry(Config=None), "is a directory"),
    "the configuration's name climbs out": (docker_entry(Config="../../etc/passwd"), "evalSymlinksInScope: .*/etc/passwd is not in "),
    "the configuration's name is absolute": (docker_entry(Config="/etc/passwd"), "open .*/docker-import-.*/etc/passwd: no such file"),
    "the configuration's name is empty": (docker_entry(Config=""), "is a directory"),
    "the configuration's name is a number": (docker_entry(Config=7), "cannot unmarshal number"),
    "a layer's name climbs out": (docker_entry(Layers=["../../etc/passwd"]), "evalSymlinksInScope: .*/etc/passwd is not in "),
    "a layer's name is absolute": (docker_entry(Layers=["/etc/passwd"]), "open .*/docker-import-.*/etc/passwd: no such file"),
    "layers are an object": (docker_entry(Layers={"a": 1}), "cannot unmarshal object"),
    "layers are endless": (docker_entry(Layers=[LAYER_FILE] * 5000), "manifest.json|layer"),
    "tags are an object": (docker_entry(RepoTags={"a": 1}), "cannot unmarshal object"),
    "tags are endless": (docker_entry(RepoTags=[f"a:{n}" for n in range(100_000)]), "manifest.json"),
    "tags are endless over several entries": (
        replace(DOCKER, "manifest.json", json.dumps([
            {"Config": CONFIG_FILE, "Layers": [LAYER_FILE], "RepoTags": [f"a:{part}-{n}" for n in range(4000)]} for part in range(3)
        ]).encode()), "more than 10000 names"),
    "a tag has upper case": (docker_entry(RepoTags=["BAD:1"]), "lowercase"),
    "a tag is no tag": (docker_entry(RepoTags=["bad"]), "invalid tag"),
    "a tag is a digest": (docker_entry(RepoTags=["bad@" + IMAGE.digest]), "invalid tag"),
    "a tag is empty": (docker_entry(RepoTags=[""]), "reference|tag|manifest.json"),
    "a tag is a path": (docker_entry(RepoTags=["../../etc/passwd:1"]), "reference"),
    "a tag has a user": (docker_entry(RepoTags=["evil@example.com/x:1"]), "reference"),
    "a tag has an escape": (docker_entry(RepoTags=["a\x1b[2J:1"]), "reference"),
    "a tag is endless": (docker_entry(RepoTags=["a" * 3000 + ":1"]), "reference|name|long"),
    "the configuration is missing": (tar(without(DOCKER, CONFIG_FILE)), f"open .*/{CONFIG_FILE}: no such file or directory"),
    "a layer is missing": (tar(without(DOCKER, LAYER_FILE)), f"open .*/{LAYER_FILE}: no such file or directory"),
    "there are more layers than diff ids": (docker_entry(Layers=[LAYER_FILE] * 2), "layers length mismatch: expected 2, got 1"),
    "there are fewer layers than diff ids": (docker_entry(Layers=[]), "layers length mismatch: expected 0, got 1"),
    "a diff id is another": (docker_image(edit_diff_ids(ZEROS)), "invalid diffID for layer 0: expected .*0000"),
    "a configuration has other bytes than its blob's name": (
        docker_blobs(IMAGE.id, IMAGE.config_bytes.replace(b"ADD layer", b"ADD worse")), f"blobs/sha256/{hex_of(IMAGE.id)} has the digest"),
    "a configuration has more bytes than its blob's name": (docker_blobs(IMAGE.id, IMAGE.config_bytes + b"\n"), "has the digest"),
    "a layer has other bytes than its blob's name": (docker_blobs(LAYER.diff_id, tar({"evil": b"x"})), f"blobs/sha256/{hex_of(LAYER.diff_id)} has the digest"),
    "the configuration is no JSON": (replace(DOCKER, CONFIG_FILE, b"no"), CONFIG_FILE),
    "the configuration is empty": (replace(DOCKER, CONFIG_FILE, b""), CONFIG_FILE),
    "the configuration is huge": (replace(DOCKER, CONFIG_FILE, b" " * (5 << 20)), CONFIG_FILE + ".*at most"),
    "the image is of Windows": (docker_image(edit_config(os="windows")), "cannot load windows image on linux"),
    "a layer is no tar": (bad_docker_layer(random_bytes(2048, 3), sha256(random_bytes(2048, 3))), "tar"),
    "a layer is less than a block": (bad_docker_layer(b"x", sha256(b"x")), "tar|truncated"),
    "a layer is a broken gzip": (bad_docker_layer(gzip.compress(LAYER.blob.data, mtime=0)[:-20], LAYER.diff_id), "gzip|truncated|end"),
    "a layer's gzip is followed by garbage": (bad_docker_layer(gzip.compress(LAYER.blob.data, mtime=0) + b"garbage", LAYER.diff_id), "gzip|garbage|trailing"),
    "a layer is a bomb": (bad_docker_layer(gzip.compress(bytes(4 << 20), 9, mtime=0) * 64, ZEROS), "expands"),
    "a size in a layer's tar is negative": (docker_image(layers=[Layer(tar_of(raw_header("x", size_field=b"\xff" * 12)), "plain")]), "tar|size"),
    "there is neither index nor manifest.json": (tar(without(DOCKER, "manifest.json")), "repositories: no such file"),
}


# ---- what may be wrong with the compression -------------------------------------


def bomb(packer):
    """One member of 8 GiB of zeros, in about as many bytes as a page has words."""
    return packer(raw_header("blobs/sha256/" + "0" * 64, 8 << 30)) + packer(bytes(8 << 20)) * 128


def best(how):
    return {
        "gzip": lambda data: gzip.compress(data, 9, mtime=0),
        "zstd": _zstd,
        "xz": lambda data: lzma.compress(data, preset=0),
        "bzip2": lambda data: bz2.compress(data, 9),
    }[how]


def zstd_with_window(data, log):
    """A frame of stored blocks that says it needs a window of 2^log bytes."""
    step = 128 << 10
    blocks = [data[at : at + step] for at in range(0, len(data), step)]
    heads = [len(block) << 3 | (number == len(blocks) - 1) for number, block in enumerate(blocks)]
    body = b"".join(head.to_bytes(3, "little") + block for head, block in zip(heads, blocks))
    return b"\x28\xb5\x2f\xfd\0" + bytes([(log - 10) << 3]) + body


def compression_cases():
    plain = tar(layout_files((an_image(size=100_000), "docker.io/library/bad:1")))
    for how, packer in COMPRESSIONS.items():
        packed = packer(plain)
        yield f"it is a {how} bomb", bomb(best(how)), "expands to more than"
        yield f"its {how} ends early", packed[: len(packed) // 2], "truncated|end|EOF|damaged"
        yield f"its {how} ends a byte early", packed[:-1], "truncated|end|EOF|damaged"
        yield f"its {how} is damaged", packed[:2000] + bytes([packed[2000] ^ 0x55]) + packed[2001:], f"{how}|damaged|corrupt|sound"
        yield f"its {how} is followed by garbage", packed + b"garbage behind", f"{how}|garbage|damaged|after"
        yield f"it is nothing but a {how} header", packed[:6], "truncated|end|EOF|damaged"
    for log in (28, 31, 41):
        yield f"its zstd needs a window of 2 to the {log}", zstd_with_window(plain, log), "larger zstd window"


COMPRESSED_CASES = {name: (data, hint) for name, data, hint in compression_cases()}


# ---- the tests --------------------------------------------------------------------


class HostileCase(ArchiveCase):
    CODES = {
        "FAILED_PRECONDITION": ("INVALID_CONTENT", "UNSUPPORTED_CONTENT"),
        "DATA_LOSS": ("DIGEST_MISMATCH",),
        "RESOURCE_EXHAUSTED": ("LIMIT_EXCEEDED", "DISK_FULL"),
        "INVALID_ARGUMENT": ("INVALID_REFERENCE",),
        "NOT_FOUND": ("NO_MATCHING_PLATFORM",),
    }

    def refuse(self, data, hint, seekable):
        with self.assertRaises(grpc.RpcError) as caught:
            load(self.client, data, seekable)
        error = caught.exception
        said = f"{error.code().name} {reason(error)}: {error.details()}"
        self.assertIn(reason(error), self.CODES.get(error.code().name, ()), said)
        self.assertRegex(error.details(), re.compile(hint), said)
        self.assertRegex(error.details(), r"\A[ -~]{3,800}\Z", "one line that a terminal can show")
        self.assert_nothing_kept()

    def case(self, data, hint):
        for way, seekable in WAYS:
            if seekable and not 0 < len(data) < 20 << 20:
                continue  # a file of nothing cannot be asked for; a long one takes long
            with self.subTest(archive=way):
                self.refuse(data, hint, seekable)
        # What was refused did not break what comes after it.
        load(self.client, tar(LAYOUT))
        self.assertEqual(["docker.io/library/bad:1"], self.tags())


class Tar(HostileCase):
    """The archive's own headers."""


class Layout(HostileCase):
    """What an OCI layout may hold."""


class DockerArchive(HostileCase):
    """What a docker-archive may hold."""


class Compressed(HostileCase):
    """The outer compression."""


def add_cases(cls, cases):
    for name, (data, hint) in cases.items():

        def test(self, data=data, hint=hint):
            self.case(data, hint)

        test.__doc__ = name
        setattr(cls, "test_refused_when_" + re.sub(r"\W+", "_", name), test)


add_cases(Tar, TAR_CASES)
add_cases(Layout, LAYOUT_CASES)
add_cases(DockerArchive, DOCKER_CASES)
add_cases(Compressed, COMPRESSED_CASES)


class Odd(HostileCase):
    """What looks wrong and is not."""

    def assert_loads(self, data):
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                self.assertEqual([IMAGE.id], [image.image_id for image in load(self.client, data, seekable).images])
                self.assert_clean(self.client, ["docker.io/library/bad:1"])
                self.client.PruneImages(all=True)
                self.assert_nothing_kept()

    def test_docker_archive_of_blobs(self):
        self.assert_loads(docker_blobs())

    def test_zstd_with_the_largest_window(self):
        self.assert_loads(zstd_with_window(tar(LAYOUT), 27))

    def test_of_pax_keys_that_come_twice_the_last_counts(self):
        def twice(name, data):
            """Each key first with a lie; the size in the header is one too."""
            pax = pax_record("path", "../evil") + pax_record("path", name) + pax_record("size", 1 << 40) + pax_record("size", len(data))
            return raw_member("../evil", data, pax=pax, size=1)

        self.assert_loads(tar_of(*[twice(*one) for one in LAYOUT.items()]))

    def test_global_header_names_nothing(self):
        self.assert_loads(with_member(raw_member("g", pax_record("path", "../evil") + pax_record("comment", "x"), kind=b"g")))

    def test_times_before_there_was_time(self):
        def old(name, data):
            return raw_member(name, data, pax={"mtime": "-1.5", "atime": "-1", "ctime": "-62135596801"}, mtime_field=b"\xff" * 12)

        self.assert_loads(tar_of(*[old(*one) for one in LAYOUT.items()]))


class Truncated(HostileCase):
    """A whole archive, cut at every fiftieth of its length."""

    SECONDS = 240
    CUTS = 50

    def setUp(self):
        super().setUp()
        images = [an_image(f"{n}", "gzip" if n % 2 else "plain", size=30_000, seed=n) for n in range(3)]
        self.named = [(image, f"docker.io/library/cut{n}:1") for n, image in enumerate(images)]
        self.layout = tar_of(members_of(layout_files(*self.named)))
        self.docker = tar_of(members_of(docker_files(*self.named)))

    def cut(self, data, hint="unexpected EOF|truncated|is not in the archive|no such file"):
        for number in range(self.CUTS):
            at = len(data) * number // self.CUTS
            for way, seekable in WAYS:
                if at or not seekable:
                    with self.subTest(archive=way, cut=at, of=len(data)):
                        self.refuse(data[:at], hint, seekable)
        self.assert_clean(self.client, [])
        self.assertEqual(len(self.named), len(load(self.client, data).images))

    def test_layout(self):
        self.cut(self.layout)

    def test_docker_archive(self):
        self.cut(self.docker)

    def test_docker_20_10(self):
        """Also behind manifest.json, which is not its last member."""
        self.cut(without_padding(tar(legacy_files(*self.named))))

    def test_docker_25(self):
        self.named = [(an_image(f"{n}", size=30_000, seed=n), f"cut{n}:1") for n in range(3)]
        self.cut(without_padding(tar(docker25_files(*self.named))))

    def test_compressed(self):
        self.named = self.named[:1]
        data = tar_of(members_of(layout_files(*self.named)))
        for how, packer in COMPRESSIONS.items():
            with self.subTest(compression=how):
                self.cut(packer(data), "unexpected EOF|truncated|ends|damaged|no such file")
                self.client.PruneImages(all=True)

    def test_without_the_end_mark_it_is_whole(self):
        """As tar has it: what matters is there."""
        for way, seekable in WAYS:
            for missing in (len(END) // 2, len(END)):
                with self.subTest(archive=way, missing=missing):
                    self.assertEqual(3, len(load(self.client, self.layout[:-missing], seekable).images))


class SharedCases(HostileCase):
    """Archives and layouts of other projects, where they are on this machine."""

    def given(self, *path):
        found = os.path.join(CASES, *path)
        if not os.path.exists(found):
            self.skipTest(f"{found} is not here")
        return found

    def read(self, *path):
        with open(self.given(*path), "rb") as file:
            return file.read()

    def layout(self, name):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            archive.add(self.given("layout", name), ".")
        return out.getvalue()

    def test_docker_archives_of_two_images_and_of_one(self):
        """Made by bazel: directories as Docker 20.10 has them, without their own members."""
        one = load(self.client, self.read("docker-archive", "test_image_1.tar"))
        self.assertEqual(["sha256:6e0b05049ed9c17d02e1a55e80d6599dbfcce7f4f4b022e3c673e685789c470e"], [i.image_id for i in one.images])
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                with self.assertRaises(grpc.RpcError) as caught:
                    load(self.client, self.read("docker-archive", "test_bundle.tar"), seekable)
                self.assertRegex(caught.exception.details(), 'invalid tag "test_image_2"', "as docker has it")
        self.assertEqual(1, len(self.client.images()))
        self.assert_clean(self.client)

    def test_layout_with_two_images_under_one_short_name(self):
        """"1.0.0" is no whole name, so that both come without one."""
        for way, seekable in WAYS:
            with self.subTest(archive=way):
                with self.assertRaises(grpc.RpcError) as caught:
                    load(self.client, self.layout("two_identical_references"), seekable)
                self.assertRegex(caught.exception.details(), "layer 0")
                self.assert_nothing_kept()

    def test_layouts_whose_descriptors_claim_another_type(self):
        for name in ("ggcr_test_index", "ggcr_test_gc_index"):
            for way, seekable in WAYS:
                with self.subTest(layout=name, archive=way):
                    self.refuse(self.layout(name), "mediaType: differs", seekable)

    def test_break_outs_of_moby_touch_nothing(self):
        """As members of an archive. None is ever unpacked, so that all that may happen is an error."""
        table = json.loads(self.read("archive-breakouts", "moby_applylayer_invalid.json"))
        kinds = {"tar.TypeReg": b"0", "tar.TypeLink": b"1", "tar.TypeSymlink": b"2", "tar.TypeDir": b"5"}
        os.makedirs(self.path("victim"))
        tried = 0
        for test, lists in table.items():
            for number, headers in enumerate(lists if "Invalid" in test else []):
                members = [
                    raw_member(h["Name"], kind=kinds[h["Typeflag"]["$go"]], link=h.get("Linkname", ""), mode=h["Mode"]) for h in headers
                ]
                for way, seekable in WAYS:
                    tried += 1
                    with self.subTest(test=test, number=number, archive=way):
                        self.refuse(with_member(*members), r'archive member ".*(\.\.|absolute|outside)', seekable)
        self.assertGreater(tried, 20)
        self.assertEqual([], os.listdir(self.path("victim")))
