"""kill -9 at each system call of a mount and of an unmount that changes something: after a
restart exactly the committed mounts stand, and nothing else is left."""

import os
import shutil
import signal
import subprocess

import grpc

import erofs
from archives import docker_files, load
from harness import TestCase
from ociimage import Image, Layer, tar

FILE, LOOP = 1, 2
KINDS = ({"way": FILE}, {"way": FILE, "read_write": True}, {"way": LOOP})
CALLS = "openat,fsopen,fsconfig,fsmount,move_mount,umount2,fdatasync,msync,pwrite64,pwritev,mkdirat,unlinkat,openat2,ioctl"


class KillMounts(TestCase):
    SECONDS = 240

    def setUp(self):
        super().setUp()
        if not erofs.can_mount() or not shutil.which("strace"):
            self.skipTest("needs root, erofs and strace")
        self.addCleanup(self.unmount_all)
        self.imaged = self.daemon()
        self.client = self.imaged.client()
        layers = [tar({"d/": None, "d/low": b"low", "gone": b""}), tar({".wh.gone": b"", "top": b"top"})]
        load(self.client, tar(docker_files((Image([Layer(layer, "plain") for layer in layers]), "two:1"))))
        self.target = self.path("mnt")
        os.makedirs(self.target)

    def standing(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            return [line.split()[4] for line in file if line.split()[4].startswith(self.dir)]

    def unmount_all(self):
        for path in self.standing():
            subprocess.run(["umount", "-l", path], check=False)

    def traced(self, call, kill_at):
        """The call with a kill at that system call of it; whether it came so far."""
        inject = f"inject={CALLS}:signal=KILL:when={kill_at}"
        command = ["strace", "-f", "-p", str(self.imaged.pid), "-o", "/dev/null", "-e", f"trace={CALLS}", "-e", inject]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.assertIn("attached", tracer.stderr.readline())
        try:
            call()
            killed = False
        except grpc.RpcError as error:
            self.assertEqual(grpc.StatusCode.UNAVAILABLE, error.code(), error.details())
            killed = True
        if not killed:
            tracer.terminate()
        tracer.communicate(timeout=60)
        if killed:
            self.assertEqual(-signal.SIGKILL, self.imaged.process.wait(20))
            self.imaged.kill()
            self.imaged.start()
            self.client = self.imaged.client()
            self.client.GetInfo()  # ways are found out outside of what is traced
        return killed

    def assert_sound(self):
        """What is listed stands, and nothing else does; the mounts that are listed."""
        mounts = list(self.client.ListMounts().mounts)
        self.assertEqual([os.fsdecode(m.target) for m in mounts], self.standing())
        left = [n for n in os.listdir(os.path.join(self.imaged.root, "mounts")) if not n.startswith("empty")]
        self.assertEqual([m.id for m in mounts if m.read_write], left)
        if mounts:
            self.assertEqual({"d", "top"}, set(os.listdir(self.target)) - {"made"})
            with open(os.path.join(self.target, "d", "low"), "rb") as file:
                self.assertEqual(b"low", file.read())
        else:
            self.assertEqual([], os.listdir(self.target))
        # The kernel lets go of a file system a little after its last user.
        self.wait_until(lambda: mounts or self.dir not in self.loops(), "no loop device stays")
        return mounts

    def loops(self):
        return subprocess.run(["losetup", "-a"], stdout=subprocess.PIPE, text=True, check=True).stdout

    def mount(self, kind):
        return self.client.MountImage(image="two:1", target=os.fsencode(self.target), **kind)

    def unmount(self):
        return self.client.UnmountImage(mount=os.fsencode(self.target))

    def sweep(self, step):
        """step(kind, kill_at) until a call is over before its kill."""
        self.client.GetInfo()
        kills = 0
        for kind in KINDS:
            kill_at, killed = 1, True
            while killed:
                with self.subTest(kill_at=kill_at, **kind):
                    killed = False
                    killed = step(kind, kill_at)
                kills += killed
                kill_at += 1
        print(f"     {kills} kills")
        self.assertGreater(kills, 10)

    def test_mount(self):
        def step(kind, kill_at):
            killed = self.traced(lambda: self.mount(kind), kill_at)
            if self.assert_sound():
                self.unmount()
            self.mount(kind)  # nothing is in the way
            self.assertEqual(1, len(self.assert_sound()))
            self.unmount()
            return killed

        self.sweep(step)
        self.assert_clean(self.client, ["docker.io/library/two:1"])

    def test_unmount(self):
        def step(kind, kill_at):
            self.mount(kind)
            if kind.get("read_write"):
                os.makedirs(os.path.join(self.target, "made"))
            killed = self.traced(self.unmount, kill_at)
            if self.assert_sound():
                self.unmount()
            return killed

        self.sweep(step)
        self.assertEqual([], self.assert_sound())
        self.client.RemoveImage(image="two:1")
        self.assert_clean(self.client, [])
