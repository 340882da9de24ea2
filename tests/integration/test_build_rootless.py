"""RUN steps of a daemon without root: in a user namespace, with one id or with many."""

import json
import os
import shutil
import stat
import subprocess
import tarfile
import unittest

import erofs
from runstep import RUNC, Running, StepCase

OWN = 12346  # an id that nobody has here


@unittest.skipUnless(os.geteuid() == 0, "needs root, to become somebody without it")
class Rootless(StepCase):
    def setUp(self):
        super().setUp()
        for path, folders, files in os.walk(self.root):
            for name in folders + files:
                os.lchown(os.path.join(path, name), OWN, OWN)
        for path in (self.root, self.path("workspace")):
            os.chown(path, OWN, OWN)
        os.chmod(self.dir, 0o755)
        # The worker has to be reached too, wherever the build is.
        if not os.stat(self.worker).st_mode & stat.S_IXOTH:
            self.skipTest("the build is not for others")

    def start(self, command, **fields):
        spec = self.spec(command, **fields)
        os.chown(self.step_directory, OWN, OWN)
        return Running(self, spec, OWN)

    def shell_of(self, spec):
        return Running(self, spec, OWN, mode="-shell")

    def layer(self, **fields):
        return super().layer(as_id=OWN, **fields)

    def test_a_step_with_one_id(self):
        out = self.ok("id -u; id -G; cat /proc/self/uid_map; grep CapEff /proc/self/status; rm /bin/ls; echo x > /new; ip -o link | wc -l")
        self.assertEqual(["0", "0", "0", str(OWN), "1", "CapEff:", "00000000a80425fb", "1"], out.split())
        with tarfile.open(self.layer()) as tar:
            self.assertEqual(["bin", "bin/.wh.ls", "new"], tar.getnames())
            self.assertEqual({(0, 0)}, {(m.uid, m.gid) for m in tar})
        self.remove()
        self.assertEqual([], os.listdir(self.step_directory))

    def test_opaque_directories_and_modes(self):
        self.ok("rm -r /home; mkdir /home; mkdir -m 0 /home/closed; touch /home/f; chmod 000 /home/f")
        with tarfile.open(self.layer()) as tar:
            self.assertEqual(["home", "home/.wh.bob", "home/closed", "home/f"], tar.getnames())

    def test_with_the_network_of_the_host(self):
        self.assertEqual(os.readlink("/proc/self/ns/net"), self.ok("readlink /proc/self/ns/net; ls /sys > /dev/null", network="host").strip())

    def test_mounts(self):
        os.mkdir(self.path("cache"))
        os.chown(self.path("cache"), OWN, OWN)
        os.mkdir(self.path("in"))
        with open(self.path("in", "f"), "w", encoding="ascii") as file:
            file.write("in")
        os.chown(self.path("in", "f"), OWN, OWN)
        os.chown(self.path("in"), OWN, OWN)
        mounts = [
            {"type": "cache", "target": "/c", "source": self.path("cache"), "rw": True},
            {"type": "bind", "target": "/in", "source": self.path("in")},
            {"type": "bind", "target": "/rw", "source": self.path("in"), "rw": True},
            {"type": "file", "target": "/run/secrets/s", "content": "hidden", "mode": 0o400},
            {"type": "tmpfs", "target": "/t"},
        ]
        self.assertEqual("in hidden\n", self.ok("echo 1 > /c/f; echo 2 > /rw/f; touch /t/f; echo $(cat /in/f) $(cat /run/secrets/s)", mounts=mounts))
        self.assertEqual(["f"], os.listdir(self.path("cache")))

    def test_what_one_id_cannot_do_says_why(self):
        self.refused("UNSUPPORTED_CONTENT", "user 1000:1000: without root, and without ranges in /etc/subuid", user="bob")
        mounts = [{"type": "file", "target": "/s", "content": "x", "mode": 0o400, "uid": 1000}]
        self.refused("UNSUPPORTED_CONTENT", "cannot belong to 1000:0: the user namespace of this daemon has no such id", mounts=mounts)
        said = self.run_step("chown 1000 /etc/passwd")
        self.assertRegex(said["failure"], "exit code: 1 .this daemon has no root and no ranges in /etc/subuid")

    def test_limits_need_root(self):
        self.refused("UNSUPPORTED_CONTENT", "limits of memory, processors and processes need cgroups", limits={"memory": 1 << 30})
        self.assertEqual("77\n", self.ok("ulimit -n", limits={"ulimits": [["nofile", 77, 77]]}))

    def test_limits_above_the_daemons_need_root(self):
        self.refused("UNSUPPORTED_CONTENT", "RLIMIT_NOFILE of 1073741824 is more than the .* that this daemon has, which only root", limits={"ulimits": [["nofile", 9, 1 << 30]]})

    def test_runc_needs_root(self):
        if not RUNC:
            self.skipTest("runc is not installed")
        self.refused("UNSUPPORTED_CONTENT", "runc makes cgroups, .* install crun", runtime=RUNC)

    def test_a_shell(self):
        self.ok("echo behind > /left")
        with open(self.path(f"step{self.steps}.json"), encoding="utf-8") as file:
            described = {**json.load(file), "args": ["/bin/sh"]}
        with open(self.path("again.json"), "w", encoding="utf-8") as file:
            json.dump(described, file)
        shell = self.shell_of(file.name)
        shell.process.stdin.write(b"stty size >/dev/null && cat /left; exit 4\n")
        shell.process.stdin.flush()
        self.assertEqual(4, shell.wait()["exit_code"], shell.out)
        self.assertIn(b"behind\r\n", shell.out)

    def test_parts_of_trees(self):
        tree = self.path("tree")
        os.makedirs(os.path.join(tree, "d"))
        with open(os.path.join(tree, "d/f"), "w", encoding="ascii") as file:
            file.write("in a tree")
        for name in ("d/f", "d", ""):
            os.chown(os.path.join(tree, name), OWN, OWN)
        os.mkdir(self.path("cache"))
        os.chown(self.path("cache"), OWN, OWN)
        mounts = [
            {"type": "bind", "target": "/ro", "path": "/d", "layers": [tree]},
            {"type": "bind", "target": "/rw", "path": "/d/f", "layers": [tree], "rw": True},
            {"type": "cache", "target": "/c", "source": self.path("cache"), "path": "/d", "layers": [tree], "rw": True, "fill": True},
        ]
        self.assertEqual("in a tree new in a tree\n", self.ok("printf new > /rw; echo $(cat /ro/f) $(cat /rw) $(cat /c/f)", mounts=mounts))
        self.assertEqual(["f"], os.listdir(self.path("cache")))
        self.refused("NOT_FOUND", '"/x": not found', mounts=[{**mounts[0], "path": "/x"}])

    def test_an_owner_that_a_cache_cannot_begin_with(self):
        os.makedirs(self.path("tree", "d"))
        os.chown(self.path("tree", "d"), 7, 7)
        os.mkdir(self.path("cache"))
        os.chown(self.path("cache"), OWN, OWN)
        mount = {"type": "cache", "target": "/c", "source": self.path("cache"), "path": "/", "layers": [self.path("tree")], "rw": True, "fill": True}
        self.refused("UNSUPPORTED_CONTENT", "fill the cache mount at '/c': '/d/?' cannot belong to 65534:65534: the user namespace", mounts=[mount], single_id=True)

    def test_system_calls_are_refused(self):
        self.assertNotEqual(0, self.run_step("unshare -U true")["exit_code"])
        self.assertNotEqual(0, self.run_step("mkdir /m; mount -t tmpfs t /m")["exit_code"])


