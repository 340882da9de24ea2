"""What deploy/ gives a machine: units that systemd takes, a watchdog that is told the truth,
manifests that the API's schema takes, a copy of a root that is a backup."""

import contextlib
import ctypes
import glob
import os
import re
import shutil
import socket
import subprocess
import unittest

import fixtures
from harness import ROOT, Daemon, TestCase

UNITS = os.path.join(ROOT, "deploy", "systemd")
MANIFESTS = os.path.join(ROOT, "deploy", "kubernetes")
LISTED = "{{.Repository}}:{{.Tag}} {{.Digest}} {{.ID}} {{.Size}}"
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000


def unit(name):
    with open(os.path.join(UNITS, name), encoding="ascii") as file:
        return file.read()


def settings(name, key):
    return " ".join(re.findall(f"^{key}=(.*)$", unit(name), re.M)).split()


@contextlib.contextmanager
def stopped(pid, thread):
    """This one thread of a process does not run meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as file:
            if file.read().strip() == thread:
                break
    else:
        raise RuntimeError(f"no thread {thread}")
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        if libc.ptrace(request, int(task), None, None) != 0:
            raise unittest.SkipTest(f"ptrace: {os.strerror(ctypes.get_errno())}")
    os.waitpid(int(task), WALL)
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, int(task), None, None)


class Units(TestCase):
    def test_systemd_takes_them(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        # It wants to find the program that a unit starts.
        for name in os.listdir(UNITS):
            with open(self.path(name), "w", encoding="ascii") as file:
                file.write(unit(name).replace("/usr/sbin/imaged", shutil.which("true")))
        paths = [self.path(name) for name in ("imaged.service", "imaged.socket")]
        said = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True, timeout=60)
        self.assertEqual((0, ""), (said.returncode, said.stdout + said.stderr))

    def test_nothing_makes_a_mount_namespace(self):
        """What imaged mounts is seen by those who asked for it."""
        private = "Private|Protect|ReadOnly|ReadWrite|Inaccessible|Exec(Only)?Paths|NoExec|Bind|Temporary|Root(Dir|Im)|MountFlags|ProcSubset"
        self.assertIsNone(re.search(f"^({private})", unit("imaged.service"), re.M))

    def test_run_steps_keep_their_system_calls(self):
        """A step has the unit's filter, too: it must not take what its own one allows."""
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        denied = set()
        for name in settings("imaged.service", "SystemCallFilter"):
            name = name.lstrip("~")
            if name.startswith("@"):
                said = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True)
                lines = [line.strip() for line in said.stdout.splitlines()[1:]]
                denied.update(line for line in lines if line and line[0] not in "#@")
            else:
                denied.add(name)
        with open(os.path.join(ROOT, "service/build/run/seccomp_names.c"), encoding="ascii") as file:
            allowed = set(re.findall(r'"(\w+)"', file.read().partition("seccomp_refused")[0]))
        self.assertGreater(len(denied), 20)
        self.assertEqual(set(), denied & allowed)

    def test_run_steps_keep_their_capabilities(self):
        with open(os.path.join(ROOT, "service/build/run/worker/spec_capabilities.c"), encoding="ascii") as file:
            step = set(re.findall(r'"(CAP_\w+)"', file.read().partition("By number")[0]))
        self.assertEqual(14, len(step))
        self.assertEqual(set(), step - set(settings("imaged.service", "CapabilityBoundingSet")))


