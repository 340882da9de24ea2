"""Images that a hostile or broken registry might serve, by name.

hostile() gives {name: (manifest, hint)}: each pull must fail with one clear
error and leave nothing listed. `hint` is a regular expression for the error, or
for several acceptable ones.
"""

import gzip
import json

from ociimage import (
    DOCKER_SCHEMA1,
    Blob,
    Image,
    Index,
    Layer,
    Manifest,
    OCI_INDEX,
    OCI_MANIFEST,
    compress,
    random_bytes,
    sha256,
    tar,
    to_json,
)


def plain_layer(text="hello"):
    return Layer(tar({"etc/": None, "etc/motd": text.encode()}))


def wrong_blob_bytes():
    good = plain_layer("good")
    bad = Blob(compress(tar({"etc/motd": b"evil"}), "gzip").ljust(good.blob.size, b"\0"), digest=good.blob.digest)
    return Image([Layer(blob=bad, diff_id=good.diff_id)])


def wrong_diff_id():
    layer = plain_layer()
    return Image([Layer(blob=layer.blob, diff_id=sha256(b"something else"))])


def wrong_layer_size(by):
    def edit(head, _):
        head["layers"][0]["size"] += by

    return Image([plain_layer(f"size {by}")], edit=edit)


def diff_ids(change):
    def edit(_, body):
        body["rootfs"]["diff_ids"] = change(body["rootfs"]["diff_ids"])

    return Image([plain_layer("ids")], edit=edit)


def missing_blob():
    image = Image([plain_layer("missing")])
    image.blobs = [image.config_blob]
    return image


def raw(data, media_type=OCI_MANIFEST, blobs=()):
    return Manifest(data, media_type, blobs)


def duplicate_key():
    image = Image([plain_layer("twice")])
    return raw(image.data[:-1] + b',"schemaVersion":2}', blobs=image.blobs)


def both_layers_and_manifests():
    image = Image([plain_layer("both")])
    body = json.loads(image.data)
    body["manifests"] = []
    return raw(to_json(body), blobs=image.blobs)


def trailing_data():
    image = Image([plain_layer("trailing")])
    return raw(image.data + b"{}", blobs=image.blobs)


def deep_json():
    return raw(b'{"schemaVersion":2,"x":' + b"[" * 5000 + b"]" * 5000 + b"}")


def bad_digest_text(text):
    def edit(head, _):
        head["layers"][0]["digest"] = text

    return Image([plain_layer("digest")], edit=edit)


def negative_size():
    def edit(head, _):
        head["layers"][0]["size"] = -1

    return Image([plain_layer("negative")], edit=edit)


def encrypted_layer():
    def edit(head, _):
        head["layers"][0]["mediaType"] += "+encrypted"

    return Image([plain_layer("encrypted")], edit=edit)


def unknown_layer_type():
    def edit(head, _):
        head["layers"][0]["mediaType"] = "application/octet-stream"

    return Image([plain_layer("unknown")], edit=edit)


def nested_index():
    depth = Image([plain_layer("nested")])
    platform = {"os": "linux", "architecture": "amd64"}
    for _ in range(12):
        depth = Index([(depth, platform)])
    return depth


def schema1():
    return raw(to_json({"schemaVersion": 1, "name": "a/b", "tag": "1", "fsLayers": [], "history": []}), DOCKER_SCHEMA1)


def no_layer_in_index():
    return raw(to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}), OCI_INDEX)


def truncated_gzip():
    whole = tar({"data": random_bytes(200000, 5)})
    packed = gzip.compress(whole, mtime=0)
    return Image([Layer(blob=Blob(packed[:-100]), diff_id=sha256(whole))])


def not_gzip():
    data = tar({"data": b"x"})
    return Image([Layer(blob=Blob(b"BZh91AY&SY" + data), diff_id=sha256(data))])


def gzip_with_garbage():
    data = tar({"data": b"garbage follows"})
    return Image([Layer(blob=Blob(gzip.compress(data, mtime=0) + b"garbage after the member"), diff_id=sha256(data))])


def config_not_json():
    image = Image([plain_layer("config")])
    bad = Blob(b"not json")
    head = json.loads(image.data)
    head["config"].update(digest=bad.digest, size=bad.size)
    return raw(to_json(head), blobs=[bad] + image.blobs[1:])


def gzip_bomb():
    """1.5 GB of zeros in 1.5 MB: past any sane ratio."""
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b"\0" * (1 << 20)
    parts = [packer.compress(piece) for _ in range(1536)]
    parts.append(packer.flush())
    return Image([Layer(blob=Blob(b"".join(parts)), diff_id=sha256(b"bomb"))])


def too_many_layers():
    layer = plain_layer("many")
    return Image([layer] * 600)


def hostile():
    zeros = "sha256:" + "0" * 64
    return {
        "layer bytes are not those of the digest": (wrong_blob_bytes(), "digest|size"),
        "diff id is wrong": (wrong_diff_id(), "diff"),
        "layer is shorter than its descriptor": (wrong_layer_size(+7), "size|bytes|short"),
        "layer is longer than its descriptor": (wrong_layer_size(-7), "size|bytes|long|more"),
        "config has more diff ids than the manifest layers": (diff_ids(lambda d: d + [zeros] * 3), "layer|diff"),
        "config has fewer diff ids than the manifest layers": (diff_ids(lambda d: []), "layer|diff"),
        "layer blob is missing": (missing_blob(), "404|not found|unknown"),
        "manifest has a duplicate key": (duplicate_key(), "duplicate|twice"),
        "manifest has layers and manifests": (both_layers_and_manifests(), "manifests|ambiguous"),
        "manifest has data after its end": (trailing_data(), "manifest|end of file|JSON|json"),
        "manifest is nested too deep": (deep_json(), "depth|deep|nest|manifest"),
        "manifest is not JSON": (raw(b"<html>500</html>"), "JSON|json|manifest"),
        "layer digest is a path": (bad_digest_text("sha256:../../../../etc/passwd"), "digest"),
        "layer digest is too short": (bad_digest_text("sha256:abcd"), "digest"),
        "layer digest has upper case": (bad_digest_text("sha256:" + "A" * 64), "digest"),
        "layer digest has an unknown algorithm": (bad_digest_text("md5:" + "a" * 32), "digest|algorithm"),
        "layer size is negative": (negative_size(), "size"),
        "layer is encrypted": (encrypted_layer(), "encrypted|media type"),
        "layer has an unknown media type": (unknown_layer_type(), "media ?type"),
        "indexes nest without end": (nested_index(), "index|nest|depth"),
        "manifest is schema 1": (schema1(), "schema"),
        "index lists nothing": (no_layer_in_index(), "platform|manifest"),
        "gzip stream ends early": (truncated_gzip(), "gzip|end|truncated|short"),
        "layer is not gzip": (not_gzip(), "gzip|header|magic|compress"),
        "gzip is followed by garbage": (gzip_with_garbage(), "gzip|garbage|trailing|header"),
        "configuration is not JSON": (config_not_json(), "config|JSON|json"),
        "layer inflates beyond the allowed ratio": (gzip_bomb(), "ratio|limit|inflate|expand|bytes"),
        "manifest has too many layers": (too_many_layers(), "layer"),
    }
