"""Search: who is asked, what is believed, what is printed."""

import json
import os
import subprocess
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

from fakelists import absolute, catalog, index, query_only, relative, result
from fakeregistry import FakeRegistry
from harness import DockerRegistry, TestCase, free_port, program
from ociimage import Image, Layer, Repo, push, tar
from rpc import reason

INDEX, HUB_API, CATALOG = 1, 2, 3
QUESTIONS_MAX, MORE = 24, 6

BUSYBOX = [
    result("busybox", "Busybox base image.", 3243, official=True),
    result("rancher/busybox"),
    result("chainguard/busybox", "Build, ship and run secure software with Chainguard's low-to-zero CVE images", 0),
    result("radial/busyboxplus", "Full-chain, Internet enabled", 56, automated=True),
    result("yauritux/busybox-curl", "Busybox with CURL", 25),
]


class Search(TestCase):
    def registry(self, **options):
        registry = FakeRegistry(**options).__enter__()
        self.addCleanup(registry.stop)
        return registry

    def with_hub(self):
        """A daemon whose Docker Hub is here."""
        self.hub = self.registry()
        self.imaged = self.daemon("--search-index", f"http://{self.hub.host}", "--hub-url", f"http://{self.hub.host}/")
        self.client = self.imaged.client()

    def plain(self):
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    # -- Docker Hub

    def test_the_index_of_docker_hub_is_asked_without_credentials(self):
        self.with_hub()
        index(self.hub, BUSYBOX)
        found = self.client.Search(term="busybox", credentials={"username": "me", "password": "secret"})
        self.assertEqual([r["name"] for r in BUSYBOX], [r.name for r in found.results])
        self.assertEqual((INDEX, self.hub.host, ""), (found.source, found.host, found.warning))
        self.assertEqual(
            (3243, True, "Busybox base image."),
            (found.results[0].star_count, found.results[0].official, found.results[0].description),
        )
        self.assertEqual(["/v1/search?q=busybox&n=25"], [r.path for r in self.hub.requests])
        self.assertIsNone(self.hub.requests[0].headers.get("Authorization"))

    def test_library_is_no_part_of_a_word(self):
        self.with_hub()
        index(self.hub, [])
        self.client.Search(term="library/busy box&n=99", limit=3)
        self.client.Search(term="docker.io/busybox")
        self.assertEqual(
            ["/v1/search?q=busy%20box%26n%3D99&n=3", "/v1/search?q=busybox&n=25"], [r.path for r in self.hub.requests]
        )

    def test_a_redirect_of_the_index_is_followed_and_nothing_goes_along(self):
        self.with_hub()
        elsewhere = self.registry()
        index(elsewhere, BUSYBOX)
        self.hub.fault("GET", "/v1/search", status=302, headers={"Location": f"http://{elsewhere.host}/v1/search?q=x"})
        self.assertEqual(5, len(self.client.Search(term="busybox").results))
        self.assertEqual(1, elsewhere.count("/v1/search"))

    def test_redirects_in_a_circle_end(self):
        self.with_hub()
        self.hub.fault("GET", "/v1/search", status=302, headers={"Location": "/v1/search?q=x"})
        self.assert_rpc_fails("UNAVAILABLE", "REGISTRY_UNAVAILABLE", self.client.Search, term="a", text="redirects")

    def test_the_index_is_tried_again_when_it_is_down_for_a_moment(self):
        self.with_hub()
        index(self.hub, BUSYBOX)
        self.hub.fault("GET", "/v1/search", times=1, status=503)
        self.assertEqual(5, len(self.client.Search(term="busybox").results))

    def test_a_rate_limit_is_said(self):
        self.with_hub()
        self.hub.fault("GET", "/v1/search", status=429, headers={"Retry-After": "900"})
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "RATE_LIMITED", self.client.Search, term="a")

    # -- the newer API

    def test_the_newer_api_is_asked_when_it_is_wanted(self):
        self.with_hub()
        index(self.hub, [])
        answer = {
            "total": 3,
            "results": [
                {"slug": "busybox", "name": "BusyBox", "short_description": "Tiny", "star_count": 3243,
                 "source": "store", "rate_plans": [{"repositories": [{"pull_count": "1B+"}]}]},
                {"name": "library/redis", "description": "A store", "badges": ["official"], "pull_count": 7},
                {"slug": "bitnami/redis", "star_count": "1.5K", "pull_count": "12"},
                {"slug": "no name\u001b[2J"}, {"nothing": 1}, "text", None,
            ],
        }  # fmt: skip
        self.hub.route("/api/search/v4", lambda query, _: (200, {}, json.dumps(answer).encode()))
        found = self.client.Search(term="redis", hub_api=True, limit=40)
        self.assertEqual(HUB_API, found.source)
        self.assertEqual(
            [("busybox", "Tiny", 3243, True, 10**9), ("redis", "A store", 0, True, 7), ("bitnami/redis", "", 1500, False, 12)],
            [(r.name, r.description, r.star_count, r.official, r.pull_count) for r in found.results],
        )
        self.assertEqual(["/api/search/v4?query=redis&from=0&size=40"], [r.path for r in self.hub.requests])

    def test_version_3_of_the_api_is_asked_where_there_is_no_version_4(self):
        for status, body in ((404, b""), (410, b"gone"), (200, b"<html>"), (200, b'{"results": 5}')):
            with self.subTest(status=status, body=body):
                self.with_hub()
                self.hub.route("/api/search/v4", lambda *_, s=status, b=body: (s, {}, b))
                self.hub.route(
                    "/api/search/v3/catalog/search", lambda *_: (200, {}, b'{"summaries":[{"name":"redis"}]}')
                )
                found = self.client.Search(term="redis", hub_api=True)
                self.assertEqual((HUB_API, ["redis"]), (found.source, [r.name for r in found.results]))
                self.assertEqual("v3", self.hub.matching("/v3/")[0].headers.get("Search-Version"))
                self.imaged.stop()

    # -- another registry

    def test_a_registry_with_an_index(self):
        self.plain()
        registry = self.registry()
        index(registry, BUSYBOX)
        found = self.client.Search(term=f"{registry.host}/team/busybox", limit=2)
        self.assertEqual((INDEX, registry.host, 2), (found.source, found.host, len(found.results)))
        self.assertEqual(1, registry.count(r"/v1/search\?q=team%2Fbusybox&n=2"))
        self.assertEqual(0, registry.count("_catalog"))

    def test_credentials_go_to_an_index_that_asks_for_them(self):
        self.plain()
        for auth in ("basic", "bearer"):
            with self.subTest(auth=auth):
                registry = self.registry(auth=auth, user="u", password="p")
                catalog(registry, ["a/busybox"])
                found = self.client.Search(
                    term=f"{registry.host}/busybox",
                    credentials={"server_address": registry.host, "username": "u", "password": "p"},
                )
                self.assertEqual((CATALOG, ["a/busybox"]), (found.source, [r.name for r in found.results]))
                if auth == "bearer":
                    self.assertEqual(1, registry.count("/token.*registry%3Acatalog%3A%2A"))

    def test_an_index_that_is_open_gets_no_token(self):
        """The registry beside it wants one, of which the index may know nothing."""
        self.plain()
        registry = self.registry(auth="bearer", user="u", password="p")
        registry.fault("GET", "/v1/search", status=200, body=json.dumps({"results": BUSYBOX}).encode())
        found = self.client.Search(term=f"{registry.host}/a", credentials={"username": "u", "password": "p"})
        self.assertEqual((INDEX, 5), (found.source, len(found.results)))
        self.assertIsNone(registry.matching("/v1/search")[0].headers.get("Authorization"))
        self.assertEqual(0, registry.count("/token"))

    def test_wrong_credentials_are_said(self):
        self.plain()
        registry = self.registry(auth="basic", user="u", password="p")
        self.assert_rpc_fails("UNAUTHENTICATED", None, self.client.Search, term=f"{registry.host}/a")

    def test_a_registry_without_an_index_is_searched_by_its_catalog(self):
        self.plain()
        names = ["a/busyboxes", "busybox", "deep/er/busybox", "other", "x/BUSY", "z/busybox"]
        for link in (relative, query_only, absolute):
            with self.subTest(link=link.__name__):
                registry = self.registry()
                names[4] = "x/my-busybox.old"
                catalog(registry, names, link=link)
                found = self.client.Search(term=f"{registry.host}/BusyBox")
                self.assertEqual(CATALOG, found.source)
                self.assertEqual(
                    ["busybox", "deep/er/busybox", "z/busybox", "a/busyboxes", "x/my-busybox.old"],
                    [r.name for r in found.results],
                    "full matches first",
                )
                self.assertEqual(3, registry.count("/v2/_catalog"))

    def test_a_page_where_an_index_should_be_is_no_index(self):
        """Front ends answer whatever they do not know with their start page."""
        self.plain()
        registry = self.registry()
        registry.fault("GET", "/v1/search", status=200, headers={"Content-Type": "text/html"}, body=b"<html>hello</html>")
        catalog(registry, ["a/busybox"])
        self.assertEqual(CATALOG, self.client.Search(term=f"{registry.host}/busybox").source)

    def test_neither_index_nor_catalog(self):
        self.plain()
        for catalog_status, code in ((404, "UNKNOWN"), (405, "UNKNOWN"), (403, "PERMISSION_DENIED")):
            with self.subTest(catalog=catalog_status):
                registry = self.registry()
                registry.fault("GET", "/v2/_catalog", status=catalog_status)
                self.assert_rpc_fails(
                    code, None, self.client.Search, term=f"{registry.host}/a", text="Unexpected status code 404"
                )

    def test_an_index_that_fails_is_not_replaced_by_the_catalog(self):
        self.plain()
        registry = self.registry()
        catalog(registry, ["a/a"])
        registry.fault("GET", "/v1/search", status=500)
        self.assert_rpc_fails(
            "UNAVAILABLE", None, self.client.Search, term=f"{registry.host}/a", text="^Unexpected status code 500$"
        )
        self.assertEqual(0, registry.count("_catalog"))

    def test_a_registry_that_is_down(self):
        self.plain()
        host = f"127.0.0.1:{free_port()}"
        refused = f"dial tcp {host}: connect: connection refused"
        error = self.assert_rpc_fails("UNAVAILABLE", "REGISTRY_UNAVAILABLE", self.client.Search, term=f"{host}/a")
        self.assertEqual(
            f'invalid registry endpoint "http://{host}/v1/". HTTPS attempt: Get "https://{host}/v1/_ping": {refused}. '
            f'HTTP attempt: Get "http://{host}/v1/_ping": {refused}',
            error.details(),
        )

    # -- registries that lie

    def test_pages_in_a_circle_end(self):
        self.plain()
        registry = self.registry()
        body = b'{"repositories":["a/busybox"]}'

        def respond(query, _):
            at = int(query.get("p", ["0"])[0])
            return 200, {"Link": f'</v2/_catalog?p={(at + 1) % 7}>; rel="next"'}, body

        registry.route("/v2/_catalog", respond)
        self.assert_rpc_fails(
            "UNAVAILABLE", "REGISTRY_UNAVAILABLE", self.client.Search, term=f"{registry.host}/busybox", text="circle"
        )
        self.assertLess(registry.count("_catalog"), 24)

    def test_pages_that_never_end_are_cut_and_it_is_said(self):
        self.plain()
        registry = self.registry()

        def respond(query, _):
            at = int(query.get("p", ["0"])[0])
            return 200, {"Link": f'<?p={at + 1}>; rel="next"'}, b'{"repositories":["a/busybox"]}'

        registry.route("/v2/_catalog", respond)
        found = self.client.Search(term=f"{registry.host}/busybox", limit=100)
        self.assertEqual(100, len(found.results))
        self.assertIn("there may be more", found.warning)
        self.assertLess(registry.count("_catalog"), 2010)

    def test_a_next_page_on_another_host_is_refused(self):
        self.plain()
        other = self.registry()
        for target in (f"http://{other.host}/v2/_catalog?n=1", f"//{other.host}/x?n=1", "file:///etc/passwd?n=1"):
            with self.subTest(target=target):
                registry = self.registry(auth="basic", user="u", password="p")
                catalog(registry, ["a", "b", "c"], link=lambda *_, t=target: f'<{t}>; rel="next"')
                self.assert_rpc_fails(
                    "UNAVAILABLE",
                    "REGISTRY_UNAVAILABLE",
                    self.client.Search,
                    term=f"{registry.host}/a",
                    credentials={"username": "u", "password": "p"},
                    text="next page",
                )
        self.assertEqual([], other.requests)

    def test_a_next_page_of_another_path_is_a_page_of_the_list(self):
        self.plain()
        registry = self.registry()
        catalog(registry, ["a/x", "b", "x"], link=lambda _r, _p, last: f'</admin/delete?last={last}>; rel="next"')
        self.assertEqual(["x", "a/x"], [r.name for r in self.client.Search(term=f"{registry.host}/x").results])
        self.assertEqual(0, registry.count("/admin"))

    def test_names_that_are_none_are_passed_over(self):
        self.plain()
        registry = self.registry()
        catalog(registry, ["a/x", "../x", "X", "x\u001b]0;evil\u0007", "a//x", "x" * 300], page=100)
        self.assertEqual(["a/x"], [r.name for r in self.client.Search(term=f"{registry.host}/x").results])

    def test_answers_that_are_no_catalog(self):
        self.plain()
        bodies = [b"", b"[]", b'{"repositories":5}', b'{"repositories":[5]}', b'{"repositories":["a"', b"[" * 100000]
        for body in bodies:
            with self.subTest(body=body[:30]):
                registry = self.registry()
                registry.route("/v2/_catalog", lambda *_, b=body: (200, {}, b))
                self.assert_rpc_fails(
                    "FAILED_PRECONDITION", "INVALID_CONTENT", self.client.Search, term=f"{registry.host}/a"
                )

    def test_descriptions_are_cleaned(self):
        self.with_hub()
        index(self.hub, [result("a", "one\ntwo\tthree\u001b[31m\u202eevil\u0085"), result("b\u001b[2J"), result("")])
        found = self.client.Search(term="a")
        self.assertEqual([("a", "one\ntwo\tthree?[31m???evil??")], [(r.name, r.description) for r in found.results])

    def test_more_results_than_asked_for_are_cut(self):
        self.with_hub()
        many = {"results": [result(f"a{i}") for i in range(500)]}
        self.hub.route("/v1/search", lambda *_: (200, {}, json.dumps(many).encode()))
        self.assertEqual(7, len(self.client.Search(term="a", limit=7).results))

    def test_an_answer_that_is_too_long_is_refused(self):
        self.with_hub()
        self.hub.route("/v1/search", lambda *_: (200, {}, b'{"results":[]}' + b" " * (5 << 20)))
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", self.client.Search, term="a")

    def test_warnings_of_the_registry_are_shown(self):
        self.plain()
        registry = self.registry()
        index(registry, BUSYBOX, headers={"Warning": '299 - "going \\"away\\" \u00e9 soon"'})
        found = self.client.Search(term=f"{registry.host}/busybox")
        self.assertRegex(found.warning, '^going "away" .* soon$')
        shown = self.imaged.ctl("search", f"{registry.host}/busybox")
        self.assertIn('WARNING: going "away"', shown.stderr)

    def test_registries_that_never_answer_do_not_hold_up_the_service(self):
        self.with_hub()
        index(self.hub, BUSYBOX)
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.hub.fault("GET", "/v1/search", gate=gate)
        with ThreadPoolExecutor(QUESTIONS_MAX + MORE) as pool:
            calls = [pool.submit(self.client.Search, term="busybox") for _ in range(QUESTIONS_MAX + MORE)]
            self.wait_until(lambda: sum(call.done() for call in calls) == MORE, "what is too much is refused at once")
            refused = [call.exception() for call in calls if call.done()]
            self.assertEqual({"SERVICE_BUSY"}, {reason(error) for error in refused})
            self.assertEqual([], self.client.images())
            gate.set()
            found = [call.result() for call in calls if call.exception() not in refused]
            self.assertEqual([5] * QUESTIONS_MAX, [len(answer.results) for answer in found])

    # -- filters

    def test_filters(self):
        self.with_hub()
        index(self.hub, BUSYBOX)

        def names(**fields):
            return [r.name for r in self.client.Search(term="busybox", **fields).results]

        self.assertEqual(["busybox", "radial/busyboxplus", "yauritux/busybox-curl"], names(min_stars=25))
        self.assertEqual(["busybox"], names(official="CHOICE_YES", min_stars=3))
        self.assertEqual(["radial/busyboxplus"], names(official="CHOICE_NO", min_stars=26))
        self.assertEqual(["radial/busyboxplus"], names(automated="CHOICE_YES"))
        self.assertEqual(4, len(names(automated="CHOICE_NO")))
        self.assertEqual([], names(limit=3, automated="CHOICE_YES"), "filters look at what the index gave")

    def test_limits(self):
        self.with_hub()
        for limit in (-1, 101):
            self.assert_rpc_fails(
                "INVALID_ARGUMENT", "INVALID_ARGUMENT", self.client.Search, term="a", limit=limit, text=r"outside the range of \[1, 100\]"
            )
        self.assertEqual([], self.hub.requests)

    def test_terms_that_are_none(self):
        self.with_hub()
        self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_REFERENCE", self.client.Search, term="http://x/a", text="scheme")
        self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_ARGUMENT", self.client.Search, term="a" * 600)
        self.assert_rpc_fails("INVALID_ARGUMENT", "INVALID_REFERENCE", self.client.Search, term="a b.c/x")
        self.assertEqual([], self.hub.requests)

    # -- imagectl

    def test_imagectl_prints_as_docker_does(self):
        self.with_hub()
        index(self.hub, BUSYBOX)
        ctl = self.imaged.ctl
        self.assertEqual(
            "NAME                 DESCRIPTION                                     STARS     OFFICIAL\n"
            "busybox              Busybox base image.                             3243      [OK]\n"
            "rancher/busybox                                                      0         \n"
            "chainguard/busybox   Build, ship and run secure software with Cha…   0         \n",
            ctl("search", "--limit", "3", "busybox", env={"LC_ALL": "C.UTF-8"}).stdout,
        )
        self.assertEqual(
            '{"Description":"Busybox base image.","IsOfficial":"true","Name":"busybox","StarCount":"3243"}\n',
            ctl("search", "--limit", "1", "--format", "json", "busybox").stdout,
        )
        self.assertEqual(
            "busybox: 3243 [OK]\nrancher/busybox: 0 \n",
            ctl("search", "--limit", "2", "--format", "{{.Name}}: {{.StarCount}} {{.IsOfficial}}", "busybox").stdout,
        )
        self.assertIn(BUSYBOX[2]["description"], ctl("search", "--no-trunc", "busybox").stdout)

    def test_imagectl_filters_have_dockers_words(self):
        self.with_hub()
        index(self.hub, BUSYBOX)
        ctl = self.imaged.ctl
        for filter, words in (
            ("stars=many", """invalid filter 'stars=many': strconv.Atoi: parsing "many": invalid syntax"""),
            ("is-official=maybe", "invalid filter 'is-official=[maybe]'"),
            ("foo=bar", "invalid filter 'foo'"),
        ):
            failed = ctl("search", "-f", filter, "busybox", check=False)
            self.assertEqual((1, f"Error response from daemon: {words}\n"), (failed.returncode, failed.stderr))
        shown = ctl("search", "-f", " Stars = 3", "-f", "stars=50", "-f", "is-automated=1", "--format", "{{.Name}}", "busybox")
        self.assertEqual("radial/busyboxplus\n", shown.stdout)
        self.assertIn('the "is-automated" filter is deprecated', shown.stderr)
        self.assertEqual(1, ctl("search", "--limit", "101", "a", check=False).returncode)
        self.assertEqual(0, ctl("search", "--limit", "-1", "a").returncode)

    def test_docker_knows_no_catalog(self):
        self.plain()
        registry = self.registry()
        catalog(registry, ["a/busybox"])
        self.assertIn("a/busybox", self.imaged.ctl("search", f"{registry.host}/busybox").stdout)
        asked = self.imaged.ctl("search", f"{registry.host}/busybox", name="docker", check=False)
        self.assertEqual((1, ""), (asked.returncode, asked.stdout))
        self.assertEqual("Error response from daemon: Unexpected status code 404\n", asked.stderr)

    def test_called_docker_it_helps_as_docker(self):
        os.symlink(program("imagectl"), self.path("docker"))

        def help_of(name, *command):
            done = subprocess.run([name, *command, "--help"], stdout=subprocess.PIPE, text=True, timeout=60, check=True)
            return done.stdout

        for command, own in (
            (["search"], "--hub-api"),
            (["image"], "tags "),
            (["image"], "referrers "),
            (["system"], "explain-host "),
            (["system"], "transfers "),
            ([], "copy "),
        ):
            self.assertIn(own, help_of(program("imagectl"), *command))
            self.assertNotIn(own, help_of(self.path("docker"), *command))

    # -- a real registry

    def test_the_catalog_of_docker_registry(self):
        self.plain()
        registry = DockerRegistry(self.path("registry"))
        self.addCleanup(registry.stop)
        repo = Repo()
        repo.add(Image([Layer(tar({"a": b"1"}))]), "1")
        for name in ("team/busybox", "busybox", "my-busybox", "other"):
            push(repo, registry.host, name)
        found = self.client.Search(term=f"{registry.host}/busybox")
        self.assertEqual(CATALOG, found.source)
        self.assertEqual(["busybox", "team/busybox", "my-busybox"], [r.name for r in found.results])


if __name__ == "__main__":
    unittest.main()