class Watchdog(TestCase):
    def heard(self, notify):
        """The next message, None when there is none in two seconds: twenty times what is agreed."""
        notify.settimeout(2)
        try:
            return notify.recv(4096)
        except TimeoutError:
            return None

    def test_it_is_told_as_long_as_calls_are_taken(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(self.path("notify"))
            imaged = self.daemon(env={"NOTIFY_SOCKET": self.path("notify"), "WATCHDOG_USEC": "300000"})
            self.wait_until(lambda: self.heard(notify) == b"WATCHDOG=1", "the watchdog is told")
            with stopped(imaged.pid, "rpc-poll"):
                self.wait_until(lambda: self.heard(notify) is None, "a hung daemon is silent")
            self.wait_until(lambda: self.heard(notify) == b"WATCHDOG=1", "it is told again")

    def test_one_that_is_for_another_process_is_left_alone(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(self.path("notify"))
            self.daemon(env={"NOTIFY_SOCKET": self.path("notify"), "WATCHDOG_USEC": "300000", "WATCHDOG_PID": "1"})
            self.assertEqual(b"READY=1", self.heard(notify))
            self.assertIsNone(self.heard(notify))


class Kubernetes(TestCase):
    def test_manifests_are_of_the_schema(self):
        """Each document against the models of the API, which refuse fields that they do not know."""
        source = os.path.join(ROOT, "tests", "lib", "kubernetes")
        if not shutil.which("npm"):
            self.skipTest("npm is not installed")
        work = self.path("node")
        shutil.copytree(source, work)
        made = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=work, capture_output=True, text=True, timeout=300
        )
        if made.returncode != 0:
            self.skipTest("npm cannot install kubernetes-models")
        manifests = sorted(glob.glob(os.path.join(MANIFESTS, "*.yaml")))
        self.assertTrue(manifests)
        said = subprocess.run(["node", "validate.mjs", *manifests], cwd=work, capture_output=True, text=True, timeout=120)
        self.assertEqual(0, said.returncode, said.stdout + said.stderr)
        self.assertIn("DaemonSet imaged: valid", said.stdout)
        wrong = self.path("wrong.yaml")
        with open(manifests[0], encoding="utf-8") as file, open(wrong, "w", encoding="utf-8") as out:
            out.write(file.read().replace("mountPropagation:", "mountPropogation:"))
        said = subprocess.run(["node", "validate.mjs", wrong], cwd=work, capture_output=True, text=True, timeout=120)
        self.assertEqual(1, said.returncode, "a field that the API does not know is found")

    def test_the_configuration_is_one_that_imaged_takes(self):
        with open(os.path.join(MANIFESTS, "imaged.yaml"), encoding="utf-8") as file:
            toml = re.search(r"imaged\.toml: \|\n((?:    .*\n)+)", file.read())[1]
        toml = re.sub("^    ", "", toml, flags=re.M).replace("/var/lib/imaged", self.path("root")).replace("/run/imaged", self.dir)
        with open(self.path("imaged.toml"), "w", encoding="utf-8") as file:
            file.write(toml)
        made = Daemon(self.path("d"), "--config", self.path("imaged.toml"), root=self.path("root"), listen=False)
        self._daemons.append(made)
        self.assertIn(self.path("imaged.sock"), made.log)


class Backup(TestCase):
    def test_a_copy_of_the_root_is_a_backup(self):
        """As imaged-deploy(7) says: stop, copy, start. The copy serves all images, whole."""
        with open(self.path("base.tar"), "wb") as file:
            file.write(fixtures.busybox_tar())
        imaged = self.daemon()
        imaged.ctl("import", self.path("base.tar"), "saved:1")
        before = imaged.ctl("images", "--no-trunc", "--format", LISTED).stdout
        self.assertEqual(0, imaged.stop())
        subprocess.run(["cp", "-a", "--sparse=always", imaged.root, self.path("copy")], check=True)
        shutil.rmtree(imaged.root)
        restored = self.daemon(name="restored", root=self.path("copy"))
        self.assertEqual(before, restored.ctl("images", "--no-trunc", "--format", LISTED).stdout)
        self.assert_clean(restored.client(), ["docker.io/library/saved:1"])

    def test_an_archive_of_a_running_service_is_a_backup(self):
        with open(self.path("base.tar"), "wb") as file:
            file.write(fixtures.busybox_tar())
        imaged = self.daemon()
        imaged.ctl("import", self.path("base.tar"), "saved:1")
        imaged.ctl("save", "-o", self.path("all.tar"), "saved:1")
        restored = self.daemon(name="restored")
        restored.ctl("load", "-i", self.path("all.tar"))
        listed = [one.ctl("images", "--no-trunc", "--format", LISTED).stdout for one in (imaged, restored)]
        self.assertEqual(listed[0], listed[1])
