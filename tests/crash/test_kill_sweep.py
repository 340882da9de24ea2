"""kill -9 at chosen system calls of pull, load, import, build, rm and prune: after a restart the check is
clean, what is listed is complete, the same command succeeds, and a pull fetches
less than all again.

SWEEP_POINTS says how many points (default 24; tests/crash/sweep.sh takes more).
"""

import json
import os
import shutil
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import erofs
import grpc
from archives import PIECE, Loading, docker_files, import_requests, layout_files, load
from buildcall import BuildCall
from buildclient import Directory
from crashlib import Control, fill, traced
from fakeregistry import FakeRegistry
from harness import TestCase, incomplete
from ociimage import Image, Layer, compress, random_bytes, tar
from rpc import pb

POINTS = int(os.environ.get("SWEEP_POINTS", "24"))


class KillSweep(TestCase):
    SECONDS = 120 + 3 * POINTS

    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.images = fill(self.registry)
        self.control = Control(self.path("control"))

    def ref(self, name):
        return f"{self.registry.host}/{name}:1"

    def prepare(self, *names):
        """A stopped root that holds these images."""
        daemon = self.daemon(name="template")
        client = daemon.client()
        for name in names:
            client.pull(self.ref(name))
        daemon.stop()
        return daemon.root

    def fresh(self, template):
        shutil.rmtree(self.path("work"), ignore_errors=True)
        shutil.copytree(template, self.path("work", "root"), symlinks=True)
        return self.path("work", "root")

    def run_until(self, template, command, kill_at, torn=False):
        """Runs the command with a kill at that call; True if it was killed."""
        root = self.fresh(template)
        self.control.arm(0)
        daemon = traced(self.path("work"), root, control=self.control)
        try:
            client = daemon.client()
            client.GetVersion()  # the connection stands
            self.control.arm(kill_at, torn)
            try:
                command(client)
            except grpc.RpcError as error:
                if kill_at == 0:
                    raise
                daemon.process.wait(20)  # UNAVAILABLE: it dies, or it says something else and stays
                self.assertEqual(-9, daemon.process.returncode, error.details())
            killed = daemon.process.poll() is not None
            self.last_count = self.control.count
        finally:
            daemon.kill()
        return killed

    def after(self, command, expect):
        """A daemon without the tracer on what the kill left."""
        daemon = self.daemon(name="work")
        client = daemon.client()
        self.assertEqual([], incomplete(daemon.root, client))
        self.assertEqual([], erofs.amiss(daemon.root, client))
        self.assert_clean(client)
        sent = self.registry.sent("/blobs/")
        try:
            command(client)
        except grpc.RpcError as error:
            # rm may have done its work before the kill
            self.assertEqual(grpc.StatusCode.NOT_FOUND, error.code(), error.details())
        expect(client)
        self.assertEqual([], incomplete(daemon.root, client))
        self.assertEqual([], erofs.amiss(daemon.root, client))
        self.assert_clean(client)
        fetched = self.registry.sent("/blobs/") - sent
        self.assertEqual(0, daemon.stop())
        self._daemons.remove(daemon)
        return fetched

    def sweep(self, template, command, expect, points):
        self.assertFalse(self.run_until(template, command, 0))
        total = self.last_count
        self.assertGreater(total, 5)
        refetched, kills = [], 0
        for number in range(points):
            at = 1 + number * total // points
            with self.subTest(kill_at=at, of=total):
                killed = self.run_until(template, command, at, torn=number % 2 == 1)
                kills += killed
                refetched.append(self.after(command, expect))
        print(f"     {kills} kills at {points} points of {total} calls; fetched again: {min(refetched)} to {max(refetched)} bytes")
        self.assertGreaterEqual(kills, points * 9 // 10)
        return refetched

    def test_pull(self):
        template = self.prepare("base")
        whole = sum(layer.blob.size for layer in self.images["app"].layers[2:]) + self.images["app"].config_blob.size

        def expect(client):
            self.assertEqual(self.images["app"].id, client.InspectImage(image=self.ref("app")).image.id)

        fetched = self.sweep(template, lambda client: client.pull(self.ref("app")), expect, max(4, POINTS // 2))
        self.assertLess(max(fetched), whole + 100000, "never more than all")
        self.assertLess(sum(fetched), whole * len(fetched), "less than all")
        self.assertLess(fetched[-1], whole // 4, "a kill at the end costs little")

    def load_sweep(self, archive, seekable, names, points):
        """Two images, one of which shares what is there; named one after the other."""
        template = self.prepare("base")

        def expect(client):
            listed = {name for image in client.images() for name in image.repo_tags}
            self.assertLessEqual({f"docker.io/library/{name}" for name in names}, listed)

        self.sweep(template, lambda client: load(client, archive, seekable), expect, points)

    def test_load_of_a_layout_from_a_file(self):
        named = [(self.images[name], f"docker.io/library/{name}:1") for name in ("app", "wide")]
        self.load_sweep(tar(layout_files(*named)), True, ("app:1", "wide:1"), max(4, POINTS // 4))

    def test_load_of_a_docker_archive_through_a_pipe(self):
        named = [(self.images[name], f"{name}:1", f"{name}:2") for name in ("app", "wide")]
        self.load_sweep(tar(docker_files(*named)), False, ("app:1", "app:2", "wide:1", "wide:2"), max(4, POINTS // 4))

    def test_import(self):
        """One tar as it is and one compressed; the name goes over to the second image."""
        tars = [tar({f"made{n}": random_bytes(300000, 30 + n)}) for n in range(2)]

        def command(client):
            for data, change in zip((tars[0], compress(tars[1], "gzip")), ("ENV N=1", "ENV N=2")):
                list(client.Import(import_requests(data, reference="made:1", changes=[change])))

        def expect(client):
            self.assertEqual(["N=2"], list(client.InspectImage(image="made:1").config.env.values))

        self.sweep(self.prepare("base"), command, expect, max(4, POINTS // 4))

    def test_build(self):
        """Results of steps are there as a whole or not at all, and nothing that they held is left behind."""
        files = {"a": random_bytes(200000, 60), "b": random_bytes(9000, 61), "c": b"c"}
        dockerfile = "FROM scratch AS one\nCOPY a /a\nCOPY b /b\nFROM scratch\nCOPY c /c\nCOPY --from=one /a /b /\n"
        layers = []

        def command(client):
            BuildCall(client, dockerfile, Directory("sweep", files), tags=["built:1"]).run()

        def expect(client):
            layers.append([layer.diff_id for layer in client.InspectImage(image="built:1").layers])
            self.assertEqual(layers[0], layers[-1])
            self.assertEqual(4, sum(e.kind == "regular" for e in client.ListBuildCache().entries))
            running = pb.BuildInfo.STATE_RUNNING
            self.assertNotIn(running, [build.state for build in client.ListBuilds().builds])
            client.RemoveImage(image="built:1")
            self.wait_until(lambda: not any(e.in_use for e in client.ListBuildCache().entries), "no build holds results")
            client.PruneImages(all=True)
            client.PruneBuildCache(all=True)
            self.assertEqual([], list(client.ListBuildCache().entries))
            self.wait_until(lambda: client.GetDiskUsage().blob_count == 0, "nothing holds a blob")

        self.sweep(self.prepare(), command, expect, max(6, POINTS // 2))

    # What the workers write is not traced: there the kill comes after so many bytes.

    def test_in_the_middle_of_a_layer(self):
        """By pull, load and import in turn; the last stands for what is sent a piece at a time."""
        template = self.prepare("base")
        layer = Layer(tar({f"f{n}": random_bytes(200_000, 50 + n) for n in range(20)}), level=1)
        image = Image([layer])
        self.registry.repo("held").add(image, "1")
        archive, points = tar(docker_files((image, "held:1"))), max(6, POINTS // 2)
        ways = (self.held_pull, lambda client, part: self.held_load(client, archive, part), lambda client, part: self.held_import(client, part))
        fetched = []
        for number in range(points):
            part = 0.1 + 0.9 * number / points
            with self.subTest(way=number % 3, part=part):
                self.fresh(template)
                daemon = self.daemon(name="work")
                ways[number % 3](daemon.client(), part)
                daemon.kill()
                self.gate.set()
                self._daemons.remove(daemon)
                fetched.append(self.after(lambda client: client.pull(self.ref("held")), lambda client: self.assert_only_layers(client)))
        print(f"     {points} kills; fetched again: {min(fetched)} to {max(fetched)} bytes")

    def held_pull(self, client, part):
        layer = self.registry.repo("held").manifests[self.registry.repo("held").tags["1"]].layers[-1].blob
        cut = int(layer.size * part)
        self.gate = threading.Event()
        self.registry.fault("GET", layer.digest, times=1, cut=cut, gate=self.gate)
        self.calls = [client.Pull(reference=self.ref("held"))]
        self.assertTrue(self.registry.wait_for(lambda: any(layer.digest in r.path and r.sent >= cut for r in self.registry.requests)))

    def held_load(self, client, archive, part):
        self.gate = threading.Event()
        loading = Loading(client).start(seekable=False)
        self.addCleanup(loading.close)
        wanted = int(len(archive) * part)
        for at in range(0, wanted, PIECE):
            loading.data(archive[at : min(wanted, at + PIECE)])
        self.await_bytes(wanted)
        self.calls = [loading]

    def held_import(self, client, part):
        self.gate = threading.Event()
        data = tar({f"f{n}": random_bytes(200_000, 80 + n) for n in range(20)})
        wanted, gate = int(len(data) * part), self.gate

        def requests():
            yield from import_requests(data[:wanted], reference="cut:1")
            gate.wait(60)

        call = client.Import(requests())
        self.await_bytes(wanted)
        self.calls = [call]

    def await_bytes(self, wanted):
        """Until most of what was sent is on the disk."""

        def there():
            files = [os.path.join(folder, name) for folder, _, names in os.walk(self.path("work", "root", "ingest")) for name in names]
            return any(os.path.getsize(file) > wanted // 2 for file in files)

        self.wait_until(there, f"{wanted} bytes that come in")

    def assert_only_layers(self, client):
        """Exactly the images of the layers of what is listed."""
        wanted = set()
        for image in client.images():
            wanted |= set(json.loads(client.InspectImage(image=image.id, include_raw=True).raw_config)["rootfs"]["diff_ids"])

        def names():
            return {"sha256:" + name.partition(".")[0] for _, _, found in os.walk(self.path("work", "root", "layers")) for name in found}

        self.wait_until(lambda: names() == wanted, "images of the listed layers and no others")

    def test_remove(self):
        template = self.prepare("base", "app")

        def expect(client):
            self.assertEqual([[self.ref("base")]], [list(image.repo_tags) for image in client.images()])

        self.sweep(template, lambda client: client.RemoveImage(image=self.ref("app")), expect, max(3, POINTS // 4))

    def test_prune(self):
        template = self.prepare("base", "app", "wide")

        def expect(client):
            self.assertEqual([], client.images())
            # What a killed removal left is the collector's, which runs a second after the start.
            self.wait_until(lambda: client.GetDiskUsage().blob_count == 0, "no blob is left behind")

        self.sweep(template, lambda client: client.PruneImages(all=True), expect, max(3, POINTS // 4))

    def test_start_on_an_empty_root(self):
        """Killed while it makes its first files."""
        for number in range(max(3, POINTS // 6)):
            root = self.path("first", str(number))
            os.makedirs(root)
            self.control.arm(1 + 2 * number)
            daemon = traced(self.path("first", f"d{number}"), root, control=self.control, ready=False)
            daemon.wait_log(" ready: ", timeout=20)
            daemon.kill()
            second = self.daemon(name=f"second{number}", root=root)
            self.assert_clean(second.client(), [])
            second.stop()
