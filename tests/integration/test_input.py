"""Bad input: each line gets one clear message, the right code, and changes nothing."""

import os
import subprocess

from fakeregistry import FakeRegistry
from harness import Daemon, TestCase, free_port, program
from ociimage import Image, Layer, tar

REFERENCES = {
    "": "reference|name",
    "a/UPPER": "lower",
    "a b": "invalid reference format",
    "a:": "invalid reference format",
    "a@sha256:abc": "invalid|digest",
    "a@sha256:" + "g" * 64: "invalid|digest",
    "a@md5:" + "a" * 32: "digest",
    "../etc/passwd": "invalid reference format",
    "a//b": "invalid reference format",
    "http://registry.example/a": "invalid reference format",
    "a" * 300: "255|long",
    "0" * 64: "64",
    "a:" + "t" * 129: "invalid reference format",
    "-a": "invalid reference format|flag",
    "a\nb": "invalid reference format",
    "a\x1b[31m": "invalid reference format",
}

# imagectl arguments, exit status, what stderr must say
COMMANDS = [
    (["nosuch"], 1, "unknown command: imagectl nosuch"),
    (["images", "--nope"], 125, "unknown flag: --nope"),
    (["images", "-z"], 125, "unknown shorthand flag: 'z' in -z"),
    (["images", "a", "b"], 1, "requires at most 1 argument"),
    (["images", "--format"], 125, "flag needs an argument: --format"),
    (["images", "--format", "{{.Nope"], 1, "template parsing error"),
    (["images", "--filter", "nonsense"], 125, "bad format of filter"),
    (["images", "--filter", "nosuch=1"], 1, "nvalid filter 'nosuch'"),
    (["images", "--filter", "dangling=perhaps"], 1, "nvalid filter 'dangling="),
    (["pull"], 1, "requires 1 argument"),
    (["pull", "a", "b"], 1, "requires 1 argument"),
    (["pull", "--platform", "linux/amd64/v1/more", "a"], 1, "platform"),
    (["pull", "--platform", "LINUX AMD", "a"], 1, "platform"),
    (["inspect"], 1, "requires at least 1 argument"),
    (["inspect", "nosuch"], 1, "[Nn]o such (image|object): nosuch"),
    (["inspect", "--format", "{{", "nosuch"], 64, "template parsing error"),
    (["history", "nosuch"], 1, "No such image: nosuch:latest"),
    (["tag", "nosuch", "x"], 1, "No such image: nosuch:latest"),
    (["tag", "kept", "UPPER"], 1, "lowercase"),
    (["tag", "kept", "a@sha256:" + "0" * 64], 1, "digest"),
    (["tag", "kept"], 1, "requires 2 arguments"),
    (["rmi"], 1, "requires at least 1 argument"),
    (["rmi", "nosuch"], 1, "No such image: nosuch:latest"),
    (["image", "prune", "-f", "--filter", "until=yesterday"], 1, "until|yesterday"),
    (["image", "nosuch"], 1, "unknown command: imagectl image nosuch"),
    (["-H", "foo://x", "images"], 1, "foo://x"),
    (["--tlsverify", "--tlscacert", "/nowhere.pem", "-H", "tcp://127.0.0.1:1", "images"], 1, "/nowhere.pem"),
    (["--tlscert", "/nowhere.pem", "-H", "tcp://127.0.0.1:1", "images"], 1, "tlskey|/nowhere.pem|certificate"),
    (["login", "-u", "x", "--password-stdin", "127.0.0.1:1"], 1, "127.0.0.1:1"),
]

# imaged arguments, what it must say
DAEMON = [
    (["--nope"], "unknown flag: --nope"),
    (["--root"], "root"),
    (["--listen", "nonsense"], "nonsense"),
    (["--listen", "tcp://127.0.0.1"], "127.0.0.1"),
    (["--listen", "tcp://127.0.0.1:99999"], "99999"),
    (["--listen", "unix://relative"], "relative"),
    (["--listen", "unix:///" + "x" * 200], "long|xxxx"),
    (["--listen", "unix:///dev/null/at/all/sock"], "/dev/null/at"),
    (["--tls-cert", "/nowhere.pem"], "tls-key|/nowhere.pem"),
    (["--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.key", "--listen", "tcp://127.0.0.1:0"], "/nowhere"),
    (["--log-level", "loud"], "loud"),
    (["--log-format", "xml"], "xml"),
    (["--config", "/nowhere.toml"], "/nowhere.toml"),
    (["--insecure-registry", "http://x/"], "http://x/"),
    (["--hosts-dir", "relative"], "relative"),
    (["--registry-mirror", "mirror.example"], "mirror.example"),
    (["--registry-mirror", "https://user@mirror.example"], "user or a password"),
    (["--registry-mirror", "a/b=https://mirror.example"], "a/b"),
    (["extra"], "extra"),
]

CONFIGS = [
    ("nosuch = 1\n", "1:1|line 1"),
    ('root = "/x"\nlisten = 5\n', "line 2|2:"),
    ('root = \n', "line 1|1:"),
    ('listen = ["tcp://127.0.0.1:0", 7]\n', "listen"),
    ('log-level = "loud"\n', "loud"),
]


