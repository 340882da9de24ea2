"""kill -9 at chosen calls while images are mounted and unmounted: after a restart exactly
the committed mounts stand and show their image, and nothing else is left of the others,
be it a mount, a loop device, or a directory.

SWEEP_POINTS says how many points (default 24; tests/crash/sweep.sh takes more).
"""

import glob
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import erofs
import grpc
from crashlib import Control, fill, mount_directories, traced
from engines import unmount_below
from fakeregistry import FakeRegistry
from harness import TestCase, incomplete
from rpc import pb, reason

POINTS = int(os.environ.get("SWEEP_POINTS", "24"))
FILE, LOOP, FUSE = pb.MOUNT_WAY_FILE, pb.MOUNT_WAY_LOOP, pb.MOUNT_WAY_FUSE


def mount_points(directory):
    """Where something is mounted below a directory, as often as it is."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [line.split()[4] for line in file]
    return sorted(point for point in points if point.startswith(directory + "/"))


def loop_devices(directory):
    """Files below a directory that are behind loop devices."""
    found = []
    for path in glob.glob("/sys/block/loop*/loop/backing_file"):
        try:
            with open(path, encoding="utf-8") as file:
                found.append(file.read().strip())
        except FileNotFoundError:
            continue  # it went meanwhile
    return [path for path in found if path.startswith(directory + "/")]


class MountSweep(TestCase):
    SECONDS = 120 + 5 * POINTS

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("mounts are root's")
        self.addCleanup(unmount_below, self.dir)
        self.registry = FakeRegistry().__enter__()
        self.addCleanup(self.registry.stop)
        self.images = fill(self.registry)
        self.control = Control(self.path("control"))
        for name in ("one", "two", "three"):
            os.makedirs(self.path("at", name))

    def ref(self, name):
        return f"{self.registry.host}/{name}:1"

    def prepare(self, way):
        """A stopped root with images; what they show."""
        daemon = self.daemon(name="template")
        client = daemon.client()
        shown = {}
        for name in ("base", "app"):
            client.pull(self.ref(name))
            try:
                client.MountImage(image=self.ref(name), target=os.fsencode(self.path("at", "one")), way=way)
            except grpc.RpcError as error:
                self.skipTest(f"{reason(error)}: {error.details()}")
            shown[self.ref(name)] = erofs.snapshot(self.path("at", "one"))
            client.UnmountImage(mount=os.fsencode(self.path("at", "one")))
        daemon.stop()
        return daemon.root, shown

    def life(self, client, way):
        """What stands is told as it is acknowledged; what is about to change, before."""
        self.stands, self.changing, self.written = set(), None, False

        def change(name, call, **fields):
            self.changing = name
            call(**fields)
            self.stands ^= {name}
            self.changing = None

        def mount(name, image, **fields):
            change(name, client.MountImage, image=self.ref(image), target=os.fsencode(self.path("at", name)), way=way, **fields)

        mount("one", "app")
        mount("two", "base", read_write=True)
        with open(self.path("at", "two", "written"), "w", encoding="ascii") as file:
            file.write("kept")
        self.written = True
        change("one", client.UnmountImage, mount=os.fsencode(self.path("at", "one")))
        mount("three", "app", read_write=True)
        change("two", client.UnmountImage, mount=os.fsencode(self.path("at", "two")))

    def run_until(self, template, way, kill_at):
        shutil.rmtree(self.path("work"), ignore_errors=True)
        shutil.copytree(template, self.path("work", "root"), symlinks=True)
        self.control.arm(0)
        daemon = traced(self.path("work"), self.path("work", "root"), control=self.control)
        try:
            client = daemon.client()
            client.GetVersion()
            self.control.arm(kill_at)
            try:
                self.life(client, way)
            except grpc.RpcError as error:
                if kill_at == 0:
                    raise
                daemon.process.wait(20)
                self.assertEqual(-9, daemon.process.returncode, error.details())
            killed = daemon.process.poll() is not None
        finally:
            daemon.kill()
        return killed

    def after(self, shown):
        """A daemon without the tracer on what the kill left."""
        daemon = self.daemon(name="work")
        client = daemon.client()
        listed = {os.path.basename(os.fsdecode(m.target)): m for m in client.ListMounts().mounts}
        self.assertLessEqual(self.stands - {self.changing}, set(listed), "what was committed stands")
        self.assertLessEqual(set(listed), self.stands | ({self.changing} - {None}), "and nothing else")
        self.assertEqual(sorted(self.path("at", name) for name in listed), mount_points(self.dir))
        for name, mount in listed.items():
            got = erofs.snapshot(self.path("at", name))
            if mount.read_write:
                got.pop(b"written", None)
                got[b"."] = shown[mount.image][b"."]
            self.assertEqual(shown[mount.image], got)
        if "two" in listed and self.written:
            with open(self.path("at", "two", "written"), encoding="ascii") as file:
                self.assertEqual("kept", file.read())
        self.assertEqual({m.id for m in listed.values() if m.read_write}, set(mount_directories(daemon.root)))
        self.assertEqual([], incomplete(daemon.root, client))
        self.take_down(daemon, client, listed)

    def take_down(self, daemon, client, listed):
        """What stands holds its image; when all is unmounted, nothing is left."""
        for name in listed:
            client.UnmountImage(mount=os.fsencode(self.path("at", name)))
        self.assertEqual(([], []), (mount_points(self.dir), list(client.ListMounts().mounts)))
        self.wait_until(lambda: not loop_devices(daemon.root), "loop devices go with their last user")
        self.assertEqual([], mount_directories(daemon.root))
        self.assert_clean(client)
        client.PruneImages(all=True)
        self.wait_until(lambda: client.GetDiskUsage().blob_count == 0, "no lease holds content")
        self.assertEqual(0, daemon.stop())
        self._daemons.remove(daemon)

    def sweep(self, way, points):
        template, shown = self.prepare(way)
        self.assertFalse(self.run_until(template, way, 0))
        total = self.control.count
        unmount_below(self.dir)
        self.assertGreater(total, 20)
        kills = 0
        for number in range(points):
            at = 1 + number * total // points
            with self.subTest(kill_at=at, of=total):
                kills += self.run_until(template, way, at)
                self.after(shown)
            unmount_below(self.dir)
        print(f"     {kills} kills at {points} points of {total} calls")
        self.assertGreaterEqual(kills, points * 9 // 10)

    def test_by_file(self):
        self.sweep(FILE, max(8, POINTS // 2))

    def test_by_loop_device(self):
        self.sweep(LOOP, max(8, POINTS // 2))

    def test_by_fuse(self):
        self.sweep(FUSE, max(6, POINTS // 4))