@unittest.skipUnless(os.geteuid() == 0, "needs root, to become somebody without it")
class Ranges(Rootless):
    """With ranges of ids: /etc/subuid is another file in a mount namespace of the test's."""

    def setUp(self):
        super().setUp()
        if not shutil.which("newuidmap"):
            self.skipTest("uidmap is not installed")
        with open("/etc/passwd", encoding="utf-8") as file:
            passwd = file.read()
        for name, text in (("passwd", f"{passwd}imagedtest:x:{OWN}:{OWN}::/:/bin/sh\n"), ("subid", "imagedtest:500000:65536\n")):
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)
        places = {"passwd": ["/etc/passwd"], "subid": ["/etc/subuid", "/etc/subgid"]}
        script = "".join(f"mount --bind {self.path(n)} {p} && " for n, ps in places.items() for p in ps)
        if os.path.exists("/dev/fuse"):
            os.mknod(self.path("fuse"), 0o20666, os.makedev(10, 229))
            os.chmod(self.path("fuse"), 0o666)
            script += f"mount --bind {self.path('fuse')} /dev/fuse && "
        become = f'exec setpriv --reuid {OWN} --regid {OWN} --clear-groups "$@"'
        wrapper = self.path("run_step")
        import runstep

        with open(wrapper, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nexec unshare -m --propagation private sh -c '{script}{become}' sh {runstep.RUN_STEP} \"$@\"\n")
        os.chmod(wrapper, 0o755)
        self._run_step = runstep.RUN_STEP
        runstep.RUN_STEP = wrapper
        self.addCleanup(setattr, runstep, "RUN_STEP", self._run_step)

    def start(self, command, **fields):
        spec = self.spec(command, **fields)
        os.chown(self.step_directory, OWN, OWN)
        return Running(self, spec)

    def shell_of(self, spec):
        return Running(self, spec, mode="-shell")

    def layer(self, **fields):
        return StepCase.layer(self, **fields)

    def test_a_step_with_one_id(self):
        out = self.ok("id -u; cat /proc/self/uid_map", single_id=True)
        self.assertEqual(["0", "0", str(OWN), "1"], out.split())

    def test_a_step_with_many_ids(self):
        out = self.ok("id -u; id -G; cat /proc/self/uid_map", user="bob")
        self.assertEqual(["1000", "1000", "10", "29", "0", str(OWN), "1", "1", "500000", "65536"], out.split())
        self.ok("mkdir -m 700 /d; chown 1000:50 /d; touch /d/f; chown 7 /d/f; chmod 400 /d/f")
        with tarfile.open(self.layer()) as tar:
            self.assertEqual([("d", 1000, 50), ("d/f", 7, 0)], [(m.name, m.uid, m.gid) for m in tar])
        self.remove()
        self.assertEqual([], os.listdir(self.step_directory))

    def test_what_one_id_cannot_do_says_why(self):
        self.refused("UNSUPPORTED_CONTENT", "user 1000:1000: without root", user="bob", single_id=True)
        self.assertNotIn("subuid", self.run_step("exit 1")["failure"])

    def test_images_of_layers(self):
        if not shutil.which("erofsfuse"):
            self.skipTest("erofsfuse is not installed")
        subprocess.run(["chown", "-hR", "0:0", self.root], check=True)
        os.chown(os.path.join(self.root, "home/bob"), 1000, 1000)
        subprocess.run(["tar", "-cf", self.path("t"), "-C", self.root, "."], check=True)
        erofs.convert(self.path("t"), self.path("image"))
        os.chmod(self.path("image"), 0o644)
        out = self.ok("stat -c %u /home/bob /bin/busybox; touch /home/bob/f; rm /bin/ls", lowers=[self.path("image")])
        self.assertEqual(["1000", "0"], out.split())
        with tarfile.open(self.layer()) as tar:
            self.assertEqual(["bin", "bin/.wh.ls", "home", "home/bob", "home/bob/f"], tar.getnames())


if __name__ == "__main__":
    unittest.main()