class Input(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.registry.repo("kept").add(Image([Layer(tar({"a": b"1"}))]), "1")
        self.imaged = self.daemon()
        self.client = self.imaged.client()
        self.client.pull(f"{self.registry.host}/kept:1")
        self.client.TagImage(source=f"{self.registry.host}/kept:1", target="kept")
        self.names = sorted(["docker.io/library/kept:latest", f"{self.registry.host}/kept:1"])

    def assert_kept(self):
        self.assert_clean(self.client, self.names)

    def test_wrong_references(self):
        for text, hint in REFERENCES.items():
            for call, fields in (
                (self.client.Pull, {"reference": text}),
                (self.client.TagImage, {"source": "kept", "target": text}),
            ):
                with self.subTest(reference=text[:40], method=fields):
                    error = self.assert_rpc_fails("INVALID_ARGUMENT", None, call, **fields)
                    self.assertRegex(error.details(), hint)
                    self.assertNotIn("\x1b", error.details())
        self.assert_kept()

    def test_wrong_commands(self):
        for args, status, hint in COMMANDS:
            with self.subTest(command=" ".join(args)):
                said = self.imaged.ctl(*args, check=False, input="x\n" if "login" in args else None)
                if status is not None:
                    self.assertEqual(status, said.returncode, said.stderr + said.stdout)
                self.assertRegex(said.stderr, hint)
                self.assertNotIn("AddressSanitizer", said.stderr)
        self.assert_kept()

    def test_wrong_platforms(self):
        for platform in ("linux/", "/amd64", "linux/amd64/v1/x", "a b/c", "linux/" + "x" * 500, "\x01/\x02"):
            with self.subTest(platform=platform[:20]):
                self.assert_rpc_fails(
                    "INVALID_ARGUMENT", "INVALID_PLATFORM", self.client.Pull, reference=f"{self.registry.host}/kept:1", platform=platform
                )

    def test_wrong_filters(self):
        for fields in ({"before": "UPPER/x"}, {"before": "nosuch"}, {"references": ["[a"]}, {"references": ["x" * 5000]}):
            with self.subTest(filter=fields):
                try:
                    self.client.ListImages(filter=fields)
                except Exception as error:  # noqa: BLE001
                    self.assertIn(error.code().name, ("INVALID_ARGUMENT", "NOT_FOUND"))

    def test_registry_that_is_not_there(self):
        port = free_port()
        error = self.assert_rpc_fails("UNAVAILABLE", "REGISTRY_UNAVAILABLE", self.client.Pull, reference=f"127.0.0.1:{port}/a:1")
        self.assertIn(f"127.0.0.1:{port}", error.details())
        said = self.imaged.ctl("pull", f"127.0.0.1:{port}/a:1", check=False)
        self.assertEqual(1, said.returncode)
        self.assertIn(f"127.0.0.1:{port}", said.stderr)

    def test_registry_that_is_not_one(self):
        self.registry.fault("*", "/", status=200, body=b"<html>hello</html>", headers={"Content-Type": "text/html"})
        error = self.assert_rpc_fails("FAILED_PRECONDITION", None, self.client.Pull, reference=f"{self.registry.host}/a:1")
        self.assertRegex(error.details(), "text/html|manifest|JSON|media type")

    def test_http_only_registry_is_not_asked_over_http_unless_allowed(self):
        """registry-cri.md 1.3: a name that is not loopback needs --insecure-registry."""
        said = self.assert_rpc_fails("UNAVAILABLE", None, self.client.Pull, reference="registry.invalid:5000/a:1")
        self.assertIn("registry.invalid", said.details())

    def test_wrong_daemon_flags(self):
        for args, hint in DAEMON:
            with self.subTest(flags=" ".join(args)[:60]):
                said = subprocess.run(
                    [program("imaged"), "--root", self.path("other"), *([] if "--listen" in args else ["--listen", f"unix://{self.path('o.sock')}"]), *args],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20,
                )
                self.assertNotEqual(0, said.returncode)
                self.assertRegex(said.stdout, hint)
                self.assertLessEqual(len(said.stdout.strip().splitlines()), 6, said.stdout)
                self.assertFalse(os.path.exists(self.path("o.sock")))

    def test_wrong_configuration_files(self):
        for text, hint in CONFIGS:
            with self.subTest(file=text):
                with open(self.path("c.toml"), "w", encoding="ascii") as file:
                    file.write(text)
                daemon = Daemon(self.path("other"), "--config", self.path("c.toml"), ready=False)
                self.assertNotEqual(0, daemon.wait(20))
                if "loud" not in text:  # the value might have come from the command line
                    self.assertIn("c.toml", daemon.log)
                self.assertRegex(daemon.log, hint)

    def test_example_configuration_is_valid(self):
        example = os.path.join(os.path.dirname(__file__), "..", "..", "deploy", "imaged.toml")
        imaged = self.daemon("--config", example, name="example")
        self.assertEqual([], imaged.client().images())
