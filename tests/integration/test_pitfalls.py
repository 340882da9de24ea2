"""The pitfalls of registries (registry-cri.md 1.6), one by one under their numbers; 5, 6
and 7 are about pushing: test_pitfalls_push.py."""

import base64
import gzip
import json
import os
import re
import struct
import threading

import grpc

from hostileworld import PASSWORD, USER, HostileCase, image
from ociimage import Blob, Image, Index, Layer, compress, random_bytes, sha256, tar
from pki import Authority
from proxy import Proxy
from rpc import details

# What a host that is not the registry may be told.
PLAIN_HEADERS = {"host", "user-agent", "accept", "accept-encoding", "range", "if-range"}


def big(size=3 << 20, seed=1):
    return Image([Layer(tar({"data": random_bytes(size, seed)}), level=1)])


class Pitfalls(HostileCase):
    def serve(self, content, name="a", tag="1", **options):
        registry = self.host(**options)
        registry.repo(name).add(content, tag)
        self.reference = f"{registry.host}/{name}:{tag}"
        return registry

    def pull(self, reference=None, **fields):
        return self.client.pull(reference or self.reference, **fields)[0]

    @staticmethod
    def layer(content):
        return content.layers[0].blob

    def proxy(self, routes):
        made = Proxy(routes).__enter__()
        self.addCleanup(made.stop)
        return made

    # -- 1

    def test_pitfall_01_redirect_elsewhere_carries_nothing_of_ours(self):
        for auth in ("bearer", "basic"):
            with self.subTest(auth=auth):
                content, storage = image(auth.encode()), self.host()
                storage.repo("a").add(content)
                registry = self.serve(content, auth=auth, user=USER, password=PASSWORD, blobs_at=f"http://{storage.host}")
                self.pull(credentials=self.credentials(registry))
                self.assertEqual(2, storage.count("/blobs/", "GET"))
                self.assert_no_credential_at(storage)
                for request in storage.requests:
                    self.assertLessEqual({name.lower() for name in request.headers}, PLAIN_HEADERS)
                self.client.PruneImages(all=True)

    def test_pitfall_01_redirect_back_home_carries_the_token_again(self):
        content = image()
        registry = self.serve(content, auth="bearer", user=USER, password=PASSWORD)
        blob = self.layer(content)
        storage = self.host()
        storage.fault("GET", blob.digest, status=307, headers={"Location": f"http://{registry.host}/v2/a/blobs/{blob.digest}?again"})
        registry.fault("GET", blob.digest + "$", status=307, headers={"Location": f"http://{storage.host}/v2/a/blobs/{blob.digest}"})
        self.pull(credentials=self.credentials(registry))
        self.assert_no_credential_at(storage)
        self.assertEqual(1, registry.count(r"\?again"))

    # -- 2

    def strict_storage(self, content):
        """As S3: 400 to two kinds of authorization at once, signed for GET only, and each
        signature is good for one answer."""
        storage, used, lock = self.host(), set(), threading.Lock()
        blobs = {blob.digest: blob for blob in content.blobs}

        def answer(request):
            signature = request.path.partition("signature=")[2]
            names = {name.lower() for name in request.headers}
            with lock:
                expired = signature in used
                used.add(signature)
            if "authorization" in names:
                return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
            if request.method != "GET" or expired:
                return b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
            blob = blobs[re.search(r"sha256:[0-9a-f]{64}", request.path)[0]]
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
            start = int(asked[1]) if asked else 0
            stop = min(blob.size, int(asked[2]) + 1) if asked and asked[2] else blob.size
            head = f"HTTP/1.1 {206 if asked else 200} OK\r\nContent-Length: {stop - start}\r\nETag: \"e\"\r\n"
            if asked:
                head += f"Content-Range: bytes {start}-{stop - 1}/{blob.size}\r\n"
            data = blob.data[start:stop]
            return head.encode() + b"\r\n" + (data[: len(data) // 2] if len(data) > 100000 and len(used) < 4 else data)

        storage.fault("*", "", raw=answer)
        return storage

    def test_pitfall_02_signed_urls_get_no_authorization_and_are_not_kept(self):
        content = big()
        storage = self.strict_storage(content)
        registry = self.serve(content, auth="bearer", user=USER, password=PASSWORD)
        count = iter(range(1000))

        def redirect(request):
            return (f"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{storage.host}{request.path}"
                    f"?X-Amz-signature={next(count)}\r\nContent-Length: 0\r\n\r\n").encode()

        registry.fault("GET", "/blobs/", skip=0, raw=redirect)
        self.pull(credentials=self.credentials(registry))
        signatures = [r.path.partition("signature=")[2] for r in storage.requests]
        self.assertEqual(len(signatures), len(set(signatures)), "the registry is asked again, not the signed URL")
        self.assertGreater(len(signatures), 2, "an answer was cut")
        self.assert_no_credential_at(storage)
        self.assert_log_is_silent()
        self.assertNotIn("X-Amz", self.imaged.log)

    def test_pitfall_02_refused_signed_url_is_told_without_its_query(self):
        content = image()
        registry = self.serve(content)
        storage = self.host()
        storage.fault("*", "", status=403, body=b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        registry.blobs_at = f"http://{storage.host}"
        error = self.assert_refused(self.reference, "PERMISSION_DENIED", "denied")
        self.assertNotIn("signature", error.details())

    def moved(self, content):
        """A registry whose tag was pulled before it came to be `content`: it is asked by HEAD."""
        registry = self.serve(image(b"before"))
        self.pull()
        registry.clear()
        registry.repo("a").add(content, "1")
        return registry

    def test_pitfall_02_head_of_a_signed_manifest_is_asked_by_get(self):
        content = image()
        registry, storage = self.moved(content), self.host()
        registry.fault("*", "/manifests/1", status=307, headers={"Location": f"http://{storage.host}/m?signature=1"})
        storage.fault("HEAD", "", status=403)
        storage.fault("GET", "", status=200, body=content.data, headers={"Content-Type": content.media_type})
        self.assertEqual(content.digest, self.pull().manifest_digest)
        self.assertEqual(["HEAD", "GET"], [r.method for r in storage.requests])

    # -- 3

    def test_pitfall_03_accept_names_every_type(self):
        registry = self.moved(image())
        self.pull()
        asked = registry.matching("/manifests/")
        self.assertEqual({"HEAD", "GET"}, {r.method for r in asked})
        for request in asked:
            accept = request.headers["Accept"]
            for media_type in ("oci.image.manifest.v1", "oci.image.index.v1", "distribution.manifest.v2", "manifest.list.v2"):
                self.assertIn(media_type, accept)

    # -- 4

    def test_pitfall_04_head_that_tells_too_little_is_asked_by_get(self):
        content = image()
        other = "sha512:" + "ab" * 64
        plain = f"HTTP/1.1 200 OK\r\nContent-Type: {content.media_type}\r\n"
        length = f"Content-Length: {content.size}\r\n"

        def digest(text):
            return f"Docker-Content-Digest: {text}\r\n"

        cases = {
            "405": "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n",
            "no length": plain + digest(content.digest),
            "no digest": plain + length,
            "no type": "HTTP/1.1 200 OK\r\n" + length + digest(content.digest),
            "another algorithm": plain + length + digest("sha512:" + "ab" * 64),
            "another digest": plain + length + digest(sha256(b"x")),
            "not a digest": plain + length + digest("latest"),
        }
        for name, answer in cases.items():
            with self.subTest(name):
                registry = self.moved(content)
                registry.fault("HEAD", "/manifests/1", raw=answer.encode() + b"\r\n")
                self.assertEqual(content.digest, self.pull().manifest_digest)
                self.assertEqual(1, registry.count("/manifests/1", "HEAD"))
                self.client.PruneImages(all=True)

    def test_pitfall_04_digest_header_is_never_trusted(self):
        content, other = image(), image(b"other")
        registry = self.serve(content)
        registry.repo("a").add(other)
        lie = {"Content-Type": content.media_type, "Docker-Content-Digest": other.digest}
        registry.fault("GET", "/manifests/1", status=200, headers=lie, body=content.data)
        self.assertEqual(content.digest, self.pull().manifest_digest, "the body counts")
        self.client.PruneImages(all=True)
        true = {"Content-Type": content.media_type, "Docker-Content-Digest": content.digest}
        registry.clear()
        registry.fault("GET", "/manifests/", status=200, headers=true, body=other.data)
        self.assert_refused(f"{registry.host}/a@{content.digest}", "DATA_LOSS", "other bytes|digest")

    # -- 6 (the side of it that is about pulling)

    def test_pitfall_06_if_range_that_does_not_match_gives_all_again(self):
        content = big()
        blob = self.layer(content)
        registry = self.serve(content)
        registry.fault("GET", blob.digest, times=1, cut=1 << 20)
        registry.fault("GET", blob.digest, times=1, ranges=False)
        self.pull()
        self.assert_listed(self.reference)

    # -- 8

    def resumed_with(self, answer, times=None):
        """A layer that is cut at 1 MiB; what is asked for after that is answered so."""
        content = big()
        blob = self.layer(content)
        registry = self.serve(content)
        registry.fault("GET", blob.digest, times=1, cut=1 << 20)
        registry.fault("GET", blob.digest, times=times, raw=lambda request: answer(blob, request))
        return registry

    @staticmethod
    def part(blob, start, stop, said=None, headers=""):
        said = said if said is not None else f"Content-Range: bytes {start}-{stop - 1}/{blob.size}\r\n"
        return f"HTTP/1.1 206 Partial Content\r\n{said}{headers}Content-Length: {stop - start}\r\n\r\n".encode() + blob.data[start:stop]

    @staticmethod
    def start_of(request):
        return int(re.match(r"bytes=(\d+)-", request.headers.get("Range", "bytes=0-"))[1])

    def test_pitfall_08_shorter_range_is_asked_on_from_its_end(self):
        step = 300000

        def answer(blob, request):
            start = self.start_of(request)
            return self.part(blob, start, min(start + step, blob.size))

        self.resumed_with(answer)
        self.pull()
        self.assert_listed(self.reference)

    def test_pitfall_08_shifted_range_is_refused(self):
        self.resumed_with(lambda blob, request: self.part(blob, max(0, self.start_of(request) - 5), blob.size))
        self.assert_refused(self.reference, "UNAVAILABLE", "range")

    def test_pitfall_08_range_of_another_total_is_refused(self):
        def answer(blob, request):
            start = self.start_of(request)
            return self.part(blob, start, blob.size, f"Content-Range: bytes {start}-{blob.size - 1}/{blob.size + 1}\r\n")

        self.resumed_with(answer)
        self.assert_refused(self.reference, "UNAVAILABLE", "range|size|bytes")

    def test_pitfall_08_part_without_a_range_is_refused(self):
        self.resumed_with(lambda blob, request: self.part(blob, self.start_of(request), blob.size, ""))
        self.assert_refused(self.reference, "UNAVAILABLE", "range")

    def test_pitfall_08_several_parts_at_once_are_refused(self):
        def answer(blob, request):
            start = self.start_of(request)
            body = (f"--x\r\nContent-Range: bytes {start}-{blob.size - 1}/{blob.size}\r\n\r\n").encode() + blob.data[start:] + b"\r\n--x--\r\n"
            return (f"HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=x\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n").encode() + body

        self.resumed_with(answer)
        self.assert_refused(self.reference, "UNAVAILABLE", "range")

    def test_pitfall_08_range_past_the_end_asks_for_the_whole(self):
        content = big()
        blob = self.layer(content)
        registry = self.serve(content)
        registry.fault("GET", blob.digest, times=1, cut=1 << 20)
        registry.fault("GET", blob.digest, times=1, status=416, headers={"Content-Range": f"bytes */{blob.size}"})
        self.pull()
        self.assert_listed(self.reference)

    def test_pitfall_08_more_bytes_than_the_descriptor_are_refused(self):
        content = image()
        blob = self.layer(content)
        registry = self.serve(content)
        registry.fault("GET", blob.digest, body=blob.data + b"more")
        self.assert_refused(self.reference, "FAILED_PRECONDITION", "size|bytes|longer|more")

    # -- 9

    def test_pitfall_09_401_in_mid_transfer_goes_on_at_the_offset(self):
        content = big()
        blob = self.layer(content)
        registry = self.serve(content, auth="bearer", user=USER, password=PASSWORD)

        def forget(_):
            registry.tokens.clear()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nETag: \"e\"\r\n\r\n" % blob.size + blob.data[: 1 << 20]

        registry.fault("GET", blob.digest, times=1, raw=forget)
        self.pull(credentials=self.credentials(registry))
        self.assertGreaterEqual(registry.count("/token"), 2)
        self.assertLess(registry.sent(blob.digest), blob.size, "what was there is not fetched again")
        for request in registry.matching(blob.digest)[1:]:
            self.assertRegex(request.headers["Range"], r"bytes=[1-9]")

    def test_pitfall_09_private_and_missing_are_not_told_apart(self):
        for status, code in ((401, "UNAUTHORIZED"), (403, "DENIED")):
            with self.subTest(status):
                registry = self.serve(image())
                body = json.dumps({"errors": [{"code": code, "message": "no"}]}).encode()
                registry.fault("*", "/manifests/", status=status, body=body)
                self.assert_refused(self.reference, "PERMISSION_DENIED", "repository does not exist or may require 'docker login'")
        registry = self.serve(image())
        self.assert_refused(f"{registry.host}/none:1", "NOT_FOUND", "not found")
        self.assert_refused(f"{registry.host}/a:none", "NOT_FOUND", "manifest.*not found")

    # -- 10

    def test_pitfall_10_429_of_odd_lines_is_waited_for_and_told(self):
        content = image()
        registry = self.serve(content)
        text = b"You have reached your pull rate limit.\nMore: https://example.com/?a=b\n"
        odd = b"HTTP/1.1 429 Too Many Requests\nContent-Type: text/plain\nRetry-After: 1\nContent-Length: %d\n\n" % len(text) + text
        registry.fault("*", "/manifests/", times=1, raw=odd)
        self.pull()
        self.client.PruneImages(all=True)
        registry.clear()
        registry.fault("*", "/manifests/", raw=odd.replace(b"Retry-After: 1\n", b"Retry-After: 7200\n"))
        error = self.assert_refused(self.reference, "RESOURCE_EXHAUSTED", "pull rate limit.*retry after 7200 s")
        self.assertEqual(7200, details(error)[1])
        self.assertEqual(1, registry.count("/manifests/"), "not asked again before its time")

    def test_pitfall_10_503_with_a_page_is_told_in_one_line(self):
        registry = self.serve(image())
        page = b"<html>\r\n<head><title>503</title></head>\r\n<body>\x1b[31mnginx</body></html>"
        registry.fault("*", "/manifests/", status=503, headers={"Content-Type": "text/html"}, body=page)
        error = self.assert_refused(self.reference, "UNAVAILABLE", "503 Service Unavailable")
        self.assertNotIn("html", error.details())
        self.assertNotIn("\x1b", error.details())

    # -- 11

    def tags_of(self, registry):
        """By ListTags, with credentials."""
        found, token = [], ""
        while True:
            page = self.client.ListTags(repository=f"{registry.host}/a", page_token=token, credentials=self.credentials(registry))
            found += page.tags
            token = page.next_page_token
            if not token:
                return found

    def paged(self, registry, link):
        body = json.dumps({"name": "a", "tags": ["1"]}).encode()
        registry.fault("GET", "/tags/list", status=200, headers={"Content-Type": "application/json", "Link": f'<{link}>; rel="next"'}, body=body)

    def test_pitfall_11_pages_that_loop_end(self):
        registry = self.serve(image())
        self.paged(registry, "/v2/a/tags/list?n=1&last=1")
        with self.assertRaises(grpc.RpcError) as caught:
            self.tags_of(registry)
        self.assertRegex(caught.exception.details(), "circle|again|pages|next")
        self.assertLess(registry.count("/tags/list"), 200)

    def test_pitfall_11_pages_on_another_host_are_not_asked_for(self):
        registry, other = self.serve(image(), auth="bearer", user=USER, password=PASSWORD), self.host()
        self.paged(registry, f"http://{other.host}/v2/a/tags/list?last=1")
        with self.assertRaises(grpc.RpcError) as caught:
            self.tags_of(registry)
        self.assertRegex(caught.exception.details(), "host")
        self.assertEqual([], other.requests)
        self.assert_log_is_silent()

    # -- 12

    def test_pitfall_12_docker_hub_is_asked_where_it_is(self):
        pki = Authority(self.path("pki"))
        content = image()
        registry = self.host(cert=pki.issue("registry-1.docker.io", "auth.docker.io"), auth="bearer", realm="https://auth.docker.io/token")
        registry.repo("library/busybox").add(content, "latest")
        proxy = self.proxy({"registry-1.docker.io:443": registry.host, "auth.docker.io:443": registry.host})
        daemon = self.daemon("--insecure-registry", "registry-1.docker.io", "--insecure-registry", "auth.docker.io:443", name="hub",
                             env={"https_proxy": proxy.url})
        client = daemon.client()
        for name in ("busybox", "docker.io/busybox", "index.docker.io/library/busybox", "docker.io/library/busybox:latest"):
            with self.subTest(name):
                client.pull(name)
        self.assertEqual({"registry-1.docker.io:443", "auth.docker.io:443"}, set(proxy.targets("CONNECT")))
        self.assertEqual({"library/busybox"}, {r.path.split("/manifests/")[0][4:] for r in registry.matching("/manifests/")})
        self.assertEqual(["docker.io/library/busybox:latest"], sorted(n for i in client.images() for n in i.repo_tags))

    def test_pitfall_12_host_in_upper_case_is_the_same(self):
        content = image()
        wanted = self.serve(content, auth="basic", user=USER, password=PASSWORD)
        upper = f"LOCALHOST:{wanted.port}"
        self.client.pull(f"{upper}/a:1", credentials={**self.credentials(wanted), "server_address": upper.lower()})
        self.assert_listed(f"{upper}/a:1")
        self.assertEqual({upper.lower()}, {r.headers["Host"] for r in wanted.requests})
        home = {"DOCKER_CONFIG": self.path("config"), "HOME": self.path("home")}
        os.makedirs(home["DOCKER_CONFIG"])
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        with open(self.path("config", "config.json"), "w", encoding="ascii") as file:
            json.dump({"auths": {upper.lower(): {"auth": auth}}}, file)
        self.imaged.ctl("pull", f"{upper}/a:1", env=home)

    def test_pitfall_12_port_that_goes_without_saying(self):
        """Credentials of HOST are those of HOST:443; the name is not resolved before that."""
        daemon = self.daemon(name="proxied", env={"https_proxy": (proxy := self.proxy({})).url})
        for server in ("registry.example", "registry.example:443", "https://registry.example/v1/", "registry.example:5000"):
            with self.assertRaises(grpc.RpcError):
                daemon.client().CheckAuth(server_address=server, credentials={"username": USER, "password": PASSWORD})
        self.assertEqual({"registry.example:443", "registry.example:5000"}, set(proxy.targets()))

    def test_pitfall_12_ipv6_literals(self):
        try:
            registry = self.serve(image(), address="::1", auth="bearer")
        except OSError:
            self.skipTest("this machine has no IPv6")
        self.pull()
        self.assert_listed(self.reference)
        self.assertRegex(self.reference, r"^\[::1\]:")
        self.assertEqual(f"[::1]:{registry.port}", registry.requests[0].headers["Host"])

    # -- 13

    def test_pitfall_13_digest_wins_over_the_tag(self):
        wanted, tagged = image(b"wanted"), image(b"tagged")
        registry = self.serve(tagged)
        registry.repo("a").add(wanted)
        done = self.pull(f"{registry.host}/a:1@{wanted.digest}")
        self.assertEqual(wanted.digest, done.manifest_digest)
        self.assertEqual(0, registry.count("/manifests/1"), "the tag is not asked for")
        self.assertEqual([], [n for i in self.client.images() for n in i.repo_tags], "and nothing proves it")

    def test_pitfall_13_tag_does_not_stand_in_for_a_digest(self):
        registry = self.serve(image())
        self.assert_refused(f"{registry.host}/a:1@{sha256(b'other')}", "NOT_FOUND", "not found")

    # -- 14

    def test_pitfall_14_index_in_an_index(self):
        content = image()
        platform = {"os": "linux", "architecture": "amd64"}
        inner = Index([(content, platform)])
        self.serve(Index([(inner, None)]))
        self.pull(platform="linux/amd64")
        self.assert_listed(self.reference)

    def test_pitfall_14_child_that_is_missing(self):
        content = image()
        registry = self.serve(Index([(content, {"os": "linux", "architecture": "amd64"})]))
        del registry.repo("a").manifests[content.digest]
        self.assert_refused(self.reference, "NOT_FOUND", "manifest.*not found", platform="linux/amd64")

    def test_pitfall_14_layers_that_are_odd_but_right(self):
        base = tar({"a": b"1"})
        same = Layer(base)
        empty = Layer(tar({}))
        members = Layer(base + b"", members=3)
        skippable = struct.pack("<II", 0x184D2A50, 4) + b"skip"
        framed = Layer(blob=Blob(skippable + compress(base, "zstd") + skippable), diff_id=sha256(base))
        framed.how = "zstd"
        for name, layers in {"twice": [same, same], "empty": [empty], "members": [members], "skippable": [framed]}.items():
            with self.subTest(name):
                self.serve(Image(layers), tag=name)
                self.pull()
                self.assert_listed(self.reference)
                self.client.PruneImages(all=True)

    def test_pitfall_14_layer_without_a_byte(self):
        nothing = Blob(b"")
        self.serve(Image([Layer(tar({"a": b"1"})), Layer(blob=nothing, diff_id=sha256(b""))]))
        self.pull()
        self.assert_listed(self.reference)

    def test_pitfall_14_gzip_with_garbage_behind_is_refused(self):
        data = tar({"a": b"1"})
        self.serve(Image([Layer(blob=Blob(gzip.compress(data, mtime=0) + b"garbage"), diff_id=sha256(data))]))
        self.assert_refused(self.reference, "FAILED_PRECONDITION", "gzip|garbage|trailing|header")

    # -- 15

    def test_pitfall_15_http_1_0(self):
        content = image()
        registry = self.serve(content)
        by_digest = {blob.digest: blob.data for blob in content.blobs}

        def old(request):
            if request.path == "/v2/":
                return b"HTTP/1.0 200 OK\r\n\r\n{}"
            last = request.path.rsplit("/", 1)[-1]
            body = by_digest.get(last, content.data)
            head = f"HTTP/1.0 200 OK\r\nContent-Type: {content.media_type}\r\n\r\n".encode()
            return head + (b"" if request.method == "HEAD" else body)

        registry.fault("*", "", raw=old)
        self.assertEqual(content.digest, self.pull().manifest_digest)

    def test_pitfall_15_chunks_without_a_length(self):
        content = image()
        registry = self.serve(content)
        by_digest = {blob.digest: blob.data for blob in content.blobs}

        def chunked(request):
            body = by_digest[request.path.rsplit("/", 1)[-1]]
            pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
            text = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + text + b"0\r\n\r\n"

        registry.fault("GET", "/blobs/", raw=chunked)
        self.pull()
        self.assert_listed(self.reference)

    def test_pitfall_15_chunks_that_break_off_are_not_the_end(self):
        content = image()
        blob = self.layer(content)
        registry = self.serve(content)
        broken = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (10, blob.data[:10])
        registry.fault("GET", blob.digest, times=1, raw=broken)
        self.pull()
        self.assert_listed(self.reference)

    def test_pitfall_15_connection_that_was_used_tells_nothing_of_whom(self):
        registry = self.serve(image(), auth="basic", user=USER, password=PASSWORD)
        self.pull(credentials=self.credentials(registry))
        self.client.PruneImages(all=True)
        seen = len(registry.requests)
        self.assert_refused(self.reference, "UNAUTHENTICATED", '^Head "http.*": no basic auth credentials$')
        for request in registry.requests[seen:]:
            self.assertNotIn("Authorization", request.headers)
