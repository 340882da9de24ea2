"""Power loss: what the daemon did to its disk is recorded and cut at many places,
what was not synced is dropped by several rules, and a daemon is started on each
result. Listed means complete; what a call had acknowledged before the cut is
there; the check finds nothing damaged, missing or broken.

LOSS_CUTS says how many cuts (default 12; tests/crash/sweep.sh takes more).
"""

import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import erofs
import grpc
import powerloss
from archives import docker_files, import_requests, layout_files, load
from buildcall import BuildCall
from buildclient import Directory
from crashlib import fill, mount_directories, traced
from engines import unmount_below
from fakeregistry import FakeRegistry
from harness import TestCase, incomplete
from ociimage import compress, random_bytes, tar

CUTS = int(os.environ.get("LOSS_CUTS", "12"))
SEED = int(os.environ.get("LOSS_SEED", "1"))


class PowerLoss(TestCase):
    SECONDS = 120 + 5 * CUTS

    def setUp(self):
        super().setUp()
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.images = fill(self.registry)
        with open(self.path("boot_id"), "w", encoding="ascii") as file:
            file.write("00000000-1111-2222-3333-444444444444\n")

    def ref(self, name):
        return f"{self.registry.host}/{name}:1"

    def live(self, client, acknowledged, removing):
        """What happens to the store, told as it is acknowledged."""
        client.pull(self.ref("base"))
        acknowledged(("+", self.ref("base")))
        client.TagImage(source=self.ref("base"), target="kept:1")
        acknowledged(("+", "docker.io/library/kept:1"))
        client.pull(self.ref("app"))
        acknowledged(("+", self.ref("app")))
        removing(self.ref("base"))
        client.RemoveImage(image=self.ref("base"))
        acknowledged(("-", self.ref("base")))
        client.pull(self.ref("wide"))
        acknowledged(("+", self.ref("wide")))
        removing(self.ref("app"))
        client.RemoveImage(image=self.ref("app"))
        acknowledged(("-", self.ref("app")))
        removing(None)
        client.PruneImages(all=True)
        acknowledged(("-", "docker.io/library/kept:1"), ("-", self.ref("wide")))
        client.pull(self.ref("base"))
        acknowledged(("+", self.ref("base")))

    def live_by_loads(self, client, acknowledged, removing):
        """The same with archives: one that is named at once, one that shares layers and
        comes in order, one that is refused after all of it came."""
        library = "docker.io/library/"
        base, app, wide = (self.images[name] for name in ("base", "app", "wide"))
        load(client, tar(layout_files((base, library + "base:1"))), True)
        acknowledged(("+", library + "base:1"))
        load(client, tar(docker_files((app, "app:1", "app:2"), (wide, "wide:1"))))
        acknowledged(*[("+", library + name) for name in ("app:1", "app:2", "wide:1")])
        self.assertRaises(grpc.RpcError, load, client, tar({**layout_files((wide, library + "bad:1")), "oci-layout": b"{}"}))
        removing(library + "wide:1")
        client.RemoveImage(image="wide:1")
        acknowledged(("-", library + "wide:1"))
        load(client, tar(layout_files((wide, library + "wide:2"), (app, library + "app:3"))), True)
        acknowledged(("+", library + "wide:2"), ("+", library + "app:3"))

    def live_by_imports(self, client, acknowledged, removing):
        """A name that goes over to another image, one that is not, and one that is refused."""

        def run(data, name):
            list(client.Import(import_requests(data, reference=name)))

        library = "docker.io/library/"
        first, second = (tar({f"made{n}": random_bytes(200000, 30 + n)}) for n in range(2))
        run(first, "made:1")
        acknowledged(("+", library + "made:1"))
        removing(library + "made:1")
        run(compress(second, "gzip"), "made:1")
        acknowledged(("+", library + "made:1"))
        run(first, "made:2")
        acknowledged(("+", library + "made:2"))
        self.assertRaises(grpc.RpcError, run, first[:100000], "bad:1")
        run(second, "")
        removing(library + "made:1")
        client.RemoveImage(image="made:1")
        acknowledged(("-", library + "made:1"))
        run(second, "made:3")
        acknowledged(("+", library + "made:3"))

    def live_by_mounts(self, client, acknowledged, removing):
        """Images mounted, one of them removed meanwhile; no mount outlives the power."""

        def mount(name, image, **fields):
            os.makedirs(self.path("at", name), exist_ok=True)
            client.MountImage(image=self.ref(image), target=os.fsencode(self.path("at", name)), **fields)

        def unmount(name):
            client.UnmountImage(mount=os.fsencode(self.path("at", name)))

        for name in ("base", "app"):
            client.pull(self.ref(name))
            acknowledged(("+", self.ref(name)))
        mount("one", "app")
        mount("two", "base", read_write=True)
        with open(self.path("at", "two", "written"), "wb") as file:
            file.write(b"w" * 10000)
        removing(self.ref("app"))
        client.RemoveImage(image=self.ref("app"), force=True)
        acknowledged(("-", self.ref("app")))
        unmount("one")
        mount("three", "base", read_write=True)
        unmount("two")
        client.pull(self.ref("wide"))
        acknowledged(("+", self.ref("wide")))
        unmount("three")

    def live_by_builds(self, client, acknowledged, removing):
        """Results of steps that images share, that outlive them, and that go."""
        dockerfile = "FROM scratch\nCOPY a /a\nCOPY b /b\nCOPY c /c\n"
        files = {name: random_bytes(50000, 40 + n) for n, name in enumerate("abc")}

        def build(name, **changed):
            BuildCall(client, dockerfile, Directory("loss", {**files, **changed}), tags=[name]).run()
            acknowledged(("+", "docker.io/library/" + name))

        build("built:1")
        build("built:2", c=random_bytes(50000, 50))
        removing("docker.io/library/built:1")
        client.RemoveImage(image="built:1")
        acknowledged(("-", "docker.io/library/built:1"))
        build("built:3", b=b"another")
        client.PruneBuildCache(all=True)
        build("built:4", a=b"another")

    def record(self, live=None):
        """The life of a store; gives [(log position, names that must be listed, with what they name)]."""
        log, root = self.path("log"), self.path("recorded", "root")
        os.makedirs(root, mode=0o700)
        self.root_ino = os.stat(root).st_ino
        daemon = traced(self.path("recorded"), root, log=log)
        client = daemon.client()
        promises = []

        def acknowledged(*changed):
            named = self.named(client)
            for sign, name in changed:
                self.assertEqual(sign == "+", name in dict(named), name)
            promises.append((os.path.getsize(log), named))

        def removing(name):
            """From here on the name may be gone, or name another image; None: every name."""
            promises.append((os.path.getsize(log), frozenset(one for one in self.named(client) if name and one[0] != name)))

        (live or self.live)(client, acknowledged, removing)
        daemon.kill()
        return powerloss.read_log(log), promises

    @staticmethod
    def named(client):
        return frozenset((name, image.id) for image in client.images() for name in image.repo_tags)

    def promised(self, promises, position):
        """What was acknowledged before the cut and not being removed at it."""
        due = frozenset()
        for at, named in promises:
            if at <= position:
                due = named
        return due

    def examine(self, root, due, emptied):
        daemon = traced(self.path("after"), root, boot_id=self.path("boot_id"))
        self._daemons.append(daemon)
        client = daemon.client()
        self.assertEqual([], incomplete(root, client), "listed means complete")
        self.assertEqual([], erofs.amiss(root, client), "and each layer mountable")
        self.assertEqual(([], []), (list(client.ListMounts().mounts), mount_directories(root)), "no mount of another boot")
        self.assert_clean(client)
        self.assertLessEqual(due, self.named(client), "what was acknowledged is there")
        client.pull(self.ref("app"))
        self.assertEqual([], incomplete(root, client))
        self.assertEqual([], erofs.amiss(root, client))
        if emptied:
            client.PruneImages(all=True)
            client.PruneBuildCache(all=True)
            self.wait_until(lambda: client.GetDiskUsage().blob_count == 0, "nothing holds content any more")
        self.assertEqual(0, daemon.stop())
        self._daemons.remove(daemon)

    def test_listed_means_complete_whatever_was_not_synced(self):
        self.lose_power(CUTS, self.live)

    def test_loaded_means_complete_whatever_was_not_synced(self):
        self.lose_power(max(4, CUTS // 2), self.live_by_loads)

    def test_imported_means_complete_whatever_was_not_synced(self):
        self.lose_power(max(4, CUTS // 2), self.live_by_imports)

    def test_built_means_complete_whatever_was_not_synced(self):
        self.lose_power(max(4, CUTS // 2), self.live_by_builds, emptied=True)

    def test_mounts_are_forgotten_and_what_they_held_is_free(self):
        if os.geteuid() != 0 or not erofs.can_mount():
            self.skipTest("erofs cannot be mounted here")
        self.addCleanup(unmount_below, self.dir)
        self.lose_power(max(4, CUTS // 2), self.live_by_mounts, emptied=True)

    def lose_power(self, cuts, live, emptied=False):
        events, promises = self.record(live)
        self.assertGreater(len(events), 100)
        syncs = [n for n, event in enumerate(events) if not event.changes]
        # Cuts just before a sync lose the most; the rest is spread evenly.
        wanted = {syncs[n * len(syncs) // (cuts // 2)] for n in range(cuts // 2)}
        wanted |= {1 + n * (len(events) - 1) // (cuts - cuts // 2) for n in range(cuts - cuts // 2)}
        disk, tried = powerloss.Disk(self.root_ino), 0
        for number, event in enumerate(events):
            if number in wanted:
                position = events[number - 1].end if number else 0
                due = self.promised(promises, position)
                for rule in ("lost", "names", "random", "random"):
                    tried += 1
                    root = self.path("after", "root")
                    shutil.rmtree(root, ignore_errors=True)
                    disk.write(root, rule, SEED * 1000003 + tried)
                    with self.subTest(cut=number, of=len(events), rule=rule, seed=tried):
                        self.examine(root, due, emptied and rule == "names")
            disk.play(event)
        print(f"     {tried} trees from {len(wanted)} cuts of {len(events)} events")

    def test_everything_kept_equals_the_disk(self):
        """The recorder and the replay are right: with nothing dropped, the replayed
        tree is the real one."""
        events, _ = self.record()
        disk = powerloss.Disk(self.root_ino)
        for event in events:
            disk.play(event)
        disk.write(self.path("replayed"), "all")
        real, replayed = self.files(self.path("recorded", "root")), self.files(self.path("replayed"))
        self.assertEqual(sorted(real), sorted(replayed))
        for name in real:
            if not name.endswith("lock.mdb"):  # written through a mapping
                self.assertEqual(real[name], replayed[name], name)

    @staticmethod
    def files(root):
        found = {}
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, root)] = file.read()
        return found
