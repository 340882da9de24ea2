"""What a registry says of its limit is passed on, and honoured before it is used up."""

from fakeregistry import FakeRegistry
from harness import TestCase
from ociimage import Image, Layer, tar


class RateLimit(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.image = Image([Layer(tar({"a": b"a"}))])
        self.registry.repo("a").add(self.image, "1")
        self.registry.repo("a").add(self.image, "2")
        self.reference = f"{self.registry.host}/a:1"
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def left(self, remaining, limit=100):
        self.registry.headers = {
            "RateLimit-Limit": f"{limit};w=21600",
            "RateLimit-Remaining": f"{remaining};w=21600",
            "Docker-RateLimit-Source": "192.0.2.7",
        }

    def test_result_tells_limit_and_host(self):
        self.left(76)
        done, _ = self.client.pull(self.reference)
        rate = done.rate_limit
        self.assertEqual((100, 76, 21600, "192.0.2.7"), (rate.limit, rate.remaining, rate.window_seconds, rate.source))
        self.assertEqual(self.registry.host, done.host)

    def test_result_tells_nothing_where_nothing_was_said(self):
        done, _ = self.client.pull(self.reference)
        self.assertFalse(done.HasField("rate_limit"))
        self.assertEqual(self.registry.host, done.host)

    def test_nonsense_is_no_limit(self):
        self.registry.headers = {"RateLimit-Limit": "many", "RateLimit-Remaining": "-1;w=x"}
        done, _ = self.client.pull(self.reference)
        self.assertFalse(done.HasField("rate_limit"))

    def test_command_warns_only_when_few_are_left(self):
        self.left(11)
        self.assertEqual("", self.imaged.ctl("pull", self.reference).stderr)
        self.left(10)
        said = self.imaged.ctl("pull", self.reference).stderr
        self.assertEqual(f"WARNING: 10 of 100 pulls are left at {self.registry.host} within 6 hours\n", said)
        self.assertEqual("", self.imaged.ctl("pull", "-q", self.reference).stderr)

    def manifests(self, method):
        return self.registry.count("/manifests/", method)

    def test_new_name_of_a_known_image_costs_no_get_when_few_are_left(self):
        self.left(3)
        self.client.pull(self.reference)
        before = self.manifests("GET")
        self.client.pull(f"{self.registry.host}/a:2")
        self.assertEqual(before, self.manifests("GET"))
        self.assertEqual(1, self.manifests("HEAD"))
        self.assert_clean(self.client, [self.reference, f"{self.registry.host}/a:2"])

    def test_new_name_is_fetched_at_once_when_many_are_left(self):
        self.left(50)
        self.client.pull(self.reference)
        self.client.pull(f"{self.registry.host}/a:2")
        self.assertEqual((2, 0), (self.manifests("GET"), self.manifests("HEAD")))

    def test_new_image_is_pulled_all_the_same_when_few_are_left(self):
        self.left(1)
        self.client.pull(self.reference)
        self.registry.repo("a").add(Image([Layer(tar({"b": b"b"}))]), "3")
        self.client.pull(f"{self.registry.host}/a:3")
        self.assertEqual(2, len(self.client.images()))

    def test_refusal_without_a_time_is_final_when_nothing_is_left(self):
        self.left(0)
        self.registry.fault("GET", "/manifests/", status=429, body=b'{"errors":[{"code":"TOOMANYREQUESTS","message":"limit"}]}')
        self.assert_rpc_fails("RESOURCE_EXHAUSTED", "RATE_LIMITED", self.client.Pull, reference=self.reference)
        self.assertEqual(1, self.manifests("GET"))

    def test_refusal_with_a_time_is_waited_out(self):
        self.left(0)
        self.registry.fault("GET", "/manifests/", times=1, status=429, headers={"Retry-After": "1"})
        self.client.pull(self.reference)
        self.assertEqual(2, self.manifests("GET"))
